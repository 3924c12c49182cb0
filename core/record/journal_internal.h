/*
 * journal_internal: what journal.c (batches and writing) and journal_read.c (chunks and reading)
 * share.
 *
 * A chunk holds records that were collected together, in the order of their numbers. Its key ends
 * with the inverted number of its first record, so that a scan finds the newest chunk first.
 * Requests are recorded when they end and listed by their beginning, so chunks follow each other
 * only roughly in time: each says how new a record of it or of any older one may be.
 */
#ifndef GATE_RECORD_JOURNAL_INTERNAL_H
#define GATE_RECORD_JOURNAL_INTERNAL_H

#include "record/journal.h"

enum {
    GATE_JOURNAL_CHUNK_COUNT = 256,       /* records of one chunk */
    GATE_JOURNAL_CHUNK_BYTES = 128 << 10, /* and bytes; larger than any record */
    GATE_JOURNAL_KEY = 40,
};

/* What stands at the beginning of a chunk. */
struct gate_journal_head {
    uint64_t first;   /* number of its first record */
    uint64_t high_ms; /* no record of it or of an older chunk began later */
    uint64_t low_ms;  /* no record of it began earlier */
    uint32_t count;
};

/* A chunk in the making. */
struct gate_journal_chunk {
    struct gate_journal_chunk *next; /* a newer one */
    struct gate_journal_head head;
    struct gate_buf bytes; /* as they go to storage */
};

/* The key of the chunk whose first record has that number. out holds GATE_JOURNAL_KEY bytes. */
struct gate_str gate_journal_key(uint64_t first, char *out);
/* The number that a key ends with. False: it is no key of a chunk. */
bool gate_journal_key_read(struct gate_str key, uint64_t *first);
/* A new chunk for records from that number on. */
struct gate_journal_chunk *gate_journal_chunk_create(uint64_t first, uint64_t high_ms);
void gate_journal_chunk_destroy(struct gate_journal_chunk *c);
/* False: it is full. */
bool gate_journal_chunk_add(struct gate_journal_chunk *c, uint64_t at_ms, struct gate_str name,
                            struct gate_str bytes);
/* Writes the head into the bytes: before the chunk is stored or read. */
void gate_journal_chunk_close(struct gate_journal_chunk *c);
/* False: damaged. */
bool gate_journal_head_read(struct gate_str bytes, struct gate_journal_head *head);

/* ---- journal.c; store thread */

/* Chunks that were collected and are not known to be written, oldest first. */
const struct gate_journal_chunk *gate_journal_pending(const struct gate_journal *j);

#endif
