/* Damaged databases: what is told, and that nothing else happens. */
#include "harness.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Turns around the bits of a few bytes; at is a part of 1000 of the file's length. */
static void damage(const char *path, unsigned at, size_t bytes)
{
    const int fd = open(path, O_RDWR);
    struct stat st;
    unsigned char c;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    for (size_t i = 0; i < bytes; i++) {
        const off_t place = st.st_size * at / 1000 + (off_t)i;

        ck_assert_int_eq(pread(fd, &c, 1, place), 1);
        c ^= 0xff;
        ck_assert_int_eq(pwrite(fd, &c, 1, place), 1);
    }
    close(fd);
}

/* A database with records in its log, or (opened once more) in tables. */
static void make_database(bool tables)
{
    void *store = harness_open(dir.db);

    harness_put_records(store);
    harness_ops()->close(store);
    if (tables)
        harness_ops()->close(harness_open(dir.db));
}

START_TEST(test_damaged_log)
{
    const char *const salvage[] = {"recovery", "point_in_time", NULL};
    char log[PATH_MAX];
    void *store;
    int failed, found;

    make_database(false);
    harness_file_find(dir.db, ".log", log);
    damage(log, 500, 4);
    harness_refuses(dir.db, GATE_EIO, "point_in_time");
    harness_refuses(dir.db, GATE_EIO, "Corruption");
    ck_assert_int_eq(harness_try_open(dir.db, salvage, &store, &err), GATE_OK);
    found = harness_count_records(store, &failed, &err);
    ck_assert_int_eq(failed, 0);
    ck_assert_int_gt(found, HARNESS_RECORDS / 3);
    ck_assert_int_lt(found, HARNESS_RECORDS * 2 / 3);
    harness_expect(store, "key-01999", NULL);
    harness_ops()->close(store);
    harness_ops()->close(harness_open(dir.db)); /* and it is whole again */
}
END_TEST

START_TEST(test_cut_log)
{
    char log[PATH_MAX];
    struct stat st;
    void *store;
    int failed;

    make_database(false);
    harness_file_find(dir.db, ".log", log);
    ck_assert_int_eq(stat(log, &st), 0);
    ck_assert_int_eq(truncate(log, st.st_size - 3), 0);
    store = harness_open(dir.db);
    ck_assert_int_eq(harness_count_records(store, &failed, &err), HARNESS_RECORDS - 1);
    ck_assert_int_eq(failed, 0);
    ck_assert_ptr_nonnull(memmem(harness_log.ptr, harness_log.len, "ends in the middle", 18));
    harness_ops()->close(store);
}
END_TEST

/* One damaged byte anywhere in a log of which every record is near its end: it is refused, or a
 * warning says that something may be missing. */
START_TEST(test_no_silent_loss)
{
    char log[PATH_MAX], key[32];
    int refused = 0, warned = 0;

    for (unsigned at = 3; at < 1000; at += 13) {
        void *store = harness_open(dir.db);
        struct gate_error e = {0};

        harness_log.len = 0;
        for (int i = 0; i < 30; i++) {
            snprintf(key, sizeof key, "key-%02d", i);
            harness_put(store, key, "a short value");
        }
        harness_ops()->close(store);
        harness_file_find(dir.db, ".log", log);
        damage(log, at, 1);
        if (harness_try_open(dir.db, NULL, &store, &e) == GATE_OK) {
            ck_assert_ptr_nonnull(
                memmem(harness_log.ptr, harness_log.len, "ends in the middle", 18));
            warned++;
            harness_ops()->close(store);
        } else {
            ck_assert_int_eq(e.status, GATE_EIO);
            ck_assert_msg(strstr(e.message, "damaged") != NULL, "%s", e.message);
            refused++;
            damage(log, at, 1);
        }
    }
    ck_assert_int_gt(refused, 0);
    ck_assert_int_gt(warned, 0);
}
END_TEST

START_TEST(test_damaged_table)
{
    char table[PATH_MAX];
    void *store;
    int failed, found;

    make_database(true);
    harness_file_find(dir.db, ".sst", table);
    damage(table, 500, 16);
    store = harness_open(dir.db);
    found = harness_count_records(store, &failed, &err);
    ck_assert_int_gt(failed, 0);
    ck_assert_int_eq(found + failed, HARNESS_RECORDS);
    ck_assert_msg(strstr(err.message, "Corruption") != NULL, "%s", err.message);
    ck_assert_msg(strstr(err.message, dir.db) != NULL, "%s", err.message);
    harness_put(store, "a", "1"); /* the rest goes on */
    harness_expect(store, "a", "1");
    harness_ops()->close(store);
}
END_TEST

START_TEST(test_damaged_files)
{
    char path[PATH_MAX], other[PATH_MAX + 4];

    make_database(true);
    harness_file_find(dir.db, ".sst", path);
    snprintf(other, sizeof other, "%s/sst", dir.path);
    ck_assert_int_eq(rename(path, other), 0);
    harness_refuses(dir.db, GATE_EIO, "damaged");
    ck_assert_int_eq(rename(other, path), 0);

    harness_file_find(dir.db, "MANIFEST", path);
    damage(path, 300, 4);
    harness_refuses(dir.db, GATE_EIO, "damaged");
    damage(path, 300, 4); /* turns it back */

    harness_file_find(dir.db, "CURRENT", path);
    damage(path, 300, 4);
    harness_refuses(dir.db, GATE_EIO, dir.db);
    ck_assert_int_eq(unlink(path), 0);
    harness_refuses(dir.db, GATE_EIO, "CURRENT is missing");
}
END_TEST

void harness_add_damage(Suite *s)
{
    TCase *t = tcase_create("damage");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_damaged_log);
    tcase_add_test(t, test_cut_log);
    tcase_add_test(t, test_no_silent_loss);
    tcase_add_test(t, test_damaged_table);
    tcase_add_test(t, test_damaged_files);
    suite_add_tcase(s, t);
}
