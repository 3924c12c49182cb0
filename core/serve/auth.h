/*
 * auth: is this the gateway's key? Compared in constant time: both sides are hashed with a key of
 * this process, so neither the length nor the position of the first difference shows. Used by
 * downstream. Any thread.
 */
#ifndef GATE_SERVE_AUTH_H
#define GATE_SERVE_AUTH_H

#include "gate/plugin.h"

struct gate_auth; /* immutable */

/* Control thread, once. Keeps only the hash of the key. */
struct gate_auth *gate_auth_create(struct gate_str key);
void gate_auth_destroy(struct gate_auth *auth);

bool gate_auth_key_matches(const struct gate_auth *auth, struct gate_str key);

enum gate_auth_result { GATE_AUTH_OK = 0, GATE_AUTH_MISSING, GATE_AUTH_WRONG };
/* value: the Authorization header, or an empty string. */
enum gate_auth_result gate_auth_bearer(const struct gate_auth *auth, struct gate_str value);

#endif
