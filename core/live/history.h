/*
 * history: every generation that was published, in storage: number, time, author, note, where it
 * came from, and all texts. Control thread; each call blocks until the store thread has done it.
 */
#ifndef GATE_LIVE_HISTORY_H
#define GATE_LIVE_HISTORY_H

#include "record/store.h"
#include "script/sources.h"

enum {
    GATE_HISTORY_KEEP = 1000,          /* generations; older ones go */
    GATE_HISTORY_MAX_BYTES = 64 << 20, /* of all texts; older ones go */
    GATE_HISTORY_AUTHOR = 64,          /* bytes; the rest is cut */
    GATE_HISTORY_NOTE = 500,
};

enum gate_origin {
    GATE_ORIGIN_START = 0, /* conf/ as it was found when the gateway started */
    GATE_ORIGIN_ADMIN,     /* console or API */
    GATE_ORIGIN_DISK,      /* edited in conf/ or scripts/ */
    GATE_ORIGIN_ROLLBACK,  /* a person went back */
    GATE_ORIGIN_TAKEOVER,  /* the gateway went back after script errors */
};
extern const char *const gate_origin_names[]; /* "start", "admin", "disk", "rollback", "takeover" */

/* One entry without its texts. */
struct gate_history_entry {
    uint64_t number, at_ms, base; /* base: the generation that it was written from; 0: none */
    uint64_t of;                  /* of a rollback or takeover: whose texts it has again; 0 */
    enum gate_origin origin;
    bool failed; /* was taken out of service because of script errors */
    char author[GATE_HISTORY_AUTHOR + 1];
    char note[GATE_HISTORY_NOTE + 1];
    size_t files, bytes;
};

struct gate_history;
/* Finds the newest number that is on record. */
enum gate_status gate_history_open(struct gate_store *store, struct gate_history **out,
                                   struct gate_error *err);
/* Writes once more what could not be written. NULL is fine. */
void gate_history_close(struct gate_history *h);
/* The newest number; 0: nothing is on record. No storage access. */
uint64_t gate_history_newest(const struct gate_history *h);
/* Writes an entry with sync; entry->files and bytes are filled in, what is no UTF-8 in author and
 * note is replaced. GATE_EINVAL: the number is not above the newest; nothing is done. GATE_EIO:
 * storage does not work: it is kept in memory (the last 64 of such) and written by the next add or
 * flush. */
enum gate_status gate_history_add(struct gate_history *h, struct gate_history_entry *entry,
                                  const struct gate_sources *sources, struct gate_error *err);
/* Writes what could not be written; once a minute is enough. */
void gate_history_flush(struct gate_history *h);
/* GATE_ENOTFOUND; GATE_EIO as for add. */
enum gate_status gate_history_mark_failed(struct gate_history *h, uint64_t number,
                                          struct gate_error *err);
/* Newest first, those with a number below `before` (0: all), at most max. *count: how many. */
enum gate_status gate_history_list(struct gate_history *h, uint64_t before, size_t max,
                                   struct gate_history_entry *out, size_t *count,
                                   struct gate_error *err);
/* GATE_ENOTFOUND: no such generation, or it went. GATE_EIO: its texts cannot be read. sources may
 * be NULL, else it need not be initialised; owner of what it holds: caller. */
enum gate_status gate_history_get(struct gate_history *h, uint64_t number,
                                  struct gate_history_entry *entry, struct gate_sources *sources,
                                  struct gate_error *err);

#endif
