#include "system.h"

#include "cursor.h"

#include <stdlib.h>

#define MESSAGE "{\"role\":\"system\",\"content\":"
#define PART "{\"type\":\"text\",\"text\":"

/* The text as a JSON string. */
struct encoded {
    char *ptr;
    size_t len, cap;
};

/* The edits of one request. */
struct editor {
    const struct gate_request_builder *out;
    struct gate_str body;
    struct gate_str quoted; /* the text as a JSON string */
};

static void encoded_append(void *ctx, struct gate_str bytes)
{
    struct encoded *e = ctx;

    if (bytes.len > e->cap - e->len) {
        e->cap = 2 * (e->len + bytes.len);
        e->ptr = realloc(e->ptr, e->cap);
        if (e->ptr == NULL)
            abort(); /* out of memory */
    }
    if (bytes.len > 0)
        memcpy(e->ptr + e->len, bytes.ptr, bytes.len);
    e->len += bytes.len;
}

static void insert(const struct editor *ed, const char *at, struct gate_str text)
{
    ed->out->replace(ed->out->ctx, (size_t)(at - ed->body.ptr), 0, text);
}

/* The members of a message that matter here. */
struct message {
    struct value role, content;
    size_t roles, contents; /* how often each is there */
};

/* False: it is no object, or not all of it is JSON. */
static bool read_message(struct gate_str json, struct message *m)
{
    struct cursor c = cursor_of(json);
    struct value key, v;

    *m = (struct message){.roles = 0};
    if (!enter(&c, '{'))
        return false;
    while (next_member(&c, &key)) {
        v = read_value(&c);
        if (KEY_IS(key, "role")) {
            m->role = v;
            m->roles++;
        } else if (KEY_IS(key, "content")) {
            m->content = v;
            m->contents++;
        }
    }
    return !c.broken;
}

static bool is_system(const struct message *m)
{
    struct value inside;

    if (m->roles != 1 || m->role.len < 2 || *m->role.ptr != '"')
        return false;
    inside = (struct value){m->role.ptr + 1, m->role.len - 2};
    return KEY_IS(inside, "system") || KEY_IS(inside, "developer");
}

static void append_to_string(const struct editor *ed, struct value content)
{
    const char *close = content.ptr + content.len - 1;

    if (content.len > 2)
        insert(ed, close, GATE_STR("\\n\\n"));
    insert(ed, close, (struct gate_str){ed->quoted.ptr + 1, ed->quoted.len - 2});
}

static void append_to_list(const struct editor *ed, struct value content)
{
    const char *end = content.ptr + content.len - 1;

    while (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n')
        end--;
    insert(ed, end, end - 1 == content.ptr ? GATE_STR(PART) : GATE_STR("," PART));
    insert(ed, end, ed->quoted);
    insert(ed, end, GATE_STR("}"));
}

/* False: there is nothing that text can be appended to. */
static bool append_to(const struct editor *ed, struct gate_str json)
{
    struct message m;

    if (!read_message(json, &m) || !is_system(&m) || m.contents > 1)
        return false;
    if (m.contents == 0) {
        /* There is a role at least, so a comma is right. */
        insert(ed, json.ptr + 1, GATE_STR("\"content\":"));
        insert(ed, json.ptr + 1, ed->quoted);
        insert(ed, json.ptr + 1, GATE_STR(","));
    } else if (*m.content.ptr == '"') {
        append_to_string(ed, m.content);
    } else if (*m.content.ptr == '[') {
        append_to_list(ed, m.content);
    } else if (IS(m.content, "null")) {
        ed->out->replace(ed->out->ctx, (size_t)(m.content.ptr - ed->body.ptr), m.content.len,
                         ed->quoted);
    } else {
        return false;
    }
    return true;
}

void openai_chat_append_system(const struct gate_host *host, struct gate_str body,
                               const struct gate_request_facts *facts, struct gate_str text,
                               const struct gate_request_builder *out)
{
    struct encoded encoded = {NULL, 0, 0};
    const struct gate_writer writer = {&encoded, encoded_append};
    const struct gate_range *first = &facts->first_message;
    struct editor ed = {.out = out, .body = body};
    const char *at;

    if (facts->messages.len == 0)
        return; /* no conversation: the service says what is wrong with it */
    host->json_encode(text, &writer);
    ed.quoted = (struct gate_str){encoded.ptr, encoded.len};
    if (first->len == 0 || !append_to(&ed, (struct gate_str){body.ptr + first->off, first->len})) {
        at = body.ptr + (first->len > 0 ? first->off : facts->messages.off + 1);
        insert(&ed, at, GATE_STR(MESSAGE));
        insert(&ed, at, ed.quoted);
        insert(&ed, at, first->len > 0 ? GATE_STR("},") : GATE_STR("}"));
    }
    free(encoded.ptr);
}
