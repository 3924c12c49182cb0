/* Fuzzes the filter behind the framer: whatever a stream holds, and however it is cut, the same
 * bytes come out; nothing stays behind; a stream that is not proven cumulative loses nothing. */
#include "../dialect_openai_chat/inspect.h"
#include "base/json.h"
#include "base/sse.h"
#include <assert.h>
#include <stdlib.h>

extern const struct gate_plugin gate_plugin;

enum { MAX_STREAM = 1 << 18 };

static const struct gate_host services = {
    .size = sizeof(struct gate_host),
    .json_decode = gate_json_decode,
    .json_encode = gate_json_encode,
};

struct run {
    const struct gate_filter_ops *ops;
    void *state;
    struct gate_buf out;
    uint32_t timer_ms;
    bool noted; /* the filter is told what the dialect says of each event */
};

static void emit(void *ctx, struct gate_str events)
{
    struct run *r = ctx;
    assert(gate_buf_append(&r->out, events));
}

static void set_timer(void *ctx, uint32_t ms)
{
    struct run *r = ctx;
    r->timer_ms = ms;
}

static void on_event(void *ctx, const struct gate_event *event)
{
    struct run *r = ctx;
    struct gate_emitter out = {sizeof out, r, emit, set_timer};
    struct gate_event noted = *event;
    size_t text_bytes;

    if (r->noted && event->has_data)
        noted.flags = openai_chat_read_event(event, &text_bytes);
    if (r->ops->on_event(r->state, &noted, &out) == GATE_FILTER_PASS)
        assert(gate_buf_append(&r->out, event->raw));
}

/* step 0: in one piece. fire: the timer runs out behind every piece. */
static struct gate_buf run(const char *mode, struct gate_str stream, size_t step, bool fire,
                           bool noted)
{
    struct gate_value values[4] = {
        {.string = gate_str_of(mode)}, {.number = 150}, {.number = 8}, {.number = 4096}};
    struct run r = {.ops = gate_plugin.ops, .noted = noted};
    struct gate_emitter out = {sizeof out, &r, emit, set_timer};
    struct gate_sse sse;
    void *instance;

    gate_plugin.init(&services, NULL);
    if (r.ops->instance_create(values, &instance, NULL) != GATE_OK)
        abort();
    r.state = r.ops->open(instance, GATE_STR("openai_chat"));
    /* Cut text is encoded anew, with escapes that the stream may not have had. */
    gate_buf_init(&r.out, 8 * MAX_STREAM);
    gate_sse_init(&sse, MAX_STREAM);
    for (size_t at = 0; at < stream.len;) {
        size_t n = step == 0 || step > stream.len - at ? stream.len - at : step;
        gate_sse_feed(&sse, (struct gate_str){stream.ptr + at, n}, on_event, &r);
        at += n;
        if (fire && r.timer_ms > 0) {
            r.timer_ms = 0;
            r.ops->on_timer(r.state, &out);
            assert(r.timer_ms == 0);
        }
    }
    r.ops->on_end(r.state, GATE_END_COMPLETE, &out);
    assert(r.timer_ms == 0);
    assert(gate_buf_append(&r.out, gate_sse_rest(&sse)));
    gate_sse_finish(&sse);
    r.ops->close(r.state);
    r.ops->instance_destroy(instance);
    return r.out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > MAX_STREAM)
        return 0;
    struct gate_str stream = {(const char *)data + 1, size - 1};
    const char *mode = data[0] & 1 ? "exact" : "auto";
    size_t step = (size_t)(data[0] >> 1) + 1;
    struct gate_buf whole = run(mode, stream, 0, false, false);
    struct gate_buf cut = run(mode, stream, step, false, true);
    struct gate_buf fired = run("auto", stream, step, true, true);
    struct gate_buf unnoted = run("auto", stream, step, true, false);

    /* The LF of a pair that was cut belongs to the next event, so a dropped event differs by it. */
    if (memchr(stream.ptr, '\r', stream.len) == NULL)
        assert(gate_str_eq(gate_buf_str(&whole), gate_buf_str(&cut)));
    if (memmem(stream.ptr, stream.len, "choices", 7) == NULL) {
        assert(gate_str_eq(gate_buf_str(&whole), stream));
        assert(gate_str_eq(gate_buf_str(&fired), stream));
    }
    assert(gate_str_eq(gate_buf_str(&fired), gate_buf_str(&unnoted)));
    gate_buf_finish(&unnoted);
    gate_buf_finish(&whole);
    gate_buf_finish(&cut);
    gate_buf_finish(&fired);
    return 0;
}
