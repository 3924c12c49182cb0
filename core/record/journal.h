/*
 * journal: the last requests, each as a piece of bytes that only its writer understands. Workers
 * add to memory of their own; the store thread collects what they added, writes it in chunks and
 * removes what is too old or too much; whoever asks reads it newest first. It survives restarts.
 * Used by request (adds), worker (one batch each) and admin (lists).
 */
#ifndef GATE_RECORD_JOURNAL_H
#define GATE_RECORD_JOURNAL_H

#include "record/store.h"

enum {
    GATE_JOURNAL_MAX_RECORD = 16 << 10, /* bytes of one */
    GATE_JOURNAL_MAX_NAME = 255,
    GATE_JOURNAL_MAX_COUNT = 10000, /* records that are kept; a chunk at the end may go over it */
    GATE_JOURNAL_MAX_BYTES = 32 << 20, /* of all that are kept */
    GATE_JOURNAL_DAYS = 7,
    GATE_JOURNAL_BATCH_BYTES = 4 << 20, /* of one worker between two flushes: more is dropped */
};

struct gate_journal;
struct gate_journal_batch; /* one worker's */

/* Control thread. Registers its flusher with the store. retention_days: where fewer than
 * GATE_JOURNAL_DAYS; 0: no bound of its own. */
struct gate_journal *gate_journal_create(struct gate_store *store, uint32_t retention_days);
/* After the store was closed and all batches were destroyed. NULL is fine. */
void gate_journal_destroy(struct gate_journal *j);
/* Any thread. Records that were dropped since the start, as too many came between two flushes or
 * storage has failed for too long. */
uint64_t gate_journal_dropped(const struct gate_journal *j);

/* Any thread, before its worker runs. */
struct gate_journal_batch *gate_journal_batch_create(struct gate_journal *j);
/* Its worker has ended. What it holds is still written. NULL is fine. */
void gate_journal_batch_destroy(struct gate_journal_batch *b);
/* A record. Lists go by at_ms (newest first), then by name, then by number. */
struct gate_journal_record {
    uint64_t at_ms;
    uint64_t number; /* each has its own, in the order in which they were collected */
    struct gate_str name, bytes;
};

/* Worker. Adds a record of 1 to GATE_JOURNAL_MAX_RECORD bytes (copied); a longer name is cut.
 * Cheap: no system call, no allocation, no lock that another thread may hold for long. */
void gate_journal_add(struct gate_journal_batch *b, uint64_t at_ms, struct gate_str name,
                      struct gate_str bytes);

/* A question and, when it was read, its answer. */
struct gate_journal_query {
    /* The question. */
    uint64_t before_ms;          /* records that stand behind this time and name; */
    struct gate_str before_name; /* UINT64_MAX: all of them. Lent until it was answered */
    size_t most;                 /* records that are wanted, at least 1 */
    bool (*wanted)(void *ctx, const struct gate_journal_record *record); /* store thread */
    void *ctx;
    /* The answer: newest first. Names and bytes are owned. */
    struct gate_journal_record *found;
    size_t count;
    /* How far the reading has come. */
    bool begun;
    uint64_t below; /* numbers of chunks that are still to be looked at */
};

/* Store thread (inside a job). Looks at a bounded piece; *more: to be called again for the same
 * question, which sees the records that were there when it began. Whoever wants the last second too
 * asks for a flush before. One scan in all, however many chunks there are. */
enum gate_status gate_journal_read(struct gate_journal *j, struct gate_storage *s,
                                   struct gate_journal_query *q, bool *more,
                                   struct gate_error *err);
/* Frees the answer. A zeroed query is fine. */
void gate_journal_query_finish(struct gate_journal_query *q);

#endif
