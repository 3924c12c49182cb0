/* Series: points of minutes, hours and days with latencies, and the last two hours of accounts. */
#include "audit_fixture.h"
#include "base/clock.h"
#include "record/audit_internal.h"

/* ---- latencies */

START_TEST(buckets_cover_all_and_grow)
{
    unsigned last = 0;
    for (uint64_t us = 0; us < UINT64_C(3000000000); us += 500 + us / 50) {
        unsigned bucket = gate_latency_bucket(us);
        ck_assert_uint_ge(bucket, last);
        ck_assert_uint_le(bucket, last + 1);
        last = bucket;
    }
    ck_assert_uint_eq(last, GATE_LATENCY_BUCKETS - 1);
    ck_assert_uint_eq(gate_latency_bucket(UINT64_MAX), GATE_LATENCY_BUCKETS - 1);
    ck_assert_uint_eq(gate_latency_bucket(999), 0);
}
END_TEST

START_TEST(percentiles_are_near)
{
    for (uint64_t ms = 1; ms < 600000; ms = ms * 3 / 2 + 1) {
        uint64_t counts[GATE_LATENCY_BUCKETS] = {0}, found;
        ck_assert(!gate_latency_percentile(counts, 50, &found));
        counts[gate_latency_bucket(ms * 1000)] = 1;
        ck_assert(gate_latency_percentile(counts, 50, &found));
        ck_assert_uint_le(found > ms ? found - ms : ms - found, ms / 8 + 1);
    }
    /* 1 to 1000 ms, each once. */
    uint64_t counts[GATE_LATENCY_BUCKETS] = {0}, p50, p95, p100;
    for (uint64_t ms = 1; ms <= 1000; ms++)
        counts[gate_latency_bucket(ms * 1000)]++;
    ck_assert(gate_latency_percentile(counts, 50, &p50));
    ck_assert(gate_latency_percentile(counts, 95, &p95));
    ck_assert(gate_latency_percentile(counts, 100, &p100));
    ck_assert(p50 > 480 && p50 < 520);
    ck_assert(p95 > 930 && p95 < 970);
    ck_assert(p100 >= p95 && p100 < 1030);
}
END_TEST

START_TEST(damaged_counts_have_no_percentile)
{
    uint64_t counts[GATE_LATENCY_BUCKETS] = {0}, found;
    for (unsigned bit = 49; bit < 64; bit++) {
        counts[3] = UINT64_C(1) << bit;
        for (unsigned percent = 1; percent <= 100; percent++)
            ck_assert(!gate_latency_percentile(counts, percent, &found));
    }
    counts[3] = UINT64_C(1) << 48;
    ck_assert(gate_latency_percentile(counts, 95, &found));
    ck_assert_uint_eq(found, 3);
}
END_TEST

/* ---- records */

START_TEST(points_keep_their_bytes)
{
    struct gate_series_stored p = {0}, back;
    char bytes[GATE_SERIES_MAX_BYTES];
    unsigned seed = 3;
    for (int round = 0; round < 200; round++) {
        memset(&p, 0, sizeof p);
        uint64_t *const words = (uint64_t *)&p.point;
        for (size_t i = 0; i < sizeof p.point / sizeof *words; i++)
            if (rand_r(&seed) % 3 == 0 || round == 0)
                words[i] = round == 0 ? UINT64_MAX : (uint64_t)rand_r(&seed) << rand_r(&seed) % 32;
        for (int i = 0; i < GATE_SERIES_FIVES; i++)
            p.fives[i] = round == 0 ? UINT32_MAX : (uint32_t)rand_r(&seed);
        size_t len = gate_series_encode(&p, bytes);
        ck_assert_uint_le(len, sizeof bytes);
        ck_assert(gate_series_decode((struct gate_str){bytes, len}, &back));
        ck_assert_mem_eq(&back, &p, sizeof p);
        /* Damaged ones are noticed or are another point, but nothing else happens. */
        for (int k = 0; k < 50; k++) {
            char damaged[GATE_SERIES_MAX_BYTES];
            memcpy(damaged, bytes, len);
            damaged[(size_t)rand_r(&seed) % len] ^= (char)(1 << rand_r(&seed) % 8);
            gate_series_decode((struct gate_str){damaged, (size_t)rand_r(&seed) % (len + 1)},
                               &back);
        }
        ck_assert(!gate_series_decode((struct gate_str){bytes, len - 1}, &back));
    }
    ck_assert(!gate_series_decode(GATE_STR(""), &back));
    ck_assert(!gate_series_decode(GATE_STR("\x02"), &back));
}
END_TEST

/* ---- series */

struct reading {
    struct gate_series_reading question;
    struct gate_series_point points[GATE_SERIES_MAX_POINTS];
    enum gate_status status;
};

static void run_reading(struct gate_storage *s, void *arg)
{
    struct reading *r = arg;
    r->status = gate_series_read(s, &r->question, NULL);
}

static struct reading *read_series(struct fixture *f, const char *account, bool hours,
                                   uint64_t from_ms, uint64_t step_ms, size_t count)
{
    struct reading *r = gate_calloc(1, sizeof *r);
    r->question = (struct gate_series_reading){
        .account = gate_str_of(account),
        .hours = hours,
        .from_ms = from_ms,
        .to_ms = from_ms + count * step_ms,
        .step_ms = step_ms,
        .points = r->points,
    };
    gate_store_call(f->store, run_reading, r);
    ck_assert_int_eq(r->status, GATE_OK);
    return r;
}

static void count_took(struct gate_audit_batch *b, uint64_t at_ms, const char *account,
                       const char *outcome, uint64_t total_ms, int64_t first_ms)
{
    gate_audit_count(b, at_ms,
                     &(struct gate_audit_event){.account = gate_str_of(account),
                                                .outcome = gate_str_of(outcome),
                                                .prompt_tokens = 10,
                                                .completion_tokens = 3,
                                                .total_us = total_ms * 1000,
                                                .first_us = first_ms * 1000});
}

static uint64_t percentile(const uint64_t counts[GATE_LATENCY_BUCKETS], unsigned percent)
{
    uint64_t ms;
    return gate_latency_percentile(counts, percent, &ms) ? ms : UINT64_MAX;
}

START_TEST(series_of_accounts_and_of_all)
{
    struct fixture f;
    start(&f, 0);
    struct gate_audit_batch *a = gate_audit_batch_create(f.audit),
                            *b = gate_audit_batch_create(f.audit);
    for (int i = 0; i < 100; i++)
        count_took(i % 2 ? a : b, NOW, "x/0", "success", 100, 20);
    count_took(a, NOW, "x/00", "success", 6000, 3000);
    count_took(a, NOW, "x/0", "error:timeout", 60000, -1);
    flush(&f);
    count_took(b, NOW, "x/0", "limited:rpm", 1, -1);
    count_took(b, NOW + MINUTE, "x/0", "cancelled", 1, -1);
    count_took(b, NOW + 7 * MINUTE, "x/0", "success", 1000, -1);
    flush(&f);

    struct reading *r = read_series(&f, "x/0", false, NOW, MINUTE, 60);
    const struct gate_series_point *p = &r->points[0];
    ck_assert_uint_eq(p->classes[GATE_SERIES_SUCCESS], 100);
    ck_assert_uint_eq(p->classes[GATE_SERIES_ERROR], 1);
    ck_assert_uint_eq(p->classes[GATE_SERIES_LIMITED], 1);
    ck_assert_uint_eq(p->classes[GATE_SERIES_CANCELLED], 0);
    ck_assert_uint_eq(p->prompt_tokens, 1020);
    ck_assert_uint_eq(p->completion_tokens, 306);
    /* Only successes have latencies. */
    ck_assert(percentile(p->total, 95) > 90 && percentile(p->total, 95) < 115);
    ck_assert(percentile(p->first, 50) > 17 && percentile(p->first, 50) < 23);
    ck_assert_uint_eq(r->points[1].classes[GATE_SERIES_CANCELLED], 1);
    ck_assert_uint_eq(percentile(r->points[1].total, 50), UINT64_MAX);
    ck_assert_uint_eq(r->points[7].classes[GATE_SERIES_SUCCESS], 1);
    ck_assert_uint_eq(percentile(r->points[7].first, 50), UINT64_MAX);
    free(r);

    /* Steps put minutes together. */
    r = read_series(&f, "x/0", false, NOW, 5 * MINUTE, 2);
    ck_assert_uint_eq(r->points[0].classes[GATE_SERIES_CANCELLED], 1);
    ck_assert_uint_eq(r->points[0].classes[GATE_SERIES_SUCCESS], 100);
    ck_assert_uint_eq(r->points[1].classes[GATE_SERIES_SUCCESS], 1);
    free(r);

    /* All accounts, by minutes and by hours. */
    for (int hours = 0; hours < 2; hours++) {
        r = read_series(&f, "", hours, NOW, HOUR, 1);
        ck_assert_uint_eq(r->points[0].classes[GATE_SERIES_SUCCESS], 102);
        ck_assert(percentile(r->points[0].total, 100) > 5000);
        ck_assert(percentile(r->points[0].first, 100) > 2500);
        free(r);
    }
    r = read_series(&f, "nobody", true, NOW, HOUR, 1);
    ck_assert_uint_eq(r->points[0].classes[GATE_SERIES_SUCCESS], 0);
    free(r);
    gate_audit_batch_destroy(a);
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

struct today {
    struct gate_audit *audit;
    uint64_t now_ms;
    struct gate_series_point point;
};

static void run_today(struct gate_storage *s, void *arg)
{
    struct today *t = arg;
    gate_series_today(t->audit, s, t->now_ms, &t->point);
}

static uint64_t today_of(struct fixture *f, uint64_t now_ms)
{
    struct today t = {.audit = f->audit, .now_ms = now_ms};
    gate_store_call(f->store, run_today, &t);
    return t.point.classes[GATE_SERIES_SUCCESS];
}

START_TEST(series_survive_restarts_and_end)
{
    struct fixture f;
    start(&f, 0);
    const uint64_t midnight = day_end(&f, NOW);
    for (int round = 1; round <= 3; round++) {
        struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
        count(b, NOW, "a", "success");
        count(b, midnight, "b", "success");
        gate_audit_batch_destroy(b);
        stop_gateway(&f);
        start_gateway(&f, 0);
        struct reading *r = read_series(&f, "a", false, NOW, MINUTE, 1);
        ck_assert_uint_eq(r->points[0].classes[GATE_SERIES_SUCCESS], round);
        free(r);
        ck_assert_uint_eq(today_of(&f, NOW), round);
        ck_assert_uint_eq(today_of(&f, midnight), round);
        ck_assert_uint_eq(today_of(&f, midnight + DAY), 0);
    }
    /* Minutes are kept for a day and a bit, hours as long as the audit. */
    memory_storage_set_now(&f.memory, NOW + 27 * HOUR);
    struct reading *minutes = read_series(&f, "", false, NOW, MINUTE, 1);
    struct reading *hours = read_series(&f, "", true, NOW, HOUR, 1);
    ck_assert_uint_eq(minutes->points[0].classes[GATE_SERIES_SUCCESS], 0);
    ck_assert_uint_eq(hours->points[0].classes[GATE_SERIES_SUCCESS], 3);
    free(minutes);
    free(hours);
    stop(&f);
}
END_TEST

START_TEST(failing_storage_counts_once)
{
    struct fixture f;
    unsigned seed = 11;
    uint64_t counted = 0;
    mute_log();
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    for (int step = 0; step < 300; step++) {
        memory_storage_set_mode(&f.memory,
                                step % 5 == 0 ? MEMORY_STORAGE_FAIL_COMMITS : MEMORY_STORAGE_WELL);
        if (step % 3 == 0)
            memory_storage_fail_one(&f.memory, (uint64_t)rand_r(&seed) % 60);
        for (int i = rand_r(&seed) % 5; i > 0; i--, counted++) {
            char account[8];
            snprintf(account, sizeof account, "a%d", rand_r(&seed) % 3);
            count(b, NOW + (uint64_t)(rand_r(&seed) % 3) * MINUTE, account, "success");
        }
        flush(&f);
    }
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    flush(&f);
    flush(&f);
    uint64_t sums[3] = {0};
    for (int i = 0; i < 3; i++) {
        char account[8];
        snprintf(account, sizeof account, "a%d", i);
        struct reading *r = read_series(&f, account, false, NOW, HOUR, 1);
        sums[0] += r->points[0].classes[GATE_SERIES_SUCCESS];
        free(r);
        r = read_series(&f, account, true, NOW, HOUR, 1);
        sums[1] += r->points[0].classes[GATE_SERIES_SUCCESS];
        for (int k = 0; k < GATE_LATENCY_BUCKETS; k++)
            sums[2] += r->points[0].total[k];
        free(r);
    }
    ck_assert_uint_eq(sums[0], counted);
    ck_assert_uint_eq(sums[1], counted);
    ck_assert_uint_eq(sums[2], counted);
    ck_assert_uint_eq(today_of(&f, NOW), counted);
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

/* ---- sparks */

static uint32_t spark_sum(struct fixture *f, const char *account, uint64_t now_ms, uint32_t *last)
{
    uint32_t spark[GATE_SPARK_POINTS], sum = 0;
    struct gate_str name = gate_str_of(account);
    gate_audit_sparks_load(f->audit, &name, 1);
    gate_audit_spark(f->audit, name, now_ms, spark);
    for (int i = 0; i < GATE_SPARK_POINTS; i++)
        sum += spark[i];
    *last = spark[GATE_SPARK_POINTS - 1];
    return sum;
}

START_TEST(sparks_go_on_after_a_restart)
{
    struct fixture f;
    uint32_t last;
    start(&f, 0);
    gate_clock_shift((int64_t)(NOW - gate_clock_wall_ms()));
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    count(b, NOW - 3 * HOUR, "a", "success");
    count(b, NOW - 119 * MINUTE, "a", "success");
    count(b, NOW - 110 * MINUTE, "a", "error:x");
    count(b, NOW - 6 * MINUTE, "a", "success");
    for (int i = 0; i < 4; i++)
        count(b, NOW, "a", "success");
    flush(&f);
    ck_assert_uint_eq(spark_sum(&f, "a", NOW, &last), 6);
    ck_assert_uint_eq(last, 4);
    ck_assert_uint_eq(spark_sum(&f, "a", NOW + 5 * MINUTE, &last), 6);
    ck_assert_uint_eq(last, 0);
    ck_assert_uint_eq(spark_sum(&f, "b", NOW, &last), 0);

    for (int loaded = 0; loaded < 2; loaded++) {
        gate_audit_batch_destroy(b);
        stop_gateway(&f);
        start_gateway(&f, 0);
        b = gate_audit_batch_create(f.audit);
        /* Whether it is asked for first or counted first. */
        if (loaded)
            ck_assert_uint_eq(spark_sum(&f, "a", NOW, &last), 7);
        count(b, NOW, "a", "success");
        flush(&f);
        ck_assert_uint_eq(spark_sum(&f, "a", NOW, &last), 7 + (uint32_t)loaded);
        ck_assert_uint_eq(last, 5 + (uint32_t)loaded);
    }
    /* A long time later, and a clock that was set back. */
    count(b, NOW + DAY, "a", "success");
    flush(&f);
    ck_assert_uint_eq(spark_sum(&f, "a", NOW + DAY, &last), 1);
    ck_assert_uint_eq(spark_sum(&f, "a", NOW, &last), 0);
    count(b, NOW, "a", "success");
    flush(&f);
    ck_assert_uint_eq(spark_sum(&f, "a", NOW, &last), 1);
    ck_assert_uint_eq(last, 1);
    gate_audit_batch_destroy(b);
    stop(&f);
    gate_clock_shift(0);
}
END_TEST

/* ---- the end of points */

struct expiring {
    struct gate_audit *audit;
    uint64_t now_ms;
    unsigned calls;
};

static void run_expire(struct gate_storage *s, void *arg)
{
    struct expiring *e = arg;
    while (gate_audit_expire(e->audit, s, e->now_ms))
        e->calls++;
    e->calls++;
}

START_TEST(a_shorter_retention_removes_points)
{
    struct fixture f;
    char account[32];
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    for (int i = 0; i < 150; i++) {
        snprintf(account, sizeof account, "x/%d", i);
        for (uint64_t h = 0; h < 10; h++)
            count(b, NOW + h * HOUR, account, "success");
    }
    flush(&f);
    size_t before = memory_storage_count(&f.memory, GATE_KEY_SERIES "h/");
    ck_assert_uint_eq(before, 151 * 10);
    /* As if all had been written for longer: the last hour only is young enough. */
    struct expiring e = {.audit = f.audit,
                         .now_ms = NOW + 9 * HOUR + (uint64_t)RETENTION_DAYS * DAY};
    for (int i = 0; i < 10; i++)
        gate_store_call(f.store, run_expire, &e);
    ck_assert_uint_gt(e.calls, 10);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_SERIES "h/"), 151);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_SERIES "m/"), 151);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_AUDIT), 150 * 4);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_HOUR), 150 * 4);
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("audit series");
    TCase *tests = tcase_create("audit series");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, buckets_cover_all_and_grow);
    tcase_add_test(tests, percentiles_are_near);
    tcase_add_test(tests, damaged_counts_have_no_percentile);
    tcase_add_test(tests, points_keep_their_bytes);
    tcase_add_test(tests, series_of_accounts_and_of_all);
    tcase_add_test(tests, series_survive_restarts_and_end);
    tcase_add_test(tests, failing_storage_counts_once);
    tcase_add_test(tests, sparks_go_on_after_a_restart);
    tcase_add_test(tests, a_shorter_retention_removes_points);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
