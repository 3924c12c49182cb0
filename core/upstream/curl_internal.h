/*
 * Inside of the HTTP client: a call, which curl_call.c prepares and whose answer it collects, and
 * the lists in which curl.c keeps calls. Control thread.
 */
#ifndef GATE_UPSTREAM_CURL_INTERNAL_H
#define GATE_UPSTREAM_CURL_INTERNAL_H

#include "upstream/curl.h"
#include <curl/curl.h>

enum { GATE_CURL_MAX_REASON = 256 };

/* Calls in the order of their arrival. */
struct gate_curl_list {
    struct gate_control_call *first, *last;
    size_t count;
};

struct gate_curl_span {
    uint32_t off, len;
};

struct gate_control_call {
    struct gate_timer deadline; /* first: on_deadline finds the call by it */
    struct gate_control_call *prev, *next;
    struct gate_curl_list *list; /* NULL: while its done is called */
    struct gate_curl *owner;
    struct gate_endpoint *endpoint;
    void (*done)(void *ctx, const struct gate_answer *answer);
    void *ctx;
    uint32_t timeout_ms;
    /* The request. */
    CURL *easy;
    struct curl_slist *headers; /* may hold a secret */
    struct gate_buf body;       /* may hold a secret */
    /* The answer. */
    long status; /* 0: `reason` */
    struct gate_buf head;
    struct gate_curl_span names[GATE_UPSTREAM_MAX_HEADERS],
        values[GATE_UPSTREAM_MAX_HEADERS]; /* in head */
    size_t header_count;
    bool head_complete;
    struct gate_buf answer; /* may hold a secret */
    const char *problem;    /* why a callback stopped the transfer; a literal */
    char curl_text[CURL_ERROR_SIZE];
    char reason[GATE_CURL_MAX_REASON];
};

/* Sets up the transfer. False: curl does not take it. */
bool gate_curl_call_prepare(struct gate_control_call *call, const struct gate_built *request);
/* Calls done with the answer, or with the reason. */
void gate_curl_call_tell(struct gate_control_call *call);
/* Frees a call that is in no list; secrets are wiped. */
void gate_curl_call_free(struct gate_control_call *call);

#endif
