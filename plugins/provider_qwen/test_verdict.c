/* Tests of provider_qwen's verdicts: the cases in which the same code means different things. */
#include "fake_host.h"
#include "test_qwen.h"

enum account { KEY, PORTAL };

#define ERR(message, code)                                                                         \
    "{\"error\":{\"message\":\"" message "\",\"type\":\"" code                                     \
    "\",\"param\":null,\"code\":\"" code "\"},\"request_id\":\"1\"}"
#define CAPTCHA "{\"ret\":[\"FAIL_SYS_USER_VALIDATE\",\"RGV587_ERROR::SM::x\"],\"data\":{}}"
#define FREE_QUOTA ERR("Free allocated quota exceeded.", "insufficient_quota")
#define MINUTE_QUOTA ERR("You exceeded your current quota, please check", "insufficient_quota")

struct sample {
    enum account account;
    int status; /* 0: an event of a stream */
    const char *body;
    enum gate_verdict_kind kind;
    uint64_t retry_after_ms;
};

static const struct sample samples[] = {
    {PORTAL, 429, FREE_QUOTA, GATE_VERDICT_QUOTA_EXHAUSTED, 0},
    {KEY, 429, FREE_QUOTA, GATE_VERDICT_RATE_LIMITED, 60000},
    {PORTAL, 429, MINUTE_QUOTA, GATE_VERDICT_RATE_LIMITED, 60000},
    {KEY, 429, MINUTE_QUOTA, GATE_VERDICT_RATE_LIMITED, 60000},
    {KEY, 429, "", GATE_VERDICT_RATE_LIMITED, 0},
    {KEY, 429, ERR("Requests rate limit exceeded", "limit_requests"), GATE_VERDICT_RATE_LIMITED, 0},
    {KEY, 429, ERR("try again in 3s", "Throttling.RateQuota"), GATE_VERDICT_RATE_LIMITED, 3000},
    {KEY, 429, ERR("hour allocated quota exceeded", "q"), GATE_VERDICT_QUOTA_EXHAUSTED, 3600000},
    {KEY, 429, ERR("week allocated quota exceeded", "q"), GATE_VERDICT_QUOTA_EXHAUSTED, 0},
    {KEY, 429, ERR("month allocated quota exceeded", "q"), GATE_VERDICT_QUOTA_EXHAUSTED, 0},
    {KEY, 429, ERR("concurrency allocated quota exceeded", "q"), GATE_VERDICT_RATE_LIMITED, 60000},
    {KEY, 403, ERR("The free tier is exhausted", "AllocationQuota.FreeTierOnly"),
     GATE_VERDICT_QUOTA_EXHAUSTED, 0},
    {KEY, 400, ERR("Access denied", "Arrearage"), GATE_VERDICT_QUOTA_EXHAUSTED, 0},
    {KEY, 401, ERR("invalid access token or token expired", "invalid_api_key"), GATE_VERDICT_AUTH,
     0},
    {PORTAL, 401, ERR("invalid access token or token expired", "invalid_api_key"),
     GATE_VERDICT_AUTH, 0},
    {KEY, 403, "{\"error\":{\"message\":\"invalid api-key\"}}", GATE_VERDICT_AUTH, 0},
    {KEY, 400, ERR("parameter.enable_thinking must be set to false", "invalid_parameter_error"),
     GATE_VERDICT_CLIENT_ERROR, 0},
    {KEY, 200, CAPTCHA, GATE_VERDICT_BLOCKED, 0},
    {PORTAL, 200, " <!doctype html><title>x</title>", GATE_VERDICT_BLOCKED, 0},
    {KEY, 405, "<html>", GATE_VERDICT_BLOCKED, 0},
    {KEY, 200, "", GATE_VERDICT_TRUNCATED, 0},
    {KEY, 504, ERR("stream timeout", "x"), GATE_VERDICT_OVERLOADED, 0},
    {KEY, 500, "", GATE_VERDICT_OVERLOADED, 0},
    {KEY, 200, "{\"choices\":[{\"message\":{\"content\":\"quota\"}}]}", GATE_VERDICT_OK, 0},
    /* a web search */
    {PORTAL, 200, "{\"status\":0,\"message\":\"ok\",\"data\":{\"docs\":[]}}", GATE_VERDICT_OK, 0},
    {PORTAL, 200, "{\"status\":0}", GATE_VERDICT_GARBAGE, 0},
    {PORTAL, 200, "{\"status\":0,\"data\":null}", GATE_VERDICT_GARBAGE, 0},
    {PORTAL, 200, "{\"status\":9,\"message\":\"too many requests\",\"data\":{}}",
     GATE_VERDICT_RATE_LIMITED, 0},
    {PORTAL, 500, "{\"status\":0,\"data\":{}}", GATE_VERDICT_OVERLOADED, 0},
    /* in a stream */
    {KEY, 0, "{\"code\":\"InvalidParameter\",\"message\":\"Role must be user\"}",
     GATE_VERDICT_CLIENT_ERROR, 0},
    {PORTAL, 0, FREE_QUOTA, GATE_VERDICT_QUOTA_EXHAUSTED, 0},
    {KEY, 0, MINUTE_QUOTA, GATE_VERDICT_RATE_LIMITED, 60000},
    {KEY, 0,
     "{\"choices\":[{\"delta\":{\"content\":\"Requests rate limit exceeded, please try "
     "again later\"},\"finish_reason\":\"error_finish\"}]}",
     GATE_VERDICT_RATE_LIMITED, 0},
    {KEY, 0,
     "{\"choices\":[{\"delta\":{\"content\":\"stream timeout\"},\"finish_reason\":"
     "\"error_finish\"}]}",
     GATE_VERDICT_OVERLOADED, 0},
    {KEY, 0, "{\"choices\":[{\"delta\":{},\"finish_reason\":\"error_finish\"}]}",
     GATE_VERDICT_OVERLOADED, 0},
};

static void ask(enum account account, int status, struct gate_str body, struct gate_verdict *out)
{
    const struct gate_answer answer = {
        .size = sizeof answer, .status = status, .body = body, .in_stream = status == 0};
    struct qwen_setup s;

    if (account == PORTAL)
        qwen_setup_init(&s, NULL, GATE_CREDENTIAL_OAUTH, OAUTH_JSON);
    else
        qwen_setup_init(&s, NULL, GATE_CREDENTIAL_API_KEY, "sk-1");
    memset(out, 0xee, sizeof *out);
    s.ops->classify(s.instance, &answer, out);
    qwen_setup_finish(&s);
}

START_TEST(test_samples)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const struct sample *s = &samples[i];
        struct gate_verdict v;

        ask(s->account, s->status, gate_str_of(s->body), &v);
        ck_assert_msg(v.kind == s->kind && v.retry_after_ms == s->retry_after_ms,
                      "%d %s: kind %d, expected %d; retry %llu", s->status, s->body, v.kind,
                      s->kind, (unsigned long long)v.retry_after_ms);
    }
}
END_TEST

/* Counters that are used up end a limit, but neither a day's quota nor a plan's. */
START_TEST(test_counters)
{
    static const struct {
        const char *body;
        enum gate_verdict_kind kind;
        uint64_t retry_after_ms;
    } cases[] = {
        {"", GATE_VERDICT_RATE_LIMITED, 120000},
        {MINUTE_QUOTA, GATE_VERDICT_RATE_LIMITED, 120000},
        {FREE_QUOTA, GATE_VERDICT_QUOTA_EXHAUSTED, 0},
        {ERR("hour allocated quota exceeded", "q"), GATE_VERDICT_QUOTA_EXHAUSTED, 3600000},
    };
    const struct gate_header headers[] = {
        {GATE_STR("x-ratelimit-remaining-requests"), GATE_STR("0")},
        {GATE_STR("x-ratelimit-reset-requests"), GATE_STR("2m0s")},
    };
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_OAUTH, OAUTH_JSON);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct gate_answer answer = {.size = sizeof answer,
                                           .status = 429,
                                           .headers = headers,
                                           .header_count = 2,
                                           .body = gate_str_of(cases[i].body)};
        struct gate_verdict v;

        s.ops->classify(s.instance, &answer, &v);
        ck_assert_int_eq(v.kind, cases[i].kind);
        ck_assert_uint_eq(v.retry_after_ms, cases[i].retry_after_ms);
    }
    qwen_setup_finish(&s);
}
END_TEST

START_TEST(test_messages)
{
    struct gate_verdict v;

    ask(KEY, 403, GATE_STR("{\"error\":{\"message\":\"invalid api-key\"}}"), &v);
    ck_assert_ptr_nonnull(strstr(v.message, "coding-plan key"));
    ask(KEY, 200, GATE_STR(CAPTCHA), &v);
    ck_assert_str_eq(v.code, "FAIL_SYS_USER_VALIDATE");
    ask(PORTAL, 429, GATE_STR(FREE_QUOTA), &v);
    ck_assert_str_eq(v.code, "insufficient_quota");
    ck_assert_str_eq(v.message, "Free allocated quota exceeded.");
    ask(KEY, 0,
        GATE_STR("{\"choices\":[{\"delta\":{\"content\":\"slow\"},\"finish_reason\":"
                 "\"error_finish\"}]}"),
        &v);
    ck_assert_str_eq(v.code, "error_finish");
    ck_assert_str_eq(v.message, "slow");
}
END_TEST

/* One instance with a key and a login: the account that answered decides what the code means. Where
 * it is not known, the instance's logins do. */
START_TEST(test_by_account)
{
    struct gate_credential login = {GATE_CREDENTIAL_OAUTH, GATE_STR(OAUTH_JSON)};
    struct gate_answer answer = fake_answer(429, FREE_QUOTA);
    struct gate_verdict v;
    struct qwen_setup s;
    void *portal;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_API_KEY, "sk-1");
    s.ops->classify(s.instance, &answer, &v);
    ck_assert_int_eq(v.kind, GATE_VERDICT_RATE_LIMITED);
    ck_assert_int_eq(s.ops->account_attach(s.instance, &login, &portal, &s.err), GATE_OK);
    s.ops->classify(s.instance, &answer, &v);
    ck_assert_int_eq(v.kind, GATE_VERDICT_QUOTA_EXHAUSTED);
    answer.account = s.account;
    s.ops->classify(s.instance, &answer, &v);
    ck_assert_int_eq(v.kind, GATE_VERDICT_RATE_LIMITED);
    answer.account = portal;
    s.ops->classify(s.instance, &answer, &v);
    ck_assert_int_eq(v.kind, GATE_VERDICT_QUOTA_EXHAUSTED);
    /* A gateway that does not know the member yet. */
    answer.account = s.account;
    answer.size = offsetof(struct gate_answer, account);
    s.ops->classify(s.instance, &answer, &v);
    ck_assert_int_eq(v.kind, GATE_VERDICT_QUOTA_EXHAUSTED);
    s.ops->account_detach(s.instance, portal);
    qwen_setup_finish(&s);
}
END_TEST

struct recording {
    const char *path;
    enum account account;
    int status;
    enum gate_verdict_kind kind;
    uint64_t retry_after_ms;
};

static const struct recording recordings[] = {
    {"quoted-errors/anthropic-compat-200-midstream-throttle.sse", KEY, 0, GATE_VERDICT_RATE_LIMITED,
     0},
    {"quoted-errors/chat-qwen-ai-200-x5sec-captcha.json", PORTAL, 200, GATE_VERDICT_BLOCKED, 0},
    {"quoted-errors/dashscope-400-enable-thinking-nonstream.json", KEY, 400,
     GATE_VERDICT_CLIENT_ERROR, 0},
    {"quoted-errors/dashscope-400-enable-thinking-with-id.json", KEY, 400,
     GATE_VERDICT_CLIENT_ERROR, 0},
    {"quoted-errors/dashscope-400-input-length.json", KEY, 400, GATE_VERDICT_CLIENT_ERROR, 0},
    {"quoted-errors/dashscope-429-tpm-looks-like-quota.json", KEY, 429, GATE_VERDICT_RATE_LIMITED,
     60000},
    {"quoted-errors/dashscope-429-tpm-looks-like-quota.json", PORTAL, 429,
     GATE_VERDICT_RATE_LIMITED, 60000},
    {"quoted-errors/oauth-refresh-invalid.json", PORTAL, 400, GATE_VERDICT_CLIENT_ERROR, 0},
    {"quoted-errors/portal-400-bad-request.json", PORTAL, 400, GATE_VERDICT_CLIENT_ERROR, 0},
    {"quoted-errors/portal-401-invalid-access-token.json", PORTAL, 401, GATE_VERDICT_AUTH, 0},
    {"quoted-errors/portal-429-free-allocated-quota.json", PORTAL, 429,
     GATE_VERDICT_QUOTA_EXHAUSTED, 0},
    {"derived/qwen__TestErrorScenarios.test_api_key_missing.0.json", KEY, 401, GATE_VERDICT_AUTH,
     0},
    {"derived/qwen__TestErrorScenarios.test_api_key_missing.1.json", KEY, 401, GATE_VERDICT_AUTH,
     0},
    {"derived/qwen__TestErrorScenarios.test_api_key_missing.2.json", KEY, 401, GATE_VERDICT_AUTH,
     0},
    {"derived/qwen__TestErrorHandling.test_max_tokens_exceeded.0.json", KEY, 200, GATE_VERDICT_OK,
     0},
    {"derived/qwen__TestToolCalls.test_completion_with_tool_call_and_response.0.json", KEY, 200,
     GATE_VERDICT_OK, 0},
    {"qwen/alibaba-reasoning.json", KEY, 200, GATE_VERDICT_OK, 0},
    {"qwen-native/auth-error-nosse.response.body.txt", KEY, 401, GATE_VERDICT_AUTH, 0},
    {"qwen-native/parameter-error-nosse.response.body.txt", KEY, 400, GATE_VERDICT_CLIENT_ERROR, 0},
    {"qwen-native/parameter-error-sse.response.body.txt", KEY, 0, GATE_VERDICT_CLIENT_ERROR, 0},
};

/* The data of the only event of a recorded stream, or the whole body. */
static struct gate_str payload(struct gate_str file, bool in_stream)
{
    const char *data = in_stream ? memmem(file.ptr, file.len, "data:", 5) : NULL, *end;

    if (data == NULL)
        return file;
    data += 5;
    end = memchr(data, '\n', (size_t)(file.ptr + file.len - data));
    return (struct gate_str){data, (size_t)((end != NULL ? end : file.ptr + file.len) - data)};
}

START_TEST(test_recordings)
{
    size_t ran = 0;

    for (size_t i = 0; i < sizeof recordings / sizeof recordings[0]; i++) {
        const struct recording *rec = &recordings[i];
        struct gate_buf file;
        struct gate_verdict v;
        char path[4096];

        gate_buf_init(&file, FAKE_MAX_BODY);
        snprintf(path, sizeof path, "%s/fixtures/%s", fake_recordings(), rec->path);
        if (fake_file_read(path, &file)) {
            if (file.len > 16 * 1024)
                file.len = 16 * 1024; /* as much as the gateway shows */
            ask(rec->account, rec->status, payload(gate_buf_str(&file), rec->status == 0), &v);
            ck_assert_msg(v.kind == rec->kind && v.retry_after_ms == rec->retry_after_ms,
                          "%s: kind %d, expected %d", rec->path, v.kind, rec->kind);
            ran++;
        }
        gate_buf_finish(&file);
    }
    printf("provider_qwen: %zu recorded answers\n", ran);
}
END_TEST

TCase *test_verdict_case(void)
{
    TCase *tc = tcase_create("verdicts");

    tcase_add_test(tc, test_samples);
    tcase_add_test(tc, test_counters);
    tcase_add_test(tc, test_messages);
    tcase_add_test(tc, test_by_account);
    tcase_add_test(tc, test_recordings);
    return tc;
}
