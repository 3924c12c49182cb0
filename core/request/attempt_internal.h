/* attempt_internal: what attempt.c and attempt_build.c share. */
#ifndef GATE_REQUEST_ATTEMPT_INTERNAL_H
#define GATE_REQUEST_ATTEMPT_INTERNAL_H

#include "request/attempt.h"
#include "upstream/builder.h"

/* Asks the provider to describe the request for this input. *asked_usage: the gateway added a
 * question for token counts. On failure *out is finished. */
enum gate_status gate_attempt_build(const struct gate_attempt_input *input, struct gate_built *out,
                                    bool *asked_usage, struct gate_error *err);
/* What the provider sees of the request. */
struct gate_call gate_attempt_call(const struct gate_attempt_input *input);

#endif
