/* Nothing is lost and nothing counted twice: restarts, failing storage, full tables, threads. */
#include "audit_fixture.h"

/* ---- nothing lost, nothing twice */

START_TEST(restart_goes_on_with_the_sums)
{
    struct fixture f;
    start(&f, 0);
    for (int round = 1; round <= 3; round++) {
        struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
        count(b, NOW, "a", "success");
        /* Destroyed before anybody collected: closing writes it. */
        gate_audit_batch_destroy(b);
        stop_gateway(&f);
        ck_assert_uint_eq(total_of(&f, GATE_KEY_AUDIT), round);
        start_gateway(&f, 0);
    }
    expect(&f, ALL, "+0 chat success|a 3 30 9 4\n");
    gate_audit_batch_destroy(NULL);
    stop(&f);
    gate_audit_destroy(NULL);
}
END_TEST

START_TEST(failing_storage_loses_and_doubles_nothing)
{
    static const char *const outcomes[] = {"success", "limited:rpm", "error:timeout"};
    struct fixture f;
    uint64_t counted = 0;
    unsigned seed = 7;
    mute_log();
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    for (int step = 0; step < 600; step++) {
        switch (rand_r(&seed) % 6) {
        case 0:
            memory_storage_set_mode(&f.memory, MEMORY_STORAGE_FAIL_WRITES);
            break;
        case 1:
            memory_storage_set_mode(&f.memory, MEMORY_STORAGE_FAIL_COMMITS);
            break;
        case 2: /* in the middle of a flush */
            memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
            memory_storage_fail_after(&f.memory, (uint64_t)rand_r(&seed) % 20);
            break;
        case 3:
            memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
            memory_storage_fail_one(&f.memory, (uint64_t)rand_r(&seed) % 20);
            break;
        default:
            memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
        }
        for (int i = rand_r(&seed) % 10; i > 0; i--, counted++) {
            char account[16];
            snprintf(account, sizeof account, "a/%d", rand_r(&seed) % 4);
            count(b, NOW + (uint64_t)(rand_r(&seed) % 3) * MINUTE, account,
                  outcomes[rand_r(&seed) % 3]);
        }
        flush(&f);
    }
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    flush(&f);
    struct asking q = ALL;
    ask(&f, &q);
    ck_assert_uint_eq(q.count, counted);
    ck_assert_uint_eq(q.prompt, counted * 10);
    ck_assert_uint_eq(q.completion, counted * 3);
    ck_assert_uint_eq(q.rows, 3 * 4 * 3);
    ck_assert_uint_eq(total_of(&f, GATE_KEY_AUDIT), counted);
    ck_assert_uint_eq(total_of(&f, GATE_KEY_DAY), counted);
    gate_buf_finish(&q.lines);
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

static void count_numbered(struct gate_audit_batch *b, uint64_t now_ms, int number)
{
    char account[32];
    snprintf(account, sizeof account, "account/%d", number);
    count(b, now_ms, account, "success");
}

START_TEST(too_many_rows_of_a_worker_fold)
{
    struct fixture f;
    const int many = 3 * GATE_AUDIT_MAX_ROWS;
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    for (int i = 0; i < many; i++)
        count_numbered(b, NOW, i);
    /* Known rows go on counting. */
    count_numbered(b, NOW, 5);
    flush(&f);
    struct asking q = ALL, known = ALL, other = ALL;
    known.account = GATE_STR("account/5");
    other.outcome = GATE_STR("error:other");
    ask(&f, &q);
    ask(&f, &known);
    ask(&f, &other);
    ck_assert_uint_eq(q.count, many + 1);
    ck_assert_uint_le(q.rows, GATE_AUDIT_MAX_ROWS);
    ck_assert_uint_eq(known.count, 2);
    ck_assert_uint_eq(other.rows, 1);
    ck_assert_uint_eq(other.count, many - (q.rows - 1));
    gate_buf_finish(&q.lines);
    gate_buf_finish(&known.lines);
    gate_buf_finish(&other.lines);

    /* After a flush there is room again. */
    count_numbered(b, NOW, many - 1);
    flush(&f);
    struct asking last = ALL;
    last.account = GATE_STR("account/12287");
    ask(&f, &last);
    ck_assert_uint_eq(last.count, 1);
    gate_buf_finish(&last.lines);
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

START_TEST(long_outage_keeps_all_sums_in_bounded_memory)
{
    struct fixture f;
    const int minutes = 5000, accounts = 10;
    mute_log();
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_FAIL_WRITES);
    for (int i = 0; i < minutes; i++) {
        for (int k = 0; k < accounts; k++)
            count_numbered(b, NOW + (uint64_t)i * MINUTE, k);
        if (i % 100 == 99)
            flush(&f);
    }
    ck_assert(gate_store_is_failing(f.store));
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    flush(&f);
    struct asking q = ALL;
    ask(&f, &q);
    ck_assert_uint_eq(q.count, (uint64_t)minutes * (uint64_t)accounts);
    ck_assert_uint_le(q.rows, 16384);
    ck_assert_uint_eq(total_of(&f, GATE_KEY_DAY), q.count);
    gate_buf_finish(&q.lines);
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

/* ---- threads */

enum { WORKERS = 4, EVENTS = 20000 };

struct working {
    struct gate_audit *audit;
    pthread_t thread;
};

static void *work(void *arg)
{
    struct working *w = arg;
    struct gate_audit_batch *b = gate_audit_batch_create(w->audit);
    for (int i = 0; i < EVENTS; i++) {
        if (i == EVENTS / 2) { /* a worker that ends while others go on */
            gate_audit_batch_destroy(b);
            b = gate_audit_batch_create(w->audit);
        }
        count_numbered(b, NOW + (uint64_t)(i % 3) * MINUTE, i % 7);
    }
    gate_audit_batch_destroy(b);
    return NULL;
}

START_TEST(workers_count_while_storage_comes_and_goes)
{
    struct fixture f;
    struct working workers[WORKERS];
    mute_log();
    start(&f, 1);
    for (int i = 0; i < WORKERS; i++) {
        workers[i].audit = f.audit;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 100; i++) {
        static const enum memory_storage_mode modes[] = {
            MEMORY_STORAGE_FAIL_WRITES, MEMORY_STORAGE_WELL, MEMORY_STORAGE_FAIL_COMMITS};
        memory_storage_set_mode(&f.memory, modes[i % 3]);
        flush(&f);
    }
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    stop_gateway(&f);
    ck_assert_uint_eq(total_of(&f, GATE_KEY_AUDIT), WORKERS * EVENTS);
    ck_assert_uint_eq(total_of(&f, GATE_KEY_DAY), WORKERS * EVENTS);
    memory_storage_finish(&f.memory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("audit_loss");
    TCase *tests = tcase_create("audit_loss");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, restart_goes_on_with_the_sums);
    tcase_add_test(tests, failing_storage_loses_and_doubles_nothing);
    tcase_add_test(tests, too_many_rows_of_a_worker_fold);
    tcase_add_test(tests, long_outage_keeps_all_sums_in_bounded_memory);
    tcase_add_test(tests, workers_count_while_storage_comes_and_goes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
