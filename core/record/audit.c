#include "record/audit.h"
#include "record/audit_internal.h"
#include <pthread.h>
#include <stdlib.h>

enum { DAY_MS = 24 * GATE_AUDIT_HOUR * GATE_AUDIT_MINUTE_MS };

/* A larger number of one event is nonsense of an upstream; sums must not wrap. */
static const uint64_t max_of_event = UINT64_C(1) << 40;

struct gate_audit_batch {
    _Alignas(64) pthread_mutex_t lock; /* of active; held for one event, or to swap two pointers */
    struct gate_audit_table *active;   /* the worker adds here */
    struct gate_audit_table *spare;    /* the store thread's; empty between collections */
    struct gate_audit_table tables[2];
    struct gate_audit *audit;
    struct gate_audit_batch *next; /* audit->lock */
    bool ended;                    /* audit->lock: to be collected once more and freed */
};

struct gate_audit {
    uint64_t retention_ms;
    uint64_t (*day_end)(void *ctx, uint64_t now_ms);
    void *ctx;
    pthread_mutex_t lock; /* of the list; workers do not take it */
    struct gate_audit_batch *batches;
    struct gate_audit_table pending; /* store thread: collected and not known to be written */
    struct gate_audit_key expiring;  /* store thread: see gate_audit_expiring */
    struct gate_sparks *sparks;
    struct gate_store *store;
};

/* ---------------------------------------------------------------- times */

uint32_t gate_audit_minute(uint64_t ms)
{
    uint64_t minute = ms / GATE_AUDIT_MINUTE_MS;
    return minute < UINT32_MAX ? (uint32_t)minute : UINT32_MAX;
}

uint64_t gate_audit_retention_ms(const struct gate_audit *a)
{
    return a->retention_ms;
}

uint64_t gate_audit_day_end(const struct gate_audit *a, uint64_t now_ms)
{
    return a->day_end(a->ctx, now_ms);
}

struct gate_audit_key *gate_audit_expiring(struct gate_audit *a)
{
    return &a->expiring;
}

struct gate_sparks *gate_audit_sparks(const struct gate_audit *a)
{
    return a->sparks;
}

struct gate_store *gate_audit_store(const struct gate_audit *a)
{
    return a->store;
}

/* ---------------------------------------------------------------- batches */

struct gate_audit_batch *gate_audit_batch_create(struct gate_audit *a)
{
    struct gate_audit_batch *b = aligned_alloc(64, sizeof *b);
    if (b == NULL)
        abort();
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    for (int i = 0; i < 2; i++)
        gate_audit_table_init(&b->tables[i], GATE_AUDIT_MAX_ROWS);
    b->active = &b->tables[0];
    b->spare = &b->tables[1];
    b->audit = a;
    pthread_mutex_lock(&a->lock);
    b->next = a->batches;
    a->batches = b;
    pthread_mutex_unlock(&a->lock);
    return b;
}

void gate_audit_batch_destroy(struct gate_audit_batch *b)
{
    if (b == NULL)
        return;
    pthread_mutex_lock(&b->audit->lock);
    b->ended = true;
    pthread_mutex_unlock(&b->audit->lock);
}

static void batch_free(struct gate_audit_batch *b)
{
    for (int i = 0; i < 2; i++)
        gate_audit_table_finish(&b->tables[i]);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static uint64_t within(uint64_t n)
{
    return n < max_of_event ? n : max_of_event;
}

/* The name cut to its cap; `fallback` for an empty one. */
static struct gate_str name_of(struct gate_str name, size_t cap, struct gate_str fallback)
{
    if (name.len == 0)
        return fallback;
    return (struct gate_str){name.ptr, name.len < cap ? name.len : cap};
}

void gate_audit_count(struct gate_audit_batch *b, uint64_t now_ms,
                      const struct gate_audit_event *event)
{
    const uint64_t sums[GATE_AUDIT_SUMS] = {
        [GATE_AUDIT_COUNT] = 1,
        [GATE_AUDIT_PROMPT] = within(event->prompt_tokens),
        [GATE_AUDIT_COMPLETION] = within(event->completion_tokens),
        [GATE_AUDIT_TIME] = within(event->total_us),
    };
    const struct gate_audit_id id = {
        .minute = gate_audit_minute(now_ms),
        .kind = event->kind,
        .outcome = name_of(event->outcome, GATE_AUDIT_MAX_OUTCOME, GATE_STR("error:other")),
        .account = name_of(event->account, GATE_AUDIT_MAX_ACCOUNT, GATE_STR("-")),
    };
    unsigned total = gate_latency_bucket(sums[GATE_AUDIT_TIME]);
    pthread_mutex_lock(&b->lock);
    const struct gate_audit_cell *cell = gate_audit_table_add(b->active, &id, sums);
    struct gate_audit_latency *latency = gate_audit_table_latency(b->active, cell);
    if (latency != NULL) {
        latency->total[total]++;
        if (event->first_us >= 0)
            latency->first[gate_latency_bucket((uint64_t)event->first_us)]++;
    }
    pthread_mutex_unlock(&b->lock);
}

/* ---------------------------------------------------------------- writing; store thread */

static void collect_cell(struct gate_audit *a, struct gate_storage *s,
                         const struct gate_audit_table *from, const struct gate_audit_cell *cell)
{
    struct gate_audit_id id = gate_audit_cell_id(cell);
    const struct gate_audit_latency *added = gate_audit_table_latency(from, cell);
    gate_sparks_count(a->sparks, s, id.account, id.minute, cell->sums[GATE_AUDIT_COUNT]);
    const struct gate_audit_cell *kept = gate_audit_table_add(&a->pending, &id, cell->sums);
    struct gate_audit_latency *latency = gate_audit_table_latency(&a->pending, kept);
    if (added == NULL || latency == NULL)
        return;
    for (int i = 0; i < GATE_LATENCY_BUCKETS; i++) {
        latency->total[i] += added->total[i];
        latency->first[i] += added->first[i];
    }
}

static void collect_batch(struct gate_audit *a, struct gate_storage *s, struct gate_audit_batch *b)
{
    pthread_mutex_lock(&b->lock);
    struct gate_audit_table *full = b->active;
    b->active = b->spare;
    pthread_mutex_unlock(&b->lock);
    for (uint32_t i = 0; i < full->count; i++)
        collect_cell(a, s, full, &full->cells[i]);
    gate_audit_table_clear(full);
    b->spare = full;
}

static void collect(struct gate_audit *a, struct gate_storage *s)
{
    pthread_mutex_lock(&a->lock);
    for (struct gate_audit_batch **at = &a->batches; *at != NULL;) {
        struct gate_audit_batch *b = *at;
        collect_batch(a, s, b);
        if (b->ended) {
            *at = b->next;
            batch_free(b);
        } else {
            at = &b->next;
        }
    }
    pthread_mutex_unlock(&a->lock);
}

/* Adds the sums of a cell to its minute, hour or day. False: storage fails. */
static bool write_cell(struct gate_audit *a, struct gate_storage *s,
                       const struct gate_audit_cell *cell, const char *prefix, uint32_t minute)
{
    struct gate_audit_id id = gate_audit_cell_id(cell);
    struct gate_audit_key key;
    id.minute = minute;
    gate_audit_key_make(&key, prefix, &id);
    size_t len = key.len++;
    for (int i = 0; i < GATE_AUDIT_SUMS; i++) {
        if (cell->sums[i] == 0)
            continue;
        key.bytes[len] = gate_audit_sum_letter((enum gate_audit_sum)i);
        if (gate_storage_is_failure(gate_storage_add(
                s, gate_audit_key_str(&key), (int64_t)cell->sums[i], a->retention_ms, NULL)))
            return false;
    }
    return true;
}

static bool write_rows(struct gate_audit *a, struct gate_storage *s)
{
    uint32_t minute = 0, day = 0;
    for (uint32_t i = 0; i < a->pending.count; i++) {
        const struct gate_audit_cell *cell = &a->pending.cells[i];
        if (i == 0 || cell->minute != minute) {
            minute = cell->minute;
            day = gate_audit_minute(gate_audit_day_end(a, (uint64_t)minute * GATE_AUDIT_MINUTE_MS));
        }
        if (!write_cell(a, s, cell, GATE_KEY_AUDIT, minute) ||
            !write_cell(a, s, cell, GATE_KEY_HOUR, minute - minute % GATE_AUDIT_HOUR) ||
            !write_cell(a, s, cell, GATE_KEY_DAY, day))
            return false;
    }
    return true;
}

static bool flush(struct gate_storage *s, void *arg)
{
    struct gate_audit *a = arg;
    collect(a, s);
    /* The store gives the batch up after a failed write; all of it is written again. */
    if (write_rows(a, s))
        gate_series_write(a, s, &a->pending);
    return a->pending.count > 0;
}

static void flushed(void *arg, bool written)
{
    struct gate_audit *a = arg;
    if (written)
        gate_audit_table_clear(&a->pending);
}

/* ---------------------------------------------------------------- the whole */

struct gate_audit *gate_audit_create(struct gate_store *store, uint32_t retention_days,
                                     uint64_t (*day_end)(void *ctx, uint64_t now_ms), void *ctx)
{
    struct gate_audit *a = gate_calloc(1, sizeof *a);
    a->retention_ms = (uint64_t)retention_days * DAY_MS;
    a->day_end = day_end;
    a->ctx = ctx;
    pthread_mutex_init(&a->lock, NULL);
    gate_audit_table_init(&a->pending, GATE_AUDIT_MAX_PENDING);
    a->sparks = gate_sparks_create();
    a->store = store;
    gate_store_add_flusher(store,
                           &(struct gate_flusher){.flush = flush, .done = flushed, .arg = a});
    return a;
}

void gate_audit_destroy(struct gate_audit *a)
{
    if (a == NULL)
        return;
    for (struct gate_audit_batch *b = a->batches, *next; b != NULL; b = next) {
        next = b->next;
        batch_free(b);
    }
    gate_audit_table_finish(&a->pending);
    gate_sparks_destroy(a->sparks);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
