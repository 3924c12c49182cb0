/*
 * edits_util: makes edits out of short texts and sends a body with them. Used by the tests of
 * request/edits and of the dialects that take part in it.
 */
#ifndef GATE_TESTS_EDITS_UTIL_H
#define GATE_TESTS_EDITS_UTIL_H

#include "base/json.h"
#include "request/edits.h"

#include <check.h>
#include <stdlib.h>

enum { MADE_TEXT = 4096 };

struct made {
    struct gate_edits edits;
    char text[MADE_TEXT];
};

/* "name=json" sets, "name" removes, "#n" clamps; parted by '|'. */
static inline void make_edits(struct made *m, const char *from)
{
    memset(m, 0, sizeof *m);
    ck_assert_uint_lt(strlen(from), sizeof m->text);
    memcpy(m->text, from, strlen(from));
    for (char *rest = m->text, *one; (one = strsep(&rest, "|")) != NULL;) {
        char *equals = strchr(one, '=');
        if (*one == '#') {
            m->edits.max_tokens = strtoull(one + 1, NULL, 10);
            continue;
        }
        struct gate_field_edit *f = &m->edits.fields[m->edits.field_count++];
        if (equals != NULL) {
            *equals = '\0';
            f->json = gate_str_of(equals + 1);
        }
        f->name = gate_str_of(one);
    }
}

/* Bodies without a model have facts, too: other tests say that they never get as far. */
static inline void scan_body(struct gate_str body, struct gate_request_facts *facts)
{
    struct gate_json_error why = {0};
    enum gate_status status = gate_json_scan(body, GATE_STR("messages"), facts, &why);
    ck_assert_msg(status == GATE_OK ||
                      (status == GATE_EINVAL && strcmp(why.code, "missing_parameter") == 0) ||
                      strcmp(why.code, "invalid_type") == 0,
                  "the test's body does not scan: %s", why.reason);
}

/* A dialect without a conversation: system text goes behind the body. */
static inline enum gate_status
append_behind(struct gate_str body, const struct gate_request_facts *facts, struct gate_str text,
              const struct gate_request_builder *out, struct gate_error *err)
{
    ck_assert_ptr_nonnull(facts);
    if (gate_str_eq(text, GATE_STR("refuse")))
        return gate_fail(err, GATE_EIO, "refused");
    out->replace(out->ctx, body.len, 0, text);
    return GATE_OK;
}

static const char *const plain_limits[] = {"max_tokens", "max_completion_tokens", NULL};

static const struct gate_dialect_ops plain_dialect = {
    .size = sizeof plain_dialect,
    .messages_key = "messages",
    .limit_keys = plain_limits,
    .append_system = append_behind,
};

/* The body of a description that is ended. The caller frees it. */
static inline char *body_of(const struct gate_built *built)
{
    struct gate_buf all;
    gate_buf_init(&all, SIZE_MAX);
    for (size_t i = 0; i < built->part_count; i++)
        gate_buf_append(&all, (struct gate_str){built->parts[i].iov_base, built->parts[i].iov_len});
    gate_buf_append_byte(&all, '\0');
    return all.ptr;
}

/* Lies in memory of exactly its size, so that ASan sees its end. GATE_OK: the caller frees *sent.
 */
static inline enum gate_status send_edited(const struct gate_edits *e,
                                           const struct gate_dialect_ops *dialect,
                                           struct gate_str text, char **sent,
                                           struct gate_error *err)
{
    struct gate_request_facts facts;
    struct gate_builder builder;
    struct gate_built built;
    struct gate_str body = {gate_alloc(text.len), text.len};
    memcpy((char *)body.ptr, text.ptr, text.len);
    scan_body(body, &facts);
    gate_builder_init(&builder, body, &built);
    enum gate_status status = gate_edits_apply(e, dialect, body, &facts, &builder, err);
    if (status == GATE_OK)
        status = gate_builder_end_body(&builder, "the test", err);
    if (status == GATE_OK)
        *sent = body_of(&built);
    gate_built_finish(&built);
    free((char *)body.ptr);
    return status;
}

#endif
