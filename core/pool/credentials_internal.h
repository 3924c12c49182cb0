/*
 * credentials_internal: what credentials.c (who asks, and when a refresh is due) and refresh.c (how
 * one is done) share. Control thread.
 */
#ifndef GATE_POOL_CREDENTIALS_INTERNAL_H
#define GATE_POOL_CREDENTIALS_INTERNAL_H

#include "base/random.h"
#include "pool/credentials.h"

enum {
    CREDENTIALS_BUCKETS = 1024,
    CREDENTIALS_MAX_BACKGROUND = 4, /* refreshes at once that nobody waits for */
};

/* One that waits for a newer credential. */
struct waiter {
    struct waiter *next;
    struct gate_credentials *credentials;
    struct gate_account *account; /* retained */
    uint64_t version;             /* the credential must be newer */
    bool forced;                  /* a person asks */
    gate_credentials_cb cb;
    void *arg;
};

#define CREDENTIALS_GONE "the account was deleted, or its provider is not configured any more"

enum keeper_state {
    KEEPER_IDLE = 0,
    KEEPER_WAITING, /* another gateway has the lease: looks now and then what becomes of it */
    KEEPER_SENT,    /* the service has been asked */
};

/* What is known of one account's refreshes. */
struct keeper {
    struct keeper *next; /* in its bucket */
    struct gate_credentials *credentials;
    struct gate_account *account; /* retained */
    enum keeper_state state;
    struct waiter *waiters; /* of the refresh that runs; as many as requests wait for it */

    /* The refresh that runs. */
    bool background;
    bool leased;
    uint64_t fence;                 /* 0 without a lease */
    uint64_t version;               /* of the credential in use when it began */
    uint64_t expected;              /* the version in storage that it replaces */
    struct gate_buf secret;         /* that credential, while the service is asked */
    struct gate_instance *instance; /* that asks; retained: the configuration may change meanwhile.
                                       NULL: nobody asks */
    struct gate_control_call *call;
    struct gate_timer timer; /* WAITING: the next look */
    uint64_t give_up_ms;     /* WAITING: monotonic */

    /* When the next one is due: Unix, for the credential that ends at expires_ms. */
    uint64_t expires_ms, due_ms;

    /* After failures with the credential failed_version: none before retry_ms (Unix). */
    uint32_t failures;
    uint64_t failed_version, retry_ms;
    char problem[GATE_ERROR_MAX]; /* the last one; logged when it changes */
};

struct gate_credentials {
    _Atomic uint32_t refs; /* 1, and 1 for each posted waiter */
    bool closed;
    struct gate_roster *roster;
    struct gate_control *control;
    char owner[GATE_RANDOM_ID + 1]; /* of leases */
    uint64_t random;
    size_t background; /* that run */
    struct keeper *buckets[CREDENTIALS_BUCKETS];
};

/* credentials.c */
/* The account's member, also one that is deleted or waits for its provider; NULL: it was purged. */
struct gate_member *credentials_member(const struct gate_credentials *c,
                                       const struct gate_account *account);
/* Nothing can ask with this account now. m may be NULL. */
bool credentials_is_gone(const struct gate_member *m);
/* Is the secret in use newer than an attachment of that version? m may be NULL. */
bool credentials_newer(const struct gate_member *m, uint64_t version);
/* From 0 to below - 1. */
uint64_t credentials_random(struct gate_credentials *c, uint64_t below);
/* Answers one and frees it. */
void credentials_answer(struct waiter *w, enum gate_status status, const char *why);

/* refresh.c */
/* Starts a refresh; the keeper is idle. It may end before this returns. */
void refresh_start(struct keeper *k, struct gate_member *m, bool background);
/* Ends what runs and answers all that wait. Nothing runs: no effect. */
void refresh_end(struct keeper *k, enum gate_status status, const char *why);

#endif
