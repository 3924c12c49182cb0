#include "pool/health.h"

enum {
    LATENCY_WEIGHT = 8, /* a new value counts one eighth */
    MAX_STREAK = 16,
    MOST_PAUSE_MS = 24 * 3600 * 1000, /* whatever a service says */
    SLACK_MS = 3600 * 1000,           /* clocks of services differ, and pauses vary */
};

/* The rule of each verdict; see the table in the header. */
static const struct rule {
    enum gate_condition condition;
    uint64_t first_ms, most_ms;
    bool last_resort;
} rules[] = {
    [GATE_VERDICT_OK] = {GATE_CONDITION_SERVING, 0, 0, false},
    [GATE_VERDICT_AUTH] = {GATE_CONDITION_SIGN_IN, 30 * 1000, 3600 * 1000, false},
    [GATE_VERDICT_RATE_LIMITED] = {GATE_CONDITION_LIMITED, 2000, 60 * 1000, false},
    [GATE_VERDICT_QUOTA_EXHAUSTED] = {GATE_CONDITION_EXHAUSTED, 3600 * 1000, 86400 * 1000, false},
    [GATE_VERDICT_OVERLOADED] = {GATE_CONDITION_COOLING, 1000, 60 * 1000, true},
    [GATE_VERDICT_BLOCKED] = {GATE_CONDITION_COOLING, 30 * 1000, 30 * 60 * 1000, false},
    [GATE_VERDICT_CLIENT_ERROR] = {GATE_CONDITION_SERVING, 0, 0, false},
    [GATE_VERDICT_NETWORK] = {GATE_CONDITION_COOLING, 1000, 30 * 1000, true},
    [GATE_VERDICT_TRUNCATED] = {GATE_CONDITION_COOLING, 1000, 30 * 1000, true},
    [GATE_VERDICT_TIMEOUT] = {GATE_CONDITION_COOLING, 2000, 60 * 1000, true},
    [GATE_VERDICT_GARBAGE] = {GATE_CONDITION_COOLING, 1000, 60 * 1000, true},
};

static const struct rule *rule_of(enum gate_verdict_kind kind)
{
    return &rules[(size_t)kind < sizeof rules / sizeof rules[0] ? kind : GATE_VERDICT_GARBAGE];
}

/* ---- the word: until (ms, 48 bits), last resort (8), condition (8); 0: serving */

static uint64_t pack(enum gate_condition condition, bool last_resort, uint64_t until_ms)
{
    return until_ms << 16 | (uint64_t)last_resort << 8 | condition;
}

static enum gate_condition condition_of(uint64_t word)
{
    return (enum gate_condition)(word & 0xff);
}

static uint64_t until_of(uint64_t word)
{
    return word >> 16;
}

static void note_change(struct gate_account *a)
{
    atomic_fetch_add_explicit(&a->live.changes, 1, memory_order_release);
}

/* A pause of more than a day does not exist: the clock was set back since. */
static bool is_over(uint64_t word, uint64_t now_ms)
{
    uint64_t until = until_of(word);
    return until != 0 && (now_ms >= until || until - now_ms > MOST_PAUSE_MS + SLACK_MS);
}

struct gate_health gate_health_read(const struct gate_account *a, uint64_t now_ms)
{
    uint64_t word = atomic_load_explicit(&a->live.word, memory_order_acquire);
    if (word == 0)
        return (struct gate_health){.condition = GATE_CONDITION_SERVING};
    if (is_over(word, now_ms))
        return (struct gate_health){
            .condition = GATE_CONDITION_SERVING,
            .unproven = condition_of(word),
            .half_open = true,
            .last_resort = (word >> 8 & 1) != 0,
            .probing = atomic_load_explicit(&a->live.probing, memory_order_relaxed) != 0,
        };
    return (struct gate_health){
        .condition = condition_of(word),
        .unproven = condition_of(word),
        .until_ms = until_of(word),
        .last_resort = (word >> 8 & 1) != 0,
    };
}

enum gate_condition gate_health_saved(const struct gate_account *a, uint64_t *until_ms)
{
    uint64_t word = atomic_load_explicit(&a->live.word, memory_order_acquire);
    *until_ms = until_of(word);
    return condition_of(word);
}

/* ---- an attempt */

bool gate_health_begin(struct gate_account *a, uint64_t now_ms, bool *probe)
{
    *probe = false;
    if (gate_health_read(a, now_ms).half_open) {
        uint32_t none = 0;
        if (!atomic_compare_exchange_strong(&a->live.probing, &none, 1))
            return false;
        *probe = true;
    }
    atomic_fetch_add_explicit(&a->live.in_flight, 1, memory_order_relaxed);
    atomic_store_explicit(&a->live.last_used_ms, now_ms, memory_order_relaxed);
    return true;
}

static void recover(struct gate_account *a)
{
    uint64_t word = atomic_load_explicit(&a->live.word, memory_order_acquire);
    if (word == 0 || !atomic_compare_exchange_strong(&a->live.word, &word, 0))
        return;
    atomic_store(&a->live.streak, 0);
    note_change(a);
}

void gate_health_good(struct gate_account *a, bool probe, bool last_resort, uint64_t latency_us)
{
    struct gate_account_live *l = &a->live;
    uint64_t old = atomic_load_explicit(&l->latency_us, memory_order_relaxed);
    uint64_t now =
        old == 0 ? latency_us : (old * (LATENCY_WEIGHT - 1) + latency_us) / LATENCY_WEIGHT;
    atomic_store_explicit(&l->latency_us, now > 0 ? now : 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&l->served, 1, memory_order_relaxed);
    if (probe || last_resort)
        recover(a);
    if (probe)
        atomic_store(&a->live.probing, 0);
}

void gate_health_end(struct gate_account *a, bool probe)
{
    atomic_fetch_sub_explicit(&a->live.in_flight, 1, memory_order_relaxed);
    if (probe)
        atomic_store(&a->live.probing, 0);
}

/* ---- failing */

uint64_t gate_health_pause(const struct gate_account *a, const struct gate_verdict *verdict,
                           uint64_t day_end_ms, uint64_t now_ms)
{
    const struct rule *rule = rule_of(verdict->kind);
    if (rule->first_ms == 0)
        return 0;
    if (verdict->retry_after_ms > 0 &&
        (verdict->kind == GATE_VERDICT_RATE_LIMITED ||
         verdict->kind == GATE_VERDICT_QUOTA_EXHAUSTED || verdict->kind == GATE_VERDICT_OVERLOADED))
        return verdict->retry_after_ms < MOST_PAUSE_MS ? verdict->retry_after_ms : MOST_PAUSE_MS;
    if (verdict->kind == GATE_VERDICT_QUOTA_EXHAUSTED && day_end_ms > now_ms)
        return day_end_ms - now_ms;
    uint32_t streak = atomic_load_explicit(&a->live.streak, memory_order_relaxed);
    /* What fails while the account pauses already is a part of that, not a further step. */
    if (streak > 0 && gate_health_read(a, now_ms).condition != GATE_CONDITION_SERVING)
        streak--;
    uint64_t pause = rule->first_ms << (streak < MAX_STREAK ? streak : MAX_STREAK);
    return pause < rule->most_ms ? pause : rule->most_ms;
}

static void keep_error(struct gate_account *a, const struct gate_health_failure *f, uint64_t now_ms)
{
    pthread_mutex_lock(&a->lock);
    struct gate_last_error *e = &a->last_error;
    e->at_ms = now_ms;
    e->verdict = f->verdict->kind;
    e->status = f->status;
    snprintf(e->code, sizeof e->code, "%s", f->verdict->code);
    snprintf(e->message, sizeof e->message, "%s",
             f->verdict->message[0] != '\0' ? f->verdict->message : f->reason);
    pthread_mutex_unlock(&a->lock);
}

void gate_health_bad(struct gate_account *a, const struct gate_health_failure *f, uint64_t random,
                     uint64_t now_ms)
{
    const struct rule *rule = rule_of(f->verdict->kind);
    if (f->verdict->kind == GATE_VERDICT_CLIENT_ERROR && f->pause_ms == 0)
        return; /* the account did its part */
    atomic_fetch_add_explicit(&a->live.failed, 1, memory_order_relaxed);
    keep_error(a, f, now_ms);
    if (f->pause_ms == 0)
        return;
    uint64_t pause = f->pause_ms;
    if (!f->exact)
        pause = pause * (80 + random % 41) / 100;
    enum gate_condition condition =
        rule->condition != GATE_CONDITION_SERVING ? rule->condition : GATE_CONDITION_COOLING;
    uint64_t fresh =
        pack(condition, rule->last_resort && !f->hard, now_ms + (pause > 0 ? pause : 1));
    uint64_t word = atomic_load_explicit(&a->live.word, memory_order_acquire);
    for (;;) {
        bool paused = word != 0 && !is_over(word, now_ms);
        /* Requests that were on their way fail too: they neither shorten the pause nor count as a
         * further one. What the service names itself may be longer. */
        bool longer = f->exact && until_of(fresh) > until_of(word);
        if (paused && (until_of(word) == 0 || !longer))
            return;
        if (!atomic_compare_exchange_weak(&a->live.word, &word, fresh))
            continue;
        if (!paused)
            atomic_fetch_add(&a->live.streak, 1);
        note_change(a);
        return;
    }
}

void gate_health_rest(struct gate_account *a, uint64_t pause_ms, uint64_t now_ms)
{
    uint64_t pause = pause_ms < MOST_PAUSE_MS ? pause_ms : MOST_PAUSE_MS;
    uint64_t fresh = pack(GATE_CONDITION_COOLING, true, now_ms + pause);
    uint64_t word = atomic_load_explicit(&a->live.word, memory_order_acquire);
    do {
        if (word != 0 && !is_over(word, now_ms) &&
            (until_of(word) == 0 || until_of(word) >= until_of(fresh)))
            return;
    } while (!atomic_compare_exchange_weak(&a->live.word, &word, fresh));
    note_change(a);
}

/* ---- control */

void gate_health_clear(struct gate_account *a)
{
    atomic_store(&a->live.word, 0);
    atomic_store(&a->live.streak, 0);
    note_change(a);
}

void gate_health_set(struct gate_account *a, enum gate_condition condition, uint64_t until_ms,
                     const char *message, uint64_t now_ms)
{
    bool serving = condition == GATE_CONDITION_SERVING;
    if (message != NULL && message[0] != '\0') {
        pthread_mutex_lock(&a->lock);
        a->last_error.at_ms = now_ms;
        a->last_error.verdict =
            condition == GATE_CONDITION_SIGN_IN ? GATE_VERDICT_AUTH : GATE_VERDICT_OVERLOADED;
        a->last_error.status = 0;
        a->last_error.code[0] = '\0';
        snprintf(a->last_error.message, sizeof a->last_error.message, "%s", message);
        pthread_mutex_unlock(&a->lock);
    }
    /* A restored pause no longer knows its verdict: nobody else left is reason enough to ask. */
    bool last_resort = condition == GATE_CONDITION_COOLING;
    atomic_store(&a->live.word, serving ? 0 : pack(condition, last_resort, until_ms));
    note_change(a);
}

void gate_health_last_error(struct gate_account *a, struct gate_last_error *out)
{
    pthread_mutex_lock(&a->lock);
    *out = a->last_error;
    pthread_mutex_unlock(&a->lock);
}
