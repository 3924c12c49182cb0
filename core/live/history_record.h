/*
 * history_record: what the history keeps in storage, as JSON: an entry, and apart from it the texts
 * of its files, so that lists never read texts. Used by history.c only. Pure, any thread.
 *
 *     {"v":1,"at":1700000000000,"base":6,"of":0,"origin":"admin","failed":false,"author":"...",
 *      "note":"...","files":2,"bytes":4711}
 *     {"v":1,"files":[{"name":"gateway.lua","text":"..."},{"name":"routing.lua","base64":"..."}]}
 *
 * A text that is no valid UTF-8, or holds control bytes, is kept as base64: each comes back byte
 * for byte.
 */
#ifndef GATE_LIVE_HISTORY_RECORD_H
#define GATE_LIVE_HISTORY_RECORD_H

#include "base/buf.h"
#include "live/history.h"

enum {
    GATE_HISTORY_RECORD = 1, /* version of both records */
    GATE_HISTORY_MAX_ENTRY = 16 << 10,
    GATE_HISTORY_MAX_TEXTS = 4 << 20, /* quotes and line ends take two bytes each */
};

/* Appends an entry's record; its number is the key's to say. */
void gate_history_put_entry(const struct gate_history_entry *e, struct gate_buf *out);
/* Fills everything but the number. GATE_EPARSE: err says what is wrong with it. */
enum gate_status gate_history_parse_entry(struct gate_str json, struct gate_history_entry *out,
                                          struct gate_error *err);

/* Appends the record of all texts. */
void gate_history_put_texts(const struct gate_sources *sources, struct gate_buf *out);
/* Owner of what *out holds: the caller (gate_sources_finish); it is empty after a failure.
 * GATE_EPARSE as above. */
enum gate_status gate_history_parse_texts(struct gate_str json, struct gate_sources *out,
                                          struct gate_error *err);

#endif
