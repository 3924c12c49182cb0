/*
 * lint: reads the text of a script without running it and finds what is wrong: all syntax errors,
 * not only the first, with line and column and the opener of what is never closed; globals that do
 * not exist; fields that `req`, an account or `gate` does not have; writes to globals. Pure, any
 * thread. What it calls an error Lua refuses too (or fails on whenever the line is reached, which
 * is then a warning); Lua itself, which the generation asks as well, has the last word.
 */
#ifndef GATE_SCRIPT_LINT_H
#define GATE_SCRIPT_LINT_H

#include "script/problem.h"

/* file: "routing.lua", as in a gate_source; decides which names are there. Text of any bytes and
 * size up to GATE_SANDBOX_MAX_FILE; time and memory grow with its length only. */
void gate_lint(const char *file, struct gate_str text, struct gate_problems *out);

#endif
