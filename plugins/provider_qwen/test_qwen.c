/* Tests of provider_qwen: plans, addresses, credentials, header lines, claims. */
#include "test_qwen.h"
#include "fake_host.h"

#include <stdlib.h>

void qwen_setup_init(struct qwen_setup *s, const char *const *pairs, enum gate_credential_kind kind,
                     const char *secret)
{
    struct gate_credential credential = {kind, gate_str_of(secret)};

    memset(s, 0, sizeof *s);
    s->ops = gate_plugin.ops;
    ck_assert_int_eq(gate_plugin.init(fake_host(), NULL), GATE_OK);
    ck_assert_msg(fake_instance_create(&gate_plugin, pairs, &s->values, &s->instance, &s->err) ==
                      GATE_OK,
                  "%s", s->err.message);
    if (secret != NULL)
        ck_assert_msg(s->ops->account_attach(s->instance, &credential, &s->account, &s->err) ==
                          GATE_OK,
                      "%s", s->err.message);
}

void qwen_setup_finish(struct qwen_setup *s)
{
    s->ops->account_detach(s->instance, s->account);
    fake_instance_destroy(&gate_plugin, s->values, s->instance);
    ck_assert_uint_eq(fake_host_live_endpoints(), 0);
}

static void build(struct qwen_setup *s, struct fake_request *r)
{
    struct gate_call call;
    struct gate_request_facts facts;

    fake_request_init(r);
    fake_call_init(&call, &facts, GATE_STR("{\"model\":\"m\",\"messages\":[]}"), "m", s->account);
    ck_assert_int_eq(s->ops->build_request(s->instance, &call, &r->builder, &s->err), GATE_OK);
    ck_assert_uint_eq(r->path.len, 0);
    ck_assert_uint_eq(r->edit_count, 0);
}

struct address {
    const char *plan, *region; /* NULL: unset */
    const char *key;
    const char *url;
};

static const struct address addresses[] = {
    {NULL, NULL, "sk-1", "https://dashscope.aliyuncs.com/compatible-mode/v1"},
    {NULL, "intl", "sk-1", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"},
    {NULL, NULL, "sk-sp-1", "https://coding.dashscope.aliyuncs.com/v1"},
    {NULL, "intl", "sk-sp-1", "https://coding-intl.dashscope.aliyuncs.com/v1"},
    {"standard", NULL, "sk-sp-1", "https://dashscope.aliyuncs.com/compatible-mode/v1"},
    {"standard", "us", "sk-1", "https://dashscope-us.aliyuncs.com/compatible-mode/v1"},
    {"standard", "hk", "sk-1", "https://cn-hongkong.dashscope.aliyuncs.com/compatible-mode/v1"},
    {"coding", "cn", "sk-1", "https://coding.dashscope.aliyuncs.com/v1"},
    {"token", "cn", "sk-1", "https://token-plan.cn-beijing.maas.aliyuncs.com/compatible-mode/v1"},
    {"token", "intl", "sk-1",
     "https://token-plan.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1"},
};

/* Fills name, value pairs with what is not NULL. */
static void fill(const char *pairs[5], const char *plan, const char *region)
{
    size_t n = 0;

    if (plan != NULL) {
        pairs[n++] = "plan";
        pairs[n++] = plan;
    }
    if (region != NULL) {
        pairs[n++] = "region";
        pairs[n++] = region;
    }
    pairs[n] = NULL;
}

START_TEST(test_addresses)
{
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct qwen_setup s;
        struct fake_request r;
        const char *pairs[5];

        fill(pairs, addresses[i].plan, addresses[i].region);
        qwen_setup_init(&s, pairs, GATE_CREDENTIAL_API_KEY, addresses[i].key);
        build(&s, &r);
        ck_assert_str_eq(fake_endpoint_url(r.endpoint), addresses[i].url);
        ck_assert_int_eq(fake_endpoint_origin(r.endpoint), GATE_ENDPOINT_OPERATOR);
        fake_request_finish(&r);
        qwen_setup_finish(&s);
    }
}
END_TEST

START_TEST(test_key_lines)
{
    static const char *const pairs[] = {"base_url", "http://127.0.0.1:9/x", NULL};
    struct qwen_setup s;
    struct fake_request r;

    qwen_setup_init(&s, pairs, GATE_CREDENTIAL_API_KEY, "sk-secret-1");
    build(&s, &r);
    ck_assert_str_eq(fake_endpoint_url(r.endpoint), "http://127.0.0.1:9/x");
    ck_assert(fake_request_has_line(&r, "authorization: Bearer sk-secret-1"));
    ck_assert(fake_request_has_line(&r, "user-agent: llm-gate/" GATE_VERSION));
    ck_assert_ptr_null(memmem(r.lines.ptr, r.lines.len, "dashscope", 9));
    fake_request_finish(&r);
    fake_host_forget_wiped();
    s.ops->account_detach(s.instance, s.account);
    s.account = NULL;
    ck_assert(fake_host_wiped("sk-secret-1"));
    qwen_setup_finish(&s);
}
END_TEST

START_TEST(test_oauth_lines)
{
    static const char *const pairs[] = {"client_version", "1.2.3", NULL};
    struct qwen_setup s;
    struct fake_request r;

    qwen_setup_init(&s, pairs, GATE_CREDENTIAL_OAUTH, OAUTH_JSON);
    /* The decoded token and the lines it went into. */
    ck_assert_uint_eq(fake_host_wiped("tok-secret-1"), 2);
    build(&s, &r);
    ck_assert_str_eq(fake_endpoint_url(r.endpoint), "https://portal.qwen.ai/v1");
    ck_assert_int_eq(fake_endpoint_origin(r.endpoint), GATE_ENDPOINT_FOREIGN);
    ck_assert(fake_request_has_line(&r, "authorization: Bearer tok-secret-1"));
    ck_assert(fake_request_has_line(&r, "user-agent: QwenCode/1.2.3 (linux; x64)"));
    ck_assert(fake_request_has_line(&r, "x-dashscope-useragent: QwenCode/1.2.3 (linux; x64)"));
    ck_assert(fake_request_has_line(&r, "x-dashscope-authtype: qwen-oauth"));
    ck_assert(fake_request_has_line(&r, "x-dashscope-cachecontrol: enable"));
    ck_assert_ptr_null(memmem(r.lines.ptr, r.lines.len, "ref-secret", 10));
    fake_request_finish(&r);
    fake_host_forget_wiped();
    s.ops->account_detach(s.instance, s.account);
    s.account = NULL;
    ck_assert(fake_host_wiped("tok-secret-1"));
    qwen_setup_finish(&s);
}
END_TEST

static const char *const resources[][2] = {
    {"portal.qwen.ai", "https://portal.qwen.ai/v1"},
    {"https://other.example", "https://other.example/v1"},
    {"other.example/v1", "https://other.example/v1"},
    {"https://other.example/v1/", "https://other.example/v1"},
    {"other.example//", "https://other.example/v1"},
    {"", "https://portal.qwen.ai/v1"},
};

START_TEST(test_resource_url)
{
    char json[256];
    struct fake_request r;
    struct qwen_setup s;

    for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++) {
        snprintf(json, sizeof json, "{\"resource_url\":\"%s\",\"access_token\":\"t\"}",
                 resources[i][0]);
        qwen_setup_init(&s, NULL, GATE_CREDENTIAL_OAUTH, json);
        build(&s, &r);
        ck_assert_str_eq(fake_endpoint_url(r.endpoint), resources[i][1]);
        ck_assert_int_eq(fake_endpoint_origin(r.endpoint), GATE_ENDPOINT_FOREIGN);
        fake_request_finish(&r);
        qwen_setup_finish(&s);
    }
    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_OAUTH,
                    "{\"resource_url\":null,\"access_token\":\"t\"}");
    build(&s, &r);
    ck_assert_str_eq(fake_endpoint_url(r.endpoint), "https://portal.qwen.ai/v1");
    fake_request_finish(&r);
    qwen_setup_finish(&s);
}
END_TEST

/* base_url is the operator's word and wins over the token reply. */
START_TEST(test_oauth_base_url)
{
    static const char *const pairs[] = {"base_url", "http://127.0.0.1:9/v1", NULL};
    struct fake_request r;
    struct qwen_setup s;

    qwen_setup_init(&s, pairs, GATE_CREDENTIAL_OAUTH, OAUTH_JSON);
    build(&s, &r);
    ck_assert_str_eq(fake_endpoint_url(r.endpoint), "http://127.0.0.1:9/v1");
    ck_assert_int_eq(fake_endpoint_origin(r.endpoint), GATE_ENDPOINT_OPERATOR);
    fake_request_finish(&r);
    qwen_setup_finish(&s);
}
END_TEST

struct refusal {
    const char *plan, *region;
    enum gate_credential_kind kind;
    const char *secret;
    enum gate_status status;
};

static const struct refusal refusals[] = {
    {NULL, NULL, GATE_CREDENTIAL_NONE, "", GATE_EINVAL},
    {NULL, NULL, GATE_CREDENTIAL_API_KEY, "", GATE_EINVAL},
    {NULL, NULL, GATE_CREDENTIAL_API_KEY, "sk-1\r\nx: y", GATE_EINVAL},
    {NULL, "us", GATE_CREDENTIAL_API_KEY, "sk-sp-1", GATE_EINVAL},
    {"oauth", NULL, GATE_CREDENTIAL_API_KEY, "sk-1", GATE_EINVAL},
    {"coding", NULL, GATE_CREDENTIAL_OAUTH, "{\"access_token\":\"secret\"}", GATE_EINVAL},
    {NULL, NULL, GATE_CREDENTIAL_OAUTH, "not json secret", GATE_EINVAL},
    {NULL, NULL, GATE_CREDENTIAL_OAUTH, "", GATE_EINVAL},
    {NULL, NULL, GATE_CREDENTIAL_OAUTH, "{}", GATE_EINVAL},
    {NULL, NULL, GATE_CREDENTIAL_OAUTH, "{\"access_token\":\"\"}", GATE_EINVAL},
    {NULL, NULL, GATE_CREDENTIAL_OAUTH, "{\"access_token\":7}", GATE_EINVAL},
    {NULL, NULL, GATE_CREDENTIAL_OAUTH, "{\"access_token\":\"secret\\r\\nx: y\"}", GATE_EINVAL},
    {NULL, NULL, GATE_CREDENTIAL_OAUTH,
     "{\"access_token\":\"secret\",\"resource_url\":\"http://10.0.0.1\"}", GATE_EDENIED},
    {NULL, NULL, GATE_CREDENTIAL_OAUTH,
     "{\"access_token\":\"secret\",\"resource_url\":\"a b\\r\\n\"}", GATE_EINVAL},
    {NULL, NULL, GATE_CREDENTIAL_OAUTH, "{\"access_token\":\"secret\",\"resource_url\":\"/\"}",
     GATE_EINVAL},
};

START_TEST(test_refused_credentials)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct gate_credential credential = {refusals[i].kind, gate_str_of(refusals[i].secret)};
        struct qwen_setup s;
        const char *pairs[5];

        fill(pairs, refusals[i].plan, refusals[i].region);
        qwen_setup_init(&s, pairs, GATE_CREDENTIAL_NONE, NULL);
        ck_assert_int_eq(s.ops->account_attach(s.instance, &credential, &s.account, &s.err),
                         refusals[i].status);
        ck_assert_ptr_null(s.account);
        ck_assert_str_ne(s.err.message, "");
        ck_assert_ptr_null(strstr(s.err.message, "secret"));
        if (strstr(refusals[i].secret, "\"secret\",") != NULL)
            ck_assert(fake_host_wiped("secret"));
        qwen_setup_finish(&s);
    }
}
END_TEST

START_TEST(test_refused_options)
{
    static const char *const bad[][2] = {
        {"plan", "gold"},       {"region", "moon"},         {"base_url", "nowhere"},
        {"client_version", ""}, {"client_version", "1\n2"}, {"client_version", "1 2"},
        {"client_id", ""},      {"client_id", "a b"},       {"client_id", "a\r\nb"},
        {"auth_url", ""},       {"auth_url", "nowhere"},
    };
    static const char *const coding_us[] = {"plan", "coding", "region", "us", NULL};
    struct gate_value *values;
    struct gate_error err;
    void *instance;

    ck_assert_int_eq(gate_plugin.init(fake_host(), NULL), GATE_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *const pairs[] = {bad[i][0], bad[i][1], NULL};

        ck_assert_msg(fake_instance_create(&gate_plugin, pairs, &values, &instance, &err) ==
                          GATE_EINVAL,
                      "%s = %s", pairs[0], pairs[1]);
    }
    ck_assert_int_eq(fake_instance_create(&gate_plugin, coding_us, &values, &instance, &err),
                     GATE_EINVAL);
    ck_assert_str_eq(err.message, "region: plan coding has these regions: cn, intl");
    ck_assert_uint_eq(fake_host_live_endpoints(), 0);
}
END_TEST

struct claim {
    const char *plan;
    enum gate_credential_kind kind;
    const char *secret;
    const char *yes[6];
    const char *no[6];
};

static const struct claim claim_cases[] = {
    {NULL,
     GATE_CREDENTIAL_NONE,
     NULL,
     {"qwen-plus", "qwen99-new", "qwq-32b"},
     {"coder-model", "glm-5"}},
    {NULL, GATE_CREDENTIAL_API_KEY, "sk-1", {"qwen3-max"}, {"glm-5", "gpt-5", "qw", "coder-model"}},
    {NULL,
     GATE_CREDENTIAL_API_KEY,
     "sk-sp-1",
     {"glm-5", "kimi-k2.5", "MiniMax-M2.5", "qwen3-coder-next"},
     {"glm-9", "deepseek-v3.2"}},
    {"token", GATE_CREDENTIAL_API_KEY, "sk-1", {"deepseek-v3.2", "qwen3.8-max"}, {"deepseek-x"}},
    {NULL,
     GATE_CREDENTIAL_OAUTH,
     OAUTH_JSON,
     {"coder-model", "vision-model"},
     {"qwen3-max", "coder-model2"}},
    {"oauth", GATE_CREDENTIAL_NONE, NULL, {"coder-model"}, {"qwen3-max"}},
};

static void count_model(void *ctx, struct gate_str model)
{
    ck_assert_ptr_null(memchr(model.ptr, '*', model.len));
    (*(size_t *)ctx)++;
}

START_TEST(test_claims)
{
    for (size_t i = 0; i < sizeof claim_cases / sizeof claim_cases[0]; i++) {
        const struct claim *c = &claim_cases[i];
        const char *pairs[5];
        struct qwen_setup s;
        size_t listed = 0;

        fill(pairs, c->plan, NULL);
        qwen_setup_init(&s, pairs, c->kind, c->secret);
        for (size_t n = 0; c->yes[n] != NULL; n++)
            ck_assert_msg(s.ops->claims(s.instance, gate_str_of(c->yes[n])) == GATE_CLAIM_NAME,
                          "%zu: %s", i, c->yes[n]);
        for (size_t n = 0; c->no[n] != NULL; n++)
            ck_assert_msg(s.ops->claims(s.instance, gate_str_of(c->no[n])) == GATE_CLAIM_NO,
                          "%zu: %s", i, c->no[n]);
        s.ops->each_model(s.instance, count_model, &listed);
        ck_assert_uint_ge(listed, 2);
        qwen_setup_finish(&s);
    }
}
END_TEST

START_TEST(test_models_option)
{
    static const char *const pairs[] = {"models", "one,two*", NULL};
    struct qwen_setup s;
    size_t listed = 0;

    qwen_setup_init(&s, pairs, GATE_CREDENTIAL_API_KEY, "sk-1");
    ck_assert_int_eq(s.ops->claims(s.instance, GATE_STR("one")), GATE_CLAIM_NAME);
    ck_assert_int_eq(s.ops->claims(s.instance, GATE_STR("twofold")), GATE_CLAIM_NAME);
    ck_assert_int_eq(s.ops->claims(s.instance, GATE_STR("qwen3-max")), GATE_CLAIM_NO);
    s.ops->each_model(s.instance, count_model, &listed);
    ck_assert_uint_eq(listed, 1);
    qwen_setup_finish(&s);
}
END_TEST

static void collect(void *ctx, struct gate_str model)
{
    gate_buf_printf(ctx, "%.*s;", (int)model.len, model.ptr);
}

/* Accounts of two plans in one instance: it serves both, and lists no name twice. */
START_TEST(test_two_plans)
{
    struct gate_credential coding = {GATE_CREDENTIAL_API_KEY, GATE_STR("sk-sp-1")};
    struct qwen_setup s;
    struct gate_buf names;
    const char *first;
    void *second;

    gate_buf_init(&names, 4096);
    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_API_KEY, "sk-1");
    ck_assert_int_eq(s.ops->account_attach(s.instance, &coding, &second, &s.err), GATE_OK);
    ck_assert_int_eq(s.ops->claims(s.instance, GATE_STR("glm-5")), GATE_CLAIM_NAME);
    s.ops->each_model(s.instance, collect, &names);
    gate_buf_append_byte(&names, '\0');
    first = strstr(names.ptr, "qwen3-coder-plus;");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, "qwen3-coder-plus;"));
    gate_buf_finish(&names);
    s.ops->account_detach(s.instance, second);
    qwen_setup_finish(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("provider_qwen");
    TCase *tc = tcase_create("accounts");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, test_addresses);
    tcase_add_test(tc, test_key_lines);
    tcase_add_test(tc, test_oauth_lines);
    tcase_add_test(tc, test_resource_url);
    tcase_add_test(tc, test_oauth_base_url);
    tcase_add_test(tc, test_refused_credentials);
    tcase_add_test(tc, test_refused_options);
    tcase_add_test(tc, test_claims);
    tcase_add_test(tc, test_models_option);
    tcase_add_test(tc, test_two_plans);
    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, test_serves_case());
    suite_add_tcase(suite, test_marks_case());
    suite_add_tcase(suite, test_verdict_case());
    suite_add_tcase(suite, test_login_case());
    suite_add_tcase(suite, test_refresh_case());
    suite_add_tcase(suite, test_search_case());
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
