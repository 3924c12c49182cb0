/* Runs a file of tests and copies its result out of Lua. */
#include "script/cases.h"

#include "base/buf.h"
#include "script/api.h"
#include "script/generation.h"

#include <stdlib.h>

struct job {
    const struct gate_source *file;
    cJSON *root;   /* owned: everything hangs on it as soon as it exists, since Lua may raise */
    size_t values; /* made so far */
};

/* ---- from Lua to a tree */

__attribute__((noreturn, format(printf, 3, 4))) static void
refuse(lua_State *L, const struct job *job, const char *format, ...)
{
    char text[GATE_ERROR_MAX / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    luaL_error(L, "%s: it returns %s", job->file->name, text);
    abort(); /* luaL_error does not return */
}

/* Is the table on top of the stack a list? Its keys are then 1 to n. */
static bool is_list(lua_State *L, const struct job *job, lua_Unsigned *count)
{
    lua_Unsigned items = 0, names = 0;
    lua_Integer last = 0;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        gate_sandbox_charge(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            names++;
        } else if (lua_isinteger(L, -1) && lua_tointeger(L, -1) > 0) {
            items++;
            last = lua_tointeger(L, -1) > last ? lua_tointeger(L, -1) : last;
        } else {
            refuse(L, job, "a table with a %s as a key", luaL_typename(L, -1));
        }
    }
    if (names > 0 && items > 0)
        refuse(L, job, "a table with both list items and other keys");
    if ((lua_Unsigned)last != items)
        refuse(L, job, "a list with a hole before item %lld", (long long)last);
    *count = items;
    return names == 0;
}

static const char *plain_text(lua_State *L, const struct job *job, int at)
{
    size_t len;
    const char *text = lua_tolstring(L, at, &len);
    if (strlen(text) != len)
        refuse(L, job, "a text with a NUL byte");
    return text;
}

static void copy_value(lua_State *L, struct job *job, cJSON *parent, const char *key, int depth);

/* Copies the members of the table on top of the stack into `into`. */
static void copy_table(lua_State *L, struct job *job, cJSON *into, bool list, lua_Unsigned count,
                       int depth)
{
    for (lua_Unsigned i = 1; list && i <= count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i);
        copy_value(L, job, into, NULL, depth);
        lua_pop(L, 1);
    }
    if (list)
        return;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        copy_value(L, job, into, plain_text(L, job, -2), depth);
        lua_pop(L, 1);
    }
}

/* Hangs it on its parent, or makes it the root. */
static void keep(lua_State *L, struct job *job, cJSON *parent, const char *key, cJSON *value)
{
    bool kept = value != NULL;
    if (parent == NULL)
        job->root = value;
    else if (key == NULL)
        kept = kept && cJSON_AddItemToArray(parent, value);
    else
        kept = kept && cJSON_AddItemToObject(parent, key, value);
    if (kept)
        return;
    if (parent != NULL)
        cJSON_Delete(value);
    luaL_error(L, "%s: not enough memory", job->file->name);
}

/* Copies the value on top of the stack. */
static void copy_value(lua_State *L, struct job *job, cJSON *parent, const char *key, int depth)
{
    lua_Unsigned count = 0;
    bool list;
    gate_sandbox_charge(L, 1);
    if (++job->values > GATE_CASES_MAX_VALUES)
        refuse(L, job, "more than %d values", GATE_CASES_MAX_VALUES);
    if (depth > GATE_CASES_MAX_DEPTH || !lua_checkstack(L, 4))
        refuse(L, job, "tables that are nested more than %d deep", GATE_CASES_MAX_DEPTH);
    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN:
        keep(L, job, parent, key, cJSON_CreateBool(lua_toboolean(L, -1)));
        break;
    case LUA_TNUMBER:
        keep(L, job, parent, key, cJSON_CreateNumber(lua_tonumber(L, -1)));
        break;
    case LUA_TSTRING:
        keep(L, job, parent, key, cJSON_CreateString(plain_text(L, job, -1)));
        break;
    case LUA_TTABLE: {
        list = is_list(L, job, &count);
        cJSON *table = list ? cJSON_CreateArray() : cJSON_CreateObject();
        keep(L, job, parent, key, table);
        copy_table(L, job, table, list, count, depth + 1);
        break;
    }
    default:
        refuse(L, job, "a %s where only tables, texts, numbers and booleans can be",
               luaL_typename(L, -1));
    }
}

static int run_file(lua_State *L)
{
    struct job *job = lua_touserdata(L, 1);
    gate_sandbox_run(L, job->file->name, (struct gate_str){job->file->text, job->file->len}, -1);
    if (!lua_istable(L, -1))
        refuse(L, job, "a %s, expected a list of cases: return { { name = \"...\", ... }, ... }",
               luaL_typename(L, -1));
    copy_value(L, job, NULL, NULL, 0);
    return 0;
}

/* ---- the sandbox */

static enum gate_status find_module(void *generation, struct gate_str name, struct gate_str *text,
                                    struct gate_error *err)
{
    enum gate_status status = gate_generation_module(generation, name, text, err);
    if (status == GATE_EDENIED)
        gate_fail(err, status,
                  "tests have the modules that models.lua, routing.lua and accounts.lua require, "
                  "and '%.*s' is none of them",
                  (int)name.len, name.ptr);
    return status;
}

enum gate_status gate_cases_run(struct gate_generation *g, const struct gate_source *file,
                                cJSON **out, char *stack, struct gate_error *err)
{
    struct gate_api api = {.kv = gate_kv_create(), .counters = gate_counters_create()};
    const struct gate_sandbox_setup setup = {.memory = GATE_SCRIPT_MEMORY,
                                             .globals = gate_api_open,
                                             .globals_ctx = &api,
                                             .module = find_module,
                                             .module_ctx = g};
    struct job job = {.file = file};
    struct gate_sandbox *sandbox;
    stack[0] = '\0';
    enum gate_status status = gate_sandbox_create(&setup, &sandbox, err);
    if (status == GATE_OK) {
        status =
            gate_sandbox_call(sandbox, file->name, &GATE_SCRIPT_LOAD_LIMITS, run_file, &job, err);
        snprintf(stack, GATE_SCRIPT_STACK, "%s", gate_sandbox_stack(sandbox));
        gate_sandbox_destroy(sandbox);
    }
    gate_kv_destroy(api.kv);
    gate_counters_destroy(api.counters);
    if (status != GATE_OK) {
        gate_json_tree_free(job.root);
        return GATE_EINVAL;
    }
    *out = job.root;
    return GATE_OK;
}
