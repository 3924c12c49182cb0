/* gate_json_scan: what it accepts, what it refuses and where, hostile bodies. Every body goes
 * through every variant of the walk. test_json_facts.c compares its findings with cJSON. */
#include "base/json_skip.h"
#include <check.h>
#include <stdlib.h>

struct result {
    enum gate_status status;
    struct gate_request_facts facts;
    struct gate_json_error why;
};

static struct result scan_key(struct gate_str body, struct gate_str key)
{
    struct result first = {0};
    const struct gate_json_skip *skip;
    for (size_t v = 0; (skip = gate_json_skip_variant(v)) != NULL; v++) {
        struct result r = {0};
        r.status = gate_json_scan_by(skip, body, key, &r.facts, &r.why);
        if (v == 0)
            first = r;
        ck_assert_int_eq(r.status, first.status);
        ck_assert_mem_eq(&r.why, &first.why, sizeof r.why);
        if (r.status == GATE_OK)
            ck_assert_mem_eq(&r.facts, &first.facts, sizeof r.facts);
    }
    return first;
}

static struct result scan(struct gate_str body)
{
    return scan_key(body, GATE_STR("messages"));
}

static struct gate_str cut_out(struct gate_str body, struct gate_range r)
{
    return (struct gate_str){body.ptr + r.off, r.len};
}

#define ck_assert_range(body, range, text)                                                         \
    ck_assert_msg(gate_str_eq(cut_out(body, range), GATE_STR(text)), "%.*s is not " text,          \
                  (int)(range).len, (body).ptr + (range).off)

START_TEST(facts_of_a_request)
{
    struct gate_str body = GATE_STR(
        " {\n \"model\" : \"a\\u0062c\" , \"messages\": [ {\"role\":\"system\"} , {\"role\":"
        "\"user\",\"content\":[{\"type\" : \"image_url\"}]} ,\t\"three\" ] ,\"stream\":true,"
        "\"tools\":[{\"a\":[]},{}],\"stream_options\":{\"include_usage\":true},\"max_tokens\":12,"
        "\"max_completion_tokens\":34,\"temperature\":-0.5e+3,\"stop\":null,\"n\":1}\r\n");
    struct result r = scan(body);
    ck_assert_int_eq(r.status, GATE_OK);
    ck_assert_range(body, r.facts.model, "\"a\\u0062c\"");
    ck_assert_range(body, r.facts.first_message, "{\"role\":\"system\"}");
    ck_assert_range(body, r.facts.last_message, "\"three\"");
    ck_assert_range(body, r.facts.tools, "[{\"a\":[]},{}]");
    ck_assert_range(body, r.facts.stream_options, "{\"include_usage\":true}");
    ck_assert_int_eq(body.ptr[r.facts.messages.off], '[');
    ck_assert_int_eq(body.ptr[r.facts.messages.off + r.facts.messages.len - 1], ']');
    ck_assert_uint_eq(r.facts.root, 2);
    ck_assert_uint_eq(r.facts.message_count, 3);
    ck_assert_uint_eq(r.facts.tool_count, 2);
    ck_assert_uint_eq(r.facts.depth, 5);
    ck_assert(r.facts.stream);
    ck_assert(r.facts.has_images);
    ck_assert_uint_eq(r.facts.max_tokens, 34);
}
END_TEST

START_TEST(facts_of_the_least_request)
{
    struct result r = scan(GATE_STR("{\"model\":\"m\"}"));
    ck_assert_int_eq(r.status, GATE_OK);
    struct gate_request_facts least = {.model = {9, 3}, .root = 1, .depth = 1};
    ck_assert_mem_eq(&r.facts, &least, sizeof least);
}
END_TEST

START_TEST(empty_and_null_values)
{
    struct gate_str body = GATE_STR("{\"model\":\"m\",\"messages\":[ ],\"tools\":null,"
                                    "\"stream\":null,\"stream_options\":null,\"x\":{},\"\":[]}");
    struct result r = scan(body);
    ck_assert_int_eq(r.status, GATE_OK);
    ck_assert_range(body, r.facts.messages, "[ ]");
    ck_assert_uint_eq(r.facts.first_message.len + r.facts.last_message.len, 0);
    ck_assert_uint_eq(r.facts.tools.len + r.facts.stream_options.len, 0);
    ck_assert(!r.facts.stream);
}
END_TEST

START_TEST(messages_key_is_the_dialects)
{
    struct gate_str body = GATE_STR("{\"messages\":\"free\",\"input\":[1,2],\"model\":\"m\"}");
    struct result r = scan_key(body, GATE_STR("input"));
    ck_assert_int_eq(r.status, GATE_OK);
    ck_assert_range(body, r.facts.messages, "[1,2]");
    ck_assert_uint_eq(r.facts.message_count, 2);
    r = scan_key(GATE_STR("{\"model\":\"m\",\"input\":1}"), GATE_STR("input"));
    ck_assert_int_eq(r.status, GATE_EINVAL);
    ck_assert_str_eq(r.why.param, "input");
}
END_TEST

START_TEST(max_tokens_takes_whole_numbers_only)
{
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = {{"0", 0},
                 {"7", 7},
                 {"-7", 0},
                 {"7.0", 0},
                 {"7e2", 0},
                 {"\"7\"", 0},
                 {"[7]", 0},
                 {"null", 0},
                 {"18446744073709551615", UINT64_MAX},
                 {"true", 0},
                 {"{}", 0},
                 {"18446744073709551616", UINT64_MAX},
                 {"5000000000", 5000000000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"model\":\"m\",\"max_tokens\":%s}", cases[i].text);
        struct result r = scan(gate_str_of(body));
        ck_assert_int_eq(r.status, GATE_OK);
        ck_assert_uint_eq(r.facts.max_tokens, cases[i].value);
    }
    struct result r = scan(GATE_STR("{\"max_completion_tokens\":3,\"model\":\"m\",\"max_tokens\":9,"
                                    "\"max_tokens\":4}"));
    ck_assert_uint_eq(r.facts.max_tokens, 9);
}
END_TEST

START_TEST(images_are_type_members_of_messages)
{
    static const struct {
        const char *body;
        bool images;
    } cases[] = {
        {"{\"model\":\"m\",\"messages\":[{\"content\":[{\"type\":\"image\"}]}]}", true},
        {"{\"model\":\"m\",\"messages\":[{\"content\":[{\"type\" \n:\t\"input_image\"}]}]}", true},
        {"{\"model\":\"m\",\"messages\":[{\"type\":\"image_url\"}]}", true},
        {"{\"model\":\"m\",\"messages\":[{\"type\":\"images\"}]}", false},
        {"{\"model\":\"m\",\"messages\":[{\"kind\":\"image\"}]}", false},
        {"{\"model\":\"m\",\"messages\":[{\"\\\"type\":\"image\"}]}", false},
        {"{\"model\":\"m\",\"messages\":[{\"mytype\":\"image\"}]}", false},
        {"{\"model\":\"m\",\"messages\":[{\"type\":[\"image\"]}]}", false},
        {"{\"model\":\"m\",\"messages\":[\"type\",\"image\"]}", false},
        {"{\"model\":\"m\",\"messages\":[{\"content\":\"\\\"type\\\":\\\"image\\\"\"}]}", false},
        {"{\"model\":\"m\",\"messages\":[{}],\"type\":\"image\"}", false},
        {"{\"model\":\"m\",\"messages\":[{}],\"tools\":[{\"type\":\"image\"}]}", false},
        {"{\"type\":\"image\",\"model\":\"m\",\"x\":{\"type\":\"image\"},\"messages\":[]}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct result r = scan(gate_str_of(cases[i].body));
        ck_assert_int_eq(r.status, GATE_OK);
        ck_assert_msg(r.facts.has_images == cases[i].images, "%s", cases[i].body);
    }
}
END_TEST

enum { BODY_MAX = 256 };

/* Copies a body without the '^' that marks a place in it, and returns the place. */
static size_t take_mark(const char *marked, char *body)
{
    size_t at = strcspn(marked, "^");
    int n = snprintf(body, BODY_MAX, "%.*s%s", (int)at, marked, marked + at + 1);
    ck_assert_int_lt(n, BODY_MAX);
    return at;
}

/* '^' marks where the fault is noticed. */
static const struct {
    const char *marked, *reason;
} not_json[] = {
    {"^", "the body is empty"},
    {" \n\t\r^", "the body is empty"},
    {"^hello", "the body is not JSON"},
    {"^\xef\xbb\xbf{\"model\":\"m\"}", "the body is not JSON"},
    {"{^", "object does not end"},
    {"{\"^", "string does not end"},
    {"{\"model^", "string does not end"},
    {"{\"model\\\"^", "string does not end"},
    {"{\"model\"^", "object does not end"},
    {"{\"model\" : ^", "object does not end"},
    {"{\"model\":\"m^", "string does not end"},
    {"{\"model\":\"m\"^", "object does not end"},
    {"{\"model\":\"m\", ^", "object does not end"},
    {"{^model:1}", "expected a key"},
    {"{\"model\":\"m\",^}", "expected a key"},
    {"{^,}", "expected a key"},
    {"{^1:2}", "expected a key"},
    {"{^\\\"a\":2}", "expected a key"},
    {"{\"a\"^}", "expected ':' after a key"},
    {"{\"a\" ^1}", "expected ':' after a key"},
    {"{\"a\"^,\"b\":1}", "expected ':' after a key"},
    {"{\"a\":^}", "expected a value"},
    {"{\"a\":^:1}", "expected a value"},
    {"{\"a\":^nul}", "expected a value"},
    {"{\"a\":^True}", "expected a value"},
    {"{\"a\":^NaN}", "expected a value"},
    {"{\"a\":^+1}", "expected a value"},
    {"{\"a\":^.5}", "expected a value"},
    {"{\"a\":^'b'}", "expected a value"},
    {"{\"a\":^\\\"b\"}", "expected a value"},
    {"{\"a\":^-}", "malformed number"},
    {"{\"a\":^-a}", "malformed number"},
    {"{\"a\":^01}", "malformed number"},
    {"{\"a\":^1.}", "malformed number"},
    {"{\"a\":^1e}", "malformed number"},
    {"{\"a\":^1e+}", "malformed number"},
    {"{\"a\":1^x}", "expected ',' or '}' after a value"},
    {"{\"a\":0^x10}", "expected ',' or '}' after a value"},
    {"{\"a\":true^1}", "expected ',' or '}' after a value"},
    {"{\"a\":\"b\" ^\"c\":1}", "expected ',' or '}' after a value"},
    {"{\"a\":\"b\"^]", "expected ',' or '}' after a value"},
    {"{\"a\":\"b\"^:1}", "expected ',' or '}' after a value"},
    {"{\"a\":[{^]}}", "bracket closes another kind than was opened"},
    {"{\"a\":[[1,2]^}}", "bracket closes another kind than was opened"},
    {"{\"a\":{\"b\":[{}^}}}", "bracket closes another kind than was opened"},
    {"{\"a\":[[1,2]^", "object or array does not end"},
    {"{\"a\":[\"^", "string does not end"},
    {"{\"a\":[1,^\\2]}", "backslash outside a string"},
    {"{\"messages\":[^,1]}", "expected a value"},
    {"{\"messages\":[1,^]}", "expected a value"},
    {"{\"messages\":[1,^,2]}", "expected a value"},
    {"{\"messages\":[^:]}", "expected a value"},
    {"{\"messages\":[1 ^2]}", "expected ',' or ']' after an element"},
    {"{\"messages\":[{}^{}]}", "expected ',' or ']' after an element"},
    {"{\"messages\":[\"a\"^}", "expected ',' or ']' after an element"},
    {"{\"messages\":[{^]}]}", "bracket closes another kind than was opened"},
    {"{\"messages\":[{\"a\":\"b\"}^", "object or array does not end"},
    {"{\"messages\":[{\"a\":\"b\"}, ^", "object or array does not end"},
    {"{\"messages\":[^", "object or array does not end"},
    {"{\"tools\":[^,]}", "expected a value"},
    {"{\"model\":\"m\"}^x", "unexpected bytes after the JSON object"},
    {"{\"model\":\"m\"} ^{}", "unexpected bytes after the JSON object"},
    {"{\"model\":\"m\"}\n ^}", "unexpected bytes after the JSON object"},
    /* Not JSON is told before what else is wrong. */
    {"{\"model\":5,\"stream\":\"x\",^}", "expected a key"},
};

START_TEST(not_json_is_refused_with_place_and_reason)
{
    char body[BODY_MAX];
    size_t at = take_mark(not_json[_i].marked, body);
    struct result r = scan(gate_str_of(body));
    ck_assert_int_eq(r.status, GATE_EPARSE);
    ck_assert_str_eq(r.why.reason, not_json[_i].reason);
    ck_assert_uint_eq(r.why.offset, at);
    ck_assert_str_eq(r.why.code, "invalid_json");
    ck_assert_ptr_null(r.why.param);
}
END_TEST

/* '^' marks what is at fault. */
static const struct {
    const char *marked, *code, *param;
} not_a_request[] = {
    {"^null", "invalid_type", NULL},
    {" ^[]", "invalid_type", NULL},
    {"^\"text\"", "invalid_type", NULL},
    {"^true", "invalid_type", NULL},
    {"^-12", "invalid_type", NULL},
    {"^{}", "missing_parameter", "model"},
    {" \n^{\"messages\":[],\"Model\":\"m\"}", "missing_parameter", "model"},
    {"{\"model\":^\"\"}", "missing_parameter", "model"},
    {"{\"model\":^null}", "invalid_type", "model"},
    {"{\"model\":^7}", "invalid_type", "model"},
    {"{\"model\":^[\"m\"]}", "invalid_type", "model"},
    {"{\"model\":^{}}", "invalid_type", "model"},
    {"{\"model\":\"m\",\"stream\":^1}", "invalid_type", "stream"},
    {"{\"model\":\"m\",\"stream\":^\"true\"}", "invalid_type", "stream"},
    {"{\"model\":\"m\",\"stream\":^[]}", "invalid_type", "stream"},
    {"{\"model\":\"m\",\"messages\":^null}", "invalid_type", "messages"},
    {"{\"model\":\"m\",\"messages\":^{}}", "invalid_type", "messages"},
    {"{\"model\":\"m\",\"messages\":^\"hi\"}", "invalid_type", "messages"},
    {"{\"model\":\"m\",\"tools\":^{}}", "invalid_type", "tools"},
    {"{\"model\":\"m\",\"tools\":^false}", "invalid_type", "tools"},
    {"{\"model\":\"m\",\"stream_options\":^[]}", "invalid_type", "stream_options"},
    {"{\"model\":\"m\",\"stream_options\":^true}", "invalid_type", "stream_options"},
    {"{\"model\":\"m\",^\"model\":\"m\"}", "duplicate_parameter", "model"},
    {"{\"model\":\"m\",^\"mod\\u0065l\":\"n\"}", "duplicate_parameter", "model"},
    {"{\"\\u006d\\u006F\\u0064el\":\"m\",^\"model\":\"n\"}", "duplicate_parameter", "model"},
    {"{\"model\":\"m\",\"stream\":true,^\"stream\":false}", "duplicate_parameter", "stream"},
    {"{\"model\":\"m\",\"tools\":[],^\"tools\":[]}", "duplicate_parameter", "tools"},
    {"{\"model\":\"m\",\"messages\":[],^\"messages\":[]}", "duplicate_parameter", "messages"},
    {"{\"model\":\"m\",\"stream_options\":{},^\"stream\\u005foptions\":{}}", "duplicate_parameter",
     "stream_options"},
    /* The first finding is told. */
    {"{\"stream\":^1,\"model\":5,\"tools\":7}", "invalid_type", "stream"},
};

START_TEST(not_a_request_is_refused_with_place_and_code)
{
    char body[BODY_MAX];
    size_t at = take_mark(not_a_request[_i].marked, body);
    struct result r = scan(gate_str_of(body));
    ck_assert_int_eq(r.status, GATE_EINVAL);
    ck_assert_str_eq(r.why.code, not_a_request[_i].code);
    ck_assert_uint_eq(r.why.offset, at);
    ck_assert_ptr_nonnull(r.why.reason);
    if (not_a_request[_i].param == NULL)
        ck_assert_ptr_null(r.why.param);
    else
        ck_assert_str_eq(r.why.param, not_a_request[_i].param);
}
END_TEST

START_TEST(what_the_upstream_judges_passes)
{
    static const struct gate_str bodies[] = {
        GATE_STR("{\"model\":\"m\",\"x\":1,\"x\":2,\"y\":{\"model\":1,\"model\":2}}"),
        GATE_STR("{\"model\":\"m\",\"x\":{\"a\" 01 nul :,}}"),
        GATE_STR("{\"model\":\"m\",\"messages\":[nul, 01, {\"model\":3}]}"),
        GATE_STR("{\"model\":\"\xff\xc0\x80\xed\xa0\x80\",\"\xfe\":\"\xc3\"}"),
        GATE_STR("{\"model\":\"\\ud800\",\"x\":\"\\udc00 \\ud800x\"}"),
        GATE_STR("{\"model\":\"a\0b\",\"x\0y\":\"\0\",\"z\":[\0]}"),
        GATE_STR("{\"model\":\"a\nb\x01\",\"x\":\"\\q \\u12\"}"),
        GATE_STR("{\"model\":\"m\",\"mod\\u0065l\\u0000\":1,\"mod\\el\":1,\"mod\\u006\":1}"),
        GATE_STR("{\"model\":\"m\",\"model \":1,\"MODEL\":2,\"mode\\\\l\":3}"),
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        ck_assert_msg(scan(bodies[i]).status == GATE_OK, "body %zu", i);
}
END_TEST

START_TEST(nul_outside_a_string_at_the_top_is_refused)
{
    struct result r = scan(GATE_STR("{\"model\":\"m\"\0}"));
    ck_assert_int_eq(r.status, GATE_EPARSE);
    ck_assert_uint_eq(r.why.offset, 12);
    r = scan(GATE_STR("{\"model\":\"m\"}\0"));
    ck_assert_int_eq(r.status, GATE_EPARSE);
    ck_assert_uint_eq(r.why.offset, 13);
    r = scan(GATE_STR("\0"));
    ck_assert_int_eq(r.status, GATE_EPARSE);
    ck_assert_int_eq(scan((struct gate_str){NULL, 0}).status, GATE_EPARSE);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    static const char body[] =
        "{\"model\":\"a-model\",\"messages\":[{\"role\":\"system\",\"content\":\"You \\\"are\\\" "
        "here.\\n\\\\\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\\u00fc\"},"
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}],\"tools\":[{\"type\":"
        "\"function\","
        "\"function\":{\"name\":\"f\",\"parameters\":{\"a\":[1,-2.5e3,null]}}}],\"stream\":true,"
        "\"stream_options\":{\"include_usage\":true},\"max_tokens\":8000}";
    ck_assert_int_eq(scan((struct gate_str){body, sizeof body - 1}).status, GATE_OK);
    for (size_t len = 0; len < sizeof body - 1; len++) {
        /* Its own memory, so that a sanitizer sees a byte that is read too far. */
        char *copy = gate_alloc(len);
        memcpy(copy, body, len);
        struct result r = scan((struct gate_str){copy, len});
        ck_assert_int_eq(r.status, GATE_EPARSE);
        ck_assert_uint_le(r.why.offset, len);
        free(copy);
    }
}
END_TEST

/* {"model":"m","<key>":<open x levels><close x levels>} */
static struct result scan_nested(const char *key, char open, char close, size_t levels)
{
    struct gate_buf b;
    gate_buf_init(&b, SIZE_MAX);
    gate_buf_printf(&b, "{\"model\":\"m\",\"%s\":", key);
    for (size_t i = 0; i < levels; i++)
        gate_buf_append_byte(&b, open);
    for (size_t i = 0; i < levels; i++)
        gate_buf_append_byte(&b, close);
    gate_buf_append_byte(&b, '}');
    struct result r = scan(gate_buf_str(&b));
    gate_buf_finish(&b);
    return r;
}

START_TEST(nesting_is_bounded)
{
    static const char *const keys[] = {"x", "messages", "tools"};
    const size_t limit = GATE_JSON_MAX_DEPTH - 1; /* below the root */
    for (size_t i = 0; i < 3; i++) {
        size_t value = sizeof "{\"model\":\"m\",\"\":" - 1 + strlen(keys[i]);
        struct result r = scan_nested(keys[i], '[', ']', limit);
        ck_assert_int_eq(r.status, GATE_OK);
        ck_assert_uint_eq(r.facts.depth, GATE_JSON_MAX_DEPTH);
        for (size_t levels = limit + 1; levels < 200000; levels = levels * 3) {
            r = scan_nested(keys[i], '[', ']', levels);
            ck_assert_int_eq(r.status, GATE_EPARSE);
            ck_assert_str_eq(r.why.reason, "nesting is too deep");
            ck_assert_uint_eq(r.why.offset, value + limit);
        }
        r = scan_nested(keys[i], '[', ']', 10000);
        ck_assert_int_eq(r.status, GATE_EPARSE);
    }
    struct result r = scan_nested("x", '{', '}', 10000);
    ck_assert_str_eq(r.why.reason, "nesting is too deep");
}
END_TEST

/* before, then 30 MB of a unit, then after */
static struct result scan_large(const char *before, const char *unit, const char *after)
{
    struct gate_buf b;
    gate_buf_init(&b, 40 << 20);
    gate_buf_printf(&b, "%s", before);
    while (b.len < 30 << 20)
        gate_buf_append(&b, gate_str_of(unit));
    gate_buf_printf(&b, "%s", after);
    struct result r = scan(gate_buf_str(&b));
    if (r.status != GATE_OK)
        r.why.offset = b.len - r.why.offset;
    gate_buf_finish(&b);
    return r;
}

START_TEST(large_bodies)
{
    struct result r = scan_large("{\"model\":\"", "x", "\"}");
    ck_assert_int_eq(r.status, GATE_OK);
    ck_assert_uint_gt(r.facts.model.len, 31 * 1000 * 1000);
    r = scan_large("{\"model\":\"m\",\"messages\":[{\"content\":\"", "\\\"\\\\", "\"}]}");
    ck_assert_int_eq(r.status, GATE_OK);
    r = scan_large("{\"model\":\"m\",\"", "long key \\u0020", "\":1}");
    ck_assert_int_eq(r.status, GATE_OK);
    r = scan_large("{\"model\":\"m\",\"x\":\"", "{[", "");
    ck_assert_int_eq(r.status, GATE_EPARSE);
    ck_assert_uint_eq(r.why.offset, 0);
    r = scan_large("{\"model\":\"m\",\"messages\":[1", ",1", "]}");
    ck_assert_int_eq(r.status, GATE_OK);
    ck_assert_uint_gt(r.facts.message_count, 15000000);
    r = scan_large("{\"model\":\"m\",\"x\":1", "        ", "}");
    ck_assert_int_eq(r.status, GATE_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tests = tcase_create("json");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, facts_of_a_request);
    tcase_add_test(tests, facts_of_the_least_request);
    tcase_add_test(tests, empty_and_null_values);
    tcase_add_test(tests, messages_key_is_the_dialects);
    tcase_add_test(tests, max_tokens_takes_whole_numbers_only);
    tcase_add_test(tests, images_are_type_members_of_messages);
    tcase_add_loop_test(tests, not_json_is_refused_with_place_and_reason, 0,
                        sizeof not_json / sizeof not_json[0]);
    tcase_add_loop_test(tests, not_a_request_is_refused_with_place_and_code, 0,
                        sizeof not_a_request / sizeof not_a_request[0]);
    tcase_add_test(tests, what_the_upstream_judges_passes);
    tcase_add_test(tests, nul_outside_a_string_at_the_top_is_refused);
    tcase_add_test(tests, every_truncation_is_refused);
    tcase_add_test(tests, nesting_is_bounded);
    tcase_add_test(tests, large_bodies);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
