#include "store.h"

/*
 * A lease is stored under ROCKS_LEASE and its name: format u8 (1), fence u64, expiry u64 (Unix ms),
 * the owner's bytes. A lease that is free has no owner; it stays, because its fence must.
 */
enum { LEASE_FORMAT = 1, LEASE_HEADER = 17 };

struct lease {
    uint64_t fence;
    uint64_t expires_ms;
    struct gate_str owner; /* lent by the value that was read */
};

static enum gate_status lease_read(struct rocks_store *s, const struct rocks_key *key,
                                   struct rocks_value *value, struct lease *out,
                                   struct gate_error *err)
{
    const enum gate_status status = rocks_value_read(s, key, value, err);

    *out = (struct lease){0, 0, {NULL, 0}};
    if (status != GATE_OK || value->ptr == NULL)
        return status;
    if (value->len < LEASE_HEADER || value->ptr[0] != LEASE_FORMAT)
        return gate_fail(err, GATE_EIO, "storage %s: a lease is damaged", s->directory);
    out->fence = rocks_get_u64(value->ptr + 1);
    out->expires_ms = rocks_get_u64(value->ptr + 9);
    out->owner = (struct gate_str){value->ptr + LEASE_HEADER, value->len - LEASE_HEADER};
    return GATE_OK;
}

static void lease_put(struct rocks_store *s, const struct rocks_key *key, const struct lease *l)
{
    char head[LEASE_HEADER];

    head[0] = LEASE_FORMAT;
    rocks_put_u64(head + 1, l->fence);
    rocks_put_u64(head + 9, l->expires_ms);
    rocks_write_put(s, key, (struct gate_str){head, sizeof head}, l->owner);
}

static bool lease_held(const struct lease *l, uint64_t now_ms)
{
    return l->owner.len > 0 && l->expires_ms > now_ms;
}

static enum gate_status check_arguments(struct gate_str owner, uint64_t ttl_ms,
                                        struct gate_error *err)
{
    if (owner.len == 0)
        return gate_fail(err, GATE_EINVAL, "the owner of a lease must not be empty");
    if (owner.len > ROCKS_MAX_OWNER)
        return gate_fail(err, GATE_ELIMIT, "the owner of a lease has %zu bytes; at most %d",
                         owner.len, ROCKS_MAX_OWNER);
    if (ttl_ms == 0)
        return gate_fail(err, GATE_EINVAL, "a lease must expire");
    return GATE_OK;
}

enum gate_status rocks_lease_acquire(struct rocks_store *s, struct gate_str name,
                                     struct gate_str owner, uint64_t ttl_ms, uint64_t *fence,
                                     struct gate_error *err)
{
    const uint64_t now = s->host->now_ms();
    struct rocks_key key;
    struct rocks_value value = {NULL, 0};
    struct lease l;
    enum gate_status status = check_arguments(owner, ttl_ms, err);
    bool renewed = false;

    if (status == GATE_OK)
        status = rocks_key_make(&key, ROCKS_LEASE, name, err);
    if (status == GATE_OK)
        status = rocks_write_begin(s, err);
    if (status == GATE_OK)
        status = lease_read(s, &key, &value, &l, err);
    if (status == GATE_OK && lease_held(&l, now)) {
        renewed = gate_str_eq(l.owner, owner);
        if (!renewed)
            status = gate_fail(err, GATE_ECONFLICT, "lease \"%.*s\": held by another",
                               (int)name.len, name.ptr);
    }
    if (status == GATE_OK) {
        l.fence += renewed ? 0 : 1;
        l.owner = owner;
        l.expires_ms = rocks_expiry(now, ttl_ms);
        lease_put(s, &key, &l);
        /* A fence that is lost in a power cut would be given to a second holder. */
        status = rocks_write_end(s, !renewed, err);
    }
    if (status == GATE_OK)
        *fence = l.fence;
    rocks_value_finish(&value);
    return status;
}

/* Renewing and releasing: only by who holds it now. */
static enum gate_status lease_change(struct rocks_store *s, struct gate_str name,
                                     struct gate_str owner, uint64_t expires_ms, bool release,
                                     struct gate_error *err)
{
    struct rocks_key key;
    struct rocks_value value = {NULL, 0};
    struct lease l;
    enum gate_status status = rocks_key_make(&key, ROCKS_LEASE, name, err);

    if (status == GATE_OK)
        status = rocks_write_begin(s, err);
    if (status == GATE_OK)
        status = lease_read(s, &key, &value, &l, err);
    if (status == GATE_OK && !(lease_held(&l, s->host->now_ms()) && gate_str_eq(l.owner, owner)))
        status = gate_fail(err, GATE_ECONFLICT, "lease \"%.*s\": not held by this owner",
                           (int)name.len, name.ptr);
    if (status == GATE_OK) {
        l.expires_ms = expires_ms;
        if (release)
            l.owner.len = 0;
        lease_put(s, &key, &l);
        status = rocks_write_end(s, false, err);
    }
    rocks_value_finish(&value);
    return status;
}

enum gate_status rocks_lease_renew(struct rocks_store *s, struct gate_str name,
                                   struct gate_str owner, uint64_t ttl_ms, struct gate_error *err)
{
    const enum gate_status status = check_arguments(owner, ttl_ms, err);

    if (status != GATE_OK)
        return status;
    return lease_change(s, name, owner, rocks_expiry(s->host->now_ms(), ttl_ms), false, err);
}

enum gate_status rocks_lease_release(struct rocks_store *s, struct gate_str name,
                                     struct gate_str owner, struct gate_error *err)
{
    return lease_change(s, name, owner, 0, true, err);
}

enum gate_status rocks_fence_check(struct rocks_store *s, struct gate_str key, uint64_t fence,
                                   struct gate_error *err)
{
    struct rocks_key lease_key;
    struct rocks_value value = {NULL, 0};
    struct lease l;
    enum gate_status status = GATE_OK;

    if (fence == 0)
        return GATE_OK;
    status = rocks_key_make(&lease_key, ROCKS_LEASE, key, err);
    if (status == GATE_OK)
        status = lease_read(s, &lease_key, &value, &l, err);
    if (status == GATE_OK && fence < l.fence)
        status = gate_fail(err, GATE_ECONFLICT,
                           "the lease was taken by another meanwhile (fence %llu, now %llu)",
                           (unsigned long long)fence, (unsigned long long)l.fence);
    if (status == GATE_OK && fence > l.fence) {
        l.fence = fence;
        lease_put(s, &lease_key, &l);
    }
    rocks_value_finish(&value);
    return status;
}
