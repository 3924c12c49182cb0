#include "request/exchange.h"
#include "base/clock.h"
#include "base/json.h"
#include "request/attempt.h"
#include "request/refusal.h"
#include "request/stream.h"
#include <stdlib.h>

enum {
    MAX_MODEL = 256, /* bytes of a model name */
    HOLD_JSON =
        64 * 1024, /* a JSON answer up to this size is complete before the client sees any of it */
    HIGH_WATER = 64 * 1024, /* backlog at which the upstream is paused */
    SHARED_HEADERS = 12,
};

/* One place that may answer. */
struct target {
    const struct gate_instance *instance;
    char *model;
    struct gate_clocks clocks;
};

enum answer_mode { ANSWER_NONE = 0, ANSWER_STREAM, ANSWER_JSON };

struct gate_exchange {
    struct gate_exchange_input in;
    struct gate_request_facts facts;
    char *model; /* as the client asked, decoded */
    struct target targets[GATE_SCRIPT_MAX_TARGETS];
    size_t target_count, target; /* how many, and which is being tried */
    struct gate_attempt *attempt;
    struct gate_stream stream;
    struct gate_buf hold;         /* a JSON answer that has not gone out yet */
    struct gate_buf content_type; /* of the answer at hand */
    struct gate_buf headers;      /* "name\0value\0" of the answer's headers that the client gets */
    struct gate_timer keepalive;
    uint64_t last_write_ms;
    int64_t content_length; /* upstream's, -1 unknown */
    int64_t first_us;       /* -1: nothing sent */
    uint64_t bytes_out;
    uint32_t attempts;
    int status, upstream_status;
    enum answer_mode mode;
    bool committed; /* the head has gone to the client: no other target after this */
    bool paused;
};

static void next_target(struct gate_exchange *x, struct gate_failure *failure);

/* ---- the end */

static const struct target *current(const struct gate_exchange *x)
{
    return x->target < x->target_count ? &x->targets[x->target] : NULL;
}

static void log_request(struct gate_exchange *x, const char *outcome, const char *code)
{
    const struct target *t = current(x);
    struct gate_log_request line = {
        .request_id = x->in.request_id,
        .method = x->in.method,
        .path = x->in.path,
        .model = gate_str_of(x->model),
        .target = t ? gate_str_of(t->model) : (struct gate_str){NULL, 0},
        .provider = t ? gate_str_of(t->instance->name) : (struct gate_str){NULL, 0},
        .account = t ? gate_str_of(t->instance->account.id) : (struct gate_str){NULL, 0},
        .outcome = gate_str_of(outcome),
        .error_code = gate_str_of(code),
        .client = x->in.peer,
        .status = x->status,
        .upstream_status = x->upstream_status,
        .attempts = x->attempts,
        .bytes_in = x->in.body.len,
        .bytes_out = x->bytes_out,
        .total_us = gate_clock_mono_us() - x->in.started_us,
        .first_us = x->first_us,
        .stream = x->facts.stream,
    };
    gate_log_batch_request(x->in.env->log, &line);
}

static void release(struct gate_exchange *x)
{
    gate_timer_disarm(x->in.env->timers, &x->keepalive);
    gate_stream_close(&x->stream);
    gate_attempt_destroy(x->attempt);
    for (size_t i = 0; i < x->target_count; i++)
        free(x->targets[i].model);
    free(x->model);
    gate_buf_finish(&x->hold);
    gate_buf_finish(&x->content_type);
    gate_buf_finish(&x->headers);
    x->in.env->active--;
    x->in.env->served++;
    free(x);
}

static void finish(struct gate_exchange *x, bool complete, const char *outcome, const char *code)
{
    const struct gate_client_ops *ops = x->in.ops;
    void *client = x->in.client;
    log_request(x, outcome, code);
    release(x);
    ops->end(client, complete);
}

/* ---- writing to the client */

static void client_write(struct gate_exchange *x, struct gate_str bytes)
{
    if (x->first_us < 0)
        x->first_us = (int64_t)(gate_clock_mono_us() - x->in.started_us);
    x->bytes_out += bytes.len;
    x->last_write_ms = x->in.env->timers->now_ms;
    x->in.ops->write(x->in.client, bytes);
}

static void commit(struct gate_exchange *x, int status, struct gate_str type, int64_t length)
{
    struct gate_header headers[SHARED_HEADERS];
    size_t count = 0;
    for (size_t at = 0; at < x->headers.len && count < SHARED_HEADERS; count++) {
        headers[count].name = gate_str_of(x->headers.ptr + at);
        at += headers[count].name.len + 1;
        headers[count].value = gate_str_of(x->headers.ptr + at);
        at += headers[count].value.len + 1;
    }
    struct gate_client_head head = {
        .status = status,
        .content_type = type,
        .headers = headers,
        .header_count = count,
        .content_length = length,
    };
    x->committed = true;
    x->status = status;
    x->in.ops->head(x->in.client, &head);
    gate_buf_finish(&x->headers);
    gate_buf_finish(&x->content_type);
}

static void commit_answer(struct gate_exchange *x, int64_t length)
{
    if (!x->committed)
        commit(x, x->upstream_status, gate_buf_str(&x->content_type), length);
}

static void stop_if_full(struct gate_exchange *x)
{
    if (!x->paused && x->attempt != NULL && x->in.ops->backlog(x->in.client) >= HIGH_WATER) {
        x->paused = true;
        gate_attempt_pause(x->attempt);
    }
}

void gate_exchange_drained(struct gate_exchange *x)
{
    if (x->paused && x->attempt != NULL) {
        x->paused = false;
        gate_attempt_resume(x->attempt);
    }
}

/* ---- failing */

/* Ends the exchange with an error of the gateway's own making. */
static void refuse(struct gate_exchange *x, const struct gate_api_error *error)
{
    struct gate_buf body;
    gate_buf_init(&body, GATE_REFUSAL_MAX);
    struct gate_writer w = gate_buf_writer(&body);
    x->in.dialect->render_error(error, &w);
    char code[64];
    snprintf(code, sizeof code, "%.*s", (int)error->code.len,
             error->code.ptr ? error->code.ptr : "");
    commit(x, error->status, GATE_STR("application/json"), (int64_t)body.len);
    client_write(x, gate_buf_str(&body));
    gate_buf_finish(&body);
    finish(x, true, "refused", code);
}

static void add_retry_after(struct gate_exchange *x, const struct gate_failure *f)
{
    if (f->verdict.retry_after_ms == 0)
        return;
    static const char name[] = "retry-after";
    for (size_t at = 0; at + sizeof name <= x->headers.len; at++)
        if (memcmp(x->headers.ptr + at, name, sizeof name) == 0)
            return;
    gate_buf_append(&x->headers, (struct gate_str){name, sizeof name});
    gate_buf_printf(&x->headers, "%llu",
                    (unsigned long long)((f->verdict.retry_after_ms + 999) / 1000));
    gate_buf_append_byte(&x->headers, '\0');
}

/* All targets are used up, or the answer had begun: says so to the client. */
static void give_up(struct gate_exchange *x, struct gate_failure *f)
{
    const char *instance = current(x)->instance->name;
    struct gate_buf body;
    gate_buf_init(&body, GATE_FAILURE_BODY + GATE_REFUSAL_MAX);
    x->upstream_status = f->upstream_status;
    bool complete = true;
    if (!x->committed) {
        gate_failure_render(f, x->in.dialect, instance, &body);
        add_retry_after(x, f);
        commit(x, gate_failure_status(f), GATE_STR("application/json"), (int64_t)body.len);
        client_write(x, gate_buf_str(&body));
    } else if (x->mode == ANSWER_STREAM || x->facts.stream) {
        gate_failure_render_event(f, x->in.dialect, instance, &body);
        client_write(x, gate_buf_str(&body));
    } else {
        complete = false;
    }
    gate_buf_finish(&body);
    finish(x, complete, "failed", f->code);
}

static bool another_may_do_better(const struct gate_failure *f)
{
    return f->verdict.kind != GATE_VERDICT_CLIENT_ERROR;
}

static void on_attempt_failure(void *ctx, struct gate_failure *f)
{
    struct gate_exchange *x = ctx;
    if (x->committed && x->mode == ANSWER_STREAM && gate_stream_end(&x->stream)) {
        /* The transport broke after the answer was complete. */
        finish(x, true, "ok", "");
        return;
    }
    if (!x->committed && x->target + 1 < x->target_count && another_may_do_better(f)) {
        next_target(x, f);
        return;
    }
    if (x->committed && x->mode == ANSWER_STREAM && f->verdict.kind == GATE_VERDICT_TRUNCATED)
        snprintf(f->code, sizeof f->code, "upstream_truncated");
    give_up(x, f);
}

/* ---- the answer */

static bool is_shared_header(struct gate_str name)
{
    return gate_str_eq(name, GATE_STR("retry-after")) ||
           gate_str_eq(name, GATE_STR("retry-after-ms")) ||
           gate_str_starts(name, GATE_STR("x-ratelimit-")) ||
           gate_str_eq(name, GATE_STR("openai-processing-ms")) ||
           gate_str_eq(name, GATE_STR("openai-version"));
}

static void keep_head(struct gate_exchange *x, const struct gate_upstream_head *head)
{
    x->headers.len = x->content_type.len = 0;
    for (size_t i = 0; i < head->header_count; i++) {
        const struct gate_header *h = &head->headers[i];
        if (gate_str_eq(h->name, GATE_STR("content-type")))
            gate_buf_append(&x->content_type, h->value);
        if (!is_shared_header(h->name))
            continue;
        gate_buf_append(&x->headers, h->name);
        gate_buf_append_byte(&x->headers, '\0');
        gate_buf_append(&x->headers, h->value);
        gate_buf_append_byte(&x->headers, '\0');
    }
}

static void stream_write(void *ctx, struct gate_str bytes)
{
    struct gate_exchange *x = ctx;
    commit_answer(x, -1);
    client_write(x, bytes);
}

static void stream_flush(void *ctx)
{
    struct gate_exchange *x = ctx;
    if (x->committed)
        x->in.ops->flush(x->in.client);
}

static void on_attempt_head(void *ctx, const struct gate_upstream_head *head, bool event_stream)
{
    struct gate_exchange *x = ctx;
    x->upstream_status = head->status;
    x->content_length = head->content_length;
    if (!x->committed)
        keep_head(x, head);
    if (event_stream) {
        x->mode = ANSWER_STREAM;
        gate_stream_open(&x->stream, x->in.env, current(x)->instance, stream_write, stream_flush,
                         x);
    } else {
        x->mode = ANSWER_JSON;
    }
}

static void json_data(struct gate_exchange *x, struct gate_str bytes)
{
    if (!x->committed && x->hold.len + bytes.len <= HOLD_JSON) {
        gate_buf_append(&x->hold, bytes);
        return;
    }
    if (!x->committed) {
        commit_answer(x, x->content_length);
        client_write(x, gate_buf_str(&x->hold));
        gate_buf_finish(&x->hold);
    }
    client_write(x, bytes);
    x->in.ops->flush(x->in.client);
    stop_if_full(x);
}

/* An event of the stream says that it failed: before any content as good as a failed head. */
static void stream_refused(struct gate_exchange *x)
{
    struct gate_failure f;
    struct gate_str data = gate_buf_str(&x->stream.refused);
    gate_attempt_judge(x->attempt, data, true, &f);
    x->stream.ended = true;
    x->stream.seen = 0;
    on_attempt_failure(x, &f);
    gate_failure_finish(&f);
}

static void on_attempt_data(void *ctx, struct gate_str bytes)
{
    struct gate_exchange *x = ctx;
    if (x->mode == ANSWER_JSON) {
        json_data(x, bytes);
        return;
    }
    if (!gate_stream_feed(&x->stream, bytes)) {
        stream_refused(x);
        return;
    }
    stream_flush(x);
    stop_if_full(x);
}

static void fail_truncated(struct gate_exchange *x)
{
    struct gate_failure f;
    gate_failure_init(&f);
    f.verdict.kind = GATE_VERDICT_TRUNCATED;
    f.upstream_status = x->upstream_status;
    snprintf(f.code, sizeof f.code, "upstream_truncated");
    snprintf(f.reason, sizeof f.reason, "the stream ended before the answer was finished");
    on_attempt_failure(x, &f);
    gate_failure_finish(&f);
}

static void json_done(struct gate_exchange *x)
{
    struct gate_failure f;
    if (!x->committed) {
        if (gate_attempt_judge(x->attempt, gate_buf_str(&x->hold), false, &f)) {
            on_attempt_failure(x, &f);
            gate_failure_finish(&f);
            return;
        }
        commit_answer(x, (int64_t)x->hold.len);
        client_write(x, gate_buf_str(&x->hold));
    }
    finish(x, true, "ok", "");
}

static void on_attempt_done(void *ctx)
{
    struct gate_exchange *x = ctx;
    if (x->mode == ANSWER_JSON) {
        json_done(x);
    } else if (x->committed && (x->stream.seen & GATE_EVENT_ERROR)) {
        gate_stream_end(&x->stream);
        finish(x, true, "failed", "upstream_error");
    } else if (gate_stream_end(&x->stream)) {
        commit_answer(x, -1);
        finish(x, true, "ok", "");
    } else {
        fail_truncated(x);
    }
}

/* ---- keepalive comments while a stream client waits */

static void on_keepalive(struct gate_timer *timer)
{
    struct gate_exchange *x =
        (struct gate_exchange *)((char *)timer - offsetof(struct gate_exchange, keepalive));
    uint64_t now = x->in.env->timers->now_ms;
    uint32_t every = current(x)->clocks.keepalive_ms;
    uint64_t due = x->last_write_ms + every;
    if (now < due) {
        gate_timer_arm(x->in.env->timers, &x->keepalive, due - now);
        return;
    }
    if (x->mode != ANSWER_JSON && gate_stream_at_boundary(&x->stream) &&
        x->in.ops->backlog(x->in.client) == 0) {
        if (!x->committed)
            commit(x, 200, GATE_STR("text/event-stream"), -1);
        client_write(x, GATE_STR(": keepalive\n\n"));
        x->in.ops->flush(x->in.client);
    }
    gate_timer_arm(x->in.env->timers, &x->keepalive, every);
}

/* ---- attempts */

static const struct gate_attempt_events attempt_events = {
    .on_head = on_attempt_head,
    .on_data = on_attempt_data,
    .on_done = on_attempt_done,
    .on_failure = on_attempt_failure,
};

static void start_attempt(struct gate_exchange *x)
{
    const struct target *t = current(x);
    struct gate_attempt_input input = {
        .instance = t->instance,
        .model = gate_str_of(t->model),
        .request_id = x->in.request_id,
        .body = x->in.body,
        .facts = &x->facts,
        .clocks = t->clocks,
    };
    x->attempts++;
    x->mode = ANSWER_NONE;
    x->paused = false;
    if (x->facts.stream && t->clocks.keepalive_ms > 0 && !gate_timer_is_armed(&x->keepalive)) {
        x->keepalive.cb = on_keepalive;
        x->last_write_ms = x->in.env->timers->now_ms;
        gate_timer_arm(x->in.env->timers, &x->keepalive, t->clocks.keepalive_ms);
    }
    x->attempt = gate_attempt_create(x->in.env, &input, &attempt_events, x);
    gate_attempt_run(x->attempt);
}

static void next_target(struct gate_exchange *x, struct gate_failure *failure)
{
    gate_log_debug("request %.*s: %s failed (%s), trying %s", (int)x->in.request_id.len,
                   x->in.request_id.ptr, current(x)->instance->name, failure->code,
                   x->targets[x->target + 1].instance->name);
    gate_stream_close(&x->stream);
    gate_attempt_destroy(x->attempt);
    x->attempt = NULL;
    x->hold.len = 0;
    x->target++;
    start_attempt(x);
}

/* ---- scan, route, resolve */

static bool scan(struct gate_exchange *x)
{
    struct gate_json_error why = {0};
    struct gate_api_error error;
    char message[GATE_REFUSAL_TEXT];
    enum gate_status status =
        gate_json_scan(x->in.body, gate_str_of(x->in.dialect->messages_key), &x->facts, &why);
    if (status != GATE_OK) {
        gate_refusal_scan(&why, message, sizeof message, &error);
        refuse(x, &error);
        return false;
    }
    struct gate_range m = x->facts.model;
    char name[MAX_MODEL + 1];
    size_t len;
    if (!gate_json_decode_to((struct gate_str){x->in.body.ptr + m.off, m.len}, name, sizeof name,
                             &len)) {
        gate_refusal_model_name(MAX_MODEL, message, sizeof message, &error);
        refuse(x, &error);
        return false;
    }
    x->model = gate_strdup((struct gate_str){name, len});
    return true;
}

static uint32_t chosen(uint32_t override, uint32_t configured)
{
    return override > 0 ? override : configured;
}

static void add_target(struct gate_exchange *x, const struct gate_resolved *r,
                       const struct gate_target *overrides)
{
    struct target *t = &x->targets[x->target_count++];
    t->instance = r->instance;
    t->model = gate_strdup(r->model);
    t->clocks = r->instance->clocks;
    if (overrides != NULL) {
        t->clocks.first_token_ms = chosen(overrides->first_token_ms, t->clocks.first_token_ms);
        t->clocks.idle_ms = chosen(overrides->idle_ms, t->clocks.idle_ms);
        t->clocks.total_ms = chosen(overrides->total_ms, t->clocks.total_ms);
    }
}

static bool resolve(struct gate_exchange *x, const struct gate_decision *decision)
{
    struct gate_env *env = x->in.env;
    struct gate_resolved r;
    struct gate_str asked = gate_str_of(x->model);
    if (decision->target_count == 0) {
        if (gate_pool_resolve(env->pool, env->generation, asked, &r))
            add_target(x, &r, NULL);
    } else {
        asked = decision->targets[0].name;
        for (size_t i = 0; i < decision->target_count; i++)
            if (gate_pool_resolve(env->pool, env->generation, decision->targets[i].name, &r))
                add_target(x, &r, &decision->targets[i]);
    }
    if (x->target_count > 0)
        return true;
    struct gate_api_error error;
    char message[GATE_REFUSAL_TEXT];
    gate_refusal_unknown_model(env, gate_str_of(x->model), asked, message, sizeof message, &error);
    refuse(x, &error);
    return false;
}

static bool route(struct gate_exchange *x)
{
    struct gate_decision decision;
    struct gate_error err;
    struct gate_route_view view = {
        .model = gate_str_of(x->model),
        .key_name = x->in.key_name,
        .path = x->in.path,
        .facts = &x->facts,
        .body_bytes = x->in.body.len,
        .headers = x->in.headers,
        .header_count = x->in.header_count,
    };
    decision.target_count = decision.text_len = 0;
    if (gate_script_route(x->in.env->script, &view, &decision, &err) != GATE_OK) {
        gate_log_error("request %.*s: route failed: %s", (int)x->in.request_id.len,
                       x->in.request_id.ptr, err.message);
        struct gate_api_error error;
        gate_refusal_script(&error);
        refuse(x, &error);
        return false;
    }
    return resolve(x, &decision);
}

struct gate_exchange *gate_exchange_create(const struct gate_exchange_input *input)
{
    struct gate_exchange *x = gate_calloc(1, sizeof *x);
    x->in = *input;
    x->first_us = -1;
    gate_buf_init(&x->hold, HOLD_JSON);
    gate_buf_init(&x->content_type, 256);
    gate_buf_init(&x->headers, 4096);
    input->env->active++;
    return x;
}

void gate_exchange_run(struct gate_exchange *x)
{
    if (scan(x) && route(x))
        start_attempt(x);
}

void gate_exchange_client_gone(struct gate_exchange *x)
{
    log_request(x, "client_gone", "client_gone");
    release(x);
}
