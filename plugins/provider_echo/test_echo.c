/* Tests of provider_echo: the answer in both shapes, its bounds, and what it claims. */
#include "base/sse.h"
#include "fake_host.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <stdlib.h>

extern const struct gate_plugin gate_plugin;

enum { MAX_ANSWER = 4 << 20, MAX_TEXT = 16 * 1024 };

/* What the sink got. */
struct result {
    enum gate_status status;
    int http_status;
    char type[64];
    size_t ends;
    struct gate_buf data;
    /* of a stream */
    struct gate_buf text;
    struct gate_buf last_finish;
    size_t events, pieces, usages;
    bool done;
    int prompt, completion;
};

static void on_head(void *ctx, int status, struct gate_str content_type)
{
    struct result *r = ctx;

    ck_assert_int_eq(r->http_status, 0);
    ck_assert_uint_eq(r->data.len, 0);
    r->http_status = status;
    snprintf(r->type, sizeof r->type, "%.*s", (int)content_type.len, content_type.ptr);
}

static void on_data(void *ctx, struct gate_str bytes)
{
    struct result *r = ctx;

    ck_assert_int_ne(r->http_status, 0);
    ck_assert_uint_eq(r->ends, 0);
    if (strcmp(r->type, "text/event-stream") == 0) /* whole events */
        ck_assert(bytes.len > 2 && memcmp(bytes.ptr + bytes.len - 2, "\n\n", 2) == 0);
    ck_assert(gate_buf_append(&r->data, bytes));
}

static void on_end(void *ctx)
{
    ((struct result *)ctx)->ends++;
}

static void ask(const char *body, struct result *r)
{
    const struct gate_provider_ops *ops = gate_plugin.ops;
    const struct gate_answer_sink sink = {sizeof sink, r, on_head, on_data, on_end};
    struct gate_call call;
    struct gate_request_facts facts;
    struct gate_value *values;
    struct gate_error err;
    void *instance, *account;

    memset(r, 0, sizeof *r);
    gate_buf_init(&r->data, MAX_ANSWER);
    gate_buf_init(&r->text, MAX_ANSWER);
    gate_buf_init(&r->last_finish, MAX_ANSWER);
    ck_assert_int_eq(gate_plugin.init(fake_host(), NULL), GATE_OK);
    ck_assert_int_eq(fake_instance_create(&gate_plugin, NULL, &values, &instance, &err), GATE_OK);
    ck_assert_int_eq(ops->account_attach(instance, &(struct gate_credential){0}, &account, &err),
                     GATE_OK);
    fake_call_init(&call, &facts, gate_str_of(body), "echo", account);
    r->status = ops->answer(instance, &call, &sink, &err);
    ops->account_detach(instance, account);
    fake_instance_destroy(&gate_plugin, values, instance);
}

static void finish(struct result *r)
{
    gate_buf_finish(&r->data);
    gate_buf_finish(&r->text);
    gate_buf_finish(&r->last_finish);
}

static const cJSON *at(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static void on_event(void *ctx, const struct gate_event *event)
{
    struct result *r = ctx;
    cJSON *root;
    const cJSON *choice, *usage;

    r->events++;
    ck_assert(!r->done);
    if (gate_str_eq(event->data, GATE_STR("[DONE]"))) {
        r->done = true;
        return;
    }
    root = cJSON_ParseWithLength(event->data.ptr, event->data.len);
    ck_assert_ptr_nonnull(root);
    ck_assert_str_eq(at(root, "object")->valuestring, "chat.completion.chunk");
    ck_assert_str_eq(at(root, "id")->valuestring, "chatcmpl-test-1");
    ck_assert_str_eq(at(root, "model")->valuestring, "echo");
    ck_assert_int_eq(at(root, "created")->valueint, FAKE_NOW_S);
    choice = cJSON_GetArrayItem(at(root, "choices"), 0);
    usage = at(root, "usage");
    if (choice == NULL) {
        r->usages++;
        r->prompt = at(usage, "prompt_tokens")->valueint;
        r->completion = at(usage, "completion_tokens")->valueint;
        ck_assert_int_eq(at(usage, "total_tokens")->valueint, r->prompt + r->completion);
    } else {
        const cJSON *content = at(at(choice, "delta"), "content");

        ck_assert(usage == NULL || cJSON_IsNull(usage));
        if (r->events == 1)
            ck_assert_str_eq(at(at(choice, "delta"), "role")->valuestring, "assistant");
        if (content != NULL && *content->valuestring != '\0') {
            ck_assert_uint_le(strlen(content->valuestring), 64 + 3);
            gate_buf_append(&r->text, gate_str_of(content->valuestring));
            r->pieces++;
        }
        if (cJSON_IsString(at(choice, "finish_reason")))
            gate_buf_append(&r->last_finish, gate_str_of(at(choice, "finish_reason")->valuestring));
    }
    cJSON_Delete(root);
}

static void ask_stream(const char *body, struct result *r)
{
    struct gate_sse sse;

    ask(body, r);
    ck_assert_int_eq(r->status, GATE_OK);
    ck_assert_str_eq(r->type, "text/event-stream");
    gate_sse_init(&sse, 1 << 20);
    gate_sse_feed(&sse, gate_buf_str(&r->data), on_event, r);
    ck_assert_uint_eq(gate_sse_rest(&sse).len, 0);
    gate_sse_finish(&sse);
    ck_assert(r->done);
    gate_buf_append_byte(&r->text, '\0');
    gate_buf_append_byte(&r->last_finish, '\0');
}

/* Asks without stream and checks text and finish reason. */
static void expect(const char *body, const char *text, const char *finish_reason)
{
    struct result r;
    cJSON *root;
    const cJSON *choice;

    ask(body, &r);
    ck_assert_int_eq(r.status, GATE_OK);
    ck_assert_int_eq(r.http_status, 200);
    ck_assert_str_eq(r.type, "application/json");
    ck_assert_uint_eq(r.ends, 1);
    root = cJSON_ParseWithLength(r.data.ptr, r.data.len);
    ck_assert_ptr_nonnull(root);
    ck_assert_str_eq(at(root, "object")->valuestring, "chat.completion");
    choice = cJSON_GetArrayItem(at(root, "choices"), 0);
    ck_assert_str_eq(at(at(choice, "message"), "role")->valuestring, "assistant");
    ck_assert_str_eq(at(at(choice, "message"), "content")->valuestring, text);
    ck_assert_str_eq(at(choice, "finish_reason")->valuestring, finish_reason);
    ck_assert_int_eq(at(at(root, "usage"), "completion_tokens")->valueint,
                     (int)((strlen(text) + 3) / 4));
    cJSON_Delete(root);
    finish(&r);
}

#define BODY(messages) "{\"model\":\"echo\",\"messages\":[" messages "]}"
#define USER(content) "{\"role\":\"user\",\"content\":" content "}"

START_TEST(test_text)
{
    expect(BODY(USER("\"hi\"")), "hi", "stop");
    expect(BODY(USER("\"one\"") ",{\"role\":\"assistant\",\"content\":\"x\"}," USER("\"two\"")),
           "two", "stop");
    expect(BODY(USER("\"one\"") ",{\"role\":\"tool\",\"content\":\"x\"}"), "one", "stop");
    expect(BODY(USER("\"a\\n\\\"b\\\" \\u00e9\\ud83d\\ude00\"")), "a\n\"b\" \u00e9\U0001F600",
           "stop");
    expect(BODY(USER("[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":"
                     "{\"url\":\"u\"}},{\"type\":\"text\",\"text\":\"b\"},7]")),
           "ab", "stop");
    expect(BODY(USER("null")), "", "stop");
    expect(BODY("{\"role\":\"user\"}"), "", "stop");
    expect(BODY("7,null,{\"role\":5}," USER("\"x\"")), "x", "stop");
}
END_TEST

START_TEST(test_no_user)
{
    static const char *const bodies[] = {BODY(""), BODY("{\"role\":\"system\",\"content\":\"x\"}"),
                                         "{\"model\":\"echo\"}"};

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct result r;

        ask(bodies[i], &r);
        ck_assert_int_eq(r.status, GATE_EINVAL);
        ck_assert_int_eq(r.http_status, 0);
        finish(&r);
    }
}
END_TEST

START_TEST(test_stream)
{
    struct result r;

    ask_stream("{\"model\":\"echo\",\"stream\":true,\"messages\":[" USER(
                   "\"the quick brown fox  jumps over\\nthe lazy dog\"") "]}",
               &r);
    ck_assert_str_eq(r.text.ptr, "the quick brown fox  jumps over\nthe lazy dog");
    ck_assert_uint_eq(r.pieces, 3);
    ck_assert_uint_eq(r.usages, 0);
    ck_assert_str_eq(r.last_finish.ptr, "stop");
    ck_assert_ptr_null(memmem(r.data.ptr, r.data.len, "usage", 5));
    finish(&r);
}
END_TEST

START_TEST(test_stream_usage)
{
    struct result r;

    ask_stream("{\"model\":\"echo\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
               "\"messages\":[" USER("\"12345\"") "]}",
               &r);
    ck_assert_uint_eq(r.usages, 1);
    ck_assert_int_eq(r.completion, 2);
    ck_assert_int_eq(r.prompt, (int)((strlen("[" USER("\"12345\"") "]") + 3) / 4));
    finish(&r);
    ask_stream("{\"model\":\"echo\",\"stream\":true,\"stream_options\":{\"include_usage\":false},"
               "\"messages\":[" USER("\"12345\"") "]}",
               &r);
    ck_assert_uint_eq(r.usages, 0);
    finish(&r);
}
END_TEST

START_TEST(test_max_tokens)
{
    expect("{\"model\":\"echo\",\"max_tokens\":2,\"messages\":[" USER("\"123456789\"") "]}",
           "12345678", "length");
    expect("{\"model\":\"echo\",\"max_tokens\":2,\"messages\":[" USER("\"12345678\"") "]}",
           "12345678", "stop");
    expect("{\"model\":\"echo\",\"max_tokens\":1,\"messages\":[" USER("\"123\u00e9\"") "]}", "123",
           "length");
}
END_TEST

/* Text of `count` times `unit` as a streaming request. */
static char *long_body(const char *unit, size_t count)
{
    struct gate_buf b;

    gate_buf_init(&b, MAX_ANSWER);
    gate_buf_append(&b, GATE_STR("{\"model\":\"echo\",\"stream\":true,\"messages\":[{\"role\":"
                                 "\"user\",\"content\":\""));
    for (size_t i = 0; i < count; i++)
        gate_buf_append(&b, gate_str_of(unit));
    gate_buf_append(&b, GATE_STR("\"}]}"));
    gate_buf_append_byte(&b, '\0');
    return b.ptr;
}

START_TEST(test_cap)
{
    static const char *const units[] = {"a", "a ", "\u00e9", "\U0001F600", "abc\u20ac"};

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        char *body = long_body(units[i], 20000);
        size_t unit = strlen(units[i]);
        struct result r;

        ask_stream(body, &r);
        ck_assert_str_eq(r.last_finish.ptr, "length");
        ck_assert_uint_le(strlen(r.text.ptr), MAX_TEXT);
        ck_assert_uint_gt(strlen(r.text.ptr), MAX_TEXT - unit);
        for (size_t n = 0; n < strlen(r.text.ptr); n++)
            ck_assert_int_eq(r.text.ptr[n], units[i][n % unit]);
        finish(&r);
        free(body);
    }
}
END_TEST

struct names {
    char text[256];
};

static void collect(void *ctx, struct gate_str model)
{
    struct names *n = ctx;
    size_t len = strlen(n->text);

    snprintf(n->text + len, sizeof n->text - len, "%.*s;", (int)model.len, model.ptr);
}

START_TEST(test_claims)
{
    static const char *const parrot[] = {"model", "parrot", NULL};
    static const char *const empty[] = {"model", "", NULL};
    const struct gate_provider_ops *ops = gate_plugin.ops;
    struct gate_value *values;
    struct gate_error err;
    struct names names = {""};
    void *instance;

    ck_assert_int_eq(gate_plugin.init(fake_host(), NULL), GATE_OK);
    ck_assert_int_eq(fake_instance_create(&gate_plugin, parrot, &values, &instance, &err), GATE_OK);
    ck_assert_int_eq(ops->claims(instance, GATE_STR("parrot")), GATE_CLAIM_NAME);
    ck_assert_int_eq(ops->claims(instance, GATE_STR("echo")), GATE_CLAIM_NO);
    ck_assert_int_eq(ops->claims(instance, GATE_STR("parrot2")), GATE_CLAIM_NO);
    ops->each_model(instance, collect, &names);
    ck_assert_str_eq(names.text, "parrot;");
    fake_instance_destroy(&gate_plugin, values, instance);
    ck_assert_int_eq(fake_instance_create(&gate_plugin, empty, &values, &instance, &err),
                     GATE_EINVAL);
}
END_TEST

/* docs/plugins.md shows the example that is built by the tests, not an older one. */
START_TEST(test_guide_shows_example)
{
    static const char *const files[] = {"CMakeLists.txt", "minimal.c"};
    struct gate_buf guide, file;
    char path[4096];

    gate_buf_init(&guide, MAX_ANSWER);
    ck_assert(fake_file_read(GATE_SOURCE_DIR "/docs/plugins.md", &guide));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        gate_buf_init(&file, MAX_ANSWER);
        snprintf(path, sizeof path, "%s/tests/plugin_example/%s", GATE_SOURCE_DIR, files[i]);
        ck_assert(fake_file_read(path, &file));
        ck_assert_msg(memmem(guide.ptr, guide.len, file.ptr, file.len) != NULL, "%s", files[i]);
        gate_buf_finish(&file);
    }
    gate_buf_finish(&guide);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("provider_echo");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, test_text);
    tcase_add_test(tc, test_no_user);
    tcase_add_test(tc, test_stream);
    tcase_add_test(tc, test_stream_usage);
    tcase_add_test(tc, test_max_tokens);
    tcase_add_test(tc, test_cap);
    tcase_add_test(tc, test_claims);
    tcase_add_test(tc, test_guide_shows_example);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
