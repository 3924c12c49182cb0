/*
 * strategy: in which order accounts are asked. Pure: the same for a live selection (select.c) and
 * for one that is simulated. Any thread.
 */
#ifndef GATE_POOL_STRATEGY_H
#define GATE_POOL_STRATEGY_H

#include "script/policy.h"

/* What is compared of one account that could serve. Behind each field is who reads it; whoever
 * fills the facts for one strategy may leave the others out. round_robin reads none: facts may be
 * NULL. */
struct gate_strategy_facts {
    uint64_t hash;             /* sticky: of the id */
    uint32_t weight;           /* weighted */
    uint32_t in_flight;        /* least_inflight */
    uint64_t latency_us;       /* fastest; 0: not known */
    uint64_t requests_day;     /* least_used */
    uint64_t day_resets_at_ms; /* reset_first, where there is a daily limit */
    bool daily_limit;          /* reset_first: it has one that a reset renews */
};

/* Fills keys[0, count), count <= GATE_ACCOUNT_MAX: the lowest is asked first; no two are equal, and
 * none is UINT64_MAX. turn: the instance's, grows by one with each selection. sticky: hash of the
 * conversation. */
void gate_strategy_keys(enum gate_strategy strategy, const struct gate_strategy_facts *facts,
                        size_t count, uint64_t turn, uint64_t sticky, uint64_t *keys);

#endif
