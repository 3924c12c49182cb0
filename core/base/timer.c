#include "base/timer.h"
#include <assert.h>

enum {
    WORD_BITS = 64,
    WORDS = GATE_TIMER_SLOTS / WORD_BITS,
    /* Slots that gate_timers_wait looks into before it settles for a lower bound: with thousands of
     * far timers in every slot the answer must stay cheap, and waking early is harmless. */
    WAIT_LOOKS = 64,
};

/* Times above this would overflow when rounded up to a tick: some 500 million years. */
#define DUE_MAX (UINT64_MAX - 2 * GATE_TIMER_TICK_MS)

/* due_ms of an armed timer is a whole number of ticks, so its slot follows from it. due_ms of a
 * list head is a lower bound for the timers in the list. */
static size_t slot_of(const struct gate_timer *t)
{
    return t->due_ms / GATE_TIMER_TICK_MS % GATE_TIMER_SLOTS;
}

static void list_init(struct gate_timer *head)
{
    head->prev = head->next = head;
    head->due_ms = DUE_MAX;
}

static void list_append(struct gate_timer *head, struct gate_timer *t)
{
    t->prev = head->prev;
    t->next = head;
    head->prev->next = t;
    head->prev = t;
}

static void list_remove(struct gate_timer *t)
{
    t->prev->next = t->next;
    t->next->prev = t->prev;
    t->prev = t->next = NULL;
}

static void slot_mark(struct gate_timers *w, size_t slot)
{
    struct gate_timer *head = &w->slots[slot];
    uint64_t bit = (uint64_t)1 << slot % WORD_BITS;
    if (head->next != head) {
        w->used[slot / WORD_BITS] |= bit;
    } else {
        w->used[slot / WORD_BITS] &= ~bit;
        head->due_ms = DUE_MAX;
    }
}

static void slot_insert(struct gate_timers *w, struct gate_timer *t)
{
    size_t slot = slot_of(t);
    list_append(&w->slots[slot], t);
    if (t->due_ms < w->slots[slot].due_ms)
        w->slots[slot].due_ms = t->due_ms;
    w->used[slot / WORD_BITS] |= (uint64_t)1 << slot % WORD_BITS;
}

/* How many slots behind `from` the next used one lies (0: from itself), or GATE_TIMER_SLOTS. */
static size_t next_used(const struct gate_timers *w, size_t from)
{
    size_t word = from / WORD_BITS, skip = from % WORD_BITS;
    uint64_t bits = w->used[word] >> skip;
    if (bits != 0)
        return (size_t)__builtin_ctzll(bits);
    for (size_t i = 1; i <= WORDS; i++) {
        /* The last is the first word again, whose bits from `skip` on are known to be clear. */
        bits = w->used[(word + i) % WORDS];
        if (bits != 0)
            return i * WORD_BITS - skip + (size_t)__builtin_ctzll(bits);
    }
    return GATE_TIMER_SLOTS;
}

void gate_timers_init(struct gate_timers *w, uint64_t now_ms)
{
    *w = (struct gate_timers){.now_ms = now_ms, .tick = now_ms / GATE_TIMER_TICK_MS};
    for (size_t i = 0; i < GATE_TIMER_SLOTS; i++)
        list_init(&w->slots[i]);
}

void gate_timer_arm(struct gate_timers *w, struct gate_timer *t, uint64_t after_ms)
{
    assert(t->cb != NULL);
    gate_timer_disarm(w, t);
    uint64_t due = after_ms < DUE_MAX - w->now_ms ? w->now_ms + after_ms : DUE_MAX;
    uint64_t tick = (due + GATE_TIMER_TICK_MS - 1) / GATE_TIMER_TICK_MS;
    /* The slot of a tick that has run is not looked at again for a whole round. */
    if (tick <= w->tick)
        tick = w->tick + 1;
    t->due_ms = tick * GATE_TIMER_TICK_MS;
    slot_insert(w, t);
    w->armed++;
}

void gate_timer_disarm(struct gate_timers *w, struct gate_timer *t)
{
    if (!gate_timer_is_armed(t))
        return;
    list_remove(t);
    slot_mark(w, slot_of(t));
    w->armed--;
}

/* Moves the due timers of one slot to `due` and corrects the slot's lower bound. */
static void slot_collect(struct gate_timers *w, size_t slot, uint64_t until_ms,
                         struct gate_timer *due)
{
    struct gate_timer *head = &w->slots[slot], *next;
    if (head->due_ms > until_ms)
        return;
    uint64_t earliest = DUE_MAX;
    for (struct gate_timer *t = head->next; t != head; t = next) {
        next = t->next;
        if (t->due_ms <= until_ms) {
            list_remove(t);
            list_append(due, t);
        } else if (t->due_ms < earliest) {
            earliest = t->due_ms;
        }
    }
    head->due_ms = earliest;
    slot_mark(w, slot);
}

void gate_timers_run(struct gate_timers *w, uint64_t now_ms)
{
    uint64_t first = w->tick + 1, last = now_ms / GATE_TIMER_TICK_MS;
    if (now_ms < w->now_ms || last < first) {
        gate_timers_touch(w, now_ms);
        return;
    }
    /* Set before any callback: what a callback arms counts from now and lies behind `last`. */
    w->now_ms = now_ms;
    w->tick = last;
    uint64_t span = last + 1 - first;
    if (span > GATE_TIMER_SLOTS)
        span = GATE_TIMER_SLOTS;

    for (uint64_t done = 0; done < span; done++) {
        done += next_used(w, (first + done) % GATE_TIMER_SLOTS);
        if (done >= span)
            break;
        /* Timers that wait here for their turn are still armed: a callback may take any of them
         * out, or free it, so each turn starts from the list's head. */
        struct gate_timer due;
        list_init(&due);
        slot_collect(w, (first + done) % GATE_TIMER_SLOTS, last * GATE_TIMER_TICK_MS, &due);
        while (due.next != &due) {
            struct gate_timer *t = due.next;
            list_remove(t);
            w->armed--;
            t->cb(t);
        }
    }
}

uint64_t gate_timers_wait(const struct gate_timers *w, uint64_t now_ms, uint64_t limit)
{
    if (w->armed == 0)
        return limit;
    uint64_t first = w->tick + 1, at = 0;
    for (size_t looks = 0, ahead = 0; looks < WAIT_LOOKS; looks++, ahead++) {
        ahead += next_used(w, (first + ahead) % GATE_TIMER_SLOTS);
        at = (first + ahead) * GATE_TIMER_TICK_MS;
        if (at > now_ms && at - now_ms >= limit)
            return limit;
        if (ahead >= GATE_TIMER_SLOTS || w->slots[(first + ahead) % GATE_TIMER_SLOTS].due_ms <= at)
            break;
    }
    return at > now_ms ? at - now_ms : 0;
}
