/*
 * retry: when an upstream wants to be asked again, from its headers and from what it wrote.
 * Compiled into providers of the OpenAI API. Pure functions.
 */
#ifndef OPENAI_RETRY_H
#define OPENAI_RETRY_H

#include <gate/plugin.h>

enum {
    OPENAI_RETRY_MAX_MS = 7 * 24 * 3600 * 1000, /* longer waits are cut to this */
    OPENAI_COUNTERS_MAX_MS = 24 * 3600 * 1000,  /* the same for what counters say */
};

/* The wait in ms that the answer names, 0 if it names none. Looks at retry-after-ms, retry-after
 * (seconds or a date), a "retryDelay" in the body, and the words "try again in 1.2s" in message. */
uint64_t openai_retry_read(const struct gate_host *host, const struct gate_answer *answer,
                           struct gate_str message);

/* The wait in ms until all counters that a 429 shows at 0 start anew (x-ratelimit-remaining-* and
 * -reset-*, of requests and tokens); 0: it shows none, or it names a time in Retry-After. */
uint64_t openai_counters_read(const struct gate_host *host, const struct gate_answer *answer);

/* The value of a header, or an empty string. name in lower case. */
struct gate_str openai_header(const struct gate_answer *answer, struct gate_str name);

/* The first place of text in s without regard to case (text in lower case), or NULL. */
const char *openai_find(struct gate_str s, struct gate_str text);

#endif
