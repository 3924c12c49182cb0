#include "base/clock.h"
#include "base/timer.h"
#include <check.h>
#include <stdlib.h>

/* A timer that records when it fired and may then do something with others. */
struct probe {
    struct gate_timer timer;
    struct gate_timers *wheel;
    uint64_t armed_at, after; /* what was asked for */
    uint64_t fired_at;
    unsigned fired;
    void (*then)(struct probe *p);
    struct probe *other;
};

static void on_fire(struct gate_timer *t)
{
    struct probe *p = (struct probe *)t;
    ck_assert(!gate_timer_is_armed(t));
    p->fired++;
    p->fired_at = p->wheel->now_ms;
    if (p->then != NULL)
        p->then(p);
}

static void arm(struct gate_timers *w, struct probe *p, uint64_t after)
{
    p->wheel = w;
    p->timer.cb = on_fire;
    p->armed_at = w->now_ms;
    p->after = after;
    gate_timer_arm(w, &p->timer, after);
}

static struct gate_timers *make_wheel(uint64_t now)
{
    struct gate_timers *w = malloc(sizeof *w);
    ck_assert_ptr_nonnull(w);
    gate_timers_init(w, now);
    return w;
}

START_TEST(fires_within_one_tick_and_never_early)
{
    static const uint64_t delays[] = {0,    1,    2,    3,     4,      5,      7,      8,    63,
                                      100,  1000, 4092, 4093,  4095,   4096,   4097,   4100, 8191,
                                      8192, 8193, 9999, 40960, 120000, 120001, 1800000};
    for (uint64_t start = 1000000; start < 1000005; start++) {
        for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
            struct gate_timers *w = make_wheel(start);
            struct probe p = {0};
            arm(w, &p, delays[i]);
            for (uint64_t now = start; p.fired == 0; now++)
                gate_timers_run(w, now);
            ck_assert_uint_ge(p.fired_at, start + delays[i]);
            ck_assert_uint_le(p.fired_at, start + delays[i] + GATE_TIMER_TICK_MS);
            ck_assert_uint_eq(w->armed, 0);
            free(w);
        }
    }
}
END_TEST

START_TEST(one_long_jump_fires_everything_once)
{
    enum { N = 3000 };
    struct gate_timers *w = make_wheel(77);
    struct probe *probes = calloc(N, sizeof *probes);
    for (size_t i = 0; i < N; i++)
        arm(w, &probes[i], i * 7);
    ck_assert_uint_eq(w->armed, N);
    gate_timers_run(w, 77 + N * 7 + GATE_TIMER_TICK_MS);
    for (size_t i = 0; i < N; i++)
        ck_assert_uint_eq(probes[i].fired, 1);
    ck_assert_uint_eq(w->armed, 0);
    ck_assert_uint_eq(gate_timers_wait(w, w->now_ms, 500), 500);
    for (size_t i = 0; i < sizeof w->used / sizeof w->used[0]; i++)
        ck_assert_uint_eq(w->used[i], 0);
    free(probes);
    free(w);
}
END_TEST

START_TEST(moving_and_disarming)
{
    struct gate_timers *w = make_wheel(0);
    struct probe p = {0};
    gate_timer_disarm(w, &p.timer);
    arm(w, &p, 100);
    arm(w, &p, 10000);
    ck_assert_uint_eq(w->armed, 1);
    gate_timers_run(w, 9999);
    ck_assert_uint_eq(p.fired, 0);
    gate_timer_disarm(w, &p.timer);
    gate_timer_disarm(w, &p.timer);
    ck_assert(!gate_timer_is_armed(&p.timer));
    gate_timers_run(w, 60000);
    ck_assert_uint_eq(p.fired, 0);
    ck_assert_uint_eq(w->armed, 0);
    free(w);
}
END_TEST

static void rearm_self(struct probe *p)
{
    arm(p->wheel, p, 0);
}

START_TEST(callback_that_arms_itself_runs_once_a_run)
{
    struct gate_timers *w = make_wheel(0);
    struct probe p = {.then = rearm_self};
    arm(w, &p, 0);
    ck_assert_uint_eq(p.fired, 0);
    for (unsigned i = 1; i <= 50; i++) {
        /* Also over whole rounds of the wheel at once. */
        gate_timers_run(w, i * 10000);
        ck_assert_uint_eq(p.fired, i);
    }
    gate_timer_disarm(w, &p.timer);
    free(w);
}
END_TEST

static void disarm_other(struct probe *p)
{
    gate_timer_disarm(p->wheel, &p->other->timer);
}

static void move_other(struct probe *p)
{
    arm(p->wheel, p->other, 8);
}

START_TEST(callback_disarms_a_neighbour_of_its_slot)
{
    struct gate_timers *w = make_wheel(0);
    struct probe a = {.then = disarm_other}, b = {0}, c = {.then = disarm_other}, d = {0};
    a.other = &b;
    c.other = &b;
    arm(w, &a, 10);
    arm(w, &b, 10);
    arm(w, &c, 10);
    arm(w, &d, 10);
    gate_timers_run(w, 20);
    ck_assert_uint_eq(a.fired + c.fired + d.fired, 3);
    ck_assert_uint_eq(b.fired, 0);
    ck_assert_uint_eq(w->armed, 0);
    ck_assert_uint_eq(gate_timers_wait(w, 20, 9), 9);
    free(w);
}
END_TEST

START_TEST(callback_moves_a_neighbour_that_was_due)
{
    struct gate_timers *w = make_wheel(0);
    struct probe a = {.then = move_other}, b = {0};
    a.other = &b;
    arm(w, &a, 10);
    arm(w, &b, 10);
    gate_timers_run(w, 12);
    ck_assert_uint_eq(b.fired, 0);
    ck_assert(gate_timer_is_armed(&b.timer));
    gate_timers_run(w, 19);
    ck_assert_uint_eq(b.fired, 0);
    gate_timers_run(w, 24);
    ck_assert_uint_eq(b.fired, 1);
    free(w);
}
END_TEST

START_TEST(touch_moves_time_without_firing)
{
    struct gate_timers *w = make_wheel(0);
    struct probe a = {0}, b = {0};
    arm(w, &a, 8);
    gate_timers_touch(w, 10000);
    ck_assert_uint_eq(a.fired, 0);
    arm(w, &b, 100);
    ck_assert_uint_eq(gate_timers_wait(w, 10000, 1000), 0);
    gate_timers_run(w, 10000);
    ck_assert_uint_eq(a.fired, 1);
    ck_assert_uint_eq(b.fired, 0);
    gate_timers_run(w, 10099);
    ck_assert_uint_eq(b.fired, 0);
    gate_timers_run(w, 10104);
    ck_assert_uint_eq(b.fired, 1);
    free(w);
}
END_TEST

START_TEST(extreme_times)
{
    struct gate_timers *w = make_wheel(1000);
    struct probe a = {0};
    arm(w, &a, UINT64_MAX);
    gate_timers_run(w, 500);
    ck_assert_uint_eq(w->now_ms, 1000);
    gate_timers_run(w, UINT64_C(1) << 62);
    ck_assert_uint_eq(a.fired, 0);
    uint64_t wait = gate_timers_wait(w, w->now_ms, UINT64_MAX);
    ck_assert_uint_gt(wait, 0);
    gate_timer_disarm(w, &a.timer);
    ck_assert_uint_eq(gate_timers_wait(w, w->now_ms, UINT64_MAX), UINT64_MAX);
    free(w);
}
END_TEST

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t random_delay(uint64_t *state)
{
    static const uint64_t scales[] = {1, 10, 300, 5000, 20000, 200000};
    return next_random(state) % scales[next_random(state) % 6];
}

enum { MANY = 500 };

/* For inner loops: each ck_assert, even one that holds, makes a system call. */
static void expect(bool holds, const char *what)
{
    if (!holds)
        ck_abort_msg("%s", what);
}

/* Every armed timer: not overdue by more than a tick, and the wheel's wait never sleeps past it. */
static void check_against_reference(const struct gate_timers *w, const struct probe *probes)
{
    size_t armed = 0;
    uint64_t earliest = UINT64_MAX;
    for (size_t i = 0; i < MANY; i++) {
        const struct probe *p = &probes[i];
        if (!gate_timer_is_armed(&p->timer))
            continue;
        armed++;
        uint64_t due = p->armed_at + p->after;
        expect(due + GATE_TIMER_TICK_MS > w->now_ms, "a timer is overdue");
        earliest = due < earliest ? due : earliest;
    }
    ck_assert_uint_eq(armed, w->armed);
    uint64_t wait = gate_timers_wait(w, w->now_ms, 100000);
    uint64_t allowed = earliest == UINT64_MAX ? UINT64_MAX : earliest + GATE_TIMER_TICK_MS;
    ck_assert(w->now_ms + wait <= allowed || wait == 0);
    if (armed == 0)
        ck_assert_uint_eq(wait, 100000);
}

START_TEST(random_operations_match_a_reference)
{
    struct gate_timers *w = make_wheel(123456);
    struct probe *probes = calloc(MANY, sizeof *probes);
    unsigned *expected = calloc(MANY, sizeof *expected);
    uint64_t state = 88172645463325252u, fired = 0;
    for (size_t op = 0; op < 100000; op++) {
        size_t i = next_random(&state) % MANY;
        struct probe *p = &probes[i];
        switch (next_random(&state) % 4) {
        case 0:
        case 1:
            arm(w, p, random_delay(&state));
            break;
        case 2:
            gate_timer_disarm(w, &p->timer);
            break;
        default:
            for (size_t k = 0; k < MANY; k++)
                expected[k] = probes[k].fired;
            uint64_t before = w->now_ms, now = before + random_delay(&state) / 3;
            for (size_t k = 0; k < MANY; k++) {
                struct gate_timer *t = &probes[k].timer;
                expected[k] += gate_timer_is_armed(t) &&
                               t->due_ms <= now / GATE_TIMER_TICK_MS * GATE_TIMER_TICK_MS;
            }
            gate_timers_run(w, now);
            for (size_t k = 0; k < MANY; k++) {
                expect(probes[k].fired == expected[k], "fires when it is due and only then");
                if (probes[k].fired_at == now && now > before)
                    expect(now >= probes[k].armed_at + probes[k].after, "never fires early");
            }
        }
        if (op % 64 == 0)
            check_against_reference(w, probes);
    }
    for (size_t k = 0; k < MANY; k++)
        fired += probes[k].fired;
    ck_assert_uint_gt(fired, 10000);
    free(expected);
    free(probes);
    free(w);
}
END_TEST

START_TEST(wait_sleeps_through_rounds_when_only_far_timers_exist)
{
    enum { N = 4000 };
    struct gate_timers *w = make_wheel(0);
    struct probe *probes = calloc(N, sizeof *probes);
    for (size_t i = 0; i < N; i++)
        arm(w, &probes[i], 120000 + i);
    /* Every slot is used, none is due in this round: a wait a tick long would be a busy loop. */
    ck_assert_uint_ge(gate_timers_wait(w, 0, 1000), 200);
    uint64_t now = 0, wakes = 0;
    while (probes[0].fired == 0) {
        now += gate_timers_wait(w, now, 1000);
        gate_timers_run(w, now);
        wakes++;
    }
    ck_assert_uint_eq(now, 120000);
    ck_assert_uint_le(wakes, 600);
    free(probes);
    free(w);
}
END_TEST

START_TEST(wait_forgets_what_is_no_longer_there)
{
    struct gate_timers *w = make_wheel(0);
    struct probe far = {0}, same_slot = {0}, gone = {0};
    arm(w, &far, 16 + 2 * GATE_TIMER_SLOTS * GATE_TIMER_TICK_MS);
    arm(w, &same_slot, 16);
    arm(w, &gone, 40);
    ck_assert_uint_eq(gate_timers_wait(w, 0, 1000), 16);
    gate_timers_run(w, 16);
    ck_assert_uint_eq(same_slot.fired, 1);
    ck_assert_uint_eq(gate_timers_wait(w, 16, 1000), 24);
    gate_timer_disarm(w, &gone.timer);
    ck_assert_uint_eq(gate_timers_wait(w, 16, 1000), 1000);
    /* The slot they shared comes by once more before the far one is due. */
    ck_assert_uint_eq(gate_timers_wait(w, 16, 100000), 2 * GATE_TIMER_SLOTS * GATE_TIMER_TICK_MS);
    free(w);
}
END_TEST

START_TEST(clocks_move_forward)
{
    uint64_t mono = gate_clock_mono_us();
    ck_assert_uint_ge(gate_clock_mono_us(), mono);
    ck_assert_uint_ge(gate_clock_mono_ms(), mono / 1000);
    /* 2020 to 2200: milliseconds, not another unit. */
    ck_assert_uint_gt(gate_clock_wall_ms(), UINT64_C(1577836800000));
    ck_assert_uint_lt(gate_clock_wall_ms(), UINT64_C(7258118400000));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timer");
    TCase *tests = tcase_create("timer");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, fires_within_one_tick_and_never_early);
    tcase_add_test(tests, one_long_jump_fires_everything_once);
    tcase_add_test(tests, moving_and_disarming);
    tcase_add_test(tests, callback_that_arms_itself_runs_once_a_run);
    tcase_add_test(tests, callback_disarms_a_neighbour_of_its_slot);
    tcase_add_test(tests, callback_moves_a_neighbour_that_was_due);
    tcase_add_test(tests, touch_moves_time_without_firing);
    tcase_add_test(tests, extreme_times);
    tcase_add_test(tests, random_operations_match_a_reference);
    tcase_add_test(tests, wait_sleeps_through_rounds_when_only_far_timers_exist);
    tcase_add_test(tests, wait_forgets_what_is_no_longer_there);
    tcase_add_test(tests, clocks_move_forward);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
