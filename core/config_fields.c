/* config_fields: typed fields of a Lua table; see config_lua.h. */
#include "config_lua.h"

struct gate_config_shown gate_lua_show(lua_State *L, int at)
{
    struct gate_config_shown out;
    char text[GATE_CONFIG_SHOWN + 32];

    switch (lua_type(L, at)) {
    case LUA_TSTRING:
        snprintf(text, sizeof text, "\"%.80s\"", gate_config_show(lua_tostring(L, at)).text);
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, at))
            snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(L, at));
        else
            snprintf(text, sizeof text, "%.14g", (double)lua_tonumber(L, at));
        break;
    case LUA_TBOOLEAN:
        snprintf(text, sizeof text, "%s", lua_toboolean(L, at) ? "true" : "false");
        break;
    case LUA_TNIL:
        snprintf(text, sizeof text, "nil");
        break;
    default:
        snprintf(text, sizeof text, "a %s", luaL_typename(L, at));
        break;
    }
    out = gate_config_show(text);
    return out;
}

const char *gate_lua_plain(lua_State *L, int at, size_t max)
{
    size_t len;
    const char *text = lua_tolstring(L, at, &len);

    return len <= max && strlen(text) == len ? text : NULL;
}

/* ---- unknown keys */

/* Edits (insert, drop, replace, swap neighbours) that turn a into b. Both are at most
 * GATE_LUA_MAX_KEY long. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][GATE_LUA_MAX_KEY + 1];
    size_t la = strlen(a), lb = strlen(b);

    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);

            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                rows[(i - 2) % 3][j - 2] + 1 < best)
                best = rows[(i - 2) % 3][j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[la % 3][lb];
}

static const char *nearest(const char *key, const char *const *known, size_t count)
{
    const char *best = NULL;
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < count; i++) {
        size_t d = distance(key, known[i]);

        /* More than half of it wrong is no misspelling. */
        if (d < least && d * 2 <= strlen(known[i])) {
            least = d;
            best = known[i];
        }
    }
    return best;
}

static enum gate_status fail_unknown(const char *where, const char *key, const char *const *known,
                                     size_t count, struct gate_error *err)
{
    const char *best = nearest(key, known, count);
    char list[256] = "";
    size_t n = 0;

    if (best != NULL)
        return gate_fail(err, GATE_EINVAL, "%s%s is not a known key; did you mean %s?", where,
                         gate_config_show(key).text, best);
    for (size_t i = 0; i < count && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i > 0 ? ", " : "", known[i]);
    return gate_fail(err, GATE_EINVAL, "%s%s is not a known key; expected one of: %s", where,
                     gate_config_show(key).text, list);
}

enum gate_status gate_lua_check_keys(lua_State *L, int table, const char *where,
                                     const char *const *known, size_t count, struct gate_error *err)
{
    lua_pushnil(L);
    while (lua_next(L, table) != 0) {
        const char *key =
            lua_type(L, -2) == LUA_TSTRING ? gate_lua_plain(L, -2, GATE_LUA_MAX_KEY) : NULL;
        bool found = false;

        if (key == NULL)
            return gate_fail(err, GATE_EINVAL, "%s[%s] is not a known key; expected key = value",
                             where, gate_lua_show(L, -2).text);
        for (size_t i = 0; i < count && !found; i++)
            found = strcmp(key, known[i]) == 0;
        if (!found)
            return fail_unknown(where, key, known, count, err);
        lua_pop(L, 1);
    }
    return GATE_OK;
}

/* ---- typed fields */

static int push_field(lua_State *L, int table, const char *key)
{
    luaL_checkstack(L, 8, NULL);
    lua_pushstring(L, key);
    return lua_rawget(L, table);
}

static enum gate_status fail_type(lua_State *L, const char *where, const char *key,
                                  const char *expected, struct gate_error *err)
{
    return gate_fail(err, GATE_EINVAL, "%s%s is %s; expected %s", where, key,
                     gate_lua_show(L, -1).text, expected);
}

enum gate_status gate_lua_text(lua_State *L, int table, const char *where, const char *key,
                               const char **out, struct gate_error *err)
{
    int type = push_field(L, table, key);

    *out = NULL;
    if (type == LUA_TNIL)
        return GATE_OK;
    if (type == LUA_TSTRING)
        *out = gate_lua_plain(L, -1, GATE_LUA_MAX_TEXT);
    return *out != NULL ? GATE_OK : fail_type(L, where, key, "a string", err);
}

enum gate_status gate_lua_boolean(lua_State *L, int table, const char *where, const char *key,
                                  bool *out, struct gate_error *err)
{
    int type = push_field(L, table, key);

    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        return fail_type(L, where, key, "true or false", err);
    if (type == LUA_TBOOLEAN)
        *out = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return GATE_OK;
}

enum gate_status gate_lua_numbers(lua_State *L, int table, const char *where,
                                  const struct gate_config_number *numbers, size_t count,
                                  void *base, struct gate_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct gate_config_number *n = &numbers[i];
        int type, whole = 0;
        lua_Integer value = 0;

        if (n->key == NULL)
            continue;
        type = push_field(L, table, n->key);
        if (type == LUA_TNUMBER)
            value = lua_tointegerx(L, -1, &whole);
        if (type != LUA_TNIL &&
            (!whole || value < 0 || (uint64_t)value < n->min || (uint64_t)value > n->max)) {
            char expected[80];

            snprintf(expected, sizeof expected, "a whole number from %llu to %llu",
                     (unsigned long long)n->min, (unsigned long long)n->max);
            return fail_type(L, where, n->key, expected, err);
        }
        if (type != LUA_TNIL)
            gate_config_put_number(base, n, (uint64_t)value);
        lua_pop(L, 1);
    }
    return GATE_OK;
}

enum gate_status gate_lua_table(lua_State *L, int table, const char *where, const char *key,
                                bool *present, struct gate_error *err)
{
    int type = push_field(L, table, key);

    *present = type == LUA_TTABLE;
    if (type != LUA_TNIL && type != LUA_TTABLE)
        return fail_type(L, where, key, "a table", err);
    return GATE_OK;
}

enum gate_status gate_lua_check_list(lua_State *L, int at, const char *label, const char *expected,
                                     size_t max, struct gate_error *err)
{
    size_t len = lua_rawlen(L, at), keys = 0;

    lua_pushnil(L);
    while (lua_next(L, at) != 0) {
        lua_pop(L, 1);
        keys++;
        if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1 ||
            (uint64_t)lua_tointeger(L, -1) > len)
            return gate_fail(err, GATE_EINVAL, "%s has the key %s; expected %s", label,
                             gate_lua_show(L, -1).text, expected);
    }
    if (keys != len)
        return gate_fail(err, GATE_EINVAL, "%s has gaps; expected %s", label, expected);
    if (len > max)
        return gate_fail(err, GATE_EINVAL, "%s has %zu entries; expected at most %zu", label, len,
                         max);
    return GATE_OK;
}

enum gate_status gate_lua_list(lua_State *L, int table, const char *where, const char *key,
                               const char *expected, size_t max, size_t *count,
                               struct gate_error *err)
{
    int type = push_field(L, table, key);
    char label[GATE_LUA_WHERE];
    enum gate_status status;

    *count = 0;
    if (type == LUA_TNIL)
        return GATE_OK;
    if (type != LUA_TTABLE)
        return fail_type(L, where, key, expected, err);
    snprintf(label, sizeof label, "%s%s", where, key);
    status = gate_lua_check_list(L, table + 1, label, expected, max, err);
    if (status == GATE_OK)
        *count = lua_rawlen(L, table + 1);
    return status;
}
