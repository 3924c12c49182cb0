/* config_instances: the provider instances that are always there, with the accounts and options of
 * well-known variables, beside those that gateway.lua lists. */
#include "config_parts.h"

#include <stdlib.h>

enum { MAX_CLIENT_ID = 256 };

/* An instance that is there although nobody configures it, so that accounts can be added to it. */
struct known {
    const char *name, *plugin, *key_env;
    enum gate_credential_kind kind;
    const char *base_env;      /* NULL: the address cannot be set */
    const char *base_fallback; /* NULL: the plugin knows */
    const char *client_env;    /* sets the option client_id; NULL: there is none */
    const char *plan;          /* the option plan; NULL: the plugin knows */
    bool catch_all;
    bool base_suffices; /* base_env alone makes an account, without a key */
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
     .kind = GATE_CREDENTIAL_OAUTH,
     .client_env = "QWEN_CLIENT_ID",
     .plan = "oauth"},
    {.name = "openai",
     .plugin = "openai",
     .key_env = "OPENAI_API_KEY",
     .kind = GATE_CREDENTIAL_API_KEY,
     .base_env = "OPENAI_BASE_URL",
     .base_fallback = "https://api.openai.com/v1",
     .catch_all = true,
     .base_suffices = true},
};
enum { KNOWN = sizeof known_instances / sizeof known_instances[0] };

/* What the variables of a known instance say; NULL: they are not set. */
struct said {
    const char *key, *base, *client_id;
    const char *variable; /* one that is set, for messages; NULL: none is */
};

bool gate_config_is_known_instance(const char *name)
{
    for (size_t k = 0; k < KNOWN; k++)
        if (strcmp(name, known_instances[k].name) == 0)
            return true;
    return false;
}

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

static enum gate_status check_client_id(const char *env, const char *value, struct gate_error *err)
{
    size_t len = strlen(value), i = 0;

    while (value[i] > ' ' && value[i] < 0x7f)
        i++;
    if (i == len && len <= MAX_CLIENT_ID)
        return GATE_OK;
    return gate_fail(err, GATE_EINVAL,
                     "%s is \"%s\"; expected 1 to %d characters of printable ASCII without spaces",
                     env, gate_config_show(value).text, MAX_CLIENT_ID);
}

static enum gate_status read_said(const struct gate_config *c, const struct known *k,
                                  struct said *out, struct gate_error *err)
{
    enum gate_status status = GATE_OK;

    *out = (struct said){.key = gate_config_env(c, k->key_env)};
    if (k->base_env != NULL)
        out->base = gate_config_env(c, k->base_env);
    if (k->client_env != NULL)
        out->client_id = gate_config_env(c, k->client_env);
    if (out->base != NULL)
        status = check_base(k->base_env, out->base, err);
    if (status == GATE_OK && out->client_id != NULL)
        status = check_client_id(k->client_env, out->client_id, err);
    out->variable = out->key != NULL         ? k->key_env
                    : out->base != NULL      ? k->base_env
                    : out->client_id != NULL ? k->client_env
                                             : NULL;
    return status;
}

/* Adds an option that the file does not set itself. NULL: it does, or there is no room. */
static struct gate_config_option *add_option(struct gate_config_instance *i, const char *name,
                                             enum gate_option_type type)
{
    struct gate_config_option *o;

    for (size_t n = 0; n < i->option_count; n++)
        if (strcmp(i->options[n].name, name) == 0)
            return NULL;
    o = gate_config_push_option(&i->options, &i->option_count, name);
    if (o != NULL)
        o->type = type;
    return o;
}

static void add_text(struct gate_config_instance *i, const char *name, const char *text)
{
    struct gate_config_option *o = text != NULL ? add_option(i, name, GATE_OPTION_STRING) : NULL;

    if (o != NULL)
        o->string = copy(text);
}

/* listed: gateway.lua has the instance, so what no variable says is its own business. */
static void add_options(struct gate_config_instance *i, const struct known *k,
                        const struct said *said, bool listed)
{
    bool whole = !listed || said->variable != NULL;
    struct gate_config_option *o;

    add_text(i, "plan", k->plan);
    add_text(i, "client_id", said->client_id);
    add_text(i, "base_url", said->base != NULL ? said->base : whole ? k->base_fallback : NULL);
    if (k->catch_all && (o = add_option(i, "catch_all", GATE_OPTION_BOOL)) != NULL)
        o->boolean = true;
}

static struct gate_config_instance *add_instance(struct gate_config *c, const char *name,
                                                 const char *plugin, struct gate_error *err)
{
    struct gate_config_instance *i = gate_config_push_instance(c);

    if (i == NULL) {
        gate_fail(err, GATE_ELIMIT,
                  "more than %d provider instances, those that are always there included",
                  GATE_CONFIG_MAX_INSTANCES);
        return NULL;
    }
    i->name = copy(name);
    i->plugin = copy(plugin);
    i->dedup = copy("auto");
    return i;
}

static bool takes_from(const struct gate_config_instance *i, const char *env)
{
    for (size_t a = 0; a < i->account_count; a++)
        if (i->accounts[a].key_env != NULL && strcmp(i->accounts[a].key_env, env) == 0)
            return true;
    return false;
}

/* The account that the variables make, unless the file lists accounts itself. */
static enum gate_status add_account(struct gate_config *c, struct gate_config_instance *i,
                                    const struct known *k, const struct said *said,
                                    struct gate_error *err)
{
    struct gate_config_account *a;

    if (said->key == NULL && !(said->base != NULL && k->base_suffices))
        return GATE_OK;
    if (i->account_count > 0) {
        if (said->key != NULL && !takes_from(i, k->key_env))
            gate_config_warn(c, "%s is not used: gateway.lua lists the accounts of %s itself",
                             k->key_env, k->name);
        return GATE_OK;
    }
    a = gate_config_push_account(i, "", NULL, err);
    if (a == NULL)
        return GATE_ELIMIT;
    if (said->key == NULL)
        return GATE_OK;
    a->key_env = copy(k->key_env);
    a->kind = k->kind;
    if (k->kind == GATE_CREDENTIAL_OAUTH)
        a->source = GATE_SOURCE_SEED;
    return GATE_OK;
}

static enum gate_status add_known(struct gate_config *c, const struct known *k,
                                  struct gate_error *err)
{
    struct gate_config_instance *i = gate_config_find_instance(c, k->name);
    bool listed = i != NULL;
    struct said said;
    enum gate_status status = read_said(c, k, &said, err);

    if (status != GATE_OK)
        return status;
    if (listed && strcmp(i->plugin, k->plugin) != 0) {
        if (said.variable == NULL)
            return GATE_OK;
        return gate_fail(
            err, GATE_EINVAL,
            "gateway.lua: providers: instance \"%s\" uses plugin \"%s\", but %s is for "
            "an instance of that name with plugin \"%s\"; give yours another name",
            k->name, gate_config_show(i->plugin).text, said.variable, k->plugin);
    }
    if (!listed)
        i = add_instance(c, k->name, k->plugin, err);
    if (i == NULL)
        return GATE_ELIMIT;
    status = add_account(c, i, k, &said, err);
    add_options(i, k, &said, listed);
    i->from_environment = !listed && i->account_count > 0;
    if (k->kind == GATE_CREDENTIAL_OAUTH)
        gate_config_add_seeds(c, i);
    i->implicit = !listed && i->account_count == 0;
    return status;
}

static enum gate_status add_echo(struct gate_config *c, struct gate_error *err)
{
    struct gate_config_instance *i;

    if (gate_config_find_instance(c, "echo") != NULL)
        return GATE_OK;
    i = add_instance(c, "echo", "echo", err);
    if (i == NULL)
        return GATE_ELIMIT;
    return gate_config_push_account(i, "", NULL, err) != NULL ? GATE_OK : GATE_EINTERNAL;
}

enum gate_status gate_config_add_instances(struct gate_config *c, bool echo, struct gate_error *err)
{
    enum gate_status status = GATE_OK;

    for (size_t k = 0; k < KNOWN && status == GATE_OK; k++)
        status = add_known(c, &known_instances[k], err);
    if (status == GATE_OK && echo)
        status = add_echo(c, err);
    if (status == GATE_OK)
        status = gate_config_read_secrets(c, err);
    return status;
}
