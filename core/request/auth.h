/*
 * auth: is this the gateway's key? Compared in constant time: both sides are hashed with a key of
 * this process, so neither the length nor the position of the first difference shows. Used by
 * serve for every request; admin changes the key. Any thread unless a function says otherwise.
 */
#ifndef GATE_REQUEST_AUTH_H
#define GATE_REQUEST_AUTH_H

#include "gate/plugin.h"

struct gate_auth;

/* Keeps only the hash of the key. */
struct gate_auth *gate_auth_create(struct gate_str key);
void gate_auth_destroy(struct gate_auth *auth); /* nobody uses it any more; NULL is fine */

/* Control thread. From now on another key is right, on all workers at once; the one before still is
 * until old_until_ms (Unix; 0: it is not), and those before that are not. A request that is being
 * looked at meanwhile is judged by one or the other. Takes a few hundred bytes for the rest of the
 * process's life. */
void gate_auth_change(struct gate_auth *auth, struct gate_str key, uint64_t old_until_ms);

bool gate_auth_key_matches(const struct gate_auth *auth, struct gate_str key);

enum gate_auth_result { GATE_AUTH_OK = 0, GATE_AUTH_MISSING, GATE_AUTH_WRONG };
/* value: the Authorization header, or an empty string. */
enum gate_auth_result gate_auth_bearer(const struct gate_auth *auth, struct gate_str value);

#endif
