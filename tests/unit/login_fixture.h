/*
 * login_fixture: device logins as a test's thread starts, watches and cancels them. Used by
 * test_login.c.
 */
#ifndef GATE_TESTS_LOGIN_FIXTURE_H
#define GATE_TESTS_LOGIN_FIXTURE_H

#include "oauth_gateway.h"

#define CODE                                                                                       \
    "{\"device_code\":\"device-secret\",\"user_code\":\"AB-12\",\"verification_uri\":"             \
    "\"https://svc.example/device\",\"expires_in\":600,\"interval\":0.05}"

enum { INTERVAL_MS = 50, TICKS_MS = 3 * INTERVAL_MS };

/* A flow as its owner was told, and as it was looked at last. */
struct login {
    struct work work;
    struct gate_str alias;
    bool found;
    char id[33], account[GATE_ACCOUNT_MAX_ID + 1], user_code[64], uri[128], uri_complete[128];
    char message[GATE_ERROR_MAX];
    enum gate_login_state state;
    uint64_t expires_ms, started_ms;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned told;
};

static inline void copy_view(struct login *l, const struct gate_login_view *view)
{
    ck_assert_str_eq(view->instance, "svc");
    snprintf(l->id, sizeof l->id, "%s", view->id);
    snprintf(l->account, sizeof l->account, "%s", view->account);
    snprintf(l->user_code, sizeof l->user_code, "%s", view->user_code);
    snprintf(l->uri, sizeof l->uri, "%s", view->verification_uri);
    snprintf(l->uri_complete, sizeof l->uri_complete, "%s", view->verification_uri_complete);
    snprintf(l->message, sizeof l->message, "%s", view->message);
    l->state = view->state;
    l->expires_ms = view->expires_at_ms;
    l->started_ms = view->started_ms;
}

static inline void on_told(void *arg, const struct gate_login_view *view)
{
    struct login *l = arg;
    pthread_mutex_lock(&l->lock);
    copy_view(l, view);
    l->told++;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

static inline void work_start(struct work *w)
{
    struct login *l = (struct login *)w;
    w->status = gate_login_start(w->g->logins, w->text, w->m, l->alias, on_told, l, &w->err);
}

/* renew NULL: a new account. */
static inline enum gate_status start(struct login *l, const char *renew, const char *alias)
{
    memset(l, 0, sizeof *l);
    l->work = (struct work){.g = g, .id = renew, .what = work_start, .text = GATE_STR("svc")};
    l->alias = gate_str_of(alias);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    on_control(&l->work);
    return l->work.status;
}

static inline void wait_told(struct login *l)
{
    pthread_mutex_lock(&l->lock);
    while (l->told == 0)
        pthread_cond_wait(&l->changed, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

static inline void work_get(struct work *w)
{
    struct login *l = (struct login *)w;
    struct gate_login_view view;
    l->found = gate_login_get(w->g->logins, gate_str_of(l->id), &view);
    if (l->found)
        copy_view(l, &view);
}

static inline void get(struct login *l)
{
    l->work.what = work_get;
    on_control(&l->work);
    ck_assert_uint_le(l->told, 1);
}

/* Waits until a poll has ended it. */
static inline void wait_over(struct login *l)
{
    for (;;) {
        size_t parsed = tiny_read_number(service.http, &g->provider.parsed);
        get(l);
        if (l->state != GATE_LOGIN_PENDING)
            return;
        tiny_wait(service.http, &g->provider.parsed, parsed + 1);
    }
}

static inline void work_cancel(struct work *w)
{
    w->flag = gate_login_cancel(w->g->logins, w->text);
}

static inline bool cancel(const char *id)
{
    struct work w = {.g = g, .what = work_cancel, .text = gate_str_of(id)};
    on_control(&w);
    return w.flag;
}

/* Lets the timers of the control thread run for a while. */
struct pause {
    struct gate_timer timer;
    struct answers answers;
};

static inline void on_pause_over(struct gate_timer *t)
{
    on_want_answered(&((struct pause *)t)->answers, GATE_OK, "");
}

static inline void work_pause(struct work *w)
{
    struct pause *p = (struct pause *)(uintptr_t)w->text.ptr;
    p->timer.cb = on_pause_over;
    gate_timer_arm(gate_control_timers(w->g->control), &p->timer, TICKS_MS);
}

static inline void let_timers_run(void)
{
    struct pause p = {.timer = {0}};
    answers_init(&p.answers);
    on_control(&(struct work){.g = g, .what = work_pause, .text = {(const char *)&p, sizeof p}});
    answers_wait(&p.answers, 1);
}

static inline void login_setup(void)
{
    setup();
    SERVICE(service.code = CODE; service.login = "pending");
}

static inline void login_teardown(void)
{
    char verifier[64];
    snprintf(verifier, sizeof verifier, "%s", service.verifier);
    teardown();
    ck_assert(verifier[0] == '\0' || logged(verifier) == 0);
}

#endif
