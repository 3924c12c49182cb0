/* Reads a script without running it: runs the lexer and the parser, decides which reading of the
 * blocks is believed, and asks Lua about what only its compiler knows. */
#include "script/lint_internal.h"

#include "base/buf.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

enum { COMPILER_MEMORY = 96 << 20 }; /* bytes that Lua may use to compile one file */

static enum gate_lint_file file_of(const char *name)
{
    return strcmp(name, "gateway.lua") == 0    ? GATE_LINT_GATEWAY
           : strcmp(name, "models.lua") == 0   ? GATE_LINT_MODELS
           : strcmp(name, "routing.lua") == 0  ? GATE_LINT_ROUTING
           : strcmp(name, "accounts.lua") == 0 ? GATE_LINT_ACCOUNTS
                                               : GATE_LINT_OTHER;
}

static bool has_line(const struct gate_problems *list, uint32_t line)
{
    for (size_t i = 0; i < list->kept; i++) {
        if (list->list[i].line == line)
            return true;
    }
    return false;
}

/* What a line with a syntax error seems to name is not worth a warning. */
static void drop_noise(struct gate_lint *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->warnings.kept; i++) {
        const struct gate_problem *w = &p->warnings.list[i];
        if (!has_line(&p->lexical, w->line) && !has_line(&p->syntax, w->line))
            p->warnings.list[kept++] = *w;
    }
    p->warnings.count -= p->warnings.kept - kept;
    p->warnings.kept = kept;
}

static void append(struct gate_problems *to, const struct gate_problems *from)
{
    size_t errors = 0;
    for (size_t i = 0; i < from->kept; i++) {
        const struct gate_problem *problem = &from->list[i];
        struct gate_problem *copy = gate_problems_add(to, problem->severity, problem->code,
                                                      problem->file, problem->line, "%s", "");
        *copy = *problem;
        errors += problem->severity == GATE_SEVERITY_ERROR;
    }
    to->count += from->count - from->kept; /* those that were only counted */
    to->errors += from->errors - errors;
}

/* Reads the file as it stands; if blocks do not fit together, once more with the indentation as a
 * guide, which is believed when it needs no more errors. */
static void parse(struct gate_lint *p)
{
    p->guided = false;
    gate_lint_parse(p);
    if (p->unclosed + p->strays == 0)
        return;
    struct gate_problems syntax = p->syntax, warnings = p->warnings;
    p->syntax = p->warnings = (struct gate_problems){0};
    p->guided = true;
    p->may_close = p->unclosed;
    p->may_skip = p->strays;
    gate_lint_parse(p);
    if (p->syntax.count > syntax.count) {
        gate_problems_finish(&p->syntax);
        gate_problems_finish(&p->warnings);
        p->syntax = syntax;
        p->warnings = warnings;
    } else {
        gate_problems_finish(&syntax);
        gate_problems_finish(&warnings);
    }
}

void gate_lint_read(const char *file, struct gate_str text, struct gate_problems *out)
{
    struct gate_lint *p = gate_calloc(1, sizeof *p);
    struct gate_problems found = {0};
    p->name = file;
    p->file = file_of(file);
    p->text = text;
    gate_lint_lex(p);
    parse(p);
    drop_noise(p);
    append(&found, &p->lexical);
    append(&found, &p->syntax);
    append(&found, &p->warnings);
    gate_problems_sort(&found);
    append(out, &found);
    gate_problems_finish(&found);
    gate_problems_finish(&p->lexical);
    gate_problems_finish(&p->syntax);
    gate_problems_finish(&p->warnings);
    free(p->tokens);
    free(p->symbols);
    free(p->slots);
    free(p->variables);
    free(p->labels);
    free(p->jumps);
    free(p);
}

/* ---------------------------------------------------------------- Lua's own compiler */

static void *allocate(void *ctx, void *block, size_t old, size_t size)
{
    size_t *left = ctx;
    if (block == NULL)
        old = 0; /* it tells the type of the object then */
    if (size > old && size - old > *left)
        return NULL;
    void *made = NULL;
    if (size == 0)
        free(block);
    else if ((made = realloc(block, size)) == NULL)
        return NULL;
    *left = *left + old - size;
    return made;
}

/* Limits of the code that Lua makes (registers, upvalues, lengths of jumps) cannot be seen in the
 * text, so a file without other errors is compiled. Nothing of it runs. */
static void compile(const char *file, struct gate_str text, struct gate_problems *out)
{
    size_t left = COMPILER_MEMORY;
    lua_State *L = lua_newstate(allocate, &left);
    if (L == NULL)
        return;
    if (gate_str_starts(text, GATE_STR("\xEF\xBB\xBF"))) {
        text.ptr += 3;
        text.len -= 3;
    }
    int status = luaL_loadbufferx(L, text.ptr, text.len, "=c.lua", "t");
    if (status != LUA_OK && status != LUA_ERRMEM) { /* memory is no fault of the text */
        struct gate_error err;
        struct gate_problem *problem;
        gate_fail(&err, GATE_EINVAL, "%s",
                  lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "Lua does not compile it");
        problem = gate_problems_add_error(out, "syntax", &err);
        snprintf(problem->file, sizeof problem->file, "%s", file);
    }
    lua_close(L);
}

void gate_lint(const char *file, struct gate_str text, struct gate_problems *out)
{
    size_t errors = out->errors;
    gate_lint_read(file, text, out);
    if (out->errors == errors)
        compile(file, text, out);
}
