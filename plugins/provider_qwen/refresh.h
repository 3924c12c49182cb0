/*
 * refresh: how provider_qwen renews the access token of a login, as request and parse pair of
 * gate_provider_ops, which says what they return. Control thread.
 */
#ifndef QWEN_REFRESH_H
#define QWEN_REFRESH_H

#include <gate/plugin.h>

enum gate_status qwen_refresh_request(void *instance, const struct gate_credential *credential,
                                      const struct gate_request_builder *out,
                                      struct gate_error *err);
enum gate_status qwen_refresh_parse(void *instance, const struct gate_credential *old,
                                    const struct gate_answer *answer,
                                    const struct gate_writer *secret, uint64_t *expires_at_ms,
                                    struct gate_error *err);
uint64_t qwen_credential_expires(void *instance, const struct gate_credential *credential);

#endif
