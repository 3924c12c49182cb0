/* gate.now, gate.time and gate.random. */
#include "script/api.h"

#include "base/clock.h"
#include "base/random.h"
#include "script/sandbox.h"
#include "script/zone.h"

enum {
    TIME_COST = 50,   /* steps of one gate.time: a table of a dozen fields */
    LOAD_COST = 5000, /* steps of looking for a zone's file */
    TIME_FIELDS = 11,
    MS_PER_SECOND = 1000,
};

static uint64_t now_ms(const struct gate_api *api)
{
    return api->wall_ms != 0 ? api->wall_ms : gate_clock_wall_ms();
}

/* gate.now() */
static int api_now(lua_State *L)
{
    const struct gate_api *api = lua_touserdata(L, lua_upvalueindex(1));
    gate_api_push_count(L, now_ms(api));
    return 1;
}

static void set_integer(lua_State *L, const char *key, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

/* gate.time([zone]) */
static int api_time(lua_State *L)
{
    const struct gate_api *api = lua_touserdata(L, lua_upvalueindex(1));
    struct gate_str zone = GATE_STR("UTC");
    struct gate_zone_date date;
    struct gate_error err;
    int32_t offset;
    bool loaded;
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_pushliteral(L, "UTC");
    } else {
        luaL_checktype(L, 1, LUA_TSTRING);
        zone.ptr = lua_tolstring(L, 1, &zone.len);
        lua_settop(L, 1);
    }
    int64_t unix_s = (int64_t)(now_ms(api) / MS_PER_SECOND);
    enum gate_status status = gate_zone_offset(zone, unix_s, &offset, &loaded, &err);
    gate_sandbox_charge(L, loaded ? LOAD_COST : TIME_COST);
    if (status != GATE_OK)
        return luaL_error(L, "gate.time: %s", err.message);
    gate_zone_split(unix_s, offset, &date);
    lua_createtable(L, 0, TIME_FIELDS);
    set_integer(L, "year", date.year);
    set_integer(L, "month", date.month);
    set_integer(L, "day", date.day);
    set_integer(L, "hour", date.hour);
    set_integer(L, "min", date.min);
    set_integer(L, "sec", date.sec);
    set_integer(L, "wday", date.wday);
    set_integer(L, "yday", date.yday);
    set_integer(L, "minute", date.hour * 60 + date.min);
    set_integer(L, "offset", offset);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "zone");
    return 1;
}

/* ---------------------------------------------------------------- random */

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* xoshiro256** of Blackman and Vigna (public domain). */
static uint64_t next_random(struct gate_api *api)
{
    uint64_t *s = api->random, result = rotate(s[1] * 5, 7) * 9, shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

/* From 0 to max, each as likely: what lies beyond is drawn again. */
static uint64_t random_up_to(struct gate_api *api, uint64_t max)
{
    uint64_t mask = max, n;
    for (int by = 1; by < 64; by *= 2)
        mask |= mask >> by;
    do
        n = next_random(api) & mask;
    while (n > max);
    return n;
}

/* gate.random(), gate.random(n), gate.random(a, b) */
static int api_random(lua_State *L)
{
    struct gate_api *api = lua_touserdata(L, lua_upvalueindex(1));
    lua_Integer low = 1, high;
    switch (lua_gettop(L)) {
    case 0:
        lua_pushnumber(L, (lua_Number)(next_random(api) >> 11) * 0x1p-53);
        return 1;
    case 1:
        high = luaL_checkinteger(L, 1);
        luaL_argcheck(L, high >= 1, 1, "expected a whole number from 1");
        break;
    case 2:
        low = luaL_checkinteger(L, 1);
        high = luaL_checkinteger(L, 2);
        luaL_argcheck(L, low <= high, 2, "the second number is below the first");
        break;
    default:
        return luaL_error(L, "gate.random takes no number, one or two");
    }
    uint64_t n = random_up_to(api, (uint64_t)high - (uint64_t)low);
    lua_pushinteger(L, (lua_Integer)((uint64_t)low + n));
    return 1;
}

void gate_api_add_time(lua_State *L, struct gate_api *api)
{
    static const luaL_Reg functions[] = {
        {"now", api_now}, {"time", api_time}, {"random", api_random}, {NULL, NULL}};
    do /* all zero is the one state that the generator never leaves */
        gate_random_bytes(api->random, sizeof api->random);
    while ((api->random[0] | api->random[1] | api->random[2] | api->random[3]) == 0);
    lua_pushlightuserdata(L, api);
    luaL_setfuncs(L, functions, 1);
}
