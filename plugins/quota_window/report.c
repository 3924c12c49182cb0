#include "state.h"

#include <inttypes.h>

enum { TEXT_MAX = 256 };

void window_numbers(const struct window_kind *k, int64_t offset_s, uint64_t now_ms,
                    struct gate_quota_numbers *out)
{
    uint64_t clock = window_clock_peek(k, window_second_of(now_ms));
    uint64_t today = window_day_of(clock, offset_s);
    const struct window_meter *requests = &k->meters[WINDOW_REQUESTS];
    const struct window_meter *tokens = &k->meters[WINDOW_TOKENS];

    *out = (struct gate_quota_numbers){
        .requests_minute = window_minute_used(k, requests, clock),
        .requests_day = window_day_used(requests, today),
        .tokens_minute = window_minute_used(k, tokens, clock),
        .tokens_day = window_day_used(tokens, today),
        .in_flight = (uint32_t)atomic_load(&k->in_flight),
        .day_resets_at_ms = window_day_end(now_ms, offset_s),
        .blocked_until_ms = window_blocked_until(k, now_ms),
    };
}

/* ---------------------------------------------------------------- JSON */

__attribute__((format(printf, 2, 3))) static void put(const struct gate_writer *json,
                                                      const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len > 0)
        gate_write(json, (struct gate_str){text, (size_t)len < sizeof text ? (size_t)len
                                                                           : sizeof text - 1});
}

/* A Unix time in ms, or null. */
static void put_moment(const struct gate_writer *json, const char *name, uint64_t ms)
{
    if (ms != 0)
        put(json, ",\"%s\":%" PRIu64, name, ms);
    else
        put(json, ",\"%s\":null", name);
}

/* The members of one meter, without the closing brace. */
static void put_meter(const struct gate_writer *json, const char *name, uint64_t used,
                      uint64_t limit)
{
    put(json, "\"%s\":{\"used\":%" PRIu64, name, used);
    if (limit == 0)
        put(json, ",\"limit\":null,\"percent\":null");
    else
        put(json, ",\"limit\":%" PRIu64 ",\"percent\":%" PRIu64, limit, used * 100 / limit);
}

static void put_kind(const struct gate_writer *json, const struct window_kind *k,
                     const struct gate_limits *limits, int64_t offset_s, uint64_t now_ms)
{
    static const char *const minute_names[] = {"requests_minute", "tokens_minute"};
    static const char *const day_names[] = {"requests_day", "tokens_day"};
    const uint64_t minute_limits[] = {limits->requests_per_minute, limits->tokens_per_minute};
    const uint64_t day_limits[] = {limits->requests_per_day, limits->tokens_per_day};
    uint64_t clock = window_clock_peek(k, window_second_of(now_ms));
    uint64_t today = window_day_of(clock, offset_s);

    put(json, "{");
    for (size_t i = 0; i < WINDOW_METERS; i++) {
        const struct window_meter *m = &k->meters[i];
        uint64_t used = window_minute_used(k, m, clock);

        put_meter(json, minute_names[i], used, minute_limits[i]);
        put_moment(json, "resets_at_ms", used > 0 ? window_minute_frees(k, m, 0, clock) * 1000 : 0);
        put(json, "},");
        put_meter(json, day_names[i], window_day_used(m, today), day_limits[i]);
        put_moment(json, "resets_at_ms", window_day_end(now_ms, offset_s));
        put(json, "},");
    }
    put_meter(json, "concurrency", atomic_load(&k->in_flight), limits->concurrency);
    put(json, "}");
    put_moment(json, "blocked_until_ms", window_blocked_until(k, now_ms));
    put(json, "}");
}

void window_snapshot(const struct window_state *state, const struct gate_limits *limits,
                     int64_t offset_s, struct gate_str zone, uint64_t now_ms,
                     const struct gate_writer *json)
{
    static const char *const names[] = {
        [GATE_USAGE_CHAT] = "chat",
        [GATE_USAGE_SEARCH] = "search",
    };

    put(json, "{\"zone\":\"%.*s\"", (int)zone.len, zone.ptr);
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++) {
        put(json, ",\"%s\":", names[kind]);
        put_kind(json, &state->kinds[kind], &limits[kind], offset_s, now_ms);
    }
    put(json, "}");
}
