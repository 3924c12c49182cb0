/* Tests of upstream/builder: edits of a body, and headers that are taken away or replaced. */
#include "upstream/builder.h"

#include <check.h>
#include <stdlib.h>

static struct gate_endpoint *endpoint(void)
{
    struct gate_endpoint *e = NULL;
    struct gate_error err;
    ck_assert_int_eq(gate_endpoint_create(GATE_STR("https://api.example.com/base"),
                                          GATE_ENDPOINT_OPERATOR, true, &e, &err),
                     GATE_OK);
    return e;
}

/* The body as it would be sent. The caller frees it. */
static char *sent(const struct gate_built *r)
{
    struct gate_buf all;
    gate_buf_init(&all, SIZE_MAX);
    for (size_t i = 0; i < r->part_count; i++)
        gate_buf_append(&all, (struct gate_str){r->parts[i].iov_base, r->parts[i].iov_len});
    gate_buf_append_byte(&all, '\0');
    return all.ptr;
}

/* ---- edits */

static void ck_body(struct gate_builder *b, const char *expected)
{
    struct gate_error err;
    ck_assert_int_eq(gate_builder_end_body(b, "the test", &err), GATE_OK);
    char *body = sent(b->out);
    ck_assert_str_eq(body, expected);
    free(body);
    gate_built_finish(b->out);
}

START_TEST(edits_in_any_order)
{
    struct gate_builder b;
    struct gate_built r;
    gate_builder_init(&b, GATE_STR("0123456789"), &r);
    b.ops.replace(&b, 7, 1, GATE_STR("seven"));
    b.ops.replace(&b, 0, 0, GATE_STR("<"));
    b.ops.replace(&b, 10, 0, GATE_STR(">"));
    b.ops.replace(&b, 3, 2, GATE_STR(""));
    b.ops.replace(&b, 5, 0, GATE_STR("-"));
    ck_body(&b, "<012-56seven89>");
}
END_TEST

/* What is inserted where a replacement begins stands in front of it, whoever came first. */
START_TEST(insertions_beside_replacements)
{
    struct gate_builder b;
    struct gate_built r;
    gate_builder_init(&b, GATE_STR("abc"), &r);
    b.ops.replace(&b, 1, 1, GATE_STR("B"));
    b.ops.replace(&b, 1, 0, GATE_STR("1"));
    b.ops.replace(&b, 2, 0, GATE_STR("3"));
    b.ops.replace(&b, 1, 0, GATE_STR("2"));
    b.ops.replace(&b, 2, 1, GATE_STR(""));
    ck_body(&b, "a12B3");
}
END_TEST

static void ck_fails(struct gate_builder *b, const char *why)
{
    struct gate_error err;
    ck_assert_int_eq(gate_builder_end_body(b, "x", &err), GATE_EINTERNAL);
    ck_assert_ptr_nonnull(strstr(err.message, why));
    ck_assert_ptr_null(b->out->parts);
}

START_TEST(edits_that_cannot_be)
{
    struct gate_builder b;
    struct gate_built r;
    gate_builder_init(&b, GATE_STR("abcdef"), &r);
    b.ops.replace(&b, 1, 3, GATE_STR("x"));
    b.ops.replace(&b, 3, 0, GATE_STR("y"));
    ck_fails(&b, "overlap");
    gate_builder_init(&b, GATE_STR("abcdef"), &r);
    b.ops.replace(&b, 2, 2, GATE_STR("x"));
    b.ops.replace(&b, 2, 1, GATE_STR("y"));
    ck_fails(&b, "overlap");
    gate_builder_init(&b, GATE_STR("abcdef"), &r);
    b.ops.replace(&b, 6, 1, GATE_STR("x"));
    ck_fails(&b, "outside the body");
    gate_builder_init(&b, GATE_STR("abcdef"), &r);
    for (int i = 0; i <= GATE_BUILT_MAX_EDITS; i++)
        b.ops.replace(&b, 2, 0, GATE_STR("x"));
    ck_fails(&b, "too many edits");
}
END_TEST

/* More pieces than a call takes become one. */
START_TEST(many_edits)
{
    char body[2 * GATE_BUILT_MAX_EDITS + 2], expected[3 * GATE_BUILT_MAX_EDITS + 2], *to = expected;
    struct gate_builder b;
    struct gate_built r;
    memset(body, '.', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    gate_builder_init(&b, gate_str_of(body), &r);
    for (int i = 0; i < GATE_BUILT_MAX_EDITS; i++) {
        b.ops.replace(&b, (size_t)(2 * i), 1, GATE_STR("xy"));
        memcpy(to, "xy.", 3);
        to += 3;
    }
    memcpy(to, ".", 2);
    ck_body(&b, expected);

    gate_builder_init(&b, gate_str_of(body), &r);
    for (int i = 0; i < GATE_BUILT_MAX_EDITS; i++)
        b.ops.replace(&b, (size_t)(2 * i + 1), 1, GATE_STR("z"));
    struct gate_error err;
    ck_assert_int_eq(gate_builder_end_body(&b, "x", &err), GATE_OK);
    ck_assert_uint_le(r.part_count, GATE_UPSTREAM_MAX_PARTS);
    gate_built_finish(&r);
    gate_built_finish(&r);
}
END_TEST

/* ---- headers */

#define BLOCK "Authorization: Bearer secret\r\nUser-Agent: gate\r\nX-Tier: free\r\nx-tier: more\r\n"

struct headers {
    struct gate_builder b;
    struct gate_built r;
    struct gate_endpoint *endpoint;
};

static void headers_init(struct headers *h)
{
    h->endpoint = endpoint();
    gate_builder_init(&h->b, GATE_STR("{}"), &h->r);
    h->b.ops.endpoint(&h->b, h->endpoint);
    h->b.ops.header_block(&h->b, GATE_STR(BLOCK));
    h->b.ops.header(&h->b, GATE_STR("X-One"), GATE_STR("1"));
    h->b.ops.header(&h->b, GATE_STR("x-two"), GATE_STR("2"));
}

/* own NULL: it fails. */
static void ck_headers(struct headers *h, const char *lent, const char *own)
{
    struct gate_error err;
    enum gate_status status = gate_builder_end(&h->b, GATE_STR("/"), "the test", &err);
    ck_assert_int_eq(status, own != NULL ? GATE_OK : GATE_EINTERNAL);
    if (own != NULL) {
        ck_assert(gate_str_eq(h->r.lines, gate_str_of(lent)));
        gate_buf_append_byte(&h->r.own_lines, '\0');
        ck_assert_str_eq(h->r.own_lines.ptr, own);
    }
    gate_built_finish(&h->r);
    gate_endpoint_release(h->endpoint);
}

#define JSON_TYPE "content-type: application/json\r\n"

START_TEST(nothing_is_dropped)
{
    struct headers h;
    headers_init(&h);
    gate_builder_drop_header(&h.b, GATE_STR("x-three"));
    gate_builder_drop_header(&h.b, GATE_STR("x"));
    gate_builder_drop_header(&h.b, GATE_STR("x-tier: free"));
    gate_builder_drop_header(&h.b, GATE_STR("secret"));
    gate_builder_drop_header(&h.b, GATE_STR(""));
    ck_headers(&h, BLOCK, "X-One: 1\r\nx-two: 2\r\n" JSON_TYPE);
}
END_TEST

START_TEST(own_lines_are_dropped)
{
    struct headers h;
    headers_init(&h);
    gate_builder_drop_header(&h.b, GATE_STR("x-one"));
    ck_headers(&h, BLOCK, "x-two: 2\r\n" JSON_TYPE);
    headers_init(&h);
    gate_builder_drop_header(&h.b, GATE_STR("X-TWO"));
    gate_builder_drop_header(&h.b, GATE_STR("x-one"));
    ck_headers(&h, BLOCK, JSON_TYPE);
}
END_TEST

START_TEST(lent_lines_are_dropped)
{
    struct headers h;
    headers_init(&h);
    gate_builder_drop_header(&h.b, GATE_STR("x-tier"));
    ck_headers(
        &h, "",
        "Authorization: Bearer secret\r\nUser-Agent: gate\r\nX-One: 1\r\nx-two: 2\r\n" JSON_TYPE);
    headers_init(&h);
    gate_builder_drop_header(&h.b, GATE_STR("authorization"));
    gate_builder_drop_header(&h.b, GATE_STR("user-agent"));
    gate_builder_drop_header(&h.b, GATE_STR("x-one"));
    ck_headers(&h, "", "X-Tier: free\r\nx-tier: more\r\nx-two: 2\r\n" JSON_TYPE);
}
END_TEST

/* A block that does not end its last line loses no byte of the others. */
START_TEST(an_open_last_line)
{
    struct headers h;
    headers_init(&h);
    h.b.ops.header_block(&h.b, GATE_STR("a: 1\r\nb: 2"));
    gate_builder_drop_header(&h.b, GATE_STR("b"));
    ck_headers(&h, "", "a: 1\r\nX-One: 1\r\nx-two: 2\r\n" JSON_TYPE);
}
END_TEST

START_TEST(headers_are_set)
{
    struct headers h;
    headers_init(&h);
    gate_builder_set_header(&h.b, GATE_STR("x-tier"), GATE_STR("gold"));
    gate_builder_set_header(&h.b, GATE_STR("x-one"), GATE_STR(""));
    gate_builder_set_header(&h.b, GATE_STR("x-new"), GATE_STR("n\tm"));
    ck_headers(&h, "",
               "Authorization: Bearer secret\r\nUser-Agent: gate\r\nx-two: 2\r\nx-tier: gold\r\n"
               "x-one: \r\nx-new: n\tm\r\n" JSON_TYPE);
    headers_init(&h);
    gate_builder_set_header(&h.b, GATE_STR("x-new"), GATE_STR("a\r\nevil: b"));
    ck_headers(&h, NULL, NULL);
    headers_init(&h);
    gate_builder_set_header(&h.b, GATE_STR("x:new"), GATE_STR("a"));
    ck_headers(&h, NULL, NULL);
}
END_TEST

START_TEST(the_content_type_comes_back)
{
    struct headers h;
    headers_init(&h);
    h.b.ops.header(&h.b, GATE_STR("Content-Type"), GATE_STR("text/plain"));
    gate_builder_drop_header(&h.b, GATE_STR("content-type"));
    ck_headers(&h, BLOCK, "X-One: 1\r\nx-two: 2\r\n" JSON_TYPE);
    headers_init(&h);
    h.b.ops.header(&h.b, GATE_STR("Content-Type"), GATE_STR("text/plain"));
    gate_builder_set_header(&h.b, GATE_STR("content-type"), GATE_STR("a/b"));
    ck_headers(&h, BLOCK, "X-One: 1\r\nx-two: 2\r\ncontent-type: a/b\r\n");
}
END_TEST

/* The cap of all own lines holds for what is copied, too. */
START_TEST(too_many_headers)
{
    struct headers h;
    size_t len = GATE_BUILT_MAX_HEADERS - 8;
    char *block = gate_alloc(len);
    memset(block, 'v', len);
    memcpy(block, "a: 1\r\nb: ", 9);
    memcpy(block + len - 2, "\r\n", 2);
    headers_init(&h);
    h.b.ops.header_block(&h.b, (struct gate_str){block, len});
    gate_builder_drop_header(&h.b, GATE_STR("a"));
    ck_headers(&h, NULL, NULL);
    headers_init(&h);
    h.b.ops.header(&h.b, GATE_STR("c"), (struct gate_str){block + 16, len - 32});
    h.b.ops.header(&h.b, GATE_STR("d"), GATE_STR("1"));
    h.b.ops.header(&h.b, GATE_STR("e"), GATE_STR("12345678901234567890123456789012"));
    ck_headers(&h, NULL, NULL);
    free(block);
}
END_TEST

/* Lines move while they grow: those that were there stay, however often. */
START_TEST(lines_grow)
{
    struct headers h;
    char name[32];
    struct gate_buf expected;
    headers_init(&h);
    gate_buf_init(&expected, GATE_BUILT_MAX_HEADERS);
    gate_buf_append(&expected, GATE_STR("X-One: 1\r\nx-two: 2\r\n"));
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "x-%d", i);
        h.b.ops.header(&h.b, gate_str_of(name), GATE_STR("some value"));
        gate_buf_printf(&expected, "%s: some value\r\n", name);
    }
    gate_buf_append(&expected, GATE_STR(JSON_TYPE));
    gate_buf_append_byte(&expected, '\0');
    ck_headers(&h, BLOCK, expected.ptr);
    gate_buf_finish(&expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("builder");
    TCase *edits = tcase_create("edits"), *headers = tcase_create("headers");
    tcase_add_test(edits, edits_in_any_order);
    tcase_add_test(edits, insertions_beside_replacements);
    tcase_add_test(edits, edits_that_cannot_be);
    tcase_add_test(edits, many_edits);
    tcase_add_test(headers, nothing_is_dropped);
    tcase_add_test(headers, own_lines_are_dropped);
    tcase_add_test(headers, lent_lines_are_dropped);
    tcase_add_test(headers, an_open_last_line);
    tcase_add_test(headers, headers_are_set);
    tcase_add_test(headers, the_content_type_comes_back);
    tcase_add_test(headers, too_many_headers);
    tcase_add_test(headers, lines_grow);
    suite_add_tcase(suite, edits);
    suite_add_tcase(suite, headers);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
