#include "base/task.h"
#include "base/buf.h"
#include <pthread.h>
#include <stdlib.h>

struct task {
    struct task *next;
    gate_task_cb cb;
    void *arg;
};

struct gate_tasks {
    pthread_mutex_t lock; /* of first and last */
    struct task *first, **last;
    void (*wake)(void *ctx);
    void *ctx;
};

struct gate_tasks *gate_tasks_create(void (*wake)(void *ctx), void *ctx)
{
    struct gate_tasks *t = gate_calloc(1, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    t->last = &t->first;
    t->wake = wake;
    t->ctx = ctx;
    return t;
}

static struct task *take_all(struct gate_tasks *t)
{
    pthread_mutex_lock(&t->lock);
    struct task *all = t->first;
    t->first = NULL;
    t->last = &t->first;
    pthread_mutex_unlock(&t->lock);
    return all;
}

void gate_tasks_destroy(struct gate_tasks *t)
{
    if (t == NULL)
        return;
    for (struct task *task = take_all(t), *next; task != NULL; task = next) {
        next = task->next;
        free(task);
    }
    pthread_mutex_destroy(&t->lock);
    free(t);
}

void gate_tasks_post(struct gate_tasks *t, gate_task_cb cb, void *arg)
{
    struct task *task = gate_calloc(1, sizeof *task);
    task->cb = cb;
    task->arg = arg;
    pthread_mutex_lock(&t->lock);
    bool was_empty = t->first == NULL;
    *t->last = task;
    t->last = &task->next;
    pthread_mutex_unlock(&t->lock);
    if (was_empty)
        t->wake(t->ctx);
}

size_t gate_tasks_run(struct gate_tasks *t)
{
    size_t count = 0;
    for (struct task *task = take_all(t), *next; task != NULL; task = next, count++) {
        next = task->next;
        task->cb(task->arg);
        free(task);
    }
    return count;
}
