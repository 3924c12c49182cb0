#include "marks.h"

#define MARK "\"cache_control\":{\"type\":\"ephemeral\"}"

/* The edits of one request. */
struct editor {
    const struct gate_host *host;
    const struct gate_call *call;
    const struct gate_request_builder *out;
    size_t marks_left;
};

static void insert(const struct editor *e, const char *at, struct gate_str text)
{
    e->out->replace(e->out->ctx, (size_t)(at - e->call->body.ptr), 0, text);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Counts the members "cache_control" of the body, at most QWEN_MAX_MARKS. The quotes make sure that
 * text is not counted: inside a string they would be escaped. */
static size_t count_marks(struct gate_str body)
{
    static const char key[] = "\"cache_control\"";
    const char *p = body.ptr, *end = body.ptr + body.len;
    size_t n = 0;

    while (n < QWEN_MAX_MARKS && p < end &&
           (p = memmem(p, (size_t)(end - p), key, sizeof key - 1)) != NULL) {
        p += sizeof key - 1;
        while (p < end && is_space(*p))
            p++;
        if (p < end && *p == ':')
            n++;
    }
    return n;
}

static struct gate_str view(const struct editor *e, const struct gate_range *r)
{
    return (struct gate_str){e->call->body.ptr + r->off, r->len};
}

/* "text" becomes [{"type":"text","text":"text", mark}] around the client's own bytes. */
static void mark_string(struct editor *e, struct gate_str content)
{
    insert(e, content.ptr, GATE_STR("[{\"type\":\"text\",\"text\":"));
    insert(e, content.ptr + content.len, GATE_STR("," MARK "}]"));
    e->marks_left--;
}

static void mark_last_part(struct editor *e, struct gate_str content)
{
    struct gate_str part, last = {NULL, 0}, mark;
    size_t cursor = 0;
    const char *close, *before;

    while (e->host->json_element(content, &cursor, &part))
        last = part;
    if (last.len < 2 || last.ptr[0] != '{' ||
        e->host->json_member(last, GATE_STR("cache_control"), &mark))
        return;
    close = last.ptr + last.len - 1;
    for (before = close - 1; is_space(*before); before--)
        ;
    insert(e, close, before == last.ptr ? GATE_STR(MARK) : GATE_STR("," MARK));
    e->marks_left--;
}

/* A message without content (an assistant that only calls tools) and one with empty content have
 * nothing to mark. */
static void mark_message(struct editor *e, struct gate_str message)
{
    struct gate_str content;

    if (e->marks_left == 0 || message.len == 0 || message.ptr[0] != '{' ||
        !e->host->json_member(message, GATE_STR("content"), &content) || content.len <= 2)
        return;
    if (content.ptr[0] == '"')
        mark_string(e, content);
    else if (content.ptr[0] == '[')
        mark_last_part(e, content);
}

static bool is_system(const struct editor *e, struct gate_str message)
{
    struct gate_str role;

    return message.len > 0 && message.ptr[0] == '{' &&
           e->host->json_member(message, GATE_STR("role"), &role) &&
           gate_str_eq(role, GATE_STR("\"system\""));
}

static void insert_system(struct editor *e, const char *at)
{
    insert(e, at,
           e->marks_left > 0
               ? GATE_STR("{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":"
                          "\"You are a helpful assistant.\"," MARK "}]},")
               : GATE_STR("{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":"
                          "\"You are a helpful assistant.\"}]},"));
    if (e->marks_left > 0)
        e->marks_left--;
}

void qwen_marks_splice(const struct gate_host *host, const struct gate_call *call,
                       const struct gate_request_builder *out)
{
    struct editor e = {host, call, out, QWEN_MAX_MARKS};
    const struct gate_request_facts *facts = call->facts;
    struct gate_str first;
    bool has_system;

    if (facts->first_message.len == 0)
        return; /* no conversation: the service says what is wrong with it */
    e.marks_left -= count_marks(call->body);
    first = view(&e, &facts->first_message);
    has_system = is_system(&e, first);
    if (has_system)
        mark_message(&e, first);
    else
        insert_system(&e, first.ptr);
    if (!has_system || facts->last_message.off != facts->first_message.off)
        mark_message(&e, view(&e, &facts->last_message));
}
