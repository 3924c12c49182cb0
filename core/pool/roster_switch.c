/* What the configuration says of accounts, at the start and whenever it changes. First everything
 * is prepared that can be refused, beside what runs; then it is taken into use. */
#include "pool/roster_internal.h"
#include <openssl/evp.h>

enum { SEED_HEX = 65 };

/* An account that takes part afterwards. */
struct part {
    struct gate_member *m;                    /* NULL: it is made */
    struct gate_member *replaced;             /* of that id, but another kind: goes; or NULL */
    const struct gate_config_account *config; /* NULL: only storage knows it */
    struct gate_instance *instance;
    bool seeded;  /* its login is new, or another one than before */
    bool renewed; /* takes `fresh`; without one it has no usable credential: `problem` */
    struct gate_attachment *fresh;
    uint64_t stored; /* version of the record that fresh was made of */
    struct gate_error problem;
};

struct plan {
    struct gate_roster *roster;
    const struct gate_config *config;
    const struct gate_pool *pool;
    struct part *parts;
    size_t count, room;
};

static void add_part(struct plan *p, const struct part *part)
{
    if (p->count == p->room) {
        p->room = p->room * 2 + 16;
        p->parts = gate_realloc(p->parts, p->room * sizeof p->parts[0]);
    }
    p->parts[p->count++] = *part;
}

static bool is_seed(const struct gate_config_account *c)
{
    return c != NULL && c->source == GATE_SOURCE_SEED;
}

static void fingerprint(const struct gate_config_account *c, char hex[SEED_HEX])
{
    unsigned char digest[32];
    EVP_Digest(c->secret, c->secret_len, digest, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* A login of the configuration is stored once: refreshes make it older than what is stored. */
bool roster_is_stored_seed(const struct gate_member *m, const struct gate_config_account *c)
{
    char seed[SEED_HEX];
    fingerprint(c, seed);
    return m != NULL && m->seed != NULL && strcmp(m->seed, seed) == 0;
}

/* ---- who takes part */

static void plan_account(struct plan *p, struct gate_instance *instance,
                         const struct gate_config_account *c)
{
    struct part part = {.config = c, .instance = instance};
    struct gate_member *m = roster_list_find(&p->roster->list, c->id);
    if (m == NULL)
        m = roster_list_find(&p->roster->waiting, c->id);
    if (m != NULL)
        m->called_for = true;
    if (m != NULL && m->account->kind != c->kind)
        part.replaced = m; /* what was set was set for another kind of account */
    else
        part.m = m;
    part.seeded = is_seed(c) && !roster_is_stored_seed(part.m, c);
    add_part(p, &part);
}

static void plan_stored(struct plan *p, const struct roster_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct part part = {.m = list->members[i]};
        const char *id = part.m->account->id;
        if (part.m->called_for || part.m->source != GATE_MEMBER_STORED)
            continue;
        part.instance = gate_pool_find(p->pool, (struct gate_str){id, strcspn(id, "/")}, NULL);
        if (part.instance == NULL)
            continue;
        part.m->called_for = true;
        add_part(p, &part);
    }
}

static void make_plan(struct plan *p)
{
    for (size_t i = 0; i < p->config->instance_count; i++) {
        const struct gate_config_instance *c = &p->config->instances[i];
        struct gate_instance *instance = gate_pool_find(p->pool, gate_str_of(c->name), NULL);
        for (size_t k = 0; instance != NULL && k < c->account_count; k++)
            plan_account(p, instance, &c->accounts[k]);
    }
    plan_stored(p, &p->roster->list);
    plan_stored(p, &p->roster->waiting);
}

static void unmark(const struct roster_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        list->members[i]->called_for = false;
}

static void drop_plan(struct plan *p)
{
    for (size_t i = 0; i < p->count; i++)
        gate_attachment_release(p->parts[i].fresh);
    free(p->parts);
    unmark(&p->roster->list);
    unmark(&p->roster->waiting);
}

/* ---- credentials, beside those in use */

static const char *origin_of(const struct gate_config_account *c)
{
    return c->key_env != NULL ? c->key_env : c->file != NULL ? c->file : "gateway.lua";
}

static bool is_in_use(const struct part *part, struct gate_str secret)
{
    const struct gate_member *m = part->m;
    return m != NULL && m->source == GATE_MEMBER_CONFIG && m->config != NULL &&
           m->attachment != NULL && m->instance == part->instance &&
           gate_str_eq(secret, (struct gate_str){m->config->secret, m->config->secret_len});
}

/* A key of the configuration that its provider does not take is a mistake of the operator's: better
 * told at once than at the first request. */
static enum gate_status prepare_named(struct part *part, struct gate_error *err)
{
    const struct gate_config_account *c = part->config;
    const struct gate_str secret = {c->secret, c->secret_len};
    struct gate_error why = {.message = ""};
    if (is_in_use(part, secret))
        return GATE_OK;
    part->renewed = true;
    if (roster_prepare(part->m, part->instance, c->kind, secret, &part->fresh, &why) == GATE_OK)
        return GATE_OK;
    return gate_fail(err, GATE_EINVAL, "provider %s, account %s (%s): %s", part->instance->name,
                     c->id, origin_of(c), why.message);
}

static void prepare_seed(struct part *part)
{
    const struct gate_config_account *c = part->config;
    part->renewed = true;
    roster_prepare(part->m, part->instance, c->kind, (struct gate_str){c->secret, c->secret_len},
                   &part->fresh, &part->problem);
}

/* What does not work is kept with its problem. But an account that serves is not taken out of
 * service because storage does not answer just now. */
static enum gate_status prepare_stored(struct gate_roster *r, struct part *part,
                                       struct gate_error *err)
{
    struct gate_member *m = part->m;
    struct gate_buf secret;
    if (m->instance == part->instance)
        return GATE_OK;
    part->renewed = true;
    gate_buf_init(&secret, ROSTER_MAX_SECRET);
    enum gate_status status = gate_roster_secret(r, m, &secret, &part->stored, &part->problem);
    if (status == GATE_OK)
        roster_prepare(m, part->instance, m->account->kind, gate_buf_str(&secret), &part->fresh,
                       &part->problem);
    gate_buf_wipe(&secret);
    if (m->attachment == NULL || status != GATE_EIO)
        return GATE_OK;
    return gate_fail(err, status, "account %s: its credential cannot be read now: %s",
                     m->account->id, part->problem.message);
}

static enum gate_status prepare(struct plan *p, struct gate_error *err)
{
    enum gate_status status = GATE_OK;
    for (size_t i = 0; i < p->count && status == GATE_OK; i++) {
        struct part *part = &p->parts[i];
        if (part->seeded)
            prepare_seed(part);
        else if (part->config != NULL && !is_seed(part->config))
            status = prepare_named(part, err);
        else
            status = prepare_stored(p->roster, part, err);
    }
    return status;
}

/* ---- into use: nothing is refused from here on */

static void take_named(struct gate_member *m, const struct gate_config_account *c)
{
    m->source = GATE_MEMBER_CONFIG;
    m->deleted_ms = 0;
    gate_buf_wipe(&m->unwritten);
    roster_set_text(&m->origin, gate_str_of(origin_of(c)));
    if (m->recorded)
        return; /* a person has changed it */
    struct gate_str tags[GATE_ROSTER_MAX_TAGS];
    size_t count = c->tag_count < GATE_ROSTER_MAX_TAGS ? c->tag_count : GATE_ROSTER_MAX_TAGS;
    for (size_t i = 0; i < count; i++)
        tags[i] = gate_str_of(c->tags[i]);
    roster_set_tags(m, tags, count);
    roster_set_text(&m->alias, gate_str_of(c->alias));
}

static void take_seed(struct gate_roster *r, struct part *part, struct gate_member *m)
{
    const struct gate_config_account *c = part->config;
    struct gate_error err = {.message = ""};
    char seed[SEED_HEX];
    fingerprint(c, seed);
    m->source = GATE_MEMBER_STORED;
    m->deleted_ms = 0;
    gate_buf_wipe(&m->unwritten);
    roster_set_text(&m->seed, gate_str_of(seed));
    roster_set_text(&m->origin, gate_str_of(origin_of(c)));
    roster_set_text(&m->alias, gate_str_of(c->alias));
    part->stored = 0;
    if (roster_save_new(r, m, (struct gate_str){c->secret, c->secret_len}, &part->stored, &err) !=
        GATE_OK)
        gate_log_error("account %s: %s", c->id, err.message);
    m->reseeded = true;
}

static void take_credential(struct part *part, struct gate_member *m)
{
    if (part->fresh == NULL) {
        gate_attachment_release(m->attachment);
        m->attachment = NULL;
        m->problem = part->problem;
        gate_log_warn("account %s: its credential does not work: %s", m->account->id,
                      m->problem.message);
        return;
    }
    bool same = !part->seeded && m->source == GATE_MEMBER_STORED && m->attachment != NULL &&
                m->stored_version == part->stored;
    uint64_t secret_version = m->secret_version;
    roster_use(m, part->fresh, part->stored);
    part->fresh = NULL;
    if (same) /* who waits for another token must not take this one for it */
        m->secret_version = secret_version;
    /* What the service refused may have been mended. */
    if (m->source == GATE_MEMBER_CONFIG && m->restored &&
        gate_health_read(m->account, gate_clock_wall_ms()).unproven == GATE_CONDITION_SIGN_IN)
        gate_health_clear(m->account);
}

static void take_state(struct gate_roster *r, struct gate_member *m)
{
    if (!m->restored) {
        roster_load_state(r, m);
    } else if (m->reseeded) {
        gate_health_clear(m->account);
        m->saved_changes = atomic_load(&m->account->live.changes);
        roster_save_condition(r, m);
    }
    m->restored = true;
    m->reseeded = false;
}

static struct gate_member *take_part(struct gate_roster *r, struct part *part)
{
    struct gate_member *m = part->m;
    if (m == NULL) {
        m = roster_make_member(r, part->config->id, part->config->kind);
        roster_load_account(r, m);
    }
    m->instance = part->instance;
    m->config = part->config;
    if (part->seeded)
        take_seed(r, part, m);
    else if (part->config != NULL && !is_seed(part->config))
        take_named(m, part->config);
    if (part->renewed)
        take_credential(part, m);
    take_state(r, m);
    return m;
}

/* ---- who does not take part */

static void park(struct gate_member *m)
{
    gate_attachment_release(m->attachment);
    m->attachment = NULL;
    gate_fail(&m->problem, GATE_ENOTFOUND, "the configuration does not name %s any more",
              m->source == GATE_MEMBER_CONFIG ? "it" : "its provider");
    m->instance = NULL;
    m->config = NULL;
}

/* What was set for accounts of the configuration is in storage too: of those that wait only so many
 * are kept in memory. */
static void bound_waiting(struct gate_roster *r, struct roster_list *waiting)
{
    for (size_t i = waiting->count; i-- > 0 && waiting->count > GATE_ACCOUNT_MAX;) {
        struct gate_member *m = waiting->members[i];
        if (m->source != GATE_MEMBER_CONFIG)
            continue;
        roster_write_late(r, m);
        roster_list_remove(waiting, m);
        roster_free_member(m);
    }
}

static void tell_of_waiting(const struct roster_list *waiting)
{
    size_t count = 0;
    for (size_t i = 0; i < waiting->count; i++)
        count += waiting->members[i]->source == GATE_MEMBER_STORED;
    if (count > 0)
        gate_log_warn("%zu stored accounts belong to providers that are not configured; they are "
                      "kept",
                      count);
}

/* Moves everybody who is not called for to the list of those who wait. */
static void take_leave(struct roster_list *from, struct roster_list *waiting)
{
    for (size_t i = 0; i < from->count; i++)
        if (!from->members[i]->called_for) {
            park(from->members[i]);
            roster_list_push(waiting, from->members[i]);
        }
    free(from->members);
}

static bool somebody_leaves(const struct roster_list *list, const struct plan *p)
{
    bool leaves = false;
    for (size_t i = 0; i < list->count && !leaves; i++)
        leaves = !list->members[i]->called_for;
    for (size_t i = 0; i < p->count && !leaves; i++)
        leaves = p->parts[i].replaced != NULL;
    return leaves;
}

static void nothing(struct gate_storage *s, void *arg)
{
    (void)s;
    (void)arg;
}

static void take_plan(struct plan *p)
{
    struct gate_roster *r = p->roster;
    struct roster_list list = {0}, waiting = {0};
    bool first = r->config == NULL, leaves = somebody_leaves(&r->list, p);
    if (leaves) {
        /* Counters are written for accounts in the table: for these it is the last time. */
        gate_store_flush(r->store, NULL, NULL);
        gate_store_call(r->store, nothing, NULL);
    }
    for (size_t i = 0; i < p->count; i++)
        roster_list_push(&list, take_part(r, &p->parts[i]));
    take_leave(&r->list, &waiting);
    take_leave(&r->waiting, &waiting);
    for (size_t i = 0; i < p->count; i++)
        if (p->parts[i].replaced != NULL)
            roster_free_member(p->parts[i].replaced);
    roster_list_sort(&list);
    roster_list_sort(&waiting);
    bound_waiting(r, &waiting);
    r->list = list;
    r->waiting = waiting;
    if (first || leaves)
        tell_of_waiting(&waiting);
}

/* ---- all of it */

enum gate_status roster_take(struct gate_roster *r, struct gate_config *config,
                             struct gate_pool *pool, struct gate_generation *generation,
                             struct gate_error *err)
{
    struct plan p = {.roster = r, .config = config, .pool = pool};
    make_plan(&p);
    enum gate_status status = prepare(&p, err);
    if (status == GATE_OK) {
        struct gate_config *old_config = r->config;
        struct gate_pool *old_pool = r->pool;
        struct gate_generation *old_generation = r->generation;
        take_plan(&p);
        gate_config_retain(config);
        gate_pool_retain(pool);
        gate_generation_retain(generation);
        r->config = config;
        r->pool = pool;
        r->generation = generation;
        gate_generation_release(old_generation);
        gate_pool_release(old_pool);
        gate_config_release(old_config);
    }
    drop_plan(&p);
    return status;
}

enum gate_status gate_roster_switch(struct gate_roster *r, struct gate_config *config,
                                    struct gate_pool *pool, struct gate_generation *generation,
                                    struct gate_table **out, struct gate_error *err)
{
    enum gate_status status = roster_take(r, config, pool, generation, err);
    if (status != GATE_OK)
        return status;
    roster_renew_table(r);
    *out = gate_roster_table(r);
    return GATE_OK;
}
