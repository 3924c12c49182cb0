#include "base/clock.h"
#include "upstream/curl_internal.h"
#include <poll.h>
#include <stdlib.h>

enum { POLL_FAILED_MS = 20 };

struct gate_curl {
    CURLM *multi;
    struct gate_timers *timers;
    struct gate_curl_list waiting; /* for their turn */
    struct gate_curl_list running; /* known to multi */
    struct gate_curl_list ended;   /* done is to be called */
};

static void list_append(struct gate_curl_list *list, struct gate_control_call *call)
{
    call->list = list;
    call->next = NULL;
    call->prev = list->last;
    if (list->last != NULL)
        list->last->next = call;
    else
        list->first = call;
    list->last = call;
    list->count++;
}

static void list_remove(struct gate_control_call *call)
{
    struct gate_curl_list *list = call->list;
    if (call->prev != NULL)
        call->prev->next = call->next;
    else
        list->first = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    else
        list->last = call->prev;
    list->count--;
    call->list = NULL;
}

/* ---- the life of a call */

/* Takes a call out of curl, the timers and its list. */
static void withdraw(struct gate_control_call *call)
{
    struct gate_curl *h = call->owner;
    if (call->list == &h->running)
        curl_multi_remove_handle(h->multi, call->easy);
    gate_timer_disarm(h->timers, &call->deadline);
    list_remove(call);
}

static void fail(struct gate_control_call *call, const char *reason)
{
    withdraw(call);
    call->status = 0;
    snprintf(call->reason, sizeof call->reason, "%s", reason);
    list_append(&call->owner->ended, call);
}

static void on_deadline(struct gate_timer *t)
{
    struct gate_control_call *call = (struct gate_control_call *)t;
    char text[64];
    snprintf(text, sizeof text, "no answer within %u ms", call->timeout_ms);
    fail(call, text);
}

static void start_waiting(struct gate_curl *h)
{
    while (h->waiting.first != NULL && h->running.count < GATE_CONTROL_MAX_CALLS) {
        struct gate_control_call *call = h->waiting.first;
        CURLMcode bad = curl_multi_add_handle(h->multi, call->easy);
        if (bad != CURLM_OK) {
            fail(call, curl_multi_strerror(bad));
            continue;
        }
        list_remove(call);
        list_append(&h->running, call);
    }
}

static void take_results(struct gate_curl *h)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
        char *owner = NULL;
        CURLcode result = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &owner);
        struct gate_control_call *call = (struct gate_control_call *)(void *)owner;
        if (result != CURLE_OK) {
            fail(call, call->problem != NULL        ? call->problem
                       : call->curl_text[0] != '\0' ? call->curl_text
                                                    : curl_easy_strerror(result));
            continue;
        }
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &call->status);
        withdraw(call);
        list_append(&h->ended, call);
    }
}

bool gate_curl_run(struct gate_curl *h)
{
    int active;
    start_waiting(h);
    curl_multi_perform(h->multi, &active);
    take_results(h);
    /* At most as many as there are now: a done that sends a call which fails at once must not keep
     * the thread here. */
    for (size_t left = h->ended.count; left > 0 && h->ended.first != NULL; left--) {
        struct gate_control_call *call = h->ended.first;
        list_remove(call);
        gate_timers_touch(h->timers, gate_clock_mono_ms()); /* done may arm timers */
        gate_curl_call_tell(call);
        gate_curl_call_free(call);
    }
    start_waiting(h);
    return h->ended.first != NULL;
}

void gate_curl_wait(struct gate_curl *h, uint64_t max_ms)
{
    if (curl_multi_poll(h->multi, NULL, 0, (int)max_ms, NULL) != CURLM_OK)
        poll(NULL, 0, POLL_FAILED_MS); /* not a loop without a pause */
}

void gate_curl_wakeup(struct gate_curl *h)
{
    curl_multi_wakeup(h->multi);
}

struct gate_control_call *gate_curl_send(struct gate_curl *h, const struct gate_built *request,
                                         uint32_t timeout_ms,
                                         void (*done)(void *ctx, const struct gate_answer *answer),
                                         void *ctx)
{
    struct gate_control_call *call = gate_calloc(1, sizeof *call);
    call->owner = h;
    call->endpoint = request->endpoint;
    gate_endpoint_retain(call->endpoint);
    call->done = done;
    call->ctx = ctx;
    call->timeout_ms = timeout_ms;
    call->deadline.cb = on_deadline;
    gate_buf_init(&call->head, GATE_CURL_MAX_HEAD);
    gate_buf_init(&call->answer, GATE_CONTROL_MAX_ANSWER);
    call->easy = curl_easy_init();
    if (call->easy == NULL)
        abort(); /* out of memory */

    bool full = h->waiting.count == GATE_CURL_MAX_WAITING;
    list_append(&h->waiting, call);
    gate_timers_touch(h->timers, gate_clock_mono_ms());
    gate_timer_arm(h->timers, &call->deadline, timeout_ms);
    if (!gate_curl_call_prepare(call, request))
        fail(call, "the request is not one that can be sent");
    else if (full)
        fail(call, "too many calls are waiting");
    return call;
}

void gate_curl_cancel(struct gate_control_call *call)
{
    if (call->list == NULL)
        return;
    withdraw(call);
    gate_curl_call_free(call);
}

enum gate_status gate_curl_create(struct gate_timers *timers, struct gate_curl **out,
                                  struct gate_error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return gate_fail(err, GATE_EINTERNAL, "libcurl does not start");
    /* Another TLS library would not take OpenSSL's trust store. */
    const char *tls = curl_version_info(CURLVERSION_NOW)->ssl_version;
    if (tls == NULL || strncmp(tls, "OpenSSL/", 8) != 0) {
        curl_global_cleanup();
        return gate_fail(err, GATE_EINTERNAL, "%s was not built with OpenSSL", curl_version());
    }
    struct gate_curl *h = gate_calloc(1, sizeof *h);
    h->timers = timers;
    h->multi = curl_multi_init();
    if (h->multi == NULL)
        abort(); /* out of memory */
    *out = h;
    return GATE_OK;
}

static void drop_all(struct gate_curl_list *list)
{
    while (list->first != NULL)
        gate_curl_cancel(list->first);
}

void gate_curl_destroy(struct gate_curl *h)
{
    if (h == NULL)
        return;
    drop_all(&h->waiting);
    drop_all(&h->running);
    drop_all(&h->ended);
    curl_multi_cleanup(h->multi);
    curl_global_cleanup();
    free(h);
}
