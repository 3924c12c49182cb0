/* The queue of calls from any thread to its owner: order, waking, what is posted while it runs. */
#include "base/task.h"
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum { POSTERS = 4, EACH = 5000, PLAIN = 100 };

static void count_wake(void *ctx)
{
    atomic_fetch_add((_Atomic unsigned *)ctx, 1);
}

struct log {
    uintptr_t seen[PLAIN];
    size_t count;
    struct gate_tasks *tasks;
};

struct entry {
    struct log *log;
    uintptr_t number;
};

static void note(void *arg)
{
    struct entry *e = arg;
    e->log->seen[e->log->count++] = e->number;
}

START_TEST(runs_in_order_and_wakes_once)
{
    _Atomic unsigned woken = 0;
    struct log log = {.tasks = gate_tasks_create(count_wake, &woken)};
    struct entry entries[PLAIN];
    for (size_t i = 0; i < PLAIN; i++) {
        entries[i] = (struct entry){&log, i};
        gate_tasks_post(log.tasks, note, &entries[i]);
        ck_assert_uint_eq(woken, 1);
    }
    ck_assert_uint_eq(log.count, 0);
    ck_assert_uint_eq(gate_tasks_run(log.tasks), PLAIN);
    ck_assert_uint_eq(log.count, PLAIN);
    for (size_t i = 0; i < PLAIN; i++)
        ck_assert_uint_eq(log.seen[i], i);
    ck_assert_uint_eq(gate_tasks_run(log.tasks), 0);
    log.count = 0;
    gate_tasks_post(log.tasks, note, &entries[7]);
    ck_assert_uint_eq(woken, 2);
    gate_tasks_run(log.tasks);
    ck_assert_uint_eq(log.seen[0], 7);
    gate_tasks_destroy(log.tasks);
}
END_TEST

static void note_and_post(void *arg)
{
    struct entry *e = arg;
    note(e);
    if (e->number > 0) {
        e->number--;
        gate_tasks_post(e->log->tasks, note_and_post, e);
    }
}

START_TEST(what_a_task_posts_runs_next_time)
{
    _Atomic unsigned woken = 0;
    struct log log = {.tasks = gate_tasks_create(count_wake, &woken)};
    struct entry e = {&log, 2};
    gate_tasks_post(log.tasks, note_and_post, &e);
    for (unsigned round = 1; round <= 3; round++) {
        ck_assert_uint_eq(woken, round); /* the owner may sleep in between */
        ck_assert_uint_eq(gate_tasks_run(log.tasks), 1);
        ck_assert_uint_eq(log.count, round);
    }
    ck_assert_uint_eq(gate_tasks_run(log.tasks), 0);
    gate_tasks_destroy(log.tasks);
}
END_TEST

START_TEST(destroy_drops_what_did_not_run)
{
    _Atomic unsigned woken = 0;
    struct log log = {.tasks = gate_tasks_create(count_wake, &woken)};
    struct entry e = {&log, 1};
    gate_tasks_post(log.tasks, note, &e);
    gate_tasks_post(log.tasks, note, &e);
    gate_tasks_destroy(log.tasks);
    ck_assert_uint_eq(log.count, 0);
    gate_tasks_destroy(NULL);
}
END_TEST

/* Many threads post to one owner, who sleeps until he is woken. */
struct bell {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool rung;
};

static void ring(void *ctx)
{
    struct bell *b = ctx;
    pthread_mutex_lock(&b->lock);
    b->rung = true;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

struct poster {
    pthread_t thread;
    struct gate_tasks *tasks;
    struct item {
        struct poster *poster;
        unsigned number;
    } items[EACH];
    unsigned next; /* owner: which number is due */
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
        gate_tasks_post(p->tasks, expect_next, &p->items[i]);
    }
    return NULL;
}

START_TEST(many_threads_lose_nothing_and_keep_their_order)
{
    struct bell bell = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    struct gate_tasks *tasks = gate_tasks_create(ring, &bell);
    struct poster *posters = calloc(POSTERS, sizeof *posters);
    for (size_t i = 0; i < POSTERS; i++) {
        posters[i].tasks = tasks;
        ck_assert_int_eq(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    for (size_t ran = 0; ran < POSTERS * EACH;) {
        pthread_mutex_lock(&bell.lock);
        while (!bell.rung)
            pthread_cond_wait(&bell.changed, &bell.lock);
        bell.rung = false;
        pthread_mutex_unlock(&bell.lock);
        ran += gate_tasks_run(tasks);
    }
    for (size_t i = 0; i < POSTERS; i++) {
        pthread_join(posters[i].thread, NULL);
        ck_assert_uint_eq(posters[i].next, EACH);
    }
    gate_tasks_destroy(tasks);
    free(posters);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("task");
    TCase *tc = tcase_create("queue");
    tcase_add_test(tc, runs_in_order_and_wakes_once);
    tcase_add_test(tc, what_a_task_posts_runs_next_time);
    tcase_add_test(tc, destroy_drops_what_did_not_run);
    tcase_add_test(tc, many_threads_lose_nothing_and_keep_their_order);
    tcase_set_timeout(tc, 30);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
