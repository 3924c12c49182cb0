/*
 * curl: the HTTP client of the control thread, on libcurl's multi interface. Used by control.c
 * only, which owns the loop; everybody else sees control.h. No other file includes curl's headers.
 *
 * Each call has a connection of its own, closed behind it: curl repeats a request by itself when a
 * connection that it kept turns out dead, and a token refresh that is sent twice may cost the
 * login; nor can a call that may reach public addresses only be given the connection of one that
 * may reach any.
 */
#ifndef GATE_UPSTREAM_CURL_H
#define GATE_UPSTREAM_CURL_H

#include "upstream/control.h"

enum {
    GATE_CURL_MAX_WAITING = 4096, /* calls behind those that run; more fail at once */
    GATE_CURL_MAX_HEAD = 64 << 10 /* bytes of an answer's header lines */
};

struct gate_curl;

/* Any thread, before the loop runs. Timers are lent and must outlive the client. */
enum gate_status gate_curl_create(struct gate_timers *timers, struct gate_curl **out,
                                  struct gate_error *err);
/* After the last run, by the control thread or whoever joined it. Ends all calls without done. NULL
 * is fine. */
void gate_curl_destroy(struct gate_curl *h);

/* Any thread. Ends the wait that is under way, or else the next one. */
void gate_curl_wakeup(struct gate_curl *h);

/* The rest: control thread. */

/* Moves all calls on and calls done for those that ended. True: call it again without waiting. */
bool gate_curl_run(struct gate_curl *h);
/* Sleeps until a call can move on, somebody wakes it, or max_ms have passed. */
void gate_curl_wait(struct gate_curl *h, uint64_t max_ms);

/* See gate_control_send. The result lives until done has returned. */
struct gate_control_call *gate_curl_send(struct gate_curl *h, const struct gate_built *request,
                                         uint32_t timeout_ms,
                                         void (*done)(void *ctx, const struct gate_answer *answer),
                                         void *ctx);
/* See gate_control_cancel. Inside the call's own done it does nothing. */
void gate_curl_cancel(struct gate_control_call *call);

#endif
