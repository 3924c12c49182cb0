#include "pool/roster_internal.h"

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

void roster_free_member(struct gate_member *m)
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

/* ---- lists of members */

static size_t position_of(const struct roster_list *list, const char *id, bool *found)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(list->members[middle]->account->id, id);
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

struct gate_member *roster_list_find(const struct roster_list *list, const char *id)
{
    bool found;
    size_t at = position_of(list, id, &found);
    return found ? list->members[at] : NULL;
}

void roster_list_push(struct roster_list *list, struct gate_member *m)
{
    if (list->count == list->room) {
        list->room = list->room * 2 + 16;
        list->members = gate_realloc(list->members, list->room * sizeof list->members[0]);
    }
    list->members[list->count++] = m;
}

void roster_list_insert(struct roster_list *list, struct gate_member *m)
{
    bool found;
    size_t at = position_of(list, m->account->id, &found);
    roster_list_push(list, m);
    memmove(list->members + at + 1, list->members + at,
            (list->count - 1 - at) * sizeof list->members[0]);
    list->members[at] = m;
}

void roster_list_remove(struct roster_list *list, const struct gate_member *m)
{
    bool found;
    size_t at = position_of(list, m->account->id, &found);
    memmove(list->members + at, list->members + at + 1,
            (list->count - at - 1) * sizeof list->members[0]);
    list->count--;
}

static int by_id(const void *a, const void *b)
{
    const struct gate_member *const *x = a, *const *y = b;
    return strcmp((*x)->account->id, (*y)->account->id);
}

void roster_list_sort(struct roster_list *list)
{
    if (list->count > 1)
        qsort(list->members, list->count, sizeof list->members[0], by_id);
}

struct gate_member *roster_make_member(const struct gate_roster *r, const char *id,
                                       enum gate_credential_kind kind)
{
    struct gate_member *m = gate_calloc(1, sizeof *m);
    const char *slash = strchr(id, '/');
    m->account = gate_account_create(id, kind, r->quota);
    m->alias = gate_strdup(gate_str_of(slash != NULL ? slash + 1 : id));
    m->origin = gate_strdup(GATE_STR("added"));
    m->enabled = true;
    m->weight = 1;
    m->created_ms = gate_clock_wall_ms();
    gate_buf_init(&m->unwritten, ROSTER_MAX_SECRET);
    return m;
}

struct gate_member *roster_new_member(struct gate_roster *r, const char *id,
                                      struct gate_instance *instance,
                                      enum gate_credential_kind kind)
{
    struct gate_member *m = roster_make_member(r, id, kind);
    m->instance = instance;
    m->restored = true; /* it begins with nothing */
    roster_list_insert(&r->list, m);
    return m;
}

void roster_drop_member(struct gate_roster *r, struct gate_member *m)
{
    roster_list_remove(&r->list, m);
    roster_free_member(m);
}

struct gate_member *roster_find_id(const struct gate_roster *r, const char *id)
{
    return roster_list_find(&r->list, id);
}

struct gate_member *gate_roster_member_of(const struct gate_roster *r,
                                          const struct gate_account *account)
{
    struct gate_member *m = roster_list_find(&r->list, account->id);
    if (m == NULL || m->account != account)
        m = roster_list_find(&r->waiting, account->id);
    return m != NULL && m->account == account ? m : NULL;
}

struct gate_member *gate_roster_find(const struct gate_roster *r, struct gate_str name)
{
    struct gate_member *by_alias = NULL;
    for (size_t i = 0; i < r->list.count; i++) {
        if (gate_str_eq(name, gate_str_of(r->list.members[i]->account->id)))
            return r->list.members[i];
        if (!gate_str_eq(name, gate_str_of(r->list.members[i]->alias)))
            continue;
        if (by_alias != NULL)
            return NULL;
        by_alias = r->list.members[i];
    }
    return by_alias;
}

struct gate_member *const *gate_roster_members(const struct gate_roster *r, size_t *count)
{
    *count = r->list.count;
    return r->list.members;
}

/* ---- the newest table */

void roster_renew_table(struct gate_roster *r)
{
    struct gate_table *fresh = roster_build_table(r), *old = r->table;
    r->table = fresh;
    gate_table_retain(fresh);
    pthread_mutex_lock(&r->lock);
    struct gate_table *flushed = r->flush_table;
    r->flush_table = fresh;
    pthread_mutex_unlock(&r->lock);
    gate_table_release(flushed);
    gate_table_release(old);
}

void roster_publish(struct gate_roster *r)
{
    roster_renew_table(r);
    if (r->publisher.publish != NULL)
        r->publisher.publish(r->publisher.ctx, r->table);
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

/* ---- life */

enum gate_status gate_roster_create(struct gate_config *config, struct gate_pool *pool,
                                    const struct gate_quota *quota, struct gate_store *store,
                                    const struct gate_vault *vault,
                                    struct gate_generation *generation, struct gate_roster **out,
                                    struct gate_error *err)
{
    struct gate_roster *r = gate_calloc(1, sizeof *r);
    r->quota = quota;
    r->store = store;
    r->vault = vault;
    pthread_mutex_init(&r->lock, NULL);
    /* What is in storage waits until the configuration calls for it. */
    enum gate_status status = roster_load(r, err);
    if (status == GATE_OK)
        status = roster_take(r, config, pool, generation, err);
    if (status != GATE_OK) {
        gate_roster_destroy(r);
        return status;
    }
    roster_renew_table(r);
    roster_add_flusher(r);
    *out = r;
    return GATE_OK;
}

static void free_list(struct roster_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        roster_free_member(list->members[i]);
    free(list->members);
}

void gate_roster_destroy(struct gate_roster *r)
{
    if (r == NULL)
        return;
    gate_table_release(r->table);
    gate_table_release(r->flush_table);
    free_list(&r->list);
    free_list(&r->waiting);
    gate_generation_release(r->generation);
    gate_pool_release(r->pool);
    gate_config_release(r->config);
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
