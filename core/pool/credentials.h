/*
 * credentials: keeps the access tokens of OAuth accounts alive. One refresh at a time for each
 * account, whoever asks: in the background before the token ends (also for disabled and exhausted
 * accounts), and at once when a request meets an expired or refused token. The refresh runs under
 * the storage lease of the credential, so that a second gateway on the same storage cannot run one
 * too; who comes second takes the winner's token. Control thread, but for gate_credentials_want.
 * Used by main, request/exchange and admin.
 */
#ifndef GATE_POOL_CREDENTIALS_H
#define GATE_POOL_CREDENTIALS_H

#include "pool/roster.h"
#include "upstream/control.h"

enum {
    GATE_REFRESH_LEAD_MS = 5 * 60 * 1000, /* before the end, and up to a minute more at random */
    GATE_REFRESH_LEASE_MS = 60 * 1000,    /* longer than any refresh takes */
    GATE_REFRESH_TIMEOUT_MS = 30 * 1000,  /* of one token request */
    GATE_REFRESH_BACKOFF_MS = 2 * 1000,   /* after a failure; doubles, with jitter, */
    GATE_REFRESH_BACKOFF_MAX_MS = 5 * 60 * 1000, /* up to this */
};

struct gate_credentials;

enum gate_status gate_credentials_create(struct gate_roster *roster, struct gate_control *control,
                                         struct gate_credentials **out, struct gate_error *err);
/* Control thread, before the store is closed; answers all that wait with GATE_EIO, and what is
 * still posted when the control thread comes to it. NULL is fine. */
void gate_credentials_destroy(struct gate_credentials *c);

/* Called once. status GATE_OK: the account has a credential newer than `version`, in the table that
 * was published before this call. GATE_EDENIED: a person must sign in. GATE_EIO: not now; err says
 * why. GATE_ENOTFOUND: the account has no refresh (an API key) or is gone. */
typedef void (*gate_credentials_cb)(void *arg, enum gate_status status, const char *why);

/* Any thread. Asks for a credential newer than `version`. cb runs on the control thread, so a
 * worker's callback only posts to its mailbox. While a backoff after network failures runs, it is
 * answered with GATE_EIO at once. */
void gate_credentials_want(struct gate_credentials *c, struct gate_account *account,
                           uint64_t version, gate_credentials_cb cb, void *arg);

/* Control thread. A person asks for a refresh now: neither backoff nor the sign-in mark counts. cb
 * is never called from inside. */
void gate_credentials_refresh_now(struct gate_credentials *c, struct gate_member *m,
                                  gate_credentials_cb cb, void *arg);

/* Control thread. True while a service has been asked for a token: an end now could lose one that
 * it has already replaced. */
bool gate_credentials_busy(const struct gate_credentials *c);

/* Once a second; now_ms is Unix time. Starts the refreshes that are due, four at once. While
 * storage takes no writes, tokens that still live are left alone: a rotated one could not be kept.
 */
void gate_credentials_tick(struct gate_credentials *c, uint64_t now_ms);

#endif
