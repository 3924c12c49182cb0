/*
 * rules: what accounts.lua says of accounts (weight, tags, limits), laid over facts that were
 * gathered under another accounts.lua. Used by simulate.c. Pure, any thread.
 *
 * The facts hold what came out of all layers (see roster_table.c), not the layers. So where the two
 * files differ it is inferred who has set a value: one that is not what the old rule says is a
 * person's, and stays. Three things cannot be told: a person's setting that equals the old rule
 * (taken for the rule's), what lies below a rule that went (gateway.lua's limits for every account,
 * weight 1), and a tag that an account has by itself and by the old rule (it goes with the rule).
 */
#ifndef GATE_LIVE_RULES_H
#define GATE_LIVE_RULES_H

#include "config.h"
#include "script/policy.h"

enum { GATE_RULES_MAX_TAGS = 3 * GATE_POLICY_MAX_TAGS };

struct gate_rules {
    const struct gate_account_policy *from; /* that made the facts; NULL: none has touched them */
    const struct gate_account_policy *to;
    const struct gate_limits_rule *defaults; /* gateway.lua's, of every account */
    enum gate_usage_kind kind;
};

/* Writes what f would say under `to`. Tags that differ are put together in tags, which holds
 * GATE_RULES_MAX_TAGS and must live as long as f is read. True: they were. */
bool gate_rules_apply(const struct gate_rules *r, struct gate_account_facts *f,
                      struct gate_str *tags);

#endif
