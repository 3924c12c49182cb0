/* The roster's credentials: from configuration or storage to the provider and to the workers. */
#include "pool/roster_internal.h"

enum gate_status roster_prepare(const struct gate_member *m, struct gate_instance *instance,
                                enum gate_credential_kind kind, struct gate_str secret,
                                struct gate_attachment **out, struct gate_error *err)
{
    const struct gate_credential credential = {kind, secret};
    uint64_t expires = 0, version = m != NULL ? m->last_version + 1 : 1;
    if (kind == GATE_CREDENTIAL_OAUTH && instance->ops->credential_expires != NULL)
        expires = instance->ops->credential_expires(instance->state, &credential);
    return gate_attachment_create(instance, &credential, version, expires, out, err);
}

void roster_use(struct gate_member *m, struct gate_attachment *fresh, uint64_t stored)
{
    gate_attachment_release(m->attachment);
    m->attachment = fresh;
    m->last_version = m->secret_version = fresh->version;
    m->stored_version = stored;
    m->problem.message[0] = '\0';
}

enum gate_status roster_attach(struct gate_member *m, struct gate_str secret, uint64_t stored)
{
    struct gate_attachment *fresh;
    enum gate_status status =
        roster_prepare(m, m->instance, m->account->kind, secret, &fresh, &m->problem);
    if (status == GATE_OK)
        roster_use(m, fresh, stored);
    return status;
}

enum gate_status gate_roster_secret(struct gate_roster *r, const struct gate_member *m,
                                    struct gate_buf *out, uint64_t *version, struct gate_error *err)
{
    *version = 0;
    if (m->source == GATE_MEMBER_CONFIG) {
        if (m->config != NULL && m->config->secret_len > 0)
            gate_buf_append(out, (struct gate_str){m->config->secret, m->config->secret_len});
        *version = 1;
        return GATE_OK;
    }
    if (m->unwritten.len > 0) {
        gate_buf_append(out, gate_buf_str(&m->unwritten));
        *version = m->stored_version;
        return GATE_OK;
    }
    return roster_get_secret(r, m->account->id, out, version, err);
}

/* Keeps a secret that storage did not take, for the next tick. */
static void keep_unwritten(struct gate_member *m, struct gate_str secret)
{
    gate_buf_wipe(&m->unwritten);
    gate_buf_append(&m->unwritten, secret);
}

/* Only to see whether the provider takes it. */
static enum gate_status try_secret(struct gate_instance *instance, enum gate_credential_kind kind,
                                   struct gate_str secret, struct gate_error *err)
{
    struct gate_attachment *tried;
    enum gate_status status = roster_prepare(NULL, instance, kind, secret, &tried, err);
    if (status == GATE_OK)
        gate_attachment_release(tried);
    return status;
}

/* An account that waits for its provider is prepared when that is back. */
static enum gate_status use(struct gate_roster *r, struct gate_member *m, struct gate_str secret,
                            uint64_t version)
{
    enum gate_status status = GATE_OK;
    if (m->instance != NULL)
        status = roster_attach(m, secret, version);
    else
        m->stored_version = version;
    if (status != GATE_OK)
        return status;
    if (gate_health_read(m->account, gate_clock_wall_ms()).unproven == GATE_CONDITION_SIGN_IN)
        gate_health_clear(m->account);
    if (m->instance != NULL)
        roster_publish(r);
    return GATE_OK;
}

enum gate_status gate_roster_set_secret(struct gate_roster *r, struct gate_member *m,
                                        struct gate_str secret, uint64_t expected, uint64_t fence,
                                        struct gate_error *err)
{
    uint64_t version = 0;
    enum gate_status status;
    if (m->source == GATE_MEMBER_CONFIG)
        return gate_fail(err, GATE_ECONFLICT,
                         "the secret of account %s comes from %s: change it there", m->account->id,
                         m->origin);
    if (m->instance != NULL) {
        status = try_secret(m->instance, m->account->kind, secret, err);
        if (status != GATE_OK)
            return status;
    }
    status = roster_put_secret(r, m->account->id, secret, expected, fence, &version, err);
    if (status == GATE_ECONFLICT)
        return status;
    if (status == GATE_OK) {
        gate_buf_wipe(&m->unwritten);
    } else {
        version = m->stored_version; /* what the next write replaces */
        keep_unwritten(m, secret);
        gate_log_error("account %s: its new credential is in memory only, storage fails: %s",
                       m->account->id, err->message);
    }
    use(r, m, secret, version);
    return status;
}

void roster_write_unwritten(struct gate_roster *r, struct gate_member *m)
{
    struct gate_error err;
    uint64_t version = 0;
    enum gate_status status = roster_put_secret(r, m->account->id, gate_buf_str(&m->unwritten),
                                                m->stored_version, 0, &version, &err);
    if (status == GATE_OK) {
        m->stored_version = version;
        gate_buf_wipe(&m->unwritten);
        gate_log_info("account %s: its credential is in storage now", m->account->id);
    } else if (status == GATE_ECONFLICT) {
        bool newer; /* another gateway has renewed it meanwhile: its token is the one that lives */
        gate_buf_wipe(&m->unwritten);
        gate_roster_reload(r, m, &newer, &err);
    }
}

enum gate_status gate_roster_reload(struct gate_roster *r, struct gate_member *m, bool *newer,
                                    struct gate_error *err)
{
    struct gate_buf secret;
    uint64_t version = 0;
    *newer = false;
    if (m->source == GATE_MEMBER_CONFIG || m->instance == NULL)
        return GATE_OK;
    gate_buf_init(&secret, ROSTER_MAX_SECRET);
    enum gate_status status = roster_get_secret(r, m->account->id, &secret, &version, err);
    if (status == GATE_OK && (m->attachment == NULL || version > m->stored_version)) {
        status = use(r, m, gate_buf_str(&secret), version);
        *newer = status == GATE_OK;
        if (status == GATE_OK)
            gate_buf_wipe(&m->unwritten);
        else
            *err = m->problem;
    }
    gate_buf_wipe(&secret);
    return status;
}

void gate_roster_needs_sign_in(struct gate_roster *r, struct gate_member *m, const char *why)
{
    gate_health_set(m->account, GATE_CONDITION_SIGN_IN, 0, why, gate_clock_wall_ms());
    m->saved_changes = atomic_load(&m->account->live.changes);
    roster_save_condition(r, m);
    gate_log_warn("account %s needs a sign-in: %s", m->account->id, why);
}

enum gate_status gate_roster_check(const struct gate_pool *pool,
                                   const struct gate_config_instance *instance,
                                   struct gate_error *err)
{
    struct gate_instance *found = gate_pool_find(pool, gate_str_of(instance->name), NULL);
    for (size_t k = 0; found != NULL && k < instance->account_count; k++) {
        const struct gate_config_account *c = &instance->accounts[k];
        struct gate_error why = {.message = ""};
        if (try_secret(found, c->kind, (struct gate_str){c->secret, c->secret_len}, &why) !=
            GATE_OK)
            return gate_fail(err, GATE_EINVAL, "provider %s, account %s: %.300s", instance->name,
                             c->id, why.message);
    }
    return GATE_OK;
}

/* ---- the lease */

struct lease {
    struct gate_str name, owner;
    uint64_t ttl_ms, *fence;
    enum gate_status status;
    struct gate_error *err;
};

static void run_lease(struct gate_storage *s, void *arg)
{
    struct lease *l = arg;
    l->status = s->ops->lease_acquire(s->handle, l->name, l->owner, l->ttl_ms, l->fence, l->err);
}

static struct gate_str lease_name(char buf[ROSTER_MAX_KEY], const struct gate_member *m)
{
    int n = snprintf(buf, ROSTER_MAX_KEY, GATE_KEY_CREDENTIAL "%s", m->account->id);
    return (struct gate_str){buf, (size_t)n < ROSTER_MAX_KEY ? (size_t)n : ROSTER_MAX_KEY - 1};
}

enum gate_status gate_roster_lease(struct gate_roster *r, const struct gate_member *m,
                                   struct gate_str owner, uint64_t ttl_ms, uint64_t *fence,
                                   struct gate_error *err)
{
    char name[ROSTER_MAX_KEY];
    struct lease l = {lease_name(name, m), owner, ttl_ms, fence, GATE_OK, err};
    gate_store_call(r->store, run_lease, &l);
    return l.status;
}

static void run_unlease(struct gate_storage *s, void *arg)
{
    struct lease *l = arg;
    l->status = s->ops->lease_release(s->handle, l->name, l->owner, l->err);
}

void gate_roster_unlease(struct gate_roster *r, const struct gate_member *m, struct gate_str owner)
{
    char name[ROSTER_MAX_KEY];
    struct gate_error err;
    struct lease l = {.name = lease_name(name, m), .owner = owner, .err = &err};
    gate_store_call(r->store, run_unlease, &l);
}
