/* Leases and fencing tokens. */
#include "harness.h"

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

static enum gate_status acquire(const char *owner, uint64_t ttl_ms, uint64_t *fence)
{
    return harness_ops()->lease_acquire(store, GATE_STR("k"), gate_str_of(owner), ttl_ms, fence,
                                        &err);
}

static enum gate_status renew(const char *owner, uint64_t ttl_ms)
{
    return harness_ops()->lease_renew(store, GATE_STR("k"), gate_str_of(owner), ttl_ms, &err);
}

static enum gate_status release(const char *owner)
{
    return harness_ops()->lease_release(store, GATE_STR("k"), gate_str_of(owner), &err);
}

START_TEST(test_lease)
{
    uint64_t first, fence;

    ck_assert_int_eq(acquire("a", 100, &first), GATE_OK);
    ck_assert_int_eq(acquire("b", 100, &fence), GATE_ECONFLICT);
    ck_assert_int_eq(renew("b", 100), GATE_ECONFLICT);
    ck_assert_int_eq(release("b"), GATE_ECONFLICT);
    harness_now += 99;
    ck_assert_int_eq(acquire("a", 100, &fence), GATE_OK);
    ck_assert_uint_eq(fence, first);
    harness_now += 99;
    ck_assert_int_eq(renew("a", 100), GATE_OK);
    reopen();
    harness_now += 99;
    ck_assert_int_eq(acquire("b", 100, &fence), GATE_ECONFLICT);
    harness_now += 1; /* it has run out */
    ck_assert_int_eq(renew("a", 100), GATE_ECONFLICT);
    ck_assert_int_eq(release("a"), GATE_ECONFLICT);
    ck_assert_int_eq(acquire("b", 100, &fence), GATE_OK);
    ck_assert_uint_eq(fence, first + 1);
    ck_assert_int_eq(release("b"), GATE_OK);
    ck_assert_int_eq(release("b"), GATE_ECONFLICT);
    reopen();
    ck_assert_int_eq(acquire("b", 100, &fence), GATE_OK);
    ck_assert_uint_eq(fence, first + 2);
    harness_now += 1000;
    ck_assert_int_eq(acquire("b", 100, &fence), GATE_OK); /* its own, but that had run out */
    ck_assert_uint_eq(fence, first + 3);
    ck_assert_int_eq(acquire("b", 0, &fence), GATE_EINVAL);
    ck_assert_int_eq(acquire("", 1, &fence), GATE_EINVAL);
    harness_expect(store, "k", NULL); /* leases are no records */
}
END_TEST

START_TEST(test_fence)
{
    uint64_t old, fence;

    ck_assert_int_eq(put_if("k", "0", 0, 0, 0, NULL), GATE_OK);
    ck_assert_int_eq(acquire("a", 100, &old), GATE_OK);
    ck_assert_int_eq(put_if("k", "1", UINT64_MAX, old, 0, NULL), GATE_OK);
    harness_now += 100;
    /* It has run out, but nobody else was there. */
    ck_assert_int_eq(put_if("k", "2", UINT64_MAX, old, 0, NULL), GATE_OK);
    ck_assert_int_eq(acquire("b", 100, &fence), GATE_OK);
    ck_assert_int_eq(put_if("k", "late", UINT64_MAX, old, 0, NULL), GATE_ECONFLICT);
    ck_assert_int_eq(delete_if("k", UINT64_MAX, old), GATE_ECONFLICT);
    harness_expect(store, "k", "2");
    ck_assert_int_eq(put_if("k", "3", UINT64_MAX, fence, 0, NULL), GATE_OK);
    ck_assert_int_eq(put_if("other", "x", UINT64_MAX, old, 0, NULL), GATE_OK);
    ck_assert_int_eq(release("b"), GATE_OK);
    reopen();
    ck_assert_int_eq(put_if("k", "late", UINT64_MAX, old, 0, NULL), GATE_ECONFLICT);

    /* A higher token than any that was handed out is remembered. A conflict changes nothing. */
    ck_assert_int_eq(put_if("k", "x", 1, fence + 20, 0, NULL), GATE_ECONFLICT);
    ck_assert_int_eq(put_if("k", "4", UINT64_MAX, fence + 10, 0, NULL), GATE_OK);
    ck_assert_int_eq(put_if("k", "late", UINT64_MAX, fence, 0, NULL), GATE_ECONFLICT);
    ck_assert_int_eq(acquire("c", 100, &fence), GATE_OK);
    ck_assert_uint_eq(fence, old + 1 + 10 + 1);
    ck_assert_int_eq(delete_if("k", UINT64_MAX, fence), GATE_OK);
    harness_expect(store, "k", NULL);
}
END_TEST

void harness_add_lease(Suite *s)
{
    TCase *t = tcase_create("leases");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_lease);
    tcase_add_test(t, test_fence);
    suite_add_tcase(s, t);
}
