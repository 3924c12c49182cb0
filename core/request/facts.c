#include "request/facts.h"

/* The word for an account's state, as select.c judges it. */
static const char *state_of(const struct gate_entry *e, const struct gate_health *h)
{
    if (!e->enabled)
        return "disabled";
    if (h->condition != GATE_CONDITION_SERVING)
        return gate_condition_names[h->condition];
    return e->attachment == NULL ? "no_credential" : "serving";
}

void gate_facts_read(const struct gate_entry *e, const struct gate_quota *quota,
                     enum gate_usage_kind kind, uint64_t now_ms, struct gate_account_facts *out)
{
    struct gate_account *a = e->account;
    struct gate_health health = gate_health_read(a, now_ms);
    *out = (struct gate_account_facts){
        .id = gate_str_of(a->id),
        .alias = gate_str_of(e->alias),
        .provider = gate_str_of(e->instance->name),
        .kind = a->kind,
        .tags = e->tags,
        .tag_count = e->tag_count,
        .weight = e->weight,
        .latency_us = atomic_load_explicit(&a->live.latency_us, memory_order_relaxed),
        .limits = e->limits[kind],
        .now_ms = now_ms,
        .state = state_of(e, &health),
        .until_ms = health.until_ms,
        .hash = a->hash,
    };
    quota->ops->numbers(quota->instance, a->quota, kind, now_ms, &out->numbers);
    out->numbers.in_flight = atomic_load_explicit(&a->live.in_flight, memory_order_relaxed);
}
