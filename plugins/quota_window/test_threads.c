/* Several threads on one account. */
#include "test_window.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    THREADS = 4,
    ROUNDS = 400000 / WINDOW_SLOWNESS, /* of each thread */
    SAVE_ROUNDS = ROUNDS / 10,

    RPM = 50,
    RPD = 1500,
    SECONDS = 400, /* that the clock of test_never_too_many passes */
    CONCURRENCY = 3,
    RACING_RPM = 4,
};

struct hammer {
    struct rig rig;
    _Atomic uint64_t now_ms; /* the clock of all */
    _Atomic uint64_t running;
    _Atomic uint64_t most_running;
    _Atomic uint64_t admitted;
    _Atomic uint64_t settled;
    _Atomic bool done;
    void (*round)(struct hammer *h, uint64_t *seed);
    int rounds;
    /* admitted in each second, and what of a day's tokens */
    _Atomic uint64_t by_second[SECONDS + 1];
    _Atomic uint64_t by_day[2];
    uint64_t *log; /* the second of each that was admitted */
    pthread_barrier_t start;
    struct rig copy; /* of the thread that saves and loads */
};

struct thread {
    struct hammer *h;
    uint64_t seed;
    pthread_t id;
};

static void *run(void *arg)
{
    struct thread *t = arg;

    pthread_barrier_wait(&t->h->start);
    for (int i = 0; i < t->h->rounds; i++)
        t->h->round(t->h, &t->seed);
    return NULL;
}

static void hammer_run(struct hammer *h)
{
    struct thread threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.h = h, .seed = 100 + (uint64_t)i};
        ck_assert_int_eq(pthread_create(&threads[i].id, NULL, run, &threads[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i].id, NULL), 0);
}

static struct hammer *hammer_open(void (*round)(struct hammer *, uint64_t *), int rounds)
{
    struct hammer *h = calloc(1, sizeof *h);

    ck_assert_ptr_nonnull(h);
    ck_assert_int_eq(pthread_barrier_init(&h->start, NULL, THREADS), 0);
    rig_open(&h->rig, "+08:00");
    rig_set_host(UINT64_MAX); /* ahead of all that threads have read */
    h->round = round;
    h->rounds = rounds;
    atomic_store(&h->now_ms, h->rig.now_ms);
    return h;
}

static void hammer_close(struct hammer *h)
{
    rig_close(&h->rig);
    pthread_barrier_destroy(&h->start);
    free(h->log);
    free(h);
}

static bool reserve(struct hammer *h, uint64_t now_ms, uint64_t tokens,
                    struct gate_reservation *res)
{
    struct rig *r = &h->rig;
    enum gate_limit_name limit;
    uint64_t free_at_ms;

    return r->ops->reserve(r->instance, r->state, GATE_USAGE_CHAT, &r->limits[GATE_USAGE_CHAT],
                           now_ms, tokens, res, &limit, &free_at_ms) == GATE_OK;
}

static void settle(struct hammer *h, uint64_t now_ms, const struct gate_reservation *res,
                   enum gate_outcome outcome, uint64_t tokens)
{
    h->rig.ops->settle(h->rig.instance, h->rig.state, GATE_USAGE_CHAT, res, outcome, tokens,
                       now_ms);
}

static void raise_to(_Atomic uint64_t *most, uint64_t n)
{
    uint64_t old = atomic_load(most);

    while (old < n && !atomic_compare_exchange_weak(most, &old, n))
        ;
}

/* ---------------------------------------------------------------- everything given back */

static void give_back_round(struct hammer *h, uint64_t *seed)
{
    uint64_t now_ms = atomic_fetch_add(&h->now_ms, draw_below(seed, 20));
    struct gate_reservation res;

    if (!reserve(h, now_ms, draw_below(seed, 60), &res))
        return;
    raise_to(&h->most_running, atomic_fetch_add(&h->running, 1) + 1);
    atomic_fetch_add(&h->admitted, 1);
    atomic_fetch_sub(&h->running, 1);
    settle(h, atomic_load(&h->now_ms), &res, GATE_OUTCOME_NOT_SENT, 0);
}

START_TEST(test_give_back)
{
    /* Once the minute is in the way, once the day. */
    static const struct gate_limits limits[] = {{2, 3, 100, 120, CONCURRENCY},
                                                {3, 2, 120, 100, CONCURRENCY}};
    struct hammer *h = hammer_open(give_back_round, ROUNDS);
    struct gate_quota_numbers n;

    h->rig.limits[GATE_USAGE_CHAT] = limits[_i];
    hammer_run(h);
    ck_assert_uint_gt(atomic_load(&h->admitted), ROUNDS / 4);
    ck_assert_uint_le(atomic_load(&h->most_running), CONCURRENCY);
    h->rig.now_ms = atomic_load(&h->now_ms);
    n = rig_numbers(&h->rig);
    ck_assert_uint_eq(n.requests_minute + n.requests_day + n.tokens_minute + n.tokens_day, 0);
    ck_assert_uint_eq(n.in_flight, 0);
    for (size_t i = 0; i < WINDOW_METERS; i++) {
        const struct window_meter *m = &h->rig.state->kinds[GATE_USAGE_CHAT].meters[i];

        ck_assert_uint_eq(atomic_load(&m->minute), 0);
        ck_assert_uint_eq(window_day_count(atomic_load(&m->day)), 0);
        for (size_t j = 0; j < WINDOW_SLOTS; j++)
            ck_assert_uint_eq(window_slot_count(atomic_load(&m->slots[j])), 0);
    }
    ck_assert_uint_eq(atomic_load(&h->rig.state->kinds[GATE_USAGE_CHAT].busy), 0);
    hammer_close(h);
}
END_TEST

/* ---------------------------------------------------------------- never too many */

static void spend_round(struct hammer *h, uint64_t *seed)
{
    uint64_t start_ms = h->rig.now_ms, now_ms = atomic_load(&h->now_ms);
    struct gate_reservation res;

    if (draw_chance(seed, 50) && now_ms < start_ms + (SECONDS - 1) * 1000)
        now_ms = atomic_fetch_add(&h->now_ms, draw_below(seed, 200));
    if (draw_chance(seed, 10))
        now_ms -= draw_below(seed, 3000); /* a clock that goes back, a thread that slept */
    if (!reserve(h, now_ms, 10, &res))
        return;
    atomic_fetch_add(&h->by_second[(res.at_ms - start_ms) / 1000], 1);
    atomic_fetch_add(&h->by_day[res.at_ms >= MIDNIGHT_MS + DAY_MS], 1);
    atomic_fetch_add(&h->admitted, 1);
    settle(h, atomic_load(&h->now_ms), &res, GATE_OUTCOME_ANSWERED, 10);
}

START_TEST(test_never_too_many)
{
    struct hammer *h = hammer_open(spend_round, ROUNDS);
    uint64_t total = 0;

    /* The clock passes midnight in the middle. */
    h->rig.now_ms = MIDNIGHT_MS + DAY_MS - SECONDS * 1000 / 2;
    atomic_store(&h->now_ms, h->rig.now_ms);
    h->rig.limits[GATE_USAGE_CHAT] =
        (struct gate_limits){.requests_per_minute = RPM, .tokens_per_day = 10 * RPM * 5 / 2};
    reserve(h, h->rig.now_ms, 0, &(struct gate_reservation){0}); /* no time is before this */
    atomic_store(&h->by_second[0], 1);
    hammer_run(h);
    for (size_t first = 0; first + 60 <= SECONDS; first++) {
        uint64_t held = 0;

        for (size_t i = first; i <= first + 60; i++)
            held += atomic_load(&h->by_second[i]);
        ck_assert_msg(held <= RPM, "%llu in the 61 s from %zu", (unsigned long long)held, first);
    }
    for (size_t i = 0; i <= SECONDS; i++)
        total += atomic_load(&h->by_second[i]);
    ck_assert_uint_eq(total, atomic_load(&h->admitted) + 1);
    /* Both days are spent to their last token, but for the clock's steps. */
    for (size_t day = 0; day < 2; day++) {
        ck_assert_uint_le(atomic_load(&h->by_day[day]), RPM * 5 / 2);
        ck_assert_uint_ge(atomic_load(&h->by_day[day]), RPM * 2 - 1);
    }
    hammer_close(h);
}
END_TEST

/* ---------------------------------------------------------------- a clock that races */

/* Minutes pass within a call, and every few thousand rounds a day: each thread is left behind. */
static void jump_round(struct hammer *h, uint64_t *seed)
{
    uint64_t step_ms = draw_below(seed, 70) * 1000;
    uint64_t now_ms = atomic_fetch_add(&h->now_ms, step_ms) + step_ms;
    struct gate_reservation res;

    if (!reserve(h, now_ms, 0, &res))
        return;
    h->log[atomic_fetch_add(&h->admitted, 1)] = res.at_ms / 1000;
    settle(h, now_ms, &res, GATE_OUTCOME_ANSWERED, 0);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

START_TEST(test_racing_clock)
{
    struct hammer *h = hammer_open(jump_round, ROUNDS);
    uint64_t count, day = 0, of_day = 0;

    h->log = calloc((size_t)THREADS * ROUNDS, sizeof *h->log);
    ck_assert_ptr_nonnull(h->log);
    h->rig.limits[GATE_USAGE_CHAT] =
        (struct gate_limits){.requests_per_minute = RACING_RPM, .requests_per_day = RPD};
    hammer_run(h);
    count = atomic_load(&h->admitted);
    ck_assert_uint_gt(count, ROUNDS / 10);
    qsort(h->log, count, sizeof *h->log, by_number);
    for (size_t i = 0; i < count; i++) {
        uint64_t number = window_day_of(h->log[i], 8 * 3600);

        of_day = number == day ? of_day + 1 : 1;
        day = number;
        EXPECT(of_day <= RPD);
        EXPECT(i < RACING_RPM || h->log[i] - h->log[i - RACING_RPM] > 60);
    }
    hammer_close(h);
}
END_TEST

/* ---------------------------------------------------------------- never too few */

static void exact_round(struct hammer *h, uint64_t *seed)
{
    struct gate_reservation res;

    (void)seed;
    EXPECT(reserve(h, h->rig.now_ms, 10, &res));
    settle(h, h->rig.now_ms, &res, GATE_OUTCOME_ANSWERED, 10);
}

/* Exactly as many as the limits allow: none may be refused. */
START_TEST(test_exact)
{
    struct hammer *h = hammer_open(exact_round, SAVE_ROUNDS);
    uint64_t requests = THREADS * SAVE_ROUNDS;
    struct gate_reservation res;

    h->rig.limits[GATE_USAGE_CHAT] =
        (struct gate_limits){requests, requests, requests * 10, requests * 10, THREADS};
    hammer_run(h);
    ck_assert(!reserve(h, h->rig.now_ms, 10, &res));
    ck_assert_uint_eq(rig_numbers(&h->rig).requests_minute, requests);
    ck_assert_uint_eq(rig_numbers(&h->rig).tokens_day, requests * 10);
    hammer_close(h);
}
END_TEST

/* ---------------------------------------------------------------- saving meanwhile */

static void *save_all_the_time(void *arg)
{
    struct hammer *h = arg;

    while (!atomic_load(&h->done)) {
        uint64_t settled = atomic_load(&h->settled);
        struct gate_str bytes = rig_save(&h->rig);
        struct gate_quota_numbers n;

        rig_clear(&h->copy);
        h->copy.now_ms = h->rig.now_ms;
        ck_assert_int_eq(rig_load(&h->copy, bytes, NULL), GATE_OK);
        n = rig_numbers(&h->copy);
        ck_assert_uint_ge(n.requests_minute, settled);
        ck_assert_uint_ge(n.requests_day, settled);
        ck_assert_uint_ge(n.tokens_minute, settled * 10);
        ck_assert_uint_ge(n.tokens_day, settled * 10);
        free((void *)bytes.ptr);
    }
    return NULL;
}

static void settled_round(struct hammer *h, uint64_t *seed)
{
    uint64_t now_ms = h->rig.now_ms + draw_below(seed, 30000);
    struct gate_reservation res;

    EXPECT(reserve(h, now_ms, draw_below(seed, 10), &res));
    settle(h, now_ms, &res, GATE_OUTCOME_ANSWERED, 10);
    atomic_fetch_add(&h->settled, 1);
}

START_TEST(test_save_meanwhile)
{
    struct hammer *h = hammer_open(settled_round, SAVE_ROUNDS);
    pthread_t saver;

    rig_open(&h->copy, "+08:00");
    ck_assert_int_eq(pthread_create(&saver, NULL, save_all_the_time, h), 0);
    hammer_run(h);
    atomic_store(&h->done, true);
    ck_assert_int_eq(pthread_join(saver, NULL), 0);
    rig_close(&h->copy);
    hammer_close(h);
}
END_TEST

TCase *case_threads(void)
{
    TCase *tc = tcase_create("threads");

    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, test_give_back, 0, 2);
    tcase_add_test(tc, test_never_too_many);
    tcase_add_test(tc, test_racing_clock);
    tcase_add_test(tc, test_exact);
    tcase_add_test(tc, test_save_meanwhile);
    return tc;
}
