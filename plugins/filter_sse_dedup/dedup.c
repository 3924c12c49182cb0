/*
 * filter sse_dedup: takes repeated text out of streams whose deltas repeat everything so far, and
 * leaves every other stream byte for byte alone. The rule and its limits are in README.md.
 *
 * Order: events never overtake each other. While one is held back all that follow wait behind it,
 * whatever they carry, and each is settled when it goes out, in the order of arrival.
 */
#include "stream.h"
#include <stdlib.h>

enum {
    MAX_HOLD_MS = 10000,
    MAX_HOLD_EVENTS = 1024,
    MIN_HOLD_BYTES = 1024,
    MAX_HOLD_BYTES = 16 << 20,
};

enum { PIECES = GATE_EVENT_TEXT_ONLY | GATE_EVENT_REASONING_ONLY };

static const struct gate_host *host; /* set once by init, before anything else is called */

/* ---------------------------------------------------------------- slots */

static enum dedup_slot_kind slot_kind(const struct dedup_item *item)
{
    return item->kind == DEDUP_ITEM_TOOL        ? DEDUP_SLOT_TOOL
           : item->kind == DEDUP_ITEM_REASONING ? DEDUP_SLOT_REASONING
                                                : DEDUP_SLOT_CONTENT;
}

struct dedup_slot *dedup_slot_find(struct dedup_stream *s, const struct dedup_item *item)
{
    enum dedup_slot_kind kind = slot_kind(item);

    if (item->kind == DEDUP_ITEM_FINISH)
        return NULL;
    for (uint32_t i = 0; i < s->slot_count; i++) {
        struct dedup_slot *slot = &s->slots[i];
        if (slot->choice == item->choice && slot->kind == kind && slot->tool == item->tool)
            return slot;
    }
    return NULL;
}

static struct dedup_slot *add_slot(struct dedup_stream *s, const struct dedup_item *item)
{
    if (s->slot_count == DEDUP_MAX_SLOTS)
        return NULL;
    if (s->slot_count == s->slot_cap) {
        uint32_t cap = s->slot_cap > 0 ? s->slot_cap * 2 : 1;
        struct dedup_slot *moved = dedup_alloc(cap * sizeof *moved);
        if (s->slot_count > 0)
            memcpy(moved, s->slots, s->slot_count * sizeof *moved);
        free(s->slots);
        s->slots = moved;
        s->slot_cap = cap;
    }
    struct dedup_slot *slot = &s->slots[s->slot_count++];
    *slot = (struct dedup_slot){.choice = item->choice,
                                .tool = item->tool,
                                .kind = (uint8_t)slot_kind(item),
                                .may_hold = s->in->hold_ms > 0};
    if (item->kind == DEDUP_ITEM_TOOL) {
        slot->call = dedup_alloc(sizeof *slot->call);
        *slot->call = (struct dedup_call){.id = 0};
    }
    return slot;
}

/* One proof counts for the whole stream: a service does not mix the two ways. Slots that had grown
 * without reaching their own proof follow. */
static void spread_proof(struct dedup_stream *s)
{
    s->cumulative = true;
    for (uint32_t i = 0; i < s->slot_count; i++) {
        if (s->slots[i].state == DEDUP_UNDECIDED && s->slots[i].growths > 0)
            dedup_slot_make_cumulative(&s->slots[i]);
    }
}

/* Nothing proven in time: what is held for the slot goes out verbatim, and from now on its deltas
 * are watched without being held. In a cumulative stream they are replays. */
static void stop_holding(struct dedup_stream *s, struct dedup_slot *slot)
{
    if (slot->state != DEDUP_UNDECIDED || !slot->held)
        return;
    if (s->cumulative)
        dedup_slot_make_cumulative(slot);
    else
        slot->may_hold = false;
}

static void stop_holding_all(struct dedup_stream *s)
{
    for (uint32_t i = 0; i < s->slot_count; i++)
        stop_holding(s, &s->slots[i]);
}

/* ---------------------------------------------------------------- arrival */

static void observe_delta(struct dedup_stream *s, struct dedup_slot *slot,
                          const struct dedup_item *item)
{
    struct dedup_text delta;

    if (slot->state != DEDUP_UNDECIDED)
        return;
    if (!dedup_text_open(s->in->host, item->value, &delta)) {
        dedup_slot_make_incremental(slot);
        return;
    }
    if (delta.s.len > 0)
        dedup_slot_observe(slot, delta.s, s->cumulative);
    dedup_text_close(&delta);
    if (slot->state == DEDUP_CUMULATIVE && !s->cumulative)
        spread_proof(s);
}

/* A choice that has ended brings no more proof. */
static void end_choice(struct dedup_stream *s, uint32_t choice)
{
    for (uint32_t i = 0; i < s->slot_count; i++) {
        if (s->slots[i].choice == choice)
            stop_holding(s, &s->slots[i]);
    }
}

/* Takes in what an arriving event brings. True: nothing that settling could change or must note. */
static bool observe(struct dedup_stream *s, const struct dedup_chunk *chunk)
{
    bool calm = !s->cumulative;

    for (size_t i = 0; i < chunk->count; i++) {
        const struct dedup_item *item = &chunk->items[i];
        struct dedup_slot *slot = dedup_slot_find(s, item);
        if (slot != NULL && slot->state == DEDUP_INCREMENTAL && slot->kind != DEDUP_SLOT_TOOL)
            continue;
        calm = false;
        if (item->kind == DEDUP_ITEM_FINISH)
            continue;
        if (slot == NULL && (slot = add_slot(s, item)) == NULL)
            continue;
        if (slot->kind == DEDUP_SLOT_TOOL && dedup_is_other_call(slot, item))
            stop_holding_all(s);
        else
            observe_delta(s, slot, item);
    }
    for (size_t i = 0; i < chunk->count; i++) {
        if (chunk->items[i].kind == DEDUP_ITEM_FINISH)
            end_choice(s, chunk->items[i].choice);
    }
    return calm;
}

/* ---------------------------------------------------------------- going out */

static bool holds(const struct dedup_slot *slot, const struct dedup_item *item)
{
    if (slot == NULL || slot->state != DEDUP_UNDECIDED || !slot->may_hold || slot->sent == 0)
        return false;
    return slot->kind != DEDUP_SLOT_TOOL ||
           (item->value.len > 2 && !slot->call->arguments.complete);
}

/* True while some delta of the event must wait for its slot's decision. */
static bool must_wait(struct dedup_stream *s, const struct dedup_chunk *chunk)
{
    for (size_t i = 0; i < chunk->count; i++) {
        if (holds(dedup_slot_find(s, &chunk->items[i]), &chunk->items[i]))
            return true;
    }
    return false;
}

/* Sends on an event whose turn it is. False: it is to go out as it is and was not sent. */
static bool send_changed(struct dedup_stream *s, const struct dedup_chunk *chunk,
                         struct gate_str raw, struct gate_str data, const struct gate_emitter *out)
{
    struct dedup_bytes changed = {NULL, 0, 0};
    enum dedup_settled settled = s->in->mode == DEDUP_EXACT
                                     ? dedup_settle_exact(s, chunk, data, &changed)
                                     : dedup_settle(s, chunk, data, &changed);

    if (settled == DEDUP_CHANGED) {
        struct dedup_bytes event = {NULL, 0, 0};
        const char *behind = data.ptr + data.len;
        dedup_bytes_append(&event, (struct gate_str){raw.ptr, (size_t)(data.ptr - raw.ptr)});
        dedup_bytes_append(&event, (struct gate_str){changed.ptr, changed.len});
        dedup_bytes_append(&event, (struct gate_str){behind, (size_t)(raw.ptr + raw.len - behind)});
        out->emit(out->ctx, (struct gate_str){event.ptr, event.len});
        dedup_bytes_free(&event);
    }
    dedup_bytes_free(&changed);
    return settled != DEDUP_AS_IS;
}

/* Sends on the first event that waits, unless it still must. */
static bool release_first(struct dedup_stream *s, const struct gate_emitter *out)
{
    struct dedup_held *held = s->first;
    struct gate_str raw = {held->raw, held->len};
    struct gate_str data = {held->raw + held->data.off, held->data.len};
    struct dedup_chunk chunk;
    bool known = data.len > 0 && dedup_chunk_parse(data, &chunk);

    if (known && must_wait(s, &chunk))
        return false;
    s->first = held->next;
    if (s->first == NULL)
        s->last = NULL;
    s->held_events--;
    s->held_bytes -= held->len;
    if (!known || !send_changed(s, &chunk, raw, data, out))
        out->emit(out->ctx, raw);
    free(held);
    return true;
}

static void release(struct dedup_stream *s, const struct gate_emitter *out)
{
    while (s->first != NULL && release_first(s, out))
        continue;
}

static void release_all(struct dedup_stream *s, const struct gate_emitter *out)
{
    stop_holding_all(s);
    release(s, out);
}

/* The timer runs from the moment the first event of a hold arrived: what came later waits less. */
static void set_timer(struct dedup_stream *s, const struct gate_emitter *out)
{
    bool wanted = s->first != NULL;

    if (wanted != s->timer_armed)
        out->set_timer(out->ctx, wanted ? s->in->hold_ms : 0);
    s->timer_armed = wanted;
}

static void hold(struct dedup_stream *s, const struct gate_event *event,
                 const struct dedup_chunk *chunk, const struct gate_emitter *out)
{
    struct dedup_held *held = dedup_alloc(sizeof *held + event->raw.len);

    *held = (struct dedup_held){.next = NULL, .len = event->raw.len};
    memcpy(held->raw, event->raw.ptr, event->raw.len);
    if (chunk != NULL)
        held->data =
            (struct gate_range){(size_t)(event->data.ptr - event->raw.ptr), event->data.len};
    for (size_t i = 0; chunk != NULL && i < chunk->count; i++) {
        struct dedup_slot *slot = dedup_slot_find(s, &chunk->items[i]);
        if (slot != NULL && slot->state == DEDUP_UNDECIDED)
            slot->held = true;
    }
    if (s->last != NULL)
        s->last->next = held;
    else
        s->first = held;
    s->last = held;
    s->held_events++;
    s->held_bytes += held->len;
    if (s->held_events > s->in->hold_events || s->held_bytes > s->in->hold_bytes)
        release_all(s, out);
}

/* Data of several lines is joined elsewhere and cannot be cut inside the event's own bytes. */
static bool is_readable(const struct gate_event *event)
{
    return event->has_data && event->data.len > 0 && event->data.ptr >= event->raw.ptr &&
           event->data.ptr < event->raw.ptr + event->raw.len;
}

/* What the filter cannot read passes. Comments and the like wait behind what is held; an end of
 * stream, an error or the unknown does not: it sends everything before it on its way. */
static enum gate_filter_result pass_unread(struct dedup_stream *s, const struct gate_event *event,
                                           const struct gate_emitter *out)
{
    if (s->first == NULL)
        return GATE_FILTER_PASS;
    if (event->has_data) {
        release_all(s, out);
        set_timer(s, out);
        return GATE_FILTER_PASS;
    }
    hold(s, event, NULL, out);
    set_timer(s, out);
    return GATE_FILTER_TAKEN;
}

/* Nothing in the event could matter: it is one piece for a slot that is known to be incremental, as
 * the dialect says, and nothing is held or cut in this stream. */
static bool is_calm(const struct dedup_stream *s, const struct gate_event *event)
{
    return (event->flags & s->calm) != 0 && s->first == NULL && !s->cumulative;
}

static enum gate_filter_result on_exact(struct dedup_stream *s, const struct dedup_chunk *chunk,
                                        const struct gate_event *event,
                                        const struct gate_emitter *out)
{
    for (size_t i = 0; i < chunk->count; i++) {
        if (chunk->items[i].kind <= DEDUP_ITEM_REASONING &&
            dedup_slot_find(s, &chunk->items[i]) == NULL)
            add_slot(s, &chunk->items[i]);
    }
    return send_changed(s, chunk, event->raw, event->data, out) ? GATE_FILTER_TAKEN
                                                                : GATE_FILTER_PASS;
}

/* ---------------------------------------------------------------- the plugin */

static enum gate_filter_result dedup_on_event(void *state, const struct gate_event *event,
                                              const struct gate_emitter *out)
{
    struct dedup_stream *s = state;
    struct dedup_chunk chunk;
    enum gate_filter_result result = GATE_FILTER_TAKEN;

    if (is_calm(s, event))
        return GATE_FILTER_PASS;
    if (!is_readable(event) || !dedup_chunk_parse(event->data, &chunk))
        return pass_unread(s, event, out);
    if (s->in->mode == DEDUP_EXACT)
        return on_exact(s, &chunk, event, out);
    if (observe(s, &chunk) && s->first == NULL) {
        if (chunk.count == 1)
            s->calm |= event->flags & PIECES;
        return GATE_FILTER_PASS;
    }
    release(s, out);
    if (s->first != NULL || must_wait(s, &chunk))
        hold(s, event, &chunk, out);
    else if (!send_changed(s, &chunk, event->raw, event->data, out))
        result = GATE_FILTER_PASS;
    set_timer(s, out);
    return result;
}

static void dedup_on_timer(void *state, const struct gate_emitter *out)
{
    struct dedup_stream *s = state;

    s->timer_armed = false;
    release_all(s, out);
    set_timer(s, out);
}

static void dedup_on_end(void *state, enum gate_stream_end end, const struct gate_emitter *out)
{
    struct dedup_stream *s = state;

    (void)end;
    release_all(s, out);
    set_timer(s, out);
}

static void *dedup_open(void *instance, struct gate_str dialect)
{
    const struct dedup_instance *in = instance;

    if (in->mode == DEDUP_OFF || !gate_str_eq(dialect, GATE_STR("openai_chat")))
        return NULL;
    struct dedup_stream *s = dedup_alloc(sizeof *s);
    *s = (struct dedup_stream){.in = in};
    return s;
}

static void dedup_close(void *state)
{
    struct dedup_stream *s = state;

    if (s == NULL)
        return;
    while (s->first != NULL) {
        struct dedup_held *held = s->first;
        s->first = held->next;
        free(held);
    }
    for (uint32_t i = 0; i < s->slot_count; i++)
        dedup_slot_free(&s->slots[i]);
    free(s->slots);
    free(s);
}

enum { OPTION_MODE, OPTION_HOLD_MS, OPTION_HOLD_EVENTS, OPTION_HOLD_BYTES };

static const struct gate_option options[] = {
    [OPTION_MODE] = {"mode", GATE_OPTION_STRING, "auto",
                     "off: touch nothing; auto: only streams proven to repeat their text; exact: "
                     "drop each delta that equals the one before it (damages ordinary text)",
                     "off|auto|exact"},
    [OPTION_HOLD_MS] = {"hold_ms", GATE_OPTION_NUMBER, "150",
                        "longest time in ms that an event waits for the proof, 0 to 10000; 0: none "
                        "waits",
                        NULL},
    [OPTION_HOLD_EVENTS] = {"hold_events", GATE_OPTION_NUMBER, "64",
                            "most events of a stream that wait, 1 to 1024", NULL},
    [OPTION_HOLD_BYTES] = {"hold_bytes", GATE_OPTION_NUMBER, "262144",
                           "most bytes of a stream that wait, 1024 to 16777216", NULL},
};

static enum gate_status read_number(const struct gate_value *values, size_t option, double min,
                                    double max, size_t *out, struct gate_error *err)
{
    double n = values[option].number;

    if (!(n >= min && n <= max) || n != (double)(size_t)n)
        return gate_fail(err, GATE_EINVAL, "%s: expected a whole number from %.0f to %.0f",
                         options[option].name, min, max);
    *out = (size_t)n;
    return GATE_OK;
}

static enum gate_status dedup_instance_create(const struct gate_value *values, void **out,
                                              struct gate_error *err)
{
    struct gate_str mode = values[OPTION_MODE].string;
    struct dedup_instance in = {.host = host, .mode = DEDUP_AUTO};
    size_t hold_ms = 0;
    enum gate_status status;

    if (gate_str_eq(mode, GATE_STR("off")))
        in.mode = DEDUP_OFF;
    else if (gate_str_eq(mode, GATE_STR("exact")))
        in.mode = DEDUP_EXACT;
    status = read_number(values, OPTION_HOLD_MS, 0, MAX_HOLD_MS, &hold_ms, err);
    if (status == GATE_OK)
        status = read_number(values, OPTION_HOLD_EVENTS, 1, MAX_HOLD_EVENTS, &in.hold_events, err);
    if (status == GATE_OK)
        status = read_number(values, OPTION_HOLD_BYTES, MIN_HOLD_BYTES, MAX_HOLD_BYTES,
                             &in.hold_bytes, err);
    if (status != GATE_OK)
        return status;
    in.hold_ms = (uint32_t)hold_ms;
    struct dedup_instance *instance = dedup_alloc(sizeof *instance);
    *instance = in;
    *out = instance;
    return GATE_OK;
}

static enum gate_status dedup_init(const struct gate_host *services, struct gate_error *err)
{
    (void)err;
    host = services;
    return GATE_OK;
}

static const struct gate_filter_ops ops = {
    .size = sizeof(struct gate_filter_ops),
    .instance_create = dedup_instance_create,
    .instance_destroy = free,
    .open = dedup_open,
    .on_event = dedup_on_event,
    .on_timer = dedup_on_timer,
    .on_end = dedup_on_end,
    .close = dedup_close,
};

GATE_EXPORT const struct gate_plugin gate_plugin = {
    GATE_PLUGIN_HEADER(GATE_KIND_FILTER),
    .name = "sse_dedup",
    .version = GATE_VERSION,
    .summary = "removes repeated text from streams whose deltas repeat everything so far",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .ops = &ops,
    .init = dedup_init,
};
