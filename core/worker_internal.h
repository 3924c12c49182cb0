/* worker_internal: what worker.c (the threads) and worker_link.c (messages between them and the
 * control thread) share. */
#ifndef GATE_WORKER_INTERNAL_H
#define GATE_WORKER_INTERNAL_H

#include "serve/serve.h"
#include "upstream/http1.h"
#include "worker.h"
#include <h2o.h>
#include <pthread.h>
#include <stdatomic.h>

struct worker {
    const struct gate_parts *parts;
    struct server *server;
    const struct gate_auth *auth;
    pthread_t thread;
    int fd;
    h2o_globalconf_t *h2o_config;
    h2o_evloop_t *loop;
    h2o_context_t ctx;
    struct gate_timers timers;
    struct gate_timer log_timer, drain_timer;
    struct gate_log_batch log;
    struct gate_http1 *http1;
    struct gate_env env;
    struct gate_listener *listener;
    struct gate_mailbox *mailbox; /* NULL: never started */
    struct gate_audit_batch *audit;
    struct gate_journal_batch *journal;
    struct gate_error error;
    enum gate_status status; /* of its start */
    h2o_sem_t *started;
    bool draining, cut;
};

struct server {
    struct worker *workers;
    size_t count, started;
    bool joined; /* all workers have ended */
    uint32_t drain_ms;
    uint16_t port;            /* that they listen on */
    struct gate_table *table; /* for workers that start */
    h2o_sem_t started_sem;
    h2o_globalconf_t h2o_config;
    const struct gate_parts *parts;
    struct gate_admin *admin;   /* control thread */
    _Atomic unsigned listeners; /* clients of the live stream */
    _Atomic unsigned forwarded; /* admin requests that are not answered yet */
};

/* worker_link.c */
/* Worker; gate_env.forward_admin. */
bool worker_forward_admin(struct gate_env *env, const struct gate_admin_request *request,
                          void (*reply)(void *ctx, int status, struct gate_str json), void *ctx);
/* Worker; gate_env.script_failing. */
void worker_script_failing(struct gate_env *env, uint64_t generation, const char *why);
/* Control thread: the table that workers start with. arg: the server. */
void worker_first_table(void *arg);
/* Control thread, when all workers run: scripts, account tables and admin requests flow from now
 * on. What
 * was published since the workers got their first table reaches them now. arg: the server. */
void worker_connect(void *arg);
/* Control thread, when all workers have ended. */
void worker_disconnect(void *arg);

#endif
