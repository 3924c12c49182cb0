/*
 * slot: what the filter knows of one channel of one choice: whether its deltas are pieces or repeat
 * everything so far. Used by stream.c, a few for each stream. Single-threaded.
 *
 * A slot meets each delta twice: when it arrives (observe), and when its event goes out (cut). In
 * between the event may have been held back.
 */
#ifndef DEDUP_SLOT_H
#define DEDUP_SLOT_H

#include "text.h"

enum {
    DEDUP_PROOF_GROWTHS = 3,
    DEDUP_PROOF_CHARS = 24,
    DEDUP_PROOF_WORDS = 2,
    DEDUP_SLOT_MAX_TEXT = 8 << 20, /* a longer text is not followed: its slot becomes incremental */
};

enum dedup_slot_kind { DEDUP_SLOT_CONTENT, DEDUP_SLOT_REASONING, DEDUP_SLOT_TOOL };

enum dedup_slot_state {
    DEDUP_UNDECIDED,   /* each delta so far starts with the one before it */
    DEDUP_INCREMENTAL, /* proven or given up: deltas pass unread and no text is kept */
    DEDUP_CUMULATIVE,  /* proven: only what lies past `text` goes out */
};

/* Follows the arguments of a tool call as they go out. */
struct dedup_arguments {
    uint64_t hash; /* of all bytes so far */
    size_t len;
    uint32_t depth;
    bool in_string, escape;
    bool filled;   /* the object is not {} */
    bool complete; /* one whole JSON object or array */
};

/* One tool call of a choice: the last one with its index. */
struct dedup_call {
    uint64_t id; /* hashes; 0: none was given yet */
    uint64_t name;
    struct dedup_arguments arguments;
};

struct dedup_slot {
    uint32_t choice;
    uint32_t tool;
    uint8_t kind, state;
    uint8_t growths; /* deltas that were strictly longer than the one before, up to the proof */
    bool may_hold;   /* deltas are held back while undecided */
    bool held;       /* an event with a delta of this slot had to wait while undecided */
    struct dedup_bytes text; /* undecided: the newest delta; cumulative: what has gone out; exact
                                mode: the delta before */
    size_t sent;             /* undecided: length of the newest delta that has gone out */
    struct dedup_call *call; /* tool calls only; owned */
};

void dedup_slot_free(struct dedup_slot *slot);

/* Takes in a delta that arrives, in state UNDECIDED; eager: one growth is proof. */
void dedup_slot_observe(struct dedup_slot *slot, struct gate_str delta, bool eager);
/* State UNDECIDED: a delta goes out. It is one of those that were observed, so the newest starts
 * with it; where it does not, because another call took the slot over in between, the slot is given
 * up. */
void dedup_slot_note_sent(struct dedup_slot *slot, struct gate_str delta);
void dedup_slot_make_incremental(struct dedup_slot *slot);
void dedup_slot_make_cumulative(struct dedup_slot *slot);

/* State CUMULATIVE: takes in a delta that goes out and returns where its new text starts: 0 all of
 * it is new, its length: nothing is. */
size_t dedup_slot_cut(struct dedup_slot *slot, struct gate_str delta);

void dedup_arguments_feed(struct dedup_arguments *a, struct gate_str bytes);
uint64_t dedup_hash(struct gate_str s); /* never 0 */

#endif
