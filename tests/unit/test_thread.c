/* What the scheduler is told about threads, as the kernel then shows it. */
#include "base/thread.h"
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>

struct shown {
    int policy, nice;
};

/* Of the calling thread. */
static struct shown shown(void)
{
    return (struct shown){sched_getscheduler(0), getpriority(PRIO_PROCESS, 0)};
}

static void *look(void *arg)
{
    *(struct shown *)arg = shown();
    return NULL;
}

static void *work(void *arg)
{
    struct shown *seen = arg;
    pthread_t made;

    gate_thread_give_way();
    seen[0] = shown();
    ck_assert_int_eq(pthread_create(&made, NULL, look, &seen[1]), 0);
    pthread_join(made, NULL);
    return NULL;
}

START_TEST(who_gives_way_and_whom_it_makes)
{
    struct shown before = shown(), seen[2];
    pthread_t thread;
    int nice = before.nice + 10 < 19 ? before.nice + 10 : 19;

    ck_assert_int_eq(pthread_create(&thread, NULL, work, seen), 0);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(seen[i].policy, SCHED_BATCH);
        ck_assert_int_eq(seen[i].nice, nice);
    }
    ck_assert_int_eq(shown().policy, before.policy); /* this thread is as it was */
    ck_assert_int_eq(shown().nice, before.nice);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("thread");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, who_gives_way_and_whom_it_makes);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
