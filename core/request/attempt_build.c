#include "request/attempt_internal.h"
#include <stdlib.h>

struct edit {
    size_t off, len;           /* replaced bytes of the body */
    size_t text_off, text_len; /* replacement in request->text */
};

struct build {
    const struct gate_attempt_input *input;
    struct attempt_request *request;
    struct edit edits[ATTEMPT_MAX_EDITS];
    size_t edit_count;
    bool path_given;
    enum gate_status status;
    const char *problem;
};

static void refuse(struct build *b, const char *problem)
{
    if (b->status == GATE_OK) {
        b->status = GATE_EINTERNAL;
        b->problem = problem;
    }
}

static void set_endpoint(void *ctx, const struct gate_endpoint *endpoint)
{
    struct build *b = ctx;
    b->request->endpoint = endpoint;
}

static bool is_clean(struct gate_str s, bool allow_space)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < ' ' || c == 0x7f || (!allow_space && c == ' '))
            return false;
    }
    return true;
}

static void set_path(void *ctx, struct gate_str path)
{
    struct build *b = ctx;
    if (!is_clean(path, false) || path.len == 0 || path.ptr[0] != '/')
        refuse(b, "a path that is not one");
    else if (b->request->endpoint == NULL)
        refuse(b, "a path before the endpoint");
    else if (!gate_buf_append(&b->request->path, gate_str_of(b->request->endpoint->base_path)) ||
             !gate_buf_append(&b->request->path, path))
        refuse(b, "a path that is too long");
    b->path_given = true;
}

static void add_header(void *ctx, struct gate_str name, struct gate_str value)
{
    struct build *b = ctx;
    struct gate_buf *lines = &b->request->own_lines;
    if (name.len == 0 || !is_clean(name, false) || memchr(name.ptr, ':', name.len) != NULL ||
        !is_clean(value, true)) {
        refuse(b, "a header with forbidden bytes");
        return;
    }
    size_t before = lines->len;
    if (!gate_buf_append(lines, name) || !gate_buf_append(lines, GATE_STR(": ")) ||
        !gate_buf_append(lines, value) || !gate_buf_append(lines, GATE_STR("\r\n"))) {
        lines->len = before;
        refuse(b, "too many headers");
    }
}

static void set_header_block(void *ctx, struct gate_str lines)
{
    struct build *b = ctx;
    b->request->lines = lines;
}

static void add_edit(void *ctx, size_t off, size_t len, struct gate_str text)
{
    struct build *b = ctx;
    size_t body = b->input->body.len;
    if (off > body || len > body - off) {
        refuse(b, "an edit outside the body");
        return;
    }
    if (b->edit_count == ATTEMPT_MAX_EDITS) {
        refuse(b, "too many edits");
        return;
    }
    struct edit e = {off, len, b->request->text.len, text.len};
    if (!gate_buf_append(&b->request->text, text)) {
        refuse(b, "an edit that is too long");
        return;
    }
    /* Insertion keeps the list sorted; edits at the same place stay in the order given. */
    size_t at = b->edit_count++;
    while (at > 0 && b->edits[at - 1].off > off) {
        b->edits[at] = b->edits[at - 1];
        at--;
    }
    b->edits[at] = e;
}

/* Turns the edits into body pieces. */
static void make_parts(struct build *b)
{
    struct attempt_request *r = b->request;
    struct gate_str body = b->input->body;
    if (b->edit_count == 0) {
        r->whole = (struct iovec){(void *)body.ptr, body.len};
        r->parts = &r->whole;
        r->part_count = 1;
        return;
    }
    r->parts = gate_alloc((2 * b->edit_count + 1) * sizeof r->parts[0]);
    size_t at = 0;
    for (size_t i = 0; i < b->edit_count; i++) {
        const struct edit *e = &b->edits[i];
        if (e->off < at) {
            refuse(b, "edits that overlap");
            return;
        }
        if (e->off > at)
            r->parts[r->part_count++] = (struct iovec){(void *)(body.ptr + at), e->off - at};
        if (e->text_len > 0)
            r->parts[r->part_count++] = (struct iovec){r->text.ptr + e->text_off, e->text_len};
        at = e->off + e->len;
    }
    if (at < body.len)
        r->parts[r->part_count++] = (struct iovec){(void *)(body.ptr + at), body.len - at};
}

struct gate_call gate_attempt_call(const struct gate_attempt_input *input)
{
    return (struct gate_call){
        .size = sizeof(struct gate_call),
        .request_id = input->request_id,
        .model = input->model,
        .body = input->body,
        .path = gate_str_of(input->instance->dialect->upstream_path),
        .facts = input->facts,
        .account = input->instance->account.state,
    };
}

enum gate_status gate_attempt_build(const struct gate_attempt_input *input,
                                    struct attempt_request *out, struct gate_error *err)
{
    memset(out, 0, sizeof *out);
    gate_buf_init(&out->path, 4096);
    gate_buf_init(&out->own_lines, ATTEMPT_MAX_HEADERS);
    gate_buf_init(&out->text, ATTEMPT_MAX_EDIT_TEXT);
    gate_buf_append(&out->own_lines, GATE_STR("content-type: application/json\r\n"));

    struct build b = {.input = input, .request = out};
    struct gate_request_builder builder = {
        .size = sizeof builder,
        .ctx = &b,
        .endpoint = set_endpoint,
        .path = set_path,
        .header = add_header,
        .header_block = set_header_block,
        .replace = add_edit,
    };
    struct gate_call call = gate_attempt_call(input);
    enum gate_status status =
        input->instance->ops->build_request(input->instance->state, &call, &builder, err);
    if (status == GATE_OK && b.status == GATE_OK && out->endpoint == NULL)
        refuse(&b, "no endpoint");
    if (status == GATE_OK && b.status == GATE_OK && !b.path_given)
        set_path(&b, call.path);
    if (status == GATE_OK && b.status == GATE_OK)
        make_parts(&b);
    if (status == GATE_OK && b.status != GATE_OK)
        status = gate_fail(err, b.status, "provider %s built a request with %s",
                           input->instance->plugin->name, b.problem);
    if (status != GATE_OK)
        gate_attempt_build_finish(out);
    return status;
}

void gate_attempt_build_finish(struct attempt_request *r)
{
    gate_buf_finish(&r->path);
    gate_buf_wipe(&r->own_lines); /* may carry a credential */
    gate_buf_finish(&r->text);
    if (r->parts != &r->whole)
        free(r->parts);
    r->parts = NULL;
    r->part_count = 0;
}
