/*
 * diff_script: which lines of two texts are not common to both. Used by diff.c only. Pure, any
 * thread.
 */
#ifndef GATE_LIVE_DIFF_SCRIPT_H
#define GATE_LIVE_DIFF_SCRIPT_H

#include "base/buf.h"

/* A text as lines; each ends with its line feed, but perhaps for the last. */
struct gate_diff_text {
    const char *text;
    uint32_t *starts; /* owned; count + 1 of them: the last is the text's length */
    uint32_t count;
    bool *changed; /* owned; of each line: the other text does not have it here; one more, false */
};

/* len < 2^31. text is lent, until finish. */
void gate_diff_text_init(struct gate_diff_text *t, const char *text, size_t len);
void gate_diff_text_finish(struct gate_diff_text *t);

/* Fills changed of both. What is left out of it is a longest common subsequence, unless finding
 * that would take too long: then the parts that were not finished are changed wholly. Lines that
 * stay are the same number in both, in the same order. */
void gate_diff_script(struct gate_diff_text *a, struct gate_diff_text *b);

#endif
