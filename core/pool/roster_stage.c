/* Accounts for a configuration that is tried beside the one that runs. Nothing of the roster, nor
 * of storage, changes by it. The table is built from shadows: copies of the members for the time of
 * the building, in which the configuration, instance and credential are those of the trial. */
#include "pool/roster_internal.h"

struct gate_roster_stage {
    struct gate_config *config; /* retained, as are the next two */
    struct gate_pool *pool;
    struct gate_generation *generation;
    struct roster_list own; /* accounts that are not those that run; owned */
};

/* One building of its table. */
struct building {
    struct gate_roster *roster;
    struct gate_roster_stage *stage;
    struct gate_member *shadows; /* their strings are lent */
    size_t count, room;
};

/* ---- life */

struct gate_roster_stage *gate_roster_stage_create(struct gate_config *config,
                                                   struct gate_pool *pool,
                                                   struct gate_generation *generation)
{
    struct gate_roster_stage *s = gate_calloc(1, sizeof *s);
    gate_config_retain(config);
    gate_pool_retain(pool);
    gate_generation_retain(generation);
    s->config = config;
    s->pool = pool;
    s->generation = generation;
    return s;
}

void gate_roster_stage_destroy(struct gate_roster_stage *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->own.count; i++)
        roster_free_member(s->own.members[i]);
    free(s->own.members);
    gate_generation_release(s->generation);
    gate_pool_release(s->pool);
    gate_config_release(s->config);
    free(s);
}

/* ---- accounts of its own */

static struct gate_member *own_of(const struct building *b, const char *id,
                                  enum gate_credential_kind kind)
{
    struct gate_member *own = roster_list_find(&b->stage->own, id);
    if (own != NULL && own->account->kind == kind)
        return own;
    if (own != NULL) {
        roster_list_remove(&b->stage->own, own);
        roster_free_member(own);
    }
    own = roster_make_member(b->roster, id, kind);
    roster_list_insert(&b->stage->own, own);
    return own;
}

static enum gate_status attach(struct gate_member *own, struct gate_instance *instance,
                               struct gate_str secret, uint64_t stored, struct gate_error *err)
{
    struct gate_attachment *fresh;
    enum gate_status status =
        roster_prepare(own, instance, own->account->kind, secret, &fresh, err);
    if (status == GATE_OK)
        roster_use(own, fresh, stored);
    return status;
}

/* The shadow's account and credential, where they cannot be those that run. */
static enum gate_status give_named(const struct building *b, struct gate_member *shadow,
                                   struct gate_error *err)
{
    const struct gate_config_account *c = shadow->config;
    struct gate_member *own = own_of(b, c->id, c->kind);
    struct gate_error why = {.message = ""};
    enum gate_status status = GATE_OK;
    if (own->attachment == NULL)
        status =
            attach(own, shadow->instance, (struct gate_str){c->secret, c->secret_len}, 0, &why);
    if (status != GATE_OK)
        return gate_fail(err, status, "provider %s, account %s: %s", shadow->instance->name, c->id,
                         why.message);
    shadow->account = own->account;
    shadow->attachment = own->attachment;
    return GATE_OK;
}

/* A credential that cannot be had now leaves the account without one, as it does elsewhere. */
static void give_stored(const struct building *b, const struct gate_member *m,
                        struct gate_member *shadow)
{
    struct gate_member *own = own_of(b, m->account->id, m->account->kind);
    struct gate_error why;
    struct gate_buf secret;
    uint64_t stored;
    shadow->account = own->account;
    if (own->attachment == NULL || own->stored_version != m->stored_version ||
        m->unwritten.len > 0) {
        gate_buf_init(&secret, ROSTER_MAX_SECRET);
        if (gate_roster_secret(b->roster, m, &secret, &stored, &why) == GATE_OK)
            attach(own, shadow->instance, gate_buf_str(&secret), m->stored_version, &why);
        gate_buf_wipe(&secret);
    }
    shadow->attachment = own->attachment;
}

/* ---- shadows */

static struct gate_member *add_shadow(struct building *b, const struct gate_member *m,
                                      struct gate_instance *instance)
{
    static const struct gate_member unknown = {.enabled = true, .weight = 1};
    if (b->count == b->room) {
        b->room = 2 * b->room + 16;
        b->shadows = gate_realloc(b->shadows, b->room * sizeof b->shadows[0]);
    }
    struct gate_member *shadow = &b->shadows[b->count++];
    *shadow = m != NULL ? *m : unknown;
    shadow->instance = instance;
    shadow->config = NULL;
    return shadow;
}

static void add_stored(struct building *b, struct gate_member *m, struct gate_instance *instance,
                       const struct gate_config_account *c)
{
    struct gate_member *shadow = add_shadow(b, m, instance);
    shadow->config = c;
    if (m->instance != instance)
        give_stored(b, m, shadow);
}

/* As roster_switch.c takes it into use. */
static enum gate_status add_named(struct building *b, struct gate_member *m,
                                  struct gate_instance *instance,
                                  const struct gate_config_account *c, struct gate_error *err)
{
    const struct gate_str secret = {c->secret, c->secret_len};
    bool runs = m != NULL && m->instance == instance && m->source == GATE_MEMBER_CONFIG &&
                m->config != NULL &&
                gate_str_eq(secret, (struct gate_str){m->config->secret, m->config->secret_len});
    struct gate_member *shadow = add_shadow(b, m, instance);
    shadow->config = c;
    shadow->deleted_ms = 0;
    if (m == NULL || !m->recorded) {
        shadow->alias = c->alias;
        shadow->tag_count = 0;
        for (size_t i = 0; i < c->tag_count && i < GATE_ROSTER_MAX_TAGS; i++)
            shadow->tags[shadow->tag_count++] = gate_str_of(c->tags[i]);
    }
    return runs ? GATE_OK : give_named(b, shadow, err);
}

static struct gate_member *find_member(const struct gate_roster *r,
                                       const struct gate_config_account *c)
{
    struct gate_member *m = roster_list_find(&r->list, c->id);
    if (m == NULL)
        m = roster_list_find(&r->waiting, c->id);
    if (m != NULL)
        m->called_for = true;
    return m != NULL && m->account->kind == c->kind ? m : NULL;
}

static enum gate_status add_configured(struct building *b, struct gate_instance *instance,
                                       const struct gate_config_account *c, struct gate_error *err)
{
    struct gate_member *m = find_member(b->roster, c);
    if (c->source != GATE_SOURCE_SEED)
        return add_named(b, m, instance, c, err);
    if (!roster_is_stored_seed(m, c))
        return gate_fail(err, GATE_ECONFLICT,
                         "the login of account %s is taken into storage when it is published, so "
                         "it cannot be staged",
                         c->id);
    add_stored(b, m, instance, c);
    return GATE_OK;
}

/* Those that only storage knows. */
static void add_others(struct building *b, const struct roster_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct gate_member *m = list->members[i];
        const char *id = m->account->id;
        struct gate_instance *instance =
            gate_pool_find(b->stage->pool, (struct gate_str){id, strcspn(id, "/")}, NULL);
        if (instance != NULL && !m->called_for && m->source == GATE_MEMBER_STORED &&
            m->deleted_ms == 0)
            add_stored(b, m, instance, NULL);
        m->called_for = false;
    }
}

static enum gate_status add_all(struct building *b, struct gate_error *err)
{
    const struct gate_config *config = b->stage->config;
    enum gate_status status = GATE_OK;
    for (size_t i = 0; i < config->instance_count; i++) {
        const struct gate_config_instance *c = &config->instances[i];
        struct gate_instance *instance = gate_pool_find(b->stage->pool, gate_str_of(c->name), NULL);
        for (size_t k = 0; instance != NULL && k < c->account_count && status == GATE_OK; k++)
            status = add_configured(b, instance, &c->accounts[k], err);
    }
    add_others(b, &b->roster->list); /* also takes the marks off */
    add_others(b, &b->roster->waiting);
    return status;
}

/* ---- the table */

enum gate_status gate_roster_stage_table(struct gate_roster *r, struct gate_roster_stage *s,
                                         struct gate_table **out, struct gate_error *err)
{
    struct building b = {.roster = r, .stage = s};
    struct gate_roster shadow = {
        .config = s->config,
        .pool = s->pool,
        .generation = s->generation,
        .number = r->number,
    };
    enum gate_status status = add_all(&b, err);
    if (status == GATE_OK) {
        for (size_t i = 0; i < b.count; i++)
            roster_list_push(&shadow.list, &b.shadows[i]);
        roster_list_sort(&shadow.list);
        *out = roster_build_table(&shadow);
        r->number = shadow.number;
    }
    free(shadow.list.members);
    free(b.shadows);
    return status;
}
