#include "record.h"

#include <stdlib.h>

void rocks_put_u64(char *out, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (char)(v >> (8 * i));
}

uint64_t rocks_get_u64(const char *in)
{
    uint64_t v = 0;

    for (int i = 7; i >= 0; i--)
        v = v << 8 | (unsigned char)in[i];
    return v;
}

void *rocks_alloc(size_t n)
{
    void *p = malloc(n > 0 ? n : 1);

    if (p == NULL)
        abort();
    return p;
}

uint64_t rocks_expiry(uint64_t now_ms, uint64_t ttl_ms)
{
    if (ttl_ms == 0)
        return 0;
    return ttl_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + ttl_ms;
}

/* ---------------------------------------------------------------- bytes */

bool rocks_record_decode(struct gate_str bytes, struct rocks_record *out)
{
    if (bytes.len < ROCKS_HEADER)
        return false;
    *out = (struct rocks_record){
        .format = (enum rocks_format)(unsigned char)bytes.ptr[0],
        .version = rocks_get_u64(bytes.ptr + 1),
        .expires_ms = rocks_get_u64(bytes.ptr + 9),
    };
    switch (out->format) {
    case ROCKS_RECORD:
        out->value = (struct gate_str){bytes.ptr + ROCKS_HEADER, bytes.len - ROCKS_HEADER};
        return true;
    case ROCKS_COUNTER:
        if (bytes.len != ROCKS_COUNTER_BYTES)
            return false;
        out->number = (int64_t)rocks_get_u64(bytes.ptr + ROCKS_HEADER);
        return true;
    case ROCKS_ADDITION:
        if (bytes.len != ROCKS_ADDITION_BYTES)
            return false;
        out->number = (int64_t)rocks_get_u64(bytes.ptr + ROCKS_HEADER);
        out->at_ms = rocks_get_u64(bytes.ptr + ROCKS_HEADER + 8);
        return true;
    }
    return false;
}

size_t rocks_record_encode(const struct rocks_record *r, char out[ROCKS_ADDITION_BYTES])
{
    out[0] = (char)r->format;
    rocks_put_u64(out + 1, r->version);
    rocks_put_u64(out + 9, r->expires_ms);
    if (r->format == ROCKS_RECORD)
        return ROCKS_HEADER;
    rocks_put_u64(out + ROCKS_HEADER, (uint64_t)r->number);
    if (r->format == ROCKS_COUNTER)
        return ROCKS_COUNTER_BYTES;
    rocks_put_u64(out + ROCKS_HEADER + 8, r->at_ms);
    return ROCKS_ADDITION_BYTES;
}

/* ---------------------------------------------------------------- adding */

/* Only the text that printing the number gives back: what else looks like a number ("007") is the
 * caller's own value and stays one. */
static bool number_of_text(struct gate_str text, int64_t *out)
{
    const bool negative = text.len > 0 && text.ptr[0] == '-';
    const uint64_t max = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    size_t at = negative ? 1 : 0;
    uint64_t v = 0;

    if (at == text.len || text.len > ROCKS_NUMBER_MAX)
        return false;
    if (text.ptr[at] == '0' && text.len > 1)
        return false;
    for (; at < text.len; at++) {
        const unsigned digit = (unsigned)(unsigned char)text.ptr[at] - '0';

        if (digit > 9 || v > (max - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = (int64_t)(negative ? 0 - v : v);
    return true;
}

bool rocks_record_number(const struct rocks_record *r, int64_t *out)
{
    if (r->format == ROCKS_RECORD)
        return number_of_text(r->value, out);
    *out = r->number;
    return true;
}

static uint64_t later_expiry(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return 0;
    return a > b ? a : b;
}

void rocks_record_add(struct rocks_record *r, bool *present, const struct rocks_record *addition)
{
    int64_t sum = 0;

    /* A life only grows by additions, whatever is stored: so two of them can be put together before
     * what is stored is known (partial_merge). */
    if (!*present || !rocks_alive(r->expires_ms, addition->at_ms)) {
        *r = *addition;
        r->format = ROCKS_COUNTER;
        *present = true;
        return;
    }
    r->expires_ms = later_expiry(r->expires_ms, addition->expires_ms);
    if (!rocks_record_number(r, &sum))
        return;
    r->format = ROCKS_COUNTER;
    r->number = (int64_t)((uint64_t)sum + (uint64_t)addition->number);
    r->version = addition->version;
}

/* ---------------------------------------------------------------- the merge operator */

static char *result(const char *bytes, size_t n, size_t *len)
{
    char *copy = rocks_alloc(n);

    if (n > 0)
        memcpy(copy, bytes, n);
    *len = n;
    return copy;
}

/* A damaged operand: RocksDB reports corruption to whoever reads the key. */
static char *failure(unsigned char *success, size_t *len)
{
    *success = 0;
    return result(NULL, 0, len);
}

/* A record that is no number: its value stays. */
static char *keep_value(const struct rocks_record *r, size_t *len)
{
    char *bytes = rocks_alloc(ROCKS_ADDITION_BYTES + r->value.len);

    *len = rocks_record_encode(r, bytes);
    if (r->value.len > 0)
        memcpy(bytes + *len, r->value.ptr, r->value.len);
    *len += r->value.len;
    return bytes;
}

static char *full_merge(void *state, const char *key, size_t key_len, const char *existing,
                        size_t existing_len, const char *const *operands, const size_t *lens,
                        int count, unsigned char *success, size_t *new_len)
{
    struct rocks_record r = {0}, addition;
    bool present = existing != NULL;
    char bytes[ROCKS_ADDITION_BYTES];

    (void)state;
    (void)key;
    (void)key_len;
    *success = 1;
    /* What cannot be read is kept as it is: reading the key reports it. */
    if (present && !rocks_record_decode((struct gate_str){existing, existing_len}, &r))
        return result(existing, existing_len, new_len);
    for (int i = 0; i < count; i++) {
        if (!rocks_record_decode((struct gate_str){operands[i], lens[i]}, &addition) ||
            addition.format != ROCKS_ADDITION)
            return failure(success, new_len);
        rocks_record_add(&r, &present, &addition);
    }
    if (r.format == ROCKS_RECORD)
        return keep_value(&r, new_len);
    return result(bytes, rocks_record_encode(&r, bytes), new_len);
}

/* Two additions become one when the first still counts at the time of the second, whatever is
 * stored below them. */
static char *partial_merge(void *state, const char *key, size_t key_len,
                           const char *const *operands, const size_t *lens, int count,
                           unsigned char *success, size_t *new_len)
{
    struct rocks_record all = {0}, addition;
    char bytes[ROCKS_ADDITION_BYTES];

    (void)state;
    (void)key;
    (void)key_len;
    *success = 1;
    for (int i = 0; i < count; i++) {
        if (!rocks_record_decode((struct gate_str){operands[i], lens[i]}, &addition) ||
            addition.format != ROCKS_ADDITION)
            return failure(success, new_len);
        if (i == 0) {
            all = addition;
            continue;
        }
        if (!rocks_alive(all.expires_ms, addition.at_ms))
            return failure(success, new_len);
        all.number = (int64_t)((uint64_t)all.number + (uint64_t)addition.number);
        all.version = addition.version;
        all.expires_ms = later_expiry(all.expires_ms, addition.expires_ms);
    }
    return result(bytes, rocks_record_encode(&all, bytes), new_len);
}

static void nothing(void *state)
{
    (void)state;
}

/* Stored in the database's own files: it must never change. */
static const char *operator_name(void *state)
{
    (void)state;
    return "llm-gate.add.1";
}

rocksdb_mergeoperator_t *rocks_merge_operator(void)
{
    return rocksdb_mergeoperator_create(NULL, nothing, full_merge, partial_merge, NULL,
                                        operator_name);
}
