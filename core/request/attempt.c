#include "base/json.h"
#include "request/attempt_internal.h"
#include "request/edits.h"
#include <stdlib.h>

enum {
    LOCAL_ANSWER_MAX = 16 << 20,
    LOCAL_EDITED_MORE = 1 << 20, /* bytes that a script may add to a body */
    REFUSAL_MS = 2000,           /* for the next piece of a refusal's body */
};

struct gate_attempt {
    struct gate_env *env;
    struct gate_attempt_input input;
    const struct gate_attempt_events *events;
    void *ctx;
    struct gate_built request;
    struct gate_upstream_call *call; /* NULL: none in flight */
    struct gate_timer clock;
    uint64_t started_ms, last_ms; /* sent; last piece of the body */
    int status;                   /* of a refused answer whose body is being collected */
    struct gate_buf error_body;
    struct gate_header *error_headers; /* copies; one block */
    size_t error_header_count;
    bool got_data, paused, asked_usage, sent;
    bool *gone; /* set when destroyed inside its own events */
};

/* ---- judging */

static const char *code_of_verdict(enum gate_verdict_kind kind)
{
    switch (kind) {
    case GATE_VERDICT_OK:
        return "";
    case GATE_VERDICT_AUTH:
        return "upstream_auth";
    case GATE_VERDICT_RATE_LIMITED:
        return "upstream_rate_limited";
    case GATE_VERDICT_QUOTA_EXHAUSTED:
        return "upstream_quota_exhausted";
    case GATE_VERDICT_OVERLOADED:
        return "upstream_overloaded";
    case GATE_VERDICT_BLOCKED:
        return "upstream_blocked";
    case GATE_VERDICT_CLIENT_ERROR:
        return "upstream_refused";
    case GATE_VERDICT_NETWORK:
        return "upstream_unreachable";
    case GATE_VERDICT_TRUNCATED:
        return "upstream_truncated";
    case GATE_VERDICT_TIMEOUT:
        return "upstream_timeout";
    case GATE_VERDICT_GARBAGE:
        break;
    }
    return "upstream_bad_response";
}

bool gate_attempt_judge(struct gate_attempt *a, struct gate_str body, bool in_stream,
                        struct gate_failure *out)
{
    struct gate_answer answer = {
        .size = sizeof answer,
        .status = 200,
        .body = {body.ptr, body.len < GATE_FAILURE_BODY ? body.len : GATE_FAILURE_BODY},
        .in_stream = in_stream,
        .account = a->input.attachment->state,
    };
    struct gate_verdict verdict;
    gate_failure_classify(a->input.instance, &answer, &verdict);
    if (verdict.kind == GATE_VERDICT_OK && !in_stream)
        return false;
    if (verdict.kind ==
        GATE_VERDICT_OK) /* the dialect saw an error that the provider does not know */
        verdict.kind = GATE_VERDICT_OVERLOADED;
    gate_failure_init(out);
    out->verdict = verdict;
    out->upstream_status = 200;
    snprintf(out->code, sizeof out->code, "%s", code_of_verdict(verdict.kind));
    snprintf(out->reason, sizeof out->reason, "the upstream reported an error inside a 200 answer");
    return true;
}

/* ---- failing */

static void tell_failure(struct gate_attempt *a, struct gate_failure *f)
{
    gate_timer_disarm(a->env->timers, &a->clock);
    if (a->call != NULL) {
        a->env->upstream.ops->cancel(a->call);
        a->call = NULL;
    }
    a->events->on_failure(a->ctx, f); /* may destroy a */
    gate_failure_finish(f);
}

static void fail(struct gate_attempt *a, enum gate_verdict_kind kind, const char *code,
                 const char *reason)
{
    struct gate_failure f;
    gate_failure_init(&f);
    f.verdict.kind = kind;
    f.upstream_status = a->status;
    snprintf(f.code, sizeof f.code, "%s", code);
    snprintf(f.reason, sizeof f.reason, "%s", reason);
    tell_failure(a, &f);
}

/* The provider plugin could not make a request, or an answer, of what the client sent. */
static void fail_provider(struct gate_attempt *a, enum gate_status status, const char *reason)
{
    struct gate_failure f;
    bool refused = status == GATE_EINVAL;
    gate_failure_init(&f);
    f.verdict.kind = refused ? GATE_VERDICT_CLIENT_ERROR : GATE_VERDICT_GARBAGE;
    f.blameless = true;
    snprintf(f.code, sizeof f.code, "%s", refused ? "provider_refused" : "provider_failed");
    snprintf(f.reason, sizeof f.reason, "%s", reason);
    tell_failure(a, &f);
}

/* The whole body of a refusal is here (or as much as is read of it). */
static void fail_refused(struct gate_attempt *a)
{
    struct gate_failure f;
    gate_failure_init(&f);
    struct gate_str body = gate_buf_str(&a->error_body);
    struct gate_answer answer = {
        .size = sizeof answer,
        .status = a->status,
        .headers = a->error_headers,
        .header_count = a->error_header_count,
        .body = body,
        .account = a->input.attachment->state,
    };
    gate_failure_classify(a->input.instance, &answer, &f.verdict);
    if (f.verdict.kind == GATE_VERDICT_OK)
        f.verdict.kind = GATE_VERDICT_GARBAGE;
    f.upstream_status = a->status;
    snprintf(f.code, sizeof f.code, "%s", code_of_verdict(f.verdict.kind));
    if (a->status >= 300 && a->status < 400)
        snprintf(f.reason, sizeof f.reason,
                 "the upstream answered with a redirect (status %d), which "
                 "is not followed",
                 a->status);
    else
        snprintf(f.reason, sizeof f.reason, "the upstream answered with status %d", a->status);
    if (a->status >= 400 && f.verdict.kind != GATE_VERDICT_BLOCKED &&
        body.len < GATE_FAILURE_BODY && gate_failure_is_api_error(body))
        gate_buf_append(&f.body, body);
    tell_failure(a, &f);
}

/* ---- clocks */

static void on_clock(struct gate_timer *timer);

/* Arms the clock for whichever limit comes first; pieces that arrive only note the time. */
static void arm_clock(struct gate_attempt *a)
{
    const struct gate_clocks *c = &a->input.clocks;
    uint64_t now = a->env->timers->now_ms, due = UINT64_MAX;
    if (!a->got_data && c->first_token_ms > 0)
        due = a->started_ms + c->first_token_ms;
    if (a->got_data && c->idle_ms > 0)
        due = (a->paused ? now : a->last_ms) + c->idle_ms;
    if (a->status != 0)
        due = a->last_ms + REFUSAL_MS;
    if (c->total_ms > 0 && a->started_ms + c->total_ms < due)
        due = a->started_ms + c->total_ms;
    if (due == UINT64_MAX)
        return;
    a->clock.cb = on_clock;
    gate_timer_arm(a->env->timers, &a->clock, due > now ? due - now : 0);
}

static void on_clock(struct gate_timer *timer)
{
    struct gate_attempt *a =
        (struct gate_attempt *)((char *)timer - offsetof(struct gate_attempt, clock));
    const struct gate_clocks *c = &a->input.clocks;
    uint64_t now = a->env->timers->now_ms;
    char reason[160];
    if (a->status != 0 && now >= a->last_ms + REFUSAL_MS) {
        fail_refused(a); /* what it says so far is enough */
        return;
    }
    if (c->total_ms > 0 && now >= a->started_ms + c->total_ms)
        snprintf(reason, sizeof reason, "the answer was not complete within %u ms (total_ms)",
                 c->total_ms);
    else if (!a->got_data && c->first_token_ms > 0 && now >= a->started_ms + c->first_token_ms)
        snprintf(reason, sizeof reason, "no answer began within %u ms (first_token_ms)",
                 c->first_token_ms);
    else if (a->got_data && !a->paused && c->idle_ms > 0 && now >= a->last_ms + c->idle_ms)
        snprintf(reason, sizeof reason, "the answer stood still for %u ms (idle_ms)", c->idle_ms);
    else {
        arm_clock(a);
        return;
    }
    fail(a, GATE_VERDICT_TIMEOUT, "upstream_timeout", reason);
}

/* ---- upstream events */

static bool header_is(const struct gate_upstream_head *head, const char *name,
                      struct gate_str *value)
{
    struct gate_str wanted = gate_str_of(name);
    for (size_t i = 0; i < head->header_count; i++)
        if (gate_str_eq(head->headers[i].name, wanted)) {
            *value = head->headers[i].value;
            return true;
        }
    return false;
}

static bool media_type_is(struct gate_str type, const char *wanted)
{
    size_t len = strlen(wanted);
    return type.len >= len && strncasecmp(type.ptr, wanted, len) == 0 &&
           (type.len == len || type.ptr[len] == ';' || type.ptr[len] == ' ');
}

/* The body of a refusal is judged when it is complete, long after the head's bytes are gone. */
static void keep_headers(struct gate_attempt *a, const struct gate_upstream_head *head)
{
    size_t bytes = 0;
    for (size_t i = 0; i < head->header_count; i++)
        bytes += head->headers[i].name.len + head->headers[i].value.len;
    struct gate_header *h = gate_alloc(head->header_count * sizeof *h + bytes + 1);
    char *p = (char *)(h + head->header_count);
    for (size_t i = 0; i < head->header_count; i++) {
        const struct gate_str from[2] = {head->headers[i].name, head->headers[i].value};
        struct gate_str *to[2] = {&h[i].name, &h[i].value};
        for (int k = 0; k < 2; k++) {
            memcpy(p, from[k].ptr, from[k].len);
            *to[k] = (struct gate_str){p, from[k].len};
            p += from[k].len;
        }
    }
    a->error_headers = h;
    a->error_header_count = head->header_count;
}

static void on_head(void *ctx, const struct gate_upstream_head *head)
{
    struct gate_attempt *a = ctx;
    struct gate_str type = {NULL, 0};
    header_is(head, "content-type", &type);
    a->last_ms = a->env->timers->now_ms;
    if (head->status < 200 || head->status >= 300 || media_type_is(type, "text/html")) {
        a->status = head->status;
        keep_headers(a, head);
        arm_clock(a);
        return;
    }
    a->events->on_head(a->ctx, head, media_type_is(type, "text/event-stream"));
}

static void on_data(void *ctx, struct gate_str bytes)
{
    struct gate_attempt *a = ctx;
    a->last_ms = a->env->timers->now_ms;
    if (!a->got_data) {
        a->got_data = true;
        arm_clock(a);
    }
    if (a->status == 0) {
        a->events->on_data(a->ctx, bytes);
        return;
    }
    size_t room = GATE_FAILURE_BODY - a->error_body.len;
    gate_buf_append(&a->error_body,
                    (struct gate_str){bytes.ptr, bytes.len < room ? bytes.len : room});
    if (bytes.len >= room) /* enough to judge by; a page without end must not hold the request */
        fail_refused(a);
}

static void on_done(void *ctx, enum gate_upstream_result result, const char *reason)
{
    static const struct {
        enum gate_verdict_kind kind;
        const char *code;
    } table[] = {
        [GATE_UPSTREAM_RESOLVE] = {GATE_VERDICT_NETWORK, "upstream_unreachable"},
        [GATE_UPSTREAM_CONNECT] = {GATE_VERDICT_NETWORK, "upstream_unreachable"},
        [GATE_UPSTREAM_TLS] = {GATE_VERDICT_NETWORK, "upstream_tls"},
        [GATE_UPSTREAM_DENIED] = {GATE_VERDICT_NETWORK, "upstream_denied"},
        [GATE_UPSTREAM_RESET] = {GATE_VERDICT_TRUNCATED, "upstream_reset"},
        [GATE_UPSTREAM_GARBAGE] = {GATE_VERDICT_GARBAGE, "upstream_bad_response"},
        [GATE_UPSTREAM_TIMEOUT] = {GATE_VERDICT_TIMEOUT, "upstream_timeout"},
    };
    struct gate_attempt *a = ctx;
    a->call = NULL;
    if (a->status != 0) {
        fail_refused(a);
    } else if (result == GATE_UPSTREAM_DONE) {
        gate_timer_disarm(a->env->timers, &a->clock);
        a->events->on_done(a->ctx);
    } else {
        fail(a, table[result].kind, table[result].code, reason);
    }
}

static const struct gate_upstream_events upstream_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_done = on_done,
};

/* ---- answers that need no upstream */

struct local_answer {
    struct gate_buf body;
    char type[64];
    size_t type_len;
    int status;
};

static void local_head(void *ctx, int status, struct gate_str content_type)
{
    struct local_answer *l = ctx;
    l->status = status;
    l->type_len = content_type.len < sizeof l->type ? content_type.len : sizeof l->type;
    memcpy(l->type, content_type.ptr, l->type_len);
}

static void local_data(void *ctx, struct gate_str bytes)
{
    struct local_answer *l = ctx;
    gate_buf_append(&l->body, bytes);
}

static void local_end(void *ctx)
{
    (void)ctx; /* the answer is complete when answer() returns */
}

static void run_local(struct gate_attempt *a)
{
    struct local_answer l = {.status = 0};
    struct gate_error err = {.status = GATE_OK};
    bool gone = false;
    gate_buf_init(&l.body, LOCAL_ANSWER_MAX);
    struct gate_call call = gate_attempt_call(&a->input);
    struct gate_request_facts facts;
    struct gate_buf edited;
    gate_buf_init(&edited, a->input.body.len + LOCAL_EDITED_MORE);
    struct gate_answer_sink sink = {
        .size = sizeof sink, .ctx = &l, .head = local_head, .data = local_data, .end = local_end};
    enum gate_status status = GATE_OK;
    if (a->input.edits != NULL) {
        status = gate_edits_rewrite(a->input.edits, a->input.instance->dialect, a->input.body,
                                    a->input.facts, &edited, &facts, &err);
        call.body = gate_buf_str(&edited);
        call.facts = &facts;
    }
    if (status == GATE_OK)
        status = a->input.instance->ops->answer(a->input.instance->state, &call, &sink, &err);
    gate_buf_finish(&edited);
    if (status != GATE_OK || l.status == 0) {
        fail_provider(a, status, status != GATE_OK ? err.message : "it gave no answer");
    } else {
        struct gate_header type = {GATE_STR("content-type"), {l.type, l.type_len}};
        struct gate_upstream_head head = {l.status, &type, 1, (int64_t)l.body.len};
        a->gone = &gone;
        on_head(a, &head);
        if (!gone && l.body.len > 0)
            on_data(a, gate_buf_str(&l.body));
        if (!gone)
            on_done(a, GATE_UPSTREAM_DONE, "");
        if (!gone)
            a->gone = NULL;
    }
    gate_buf_finish(&l.body);
}

/* ---- life */

struct gate_attempt *gate_attempt_create(struct gate_env *env,
                                         const struct gate_attempt_input *input,
                                         const struct gate_attempt_events *events, void *ctx)
{
    struct gate_attempt *a = gate_calloc(1, sizeof *a);
    a->env = env;
    a->input = *input;
    a->events = events;
    a->ctx = ctx;
    gate_buf_init(&a->error_body, GATE_FAILURE_BODY);
    return a;
}

void gate_attempt_run(struct gate_attempt *a)
{
    struct gate_error err;
    a->started_ms = a->last_ms = a->env->timers->now_ms;
    if (a->input.kind == GATE_USAGE_CHAT && a->input.instance->ops->answer != NULL) {
        run_local(a);
        return;
    }
    enum gate_status status = gate_attempt_build(&a->input, &a->request, &a->asked_usage, &err);
    if (status != GATE_OK) {
        fail_provider(a, status, err.message);
        return;
    }
    const struct gate_str lines[2] = {a->request.lines, gate_buf_str(&a->request.own_lines)};
    struct gate_upstream_request request = {
        .endpoint = a->request.endpoint,
        .method = a->request.part_count > 0 ? GATE_STR("POST") : GATE_STR("GET"),
        .path = gate_buf_str(&a->request.path),
        .header_lines = lines,
        .header_line_count = 2,
        .body = a->request.parts,
        .body_parts = a->request.part_count,
        .connect_ms = a->input.clocks.connect_ms,
    };
    arm_clock(a);
    a->sent = true;
    a->call = gate_upstream_send(&a->env->upstream, &request, &upstream_events, a);
    gate_buf_finish(&a->request.path);
    gate_buf_wipe(&a->request.own_lines);
}

void gate_attempt_destroy(struct gate_attempt *a)
{
    if (a == NULL)
        return;
    if (a->gone != NULL)
        *a->gone = true;
    gate_timer_disarm(a->env->timers, &a->clock);
    if (a->call != NULL)
        a->env->upstream.ops->cancel(a->call);
    gate_built_finish(&a->request);
    gate_buf_finish(&a->error_body);
    free(a->error_headers);
    free(a);
}

bool gate_attempt_asked_usage(const struct gate_attempt *a)
{
    return a->asked_usage;
}

bool gate_attempt_was_sent(const struct gate_attempt *a)
{
    return a->sent;
}

void gate_attempt_pause(struct gate_attempt *a)
{
    a->paused = true;
    if (a->call != NULL)
        a->env->upstream.ops->pause(a->call);
}

void gate_attempt_resume(struct gate_attempt *a)
{
    a->paused = false;
    a->last_ms = a->env->timers->now_ms;
    if (a->call != NULL)
        a->env->upstream.ops->resume(a->call);
}
