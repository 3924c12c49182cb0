/* The table functions of the sandbox. Stock ones trust __len and loop in C over it; these charge
 * every element. */
#include "script/sandbox.h"

enum {
    ELEMENT_STEPS = 3, /* what reading and writing one element costs */
    READ_STEPS = 2,    /* what reading one costs */
    COMPARE_STEPS = 6, /* what calling a comparator costs beyond what it does */
};

static lua_Integer length_of(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    return luaL_len(L, index);
}

/* Charges the elements from first to last. Afterwards their number is known to be small. */
static void charge_range(lua_State *L, lua_Integer first, lua_Integer last, unsigned steps)
{
    uint64_t n = first <= last ? (uint64_t)last - (uint64_t)first : 0;
    gate_sandbox_charge(L, n < UINT64_MAX / ELEMENT_STEPS ? n * steps : n);
}

static int table_insert(lua_State *L)
{
    lua_Integer end = (lua_Integer)((lua_Unsigned)length_of(L, 1) + 1);
    lua_Integer at = end;
    int top = lua_gettop(L);
    if (top != 2 && top != 3)
        return luaL_error(L, "wrong number of arguments to 'insert'");
    if (top == 3) {
        at = luaL_checkinteger(L, 2);
        luaL_argcheck(L, at >= 1 && at <= end, 2, "position out of bounds");
        charge_range(L, at, end, ELEMENT_STEPS);
        for (lua_Integer i = end; i > at; i--) {
            lua_geti(L, 1, i - 1);
            lua_seti(L, 1, i);
        }
    }
    lua_seti(L, 1, at);
    return 0;
}

static int table_remove(lua_State *L)
{
    lua_Integer n = length_of(L, 1);
    lua_Integer at = luaL_optinteger(L, 2, n);
    if (lua_gettop(L) > 1 && at != n)
        luaL_argcheck(L, n > 0 ? at >= 1 && at - 1 <= n : at == 0 || at == n + 1, 2,
                      "position out of bounds");
    lua_geti(L, 1, at);
    charge_range(L, at, n, ELEMENT_STEPS);
    for (; at < n; at++) {
        lua_geti(L, 1, at + 1);
        lua_seti(L, 1, at);
    }
    lua_pushnil(L);
    lua_seti(L, 1, at);
    return 1;
}

static int table_move(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer from = luaL_checkinteger(L, 2);
    lua_Integer last = luaL_checkinteger(L, 3);
    lua_Integer to = luaL_checkinteger(L, 4);
    int target = lua_isnoneornil(L, 5) ? 1 : 5;
    luaL_checktype(L, target, LUA_TTABLE);
    charge_range(L, from, last, ELEMENT_STEPS);
    if (from <= last) {
        lua_Integer n = last - from;
        luaL_argcheck(L, to <= LUA_MAXINTEGER - n, 4, "destination wrap around");
        bool up = to > last || to <= from || !lua_rawequal(L, 1, target);
        for (lua_Integer i = 0; i <= n; i++) {
            lua_Integer k = up ? i : n - i;
            lua_geti(L, 1, from + k);
            lua_seti(L, target, to + k);
        }
    }
    lua_pushvalue(L, target);
    return 1;
}

static int table_concat(lua_State *L)
{
    lua_Integer last = length_of(L, 1);
    size_t sep_len;
    const char *sep = luaL_optlstring(L, 2, "", &sep_len);
    lua_Integer i = luaL_optinteger(L, 3, 1);
    last = luaL_optinteger(L, 4, last);
    charge_range(L, i, last, READ_STEPS);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (; i <= last; i++) {
        lua_geti(L, 1, i);
        if (!lua_isstring(L, -1))
            return luaL_error(L, "table.concat: element %I is a %s, not a string", i,
                              luaL_typename(L, -1));
        luaL_addvalue(&b);
        if (i == last)
            break; /* i must not pass the largest integer */
        luaL_addlstring(&b, sep, sep_len);
    }
    luaL_pushresult(&b);
    return 1;
}

static int table_pack(lua_State *L)
{
    int n = lua_gettop(L);
    lua_createtable(L, n, 1);
    lua_insert(L, 1);
    gate_sandbox_charge(L, (uint64_t)n);
    for (int i = n; i >= 1; i--)
        lua_rawseti(L, 1, i);
    lua_pushinteger(L, n);
    lua_setfield(L, 1, "n");
    return 1;
}

static int table_unpack(lua_State *L)
{
    lua_Integer first = luaL_optinteger(L, 2, 1);
    lua_Integer last = lua_isnoneornil(L, 3) ? luaL_len(L, 1) : luaL_checkinteger(L, 3);
    if (first > last)
        return 0;
    charge_range(L, first, last, READ_STEPS);
    int n = (int)(last - first + 1);
    luaL_checkstack(L, n, "too many results to unpack");
    for (int i = 0; i < n; i++)
        lua_geti(L, 1, first + i);
    return n;
}

/* ---------------------------------------------------------------- sort: a heap sort, whose indices
 * stay in range whatever the comparator says */

/* Compares the values at the top two stack places; pops none. */
static bool is_less(lua_State *L, int a, int b)
{
    gate_sandbox_charge(L, COMPARE_STEPS);
    a = lua_absindex(L, a);
    b = lua_absindex(L, b);
    if (lua_isnil(L, 2))
        return lua_compare(L, a, b, LUA_OPLT);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, a);
    lua_pushvalue(L, b);
    lua_call(L, 2, 1);
    bool less = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return less;
}

/* Lets the value on top of the stack sink from place `at` of the heap t[1..n]; pops it. */
static void sink(lua_State *L, lua_Integer at, lua_Integer n)
{
    while (at <= n / 2) {
        lua_Integer child = at * 2;
        lua_geti(L, 1, child);
        if (child < n) {
            lua_geti(L, 1, child + 1);
            if (is_less(L, -2, -1)) {
                lua_remove(L, -2);
                child++;
            } else {
                lua_pop(L, 1);
            }
        }
        if (!is_less(L, -2, -1)) {
            lua_pop(L, 1);
            break;
        }
        lua_seti(L, 1, at);
        at = child;
    }
    lua_seti(L, 1, at);
}

static int table_sort(lua_State *L)
{
    lua_Integer n = length_of(L, 1);
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    charge_range(L, 1, n, READ_STEPS);
    for (lua_Integer at = n / 2; at >= 1; at--) {
        lua_geti(L, 1, at);
        sink(L, at, n);
    }
    for (lua_Integer last = n; last > 1; last--) {
        lua_geti(L, 1, last);
        lua_geti(L, 1, 1);
        lua_seti(L, 1, last);
        sink(L, 1, last - 1);
    }
    return 0;
}

void gate_library_push_table(lua_State *L)
{
    static const luaL_Reg functions[] = {{"concat", table_concat}, {"insert", table_insert},
                                         {"move", table_move},     {"pack", table_pack},
                                         {"remove", table_remove}, {"sort", table_sort},
                                         {"unpack", table_unpack}, {NULL, NULL}};
    luaL_newlib(L, functions);
}
