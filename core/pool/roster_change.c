/* What people do to accounts: add, change, delete, restore. Storage first, then the workers. */
#include "pool/roster_internal.h"
#include <sys/random.h>

enum { RANDOM_BYTES = 4 };

static bool name_ok(struct gate_str name)
{
    if (name.len == 0 || name.len > GATE_ACCOUNT_MAX_ALIAS)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '-' && c != '_' && c != '.')
            return false;
    }
    return true;
}

static bool alias_ok(struct gate_str alias)
{
    if (alias.len == 0 || alias.len > GATE_ACCOUNT_MAX_ALIAS)
        return false;
    for (size_t i = 0; i < alias.len; i++)
        if ((unsigned char)alias.ptr[i] < 0x20 || alias.ptr[i] == 0x7f)
            return false;
    return true;
}

static enum gate_status make_id(struct gate_roster *r, const struct gate_member_new *n,
                                char id[GATE_ACCOUNT_MAX_ID + 1], struct gate_error *err)
{
    char made[2 * RANDOM_BYTES + 1];
    struct gate_str name = n->name;
    if (name.len == 0) {
        unsigned char bytes[RANDOM_BYTES];
        if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
            return gate_fail(err, GATE_EIO, "no random bytes");
        for (size_t i = 0; i < sizeof bytes; i++)
            snprintf(made + 2 * i, 3, "%02x", bytes[i]);
        name = (struct gate_str){made, sizeof made - 1};
    }
    if (!name_ok(name))
        return gate_fail(err, GATE_EINVAL,
                         "name: expected 1 to %d letters, digits, '-', '_' or '.'",
                         GATE_ACCOUNT_MAX_ALIAS);
    int len = snprintf(id, GATE_ACCOUNT_MAX_ID + 1, "%.*s/%.*s", (int)n->instance.len,
                       n->instance.ptr, (int)name.len, name.ptr);
    if (len < 0 || len > GATE_ACCOUNT_MAX_ID)
        return gate_fail(err, GATE_EINVAL, "name: too long");
    if (roster_find_id(r, id) != NULL)
        return gate_fail(err, GATE_ECONFLICT, "there is an account %s already", id);
    return GATE_OK;
}

/* An account that the configuration named once makes room for one that a person adds. */
static void forget_waiting(struct gate_roster *r, const char *id)
{
    struct gate_member *m = roster_list_find(&r->waiting, id);
    if (m == NULL)
        return;
    roster_list_remove(&r->waiting, m);
    roster_free_member(m);
}

enum gate_status gate_roster_add(struct gate_roster *r, const struct gate_member_new *n,
                                 struct gate_member **out, struct gate_error *err)
{
    char id[GATE_ACCOUNT_MAX_ID + 1];
    struct gate_instance *instance = gate_pool_find(r->pool, n->instance, NULL);
    uint64_t version = 0;
    if (instance == NULL)
        return gate_fail(err, GATE_ENOTFOUND, "there is no provider \"%.*s\"",
                         (int)(n->instance.len < 64 ? n->instance.len : 64), n->instance.ptr);
    if (r->list.count >= GATE_ACCOUNT_MAX)
        return gate_fail(err, GATE_ELIMIT, "there are %d accounts already", GATE_ACCOUNT_MAX);
    if (n->secret.len > ROSTER_MAX_SECRET)
        return gate_fail(err, GATE_EINVAL, "the secret is longer than %d bytes", ROSTER_MAX_SECRET);
    if (n->alias.len > 0 && !alias_ok(n->alias))
        return gate_fail(err, GATE_EINVAL,
                         "alias: expected 1 to %d bytes without control characters",
                         GATE_ACCOUNT_MAX_ALIAS);
    enum gate_status status = make_id(r, n, id, err);
    if (status != GATE_OK)
        return status;
    forget_waiting(r, id);
    struct gate_member *m = roster_new_member(r, id, instance, n->kind);
    m->source = GATE_MEMBER_STORED;
    roster_set_text(&m->origin, gate_str_of(n->origin));
    if (n->alias.len > 0)
        roster_set_text(&m->alias, n->alias);
    status = roster_attach(m, n->secret, 0);
    if (status != GATE_OK)
        *err = m->problem;
    else
        status = roster_save_new(r, m, n->secret, &version, err);
    if (status != GATE_OK) {
        roster_drop_member(r, m);
        return status;
    }
    roster_attach(m, n->secret, version);
    roster_publish(r);
    *out = m;
    return GATE_OK;
}

/* ---- patch */

static enum gate_status check_patch(const struct gate_member_patch *p, struct gate_error *err)
{
    if (p->alias != NULL && !alias_ok(*p->alias))
        return gate_fail(err, GATE_EINVAL,
                         "alias: expected 1 to %d bytes without control characters",
                         GATE_ACCOUNT_MAX_ALIAS);
    if (p->has_tags && p->tag_count > GATE_ROSTER_MAX_TAGS)
        return gate_fail(err, GATE_EINVAL, "tags: at most %d", GATE_ROSTER_MAX_TAGS);
    for (size_t i = 0; p->has_tags && i < p->tag_count; i++)
        if (p->tags[i].len > GATE_POLICY_MAX_TAG || !name_ok(p->tags[i]))
            return gate_fail(err, GATE_EINVAL,
                             "tags: a tag is 1 to %d letters, digits, '-', '_' or '.'",
                             GATE_POLICY_MAX_TAG);
    if (p->has_weight && p->weight > GATE_POLICY_MAX_WEIGHT)
        return gate_fail(err, GATE_EINVAL, "weight: expected a whole number from 0 to %d",
                         GATE_POLICY_MAX_WEIGHT);
    return GATE_OK;
}

/* What a patch may change, to put it back when storage refuses. */
struct before {
    char *alias;
    struct gate_str tags[GATE_ROSTER_MAX_TAGS];
    size_t tag_count;
    bool enabled, has_weight;
    uint32_t weight;
    struct gate_limits_rule limits;
};

static void remember(const struct gate_member *m, struct before *b)
{
    b->alias = gate_strdup(gate_str_of(m->alias));
    b->tag_count = m->tag_count;
    for (size_t i = 0; i < m->tag_count; i++)
        b->tags[i] = (struct gate_str){gate_strdup(m->tags[i]), m->tags[i].len};
    b->enabled = m->enabled;
    b->has_weight = m->has_weight;
    b->weight = m->weight;
    b->limits = m->limits;
}

static void put_back(struct gate_member *m, const struct before *b)
{
    roster_set_text(&m->alias, gate_str_of(b->alias));
    roster_set_tags(m, b->tags, b->tag_count);
    m->enabled = b->enabled;
    m->has_weight = b->has_weight;
    m->weight = b->weight;
    m->limits = b->limits;
}

static void forget(struct before *b)
{
    free(b->alias);
    for (size_t i = 0; i < b->tag_count; i++)
        free((char *)b->tags[i].ptr);
}

enum gate_status gate_roster_patch(struct gate_roster *r, struct gate_member *m,
                                   const struct gate_member_patch *p, struct gate_error *err)
{
    struct before before;
    enum gate_status status = check_patch(p, err);
    if (status != GATE_OK)
        return status;
    remember(m, &before);
    if (p->alias != NULL)
        roster_set_text(&m->alias, *p->alias);
    if (p->has_tags)
        roster_set_tags(m, p->tags, p->tag_count);
    if (p->has_enabled)
        m->enabled = p->enabled;
    if (p->has_weight) {
        m->has_weight = !p->weight_null;
        m->weight = p->weight_null ? 1 : p->weight;
    }
    if (p->limits != NULL)
        m->limits = *p->limits;
    status = roster_save(r, m, err);
    if (status != GATE_OK)
        put_back(m, &before);
    else
        roster_publish(r);
    forget(&before);
    return status;
}

/* ---- delete and restore */

static enum gate_status set_deleted(struct gate_roster *r, struct gate_member *m, uint64_t at_ms,
                                    struct gate_error *err)
{
    uint64_t before = m->deleted_ms;
    /* A deleted account is in no table, so what it has used is written while it still is in one. */
    gate_store_flush(r->store, NULL, NULL);
    m->deleted_ms = at_ms;
    enum gate_status status = roster_save(r, m, err);
    if (status != GATE_OK)
        m->deleted_ms = before;
    else
        roster_publish(r);
    return status;
}

/* The workers and the flusher let go of it first: nothing writes its counters again. */
static enum gate_status purge_member(struct gate_roster *r, struct gate_member *m,
                                     struct gate_error *err)
{
    uint64_t before = m->deleted_ms;
    if (before == 0) {
        m->deleted_ms = gate_clock_wall_ms();
        roster_publish(r);
    }
    enum gate_status status = roster_erase(r, m, err);
    if (status == GATE_OK) {
        roster_drop_member(r, m);
    } else if (before == 0) {
        m->deleted_ms = 0;
        roster_publish(r);
    }
    return status;
}

enum gate_status gate_roster_delete(struct gate_roster *r, struct gate_member *m, bool purge,
                                    struct gate_error *err)
{
    if (m->source == GATE_MEMBER_CONFIG)
        return gate_fail(err, GATE_ECONFLICT,
                         "account %s comes from %s: remove it there, or disable it here",
                         m->account->id, m->origin);
    if (purge && m->config != NULL)
        return gate_fail(err, GATE_ECONFLICT,
                         "account %s comes from %s and would be made again at the next start: "
                         "delete it without purge, or remove it there",
                         m->account->id, m->origin);
    return purge ? purge_member(r, m, err) : set_deleted(r, m, gate_clock_wall_ms(), err);
}

enum gate_status gate_roster_restore(struct gate_roster *r, struct gate_member *m,
                                     struct gate_error *err)
{
    return m->deleted_ms == 0 ? GATE_OK : set_deleted(r, m, 0, err);
}

void gate_roster_clear(struct gate_roster *r, struct gate_member *m)
{
    gate_health_clear(m->account);
    m->saved_changes = atomic_load(&m->account->live.changes);
    roster_save_condition(r, m);
}

/* ---- once a second */

void roster_write_late(struct gate_roster *r, struct gate_member *m)
{
    uint32_t changes = atomic_load_explicit(&m->account->live.changes, memory_order_acquire);
    if (changes != m->saved_changes && m->restored) {
        m->saved_changes = changes;
        roster_save_condition(r, m);
    }
    if (m->unwritten.len > 0 && m->deleted_ms == 0)
        roster_write_unwritten(r, m);
}

void gate_roster_tick(struct gate_roster *r, uint64_t now_ms)
{
    for (size_t i = 0; i < r->waiting.count; i++)
        roster_write_late(r, r->waiting.members[i]);
    for (size_t i = r->list.count; i-- > 0;) {
        struct gate_member *m = r->list.members[i];
        roster_write_late(r, m);
        if (m->deleted_ms != 0 && m->config == NULL &&
            now_ms > m->deleted_ms + GATE_ROSTER_KEEP_DELETED_MS) {
            struct gate_error err;
            purge_member(r, m, &err);
        }
    }
}
