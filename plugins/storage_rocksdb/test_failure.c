/*
 * Writes that fail: the limit of file sizes stands for a full disk. It holds for the file of
 * messages that Check keeps for each assertion too, so `must` stands in for those.
 */
#include "harness.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { VALUE_BYTES = 8000, MAX_TRIES = 2000, CLOCK_STEP_MS = 250 };

static struct harness_dir dir;
static void *store;
static struct gate_error err;
static rlim_t hard_limit;

static void setup(void)
{
    struct rlimit limit;

    harness_now = HARNESS_START_MS;
    harness_dir_create(&dir);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    hard_limit = limit.rlim_max;
    store = harness_open(dir.db);
}

static void set_room(rlim_t bytes)
{
    const struct rlimit limit = {bytes, hard_limit};

    must(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void teardown(void)
{
    set_room(hard_limit);
    if (store != NULL)
        harness_ops()->close(store);
    harness_dir_remove(&dir);
    gate_buf_finish(&harness_log);
}

static enum gate_status put(int i, unsigned flags)
{
    char key[32], value[VALUE_BYTES];

    snprintf(key, sizeof key, "key-%05d", i);
    harness_noise(value, sizeof value, (uint64_t)i);
    return harness_ops()->put_if(store, gate_str_of(key), (struct gate_str){value, sizeof value},
                                 UINT64_MAX, 0, 0, flags, NULL, &err);
}

/* All of key 0 to n - 1 are there, whole. */
static void expect_records(int n)
{
    char key[32], value[VALUE_BYTES];
    struct gate_record r;

    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof key, "key-%05d", i);
        harness_noise(value, sizeof value, (uint64_t)i);
        must(harness_ops()->get(store, gate_str_of(key), &r, &err) == GATE_OK);
        must(gate_str_eq(r.value, (struct gate_str){value, sizeof value}));
        harness_ops()->record_release(store, &r);
    }
}

static bool holds(const char *key, const char *value)
{
    struct gate_record r;
    const bool same = harness_ops()->get(store, gate_str_of(key), &r, &err) == GATE_OK &&
                      gate_str_eq(r.value, gate_str_of(value));

    harness_ops()->record_release(store, &r);
    return same;
}

static size_t log_lines(const char *text)
{
    size_t n = 0;

    for (const char *p = harness_log.ptr;
         harness_log.len > 0 &&
         (p = memmem(p, (size_t)(harness_log.ptr + harness_log.len - p), text, strlen(text)));
         p++)
        n++;
    return n;
}

/* Writes records from n on until one fails. Returns how many are there then. */
static int fill(int n, unsigned flags)
{
    const int end = n + MAX_TRIES;

    for (; n < end; n++)
        if (put(n, flags) != GATE_OK)
            return n;
    harness_abort(__FILE__, __LINE__, "a write fails");
}

START_TEST(test_full_disk)
{
    const unsigned flags = _i % 2 == 0 ? 0 : GATE_PUT_SYNC;
    int n = 0;

    for (int round = 0; round < 4; round++) {
        const size_t lost = log_lines("writing failed"), back = log_lines("works again");
        int64_t before, sum;

        must(harness_ops()->add(store, GATE_STR("n"), 1, 0, &before, &err) == GATE_OK);
        set_room((rlim_t)(100 + 50 * round) * 1000);
        n = fill(n, flags);
        must(err.status == GATE_EIO);
        must(strstr(err.message, dir.db) != NULL);
        expect_records(n);

        /* Nothing is tried before a second has passed; then it is, and fails again. */
        for (int i = 0; i < 12; i++) {
            must(put(n, flags) == GATE_EIO);
            must(harness_ops()->add(store, GATE_STR("n"), 1, 0, NULL, &err) == GATE_EIO);
            must(harness_ops()->batch_begin(store, &err) == GATE_EIO);
            expect_records(n);
            harness_now += CLOCK_STEP_MS;
        }
        set_room(hard_limit);
        harness_now += ROCKS_RETRY_MS;
        must(put(n, flags) == GATE_OK);
        expect_records(++n);
        must(harness_ops()->add(store, GATE_STR("n"), 1, 0, &sum, &err) == GATE_OK);
        must(sum == before + 1);
        must(log_lines("writing failed") == lost + 1);
        must(log_lines("works again") == back + 1);
    }
    harness_ops()->close(store);
    store = harness_open(dir.db);
    expect_records(n);
    harness_expect(store, "n", "8");
}
END_TEST

START_TEST(test_retry_waits)
{
    const int n = (set_room(200000), fill(0, 0));

    set_room(hard_limit);
    must(put(n, 0) == GATE_EIO);
    harness_now += ROCKS_RETRY_MS - 1;
    must(put(n, 0) == GATE_EIO);
    harness_now -= 3600 * 1000; /* the clock is set back: the wait does not grow by that */
    must(put(n, 0) == GATE_EIO);
    harness_now += ROCKS_RETRY_MS;
    must(put(n, 0) == GATE_OK);
    expect_records(n + 1);
}
END_TEST

/* The room is enough to look whether there is some, but not to open the database for writing. */
START_TEST(test_little_room)
{
    int n = 0;

    for (; n < 150; n++)
        must(put(n, 0) == GATE_OK);
    set_room(300000);
    must(put(n, GATE_PUT_SYNC) == GATE_EIO);
    for (int i = 0; i < 5; i++) {
        harness_now += ROCKS_RETRY_MS;
        must(put(n, 0) == GATE_EIO);
        must(strstr(err.message, "opening it anew failed") != NULL);
        expect_records(n);
    }
    set_room(hard_limit);
    harness_now += ROCKS_RETRY_MS;
    must(put(n, 0) == GATE_OK);
    expect_records(n + 1);
}
END_TEST

START_TEST(test_full_batch)
{
    const struct gate_storage_ops *ops = harness_ops();
    int n = 0;

    harness_put(store, "a", "0");
    must(ops->batch_begin(store, &err) == GATE_OK);
    for (; n < 40; n++)
        must(put(n, 0) == GATE_OK);
    harness_put(store, "a", "1");
    set_room(100000);
    must(ops->batch_commit(store, GATE_PUT_SYNC, &err) == GATE_EIO);
    must(holds("a", "0"));
    must(ops->batch_begin(store, &err) == GATE_EIO);
    must(ops->batch_commit(store, 0, &err) == GATE_EINVAL); /* it is over */
    set_room(hard_limit);
    harness_now += ROCKS_RETRY_MS;
    must(ops->batch_begin(store, &err) == GATE_OK);
    harness_expect(store, "key-00000", NULL);
    for (n = 0; n < 40; n++)
        must(put(n, 0) == GATE_OK);
    must(ops->batch_commit(store, 0, &err) == GATE_OK);
    expect_records(n);
    harness_expect(store, "a", "0");
}
END_TEST

/* Stopped and started while the disk is full: the start fails, nothing is lost. */
START_TEST(test_full_start)
{
    int n = (set_room(200000), fill(0, 0));

    harness_ops()->close(store);
    store = NULL;
    set_room(1000);
    must(harness_try_open(dir.db, NULL, &store, &err) == GATE_EIO);
    must(strstr(err.message, dir.db) != NULL);
    must(store == NULL);
    set_room(hard_limit);
    store = harness_open(dir.db);
    expect_records(n);
    must(put(n, 0) == GATE_OK);
    expect_records(n + 1);
}
END_TEST

void harness_add_failure(Suite *s)
{
    TCase *t = tcase_create("failure");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_full_disk, 0, 2);
    tcase_add_test(t, test_retry_waits);
    tcase_add_test(t, test_little_room);
    tcase_add_test(t, test_full_batch);
    tcase_add_test(t, test_full_start);
    suite_add_tcase(s, t);
}
