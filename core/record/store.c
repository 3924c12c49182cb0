#include "record/store.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "record/schema.h"
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    RETRY_MS = 1000,  /* between two flushes when one failed and flush_ms sets no time */
    MAX_PREFIX = 512, /* bytes of a prefix that is scanned */
};

/* Who waits for a flush. */
struct waiter {
    struct waiter *next;
    void (*cb)(void *arg, bool written);
    void *arg;
};

enum phase { OPENING, OPEN, FAILED };

struct gate_store {
    struct gate_tasks *tasks;
    const struct gate_plugin *plugin;
    const struct gate_value *values; /* lent */
    char *directory;
    uint32_t flush_ms;
    pthread_t thread;

    pthread_mutex_t lock; /* of what follows up to failing */
    pthread_cond_t wake;  /* the store thread: there is something to do */
    pthread_cond_t state; /* others: the phase changed, a call was made */
    enum phase phase;
    bool woken, closing;
    struct waiter *waiters, **last_waiter;
    struct gate_flusher flushers[GATE_STORE_MAX_FLUSHERS];
    size_t flusher_count;
    struct gate_error problem; /* of opening; then of the last failed write */
    atomic_bool failing;

    /* Store thread. */
    struct gate_storage storage;
    uint64_t flush_at_ms; /* monotonic; UINT64_MAX: when asked */
    bool in_flush;        /* writes collect in a batch: only its commit tells whether they work */
    bool flush_failed;    /* a write of the batch at hand failed: it must not be committed */
};

/* ---------------------------------------------------------------- health */

static void note_failure(struct gate_store *store, const struct gate_error *err)
{
    pthread_mutex_lock(&store->lock);
    store->problem = *err;
    bool was = atomic_exchange(&store->failing, true);
    pthread_mutex_unlock(&store->lock);
    if (!was)
        gate_log_error("storage does not take writes: %s", err->message);
}

static void note_success(struct gate_store *store)
{
    if (!atomic_load(&store->failing))
        return;
    pthread_mutex_lock(&store->lock);
    store->problem = (struct gate_error){0};
    atomic_store(&store->failing, false);
    pthread_mutex_unlock(&store->lock);
    gate_log_info("storage takes writes again");
}

/* Takes note of how a write went and hands its error on. */
static enum gate_status note_write(struct gate_storage *s, enum gate_status status,
                                   const struct gate_error *why, struct gate_error *err)
{
    struct gate_store *store = s->store;
    if (status != GATE_OK && err != NULL)
        *err = *why;
    if (gate_storage_is_failure(status)) {
        note_failure(store, why);
        store->flush_failed = true;
    } else if (status == GATE_OK && !store->in_flush) {
        note_success(store);
    }
    return status;
}

bool gate_store_is_failing(const struct gate_store *store)
{
    return atomic_load(&store->failing);
}

void gate_store_problem(struct gate_store *store, struct gate_error *out)
{
    pthread_mutex_lock(&store->lock);
    *out = store->problem;
    pthread_mutex_unlock(&store->lock);
}

/* ---------------------------------------------------------------- flushing */

/* Lets the flushers write into one batch. written: whether what they had is in storage now. */
static bool flush_once(struct gate_store *store, const struct gate_flusher *flushers, size_t count)
{
    struct gate_storage *s = &store->storage;
    struct gate_error why = {0};
    bool wrote[GATE_STORE_MAX_FLUSHERS] = {false}, any = false;
    if (s->ops->batch_begin(s->handle, &why) != GATE_OK) {
        note_failure(store, &why);
        return false;
    }
    store->in_flush = true;
    store->flush_failed = false;
    for (size_t i = 0; i < count; i++) {
        wrote[i] = flushers[i].flush(s, flushers[i].arg);
        any = any || wrote[i];
    }
    bool written = !store->flush_failed;
    if (!any || !written) {
        s->ops->batch_abort(s->handle);
    } else if (s->ops->batch_commit(s->handle, 0, &why) != GATE_OK) {
        note_failure(store, &why);
        written = false;
    }
    store->in_flush = false;
    if (any && written)
        note_success(store);
    for (size_t i = 0; i < count; i++)
        if (wrote[i] && flushers[i].done != NULL)
            flushers[i].done(flushers[i].arg, written);
    return written;
}

static bool flush(struct gate_store *store)
{
    struct gate_flusher flushers[GATE_STORE_MAX_FLUSHERS];
    pthread_mutex_lock(&store->lock);
    size_t count = store->flusher_count;
    memcpy(flushers, store->flushers, count * sizeof *flushers);
    pthread_mutex_unlock(&store->lock);
    bool written = flush_once(store, flushers, count);
    uint32_t wait_ms = written || store->flush_ms > 0 ? store->flush_ms : RETRY_MS;
    store->flush_at_ms = wait_ms > 0 ? gate_clock_mono_ms() + wait_ms : UINT64_MAX;
    return written;
}

/* A task. Serves all who asked before it runs, so that a crowd costs one flush. */
static void flush_for_waiters(void *arg)
{
    struct gate_store *store = arg;
    pthread_mutex_lock(&store->lock);
    struct waiter *waiters = store->waiters;
    store->waiters = NULL;
    store->last_waiter = &store->waiters;
    pthread_mutex_unlock(&store->lock);
    bool written = flush(store);
    for (struct waiter *w = waiters, *next; w != NULL; w = next) {
        next = w->next;
        if (w->cb != NULL)
            w->cb(w->arg, written);
        free(w);
    }
}

void gate_store_flush(struct gate_store *store, void (*cb)(void *arg, bool written), void *arg)
{
    struct waiter *w = gate_calloc(1, sizeof *w);
    w->cb = cb;
    w->arg = arg;
    pthread_mutex_lock(&store->lock);
    bool first = store->waiters == NULL;
    *store->last_waiter = w;
    store->last_waiter = &w->next;
    pthread_mutex_unlock(&store->lock);
    /* A task like others, so that what its caller posts behind it finds the counts written. */
    if (first)
        gate_tasks_post(store->tasks, flush_for_waiters, store);
}

void gate_store_add_flusher(struct gate_store *store, const struct gate_flusher *flusher)
{
    pthread_mutex_lock(&store->lock);
    assert(store->flusher_count < GATE_STORE_MAX_FLUSHERS);
    store->flushers[store->flusher_count++] = *flusher;
    pthread_mutex_unlock(&store->lock);
}

/* ---------------------------------------------------------------- the thread */

static void wake_thread(void *ctx)
{
    struct gate_store *store = ctx;
    pthread_mutex_lock(&store->lock);
    store->woken = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
}

/* Returns when there are tasks, a flush is due or the store closes; true: it closes. */
static bool wait_for_work(struct gate_store *store)
{
    struct timespec until = {.tv_sec = (time_t)(store->flush_at_ms / 1000),
                             .tv_nsec = (long)(store->flush_at_ms % 1000) * 1000000};
    pthread_mutex_lock(&store->lock);
    while (!store->woken && !store->closing) {
        if (store->flush_at_ms == UINT64_MAX)
            pthread_cond_wait(&store->wake, &store->lock);
        else if (pthread_cond_timedwait(&store->wake, &store->lock, &until) != 0)
            break;
    }
    store->woken = false;
    bool closing = store->closing;
    pthread_mutex_unlock(&store->lock);
    return closing;
}

static void enter_phase(struct gate_store *store, enum phase phase, const struct gate_error *err)
{
    pthread_mutex_lock(&store->lock);
    store->phase = phase;
    if (err != NULL)
        store->problem = *err;
    pthread_cond_broadcast(&store->state);
    pthread_mutex_unlock(&store->lock);
}

static enum gate_status open_storage(struct gate_store *store, struct gate_error *err)
{
    /* One step for each version behind the first; there is only the first. */
    static const struct gate_schema_step *const steps = NULL;
    struct gate_storage *s = &store->storage;
    enum gate_status status =
        s->ops->open(gate_str_of(store->directory), store->values, &s->handle, err);
    if (status != GATE_OK)
        return status;
    status = gate_schema_bring(s, store->directory, steps, GATE_STORE_SCHEMA, err);
    if (status != GATE_OK)
        s->ops->close(s->handle);
    return status;
}

static void *run(void *arg)
{
    struct gate_store *store = arg;
    struct gate_storage *s = &store->storage;
    struct gate_error err = {0};
    gate_thread_give_way(); /* and so do the threads that the storage makes */
    if (open_storage(store, &err) != GATE_OK) {
        enter_phase(store, FAILED, &err);
        return NULL;
    }
    enter_phase(store, OPEN, NULL);
    store->flush_at_ms = store->flush_ms > 0 ? gate_clock_mono_ms() + store->flush_ms : UINT64_MAX;
    while (!wait_for_work(store)) {
        gate_tasks_run(store->tasks);
        if (gate_clock_mono_ms() >= store->flush_at_ms)
            flush(store);
    }
    while (gate_tasks_run(store->tasks) > 0)
        ;
    if (!flush(store))
        gate_log_error("storage: what was counted last could not be written and is lost");
    while (gate_tasks_run(store->tasks) > 0)
        ;
    s->ops->close(s->handle);
    return NULL;
}

/* Signals are for the thread that waits for them. */
static int start_thread(struct gate_store *store)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&store->thread, NULL, run, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        pthread_setname_np(store->thread, "gate-store");
    return error;
}

static void destroy(struct gate_store *store)
{
    gate_tasks_destroy(store->tasks);
    pthread_cond_destroy(&store->state);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->lock);
    free(store->directory);
    free(store);
}

enum gate_status gate_store_open(const struct gate_plugin *plugin, const struct gate_value *values,
                                 const char *directory, uint32_t flush_ms, struct gate_store **out,
                                 struct gate_error *err)
{
    struct gate_store *store = gate_calloc(1, sizeof *store);
    store->tasks = gate_tasks_create(wake_thread, store);
    store->plugin = plugin;
    store->values = values;
    store->directory = gate_strdup(gate_str_of(directory));
    store->flush_ms = flush_ms;
    store->last_waiter = &store->waiters;
    store->storage = (struct gate_storage){.ops = plugin->ops, .store = store};
    pthread_mutex_init(&store->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&store->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&store->state, NULL);

    enum gate_status status = GATE_OK;
    int error = start_thread(store);
    if (error != 0) {
        status = gate_fail(err, GATE_EINTERNAL, "cannot start the store thread: %s",
                           strerrordesc_np(error));
        goto fail;
    }
    pthread_mutex_lock(&store->lock);
    while (store->phase == OPENING)
        pthread_cond_wait(&store->state, &store->lock);
    if (store->phase == FAILED)
        status = gate_fail(err, store->problem.status, "%s", store->problem.message);
    pthread_mutex_unlock(&store->lock);
    if (status != GATE_OK) {
        pthread_join(store->thread, NULL);
        goto fail;
    }
    *out = store;
    return GATE_OK;
fail:
    destroy(store);
    return status;
}

void gate_store_close(struct gate_store *store)
{
    if (store == NULL)
        return;
    pthread_mutex_lock(&store->lock);
    store->closing = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    destroy(store);
}

const char *gate_store_directory(const struct gate_store *store)
{
    return store->directory;
}

const struct gate_plugin *gate_store_plugin(const struct gate_store *store,
                                            const struct gate_value **values)
{
    *values = store->values;
    return store->plugin;
}

/* ---------------------------------------------------------------- jobs */

struct job {
    struct gate_store *store;
    gate_store_job job;
    void *arg;
    bool *made; /* who waits for it, in gate_store_call; NULL: nobody */
};

static void run_job(void *arg)
{
    struct job *job = arg;
    struct gate_store *store = job->store;
    job->job(&store->storage, job->arg);
    if (job->made != NULL) {
        pthread_mutex_lock(&store->lock);
        *job->made = true;
        pthread_cond_broadcast(&store->state);
        pthread_mutex_unlock(&store->lock);
    }
    free(job);
}

static void post(struct gate_store *store, gate_store_job cb, void *arg, bool *made)
{
    struct job *job = gate_calloc(1, sizeof *job);
    *job = (struct job){store, cb, arg, made};
    gate_tasks_post(store->tasks, run_job, job);
}

void gate_store_post(struct gate_store *store, gate_store_job job, void *arg)
{
    post(store, job, arg, NULL);
}

void gate_store_call(struct gate_store *store, gate_store_job job, void *arg)
{
    bool made = false;
    assert(!pthread_equal(pthread_self(), store->thread));
    post(store, job, arg, &made);
    pthread_mutex_lock(&store->lock);
    while (!made)
        pthread_cond_wait(&store->state, &store->lock);
    pthread_mutex_unlock(&store->lock);
}

/* ---------------------------------------------------------------- what jobs call */

enum gate_status gate_storage_get(struct gate_storage *s, struct gate_str key, struct gate_buf *out,
                                  uint64_t *version, struct gate_error *err)
{
    struct gate_record record = {0};
    enum gate_status status = s->ops->get(s->handle, key, &record, err);
    if (status != GATE_OK)
        return status;
    if (!gate_buf_append(out, record.value))
        status = gate_fail(err, GATE_ELIMIT, "the record %.*s has %zu bytes, more than it may",
                           (int)key.len, key.ptr, record.value.len);
    else if (version != NULL)
        *version = record.version;
    s->ops->record_release(s->handle, &record);
    return status;
}

enum gate_status gate_storage_put_if(struct gate_storage *s, struct gate_str key,
                                     struct gate_str value, uint64_t expected, uint64_t fence,
                                     uint64_t ttl_ms, unsigned flags, uint64_t *version,
                                     struct gate_error *err)
{
    struct gate_error why = {0};
    uint64_t ignored;
    enum gate_status status = s->ops->put_if(s->handle, key, value, expected, fence, ttl_ms, flags,
                                             version != NULL ? version : &ignored, &why);
    return note_write(s, status, &why, err);
}

enum gate_status gate_storage_delete(struct gate_storage *s, struct gate_str key,
                                     struct gate_error *err)
{
    struct gate_error why = {0};
    enum gate_status status = s->ops->delete_if(s->handle, key, UINT64_MAX, 0, &why);
    if (status == GATE_ENOTFOUND)
        status = GATE_OK;
    return note_write(s, status, &why, err);
}

enum gate_status gate_storage_add(struct gate_storage *s, struct gate_str key, int64_t delta,
                                  uint64_t ttl_ms, struct gate_error *err)
{
    struct gate_error why = {0};
    enum gate_status status = s->ops->add(s->handle, key, delta, ttl_ms, NULL, &why);
    return note_write(s, status, &why, err);
}

/* The first key behind all that start with prefix. False: there is none. */
static bool successor(struct gate_str prefix, char out[MAX_PREFIX], size_t *len)
{
    memcpy(out, prefix.ptr, prefix.len);
    for (*len = prefix.len; *len > 0; (*len)--) {
        unsigned char last = (unsigned char)out[*len - 1];
        if (last < 0xff) {
            out[*len - 1] = (char)(last + 1);
            return true;
        }
    }
    return false;
}

enum gate_status gate_storage_scan(struct gate_storage *s, struct gate_str prefix,
                                   bool (*cb)(void *ctx, const struct gate_record *record),
                                   void *ctx, struct gate_error *err)
{
    char to[MAX_PREFIX];
    size_t len;
    if (prefix.len == 0 || prefix.len > MAX_PREFIX || !successor(prefix, to, &len))
        return gate_fail(err, GATE_EINVAL, "a scan needs a prefix of 1 to %d bytes", MAX_PREFIX);
    return s->ops->scan(s->handle, prefix, (struct gate_str){to, len}, SIZE_MAX, cb, ctx, err);
}
