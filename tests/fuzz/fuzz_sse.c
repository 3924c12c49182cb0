/* Fuzzes the event framer: however a stream is cut, the raw bytes of its events and the rest are
 * the bytes that were fed, and the events are those of the uncut stream. */
#include "base/sse.h"
#include <assert.h>
#include <stdlib.h>

enum { MAX_STREAM = 1 << 20, MAX_EVENT = 64 };

struct seen {
    struct gate_buf raw;    /* all bytes, in order */
    struct gate_buf parsed; /* data and type of each event */
};

static void on_event(void *ctx, const struct gate_event *event)
{
    struct seen *seen = ctx;

    assert(gate_buf_append(&seen->raw, event->raw));
    if (event->has_data) {
        assert(gate_buf_append(&seen->parsed, event->data));
        assert(gate_buf_append_byte(&seen->parsed, '\0'));
        assert(gate_buf_append(&seen->parsed, event->type));
        assert(gate_buf_append_byte(&seen->parsed, '\0'));
    }
}

/* step 0: in one piece. */
static void run(struct gate_str stream, size_t step, size_t max_event, struct seen *seen)
{
    struct gate_sse sse;

    gate_buf_init(&seen->raw, MAX_STREAM);
    gate_buf_init(&seen->parsed, 4 * MAX_STREAM);
    gate_sse_init(&sse, max_event);
    for (size_t at = 0; at < stream.len;) {
        size_t n = step == 0 || step > stream.len - at ? stream.len - at : step;
        char *piece = gate_alloc(n); /* of its exact size, so that ASan sees its end */

        memcpy(piece, stream.ptr + at, n);
        gate_sse_feed(&sse, (struct gate_str){piece, n}, on_event, seen);
        free(piece);
        at += n;
    }
    assert(gate_buf_append(&seen->raw, gate_sse_rest(&sse)));
    gate_sse_finish(&sse);
    assert(gate_str_eq(gate_buf_str(&seen->raw), stream));
}

static void finish(struct seen *seen)
{
    gate_buf_finish(&seen->raw);
    gate_buf_finish(&seen->parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gate_str stream;
    struct seen whole, cut, small;

    if (size < 2 || size > MAX_STREAM)
        return 0;
    stream = (struct gate_str){(const char *)data + 1, size - 1};
    run(stream, 0, MAX_STREAM, &whole);
    run(stream, data[0] % 16 + 1, MAX_STREAM, &cut);
    assert(gate_str_eq(gate_buf_str(&whole.parsed), gate_buf_str(&cut.parsed)));
    run(stream, data[0] / 16 + 1, MAX_EVENT, &small);
    finish(&whole);
    finish(&cut);
    finish(&small);
    return 0;
}
