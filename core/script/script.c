/* One worker's Lua state: builds it from a generation and asks it where a request goes. */
#include "script/script.h"

#include "base/buf.h"
#include "base/log.h"
#include "script/script_internal.h"

#include <stdlib.h>

#define ROUTING "routing.lua"
#define ACCOUNTS "accounts.lua"

static const char ROUTE_KEY; /* registry key of the function route */

enum { MAX_OVERRIDE_MS = 86400000 };

/* ---------------------------------------------------------------- building */

void gate_script_keep(lua_State *L, struct gate_script_function *f, const char *file,
                      const char *name, const void *key)
{
    lua_Debug ar;
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">S", &ar);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
    *f = (struct gate_script_function){file, name, ar.linedefined};
}

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
    const struct gate_script_load *load = lua_touserdata(L, 1);
    struct gate_str text;
    gate_generation_routing(load->generation, &text);
    gate_sandbox_run(L, ROUTING, text, -1);
    take_route(L);
    gate_script_keep(L, &load->functions->route, ROUTING, "route", &ROUTE_KEY);
    return 0;
}

/* gate_sandbox_setup.globals */
static void open_globals(lua_State *L, void *ctx)
{
    struct gate_script *s = ctx;
    gate_api_open(L, &s->api);
    gate_views_open(L, &s->views);
}

/* Makes a new state; the old one, if any, is replaced only on success. */
static enum gate_status build(struct gate_script *s, struct gate_error *err)
{
    struct gate_str text;
    bool routing = gate_generation_routing(s->generation, &text);
    bool accounts = gate_generation_accounts(s->generation, &text);
    if (!routing && !accounts)
        return GATE_OK;
    const struct gate_sandbox_setup setup = {.memory = GATE_SCRIPT_MEMORY,
                                             .globals = open_globals,
                                             .globals_ctx = s,
                                             .module = gate_generation_module,
                                             .module_ctx = s->generation};
    struct gate_script_functions functions = {0};
    struct gate_script_load load = {s->generation, &functions};
    struct gate_sandbox *fresh, *old = s->sandbox;
    enum gate_status status = gate_sandbox_create(&setup, &fresh, err);
    if (status != GATE_OK)
        return status;
    if (routing)
        status =
            gate_sandbox_call(fresh, ROUTING, &GATE_SCRIPT_LOAD_LIMITS, load_routing, &load, err);
    if (status == GATE_OK && accounts)
        status = gate_sandbox_call(fresh, ACCOUNTS, &GATE_SCRIPT_LOAD_LIMITS,
                                   gate_script_load_accounts, &load, err);
    if (status != GATE_OK) {
        gate_sandbox_destroy(fresh);
        return status;
    }
    s->sandbox = fresh;
    s->functions = functions;
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
    gate_views_finish(&s->views);
    gate_generation_release(s->generation);
    free(s);
}

size_t gate_script_memory(const struct gate_script *s)
{
    return s->sandbox != NULL ? gate_sandbox_memory(s->sandbox) : 0;
}

/* ---------------------------------------------------------------- calling */

enum gate_status gate_script_call(struct gate_script *s, const char *file,
                                  const struct gate_sandbox_limits *limits, lua_CFunction fn,
                                  void *arg, struct gate_error *err)
{
    enum gate_status status = gate_sandbox_call(s->sandbox, file, limits, fn, arg, err);
    if (status == GATE_OK)
        return GATE_OK;
    /* A script that has filled its memory for good would fail every call from now on. */
    struct gate_error why;
    if (gate_sandbox_memory(s->sandbox) > GATE_SCRIPT_MEMORY / 2 && build(s, &why) != GATE_OK)
        gate_log_error("script: the Lua state could not be built anew: %s", why.message);
    return status;
}

void gate_script_refuse(lua_State *L, const struct gate_script_function *f, const char *format, ...)
{
    char text[GATE_ERROR_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    luaL_error(L, "%s:%d: %s returned %s", f->file, f->line, f->name, text);
    abort(); /* luaL_error does not return */
}

lua_Integer gate_script_list(lua_State *L, const struct gate_script_function *f)
{
    lua_Integer last = 0;
    if (lua_rawgeti(L, -1, 1) == LUA_TNIL) {
        lua_pop(L, 1);
        return 0;
    }
    lua_pop(L, 1);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1)
            gate_script_refuse(L, f, "a table with both list items and other keys");
        if (lua_tointeger(L, -1) > last)
            last = lua_tointeger(L, -1);
        gate_sandbox_charge(L, 1);
    }
    return last;
}

/* ---------------------------------------------------------------- what route returned */

struct call {
    const struct gate_script_function *route;
    struct gate_decision *out;
};

/* Copies the string on top of the stack into the decision as the name of target t. */
static void read_name(lua_State *L, const struct call *call, struct gate_target *t)
{
    struct gate_decision *d = call->out;
    struct gate_str name;
    name.ptr = lua_tolstring(L, -1, &name.len);
    if (name.len == 0)
        gate_script_refuse(L, call->route, "an empty string, expected the name of a model");
    if (name.len > GATE_SCRIPT_MAX_TARGET)
        gate_script_refuse(L, call->route, "a model name of %zu bytes, expected at most %d",
                           name.len, GATE_SCRIPT_MAX_TARGET);
    if (!gate_script_is_printable(name))
        gate_script_refuse(L, call->route, "a model name with control characters");
    if (name.len > sizeof d->text - d->text_len)
        gate_script_refuse(L, call->route, "model names of more than %zu bytes in all",
                           sizeof d->text);
    t->name = (struct gate_str){memcpy(d->text + d->text_len, name.ptr, name.len), name.len};
    d->text_len += name.len;
}

/* The override on top of the stack. */
static uint32_t read_override(lua_State *L, const struct call *call, const char *key)
{
    int is_integer = 0;
    lua_Integer ms = lua_tointegerx(L, -1, &is_integer);
    if (lua_type(L, -1) != LUA_TNUMBER)
        gate_script_refuse(L, call->route,
                           "a target whose %s is a %s, expected milliseconds (0 to %d)", key,
                           luaL_typename(L, -1), MAX_OVERRIDE_MS);
    if (!is_integer || ms < 0 || ms > MAX_OVERRIDE_MS)
        gate_script_refuse(L, call->route,
                           "a target whose %s is %.14g, expected whole milliseconds (0 to %d)", key,
                           (double)lua_tonumber(L, -1), MAX_OVERRIDE_MS);
    return (uint32_t)ms;
}

/* One field of a target table; key and value are on top of the stack. */
static void read_field(lua_State *L, const struct call *call, struct gate_target *t)
{
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    if (key == NULL)
        gate_script_refuse(
            L, call->route,
            "a target with a key that is a %s, expected model, first_token_ms, idle_ms "
            "or total_ms",
            luaL_typename(L, -2));
    if (strcmp(key, "model") == 0) {
        if (lua_type(L, -1) != LUA_TSTRING)
            gate_script_refuse(L, call->route, "a target whose model is a %s, expected a string",
                               luaL_typename(L, -1));
        read_name(L, call, t);
    } else if (strcmp(key, "first_token_ms") == 0) {
        t->first_token_ms = read_override(L, call, key);
    } else if (strcmp(key, "idle_ms") == 0) {
        t->idle_ms = read_override(L, call, key);
    } else if (strcmp(key, "total_ms") == 0) {
        t->total_ms = read_override(L, call, key);
    } else {
        gate_script_refuse(L, call->route,
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
        gate_script_refuse(L, call->route, "more than %d targets", GATE_SCRIPT_MAX_TARGETS);
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
            gate_script_refuse(L, call->route, "a target without model");
    } else {
        gate_script_refuse(L, call->route,
                           "a list with a %s in it, expected strings and tables with model",
                           luaL_typename(L, -1));
    }
    d->target_count++;
}

/* The table on top of the stack is one target or a list of targets. */
static void read_table(lua_State *L, const struct call *call)
{
    lua_Integer last = gate_script_list(L, call->route);
    if (last == 0) {
        lua_pushnil(L);
        if (!lua_next(L, -2))
            gate_script_refuse(
                L, call->route,
                "an empty table, expected targets (nil: the model that was asked for)");
        lua_pop(L, 2);
        read_target(L, call);
        return;
    }
    for (lua_Integer i = 1; i <= last; i++) {
        if (lua_rawgeti(L, -1, i) == LUA_TNIL)
            gate_script_refuse(L, call->route, "a list with a hole: item %lld is nil",
                               (long long)i);
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
        gate_script_refuse(
            L, call->route,
            "a %s, expected nil, a model name, a table with model, or a list of these",
            luaL_typename(L, -1));
    }
    return 0;
}

enum gate_status gate_script_route(struct gate_script *s, const struct gate_route_view *req,
                                   struct gate_decision *out, struct gate_error *err)
{
    out->target_count = 0;
    out->text_len = 0;
    if (s->functions.route.file == NULL)
        return GATE_OK;
    struct call call = {&s->functions.route, out};
    s->api.view = req;
    enum gate_status status =
        gate_script_call(s, ROUTING, &GATE_SCRIPT_ROUTE_LIMITS, call_route, &call, err);
    s->api.view = NULL;
    if (status != GATE_OK) {
        out->target_count = 0;
        out->text_len = 0;
    }
    return status;
}
