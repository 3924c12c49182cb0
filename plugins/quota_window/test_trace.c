/*
 * Property test: random traces over 2 to 50 accounts, each checked step by step against the model.
 * What the window admits and refuses, the limit that it names, the moment that it promises and its
 * numbers must be the model's; and what was admitted must hold in every 60 s and every day.
 */
#include "model.h"

#include <stdlib.h>

enum {
    TRACES = WINDOW_SLOWNESS > 1 ? 2 : 5,
    REQUESTS = 100000, /* of each trace */
    MAX_ACCOUNTS = 50,
    MAX_OPEN = 40, /* reservations of an account that are not settled */
    MAX_TOKENS = 3000,
    STEP_BACK_MS = 60000,
};

struct open {
    struct gate_reservation res;
    size_t entry;
    uint64_t tokens;
};

struct account {
    struct window_state *state;
    struct gate_limits limits;
    struct model model;
    struct open open[MAX_OPEN];
    size_t open_count;
};

struct trace {
    struct rig rig;
    uint64_t seed;
    uint64_t now_ms, newest_ms;
    struct account accounts[MAX_ACCOUNTS];
    size_t account_count;
    uint64_t asked, admitted, refused[GATE_LIMIT_UPSTREAM + 1];
};

static uint64_t draw_limit(uint64_t *seed, uint64_t most)
{
    return draw_chance(seed, 500) ? 0 : 1 + draw_below(seed, most);
}

static void draw_limits(uint64_t *seed, struct gate_limits *out)
{
    *out = (struct gate_limits){
        .requests_per_minute = draw_limit(seed, 60),
        .requests_per_day = draw_limit(seed, 20000),
        .tokens_per_minute = draw_limit(seed, 60000),
        .tokens_per_day = draw_limit(seed, 20000000),
        .concurrency = (uint32_t)draw_limit(seed, 20),
    };
}

static void trace_open(struct trace *t, uint64_t seed)
{
    static const struct {
        const char *name;
        int64_t offset_min;
    } zones[] = {{"+08:00", 480}, {"-05:30", -330}, {"UTC", 0}};

    t->seed = seed;
    size_t zone = draw_below(&t->seed, 3);
    rig_open(&t->rig, zones[zone].name);
    t->account_count = 2 + draw_below(&t->seed, MAX_ACCOUNTS - 1);
    t->now_ms = NOON_MS + draw_below(&t->seed, DAY_MS);
    for (size_t i = 0; i < t->account_count; i++) {
        struct account *a = &t->accounts[i];

        a->state = aligned_alloc(WINDOW_LINE, t->rig.ops->state_size);
        ck_assert_ptr_nonnull(a->state);
        memset(a->state, 0, t->rig.ops->state_size);
        draw_limits(&t->seed, &a->limits);
        model_open(&a->model, zones[zone].offset_min * 60000, t->now_ms);
    }
}

static void trace_close(struct trace *t)
{
    for (size_t i = 0; i < t->account_count; i++) {
        free(t->accounts[i].state);
        model_close(&t->accounts[i].model);
    }
    rig_close(&t->rig);
    free(t);
}

/* Mostly little time passes; sometimes a minute or hours, and now and then the clock goes back. */
static void pass_time(struct trace *t)
{
    uint64_t dice = draw_below(&t->seed, 100000);

    if (dice < 3)
        t->now_ms += draw_below(&t->seed, 20 * 3600 * 1000);
    else if (dice < 100)
        t->now_ms += draw_below(&t->seed, 130000);
    else if (dice < 120)
        t->now_ms -= draw_below(&t->seed, 30000);
    else if (dice < 5000)
        t->now_ms += draw_below(&t->seed, 3000);
    else
        t->now_ms += draw_below(&t->seed, 1200 / t->account_count + 2);
    /* By no more than what counts as standing still. */
    if (t->now_ms > t->newest_ms)
        t->newest_ms = t->now_ms;
    else if (t->newest_ms - t->now_ms > STEP_BACK_MS)
        t->now_ms = t->newest_ms - STEP_BACK_MS;
}

static void check_numbers(struct trace *t, struct account *a)
{
    struct gate_quota_numbers expected, n;

    model_numbers(&a->model, t->now_ms, &expected);
    t->rig.ops->numbers(t->rig.instance, a->state, GATE_USAGE_CHAT, t->now_ms, &n);
    EXPECT(n.requests_minute == expected.requests_minute);
    EXPECT(n.requests_day == expected.requests_day);
    EXPECT(n.tokens_minute == expected.tokens_minute);
    EXPECT(n.tokens_day == expected.tokens_day);
    EXPECT(n.in_flight == expected.in_flight);
    EXPECT(n.day_resets_at_ms == expected.day_resets_at_ms);
    EXPECT(n.blocked_until_ms == expected.blocked_until_ms);
}

/* Holds whatever the model thinks: no 60 s and no day has more than its limit. */
static void check_bounds(const struct account *a, const struct model_entry *e)
{
    const struct model *m = &a->model;
    uint64_t day = (uint64_t)((int64_t)e->at_ms + m->offset_ms) / DAY_MS - m->first_day;
    uint64_t requests, tokens;

    model_rolling(m, e->at_ms, &requests, &tokens);
    EXPECT(a->limits.requests_per_minute == 0 || requests <= a->limits.requests_per_minute);
    EXPECT(a->limits.tokens_per_minute == 0 || tokens <= a->limits.tokens_per_minute);
    EXPECT(a->limits.requests_per_day == 0 || m->day_requests[day] <= a->limits.requests_per_day);
    EXPECT(a->limits.tokens_per_day == 0 || m->day_tokens[day] <= a->limits.tokens_per_day);
    EXPECT(a->limits.concurrency == 0 || m->in_flight <= a->limits.concurrency);
}

static bool ask(struct trace *t, struct account *a, uint64_t tokens)
{
    uint64_t expected_at, free_at_ms = 0;
    enum gate_limit_name limit = GATE_LIMIT_NONE;
    enum gate_limit_name expected =
        model_ask(&a->model, &a->limits, t->now_ms, tokens, &expected_at);
    struct open *o = &a->open[a->open_count];
    enum gate_status status =
        t->rig.ops->reserve(t->rig.instance, a->state, GATE_USAGE_CHAT, &a->limits, t->now_ms,
                            tokens, &o->res, &limit, &free_at_ms);

    t->asked++;
    if (status != GATE_OK) {
        EXPECT(status == GATE_ELIMIT);
        EXPECT(limit == expected);
        EXPECT(free_at_ms == expected_at);
        t->refused[limit]++;
        return false;
    }
    EXPECT(expected == GATE_LIMIT_NONE);
    o->tokens = tokens;
    o->entry = model_take(&a->model, &a->limits, t->now_ms, tokens);
    EXPECT(o->res.at_ms == a->model.entries[o->entry].at_ms);
    check_bounds(a, &a->model.entries[o->entry]);
    a->open_count++;
    t->admitted++;
    return true;
}

static void settle_one(struct trace *t, struct account *a)
{
    size_t i = draw_below(&t->seed, a->open_count);
    struct open o = a->open[i];
    enum gate_outcome outcome = draw_chance(&t->seed, 700)
                                    ? GATE_OUTCOME_ANSWERED
                                    : (enum gate_outcome)draw_below(&t->seed, 4);
    uint64_t tokens = draw_below(&t->seed, 2 * o.tokens + 2);

    a->open[i] = a->open[--a->open_count];
    t->rig.ops->settle(t->rig.instance, a->state, GATE_USAGE_CHAT, &o.res, outcome, tokens,
                       t->now_ms);
    model_settle(&a->model, o.entry, outcome, tokens, t->now_ms);
}

static void block(struct trace *t, struct account *a)
{
    char seconds[8];
    uint64_t s = draw_below(&t->seed, 90);
    uint64_t until = t->now_ms + s * 1000;
    struct gate_header header = {GATE_STR("retry-after"), {NULL, 0}};

    snprintf(seconds, sizeof seconds, "%u", (unsigned)s);
    header.value = gate_str_of(seconds);
    t->rig.ops->observe(t->rig.instance, a->state, GATE_USAGE_CHAT, &header, 1, t->now_ms);
    if (until > a->model.blocked_until)
        a->model.blocked_until = until;
}

/* The gateway stops and starts again; what was in flight is never settled. */
static void restart(struct trace *t, struct account *a)
{
    struct heap h;
    struct gate_writer out = heap_writer(&h);

    t->rig.ops->save(t->rig.instance, a->state, &out);
    memset(a->state, 0, t->rig.ops->state_size);
    ck_assert_int_eq(t->rig.ops->load(t->rig.instance, a->state, (struct gate_str){h.ptr, h.len},
                                      t->now_ms, NULL),
                     GATE_OK);
    free(h.ptr);
    model_restart(&a->model, t->now_ms);
    a->open_count = 0;
}

static void step(struct trace *t)
{
    size_t first = draw_below(&t->seed, t->account_count);
    uint64_t tokens = draw_chance(&t->seed, 5)    ? draw_below(&t->seed, 100000)
                      : draw_chance(&t->seed, 50) ? 0
                                                  : draw_below(&t->seed, MAX_TOKENS);
    struct account *a = &t->accounts[first];

    pass_time(t);
    while (a->open_count > 0 &&
           (a->open_count == MAX_OPEN || draw_below(&t->seed, MAX_OPEN) < a->open_count))
        settle_one(t, a);
    if (draw_chance(&t->seed, 1))
        draw_limits(&t->seed, &a->limits);
    if (draw_chance(&t->seed, 1))
        block(t, a);
    if (draw_chance(&t->seed, 1))
        restart(t, a);
    /* As the pool does: the first account that has room. */
    for (size_t i = 0; i < t->account_count; i++) {
        a = &t->accounts[(first + i) % t->account_count];
        if (a->open_count < MAX_OPEN && ask(t, a, tokens))
            break;
    }
    check_numbers(t, &t->accounts[draw_below(&t->seed, t->account_count)]);
}

START_TEST(test_trace)
{
    uint64_t seed = 1000 + (uint64_t)_i;
    struct trace *t = calloc(1, sizeof *t);

    ck_assert_ptr_nonnull(t);
    trace_open(t, seed);
    printf("trace: seed %llu, %zu accounts", (unsigned long long)seed, t->account_count);
    fflush(stdout);
    for (int i = 0; i < REQUESTS; i++)
        step(t);
    printf(": asked %llu, admitted %llu, refused", (unsigned long long)t->asked,
           (unsigned long long)t->admitted);
    for (size_t i = GATE_LIMIT_RPM; i <= GATE_LIMIT_UPSTREAM; i++)
        printf(" %llu", (unsigned long long)t->refused[i]);
    printf(" (rpm rpd tpm tpd concurrency upstream)\n");
    /* A trace that never meets a limit shows nothing. */
    for (size_t i = GATE_LIMIT_RPM; i <= GATE_LIMIT_UPSTREAM; i++)
        ck_assert_uint_gt(t->refused[i], 0);
    ck_assert_uint_gt(t->admitted, REQUESTS / 4);
    trace_close(t);
}
END_TEST

TCase *case_trace(void)
{
    TCase *tc = tcase_create("trace");

    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, test_trace, 0, TRACES);
    return tc;
}
