/* Prints what the calls of a request cost. No time is asserted: it depends on the machine. */
#include "test_window.h"

#include <stdlib.h>
#include <time.h>

enum { CALLS = 200000 / WINDOW_SLOWNESS, ROUNDS = 7, PER_SECOND = 1000 };

struct bench {
    struct rig rig;
    uint64_t estimate, used;
    uint64_t sum; /* of what is measured, so that it is not left out */
    const struct gate_header *headers;
    size_t header_count;
};

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* The best round: others use the machine too. */
static void measure(struct bench *b, const char *what, void (*call)(struct bench *b, int i))
{
    double best = 0;

    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns(), took;

        for (int i = 0; i < CALLS; i++)
            call(b, i);
        took = (now_ns() - start) / CALLS;
        if (round == 0 || took < best)
            best = took;
    }
    printf("speed: %-40s %6.1f ns\n", what, best);
}

static void fill(struct rig *r)
{
    for (int i = 0; i < 60; i++) {
        rig_answer(r, 100);
        r->now_ms += 1000;
    }
}

/* Straight to the plugin: a check costs more than what is measured. */
static bool reserve(struct rig *r, uint64_t tokens, struct gate_reservation *res)
{
    return r->ops->reserve(r->instance, r->state, GATE_USAGE_CHAT, &r->limits[GATE_USAGE_CHAT],
                           r->now_ms, tokens, res, &r->limit, &r->free_at_ms) == GATE_OK;
}

static void call_reserve(struct bench *b, int i)
{
    struct gate_reservation res;

    b->rig.now_ms += i % PER_SECOND == 0 ? 1000 : 0;
    if (reserve(&b->rig, b->estimate, &res))
        rig_settle(&b->rig, &res, GATE_OUTCOME_ANSWERED, b->used);
    else
        b->sum++;
}

static void call_numbers(struct bench *b, int i)
{
    (void)i;
    b->sum += rig_numbers(&b->rig).requests_minute;
}

static void count_bytes(void *ctx, struct gate_str bytes)
{
    *(uint64_t *)ctx = bytes.len;
}

static void call_save(struct bench *b, int i)
{
    struct gate_writer out = {&b->sum, count_bytes};

    (void)i;
    b->rig.ops->save(b->rig.instance, b->rig.state, &out);
}

static void call_observe(struct bench *b, int i)
{
    struct rig *r = &b->rig;

    (void)i;
    r->ops->observe(r->instance, r->state, GATE_USAGE_CHAT, b->headers, b->header_count, r->now_ms);
}

static void call_refused(struct bench *b, int i)
{
    struct gate_reservation res;

    (void)i;
    b->sum += !reserve(&b->rig, 100, &res);
}

START_TEST(test_speed)
{
    struct gate_header headers[] = {
        {GATE_STR("content-type"), GATE_STR("application/json")},
        {GATE_STR("x-ratelimit-limit-requests"), GATE_STR("60")},
        {GATE_STR("x-ratelimit-remaining-requests"), GATE_STR("59")},
        {GATE_STR("x-ratelimit-reset-requests"), GATE_STR("1s")},
        {GATE_STR("x-ratelimit-remaining-tokens"), GATE_STR("149984")},
        {GATE_STR("x-ratelimit-reset-tokens"), GATE_STR("6m0s")},
        {GATE_STR("date"), GATE_STR("Tue, 14 Nov 2023 04:01:00 GMT")},
        {GATE_STR("x-request-id"), GATE_STR("0123456789abcdef")},
    };
    struct bench b = {.headers = headers, .header_count = sizeof headers / sizeof headers[0]};
    struct rig *r = &b.rig;

    rig_open(r, "+08:00");
    r->limits[GATE_USAGE_CHAT] = (struct gate_limits){1000000, 100000000, 1000000000, 0, 100};
    b.estimate = b.used = 500;
    measure(&b, "reserve + settle, tokens as estimated", call_reserve);
    b.used = 400;
    measure(&b, "reserve + settle, fewer tokens", call_reserve);
    b.used = 600;
    measure(&b, "reserve + settle, more tokens", call_reserve);
    b.estimate = b.used = 0;
    measure(&b, "reserve + settle, no tokens", call_reserve);
    ck_assert_uint_eq(b.sum, 0);
    rig_clear(r);
    fill(r);
    rig_answer(r, 100);
    measure(&b, "numbers", call_numbers);
    r->now_ms += 10000;
    measure(&b, "numbers, 10 s after the last request", call_numbers);
    r->now_ms += 40000;
    measure(&b, "numbers, 50 s after the last request", call_numbers);
    r->now_ms += 200000;
    fill(r);
    r->limits[GATE_USAGE_CHAT].requests_per_minute = 60;
    b.sum = 0;
    measure(&b, "reserve, refused", call_refused);
    ck_assert_uint_eq(b.sum, CALLS * ROUNDS);
    measure(&b, "observe, 8 headers", call_observe);
    measure(&b, "save, both rings full", call_save);
    printf("speed: saved in %llu bytes\n", (unsigned long long)b.sum);
    printf("speed: state of one account: %zu bytes\n", r->ops->state_size);
    rig_close(r);
}
END_TEST

TCase *case_speed(void)
{
    TCase *tc = tcase_create("speed");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_speed);
    return tc;
}
