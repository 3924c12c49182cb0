/* Tests of dialect_openai_chat: asking for token counts, reading them, measuring text. */
#include "base/json.h"
#include "fake_host.h"

#include <check.h>
#include <stdlib.h>

extern const struct gate_plugin gate_plugin;

static const struct gate_dialect_ops *dialect(void)
{
    ck_assert_int_eq(gate_plugin.init(fake_host(), NULL), GATE_OK);
    return gate_plugin.ops;
}

/* ---------------------------------------------------------------- asking */

static const struct {
    const char *body;
    const char *sent; /* NULL: as it is */
    bool stripped;    /* the client did not ask */
} asks[] = {
    {"{\"model\":\"m\",\"stream\":true}",
     "{\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"stream\":true}", true},
    {" \n{ \"model\":\"m\"}", " \n{\"stream_options\":{\"include_usage\":true}, \"model\":\"m\"}",
     true},
    {"{\"model\":\"m\",\"stream_options\":{}}",
     "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true}}", true},
    {"{\"model\":\"m\",\"stream_options\":{ }}",
     "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true }}", true},
    {"{\"model\":\"m\",\"stream_options\":{\"include_obfuscation\":false}}",
     "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true,\"include_obfuscation\":false}}",
     true},
    {"{\"model\":\"m\",\"stream_options\":{\"x\":{\"include_usage\":true}}}",
     "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true,\"x\":{\"include_usage\":true}}}",
     true},
    {"{\"stream_options\" : { \"include_usage\" : false , \"x\":1},\"model\":\"m\"}",
     "{\"stream_options\" : { \"include_usage\" : true , \"x\":1},\"model\":\"m\"}", true},
    {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":null}}",
     "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true}}", true},
    {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":true}}", NULL, false},
    {"{\"model\":\"m\",\"stream_options\":{\"include\\u005Fusage\":true}}", NULL, false},
    {"{\"model\":\"m\",\"stream_options\":{\"include\\u005fusage\":false}}",
     "{\"model\":\"m\",\"stream_options\":{\"include\\u005fusage\":true}}", true},
    /* null instead of an object, before and behind what is jumped over */
    {"{\"stream_options\":null,\"model\":\"m\"}",
     "{\"stream_options\":{\"include_usage\":true},\"model\":\"m\"}", true},
    {"{\"messages\":[{\"content\":\"\\\"stream_options\\\":null\"}],\"tools\":[{\"a\":[]}],"
     "\"x\":{\"stream_options\":null},\"model\":\"m\",\"stream\\u005foptions\" : null }",
     "{\"messages\":[{\"content\":\"\\\"stream_options\\\":null\"}],\"tools\":[{\"a\":[]}],"
     "\"x\":{\"stream_options\":null},\"model\":\"m\",\"stream\\u005foptions\" : "
     "{\"include_usage\":true} }",
     true},
    {"{\"messages\": [ ] ,\"x\":null,\"model\":\"m\"}",
     "{\"stream_options\":{\"include_usage\":true},\"messages\": [ ] ,\"x\":null,\"model\":\"m\"}",
     true},
    /* twice: most readers take the last */
    {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}",
     "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true,\"include_usage\":true}}", true},
    {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":null,\"include_usage\":true}}",
     "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true,\"include_usage\":true}}", false},
    /* the upstream's to judge */
    {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":1}}", NULL, false},
    {"{\"model\":\"m\",\"stream_options\":{include_usage}}", NULL, true},
    {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":false,7}}", NULL, true},
    {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":0,\"include_usage\":false"
     ",\"include_usage\":false,\"include_usage\":false,\"include_usage\":false"
     ",\"include_usage\":false,\"include_usage\":false,\"include_usage\":false"
     ",\"include_usage\":false,\"include_usage\":false}}",
     NULL, true},
};

START_TEST(usage_is_asked_for)
{
    struct gate_str body = gate_str_of(asks[_i].body);
    struct fake_request request;
    struct gate_request_facts facts;
    struct gate_call call;
    struct gate_buf sent;

    fake_call_init(&call, &facts, body, "m", NULL);
    fake_request_init(&request);
    gate_buf_init(&sent, FAKE_MAX_BODY);
    ck_assert_int_eq(dialect()->ask_usage(body, &facts, &request.builder), asks[_i].stripped);
    fake_request_apply(&request, body, &sent);
    gate_buf_append_byte(&sent, '\0');
    ck_assert_str_eq(sent.ptr, asks[_i].sent != NULL ? asks[_i].sent : asks[_i].body);
    if (asks[_i].sent == NULL)
        ck_assert_uint_eq(request.edit_count, 0);
    gate_buf_finish(&sent);
    fake_request_finish(&request);
}
END_TEST

/* ---------------------------------------------------------------- reading */

#define TWO_53 "9007199254740992"

static const struct {
    const char *json;
    bool there;
    struct gate_usage usage;
} counts[] = {
    {"{\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":3,"
     "\"total_tokens\":13}}",
     true,
     {10, 3, 0}},
    {"{\"usage\":{\"prompt_tokens\":10,\"prompt_tokens_details\":{\"audio_tokens\":1,"
     "\"cached_tokens\":4},\"completion_tokens\":3,\"completion_tokens_details\":"
     "{\"cached_tokens\":9}},\"choices\":[]}",
     true,
     {10, 3, 4}},
    {"{\"usage\":{\"input_tokens\":10,\"input_tokens_details\":{\"cached_tokens\":5},"
     "\"output_tokens\":3}}",
     true,
     {10, 3, 5}},
    /* a whole answer: what looks like counts in its text is none */
    {"{\"choices\":[{\"message\":{\"content\":\"\\\"usage\\\":{\\\"prompt_tokens\\\":1}\"},"
     "\"usage\":{\"prompt_tokens\":2}}],\n \"usage\" : { \"prompt_tokens\" : 7 ,\n"
     "\"completion_tokens\" : 0 } }",
     true,
     {7, 0, 0}},
    {"{\"usage\":{\"completion_tokens\":3}}", true, {0, 3, 0}},
    {"{\"usage\":{\"prompt_tokens\":12.0,\"completion_tokens\":3.00}}", true, {12, 3, 0}},
    {"{\"usage\":{\"prompt_tokens\":" TWO_53 ",\"completion_tokens\":1}}",
     true,
     {UINT64_C(1) << 53, 1, 0}},
    {"{\"usage\":{\"prompt_tokens\":9007199254740993,\"completion_tokens\":1}}", true, {0, 1, 0}},
    {"{\"usage\":{\"prompt_tokens\":99999999999999999999999999,\"completion_tokens\":1}}",
     true,
     {0, 1, 0}},
    {"{\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1}}", true, {0, 1, 0}},
    {"{\"usage\":{\"prompt_tokens\":1.5,\"completion_tokens\":1}}", true, {0, 1, 0}},
    {"{\"usage\":{\"prompt_tokens\":1e3,\"completion_tokens\":1}}", true, {0, 1, 0}},
    {"{\"usage\":{\"prompt_tokens\":\"8\",\"completion_tokens\":1}}", true, {0, 1, 0}},
    /* more of the cache than there was */
    {"{\"usage\":{\"prompt_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":9}}}",
     true,
     {5, 0, 5}},
    {"{\"usage\":{\"prompt_tokens\":5,\"prompt_tokens_details\":null}}", true, {5, 0, 0}},
    {"{\"usage\":null}", false, {0}},
    {"{\"usage\":{}}", false, {0}},
    {"{\"usage\":{\"total_tokens\":13}}", false, {0}},
    {"{\"usage\":[1]}", false, {0}},
    {"{\"usage\":{\"prompt_tokens\":1},\"usage\":null}", false, {0}},
    {"{\"choices\":[]}", false, {0}},
    {"[DONE]", false, {0}},
    {"", false, {0}},
    {"{\"usage\":{\"prompt_tokens\":", false, {0}},
};

/* A copy without a byte behind it, so that a reader past the end is noticed. */
static struct gate_str exact(const char *text, size_t len)
{
    char *copy = len > 0 ? malloc(len) : NULL;

    if (len > 0)
        memcpy(copy, text, len);
    return (struct gate_str){copy, len};
}

START_TEST(counts_are_read)
{
    size_t len = strlen(counts[_i].json);

    for (size_t n = 0; n <= len; n++) {
        struct gate_str json = exact(counts[_i].json, n);
        struct gate_usage usage = {0};
        bool there = dialect()->read_usage(json, &usage);

        free((char *)json.ptr);
        if (n < len)
            continue;
        ck_assert_int_eq(there, counts[_i].there);
        if (!there)
            continue;
        ck_assert_uint_eq(usage.prompt, counts[_i].usage.prompt);
        ck_assert_uint_eq(usage.completion, counts[_i].usage.completion);
        ck_assert_uint_eq(usage.cached, counts[_i].usage.cached);
    }
}
END_TEST

/* ---------------------------------------------------------------- measuring */

#define DELTA(text) "{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":" text "}],\"usage\":null}"

static const struct {
    const char *json;
    size_t bytes;
} texts[] = {
    {DELTA("{\"role\":\"assistant\",\"content\":\"\"}"), 0},
    {DELTA("{\"content\":\"abc\"}"), 3},
    {DELTA("{ \"content\" : \"a\\\"b\" }"), 4},
    {DELTA("{\"content\":null,\"reasoning_content\":\"hm hm\"}"), 5},
    {DELTA("{\"reasoning\":\"hm\",\"content\":\"abc\"}"), 5},
    {DELTA("{\"reasoning\":\"hm\",\"reasoning_content\":\"hm\"}"), 2},
    {DELTA("{\"content\":[{\"type\":\"text\",\"text\":\"abc\"},{\"type\":\"x\"}]}"), 3},
    {DELTA("{\"tool_calls\":[{\"id\":\"call_1\",\"function\":{\"name\":\"f\",\"arguments\":"
           "\"{}\"}},{\"function\":{\"arguments\":\"12345\"}}]}"),
     7},
    {DELTA("null"), 0},
    {DELTA("7"), 0},
    {"{\"choices\":[{\"delta\":{\"content\":\"ab\"}},{\"delta\":{\"content\":\"c\"}}]}", 3},
    {"{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"answer\"},"
     "\"finish_reason\":\"stop\"}]}",
     6},
    {"{\"choices\":[{\"text\":\"old\"}]}", 3},
    {"{\"content\":\"abc\",\"x\":{\"choices\":[{\"delta\":{\"content\":\"abc\"}}]}}", 0},
    {"{\"choices\":{\"delta\":{\"content\":\"abc\"}}}", 0},
    {"{\"choices\":null}", 0},
    {"{\"choices\":[1,\"x\",[],{\"delta\":[]}]}", 0},
    {"[DONE]", 0},
    {"", 0},
};

/* One look at an event finds what the two do. */
static void check_event(struct gate_str json)
{
    const struct gate_event event = {.data = json, .has_data = true};
    size_t bytes = 99;
    unsigned flags = dialect()->read_event(&event, &bytes);

    ck_assert_uint_eq(flags, dialect()->inspect_event(&event));
    ck_assert_uint_eq(bytes, flags & GATE_EVENT_CONTENT ? dialect()->text_bytes(json) : 0);
}

START_TEST(text_is_measured)
{
    size_t len = strlen(texts[_i].json);

    for (size_t n = 0; n <= len; n++) {
        struct gate_str json = exact(texts[_i].json, n);
        size_t bytes = dialect()->text_bytes(json);

        check_event(json);
        free((char *)json.ptr);
        ck_assert_uint_le(bytes, n);
        if (n == len)
            ck_assert_uint_eq(bytes, texts[_i].bytes);
    }
}
END_TEST

#define LOOP(test, table)                                                                          \
    tcase_add_loop_test(tcase, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
    Suite *suite = suite_create("dialect_openai_chat_usage");
    TCase *tcase = tcase_create("all");
    SRunner *runner;
    int failed;

    LOOP(usage_is_asked_for, asks);
    LOOP(counts_are_read, counts);
    LOOP(text_is_measured, texts);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
