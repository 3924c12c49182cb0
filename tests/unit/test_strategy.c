/* Strategies as pure functions of facts. */
#include "pool/strategy.h"
#include <check.h>
#include <stdlib.h>

enum { MANY = 20 };

static size_t first_of(enum gate_strategy strategy, const struct gate_strategy_facts *facts,
                       size_t count, uint64_t turn, uint64_t sticky)
{
    uint64_t keys[MANY];
    size_t best = 0;
    gate_strategy_keys(strategy, facts, count, turn, sticky, keys);
    for (size_t i = 0; i < count; i++)
        best = keys[i] < keys[best] ? i : best;
    return best;
}

START_TEST(round_robin_reads_nothing_and_takes_turns)
{
    uint64_t keys[5];
    for (uint64_t turn = 0; turn < 12; turn++) {
        gate_strategy_keys(GATE_STRATEGY_ROUND_ROBIN, NULL, 5, turn, 0, keys);
        for (size_t i = 0; i < 5; i++)
            ck_assert_uint_eq(keys[(turn + i) % 5], i);
    }
    gate_strategy_keys(GATE_STRATEGY_ROUND_ROBIN, NULL, 0, 7, 0, keys);
}
END_TEST

START_TEST(the_least_comes_first)
{
    const struct gate_strategy_facts f[] = {
        {.requests_day = 9, .in_flight = 1, .latency_us = 300, .day_resets_at_ms = 700},
        {.requests_day = 2, .in_flight = 8, .latency_us = 200, .day_resets_at_ms = 900},
        {.requests_day = 5, .in_flight = 4, .latency_us = 900, .day_resets_at_ms = 500},
    };
    for (uint64_t turn = 0; turn < 6; turn++) {
        ck_assert_uint_eq(first_of(GATE_STRATEGY_LEAST_USED, f, 3, turn, 0), 1);
        ck_assert_uint_eq(first_of(GATE_STRATEGY_LEAST_INFLIGHT, f, 3, turn, 0), 0);
        ck_assert_uint_eq(first_of(GATE_STRATEGY_FASTEST, f, 3, turn, 0), 1);
    }
}
END_TEST

START_TEST(ties_go_in_turn)
{
    static const struct gate_strategy_facts same[4];
    static const enum gate_strategy all[] = {GATE_STRATEGY_LEAST_USED, GATE_STRATEGY_LEAST_INFLIGHT,
                                             GATE_STRATEGY_FASTEST, GATE_STRATEGY_RESET_FIRST,
                                             GATE_STRATEGY_WEIGHTED};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (uint64_t turn = 0; turn < 8; turn++)
            ck_assert_uint_eq(first_of(all[i], same, 4, turn, 0), turn % 4);
}
END_TEST

START_TEST(fastest_measures_again)
{
    const struct gate_strategy_facts f[] = {{.latency_us = 1}, {.latency_us = 2}};
    size_t other = 0;
    for (uint64_t turn = 0; turn < 64; turn++)
        other += first_of(GATE_STRATEGY_FASTEST, f, 2, turn, 0) == 1;
    ck_assert_uint_eq(other, 1);
    ck_assert_uint_eq(first_of(GATE_STRATEGY_FASTEST, f, 2, 63, 0), 1);
}
END_TEST

START_TEST(what_keeps_is_spent_last)
{
    const struct gate_strategy_facts f[] = {
        {.daily_limit = false, .day_resets_at_ms = 1},
        {.daily_limit = true, .day_resets_at_ms = 1795400000000},
        {.daily_limit = true, .day_resets_at_ms = 1795300000000},
    };
    uint64_t keys[3];
    gate_strategy_keys(GATE_STRATEGY_RESET_FIRST, f, 3, 0, 0, keys);
    ck_assert(keys[2] < keys[1] && keys[1] < keys[0] && keys[0] < UINT64_MAX);
}
END_TEST

START_TEST(weights_are_exact_in_every_round)
{
    const struct gate_strategy_facts f[] = {
        {.weight = 3}, {.weight = 0}, {.weight = 1}, {.weight = 6}};
    for (uint64_t round = 0; round < 5; round++) {
        size_t hits[4] = {0};
        for (uint64_t i = 0; i < 10; i++)
            hits[first_of(GATE_STRATEGY_WEIGHTED, f, 4, round * 10 + i, 0)]++;
        ck_assert(hits[0] == 3 && hits[1] == 0 && hits[2] == 1 && hits[3] == 6);
    }
}
END_TEST

START_TEST(a_conversation_keeps_its_account_when_others_go)
{
    struct gate_strategy_facts f[MANY];
    size_t moved = 0, used[MANY] = {0};
    for (size_t i = 0; i < MANY; i++)
        f[i] = (struct gate_strategy_facts){.hash = (i + 1) * 0x9e3779b97f4a7c15u};
    for (uint64_t sticky = 1; sticky <= 2000; sticky++) {
        size_t all = first_of(GATE_STRATEGY_STICKY, f, MANY, sticky, sticky * 0x51ed2701u);
        size_t fewer = first_of(GATE_STRATEGY_STICKY, f, MANY - 1, 0, sticky * 0x51ed2701u);
        used[all]++;
        moved += all != MANY - 1 && all != fewer;
        ck_assert_uint_eq(first_of(GATE_STRATEGY_STICKY, f, MANY, 99, sticky * 0x51ed2701u), all);
    }
    ck_assert_uint_eq(moved, 0);
    for (size_t i = 0; i < MANY; i++)
        ck_assert_uint_gt(used[i], 40); /* 100 each on average */
}
END_TEST

START_TEST(no_two_keys_are_equal)
{
    struct gate_strategy_facts f[MANY];
    uint64_t keys[MANY];
    for (size_t i = 0; i < MANY; i++)
        f[i] = (struct gate_strategy_facts){
            (i + 7) * 0x9e3779b97f4a7c15u, 1 + i % 3, i % 3, i % 3, i % 3,
            1795400000000 + i % 3,         i % 2 == 0};
    for (int strategy = 0; strategy < GATE_STRATEGIES; strategy++) {
        gate_strategy_keys((enum gate_strategy)strategy, f, MANY, 13, 42, keys);
        for (size_t i = 0; i < MANY; i++) {
            ck_assert_uint_ne(keys[i], UINT64_MAX);
            for (size_t k = 0; k < i; k++)
                ck_assert_uint_ne(keys[i], keys[k]);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("strategy");
    TCase *c = tcase_create("strategy");
    tcase_add_test(c, round_robin_reads_nothing_and_takes_turns);
    tcase_add_test(c, the_least_comes_first);
    tcase_add_test(c, ties_go_in_turn);
    tcase_add_test(c, fastest_measures_again);
    tcase_add_test(c, what_keeps_is_spent_last);
    tcase_add_test(c, weights_are_exact_in_every_round);
    tcase_add_test(c, a_conversation_keeps_its_account_when_others_go);
    tcase_add_test(c, no_two_keys_are_equal);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
