/* Tests of request/edits: what a target changes of a request, in the builder of its attempt. */
#include "request/edits.h"

#include "edits_util.h"

/* ---- fields */

struct sample {
    const char *body;
    const char *edits; /* "name=json" sets, "name" removes, "#n" clamps; parted by '|' */
    const char *sent;  /* NULL: refused */
};

static const struct sample fields[] = {
    /* set where it stands */
    {"{\"model\":\"m\",\"a\":1,\"b\":2}", "a=[3]", "{\"model\":\"m\",\"a\":[3],\"b\":2}"},
    {" { \"a\" : {\"x\":[\"}\"]} , \"model\":\"m\" } \n", "a=0",
     " { \"a\" : 0 , \"model\":\"m\" } \n"},
    {"{\"model\":\"m\",\"a\":\"\\\"a\\\":1\"}", "a=2", "{\"model\":\"m\",\"a\":2}"},
    /* inserted in front */
    {"{\"model\":\"m\"}", "a=1", "{\"a\":1,\"model\":\"m\"}"},
    {"\t{ \"model\":\"m\"}", "a=1|b=\"2\"", "\t{\"a\":1,\"b\":\"2\", \"model\":\"m\"}"},
    {"{\"model\":\"m\",\"x\":{\"a\":1}}", "a=2", "{\"a\":2,\"model\":\"m\",\"x\":{\"a\":1}}"},
    {"{\"model\":\"m\"}", "q\"\\=1", "{\"q\\\"\\\\\":1,\"model\":\"m\"}"},
    {"{}", "a=1|b=2", "{\"a\":1,\"b\":2}"},
    {"{ }", "a=1", "{\"a\":1 }"},
    /* removed: first, middle, last, only, runs */
    {"{\"a\":1,\"model\":\"m\"}", "a", "{\"model\":\"m\"}"},
    {"{ \"a\" : 1 , \"model\":\"m\"}", "a", "{  \"model\":\"m\"}"},
    {"{\"model\":\"m\",\"a\":1,\"b\":2}", "a", "{\"model\":\"m\",\"b\":2}"},
    {"{\"model\":\"m\", \"a\" : 1 , \"b\":2}", "a", "{\"model\":\"m\" , \"b\":2}"},
    {"{\"model\":\"m\",\"a\":1}", "a", "{\"model\":\"m\"}"},
    {"{\"model\":\"m\" , \"a\":1 } \r\n", "a", "{\"model\":\"m\"  } \r\n"},
    {"{\"a\":1}", "a", "{}"},
    {"{ \"a\":1 }", "a", "{  }"},
    {"{\"a\":1}", "a|b=2", "{\"b\":2}"},
    {"{\"a\":1,\"b\":2}", "a|b", "{}"},
    {"{\"a\":1,\"b\":2}", "a|b|c=3", "{\"c\":3}"},
    {"{\"a\":1,\"b\":2,\"model\":\"m\",\"c\":3,\"d\":4}", "a|b|c|d", "{\"model\":\"m\"}"},
    {"{\"a\":1,\"b\":2,\"model\":\"m\",\"c\":3,\"d\":4}", "a|c",
     "{\"b\":2,\"model\":\"m\",\"d\":4}"},
    {"{\"a\":1,\"b\":2,\"model\":\"m\",\"c\":3,\"d\":4}", "b|d",
     "{\"a\":1,\"model\":\"m\",\"c\":3}"},
    {"{\"model\":\"m\"}", "a", "{\"model\":\"m\"}"},
    {"{}", "a", "{}"},
    /* beside each other */
    {"{\"a\":1,\"b\":2,\"c\":3,\"model\":\"m\"}", "a|b=7|c|d=8",
     "{\"d\":8,\"b\":7,\"model\":\"m\"}"},
    {"{\"a\":1,\"b\":2,\"c\":3,\"model\":\"m\"}", "a=5|b|c=6", "{\"a\":5,\"c\":6,\"model\":\"m\"}"},
    /* twice in the body */
    {"{\"a\":1,\"model\":\"m\",\"a\":2,\"a\":3}", "a=4", "{\"a\":4,\"model\":\"m\"}"},
    {"{\"a\":1,\"model\":\"m\",\"a\":2,\"b\":3}", "a", "{\"model\":\"m\",\"b\":3}"},
    {"{\"a\":1,\"a\":2,\"model\":\"m\"}", "a", "{\"model\":\"m\"}"},
    {"{\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"model\":1}", "a",
     "{\"model\":1}"},
    {"{\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1}", "a",
     NULL},
    /* twice in the edits: the later counts */
    {"{\"a\":1,\"model\":\"m\"}", "a=2|a", "{\"model\":\"m\"}"},
    {"{\"model\":\"m\"}", "a|a=2", "{\"a\":2,\"model\":\"m\"}"},
    {"{\"a\":1,\"model\":\"m\"}", "a=2|a=3", "{\"a\":3,\"model\":\"m\"}"},
    /* names as they decode */
    {"{\"\\u0061b\":1,\"model\":\"m\"}", "ab=2", "{\"\\u0061b\":2,\"model\":\"m\"}"},
    {"{\"model\":\"m\",\"\\u0061\\u0062\":1,\"ab\":2}", "ab", "{\"model\":\"m\"}"},
    {"{\"\xc3\xa4\":1,\"\\u00e4\":2,\"model\":\"m\"}", "\xc3\xa4", "{\"model\":\"m\"}"},
    {"{\"\\ud83d\\ude00\":1,\"model\":\"m\"}", "\xf0\x9f\x98\x80=3",
     "{\"\\ud83d\\ude00\":3,\"model\":\"m\"}"},
    {"{\"abc\\u0064\":1,\"ab\\n\":1,\"\":2,\"model\":\"m\"}", "ab",
     "{\"abc\\u0064\":1,\"ab\\n\":1,\"\":2,\"model\":\"m\"}"},
    {"{\"\":2,\"model\":\"m\"}", "=3", "{\"\":3,\"model\":\"m\"}"},
    {"{\"a\\x\":2,\"model\":\"m\"}", "a", "{\"a\\x\":2,\"model\":\"m\"}"},
    /* messages and tools are jumped over, and tools may be edited */
    {"{\"messages\":[{\"a\":1}],\"tools\":[{\"a\":2}],\"a\":3,\"model\":\"m\"}", "a",
     "{\"messages\":[{\"a\":1}],\"tools\":[{\"a\":2}],\"model\":\"m\"}"},
    {"{\"messages\":[],\"tools\":[{\"a\":2}],\"a\":3,\"model\":\"m\"}", "tools|a=1",
     "{\"messages\":[],\"a\":1,\"model\":\"m\"}"},
    {"{\"tools\":[ ] ,\"model\":\"m\"}", "tools=[1,2]", "{\"tools\":[1,2] ,\"model\":\"m\"}"},
    /* not the target's */
    {"{\"model\":\"m\"}", "model=\"x\"", NULL},
    {"{\"model\":\"m\"}", "stream", NULL},
    {"{\"model\":\"m\"}", "stream_options={}", NULL},
    {"{\"model\":\"m\"}", "a=1|messages=[]", NULL},
};

/* ---- the clamp */

static const struct sample clamps[] = {
    {"{\"model\":\"m\"}", "#100", "{\"max_tokens\":100,\"model\":\"m\"}"},
    {"{\"model\":\"m\",\"max_tokens\":101}", "#100", "{\"model\":\"m\",\"max_tokens\":100}"},
    {"{\"model\":\"m\",\"max_tokens\":100}", "#100", "{\"model\":\"m\",\"max_tokens\":100}"},
    {"{\"model\":\"m\",\"max_tokens\":7}", "#100", "{\"model\":\"m\",\"max_tokens\":7}"},
    {"{\"model\":\"m\",\"max_tokens\":0}", "#100", "{\"model\":\"m\",\"max_tokens\":0}"},
    {"{\"model\":\"m\",\"max_completion_tokens\" : 101 }", "#100",
     "{\"model\":\"m\",\"max_completion_tokens\" : 100 }"},
    {"{\"max_completion_tokens\":500,\"max_tokens\":7}", "#100",
     "{\"max_completion_tokens\":100,\"max_tokens\":7}"},
    {"{\"max_completion_tokens\":5,\"max_tokens\":700}", "#100",
     "{\"max_completion_tokens\":5,\"max_tokens\":100}"},
    {"{\"max_completion_tokens\":1e9,\"max_tokens\":1e9}", "#100",
     "{\"max_completion_tokens\":100,\"max_tokens\":100}"},
    /* fractions and exponents */
    {"{\"max_tokens\":1e9}", "#100", "{\"max_tokens\":100}"},
    {"{\"max_tokens\":1E2}", "#100", "{\"max_tokens\":1E2}"},
    {"{\"max_tokens\":1.0e+2}", "#100", "{\"max_tokens\":1.0e+2}"},
    {"{\"max_tokens\":1.01e2}", "#100", "{\"max_tokens\":100}"},
    {"{\"max_tokens\":100.0}", "#100", "{\"max_tokens\":100.0}"},
    {"{\"max_tokens\":100.00000000000000000000000000001}", "#100", "{\"max_tokens\":100}"},
    {"{\"max_tokens\":99.99999999999999999999999999999}", "#100",
     "{\"max_tokens\":99.99999999999999999999999999999}"},
    {"{\"max_tokens\":0.5}", "#1", "{\"max_tokens\":0.5}"},
    {"{\"max_tokens\":0.0011e3}", "#1", "{\"max_tokens\":1}"},
    {"{\"max_tokens\":0.001e3}", "#1", "{\"max_tokens\":0.001e3}"},
    {"{\"max_tokens\":1200e-1}", "#100", "{\"max_tokens\":100}"},
    {"{\"max_tokens\":1000e-1}", "#100", "{\"max_tokens\":1000e-1}"},
    {"{\"max_tokens\":0e999999999999}", "#100", "{\"max_tokens\":0e999999999999}"},
    {"{\"max_tokens\":0.0}", "#100", "{\"max_tokens\":0.0}"},
    {"{\"max_tokens\":1e-99999999999999999999}", "#100",
     "{\"max_tokens\":1e-99999999999999999999}"},
    {"{\"max_tokens\":1e99999999999999999999}", "#100", "{\"max_tokens\":100}"},
    {"{\"max_tokens\":18446744073709551616}", "#18446744073709551615",
     "{\"max_tokens\":18446744073709551615}"},
    {"{\"max_tokens\":18446744073709551615}", "#18446744073709551615",
     "{\"max_tokens\":18446744073709551615}"},
    {"{\"max_tokens\":9007199254740993}", "#9007199254740992", "{\"max_tokens\":9007199254740992}"},
    /* what some services read as no limit, or as a number */
    {"{\"max_tokens\":-1}", "#100", "{\"max_tokens\":100}"},
    {"{\"max_tokens\":\"900\"}", "#100", "{\"max_tokens\":100}"},
    {"{\"max_tokens\":true}", "#100", "{\"max_tokens\":100}"},
    {"{\"max_tokens\":{\"a\":[1]}}", "#100", "{\"max_tokens\":100}"},
    /* null is absent */
    {"{\"model\":\"m\",\"max_tokens\":null}", "#100", "{\"model\":\"m\",\"max_tokens\":100}"},
    {"{\"max_completion_tokens\":null,\"model\":\"m\"}", "#100",
     "{\"max_completion_tokens\":100,\"model\":\"m\"}"},
    {"{\"max_completion_tokens\":null,\"max_tokens\":null}", "#100",
     "{\"max_completion_tokens\":100,\"max_tokens\":null}"},
    {"{\"max_completion_tokens\":null,\"max_tokens\":7}", "#100",
     "{\"max_completion_tokens\":null,\"max_tokens\":7}"},
    /* twice: each is a bound for some reader */
    {"{\"max_tokens\":7,\"max_tokens\":700,\"max\\u005ftokens\":800}", "#100",
     "{\"max_tokens\":7,\"max_tokens\":100,\"max\\u005ftokens\":100}"},
    /* not the root's */
    {"{\"x\":{\"max_tokens\":700},\"messages\":[{\"max_tokens\":700}]}", "#100",
     "{\"max_tokens\":100,\"x\":{\"max_tokens\":700},\"messages\":[{\"max_tokens\":700}]}"},
    /* with fields: what is set is clamped */
    {"{\"model\":\"m\",\"max_tokens\":7}", "max_tokens=700|#100",
     "{\"model\":\"m\",\"max_tokens\":100}"},
    {"{\"model\":\"m\",\"max_tokens\":700}", "max_tokens=7|#100",
     "{\"model\":\"m\",\"max_tokens\":7}"},
    {"{\"model\":\"m\"}", "max_completion_tokens=700|#100",
     "{\"max_completion_tokens\":100,\"model\":\"m\"}"},
    {"{\"model\":\"m\",\"max_tokens\":800}", "max_completion_tokens=7|#100",
     "{\"max_completion_tokens\":7,\"model\":\"m\",\"max_tokens\":100}"},
    {"{\"model\":\"m\",\"max_tokens\":null}", "max_completion_tokens=7|#100",
     "{\"max_completion_tokens\":7,\"model\":\"m\",\"max_tokens\":null}"},
    {"{\"model\":\"m\"}", "max_tokens=null|#100", "{\"max_tokens\":100,\"model\":\"m\"}"},
    {"{\"model\":\"m\",\"max_tokens\":7}", "max_tokens|#100",
     "{\"max_tokens\":100,\"model\":\"m\"}"},
    {"{\"model\":\"m\",\"max_tokens\":7}", "max_tokens|max_completion_tokens=9000|#100",
     "{\"max_completion_tokens\":100,\"model\":\"m\"}"},
    {"{\"max_tokens\":7,\"a\":1}", "a|#5", "{\"max_tokens\":5}"},
    {"{\"a\":1}", "a|b=2|#5", "{\"max_tokens\":5,\"b\":2}"},
    {"{\"model\":\"m\",\"max_tokens\":900}", "max_tokens=700",
     "{\"model\":\"m\",\"max_tokens\":700}"},
};

static void ck_sample(const struct sample *s)
{
    struct made m;
    make_edits(&m, s->edits);
    struct gate_error err = {0};
    char *sent = NULL;
    enum gate_status status =
        send_edited(&m.edits, &plain_dialect, gate_str_of(s->body), &sent, &err);
    if (s->sent == NULL) {
        ck_assert_msg(status == GATE_EINVAL, "%s with %s was sent as %s", s->body, s->edits, sent);
        ck_assert_ptr_nonnull(strchr(err.message, '"'));
    } else {
        ck_assert_msg(status == GATE_OK, "%s with %s: %s", s->body, s->edits, err.message);
        ck_assert_str_eq(sent, s->sent);
    }
    free(sent);
}

START_TEST(fields_are_edited)
{
    ck_sample(&fields[_i]);
}
END_TEST

START_TEST(answers_are_bounded)
{
    ck_sample(&clamps[_i]);
}
END_TEST

/* ---- headers */

#define LINES "authorization: Bearer k\r\nuser-agent: gate\r\nx-tier: free\r\n"

static enum gate_status send_headers(const struct gate_edits *e, struct gate_built *built,
                                     struct gate_error *err)
{
    struct gate_str body = GATE_STR("{\"model\":\"m\"}");
    struct gate_request_facts facts;
    struct gate_builder b;
    scan_body(body, &facts);
    gate_builder_init(&b, body, built);
    b.ops.header_block(&b, GATE_STR(LINES));
    b.ops.header(&b, GATE_STR("accept"), GATE_STR("*/*"));
    return gate_edits_apply(e, &plain_dialect, body, &facts, &b, err);
}

START_TEST(headers_are_edited)
{
    struct gate_edits e = {.header_count = 4};
    struct gate_built built;
    struct gate_error err;
    e.headers[0] = (struct gate_header){GATE_STR("x-tier"), GATE_STR("gold")};
    e.headers[1] = (struct gate_header){GATE_STR("user-agent"), {NULL, 0}};
    e.headers[2] = (struct gate_header){GATE_STR("accept"), {NULL, 0}};
    e.headers[3] = (struct gate_header){GATE_STR("x-empty"), {"", 0}};
    ck_assert_int_eq(send_headers(&e, &built, &err), GATE_OK);
    ck_assert_uint_eq(built.lines.len, 0);
    ck_assert(gate_str_eq(gate_buf_str(&built.own_lines),
                          GATE_STR("authorization: Bearer k\r\nx-tier: gold\r\nx-empty: \r\n")));
    gate_built_finish(&built);
}
END_TEST

START_TEST(some_headers_are_refused)
{
    static const char *const names[] = {"authorization",  "Authorization", "host",
                                        "content-length", "cookie",        "x-api-key",
                                        "bad name",       "a:b",           ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct gate_edits e = {.header_count = 1};
        struct gate_built built;
        struct gate_error err;
        e.headers[0] = (struct gate_header){gate_str_of(names[i]), GATE_STR("v")};
        ck_assert_int_eq(send_headers(&e, &built, &err), GATE_EINVAL);
        gate_built_finish(&built);
        e.headers[0].value = (struct gate_str){NULL, 0};
        if (i < 6)
            ck_assert_int_eq(send_headers(&e, &built, &err), GATE_EINVAL);
        if (i < 6)
            gate_built_finish(&built);
    }
    struct gate_edits e = {.header_count = 1};
    struct gate_built built;
    struct gate_error err;
    e.headers[0] = (struct gate_header){GATE_STR("x"), GATE_STR("a\nb")};
    ck_assert_int_eq(send_headers(&e, &built, &err), GATE_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.message, "forbidden bytes"));
    gate_built_finish(&built);
}
END_TEST

/* ---- dialects */

START_TEST(a_dialect_that_cannot)
{
    struct gate_dialect_ops old = plain_dialect;
    struct gate_edits system = {.system = GATE_STR("s")}, clamp = {.max_tokens = 5}, none = {0};
    struct gate_error err;
    char *sent = NULL;
    old.limit_keys = NULL;
    old.append_system = NULL;
    ck_assert_int_eq(send_edited(&system, &old, GATE_STR("{\"a\":1}"), &sent, &err), GATE_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.message, "system text"));
    ck_assert_int_eq(send_edited(&clamp, &old, GATE_STR("{\"a\":1}"), &sent, &err), GATE_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.message, "max_tokens"));
    ck_assert_int_eq(send_edited(&none, &old, GATE_STR("{\"a\":1}"), &sent, &err), GATE_OK);
    ck_assert_str_eq(sent, "{\"a\":1}");
    free(sent);
}
END_TEST

START_TEST(system_text_goes_to_the_dialect)
{
    struct gate_edits e = {.system = GATE_STR("be brief"), .max_tokens = 5};
    struct gate_error err;
    char *sent = NULL;
    ck_assert_int_eq(send_edited(&e, &plain_dialect, GATE_STR("{\"a\":1}"), &sent, &err), GATE_OK);
    ck_assert_str_eq(sent, "{\"max_tokens\":5,\"a\":1}be brief");
    free(sent);
    e.system = GATE_STR("refuse");
    ck_assert_int_eq(send_edited(&e, &plain_dialect, GATE_STR("{\"a\":1}"), &sent, &err), GATE_EIO);
    ck_assert_str_eq(err.message, "refused");
}
END_TEST

/* A provider's own failure is told as its own. */
START_TEST(a_builder_that_failed)
{
    struct gate_str body = GATE_STR("{\"model\":\"m\"}");
    struct gate_edits e = {.max_tokens = 5};
    struct gate_request_facts facts;
    struct gate_builder b;
    struct gate_built built;
    struct gate_error err;
    scan_body(body, &facts);
    gate_builder_init(&b, body, &built);
    b.ops.replace(&b, 100, 1, GATE_STR(""));
    ck_assert_int_eq(gate_edits_apply(&e, &plain_dialect, body, &facts, &b, &err), GATE_OK);
    ck_assert_int_eq(gate_builder_end_body(&b, "bad", &err), GATE_EINTERNAL);
    ck_assert_ptr_nonnull(strstr(err.message, "provider bad"));
}
END_TEST

/* ---- bodies for those who answer themselves */

START_TEST(bodies_are_rewritten)
{
    struct gate_str body =
        GATE_STR("{\"model\":\"m\",\"messages\":[{\"x\":1}],\"max_tokens\":900}");
    struct gate_edits e = {.field_count = 1, .max_tokens = 5};
    struct gate_request_facts facts, after;
    struct gate_error err;
    struct gate_buf out;
    e.fields[0] = (struct gate_field_edit){GATE_STR("a"), GATE_STR("[1]")};
    scan_body(body, &facts);
    gate_buf_init(&out, 1 << 16);
    ck_assert_int_eq(gate_edits_rewrite(&e, &plain_dialect, body, &facts, &out, &after, &err),
                     GATE_OK);
    ck_assert(gate_str_eq(
        gate_buf_str(&out),
        GATE_STR("{\"a\":[1],\"model\":\"m\",\"messages\":[{\"x\":1}],\"max_tokens\":5}")));
    ck_assert_uint_eq(after.max_tokens, 5);
    ck_assert_uint_eq(after.model.off, facts.model.off + 8);
    ck_assert_uint_eq(after.message_count, 1);
    gate_buf_finish(&out);
    gate_buf_init(&out, 10);
    ck_assert_int_eq(gate_edits_rewrite(&e, &plain_dialect, body, &facts, &out, &after, &err),
                     GATE_ELIMIT);
    gate_buf_finish(&out);
    gate_buf_init(&out, 1 << 16);
    e.fields[0].json = GATE_STR("]");
    ck_assert_int_eq(gate_edits_rewrite(&e, &plain_dialect, body, &facts, &out, &after, &err),
                     GATE_EINVAL);
    gate_buf_finish(&out);
}
END_TEST

/* ---- size */

/* Long names, many escaped keys, a long body: all of it is read once. */
START_TEST(large_bodies)
{
    enum { KEYS = 20000, NAME = 2000 };
    struct gate_buf body;
    char *name = gate_alloc(NAME), *sent = NULL;
    struct gate_edits e = {.field_count = 2, .max_tokens = 3};
    struct gate_error err;
    memset(name, 'n', NAME);
    e.fields[0] = (struct gate_field_edit){{name, NAME}, GATE_STR("0")};
    e.fields[1] = (struct gate_field_edit){GATE_STR("last"), GATE_STR("true")};
    gate_buf_init(&body, SIZE_MAX);
    gate_buf_append(&body, GATE_STR("{\"model\":\"m\""));
    for (int i = 0; i < KEYS; i++)
        gate_buf_printf(&body, ",\"\\u006b%d\":{\"a\":[%d]}", i, i);
    gate_buf_append(&body, GATE_STR(",\"\\u006e"));
    gate_buf_append(&body, (struct gate_str){name, NAME - 1});
    gate_buf_append(&body, GATE_STR("\":1"));
    size_t before = body.len;
    gate_buf_append(&body, GATE_STR(",\"la\\u0073t\":1}"));
    ck_assert_int_eq(send_edited(&e, &plain_dialect, gate_buf_str(&body), &sent, &err), GATE_OK);
    ck_assert_uint_eq(strlen(sent), body.len + strlen("\"max_tokens\":3,") + 3);
    ck_assert(strncmp(sent, "{\"max_tokens\":3,\"model\"", 23) == 0);
    ck_assert_str_eq(sent + strlen("\"max_tokens\":3,") + before - 2, ":0,\"la\\u0073t\":true}");
    free(sent);
    free(name);
    gate_buf_finish(&body);
}
END_TEST

#define LOOP(test, table)                                                                          \
    tcase_add_loop_test(tcase, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
    Suite *suite = suite_create("edits");
    TCase *tcase = tcase_create("all");
    LOOP(fields_are_edited, fields);
    LOOP(answers_are_bounded, clamps);
    tcase_add_test(tcase, headers_are_edited);
    tcase_add_test(tcase, some_headers_are_refused);
    tcase_add_test(tcase, a_dialect_that_cannot);
    tcase_add_test(tcase, system_text_goes_to_the_dialect);
    tcase_add_test(tcase, a_builder_that_failed);
    tcase_add_test(tcase, bodies_are_rewritten);
    tcase_add_test(tcase, large_bodies);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
