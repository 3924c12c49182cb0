/* Tests of single steps of a reservation, as a thread does them that was stopped in between. */
#include "test_window.h"

#include <stdlib.h>

#define NOW_S (NOON_MS / 1000)

static struct rig rig;
static struct window_kind *kind;
static struct window_meter *meter;

static void setup(void)
{
    rig_open(&rig, "UTC");
    kind = &rig.state->kinds[GATE_USAGE_CHAT];
    meter = &kind->meters[WINDOW_REQUESTS];
}

static void teardown(void)
{
    rig_close(&rig);
}

static uint64_t put(uint64_t second, uint64_t n)
{
    ck_assert(window_minute_take(meter, n, 0));
    return window_minute_charge(kind, meter, second, n);
}

START_TEST(test_left_behind)
{
    window_clock(kind, NOW_S, rig_host_now);
    ck_assert_uint_eq(put(NOW_S, 3), NOW_S);
    /* Its slot belongs to a newer second: what it took counts from now on. */
    ck_assert_uint_eq(put(NOW_S - WINDOW_SLOTS, 4), NOW_S);
    ck_assert_uint_eq(window_minute_used(kind, meter, NOW_S), 7);
    window_minute_return(meter, NOW_S - WINDOW_SLOTS, 4);
    window_minute_return(meter, NOW_S + WINDOW_SLOTS, 4);
    ck_assert_uint_eq(window_minute_used(kind, meter, NOW_S), 7);
    ck_assert_uint_eq(window_minute_used(kind, meter, NOW_S + 60), 7);
    ck_assert_uint_eq(window_minute_used(kind, meter, NOW_S + 61), 0);
}
END_TEST

START_TEST(test_slot_reused)
{
    window_clock(kind, NOW_S, rig_host_now);
    put(NOW_S, 3);
    window_clock(kind, NOW_S + WINDOW_SLOTS, rig_host_now);
    ck_assert_uint_eq(put(NOW_S + WINDOW_SLOTS, 4), NOW_S + WINDOW_SLOTS);
    /* What the slot held was over and has left the total. */
    ck_assert_uint_eq(atomic_load(&meter->minute), 4);
    ck_assert_uint_eq(atomic_load(&kind->busy), 0);
}
END_TEST

/* Charged to a second that was swept already: it must not stand in the way of anyone. */
START_TEST(test_charged_behind_the_sweep)
{
    struct gate_reservation res;

    rig.limits[GATE_USAGE_CHAT].requests_per_minute = 1;
    window_clock(kind, NOW_S, rig_host_now);
    window_sweep(kind, NOW_S);
    ck_assert_uint_eq(put(NOW_S - 61, 1), NOW_S - 61);
    ck_assert(rig_reserve(&rig, 0, &res));
}
END_TEST

START_TEST(test_day_left_behind)
{
    uint64_t today = window_day_of(NOW_S, 0), day = today;

    window_clock(kind, NOW_S, rig_host_now);
    ck_assert(window_day_take(kind, meter, 0, 2, 5, &day));
    ck_assert_uint_eq(day, today);
    /* A thread that still believes in yesterday takes from today, and within its limit. */
    day = today - 1;
    ck_assert(window_day_take(kind, meter, 0, 3, 5, &day));
    ck_assert_uint_eq(day, today);
    day = today - 1;
    ck_assert(!window_day_take(kind, meter, 0, 1, 5, &day));
    window_day_return(meter, today - 1, 5);
    ck_assert_uint_eq(window_day_used(meter, today), 5);
    /* After the clock was set back the count goes with it. */
    atomic_store(&kind->clock, NOW_S - WINDOW_DAY_S);
    day = today - 1;
    ck_assert(!window_day_take(kind, meter, 0, 1, 5, &day));
    ck_assert(window_day_take(kind, meter, 0, 1, 6, &day));
    ck_assert_uint_eq(day, today - 1);
    ck_assert_uint_eq(window_day_used(meter, today - 1), 6);
}
END_TEST

/* Between the clock's step back and the next sweep, slots lie ahead of the clock. */
START_TEST(test_slots_ahead_of_the_clock)
{
    uint64_t back_s = NOW_S - 10 * WINDOW_SLOTS;
    struct gate_str bytes;

    window_clock(kind, NOW_S, rig_host_now);
    put(NOW_S, 3);
    atomic_store(&kind->clock, back_s);
    ck_assert_uint_eq(window_minute_used(kind, meter, back_s), 3);
    bytes = rig_save(&rig);
    /* The slot of the old time is taken over, and its count with it. */
    ck_assert_uint_eq(put(back_s, 4), back_s);
    ck_assert_uint_eq(window_minute_used(kind, meter, back_s), 7);
    ck_assert_uint_eq(window_minute_used(kind, meter, back_s + 61), 0);

    rig_clear(&rig);
    rig.now_ms = back_s * 1000;
    ck_assert_int_eq(rig_load(&rig, bytes, NULL), GATE_OK);
    ck_assert_uint_eq(window_minute_used(kind, meter, back_s + 60), 3);
    ck_assert_uint_eq(window_minute_used(kind, meter, back_s + 61), 0);
    free((void *)bytes.ptr);
}
END_TEST

START_TEST(test_look_again)
{
    struct gate_reservation res;
    int looks = 0;

    ck_assert(!window_look_again(kind, &looks));
    atomic_store(&kind->busy, 1);
    for (int i = 0; i < WINDOW_LOOKS; i++)
        ck_assert(window_look_again(kind, &looks));
    ck_assert(!window_look_again(kind, &looks));
    /* A thread that never comes back does not hold up anyone. */
    rig.limits[GATE_USAGE_CHAT].requests_per_minute = 1;
    put(NOW_S, 1);
    ck_assert(!rig_reserve(&rig, 0, &res));
    rig.limits[GATE_USAGE_CHAT].requests_per_minute = 2;
    ck_assert(rig_reserve(&rig, 0, &res));
}
END_TEST

TCase *case_meter(void)
{
    TCase *tc = tcase_create("meter");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_left_behind);
    tcase_add_test(tc, test_slot_reused);
    tcase_add_test(tc, test_charged_behind_the_sweep);
    tcase_add_test(tc, test_look_again);
    tcase_add_test(tc, test_day_left_behind);
    tcase_add_test(tc, test_slots_ahead_of_the_clock);
    return tc;
}
