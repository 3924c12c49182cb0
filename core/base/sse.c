/* sse: see sse.h. */
#include "base/sse.h"

#define BOM "\xef\xbb\xbf"

/* Where the next line ends in a chunk are kept between lines, so that a chunk of many lines is
 * searched once for each of the two end marks. Positions are NULL when unknown and `end` when there
 * is none. */
struct cursor {
    const char *at;
    const char *end;
    const char *lf;
    const char *cr;
};

static const char *find(const struct cursor *c, char mark)
{
    const char *hit = memchr(c->at, mark, (size_t)(c->end - c->at));
    return hit != NULL ? hit : c->end;
}

static const char *line_end(struct cursor *c)
{
    if (c->lf == NULL || c->lf < c->at)
        c->lf = find(c, '\n');
    if (c->cr == NULL || c->cr < c->at)
        c->cr = find(c, '\r');
    return c->lf < c->cr ? c->lf : c->cr;
}

/* Moves past the current event's closing blank line and returns true, or to the end of the chunk.
 */
static bool find_event_end(struct gate_sse *s, struct cursor *c)
{
    if (s->skip_lf && c->at < c->end) {
        s->skip_lf = false;
        if (*c->at == '\n')
            c->at++;
    }
    while (c->at < c->end) {
        const char *mark = line_end(c);
        bool blank = s->at_line_start && mark == c->at;

        s->at_line_start = mark < c->end;
        if (mark == c->end) {
            c->at = c->end;
            return false;
        }
        c->at = mark + 1;
        if (*mark == '\r') {
            s->skip_lf = c->at == c->end;
            if (!s->skip_lf && *c->at == '\n')
                c->at++;
        }
        if (blank)
            return true;
    }
    return false;
}

/* An event while its lines are read. */
struct parse {
    struct gate_event *event;
    struct gate_buf *joined;
    size_t data_lines;
    bool fits; /* joined had room for all data so far */
};

static void take_data(struct parse *p, struct gate_str value)
{
    if (++p->data_lines == 1) {
        p->event->data = value;
        return;
    }
    if (p->data_lines == 2)
        p->fits = gate_buf_append(p->joined, p->event->data);
    p->fits = p->fits && gate_buf_append_byte(p->joined, '\n') && gate_buf_append(p->joined, value);
}

static void take_line(struct parse *p, struct gate_str line)
{
    const char *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;
    struct gate_str name = line, value = {NULL, 0};

    if (colon != NULL) {
        name.len = (size_t)(colon - line.ptr);
        value = (struct gate_str){colon + 1, line.len - name.len - 1};
        if (value.len > 0 && value.ptr[0] == ' ')
            value = (struct gate_str){value.ptr + 1, value.len - 1};
    }
    if (gate_str_eq(name, GATE_STR("data")))
        take_data(p, value);
    else if (gate_str_eq(name, GATE_STR("event")))
        p->event->type = value;
    else if (gate_str_eq(name, GATE_STR("id")))
        p->event->id = value;
}

/* The empty line that CRLF leaves behind when it is read as two line ends carries nothing. */
static void parse_lines(struct gate_str text, struct gate_buf *joined, struct gate_event *event)
{
    struct cursor c = {text.ptr, text.ptr + text.len, NULL, NULL};
    struct parse p = {event, joined, 0, true};

    while (c.at < c.end) {
        const char *mark = line_end(&c);
        take_line(&p, (struct gate_str){c.at, (size_t)(mark - c.at)});
        c.at = mark + (mark < c.end);
    }
    event->has_data = p.data_lines > 0 && p.fits;
    if (!event->has_data)
        event->data = (struct gate_str){NULL, 0};
    else if (p.data_lines > 1)
        event->data = gate_buf_str(joined);
}

static struct gate_str without_bom(struct gate_str text)
{
    if (gate_str_starts(text, GATE_STR(BOM)))
        return (struct gate_str){text.ptr + sizeof(BOM) - 1, text.len - (sizeof(BOM) - 1)};
    return text;
}

void gate_sse_parse(struct gate_str raw, struct gate_buf *joined, struct gate_event *event)
{
    joined->len = 0;
    *event = (struct gate_event){.raw = raw};
    parse_lines(without_bom(raw), joined, event);
}

/* Hands out a whole event. */
static void deliver(struct gate_sse *s, struct gate_str raw, gate_sse_cb cb, void *ctx)
{
    struct gate_event event = {.raw = raw};

    parse_lines(s->started ? raw : without_bom(raw), &s->joined, &event);
    s->started = true;
    cb(ctx, &event);
    if (s->joined.cap > 0)
        gate_buf_finish(&s->joined);
}

/* Hands out a piece of an event that is too long to be parsed. */
static void deliver_piece(struct gate_sse *s, struct gate_str piece, gate_sse_cb cb, void *ctx)
{
    struct gate_event event = {.raw = piece};

    s->started = true;
    if (piece.len > 0)
        cb(ctx, &event);
}

/* An event's last bytes: `piece` follows what is carried. */
static void end_event(struct gate_sse *s, struct gate_str piece, gate_sse_cb cb, void *ctx)
{
    if (!s->overflow && s->carry.len == 0 && piece.len <= s->carry.max) {
        deliver(s, piece, cb, ctx);
        return;
    }
    if (!s->overflow && gate_buf_append(&s->carry, piece)) {
        deliver(s, gate_buf_str(&s->carry), cb, ctx);
    } else {
        deliver_piece(s, gate_buf_str(&s->carry), cb, ctx);
        deliver_piece(s, piece, cb, ctx);
    }
    s->overflow = false;
    /* A held stream must cost nothing, so the memory does not wait for the next event. */
    gate_buf_finish(&s->carry);
}

/* The chunk ended inside an event: keep its bytes until the rest comes. */
static void keep_piece(struct gate_sse *s, struct gate_str piece, gate_sse_cb cb, void *ctx)
{
    if (!s->overflow && gate_buf_append(&s->carry, piece))
        return;
    s->overflow = true;
    deliver_piece(s, gate_buf_str(&s->carry), cb, ctx);
    gate_buf_finish(&s->carry);
    deliver_piece(s, piece, cb, ctx);
}

void gate_sse_init(struct gate_sse *s, size_t max_event)
{
    *s = (struct gate_sse){.at_line_start = true};
    gate_buf_init(&s->carry, max_event);
    gate_buf_init(&s->joined, max_event);
}

void gate_sse_finish(struct gate_sse *s)
{
    gate_buf_finish(&s->carry);
    gate_buf_finish(&s->joined);
}

void gate_sse_feed(struct gate_sse *s, struct gate_str bytes, gate_sse_cb cb, void *ctx)
{
    struct cursor c = {bytes.ptr, bytes.ptr + bytes.len, NULL, NULL};

    while (c.at < c.end) {
        const char *start = c.at;
        bool complete = find_event_end(s, &c);
        struct gate_str piece = {start, (size_t)(c.at - start)};

        if (complete)
            end_event(s, piece, cb, ctx);
        else
            keep_piece(s, piece, cb, ctx);
    }
}

struct gate_str gate_sse_rest(const struct gate_sse *s)
{
    return gate_buf_str(&s->carry);
}
