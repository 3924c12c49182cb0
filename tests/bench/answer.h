/*
 * answer: an incremental reader of HTTP/1.1 answers, plain and chunked, that also finds the SSE
 * events in them. The load generator has one for each connection.
 */
#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ANSWER_MAX_HEAD = 2048,
    ANSWER_MAX_LINE = 1024, /* the rest of a longer SSE line is not kept */
};

enum answer_state {
    ANSWER_HEAD,
    ANSWER_LENGTH,     /* body of known length */
    ANSWER_CHUNK_SIZE, /* the line with the size of a chunk */
    ANSWER_CHUNK_DATA,
    ANSWER_CHUNK_END,  /* the line break behind a chunk */
    ANSWER_CHUNK_LAST, /* the line break behind the last chunk */
    ANSWER_DONE,
    ANSWER_BROKEN,
};

struct answer {
    enum answer_state state;
    int status;    /* valid once the head is complete */
    uint64_t left; /* bytes of the body or of the chunk still to come */
    size_t head_len, line_len;
    char head[ANSWER_MAX_HEAD];
    char line[ANSWER_MAX_LINE];
};

/* Called for each SSE line "data: ..." with what follows the prefix, NUL-terminated and lent. */
typedef void answer_event_cb(void *ctx, const char *data);

/* Makes ready for the next answer on a connection. */
void answer_reset(struct answer *a);
/* Takes n bytes and moves on. An answer of neither kind of length, or bytes behind its end, break
 * it: the load generator never pipelines. Returns the new state. */
enum answer_state answer_feed(struct answer *a, const char *p, size_t n, answer_event_cb *on_event,
                              void *ctx);

#endif
