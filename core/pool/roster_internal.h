/* roster_internal: what roster.c (the lists), roster_table.c (what workers get), roster_switch.c
 * (another configuration), roster_stage.c (one that is only tried), roster_change.c (what people
 * do), roster_secret.c (credentials) and roster_store.c (records in storage) share. */
#ifndef GATE_POOL_ROSTER_INTERNAL_H
#define GATE_POOL_ROSTER_INTERNAL_H

#include "base/buf.h"
#include "base/clock.h"
#include "pool/health.h"
#include "pool/roster.h"
#include <stdlib.h>

enum { ROSTER_MAX_KEY = 256, ROSTER_MAX_RECORD = 64 * 1024, ROSTER_MAX_SECRET = 64 * 1024 };

/* Members by id. */
struct roster_list {
    struct gate_member **members;
    size_t count, room;
};

struct gate_roster {
    struct gate_config *config; /* retained, as are the next two */
    struct gate_pool *pool;
    struct gate_generation *generation;
    const struct gate_quota *quota;
    struct gate_store *store;
    const struct gate_vault *vault;
    struct gate_publisher publisher;
    struct roster_list list; /* those that take part */
    /* Those that do not: their instance is not configured, or the configuration does not name them
     * any more. They have neither instance nor attachment, and keep everything else for the day
     * when they are called for again. */
    struct roster_list waiting;
    struct gate_table *table;       /* the newest */
    uint64_t number;                /* of the newest table */
    pthread_mutex_t lock;           /* of flush_table */
    struct gate_table *flush_table; /* whose counters the store thread writes; retained */
};

/* roster.c */
struct gate_member *roster_list_find(const struct roster_list *list, const char *id);
/* At the end: the caller sorts. */
void roster_list_push(struct roster_list *list, struct gate_member *m);
void roster_list_insert(struct roster_list *list, struct gate_member *m); /* in its place */
void roster_list_remove(struct roster_list *list, const struct gate_member *m);
void roster_list_sort(struct roster_list *list);
/* In no list, without an instance. */
struct gate_member *roster_make_member(const struct gate_roster *r, const char *id,
                                       enum gate_credential_kind kind);
void roster_free_member(struct gate_member *m);
struct gate_member *roster_new_member(struct gate_roster *r, const char *id,
                                      struct gate_instance *instance,
                                      enum gate_credential_kind kind);
void roster_drop_member(struct gate_roster *r, struct gate_member *m);
struct gate_member *roster_find_id(const struct gate_roster *r, const char *id);
/* Builds a new table, for the next workers and the flusher. */
void roster_renew_table(struct gate_roster *r);
/* The same, and hands it to the workers. */
void roster_publish(struct gate_roster *r);
void roster_set_text(char **field, struct gate_str text);
void roster_set_tags(struct gate_member *m, const struct gate_str *tags, size_t count);

/* roster_change.c */
/* Writes the condition, when it has changed, and a secret that storage did not take. */
void roster_write_late(struct gate_roster *r, struct gate_member *m);

/* roster_table.c */
struct gate_table *roster_build_table(struct gate_roster *r);

/* roster_switch.c */
/* Takes a configuration, pool and generation into use: all of gate_roster_switch but the table. */
enum gate_status roster_take(struct gate_roster *r, struct gate_config *config,
                             struct gate_pool *pool, struct gate_generation *generation,
                             struct gate_error *err);

/* Is this login of the configuration the one that the member was made from? m may be NULL. */
bool roster_is_stored_seed(const struct gate_member *m, const struct gate_config_account *c);

/* roster_secret.c */
/* Prepares the secret with the provider; the old attachment goes. Fills m->problem on failure.
 * stored: the version of the secret's record in storage; 0: it has none. */
enum gate_status roster_attach(struct gate_member *m, struct gate_str secret, uint64_t stored);
/* Prepares a secret for a member (NULL: a new one) with an instance, and changes nothing. */
enum gate_status roster_prepare(const struct gate_member *m, struct gate_instance *instance,
                                enum gate_credential_kind kind, struct gate_str secret,
                                struct gate_attachment **out, struct gate_error *err);
/* Puts what roster_prepare made into use. */
void roster_use(struct gate_member *m, struct gate_attachment *fresh, uint64_t stored);
void roster_write_unwritten(struct gate_roster *r, struct gate_member *m);

/* roster_store.c: each blocks until the store thread has done it. */
enum gate_status roster_save(struct gate_roster *r, struct gate_member *m, struct gate_error *err);
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
/* Reads all accounts that storage has; they wait. */
enum gate_status roster_load(struct gate_roster *r, struct gate_error *err);
/* Reads the record of one account. False: there is none of its kind. */
bool roster_load_account(struct gate_roster *r, struct gate_member *m);
/* Reads condition and counters of one account, if there are any. */
void roster_load_state(struct gate_roster *r, struct gate_member *m);
void roster_add_flusher(struct gate_roster *r);

#endif
