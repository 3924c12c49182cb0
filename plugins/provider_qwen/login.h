/*
 * login: the device login of provider_qwen (RFC 8628 with PKCE), as request and parse pairs of
 * gate_provider_ops, which say what they return. Control thread.
 */
#ifndef QWEN_LOGIN_H
#define QWEN_LOGIN_H

#include <gate/plugin.h>

enum gate_status qwen_login_begin_request(void *instance, struct gate_str verifier,
                                          const struct gate_request_builder *out,
                                          struct gate_error *err);
enum gate_status qwen_login_begin_parse(void *instance, const struct gate_answer *answer,
                                        const struct gate_writer *flow, struct gate_error *err);
enum gate_status qwen_login_poll_request(void *instance, struct gate_str flow,
                                         struct gate_str verifier,
                                         const struct gate_request_builder *out,
                                         struct gate_error *err);
enum gate_status qwen_login_poll_parse(void *instance, const struct gate_answer *answer,
                                       uint64_t *interval_ms, const struct gate_writer *secret,
                                       struct gate_error *err);

#endif
