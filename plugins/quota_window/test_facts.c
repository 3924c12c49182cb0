/* Tests of what quota_window takes from an upstream's headers. */
#include "test_window.h"

#include <stdlib.h>

enum { MAX_HEADERS = 8, HOSTILE_ROUNDS = 200000 / WINDOW_SLOWNESS, HOSTILE_LEN = 40 };

struct sample {
    const char *headers[MAX_HEADERS]; /* name, value, ... */
    uint64_t block_ms;                /* from now; 0: none */
};

#define REQUESTS "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests"
#define TOKENS "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens"

static const struct sample samples[] = {
    {{"retry-after", "7"}, 7000},
    {{"retry-after", "0.5"}, 500},
    {{"retry-after", " 7\t"}, 7000},
    {{"retry-after", "0"}, 0},
    {{"retry-after", "-7"}, 0},
    {{"retry-after", "7x"}, 0},
    {{"retry-after", "7 "
                     "8"},
     0},
    {{"retry-after", ""}, 0},
    {{"retry-after", "soon"}, 0},
    {{"retry-after", "1e3"}, 0},
    {{"retry-after", "."}, 0},
    {{"retry-after", "7."}, 0},
    {{"retry-after", ".7"}, 0},
    {{"retry-after", "99999999999999999999999999"}, 0},
    {{"retry-after", "604800"}, DAY_MS},
    {{"retry-after-ms", "1234"}, 1234},
    {{"retry-after-ms", "12.9"}, 12},
    {{"retry-after-ms", "x", "retry-after", "3"}, 3000},
    {{"retry-after-ms", "250", "retry-after", "3"}, 250},
    {{"retry-after", "3", "retry-after", "9"}, 3000},
    /* dates; now is Tue, 14 Nov 2023 04:00:00 GMT */
    {{"retry-after", "Tue, 14 Nov 2023 04:01:00 GMT"}, 60000},
    {{"retry-after", "Tue, 14 Nov 2023 03:59:00 GMT"}, 0},
    {{"retry-after", "Tue, 14 Nov 2023 04:01:00 UTC"}, 0},
    {{"retry-after", "Tue, 14 Nov 2023 04:01:00 GMT "}, 60000},
    {{"retry-after", "Tue, 31 Nov 2023 04:01:00 GMT"}, 0},
    {{"retry-after", "Thu, 14 Nov 2024 04:01:00 GMT"}, DAY_MS},
    {{"retry-after", "Tue, 14 Nov 99999 04:01:00 GMT"}, 0},
    {{TOKENS, "2023-11-14T04:00:30Z"}, 30000},
    {{TOKENS, "2023-11-14T12:00:30.25+08:00"}, 30250},
    {{TOKENS, "2023-11-13T22:30:30-05:30"}, 30000},
    {{TOKENS, "2023-11-14T04:00:30"}, 0},
    {{TOKENS, "2023-02-29T04:00:30Z"}, 0},
    {{TOKENS, "1970-01-01T00:00:00+14:00"}, 0},
    /* stamps */
    {{REQUESTS, "1699934460"}, 60000},
    {{REQUESTS, "1699934460.5"}, 60500},
    {{REQUESTS, "1699934460500"}, 60500},
    {{REQUESTS, "1699930000"}, 0},
    /* durations */
    {{REQUESTS, "1s"}, 1000},
    {{REQUESTS, "6m0s"}, 360000},
    {{TOKENS, "120ms"}, 120},
    {{TOKENS, "7.66s"}, 7660},
    {{TOKENS, "1h2m3.5s"}, 3723500},
    {{TOKENS, "1h30ms"}, 3600030},
    {{TOKENS, "1d2h"}, DAY_MS},
    {{TOKENS, "12"}, 12000},
    {{TOKENS, "1s1s"}, 0},
    {{TOKENS, "1s1m"}, 0},
    {{TOKENS, "1 s"}, 0},
    {{TOKENS, "s"}, 0},
    {{TOKENS, "1m0"}, 0},
    {{TOKENS, "1ns"}, 0},
    {{TOKENS, "999999999999999d"}, DAY_MS},
    /* what the counters say */
    {{"x-ratelimit-remaining-requests", "1", "x-ratelimit-reset-requests", "1s"}, 0},
    {{"x-ratelimit-remaining-requests", "0"}, 0},
    {{"x-ratelimit-reset-requests", "1s"}, 0},
    {{"x-ratelimit-remaining-requests", "none", "x-ratelimit-reset-requests", "1s"}, 0},
    {{"x-ratelimit-remaining-requests", "0.0", "x-ratelimit-reset-requests", "1s"}, 1000},
    {{"x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-tokens", "1s"}, 0},
    {{REQUESTS, "1s", "x-ratelimit-limit-requests", "60"}, 1000},
    {{REQUESTS, "1s", "x-ratelimit-limit-requests", "0"}, 0},
    {{REQUESTS, "1s", "x-ratelimit-limit-tokens", "0"}, 1000},
    {{REQUESTS, "1s", "x-ratelimit-remaining-tokens", "9"}, 1000},
    {{REQUESTS, "6m0s", "retry-after", "2"}, 2000},
    {{REQUESTS, "6m0s", "retry-after", "soon"}, 360000},
    {{"x-ratelimit-remaining", "0", "x-ratelimit-reset", "9"}, 0},
};

static size_t headers_of(const struct sample *s, struct gate_header *out)
{
    size_t n = 0;

    for (size_t i = 0; i + 1 < MAX_HEADERS && s->headers[i] != NULL; i += 2)
        out[n++] = (struct gate_header){gate_str_of(s->headers[i]), gate_str_of(s->headers[i + 1])};
    return n;
}

static uint64_t block_of(const struct rig *r)
{
    uint64_t until = rig_numbers(r).blocked_until_ms;

    return until == 0 ? 0 : until - r->now_ms;
}

static void observe(struct rig *r, const char *name, const char *value)
{
    struct gate_header header = {gate_str_of(name), gate_str_of(value)};

    r->ops->observe(r->instance, r->state, GATE_USAGE_CHAT, &header, 1, r->now_ms);
}

START_TEST(test_samples)
{
    struct rig r;

    rig_open(&r, "+08:00");
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct gate_header headers[MAX_HEADERS];
        size_t n = headers_of(&samples[i], headers);

        rig_clear(&r);
        r.ops->observe(r.instance, r.state, GATE_USAGE_CHAT, headers, n, r.now_ms);
        ck_assert_msg(block_of(&r) == samples[i].block_ms, "sample %zu (%s): %llu", i,
                      samples[i].headers[1], (unsigned long long)block_of(&r));
    }
    rig_close(&r);
}
END_TEST

START_TEST(test_block)
{
    struct gate_reservation res;
    struct gate_quota_numbers n;
    struct rig r;

    rig_open(&r, "+08:00");
    observe(&r, "retry-after", "10");
    ck_assert(!rig_reserve(&r, 0, &res));
    ck_assert_int_eq(r.limit, GATE_LIMIT_UPSTREAM);
    ck_assert_uint_eq(r.free_at_ms, r.now_ms + 10000);
    /* Neither a shorter time nor good news of an older answer lifts it. */
    observe(&r, "retry-after", "5");
    observe(&r, "x-ratelimit-remaining-requests", "100");
    ck_assert_uint_eq(block_of(&r), 10000);
    observe(&r, "retry-after", "20");
    ck_assert_uint_eq(block_of(&r), 20000);
    r.ops->numbers(r.instance, r.state, GATE_USAGE_SEARCH, r.now_ms, &n);
    ck_assert_uint_eq(n.blocked_until_ms, 0);
    r.now_ms += 19999;
    ck_assert(!rig_reserve(&r, 0, &res));
    r.now_ms++;
    ck_assert(rig_reserve(&r, 0, &res));
    ck_assert_uint_eq(block_of(&r), 0);
    /* A day at most, also after the clock was set back. */
    observe(&r, "retry-after", "90000");
    r.now_ms -= 30 * DAY_MS;
    ck_assert_uint_eq(block_of(&r), 0);
    observe(&r, "retry-after", "7");
    ck_assert_uint_eq(block_of(&r), 7000);
    rig_close(&r);
}
END_TEST

/* Values of the right letters in any order: nothing may be read outside of them, and no block may
 * be longer than a day. */
START_TEST(test_hostile)
{
    static const char letters[] = "0123456789..::--++TZmshd ,GMTNovTue";
    uint64_t seed = 20240501;
    struct rig r;

    rig_open(&r, "+08:00");
    for (int i = 0; i < HOSTILE_ROUNDS; i++) {
        const struct sample *s = &samples[draw_below(&seed, sizeof samples / sizeof samples[0])];
        struct gate_header headers[MAX_HEADERS];
        size_t n = headers_of(s, headers);
        size_t victim = draw_below(&seed, n), len = draw_below(&seed, HOSTILE_LEN);
        char *value = malloc(len > 0 ? len : 1); /* exact, so that a sanitizer sees its end */

        ck_assert_ptr_nonnull(value);
        for (size_t j = 0; j < len; j++)
            value[j] = j < headers[victim].value.len && !draw_chance(&seed, 150)
                           ? headers[victim].value.ptr[j]
                       : draw_chance(&seed, 100) ? (char)draw(&seed)
                                                 : letters[draw_below(&seed, sizeof letters - 1)];
        headers[victim].value = (struct gate_str){value, len};
        rig_clear(&r);
        r.ops->observe(r.instance, r.state, GATE_USAGE_CHAT, headers, n, r.now_ms);
        ck_assert_uint_le(block_of(&r), DAY_MS);
        free(value);
    }
    rig_close(&r);
}
END_TEST

TCase *case_facts(void)
{
    TCase *tc = tcase_create("facts");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_samples);
    tcase_add_test(tc, test_block);
    tcase_add_test(tc, test_hostile);
    return tc;
}
