#include "base/limits.h"

const char *const gate_limits_names[GATE_LIMITS_FIELDS] = {"rpm", "rpd", "tpm", "tpd",
                                                           "concurrency"};
const char *const gate_usage_kind_names[GATE_USAGE_KINDS] = {"chat", "search"};

static void put(struct gate_limits *limits, unsigned field, uint64_t value)
{
    switch (1u << field) {
    case GATE_LIMITS_RPM:
        limits->requests_per_minute = value;
        break;
    case GATE_LIMITS_RPD:
        limits->requests_per_day = value;
        break;
    case GATE_LIMITS_TPM:
        limits->tokens_per_minute = value;
        break;
    case GATE_LIMITS_TPD:
        limits->tokens_per_day = value;
        break;
    case GATE_LIMITS_CONCURRENCY:
        limits->concurrency = (uint32_t)value;
        break;
    }
}

uint64_t gate_limits_value(const struct gate_limits *limits, unsigned field)
{
    switch (1u << field) {
    case GATE_LIMITS_RPM:
        return limits->requests_per_minute;
    case GATE_LIMITS_RPD:
        return limits->requests_per_day;
    case GATE_LIMITS_TPM:
        return limits->tokens_per_minute;
    case GATE_LIMITS_TPD:
        return limits->tokens_per_day;
    default:
        return limits->concurrency;
    }
}

void gate_limits_put(struct gate_limits_patch *patch, unsigned field, uint64_t value)
{
    patch->set |= 1u << field;
    put(&patch->values, field, value);
}

void gate_limits_apply(struct gate_limits *limits, const struct gate_limits_patch *patch)
{
    for (unsigned field = 0; field < GATE_LIMITS_FIELDS; field++)
        if (patch->set & (1u << field))
            put(limits, field, gate_limits_value(&patch->values, field));
}
