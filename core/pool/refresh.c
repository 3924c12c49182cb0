#include "base/clock.h"
#include "base/log.h"
#include "pool/credentials_internal.h"

/* One refresh of one account: lease, request, answer, storage. Between the steps anything may have
 * happened to the account, so each step looks it up again. */

enum {
    LOOK_MS = 250,                            /* between looks while another gateway refreshes */
    MAX_WAIT_MS = 2 * GATE_REFRESH_LEASE_MS,  /* its lease, and one that it took again */
    MAX_ANSWER = 8 * GATE_CONTROL_MAX_ANSWER, /* above what an answer can become when escaped */
    MAX_SECRET = 64 * 1024,
    JITTER_PERCENT = 20,
    MAX_DOUBLINGS = 16,
};

static struct gate_str owner_of(const struct keeper *k)
{
    return gate_str_of(k->credentials->owner);
}

/* ---- the end */

static void let_instance_go(struct keeper *k)
{
    if (k->instance != NULL)
        gate_instance_release(k->instance);
    k->instance = NULL;
}

static void stop(struct keeper *k)
{
    struct gate_credentials *c = k->credentials;
    struct gate_member *m = credentials_member(c, k->account);
    if (k->call != NULL)
        gate_control_cancel(k->call);
    k->call = NULL;
    gate_timer_disarm(gate_control_timers(c->control), &k->timer);
    gate_buf_wipe(&k->secret);
    let_instance_go(k);
    /* Without the account there is nobody left who could want the lease. */
    if (k->leased && m != NULL)
        gate_roster_unlease(c->roster, m, owner_of(k));
    k->leased = false;
    k->fence = 0;
    if (k->background)
        c->background--;
    k->background = false;
    k->state = KEEPER_IDLE;
}

void refresh_end(struct keeper *k, enum gate_status status, const char *why)
{
    if (k->state == KEEPER_IDLE)
        return;
    stop(k);
    const struct gate_member *m = credentials_member(k->credentials, k->account);
    /* Detached first: a callback may ask again. */
    struct waiter *w = k->waiters, *next;
    k->waiters = NULL;
    for (; w != NULL; w = next) {
        next = w->next;
        if (credentials_is_gone(m))
            credentials_answer(w, GATE_ENOTFOUND, CREDENTIALS_GONE);
        else if (status == GATE_OK || credentials_newer(m, w->version))
            credentials_answer(w, GATE_OK, "");
        else
            credentials_answer(w, status, why);
    }
}

static void succeed(struct keeper *k)
{
    if (k->failures > 0)
        gate_log_info("account %s: its token was refreshed after %u failures", k->account->id,
                      (unsigned)k->failures);
    k->failures = 0;
    k->problem[0] = '\0';
    refresh_end(k, GATE_OK, "");
}

/* Not now: nothing is tried for a while. */
static void fail(struct keeper *k, const char *why)
{
    uint64_t pause = GATE_REFRESH_BACKOFF_MS;
    pause <<= k->failures < MAX_DOUBLINGS ? k->failures : MAX_DOUBLINGS;
    if (pause > GATE_REFRESH_BACKOFF_MAX_MS)
        pause = GATE_REFRESH_BACKOFF_MAX_MS;
    pause -= credentials_random(k->credentials, pause * JITTER_PERCENT / 100);
    if (k->failures == 0 || strncmp(k->problem, why, sizeof k->problem - 1) != 0)
        gate_log_warn("account %s: its token could not be refreshed: %s", k->account->id, why);
    k->failures++;
    k->failed_version = k->version;
    k->retry_ms = gate_clock_wall_ms() + pause;
    snprintf(k->problem, sizeof k->problem, "%s", why);
    refresh_end(k, GATE_EIO, k->problem);
}

static void need_sign_in(struct keeper *k, struct gate_member *m, const char *why)
{
    k->failures = 0;
    k->problem[0] = '\0';
    gate_roster_needs_sign_in(k->credentials->roster, m, why);
    refresh_end(k, GATE_EDENIED, why);
}

/* ---- another gateway is at it */

static void take_lease(struct keeper *k, struct gate_member *m);

static void look(struct gate_timer *timer)
{
    struct keeper *k = (struct keeper *)((char *)timer - offsetof(struct keeper, timer));
    struct gate_member *m = credentials_member(k->credentials, k->account);
    struct gate_error err = {.message = ""};
    bool newer;
    if (credentials_is_gone(m)) {
        refresh_end(k, GATE_ENOTFOUND, "");
        return;
    }
    gate_roster_reload(k->credentials->roster, m, &newer, &err);
    if (credentials_newer(m, k->version))
        succeed(k);
    else
        take_lease(k, m);
}

static void wait_for_other(struct keeper *k)
{
    if (gate_clock_mono_ms() >= k->give_up_ms) {
        fail(k, "another gateway on the same storage has been refreshing it for too long");
        return;
    }
    k->state = KEEPER_WAITING;
    k->timer.cb = look;
    gate_timer_arm(gate_control_timers(k->credentials->control), &k->timer, LOOK_MS);
}

static void lose_lease(struct keeper *k, const struct gate_member *m)
{
    if (k->leased)
        gate_roster_unlease(k->credentials->roster, m, owner_of(k));
    k->leased = false;
    k->fence = 0;
    gate_buf_wipe(&k->secret);
    let_instance_go(k);
    wait_for_other(k);
}

/* ---- the answer */

/* A version that does not match although nothing newer is there: what was replaced has never
 * reached storage. The fence still keeps out a gateway that has lost the lease. */
static enum gate_status write_secret(struct keeper *k, struct gate_member *m,
                                     struct gate_str secret, struct gate_error *err)
{
    struct gate_roster *roster = k->credentials->roster;
    struct gate_error reload = {.message = ""};
    bool newer;
    enum gate_status status = gate_roster_set_secret(roster, m, secret, k->expected, k->fence, err);
    if (status == GATE_ECONFLICT && gate_roster_reload(roster, m, &newer, &reload) == GATE_OK &&
        !credentials_newer(m, k->version))
        status = gate_roster_set_secret(roster, m, secret, UINT64_MAX, k->fence, err);
    return status;
}

/* What storage does not take is used from memory and written later: see gate_roster_set_secret. */
static void store_secret(struct keeper *k, struct gate_member *m, struct gate_str secret)
{
    struct gate_error err = {.message = ""};
    enum gate_status status = write_secret(k, m, secret, &err);
    if (status == GATE_OK || credentials_newer(m, k->version))
        succeed(k);
    else if (status == GATE_ECONFLICT)
        lose_lease(k, m);
    else
        fail(k, err.message);
}

/* The service says that the refresh token is dead. It may speak of one that another gateway has
 * replaced since. */
static void refused(struct keeper *k, struct gate_member *m, const char *why)
{
    struct gate_error err = {.message = ""};
    bool newer;
    enum gate_status status = gate_roster_reload(k->credentials->roster, m, &newer, &err);
    if (credentials_newer(m, k->version))
        succeed(k);
    else if (status != GATE_OK && !k->leased)
        fail(k, err.message);
    else
        need_sign_in(k, m, why);
}

/* An account whose provider went away meanwhile keeps its new token for the day when that is back:
 * the service may not take the old one again. */
static void on_answer(void *ctx, const struct gate_answer *answer)
{
    struct keeper *k = ctx;
    const struct gate_instance *instance = k->instance;
    struct gate_member *m = credentials_member(k->credentials, k->account);
    k->call = NULL;
    if (m == NULL) {
        refresh_end(k, GATE_ENOTFOUND, "");
        return;
    }
    struct gate_credential old = {k->account->kind, gate_buf_str(&k->secret)};
    struct gate_error err = {.message = ""};
    struct gate_buf fresh;
    uint64_t expires = 0;
    gate_buf_init(&fresh, MAX_ANSWER);
    struct gate_writer writer = gate_buf_writer(&fresh);
    enum gate_status status =
        instance->ops->refresh_parse(instance->state, &old, answer, &writer, &expires, &err);
    if (status == GATE_OK && (fresh.len == 0 || fresh.len > MAX_SECRET))
        status =
            gate_fail(&err, GATE_EPARSE, "the answer makes a credential of %zu bytes", fresh.len);
    if (status == GATE_OK)
        store_secret(k, m, gate_buf_str(&fresh));
    else if (status == GATE_EDENIED)
        refused(k, m, err.message);
    else
        fail(k, err.message);
    gate_buf_wipe(&fresh);
}

/* ---- the request */

static enum gate_status build(const struct keeper *k, struct gate_built *request,
                              struct gate_error *err)
{
    const struct gate_instance *instance = k->instance;
    struct gate_credential credential = {k->account->kind, gate_buf_str(&k->secret)};
    struct gate_builder builder;
    gate_builder_init(&builder, GATE_STR(""), request);
    enum gate_status status =
        instance->ops->refresh_request(instance->state, &credential, &builder.ops, err);
    if (status != GATE_OK) {
        gate_built_finish(request);
        return status;
    }
    return gate_builder_end(&builder, GATE_STR(""), instance->name, err);
}

static void ask_service(struct keeper *k, struct gate_member *m)
{
    struct gate_credentials *c = k->credentials;
    struct gate_error err = {.message = ""};
    struct gate_built request;
    bool newer;
    /* Somebody may have finished just before the lease was taken. What is in storage but does not
     * work, the refresh may mend. */
    gate_roster_reload(c->roster, m, &newer, &err);
    if (credentials_newer(m, k->version)) {
        succeed(k);
        return;
    }
    enum gate_status status = gate_roster_secret(c->roster, m, &k->secret, &k->expected, &err);
    if (status != GATE_OK) {
        fail(k, err.message);
        return;
    }
    let_instance_go(k);
    k->instance = m->instance;
    gate_instance_retain(k->instance);
    status = build(k, &request, &err);
    if (status == GATE_EDENIED)
        need_sign_in(k, m, err.message);
    else if (status != GATE_OK)
        fail(k, err.message);
    if (status != GATE_OK)
        return;
    k->state = KEEPER_SENT;
    k->call = gate_control_send(c->control, &request, GATE_REFRESH_TIMEOUT_MS, on_answer, k);
    gate_built_finish(&request);
}

static void take_lease(struct keeper *k, struct gate_member *m)
{
    struct gate_error err = {.message = ""};
    enum gate_status status = gate_roster_lease(k->credentials->roster, m, owner_of(k),
                                                GATE_REFRESH_LEASE_MS, &k->fence, &err);
    k->leased = status == GATE_OK;
    if (!k->leased)
        k->fence = 0;
    /* When storage takes no writes, a token that still works is left alone; one that does not is
     * renewed all the same: better in memory than not at all. */
    if (status == GATE_ECONFLICT)
        wait_for_other(k);
    else if (!k->leased && k->background && gate_clock_wall_ms() < k->expires_ms)
        fail(k, err.message);
    else
        ask_service(k, m);
}

void refresh_start(struct keeper *k, struct gate_member *m, bool background)
{
    k->version = m->attachment != NULL ? m->secret_version : 0;
    if (k->version > k->failed_version)
        k->failures = 0;
    k->give_up_ms = gate_clock_mono_ms() + MAX_WAIT_MS;
    k->background = background;
    if (background)
        k->credentials->background++;
    gate_buf_init(&k->secret, MAX_SECRET);
    k->state = KEEPER_SENT;
    take_lease(k, m);
}
