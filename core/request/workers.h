/*
 * workers: how the control thread asks all workers. Implemented by worker_link.c; used by admin and
 * live.
 */
#ifndef GATE_REQUEST_WORKERS_H
#define GATE_REQUEST_WORKERS_H

#include "request/env.h"

struct gate_workers {
    size_t count;
    /* Control thread. Has visit(env, arg) run on every worker that still runs, then done(arg) on
     * the control thread. NULL: there are no workers (command line). */
    void (*visit)(void *ctx, void (*visit)(struct gate_env *env, void *arg),
                  void (*done)(void *arg), void *arg);
    /* Control thread. Sends an event ("event: ...\ndata: ...\n\n"; lent) to everybody who listens
     * on any worker. */
    void (*broadcast)(void *ctx, struct gate_str event);
    /* Control thread. How many listen. */
    unsigned (*listeners)(void *ctx);
    void *ctx;
};

#endif
