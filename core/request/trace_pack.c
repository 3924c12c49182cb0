#include "request/trace_pack.h"
#include "pool/strategy.h"
#include <stdlib.h>

enum {
    FORMAT = 1,
    NUMBER = 10, /* bytes of the longest one */
    /* Bytes that attempts leave for who was passed by. */
    ROOM_FOR_LOOKS = GATE_JOURNAL_MAX_RECORD / 4,
};

enum flags {
    STREAM = 1 << 0,
    ESTIMATED = 1 << 1,
    HAS_INPUT = 1 << 2,
    WHOLE = 1 << 3,
    IMAGES = 1 << 4,
    HAS_FIRST = 1 << 5,
};

enum attempt_flags { LAST_RESORT = 1 << 0, PROBE = 1 << 1 };

/* ---- writing: numbers in groups of seven bits, texts with their length */

struct writer {
    char *bytes;
    size_t len, cap;
    bool full; /* something did not fit */
};

static void put_number(struct writer *w, uint64_t n)
{
    if (w->cap - w->len < NUMBER) {
        w->full = true;
        return;
    }
    for (; n >= 0x80; n >>= 7)
        w->bytes[w->len++] = (char)(n | 0x80);
    w->bytes[w->len++] = (char)n;
}

static void put_text(struct writer *w, const char *text)
{
    size_t len = strlen(text);
    put_number(w, len);
    if (w->cap - w->len < len) {
        w->full = true;
        return;
    }
    memcpy(w->bytes + w->len, text, len);
    w->len += len;
}

static void put_input(struct writer *w, const struct gate_trace_input *in)
{
    put_number(w, in->message_count);
    put_number(w, in->tool_count);
    put_number(w, in->max_tokens);
    put_number(w, in->body_bytes);
}

static void put_attempt(struct writer *w, const struct gate_trace_attempt *a)
{
    put_text(w, a->id);
    put_text(w, a->alias);
    put_number(w, a->target);
    put_number(w, (a->last_resort ? LAST_RESORT : 0) | (a->probe ? PROBE : 0));
    put_number(w, a->verdict);
    put_number(w, a->action);
    put_number(w, (uint64_t)a->status);
    put_number(w, a->start_us);
    put_number(w, a->took_us);
    put_number(w, a->cooldown_ms);
    put_number(w, a->quota.requests_minute);
    put_number(w, a->quota.requests_day);
    put_number(w, a->quota.tokens_minute);
    put_number(w, a->quota.tokens_day);
    put_text(w, a->code);
    put_text(w, a->reason);
}

static void put_skip(struct writer *w, const struct gate_trace_skip *s, unsigned target)
{
    put_text(w, s->id);
    put_text(w, s->alias);
    put_number(w, target);
    put_number(w, s->skip);
    put_number(w, s->limit);
    put_number(w, s->until_ms);
}

/* Lists have a 1 before each element and a 0 at their end, so that they can end anywhere. False:
 * there was no room for the element that was begun at `before`; it is taken back. */
static bool keep_or_undo(struct writer *w, size_t before)
{
    if (!w->full)
        return true;
    w->len = before;
    w->full = false;
    return false;
}

static void put_attempts(struct writer *w, const struct gate_steps *s)
{
    size_t cap = w->cap;
    w->cap -= ROOM_FOR_LOOKS;
    for (size_t i = 0; i < s->attempt_count; i++) {
        size_t before = w->len;
        put_number(w, 1);
        put_attempt(w, &s->attempts[i]);
        if (!keep_or_undo(w, before))
            break;
    }
    w->cap = cap;
    put_number(w, 0);
}

static void put_looks(struct writer *w, const struct gate_steps *s)
{
    w->cap -= NUMBER; /* for the end */
    for (size_t i = 0; i < s->look_count; i++) {
        for (size_t k = 0; k < s->looks[i].count; k++) {
            size_t before = w->len;
            put_number(w, 1);
            put_skip(w, &s->looks[i].skipped[k], s->looks[i].target);
            if (!keep_or_undo(w, before)) {
                i = s->look_count - 1;
                break;
            }
        }
    }
    w->cap += NUMBER;
    put_number(w, 0);
}

size_t gate_trace_pack(const struct gate_trace *t, char out[GATE_JOURNAL_MAX_RECORD])
{
    struct writer w = {.bytes = out, .cap = GATE_JOURNAL_MAX_RECORD};
    const struct gate_trace_input *in = &t->input;
    out[w.len++] = FORMAT;
    put_number(&w, (t->stream ? STREAM : 0) | (t->usage_estimated ? ESTIMATED : 0) |
                       (in->there ? HAS_INPUT : 0) | (in->there && in->whole ? WHOLE : 0) |
                       (in->there && in->has_images ? IMAGES : 0) |
                       (t->first_us >= 0 ? HAS_FIRST : 0));
    put_text(&w, t->model);
    put_text(&w, t->target);
    put_text(&w, t->key);
    put_text(&w, t->path);
    put_text(&w, t->outcome);
    put_text(&w, t->provider);
    put_text(&w, t->stage);
    put_text(&w, t->reason);
    put_number(&w, t->kind);
    put_number(&w, t->generation);
    put_number(&w, (uint64_t)t->status);
    put_number(&w, t->total_us);
    put_number(&w, t->first_us >= 0 ? (uint64_t)t->first_us : 0);
    put_number(&w, t->bytes_in);
    put_number(&w, t->bytes_out);
    put_number(&w, t->usage.prompt);
    put_number(&w, t->usage.completion);
    put_number(&w, t->usage.cached);
    put_number(&w, t->steps.strategy);
    put_number(&w, t->steps.tokens_reserved);
    if (in->there)
        put_input(&w, in);
    put_attempts(&w, &t->steps);
    put_looks(&w, &t->steps);
    return w.len;
}

void gate_trace_record(const struct gate_trace *t, struct gate_journal_batch *journal)
{
    char bytes[GATE_JOURNAL_MAX_RECORD];
    size_t len = gate_trace_pack(t, bytes);
    gate_journal_add(journal, t->at_ms, gate_str_of(t->id), (struct gate_str){bytes, len});
}

/* ---- reading */

struct reader {
    const char *at, *end;
    bool damaged;
};

static uint64_t get_number(struct reader *r)
{
    uint64_t n = 0;
    for (unsigned shift = 0; r->at < r->end && shift < 64; shift += 7) {
        unsigned char byte = (unsigned char)*r->at++;
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return n;
    }
    r->damaged = true;
    return 0;
}

/* A number of an enum or a small field. */
static unsigned get_small(struct reader *r, unsigned count)
{
    uint64_t n = get_number(r);
    if (n < count)
        return (unsigned)n;
    r->damaged = true;
    return 0;
}

static struct gate_str get_view(struct reader *r)
{
    uint64_t len = get_number(r);
    if (len > (size_t)(r->end - r->at)) {
        r->damaged = true;
        return (struct gate_str){"", 0};
    }
    r->at += len;
    return (struct gate_str){r->at - len, len};
}

static void get_text(struct reader *r, char *out, size_t cap)
{
    struct gate_str text = get_view(r);
    if (text.len >= cap || memchr(text.ptr, '\0', text.len) != NULL) {
        r->damaged = true;
        text.len = 0;
    }
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
}

static void get_attempt(struct reader *r, struct gate_trace_attempt *a)
{
    memset(a, 0, sizeof *a);
    get_text(r, a->id, sizeof a->id);
    get_text(r, a->alias, sizeof a->alias);
    a->target = (uint8_t)get_small(r, UINT8_MAX + 1);
    unsigned flags = get_small(r, 4);
    a->last_resort = (flags & LAST_RESORT) != 0;
    a->probe = (flags & PROBE) != 0;
    a->verdict = (enum gate_verdict_kind)get_small(r, GATE_VERDICT_GARBAGE + 1);
    a->action = (enum gate_action)get_small(r, GATE_ACTIONS);
    a->status = (int)get_small(r, 1000);
    a->start_us = get_number(r);
    a->took_us = get_number(r);
    a->cooldown_ms = get_number(r);
    a->quota.requests_minute = get_number(r);
    a->quota.requests_day = get_number(r);
    a->quota.tokens_minute = get_number(r);
    a->quota.tokens_day = get_number(r);
    get_text(r, a->code, sizeof a->code);
    get_text(r, a->reason, sizeof a->reason);
}

static void get_attempts(struct reader *r, struct gate_steps *s)
{
    while (!r->damaged && get_small(r, 2) == 1 && s->attempt_count < GATE_TRACE_MAX_ATTEMPTS) {
        s->attempts = gate_realloc(s->attempts, (s->attempt_count + 1) * sizeof s->attempts[0]);
        get_attempt(r, &s->attempts[s->attempt_count++]);
    }
}

static void get_skip(struct reader *r, struct gate_trace_skip *s, uint8_t *target)
{
    memset(s, 0, sizeof *s);
    get_text(r, s->id, sizeof s->id);
    get_text(r, s->alias, sizeof s->alias);
    *target = (uint8_t)get_small(r, UINT8_MAX + 1);
    s->skip = (enum gate_skip)get_small(r, GATE_SKIP_NOT_SELECTED + 1);
    s->limit = (enum gate_limit_name)get_small(r, GATE_LIMIT_UPSTREAM + 1);
    s->until_ms = get_number(r);
}

/* Which look of a target it was is not kept: one look has those of one target. */
static void get_looks(struct reader *r, struct gate_steps *s)
{
    size_t room = 0;
    while (!r->damaged && get_small(r, 2) == 1) {
        struct gate_trace_skip skip;
        uint8_t target;
        get_skip(r, &skip, &target);
        struct gate_trace_look *l = s->look_count > 0 ? &s->looks[s->look_count - 1] : NULL;
        if (l == NULL || l->target != target) {
            s->looks = gate_realloc(s->looks, (s->look_count + 1) * sizeof s->looks[0]);
            l = &s->looks[s->look_count++];
            *l = (struct gate_trace_look){.target = target};
            room = 0;
        }
        if (l->count == room) {
            room = 2 * room + 8;
            l->skipped = gate_realloc(l->skipped, room * sizeof l->skipped[0]);
        }
        l->skipped[l->count++] = skip;
    }
}

static void get_input(struct reader *r, unsigned flags, struct gate_trace_input *in)
{
    in->there = (flags & HAS_INPUT) != 0;
    in->whole = (flags & WHOLE) != 0;
    in->has_images = (flags & IMAGES) != 0;
    if (!in->there)
        return;
    in->message_count = (uint32_t)get_number(r);
    in->tool_count = (uint32_t)get_number(r);
    in->max_tokens = get_number(r);
    in->body_bytes = get_number(r);
}

static void get_facts(struct reader *r, struct gate_trace *t)
{
    unsigned flags = get_small(r, HAS_FIRST << 1);
    t->stream = (flags & STREAM) != 0;
    t->usage_estimated = (flags & ESTIMATED) != 0;
    get_text(r, t->model, sizeof t->model);
    get_text(r, t->target, sizeof t->target);
    get_text(r, t->key, sizeof t->key);
    get_text(r, t->path, sizeof t->path);
    get_text(r, t->outcome, sizeof t->outcome);
    get_text(r, t->provider, sizeof t->provider);
    get_text(r, t->stage, sizeof t->stage);
    get_text(r, t->reason, sizeof t->reason);
    t->kind = (enum gate_usage_kind)get_small(r, GATE_USAGE_KINDS);
    t->generation = get_number(r);
    t->status = (int)get_small(r, 1000);
    t->total_us = get_number(r);
    uint64_t first = get_number(r);
    t->first_us = (flags & HAS_FIRST) != 0 && first <= INT64_MAX ? (int64_t)first : -1;
    t->bytes_in = get_number(r);
    t->bytes_out = get_number(r);
    t->usage.prompt = get_number(r);
    t->usage.completion = get_number(r);
    t->usage.cached = get_number(r);
    t->steps.strategy = (enum gate_strategy)get_small(r, GATE_STRATEGIES);
    t->steps.tokens_reserved = get_number(r);
    get_input(r, flags, &t->input);
}

struct gate_trace *gate_trace_unpack(const struct gate_journal_record *record)
{
    struct reader r = {record->bytes.ptr, record->bytes.ptr + record->bytes.len, false};
    if (record->bytes.len == 0 || *r.at++ != FORMAT)
        return NULL;
    struct gate_trace *t = gate_calloc(1, sizeof *t);
    t->at_ms = record->at_ms;
    snprintf(t->id, sizeof t->id, "%.*s", (int)record->name.len, record->name.ptr);
    get_facts(&r, t);
    get_attempts(&r, &t->steps);
    get_looks(&r, &t->steps);
    if (!r.damaged && r.at == r.end)
        return t;
    gate_trace_free(t);
    return NULL;
}
