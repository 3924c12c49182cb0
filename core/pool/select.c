#include "pool/select.h"
#include "pool/strategy.h"

const char *const gate_skip_names[] = {
    "",        "disabled", "no_credential", "needs_sign_in", "cooling", "limited", "exhausted",
    "probing", "quota",    "expired",       "model",         "tried",   "tags",    "not_selected"};

/* One run over the accounts of an instance. */
struct run {
    const struct gate_select *s;
    struct gate_choice *out;
    uint32_t ready[GATE_ACCOUNT_MAX], spare[GATE_ACCOUNT_MAX]; /* spare: the last resort */
    uint64_t keys[GATE_ACCOUNT_MAX];                           /* of those being picked from */
    size_t ready_count, spare_count;
    const struct gate_entry *expired; /* the first one */
};

static void pass_by(struct gate_choice *out, uint32_t index, enum gate_skip skip,
                    enum gate_limit_name limit, uint64_t until_ms)
{
    if (until_ms != 0 && skip != GATE_SKIP_SIGN_IN &&
        (out->free_at_ms == 0 || until_ms < out->free_at_ms))
        out->free_at_ms = until_ms;
    if (out->skipped_count == GATE_SELECT_MAX_SKIPPED)
        return;
    out->skipped[out->skipped_count++] = (struct gate_skipped){index, skip, limit, until_ms};
}

static bool was_tried(const struct gate_select *s, const struct gate_account *a)
{
    for (size_t i = 0; i < s->tried_count; i++)
        if (s->tried[i] == a)
            return true;
    return false;
}

static enum gate_skip skip_of(enum gate_condition condition)
{
    static const enum gate_skip table[] = {
        [GATE_CONDITION_SERVING] = GATE_SKIP_NONE,
        [GATE_CONDITION_COOLING] = GATE_SKIP_COOLING,
        [GATE_CONDITION_LIMITED] = GATE_SKIP_LIMITED,
        [GATE_CONDITION_EXHAUSTED] = GATE_SKIP_EXHAUSTED,
        [GATE_CONDITION_SIGN_IN] = GATE_SKIP_SIGN_IN,
    };
    return table[condition];
}

static bool has_tags(const struct gate_select *s, const struct gate_entry *e)
{
    for (size_t i = 0; i < s->tag_count; i++) {
        size_t k = 0;
        while (k < e->tag_count && !gate_str_eq(s->tags[i], e->tags[k]))
            k++;
        if (k == e->tag_count)
            return false;
    }
    return true;
}

/* Puts one account where it belongs: ready, last resort, or passed by. */
static void look_at(struct run *r, uint32_t index)
{
    const struct gate_select *s = r->s;
    const struct gate_entry *e = &s->table->entries[index];
    struct gate_health h = gate_health_read(e->account, s->now_ms);
    enum gate_skip skip = skip_of(h.condition);
    if (s->tried_count > 0 && was_tried(s, e->account))
        skip = GATE_SKIP_TRIED;
    else if (s->tag_count > 0 && !has_tags(s, e))
        skip = GATE_SKIP_TAGS;
    else if (!e->enabled)
        skip = GATE_SKIP_DISABLED;
    else if (skip == GATE_SKIP_NONE && h.probing)
        skip = GATE_SKIP_PROBING;
    else if (skip == GATE_SKIP_NONE && e->attachment == NULL)
        skip = GATE_SKIP_NO_CREDENTIAL;
    else if (skip == GATE_SKIP_NONE && e->weight == 0)
        skip = GATE_SKIP_NOT_SELECTED;
    else if (skip == GATE_SKIP_NONE && e->attachment->expires_at_ms != 0 &&
             s->now_ms >= e->attachment->expires_at_ms)
        skip = GATE_SKIP_EXPIRED;
    if (skip == GATE_SKIP_NONE) {
        r->ready[r->ready_count++] = index;
        return;
    }
    if (skip == GATE_SKIP_EXPIRED && r->expired == NULL)
        r->expired = e;
    if ((skip == GATE_SKIP_COOLING || skip == GATE_SKIP_PROBING) && h.last_resort &&
        e->attachment != NULL && e->weight > 0)
        r->spare[r->spare_count++] = index;
    bool ends = skip != GATE_SKIP_DISABLED && skip != GATE_SKIP_TAGS;
    pass_by(r->out, index, skip, GATE_LIMIT_NONE, ends ? h.until_ms : 0);
}

/* ---- by strategy: a key for every candidate, the lowest is asked first */

/* Reads what the strategy compares and nothing else: this is done for every candidate of every
 * request. */
static void read_facts(const struct gate_select *s, const struct gate_entry *e,
                       struct gate_strategy_facts *out)
{
    const struct gate_account_live *live = &e->account->live;
    const struct gate_limits *l = &e->limits[s->kind];
    struct gate_quota_numbers n;
    switch (s->strategy) {
    case GATE_STRATEGY_WEIGHTED:
        out->weight = e->weight;
        return;
    case GATE_STRATEGY_LEAST_INFLIGHT:
        out->in_flight = atomic_load_explicit(&live->in_flight, memory_order_relaxed);
        return;
    case GATE_STRATEGY_FASTEST:
        out->latency_us = atomic_load_explicit(&live->latency_us, memory_order_relaxed);
        return;
    case GATE_STRATEGY_STICKY:
        out->hash = e->account->hash;
        return;
    case GATE_STRATEGY_RESET_FIRST:
        out->daily_limit = l->requests_per_day > 0 || l->tokens_per_day > 0;
        if (!out->daily_limit)
            return;
        break;
    case GATE_STRATEGY_LEAST_USED:
    case GATE_STRATEGY_ROUND_ROBIN:
    case GATE_STRATEGIES:
        break;
    }
    s->quota->ops->numbers(s->quota->instance, e->account->quota, s->kind, s->now_ms, &n);
    out->requests_day = n.requests_day;
    out->day_resets_at_ms = n.day_resets_at_ms;
}

static void make_keys(struct run *r, const uint32_t *list, size_t count)
{
    const struct gate_select *s = r->s;
    struct gate_strategy_facts facts[GATE_ACCOUNT_MAX];
    uint64_t turn = atomic_fetch_add_explicit(s->turn, 1, memory_order_relaxed);
    if (s->strategy != GATE_STRATEGY_ROUND_ROBIN)
        for (size_t i = 0; i < count; i++)
            read_facts(s, &s->table->entries[list[i]], &facts[i]);
    gate_strategy_keys(s->strategy, facts, count, turn, s->sticky, r->keys);
}

/* ---- taking one */

static bool reserve(const struct gate_select *s, uint32_t index, struct gate_choice *out)
{
    const struct gate_entry *e = &s->table->entries[index];
    const struct gate_instance *inst = e->instance;
    enum gate_limit_name limit = GATE_LIMIT_NONE;
    uint64_t free_at = 0;
    if (s->model.len > 0 && inst->ops->account_serves != NULL &&
        !inst->ops->account_serves(inst->state, e->attachment->state, s->model)) {
        pass_by(out, index, GATE_SKIP_MODEL, GATE_LIMIT_NONE, 0);
        return false;
    }
    if (s->quota->ops->reserve(s->quota->instance, e->account->quota, s->kind, &e->limits[s->kind],
                               s->now_ms, s->tokens, &out->reservation, &limit,
                               &free_at) != GATE_OK) {
        pass_by(out, index, GATE_SKIP_QUOTA, limit, free_at);
        return false;
    }
    if (!gate_health_begin(e->account, s->now_ms, &out->probe)) {
        if (!out->last_resort) {
            s->quota->ops->settle(s->quota->instance, e->account->quota, s->kind, &out->reservation,
                                  GATE_OUTCOME_NOT_SENT, 0, s->now_ms);
            pass_by(out, index, GATE_SKIP_PROBING, GATE_LIMIT_NONE, 0);
            return false;
        }
        /* Nobody else is left: it goes along with the probe. */
        atomic_fetch_add_explicit(&e->account->live.in_flight, 1, memory_order_relaxed);
    }
    out->entry = e;
    return true;
}

/* Asks the accounts of a list in the order of their keys. */
static bool take_by_keys(struct run *r, const uint32_t *list, size_t count)
{
    for (size_t round = 0; round < count; round++) {
        size_t best = count;
        for (size_t i = 0; i < count; i++)
            if (r->keys[i] != UINT64_MAX && (best == count || r->keys[i] < r->keys[best]))
                best = i;
        if (best == count)
            return false;
        if (reserve(r->s, list[best], r->out))
            return true;
        r->keys[best] = UINT64_MAX;
    }
    return false;
}

static bool take(struct run *r, uint32_t *list, size_t count, bool last_resort)
{
    const struct gate_select *s = r->s;
    if (count == 0)
        return false;
    r->out->last_resort = last_resort;
    size_t ordered = s->order != NULL ? s->order(s->order_ctx, list, count, last_resort) : 0;
    if (ordered == 0) {
        make_keys(r, list, count);
        return take_by_keys(r, list, count);
    }
    if (ordered == GATE_SELECT_NOBODY)
        ordered = 0;
    for (size_t i = 0; i < ordered; i++)
        if (reserve(s, list[i], r->out))
            return true;
    for (size_t i = ordered; i < count; i++)
        pass_by(r->out, list[i], GATE_SKIP_NOT_SELECTED, GATE_LIMIT_NONE, 0);
    return false;
}

static void start(struct gate_choice *out)
{
    out->entry = NULL;
    out->probe = out->last_resort = false;
    out->free_at_ms = 0;
    out->skipped_count = 0;
}

enum gate_select_result gate_select(const struct gate_select *s, struct gate_choice *out)
{
    struct run r;
    r.s = s;
    r.out = out;
    r.ready_count = r.spare_count = 0;
    r.expired = NULL;
    start(out);
    size_t first = s->table->ranges[s->instance].first, count = s->table->ranges[s->instance].count;
    for (size_t i = 0; i < count; i++)
        look_at(&r, (uint32_t)(first + i));
    if (take(&r, r.ready, r.ready_count, false))
        return GATE_SELECT_CHOSEN;
    if (s->ready_only)
        return GATE_SELECT_NONE;
    if (r.expired != NULL) {
        out->entry = r.expired;
        return GATE_SELECT_REFRESH;
    }
    return take(&r, r.spare, r.spare_count, true) ? GATE_SELECT_CHOSEN : GATE_SELECT_NONE;
}

enum gate_select_result gate_select_one(const struct gate_select *s, const struct gate_entry *entry,
                                        struct gate_choice *out)
{
    start(out);
    if (!entry->enabled || entry->attachment == NULL)
        return GATE_SELECT_NONE;
    out->last_resort = true; /* it is wanted, paused or not */
    return reserve(s, (uint32_t)(entry - s->table->entries), out) ? GATE_SELECT_CHOSEN
                                                                  : GATE_SELECT_NONE;
}
