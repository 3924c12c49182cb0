#include "inspect.h"

#include "cursor.h"

/* Neither null, false, 0, nor an empty string, array or object. */
static bool says_something(struct value v)
{
    struct cursor inside;

    if (v.len == 0 || *v.ptr == 'n' || *v.ptr == 'f' || IS(v, "0"))
        return false;
    if (*v.ptr == '"')
        return v.len > 2;
    if (*v.ptr != '{' && *v.ptr != '[')
        return true;
    inside = (struct cursor){v.ptr + 1, v.ptr + v.len, false};
    skip_space(&inside);
    return inside.p + 1 < inside.end;
}

/* What was read of an event, or of a whole answer. */
struct reading {
    unsigned flags;
    size_t text; /* bytes between the quotes of what the model said */
    unsigned choices;
    bool mixed; /* something else than TEXT_ONLY and REASONING_ONLY say */
};

enum { PIECES = GATE_EVENT_TEXT_ONLY | GATE_EVENT_REASONING_ONLY };

/* A member of the delta that holds one piece, if it is a string. */
static void note_piece(struct reading *r, struct value v, unsigned flag)
{
    r->flags |= flag;
    r->mixed |= *v.ptr != '"';
}

/* Inside the quotes of a string; 0 for everything else. */
static size_t text_of(struct value v)
{
    return v.len > 2 && *v.ptr == '"' ? v.len - 2 : 0;
}

static struct cursor inside(struct value v)
{
    return (struct cursor){v.ptr, v.ptr + v.len, false};
}

/* An object of which one member is text: {"arguments": "..."}, {"type": "text", "text": "..."}. */
static size_t member_bytes(struct cursor *c, const char *name, size_t len)
{
    size_t sum = 0;
    struct value key;

    if (!enter(c, '{')) {
        read_value(c);
        return 0;
    }
    while (next_member(c, &key)) {
        struct value v = read_value(c);

        if (is(key, name, len))
            sum += text_of(v);
    }
    return sum;
}

/* Content is a string, or a list of parts with a text each. */
static size_t content_bytes(struct value content)
{
    struct cursor c = inside(content);
    size_t sum = 0;

    if (!enter(&c, '['))
        return text_of(content);
    while (next_element(&c))
        sum += member_bytes(&c, "text", 4);
    return sum;
}

static size_t calls_bytes(struct value calls)
{
    struct cursor c = inside(calls);
    size_t sum = 0;
    struct value key;

    if (!enter(&c, '['))
        return 0;
    while (next_element(&c)) {
        if (!enter(&c, '{')) {
            read_value(&c);
            continue;
        }
        while (next_member(&c, &key)) {
            if (IS(key, "function"))
                sum += member_bytes(&c, "arguments", 9);
            else
                read_value(&c);
        }
    }
    return sum;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* A delta, or the message of a service that sends whole messages. Everything in it but the role is
 * part of the answer, also members that this version has never heard of. */
static void read_delta(struct cursor *c, struct reading *r)
{
    size_t reasoning = 0; /* services that send it by both names send the same text twice */
    struct value key;

    if (!enter(c, '{')) {
        read_value(c);
        return;
    }
    while (next_member(c, &key)) {
        struct value v = read_value(c);
        bool scalar = v.len > 0 && *v.ptr != '"' && *v.ptr != '{' && *v.ptr != '[';

        if (scalar || IS(key, "role") || !says_something(v))
            continue;
        r->flags |= GATE_EVENT_CONTENT;
        if (IS(key, "content")) {
            note_piece(r, v, GATE_EVENT_TEXT_ONLY);
            r->text += content_bytes(v);
        } else if (IS(key, "reasoning_content")) {
            note_piece(r, v, GATE_EVENT_REASONING_ONLY);
            reasoning = larger(text_of(v), reasoning);
        } else {
            r->mixed = true;
            if (IS(key, "reasoning"))
                reasoning = larger(text_of(v), reasoning);
            else if (IS(key, "tool_calls"))
                r->text += calls_bytes(v);
        }
    }
    r->text += reasoning;
}

static void read_choice(struct cursor *c, struct reading *r)
{
    struct value key;

    if (!enter(c, '{')) {
        read_value(c);
        return;
    }
    while (next_member(c, &key)) {
        struct value v;

        if (IS(key, "delta") || IS(key, "message")) {
            r->mixed |= *key.ptr == 'm';
            read_delta(c, r);
            continue;
        }
        v = read_value(c);
        if (IS(key, "index")) {
            r->mixed |= !IS(v, "0");
        } else if (IS(key, "finish_reason") && IS(v, "\"error_finish\"")) {
            r->flags |= GATE_EVENT_ERROR;
        } else if (IS(key, "finish_reason") && says_something(v)) {
            r->flags |= GATE_EVENT_FINISH | GATE_EVENT_CONTENT;
        } else if (IS(key, "text") && says_something(v)) {
            /* of services that answer in the older shape */
            r->flags |= GATE_EVENT_CONTENT;
            r->mixed = true;
            r->text += text_of(v);
        }
    }
}

/* *any becomes true when there is something in the list, or it is no list. */
static void read_choices(struct cursor *c, struct reading *r, bool *any)
{
    if (!enter(c, '[')) {
        *any |= says_something(read_value(c));
        return;
    }
    while (next_element(c)) {
        *any = true;
        r->mixed |= r->choices++ > 0;
        read_choice(c, r);
    }
}

/* c is behind the opening brace. */
static struct reading read_object(struct cursor *c)
{
    struct reading r = {.flags = 0};
    bool choices = false, any = false, code = false, message = false, object_error = false;
    struct value key;

    while (next_member(c, &key)) {
        struct value v;

        if (IS(key, "choices")) {
            choices = true;
            read_choices(c, &r, &any);
            continue;
        }
        v = read_value(c);
        if (IS(key, "usage") && says_something(v))
            r.flags |= GATE_EVENT_USAGE | (*v.ptr == '{' ? GATE_EVENT_USAGE_ONLY : 0u);
        else if (IS(key, "error") && says_something(v))
            r.flags |= GATE_EVENT_ERROR;
        else if (IS(key, "code"))
            code = says_something(v);
        else if (IS(key, "message"))
            message = says_something(v);
        else if (IS(key, "object"))
            object_error = IS(v, "\"error\"");
    }
    /* What is not whole may carry more. */
    if (any || c->broken)
        r.flags &= ~(unsigned)GATE_EVENT_USAGE_ONLY;
    if (r.mixed || c->broken)
        r.flags &= ~(unsigned)PIECES;
    /* Some services report a failure as a bare {"code", "message"} or {"object": "error"}. */
    if (!choices && message && (code || object_error))
        r.flags |= GATE_EVENT_ERROR;
    return r;
}

unsigned openai_chat_read_event(const struct gate_event *event, size_t *text_bytes)
{
    struct reading r = {.flags = 0};

    if (event->has_data && event->data.len > 0) {
        struct cursor c = cursor_of(event->data);

        if (enter(&c, '{'))
            r = read_object(&c);
        else if ((size_t)(c.end - c.p) >= 6 && memcmp(c.p, "[DONE]", 6) == 0)
            r.flags = GATE_EVENT_TERMINAL;
    }
    if (gate_str_eq(event->type, GATE_STR("error")))
        r.flags |= GATE_EVENT_ERROR;
    /* The text of a failure stands where an answer would: it must not count as one. */
    if (r.flags & GATE_EVENT_ERROR)
        r.flags &= ~(unsigned)(GATE_EVENT_CONTENT | GATE_EVENT_FINISH | GATE_EVENT_USAGE_ONLY);
    if ((r.flags & (GATE_EVENT_ERROR | GATE_EVENT_FINISH)) || (r.flags & PIECES) == PIECES)
        r.flags &= ~(unsigned)PIECES;
    *text_bytes = r.flags & GATE_EVENT_CONTENT ? r.text : 0;
    return r.flags;
}

unsigned openai_chat_inspect(const struct gate_event *event)
{
    size_t text_bytes;

    return openai_chat_read_event(event, &text_bytes);
}

size_t openai_chat_text_bytes(struct gate_str json)
{
    struct cursor c = cursor_of(json);

    return enter(&c, '{') ? read_object(&c).text : 0;
}
