/*
 * chunk: reads one event of an OpenAI chat stream from left to right, once, and says where in its
 * bytes the deltas lie. Used by the filter for every event of every stream: allocates nothing,
 * takes linear time, and refuses whatever it does not fully understand, which the filter then
 * leaves alone. Pure, any thread.
 */
#ifndef DEDUP_CHUNK_H
#define DEDUP_CHUNK_H

#include <gate/plugin.h>

enum {
    DEDUP_CHUNK_MAX_ITEMS = 64,    /* an event with more is left alone */
    DEDUP_CHUNK_MAX_DEPTH = 64,    /* so is one that nests deeper */
    DEDUP_CHUNK_MAX_INDEX = 99999, /* or numbers a choice or a tool call higher */
};

enum dedup_item_kind {
    DEDUP_ITEM_CONTENT,
    DEDUP_ITEM_REASONING,
    DEDUP_ITEM_TOOL,
    DEDUP_ITEM_FINISH,
};

/* One thing that an event brings. Views lie in the event's data; strings keep their quotes. */
struct dedup_item {
    enum dedup_item_kind kind;
    uint32_t choice;
    struct gate_str value; /* the text (never "" for content and reasoning), the arguments of a tool
                              call (empty: absent) or the finish reason */
    struct gate_str element; /* tool call: the whole element of tool_calls */
    struct gate_str id;      /* tool call; empty: absent or "" */
    struct gate_str name;    /* tool call; empty: absent or "" */
    uint32_t tool;           /* tool call: its index */
};

struct dedup_chunk {
    struct dedup_item items[DEDUP_CHUNK_MAX_ITEMS]; /* in the order of their bytes */
    size_t count;
    struct gate_str usage; /* the usage object; empty: absent or null */
    bool has_choices;      /* choices is there and not empty */
    bool extra;            /* a delta brings something else that is not null or empty */
};

/* False: not such an event, or not understood; *chunk is then undefined. */
bool dedup_chunk_parse(struct gate_str data, struct dedup_chunk *chunk);

#endif
