/*
 * task: a queue of calls from any thread to the thread that owns it. Used by the control thread and
 * the store thread; workers have a mailbox instead, which wakes their event loop.
 */
#ifndef GATE_BASE_TASK_H
#define GATE_BASE_TASK_H

#include <stdbool.h>
#include <stddef.h>

typedef void (*gate_task_cb)(void *arg);

struct gate_tasks;

/* wake is called (any thread, no lock held) when a task was put into an empty queue. */
struct gate_tasks *gate_tasks_create(void (*wake)(void *ctx), void *ctx);
/* Drops what was not run. NULL is fine. */
void gate_tasks_destroy(struct gate_tasks *t);
/* Any thread. Has cb(arg) called by the owner, in the order of posting. */
void gate_tasks_post(struct gate_tasks *t, gate_task_cb cb, void *arg);
/* Owner. Runs what is queued now; returns how many. A task may post further ones: they run at the
 * next call. */
size_t gate_tasks_run(struct gate_tasks *t);

#endif
