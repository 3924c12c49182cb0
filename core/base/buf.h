/*
 * buf: a growing byte buffer with a cap that is given at construction. Used by everything that
 * collects bytes of unknown length. Not thread-safe. Growth beyond the cap fails and leaves the
 * buffer as it was; out of memory aborts.
 */
#ifndef GATE_BASE_BUF_H
#define GATE_BASE_BUF_H

#include "gate/plugin.h"

struct gate_buf {
    char *ptr;  /* owned; NULL until the first byte */
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated */
    size_t max; /* len never exceeds this */
};

/* An empty buffer that holds at most max bytes. Allocates nothing. */
void gate_buf_init(struct gate_buf *b, size_t max);
/* Frees the bytes; the buffer is empty and may be used again with the same cap. */
void gate_buf_finish(struct gate_buf *b);
/* Like gate_buf_finish for secrets: overwrites the bytes first. */
void gate_buf_wipe(struct gate_buf *b);

/* Makes room for n more bytes and returns where they go, or NULL when the cap forbids it. Raise len
 * afterwards. */
char *gate_buf_reserve(struct gate_buf *b, size_t n);
/* Appends a copy. False: the cap forbids it, nothing was appended. */
bool gate_buf_append(struct gate_buf *b, struct gate_str bytes);
bool gate_buf_append_byte(struct gate_buf *b, char c);
/* Appends formatted text. */
__attribute__((format(printf, 2, 3))) bool gate_buf_printf(struct gate_buf *b, const char *format,
                                                           ...);
/* Drops the first n bytes (n <= len) by moving the rest down. */
void gate_buf_consume(struct gate_buf *b, size_t n);

static inline struct gate_str gate_buf_str(const struct gate_buf *b)
{
    return (struct gate_str){b->ptr, b->len};
}

/* A gate_writer that appends to b; what the cap forbids is dropped and b->len stays. */
struct gate_writer gate_buf_writer(struct gate_buf *b);

/* malloc, calloc, realloc, strdup that abort when there is no memory. */
void *gate_alloc(size_t n);
void *gate_calloc(size_t count, size_t n);
void *gate_realloc(void *p, size_t n);
char *gate_strdup(struct gate_str s);

/* Overwrites secrets; not optimised away. */
void gate_wipe(void *bytes, size_t len);

#endif
