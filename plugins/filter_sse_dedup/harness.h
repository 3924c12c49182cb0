/*
 * harness: drives the filter in tests the way the gateway does: framer, dialect, filter, output. A
 * second filter, the twin, gets the same events without what the dialect says of them, and must do
 * the same with each of them. Test code.
 */
#ifndef DEDUP_HARNESS_H
#define DEDUP_HARNESS_H

#include "../../tests/unit/recordings.h"
#include "base/sse.h"

extern const struct gate_plugin gate_plugin;

/* One filter, and what it made of the newest event. */
struct harness_side {
    void *state;          /* NULL: the filter wants nothing of this stream */
    struct gate_buf sent; /* by emit, in the newest call */
    uint32_t timer_ms;    /* 0: not armed */
    size_t timer_sets;    /* calls of set_timer */
    size_t emitted;       /* calls of emit */
};

/* One stream through one filter, and its twin. */
struct harness {
    void *instance;
    struct harness_side side, twin;
    struct gate_sse sse;
    struct gate_buf out; /* what the client gets */
    size_t events;       /* fed */
    size_t plain;        /* of them: with TEXT_ONLY or REASONING_ONLY */
};

/* Options as mode, hold_ms, hold_events, hold_bytes. */
struct harness_options {
    const char *mode;
    double hold_ms, hold_events, hold_bytes;
};
#define HARNESS_AUTO ((struct harness_options){"auto", 150, 64, 262144})

enum gate_status harness_create(struct harness_options options, void **instance);
void harness_open(struct harness *h, struct harness_options options);
void harness_feed(struct harness *h, struct gate_str bytes);
void harness_fire(struct harness *h); /* the timer runs out; it must be armed */
void harness_end(struct harness *h);  /* on_end, then what no event closed */
void harness_close(struct harness *h);

/* Feeds one chat chunk; NULL text or finish: without it. channel is the member's name. */
void harness_feed_delta(struct harness *h, unsigned choice, const char *channel, const char *text,
                        const char *finish);
void harness_feed_text(struct harness *h, const char *text); /* content of choice 0 */
/* A tool call of choice 0 with index 0. */
void harness_feed_call(struct harness *h, const char *id, const char *name, const char *arguments);
/* Fails the test unless the digest of what came out so far is this. */
void harness_expect_digest(struct harness *h, const char *want);

/* Four deltas that repeat each other and prove it, the fourth with 24 characters or more; and the
 * whole text once more with its next word. */
#define HARNESS_FOUR "one", "one two", "one two three", "one two three four five"
#define HARNESS_PROVEN HARNESS_FOUR, "one two three four five six"

/* A whole stream, cut: 0 whole, 1 each byte alone, else at random points. *out is the caller's.
 * Returns the number of plain events. */
size_t harness_run(struct harness_options options, struct gate_str input, unsigned cut,
                   struct gate_buf *out);

/* Text of a stream as its reader sees it: one line for each choice and channel, "0.content=...",
 * "0.reasoning=...", "0.tool.0=id|name|arguments", "0.finish=a,b", and "usages=n". Text is escaped
 * as JSON. */
char *harness_digest(struct gate_str stream);
/* The same from a stream's expected.json. */
char *harness_expected(const char *sse_path);

struct Suite;
void test_streams_add(struct Suite *suite); /* test_streams.c */
void test_bounds_add(struct Suite *suite);  /* test_bounds.c */

#endif
