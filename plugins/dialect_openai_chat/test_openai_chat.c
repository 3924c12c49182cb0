/* Tests of dialect_openai_chat: what events carry, and how errors look. */
#include "base/sse.h"
#include "fake_host.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdlib.h>

extern const struct gate_plugin gate_plugin;

enum {
    CONTENT = GATE_EVENT_CONTENT,
    TEXT = GATE_EVENT_CONTENT | GATE_EVENT_TEXT_ONLY,
    REASONING = GATE_EVENT_CONTENT | GATE_EVENT_REASONING_ONLY,
    TERMINAL = GATE_EVENT_TERMINAL,
    FINISH = GATE_EVENT_FINISH | GATE_EVENT_CONTENT,
    USAGE = GATE_EVENT_USAGE,
    USAGE_ONLY = GATE_EVENT_USAGE | GATE_EVENT_USAGE_ONLY,
    ERROR = GATE_EVENT_ERROR,
};

static const struct gate_dialect_ops *dialect(void)
{
    ck_assert_int_eq(gate_plugin.init(fake_host(), NULL), GATE_OK);
    return gate_plugin.ops;
}

static unsigned inspect(const char *data, size_t len, const char *type)
{
    const struct gate_event event = {
        .data = {data, len}, .type = gate_str_of(type), .has_data = true};

    return dialect()->inspect_event(&event);
}

struct sample {
    const char *data;
    unsigned flags;
};

#define DELTA(text)                                                                                \
    "{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":" text ",\"finish_reason\":null}]}"

static const struct sample samples[] = {
    /* the answer has begun, or not yet */
    {DELTA("{\"role\":\"assistant\"}"), 0},
    {DELTA("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}"), 0},
    {DELTA("{\"content\":null,\"tool_calls\":[]}"), 0},
    {DELTA("{\"content\":null,\"tool_calls\":[ ]}"), 0},
    {DELTA("{\"content\":\"a\"}"), TEXT},
    {DELTA("{\"content\":\"\\\"\"}"), TEXT},
    {DELTA("{\"content\":\"\\\\\"}"), TEXT},
    {DELTA("{ \"content\" : \" \" }"), TEXT},
    {DELTA("{\"reasoning_content\":\"hm\",\"content\":\"\"}"), REASONING},
    {DELTA("{\"tool_calls\":[{\"index\":0,\"id\":\"\"}]}"), CONTENT},
    {DELTA("{\"audio\":{\"id\":\"x\"}}"), CONTENT},
    {DELTA("{}"), 0},
    {DELTA("null"), 0},
    {"{\"choices\":[{\"text\":\"old\",\"finish_reason\":null}]}", CONTENT},
    {"{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"x\"}}]}", CONTENT},
    {"{\"choices\":[{\"delta\":{}},{\"delta\":{\"content\":\"b\"}}]}", CONTENT},
    /* one piece, and what looks like it but is more */
    {DELTA("{\"role\":\"assistant\",\"content\":\"a\",\"refusal\":null,\"n\":1}"), TEXT},
    {"{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"n\":1}}", TEXT | USAGE},
    {"{\"choices\":[{\"delta\":{\"content\":\"a\"},\"index\":1}]}", CONTENT},
    {"{\"choices\":[{\"delta\":{\"content\":\"a\"},\"index\":\"0\"}]}", CONTENT},
    {"{\"choices\":[{\"delta\":{\"content\":\"a\"}},{\"index\":1}]}", CONTENT},
    {"{\"choices\":[{\"delta\":{\"content\":\"a\"},\"text\":\"a\"}]}", CONTENT},
    {"{\"choices\":[{\"delta\":{\"content\":\"a\"}}]", CONTENT},
    {DELTA("{\"content\":\"a\",\"reasoning_content\":\"b\"}"), CONTENT},
    {DELTA("{\"content\":\"a\",\"tool_calls\":[{\"index\":0}]}"), CONTENT},
    {DELTA("{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}"), CONTENT},
    {DELTA("{\"content\":\"a\",\"later\":\"b\"}"), CONTENT},
    {DELTA("{\"reasoning\":\"a\"}"), CONTENT},
    /* text that looks like structure */
    {DELTA("{\"content\":\"\\\"finish_reason\\\":\\\"stop\\\"}]},\\\"error\\\":{\"}"), TEXT},
    {"{\"choices\":[],\"note\":{\"error\":{\"a\":1},\"usage\":{\"b\":2}}}", 0},
    {"{\"choices\":[{\"delta\":{},\"logprobs\":{\"finish_reason\":\"x\"},\"finish_reason\":null}]}",
     0},
    {"{\"choices\":[{\"delta\":{\"content\":\"a \\\"b\\\" \\\\\"},\"finish_reason\":\"stop\"}],"
     "\"usage\":{\"total_tokens\":1}}",
     FINISH | USAGE},
    /* finish and usage */
    {"{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}", FINISH},
    {"{\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"\"}]}", 0},
    {"{\"choices\":[],\"usage\":{\"total_tokens\":3}}", USAGE_ONLY},
    {"{\"usage\":{\"total_tokens\":3},\"choices\": [ ] }", USAGE_ONLY},
    {"{\"id\":\"c\",\"usage\":{\"total_tokens\":3}}", USAGE_ONLY},
    {"{\"choices\":null,\"usage\":{\"total_tokens\":3}}", USAGE_ONLY},
    {"{\"choices\":[],\"usage\":{\"total_tokens\":3},\"error\":null}", USAGE_ONLY},
    {"{\"choices\":\"x\",\"usage\":{\"total_tokens\":3}}", USAGE},
    {"{\"choices\":[{}],\"usage\":{\"total_tokens\":3}}", USAGE},
    {"{\"choices\":[{\"delta\":{}}],\"usage\":{\"total_tokens\":3}}", USAGE},
    {"{\"choices\":[],\"usage\":{\"total_tokens\":3}", USAGE},
    {"{\"usage\":{\"total_tokens\":3}", USAGE},
    {"{\"choices\":[],\"usage\":\"3\"}", USAGE},
    {"{\"choices\":[],\"usage\":{\"total_tokens\":3},\"error\":{\"message\":\"no\"}}",
     USAGE | ERROR},
    {"{\"usage\":{\"total_tokens\":3},\"choices\":[{\"finish_reason\":\"stop\"}]}", USAGE | FINISH},
    {"{\"choices\":[],\"usage\":{}}", 0},
    {"[DONE]", TERMINAL},
    {" [DONE] ", TERMINAL},
    /* failures */
    {"{\"error\":{\"message\":\"no\"}}", ERROR},
    {"{\"error\":\"no\"}", ERROR},
    {"{\"error\":null,\"choices\":[]}", 0},
    {"{\"choices\":[{\"delta\":{\"content\":\"rate limit\"},\"finish_reason\":\"error_finish\"}]}",
     ERROR},
    {"{\"code\":\"InvalidParameter\",\"message\":\"bad\",\"request_id\":\"1\"}", ERROR},
    {"{\"object\":\"error\",\"message\":\"bad\"}", ERROR},
    {"{\"message\":\"hello\"}", 0},
    /* not JSON, or not all of it */
    {"", 0},
    {"{", 0},
    {"{\"choices\":[", 0},
    {"{\"choices\":[}", 0},
    {"{\"choices\":[,,]", 0},
    {"{\"choices\":[:]}", 0},
    {"{\"choices\":{}}", 0},
    {"{\"choices\":[{\"delta\":{\"content\":\"a\"", CONTENT},
    {"{\"choices\":[{\"delta\":{\"content\":\"a\\", CONTENT},
    {"{\"choices\":[1,\"x\",null]}", 0},
    {"[1]", 0},
    {"ping", 0},
};

START_TEST(test_flags)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        size_t len = strlen(samples[i].data);
        char *exact = len > 0 ? malloc(len) : NULL; /* so that a reader past the end is noticed */

        if (len > 0)
            memcpy(exact, samples[i].data, len);
        ck_assert_msg(inspect(exact, len, "") == samples[i].flags, "%s: %u, expected %u",
                      samples[i].data, inspect(exact, len, ""), samples[i].flags);
        ck_assert_uint_eq(inspect(exact, len, "error"),
                          (samples[i].flags & (USAGE | TERMINAL)) | ERROR);
        free(exact);
    }
}
END_TEST

/* Every prefix of every sample ends, stays inside its bytes and never invents a failure. */
START_TEST(test_cut_anywhere)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        size_t len = strlen(samples[i].data);

        for (size_t n = 1; n < len; n++) {
            char *exact = malloc(n);

            memcpy(exact, samples[i].data, n);
            ck_assert((inspect(exact, n, "") & ~samples[i].flags & ERROR) == 0);
            ck_assert((inspect(exact, n, "") & GATE_EVENT_USAGE_ONLY) == 0);
            exact[n - 1] = '\0';
            inspect(exact, n, "");
            free(exact);
        }
    }
}
END_TEST

START_TEST(test_comment_carries_nothing)
{
    const struct gate_event event = {.raw = GATE_STR(": ping\n\n")};

    ck_assert_uint_eq(dialect()->inspect_event(&event), 0);
}
END_TEST

static void render(const struct gate_api_error *error, bool as_event, struct gate_buf *out)
{
    const struct gate_writer writer = gate_buf_writer(out);

    if (as_event)
        dialect()->render_error_event(error, &writer);
    else
        dialect()->render_error(error, &writer);
    gate_buf_append_byte(out, '\0');
}

START_TEST(test_errors)
{
    const struct gate_api_error full = {
        .status = 404,
        .type = GATE_STR("invalid_request_error"),
        .code = GATE_STR("model_not_found"),
        .param = GATE_STR("model"),
        .message = GATE_STR("no \"x\"\nhere"),
    };
    const struct gate_api_error bare = {.type = GATE_STR("upstream_error")};
    struct gate_buf out;

    gate_buf_init(&out, 4096);
    render(&full, false, &out);
    ck_assert_str_eq(out.ptr, "{\"error\":{\"message\":\"no \\\"x\\\"\\nhere\",\"type\":"
                              "\"invalid_request_error\",\"param\":\"model\",\"code\":"
                              "\"model_not_found\"}}");
    out.len = 0;
    render(&bare, true, &out);
    ck_assert_str_eq(out.ptr, "data: {\"error\":{\"message\":\"\",\"type\":\"upstream_error\","
                              "\"param\":null,\"code\":null}}\n\n");
    gate_buf_finish(&out);
}
END_TEST

/* ---------------------------------------------------------------- recordings */

/* What a full JSON parser says of the same data: the independent second opinion. */
static bool tree_has_content(const cJSON *root)
{
    const cJSON *choice, *member;

    cJSON_ArrayForEach(choice, cJSON_GetObjectItemCaseSensitive(root, "choices"))
    {
        if (cJSON_IsString(cJSON_GetObjectItemCaseSensitive(choice, "finish_reason")) &&
            *cJSON_GetObjectItemCaseSensitive(choice, "finish_reason")->valuestring != '\0')
            return true;
        cJSON_ArrayForEach(member, cJSON_GetObjectItemCaseSensitive(choice, "delta"))
        {
            if (strcmp(member->string, "role") == 0)
                continue;
            if ((cJSON_IsString(member) && *member->valuestring != '\0') ||
                ((cJSON_IsArray(member) || cJSON_IsObject(member)) && member->child != NULL))
                return true;
        }
    }
    return false;
}

static size_t tree_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text != NULL ? strlen(text) : 0;
}

static size_t tree_text_bytes(const cJSON *root)
{
    const cJSON *choice, *call;
    size_t sum = 0;

    cJSON_ArrayForEach(choice, cJSON_GetObjectItemCaseSensitive(root, "choices"))
    {
        const cJSON *delta = cJSON_GetObjectItemCaseSensitive(choice, "delta");
        size_t a = tree_text(delta, "reasoning"), b = tree_text(delta, "reasoning_content");

        sum += tree_text(delta, "content") + (a > b ? a : b);
        cJSON_ArrayForEach(call, cJSON_GetObjectItemCaseSensitive(delta, "tool_calls")) sum +=
            tree_text(cJSON_GetObjectItemCaseSensitive(call, "function"), "arguments");
    }
    return sum;
}

static uint64_t tree_number(const cJSON *object, const char *name)
{
    return (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static void check_cost(struct gate_str data, const cJSON *root)
{
    const cJSON *usage = cJSON_GetObjectItemCaseSensitive(root, "usage");
    struct gate_usage read = {0, 0, 0};

    if (cJSON_IsObject(usage)) {
        ck_assert(dialect()->read_usage(data, &read));
        ck_assert_uint_eq(read.prompt, tree_number(usage, "prompt_tokens"));
        ck_assert_uint_eq(read.completion, tree_number(usage, "completion_tokens"));
        usage = cJSON_GetObjectItemCaseSensitive(usage, "prompt_tokens_details");
        if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(usage, "cached_tokens")))
            ck_assert_uint_eq(read.cached, tree_number(usage, "cached_tokens"));
        else
            ck_assert_uint_eq(read.cached, 0);
    } else {
        ck_assert(!dialect()->read_usage(data, &read));
    }
    /* Escapes count as written. */
    if (memchr(data.ptr, '\\', data.len) == NULL)
        ck_assert_uint_eq(dialect()->text_bytes(data), tree_text_bytes(root));
    else
        ck_assert_uint_ge(dialect()->text_bytes(data), tree_text_bytes(root));
}

/* Is this member all that the only choice's delta adds, and a string? */
static bool tree_is_piece(const cJSON *root, const char *name)
{
    const cJSON *choices = cJSON_GetObjectItemCaseSensitive(root, "choices");
    const cJSON *choice = cJSON_GetArrayItem(choices, 0), *member;
    bool found = false;

    cJSON_ArrayForEach(member, cJSON_GetObjectItemCaseSensitive(choice, "delta"))
    {
        if (strcmp(member->string, name) == 0)
            found = cJSON_IsString(member) && *member->valuestring != '\0';
        else if (strcmp(member->string, "role") != 0 &&
                 (member->child != NULL ||
                  (cJSON_IsString(member) && *member->valuestring != '\0')))
            return false;
    }
    return found && cJSON_GetArraySize(choices) == 1 &&
           !cJSON_IsString(cJSON_GetObjectItemCaseSensitive(choice, "finish_reason")) &&
           tree_number(choice, "index") == 0;
}

static void check_data(struct gate_str data)
{
    unsigned flags = inspect(data.ptr, data.len, "");
    cJSON *root = cJSON_ParseWithLength(data.ptr, data.len);

    if (root == NULL) {
        ck_assert_uint_eq(flags & ~(unsigned)TERMINAL, 0);
        return;
    }
    ck_assert_int_eq((flags & CONTENT) != 0, tree_has_content(root));
    ck_assert_int_eq((flags & GATE_EVENT_TEXT_ONLY) != 0, tree_is_piece(root, "content"));
    ck_assert_int_eq((flags & GATE_EVENT_REASONING_ONLY) != 0,
                     tree_is_piece(root, "reasoning_content"));
    ck_assert_int_eq((flags & USAGE) != 0,
                     cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(root, "usage")));
    ck_assert_int_eq((flags & ERROR) != 0,
                     cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(root, "error")));
    ck_assert_int_eq((flags & GATE_EVENT_USAGE_ONLY) != 0,
                     cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(root, "usage")) &&
                         cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "choices")) ==
                             0 &&
                         (flags & ERROR) == 0);
    check_cost(data, root);
    cJSON_Delete(root);
}

struct totals {
    size_t files, events;
};

static void on_event(void *ctx, const struct gate_event *event)
{
    if (event->has_data) {
        check_data(event->data);
        ((struct totals *)ctx)->events++;
    }
}

static bool has_end(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static void run_file(const char *path, struct totals *totals)
{
    struct gate_buf file;
    char *line, *rest;

    gate_buf_init(&file, FAKE_MAX_BODY);
    ck_assert(fake_file_read(path, &file));
    if (has_end(path, ".sse")) {
        struct gate_sse sse;

        gate_sse_init(&sse, 1 << 20);
        gate_sse_feed(&sse, gate_buf_str(&file), on_event, totals);
        gate_sse_finish(&sse);
    } else {
        gate_buf_append_byte(&file, '\0');
        for (rest = file.ptr; (line = strsep(&rest, "\n")) != NULL;) {
            if (*line == '\0')
                continue;
            check_data(gate_str_of(line));
            totals->events++;
        }
    }
    totals->files++;
    gate_buf_finish(&file);
}

START_TEST(test_recordings)
{
    static const char *const vendors[] = {"openai", "qwen", "deepseek", "derived"};
    struct totals totals = {0, 0};
    char path[4096];

    for (size_t v = 0; v < sizeof vendors / sizeof vendors[0]; v++) {
        DIR *dir;
        struct dirent *entry;

        snprintf(path, sizeof path, "%s/fixtures/%s", fake_recordings(), vendors[v]);
        dir = opendir(path);
        while (dir != NULL && (entry = readdir(dir)) != NULL) {
            const char *name = entry->d_name;
            bool derived = strcmp(vendors[v], "derived") == 0;

            if ((!has_end(name, ".sse") && !has_end(name, ".chunks.txt")) ||
                (derived && strncmp(name, "openai__", 8) != 0 && strncmp(name, "qwen__", 6) != 0 &&
                 strncmp(name, "deepseek__", 10) != 0))
                continue;
            snprintf(path, sizeof path, "%s/fixtures/%s/%s", fake_recordings(), vendors[v], name);
            run_file(path, &totals);
        }
        if (dir != NULL)
            closedir(dir);
    }
    printf("dialect_openai_chat: %zu recorded streams with %zu events\n", totals.files,
           totals.events);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dialect_openai_chat");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, test_flags);
    tcase_add_test(tc, test_cut_anywhere);
    tcase_add_test(tc, test_comment_carries_nothing);
    tcase_add_test(tc, test_errors);
    tcase_add_test(tc, test_recordings);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
