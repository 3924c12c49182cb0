/*
 * trace: what was decided for a request and why: which accounts were looked at, why they were
 * passed by, what each attempt brought. Each exchange collects its steps; at its end they move into
 * a ring of its worker, where /admin/api/requests reads it. A trace also keeps what the decision
 * was made from (features of the request, the accounts as they were within the second before), so
 * that a draft of the scripts can be tried on it. Never a body. Worker thread.
 */
#ifndef GATE_REQUEST_TRACE_H
#define GATE_REQUEST_TRACE_H

#include "base/buf.h"
#include "pool/select.h"
#include "script/policy.h"

enum {
    GATE_TRACE_ACCOUNT = GATE_ACCOUNT_MAX_ID + 1, /* room for an account's id or alias, whole */
    GATE_TRACE_RING = 512,                        /* requests that each worker remembers */
    GATE_TRACE_MAX_ATTEMPTS = 256,                /* remembered of one request */
    GATE_TRACE_MAX_LOOKS = 32,                    /* selections in which somebody was passed by */
    GATE_TRACE_ID = 128,
    GATE_TRACE_NAME = 96, /* bytes of a model's name; the rest is cut */
    GATE_STAGE_ID = 32,   /* characters of a stage's id (request/stage.h): hex digits, no secret */
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

/* ---- the accounts at one moment */

/* A snapshot: what scripts and strategies see of all accounts. Reference-counted (atomic: traces
 * are read on the control thread); holds no credential and no account. */
struct gate_trace_accounts;
/* Of a table, for requests of that kind. pool: none of its own, the table has it. */
struct gate_trace_accounts *gate_trace_accounts_create(const struct gate_table *table,
                                                       const struct gate_quota *quota,
                                                       enum gate_usage_kind kind, uint64_t now_ms);
/* Of accounts that somebody made up (policy tests): strings are copied. They must be sorted so that
 * those of one provider are side by side. */
struct gate_trace_accounts *gate_trace_accounts_make(const struct gate_account_facts *facts,
                                                     size_t count, uint64_t now_ms);
void gate_trace_accounts_retain(struct gate_trace_accounts *a);
void gate_trace_accounts_release(struct gate_trace_accounts *a);      /* NULL is fine */
uint64_t gate_trace_accounts_at(const struct gate_trace_accounts *a); /* Unix ms */
/* Where a provider's accounts are; false: none of that provider. */
bool gate_trace_accounts_find(const struct gate_trace_accounts *a, struct gate_str provider,
                              size_t *first, size_t *count);
/* The strings of out live as long as a. now_ms of out is that of the snapshot. */
void gate_trace_accounts_read(const struct gate_trace_accounts *a, size_t index,
                              struct gate_account_facts *out);

/* What a worker keeps so that requests of the same second share one snapshot, and those of the same
 * table share all names. Zeroed: empty. At most GATE_TRACE_SNAPSHOT_BYTES in all snapshots that its
 * traces hold: older traces lose theirs. */
enum { GATE_TRACE_SNAPSHOT_MS = 1000, GATE_TRACE_SNAPSHOT_BYTES = 4 << 20 };

/* What a decision was made from. */
struct gate_trace_input {
    bool there; /* false: the request did not come as far as a decision */
    bool whole; /* model and headers fit: it can be replayed */
    uint32_t message_count, tool_count;
    bool has_images;
    uint64_t max_tokens, body_bytes, sticky, turn;
    char model[256];
    char headers[256]; /* "name\0value\0" of those that route_headers lists */
    uint16_t headers_len;
    struct gate_trace_accounts *accounts; /* NULL: not kept */
};

/* A whole request. */
struct gate_trace {
    char id[GATE_TRACE_ID];
    char model[GATE_TRACE_NAME], target[GATE_TRACE_NAME]; /* asked for; sent upstream */
    char key[GATE_TRACE_NAME], path[GATE_TRACE_NAME];
    uint64_t at_ms; /* Unix, when the request was complete */
    enum gate_usage_kind kind;
    uint64_t generation;           /* 0: of a stage */
    char stage[GATE_STAGE_ID + 1]; /* its id; "": none */
    bool stream;
    int status;
    char outcome[64]; /* as in the audit: "success", "error:..." */
    uint64_t total_us;
    int64_t first_us;
    uint64_t bytes_in, bytes_out;
    struct gate_usage usage;
    bool usage_estimated;
    char provider[64];                   /* of the last attempt; "": none */
    char reason[GATE_SCRIPT_REASON + 1]; /* what the script said of its decision */
    struct gate_trace_input input;
    struct gate_steps steps;
};

/* Writes it as a JSON object. */
void gate_trace_json(const struct gate_trace *t, struct gate_buf *out);
/* Of it only the members that say whose scripts decided, with a comma behind each. */
void gate_trace_json_scripts(const struct gate_trace *t, struct gate_buf *out);

/* A worker's ring. */
struct gate_trace_ring;
struct gate_trace_ring *gate_trace_ring_create(void);
/* The snapshot for a trace of now: that of the last second, or a new one. Retained for the caller.
 * NULL: the bound does not allow one. */
struct gate_trace_accounts *gate_trace_ring_accounts(struct gate_trace_ring *r,
                                                     const struct gate_table *table,
                                                     const struct gate_quota *quota,
                                                     enum gate_usage_kind kind, uint64_t now_ms);
/* A copy without its steps that outlives the ring and can go to another thread; free with
 * gate_trace_free. */
struct gate_trace *gate_trace_copy(const struct gate_trace *t);
void gate_trace_free(struct gate_trace *t);
void gate_trace_ring_destroy(struct gate_trace_ring *r);
/* The place of the oldest: the caller fills all of it at once. */
struct gate_trace *gate_trace_ring_next(struct gate_trace_ring *r);
/* How many traces it was ever given: the number of the newest one. */
uint64_t gate_trace_ring_made(const struct gate_trace_ring *r);
/* That place was filled. The accounts that were passed by take GATE_TRACE_LOOK_BYTES in all traces
 * of the ring at most: older traces lose theirs. */
enum { GATE_TRACE_LOOK_BYTES = 4 << 20 };
void gate_trace_ring_filled(struct gate_trace_ring *r, const struct gate_trace *t);
/* Newest first, at most `limit`; cb returns false to stop. */
void gate_trace_ring_each(const struct gate_trace_ring *r, size_t limit,
                          bool (*cb)(void *ctx, const struct gate_trace *t), void *ctx);

#endif
