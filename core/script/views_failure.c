/* The failure and the attempt that on_error judges, as Lua sees them. */
#include "script/views.h"

#include "script/api.h"
#include "script/sandbox.h"

static const char FAILURE_KEY, ATTEMPT_KEY; /* registry keys of the objects */

enum failure_field {
    FAILURE_KIND,
    FAILURE_STATUS,
    FAILURE_CODE,
    FAILURE_MESSAGE,
    FAILURE_RETRY_AFTER_MS,
    FAILURE_FIELDS,
};

static const char *const FAILURE_NAMES[FAILURE_FIELDS] = {
    [FAILURE_KIND] = "kind",
    [FAILURE_STATUS] = "status",
    [FAILURE_CODE] = "code",
    [FAILURE_MESSAGE] = "message",
    [FAILURE_RETRY_AFTER_MS] = "retry_after_ms",
};

static const struct gate_error_view *check_failure(lua_State *L)
{
    const struct gate_views *views = lua_touserdata(L, lua_upvalueindex(1));
    if (views->failure == NULL)
        luaL_error(L, "a failure can be read only while on_error(failure, attempt, req) runs");
    return views->failure;
}

/* __index of the failure. Upvalues: views, field numbers by name. */
static int failure_get(lua_State *L)
{
    const struct gate_error_view *view = check_failure(L);
    const struct gate_verdict *verdict = view->verdict;
    switch ((enum failure_field)gate_api_field(L, 2, "a failure")) {
    case FAILURE_KIND:
        lua_pushstring(L, gate_verdict_name(verdict->kind));
        break;
    case FAILURE_STATUS:
        lua_pushinteger(L, view->status);
        break;
    case FAILURE_CODE:
        lua_pushstring(L, verdict->code);
        break;
    case FAILURE_MESSAGE:
        lua_pushstring(L, verdict->message);
        break;
    case FAILURE_RETRY_AFTER_MS:
        if (verdict->retry_after_ms > 0)
            gate_api_push_count(L, verdict->retry_after_ms);
        else
            lua_pushnil(L);
        break;
    case FAILURE_FIELDS:
        break;
    }
    return 1;
}

enum attempt_field {
    ATTEMPT_NUMBER,
    ATTEMPT_ACCOUNT,
    ATTEMPT_ALIAS,
    ATTEMPT_PROVIDER,
    ATTEMPT_MODEL,
    ATTEMPT_ELAPSED_MS,
    ATTEMPT_DEFAULT,
    ATTEMPT_COOLDOWN_MS,
    ATTEMPT_FIELDS,
};

static const char *const ATTEMPT_NAMES[ATTEMPT_FIELDS] = {
    [ATTEMPT_NUMBER] = "number",   [ATTEMPT_ACCOUNT] = "account",
    [ATTEMPT_ALIAS] = "alias",     [ATTEMPT_PROVIDER] = "provider",
    [ATTEMPT_MODEL] = "model",     [ATTEMPT_ELAPSED_MS] = "elapsed_ms",
    [ATTEMPT_DEFAULT] = "default", [ATTEMPT_COOLDOWN_MS] = "cooldown_ms",
};

/* __index of the attempt. Upvalues: views, field numbers by name. */
static int attempt_get(lua_State *L)
{
    const struct gate_error_view *view = check_failure(L);
    switch ((enum attempt_field)gate_api_field(L, 2, "an attempt")) {
    case ATTEMPT_NUMBER:
        lua_pushinteger(L, view->number);
        break;
    case ATTEMPT_ACCOUNT:
        gate_api_push_str(L, view->account);
        break;
    case ATTEMPT_ALIAS:
        gate_api_push_str(L, view->alias);
        break;
    case ATTEMPT_PROVIDER:
        gate_api_push_str(L, view->provider);
        break;
    case ATTEMPT_MODEL:
        gate_api_push_str(L, view->model);
        break;
    case ATTEMPT_ELAPSED_MS:
        gate_api_push_count(L, view->elapsed_ms);
        break;
    case ATTEMPT_DEFAULT:
        lua_pushstring(L, gate_action_names[view->fallback]);
        break;
    case ATTEMPT_COOLDOWN_MS:
        gate_api_push_count(L, view->cooldown_ms);
        break;
    case ATTEMPT_FIELDS:
        break;
    }
    return 1;
}

static void make_object(lua_State *L, struct gate_views *views, const char *name,
                        const char *const *fields, int count, lua_CFunction get, const void *key)
{
    lua_pushlightuserdata(L, views);
    gate_api_push_fields(L, fields, count);
    lua_pushcclosure(L, get, 2);
    gate_api_make_object(L, name);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void gate_views_open_failure(lua_State *L, struct gate_views *views)
{
    make_object(L, views, "failure", FAILURE_NAMES, FAILURE_FIELDS, failure_get, &FAILURE_KEY);
    make_object(L, views, "attempt", ATTEMPT_NAMES, ATTEMPT_FIELDS, attempt_get, &ATTEMPT_KEY);
}

void gate_views_push_failure(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &FAILURE_KEY);
}

void gate_views_push_attempt(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ATTEMPT_KEY);
}
