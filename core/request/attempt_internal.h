/* attempt_internal: what attempt.c and attempt_build.c share. */
#ifndef GATE_REQUEST_ATTEMPT_INTERNAL_H
#define GATE_REQUEST_ATTEMPT_INTERNAL_H

#include "request/attempt.h"

enum { ATTEMPT_MAX_EDITS = 24, ATTEMPT_MAX_EDIT_TEXT = 64 << 20, ATTEMPT_MAX_HEADERS = 64 * 1024 };

/* The upstream request that a provider described. */
struct attempt_request {
    const struct gate_endpoint *endpoint;
    struct gate_buf path;      /* base path and path */
    struct gate_str lines;     /* the provider's ready block, lent by the account */
    struct gate_buf own_lines; /* content-type and single headers */
    struct gate_buf text;      /* replacement texts of all edits */
    struct iovec *parts;       /* body pieces; points to `whole` when nothing is edited */
    struct iovec whole;
    size_t part_count;
};

/* Asks the provider to describe the request for this input. On failure *out is finished. */
enum gate_status gate_attempt_build(const struct gate_attempt_input *input,
                                    struct attempt_request *out, struct gate_error *err);
void gate_attempt_build_finish(struct attempt_request *r);
/* What the provider sees of the request. */
struct gate_call gate_attempt_call(const struct gate_attempt_input *input);

#endif
