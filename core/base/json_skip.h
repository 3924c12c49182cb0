/*
 * json_skip: the fast part of json: finds the end of a JSON string or of a whole object or array,
 * 64 bytes at a time. Used by json.c and json_scan.c only (and by the tests, which run every
 * variant). Pure functions, any thread.
 *
 * There is one walk, compiled for several instruction sets; they differ in how a block of 64 bytes
 * is turned into bit masks.
 */
#ifndef GATE_BASE_JSON_SKIP_H
#define GATE_BASE_JSON_SKIP_H

#include "base/json.h"

/* One pass over one text. The caller sets begin, end, find_images and has_images (both false unless
 * wanted) and deepest. */
struct gate_json_walk {
    const char *begin, *end; /* the text; nothing outside is read */
    bool find_images;        /* watch for image parts, see json.h */
    bool has_images;         /* one was found */
    uint32_t deepest;        /* raised to the deepest nesting met */
    const char *reason;      /* why a walk returned NULL: a literal */
    const char *where;       /* and where it was noticed */
    /* By depth, the bracket that opened it; from the depth the walk began at. */
    uint8_t open[GATE_JSON_MAX_DEPTH + 2];
};

struct gate_json_skip {
    const char *name;
    /* at: an opening quote. Returns the byte behind the closing one, or NULL. */
    const char *(*string)(struct gate_json_walk *w, const char *at);
    /* at: a '{' or '[' that opens nesting level `depth` (root = 1; at most
     * GATE_JSON_MAX_DEPTH + 1). Returns the byte behind the bracket that closes it, or NULL. */
    const char *(*container)(struct gate_json_walk *w, const char *at, uint32_t depth);
};

/* The fastest variant that this processor runs. */
const struct gate_json_skip *gate_json_skip_best(void);
/* All that this processor runs, for tests: i from 0 until NULL. */
const struct gate_json_skip *gate_json_skip_variant(size_t i);

/* gate_json_scan by a given variant. */
enum gate_status gate_json_scan_by(const struct gate_json_skip *skip, struct gate_str body,
                                   struct gate_str messages_key, struct gate_request_facts *facts,
                                   struct gate_json_error *why);

static inline bool gate_json_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The first byte at or behind p that is not white space, or end. */
static inline const char *gate_json_skip_space(const char *p, const char *end)
{
    while (p < end && gate_json_is_space(*p))
        p++;
    return p;
}

/* The end of a run of bytes that neither space nor JSON punctuation interrupts: a number or a
 * literal, not checked. Returns p when there is none. */
static inline const char *gate_json_skip_token(const char *p, const char *end)
{
    while (p < end && !gate_json_is_space(*p) && memchr(",:[]{}\"\\", *p, 8) == NULL)
        p++;
    return p;
}

/* Any value inside a container of nesting level `depth`, its first byte at p < w->end. Returns its
 * end, or NULL with w->reason set. */
static inline const char *gate_json_skip_value(const struct gate_json_skip *skip,
                                               struct gate_json_walk *w, const char *p,
                                               uint32_t depth)
{
    if (*p == '{' || *p == '[')
        return skip->container(w, p, depth + 1);
    if (*p == '"')
        return skip->string(w, p);
    const char *behind = gate_json_skip_token(p, w->end);
    if (behind == p) {
        w->reason = "expected a value";
        w->where = p;
        return NULL;
    }
    return behind;
}

#endif
