/* The expressions of Lua 5.4, read for errors and for what names and fields are used. */
#include "script/lint_internal.h"

enum { UNARY = 12 }; /* priority of unary operators */

/* Priorities to the left and right of a binary operator; left 0: it is none. */
static void priorities(unsigned type, unsigned *left, unsigned *right)
{
    static const struct {
        uint8_t type, left, right;
    } table[] = {
        {GATE_TK_OR, 1, 1},     {GATE_TK_AND, 2, 2},    {GATE_TK('<'), 3, 3},
        {GATE_TK('>'), 3, 3},   {GATE_TK_LE, 3, 3},     {GATE_TK_GE, 3, 3},
        {GATE_TK_NE, 3, 3},     {GATE_TK_EQ, 3, 3},     {GATE_TK('|'), 4, 4},
        {GATE_TK('~'), 5, 5},   {GATE_TK('&'), 6, 6},   {GATE_TK_SHL, 7, 7},
        {GATE_TK_SHR, 7, 7},    {GATE_TK_CONCAT, 9, 8}, {GATE_TK('+'), 10, 10},
        {GATE_TK('-'), 10, 10}, {GATE_TK('*'), 11, 11}, {GATE_TK('/'), 11, 11},
        {GATE_TK_IDIV, 11, 11}, {GATE_TK('%'), 11, 11}, {GATE_TK('^'), 14, 13},
    };
    *left = *right = 0;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].type == type) {
            *left = table[i].left;
            *right = table[i].right;
        }
    }
}

static void set(struct gate_lint_expr *e, unsigned kind, unsigned role, uint32_t token)
{
    *e = (struct gate_lint_expr){.kind = (uint8_t)kind, .role = (uint8_t)role, .token = token};
}

static void expect_value(struct gate_lint *p)
{
    unsigned type = gate_lint_type(p);
    char found[GATE_LINT_SHOWN];
    const char *hint = "";
    if (type == GATE_TK('+') && p->at > 0 && p->tokens[p->at - 1].type == GATE_TK('+'))
        hint = " (Lua has no '++': write x = x + 1)";
    else if (type == GATE_TK('=') && p->at > 0 && p->tokens[p->at - 1].type == GATE_TK_EQ)
        hint = " (Lua has no '===': '==' compares)";
    gate_lint_missing(p, "a value is expected, not %s%s", gate_lint_show(p, p->at, found), hint);
}

/* ---------------------------------------------------------------- tables */

/* Could a field of a table begin here, so that a comma is what is missing? */
static bool begins_field(const struct gate_lint *p)
{
    switch (gate_lint_type(p)) {
    case GATE_TK_NAME:
    case GATE_TK_STRING:
    case GATE_TK_NUMBER:
    case GATE_TK_NIL:
    case GATE_TK_TRUE:
    case GATE_TK_FALSE:
    case GATE_TK_FUNCTION:
    case GATE_TK('{'):
    case GATE_TK('['):
        break;
    default:
        return false;
    }
    const struct gate_lint_token *t = gate_lint_current(p);
    const struct gate_lint_token *o = &p->tokens[p->openers[p->opener_count - 1].token];
    return t->line == o->line || t->indent > o->indent;
}

static void read_field(struct gate_lint *p)
{
    struct gate_lint_expr e;
    uint32_t token = p->at;
    bool named = gate_lint_type(p) == GATE_TK_NAME && gate_lint_peek(p, 1) == GATE_TK('=');
    if (named) {
        gate_lint_next(p);
    } else if (gate_lint_type(p) == GATE_TK('[')) {
        gate_lint_open(p, token);
        gate_lint_next(p);
        gate_lint_expression(p, &e);
        gate_lint_close_bracket(p);
    } else {
        gate_lint_expression(p, &e);
        return;
    }
    if (!gate_lint_take(p, GATE_TK('='))) {
        gate_lint_missing(p, "'=' expected behind the key of a field");
        return;
    }
    if (named && gate_lint_type(p) == GATE_TK_FUNCTION)
        p->naming = token;
    gate_lint_expression(p, &e);
}

/* At '{'. */
static void read_table(struct gate_lint *p)
{
    gate_lint_open(p, p->at);
    gate_lint_next(p);
    while (!p->panic && gate_lint_type(p) != GATE_TK('}') && gate_lint_type(p) != GATE_TK_EOF &&
           !gate_lint_is_left(p)) {
        read_field(p);
        if (gate_lint_take(p, GATE_TK(',')) || gate_lint_take(p, GATE_TK(';')))
            continue;
        if (p->panic || gate_lint_is_left(p) || !begins_field(p))
            break;
        unsigned before = p->tokens[p->at - 1].type;
        if (before == GATE_TK(',') || before == GATE_TK(';'))
            continue; /* it went to a table in this one that is never closed */
        char name[GATE_LINT_SHOWN];
        gate_lint_missing(p, "',' expected between the fields of a table, before %s",
                          gate_lint_show(p, p->at, name));
        p->panic = p->stopped;
    }
    if (!p->panic && gate_lint_type(p) == GATE_TK(':'))
        gate_lint_error(p, p->at,
                        "a field is written key = value or [\"key\"] = value, not with ':'");
    gate_lint_close_bracket(p);
}

/* ---------------------------------------------------------------- calls and fields */

/* At what may be the arguments of a call. Returns the role of the first. */
static unsigned read_arguments(struct gate_lint *p)
{
    struct gate_lint_expr list[GATE_LINT_LEFT_SIDES];
    switch (gate_lint_type(p)) {
    case GATE_TK_STRING:
        gate_lint_next(p);
        return GATE_ROLE_NONE;
    case GATE_TK('{'):
        read_table(p);
        return GATE_ROLE_NONE;
    case GATE_TK('('):
        break;
    default:
        gate_lint_missing(p, "the arguments of a call are expected: '('");
        return GATE_ROLE_NONE;
    }
    gate_lint_open(p, p->at);
    gate_lint_next(p);
    list[0].role = GATE_ROLE_NONE;
    if (gate_lint_type(p) != GATE_TK(')') && gate_lint_type(p) != GATE_TK_EOF &&
        !gate_lint_is_left(p))
        gate_lint_expressions(p, list);
    gate_lint_close_bracket(p);
    return list[0].role;
}

/* Takes the name behind '.' or ':'. False: there is none. */
static bool take_field_name(struct gate_lint *p, unsigned mark)
{
    const struct gate_lint_token *t = gate_lint_current(p);
    bool in_table = p->opener_count > 0 &&
                    p->tokens[p->openers[p->opener_count - 1].token].type == GATE_TK('{');
    char name[GATE_LINT_SHOWN];
    if (t->type == GATE_TK_NAME) {
        gate_lint_next(p);
        return true;
    }
    if (t->type < GATE_TK_RESERVED && !(t->flags & GATE_TOKEN_FIRST)) {
        gate_lint_error(p, p->at, "%s is a reserved word: write [\"%s\"]",
                        gate_lint_show(p, p->at, name), gate_lint_word(t->type));
        p->panic = p->stopped;
        gate_lint_next(p);
        return !p->panic;
    }
    gate_lint_missing(p, "a name is expected behind '%c', not %s%s", (char)(mark - GATE_TK_CHAR),
                      gate_lint_show(p, p->at, name),
                      in_table && mark == GATE_TK(':') ? " (a field is written key = value)" : "");
    return false;
}

/* Is the expression that ends here assigned to? */
static bool is_assigned(const struct gate_lint *p, bool target)
{
    return target && (gate_lint_type(p) == GATE_TK('=') || gate_lint_type(p) == GATE_TK(','));
}

/* At '.' or ':'. */
static void read_member(struct gate_lint *p, struct gate_lint_expr *e, bool target)
{
    unsigned mark = gate_lint_type(p), owner = e->role;
    gate_lint_next(p);
    uint32_t token = p->at;
    if (!take_field_name(p, mark)) {
        set(e, GATE_EXPR_FIELD, GATE_ROLE_NONE, token);
        return;
    }
    bool known = p->tokens[token].type == GATE_TK_NAME && owner != GATE_ROLE_NONE;
    unsigned role = known && !is_assigned(p, target) ? gate_lint_field(p, owner, token)
                                                     : (unsigned)GATE_ROLE_NONE;
    set(e, GATE_EXPR_FIELD, role, token);
    e->owner = (uint8_t)owner;
    if (mark == GATE_TK(':')) {
        read_arguments(p);
        set(e, GATE_EXPR_CALL, GATE_ROLE_NONE, token);
    }
}

/* At '['. */
static void read_index(struct gate_lint *p, struct gate_lint_expr *e, bool target)
{
    struct gate_lint_expr key;
    unsigned owner = e->role, role = GATE_ROLE_NONE;
    uint32_t token = p->at;
    gate_lint_open(p, token);
    gate_lint_next(p);
    gate_lint_expression(p, &key);
    gate_lint_close_bracket(p);
    if (owner == GATE_ROLE_ACCOUNTS)
        role = GATE_ROLE_ACCOUNT;
    else if (owner != GATE_ROLE_NONE && key.kind == GATE_EXPR_STRING && !is_assigned(p, target))
        role = gate_lint_field(p, owner, key.token);
    set(e, GATE_EXPR_FIELD, role, token);
    e->owner = (uint8_t)owner;
}

static void read_primary(struct gate_lint *p, struct gate_lint_expr *e, bool target)
{
    uint32_t token = p->at;
    set(e, GATE_EXPR_VALUE, GATE_ROLE_NONE, token);
    if (gate_lint_type(p) == GATE_TK('(')) {
        struct gate_lint_expr inner;
        gate_lint_open(p, token);
        gate_lint_next(p);
        gate_lint_expression(p, &inner);
        gate_lint_close_bracket(p);
        e->role = inner.role;
    } else if (gate_lint_type(p) == GATE_TK_NAME) {
        uint32_t symbol = p->tokens[token].symbol;
        const struct gate_lint_variable *v = gate_lint_resolve(p, symbol);
        gate_lint_next(p);
        p->own_env = p->own_env || symbol == p->env;
        if (v != NULL)
            set(e, GATE_EXPR_LOCAL, v->role, token);
        else
            set(e, GATE_EXPR_GLOBAL,
                is_assigned(p, target) ? (unsigned)GATE_ROLE_NONE : gate_lint_global(p, token),
                token);
    } else {
        expect_value(p);
    }
}

void gate_lint_suffixed(struct gate_lint *p, struct gate_lint_expr *e, bool target)
{
    read_primary(p, e, target);
    while (!p->panic) {
        switch (gate_lint_type(p)) {
        case GATE_TK('.'):
        case GATE_TK(':'):
            read_member(p, e, target);
            break;
        case GATE_TK('['):
            read_index(p, e, target);
            break;
        case GATE_TK('('):
        case GATE_TK('{'):
        case GATE_TK_STRING: {
            unsigned role = e->role, argument = read_arguments(p);
            set(e, GATE_EXPR_CALL, gate_lint_result(role, argument), e->token);
            break;
        }
        default:
            return;
        }
    }
}

/* ---------------------------------------------------------------- operators */

static void read_simple(struct gate_lint *p, struct gate_lint_expr *e)
{
    uint32_t token = p->at;
    unsigned type = gate_lint_type(p);
    set(e, GATE_EXPR_VALUE, GATE_ROLE_NONE, token);
    switch (type) {
    case GATE_TK_DOTS:
        if (!p->function->vararg)
            gate_lint_fault(p, token, "syntax",
                            "'...' can only be used in a function that is declared with '...'");
        gate_lint_next(p);
        break;
    case GATE_TK_STRING:
        e->kind = GATE_EXPR_STRING;
        gate_lint_next(p);
        break;
    case GATE_TK_NUMBER:
    case GATE_TK_NIL:
    case GATE_TK_TRUE:
    case GATE_TK_FALSE:
        gate_lint_next(p);
        break;
    case GATE_TK('{'):
        read_table(p);
        break;
    case GATE_TK_FUNCTION:
        gate_lint_open(p, token);
        gate_lint_next(p);
        gate_lint_body(p, false);
        break;
    default:
        gate_lint_suffixed(p, e, false);
        break;
    }
}

static void read_operand(struct gate_lint *p, struct gate_lint_expr *e, unsigned limit)
{
    unsigned type = gate_lint_type(p), left, right;
    set(e, GATE_EXPR_VALUE, GATE_ROLE_NONE, p->at);
    if (!gate_lint_enter(p)) {
        gate_lint_leave(p);
        return;
    }
    if (type == GATE_TK_NOT || type == GATE_TK('-') || type == GATE_TK('~') ||
        type == GATE_TK('#')) {
        gate_lint_next(p);
        read_operand(p, e, UNARY);
        set(e, GATE_EXPR_VALUE, GATE_ROLE_NONE, p->at);
    } else {
        read_simple(p, e);
    }
    priorities(gate_lint_type(p), &left, &right);
    while (!p->panic && left > limit) {
        struct gate_lint_expr other;
        type = gate_lint_type(p);
        gate_lint_next(p);
        read_operand(p, &other, right);
        if (type == GATE_TK_EQ || type == GATE_TK_NE) {
            if (other.kind == GATE_EXPR_STRING)
                gate_lint_compare(p, e->role, other.token);
            else if (e->kind == GATE_EXPR_STRING)
                gate_lint_compare(p, other.role, e->token);
        }
        set(e, GATE_EXPR_VALUE, GATE_ROLE_NONE, e->token);
        priorities(gate_lint_type(p), &left, &right);
    }
    gate_lint_leave(p);
}

void gate_lint_expression(struct gate_lint *p, struct gate_lint_expr *e)
{
    read_operand(p, e, 0);
}

uint32_t gate_lint_expressions(struct gate_lint *p, struct gate_lint_expr *list)
{
    uint32_t count = 0;
    do {
        struct gate_lint_expr e;
        gate_lint_expression(p, &e);
        if (count < GATE_LINT_LEFT_SIDES)
            list[count] = e;
        count++;
    } while (gate_lint_take(p, GATE_TK(',')));
    return count;
}
