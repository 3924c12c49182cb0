#include "live/live_internal.h"
#include <pthread.h>

/* Collects from all workers at once. */
struct recent {
    pthread_mutex_t lock;
    struct gate_trace **list; /* owned copies */
    size_t count, max;
    void (*done)(void *ctx, const struct gate_trace *const *list, size_t count);
    void *ctx;
};

/* What one worker has. */
struct gathering {
    struct gate_trace **list;
    size_t count;
};

static bool gather(void *ctx, const struct gate_trace *t)
{
    struct gathering *g = ctx;
    g->list[g->count++] = gate_trace_copy(t);
    return true;
}

/* Worker. */
static void visit(struct gate_env *env, void *arg)
{
    struct recent *r = arg;
    struct gathering g = {gate_calloc(r->max + 1, sizeof g.list[0]), 0};
    if (env->recent != NULL)
        gate_trace_ring_each(env->recent, r->max, gather, &g);
    pthread_mutex_lock(&r->lock);
    r->list = gate_realloc(r->list, (r->count + g.count + 1) * sizeof r->list[0]);
    memcpy(r->list + r->count, g.list, g.count * sizeof g.list[0]);
    r->count += g.count;
    pthread_mutex_unlock(&r->lock);
    free(g.list);
}

static int newest_first(const void *a, const void *b)
{
    const struct gate_trace *x = *(struct gate_trace *const *)a;
    const struct gate_trace *y = *(struct gate_trace *const *)b;
    return (x->at_ms < y->at_ms) - (x->at_ms > y->at_ms);
}

static void end(void *arg)
{
    struct recent *r = arg;
    if (r->count > 0)
        qsort(r->list, r->count, sizeof r->list[0], newest_first);
    r->done(r->ctx, (const struct gate_trace *const *)r->list,
            r->count < r->max ? r->count : r->max);
    for (size_t i = 0; i < r->count; i++)
        gate_trace_free(r->list[i]);
    free(r->list);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void gate_live_recent(struct gate_live *l, size_t max,
                      void (*done)(void *ctx, const struct gate_trace *const *list, size_t count),
                      void *ctx)
{
    struct recent *r = gate_calloc(1, sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    r->max = max;
    r->done = done;
    r->ctx = ctx;
    if (l->workers.visit != NULL && max > 0)
        l->workers.visit(l->workers.ctx, visit, end, r);
    else
        end(r);
}
