/* alerts_webhook: brings notices to the web hook's address, in order, one at a time. */
#include "base/clock.h"
#include "base/json.h"
#include "record/alerts_internal.h"
#include <assert.h>
#include <stdlib.h>

enum { LEAST_SECRET = 4 /* bytes: shorter pieces of the address are no secret */ };

/* A notice on its way. */
struct delivery {
    struct gate_timer retry; /* first: on_retry finds the delivery by it */
    struct delivery *next;
    struct gate_webhook *hook;
    struct gate_notice notice;
    char *copy; /* of the notice's strings, in one piece */
    struct gate_control_call *call;
    unsigned retries;
    void (*done)(void *ctx, int status, const char *why); /* of a test, else NULL */
    void *ctx;
};

struct gate_webhook {
    struct gate_control *control;
    enum gate_webhook_type type;
    struct gate_endpoint *endpoint;
    char *path;   /* with the query; holds a token */
    char *secret; /* "": none */
    uint32_t retry_ms;
    struct delivery *first, **last; /* the first is being sent */
    size_t waiting;                 /* behind the first */
    struct delivery *tests;
    size_t test_count;
    uint64_t dropped; /* since the start */
};

/* ---- the request */

/* "scheme://host[:port]" and the rest, which gate_endpoint_create would not take with a query. */
static void split_address(struct gate_str url, struct gate_str *origin, struct gate_str *rest)
{
    const char *host = memmem(url.ptr, url.len, "://", 3);
    size_t at = host != NULL ? (size_t)(host + 3 - url.ptr) : 0;
    while (at < url.len && url.ptr[at] != '/' && url.ptr[at] != '?')
        at++;
    *origin = (struct gate_str){url.ptr, at};
    *rest = (struct gate_str){url.ptr + at, url.len - at};
}

static enum gate_status describe(struct gate_webhook *hook, const struct gate_notice *notice,
                                 struct gate_built *built, struct gate_error *err)
{
    struct gate_builder b;
    struct gate_buf path, body;
    uint64_t now_ms = gate_clock_wall_ms();
    struct gate_str secret = gate_str_of(hook->secret);
    gate_buf_init(&path, GATE_WEBHOOK_MAX_PATH);
    gate_buf_init(&body, GATE_WEBHOOK_MAX_BODY);
    gate_buf_append(&path, gate_str_of(hook->path));
    if (hook->type == GATE_WEBHOOK_DINGTALK && secret.len > 0) {
        gate_buf_append_byte(&path, strchr(hook->path, '?') != NULL ? '&' : '?');
        gate_message_sign_dingtalk(secret, now_ms, &path);
    }
    gate_message_body(hook->type, notice, secret, now_ms, &body);

    gate_builder_init(&b, GATE_STR(""), built);
    b.ops.endpoint(&b, hook->endpoint);
    b.ops.path(&b, gate_buf_str(&path));
    b.ops.header(&b, GATE_STR("User-Agent"), GATE_STR("llm-gate/" GATE_VERSION));
    b.ops.replace(&b, 0, 0, gate_buf_str(&body));
    enum gate_status status = gate_builder_end(&b, GATE_STR("/"), "the web hook", err);
    gate_buf_wipe(&path);
    gate_buf_finish(&body);
    return status;
}

/* ---- reasons without the address */

static void hide(char *text, struct gate_str piece)
{
    if (piece.len < LEAST_SECRET)
        return;
    for (char *at = text; (at = memmem(at, strlen(at), piece.ptr, piece.len)) != NULL;) {
        memset(at, '*', piece.len);
        at += piece.len;
    }
}

/* Reasons come from curl, which names hosts, and from the service, which may repeat what it got. */
static void hide_address(const struct gate_webhook *hook, char *text)
{
    hide(text, gate_str_of(hook->secret));
    hide(text, gate_str_of(hook->endpoint->authority));
    hide(text, gate_str_of(hook->endpoint->host));
    for (const char *p = hook->path; *p != '\0';) {
        size_t len = strcspn(p, "/?&=");
        hide(text, (struct gate_str){p, len});
        p += len + (p[len] != '\0');
    }
}

/* ---- deliveries */

static struct gate_str keep(char **at, struct gate_str text)
{
    struct gate_str kept = {*at, text.len};
    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return kept;
}

static struct delivery *delivery_create(struct gate_webhook *hook, const struct gate_notice *n)
{
    struct delivery *d = gate_calloc(1, sizeof *d);
    d->hook = hook;
    d->notice = *n;
    d->copy = gate_alloc(n->name.len + n->title.len + n->text.len);
    char *at = d->copy;
    d->notice.name = keep(&at, n->name);
    d->notice.title = keep(&at, n->title);
    d->notice.text = keep(&at, n->text);
    return d;
}

static void delivery_destroy(struct delivery *d)
{
    if (d->call != NULL)
        gate_control_cancel(d->call);
    gate_timer_disarm(gate_control_timers(d->hook->control), &d->retry);
    free(d->copy);
    free(d);
}

static void attempt(struct delivery *d, void (*done)(void *ctx, const struct gate_answer *answer))
{
    struct gate_built built;
    struct gate_error err;
    /* The like of it was made when the web hook was created. */
    if (describe(d->hook, &d->notice, &built, &err) != GATE_OK)
        assert(!"a notice that makes no request");
    d->call = gate_control_send(d->hook->control, &built, GATE_WEBHOOK_TIMEOUT_MS, done, d);
    gate_built_finish(&built);
}

static struct delivery *take_first(struct gate_webhook *hook)
{
    struct delivery *d = hook->first;
    hook->first = d->next;
    if (hook->first == NULL)
        hook->last = &hook->first;
    else
        hook->waiting--;
    return d;
}

static void on_answer(void *ctx, const struct gate_answer *answer)
{
    struct delivery *d = ctx;
    struct gate_webhook *hook = d->hook;
    char why[GATE_WEBHOOK_MAX_WHY];
    d->call = NULL;
    if (!gate_message_taken(hook->type, answer, why)) {
        hide_address(hook, why);
        if (d->retries < GATE_WEBHOOK_RETRIES) {
            if (d->retries == 0)
                gate_log_warn("the alert web hook did not take a notice and will be tried again: "
                              "%s",
                              why);
            gate_timer_arm(gate_control_timers(hook->control), &d->retry,
                           (uint64_t)hook->retry_ms << d->retries++);
            return;
        }
        gate_log_error("the alert web hook did not take a notice after %d tries: %s",
                       GATE_WEBHOOK_RETRIES + 1, why);
    }
    delivery_destroy(take_first(hook));
    if (hook->first != NULL)
        attempt(hook->first, on_answer);
}

static void on_retry(struct gate_timer *t)
{
    attempt((struct delivery *)t, on_answer);
}

void gate_webhook_send(struct gate_webhook *hook, const struct gate_notice *notice)
{
    struct delivery *d = delivery_create(hook, notice);
    d->retry.cb = on_retry;
    *hook->last = d;
    hook->last = &d->next;
    if (hook->first == d) {
        attempt(d, on_answer);
        return;
    }
    if (++hook->waiting <= GATE_WEBHOOK_MAX_WAITING)
        return;
    /* The first is on its way: the oldest that waits is the one behind it. */
    struct delivery *oldest = hook->first->next;
    hook->first->next = oldest->next;
    hook->waiting--;
    delivery_destroy(oldest);
    hook->dropped++;
    gate_log_error("the alert web hook is too slow: %llu notices were dropped so far, the oldest "
                   "first",
                   (unsigned long long)hook->dropped);
}

/* ---- tests */

static void end_test(struct delivery *d, int status, const char *why)
{
    struct gate_webhook *hook = d->hook;
    struct delivery **at = &hook->tests;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    hook->test_count--;
    void (*done)(void *ctx, int status, const char *why) = d->done;
    void *ctx = d->ctx;
    delivery_destroy(d);
    done(ctx, status, why);
}

static void on_test_answer(void *ctx, const struct gate_answer *answer)
{
    struct delivery *d = ctx;
    char why[GATE_WEBHOOK_MAX_WHY] = "";
    d->call = NULL;
    if (!gate_message_taken(d->hook->type, answer, why))
        hide_address(d->hook, why);
    end_test(d, answer->status, why);
}

static void make_test_notice(struct gate_notice *n)
{
    uint64_t now_ms = gate_clock_wall_ms();
    *n = (struct gate_notice){
        .event = GATE_NOTICE_TEST,
        .level = GATE_LOG_INFO,
        .name = GATE_STR("test"),
        .title = GATE_STR("a test of the alert web hook"),
        .text = GATE_STR("Alerts of this gateway arrive here."),
        .since_ms = now_ms,
        .at_ms = now_ms,
    };
}

struct refusal {
    const char *why; /* a literal */
    void (*done)(void *ctx, int status, const char *why);
    void *ctx;
};

static void tell_refusal(void *arg)
{
    struct refusal *r = arg;
    r->done(r->ctx, 0, r->why);
    free(r);
}

void gate_webhook_refuse_test(struct gate_control *control, const char *why,
                              void (*done)(void *ctx, int status, const char *why), void *ctx)
{
    struct refusal *r = gate_alloc(sizeof *r);
    *r = (struct refusal){why, done, ctx};
    gate_control_post(control, tell_refusal, r);
}

void gate_webhook_test(struct gate_webhook *hook,
                       void (*done)(void *ctx, int status, const char *why), void *ctx)
{
    if (hook->test_count == GATE_WEBHOOK_MAX_TESTS) {
        gate_webhook_refuse_test(hook->control, "too many tests are running", done, ctx);
        return;
    }
    struct gate_notice n;
    make_test_notice(&n);
    struct delivery *d = delivery_create(hook, &n);
    d->done = done;
    d->ctx = ctx;
    d->next = hook->tests;
    hook->tests = d;
    hook->test_count++;
    attempt(d, on_test_answer);
}

/* ---- the web hook */

enum gate_status gate_webhook_create(const struct gate_config_alerts *config,
                                     struct gate_control *control, uint32_t retry_ms,
                                     struct gate_webhook **out, struct gate_error *err)
{
    struct gate_webhook *hook = gate_calloc(1, sizeof *hook);
    struct gate_str origin, rest;
    struct gate_notice test;
    struct gate_built built;
    hook->control = control;
    hook->type = config->webhook_type;
    hook->retry_ms = retry_ms;
    hook->last = &hook->first;
    hook->secret = gate_strdup(gate_str_of(config->webhook_secret));
    split_address(gate_str_of(config->webhook_url), &origin, &rest);
    size_t slash = rest.len == 0 || rest.ptr[0] != '/';
    hook->path = gate_calloc(1, slash + rest.len + 1);
    hook->path[0] = '/';
    memcpy(hook->path + slash, rest.ptr, rest.len);
    make_test_notice(&test);
    /* Both would show the address, or a part of it, in their own words. */
    if (strchr(hook->path, '#') != NULL || rest.len > GATE_WEBHOOK_MAX_PATH / 2 ||
        gate_endpoint_create(origin, GATE_ENDPOINT_OPERATOR, true, &hook->endpoint, NULL) !=
            GATE_OK ||
        describe(hook, &test, &built, NULL) != GATE_OK) {
        gate_webhook_destroy(hook);
        return gate_fail(err, GATE_EINVAL,
                         "ALERT_WEBHOOK_URL (not shown: it may hold a token) is not an address: "
                         "expected http[s]://host[:port][/path][?query]");
    }
    gate_built_finish(&built);
    *out = hook;
    return GATE_OK;
}

void gate_webhook_destroy(struct gate_webhook *hook)
{
    if (hook == NULL)
        return;
    size_t unsent = 0;
    for (; hook->first != NULL; unsent++)
        delivery_destroy(take_first(hook));
    if (unsent > 0)
        gate_log_warn("%zu notices did not reach the alert web hook before the stop", unsent);
    while (hook->tests != NULL)
        end_test(hook->tests, 0, "the gateway is stopping");
    gate_endpoint_release(hook->endpoint);
    gate_wipe(hook->path, strlen(hook->path));
    gate_wipe(hook->secret, strlen(hook->secret));
    free(hook->path);
    free(hook->secret);
    free(hook);
}
