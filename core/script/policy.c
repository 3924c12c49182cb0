/* The data side of conf/accounts.lua: names, and the rule of an account. */
#include "script/policy.h"

#include "script/generation.h"

const char *const gate_strategy_names[GATE_STRATEGIES] = {
    [GATE_STRATEGY_ROUND_ROBIN] = "round_robin",
    [GATE_STRATEGY_LEAST_USED] = "least_used",
    [GATE_STRATEGY_LEAST_INFLIGHT] = "least_inflight",
    [GATE_STRATEGY_FASTEST] = "fastest",
    [GATE_STRATEGY_WEIGHTED] = "weighted",
    [GATE_STRATEGY_RESET_FIRST] = "reset_first",
    [GATE_STRATEGY_STICKY] = "sticky",
};

const char *const gate_action_names[GATE_ACTIONS] = {
    [GATE_ACTION_DEFAULT] = "default",
    [GATE_ACTION_RETRY] = "retry",
    [GATE_ACTION_NEXT_ACCOUNT] = "next_account",
    [GATE_ACTION_NEXT_TARGET] = "next_target",
    [GATE_ACTION_FAIL] = "fail",
};

const char *gate_verdict_name(enum gate_verdict_kind kind)
{
    switch (kind) {
    case GATE_VERDICT_OK:
        return "ok";
    case GATE_VERDICT_AUTH:
        return "auth";
    case GATE_VERDICT_RATE_LIMITED:
        return "rate_limited";
    case GATE_VERDICT_QUOTA_EXHAUSTED:
        return "quota_exhausted";
    case GATE_VERDICT_OVERLOADED:
        return "overloaded";
    case GATE_VERDICT_BLOCKED:
        return "blocked";
    case GATE_VERDICT_CLIENT_ERROR:
        return "client_error";
    case GATE_VERDICT_NETWORK:
        return "network";
    case GATE_VERDICT_TRUNCATED:
        return "truncated";
    case GATE_VERDICT_TIMEOUT:
        return "timeout";
    case GATE_VERDICT_GARBAGE:
        break;
    }
    return "garbage"; /* a kind that a newer plugin made up is not understood either */
}

static const struct gate_account_rule *find_rule(const struct gate_account_policy *p,
                                                 struct gate_str account)
{
    size_t low = 0, high = p->rule_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = gate_script_compare(p->rules[middle].account, account);
        if (order == 0)
            return &p->rules[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct gate_account_rule *gate_policy_rule(const struct gate_account_policy *p,
                                                 struct gate_str id, struct gate_str alias)
{
    const struct gate_account_rule *rule = find_rule(p, id);
    return rule != NULL ? rule : find_rule(p, alias);
}
