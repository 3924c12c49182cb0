/*
 * problem: what is wrong with a script, at which line and column. Made by lint.c (reading the
 * text), generation.c (compiling and running it) and the live wing (tests and samples); shown by
 * `llm-gate check`, the admin API and the console. Plain data, any thread.
 */
#ifndef GATE_SCRIPT_PROBLEM_H
#define GATE_SCRIPT_PROBLEM_H

#include "gate/plugin.h"

enum {
    GATE_PROBLEMS_MAX = 100, /* remembered of one check; `count` goes on */
    GATE_PROBLEM_FILE = 96,
    GATE_PROBLEM_TEXT = 400,
    GATE_PROBLEM_STACK = 1024,
};

enum gate_severity {
    GATE_SEVERITY_ERROR = 0, /* the set cannot be published */
    GATE_SEVERITY_WARNING,
};

struct gate_problem {
    char file[GATE_PROBLEM_FILE];    /* "routing.lua"; "" when no file is at fault */
    uint32_t line, column;           /* from 1, column in bytes; 0: not known */
    uint32_t end_column;             /* just behind what is marked on the same line; 0: not known */
    uint32_t open_line, open_column; /* what was opened and never closed; 0: nothing */
    enum gate_severity severity;
    char code[32]; /* "syntax", "unclosed", "undefined_global", "unknown_field", "runtime",
                      "result", "test", "sample", "recorded", "config", "needs_restart", ... */
    char message[GATE_PROBLEM_TEXT]; /* one line, without place; control bytes are spaces */
    char stack[GATE_PROBLEM_STACK];  /* of a runtime error: "file:line: in function 'x'\n..."; "" */
};

struct gate_problems {
    struct gate_problem *list; /* owned; in the order in which they were found */
    size_t kept;               /* entries of list */
    size_t count, errors;      /* all that were found; those among them that are errors */
};

void gate_problems_finish(struct gate_problems *p); /* a zeroed one is fine */
/* Adds one; the text of the format is cleaned and cut. Returns it (to set columns, opener and
 * stack), or a place that nobody reads when there are too many. */
__attribute__((format(printf, 6, 7))) struct gate_problem *
gate_problems_add(struct gate_problems *p, enum gate_severity severity, const char *code,
                  const char *file, uint32_t line, const char *format, ...);
/* Adds what a gate_error says: "file.lua:12: text" is taken apart, other text has no place. */
struct gate_problem *gate_problems_add_error(struct gate_problems *p, const char *code,
                                             const struct gate_error *err);
/* Sorts by file, line and column, and drops those that say the same of the same place. */
void gate_problems_sort(struct gate_problems *p);

#endif
