/* The roster's records in storage: accounts and conditions as JSON, credentials sealed, counters as
 * the quota plugin writes them. */
#include "pool/roster_internal.h"
#include <cjson/cJSON.h>

enum { MAX_QUOTA = 64 * 1024 };

static const char *const kind_names[] = {"none", "api_key", "oauth"};

static struct gate_str key_of(char buf[ROSTER_MAX_KEY], const char *prefix, const char *id)
{
    int n = snprintf(buf, ROSTER_MAX_KEY, "%s%s", prefix, id);
    return (struct gate_str){buf, (size_t)n < ROSTER_MAX_KEY ? (size_t)n : ROSTER_MAX_KEY - 1};
}

/* ---- an account as JSON */

static void put_limits(cJSON *json, const struct gate_limits_rule *limits)
{
    cJSON *all = cJSON_AddObjectToObject(json, "limits");
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++) {
        const struct gate_limits_patch *p = &limits->kinds[kind];
        if (p->set == 0)
            continue;
        cJSON *one = cJSON_AddObjectToObject(all, gate_usage_kind_names[kind]);
        for (unsigned f = 0; f < GATE_LIMITS_FIELDS; f++)
            if (p->set & (1u << f))
                cJSON_AddNumberToObject(one, gate_limits_names[f],
                                        (double)gate_limits_value(&p->values, f));
    }
}

static void read_limits(const cJSON *json, struct gate_limits_rule *out)
{
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(json, "limits");
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++) {
        const cJSON *one = cJSON_GetObjectItemCaseSensitive(all, gate_usage_kind_names[kind]);
        for (unsigned f = 0; f < GATE_LIMITS_FIELDS; f++) {
            const cJSON *value = cJSON_GetObjectItemCaseSensitive(one, gate_limits_names[f]);
            if (cJSON_IsNumber(value) && value->valuedouble >= 0 &&
                value->valuedouble <= GATE_LIMITS_MAX)
                gate_limits_put(&out->kinds[kind], f, (uint64_t)value->valuedouble);
        }
    }
}

static char *account_json(const struct gate_member *m)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "source", m->source == GATE_MEMBER_CONFIG ? "config" : "stored");
    cJSON_AddStringToObject(json, "instance", m->instance->name);
    cJSON_AddStringToObject(json, "kind", kind_names[m->account->kind]);
    cJSON_AddStringToObject(json, "origin", m->origin);
    cJSON_AddStringToObject(json, "alias", m->alias);
    cJSON_AddBoolToObject(json, "enabled", m->enabled);
    cJSON_AddNumberToObject(json, "created", (double)m->created_ms);
    if (m->deleted_ms != 0)
        cJSON_AddNumberToObject(json, "deleted", (double)m->deleted_ms);
    if (m->has_weight)
        cJSON_AddNumberToObject(json, "weight", m->weight);
    if (m->seed != NULL)
        cJSON_AddStringToObject(json, "seed", m->seed);
    cJSON *tags = cJSON_AddArrayToObject(json, "tags");
    for (size_t i = 0; i < m->tag_count; i++)
        cJSON_AddItemToArray(tags, cJSON_CreateString(m->tags[i].ptr));
    put_limits(json, &m->limits);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (text == NULL)
        abort();
    return text;
}

static const char *text_of(const cJSON *json, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    return text != NULL ? text : "";
}

static double number_of(const cJSON *json, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, name);
    return cJSON_IsNumber(value) && value->valuedouble > 0 ? value->valuedouble : 0;
}

static void read_account(struct gate_member *m, const cJSON *json)
{
    struct gate_str tags[GATE_ROSTER_MAX_TAGS];
    size_t count = 0;
    const cJSON *tag, *weight = cJSON_GetObjectItemCaseSensitive(json, "weight");
    m->recorded = true;
    m->source =
        strcmp(text_of(json, "source"), "config") == 0 ? GATE_MEMBER_CONFIG : GATE_MEMBER_STORED;
    roster_set_text(&m->origin, gate_str_of(text_of(json, "origin")));
    roster_set_text(&m->alias, gate_str_of(text_of(json, "alias")));
    m->enabled = !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(json, "enabled"));
    m->created_ms = (uint64_t)number_of(json, "created");
    m->deleted_ms = (uint64_t)number_of(json, "deleted");
    if (cJSON_IsNumber(weight)) {
        m->has_weight = true;
        m->weight = (uint32_t)number_of(json, "weight");
    }
    if (text_of(json, "seed")[0] != '\0')
        roster_set_text(&m->seed, gate_str_of(text_of(json, "seed")));
    cJSON_ArrayForEach(tag, cJSON_GetObjectItemCaseSensitive(json, "tags"))
    {
        if (cJSON_IsString(tag) && count < GATE_ROSTER_MAX_TAGS)
            tags[count++] = gate_str_of(tag->valuestring);
    }
    roster_set_tags(m, tags, count);
    read_limits(json, &m->limits);
}

static enum gate_credential_kind kind_of(const cJSON *json)
{
    const char *name = text_of(json, "kind");
    for (size_t i = 0; i < sizeof kind_names / sizeof kind_names[0]; i++)
        if (strcmp(name, kind_names[i]) == 0)
            return (enum gate_credential_kind)i;
    return GATE_CREDENTIAL_NONE;
}

/* ---- writing */

/* One write of the roster: what the store thread needs to do it. */
struct write {
    struct gate_roster *roster;
    const char *id;
    const char *account;    /* JSON, or NULL */
    struct gate_str secret; /* sealed, or empty */
    bool erase;
    uint64_t expected, fence, version;
    enum gate_status status;
    struct gate_error *err;
};

static void run_save(struct gate_storage *s, void *arg)
{
    struct write *w = arg;
    char key[ROSTER_MAX_KEY];
    w->status =
        gate_storage_put_if(s, key_of(key, GATE_KEY_ACCOUNT, w->id), gate_str_of(w->account),
                            UINT64_MAX, 0, 0, GATE_PUT_SYNC, NULL, w->err);
}

enum gate_status roster_save(struct gate_roster *r, struct gate_member *m, struct gate_error *err)
{
    char *json = account_json(m);
    struct write w = {.roster = r, .id = m->account->id, .account = json, .err = err};
    gate_store_call(r->store, run_save, &w);
    free(json);
    m->recorded = m->recorded || w.status == GATE_OK;
    return w.status;
}

static void run_put_secret(struct gate_storage *s, void *arg)
{
    struct write *w = arg;
    char key[ROSTER_MAX_KEY];
    w->status = gate_storage_put_if(s, key_of(key, GATE_KEY_CREDENTIAL, w->id), w->secret,
                                    w->expected, w->fence, 0, GATE_PUT_SYNC, &w->version, w->err);
}

static enum gate_status seal(struct gate_roster *r, const char *id, struct gate_str secret,
                             struct gate_buf *out, struct gate_error *err)
{
    char key[ROSTER_MAX_KEY];
    gate_buf_init(out, ROSTER_MAX_SECRET + 256);
    return gate_vault_seal(r->vault, key_of(key, GATE_KEY_CREDENTIAL, id), secret, out, err);
}

enum gate_status roster_put_secret(struct gate_roster *r, const char *id, struct gate_str secret,
                                   uint64_t expected, uint64_t fence, uint64_t *version,
                                   struct gate_error *err)
{
    struct gate_buf sealed;
    struct write w = {.roster = r, .id = id, .expected = expected, .fence = fence, .err = err};
    w.status = seal(r, id, secret, &sealed, err);
    if (w.status == GATE_OK) {
        w.secret = gate_buf_str(&sealed);
        gate_store_call(r->store, run_put_secret, &w);
    }
    gate_buf_finish(&sealed);
    *version = w.version;
    return w.status;
}

/* Account and credential stand or fall together. */
static void run_save_new(struct gate_storage *s, void *arg)
{
    struct write *w = arg;
    w->status = s->ops->batch_begin(s->handle, w->err);
    if (w->status != GATE_OK)
        return;
    run_put_secret(s, w);
    if (w->status == GATE_OK)
        run_save(s, w);
    if (w->status == GATE_OK)
        w->status = s->ops->batch_commit(s->handle, GATE_PUT_SYNC, w->err);
    else
        s->ops->batch_abort(s->handle);
}

enum gate_status roster_save_new(struct gate_roster *r, struct gate_member *m,
                                 struct gate_str secret, uint64_t *version, struct gate_error *err)
{
    struct gate_buf sealed;
    char *json = account_json(m);
    struct write w = {
        .roster = r, .id = m->account->id, .account = json, .expected = UINT64_MAX, .err = err};
    w.status = seal(r, m->account->id, secret, &sealed, err);
    if (w.status == GATE_OK) {
        w.secret = gate_buf_str(&sealed);
        gate_store_call(r->store, run_save_new, &w);
    }
    gate_buf_finish(&sealed);
    free(json);
    m->recorded = m->recorded || w.status == GATE_OK;
    *version = w.version;
    return w.status;
}

static void run_erase(struct gate_storage *s, void *arg)
{
    static const char *const prefixes[] = {GATE_KEY_CREDENTIAL, GATE_KEY_CONDITION, GATE_KEY_QUOTA,
                                           GATE_KEY_ACCOUNT};
    struct write *w = arg;
    char key[ROSTER_MAX_KEY];
    w->status = GATE_OK;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0] && w->status == GATE_OK; i++)
        w->status = gate_storage_delete(s, key_of(key, prefixes[i], w->id), w->err);
}

enum gate_status roster_erase(struct gate_roster *r, const struct gate_member *m,
                              struct gate_error *err)
{
    struct write w = {.roster = r, .id = m->account->id, .err = err};
    gate_store_call(r->store, run_erase, &w);
    return w.status;
}

/* ---- reading */

struct read {
    const char *prefix, *id;
    struct gate_buf *out;
    uint64_t version;
    enum gate_status status;
    struct gate_error *err;
};

static void run_read(struct gate_storage *s, void *arg)
{
    struct read *r = arg;
    char key[ROSTER_MAX_KEY];
    r->status = gate_storage_get(s, key_of(key, r->prefix, r->id), r->out, &r->version, r->err);
}

enum gate_status roster_get_secret(struct gate_roster *r, const char *id, struct gate_buf *out,
                                   uint64_t *version, struct gate_error *err)
{
    struct gate_buf sealed;
    char key[ROSTER_MAX_KEY];
    struct read job = {.prefix = GATE_KEY_CREDENTIAL, .id = id, .out = &sealed, .err = err};
    gate_buf_init(&sealed, ROSTER_MAX_SECRET + 256);
    gate_store_call(r->store, run_read, &job);
    if (job.status == GATE_OK)
        job.status = gate_vault_open(r->vault, key_of(key, GATE_KEY_CREDENTIAL, id),
                                     gate_buf_str(&sealed), out, err);
    gate_buf_finish(&sealed);
    *version = job.version;
    return job.status;
}

struct load {
    struct gate_roster *roster;
    enum gate_status status;
    struct gate_error *err;
};

static bool load_one(void *ctx, const struct gate_record *record)
{
    struct load *l = ctx;
    char id[GATE_ACCOUNT_MAX_ID + 1];
    size_t prefix = sizeof GATE_KEY_ACCOUNT - 1, len = record->key.len - prefix;
    cJSON *json = cJSON_ParseWithLength(record->value.ptr, record->value.len);
    if (len == 0 || len > GATE_ACCOUNT_MAX_ID || json == NULL) {
        l->status = gate_fail(l->err, GATE_EPARSE,
                              "the record of account %.*s in storage is damaged: restore a backup",
                              (int)(len < GATE_ACCOUNT_MAX_ID ? len : GATE_ACCOUNT_MAX_ID),
                              record->key.ptr + prefix);
        cJSON_Delete(json);
        return false;
    }
    memcpy(id, record->key.ptr + prefix, len);
    id[len] = '\0';
    struct gate_member *m = roster_make_member(l->roster, id, kind_of(json));
    read_account(m, json);
    roster_list_push(&l->roster->waiting, m);
    cJSON_Delete(json);
    return true;
}

static void run_load(struct gate_storage *s, void *arg)
{
    struct load *l = arg;
    enum gate_status status = gate_storage_scan(s, GATE_STR(GATE_KEY_ACCOUNT), load_one, l, l->err);
    if (l->status == GATE_OK)
        l->status = status;
}

enum gate_status roster_load(struct gate_roster *r, struct gate_error *err)
{
    struct load l = {.roster = r, .err = err};
    gate_store_call(r->store, run_load, &l);
    roster_list_sort(&r->waiting);
    return l.status;
}

bool roster_load_account(struct gate_roster *r, struct gate_member *m)
{
    struct gate_buf text;
    struct gate_error err;
    struct read job = {.prefix = GATE_KEY_ACCOUNT, .id = m->account->id, .out = &text, .err = &err};
    gate_buf_init(&text, ROSTER_MAX_RECORD);
    gate_store_call(r->store, run_read, &job);
    cJSON *json = job.status == GATE_OK ? cJSON_ParseWithLength(text.ptr, text.len) : NULL;
    bool fits = json != NULL && kind_of(json) == m->account->kind;
    if (fits)
        read_account(m, json);
    cJSON_Delete(json);
    gate_buf_finish(&text);
    return fits;
}

/* ---- conditions */

static char *condition_json(struct gate_account *a)
{
    uint64_t until;
    enum gate_condition condition = gate_health_saved(a, &until);
    struct gate_last_error e;
    gate_health_last_error(a, &e);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "condition", condition);
    cJSON_AddNumberToObject(json, "until", (double)until);
    cJSON_AddNumberToObject(json, "error_at", (double)e.at_ms);
    cJSON_AddStringToObject(json, "message", e.message);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (text == NULL)
        abort();
    return text;
}

struct condition_write {
    char key[ROSTER_MAX_KEY];
    size_t key_len;
    char *json;
};

static void run_condition(struct gate_storage *s, void *arg)
{
    struct condition_write *w = arg;
    struct gate_error err;
    /* A failure is known to the store; the next change writes again. */
    gate_storage_put_if(s, (struct gate_str){w->key, w->key_len}, gate_str_of(w->json), UINT64_MAX,
                        0, 0, 0, NULL, &err);
    free(w->json);
    free(w);
}

void roster_save_condition(struct gate_roster *r, struct gate_member *m)
{
    struct condition_write *w = gate_calloc(1, sizeof *w);
    w->key_len = key_of(w->key, GATE_KEY_CONDITION, m->account->id).len;
    w->json = condition_json(m->account);
    gate_store_post(r->store, run_condition, w);
}

static void load_condition(struct gate_roster *r, struct gate_member *m)
{
    struct gate_buf text;
    struct gate_error err;
    struct read job = {
        .prefix = GATE_KEY_CONDITION, .id = m->account->id, .out = &text, .err = &err};
    gate_buf_init(&text, ROSTER_MAX_RECORD);
    gate_store_call(r->store, run_read, &job);
    cJSON *json = job.status == GATE_OK ? cJSON_ParseWithLength(text.ptr, text.len) : NULL;
    uint64_t until = (uint64_t)number_of(json, "until"), now = gate_clock_wall_ms();
    size_t condition = (size_t)number_of(json, "condition");
    /* A key of the configuration may have been mended there. */
    bool mended = m->source == GATE_MEMBER_CONFIG && condition == GATE_CONDITION_SIGN_IN;
    if (condition > GATE_CONDITION_SERVING && condition <= GATE_CONDITION_SIGN_IN && !mended &&
        (until == 0 ? condition == GATE_CONDITION_SIGN_IN : until > now))
        gate_health_set(m->account, (enum gate_condition)condition, until, text_of(json, "message"),
                        (uint64_t)number_of(json, "error_at"));
    m->saved_changes = atomic_load(&m->account->live.changes);
    cJSON_Delete(json);
    gate_buf_finish(&text);
}

static void load_counters(struct gate_roster *r, struct gate_member *m)
{
    struct gate_buf bytes;
    struct gate_error err = {.message = ""};
    struct read job = {.prefix = GATE_KEY_QUOTA, .id = m->account->id, .out = &bytes, .err = &err};
    gate_buf_init(&bytes, MAX_QUOTA);
    gate_store_call(r->store, run_read, &job);
    if (job.status == GATE_OK) {
        job.status = r->quota->ops->load(r->quota->instance, m->account->quota,
                                         gate_buf_str(&bytes), gate_clock_wall_ms(), &err);
        if (job.status != GATE_OK)
            gate_log_warn("account %s: its counters in storage cannot be read (%s): they start "
                          "anew",
                          m->account->id, err.message);
    }
    gate_buf_finish(&bytes);
}

void roster_load_state(struct gate_roster *r, struct gate_member *m)
{
    if (!m->reseeded)
        load_condition(r, m);
    else
        roster_save_condition(r, m); /* serving, over what was stored */
    load_counters(r, m);
}

/* ---- counters */

static uint64_t hash_bytes(struct gate_str s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
    return h | 1; /* 0: not written yet */
}

static struct gate_table *take_flush_table(struct gate_roster *r)
{
    pthread_mutex_lock(&r->lock);
    struct gate_table *t = r->flush_table;
    gate_table_retain(t);
    pthread_mutex_unlock(&r->lock);
    return t;
}

static bool flush_counters(struct gate_storage *s, void *arg)
{
    struct gate_roster *r = arg;
    struct gate_table *t = take_flush_table(r);
    struct gate_buf bytes;
    struct gate_error err;
    bool any = false;
    gate_buf_init(&bytes, MAX_QUOTA);
    struct gate_writer w = gate_buf_writer(&bytes);
    for (size_t i = 0; i < t->count; i++) {
        struct gate_account *a = t->entries[i].account;
        char key[ROSTER_MAX_KEY];
        bytes.len = 0;
        r->quota->ops->save(r->quota->instance, a->quota, &w);
        uint64_t hash = hash_bytes(gate_buf_str(&bytes));
        if (hash == a->saved)
            continue;
        any = true;
        a->saved = hash;
        if (gate_storage_put_if(s, key_of(key, GATE_KEY_QUOTA, a->id), gate_buf_str(&bytes),
                                UINT64_MAX, 0, 0, 0, NULL, &err) != GATE_OK)
            a->saved = 0;
    }
    gate_buf_finish(&bytes);
    gate_table_release(t);
    return any;
}

static void flushed_counters(void *arg, bool written)
{
    struct gate_roster *r = arg;
    if (written)
        return;
    struct gate_table *t = take_flush_table(r);
    for (size_t i = 0; i < t->count; i++)
        t->entries[i].account->saved = 0;
    gate_table_release(t);
}

void roster_add_flusher(struct gate_roster *r)
{
    const struct gate_flusher flusher = {flush_counters, flushed_counters, r};
    gate_store_add_flusher(r->store, &flusher);
}
