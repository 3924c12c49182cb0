/*
 * marks: what the portal behind a Qwen login wants in a request beside the client's bytes: a first
 * system message whose content is an array with a cache_control mark, and a mark on the last
 * message. Used by provider_qwen for OAuth accounts only. Pure.
 */
#ifndef QWEN_MARKS_H
#define QWEN_MARKS_H

#include <gate/plugin.h>

enum { QWEN_MAX_MARKS = 4 }; /* the service refuses more in one request */

/* Adds the edits to the request. Marks that the client set stay and count. Worker. */
void qwen_marks_splice(const struct gate_host *host, const struct gate_call *call,
                       const struct gate_request_builder *out);

#endif
