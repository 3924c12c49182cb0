#include "upstream/control.h"
#include "base/clock.h"
#include "base/thread.h"
#include "upstream/curl.h"
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { MAX_WAIT_MS = 60 * 1000 };

struct gate_control {
    pthread_t thread;
    struct gate_tasks *tasks;
    struct gate_curl *curl;
    struct gate_timers timers; /* control thread, as is what follows */
    bool stopping;
};

static void on_task_posted(void *ctx)
{
    struct gate_control *c = ctx;
    gate_curl_wakeup(c->curl);
}

static void stop(void *arg)
{
    struct gate_control *c = arg;
    c->stopping = true;
}

static void *loop(void *arg)
{
    struct gate_control *c = arg;
    gate_thread_give_way();
    for (;;) {
        gate_timers_touch(&c->timers, gate_clock_mono_ms());
        gate_tasks_run(c->tasks);
        if (c->stopping)
            break;
        gate_timers_run(&c->timers, gate_clock_mono_ms());
        bool more = gate_curl_run(c->curl);
        gate_curl_wait(c->curl,
                       more ? 0 : gate_timers_wait(&c->timers, gate_clock_mono_ms(), MAX_WAIT_MS));
    }
    /* What the last tasks posted belongs to what was queued. */
    while (gate_tasks_run(c->tasks) > 0)
        ;
    return NULL;
}

/* The thread inherits the mask of its creator: so that no signal can slip in, all are blocked
 * before it exists. */
static int start_thread(struct gate_control *c)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&c->thread, NULL, loop, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static void release(struct gate_control *c)
{
    gate_curl_destroy(c->curl);
    gate_tasks_destroy(c->tasks);
    free(c);
}

enum gate_status gate_control_create(struct gate_control **out, struct gate_error *err)
{
    struct gate_control *c = gate_calloc(1, sizeof *c);
    gate_timers_init(&c->timers, gate_clock_mono_ms());
    c->tasks = gate_tasks_create(on_task_posted, c);
    enum gate_status status = gate_curl_create(&c->timers, &c->curl, err);
    if (status != GATE_OK)
        goto fail;
    int failed = start_thread(c);
    if (failed != 0) {
        status =
            gate_fail(err, GATE_EIO, "the control thread does not start: %s", strerror(failed));
        goto fail;
    }
    pthread_setname_np(c->thread, "gate-control");
    *out = c;
    return GATE_OK;

fail:
    release(c);
    return status;
}

void gate_control_destroy(struct gate_control *c)
{
    if (c == NULL)
        return;
    assert(!pthread_equal(pthread_self(), c->thread));
    gate_control_post(c, stop, c);
    pthread_join(c->thread, NULL);
    release(c);
}

void gate_control_post(struct gate_control *c, gate_task_cb cb, void *arg)
{
    gate_tasks_post(c->tasks, cb, arg);
}

/* A task that somebody waits for, on his stack. */
struct awaited {
    gate_task_cb cb;
    void *arg;
    pthread_mutex_t lock; /* of has_run */
    pthread_cond_t changed;
    bool has_run;
};

static void run_awaited(void *arg)
{
    struct awaited *a = arg;
    a->cb(a->arg);
    pthread_mutex_lock(&a->lock);
    a->has_run = true;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

void gate_control_call(struct gate_control *c, gate_task_cb cb, void *arg)
{
    assert(!pthread_equal(pthread_self(), c->thread));
    struct awaited a = {.cb = cb, .arg = arg};
    pthread_mutex_init(&a.lock, NULL);
    pthread_cond_init(&a.changed, NULL);
    gate_control_post(c, run_awaited, &a);
    pthread_mutex_lock(&a.lock);
    while (!a.has_run)
        pthread_cond_wait(&a.changed, &a.lock);
    pthread_mutex_unlock(&a.lock);
    pthread_cond_destroy(&a.changed);
    pthread_mutex_destroy(&a.lock);
}

struct gate_timers *gate_control_timers(struct gate_control *c)
{
    return &c->timers;
}

struct gate_control_call *
gate_control_send(struct gate_control *c, const struct gate_built *request, uint32_t timeout_ms,
                  void (*done)(void *ctx, const struct gate_answer *answer), void *ctx)
{
    return gate_curl_send(c->curl, request, timeout_ms, done, ctx);
}

void gate_control_cancel(struct gate_control_call *call)
{
    gate_curl_cancel(call);
}
