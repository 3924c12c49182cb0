/*
 * stream: what happens to the bytes of one streamed answer between upstream and client: cut into
 * events, looked at in the dialect's terms, filtered, sent on. Bytes that need no change are passed
 * as they are. Used by exchange.
 */
#ifndef GATE_REQUEST_STREAM_H
#define GATE_REQUEST_STREAM_H

#include "base/sse.h"
#include "request/env.h"

enum {
    GATE_STREAM_MAX_EVENT = 1 << 20,
    GATE_STREAM_MAX_HELD = 64 * 1024, /* bytes before the first content that are held back */
};

struct gate_stream {
    struct gate_sse sse;
    struct gate_env *env;
    const struct gate_dialect_ops *dialect;
    const struct gate_filter_ops *filter; /* NULL: none */
    void *filter_state;
    struct gate_timer timer;
    void (*write)(void *ctx, struct gate_str bytes); /* copies */
    void (*flush)(void *ctx);
    void *ctx;
    struct gate_str run;   /* passed bytes of the chunk at hand that are not written yet */
    struct gate_str chunk; /* the chunk at hand */
    struct gate_buf
        held; /* what came before the first content: a failure may still take its place */
    struct gate_buf refused; /* data of an error event that is not sent on */
    struct gate_buf told;    /* data of one that was sent on: the client knows */
    unsigned seen;           /* enum gate_event_flags of all events so far */
    bool strip_usage;        /* the client did not ask for the event that only reports usage */
    bool has_usage;
    struct gate_usage usage;
    uint64_t text_bytes; /* of content, for an estimate where no usage comes */
    bool released;       /* content has come: everything is sent on at once */
    bool ended;          /* end was called: filters have said their last */
    bool failed;         /* `refused` holds an error: nothing more is sent on */
};

/* strip_usage: see gate_attempt_asked_usage. write and flush are called from feed, end and the
 * filter's timer. */
void gate_stream_open(struct gate_stream *s, struct gate_env *env,
                      const struct gate_instance *instance, bool strip_usage,
                      void (*write)(void *ctx, struct gate_str bytes), void (*flush)(void *ctx),
                      void *ctx);
/* Feeds upstream bytes. What precedes the first content (a role, an empty prelude) is held back
 * until it comes, so that an error which comes instead can still be answered with a status or by
 * another target. False: the stream reports an error that the client would not recognise as one, or
 * any error before the first content; see s->refused. */
bool gate_stream_feed(struct gate_stream *s, struct gate_str bytes);
/* No more bytes. Sends on what filters hold back (once; later calls only answer). True: the answer
 * is complete by its own meaning: it has a finish, or a terminal event behind some content. */
bool gate_stream_end(struct gate_stream *s);
/* Frees. Sends nothing. A zeroed stream is fine. */
void gate_stream_close(struct gate_stream *s);
/* True between two events: a comment may be put in here. */
bool gate_stream_at_boundary(const struct gate_stream *s);

#endif
