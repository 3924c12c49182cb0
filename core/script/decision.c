/* What conf/routing.lua decides: calls route(req) and reads what it returned. */
#include "script/decision.h"

#include <stdlib.h>

#define ROUTING "routing.lua"

static const char ROUTE_KEY; /* registry key of the function route */

/* ---------------------------------------------------------------- loading */

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

int gate_script_load_routing(lua_State *L)
{
    const struct gate_script_load *load = lua_touserdata(L, 1);
    struct gate_str text;
    gate_generation_routing(load->generation, &text);
    gate_sandbox_run(L, ROUTING, text, -1);
    take_route(L);
    gate_script_keep(L, &load->functions->route, ROUTING, "route", &ROUTE_KEY);
    return 0;
}

/* ---------------------------------------------------------------- a table */

/* The table on top of the stack is a list, which may have the one other key `reason`. Returns its
 * last index; the items may still have holes. */
static lua_Integer read_list(lua_State *L, const struct gate_decision_call *call)
{
    lua_Integer last = 0;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        struct gate_str key = {NULL, 0};
        gate_sandbox_charge(L, 1);
        if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1) {
            if (lua_tointeger(L, -2) > last)
                last = lua_tointeger(L, -2);
            lua_pop(L, 1);
            continue;
        }
        if (lua_type(L, -2) == LUA_TSTRING)
            key.ptr = lua_tolstring(L, -2, &key.len);
        if (!gate_str_eq(key, GATE_STR("reason")))
            gate_script_refuse(L, call->route, "a table with both list items and other keys");
        gate_decision_read_reason(L, call);
        lua_pop(L, 1);
    }
    return last;
}

/* The table on top of the stack is one target, a rejection, or a list of targets. */
static void read_table(lua_State *L, struct gate_decision_call *call)
{
    struct gate_decision *d = call->out;
    int type = lua_rawgeti(L, -1, 1);
    lua_pop(L, 1);
    if (type == LUA_TNIL) {
        gate_decision_read_target(L, call);
        if (d->reject.status != 0)
            d->target_count = 0; /* its table was read as a target, but it is none */
        return;
    }
    lua_Integer last = read_list(L, call);
    call->in_list = true;
    for (lua_Integer i = 1; i <= last; i++) {
        if (lua_rawgeti(L, -1, i) == LUA_TNIL)
            gate_script_refuse(L, call->route, "a list with a hole: item %lld is nil",
                               (long long)i);
        gate_decision_read_target(L, call);
        lua_pop(L, 1);
    }
}

/* ---------------------------------------------------------------- calling */

static int call_route(lua_State *L)
{
    struct gate_decision_call *call = lua_touserdata(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ROUTE_KEY);
    gate_api_push_request(L);
    lua_call(L, 1, 1);
    switch (lua_type(L, -1)) {
    case LUA_TNIL:
        break;
    case LUA_TSTRING:
        gate_decision_read_target(L, call);
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

/* All that may be read of a decision without targets. */
static void clear(struct gate_decision *d)
{
    d->target_count = 0;
    memset(&d->reject, 0, sizeof d->reject);
    d->reason = (struct gate_str){NULL, 0};
    d->text_len = 0;
}

void gate_decision_finish(struct gate_decision *d)
{
    for (size_t i = 0; i < d->target_count; i++)
        free(d->targets[i].edits);
    clear(d);
}

enum gate_status gate_script_route(struct gate_script *s, const struct gate_route_view *req,
                                   struct gate_decision *out, struct gate_error *err)
{
    clear(out);
    if (s->functions.route.file == NULL)
        return GATE_OK;
    struct gate_decision_call call = {
        .route = &s->functions.route, .req = req, .out = out, .room = &s->edit_room};
    s->api.view = req;
    enum gate_status status =
        gate_script_call(s, ROUTING, &GATE_SCRIPT_CALL_LIMITS, call_route, &call, err);
    s->api.view = NULL;
    if (status != GATE_OK)
        gate_decision_finish(out);
    return status;
}
