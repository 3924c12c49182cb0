#include "pool/login.h"
#include "base/clock.h"
#include "pool/login_internal.h"
#include <stdlib.h>

enum { MAX_KEPT = 2 * GATE_LOGIN_MAX /* flows, those that are over included */ };

const char *const gate_login_state_names[] = {"starting", "pending", "done",     "denied",
                                              "expired",  "failed",  "cancelled"};

/* ---- one flow */

bool login_is_over(const struct flow *f)
{
    return f->state != GATE_LOGIN_STARTING && f->state != GATE_LOGIN_PENDING;
}

void login_view(const struct flow *f, struct gate_login_view *out)
{
    *out = (struct gate_login_view){
        .id = f->id,
        .state = f->state,
        .instance = f->instance->name,
        .account = f->account,
        .user_code = f->user_code,
        .verification_uri = f->uri,
        .verification_uri_complete = f->uri_complete,
        .started_ms = f->started_ms,
        .expires_at_ms = f->expires_ms,
        .message = f->message,
    };
}

static void free_flow(struct flow *f)
{
    login_forget(f);
    gate_account_release(f->renew);
    gate_instance_release(f->instance);
    free(f->alias);
    free(f);
}

void login_drop(struct flow *f)
{
    for (struct flow **at = &f->logins->first; *at != NULL; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            break;
        }
    free_flow(f);
}

/* ---- starting one */

/* A person signs in before the account is made: what would refuse it then is looked at now. */
static bool alias_ok(struct gate_str alias)
{
    for (size_t i = 0; i < alias.len; i++)
        if ((unsigned char)alias.ptr[i] < ' ' || alias.ptr[i] == 0x7f)
            return false;
    return alias.len <= GATE_ACCOUNT_MAX_ALIAS;
}

static enum gate_status check(const struct gate_logins *l, const struct gate_instance *instance,
                              const struct gate_member *renew, struct gate_str alias,
                              struct gate_error *err)
{
    const struct gate_provider_ops *ops = instance->ops;
    size_t running = 0;
    if (ops->login_begin_request == NULL || ops->login_begin_parse == NULL ||
        ops->login_poll_request == NULL || ops->login_poll_parse == NULL)
        return gate_fail(err, GATE_EINVAL, "%s has no device login; add an API key instead",
                         instance->name);
    if (renew != NULL &&
        (renew->instance != instance || renew->account->kind != GATE_CREDENTIAL_OAUTH ||
         renew->deleted_ms != 0 || renew->source != GATE_MEMBER_STORED))
        return gate_fail(err, GATE_EINVAL, "%s is not a login of %s that can be renewed",
                         renew->account->id, instance->name);
    if (!alias_ok(alias))
        return gate_fail(err, GATE_EINVAL,
                         "alias: expected at most %d bytes without control characters",
                         GATE_ACCOUNT_MAX_ALIAS);
    for (const struct flow *f = l->first; f != NULL; f = f->next)
        running += !login_is_over(f);
    if (running >= GATE_LOGIN_MAX)
        return gate_fail(err, GATE_ELIMIT, "%d logins are under way; finish or cancel one",
                         GATE_LOGIN_MAX);
    return GATE_OK;
}

/* Puts it behind the others; of too many that are over the oldest goes. */
static void append(struct gate_logins *l, struct flow *f)
{
    struct flow **at = &l->first, *oldest = NULL;
    size_t count = 0;
    for (; *at != NULL; at = &(*at)->next, count++)
        if (oldest == NULL && login_is_over(*at))
            oldest = *at;
    *at = f;
    if (count >= MAX_KEPT && oldest != NULL)
        login_drop(oldest);
}

enum gate_status gate_login_start(struct gate_logins *l, struct gate_str instance,
                                  struct gate_member *renew, struct gate_str alias,
                                  void (*cb)(void *arg, const struct gate_login_view *view),
                                  void *arg, struct gate_error *err)
{
    struct gate_instance *found = gate_pool_find(gate_roster_pool(l->roster), instance, NULL);
    if (found == NULL)
        return gate_fail(err, GATE_ENOTFOUND,
                         "there is no provider \"%.*s\": GET /admin/api/providers lists them",
                         (int)(instance.len < 64 ? instance.len : 64), instance.ptr);
    enum gate_status status = check(l, found, renew, alias, err);
    if (status != GATE_OK)
        return status;
    struct flow *f = gate_calloc(1, sizeof *f);
    f->logins = l;
    f->instance = found;
    gate_instance_retain(found);
    f->alias = gate_strdup(alias);
    f->started_ms = gate_clock_wall_ms();
    f->cb = cb;
    f->arg = arg;
    if (renew != NULL) {
        f->renew = renew->account;
        gate_account_retain(f->renew);
    }
    gate_random_id(f->id);
    status = login_begin(f, err);
    if (status == GATE_OK)
        append(l, f);
    else
        free_flow(f);
    return status;
}

static struct flow *find_flow(const struct gate_logins *l, struct gate_str id)
{
    for (struct flow *f = l->first; f != NULL; f = f->next)
        if (gate_str_eq(id, gate_str_of(f->id)))
            return f;
    return NULL;
}

bool gate_login_get(const struct gate_logins *l, struct gate_str id, struct gate_login_view *out)
{
    const struct flow *f = find_flow(l, id);
    if (f != NULL)
        login_view(f, out);
    return f != NULL;
}

void gate_login_each(const struct gate_logins *l,
                     void (*cb)(void *ctx, const struct gate_login_view *view), void *ctx)
{
    for (const struct flow *f = l->first; f != NULL; f = f->next) {
        struct gate_login_view view;
        login_view(f, &view);
        cb(ctx, &view);
    }
}

bool gate_login_cancel(struct gate_logins *l, struct gate_str id)
{
    struct flow *f = find_flow(l, id);
    if (f != NULL && !login_is_over(f))
        login_finish(f, GATE_LOGIN_CANCELLED, "");
    return f != NULL;
}

void gate_logins_create(struct gate_roster *roster, struct gate_control *control,
                        struct gate_logins **out)
{
    struct gate_logins *l = gate_calloc(1, sizeof *l);
    l->roster = roster;
    l->control = control;
    *out = l;
}

void gate_logins_destroy(struct gate_logins *l)
{
    if (l == NULL)
        return;
    while (l->first != NULL) {
        struct flow *f = l->first;
        if (!login_is_over(f))
            login_finish(f, GATE_LOGIN_CANCELLED, "the gateway stops");
        login_drop(f);
    }
    free(l);
}
