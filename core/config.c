/* config: the order in which the parts are read, the defaults, and what all parts share. */
#include "config_parts.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { MAX_WORKERS = 256, SECOND = 1000, HOUR = 3600 * SECOND, DAY = 24 * HOUR };

const struct gate_config_number gate_config_numbers[] = {
    {"workers", "LLM_GATE_WORKERS", offsetof(struct gate_config, workers), false, 1, MAX_WORKERS},
    {"max_body", "LLM_GATE_MAX_BODY", offsetof(struct gate_config, max_body), true, 1024, 1 << 30},
    {"drain_ms", "LLM_GATE_DRAIN_MS", offsetof(struct gate_config, drain_ms), false, 0, HOUR},
    {"header_timeout_ms", NULL, offsetof(struct gate_config, header_timeout_ms), false, 100, HOUR},
    {"body_timeout_ms", NULL, offsetof(struct gate_config, body_timeout_ms), false, 100, HOUR},
    {"idle_timeout_ms", NULL, offsetof(struct gate_config, idle_timeout_ms), false, 100, HOUR},
    {"write_timeout_ms", NULL, offsetof(struct gate_config, write_timeout_ms), false, 100, HOUR},
    {"max_connections", NULL, offsetof(struct gate_config, max_connections), false, 16, 1000000},
    {"counter_flush_ms", "LLM_GATE_COUNTER_FLUSH_MS",
     offsetof(struct gate_config, counter_flush_ms), false, 0, SECOND},
    {"audit_retention_days", "AUDIT_RETENTION_DAYS",
     offsetof(struct gate_config, audit_retention_days), false, 1, 3650},
    {"max_attempts", "LLM_GATE_MAX_ATTEMPTS", offsetof(struct gate_config, max_attempts), false, 1,
     256},
    {"failover_ms", "LLM_GATE_FAILOVER_MS", offsetof(struct gate_config, failover_ms), false, 1,
     HOUR},
    {NULL, "ALERT_QUOTA_THRESHOLD_PERCENT", offsetof(struct gate_config, alerts.threshold_percent),
     false, 1, 100},
};
const size_t gate_config_number_count = sizeof gate_config_numbers / sizeof gate_config_numbers[0];

const struct gate_config_number gate_config_clock_numbers[] = {
    {"connect_ms", NULL, offsetof(struct gate_clocks, connect_ms), false, 1, HOUR},
    {"first_token_ms", NULL, offsetof(struct gate_clocks, first_token_ms), false, 0, DAY},
    {"idle_ms", NULL, offsetof(struct gate_clocks, idle_ms), false, 0, DAY},
    {"total_ms", NULL, offsetof(struct gate_clocks, total_ms), false, 0, DAY},
    {"keepalive_ms", NULL, offsetof(struct gate_clocks, keepalive_ms), false, 0, HOUR},
};
const size_t gate_config_clock_number_count =
    sizeof gate_config_clock_numbers / sizeof gate_config_clock_numbers[0];

void gate_config_put_number(void *base, const struct gate_config_number *n, uint64_t value)
{
    char *at = (char *)base + n->offset;

    if (n->wide)
        *(size_t *)(void *)at = (size_t)value;
    else
        *(uint32_t *)(void *)at = (uint32_t)value;
}

struct gate_config_shown gate_config_show(const char *value)
{
    struct gate_config_shown out;
    size_t i = 0;

    for (; value[i] != '\0' && i < sizeof out.text - 4; i++)
        out.text[i] = (unsigned char)value[i] < 0x20 || value[i] == 0x7f ? '?' : value[i];
    if (value[i] != '\0') {
        memcpy(out.text + i, "...", 3);
        i += 3;
    }
    out.text[i] = '\0';
    return out;
}

void gate_config_warn(struct gate_config *c, const char *format, ...)
{
    char text[GATE_ERROR_MAX];
    va_list args;

    if (c->warning_count == GATE_CONFIG_MAX_WARNINGS) {
        char **last = &c->warnings[GATE_CONFIG_MAX_WARNINGS - 1];

        free(*last);
        *last = gate_strdup(GATE_STR("there are more warnings; they show when those above are "
                                     "attended to"));
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->warnings[c->warning_count++] = gate_strdup(gate_str_of(text));
}

/* The CPUs that this process may use: a container or taskset may give fewer than the machine has.
 */
static uint32_t cpu_count(void)
{
    cpu_set_t set;
    int count = 0;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = CPU_COUNT(&set);
    if (count < 1)
        count = 1;
    return count > MAX_WORKERS ? MAX_WORKERS : (uint32_t)count;
}

static struct gate_config *config_create(void)
{
    struct gate_config *c = gate_calloc(1, sizeof *c);

    atomic_init(&c->refs, 1);
    c->listen_host = gate_strdup(GATE_STR("127.0.0.1"));
    c->listen_port = 8080;
    c->workers = cpu_count();
    c->log_level = GATE_LOG_INFO;
    c->log_format = GATE_LOG_TEXT;
    c->max_body = 32 << 20;
    c->header_timeout_ms = 30 * SECOND;
    c->body_timeout_ms = 30 * SECOND;
    c->idle_timeout_ms = 75 * SECOND;
    c->write_timeout_ms = 120 * SECOND;
    c->drain_ms = 30 * SECOND;
    c->max_connections = 10000;
    c->clocks = (struct gate_clocks){.connect_ms = 10 * SECOND,
                                     .first_token_ms = 120 * SECOND,
                                     .idle_ms = 120 * SECOND,
                                     .total_ms = 1800 * SECOND};
    c->storage.plugin = gate_strdup(GATE_STR("rocksdb"));
    c->quota.plugin = gate_strdup(GATE_STR("window"));
    c->counter_flush_ms = 500;
    c->alerts.enabled = true;
    c->alerts.threshold_percent = 80;
    c->audit_success_log = true;
    c->audit_retention_days = 30;
    c->max_attempts = 32;
    c->failover_ms = 300 * SECOND;
    return c;
}

struct gate_config_instance *gate_config_find_instance(struct gate_config *c, const char *name)
{
    for (size_t i = 0; i < c->instance_count; i++)
        if (strcmp(c->instances[i].name, name) == 0)
            return &c->instances[i];
    return NULL;
}

struct gate_config_instance *gate_config_push_instance(struct gate_config *c)
{
    struct gate_config_instance *i;

    if (c->instance_count == GATE_CONFIG_MAX_INSTANCES)
        return NULL;
    if (c->instances == NULL)
        c->instances = gate_calloc(GATE_CONFIG_MAX_INSTANCES, sizeof *c->instances);
    i = &c->instances[c->instance_count++];
    *i =
        (struct gate_config_instance){.dedup_hold_ms = 150, .ask_usage = true, .clocks = c->clocks};
    return i;
}

struct gate_config_option *gate_config_push_option(struct gate_config_option **options,
                                                   size_t *count, const char *name)
{
    struct gate_config_option *o;

    if (*count == GATE_CONFIG_MAX_OPTIONS)
        return NULL;
    if (*options == NULL)
        *options = gate_calloc(GATE_CONFIG_MAX_OPTIONS, sizeof **options);
    o = &(*options)[(*count)++];
    o->name = gate_strdup(gate_str_of(name));
    return o;
}

static void options_free(struct gate_config_option *options, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        struct gate_config_option *o = &options[n];

        for (size_t i = 0; i < o->list_len; i++)
            free(o->list[i]);
        free(o->list);
        free(o->string);
        free(o->name);
    }
    free(options);
}

static void instance_finish(struct gate_config_instance *i)
{
    for (size_t a = 0; a < i->account_count; a++)
        gate_config_account_finish(&i->accounts[a]);
    free(i->accounts);
    options_free(i->options, i->option_count);
    free(i->name);
    free(i->plugin);
    free(i->dedup);
}

static void plugin_finish(struct gate_config_plugin *p)
{
    options_free(p->options, p->option_count);
    free(p->plugin);
}

static void secret_free(char *text)
{
    if (text != NULL)
        gate_wipe(text, strlen(text));
    free(text);
}

static void destroy(struct gate_config *c)
{
    for (size_t i = 0; i < c->instance_count; i++)
        instance_finish(&c->instances[i]);
    free(c->instances);
    plugin_finish(&c->storage);
    plugin_finish(&c->quota);
    for (size_t i = 0; i < c->mapping_count; i++) {
        free((char *)c->mappings[i].name.ptr);
        free((char *)c->mappings[i].target.ptr);
    }
    free(c->mappings);
    for (size_t i = 0; i < c->route_header_count; i++)
        free(c->route_headers[i]);
    free(c->route_headers);
    for (size_t i = 0; i < c->warning_count; i++)
        free(c->warnings[i]);
    secret_free(c->api_key);
    secret_free(c->admin_key);
    secret_free(c->secret);
    secret_free(c->alerts.webhook_url);
    secret_free(c->alerts.webhook_secret);
    free(c->api_key_file);
    free(c->listen_host);
    free(c->data_dir);
    free(c->conf_dir);
    free(c->plugin_dir);
    free(c->script_dir);
    gate_config_environment_release(c->environment);
    free(c);
}

void gate_config_retain(struct gate_config *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

void gate_config_release(struct gate_config *c)
{
    if (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        destroy(c);
}

enum gate_status gate_config_load(bool make_key, struct gate_config **out, struct gate_error *err)
{
    struct gate_config *c = config_create();
    bool echo = true;
    enum gate_status status;

    c->environment = gate_config_environment_create();
    status = gate_config_find_dirs(c, err);
    if (status != GATE_OK)
        goto fail;
    status = gate_config_read_file(c, &echo, err);
    if (status != GATE_OK)
        goto fail;
    status = gate_config_read_env(c, err);
    if (status != GATE_OK)
        goto fail;
    status = gate_config_add_instances(c, echo, err);
    if (status != GATE_OK)
        goto fail;
    /* Last, so that a start that fails leaves no key behind that nobody was told. */
    status = gate_config_read_key(c, make_key, err);
    if (status != GATE_OK)
        goto fail;
    *out = c;
    return GATE_OK;

fail:
    gate_config_release(c);
    return status;
}

static char *copy(const char *text)
{
    return text != NULL ? gate_strdup(gate_str_of(text)) : NULL;
}

enum gate_status gate_config_reload(const struct gate_config *running, const struct gate_str *text,
                                    struct gate_config **out, struct gate_error *err)
{
    struct gate_config *c = config_create();
    bool echo = true;
    enum gate_status status = GATE_OK;

    c->environment = gate_config_environment_retain(running->environment);
    c->data_dir = copy(running->data_dir);
    c->conf_dir = copy(running->conf_dir);
    c->plugin_dir = copy(running->plugin_dir);
    c->script_dir = copy(running->script_dir);
    if (text != NULL)
        status = gate_config_read_text(c, *text, &echo, err);
    if (status == GATE_OK)
        status = gate_config_read_env(c, err);
    if (status == GATE_OK)
        status = gate_config_add_instances(c, echo, err);
    if (status == GATE_OK)
        status = gate_config_keep_key(c, running, err);
    if (status != GATE_OK) {
        gate_config_release(c);
        return status;
    }
    *out = c;
    return GATE_OK;
}

/* Variables with secrets that are not an account's. */
static const char *const own_secrets[] = {"API_KEY", "ADMIN_KEY", "LLM_GATE_SECRET",
                                          "ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET"};

bool gate_config_is_own_secret(const char *name)
{
    for (size_t i = 0; i < sizeof own_secrets / sizeof own_secrets[0]; i++)
        if (strcmp(name, own_secrets[i]) == 0)
            return true;
    return false;
}

static void scrub(const char *name)
{
    char *value = getenv(name);

    if (value == NULL)
        return;
    gate_wipe(value, strlen(value));
    unsetenv(name);
}

void gate_config_scrub_environment(const struct gate_config *c)
{
    /* Also where gateway.lua names other accounts and these give none. */
    static const char *const known[] = {"DASHSCOPE_API_KEY", "QWEN_CREDS_JSON", "OPENAI_API_KEY"};

    for (size_t i = 0; i < c->instance_count; i++)
        for (size_t a = 0; a < c->instances[i].account_count; a++)
            if (c->instances[i].accounts[a].key_env != NULL)
                scrub(c->instances[i].accounts[a].key_env);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        scrub(known[i]);
    for (size_t i = 0; i < sizeof own_secrets / sizeof own_secrets[0]; i++)
        scrub(own_secrets[i]);
}
