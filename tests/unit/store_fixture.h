/*
 * store_fixture: a store on memory_storage, and what its tests share: waiting for the store thread,
 * holding it, a flusher that counts, reading the log. Used by test_store*.c and test_schema.c.
 */
#ifndef GATE_TEST_STORE_FIXTURE_H
#define GATE_TEST_STORE_FIXTURE_H

#include "base/log.h"
#include "memory_storage.h"
#include "record/store.h"
#include <check.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

struct fixture {
    struct memory_storage memory;
    struct gate_value value;
    struct gate_store *store;
};

static inline enum gate_status try_open(struct fixture *f, uint32_t flush_ms,
                                        struct gate_error *err)
{
    f->value = memory_storage_value(&f->memory);
    f->store = NULL;
    return gate_store_open(&memory_storage_plugin, &f->value, "/var/lib/gate/db", flush_ms,
                           &f->store, err);
}

static inline void start(struct fixture *f, uint32_t flush_ms)
{
    struct gate_error err = {0};
    memory_storage_init(&f->memory);
    ck_assert_msg(try_open(f, flush_ms, &err) == GATE_OK, "%s", err.message);
}

static inline void stop(struct fixture *f)
{
    gate_store_close(f->store);
    memory_storage_finish(&f->memory);
}

static inline void wait_for(sem_t *s)
{
    while (sem_wait(s) != 0)
        ;
}

static inline void nothing(struct gate_storage *s, void *arg)
{
    (void)s;
    (void)arg;
}

/* Returns when all that was posted before has run. */
static inline void settle(struct fixture *f)
{
    gate_store_call(f->store, nothing, NULL);
}

/* Keeps the store thread in a job until it is let go. */
struct keeper {
    sem_t entered, leave;
};

static inline void keep(struct gate_storage *s, void *arg)
{
    struct keeper *k = arg;
    (void)s;
    sem_post(&k->entered);
    wait_for(&k->leave);
}

static inline void hold_thread(struct fixture *f, struct keeper *k)
{
    sem_init(&k->entered, 0, 0);
    sem_init(&k->leave, 0, 0);
    gate_store_post(f->store, keep, k);
    wait_for(&k->entered);
}

static inline void add_one(struct gate_storage *s, void *arg)
{
    gate_storage_add(s, gate_str_of(arg), 1, 0, NULL);
}

/* A flusher with something to write: it adds 1 to "a" and to "b" for each unit of `pending`. */
struct counter {
    atomic_int pending, flushes, good, bad;
    sem_t done;
};

static inline bool counter_flush(struct gate_storage *s, void *arg)
{
    struct counter *c = arg;
    int n = atomic_load(&c->pending);
    atomic_fetch_add(&c->flushes, 1);
    if (n == 0)
        return false;
    gate_storage_add(s, GATE_STR("a"), n, 0, NULL);
    gate_storage_add(s, GATE_STR("b"), n, 0, NULL);
    return true;
}

static inline void counter_done(void *arg, bool written)
{
    struct counter *c = arg;
    if (written)
        atomic_store(&c->pending, 0);
    atomic_fetch_add(written ? &c->good : &c->bad, 1);
    sem_post(&c->done);
}

static inline void add_counter(struct fixture *f, struct counter *c, int pending)
{
    memset(c, 0, sizeof *c);
    sem_init(&c->done, 0, 0);
    atomic_store(&c->pending, pending);
    gate_store_add_flusher(
        f->store, &(struct gate_flusher){.flush = counter_flush, .done = counter_done, .arg = c});
}

static inline void count_answer(void *arg, bool written)
{
    atomic_int *answers = arg;
    atomic_fetch_add(&answers[written], 1);
}

/* Collects the log in a file that nobody sees. */
static inline int catch_log(void)
{
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    int fd = dup(fileno(file));
    fclose(file);
    gate_log_setup(GATE_LOG_INFO, GATE_LOG_TEXT, fd);
    return fd;
}

static inline int count_lines(int fd, const char *what)
{
    char text[16384];
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    ck_assert_int_ge(len, 0);
    text[len] = '\0';
    int count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

#endif
