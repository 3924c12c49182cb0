/* The store on a storage whose writes fail for a while. */
#include "store_fixture.h"

static void fail_and_recover(enum memory_storage_mode mode)
{
    struct fixture f;
    struct counter c;
    struct gate_error problem;
    int log = catch_log();
    start(&f, 1);
    memory_storage_set_mode(&f.memory, mode);
    add_counter(&f, &c, 1);
    for (int i = 0; i < 5; i++)
        wait_for(&c.done);
    ck_assert(gate_store_is_failing(f.store));
    gate_store_problem(f.store, &problem);
    ck_assert_int_eq(problem.status, GATE_EIO);
    ck_assert_ptr_nonnull(strstr(problem.message, "no space left"));
    ck_assert_int_ge(atomic_load(&c.bad), 5);
    ck_assert_int_eq(atomic_load(&c.good), 0);

    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    while (atomic_load(&c.good) == 0)
        wait_for(&c.done);
    ck_assert(!gate_store_is_failing(f.store));
    gate_store_problem(f.store, &problem);
    ck_assert_str_eq(problem.message, "");
    ck_assert_int_eq(memory_storage_counter(&f.memory, "a"), 1);
    ck_assert_int_eq(memory_storage_counter(&f.memory, "b"), 1);
    stop(&f);
    ck_assert_int_eq(count_lines(log, "storage does not take writes: memory storage"), 1);
    ck_assert_int_eq(count_lines(log, "storage takes writes again"), 1);
    close(log);
}

START_TEST(failing_writes_are_tried_again)
{
    fail_and_recover(MEMORY_STORAGE_FAIL_WRITES);
}
END_TEST

START_TEST(failing_commits_are_tried_again)
{
    fail_and_recover(MEMORY_STORAGE_FAIL_COMMITS);
}
END_TEST

static void fail_half_way(void (*inject)(struct memory_storage *m, uint64_t writes))
{
    struct fixture f;
    struct counter c;
    atomic_int answers[2] = {0, 0};
    int log = catch_log();
    start(&f, 0);
    add_counter(&f, &c, 4);
    inject(&f.memory, 1);
    gate_store_flush(f.store, count_answer, answers);
    settle(&f);
    ck_assert_int_eq(atomic_load(&answers[false]), 1);
    ck_assert_int_eq(memory_storage_counter(&f.memory, "a"), 0);
    ck_assert_int_eq(memory_storage_counter(&f.memory, "b"), 0);

    /* Nobody asks again: it is tried again by itself. */
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    while (atomic_load(&c.good) == 0)
        wait_for(&c.done);
    ck_assert_int_eq(memory_storage_counter(&f.memory, "a"), 4);
    ck_assert_int_eq(memory_storage_counter(&f.memory, "b"), 4);
    stop(&f);
    close(log);
}

START_TEST(flush_that_fails_half_way_leaves_nothing)
{
    fail_half_way(memory_storage_fail_after);
}
END_TEST

/* Its commit would work, with one of the two writes missing. */
START_TEST(flush_with_one_failed_write_leaves_nothing)
{
    fail_half_way(memory_storage_fail_one);
}
END_TEST

static void put_one(struct gate_storage *s, void *arg)
{
    struct gate_error err;
    *(enum gate_status *)arg =
        gate_storage_put_if(s, GATE_STR("k"), GATE_STR("v"), UINT64_MAX, 0, 0, 0, NULL, &err);
    if (*(enum gate_status *)arg != GATE_OK)
        ck_assert_ptr_nonnull(strstr(err.message, "no space left"));
}

START_TEST(single_writes_keep_the_health)
{
    struct fixture f;
    enum gate_status status;
    int log = catch_log();
    start(&f, 0);
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_FAIL_COMMITS);
    memory_storage_set_status(&f.memory, GATE_EINTERNAL);
    gate_store_call(f.store, put_one, &status);
    ck_assert_int_eq(status, GATE_EINTERNAL);
    ck_assert(gate_store_is_failing(f.store));
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    gate_store_call(f.store, put_one, &status);
    ck_assert_int_eq(status, GATE_OK);
    ck_assert(!gate_store_is_failing(f.store));
    stop(&f);
    ck_assert_int_eq(count_lines(log, "storage does not take writes"), 1);
    ck_assert_int_eq(count_lines(log, "takes writes again"), 1);
    close(log);
}
END_TEST

static bool flush_refused(struct gate_storage *s, void *arg)
{
    ck_assert_int_eq(gate_storage_add(s, GATE_STR("text"), 1, 0, NULL), GATE_EINVAL);
    ck_assert_int_eq(
        gate_storage_put_if(s, GATE_STR("text"), GATE_STR("x"), 99, 0, 0, 0, NULL, NULL),
        GATE_ECONFLICT);
    gate_storage_add(s, gate_str_of(arg), 1, 0, NULL);
    return true;
}

START_TEST(refused_write_does_not_hold_up_a_flush)
{
    struct fixture f;
    atomic_int answers[2] = {0, 0};
    start(&f, 0);
    memory_storage_write(&f.memory, "text", GATE_STR("no number"));
    gate_store_add_flusher(f.store, &(struct gate_flusher){.flush = flush_refused, .arg = "good"});
    gate_store_flush(f.store, count_answer, answers);
    settle(&f);
    ck_assert_int_eq(atomic_load(&answers[true]), 1);
    ck_assert_int_eq(memory_storage_counter(&f.memory, "good"), 1);
    ck_assert(!gate_store_is_failing(f.store));
    stop(&f);
}
END_TEST

struct watching {
    struct gate_store *store;
    atomic_bool stop;
    int seen;
};

static void *watch(void *arg)
{
    struct watching *w = arg;
    while (!atomic_load(&w->stop)) {
        struct gate_error problem;
        gate_store_problem(w->store, &problem);
        ck_assert(problem.message[0] == '\0' || strstr(problem.message, "no space left") != NULL);
        w->seen += gate_store_is_failing(w->store);
    }
    return NULL;
}

START_TEST(health_is_read_from_any_thread)
{
    struct fixture f;
    struct watching w = {0};
    pthread_t thread;
    enum gate_status status;
    int log = catch_log();
    start(&f, 0);
    w.store = f.store;
    ck_assert_int_eq(pthread_create(&thread, NULL, watch, &w), 0);
    for (int i = 0; i < 200; i++) {
        memory_storage_set_mode(&f.memory,
                                i % 2 ? MEMORY_STORAGE_WELL : MEMORY_STORAGE_FAIL_WRITES);
        gate_store_call(f.store, put_one, &status);
        ck_assert_int_eq(status, i % 2 ? GATE_OK : GATE_EIO);
    }
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    stop(&f);
    close(log);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_failing");
    TCase *tests = tcase_create("store_failing");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, failing_writes_are_tried_again);
    tcase_add_test(tests, failing_commits_are_tried_again);
    tcase_add_test(tests, flush_that_fails_half_way_leaves_nothing);
    tcase_add_test(tests, flush_with_one_failed_write_leaves_nothing);
    tcase_add_test(tests, single_writes_keep_the_health);
    tcase_add_test(tests, refused_write_does_not_hold_up_a_flush);
    tcase_add_test(tests, health_is_read_from_any_thread);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
