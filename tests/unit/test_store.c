#include "store_fixture.h"

/* ---- jobs */

enum { POSTERS = 4, POSTS = 2000 };

struct posting {
    struct gate_store *store;
    pthread_t thread;
    int next;     /* store thread: what is expected */
    bool ordered; /* store thread */
    pthread_t *ran_on;
};

struct posted {
    struct posting *by;
    int number;
};

static void check_order(struct gate_storage *s, void *arg)
{
    struct posted *p = arg;
    (void)s;
    p->by->ordered = p->by->ordered && p->by->next == p->number;
    p->by->next++;
    *p->by->ran_on = pthread_self();
    free(p);
}

static void *post_many(void *arg)
{
    struct posting *by = arg;
    for (int i = 0; i < POSTS; i++) {
        struct posted *p = gate_calloc(1, sizeof *p);
        *p = (struct posted){by, i};
        gate_store_post(by->store, check_order, p);
    }
    return NULL;
}

START_TEST(jobs_run_in_the_order_of_each_poster)
{
    struct fixture f;
    struct posting posters[POSTERS];
    pthread_t ran_on;
    start(&f, 1);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct posting){.store = f.store, .ordered = true, .ran_on = &ran_on};
        ck_assert_int_eq(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    settle(&f);
    for (int i = 0; i < POSTERS; i++) {
        ck_assert(posters[i].ordered);
        ck_assert_int_eq(posters[i].next, POSTS);
    }
    ck_assert(!pthread_equal(ran_on, pthread_self()));
    stop(&f);
}
END_TEST

START_TEST(close_runs_what_is_queued_and_flushes)
{
    struct fixture f;
    struct counter c;
    struct keeper k;
    start(&f, 0);
    add_counter(&f, &c, 3);
    hold_thread(&f, &k);
    for (int i = 0; i < 100; i++)
        gate_store_post(f.store, add_one, "jobs");
    sem_post(&k.leave);
    gate_store_close(f.store);
    ck_assert_int_eq(memory_storage_counter(&f.memory, "jobs"), 100);
    ck_assert_int_eq(memory_storage_counter(&f.memory, "a"), 3);
    ck_assert_int_eq(memory_storage_counter(&f.memory, "b"), 3);
    ck_assert_int_eq(atomic_load(&c.good), 1);
    memory_storage_finish(&f.memory);
    gate_store_close(NULL);
}
END_TEST

/* ---- what jobs call */

struct seen {
    char keys[256];
    int limit;
};

static bool note_key(void *ctx, const struct gate_record *record)
{
    struct seen *seen = ctx;
    size_t at = strlen(seen->keys);
    snprintf(seen->keys + at, sizeof seen->keys - at, "%.*s ", (int)record->key.len,
             record->key.ptr);
    return --seen->limit > 0;
}

static void use_records(struct gate_storage *s, void *arg)
{
    struct gate_error err;
    struct gate_buf value;
    uint64_t version = 0, second = 0;
    (void)arg;
    gate_buf_init(&value, 16);
    ck_assert_int_eq(gate_storage_get(s, GATE_STR("k"), &value, &version, &err), GATE_ENOTFOUND);
    ck_assert_int_eq(
        gate_storage_put_if(s, GATE_STR("k"), GATE_STR("one"), 0, 0, 0, 0, &version, &err),
        GATE_OK);
    ck_assert_int_eq(gate_storage_put_if(s, GATE_STR("k"), GATE_STR("two"), 0, 0, 0, 0, NULL, &err),
                     GATE_ECONFLICT);
    ck_assert_int_eq(gate_storage_get(s, GATE_STR("k"), &value, NULL, NULL), GATE_OK);
    ck_assert(gate_str_eq(gate_buf_str(&value), GATE_STR("one")));
    ck_assert_int_eq(gate_storage_put_if(s, GATE_STR("k"), GATE_STR("two and more bytes"), version,
                                         0, 0, 0, NULL, NULL),
                     GATE_OK);
    ck_assert_int_eq(gate_storage_get(s, GATE_STR("k"), &value, &second, &err), GATE_ELIMIT);
    ck_assert_uint_eq(value.len, 3);
    ck_assert_int_eq(gate_storage_delete(s, GATE_STR("k"), &err), GATE_OK);
    ck_assert_int_eq(gate_storage_delete(s, GATE_STR("k"), &err), GATE_OK);
    ck_assert(!gate_store_is_failing(s->store));
    gate_buf_finish(&value);
}

static void use_scans(struct gate_storage *s, void *arg)
{
    static const char *const keys[] = {"a", "a/", "a/1", "a/2", "a/\xff", "a0", "b/1"};
    struct gate_error err;
    (void)arg;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ck_assert_int_eq(
            gate_storage_put_if(s, gate_str_of(keys[i]), GATE_STR("x"), 0, 0, 0, 0, NULL, &err),
            GATE_OK);
    struct seen seen = {.limit = 100};
    ck_assert_int_eq(gate_storage_scan(s, GATE_STR("a/"), note_key, &seen, &err), GATE_OK);
    ck_assert_str_eq(seen.keys, "a/ a/1 a/2 a/\xff ");
    seen = (struct seen){.limit = 2};
    ck_assert_int_eq(gate_storage_scan(s, GATE_STR("a/"), note_key, &seen, &err), GATE_OK);
    ck_assert_str_eq(seen.keys, "a/ a/1 ");
    /* The bound behind it needs a carry. */
    seen = (struct seen){.limit = 100};
    ck_assert_int_eq(gate_storage_scan(s, GATE_STR("a/\xff"), note_key, &seen, &err), GATE_OK);
    ck_assert_str_eq(seen.keys, "a/\xff ");
    ck_assert_int_eq(gate_storage_scan(s, GATE_STR(""), note_key, &seen, &err), GATE_EINVAL);
    ck_assert_int_eq(gate_storage_scan(s, GATE_STR("\xff"), note_key, &seen, &err), GATE_EINVAL);
}

START_TEST(records_and_scans)
{
    struct fixture f;
    start(&f, 0);
    gate_store_call(f.store, use_records, NULL);
    gate_store_call(f.store, use_scans, NULL);
    ck_assert_str_eq(gate_store_directory(f.store), "/var/lib/gate/db");
    stop(&f);
}
END_TEST

/* ---- flushing */

START_TEST(one_flush_serves_all_that_wait)
{
    struct fixture f;
    struct counter c;
    struct keeper k;
    atomic_int answers[2] = {0, 0};
    start(&f, 0);
    add_counter(&f, &c, 5);
    hold_thread(&f, &k);
    for (int i = 0; i < 100; i++)
        gate_store_flush(f.store, count_answer, answers);
    gate_store_flush(f.store, NULL, NULL);
    sem_post(&k.leave);
    settle(&f);
    ck_assert_int_eq(atomic_load(&answers[true]), 100);
    ck_assert_int_eq(atomic_load(&answers[false]), 0);
    ck_assert_int_eq(atomic_load(&c.flushes), 1);
    ck_assert_int_eq(memory_storage_counter(&f.memory, "a"), 5);
    ck_assert_uint_eq(memory_storage_numbers(&f.memory).commits, 1);

    /* Nothing to write is written, without a commit. */
    gate_store_flush(f.store, count_answer, answers);
    settle(&f);
    ck_assert_int_eq(atomic_load(&answers[true]), 101);
    ck_assert_int_eq(atomic_load(&c.flushes), 2);
    ck_assert_uint_eq(memory_storage_numbers(&f.memory).commits, 1);
    stop(&f);
}
END_TEST

static void read_a(struct gate_storage *s, void *arg)
{
    struct gate_buf value;
    gate_buf_init(&value, 64);
    ck_assert_int_eq(gate_storage_get(s, GATE_STR("a"), &value, NULL, NULL), GATE_OK);
    snprintf(arg, 16, "%.*s", (int)value.len, value.ptr);
    gate_buf_finish(&value);
}

START_TEST(job_behind_a_flush_finds_the_counts)
{
    struct fixture f;
    struct counter c;
    char text[16] = "";
    start(&f, 0);
    add_counter(&f, &c, 7);
    gate_store_flush(f.store, NULL, NULL);
    gate_store_call(f.store, read_a, text);
    ck_assert_str_eq(text, "7");
    stop(&f);
}
END_TEST

START_TEST(flushes_by_itself)
{
    struct fixture f;
    struct counter c;
    start(&f, 2);
    add_counter(&f, &c, 1);
    wait_for(&c.done);
    atomic_store(&c.pending, 2);
    wait_for(&c.done);
    settle(&f);
    ck_assert_int_eq(memory_storage_counter(&f.memory, "a"), 3);
    stop(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *tests = tcase_create("store");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, jobs_run_in_the_order_of_each_poster);
    tcase_add_test(tests, close_runs_what_is_queued_and_flushes);
    tcase_add_test(tests, records_and_scans);
    tcase_add_test(tests, one_flush_serves_all_that_wait);
    tcase_add_test(tests, job_behind_a_flush_finds_the_counts);
    tcase_add_test(tests, flushes_by_itself);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
