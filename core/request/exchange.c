#include "base/clock.h"
#include "base/json.h"
#include "request/exchange_internal.h"
#include "request/refusal.h"
#include <stdlib.h>

enum { MAX_MODEL = 256 /* bytes of a model name */ };

static void next_target(struct gate_exchange *x, struct gate_failure *failure);

/* ---- the end */

static void log_request(struct gate_exchange *x, const char *outcome, const char *code)
{
    const struct exchange_target *t = exchange_target(x);
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

void exchange_finish(struct gate_exchange *x, bool complete, const char *outcome, const char *code)
{
    const struct gate_client_ops *ops = x->in.ops;
    void *client = x->in.client;
    log_request(x, outcome, code);
    release(x);
    ops->end(client, complete);
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
    exchange_commit(x, error->status, GATE_STR("application/json"), (int64_t)body.len);
    exchange_write(x, gate_buf_str(&body));
    gate_buf_finish(&body);
    exchange_finish(x, true, "refused", code);
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
    const char *instance = exchange_target(x)->instance->name;
    struct gate_buf body;
    gate_buf_init(&body, GATE_FAILURE_BODY + GATE_REFUSAL_MAX);
    x->upstream_status = f->upstream_status;
    bool complete = true;
    if (!x->committed) {
        gate_failure_render(f, x->in.dialect, instance, &body);
        add_retry_after(x, f);
        exchange_commit(x, gate_failure_status(f), GATE_STR("application/json"), (int64_t)body.len);
        exchange_write(x, gate_buf_str(&body));
    } else if (x->mode == ANSWER_STREAM || x->facts.stream) {
        gate_failure_render_event(f, x->in.dialect, instance, &body);
        exchange_write(x, gate_buf_str(&body));
    } else {
        complete = false;
    }
    gate_buf_finish(&body);
    exchange_finish(x, complete, "failed", f->code);
}

static bool another_may_do_better(const struct gate_failure *f)
{
    return f->verdict.kind != GATE_VERDICT_CLIENT_ERROR;
}

void exchange_failed(void *ctx, struct gate_failure *f)
{
    struct gate_exchange *x = ctx;
    if (x->committed && x->mode == ANSWER_STREAM && gate_stream_end(&x->stream)) {
        /* The transport broke after the answer was complete. */
        exchange_finish(x, true, "ok", "");
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

/* ---- attempts */

static void start_attempt(struct gate_exchange *x)
{
    const struct exchange_target *t = exchange_target(x);
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
    exchange_start_keepalive(x);
    x->attempt = gate_attempt_create(x->in.env, &input, &exchange_attempt_events, x);
    gate_attempt_run(x->attempt);
}

static void next_target(struct gate_exchange *x, struct gate_failure *failure)
{
    gate_log_debug("request %.*s: %s failed (%s), trying %s", (int)x->in.request_id.len,
                   x->in.request_id.ptr, exchange_target(x)->instance->name, failure->code,
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
    struct exchange_target *t = &x->targets[x->target_count++];
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
    gate_buf_init(&x->hold, EXCHANGE_HOLD_JSON);
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
