/* What the store costs in memory and time; the bounds are wide, the figures are printed. */
#include "harness.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    WRITES = 100000,
    SYNCED = 200,
    KEYS = 20000,
    VALUE_BYTES = 200,
    MAX_GROWTH_KIB = 40 << 10, /* without a sanitizer */
};

static uint64_t rss_kib(void)
{
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%lu %lu", &size, &resident), 2);
    fclose(f);
    return resident * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
}

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void print_time(const char *what, double since, int n)
{
    printf("  %-34s %8.2f us\n", what, (now_us() - since) / n);
}

static void write_records(void *store, int n, unsigned flags)
{
    char key[32], value[VALUE_BYTES];

    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof key, "account/%08d", i % KEYS);
        harness_noise(value, sizeof value, (uint64_t)i);
        ck_assert_int_eq(harness_ops()->put_if(store, gate_str_of(key),
                                               (struct gate_str){value, sizeof value}, UINT64_MAX,
                                               0, 0, flags, NULL, NULL),
                         GATE_OK);
    }
}

static bool count_one(void *ctx, const struct gate_record *r)
{
    (void)r;
    ++*(size_t *)ctx;
    return true;
}

static void read_all(void *store)
{
    struct gate_record r;
    double since = now_us();
    size_t seen = 0;
    char key[32];

    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "account/%08d", (int)((int64_t)i * 7919 % KEYS));
        ck_assert_int_eq(harness_ops()->get(store, gate_str_of(key), &r, NULL), GATE_OK);
        harness_ops()->record_release(store, &r);
    }
    print_time("get", since, KEYS);
    since = now_us();
    ck_assert_int_eq(harness_ops()->scan(store, GATE_STR("account/"), GATE_STR("account0"),
                                         SIZE_MAX, count_one, &seen, NULL),
                     GATE_OK);
    ck_assert_uint_eq(seen, KEYS);
    print_time("scan, each record", since, KEYS);
}

static void add_all(void *store)
{
    double since = now_us();
    char key[32];

    for (int i = 0; i < WRITES; i++) {
        snprintf(key, sizeof key, "count/%04d", i % 100);
        harness_add(store, key, 1, 0);
    }
    print_time("add", since, WRITES);
    since = now_us();
    ck_assert_int_eq(harness_ops()->batch_begin(store, NULL), GATE_OK);
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "count/%04d", i % 2000);
        harness_add(store, key, 1, 0);
    }
    ck_assert_int_eq(harness_ops()->batch_commit(store, GATE_PUT_SYNC, NULL), GATE_OK);
    print_time("add in a batch with sync", since, KEYS);
    harness_expect(store, "count/0000", "1010");
}

START_TEST(test_figures)
{
    struct harness_dir dir;
    uint64_t start, opened, written;
    double since = now_us();
    void *store;

    harness_dir_create(&dir);
    start = rss_kib();
    store = harness_open(dir.db);
    opened = rss_kib();
    printf("figures:\n");
    print_time("create", since, 1);
    since = now_us();
    write_records(store, WRITES, 0);
    print_time("put", since, WRITES);
    since = now_us();
    write_records(store, SYNCED, GATE_PUT_SYNC);
    print_time("put with sync", since, SYNCED);
    add_all(store);
    read_all(store);
    written = rss_kib();
    since = now_us();
    harness_ops()->close(store);
    print_time("close", since, 1);
    since = now_us();
    store = harness_open(dir.db);
    print_time("open", since, 1);
    harness_ops()->close(store);
    printf("  memory: %llu KiB before, +%llu after opening, +%llu after %d writes\n",
           (unsigned long long)start, (unsigned long long)(opened - start),
           (unsigned long long)(written - start), 2 * WRITES);
#ifndef GATE_CPU_SCALE /* a sanitizer keeps what was freed */
    ck_assert_uint_lt(written - start, MAX_GROWTH_KIB);
#endif
    harness_dir_remove(&dir);
}
END_TEST

void harness_add_figures(Suite *s)
{
    TCase *t = tcase_create("figures");

    tcase_set_timeout(t, 300);
    tcase_add_test(t, test_figures);
    suite_add_tcase(s, t);
}
