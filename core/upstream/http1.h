/*
 * http1: the HTTP/1.1 transport of upstream.h on one worker's h2o loop: keep-alive connections
 * pooled for each endpoint, TLS with verification and SNI, one retry on a stale pooled connection.
 * Used by worker.c. Files: http1.c (calls and pool), http1_connect.c (resolve, connect, TLS),
 * http1_read.c (response parsing).
 */
#ifndef GATE_UPSTREAM_HTTP1_H
#define GATE_UPSTREAM_HTTP1_H

#include "base/timer.h"
#include "upstream/upstream.h"

struct gate_http1;
struct st_h2o_evloop_t;
struct st_h2o_multithread_receiver_t;

/* loop and getaddr_receiver belong to the worker and outlive the transport, timers too. Worker
 * thread. */
struct gate_http1 *gate_http1_create(struct st_h2o_evloop_t *loop,
                                     struct st_h2o_multithread_receiver_t *getaddr_receiver,
                                     struct gate_timers *timers);
/* Name lookups that still run; their answers come through getaddr_receiver. */
size_t gate_http1_lookups(const struct gate_http1 *transport);
/* All calls must have ended, and all lookups. */
void gate_http1_destroy(struct gate_http1 *transport);
extern const struct gate_transport_ops gate_http1_transport;

#endif
