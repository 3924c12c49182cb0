/* The health of an account: how pauses begin, grow and end, and what a probe is. */
#include "pool_fixture.h"

enum { DAY_MS = 86400000 };

static const uint64_t START = 1795400000000u;

static void fail_account(struct gate_account *a, enum gate_verdict_kind kind, uint64_t retry_ms,
                         uint64_t now)
{
    struct gate_verdict v = {.kind = kind, .retry_after_ms = retry_ms};
    struct gate_health_failure failure = {.verdict = &v,
                                          .reason = "",
                                          .pause_ms = gate_health_pause(a, &v, now + 5000, now),
                                          .exact = retry_ms > 0};
    gate_health_bad(a, &failure, 20, now); /* 20: no variation */
}

START_TEST(pauses_double_and_one_request_probes)
{
    struct pool_fixture f;
    bool probe, second;
    pool_fixture_open(&f, 1);
    struct gate_account *a = f.table->entries[0].account;
    uint64_t now = START, last = 0;
    for (int i = 0; i < 8; i++) {
        fail_account(a, GATE_VERDICT_OVERLOADED, 0, now);
        fail_account(a, GATE_VERDICT_OVERLOADED, 0, now); /* in flight at the same time */
        struct gate_health h = gate_health_read(a, now);
        ck_assert_int_eq(h.condition, GATE_CONDITION_COOLING);
        uint64_t pause = h.until_ms - now;
        ck_assert_uint_eq(pause, last == 0 ? 1000 : last * 2 < 60000 ? last * 2 : 60000);
        last = pause;
        now = h.until_ms;
        ck_assert(gate_health_read(a, now).half_open);
        ck_assert(gate_health_begin(a, now, &probe));
        ck_assert(probe);
        ck_assert(!gate_health_begin(a, now, &second));
        gate_health_end(a, probe);
    }
    ck_assert(gate_health_begin(a, now, &probe));
    gate_health_good(a, probe, false, 1);
    gate_health_end(a, false);
    ck_assert(!gate_health_read(a, now).half_open);
    fail_account(a, GATE_VERDICT_OVERLOADED, 0, now);
    ck_assert_uint_eq(gate_health_read(a, now).until_ms, now + 1000);
    pool_fixture_close(&f);
}
END_TEST

START_TEST(what_the_service_names_is_kept_exactly)
{
    struct pool_fixture f;
    pool_fixture_open(&f, 1);
    struct gate_account *a = f.table->entries[0].account;
    fail_account(a, GATE_VERDICT_RATE_LIMITED, 17000, START);
    ck_assert_uint_eq(gate_health_read(a, START).until_ms, START + 17000);
    ck_assert_int_eq(gate_health_read(a, START).condition, GATE_CONDITION_LIMITED);
    fail_account(a, GATE_VERDICT_RATE_LIMITED, 3000, START); /* does not shorten it */
    ck_assert_uint_eq(gate_health_read(a, START).until_ms, START + 17000);
    fail_account(a, GATE_VERDICT_QUOTA_EXHAUSTED, 0, START + 17000);
    ck_assert_int_eq(gate_health_read(a, START + 17000).condition, GATE_CONDITION_EXHAUSTED);
    ck_assert_uint_eq(gate_health_read(a, START + 17000).until_ms, START + 22000);
    gate_health_clear(a);
    fail_account(a, GATE_VERDICT_CLIENT_ERROR, 0, START);
    ck_assert_int_eq(gate_health_read(a, START).condition, GATE_CONDITION_SERVING);
    pool_fixture_close(&f);
}
END_TEST

START_TEST(an_answer_from_before_the_failure_does_not_end_the_pause)
{
    static const struct {
        enum gate_verdict_kind kind;
        enum gate_condition condition;
    } cases[] = {
        {GATE_VERDICT_RATE_LIMITED, GATE_CONDITION_LIMITED},
        {GATE_VERDICT_AUTH, GATE_CONDITION_SIGN_IN},
        {GATE_VERDICT_BLOCKED, GATE_CONDITION_COOLING},
        {GATE_VERDICT_OVERLOADED, GATE_CONDITION_COOLING}, /* and may serve as a last resort */
    };
    struct pool_fixture f;
    bool probe;
    pool_fixture_open(&f, 1);
    struct gate_account *a = f.table->entries[0].account;
    ck_assert(gate_health_begin(a, START, &probe));
    fail_account(a, cases[_i].kind, 20000, START);
    struct gate_health before = gate_health_read(a, START + 10);
    ck_assert_int_eq(before.condition, cases[_i].condition);
    gate_health_good(a, probe, false, 1);
    gate_health_end(a, probe);
    struct gate_health now = gate_health_read(a, START + 10);
    ck_assert_int_eq(now.condition, before.condition);
    ck_assert_uint_eq(now.until_ms, before.until_ms);
    /* Nor when it comes after the pause: the probe is still to be made. */
    gate_health_good(a, false, false, 1);
    ck_assert(gate_health_read(a, before.until_ms).half_open);
    ck_assert(gate_health_begin(a, before.until_ms, &probe) && probe);
    gate_health_good(a, probe, false, 1);
    gate_health_end(a, false);
    ck_assert_int_eq(gate_health_read(a, before.until_ms).unproven, GATE_CONDITION_SERVING);
    pool_fixture_close(&f);
}
END_TEST

START_TEST(an_answer_of_last_resort_ends_the_pause)
{
    struct pool_fixture f;
    bool probe;
    pool_fixture_open(&f, 1);
    struct gate_account *a = f.table->entries[0].account;
    fail_account(a, GATE_VERDICT_OVERLOADED, 20000, START);
    ck_assert(gate_health_read(a, START).last_resort);
    ck_assert(gate_health_begin(a, START, &probe));
    gate_health_good(a, probe, true, 1);
    gate_health_end(a, probe);
    ck_assert_int_eq(gate_health_read(a, START).unproven, GATE_CONDITION_SERVING);
    pool_fixture_close(&f);
}
END_TEST

START_TEST(a_probe_that_goes_on_is_no_probe_once_it_has_answered)
{
    struct pool_fixture f;
    bool first, second;
    pool_fixture_open(&f, 1);
    struct gate_account *a = f.table->entries[0].account;
    fail_account(a, GATE_VERDICT_RATE_LIMITED, 1000, START);
    ck_assert(gate_health_begin(a, START + 1000, &first) && first);
    gate_health_good(a, first, false, 1); /* it streams on */
    fail_account(a, GATE_VERDICT_RATE_LIMITED, 1000, START + 2000);
    ck_assert(gate_health_begin(a, START + 3000, &second) && second);
    gate_health_end(a, false); /* the first one's end leaves the second alone */
    ck_assert(!gate_health_begin(a, START + 3000, &first));
    gate_health_end(a, second);
    pool_fixture_close(&f);
}
END_TEST

START_TEST(a_pause_does_not_outlive_a_clock_that_is_set_back)
{
    static const uint64_t MONTH = 30ull * DAY_MS;
    struct pool_fixture f;
    uint64_t until;
    pool_fixture_open(&f, 1);
    struct gate_account *a = f.table->entries[0].account;
    fail_account(a, GATE_VERDICT_RATE_LIMITED, 60000, START + MONTH);
    ck_assert_int_eq(gate_health_read(a, START + MONTH).condition, GATE_CONDITION_LIMITED);
    ck_assert_int_eq(gate_health_read(a, START + MONTH - 3600000).condition,
                     GATE_CONDITION_LIMITED);
    ck_assert_int_eq(gate_health_read(a, START).condition, GATE_CONDITION_SERVING);
    ck_assert(gate_health_read(a, START).half_open);
    /* What is kept over a restart does not depend on the clock. */
    ck_assert_int_eq(gate_health_saved(a, &until), GATE_CONDITION_LIMITED);
    ck_assert_uint_eq(until, START + MONTH + 60000);
    fail_account(a, GATE_VERDICT_RATE_LIMITED, 5000, START); /* a new pause, by the new clock */
    ck_assert_uint_eq(gate_health_read(a, START).until_ms, START + 5000);
    pool_fixture_close(&f);
}
END_TEST

START_TEST(a_wrong_request_leaves_the_account_alone)
{
    struct pool_fixture f;
    struct gate_last_error e;
    pool_fixture_open(&f, 1);
    struct gate_account *a = f.table->entries[0].account;
    fail_account(a, GATE_VERDICT_CLIENT_ERROR, 0, START);
    gate_health_last_error(a, &e);
    ck_assert_uint_eq(e.at_ms, 0);
    ck_assert_uint_eq(atomic_load(&a->live.failed), 0);
    pool_fixture_close(&f);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("health");
    TCase *c = tcase_create("rules");
    tcase_add_test(c, pauses_double_and_one_request_probes);
    tcase_add_test(c, what_the_service_names_is_kept_exactly);
    tcase_add_loop_test(c, an_answer_from_before_the_failure_does_not_end_the_pause, 0, 4);
    tcase_add_test(c, an_answer_of_last_resort_ends_the_pause);
    tcase_add_test(c, a_probe_that_goes_on_is_no_probe_once_it_has_answered);
    tcase_add_test(c, a_pause_does_not_outlive_a_clock_that_is_set_back);
    tcase_add_test(c, a_wrong_request_leaves_the_account_alone);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
