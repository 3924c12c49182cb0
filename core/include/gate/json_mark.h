/*
 * json_mark: finds the end of a JSON string's plain text. For plugins that look at every event of
 * every stream: inline, because most strings there are shorter than a call would be worth.
 */
#ifndef GATE_JSON_MARK_H
#define GATE_JSON_MARK_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Any thread. The first quote or backslash from p on, or end. Reads nothing behind end. */
static inline const char *gate_json_mark(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), escape = _mm_set1_epi8('\\');

    for (; end - p >= 16; p += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, escape));
        int mask = _mm_movemask_epi8(hits);

        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && *p != '"' && *p != '\\')
        p++;
    return p;
}

#endif
