/*
 * cursor: reads JSON from left to right, where it lies, without checking more than it must. Used by
 * inspect.c and usage.c for every event of every stream, and by system.c; inline, because a call
 * for each member would cost more than what it does. Pure functions over bytes that the caller
 * lent, any thread.
 */
#ifndef OPENAI_CHAT_CURSOR_H
#define OPENAI_CHAT_CURSOR_H

#include <gate/json_mark.h>
#include <gate/plugin.h>

/* The unread part of the bytes. A reader that meets something unexpected moves p to end, which ends
 * every loop; what was found until then stays. */
struct cursor {
    const char *p;
    const char *end;
    bool broken; /* it did: the bytes are no JSON, or not all of it */
};

/* A JSON value: what it looks like, and its bytes. */
struct value {
    const char *ptr;
    size_t len;
};

static inline struct cursor cursor_of(struct gate_str s)
{
    const char *p = s.len > 0 ? s.ptr : ""; /* NULL has no end to compute */

    return (struct cursor){p, p + s.len, false};
}

static inline void skip_space(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t'))
        c->p++;
}

static inline void give_up(struct cursor *c)
{
    c->p = c->end;
    c->broken = true;
}

/* c stands on the opening quote; afterwards behind the closing one. */
static inline void skip_string(struct cursor *c)
{
    const char *p = gate_json_mark(c->p + 1, c->end);

    while (p < c->end && *p == '\\')
        p = c->end - p > 2 ? gate_json_mark(p + 2, c->end) : c->end;
    if (p < c->end)
        c->p = p + 1;
    else
        give_up(c);
}

/* c stands on '{' or '['; afterwards behind its partner. Braces and brackets are not told apart:
 * the flags are hints about an event that the client will parse itself. */
static inline void skip_nested(struct cursor *c)
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
    give_up(c);
}

static inline bool ends_scalar(char c)
{
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The general case of read_value. */
static inline struct value read_any_value(struct cursor *c)
{
    const char *start;

    skip_space(c);
    start = c->p;
    if (c->p == c->end) {
        give_up(c);
        return (struct value){start, 0};
    }
    if (*c->p == '"') {
        skip_string(c);
    } else if (*c->p == '{' || *c->p == '[') {
        skip_nested(c);
    } else {
        const char *p = start;

        while (p < c->end && !ends_scalar(*p))
            p++;
        c->p = p;
        if (p == start) {
            give_up(c);
            return (struct value){start, 0};
        }
    }
    return (struct value){start, (size_t)(c->p - start)};
}

/* Reads one value. Where none is, gives up, so that every loop over values ends. Most are strings
 * without escapes, and stand just here. */
static inline struct value read_value(struct cursor *c)
{
    const char *start = c->p;

    if (start < c->end && *start == '"') {
        const char *mark = gate_json_mark(start + 1, c->end);

        if (mark < c->end && *mark == '"') {
            c->p = mark + 1;
            return (struct value){start, (size_t)(c->p - start)};
        }
    }
    return read_any_value(c);
}

/* Enters the object or array that c stands on. */
static inline bool enter(struct cursor *c, char open)
{
    skip_space(c);
    if (c->p == c->end || *c->p != open)
        return false;
    c->p++;
    return true;
}

/* The general case of next_member. */
static inline bool next_any_member(struct cursor *c, struct value *key)
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

/* Moves to the next member of the object that c is in; c then stands before its value. False: the
 * object is over and c stands behind it. Services write no spaces. */
static inline bool next_member(struct cursor *c, struct value *key)
{
    const char *p = c->p, *mark;

    if (p < c->end && *p == ',')
        p++;
    if (p < c->end && *p == '"') {
        mark = gate_json_mark(p + 1, c->end);
        if (c->end - mark > 1 && mark[0] == '"' && mark[1] == ':') {
            *key = (struct value){p + 1, (size_t)(mark - p - 1)};
            c->p = mark + 2;
            return true;
        }
    }
    return next_any_member(c, key);
}

/* Moves to the next element of the array that c is in. False: the array is over. */
static inline bool next_element(struct cursor *c)
{
    skip_space(c);
    if (c->p < c->end && *c->p == ',') {
        c->p++;
        skip_space(c);
    }
    if (c->p == c->end) {
        give_up(c);
        return false;
    }
    if (*c->p == ']') {
        c->p++;
        return false;
    }
    return true;
}

static inline bool is(struct value v, const char *text, size_t len)
{
    return v.len == len && memcmp(v.ptr, text, len) == 0;
}

#define IS(v, literal) is((v), (literal), sizeof(literal) - 1)

enum { CURSOR_NO_DIGIT = 16 };

static inline unsigned hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
           : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                  : CURSOR_NO_DIGIT;
}

/* Does the inside of a string say name, which is plain ASCII? "include\u005fusage" does to every
 * reader behind us, so it must to us. */
static inline bool key_is(struct value key, const char *name, size_t len)
{
    const char *p = key.ptr, *end = key.ptr + key.len;
    size_t n = 0;

    if (memchr(key.ptr, '\\', key.len) == NULL)
        return is(key, name, len);
    for (; p < end; n++) {
        unsigned code = (unsigned char)*p++;

        if (code == '\\') {
            if (end - p < 5 || *p != 'u')
                return false;
            code = 0;
            for (int at = 1; at <= 4; at++) {
                unsigned digit = hex_digit(p[at]);

                if (digit == CURSOR_NO_DIGIT)
                    return false;
                code = code << 4 | digit;
            }
            p += 5;
        }
        if (n == len || code != (unsigned char)name[n])
            return false;
    }
    return n == len;
}

#define KEY_IS(key, literal) key_is((key), (literal), sizeof(literal) - 1)

#endif
