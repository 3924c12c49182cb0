/* Tests of quota_window's rules, each on one account with a clock that only the test moves. */
#include "test_window.h"

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

static void assert_full(uint64_t tokens, enum gate_limit_name limit, uint64_t free_at_ms)
{
    struct gate_reservation res;
    struct gate_quota_numbers before = rig_numbers(&rig), after;

    ck_assert(!rig_reserve(&rig, tokens, &res));
    ck_assert_int_eq(rig.limit, limit);
    ck_assert_uint_eq(rig.free_at_ms, free_at_ms);
    after = rig_numbers(&rig);
    assert_same_numbers(&before, &after);
}

static void assert_used(uint64_t requests_minute, uint64_t requests_day, uint64_t tokens_minute,
                        uint64_t tokens_day)
{
    struct gate_quota_numbers n = rig_numbers(&rig);

    ck_assert_uint_eq(n.requests_minute, requests_minute);
    ck_assert_uint_eq(n.requests_day, requests_day);
    ck_assert_uint_eq(n.tokens_minute, tokens_minute);
    ck_assert_uint_eq(n.tokens_day, tokens_day);
}

/* ---------------------------------------------------------------- windows */

START_TEST(test_minute)
{
    limits->requests_per_minute = 3;
    rig.now_ms = NOON_MS + 999;
    rig_answer(&rig, 0);
    rig.now_ms = NOON_MS + 5000;
    rig_answer(&rig, 0);
    rig_answer(&rig, 0);
    /* The first was taken in second 0: it counts until second 61 begins, not only for 60 s. */
    assert_full(0, GATE_LIMIT_RPM, NOON_MS + 61000);
    rig.now_ms = NOON_MS + 60999;
    assert_full(0, GATE_LIMIT_RPM, NOON_MS + 61000);
    rig.now_ms = NOON_MS + 61000;
    rig_answer(&rig, 0);
    assert_full(0, GATE_LIMIT_RPM, NOON_MS + 66000);
    rig.now_ms = NOON_MS + 66000;
    assert_used(1, 4, 0, 0);
    rig_answer(&rig, 0);
    rig_answer(&rig, 0);
    assert_full(0, GATE_LIMIT_RPM, NOON_MS + 122000);
    rig.now_ms = NOON_MS + 200000;
    assert_used(0, 6, 0, 0);
}
END_TEST

START_TEST(test_minute_tokens)
{
    limits->tokens_per_minute = 100;
    rig_answer(&rig, 30);
    rig.now_ms += 10000;
    rig_answer(&rig, 50);
    rig.now_ms += 10000;
    /* How long depends on what is asked for. */
    assert_full(21, GATE_LIMIT_TPM, NOON_MS + 61000);
    assert_full(50, GATE_LIMIT_TPM, NOON_MS + 61000);
    assert_full(51, GATE_LIMIT_TPM, NOON_MS + 71000);
    rig_answer(&rig, 20);
    /* Full is full, also for a request of unknown size. */
    assert_full(0, GATE_LIMIT_TPM, NOON_MS + 61000);
    rig.now_ms = NOON_MS + 61000;
    assert_used(2, 3, 70, 100);
    rig_answer(&rig, 0);
}
END_TEST

START_TEST(test_oversized)
{
    struct gate_reservation res;

    limits->tokens_per_minute = 100;
    limits->tokens_per_day = 1000;
    /* Larger than the limit: it is let through on an empty window only, and fills it. */
    ck_assert(rig_reserve(&rig, 5000, &res));
    ck_assert_uint_eq(res.tokens, 5000);
    assert_used(1, 1, 100, 1000);
    rig_settle(&rig, &res, GATE_OUTCOME_ANSWERED, 300);
    assert_used(1, 1, 300, 300);
    assert_full(1, GATE_LIMIT_TPM, NOON_MS + 61000);
    rig.now_ms += 61000;
    rig_answer(&rig, 1);
    assert_full(5000, GATE_LIMIT_TPD, MIDNIGHT_MS + DAY_MS);
    assert_full(500, GATE_LIMIT_TPM, NOON_MS + 122000);
    rig.now_ms += 61000;
    assert_full(5000, GATE_LIMIT_TPD, MIDNIGHT_MS + DAY_MS);
    rig_answer(&rig, 500);
    /* What a state can hold is bounded as well. */
    limits->tokens_per_minute = limits->tokens_per_day = 0;
    rig.now_ms += 61000;
    for (int i = 0; i < 20; i++)
        rig_answer(&rig, UINT64_MAX);
    ck_assert_uint_eq(rig_numbers(&rig).tokens_minute, WINDOW_SLOT_MAX);
    rig.now_ms += 61000;
    ck_assert_uint_eq(rig_numbers(&rig).tokens_minute, 0);
}
END_TEST

START_TEST(test_day)
{
    struct gate_reservation res;

    limits->requests_per_day = 2;
    limits->tokens_per_day = 100;
    rig.now_ms = MIDNIGHT_MS + DAY_MS - 1;
    rig_answer(&rig, 40);
    assert_full(61, GATE_LIMIT_TPD, MIDNIGHT_MS + DAY_MS);
    ck_assert(rig_reserve(&rig, 60, &res));
    assert_full(0, GATE_LIMIT_RPD, MIDNIGHT_MS + DAY_MS);
    ck_assert_uint_eq(rig_numbers(&rig).day_resets_at_ms, MIDNIGHT_MS + DAY_MS);
    rig.now_ms++;
    assert_used(2, 0, 100, 0);
    ck_assert_uint_eq(rig_numbers(&rig).day_resets_at_ms, MIDNIGHT_MS + 2 * DAY_MS);
    /* Yesterday's reservation gives nothing back to today; what it used too much is of today. */
    rig_settle(&rig, &res, GATE_OUTCOME_REFUSED, 0);
    assert_used(2, 0, 40, 0);
    rig.now_ms--;
    rig_clear(&rig);
    ck_assert(rig_reserve(&rig, 60, &res));
    rig.now_ms++;
    rig_answer(&rig, 5);
    rig_settle(&rig, &res, GATE_OUTCOME_ANSWERED, 70);
    assert_used(2, 1, 75, 15);
}
END_TEST

START_TEST(test_zones)
{
    static const struct {
        const char *zone;
        int64_t offset_min;
    } zones[] = {{"+08:00", 480}, {"-05:30", -330}, {"UTC", 0},     {"Z", 0},
                 {"+00:00", 0},   {"-12:00", -720}, {"+14:00", 840}};

    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        /* 2023-11-14 00:00 UTC, moved to midnight of the zone */
        uint64_t end = 1699920000000 - (uint64_t)(zones[i].offset_min * 60000);
        struct rig r;

        rig_open(&r, zones[i].zone);
        ck_assert_uint_eq(r.ops->day_end(r.instance, end - 1), end);
        ck_assert_uint_eq(r.ops->day_end(r.instance, end), end + DAY_MS);
        r.limits[0].requests_per_day = 1;
        r.now_ms = end - 1;
        rig_answer(&r, 0);
        ck_assert(!rig_reserve(&r, 0, &(struct gate_reservation){0}));
        ck_assert_uint_eq(r.free_at_ms, end);
        r.now_ms = end;
        rig_answer(&r, 0);
        rig_close(&r);
    }
}
END_TEST

START_TEST(test_bad_zones)
{
    static const char *const bad[] = {"",      "utc",     "8",       "+8:00",        "+08",
                                      "+0800", "+08:60",  "+14:01",  "-12:01",       "-99:00",
                                      "08:00", "+08:00 ", " +08:00", "+08:0x",       "+0x:00",
                                      "UTC+8", "ZZ",      "+08-00",  "Asia/Shanghai"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gate_value values[] = {{.present = true, .string = gate_str_of(bad[i])}};
        struct gate_error err = {.message = ""};
        void *instance = NULL;

        ck_assert_msg(rig.ops->instance_create(values, &instance, &err) == GATE_EINVAL, "%s",
                      bad[i]);
        ck_assert_int_eq(err.status, GATE_EINVAL);
        ck_assert_ptr_eq(strstr(err.message, "zone: "), err.message);
    }
}
END_TEST

START_TEST(test_concurrency)
{
    struct gate_reservation res[3];

    limits->concurrency = 2;
    ck_assert(rig_reserve(&rig, 10, &res[0]));
    ck_assert(rig_reserve(&rig, 10, &res[1]));
    ck_assert_uint_eq(rig_numbers(&rig).in_flight, 2);
    assert_full(10, GATE_LIMIT_CONCURRENCY, rig.now_ms + 1000);
    /* Whatever the outcome, the place is free again. */
    for (int outcome = GATE_OUTCOME_ANSWERED; outcome <= GATE_OUTCOME_NOT_SENT; outcome++) {
        rig_settle(&rig, &res[0], (enum gate_outcome)outcome, 10);
        ck_assert_uint_eq(rig_numbers(&rig).in_flight, 1);
        ck_assert(rig_reserve(&rig, 10, &res[0]));
    }
    /* Time does not free it. */
    rig.now_ms += 10 * DAY_MS;
    assert_full(10, GATE_LIMIT_CONCURRENCY, rig.now_ms + 1000);
}
END_TEST

START_TEST(test_last_to_free_is_named)
{
    struct gate_reservation res;
    struct gate_header block = {GATE_STR("retry-after"), GATE_STR("86400")};

    *limits = (struct gate_limits){.requests_per_minute = 1, .concurrency = 1};
    ck_assert(rig_reserve(&rig, 100, &res));
    assert_full(1, GATE_LIMIT_RPM, NOON_MS + 61000);
    rig.now_ms = NOON_MS + 60500;
    assert_full(1, GATE_LIMIT_CONCURRENCY, NOON_MS + 61500);
    limits->tokens_per_minute = 100;
    limits->tokens_per_day = 100;
    assert_full(1, GATE_LIMIT_TPD, MIDNIGHT_MS + DAY_MS);
    rig.ops->observe(rig.instance, rig.state, GATE_USAGE_CHAT, &block, 1, rig.now_ms);
    assert_full(1, GATE_LIMIT_UPSTREAM, rig.now_ms + DAY_MS);
}
END_TEST

START_TEST(test_all_or_nothing)
{
    struct gate_limits full[] = {{.requests_per_minute = 1},
                                 {.requests_per_day = 1},
                                 {.tokens_per_minute = 10},
                                 {.tokens_per_day = 10},
                                 {.concurrency = 1}};
    struct gate_reservation res;

    ck_assert(rig_reserve(&rig, 10, &res));
    for (size_t i = 0; i < sizeof full / sizeof full[0]; i++) {
        struct gate_quota_numbers n;

        *limits = full[i];
        ck_assert(!rig_reserve(&rig, 10, &(struct gate_reservation){0}));
        n = rig_numbers(&rig);
        assert_used(1, 1, 10, 10);
        ck_assert_uint_eq(n.in_flight, 1);
    }
}
END_TEST

START_TEST(test_counted_without_limits)
{
    struct gate_reservation res;

    for (int i = 0; i < 5; i++)
        rig_answer(&rig, 20);
    assert_used(5, 5, 100, 100);
    /* A limit that is set later finds what was used before. */
    limits->requests_per_minute = 5;
    assert_full(0, GATE_LIMIT_RPM, NOON_MS + 61000);
    /* And one that is lowered below what is used waits for the rest to drain. */
    limits->requests_per_minute = 2;
    rig.now_ms += 30000;
    ck_assert(!rig_reserve(&rig, 0, &res));
    ck_assert_uint_eq(rig.free_at_ms, NOON_MS + 61000);
    limits->requests_per_minute = 0;
    rig_answer(&rig, 0);
}
END_TEST

START_TEST(test_kinds_are_apart)
{
    struct gate_quota_numbers n;

    limits->requests_per_minute = 1;
    rig_answer(&rig, 10);
    rig.ops->numbers(rig.instance, rig.state, GATE_USAGE_SEARCH, rig.now_ms, &n);
    ck_assert_uint_eq(n.requests_minute, 0);
    ck_assert_uint_eq(n.tokens_day, 0);
}
END_TEST

/* ---------------------------------------------------------------- settling */

struct settling {
    enum gate_outcome outcome;
    uint64_t tokens;
    uint64_t wait_ms;
    uint64_t used[4]; /* after 100 tokens were reserved: requests and tokens, minute and day */
};

START_TEST(test_settle)
{
    static const struct settling table[] = {
        {GATE_OUTCOME_ANSWERED, 100, 0, {1, 1, 100, 100}},
        {GATE_OUTCOME_ANSWERED, 30, 0, {1, 1, 30, 30}},
        {GATE_OUTCOME_ANSWERED, 0, 0, {1, 1, 0, 0}},
        {GATE_OUTCOME_ANSWERED, 250, 0, {1, 1, 250, 250}},
        {GATE_OUTCOME_ANSWERED, 30, 60999, {1, 1, 30, 30}},
        {GATE_OUTCOME_ANSWERED, 250, 60999, {1, 1, 250, 250}},
        /* The second has left the window: less is of no matter, more counts as of now. */
        {GATE_OUTCOME_ANSWERED, 30, 61000, {0, 1, 0, 30}},
        {GATE_OUTCOME_ANSWERED, 250, 61000, {0, 1, 150, 250}},
        {GATE_OUTCOME_ANSWERED, 250, 3600000, {0, 1, 150, 250}},
        {GATE_OUTCOME_CANCELLED, 40, 0, {1, 1, 40, 40}},
        {GATE_OUTCOME_CANCELLED, 140, 0, {1, 1, 140, 140}},
        {GATE_OUTCOME_REFUSED, 100, 0, {1, 1 - 1, 0, 0}},
        {GATE_OUTCOME_REFUSED, 0, 61000, {0, 0, 0, 0}},
        {GATE_OUTCOME_NOT_SENT, 100, 0, {0, 0, 0, 0}},
        {GATE_OUTCOME_NOT_SENT, 0, 61000, {0, 0, 0, 0}},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct settling *t = &table[i];
        struct gate_reservation res;

        rig_clear(&rig);
        rig.now_ms = NOON_MS;
        ck_assert(rig_reserve(&rig, 100, &res));
        assert_used(1, 1, 100, 100);
        rig.now_ms += t->wait_ms;
        rig_settle(&rig, &res, t->outcome, t->tokens);
        assert_used(t->used[0], t->used[1], t->used[2], t->used[3]);
    }
}
END_TEST

START_TEST(test_correction_fills)
{
    struct gate_reservation res;

    limits->tokens_per_minute = 1000;
    ck_assert(rig_reserve(&rig, 100, &res));
    rig.now_ms += 20000;
    rig_answer(&rig, 10);
    rig_settle(&rig, &res, GATE_OUTCOME_ANSWERED, 3000);
    assert_full(1, GATE_LIMIT_TPM, NOON_MS + 61000);
    rig.now_ms = NOON_MS + 61000;
    rig_answer(&rig, 990);
}
END_TEST

/* A slot is used by a new second every 64 s; what is given back late must not reach it. */
START_TEST(test_return_misses_other_seconds)
{
    for (uint64_t wait_s = 61; wait_s <= 200; wait_s++) {
        struct gate_reservation res;

        rig_clear(&rig);
        rig.now_ms = NOON_MS;
        ck_assert(rig_reserve(&rig, 100, &res));
        rig.now_ms = NOON_MS + wait_s * 1000;
        rig_answer(&rig, 7);
        rig_settle(&rig, &res, GATE_OUTCOME_NOT_SENT, 0);
        assert_used(1, 1, 7, 7);
    }
}
END_TEST

/* ---------------------------------------------------------------- clocks */

START_TEST(test_clock_goes_back_a_little)
{
    struct gate_reservation res;

    limits->requests_per_minute = 2;
    limits->requests_per_day = 3;
    rig.now_ms = MIDNIGHT_MS + 10000;
    rig_answer(&rig, 0);
    /* Back across midnight: it counts as of the newest second and day. */
    rig.now_ms = MIDNIGHT_MS - 5000;
    ck_assert(rig_reserve(&rig, 0, &res));
    ck_assert_uint_eq(res.at_ms, MIDNIGHT_MS + 10000);
    rig_settle(&rig, &res, GATE_OUTCOME_ANSWERED, 0);
    assert_full(0, GATE_LIMIT_RPM, MIDNIGHT_MS + 71000);
    assert_used(2, 2, 0, 0);
    rig.now_ms = MIDNIGHT_MS + 71000;
    rig_answer(&rig, 0);
    assert_full(0, GATE_LIMIT_RPD, MIDNIGHT_MS + DAY_MS);
}
END_TEST

START_TEST(test_clock_was_set_back)
{
    struct gate_header block = {GATE_STR("retry-after"), GATE_STR("3600")};
    uint64_t back_ms = NOON_MS - 30 * DAY_MS;

    limits->requests_per_minute = 2;
    limits->requests_per_day = 4;
    rig_answer(&rig, 5);
    rig_answer(&rig, 5);
    rig.ops->observe(rig.instance, rig.state, GATE_USAGE_CHAT, &block, 1, rig.now_ms);
    /* One month back: what was taken counts as of now. */
    rig.now_ms = back_ms;
    assert_full(0, GATE_LIMIT_RPM, back_ms + 61000);
    rig.now_ms = back_ms + 60999;
    assert_full(0, GATE_LIMIT_RPM, back_ms + 61000);
    rig.now_ms = back_ms + 61000;
    rig_answer(&rig, 5);
    rig_answer(&rig, 5);
    assert_used(2, 4, 10, 20);
    rig.now_ms += 61000;
    assert_full(0, GATE_LIMIT_RPD, MIDNIGHT_MS - 29 * DAY_MS);
    rig.now_ms = MIDNIGHT_MS - 29 * DAY_MS;
    rig_answer(&rig, 5);
}
END_TEST

/* A thread that slept since it read the time is not a clock that was set back. */
START_TEST(test_thread_that_slept)
{
    struct gate_reservation res;
    enum gate_limit_name limit;
    uint64_t free_at_ms;

    limits->requests_per_minute = 2;
    rig_answer(&rig, 0);
    ck_assert_int_eq(rig.ops->reserve(rig.instance, rig.state, GATE_USAGE_CHAT, limits,
                                      NOON_MS - DAY_MS, 0, &res, &limit, &free_at_ms),
                     GATE_OK);
    ck_assert_uint_eq(res.at_ms, NOON_MS);
    assert_full(0, GATE_LIMIT_RPM, NOON_MS + 61000);
    assert_used(2, 2, 0, 0);
}
END_TEST

static TCase *case_rules(void)
{
    TCase *tc = tcase_create("rules");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_minute);
    tcase_add_test(tc, test_minute_tokens);
    tcase_add_test(tc, test_oversized);
    tcase_add_test(tc, test_day);
    tcase_add_test(tc, test_zones);
    tcase_add_test(tc, test_bad_zones);
    tcase_add_test(tc, test_concurrency);
    tcase_add_test(tc, test_last_to_free_is_named);
    tcase_add_test(tc, test_all_or_nothing);
    tcase_add_test(tc, test_counted_without_limits);
    tcase_add_test(tc, test_kinds_are_apart);
    tcase_add_test(tc, test_settle);
    tcase_add_test(tc, test_correction_fills);
    tcase_add_test(tc, test_return_misses_other_seconds);
    tcase_add_test(tc, test_clock_goes_back_a_little);
    tcase_add_test(tc, test_clock_was_set_back);
    tcase_add_test(tc, test_thread_that_slept);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("quota_window");
    SRunner *runner;
    int failed;

    suite_add_tcase(suite, case_rules());
    suite_add_tcase(suite, case_facts());
    suite_add_tcase(suite, case_report());
    suite_add_tcase(suite, case_stored());
    suite_add_tcase(suite, case_trace());
    suite_add_tcase(suite, case_meter());
    suite_add_tcase(suite, case_threads());
    suite_add_tcase(suite, case_speed());
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
