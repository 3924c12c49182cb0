#include "pool/strategy.h"

enum {
    EXPLORE_EVERY = 64, /* of this many requests "fastest" sends one in turn, to measure again */
    WEIGHT_STEP_NUM = 618,
    WEIGHT_STEP_DEN = 1000,
    TIE_BITS = 13, /* ties go in turn: GATE_ACCOUNT_MAX positions fit */
};

static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53u;
    return h ^ (h >> 33);
}

/* ---- what is compared */

/* What has a daily limit is gone at the end of its day; what has none keeps. */
static uint64_t reset_first(const struct gate_strategy_facts *f)
{
    return f->daily_limit ? f->day_resets_at_ms & (UINT64_MAX >> 17) : UINT64_MAX >> 16;
}

/* ---- weighted */

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Walks through the sum of all weights in steps that hit every point of it once in a round, spread
 * evenly: in every round each account gets exactly its share. Returns a position in the list. */
static size_t weighted_start(const struct gate_strategy_facts *facts, size_t count, uint64_t turn)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += facts[i].weight;
    if (total == 0)
        return (size_t)(turn % count);
    uint64_t step = total * WEIGHT_STEP_NUM / WEIGHT_STEP_DEN;
    while (step == 0 || gcd(step, total) != 1)
        step++;
    uint64_t point = turn % total * step % total;
    size_t at = 0;
    while (point >= facts[at].weight)
        point -= facts[at++].weight;
    return at;
}

/* ---- all of them */

void gate_strategy_keys(enum gate_strategy strategy, const struct gate_strategy_facts *facts,
                        size_t count, uint64_t turn, uint64_t sticky, uint64_t *keys)
{
    if (count == 0)
        return;
    size_t start = strategy == GATE_STRATEGY_WEIGHTED ? weighted_start(facts, count, turn)
                                                      : (size_t)(turn % count);
    for (size_t i = 0; i < count; i++)
        keys[i] = i >= start ? i - start : i + count - start;
    switch (strategy) {
    case GATE_STRATEGY_LEAST_USED:
        for (size_t i = 0; i < count; i++)
            keys[i] |= facts[i].requests_day << TIE_BITS;
        break;
    case GATE_STRATEGY_LEAST_INFLIGHT:
        for (size_t i = 0; i < count; i++)
            keys[i] |= (uint64_t)facts[i].in_flight << TIE_BITS;
        break;
    case GATE_STRATEGY_FASTEST: /* not measured yet comes first, in turn */
        for (size_t i = 0; i < count && turn % EXPLORE_EVERY != EXPLORE_EVERY - 1; i++)
            keys[i] |= facts[i].latency_us << TIE_BITS;
        break;
    case GATE_STRATEGY_RESET_FIRST:
        for (size_t i = 0; i < count; i++)
            keys[i] |= reset_first(&facts[i]) << TIE_BITS;
        break;
    case GATE_STRATEGY_STICKY:
        for (size_t i = 0; i < count; i++)
            keys[i] = mix(facts[i].hash ^ sticky) >> 1;
        break;
    case GATE_STRATEGY_ROUND_ROBIN:
    case GATE_STRATEGY_WEIGHTED:
    case GATE_STRATEGIES:
        break;
    }
}
