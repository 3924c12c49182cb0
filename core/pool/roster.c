#include "pool/roster_internal.h"
#include <openssl/evp.h>

enum {
    LOGIN_RPM = 60, /* what a device-login account may use when nothing else is said */
    LOGIN_RPD = 2000,
    MAX_TABLE_TAGS = 2 * GATE_ROSTER_MAX_TAGS,
    SEED_HEX = 65,
};

/* ---- members */

void roster_set_text(char **field, struct gate_str text)
{
    char *fresh = gate_strdup(text);
    free(*field);
    *field = fresh;
}

void roster_set_tags(struct gate_member *m, const struct gate_str *tags, size_t count)
{
    struct gate_str fresh[GATE_ROSTER_MAX_TAGS];
    if (count > GATE_ROSTER_MAX_TAGS)
        count = GATE_ROSTER_MAX_TAGS;
    for (size_t i = 0; i < count; i++)
        fresh[i] = (struct gate_str){gate_strdup(tags[i]), tags[i].len};
    for (size_t i = 0; i < m->tag_count; i++)
        free((char *)m->tags[i].ptr);
    if (count > 0)
        memcpy(m->tags, fresh, count * sizeof fresh[0]);
    m->tag_count = count;
}

static void free_member(struct gate_member *m)
{
    roster_set_tags(m, NULL, 0);
    gate_buf_wipe(&m->unwritten);
    gate_attachment_release(m->attachment);
    gate_account_release(m->account);
    free(m->alias);
    free(m->origin);
    free(m->seed);
    free(m);
}

static size_t position_of(const struct gate_roster *r, const char *id, bool *found)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(r->members[middle]->account->id, id);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

struct gate_member *roster_new_member(struct gate_roster *r, const char *id,
                                      struct gate_instance *instance,
                                      enum gate_credential_kind kind)
{
    bool found;
    size_t at = position_of(r, id, &found);
    if (r->count == r->room) {
        r->room = r->room * 2 + 16;
        r->members = gate_realloc(r->members, r->room * sizeof r->members[0]);
    }
    struct gate_member *m = gate_calloc(1, sizeof *m);
    const char *slash = strchr(id, '/');
    m->account = gate_account_create(id, instance, kind, r->quota);
    m->alias = gate_strdup(gate_str_of(slash != NULL ? slash + 1 : id));
    m->origin = gate_strdup(GATE_STR("added"));
    m->enabled = true;
    m->weight = 1;
    m->created_ms = gate_clock_wall_ms();
    gate_buf_init(&m->unwritten, ROSTER_MAX_SECRET);
    memmove(r->members + at + 1, r->members + at, (r->count - at) * sizeof r->members[0]);
    r->members[at] = m;
    r->count++;
    return m;
}

void roster_drop_member(struct gate_roster *r, struct gate_member *m)
{
    bool found;
    size_t at = position_of(r, m->account->id, &found);
    memmove(r->members + at, r->members + at + 1, (r->count - at - 1) * sizeof r->members[0]);
    r->count--;
    free_member(m);
}

struct gate_member *roster_find_id(const struct gate_roster *r, const char *id)
{
    bool found;
    size_t at = position_of(r, id, &found);
    return found ? r->members[at] : NULL;
}

struct gate_instance *roster_instance(const struct gate_roster *r, struct gate_str name)
{
    size_t count;
    struct gate_instance *all = gate_pool_instances(r->pool, &count);
    for (size_t i = 0; i < count; i++)
        if (gate_str_eq(name, gate_str_of(all[i].name)))
            return &all[i];
    return NULL;
}

struct gate_member *gate_roster_find(const struct gate_roster *r, struct gate_str name)
{
    struct gate_member *by_alias = NULL;
    for (size_t i = 0; i < r->count; i++) {
        if (gate_str_eq(name, gate_str_of(r->members[i]->account->id)))
            return r->members[i];
        if (!gate_str_eq(name, gate_str_of(r->members[i]->alias)))
            continue;
        if (by_alias != NULL)
            return NULL;
        by_alias = r->members[i];
    }
    return by_alias;
}

struct gate_member *const *gate_roster_members(const struct gate_roster *r, size_t *count)
{
    *count = r->count;
    return r->members;
}

/* ---- what holds in the end */

static const struct gate_account_rule *rule_of(const struct gate_roster *r,
                                               const struct gate_member *m)
{
    return gate_policy_rule(r->policy, gate_str_of(m->account->id), gate_str_of(m->alias));
}

void gate_roster_limits(const struct gate_roster *r, const struct gate_member *m,
                        struct gate_limits out[GATE_USAGE_KINDS])
{
    const struct gate_account_rule *rule = rule_of(r, m);
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++) {
        memset(&out[kind], 0, sizeof out[kind]);
        if (kind == GATE_USAGE_CHAT && m->account->kind == GATE_CREDENTIAL_OAUTH) {
            out[kind].requests_per_minute = LOGIN_RPM;
            out[kind].requests_per_day = LOGIN_RPD;
        }
        gate_limits_apply(&out[kind], &r->config->limits.kinds[kind]);
        gate_limits_apply(&out[kind], &r->policy->limits.kinds[kind]);
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
    for (size_t i = 0; i < r->count; i++) {
        struct gate_str tags[MAX_TABLE_TAGS];
        size_t count = tags_of(r->members[i], rule_of(r, r->members[i]), tags);
        room += count * sizeof tags[0] + strlen(r->members[i]->alias) + 1;
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
    for (size_t i = 0; i < r->count; i++)
        count += tags_of(r->members[i], rule_of(r, r->members[i]), tags);
    return count;
}

static struct gate_table *build_table(struct gate_roster *r)
{
    struct gate_table *t = gate_calloc(1, sizeof *t);
    size_t instance_count;
    struct gate_instance *instances = gate_pool_instances(r->pool, &instance_count);
    atomic_init(&t->refs, 1);
    t->number = ++r->number;
    t->entries = gate_calloc(r->count + 1, sizeof t->entries[0]);
    t->strings = gate_alloc(string_room(r));
    struct gate_str *tag_at = t->strings;
    char *text_at = (char *)(tag_at + count_tags(r));
    for (size_t i = 0; i < instance_count; i++) {
        t->ranges[i].first = t->count;
        for (size_t k = 0; k < r->count; k++) {
            const struct gate_member *m = r->members[k];
            if (m->account->instance == &instances[i] && m->deleted_ms == 0)
                fill_entry(r, m, &t->entries[t->count++], &tag_at, &text_at);
        }
        t->ranges[i].count = t->count - t->ranges[i].first;
        atomic_store_explicit(&instances[i].accounts, (uint32_t)t->ranges[i].count,
                              memory_order_relaxed);
    }
    return t;
}

void roster_publish(struct gate_roster *r)
{
    struct gate_table *fresh = build_table(r), *old = r->table;
    r->table = fresh;
    gate_table_retain(fresh);
    pthread_mutex_lock(&r->lock);
    struct gate_table *flushed = r->flush_table;
    r->flush_table = fresh;
    pthread_mutex_unlock(&r->lock);
    gate_table_release(flushed);
    if (r->publisher.publish != NULL)
        r->publisher.publish(r->publisher.ctx, fresh);
    gate_table_release(old);
}

struct gate_table *gate_roster_table(struct gate_roster *r)
{
    gate_table_retain(r->table);
    return r->table;
}

void gate_roster_set_publisher(struct gate_roster *r, const struct gate_publisher *publisher)
{
    r->publisher = *publisher;
}

void gate_roster_set_policy(struct gate_roster *r, const struct gate_account_policy *policy)
{
    r->policy = policy;
    roster_publish(r);
}

/* ---- from configuration */

static void fingerprint(struct gate_str secret, char hex[SEED_HEX])
{
    unsigned char digest[32];
    EVP_Digest(secret.ptr, secret.len, digest, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* A login of the configuration is stored once: refreshes make it older than what is stored. */
static void take_seed(struct gate_roster *r, struct gate_instance *instance,
                      const struct gate_config_account *c)
{
    struct gate_member *m = roster_find_id(r, c->id);
    struct gate_str secret = {c->secret, c->secret_len};
    struct gate_error err = {.message = ""};
    char seed[SEED_HEX];
    fingerprint(secret, seed);
    if (m != NULL && m->seed != NULL && strcmp(m->seed, seed) == 0) {
        m->config = c;
        return;
    }
    if (m == NULL)
        m = roster_new_member(r, c->id, instance, c->kind);
    m->source = GATE_MEMBER_STORED;
    m->config = c;
    m->deleted_ms = 0;
    roster_set_text(&m->seed, gate_str_of(seed));
    roster_set_text(&m->origin, gate_str_of(c->file != NULL ? c->file : c->key_env));
    roster_set_text(&m->alias, gate_str_of(c->alias));
    uint64_t version = 0;
    if (roster_save_new(r, m, secret, &version, &err) != GATE_OK)
        gate_log_error("account %s: %s", c->id, err.message);
    roster_attach(m, secret, version);
    m->reseeded = true;
}

static void take_config(struct gate_roster *r, struct gate_instance *instance,
                        const struct gate_config_account *c)
{
    struct gate_member *m = roster_find_id(r, c->id);
    if (m != NULL && m->account->kind != c->kind) {
        roster_drop_member(r, m); /* what was set for another kind of account */
        m = NULL;
    }
    bool is_new = m == NULL;
    if (is_new)
        m = roster_new_member(r, c->id, instance, c->kind);
    m->source = GATE_MEMBER_CONFIG;
    m->config = c;
    m->deleted_ms = 0;
    roster_set_text(&m->origin, gate_str_of(c->key_env != NULL ? c->key_env
                                            : c->file != NULL  ? c->file
                                                               : "gateway.lua"));
    if (is_new) {
        struct gate_str tags[GATE_ROSTER_MAX_TAGS];
        size_t count = c->tag_count < GATE_ROSTER_MAX_TAGS ? c->tag_count : GATE_ROSTER_MAX_TAGS;
        for (size_t i = 0; i < count; i++)
            tags[i] = gate_str_of(c->tags[i]);
        roster_set_tags(m, tags, count);
        roster_set_text(&m->alias, gate_str_of(c->alias));
    }
}

static void take_all_config(struct gate_roster *r)
{
    for (size_t i = 0; i < r->config->instance_count; i++) {
        const struct gate_config_instance *c = &r->config->instances[i];
        struct gate_instance *instance = roster_instance(r, gate_str_of(c->name));
        for (size_t k = 0; instance != NULL && k < c->account_count; k++) {
            if (c->accounts[k].source == GATE_SOURCE_SEED)
                take_seed(r, instance, &c->accounts[k]);
            else
                take_config(r, instance, &c->accounts[k]);
        }
    }
}

/* An overlay of an account that the configuration does not name any more is kept in storage for the
 * day when it comes back, and does not take part. */
static void drop_orphans(struct gate_roster *r)
{
    for (size_t i = r->count; i-- > 0;)
        if (r->members[i]->source == GATE_MEMBER_CONFIG && r->members[i]->config == NULL)
            roster_drop_member(r, r->members[i]);
}

/* ---- life */

/* A key of the configuration that its provider does not take is a mistake of the operator's: better
 * told at once than at the first request. */
static enum gate_status check_config_secrets(const struct gate_roster *r, struct gate_error *err)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct gate_member *m = r->members[i];
        if (m->source == GATE_MEMBER_CONFIG && m->attachment == NULL)
            return gate_fail(err, GATE_EINVAL, "provider %s, account %s (%s): %s",
                             m->account->instance->name, m->account->id, m->origin,
                             m->problem.message);
    }
    return GATE_OK;
}

enum gate_status gate_roster_create(const struct gate_config *config, const struct gate_pool *pool,
                                    const struct gate_quota *quota, struct gate_store *store,
                                    const struct gate_vault *vault,
                                    const struct gate_account_policy *policy,
                                    struct gate_roster **out, struct gate_error *err)
{
    struct gate_roster *r = gate_calloc(1, sizeof *r);
    r->config = config;
    r->pool = pool;
    r->quota = quota;
    r->store = store;
    r->vault = vault;
    r->policy = policy;
    pthread_mutex_init(&r->lock, NULL);
    enum gate_status status = roster_load(r, err);
    if (status == GATE_OK) {
        take_all_config(r);
        drop_orphans(r);
        for (size_t i = 0; i < r->count; i++)
            if (r->members[i]->attachment == NULL)
                roster_attach_stored(r, r->members[i]);
        status = check_config_secrets(r, err);
    }
    if (status != GATE_OK) {
        gate_roster_destroy(r);
        return status;
    }
    for (size_t i = 0; i < r->count; i++)
        roster_load_state(r, r->members[i]);
    roster_publish(r);
    roster_add_flusher(r);
    *out = r;
    return GATE_OK;
}

void gate_roster_destroy(struct gate_roster *r)
{
    if (r == NULL)
        return;
    gate_table_release(r->table);
    gate_table_release(r->flush_table);
    for (size_t i = 0; i < r->count; i++)
        free_member(r->members[i]);
    free(r->members);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

struct gate_store *gate_roster_store(const struct gate_roster *r)
{
    return r->store;
}

const struct gate_pool *gate_roster_pool(const struct gate_roster *r)
{
    return r->pool;
}

const struct gate_quota *gate_roster_quota(const struct gate_roster *r)
{
    return r->quota;
}
