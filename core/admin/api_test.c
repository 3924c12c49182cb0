#include "admin/admin_internal.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "pool/health.h"
#include "request/failure.h"

/* POST /accounts/{id}/test: the smallest real request, sent with the account's own credential. It
 * counts in the account's quota; a failure is noted as its last error, but pauses nothing, and a
 * good answer takes a pause off. */

enum {
    TIMEOUT_MS = 60 * 1000,
    MAX_MODEL = 256,
    MAX_BODY = 4096,
    MAX_REASON = 300,
    ESTIMATE = 16 /* tokens */
};

/* One test on its way. */
struct admin_test {
    struct admin_test *prev, *next; /* while a call is in flight */
    struct admin_wait *wait;
    struct gate_admin *admin;
    char id[GATE_ACCOUNT_MAX_ID + 1], model[MAX_MODEL + 1];
    struct gate_account *account; /* retained, as is the attachment */
    struct gate_attachment *attachment;
    const struct gate_instance *instance; /* the attachment's */
    struct gate_buf body;                 /* what the request's parts point into */
    struct gate_control_call *call;
    struct gate_reservation reservation;
    uint64_t started_us;
};

/* What came of it. */
struct result {
    struct gate_verdict verdict;
    int status;
    const char *reason; /* text when the verdict has none */
    enum gate_outcome outcome;
    uint64_t tokens;
};

static void destroy(struct admin_test *t)
{
    gate_attachment_release(t->attachment);
    gate_account_release(t->account);
    gate_buf_finish(&t->body);
    free(t);
}

static void unlink_test(struct admin_test *t)
{
    if (t->prev != NULL)
        t->prev->next = t->next;
    else if (t->admin->tests == t)
        t->admin->tests = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    t->prev = t->next = NULL;
}

/* ---- the end */

static void note_health(struct admin_test *t, const struct result *r, uint64_t took_us)
{
    uint64_t now_ms = gate_clock_wall_ms();
    const struct gate_health_failure failure = {
        .verdict = &r->verdict, .status = r->status, .reason = r->reason};
    if (r->verdict.kind != GATE_VERDICT_OK) {
        gate_health_bad(t->account, &failure, 0, now_ms);
        return;
    }
    gate_health_good(t->account, false, true, took_us);
    struct gate_member *m = gate_roster_find(t->admin->parts.roster, gate_str_of(t->id));
    if (m != NULL && m->account == t->account &&
        gate_health_read(t->account, now_ms).condition != GATE_CONDITION_SERVING)
        gate_roster_clear(t->admin->parts.roster, m);
}

static void answer(struct admin_test *t, const struct result *r, uint64_t took_us)
{
    bool ok = r->verdict.kind == GATE_VERDICT_OK;
    struct gate_buf out;
    gate_buf_init(&out, 8 * ADMIN_MESSAGE);
    json_open(&out, NULL, '{');
    json_bool(&out, "ok", ok);
    json_text(&out, "account", t->id);
    json_text(&out, "model", t->model);
    json_num(&out, "status", (uint64_t)r->status);
    json_num(&out, "latency_ms", (took_us + 500) / 1000);
    json_text(&out, "verdict", gate_verdict_name(r->verdict.kind));
    json_text_or_null(&out, "code", r->verdict.code);
    json_text_or_null(&out, "message",
                      ok                              ? NULL
                      : r->verdict.message[0] != '\0' ? r->verdict.message
                                                      : r->reason);
    json_close(&out, '}');
    admin_wait_end(t->wait, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
    destroy(t);
}

/* The request, or its answer, is over: what was reserved is settled. */
static void finish(struct admin_test *t, const struct result *r)
{
    const struct gate_quota *q = gate_roster_quota(t->admin->parts.roster);
    uint64_t took_us = gate_clock_mono_us() - t->started_us;
    q->ops->settle(q->instance, t->account->quota, GATE_USAGE_CHAT, &t->reservation, r->outcome,
                   r->tokens, gate_clock_wall_ms());
    if (r->outcome != GATE_OUTCOME_NOT_SENT)
        note_health(t, r, took_us);
    answer(t, r, took_us);
}

/* ---- judging */

/* What a good answer cannot be, whatever its status says. */
static bool is_foreign(struct gate_str body, struct result *r)
{
    size_t i = 0;
    while (i < body.len && (unsigned char)body.ptr[i] <= ' ')
        i++;
    if (i < body.len && body.ptr[i] == '{')
        return false;
    bool page = i < body.len && body.ptr[i] == '<';
    r->verdict.kind = page ? GATE_VERDICT_BLOCKED : GATE_VERDICT_GARBAGE;
    r->reason = page ? "a page came instead of an answer" : "what came is no answer";
    return true;
}

static void judge(const struct admin_test *t, const struct gate_answer *answer, struct result *r)
{
    r->status = answer->status;
    r->outcome = GATE_OUTCOME_REFUSED;
    r->reason = "the service refused";
    if (answer->status == 0) {
        r->verdict.kind = GATE_VERDICT_NETWORK;
        snprintf(r->verdict.message, sizeof r->verdict.message, "%.*s",
                 (int)(answer->reason.len < MAX_REASON ? answer->reason.len : MAX_REASON),
                 answer->reason.ptr);
        r->outcome = GATE_OUTCOME_CANCELLED; /* it may have arrived */
        return;
    }
    gate_failure_classify(t->instance, answer, &r->verdict);
    if (r->verdict.kind != GATE_VERDICT_OK || is_foreign(answer->body, r))
        return;
    struct gate_usage usage;
    const struct gate_dialect_ops *d = t->instance->dialect;
    r->outcome = GATE_OUTCOME_ANSWERED;
    r->tokens = ESTIMATE;
    if (d->read_usage != NULL && d->read_usage(answer->body, &usage))
        r->tokens = usage.prompt + usage.completion;
}

static void on_answer(void *ctx, const struct gate_answer *lent)
{
    struct admin_test *t = ctx;
    struct gate_answer answer = *lent;
    struct result r = {.tokens = 0};
    const struct gate_quota *q = gate_roster_quota(t->admin->parts.roster);
    t->call = NULL;
    unlink_test(t);
    answer.account = t->attachment->state;
    if (answer.body.len > GATE_FAILURE_BODY)
        answer.body.len = GATE_FAILURE_BODY;
    if (q->ops->observe != NULL && answer.status != 0)
        q->ops->observe(q->instance, t->account->quota, GATE_USAGE_CHAT, answer.headers,
                        answer.header_count, gate_clock_wall_ms());
    judge(t, &answer, &r);
    finish(t, &r);
}

/* ---- a provider that answers by itself */

struct local {
    struct gate_buf body;
    int status;
};

static void local_head(void *ctx, int status, struct gate_str content_type)
{
    (void)content_type;
    ((struct local *)ctx)->status = status;
}

static void local_data(void *ctx, struct gate_str bytes)
{
    gate_buf_append(&((struct local *)ctx)->body, bytes);
}

static void local_end(void *ctx)
{
    (void)ctx;
}

static void answer_locally(struct admin_test *t, const struct gate_call *call)
{
    struct local local = {.status = 0};
    struct gate_error err = {.message = ""};
    struct result r = {.tokens = 0};
    gate_buf_init(&local.body, GATE_FAILURE_BODY);
    const struct gate_answer_sink sink = {.size = sizeof sink,
                                          .ctx = &local,
                                          .head = local_head,
                                          .data = local_data,
                                          .end = local_end};
    enum gate_status status = t->instance->ops->answer(t->instance->state, call, &sink, &err);
    const struct gate_answer answer = {.size = sizeof answer,
                                       .status = local.status,
                                       .body = gate_buf_str(&local.body),
                                       .account = t->attachment->state,
                                       .reason = gate_str_of(err.message)};
    if (status == GATE_OK)
        judge(t, &answer, &r);
    else
        r = (struct result){.verdict.kind = GATE_VERDICT_GARBAGE,
                            .reason = err.message,
                            .outcome = GATE_OUTCOME_NOT_SENT};
    finish(t, &r);
    gate_buf_finish(&local.body);
}

/* ---- sending */

/* The request in the provider's own dialect. */
static enum gate_status make_body(struct admin_test *t, struct gate_error *err)
{
    const struct gate_dialect_ops *d = t->instance->dialect;
    struct gate_buf canonical;
    gate_buf_init(&canonical, MAX_BODY);
    gate_buf_init(&t->body, 4 * MAX_BODY);
    gate_buf_append(&canonical, GATE_STR("{\"model\":"));
    gate_json_put(&canonical, gate_str_of(t->model));
    gate_buf_append(&canonical, GATE_STR(",\"messages\":[{\"role\":\"user\",\"content\":\"ping\"}],"
                                         "\"max_tokens\":1}"));
    enum gate_status status = GATE_OK;
    struct gate_writer w = gate_buf_writer(&t->body);
    if (d->render_request == NULL)
        gate_buf_append(&t->body, gate_buf_str(&canonical));
    else
        status = d->render_request(gate_buf_str(&canonical), &w, err);
    gate_buf_finish(&canonical);
    return status;
}

static void fail_unsent(struct admin_test *t, const char *why)
{
    const struct result r = {
        .verdict.kind = GATE_VERDICT_GARBAGE, .reason = why, .outcome = GATE_OUTCOME_NOT_SENT};
    finish(t, &r);
}

static void send_upstream(struct admin_test *t, const struct gate_call *call)
{
    struct gate_builder builder;
    struct gate_built request;
    struct gate_error err = {.message = ""};
    const struct gate_instance *i = t->instance;
    gate_builder_init(&builder, gate_buf_str(&t->body), &request);
    enum gate_status status = i->ops->build_request(i->state, call, &builder.ops, &err);
    if (status != GATE_OK)
        gate_built_finish(&request);
    else
        status = gate_builder_end(&builder, call->path, i->plugin->name, &err);
    if (status != GATE_OK) {
        fail_unsent(t, err.message);
        return;
    }
    t->call = gate_control_send(t->admin->parts.control, &request, TIMEOUT_MS, on_answer, t);
    gate_built_finish(&request);
    t->next = t->admin->tests;
    if (t->next != NULL)
        t->next->prev = t;
    t->admin->tests = t;
}

static void send(struct admin_test *t)
{
    struct gate_request_facts facts;
    struct gate_json_error why;
    struct gate_error err = {.message = ""};
    char id[sizeof "test_" + GATE_RANDOM_ID] = "test_";
    const struct gate_dialect_ops *d = t->instance->dialect;
    gate_random_id(id + sizeof "test_" - 1);
    if (make_body(t, &err) != GATE_OK) {
        fail_unsent(t, err.message);
        return;
    }
    if (gate_json_scan(gate_buf_str(&t->body), gate_str_of(d->messages_key), &facts, &why) !=
        GATE_OK) {
        fail_unsent(t, why.reason);
        return;
    }
    const struct gate_call call = {
        .size = sizeof call,
        .request_id = gate_str_of(id),
        .model = gate_str_of(t->model),
        .body = gate_buf_str(&t->body),
        .path = gate_str_of(d->upstream_path),
        .facts = &facts,
        .account = t->attachment->state,
    };
    if (t->instance->ops->answer != NULL)
        answer_locally(t, &call);
    else
        send_upstream(t, &call);
}

static void say_limited(struct admin_test *t, enum gate_limit_name limit, uint64_t free_at_ms)
{
    struct result r = {.verdict.kind = limit == GATE_LIMIT_RPD || limit == GATE_LIMIT_TPD
                                           ? GATE_VERDICT_QUOTA_EXHAUSTED
                                           : GATE_VERDICT_RATE_LIMITED};
    uint64_t now_ms = gate_clock_wall_ms();
    snprintf(r.verdict.code, sizeof r.verdict.code, "limited:%s", gate_limit_text(limit));
    snprintf(r.verdict.message, sizeof r.verdict.message,
             "not sent: the account's limit %s is reached; it frees in %llu s",
             gate_limit_text(limit),
             (unsigned long long)(free_at_ms > now_ms ? (free_at_ms - now_ms + 999) / 1000 : 0));
    answer(t, &r, 0);
}

/* Takes the credential as it is now and a place in the quota. */
static void reserve(struct admin_test *t, const struct gate_member *m)
{
    const struct gate_quota *q = gate_roster_quota(t->admin->parts.roster);
    struct gate_limits limits[GATE_USAGE_KINDS];
    enum gate_limit_name limit = GATE_LIMIT_NONE;
    uint64_t free_at_ms = 0;
    t->attachment = m->attachment;
    gate_attachment_retain(t->attachment);
    t->instance = t->attachment->instance;
    t->started_us = gate_clock_mono_us();
    gate_roster_limits(t->admin->parts.roster, m, limits);
    if (q->ops->reserve(q->instance, t->account->quota, GATE_USAGE_CHAT, &limits[GATE_USAGE_CHAT],
                        gate_clock_wall_ms(), ESTIMATE, &t->reservation, &limit,
                        &free_at_ms) == GATE_OK)
        send(t);
    else
        say_limited(t, limit, free_at_ms);
}

/* ---- the beginning */

static void on_refreshed(void *arg, enum gate_status status, const char *why)
{
    struct admin_test *t = arg;
    struct gate_member *m = NULL;
    if (t->wait->admin != NULL)
        m = gate_roster_find(t->admin->parts.roster, gate_str_of(t->id));
    if (status == GATE_OK && m != NULL && m->account == t->account && m->attachment != NULL) {
        reserve(t, m);
        return;
    }
    struct result r = {.verdict.kind =
                           status == GATE_EDENIED ? GATE_VERDICT_AUTH : GATE_VERDICT_NETWORK};
    snprintf(r.verdict.message, sizeof r.verdict.message,
             "not sent: the token has expired and was not refreshed: %s", why);
    answer(t, &r, 0);
}

struct choice {
    const struct gate_member *member;
    char *out;
};

static void take_model(void *ctx, struct gate_str model)
{
    struct choice *c = ctx;
    const struct gate_instance *i = c->member->instance;
    bool serves = i->ops->account_serves == NULL ||
                  i->ops->account_serves(i->state, c->member->attachment->state, model);
    if (c->out[0] == '\0' && serves && model.len > 0 && model.len <= MAX_MODEL)
        snprintf(c->out, MAX_MODEL + 1, "%.*s", (int)model.len, model.ptr);
}

static void start(struct admin_call *c, struct gate_member *m, struct gate_str model)
{
    const struct gate_instance *i = m->instance;
    struct admin_test *t = gate_calloc(1, sizeof *t);
    t->admin = c->admin;
    t->account = m->account;
    gate_account_retain(t->account);
    snprintf(t->id, sizeof t->id, "%s", m->account->id);
    snprintf(t->model, sizeof t->model, "%.*s", (int)model.len, model.len > 0 ? model.ptr : "");
    if (model.len == 0)
        i->ops->each_model(i->state, take_model, &(struct choice){m, t->model});
    if (t->model[0] == '\0')
        admin_refuse(c, 400, "missing_key", "model",
                     "model: this provider names no model of its own; say which one to try.");
    else
        t->wait = admin_wait_begin(c);
    if (t->wait == NULL) {
        destroy(t);
        return;
    }
    uint64_t expires = m->attachment->expires_at_ms;
    if (expires != 0 && expires <= gate_clock_wall_ms())
        gate_credentials_refresh_now(c->admin->parts.credentials, m, on_refreshed, t);
    else
        reserve(t, m);
}

void admin_accounts_test(struct admin_call *c)
{
    struct gate_str model;
    struct gate_member *m = admin_no_params(c) ? admin_member(c) : NULL;
    if (m == NULL || !admin_is_there(c, m))
        return;
    if (m->attachment == NULL) {
        admin_refuse(c, 409, "no_credential", NULL, "The credential of %s does not work: %s",
                     m->account->id, m->problem.message);
        return;
    }
    cJSON *body = admin_body(c, "model", true);
    if (body != NULL && admin_body_str(c, body, "model", MAX_MODEL, &model))
        start(c, m, model);
    gate_json_tree_free(body);
}

void admin_tests_cancel(struct gate_admin *a)
{
    while (a->tests != NULL) {
        struct admin_test *t = a->tests;
        const struct gate_quota *q = gate_roster_quota(a->parts.roster);
        gate_control_cancel(t->call);
        unlink_test(t);
        q->ops->settle(q->instance, t->account->quota, GATE_USAGE_CHAT, &t->reservation,
                       GATE_OUTCOME_CANCELLED, ESTIMATE, gate_clock_wall_ms());
        admin_wait_end(t->wait, 503, GATE_STR("")); /* was answered */
        destroy(t);
    }
}
