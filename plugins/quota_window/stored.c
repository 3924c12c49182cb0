/*
 * stored: the counters as bytes. Behind three letters and a version all numbers are base-128
 * varints, low bits first:
 *
 *     for each kind of use: clock, blocked_until,
 *         for requests, for tokens: day number, day count, number of slots,
 *             for each slot, oldest first: seconds before the clock, count
 *
 * What is in flight is not stored: after a crash it counts as sent with its estimate.
 */
#include "state.h"

enum {
    VERSION = 1,
    VARINT_MAX = 10, /* bytes of 64 bits */
    /* head; per kind two numbers; per meter three and two for each slot */
    STORED_MAX = 4 + GATE_USAGE_KINDS *
                         (2 * VARINT_MAX + WINDOW_METERS * (3 + 2 * WINDOW_SLOTS) * VARINT_MAX),
};

static const char magic[] = {'g', 'q', 'w'};

#define BLOCK_LATEST (WINDOW_SECOND_MAX * 1000)

/* One kind of use, outside of the atomics. */
struct plain_meter {
    uint64_t day, day_count;
    uint64_t counts[WINDOW_SPAN_S]; /* by seconds before the clock */
};

struct plain_kind {
    uint64_t clock, blocked_until;
    struct plain_meter meters[WINDOW_METERS];
};

/* ---------------------------------------------------------------- save */

struct bytes {
    size_t len;
    unsigned char at[STORED_MAX];
};

static void put(struct bytes *b, uint64_t n)
{
    for (; n >= 0x80; n >>= 7)
        b->at[b->len++] = (unsigned char)(n | 0x80);
    b->at[b->len++] = (unsigned char)n;
}

static void save_meter(struct bytes *b, const uint64_t *words, uint64_t day, uint64_t clock)
{
    uint64_t counts[WINDOW_SPAN_S] = {0};
    uint64_t held = 0;

    for (size_t i = 0; i < WINDOW_SLOTS; i++) {
        uint64_t count = window_slot_count(words[i]), second = window_slot_second(words[i], i);

        if (count == 0 || window_is_over(second, clock))
            continue;
        /* Ahead of the clock: from before it was set back. */
        if (second > clock)
            second = clock;
        if (counts[clock - second] == 0)
            held++;
        counts[clock - second] += count;
    }
    put(b, window_day_number(day));
    put(b, window_day_count(day));
    put(b, held);
    for (size_t age = WINDOW_SPAN_S; age-- > 0;) {
        if (counts[age] == 0)
            continue;
        put(b, age);
        put(b, counts[age] < WINDOW_SLOT_MAX ? counts[age] : WINDOW_SLOT_MAX);
    }
}

static void save_kind(struct bytes *b, const struct window_kind *k)
{
    uint64_t words[WINDOW_METERS][WINDOW_SLOTS], days[WINDOW_METERS], clock;

    for (size_t i = 0; i < WINDOW_METERS; i++) {
        for (size_t j = 0; j < WINDOW_SLOTS; j++)
            words[i][j] = atomic_load(&k->meters[i].slots[j]);
        days[i] = atomic_load(&k->meters[i].day);
    }
    /* Behind the slots: no slot is ahead of it then, and none that counted is taken for over but
     * by the time that has really passed. */
    clock = atomic_load(&k->clock);
    put(b, clock);
    put(b, atomic_load(&k->blocked_until));
    for (size_t i = 0; i < WINDOW_METERS; i++)
        save_meter(b, words[i], days[i], clock);
}

void window_save(const struct window_state *state, const struct gate_writer *out)
{
    struct bytes b;

    memcpy(b.at, magic, sizeof magic);
    b.at[sizeof magic] = VERSION;
    b.len = sizeof magic + 1;
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++)
        save_kind(&b, &state->kinds[kind]);
    gate_write(out, (struct gate_str){(const char *)b.at, b.len});
}

/* ---------------------------------------------------------------- load */

/* Takes one number of at most `most`, in its shortest form. */
static bool get(struct gate_str *s, uint64_t most, uint64_t *out)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s->len && i < VARINT_MAX; i++) {
        uint64_t byte = (unsigned char)s->ptr[i];

        if ((i == VARINT_MAX - 1 && byte > 1) || (i > 0 && byte == 0))
            return false;
        n |= (byte & 0x7f) << 7 * i;
        if (byte < 0x80) {
            *s = (struct gate_str){s->ptr + i + 1, s->len - i - 1};
            *out = n;
            return n <= most;
        }
    }
    return false;
}

static bool load_meter(struct gate_str *s, uint64_t clock, struct plain_meter *m)
{
    uint64_t last = WINDOW_SPAN_S, held, age;

    if (!get(s, WINDOW_DAY_MAX, &m->day) || !get(s, WINDOW_DAY_COUNT_MAX, &m->day_count) ||
        !get(s, WINDOW_SPAN_S, &held))
        return false;
    for (; held > 0; held--) {
        if (last == 0 || !get(s, last - 1, &age) || age > clock ||
            !get(s, WINDOW_SLOT_MAX, &m->counts[age]) || m->counts[age] == 0)
            return false;
        last = age;
    }
    return true;
}

static bool load_kind(struct gate_str *s, struct plain_kind *k)
{
    if (!get(s, WINDOW_SECOND_MAX, &k->clock) || !get(s, BLOCK_LATEST, &k->blocked_until))
        return false;
    for (size_t i = 0; i < WINDOW_METERS; i++)
        if (!load_meter(s, k->clock, &k->meters[i]))
            return false;
    return true;
}

static void restore_kind(struct window_kind *k, const struct plain_kind *from, uint64_t now_s)
{
    bool set_back = from->clock > now_s && from->clock - now_s > WINDOW_LAG_S;
    uint64_t clock = from->clock > now_s && !set_back ? from->clock : now_s;

    atomic_store(&k->clock, clock);
    atomic_store(&k->blocked_until, from->blocked_until);
    for (size_t i = 0; i < WINDOW_METERS; i++) {
        const struct plain_meter *m = &from->meters[i];

        /* A day that has not come yet is found by the first request, which counts it as its own. */
        atomic_store(&k->meters[i].day, window_day_pack(m->day, m->day_count));
        for (size_t age = 0; age < WINDOW_SPAN_S; age++) {
            if (m->counts[age] == 0)
                continue;
            uint64_t second = set_back ? clock : from->clock - age;
            if (window_is_over(second, clock))
                continue;
            window_minute_take(&k->meters[i], m->counts[age], 0);
            window_minute_charge(k, &k->meters[i], second, m->counts[age]);
        }
    }
}

enum gate_status window_load(struct window_state *state, struct gate_str bytes, uint64_t now_ms,
                             struct gate_error *err)
{
    struct plain_kind kinds[GATE_USAGE_KINDS] = {{.clock = 0}};
    struct gate_str s = bytes;

    if (s.len <= sizeof magic || memcmp(s.ptr, magic, sizeof magic) != 0 || s.ptr[3] == 0)
        return gate_fail(err, GATE_EPARSE, "these are no counters of quota window");
    if (s.ptr[3] != VERSION)
        return gate_fail(err, GATE_EINVAL,
                         "the counters have format %u, this gateway knows formats up to %d",
                         (unsigned)(unsigned char)s.ptr[3], VERSION);
    s = (struct gate_str){s.ptr + sizeof magic + 1, s.len - sizeof magic - 1};
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++)
        if (!load_kind(&s, &kinds[kind]))
            return gate_fail(err, GATE_EPARSE, "the counters are damaged at byte %zu",
                             bytes.len - s.len);
    if (s.len != 0)
        return gate_fail(err, GATE_EPARSE, "the counters have %zu bytes too many", s.len);
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++)
        restore_kind(&state->kinds[kind], &kinds[kind], window_second_of(now_ms));
    return GATE_OK;
}
