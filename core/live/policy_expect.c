/* What a case of a policy test expects, and whether that came. */
#include "live/policy_case.h"
#include <stdlib.h>

enum { LOWEST_STATUS = 400, HIGHEST_STATUS = 599, SHOWN = 160 };

static const cJSON *expected(const struct policy_case *t, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(t->expect, key);
}

/* ---- well-formed? */

/* The members that are texts, and one that is a list of texts. */
static bool check_texts(const struct policy_case *t, const char *const *keys, size_t count,
                        struct policy_report *r)
{
    for (size_t i = 0; i < count; i++) {
        const char *ignored;
        if (!policy_text(t->expect, "expect", keys[i], &ignored, r))
            return false;
    }
    return true;
}

static bool check_list(const struct policy_case *t, const char *key, size_t max,
                       struct policy_report *r)
{
    const cJSON *list = expected(t, key), *item;
    if (list == NULL)
        return true;
    bool good =
        policy_is_list(list) && list->child != NULL && (size_t)cJSON_GetArraySize(list) <= max;
    cJSON_ArrayForEach(item, list)
    {
        good = good && cJSON_IsString(item);
    }
    if (!good)
        policy_complain(r, "expect.%s: expected a list of 1 to %zu texts", key, max);
    return good;
}

static bool check_accounts(const struct policy_case *t, struct policy_report *r)
{
    const cJSON *one = expected(t, "account"), *list = expected(t, "accounts"), *item;
    if (one == NULL && list == NULL)
        return true;
    if (t->account_count == 0) {
        policy_complain(r,
                        "expect.%s needs the accounts that can be chosen: accounts = { { id = "
                        "\"provider/name\" }, ... }",
                        one != NULL ? "account" : "accounts");
        return false;
    }
    if (one != NULL && policy_account_id(t, one->valuestring) == NULL) {
        policy_complain(r, "expect.account: the case has no account \"%.60s\"", one->valuestring);
        return false;
    }
    cJSON_ArrayForEach(item, list)
    {
        if (policy_account_id(t, item->valuestring) != NULL)
            continue;
        policy_complain(r, "expect.accounts: the case has no account \"%.60s\"", item->valuestring);
        return false;
    }
    return true;
}

static bool is_name_in(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool check_route(const struct policy_case *t, struct policy_report *r)
{
    static const char *const texts[] = {"model",   "provider", "target", "account", "strategy",
                                        "message", "reason",   "error",  "outcome"};
    const cJSON *rejected = expected(t, "rejected"), *outcome = expected(t, "outcome");
    const cJSON *strategy = expected(t, "strategy");
    uint64_t status;
    if (!policy_keys(t->expect, "expect",
                     "model|provider|target|targets|account|accounts|strategy|rejected|message|"
                     "reason|error|outcome",
                     r) ||
        !check_texts(t, texts, sizeof texts / sizeof texts[0], r) ||
        !check_list(t, "targets", GATE_SCRIPT_MAX_TARGETS, r) ||
        !check_list(t, "accounts", GATE_SCRIPT_MAX_TARGETS, r) || !check_accounts(t, r))
        return false;
    if (rejected != NULL && !cJSON_IsTrue(rejected) &&
        !gate_json_tree_whole(rejected, LOWEST_STATUS, HIGHEST_STATUS, &status)) {
        policy_complain(r, "expect.rejected is %s; expected true or a status from %d to %d",
                        policy_show(rejected).text, LOWEST_STATUS, HIGHEST_STATUS);
        return false;
    }
    if (outcome != NULL &&
        !is_name_in(outcome->valuestring, gate_simulate_outcome_names, GATE_SIMULATED_ERROR + 1)) {
        policy_complain(r,
                        "expect.outcome is \"%.40s\"; expected routed, rejected, unknown_model, "
                        "no_account or error",
                        outcome->valuestring);
        return false;
    }
    if (strategy == NULL || strcmp(strategy->valuestring, "select") == 0 ||
        is_name_in(strategy->valuestring, gate_strategy_names, GATE_STRATEGIES))
        return true;
    policy_complain(r, "expect.strategy is \"%.40s\"; expected select or the name of a strategy",
                    strategy->valuestring);
    return false;
}

static bool check_failure(const struct policy_case *t, struct policy_report *r)
{
    static const char *const texts[] = {"action", "error"};
    uint64_t cooldown;
    if (!policy_keys(t->expect, "expect", "action|cooldown_ms|error", r) ||
        !check_texts(t, texts, sizeof texts / sizeof texts[0], r) ||
        !policy_whole(t->expect, "expect", "cooldown_ms", GATE_POLICY_MAX_COOLDOWN_MS, &cooldown,
                      r))
        return false;
    const cJSON *action = expected(t, "action");
    if (action == NULL || is_name_in(action->valuestring, gate_action_names, GATE_ACTIONS))
        return true;
    policy_complain(r,
                    "expect.action is \"%.40s\"; expected default, retry, next_account, "
                    "next_target or fail",
                    action->valuestring);
    return false;
}

static bool check_map(const struct policy_case *t, struct policy_report *r)
{
    static const char *const texts[] = {"target", "model", "provider", "error"};
    return policy_keys(t->expect, "expect", "target|model|provider|error", r) &&
           check_texts(t, texts, sizeof texts / sizeof texts[0], r);
}

bool policy_expect_check(const struct policy_case *t, struct policy_report *r)
{
    if (t->expect == NULL || (policy_is_table(t->expect) && t->expect->child == NULL)) {
        policy_complain(r, "expect is %s: such a test cannot fail",
                        t->expect == NULL ? "missing" : "empty");
        return false;
    }
    switch (t->kind) {
    case POLICY_CASE_FAILURE:
        return check_failure(t, r);
    case POLICY_CASE_MAP:
        return check_map(t, r);
    case POLICY_CASE_ROUTE:
        break;
    }
    return check_route(t, r);
}

/* ---- comparing */

static void differs(struct policy_report *r, const char *what, const char *wanted, const char *came)
{
    policy_complain(r, "%s: expected \"%.100s\", came \"%.100s\"", what, wanted, came);
}

static void compare_text(const struct policy_case *t, const char *key, const char *came,
                         struct policy_report *r)
{
    const cJSON *wanted = expected(t, key);
    if (wanted != NULL && strcmp(wanted->valuestring, came) != 0)
        differs(r, key, wanted->valuestring, came);
}

/* The wanted text is a part of what came. */
static void compare_part(const struct policy_case *t, const char *key, const char *came,
                         struct policy_report *r)
{
    const cJSON *wanted = expected(t, key);
    if (wanted != NULL && strstr(came, wanted->valuestring) == NULL)
        policy_complain(r, "%s: expected it to contain \"%.100s\", came \"%.100s\"", key,
                        wanted->valuestring, came);
}

/* The script failed, or did not although that was expected. True: it failed. */
static bool compare_error(const struct policy_case *t, const struct policy_failed *failed,
                          struct policy_report *r)
{
    const cJSON *wanted = expected(t, "error");
    if (failed->message[0] == '\0') {
        if (wanted != NULL)
            policy_complain(r, "error: expected \"%.100s\", and no script failed",
                            wanted->valuestring);
        return false;
    }
    if (wanted != NULL && strstr(failed->message, wanted->valuestring) != NULL)
        return true;
    struct gate_problem *p = wanted == NULL
                                 ? policy_complain(r, "the script failed: %s", failed->message)
                                 : policy_complain(r, "error: expected \"%.80s\", came \"%s\"",
                                                   wanted->valuestring, failed->message);
    snprintf(p->stack, sizeof p->stack, "%s", failed->stack);
    return true;
}

static bool is_target(const struct gate_simulated_target *target, const char *wanted)
{
    size_t len = strlen(target->provider);
    if (strcmp(target->name, wanted) == 0)
        return true;
    return len > 0 && strncmp(wanted, target->provider, len) == 0 && wanted[len] == '/' &&
           strcmp(wanted + len + 1, target->model) == 0;
}

/* "qwen/turbo", or the name where nobody serves it. */
static void show_target(const struct gate_simulated_target *target, char out[SHOWN])
{
    if (target->provider[0] == '\0')
        snprintf(out, SHOWN, "%s (nobody serves it)", target->name);
    else
        snprintf(out, SHOWN, "%s/%s", target->provider, target->model);
}

static void compare_targets(const struct policy_case *t, const struct gate_simulated *s,
                            struct policy_report *r)
{
    const cJSON *list = expected(t, "targets"), *item;
    char what[32], came[SHOWN];
    size_t i = 0, count = (size_t)cJSON_GetArraySize(list);
    if (list == NULL)
        return;
    if (count != s->target_count)
        policy_complain(r, "targets: expected %zu, came %zu", count, s->target_count);
    cJSON_ArrayForEach(item, list)
    {
        if (i < s->target_count && !is_target(&s->targets[i], item->valuestring)) {
            snprintf(what, sizeof what, "targets[%zu]", i + 1);
            show_target(&s->targets[i], came);
            differs(r, what, item->valuestring, came);
        }
        i++;
    }
}

static void compare_accounts(const struct policy_case *t, const struct gate_simulated *s,
                             struct policy_report *r)
{
    const cJSON *one = expected(t, "account"), *list = expected(t, "accounts"), *item;
    char what[32];
    size_t i = 0, count = (size_t)cJSON_GetArraySize(list);
    if (one != NULL && strcmp(policy_account_id(t, one->valuestring), s->account) != 0)
        differs(r, "account", policy_account_id(t, one->valuestring), s->account);
    if (list != NULL && count != s->order_count)
        policy_complain(r, "accounts: expected %zu, came %zu", count, s->order_count);
    cJSON_ArrayForEach(item, list)
    {
        const char *id = policy_account_id(t, item->valuestring);
        snprintf(what, sizeof what, "accounts[%zu]", i + 1);
        if (i < s->order_count && strcmp(id, s->order[i]) != 0)
            differs(r, what, id, s->order[i]);
        i++;
    }
}

/* The target that is asked first: that of the account, or the first one when there is none. */
static void compare_target(const struct policy_case *t, const struct gate_simulated *s,
                           struct policy_report *r)
{
    static const struct gate_simulated_target none = {.provider = ""};
    const cJSON *wanted = expected(t, "target");
    const struct gate_simulated_target *came = s->chosen < s->target_count ? &s->targets[s->chosen]
                                               : s->target_count > 0       ? &s->targets[0]
                                                                           : &none;
    char shown[SHOWN];
    compare_text(t, "model", came->model, r);
    compare_text(t, "provider", came->provider, r);
    if (wanted == NULL || is_target(came, wanted->valuestring))
        return;
    show_target(came, shown);
    differs(r, "target", wanted->valuestring, s->target_count > 0 ? shown : "none");
}

static void compare_outcome(const struct policy_case *t, const struct gate_simulated *s,
                            struct policy_report *r)
{
    const cJSON *rejected = expected(t, "rejected"), *outcome = expected(t, "outcome");
    const char *came = gate_simulate_outcome_names[s->outcome];
    bool may_be_rejected = rejected != NULL || expected(t, "message") != NULL;
    if (outcome != NULL)
        compare_text(t, "outcome", came, r);
    else if (may_be_rejected && s->outcome != GATE_SIMULATED_REJECTED)
        policy_complain(r, "rejected: expected a rejection, and it is %s", came);
    else if (!may_be_rejected && s->outcome == GATE_SIMULATED_REJECTED)
        policy_complain(r, "it is rejected with %d: %.200s", s->status, s->message);
    else if (!may_be_rejected && s->outcome != GATE_SIMULATED_ROUTED)
        policy_complain(r, "outcome: expected \"routed\", came \"%s\"", came);
    if (cJSON_IsNumber(rejected) && s->outcome == GATE_SIMULATED_REJECTED &&
        (int)rejected->valuedouble != s->status)
        policy_complain(r, "rejected: expected %d, came %d", (int)rejected->valuedouble, s->status);
}

void policy_expect_route(const struct policy_case *t, const struct gate_simulated *s,
                         struct policy_report *r)
{
    const cJSON *outcome = expected(t, "outcome");
    bool is_error = s->outcome == GATE_SIMULATED_ERROR;
    const struct policy_failed failed = {is_error ? s->message : "", s->stack};
    bool wants_error = outcome != NULL && strcmp(outcome->valuestring, "error") == 0;
    if (is_error && wants_error && expected(t, "error") == NULL)
        return;
    if (compare_error(t, &failed, r))
        return;
    compare_outcome(t, s, r);
    compare_part(t, "message", s->message, r);
    compare_text(t, "reason", s->reason, r);
    compare_target(t, s, r);
    compare_targets(t, s, r);
    compare_accounts(t, s, r);
    compare_text(t, "strategy", s->strategy, r);
}

void policy_expect_failure(const struct policy_case *t, const struct gate_error_decision *d,
                           const struct policy_failed *failed, struct policy_report *r)
{
    const cJSON *cooldown = expected(t, "cooldown_ms");
    if (compare_error(t, failed, r))
        return;
    compare_text(t, "action", gate_action_names[d->action], r);
    if (cooldown == NULL)
        return;
    if (!d->has_cooldown)
        policy_complain(r, "cooldown_ms: expected %.0f, and on_error sets none",
                        cooldown->valuedouble);
    else if ((double)d->cooldown_ms != cooldown->valuedouble)
        policy_complain(r, "cooldown_ms: expected %.0f, came %llu", cooldown->valuedouble,
                        (unsigned long long)d->cooldown_ms);
}

void policy_expect_map(const struct policy_case *t, struct gate_str mapped,
                       const struct gate_resolved *resolved, const struct policy_failed *failed,
                       struct policy_report *r)
{
    struct gate_simulated_target came = {.provider = ""};
    const cJSON *target = expected(t, "target");
    if (compare_error(t, failed, r))
        return;
    snprintf(came.name, sizeof came.name, "%.*s", (int)mapped.len, mapped.ptr);
    if (resolved != NULL) {
        snprintf(came.provider, sizeof came.provider, "%s", resolved->instance->name);
        snprintf(came.model, sizeof came.model, "%.*s", (int)resolved->model.len,
                 resolved->model.ptr);
    }
    if (target != NULL && !is_target(&came, target->valuestring))
        differs(r, "target", target->valuestring, came.name);
    compare_text(t, "model", came.model, r);
    compare_text(t, "provider", came.provider, r);
}
