/*
 * worker: the threads that serve. Each has its own event loop, listener, upstream connections and
 * Lua state; a request lives and dies on one of them. gate_serve runs them all until the process is
 * told to stop. Used by main.
 */
#ifndef GATE_WORKER_H
#define GATE_WORKER_H

#include "parts.h"

/* Binds, starts the workers, calls ready (once, on the control thread, when connections are
 * accepted), and waits for SIGTERM or SIGINT: then no new connection is taken, running requests get
 * config->drain_ms to end, and it returns GATE_OK. A second signal ends at once. An error (address
 * in use, no permission) names the address. The caller has blocked no signal; gate_serve blocks
 * what it handles. */
enum gate_status gate_serve(const struct gate_parts *parts,
                            void (*ready)(void *ctx, const char *host, uint16_t port), void *ctx,
                            struct gate_error *err);

#endif
