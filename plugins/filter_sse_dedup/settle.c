/* settle: what of an event goes out. See stream.h. */
#include "stream.h"

/* The outgoing data while it is made: `out` holds what replaces the bytes before `copied`. */
struct plan {
    struct dedup_stream *s;
    struct dedup_bytes *out;
    const char *copied;
    bool changed;    /* something was taken out */
    bool meaningful; /* something new is left */
};

static void add(struct plan *p, struct gate_str bytes)
{
    dedup_bytes_append(p->out, bytes);
}

/* Starts to replace `where`: copies what lies before it. Items come in the order of their bytes. */
static void skip(struct plan *p, struct gate_str where)
{
    add(p, (struct gate_str){p->copied, (size_t)(where.ptr - p->copied)});
    p->copied = where.ptr + where.len;
    p->changed = true;
}

static void add_json(struct plan *p, struct gate_str text)
{
    struct gate_writer writer = dedup_bytes_writer(p->out);
    p->s->in->host->json_encode(text, &writer);
}

static enum dedup_settled finish_plan(struct plan *p, struct gate_str from)
{
    if (!p->changed)
        return DEDUP_AS_IS;
    if (!p->meaningful)
        return DEDUP_DROPPED;
    add(p, (struct gate_str){p->copied, (size_t)(from.ptr + from.len - p->copied)});
    return DEDUP_CHANGED;
}

static struct gate_str rest_of(struct gate_str text, size_t from)
{
    return (struct gate_str){text.ptr + from, text.len - from};
}

static void settle_text(struct plan *p, const struct dedup_item *item)
{
    struct dedup_slot *slot = dedup_slot_find(p->s, item);
    struct dedup_text delta;

    if (slot == NULL || slot->state == DEDUP_INCREMENTAL ||
        !dedup_text_open(p->s->in->host, item->value, &delta)) {
        p->meaningful = true;
        return;
    }
    size_t from = 0;
    if (slot->state == DEDUP_UNDECIDED)
        dedup_slot_note_sent(slot, delta.s);
    else
        from = dedup_slot_cut(slot, delta.s);
    if (from > 0) {
        skip(p, item->value);
        add_json(p, rest_of(delta.s, from));
    }
    p->meaningful |= from < delta.s.len;
    dedup_text_close(&delta);
}

static void settle_finish(struct plan *p, const struct dedup_item *item)
{
    uint64_t bit = item->choice < DEDUP_MAX_FINISHES ? UINT64_C(1) << item->choice : 0;

    if (p->s->cumulative && (p->s->finished & bit)) {
        skip(p, item->value);
        add(p, GATE_STR("null"));
    } else {
        p->s->finished |= bit;
        p->meaningful = true;
    }
}

/* A usage object is a replay when its bytes are those of the one before. */
static void settle_usage(struct plan *p, const struct dedup_chunk *chunk)
{
    if (!p->s->cumulative || chunk->usage.len == 0) {
        p->meaningful |= chunk->usage.len > 0;
        return;
    }
    uint64_t hash = dedup_hash(chunk->usage);
    if (hash != p->s->usage)
        p->meaningful = true;
    else if (!chunk->has_choices)
        p->changed = true; /* a repeated usage chunk goes whole */
    p->s->usage = hash;
}

bool dedup_is_other_call(const struct dedup_slot *slot, const struct dedup_item *item)
{
    return slot->call->id != 0 && item->id.len > 0 && slot->call->id != dedup_hash(item->id);
}

/* Some services number all calls alike and give no ids: then a name with other arguments, behind
 * complete ones, starts the next call. */
static bool starts_unnamed_call(const struct dedup_stream *s, const struct dedup_slot *slot,
                                const struct dedup_item *item, bool repeats)
{
    return !s->cumulative && item->id.len == 0 && item->name.len > 0 && !repeats &&
           slot->call->arguments.complete;
}

static void start_call(struct dedup_slot *slot, struct gate_str delta, bool may_hold)
{
    *slot->call = (struct dedup_call){.id = 0};
    slot->state = DEDUP_UNDECIDED;
    slot->growths = 0;
    slot->may_hold = may_hold;
    slot->held = false;
    slot->text.len = slot->sent = 0;
    dedup_slot_observe(slot, delta, false);
}

/* Puts an element in place of a tool call's, with the same index and these arguments. Id and name
 * are left out: clients that concatenate them would double them. */
static void replace_call(struct plan *p, const struct dedup_item *item, struct gate_str arguments)
{
    char head[64];

    snprintf(head, sizeof head, "{\"index\":%u,\"function\":{\"arguments\":", (unsigned)item->tool);
    skip(p, item->element);
    add(p, gate_str_of(head));
    add_json(p, arguments);
    add(p, GATE_STR("}}"));
    p->meaningful |= arguments.len > 0;
}

/* Nothing that follows complete arguments can belong to them, with one exception: {} that a service
 * sends first and means as "none yet". */
static bool is_after_end(struct dedup_slot *slot, struct gate_str delta, bool repeats)
{
    struct dedup_arguments *a = &slot->call->arguments;

    if (!a->complete || dedup_text_is_blank(delta))
        return false;
    if (repeats || a->filled)
        return true;
    *a = (struct dedup_arguments){.len = 0};
    return false;
}

static void settle_call_delta(struct plan *p, const struct dedup_item *item,
                              struct dedup_slot *slot, struct gate_str delta)
{
    struct dedup_arguments *a = &slot->call->arguments;
    bool repeats = a->len > 0 && a->len == delta.len && a->hash == dedup_hash(delta);

    if (dedup_is_other_call(slot, item) || starts_unnamed_call(p->s, slot, item, repeats)) {
        start_call(slot, delta, p->s->first == NULL && p->s->in->hold_ms > 0);
        repeats = false;
    }
    bool named_again =
        p->s->cumulative && item->name.len > 0 && slot->call->name == dedup_hash(item->name);
    if (item->id.len > 0)
        slot->call->id = dedup_hash(item->id);
    if (item->name.len > 0)
        slot->call->name = dedup_hash(item->name);

    size_t from = 0;
    if (is_after_end(slot, delta, repeats)) {
        replace_call(p, item, GATE_STR(""));
        return;
    }
    if (slot->state == DEDUP_CUMULATIVE)
        from = dedup_slot_cut(slot, delta);
    else if (slot->state == DEDUP_UNDECIDED && delta.len > 0)
        dedup_slot_note_sent(slot, delta);
    dedup_arguments_feed(a, rest_of(delta, from));
    if (from > 0 || named_again)
        replace_call(p, item, rest_of(delta, from));
    else
        p->meaningful = true;
}

static void settle_tool(struct plan *p, const struct dedup_item *item)
{
    struct dedup_slot *slot = dedup_slot_find(p->s, item);
    struct dedup_text delta;

    if (slot == NULL || !dedup_text_open(p->s->in->host, item->value, &delta)) {
        p->meaningful = true;
        return;
    }
    settle_call_delta(p, item, slot, delta.s);
    dedup_text_close(&delta);
}

enum dedup_settled dedup_settle(struct dedup_stream *s, const struct dedup_chunk *chunk,
                                struct gate_str from, struct dedup_bytes *data)
{
    struct plan p = {s, data, from.ptr, false, chunk->extra};

    for (size_t i = 0; i < chunk->count; i++) {
        const struct dedup_item *item = &chunk->items[i];
        if (item->kind == DEDUP_ITEM_FINISH)
            settle_finish(&p, item);
        else if (item->kind == DEDUP_ITEM_TOOL)
            settle_tool(&p, item);
        else
            settle_text(&p, item);
    }
    settle_usage(&p, chunk);
    return finish_plan(&p, from);
}

enum dedup_settled dedup_settle_exact(struct dedup_stream *s, const struct dedup_chunk *chunk,
                                      struct gate_str from, struct dedup_bytes *data)
{
    struct plan p = {s, data, from.ptr, false, chunk->extra || chunk->usage.len > 0};

    for (size_t i = 0; i < chunk->count; i++) {
        const struct dedup_item *item = &chunk->items[i];
        struct dedup_slot *slot = dedup_slot_find(s, item);
        struct dedup_text delta;
        if (slot == NULL || item->kind > DEDUP_ITEM_REASONING ||
            !dedup_text_open(s->in->host, item->value, &delta)) {
            p.meaningful = true;
            continue;
        }
        struct gate_str before = {slot->text.ptr, slot->text.len};
        if (gate_str_eq(delta.s, before)) {
            skip(&p, item->value);
            add(&p, GATE_STR("\"\""));
        } else {
            p.meaningful = true;
            slot->text.len = 0;
            dedup_bytes_append(&slot->text, delta.s);
        }
        dedup_text_close(&delta);
    }
    return finish_plan(&p, from);
}
