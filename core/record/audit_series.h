/*
 * audit_series: what charts show: counts and latencies by minute, hour and day, of one account or
 * of all, and the last two hours of each account. Written by the audit with its sums, so that it
 * survives restarts. Used by admin.
 */
#ifndef GATE_RECORD_AUDIT_SERIES_H
#define GATE_RECORD_AUDIT_SERIES_H

#include "record/audit.h"

enum {
    GATE_LATENCY_BUCKETS = 76, /* four for each doubling, from 1 ms to 17 minutes */
    GATE_SERIES_MAX_POINTS = 1440,
    GATE_SPARK_POINTS = 24,
    GATE_SPARK_MINUTES = 5, /* of each */
};

/* Outcomes as charts have them. */
enum gate_series_class {
    GATE_SERIES_SUCCESS,
    GATE_SERIES_LIMITED,
    GATE_SERIES_ERROR,
    GATE_SERIES_CANCELLED,
    GATE_SERIES_CLASSES,
};
enum gate_series_class gate_series_class_of(struct gate_str outcome);

/* What happened in a stretch of time. */
struct gate_series_point {
    uint64_t classes[GATE_SERIES_CLASSES]; /* requests */
    uint64_t prompt_tokens, completion_tokens, total_us;
    /* Successes by the time they took, and by the time to the first byte. */
    uint64_t total[GATE_LATENCY_BUCKETS], first[GATE_LATENCY_BUCKETS];
};

/* Adds `from` to `to`. */
void gate_series_sum(struct gate_series_point *to, const struct gate_series_point *from);

/* The time in ms that this percentage of what was counted took at most, as exact as the buckets
 * are. False: nothing was counted. */
bool gate_latency_percentile(const uint64_t counts[GATE_LATENCY_BUCKETS], unsigned percent,
                             uint64_t *ms);

/* A question. */
struct gate_series_reading {
    struct gate_str account; /* empty: all */
    bool hours;              /* read hours; else minutes, which are kept for a day */
    uint64_t from_ms, to_ms; /* points that begin in [from_ms, to_ms); from_ms is a beginning */
    uint64_t step_ms;        /* of what is given out: what lies within a step is one point */
    struct gate_series_point *points; /* (to_ms - from_ms) / step_ms of them, zeroed */
};
/* Store thread. One scan of at most GATE_SERIES_MAX_POINTS records. */
enum gate_status gate_series_read(struct gate_storage *s, const struct gate_series_reading *reading,
                                  struct gate_error *err);
/* Store thread. The sums of the day that now_ms is in; zeroes when there are none. */
void gate_series_today(struct gate_audit *a, struct gate_storage *s, uint64_t now_ms,
                       struct gate_series_point *out);

/* Control thread. Makes sure that the last two hours of these accounts are in memory; waits for
 * the store thread where they are not, once for each account of a process. */
void gate_audit_sparks_load(struct gate_audit *a, const struct gate_str *accounts, size_t count);
/* Any thread but workers. Requests of the last two hours, the last element is the five minutes at
 * hand; zeroes for an account that was not loaded. */
void gate_audit_spark(const struct gate_audit *a, struct gate_str account, uint64_t now_ms,
                      uint32_t out[GATE_SPARK_POINTS]);

#endif
