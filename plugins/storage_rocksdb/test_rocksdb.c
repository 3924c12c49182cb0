#include "harness.h"

#include <stdlib.h>

static struct harness_dir dir;
static void *store;
static struct gate_error err;

static void setup(void)
{
    harness_now = HARNESS_START_MS;
    harness_dir_create(&dir);
    store = harness_open(dir.db);
}

static void teardown(void)
{
    harness_ops()->close(store);
    harness_dir_remove(&dir);
    gate_buf_finish(&harness_log);
}

static void reopen(void)
{
    harness_ops()->close(store);
    store = harness_open(dir.db);
}

static enum gate_status put_if(const char *key, const char *value, uint64_t expected,
                               uint64_t fence, uint64_t ttl_ms, uint64_t *version)
{
    return harness_ops()->put_if(store, gate_str_of(key), gate_str_of(value), expected, fence,
                                 ttl_ms, 0, version, &err);
}

static enum gate_status delete_if(const char *key, uint64_t expected, uint64_t fence)
{
    return harness_ops()->delete_if(store, gate_str_of(key), expected, fence, &err);
}

/* ---------------------------------------------------------------- records */

START_TEST(test_versions)
{
    uint64_t first, second, third;

    harness_expect(store, "a", NULL);
    ck_assert_int_eq(put_if("a", "1", 7, 0, 0, NULL), GATE_ECONFLICT);
    ck_assert_int_eq(put_if("a", "1", 0, 0, 0, &first), GATE_OK);
    ck_assert_uint_gt(first, 0);
    ck_assert_uint_eq(harness_version(store, "a"), first);
    ck_assert_int_eq(put_if("a", "2", 0, 0, 0, NULL), GATE_ECONFLICT);
    harness_expect(store, "a", "1");
    ck_assert_int_eq(put_if("a", "2", first, 0, 0, &second), GATE_OK);
    ck_assert_uint_gt(second, first);
    ck_assert_int_eq(put_if("a", "3", first, 0, 0, NULL), GATE_ECONFLICT);
    harness_expect(store, "a", "2");

    /* A version that somebody may have seen does not come back after a delete. */
    ck_assert_int_eq(delete_if("a", first, 0), GATE_ECONFLICT);
    ck_assert_int_eq(delete_if("a", second, 0), GATE_OK);
    harness_expect(store, "a", NULL);
    ck_assert_int_eq(delete_if("a", second, 0), GATE_ECONFLICT);
    ck_assert_int_eq(delete_if("a", UINT64_MAX, 0), GATE_OK);
    ck_assert_int_eq(delete_if("a", 0, 0), GATE_OK);
    reopen();
    ck_assert_int_eq(put_if("a", "4", 0, 0, 0, &third), GATE_OK);
    ck_assert_uint_gt(third, second);
    harness_expect(store, "a", "4");
}
END_TEST

START_TEST(test_bytes)
{
    const struct gate_str key = GATE_STR("a\0b"), other = GATE_STR("a\0c"),
                          value = GATE_STR("\0\xff\n\0");
    struct gate_record r;

    ck_assert_int_eq(harness_ops()->put_if(store, key, value, 0, 0, 0, GATE_PUT_SYNC, NULL, &err),
                     GATE_OK);
    ck_assert_int_eq(
        harness_ops()->put_if(store, other, (struct gate_str){NULL, 0}, 0, 0, 0, 0, NULL, &err),
        GATE_OK);
    reopen();
    ck_assert_int_eq(harness_ops()->get(store, key, &r, &err), GATE_OK);
    ck_assert(gate_str_eq(r.value, value));
    ck_assert(gate_str_eq(r.key, key));
    harness_ops()->record_release(store, &r);
    ck_assert_ptr_null(r.value.ptr);
    harness_ops()->record_release(store, &r); /* an empty one is nothing to release */
    ck_assert_int_eq(harness_ops()->get(store, other, &r, &err), GATE_OK);
    ck_assert_uint_eq(r.value.len, 0);
    ck_assert_uint_gt(r.version, 0);
    harness_ops()->record_release(store, &r);
}
END_TEST

START_TEST(test_bounds)
{
    static char bytes[ROCKS_MAX_VALUE + 1];
    const struct gate_str key = {bytes, ROCKS_MAX_KEY}, value = {bytes, ROCKS_MAX_VALUE};
    const struct gate_str long_key = {bytes, ROCKS_MAX_KEY + 1},
                          long_value = {bytes, ROCKS_MAX_VALUE + 1};
    const struct gate_storage_ops *ops = harness_ops();
    struct gate_record r;
    uint64_t fence;

    memset(bytes, 'x', sizeof bytes);
    ck_assert_int_eq(ops->put_if(store, key, value, 0, 0, 0, 0, NULL, &err), GATE_OK);
    ck_assert_int_eq(ops->get(store, key, &r, &err), GATE_OK);
    ck_assert_uint_eq(r.value.len, ROCKS_MAX_VALUE);
    ops->record_release(store, &r);
    ck_assert_int_eq(ops->put_if(store, key, long_value, UINT64_MAX, 0, 0, 0, NULL, &err),
                     GATE_ELIMIT);
    ck_assert_int_eq(ops->put_if(store, long_key, key, UINT64_MAX, 0, 0, 0, NULL, &err),
                     GATE_ELIMIT);
    ck_assert_int_eq(ops->get(store, long_key, &r, &err), GATE_ELIMIT);
    ck_assert_int_eq(put_if("", "x", UINT64_MAX, 0, 0, NULL), GATE_EINVAL);
    ck_assert_int_eq(ops->add(store, long_key, 1, 0, NULL, &err), GATE_ELIMIT);
    ck_assert_int_eq(ops->lease_acquire(store, GATE_STR("l"),
                                        (struct gate_str){bytes, ROCKS_MAX_OWNER + 1}, 1, &fence,
                                        &err),
                     GATE_ELIMIT);
}
END_TEST

START_TEST(test_ttl)
{
    uint64_t version;

    ck_assert_int_eq(put_if("short", "x", 0, 0, 100, &version), GATE_OK);
    ck_assert_int_eq(put_if("long", "y", 0, 0, UINT64_MAX, NULL), GATE_OK);
    harness_now += 99;
    harness_expect(store, "short", "x");
    reopen();
    harness_expect(store, "short", "x");
    harness_now += 1;
    harness_expect(store, "short", NULL);
    harness_expect(store, "long", "y");
    ck_assert_int_eq(put_if("short", "z", version, 0, 0, NULL), GATE_ECONFLICT);
    ck_assert_int_eq(put_if("short", "z", 0, 0, 0, NULL), GATE_OK);
    harness_now += 1000;
    harness_expect(store, "short", "z");
}
END_TEST

/* How many records the database itself holds under ROCKS_DATA. */
static size_t stored_records(void)
{
    struct rocks_store *s = store;
    rocksdb_iterator_t *it = rocksdb_create_iterator(s->db, s->read);
    size_t n = 0, len;

    for (rocksdb_iter_seek(it, "d", 1);
         rocksdb_iter_valid(it) && rocksdb_iter_key(it, &len)[0] == ROCKS_DATA;
         rocksdb_iter_next(it))
        n++;
    rocksdb_iter_destroy(it);
    return n;
}

START_TEST(test_sweep)
{
    char key[32];

    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "old-%04d", i);
        if (i % 2 == 0)
            harness_add(store, key, 1, 1000);
        else
            ck_assert_int_eq(put_if(key, "x", 0, 0, 1000, NULL), GATE_OK);
    }
    harness_put(store, "stays", "x");
    harness_add(store, "old-0000", 5, 5000); /* lives longer by this */
    ck_assert_uint_eq(stored_records(), 1001);
    harness_now += 1000;
    for (int i = 0; i < 600; i++)
        harness_put(store, "stays", "y");
    ck_assert_uint_eq(stored_records(), 2);
    harness_expect(store, "stays", "y");
    harness_expect(store, "old-0000", "6");

    /* Steady use: what has expired never outgrows what lives by much. */
    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "row-%06d", i);
        ck_assert_int_eq(put_if(key, "x", 0, 0, 1000, NULL), GATE_OK);
        harness_now += 10; /* 100 live at any time */
    }
    ck_assert_uint_lt(stored_records(), 300);
}
END_TEST

/* ---------------------------------------------------------------- counters */

START_TEST(test_counter)
{
    int64_t sum;
    uint64_t before, after;

    harness_add(store, "n", 5, 0);
    before = harness_version(store, "n");
    ck_assert_uint_gt(before, 0);
    harness_add(store, "n", -7, 0);
    after = harness_version(store, "n");
    ck_assert_uint_gt(after, before);
    harness_expect(store, "n", "-2");
    ck_assert_int_eq(harness_ops()->add(store, GATE_STR("n"), 10, 0, &sum, &err), GATE_OK);
    ck_assert_int_eq(sum, 8);
    reopen();
    harness_expect(store, "n", "8");
    ck_assert_int_eq(harness_ops()->add(store, GATE_STR("m"), INT64_MIN, 0, &sum, &err), GATE_OK);
    ck_assert_int_eq(sum, INT64_MIN);
    harness_expect(store, "m", "-9223372036854775808");

    /* A counter is set by writing its text, and ends by deleting it. */
    ck_assert_int_eq(put_if("n", "41", harness_version(store, "n"), 0, 0, NULL), GATE_OK);
    harness_add(store, "n", 1, 0);
    harness_expect(store, "n", "42");
    ck_assert_int_eq(delete_if("n", harness_version(store, "n"), 0), GATE_OK);
    harness_add(store, "n", 1, 0);
    harness_expect(store, "n", "1");
}
END_TEST

START_TEST(test_counter_over_record)
{
    static const char *const texts[] = {"text",
                                        "",
                                        "007",
                                        "-",
                                        "-0",
                                        "+1",
                                        "1 ",
                                        "0x1",
                                        "9223372036854775808",
                                        "-9223372036854775809"};
    int64_t sum = 77;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        harness_put(store, "r", texts[i]);
        ck_assert_int_eq(harness_ops()->add(store, GATE_STR("r"), 1, 0, &sum, &err), GATE_EINVAL);
        ck_assert_int_eq(sum, 77);
        harness_add(store, "r", 1, 0);
        harness_expect(store, "r", texts[i]); /* nothing that was stored is lost */
    }
    harness_put(store, "r", "9223372036854775806");
    harness_add(store, "r", 1, 0);
    harness_expect(store, "r", "9223372036854775807");
}
END_TEST

START_TEST(test_counter_ttl)
{
    harness_add(store, "n", 1, 100);
    harness_now += 50;
    harness_add(store, "n", 1, 100);
    harness_now += 99;
    harness_expect(store, "n", "2");
    harness_now += 1;
    harness_expect(store, "n", NULL);
    harness_add(store, "n", 7, 100); /* begins anew, though the old additions are still stored */
    harness_expect(store, "n", "7");
    reopen();
    harness_expect(store, "n", "7");
    harness_add(store, "n", 1, 10); /* does not shorten its life */
    harness_now += 99;
    harness_expect(store, "n", "8");
    harness_add(store, "n", 1, 0);
    harness_now += 1000000;
    harness_expect(store, "n", "9");
}
END_TEST

/* ---------------------------------------------------------------- batches and scans */

static enum gate_status acquire(const char *owner, uint64_t *fence)
{
    return harness_ops()->lease_acquire(store, GATE_STR("k"), gate_str_of(owner), 100, fence, &err);
}

static bool collect(void *ctx, const struct gate_record *r)
{
    struct gate_buf *out = ctx;

    gate_buf_printf(out, "%.*s=%.*s ", (int)r->key.len, r->key.ptr, (int)r->value.len,
                    r->value.ptr);
    ck_assert_uint_gt(r->version, 0);
    return r->key.ptr[r->key.len - 1] != '!';
}

static void expect_scan(const char *from, const char *to, size_t limit, const char *expected)
{
    struct gate_buf out;

    gate_buf_init(&out, HARNESS_MAX_BYTES);
    ck_assert_int_eq(
        harness_ops()->scan(store, gate_str_of(from), gate_str_of(to), limit, collect, &out, &err),
        GATE_OK);
    gate_buf_append_byte(&out, '\0');
    ck_assert_str_eq(out.ptr, expected);
    gate_buf_finish(&out);
}

static bool write_in_scan(void *ctx, const struct gate_record *r)
{
    (void)ctx;
    (void)r;
    ck_assert_int_eq(put_if("x", "x", UINT64_MAX, 0, 0, NULL), GATE_EINVAL);
    harness_expect(store, "b", "2");
    return true;
}

START_TEST(test_scan)
{
    uint64_t fence;

    expect_scan("", "", 10, "");
    harness_put(store, "b", "2");
    harness_put(store, "a", "1");
    harness_put(store, "ab", "12");
    harness_add(store, "c", 3, 0);
    ck_assert_int_eq(put_if("aa", "gone", 0, 0, 10, NULL), GATE_OK);
    ck_assert_int_eq(acquire("x", &fence), GATE_OK);
    harness_now += 10;
    expect_scan("", "", 10, "a=1 ab=12 b=2 c=3 ");
    expect_scan("a", "b", 10, "a=1 ab=12 ");
    expect_scan("aa", "ab", 10, "");
    expect_scan("ab", "ac", 10, "ab=12 ");
    expect_scan("b", "", 1, "b=2 ");
    expect_scan("", "", 0, "");
    expect_scan("b", "a", 10, "");
    harness_put(store, "a!", "stop");
    expect_scan("", "", 10, "a=1 a!=stop ");
    ck_assert_int_eq(
        harness_ops()->scan(store, GATE_STR(""), GATE_STR(""), 10, write_in_scan, NULL, &err),
        GATE_OK);
    harness_expect(store, "x", NULL);
}
END_TEST

START_TEST(test_batch)
{
    const struct gate_storage_ops *ops = harness_ops();
    uint64_t version, fence;
    int64_t sum;

    harness_put(store, "a", "1");
    harness_add(store, "n", 10, 0);
    ck_assert_int_eq(ops->batch_commit(store, 0, &err), GATE_EINVAL);
    ops->batch_abort(store);
    ck_assert_int_eq(ops->batch_begin(store, &err), GATE_OK);
    ck_assert_int_eq(ops->batch_begin(store, &err), GATE_EINVAL);
    ck_assert_int_eq(put_if("a", "2", harness_version(store, "a"), 0, 0, &version), GATE_OK);
    ck_assert_int_eq(put_if("a", "x", 1, 0, 0, NULL), GATE_ECONFLICT);
    ck_assert_int_eq(put_if("a", "3", version, 0, 0, NULL), GATE_OK);
    harness_add(store, "n", 1, 0);
    harness_add(store, "n", 1, 0);
    harness_add(store, "new", 4, 0);
    ck_assert_int_eq(ops->add(store, GATE_STR("n"), 1, 0, &sum, &err), GATE_OK);
    ck_assert_int_eq(sum, 13);
    ck_assert_int_eq(acquire("o", &fence), GATE_OK);
    ck_assert_int_eq(put_if("k", "held", UINT64_MAX, fence, 0, NULL), GATE_OK);
    expect_scan("", "", 10, "a=3 k=held n=13 new=4 ");
    ops->batch_abort(store);
    expect_scan("", "", 10, "a=1 n=10 ");
    ck_assert_int_eq(acquire("p", &fence), GATE_OK);

    ck_assert_int_eq(ops->batch_begin(store, &err), GATE_OK);
    harness_add(store, "n", 5, 0);
    ck_assert_int_eq(delete_if("a", UINT64_MAX, 0), GATE_OK);
    harness_add(store, "a", 5, 0);
    harness_expect(store, "a", "5");
    harness_put(store, "n", "100");
    harness_add(store, "n", 5, 0);
    expect_scan("", "", 10, "a=5 n=105 ");
    ck_assert_int_eq(ops->batch_commit(store, GATE_PUT_SYNC, &err), GATE_OK);
    expect_scan("", "", 10, "a=5 n=105 ");
    reopen();
    expect_scan("", "", 10, "a=5 n=105 ");

    ck_assert_int_eq(ops->batch_begin(store, &err), GATE_OK);
    harness_put(store, "z", "lost");
    reopen(); /* a batch that was not committed */
    expect_scan("", "", 10, "a=5 n=105 ");
}
END_TEST

int main(int argc, char **argv)
{
    Suite *s = suite_create("storage_rocksdb");
    TCase *t = tcase_create("operations");
    SRunner *runner;
    int failed;

    if (argc == 4 && strcmp(argv[0], "child") == 0) {
        if (strcmp(argv[1], "write") == 0)
            return harness_child_write(argv[2]);
        return harness_child_hold(argv[2], strcmp(argv[3], "raw") == 0);
    }
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_versions);
    tcase_add_test(t, test_bytes);
    tcase_add_test(t, test_bounds);
    tcase_add_test(t, test_ttl);
    tcase_add_test(t, test_sweep);
    tcase_add_test(t, test_counter);
    tcase_add_test(t, test_counter_over_record);
    tcase_add_test(t, test_counter_ttl);
    tcase_add_test(t, test_scan);
    tcase_add_test(t, test_batch);
    suite_add_tcase(s, t);
    harness_add_lease(s);
    harness_add_open(s);
    harness_add_damage(s);
    harness_add_failure(s);
    harness_add_crash(s);
    harness_add_model(s);
    harness_add_figures(s);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
