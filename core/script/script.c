/* One worker's Lua state: builds it from a generation and calls its functions. */
#include "script/script.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "script/script_internal.h"

#include <stdlib.h>

enum {
    QUICK_BUILD_US =
        20000,        /* a state that is built in this time is built anew whenever it must be */
    BUILD_SHARE = 20, /* a slower one takes at most this part (1/n) of the time */
};

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

/* gate_sandbox_setup.globals */
static void open_globals(lua_State *L, void *ctx)
{
    struct gate_script *s = ctx;
    gate_api_open(L, &s->api);
    gate_views_open(L, &s->views);
}

/* Runs the files that the state is made of, each on its own budget. */
static enum gate_status load_files(const struct gate_script *s, struct gate_sandbox *sandbox,
                                   struct gate_script_functions *functions, struct gate_error *err)
{
    static const struct {
        const char *name;
        bool (*text)(const struct gate_generation *g, struct gate_str *text);
        lua_CFunction run;
    } files[] = {{"models.lua", gate_generation_models, gate_script_load_models},
                 {"routing.lua", gate_generation_routing, gate_script_load_routing},
                 {"accounts.lua", gate_generation_accounts, gate_script_load_accounts}};
    struct gate_script_load load = {s->generation, functions};
    struct gate_str text;
    enum gate_status status = GATE_OK;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && status == GATE_OK; i++) {
        if (files[i].text(s->generation, &text))
            status = gate_sandbox_call(sandbox, files[i].name, &GATE_SCRIPT_LOAD_LIMITS,
                                       files[i].run, &load, err);
    }
    return status;
}

/* Makes a new state; the old one, if any, is replaced only on success. */
static enum gate_status build(struct gate_script *s, struct gate_error *err)
{
    struct gate_str text;
    if (!gate_generation_models(s->generation, &text) &&
        !gate_generation_routing(s->generation, &text) &&
        !gate_generation_accounts(s->generation, &text))
        return GATE_OK;
    const struct gate_sandbox_setup setup = {.memory = GATE_SCRIPT_MEMORY,
                                             .globals = open_globals,
                                             .globals_ctx = s,
                                             .module = gate_generation_module,
                                             .module_ctx = s->generation};
    struct gate_script_functions functions = {0};
    struct gate_sandbox *fresh = NULL, *old = s->sandbox;
    /* Files are run more often than they are published, and also for drafts: only functions that
     * are called may leave notes. */
    s->api.kv = NULL;
    s->api.counters = NULL;
    enum gate_status status = gate_sandbox_create(&setup, &fresh, err);
    if (status == GATE_OK)
        status = load_files(s, fresh, &functions, err);
    if (status == GATE_OK && gate_sandbox_collect(fresh) > GATE_SCRIPT_MEMORY / 2)
        status = gate_fail(err, GATE_EINVAL,
                           "the scripts keep more than %d MiB once they are loaded, half of what "
                           "their state may hold: nothing would be left for requests",
                           GATE_SCRIPT_MEMORY / 2 >> 20);
    s->api.kv = s->notes.kv;
    s->api.counters = s->notes.counters;
    if (status != GATE_OK) {
        gate_sandbox_destroy(fresh);
        return status;
    }
    s->sandbox = fresh;
    s->functions = functions;
    gate_sandbox_destroy(old);
    return GATE_OK;
}

enum gate_status gate_script_create(struct gate_generation *g, const struct gate_script_host *host,
                                    struct gate_script **out, struct gate_error *err)
{
    struct gate_script *s = gate_calloc(1, sizeof *s);
    s->generation = g;
    gate_generation_retain(g);
    s->owns_notes = s->api.silent = host == NULL;
    s->notes.kv = host != NULL ? host->kv : gate_kv_create();
    s->notes.counters = host != NULL ? host->counters : gate_counters_create();
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
    if (s->owns_notes) {
        gate_kv_destroy(s->notes.kv);
        gate_counters_destroy(s->notes.counters);
    }
    gate_generation_release(s->generation);
    free(s->edit_room);
    free(s);
}

size_t gate_script_memory(const struct gate_script *s)
{
    return s->sandbox != NULL ? gate_sandbox_memory(s->sandbox) : 0;
}

const char *gate_script_stack(const struct gate_script *s)
{
    return s->stack;
}

void gate_script_set_time(struct gate_script *s, uint64_t wall_ms)
{
    s->api.wall_ms = wall_ms;
}

/* ---------------------------------------------------------------- calling */

/* A script that has filled its memory for good would fail every call from now on. Where loading the
 * files takes long, a script that does it again and again waits for its turn. */
static void rebuild(struct gate_script *s)
{
    uint64_t began = gate_clock_mono_us();
    struct gate_error why;
    if (began < s->next_build_us)
        return;
    if (build(s, &why) != GATE_OK)
        gate_log_error("script: the Lua state could not be built anew: %s", why.message);
    uint64_t took = gate_clock_mono_us() - began;
    s->next_build_us = took <= QUICK_BUILD_US ? 0 : began + took * BUILD_SHARE;
}

enum gate_status gate_script_call(struct gate_script *s, const char *file,
                                  const struct gate_sandbox_limits *limits, lua_CFunction fn,
                                  void *arg, struct gate_error *err)
{
    gate_views_next(&s->views);
    enum gate_status status = gate_sandbox_call(s->sandbox, file, limits, fn, arg, err);
    if (status == GATE_OK)
        return GATE_OK;
    snprintf(s->stack, sizeof s->stack, "%s", gate_sandbox_stack(s->sandbox));
    if (gate_sandbox_is_full(s->sandbox))
        rebuild(s);
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
