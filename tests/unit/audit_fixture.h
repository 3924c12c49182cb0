/*
 * audit_fixture: an audit on memory_storage, and what its tests share: counting, asking, comparing.
 * Used by test_audit*.c.
 */
#ifndef GATE_TEST_AUDIT_FIXTURE_H
#define GATE_TEST_AUDIT_FIXTURE_H

#include "base/log.h"
#include "memory_storage.h"
#include "record/audit_series.h"
#include <check.h>
#include <fcntl.h>
#include <unistd.h>

#define MINUTE UINT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define NOW (UINT64_C(1790000000000) / DAY * DAY + 10 * HOUR) /* 18:00 in the zone of day_end */

enum { RETENTION_DAYS = 30, ZONE_HOURS = 8 };

struct fixture {
    struct memory_storage memory;
    struct gate_value value;
    struct gate_store *store;
    struct gate_audit *audit;
};

static inline uint64_t day_end(void *ctx, uint64_t now_ms)
{
    uint64_t local = now_ms + ZONE_HOURS * HOUR;
    ck_assert_ptr_nonnull(ctx);
    return (local / DAY + 1) * DAY - ZONE_HOURS * HOUR;
}

/* Opens the store: at first, and again after stop_gateway. */
static inline void start_gateway(struct fixture *f, uint32_t flush_ms)
{
    struct gate_error err;
    f->value = memory_storage_value(&f->memory);
    ck_assert_int_eq(
        gate_store_open(&memory_storage_plugin, &f->value, "memory", flush_ms, &f->store, &err),
        GATE_OK);
    f->audit = gate_audit_create(f->store, RETENTION_DAYS, day_end, f);
}

static inline void stop_gateway(struct fixture *f)
{
    gate_store_close(f->store);
    gate_audit_destroy(f->audit);
}

static inline void start(struct fixture *f, uint32_t flush_ms)
{
    memory_storage_init(&f->memory);
    memory_storage_set_now(&f->memory, NOW);
    start_gateway(f, flush_ms);
}

static inline void stop(struct fixture *f)
{
    stop_gateway(f);
    memory_storage_finish(&f->memory);
}

/* The failures of these tests are no news. */
static inline void mute_log(void)
{
    gate_log_setup(GATE_LOG_ERROR, GATE_LOG_TEXT, open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static inline void nothing(struct gate_storage *s, void *arg)
{
    (void)s;
    (void)arg;
}

static inline void flush(struct fixture *f)
{
    gate_store_flush(f->store, NULL, NULL);
    gate_store_call(f->store, nothing, NULL);
}

static inline void count(struct gate_audit_batch *b, uint64_t now_ms, const char *account,
                         const char *outcome)
{
    gate_audit_count(b, now_ms,
                     &(struct gate_audit_event){.account = gate_str_of(account),
                                                .outcome = gate_str_of(outcome),
                                                .prompt_tokens = 10,
                                                .completion_tokens = 3,
                                                .total_us = 1500});
}

/* One query and what it found: a line for each row, and the sum of all. */
struct asking {
    struct gate_audit *audit;
    enum gate_audit_group group;
    uint64_t from_ms, to_ms;
    struct gate_str account, outcome; /* to look at; empty: all */
    uint32_t limit;                   /* rows after which the callback stops; 0: none */
    size_t most;                      /* records of one reading; 0: all at once */
    struct gate_audit_place place;
    uint32_t readings;
    enum gate_status status;
    struct gate_error err;
    struct gate_buf lines;
    uint64_t rows, count, prompt, completion, total_ms, last_at_ms;
};

static inline bool take_row(void *ctx, const struct gate_audit_row *row)
{
    struct asking *q = ctx;
    ck_assert_uint_ge(row->at_ms, q->last_at_ms);
    if ((q->account.len > 0 && !gate_str_eq(q->account, row->account)) ||
        (q->outcome.len > 0 && !gate_str_eq(q->outcome, row->outcome)))
        return true;
    q->last_at_ms = row->at_ms;
    q->rows++;
    q->count += row->count;
    q->prompt += row->prompt_tokens;
    q->completion += row->completion_tokens;
    q->total_ms += row->total_ms;
    if (q->rows <= 1000)
        gate_buf_printf(&q->lines, "%+lld %s %.*s|%.*s %llu %llu %llu %llu\n",
                        (long long)(row->at_ms / MINUTE) - (long long)(NOW / MINUTE),
                        row->kind == GATE_USAGE_CHAT ? "chat" : "search", (int)row->outcome.len,
                        row->outcome.ptr, (int)row->account.len, row->account.ptr,
                        (unsigned long long)row->count, (unsigned long long)row->prompt_tokens,
                        (unsigned long long)row->completion_tokens,
                        (unsigned long long)row->total_ms);
    return q->limit == 0 || q->rows < q->limit;
}

/* One reading after the other, each at the place where the last one ended. */
static inline void run_query(struct gate_storage *s, void *arg)
{
    struct asking *q = arg;
    const struct gate_audit_reading reading = {
        .group = q->group,
        .from_ms = q->from_ms,
        .to_ms = q->to_ms,
        .most = q->most > 0 ? q->most : SIZE_MAX,
        .cb = take_row,
        .ctx = q,
    };
    bool more = true;
    for (q->status = GATE_OK; q->status == GATE_OK && more; q->readings++) {
        q->status = gate_audit_read(q->audit, s, &reading, &q->place, &more, &q->err);
        if (q->limit > 0 && q->rows >= q->limit)
            break;
    }
}

static inline void ask(struct fixture *f, struct asking *q)
{
    gate_buf_init(&q->lines, 1 << 20);
    q->audit = f->audit;
    gate_store_call(f->store, run_query, q);
}

/* Asks and compares the lines. */
static inline void expect(struct fixture *f, struct asking q, const char *lines)
{
    ask(f, &q);
    ck_assert_int_eq(q.status, GATE_OK);
    gate_buf_append_byte(&q.lines, '\0');
    ck_assert_str_eq(q.lines.ptr, lines);
    gate_buf_finish(&q.lines);
}

#define DAY_OF(ms)                                                                                 \
    (struct asking)                                                                                \
    {                                                                                              \
        .group = GATE_AUDIT_BY_DAY, .from_ms = (ms), .to_ms = (ms) + 1                             \
    }
#define ALL                                                                                        \
    (struct asking)                                                                                \
    {                                                                                              \
        .from_ms = 1, .to_ms = UINT64_MAX                                                          \
    }

/* How many events all minutes, or all days, hold. */
static inline uint64_t total_of(struct fixture *f, const char *prefix)
{
    uint64_t sum = 0;
    pthread_mutex_lock(&f->memory.lock);
    for (size_t i = 0; i < f->memory.count; i++) {
        const struct memory_entry *e = f->memory.entries[i];
        if (strncmp(e->key, prefix, strlen(prefix)) == 0 && e->key[e->key_len - 1] == 'n')
            sum += strtoull(e->value, NULL, 10);
    }
    pthread_mutex_unlock(&f->memory.lock);
    return sum;
}

#endif
