/*
 * store: one open database, as the files of this plugin see it. Everything runs on the thread that
 * opened it.
 *
 * Keys of the database: the caller's keys with ROCKS_DATA before them, leases with ROCKS_LEASE, the
 * plugin's own facts with ROCKS_META.
 *
 *     rocksdb.c   the plugin's table and the operations on records
 *     open.c      the directory, the options, opening and closing
 *     schema.c    the number of the schema, migration, versions of records
 *     write.c     single writes, batches, recovering after a failed write
 *     lease.c     leases and fencing tokens
 *     sweep.c     removes what has expired
 */
#ifndef ROCKS_STORE_H
#define ROCKS_STORE_H

#include "record.h"

#include <limits.h>

enum {
    ROCKS_MAX_KEY = 1024,
    ROCKS_MAX_VALUE = 16 << 20,
    ROCKS_MAX_OWNER = 256,
    ROCKS_TEXT_MAX = 256,         /* of an error of RocksDB that is remembered */
    ROCKS_RETRY_MS = 1000,        /* between tries to recover after a failed write */
    ROCKS_VERSION_BLOCK = 1 << 16 /* versions that are reserved at a time */
};

enum rocks_prefix { ROCKS_DATA = 'd', ROCKS_LEASE = 'l', ROCKS_META = 'm' };

/* A key of the database. */
struct rocks_key {
    size_t len;
    char bytes[1 + ROCKS_MAX_KEY];
};

/* What RocksDB found in the place of a key. Given back with rocks_value_finish. */
struct rocks_value {
    char *ptr; /* NULL: nothing */
    size_t len;
};

/* Where the removal of expired records stands. */
struct rocks_sweep {
    struct rocks_key cursor; /* the next key to look at */
    uint64_t soonest_ms;     /* before this nothing expires that an earlier pass has seen */
    uint64_t pass_soonest_ms;
    uint32_t credit; /* records that may be looked at */
};

struct rocks_store {
    const struct gate_host *host;
    char directory[PATH_MAX];
    int lock; /* the directory, held by flock */

    rocksdb_options_t *options;
    int recovery; /* what RocksDB does with a damaged log */
    rocksdb_writeoptions_t *write, *write_sync;
    rocksdb_readoptions_t *read;
    rocksdb_t *db; /* NULL: nothing can be opened at the moment (failed is true) */
    rocksdb_column_family_handle_t *family;

    rocksdb_writebatch_t *single;   /* the write at hand outside of a batch */
    rocksdb_writebatch_wi_t *batch; /* between begin and commit; else NULL */
    bool batch_sync;
    uint32_t visiting; /* scans under way: the database must not be closed */

    uint64_t next_version, version_limit;
    struct rocks_sweep sweep;

    bool failed;          /* a write failed and the database has not been opened anew since */
    uint64_t retry_at_ms; /* when to try that next */
    char failure[ROCKS_TEXT_MAX];
};

/* ---------------------------------------------------------------- open.c */

enum rocks_mode { ROCKS_READ_WRITE, ROCKS_CREATE, ROCKS_READ_ONLY };

/* Opens the directory, which is made when it is missing. On a failure nothing was changed in it and
 * err says what to do. The caller frees *out with rocks_close. */
enum gate_status rocks_open(const struct gate_host *host, struct gate_str directory,
                            const struct gate_value *values, struct rocks_store **out,
                            struct gate_error *err);
void rocks_close(struct rocks_store *s);

/* Sets s->db, or returns RocksDB's message, which is freed with rocksdb_free. */
char *rocks_db_open(struct rocks_store *s, enum rocks_mode mode);
void rocks_db_close(struct rocks_store *s);

/* The places in the table of options. */
enum { ROCKS_OPTION_WRITE_BUFFER, ROCKS_OPTION_CACHE, ROCKS_OPTION_RECOVERY };

/* ---------------------------------------------------------------- schema.c */

/* One step from a schema to the next. run puts what changes into batch; the batch and the new
 * number of the schema are written as one. NULL: nothing changes but the number. */
struct rocks_migration {
    const char *what;
    enum gate_status (*run)(struct rocks_store *s, rocksdb_writebatch_t *batch,
                            struct gate_error *err);
};

/* The steps of this version; steps[n] leads from schema n to n + 1, 0 is an empty database. */
extern const struct rocks_migration rocks_migrations[];
extern const size_t rocks_migration_count;

/* The number of the schema, which must not be larger than newest. Reads only. */
enum gate_status rocks_schema_check(struct rocks_store *s, size_t newest, size_t *schema,
                                    struct gate_error *err);
/* Takes the steps that are missing and writes each with sync. */
enum gate_status rocks_schema_migrate(struct rocks_store *s, const struct rocks_migration *steps,
                                      size_t count, struct gate_error *err);

/* Continues where the versions that were ever handed out end. */
enum gate_status rocks_versions_load(struct rocks_store *s, struct gate_error *err);
/* A version that no record of the database ever had. */
enum gate_status rocks_version_take(struct rocks_store *s, uint64_t *version,
                                    struct gate_error *err);

/* ---------------------------------------------------------------- write.c */

enum gate_status rocks_key_make(struct rocks_key *out, enum rocks_prefix prefix,
                                struct gate_str key, struct gate_error *err);

/* Reads one key as the batch at hand sees it. GATE_OK with out->ptr NULL: there is nothing. */
enum gate_status rocks_value_read(struct rocks_store *s, const struct rocks_key *key,
                                  struct rocks_value *out, struct gate_error *err);
void rocks_value_finish(struct rocks_value *v);
static inline struct gate_str rocks_value_str(const struct rocks_value *v)
{
    return (struct gate_str){v->ptr, v->len};
}

/* The start of each operation that writes: recovers after an earlier failure, so that what the
 * operation reads afterwards is what its write meets. */
enum gate_status rocks_write_begin(struct rocks_store *s, struct gate_error *err);
/* Collect the operation's writes. */
void rocks_write_put(struct rocks_store *s, const struct rocks_key *key, struct gate_str head,
                     struct gate_str tail);
void rocks_write_add(struct rocks_store *s, const struct rocks_key *key, struct gate_str operand);
void rocks_write_delete(struct rocks_store *s, const struct rocks_key *key);
/* Its end: writes them, or leaves them to the commit of the batch. */
enum gate_status rocks_write_end(struct rocks_store *s, bool sync, struct gate_error *err);
/* Takes over an error of RocksDB (frees text) while writing: later writes try to recover. */
enum gate_status rocks_write_failed(struct rocks_store *s, char *text, struct gate_error *err);

enum gate_status rocks_batch_begin(struct rocks_store *s, struct gate_error *err);
enum gate_status rocks_batch_commit(struct rocks_store *s, bool sync, struct gate_error *err);
void rocks_batch_abort(struct rocks_store *s);

/* Opens the database anew when a write has failed and the time for a try has come. GATE_OK: it
 * works. */
enum gate_status rocks_recover(struct rocks_store *s, struct gate_error *err);

/* ---------------------------------------------------------------- lease.c */

enum gate_status rocks_lease_acquire(struct rocks_store *s, struct gate_str name,
                                     struct gate_str owner, uint64_t ttl_ms, uint64_t *fence,
                                     struct gate_error *err);
enum gate_status rocks_lease_renew(struct rocks_store *s, struct gate_str name,
                                   struct gate_str owner, uint64_t ttl_ms, struct gate_error *err);
enum gate_status rocks_lease_release(struct rocks_store *s, struct gate_str name,
                                     struct gate_str owner, struct gate_error *err);
/* Checks the fencing token of a write to a key against the lease of the same name, and remembers a
 * higher one. */
enum gate_status rocks_fence_check(struct rocks_store *s, struct gate_str key, uint64_t fence,
                                   struct gate_error *err);

/* ---------------------------------------------------------------- sweep.c */

/* A record that expires then is about to be written. */
void rocks_sweep_note(struct rocks_store *s, uint64_t expires_ms);
/* After a write: looks at a few records and removes what has expired. */
void rocks_sweep_step(struct rocks_store *s);

#endif
