/*
 * trace: what was decided for a request and why: which accounts were looked at, why they were
 * passed by, what each attempt brought. Each exchange collects its steps; at its end they move into
 * a ring of its worker, where /admin/api/requests reads it. Worker thread.
 */
#ifndef GATE_REQUEST_TRACE_H
#define GATE_REQUEST_TRACE_H

#include "base/buf.h"
#include "pool/select.h"
#include "script/policy.h"

enum {
    GATE_TRACE_ACCOUNT = 96,       /* bytes of an account's id or alias; the rest is cut */
    GATE_TRACE_RING = 512,         /* requests that each worker remembers */
    GATE_TRACE_MAX_ATTEMPTS = 256, /* remembered of one request */
    GATE_TRACE_MAX_LOOKS = 32,     /* selections in which somebody was passed by */
    GATE_TRACE_ID = 128,
    GATE_TRACE_NAME = 96, /* bytes of a model's name; the rest is cut */
};

/* One attempt. */
struct gate_trace_attempt {
    const struct gate_account *account; /* to compare only: it may be gone */
    char id[GATE_TRACE_ACCOUNT], alias[GATE_TRACE_ACCOUNT];
    uint8_t target; /* position in the routing decision */
    bool last_resort, probe;
    enum gate_verdict_kind verdict; /* OK: it answered */
    enum gate_action action;        /* what followed a failure */
    int status;
    uint64_t start_us, took_us; /* from the request's beginning */
    uint64_t cooldown_ms;
    struct gate_quota_numbers quota; /* when it was chosen, itself included */
    char code[48];
    char reason[160];
};

/* One account that a selection passed by. */
struct gate_trace_skip {
    const struct gate_account *account; /* to compare only */
    char id[GATE_TRACE_ACCOUNT], alias[GATE_TRACE_ACCOUNT];
    enum gate_skip skip;
    enum gate_limit_name limit;
    uint64_t until_ms;
};

/* The accounts that one selection passed by. */
struct gate_trace_look {
    uint8_t target;
    size_t count;
    struct gate_trace_skip *skipped; /* owned */
};

/* The steps of one request, as the exchange collects them. Zeroed: none. */
struct gate_steps {
    enum gate_strategy strategy;
    uint64_t tokens_reserved;            /* of the last attempt */
    struct gate_trace_attempt *attempts; /* owned */
    size_t attempt_count;
    struct gate_trace_look *looks; /* owned */
    size_t look_count;
};

/* Frees what it owns and zeroes it. */
void gate_steps_finish(struct gate_steps *s);
/* Adds an attempt and returns it, or the last one again when there are too many. */
struct gate_trace_attempt *gate_steps_attempt(struct gate_steps *s, const struct gate_entry *e);
/* Keeps the accounts that a selection passed by; none: does nothing. */
void gate_steps_look(struct gate_steps *s, const struct gate_table *table, size_t target,
                     const struct gate_choice *choice);

/* A whole request. */
struct gate_trace {
    char id[GATE_TRACE_ID];
    char model[GATE_TRACE_NAME], target[GATE_TRACE_NAME]; /* asked for; sent upstream */
    char key[GATE_TRACE_NAME], path[GATE_TRACE_NAME];
    uint64_t at_ms; /* Unix, when the request was complete */
    enum gate_usage_kind kind;
    uint64_t generation;
    bool stream;
    int status;
    char outcome[64]; /* as in the audit: "success", "error:..." */
    uint64_t total_us;
    int64_t first_us;
    uint64_t bytes_in, bytes_out;
    struct gate_usage usage;
    bool usage_estimated;
    struct gate_steps steps;
};

/* Writes it as a JSON object. */
void gate_trace_json(const struct gate_trace *t, struct gate_buf *out);

/* A worker's ring. */
struct gate_trace_ring;
struct gate_trace_ring *gate_trace_ring_create(void);
void gate_trace_ring_destroy(struct gate_trace_ring *r);
/* The place of the oldest: the caller fills all of it at once. */
struct gate_trace *gate_trace_ring_next(struct gate_trace_ring *r);
/* Newest first, at most `limit`; cb returns false to stop. */
void gate_trace_ring_each(const struct gate_trace_ring *r, size_t limit,
                          bool (*cb)(void *ctx, const struct gate_trace *t), void *ctx);

#endif
