/*
 * store: the storage plugin on its own thread. Storage calls block, so everything that touches it
 * is a job that runs there. Used by pool (accounts, credentials, quota), audit, alerts and admin.
 * Also notes whether writes succeed, so that alerts and the console can say so.
 */
#ifndef GATE_RECORD_STORE_H
#define GATE_RECORD_STORE_H

#include "base/buf.h"
#include "base/task.h"

struct gate_store;

/* What a job works with; valid during the job. */
struct gate_storage {
    const struct gate_storage_ops *ops;
    void *handle;
    struct gate_store *store;
};

typedef void (*gate_store_job)(struct gate_storage *s, void *arg);

/* Starts the thread and opens the storage on it. flush_ms: how often flushers run (0: only when a
 * flush is asked for). The values are lent until close. Errors say what is wrong with the
 * directory. */
enum gate_status gate_store_open(const struct gate_plugin *plugin, const struct gate_value *values,
                                 const char *directory, uint32_t flush_ms, struct gate_store **out,
                                 struct gate_error *err);
/* Runs all queued jobs and the flushers once more, closes the storage, ends the thread. NULL is
 * fine. */
void gate_store_close(struct gate_store *store);

/* Any thread. Where the storage lies, for messages; valid until close. */
const char *gate_store_directory(const struct gate_store *store);
/* Any thread. The plugin and its values, to open a copy of the storage with; valid until close. */
const struct gate_plugin *gate_store_plugin(const struct gate_store *store,
                                            const struct gate_value **values);

/* Any thread. Runs job on the store thread, in the order of posting. */
void gate_store_post(struct gate_store *store, gate_store_job job, void *arg);
/* Any thread but workers and the store thread: posts and waits. */
void gate_store_call(struct gate_store *store, gate_store_job job, void *arg);

/* A flusher writes what has collected in memory (counters). It runs on the store thread every
 * flush_ms, between batch_begin and batch_commit, and returns false when it had nothing to write.
 * `done` is called behind the commit: what was not written must be written again by the next
 * flush. */
struct gate_flusher {
    bool (*flush)(struct gate_storage *s, void *arg);
    void (*done)(void *arg, bool written);
    void *arg;
};
/* Control thread, before the first post. At most 8. */
void gate_store_add_flusher(struct gate_store *store, const struct gate_flusher *flusher);
/* Any thread. Runs the flushers soon (one run serves all that wait), then cb(arg, written) on the
 * store thread; cb may be NULL. */
void gate_store_flush(struct gate_store *store, void (*cb)(void *arg, bool written), void *arg);

/* Any thread. True while the last write failed. */
bool gate_store_is_failing(const struct gate_store *store);
/* Any thread. The text of the last failed write; empty when all is fine. */
void gate_store_problem(struct gate_store *store, struct gate_error *out);

/* The plugin's functions for jobs; they also keep the store's health. get appends the value to out
 * (GATE_ENOTFOUND: no such key); version may be NULL in all of them. */
enum gate_status gate_storage_get(struct gate_storage *s, struct gate_str key, struct gate_buf *out,
                                  uint64_t *version, struct gate_error *err);
enum gate_status gate_storage_put_if(struct gate_storage *s, struct gate_str key,
                                     struct gate_str value, uint64_t expected, uint64_t fence,
                                     uint64_t ttl_ms, unsigned flags, uint64_t *version,
                                     struct gate_error *err);
/* Deletes whatever version is there; absent is fine. */
enum gate_status gate_storage_delete(struct gate_storage *s, struct gate_str key,
                                     struct gate_error *err);
enum gate_status gate_storage_add(struct gate_storage *s, struct gate_str key, int64_t delta,
                                  uint64_t ttl_ms, struct gate_error *err);
/* Whether a write failed because storage does not work, so that it is worth trying again. Within a
 * flush such a write takes the whole batch back; any other refusal concerns that write only. */
static inline bool gate_storage_is_failure(enum gate_status status)
{
    return status != GATE_OK && status != GATE_ECONFLICT && status != GATE_ENOTFOUND &&
           status != GATE_EINVAL && status != GATE_ELIMIT;
}

/* Visits all keys that start with prefix, in order; cb returns false to stop. */
enum gate_status gate_storage_scan(struct gate_storage *s, struct gate_str prefix,
                                   bool (*cb)(void *ctx, const struct gate_record *record),
                                   void *ctx, struct gate_error *err);

/* The keys of the schema. Each is followed by what its comment names. gate_store_open writes the
 * schema's version, migrates an older one and refuses a newer one. */
#define GATE_KEY_SCHEMA "meta/schema"
#define GATE_KEY_VAULT "meta/vault"       /* proof that the encryption key is the right one */
#define GATE_KEY_ACCOUNT "account/"       /* id: JSON without secrets */
#define GATE_KEY_CREDENTIAL "credential/" /* id: sealed by the vault; its lease has that name */
#define GATE_KEY_CONDITION "condition/"   /* id: JSON: cooldown, exhausted, needs sign-in */
#define GATE_KEY_QUOTA "quota/"           /* id: bytes of the quota plugin */
#define GATE_KEY_AUDIT "audit/"           /* minute (8 hex digits)/kind/outcome/account: sums */
#define GATE_KEY_HOUR "hour/"             /* hour's first minute (8 hex digits)/...: sums */
#define GATE_KEY_DAY "day/"               /* day's end (8 hex digits of minutes)/...: sums */
#define GATE_KEY_SERIES "series/"         /* m, h or d/account time: counts and latencies, packed */
#define GATE_KEY_REQUESTS "requests/" /* inverted number (16 hex digits): a chunk of a journal */
#define GATE_KEY_ALERT "alert/"       /* name: JSON */
#define GATE_KEY_SESSIONS "sessions"  /* the console's: sealed by the vault */
#define GATE_KEY_GENERATION "generation/" /* number (16 hex digits): JSON without texts */
#define GATE_KEY_TEXTS "generation_text/" /* number (16 hex digits): JSON with all texts */

enum { GATE_STORE_SCHEMA = 1, GATE_STORE_MAX_FLUSHERS = 8 };

#endif
