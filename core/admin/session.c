#include "admin/session_internal.h"
#include "base/random.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { TOKEN_BYTES = 32, ID_BYTES = GATE_CONSOLE_SESSION / 2 };

/* ---- tokens */

static void digest_of(struct gate_str token, unsigned char out[SHA256_DIGEST_LENGTH])
{
    SHA256((const unsigned char *)token.ptr, token.len, out);
}

/* Base64url without padding. */
static void make_token(char out[GATE_CONSOLE_TOKEN + 1])
{
    unsigned char bytes[TOKEN_BYTES];
    char text[GATE_CONSOLE_TOKEN + 2]; /* with one '=' */
    gate_random_bytes(bytes, sizeof bytes);
    EVP_EncodeBlock((unsigned char *)text, bytes, sizeof bytes);
    for (size_t i = 0; i < GATE_CONSOLE_TOKEN; i++)
        out[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    out[GATE_CONSOLE_TOKEN] = '\0';
    gate_wipe(bytes, sizeof bytes);
    gate_wipe(text, sizeof text);
}

static void make_id(char out[GATE_CONSOLE_SESSION + 1])
{
    unsigned char bytes[ID_BYTES];
    gate_random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < ID_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* What is not printable ASCII becomes '?': it is shown, and logged nowhere. */
static void copy_printable(char *out, size_t cap, struct gate_str text)
{
    size_t len = text.len < cap - 1 ? text.len : cap - 1;
    for (size_t i = 0; i < len; i++)
        out[i] = text.ptr[i] >= ' ' && text.ptr[i] <= '~' ? text.ptr[i] : '?';
    out[len] = '\0';
}

/* ---- the list; all with the lock */

static void drop(struct gate_sessions *s, size_t at)
{
    memmove(&s->list[at], &s->list[at + 1], (s->count - at - 1) * sizeof s->list[0]);
    s->count--;
    gate_wipe(&s->list[s->count], sizeof s->list[0]);
}

/* A clock that is set back must not make anything last longer: from now on it has its full time at
 * most. */
static bool is_over(uint64_t *expires_ms, uint64_t now_ms, uint64_t full_ms)
{
    if (*expires_ms > now_ms + full_ms)
        *expires_ms = now_ms + full_ms;
    return now_ms >= *expires_ms;
}

static bool has_ended(struct session *one, uint64_t now_ms)
{
    return is_over(&one->view.expires_ms, now_ms, GATE_SESSION_MS);
}

static void drop_expired(struct gate_sessions *s, uint64_t now_ms)
{
    for (size_t i = s->count; i > 0; i--)
        if (has_ended(&s->list[i - 1], now_ms))
            drop(s, i - 1);
}

/* Looks at every session, so that the time it takes says nothing. */
static struct session *by_token(struct gate_sessions *s, struct gate_str token)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct session *found = NULL;
    if (token.len != GATE_CONSOLE_TOKEN)
        return NULL;
    digest_of(token, digest);
    for (size_t i = 0; i < s->count; i++)
        if (CRYPTO_memcmp(digest, s->list[i].digest, sizeof digest) == 0)
            found = &s->list[i];
    return found;
}

static struct session *by_id(struct gate_sessions *s, struct gate_str id)
{
    for (size_t i = 0; i < s->count; i++)
        if (gate_str_eq(gate_str_of(s->list[i].view.id), id))
            return &s->list[i];
    return NULL;
}

static void drop_id(struct gate_sessions *s, const char *id)
{
    struct session *found = id != NULL ? by_id(s, gate_str_of(id)) : NULL;
    if (found != NULL)
        drop(s, (size_t)(found - s->list));
}

/* ---- who listens */

static void on_changed(void *arg)
{
    struct gate_sessions *s = arg;
    if (s->listener != NULL)
        s->listener(s->listener_ctx);
}

static void tell(struct gate_sessions *s)
{
    if (s->parts.control != NULL)
        gate_control_post(s->parts.control, on_changed, s);
}

void gate_sessions_listen(struct gate_sessions *s, void (*cb)(void *ctx), void *ctx)
{
    s->listener = cb;
    s->listener_ctx = ctx;
}

/* ---- life */

struct gate_sessions *gate_sessions_create(const struct gate_sessions_parts *parts, uint64_t now_ms)
{
    struct gate_sessions *s = gate_calloc(1, sizeof *s);
    s->parts = *parts;
    s->parts.key = (struct gate_str){NULL, 0};
    digest_of(parts->key, s->key);
    pthread_mutex_init(&s->lock, NULL);
    session_load(s, now_ms);
    return s;
}

void gate_sessions_destroy(struct gate_sessions *s)
{
    if (s == NULL)
        return;
    pthread_mutex_destroy(&s->lock);
    gate_wipe(s, sizeof *s);
    free(s);
}

/* ---- sessions */

void gate_sessions_enter(struct gate_sessions *s, const struct gate_console_client *client,
                         uint64_t now_ms, char token[GATE_CONSOLE_TOKEN + 1])
{
    struct session made = {.view = {.created_ms = now_ms,
                                    .last_seen_ms = now_ms,
                                    .expires_ms = now_ms + GATE_SESSION_MS}};
    make_token(token);
    make_id(made.view.id);
    digest_of((struct gate_str){token, GATE_CONSOLE_TOKEN}, made.digest);
    copy_printable(made.view.peer, sizeof made.view.peer, client->peer);
    copy_printable(made.view.agent, sizeof made.view.agent, client->agent);
    pthread_mutex_lock(&s->lock);
    drop_expired(s, now_ms);
    drop_id(s, client->replaces);
    if (s->count == GATE_SESSIONS_MAX)
        drop(s, 0);
    s->list[s->count++] = made;
    pthread_mutex_unlock(&s->lock);
    session_save_soon(s);
    tell(s);
}

bool gate_sessions_find(struct gate_sessions *s, struct gate_str token, uint64_t now_ms,
                        char id[GATE_CONSOLE_SESSION + 1])
{
    bool save = false;
    pthread_mutex_lock(&s->lock);
    struct session *found = by_token(s, token);
    bool lives = found != NULL && !has_ended(found, now_ms);
    if (lives) {
        memcpy(id, found->view.id, sizeof found->view.id);
        /* A clock that was set back is followed too. */
        save = now_ms < found->view.last_seen_ms ||
               now_ms - found->view.last_seen_ms >= GATE_SESSION_SEEN_MS;
        if (save)
            found->view.last_seen_ms = now_ms;
    }
    pthread_mutex_unlock(&s->lock);
    if (save)
        session_save_soon(s);
    return lives;
}

bool gate_sessions_lives(struct gate_sessions *s, const char *id, uint64_t now_ms)
{
    pthread_mutex_lock(&s->lock);
    struct session *found = by_id(s, gate_str_of(id));
    bool lives = found != NULL && !has_ended(found, now_ms);
    pthread_mutex_unlock(&s->lock);
    return lives;
}

size_t gate_sessions_list(struct gate_sessions *s, uint64_t now_ms,
                          struct gate_session_view out[GATE_SESSIONS_MAX])
{
    pthread_mutex_lock(&s->lock);
    drop_expired(s, now_ms);
    size_t count = s->count;
    for (size_t i = 0; i < count; i++)
        out[i] = s->list[count - 1 - i].view;
    pthread_mutex_unlock(&s->lock);
    return count;
}

enum gate_status gate_sessions_end(struct gate_sessions *s, struct gate_str id, uint64_t now_ms,
                                   struct gate_error *err)
{
    pthread_mutex_lock(&s->lock);
    drop_expired(s, now_ms);
    struct session *found = by_id(s, id);
    if (found != NULL)
        drop(s, (size_t)(found - s->list));
    pthread_mutex_unlock(&s->lock);
    if (found == NULL)
        return gate_fail(err, GATE_ENOTFOUND, "there is no session of that id");
    tell(s);
    return session_save(s, err);
}

enum gate_status gate_sessions_end_others(struct gate_sessions *s, struct gate_str keep,
                                          uint64_t now_ms, size_t *count, struct gate_error *err)
{
    pthread_mutex_lock(&s->lock);
    drop_expired(s, now_ms);
    *count = s->count;
    for (size_t i = s->count; i > 0; i--)
        if (!gate_str_eq(gate_str_of(s->list[i - 1].view.id), keep))
            drop(s, i - 1);
    *count -= s->count;
    pthread_mutex_unlock(&s->lock);
    if (*count == 0)
        return GATE_OK;
    tell(s);
    return session_save(s, err);
}

enum gate_status gate_sessions_rekey(struct gate_sessions *s, struct gate_str key,
                                     struct gate_str keep, uint64_t now_ms, size_t *count,
                                     struct gate_error *err)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    digest_of(key, digest);
    pthread_mutex_lock(&s->lock);
    memcpy(s->key, digest, sizeof digest);
    s->link_count = 0;
    pthread_mutex_unlock(&s->lock);
    enum gate_status status = gate_sessions_end_others(s, keep, now_ms, count, err);
    /* The record names the key that opened the sessions. */
    return status == GATE_OK && *count == 0 ? session_save(s, err) : status;
}

/* ---- links */

static void drop_link(struct gate_sessions *s, size_t at)
{
    memmove(&s->links[at], &s->links[at + 1], (s->link_count - at - 1) * sizeof s->links[0]);
    s->link_count--;
}

uint64_t gate_sessions_link(struct gate_sessions *s, uint64_t now_ms,
                            char token[GATE_CONSOLE_TOKEN + 1])
{
    struct link made = {.expires_ms = now_ms + GATE_LINK_MS};
    make_token(token);
    digest_of((struct gate_str){token, GATE_CONSOLE_TOKEN}, made.digest);
    pthread_mutex_lock(&s->lock);
    if (s->link_count == GATE_LINKS_MAX)
        drop_link(s, 0);
    s->links[s->link_count++] = made;
    pthread_mutex_unlock(&s->lock);
    return made.expires_ms;
}

bool gate_sessions_take_link(struct gate_sessions *s, struct gate_str token, uint64_t now_ms,
                             bool use)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    size_t at = SIZE_MAX;
    digest_of(token, digest);
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->link_count; i++)
        if (CRYPTO_memcmp(digest, s->links[i].digest, sizeof digest) == 0)
            at = i;
    bool good = at != SIZE_MAX && !is_over(&s->links[at].expires_ms, now_ms, GATE_LINK_MS);
    if (at != SIZE_MAX && (use || !good))
        drop_link(s, at);
    pthread_mutex_unlock(&s->lock);
    return good;
}
