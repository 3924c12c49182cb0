/*
 * failure: reads an answer that is not plainly good, in any of the shapes that services of the
 * OpenAI API send, and judges it. Compiled into provider_openai and into providers whose services
 * share the shapes but mean something else by some of them: these look at the failure first and
 * leave the rest to openai_failure_judge. Pure functions; worker.
 */
#ifndef OPENAI_FAILURE_H
#define OPENAI_FAILURE_H

#include <gate/plugin.h>

struct openai_failure {
    int status;              /* HTTP status; inside a stream the error's own, 200 if it has none */
    bool empty;              /* there is no body */
    bool html;               /* the body is a page, not an answer */
    bool server_page;        /* ... and it is the server's own page for a 5xx */
    bool answer;             /* the body holds choices, or as much of it as is known may */
    bool failed;             /* the body reports an error */
    uint64_t retry_after_ms; /* 0: not said */
    uint64_t counters_ms;    /* until the counters of a 429 start anew; 0: none is used up */
    char code[64];           /* the error's code, "" if none */
    char type[64];           /* its type */
    char message[384];       /* its text: one line, keys masked */
};

/* Reads the answer. status 0 (the transport failed) is read as well: message is the reason. */
void openai_failure_read(const struct gate_host *host, const struct gate_answer *answer,
                         struct openai_failure *out);

/* Do code, type or message hold the words (lower case) in any case of letters? */
bool openai_failure_says(const struct openai_failure *f, const char *words);

/* Fills the verdict by the rules that hold for every service of this API. */
void openai_failure_judge(const struct openai_failure *f, struct gate_verdict *out);

/* Fills the verdict with a kind that the caller found. retry_after_ms is taken from f unless the
 * kind has no use for it; where f says nothing, a rate limit ends with the counters. */
void openai_failure_verdict(const struct openai_failure *f, enum gate_verdict_kind kind,
                            struct gate_verdict *out);

#endif
