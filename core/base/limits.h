/*
 * limits: limits of accounts as people write them: a limit may be set or left to whoever comes
 * before. Used by config (environment), script (accounts.lua), pool (which adds them up) and admin.
 * Plain data, any thread.
 */
#ifndef GATE_BASE_LIMITS_H
#define GATE_BASE_LIMITS_H

#include "gate/plugin.h"

enum gate_limits_field {
    GATE_LIMITS_RPM = 1 << 0, /* "rpm": requests in any 60 s */
    GATE_LIMITS_RPD = 1 << 1, /* "rpd": requests a day */
    GATE_LIMITS_TPM = 1 << 2, /* "tpm": tokens in any 60 s */
    GATE_LIMITS_TPD = 1 << 3, /* "tpd": tokens a day */
    GATE_LIMITS_CONCURRENCY = 1 << 4,
};

enum { GATE_LIMITS_FIELDS = 5, GATE_LIMITS_MAX = 1000000000 /* of every value */ };

/* Some limits of one kind of use. A field that is set to 0 means "no limit". */
struct gate_limits_patch {
    unsigned set; /* enum gate_limits_field */
    struct gate_limits values;
};

/* Chat and search. */
struct gate_limits_rule {
    struct gate_limits_patch kinds[GATE_USAGE_KINDS];
};

/* Names of the fields in Lua and JSON ("rpm", ...) and of the kinds ("chat", "search"). */
extern const char *const gate_limits_names[GATE_LIMITS_FIELDS];
extern const char *const gate_usage_kind_names[GATE_USAGE_KINDS];

/* Lays what patch sets over limits. */
void gate_limits_apply(struct gate_limits *limits, const struct gate_limits_patch *patch);
/* Sets a field by its position in gate_limits_names. value <= GATE_LIMITS_MAX. */
void gate_limits_put(struct gate_limits_patch *patch, unsigned field, uint64_t value);
/* Reads a field by its position in gate_limits_names. */
uint64_t gate_limits_value(const struct gate_limits *limits, unsigned field);

#endif
