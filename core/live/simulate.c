#include "live/simulate.h"
#include "base/clock.h"
#include "live/rules.h"
#include "pool/strategy.h"
#include <stdlib.h>
#include <time.h>

enum {
    BYTES_PER_TOKEN = 4, /* as request/pick.c estimates what it reserves */
    DEFAULT_COMPLETION = 1024,
    MAX_ESTIMATE = 1 << 20,
};

const char *const gate_simulate_outcome_names[] = {"routed", "rejected", "unknown_model",
                                                   "no_account", "error"};

/* A list of tags that was put together for one account. */
struct tag_block {
    struct tag_block *next;
    struct gate_str tags[GATE_RULES_MAX_TAGS];
};

struct run {
    const struct gate_candidate *c;
    const struct gate_simulate_input *in;
    struct gate_simulated *out;
    struct gate_rules rules;
    struct gate_accounts_view view;
    struct gate_route_view request;
    struct gate_decision decision;
    uint64_t tokens;
    struct tag_block *tags; /* owned */
};

static void put_text(char *out, size_t cap, struct gate_str text)
{
    size_t len = text.len < cap - 1 ? text.len : cap - 1;
    if (len > 0)
        memcpy(out, text.ptr, len);
    out[len] = '\0';
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(struct run *r, const char *function, const struct gate_error *err)
{
    struct gate_simulated *out = r->out;
    out->outcome = GATE_SIMULATED_ERROR;
    out->chosen = out->target_count;
    snprintf(out->message, sizeof out->message, "%s", err->message);
    snprintf(out->stack, sizeof out->stack, "%s", gate_script_stack(r->c->script));
    if (out->message[0] == '\0')
        snprintf(out->message, sizeof out->message, "%s failed", function);
}

/* ---- accounts as the candidate would have them */

static void read_account(struct run *r, size_t index, struct gate_account_facts *out)
{
    gate_trace_accounts_read(r->in->accounts, index, out);
    if (r->rules.from == r->rules.to)
        return;
    struct tag_block *block = gate_alloc(sizeof *block);
    if (!gate_rules_apply(&r->rules, out, block->tags)) {
        free(block);
        return;
    }
    block->next = r->tags;
    r->tags = block;
}

static bool view_find(void *ctx, struct gate_str provider, size_t *first, size_t *count)
{
    const struct run *r = ctx;
    *first = *count = 0;
    if (r->in->accounts != NULL &&
        gate_trace_accounts_find(r->in->accounts, provider, first, count))
        return true;
    return gate_pool_find(r->c->pool, provider, NULL) != NULL;
}

static void view_read(void *ctx, size_t index, struct gate_account_facts *out)
{
    read_account(ctx, index, out);
}

/* ---- which account of a target */

/* The accounts of one target's provider. */
struct offer {
    struct run *r;
    const struct gate_target *target; /* NULL: the model's own name */
    struct gate_account_facts *facts; /* of all accounts of the provider; owned */
    uint32_t *list;                   /* those that could serve; owned */
    size_t all, count;
};

static bool has_all_tags(const struct gate_target *target, const struct gate_account_facts *f)
{
    for (size_t i = 0; target != NULL && i < target->tag_count; i++) {
        size_t k = 0;
        while (k < f->tag_count && !gate_str_eq(target->tags[i], f->tags[k]))
            k++;
        if (k == f->tag_count)
            return false;
    }
    return true;
}

static bool could_serve(const struct offer *o, const struct gate_account_facts *f, bool last_resort)
{
    bool state = last_resort ? f->last_resort && strcmp(f->state, "cooling") == 0
                             : strcmp(f->state, "serving") == 0;
    return state && f->weight > 0 && has_all_tags(o->target, f);
}

static bool fits(uint64_t used, uint64_t more, uint64_t limit)
{
    if (more > limit)
        more = limit; /* what is larger than a limit may have all of it */
    return limit == 0 || used + (more > 0 ? more : 1) <= limit;
}

/* edits: of the target; NULL: none. */
static uint64_t estimate_tokens(const struct gate_route_view *request,
                                const struct gate_edits *edits)
{
    uint64_t completion =
        request->facts->max_tokens > 0 ? request->facts->max_tokens : DEFAULT_COMPLETION;
    if (edits != NULL && edits->max_tokens > 0 && completion > edits->max_tokens)
        completion = edits->max_tokens;
    if (completion > MAX_ESTIMATE)
        return MAX_ESTIMATE;
    uint64_t all = request->body_bytes / BYTES_PER_TOKEN + completion;
    return all < MAX_ESTIMATE ? all : MAX_ESTIMATE;
}

/* As the quota plugin would say to a reservation. */
static bool has_room(const struct run *r, const struct gate_account_facts *f)
{
    const struct gate_quota_numbers *n = &f->numbers;
    const struct gate_limits *l = &f->limits;
    return n->blocked_until_ms <= f->now_ms &&
           fits(n->requests_minute, 1, l->requests_per_minute) &&
           fits(n->requests_day, 1, l->requests_per_day) &&
           fits(n->tokens_minute, r->tokens, l->tokens_per_minute) &&
           fits(n->tokens_day, r->tokens, l->tokens_per_day) &&
           fits(n->in_flight, 1, l->concurrency);
}

static void offer_read(void *ctx, size_t index, struct gate_account_facts *out)
{
    const struct offer *o = ctx;
    *out = o->facts[o->list[index]];
}

static bool offer_knows(void *ctx, struct gate_str name)
{
    const struct offer *o = ctx;
    for (size_t i = 0; i < o->all; i++)
        if (gate_str_eq(name, o->facts[i].id) || gate_str_eq(name, o->facts[i].alias))
            return true;
    return false;
}

/* Keeps the accounts with room, in this order. True: there is one. */
static bool keep_order(const struct offer *o, const size_t *order, size_t count)
{
    struct gate_simulated *out = o->r->out;
    out->order_count = 0;
    for (size_t i = 0; i < count && out->order_count < GATE_SCRIPT_MAX_TARGETS; i++) {
        const struct gate_account_facts *f = &o->facts[o->list[order[i]]];
        if (has_room(o->r, f))
            put_text(out->order[out->order_count++], GATE_TRACE_ACCOUNT, f->id);
    }
    if (out->order_count > 0)
        snprintf(out->account, sizeof out->account, "%s", out->order[0]);
    return out->order_count > 0;
}

static void read_strategy_facts(const struct gate_account_facts *from,
                                struct gate_strategy_facts *to)
{
    *to = (struct gate_strategy_facts){
        .hash = from->hash,
        .weight = from->weight,
        .in_flight = from->numbers.in_flight,
        .latency_us = from->latency_us,
        .requests_day = from->numbers.requests_day,
        .day_resets_at_ms = from->numbers.day_resets_at_ms,
        .daily_limit = from->limits.requests_per_day > 0 || from->limits.tokens_per_day > 0,
    };
}

struct keyed {
    uint64_t key;
    size_t at;
};

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static enum gate_strategy strategy_of(const struct run *r, const struct gate_target *target)
{
    if (target != NULL && target->strategy >= 0)
        return (enum gate_strategy)target->strategy;
    return r->rules.to->strategy;
}

static bool order_by_strategy(const struct offer *o)
{
    struct run *r = o->r;
    enum gate_strategy strategy = strategy_of(r, o->target);
    struct gate_strategy_facts *facts = gate_alloc(o->count * sizeof facts[0]);
    uint64_t *keys = gate_alloc(o->count * sizeof keys[0]);
    struct keyed *keyed = gate_alloc(o->count * sizeof keyed[0]);
    size_t *order = gate_alloc(o->count * sizeof order[0]);
    for (size_t i = 0; i < o->count; i++)
        read_strategy_facts(&o->facts[o->list[i]], &facts[i]);
    gate_strategy_keys(strategy, facts, o->count, r->in->turn, r->in->sticky, keys);
    for (size_t i = 0; i < o->count; i++)
        keyed[i] = (struct keyed){keys[i], i};
    qsort(keyed, o->count, sizeof keyed[0], compare_keyed);
    for (size_t i = 0; i < o->count; i++)
        order[i] = keyed[i].at;
    r->out->strategy = gate_strategy_names[strategy];
    bool found = keep_order(o, order, o->count);
    free(order);
    free(keyed);
    free(keys);
    free(facts);
    return found;
}

static bool order_offer(struct offer *o)
{
    struct run *r = o->r;
    struct gate_selection selection = {.count = 0};
    struct gate_error err = {.message = ""};
    const struct gate_select_view view = {o->count, offer_read, o, offer_knows};
    if (!gate_script_has_select(r->c->script))
        return order_by_strategy(o);
    if (gate_script_select(r->c->script, &view, &r->request, &selection, &err) != GATE_OK) {
        fail(r, "select", &err);
        return false;
    }
    if (selection.count == 0 && !selection.only)
        return order_by_strategy(o);
    r->out->strategy = "select";
    return keep_order(o, selection.order, selection.count);
}

/* Those that could serve in that way. */
static bool choose(struct offer *o, bool last_resort)
{
    o->count = 0;
    for (size_t i = 0; i < o->all; i++) {
        o->facts[i].cooling = last_resort;
        if (could_serve(o, &o->facts[i], last_resort))
            o->list[o->count++] = (uint32_t)i;
    }
    return o->count > 0 && order_offer(o);
}

/* True: this target is the one, or the scripts failed. */
static bool try_target(struct run *r, size_t target, bool last_resort)
{
    struct gate_simulated *out = r->out;
    const struct gate_decision *d = &r->decision;
    struct offer o = {.r = r, .target = d->target_count > 0 ? &d->targets[target] : NULL};
    struct gate_str provider = gate_str_of(out->targets[target].provider);
    r->tokens = estimate_tokens(&r->request, o.target != NULL ? o.target->edits : NULL);
    size_t first;
    if (provider.len == 0)
        return false;
    out->chosen = target;
    out->strategy = gate_strategy_names[strategy_of(r, o.target)];
    if (r->in->accounts == NULL)
        return true;
    if (!gate_trace_accounts_find(r->in->accounts, provider, &first, &o.all)) {
        snprintf(out->message, sizeof out->message,
                 "The accounts of %s are not known yet: any of them may serve.",
                 out->targets[target].provider);
        return true;
    }
    o.facts = gate_alloc(o.all * sizeof o.facts[0]);
    o.list = gate_alloc(o.all * sizeof o.list[0]);
    for (size_t i = 0; i < o.all; i++)
        read_account(r, first + i, &o.facts[i]);
    bool found = choose(&o, false) ||
                 (last_resort && out->outcome != GATE_SIMULATED_ERROR && choose(&o, true));
    free(o.list);
    free(o.facts);
    return found || out->outcome == GATE_SIMULATED_ERROR;
}

/* Whoever is well goes first, at every target; then those that are asked as a last resort. */
static void choose_account(struct run *r)
{
    for (int last_resort = 0; last_resort < 2; last_resort++)
        for (size_t i = 0; i < r->out->target_count; i++)
            if (try_target(r, i, last_resort != 0))
                return;
    r->out->outcome = GATE_SIMULATED_NO_ACCOUNT;
    r->out->chosen = r->out->target_count;
}

/* ---- where it goes */

/* False: the function of models.lua failed. */
static bool add_target(struct run *r, struct gate_str name)
{
    struct gate_simulated_target *t = &r->out->targets[r->out->target_count];
    char buffer[GATE_SCRIPT_MAX_TARGET];
    struct gate_str mapped = {NULL, 0};
    struct gate_resolved resolved;
    struct gate_error err = {.message = ""};
    put_text(t->name, sizeof t->name, name);
    t->provider[0] = t->model[0] = '\0';
    if (gate_script_map(r->c->script, name, buffer, &mapped, &err) != GATE_OK) {
        fail(r, "models", &err);
        return false;
    }
    r->out->target_count++;
    if (gate_pool_resolve(r->c->pool, mapped, name, &resolved)) {
        put_text(t->provider, sizeof t->provider, gate_str_of(resolved.instance->name));
        put_text(t->model, sizeof t->model, resolved.model);
    }
    return true;
}

static bool add_targets(struct run *r)
{
    const struct gate_decision *d = &r->decision;
    if (d->target_count == 0)
        return add_target(r, r->in->request.model);
    for (size_t i = 0; i < d->target_count; i++)
        if (!add_target(r, d->targets[i].name))
            return false;
    return true;
}

static void follow(struct run *r)
{
    const struct gate_decision *d = &r->decision;
    struct gate_simulated *out = r->out;
    bool served = false;
    put_text(out->reason, sizeof out->reason, d->reason);
    if (d->reject.status != 0) {
        out->outcome = GATE_SIMULATED_REJECTED;
        out->status = d->reject.status;
        put_text(out->message, sizeof out->message, d->reject.message);
        return;
    }
    if (!add_targets(r))
        return;
    for (size_t i = 0; i < out->target_count; i++)
        served = served || out->targets[i].provider[0] != '\0';
    out->chosen = out->target_count;
    if (served)
        choose_account(r);
    else
        out->outcome = GATE_SIMULATED_UNKNOWN_MODEL;
}

/* Everything but the texts, which are long and end where they begin. */
static void start(struct gate_simulated *out, const struct gate_account_policy *policy)
{
    out->outcome = GATE_SIMULATED_ROUTED;
    out->target_count = out->chosen = out->order_count = 0;
    out->account[0] = out->reason[0] = out->message[0] = out->stack[0] = '\0';
    out->strategy = gate_strategy_names[policy->strategy];
    out->status = 0;
}

void gate_simulate(const struct gate_candidate *c, const struct gate_simulate_input *in,
                   struct gate_simulated *out)
{
    struct run r = {.c = c, .in = in, .out = out, .request = in->request};
    struct gate_error err = {.message = ""};
    uint64_t began = now_ns();
    r.rules = (struct gate_rules){in->policy, gate_generation_policy(c->generation),
                                  c->config != NULL ? &c->config->limits : NULL, GATE_USAGE_CHAT};
    r.view = (struct gate_accounts_view){view_find, view_read, &r};
    r.request.accounts = &r.view;
    start(out, r.rules.to);
    gate_script_set_time(c->script, in->now_ms);
    if (gate_script_route(c->script, &r.request, &r.decision, &err) == GATE_OK)
        follow(&r);
    else
        fail(&r, "route", &err);
    gate_decision_finish(&r.decision);
    gate_script_set_time(c->script, 0);
    while (r.tags != NULL) {
        struct tag_block *next = r.tags->next;
        free(r.tags);
        r.tags = next;
    }
    out->took_ns = now_ns() - began;
}
