/* The statements of Lua 5.4, read for errors. What Lua accepts is accepted here and what it refuses
 * is an error here, down to its limits; where Lua stops at the first error, this goes on. */
#include "script/lint_internal.h"

static void read_statement(struct gate_lint *p);
static void read_statements(struct gate_lint *p);

uint32_t gate_lint_take_name(struct gate_lint *p, const char *what)
{
    char found[GATE_LINT_SHOWN];
    uint32_t token = p->at;
    if (gate_lint_take(p, GATE_TK_NAME))
        return token;
    gate_lint_missing(p, "%s is expected, not %s%s", what, gate_lint_show(p, token, found),
                      gate_lint_type(p) < GATE_TK_RESERVED ? ", a reserved word" : "");
    return GATE_LINT_NONE;
}

uint32_t gate_lint_declare_name(struct gate_lint *p, uint32_t token, unsigned kind)
{
    return gate_lint_declare(p, p->tokens[token].symbol, token, kind);
}

static void read_block(struct gate_lint *p, bool loop)
{
    struct gate_lint_block block;
    gate_lint_enter_block(p, &block, loop);
    read_statements(p);
    gate_lint_leave_block(p);
}

/* ---------------------------------------------------------------- functions */

/* From behind '(' to ')'. Adds the named ones to *count. */
static void read_parameters(struct gate_lint *p, uint32_t naming, uint32_t *count)
{
    char found[GATE_LINT_SHOWN];
    if (gate_lint_type(p) == GATE_TK(')'))
        return;
    do {
        if (gate_lint_take(p, GATE_TK_DOTS)) {
            p->function->vararg = true;
            return;
        }
        uint32_t token = p->at;
        if (!gate_lint_take(p, GATE_TK_NAME)) {
            gate_lint_missing(p, "the name of a parameter is expected, not %s",
                              gate_lint_show(p, token, found));
            return;
        }
        uint32_t index = gate_lint_declare_name(p, token, GATE_VARIABLE);
        p->variables[index].role = (uint8_t)gate_lint_parameter(p, naming, *count);
        ++*count;
    } while (gate_lint_take(p, GATE_TK(',')));
}

void gate_lint_body(struct gate_lint *p, bool method)
{
    struct gate_lint_function function;
    uint32_t naming = method ? GATE_LINT_NONE : p->naming, count = 0, open = p->at;
    char found[GATE_LINT_SHOWN];
    p->naming = GATE_LINT_NONE;
    gate_lint_open_function(p, &function, false);
    if (method) {
        gate_lint_declare(p, p->self, open, GATE_VARIABLE);
        gate_lint_activate(p, 1);
    }
    if (gate_lint_take(p, GATE_TK('('))) {
        gate_lint_open(p, open);
        read_parameters(p, naming, &count);
        gate_lint_close_bracket(p);
    } else {
        gate_lint_missing(p, "'(' expected before the parameters of a function, not %s",
                          gate_lint_show(p, p->at, found));
    }
    p->panic = false; /* whatever the parameters are, the block goes to its `end` */
    gate_lint_activate(p, count);
    read_statements(p);
    gate_lint_close_function(p);
    gate_lint_close_block(p);
}

/* ---------------------------------------------------------------- blocks */

/* At `if` or `elseif`. */
static void read_branch(struct gate_lint *p)
{
    struct gate_lint_expr condition;
    const char *expected = gate_lint_type(p) == GATE_TK_IF
                               ? "'then' expected after the condition of 'if'"
                               : "'then' expected after the condition of 'elseif'";
    gate_lint_next(p);
    gate_lint_expression(p, &condition);
    gate_lint_take_head(p, GATE_TK_THEN, expected);
    read_block(p, false);
}

static void read_if(struct gate_lint *p)
{
    uint32_t opener = p->opener_count;
    gate_lint_open(p, p->at);
    read_branch(p);
    while (!p->left && gate_lint_type(p) == GATE_TK_ELSEIF)
        read_branch(p);
    if (!p->left && gate_lint_take(p, GATE_TK_ELSE)) {
        p->openers[opener].has_else = true;
        const struct gate_lint_token *t = gate_lint_current(p);
        if (t->type == GATE_TK_IF && t->line == p->tokens[p->at - 1].line)
            p->openers[opener].else_if = p->at;
        read_block(p, false);
    }
    gate_lint_close_block(p);
}

static void read_while(struct gate_lint *p)
{
    struct gate_lint_expr condition;
    gate_lint_open(p, p->at);
    gate_lint_next(p);
    gate_lint_expression(p, &condition);
    gate_lint_take_head(p, GATE_TK_DO, "'do' expected after the condition of 'while'");
    read_block(p, true);
    gate_lint_close_block(p);
}

static void read_do(struct gate_lint *p)
{
    gate_lint_open(p, p->at);
    gate_lint_next(p);
    read_block(p, false);
    gate_lint_close_block(p);
}

static void read_repeat(struct gate_lint *p)
{
    struct gate_lint_block loop, scope;
    struct gate_lint_expr condition;
    gate_lint_open(p, p->at);
    gate_lint_next(p);
    gate_lint_enter_block(p, &loop, true);
    gate_lint_enter_block(p, &scope, false);
    read_statements(p);
    gate_lint_close_repeat(p);
    if (!p->panic)
        gate_lint_expression(p, &condition); /* sees the variables of the block */
    gate_lint_leave_block(p);
    gate_lint_leave_block(p);
}

/* ---------------------------------------------------------------- for */

static void declare_hidden(struct gate_lint *p, uint32_t token, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        gate_lint_declare(p, GATE_LINT_NONE, token, GATE_VARIABLE);
}

static void read_loop(struct gate_lint *p, uint32_t hidden, uint32_t named)
{
    struct gate_lint_block scope;
    gate_lint_activate(p, hidden);
    gate_lint_take_head(p, GATE_TK_DO, "'do' expected after the head of 'for'");
    gate_lint_enter_block(p, &scope, false);
    gate_lint_activate(p, named);
    read_block(p, false);
    gate_lint_leave_block(p);
}

/* Behind the name. */
static void read_numeric_for(struct gate_lint *p, uint32_t name)
{
    struct gate_lint_expr e;
    char found[GATE_LINT_SHOWN];
    declare_hidden(p, name, 3);
    gate_lint_declare_name(p, name, GATE_VARIABLE);
    gate_lint_next(p);
    gate_lint_expression(p, &e);
    if (gate_lint_take(p, GATE_TK(',')))
        gate_lint_expression(p, &e);
    else
        gate_lint_missing(p, "',' and the last value of the loop are expected, not %s",
                          gate_lint_show(p, p->at, found));
    if (gate_lint_take(p, GATE_TK(',')))
        gate_lint_expression(p, &e);
    read_loop(p, 3, 1);
}

static void read_generic_for(struct gate_lint *p, uint32_t name)
{
    struct gate_lint_expr list[GATE_LINT_LEFT_SIDES] = {{0}};
    uint32_t count = 1, first;
    declare_hidden(p, name, 4);
    first = gate_lint_declare_name(p, name, GATE_VARIABLE);
    while (gate_lint_take(p, GATE_TK(','))) {
        uint32_t token = gate_lint_take_name(p, "the name of a variable");
        if (token != GATE_LINT_NONE) {
            gate_lint_declare_name(p, token, GATE_VARIABLE);
            count++;
        }
    }
    if (gate_lint_take(p, GATE_TK_IN))
        gate_lint_expressions(p, list);
    else
        gate_lint_missing(p, "'in' expected behind the variables of 'for'");
    if (count > 1 && list[0].role == GATE_ROLE_WALK)
        p->variables[first + 1].role = GATE_ROLE_ACCOUNT;
    read_loop(p, 4, count);
}

static void read_for(struct gate_lint *p)
{
    struct gate_lint_block loop;
    gate_lint_open(p, p->at);
    gate_lint_enter_block(p, &loop, true);
    gate_lint_next(p);
    uint32_t name = gate_lint_take_name(p, "the name of a variable");
    if (name != GATE_LINT_NONE && gate_lint_type(p) == GATE_TK('=')) {
        read_numeric_for(p, name);
    } else if (name != GATE_LINT_NONE &&
               (gate_lint_type(p) == GATE_TK(',') || gate_lint_type(p) == GATE_TK_IN)) {
        read_generic_for(p, name);
    } else {
        gate_lint_missing(p, "'=' or 'in' expected behind the variable of 'for'");
        read_loop(p, 0, 0);
    }
    gate_lint_close_block(p);
    gate_lint_leave_block(p);
}

/* ---------------------------------------------------------------- statements */

static void read_return(struct gate_lint *p)
{
    struct gate_lint_expr list[GATE_LINT_LEFT_SIDES];
    unsigned type;
    gate_lint_next(p);
    type = gate_lint_type(p);
    if (type == GATE_TK_FUNCTION && p->function->outer == NULL)
        p->naming = p->at; /* what the file returns */
    if (type != GATE_TK_END && type != GATE_TK_ELSE && type != GATE_TK_ELSEIF &&
        type != GATE_TK_UNTIL && type != GATE_TK_EOF && type != GATE_TK(';') &&
        !gate_lint_is_left(p))
        gate_lint_expressions(p, list);
    gate_lint_take(p, GATE_TK(';'));
}

/* At "::". */
static void read_label(struct gate_lint *p)
{
    gate_lint_next(p);
    uint32_t name = gate_lint_take_name(p, "the name of a label");
    if (name == GATE_LINT_NONE)
        return;
    if (!gate_lint_take(p, GATE_TK_DBCOLON)) {
        gate_lint_missing(p, "'::' expected behind the name of a label");
        return;
    }
    while (!p->panic && !p->stopped &&
           (gate_lint_type(p) == GATE_TK(';') || gate_lint_type(p) == GATE_TK_DBCOLON))
        read_statement(p);
    unsigned type = gate_lint_type(p);
    gate_lint_add_label(p, name,
                        type == GATE_TK_END || type == GATE_TK_ELSE || type == GATE_TK_ELSEIF ||
                            type == GATE_TK_EOF);
}

static void read_break(struct gate_lint *p)
{
    if (p->function->loops == 0)
        gate_lint_fault(p, p->at, "syntax", "'break' outside of a loop");
    gate_lint_next(p);
}

static void read_goto(struct gate_lint *p)
{
    gate_lint_next(p);
    uint32_t name = gate_lint_take_name(p, "the name of a label");
    if (name != GATE_LINT_NONE)
        gate_lint_add_goto(p, name);
}

static void dispatch(struct gate_lint *p)
{
    switch (gate_lint_type(p)) {
    case GATE_TK(';'):
        gate_lint_next(p);
        break;
    case GATE_TK_IF:
        read_if(p);
        break;
    case GATE_TK_WHILE:
        read_while(p);
        break;
    case GATE_TK_DO:
        read_do(p);
        break;
    case GATE_TK_FOR:
        read_for(p);
        break;
    case GATE_TK_REPEAT:
        read_repeat(p);
        break;
    case GATE_TK_FUNCTION:
        gate_lint_read_function(p);
        break;
    case GATE_TK_LOCAL:
        gate_lint_next(p);
        if (gate_lint_take(p, GATE_TK_FUNCTION))
            gate_lint_read_local_function(p);
        else
            gate_lint_read_local(p);
        break;
    case GATE_TK_DBCOLON:
        read_label(p);
        break;
    case GATE_TK_RETURN:
        read_return(p);
        break;
    case GATE_TK_BREAK:
        read_break(p);
        break;
    case GATE_TK_GOTO:
        read_goto(p);
        break;
    default:
        gate_lint_read_expression_statement(p);
        break;
    }
}

static void read_statement(struct gate_lint *p)
{
    if (gate_lint_enter(p))
        dispatch(p);
    gate_lint_leave(p);
}

/* Reads `retrun x` as `return x`: a name at the start of a statement that no statement goes on
 * with. The token is changed for good, and marked, as a file may be read twice. */
static void mend_misspelt(struct gate_lint *p)
{
    struct gate_lint_token *t = gate_lint_current(p);
    char name[GATE_LINT_SHOWN];
    if (t->type == GATE_TK_NAME) {
        unsigned next = gate_lint_peek(p, 1), word;
        if (next == GATE_TK_STRING ||
            (next >= GATE_TK_CHAR && strchr("=,.:[({", (int)(next - GATE_TK_CHAR)) != NULL))
            return;
        word = gate_lint_like_reserved(gate_lint_text(p, p->at));
        if (word == GATE_TK_RESERVED)
            return;
        t->type = (uint8_t)word;
        t->flags |= GATE_TOKEN_MISSPELT;
    }
    if (!(t->flags & GATE_TOKEN_MISSPELT))
        return;
    gate_lint_error(p, p->at, "%s begins no statement; did you mean '%s'?",
                    gate_lint_show(p, p->at, name), gate_lint_word(t->type));
    p->panic = p->stopped;
}

/* Up to what ends a block, which is left to the caller. */
static void read_statements(struct gate_lint *p)
{
    while (!p->stopped && !gate_lint_is_left(p)) {
        mend_misspelt(p);
        unsigned type = gate_lint_type(p);
        uint32_t start = p->at;
        switch (type) {
        case GATE_TK_EOF:
            return;
        case GATE_TK_END:
        case GATE_TK_ELSE:
        case GATE_TK_ELSEIF:
        case GATE_TK_UNTIL:
        case GATE_TK(')'):
        case GATE_TK('}'):
        case GATE_TK(']'):
        case GATE_TK(','):
            if (gate_lint_ends_block(p))
                return;
            continue;
        default:
            read_statement(p);
        }
        if (p->panic)
            gate_lint_sync(p, start);
        if (type == GATE_TK_RETURN)
            gate_lint_check_last(p);
    }
}

void gate_lint_parse(struct gate_lint *p)
{
    struct gate_lint_function main;
    gate_problems_finish(&p->syntax);
    gate_problems_finish(&p->warnings);
    p->at = p->depth = p->opener_count = 0;
    p->last_line = p->unclosed = p->strays = 0;
    p->variable_count = p->label_count = p->jump_count = 0;
    p->panic = p->stopped = p->left = p->own_env = false;
    p->naming = GATE_LINT_NONE;
    p->function = NULL;
    for (uint32_t i = 0; i < p->symbol_count; i++)
        p->symbols[i].variable = p->symbols[i].label = p->symbols[i].jump = GATE_LINT_NONE;
    gate_lint_open_function(p, &main, true);
    read_statements(p);
    gate_lint_close_function(p);
}
