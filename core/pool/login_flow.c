#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "pool/login_internal.h"
#include <math.h>
#include <stdlib.h>

/* The steps of a device login: the code, the polls, the account. */

enum {
    VERIFIER_BYTES = 32,
    MAX_FLOW = 64 * 1024,
    MAX_SECRET = 64 * 1024,
    MAX_ANSWER = 8 * GATE_CONTROL_MAX_ANSWER, /* above what an answer can become when escaped */
    MAX_NUMBER = 32,                          /* characters */
    DEFAULT_LIFE_MS = 10 * 60 * 1000,         /* of a code, when the service names none */
    MAX_LIFE_MS = 24 * 60 * 60 * 1000,
    MIN_INTERVAL_MS = 50,            /* whatever the service says */
    LONGEST_INTERVAL_MS = 60 * 1000, /* likewise */
};

/* ---- small things */

static void make_verifier(char out[LOGIN_VERIFIER + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[VERIFIER_BYTES + 1] = {0}; /* one more: the last group is not whole */
    gate_random_bytes(bytes, VERIFIER_BYTES);
    for (size_t i = 0; i < LOGIN_VERIFIER; i++) {
        const unsigned char *p = bytes + i / 4 * 3;
        uint32_t group = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        out[i] = digits[group >> (18 - i % 4 * 6) & 63];
    }
    out[LOGIN_VERIFIER] = '\0';
    gate_wipe(bytes, sizeof bytes);
}

static struct gate_str verifier_of(const struct flow *f)
{
    return (struct gate_str){f->verifier, LOGIN_VERIFIER};
}

static void arm(struct flow *f, uint64_t after_ms, gate_timer_cb cb)
{
    f->timer.cb = cb;
    gate_timer_arm(gate_control_timers(f->logins->control), &f->timer, after_ms);
}

/* The renewed account as it is now; NULL: it was deleted meanwhile. */
static struct gate_member *renewed(const struct flow *f)
{
    struct gate_member *m = gate_roster_member_of(f->logins->roster, f->renew);
    return m != NULL && m->deleted_ms == 0 ? m : NULL;
}

/* ---- the end of a flow */

static void tell(struct flow *f)
{
    void (*cb)(void *, const struct gate_login_view *) = f->cb;
    struct gate_login_view view;
    if (cb == NULL)
        return;
    f->cb = NULL;
    login_view(f, &view);
    cb(f->arg, &view);
}

void login_forget(struct flow *f)
{
    if (f->call != NULL)
        gate_control_cancel(f->call);
    f->call = NULL;
    gate_timer_disarm(gate_control_timers(f->logins->control), &f->timer);
    gate_wipe(f->verifier, sizeof f->verifier);
    gate_buf_wipe(&f->json);
}

static void on_kept_enough(struct gate_timer *timer)
{
    login_drop((struct flow *)((char *)timer - offsetof(struct flow, timer)));
}

void login_finish(struct flow *f, enum gate_login_state state, const char *message)
{
    login_forget(f);
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
    login_finish(f, f->account[0] != '\0' ? GATE_LOGIN_DONE : GATE_LOGIN_FAILED, message);
}

/* ---- polls */

static void expire(struct flow *f)
{
    char message[GATE_ERROR_MAX];
    snprintf(message, sizeof message, "nobody confirmed the code before it expired%s%s",
             f->hitch[0] != '\0' ? "; the last poll failed: " : "", f->hitch);
    login_finish(f, GATE_LOGIN_EXPIRED, message);
}

static void on_poll_due(struct gate_timer *timer)
{
    struct flow *f = (struct flow *)((char *)timer - offsetof(struct flow, timer));
    struct gate_error err = {.message = ""};
    if (gate_clock_wall_ms() >= f->expires_ms)
        expire(f);
    else if (ask(f, STEP_POLL, &err) != GATE_OK)
        login_finish(f, GATE_LOGIN_FAILED, err.message);
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
        login_finish(f, GATE_LOGIN_DENIED, err.message);
        break;
    case GATE_ETIMEOUT:
        login_finish(f, GATE_LOGIN_EXPIRED, err.message);
        break;
    default:
        login_finish(f, GATE_LOGIN_FAILED, err.message);
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
        login_finish(f, GATE_LOGIN_FAILED, err.message);
        return;
    }
    f->state = GATE_LOGIN_PENDING;
    wait_for_poll(f);
    tell(f);
}

enum gate_status login_begin(struct flow *f, struct gate_error *err)
{
    make_verifier(f->verifier);
    gate_buf_init(&f->json, MAX_ANSWER);
    return ask(f, STEP_BEGIN, err);
}
