/*
 * audit: what happened, counted by minute, account, kind and outcome. Workers count in memory of
 * their own; the store thread collects and writes the sums; whoever asks reads sums from storage.
 * Used by request (count), worker (one batch each), admin and alerts (queries).
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
    GATE_AUDIT_MAX_ROWS = 4096,     /* distinct rows of one worker between two flushes; what is more
                                       counts under the outcome "error:other" */
    GATE_AUDIT_MAX_ANSWER = 100000, /* rows of one query */
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
};
/* Worker. Counts one event. Cheap (below 100 ns for a row that is known): no system call, no
 * allocation, no lock that another thread may hold for long. */
void gate_audit_count(struct gate_audit_batch *b, uint64_t now_ms,
                      const struct gate_audit_event *event);

/* A sum. */
struct gate_audit_row {
    uint64_t at_ms; /* Unix: beginning of the minute; end of the day for daily sums */
    struct gate_str account, outcome;
    enum gate_usage_kind kind;
    uint64_t count, prompt_tokens, completion_tokens, total_ms;
};
/* Store thread (inside a job). Minute rows of [from_ms, to_ms), in order of time; the caller asks
 * for a flush before when it wants the last second too. account and outcome may be empty: all. cb
 * returns false to stop. */
enum gate_status gate_audit_query(struct gate_audit *a, struct gate_storage *s, uint64_t from_ms,
                                  uint64_t to_ms, struct gate_str account, struct gate_str outcome,
                                  bool (*cb)(void *ctx, const struct gate_audit_row *row),
                                  void *ctx, struct gate_error *err);
/* Store thread. The sums of the day that now_ms is in. */
enum gate_status gate_audit_today(struct gate_audit *a, struct gate_storage *s, uint64_t now_ms,
                                  bool (*cb)(void *ctx, const struct gate_audit_row *row),
                                  void *ctx, struct gate_error *err);
/* Store thread, once in a while. Removes what is older than the retention, a bounded piece; true:
 * there is more. */
bool gate_audit_expire(struct gate_audit *a, struct gate_storage *s, uint64_t now_ms);

#endif
