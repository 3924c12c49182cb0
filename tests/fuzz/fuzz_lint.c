/*
 * fuzz_lint: feeds any bytes to lint. It must find an error exactly where Lua refuses the text, and
 * what it reports must lie in the text. The size chooses the file that the text is read as.
 */
#include "script/lint_internal.h"

#include <lauxlib.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

/* Limits of what Lua's compiler makes of a text, which reading alone cannot see. */
static bool is_of_compiler(const char *message)
{
    return strstr(message, "registers") != NULL || strstr(message, "upvalues") != NULL ||
           strstr(message, "structure too long") != NULL ||
           strstr(message, "limit is 32767") != NULL;
}

static void check(const struct gate_problems *found, size_t size)
{
    size_t errors = 0;
    for (size_t i = 0; i < found->kept; i++) {
        const struct gate_problem *p = &found->list[i];
        errors += p->severity == GATE_SEVERITY_ERROR;
        require(p->line <= size + 1 && p->column <= size + 2, "a place lies in the text");
        require(p->end_column == 0 || p->end_column >= p->column, "a mark ends behind its start");
        require(p->message[0] != '\0' && p->code[0] != '\0', "a problem says what it is");
    }
    require(found->kept < found->count ? errors <= found->errors : errors == found->errors,
            "errors are counted");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const files[] = {"routing.lua", "accounts.lua", "gateway.lua", "models.lua"};
    const char *file = files[size % (sizeof files / sizeof files[0])];
    struct gate_str text = {(const char *)data, size};
    struct gate_problems read = {0}, all = {0};
    lua_State *L = luaL_newstate();
    require(L != NULL, "there is memory");
    size_t skip = gate_str_starts(text, GATE_STR("\xEF\xBB\xBF")) ? 3 : 0;
    int status = luaL_loadbufferx(L, text.ptr + skip, text.len - skip, "=f", "t");
    const char *message = status != LUA_OK ? lua_tostring(L, -1) : "";
    gate_lint_read(file, text, &read);
    gate_lint(file, text, &all);
    check(&read, text.len);
    check(&all, text.len);
    require((all.errors > 0) == (status != LUA_OK), "lint and Lua agree");
    require((read.errors > 0) == (status != LUA_OK) || is_of_compiler(message),
            "reading alone agrees with Lua");
    gate_problems_finish(&read);
    gate_problems_finish(&all);
    lua_close(L);
    return 0;
}
