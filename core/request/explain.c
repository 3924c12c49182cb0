/* Why a request went where it went: for the ring of recent requests, and for clients that may ask
 * (x-gate-explain). */
#include "base/clock.h"
#include "base/utf8.h"
#include "request/exchange_internal.h"
#include <stdlib.h>

static void put_name(char *out, size_t cap, struct gate_str text)
{
    size_t len = text.len < cap - 1 ? text.len : cap - 1;
    if (len > 0)
        memcpy(out, text.ptr, len);
    out[len] = '\0';
}

/* ---- what the decision was made from */

static bool put_headers(const struct gate_exchange *x, struct gate_trace_input *in)
{
    size_t at = 0;
    for (size_t i = 0; i < x->in.header_count; i++) {
        const struct gate_header *h = &x->in.headers[i];
        if (at + h->name.len + h->value.len + 2 > sizeof in->headers)
            return false;
        put_name(in->headers + at, h->name.len + 1, h->name);
        at += h->name.len + 1;
        put_name(in->headers + at, h->value.len + 1, h->value);
        at += h->value.len + 1;
    }
    in->headers_len = (uint16_t)at;
    return true;
}

static void fill_input(const struct gate_exchange *x, const struct exchange_target *target,
                       struct gate_trace_input *in)
{
    const struct gate_request_facts *f = &x->facts;
    in->there = x->kind == GATE_USAGE_CHAT && x->model != NULL;
    in->accounts = NULL;
    if (!in->there)
        return;
    size_t len = strlen(x->model);
    in->message_count = f->message_count;
    in->tool_count = f->tool_count;
    in->has_images = f->has_images;
    in->max_tokens = f->max_tokens;
    in->body_bytes = x->in.body.len;
    in->sticky = x->sticky;
    in->turn =
        target != NULL ? atomic_load_explicit(&target->instance->turn, memory_order_relaxed) : 0;
    put_name(in->model, sizeof in->model, (struct gate_str){x->model, len});
    /* What a draft was asked says nothing of what runs. */
    in->whole = put_headers(x, in) && len < sizeof in->model && x->in.stage == NULL;
}

void exchange_fill_trace(const struct gate_exchange *x, uint64_t wall_ms, uint64_t total_us,
                         const char *outcome, struct gate_trace *t)
{
    static const struct gate_str nothing = {NULL, 0};
    const struct exchange_target *target = exchange_target(x);
    if (target == NULL && x->target_count > 0)
        target = &x->targets[x->target_count - 1]; /* all have failed */
    put_name(t->id, sizeof t->id, x->in.request_id);
    put_name(t->model, sizeof t->model, gate_str_of(x->model));
    put_name(t->target, sizeof t->target, target != NULL ? gate_str_of(target->model) : nothing);
    put_name(t->provider, sizeof t->provider,
             target != NULL ? gate_str_of(target->instance->name) : nothing);
    put_name(t->reason, sizeof t->reason,
             gate_str_of(x->reason == NULL && x->script_failed ? x->script->why : x->reason));
    put_name(t->key, sizeof t->key, x->in.key_name);
    put_name(t->path, sizeof t->path, x->in.path);
    put_name(t->outcome, sizeof t->outcome, gate_str_of(outcome));
    t->kind = x->kind;
    t->stream = x->facts.stream;
    t->status = x->status;
    t->total_us = total_us;
    t->at_ms = wall_ms - total_us / 1000;
    t->first_us = x->first_us;
    t->bytes_in = x->in.body.len;
    t->bytes_out = x->bytes_out;
    t->generation = gate_generation_number(x->script->generation);
    put_name(t->stage, sizeof t->stage,
             x->in.stage != NULL ? gate_str_of(x->in.stage->stage->id) : nothing);
    t->usage = x->usage;
    t->usage_estimated = !x->has_usage && x->kind == GATE_USAGE_CHAT;
    fill_input(x, target, &t->input);
}

/* ---- x-gate-explain */

enum { EXPLAIN_ROOM = 256 * 1024 /* bytes; a trace is bounded too */ };

/* The character of a valid sequence of n bytes, n > 1. */
static uint32_t decode(const char *p, size_t n)
{
    uint32_t c = (unsigned char)p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3f);
    return c;
}

/* Everything beyond ASCII as \uXXXX: a header has no other characters. */
static void put_ascii(struct gate_buf *out, struct gate_str text)
{
    for (size_t i = 0; i < text.len;) {
        size_t n = gate_utf8_length(text.ptr + i, text.len - i);
        uint32_t c = n == 0 ? 0xfffd : n > 1 ? decode(text.ptr + i, n) : 0;
        if (n == 1)
            gate_buf_append_byte(out, text.ptr[i]);
        else if (c < 0x10000)
            gate_buf_printf(out, "\\u%04x", c);
        else
            gate_buf_printf(out, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
        i += n > 0 ? n : 1;
    }
}

static void put_trace(const struct gate_trace *t, struct gate_buf *out)
{
    struct gate_buf json;
    out->len = 0;
    gate_buf_init(&json, EXPLAIN_ROOM);
    gate_trace_json(t, &json);
    put_ascii(out, gate_buf_str(&json));
    gate_buf_finish(&json);
}

void exchange_explain(const struct gate_exchange *x, bool header, struct gate_buf *out)
{
    struct gate_trace *t = gate_calloc(1, sizeof *t);
    exchange_fill_trace(x, gate_clock_wall_ms(), gate_clock_mono_us() - x->in.started_us,
                        x->outcome != NULL ? x->outcome : "success", t);
    t->steps = x->steps; /* lent */
    put_trace(t, out);
    if (header && out->len > EXCHANGE_EXPLAIN_HEADER) {
        /* The accounts that were passed by are most of it. */
        t->steps.look_count = 0;
        put_trace(t, out);
    }
    if (header && out->len > EXCHANGE_EXPLAIN_HEADER) {
        out->len = 0;
        gate_buf_printf(out, "{\"id\":\"%s\",", t->id);
        gate_trace_json_scripts(t, out);
        gate_buf_append(out, GATE_STR("\"truncated\":true}"));
    }
    free(t);
}

void exchange_explain_in_stream(struct gate_exchange *x)
{
    struct gate_buf why;
    gate_buf_init(&why, 6 * EXPLAIN_ROOM);
    exchange_explain(x, false, &why);
    exchange_write(x, GATE_STR(": x-gate-explain "));
    exchange_write(x, gate_buf_str(&why));
    exchange_write(x, GATE_STR("\n\n"));
    gate_buf_finish(&why);
}
