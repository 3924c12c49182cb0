/*
 * sse: cuts a byte stream into server-sent events however it arrives. Bounded; copies nothing that
 * arrives whole. Used by request/stream.c, one framer for each upstream stream. Single-threaded.
 *
 * The raw bytes of all events, in order, followed by the rest, are exactly the bytes that were fed:
 * a filter that passes every event forwards the stream byte for byte. Lines end with LF, CRLF or
 * CR, mixed freely. A CR at the end of one chunk ends its line at once; an LF that opens the next
 * chunk then belongs to the raw bytes of the next event. A byte order mark at the start is skipped
 * when parsing and kept in raw.
 */
#ifndef GATE_BASE_SSE_H
#define GATE_BASE_SSE_H

#include "base/buf.h"

struct gate_sse {
    struct gate_buf carry;  /* the unfinished event at the end of the last chunk */
    struct gate_buf joined; /* data of an event with several data lines */
    bool at_line_start;     /* the last byte searched ended a line */
    bool skip_lf;           /* the last byte was CR: an LF now belongs to the same line end */
    bool started;           /* past a possible byte order mark */
    bool overflow;          /* the current event is longer than max: it is handed out unparsed */
};

typedef void (*gate_sse_cb)(void *ctx, const struct gate_event *event);

/* max_event: bytes of one event, and of its joined data, that are parsed. A longer event is not an
 * error: its bytes are delivered in pieces with has_data = false and nothing parsed, so that they
 * can be passed on verbatim. */
void gate_sse_init(struct gate_sse *s, size_t max_event);
void gate_sse_finish(struct gate_sse *s);

/* Feeds bytes; cb is called for each complete event, with views that are valid during cb only. cb
 * must neither feed nor finish s. */
void gate_sse_feed(struct gate_sse *s, struct gate_str bytes, gate_sse_cb cb, void *ctx);

/* The bytes behind the last complete event, at the end of the stream. Valid until finish. */
struct gate_str gate_sse_rest(const struct gate_sse *s);

/* Parses one complete event's raw bytes (for tests and for whoever kept an event). A byte order
 * mark at their start is skipped. joined receives the data of several data lines; when they do not
 * fit its cap, has_data is false. */
void gate_sse_parse(struct gate_str raw, struct gate_buf *joined, struct gate_event *event);

#endif
