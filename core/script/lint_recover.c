/* How lint reports syntax errors and finds the place to go on.
 *
 * An error sets `panic` and everything returns until somebody knows how to go on: a bracket that
 * finds its closer, the head of an `if`, at last the list of statements. Follow-ups of an error are
 * kept quiet: one syntax error a line, none beside an error of the lexer.
 *
 * The parser notices a missing `end` at the end of the file only, and a spare one at the last line
 * of a function. Which one it is shows the indentation: in a guided run a token that begins a line
 * left of the line of the innermost opener closes it. lint.c decides whether that run is believed.
 */
#include "script/lint_internal.h"

#include <assert.h>

enum { MAX_SHOWN_NAME = 40 };

/* ---------------------------------------------------------------- reporting */

const char *gate_lint_show(const struct gate_lint *p, uint32_t token, char *out)
{
    const struct gate_lint_token *t = &p->tokens[token];
    struct gate_str text = gate_lint_text(p, token);
    if (t->type == GATE_TK_EOF)
        snprintf(out, GATE_LINT_SHOWN, "the end of the file");
    else if (t->type == GATE_TK_STRING)
        snprintf(out, GATE_LINT_SHOWN, "a string");
    else
        snprintf(out, GATE_LINT_SHOWN, "'%.*s'",
                 (int)(text.len < MAX_SHOWN_NAME ? text.len : MAX_SHOWN_NAME), text.ptr);
    return out;
}

static bool is_bad_line(const struct gate_lint *p, uint32_t line)
{
    for (uint32_t i = 0; i < p->bad_line_count; i++) {
        if (p->bad_lines[i] == line)
            return true;
    }
    return false;
}

/* Has what is wrong at the token been said already? */
static bool is_noise(const struct gate_lint *p, uint32_t token)
{
    const struct gate_lint_token *t = &p->tokens[token];
    if (p->panic || p->stopped || t->line == p->last_line || (p->lost && t->type == GATE_TK_EOF))
        return true;
    return is_bad_line(p, t->line) || (token > 0 && is_bad_line(p, p->tokens[token - 1].line));
}

static struct gate_problem *add(struct gate_lint *p, uint32_t token, const char *code,
                                const char *format, va_list args)
{
    const struct gate_lint_token *t = &p->tokens[token];
    char text[GATE_PROBLEM_TEXT];
    vsnprintf(text, sizeof text, format, args);
    struct gate_problem *problem =
        gate_problems_add(&p->syntax, GATE_SEVERITY_ERROR, code, p->name, t->line, "%s", text);
    problem->column = t->column;
    problem->end_column = t->flags & GATE_TOKEN_LINES ? 0 : t->column + (t->end - t->at);
    if (p->syntax.count >= GATE_PROBLEMS_MAX) {
        p->stopped = true;
        p->at = p->token_count - 1;
    }
    return problem;
}

/* A syntax error at the token, unless something like it has been said. */
static struct gate_problem *fail(struct gate_lint *p, uint32_t token, const char *format,
                                 va_list args)
{
    bool noise = is_noise(p, token);
    p->panic = true;
    if (noise)
        return NULL;
    p->last_line = p->tokens[token].line;
    return add(p, token, "syntax", format, args);
}

struct gate_problem *gate_lint_error(struct gate_lint *p, uint32_t token, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct gate_problem *problem = fail(p, token, format, args);
    va_end(args);
    return problem;
}

struct gate_problem *gate_lint_missing(struct gate_lint *p, const char *format, ...)
{
    const struct gate_lint_token *t = gate_lint_current(p), *before = t - 1;
    bool begins = t->type == GATE_TK_EOF || t->flags & GATE_TOKEN_FIRST;
    bool first = p->at == 0;
    va_list args;
    va_start(args, format);
    struct gate_problem *problem = fail(p, p->at, format, args);
    va_end(args);
    if (problem != NULL && !first && begins && !(before->flags & GATE_TOKEN_LINES)) {
        p->last_line = problem->line = before->line;
        problem->column = before->column + (before->end - before->at);
        problem->end_column = problem->column + 1;
    }
    return problem;
}

struct gate_problem *gate_lint_fault(struct gate_lint *p, uint32_t token, const char *code,
                                     const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct gate_problem *problem = add(p, token, code, format, args);
    va_end(args);
    return problem;
}

void gate_lint_warn(struct gate_lint *p, uint32_t token, const char *code, const char *format, ...)
{
    const struct gate_lint_token *t = &p->tokens[token];
    char text[GATE_PROBLEM_TEXT];
    va_list args;
    if (p->stopped)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct gate_problem *problem =
        gate_problems_add(&p->warnings, GATE_SEVERITY_WARNING, code, p->name, t->line, "%s", text);
    problem->column = t->column;
    problem->end_column = t->flags & GATE_TOKEN_LINES ? 0 : t->column + (t->end - t->at);
}

bool gate_lint_enter(struct gate_lint *p)
{
    if (++p->depth < GATE_LINT_DEPTH)
        return true;
    if (!p->stopped) {
        gate_lint_fault(p, p->at, "syntax", "this is nested more than %d levels deep",
                        GATE_LINT_DEPTH - 1);
        p->stopped = true;
        p->at = p->token_count - 1;
    }
    return false;
}

void gate_lint_leave(struct gate_lint *p)
{
    p->depth--;
}

/* ---------------------------------------------------------------- openers */

void gate_lint_open(struct gate_lint *p, uint32_t token)
{
    assert(p->opener_count < GATE_LINT_OPENERS);
    p->openers[p->opener_count++] =
        (struct gate_lint_opener){.token = token, .type = p->tokens[token].type};
}

/* The innermost opener; NULL: nothing is open. */
static struct gate_lint_opener *innermost(struct gate_lint *p)
{
    return p->opener_count > 0 ? &p->openers[p->opener_count - 1] : NULL;
}

static bool is_bracket(unsigned type)
{
    return type == GATE_TK('(') || type == GATE_TK('{') || type == GATE_TK('[');
}

static const char *closer_of(unsigned type)
{
    return type == GATE_TK('(')     ? "')'"
           : type == GATE_TK('{')   ? "'}'"
           : type == GATE_TK('[')   ? "']'"
           : type == GATE_TK_REPEAT ? "'until'"
                                    : "'end'";
}

static void mark_opener(const struct gate_lint *p, struct gate_problem *problem, uint32_t token)
{
    problem->open_line = p->tokens[token].line;
    problem->open_column = p->tokens[token].column;
}

void gate_lint_unclosed(struct gate_lint *p)
{
    const struct gate_lint_opener *o = innermost(p);
    uint32_t token = o->else_if > 0 ? o->else_if : o->token;
    const struct gate_lint_token *t = gate_lint_current(p);
    char name[GATE_LINT_SHOWN], found[GATE_LINT_SHOWN], where[GATE_LINT_SHOWN + 32] = "";
    p->unclosed++;
    if (p->left && p->may_close > 0)
        p->may_close--;
    p->left = false;
    p->opener_count--;
    if (p->stopped || (p->lost && t->type == GATE_TK_EOF))
        return;
    gate_lint_show(p, p->at, found);
    if (t->type == GATE_TK_EOF)
        snprintf(where, sizeof where, "before the end of the file");
    else
        snprintf(where, sizeof where, "before %s at line %u", found, t->line);
    struct gate_problem *problem =
        gate_lint_fault(p, token, "unclosed", "this %s is never closed: %s expected %s%s",
                        gate_lint_show(p, token, name), closer_of(p->tokens[token].type), where,
                        o->else_if > 0 ? " ('elseif', in one word, needs none of its own)" : "");
    mark_opener(p, problem, token);
}

static bool closes(unsigned type)
{
    return type == GATE_TK_END || type == GATE_TK_ELSE || type == GATE_TK_ELSEIF ||
           type == GATE_TK_UNTIL || type == GATE_TK(')') || type == GATE_TK('}') ||
           type == GATE_TK(']');
}

/* Does token i begin a line that is as far to the left as the line of the opener? Beginning in the
 * same column means that only where the lines between are indented. */
static bool is_outside(const struct gate_lint *p, uint32_t i, uint32_t opener)
{
    const struct gate_lint_token *o = &p->tokens[opener], *t = &p->tokens[i];
    if (!(t->flags & GATE_TOKEN_FIRST) || t->type == GATE_TK_EOF || t->line <= o->line)
        return false;
    if (t->indent != o->indent || closes(t->type))
        return t->indent < o->indent;
    return t[-1].indent > o->indent || (is_bracket(o->type) && o[1].line == o->line);
}

bool gate_lint_is_left(struct gate_lint *p)
{
    const struct gate_lint_opener *o = innermost(p);
    if (p->guided && p->may_close > 0 && o != NULL && is_outside(p, p->at, o->token))
        p->left = true;
    return p->left;
}

/* ---------------------------------------------------------------- brackets */

static bool begins_statement(unsigned type)
{
    return type == GATE_TK_LOCAL || type == GATE_TK_IF || type == GATE_TK_WHILE ||
           type == GATE_TK_FOR || type == GATE_TK_REPEAT || type == GATE_TK_RETURN ||
           type == GATE_TK_BREAK || type == GATE_TK_GOTO || type == GATE_TK_DO ||
           type == GATE_TK_DBCOLON;
}

/* The place of the closer of the innermost bracket, if it is near and nothing says that it belongs
 * to another; 0: there is none. Passes whole functions by. */
static uint32_t find_closer(const struct gate_lint *p, uint32_t opener, unsigned closer)
{
    uint32_t brackets = 0, blocks = 0, limit = p->at + GATE_LINT_SCAN;
    for (uint32_t i = p->at; i + 1 < p->token_count && i < limit; i++) {
        const struct gate_lint_token *t = &p->tokens[i];
        if (brackets == 0 && blocks == 0 && t->type == closer)
            return i;
        if (t->type == GATE_TK_FUNCTION ||
            (blocks > 0 &&
             (t->type == GATE_TK_IF || t->type == GATE_TK_DO || t->type == GATE_TK_REPEAT))) {
            blocks++;
        } else if (blocks > 0) {
            blocks -= t->type == GATE_TK_END || t->type == GATE_TK_UNTIL;
        } else if (is_bracket(t->type)) {
            brackets++;
        } else if (t->type == GATE_TK(')') || t->type == GATE_TK('}') || t->type == GATE_TK(']')) {
            if (brackets == 0)
                return 0;
            brackets--;
        } else if (begins_statement(t->type) || t->type == GATE_TK_END ||
                   is_outside(p, i, opener)) {
            return 0;
        }
    }
    return 0;
}

static void expect_closer(struct gate_lint *p, uint32_t opener, bool found)
{
    const struct gate_lint_token *o = &p->tokens[opener];
    char name[GATE_LINT_SHOWN], now[GATE_LINT_SHOWN], place[48] = "";
    struct gate_problem *problem;
    if (o->line != gate_lint_current(p)->line)
        snprintf(place, sizeof place, " at line %u, column %u", o->line, o->column);
    gate_lint_show(p, opener, name);
    if (found && o->type != GATE_TK('['))
        problem = gate_lint_missing(p, "',' or %s expected, not %s", closer_of(o->type),
                                    gate_lint_show(p, p->at, now));
    else
        problem =
            gate_lint_missing(p, "%s expected to close %s%s", closer_of(o->type), name, place);
    if (problem == NULL)
        return;
    mark_opener(p, problem, opener);
    if (!found)
        snprintf(problem->code, sizeof problem->code, "unclosed");
}

void gate_lint_close_bracket(struct gate_lint *p)
{
    const struct gate_lint_opener *o = innermost(p);
    unsigned closer = o->type == GATE_TK('(')   ? GATE_TK(')')
                      : o->type == GATE_TK('{') ? GATE_TK('}')
                                                : GATE_TK(']');
    bool is_left = !p->panic && gate_lint_is_left(p);
    if (!is_left && gate_lint_take(p, closer)) {
        p->opener_count--;
        return;
    }
    if (!p->panic && (is_left || gate_lint_type(p) == GATE_TK_EOF)) {
        gate_lint_unclosed(p);
        return;
    }
    uint32_t opener = o->token, found = find_closer(p, opener, closer);
    expect_closer(p, opener, found > 0);
    p->opener_count--;
    if (found > 0 && !p->stopped) {
        p->at = found + 1;
        p->panic = false;
    }
}

/* ---------------------------------------------------------------- blocks */

/* Is there an opener of the type around that a token here could belong to? Those of the function at
 * hand only, unless it is a bracket, which may be around a function. */
static bool is_open(const struct gate_lint *p, unsigned type)
{
    for (uint32_t i = p->opener_count; i > 0; i--) {
        unsigned opener = p->openers[i - 1].type;
        if (opener == type)
            return type != GATE_TK_IF || !p->openers[i - 1].has_else;
        if (opener == GATE_TK_FUNCTION && !is_bracket(type))
            return false;
    }
    return false;
}

static bool has_opener(const struct gate_lint *p, unsigned type)
{
    switch (type) {
    case GATE_TK_END:
        return p->opener_count > 0;
    case GATE_TK_ELSE:
    case GATE_TK_ELSEIF:
        return is_open(p, GATE_TK_IF);
    case GATE_TK_UNTIL:
        return is_open(p, GATE_TK_REPEAT);
    case GATE_TK(')'):
        return is_open(p, GATE_TK('('));
    case GATE_TK('}'):
        return is_open(p, GATE_TK('{'));
    case GATE_TK(']'):
        return is_open(p, GATE_TK('['));
    case GATE_TK(','):
        return is_open(p, GATE_TK('(')) || is_open(p, GATE_TK('{'));
    default:
        return false;
    }
}

/* In a guided run: an `end` to the right of the line that it would close is one too many. */
static bool is_spare(const struct gate_lint *p, const struct gate_lint_token *t)
{
    if (!p->guided || p->may_skip == 0 || t->type != GATE_TK_END || p->opener_count == 0 ||
        !(t->flags & GATE_TOKEN_FIRST))
        return false;
    const struct gate_lint_token *o = &p->tokens[p->openers[p->opener_count - 1].token];
    return t->line > o->line && t->indent > o->indent;
}

bool gate_lint_ends_block(struct gate_lint *p)
{
    struct gate_lint_token *t = gate_lint_current(p);
    bool spare = is_spare(p, t);
    char name[GATE_LINT_SHOWN];
    if (!spare && has_opener(p, t->type))
        return true;
    gate_lint_show(p, p->at, name);
    if (t->type == GATE_TK_END) {
        p->strays++;
        p->may_skip -= spare;
        gate_lint_error(p, p->at, "this 'end' closes nothing: there is one too many");
    } else if (t->type == GATE_TK_ELSE || t->type == GATE_TK_ELSEIF) {
        const struct gate_lint_opener *o = innermost(p);
        gate_lint_error(p, p->at,
                        o != NULL && o->type == GATE_TK_IF ? "%s behind the 'else' of the same 'if'"
                                                           : "%s without an 'if'",
                        name);
    } else if (t->type == GATE_TK_UNTIL) {
        gate_lint_error(p, p->at, "%s without a 'repeat'", name);
    } else {
        gate_lint_error(p, p->at, "%s that nothing has opened", name);
    }
    p->panic = p->stopped;
    gate_lint_next(p);
    return false;
}

void gate_lint_close_block(struct gate_lint *p)
{
    p->panic = false;
    if (p->left || gate_lint_type(p) != GATE_TK_END) {
        gate_lint_unclosed(p);
        return;
    }
    gate_lint_next(p);
    p->opener_count--;
}

void gate_lint_close_repeat(struct gate_lint *p)
{
    const struct gate_lint_token *t = gate_lint_current(p);
    const struct gate_lint_token *o = &p->tokens[innermost(p)->token];
    p->panic = false;
    if (!p->left && t->type == GATE_TK_UNTIL) {
        gate_lint_next(p);
        p->opener_count--;
    } else if (!p->left && t->type == GATE_TK_END &&
               (t->indent == o->indent || t->line == o->line)) {
        struct gate_problem *problem =
            gate_lint_fault(p, p->at, "unclosed", "a 'repeat' is closed by 'until', not by 'end'");
        mark_opener(p, problem, innermost(p)->token);
        gate_lint_next(p);
        p->opener_count--;
        p->panic = true; /* there is no condition to be read */
    } else {
        gate_lint_unclosed(p);
        p->panic = true;
    }
}

void gate_lint_check_last(struct gate_lint *p)
{
    const struct gate_lint_opener *o = innermost(p);
    const struct gate_lint_token *t = gate_lint_current(p);
    char name[GATE_LINT_SHOWN];
    if (t->type == GATE_TK_EOF || closes(t->type) || p->left)
        return;
    if (o != NULL && is_outside(p, p->at, o->token)) {
        p->left = true;
        return;
    }
    gate_lint_error(p, p->at, "'return' must be the last statement of its block, but %s follows",
                    gate_lint_show(p, p->at, name));
    p->panic = p->stopped;
}

/* ---------------------------------------------------------------- going on */

void gate_lint_take_head(struct gate_lint *p, unsigned type, const char *expected)
{
    char found[GATE_LINT_SHOWN];
    if (gate_lint_take(p, type))
        return;
    bool assigns = gate_lint_type(p) == GATE_TK('=') && type == GATE_TK_THEN;
    gate_lint_missing(p, "%s, not %s%s", expected, gate_lint_show(p, p->at, found),
                      assigns ? " ('==' compares)" : "");
    for (uint32_t i = p->at; i < p->at + GATE_LINT_SCAN && i + 1 < p->token_count; i++) {
        const struct gate_lint_token *t = &p->tokens[i];
        if (t->type == GATE_TK_THEN || t->type == GATE_TK_DO) {
            p->at = i + 1;
            break;
        }
        if (t->flags & GATE_TOKEN_FIRST || begins_statement(t->type) || t->type == GATE_TK_END ||
            t->type == GATE_TK_FUNCTION)
            break;
    }
    p->panic = false;
}

void gate_lint_sync(struct gate_lint *p, uint32_t start)
{
    uint16_t indent = p->tokens[start].indent;
    p->panic = false;
    for (;;) {
        const struct gate_lint_token *t = gate_lint_current(p);
        bool named = t->type == GATE_TK_FUNCTION && gate_lint_peek(p, 1) == GATE_TK_NAME;
        if (t->type == GATE_TK_EOF)
            return;
        if (p->at > start &&
            (t->type == GATE_TK_END || t->type == GATE_TK_ELSE || t->type == GATE_TK_ELSEIF ||
             t->type == GATE_TK_UNTIL || begins_statement(t->type) || named))
            return;
        if (p->at > start && t->flags & GATE_TOKEN_FIRST && t->indent <= indent)
            return;
        uint32_t token = p->at;
        gate_lint_next(p);
        if (t->type == GATE_TK_FUNCTION && token > start) {
            gate_lint_open(p, token); /* its block must be read, or its `end` would be too many */
            gate_lint_body(p, false);
            p->panic = false;
        }
    }
}
