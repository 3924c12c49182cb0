#include "base/buf.h"
#include <assert.h>
#include <stdlib.h>

enum { FIRST_CAP = 64 };

__attribute__((noreturn)) static void out_of_memory(void)
{
    fputs("llm-gate: out of memory\n", stderr);
    abort();
}

void *gate_alloc(size_t n)
{
    void *p = malloc(n > 0 ? n : 1);
    if (p == NULL)
        out_of_memory();
    return p;
}

void *gate_calloc(size_t count, size_t n)
{
    void *p = calloc(count > 0 ? count : 1, n > 0 ? n : 1);
    if (p == NULL)
        out_of_memory();
    return p;
}

void *gate_realloc(void *p, size_t n)
{
    void *moved = realloc(p, n > 0 ? n : 1);
    if (moved == NULL)
        out_of_memory();
    return moved;
}

char *gate_strdup(struct gate_str s)
{
    char *copy = gate_alloc(s.len + 1);
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

void gate_wipe(void *bytes, size_t len)
{
    if (len > 0)
        explicit_bzero(bytes, len);
}

void gate_buf_init(struct gate_buf *b, size_t max)
{
    *b = (struct gate_buf){.max = max};
}

void gate_buf_finish(struct gate_buf *b)
{
    free(b->ptr);
    gate_buf_init(b, b->max);
}

void gate_buf_wipe(struct gate_buf *b)
{
    gate_wipe(b->ptr, b->cap);
    gate_buf_finish(b);
}

/* Makes cap at least `need`, which the caller has held against max. Doubling keeps appending
 * linear; near the cap the allocation is cut to what can be used. */
static void grow(struct gate_buf *b, size_t need)
{
    if (need <= b->cap)
        return;
    size_t cap = b->cap > 0 ? b->cap : FIRST_CAP;
    while (cap < need)
        cap = cap <= SIZE_MAX / 2 ? cap * 2 : need;
    if (cap > b->max)
        cap = need > b->max ? need : b->max;
    b->ptr = gate_realloc(b->ptr, cap);
    b->cap = cap;
}

char *gate_buf_reserve(struct gate_buf *b, size_t n)
{
    if (n > b->max - b->len)
        return NULL;
    /* The pointer must be usable even for n == 0 on an empty buffer. */
    grow(b, b->len + n > 0 ? b->len + n : 1);
    return b->ptr + b->len;
}

bool gate_buf_append(struct gate_buf *b, struct gate_str bytes)
{
    if (bytes.len == 0)
        return true;
    char *to = gate_buf_reserve(b, bytes.len);
    if (to == NULL)
        return false;
    memcpy(to, bytes.ptr, bytes.len);
    b->len += bytes.len;
    return true;
}

bool gate_buf_append_byte(struct gate_buf *b, char c)
{
    return gate_buf_append(b, (struct gate_str){&c, 1});
}

bool gate_buf_printf(struct gate_buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = b->cap - b->len;
    int n = vsnprintf(room > 0 ? b->ptr + b->len : NULL, room, format, args);
    bool fits = n >= 0 && (size_t)n <= b->max - b->len;
    if (fits && (size_t)n >= room) {
        /* One byte more than max allows is allocated: vsnprintf ends its text with a NUL. */
        grow(b, b->len + (size_t)n + 1);
        vsnprintf(b->ptr + b->len, (size_t)n + 1, format, again);
    }
    if (fits)
        b->len += (size_t)n;
    va_end(again);
    va_end(args);
    return fits;
}

void gate_buf_consume(struct gate_buf *b, size_t n)
{
    assert(n <= b->len);
    b->len -= n;
    if (b->len > 0 && n > 0)
        memmove(b->ptr, b->ptr + n, b->len);
}

static void append_or_drop(void *ctx, struct gate_str bytes)
{
    gate_buf_append(ctx, bytes);
}

struct gate_writer gate_buf_writer(struct gate_buf *b)
{
    return (struct gate_writer){b, append_or_drop};
}
