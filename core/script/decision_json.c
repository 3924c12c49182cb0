/* The text of a target's edits, and Lua values as JSON in it. */
#include "script/decision.h"

#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

__attribute__((noreturn)) static void refuse_size(lua_State *L,
                                                  const struct gate_decision_call *call)
{
    gate_script_refuse(L, call->route, "a target whose headers and body have more than %d bytes",
                       GATE_SCRIPT_EDIT_TEXT);
}

void gate_decision_put(lua_State *L, struct gate_decision_call *call, struct gate_edits *e,
                       struct gate_str bytes)
{
    if (bytes.len > GATE_SCRIPT_EDIT_TEXT - call->edit_len)
        refuse_size(L, call);
    if (bytes.len > 0)
        memcpy(e->text + call->edit_len, bytes.ptr, bytes.len);
    call->edit_len += bytes.len;
}

/* A value that becomes JSON. */
struct json {
    lua_State *L;
    struct gate_decision_call *call;
    struct gate_edits *edits;
    const char *field; /* for messages */
    bool full;         /* a string did not fit */
};

static void json_put(struct json *j, const char *text)
{
    gate_decision_put(j->L, j->call, j->edits, gate_str_of(text));
}

/* gate_writer.append, which must not raise. */
static void append(void *ctx, struct gate_str bytes)
{
    struct json *j = ctx;
    if (j->full || bytes.len > GATE_SCRIPT_EDIT_TEXT - j->call->edit_len)
        j->full = true;
    else
        gate_decision_put(j->L, j->call, j->edits, bytes);
}

static void json_string(struct json *j, struct gate_str s)
{
    const struct gate_writer writer = {j, append};
    gate_sandbox_charge(j->L, s.len / GATE_SANDBOX_BYTES_PER_STEP);
    if (s.len <= GATE_SCRIPT_EDIT_TEXT)
        gate_json_encode(s, &writer);
    if (s.len > GATE_SCRIPT_EDIT_TEXT || j->full)
        refuse_size(j->L, j->call);
}

static void json_number(struct json *j)
{
    char text[32];
    double n = lua_tonumber(j->L, -1);
    if (lua_isinteger(j->L, -1)) {
        snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(j->L, -1));
    } else if (isfinite(n)) {
        /* The shortest text that reads back as the same number. */
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, n);
            if (strtod(text, NULL) == n)
                break;
        }
    } else {
        gate_script_refuse(j->L, j->call->route,
                           "a target whose body.set.%s has a number that is not finite", j->field);
    }
    json_put(j, text);
}

/* What the keys of a table make of it. */
struct shape {
    size_t count;
    bool is_list; /* 1 to count, all there */
};

static struct shape find_shape(const struct json *j)
{
    lua_State *L = j->L;
    struct shape shape = {0, false};
    size_t names = 0;
    lua_Integer last = 0;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        gate_sandbox_charge(L, 1);
        shape.count++;
        if (lua_type(L, -1) == LUA_TSTRING)
            names++;
        else if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1)
            gate_script_refuse(L, j->call->route,
                               "a target whose body.set.%s has a key that is neither a string nor "
                               "a place in a list",
                               j->field);
        else if (lua_tointeger(L, -1) > last)
            last = lua_tointeger(L, -1);
    }
    if (names > 0 && names < shape.count)
        gate_script_refuse(L, j->call->route,
                           "a target whose body.set.%s has a table with both list items and other "
                           "keys",
                           j->field);
    if (names == 0 && (uint64_t)last != shape.count)
        gate_script_refuse(L, j->call->route, "a target whose body.set.%s has a list with a hole",
                           j->field);
    shape.is_list = last > 0;
    return shape;
}

static int compare_names(const void *a, const void *b)
{
    return gate_script_compare(*(const struct gate_str *)a, *(const struct gate_str *)b);
}

static void json_value(struct json *j, int depth);

static void json_list(struct json *j, size_t count, int depth)
{
    json_put(j, "[");
    for (size_t i = 1; i <= count; i++) {
        if (i > 1)
            json_put(j, ",");
        lua_rawgeti(j->L, -1, (lua_Integer)i);
        json_value(j, depth);
        lua_pop(j->L, 1);
    }
    json_put(j, "]");
}

/* Members go in order of their names: the same table is the same text in every state. */
static void json_object(struct json *j, size_t count, int depth)
{
    lua_State *L = j->L;
    struct gate_str *names = lua_newuserdatauv(L, (count > 0 ? count : 1) * sizeof *names, 0);
    size_t n = 0;
    lua_pushnil(L);
    while (lua_next(L, -3)) {
        lua_pop(L, 1);
        assert(n < count);
        names[n].ptr = lua_tolstring(L, -1, &names[n].len); /* the table keeps it alive */
        n++;
    }
    if (n > 0)
        qsort(names, n, sizeof *names, compare_names);
    json_put(j, "{");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            json_put(j, ",");
        json_string(j, names[i]);
        json_put(j, ":");
        lua_pushlstring(L, names[i].ptr, names[i].len);
        lua_rawget(L, -3);
        json_value(j, depth);
        lua_pop(L, 1);
    }
    json_put(j, "}");
    lua_pop(L, 1);
}

static void json_table(struct json *j, int depth)
{
    if (depth == GATE_DECISION_MAX_DEPTH)
        gate_script_refuse(j->L, j->call->route,
                           "a target whose body.set.%s has more than %d tables in each other",
                           j->field, GATE_DECISION_MAX_DEPTH);
    if (lua_getmetatable(j->L, -1))
        gate_script_refuse(j->L, j->call->route,
                           "a target whose body.set.%s has a table with a metatable, expected a "
                           "plain one: copy its entries",
                           j->field);
    luaL_checkstack(j->L, LUA_MINSTACK, NULL);
    struct shape shape = find_shape(j);
    if (shape.is_list)
        json_list(j, shape.count, depth + 1);
    else
        json_object(j, shape.count, depth + 1);
}

/* The value on top of the stack. */
static void json_value(struct json *j, int depth)
{
    struct gate_str s;
    switch (lua_type(j->L, -1)) {
    case LUA_TSTRING:
        s.ptr = lua_tolstring(j->L, -1, &s.len);
        json_string(j, s);
        break;
    case LUA_TNUMBER:
        json_number(j);
        break;
    case LUA_TBOOLEAN:
        json_put(j, lua_toboolean(j->L, -1) ? "true" : "false");
        break;
    case LUA_TTABLE:
        json_table(j, depth);
        break;
    default:
        gate_script_refuse(j->L, j->call->route,
                           "a target whose body.set.%s has a %s, which is no JSON", j->field,
                           luaL_typename(j->L, -1));
    }
}

void gate_decision_put_json(lua_State *L, struct gate_decision_call *call, struct gate_edits *e,
                            const char *field)
{
    struct json j = {L, call, e, field, false};
    json_value(&j, 0);
}
