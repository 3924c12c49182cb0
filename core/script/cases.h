/*
 * cases: runs a file of conf/tests/ and gives back what it returns as plain data. Used by
 * live/policy_test.c. Control thread.
 */
#ifndef GATE_SCRIPT_CASES_H
#define GATE_SCRIPT_CASES_H

#include "base/json_tree.h"
#include "script/script.h"

enum {
    GATE_CASES_MAX_VALUES = 200000, /* tables, texts, numbers and booleans of one file */
    GATE_CASES_MAX_DEPTH = 16,
};

/* Runs the file in a sandbox of its own, with the allow-list of scripts, `gate` (with notes of its
 * own) and `require` for those modules that the generation's own files require. *out: its result,
 * with tables as objects, or as arrays where their keys are 1 to n ({}: an array); to be freed with
 * gate_json_tree_free. GATE_EINVAL: it failed, or returned what is no data; err is
 * "file:line: reason", and stack (GATE_SCRIPT_STACK bytes) tells where, or is "". */
enum gate_status gate_cases_run(struct gate_generation *g, const struct gate_source *file,
                                cJSON **out, char *stack, struct gate_error *err);

#endif
