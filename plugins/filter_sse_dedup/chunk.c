/* chunk: see chunk.h. A reader that has failed stands at its end, so every loop ends at once. */
#include "chunk.h"

#include <gate/json_mark.h>

struct reader {
    const char *at;
    const char *end;
    struct dedup_chunk *chunk;
    bool failed;
};

/* Members that may appear once in an object; a repeated one is refused, because two readers could
 * take different ones. */
enum { SEEN_1 = 1, SEEN_2 = 2, SEEN_3 = 4, SEEN_4 = 8 };

static void fail(struct reader *r)
{
    r->failed = true;
    r->at = r->end;
}

static inline void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

/* Consumes c after white space, or fails. */
static inline void expect(struct reader *r, char c)
{
    skip_space(r);
    if (r->at < r->end && *r->at == c)
        r->at++;
    else
        fail(r);
}

static inline bool next_is(struct reader *r, char c)
{
    skip_space(r);
    return r->at < r->end && *r->at == c;
}

/* Stands at the opening quote. */
static inline struct gate_str read_string(struct reader *r)
{
    const char *start = r->at, *p = gate_json_mark(start + 1, r->end);

    while (p < r->end && *p == '\\')
        p = r->end - p > 2 ? gate_json_mark(p + 2, r->end) : r->end;
    if (p == r->end) {
        fail(r);
        return (struct gate_str){NULL, 0};
    }
    r->at = p + 1;
    return (struct gate_str){start, (size_t)(r->at - start)};
}

/* Stands at '{' or '['. Brackets must match; what lies between them is not looked at. */
static void skip_nested(struct reader *r)
{
    uint64_t objects = 0; /* one bit a level: object or array */
    unsigned depth = 0;

    do {
        char c = *r->at;
        if (c == '"') {
            read_string(r);
            continue;
        }
        r->at++;
        if (c == '{' || c == '[') {
            if (depth == DEDUP_CHUNK_MAX_DEPTH) {
                fail(r);
                return;
            }
            objects = objects << 1 | (c == '{');
            depth++;
        } else if (c == '}' || c == ']') {
            if ((objects & 1) != (c == '}')) {
                fail(r);
                return;
            }
            objects >>= 1;
            depth--;
        }
    } while (depth > 0 && r->at < r->end);
    if (depth > 0)
        fail(r);
}

static inline bool is_scalar(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' ||
           c == 'E';
}

/* The general case of read_value. */
static struct gate_str read_any_value(struct reader *r)
{
    skip_space(r);
    const char *start = r->at;
    if (start == r->end) {
        fail(r);
        return (struct gate_str){NULL, 0};
    }
    if (*start == '"')
        return read_string(r);
    if (*start == '{' || *start == '[') {
        skip_nested(r);
    } else {
        const char *p = start;
        while (p < r->end && (unsigned char)(*p - '0') < 10)
            p++;
        while (p < r->end && is_scalar(*p))
            p++;
        r->at = p;
        if (r->at == start)
            fail(r);
    }
    return (struct gate_str){start, (size_t)(r->at - start)};
}

/* Most values are strings without escapes, and stand just here. */
static inline struct gate_str read_value(struct reader *r)
{
    const char *start = r->at;

    if (start < r->end && *start == '"') {
        const char *mark = gate_json_mark(start + 1, r->end);
        if (mark < r->end && *mark == '"') {
            r->at = mark + 1;
            return (struct gate_str){start, (size_t)(r->at - start)};
        }
    }
    return read_any_value(r);
}

/* The general case of next_member. */
static bool next_any_member(struct reader *r, bool *first, struct gate_str *name)
{
    skip_space(r);
    if (r->at < r->end && *r->at == '}' && !r->failed) {
        r->at++;
        return false;
    }
    if (!*first)
        expect(r, ',');
    *first = false;
    if (!next_is(r, '"')) {
        fail(r);
        return false;
    }
    *name = read_string(r);
    expect(r, ':');
    skip_space(r);
    return !r->failed;
}

/* Walks an object whose '{' was consumed: true and the member's name with its quotes, the value
 * being next; false at the closing brace, which is consumed. Services write no spaces. */
static inline bool next_member(struct reader *r, bool *first, struct gate_str *name)
{
    const char *p = r->at, *mark;

    if (!*first && p < r->end && *p == ',')
        p++;
    else if (!*first)
        return next_any_member(r, first, name);
    if (p < r->end && *p == '"') {
        mark = gate_json_mark(p + 1, r->end);
        if (r->end - mark > 2 && mark[0] == '"' && mark[1] == ':' && (unsigned char)mark[2] > ' ') {
            *first = false;
            *name = (struct gate_str){p, (size_t)(mark + 1 - p)};
            r->at = mark + 2;
            return true;
        }
    }
    return next_any_member(r, first, name);
}

/* The same for an array: true when an element is next. */
static inline bool next_element(struct reader *r, bool *first)
{
    skip_space(r);
    if (r->at < r->end && *r->at == ']' && !r->failed) {
        r->at++;
        return false;
    }
    if (!*first)
        expect(r, ',');
    *first = false;
    return !r->failed;
}

static inline bool is(struct gate_str name, struct gate_str quoted)
{
    return name.len == quoted.len && memcmp(name.ptr, quoted.ptr, quoted.len) == 0;
}

static inline void once(struct reader *r, unsigned *seen, unsigned member)
{
    if (*seen & member)
        fail(r);
    *seen |= member;
}

static inline bool is_text(struct gate_str value)
{
    return value.len > 2 && value.ptr[0] == '"';
}

static bool is_empty(struct gate_str value)
{
    return is(value, GATE_STR("null")) || is(value, GATE_STR("\"\"")) ||
           is(value, GATE_STR("[]")) || is(value, GATE_STR("{}"));
}

static uint32_t read_index(struct reader *r)
{
    struct gate_str value = read_value(r);
    uint32_t n = 0;

    for (size_t i = 0; i < value.len && !r->failed; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            fail(r);
        n = n * 10 + (uint32_t)(value.ptr[i] - '0');
        if (n > DEDUP_CHUNK_MAX_INDEX)
            fail(r);
    }
    return n;
}

static struct dedup_item *add_item(struct reader *r, enum dedup_item_kind kind,
                                   struct gate_str value)
{
    if (r->chunk->count == DEDUP_CHUNK_MAX_ITEMS) {
        fail(r);
        return NULL;
    }
    struct dedup_item *item = &r->chunk->items[r->chunk->count++];
    *item = (struct dedup_item){.kind = kind, .value = value};
    return item;
}

static struct gate_str read_text_or_nothing(struct reader *r)
{
    struct gate_str value = read_value(r);
    return is_text(value) ? value : (struct gate_str){NULL, 0};
}

static void read_function(struct reader *r, struct dedup_item *item)
{
    struct gate_str name, value;
    bool first = true;
    unsigned seen = 0;

    if (!next_is(r, '{')) {
        read_value(r);
        return;
    }
    r->at++;
    while (next_member(r, &first, &name)) {
        if (is(name, GATE_STR("\"arguments\""))) {
            once(r, &seen, SEEN_1);
            value = read_value(r);
            if (value.len > 0 && value.ptr[0] == '"')
                item->value = value;
            else if (!is_empty(value))
                r->chunk->extra = true;
        } else if (is(name, GATE_STR("\"name\""))) {
            once(r, &seen, SEEN_2);
            item->name = read_text_or_nothing(r);
        } else {
            read_value(r);
        }
    }
}

static void read_tool_call(struct reader *r, uint32_t position)
{
    struct dedup_item *item = add_item(r, DEDUP_ITEM_TOOL, (struct gate_str){NULL, 0});
    struct gate_str name;
    bool first = true;
    unsigned seen = 0;

    expect(r, '{');
    if (item == NULL || r->failed)
        return;
    const char *start = r->at - 1;
    item->tool = position; /* some services leave the index out */
    while (next_member(r, &first, &name)) {
        if (is(name, GATE_STR("\"index\""))) {
            once(r, &seen, SEEN_1);
            item->tool = read_index(r);
        } else if (is(name, GATE_STR("\"id\""))) {
            once(r, &seen, SEEN_2);
            item->id = read_text_or_nothing(r);
        } else if (is(name, GATE_STR("\"function\""))) {
            once(r, &seen, SEEN_3);
            read_function(r, item);
        } else {
            read_value(r);
        }
    }
    item->element = (struct gate_str){start, (size_t)(r->at - start)};
}

static void read_tool_calls(struct reader *r)
{
    bool first = true;

    if (!next_is(r, '[')) {
        r->chunk->extra |= !is_empty(read_value(r));
        return;
    }
    r->at++;
    for (uint32_t position = 0; next_element(r, &first); position++)
        read_tool_call(r, position);
}

static void read_text(struct reader *r, enum dedup_item_kind kind)
{
    struct gate_str value = read_value(r);

    if (is_text(value))
        add_item(r, kind, value);
    else if (!is_empty(value))
        r->chunk->extra = true;
}

static void read_delta(struct reader *r)
{
    struct gate_str name;
    bool first = true;
    unsigned seen = 0;

    if (!next_is(r, '{')) {
        r->chunk->extra |= !is_empty(read_value(r));
        return;
    }
    r->at++;
    while (next_member(r, &first, &name)) {
        if (is(name, GATE_STR("\"content\""))) {
            once(r, &seen, SEEN_1);
            read_text(r, DEDUP_ITEM_CONTENT);
        } else if (is(name, GATE_STR("\"reasoning_content\""))) {
            once(r, &seen, SEEN_2);
            read_text(r, DEDUP_ITEM_REASONING);
        } else if (is(name, GATE_STR("\"tool_calls\""))) {
            once(r, &seen, SEEN_3);
            read_tool_calls(r);
        } else if (is(name, GATE_STR("\"role\""))) {
            read_value(r);
        } else {
            r->chunk->extra |= !is_empty(read_value(r));
        }
    }
}

static void read_choice(struct reader *r)
{
    size_t from = r->chunk->count;
    uint32_t index = 0;
    struct gate_str name, value;
    bool first = true;
    unsigned seen = 0;

    expect(r, '{');
    while (!r->failed && next_member(r, &first, &name)) {
        if (is(name, GATE_STR("\"delta\""))) {
            once(r, &seen, SEEN_1);
            read_delta(r);
        } else if (is(name, GATE_STR("\"index\""))) {
            once(r, &seen, SEEN_2);
            index = read_index(r);
        } else if (is(name, GATE_STR("\"finish_reason\""))) {
            once(r, &seen, SEEN_3);
            value = read_value(r);
            if (is_text(value))
                add_item(r, DEDUP_ITEM_FINISH, value);
        } else {
            read_value(r);
        }
    }
    for (size_t i = from; i < r->chunk->count; i++)
        r->chunk->items[i].choice = index;
}

static void read_choices(struct reader *r)
{
    bool first = true;

    if (!next_is(r, '[')) {
        r->chunk->extra |= !is_empty(read_value(r));
        return;
    }
    r->at++;
    while (next_element(r, &first)) {
        r->chunk->has_choices = true;
        read_choice(r);
    }
}

bool dedup_chunk_parse(struct gate_str data, struct dedup_chunk *chunk)
{
    struct reader r = {data.ptr, data.ptr + data.len, chunk, false};
    struct gate_str name, value;
    bool first = true;
    unsigned seen = 0;

    chunk->count = 0;
    chunk->usage = (struct gate_str){NULL, 0};
    chunk->has_choices = chunk->extra = false;
    expect(&r, '{');
    while (!r.failed && next_member(&r, &first, &name)) {
        if (is(name, GATE_STR("\"choices\""))) {
            once(&r, &seen, SEEN_1);
            read_choices(&r);
        } else if (is(name, GATE_STR("\"usage\""))) {
            once(&r, &seen, SEEN_2);
            value = read_value(&r);
            if (value.len > 0 && value.ptr[0] == '{')
                chunk->usage = value;
        } else {
            read_value(&r);
        }
    }
    skip_space(&r);
    return !r.failed && r.at == r.end;
}
