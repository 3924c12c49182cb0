/* session_internal: what session.c (the table) and session_store.c (its record) share. */
#ifndef GATE_ADMIN_SESSION_INTERNAL_H
#define GATE_ADMIN_SESSION_INTERNAL_H

#include "admin/session.h"
#include <openssl/sha.h>
#include <pthread.h>

struct session {
    struct gate_session_view view;
    unsigned char digest[SHA256_DIGEST_LENGTH]; /* of the token */
};

struct link {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    uint64_t expires_ms;
};

struct gate_sessions {
    struct gate_sessions_parts parts;
    unsigned char key[SHA256_DIGEST_LENGTH]; /* of the console's key */
    pthread_mutex_t lock;                    /* of what follows up to saving */
    struct session list[GATE_SESSIONS_MAX];  /* oldest first */
    size_t count;
    struct link links[GATE_LINKS_MAX]; /* oldest first */
    size_t link_count;
    bool saving; /* the job that writes the list is queued */

    void (*listener)(void *ctx); /* control thread */
    void *listener_ctx;
};

/* Blocks; fills the list, without a lock: nobody else has the table yet. */
void session_load(struct gate_sessions *s, uint64_t now_ms);
/* Writes the list soon. */
void session_save_soon(struct gate_sessions *s);
/* Writes the list and waits. */
enum gate_status session_save(struct gate_sessions *s, struct gate_error *err);

#endif
