#include "upstream/builder.h"
#include <stdlib.h>
#include <strings.h>

static void refuse(struct gate_builder *b, const char *problem)
{
    if (b->status == GATE_OK) {
        b->status = GATE_EINTERNAL;
        b->problem = problem;
    }
}

static void set_endpoint(void *ctx, const struct gate_endpoint *endpoint)
{
    struct gate_builder *b = ctx;
    b->out->endpoint = (struct gate_endpoint *)endpoint; /* plugins see it as constant */
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
    struct gate_builder *b = ctx;
    if (!is_clean(path, false) || path.len == 0 || path.ptr[0] != '/')
        refuse(b, "a path that is not one");
    else if (b->out->endpoint == NULL)
        refuse(b, "a path before the endpoint");
    else if (!gate_buf_append(&b->out->path, gate_str_of(b->out->endpoint->base_path)) ||
             !gate_buf_append(&b->out->path, path))
        refuse(b, "a path that is too long");
    b->path_given = true;
}

static void add_header(void *ctx, struct gate_str name, struct gate_str value)
{
    struct gate_builder *b = ctx;
    struct gate_buf *lines = &b->out->own_lines;
    if (name.len == 0 || !is_clean(name, false) || memchr(name.ptr, ':', name.len) != NULL ||
        !is_clean(value, true)) {
        refuse(b, "a header with forbidden bytes");
        return;
    }
    if (name.len == sizeof "content-type" - 1 &&
        strncasecmp(name.ptr, "content-type", name.len) == 0)
        b->out->has_content_type = true;
    size_t before = lines->len;
    if (!gate_buf_append(lines, name) || !gate_buf_append(lines, GATE_STR(": ")) ||
        !gate_buf_append(lines, value) || !gate_buf_append(lines, GATE_STR("\r\n"))) {
        lines->len = before;
        refuse(b, "too many headers");
    }
}

static void set_header_block(void *ctx, struct gate_str lines)
{
    struct gate_builder *b = ctx;
    b->out->lines = lines;
}

static void add_edit(void *ctx, size_t off, size_t len, struct gate_str text)
{
    struct gate_builder *b = ctx;
    size_t body = b->body.len;
    if (off > body || len > body - off) {
        refuse(b, "an edit outside the body");
        return;
    }
    if (b->edit_count == GATE_BUILT_MAX_EDITS) {
        refuse(b, "too many edits");
        return;
    }
    struct gate_edit e = {off, len, b->out->text.len, text.len};
    if (!gate_buf_append(&b->out->text, text)) {
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
static void make_parts(struct gate_builder *b)
{
    struct gate_built *r = b->out;
    struct gate_str body = b->body;
    if (b->edit_count == 0 && body.len == 0)
        return;
    if (b->edit_count == 0) {
        r->whole = (struct iovec){(void *)body.ptr, body.len};
        r->parts = &r->whole;
        r->part_count = 1;
        return;
    }
    r->parts = gate_alloc((2 * b->edit_count + 1) * sizeof r->parts[0]);
    size_t at = 0;
    for (size_t i = 0; i < b->edit_count; i++) {
        const struct gate_edit *e = &b->edits[i];
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

void gate_builder_init(struct gate_builder *b, struct gate_str body, struct gate_built *out)
{
    memset(out, 0, sizeof *out);
    gate_buf_init(&out->path, 4096);
    gate_buf_init(&out->own_lines, GATE_BUILT_MAX_HEADERS);
    gate_buf_init(&out->text, GATE_BUILT_MAX_TEXT);
    b->ops = (struct gate_request_builder){
        .size = sizeof b->ops,
        .ctx = b,
        .endpoint = set_endpoint,
        .path = set_path,
        .header = add_header,
        .header_block = set_header_block,
        .replace = add_edit,
    };
    b->out = out;
    b->body = body;
    b->edit_count = 0;
    b->path_given = false;
    b->status = GATE_OK;
    b->problem = NULL;
}

enum gate_status gate_builder_end(struct gate_builder *b, struct gate_str default_path,
                                  const char *who, struct gate_error *err)
{
    if (b->status == GATE_OK && b->out->endpoint == NULL)
        refuse(b, "no endpoint");
    if (b->status == GATE_OK && !b->path_given)
        set_path(b, default_path);
    if (b->status == GATE_OK && !b->out->has_content_type)
        gate_buf_append(&b->out->own_lines, GATE_STR("content-type: application/json\r\n"));
    if (b->status == GATE_OK)
        make_parts(b);
    if (b->status == GATE_OK)
        return GATE_OK;
    gate_built_finish(b->out);
    return gate_fail(err, b->status, "provider %s built a request with %s", who, b->problem);
}

void gate_built_finish(struct gate_built *r)
{
    gate_buf_finish(&r->path);
    gate_buf_wipe(&r->own_lines);
    gate_buf_finish(&r->text);
    if (r->parts != &r->whole)
        free(r->parts);
    r->parts = NULL;
    r->part_count = 0;
}
