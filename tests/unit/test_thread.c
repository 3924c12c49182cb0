/* What the scheduler is told about threads, as the kernel then shows it. */
#include "base/thread.h"
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

struct shown {
    int policy, nice;
    uint64_t turn_ns;
};

/* Of the calling thread. */
static struct shown shown(void)
{
    uint64_t attributes[6] = {0}; /* the fourth is sched_runtime */
    ck_assert_int_eq(syscall(SYS_sched_getattr, 0, attributes, sizeof attributes, 0), 0);
    return (struct shown){sched_getscheduler(0), getpriority(PRIO_PROCESS, 0), attributes[3]};
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
    int most = before.nice + 10 < 19 ? before.nice + 10 : 19;

    ck_assert_int_eq(pthread_create(&thread, NULL, work, seen), 0);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(seen[i].policy, SCHED_BATCH);
        ck_assert_int_eq(seen[i].nice, most);
    }
    ck_assert_int_eq(shown().policy, before.policy); /* this thread is as it was */
    ck_assert_int_eq(shown().nice, before.nice);
}
END_TEST

static void *hurry(void *arg)
{
    struct shown *seen = arg;

    ck_assert_int_ne(nice(1), -1); /* as under `nice` */
    seen[0] = shown();
    gate_thread_be_prompt();
    seen[1] = shown();
    return NULL;
}

/* Kernels before 6.12 know one length of turns: they show none, or their own. */
START_TEST(who_is_prompt_keeps_its_niceness)
{
    struct shown seen[2];
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, hurry, seen), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(seen[1].policy, SCHED_OTHER);
    ck_assert_int_eq(seen[1].nice, seen[0].nice);
    ck_assert(seen[1].turn_ns == 100000 || seen[1].turn_ns == seen[0].turn_ns);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("thread");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, who_gives_way_and_whom_it_makes);
    tcase_add_test(cases, who_is_prompt_keeps_its_niceness);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
