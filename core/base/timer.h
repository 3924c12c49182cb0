/*
 * timer: one-shot timers of one worker, in a hashed wheel: arming, disarming and moving cost O(1)
 * and allocate nothing. The worker's loop calls gate_timers_run and sleeps at most
 * gate_timers_wait. Single-threaded. A timer fires up to one tick (GATE_TIMER_TICK_MS) late and
 * never early.
 */
#ifndef GATE_BASE_TIMER_H
#define GATE_BASE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GATE_TIMER_TICK_MS = 4, GATE_TIMER_SLOTS = 1024 };

struct gate_timer;
typedef void (*gate_timer_cb)(struct gate_timer *t);

/* Embedded by its owner; zeroed = disarmed. cb is set by the owner before arming. */
struct gate_timer {
    struct gate_timer *prev, *next;
    uint64_t due_ms;
    gate_timer_cb cb;
};

struct gate_timers {
    struct gate_timer slots[GATE_TIMER_SLOTS]; /* list heads */
    uint64_t used[GATE_TIMER_SLOTS / 64];      /* which slots hold a timer */
    uint64_t now_ms;                           /* what arming counts from: last run or touch */
    uint64_t tick;                             /* last tick that was run */
    size_t armed;
};

/* Brings the wheel's time up to date without firing anything: for callbacks that the loop makes
 * after a long sleep and before gate_timers_run. */
static inline void gate_timers_touch(struct gate_timers *w, uint64_t now_ms)
{
    if (now_ms > w->now_ms)
        w->now_ms = now_ms;
}
void gate_timers_init(struct gate_timers *w, uint64_t now_ms);
/* Arms (or moves) t to fire `after_ms` from the wheel's time. Does not call cb itself, even for 0.
 */
void gate_timer_arm(struct gate_timers *w, struct gate_timer *t, uint64_t after_ms);
/* No effect on a disarmed timer. */
void gate_timer_disarm(struct gate_timers *w, struct gate_timer *t);
static inline bool gate_timer_is_armed(const struct gate_timer *t)
{
    return t->next != NULL;
}
/* Advances to now_ms and fires what is due. cb may arm and disarm any timer, its own too. */
void gate_timers_run(struct gate_timers *w, uint64_t now_ms);
/* Milliseconds until the next timer may be due, at most `limit`. */
uint64_t gate_timers_wait(const struct gate_timers *w, uint64_t now_ms, uint64_t limit);

#endif
