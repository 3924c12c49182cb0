/*
 * attempt: one try to have a request answered by one account. It asks the provider for the upstream
 * request, sends it, watches the three clocks, and tells good answers from failures. Used by
 * exchange; runs on one worker.
 */
#ifndef GATE_REQUEST_ATTEMPT_H
#define GATE_REQUEST_ATTEMPT_H

#include "request/env.h"
#include "request/failure.h"

struct gate_attempt;

/* None is called after on_failure, on_done or destroy; any may destroy the attempt. */
struct gate_attempt_events {
    /* A good head: 2xx, not HTML. event_stream: the body is server-sent events. */
    void (*on_head)(void *ctx, const struct gate_upstream_head *head, bool event_stream);
    void (*on_data)(void *ctx, struct gate_str bytes);
    /* The transport says that the message is complete; whether the answer is, its meaning decides.
     */
    void (*on_done)(void *ctx);
    /* It failed, before or after on_head. Lent: copy what must last. */
    void (*on_failure)(void *ctx, struct gate_failure *failure);
};

/* The views must live as long as the attempt. */
struct gate_attempt_input {
    const struct gate_instance *instance;
    const struct gate_attachment *attachment; /* of the account that was chosen */
    enum gate_usage_kind kind;
    struct gate_str query; /* of a search; page and rows too */
    uint32_t page, rows;
    struct gate_str model;
    struct gate_str request_id;
    struct gate_str body;
    const struct gate_request_facts *facts;
    const struct gate_edits *edits; /* what the scripts change of the request; NULL: nothing */
    struct gate_clocks clocks;
};

struct gate_attempt *gate_attempt_create(struct gate_env *env,
                                         const struct gate_attempt_input *input,
                                         const struct gate_attempt_events *events, void *ctx);
/* Starts it. Events may come before this returns. */
void gate_attempt_run(struct gate_attempt *a);
/* Cancels what is in flight. NULL is fine. */
void gate_attempt_destroy(struct gate_attempt *a);

/* True: the upstream was asked for token counts that the client did not ask for. */
bool gate_attempt_asked_usage(const struct gate_attempt *a);
/* True: the request, or a part of it, has been handed to the upstream connection. */
bool gate_attempt_was_sent(const struct gate_attempt *a);

/* Back pressure; while paused the idle clock stands. */
void gate_attempt_pause(struct gate_attempt *a);
void gate_attempt_resume(struct gate_attempt *a);

/* Judges a piece of a 200 answer (a whole JSON body, or the first event of a stream) through the
 * provider. True: it is a failure; *out is filled and belongs to the caller. */
bool gate_attempt_judge(struct gate_attempt *a, struct gate_str body, bool in_stream,
                        struct gate_failure *out);

#endif
