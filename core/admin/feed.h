/*
 * feed: what the files of the live stream share. While somebody listens, a timer of the control
 * thread looks four times a second at what has changed and tells it, once a second how the gateway
 * is. Nobody listens: no timer, and workers are asked nothing.
 */
#ifndef GATE_ADMIN_FEED_H
#define GATE_ADMIN_FEED_H

#include "admin/admin_internal.h"
#include <pthread.h>

/* ---------------------------------------------------------------- feed_requests.c */

/* One round of visits to all workers. */
struct feed_requests {
    pthread_mutex_t lock; /* workers fill all of it in */
    uint64_t since_ms;    /* Unix: what ended before is not told */
    size_t workers;
    struct feed_place {
        const struct gate_env *env; /* to compare */
        uint64_t seen;              /* number of the newest trace that was looked at */
    } * places;
    size_t place_count;
    struct admin_load *loads;
    size_t load_count;
    struct gate_buf text; /* rows as JSON */
    struct feed_row *rows;
    size_t row_count;
    uint64_t dropped;
};

void feed_requests_init(struct feed_requests *f, size_t workers);
void feed_requests_finish(struct feed_requests *f);
/* Control thread, while no round runs: what ends from now on is told. */
void feed_requests_begin(struct feed_requests *f, uint64_t now_ms);
/* Control thread, before a round. */
void feed_requests_reset(struct feed_requests *f);
/* Worker. */
void feed_requests_visit(struct feed_requests *f, const struct gate_env *env);
/* Control thread, behind a round. */
void feed_requests_send(struct feed_requests *f, struct gate_admin *a);

/* ---------------------------------------------------------------- feed_accounts.c; control thread
 */

struct feed_accounts {
    struct feed_account *list; /* sorted by id, as members are */
    size_t count;
    size_t next; /* where the next message begins, so that each gets its turn */
    bool lost;   /* more are gone than one message can tell */
};

void feed_accounts_finish(struct feed_accounts *f);
/* What changes from now on is told. */
void feed_accounts_begin(struct feed_accounts *f, struct gate_admin *a, uint64_t now_ms);
void feed_accounts_send(struct feed_accounts *f, struct gate_admin *a, uint64_t now_ms);

#endif
