#include "request/stream.h"
#include "request/failure.h"

static void release(struct gate_stream *s)
{
    s->released = true;
    if (s->held.len > 0)
        s->write(s->ctx, gate_buf_str(&s->held));
    gate_buf_finish(&s->held);
}

static void put(struct gate_stream *s, struct gate_str bytes)
{
    if (bytes.len == 0)
        return;
    if (!s->released && gate_buf_append(&s->held, bytes))
        return;
    if (!s->released)
        release(s);
    s->write(s->ctx, bytes);
}

static void write_run(struct gate_stream *s)
{
    put(s, s->run);
    s->run.len = 0;
}

static void emit(void *ctx, struct gate_str events)
{
    struct gate_stream *s = ctx;
    write_run(s);
    put(s, events);
}

static void set_timer(void *ctx, uint32_t ms)
{
    struct gate_stream *s = ctx;
    if (ms == 0)
        gate_timer_disarm(s->env->timers, &s->timer);
    else
        gate_timer_arm(s->env->timers, &s->timer, ms);
}

static struct gate_emitter emitter_of(struct gate_stream *s)
{
    return (struct gate_emitter){
        .size = sizeof(struct gate_emitter), .ctx = s, .emit = emit, .set_timer = set_timer};
}

static void on_timer(struct gate_timer *timer)
{
    struct gate_stream *s =
        (struct gate_stream *)((char *)timer - offsetof(struct gate_stream, timer));
    struct gate_emitter out = emitter_of(s);
    s->filter->on_timer(s->filter_state, &out);
    s->flush(s->ctx);
}

void gate_stream_open(struct gate_stream *s, struct gate_env *env,
                      const struct gate_instance *instance, bool strip_usage,
                      void (*write)(void *ctx, struct gate_str bytes), void (*flush)(void *ctx),
                      void *ctx)
{
    memset(s, 0, sizeof *s);
    gate_sse_init(&s->sse, GATE_STREAM_MAX_EVENT);
    gate_buf_init(&s->held, GATE_STREAM_MAX_HELD);
    gate_buf_init(&s->refused, GATE_STREAM_MAX_EVENT);
    gate_buf_init(&s->told, GATE_STREAM_MAX_EVENT);
    s->env = env;
    s->strip_usage = strip_usage;
    s->dialect = instance->dialect;
    s->write = write;
    s->flush = flush;
    s->ctx = ctx;
    s->timer.cb = on_timer;
    if (instance->filter != NULL) {
        s->filter_state =
            instance->filter->open(instance->filter_state, gate_str_of(instance->ops->dialect));
        if (s->filter_state != NULL)
            s->filter = instance->filter;
    }
}

/* Events that lie side by side in the chunk go on as one piece. */
static void pass(struct gate_stream *s, struct gate_str raw)
{
    bool in_chunk = raw.ptr >= s->chunk.ptr && raw.ptr < s->chunk.ptr + s->chunk.len;
    if (in_chunk && s->run.len > 0 && s->run.ptr + s->run.len == raw.ptr) {
        s->run.len += raw.len;
        return;
    }
    write_run(s);
    s->run = raw;
    if (!in_chunk)
        write_run(s); /* lies in the framer's buffer, which does not last */
}

/* Flags of an event; *text_bytes is what it adds to the answer. */
static unsigned read_event(const struct gate_dialect_ops *dialect, const struct gate_event *event,
                           size_t *text_bytes)
{
    unsigned flags;
    if (dialect->read_event != NULL)
        return dialect->read_event(event, text_bytes);
    flags = dialect->inspect_event(event);
    *text_bytes = 0;
    if ((flags & GATE_EVENT_CONTENT) && dialect->text_bytes != NULL)
        *text_bytes = dialect->text_bytes(event->data);
    return flags;
}

/* Looks at an event in the dialect's terms. False: it must not go on as it is: it reports a
 * failure, or usage that only the gateway asked for. */
static bool inspect(struct gate_stream *s, struct gate_event *event)
{
    size_t text_bytes;
    unsigned flags = read_event(s->dialect, event, &text_bytes);
    event->flags = flags;
    s->seen |= flags;
    if ((flags & GATE_EVENT_ERROR) && !(s->released && gate_failure_is_api_error(event->data))) {
        write_run(s);
        s->failed = true;
        gate_buf_append(&s->refused, event->data);
        return false;
    }
    if ((flags & GATE_EVENT_ERROR) && s->told.len == 0)
        gate_buf_append(&s->told, event->data);
    if (!s->released && (flags & (GATE_EVENT_CONTENT | GATE_EVENT_FINISH)))
        release(s);
    s->text_bytes += text_bytes;
    if ((flags & GATE_EVENT_USAGE) && s->dialect->read_usage != NULL &&
        s->dialect->read_usage(event->data, &s->usage))
        s->has_usage = true;
    return !(s->strip_usage && (flags & GATE_EVENT_USAGE_ONLY));
}

static void on_event(void *ctx, const struct gate_event *framed)
{
    struct gate_stream *s = ctx;
    struct gate_event event = *framed;
    if (s->failed || (event.has_data && !inspect(s, &event)))
        return;
    if (s->filter != NULL) {
        struct gate_emitter out = emitter_of(s);
        if (s->filter->on_event(s->filter_state, &event, &out) == GATE_FILTER_TAKEN)
            return;
    }
    pass(s, event.raw);
}

bool gate_stream_feed(struct gate_stream *s, struct gate_str bytes)
{
    s->chunk = bytes;
    gate_sse_feed(&s->sse, bytes, on_event, s);
    write_run(s);
    s->chunk = (struct gate_str){NULL, 0};
    return !s->failed;
}

bool gate_stream_end(struct gate_stream *s)
{
    const unsigned content = GATE_EVENT_CONTENT | GATE_EVENT_FINISH;
    bool complete = (s->seen & GATE_EVENT_FINISH) != 0 ||
                    ((s->seen & GATE_EVENT_TERMINAL) != 0 && (s->seen & content) != 0);
    if (s->ended)
        return complete;
    s->ended = true;
    if (s->filter != NULL) {
        struct gate_emitter out = emitter_of(s);
        s->filter->on_end(s->filter_state, complete ? GATE_END_COMPLETE : GATE_END_TRUNCATED, &out);
    }
    struct gate_str rest = gate_sse_rest(&s->sse);
    if (complete && rest.len > 0)
        emit(s, rest);
    return complete;
}

void gate_stream_close(struct gate_stream *s)
{
    if (s->env == NULL)
        return;
    gate_timer_disarm(s->env->timers, &s->timer);
    if (s->filter != NULL)
        s->filter->close(s->filter_state);
    gate_sse_finish(&s->sse);
    gate_buf_finish(&s->held);
    gate_buf_finish(&s->refused);
    gate_buf_finish(&s->told);
    s->env = NULL;
}

bool gate_stream_at_boundary(const struct gate_stream *s)
{
    return s->env == NULL || s->sse.carry.len == 0;
}
