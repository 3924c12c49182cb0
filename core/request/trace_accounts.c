/* What scripts and strategies see of all accounts at one moment. What only changes with the table
 * is kept apart from what changes with every request: a worker's snapshots share it. */
#include "request/facts.h"
#include "request/trace_internal.h"
#include <stdlib.h>

/* One account, as far as its table knows it. */
struct name {
    struct gate_str id, alias, provider;
    const struct gate_str *tags;
    size_t tag_count;
    enum gate_credential_kind kind;
    uint32_t weight;
    struct gate_limits limits[GATE_USAGE_KINDS];
    uint64_t hash;
};

struct range {
    struct gate_str provider;
    size_t first, count;
};

/* One block: this, the names, their ranges, the lists of tags, all texts. */
struct names {
    _Atomic uint32_t refs;
    const void *table; /* to compare only; NULL: made up */
    uint64_t number;   /* of the table */
    size_t count, range_count, bytes;
    struct name *list;
    struct range *ranges;
};

/* One account at that moment. */
struct state {
    uint32_t in_flight, latency_us, requests_minute, requests_day;
    uint64_t tokens_minute, tokens_day, day_resets_at_ms, blocked_until_ms, until_ms;
    const char *text; /* a literal */
    bool last_resort;
};

struct gate_trace_accounts {
    _Atomic uint32_t refs;
    enum gate_usage_kind kind;
    uint64_t at_ms;
    struct names *names; /* retained */
    struct state states[];
};

/* ---- names */

/* Reads account `index` of whatever names are made from. */
struct source {
    void (*read)(const struct source *s, size_t index, struct name *out);
    const struct gate_table *table;
    const struct gate_account_facts *facts;
    size_t count;
};

static void read_entry(const struct source *s, size_t index, struct name *out)
{
    const struct gate_entry *e = &s->table->entries[index];
    *out = (struct name){
        .id = gate_str_of(e->account->id),
        .alias = gate_str_of(e->alias),
        .provider = gate_str_of(e->instance->name),
        .tags = e->tags,
        .tag_count = e->tag_count,
        .kind = e->account->kind,
        .weight = e->weight,
        .hash = e->account->hash,
    };
    memcpy(out->limits, e->limits, sizeof out->limits);
}

static void read_made(const struct source *s, size_t index, struct name *out)
{
    const struct gate_account_facts *f = &s->facts[index];
    *out = (struct name){
        .id = f->id,
        .alias = f->alias,
        .provider = f->provider,
        .tags = f->tags,
        .tag_count = f->tag_count,
        .kind = f->kind,
        .weight = f->weight,
        .hash = f->hash,
    };
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++)
        out->limits[kind] = f->limits;
}

struct room {
    size_t ranges, tags, text;
};

static struct room measure(const struct source *s)
{
    struct room room = {0};
    struct gate_str provider = {NULL, 0};
    for (size_t i = 0; i < s->count; i++) {
        struct name n;
        s->read(s, i, &n);
        room.text += n.id.len + n.alias.len;
        for (size_t k = 0; k < n.tag_count; k++)
            room.text += n.tags[k].len;
        room.tags += n.tag_count;
        if (i > 0 && gate_str_eq(provider, n.provider))
            continue;
        provider = n.provider;
        room.text += provider.len;
        room.ranges++;
    }
    return room;
}

static struct gate_str put(char **at, struct gate_str text)
{
    struct gate_str copy = {*at, text.len};
    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

static struct names *make_names(const struct source *s)
{
    struct room room = measure(s);
    size_t bytes = sizeof(struct names) + s->count * sizeof(struct name) +
                   room.ranges * sizeof(struct range) + room.tags * sizeof(struct gate_str) +
                   room.text;
    struct names *names = gate_alloc(bytes);
    *names = (struct names){.table = s->table, .count = s->count, .bytes = bytes};
    atomic_init(&names->refs, 1);
    names->number = s->table != NULL ? s->table->number : 0;
    names->list = (struct name *)(names + 1);
    names->ranges = (struct range *)(names->list + s->count);
    struct gate_str *tag_at = (struct gate_str *)(names->ranges + room.ranges);
    char *text_at = (char *)(tag_at + room.tags);
    for (size_t i = 0; i < s->count; i++) {
        struct name *n = &names->list[i];
        s->read(s, i, n);
        struct range *r = names->range_count > 0 ? &names->ranges[names->range_count - 1] : NULL;
        if (r == NULL || !gate_str_eq(r->provider, n->provider)) {
            r = &names->ranges[names->range_count++];
            *r = (struct range){put(&text_at, n->provider), i, 0};
        }
        r->count++;
        n->provider = r->provider;
        n->id = put(&text_at, n->id);
        n->alias = put(&text_at, n->alias);
        const struct gate_str *tags = n->tags;
        n->tags = tag_at;
        for (size_t k = 0; k < n->tag_count; k++)
            *tag_at++ = put(&text_at, tags[k]);
    }
    return names;
}

static void release_names(struct names *names)
{
    if (atomic_fetch_sub_explicit(&names->refs, 1, memory_order_acq_rel) == 1)
        free(names);
}

/* ---- a snapshot */

static uint32_t cut(uint64_t n)
{
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static void keep_state(const struct gate_account_facts *f, struct state *out)
{
    *out = (struct state){
        .in_flight = f->numbers.in_flight,
        .latency_us = cut(f->latency_us),
        .requests_minute = cut(f->numbers.requests_minute),
        .requests_day = cut(f->numbers.requests_day),
        .tokens_minute = f->numbers.tokens_minute,
        .tokens_day = f->numbers.tokens_day,
        .day_resets_at_ms = f->numbers.day_resets_at_ms,
        .blocked_until_ms = f->numbers.blocked_until_ms,
        .until_ms = f->until_ms,
        .text = f->state,
        .last_resort = f->last_resort,
    };
}

/* Takes over the caller's reference to names. */
static struct gate_trace_accounts *make(struct names *names, enum gate_usage_kind kind,
                                        uint64_t now_ms)
{
    struct gate_trace_accounts *a = gate_alloc(sizeof *a + names->count * sizeof(struct state));
    atomic_init(&a->refs, 1);
    a->kind = kind;
    a->at_ms = now_ms;
    a->names = names;
    return a;
}

struct gate_trace_accounts *trace_accounts_after(const struct gate_trace_accounts *before,
                                                 const struct gate_table *table,
                                                 const struct gate_quota *quota,
                                                 enum gate_usage_kind kind, uint64_t now_ms)
{
    struct names *names;
    if (before != NULL && before->names->table == table && before->names->number == table->number) {
        names = before->names;
        atomic_fetch_add_explicit(&names->refs, 1, memory_order_relaxed);
    } else {
        names = make_names(&(struct source){read_entry, table, NULL, table->count});
    }
    struct gate_trace_accounts *a = make(names, kind, now_ms);
    for (size_t i = 0; i < table->count; i++) {
        const struct gate_entry *e = &table->entries[i];
        struct gate_account_facts f;
        gate_facts_read(e, quota, kind, now_ms, &f);
        struct gate_health h = gate_health_read(e->account, now_ms);
        f.last_resort =
            h.condition == GATE_CONDITION_COOLING && h.last_resort && e->attachment != NULL;
        keep_state(&f, &a->states[i]);
    }
    return a;
}

struct gate_trace_accounts *gate_trace_accounts_create(const struct gate_table *table,
                                                       const struct gate_quota *quota,
                                                       enum gate_usage_kind kind, uint64_t now_ms)
{
    return trace_accounts_after(NULL, table, quota, kind, now_ms);
}

struct gate_trace_accounts *gate_trace_accounts_make(const struct gate_account_facts *facts,
                                                     size_t count, uint64_t now_ms)
{
    struct names *names = make_names(&(struct source){read_made, NULL, facts, count});
    struct gate_trace_accounts *a = make(names, GATE_USAGE_CHAT, now_ms);
    for (size_t i = 0; i < count; i++)
        keep_state(&facts[i], &a->states[i]);
    return a;
}

void gate_trace_accounts_retain(struct gate_trace_accounts *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
}

void gate_trace_accounts_release(struct gate_trace_accounts *a)
{
    if (a == NULL || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
        return;
    release_names(a->names);
    free(a);
}

/* ---- reading */

uint64_t gate_trace_accounts_at(const struct gate_trace_accounts *a)
{
    return a->at_ms;
}

bool gate_trace_accounts_find(const struct gate_trace_accounts *a, struct gate_str provider,
                              size_t *first, size_t *count)
{
    const struct names *names = a->names;
    for (size_t i = 0; i < names->range_count; i++) {
        if (!gate_str_eq(names->ranges[i].provider, provider))
            continue;
        *first = names->ranges[i].first;
        *count = names->ranges[i].count;
        return true;
    }
    return false;
}

void gate_trace_accounts_read(const struct gate_trace_accounts *a, size_t index,
                              struct gate_account_facts *out)
{
    const struct name *n = &a->names->list[index];
    const struct state *s = &a->states[index];
    *out = (struct gate_account_facts){
        .id = n->id,
        .alias = n->alias,
        .provider = n->provider,
        .kind = n->kind,
        .tags = n->tags,
        .tag_count = n->tag_count,
        .weight = n->weight,
        .latency_us = s->latency_us,
        .numbers = {s->requests_minute, s->requests_day, s->tokens_minute, s->tokens_day,
                    s->in_flight, s->day_resets_at_ms, s->blocked_until_ms},
        .limits = n->limits[a->kind],
        .now_ms = a->at_ms,
        .state = s->text,
        .until_ms = s->until_ms,
        .hash = n->hash,
        .last_resort = s->last_resort,
    };
}

size_t trace_accounts_bytes(const struct gate_trace_accounts *a)
{
    return sizeof *a + a->names->count * sizeof(struct state);
}

size_t trace_accounts_name_bytes(const struct gate_trace_accounts *a)
{
    return a->names->bytes;
}

bool trace_accounts_share(const struct gate_trace_accounts *a, const struct gate_trace_accounts *b)
{
    return a->names == b->names;
}

bool trace_accounts_is_used(const struct gate_trace_accounts *a)
{
    return atomic_load_explicit(&a->refs, memory_order_acquire) > 1;
}
