#include "pool/select.h"

const char *const gate_skip_names[] = {
    "",        "disabled", "no_credential", "needs_sign_in", "cooling", "limited",     "exhausted",
    "probing", "quota",    "expired",       "model",         "tried",   "tags", "not_selected"};

enum {
    EXPLORE_EVERY = 64, /* of this many requests "fastest" sends one in turn, to measure again */
    WEIGHT_STEP_NUM = 618,
    WEIGHT_STEP_DEN = 1000,
};

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

/* Puts one account where it belongs: ready, last resort, or passed by. */
static void look_at(struct run *r, uint32_t index)
{
    const struct gate_select *s = r->s;
    const struct gate_entry *e = &s->table->entries[index];
    struct gate_health h = gate_health_read(e->account, s->now_ms);
    enum gate_skip skip = skip_of(h.condition);
    if (s->tried_count > 0 && was_tried(s, e->account))
        skip = GATE_SKIP_TRIED;
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
    pass_by(r->out, index, skip, GATE_LIMIT_NONE, skip == GATE_SKIP_DISABLED ? 0 : h.until_ms);
}

/* ---- strategies: a key for every candidate, the lowest is asked first */

static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53u;
    return h ^ (h >> 33);
}

static void read_numbers(const struct gate_select *s, const struct gate_entry *e,
                         struct gate_quota_numbers *out)
{
    s->quota->ops->numbers(s->quota->instance, e->account->quota, s->kind, s->now_ms, out);
}

static uint64_t key_least_used(const struct gate_select *s, const struct gate_entry *e)
{
    struct gate_quota_numbers n;
    read_numbers(s, e, &n);
    return n.requests_day;
}

static uint64_t key_least_inflight(const struct gate_select *s, const struct gate_entry *e)
{
    (void)s;
    return atomic_load_explicit(&e->account->live.in_flight, memory_order_relaxed);
}

/* Not measured yet comes first, in turn. */
static uint64_t key_fastest(const struct gate_select *s, const struct gate_entry *e)
{
    (void)s;
    return atomic_load_explicit(&e->account->live.latency_us, memory_order_relaxed);
}

/* What has a daily limit is gone at the end of its day; what has none keeps. */
static uint64_t key_reset_first(const struct gate_select *s, const struct gate_entry *e)
{
    const struct gate_limits *l = &e->limits[s->kind];
    struct gate_quota_numbers n;
    if (l->requests_per_day == 0 && l->tokens_per_day == 0)
        return UINT64_MAX >> 16;
    read_numbers(s, e, &n);
    return n.day_resets_at_ms & (UINT64_MAX >> 17);
}

static uint64_t key_sticky(const struct gate_select *s, const struct gate_entry *e)
{
    return mix(e->account->hash ^ s->sticky) >> 1;
}

static uint64_t (*const keys[GATE_STRATEGIES])(const struct gate_select *,
                                               const struct gate_entry *) = {
    [GATE_STRATEGY_LEAST_USED] = key_least_used,
    [GATE_STRATEGY_LEAST_INFLIGHT] = key_least_inflight,
    [GATE_STRATEGY_FASTEST] = key_fastest,
    [GATE_STRATEGY_RESET_FIRST] = key_reset_first,
    [GATE_STRATEGY_STICKY] = key_sticky,
};

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Walks through the sum of all weights in steps that hit every point of it once in a round, spread
 * evenly: in every round each account gets exactly its share. Returns a position in the list. */
static size_t weighted_start(const struct run *r, const uint32_t *list, size_t count, uint64_t turn)
{
    const struct gate_entry *entries = r->s->table->entries;
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += entries[list[i]].weight;
    uint64_t step = total * WEIGHT_STEP_NUM / WEIGHT_STEP_DEN;
    while (step == 0 || gcd(step, total) != 1)
        step++;
    uint64_t point = turn % total * step % total;
    size_t at = 0;
    while (point >= entries[list[at]].weight)
        point -= entries[list[at++]].weight;
    return at;
}

static void make_keys(struct run *r, const uint32_t *list, size_t count)
{
    const struct gate_select *s = r->s;
    uint64_t turn = atomic_fetch_add_explicit(s->turn, 1, memory_order_relaxed);
    enum gate_strategy strategy = s->strategy;
    if (strategy == GATE_STRATEGY_FASTEST && turn % EXPLORE_EVERY == EXPLORE_EVERY - 1)
        strategy = GATE_STRATEGY_ROUND_ROBIN;
    size_t start = strategy == GATE_STRATEGY_WEIGHTED ? weighted_start(r, list, count, turn)
                                                      : (size_t)(turn % count);
    bool in_turn = keys[strategy] == NULL;
    for (size_t i = 0; i < count; i++) {
        uint64_t order = i >= start ? i - start : i + count - start; /* ties go in turn */
        r->keys[i] = order;
        if (!in_turn) {
            uint64_t key = keys[strategy](s, &s->table->entries[list[i]]);
            r->keys[i] = strategy == GATE_STRATEGY_STICKY ? key : key << 13 | order;
        }
    }
}

/* ---- taking one */

static bool reserve(const struct gate_select *s, uint32_t index, struct gate_choice *out)
{
    const struct gate_entry *e = &s->table->entries[index];
    const struct gate_instance *inst = e->account->instance;
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
