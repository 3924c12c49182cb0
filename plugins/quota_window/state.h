/*
 * state: the counters of one account, as the gateway allocates them: zeroed, aligned to a cache
 * line, shared by all workers. Everything in it is a C11 atomic and no function here takes a lock.
 * Used by all files of quota_window. Any thread, unless a comment says otherwise.
 *
 * A meter counts requests or tokens. Its minute is a total and a ring of one-second slots; the
 * total is never less than what the slots hold, because it is raised before a slot is and lowered
 * after. A request is admitted by the total alone, so whatever thread is interrupted wherever, the
 * error is a total that is too high for a moment.
 */
#ifndef WINDOW_STATE_H
#define WINDOW_STATE_H

#include <gate/plugin.h>
#include <stdatomic.h>

enum {
    WINDOW_LINE = 64,   /* bytes of a cache line */
    WINDOW_SLOTS = 64,  /* one-second slots of a ring; more than WINDOW_SPAN_S */
    WINDOW_SPAN_S = 61, /* taken in second s, counted until s + 61: no 60 s can hold too much */
    WINDOW_LAG_S = 64,  /* a clock that goes back by more is a clock that was set */
    WINDOW_DAY_S = 24 * 3600,
    WINDOW_METERS = 2, /* requests, tokens */
};

#define WINDOW_SECOND_MAX (((uint64_t)1 << 34) - 1)
#define WINDOW_DAY_MAX (((uint64_t)1 << 20) - 1)
/* Counts stop there instead of wrapping; no account gets near. */
#define WINDOW_SLOT_MAX (((uint64_t)1 << 36) - 1)
#define WINDOW_DAY_COUNT_MAX (((uint64_t)1 << 44) - 1)
/* The tokens of one request. */
#define WINDOW_TOKENS_MAX ((uint64_t)UINT32_MAX)

struct window_meter {
    /* of the last 61 seconds, and what reservers hold that are not through yet */
    _Alignas(WINDOW_LINE) _Atomic uint64_t minute;
    _Atomic uint64_t day;                                       /* day number << 44 | count */
    _Alignas(WINDOW_LINE) _Atomic uint64_t slots[WINDOW_SLOTS]; /* second >> 6 << 36 | count */
};

struct window_kind {
    _Alignas(WINDOW_LINE) _Atomic uint64_t clock; /* the newest second that any thread has seen */
    _Atomic uint64_t swept;                       /* the second of the last sweep */
    _Atomic uint64_t busy;          /* threads that hold what they may yet give back */
    _Atomic uint64_t in_flight;     /* reserved, not settled */
    _Atomic uint64_t blocked_until; /* Unix ms; the upstream said so */
    struct window_meter meters[WINDOW_METERS];
};

enum { WINDOW_REQUESTS, WINDOW_TOKENS };

struct window_state {
    struct window_kind kinds[GATE_USAGE_KINDS];
};

/* ---------------------------------------------------------------- packed words */

static inline uint64_t window_slot_pack(uint64_t second, uint64_t count)
{
    return second / WINDOW_SLOTS << 36 | count;
}

static inline uint64_t window_slot_count(uint64_t word)
{
    return word & WINDOW_SLOT_MAX;
}

static inline uint64_t window_slot_second(uint64_t word, size_t index)
{
    return (word >> 36) * WINDOW_SLOTS + index;
}

static inline uint64_t window_day_pack(uint64_t day, uint64_t count)
{
    return day << 44 | count;
}

static inline uint64_t window_day_number(uint64_t word)
{
    return word >> 44;
}

static inline uint64_t window_day_count(uint64_t word)
{
    return word & WINDOW_DAY_COUNT_MAX;
}

/* Has what was taken in `second` left the window by second `clock`? */
static inline bool window_is_over(uint64_t second, uint64_t clock)
{
    return second + WINDOW_SPAN_S <= clock;
}

/* Is there room for n more? A full meter has none, not even for a request of unknown size (0). */
static inline bool window_fits(uint64_t used, uint64_t n, uint64_t limit)
{
    return limit == 0 || (used < limit && n <= limit - used);
}

/* ---------------------------------------------------------------- the zone (zone.c) */

/* Reads "+08:00", "-05:30", "UTC" or "Z". GATE_EINVAL: anything else, with a text. */
enum gate_status window_zone_parse(struct gate_str text, int64_t *offset_s, struct gate_error *err);
/* The number of the day that a second is in; grows by one at midnight. Never 0, so that a zeroed
 * day counter is one of the past. */
uint64_t window_day_of(uint64_t second, int64_t offset_s);
/* When the day of now_ms ends, Unix ms. */
uint64_t window_day_end(uint64_t now_ms, int64_t offset_s);

/* ---------------------------------------------------------------- the clock (meter.c) */

/* The second of now_ms, held to the 34 bits that stamps have. */
uint64_t window_second_of(uint64_t now_ms);
/* Worker. The second that now_s counts as: the newest that any thread has seen. So a clock that
 * goes back a little stands still until it has caught up. One that was set back by more than
 * WINDOW_LAG_S, as now_ms, the gateway's clock, then confirms, is followed. */
uint64_t window_clock(struct window_kind *k, uint64_t now_s, uint64_t (*now_ms)(void));
/* The same for who only reads. */
uint64_t window_clock_peek(const struct window_kind *k, uint64_t now_s);

/* ---------------------------------------------------------------- one meter (meter.c) */

/* Takes n from the minute's total. False: it does not fit, nothing was taken. */
bool window_minute_take(struct window_meter *m, uint64_t n, uint64_t limit);
/* Undoes a take that was not charged to a second. */
void window_minute_untake(struct window_meter *m, uint64_t n);
/* Puts n, which the total already holds, into the slot of `second`, or of a newer one where that is
 * the past already. Returns the second that it went to. */
uint64_t window_minute_charge(struct window_kind *k, struct window_meter *m, uint64_t second,
                              uint64_t n);
/* Takes n back out of the slot of `second`; nothing if that has left the ring. */
void window_minute_return(struct window_meter *m, uint64_t second, uint64_t n);
/* Adds n without a limit: to `second` if it still counts at `clock`, else to the newest second. */
void window_minute_raise(struct window_kind *k, struct window_meter *m, uint64_t second, uint64_t n,
                         uint64_t clock);

/* Takes n from *day or from a newer day, which is then written to *day. False: does not fit. */
bool window_day_take(struct window_kind *k, struct window_meter *m, int64_t offset_s, uint64_t n,
                     uint64_t limit, uint64_t *day);
/* Gives n back to `day`; nothing if the counter is at another day. */
void window_day_return(struct window_meter *m, uint64_t day, uint64_t n);

/* Drops from both rings what has left the window at `clock`. */
void window_sweep(struct window_kind *k, uint64_t clock);

/* What is in the way of a reserver may be held by a thread that is about to give it back. Waits for
 * a moment and says whether to look again: while others are at it, at most WINDOW_LOOKS times.
 * *looks starts at 0. */
enum { WINDOW_LOOKS = 32 };
bool window_look_again(const struct window_kind *k, int *looks);

/* What a meter holds at `clock`. A thread at work may let the minute look fuller, never emptier. */
uint64_t window_minute_used(const struct window_kind *k, const struct window_meter *m,
                            uint64_t clock);
uint64_t window_day_used(const struct window_meter *m, uint64_t day);
/* The first second in which at most `keep` of what is charged now still counts. `clock` if that is
 * so already. */
uint64_t window_minute_frees(const struct window_kind *k, const struct window_meter *m,
                             uint64_t keep, uint64_t clock);

/* ---------------------------------------------------------------- the upstream's facts */

/* The end of the block at hand, Unix ms; 0: none. (observe.c) */
uint64_t window_blocked_until(const struct window_kind *k, uint64_t now_ms);
/* gate_quota_ops.observe for one kind. (observe.c) */
void window_observe(struct window_kind *k, const struct gate_header *headers, size_t count,
                    uint64_t now_ms);

/* ---------------------------------------------------------------- saving and showing */

/* gate_quota_ops.save and load. (stored.c) */
void window_save(const struct window_state *state, const struct gate_writer *out);
enum gate_status window_load(struct window_state *state, struct gate_str bytes, uint64_t now_ms,
                             struct gate_error *err);

/* gate_quota_ops.numbers and snapshot; zone is the option's text. (report.c) */
void window_numbers(const struct window_kind *k, int64_t offset_s, uint64_t now_ms,
                    struct gate_quota_numbers *out);
void window_snapshot(const struct window_state *state, const struct gate_limits *limits,
                     int64_t offset_s, struct gate_str zone, uint64_t now_ms,
                     const struct gate_writer *json);

#endif
