/*
 * model: the rules of quota_window once more, slow and exact: a list of everything that was taken,
 * with its time in ms. Used by test_trace.c to say what must be admitted, what must not, and what
 * the numbers are. Single-threaded.
 */
#ifndef MODEL_H
#define MODEL_H

#include "test_window.h"

enum { MODEL_DAYS = 64 };

struct model_entry {
    uint64_t at_ms;
    uint64_t requests; /* 1, or 0 when given back or a correction */
    uint64_t minute_tokens;
    uint64_t day_tokens;
};

struct model {
    int64_t offset_ms;
    uint64_t first_day;
    uint64_t newest_ms; /* time does not go back */
    struct model_entry *entries;
    size_t len, cap;
    size_t live; /* entries before it have left every window */
    uint64_t day_requests[MODEL_DAYS], day_tokens[MODEL_DAYS];
    uint64_t in_flight;
    uint64_t blocked_until;
};

void model_open(struct model *m, int64_t offset_ms, uint64_t start_ms);
void model_close(struct model *m);

/* What the gateway must answer to reserve: the limit that is full, or GATE_LIMIT_NONE. */
enum gate_limit_name model_ask(struct model *m, const struct gate_limits *limits, uint64_t now_ms,
                               uint64_t tokens, uint64_t *free_at_ms);
/* Takes without asking. Returns the entry's index. */
size_t model_take(struct model *m, const struct gate_limits *limits, uint64_t now_ms,
                  uint64_t tokens);
void model_settle(struct model *m, size_t entry, enum gate_outcome outcome, uint64_t tokens,
                  uint64_t now_ms);
/* A restart: nothing is in flight any more. */
void model_restart(struct model *m, uint64_t now_ms);
void model_numbers(const struct model *m, uint64_t now_ms, struct gate_quota_numbers *out);

/* Requests of the last 60,000 ms exactly, now included, and the most tokens that they hold. */
void model_rolling(const struct model *m, uint64_t now_ms, uint64_t *requests, uint64_t *tokens);

#endif
