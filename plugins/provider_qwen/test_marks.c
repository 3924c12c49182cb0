/* Tests of provider_qwen's edits of the body: what is added for OAuth accounts, and that nothing
 * else changes. */
#include "fake_host.h"
#include "test_qwen.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdlib.h>

#define MARK "\"cache_control\":{\"type\":\"ephemeral\"}"
#define SYSTEM                                                                                     \
    "{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"You are a helpful "           \
    "assistant.\"," MARK "}]}"

/* Builds the request of an account and applies its edits. */
static void send(enum gate_credential_kind kind, struct gate_str body, const char *model,
                 struct fake_request *r, struct gate_buf *sent)
{
    struct qwen_setup s;
    struct gate_call call;
    struct gate_request_facts facts;

    qwen_setup_init(&s, NULL, kind, kind == GATE_CREDENTIAL_OAUTH ? OAUTH_JSON : "sk-1");
    fake_request_init(r);
    fake_call_init(&call, &facts, body, model, s.account);
    ck_assert_int_eq(s.ops->build_request(s.instance, &call, &r->builder, &s.err), GATE_OK);
    gate_buf_init(sent, FAKE_MAX_BODY);
    fake_request_apply(r, body, sent);
    gate_buf_append_byte(sent, '\0');
    qwen_setup_finish(&s);
}

struct sample {
    const char *messages; /* between the brackets, without a first system message */
    const char *sent;
};

#define SYS(content) "{\"role\":\"system\",\"content\":" content "}"
#define USER(content) "{\"role\":\"user\",\"content\":" content "}"
#define PART(text, more) "{\"type\":\"text\",\"text\":" text more "}"

static const struct sample samples[] = {
    /* a system message is made, the last message is marked */
    {USER("\"hi\""), SYSTEM "," USER("[" PART("\"hi\"", "," MARK) "]")},
    {" " USER("\"a\\u0041\\n\""), " " SYSTEM "," USER("[" PART("\"a\\u0041\\n\"", "," MARK) "]")},
    {USER("\"a\"") " , " USER("\"b\""),
     SYSTEM "," USER("\"a\"") " , " USER("[" PART("\"b\"", "," MARK) "]")},
    /* the client's own system message is marked instead */
    {SYS("\"s\"") "," USER("\"a\""),
     SYS("[" PART("\"s\"", "," MARK) "]") "," USER("[" PART("\"a\"", "," MARK) "]")},
    {SYS("\"s\""), SYS("[" PART("\"s\"", "," MARK) "]")},
    {SYS("[" PART("\"s\"", "") "," PART("\"t\"", "") "]") "," USER("\"a\""),
     SYS("[" PART("\"s\"", "") "," PART("\"t\"", "," MARK) "]") "," USER(
         "[" PART("\"a\"", "," MARK) "]")},
    {"{\"content\":\"s\",\"role\":\"system\"}",
     "{\"content\":[" PART("\"s\"", "," MARK) "],\"role\":\"system\"}"},
    /* a system message that is not the first does not help */
    {USER("\"a\"") "," SYS("\"s\""),
     SYSTEM "," USER("\"a\"") "," SYS("[" PART("\"s\"", "," MARK) "]")},
    /* marks of the client stay, and are not doubled */
    {SYS("[" PART("\"s\"", "," MARK) "]") "," USER("[" PART("\"a\"", "," MARK) "]"),
     SYS("[" PART("\"s\"", "," MARK) "]") "," USER("[" PART("\"a\"", "," MARK) "]")},
    {SYS("[{" MARK ",\"text\":\"s\"} ]") "," USER("\"a\""),
     SYS("[{" MARK ",\"text\":\"s\"} ]") "," USER("[" PART("\"a\"", "," MARK) "]")},
    /* at most four: with three there is one left, with four none */
    {SYS("\"s\"") "," USER("[{" MARK "},{" MARK "},{" MARK "}]") "," USER("\"b\""),
     SYS("[" PART("\"s\"", "," MARK) "]") "," USER("[{" MARK "},{" MARK "},{" MARK
                                                   "}]") "," USER("\"b\"")},
    {SYS("\"s\"") "," USER("[{" MARK "},{" MARK "},{" MARK "},{" MARK "}]") "," USER("\"b\""),
     SYS("\"s\"") "," USER("[{" MARK "},{" MARK "},{" MARK "},{" MARK "}]") "," USER("\"b\"")},
    /* text that looks like a mark does not count */
    {SYS("\"s\"") "," USER("\"\\\"cache_control\\\": \\\"cache_control\\\":\"") "," USER(
         "[\"cache_control\",\"cache_"
         "control\",\"cache_"
         "control\",\"cache_"
         "control\"]") "," USER("\"b"
                                "\""),
     SYS("[" PART("\"s\"", "," MARK) "]") "," USER(
         "\"\\\"cache_control\\\": "
         "\\\"cache_control\\\":\"") "," USER("[\"cache_"
                                              "control\","
                                              "\"cache_"
                                              "control\","
                                              "\"cache_"
                                              "control\","
                                              "\"cache_"
                                              "control\""
                                              "]") "," USER("[" PART("\"b\"", "," MARK) "]")},
    /* parts of other kinds, odd spacing, empty objects */
    {SYS("\"s\"") "," USER("[{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\"}} ]"),
     SYS("[" PART("\"s\"", "," MARK) "]") "," USER(
         "[{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\"}," MARK "} ]")},
    {SYS("\"s\"") "," USER("[{\"text\" : \"a\"\n }]"),
     SYS("[" PART("\"s\"", "," MARK) "]") "," USER("[{\"text\" : \"a\"\n ," MARK "}]")},
    {SYS("\"s\"") "," USER("[{}]"), SYS("[" PART("\"s\"", "," MARK) "]") "," USER("[{" MARK "}]")},
    {SYS("\"s\"") "," USER("[{ }]"),
     SYS("[" PART("\"s\"", "," MARK) "]") "," USER("[{ " MARK "}]")},
    /* nothing to mark */
    {SYS("\"s\"") ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]}",
     SYS("[" PART("\"s\"",
                  "," MARK) "]") ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]}"},
    {SYS("\"s\"") ",{\"role\":\"assistant\"}",
     SYS("[" PART("\"s\"", "," MARK) "]") ",{\"role\":\"assistant\"}"},
    {SYS("\"s\"") "," USER("\"\""), SYS("[" PART("\"s\"", "," MARK) "]") "," USER("\"\"")},
    {SYS("\"s\"") "," USER("[]"), SYS("[" PART("\"s\"", "," MARK) "]") "," USER("[]")},
    {SYS("\"s\"") "," USER("[\"x\"]"), SYS("[" PART("\"s\"", "," MARK) "]") "," USER("[\"x\"]")},
    {SYS("\"s\"") "," USER("{\"a\":1}"),
     SYS("[" PART("\"s\"", "," MARK) "]") "," USER("{\"a\":1}")},
    {SYS("\"s\"") ",7", SYS("[" PART("\"s\"", "," MARK) "]") ",7"},
    {SYS("null") "," USER("\"a\""), SYS("null") "," USER("[" PART("\"a\"", "," MARK) "]")},
    /* a tool's answer is text like any other */
    {SYS("\"s\"") ",{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"out\"}",
     SYS("[" PART("\"s\"", "," MARK) "]") ",{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":"
                                          "[" PART("\"out\"", "," MARK) "]}"},
    {"", ""},
};

START_TEST(test_samples)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct fake_request r;
        struct gate_buf sent;
        char body[2048], expected[2048];
        cJSON *root;

        snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":[%s],\"x\":1}",
                 samples[i].messages);
        snprintf(expected, sizeof expected, "{\"model\":\"m\",\"messages\":[%s],\"x\":1}",
                 samples[i].sent);
        send(GATE_CREDENTIAL_OAUTH, gate_str_of(body), "m", &r, &sent);
        ck_assert_str_eq(sent.ptr, expected);
        root = cJSON_Parse(sent.ptr);
        ck_assert_ptr_nonnull(root);
        cJSON_Delete(root);
        fake_request_finish(&r);
        gate_buf_finish(&sent);

        send(GATE_CREDENTIAL_API_KEY, gate_str_of(body), "m", &r, &sent);
        ck_assert_str_eq(sent.ptr, body);
        ck_assert_uint_eq(r.edit_count, 0);
        fake_request_finish(&r);
        gate_buf_finish(&sent);
    }
}
END_TEST

START_TEST(test_model_and_marks)
{
    struct fake_request r;
    struct gate_buf sent;

    send(GATE_CREDENTIAL_OAUTH, GATE_STR("{\"messages\":[" USER("\"a\"") "],\"model\":\"x\"}"),
         "coder-model", &r, &sent);
    ck_assert_str_eq(sent.ptr, "{\"messages\":[" SYSTEM "," USER(
                                   "[" PART("\"a\"", "," MARK) "]") "],\"model\":\"coder-model\"}");
    fake_request_finish(&r);
    gate_buf_finish(&sent);
    send(GATE_CREDENTIAL_OAUTH, GATE_STR("{\"model\":\"x\"}"), "x", &r, &sent);
    ck_assert_str_eq(sent.ptr, "{\"model\":\"x\"}");
    fake_request_finish(&r);
    gate_buf_finish(&sent);
}
END_TEST

/* ---------------------------------------------------------------- recordings */

static void mark_tree(cJSON *message)
{
    cJSON *content = cJSON_GetObjectItemCaseSensitive(message, "content"), *part, *mark;

    if (cJSON_IsString(content) && *content->valuestring != '\0') {
        cJSON *list = cJSON_CreateArray();

        part = cJSON_CreateObject();
        cJSON_AddStringToObject(part, "type", "text");
        cJSON_AddStringToObject(part, "text", content->valuestring);
        cJSON_AddItemToArray(list, part);
        cJSON_ReplaceItemInObjectCaseSensitive(message, "content", list);
    } else if (cJSON_IsArray(content) && cJSON_GetArraySize(content) > 0) {
        part = cJSON_GetArrayItem(content, cJSON_GetArraySize(content) - 1);
    } else {
        return;
    }
    mark = cJSON_AddObjectToObject(part, "cache_control");
    cJSON_AddStringToObject(mark, "type", "ephemeral");
}

/* The same edits made on a tree, by other code. The recorded bodies hold no marks of their own. */
static cJSON *expected_tree(struct gate_str body)
{
    cJSON *root = cJSON_ParseWithLength(body.ptr, body.len);
    cJSON *messages = cJSON_GetObjectItemCaseSensitive(root, "messages");
    cJSON *first = cJSON_GetArrayItem(messages, 0);
    const cJSON *role = cJSON_GetObjectItemCaseSensitive(first, "role");

    ck_assert_ptr_nonnull(root);
    if (strcmp(role->valuestring, "system") == 0)
        mark_tree(first);
    else
        cJSON_InsertItemInArray(messages, 0, cJSON_Parse(SYSTEM));
    if (cJSON_GetArraySize(messages) > 1)
        mark_tree(cJSON_GetArrayItem(messages, cJSON_GetArraySize(messages) - 1));
    cJSON_SetValuestring(cJSON_GetObjectItemCaseSensitive(root, "model"), "m");
    return root;
}

static void check_recording(struct gate_str body)
{
    struct fake_request r;
    struct gate_buf sent;
    struct gate_request_facts facts;
    struct gate_call call;
    cJSON *expected = expected_tree(body), *actual;

    fake_call_init(&call, &facts, body, "m", NULL);
    send(GATE_CREDENTIAL_OAUTH, body, "m", &r, &sent);
    actual = cJSON_ParseWithLength(sent.ptr, sent.len - 1);
    ck_assert_ptr_nonnull(actual);
    ck_assert(cJSON_Compare(expected, actual, true));
    /* Apart from the model every edit only inserts, so all of the client's bytes are still there.
     */
    ck_assert_uint_ge(r.edit_count, 3);
    for (size_t i = 0; i < r.edit_count; i++)
        ck_assert(r.edits[i].len == 0 || r.edits[i].off == facts.model.off);
    cJSON_Delete(expected);
    cJSON_Delete(actual);
    fake_request_finish(&r);
    gate_buf_finish(&sent);
}

START_TEST(test_recordings)
{
    char path[4096];
    struct dirent *entry;
    size_t ran = 0;
    DIR *dir;

    snprintf(path, sizeof path, "%s/captures", fake_recordings());
    dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct gate_buf body;

        if (strstr(entry->d_name, ".json") == NULL)
            continue;
        gate_buf_init(&body, FAKE_MAX_BODY);
        snprintf(path, sizeof path, "%s/captures/%s", fake_recordings(), entry->d_name);
        ck_assert(fake_file_read(path, &body));
        /* The others speak another API. */
        if (memmem(body.ptr, body.len, "\"messages\":[", 12) != NULL) {
            check_recording(gate_buf_str(&body));
            ran++;
        }
        gate_buf_finish(&body);
    }
    if (dir != NULL)
        closedir(dir);
    printf("provider_qwen: %zu recorded request bodies\n", ran);
}
END_TEST

TCase *test_marks_case(void)
{
    TCase *tc = tcase_create("marks");

    tcase_add_test(tc, test_samples);
    tcase_add_test(tc, test_model_and_marks);
    tcase_add_test(tc, test_recordings);
    return tc;
}
