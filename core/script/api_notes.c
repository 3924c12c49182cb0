/* gate.counter and gate.kv: what scripts remember between calls. */
#include "script/api.h"

#include "base/clock.h"
#include "script/notes.h"
#include "script/sandbox.h"

enum { NOTE_COST = 10 }; /* steps of one look at the notes */

static struct gate_api *api_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* gate.counter(name [, delta]) */
static int api_counter(lua_State *L)
{
    struct gate_api *api = api_of(L);
    struct gate_str name;
    int64_t value = 0;
    name.ptr = luaL_checklstring(L, 1, &name.len);
    lua_Integer delta = luaL_optinteger(L, 2, 1);
    gate_sandbox_charge(L, NOTE_COST);
    if (api->counters == NULL)
        return luaL_error(L, "gate.counter can be used only in functions, once they are called");
    switch (gate_counters_add(api->counters, name, delta, &value)) {
    case GATE_OK:
        break;
    case GATE_ELIMIT:
        return luaL_error(L,
                          "gate.counter: there are %d counters already; use few names, and gate.kv "
                          "for keys that come from requests",
                          GATE_COUNTERS_MAX);
    default:
        return luaL_argerror(L, 1,
                             "a counter's name has 1 to 64 characters of A-Z a-z 0-9 _ . : -");
    }
    lua_pushinteger(L, value);
    return 1;
}

_Static_assert(GATE_COUNTER_NAME == 64, "the message above");

/* ---------------------------------------------------------------- gate.kv */

static struct gate_kv *check_kv(lua_State *L)
{
    struct gate_kv *kv = api_of(L)->kv;
    if (kv == NULL)
        luaL_error(L, "gate.kv can be used only in functions, once they are called");
    return kv;
}

/* The clock of times to live. A moment that is tried out counts for them, too. */
static uint64_t kv_now(lua_State *L)
{
    uint64_t wall_ms = api_of(L)->wall_ms;
    return wall_ms != 0 ? wall_ms : gate_clock_mono_ms();
}

static struct gate_str check_key(lua_State *L)
{
    struct gate_str key;
    key.ptr = luaL_checklstring(L, 1, &key.len);
    if (key.len == 0 || key.len > GATE_KV_KEY)
        luaL_error(L, "gate.kv: a key of %d bytes, expected 1 to %d", (int)key.len, GATE_KV_KEY);
    gate_sandbox_charge(L, NOTE_COST + key.len / GATE_SANDBOX_BYTES_PER_STEP);
    return key;
}

/* 0: none is given. */
static uint64_t check_ttl(lua_State *L, int at)
{
    if (lua_isnoneornil(L, at))
        return 0;
    lua_Integer ms = luaL_checkinteger(L, at);
    if (ms < 1 || ms > GATE_KV_MAX_TTL_MS)
        luaL_error(L, "gate.kv: a ttl_ms of %I, expected 1 to %d milliseconds", (LUAI_UACINT)ms,
                   GATE_KV_MAX_TTL_MS);
    return (uint64_t)ms;
}

static struct gate_kv_value read_number(lua_State *L, int at)
{
    if (lua_isinteger(L, at))
        return (struct gate_kv_value){.type = GATE_KV_INTEGER, .integer = lua_tointeger(L, at)};
    return (struct gate_kv_value){.type = GATE_KV_NUMBER, .number = lua_tonumber(L, at)};
}

static void push_value(lua_State *L, const struct gate_kv_value *value)
{
    switch (value->type) {
    case GATE_KV_NONE:
        lua_pushnil(L);
        break;
    case GATE_KV_BOOLEAN:
        lua_pushboolean(L, value->boolean);
        break;
    case GATE_KV_INTEGER:
        lua_pushinteger(L, value->integer);
        break;
    case GATE_KV_NUMBER:
        lua_pushnumber(L, value->number);
        break;
    case GATE_KV_STRING:
        gate_api_push_str(L, value->string);
        break;
    }
}

/* gate.kv.get(key) */
static int kv_get(lua_State *L)
{
    struct gate_kv *kv = check_kv(L);
    struct gate_kv_value value = gate_kv_get(kv, check_key(L), kv_now(L));
    push_value(L, &value);
    return 1;
}

/* gate.kv.set(key, value [, ttl_ms]) */
static int kv_set(lua_State *L)
{
    struct gate_kv *kv = check_kv(L);
    struct gate_kv_value value = {.type = GATE_KV_NONE};
    struct gate_str key = check_key(L);
    luaL_checkany(L, 2);
    uint64_t ttl_ms = check_ttl(L, 3);
    switch (lua_type(L, 2)) {
    case LUA_TNIL:
        break;
    case LUA_TBOOLEAN:
        value.type = GATE_KV_BOOLEAN;
        value.boolean = lua_toboolean(L, 2);
        break;
    case LUA_TNUMBER:
        value = read_number(L, 2);
        break;
    case LUA_TSTRING:
        value.type = GATE_KV_STRING;
        value.string.ptr = lua_tolstring(L, 2, &value.string.len);
        if (value.string.len > GATE_KV_VALUE)
            return luaL_error(L, "gate.kv: a value of %d bytes, expected at most %d",
                              (int)value.string.len, GATE_KV_VALUE);
        gate_sandbox_charge(L, value.string.len / GATE_SANDBOX_BYTES_PER_STEP);
        break;
    default:
        return luaL_error(
            L,
            "gate.kv: a value that is a %s, expected a string, a number, a boolean or "
            "nil",
            luaL_typename(L, 2));
    }
    gate_kv_set(kv, key, &value, ttl_ms, kv_now(L));
    return 0;
}

/* gate.kv.add(key [, delta [, ttl_ms]]) */
static int kv_add(lua_State *L)
{
    static const char *const names[] = {[GATE_KV_NONE] = "nil",
                                        [GATE_KV_BOOLEAN] = "boolean",
                                        [GATE_KV_INTEGER] = "number",
                                        [GATE_KV_NUMBER] = "number",
                                        [GATE_KV_STRING] = "string"};
    struct gate_kv *kv = check_kv(L);
    struct gate_kv_value delta = {.type = GATE_KV_INTEGER, .integer = 1}, sum;
    struct gate_str key = check_key(L);
    uint64_t ttl_ms = check_ttl(L, 3);
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TNUMBER);
        delta = read_number(L, 2);
    }
    if (!gate_kv_add(kv, key, &delta, ttl_ms, kv_now(L), &sum))
        return luaL_error(L, "gate.kv.add: there is a %s at this key, expected a number",
                          names[sum.type]);
    push_value(L, &sum);
    return 1;
}

void gate_api_add_notes(lua_State *L, struct gate_api *api)
{
    static const luaL_Reg kv_functions[] = {
        {"get", kv_get}, {"set", kv_set}, {"add", kv_add}, {NULL, NULL}};
    lua_pushlightuserdata(L, api);
    lua_pushcclosure(L, api_counter, 1);
    lua_setfield(L, -2, "counter");
    luaL_newlibtable(L, kv_functions);
    lua_pushlightuserdata(L, api);
    luaL_setfuncs(L, kv_functions, 1);
    gate_sandbox_readonly(L, "gate.kv");
    lua_setfield(L, -2, "kv");
}
