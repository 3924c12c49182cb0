/*
 * trace_pack: a trace as bytes, in which the journal keeps it over restarts. All that its JSON
 * tells is in them but for the accounts' snapshot; headers of the client are not. Used by exchange
 * (packs) and admin (unpacks).
 */
#ifndef GATE_REQUEST_TRACE_PACK_H
#define GATE_REQUEST_TRACE_PACK_H

#include "record/journal.h"
#include "request/trace.h"

/* Worker. Packs a trace and adds it to the journal. Attempts and accounts that were passed by are
 * left out from where there is no room for them. Below a microsecond for a trace of usual size. */
void gate_trace_record(const struct gate_trace *t, struct gate_journal_batch *journal);
/* Any thread. The bytes of a trace in out, but for its id and time; how many. */
size_t gate_trace_pack(const struct gate_trace *t, char out[GATE_JOURNAL_MAX_RECORD]);

/* Any thread. A trace from its record, whose name is its id; the caller frees it with
 * gate_trace_free. NULL: damaged, or of another version of the gateway. */
struct gate_trace *gate_trace_unpack(const struct gate_journal_record *record);

#endif
