/*
 * env: what one worker offers to its requests. Built by worker.c; the request and serve wings read
 * it.
 */
#ifndef GATE_REQUEST_ENV_H
#define GATE_REQUEST_ENV_H

#include "base/log.h"
#include "base/mailbox.h"
#include "base/timer.h"
#include "config.h"
#include "pool/credentials.h"
#include "record/audit.h"
#include "record/journal.h"
#include "request/trace.h"
#include "script/policy.h"
#include "upstream/upstream.h"

enum {
    GATE_ADMIN_MAX_BODY = 4 << 20, /* of a request for /admin/api */
    GATE_CONSOLE_SESSION = 16,     /* characters of a console session's id: hex digits, no secret */
    GATE_ENV_SCRIPT_ERRORS = 20,   /* script errors in a row on one worker: the generation before
                                      takes over */
};

/* One request for /admin/api; the strings are lent. */
struct gate_admin_request {
    struct gate_str method; /* "GET", "POST", "PATCH", "DELETE" */
    struct gate_str path;   /* below /admin/api: "/accounts/qwen/0" (percent-encoding decoded is
                               the callee's work) */
    struct gate_str query;  /* without '?' */
    struct gate_str body;
    struct gate_str session; /* id of the console's session that asks; empty: who has the key */
};

/* One client of the live stream of admin events on this worker. */
struct gate_feed_client {
    struct gate_feed_client *prev, *next;
    /* One whole event as it goes out ("event: ...\ndata: ...\n\n"); lent. */
    void (*event)(struct gate_feed_client *client, struct gate_str event);
};

/* All of them. */
struct gate_feed {
    struct gate_feed_client *first;
    size_t count;
    _Atomic unsigned *listeners; /* of all workers: the control thread sends only when there are
                                    some; NULL in tests */
};

struct gate_stage_pin;

struct gate_env {
    /* What a publish replaces, between two events: requests that run keep the pins that they began
     * with. */
    struct gate_config *config;          /* of the connections; retained */
    struct gate_script_pin *script;      /* the newest generation and its state */
    struct gate_table_pin *accounts;     /* the newest table, with its pool */
    struct gate_script_pin *next_script; /* built for a publish that is under way; NULL: none is */
    struct gate_stage_pin *stages; /* request/stage.h: drafts beside what serves; NULL: none */
    struct gate_script_host script_host; /* notes that outlive generations */
    struct gate_upstream upstream;
    struct gate_timers *timers;
    struct gate_log_batch *log;
    struct gate_mailbox *mailbox; /* for answers that requests wait for */
    const struct gate_quota *quota;
    struct gate_credentials *credentials; /* NULL in tests without OAuth accounts */
    struct gate_store *store;
    bool record_first; /* a request is on record before it is sent: counter_flush_ms is 0 */
    struct gate_audit_batch *audit;
    struct gate_trace_ring *recent;
    struct gate_journal_batch *journal; /* NULL in tests */
    struct gate_choice *scratch;        /* of the selection at hand: too big for each request */
    /* Hands a request for /admin/api to the control thread; reply runs on this worker (or
     * elsewhere when it has ended, with its clients), once, and never before forward returns. Views
     * are copied. False: too many wait already. NULL in tests.
     */
    bool (*forward_admin)(struct gate_env *env, const struct gate_admin_request *request,
                          void (*reply)(void *ctx, int status, struct gate_str json), void *ctx);
    /* Tells the control thread that a generation fails again and again. NULL in tests. */
    void (*script_failing)(struct gate_env *env, uint64_t generation, const char *why);
    struct gate_feed feed;
    void *gateway;       /* of forward_admin and script_failing */
    uint64_t started_ms; /* wall clock */
    uint64_t random;     /* state of this worker's generator */
    size_t active;       /* exchanges in flight */
    size_t staged;       /* those of them that run a stage's scripts */
    uint64_t served;     /* exchanges ended */
};

/* The configuration that new requests work with; each keeps that of the table that it began with.
 */
static inline const struct gate_config *gate_env_config(const struct gate_env *env)
{
    return env->accounts->table->config;
}

/* The instances that new requests work with. */
static inline const struct gate_pool *gate_env_pool(const struct gate_env *env)
{
    return env->accounts->table->pool;
}

/* Random bits for ids and jitter; not for secrets. */
static inline uint64_t gate_env_random(struct gate_env *env)
{
    uint64_t z = (env->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
