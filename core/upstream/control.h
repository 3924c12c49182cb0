/*
 * control: the thread for everything that is slow and rare: token refresh, device logins, account
 * tests, web hooks, admin requests. It has a queue of tasks that any thread may fill, timers, and
 * an HTTP client on libcurl (curl.c). Used by main (create, destroy), pool/credentials, pool/login,
 * record/alerts and admin.
 */
#ifndef GATE_UPSTREAM_CONTROL_H
#define GATE_UPSTREAM_CONTROL_H

#include "base/task.h"
#include "base/timer.h"
#include "upstream/builder.h"
#include "upstream/upstream.h"

enum { GATE_CONTROL_MAX_ANSWER = 1 << 20, GATE_CONTROL_MAX_CALLS = 64 /* at once; others wait */ };

struct gate_control;

/* Creates the thread, which waits for tasks. The caller has blocked the signals that it handles. */
enum gate_status gate_control_create(struct gate_control **out, struct gate_error *err);
/* Any thread but the control thread. Runs the tasks that are queued, cancels all calls without
 * calling done, joins the thread and frees. NULL is fine. */
void gate_control_destroy(struct gate_control *c);

/* Any thread. Has cb(arg) called on the control thread soon. */
void gate_control_post(struct gate_control *c, gate_task_cb cb, void *arg);
/* Any thread but the control thread: like post, and waits until it has run. */
void gate_control_call(struct gate_control *c, gate_task_cb cb, void *arg);
/* Control thread. Its timers (monotonic ms). */
struct gate_timers *gate_control_timers(struct gate_control *c);

struct gate_control_call;

/* Control thread. Sends a request that a builder made (see builder.h; copied as far as needed, the
 * endpoint is retained) and calls done on the control thread, once, never from inside send.
 * Redirects are not followed; environment proxies are not used; addresses are checked as the
 * endpoint demands; TLS is verified. timeout_ms covers everything. The answer is lent: status 0 and
 * a reason when the transport failed (also for a body above GATE_CONTROL_MAX_ANSWER); header names
 * in lower case; answer->account is NULL. */
struct gate_control_call *
gate_control_send(struct gate_control *c, const struct gate_built *request, uint32_t timeout_ms,
                  void (*done)(void *ctx, const struct gate_answer *answer), void *ctx);
/* Control thread. Ends the call without done. */
void gate_control_cancel(struct gate_control_call *call);

#endif
