/*
 * oauth: what the device login (login.c) and the refresh (refresh.c) of provider_qwen share: form
 * requests to the login service, and the reading of its answers. Used by provider_qwen only.
 * Control thread.
 */
#ifndef QWEN_OAUTH_H
#define QWEN_OAUTH_H

#include "../provider_openai/failure.h"
#include "qwen.h"
#include "text.h"

enum { QWEN_REFUSAL_MAX = 64 + 384 + 2 };

/* Describes a POST of the form to the login service. */
void qwen_oauth_post(const struct qwen_instance *instance, struct gate_str path,
                     const struct qwen_text *form, const struct gate_request_builder *out);

/* The client id as a form wants it. */
struct gate_str qwen_oauth_client_id(const struct qwen_instance *instance);

/* An answer of the login service that is not a success. */
struct qwen_refusal {
    struct openai_failure failure;
    char code[64];               /* "authorization_pending"; "" if the answer holds no error */
    char text[QWEN_REFUSAL_MAX]; /* code and description, without tokens */
};

void qwen_refusal_read(const struct gate_host *host, const struct gate_answer *answer,
                       struct qwen_refusal *out);

/* For answers from which nothing is learnt about the login: GATE_EIO (not reached, busy, failing)
 * or GATE_EPARSE (a firewall's page, no JSON, no error in it). GATE_OK: the service refused, with a
 * code. */
enum gate_status qwen_refusal_unclear(const struct qwen_refusal *refusal, struct gate_error *err);

/* Writes the login's JSON from a token reply; what the reply does not name is taken from `old`
 * (empty: there is none). *expires_at_ms: Unix, 0: not said. GATE_EPARSE: the answer is no token
 * reply, and nothing was written. */
enum gate_status qwen_token_write(const struct qwen_instance *instance,
                                  const struct gate_answer *answer, struct gate_str old,
                                  const struct gate_writer *secret, uint64_t *expires_at_ms,
                                  struct gate_error *err);

#endif
