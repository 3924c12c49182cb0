#include "base/clock.h"
#include "request/exchange_internal.h"
#include <stdlib.h>

enum {
    SHARED_HEADERS = 12,
    EXPLAIN_MAX = 512 * 1024,
    MAX_LIMITS = 2048, /* bytes of the headers that on_response may see */
};

/* ---- writing to the client */

void exchange_write(struct gate_exchange *x, struct gate_str bytes)
{
    if (x->first_us < 0)
        x->first_us = (int64_t)(gate_clock_mono_us() - x->in.started_us);
    x->bytes_out += bytes.len;
    x->last_write_ms = x->in.env->timers->now_ms;
    x->in.ops->write(x->in.client, bytes);
}

void exchange_commit(struct gate_exchange *x, int status, struct gate_str type, int64_t length)
{
    struct gate_header headers[SHARED_HEADERS + 1];
    struct gate_buf why;
    size_t count = 0;
    gate_buf_init(&why, EXPLAIN_MAX);
    for (size_t at = 0; at < x->headers.len && count < SHARED_HEADERS; count++) {
        headers[count].name = gate_str_of(x->headers.ptr + at);
        at += headers[count].name.len + 1;
        headers[count].value = gate_str_of(x->headers.ptr + at);
        at += headers[count].value.len + 1;
    }
    x->status = status;
    if (x->in.explain && !gate_str_starts(type, GATE_STR("text/event-stream"))) {
        exchange_explain(x, true, &why);
        headers[count++] = (struct gate_header){GATE_STR("x-gate-explain"), gate_buf_str(&why)};
    }
    struct gate_client_head head = {
        .status = status,
        .content_type = type,
        .headers = headers,
        .header_count = count,
        .content_length = length,
    };
    x->committed = true;
    x->in.ops->head(x->in.client, &head);
    gate_buf_finish(&why);
    gate_buf_finish(&x->headers);
    gate_buf_finish(&x->content_type);
}

/* A part of the answer goes to the client now. */
static void commit_answer(struct gate_exchange *x, int64_t length)
{
    bool first = !x->begun;
    x->begun = true;
    exchange_note_well(x);
    if (!x->committed)
        exchange_commit(x, x->upstream_status, gate_buf_str(&x->content_type), length);
    if (first && x->in.explain && x->mode == ANSWER_STREAM)
        exchange_explain_in_stream(x);
}

static void stop_if_full(struct gate_exchange *x)
{
    if (!x->paused && x->attempt != NULL &&
        x->in.ops->backlog(x->in.client) >= EXCHANGE_HIGH_WATER) {
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

/* ---- the answer */

static bool is_shared_header(struct gate_str name)
{
    return gate_str_eq(name, GATE_STR("retry-after")) ||
           gate_str_eq(name, GATE_STR("retry-after-ms")) ||
           gate_str_starts(name, GATE_STR("x-ratelimit-")) ||
           gate_str_eq(name, GATE_STR("openai-processing-ms")) ||
           gate_str_eq(name, GATE_STR("openai-version"));
}

void exchange_add_header(struct gate_exchange *x, struct gate_str name, struct gate_str value)
{
    /* All of it or nothing. */
    if (gate_buf_reserve(&x->headers, name.len + value.len + 2) == NULL)
        return;
    gate_buf_append(&x->headers, name);
    gate_buf_append_byte(&x->headers, '\0');
    gate_buf_append(&x->headers, value);
    gate_buf_append_byte(&x->headers, '\0');
}

void exchange_add_retry_after(struct gate_exchange *x, uint64_t ms)
{
    static const char name[] = "retry-after";
    char value[24];
    if (ms == 0)
        return;
    for (size_t at = 0; at + sizeof name <= x->headers.len; at++)
        if (memcmp(x->headers.ptr + at, name, sizeof name) == 0)
            return;
    snprintf(value, sizeof value, "%llu", (unsigned long long)((ms + 999) / 1000));
    exchange_add_header(x, GATE_STR("retry-after"), gate_str_of(value));
}

/* What on_response may see of the head. */
static void keep_limits(struct gate_exchange *x, const struct gate_upstream_head *head)
{
    struct gate_buf out;
    gate_buf_init(&out, MAX_LIMITS);
    for (size_t i = 0; i < head->header_count; i++) {
        const struct gate_header *h = &head->headers[i];
        if (!gate_str_starts(h->name, GATE_STR("x-ratelimit-")) ||
            out.len + h->name.len + h->value.len + 3 > MAX_LIMITS)
            continue;
        gate_buf_append(&out, h->name);
        gate_buf_append_byte(&out, '\0');
        gate_buf_append(&out, h->value);
        gate_buf_append_byte(&out, '\0');
    }
    gate_buf_append_byte(&out, '\0');
    free(x->limits);
    x->limits = out.ptr; /* it is the exchange's now */
}

static void keep_head(struct gate_exchange *x, const struct gate_upstream_head *head)
{
    x->headers.len = x->content_type.len = 0;
    for (size_t i = 0; i < head->header_count; i++) {
        const struct gate_header *h = &head->headers[i];
        if (gate_str_eq(h->name, GATE_STR("content-type")))
            gate_buf_append(&x->content_type, h->value);
        if (is_shared_header(h->name))
            exchange_add_header(x, h->name, h->value);
    }
}

/* The attempt was answered, but not with what was asked for. */
static void fail_answer(struct gate_exchange *x, enum gate_verdict_kind kind, const char *code,
                        const char *reason)
{
    struct gate_failure f;
    gate_failure_init(&f);
    f.verdict.kind = kind;
    f.upstream_status = x->upstream_status;
    snprintf(f.code, sizeof f.code, "%s", code);
    snprintf(f.reason, sizeof f.reason, "%s", reason);
    exchange_failed(x, &f);
    gate_failure_finish(&f);
}

static void stream_write(void *ctx, struct gate_str bytes)
{
    struct gate_exchange *x = ctx;
    commit_answer(x, -1);
    exchange_write(x, bytes);
}

static void stream_flush(void *ctx)
{
    struct gate_exchange *x = ctx;
    if (x->committed)
        x->in.ops->flush(x->in.client);
}

/* What the services say of their limits. */
static void observe(struct gate_exchange *x, const struct gate_upstream_head *head)
{
    const struct gate_quota *q = x->in.env->quota;
    if (x->entry != NULL)
        q->ops->observe(q->instance, x->entry->account->quota, x->kind, head->headers,
                        head->header_count, gate_clock_wall_ms());
}

static void on_attempt_head(void *ctx, const struct gate_upstream_head *head, bool event_stream)
{
    struct gate_exchange *x = ctx;
    observe(x, head);
    x->upstream_status = head->status;
    x->content_length = head->content_length;
    if (!x->committed)
        keep_head(x, head);
    if (gate_script_has_on_response(x->script->script))
        keep_limits(x, head);
    if (event_stream && x->kind == GATE_USAGE_CHAT) {
        x->mode = ANSWER_STREAM;
        gate_stream_open(&x->stream, x->in.env, exchange_target(x)->instance,
                         gate_attempt_asked_usage(x->attempt), stream_write, stream_flush, x);
    } else {
        x->mode = ANSWER_JSON;
        x->wrong_form = x->committed; /* by a keepalive comment of a stream */
    }
}

static void json_data(struct gate_exchange *x, struct gate_str bytes)
{
    if (!x->begun && gate_buf_append(&x->hold, bytes))
        return;
    if (x->wrong_form)
        return; /* there is enough to judge by */
    if (x->kind == GATE_USAGE_SEARCH) {
        fail_answer(x, GATE_VERDICT_GARBAGE, "upstream_bad_response",
                    "the answer to the search is larger than 1 MiB");
        return;
    }
    if (!x->begun) {
        commit_answer(x, x->content_length);
        exchange_write(x, gate_buf_str(&x->hold));
        x->text_bytes = x->hold.len;
        gate_buf_finish(&x->hold);
    }
    x->text_bytes += bytes.len;
    exchange_write(x, bytes);
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
    exchange_failed(x, &f);
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

static void json_done(struct gate_exchange *x)
{
    struct gate_failure f;
    const struct gate_dialect_ops *d = exchange_target(x)->instance->dialect;
    if (!x->begun) {
        if (gate_attempt_judge(x->attempt, gate_buf_str(&x->hold), false, &f)) {
            exchange_failed(x, &f);
            gate_failure_finish(&f);
            return;
        }
        if (x->wrong_form) {
            fail_answer(x, GATE_VERDICT_GARBAGE, "upstream_bad_response",
                        "the upstream answered a stream request with a single document");
            return;
        }
        x->has_usage = d->read_usage != NULL && d->read_usage(gate_buf_str(&x->hold), &x->usage);
        if (!x->has_usage)
            x->text_bytes =
                d->text_bytes != NULL ? d->text_bytes(gate_buf_str(&x->hold)) : x->hold.len;
        commit_answer(x, (int64_t)x->hold.len);
        exchange_write(x, gate_buf_str(&x->hold));
    }
    exchange_answered(x);
}

static void on_attempt_done(void *ctx)
{
    struct gate_exchange *x = ctx;
    if (x->mode == ANSWER_JSON && x->kind == GATE_USAGE_SEARCH) {
        exchange_search_done(x);
    } else if (x->mode == ANSWER_JSON) {
        json_done(x);
    } else if (x->begun && (x->stream.seen & GATE_EVENT_ERROR)) {
        gate_stream_end(&x->stream);
        exchange_told(x);
    } else if (gate_stream_end(&x->stream)) {
        commit_answer(x, -1);
        exchange_answered(x);
    } else {
        fail_answer(x, GATE_VERDICT_TRUNCATED, "upstream_truncated",
                    "the stream ended before the answer was finished");
    }
}

/* ---- keepalive comments while a stream client waits */

static void on_keepalive(struct gate_timer *timer)
{
    struct gate_exchange *x =
        (struct gate_exchange *)((char *)timer - offsetof(struct gate_exchange, keepalive));
    uint64_t now = x->in.env->timers->now_ms;
    uint32_t every = exchange_target(x)->clocks.keepalive_ms;
    uint64_t due = x->last_write_ms + every;
    if (now < due) {
        gate_timer_arm(x->in.env->timers, &x->keepalive, due - now);
        return;
    }
    if (x->mode != ANSWER_JSON && gate_stream_at_boundary(&x->stream) &&
        x->in.ops->backlog(x->in.client) == 0) {
        if (!x->committed)
            exchange_commit(x, 200, GATE_STR("text/event-stream"), -1);
        exchange_write(x, GATE_STR(": keepalive\n\n"));
        x->in.ops->flush(x->in.client);
    }
    gate_timer_arm(x->in.env->timers, &x->keepalive, every);
}

void exchange_start_keepalive(struct gate_exchange *x)
{
    uint32_t every = exchange_target(x)->clocks.keepalive_ms;
    if (!x->facts.stream || every == 0 || gate_timer_is_armed(&x->keepalive))
        return;
    x->keepalive.cb = on_keepalive;
    x->last_write_ms = x->in.env->timers->now_ms;
    gate_timer_arm(x->in.env->timers, &x->keepalive, every);
}

const struct gate_attempt_events exchange_attempt_events = {
    .on_head = on_attempt_head,
    .on_data = on_attempt_data,
    .on_done = on_attempt_done,
    .on_failure = exchange_failed,
};
