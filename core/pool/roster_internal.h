/* roster_internal: what roster.c (the list and its table), roster_change.c (what people do),
 * roster_secret.c (credentials) and roster_store.c (records in storage) share. */
#ifndef GATE_POOL_ROSTER_INTERNAL_H
#define GATE_POOL_ROSTER_INTERNAL_H

#include "base/buf.h"
#include "base/clock.h"
#include "pool/health.h"
#include "pool/roster.h"
#include <stdlib.h>

enum { ROSTER_MAX_KEY = 256, ROSTER_MAX_RECORD = 64 * 1024, ROSTER_MAX_SECRET = 64 * 1024 };

struct gate_roster {
    const struct gate_config *config;
    const struct gate_pool *pool;
    const struct gate_quota *quota;
    struct gate_store *store;
    const struct gate_vault *vault;
    const struct gate_account_policy *policy;
    struct gate_publisher publisher;
    struct gate_member **members; /* sorted by id */
    size_t count, room;
    struct gate_table *table;       /* the newest */
    uint64_t number;                /* of the newest table */
    pthread_mutex_t lock;           /* of flush_table */
    struct gate_table *flush_table; /* whose counters the store thread writes; retained */
};

/* roster.c */
struct gate_member *roster_new_member(struct gate_roster *r, const char *id,
                                      struct gate_instance *instance,
                                      enum gate_credential_kind kind);
void roster_drop_member(struct gate_roster *r, struct gate_member *m);
struct gate_member *roster_find_id(const struct gate_roster *r, const char *id);
struct gate_instance *roster_instance(const struct gate_roster *r, struct gate_str name);
/* Builds a new table and hands it out. */
void roster_publish(struct gate_roster *r);
void roster_set_text(char **field, struct gate_str text);
void roster_set_tags(struct gate_member *m, const struct gate_str *tags, size_t count);

/* roster_secret.c */
/* Prepares the secret with the provider; the old attachment goes. Fills m->problem on failure.
 * stored: the version of the secret's record in storage; 0: it has none. */
enum gate_status roster_attach(struct gate_member *m, struct gate_str secret, uint64_t stored);
/* Attaches what configuration or storage holds. */
void roster_attach_stored(struct gate_roster *r, struct gate_member *m);
void roster_write_unwritten(struct gate_roster *r, struct gate_member *m);

/* roster_store.c: each blocks until the store thread has done it. */
enum gate_status roster_save(struct gate_roster *r, const struct gate_member *m,
                             struct gate_error *err);
/* Account and credential in one synced batch. */
enum gate_status roster_save_new(struct gate_roster *r, struct gate_member *m,
                                 struct gate_str secret, uint64_t *version, struct gate_error *err);
enum gate_status roster_erase(struct gate_roster *r, const struct gate_member *m,
                              struct gate_error *err);
enum gate_status roster_put_secret(struct gate_roster *r, const char *id, struct gate_str secret,
                                   uint64_t expected, uint64_t fence, uint64_t *version,
                                   struct gate_error *err);
enum gate_status roster_get_secret(struct gate_roster *r, const char *id, struct gate_buf *out,
                                   uint64_t *version, struct gate_error *err);
void roster_save_condition(struct gate_roster *r, struct gate_member *m);
/* Reads all accounts, conditions and counters that storage has. */
enum gate_status roster_load(struct gate_roster *r, struct gate_error *err);
/* Reads condition and counters of one account, if there are any. */
void roster_load_state(struct gate_roster *r, struct gate_member *m);
void roster_add_flusher(struct gate_roster *r);

#endif
