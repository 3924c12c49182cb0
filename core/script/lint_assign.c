/* Statements of Lua 5.4 that give values to names: local, function, assignments; and calls, which
 * begin like assignments. */
#include "script/lint_internal.h"

/* ---------------------------------------------------------------- local */

void gate_lint_read_local_function(struct gate_lint *p)
{
    uint32_t opener = p->at - 1, name = gate_lint_take_name(p, "the name of the function");
    char found[GATE_LINT_SHOWN];
    gate_lint_open(p, opener);
    if (name != GATE_LINT_NONE) {
        gate_lint_declare_name(p, name, GATE_VARIABLE);
        gate_lint_activate(p, 1);
        p->naming = name;
        if (gate_lint_type(p) == GATE_TK('.') || gate_lint_type(p) == GATE_TK(':')) {
            gate_lint_error(p, p->at, "a local function has a plain name, not %s behind it",
                            gate_lint_show(p, p->at, found));
            while (gate_lint_peek(p, 0) != GATE_TK('(') && gate_lint_peek(p, 1) != GATE_TK_EOF &&
                   !(gate_lint_current(p)->flags & GATE_TOKEN_FIRST))
                gate_lint_next(p);
            p->panic = p->stopped;
        }
    }
    gate_lint_body(p, false);
}

/* Behind a name that is being declared. */
static unsigned read_attribute(struct gate_lint *p, bool *has_close)
{
    unsigned kind = GATE_VARIABLE;
    if (!gate_lint_take(p, GATE_TK('<')))
        return kind;
    uint32_t token = gate_lint_take_name(p, "an attribute, 'const' or 'close',");
    if (token == GATE_LINT_NONE)
        return kind;
    struct gate_str text = gate_lint_text(p, token);
    char name[GATE_LINT_SHOWN];
    if (gate_str_eq(text, GATE_STR("const"))) {
        kind = GATE_VARIABLE_CONST;
    } else if (gate_str_eq(text, GATE_STR("close"))) {
        kind = GATE_VARIABLE_CLOSE;
        if (*has_close)
            gate_lint_fault(p, token, "syntax", "only one variable of a 'local' can be <close>");
        *has_close = true;
    } else {
        gate_lint_fault(p, token, "syntax", "there is no attribute %s, only 'const' and 'close'",
                        gate_lint_show(p, token, name));
    }
    if (!gate_lint_take(p, GATE_TK('>')))
        gate_lint_missing(p, "'>' expected behind an attribute");
    return kind;
}

void gate_lint_read_local(struct gate_lint *p)
{
    struct gate_lint_expr list[GATE_LINT_LEFT_SIDES];
    uint32_t first = p->variable_count, count = 0, values = 0, name;
    bool has_close = false;
    do {
        name = gate_lint_take_name(p, "the name of a variable");
        if (name == GATE_LINT_NONE)
            break;
        uint32_t index = gate_lint_declare_name(p, name, GATE_VARIABLE);
        p->variables[index].kind = (uint8_t)read_attribute(p, &has_close);
        count++;
    } while (gate_lint_take(p, GATE_TK(',')));
    if (gate_lint_take(p, GATE_TK('='))) {
        if (count == 1 && gate_lint_type(p) == GATE_TK_FUNCTION)
            p->naming = name;
        values = gate_lint_expressions(p, list);
    }
    for (uint32_t i = 0; i < count && i < values && i < GATE_LINT_LEFT_SIDES; i++)
        p->variables[first + i].role = list[i].role;
    gate_lint_activate(p, count);
}

/* ---------------------------------------------------------------- assignments and calls */

/* What is assigned to: is it allowed? */
static void check_target(struct gate_lint *p, const struct gate_lint_expr *e, bool function)
{
    char name[GATE_LINT_SHOWN];
    if (e->kind == GATE_EXPR_GLOBAL) {
        gate_lint_global_write(p, e->token, function);
    } else if (e->kind == GATE_EXPR_FIELD) {
        gate_lint_field_write(p, e->owner, e->token);
    } else if (e->kind == GATE_EXPR_LOCAL) {
        struct gate_lint_variable *v = gate_lint_resolve(p, p->tokens[e->token].symbol);
        v->role = GATE_ROLE_NONE; /* from here on it may be anything */
        if (v->kind != GATE_VARIABLE)
            gate_lint_fault(p, e->token, "syntax", "%s is <%s> and cannot be assigned to",
                            gate_lint_show(p, e->token, name),
                            v->kind == GATE_VARIABLE_CONST ? "const" : "close");
    }
}

static bool is_variable(const struct gate_lint_expr *e)
{
    return e->kind == GATE_EXPR_LOCAL || e->kind == GATE_EXPR_GLOBAL || e->kind == GATE_EXPR_FIELD;
}

/* At '=' or ','; `e` is what is on the left. */
static void read_assignment(struct gate_lint *p, struct gate_lint_expr *e)
{
    struct gate_lint_expr list[GATE_LINT_LEFT_SIDES];
    uint32_t levels = 0, name = e->token;
    bool single = gate_lint_type(p) == GATE_TK('=');
    for (;;) {
        if (!is_variable(e)) {
            gate_lint_error(p, e->token, "only variables and fields can be assigned to");
            break;
        }
        check_target(p, e, single && gate_lint_peek(p, 1) == GATE_TK_FUNCTION);
        if (!gate_lint_take(p, GATE_TK(',')))
            break;
        gate_lint_suffixed(p, e, true);
        levels++;
        if (!gate_lint_enter(p))
            break;
    }
    if (!p->panic && !p->stopped && !gate_lint_take(p, GATE_TK('=')))
        gate_lint_missing(p, "'=' expected behind the variables of an assignment");
    if (!p->panic && !p->stopped) {
        if (single && gate_lint_type(p) == GATE_TK_FUNCTION)
            p->naming = name;
        gate_lint_expressions(p, list);
    }
    while (levels-- > 0)
        gate_lint_leave(p);
}

/* A statement that is only a value: what was probably meant? */
static void not_a_statement(struct gate_lint *p, uint32_t start)
{
    unsigned type = gate_lint_type(p);
    char found[GATE_LINT_SHOWN], name[GATE_LINT_SHOWN];
    bool adjoins =
        p->at + 1 < p->token_count && p->tokens[p->at + 1].at == gate_lint_current(p)->end;
    gate_lint_show(p, p->at, found);
    gate_lint_show(p, start, name);
    if (adjoins && gate_lint_peek(p, 1) == GATE_TK('=') && type >= GATE_TK_CHAR)
        gate_lint_error(p, p->at, "Lua has no '%.*s=': write x = x %.*s ...", 1, found + 1, 1,
                        found + 1);
    else if (adjoins && type == GATE_TK('+') && gate_lint_peek(p, 1) == GATE_TK('+'))
        gate_lint_error(p, p->at, "Lua has no '++': write x = x + 1");
    else if (type == GATE_TK_EQ)
        gate_lint_error(p, p->at, "a comparison is no statement: '=' assigns");
    else if (type == GATE_TK_EOF || gate_lint_current(p)->flags & GATE_TOKEN_FIRST)
        gate_lint_missing(p, "a value alone is no statement: '=' or the '(' of a call expected");
    else
        gate_lint_error(p, p->at, "'=' or the '(' of a call is expected, not %s", found);
}

void gate_lint_read_expression_statement(struct gate_lint *p)
{
    struct gate_lint_expr e;
    uint32_t start = p->at;
    gate_lint_suffixed(p, &e, true);
    if (p->panic)
        return;
    if (gate_lint_type(p) == GATE_TK('=') || gate_lint_type(p) == GATE_TK(','))
        read_assignment(p, &e);
    else if (e.kind != GATE_EXPR_CALL)
        not_a_statement(p, start);
}

/* At `function`. */
void gate_lint_read_function(struct gate_lint *p)
{
    struct gate_lint_expr e = {.kind = GATE_EXPR_VALUE};
    bool method = false;
    char found[GATE_LINT_SHOWN];
    gate_lint_open(p, p->at);
    gate_lint_next(p);
    uint32_t name = p->at;
    if (gate_lint_type(p) != GATE_TK_NAME) {
        gate_lint_missing(p, "the name of the function is expected, not %s",
                          gate_lint_show(p, p->at, found));
        p->panic = p->stopped;
        gate_lint_body(p, false);
        return;
    }
    const struct gate_lint_variable *v = gate_lint_resolve(p, p->tokens[name].symbol);
    bool plain = gate_lint_peek(p, 1) != GATE_TK('.') && gate_lint_peek(p, 1) != GATE_TK(':');
    gate_lint_next(p);
    e = (struct gate_lint_expr){.kind = v != NULL ? GATE_EXPR_LOCAL : GATE_EXPR_GLOBAL,
                                .role = v != NULL ? v->role : (uint8_t)GATE_ROLE_NONE,
                                .token = name};
    if (v == NULL && !plain)
        e.role = (uint8_t)gate_lint_global(p, name);
    while (!p->panic && !method &&
           (gate_lint_type(p) == GATE_TK('.') || gate_lint_type(p) == GATE_TK(':'))) {
        unsigned owner = e.role;
        method = gate_lint_type(p) == GATE_TK(':');
        gate_lint_next(p);
        name = gate_lint_take_name(p, "a name");
        e = (struct gate_lint_expr){
            .kind = GATE_EXPR_FIELD, .owner = (uint8_t)owner, .token = name};
    }
    p->naming = name;
    if (p->panic)
        e.kind = GATE_EXPR_VALUE;
    p->panic = p->stopped;
    gate_lint_body(p, method);
    check_target(p, &e, true);
}
