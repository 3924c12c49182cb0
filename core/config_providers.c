/* config_providers: the list `providers` of gateway.lua, and the other tables that name a plugin.
 * What is said of Lua errors in config_lua.c holds here too. */
#include "config_lua.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

enum { MAX_HOLD_MS = 10000 };

static const char *const provider_keys[] = {"name",       "plugin", "accounts",      "key_env",
                                            "credential", "dedup",  "dedup_hold_ms", "ask_usage",
                                            "clocks",     "options"};
static const char *const plugin_keys[] = {"plugin", "options"};

static bool is_instance_name(const char *s)
{
    size_t len = strlen(s);

    return len > 0 && len <= GATE_CONFIG_MAX_INSTANCE_NAME && s[0] != '-' && s[0] != '_' &&
           strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

static bool is_plugin_name(const char *s)
{
    return is_instance_name(s) && strchr(s, '-') == NULL;
}

bool gate_lua_is_variable(const char *s)
{
    size_t len = strlen(s);

    return len > 0 && len <= GATE_CONFIG_MAX_INSTANCE_NAME && !isdigit((unsigned char)s[0]) &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == len &&
           !gate_config_is_own_secret(s);
}

static bool is_credential(const char *s)
{
    return strcmp(s, "api_key") == 0 || strcmp(s, "oauth") == 0;
}

static bool is_dedup(const char *s)
{
    return strcmp(s, "off") == 0 || strcmp(s, "auto") == 0 || strcmp(s, "exact") == 0;
}

/* Reads the texts of one provider; *key_env and *credential are lent by the table. */
static enum gate_status read_provider_texts(lua_State *L, int table, const char *where,
                                            struct gate_config_instance *i, const char **key_env,
                                            const char **credential, struct gate_error *err)
{
    const char *name = NULL, *plugin = NULL, *dedup = NULL;
    const struct {
        const char *key;
        const char **out;
        bool (*ok)(const char *s);
        const char *expected;
        bool required;
    } texts[] = {
        {"name", &name, is_instance_name, "1 to 64 characters of a-z, 0-9, - and _", true},
        {"plugin", &plugin, is_plugin_name, "the name of a provider plugin", true},
        {"key_env", key_env, gate_lua_is_variable, GATE_LUA_VARIABLE, false},
        {"credential", credential, is_credential, "\"api_key\" or \"oauth\"", false},
        {"dedup", &dedup, is_dedup, "\"off\", \"auto\" or \"exact\"", false},
    };

    for (size_t t = 0; t < GATE_COUNT(texts); t++) {
        const char *text;
        enum gate_status status = gate_lua_text(L, table, where, texts[t].key, &text, err);

        if (status != GATE_OK)
            return status;
        if (text == NULL && texts[t].required)
            return gate_fail(err, GATE_EINVAL, "%s%s is missing; expected %s", where, texts[t].key,
                             texts[t].expected);
        if (text != NULL && !texts[t].ok(text))
            return gate_fail(err, GATE_EINVAL, "%s%s is \"%s\"; expected %s", where, texts[t].key,
                             gate_config_show(text).text, texts[t].expected);
        *texts[t].out = text;
    }
    i->name = gate_strdup(gate_str_of(name));
    i->plugin = gate_strdup(gate_str_of(plugin));
    i->dedup = gate_strdup(gate_str_of(dedup != NULL ? dedup : "auto"));
    return GATE_OK;
}

static enum gate_status read_option_list(lua_State *L, int at, const char *label,
                                         struct gate_config_option *o, struct gate_error *err)
{
    size_t count = lua_rawlen(L, at);
    enum gate_status status =
        gate_lua_check_list(L, at, label, "a list of strings", GATE_CONFIG_MAX_OPTION_LIST, err);

    if (status != GATE_OK)
        return status;
    o->type = GATE_OPTION_LIST;
    o->list = gate_calloc(count + 1, sizeof *o->list);
    for (size_t i = 1; i <= count; i++) {
        const char *text = NULL;

        lua_rawgeti(L, at, (lua_Integer)i);
        if (lua_type(L, -1) == LUA_TSTRING)
            text = gate_lua_plain(L, -1, GATE_CONFIG_MAX_OPTION_TEXT);
        if (text == NULL)
            return gate_fail(err, GATE_EINVAL, "%s[%zu] is %s; expected a string", label, i,
                             gate_lua_show(L, -1).text);
        o->list[o->list_len++] = gate_strdup(gate_str_of(text));
        lua_pop(L, 1);
    }
    return GATE_OK;
}

/* One entry of `options`: its value is on top of the stack. */
static enum gate_status read_option(lua_State *L, const char *label, struct gate_config_option *o,
                                    struct gate_error *err)
{
    const char *text;

    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        text = gate_lua_plain(L, -1, GATE_CONFIG_MAX_OPTION_TEXT);
        o->type = GATE_OPTION_STRING;
        o->string = gate_strdup(gate_str_of(text != NULL ? text : ""));
        if (text != NULL)
            return GATE_OK;
        break;
    case LUA_TNUMBER:
        o->type = GATE_OPTION_NUMBER;
        o->number = lua_tonumber(L, -1);
        if (isfinite(o->number))
            return GATE_OK;
        break;
    case LUA_TBOOLEAN:
        o->type = GATE_OPTION_BOOL;
        o->boolean = lua_toboolean(L, -1) != 0;
        return GATE_OK;
    case LUA_TTABLE:
        return read_option_list(L, lua_gettop(L), label, o, err);
    default:
        break;
    }
    return gate_fail(err, GATE_EINVAL,
                     "%s is %s; expected a string, a finite number, true or false, or a list of "
                     "strings",
                     label, gate_lua_show(L, -1).text);
}

static enum gate_status read_options(lua_State *L, int table, const char *where,
                                     struct gate_config_option **options, size_t *count,
                                     struct gate_error *err)
{
    bool present;
    enum gate_status status = gate_lua_table(L, table, where, "options", &present, err);

    if (status != GATE_OK || !present)
        return status;
    lua_pushnil(L);
    while (lua_next(L, table + 1) != 0) {
        const char *name =
            lua_type(L, -2) == LUA_TSTRING ? gate_lua_plain(L, -2, GATE_LUA_MAX_KEY) : NULL;
        struct gate_config_option *o;
        char label[GATE_LUA_WHERE + GATE_CONFIG_SHOWN + 16];

        if (name == NULL)
            return gate_fail(err, GATE_EINVAL,
                             "%soptions has the entry %s; expected name = value pairs", where,
                             gate_lua_show(L, -2).text);
        o = gate_config_push_option(options, count, name);
        if (o == NULL)
            return gate_fail(err, GATE_EINVAL, "%soptions has more than %d entries", where,
                             GATE_CONFIG_MAX_OPTIONS);
        snprintf(label, sizeof label, "%soptions.%s", where, gate_config_show(name).text);
        status = read_option(L, label, o, err);
        if (status != GATE_OK)
            return status;
        lua_pop(L, 1);
    }
    return GATE_OK;
}

enum gate_status gate_lua_plugin(lua_State *L, int table, const char *key,
                                 struct gate_config_plugin *p, struct gate_error *err)
{
    char where[GATE_LUA_WHERE];
    const char *plugin = NULL;
    bool present;
    enum gate_status status = gate_lua_table(L, table, "gateway.lua: ", key, &present, err);

    if (status != GATE_OK || !present)
        goto done;
    snprintf(where, sizeof where, "gateway.lua: %s.", key);
    status = gate_lua_check_keys(L, table + 1, where, plugin_keys, GATE_COUNT(plugin_keys), err);
    if (status == GATE_OK)
        status = gate_lua_text(L, table + 1, where, "plugin", &plugin, err);
    if (status == GATE_OK && plugin != NULL) {
        if (!is_plugin_name(plugin))
            status =
                gate_fail(err, GATE_EINVAL, "%splugin is \"%s\"; expected the name of a plugin",
                          where, gate_config_show(plugin).text);
        free(p->plugin);
        p->plugin = gate_strdup(gate_str_of(plugin));
    }
    lua_settop(L, table + 1);
    if (status == GATE_OK)
        status = read_options(L, table + 1, where, &p->options, &p->option_count, err);
done:
    lua_settop(L, table);
    return status;
}

/* key_env and credential: the short form of a list of one account. Without a list and without it
 * the service needs no key, unless accounts are added to the instance otherwise. */
static enum gate_status read_short_form(struct gate_config_instance *i, const char *where,
                                        bool has_list, const char *key_env, const char *credential,
                                        struct gate_error *err)
{
    struct gate_config_account *a;

    if (credential != NULL && key_env == NULL)
        return gate_fail(err, GATE_EINVAL,
                         "%scredential is set without key_env, the variable that holds it", where);
    if (has_list && key_env != NULL)
        return gate_fail(err, GATE_EINVAL, "%skey_env is set beside accounts; expected one of them",
                         where);
    if (has_list || (key_env == NULL && gate_config_is_known_instance(i->name)))
        return GATE_OK;
    a = gate_config_push_account(i, where, NULL, err);
    if (a == NULL)
        return GATE_EINVAL;
    if (key_env == NULL)
        return GATE_OK;
    a->key_env = gate_strdup(gate_str_of(key_env));
    a->kind = GATE_CREDENTIAL_API_KEY;
    if (credential != NULL && strcmp(credential, "oauth") == 0) {
        a->kind = GATE_CREDENTIAL_OAUTH;
        a->source = GATE_SOURCE_SEED;
    }
    return GATE_OK;
}

static enum gate_status read_provider(lua_State *L, struct gate_config *c, int table,
                                      const char *where, struct gate_error *err)
{
    static const struct gate_config_number hold = {
        "dedup_hold_ms", NULL, offsetof(struct gate_config_instance, dedup_hold_ms),
        false,           0,    MAX_HOLD_MS};
    struct gate_config_instance *i;
    const char *key_env = NULL, *credential = NULL;
    bool has_list = false;
    enum gate_status status =
        gate_lua_check_keys(L, table, where, provider_keys, GATE_COUNT(provider_keys), err);

    if (status != GATE_OK)
        return status;
    i = gate_config_push_instance(c);
    if (i == NULL)
        return gate_fail(err, GATE_EINVAL, "gateway.lua: more than %d providers",
                         GATE_CONFIG_MAX_INSTANCES);
    status = read_provider_texts(L, table, where, i, &key_env, &credential, err);
    if (status != GATE_OK)
        return status;
    if (gate_config_find_instance(c, i->name) != i)
        return gate_fail(err, GATE_EINVAL, "%sname is \"%s\"; another provider has this name",
                         where, i->name);
    /* The texts live in the table, not in the slots of the stack. */
    lua_settop(L, table);
    status = gate_lua_accounts(L, table, where, i, &has_list, err);
    if (status == GATE_OK)
        status = read_short_form(i, where, has_list, key_env, credential, err);
    if (status == GATE_OK)
        status = gate_lua_numbers(L, table, where, &hold, 1, i, err);
    if (status == GATE_OK)
        status = gate_lua_boolean(L, table, where, "ask_usage", &i->ask_usage, err);
    if (status == GATE_OK)
        status = gate_lua_clocks(L, table, where, &i->clocks, err);
    if (status == GATE_OK)
        status = read_options(L, table, where, &i->options, &i->option_count, err);
    return status;
}

enum gate_status gate_lua_providers(lua_State *L, struct gate_config *c, int table,
                                    struct gate_error *err)
{
    size_t count = 0;
    enum gate_status status =
        gate_lua_list(L, table, "gateway.lua: ", "providers", "a list of tables",
                      GATE_CONFIG_MAX_INSTANCES, &count, err);

    for (size_t n = 1; n <= count && status == GATE_OK; n++) {
        char where[GATE_LUA_WHERE];

        snprintf(where, sizeof where, "gateway.lua: providers[%zu].", n);
        lua_rawgeti(L, table + 1, (lua_Integer)n);
        if (lua_istable(L, -1))
            status = read_provider(L, c, table + 2, where, err);
        else
            status = gate_fail(err, GATE_EINVAL,
                               "gateway.lua: providers[%zu] is %s; expected a table such as "
                               "{ name = \"local\", plugin = \"openai\" }",
                               n, gate_lua_show(L, -1).text);
        lua_settop(L, table + 1);
    }
    lua_settop(L, table);
    return status;
}
