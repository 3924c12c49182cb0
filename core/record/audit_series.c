/* Writing points of series with each flush, and reading them. A point is read, added to and written
 * back within the flush's batch, so a batch that is given up changes nothing. */
#include "record/audit_internal.h"
#include <stdlib.h>

enum {
    DAY = 24 * GATE_AUDIT_HOUR,
    MINUTES_KEPT = DAY + 2 * GATE_AUDIT_HOUR, /* what 24 hours of charts need, and some room */
    FIVE = GATE_SPARK_MINUTES,
};

enum gate_series_class gate_series_class_of(struct gate_str outcome)
{
    if (gate_str_eq(outcome, GATE_STR("success")))
        return GATE_SERIES_SUCCESS;
    if (gate_str_eq(outcome, GATE_STR("cancelled")))
        return GATE_SERIES_CANCELLED;
    return gate_str_starts(outcome, GATE_STR("limited:")) ? GATE_SERIES_LIMITED : GATE_SERIES_ERROR;
}

/* ---------------------------------------------------------------- writing */

/* What is added to one point: the sum of pending cells. */
struct addition {
    enum gate_series_step step;
    struct gate_str account;
    uint32_t minute; /* of the point */
    bool used;
    struct gate_series_stored sum;
};

struct writing {
    const struct gate_audit *audit;
    struct gate_storage *storage;
    const struct gate_audit_table *pending;
    bool failed;
    struct addition minute, hour, day;
};

static uint64_t kept_ms(const struct gate_audit *a, enum gate_series_step step)
{
    uint64_t retention = gate_audit_retention_ms(a);
    const uint64_t minutes = (uint64_t)MINUTES_KEPT * GATE_AUDIT_MINUTE_MS;
    if (step == GATE_SERIES_MINUTE && (retention == 0 || minutes < retention))
        return minutes;
    return retention;
}

static void write_out(struct writing *w, struct addition *a)
{
    struct gate_series_stored stored;
    struct gate_audit_key key;
    char bytes[GATE_SERIES_MAX_BYTES];
    if (!a->used || w->failed)
        return;
    a->used = false;
    enum gate_status status = gate_series_get(w->storage, a->step, a->account, a->minute, &stored);
    if (status != GATE_OK && status != GATE_ENOTFOUND)
        return; /* what cannot be read is not replaced by less */
    gate_series_sum(&stored.point, &a->sum.point);
    for (int i = 0; i < GATE_SERIES_FIVES; i++)
        stored.fives[i] += a->sum.fives[i];
    gate_series_key(&key, a->step, a->account, a->minute);
    size_t len = gate_series_encode(&stored, bytes);
    status =
        gate_storage_put_if(w->storage, gate_audit_key_str(&key), (struct gate_str){bytes, len},
                            UINT64_MAX, 0, kept_ms(w->audit, a->step), 0, NULL, NULL);
    w->failed = gate_storage_is_failure(status);
}

static void add_cell(struct addition *a, const struct gate_audit_table *t,
                     const struct gate_audit_cell *cell)
{
    struct gate_audit_id id = gate_audit_cell_id(cell);
    struct gate_series_point *p = &a->sum.point;
    const struct gate_audit_latency *latency = gate_audit_table_latency(t, cell);
    p->classes[gate_series_class_of(id.outcome)] += cell->sums[GATE_AUDIT_COUNT];
    p->prompt_tokens += cell->sums[GATE_AUDIT_PROMPT];
    p->completion_tokens += cell->sums[GATE_AUDIT_COMPLETION];
    p->total_us += cell->sums[GATE_AUDIT_TIME];
    if (a->step == GATE_SERIES_HOUR)
        a->sum.fives[id.minute % GATE_AUDIT_HOUR / FIVE] += (uint32_t)cell->sums[GATE_AUDIT_COUNT];
    for (int i = 0; latency != NULL && i < GATE_LATENCY_BUCKETS; i++) {
        p->total[i] += latency->total[i];
        p->first[i] += latency->first[i];
    }
}

/* Cells come in order, so a point whose time or account is past is complete. */
static void add_to(struct writing *w, struct addition *a, struct gate_str account, uint32_t minute,
                   const struct gate_audit_cell *cell)
{
    if (a->used && (a->minute != minute || !gate_str_eq(a->account, account)))
        write_out(w, a);
    if (!a->used) {
        a->used = true;
        a->account = account;
        a->minute = minute;
        memset(&a->sum, 0, sizeof a->sum);
    }
    add_cell(a, w->pending, cell);
}

static void add_row(struct writing *w, const struct gate_audit_cell *cell, bool of_account)
{
    const struct gate_str all = {"", 0};
    struct gate_audit_id id = gate_audit_cell_id(cell);
    struct gate_str account = of_account ? id.account : all;
    add_to(w, &w->minute, account, id.minute, cell);
    add_to(w, &w->hour, account, id.minute - id.minute % GATE_AUDIT_HOUR, cell);
    if (of_account)
        return;
    uint64_t begin = (uint64_t)id.minute * GATE_AUDIT_MINUTE_MS;
    add_to(w, &w->day, all, gate_audit_minute(gate_audit_day_end(w->audit, begin)), cell);
}

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_minute(const void *x, const void *y)
{
    const struct gate_audit_cell *const *a = x, *const *b = y;
    return compare((*a)->minute, (*b)->minute);
}

static int by_account(const void *x, const void *y)
{
    const struct gate_audit_cell *const *a = x, *const *b = y;
    struct gate_str m = gate_audit_cell_id(*a).account, n = gate_audit_cell_id(*b).account;
    int order = memcmp(m.ptr, n.ptr, m.len < n.len ? m.len : n.len);
    if (order == 0)
        order = compare(m.len, n.len);
    return order != 0 ? order : by_minute(x, y);
}

static void write_all(struct writing *w, const struct gate_audit_cell **cells, bool of_account)
{
    qsort(cells, w->pending->count, sizeof *cells, of_account ? by_account : by_minute);
    for (uint32_t i = 0; i < w->pending->count && !w->failed; i++)
        add_row(w, cells[i], of_account);
    write_out(w, &w->minute);
    write_out(w, &w->hour);
    write_out(w, &w->day);
}

bool gate_series_write(const struct gate_audit *a, struct gate_storage *s,
                       const struct gate_audit_table *pending)
{
    if (pending->count == 0)
        return true;
    struct writing *w = gate_calloc(1, sizeof *w);
    const struct gate_audit_cell **cells = gate_alloc(pending->count * sizeof *cells);
    w->audit = a;
    w->storage = s;
    w->pending = pending;
    w->minute.step = GATE_SERIES_MINUTE;
    w->hour.step = GATE_SERIES_HOUR;
    w->day.step = GATE_SERIES_DAY;
    for (uint32_t i = 0; i < pending->count; i++)
        cells[i] = &pending->cells[i];
    write_all(w, cells, false);
    write_all(w, cells, true);
    bool written = !w->failed;
    free(cells);
    free(w);
    return written;
}

/* ---------------------------------------------------------------- reading */

static bool take_record(void *ctx, const struct gate_record *record)
{
    const struct gate_series_reading *r = ctx;
    struct gate_series_stored stored;
    uint32_t minute;
    if (!gate_series_key_minute(record->key, &minute) ||
        !gate_series_decode(record->value, &stored))
        return true;
    uint64_t at_ms = (uint64_t)minute * GATE_AUDIT_MINUTE_MS;
    if (at_ms >= r->from_ms && at_ms < r->to_ms)
        gate_series_sum(&r->points[(at_ms - r->from_ms) / r->step_ms], &stored.point);
    return true;
}

enum gate_status gate_series_read(struct gate_storage *s, const struct gate_series_reading *reading,
                                  struct gate_error *err)
{
    enum gate_series_step step = reading->hours ? GATE_SERIES_HOUR : GATE_SERIES_MINUTE;
    struct gate_audit_key from, to;
    gate_series_key(&from, step, reading->account, gate_audit_minute(reading->from_ms));
    gate_series_key(&to, step, reading->account, gate_audit_minute(reading->to_ms));
    struct gate_series_reading r = *reading;
    return s->ops->scan(s->handle, gate_audit_key_str(&from), gate_audit_key_str(&to),
                        GATE_SERIES_MAX_POINTS, take_record, &r, err);
}

void gate_series_today(struct gate_audit *a, struct gate_storage *s, uint64_t now_ms,
                       struct gate_series_point *out)
{
    struct gate_series_stored stored;
    uint32_t end = gate_audit_minute(gate_audit_day_end(a, now_ms));
    gate_series_get(s, GATE_SERIES_DAY, (struct gate_str){"", 0}, end, &stored);
    *out = stored.point;
}
