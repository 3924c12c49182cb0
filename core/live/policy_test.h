/*
 * policy_test: runs conf/tests/<name>.lua: users' own tests of their policy. Each file returns a
 * list of cases; docs/scripting.md describes them. Run by `llm-gate check`, POST
 * /admin/api/scripts/check and before each publish. Control thread.
 *
 * A case is one of
 *     { name, request, now, accounts, expect = { model, provider, target, targets, account,
 *       accounts, strategy, rejected, message, reason, error, outcome } }
 *     { name, request, now, failure, attempt, expect = { action, cooldown_ms, error } }
 *     { name, map, now, expect = { target, model, provider, error } }
 * model, provider and target are those of the target that is asked first: without accounts that is
 * the first one that anybody serves. What a case does not say of an account comes from
 * accounts.lua. The cases of one file share one state, so that what scripts remember (gate.kv,
 * gate.counter) goes on from case to case; each file begins with nothing. A test may require the
 * modules that the other files of conf/ require.
 */
#ifndef GATE_LIVE_POLICY_TEST_H
#define GATE_LIVE_POLICY_TEST_H

#include "live/simulate.h"

enum {
    GATE_POLICY_TEST_CASES = 2000, /* of all files */
    GATE_POLICY_TEST_MS = 2000,    /* CPU time of all cases */
};

struct gate_policy_tests {
    size_t files, cases, failed;
    uint64_t took_us;
};

/* Runs all cases against the candidate; failures become problems with the file, the line of the
 * case where it is known, its name, what was expected and what came ("test"). */
void gate_policy_tests_run(const struct gate_candidate *c, const struct gate_sources *sources,
                           struct gate_policy_tests *out, struct gate_problems *problems);

#endif
