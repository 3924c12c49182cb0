/*
 * worker: the threads that serve. Each has its own event loop, listener, upstream connections and
 * Lua state; a request lives and dies on one of them. gate_serve runs them all until the process is
 * told to stop. Used by main.
 */
#ifndef GATE_WORKER_H
#define GATE_WORKER_H

#include "config.h"
#include "plugin/registry.h"
#include "pool/accounts.h"

/* What all workers share, immutable while they run. Owner: main. */
struct gate_gateway {
    const struct gate_config *config;
    const struct gate_registry *registry;
    const struct gate_pool *pool;
    struct gate_generation *generation;
    uint64_t started_ms; /* wall clock */
};

/* Binds, starts the workers, calls ready (once, on the control thread, when connections are
 * accepted), and waits for SIGTERM or SIGINT: then no new connection is taken, running requests get
 * config->drain_ms to end, and it returns GATE_OK. A second signal ends at once. An error (address
 * in use, no permission) names the address. The caller has blocked no signal; gate_serve blocks
 * what it handles. */
enum gate_status gate_serve(const struct gate_gateway *gateway,
                            void (*ready)(void *ctx, const char *host, uint16_t port), void *ctx,
                            struct gate_error *err);

#endif
