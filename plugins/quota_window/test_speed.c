/* Prints what the calls of a request cost. No time is asserted: it depends on the machine. */
#include "test_window.h"

#include <stdlib.h>
#include <time.h>

enum { CALLS = 1000000, PER_SECOND = 1000 };

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void show(const char *what, double start_ns)
{
    printf("speed: %-40s %6.1f ns\n", what, (now_ns() - start_ns) / CALLS);
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

static void measure_settling(struct rig *r, const char *what, uint64_t estimate, uint64_t used)
{
    double start = now_ns();

    for (int i = 0; i < CALLS; i++) {
        struct gate_reservation res;

        r->now_ms += i % PER_SECOND == 0 ? 1000 : 0;
        reserve(r, estimate, &res);
        rig_settle(r, &res, GATE_OUTCOME_ANSWERED, used);
    }
    show(what, start);
}

static void measure_numbers(struct rig *r, const char *what)
{
    double start = now_ns();
    uint64_t sum = 0;

    for (int i = 0; i < CALLS; i++)
        sum += rig_numbers(r).requests_minute;
    show(what, start);
    ck_assert_uint_gt(sum, 0);
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
    struct gate_reservation res;
    uint64_t admitted = 0;
    struct rig r;
    double start;

    rig_open(&r, "+08:00");
    r.limits[GATE_USAGE_CHAT] = (struct gate_limits){1000000, 100000000, 1000000000, 0, 100};
    measure_settling(&r, "reserve + settle, tokens as estimated", 500, 500);
    measure_settling(&r, "reserve + settle, fewer tokens", 500, 400);
    measure_settling(&r, "reserve + settle, more tokens", 500, 600);
    measure_settling(&r, "reserve + settle, no tokens", 0, 0);
    rig_clear(&r);
    fill(&r);
    rig_answer(&r, 100);
    measure_numbers(&r, "numbers");
    r.now_ms += 10000;
    measure_numbers(&r, "numbers, 10 s after the last request");
    r.now_ms += 40000;
    measure_numbers(&r, "numbers, 50 s after the last request");
    r.now_ms += 200000;
    fill(&r);
    r.limits[GATE_USAGE_CHAT].requests_per_minute = 60;
    start = now_ns();
    for (int i = 0; i < CALLS; i++)
        admitted += reserve(&r, 100, &res);
    show("reserve, refused", start);
    ck_assert_uint_eq(admitted, 0);
    start = now_ns();
    for (int i = 0; i < CALLS; i++)
        r.ops->observe(r.instance, r.state, GATE_USAGE_CHAT, headers,
                       sizeof headers / sizeof headers[0], r.now_ms);
    show("observe, 8 headers", start);
    printf("speed: state of one account: %zu bytes\n", r.ops->state_size);
    rig_close(&r);
}
END_TEST

TCase *case_speed(void)
{
    TCase *tc = tcase_create("speed");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_speed);
    return tc;
}
