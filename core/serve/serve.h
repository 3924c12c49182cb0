/*
 * serve: where clients come in. One listener for each worker accepts connections on the worker's
 * loop, reads requests through libh2o, answers the small endpoints itself and hands API calls to
 * request/exchange. Used by worker.c. Files: listener.c (connections and their clocks),
 * downstream.c (one request: h2o <-> exchange), endpoints.c (which address does what), search.c
 * (web search), admin.c (/admin/api, handed to the control thread), events.c (its live stream),
 * chat.c (its chats, which stay on the worker), console.c (/<key>/ui and /ui/), session.c (the
 * console's sessions), unknown.c (where there is nothing), http_errors.c (libh2o's own refusals),
 * auth.c (keys).
 */
#ifndef GATE_SERVE_SERVE_H
#define GATE_SERVE_SERVE_H

#include "request/auth.h"
#include "request/console.h"

struct gate_listener;
struct st_h2o_globalconf_t;
struct st_h2o_context_t;

/* Registers the handler and the error filter in a fresh h2o configuration of this worker. */
void gate_serve_configure(struct st_h2o_globalconf_t *conf, const struct gate_config *config);

/* Starts accepting on fd (owned from now on). ctx, env and auth belong to the worker and outlive
 * the listener, as does what console works on. */
struct gate_listener *gate_listener_create(struct st_h2o_context_t *ctx, struct gate_env *env,
                                           const struct gate_auth *auth,
                                           const struct gate_console *console, int fd);
/* No new connection, no new request on idle ones; running requests go on. */
void gate_listener_drain(struct gate_listener *l);
/* Requests that are not answered in full yet. */
size_t gate_listener_active(const struct gate_listener *l);
/* Cuts every connection and frees. */
void gate_listener_destroy(struct gate_listener *l);

#endif
