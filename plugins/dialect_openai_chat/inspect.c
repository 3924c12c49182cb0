#include "inspect.h"

/* The unread part of the event's data. A reader that meets something unexpected moves p to end,
 * which ends every loop; what was found until then stays. */
struct cursor {
    const char *p;
    const char *end;
};

/* A JSON value: what it looks like, and its bytes. */
struct value {
    const char *ptr;
    size_t len;
};

static void skip_space(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t'))
        c->p++;
}

static void give_up(struct cursor *c)
{
    c->p = c->end;
}

/* c stands on the opening quote; afterwards behind the closing one. */
static void skip_string(struct cursor *c)
{
    const char *q = c->p + 1;

    while (q < c->end && (q = memchr(q, '"', (size_t)(c->end - q))) != NULL) {
        const char *b = q;

        /* A quote is escaped when an odd number of backslashes stands before it. */
        while (b[-1] == '\\' && b - 1 > c->p)
            b--;
        q++;
        if (((q - 1 - b) & 1) == 0) {
            c->p = q;
            return;
        }
    }
    give_up(c);
}

/* c stands on '{' or '['; afterwards behind its partner. Braces and brackets are not told apart:
 * the flags are hints about an event that the client will parse itself. */
static void skip_nested(struct cursor *c)
{
    size_t depth = 0;

    while (c->p < c->end) {
        switch (*c->p) {
        case '"':
            skip_string(c);
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (--depth == 0) {
                c->p++;
                return;
            }
            break;
        default:
            break;
        }
        c->p++;
    }
}

static bool ends_scalar(char c)
{
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Reads one value. Where none is, gives up, so that every loop over values ends. */
static struct value read_value(struct cursor *c)
{
    const char *start;

    skip_space(c);
    start = c->p;
    if (c->p == c->end)
        return (struct value){start, 0};
    if (*c->p == '"') {
        skip_string(c);
    } else if (*c->p == '{' || *c->p == '[') {
        skip_nested(c);
    } else {
        while (c->p < c->end && !ends_scalar(*c->p))
            c->p++;
        if (c->p == start) {
            give_up(c);
            return (struct value){start, 0};
        }
    }
    return (struct value){start, (size_t)(c->p - start)};
}

/* Enters the object or array that c stands on. */
static bool enter(struct cursor *c, char open)
{
    skip_space(c);
    if (c->p == c->end || *c->p != open)
        return false;
    c->p++;
    return true;
}

/* Moves to the next member of the object that c is in; c then stands before its value. False: the
 * object is over and c stands behind it. */
static bool next_member(struct cursor *c, struct value *key)
{
    skip_space(c);
    if (c->p < c->end && *c->p == ',') {
        c->p++;
        skip_space(c);
    }
    if (c->p == c->end || *c->p != '"') {
        if (c->p < c->end && *c->p == '}')
            c->p++;
        else
            give_up(c);
        return false;
    }
    key->ptr = c->p + 1;
    skip_string(c);
    key->len = (size_t)(c->p - key->ptr) - (c->p > key->ptr ? 1 : 0);
    skip_space(c);
    if (c->p == c->end || *c->p != ':') {
        give_up(c);
        return false;
    }
    c->p++;
    return true;
}

/* Moves to the next element of the array that c is in. False: the array is over. */
static bool next_element(struct cursor *c)
{
    skip_space(c);
    if (c->p < c->end && *c->p == ',') {
        c->p++;
        skip_space(c);
    }
    if (c->p == c->end)
        return false;
    if (*c->p == ']') {
        c->p++;
        return false;
    }
    return true;
}

static bool is(struct value v, const char *text, size_t len)
{
    return v.len == len && memcmp(v.ptr, text, len) == 0;
}

#define IS(v, literal) is((v), (literal), sizeof(literal) - 1)

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
    inside = (struct cursor){v.ptr + 1, v.ptr + v.len};
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

static unsigned inspect_choices(struct cursor *c)
{
    unsigned flags = 0;

    if (!enter(c, '[')) {
        read_value(c);
        return 0;
    }
    while (next_element(c))
        flags |= inspect_choice(c);
    return flags;
}

static unsigned inspect_object(struct cursor *c)
{
    unsigned flags = 0;
    bool choices = false, code = false, message = false, object_error = false;
    struct value key;

    while (next_member(c, &key)) {
        struct value v;

        if (IS(key, "choices")) {
            choices = true;
            flags |= inspect_choices(c);
            continue;
        }
        v = read_value(c);
        if (IS(key, "usage") && says_something(v))
            flags |= GATE_EVENT_USAGE;
        else if (IS(key, "error") && says_something(v))
            flags |= GATE_EVENT_ERROR;
        else if (IS(key, "code"))
            code = says_something(v);
        else if (IS(key, "message"))
            message = says_something(v);
        else if (IS(key, "object"))
            object_error = IS(v, "\"error\"");
    }
    /* Some services report a failure as a bare {"code", "message"} or {"object": "error"}. */
    if (!choices && message && (code || object_error))
        flags |= GATE_EVENT_ERROR;
    return flags;
}

unsigned openai_chat_inspect(const struct gate_event *event)
{
    unsigned flags = 0;

    if (event->has_data && event->data.len > 0) {
        struct cursor c = {event->data.ptr, event->data.ptr + event->data.len};

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
        flags &= ~(unsigned)(GATE_EVENT_CONTENT | GATE_EVENT_FINISH);
    return flags;
}
