/* config_account_list: the list `accounts` of a provider in gateway.lua. What is said of Lua errors
 * in config_lua.c holds here too. */
#include "config_lua.h"
#include "script/policy.h"

#include <limits.h>
#include <stdlib.h>

static const char *const account_keys[] = {"alias", "key_env", "key_file", "oauth",
                                           "tags",  "weight",  "limits"};

static bool is_path(const char *s)
{
    return s[0] != '\0' && strlen(s) < PATH_MAX;
}

static bool is_tag(const char *s)
{
    size_t len = strlen(s);

    return len > 0 && len <= GATE_POLICY_MAX_TAG &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-") == len;
}

/* Makes the account from its texts. NULL: err says why. */
static struct gate_config_account *read_texts(lua_State *L, int table, const char *where,
                                              struct gate_config_instance *i,
                                              struct gate_error *err)
{
    const char *alias = NULL, *key_env = NULL, *key_file = NULL;
    const struct {
        const char *key;
        const char **out;
        bool (*ok)(const char *s);
        const char *expected;
    } texts[] = {
        {"alias", &alias, gate_config_is_alias,
         "1 to 64 characters of A-Z, a-z, 0-9, '_', '.' and '-', not beginning with '.' or '-'"},
        {"key_env", &key_env, gate_lua_is_variable, GATE_LUA_VARIABLE},
        {"key_file", &key_file, is_path, "the path of a file"},
    };
    struct gate_config_account *a;

    for (size_t t = 0; t < GATE_COUNT(texts); t++) {
        const char *text;

        if (gate_lua_text(L, table, where, texts[t].key, &text, err) != GATE_OK)
            return NULL;
        if (text != NULL && !texts[t].ok(text)) {
            gate_fail(err, GATE_EINVAL, "%s%s is \"%s\"; expected %s", where, texts[t].key,
                      gate_config_show(text).text, texts[t].expected);
            return NULL;
        }
        *texts[t].out = text;
    }
    if ((key_env != NULL) == (key_file != NULL)) {
        gate_fail(err, GATE_EINVAL, "%skey_env and key_file are %s; expected one of them", where,
                  key_env != NULL ? "both set" : "both missing");
        return NULL;
    }
    a = gate_config_push_account(i, where, alias, err);
    if (a == NULL)
        return NULL;
    a->kind = GATE_CREDENTIAL_API_KEY;
    if (key_env != NULL) {
        a->key_env = gate_strdup(gate_str_of(key_env));
    } else {
        a->source = GATE_SOURCE_FILE;
        a->file = gate_strdup(gate_str_of(key_file));
    }
    return a;
}

static enum gate_status read_tags(lua_State *L, int table, const char *where,
                                  struct gate_config_account *a, struct gate_error *err)
{
    size_t count = 0;
    enum gate_status status = gate_lua_list(L, table, where, "tags", "a list of strings",
                                            GATE_POLICY_MAX_TAGS, &count, err);

    if (count > 0)
        a->tags = gate_calloc(count, sizeof *a->tags);
    for (size_t n = 1; n <= count && status == GATE_OK; n++) {
        const char *tag = NULL;

        lua_rawgeti(L, table + 1, (lua_Integer)n);
        if (lua_type(L, -1) == LUA_TSTRING)
            tag = gate_lua_plain(L, -1, GATE_POLICY_MAX_TAG);
        if (tag != NULL && is_tag(tag))
            a->tags[a->tag_count++] = gate_strdup(gate_str_of(tag));
        else
            status = gate_fail(err, GATE_EINVAL,
                               "%stags[%zu] is %s; expected 1 to %d characters of A-Z, a-z, 0-9, "
                               "'_', '.', ':' and '-'",
                               where, n, gate_lua_show(L, -1).text, GATE_POLICY_MAX_TAG);
        lua_pop(L, 1);
    }
    lua_settop(L, table);
    return status;
}

/* The limits of one kind of use. */
static enum gate_status read_kind(lua_State *L, int table, const char *where,
                                  struct gate_limits_patch *patch, struct gate_error *err)
{
    enum gate_status status =
        gate_lua_check_keys(L, table, where, gate_limits_names, GATE_LIMITS_FIELDS, err);

    for (unsigned field = 0; field < GATE_LIMITS_FIELDS && status == GATE_OK; field++) {
        const struct gate_config_number number = {
            .key = gate_limits_names[field], .wide = true, .max = GATE_LIMITS_MAX};
        size_t value = SIZE_MAX; /* stays when the key is absent */

        status = gate_lua_numbers(L, table, where, &number, 1, &value, err);
        if (status == GATE_OK && value != SIZE_MAX)
            gate_limits_put(patch, field, value);
    }
    return status;
}

static enum gate_status read_limits(lua_State *L, int table, const char *where,
                                    struct gate_config_account *a, struct gate_error *err)
{
    char inner[GATE_LUA_WHERE], deeper[GATE_LUA_WHERE + 16];
    bool present;
    enum gate_status status = gate_lua_table(L, table, where, "limits", &present, err);

    if (status != GATE_OK || !present)
        goto done;
    snprintf(inner, sizeof inner, "%slimits.", where);
    status = gate_lua_check_keys(L, table + 1, inner, gate_usage_kind_names, GATE_USAGE_KINDS, err);
    for (int kind = 0; kind < GATE_USAGE_KINDS && status == GATE_OK; kind++) {
        const char *name = gate_usage_kind_names[kind];

        snprintf(deeper, sizeof deeper, "%s%s.", inner, name);
        status = gate_lua_table(L, table + 1, inner, name, &present, err);
        if (status == GATE_OK && present)
            status = read_kind(L, table + 2, deeper, &a->limits.kinds[kind], err);
        lua_settop(L, table + 1);
    }
done:
    lua_settop(L, table);
    return status;
}

static enum gate_status read_account(lua_State *L, int table, const char *where,
                                     struct gate_config_instance *i, struct gate_error *err)
{
    static const struct gate_config_number weight = {
        "weight", NULL, offsetof(struct gate_config_account, weight),
        false,    0,    GATE_POLICY_MAX_WEIGHT};
    struct gate_config_account *a;
    bool oauth = false;
    enum gate_status status =
        gate_lua_check_keys(L, table, where, account_keys, GATE_COUNT(account_keys), err);

    if (status != GATE_OK)
        return status;
    a = read_texts(L, table, where, i, err);
    lua_settop(L, table);
    if (a == NULL)
        return GATE_EINVAL;
    status = gate_lua_boolean(L, table, where, "oauth", &oauth, err);
    if (status == GATE_OK && oauth) {
        a->kind = GATE_CREDENTIAL_OAUTH;
        a->source = GATE_SOURCE_SEED;
    }
    if (status == GATE_OK)
        status = gate_lua_numbers(L, table, where, &weight, 1, a, err);
    if (status == GATE_OK)
        status = read_tags(L, table, where, a, err);
    if (status == GATE_OK)
        status = read_limits(L, table, where, a, err);
    return status;
}

enum gate_status gate_lua_accounts(lua_State *L, int table, const char *where,
                                   struct gate_config_instance *i, bool *present,
                                   struct gate_error *err)
{
    size_t count = 0;
    enum gate_status status = gate_lua_list(L, table, where, "accounts", "a list of tables",
                                            GATE_CONFIG_MAX_ACCOUNTS, &count, err);

    *present = lua_istable(L, table + 1);
    for (size_t n = 1; n <= count && status == GATE_OK; n++) {
        char inner[GATE_LUA_WHERE];

        snprintf(inner, sizeof inner, "%saccounts[%zu].", where, n);
        lua_rawgeti(L, table + 1, (lua_Integer)n);
        if (lua_istable(L, -1))
            status = read_account(L, table + 2, inner, i, err);
        else
            status = gate_fail(err, GATE_EINVAL,
                               "%saccounts[%zu] is %s; expected a table such as "
                               "{ alias = \"main\", key_env = \"MAIN_KEY\" }",
                               where, n, gate_lua_show(L, -1).text);
        lua_settop(L, table + 1);
    }
    lua_settop(L, table);
    return status;
}
