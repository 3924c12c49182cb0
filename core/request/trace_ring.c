/* The requests that a worker remembers, and the snapshots of accounts that they share. */
#include "request/trace_internal.h"
#include <stdlib.h>

enum { MAX_SNAPSHOTS = GATE_TRACE_RING + GATE_USAGE_KINDS };

struct gate_trace_ring {
    size_t next, count;
    uint64_t begun, stripped; /* traces that were begun; the oldest of them that may have looks */
    size_t look_bytes;        /* of all looks */
    struct gate_trace traces[GATE_TRACE_RING];
    /* All snapshots that traces of this ring may have, oldest first; a ring of its own. Retained.
     */
    struct gate_trace_accounts *snapshots[MAX_SNAPSHOTS];
    size_t oldest, snapshot_count, bytes;
    struct gate_trace_accounts *current[GATE_USAGE_KINDS]; /* one of them; NULL: none is fresh */
};

/* ---- snapshots */

static struct gate_trace_accounts *snapshot_at(const struct gate_trace_ring *r, size_t i)
{
    return r->snapshots[(r->oldest + i) % MAX_SNAPSHOTS];
}

/* Bytes of names are counted where they are first needed: neighbours share them. */
static void drop_oldest(struct gate_trace_ring *r)
{
    struct gate_trace_accounts *a = snapshot_at(r, 0);
    r->bytes -= trace_accounts_bytes(a);
    if (r->snapshot_count == 1 || !trace_accounts_share(a, snapshot_at(r, 1)))
        r->bytes -= trace_accounts_name_bytes(a);
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++)
        if (r->current[kind] == a)
            r->current[kind] = NULL;
    r->oldest = (r->oldest + 1) % MAX_SNAPSHOTS;
    r->snapshot_count--;
    gate_trace_accounts_release(a);
}

/* Those that no trace has any more. */
static void drop_unused(struct gate_trace_ring *r)
{
    while (r->snapshot_count > 0) {
        const struct gate_trace_accounts *a = snapshot_at(r, 0);
        bool is_current = false;
        for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++)
            is_current = is_current || r->current[kind] == a;
        if (is_current || trace_accounts_is_used(a))
            return;
        drop_oldest(r);
    }
}

static void take_from_traces(struct gate_trace_ring *r, const struct gate_trace_accounts *a)
{
    for (size_t i = 0; i < r->count; i++) {
        struct gate_trace_input *in = &r->traces[i].input;
        if (in->accounts != a)
            continue;
        gate_trace_accounts_release(in->accounts);
        in->accounts = NULL;
    }
}

static size_t room_for(const struct gate_trace_ring *r, const struct gate_trace_accounts *a)
{
    size_t n = r->snapshot_count;
    bool shares = n > 0 && trace_accounts_share(a, snapshot_at(r, n - 1));
    return trace_accounts_bytes(a) + (shares ? 0 : trace_accounts_name_bytes(a));
}

/* False: it is too large even alone. */
static bool keep_snapshot(struct gate_trace_ring *r, struct gate_trace_accounts *a)
{
    if (trace_accounts_bytes(a) + trace_accounts_name_bytes(a) > GATE_TRACE_SNAPSHOT_BYTES)
        return false;
    while (r->snapshot_count == MAX_SNAPSHOTS ||
           (r->snapshot_count > 0 && r->bytes + room_for(r, a) > GATE_TRACE_SNAPSHOT_BYTES)) {
        take_from_traces(r, snapshot_at(r, 0));
        drop_oldest(r);
    }
    r->bytes += room_for(r, a);
    r->snapshots[(r->oldest + r->snapshot_count++) % MAX_SNAPSHOTS] = a;
    return true;
}

static bool is_fresh(const struct gate_trace_accounts *a, uint64_t now_ms)
{
    uint64_t at = gate_trace_accounts_at(a);
    return now_ms >= at && now_ms - at < GATE_TRACE_SNAPSHOT_MS; /* a clock may be set back */
}

struct gate_trace_accounts *gate_trace_ring_accounts(struct gate_trace_ring *r,
                                                     const struct gate_table *table,
                                                     const struct gate_quota *quota,
                                                     enum gate_usage_kind kind, uint64_t now_ms)
{
    for (size_t k = 0; k < GATE_USAGE_KINDS; k++)
        if (r->current[k] != NULL && !is_fresh(r->current[k], now_ms))
            r->current[k] = NULL;
    if (r->current[kind] == NULL) {
        const struct gate_trace_accounts *newest =
            r->snapshot_count > 0 ? snapshot_at(r, r->snapshot_count - 1) : NULL;
        struct gate_trace_accounts *a = trace_accounts_after(newest, table, quota, kind, now_ms);
        if (!keep_snapshot(r, a)) {
            gate_trace_accounts_release(a);
            return NULL;
        }
        r->current[kind] = a;
        drop_unused(r);
    }
    gate_trace_accounts_retain(r->current[kind]);
    return r->current[kind];
}

/* ---- traces */

struct gate_trace_ring *gate_trace_ring_create(void)
{
    return gate_calloc(1, sizeof(struct gate_trace_ring));
}

static void finish_trace(struct gate_trace *t)
{
    gate_steps_finish(&t->steps);
    gate_trace_accounts_release(t->input.accounts);
}

void gate_trace_ring_destroy(struct gate_trace_ring *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->count; i++)
        finish_trace(&r->traces[i]);
    while (r->snapshot_count > 0)
        drop_oldest(r);
    free(r);
}

static size_t look_bytes(const struct gate_steps *s)
{
    size_t bytes = s->look_count * sizeof s->looks[0];
    for (size_t i = 0; i < s->look_count; i++)
        bytes += s->looks[i].count * sizeof s->looks[i].skipped[0];
    return bytes;
}

static void strip(struct gate_trace_ring *r, struct gate_steps *s)
{
    size_t bytes = look_bytes(s);
    r->look_bytes -= bytes < r->look_bytes ? bytes : r->look_bytes;
    for (size_t i = 0; i < s->look_count; i++)
        free(s->looks[i].skipped);
    free(s->looks);
    s->looks = NULL;
    s->look_count = 0;
}

void gate_trace_ring_filled(struct gate_trace_ring *r, const struct gate_trace *t)
{
    r->look_bytes += look_bytes(&t->steps);
    while (r->look_bytes > GATE_TRACE_LOOK_BYTES && r->stripped + 1 < r->begun)
        strip(r, &r->traces[r->stripped++ % GATE_TRACE_RING].steps);
}

struct gate_trace *gate_trace_ring_next(struct gate_trace_ring *r)
{
    struct gate_trace *slot = &r->traces[r->next];
    strip(r, &slot->steps);
    r->begun++;
    if (r->begun - r->stripped > GATE_TRACE_RING)
        r->stripped = r->begun - GATE_TRACE_RING;
    finish_trace(slot);
    memset(&slot->input, 0, sizeof slot->input);
    drop_unused(r);
    r->next = (r->next + 1) % GATE_TRACE_RING;
    if (r->count < GATE_TRACE_RING)
        r->count++;
    return slot;
}

uint64_t gate_trace_ring_made(const struct gate_trace_ring *r)
{
    return r->begun;
}

void gate_trace_ring_each(const struct gate_trace_ring *r, size_t limit,
                          bool (*cb)(void *ctx, const struct gate_trace *t), void *ctx)
{
    for (size_t i = 0; i < r->count && i < limit; i++)
        if (!cb(ctx, &r->traces[(r->next + GATE_TRACE_RING - 1 - i) % GATE_TRACE_RING]))
            return;
}

/* ---- copies */

struct gate_trace *gate_trace_copy(const struct gate_trace *t)
{
    struct gate_trace *copy = gate_alloc(sizeof *copy);
    *copy = *t;
    memset(&copy->steps, 0, sizeof copy->steps);
    if (copy->input.accounts != NULL)
        gate_trace_accounts_retain(copy->input.accounts);
    return copy;
}

void gate_trace_free(struct gate_trace *t)
{
    if (t == NULL)
        return;
    finish_trace(t);
    free(t);
}
