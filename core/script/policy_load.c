/* Checks the table that conf/accounts.lua returned, key by key, and copies its data. Tables are
 * read raw, so no code of the file runs. */
#include "script/policy_load.h"

#include "base/buf.h"
#include "script/generation.h"

#include <stdlib.h>

enum {
    PATH_CAP = 384,  /* bytes of a key's path in messages */
    SHOWN_NAME = 96, /* bytes of a foreign name in messages */
    SHOWN_CAP = SHOWN_NAME + 16,
};

struct gate_policy_block {
    struct gate_policy_block *next;
    max_align_t bytes[];
};

/* Memory that lives as long as the store. Lua may leave any function below by an error, so nothing
 * is owned elsewhere. */
static void *store_alloc(struct gate_policy_store *store, size_t n)
{
    struct gate_policy_block *block = gate_calloc(1, sizeof *block + n);
    block->next = store->blocks;
    store->blocks = block;
    return block->bytes;
}

static struct gate_str store_str(struct gate_policy_store *store, struct gate_str s)
{
    return (struct gate_str){memcpy(store_alloc(store, s.len), s.ptr, s.len), s.len};
}

void gate_policy_store_finish(struct gate_policy_store *store)
{
    while (store->blocks != NULL) {
        struct gate_policy_block *block = store->blocks;
        store->blocks = block->next;
        free(block);
    }
    *store = (struct gate_policy_store){0};
}

/* ---------------------------------------------------------------- messages */

/* A value as messages show it: "text", 12, a table. */
struct shown {
    char text[SHOWN_CAP];
};

static struct shown show(lua_State *L, int at)
{
    struct shown shown;
    struct gate_str s;
    switch (lua_type(L, at)) {
    case LUA_TSTRING:
        s.ptr = lua_tolstring(L, at, &s.len);
        snprintf(shown.text, sizeof shown.text, "\"%.*s\"%s",
                 (int)(s.len < SHOWN_NAME ? s.len : SHOWN_NAME), s.ptr,
                 s.len > SHOWN_NAME ? "..." : "");
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, at))
            snprintf(shown.text, sizeof shown.text, "%lld", (long long)lua_tointeger(L, at));
        else
            snprintf(shown.text, sizeof shown.text, "%.14g", (double)lua_tonumber(L, at));
        break;
    case LUA_TBOOLEAN:
        snprintf(shown.text, sizeof shown.text, "%s", lua_toboolean(L, at) ? "true" : "false");
        break;
    default:
        snprintf(shown.text, sizeof shown.text, "a %s", luaL_typename(L, at));
        break;
    }
    return shown;
}

/* Appends "a, b or c" to text. */
static void list_names(char *text, size_t cap, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *between = i == 0 ? "" : i + 1 < count ? ", " : " or ";
        size_t len = strlen(text);
        snprintf(text + len, cap - len, "%s%s", between, names[i]);
    }
}

/* The value on top of the stack is a plain table. `path` is its key. */
static void check_table(lua_State *L, const char *path, const char *expected)
{
    if (!lua_istable(L, -1))
        luaL_error(L, "%s is %s, expected %s", path, show(L, -1).text, expected);
    /* Its entries could be elsewhere, as those of a module's table are: reading it raw would miss
     * them without a word. */
    if (lua_getmetatable(L, -1))
        luaL_error(L, "%s is a table with a metatable, expected a plain one: copy its entries",
                   path);
}

/* The value at `at` is this string. */
static bool is_name(lua_State *L, int at, const char *name)
{
    struct gate_str s = {NULL, 0};
    if (lua_type(L, at) == LUA_TSTRING)
        s.ptr = lua_tolstring(L, at, &s.len);
    return s.ptr != NULL && gate_str_eq(s, gate_str_of(name));
}

/* The table on top of the stack has no other keys than these. `where` is put before a key: "",
 * "limits.". */
static void check_keys(lua_State *L, const char *where, const char *const *names, size_t count)
{
    char known[GATE_ERROR_MAX] = "";
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        bool found = false;
        lua_pop(L, 1);
        gate_sandbox_charge(L, 1);
        for (size_t i = 0; i < count && !found; i++)
            found = is_name(L, -1, names[i]);
        if (found)
            continue;
        list_names(known, sizeof known, names, count);
        if (lua_type(L, -1) == LUA_TSTRING)
            luaL_error(L, "unknown key %s%s, expected %s", where, show(L, -1).text, known);
        luaL_error(L, "unknown key %s[%s], expected %s", where, show(L, -1).text, known);
    }
}

/* Pushes a field of the table on top of the stack. */
static bool push_field(lua_State *L, const char *key)
{
    lua_pushstring(L, key);
    return lua_rawget(L, -2) != LUA_TNIL;
}

/* The whole number on top of the stack. */
static uint64_t read_whole(lua_State *L, const char *path, lua_Integer max)
{
    int is_whole = 0;
    lua_Integer n = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &is_whole) : 0;
    if (!is_whole || n < 0 || n > max)
        luaL_error(L, "%s is %s, expected a whole number from 0 to %d", path, show(L, -1).text,
                   (int)max);
    return (uint64_t)n;
}

/* ---------------------------------------------------------------- values */

/* One kind of use; its table is on top of the stack. */
static void read_kind(lua_State *L, const char *path, struct gate_limits_patch *out)
{
    char inner[PATH_CAP];
    check_table(L, path, "a table of limits like { rpm = 60, rpd = 2000 }");
    snprintf(inner, sizeof inner, "%s.", path);
    check_keys(L, inner, gate_limits_names, GATE_LIMITS_FIELDS);
    for (unsigned field = 0; field < GATE_LIMITS_FIELDS; field++) {
        if (push_field(L, gate_limits_names[field])) {
            snprintf(inner, sizeof inner, "%s.%s", path, gate_limits_names[field]);
            gate_limits_put(out, field, read_whole(L, inner, GATE_LIMITS_MAX));
        }
        lua_pop(L, 1);
    }
}

/* The field `limits` of the table on top of the stack. */
static void read_limits(lua_State *L, const char *where, struct gate_limits_rule *out)
{
    char path[PATH_CAP];
    if (push_field(L, "limits")) {
        snprintf(path, sizeof path, "%slimits", where);
        check_table(L, path, "a table like { chat = { rpm = 60 } }");
        snprintf(path, sizeof path, "%slimits.", where);
        check_keys(L, path, gate_usage_kind_names, GATE_USAGE_KINDS);
        for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++) {
            snprintf(path, sizeof path, "%slimits.%s", where, gate_usage_kind_names[kind]);
            if (push_field(L, gate_usage_kind_names[kind]))
                read_kind(L, path, &out->kinds[kind]);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

static bool is_tag(struct gate_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (c == '\0' || strchr("_.:-", c) == NULL))
            return false;
    }
    return s.len > 0 && s.len <= GATE_POLICY_MAX_TAG;
}

/* The field `tags` of the table on top of the stack. */
static void read_tags(lua_State *L, const char *where, struct gate_policy_store *store,
                      struct gate_account_rule *out)
{
    char path[PATH_CAP];
    struct gate_str *tags;
    size_t count = 0;
    if (!push_field(L, "tags")) {
        lua_pop(L, 1);
        return;
    }
    snprintf(path, sizeof path, "%stags", where);
    check_table(L, path, "a list of tags like { \"paid\" }");
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        count++;
        gate_sandbox_charge(L, 1);
    }
    if (count > GATE_POLICY_MAX_TAGS)
        luaL_error(L, "%s has %d entries, expected at most %d", path, (int)count,
                   GATE_POLICY_MAX_TAGS);
    out->tags = tags = store_alloc(store, count * sizeof *tags);
    for (; out->tag_count < count; out->tag_count++) {
        struct gate_str tag = {NULL, 0};
        if (lua_rawgeti(L, -1, (lua_Integer)out->tag_count + 1) == LUA_TNIL)
            luaL_error(L, "%s has other keys than 1 to %d, expected a list of tags", path,
                       (int)count);
        if (lua_type(L, -1) == LUA_TSTRING)
            tag.ptr = lua_tolstring(L, -1, &tag.len);
        if (!is_tag(tag))
            luaL_error(L, "%s[%d] is %s, expected 1 to %d characters of A-Z a-z 0-9 _ . : -", path,
                       (int)out->tag_count + 1, show(L, -1).text, GATE_POLICY_MAX_TAG);
        tags[out->tag_count] = store_str(store, tag);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* One entry of `accounts`: its name and its table are on top of the stack. */
static void read_rule(lua_State *L, struct gate_policy_store *store, struct gate_account_rule *out)
{
    static const char *const keys[] = {"limits", "weight", "tags"};
    char path[PATH_CAP];
    if (lua_type(L, -2) != LUA_TSTRING)
        luaL_error(L, "accounts[%s]: expected the id or alias of an account (a string) as key",
                   show(L, -2).text);
    struct gate_str name;
    name.ptr = lua_tolstring(L, -2, &name.len);
    snprintf(path, sizeof path, "accounts[%s]", show(L, -2).text);
    if (name.len == 0 || name.len > GATE_SCRIPT_MAX_NAME || !gate_script_is_printable(name))
        luaL_error(L, "%s: an id or alias has 1 to %d bytes and no control characters", path,
                   GATE_SCRIPT_MAX_NAME);
    out->account = store_str(store, name);
    check_table(L, path, "a table like { weight = 3 }");
    snprintf(path + strlen(path), sizeof path - strlen(path), ".");
    check_keys(L, path, keys, sizeof keys / sizeof keys[0]);
    read_limits(L, path, &out->limits);
    read_tags(L, path, store, out);
    if (push_field(L, "weight")) {
        snprintf(path + strlen(path), sizeof path - strlen(path), "weight");
        out->weight = (uint32_t)read_whole(L, path, GATE_POLICY_MAX_WEIGHT);
        out->has_weight = true;
    }
    lua_pop(L, 1);
}

static int compare_rules(const void *a, const void *b)
{
    const struct gate_account_rule *x = a, *y = b;
    return gate_script_compare(x->account, y->account);
}

/* The field `accounts` of the table on top of the stack. */
static void read_rules(lua_State *L, struct gate_policy_store *store)
{
    struct gate_account_policy *policy = &store->policy;
    struct gate_account_rule *rules;
    size_t count = 0;
    if (push_field(L, "accounts")) {
        check_table(L, "accounts", "a table like { [\"qwen/0\"] = { weight = 3 } }");
        lua_pushnil(L);
        while (lua_next(L, -2)) {
            lua_pop(L, 1);
            gate_sandbox_charge(L, 1);
            if (++count > GATE_POLICY_MAX_RULES)
                luaL_error(L, "accounts has more than %d entries", GATE_POLICY_MAX_RULES);
        }
        policy->rules = rules = store_alloc(store, count * sizeof *rules);
        lua_pushnil(L);
        while (lua_next(L, -2)) {
            read_rule(L, store, &rules[policy->rule_count++]);
            lua_pop(L, 1);
        }
        qsort(rules, policy->rule_count, sizeof *rules, compare_rules);
    }
    lua_pop(L, 1);
}

/* The field `strategy` of the table on top of the stack. */
static void read_strategy(lua_State *L, enum gate_strategy *out)
{
    if (push_field(L, "strategy")) {
        unsigned i = 0;
        while (i < GATE_STRATEGIES && !is_name(L, -1, gate_strategy_names[i]))
            i++;
        if (i == GATE_STRATEGIES) {
            char known[GATE_ERROR_MAX] = "";
            list_names(known, sizeof known, gate_strategy_names, GATE_STRATEGIES);
            luaL_error(L, "strategy is %s, expected %s", show(L, -1).text, known);
        }
        *out = (enum gate_strategy)i;
    }
    lua_pop(L, 1);
}

void gate_policy_read(lua_State *L, struct gate_policy_store *out)
{
    static const char *const keys[] = {"strategy", "limits",   "accounts",
                                       "select",   "on_error", "on_response"};
    check_table(L, "what the file returned", "a table like { strategy = \"round_robin\" }");
    check_keys(L, "", keys, sizeof keys / sizeof keys[0]);
    read_strategy(L, &out->policy.strategy);
    read_limits(L, "", &out->policy.limits);
    read_rules(L, out);
}
