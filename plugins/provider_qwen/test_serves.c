/* Tests of what the accounts of provider_qwen serve, and of the service's own list of models. */
#include "fake_host.h"
#include "test_qwen.h"

struct served {
    enum gate_credential_kind kind;
    const char *secret; /* NULL: no credential yet */
    const char *yes[4];
    const char *no[4];
};

static const struct served served_cases[] = {
    {GATE_CREDENTIAL_API_KEY,
     "sk-1",
     {"qwen3-max", "qwq-32b", "unheard-of"},
     {"coder-model", "glm-5", "vision-model"}},
    {GATE_CREDENTIAL_API_KEY,
     "sk-sp-1",
     {"qwen3-max", "glm-5", "unheard-of"},
     {"coder-model", "vision-model"}},
    {GATE_CREDENTIAL_OAUTH,
     OAUTH_JSON,
     {"coder-model", "vision-model"},
     {"qwen3-max", "glm-5", "unheard-of"}},
    {GATE_CREDENTIAL_NONE, NULL, {"coder-model"}, {"qwen3-max", "glm-5", "unheard-of"}},
};

/* An instance with accounts of three plans: each serves what its plan has, and a model that none
 * of them knows goes to the keys. */
START_TEST(test_account_serves)
{
    enum { CASES = sizeof served_cases / sizeof served_cases[0] };
    void *accounts[CASES] = {NULL};
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_NONE, NULL);
    for (size_t i = 0; i < CASES; i++) {
        struct gate_credential credential = {served_cases[i].kind,
                                             gate_str_of(served_cases[i].secret)};

        if (served_cases[i].secret != NULL)
            ck_assert_int_eq(s.ops->account_attach(s.instance, &credential, &accounts[i], &s.err),
                             GATE_OK);
    }
    for (size_t i = 0; i < CASES; i++) {
        const struct served *c = &served_cases[i];

        for (size_t n = 0; n < 4 && c->yes[n] != NULL; n++)
            ck_assert_msg(s.ops->account_serves(s.instance, accounts[i], gate_str_of(c->yes[n])),
                          "%zu: %s", i, c->yes[n]);
        for (size_t n = 0; n < 4 && c->no[n] != NULL; n++)
            ck_assert_msg(!s.ops->account_serves(s.instance, accounts[i], gate_str_of(c->no[n])),
                          "%zu: %s", i, c->no[n]);
        s.ops->account_detach(s.instance, accounts[i]);
    }
    qwen_setup_finish(&s);
}
END_TEST

/* Where there are only logins, or where the operator lists the models, nothing is held back. */
START_TEST(test_account_serves_all)
{
    static const char *const listed[] = {"models", "one", NULL};
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_OAUTH, OAUTH_JSON);
    ck_assert(s.ops->account_serves(s.instance, s.account, GATE_STR("coder-model")));
    ck_assert(s.ops->account_serves(s.instance, s.account, GATE_STR("unheard-of")));
    qwen_setup_finish(&s);
    qwen_setup_init(&s, listed, GATE_CREDENTIAL_OAUTH, OAUTH_JSON);
    ck_assert(s.ops->account_serves(s.instance, s.account, GATE_STR("one")));
    ck_assert(s.ops->account_serves(s.instance, s.account, GATE_STR("qwen3-max")));
    qwen_setup_finish(&s);
}
END_TEST

static const char *const model_bases[][3] = {
    {"sk-1", "", "https://dashscope.aliyuncs.com/compatible-mode/v1"},
    {NULL, "", "https://portal.qwen.ai/v1"},
    {NULL, "http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1"},
};

static void collect(void *ctx, struct gate_str model)
{
    gate_buf_printf(ctx, "%.*s;", (int)model.len, model.ptr);
}

START_TEST(test_model_list)
{
    struct gate_answer answer = fake_answer(200, "{\"data\":[{\"id\":\"a\"},{\"id\":\"b\"}]}");
    struct fake_request r;
    struct gate_buf names;
    struct qwen_setup s;

    for (size_t i = 0; i < sizeof model_bases / sizeof model_bases[0]; i++) {
        const char *const pairs[] = {"base_url", model_bases[i][1], NULL};
        const char *key = model_bases[i][0];

        qwen_setup_init(&s, *pairs[1] != '\0' ? pairs : NULL,
                        key != NULL ? GATE_CREDENTIAL_API_KEY : GATE_CREDENTIAL_OAUTH,
                        key != NULL ? key : OAUTH_JSON);
        fake_request_init(&r);
        ck_assert_int_eq(s.ops->models_request(s.instance, s.account, &r.builder, &s.err), GATE_OK);
        ck_assert_str_eq(fake_endpoint_url(r.endpoint), model_bases[i][2]);
        ck_assert(gate_str_eq(gate_buf_str(&r.path), GATE_STR("/models")));
        ck_assert(fake_request_has_line(&r, key != NULL ? "authorization: Bearer sk-1"
                                                        : "authorization: Bearer tok-secret-1"));
        ck_assert_ptr_null(fake_request_body(&r));
        fake_request_finish(&r);
        ck_assert_int_eq(s.ops->models_request(s.instance, NULL, &r.builder, &s.err),
                         GATE_ENOTFOUND);
        gate_buf_init(&names, 4096);
        ck_assert_int_eq(s.ops->models_parse(s.instance, &answer, collect, &names, &s.err),
                         GATE_OK);
        ck_assert(gate_str_eq(gate_buf_str(&names), GATE_STR("a;b;")));
        gate_buf_finish(&names);
        qwen_setup_finish(&s);
    }
}
END_TEST

TCase *test_serves_case(void)
{
    TCase *tc = tcase_create("serves");

    tcase_add_test(tc, test_account_serves);
    tcase_add_test(tc, test_account_serves_all);
    tcase_add_test(tc, test_model_list);
    return tc;
}
