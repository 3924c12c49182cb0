/* What scripts remember: counters of all workers, and a worker's key-value store. */
#include "script/notes.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- counters */

static int64_t count(struct gate_counters *c, const char *name, int64_t delta)
{
    int64_t value = -1;
    ck_assert_int_eq(gate_counters_add(c, gate_str_of(name), delta, &value), GATE_OK);
    return value;
}

struct seen {
    char text[256];
};

static void note_seen(void *ctx, const char *name, int64_t value)
{
    struct seen *seen = ctx;
    size_t len = strlen(seen->text);
    snprintf(seen->text + len, sizeof seen->text - len, "%s=%lld ", name, (long long)value);
}

START_TEST(counters_add_and_read)
{
    struct gate_counters *c = gate_counters_create();
    struct seen seen = {""};
    ck_assert_int_eq(count(c, "b", 0), 0); /* reading makes none */
    gate_counters_each(c, note_seen, &seen);
    ck_assert_str_eq(seen.text, "");
    ck_assert_int_eq(count(c, "b", 2), 2);
    ck_assert_int_eq(count(c, "A.z_0:9-", 1), 1);
    ck_assert_int_eq(count(c, "b", -5), -3);
    ck_assert_int_eq(count(c, "b", 0), -3);
    ck_assert_int_eq(count(c, "max", INT64_MAX), INT64_MAX);
    ck_assert_int_eq(count(c, "max", 1), INT64_MIN);
    gate_counters_each(c, note_seen, &seen);
    ck_assert_str_eq(seen.text, "b=-3 A.z_0:9-=1 max=-9223372036854775808 ");
    gate_counters_destroy(c);
    gate_counters_destroy(NULL);
}
END_TEST

START_TEST(counters_are_bounded)
{
    static const char *const wrong[] = {"", "a b", "a\n", "\xc3\xa4", "a/b"};
    struct gate_counters *c = gate_counters_create();
    char name[GATE_COUNTER_NAME + 2];
    int64_t value;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_int_eq(gate_counters_add(c, gate_str_of(wrong[i]), 1, &value), GATE_EINVAL);
    ck_assert_int_eq(gate_counters_add(c, (struct gate_str){"a\0b", 3}, 1, &value), GATE_EINVAL);
    memset(name, 'n', sizeof name);
    struct gate_str longest = {name, GATE_COUNTER_NAME};
    ck_assert_int_eq(gate_counters_add(c, longest, 1, &value), GATE_OK);
    longest.len++;
    ck_assert_int_eq(gate_counters_add(c, longest, 1, &value), GATE_EINVAL);
    for (int i = 1; i < GATE_COUNTERS_MAX; i++) {
        snprintf(name, sizeof name, "c%d", i);
        ck_assert_int_eq(count(c, name, i), i);
    }
    ck_assert_int_eq(gate_counters_add(c, GATE_STR("late"), 1, &value), GATE_ELIMIT);
    ck_assert_int_eq(count(c, "late", 0), 0);
    for (int i = 1; i < GATE_COUNTERS_MAX; i++) {
        snprintf(name, sizeof name, "c%d", i);
        ck_assert_int_eq(count(c, name, 1), i + 1);
    }
    gate_counters_destroy(c);
}
END_TEST

enum { THREADS = 4, ROUNDS = 20000, NAMES = 100 };

static void *add_many(void *arg)
{
    struct gate_counters *c = arg;
    char name[16];
    int64_t value;
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(name, sizeof name, "n%d", i % NAMES);
        if (gate_counters_add(c, gate_str_of(name), 1, &value) != GATE_OK || value < 1)
            return c;
    }
    return NULL;
}

START_TEST(counters_are_shared_by_threads)
{
    struct gate_counters *c = gate_counters_create();
    pthread_t threads[THREADS];
    char name[16];
    void *failed;
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, c), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "n%d", i);
        ck_assert_int_eq(count(c, name, 0), THREADS * ROUNDS / NAMES);
    }
    gate_counters_destroy(c);
}
END_TEST

/* ---------------------------------------------------------------- key-value */

static void set_integer(struct gate_kv *kv, const char *key, int64_t n, uint64_t ttl, uint64_t now)
{
    const struct gate_kv_value value = {.type = GATE_KV_INTEGER, .integer = n};
    gate_kv_set(kv, gate_str_of(key), &value, ttl, now);
}

static void set_string(struct gate_kv *kv, const char *key, struct gate_str s)
{
    const struct gate_kv_value value = {.type = GATE_KV_STRING, .string = s};
    gate_kv_set(kv, gate_str_of(key), &value, 0, 0);
}

/* -1: there is none. */
static int64_t get_integer(struct gate_kv *kv, const char *key, uint64_t now)
{
    struct gate_kv_value value = gate_kv_get(kv, gate_str_of(key), now);
    ck_assert(value.type == GATE_KV_NONE || value.type == GATE_KV_INTEGER);
    return value.type == GATE_KV_INTEGER ? value.integer : -1;
}

static bool has_string(struct gate_kv *kv, const char *key, struct gate_str s)
{
    struct gate_kv_value value = gate_kv_get(kv, gate_str_of(key), 0);
    return value.type == GATE_KV_STRING && gate_str_eq(value.string, s);
}

START_TEST(kv_keeps_values)
{
    struct gate_kv *kv = gate_kv_create();
    const struct gate_kv_value yes = {.type = GATE_KV_BOOLEAN, .boolean = true};
    const struct gate_kv_value half = {.type = GATE_KV_NUMBER, .number = 0.5};
    const struct gate_kv_value none = {.type = GATE_KV_NONE};
    char large[GATE_KV_VALUE];
    memset(large, 'x', sizeof large);
    ck_assert_int_eq(get_integer(kv, "a", 0), -1);
    set_integer(kv, "a", 7, 0, 0);
    ck_assert_int_eq(get_integer(kv, "a", UINT64_MAX), 7); /* for good */
    set_string(kv, "s", GATE_STR("one"));
    ck_assert(has_string(kv, "s", GATE_STR("one")));
    set_string(kv, "s", (struct gate_str){large, sizeof large});
    ck_assert(has_string(kv, "s", (struct gate_str){large, sizeof large}));
    set_string(kv, "s", (struct gate_str){"a\0b", 3});
    ck_assert(has_string(kv, "s", (struct gate_str){"a\0b", 3}));
    set_string(kv, "s", GATE_STR(""));
    ck_assert(has_string(kv, "s", GATE_STR("")));
    gate_kv_set(kv, GATE_STR("s"), &yes, 0, 0);
    ck_assert(gate_kv_get(kv, GATE_STR("s"), 0).boolean);
    gate_kv_set(kv, GATE_STR("s"), &half, 0, 0);
    ck_assert(gate_kv_get(kv, GATE_STR("s"), 0).number == 0.5);
    ck_assert_int_eq(get_integer(kv, "a", 0), 7); /* another key's value is untouched */
    gate_kv_set(kv, GATE_STR("s"), &none, 0, 0);
    gate_kv_set(kv, GATE_STR("s"), &none, 0, 0);
    ck_assert_int_eq(gate_kv_get(kv, GATE_STR("s"), 0).type, GATE_KV_NONE);
    gate_kv_destroy(kv);
    gate_kv_destroy(NULL);
}
END_TEST

START_TEST(kv_forgets_in_time)
{
    struct gate_kv *kv = gate_kv_create();
    set_integer(kv, "a", 1, 100, 1000);
    set_integer(kv, "b", 2, 200, 1000);
    ck_assert_int_eq(get_integer(kv, "a", 1099), 1);
    ck_assert_int_eq(get_integer(kv, "a", 1100), -1);
    ck_assert_int_eq(get_integer(kv, "a", 1000), -1); /* it is gone, not hidden */
    ck_assert_int_eq(get_integer(kv, "b", 1100), 2);
    set_integer(kv, "b", 3, 0, 1150); /* without a time to live it stays */
    ck_assert_int_eq(get_integer(kv, "b", 9999), 3);
    gate_kv_destroy(kv);
}
END_TEST

START_TEST(kv_drops_what_was_used_longest_ago)
{
    struct gate_kv *kv = gate_kv_create();
    char key[16];
    for (int i = 0; i < GATE_KV_MAX; i++) {
        snprintf(key, sizeof key, "k%d", i);
        set_integer(kv, key, i, 0, 0);
    }
    ck_assert_int_eq(get_integer(kv, "k0", 0), 0); /* used: k1 is the oldest now */
    set_integer(kv, "new", 1, 0, 0);
    ck_assert_int_eq(get_integer(kv, "k1", 0), -1);
    ck_assert_int_eq(get_integer(kv, "k0", 0), 0);
    set_integer(kv, "k2", 22, 0, 0);
    set_integer(kv, "newer", 1, 0, 0);
    ck_assert_int_eq(get_integer(kv, "k2", 0), 22);
    ck_assert_int_eq(get_integer(kv, "k3", 0), -1);
    for (int i = 4; i < GATE_KV_MAX; i++) {
        snprintf(key, sizeof key, "k%d", i);
        ck_assert_int_eq(get_integer(kv, key, 0), i);
    }
    gate_kv_destroy(kv);
}
END_TEST

/* Against a plain list that does the same slowly. */
START_TEST(kv_agrees_with_a_model)
{
    enum { KEYS = 3 * GATE_KV_MAX, STEPS = 60000 };
    static struct {
        int64_t value;
        uint64_t used, ends; /* used 0: not there */
    } model[KEYS];
    struct gate_kv *kv = gate_kv_create();
    uint64_t x = 88172645463325252u, living = 0;
    memset(model, 0, sizeof model);
    for (uint64_t step = 1; step <= STEPS; step++) {
        char key[16];
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        size_t k = x % KEYS;
        int what = (int)(x >> 40 & 7);
        snprintf(key, sizeof key, "%zu", k);
        if (model[k].used != 0 && model[k].ends != 0 && model[k].ends <= step)
            model[k].used = 0, living--;
        if (what < 4) {
            ck_assert_int_eq(get_integer(kv, key, step), model[k].used ? model[k].value : -1);
            model[k].used = model[k].used ? step : 0;
        } else if (what == 4) {
            const struct gate_kv_value none = {.type = GATE_KV_NONE};
            gate_kv_set(kv, gate_str_of(key), &none, 0, step);
            living -= model[k].used != 0;
            model[k].used = 0;
        } else {
            uint64_t ttl = what == 5 ? 5000 : 0;
            if (model[k].used == 0 && living == GATE_KV_MAX) {
                size_t oldest = KEYS;
                for (size_t i = 0; i < KEYS; i++) {
                    if (model[i].used && (oldest == KEYS || model[i].used < model[oldest].used))
                        oldest = i;
                }
                model[oldest].used = 0, living--;
            }
            living += model[k].used == 0;
            model[k].used = step;
            model[k].value = (int64_t)step;
            model[k].ends = ttl ? step + ttl : 0;
            set_integer(kv, key, (int64_t)step, ttl, step);
        }
    }
    ck_assert_uint_gt(living, GATE_KV_MAX / 2);
    gate_kv_destroy(kv);
}
END_TEST

START_TEST(kv_adds)
{
    struct gate_kv *kv = gate_kv_create();
    const struct gate_kv_value two = {.type = GATE_KV_INTEGER, .integer = 2};
    const struct gate_kv_value half = {.type = GATE_KV_NUMBER, .number = 0.5};
    struct gate_kv_value sum;
    ck_assert(gate_kv_add(kv, GATE_STR("n"), &two, 100, 1000, &sum));
    ck_assert(sum.type == GATE_KV_INTEGER && sum.integer == 2);
    ck_assert(gate_kv_add(kv, GATE_STR("n"), &two, 100, 1099, &sum) && sum.integer == 4);
    ck_assert(gate_kv_add(kv, GATE_STR("n"), &two, 100, 1100, &sum)); /* the first end counts */
    ck_assert_int_eq(sum.integer, 2);
    ck_assert(gate_kv_add(kv, GATE_STR("n"), &half, 0, 1100, &sum));
    ck_assert(sum.type == GATE_KV_NUMBER && sum.number == 2.5);
    set_integer(kv, "max", INT64_MAX, 0, 0);
    ck_assert(gate_kv_add(kv, GATE_STR("max"), &two, 0, 0, &sum) && sum.integer == INT64_MIN + 1);
    set_string(kv, "s", GATE_STR("1"));
    ck_assert(!gate_kv_add(kv, GATE_STR("s"), &two, 0, 0, &sum) && sum.type == GATE_KV_STRING);
    ck_assert(has_string(kv, "s", GATE_STR("1")));
    gate_kv_destroy(kv);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notes");
    TCase *tc = tcase_create("notes");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, counters_add_and_read);
    tcase_add_test(tc, counters_are_bounded);
    tcase_add_test(tc, counters_are_shared_by_threads);
    tcase_add_test(tc, kv_keeps_values);
    tcase_add_test(tc, kv_forgets_in_time);
    tcase_add_test(tc, kv_drops_what_was_used_longest_ago);
    tcase_add_test(tc, kv_agrees_with_a_model);
    tcase_add_test(tc, kv_adds);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
