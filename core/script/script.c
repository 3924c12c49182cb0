/* One worker's Lua state: builds it from a generation and asks it where a request goes. */
#include "script/script.h"

#include "base/buf.h"
#include "base/log.h"
#include "script/api.h"
#include "script/generation.h"

#include <stdlib.h>

#define ROUTING "routing.lua"

static const char ROUTE_KEY; /* registry key of the function route */

enum { MAX_OVERRIDE_MS = 86400000 };

struct gate_script {
    struct gate_generation *generation;
    struct gate_sandbox *sandbox; /* NULL: there is no routing.lua */
    struct gate_api api;
    int route_line; /* where route is defined */
};

/* ---------------------------------------------------------------- building */

/* Leaves the function route on top of the stack in place of what the file returned. */
static void take_route(lua_State *L)
{
    int type = lua_type(L, -1);
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "route");
        if (lua_gettable(L, -2) != LUA_TFUNCTION)
            luaL_error(L,
                       "the file returned a table whose field `route` is %s, expected "
                       "a function route(req)",
                       lua_isnil(L, -1) ? "missing" : luaL_typename(L, -1));
    } else if (type != LUA_TFUNCTION) {
        luaL_error(L,
                   "the file returned %s, expected a function route(req) or a table "
                   "with such a function: end the file with return route",
                   type == LUA_TNIL ? "nothing" : lua_typename(L, type));
    }
}

static int load_routing(lua_State *L)
{
    struct gate_script *s = lua_touserdata(L, 1);
    struct gate_str text;
    lua_Debug ar;
    gate_generation_routing(s->generation, &text);
    gate_sandbox_run(L, ROUTING, text, -1);
    take_route(L);
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">S", &ar);
    s->route_line = ar.linedefined;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ROUTE_KEY);
    return 0;
}

/* Makes a new state; the old one, if any, is replaced only on success. */
static enum gate_status build(struct gate_script *s, struct gate_error *err)
{
    struct gate_str text;
    if (!gate_generation_routing(s->generation, &text))
        return GATE_OK;
    const struct gate_sandbox_setup setup = {.memory = GATE_SCRIPT_MEMORY,
                                             .globals = gate_api_open,
                                             .globals_ctx = &s->api,
                                             .module = gate_generation_module,
                                             .module_ctx = s->generation};
    struct gate_sandbox *fresh, *old = s->sandbox;
    enum gate_status status = gate_sandbox_create(&setup, &fresh, err);
    if (status != GATE_OK)
        return status;
    status = gate_sandbox_call(fresh, ROUTING, &GATE_SCRIPT_LOAD_LIMITS, load_routing, s, err);
    if (status != GATE_OK) {
        gate_sandbox_destroy(fresh);
        return status;
    }
    s->sandbox = fresh;
    gate_sandbox_destroy(old);
    return GATE_OK;
}

enum gate_status gate_script_create(struct gate_generation *g, struct gate_script **out,
                                    struct gate_error *err)
{
    struct gate_script *s = gate_calloc(1, sizeof *s);
    s->generation = g;
    gate_generation_retain(g);
    enum gate_status status = build(s, err);
    if (status != GATE_OK) {
        gate_script_destroy(s);
        return status;
    }
    *out = s;
    return GATE_OK;
}

void gate_script_destroy(struct gate_script *s)
{
    if (s == NULL)
        return;
    gate_sandbox_destroy(s->sandbox);
    gate_generation_release(s->generation);
    free(s);
}

size_t gate_script_memory(const struct gate_script *s)
{
    return s->sandbox != NULL ? gate_sandbox_memory(s->sandbox) : 0;
}

/* ---------------------------------------------------------------- what route returned */

struct call {
    struct gate_script *script;
    struct gate_decision *out;
};

__attribute__((noreturn, format(printf, 3, 4))) static void
refuse(lua_State *L, const struct call *call, const char *format, ...)
{
    char text[GATE_ERROR_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    luaL_error(L, ROUTING ":%d: route returned %s", call->script->route_line, text);
    abort(); /* luaL_error does not return */
}

/* Copies the string on top of the stack into the decision as the name of target t. */
static void read_name(lua_State *L, const struct call *call, struct gate_target *t)
{
    struct gate_decision *d = call->out;
    struct gate_str name;
    name.ptr = lua_tolstring(L, -1, &name.len);
    if (name.len == 0)
        refuse(L, call, "an empty string, expected the name of a model");
    if (name.len > GATE_SCRIPT_MAX_TARGET)
        refuse(L, call, "a model name of %zu bytes, expected at most %d", name.len,
               GATE_SCRIPT_MAX_TARGET);
    if (!gate_script_is_printable(name))
        refuse(L, call, "a model name with control characters");
    if (name.len > sizeof d->text - d->text_len)
        refuse(L, call, "model names of more than %zu bytes in all", sizeof d->text);
    t->name = (struct gate_str){memcpy(d->text + d->text_len, name.ptr, name.len), name.len};
    d->text_len += name.len;
}

/* The override on top of the stack. */
static uint32_t read_override(lua_State *L, const struct call *call, const char *key)
{
    int is_integer = 0;
    lua_Integer ms = lua_tointegerx(L, -1, &is_integer);
    if (lua_type(L, -1) != LUA_TNUMBER)
        refuse(L, call, "a target whose %s is a %s, expected milliseconds (0 to %d)", key,
               luaL_typename(L, -1), MAX_OVERRIDE_MS);
    if (!is_integer || ms < 0 || ms > MAX_OVERRIDE_MS)
        refuse(L, call, "a target whose %s is %.14g, expected whole milliseconds (0 to %d)", key,
               (double)lua_tonumber(L, -1), MAX_OVERRIDE_MS);
    return (uint32_t)ms;
}

/* One field of a target table; key and value are on top of the stack. */
static void read_field(lua_State *L, const struct call *call, struct gate_target *t)
{
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    if (key == NULL)
        refuse(L, call,
               "a target with a key that is a %s, expected model, first_token_ms, idle_ms "
               "or total_ms",
               luaL_typename(L, -2));
    if (strcmp(key, "model") == 0) {
        if (lua_type(L, -1) != LUA_TSTRING)
            refuse(L, call, "a target whose model is a %s, expected a string",
                   luaL_typename(L, -1));
        read_name(L, call, t);
    } else if (strcmp(key, "first_token_ms") == 0) {
        t->first_token_ms = read_override(L, call, key);
    } else if (strcmp(key, "idle_ms") == 0) {
        t->idle_ms = read_override(L, call, key);
    } else if (strcmp(key, "total_ms") == 0) {
        t->total_ms = read_override(L, call, key);
    } else {
        refuse(L, call,
               "a target with the unknown key '%.64s', expected model, first_token_ms, "
               "idle_ms or total_ms",
               key);
    }
}

/* Adds the string or target table on top of the stack to the decision. */
static void read_target(lua_State *L, const struct call *call)
{
    struct gate_decision *d = call->out;
    if (d->target_count == GATE_SCRIPT_MAX_TARGETS)
        refuse(L, call, "more than %d targets", GATE_SCRIPT_MAX_TARGETS);
    struct gate_target *t = &d->targets[d->target_count];
    *t = (struct gate_target){0};
    if (lua_type(L, -1) == LUA_TSTRING) {
        read_name(L, call, t);
    } else if (lua_istable(L, -1)) {
        lua_pushnil(L);
        while (lua_next(L, -2)) {
            read_field(L, call, t);
            lua_pop(L, 1);
        }
        if (t->name.len == 0)
            refuse(L, call, "a target without model");
    } else {
        refuse(L, call, "a list with a %s in it, expected strings and tables with model",
               luaL_typename(L, -1));
    }
    d->target_count++;
}

/* The table on top of the stack is one target or a list of targets. */
static void read_table(lua_State *L, const struct call *call)
{
    bool list = lua_rawgeti(L, -1, 1) != LUA_TNIL;
    lua_pop(L, 1);
    if (!list) {
        lua_pushnil(L);
        if (!lua_next(L, -2))
            refuse(L, call, "an empty table, expected targets (nil: the model that was asked for)");
        lua_pop(L, 2);
        read_target(L, call);
        return;
    }
    lua_Integer last = 0;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1)
            refuse(L, call, "a table with both list items and other keys");
        if (lua_tointeger(L, -1) > last)
            last = lua_tointeger(L, -1);
        gate_sandbox_charge(L, 1);
    }
    for (lua_Integer i = 1; i <= last; i++) {
        if (lua_rawgeti(L, -1, i) == LUA_TNIL)
            refuse(L, call, "a list with a hole: item %lld is nil", (long long)i);
        read_target(L, call);
        lua_pop(L, 1);
    }
}

static int call_route(lua_State *L)
{
    const struct call *call = lua_touserdata(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ROUTE_KEY);
    gate_api_push_request(L);
    lua_call(L, 1, 1);
    switch (lua_type(L, -1)) {
    case LUA_TNIL:
        break;
    case LUA_TSTRING:
        read_target(L, call);
        break;
    case LUA_TTABLE:
        read_table(L, call);
        break;
    default:
        refuse(L, call, "a %s, expected nil, a model name, a table with model, or a list of these",
               luaL_typename(L, -1));
    }
    return 0;
}

enum gate_status gate_script_route(struct gate_script *s, const struct gate_route_view *req,
                                   struct gate_decision *out, struct gate_error *err)
{
    out->target_count = 0;
    out->text_len = 0;
    if (s->sandbox == NULL)
        return GATE_OK;
    struct call call = {s, out};
    s->api.view = req;
    enum gate_status status =
        gate_sandbox_call(s->sandbox, ROUTING, &GATE_SCRIPT_ROUTE_LIMITS, call_route, &call, err);
    s->api.view = NULL;
    if (status == GATE_OK)
        return GATE_OK;
    out->target_count = 0;
    out->text_len = 0;
    /* A script that has filled its memory for good would fail every call from now on. */
    struct gate_error why;
    if (gate_sandbox_memory(s->sandbox) > GATE_SCRIPT_MEMORY / 2 && build(s, &why) != GATE_OK)
        gate_log_error("script: the Lua state could not be built anew: %s", why.message);
    return status;
}
