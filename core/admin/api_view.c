/* An account as people see it. Never a secret: the roster's views hold none. */
#include "admin/admin_internal.h"
#include "base/clock.h"
#include "pool/health.h"

enum { ACCOUNT_MAX = 64 * 1024, SNAPSHOT_MAX = 16 * 1024, DAY_MS = 24 * 3600 * 1000 };

static const char *const kind_names[] = {
    [GATE_CREDENTIAL_NONE] = "none",
    [GATE_CREDENTIAL_API_KEY] = "api_key",
    [GATE_CREDENTIAL_OAUTH] = "oauth",
};

static bool day_is_over(uint64_t used, uint64_t limit)
{
    return limit > 0 && used >= limit;
}

/* Whether the account's own limits of the day leave nothing for chat. */
static bool day_is_used_up(const struct gate_admin *a, const struct gate_member *m, uint64_t now_ms)
{
    const struct gate_quota *q = gate_roster_quota(a->parts.roster);
    struct gate_limits limits[GATE_USAGE_KINDS];
    struct gate_quota_numbers n;
    gate_roster_limits(a->parts.roster, m, limits);
    q->ops->numbers(q->instance, m->account->quota, GATE_USAGE_CHAT, now_ms, &n);
    return day_is_over(n.requests_day, limits[GATE_USAGE_CHAT].requests_per_day) ||
           day_is_over(n.tokens_day, limits[GATE_USAGE_CHAT].tokens_per_day);
}

const char *admin_state_name(enum admin_state state)
{
    switch (state) {
    case ADMIN_STATE_NO_CREDENTIAL:
        return "no_credential";
    case ADMIN_STATE_DISABLED:
        return "disabled";
    case ADMIN_STATE_DELETED:
        return "deleted";
    default:
        return gate_condition_names[state];
    }
}

enum admin_state admin_state(const struct gate_admin *a, const struct gate_member *m,
                             uint64_t now_ms)
{
    struct gate_health h = gate_health_read(m->account, now_ms);
    if (m->deleted_ms != 0)
        return ADMIN_STATE_DELETED;
    if (!m->enabled)
        return ADMIN_STATE_DISABLED;
    if (h.condition == GATE_CONDITION_SIGN_IN)
        return ADMIN_STATE_SIGN_IN;
    if (m->attachment == NULL)
        return ADMIN_STATE_NO_CREDENTIAL;
    if (h.condition == GATE_CONDITION_SERVING && day_is_used_up(a, m, now_ms))
        return (enum admin_state)GATE_CONDITION_EXHAUSTED;
    return (enum admin_state)h.condition;
}

const struct gate_entry *admin_entry(const struct gate_table *t, const struct gate_member *m)
{
    size_t at;
    if (gate_pool_find(t->pool, gate_str_of(m->instance->name), &at) == NULL)
        return NULL;
    for (size_t i = 0; i < t->ranges[at].count; i++)
        if (t->entries[t->ranges[at].first + i].account == m->account)
            return &t->entries[t->ranges[at].first + i];
    return NULL;
}

static void put_tags(struct gate_buf *out, const char *name, const struct gate_str *tags,
                     size_t count)
{
    json_open(out, name, '[');
    for (size_t i = 0; i < count; i++)
        json_str(out, NULL, tags[i]);
    json_close(out, ']');
}

void admin_put_limits(struct gate_buf *out, const char *name, const struct gate_limits *limits)
{
    json_open(out, name, '{');
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++) {
        json_open(out, gate_usage_kind_names[kind], '{');
        for (unsigned f = 0; f < GATE_LIMITS_FIELDS; f++)
            json_num(out, gate_limits_names[f], gate_limits_value(&limits[kind], f));
        json_close(out, '}');
    }
    json_close(out, '}');
}

/* Only what is set. */
static void put_rule(struct gate_buf *out, const char *name, const struct gate_limits_rule *rule)
{
    json_open(out, name, '{');
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++) {
        const struct gate_limits_patch *p = &rule->kinds[kind];
        if (p->set == 0)
            continue;
        json_open(out, gate_usage_kind_names[kind], '{');
        for (unsigned f = 0; f < GATE_LIMITS_FIELDS; f++)
            if ((p->set & 1u << f) != 0)
                json_num(out, gate_limits_names[f], gate_limits_value(&p->values, f));
        json_close(out, '}');
    }
    json_close(out, '}');
}

static void put_identity(const struct gate_member *m, struct gate_buf *out)
{
    const struct gate_account *account = m->account;
    json_text(out, "id", account->id);
    json_text(out, "alias", m->alias);
    json_text(out, "provider", m->instance->name);
    json_text(out, "plugin", m->instance->plugin->name);
    json_text(out, "kind", kind_names[account->kind]);
    json_text(out, "source", m->source == GATE_MEMBER_CONFIG ? "config" : "stored");
    json_text(out, "origin", m->origin);
    json_bool(out, "enabled", m->enabled);
    json_num_or_null(out, "created_at", m->created_ms);
    json_num_or_null(out, "deleted_at", m->deleted_ms);
}

static void put_condition(const struct gate_admin *a, const struct gate_member *m, uint64_t now_ms,
                          struct gate_buf *out)
{
    struct gate_health h = gate_health_read(m->account, now_ms);
    struct gate_last_error e;
    gate_health_last_error(m->account, &e);
    json_text(out, "state", admin_state_name(admin_state(a, m, now_ms)));
    json_text(out, "condition", gate_condition_names[h.condition]);
    json_num_or_null(out, "until", h.condition != GATE_CONDITION_SERVING ? h.until_ms : 0);
    json_text_or_null(out, "problem", m->attachment == NULL ? m->problem.message : NULL);
    json_num_or_null(out, "expires_at", m->attachment != NULL ? m->attachment->expires_at_ms : 0);
    if (e.at_ms == 0) {
        json_null(out, "last_error");
        return;
    }
    json_open(out, "last_error", '{');
    json_num(out, "at", e.at_ms);
    json_text(out, "verdict", gate_verdict_name(e.verdict));
    json_num(out, "status", (uint64_t)e.status);
    json_text(out, "code", e.code);
    json_text(out, "message", e.message);
    json_close(out, '}');
}

static void put_live(const struct gate_member *m, struct gate_buf *out)
{
    struct gate_account_live *l = &m->account->live;
    uint64_t latency_us = atomic_load_explicit(&l->latency_us, memory_order_relaxed);
    if (latency_us == 0)
        json_null(out, "latency_ms");
    else
        json_num(out, "latency_ms", (latency_us + 500) / 1000);
    json_num(out, "in_flight", atomic_load_explicit(&l->in_flight, memory_order_relaxed));
    json_num(out, "served", atomic_load_explicit(&l->served, memory_order_relaxed));
    json_num(out, "failed", atomic_load_explicit(&l->failed, memory_order_relaxed));
    json_num_or_null(out, "last_used",
                     atomic_load_explicit(&l->last_used_ms, memory_order_relaxed));
}

/* The share of the quota's day that is gone, which an even pace would have used. */
static void put_day(const struct gate_quota *q, uint64_t now_ms, struct gate_buf *out)
{
    uint64_t end = q->ops->day_end(q->instance, now_ms);
    uint64_t left = end > now_ms ? end - now_ms : 0;
    uint64_t gone = left < DAY_MS ? DAY_MS - left : 0; /* a day that a zone made longer */
    gate_buf_printf(out, "\"day_elapsed\":%.4f", (double)gone / DAY_MS);
}

/* What the plugin says, an object, with the day. */
static void put_quota(const struct gate_admin *a, const struct gate_member *m,
                      const struct gate_limits *limits, uint64_t now_ms, struct gate_buf *out)
{
    const struct gate_quota *q = gate_roster_quota(a->parts.roster);
    struct gate_buf json;
    gate_buf_init(&json, SNAPSHOT_MAX);
    struct gate_writer w = gate_buf_writer(&json);
    q->ops->snapshot(q->instance, m->account->quota, limits, now_ms, &w);
    json_open(out, "quota", '{');
    put_day(q, now_ms, out);
    struct gate_str inner = {json.ptr + 1, json.len > 2 ? json.len - 2 : 0};
    if (inner.len > 0) {
        gate_buf_append_byte(out, ',');
        gate_buf_append(out, inner);
    }
    json_close(out, '}');
    gate_buf_finish(&json);
}

static void put_spark(const struct gate_admin *a, const struct gate_member *m, uint64_t now_ms,
                      struct gate_buf *out)
{
    uint32_t spark[GATE_SPARK_POINTS];
    gate_audit_spark(a->parts.audit, gate_str_of(m->account->id), now_ms, spark);
    json_open(out, "spark", '[');
    for (size_t i = 0; i < GATE_SPARK_POINTS; i++)
        json_num(out, NULL, spark[i]);
    json_close(out, ']');
}

void admin_sparks_load(struct gate_admin *a)
{
    size_t count;
    struct gate_member *const *members = gate_roster_members(a->parts.roster, &count);
    struct gate_str *ids = gate_calloc(count + 1, sizeof ids[0]);
    for (size_t i = 0; i < count; i++)
        ids[i] = gate_str_of(members[i]->account->id);
    gate_audit_sparks_load(a->parts.audit, ids, count);
    free(ids);
}

void admin_put_account(struct gate_admin *a, const struct gate_table *t,
                       const struct gate_member *m, struct gate_buf *out, const char *name)
{
    const struct gate_entry *e = admin_entry(t, m);
    struct gate_limits limits[GATE_USAGE_KINDS];
    uint64_t now_ms = gate_clock_wall_ms();
    gate_roster_limits(a->parts.roster, m, limits);
    json_open(out, name, '{');
    put_identity(m, out);
    put_condition(a, m, now_ms, out);
    put_live(m, out);
    put_tags(out, "tags", m->tags, m->tag_count);
    if (m->has_weight)
        json_num(out, "weight", m->weight);
    else
        json_null(out, "weight");
    put_rule(out, "limits", &m->limits);
    json_open(out, "effective", '{');
    if (e != NULL) {
        put_tags(out, "tags", e->tags, e->tag_count);
        json_num(out, "weight", e->weight);
    }
    admin_put_limits(out, "limits", limits);
    json_close(out, '}');
    put_quota(a, m, limits, now_ms, out);
    put_spark(a, m, now_ms, out);
    json_close(out, '}');
}

void admin_account_json(struct gate_admin *a, const struct gate_member *m, const char *warning,
                        struct gate_buf *out)
{
    struct gate_table *t = gate_roster_table(a->parts.roster);
    struct gate_str id = gate_str_of(m->account->id);
    gate_audit_sparks_load(a->parts.audit, &id, 1);
    gate_buf_init(out, ACCOUNT_MAX);
    json_open(out, NULL, '{');
    admin_put_account(a, t, m, out, "account");
    if (warning != NULL)
        json_text(out, "warning", warning);
    json_close(out, '}');
    gate_table_release(t);
}

void admin_reply_account(struct admin_call *c, int status, const struct gate_member *m,
                         const char *warning)
{
    struct gate_buf out;
    admin_account_json(c->admin, m, warning, &out);
    admin_reply(c, status, gate_buf_str(&out));
    gate_buf_finish(&out);
}
