/*
 * roster: the list of all accounts as the control thread keeps it: what configuration, storage and
 * people say. Every change is written to storage first and then published as a new table to all
 * workers. Used by main (create), credentials and login (new secrets), admin (everything).
 *
 * Everything here runs on the control thread and may block on storage, unless it says otherwise.
 */
#ifndef GATE_POOL_ROSTER_H
#define GATE_POOL_ROSTER_H

#include "pool/account.h"
#include "record/store.h"
#include "record/vault.h"
#include "script/policy.h"

enum {
    GATE_ROSTER_MAX_TAGS = 16,
    GATE_ROSTER_KEEP_DELETED_MS = 30 * 86400000u, /* a deleted account can be restored this long */
};

enum gate_member_source {
    GATE_MEMBER_CONFIG = 1, /* environment, file or gateway.lua: its secret comes from there */
    GATE_MEMBER_STORED,     /* added by a person, a login, an import or a seed */
};

/* One account. Strings belong to the roster and change only through its functions. */
struct gate_member {
    struct gate_account *account;
    struct gate_instance *instance; /* of the pool that runs; NULL: see gate_roster_member_of */
    enum gate_member_source source;
    char *origin; /* "QWEN_CREDS_JSON", "added", "login", "import": where it is from, for people */
    char *alias;
    struct gate_str tags[GATE_ROSTER_MAX_TAGS]; /* own ones, without those of accounts.lua */
    size_t tag_count;
    bool enabled;
    uint64_t deleted_ms; /* Unix; 0: not deleted */
    uint64_t created_ms;
    bool has_weight;
    uint32_t weight;                    /* 1 without has_weight */
    struct gate_limits_rule limits;     /* override set by people */
    struct gate_attachment *attachment; /* NULL: the credential is missing or does not work */
    struct gate_error problem;          /* why attachment is NULL */
    /* private to roster*.c */
    const struct gate_config_account *config; /* its entry there, or NULL */
    char *seed;                /* fingerprint of the seed it was made from, or NULL */
    bool reseeded;             /* its login was replaced: old conditions do not count */
    bool recorded;             /* storage has a record of it, which goes before the configuration */
    bool restored;             /* its condition and counters were read from storage */
    bool called_for;           /* while a switch is prepared: it takes part afterwards */
    uint32_t saved_changes;    /* live.changes when its condition was written last */
    struct gate_buf unwritten; /* a secret that storage did not take yet */
    uint64_t stored_version;   /* of the record that the credential in use came from */
    uint64_t last_version;     /* of the newest attachment: these only grow */
    uint64_t secret_version;   /* of the first attachment that was made of the secret in use */
};

struct gate_roster;

/* How the roster reaches the workers. */
struct gate_publisher {
    /* Hands a table to every worker; each takes its own reference. Control thread. */
    void (*publish)(void *ctx, struct gate_table *table);
    void *ctx;
};

/* Reads storage, adds what the configuration names (a seed is stored once, and again when its text
 * changed), prepares all credentials, restores conditions and counters. An account whose credential
 * does not work is kept with its problem. GATE_EDENIED and others: err says what is wrong. */
enum gate_status gate_roster_create(struct gate_config *config, struct gate_pool *pool,
                                    const struct gate_quota *quota, struct gate_store *store,
                                    const struct gate_vault *vault,
                                    struct gate_generation *generation, struct gate_roster **out,
                                    struct gate_error *err);
/* Has the providers look at the secrets that the configuration gives an instance, and keeps
 * nothing. The message names the account. */
enum gate_status gate_roster_check(const struct gate_pool *pool,
                                   const struct gate_config_instance *instance,
                                   struct gate_error *err);
void gate_roster_destroy(struct gate_roster *r); /* after the store was closed */

/* The first table, for workers that start; retained for the caller. */
struct gate_table *gate_roster_table(struct gate_roster *r);
void gate_roster_set_publisher(struct gate_roster *r, const struct gate_publisher *publisher);
/* Takes a new configuration, pool and generation into use (any of them may be the one that runs):
 * accounts, limits, weights and tags follow, and credentials are prepared with the instances that
 * changed. Accounts keep their counters, conditions and requests in flight; those that the
 * configuration does not name any more are gone, and stored accounts of an instance that is not
 * there wait for its return. The three are retained. *out: the new table, retained for the caller,
 * who hands it to the workers together with the scripts; it is not published. Not GATE_OK: a
 * credential of the configuration does not work (err names the account), and nothing changed. */
enum gate_status gate_roster_switch(struct gate_roster *r, struct gate_config *config,
                                    struct gate_pool *pool, struct gate_generation *generation,
                                    struct gate_table **out, struct gate_error *err);

/* Accounts for a configuration, pool and generation that are tried beside those that run (all three
 * retained). An account whose provider instance and credential are those in use is the one that
 * runs, with its counts and conditions; every other one is the stage's own: what befalls it stays
 * with it, and its token is not refreshed. */
struct gate_roster_stage;
struct gate_roster_stage *gate_roster_stage_create(struct gate_config *config,
                                                   struct gate_pool *pool,
                                                   struct gate_generation *generation);
void gate_roster_stage_destroy(struct gate_roster_stage *s); /* NULL is fine */
/* Its table as things stand; it is not published. *out: retained for the caller. To be asked again
 * whenever the roster's own table changes. GATE_ECONFLICT: a login of the configuration is not in
 * storage, where only a switch takes it; GATE_EINVAL: a credential of the configuration does not
 * work. err names the account. */
enum gate_status gate_roster_stage_table(struct gate_roster *r, struct gate_roster_stage *s,
                                         struct gate_table **out, struct gate_error *err);

/* All members, deleted ones too, sorted by id. Valid until the next change. */
struct gate_member *const *gate_roster_members(const struct gate_roster *r, size_t *count);
/* By id, or by alias when only one has it. NULL: none. */
struct gate_member *gate_roster_find(const struct gate_roster *r, struct gate_str name);
/* The member of an account, also one that waits because its provider is not configured now: that
 * has no instance, and its secret can still be set. NULL: it was purged. For work that began when
 * the account took part. */
struct gate_member *gate_roster_member_of(const struct gate_roster *r,
                                          const struct gate_account *account);
/* What holds in the end for a member. */
void gate_roster_limits(const struct gate_roster *r, const struct gate_member *m,
                        struct gate_limits out[GATE_USAGE_KINDS]);

/* A new account. */
struct gate_member_new {
    struct gate_str instance; /* name of a provider instance */
    struct gate_str name;     /* last part of the id; empty: a random one */
    struct gate_str alias;    /* empty: the name */
    const char *origin;
    enum gate_credential_kind kind;
    struct gate_str secret;
};
/* Checks the secret with the provider, stores and publishes. GATE_ENOTFOUND: no such instance;
 * GATE_ECONFLICT: the id is taken; GATE_EINVAL: the provider does not take the secret, or a bad
 * name; GATE_ELIMIT: too many; GATE_EIO: storage. */
enum gate_status gate_roster_add(struct gate_roster *r, const struct gate_member_new *n,
                                 struct gate_member **out, struct gate_error *err);

/* What people can change; NULL or !has_x: stays. */
struct gate_member_patch {
    const struct gate_str *alias;
    const struct gate_str *tags; /* with tag_count, when has_tags */
    size_t tag_count;
    bool has_tags, has_enabled, enabled, has_weight, weight_null;
    uint32_t weight;
    const struct gate_limits_rule *limits; /* the whole override */
};
enum gate_status gate_roster_patch(struct gate_roster *r, struct gate_member *m,
                                   const struct gate_member_patch *patch, struct gate_error *err);
/* Marks it deleted: it serves no more, and can be restored for GATE_ROSTER_KEEP_DELETED_MS. purge:
 * for ever, with its credential and counters. GATE_ECONFLICT: the configuration names it (disable
 * it instead). */
enum gate_status gate_roster_delete(struct gate_roster *r, struct gate_member *m, bool purge,
                                    struct gate_error *err);
enum gate_status gate_roster_restore(struct gate_roster *r, struct gate_member *m,
                                     struct gate_error *err);
/* A person acted ("try again now"): cooldowns, exhaustion and sign-in marks are taken off. */
void gate_roster_clear(struct gate_roster *r, struct gate_member *m);

/* Reads the secret as it is now (storage or configuration) and the version of its record in
 * storage, which is what gate_roster_set_secret expects. A secret: wipe. */
enum gate_status gate_roster_secret(struct gate_roster *r, const struct gate_member *m,
                                    struct gate_buf *out, uint64_t *version,
                                    struct gate_error *err);
/* Writes a new secret with sync if the stored version is still `expected` (UINT64_MAX: whatever is
 * there) and fence is not outdated (0: no lease), prepares and publishes it, and takes the sign-in
 * mark off. GATE_ECONFLICT: somebody was first: nothing was written; see gate_roster_reload.
 * GATE_EIO: storage failed; the new secret is used from memory all the same and written again by
 * gate_roster_tick. GATE_EINVAL: the provider does not take it. */
enum gate_status gate_roster_set_secret(struct gate_roster *r, struct gate_member *m,
                                        struct gate_str secret, uint64_t expected, uint64_t fence,
                                        struct gate_error *err);
/* Takes the stored secret when it is newer than the one in use. *newer: it was. */
enum gate_status gate_roster_reload(struct gate_roster *r, struct gate_member *m, bool *newer,
                                    struct gate_error *err);
/* The credential is dead: nobody is asked with it until a person signs in. */
void gate_roster_needs_sign_in(struct gate_roster *r, struct gate_member *m, const char *why);

/* Once a second: saves conditions that workers changed, writes secrets that could not be written,
 * removes what was deleted long ago. */
void gate_roster_tick(struct gate_roster *r, uint64_t now_ms);

/* Asks the lease of the member's credential. See gate_storage_ops. */
enum gate_status gate_roster_lease(struct gate_roster *r, const struct gate_member *m,
                                   struct gate_str owner, uint64_t ttl_ms, uint64_t *fence,
                                   struct gate_error *err);
void gate_roster_unlease(struct gate_roster *r, const struct gate_member *m, struct gate_str owner);

/* The store, for those that have a roster and need it. */
struct gate_store *gate_roster_store(const struct gate_roster *r);
const struct gate_pool *gate_roster_pool(const struct gate_roster *r); /* that runs now */
const struct gate_quota *gate_roster_quota(const struct gate_roster *r);

#endif
