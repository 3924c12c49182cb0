/* exchange_internal: what exchange.c (the steps) and answer.c (the answer to the client) share. */
#ifndef GATE_REQUEST_EXCHANGE_INTERNAL_H
#define GATE_REQUEST_EXCHANGE_INTERNAL_H

#include "base/buf.h"
#include "request/attempt.h"
#include "request/exchange.h"
#include "request/stream.h"

enum {
    EXCHANGE_HOLD_JSON =
        64 * 1024, /* a JSON answer up to this size is complete before the client sees any of it */
    EXCHANGE_HIGH_WATER = 64 * 1024, /* backlog at which the upstream is paused */
};

/* One place that may answer. */
struct exchange_target {
    const struct gate_instance *instance;
    char *model;
    struct gate_clocks clocks;
};

enum answer_mode { ANSWER_NONE = 0, ANSWER_STREAM, ANSWER_JSON };

struct gate_exchange {
    struct gate_exchange_input in;
    struct gate_request_facts facts;
    char *model; /* as the client asked, decoded */
    struct exchange_target targets[GATE_SCRIPT_MAX_TARGETS];
    size_t target_count, target; /* how many, and which is being tried */
    struct gate_attempt *attempt;
    struct gate_stream stream;
    struct gate_buf hold;         /* a JSON answer that has not gone out yet */
    struct gate_buf content_type; /* of the answer at hand */
    struct gate_buf headers;      /* "name\0value\0" of the answer's headers that the client gets */
    struct gate_timer keepalive;
    uint64_t last_write_ms;
    int64_t content_length; /* upstream's, -1 unknown */
    int64_t first_us;       /* -1: nothing sent */
    uint64_t bytes_out;
    uint32_t attempts;
    int status, upstream_status;
    enum answer_mode mode;
    bool committed; /* the head has gone to the client: no other target after this */
    bool paused;
};

static inline const struct exchange_target *exchange_target(const struct gate_exchange *x)
{
    return x->target < x->target_count ? &x->targets[x->target] : NULL;
}

/* exchange.c */
/* Ends the exchange: log line, x freed, the client's end(). */
void exchange_finish(struct gate_exchange *x, bool complete, const char *outcome, const char *code);
/* The attempt failed: tries the next target, or tells the client. Frees x in the latter case. */
void exchange_failed(void *ctx, struct gate_failure *f);

/* answer.c */
extern const struct gate_attempt_events exchange_attempt_events;
void exchange_write(struct gate_exchange *x, struct gate_str bytes);
/* Sends the head to the client: no other target after this. */
void exchange_commit(struct gate_exchange *x, int status, struct gate_str type, int64_t length);
/* Starts the keepalive comments of a stream client, if configured. */
void exchange_start_keepalive(struct gate_exchange *x);

#endif
