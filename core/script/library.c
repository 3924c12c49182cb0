/* What a sandboxed script can name: the allow-list, the guarded base functions, require. */
#include "script/sandbox.h"

#include <lualib.h>
#include <sys/random.h>

/* Registry keys. */
static const char GUARD_KEY;  /* the metatable that guards metatables */
static const char ORIGIN_KEY; /* in a guard: what the script sees in its place */

enum {
    CATCH_STEPS = 20,     /* what a protected call costs */
    TO_STRING_STEPS = 24, /* what writing a number costs */
    BYTES_PER_STEP = 4,   /* of a string that is read as a number */
};

/* ---------------------------------------------------------------- errors */

static int lib_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    gate_sandbox_charge(L, CATCH_STEPS);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    gate_sandbox_rethrow(L, status);
    if (status == LUA_OK)
        return lua_gettop(L);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

/* Calls the script's handler, unless a limit was reached: Lua runs handlers where the error is
 * raised, and inside the count hook that would be with hooks switched off. */
static int call_handler(lua_State *L)
{
    if (gate_sandbox_is_over(L))
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int lib_xpcall(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    int args = lua_gettop(L) - 2;
    gate_sandbox_charge(L, CATCH_STEPS);
    luaL_checkstack(L, 2, NULL);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, call_handler, 1);
    lua_replace(L, 2);
    lua_pushvalue(L, 1); /* f, handler, args, f -> f, handler, f, args */
    lua_insert(L, 3);
    int status = lua_pcall(L, args, LUA_MULTRET, 2);
    gate_sandbox_rethrow(L, status);
    lua_pushboolean(L, status == LUA_OK);
    lua_replace(L, 2);
    return lua_gettop(L) - 1;
}

/* ---------------------------------------------------------------- metatables */

/* __gc would run with hooks off; weak tables can make one collection quadratic; a chain of __call
 * can make one call quadratic; each pending __close is called once more after the end of a limit.
 */
static const char *const REFUSED[] = {"__gc", "__mode", "__call", "__close", NULL};

static bool is_refused(const char *name)
{
    for (size_t i = 0; REFUSED[i] != NULL; i++) {
        if (strcmp(name, REFUSED[i]) == 0)
            return true;
    }
    return false;
}

/* __newindex of tables that serve as metatables: refused names cannot be added later. There is no
 * rawset, and a name that is absent always comes here. */
static int guard_write(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TSTRING && is_refused(lua_tostring(L, 2)))
        return luaL_error(L, "'%s' is not available in metatables", lua_tostring(L, 2));
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 0;
}

/* Pushes a guard whose origin is on top of the stack (true: none); pops that. */
static void push_guard(lua_State *L)
{
    lua_createtable(L, 0, 4);
    lua_insert(L, -2);
    lua_rawsetp(L, -2, &ORIGIN_KEY);
    lua_pushcfunction(L, guard_write);
    lua_setfield(L, -2, "__newindex");
}

/* Pushes the metatable that the script may see of the value at index; returns false, with nothing
 * pushed, if there is none. */
static bool push_visible(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index))
        return false;
    if (lua_rawgetp(L, -1, &ORIGIN_KEY) == LUA_TNIL) {
        lua_pop(L, 1);
        return true;
    }
    lua_remove(L, -2);
    if (lua_istable(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

static bool is_guarded(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index))
        return false;
    bool found = lua_rawgetp(L, -1, &ORIGIN_KEY) != LUA_TNIL;
    lua_pop(L, 2);
    return found;
}

/* Guards the table at index. A metatable that it has itself (inheritance) goes on to work through a
 * copy in the guard. `origin` is the index of that metatable or 0. */
static void guard(lua_State *L, int index, int origin)
{
    if (origin == 0) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &GUARD_KEY);
        lua_setmetatable(L, index);
        return;
    }
    lua_pushvalue(L, origin);
    push_guard(L);
    int copy = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, origin)) {
        gate_sandbox_charge(L, 8);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        if (lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "__newindex") == 0)
            luaL_error(L, "the metatable of a metatable cannot have '__newindex'");
        lua_rawset(L, copy);
    }
    lua_setmetatable(L, index);
}

static void check_metatable(lua_State *L, int index)
{
    gate_sandbox_charge(L, 8);
    for (size_t i = 0; REFUSED[i] != NULL; i++) {
        lua_pushstring(L, REFUSED[i]);
        if (lua_rawget(L, index) != LUA_TNIL)
            luaL_error(L, "'%s' is not available in metatables", REFUSED[i]);
        lua_pop(L, 1);
    }
}

static int lib_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    lua_settop(L, 2);
    if (push_visible(L, 1)) {
        lua_pushstring(L, "__metatable");
        if (lua_rawget(L, 3) != LUA_TNIL)
            return luaL_error(L, "cannot change a protected metatable");
        lua_settop(L, 2);
    }
    if (lua_istable(L, 2)) {
        check_metatable(L, 2);
        if (!is_guarded(L, 2))
            guard(L, 2, push_visible(L, 2) ? lua_gettop(L) : 0);
    }
    if (is_guarded(L, 1)) { /* asked last: a table may be its own metatable */
        guard(L, 1, lua_istable(L, 2) ? 2 : 0);
    } else {
        lua_settop(L, 2);
        lua_setmetatable(L, 1);
    }
    lua_settop(L, 1);
    return 1;
}

static int lib_getmetatable(lua_State *L)
{
    luaL_checkany(L, 1);
    if (!push_visible(L, 1))
        return 0;
    lua_pushstring(L, "__metatable");
    if (lua_rawget(L, -2) == LUA_TNIL)
        lua_pop(L, 1);
    return 1;
}

/* ---------------------------------------------------------------- numbers */

/* Calls the stock function of upvalue 1 in this very frame. */
static int call_stock(lua_State *L, uint64_t steps)
{
    lua_CFunction stock = lua_tocfunction(L, lua_upvalueindex(1));
    gate_sandbox_charge(L, steps);
    return stock(L);
}

static int lib_tonumber(lua_State *L)
{
    return call_stock(L, lua_type(L, 1) == LUA_TSTRING ? lua_rawlen(L, 1) / BYTES_PER_STEP : 0);
}

static int lib_tostring(lua_State *L)
{
    return call_stock(L, lua_type(L, 1) == LUA_TSTRING ? 0 : TO_STRING_STEPS);
}

/* Replaces a function of the table on top of the stack by one that charges and calls it. */
static void charge_stock(lua_State *L, const char *name, lua_CFunction own)
{
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, own, 1);
    lua_setfield(L, -2, name);
}

/* ---------------------------------------------------------------- require */

static bool is_module_name(struct gate_str name)
{
    bool word = false; /* inside a word */
    if (name.len == 0 || name.len > GATE_SANDBOX_MAX_MODULE)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c == '.' && !word)
            return false;
        word = c != '.';
        if (word && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
            return false;
    }
    return word;
}

/* "gate.match" -> "gate/match.lua", the name that errors show. */
static void file_name(struct gate_str module, char *out, size_t cap)
{
    snprintf(out, cap, "%.*s.lua", (int)module.len, module.ptr);
    for (size_t i = 0; i < module.len; i++) {
        if (out[i] == '.')
            out[i] = '/';
    }
}

/* Upvalue 1: the modules loaded so far; false while one is being loaded. */
static int lib_require(lua_State *L)
{
    struct gate_str name, text;
    struct gate_error err;
    char file[GATE_SANDBOX_MAX_MODULE + 8];
    name.ptr = luaL_checklstring(L, 1, &name.len);
    lua_settop(L, 1);
    if (!is_module_name(name))
        return luaL_error(L, "not a module name: use words of [a-z0-9_] parted by dots");
    lua_pushvalue(L, 1);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
        if (lua_isboolean(L, -1) && !lua_toboolean(L, -1))
            return luaL_error(L, "module '%s' requires itself or failed to load", name.ptr);
        return 1;
    }
    lua_settop(L, 1);
    if (gate_sandbox_module(L, name, &text, &err) != GATE_OK)
        return luaL_error(L, "%s", err.message);
    lua_pushvalue(L, 1);
    lua_pushboolean(L, 0);
    lua_rawset(L, lua_upvalueindex(1));
    file_name(name, file, sizeof file);
    gate_sandbox_run(L, file, text, 1);
    if (lua_istable(L, -1)) {
        gate_sandbox_readonly(L, name.ptr);
    } else if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, lua_upvalueindex(1));
    return 1;
}

/* ---------------------------------------------------------------- globals */

static const char *const BASE[] = {"assert",   "error",  "ipairs",   "next",   "pairs",
                                   "rawequal", "rawget", "rawlen",   "select", "tonumber",
                                   "tostring", "type",   "_VERSION", NULL};
static const luaL_Reg BASE_OWN[] = {{"pcall", lib_pcall},
                                    {"xpcall", lib_xpcall},
                                    {"setmetatable", lib_setmetatable},
                                    {"getmetatable", lib_getmetatable},
                                    {NULL, NULL}};
/* No randomseed: each state has a seed of its own that scripts do not choose. */
static const char *const MATH[] = {
    "abs",  "acos", "asin",   "atan", "ceil", "cos",        "deg",        "exp",  "floor",
    "fmod", "huge", "log",    "max",  "min",  "maxinteger", "mininteger", "modf", "pi",
    "rad",  "sin",  "random", "sqrt", "tan",  "tointeger",  "type",       "ult",  NULL};
static const char *const UTF8[] = {"char", "charpattern", "codepoint", "codes",
                                   "len",  "offset",      NULL};

/* Copies fields of the table on top of the stack into the one below it, and pops it. */
static void copy_fields(lua_State *L, const char *const *names)
{
    for (; *names != NULL; names++) {
        lua_getfield(L, -1, *names);
        lua_setfield(L, -3, *names);
    }
    lua_pop(L, 1);
}

/* Pushes what a luaopen function returns, leaving nothing else behind. */
static void push_stock(lua_State *L, lua_CFunction open)
{
    lua_pushcfunction(L, open);
    lua_call(L, 0, 1);
}

static void seed_random(lua_State *L)
{
    lua_Integer seed[2] = {0, 0};
    if (getrandom(seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        return; /* luaopen_math has seeded it from the clock */
    lua_getfield(L, -1, "randomseed");
    lua_pushinteger(L, seed[0]);
    lua_pushinteger(L, seed[1]);
    lua_call(L, 2, 0);
}

/* The metatable of strings keeps its arithmetic ("10" + 1) and gets the sandbox's functions. The
 * table of these is on top of the stack. */
static void set_string_metatable(lua_State *L)
{
    lua_pushliteral(L, "");
    if (!lua_getmetatable(L, -1))
        luaL_error(L, "strings have no metatable");
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

void gate_library_open(lua_State *L)
{
    lua_pushboolean(L, 1);
    push_guard(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &GUARD_KEY);

    lua_newtable(L);
    push_stock(L, luaopen_base);
    copy_fields(L, BASE);
    luaL_setfuncs(L, BASE_OWN, 0);
    charge_stock(L, "tonumber", lib_tonumber);
    charge_stock(L, "tostring", lib_tostring);
    lua_newtable(L);
    lua_pushcclosure(L, lib_require, 1);
    lua_setfield(L, -2, "require");

    gate_library_push_string(L);
    set_string_metatable(L);
    gate_sandbox_readonly(L, "string");
    lua_setfield(L, -2, "string");

    gate_library_push_table(L);
    gate_sandbox_readonly(L, "table");
    lua_setfield(L, -2, "table");

    lua_newtable(L);
    push_stock(L, luaopen_math);
    seed_random(L);
    copy_fields(L, MATH);
    gate_sandbox_readonly(L, "math");
    lua_setfield(L, -2, "math");

    lua_newtable(L);
    push_stock(L, luaopen_utf8);
    copy_fields(L, UTF8);
    gate_sandbox_readonly(L, "utf8");
    lua_setfield(L, -2, "utf8");
}

static int undefined_read(lua_State *L)
{
    return luaL_error(L, "undefined variable '%s'", luaL_tolstring(L, 2, NULL));
}

static int undefined_write(lua_State *L)
{
    const char *name = luaL_tolstring(L, 2, NULL);
    return luaL_error(L, "cannot set global '%s': declare it with 'local'", name);
}

void gate_library_seal(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, undefined_read);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2); /* names that the table of globals lacks */

    lua_newtable(L); /* _G: always empty, see gate_sandbox_readonly */
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "_G");
    lua_createtable(L, 0, 3);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, undefined_write);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pop(L, 1);
}
