/* Chunks of a journal, and reading them. */
#include "record/journal_internal.h"
#include <stdlib.h>

enum {
    FORMAT = 1,
    HEAD = 1 + 3 * 8 + 4, /* bytes: format, first, high_ms, low_ms, count */
    ITEM = 8 + 4 + 1,     /* at_ms, lengths of bytes and name */
    SLICE_COUNT = 2500,   /* records that one call looks at: the store thread does nothing else */
    SLICE_CHUNKS = 1000,
};

/* ---- bytes: numbers are little-endian */

static void put_number(char *out, uint64_t n, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (char)(n >> 8 * i);
}

static uint64_t get_number(const char *at, size_t bytes)
{
    uint64_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n |= (uint64_t)(unsigned char)at[i] << 8 * i;
    return n;
}

struct gate_str gate_journal_key(uint64_t first, char *out)
{
    int len =
        snprintf(out, GATE_JOURNAL_KEY, "%s%016llx", GATE_KEY_REQUESTS, (unsigned long long)~first);
    return (struct gate_str){out, (size_t)len};
}

bool gate_journal_key_read(struct gate_str key, uint64_t *first)
{
    static const char digits[] = "0123456789abcdef";
    size_t prefix = strlen(GATE_KEY_REQUESTS);
    uint64_t n = 0;
    if (key.len != prefix + 16)
        return false;
    for (size_t i = prefix; i < key.len; i++) {
        const char *digit = memchr(digits, key.ptr[i], 16);
        if (digit == NULL)
            return false;
        n = n << 4 | (uint64_t)(digit - digits);
    }
    *first = ~n;
    return true;
}

struct gate_journal_chunk *gate_journal_chunk_create(uint64_t first, uint64_t high_ms)
{
    struct gate_journal_chunk *c = gate_calloc(1, sizeof *c);
    c->head = (struct gate_journal_head){first, high_ms, UINT64_MAX, 0};
    gate_buf_init(&c->bytes, GATE_JOURNAL_CHUNK_BYTES);
    c->bytes.len = gate_buf_reserve(&c->bytes, HEAD) != NULL ? HEAD : 0;
    return c;
}

void gate_journal_chunk_destroy(struct gate_journal_chunk *c)
{
    gate_buf_finish(&c->bytes);
    free(c);
}

bool gate_journal_chunk_add(struct gate_journal_chunk *c, uint64_t at_ms, struct gate_str name,
                            struct gate_str bytes)
{
    size_t len = ITEM + name.len + bytes.len;
    char *out = c->head.count < GATE_JOURNAL_CHUNK_COUNT ? gate_buf_reserve(&c->bytes, len) : NULL;
    if (out == NULL)
        return false;
    put_number(out, at_ms, 8);
    put_number(out + 8, bytes.len, 4);
    put_number(out + 12, name.len, 1);
    if (name.len > 0)
        memcpy(out + ITEM, name.ptr, name.len);
    memcpy(out + ITEM + name.len, bytes.ptr, bytes.len);
    c->bytes.len += len;
    c->head.count++;
    if (at_ms > c->head.high_ms)
        c->head.high_ms = at_ms;
    if (at_ms < c->head.low_ms)
        c->head.low_ms = at_ms;
    return true;
}

void gate_journal_chunk_close(struct gate_journal_chunk *c)
{
    char *out = c->bytes.ptr;
    out[0] = FORMAT;
    put_number(out + 1, c->head.first, 8);
    put_number(out + 9, c->head.high_ms, 8);
    put_number(out + 17, c->head.low_ms, 8);
    put_number(out + 25, c->head.count, 4);
}

bool gate_journal_head_read(struct gate_str bytes, struct gate_journal_head *head)
{
    if (bytes.len < HEAD || bytes.ptr[0] != FORMAT)
        return false;
    head->first = get_number(bytes.ptr + 1, 8);
    head->high_ms = get_number(bytes.ptr + 9, 8);
    head->low_ms = get_number(bytes.ptr + 17, 8);
    head->count = (uint32_t)get_number(bytes.ptr + 25, 4);
    return head->count > 0 && head->count <= GATE_JOURNAL_CHUNK_COUNT &&
           head->first <= UINT64_MAX - head->count;
}

/* ---- reading */

/* Below 0: the first one stands before the other. */
static int compare_names(uint64_t at_a, struct gate_str a, uint64_t at_b, struct gate_str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    if (at_a != at_b)
        return at_a > at_b ? -1 : 1;
    int order = len > 0 ? memcmp(b.ptr, a.ptr, len) : 0;
    return order != 0 ? order : a.len > b.len ? -1 : a.len < b.len;
}

static int compare(const struct gate_journal_record *a, const struct gate_journal_record *b)
{
    int order = compare_names(a->at_ms, a->name, b->at_ms, b->name);
    return order != 0 ? order : a->number > b->number ? -1 : a->number < b->number;
}

static bool is_full(const struct gate_journal_query *q)
{
    return q->count == q->most;
}

/* Whether it could be part of the answer. */
static bool may_be_found(const struct gate_journal_query *q, const struct gate_journal_record *r)
{
    return (q->before_ms == UINT64_MAX ||
            compare_names(q->before_ms, q->before_name, r->at_ms, r->name) < 0) &&
           (!is_full(q) || compare(r, &q->found[q->count - 1]) < 0);
}

static void release(const struct gate_journal_record *r)
{
    free((void *)r->bytes.ptr); /* the name lies behind them */
}

/* Puts a copy in its place; the last one falls out of a full answer. */
static void keep(struct gate_journal_query *q, const struct gate_journal_record *r)
{
    size_t at = q->count;
    while (at > 0 && compare(r, &q->found[at - 1]) < 0)
        at--;
    if (at > 0 && compare(r, &q->found[at - 1]) == 0)
        return; /* of a batch that was written although its commit seemed to fail */
    if (is_full(q))
        release(&q->found[--q->count]);
    memmove(&q->found[at + 1], &q->found[at], (q->count - at) * sizeof q->found[0]);
    char *copy = gate_alloc(r->bytes.len + r->name.len);
    memcpy(copy, r->bytes.ptr, r->bytes.len);
    memcpy(copy + r->bytes.len, r->name.ptr, r->name.len);
    q->found[at] = *r;
    q->found[at].bytes.ptr = copy;
    q->found[at].name.ptr = copy + r->bytes.len;
    q->count++;
}

/* Newest first, so that few are kept in vain. */
static void read_chunk(struct gate_journal_query *q, struct gate_str bytes,
                       const struct gate_journal_head *head)
{
    struct gate_journal_record records[GATE_JOURNAL_CHUNK_COUNT];
    size_t at = HEAD, count = 0;
    for (; count < head->count && bytes.len - at >= ITEM; count++) {
        const char *item = bytes.ptr + at;
        size_t len = get_number(item + 8, 4), name = get_number(item + 12, 1);
        if (len + name > bytes.len - at - ITEM)
            break; /* damaged from here on */
        records[count] = (struct gate_journal_record){
            get_number(item, 8),
            head->first + count,
            {item + ITEM, name},
            {item + ITEM + name, len},
        };
        at += ITEM + name + len;
    }
    while (count-- > 0) {
        const struct gate_journal_record *r = &records[count];
        if (r->bytes.len > 0 && may_be_found(q, r) && q->wanted(q->ctx, r))
            keep(q, r);
    }
}

/* True: what is older is older than all that was found. */
static bool is_complete(const struct gate_journal_query *q, const struct gate_journal_head *head)
{
    return is_full(q) && q->found[q->count - 1].at_ms > head->high_ms;
}

struct slice {
    struct gate_journal_query *q;
    size_t count, chunks;
    bool complete, paused;
};

static bool take_chunk(void *ctx, const struct gate_record *record)
{
    struct slice *slice = ctx;
    struct gate_journal_head head;
    if (slice->count >= SLICE_COUNT || slice->chunks >= SLICE_CHUNKS) {
        slice->paused = true;
        return false;
    }
    slice->chunks++;
    uint64_t first;
    if (!gate_journal_key_read(record->key, &first))
        return true;
    slice->q->below = first;
    if (!gate_journal_head_read(record->value, &head) || head.first != first)
        return true;
    slice->complete = is_complete(slice->q, &head);
    if (slice->complete)
        return false;
    if (head.low_ms <= slice->q->before_ms) {
        slice->count += head.count;
        read_chunk(slice->q, record->value, &head);
    }
    return true;
}

static void begin(const struct gate_journal *j, struct gate_journal_query *q)
{
    struct gate_journal_head head;
    q->begun = true;
    q->below = UINT64_MAX;
    q->count = 0;
    q->found = gate_calloc(q->most + 1, sizeof q->found[0]);
    for (const struct gate_journal_chunk *c = gate_journal_pending(j); c != NULL; c = c->next)
        if (gate_journal_head_read(gate_buf_str(&c->bytes), &head))
            read_chunk(q, gate_buf_str(&c->bytes), &head);
}

enum gate_status gate_journal_read(struct gate_journal *j, struct gate_storage *s,
                                   struct gate_journal_query *q, bool *more, struct gate_error *err)
{
    char from[GATE_JOURNAL_KEY], to[GATE_JOURNAL_KEY];
    struct slice slice = {.q = q};
    *more = false;
    if (!q->begun)
        begin(j, q);
    if (q->below == 0)
        return GATE_OK;
    struct gate_str end = gate_journal_key(0, to);
    to[end.len++] = '~'; /* behind the last key */
    enum gate_status status = s->ops->scan(s->handle, gate_journal_key(q->below - 1, from), end,
                                           SIZE_MAX, take_chunk, &slice, err);
    *more = status == GATE_OK && slice.paused && !slice.complete;
    return status;
}

void gate_journal_query_finish(struct gate_journal_query *q)
{
    for (size_t i = 0; i < q->count; i++)
        release(&q->found[i]);
    free(q->found);
    q->found = NULL;
    q->count = 0;
}
