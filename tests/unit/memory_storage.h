/*
 * memory_storage: a storage plugin that keeps its records in memory, for unit tests of whatever
 * stands on core/record/store.h. Complete: versions, fences, leases, times to live, batches, scans;
 * no checkpoint. It can be told to fail.
 *
 *     struct memory_storage memory;
 *     memory_storage_init(&memory);
 *     struct gate_value value = memory_storage_value(&memory);
 *     struct gate_store *store;
 *     gate_store_open(&memory_storage_plugin, &value, "memory", 0, &store, &err);
 *     ...
 *     gate_store_close(store);
 *     memory_storage_finish(&memory);
 *
 * The records live in `memory`, not in the store: closing and opening again is a restart, and two
 * stores may be open at once (two gateways on one storage). Every function below may be called from
 * any thread, while stores are open.
 *
 * As in storage_rocksdb: a counter is a record whose value is its sum in decimal; an addition never
 * shortens a life; writes of a batch are seen by reads inside it; a batch whose commit fails is
 * over. gate_store_open refuses records without a schema: whoever prepares some before it also
 * writes GATE_KEY_SCHEMA "1".
 */
#ifndef GATE_TEST_MEMORY_STORAGE_H
#define GATE_TEST_MEMORY_STORAGE_H

#include "memory_records.h"

static inline void memory_storage_init(struct memory_storage *m)
{
    memset(m, 0, sizeof *m);
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&m->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    m->status = GATE_EIO;
}

/* All stores must be closed. */
static inline void memory_storage_finish(struct memory_storage *m)
{
    for (size_t i = 0; i < m->count; i++) {
        memory_entry_finish(m->entries[i]);
        free(m->entries[i]);
    }
    free(m->entries);
    for (struct memory_lease *lease = m->leases, *next; lease != NULL; lease = next) {
        next = lease->next;
        free(lease->name);
        free(lease->owner);
        free(lease);
    }
    pthread_mutex_destroy(&m->lock);
}

/* The value of the plugin's only option, which carries the memory into open. */
static inline struct gate_value memory_storage_value(struct memory_storage *m)
{
    return (struct gate_value){.present = true, .string = {(const char *)m, sizeof *m}};
}

/* From now on writes fail in this way, or no longer. */
static inline void memory_storage_set_mode(struct memory_storage *m, enum memory_storage_mode mode)
{
    pthread_mutex_lock(&m->lock);
    m->mode = mode;
    m->writes_until_fail = m->writes_until_one = 0;
    pthread_mutex_unlock(&m->lock);
}

/* Lets `writes` more writes through; behind them all fail, as MEMORY_STORAGE_FAIL_WRITES says. */
static inline void memory_storage_fail_after(struct memory_storage *m, uint64_t writes)
{
    pthread_mutex_lock(&m->lock);
    m->writes_until_fail = writes + 1;
    pthread_mutex_unlock(&m->lock);
}

/* Lets `writes` more writes through and fails one; behind it all is well again. */
static inline void memory_storage_fail_one(struct memory_storage *m, uint64_t writes)
{
    pthread_mutex_lock(&m->lock);
    m->writes_until_one = writes + 1;
    pthread_mutex_unlock(&m->lock);
}

/* Has open fail, or no longer. */
static inline void memory_storage_set_damaged(struct memory_storage *m, bool damaged)
{
    pthread_mutex_lock(&m->lock);
    m->damaged = damaged;
    pthread_mutex_unlock(&m->lock);
}

/* What a failing write returns; GATE_EIO unless it is set. */
static inline void memory_storage_set_status(struct memory_storage *m, enum gate_status status)
{
    pthread_mutex_lock(&m->lock);
    m->status = status;
    pthread_mutex_unlock(&m->lock);
}

/* The time that times to live and leases go by; 0: the wall clock again. */
static inline void memory_storage_set_now(struct memory_storage *m, uint64_t now_ms)
{
    pthread_mutex_lock(&m->lock);
    m->now_ms = now_ms;
    pthread_mutex_unlock(&m->lock);
}

/* ---- the plugin's functions */

static inline enum gate_status memory_ops_open(struct gate_str directory,
                                               const struct gate_value *values, void **out,
                                               struct gate_error *err)
{
    struct memory_storage *m = (struct memory_storage *)(uintptr_t)values[0].string.ptr;
    pthread_mutex_lock(&m->lock);
    bool fail = m->damaged;
    pthread_mutex_unlock(&m->lock);
    if (fail)
        return gate_fail(err, GATE_EIO, "storage in %.*s is damaged", (int)directory.len,
                         directory.ptr);
    *out = m;
    return GATE_OK;
}

static inline void memory_ops_close(void *store)
{
    (void)store;
}

static inline enum gate_status memory_ops_get(void *store, struct gate_str key,
                                              struct gate_record *out, struct gate_error *err)
{
    struct memory_storage *m = (struct memory_storage *)store;
    pthread_mutex_lock(&m->lock);
    const struct memory_entry *e = memory_storage_find(m, key);
    if (e != NULL) {
        out->key = (struct gate_str){gate_strdup(key), key.len};
        out->value =
            (struct gate_str){gate_strdup((struct gate_str){e->value, e->value_len}), e->value_len};
        out->version = e->version;
    }
    pthread_mutex_unlock(&m->lock);
    return e != NULL ? GATE_OK : gate_fail(err, GATE_ENOTFOUND, "memory storage: no such key");
}

static inline void memory_ops_record_release(void *store, struct gate_record *record)
{
    (void)store;
    free((void *)(uintptr_t)record->key.ptr);
    free((void *)(uintptr_t)record->value.ptr);
    memset(record, 0, sizeof *record);
}

static inline enum gate_status memory_ops_put_if(void *store, struct gate_str key,
                                                 struct gate_str value, uint64_t expected,
                                                 uint64_t fence, uint64_t ttl_ms, unsigned flags,
                                                 uint64_t *version, struct gate_error *err)
{
    struct memory_storage *m = (struct memory_storage *)store;
    pthread_mutex_lock(&m->lock);
    enum gate_status status = memory_storage_match(m, key, expected, fence, err);
    if (status == GATE_OK)
        status = memory_storage_admit(m, false, err);
    if (status == GATE_OK) {
        memory_storage_note(m, key);
        memory_storage_set(m, key, value, ++m->last_version,
                           ttl_ms != 0 ? memory_storage_now(m) + ttl_ms : 0);
        if (version != NULL)
            *version = m->last_version;
        m->syncs += (flags & GATE_PUT_SYNC) != 0;
    }
    pthread_mutex_unlock(&m->lock);
    return status;
}

static inline enum gate_status memory_ops_delete_if(void *store, struct gate_str key,
                                                    uint64_t expected, uint64_t fence,
                                                    struct gate_error *err)
{
    struct memory_storage *m = (struct memory_storage *)store;
    pthread_mutex_lock(&m->lock);
    enum gate_status status = memory_storage_match(m, key, expected, fence, err);
    if (status == GATE_OK)
        status = memory_storage_admit(m, false, err);
    if (status == GATE_OK) {
        memory_storage_note(m, key);
        memory_storage_remove(m, key);
    }
    pthread_mutex_unlock(&m->lock);
    return status;
}

static inline enum gate_status memory_ops_add(void *store, struct gate_str key, int64_t delta,
                                              uint64_t ttl_ms, int64_t *sum, struct gate_error *err)
{
    struct memory_storage *m = (struct memory_storage *)store;
    pthread_mutex_lock(&m->lock);
    const struct memory_entry *e = memory_storage_find(m, key);
    int64_t total;
    enum gate_status status = memory_storage_check_key(key, err);
    if (status == GATE_OK && !memory_storage_number(e, &total))
        status = gate_fail(err, GATE_EINVAL, "memory storage: not a counter");
    if (status == GATE_OK)
        status = memory_storage_admit(m, false, err);
    if (status == GATE_OK) {
        uint64_t expires_ms = ttl_ms != 0 ? memory_storage_now(m) + ttl_ms : 0;
        if (e != NULL && (e->expires_ms == 0 || expires_ms == 0))
            expires_ms = 0;
        else if (e != NULL && e->expires_ms > expires_ms)
            expires_ms = e->expires_ms;
        total = (int64_t)((uint64_t)total + (uint64_t)delta);
        char text[24];
        int len = snprintf(text, sizeof text, "%lld", (long long)total);
        memory_storage_note(m, key);
        memory_storage_set(m, key, (struct gate_str){text, (size_t)len}, ++m->last_version,
                           expires_ms);
        if (sum != NULL)
            *sum = total;
    }
    pthread_mutex_unlock(&m->lock);
    return status;
}

static inline enum gate_status memory_ops_lease_acquire(void *store, struct gate_str name,
                                                        struct gate_str owner, uint64_t ttl_ms,
                                                        uint64_t *fence, struct gate_error *err)
{
    struct memory_storage *m = (struct memory_storage *)store;
    pthread_mutex_lock(&m->lock);
    struct memory_lease *lease = memory_storage_lease(m, name);
    bool renewed = memory_storage_holds(m, lease, owner);
    bool vacant =
        lease == NULL || lease->owner == NULL || lease->expires_ms <= memory_storage_now(m);
    enum gate_status status =
        renewed || vacant
            ? memory_storage_admit(m, false, err)
            : gate_fail(err, GATE_ECONFLICT, "memory storage: held by %s", lease->owner);
    if (status == GATE_OK) {
        if (lease == NULL) {
            lease = (struct memory_lease *)gate_calloc(1, sizeof *lease);
            lease->name = gate_strdup(name);
            lease->next = m->leases;
            m->leases = lease;
        }
        free(lease->owner);
        lease->owner = gate_strdup(owner);
        lease->expires_ms = memory_storage_now(m) + ttl_ms;
        lease->fence += !renewed;
        *fence = lease->fence;
    }
    pthread_mutex_unlock(&m->lock);
    return status;
}

/* Renews (ttl_ms > 0) or gives back (0) what owner holds. */
static inline enum gate_status memory_storage_renew(struct memory_storage *m, struct gate_str name,
                                                    struct gate_str owner, uint64_t ttl_ms,
                                                    struct gate_error *err)
{
    pthread_mutex_lock(&m->lock);
    struct memory_lease *lease = memory_storage_lease(m, name);
    enum gate_status status =
        memory_storage_holds(m, lease, owner)
            ? memory_storage_admit(m, false, err)
            : gate_fail(err, GATE_ECONFLICT, "memory storage: the lease is not held");
    if (status == GATE_OK && ttl_ms > 0) {
        lease->expires_ms = memory_storage_now(m) + ttl_ms;
    } else if (status == GATE_OK) {
        free(lease->owner);
        lease->owner = NULL;
    }
    pthread_mutex_unlock(&m->lock);
    return status;
}

static inline enum gate_status memory_ops_lease_renew(void *store, struct gate_str name,
                                                      struct gate_str owner, uint64_t ttl_ms,
                                                      struct gate_error *err)
{
    return memory_storage_renew((struct memory_storage *)store, name, owner, ttl_ms, err);
}

static inline enum gate_status memory_ops_lease_release(void *store, struct gate_str name,
                                                        struct gate_str owner,
                                                        struct gate_error *err)
{
    return memory_storage_renew((struct memory_storage *)store, name, owner, 0, err);
}

static inline enum gate_status
memory_ops_scan(void *store, struct gate_str from, struct gate_str to, size_t limit,
                bool (*cb)(void *ctx, const struct gate_record *record), void *ctx,
                struct gate_error *err)
{
    (void)err;
    struct memory_storage *m = (struct memory_storage *)store;
    struct gate_buf key, value;
    gate_buf_init(&key, SIZE_MAX / 4);
    gate_buf_init(&value, SIZE_MAX / 4);
    gate_buf_append(&key, from);
    pthread_mutex_lock(&m->lock);
    for (size_t n = 0; n < limit; n++) {
        const struct memory_entry *e = memory_storage_next(m, gate_buf_str(&key), n > 0);
        if (e == NULL)
            break;
        bool ended;
        size_t end = memory_storage_at(m, to, &ended);
        bool found;
        if (to.len > 0 &&
            memory_storage_at(m, (struct gate_str){e->key, e->key_len}, &found) >= end)
            break;
        key.len = value.len = 0;
        gate_buf_append(&key, (struct gate_str){e->key, e->key_len});
        gate_buf_append(&value, (struct gate_str){e->value, e->value_len});
        struct gate_record record = {gate_buf_str(&key), gate_buf_str(&value), e->version};
        if (!cb(ctx, &record))
            break;
    }
    pthread_mutex_unlock(&m->lock);
    gate_buf_finish(&key);
    gate_buf_finish(&value);
    return GATE_OK;
}

static inline enum gate_status memory_ops_batch_begin(void *store, struct gate_error *err)
{
    struct memory_storage *m = (struct memory_storage *)store;
    pthread_mutex_lock(&m->lock); /* until the batch ends */
    if (m->in_batch) {
        pthread_mutex_unlock(&m->lock);
        return gate_fail(err, GATE_EINTERNAL, "memory storage: a batch inside a batch");
    }
    m->in_batch = true;
    return GATE_OK;
}

static inline enum gate_status memory_ops_batch_commit(void *store, unsigned flags,
                                                       struct gate_error *err)
{
    struct memory_storage *m = (struct memory_storage *)store;
    enum gate_status status = GATE_EINTERNAL;
    pthread_mutex_lock(&m->lock); /* a batch of another thread holds it to its end */
    if (!m->in_batch) {
        gate_fail(err, status, "memory storage: no batch to commit");
    } else {
        status = memory_storage_admit(m, true, err);
        m->commits += status == GATE_OK;
        m->syncs += status == GATE_OK && (flags & GATE_PUT_SYNC) != 0;
        memory_storage_end_batch(m, status == GATE_OK);
    }
    pthread_mutex_unlock(&m->lock);
    return status;
}

static inline void memory_ops_batch_abort(void *store)
{
    struct memory_storage *m = (struct memory_storage *)store;
    pthread_mutex_lock(&m->lock);
    if (m->in_batch)
        memory_storage_end_batch(m, false);
    pthread_mutex_unlock(&m->lock);
}

static const struct gate_storage_ops memory_storage_ops = {
    .size = sizeof(struct gate_storage_ops),
    .open = memory_ops_open,
    .close = memory_ops_close,
    .get = memory_ops_get,
    .record_release = memory_ops_record_release,
    .put_if = memory_ops_put_if,
    .delete_if = memory_ops_delete_if,
    .add = memory_ops_add,
    .lease_acquire = memory_ops_lease_acquire,
    .lease_renew = memory_ops_lease_renew,
    .lease_release = memory_ops_lease_release,
    .scan = memory_ops_scan,
    .batch_begin = memory_ops_batch_begin,
    .batch_commit = memory_ops_batch_commit,
    .batch_abort = memory_ops_batch_abort,
};

static const struct gate_option memory_storage_options[] = {
    {.name = "memory", .type = GATE_OPTION_STRING, .help = "what memory_storage_value gives"},
};

static const struct gate_plugin memory_storage_plugin = {
    GATE_PLUGIN_HEADER(GATE_KIND_STORAGE),
    .name = "memory",
    .version = "1",
    .summary = "records in memory, for tests",
    .options = memory_storage_options,
    .option_count = 1,
    .ops = &memory_storage_ops,
};

/* ---- looking at it and preparing it from the test; not counted as writes, never fail */

/* The value of key, terminated by NUL and owned by the caller (free); NULL: absent. */
static inline char *memory_storage_read(struct memory_storage *m, const char *key, size_t *len)
{
    pthread_mutex_lock(&m->lock);
    const struct memory_entry *e = memory_storage_find(m, gate_str_of(key));
    char *copy = e != NULL ? gate_strdup((struct gate_str){e->value, e->value_len}) : NULL;
    if (len != NULL)
        *len = e != NULL ? e->value_len : 0;
    pthread_mutex_unlock(&m->lock);
    return copy;
}

/* The sum of a counter; 0: absent. */
static inline int64_t memory_storage_counter(struct memory_storage *m, const char *key)
{
    pthread_mutex_lock(&m->lock);
    int64_t sum;
    memory_storage_number(memory_storage_find(m, gate_str_of(key)), &sum);
    pthread_mutex_unlock(&m->lock);
    return sum;
}

static inline void memory_storage_write(struct memory_storage *m, const char *key,
                                        struct gate_str value)
{
    pthread_mutex_lock(&m->lock);
    memory_storage_set(m, gate_str_of(key), value, ++m->last_version, 0);
    pthread_mutex_unlock(&m->lock);
}

/* How many keys that have not expired start with prefix. */
static inline size_t memory_storage_count(struct memory_storage *m, const char *prefix)
{
    size_t count = 0;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->count; i++) {
        const struct memory_entry *e = m->entries[i];
        bool expired = e->expires_ms != 0 && e->expires_ms <= memory_storage_now(m);
        count +=
            !expired && gate_str_starts((struct gate_str){e->key, e->key_len}, gate_str_of(prefix));
    }
    pthread_mutex_unlock(&m->lock);
    return count;
}

/* Batches that were committed, single writes, and writes or commits with GATE_PUT_SYNC so far. */
struct memory_storage_numbers {
    uint64_t commits, writes, syncs;
};

static inline struct memory_storage_numbers memory_storage_numbers(struct memory_storage *m)
{
    pthread_mutex_lock(&m->lock);
    struct memory_storage_numbers numbers = {m->commits, m->writes, m->syncs};
    pthread_mutex_unlock(&m->lock);
    return numbers;
}

#endif
