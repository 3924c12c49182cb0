/* The request view and the `gate` table. */
#include "script/api.h"

#include "base/clock.h"
#include "base/log.h"
#include "script/sandbox.h"

#include <assert.h>

enum {
    LOG_COST = 1000,     /* steps of one gate.log: it may make a system call */
    BYTES_PER_TOKEN = 4, /* of req.prompt_tokens, which is a guess */
};

static const char REQUEST_KEY; /* registry key of the request object */

/* ---------------------------------------------------------------- read-only objects */

void gate_api_push_str(lua_State *L, struct gate_str s)
{
    lua_pushlstring(L, s.len > 0 ? s.ptr : "", s.len);
}

void gate_api_push_count(lua_State *L, uint64_t n)
{
    lua_pushinteger(L, n < LUA_MAXINTEGER ? (lua_Integer)n : LUA_MAXINTEGER);
}

enum { FIELD_SLOTS = 4 * GATE_API_FIELDS };

/* Fields by the address of their name. Lua has one copy of a short string, and the table of names
 * (the block's user value) keeps these alive, so an address that is found here is that name. It
 * halves the time of a lookup, which is most of what a script costs. */
struct fields {
    struct {
        const void *name;
        int field;
    } slots[FIELD_SLOTS];
};

static size_t slot_of(const void *name)
{
    uintptr_t p = (uintptr_t)name >> 4;
    return (p ^ p >> 7) % FIELD_SLOTS;
}

void gate_api_push_fields(lua_State *L, const char *const *names, int count)
{
    assert(count <= GATE_API_FIELDS);
    struct fields *fields = lua_newuserdatauv(L, sizeof *fields, 1);
    *fields = (struct fields){0};
    lua_createtable(L, 0, count);
    for (int i = 0; i < count; i++) {
        lua_pushstring(L, names[i]);
        const void *name = lua_topointer(L, -1);
        size_t slot = slot_of(name);
        while (fields->slots[slot].name != NULL)
            slot = (slot + 1) % FIELD_SLOTS;
        fields->slots[slot].name = name;
        fields->slots[slot].field = i;
        lua_pushinteger(L, i);
        lua_rawset(L, -3);
    }
    lua_setiuservalue(L, -2, 1);
}

int gate_api_field(lua_State *L, int upvalue, const char *owner)
{
    const struct fields *fields = lua_touserdata(L, lua_upvalueindex(upvalue));
    const void *name = lua_topointer(L, 2);
    for (size_t slot = slot_of(name); fields->slots[slot].name != NULL;
         slot = (slot + 1) % FIELD_SLOTS) {
        if (fields->slots[slot].name == name)
            return fields->slots[slot].field;
    }
    return luaL_error(L, "%s has no field '%s'", owner,
                      lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2));
}

static int refuse_write(lua_State *L)
{
    return luaL_error(L, "%s is read-only", lua_tostring(L, lua_upvalueindex(1)));
}

void gate_api_make_metatable(lua_State *L, const char *name)
{
    lua_createtable(L, 0, 5);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_pushcclosure(L, refuse_write, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
}

void gate_api_make_object(lua_State *L, const char *name)
{
    gate_api_make_metatable(L, name);
    lua_newuserdatauv(L, 0, 0);
    lua_insert(L, -2);
    lua_setmetatable(L, -2);
}

/* ---------------------------------------------------------------- request */

enum field {
    FIELD_MODEL,
    FIELD_STREAM,
    FIELD_MESSAGES,
    FIELD_TOOLS,
    FIELD_HAS_TOOLS,
    FIELD_HAS_IMAGES,
    FIELD_BODY_BYTES,
    FIELD_PROMPT_TOKENS,
    FIELD_MAX_TOKENS,
    FIELD_KEY,
    FIELD_PATH,
    FIELD_HEADERS,
    FIELDS,
};

static const char *const FIELD_NAMES[FIELDS] = {
    [FIELD_MODEL] = "model",
    [FIELD_STREAM] = "stream",
    [FIELD_MESSAGES] = "messages",
    [FIELD_TOOLS] = "tools",
    [FIELD_HAS_TOOLS] = "has_tools",
    [FIELD_HAS_IMAGES] = "has_images",
    [FIELD_BODY_BYTES] = "body_bytes",
    [FIELD_PROMPT_TOKENS] = "prompt_tokens",
    [FIELD_MAX_TOKENS] = "max_tokens",
    [FIELD_KEY] = "key",
    [FIELD_PATH] = "path",
    [FIELD_HEADERS] = "headers",
};

static const struct gate_route_view *check_view(lua_State *L)
{
    const struct gate_api *api = lua_touserdata(L, lua_upvalueindex(1));
    if (api->view == NULL)
        luaL_error(L, "the request can be read only while the function runs that it was given to");
    return api->view;
}

/* __index of the request. Upvalues: api, field numbers by name, the headers object. */
static int request_get(lua_State *L)
{
    const struct gate_route_view *view = check_view(L);
    const struct gate_request_facts *facts = view->facts;
    switch ((enum field)gate_api_field(L, 2, "a request")) {
    case FIELD_MODEL:
        gate_api_push_str(L, view->model);
        break;
    case FIELD_STREAM:
        lua_pushboolean(L, facts->stream);
        break;
    case FIELD_MESSAGES:
        lua_pushinteger(L, facts->message_count);
        break;
    case FIELD_TOOLS:
        lua_pushinteger(L, facts->tool_count);
        break;
    case FIELD_HAS_TOOLS:
        lua_pushboolean(L, facts->tool_count > 0);
        break;
    case FIELD_HAS_IMAGES:
        lua_pushboolean(L, facts->has_images);
        break;
    case FIELD_BODY_BYTES:
        lua_pushinteger(L, (lua_Integer)view->body_bytes);
        break;
    case FIELD_PROMPT_TOKENS:
        lua_pushinteger(L, (lua_Integer)view->body_bytes / BYTES_PER_TOKEN);
        break;
    case FIELD_MAX_TOKENS:
        gate_api_push_count(L, facts->max_tokens);
        break;
    case FIELD_KEY:
        gate_api_push_str(L, view->key_name);
        break;
    case FIELD_PATH:
        gate_api_push_str(L, view->path);
        break;
    case FIELD_HEADERS:
        lua_pushvalue(L, lua_upvalueindex(3));
        break;
    case FIELDS:
        break;
    }
    return 1;
}

static bool same_name(struct gate_str lower, struct gate_str name)
{
    if (lower.len != name.len)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c != lower.ptr[i])
            return false;
    }
    return true;
}

void gate_api_push_header(lua_State *L, const struct gate_header *headers, size_t count)
{
    struct gate_str name;
    name.ptr = luaL_checklstring(L, 2, &name.len);
    for (size_t i = 0; i < count; i++) {
        if (same_name(headers[i].name, name)) {
            gate_api_push_str(L, headers[i].value);
            return;
        }
    }
    lua_pushnil(L);
}

/* __index of req.headers. Upvalue: api. */
static int headers_get(lua_State *L)
{
    const struct gate_route_view *view = check_view(L);
    gate_api_push_header(L, view->headers, view->header_count);
    return 1;
}

static void make_request(lua_State *L, struct gate_api *api)
{
    lua_pushlightuserdata(L, api);
    gate_api_push_fields(L, FIELD_NAMES, FIELDS);
    lua_pushlightuserdata(L, api);
    lua_pushcclosure(L, headers_get, 1);
    gate_api_make_object(L, "req.headers");
    lua_pushcclosure(L, request_get, 3);
    gate_api_make_object(L, "req");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &REQUEST_KEY);
}

void gate_api_push_request(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &REQUEST_KEY);
}

/* ---------------------------------------------------------------- gate */

/* True if one more line may be written now. */
static bool may_log(struct gate_api *api)
{
    uint64_t second = gate_clock_mono_ms() / 1000;
    if (second != api->log_second) {
        if (api->log_dropped > 0)
            gate_log_warn("script: %u lines of gate.log were dropped, %d a second are written",
                          api->log_dropped, GATE_API_LOG_LINES);
        api->log_second = second;
        api->log_lines = api->log_dropped = 0;
    }
    if (api->log_lines >= GATE_API_LOG_LINES) {
        api->log_dropped++;
        return false;
    }
    api->log_lines++;
    return true;
}

/* gate.log(level, message) */
static int api_log(lua_State *L)
{
    static const char *const names[] = {"debug", "info", "warn", "error", NULL};
    struct gate_api *api = lua_touserdata(L, lua_upvalueindex(1));
    enum gate_log_level level = (enum gate_log_level)luaL_checkoption(L, 1, NULL, names);
    struct gate_str message;
    char text[GATE_API_LOG_MESSAGE + 1];
    message.ptr = luaL_checklstring(L, 2, &message.len);
    gate_sandbox_charge(L, LOG_COST);
    if (api->silent || level < gate_log_level_now() || !may_log(api))
        return 0;
    size_t len = message.len < GATE_API_LOG_MESSAGE ? message.len : GATE_API_LOG_MESSAGE;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)message.ptr[i];
        text[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    text[len] = '\0';
    luaL_where(L, 1); /* "routing.lua:12: " */
    gate_log(level, "script: %s%s", lua_tostring(L, -1), text);
    return 0;
}

/* FNV-1a, then a mix of the bits so that the low ones, which `% 100` uses, depend on all bytes. */
uint64_t gate_api_hash(struct gate_str s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * UINT64_C(0x100000001b3);
    h = (h ^ (h >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ (h >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return (h ^ (h >> 33)) >> 1; /* fits a Lua integer, never negative */
}

/* gate.hash(text) */
static int api_hash(lua_State *L)
{
    struct gate_str s;
    s.ptr = luaL_checklstring(L, 1, &s.len);
    gate_sandbox_charge(L, s.len / GATE_SANDBOX_BYTES_PER_STEP);
    lua_pushinteger(L, (lua_Integer)gate_api_hash(s));
    return 1;
}

void gate_api_open(lua_State *L, void *ctx)
{
    static const luaL_Reg functions[] = {{"log", api_log}, {"hash", api_hash}, {NULL, NULL}};
    make_request(L, ctx);
    luaL_newlibtable(L, functions);
    lua_pushlightuserdata(L, ctx);
    luaL_setfuncs(L, functions, 1);
    gate_api_add_time(L, ctx);
    gate_api_add_notes(L, ctx);
    gate_api_add_accounts(L, ctx);
    gate_sandbox_readonly(L, "gate");
    lua_setfield(L, -2, "gate");
}
