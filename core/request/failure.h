/*
 * failure: why a request was not answered, and how that is said in the client's dialect. Used by
 * attempt (what happened), exchange (what to do) and serve (refusals before an exchange).
 */
#ifndef GATE_REQUEST_FAILURE_H
#define GATE_REQUEST_FAILURE_H

#include "base/buf.h"

struct gate_instance;

enum { GATE_FAILURE_BODY = 16 * 1024 };

/* One failed attempt. Owner: the exchange; body is a copy. */
struct gate_failure {
    struct gate_verdict verdict;
    int upstream_status;         /* 0: none came */
    char reason[GATE_ERROR_MAX]; /* what happened, for people; no secret */
    char code[48];               /* machine-readable: "upstream_unreachable" */
    bool blameless;       /* the account had no part in it: no request could be made of the input */
    struct gate_buf body; /* the upstream's error body when it may be passed on as it is */
};

void gate_failure_init(struct gate_failure *f);
void gate_failure_finish(struct gate_failure *f);

/* What an answer means: by its status, and by the provider where it judges its answers. The thread
 * that may call the provider's classify. */
void gate_failure_classify(const struct gate_instance *instance, const struct gate_answer *answer,
                           struct gate_verdict *out);

/* HTTP status for the client: the upstream's own where it says something to the client, else 502,
 * 503 or 504. */
int gate_failure_status(const struct gate_failure *f);

/* True when body is an error object in the shape that OpenAI-compatible services use. */
bool gate_failure_is_api_error(struct gate_str body);

/* Writes the answer's body: the upstream's own error when it has the client's shape, else one made
 * by the dialect. */
void gate_failure_render(const struct gate_failure *f, const struct gate_dialect_ops *dialect,
                         const char *instance, struct gate_buf *out);
/* The same failure as the last event of a stream that has begun. */
void gate_failure_render_event(const struct gate_failure *f, const struct gate_dialect_ops *dialect,
                               const char *instance, struct gate_buf *out);

#endif
