#include "base/clock.h"
#include "base/json.h"
#include "request/exchange_internal.h"
#include "request/refusal.h"
#include "request/trace_pack.h"
#include <stdlib.h>

enum { MAX_MODEL = 256 /* bytes of a model name */ };

/* ---- the end */

/* The clocks are read once for everything that is noted of a request. */
struct moment {
    uint64_t total_us, wall_ms;
};

static struct moment moment_of(const struct gate_exchange *x)
{
    return (struct moment){gate_clock_mono_us() - x->in.started_us, gate_clock_wall_ms()};
}

static void log_request(struct gate_exchange *x, const struct moment *end, const char *outcome,
                        const char *code)
{
    const struct exchange_target *t = exchange_target(x);
    const struct gate_trace_attempt *last = x->traced;
    const char *account = last != NULL ? last->id : "";
    struct gate_log_request line = {
        .request_id = x->in.request_id,
        .method = x->in.method,
        .path = x->in.address,
        .model = gate_str_of(x->model),
        .target = t ? gate_str_of(t->model) : (struct gate_str){NULL, 0},
        .provider = t ? gate_str_of(t->instance->name) : (struct gate_str){NULL, 0},
        .account = gate_str_of(account),
        .outcome = gate_str_of(outcome),
        .error_code = gate_str_of(code),
        .client = x->in.peer,
        .status = x->status,
        .upstream_status = x->upstream_status,
        .attempts = x->attempts,
        .bytes_in = x->in.body.len,
        .bytes_out = x->bytes_out,
        .total_us = end->total_us,
        .first_us = x->first_us,
        .stream = x->facts.stream,
    };
    if (exchange_config(x)->audit_success_log || strcmp(outcome, "ok") != 0)
        gate_log_batch_request(x->in.env->log, &line);
}

static void count(struct gate_exchange *x, const struct moment *end, const char *outcome)
{
    const struct gate_trace_attempt *last = x->traced;
    struct gate_audit_event event = {
        .account = last != NULL ? gate_str_of(last->id) : GATE_STR("-"),
        .outcome = gate_str_of(outcome),
        .kind = x->kind,
        .prompt_tokens = x->usage.prompt,
        .completion_tokens = x->usage.completion,
        .total_us = end->total_us,
        .first_us = x->first_us,
    };
    if (x->in.env->audit != NULL)
        gate_audit_count(x->in.env->audit, end->wall_ms, &event);
}

static void keep_trace(struct gate_exchange *x, const struct moment *end, const char *outcome)
{
    const struct gate_env *env = x->in.env;
    if (env->recent == NULL)
        return;
    struct gate_trace *t = gate_trace_ring_next(env->recent);
    exchange_fill_trace(x, end->wall_ms, end->total_us, outcome, t);
    if (t->input.there && x->in.stage == NULL)
        t->input.accounts =
            gate_trace_ring_accounts(env->recent, x->pin->table, env->quota, x->kind, end->wall_ms);
    t->steps = x->steps; /* they belong to the ring now */
    memset(&x->steps, 0, sizeof x->steps);
    gate_trace_ring_filled(env->recent, t);
    if (env->journal != NULL)
        gate_trace_record(t, env->journal);
}

/* Scripts that fail one request after the other are taken out of service; those of a stage are in
 * none. */
static void note_script(struct gate_exchange *x)
{
    struct gate_script_pin *pin = x->script;
    struct gate_env *env = x->in.env;
    if (x->in.stage != NULL)
        return;
    if (!x->script_failed) {
        pin->errors = 0;
        return;
    }
    if (++pin->errors % GATE_ENV_SCRIPT_ERRORS == 0 && env->script_failing != NULL)
        env->script_failing(env, gate_generation_number(pin->generation), pin->why);
}

static void release(struct gate_exchange *x)
{
    exchange_abandon_wait(x);
    gate_timer_disarm(x->in.env->timers, &x->keepalive);
    gate_stream_close(&x->stream);
    gate_attempt_destroy(x->attempt);
    exchange_targets_finish(x);
    for (size_t i = 0; i < x->tried_count; i++)
        gate_account_release(x->tried[i]);
    free(x->tried);
    gate_account_release(x->refreshed);
    free(x->model);
    gate_buf_finish(&x->hold);
    gate_buf_finish(&x->content_type);
    gate_buf_finish(&x->headers);
    if (x->last != NULL)
        gate_failure_finish(x->last);
    free(x->last);
    gate_steps_finish(&x->steps);
    free(x->reason);
    free(x->limits);
    free(x->route_headers);
    note_script(x);
    gate_script_pin_drop(x->script);
    gate_table_pin_drop(x->pin);
    gate_table_pin_drop(x->born);
    if (x->in.stage != NULL)
        x->in.env->staged--;
    gate_stage_pin_drop(x->in.stage);
    x->in.env->active--;
    x->in.env->served++;
    free(x);
}

void exchange_finish(struct gate_exchange *x, bool complete, const char *outcome, const char *code,
                     const char *audit)
{
    const struct gate_client_ops *ops = x->in.ops;
    void *client = x->in.client;
    struct moment end = moment_of(x);
    log_request(x, &end, outcome, code);
    count(x, &end, audit);
    keep_trace(x, &end, audit);
    release(x);
    ops->end(client, complete);
}

void exchange_answered(struct gate_exchange *x)
{
    struct gate_script *script = x->script->script;
    if (x->traced != NULL)
        x->traced->status = x->upstream_status;
    if (gate_script_has_on_response(script) && x->entry != NULL) {
        exchange_take_usage(x);
        exchange_respond(x);
    }
    exchange_settle(x, GATE_OUTCOME_ANSWERED);
    exchange_finish(x, true, "ok", "", "success");
}

void exchange_refuse(struct gate_exchange *x, const struct gate_api_error *error, const char *audit)
{
    struct gate_buf body;
    gate_buf_init(&body, GATE_REFUSAL_MAX);
    struct gate_writer w = gate_buf_writer(&body);
    x->in.dialect->render_error(error, &w);
    char code[64];
    snprintf(code, sizeof code, "%.*s", (int)error->code.len,
             error->code.ptr ? error->code.ptr : "");
    x->outcome = audit;
    exchange_commit(x, error->status, GATE_STR("application/json"), (int64_t)body.len);
    exchange_write(x, gate_buf_str(&body));
    gate_buf_finish(&body);
    exchange_finish(x, true, "refused", code, audit);
}

static void refuse(struct gate_exchange *x, const struct gate_api_error *error)
{
    char audit[GATE_AUDIT_MAX_OUTCOME], code[GATE_AUDIT_MAX_OUTCOME];
    snprintf(code, sizeof code, "%.*s", (int)error->code.len, error->code.ptr);
    exchange_refuse(x, error, exchange_error_outcome(audit, code));
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
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) {
            gate_refusal_model_bytes(&error);
            refuse(x, &error);
            return false;
        }
    x->model = gate_strdup((struct gate_str){name, len});
    return true;
}

struct gate_exchange *gate_exchange_create(const struct gate_exchange_input *input)
{
    struct gate_exchange *x = gate_calloc(1, sizeof *x);
    x->in = *input;
    x->kind = input->kind;
    x->in.header_count =
        input->header_count < EXCHANGE_MAX_HEADERS ? input->header_count : EXCHANGE_MAX_HEADERS;
    if (x->in.header_count > 0) {
        x->route_headers = gate_alloc(x->in.header_count * sizeof x->route_headers[0]);
        memcpy(x->route_headers, input->headers, x->in.header_count * sizeof x->route_headers[0]);
    }
    x->in.headers = x->route_headers;
    x->first_us = -1;
    gate_buf_init(&x->hold,
                  x->kind == GATE_USAGE_SEARCH ? EXCHANGE_HOLD_SEARCH : EXCHANGE_HOLD_JSON);
    gate_buf_init(&x->content_type, 256);
    gate_buf_init(&x->headers, 4096);
    if (input->stage != NULL) {
        gate_stage_pin_use(input->stage);
        input->env->staged++;
    }
    x->pin = gate_table_pin_use(exchange_newest_accounts(x));
    x->born = gate_table_pin_use(x->pin);
    x->script =
        gate_script_pin_use(input->stage != NULL ? input->stage->script : input->env->script);
    input->env->active++;
    return x;
}

void gate_exchange_run(struct gate_exchange *x)
{
    if (x->kind == GATE_USAGE_SEARCH ? exchange_route_search(x) : scan(x) && exchange_route(x))
        exchange_advance(x);
}

void gate_exchange_client_gone(struct gate_exchange *x)
{
    bool sent = x->attempt != NULL && gate_attempt_was_sent(x->attempt);
    exchange_settle(x, sent ? GATE_OUTCOME_CANCELLED : GATE_OUTCOME_NOT_SENT);
    struct moment end = moment_of(x);
    log_request(x, &end, "client_gone", "client_gone");
    count(x, &end, "cancelled");
    keep_trace(x, &end, "cancelled");
    release(x);
}
