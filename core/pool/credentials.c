#include "pool/credentials.h"
#include "base/clock.h"
#include "pool/credentials_internal.h"
#include "pool/health.h"
#include <stdlib.h>

enum {
    LEAD_JITTER_MS = 60 * 1000,
    /* A service whose tokens seem to end at once (a wrong clock, perhaps) is asked no oftener. */
    LEAST_BETWEEN_MS = 30 * 1000,
};

/* ---- small things */

uint64_t credentials_random(struct gate_credentials *c, uint64_t below)
{
    uint64_t z = c->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return below > 0 ? (z ^ (z >> 31)) % below : 0;
}

struct gate_member *credentials_member(const struct gate_credentials *c,
                                       const struct gate_account *account)
{
    return gate_roster_member_of(c->roster, account);
}

bool credentials_is_gone(const struct gate_member *m)
{
    return m == NULL || m->deleted_ms != 0 || m->instance == NULL;
}

bool credentials_newer(const struct gate_member *m, uint64_t version)
{
    return m != NULL && m->attachment != NULL && m->secret_version > version;
}

static bool can_refresh(const struct gate_member *m)
{
    const struct gate_provider_ops *ops = m->instance->ops;
    return m->account->kind == GATE_CREDENTIAL_OAUTH && ops->refresh_request != NULL &&
           ops->refresh_parse != NULL;
}

static bool needs_sign_in(const struct gate_account *account, uint64_t now_ms)
{
    struct gate_health h = gate_health_read(account, now_ms);
    return h.condition == GATE_CONDITION_SIGN_IN && h.until_ms == 0;
}

/* ---- keepers */

static struct keeper **bucket_of(struct gate_credentials *c, const struct gate_account *account)
{
    return &c->buckets[account->hash % CREDENTIALS_BUCKETS];
}

static struct keeper *keeper_of(struct gate_credentials *c, struct gate_account *account)
{
    struct keeper **bucket = bucket_of(c, account);
    for (struct keeper *k = *bucket; k != NULL; k = k->next)
        if (k->account == account)
            return k;
    struct keeper *k = gate_calloc(1, sizeof *k);
    k->credentials = c;
    k->account = account;
    gate_account_retain(account);
    k->next = *bucket;
    *bucket = k;
    return k;
}

static void free_keeper(struct keeper *k)
{
    gate_account_release(k->account);
    free(k);
}

/* Accounts that were purged need none. */
static void sweep(struct gate_credentials *c)
{
    for (size_t i = 0; i < CREDENTIALS_BUCKETS; i++)
        for (struct keeper **at = &c->buckets[i], *k; (k = *at) != NULL;) {
            if (k->state != KEEPER_IDLE || credentials_member(c, k->account) != NULL) {
                at = &k->next;
                continue;
            }
            *at = k->next;
            free_keeper(k);
        }
}

/* A failure says nothing of a credential that came later, and a clock that was set back must not
 * make a pause endless. */
static bool in_backoff(const struct keeper *k, const struct gate_member *m, uint64_t now_ms)
{
    return k->failures > 0 && now_ms < k->retry_ms &&
           k->retry_ms - now_ms <= GATE_REFRESH_BACKOFF_MAX_MS &&
           !credentials_newer(m, k->failed_version);
}

/* ---- asking for one */

static void release(struct gate_credentials *c)
{
    if (atomic_fetch_sub(&c->refs, 1) == 1)
        free(c);
}

void credentials_answer(struct waiter *w, enum gate_status status, const char *why)
{
    w->cb(w->arg, status, why);
    gate_account_release(w->account);
    free(w);
}

/* Joins the refresh that runs, starts one, or has an answer at once. */
static void take(struct gate_credentials *c, struct waiter *w)
{
    uint64_t now = gate_clock_wall_ms();
    struct gate_member *m = credentials_member(c, w->account);
    if (credentials_is_gone(m)) {
        credentials_answer(w, GATE_ENOTFOUND, CREDENTIALS_GONE);
        return;
    }
    if (credentials_newer(m, w->version)) {
        credentials_answer(w, GATE_OK, "");
        return;
    }
    if (!can_refresh(m)) {
        credentials_answer(w, GATE_ENOTFOUND, "its credential is not one that can be refreshed");
        return;
    }
    if (!w->forced && needs_sign_in(w->account, now)) {
        credentials_answer(w, GATE_EDENIED, "a person must sign in again");
        return;
    }
    struct keeper *k = keeper_of(c, w->account);
    if (k->state == KEEPER_IDLE && !w->forced && in_backoff(k, m, now)) {
        credentials_answer(w, GATE_EIO, k->problem);
        return;
    }
    w->next = k->waiters;
    k->waiters = w;
    if (k->state == KEEPER_IDLE)
        refresh_start(k, m, false);
}

static void on_want(void *arg)
{
    struct waiter *w = arg;
    struct gate_credentials *c = w->credentials;
    if (c->closed)
        credentials_answer(w, GATE_EIO, "the gateway stops");
    else
        take(c, w);
    release(c);
}

static void post(struct gate_credentials *c, const struct waiter *model)
{
    struct waiter *w = gate_alloc(sizeof *w);
    *w = *model;
    w->next = NULL;
    w->credentials = c;
    gate_account_retain(w->account);
    atomic_fetch_add(&c->refs, 1);
    gate_control_post(c->control, on_want, w);
}

void gate_credentials_want(struct gate_credentials *c, struct gate_account *account,
                           uint64_t version, gate_credentials_cb cb, void *arg)
{
    post(c, &(struct waiter){.account = account, .version = version, .cb = cb, .arg = arg});
}

void gate_credentials_refresh_now(struct gate_credentials *c, struct gate_member *m,
                                  gate_credentials_cb cb, void *arg)
{
    uint64_t version = m->attachment != NULL ? m->attachment->version : 0;
    post(c, &(struct waiter){
                .account = m->account, .version = version, .forced = true, .cb = cb, .arg = arg});
}

/* ---- before the end */

/* Notes when a credential that was not seen before is to be refreshed: long before its end, but not
 * so long that a short life is spent on refreshing, and not all accounts at the same moment. */
static void plan(struct keeper *k, uint64_t expires_ms, uint64_t now_ms)
{
    if (k->expires_ms == expires_ms)
        return;
    bool first = k->expires_ms == 0;
    uint64_t left = expires_ms > now_ms ? expires_ms - now_ms : 0;
    uint64_t lead = GATE_REFRESH_LEAD_MS + credentials_random(k->credentials, LEAD_JITTER_MS);
    if (lead > left / 2)
        lead = left / 2;
    k->expires_ms = expires_ms;
    k->due_ms = expires_ms - lead;
    if (!first && k->due_ms < now_ms + LEAST_BETWEEN_MS)
        k->due_ms = now_ms + LEAST_BETWEEN_MS;
}

/* Disabled and exhausted accounts are refreshed too: an unused refresh token would die. */
static struct keeper *due(struct gate_credentials *c, const struct gate_member *m, uint64_t now_ms,
                          bool storage_fails)
{
    uint64_t expires = m->attachment != NULL ? m->attachment->expires_at_ms : 0;
    if (expires == 0 || m->deleted_ms != 0 || !can_refresh(m) || needs_sign_in(m->account, now_ms))
        return NULL;
    struct keeper *k = keeper_of(c, m->account);
    plan(k, expires, now_ms);
    if (k->state != KEEPER_IDLE || now_ms < k->due_ms || in_backoff(k, m, now_ms))
        return NULL;
    /* The service may take the old refresh token back for a new one that could not be kept. */
    return storage_fails && now_ms < expires ? NULL : k;
}

void gate_credentials_tick(struct gate_credentials *c, uint64_t now_ms)
{
    size_t count;
    bool storage_fails = gate_store_is_failing(gate_roster_store(c->roster));
    sweep(c);
    struct gate_member *const *members = gate_roster_members(c->roster, &count);
    for (size_t i = 0; i < count && c->background < CREDENTIALS_MAX_BACKGROUND; i++) {
        struct keeper *k = due(c, members[i], now_ms, storage_fails);
        if (k != NULL)
            refresh_start(k, members[i], true);
    }
}

/* ---- life */

enum gate_status gate_credentials_create(struct gate_roster *roster, struct gate_control *control,
                                         struct gate_credentials **out, struct gate_error *err)
{
    (void)err;
    struct gate_credentials *c = gate_calloc(1, sizeof *c);
    atomic_init(&c->refs, 1);
    c->roster = roster;
    c->control = control;
    gate_random_id(c->owner);
    gate_random_bytes(&c->random, sizeof c->random);
    *out = c;
    return GATE_OK;
}

void gate_credentials_destroy(struct gate_credentials *c)
{
    if (c == NULL)
        return;
    c->closed = true;
    for (size_t i = 0; i < CREDENTIALS_BUCKETS; i++)
        for (struct keeper *k = c->buckets[i], *next; k != NULL; k = next) {
            next = k->next;
            refresh_end(k, GATE_EIO, "the gateway stops");
            free_keeper(k);
        }
    release(c);
}

bool gate_credentials_busy(const struct gate_credentials *c)
{
    for (size_t i = 0; i < CREDENTIALS_BUCKETS; i++)
        for (const struct keeper *k = c->buckets[i]; k != NULL; k = k->next)
            if (k->state == KEEPER_SENT)
                return true;
    return false;
}
