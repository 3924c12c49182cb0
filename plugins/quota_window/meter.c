#include "state.h"

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics must take no lock");
_Static_assert(WINDOW_SPAN_S < WINDOW_SLOTS, "two seconds that both count must not share a slot");

/* ---------------------------------------------------------------- clock */

uint64_t window_second_of(uint64_t now_ms)
{
    return now_ms / 1000 < WINDOW_SECOND_MAX ? now_ms / 1000 : WINDOW_SECOND_MAX;
}

/* now_s lies far behind the clock: this thread slept since it was read, or the clock was set back.
 * Reading it again tells which. */
static uint64_t follow_back(struct window_kind *k, uint64_t clock, uint64_t now_s,
                            uint64_t (*now_ms)(void))
{
    uint64_t again = window_second_of(now_ms());
    uint64_t set = again > now_s ? again : now_s;

    if (set + WINDOW_LAG_S >= clock || !atomic_compare_exchange_strong(&k->clock, &clock, set))
        return clock;
    return set;
}

uint64_t window_clock(struct window_kind *k, uint64_t now_s, uint64_t (*now_ms)(void))
{
    uint64_t clock = atomic_load(&k->clock);

    while (now_s > clock)
        if (atomic_compare_exchange_weak(&k->clock, &clock, now_s))
            clock = now_s;
    return clock - now_s <= WINDOW_LAG_S ? clock : follow_back(k, clock, now_s, now_ms);
}

uint64_t window_clock_peek(const struct window_kind *k, uint64_t now_s)
{
    uint64_t clock = atomic_load(&k->clock);

    return now_s > clock ? now_s : clock;
}

/* ---------------------------------------------------------------- minute */

bool window_minute_take(struct window_meter *m, uint64_t n, uint64_t limit)
{
    uint64_t used = atomic_load(&m->minute);

    do {
        if (!window_fits(used, n, limit))
            return false;
    } while (n > 0 && !atomic_compare_exchange_weak(&m->minute, &used, used + n));
    return true;
}

void window_minute_untake(struct window_meter *m, uint64_t n)
{
    if (n > 0)
        atomic_fetch_sub(&m->minute, n);
}

/* Adds up to n to a slot's count, by a word that replaces `word`. What a full slot cannot hold
 * leaves the total as well. */
static bool slot_add(struct window_meter *m, size_t index, uint64_t *word, uint64_t second,
                     uint64_t held, uint64_t n)
{
    uint64_t room = WINDOW_SLOT_MAX - held;
    uint64_t add = n < room ? n : room;

    if (!atomic_compare_exchange_weak(&m->slots[index], word, window_slot_pack(second, held + add)))
        return false;
    window_minute_untake(m, n - add);
    return true;
}

/* slot_add for a slot of 64 or more seconds ago: what it holds is over. */
static bool slot_reuse(struct window_kind *k, struct window_meter *m, size_t index, uint64_t *word,
                       uint64_t second, uint64_t n)
{
    uint64_t over = window_slot_count(*word);
    bool done;

    if (over == 0)
        return slot_add(m, index, word, second, 0, n);
    /* Until that has left the total nobody must be refused for it. */
    atomic_fetch_add(&k->busy, 1);
    done = slot_add(m, index, word, second, 0, n);
    if (done)
        window_minute_untake(m, over);
    atomic_fetch_sub(&k->busy, 1);
    return done;
}

uint64_t window_minute_charge(struct window_kind *k, struct window_meter *m, uint64_t second,
                              uint64_t n)
{
    size_t index = second % WINDOW_SLOTS;
    uint64_t word, at;

    if (n == 0)
        return second;
    word = atomic_load(&m->slots[index]);
    for (;;) {
        uint64_t count = window_slot_count(word);

        at = window_slot_second(word, index);
        if (at < second) {
            if (slot_reuse(k, m, index, &word, second, n))
                return second;
        } else if (at == second || at > atomic_load(&k->clock)) {
            /* This second; or one of before the clock was set back, which then counts as this. */
            if (slot_add(m, index, &word, second, count, n))
                return second;
        } else {
            /* This thread was left behind: it counts as of now. */
            second = atomic_load(&k->clock);
            index = second % WINDOW_SLOTS;
            word = atomic_load(&m->slots[index]);
        }
    }
}

void window_minute_return(struct window_meter *m, uint64_t second, uint64_t n)
{
    size_t index = second % WINDOW_SLOTS;
    uint64_t word = atomic_load(&m->slots[index]);
    uint64_t count, less;

    if (n == 0)
        return;
    do {
        count = window_slot_count(word);
        less = n < count ? n : count;
        if (window_slot_second(word, index) != second || less == 0)
            return;
    } while (!atomic_compare_exchange_weak(&m->slots[index], &word,
                                           window_slot_pack(second, count - less)));
    window_minute_untake(m, less);
}

void window_minute_raise(struct window_kind *k, struct window_meter *m, uint64_t second, uint64_t n,
                         uint64_t clock)
{
    if (n == 0)
        return;
    if (second > clock || window_is_over(second, clock))
        second = atomic_load(&k->clock);
    atomic_fetch_add(&m->minute, n);
    window_minute_charge(k, m, second, n);
}

/* ---------------------------------------------------------------- day */

/* The day to count in, where the counter stands at `word` and this thread believes in `day`. */
static uint64_t day_at_hand(const struct window_kind *k, uint64_t word, uint64_t day,
                            int64_t offset_s)
{
    /* A counter that is ahead: this thread was left behind, or the clock was set back. The clock
     * knows which. */
    return window_day_number(word) <= day ? day : window_day_of(atomic_load(&k->clock), offset_s);
}

bool window_day_take(struct window_kind *k, struct window_meter *m, int64_t offset_s, uint64_t n,
                     uint64_t limit, uint64_t *day)
{
    uint64_t word = atomic_load(&m->day);
    uint64_t used, sum, at;

    do {
        at = day_at_hand(k, word, *day, offset_s);
        used = window_day_number(word) < at ? 0 : window_day_count(word);
        if (!window_fits(used, n, limit))
            return false;
        sum = n < WINDOW_DAY_COUNT_MAX - used ? used + n : WINDOW_DAY_COUNT_MAX;
    } while (n > 0 && !atomic_compare_exchange_weak(&m->day, &word, window_day_pack(at, sum)));
    *day = at;
    return true;
}

void window_day_return(struct window_meter *m, uint64_t day, uint64_t n)
{
    uint64_t word = atomic_load(&m->day);
    uint64_t count, less;

    do {
        count = window_day_count(word);
        less = n < count ? n : count;
        if (window_day_number(word) != day || less == 0)
            return;
    } while (!atomic_compare_exchange_weak(&m->day, &word, window_day_pack(day, count - less)));
}

/* ---------------------------------------------------------------- both */

static void sweep_meter(struct window_kind *k, struct window_meter *m, uint64_t clock)
{
    if (atomic_load(&m->minute) == 0)
        return;
    for (size_t i = 0; i < WINDOW_SLOTS; i++) {
        uint64_t word = atomic_load(&m->slots[i]);
        uint64_t count = window_slot_count(word), second = window_slot_second(word, i);

        if (count == 0)
            continue;
        /* Slots are charged with seconds that the clock has reached. One ahead of it is left from
         * before the clock was set back, and counts as of now. */
        if (window_is_over(second, clock)) {
            if (atomic_compare_exchange_strong(&m->slots[i], &word, 0))
                window_minute_untake(m, count);
        } else if (second > clock && second > atomic_load(&k->clock)) {
            if (atomic_compare_exchange_strong(&m->slots[i], &word, 0))
                window_minute_charge(k, m, atomic_load(&k->clock), count);
        }
    }
}

void window_sweep(struct window_kind *k, uint64_t clock)
{
    for (size_t i = 0; i < WINDOW_METERS; i++)
        sweep_meter(k, &k->meters[i], clock);
    /* Behind the work: who sees this second here finds it swept. */
    atomic_store(&k->swept, clock);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

bool window_look_again(const struct window_kind *k, int *looks)
{
    if (atomic_load(&k->busy) == 0 || *looks == WINDOW_LOOKS)
        return false;
    ++*looks;
    relax();
    return true;
}

/* What the slots of `count` seconds from `first` on hold of these seconds. */
static uint64_t sum_of_seconds(const struct window_meter *m, uint64_t first, uint64_t count)
{
    uint64_t sum = 0;

    for (uint64_t second = first; second < first + count; second++) {
        uint64_t word =
            atomic_load_explicit(&m->slots[second % WINDOW_SLOTS], memory_order_relaxed);

        if (window_slot_second(word, second % WINDOW_SLOTS) == second)
            sum += window_slot_count(word);
    }
    return sum;
}

static uint64_t sum_of_over(const struct window_meter *m, uint64_t clock)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < WINDOW_SLOTS; i++) {
        uint64_t word = atomic_load_explicit(&m->slots[i], memory_order_relaxed);

        if (window_is_over(window_slot_second(word, i), clock))
            sum += window_slot_count(word);
    }
    return sum;
}

uint64_t window_minute_used(const struct window_kind *k, const struct window_meter *m,
                            uint64_t clock)
{
    /* The total first: what is swept meanwhile is then counted rather than missed. Who sees it
     * lowered sees the slots that it was lowered for emptied, so these need no order. */
    uint64_t used = atomic_load(&m->minute);
    uint64_t swept = atomic_load(&k->swept);
    uint64_t newest = atomic_load(&k->clock);
    uint64_t next, live, rest;

    if (used == 0 || swept == clock || clock < WINDOW_SPAN_S)
        return used;
    next = clock - WINDOW_SPAN_S + 1; /* the oldest second that counts */
    if (swept > clock || newest > clock || swept < WINDOW_SPAN_S) {
        rest = sum_of_over(m, clock);
    } else {
        /* Nothing is charged to a second that the clock has not reached, and what was over at the
         * sweep is gone: read the fewer of the seconds that count and those that are over since. */
        live = newest < next ? 0 : newest - next + 1;
        if (live <= clock - swept) {
            live = sum_of_seconds(m, next, live);
            return live < used ? live : used;
        }
        rest = sum_of_seconds(m, swept - WINDOW_SPAN_S + 1, clock - swept);
    }
    return rest < used ? used - rest : 0;
}

uint64_t window_day_used(const struct window_meter *m, uint64_t day)
{
    uint64_t word = atomic_load(&m->day);

    return window_day_number(word) < day ? 0 : window_day_count(word);
}

uint64_t window_minute_frees(const struct window_kind *k, const struct window_meter *m,
                             uint64_t keep, uint64_t clock)
{
    uint64_t used = window_minute_used(k, m, clock);
    uint64_t first = clock < WINDOW_SPAN_S ? 0 : clock - WINDOW_SPAN_S + 1;

    if (used <= keep)
        return clock;
    for (uint64_t second = first; second <= clock; second++) {
        uint64_t word = atomic_load(&m->slots[second % WINDOW_SLOTS]);
        uint64_t count = window_slot_count(word);

        if (window_slot_second(word, second % WINDOW_SLOTS) != second)
            continue;
        if (count >= used || used - count <= keep)
            return second + WINDOW_SPAN_S;
        used -= count;
    }
    /* Some of it is not charged to a second yet. */
    return clock + WINDOW_SPAN_S;
}
