/*
 * account: one billable identity at a provider, as all threads see it. Three parts with three
 * owners: struct gate_account is what lives as long as the account does and changes with every
 * request (atomics); struct gate_entry is what people and refreshes change, immutable and replaced
 * whole; struct gate_table is the list of all entries that a request works with from its beginning
 * to its end. Built by roster.c, read by select.c, health.c and request.
 */
#ifndef GATE_POOL_ACCOUNT_H
#define GATE_POOL_ACCOUNT_H

#include "pool/instances.h"
#include "pool/quota.h"
#include <pthread.h>
#include <stdatomic.h>

enum {
    GATE_ACCOUNT_MAX_ID = 160,    /* bytes of an id: "<instance>/<name>" */
    GATE_ACCOUNT_MAX_ALIAS = 128, /* bytes of an alias */
    GATE_ACCOUNT_MAX = 4096,      /* accounts of a gateway */
};

/* Why an account is not asked now. */
enum gate_condition {
    GATE_CONDITION_SERVING = 0,
    GATE_CONDITION_COOLING,   /* it failed: until a time */
    GATE_CONDITION_LIMITED,   /* the service said "too many": until a time */
    GATE_CONDITION_EXHAUSTED, /* its quota is used up: until a time */
    GATE_CONDITION_SIGN_IN,   /* its credential is not accepted: until a person acts (or, for API
                                 keys, a probe succeeds) */
};
extern const char *const gate_condition_names[]; /* "serving", "cooling", "limited", ... */

/* The last failure of an account, for people. */
struct gate_last_error {
    uint64_t at_ms; /* Unix; 0: none */
    enum gate_verdict_kind verdict;
    int status; /* HTTP, 0: none */
    char code[64];
    char message[384];
};

/* What changes with every request: one cache line. See health.h for the rules. */
struct gate_account_live {
    _Alignas(64) _Atomic uint64_t word; /* condition, until; 0: serving (health.c packs it) */
    _Atomic uint32_t streak;            /* cooldowns in a row */
    _Atomic uint32_t probing;           /* a request tries whether it is well again */
    _Atomic uint32_t in_flight;         /* attempts that run now */
    _Atomic uint32_t changes;           /* grows when `word` changes: the control thread saves it */
    _Atomic uint64_t latency_us;        /* to the first byte, moving average; 0: not known */
    _Atomic uint64_t served, failed;    /* attempts since the start */
    _Atomic uint64_t last_used_ms;      /* Unix */
};

struct gate_account {
    _Atomic uint32_t refs;
    char *id; /* "<instance>/<name>" */
    enum gate_credential_kind kind;
    uint64_t hash; /* of the id */
    void *quota;   /* the quota plugin's state, shared by all threads */
    size_t quota_size;
    uint64_t saved;       /* hash of the counters as they were written last; store thread only */
    pthread_mutex_t lock; /* of last_error: taken on failures only */
    struct gate_last_error last_error;
    struct gate_account_live live;
};

struct gate_account *gate_account_create(const char *id, enum gate_credential_kind kind,
                                         const struct gate_quota *quota);
void gate_account_retain(struct gate_account *a);
void gate_account_release(struct gate_account *a); /* NULL is fine */

/* A credential in use: what the provider made of it. Immutable, reference-counted: an attempt keeps
 * the one that it was built with. */
struct gate_attachment {
    _Atomic uint32_t refs;
    struct gate_instance *instance; /* that made it; retained */
    void *state;                    /* account_attach's */
    uint64_t version;               /* of the account's credentials in this process: only grows */
    uint64_t expires_at_ms;         /* Unix: the access token's end; 0: none */
};

/* Control thread. Has the provider prepare the credential. */
enum gate_status gate_attachment_create(struct gate_instance *instance,
                                        const struct gate_credential *credential, uint64_t version,
                                        uint64_t expires_at_ms, struct gate_attachment **out,
                                        struct gate_error *err);
void gate_attachment_retain(struct gate_attachment *a);
void gate_attachment_release(struct gate_attachment *a); /* any thread; NULL is fine */

/* One account in a table. Its strings live as long as the table. */
struct gate_entry {
    struct gate_account *account;
    const struct gate_instance *instance; /* of the table's pool */
    struct gate_attachment *attachment;   /* of that instance; NULL: no usable credential */
    const char *alias;
    const struct gate_str *tags;
    size_t tag_count;
    bool enabled;
    uint32_t weight;
    struct gate_limits limits[GATE_USAGE_KINDS]; /* what holds in the end */
};

/* All accounts, those of one instance side by side. */
struct gate_table {
    _Atomic uint32_t refs;
    uint64_t number;
    struct gate_config *config; /* that it was made for; retained; NULL in tests */
    struct gate_pool *pool;     /* retained */
    struct gate_entry *entries;
    size_t count;
    struct {
        size_t first, count;
    } ranges[GATE_CONFIG_MAX_INSTANCES]; /* by position of the instance in the pool */
    void *strings;                       /* one block */
};
void gate_table_retain(struct gate_table *t);
void gate_table_release(struct gate_table *t); /* any thread; NULL is fine */

/* A table as one worker uses it: counts this worker's requests without an atomic. */
struct gate_table_pin {
    struct gate_table *table; /* retained */
    size_t users;             /* requests, and 1 for being the current one */
};
struct gate_table_pin *gate_table_pin_create(struct gate_table *table); /* users = 1 */
static inline struct gate_table_pin *gate_table_pin_use(struct gate_table_pin *p)
{
    p->users++;
    return p;
}
void gate_table_pin_drop(struct gate_table_pin *p); /* frees with the last user */

#endif
