#include "wire.h"

#include <stdlib.h>

enum { KEY_SHORTEST = 8 /* less of a token at the end of a text tells nothing */ };

void *openai_alloc(size_t n)
{
    void *p = malloc(n > 0 ? n : 1);

    if (p == NULL)
        abort();
    return p;
}

bool openai_name_ok(struct gate_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!alnum && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return name.len > 0;
}

bool openai_value_ok(struct gate_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

bool openai_token_ok(struct gate_str token)
{
    for (size_t i = 0; i < token.len; i++)
        if (token.ptr[i] < 0x21 || token.ptr[i] > 0x7e)
            return false;
    return token.len > 0 && token.len <= OPENAI_KEY_MAX;
}

static void lines_put(struct openai_lines *lines, struct gate_str s)
{
    if (s.len > 0)
        memcpy(lines->bytes + lines->len, s.ptr, s.len);
    lines->len += s.len;
}

static enum gate_status lines_add(struct openai_lines *lines, struct gate_str name,
                                  struct gate_str scheme, struct gate_str value,
                                  struct gate_error *err)
{
    size_t room = sizeof lines->bytes - lines->len;

    if (!openai_name_ok(name))
        return gate_fail(err, GATE_EINVAL, "a header's name holds a character that is not allowed");
    if (!openai_value_ok(value))
        return gate_fail(err, GATE_EINVAL, "header %.*s: the value holds a control character",
                         (int)(name.len < 64 ? name.len : 64), name.ptr);
    if (value.len > room || name.len > room || name.len + scheme.len + value.len + 4 > room)
        return gate_fail(err, GATE_ELIMIT, "header %.*s: more than %d bytes of headers",
                         (int)(name.len < 64 ? name.len : 64), name.ptr, OPENAI_LINES_MAX);
    lines_put(lines, name);
    lines_put(lines, GATE_STR(": "));
    lines_put(lines, scheme);
    lines_put(lines, value);
    lines_put(lines, GATE_STR("\r\n"));
    return GATE_OK;
}

enum gate_status openai_lines_add(struct openai_lines *lines, struct gate_str name,
                                  struct gate_str value, struct gate_error *err)
{
    return lines_add(lines, name, GATE_STR(""), value, err);
}

enum gate_status openai_lines_add_bearer(struct openai_lines *lines, struct gate_str token,
                                         struct gate_error *err)
{
    if (!openai_token_ok(token))
        return gate_fail(err, GATE_EINVAL,
                         "the key is empty, longer than %d bytes, or holds a space, a line end or "
                         "another character that no key has",
                         OPENAI_KEY_MAX);
    return lines_add(lines, GATE_STR("authorization"), GATE_STR("Bearer "), token, err);
}

void openai_lines_wipe(const struct gate_host *host, struct openai_lines *lines)
{
    host->wipe(lines->bytes, lines->len);
    lines->len = 0;
}

struct openai_block *openai_block_create(const struct openai_lines *lines)
{
    struct openai_block *block = openai_alloc(sizeof *block + lines->len);

    block->len = lines->len;
    memcpy(block->bytes, lines->bytes, lines->len);
    return block;
}

void openai_block_destroy(const struct gate_host *host, struct openai_block *block)
{
    if (block == NULL)
        return;
    host->wipe(block->bytes, block->len);
    free(block);
}

/* The token of its authorization line; empty: it has none. */
static struct gate_str token_of(const struct openai_block *block)
{
    static const struct gate_str begin = GATE_STR("authorization: Bearer ");
    const char *at = memmem(block->bytes, block->len, begin.ptr, begin.len), *end;

    if (at == NULL)
        return GATE_STR("");
    at += begin.len;
    end = memchr(at, '\r', (size_t)(block->bytes + block->len - at));
    return (struct gate_str){at, end != NULL ? (size_t)(end - at) : 0};
}

void openai_block_mask(const struct openai_block *block, char *text)
{
    struct gate_str token = token_of(block);
    size_t left = strlen(text);

    if (token.len < KEY_SHORTEST)
        return;
    for (; left >= KEY_SHORTEST; text++, left--) {
        size_t len = left < token.len ? left : token.len; /* a text that was cut ends within it */
        if (memcmp(text, token.ptr, len) == 0)
            memset(text, '*', len);
    }
}

/* A writer that compares what is written with an expected text. */
struct comparison {
    struct gate_str expected;
    size_t seen;
    bool differs;
};

static void compare(void *ctx, struct gate_str s)
{
    struct comparison *c = ctx;

    if (c->differs || s.len > c->expected.len - c->seen ||
        (s.len > 0 && memcmp(c->expected.ptr + c->seen, s.ptr, s.len) != 0))
        c->differs = true;
    else
        c->seen += s.len;
}

static bool same_model(const struct gate_host *host, struct gate_str json, struct gate_str model)
{
    struct comparison c = {.expected = model};
    const struct gate_writer out = {&c, compare};

    if (json.len == model.len + 2 && memchr(json.ptr, '\\', json.len) == NULL)
        return memcmp(json.ptr + 1, model.ptr, model.len) == 0;
    return host->json_decode(json, &out) && !c.differs && c.seen == model.len;
}

struct encoded {
    size_t len;
    bool overflow;
    char bytes[OPENAI_MODEL_MAX];
};

static void encoded_append(void *ctx, struct gate_str s)
{
    struct encoded *e = ctx;

    if (e->overflow || s.len > sizeof e->bytes - e->len) {
        e->overflow = true;
        return;
    }
    if (s.len > 0)
        memcpy(e->bytes + e->len, s.ptr, s.len);
    e->len += s.len;
}

enum gate_status openai_model_splice(const struct gate_host *host, const struct gate_call *call,
                                     const struct gate_request_builder *out, struct gate_error *err)
{
    const struct gate_range *r = &call->facts->model;
    struct encoded encoded;
    const struct gate_writer writer = {&encoded, encoded_append};

    if (same_model(host, (struct gate_str){call->body.ptr + r->off, r->len}, call->model))
        return GATE_OK;
    encoded.len = 0;
    encoded.overflow = false;
    host->json_encode(call->model, &writer);
    if (encoded.overflow)
        return gate_fail(err, GATE_ELIMIT, "the model's name is longer than %d bytes",
                         OPENAI_MODEL_MAX);
    out->replace(out->ctx, r->off, r->len, (struct gate_str){encoded.bytes, encoded.len});
    return GATE_OK;
}

bool openai_model_matches(struct gate_str pattern, struct gate_str model)
{
    if (pattern.len > 0 && pattern.ptr[pattern.len - 1] == '*')
        return gate_str_starts(model, (struct gate_str){pattern.ptr, pattern.len - 1});
    return gate_str_eq(pattern, model);
}
