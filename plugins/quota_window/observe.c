#include "moment.h"
#include "state.h"

/* No word of an upstream stops an account for longer: what it meant is asked again by a request. */
#define BLOCK_MAX_MS ((uint64_t)WINDOW_DAY_S * 1000)

enum fact {
    LIMIT_REQUESTS,
    REMAINING_REQUESTS,
    RESET_REQUESTS,
    LIMIT_TOKENS,
    REMAINING_TOKENS,
    RESET_TOKENS,
    RETRY_AFTER_MS,
    RETRY_AFTER,
    FACTS,
};

#define NAME(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct gate_str names[FACTS] = {
    [LIMIT_REQUESTS] = NAME("x-ratelimit-limit-requests"),
    [REMAINING_REQUESTS] = NAME("x-ratelimit-remaining-requests"),
    [RESET_REQUESTS] = NAME("x-ratelimit-reset-requests"),
    [LIMIT_TOKENS] = NAME("x-ratelimit-limit-tokens"),
    [REMAINING_TOKENS] = NAME("x-ratelimit-remaining-tokens"),
    [RESET_TOKENS] = NAME("x-ratelimit-reset-tokens"),
    [RETRY_AFTER_MS] = NAME("retry-after-ms"),
    [RETRY_AFTER] = NAME("retry-after"),
};

static struct gate_str trim(struct gate_str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = (struct gate_str){s.ptr + 1, s.len - 1};
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static bool is_zero(struct gate_str value)
{
    uint64_t n;

    return window_number_parse(value, &n) && n == 0;
}

/* The reset of one family if nothing remains. A limit of 0 means that there is none. */
static uint64_t spent_until(const struct gate_str *values, enum fact family, uint64_t now_ms)
{
    uint64_t until;

    if (!is_zero(values[family + REMAINING_REQUESTS]) || is_zero(values[family + LIMIT_REQUESTS]) ||
        !window_moment_parse(values[family + RESET_REQUESTS], now_ms, &until))
        return 0;
    return until;
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* An explicit time to come back wins over what the counters say. */
static uint64_t facts_until(const struct gate_str *values, uint64_t now_ms)
{
    uint64_t n;

    if (window_number_parse(values[RETRY_AFTER_MS], &n))
        return now_ms + n / 1000;
    if (window_moment_parse(values[RETRY_AFTER], now_ms, &n))
        return n;
    return max_of(spent_until(values, LIMIT_REQUESTS, now_ms),
                  spent_until(values, LIMIT_TOKENS, now_ms));
}

void window_observe(struct window_kind *k, const struct gate_header *headers, size_t count,
                    uint64_t now_ms)
{
    struct gate_str values[FACTS] = {{NULL, 0}};
    uint64_t until, old;

    for (size_t i = 0; i < count; i++)
        for (size_t fact = 0; fact < FACTS; fact++)
            if (values[fact].len == 0 && gate_str_eq(headers[i].name, names[fact]))
                values[fact] = trim(headers[i].value);
    until = facts_until(values, now_ms);
    if (until <= now_ms)
        return;
    if (until > now_ms + BLOCK_MAX_MS)
        until = now_ms + BLOCK_MAX_MS;
    old = atomic_load(&k->blocked_until);
    /* Answers arrive in any order: the latest end stands. */
    while (window_blocked_until(k, now_ms) < until &&
           !atomic_compare_exchange_weak(&k->blocked_until, &old, until))
        ;
}

uint64_t window_blocked_until(const struct window_kind *k, uint64_t now_ms)
{
    uint64_t until = atomic_load(&k->blocked_until);

    /* One that lies too far ahead was noted before the clock was set back. */
    return until > now_ms && until - now_ms <= BLOCK_MAX_MS + WINDOW_LAG_S * 1000 ? until : 0;
}
