/* The control thread itself: tasks, timers, many calls, cancelling, and its end. */
#include "control_fixture.h"
#include <signal.h>

enum {
    CALLS = 200,
    AT_ONCE = GATE_CONTROL_MAX_CALLS,
    POSTERS = 4,
    EACH = 500,
    MAX_SEEN = CALLS + 8,
};

static struct gate_control *control;
static struct tiny_http *server;
static struct gate_endpoint *endpoint;
static long seen[MAX_SEEN]; /* numbers at the end of the targets, in the order of their arrival;
                               under the server's lock */

static enum tiny_end serve(void *ctx, const struct tiny_request *r, struct gate_buf *out)
{
    struct tiny_http **s = ctx;
    long number = strtol(r->target.ptr + strlen("/base/hold/"), NULL, 10);
    seen[(*s)->requests - 1] = number;
    if (gate_str_starts(r->target, GATE_STR("/base/hold/")))
        return TINY_HOLD;
    gate_buf_append(out, GATE_STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    return TINY_CLOSE;
}

static void setup(void)
{
    struct gate_error err;
    ck_assert_int_eq(gate_control_create(&control, &err), GATE_OK);
    server = tiny_start(serve, &server);
    endpoint = endpoint_of("http", "127.0.0.1", server->port);
}

static void teardown(void)
{
    gate_control_destroy(control);
    tiny_stop(server);
    gate_endpoint_release(endpoint);
}

/* ---- tasks */

struct order {
    unsigned count, max;
    unsigned seen[8];
    pthread_t thread;
    bool signals_blocked, late_ran;
};

static void note_thread(void *arg)
{
    struct order *o = arg;
    sigset_t mask;
    o->thread = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    o->signals_blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1 &&
                         sigismember(&mask, SIGPIPE) == 1 && sigismember(&mask, SIGCHLD) == 1;
}

START_TEST(runs_on_a_thread_without_signals)
{
    struct order o = {0};
    sigset_t before, after;
    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    gate_control_call(control, note_thread, &o);
    ck_assert(!pthread_equal(o.thread, pthread_self()));
    ck_assert(o.signals_blocked);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    ck_assert(memcmp(&before, &after, sizeof before) == 0);
}
END_TEST

static void late(void *arg)
{
    ((struct order *)arg)->late_ran = true;
}

static void post_late(void *arg)
{
    struct order *o = arg;
    gate_control_post(control, late, o);
    ck_assert(!o->late_ran);
}

START_TEST(what_a_task_posts_runs_behind_it)
{
    struct order o = {0};
    gate_control_call(control, post_late, &o);
    gate_control_call(control, nothing, NULL);
    ck_assert(o.late_ran);
}
END_TEST

struct poster {
    pthread_t thread;
    unsigned next; /* control thread */
    struct item {
        struct poster *poster;
        unsigned number;
    } items[EACH];
};

static void expect_next(void *arg)
{
    struct item *item = arg;
    ck_assert_uint_eq(item->number, item->poster->next);
    item->poster->next++;
}

static void *post_all(void *arg)
{
    struct poster *p = arg;
    for (unsigned i = 0; i < EACH; i++) {
        p->items[i] = (struct item){p, i};
        if (i % 50 == 49) {
            gate_control_call(control, expect_next, &p->items[i]);
            ck_assert_uint_eq(p->next, i + 1); /* it has run, and all before it */
        } else {
            gate_control_post(control, expect_next, &p->items[i]);
        }
    }
    return NULL;
}

START_TEST(posts_and_calls_keep_their_order)
{
    struct poster *posters = gate_calloc(POSTERS, sizeof *posters);
    for (size_t i = 0; i < POSTERS; i++)
        ck_assert_int_eq(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    for (size_t i = 0; i < POSTERS; i++) {
        pthread_join(posters[i].thread, NULL);
        ck_assert_uint_eq(posters[i].next, EACH);
    }
    free(posters);
}
END_TEST

struct alarm {
    struct gate_timer timer;
    uint64_t armed_at;
    struct ask ask; /* its lock and condition tell the test */
};

static void on_alarm(struct gate_timer *t)
{
    struct alarm *a = (struct alarm *)t;
    pthread_mutex_lock(&a->ask.lock);
    a->ask.done++;
    pthread_cond_signal(&a->ask.changed);
    pthread_mutex_unlock(&a->ask.lock);
}

static void arm(void *arg)
{
    struct alarm *a = arg;
    a->timer.cb = on_alarm;
    a->armed_at = gate_clock_mono_ms();
    gate_timer_arm(gate_control_timers(control), &a->timer, 30);
}

START_TEST(timers_wake_an_idle_thread)
{
    struct alarm a = {0};
    ask_init(&a.ask, control, endpoint, "");
    gate_control_call(control, arm, &a);
    ask_wait(&a.ask);
    uint64_t took = gate_clock_mono_ms() - a.armed_at;
    ck_assert_uint_ge(took, 30);
    ck_assert_uint_lt(took, PLENTY_MS);
    ask_finish(&a.ask);
}
END_TEST

/* ---- many calls */

struct crowd {
    struct ask asks[CALLS];
    char paths[CALLS][24];
};

static struct crowd *crowd_create(void)
{
    struct crowd *c = gate_calloc(1, sizeof *c);
    for (size_t i = 0; i < CALLS; i++) {
        snprintf(c->paths[i], sizeof c->paths[i], "/hold/%zu", i);
        ask_init(&c->asks[i], control, endpoint, c->paths[i]);
    }
    return c;
}

static void crowd_send(void *arg)
{
    struct crowd *c = arg;
    for (size_t i = 0; i < CALLS; i++)
        ask_send(&c->asks[i]);
}

static void crowd_destroy(struct crowd *c)
{
    for (size_t i = 0; i < CALLS; i++)
        ask_finish(&c->asks[i]);
    free(c);
}

START_TEST(two_hundred_calls_take_turns)
{
    struct crowd *c = crowd_create();
    gate_control_call(control, crowd_send, c);
    tiny_wait(server, &server->requests, AT_ONCE);
    /* The first ones come in any order, but they are the first ones. */
    bool came[AT_ONCE] = {false};
    for (size_t i = 0; i < AT_ONCE; i++) {
        ck_assert_int_lt(seen[i], AT_ONCE);
        came[seen[i]] = true;
    }
    for (size_t i = 0; i < AT_ONCE; i++)
        ck_assert(came[i]);
    /* Each that ends lets the next one in. */
    for (size_t next = AT_ONCE; next < CALLS; next++) {
        tiny_release(server, 1);
        tiny_wait(server, &server->requests, next + 1);
        ck_assert_int_eq(seen[next], (long)next);
    }
    tiny_release(server, AT_ONCE);
    for (size_t i = 0; i < CALLS; i++) {
        ask_wait(&c->asks[i]);
        ck_assert_int_eq(c->asks[i].status, 200);
        ck_assert_uint_eq(c->asks[i].done, 1);
    }
    ck_assert_uint_eq(tiny_read_number(server, &server->most_open), AT_ONCE);
    crowd_destroy(c);
}
END_TEST

START_TEST(time_spent_waiting_counts)
{
    struct crowd *c = crowd_create();
    c->asks[CALLS - 1].timeout_ms = 50;
    gate_control_call(control, crowd_send, c);
    ask_wait(&c->asks[CALLS - 1]);
    ck_assert_str_eq(c->asks[CALLS - 1].reason, "no answer within 50 ms");
    gate_control_destroy(control); /* some run, some wait */
    control = NULL;
    for (size_t i = 0; i < CALLS - 1; i++)
        ck_assert_uint_eq(c->asks[i].done, 0);
    ck_assert_uint_le(tiny_read_number(server, &server->most_open), AT_ONCE);
    crowd_destroy(c);
}
END_TEST

/* ---- cancelling */

static void cancel(void *arg)
{
    struct ask *a = arg;
    gate_control_cancel(a->call);
}

static void cancel_waiting(void *arg)
{
    struct crowd *c = arg;
    for (size_t i = AT_ONCE; i < CALLS - 1; i++)
        cancel(&c->asks[i]);
}

START_TEST(cancelled_calls_end_silently)
{
    struct crowd *c = crowd_create();
    gate_control_call(control, crowd_send, c);
    tiny_wait(server, &server->requests, AT_ONCE);
    gate_control_call(control, cancel_waiting, c);
    gate_control_call(control, cancel, &c->asks[0]); /* its place goes to the last one */
    tiny_wait(server, &server->left, 1);
    tiny_wait(server, &server->requests, AT_ONCE + 1);
    ck_assert_int_eq(seen[AT_ONCE], CALLS - 1);
    tiny_release(server, AT_ONCE);
    for (size_t i = 1; i < AT_ONCE; i++)
        ask_wait(&c->asks[i]);
    ask_wait(&c->asks[CALLS - 1]);
    gate_control_call(control, nothing, NULL);
    ck_assert_uint_eq(c->asks[0].done, 0);
    for (size_t i = AT_ONCE; i < CALLS - 1; i++)
        ck_assert_uint_eq(c->asks[i].done, 0);
    crowd_destroy(c);
}
END_TEST

static void cancel_before_it_runs(void *arg)
{
    ask_send(arg);
    cancel(arg);
}

START_TEST(cancelled_at_once)
{
    struct ask a;
    ask_init(&a, control, endpoint, "/ok");
    gate_control_call(control, cancel_before_it_runs, &a);
    struct ask b;
    ask_init(&b, control, endpoint, "/ok");
    ask_run(&b);
    ck_assert_uint_eq(a.done, 0);
    ck_assert_uint_eq(tiny_read_number(server, &server->requests), 1);
    ask_finish(&a);
    ask_finish(&b);
}
END_TEST

/* Two calls that fail in the same round; whichever is told first cancels the other and, to no
 * effect, itself. */
static struct ask twins[2];

static void cancel_both(struct ask *a)
{
    gate_control_cancel(a->call);
    gate_control_cancel(a == &twins[0] ? twins[1].call : twins[0].call);
}

static void send_twins(void *arg)
{
    (void)arg;
    ask_send(&twins[0]);
    ask_send(&twins[1]);
}

START_TEST(done_cancels_one_that_has_ended_too)
{
    for (size_t i = 0; i < 2; i++) {
        ask_init(&twins[i], control, endpoint, "/hold/1");
        twins[i].timeout_ms = 20;
        twins[i].then = cancel_both;
    }
    gate_control_call(control, send_twins, NULL);
    ask_wait(&twins[0]); /* timers of one moment fire in the order of arming */
    gate_control_call(control, nothing, NULL);
    ck_assert_uint_eq(twins[0].done, 1);
    ck_assert_uint_eq(twins[1].done, 0);
    ask_finish(&twins[0]);
    ask_finish(&twins[1]);
}
END_TEST

/* ---- done that goes on working */

static struct ask chain[5];

static void send_next(struct ask *a)
{
    if (a < &chain[4])
        ask_send(a + 1);
    else
        gate_control_post(control, nothing, NULL);
}

START_TEST(done_sends_again)
{
    for (size_t i = 0; i < 5; i++) {
        ask_init(&chain[i], control, endpoint, "/ok");
        chain[i].then = send_next;
    }
    gate_control_post(control, ask_send, &chain[0]);
    ask_wait(&chain[4]);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(chain[i].done, 1);
        ck_assert_int_eq(chain[i].status, 200);
        ask_finish(&chain[i]);
    }
}
END_TEST

/* ---- the end */

static void send_and_post(void *arg)
{
    struct ask *a = arg;
    ask_send(a);
    a->status = -1;
}

static void note_and_post(void *arg)
{
    struct order *o = arg;
    if (++o->count < 3)
        gate_control_post(control, note_and_post, o);
}

START_TEST(destroy_runs_what_is_queued_and_drops_calls)
{
    struct ask held, last;
    struct order o = {0};
    ask_init(&held, control, endpoint, "/hold/1");
    ask_init(&last, control, endpoint, "/ok");
    gate_control_post(control, ask_send, &held);
    tiny_wait(server, &server->requests, 1);
    for (int i = 0; i < 100; i++)
        gate_control_post(control, nothing, NULL);
    gate_control_post(control, note_and_post, &o);
    gate_control_post(control, send_and_post, &last);
    gate_control_destroy(control);
    control = NULL;
    ck_assert_uint_eq(o.count, 3); /* with what the tasks posted */
    ck_assert_int_eq(last.status, -1);
    ck_assert_uint_eq(last.done, 0);
    ck_assert_uint_eq(held.done, 0);
    tiny_wait(server, &server->left, 1);
    ask_finish(&held);
    ask_finish(&last);
    gate_control_destroy(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control_thread");
    TCase *tc = tcase_create("thread");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, runs_on_a_thread_without_signals);
    tcase_add_test(tc, what_a_task_posts_runs_behind_it);
    tcase_add_test(tc, posts_and_calls_keep_their_order);
    tcase_add_test(tc, timers_wake_an_idle_thread);
    tcase_add_test(tc, two_hundred_calls_take_turns);
    tcase_add_test(tc, time_spent_waiting_counts);
    tcase_add_test(tc, cancelled_calls_end_silently);
    tcase_add_test(tc, cancelled_at_once);
    tcase_add_test(tc, done_cancels_one_that_has_ended_too);
    tcase_add_test(tc, done_sends_again);
    tcase_add_test(tc, destroy_runs_what_is_queued_and_drops_calls);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
