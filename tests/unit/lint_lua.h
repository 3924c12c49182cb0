/* lint_lua: lint against Lua itself, for the tests of lint. */
#ifndef TESTS_LINT_LUA_H
#define TESTS_LINT_LUA_H

#include "script_util.h"

#include "script/lint_internal.h"

/* Limits of what Lua's compiler makes of a text, which reading alone cannot see. */
static inline bool lint_is_of_compiler(const char *message)
{
    return strstr(message, "registers") != NULL || strstr(message, "upvalues") != NULL ||
           strstr(message, "structure too long") != NULL ||
           strstr(message, "limit is 32767") != NULL;
}

/* Lint finds an error if and only if Lua refuses the text. Returns whether Lua accepts it. */
static inline bool lint_compare(struct gate_str text)
{
    struct gate_problems read = {0}, all = {0};
    lua_State *L = luaL_newstate();
    size_t skip = gate_str_starts(text, GATE_STR("\xEF\xBB\xBF")) ? 3 : 0;
    bool ok = luaL_loadbufferx(L, text.ptr + skip, text.len - skip, "=f", "t") == LUA_OK;
    const char *why = ok ? "" : lua_tostring(L, -1);
    gate_lint_read("routing.lua", text, &read);
    gate_lint("routing.lua", text, &all);
    ck_assert_msg(ok == (all.errors == 0), "Lua: %s\nlint: %s\n%.*s", ok ? "fine" : why,
                  all.errors > 0 ? all.list[0].message : "fine", (int)text.len, text.ptr);
    ck_assert_msg(ok == (read.errors == 0) || lint_is_of_compiler(why), "Lua: %s\nlint: %s\n%.*s",
                  ok ? "fine" : why, read.errors > 0 ? read.list[0].message : "fine", (int)text.len,
                  text.ptr);
    for (size_t i = 0; i < all.kept; i++) {
        const struct gate_problem *p = &all.list[i];
        ck_assert(p->line <= text.len + 1 && p->column <= text.len + 2 && p->message[0] != '\0');
        ck_assert(p->end_column == 0 || p->end_column >= p->column);
    }
    gate_problems_finish(&read);
    gate_problems_finish(&all);
    lua_close(L);
    return ok;
}

#endif
