/* Accounts that changed, as the live stream tells them. An account is written only when its print,
 * a hash of all that may change, is another one than before. */
#include "admin/feed.h"
#include "pool/health.h"

enum { MAX_MESSAGE = 64 * 1024 /* bytes; who has no room in it has his turn in the next one */ };

struct feed_account {
    char *id;
    uint64_t print; /* as it was told last; 0: never */
};

void feed_accounts_finish(struct feed_accounts *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->list[i].id);
    free(f->list);
    memset(f, 0, sizeof *f);
}

/* ---- prints */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static uint64_t mix_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return mix(hash, len);
}

static uint64_t mix_live(uint64_t hash, const struct gate_account_live *l)
{
    hash = mix(hash, atomic_load_explicit(&l->word, memory_order_relaxed));
    hash = mix(hash, atomic_load_explicit(&l->in_flight, memory_order_relaxed));
    hash = mix(hash, atomic_load_explicit(&l->latency_us, memory_order_relaxed));
    hash = mix(hash, atomic_load_explicit(&l->served, memory_order_relaxed));
    hash = mix(hash, atomic_load_explicit(&l->failed, memory_order_relaxed));
    return mix(hash, atomic_load_explicit(&l->last_used_ms, memory_order_relaxed));
}

static uint64_t mix_quota(uint64_t hash, const struct gate_admin *a, const struct gate_member *m,
                          uint64_t now_ms)
{
    const struct gate_quota *q = gate_roster_quota(a->parts.roster);
    struct gate_limits limits[GATE_USAGE_KINDS];
    gate_roster_limits(a->parts.roster, m, limits);
    for (int kind = 0; kind < GATE_USAGE_KINDS; kind++) {
        struct gate_quota_numbers n = {0};
        q->ops->numbers(q->instance, m->account->quota, (enum gate_usage_kind)kind, now_ms, &n);
        hash = mix(mix(hash, n.requests_minute), n.requests_day);
        hash = mix(mix(hash, n.tokens_minute), n.tokens_day);
        for (unsigned i = 0; i < GATE_LIMITS_FIELDS; i++)
            hash = mix(hash, gate_limits_value(&limits[kind], i));
    }
    return hash;
}

/* Never 0. */
static uint64_t print_of(const struct gate_admin *a, const struct gate_member *m, uint64_t now_ms)
{
    uint64_t generation = gate_generation_number(gate_live_running(a->parts.live)->generation);
    uint64_t hash = mix(generation, admin_state(a, m, now_ms));
    hash = mix_live(hash, &m->account->live);
    hash = mix_quota(hash, a, m, now_ms);
    hash = mix_bytes(hash, m->alias, strlen(m->alias));
    for (size_t i = 0; i < m->tag_count; i++)
        hash = mix_bytes(hash, m->tags[i].ptr, m->tags[i].len);
    hash = mix(mix(hash, m->weight), m->has_weight);
    for (int kind = 0; kind < GATE_USAGE_KINDS; kind++)
        hash = mix(hash, m->limits.kinds[kind].set);
    hash = mix(mix(hash, m->enabled), m->deleted_ms);
    uint32_t spark[GATE_SPARK_POINTS]; /* follows its requests with the next flush */
    gate_audit_spark(a->parts.audit, gate_str_of(m->account->id), now_ms, spark);
    hash = mix_bytes(hash, spark, sizeof spark);
    hash = mix(hash, m->attachment != NULL ? m->attachment->version : 0);
    hash = mix_bytes(hash, m->problem.message, strlen(m->problem.message));
    return hash != 0 ? hash : 1;
}

/* ---- the list */

static void put_gone(struct feed_accounts *f, const char *id, struct gate_buf *out)
{
    f->lost = f->lost || out->len > MAX_MESSAGE;
    if (f->lost)
        return;
    json_open(out, NULL, '{');
    json_text(out, "id", id);
    json_text(out, "state", admin_state_name(ADMIN_STATE_DELETED));
    json_bool(out, "purged", true);
    json_close(out, '}');
}

/* Brings the list in line with the members; what is gone for ever is written to `gone`. Both are
 * sorted by id. */
static void align(struct feed_accounts *f, struct gate_member *const *members, size_t count,
                  struct gate_buf *gone)
{
    struct feed_account *list = gate_calloc(count + 1, sizeof list[0]);
    size_t old = 0;
    for (size_t i = 0; i <= count; i++) {
        const char *id = i < count ? members[i]->account->id : NULL;
        for (; old < f->count && (id == NULL || strcmp(f->list[old].id, id) < 0); old++) {
            put_gone(f, f->list[old].id, gone);
            free(f->list[old].id);
        }
        if (id != NULL && old < f->count && strcmp(f->list[old].id, id) == 0)
            list[i] = f->list[old++];
        else if (id != NULL)
            list[i].id = gate_strdup(gate_str_of(id));
    }
    free(f->list);
    f->list = list;
    f->count = count;
}

void feed_accounts_begin(struct feed_accounts *f, struct gate_admin *a, uint64_t now_ms)
{
    size_t count;
    struct gate_member *const *members = gate_roster_members(a->parts.roster, &count);
    struct gate_buf none;
    gate_buf_init(&none, 0);
    feed_accounts_finish(f);
    align(f, members, count, &none);
    for (size_t i = 0; i < count; i++)
        f->list[i].print = print_of(a, members[i], now_ms);
    gate_buf_finish(&none);
    admin_sparks_load(a);
}

static void put_changed(struct feed_accounts *f, struct gate_admin *a,
                        struct gate_member *const *members, uint64_t now_ms, struct gate_buf *out)
{
    struct gate_table *t = gate_roster_table(a->parts.roster);
    size_t from = f->count > 0 ? f->next % f->count : 0;
    for (size_t i = 0; i < f->count; i++) {
        size_t at = (from + i) % f->count;
        uint64_t print = print_of(a, members[at], now_ms);
        if (print == f->list[at].print)
            continue;
        size_t before = out->len;
        admin_put_account(a, t, members[at], out, NULL);
        if (out->len > MAX_MESSAGE && before > 1) { /* the first one is always told */
            out->len = before;
            f->next = at;
            break;
        }
        f->list[at].print = print;
        f->next = at + 1;
    }
    gate_table_release(t);
}

void feed_accounts_send(struct feed_accounts *f, struct gate_admin *a, uint64_t now_ms)
{
    size_t count;
    struct gate_member *const *members = gate_roster_members(a->parts.roster, &count);
    struct gate_buf out;
    gate_buf_init(&out, 2 * MAX_MESSAGE);
    json_open(&out, NULL, '[');
    align(f, members, count, &out);
    put_changed(f, a, members, now_ms, &out);
    json_close(&out, ']');
    if (f->lost)
        admin_events_send(a, "resync", GATE_STR("{}")); /* who looks again sees all of it */
    else if (out.len > 2)
        admin_events_send(a, "account", gate_buf_str(&out));
    f->lost = false;
    gate_buf_finish(&out);
}
