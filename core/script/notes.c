/* Counters that all workers share, and each worker's key-value store. */
#include "script/notes.h"

#include "base/buf.h"
#include "base/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == ':' || c == '-';
}

/* FNV-1a with a seed, then a mix so that the low bits depend on all bytes. */
static uint64_t hash_of(struct gate_str s, uint64_t seed)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * UINT64_C(0x100000001b3);
    h = (h ^ (h >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    return h ^ (h >> 33);
}

/* ---------------------------------------------------------------- counters */

enum { COUNTER_SLOTS = 2 * GATE_COUNTERS_MAX };

struct counter {
    _Atomic int64_t value;
    size_t len;
    char name[GATE_COUNTER_NAME + 1];
};

/* A counter is written once, then published by its slot; it is never taken away. So whoever finds
 * its number in a slot may read its name without a lock. */
struct gate_counters {
    pthread_mutex_t adding;
    _Atomic size_t count;
    _Atomic uint16_t slots[COUNTER_SLOTS]; /* number of a counter + 1; 0: free */
    struct counter counters[GATE_COUNTERS_MAX];
};

struct gate_counters *gate_counters_create(void)
{
    struct gate_counters *c = gate_calloc(1, sizeof *c);
    pthread_mutex_init(&c->adding, NULL);
    return c;
}

void gate_counters_destroy(struct gate_counters *c)
{
    if (c == NULL)
        return;
    pthread_mutex_destroy(&c->adding);
    free(c);
}

/* The counter, or NULL and the slot where its number would go. */
static struct counter *find_counter(struct gate_counters *c, struct gate_str name, size_t *slot)
{
    for (*slot = hash_of(name, 0) % COUNTER_SLOTS;; *slot = (*slot + 1) % COUNTER_SLOTS) {
        uint16_t number = atomic_load_explicit(&c->slots[*slot], memory_order_acquire);
        if (number == 0)
            return NULL;
        struct counter *counter = &c->counters[number - 1];
        if (counter->len == name.len && memcmp(counter->name, name.ptr, name.len) == 0)
            return counter;
    }
}

static bool is_counter_name(struct gate_str name)
{
    if (name.len == 0 || name.len > GATE_COUNTER_NAME)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!is_name_byte(name.ptr[i]))
            return false;
    }
    return true;
}

/* NULL: there are too many. */
static struct counter *make_counter(struct gate_counters *c, struct gate_str name)
{
    size_t slot;
    pthread_mutex_lock(&c->adding);
    struct counter *counter = find_counter(c, name, &slot); /* another thread may have been first */
    size_t count = atomic_load_explicit(&c->count, memory_order_relaxed);
    if (counter == NULL && count < GATE_COUNTERS_MAX) {
        counter = &c->counters[count];
        memcpy(counter->name, name.ptr, name.len);
        counter->len = name.len;
        atomic_store_explicit(&c->count, count + 1, memory_order_release);
        atomic_store_explicit(&c->slots[slot], (uint16_t)(count + 1), memory_order_release);
    }
    pthread_mutex_unlock(&c->adding);
    return counter;
}

enum gate_status gate_counters_add(struct gate_counters *c, struct gate_str name, int64_t delta,
                                   int64_t *value)
{
    size_t slot;
    *value = 0;
    if (!is_counter_name(name))
        return GATE_EINVAL;
    struct counter *counter = find_counter(c, name, &slot);
    if (counter == NULL && delta == 0)
        return GATE_OK;
    if (counter == NULL)
        counter = make_counter(c, name);
    if (counter == NULL)
        return GATE_ELIMIT;
    if (delta == 0) {
        *value = atomic_load_explicit(&counter->value, memory_order_relaxed);
        return GATE_OK;
    }
    int64_t old = atomic_fetch_add_explicit(&counter->value, delta, memory_order_relaxed);
    *value = (int64_t)((uint64_t)old + (uint64_t)delta); /* wraps as the atomic does */
    return GATE_OK;
}

void gate_counters_each(const struct gate_counters *c,
                        void (*cb)(void *ctx, const char *name, int64_t value), void *ctx)
{
    size_t count = atomic_load_explicit(&c->count, memory_order_acquire);
    for (size_t i = 0; i < count; i++)
        cb(ctx, c->counters[i].name,
           atomic_load_explicit(&c->counters[i].value, memory_order_relaxed));
}

/* ---------------------------------------------------------------- key-value */

enum { KV_BUCKETS = 2 * GATE_KV_MAX };

/* Numbers of entries + 1 in all links, so that zeroed memory is an empty store; 0: none. */
struct kv_entry {
    uint64_t hash;
    uint64_t ends_ms; /* 0: never */
    char *bytes;      /* owned; the key, then the string */
    uint32_t capacity;
    uint16_t key_len;
    uint16_t next_in_bucket; /* of a free entry: the next free one */
    uint16_t newer, older;
    struct gate_kv_value value; /* its string is behind the key; only the length is kept here */
};

struct gate_kv {
    uint64_t seed;
    uint16_t buckets[KV_BUCKETS];
    uint16_t newest, oldest;
    uint16_t free;  /* entries that were used before */
    uint16_t begun; /* entries that were ever used */
    struct kv_entry entries[GATE_KV_MAX];
};

struct gate_kv *gate_kv_create(void)
{
    struct gate_kv *kv = gate_calloc(1, sizeof *kv);
    gate_random_bytes(&kv->seed, sizeof kv->seed);
    return kv;
}

void gate_kv_destroy(struct gate_kv *kv)
{
    if (kv == NULL)
        return;
    for (size_t i = 0; i < kv->begun; i++)
        free(kv->entries[i].bytes);
    free(kv);
}

static struct kv_entry *entry_of(struct gate_kv *kv, uint16_t number)
{
    return number != 0 ? &kv->entries[number - 1] : NULL;
}

static uint16_t number_of(const struct gate_kv *kv, const struct kv_entry *e)
{
    return (uint16_t)(e - kv->entries + 1);
}

static void unlink_age(struct gate_kv *kv, struct kv_entry *e)
{
    struct kv_entry *newer = entry_of(kv, e->newer), *older = entry_of(kv, e->older);
    *(newer != NULL ? &newer->older : &kv->newest) = e->older;
    *(older != NULL ? &older->newer : &kv->oldest) = e->newer;
}

static void link_newest(struct gate_kv *kv, struct kv_entry *e)
{
    struct kv_entry *second = entry_of(kv, kv->newest);
    e->newer = 0;
    e->older = kv->newest;
    kv->newest = number_of(kv, e);
    *(second != NULL ? &second->newer : &kv->oldest) = kv->newest;
}

static void remove_entry(struct gate_kv *kv, struct kv_entry *e)
{
    uint16_t number = number_of(kv, e), *link = &kv->buckets[e->hash % KV_BUCKETS];
    while (*link != number)
        link = &kv->entries[*link - 1].next_in_bucket;
    *link = e->next_in_bucket;
    unlink_age(kv, e);
    free(e->bytes);
    *e = (struct kv_entry){.next_in_bucket = kv->free};
    kv->free = number;
}

/* The living entry of a key, now the newest; NULL: none. */
static struct kv_entry *find_entry(struct gate_kv *kv, struct gate_str key, uint64_t hash,
                                   uint64_t now_ms)
{
    struct kv_entry *e = entry_of(kv, kv->buckets[hash % KV_BUCKETS]);
    while (e != NULL && (e->hash != hash || e->key_len != key.len ||
                         (key.len > 0 && memcmp(e->bytes, key.ptr, key.len) != 0)))
        e = entry_of(kv, e->next_in_bucket);
    if (e != NULL && e->ends_ms != 0 && e->ends_ms <= now_ms) {
        remove_entry(kv, e);
        return NULL;
    }
    if (e != NULL && kv->newest != number_of(kv, e)) {
        unlink_age(kv, e);
        link_newest(kv, e);
    }
    return e;
}

static struct kv_entry *make_entry(struct gate_kv *kv, struct gate_str key, uint64_t hash)
{
    if (kv->free == 0 && kv->begun == GATE_KV_MAX)
        remove_entry(kv, entry_of(kv, kv->oldest));
    struct kv_entry *e = entry_of(kv, kv->free);
    if (e != NULL)
        kv->free = e->next_in_bucket;
    else
        e = &kv->entries[kv->begun++];
    uint16_t *bucket = &kv->buckets[hash % KV_BUCKETS];
    *e = (struct kv_entry){.hash = hash,
                           .bytes = gate_alloc(key.len + 1),
                           .capacity = (uint32_t)key.len + 1,
                           .key_len = (uint16_t)key.len,
                           .next_in_bucket = *bucket};
    if (key.len > 0)
        memcpy(e->bytes, key.ptr, key.len);
    *bucket = number_of(kv, e);
    link_newest(kv, e);
    return e;
}

static void put_value(struct kv_entry *e, const struct gate_kv_value *value)
{
    e->value = *value;
    e->value.string.ptr = NULL;
    if (value->type != GATE_KV_STRING)
        return;
    size_t need = e->key_len + value->string.len + 1;
    if (need > e->capacity) {
        e->bytes = gate_realloc(e->bytes, need);
        e->capacity = (uint32_t)need;
    }
    if (value->string.len > 0)
        memcpy(e->bytes + e->key_len, value->string.ptr, value->string.len);
}

struct gate_kv_value gate_kv_get(struct gate_kv *kv, struct gate_str key, uint64_t now_ms)
{
    const struct kv_entry *e = find_entry(kv, key, hash_of(key, kv->seed), now_ms);
    if (e == NULL)
        return (struct gate_kv_value){.type = GATE_KV_NONE};
    struct gate_kv_value value = e->value;
    if (value.type == GATE_KV_STRING)
        value.string.ptr = e->bytes + e->key_len;
    return value;
}

void gate_kv_set(struct gate_kv *kv, struct gate_str key, const struct gate_kv_value *value,
                 uint64_t ttl_ms, uint64_t now_ms)
{
    uint64_t hash = hash_of(key, kv->seed);
    struct kv_entry *e = find_entry(kv, key, hash, now_ms);
    if (value->type == GATE_KV_NONE) {
        if (e != NULL)
            remove_entry(kv, e);
        return;
    }
    if (e == NULL)
        e = make_entry(kv, key, hash);
    put_value(e, value);
    e->ends_ms = ttl_ms > 0 ? now_ms + ttl_ms : 0;
}

/* Whole numbers stay whole and wrap, as they do in Lua. */
static struct gate_kv_value sum_of(const struct gate_kv_value *a, const struct gate_kv_value *b)
{
    if (a->type == GATE_KV_INTEGER && b->type == GATE_KV_INTEGER)
        return (struct gate_kv_value){.type = GATE_KV_INTEGER,
                                      .integer =
                                          (int64_t)((uint64_t)a->integer + (uint64_t)b->integer)};
    return (struct gate_kv_value){
        .type = GATE_KV_NUMBER,
        .number = (a->type == GATE_KV_INTEGER ? (double)a->integer : a->number) +
                  (b->type == GATE_KV_INTEGER ? (double)b->integer : b->number)};
}

bool gate_kv_add(struct gate_kv *kv, struct gate_str key, const struct gate_kv_value *delta,
                 uint64_t ttl_ms, uint64_t now_ms, struct gate_kv_value *sum)
{
    uint64_t hash = hash_of(key, kv->seed);
    struct kv_entry *e = find_entry(kv, key, hash, now_ms);
    if (e == NULL) {
        e = make_entry(kv, key, hash);
        e->value = *delta;
        e->ends_ms = ttl_ms > 0 ? now_ms + ttl_ms : 0;
    } else if (e->value.type == GATE_KV_INTEGER || e->value.type == GATE_KV_NUMBER) {
        e->value = sum_of(&e->value, delta);
    } else {
        *sum = e->value;
        return false;
    }
    *sum = e->value;
    return true;
}
