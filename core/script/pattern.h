/*
 * pattern: Lua patterns (reference manual, 6.4.1) with a bound on the work. Used by the string
 * functions of the sandbox. Pure functions, any thread, no allocation, no recursion.
 *
 * A pattern is compiled into a straight list of items. Only single characters repeat in Lua
 * patterns, so each item is passed once on the way to a match and the choices that are still open
 * never outnumber the items.
 */
#ifndef GATE_SCRIPT_PATTERN_H
#define GATE_SCRIPT_PATTERN_H

#include "gate/plugin.h"

enum {
    GATE_PATTERN_ITEMS = 255,
    GATE_PATTERN_SETS = 32,
    GATE_PATTERN_CAPTURES = 32,
};

struct gate_pattern_item {
    uint8_t op;
    uint8_t repeat;
    uint8_t a, b; /* a character, the index of a set or of a capture */
};

struct gate_pattern {
    struct gate_pattern_item items[GATE_PATTERN_ITEMS];
    uint64_t sets[GATE_PATTERN_SETS][4]; /* one bit a byte value */
    uint8_t item_count, set_count, capture_count;
    bool anchored;
};

/* Compiles text. anchor: a leading '^' binds the match to the start (not in gmatch). Returns NULL
 * or what is wrong, a literal. */
const char *gate_pattern_compile(struct gate_pattern *p, struct gate_str text, bool anchor);

struct gate_capture {
    size_t start, end;
    bool is_position; /* "()" */
};

/* One subject being matched. Set subject and steps_left, zero the rest. */
struct gate_match {
    struct gate_str subject;
    uint64_t steps_left; /* falls with the work done */
    struct gate_capture captures[GATE_PATTERN_CAPTURES];
};

enum gate_match_result { GATE_MATCH_NO = 0, GATE_MATCH_YES, GATE_MATCH_OUT_OF_STEPS };

/* Tries to match at `at` exactly. On YES the match is subject[at, *end). */
enum gate_match_result gate_pattern_match(const struct gate_pattern *p, struct gate_match *m,
                                          size_t at, size_t *end);
/* Finds the first match that starts at `from` or later (at `from` only, if anchored). */
enum gate_match_result gate_pattern_search(const struct gate_pattern *p, struct gate_match *m,
                                           size_t from, size_t *start, size_t *end);

#endif
