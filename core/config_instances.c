/* config_instances: provider instances that well-known variables make, and the secrets of those
 * that gateway.lua lists. */
#include "config_parts.h"

#include <stdlib.h>

/* An instance that exists because a variable is set. */
struct known {
    const char *name, *plugin, *key_env;
    enum gate_credential_kind kind;
    const char *base_env;      /* NULL: the address cannot be set */
    const char *base_fallback; /* NULL: the plugin knows */
    bool catch_all;
    bool base_suffices; /* base_env alone makes the instance, without a key */
};

static const struct known known_instances[] = {
    {.name = "qwen",
     .plugin = "qwen",
     .key_env = "DASHSCOPE_API_KEY",
     .kind = GATE_CREDENTIAL_API_KEY,
     .base_env = "DASHSCOPE_BASE_URL"},
    {.name = "qwen-oauth",
     .plugin = "qwen",
     .key_env = "QWEN_CREDS_JSON",
     .kind = GATE_CREDENTIAL_OAUTH},
    {.name = "openai",
     .plugin = "openai",
     .key_env = "OPENAI_API_KEY",
     .kind = GATE_CREDENTIAL_API_KEY,
     .base_env = "OPENAI_BASE_URL",
     .base_fallback = "https://api.openai.com/v1",
     .catch_all = true,
     .base_suffices = true},
};

static char *copy(const char *s)
{
    return gate_strdup(gate_str_of(s));
}

/* Enough to name the variable at fault; the endpoint parser judges the rest. */
static bool looks_like_url(const char *s)
{
    size_t scheme = strncmp(s, "https://", 8) == 0 ? 8 : strncmp(s, "http://", 7) == 0 ? 7 : 0;

    if (scheme == 0 || s[scheme] == '\0' || s[scheme] == '/' || s[scheme] == ':')
        return false;
    for (size_t i = scheme; s[i] != '\0'; i++)
        if ((unsigned char)s[i] <= 0x20 || (unsigned char)s[i] >= 0x7f ||
            strchr("?#@\\\"", s[i]) != NULL)
            return false;
    return true;
}

static enum gate_status check_base(const char *env, const char *value, struct gate_error *err)
{
    if (looks_like_url(value))
        return GATE_OK;
    /* "user:password@" is a secret. */
    return gate_fail(err, GATE_EINVAL,
                     "%s is \"%s\"; expected http[s]://host[:port][/path] without user, query and "
                     "fragment",
                     env, strchr(value, '@') != NULL ? "..." : gate_config_show(value).text);
}

static bool has_option(const struct gate_config_instance *i, const char *name)
{
    for (size_t o = 0; o < i->option_count; o++)
        if (strcmp(i->options[o].name, name) == 0)
            return true;
    return false;
}

/* Adds the variables' options that the file does not set itself. */
static void add_known_options(struct gate_config_instance *i, const struct known *k,
                              const char *base)
{
    struct gate_config_option *o;

    if (base != NULL && !has_option(i, "base_url") &&
        (o = gate_config_push_option(i, "base_url")) != NULL) {
        o->type = GATE_OPTION_STRING;
        o->string = copy(base);
    }
    if (k->catch_all && !has_option(i, "catch_all") &&
        (o = gate_config_push_option(i, "catch_all")) != NULL) {
        o->type = GATE_OPTION_BOOL;
        o->boolean = true;
    }
}

static struct gate_config_instance *add_instance(struct gate_config *c, const char *name,
                                                 const char *plugin, struct gate_error *err)
{
    struct gate_config_instance *i = gate_config_push_instance(c);

    if (i == NULL) {
        gate_fail(err, GATE_ELIMIT, "more than %d provider instances", GATE_CONFIG_MAX_INSTANCES);
        return NULL;
    }
    i->name = copy(name);
    i->plugin = copy(plugin);
    i->dedup = copy("auto");
    return i;
}

static enum gate_status add_known(struct gate_config *c, const struct known *k,
                                  struct gate_error *err)
{
    const char *key = gate_config_env(k->key_env);
    const char *base = k->base_env != NULL ? gate_config_env(k->base_env) : NULL;
    struct gate_config_instance *i = gate_config_find_instance(c, k->name);
    enum gate_status status;

    if (base != NULL) {
        status = check_base(k->base_env, base, err);
        if (status != GATE_OK)
            return status;
    }
    if (key == NULL && !(base != NULL && k->base_suffices)) {
        if (base != NULL && i == NULL)
            gate_config_warn(c, "%s is set but %s is not: no provider is made from it", k->base_env,
                             k->key_env);
        if (i == NULL || base == NULL)
            return GATE_OK;
    }
    if (i == NULL) {
        i = add_instance(c, k->name, k->plugin, err);
        if (i == NULL)
            return GATE_ELIMIT;
        i->from_environment = true;
    } else if (strcmp(i->plugin, k->plugin) != 0) {
        return gate_fail(err, GATE_EINVAL,
                         "gateway.lua: providers: instance \"%s\" uses plugin \"%s\", but %s makes "
                         "an instance of that name with plugin \"%s\"; give yours another name",
                         k->name, gate_config_show(i->plugin).text,
                         key != NULL ? k->key_env : k->base_env, k->plugin);
    }
    if (key != NULL && i->key_env == NULL) {
        i->key_env = copy(k->key_env);
        i->credential_kind = k->kind;
    }
    add_known_options(i, k, base != NULL ? base : k->base_fallback);
    return GATE_OK;
}

/* Header values and log lines are built from keys, so what could break out of them stops here. */
static enum gate_status check_secret(const struct gate_config_instance *i, const char *value,
                                     struct gate_error *err)
{
    if (strlen(value) > GATE_CONFIG_MAX_SECRET)
        return gate_fail(err, GATE_EINVAL, "%s is longer than %d bytes", i->key_env,
                         GATE_CONFIG_MAX_SECRET);
    if (i->credential_kind == GATE_CREDENTIAL_OAUTH)
        return gate_config_check_oauth(i->key_env, value, err);
    for (size_t n = 0; value[n] != '\0'; n++)
        if ((unsigned char)value[n] <= 0x20 || (unsigned char)value[n] >= 0x7f)
            return gate_fail(err, GATE_EINVAL,
                             "%s: character %zu is not allowed; expected an API key of printable "
                             "ASCII without spaces",
                             i->key_env, n + 1);
    return GATE_OK;
}

static enum gate_status read_secret(struct gate_config_instance *i, struct gate_error *err)
{
    const char *value;
    enum gate_status status;

    if (i->key_env == NULL)
        return GATE_OK;
    value = gate_config_env(i->key_env);
    if (value == NULL)
        return gate_fail(err, GATE_EINVAL,
                         "gateway.lua: providers: instance \"%s\" takes its key from %s, which is "
                         "not set",
                         i->name, i->key_env);
    status = check_secret(i, value, err);
    if (status != GATE_OK)
        return status;
    i->secret = copy(value);
    i->secret_len = strlen(value);
    return GATE_OK;
}

enum gate_status gate_config_add_instances(struct gate_config *c, bool echo, struct gate_error *err)
{
    enum gate_status status;

    for (size_t k = 0; k < sizeof known_instances / sizeof known_instances[0]; k++) {
        status = add_known(c, &known_instances[k], err);
        if (status != GATE_OK)
            return status;
    }
    if (echo && gate_config_find_instance(c, "echo") == NULL &&
        add_instance(c, "echo", "echo", err) == NULL)
        return GATE_ELIMIT;
    for (size_t i = 0; i < c->instance_count; i++) {
        status = read_secret(&c->instances[i], err);
        if (status != GATE_OK)
            return status;
    }
    return GATE_OK;
}
