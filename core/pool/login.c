#include "pool/login.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include <math.h>
#include <stdlib.h>

enum {
    VERIFIER_BYTES = 32,
    VERIFIER_LEN = 43, /* base64url of them, unpadded */
    MAX_CODE = 128,
    MAX_URI = 2048,
    MAX_FLOW = 64 * 1024,
    MAX_SECRET = 64 * 1024,
    MAX_ANSWER = 8 * GATE_CONTROL_MAX_ANSWER, /* above what an answer can become when escaped */
    MAX_NUMBER = 32,                          /* characters */
    DEFAULT_LIFE_MS = 10 * 60 * 1000,         /* of a code, when the service names none */
    MAX_LIFE_MS = 24 * 60 * 60 * 1000,
    MIN_INTERVAL_MS = 50,            /* whatever the service says */
    LONGEST_INTERVAL_MS = 60 * 1000, /* likewise */
    MAX_KEPT = 2 * GATE_LOGIN_MAX,   /* flows, those that are over included */
};

const char *const gate_login_state_names[] = {"starting", "pending", "done",     "denied",
                                              "expired",  "failed",  "cancelled"};

struct flow {
    struct flow *next; /* younger */
    struct gate_logins *logins;
    char id[GATE_RANDOM_ID + 1];
    enum gate_login_state state;
    const struct gate_instance *instance;
    struct gate_account *renew; /* retained; NULL: a new account */
    char *alias;                /* "": made up */
    char account[GATE_ACCOUNT_MAX_ID + 1];
    char user_code[MAX_CODE], uri[MAX_URI], uri_complete[MAX_URI];
    uint64_t started_ms, expires_ms;
    char message[GATE_ERROR_MAX];
    char hitch[GATE_ERROR_MAX]; /* why the last poll taught nothing */
    void (*cb)(void *arg, const struct gate_login_view *view); /* NULL: it was called */
    void *arg;

    /* Secrets: wiped when the flow is over. */
    char verifier[VERIFIER_LEN + 1];
    struct gate_buf json; /* what the provider made of the service's answer */

    uint64_t interval_ms;
    struct gate_timer timer; /* the next poll; when it is over: the end of its keeping */
    struct gate_control_call *call;
};

struct gate_logins {
    struct gate_roster *roster;
    struct gate_control *control;
    struct flow *first; /* the oldest */
};

/* ---- small things */

static bool is_over(const struct flow *f)
{
    return f->state != GATE_LOGIN_STARTING && f->state != GATE_LOGIN_PENDING;
}

static void view_of(const struct flow *f, struct gate_login_view *out)
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

static void make_verifier(char out[VERIFIER_LEN + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[VERIFIER_BYTES + 1] = {0}; /* one more: the last group is not whole */
    gate_random_bytes(bytes, VERIFIER_BYTES);
    for (size_t i = 0; i < VERIFIER_LEN; i++) {
        const unsigned char *p = bytes + i / 4 * 3;
        uint32_t group = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        out[i] = digits[group >> (18 - i % 4 * 6) & 63];
    }
    out[VERIFIER_LEN] = '\0';
    gate_wipe(bytes, sizeof bytes);
}

static struct gate_str verifier_of(const struct flow *f)
{
    return (struct gate_str){f->verifier, VERIFIER_LEN};
}

static void arm(struct flow *f, uint64_t after_ms, gate_timer_cb cb)
{
    f->timer.cb = cb;
    gate_timer_arm(gate_control_timers(f->logins->control), &f->timer, after_ms);
}

/* The renewed account as it is now; NULL: it was deleted meanwhile. */
static struct gate_member *renewed(const struct flow *f)
{
    struct gate_member *m = gate_roster_find(f->logins->roster, gate_str_of(f->renew->id));
    return m != NULL && m->account == f->renew && m->deleted_ms == 0 ? m : NULL;
}

/* ---- the end of a flow */

static void tell(struct flow *f)
{
    void (*cb)(void *, const struct gate_login_view *) = f->cb;
    struct gate_login_view view;
    if (cb == NULL)
        return;
    f->cb = NULL;
    view_of(f, &view);
    cb(f->arg, &view);
}

static void forget(struct flow *f)
{
    if (f->call != NULL)
        gate_control_cancel(f->call);
    f->call = NULL;
    gate_timer_disarm(gate_control_timers(f->logins->control), &f->timer);
    gate_wipe(f->verifier, sizeof f->verifier);
    gate_buf_wipe(&f->json);
}

static void free_flow(struct flow *f)
{
    forget(f);
    gate_account_release(f->renew);
    free(f->alias);
    free(f);
}

static void drop(struct flow *f)
{
    for (struct flow **at = &f->logins->first; *at != NULL; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            break;
        }
    free_flow(f);
}

static void on_kept_enough(struct gate_timer *timer)
{
    drop((struct flow *)((char *)timer - offsetof(struct flow, timer)));
}

static void finish(struct flow *f, enum gate_login_state state, const char *message)
{
    forget(f);
    f->state = state;
    snprintf(f->message, sizeof f->message, "%s", message);
    arm(f, GATE_LOGIN_KEEP_MS, on_kept_enough);
    gate_log_info("login %.8s at %s is over: %s%s%s", f->id, f->instance->name,
                  gate_login_state_names[state], message[0] != '\0' ? ", " : "", message);
    tell(f);
}

/* ---- a request of the flow */

enum gate_step { STEP_BEGIN, STEP_POLL };

static void on_begun(void *ctx, const struct gate_answer *answer);
static void on_polled(void *ctx, const struct gate_answer *answer);

static enum gate_status ask(struct flow *f, enum gate_step step, struct gate_error *err)
{
    const struct gate_instance *i = f->instance;
    struct gate_builder builder;
    struct gate_built request;
    gate_builder_init(&builder, GATE_STR(""), &request);
    enum gate_status status =
        step == STEP_BEGIN
            ? i->ops->login_begin_request(i->state, verifier_of(f), &builder.ops, err)
            : i->ops->login_poll_request(i->state, gate_buf_str(&f->json), verifier_of(f),
                                         &builder.ops, err);
    if (status != GATE_OK)
        gate_built_finish(&request);
    else
        status = gate_builder_end(&builder, GATE_STR(""), i->name, err);
    if (status != GATE_OK)
        return status;
    f->call = gate_control_send(f->logins->control, &request, GATE_LOGIN_TIMEOUT_MS,
                                step == STEP_BEGIN ? on_begun : on_polled, f);
    gate_built_finish(&request);
    return GATE_OK;
}

/* ---- the person confirmed it */

static void made_alias(const struct flow *f, char out[GATE_ACCOUNT_MAX_ALIAS + 1])
{
    size_t count;
    struct gate_member *const *members = gate_roster_members(f->logins->roster, &count);
    bool taken = true;
    for (unsigned n = 1; taken && n <= GATE_ACCOUNT_MAX + 1; n++) {
        if (n == 1)
            snprintf(out, GATE_ACCOUNT_MAX_ALIAS + 1, "%s login", f->instance->name);
        else
            snprintf(out, GATE_ACCOUNT_MAX_ALIAS + 1, "%s login %u", f->instance->name, n);
        taken = false;
        for (size_t i = 0; i < count && !taken; i++)
            taken = strcmp(members[i]->alias, out) == 0;
    }
}

static enum gate_status add_account(struct flow *f, struct gate_str secret, struct gate_error *err)
{
    char alias[GATE_ACCOUNT_MAX_ALIAS + 1];
    struct gate_member *m = NULL;
    snprintf(alias, sizeof alias, "%s", f->alias);
    if (alias[0] == '\0')
        made_alias(f, alias);
    struct gate_member_new n = {
        .instance = gate_str_of(f->instance->name),
        .alias = gate_str_of(alias),
        .origin = "login",
        .kind = GATE_CREDENTIAL_OAUTH,
        .secret = secret,
    };
    enum gate_status status = gate_roster_add(f->logins->roster, &n, &m, err);
    if (status == GATE_OK)
        snprintf(f->account, sizeof f->account, "%s", m->account->id);
    return status;
}

static enum gate_status renew_account(struct flow *f, struct gate_str secret,
                                      struct gate_error *err)
{
    struct gate_member *m = renewed(f);
    if (m == NULL)
        return gate_fail(err, GATE_ENOTFOUND, "the account %s was deleted meanwhile", f->renew->id);
    enum gate_status status =
        gate_roster_set_secret(f->logins->roster, m, secret, UINT64_MAX, 0, err);
    if (status == GATE_OK || status == GATE_EIO)
        snprintf(f->account, sizeof f->account, "%s", m->account->id);
    return status;
}

static void signed_in(struct flow *f, struct gate_str secret)
{
    struct gate_error err = {.message = ""};
    char message[GATE_ERROR_MAX] = "";
    enum gate_status status =
        f->renew != NULL ? renew_account(f, secret, &err) : add_account(f, secret, &err);
    if (f->account[0] != '\0' && status != GATE_OK)
        snprintf(message, sizeof message, "in use, but not in storage yet: %s", err.message);
    else if (status != GATE_OK)
        snprintf(message, sizeof message, "signed in, but the account could not be kept: %s",
                 err.message);
    finish(f, f->account[0] != '\0' ? GATE_LOGIN_DONE : GATE_LOGIN_FAILED, message);
}

/* ---- polls */

static void expire(struct flow *f)
{
    char message[GATE_ERROR_MAX];
    snprintf(message, sizeof message, "nobody confirmed the code before it expired%s%s",
             f->hitch[0] != '\0' ? "; the last poll failed: " : "", f->hitch);
    finish(f, GATE_LOGIN_EXPIRED, message);
}

static void on_poll_due(struct gate_timer *timer)
{
    struct flow *f = (struct flow *)((char *)timer - offsetof(struct flow, timer));
    struct gate_error err = {.message = ""};
    if (gate_clock_wall_ms() >= f->expires_ms)
        expire(f);
    else if (ask(f, STEP_POLL, &err) != GATE_OK)
        finish(f, GATE_LOGIN_FAILED, err.message);
}

static void wait_for_poll(struct flow *f)
{
    uint64_t now = gate_clock_wall_ms(), wait = f->interval_ms;
    if (now >= f->expires_ms) {
        expire(f);
        return;
    }
    if (wait > f->expires_ms - now)
        wait = f->expires_ms - now;
    arm(f, wait, on_poll_due);
}

/* The service may ask to be polled more slowly, but a person waits. */
static void set_interval(struct flow *f, uint64_t wanted_ms)
{
    uint64_t most =
        f->interval_ms > GATE_LOGIN_MAX_INTERVAL_MS ? f->interval_ms : GATE_LOGIN_MAX_INTERVAL_MS;
    if (wanted_ms > f->interval_ms)
        f->interval_ms = wanted_ms < most ? wanted_ms : most;
}

static void on_polled(void *ctx, const struct gate_answer *answer)
{
    struct flow *f = ctx;
    const struct gate_instance *i = f->instance;
    struct gate_error err = {.message = ""};
    uint64_t interval = f->interval_ms;
    struct gate_buf secret;
    gate_buf_init(&secret, MAX_ANSWER);
    struct gate_writer writer = gate_buf_writer(&secret);
    f->call = NULL;
    enum gate_status status = i->ops->login_poll_parse(i->state, answer, &interval, &writer, &err);
    if (status == GATE_OK && (secret.len == 0 || secret.len > MAX_SECRET))
        status =
            gate_fail(&err, GATE_EINVAL, "the answer makes a credential of %zu bytes", secret.len);
    switch (status) {
    case GATE_OK:
        signed_in(f, gate_buf_str(&secret));
        break;
    case GATE_ELIMIT:
    case GATE_EIO:
    case GATE_EPARSE:
        snprintf(f->hitch, sizeof f->hitch, "%s", status == GATE_ELIMIT ? "" : err.message);
        set_interval(f, interval);
        wait_for_poll(f);
        break;
    case GATE_EDENIED:
        finish(f, GATE_LOGIN_DENIED, err.message);
        break;
    case GATE_ETIMEOUT:
        finish(f, GATE_LOGIN_EXPIRED, err.message);
        break;
    default:
        finish(f, GATE_LOGIN_FAILED, err.message);
    }
    gate_buf_wipe(&secret);
}

/* ---- the code */

/* A number of seconds as ms, from least to most; fallback when there is none. */
static uint64_t read_seconds(struct gate_str json, struct gate_str key, uint64_t fallback,
                             uint64_t least, uint64_t most)
{
    struct gate_str value;
    char text[MAX_NUMBER + 1], *end;
    if (!gate_json_member(json, key, &value) || value.len == 0 || value.len > MAX_NUMBER)
        return fallback;
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    double ms = strtod(text, &end) * 1000;
    if (*end != '\0' || !isfinite(ms) || ms <= 0)
        return fallback;
    if (ms >= (double)most)
        return most;
    return ms <= (double)least ? least : (uint64_t)ms;
}

/* False: there is no such string, or it is too long. */
static bool read_text(struct gate_str json, struct gate_str key, char *out, size_t cap)
{
    struct gate_str value;
    size_t len = 0;
    bool good = gate_json_member(json, key, &value) && gate_json_decode_to(value, out, cap, &len);
    if (!good || len == 0)
        out[0] = '\0';
    return good && len > 0;
}

static enum gate_status read_flow(struct flow *f, struct gate_error *err)
{
    struct gate_str json = gate_buf_str(&f->json);
    if (json.len > MAX_FLOW ||
        !read_text(json, GATE_STR("user_code"), f->user_code, sizeof f->user_code) ||
        !read_text(json, GATE_STR("verification_uri"), f->uri, sizeof f->uri))
        return gate_fail(err, GATE_EPARSE, "the login service gave no usable code");
    read_text(json, GATE_STR("verification_uri_complete"), f->uri_complete, sizeof f->uri_complete);
    f->expires_ms = gate_clock_wall_ms() +
                    read_seconds(json, GATE_STR("expires_in"), DEFAULT_LIFE_MS, 0, MAX_LIFE_MS);
    f->interval_ms = read_seconds(json, GATE_STR("interval"), GATE_LOGIN_INTERVAL_MS,
                                  MIN_INTERVAL_MS, LONGEST_INTERVAL_MS);
    return GATE_OK;
}

static void on_begun(void *ctx, const struct gate_answer *answer)
{
    struct flow *f = ctx;
    const struct gate_instance *i = f->instance;
    struct gate_error err = {.message = ""};
    struct gate_writer writer = gate_buf_writer(&f->json);
    f->call = NULL;
    enum gate_status status = i->ops->login_begin_parse(i->state, answer, &writer, &err);
    if (status == GATE_OK)
        status = read_flow(f, &err);
    if (status != GATE_OK) {
        finish(f, GATE_LOGIN_FAILED, err.message);
        return;
    }
    f->state = GATE_LOGIN_PENDING;
    wait_for_poll(f);
    tell(f);
}

/* ---- what others call */

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
    if (renew != NULL && (renew->account->instance != instance ||
                          renew->account->kind != GATE_CREDENTIAL_OAUTH || renew->deleted_ms != 0))
        return gate_fail(err, GATE_EINVAL, "%s is not a login of %s that can be renewed",
                         renew->account->id, instance->name);
    if (alias.len > GATE_ACCOUNT_MAX_ALIAS)
        return gate_fail(err, GATE_EINVAL, "an alias has at most %d bytes", GATE_ACCOUNT_MAX_ALIAS);
    for (const struct flow *f = l->first; f != NULL; f = f->next)
        running += !is_over(f);
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
        if (oldest == NULL && is_over(*at))
            oldest = *at;
    *at = f;
    if (count >= MAX_KEPT && oldest != NULL)
        drop(oldest);
}

static const struct gate_instance *find_instance(const struct gate_logins *l, struct gate_str name)
{
    size_t count;
    const struct gate_instance *all = gate_pool_instances(gate_roster_pool(l->roster), &count);
    for (size_t i = 0; i < count; i++)
        if (gate_str_eq(name, gate_str_of(all[i].name)))
            return &all[i];
    return NULL;
}

enum gate_status gate_login_start(struct gate_logins *l, struct gate_str instance,
                                  struct gate_member *renew, struct gate_str alias,
                                  void (*cb)(void *arg, const struct gate_login_view *view),
                                  void *arg, struct gate_error *err)
{
    const struct gate_instance *found = find_instance(l, instance);
    if (found == NULL)
        return gate_fail(err, GATE_ENOTFOUND, "there is no provider \"%.*s\"",
                         (int)(instance.len < 64 ? instance.len : 64), instance.ptr);
    enum gate_status status = check(l, found, renew, alias, err);
    if (status != GATE_OK)
        return status;
    struct flow *f = gate_calloc(1, sizeof *f);
    f->logins = l;
    f->instance = found;
    f->alias = gate_strdup(alias);
    f->started_ms = gate_clock_wall_ms();
    f->cb = cb;
    f->arg = arg;
    if (renew != NULL) {
        f->renew = renew->account;
        gate_account_retain(f->renew);
    }
    gate_random_id(f->id);
    make_verifier(f->verifier);
    gate_buf_init(&f->json, MAX_ANSWER);
    status = ask(f, STEP_BEGIN, err);
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
        view_of(f, out);
    return f != NULL;
}

void gate_login_each(const struct gate_logins *l,
                     void (*cb)(void *ctx, const struct gate_login_view *view), void *ctx)
{
    for (const struct flow *f = l->first; f != NULL; f = f->next) {
        struct gate_login_view view;
        view_of(f, &view);
        cb(ctx, &view);
    }
}

bool gate_login_cancel(struct gate_logins *l, struct gate_str id)
{
    struct flow *f = find_flow(l, id);
    if (f != NULL && !is_over(f))
        finish(f, GATE_LOGIN_CANCELLED, "");
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
        if (!is_over(f))
            finish(f, GATE_LOGIN_CANCELLED, "the gateway stops");
        drop(f);
    }
    free(l);
}
