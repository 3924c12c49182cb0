/* Buckets of latencies: whole milliseconds up to 7, then four for each doubling. */
#include "record/audit_internal.h"

enum {
    QUARTERS = 4,
    FIRST_POWER = 2, /* from 4 ms on a doubling has four buckets */
    LAST_POWER = FIRST_POWER + GATE_LATENCY_BUCKETS / QUARTERS - 2,
};

unsigned gate_latency_bucket(uint64_t us)
{
    uint64_t ms = us / 1000;
    if (ms < QUARTERS)
        return (unsigned)ms;
    unsigned power = 63 - (unsigned)__builtin_clzll(ms);
    if (power > LAST_POWER)
        return GATE_LATENCY_BUCKETS - 1;
    return QUARTERS * (power - 1) + (unsigned)(ms >> (power - FIRST_POWER) & (QUARTERS - 1));
}

/* More in one bucket comes from damage, and would not go through the sums below. */
static const uint64_t MAX_COUNT = UINT64_C(1) << 48;

/* Where a bucket begins, and how wide it is. */
static uint64_t bucket_from(unsigned bucket, uint64_t *width)
{
    *width = 1;
    if (bucket < QUARTERS)
        return bucket;
    unsigned power = bucket / QUARTERS + 1;
    *width = UINT64_C(1) << (power - FIRST_POWER);
    return (QUARTERS + bucket % QUARTERS) * *width;
}

bool gate_latency_percentile(const uint64_t counts[GATE_LATENCY_BUCKETS], unsigned percent,
                             uint64_t *ms)
{
    uint64_t all = 0, before = 0, width;
    for (unsigned i = 0; i < GATE_LATENCY_BUCKETS; i++) {
        if (counts[i] > MAX_COUNT)
            return false;
        all += counts[i];
    }
    if (all == 0)
        return false;
    uint64_t rank = (all * percent + 99) / 100;
    unsigned i = 0;
    for (; i < GATE_LATENCY_BUCKETS - 1 && before + counts[i] < rank; i++)
        before += counts[i];
    /* Those of one bucket are taken to lie evenly in it. */
    uint64_t from = bucket_from(i, &width);
    *ms = from + width * (2 * (rank - before) - 1) / (2 * counts[i]);
    return true;
}
