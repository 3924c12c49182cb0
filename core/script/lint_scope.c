/* Variables, labels and gotos of lint, with the rules of Lua 5.4. All look-ups take constant time:
 * a symbol knows what it means at the place that the parser has reached. */
#include "script/lint_internal.h"

#include "base/buf.h"

enum { FIRST_CAP = 64 };

/* Makes room for one more entry. */
static void *make_room(void *list, uint32_t count, uint32_t *cap, size_t size)
{
    if (count < *cap)
        return list;
    *cap = *cap == 0 ? FIRST_CAP : *cap * 2;
    return gate_realloc(list, *cap * size);
}

/* ---------------------------------------------------------------- variables */

uint32_t gate_lint_declare(struct gate_lint *p, uint32_t symbol, uint32_t token, unsigned kind)
{
    struct gate_lint_function *f = p->function;
    if (p->variable_count + 1 - f->first_variable > GATE_LINT_LOCALS && !f->full) {
        f->full = true; /* said once */
        gate_lint_fault(p, token, "syntax", "a function has at most %d local variables at a time",
                        GATE_LINT_LOCALS);
    }
    p->variables =
        make_room(p->variables, p->variable_count, &p->variable_cap, sizeof *p->variables);
    p->variables[p->variable_count] = (struct gate_lint_variable){
        .symbol = symbol, .shadowed = GATE_LINT_NONE, .kind = (uint8_t)kind};
    p->own_env = p->own_env || (symbol != GATE_LINT_NONE && symbol == p->env);
    return p->variable_count++;
}

void gate_lint_activate(struct gate_lint *p, uint32_t count)
{
    struct gate_lint_function *f = p->function;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = f->first_variable + f->active++;
        struct gate_lint_variable *v = &p->variables[index];
        if (v->symbol != GATE_LINT_NONE) {
            v->shadowed = p->symbols[v->symbol].variable;
            p->symbols[v->symbol].variable = index;
        }
    }
}

static void forget_variables(struct gate_lint *p, uint32_t active)
{
    struct gate_lint_function *f = p->function;
    while (f->active > active) {
        const struct gate_lint_variable *v = &p->variables[f->first_variable + --f->active];
        if (v->symbol != GATE_LINT_NONE)
            p->symbols[v->symbol].variable = v->shadowed;
    }
    p->variable_count = f->first_variable + active;
}

struct gate_lint_variable *gate_lint_resolve(const struct gate_lint *p, uint32_t symbol)
{
    uint32_t index = p->symbols[symbol].variable;
    return index == GATE_LINT_NONE ? NULL : &p->variables[index];
}

/* ---------------------------------------------------------------- labels */

static void forget_labels(struct gate_lint *p, uint32_t count)
{
    while (p->label_count > count) {
        const struct gate_lint_label *label = &p->labels[--p->label_count];
        p->symbols[label->symbol].label = label->shadowed;
    }
}

/* The visible label of the name in this function; NULL: none. */
static const struct gate_lint_label *find_label(const struct gate_lint *p, uint32_t symbol)
{
    uint32_t index = p->symbols[symbol].label;
    if (index == GATE_LINT_NONE || index < p->function->first_label)
        return NULL;
    return &p->labels[index];
}

static void jump_into_scope(struct gate_lint *p, const struct gate_lint_jump *jump)
{
    char name[GATE_LINT_SHOWN], variable[GATE_LINT_SHOWN] = "a local variable";
    uint32_t symbol = p->variables[p->function->first_variable + jump->active].symbol;
    if (symbol != GATE_LINT_NONE) {
        const struct gate_lint_symbol *s = &p->symbols[symbol];
        snprintf(variable, sizeof variable, "'%.*s'", (int)(s->len < 40 ? s->len : 40),
                 p->text.ptr + s->at);
    }
    gate_lint_fault(p, jump->token, "syntax", "goto %s jumps into the scope of the local %s",
                    gate_lint_show(p, jump->token, name), variable);
}

/* Gotos of this block that wait for the label at hand have met it. */
static void solve(struct gate_lint *p, const struct gate_lint_label *label)
{
    struct gate_lint_symbol *symbol = &p->symbols[label->symbol];
    while (symbol->jump != GATE_LINT_NONE && symbol->jump >= p->function->block->first_jump) {
        struct gate_lint_jump *jump = &p->jumps[symbol->jump];
        if (jump->active < label->active)
            jump_into_scope(p, jump);
        jump->solved = true;
        symbol->jump = jump->older;
    }
}

void gate_lint_add_label(struct gate_lint *p, uint32_t token, bool last)
{
    struct gate_lint_function *f = p->function;
    uint32_t symbol = p->tokens[token].symbol;
    const struct gate_lint_label *same = find_label(p, symbol);
    char name[GATE_LINT_SHOWN];
    if (same != NULL) {
        gate_lint_fault(p, token, "syntax", "the label %s is already defined at line %u",
                        gate_lint_show(p, token, name), p->tokens[same->token].line);
        return;
    }
    p->labels = make_room(p->labels, p->label_count, &p->label_cap, sizeof *p->labels);
    struct gate_lint_label *label = &p->labels[p->label_count];
    *label = (struct gate_lint_label){
        .symbol = symbol,
        .shadowed = p->symbols[symbol].label,
        .token = token,
        /* At the end of a block its variables count as out of scope. */
        .active = last ? f->block->active : f->active,
    };
    p->symbols[symbol].label = p->label_count++;
    solve(p, label);
}

void gate_lint_add_goto(struct gate_lint *p, uint32_t token)
{
    uint32_t symbol = p->tokens[token].symbol;
    if (find_label(p, symbol) != NULL)
        return;
    p->jumps = make_room(p->jumps, p->jump_count, &p->jump_cap, sizeof *p->jumps);
    p->jumps[p->jump_count] = (struct gate_lint_jump){.symbol = symbol,
                                                      .older = p->symbols[symbol].jump,
                                                      .token = token,
                                                      .active = p->function->active};
    p->symbols[symbol].jump = p->jump_count++;
}

/* ---------------------------------------------------------------- blocks */

void gate_lint_enter_block(struct gate_lint *p, struct gate_lint_block *b, bool loop)
{
    struct gate_lint_function *f = p->function;
    *b = (struct gate_lint_block){.outer = f->block,
                                  .active = f->active,
                                  .first_label = p->label_count,
                                  .first_jump = p->jump_count,
                                  .loop = loop};
    f->block = b;
    f->loops += loop;
}

void gate_lint_leave_block(struct gate_lint *p)
{
    struct gate_lint_function *f = p->function;
    const struct gate_lint_block *b = f->block;
    f->block = b->outer;
    f->loops -= b->loop;
    forget_variables(p, b->active);
    forget_labels(p, b->first_label);
    /* Gotos that wait go on to wait in the block around. Those that have met their label are
     * dropped from the end, so that few are looked at again. */
    while (p->jump_count > b->first_jump && p->jumps[p->jump_count - 1].solved)
        p->jump_count--;
    for (uint32_t i = b->first_jump; i < p->jump_count; i++)
        p->jumps[i].active = b->active;
}

void gate_lint_open_function(struct gate_lint *p, struct gate_lint_function *f, bool vararg)
{
    *f = (struct gate_lint_function){.outer = p->function,
                                     .first_variable = p->variable_count,
                                     .first_label = p->label_count,
                                     .vararg = vararg};
    p->function = f;
    gate_lint_enter_block(p, &f->main, false);
}

void gate_lint_close_function(struct gate_lint *p)
{
    struct gate_lint_function *f = p->function;
    uint32_t first = f->main.first_jump;
    char name[GATE_LINT_SHOWN];
    gate_lint_leave_block(p);
    for (uint32_t i = first; i < p->jump_count && !p->stopped; i++) {
        const struct gate_lint_jump *jump = &p->jumps[i];
        if (!jump->solved && !p->lost)
            gate_lint_fault(p, jump->token, "syntax", "there is no label %s that this goto can see",
                            gate_lint_show(p, jump->token, name));
    }
    for (uint32_t i = p->jump_count; i > first; i--) {
        if (!p->jumps[i - 1].solved)
            p->symbols[p->jumps[i - 1].symbol].jump = p->jumps[i - 1].older;
    }
    p->jump_count = first;
    p->function = f->outer;
}
