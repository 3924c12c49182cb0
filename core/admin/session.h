/*
 * session: who is in the console: the sessions of browsers, and links that open one. One table for
 * all workers behind a lock; requests for the console are rare. Tokens are 256 random bits, of
 * which only a SHA-256 is kept. Sessions are written to storage, sealed by the vault, and survive a
 * restart; they end after 12 hours, when somebody ends them, and with the key that opened them.
 * Links live in memory. Used by admin (the API), and through request/console.h by the workers.
 *
 * Times are wall clock in ms. Any thread unless a function says otherwise.
 */
#ifndef GATE_ADMIN_SESSION_H
#define GATE_ADMIN_SESSION_H

#include "record/store.h"
#include "record/vault.h"
#include "request/console.h"
#include "upstream/control.h"

enum {
    GATE_SESSION_MS = 12 * 3600 * 1000,
    GATE_SESSION_SEEN_MS = 60 * 1000, /* last_seen_ms in storage is at most this old */
    GATE_SESSION_AGENT = 160,         /* bytes of a User-Agent that are kept, with a NUL */
    GATE_SESSION_PEER = 48,
    GATE_SESSIONS_MAX = 100, /* one more: the oldest ends */
    GATE_LINK_MS = 60 * 1000,
    GATE_LINKS_MAX = 32, /* at once; one more: the oldest ends */
};

struct gate_sessions;

struct gate_sessions_parts {
    struct gate_store *store;
    const struct gate_vault *vault;
    struct gate_control *control; /* NULL: nobody listens */
    struct gate_str key;          /* the console's key; lent for the call */
};

/* Reads what is stored: blocks; not a worker, not the store thread. What cannot be read, and what
 * another key opened, is left out. The parts outlive it, but for the store, which is closed first:
 * that is when the last change has been written. */
struct gate_sessions *gate_sessions_create(const struct gate_sessions_parts *parts,
                                           uint64_t now_ms);
void gate_sessions_destroy(struct gate_sessions *s); /* NULL is fine */

/* Makes a session and writes its token. It is in storage a moment later. */
void gate_sessions_enter(struct gate_sessions *s, const struct gate_console_client *client,
                         uint64_t now_ms, char token[GATE_CONSOLE_TOKEN + 1]);
/* The session with this token, which was seen now. False: there is none. */
bool gate_sessions_find(struct gate_sessions *s, struct gate_str token, uint64_t now_ms,
                        char id[GATE_CONSOLE_SESSION + 1]);
bool gate_sessions_lives(struct gate_sessions *s, const char *id, uint64_t now_ms);

struct gate_session_view {
    char id[GATE_CONSOLE_SESSION + 1];
    uint64_t created_ms, last_seen_ms, expires_ms;
    char peer[GATE_SESSION_PEER];
    char agent[GATE_SESSION_AGENT]; /* printable ASCII; "" when not known */
};
/* Newest first. Returns how many. */
size_t gate_sessions_list(struct gate_sessions *s, uint64_t now_ms,
                          struct gate_session_view out[GATE_SESSIONS_MAX]);

/* Ends one, at once on all workers, and waits until storage has it; not a worker, not the store
 * thread. GATE_ENOTFOUND: there is none. Any other error: it has ended, but storage failed, so that
 * a restart could bring it back. */
enum gate_status gate_sessions_end(struct gate_sessions *s, struct gate_str id, uint64_t now_ms,
                                   struct gate_error *err);
/* Ends all but one (empty: all); otherwise the same. *count: how many. */
enum gate_status gate_sessions_end_others(struct gate_sessions *s, struct gate_str keep,
                                          uint64_t now_ms, size_t *count, struct gate_error *err);

/* Control thread. The console's key has changed: every session but one (empty: every) ends, as
 * above, and the links too. *count: how many. */
enum gate_status gate_sessions_rekey(struct gate_sessions *s, struct gate_str key,
                                     struct gate_str keep, uint64_t now_ms, size_t *count,
                                     struct gate_error *err);

/* Makes a link's token; returns when it ends. */
uint64_t gate_sessions_link(struct gate_sessions *s, uint64_t now_ms,
                            char token[GATE_CONSOLE_TOKEN + 1]);
/* Can this link be used now? With `use` it was used by this call, and never can be again. */
bool gate_sessions_take_link(struct gate_sessions *s, struct gate_str token, uint64_t now_ms,
                             bool use);

/* Control thread. cb runs on the control thread soon after a session has begun or was ended. NULL:
 * nobody listens. */
void gate_sessions_listen(struct gate_sessions *s, void (*cb)(void *ctx), void *ctx);

#endif
