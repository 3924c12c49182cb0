/* The last two hours of each account, in memory: the list of accounts shows them, and asks too
 * often to read storage each time. What is older than the process comes from the hours in storage,
 * once for each account, before anything new of it is counted. */
#include "base/clock.h"
#include "record/audit_internal.h"
#include <pthread.h>
#include <stdlib.h>

enum {
    MAX_ACCOUNTS = 8192, /* those that left since the start included; what is more has no spark */
    SLOTS = 2 * MAX_ACCOUNTS,
    FIVE = GATE_SPARK_MINUTES,
};

struct spark {
    uint32_t last;                      /* fives since the epoch: what the newest count is of */
    uint32_t counts[GATE_SPARK_POINTS]; /* a ring: count of five f at f % GATE_SPARK_POINTS */
    uint32_t hash;
    uint8_t len;
    char account[GATE_AUDIT_MAX_ACCOUNT];
};

struct gate_sparks {
    pthread_mutex_t lock; /* the store thread writes, others read */
    struct spark **list;  /* count of them */
    size_t count, room;
    uint16_t slots[SLOTS]; /* index + 1; 0: free */
};

struct gate_sparks *gate_sparks_create(void)
{
    struct gate_sparks *k = gate_calloc(1, sizeof *k);
    pthread_mutex_init(&k->lock, NULL);
    return k;
}

void gate_sparks_destroy(struct gate_sparks *k)
{
    for (size_t i = 0; i < k->count; i++)
        free(k->list[i]);
    free(k->list);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

static uint32_t hash_of(struct gate_str s)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * 16777619u;
    return h;
}

/* Lock held. NULL: not known; *slot is where it would be. */
static struct spark *find(const struct gate_sparks *k, struct gate_str account, size_t *slot)
{
    uint32_t hash = hash_of(account);
    size_t at = hash % SLOTS;
    for (; k->slots[at] != 0; at = (at + 1) % SLOTS) {
        struct spark *s = k->list[k->slots[at] - 1];
        if (s->hash == hash && gate_str_eq(account, (struct gate_str){s->account, s->len}))
            return s;
    }
    *slot = at;
    return NULL;
}

static void add(struct spark *s, uint32_t five, uint64_t count)
{
    if (five > s->last) {
        uint32_t steps = five - s->last;
        for (uint32_t i = 1; i <= steps && i <= GATE_SPARK_POINTS; i++)
            s->counts[(s->last + i) % GATE_SPARK_POINTS] = 0;
        s->last = five;
    }
    if (s->last - five < GATE_SPARK_POINTS)
        s->counts[five % GATE_SPARK_POINTS] += (uint32_t)count;
}

/* Store thread. A spark with what storage knows of the two hours before `five`. */
static struct spark *read_spark(struct gate_storage *storage, struct gate_str account,
                                uint32_t five)
{
    struct gate_series_stored hour;
    struct spark *s = gate_calloc(1, sizeof *s);
    uint32_t first = five < GATE_SPARK_POINTS ? 0 : five - GATE_SPARK_POINTS + 1;
    s->hash = hash_of(account);
    s->len = (uint8_t)account.len;
    memcpy(s->account, account.ptr, account.len);
    for (uint32_t at = first / GATE_SERIES_FIVES; at <= five / GATE_SERIES_FIVES; at++) {
        if (gate_series_get(storage, GATE_SERIES_HOUR, account, at * GATE_AUDIT_HOUR, &hour) !=
            GATE_OK)
            continue;
        for (uint32_t i = 0; i < GATE_SERIES_FIVES; i++)
            if (hour.fives[i] > 0)
                add(s, at * GATE_SERIES_FIVES + i, hour.fives[i]);
    }
    return s;
}

/* Store thread, which alone adds accounts. NULL: too many. */
static struct spark *spark_of(struct gate_sparks *k, struct gate_storage *storage,
                              struct gate_str account, uint32_t five)
{
    size_t slot;
    pthread_mutex_lock(&k->lock);
    struct spark *s = find(k, account, &slot);
    pthread_mutex_unlock(&k->lock);
    if (s != NULL || k->count == MAX_ACCOUNTS || account.len > GATE_AUDIT_MAX_ACCOUNT)
        return s;
    s = read_spark(storage, account, five);
    pthread_mutex_lock(&k->lock);
    if (k->count == k->room) {
        k->room = 2 * k->room + 16;
        k->list = gate_realloc(k->list, k->room * sizeof k->list[0]);
    }
    k->list[k->count++] = s;
    k->slots[slot] = (uint16_t)k->count;
    pthread_mutex_unlock(&k->lock);
    return s;
}

void gate_sparks_count(struct gate_sparks *k, struct gate_storage *s, struct gate_str account,
                       uint32_t minute, uint64_t count)
{
    uint32_t five = minute / FIVE, now = gate_audit_minute(gate_clock_wall_ms()) / FIVE;
    struct spark *spark = spark_of(k, s, account, five);
    if (spark == NULL)
        return;
    pthread_mutex_lock(&k->lock);
    if (five <= now && spark->last > now + 1) { /* the clock was set back */
        memset(spark->counts, 0, sizeof spark->counts);
        spark->last = five;
    }
    add(spark, five, count);
    pthread_mutex_unlock(&k->lock);
}

/* ---------------------------------------------------------------- for those who show them */

struct loading {
    struct gate_sparks *sparks;
    const struct gate_str *accounts;
    size_t count;
    uint32_t five;
};

static void load(struct gate_storage *s, void *arg)
{
    struct loading *l = arg;
    for (size_t i = 0; i < l->count; i++)
        spark_of(l->sparks, s, l->accounts[i], l->five);
}

void gate_audit_sparks_load(struct gate_audit *a, const struct gate_str *accounts, size_t count)
{
    struct gate_sparks *k = gate_audit_sparks(a);
    bool missing = false;
    size_t slot;
    pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < count && k->count < MAX_ACCOUNTS && !missing; i++)
        missing = find(k, accounts[i], &slot) == NULL;
    pthread_mutex_unlock(&k->lock);
    struct loading l = {k, accounts, count, gate_audit_minute(gate_clock_wall_ms()) / FIVE};
    if (missing)
        gate_store_call(gate_audit_store(a), load, &l);
}

void gate_audit_spark(const struct gate_audit *a, struct gate_str account, uint64_t now_ms,
                      uint32_t out[GATE_SPARK_POINTS])
{
    struct gate_sparks *k = gate_audit_sparks(a);
    uint32_t now = gate_audit_minute(now_ms) / FIVE;
    size_t slot;
    memset(out, 0, GATE_SPARK_POINTS * sizeof out[0]);
    pthread_mutex_lock(&k->lock);
    const struct spark *s = find(k, account, &slot);
    for (uint32_t i = 0; s != NULL && i < GATE_SPARK_POINTS && i <= now; i++) {
        uint32_t five = now - i;
        if (five <= s->last && s->last - five < GATE_SPARK_POINTS)
            out[GATE_SPARK_POINTS - 1 - i] = s->counts[five % GATE_SPARK_POINTS];
    }
    pthread_mutex_unlock(&k->lock);
}
