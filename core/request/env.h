/*
 * env: what one worker offers to its requests. Built by worker.c, read-only for the request and
 * serve wings.
 */
#ifndef GATE_REQUEST_ENV_H
#define GATE_REQUEST_ENV_H

#include "base/log.h"
#include "base/timer.h"
#include "config.h"
#include "pool/accounts.h"
#include "script/script.h"
#include "upstream/upstream.h"

struct gate_env {
    const struct gate_config *config;
    const struct gate_pool *pool;
    struct gate_generation *generation;
    struct gate_script *script;
    struct gate_upstream upstream;
    struct gate_timers *timers;
    struct gate_log_batch *log;
    uint64_t started_ms; /* wall clock */
    uint64_t random;     /* state of this worker's request id generator */
    size_t active;       /* exchanges in flight */
    uint64_t served;     /* exchanges ended */
};

#endif
