/*
 * candidate: a set of scripts and everything it becomes, before it is published or without ever
 * being: configuration, provider instances, generation, a scratch Lua state. Made for checks, dry
 * runs, `llm-gate route` and publishing. Control thread.
 */
#ifndef GATE_LIVE_CANDIDATE_H
#define GATE_LIVE_CANDIDATE_H

#include "pool/instances.h"
#include "script/policy.h"
#include "script/problem.h"

/* What a candidate is made beside. All lent. */
struct gate_candidate_base {
    const struct gate_config *config; /* that runs, or was loaded for a command */
    const struct gate_pool *pool;     /* that runs; NULL: instances are made from the start */
    const struct gate_registry *registry;
    const struct gate_sources *sources; /* that `config` was read from */
};

struct gate_candidate {
    struct gate_config *config; /* retained; the running one when gateway.lua is the same */
    struct gate_pool *pool;     /* retained; unchanged instances are those that run */
    struct gate_generation *generation;
    struct gate_script *script; /* a scratch state */
    bool new_config;            /* gateway.lua says something else than what runs */
};

/* Lints, reads gateway.lua when it changed, makes instances, generation and state. All that is
 * wrong goes to problems; GATE_EINVAL: at least one error is there, and nothing was made. */
enum gate_status gate_candidate_create(const struct gate_candidate_base *base,
                                       const struct gate_sources *sources,
                                       struct gate_candidate **out, struct gate_problems *problems);
/* The one that runs now, for comparisons: a scratch state on what is there. */
enum gate_status gate_candidate_of_running(const struct gate_config *config,
                                           const struct gate_pool *pool,
                                           struct gate_generation *generation,
                                           struct gate_candidate **out, struct gate_error *err);
void gate_candidate_destroy(struct gate_candidate *c); /* NULL is fine */

#endif
