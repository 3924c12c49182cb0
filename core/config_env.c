/* config_env: directories and settings that come from environment variables. */
#include "config_parts.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- directories */

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* base/rest as an owned string if it is a directory, else NULL. */
static char *find_below(const char *base, const char *rest)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", base, rest);

    if (n < 0 || (size_t)n >= sizeof path || !is_directory(path))
        return NULL;
    return gate_strdup(gate_str_of(path));
}

/* The directory of the running binary, "." when the kernel does not say. */
static void binary_directory(char *out, size_t cap)
{
    ssize_t n = readlink("/proc/self/exe", out, cap - 1);
    char *slash;

    if (n <= 0 || (size_t)n >= cap - 1) {
        snprintf(out, cap, ".");
        return;
    }
    out[n] = '\0';
    slash = strrchr(out, '/');
    if (slash != NULL)
        *slash = '\0';
}

/* A directory named by a variable must exist; *out stays NULL when the variable is unset. */
static enum gate_status named_directory(const struct gate_config *c, const char *env, char **out,
                                        struct gate_error *err)
{
    const char *value = gate_config_env(c, env);

    if (value == NULL)
        return GATE_OK;
    if (!is_directory(value))
        return gate_fail(err, GATE_EINVAL, "%s is \"%s\"; expected an existing directory", env,
                         gate_config_show(value).text);
    *out = gate_strdup(gate_str_of(value));
    return GATE_OK;
}

/* scripts/ beside conf/, recognised by the library folder that is always in it. */
static char *scripts_beside(const char *conf_dir)
{
    char path[PATH_MAX];
    int n;

    if (conf_dir == NULL)
        return NULL;
    n = snprintf(path, sizeof path, "%s/../scripts/gate", conf_dir);
    if (n < 0 || (size_t)n >= sizeof path || !is_directory(path))
        return NULL;
    return find_below(conf_dir, "../scripts");
}

enum gate_status gate_config_find_dirs(struct gate_config *c, struct gate_error *err)
{
    const char *data = gate_config_env(c, "LLM_GATE_DATA_DIR");
    char bin[PATH_MAX];
    enum gate_status status;

    binary_directory(bin, sizeof bin);
    c->data_dir = gate_strdup(gate_str_of(data != NULL ? data : "./data"));

    status = named_directory(c, "LLM_GATE_CONF_DIR", &c->conf_dir, err);
    if (status != GATE_OK)
        return status;
    if (c->conf_dir == NULL)
        c->conf_dir = is_directory("conf") ? gate_strdup(GATE_STR("conf")) : NULL;
    if (c->conf_dir == NULL)
        c->conf_dir = find_below(bin, "../share/llm-gate/conf");

    status = named_directory(c, "LLM_GATE_SCRIPT_DIR", &c->script_dir, err);
    if (status != GATE_OK)
        return status;
    if (c->script_dir == NULL)
        c->script_dir = scripts_beside(c->conf_dir);
    if (c->script_dir == NULL)
        c->script_dir = find_below(bin, "../share/llm-gate/scripts");

    status = named_directory(c, "LLM_GATE_PLUGIN_DIR", &c->plugin_dir, err);
    if (status != GATE_OK)
        return status;
    if (c->plugin_dir == NULL)
        c->plugin_dir = find_below(bin, "plugins");
    if (c->plugin_dir == NULL)
        c->plugin_dir = find_below(bin, "../lib/llm-gate/plugins");
    if (c->plugin_dir == NULL)
        return gate_fail(err, GATE_ENOTFOUND,
                         "no plugins: neither plugins/ nor ../lib/llm-gate/plugins beside the "
                         "binary is a directory; LLM_GATE_PLUGIN_DIR can name another");
    return GATE_OK;
}

/* ---- values that the file can set too */

bool gate_config_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host, &v6) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&v6))
        return v6.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    size_t n = 0;

    for (; text[n] >= '0' && text[n] <= '9' && n < 18; n++)
        value = value * 10 + (uint64_t)(text[n] - '0');
    if (n == 0 || text[n] != '\0' || value < min || value > max)
        return false;
    *out = value;
    return true;
}

static bool split_listen(const char *text, char *host, size_t cap, uint64_t *port)
{
    struct in_addr v4;
    struct in6_addr v6;
    const char *colon = strrchr(text, ':');
    bool brackets = text[0] == '[';
    size_t len;

    if (colon == NULL || !parse_number(colon + 1, 0, 65535, port))
        return false;
    len = (size_t)(colon - text);
    if (brackets) {
        if (len < 2 || text[len - 1] != ']')
            return false;
        text++;
        len -= 2;
    }
    if (len == 0 || len >= cap)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    if (brackets)
        return inet_pton(AF_INET6, host, &v6) == 1;
    if (strcasecmp(host, "localhost") == 0)
        snprintf(host, cap, "127.0.0.1");
    return inet_pton(AF_INET, host, &v4) == 1;
}

enum gate_status gate_config_set_listen(struct gate_config *c, const char *label, const char *text,
                                        struct gate_error *err)
{
    char host[INET6_ADDRSTRLEN];
    uint64_t port;

    if (!split_listen(text, host, sizeof host, &port))
        return gate_fail(err, GATE_EINVAL,
                         "%s is \"%s\"; expected address:port with a numeric address or "
                         "localhost, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080",
                         label, gate_config_show(text).text);
    free(c->listen_host);
    c->listen_host = gate_strdup(gate_str_of(host));
    c->listen_port = (uint16_t)port;
    return GATE_OK;
}

enum gate_status gate_config_set_level(struct gate_config *c, const char *label, const char *text,
                                       struct gate_error *err)
{
    static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(text, names[i]) == 0) {
            c->log_level = (enum gate_log_level)i;
            return GATE_OK;
        }
    }
    return gate_fail(err, GATE_EINVAL, "%s is \"%s\"; expected DEBUG, INFO, WARN or ERROR", label,
                     gate_config_show(text).text);
}

enum gate_status gate_config_set_format(struct gate_config *c, const char *label, const char *text,
                                        struct gate_error *err)
{
    if (strcmp(text, "text") == 0)
        c->log_format = GATE_LOG_TEXT;
    else if (strcmp(text, "json") == 0)
        c->log_format = GATE_LOG_JSON;
    else
        return gate_fail(err, GATE_EINVAL, "%s is \"%s\"; expected text or json", label,
                         gate_config_show(text).text);
    return GATE_OK;
}

/* ---- the environment over the file */

static enum gate_status read_numbers(struct gate_config *c, struct gate_error *err)
{
    for (size_t i = 0; i < gate_config_number_count; i++) {
        const struct gate_config_number *n = &gate_config_numbers[i];
        const char *text = n->env != NULL ? gate_config_env(c, n->env) : NULL;
        uint64_t value;

        if (text == NULL)
            continue;
        if (!parse_number(text, n->min, n->max, &value))
            return gate_fail(err, GATE_EINVAL,
                             "%s is \"%s\"; expected a whole number from %llu to %llu", n->env,
                             gate_config_show(text).text, (unsigned long long)n->min,
                             (unsigned long long)n->max);
        gate_config_put_number(c, n, value);
    }
    return GATE_OK;
}

enum gate_status gate_config_set_switch(const char *label, const char *text, bool *out,
                                        struct gate_error *err)
{
    bool on = strcmp(text, "1") == 0 || strcasecmp(text, "true") == 0;

    if (!on && strcmp(text, "0") != 0 && strcasecmp(text, "false") != 0)
        return gate_fail(err, GATE_EINVAL, "%s is \"%s\"; expected 0, 1, true or false", label,
                         gate_config_show(text).text);
    *out = on;
    return GATE_OK;
}

static enum gate_status read_limits(struct gate_config *c, struct gate_error *err)
{
    static const struct {
        const char *env;
        enum gate_usage_kind kind;
        enum gate_limits_field field;
    } limits[] = {
        {"CHAT_DAILY_LIMIT", GATE_USAGE_CHAT, GATE_LIMITS_RPD},
        {"CHAT_RPM_LIMIT", GATE_USAGE_CHAT, GATE_LIMITS_RPM},
        {"SEARCH_DAILY_LIMIT", GATE_USAGE_SEARCH, GATE_LIMITS_RPD},
        {"SEARCH_RPM_LIMIT", GATE_USAGE_SEARCH, GATE_LIMITS_RPM},
    };

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const char *text = gate_config_env(c, limits[i].env);
        uint64_t value;

        if (text == NULL)
            continue;
        if (!parse_number(text, 0, GATE_LIMITS_MAX, &value))
            return gate_fail(err, GATE_EINVAL,
                             "%s is \"%s\"; expected a whole number from 0 (no limit) to %d",
                             limits[i].env, gate_config_show(text).text, GATE_LIMITS_MAX);
        gate_limits_put(&c->limits.kinds[limits[i].kind],
                        (unsigned)__builtin_ctz((unsigned)limits[i].field), value);
    }
    return GATE_OK;
}

static enum gate_status read_secret(struct gate_config *c, struct gate_error *err)
{
    const char *text = gate_config_env(c, "LLM_GATE_SECRET");
    size_t len;

    if (text == NULL)
        return GATE_OK;
    len = strlen(text);
    if (len < GATE_CONFIG_MIN_KEY || len > GATE_CONFIG_MAX_KEY)
        return gate_fail(err, GATE_EINVAL, "LLM_GATE_SECRET has %zu bytes; expected %d to %d", len,
                         GATE_CONFIG_MIN_KEY, GATE_CONFIG_MAX_KEY);
    c->secret = gate_strdup(gate_str_of(text));
    return GATE_OK;
}

static enum gate_status read_success_log(struct gate_config *c, struct gate_error *err)
{
    const char *text = gate_config_env(c, "AUDIT_SUCCESS_LOG");

    if (text == NULL)
        return GATE_OK;
    return gate_config_set_switch("AUDIT_SUCCESS_LOG", text, &c->audit_success_log, err);
}

static enum gate_status read_allow_private(struct gate_config *c, struct gate_error *err)
{
    const char *text = gate_config_env(c, "LLM_GATE_ALLOW_PRIVATE");

    if (text == NULL)
        return GATE_OK;
    if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
        return gate_fail(err, GATE_EINVAL, "LLM_GATE_ALLOW_PRIVATE is \"%s\"; expected 0 or 1",
                         gate_config_show(text).text);
    c->allow_private = text[0] == '1';
    return GATE_OK;
}

enum gate_status gate_config_read_env(struct gate_config *c, struct gate_error *err)
{
    static const struct {
        const char *env;
        enum gate_status (*set)(struct gate_config *c, const char *label, const char *text,
                                struct gate_error *err);
        const char *fallback;
    } texts[] = {
        {"LLM_GATE_LISTEN", gate_config_set_listen, NULL},
        {"LOG_LEVEL", gate_config_set_level, NULL},
        {"LLM_GATE_LOG_FORMAT", gate_config_set_format, NULL},
        {"MODEL_MAPPINGS", gate_config_parse_mappings, "{\"research-model-v1\":\"coder-model\"}"},
    };
    enum gate_status status = GATE_OK;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && status == GATE_OK; i++) {
        const char *text = gate_config_env(c, texts[i].env);

        if (text == NULL)
            text = texts[i].fallback;
        if (text != NULL)
            status = texts[i].set(c, texts[i].env, text, err);
    }
    if (status == GATE_OK)
        status = read_numbers(c, err);
    if (status == GATE_OK)
        status = read_allow_private(c, err);
    if (status == GATE_OK)
        status = read_limits(c, err);
    if (status == GATE_OK)
        status = read_secret(c, err);
    if (status == GATE_OK)
        status = read_success_log(c, err);
    if (status == GATE_OK)
        status = gate_config_read_alerts(c, err);
    return status;
}
