/*
 * kill -9 at random points: a child writes and says through a pipe what it is about to write and
 * what has been acknowledged; the parent kills it, opens the database and compares.
 */
#include "harness.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ROUNDS = 30,
    KEYS = 8,
    ADDS = 5,
    MIN_BYTES = 20,
    MAX_BYTES = 6000,
    MAX_REPORTS = 1500, /* the child is killed after at most so many */
    CHILD_TIMEOUT_S = 60,
};

enum report_kind { REPORT_PUT = 1, REPORT_ADD, REPORT_BATCH };

/* One line of the child. */
struct report {
    uint32_t kind;
    uint32_t key;
    uint64_t number;
    uint64_t version; /* 0: about to be written; else it was acknowledged */
};

/* ---------------------------------------------------------------- the child */

static void say(enum report_kind kind, uint32_t key, uint64_t number, uint64_t version)
{
    const struct report r = {kind, key, number, version};

    if (write(STDOUT_FILENO, &r, sizeof r) != (ssize_t)sizeof r)
        _exit(2);
}

/* The value that belongs to a number: the number, and then noise that follows from it. */
static size_t value_of(uint64_t number, char out[MAX_BYTES])
{
    uint64_t seed = number;
    const size_t len = MIN_BYTES + harness_random(&seed) % (MAX_BYTES - MIN_BYTES);

    rocks_put_u64(out, number);
    harness_noise(out + 8, len - 8, number);
    return len;
}

/* The number in a record; aborts when the value is not whole. 0: there is none. */
static uint64_t number_of(void *store, const char *key, uint64_t *version)
{
    char whole[MAX_BYTES];
    struct gate_record r;
    const enum gate_status status = harness_ops()->get(store, gate_str_of(key), &r, NULL);
    uint64_t number = 0;

    *version = r.version;
    if (status == GATE_OK) {
        must(r.value.len >= MIN_BYTES);
        number = rocks_get_u64(r.value.ptr);
        must(gate_str_eq(r.value, (struct gate_str){whole, value_of(number, whole)}));
    } else {
        must(status == GATE_ENOTFOUND);
    }
    harness_ops()->record_release(store, &r);
    return number;
}

static uint64_t put_number(void *store, const char *key, uint64_t number, uint64_t expected,
                           unsigned flags)
{
    char value[MAX_BYTES];
    uint64_t version = 0;
    const struct gate_str v = {value, value_of(number, value)};

    must(harness_ops()->put_if(store, gate_str_of(key), v, expected, 0, 0, flags, &version, NULL) ==
         GATE_OK);
    return version;
}

int harness_child_write(const char *path)
{
    const char *const small[] = {"write_buffer_mb", "1", NULL};
    const struct gate_storage_ops *ops = harness_ops();
    void *store = NULL;
    uint64_t number, version;
    char key[16];

    alarm(CHILD_TIMEOUT_S);
    must(harness_try_open(path, small, &store, NULL) == GATE_OK);
    (void)number_of(store, "last", &version);
    number = number_of(store, "last", &version) + MAX_REPORTS;
    for (;;) {
        const uint32_t k = (uint32_t)(++number % KEYS);

        snprintf(key, sizeof key, "key-%u", k);
        (void)number_of(store, key, &version);
        say(REPORT_PUT, k, number, 0);
        say(REPORT_PUT, k, number, put_number(store, key, number, version, GATE_PUT_SYNC));
        for (int i = 0; i < ADDS; i++) {
            say(REPORT_ADD, 0, 1, 0);
            must(ops->add(store, GATE_STR("count"), 1, 0, NULL, NULL) == GATE_OK);
            say(REPORT_ADD, 0, 1, 1);
        }
        say(REPORT_BATCH, 0, number, 0);
        must(ops->batch_begin(store, NULL) == GATE_OK);
        (void)put_number(store, "left", number, UINT64_MAX, 0);
        version = put_number(store, "right", number, UINT64_MAX, 0);
        (void)put_number(store, "last", number, UINT64_MAX, 0);
        must(ops->batch_commit(store, number % 4 == 0 ? GATE_PUT_SYNC : 0, NULL) == GATE_OK);
        say(REPORT_BATCH, 0, number, version);
    }
}

/* ---------------------------------------------------------------- the parent */

struct known {
    uint64_t issued, acked, version;
};

struct ledger {
    struct known keys[KEYS], batch;
    uint64_t adds_issued, adds_acked;
    uint64_t reports;
};

static void take(struct ledger *l, const struct report *r)
{
    struct known *k = r->kind == REPORT_PUT ? &l->keys[r->key] : &l->batch;

    l->reports++;
    if (r->kind == REPORT_ADD) {
        l->adds_issued += r->version == 0;
        l->adds_acked += r->version != 0;
        return;
    }
    if (r->version == 0) {
        k->issued = r->number;
        return;
    }
    k->acked = r->number;
    k->version = r->version;
}

/* The record is what was acknowledged last, or what was on its way after that. */
static void compare(void *store, const char *key, struct known *k)
{
    uint64_t version;
    const uint64_t number = number_of(store, key, &version);

    ck_assert_msg(number == k->acked || number == k->issued, "%s is %llu, not %llu or %llu", key,
                  (unsigned long long)number, (unsigned long long)k->acked,
                  (unsigned long long)k->issued);
    if (number == k->acked)
        ck_assert_uint_eq(version, k->version);
    else
        ck_assert_uint_gt(version, k->version);
    k->acked = k->issued = number;
    k->version = version;
}

static void check(const char *path, struct ledger *l)
{
    void *store = harness_open(path);
    uint64_t version, count;
    struct gate_record r;
    char key[16];

    for (uint32_t i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "key-%u", i);
        compare(store, key, &l->keys[i]);
    }
    compare(store, "right", &l->batch);
    ck_assert_uint_eq(number_of(store, "left", &version), l->batch.acked);
    ck_assert_uint_eq(number_of(store, "last", &version), l->batch.acked);
    count = harness_ops()->get(store, GATE_STR("count"), &r, NULL) == GATE_OK
                ? strtoull(r.value.ptr, NULL, 10)
                : 0;
    harness_ops()->record_release(store, &r);
    ck_assert_uint_ge(count, l->adds_acked);
    ck_assert_uint_le(count, l->adds_issued);
    l->adds_acked = l->adds_issued = count;
    harness_ops()->close(store);
}

START_TEST(test_kill)
{
    struct harness_dir dir;
    struct ledger l = {0};
    uint64_t seed = (uint64_t)getpid();
    const uint64_t first = seed;

    harness_dir_create(&dir);
    for (int round = 0; round < ROUNDS; round++) {
        int from_child;
        const pid_t pid = harness_child("write", dir.db, "-", &from_child);
        uint64_t left = harness_random(&seed) % MAX_REPORTS;
        struct report r;
        ssize_t n;
        int status;

        /* Some rounds end while the database is being opened. */
        for (bool killed = false;;) {
            if (!killed && left-- == 0) {
                kill(pid, SIGKILL);
                killed = true;
            }
            n = read(from_child, &r, sizeof r);
            if (n != (ssize_t)sizeof r)
                break;
            take(&l, &r);
        }
        ck_assert_int_eq(n, 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
                      "the child of round %d ended by itself: %x", round, (unsigned)status);
        close(from_child);
        check(dir.db, &l);
    }
    printf("kill -9: %d rounds, %llu reports, %llu additions (seed %llu)\n", ROUNDS,
           (unsigned long long)l.reports, (unsigned long long)l.adds_acked,
           (unsigned long long)first);
    harness_dir_remove(&dir);
}
END_TEST

void harness_add_crash(Suite *s)
{
    TCase *t = tcase_create("crash");

    tcase_set_timeout(t, 300);
    tcase_add_test(t, test_kill);
    suite_add_tcase(s, t);
}
