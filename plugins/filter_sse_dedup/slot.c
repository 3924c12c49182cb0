/* slot: see slot.h. */
#include "slot.h"
#include <stdlib.h>

#define HASH_START UINT64_C(14695981039346656037) /* FNV-1a, 64 bits */
#define HASH_PRIME UINT64_C(1099511628211)

static uint64_t hash_more(uint64_t hash, struct gate_str s)
{
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (unsigned char)s.ptr[i]) * HASH_PRIME;
    return hash;
}

uint64_t dedup_hash(struct gate_str s)
{
    uint64_t hash = hash_more(HASH_START, s);
    return hash != 0 ? hash : 1;
}

void dedup_slot_free(struct dedup_slot *slot)
{
    dedup_bytes_free(&slot->text);
    free(slot->call);
    slot->call = NULL;
}

static struct gate_str text_of(const struct dedup_slot *slot)
{
    return (struct gate_str){slot->text.ptr, slot->text.len};
}

/* Appends delta[from..] to the text, or gives the slot up when that is too long to follow. */
static void follow(struct dedup_slot *slot, struct gate_str delta, size_t from)
{
    if (delta.len - from > DEDUP_SLOT_MAX_TEXT - slot->text.len)
        dedup_slot_make_incremental(slot);
    else
        dedup_bytes_append(&slot->text, (struct gate_str){delta.ptr + from, delta.len - from});
}

void dedup_slot_make_incremental(struct dedup_slot *slot)
{
    slot->state = DEDUP_INCREMENTAL;
    dedup_bytes_free(&slot->text);
}

void dedup_slot_note_sent(struct dedup_slot *slot, struct gate_str delta)
{
    if (gate_str_starts(text_of(slot), delta))
        slot->sent = delta.len;
    else
        dedup_slot_make_incremental(slot);
}

void dedup_slot_make_cumulative(struct dedup_slot *slot)
{
    slot->state = DEDUP_CUMULATIVE;
    /* Held deltas still have to go out: cut sees them one by one. */
    slot->text.len = slot->sent;
}

void dedup_slot_observe(struct dedup_slot *slot, struct gate_str delta, bool eager)
{
    size_t before = slot->text.len;

    if (before > 0 && !gate_str_starts(delta, text_of(slot))) {
        dedup_slot_make_incremental(slot);
        return;
    }
    follow(slot, delta, before);
    if (slot->state != DEDUP_UNDECIDED || before == 0 || delta.len == before)
        return;
    if (slot->growths < DEDUP_PROOF_GROWTHS)
        slot->growths++;
    if (eager || (slot->growths == DEDUP_PROOF_GROWTHS &&
                  dedup_text_is_prose(delta, DEDUP_PROOF_CHARS, DEDUP_PROOF_WORDS)))
        dedup_slot_make_cumulative(slot);
}

size_t dedup_slot_cut(struct dedup_slot *slot, struct gate_str delta)
{
    struct gate_str text = text_of(slot);
    size_t common = dedup_text_common(delta, text);

    if (common == delta.len)
        return common; /* a replay, whole or from an earlier moment */
    if (common == text.len) {
        follow(slot, delta, common);
        return common;
    }
    if (common >= text.len / 2 + 1) {
        /* The service changed its mind about the end of what it had sent. That cannot be taken
         * back; what differs goes out, and later deltas are held against the new text. */
        slot->text.len = common;
        follow(slot, delta, common);
        return common;
    }
    follow(slot, delta, 0); /* a piece among repetitions: nothing of it may be lost */
    return 0;
}

void dedup_arguments_feed(struct dedup_arguments *a, struct gate_str bytes)
{
    a->hash = hash_more(a->len > 0 ? a->hash : HASH_START, bytes);
    a->len += bytes.len;
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.ptr[i];
        if (a->in_string) {
            a->in_string = a->escape || c != '"';
            a->escape = !a->escape && c == '\\';
        } else if (c == '{' || c == '[') {
            a->filled |= a->depth > 0;
            a->depth++;
        } else if ((c == '}' || c == ']') && a->depth > 0) {
            a->complete |= --a->depth == 0;
        } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            a->filled |= a->depth > 0;
            a->in_string = c == '"';
        }
    }
}
