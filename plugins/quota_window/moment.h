/*
 * moment: reads the points in time that services write into headers. Used by observe.c; compiled
 * into providers of the OpenAI API too, for refusals. Pure functions.
 */
#ifndef WINDOW_MOMENT_H
#define WINDOW_MOMENT_H

#include <gate/plugin.h>

/* Reads a point in time: seconds ("20", "1.5"), a duration ("6m0s", "120ms"), Unix seconds or ms,
 * an HTTP date or an ISO 8601 date. *until is Unix ms. False: none of these. */
bool window_moment_parse(struct gate_str text, uint64_t now_ms, uint64_t *until);
/* Reads "12" or "1.25" as thousandths, at most WINDOW_DIGITS_MAX digits before and after the point.
 * False: something else. */
enum { WINDOW_DIGITS_MAX = 15 };
bool window_number_parse(struct gate_str text, uint64_t *thousandths);

#endif
