/* Random operations against a model in memory: every answer must be the same. */
#include "harness.h"

#include <stdlib.h>
#include <time.h>

enum {
    KEYS = 24,
    LEASES = 3,
    OWNERS = 3,
    STEPS = 20000,
    MAX_TTL_MS = 400,
    MAX_STEP_MS = 8,
    REOPEN_EVERY = 400, /* steps, on average */
    MAX_TEXT = 40,
};

struct entry {
    bool present;
    bool counter;
    char text[MAX_TEXT];
    uint64_t version; /* 0: not known, as it was not read after an addition; above floor then */
    uint64_t floor;
    uint64_t expires_ms;
};

struct lease {
    uint64_t fence, expires_ms;
    int owner; /* -1: free */
};

struct state {
    struct entry entries[KEYS];
    struct lease leases[KEYS]; /* of the keys 0 to LEASES - 1 */
};

struct model {
    struct harness_dir dir;
    void *store;
    struct state now, before; /* before: when the batch began */
    bool in_batch;
    uint64_t seed, newest; /* the highest version that was seen */
    uint64_t done[16];
    struct gate_error err;
};

static uint64_t below(struct model *m, uint64_t n)
{
    return harness_random(&m->seed) % n;
}

static struct gate_str key_of(unsigned k, char out[16])
{
    snprintf(out, 16, "k%02u", k);
    return gate_str_of(out);
}

static bool alive(const struct entry *e)
{
    return e->present && (e->expires_ms == 0 || e->expires_ms > harness_now);
}

static uint64_t random_ttl(struct model *m)
{
    return below(m, 3) == 0 ? 1 + below(m, MAX_TTL_MS) : 0;
}

/* What is read must be what the model has. */
static void check_record(struct model *m, struct entry *e, const struct gate_record *r)
{
    ck_assert_msg(alive(e), "%.*s should be absent", (int)r->key.len, r->key.ptr);
    ck_assert_msg(gate_str_eq(r->value, gate_str_of(e->text)), "%.*s is %.*s, not %s",
                  (int)r->key.len, r->key.ptr, (int)r->value.len, r->value.ptr, e->text);
    if (e->version == 0) {
        ck_assert_uint_gt(r->version, e->floor);
        e->version = r->version;
    }
    ck_assert_uint_eq(r->version, e->version);
    if (r->version > m->newest)
        m->newest = r->version;
}

static uint64_t do_get(struct model *m, unsigned k)
{
    char name[16];
    struct gate_record r;
    struct entry *e = &m->now.entries[k];
    const enum gate_status status = harness_ops()->get(m->store, key_of(k, name), &r, &m->err);
    const uint64_t version = r.version;

    if (status == GATE_OK)
        check_record(m, e, &r);
    else
        ck_assert_int_eq(status, GATE_ENOTFOUND);
    ck_assert_msg(alive(e) == (status == GATE_OK), "%s", name);
    harness_ops()->record_release(m->store, &r);
    return version;
}

static uint64_t random_expected(struct model *m, uint64_t version)
{
    switch (below(m, 4)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return version + below(m, 3) - 1;
    default:
        return version;
    }
}

/* 0, or about the fence that the lease of the key is at. */
static uint64_t random_fence(struct model *m, unsigned k)
{
    if (below(m, 3) != 0)
        return 0;
    return m->now.leases[k].fence + (below(m, 8) == 0) -
           (below(m, 3) == 0 && m->now.leases[k].fence);
}

static bool write_allowed(struct model *m, unsigned k, uint64_t version, uint64_t expected,
                          uint64_t fence)
{
    struct lease *l = &m->now.leases[k];

    if (expected != UINT64_MAX && expected != version)
        return false;
    if (fence != 0 && fence < l->fence)
        return false;
    if (fence > l->fence)
        l->fence = fence;
    return true;
}

static void do_put(struct model *m, unsigned k)
{
    struct entry *e = &m->now.entries[k];
    const uint64_t version = do_get(m, k), expected = random_expected(m, version),
                   fence = random_fence(m, k), ttl = random_ttl(m);
    char name[16], text[MAX_TEXT];
    const bool number = below(m, 2) == 0;
    uint64_t written = 0;
    enum gate_status status;

    snprintf(text, sizeof text, number ? "%d" : "text %d", (int)below(m, 2000) - 1000);
    status = harness_ops()->put_if(m->store, key_of(k, name), gate_str_of(text), expected, fence,
                                   ttl, below(m, 50) == 0 ? GATE_PUT_SYNC : 0, &written, &m->err);
    if (!write_allowed(m, k, version, expected, fence)) {
        ck_assert_int_eq(status, GATE_ECONFLICT);
        return;
    }
    ck_assert_msg(status == GATE_OK, "%s", m->err.message);
    ck_assert_uint_gt(written, m->newest);
    m->newest = written;
    *e = (struct entry){.present = true, .counter = number, .version = written};
    memcpy(e->text, text, sizeof text);
    e->expires_ms = ttl == 0 ? 0 : harness_now + ttl;
}

static void do_delete(struct model *m, unsigned k)
{
    const uint64_t version = do_get(m, k), expected = random_expected(m, version),
                   fence = random_fence(m, k);
    char name[16];
    const enum gate_status status =
        harness_ops()->delete_if(m->store, key_of(k, name), expected, fence, &m->err);

    if (!write_allowed(m, k, version, expected, fence)) {
        ck_assert_int_eq(status, GATE_ECONFLICT);
        return;
    }
    ck_assert_msg(status == GATE_OK, "%s", m->err.message);
    m->now.entries[k].present = false;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a == 0 || b == 0 ? 0 : a > b ? a : b;
}

static void do_add(struct model *m, unsigned k)
{
    struct entry *e = &m->now.entries[k];
    const int64_t delta = (int64_t)below(m, 200) - 100;
    const uint64_t ttl = random_ttl(m), expires = ttl == 0 ? 0 : harness_now + ttl;
    const bool read = below(m, 3) == 0, refused = alive(e) && !e->counter;
    char name[16];
    int64_t sum = 0;
    const enum gate_status status =
        harness_ops()->add(m->store, key_of(k, name), delta, ttl, read ? &sum : NULL, &m->err);

    ck_assert_msg(status == (refused && read ? GATE_EINVAL : GATE_OK), "%s", m->err.message);
    if (refused) {
        if (!read)
            e->expires_ms = later(e->expires_ms, expires);
        return;
    }
    if (!alive(e)) {
        *e = (struct entry){.present = true, .counter = true, .expires_ms = expires};
        snprintf(e->text, sizeof e->text, "%lld", (long long)delta);
    } else {
        snprintf(e->text, sizeof e->text, "%lld", strtoll(e->text, NULL, 10) + (long long)delta);
        e->expires_ms = later(e->expires_ms, expires);
    }
    e->version = 0;
    e->floor = m->newest;
    if (read)
        ck_assert_int_eq(sum, strtoll(e->text, NULL, 10));
}

static void do_lease(struct model *m, unsigned k)
{
    static const char *const owners[OWNERS] = {"ann", "ben", "cat"};
    const struct gate_storage_ops *ops = harness_ops();
    struct lease *l = &m->now.leases[k];
    const int who = (int)below(m, OWNERS);
    const bool held = l->owner >= 0 && l->expires_ms > harness_now, mine = held && l->owner == who;
    const uint64_t ttl = 1 + below(m, MAX_TTL_MS), what = below(m, 4);
    const struct gate_str owner = gate_str_of(owners[who]);
    char name[16];
    uint64_t fence = 0;
    enum gate_status status;

    key_of(k, name);
    if (what == 0) {
        status = ops->lease_release(m->store, gate_str_of(name), owner, &m->err);
        ck_assert_int_eq(status, mine ? GATE_OK : GATE_ECONFLICT);
        if (mine)
            l->owner = -1;
        return;
    }
    if (what == 1) {
        status = ops->lease_renew(m->store, gate_str_of(name), owner, ttl, &m->err);
        ck_assert_int_eq(status, mine ? GATE_OK : GATE_ECONFLICT);
    } else {
        status = ops->lease_acquire(m->store, gate_str_of(name), owner, ttl, &fence, &m->err);
        ck_assert_int_eq(status, held && !mine ? GATE_ECONFLICT : GATE_OK);
        if (status == GATE_OK) {
            l->fence += mine ? 0 : 1;
            ck_assert_uint_eq(fence, l->fence);
        }
    }
    if (status != GATE_OK)
        return;
    l->owner = who;
    l->expires_ms = harness_now + ttl;
}

struct scan {
    struct model *m;
    unsigned next, to; /* the keys that are still to come */
    size_t seen, limit;
};

static bool on_record(void *ctx, const struct gate_record *r)
{
    struct scan *s = ctx;
    char name[16];

    while (s->next < s->to && !alive(&s->m->now.entries[s->next]))
        s->next++;
    ck_assert_uint_lt(s->next, s->to);
    ck_assert(gate_str_eq(r->key, key_of(s->next, name)));
    check_record(s->m, &s->m->now.entries[s->next++], r);
    s->seen++;
    return true;
}

static void do_scan(struct model *m)
{
    struct scan s = {.m = m, .next = (unsigned)below(m, KEYS), .limit = below(m, KEYS)};
    char from[16], to[16];

    s.to = s.next + (unsigned)below(m, KEYS + 1 - s.next);
    ck_assert_int_eq(harness_ops()->scan(m->store, key_of(s.next, from), key_of(s.to, to), s.limit,
                                         on_record, &s, &m->err),
                     GATE_OK);
    while (s.next < s.to && !alive(&m->now.entries[s.next]))
        s.next++;
    ck_assert(s.seen == s.limit || s.next == s.to);
}

static void do_batch(struct model *m)
{
    const struct gate_storage_ops *ops = harness_ops();

    if (!m->in_batch) {
        ck_assert_int_eq(ops->batch_begin(m->store, &m->err), GATE_OK);
        m->before = m->now;
        m->in_batch = true;
        return;
    }
    m->in_batch = false;
    if (below(m, 3) == 0) {
        ops->batch_abort(m->store);
        m->now = m->before;
        return;
    }
    ck_assert_int_eq(ops->batch_commit(m->store, below(m, 20) == 0 ? GATE_PUT_SYNC : 0, &m->err),
                     GATE_OK);
}

static void do_reopen(struct model *m)
{
    harness_ops()->close(m->store);
    m->store = harness_open(m->dir.db);
    if (m->in_batch)
        m->now = m->before;
    m->in_batch = false;
}

static void step(struct model *m)
{
    const unsigned k = (unsigned)below(m, KEYS), what = (unsigned)below(m, 13);

    harness_now += below(m, MAX_STEP_MS);
    m->done[what]++;
    if (below(m, REOPEN_EVERY) == 0)
        do_reopen(m);
    if (what < 3)
        do_put(m, k);
    else if (what < 4)
        do_delete(m, k);
    else if (what < 7)
        do_add(m, k);
    else if (what < 9)
        do_lease(m, k % LEASES);
    else if (what < 10)
        do_batch(m);
    else if (what < 11)
        do_scan(m);
    else
        (void)do_get(m, k);
}

START_TEST(test_model)
{
    const char *fixed = getenv("GATE_TEST_SEED");
    struct model *m = gate_calloc(1, sizeof *m);

    m->seed = fixed != NULL ? strtoull(fixed, NULL, 10) : (uint64_t)time(NULL);
    printf("model: %d steps, GATE_TEST_SEED=%llu\n", STEPS, (unsigned long long)m->seed);
    fflush(stdout);
    harness_now = HARNESS_START_MS;
    harness_dir_create(&m->dir);
    m->store = harness_open(m->dir.db);
    for (int i = 0; i < KEYS; i++)
        m->now.leases[i].owner = -1;
    for (int i = 0; i < STEPS; i++)
        step(m);
    for (unsigned k = 0; k < KEYS; k++)
        (void)do_get(m, k);
    harness_ops()->close(m->store);
    harness_dir_remove(&m->dir);
    free(m);
}
END_TEST

void harness_add_model(Suite *s)
{
    TCase *t = tcase_create("model");

    tcase_set_timeout(t, 300);
    tcase_add_test(t, test_model);
    suite_add_tcase(s, t);
}
