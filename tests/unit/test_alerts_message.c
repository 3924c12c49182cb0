/* What each service gets, signatures, and which answers mean that a notice was taken. */
#include "record/alerts_internal.h"
#include <check.h>
#include <stdlib.h>

#define SECRET "SECabc123"

static const struct gate_notice sample = {
    .event = GATE_NOTICE_ALERT,
    .level = GATE_LOG_ERROR,
    .name = {"quota:qwen/0:chat", 17},
    .title = {"over <80 %> & \"rising\"", 22},
    .text = {"Add an account.", 15},
    .since_ms = 1700000000000,
    .at_ms = 1700000060000,
};

static void expect_body(enum gate_webhook_type type, const struct gate_notice *n,
                        const char *secret, const char *expected)
{
    struct gate_buf body;
    gate_buf_init(&body, GATE_WEBHOOK_MAX_BODY);
    gate_message_body(type, n, gate_str_of(secret), 1599360473999, &body);
    gate_buf_append_byte(&body, '\0');
    ck_assert_str_eq(body.ptr, expected);
    gate_buf_finish(&body);
}

START_TEST(bodies)
{
    struct gate_notice over = sample, test = sample;
    over.event = GATE_NOTICE_RECOVERY;
    over.level = GATE_LOG_WARN;
    test.event = GATE_NOTICE_TEST;
    test.text = GATE_STR("");
    expect_body(GATE_WEBHOOK_GENERIC, &sample, NULL,
                "{\"event\":\"alert\",\"name\":\"quota:qwen/0:chat\",\"level\":\"error\",\"title\":"
                "\"over <80 %> & \\\"rising\\\"\",\"text\":\"Add an account.\",\"since\":"
                "1700000000000,\"at\":1700000060000,\"gateway\":\"llm-gate " GATE_VERSION "\"}");
    expect_body(GATE_WEBHOOK_GENERIC, &over, SECRET,
                "{\"event\":\"recovery\",\"name\":\"quota:qwen/0:chat\",\"level\":\"warn\","
                "\"title\":\"over <80 %> & \\\"rising\\\"\",\"text\":\"Add an account.\",\"since\":"
                "1700000000000,\"at\":1700000060000,\"gateway\":\"llm-gate " GATE_VERSION "\"}");
    expect_body(GATE_WEBHOOK_DINGTALK, &sample, SECRET,
                "{\"msgtype\":\"markdown\",\"markdown\":{\"title\":\"[llm-gate] Alert: over <80 %> "
                "& \\\"rising\\\"\",\"text\":\"#### [llm-gate] Alert: over <80 %> & "
                "\\\"rising\\\"\\n\\nAdd an account.\\n\\n> error, 2023-11-14 22:14:20 UTC, "
                "quota:qwen/0:chat\"}}");
    expect_body(GATE_WEBHOOK_FEISHU, &over, NULL,
                "{\"msg_type\":\"text\",\"content\":{\"text\":\"[llm-gate] Recovered: over <80 %> "
                "& \\\"rising\\\"\\nAdd an account.\\nwarn, 2023-11-14 22:14:20 UTC, "
                "quota:qwen/0:chat\"}}");
    expect_body(GATE_WEBHOOK_FEISHU, &test, SECRET,
                "{\"timestamp\":\"1599360473\",\"sign\":"
                "\"xrs26pQpFkxWovMDgzfslap3+aQh6l/XmjymasupLlI=\",\"msg_type\":\"text\","
                "\"content\":{\"text\":\"[llm-gate] Test: over <80 %> & \\\"rising\\\"\\nerror, "
                "2023-11-14 22:14:20 UTC, quota:qwen/0:chat\"}}");
    expect_body(GATE_WEBHOOK_SLACK, &sample, NULL,
                "{\"text\":\"[llm-gate] Alert: over &lt;80 %&gt; &amp; \\\"rising\\\"\\nAdd an "
                "account.\\nerror, 2023-11-14 22:14:20 UTC, quota:qwen/0:chat\"}");
}
END_TEST

/* Computed with another implementation of HMAC. */
START_TEST(signatures)
{
    struct gate_buf out;
    gate_buf_init(&out, 512);
    gate_message_sign_dingtalk(GATE_STR(SECRET), 1700000000129, &out);
    gate_message_sign_feishu(GATE_STR(SECRET), 1599360473, &out);
    gate_buf_append_byte(&out, '\0');
    ck_assert_str_eq(out.ptr, "timestamp=1700000000129&sign=%2B2IQTU5%2FquhCXgQ26G77n2c9ZOTcrp7Otz"
                              "LFpwYSEhU%3Dxrs26pQpFkxWovMDgzfslap3+aQh6l/XmjymasupLlI=");
    gate_buf_finish(&out);
}
END_TEST

START_TEST(judged_answers)
{
    static const struct {
        enum gate_webhook_type type;
        int status;
        const char *body, *why; /* NULL: taken */
    } cases[] = {
        {GATE_WEBHOOK_GENERIC, 200, "", NULL},
        {GATE_WEBHOOK_GENERIC, 204, "", NULL},
        {GATE_WEBHOOK_GENERIC, 302, "", "HTTP status 302"},
        {GATE_WEBHOOK_GENERIC, 404, "", "HTTP status 404"},
        {GATE_WEBHOOK_GENERIC, 0, "", "refused"},
        {GATE_WEBHOOK_SLACK, 200, "ok", NULL},
        {GATE_WEBHOOK_SLACK, 403, "invalid_token", "HTTP status 403"},
        {GATE_WEBHOOK_DINGTALK, 200, "{\"errcode\":0,\"errmsg\":\"ok\"}", NULL},
        {GATE_WEBHOOK_DINGTALK, 200, "{ \"errmsg\" : \"ok\", \"errcode\" : 0 }", NULL},
        {GATE_WEBHOOK_DINGTALK, 200, "{\"errcode\":310000,\"errmsg\":\"sign not match\"}",
         "DingTalk says 310000: sign not match"},
        {GATE_WEBHOOK_DINGTALK, 200, "{\"errcode\":-1}", "DingTalk says -1"},
        {GATE_WEBHOOK_DINGTALK, 200, "{\"errcode\":1,\"errmsg\":2}", "DingTalk says 1"},
        {GATE_WEBHOOK_DINGTALK, 200, "<html>", "an answer that is not DingTalk's"},
        {GATE_WEBHOOK_DINGTALK, 200, "", "an answer that is not DingTalk's"},
        {GATE_WEBHOOK_DINGTALK, 500, "{\"errcode\":0}", "HTTP status 500"},
        {GATE_WEBHOOK_FEISHU, 200, "{\"code\":0,\"msg\":\"success\"}", NULL},
        {GATE_WEBHOOK_FEISHU, 200, "{\"code\":19021,\"msg\":\"sign match fail\"}",
         "Feishu says 19021: sign match fail"},
        {GATE_WEBHOOK_FEISHU, 200, "ok", "an answer that is not Feishu's"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char why[GATE_WEBHOOK_MAX_WHY] = "";
        struct gate_answer answer = {.size = sizeof answer,
                                     .status = cases[i].status,
                                     .body = gate_str_of(cases[i].body),
                                     .reason = GATE_STR("refused")};
        bool taken = gate_message_taken(cases[i].type, &answer, why);
        ck_assert_msg(taken == (cases[i].why == NULL), "case %zu", i);
        ck_assert_str_eq(why, taken ? "" : cases[i].why);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("alerts_message");
    TCase *tc = tcase_create("messages");
    tcase_add_test(tc, bodies);
    tcase_add_test(tc, signatures);
    tcase_add_test(tc, judged_answers);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
