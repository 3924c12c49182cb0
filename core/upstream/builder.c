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

/* No control bytes; spaces and tabs only where a value may have them. */
static bool is_clean(struct gate_str s, bool allow_space)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool space = c == ' ' || c == '\t';
        if (space ? !allow_space : c < ' ' || c == 0x7f)
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

/* Makes room for n bytes. Header lines may hold a secret, so the place that they leave is wiped. */
static bool reserve_lines(struct gate_buf *lines, size_t n)
{
    struct gate_buf longer;
    if (n <= lines->cap - lines->len)
        return true;
    if (n > lines->max - lines->len)
        return false;
    gate_buf_init(&longer, lines->max);
    size_t wanted = 2 * (lines->len + n);
    gate_buf_reserve(&longer, wanted < lines->max ? wanted : lines->max);
    gate_buf_append(&longer, gate_buf_str(lines));
    gate_buf_wipe(lines);
    *lines = longer;
    return true;
}

static bool append_line(struct gate_buf *lines, struct gate_str name, struct gate_str value)
{
    if (name.len > lines->max || value.len > lines->max ||
        !reserve_lines(lines, name.len + value.len + 4))
        return false;
    gate_buf_append(lines, name);
    gate_buf_append(lines, GATE_STR(": "));
    gate_buf_append(lines, value);
    gate_buf_append(lines, GATE_STR("\r\n"));
    return true;
}

static bool is_content_type(struct gate_str name)
{
    return name.len == sizeof "content-type" - 1 &&
           strncasecmp(name.ptr, "content-type", name.len) == 0;
}

static void add_header(void *ctx, struct gate_str name, struct gate_str value)
{
    struct gate_builder *b = ctx;
    if (name.len == 0 || !is_clean(name, false) || memchr(name.ptr, ':', name.len) != NULL ||
        !is_clean(value, true)) {
        refuse(b, "a header with forbidden bytes");
        return;
    }
    if (is_content_type(name))
        b->out->has_content_type = true;
    if (!append_line(&b->out->own_lines, name, value))
        refuse(b, "too many headers");
}

static void set_header_block(void *ctx, struct gate_str lines)
{
    struct gate_builder *b = ctx;
    b->out->lines = lines;
}

/* Does edit e, which was given later, stand before other? What is inserted where a replacement
 * begins stands before what is replaced. */
static bool comes_first(const struct gate_edit *e, const struct gate_edit *other)
{
    return e->off < other->off || (e->off == other->off && e->len == 0 && other->len > 0);
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
    /* Insertion keeps the list sorted; insertions at the same place stay in the order given. */
    size_t at = b->edit_count++;
    while (at > 0 && comes_first(&e, &b->edits[at - 1])) {
        b->edits[at] = b->edits[at - 1];
        at--;
    }
    b->edits[at] = e;
}

/* Puts the pieces together where they are more than can be sent at once. */
static void flatten(struct gate_built *r)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < r->part_count; i++)
        total += r->parts[i].iov_len;
    r->flat = gate_alloc(total);
    for (size_t i = 0; i < r->part_count; i++) {
        memcpy(r->flat + at, r->parts[i].iov_base, r->parts[i].iov_len);
        at += r->parts[i].iov_len;
    }
    free(r->parts);
    r->whole = (struct iovec){r->flat, total};
    r->parts = &r->whole;
    r->part_count = 1;
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
    if (r->part_count > GATE_UPSTREAM_MAX_PARTS)
        flatten(r);
}

/* ---- what is changed behind a plugin's back */

/* Cuts the first line, with its end, off lines. */
static struct gate_str take_line(struct gate_str *lines)
{
    const char *end = memmem(lines->ptr, lines->len, "\r\n", 2);
    size_t len = end != NULL ? (size_t)(end - lines->ptr) + 2 : lines->len;
    struct gate_str line = {lines->ptr, len};
    *lines = (struct gate_str){lines->ptr + len, lines->len - len};
    return line;
}

static bool line_has_name(struct gate_str line, struct gate_str name)
{
    return line.len > name.len && line.ptr[name.len] == ':' &&
           strncasecmp(line.ptr, name.ptr, name.len) == 0;
}

static bool any_has_name(struct gate_str lines, struct gate_str name)
{
    while (lines.len > 0) {
        if (line_has_name(take_line(&lines), name))
            return true;
    }
    return false;
}

static void append_others(struct gate_buf *to, struct gate_str lines, struct gate_str name)
{
    while (lines.len > 0) {
        struct gate_str line = take_line(&lines);
        if (!line_has_name(line, name))
            gate_buf_append(to, line);
    }
}

void gate_builder_drop_header(struct gate_builder *b, struct gate_str name)
{
    struct gate_built *r = b->out;
    struct gate_str lent = {NULL, 0}, own = gate_buf_str(&r->own_lines);
    struct gate_buf kept;
    if (name.len == 0)
        return;
    if (any_has_name(r->lines, name))
        lent = r->lines;
    else if (!any_has_name(own, name))
        return;
    /* Room for all of it at once, so that no copy of a secret is left behind by growing. */
    gate_buf_init(&kept, GATE_BUILT_MAX_HEADERS);
    if (lent.len > kept.max || gate_buf_reserve(&kept, lent.len + own.len) == NULL) {
        refuse(b, "too many headers");
        return;
    }
    append_others(&kept, lent, name);
    append_others(&kept, own, name);
    gate_buf_wipe(&r->own_lines);
    r->own_lines = kept;
    if (lent.len > 0)
        r->lines = GATE_STR("");
    if (is_content_type(name))
        r->has_content_type = false;
}

void gate_builder_set_header(struct gate_builder *b, struct gate_str name, struct gate_str value)
{
    gate_builder_drop_header(b, name);
    add_header(b, name, value);
}

/* ---- begin and end */

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
    if (b->status == GATE_OK && !b->out->has_content_type &&
        !append_line(&b->out->own_lines, GATE_STR("content-type"), GATE_STR("application/json")))
        refuse(b, "too many headers");
    return gate_builder_end_body(b, who, err);
}

enum gate_status gate_builder_end_body(struct gate_builder *b, const char *who,
                                       struct gate_error *err)
{
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
    free(r->flat);
    r->flat = NULL;
    if (r->parts != &r->whole)
        free(r->parts);
    r->parts = NULL;
    r->part_count = 0;
}
