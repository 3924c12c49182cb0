/* main: the command line. Puts the parts together in the order in which they need each other, and
 * tells the operator in plain text what came of it. */
#include "base/clock.h"
#include "command.h"
#include "worker.h"

#include <link.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEEP_BYTES = 64 << 20, MAX_MODEL = 256 };

static const char usage_text[] =
    "Usage: llm-gate [COMMAND [ARGUMENT...]]\n"
    "\n"
    "  run               serve until SIGTERM or SIGINT (this is what happens without a command)\n"
    "  check             check configuration, plugins and scripts; exit 0 if all is fine\n"
    "  plugins           list the plugins, their versions and their options\n"
    "  login [PROVIDER]  sign in to a provider (\"qwen\" if none is named) with a code\n"
    "  accounts          list the accounts\n"
    "  backup FILE       write all stored data into a file; the gateway may run\n"
    "  restore FILE      put a backup in the place of the stored data\n"
    "  ui-link           print an address that opens the console once\n"
    "  route             tell where a request would go, and why\n"
    "  dry-run DIR       tell what other scripts would have done with recent requests\n"
    "  --help            this text; COMMAND --help: that command's options\n"
    "  --version         the version\n";

static const char variables_text[] =
    "\n"
    "Environment (all optional; an empty variable counts as not set):\n"
    "  API_KEY                 key that clients present; made and kept in a file if not set\n"
    "  ADMIN_KEY               key of the admin API and the console; API_KEY if not set\n"
    "  LLM_GATE_SECRET         encrypts stored credentials; a key file in the data directory if\n"
    "                          not set\n"
    "  DASHSCOPE_API_KEY       Qwen by API key (DASHSCOPE_BASE_URL: another address)\n"
    "  OPENAI_API_KEY          any OpenAI-compatible service, at OPENAI_BASE_URL\n"
    "  QWEN_CREDS_JSON         Qwen by a stored OAuth login; also files qwen_creds_*.json\n"
    "  QWEN_CLIENT_ID          client id of Qwen's logins, if not the usual one\n"
    "  MODEL_MAPPINGS          {\"name\":\"model\"}, names that clients use for models\n"
    "  CHAT_DAILY_LIMIT        chat requests a day of each account, 0: no limit\n"
    "  CHAT_RPM_LIMIT          chat requests a minute of each account\n"
    "  SEARCH_DAILY_LIMIT      web searches a day of each account\n"
    "  SEARCH_RPM_LIMIT        web searches a minute of each account\n"
    "  ALERT_WEBHOOK_URL       where alerts are posted (also ALERT_ENABLED, ALERT_WEBHOOK_TYPE,\n"
    "                          ALERT_WEBHOOK_SECRET, ALERT_QUOTA_THRESHOLD_PERCENT)\n"
    "  AUDIT_SUCCESS_LOG       0: no log lines of requests that went well\n"
    "  AUDIT_RETENTION_DAYS    days that minute counts are kept, 30 if not set\n"
    "  LOG_LEVEL               DEBUG, INFO, WARN or ERROR\n"
    "  LLM_GATE_LOG_FORMAT     text or json\n"
    "  LLM_GATE_LISTEN         address:port, 127.0.0.1:8080 if not set\n"
    "  LLM_GATE_DATA_DIR       ./data if not set\n"
    "  LLM_GATE_CONF_DIR       gateway.lua, models.lua, routing.lua and accounts.lua; ./conf if\n"
    "                          not set\n"
    "  LLM_GATE_SCRIPT_DIR     Lua library of the scripts\n"
    "  LLM_GATE_PLUGIN_DIR     plugins/ beside the binary if not set\n"
    "  LLM_GATE_WORKERS        threads that serve, one for each CPU if not set\n"
    "  LLM_GATE_MAX_BODY       bytes of a request's body, 33554432 if not set\n"
    "  LLM_GATE_MAX_ATTEMPTS   attempts of one request over all accounts, 32 if not set\n"
    "  LLM_GATE_FAILOVER_MS    no new attempt after this much of a request, 300000 if not set\n"
    "  LLM_GATE_COUNTER_FLUSH_MS\n"
    "                          counts of this long may be lost when the process is killed,\n"
    "                          500 if not set\n"
    "  LLM_GATE_DRAIN_MS       time for running requests at the end, 30000 if not set\n"
    "  LLM_GATE_ALLOW_PRIVATE  1: addresses that arrive from outside may be private\n"
    "\n"
    "docs/configuration.md describes all of them and conf/gateway.lua.\n";

/* ---- run */

static void prepare_process(void)
{
    struct rlimit files;

    /* glibc gives big freed blocks back to the kernel at once, so a gateway of large bodies would
     * fault the same pages in for every request. */
    mallopt(M_TRIM_THRESHOLD, KEEP_BYTES);
    mallopt(M_MMAP_THRESHOLD, KEEP_BYTES);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond a limit fails instead */
    umask(077);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* The model for the first try: echo, which always answers, or else the first there is. */
static void choose_model(void *ctx, struct gate_str model, const struct gate_instance *owner)
{
    char *chosen = ctx;
    bool echo = strcmp(owner->plugin->name, "echo") == 0;

    if (model.len >= MAX_MODEL || (chosen[0] != '\0' && !echo))
        return;
    memcpy(chosen, model.ptr, model.len);
    chosen[model.len] = '\0';
}

static void print_new_key(const struct gate_parts *p, const char *url)
{
    char model[MAX_MODEL] = "";
    const char *key = p->config->api_key;

    printf("  API key  %s  (made now and kept in %s; it is not shown again)\n", key,
           p->config->api_key_file);
    gate_pool_each_model(p->pool, NULL, p->generation, choose_model, model);
    if (model[0] != '\0' && strpbrk(model, "'\"\\") == NULL)
        printf("  try it   curl %s/v1/chat/completions -H 'Authorization: Bearer %s' "
               "-H 'Content-Type: application/json' "
               "-d '{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'\n",
               url, key, model);
}

static void print_console(const struct gate_parts *p, const char *url)
{
    const struct gate_config *c = p->config;

    if (c->admin_key != NULL)
        printf("  console  %s/<ADMIN_KEY>/ui, or `llm-gate ui-link`\n", url);
    else if (c->api_key_is_new)
        printf("  console  %s/%s/ui\n", url, c->api_key);
    else
        printf("  console  %s/<API key>/ui, or `llm-gate ui-link`\n", url);
}

/* Read-only pages of a library: what only its loading and the start have touched leaves memory, and
 * what is needed again comes back from the page cache. The storage library alone takes 8 MB else.
 */
static int drop_pages(struct dl_phdr_info *info, size_t size, void *arg)
{
    const uintptr_t page = *(const uintptr_t *)arg;

    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uintptr_t begin = (info->dlpi_addr + h->p_vaddr + page - 1) & ~(page - 1);
        uintptr_t end = (info->dlpi_addr + h->p_vaddr + h->p_memsz) & ~(page - 1);

        if (h->p_type == PT_LOAD && (h->p_flags & PF_W) == 0 && end > begin)
            madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    return 0;
}

static void trim_memory(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    dl_iterate_phdr(drop_pages, &page);
    malloc_trim(0);
}

/* gate_serve's callback: connections are accepted now. */
static void on_ready(void *ctx, const char *host, uint16_t port)
{
    const struct gate_parts *p = ctx;
    char url[GATE_COMMAND_URL];

    gate_command_url(url, sizeof url, host, port);
    gate_log_info("llm-gate %s: serving on %s port %u with %u workers", GATE_VERSION, host,
                  (unsigned)port, (unsigned)p->config->workers);
    printf("llm-gate %s listens on %s\n", GATE_VERSION, url);
    print_console(p, url);
    if (p->config->api_key_is_new)
        print_new_key(p, url);
    else
        printf("  API key  from %s\n",
               p->config->api_key_file != NULL ? p->config->api_key_file : "API_KEY");
    fflush(stdout);
    trim_memory();
}

static int fail_start(const struct gate_parts *p, const struct gate_error *err)
{
    fprintf(stderr, "llm-gate: %s\n", err->message);
    if (p->config != NULL && p->config->api_key_is_new)
        fprintf(stderr, "llm-gate: an API key was made before that; it is in %s\n",
                p->config->api_key_file);
    return EXIT_FAILURE;
}

/* For tests: a file that says how far wall time is ahead. */
static enum gate_status follow_clock(struct gate_error *err)
{
    const char *path = getenv("LLM_GATE_CLOCK_FILE");

    if (path == NULL || path[0] == '\0' || gate_clock_follow(path))
        return GATE_OK;
    return gate_fail(err, GATE_EINVAL, "LLM_GATE_CLOCK_FILE: %s is not a file of 8 bytes", path);
}

/* The threads that follow must not take the signals that this one waits for. */
static void block_signals(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

static int command_run(void)
{
    struct gate_parts p = {0};
    struct gate_error err = {GATE_OK, ""};
    enum gate_status status;
    int result = EXIT_SUCCESS;

    prepare_process();
    block_signals();
    status = follow_clock(&err);
    if (status == GATE_OK)
        status = gate_config_load(true, &p.config, &err);
    if (status == GATE_OK) {
        gate_log_setup(p.config->log_level, p.config->log_format, 2);
        for (size_t i = 0; i < p.config->warning_count; i++)
            gate_log_warn("%s", p.config->warnings[i]);
        gate_config_scrub_environment(p.config);
        status = gate_parts_load(&p, &err);
    }
    if (status == GATE_OK)
        status = gate_parts_open(&p, &err);
    if (status == GATE_OK)
        status = gate_serve(&p, on_ready, &p, &err);
    if (status != GATE_OK)
        result = fail_start(&p, &err);
    gate_parts_finish(&p);
    return result;
}

/* ---- plugins */

static const char *option_type(enum gate_option_type type)
{
    static const char *const names[] = {"", "string", "number", "boolean", "list"};

    return (size_t)type < sizeof names / sizeof names[0] ? names[type] : "";
}

static void print_plugin(const struct gate_loaded *l)
{
    const struct gate_plugin *p = l->plugin;

    printf("%-9s %-20s %-8s %s\n", gate_kind_name((enum gate_kind)p->kind), p->name, p->version,
           p->summary);
    printf("          %s, ABI %u.%u\n", l->path, (unsigned)p->abi_major, (unsigned)p->abi_minor);
    for (size_t i = 0; i < p->option_count; i++) {
        const struct gate_option *o = &p->options[i];

        printf("          %-20s %-8s %s", o->name,
               o->choices != NULL ? o->choices : option_type(o->type), o->help);
        if (o->fallback != NULL)
            printf(" (default %s)", o->fallback);
        printf("\n");
    }
}

static int command_plugins(void)
{
    struct gate_parts p = {0};
    struct gate_error err = {GATE_OK, ""};
    enum gate_status status = gate_config_load(false, &p.config, &err);

    if (status == GATE_OK)
        status = gate_registry_load(p.config->plugin_dir,
                                    gate_host_services(p.config->allow_private), &p.registry, &err);
    if (status == GATE_OK) {
        size_t count;
        const struct gate_loaded *all = gate_registry_all(p.registry, &count);

        for (size_t i = 0; i < count; i++)
            print_plugin(&all[i]);
    } else {
        fprintf(stderr, "llm-gate: %s\n", err.message);
    }
    gate_parts_finish(&p);
    return status == GATE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- the command line */

static int command_help(void)
{
    printf("%s%s", usage_text, variables_text);
    return EXIT_SUCCESS;
}

static int command_version(void)
{
    printf("llm-gate %s (plugin ABI %d.%d)\n", GATE_VERSION, GATE_ABI_MAJOR, GATE_ABI_MINOR);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
        int (*run_with)(int argc, char **argv); /* takes arguments */
    } commands[] = {
        {"run", command_run, NULL},
        {"check", gate_command_check, NULL},
        {"plugins", command_plugins, NULL},
        {"login", NULL, gate_command_login},
        {"accounts", NULL, gate_command_accounts},
        {"backup", NULL, gate_command_backup},
        {"restore", NULL, gate_command_restore},
        {"route", NULL, gate_command_route},
        {"dry-run", NULL, gate_command_dry_run},
        {"ui-link", NULL, gate_command_ui_link},
        {"--help", command_help, NULL},
        {"-h", command_help, NULL},
        {"help", command_help, NULL},
        {"--version", command_version, NULL},
        {"-V", command_version, NULL},
        {"version", command_version, NULL},
    };
    enum { COUNT = sizeof commands / sizeof commands[0] };
    size_t at = 0;

    if (argc < 2)
        return command_run();
    while (at < COUNT && strcmp(argv[1], commands[at].name) != 0)
        at++;
    if (at < COUNT && commands[at].run_with != NULL)
        return commands[at].run_with(argc - 1, argv + 1);
    if (at < COUNT && argc == 2)
        return commands[at].run();
    fprintf(stderr, "llm-gate: unknown argument \"%s\"\n\n%s", argv[at < COUNT ? 2 : 1],
            usage_text);
    return GATE_COMMAND_USAGE;
}
