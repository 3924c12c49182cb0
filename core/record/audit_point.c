/* Points of series in storage. A point is one record: format, sums, the fives of an hour, and both
 * latencies as pairs of a gap and a count, so that buckets that are empty take no room. */
#include "record/audit_internal.h"

enum { FORMAT = 1, MAX_VARINT = 10, SEVEN = 7, MINUTE_DIGITS = 8 };

/* ---------------------------------------------------------------- keys */

/* "series/m/qwen-oauth/0 01c9c380": a name holds no space, so the points of an account follow each
 * other and nobody else's are between. */
void gate_series_key(struct gate_audit_key *key, enum gate_series_step step,
                     struct gate_str account, uint32_t minute)
{
    key->len = (size_t)snprintf(key->bytes, sizeof key->bytes, "%s%c/", GATE_KEY_SERIES, step);
    gate_audit_key_name(key, account);
    key->len +=
        (size_t)snprintf(key->bytes + key->len, sizeof key->bytes - key->len, " %08x", minute);
}

bool gate_series_key_minute(struct gate_str key, uint32_t *minute)
{
    if (key.len <= MINUTE_DIGITS || key.ptr[key.len - MINUTE_DIGITS - 1] != ' ')
        return false;
    return gate_audit_minute_read(
        (struct gate_str){key.ptr + key.len - MINUTE_DIGITS, MINUTE_DIGITS}, minute);
}

/* ---------------------------------------------------------------- bytes */

struct out {
    char *bytes;
    size_t len;
};

static void put(struct out *o, uint64_t n)
{
    for (; n >> SEVEN != 0; n >>= SEVEN)
        o->bytes[o->len++] = (char)(n | 0x80);
    o->bytes[o->len++] = (char)n;
}

static void put_latency(struct out *o, const uint64_t counts[GATE_LATENCY_BUCKETS])
{
    uint64_t used = 0, gap = 0;
    for (int i = 0; i < GATE_LATENCY_BUCKETS; i++)
        used += counts[i] != 0;
    put(o, used);
    for (int i = 0; i < GATE_LATENCY_BUCKETS; i++, gap++) {
        if (counts[i] == 0)
            continue;
        put(o, gap);
        put(o, counts[i]);
        gap = UINT64_MAX; /* 0 for the next bucket */
    }
}

size_t gate_series_encode(const struct gate_series_stored *p, char out[GATE_SERIES_MAX_BYTES])
{
    struct out o = {.bytes = out};
    put(&o, FORMAT);
    for (int i = 0; i < GATE_SERIES_CLASSES; i++)
        put(&o, p->point.classes[i]);
    put(&o, p->point.prompt_tokens);
    put(&o, p->point.completion_tokens);
    put(&o, p->point.total_us);
    for (int i = 0; i < GATE_SERIES_FIVES; i++)
        put(&o, p->fives[i]);
    put_latency(&o, p->point.total);
    put_latency(&o, p->point.first);
    return o.len;
}

/* Damaged bytes read as zeroes, and bad says so. */
struct in {
    struct gate_str rest;
    bool bad;
};

static uint64_t take(struct in *in)
{
    uint64_t n = 0;
    for (size_t i = 0; i < in->rest.len && i < MAX_VARINT; i++) {
        unsigned char c = (unsigned char)in->rest.ptr[i];
        n |= (uint64_t)(c & 0x7f) << (SEVEN * i);
        if ((c & 0x80) != 0)
            continue;
        in->rest = (struct gate_str){in->rest.ptr + i + 1, in->rest.len - i - 1};
        return n;
    }
    in->bad = true;
    in->rest.len = 0;
    return 0;
}

static void take_latency(struct in *in, uint64_t counts[GATE_LATENCY_BUCKETS])
{
    uint64_t used = take(in), at = 0;
    for (uint64_t i = 0; i < used && !in->bad; i++, at++) {
        uint64_t gap = take(in);
        if (gap >= GATE_LATENCY_BUCKETS || at + gap >= GATE_LATENCY_BUCKETS) {
            in->bad = true;
            return;
        }
        at += gap;
        counts[at] = take(in);
    }
}

bool gate_series_decode(struct gate_str bytes, struct gate_series_stored *out)
{
    struct in in = {.rest = bytes};
    memset(out, 0, sizeof *out);
    in.bad = take(&in) != FORMAT;
    for (int i = 0; i < GATE_SERIES_CLASSES; i++)
        out->point.classes[i] = take(&in);
    out->point.prompt_tokens = take(&in);
    out->point.completion_tokens = take(&in);
    out->point.total_us = take(&in);
    for (int i = 0; i < GATE_SERIES_FIVES; i++)
        out->fives[i] = (uint32_t)take(&in);
    take_latency(&in, out->point.total);
    take_latency(&in, out->point.first);
    if (!in.bad && in.rest.len == 0)
        return true;
    memset(out, 0, sizeof *out);
    return false;
}

/* ---------------------------------------------------------------- sums */

void gate_series_sum(struct gate_series_point *to, const struct gate_series_point *from)
{
    for (int i = 0; i < GATE_SERIES_CLASSES; i++)
        to->classes[i] += from->classes[i];
    to->prompt_tokens += from->prompt_tokens;
    to->completion_tokens += from->completion_tokens;
    to->total_us += from->total_us;
    for (int i = 0; i < GATE_LATENCY_BUCKETS; i++) {
        to->total[i] += from->total[i];
        to->first[i] += from->first[i];
    }
}

enum gate_status gate_series_get(struct gate_storage *s, enum gate_series_step step,
                                 struct gate_str account, uint32_t minute,
                                 struct gate_series_stored *out)
{
    struct gate_audit_key key;
    struct gate_record record = {0};
    gate_series_key(&key, step, account, minute);
    enum gate_status status = s->ops->get(s->handle, gate_audit_key_str(&key), &record, NULL);
    if (status != GATE_OK) {
        memset(out, 0, sizeof *out);
        return status;
    }
    bool good = gate_series_decode(record.value, out);
    s->ops->record_release(s->handle, &record);
    return good ? GATE_OK : GATE_ENOTFOUND;
}
