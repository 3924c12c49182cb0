/* A recorded request as something to decide again. */
#include "live/simulate.h"

/* A conversation's hash is only known where a strategy asked for it; else each request is one. */
static uint64_t sticky_of(const struct gate_trace *t)
{
    uint64_t h = 0xcbf29ce484222325u;
    if (t->input.sticky != 0)
        return t->input.sticky;
    for (const char *p = t->id; *p != '\0'; p++)
        h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    return h;
}

static size_t read_headers(const struct gate_trace_input *in, struct gate_header *out)
{
    size_t count = 0;
    const char *at = in->headers, *end = at + in->headers_len;
    while (at < end && count < GATE_CONFIG_MAX_ROUTE_HEADERS) {
        out[count].name = (struct gate_str){at, strnlen(at, (size_t)(end - at))};
        at += out[count].name.len + 1;
        if (at >= end)
            break;
        out[count].value = (struct gate_str){at, strnlen(at, (size_t)(end - at))};
        at += out[count++].value.len + 1;
    }
    return count;
}

bool gate_simulate_of_trace(const struct gate_trace *t, struct gate_request_facts *facts,
                            struct gate_header *headers, struct gate_simulate_input *out)
{
    const struct gate_trace_input *in = &t->input;
    if (!in->there || !in->whole)
        return false;
    *facts = (struct gate_request_facts){
        .message_count = in->message_count,
        .tool_count = in->tool_count,
        .stream = t->stream,
        .has_images = in->has_images,
        .max_tokens = in->max_tokens,
    };
    *out = (struct gate_simulate_input){
        .request = {.model = gate_str_of(in->model),
                    .key_name = gate_str_of(t->key),
                    .path = gate_str_of(t->path),
                    .facts = facts,
                    .body_bytes = in->body_bytes,
                    .headers = headers,
                    .header_count = read_headers(in, headers)},
        .accounts = in->accounts,
        .now_ms = t->at_ms,
        .sticky = sticky_of(t),
    };
    return true;
}
