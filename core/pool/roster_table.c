/* The roster's table: what holds in the end for each account, as workers see it. */
#include "pool/roster_internal.h"

enum {
    LOGIN_RPM = 60, /* what a device-login account may use when nothing else is said */
    LOGIN_RPD = 2000,
    MAX_TABLE_TAGS = 2 * GATE_ROSTER_MAX_TAGS,
};

/* ---- what holds in the end */

static const struct gate_account_rule *rule_of(const struct gate_roster *r,
                                               const struct gate_member *m)
{
    return gate_policy_rule(gate_generation_policy(r->generation), gate_str_of(m->account->id),
                            gate_str_of(m->alias));
}

void gate_roster_limits(const struct gate_roster *r, const struct gate_member *m,
                        struct gate_limits out[GATE_USAGE_KINDS])
{
    const struct gate_account_rule *rule = rule_of(r, m);
    const struct gate_account_policy *policy = gate_generation_policy(r->generation);
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++) {
        memset(&out[kind], 0, sizeof out[kind]);
        if (kind == GATE_USAGE_CHAT && m->account->kind == GATE_CREDENTIAL_OAUTH) {
            out[kind].requests_per_minute = LOGIN_RPM;
            out[kind].requests_per_day = LOGIN_RPD;
        }
        gate_limits_apply(&out[kind], &r->config->limits.kinds[kind]);
        gate_limits_apply(&out[kind], &policy->limits.kinds[kind]);
        if (m->config != NULL)
            gate_limits_apply(&out[kind], &m->config->limits.kinds[kind]);
        if (rule != NULL)
            gate_limits_apply(&out[kind], &rule->limits.kinds[kind]);
        gate_limits_apply(&out[kind], &m->limits.kinds[kind]);
    }
}

static uint32_t weight_of(const struct gate_member *m, const struct gate_account_rule *rule)
{
    if (m->has_weight)
        return m->weight;
    if (rule != NULL && rule->has_weight)
        return rule->weight;
    return m->config != NULL ? m->config->weight : 1;
}

/* Own tags and those of accounts.lua, none twice. */
static size_t tags_of(const struct gate_member *m, const struct gate_account_rule *rule,
                      struct gate_str *out)
{
    size_t count = 0;
    for (size_t i = 0; i < m->tag_count; i++)
        out[count++] = m->tags[i];
    for (size_t i = 0; rule != NULL && i < rule->tag_count && count < MAX_TABLE_TAGS; i++) {
        bool known = false;
        for (size_t k = 0; k < count; k++)
            known = known || gate_str_eq(out[k], rule->tags[i]);
        if (!known)
            out[count++] = rule->tags[i];
    }
    return count;
}

/* ---- the table */

static size_t string_room(const struct gate_roster *r)
{
    size_t room = 1;
    for (size_t i = 0; i < r->list.count; i++) {
        struct gate_str tags[MAX_TABLE_TAGS];
        size_t count = tags_of(r->list.members[i], rule_of(r, r->list.members[i]), tags);
        room += count * sizeof tags[0] + strlen(r->list.members[i]->alias) + 1;
        for (size_t k = 0; k < count; k++)
            room += tags[k].len;
    }
    return room;
}

static void fill_entry(const struct gate_roster *r, const struct gate_member *m,
                       struct gate_entry *e, struct gate_str **tag_at, char **text_at)
{
    const struct gate_account_rule *rule = rule_of(r, m);
    struct gate_str tags[MAX_TABLE_TAGS];
    size_t len = strlen(m->alias) + 1;
    e->account = m->account;
    gate_account_retain(m->account);
    e->instance = m->instance;
    e->attachment = m->attachment;
    if (m->attachment != NULL)
        gate_attachment_retain(m->attachment);
    e->enabled = m->enabled;
    e->weight = weight_of(m, rule);
    gate_roster_limits(r, m, e->limits);
    e->alias = memcpy(*text_at, m->alias, len);
    *text_at += len;
    e->tag_count = tags_of(m, rule, tags);
    e->tags = *tag_at;
    for (size_t i = 0; i < e->tag_count; i++) {
        **tag_at = (struct gate_str){memcpy(*text_at, tags[i].ptr, tags[i].len), tags[i].len};
        (*tag_at)++;
        *text_at += tags[i].len;
    }
}

static size_t count_tags(const struct gate_roster *r)
{
    struct gate_str tags[MAX_TABLE_TAGS];
    size_t count = 0;
    for (size_t i = 0; i < r->list.count; i++)
        count += tags_of(r->list.members[i], rule_of(r, r->list.members[i]), tags);
    return count;
}

struct gate_table *roster_build_table(struct gate_roster *r)
{
    struct gate_table *t = gate_calloc(1, sizeof *t);
    size_t instance_count;
    struct gate_instance *const *instances = gate_pool_instances(r->pool, &instance_count);
    atomic_init(&t->refs, 1);
    t->number = ++r->number;
    t->pool = r->pool;
    gate_pool_retain(t->pool);
    t->config = r->config;
    gate_config_retain(t->config);
    t->entries = gate_calloc(r->list.count + 1, sizeof t->entries[0]);
    t->strings = gate_alloc(string_room(r));
    struct gate_str *tag_at = t->strings;
    char *text_at = (char *)(tag_at + count_tags(r));
    for (size_t i = 0; i < instance_count; i++) {
        t->ranges[i].first = t->count;
        for (size_t k = 0; k < r->list.count; k++) {
            const struct gate_member *m = r->list.members[k];
            if (m->instance == instances[i] && m->deleted_ms == 0)
                fill_entry(r, m, &t->entries[t->count++], &tag_at, &text_at);
        }
        t->ranges[i].count = t->count - t->ranges[i].first;
        gate_pool_set_accounts(r->pool, i, (uint32_t)t->ranges[i].count);
    }
    return t;
}
