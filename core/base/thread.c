/* thread: see thread.h. */
#include "base/thread.h"
#include <sched.h>
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

enum { TURN_NS = 100000000, NICE_STEPS = 10, MAX_NICE = 19 }; /* no turn is longer */

void gate_thread_give_way(void)
{
    struct attributes attr = {.size = sizeof attr};

    /* 0: this thread, not the process. Whoever started the gateway under another policy knows why.
     */
    if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) != 0 || attr.policy != SCHED_OTHER)
        return;
    attr.policy = SCHED_BATCH;
    attr.nice = attr.nice + NICE_STEPS < MAX_NICE ? attr.nice + NICE_STEPS : MAX_NICE;
    attr.runtime = TURN_NS;
    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}
