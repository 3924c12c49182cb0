/* Tests of saving and loading the counters. */
#include "test_window.h"

#include <stdlib.h>

enum { HOSTILE_ROUNDS = 100000 / WINDOW_SLOWNESS, HOSTILE_LEN = 200 };

static struct rig rig;
static struct gate_limits *limits = &rig.limits[GATE_USAGE_CHAT];

static void setup(void)
{
    rig_open(&rig, "+08:00");
}

static void teardown(void)
{
    rig_close(&rig);
}

/* The account after a restart. */
static void restart(void)
{
    struct gate_str bytes = rig_save(&rig);
    struct gate_error err = {.message = ""};

    rig_clear(&rig);
    ck_assert_msg(rig_load(&rig, bytes, &err) == GATE_OK, "%s", err.message);
    free((void *)bytes.ptr);
}

static bool is_empty(void)
{
    const unsigned char *p = (const unsigned char *)rig.state;

    for (size_t i = 0; i < rig.ops->state_size; i++)
        if (p[i] != 0)
            return false;
    return true;
}

START_TEST(test_round_trip)
{
    struct gate_header block = {GATE_STR("retry-after"), GATE_STR("100")};
    struct gate_quota_numbers before, after;
    struct gate_reservation res;

    limits->requests_per_minute = 5;
    rig.ops->observe(rig.instance, rig.state, GATE_USAGE_CHAT, &block, 1, rig.now_ms - 99000);
    rig.now_ms += 1000;
    for (int i = 0; i < 4; i++) {
        rig_answer(&rig, 1000000);
        rig.now_ms += 7000;
    }
    ck_assert(rig_reserve(&rig, 50, &res));
    before = rig_numbers(&rig);
    restart();
    after = rig_numbers(&rig);
    /* What was in flight counts as taken, but is not in flight. */
    ck_assert_uint_eq(before.in_flight, 1);
    ck_assert_uint_eq(after.in_flight, 0);
    before.in_flight = 0;
    assert_same_numbers(&before, &after);
    /* In the middle of a minute the window goes on. */
    ck_assert(!rig_reserve(&rig, 0, &res));
    ck_assert_uint_eq(rig.free_at_ms, NOON_MS + 62000);
    rig.now_ms = NOON_MS + 62000;
    rig_answer(&rig, 0);
    ck_assert(!rig_reserve(&rig, 0, &res));
    ck_assert_uint_eq(rig.free_at_ms, NOON_MS + 69000);
}
END_TEST

START_TEST(test_empty)
{
    struct gate_str bytes = rig_save(&rig);

    ck_assert_uint_lt(bytes.len, 32);
    ck_assert_int_eq(rig_load(&rig, bytes, NULL), GATE_OK);
    ck_assert_uint_eq(rig_numbers(&rig).requests_day, 0);
    free((void *)bytes.ptr);
}
END_TEST

START_TEST(test_time_passed_while_down)
{
    struct gate_str bytes;

    limits->requests_per_minute = 2;
    limits->requests_per_day = 2;
    rig_answer(&rig, 10);
    rig.now_ms += 30000;
    rig_answer(&rig, 20);
    bytes = rig_save(&rig);

    rig_clear(&rig);
    rig.now_ms = NOON_MS + 61000;
    ck_assert_int_eq(rig_load(&rig, bytes, NULL), GATE_OK);
    ck_assert_uint_eq(rig_numbers(&rig).requests_minute, 1);
    ck_assert_uint_eq(rig_numbers(&rig).tokens_minute, 20);
    ck_assert_uint_eq(rig_numbers(&rig).tokens_day, 30);
    ck_assert(!rig_reserve(&rig, 0, &(struct gate_reservation){0}));
    ck_assert_int_eq(rig.limit, GATE_LIMIT_RPD);

    rig_clear(&rig);
    rig.now_ms = NOON_MS + DAY_MS;
    ck_assert_int_eq(rig_load(&rig, bytes, NULL), GATE_OK);
    ck_assert_uint_eq(rig_numbers(&rig).requests_minute, 0);
    ck_assert_uint_eq(rig_numbers(&rig).requests_day, 0);
    free((void *)bytes.ptr);
}
END_TEST

START_TEST(test_clock_was_set_back_while_down)
{
    limits->requests_per_minute = 1;
    limits->requests_per_day = 2;
    rig_answer(&rig, 10);
    rig.now_ms += 3000;
    struct gate_str bytes = rig_save(&rig);

    rig.now_ms = NOON_MS - 5000;
    rig_clear(&rig);
    ck_assert_int_eq(rig_load(&rig, bytes, NULL), GATE_OK);
    ck_assert(!rig_reserve(&rig, 0, &(struct gate_reservation){0}));
    ck_assert_uint_eq(rig.free_at_ms, NOON_MS + 61000);

    rig.now_ms = NOON_MS - 10 * DAY_MS;
    rig_clear(&rig);
    ck_assert_int_eq(rig_load(&rig, bytes, NULL), GATE_OK);
    ck_assert(!rig_reserve(&rig, 0, &(struct gate_reservation){0}));
    ck_assert_uint_eq(rig.free_at_ms, rig.now_ms + 61000);
    rig.now_ms += 61000;
    rig_answer(&rig, 10);
    rig.now_ms += 61000;
    ck_assert(!rig_reserve(&rig, 0, &(struct gate_reservation){0}));
    ck_assert_uint_eq(rig.free_at_ms, MIDNIGHT_MS - 9 * DAY_MS);
    free((void *)bytes.ptr);
}
END_TEST

/* One kind without anything: clock, block, and twice day, count, slots. */
#define NOTHING "\0\0\0\0\0\0\0\0"

START_TEST(test_nonsense)
{
    static const struct {
        struct gate_str bytes;
        enum gate_status status;
        const char *message;
    } bad[] = {
        {{"", 0}, GATE_EPARSE, "no counters"},
        {{"gqw", 3}, GATE_EPARSE, "no counters"},
        {{"gqx\1", 4}, GATE_EPARSE, "no counters"},
        {{"gqw\0", 4}, GATE_EPARSE, "no counters"},
        {{"gqw\1", 4}, GATE_EPARSE, "damaged at byte 4"},
        {{"gqw\2" NOTHING NOTHING, 20}, GATE_EINVAL, "format 2"},
        {{"gqw\1" NOTHING, 12}, GATE_EPARSE, "damaged at byte 12"},
        {{"gqw\1" NOTHING NOTHING "\0", 21}, GATE_EPARSE, "1 bytes too many"},
        /* a number that is not in its shortest form, and one of more than 64 bits */
        {{"gqw\1\x80\0\0\0\0\0\0\0\0" NOTHING, 21}, GATE_EPARSE, "damaged"},
        {{"gqw\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\0\0", 16}, GATE_EPARSE, "damaged"},
        /* a clock beyond what stamps hold */
        {{"gqw\1\xff\xff\xff\xff\xff\xff\x7f\0\0\0\0\0\0\0" NOTHING, 26}, GATE_EPARSE, "damaged"},
        /* clock 100: a slot of 61 s ago, two of the same age, ages that rise, an empty slot */
        {{"gqw\1\x64\0\1\1\1\x3d\1\0\0\0" NOTHING, 22}, GATE_EPARSE, "damaged"},
        {{"gqw\1\x64\0\1\1\2\5\1\5\1\0\0\0" NOTHING, 24}, GATE_EPARSE, "damaged"},
        {{"gqw\1\x64\0\1\1\2\5\1\6\1\0\0\0" NOTHING, 24}, GATE_EPARSE, "damaged"},
        {{"gqw\1\x64\0\1\1\1\5\0\0\0\0" NOTHING, 22}, GATE_EPARSE, "damaged"},
        /* a slot from before the epoch */
        {{"gqw\1\2\0\1\1\1\3\1\0\0\0" NOTHING, 22}, GATE_EPARSE, "damaged"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gate_error err = {.message = ""};

        ck_assert_msg(rig_load(&rig, bad[i].bytes, &err) == bad[i].status, "%zu", i);
        ck_assert_int_eq(err.status, bad[i].status);
        ck_assert_msg(strstr(err.message, bad[i].message) != NULL, "%zu: %s", i, err.message);
        ck_assert(is_empty());
    }
    /* The same frame with good numbers in it. */
    ck_assert_int_eq(
        rig_load(&rig, (struct gate_str){"gqw\1\x64\0\1\1\2\6\1\5\1\0\0\0" NOTHING, 24}, NULL),
        GATE_OK);
}
END_TEST

/* Damaged bytes are refused and leave the state empty, or load as counters that work. */
START_TEST(test_hostile)
{
    uint64_t seed = 77, loaded = 0;
    struct gate_str good;

    for (int i = 0; i < 30; i++) {
        rig_answer(&rig, draw_below(&seed, 100000));
        rig.now_ms += draw_below(&seed, 4000);
    }
    good = rig_save(&rig);
    for (int i = 0; i < HOSTILE_ROUNDS; i++) {
        bool from_good = draw_chance(&seed, 800);
        size_t len = draw_below(&seed, (from_good ? good.len : HOSTILE_LEN) + 1);
        char *bytes = malloc(len > 0 ? len : 1);
        struct gate_reservation res;

        if (from_good && draw_chance(&seed, 800))
            len = good.len;
        bytes = realloc(bytes, len > 0 ? len : 1);
        ck_assert_ptr_nonnull(bytes);
        for (size_t j = 0; j < len; j++)
            bytes[j] = from_good && !draw_chance(&seed, 10) ? good.ptr[j] : (char)draw(&seed);
        rig_clear(&rig);
        if (rig_load(&rig, (struct gate_str){bytes, len}, NULL) != GATE_OK) {
            ck_assert(is_empty());
        } else {
            loaded++;
            if (rig_reserve(&rig, 10, &res))
                rig_settle(&rig, &res, GATE_OUTCOME_NOT_SENT, 0);
            else
                ck_assert_int_eq(rig.limit, GATE_LIMIT_UPSTREAM);
            ck_assert_uint_eq(rig_numbers(&rig).in_flight, 0);
        }
        free(bytes);
    }
    ck_assert_uint_gt(loaded, 0);
    free((void *)good.ptr);
}
END_TEST

TCase *case_stored(void)
{
    TCase *tc = tcase_create("stored");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_round_trip);
    tcase_add_test(tc, test_empty);
    tcase_add_test(tc, test_time_passed_while_down);
    tcase_add_test(tc, test_clock_was_set_back_while_down);
    tcase_add_test(tc, test_nonsense);
    tcase_add_test(tc, test_hostile);
    return tc;
}
