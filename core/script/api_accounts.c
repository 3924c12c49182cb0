/* gate.accounts and gate.provider: the state of any provider's accounts. */
#include "script/api.h"

#include "script/sandbox.h"
#include "script/views.h"

/* The accounts of this call, and the provider that is asked for. */
static const struct gate_accounts_view *check_call(lua_State *L, const char *name,
                                                   struct gate_str *provider)
{
    const struct gate_api *api = lua_touserdata(L, lua_upvalueindex(1));
    luaL_checktype(L, 1, LUA_TSTRING);
    provider->ptr = lua_tolstring(L, 1, &provider->len);
    if (api->view == NULL)
        luaL_error(L, "%s can be called only while a function runs that was given a request", name);
    if (api->view->accounts == NULL)
        luaL_error(L, "%s is not available here: the accounts are not known to this call", name);
    return api->view->accounts;
}

/* gate.accounts(provider) */
static int api_accounts(lua_State *L)
{
    struct gate_str provider;
    const struct gate_accounts_view *all = check_call(L, "gate.accounts", &provider);
    gate_views_push_list(L, all, provider);
    return 1;
}

/* gate.provider(provider) */
static int api_provider(lua_State *L)
{
    struct gate_str provider;
    const struct gate_accounts_view *all = check_call(L, "gate.provider", &provider);
    gate_views_push_provider(L, all, provider);
    return 1;
}

void gate_api_add_accounts(lua_State *L, struct gate_api *api)
{
    static const luaL_Reg functions[] = {
        {"accounts", api_accounts}, {"provider", api_provider}, {NULL, NULL}};
    lua_pushlightuserdata(L, api);
    luaL_setfuncs(L, functions, 1);
}
