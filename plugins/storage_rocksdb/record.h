/*
 * record: how a record looks in the database, and the merge operator that adds to counters. Used by
 * every file of the plugin. Pure functions: the merge operator runs on RocksDB's threads too.
 *
 * All numbers are little endian. A stored value starts with its format:
 *
 *     1  record     version u64, expiry u64 (Unix ms, 0: never), the value's bytes
 *     2  counter    version u64, expiry u64, sum i64
 *     3  addition   version u64, expiry u64, delta i64, time of the addition u64; only as an
 *                   operand of a merge, never as the value of a key
 *
 * A database of this schema holds no other format.
 */
#ifndef ROCKS_RECORD_H
#define ROCKS_RECORD_H

#include <gate/plugin.h>
#include <rocksdb/c.h>

enum {
    ROCKS_HEADER = 17,
    ROCKS_COUNTER_BYTES = ROCKS_HEADER + 8,
    ROCKS_ADDITION_BYTES = ROCKS_HEADER + 16,
    ROCKS_NUMBER_MAX = 20, /* characters of a 64-bit number as text */
};

enum rocks_format { ROCKS_RECORD = 1, ROCKS_COUNTER = 2, ROCKS_ADDITION = 3 };

struct rocks_record {
    enum rocks_format format;
    uint64_t version;
    uint64_t expires_ms;   /* Unix; 0: never */
    struct gate_str value; /* ROCKS_RECORD: lent by the bytes that were decoded */
    int64_t number;        /* ROCKS_COUNTER: the sum; ROCKS_ADDITION: the delta */
    uint64_t at_ms;        /* ROCKS_ADDITION: when it was made */
};

void rocks_put_u64(char *out, uint64_t v);
uint64_t rocks_get_u64(const char *in);
/* malloc that aborts when there is no memory. */
void *rocks_alloc(size_t n);

/* When something that lives for ttl_ms (0: for ever) ends; 0: never. */
uint64_t rocks_expiry(uint64_t now_ms, uint64_t ttl_ms);
static inline bool rocks_alive(uint64_t expires_ms, uint64_t now_ms)
{
    return expires_ms == 0 || expires_ms > now_ms;
}

/* False: the bytes have no format of this schema. */
bool rocks_record_decode(struct gate_str bytes, struct rocks_record *out);
/* The record's bytes without the value of a ROCKS_RECORD, which follows them. Returns how many. */
size_t rocks_record_encode(const struct rocks_record *r, char out[ROCKS_ADDITION_BYTES]);

/* The number in a counter, or in a record whose value is the decimal text of one. False: neither.
 */
bool rocks_record_number(const struct rocks_record *r, int64_t *out);
/* Adds to what is stored. *present is false where nothing is, and true afterwards. An addition to a
 * living record that is no number changes nothing but, where it lives longer, the expiry. */
void rocks_record_add(struct rocks_record *r, bool *present, const struct rocks_record *addition);

/* The merge operator; the options that it is set in own it. */
rocksdb_mergeoperator_t *rocks_merge_operator(void);

#endif
