/* The failure that on_error judges, the response that on_response sees, and their attempts. */
#include "script/views_internal.h"

#include "script/api.h"
#include "script/sandbox.h"

/* Registry keys of the objects. */
static const char FAILURE_KEY, ATTEMPT_KEY, RESPONSE_KEY, RESPONSE_ATTEMPT_KEY;

enum { US_PER_MS = 1000 };

/* ---------------------------------------------------------------- on_error */

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

/* An attempt of on_response has the fields up to ATTEMPT_ELAPSED_MS. */
enum attempt_field {
    ATTEMPT_NUMBER,
    ATTEMPT_ACCOUNT,
    ATTEMPT_ALIAS,
    ATTEMPT_PROVIDER,
    ATTEMPT_MODEL,
    ATTEMPT_ELAPSED_MS,
    ATTEMPT_COMMON,
    ATTEMPT_DEFAULT = ATTEMPT_COMMON,
    ATTEMPT_COOLDOWN_MS,
    ATTEMPT_FIELDS,
};

static const char *const ATTEMPT_NAMES[ATTEMPT_FIELDS] = {
    [ATTEMPT_NUMBER] = "number",   [ATTEMPT_ACCOUNT] = "account",
    [ATTEMPT_ALIAS] = "alias",     [ATTEMPT_PROVIDER] = "provider",
    [ATTEMPT_MODEL] = "model",     [ATTEMPT_ELAPSED_MS] = "elapsed_ms",
    [ATTEMPT_DEFAULT] = "default", [ATTEMPT_COOLDOWN_MS] = "cooldown_ms",
};

/* What attempts of both functions tell. */
struct attempt {
    uint32_t number;
    struct gate_str account, alias, provider, model;
    uint64_t elapsed_ms;
};

static void push_attempt_field(lua_State *L, enum attempt_field field,
                               const struct attempt *attempt)
{
    switch (field) {
    case ATTEMPT_NUMBER:
        lua_pushinteger(L, attempt->number);
        break;
    case ATTEMPT_ACCOUNT:
        gate_api_push_str(L, attempt->account);
        break;
    case ATTEMPT_ALIAS:
        gate_api_push_str(L, attempt->alias);
        break;
    case ATTEMPT_PROVIDER:
        gate_api_push_str(L, attempt->provider);
        break;
    case ATTEMPT_MODEL:
        gate_api_push_str(L, attempt->model);
        break;
    default:
        gate_api_push_count(L, attempt->elapsed_ms);
        break;
    }
}

/* __index of the attempt of on_error. Upvalues: views, field numbers by name. */
static int attempt_get(lua_State *L)
{
    const struct gate_error_view *view = check_failure(L);
    enum attempt_field field = (enum attempt_field)gate_api_field(L, 2, "an attempt");
    const struct attempt attempt = {view->number,   view->account, view->alias,
                                    view->provider, view->model,   view->elapsed_ms};
    if (field == ATTEMPT_DEFAULT)
        lua_pushstring(L, gate_action_names[view->fallback]);
    else if (field == ATTEMPT_COOLDOWN_MS)
        gate_api_push_count(L, view->cooldown_ms);
    else
        push_attempt_field(L, field, &attempt);
    return 1;
}

/* ---------------------------------------------------------------- on_response */

enum response_field {
    RESPONSE_STATUS,
    RESPONSE_STREAM,
    RESPONSE_FIRST_TOKEN_MS,
    RESPONSE_TOTAL_MS,
    RESPONSE_PROMPT_TOKENS,
    RESPONSE_COMPLETION_TOKENS,
    RESPONSE_ESTIMATED,
    RESPONSE_HEADERS,
    RESPONSE_FIELDS,
};

static const char *const RESPONSE_NAMES[RESPONSE_FIELDS] = {
    [RESPONSE_STATUS] = "status",
    [RESPONSE_STREAM] = "stream",
    [RESPONSE_FIRST_TOKEN_MS] = "first_token_ms",
    [RESPONSE_TOTAL_MS] = "total_ms",
    [RESPONSE_PROMPT_TOKENS] = "prompt_tokens",
    [RESPONSE_COMPLETION_TOKENS] = "completion_tokens",
    [RESPONSE_ESTIMATED] = "estimated",
    [RESPONSE_HEADERS] = "headers",
};

static const struct gate_response_view *check_response(lua_State *L)
{
    const struct gate_views *views = lua_touserdata(L, lua_upvalueindex(1));
    if (views->response == NULL)
        luaL_error(L, "a response can be read only while on_response(response, attempt, req) runs");
    return views->response;
}

/* __index of the response. Upvalues: views, field numbers by name, the headers object. */
static int response_get(lua_State *L)
{
    const struct gate_response_view *view = check_response(L);
    switch ((enum response_field)gate_api_field(L, 2, "a response")) {
    case RESPONSE_STATUS:
        lua_pushinteger(L, view->status);
        break;
    case RESPONSE_STREAM:
        lua_pushboolean(L, view->stream);
        break;
    case RESPONSE_FIRST_TOKEN_MS:
        if (view->first_us >= 0)
            lua_pushinteger(L, view->first_us / US_PER_MS);
        else
            lua_pushnil(L);
        break;
    case RESPONSE_TOTAL_MS:
        gate_api_push_count(L, view->total_us / US_PER_MS);
        break;
    case RESPONSE_PROMPT_TOKENS:
        gate_api_push_count(L, view->usage.prompt);
        break;
    case RESPONSE_COMPLETION_TOKENS:
        gate_api_push_count(L, view->usage.completion);
        break;
    case RESPONSE_ESTIMATED:
        lua_pushboolean(L, view->estimated);
        break;
    case RESPONSE_HEADERS:
        lua_pushvalue(L, lua_upvalueindex(3));
        break;
    case RESPONSE_FIELDS:
        break;
    }
    return 1;
}

/* __index of response.headers. Upvalue: views. */
static int headers_get(lua_State *L)
{
    const struct gate_response_view *view = check_response(L);
    gate_api_push_header(L, view->headers, view->header_count);
    return 1;
}

/* __index of the attempt of on_response. Upvalues: views, field numbers by name. */
static int response_attempt_get(lua_State *L)
{
    const struct gate_response_view *view = check_response(L);
    enum attempt_field field = (enum attempt_field)gate_api_field(L, 2, "an attempt");
    const struct attempt attempt = {view->number,   view->account, view->alias,
                                    view->provider, view->model,   view->total_us / US_PER_MS};
    push_attempt_field(L, field, &attempt);
    return 1;
}

static void make_response(lua_State *L, struct gate_views *views)
{
    lua_pushlightuserdata(L, views);
    gate_api_push_fields(L, RESPONSE_NAMES, RESPONSE_FIELDS);
    lua_pushlightuserdata(L, views);
    lua_pushcclosure(L, headers_get, 1);
    gate_api_make_object(L, "response.headers");
    lua_pushcclosure(L, response_get, 3);
    gate_api_make_object(L, "response");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &RESPONSE_KEY);
}

/* ---------------------------------------------------------------- making the objects */

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
    make_response(L, views);
    make_object(L, views, "attempt", ATTEMPT_NAMES, ATTEMPT_COMMON, response_attempt_get,
                &RESPONSE_ATTEMPT_KEY);
}

void gate_views_push_failure(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &FAILURE_KEY);
}

void gate_views_push_attempt(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ATTEMPT_KEY);
}

void gate_views_push_response(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &RESPONSE_KEY);
}

void gate_views_push_response_attempt(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &RESPONSE_ATTEMPT_KEY);
}
