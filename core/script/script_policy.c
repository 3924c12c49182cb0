/* The functions of conf/accounts.lua: which account serves, and what happens when one fails. */
#include "script/policy.h"

#include "script/script_internal.h"

#define ACCOUNTS "accounts.lua"

enum {
    SHOWN_NAME = 96,    /* bytes of a foreign name in messages */
    NAMES_PER_STEP = 4, /* names that are compared for the price of one instruction */
};

static const char SELECT_KEY, ON_ERROR_KEY, ON_RESPONSE_KEY; /* registry keys of the functions */

/* ---------------------------------------------------------------- loading */

/* Keeps the function `name` of the table on top of the stack, if there is one. */
static void take_function(lua_State *L, struct gate_script_function *f, const char *name,
                          const char *arguments, const void *key)
{
    lua_pushstring(L, name);
    int type = lua_rawget(L, -2);
    if (type == LUA_TFUNCTION) {
        gate_script_keep(L, f, ACCOUNTS, name, key);
        return;
    }
    if (type != LUA_TNIL)
        luaL_error(L, "%s is a %s, expected a function %s(%s)", name, lua_typename(L, type), name,
                   arguments);
    lua_pop(L, 1);
}

int gate_script_load_accounts(lua_State *L)
{
    const struct gate_script_load *load = lua_touserdata(L, 1);
    struct gate_script_functions *functions = load->functions;
    struct gate_str text;
    gate_generation_accounts(load->generation, &text);
    gate_sandbox_run(L, ACCOUNTS, text, -1);
    if (!lua_istable(L, -1))
        return luaL_error(L, "the file returned %s, expected a table: end it with return { ... }",
                          lua_isnil(L, -1) ? "nothing" : luaL_typename(L, -1));
    struct gate_policy_store *store = gate_generation_policy_store(load->generation);
    if (store != NULL)
        gate_policy_read(L, store);
    take_function(L, &functions->select, "select", "accounts, req", &SELECT_KEY);
    take_function(L, &functions->on_error, "on_error", "failure, attempt, req", &ON_ERROR_KEY);
    take_function(L, &functions->on_response, "on_response", "response, attempt, req",
                  &ON_RESPONSE_KEY);
    return 0;
}

/* ---------------------------------------------------------------- select */

struct select_call {
    struct gate_script *script;
    struct gate_selection *out;
};

/* The place of the account with that id or, if there is none, with that alias. */
static bool find_name(lua_State *L, struct gate_views *views, struct gate_str name, size_t *place)
{
    size_t count = views->accounts->count;
    size_t alias = count;
    gate_sandbox_charge(L, count / NAMES_PER_STEP);
    for (size_t i = 0; i < count; i++) {
        const struct gate_account_facts *facts = gate_views_facts(views, 0, i);
        *place = i;
        if (gate_str_eq(facts->id, name))
            return true;
        if (alias == count && gate_str_eq(facts->alias, name))
            alias = i;
    }
    *place = alias;
    return alias < count;
}

/* The place of the account of that id or alias; false: it is one of those to be passed over. */
static bool place_of_name(lua_State *L, const struct select_call *call, struct gate_str name,
                          size_t *place)
{
    struct gate_views *views = &call->script->views;
    const struct gate_select_view *view = views->accounts;
    if (find_name(L, views, name, place))
        return true;
    if (view->known == NULL || !view->known(view->ctx, name))
        gate_script_refuse(L, &call->script->functions.select,
                           "\"%.*s\", which is not among the accounts offered",
                           (int)(name.len < SHOWN_NAME ? name.len : SHOWN_NAME), name.ptr);
    return false; /* it rests, or was tried: the others of the list decide */
}

/* Adds the account or name on top of the stack to the selection, unless it is there already. An
 * account that gate.accounts gave counts as its id. */
static void add_selected(lua_State *L, const struct select_call *call)
{
    struct gate_views *views = &call->script->views;
    struct gate_selection *out = call->out;
    struct gate_str name;
    size_t source = 0, place;
    if (lua_type(L, -1) == LUA_TSTRING) {
        name.ptr = lua_tolstring(L, -1, &name.len);
        if (!place_of_name(L, call, name, &place))
            return;
    } else if (!gate_views_account(L, views, -1, &source, &place)) {
        gate_script_refuse(L, &call->script->functions.select,
                           "a %s that is no account, expected accounts, ids or aliases",
                           luaL_typename(L, -1));
    } else if (source != 0 &&
               !place_of_name(L, call, gate_views_facts(views, source, place)->id, &place)) {
        return;
    }
    for (size_t i = 0; i < out->count; i++) {
        if (out->order[i] == place)
            return;
    }
    out->order[out->count++] = place;
}

/* The table on top of the stack is a list of accounts and names. */
static void read_selected(lua_State *L, const struct select_call *call)
{
    const struct gate_script_function *select = &call->script->functions.select;
    lua_Integer last = gate_script_list(L, select);
    if (last == 0)
        gate_script_refuse(
            L, select, "a table that is no list of accounts, or empty (nil: the strategy decides)");
    for (lua_Integer i = 1; i <= last && call->out->count < GATE_POLICY_MAX_SELECTED; i++) {
        if (lua_rawgeti(L, -1, i) == LUA_TNIL)
            gate_script_refuse(L, select, "a list with a hole: item %lld is nil", (long long)i);
        add_selected(L, call);
        lua_pop(L, 1);
    }
}

static int call_select(lua_State *L)
{
    const struct select_call *call = lua_touserdata(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &SELECT_KEY);
    gate_views_push_accounts(L, &call->script->views);
    gate_api_push_request(L);
    lua_call(L, 2, 1);
    call->out->only = !lua_isnil(L, -1);
    switch (lua_type(L, -1)) {
    case LUA_TNIL:
        break;
    case LUA_TLIGHTUSERDATA:
    case LUA_TSTRING:
        add_selected(L, call);
        break;
    case LUA_TTABLE:
        read_selected(L, call);
        break;
    default:
        gate_script_refuse(L, &call->script->functions.select,
                           "a %s, expected nil, an account, an id or alias, or a list of these",
                           luaL_typename(L, -1));
    }
    return 0;
}

bool gate_script_has_select(const struct gate_script *s)
{
    return s->functions.select.file != NULL;
}

enum gate_status gate_script_select(struct gate_script *s, const struct gate_select_view *accounts,
                                    const struct gate_route_view *req, struct gate_selection *out,
                                    struct gate_error *err)
{
    out->count = 0;
    out->only = false;
    if (s->functions.select.file == NULL || accounts->count == 0)
        return GATE_OK;
    struct select_call call = {s, out};
    enum gate_status status = gate_views_begin(&s->views, accounts, err);
    if (status != GATE_OK)
        return status;
    s->api.view = req;
    status = gate_script_call(s, ACCOUNTS, &GATE_SCRIPT_CALL_LIMITS, call_select, &call, err);
    s->api.view = NULL;
    gate_views_end(&s->views);
    if (status != GATE_OK) {
        out->count = 0;
        out->only = false;
    }
    return status;
}

/* ---------------------------------------------------------------- on_error */

struct error_call {
    const struct gate_script_function *on_error;
    struct gate_error_decision *out;
};

/* The name of an action on top of the stack. */
static enum gate_action read_action(lua_State *L, const struct error_call *call)
{
    struct gate_str name;
    name.ptr = lua_tolstring(L, -1, &name.len);
    for (unsigned i = 0; i < GATE_ACTIONS; i++) {
        if (gate_str_eq(name, gate_str_of(gate_action_names[i])))
            return (enum gate_action)i;
    }
    gate_script_refuse(L, call->on_error,
                       "the action \"%.*s\", expected retry, next_account, next_target, fail or "
                       "default",
                       (int)(name.len < SHOWN_NAME ? name.len : SHOWN_NAME), name.ptr);
}

/* The cooldown on top of the stack. */
static uint64_t read_cooldown(lua_State *L, const struct gate_script_function *f)
{
    int is_whole = 0;
    lua_Integer ms = lua_tointegerx(L, -1, &is_whole);
    if (lua_type(L, -1) != LUA_TNUMBER)
        gate_script_refuse(L, f, "a cooldown_ms that is a %s, expected milliseconds (0 to %d)",
                           luaL_typename(L, -1), GATE_POLICY_MAX_COOLDOWN_MS);
    if (!is_whole || ms < 0 || ms > GATE_POLICY_MAX_COOLDOWN_MS)
        gate_script_refuse(L, f, "a cooldown_ms of %.14g, expected whole milliseconds (0 to %d)",
                           (double)lua_tonumber(L, -1), GATE_POLICY_MAX_COOLDOWN_MS);
    return (uint64_t)ms;
}

/* One field of the table; key and value are on top of the stack. */
static void read_field(lua_State *L, const struct error_call *call)
{
    struct gate_str key = {NULL, 0};
    if (lua_type(L, -2) == LUA_TSTRING)
        key.ptr = lua_tolstring(L, -2, &key.len);
    if (gate_str_eq(key, GATE_STR("action"))) {
        if (lua_type(L, -1) != LUA_TSTRING)
            gate_script_refuse(L, call->on_error, "an action that is a %s, expected its name",
                               luaL_typename(L, -1));
        call->out->action = read_action(L, call);
    } else if (gate_str_eq(key, GATE_STR("cooldown_ms"))) {
        call->out->cooldown_ms = read_cooldown(L, call->on_error);
        call->out->has_cooldown = true;
    } else if (key.ptr != NULL) {
        gate_script_refuse(L, call->on_error,
                           "a table with the unknown key '%.*s', expected action or cooldown_ms",
                           (int)(key.len < SHOWN_NAME ? key.len : SHOWN_NAME), key.ptr);
    } else {
        gate_script_refuse(L, call->on_error,
                           "a table with a key that is a %s, expected action or cooldown_ms",
                           luaL_typename(L, -2));
    }
}

static int call_on_error(lua_State *L)
{
    const struct error_call *call = lua_touserdata(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ON_ERROR_KEY);
    gate_views_push_failure(L);
    gate_views_push_attempt(L);
    gate_api_push_request(L);
    lua_call(L, 3, 1);
    switch (lua_type(L, -1)) {
    case LUA_TNIL:
        break;
    case LUA_TSTRING:
        call->out->action = read_action(L, call);
        break;
    case LUA_TTABLE:
        lua_pushnil(L);
        while (lua_next(L, -2)) {
            read_field(L, call);
            lua_pop(L, 1);
        }
        break;
    default:
        gate_script_refuse(L, call->on_error,
                           "a %s, expected nil, the name of an action, or a table with action and "
                           "cooldown_ms",
                           luaL_typename(L, -1));
    }
    return 0;
}

bool gate_script_has_on_error(const struct gate_script *s)
{
    return s->functions.on_error.file != NULL;
}

enum gate_status gate_script_on_error(struct gate_script *s, const struct gate_error_view *failure,
                                      const struct gate_route_view *req,
                                      struct gate_error_decision *out, struct gate_error *err)
{
    *out = (struct gate_error_decision){0};
    if (s->functions.on_error.file == NULL)
        return GATE_OK;
    struct error_call call = {&s->functions.on_error, out};
    s->api.view = req;
    s->views.failure = failure;
    enum gate_status status =
        gate_script_call(s, ACCOUNTS, &GATE_SCRIPT_CALL_LIMITS, call_on_error, &call, err);
    s->views.failure = NULL;
    s->api.view = NULL;
    if (status != GATE_OK)
        *out = (struct gate_error_decision){0};
    return status;
}

/* ---------------------------------------------------------------- on_response */

struct response_call {
    const struct gate_script_function *on_response;
    struct gate_response_decision *out;
};

/* One field of the table; key and value are on top of the stack. */
static void read_response_field(lua_State *L, const struct response_call *call)
{
    struct gate_str key = {NULL, 0};
    if (lua_type(L, -2) == LUA_TSTRING)
        key.ptr = lua_tolstring(L, -2, &key.len);
    if (key.ptr == NULL)
        gate_script_refuse(L, call->on_response,
                           "a table with a key that is a %s, expected cooldown_ms",
                           luaL_typename(L, -2));
    if (!gate_str_eq(key, GATE_STR("cooldown_ms")))
        gate_script_refuse(L, call->on_response,
                           "a table with the unknown key '%.*s', expected cooldown_ms",
                           (int)(key.len < SHOWN_NAME ? key.len : SHOWN_NAME), key.ptr);
    call->out->cooldown_ms = read_cooldown(L, call->on_response);
}

static int call_on_response(lua_State *L)
{
    const struct response_call *call = lua_touserdata(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ON_RESPONSE_KEY);
    gate_views_push_response(L);
    gate_views_push_response_attempt(L);
    gate_api_push_request(L);
    lua_call(L, 3, 1);
    if (lua_isnil(L, -1))
        return 0;
    if (!lua_istable(L, -1))
        gate_script_refuse(L, call->on_response, "a %s, expected nil or a table with cooldown_ms",
                           luaL_typename(L, -1));
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        read_response_field(L, call);
        lua_pop(L, 1);
    }
    return 0;
}

bool gate_script_has_on_response(const struct gate_script *s)
{
    return s->functions.on_response.file != NULL;
}

enum gate_status gate_script_on_response(struct gate_script *s,
                                         const struct gate_response_view *response,
                                         const struct gate_route_view *req,
                                         struct gate_response_decision *out, struct gate_error *err)
{
    *out = (struct gate_response_decision){0};
    if (s->functions.on_response.file == NULL)
        return GATE_OK;
    struct response_call call = {&s->functions.on_response, out};
    s->api.view = req;
    s->views.response = response;
    enum gate_status status =
        gate_script_call(s, ACCOUNTS, &GATE_SCRIPT_CALL_LIMITS, call_on_response, &call, err);
    s->views.response = NULL;
    s->api.view = NULL;
    if (status != GATE_OK)
        *out = (struct gate_response_decision){0};
    return status;
}
