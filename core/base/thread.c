/* thread: see thread.h. */
#include "base/thread.h"
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's struct sched_attr, first version; its header and <sched.h> exclude each other. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period; /* ns */
};

enum { TURN_NS = 100000, NICE_STEPS = 10 };

/* Whoever started the gateway under another policy knows why. */
static bool is_ordinary(void)
{
    return sched_getscheduler(0) == SCHED_OTHER; /* 0: this thread, not the process */
}

void gate_thread_be_prompt(void)
{
    struct attributes attr = {.size = sizeof attr};

    /* Read first: the niceness that the gateway was started with stays. */
    if (!is_ordinary() || syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) != 0)
        return;
    attr.runtime = TURN_NS;
    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}

void gate_thread_give_way(void)
{
    const struct sched_param none = {.sched_priority = 0};

    if (!is_ordinary() || sched_setscheduler(0, SCHED_BATCH, &none) != 0)
        return;
    int now = nice(NICE_STEPS);
    (void)now; /* the C library wants it looked at; what was refused stays as it was */
}
