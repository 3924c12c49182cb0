/* Opening: what is created, what is refused and stays as it was, migration, copies. */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_TIMEOUT_S = 60 };

static struct harness_dir dir;
static struct gate_error err;

static void setup(void)
{
    harness_now = HARNESS_START_MS;
    harness_dir_create(&dir);
}

static void teardown(void)
{
    harness_dir_remove(&dir);
    gate_buf_finish(&harness_log);
}

static void close_store(void *store)
{
    harness_ops()->close(store);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

/* ---------------------------------------------------------------- the directory */

START_TEST(test_create)
{
    struct stat st;
    void *store = harness_open(dir.db);

    harness_put(store, "a", "1");
    close_store(store);
    ck_assert_int_eq(stat(dir.db, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0700);
    store = harness_open(dir.db);
    harness_expect(store, "a", "1");
    close_store(store);
}
END_TEST

START_TEST(test_create_again)
{
    static const char *const leftovers[] = {
        "LOCK", "LOG", "LOG.old.123", "IDENTITY", "MANIFEST-000001", "000001.dbtmp", "probe.tmp"};
    char path[PATH_MAX + 64];

    ck_assert_int_eq(mkdir(dir.db, 0700), 0);
    for (size_t i = 0; i < sizeof leftovers / sizeof leftovers[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir.db, leftovers[i]);
        write_file(path, "half");
    }
    close_store(harness_open(dir.db));
    close_store(harness_open(dir.db));
}
END_TEST

START_TEST(test_no_database)
{
    char path[PATH_MAX + 64];

    snprintf(path, sizeof path, "%s/none/db", dir.path);
    harness_refuses(path, GATE_EIO, "cannot be made");
    write_file(dir.db, "a file");
    harness_refuses(dir.db, GATE_EINVAL, "cannot be opened");
    ck_assert_int_eq(unlink(dir.db), 0);
    ck_assert_int_eq(mkdir(dir.db, 0700), 0);
    snprintf(path, sizeof path, "%s/letter.txt", dir.db);
    write_file(path, "dear");
    harness_refuses(dir.db, GATE_EINVAL, "letter.txt");
    harness_refuses("", GATE_EINVAL, "empty");
}
END_TEST

START_TEST(test_options)
{
    const char *const wrong[][3] = {{"cache_mb", "0", NULL},
                                    {"cache_mb", "1.5", NULL},
                                    {"write_buffer_mb", "2000", NULL},
                                    {"recovery", "never", NULL}};
    const char *const right[] = {"cache_mb", "1", "write_buffer_mb", "1", NULL};
    void *store = NULL;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_int_eq(harness_try_open(dir.db, wrong[i], &store, &err), GATE_EINVAL);
        ck_assert_msg(strstr(err.message, wrong[i][0]) != NULL, "%s", err.message);
    }
    ck_assert_int_eq(harness_try_open(dir.db, right, &store, &err), GATE_OK);
    close_store(store);
}
END_TEST

/* ---------------------------------------------------------------- others at work */

int harness_child_hold(const char *path, bool raw)
{
    rocksdb_options_t *options = rocksdb_options_create();
    char *text = NULL;
    void *db = NULL;

    alarm(CHILD_TIMEOUT_S);
    rocksdb_options_set_merge_operator(options, rocks_merge_operator());
    if (raw)
        db = rocksdb_open(options, path, &text);
    else
        must(harness_try_open(path, NULL, &db, NULL) == GATE_OK);
    if (db == NULL || write(STDOUT_FILENO, "x", 1) != 1)
        return 1;
    pause();
    return 1;
}

START_TEST(test_locked)
{
    static const char *const holders[] = {"raw", "llm-gate"};
    void *store = harness_open(dir.db);

    harness_put(store, "a", "1");
    harness_refuses(dir.db, GATE_ECONFLICT, "another llm-gate");
    close_store(store);
    for (size_t i = 0; i < 2; i++) {
        int from_child;
        char c;
        const pid_t pid = harness_child("hold", dir.db, holders[i], &from_child);
        struct gate_error e = {0};

        ck_assert_int_eq(read(from_child, &c, 1), 1);
        ck_assert_int_eq(harness_try_open(dir.db, NULL, &store, &e), GATE_ECONFLICT);
        ck_assert_msg(strstr(e.message, i == 0 ? "another process" : "another llm-gate") != NULL,
                      "%s", e.message);
        ck_assert_msg(strstr(e.message, dir.db) != NULL, "%s", e.message);
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        close(from_child);
    }
    store = harness_open(dir.db);
    harness_expect(store, "a", "1");
    close_store(store);
}
END_TEST

/* ---------------------------------------------------------------- schema */

/* Writes past the plugin. */
static void raw_put(const char *path, const char *key, const char *value, size_t len)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_writeoptions_t *write = rocksdb_writeoptions_create();
    char *text = NULL;
    rocksdb_t *db;

    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_merge_operator(options, rocks_merge_operator());
    db = rocksdb_open(options, path, &text);
    ck_assert_msg(text == NULL, "%s", text);
    rocksdb_put(db, write, key, strlen(key), value, len, &text);
    ck_assert_msg(text == NULL, "%s", text);
    rocksdb_close(db);
    rocksdb_writeoptions_destroy(write);
    rocksdb_options_destroy(options);
}

START_TEST(test_foreign)
{
    raw_put(dir.db, "theirs", "x", 1);
    harness_refuses(dir.db, GATE_EINVAL, "not one of llm-gate");
}
END_TEST

START_TEST(test_newer)
{
    close_store(harness_open(dir.db));
    raw_put(dir.db, "mschema", "llm-gate\7\0\0\0\0\0\0\0", 16);
    harness_refuses(dir.db, GATE_EINVAL, "schema 7");
    raw_put(dir.db, "mschema", "llm-gate\1\0\0\0\0\0\0\0", 16);
    close_store(harness_open(dir.db));
}
END_TEST

START_TEST(test_unknown_format)
{
    void *store = harness_open(dir.db);
    struct gate_record r;
    int64_t sum;

    close_store(store);
    raw_put(dir.db, "dnew", "\x09 a format that comes later", 27);
    store = harness_open(dir.db);
    harness_add(store, "new", 1, 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(harness_ops()->get(store, GATE_STR("new"), &r, &err), GATE_EIO);
        ck_assert_msg(strstr(err.message, "damaged") != NULL, "%s", err.message);
        ck_assert_int_eq(harness_ops()->add(store, GATE_STR("new"), 1, 0, &sum, &err), GATE_EIO);
        close_store(store);
        store = harness_open(dir.db);
    }
    close_store(store);
}
END_TEST

static enum gate_status rename_a(struct rocks_store *s, rocksdb_writebatch_t *batch,
                                 struct gate_error *e)
{
    struct rocks_key a, b;
    struct rocks_value value;
    enum gate_status status = rocks_key_make(&a, ROCKS_DATA, GATE_STR("a"), e);

    if (status == GATE_OK)
        status = rocks_key_make(&b, ROCKS_DATA, GATE_STR("b"), e);
    if (status == GATE_OK)
        status = rocks_value_read(s, &a, &value, e);
    if (status != GATE_OK)
        return status;
    rocksdb_writebatch_put(batch, b.bytes, b.len, value.ptr, value.len);
    rocksdb_writebatch_delete(batch, a.bytes, a.len);
    rocks_value_finish(&value);
    return GATE_OK;
}

static enum gate_status refuse(struct rocks_store *s, rocksdb_writebatch_t *batch,
                               struct gate_error *e)
{
    (void)s;
    rocksdb_writebatch_put(batch, "dc", 2, "x", 1);
    return gate_fail(e, GATE_EIO, "this step fails");
}

START_TEST(test_migration)
{
    struct rocks_migration steps[] = {
        rocks_migrations[0], {"a is b", rename_a}, {"nothing", NULL}, {"fails", refuse}};
    void *store = harness_open(dir.db);
    size_t schema;

    harness_put(store, "a", "1");
    ck_assert_int_eq(rocks_schema_migrate(store, steps, 4, &err), GATE_EIO);
    ck_assert_str_eq(err.message, "this step fails");
    ck_assert_int_eq(rocks_schema_check(store, 4, &schema, &err), GATE_OK);
    ck_assert_uint_eq(schema, 3);
    harness_expect(store, "a", NULL);
    harness_expect(store, "b", "1");
    harness_expect(store, "c", NULL);
    ck_assert_ptr_nonnull(strstr(harness_log.ptr, "schema 2 now: a is b"));
    steps[3].run = NULL;
    ck_assert_int_eq(rocks_schema_migrate(store, steps, 4, &err), GATE_OK);
    ck_assert_int_eq(rocks_schema_migrate(store, steps, 4, &err), GATE_OK);
    close_store(store);
    harness_refuses(dir.db, GATE_EINVAL, "schema 4");
}
END_TEST

/* ---------------------------------------------------------------- copies */

static void *open_copy(void *path)
{
    return harness_open(path);
}

START_TEST(test_checkpoint)
{
    const struct gate_storage_ops *ops = harness_ops();
    char copy[PATH_MAX + 8];
    void *store = harness_open(dir.db), *second;
    uint64_t fence, version;
    pthread_t thread;
    struct stat st;
    int failed;

    harness_put_records(store);
    harness_add(store, "n", 41, 0);
    ck_assert_int_eq(ops->lease_acquire(store, GATE_STR("l"), GATE_STR("o"), 1000, &fence, &err),
                     GATE_OK);
    snprintf(copy, sizeof copy, "%s/copy", dir.path);
    ck_assert_int_eq(mkdir(copy, 0755), 0);
    ck_assert_int_eq(ops->checkpoint(store, gate_str_of(copy), &err), GATE_OK);
    ck_assert_int_eq(stat(copy, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0700);
    ck_assert_int_eq(ops->checkpoint(store, gate_str_of(copy), &err), GATE_EINVAL);
    ck_assert_msg(strstr(err.message, "empty") != NULL, "%s", err.message);
    version = harness_put(store, "later", "x");

    /* Both are used at the same time; the copy was opened on another thread. */
    ck_assert_int_eq(pthread_create(&thread, NULL, open_copy, copy), 0);
    harness_put(store, "later", "y");
    ck_assert_int_eq(pthread_join(thread, &second), 0);
    ck_assert_int_eq(harness_count_records(second, &failed, &err), HARNESS_RECORDS);
    harness_expect(second, "n", "41");
    harness_expect(second, "later", NULL);
    ck_assert_int_eq(ops->lease_acquire(second, GATE_STR("l"), GATE_STR("p"), 1000, &fence, &err),
                     GATE_ECONFLICT);
    harness_add(second, "n", 1, 0);
    harness_put(second, "mine", "z");
    harness_expect(store, "n", "41");
    harness_expect(store, "mine", NULL);
    harness_expect(store, "later", "y");
    ck_assert_uint_gt(harness_version(store, "later"), version);
    close_store(second);
    close_store(store);
    store = harness_open(copy);
    harness_expect(store, "n", "42");
    close_store(store);
}
END_TEST

void harness_add_open(Suite *s)
{
    TCase *t = tcase_create("open");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_create);
    tcase_add_test(t, test_create_again);
    tcase_add_test(t, test_no_database);
    tcase_add_test(t, test_options);
    tcase_add_test(t, test_locked);
    tcase_add_test(t, test_foreign);
    tcase_add_test(t, test_newer);
    tcase_add_test(t, test_unknown_format);
    tcase_add_test(t, test_migration);
    tcase_add_test(t, test_checkpoint);
    suite_add_tcase(s, t);
}
