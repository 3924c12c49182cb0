/*
 * memory_records: the records of memory_storage.h, sorted by key, with what a batch touched. Used
 * by memory_storage.h only; the caller holds the lock.
 */
#ifndef GATE_TEST_MEMORY_RECORDS_H
#define GATE_TEST_MEMORY_RECORDS_H

#include "base/buf.h"
#include "base/clock.h"
#include <pthread.h>
#include <stdlib.h>

enum { MEMORY_STORAGE_MAX_KEY = 1024 };

enum memory_storage_mode {
    MEMORY_STORAGE_WELL = 0,
    /* Every write fails at once, commits included. */
    MEMORY_STORAGE_FAIL_WRITES,
    /* A full disk: writes inside a batch go through and their commit fails; others fail at once. */
    MEMORY_STORAGE_FAIL_COMMITS,
};

struct memory_entry {
    char *key, *value;
    size_t key_len, value_len;
    uint64_t version;
    uint64_t expires_ms; /* 0: never */
};

struct memory_lease {
    char *name, *owner; /* owner is NULL after a release */
    uint64_t fence, expires_ms;
    struct memory_lease *next;
};

/* How a key was before a batch touched it. */
struct memory_undo {
    struct memory_entry before; /* value NULL: absent */
    struct memory_undo *next;   /* the write before it */
};

/* Made by memory_storage_init; the members are the functions' own. */
struct memory_storage {
    pthread_mutex_t lock; /* recursive; held between batch_begin and batch_commit */
    struct memory_entry **entries;
    size_t count, cap; /* sorted by key */
    struct memory_lease *leases;
    struct memory_undo *undo;
    bool in_batch;
    uint64_t last_version;
    uint64_t now_ms; /* 0: the wall clock */
    enum memory_storage_mode mode;
    enum gate_status status;    /* of what fails */
    uint64_t writes_until_fail; /* 0: not counting */
    uint64_t writes_until_one;  /* the same, for one failure */
    bool damaged;
    uint64_t commits, writes, syncs;
};

static inline void memory_entry_finish(struct memory_entry *e)
{
    free(e->key);
    free(e->value);
}

static inline uint64_t memory_storage_now(const struct memory_storage *m)
{
    return m->now_ms != 0 ? m->now_ms : gate_clock_wall_ms();
}

/* Where key is, or where it belongs. */
static inline size_t memory_storage_at(const struct memory_storage *m, struct gate_str key,
                                       bool *found)
{
    size_t low = 0, high = m->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct memory_entry *e = m->entries[middle];
        size_t shorter = e->key_len < key.len ? e->key_len : key.len;
        int order = shorter == 0 ? 0 : memcmp(e->key, key.ptr, shorter);
        if (order == 0)
            order = e->key_len < key.len ? -1 : e->key_len > key.len;
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline struct memory_entry *memory_storage_find(const struct memory_storage *m,
                                                       struct gate_str key)
{
    bool found;
    size_t at = memory_storage_at(m, key, &found);
    if (!found)
        return NULL;
    struct memory_entry *e = m->entries[at];
    return e->expires_ms != 0 && e->expires_ms <= memory_storage_now(m) ? NULL : e;
}

static inline void memory_storage_remove(struct memory_storage *m, struct gate_str key)
{
    bool found;
    size_t at = memory_storage_at(m, key, &found);
    if (!found)
        return;
    struct memory_entry *e = m->entries[at];
    m->count--;
    memmove(m->entries + at, m->entries + at + 1, (m->count - at) * sizeof *m->entries);
    memory_entry_finish(e);
    free(e);
}

static inline void memory_storage_set(struct memory_storage *m, struct gate_str key,
                                      struct gate_str value, uint64_t version, uint64_t expires_ms)
{
    bool found;
    size_t at = memory_storage_at(m, key, &found);
    if (!found) {
        if (m->count == m->cap) {
            m->cap = m->cap ? m->cap * 2 : 64;
            m->entries =
                (struct memory_entry **)gate_realloc(m->entries, m->cap * sizeof *m->entries);
        }
        memmove(m->entries + at + 1, m->entries + at, (m->count - at) * sizeof *m->entries);
        m->count++;
        m->entries[at] = (struct memory_entry *)gate_calloc(1, sizeof **m->entries);
        m->entries[at]->key = gate_strdup(key);
        m->entries[at]->key_len = key.len;
    }
    struct memory_entry *e = m->entries[at];
    char *copy = gate_strdup(value);
    free(e->value);
    e->value = copy;
    e->value_len = value.len;
    e->version = version;
    e->expires_ms = expires_ms;
}

/* Notes how key is now, so that the batch can be taken back. */
static inline void memory_storage_note(struct memory_storage *m, struct gate_str key)
{
    if (!m->in_batch)
        return;
    struct memory_undo *undo = (struct memory_undo *)gate_calloc(1, sizeof *undo);
    bool found;
    size_t at = memory_storage_at(m, key, &found);
    if (found) {
        undo->before = *m->entries[at];
        undo->before.value =
            gate_strdup((struct gate_str){m->entries[at]->value, m->entries[at]->value_len});
    }
    undo->before.key = gate_strdup(key);
    undo->before.key_len = key.len;
    undo->next = m->undo;
    m->undo = undo;
}

/* Ends the batch; its writes stay or are taken back. */
static inline void memory_storage_end_batch(struct memory_storage *m, bool keep)
{
    for (struct memory_undo *undo = m->undo, *next; undo != NULL; undo = next) {
        next = undo->next;
        struct memory_entry *before = &undo->before;
        struct gate_str key = {before->key, before->key_len};
        if (!keep && before->value == NULL)
            memory_storage_remove(m, key);
        else if (!keep)
            memory_storage_set(m, key, (struct gate_str){before->value, before->value_len},
                               before->version, before->expires_ms);
        memory_entry_finish(before);
        free(undo);
    }
    m->undo = NULL;
    m->in_batch = false;
    pthread_mutex_unlock(&m->lock); /* what batch_begin took */
}

/* Whether the write at hand may go through. */
static inline enum gate_status memory_storage_admit(struct memory_storage *m, bool commit,
                                                    struct gate_error *err)
{
    if (!commit && m->writes_until_fail > 0 && --m->writes_until_fail == 0)
        m->mode = MEMORY_STORAGE_FAIL_WRITES;
    bool fail_one = !commit && m->writes_until_one > 0 && --m->writes_until_one == 0;
    if (fail_one || m->mode == MEMORY_STORAGE_FAIL_WRITES ||
        (m->mode == MEMORY_STORAGE_FAIL_COMMITS && (commit || !m->in_batch)))
        return gate_fail(err, m->status, "memory storage: no space left on device");
    if (!commit)
        m->writes++;
    return GATE_OK;
}

static inline enum gate_status memory_storage_check_key(struct gate_str key, struct gate_error *err)
{
    if (key.len == 0)
        return gate_fail(err, GATE_EINVAL, "memory storage: an empty key");
    if (key.len > MEMORY_STORAGE_MAX_KEY)
        return gate_fail(err, GATE_ELIMIT, "memory storage: a key of %zu bytes", key.len);
    return GATE_OK;
}

static inline struct memory_lease *memory_storage_lease(const struct memory_storage *m,
                                                        struct gate_str name)
{
    for (struct memory_lease *lease = m->leases; lease != NULL; lease = lease->next)
        if (gate_str_eq(gate_str_of(lease->name), name))
            return lease;
    return NULL;
}

/* Version and fence of a conditional write. */
static inline enum gate_status memory_storage_match(const struct memory_storage *m,
                                                    struct gate_str key, uint64_t expected,
                                                    uint64_t fence, struct gate_error *err)
{
    if (memory_storage_check_key(key, err) != GATE_OK)
        return err != NULL ? err->status : GATE_EINVAL;
    const struct memory_entry *e = memory_storage_find(m, key);
    if (expected != UINT64_MAX && expected != (e != NULL ? e->version : 0))
        return gate_fail(err, GATE_ECONFLICT, "memory storage: another version");
    const struct memory_lease *lease = memory_storage_lease(m, key);
    if (fence != 0 && lease != NULL && fence < lease->fence)
        return gate_fail(err, GATE_ECONFLICT, "memory storage: fence %llu is behind %llu",
                         (unsigned long long)fence, (unsigned long long)lease->fence);
    return GATE_OK;
}

/* False: the record is not a counter. */
static inline bool memory_storage_number(const struct memory_entry *e, int64_t *out)
{
    char *end = NULL;
    *out = 0;
    if (e == NULL)
        return true;
    *out = strtoll(e->value, &end, 10);
    return end != e->value && *end == '\0';
}

static inline bool memory_storage_holds(const struct memory_storage *m,
                                        const struct memory_lease *lease, struct gate_str owner)
{
    return lease != NULL && lease->owner != NULL && lease->expires_ms > memory_storage_now(m) &&
           gate_str_eq(gate_str_of(lease->owner), owner);
}

/* The record that scan shows next; the callback may write, so each step looks anew. */
static inline const struct memory_entry *memory_storage_next(const struct memory_storage *m,
                                                             struct gate_str from, bool behind)
{
    bool found;
    size_t at = memory_storage_at(m, from, &found);
    for (at += found && behind; at < m->count; at++)
        if (m->entries[at]->expires_ms == 0 || m->entries[at]->expires_ms > memory_storage_now(m))
            return m->entries[at];
    return NULL;
}

#endif
