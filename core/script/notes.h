/*
 * notes: what scripts may remember between calls. gate.counter's numbers are shared by all workers;
 * gate.kv's entries belong to one worker. Both outlive the generation, so that publishing forgets
 * nothing, and neither outlives the process. Bounded: see the enums.
 */
#ifndef GATE_SCRIPT_NOTES_H
#define GATE_SCRIPT_NOTES_H

#include "gate/plugin.h"

enum {
    GATE_COUNTERS_MAX = 256,
    GATE_COUNTER_NAME = 64, /* bytes of a name: [A-Za-z0-9_.:-] */
    GATE_KV_MAX = 1024,     /* entries; the one used longest ago makes room */
    GATE_KV_KEY = 128,      /* bytes */
    GATE_KV_VALUE = 1024,   /* bytes of a string */
    GATE_KV_MAX_TTL_MS = 86400000,
};

/* ---- counters: any thread, no lock to add */

struct gate_counters;
struct gate_counters *gate_counters_create(void);
void gate_counters_destroy(struct gate_counters *c);
/* Adds delta to the counter and returns its new value in *value. GATE_ELIMIT: there are
 * GATE_COUNTERS_MAX others; GATE_EINVAL: not a name. delta 0 reads: it makes no counter. */
enum gate_status gate_counters_add(struct gate_counters *c, struct gate_str name, int64_t delta,
                                   int64_t *value);
/* Calls cb for each, in the order in which they appeared. */
void gate_counters_each(const struct gate_counters *c,
                        void (*cb)(void *ctx, const char *name, int64_t value), void *ctx);

/* ---- key-value: one thread */

enum gate_kv_type {
    GATE_KV_NONE = 0,
    GATE_KV_BOOLEAN,
    GATE_KV_INTEGER,
    GATE_KV_NUMBER,
    GATE_KV_STRING
};

struct gate_kv_value {
    enum gate_kv_type type;
    bool boolean;
    int64_t integer;
    double number;
    struct gate_str string; /* from get: valid until the next call */
};

struct gate_kv;
struct gate_kv *gate_kv_create(void);
void gate_kv_destroy(struct gate_kv *kv);
/* NONE: there is no such key, or its time is over. now_ms: any clock that only grows. */
struct gate_kv_value gate_kv_get(struct gate_kv *kv, struct gate_str key, uint64_t now_ms);
/* type NONE deletes. The caller has checked the sizes. O(1). */
void gate_kv_set(struct gate_kv *kv, struct gate_str key, const struct gate_kv_value *value,
                 uint64_t ttl_ms, uint64_t now_ms);
/* Adds delta, a number, to the number at key and returns it in *sum. A key that is not there begins
 * with delta and lives for ttl_ms (0: for good); one that is there keeps its end, so that sums over
 * a window of time work. False: there is something else at key; *sum tells its type. O(1). */
bool gate_kv_add(struct gate_kv *kv, struct gate_str key, const struct gate_kv_value *delta,
                 uint64_t ttl_ms, uint64_t now_ms, struct gate_kv_value *sum);

#endif
