/* Waiting for another thread: for a token that is renewed, for a count to be on record. A wait ends
 * in any case: what it waits for goes on without the request. */
#include "base/clock.h"
#include "request/exchange_internal.h"
#include <stdlib.h>

enum {
    WAIT_REFRESH_MS = 10 * 1000, /* for a token */
    WAIT_RECORD_MS = 1000,       /* for a count to be on record */
};

struct exchange_wait {
    struct gate_exchange *x; /* NULL: it is gone; worker thread only */
    struct gate_mailbox *mailbox;
    enum gate_status status;
    char why[GATE_ERROR_MAX];
    struct gate_account *account; /* whose token is renewed, retained; NULL: counts go on record */
};

static void on_wait_timer(struct gate_timer *timer);

static void arm_wait_timer(struct gate_exchange *x, uint64_t most_ms)
{
    uint64_t elapsed_ms = (gate_clock_mono_us() - x->in.started_us) / 1000;
    uint64_t left = exchange_config(x)->failover_ms;
    left = left > elapsed_ms ? left - elapsed_ms : 0;
    x->wait_timer.cb = on_wait_timer;
    gate_timer_arm(x->in.env->timers, &x->wait_timer, left < most_ms ? left : most_ms);
}

static struct exchange_wait *begin_wait(struct gate_exchange *x, struct gate_account *account)
{
    struct exchange_wait *w = gate_calloc(1, sizeof *w);
    w->x = x;
    w->mailbox = x->in.env->mailbox;
    gate_mailbox_retain(w->mailbox);
    w->account = account;
    if (account != NULL)
        gate_account_retain(account);
    x->wait = w;
    arm_wait_timer(x, account != NULL ? WAIT_REFRESH_MS : WAIT_RECORD_MS);
    return w;
}

static void free_wait(struct exchange_wait *w)
{
    gate_account_release(w->account);
    gate_mailbox_release(w->mailbox);
    free(w);
}

void exchange_abandon_wait(struct gate_exchange *x)
{
    gate_timer_disarm(x->in.env->timers, &x->wait_timer);
    if (x->wait != NULL)
        x->wait->x = NULL;
    x->wait = NULL;
}

/* The token could not be renewed now, which is no reason to sign in: the account rests a little,
 * and a refusal that the renewal was to mend counts as this. */
static void note_not_renewed(struct gate_exchange *x, struct gate_account *account, const char *why)
{
    struct gate_verdict verdict = {.kind = GATE_VERDICT_NETWORK};
    uint64_t now = gate_clock_wall_ms();
    snprintf(verdict.message, sizeof verdict.message, "its token could not be renewed: %.300s",
             why);
    struct gate_health_failure failure = {
        .verdict = &verdict,
        .reason = "",
        .pause_ms = gate_health_pause(account, &verdict, 0, now),
        .hard = true,
    };
    /* An expired token is passed by anyway; a refused one would be tried again and again. */
    if (x->traced == NULL || x->traced->account != account ||
        x->traced->verdict != GATE_VERDICT_AUTH)
        return;
    gate_health_bad(account, &failure, gate_env_random(x->in.env), now);
    x->traced->verdict = GATE_VERDICT_NETWORK;
    snprintf(x->traced->reason, sizeof x->traced->reason, "%s", verdict.message);
    if (x->last == NULL)
        return;
    gate_failure_finish(x->last); /* the client could only take it for a refusal of its own key */
    free(x->last);
    x->last = NULL;
}

/* Goes on without the account. */
static void pass_over(struct gate_exchange *x, struct gate_account *account)
{
    exchange_add_tried(x, account);
    if (exchange_may_try_more(x))
        exchange_advance(x);
    else
        exchange_give_up(x);
}

/* The wait took too long. What it waits for goes on without this request. */
static void on_wait_timer(struct gate_timer *timer)
{
    struct gate_exchange *x =
        (struct gate_exchange *)((char *)timer - offsetof(struct gate_exchange, wait_timer));
    struct gate_account *account = x->wait->account;
    if (account == NULL) {
        exchange_abandon_wait(x);
        exchange_start_attempt(x);
        return;
    }
    gate_account_retain(account);
    exchange_abandon_wait(x);
    note_not_renewed(x, account, "the service does not answer");
    pass_over(x, account);
    gate_account_release(account);
}

static void on_refreshed(struct gate_exchange *x, const struct exchange_wait *w)
{
    gate_log_debug("request %.*s: token of %s: %s", (int)x->in.request_id.len, x->in.request_id.ptr,
                   w->account->id, w->status == GATE_OK ? "renewed" : w->why);
    exchange_repin(x);
    enum exchange_pick pick =
        w->status == GATE_OK ? exchange_pick_again(x, w->account) : EXCHANGE_NOBODY;
    if (pick == EXCHANGE_PICKED) {
        exchange_start_attempt(x);
    } else if (pick == EXCHANGE_NOBODY) {
        if (w->status == GATE_EIO)
            note_not_renewed(x, w->account, w->why);
        pass_over(x, w->account);
    }
}

/* Worker: the answer has arrived. */
static void on_wait_over(void *arg)
{
    struct exchange_wait *w = arg;
    struct gate_exchange *x = w->x;
    if (x != NULL) {
        exchange_abandon_wait(x);
        gate_timers_touch(x->in.env->timers, gate_clock_mono_ms());
        if (w->account != NULL)
            on_refreshed(x, w);
        else
            exchange_start_attempt(x);
    }
    free_wait(w);
}

/* Control or store thread. */
static void post_wait(struct exchange_wait *w)
{
    if (!gate_mailbox_post(w->mailbox, on_wait_over, w))
        free_wait(w); /* the worker has ended, and with it the request */
}

static void on_credentials(void *arg, enum gate_status status, const char *why)
{
    struct exchange_wait *w = arg;
    w->status = status;
    snprintf(w->why, sizeof w->why, "%s", why);
    post_wait(w);
}

static void on_record(void *arg, bool written)
{
    (void)written; /* storage that fails is told by an alert; requests go on */
    post_wait(arg);
}

void exchange_wait_refresh(struct gate_exchange *x, const struct gate_entry *entry)
{
    struct exchange_wait *w = begin_wait(x, entry->account);
    gate_account_retain(entry->account);
    gate_account_release(x->refreshed);
    x->refreshed = entry->account;
    exchange_start_keepalive(x);
    gate_credentials_want(x->in.env->credentials, entry->account, entry->attachment->version,
                          on_credentials, w);
}

void exchange_wait_record(struct gate_exchange *x)
{
    gate_store_flush(x->in.env->store, on_record, begin_wait(x, NULL));
}
