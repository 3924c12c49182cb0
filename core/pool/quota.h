/*
 * quota: the quota plugin in use. Thin: the rules are the plugin's. Used by select (reserve),
 * exchange (settle), roster (save, load) and admin (numbers).
 */
#ifndef GATE_POOL_QUOTA_H
#define GATE_POOL_QUOTA_H

#include "gate/plugin.h"

struct gate_quota {
    const struct gate_quota_ops *ops;
    void *instance;
};

/* "rpm", "rpd", "tpm", "tpd", "concurrency", "upstream"; "" for GATE_LIMIT_NONE. */
const char *gate_limit_text(enum gate_limit_name limit);

#endif
