/*
 * audit: what happened, counted by minute, hour and day, account, kind and outcome. Workers count
 * in memory of their own; the store thread collects and writes the sums; whoever asks reads sums
 * from storage. Used by request (count), worker (one batch each) and admin (queries). What charts
 * show is in audit_series.h.
 *
 * Outcomes: "success", "limited:<limit>" (no account had room: rpm, rpd, tpm, tpd, concurrency,
 * upstream, cooldown), "error:<code>", "cancelled". The account is its id, or "-" when none was
 * chosen.
 */
#ifndef GATE_RECORD_AUDIT_H
#define GATE_RECORD_AUDIT_H

#include "record/store.h"

enum {
    GATE_AUDIT_MAX_OUTCOME = 64,
    GATE_AUDIT_MAX_ACCOUNT = 160,
    GATE_AUDIT_MAX_ROWS = 4096, /* distinct rows of one worker between two flushes; what is more
                                   counts under the outcome "error:other" */
    GATE_AUDIT_MAX_PLACE = 32 + 3 * (GATE_AUDIT_MAX_OUTCOME + GATE_AUDIT_MAX_ACCOUNT),
};

struct gate_audit;
struct gate_audit_batch; /* one worker's */

/* Control thread. Registers its flusher with the store. day_end: when the day of a time ends (the
 * quota plugin's zone), for daily sums. */
struct gate_audit *gate_audit_create(struct gate_store *store, uint32_t retention_days,
                                     uint64_t (*day_end)(void *ctx, uint64_t now_ms), void *ctx);
/* After the store was closed and all batches were destroyed. NULL is fine. */
void gate_audit_destroy(struct gate_audit *a);

/* Any thread, before its worker runs. */
struct gate_audit_batch *gate_audit_batch_create(struct gate_audit *a);
/* Its worker has ended. What it holds is still written. */
void gate_audit_batch_destroy(struct gate_audit_batch *b);

/* One thing to count. */
struct gate_audit_event {
    struct gate_str account, outcome;
    enum gate_usage_kind kind;
    uint64_t prompt_tokens, completion_tokens;
    uint64_t total_us; /* of the request */
    int64_t first_us;  /* to the first byte of the answer; -1: there was none */
};
/* Worker. Counts one event. Cheap (below 100 ns for a row that is known): no system call, no
 * allocation, no lock that another thread may hold for long. */
void gate_audit_count(struct gate_audit_batch *b, uint64_t now_ms,
                      const struct gate_audit_event *event);

/* By what rows are summed up; each has sums of its own in storage. */
enum gate_audit_group {
    GATE_AUDIT_BY_MINUTE,
    GATE_AUDIT_BY_HOUR,
    GATE_AUDIT_BY_DAY, /* of the quota's zone */
    GATE_AUDIT_GROUPS,
};

/* A sum. */
struct gate_audit_row {
    uint64_t at_ms; /* Unix: beginning of the minute or hour; end of the day */
    struct gate_str account, outcome;
    enum gate_usage_kind kind;
    uint64_t count, prompt_tokens, completion_tokens, total_ms;
};

/* Where a reading goes on: text without spaces that is no secret. Empty: at the beginning. */
struct gate_audit_place {
    size_t len;
    char bytes[GATE_AUDIT_MAX_PLACE];
};
/* The text of a place that somebody gives back. False: it is none. */
bool gate_audit_place_read(struct gate_str text, struct gate_audit_place *place);

/* What is read. */
struct gate_audit_reading {
    enum gate_audit_group group;
    /* Minutes and hours that begin in [from_ms, to_ms); days that end in (from_ms, to_ms's day]. */
    uint64_t from_ms, to_ms;
    size_t most; /* records that one call looks at: the store thread does nothing else meanwhile */
    bool (*cb)(void *ctx, const struct gate_audit_row *row); /* false: stop behind this row */
    void *ctx;
};
/* Store thread (inside a job). Rows in order of time, from *place on, which is moved behind the
 * last one that cb saw; *more: something is left. The caller asks for a flush before when it wants
 * the last second too. */
enum gate_status gate_audit_read(struct gate_audit *a, struct gate_storage *s,
                                 const struct gate_audit_reading *reading,
                                 struct gate_audit_place *place, bool *more,
                                 struct gate_error *err);
/* Store thread, once in a while. Removes what is older than the retention, a bounded piece; true:
 * there is more. */
bool gate_audit_expire(struct gate_audit *a, struct gate_storage *s, uint64_t now_ms);

#endif
