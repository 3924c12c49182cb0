/* The record of the sessions, one for all of them, so that ending one is one write:
 *
 *     {"key":"<SHA-256 of the console's key>","sessions":[{"id","digest","created","last_seen",
 *      "expires","peer","agent"}...]}
 *
 * sealed by the vault: whoever can write the database still cannot make himself a session, nor
 * guess at the key. */
#include "admin/session_internal.h"
#include "base/json.h"
#include "base/json_tree.h"
#include "base/log.h"
#include <stdlib.h>

enum { MAX_RECORD = 256 * 1024, HEX = 2 * SHA256_DIGEST_LENGTH };

static const struct gate_str key = GATE_STR(GATE_KEY_SESSIONS);

/* ---- writing */

static void put_hex(struct gate_buf *out, const unsigned char digest[SHA256_DIGEST_LENGTH])
{
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++)
        gate_buf_printf(out, "%02x", digest[i]);
}

static void put_session(struct gate_buf *out, const struct session *one)
{
    const struct gate_session_view *v = &one->view;
    gate_buf_printf(out, "{\"id\":\"%s\",\"digest\":\"", v->id);
    put_hex(out, one->digest);
    gate_buf_printf(out, "\",\"created\":%llu,\"last_seen\":%llu,\"expires\":%llu,\"peer\":",
                    (unsigned long long)v->created_ms, (unsigned long long)v->last_seen_ms,
                    (unsigned long long)v->expires_ms);
    gate_json_put(out, gate_str_of(v->peer));
    gate_buf_append(out, GATE_STR(",\"agent\":"));
    gate_json_put(out, gate_str_of(v->agent));
    gate_buf_append(out, GATE_STR("}"));
}

static void describe(const unsigned char opened_by[SHA256_DIGEST_LENGTH],
                     const struct session *list, size_t count, struct gate_buf *out)
{
    gate_buf_append(out, GATE_STR("{\"key\":\""));
    put_hex(out, opened_by);
    gate_buf_append(out, GATE_STR("\",\"sessions\":["));
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            gate_buf_append_byte(out, ',');
        put_session(out, &list[i]);
    }
    gate_buf_append(out, GATE_STR("]}"));
}

/* Store thread. */
static enum gate_status write_list(struct gate_storage *storage, struct gate_sessions *s,
                                   struct gate_error *err)
{
    struct gate_buf plain, sealed;
    struct session *list = gate_alloc(sizeof s->list);
    unsigned char opened_by[SHA256_DIGEST_LENGTH];
    pthread_mutex_lock(&s->lock);
    s->saving = false;
    size_t count = s->count;
    memcpy(opened_by, s->key, sizeof opened_by);
    memcpy(list, s->list, count * sizeof *list);
    pthread_mutex_unlock(&s->lock);
    gate_buf_init(&plain, MAX_RECORD);
    gate_buf_init(&sealed, 2 * MAX_RECORD);
    describe(opened_by, list, count, &plain);
    enum gate_status status =
        gate_vault_seal(s->parts.vault, key, gate_buf_str(&plain), &sealed, err);
    if (status == GATE_OK)
        status = gate_storage_put_if(storage, key, gate_buf_str(&sealed), UINT64_MAX, 0, 0,
                                     GATE_PUT_SYNC, NULL, err);
    gate_buf_wipe(&plain);
    gate_buf_finish(&sealed);
    gate_wipe(list, sizeof s->list);
    free(list);
    return status;
}

static void save_job(struct gate_storage *storage, void *arg)
{
    struct gate_error err = {.message = ""};
    if (write_list(storage, arg, &err) != GATE_OK)
        gate_log_warn("the console's sessions are not in storage, so a restart ends the new ones: "
                      "%s",
                      err.message);
}

void session_save_soon(struct gate_sessions *s)
{
    pthread_mutex_lock(&s->lock);
    bool queued = s->saving;
    s->saving = true;
    pthread_mutex_unlock(&s->lock);
    if (!queued)
        gate_store_post(s->parts.store, save_job, s);
}

struct saving {
    struct gate_sessions *sessions;
    enum gate_status status;
    struct gate_error *err;
};

static void save_and_tell(struct gate_storage *storage, void *arg)
{
    struct saving *w = arg;
    w->status = write_list(storage, w->sessions, w->err);
}

enum gate_status session_save(struct gate_sessions *s, struct gate_error *err)
{
    struct saving w = {.sessions = s, .err = err};
    gate_store_call(s->parts.store, save_and_tell, &w);
    return w.status;
}

/* ---- reading */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const cJSON *object, const char *name, unsigned char out[SHA256_DIGEST_LENGTH])
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    if (text == NULL || strlen(text) != HEX)
        return false;
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool read_text(const cJSON *object, const char *name, char *out, size_t cap)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text != NULL && (size_t)snprintf(out, cap, "%s", text) < cap;
}

static bool read_time(const cJSON *object, const char *name, uint64_t *out)
{
    return gate_json_tree_whole(cJSON_GetObjectItemCaseSensitive(object, name), 0, 9e15, out);
}

static bool read_session(const cJSON *object, struct session *out)
{
    struct gate_session_view *v = &out->view;
    return read_text(object, "id", v->id, sizeof v->id) && strlen(v->id) == GATE_CONSOLE_SESSION &&
           read_hex(object, "digest", out->digest) &&
           read_time(object, "created", &v->created_ms) &&
           read_time(object, "last_seen", &v->last_seen_ms) &&
           read_time(object, "expires", &v->expires_ms) &&
           read_text(object, "peer", v->peer, sizeof v->peer) &&
           read_text(object, "agent", v->agent, sizeof v->agent);
}

static bool read_list(struct gate_sessions *s, const cJSON *root, uint64_t now_ms)
{
    unsigned char opened_by[SHA256_DIGEST_LENGTH];
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "sessions"), *one;
    if (!cJSON_IsArray(list) || !read_hex(root, "key", opened_by))
        return false;
    if (memcmp(opened_by, s->key, sizeof opened_by) != 0) {
        gate_log_info("the console's key has changed: the sessions that the old one opened are "
                      "over");
        return true;
    }
    cJSON_ArrayForEach(one, list)
    {
        struct session read = {.view = {.id = ""}};
        if (!read_session(one, &read))
            return false;
        if (now_ms < read.view.expires_ms && s->count < GATE_SESSIONS_MAX)
            s->list[s->count++] = read;
    }
    return true;
}

struct loading {
    struct gate_sessions *sessions;
    uint64_t now_ms;
};

static void load_job(struct gate_storage *storage, void *arg)
{
    const struct loading *l = arg;
    struct gate_buf sealed, plain;
    struct gate_error err = {.message = ""};
    char reason[GATE_JSON_TREE_REASON] = "";
    gate_buf_init(&sealed, 2 * MAX_RECORD);
    gate_buf_init(&plain, MAX_RECORD);
    enum gate_status status = gate_storage_get(storage, key, &sealed, NULL, &err);
    if (status == GATE_OK)
        status =
            gate_vault_open(l->sessions->parts.vault, key, gate_buf_str(&sealed), &plain, &err);
    if (status == GATE_OK) {
        cJSON *root = gate_json_tree_parse(gate_buf_str(&plain), reason);
        if (root == NULL || !read_list(l->sessions, root, l->now_ms)) {
            l->sessions->count = 0;
            gate_log_warn("the console's stored sessions make no sense and are over");
        }
        gate_json_tree_free(root);
    } else if (status != GATE_ENOTFOUND) {
        gate_log_warn("the console's stored sessions cannot be read and are over: %s", err.message);
    }
    gate_buf_finish(&sealed);
    gate_buf_wipe(&plain);
}

void session_load(struct gate_sessions *s, uint64_t now_ms)
{
    struct loading l = {.sessions = s, .now_ms = now_ms};
    gate_store_call(s->parts.store, load_job, &l);
}
