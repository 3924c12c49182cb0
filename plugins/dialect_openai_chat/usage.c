#include "usage.h"

#include "cursor.h"

/* include_usage more often than this in one object is nobody's honest request. */
enum { MAX_REPEATS = 8 };

#define ASK "{\"include_usage\":true}"

/* ---- asking */

static void replace(const struct gate_request_builder *out, struct gate_str body, struct value v,
                    struct gate_str text)
{
    out->replace(out->ctx, (size_t)(v.ptr - body.ptr), v.len, text);
}

/* stream_options is an object. */
static bool ask_in_options(struct gate_str body, const struct gate_request_facts *facts,
                           const struct gate_request_builder *out)
{
    struct cursor c = cursor_of(
        (struct gate_str){body.ptr + facts->stream_options.off, facts->stream_options.len});
    struct value behind = {c.p + 1, 0}, key, wrong[MAX_REPEATS];
    size_t wrong_count = 0;
    bool present = false, empty = true, asked = false, many = false;

    enter(&c, '{');
    while (next_member(&c, &key)) {
        struct value v = read_value(&c);

        empty = false;
        if (!KEY_IS(key, "include_usage"))
            continue;
        present = true;
        asked = !IS(v, "false") && !IS(v, "null");
        many |= !asked && wrong_count == MAX_REPEATS;
        if (!asked && !many)
            wrong[wrong_count++] = v;
    }
    if (c.broken || many)
        return !asked;
    if (!present)
        replace(out, body, behind,
                empty ? GATE_STR("\"include_usage\":true") : GATE_STR("\"include_usage\":true,"));
    for (size_t i = 0; i < wrong_count; i++)
        replace(out, body, wrong[i], GATE_STR("true"));
    return !asked;
}

/* The null that the client gave stream_options; len 0: there is none. Messages and tools, which are
 * nearly all of a large body, are jumped over. */
static struct value find_null(struct gate_str body, const struct gate_request_facts *facts)
{
    const char *messages = body.ptr + facts->messages.off, *tools = body.ptr + facts->tools.off;
    struct cursor c = cursor_of(body);
    struct value key, v;

    c.p += facts->root;
    while (next_member(&c, &key)) {
        skip_space(&c);
        if (c.p == messages && facts->messages.len > 0) {
            c.p += facts->messages.len;
        } else if (c.p == tools && facts->tools.len > 0) {
            c.p += facts->tools.len;
        } else {
            v = read_value(&c);
            if (IS(v, "null") && KEY_IS(key, "stream_options"))
                return v;
        }
    }
    return (struct value){body.ptr + facts->root, 0};
}

bool openai_chat_ask_usage(struct gate_str body, const struct gate_request_facts *facts,
                           const struct gate_request_builder *out)
{
    struct value v;

    if (facts->stream_options.len > 0)
        return ask_in_options(body, facts, out);
    v = find_null(body, facts);
    /* There is a model at least, so a comma is right. */
    replace(out, body, v, v.len > 0 ? GATE_STR(ASK) : GATE_STR("\"stream_options\":" ASK ","));
    return true;
}

/* ---- reading */

/* A whole number from 0 to 2^53; "12.0" is one too, as some services count in doubles. */
static bool number_of(struct value v, uint64_t *out)
{
    uint64_t n = 0;
    size_t i = 0;

    for (; i < v.len && v.ptr[i] >= '0' && v.ptr[i] <= '9'; i++) {
        n = n * 10 + (uint64_t)(v.ptr[i] - '0');
        if (n > (uint64_t)1 << 53)
            return false;
    }
    if (i == 0)
        return false;
    if (i + 1 < v.len && v.ptr[i] == '.')
        for (i++; i < v.len && v.ptr[i] == '0'; i++)
            ;
    if (i < v.len)
        return false;
    *out = n;
    return true;
}

static void read_details(struct cursor *c, uint64_t *cached)
{
    struct value key;

    if (!enter(c, '{')) {
        read_value(c);
        return;
    }
    while (next_member(c, &key)) {
        struct value v = read_value(c);

        if (IS(key, "cached_tokens"))
            number_of(v, cached);
    }
}

/* The value of `usage`. */
static bool read_counts(struct cursor *c, struct gate_usage *out)
{
    struct gate_usage found = {0, 0, 0};
    bool any = false;
    struct value key;

    if (!enter(c, '{')) {
        read_value(c);
        return false;
    }
    while (next_member(c, &key)) {
        struct value v;

        if (IS(key, "prompt_tokens_details") || IS(key, "input_tokens_details")) {
            read_details(c, &found.cached);
            continue;
        }
        v = read_value(c);
        if (IS(key, "prompt_tokens") || IS(key, "input_tokens"))
            any |= number_of(v, &found.prompt);
        else if (IS(key, "completion_tokens") || IS(key, "output_tokens"))
            any |= number_of(v, &found.completion);
    }
    if (found.cached > found.prompt)
        found.cached = found.prompt;
    if (any)
        *out = found;
    return any;
}

bool openai_chat_read_usage(struct gate_str json, struct gate_usage *out)
{
    struct cursor c = cursor_of(json);
    struct value key;
    bool found = false;

    if (!enter(&c, '{'))
        return false;
    while (next_member(&c, &key)) {
        if (IS(key, "usage"))
            found = read_counts(&c, out);
        else
            read_value(&c);
    }
    return found;
}
