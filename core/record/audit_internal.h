/*
 * audit_internal: what the files of audit share.
 *
 *     audit.c           batches of workers, collecting and writing
 *     audit_table.c     rows in memory
 *     audit_key.c       rows in storage: their keys
 *     audit_query.c     reading rows
 *     audit_expire.c    removing what is old
 *     audit_latency.c   buckets of latencies
 *     audit_point.c     points of series in storage: their keys and bytes
 *     audit_series.c    writing and reading series
 *     audit_spark.c     the last two hours of each account, in memory
 */
#ifndef GATE_RECORD_AUDIT_INTERNAL_H
#define GATE_RECORD_AUDIT_INTERNAL_H

#include "record/audit_series.h"

enum {
    GATE_AUDIT_MINUTE_MS = 60 * 1000,
    GATE_AUDIT_HOUR = 60,           /* minutes */
    GATE_AUDIT_MAX_PENDING = 16384, /* distinct rows that wait for storage; what is more counts
                                       under "error:other" */
    /* prefix, 8 digits, kind, two escaped names, separators and the letter of a sum */
    GATE_AUDIT_MAX_KEY = 32 + 3 * (GATE_AUDIT_MAX_OUTCOME + GATE_AUDIT_MAX_ACCOUNT),
};

/* What is counted of a row, in the order of its letters in storage. */
enum gate_audit_sum {
    GATE_AUDIT_COUNT,
    GATE_AUDIT_PROMPT,
    GATE_AUDIT_COMPLETION,
    GATE_AUDIT_TIME, /* microseconds, so that flushes do not add up rounding */
    GATE_AUDIT_SUMS,
};

/* What makes a row one row. Minutes are counted from the Unix epoch. */
struct gate_audit_id {
    uint32_t minute;
    enum gate_usage_kind kind;
    struct gate_str outcome, account; /* within their caps */
};

/* ---------------------------------------------------------------- audit_table.c */

struct gate_audit_cell {
    uint64_t hash;
    uint64_t sums[GATE_AUDIT_SUMS];
    uint32_t minute;
    uint16_t slot; /* which leads here */
    uint8_t kind, outcome_len, account_len;
    char text[GATE_AUDIT_MAX_OUTCOME + GATE_AUDIT_MAX_ACCOUNT];
};

/* How long requests took, by bucket; kept of successes only. */
struct gate_audit_latency {
    uint32_t total[GATE_LATENCY_BUCKETS], first[GATE_LATENCY_BUCKETS];
};

/* A hash table of rows with a fixed capacity. Its memory is touched only as far as it was used. */
struct gate_audit_table {
    struct gate_audit_cell *cells;        /* `count` in use, in the order of their making */
    struct gate_audit_latency *latencies; /* of the cells whose outcome is success */
    uint16_t *slots;                      /* index of a cell + 1; 0: free */
    uint32_t count, capacity;
    uint32_t mask; /* of slots: twice the capacity */
};

/* capacity: a power of two, at least 1024. */
void gate_audit_table_init(struct gate_audit_table *t, uint32_t capacity);
void gate_audit_table_finish(struct gate_audit_table *t);
/* Adds to the row of id, made when it is new, and returns its cell. Does not allocate. A full table
 * keeps all sums, but under "error:other" of no account. */
struct gate_audit_cell *gate_audit_table_add(struct gate_audit_table *t,
                                             const struct gate_audit_id *id,
                                             const uint64_t sums[GATE_AUDIT_SUMS]);
/* The latencies of a cell; NULL: none are kept of it. */
struct gate_audit_latency *gate_audit_table_latency(const struct gate_audit_table *t,
                                                    const struct gate_audit_cell *cell);
void gate_audit_table_clear(struct gate_audit_table *t);
/* Lent by the cell. */
struct gate_audit_id gate_audit_cell_id(const struct gate_audit_cell *cell);

/* ---------------------------------------------------------------- audit_key.c */

/* A key: prefix, minute, kind, outcome, account, ' ' and the letter of the sum:
 * "audit/01c9c380/chat/limited:rpm/qwen-oauth/0 n". Bytes that separate are escaped as %XX, so the
 * keys of one row follow each other. */
struct gate_audit_key {
    size_t len;
    char bytes[GATE_AUDIT_MAX_KEY];
};

/* Without the letter. prefix: GATE_KEY_AUDIT, GATE_KEY_HOUR or GATE_KEY_DAY. */
void gate_audit_key_make(struct gate_audit_key *key, const char *prefix,
                         const struct gate_audit_id *id);
/* Appends a name as keys have it. */
void gate_audit_key_name(struct gate_audit_key *key, struct gate_str name);
/* The first key of a minute, and the bound of what lies before it. */
void gate_audit_key_minute(struct gate_audit_key *key, const char *prefix, uint32_t minute);
static inline struct gate_str gate_audit_key_str(const struct gate_audit_key *key)
{
    return (struct gate_str){key->bytes, key->len};
}
/* The letter of a sum, and back: GATE_AUDIT_SUMS for a letter that is none. */
char gate_audit_sum_letter(enum gate_audit_sum sum);
enum gate_audit_sum gate_audit_letter_sum(char letter);

/* The row that a key without its letter names; id is lent by text. False: not a key of prefix. */
struct gate_audit_text {
    char outcome[GATE_AUDIT_MAX_OUTCOME], account[GATE_AUDIT_MAX_ACCOUNT];
};
bool gate_audit_key_read(struct gate_str key, const char *prefix, struct gate_audit_id *id,
                         struct gate_audit_text *text);
/* 8 hex digits. False: something else. */
bool gate_audit_minute_read(struct gate_str digits, uint32_t *out);

/* ---------------------------------------------------------------- audit_latency.c */

unsigned gate_latency_bucket(uint64_t us);

/* ---------------------------------------------------------------- audit_point.c */

enum {
    GATE_SERIES_FIVES = 12, /* of an hour */
    /* bytes of a point: format, sums, fives, and for both latencies a gap and a count each */
    GATE_SERIES_MAX_BYTES =
        1 + 10 * 8 + 5 * GATE_SERIES_FIVES + 2 * (2 + 12 * GATE_LATENCY_BUCKETS),
};

/* The steps for which points are kept, and their letters in keys. */
enum gate_series_step {
    GATE_SERIES_MINUTE = 'm', /* kept for a day */
    GATE_SERIES_HOUR = 'h',
    GATE_SERIES_DAY = 'd', /* of all accounts together; its time is the day's end */
};

/* A point as it lies in storage. */
struct gate_series_stored {
    struct gate_series_point point;
    uint32_t fives[GATE_SERIES_FIVES]; /* requests of each five minutes of an hour */
};

/* account: empty: all of them. */
void gate_series_key(struct gate_audit_key *key, enum gate_series_step step,
                     struct gate_str account, uint32_t minute);
/* The minute that a key ends with. False: it has none. */
bool gate_series_key_minute(struct gate_str key, uint32_t *minute);
size_t gate_series_encode(const struct gate_series_stored *p, char out[GATE_SERIES_MAX_BYTES]);
/* False: damaged; *out is zeroed. */
bool gate_series_decode(struct gate_str bytes, struct gate_series_stored *out);
/* GATE_ENOTFOUND, also for what is damaged: *out is zeroed. */
enum gate_status gate_series_get(struct gate_storage *s, enum gate_series_step step,
                                 struct gate_str account, uint32_t minute,
                                 struct gate_series_stored *out);

/* ---------------------------------------------------------------- audit_series.c */

/* Store thread, in a flush. Adds what is pending to the points of its minutes, hours and days, of
 * each account and of all. False: storage fails. */
bool gate_series_write(const struct gate_audit *a, struct gate_storage *s,
                       const struct gate_audit_table *pending);

/* ---------------------------------------------------------------- audit_spark.c */

struct gate_sparks;
struct gate_sparks *gate_sparks_create(void);
void gate_sparks_destroy(struct gate_sparks *k);
/* Store thread. One row that was collected and is not written yet. */
void gate_sparks_count(struct gate_sparks *k, struct gate_storage *s, struct gate_str account,
                       uint32_t minute, uint64_t count);

/* ---------------------------------------------------------------- audit.c */

/* Minute of a time, as far as 8 hex digits go. */
uint32_t gate_audit_minute(uint64_t ms);
uint64_t gate_audit_retention_ms(const struct gate_audit *a);
uint64_t gate_audit_day_end(const struct gate_audit *a, uint64_t now_ms);
/* Store thread: where the next call of gate_audit_expire goes on with series. */
struct gate_audit_key *gate_audit_expiring(struct gate_audit *a);
struct gate_sparks *gate_audit_sparks(const struct gate_audit *a);
struct gate_store *gate_audit_store(const struct gate_audit *a);

#endif
