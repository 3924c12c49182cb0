#include "record/journal.h"
#include "base/clock.h"
#include "record/journal_internal.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { DAY_MS = 24 * 3600 * 1000 };

/* No gateway numbers so many: what has a larger number in storage is damage. */
static const uint64_t MAX_NUMBER = UINT64_C(1) << 56;

/* What stands before each record in a batch. */
struct item {
    uint64_t at_ms;
    uint32_t name, bytes; /* lengths */
};

struct gate_journal_batch {
    _Alignas(64) pthread_mutex_t lock; /* of active and len; held for one record, or for a swap */
    char *active;                      /* the worker adds here */
    size_t len;
    char *spare; /* the store thread's */
    struct gate_journal *journal;
    struct gate_journal_batch *next; /* journal->lock */
    bool ended;                      /* journal->lock: to be collected once more and freed */
};

/* A chunk that is in storage. */
struct stored {
    uint64_t first;
    uint32_t count, bytes;
};

struct gate_journal {
    uint64_t kept_ms;
    atomic_ullong dropped;
    pthread_mutex_t lock; /* of the list; workers do not take it */
    struct gate_journal_batch *batches;
    /* Store thread. */
    bool loaded; /* what storage holds is known */
    uint64_t next_number, high_ms;
    struct stored *stored; /* oldest first */
    size_t stored_count, stored_room;
    struct gate_journal_chunk *pending, **last_pending;
    size_t count, bytes; /* of all, pending ones included */
    size_t surplus;      /* stored chunks that the flush under way removes */
};

/* ---------------------------------------------------------------- batches */

struct gate_journal_batch *gate_journal_batch_create(struct gate_journal *j)
{
    struct gate_journal_batch *b = aligned_alloc(64, sizeof *b);
    if (b == NULL)
        abort();
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    /* Their memory is touched only as far as it was used. */
    b->active = gate_alloc(GATE_JOURNAL_BATCH_BYTES);
    b->spare = gate_alloc(GATE_JOURNAL_BATCH_BYTES);
    b->journal = j;
    pthread_mutex_lock(&j->lock);
    b->next = j->batches;
    j->batches = b;
    pthread_mutex_unlock(&j->lock);
    return b;
}

void gate_journal_batch_destroy(struct gate_journal_batch *b)
{
    if (b == NULL)
        return;
    pthread_mutex_lock(&b->journal->lock);
    b->ended = true;
    pthread_mutex_unlock(&b->journal->lock);
}

static void batch_free(struct gate_journal_batch *b)
{
    free(b->active);
    free(b->spare);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

void gate_journal_add(struct gate_journal_batch *b, uint64_t at_ms, struct gate_str name,
                      struct gate_str bytes)
{
    size_t name_len = name.len < GATE_JOURNAL_MAX_NAME ? name.len : GATE_JOURNAL_MAX_NAME;
    const struct item item = {at_ms, (uint32_t)name_len, (uint32_t)bytes.len};
    size_t len = sizeof item + name_len + bytes.len;
    if (bytes.len == 0 || bytes.len > GATE_JOURNAL_MAX_RECORD)
        return;
    pthread_mutex_lock(&b->lock);
    bool fits = GATE_JOURNAL_BATCH_BYTES - b->len >= len;
    if (fits) {
        char *out = b->active + b->len;
        memcpy(out, &item, sizeof item);
        if (name_len > 0)
            memcpy(out + sizeof item, name.ptr, name_len);
        memcpy(out + sizeof item + name_len, bytes.ptr, bytes.len);
        b->len += len;
    }
    pthread_mutex_unlock(&b->lock);
    if (!fits)
        atomic_fetch_add_explicit(&b->journal->dropped, 1, memory_order_relaxed);
}

uint64_t gate_journal_dropped(const struct gate_journal *j)
{
    return atomic_load_explicit(&j->dropped, memory_order_relaxed);
}

/* ---------------------------------------------------------------- what storage holds */

static void note_stored(struct gate_journal *j, const struct gate_journal_head *head, size_t bytes)
{
    if (j->stored_count == j->stored_room) {
        j->stored_room = 2 * j->stored_room + 64;
        j->stored = gate_realloc(j->stored, j->stored_room * sizeof j->stored[0]);
    }
    j->stored[j->stored_count++] = (struct stored){head->first, head->count, (uint32_t)bytes};
}

/* Scans give the newest first. What is damaged, or another version wrote, counts by its key only:
 * no new chunk may take its place. */
static bool load_one(void *ctx, const struct gate_record *record)
{
    struct gate_journal *j = ctx;
    struct gate_journal_head head;
    uint64_t first;
    if (!gate_journal_key_read(record->key, &first) || first > MAX_NUMBER)
        return true;
    bool good = gate_journal_head_read(record->value, &head) && head.first == first;
    uint64_t next = first + (good ? head.count : GATE_JOURNAL_CHUNK_COUNT);
    if (next > j->next_number)
        j->next_number = next;
    if (!good)
        return true;
    note_stored(j, &head, record->value.len);
    j->count += head.count;
    j->bytes += record->value.len;
    if (head.high_ms > j->high_ms)
        j->high_ms = head.high_ms;
    return true;
}

static bool load(struct gate_journal *j, struct gate_storage *s)
{
    j->stored_count = j->count = j->bytes = 0;
    j->next_number = j->high_ms = 0;
    if (gate_storage_scan(s, GATE_STR(GATE_KEY_REQUESTS), load_one, j, NULL) != GATE_OK)
        return false;
    for (size_t i = 0; i < j->stored_count / 2; i++) {
        struct stored newer = j->stored[i];
        j->stored[i] = j->stored[j->stored_count - 1 - i];
        j->stored[j->stored_count - 1 - i] = newer;
    }
    j->loaded = true;
    return true;
}

/* ---------------------------------------------------------------- collecting; store thread */

const struct gate_journal_chunk *gate_journal_pending(const struct gate_journal *j)
{
    return j->pending;
}

static void collect_record(struct gate_journal *j, struct gate_journal_chunk **open, uint64_t at_ms,
                           struct gate_str name, struct gate_str bytes)
{
    if (*open == NULL || !gate_journal_chunk_add(*open, at_ms, name, bytes)) {
        *open = gate_journal_chunk_create(j->next_number, j->high_ms);
        gate_journal_chunk_add(*open, at_ms, name, bytes);
        *j->last_pending = *open;
        j->last_pending = &(*open)->next;
    }
    j->next_number++;
    j->high_ms = (*open)->head.high_ms;
}

static void collect_batch(struct gate_journal *j, struct gate_journal_batch *b,
                          struct gate_journal_chunk **open)
{
    struct item item;
    pthread_mutex_lock(&b->lock);
    char *full = b->active;
    size_t len = b->len;
    b->active = b->spare;
    b->len = 0;
    pthread_mutex_unlock(&b->lock);
    b->spare = full;
    for (size_t at = 0; at < len; at += sizeof item + item.name + item.bytes) {
        memcpy(&item, full + at, sizeof item);
        const char *text = full + at + sizeof item;
        collect_record(j, open, item.at_ms, (struct gate_str){text, item.name},
                       (struct gate_str){text + item.name, item.bytes});
    }
}

/* Makes chunks of what workers have added. Those that waited already stay as they are: a write of
 * theirs may have come through. */
static void collect(struct gate_journal *j)
{
    struct gate_journal_chunk **first = j->last_pending, *open = NULL;
    pthread_mutex_lock(&j->lock);
    for (struct gate_journal_batch **at = &j->batches; *at != NULL;) {
        struct gate_journal_batch *b = *at;
        collect_batch(j, b, &open);
        if (b->ended) {
            *at = b->next;
            batch_free(b);
        } else {
            at = &b->next;
        }
    }
    pthread_mutex_unlock(&j->lock);
    for (struct gate_journal_chunk *c = *first; c != NULL; c = c->next) {
        gate_journal_chunk_close(c);
        j->count += c->head.count;
        j->bytes += c->bytes.len;
    }
}

static bool is_too_much(size_t count, size_t bytes)
{
    return count > GATE_JOURNAL_MAX_COUNT || bytes > GATE_JOURNAL_MAX_BYTES;
}

/* While storage fails nothing can be removed from it, but what waits is bounded all the same. */
static void drop_pending(struct gate_journal *j)
{
    size_t count = 0, bytes = 0;
    for (const struct gate_journal_chunk *c = j->pending; c != NULL; c = c->next) {
        count += c->head.count;
        bytes += c->bytes.len;
    }
    while (is_too_much(count, bytes) && j->pending->next != NULL) {
        struct gate_journal_chunk *oldest = j->pending;
        j->pending = oldest->next;
        count -= oldest->head.count;
        bytes -= oldest->bytes.len;
        j->count -= oldest->head.count;
        j->bytes -= oldest->bytes.len;
        atomic_fetch_add(&j->dropped, oldest->head.count);
        gate_journal_chunk_destroy(oldest);
    }
}

/* ---------------------------------------------------------------- writing; store thread */

/* False: storage fails. */
static bool write_pending(struct gate_journal *j, struct gate_storage *s)
{
    char key[GATE_JOURNAL_KEY];
    for (const struct gate_journal_chunk *c = j->pending; c != NULL; c = c->next) {
        enum gate_status status =
            gate_storage_put_if(s, gate_journal_key(c->head.first, key), gate_buf_str(&c->bytes),
                                UINT64_MAX, 0, j->kept_ms, 0, NULL, NULL);
        if (gate_storage_is_failure(status))
            return false;
    }
    return true;
}

static bool remove_surplus(struct gate_journal *j, struct gate_storage *s)
{
    char key[GATE_JOURNAL_KEY];
    size_t count = j->count, bytes = j->bytes;
    for (j->surplus = 0; j->surplus < j->stored_count && is_too_much(count, bytes); j->surplus++) {
        const struct stored *oldest = &j->stored[j->surplus];
        if (gate_storage_delete(s, gate_journal_key(oldest->first, key), NULL) != GATE_OK)
            return false;
        count -= oldest->count;
        bytes -= oldest->bytes;
    }
    return true;
}

/* A command that serves no requests need not know what storage holds. */
static bool has_batches(struct gate_journal *j)
{
    pthread_mutex_lock(&j->lock);
    bool any = j->batches != NULL || j->pending != NULL;
    pthread_mutex_unlock(&j->lock);
    return any;
}

static bool flush(struct gate_storage *s, void *arg)
{
    struct gate_journal *j = arg;
    if (!has_batches(j) || (!j->loaded && !load(j, s)))
        return false;
    collect(j);
    drop_pending(j);
    if (j->pending == NULL)
        return false;
    /* The store gives the batch up after a failed write; all of it is written again. */
    if (write_pending(j, s))
        remove_surplus(j, s);
    return true;
}

static void flushed(void *arg, bool written)
{
    struct gate_journal *j = arg;
    if (!written)
        return;
    for (size_t i = 0; i < j->surplus; i++) {
        j->count -= j->stored[i].count;
        j->bytes -= j->stored[i].bytes;
    }
    j->stored_count -= j->surplus;
    if (j->surplus > 0)
        memmove(j->stored, j->stored + j->surplus, j->stored_count * sizeof j->stored[0]);
    j->surplus = 0;
    for (struct gate_journal_chunk *c = j->pending, *next; c != NULL; c = next) {
        next = c->next;
        note_stored(j, &c->head, c->bytes.len);
        gate_journal_chunk_destroy(c);
    }
    j->pending = NULL;
    j->last_pending = &j->pending;
}

/* ---------------------------------------------------------------- the whole */

struct gate_journal *gate_journal_create(struct gate_store *store, uint32_t retention_days)
{
    struct gate_journal *j = gate_calloc(1, sizeof *j);
    uint32_t days = retention_days > 0 && retention_days < GATE_JOURNAL_DAYS ? retention_days
                                                                             : GATE_JOURNAL_DAYS;
    j->kept_ms = (uint64_t)days * DAY_MS;
    j->last_pending = &j->pending;
    pthread_mutex_init(&j->lock, NULL);
    gate_store_add_flusher(store,
                           &(struct gate_flusher){.flush = flush, .done = flushed, .arg = j});
    return j;
}

void gate_journal_destroy(struct gate_journal *j)
{
    if (j == NULL)
        return;
    for (struct gate_journal_batch *b = j->batches, *next; b != NULL; b = next) {
        next = b->next;
        batch_free(b);
    }
    for (struct gate_journal_chunk *c = j->pending, *next; c != NULL; c = next) {
        next = c->next;
        gate_journal_chunk_destroy(c);
    }
    free(j->stored);
    pthread_mutex_destroy(&j->lock);
    free(j);
}
