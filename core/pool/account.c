#include "pool/account.h"
#include "base/buf.h"
#include <stdlib.h>

const char *const gate_condition_names[] = {"serving", "cooling", "limited", "exhausted",
                                            "needs_sign_in"};

enum { CACHE_LINE = 64 };

static void *alloc_lines(size_t size)
{
    size_t whole = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    void *p = aligned_alloc(CACHE_LINE, whole);
    if (p == NULL)
        abort();
    return memset(p, 0, whole);
}

/* FNV-1a, then mixed: neighbouring ids must not have neighbouring hashes. */
static uint64_t hash_of(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s != '\0'; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

struct gate_account *gate_account_create(const char *id, enum gate_credential_kind kind,
                                         const struct gate_quota *quota)
{
    struct gate_account *a = alloc_lines(sizeof *a);
    atomic_init(&a->refs, 1);
    a->id = gate_strdup(gate_str_of(id));
    a->kind = kind;
    a->hash = hash_of(id);
    a->quota_size = quota->ops->state_size;
    a->quota = alloc_lines(a->quota_size);
    pthread_mutex_init(&a->lock, NULL);
    return a;
}

void gate_account_retain(struct gate_account *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
}

void gate_account_release(struct gate_account *a)
{
    if (a == NULL || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&a->lock);
    free(a->quota);
    free(a->id);
    free(a);
}

enum gate_status gate_attachment_create(struct gate_instance *instance,
                                        const struct gate_credential *credential, uint64_t version,
                                        uint64_t expires_at_ms, struct gate_attachment **out,
                                        struct gate_error *err)
{
    void *state = NULL;
    if (instance->ops->account_attach != NULL) {
        enum gate_status status =
            instance->ops->account_attach(instance->state, credential, &state, err);
        if (status != GATE_OK)
            return status;
    }
    struct gate_attachment *a = gate_calloc(1, sizeof *a);
    atomic_init(&a->refs, 1);
    a->instance = instance;
    gate_instance_retain(instance);
    a->state = state;
    a->version = version;
    a->expires_at_ms = expires_at_ms;
    *out = a;
    return GATE_OK;
}

void gate_attachment_retain(struct gate_attachment *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
}

void gate_attachment_release(struct gate_attachment *a)
{
    if (a == NULL || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (a->state != NULL && a->instance->ops->account_detach != NULL)
        a->instance->ops->account_detach(a->instance->state, a->state);
    gate_instance_release(a->instance);
    free(a);
}

void gate_table_retain(struct gate_table *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
}

void gate_table_release(struct gate_table *t)
{
    if (t == NULL || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < t->count; i++) {
        gate_account_release(t->entries[i].account);
        gate_attachment_release(t->entries[i].attachment);
    }
    gate_pool_release(t->pool);
    gate_config_release(t->config);
    free(t->entries);
    free(t->strings);
    free(t);
}

struct gate_table_pin *gate_table_pin_create(struct gate_table *table)
{
    struct gate_table_pin *p = gate_calloc(1, sizeof *p);
    gate_table_retain(table);
    p->table = table;
    p->users = 1;
    return p;
}

void gate_table_pin_drop(struct gate_table_pin *p)
{
    if (p == NULL || --p->users > 0)
        return;
    gate_table_release(p->table);
    free(p);
}
