/*
 * strategy: in which order accounts are asked. Pure: the same for a live selection (select.c) and
 * for one that is simulated. Any thread.
 */
#ifndef GATE_POOL_STRATEGY_H
#define GATE_POOL_STRATEGY_H

#include "script/policy.h"

/* What a strategy needs to know of one account that could serve. A strategy reads only what its
 * comment in gate_strategy_needs says. */
struct gate_strategy_facts {
    uint64_t hash; /* of the id */
    uint32_t weight, in_flight;
    uint64_t latency_us;    /* 0: not known */
    uint64_t requests_day;
    uint64_t day_resets_at_ms;
    bool daily_limit; /* it has one that a reset renews */
};

/* True: requests_day and day_resets_at_ms are read, which cost a call of the quota plugin. */
bool gate_strategy_needs_numbers(enum gate_strategy strategy);

/* Fills keys[0, count): the lowest is asked first; no two are equal. turn: the instance's, grows by
 * one with each selection. sticky: hash of the conversation. */
void gate_strategy_keys(enum gate_strategy strategy, const struct gate_strategy_facts *facts,
                        size_t count, uint64_t turn, uint64_t sticky, uint64_t *keys);

#endif
