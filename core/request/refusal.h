/*
 * refusal: the texts and codes with which the gateway itself refuses a request. One place, so that
 * every message says what was wrong and what to do. Used by exchange and serve. Each function fills
 * *error; its strings live as long as the caller's message buffer, or are literals.
 */
#ifndef GATE_REQUEST_REFUSAL_H
#define GATE_REQUEST_REFUSAL_H

#include "base/json.h"
#include "request/env.h"

enum { GATE_REFUSAL_TEXT = 1024, GATE_REFUSAL_MAX = 16 * 1024 };

void gate_refusal_scan(const struct gate_json_error *why, char *message, size_t cap,
                       struct gate_api_error *error);
void gate_refusal_model_name(size_t max, char *message, size_t cap, struct gate_api_error *error);
/* The model's name has control characters. */
void gate_refusal_model_bytes(struct gate_api_error *error);
/* model: what the client asked for; asked: what routing made of it. Lists what exists. */
void gate_refusal_unknown_model(const struct gate_pool *pool, const struct gate_script_pin *scripts,
                                struct gate_str model, struct gate_str asked, char *message,
                                size_t cap, struct gate_api_error *error);
void gate_refusal_script(struct gate_api_error *error);
/* By the routing script, with its own status, code and message. */
void gate_refusal_rejected(int status, struct gate_str code, struct gate_str message,
                           struct gate_api_error *error);
void gate_refusal_no_search(struct gate_api_error *error);
void gate_refusal_no_key(struct gate_api_error *error);
void gate_refusal_wrong_key(struct gate_api_error *error);
void gate_refusal_not_found(struct gate_api_error *error);
void gate_refusal_method(struct gate_str allow, char *message, size_t cap,
                         struct gate_api_error *error);
void gate_refusal_framing(const char *what, struct gate_api_error *error);
/* Errors that libh2o found while it read the request: 400, 413, 417. */
void gate_refusal_http(int status, size_t max_body, char *message, size_t cap,
                       struct gate_api_error *error);
void gate_refusal_busy(struct gate_api_error *error);

#endif
