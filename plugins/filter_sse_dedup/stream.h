/*
 * stream: the state of one stream in the filter, and the two steps that every event takes. When an
 * event arrives its deltas are observed (dedup.c); when it goes out, at once or after a hold, they
 * are settled (settle.c). Single-threaded.
 */
#ifndef DEDUP_STREAM_H
#define DEDUP_STREAM_H

#include "chunk.h"
#include "slot.h"

enum {
    DEDUP_MAX_SLOTS = 256,   /* channels beyond are not followed and pass verbatim */
    DEDUP_MAX_FINISHES = 64, /* finish reasons of choices beyond are not followed */
};

enum dedup_mode { DEDUP_OFF, DEDUP_AUTO, DEDUP_EXACT };

/* One configured filter. Immutable. */
struct dedup_instance {
    const struct gate_host *host;
    enum dedup_mode mode;
    uint32_t hold_ms;
    size_t hold_events;
    size_t hold_bytes;
};

/* An event that waits. */
struct dedup_held {
    struct dedup_held *next;
    size_t len;
    struct gate_range data; /* where its data lies in raw; empty: nothing in it is looked at */
    char raw[];
};

struct dedup_stream {
    const struct dedup_instance *in;
    struct dedup_slot *slots; /* owned */
    uint32_t slot_count, slot_cap;
    bool cumulative; /* some slot has proven it */
    bool timer_armed;
    unsigned calm;     /* flags of events that need not be read any more: see gate_event_flags */
    uint64_t finished; /* choices whose finish reason has gone out, one bit each */
    uint64_t usage;    /* cumulative: hash of the last usage that went out */
    struct dedup_held *first, *last; /* owned */
    size_t held_events, held_bytes;
};

/* The slot of an item, or NULL when there is none or the item needs none. */
struct dedup_slot *dedup_slot_find(struct dedup_stream *s, const struct dedup_item *item);

/* True when a tool call's item says by its id that it is another call than the slot's. */
bool dedup_is_other_call(const struct dedup_slot *slot, const struct dedup_item *item);

enum dedup_settled { DEDUP_AS_IS, DEDUP_CHANGED, DEDUP_DROPPED };

/* The event that `chunk` was read from goes out now. CHANGED: *data, empty before, receives the
 * data to send instead. */
enum dedup_settled dedup_settle(struct dedup_stream *s, const struct dedup_chunk *chunk,
                                struct gate_str from, struct dedup_bytes *data);
/* The same for mode exact. */
enum dedup_settled dedup_settle_exact(struct dedup_stream *s, const struct dedup_chunk *chunk,
                                      struct gate_str from, struct dedup_bytes *data);

#endif
