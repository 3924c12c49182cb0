/*
 * quota_window: what each account may use: requests and tokens of any 60 seconds and of a day, and
 * requests at the same time. The rules, and what is kept where, are in README.md and state.h; here
 * is how a request is admitted and settled.
 */
#include "state.h"

#include <stdlib.h>

static const struct gate_host *host; /* set once by init, before anything else is called */

enum { OPTION_ZONE };

static const struct gate_option options[] = {
    [OPTION_ZONE] = {"zone", GATE_OPTION_STRING, "+08:00",
                     "where the day begins at midnight: \"+08:00\", \"-05:30\", \"UTC\" or \"Z\"",
                     NULL},
};

enum { IN_FLIGHT_HINT_MS = 1000 }; /* nobody knows when a running request ends */

struct instance {
    int64_t offset_s;
    struct gate_str zone; /* the option's text; the gateway's */
};

/* What a request wants of one meter. */
struct want {
    uint64_t minute, minute_limit;
    uint64_t day, day_limit;
};

struct attempt {
    struct window_kind *k;
    int64_t offset_s;
    uint64_t now_ms;
    uint64_t clock;
    uint64_t concurrency;
    struct want wants[WINDOW_METERS];
    uint64_t days[WINDOW_METERS]; /* where each was taken */
};

static const enum gate_limit_name minute_names[] = {GATE_LIMIT_RPM, GATE_LIMIT_TPM};
static const enum gate_limit_name day_names[] = {GATE_LIMIT_RPD, GATE_LIMIT_TPD};

/* ---------------------------------------------------------------- instance */

static enum gate_status window_init(const struct gate_host *services, struct gate_error *err)
{
    (void)err;
    host = services;
    return GATE_OK;
}

static enum gate_status instance_create(const struct gate_value *values, void **out,
                                        struct gate_error *err)
{
    struct gate_str zone = values[OPTION_ZONE].string;
    struct instance *in;
    int64_t offset_s;
    enum gate_status status = window_zone_parse(zone, &offset_s, err);

    if (status != GATE_OK)
        return status;
    in = malloc(sizeof *in);
    if (in == NULL)
        abort();
    *in = (struct instance){offset_s, zone};
    *out = in;
    return GATE_OK;
}

static void instance_destroy(void *instance)
{
    free(instance);
}

/* ---------------------------------------------------------------- reservations as bytes */

/* Where a reservation was charged, and with how much. The day is that of the second. */
struct charge {
    uint64_t second;
    uint64_t token_second; /* the same, but for a thread that was left behind between the two */
    uint64_t minute_tokens, day_tokens;
};

enum { SECOND_BITS = 34 };

#define LATER_MAX (((uint64_t)1 << (64 - SECOND_BITS)) - 1) /* 34 years: the clock was set */
#define NO_SECOND ((uint64_t)1 << 62)                       /* no slot has it */

static void charge_pack(const struct charge *c, struct gate_reservation *out)
{
    uint64_t later = c->token_second - c->second; /* huge if it is not later */

    out->opaque[0] = c->second | (later < LATER_MAX ? later : LATER_MAX) << SECOND_BITS;
    out->opaque[1] = c->minute_tokens | c->day_tokens << 32;
}

static struct charge charge_unpack(const struct gate_reservation *res)
{
    uint64_t second = res->opaque[0] & WINDOW_SECOND_MAX;
    uint64_t later = res->opaque[0] >> SECOND_BITS;

    return (struct charge){
        .second = second,
        .token_second = later == LATER_MAX ? NO_SECOND : second + later,
        .minute_tokens = res->opaque[1] & WINDOW_TOKENS_MAX,
        .day_tokens = res->opaque[1] >> 32,
    };
}

/* ---------------------------------------------------------------- reserve */

static bool in_flight_take(struct attempt *a)
{
    uint64_t n = atomic_load(&a->k->in_flight);

    do {
        if (!window_fits(n, 1, a->concurrency))
            return false;
    } while (!atomic_compare_exchange_weak(&a->k->in_flight, &n, n + 1));
    return true;
}

/* Reads only: so a thread that will be refused holds nothing that another could be refused for. */
static enum gate_limit_name first_full(const struct attempt *a)
{
    uint64_t today = window_day_of(a->clock, a->offset_s);

    if (window_blocked_until(a->k, a->now_ms) != 0)
        return GATE_LIMIT_UPSTREAM;
    for (size_t i = 0; i < WINDOW_METERS; i++) {
        const struct window_meter *m = &a->k->meters[i];
        const struct want *w = &a->wants[i];

        if (!window_fits(window_day_used(m, today), w->day, w->day_limit))
            return day_names[i];
        if (!window_fits(atomic_load(&m->minute), w->minute, w->minute_limit))
            return minute_names[i];
    }
    if (!window_fits(atomic_load(&a->k->in_flight), 1, a->concurrency))
        return GATE_LIMIT_CONCURRENCY;
    return GATE_LIMIT_NONE;
}

/* Gives back what the first `count` meters and the number in flight hold. */
static void untake(struct attempt *a, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        window_minute_untake(&a->k->meters[i], a->wants[i].minute);
        window_day_return(&a->k->meters[i], a->days[i], a->wants[i].day);
    }
    atomic_fetch_sub(&a->k->in_flight, 1);
}

/* Takes everything, or nothing and returns the limit that was in the way. */
static enum gate_limit_name take(struct attempt *a)
{
    if (!in_flight_take(a))
        return GATE_LIMIT_CONCURRENCY;
    for (size_t i = 0; i < WINDOW_METERS; i++) {
        struct window_meter *m = &a->k->meters[i];
        const struct want *w = &a->wants[i];

        a->days[i] = window_day_of(a->clock, a->offset_s);
        if (!window_minute_take(m, w->minute, w->minute_limit)) {
            untake(a, i);
            return minute_names[i];
        }
        if (!window_day_take(a->k, m, a->offset_s, w->day, w->day_limit, &a->days[i])) {
            window_minute_untake(m, w->minute);
            untake(a, i);
            return day_names[i];
        }
    }
    return GATE_LIMIT_NONE;
}

/* Takes everything in the day of one second, *second, which is not before any of the takes: what
 * made room for them had left the window by then. */
static enum gate_limit_name take_at(struct attempt *a, uint64_t *second)
{
    for (;;) {
        enum gate_limit_name full = take(a);
        uint64_t today;

        if (full != GATE_LIMIT_NONE)
            return full;
        *second = atomic_load(&a->k->clock);
        today = window_day_of(*second, a->offset_s);
        if (a->days[WINDOW_REQUESTS] == today && a->days[WINDOW_TOKENS] == today)
            return full;
        /* Midnight passed meanwhile. */
        untake(a, WINDOW_METERS);
        a->clock = *second;
    }
}

/* Puts what was taken where it will be found again. False: it could only go into a second of
 * another day; everything was given back. */
static bool charge(struct attempt *a, uint64_t second, uint64_t tokens,
                   struct gate_reservation *out)
{
    struct window_kind *k = a->k;
    struct window_meter *requests = &k->meters[WINDOW_REQUESTS];
    struct charge c = {
        .second = window_minute_charge(k, requests, second, 1),
        .minute_tokens = a->wants[WINDOW_TOKENS].minute,
        .day_tokens = a->wants[WINDOW_TOKENS].day,
    };

    if (c.second != second && window_day_of(c.second, a->offset_s) != a->days[WINDOW_REQUESTS]) {
        window_minute_return(requests, c.second, 1);
        window_minute_take(requests, 1, 0); /* as before the charge */
        untake(a, WINDOW_METERS);
        a->clock = c.second;
        return false;
    }
    c.token_second = window_minute_charge(k, &k->meters[WINDOW_TOKENS], c.second, c.minute_tokens);
    out->at_ms = c.second * 1000 > a->now_ms ? c.second * 1000 : a->now_ms;
    out->tokens = tokens;
    charge_pack(&c, out);
    return true;
}

struct refusal {
    enum gate_limit_name limit;
    uint64_t free_at_ms;
};

static void consider(struct refusal *r, enum gate_limit_name limit, uint64_t free_at_ms)
{
    if (free_at_ms > r->free_at_ms)
        *r = (struct refusal){limit, free_at_ms};
}

/* Of all limits that are full, the one that frees last. */
static struct refusal refusal_of(const struct attempt *a, enum gate_limit_name seen)
{
    uint64_t base_ms = a->clock * 1000 > a->now_ms ? a->clock * 1000 : a->now_ms;
    uint64_t today = window_day_of(a->clock, a->offset_s);
    struct refusal r = {seen, a->now_ms + 1};

    consider(&r, GATE_LIMIT_UPSTREAM, window_blocked_until(a->k, a->now_ms));
    for (size_t i = 0; i < WINDOW_METERS; i++) {
        const struct window_meter *m = &a->k->meters[i];
        const struct want *w = &a->wants[i];

        if (!window_fits(window_day_used(m, today), w->day, w->day_limit))
            consider(&r, day_names[i], window_day_end(base_ms, a->offset_s));
        if (!window_fits(window_minute_used(a->k, m, a->clock), w->minute, w->minute_limit)) {
            uint64_t keep = w->minute_limit - (w->minute > 0 ? w->minute : 1);

            consider(&r, minute_names[i], window_minute_frees(a->k, m, keep, a->clock) * 1000);
        }
    }
    if (!window_fits(atomic_load(&a->k->in_flight), 1, a->concurrency))
        consider(&r, GATE_LIMIT_CONCURRENCY, a->now_ms + IN_FLIGHT_HINT_MS);
    return r;
}

static void sweep(struct attempt *a)
{
    atomic_fetch_add(&a->k->busy, 1);
    window_sweep(a->k, a->clock);
    atomic_fetch_sub(&a->k->busy, 1);
}

/* Takes and charges, or returns the limit that is full. */
static enum gate_limit_name try_all(struct attempt *a, uint64_t tokens,
                                    struct gate_reservation *out)
{
    enum gate_limit_name full = first_full(a);
    uint64_t second;

    if (full != GATE_LIMIT_NONE)
        return full;
    atomic_fetch_add(&a->k->busy, 1);
    do {
        full = take_at(a, &second);
    } while (full == GATE_LIMIT_NONE && !charge(a, second, tokens, out));
    atomic_fetch_sub(&a->k->busy, 1);
    return full;
}

static uint64_t at_most(uint64_t n, uint64_t limit)
{
    return limit != 0 && n > limit ? limit : n;
}

static enum gate_status reserve(void *instance, void *state, enum gate_usage_kind kind,
                                const struct gate_limits *limits, uint64_t now_ms, uint64_t tokens,
                                struct gate_reservation *out, enum gate_limit_name *limit,
                                uint64_t *free_at_ms)
{
    struct window_kind *k = &((struct window_state *)state)->kinds[kind];
    uint64_t counted = at_most(tokens, WINDOW_TOKENS_MAX);
    struct attempt a = {
        .k = k,
        .offset_s = ((struct instance *)instance)->offset_s,
        .now_ms = now_ms,
        .clock = window_clock(k, window_second_of(now_ms), host->now_ms),
        .concurrency = limits->concurrency,
        .wants = {{1, limits->requests_per_minute, 1, limits->requests_per_day},
                  {at_most(counted, limits->tokens_per_minute), limits->tokens_per_minute,
                   at_most(counted, limits->tokens_per_day), limits->tokens_per_day}},
    };
    enum gate_limit_name full;
    struct refusal r;
    int looks = 0;

    if (atomic_load(&k->swept) != a.clock)
        sweep(&a);
    full = try_all(&a, tokens, out);
    if (full == GATE_LIMIT_RPM || full == GATE_LIMIT_TPM) {
        /* A thread that was left behind may have charged a second that was swept already. */
        sweep(&a);
        full = try_all(&a, tokens, out);
    }
    while (full != GATE_LIMIT_NONE && full != GATE_LIMIT_UPSTREAM && window_look_again(k, &looks))
        full = try_all(&a, tokens, out);
    if (full == GATE_LIMIT_NONE)
        return GATE_OK;
    r = refusal_of(&a, full);
    *limit = r.limit;
    *free_at_ms = r.free_at_ms;
    return GATE_ELIMIT;
}

/* ---------------------------------------------------------------- settle */

static void correct_tokens(struct window_kind *k, const struct charge *c, int64_t offset_s,
                           uint64_t used, uint64_t clock)
{
    struct window_meter *m = &k->meters[WINDOW_TOKENS];
    uint64_t day = window_day_of(c->second, offset_s);
    uint64_t today = window_day_of(clock, offset_s);

    if (used < c->minute_tokens)
        window_minute_return(m, c->token_second, c->minute_tokens - used);
    else
        window_minute_raise(k, m, c->token_second, used - c->minute_tokens, clock);
    if (used < c->day_tokens)
        window_day_return(m, day, c->day_tokens - used);
    else
        window_day_take(k, m, offset_s, used - c->day_tokens, 0, &today);
}

static void settle(void *instance, void *state, enum gate_usage_kind kind,
                   const struct gate_reservation *res, enum gate_outcome outcome, uint64_t tokens,
                   uint64_t now_ms)
{
    struct window_kind *k = &((struct window_state *)state)->kinds[kind];
    struct window_meter *requests = &k->meters[WINDOW_REQUESTS];
    int64_t offset_s = ((struct instance *)instance)->offset_s;
    uint64_t clock = window_clock(k, window_second_of(now_ms), host->now_ms);
    struct charge c = charge_unpack(res);

    switch (outcome) {
    case GATE_OUTCOME_ANSWERED:
    case GATE_OUTCOME_CANCELLED:
        correct_tokens(k, &c, offset_s, at_most(tokens, WINDOW_TOKENS_MAX), clock);
        break;
    case GATE_OUTCOME_NOT_SENT:
        window_minute_return(requests, c.second, 1);
        /* fall through */
    case GATE_OUTCOME_REFUSED:
        window_day_return(requests, window_day_of(c.second, offset_s), 1);
        correct_tokens(k, &c, offset_s, 0, clock);
        break;
    }
    atomic_fetch_sub(&k->in_flight, 1);
}

/* ---------------------------------------------------------------- the rest of the table */

static void observe(void *instance, void *state, enum gate_usage_kind kind,
                    const struct gate_header *headers, size_t header_count, uint64_t now_ms)
{
    (void)instance;
    window_observe(&((struct window_state *)state)->kinds[kind], headers, header_count, now_ms);
}

static void snapshot(void *instance, const void *state, const struct gate_limits *limits,
                     uint64_t now_ms, const struct gate_writer *json)
{
    const struct instance *in = instance;

    window_snapshot(state, limits, in->offset_s, in->zone, now_ms, json);
}

static void save(void *instance, const void *state, const struct gate_writer *out)
{
    (void)instance;
    window_save(state, out);
}

static enum gate_status load(void *instance, void *state, struct gate_str bytes, uint64_t now_ms,
                             struct gate_error *err)
{
    (void)instance;
    return window_load(state, bytes, now_ms, err);
}

static void numbers(void *instance, const void *state, enum gate_usage_kind kind, uint64_t now_ms,
                    struct gate_quota_numbers *out)
{
    window_numbers(&((const struct window_state *)state)->kinds[kind],
                   ((struct instance *)instance)->offset_s, now_ms, out);
}

static uint64_t day_end(void *instance, uint64_t now_ms)
{
    return window_day_end(now_ms, ((struct instance *)instance)->offset_s);
}

static const struct gate_quota_ops ops = {
    .size = sizeof ops,
    .instance_create = instance_create,
    .instance_destroy = instance_destroy,
    .state_size = sizeof(struct window_state),
    .reserve = reserve,
    .settle = settle,
    .observe = observe,
    .snapshot = snapshot,
    .save = save,
    .load = load,
    .numbers = numbers,
    .day_end = day_end,
};

GATE_EXPORT const struct gate_plugin gate_plugin = {
    GATE_PLUGIN_HEADER(GATE_KIND_QUOTA),
    .name = "window",
    .version = GATE_VERSION,
    .summary = "requests and tokens of any 60 seconds and of a day, requests at the same time",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .ops = &ops,
    .init = window_init,
};
