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

/* A delta, or the message of a service that sends whole messages. Everything in it but the role is
 * part of the answer, also members that this version has never heard of. */
static unsigned inspect_delta(struct cursor *c)
{
    unsigned flags = 0;
    struct value key;

    if (!enter(c, '{')) {
        read_value(c);
        return 0;
    }
    while (next_member(c, &key)) {
        struct value v = read_value(c);
        bool scalar = v.len > 0 && *v.ptr != '"' && *v.ptr != '{' && *v.ptr != '[';

        if (!scalar && !IS(key, "role") && says_something(v))
            flags |= GATE_EVENT_CONTENT;
    }
    return flags;
}

static unsigned inspect_choice(struct cursor *c)
{
    unsigned flags = 0;
    struct value key;

    if (!enter(c, '{')) {
        read_value(c);
        return 0;
    }
    while (next_member(c, &key)) {
        struct value v;

        if (IS(key, "delta") || IS(key, "message")) {
            flags |= inspect_delta(c);
            continue;
        }
        v = read_value(c);
        if (IS(key, "finish_reason") && IS(v, "\"error_finish\""))
            flags |= GATE_EVENT_ERROR;
        else if (IS(key, "finish_reason") && says_something(v))
            flags |= GATE_EVENT_FINISH | GATE_EVENT_CONTENT;
        else if (IS(key, "text") && says_something(v))
            flags |= GATE_EVENT_CONTENT;
    }
    return flags;
}

/* *any becomes true when there is something in the list, or it is no list. */
static unsigned inspect_choices(struct cursor *c, bool *any)
{
    unsigned flags = 0;

    if (!enter(c, '[')) {
        *any |= says_something(read_value(c));
        return 0;
    }
    while (next_element(c)) {
        *any = true;
        flags |= inspect_choice(c);
    }
    return flags;
}

static unsigned inspect_object(struct cursor *c)
{
    unsigned flags = 0;
    bool choices = false, any = false, code = false, message = false, object_error = false;
    struct value key;

    while (next_member(c, &key)) {
        struct value v;

        if (IS(key, "choices")) {
            choices = true;
            flags |= inspect_choices(c, &any);
            continue;
        }
        v = read_value(c);
        if (IS(key, "usage") && says_something(v))
            flags |= GATE_EVENT_USAGE | (*v.ptr == '{' ? GATE_EVENT_USAGE_ONLY : 0u);
        else if (IS(key, "error") && says_something(v))
            flags |= GATE_EVENT_ERROR;
        else if (IS(key, "code"))
            code = says_something(v);
        else if (IS(key, "message"))
            message = says_something(v);
        else if (IS(key, "object"))
            object_error = IS(v, "\"error\"");
    }
    /* What is not whole may carry more. */
    if (any || c->broken)
        flags &= ~(unsigned)GATE_EVENT_USAGE_ONLY;
    /* Some services report a failure as a bare {"code", "message"} or {"object": "error"}. */
    if (!choices && message && (code || object_error))
        flags |= GATE_EVENT_ERROR;
    return flags;
}

unsigned openai_chat_inspect(const struct gate_event *event)
{
    unsigned flags = 0;

    if (event->has_data && event->data.len > 0) {
        struct cursor c = cursor_of(event->data);

        skip_space(&c);
        if (c.p < c.end && *c.p == '{') {
            c.p++;
            flags = inspect_object(&c);
        } else if ((size_t)(c.end - c.p) >= 6 && memcmp(c.p, "[DONE]", 6) == 0) {
            flags = GATE_EVENT_TERMINAL;
        }
    }
    if (gate_str_eq(event->type, GATE_STR("error")))
        flags |= GATE_EVENT_ERROR;
    /* The text of a failure stands where an answer would: it must not count as one. */
    if (flags & GATE_EVENT_ERROR)
        flags &= ~(unsigned)(GATE_EVENT_CONTENT | GATE_EVENT_FINISH | GATE_EVENT_USAGE_ONLY);
    return flags;
}
