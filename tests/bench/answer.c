#include "answer.h"

#include <stdlib.h>
#include <string.h>

void answer_reset(struct answer *a)
{
    a->state = ANSWER_HEAD;
    a->status = 0;
    a->left = 0;
    a->head_len = a->line_len = 0;
}

/* Chooses the framing of the body; the head is NUL-terminated. */
static enum answer_state read_head(struct answer *a)
{
    const char *length = strcasestr(a->head, "\r\ncontent-length:");
    if (strncmp(a->head, "HTTP/1.1 ", 9) != 0)
        return ANSWER_BROKEN;
    a->status = (int)strtol(a->head + 9, NULL, 10);
    if (strcasestr(a->head, "\r\ntransfer-encoding: chunked"))
        return ANSWER_CHUNK_SIZE;
    if (!length)
        return ANSWER_BROKEN;
    a->left = strtoull(length + 17, NULL, 10);
    return a->left ? ANSWER_LENGTH : ANSWER_DONE;
}

static size_t take_head(struct answer *a, const char *p, size_t n)
{
    size_t had = a->head_len, room = sizeof(a->head) - 1 - had, m = n < room ? n : room;
    memcpy(a->head + had, p, m);
    a->head_len += m;
    a->head[a->head_len] = 0;
    char *end = memmem(a->head, a->head_len, "\r\n\r\n", 4);
    if (!end) {
        if (m == room)
            a->state = ANSWER_BROKEN;
        return m;
    }
    end[2] = 0;
    a->state = read_head(a);
    return (size_t)(end + 4 - a->head) - had;
}

static void take_payload(struct answer *a, const char *p, size_t n, answer_event_cb *on_event,
                         void *ctx)
{
    while (n) {
        const char *end = memchr(p, '\n', n);
        size_t m = end ? (size_t)(end - p) : n, room = sizeof(a->line) - 1 - a->line_len;
        size_t kept = m < room ? m : room;
        memcpy(a->line + a->line_len, p, kept);
        a->line_len += kept;
        if (!end)
            return;
        a->line[a->line_len] = 0;
        if (strncmp(a->line, "data: ", 6) == 0)
            on_event(ctx, a->line + 6);
        a->line_len = 0;
        p += m + 1;
        n -= m + 1;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void take_size(struct answer *a, char c)
{
    int digit = hex_digit(c);
    if (c == '\n')
        a->state = a->left ? ANSWER_CHUNK_DATA : ANSWER_CHUNK_LAST;
    else if (digit >= 0 && a->left < UINT32_MAX)
        a->left = a->left * 16 + (uint64_t)digit;
    else if (c != '\r')
        a->state = ANSWER_BROKEN;
}

enum answer_state answer_feed(struct answer *a, const char *p, size_t n, answer_event_cb *on_event,
                              void *ctx)
{
    while (n && a->state != ANSWER_BROKEN) {
        size_t m = 1;
        switch (a->state) {
        case ANSWER_HEAD:
            m = take_head(a, p, n);
            break;
        case ANSWER_LENGTH:
        case ANSWER_CHUNK_DATA:
            m = n < a->left ? n : (size_t)a->left;
            take_payload(a, p, m, on_event, ctx);
            a->left -= m;
            if (!a->left)
                a->state = a->state == ANSWER_LENGTH ? ANSWER_DONE : ANSWER_CHUNK_END;
            break;
        case ANSWER_CHUNK_SIZE:
            take_size(a, *p);
            break;
        case ANSWER_CHUNK_END:
            if (*p == '\n')
                a->state = ANSWER_CHUNK_SIZE;
            break;
        case ANSWER_CHUNK_LAST:
            if (*p == '\n')
                a->state = ANSWER_DONE;
            break;
        default: /* something behind the end */
            a->state = ANSWER_BROKEN;
            break;
        }
        p += m;
        n -= m;
    }
    return a->state;
}
