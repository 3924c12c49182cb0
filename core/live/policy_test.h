/*
 * policy_test: runs conf/tests/<name>.lua: users' own tests of their policy. Each file returns a
 * list of cases; docs/scripting.md describes them. Run by `llm-gate check`, POST
 * /admin/api/scripts/check and before each publish. Control thread.
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
