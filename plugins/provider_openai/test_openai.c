/* Tests of provider_openai: options, header lines, the model splice, claims. Failures are tested in
 * test_failure.c. */
#include "test_openai.h"
#include "fake_host.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <stdlib.h>

static struct gate_value *values;
static void *instance;
static struct gate_error err;

static const struct gate_provider_ops *start(const char *const *pairs)
{
    ck_assert_int_eq(gate_plugin.init(fake_host(), NULL), GATE_OK);
    ck_assert_msg(fake_instance_create(&gate_plugin, pairs, &values, &instance, &err) == GATE_OK,
                  "%s", err.message);
    return gate_plugin.ops;
}

static void stop(void)
{
    fake_instance_destroy(&gate_plugin, values, instance);
    ck_assert_uint_eq(fake_host_live_endpoints(), 0);
}

static void *attach(const struct gate_provider_ops *ops, const char *key)
{
    struct gate_credential credential = {
        key != NULL ? GATE_CREDENTIAL_API_KEY : GATE_CREDENTIAL_NONE, gate_str_of(key)};
    void *account;

    ck_assert_int_eq(ops->account_attach(instance, &credential, &account, &err), GATE_OK);
    return account;
}

static void build(const struct gate_provider_ops *ops, void *account, const char *body,
                  const char *model, struct fake_request *r, struct gate_buf *sent)
{
    struct gate_call call;
    struct gate_request_facts facts;

    fake_request_init(r);
    fake_call_init(&call, &facts, gate_str_of(body), model, account);
    ck_assert_int_eq(ops->build_request(instance, &call, &r->builder, &err), GATE_OK);
    gate_buf_init(sent, FAKE_MAX_BODY);
    fake_request_apply(r, call.body, sent);
    gate_buf_append_byte(sent, '\0');
}

START_TEST(test_request)
{
    static const char *const pairs[] = {"organization",
                                        "org-1",
                                        "project",
                                        "proj-1",
                                        "headers",
                                        "X-Team:  blue ,X-Empty:",
                                        "base_url",
                                        "http://127.0.0.1:1/v1",
                                        NULL};
    const struct gate_provider_ops *ops = start(pairs);
    void *account = attach(ops, "sk-test-1234");
    struct fake_request r;
    struct gate_buf sent;

    build(ops, account, "{\"model\":\"m\",\"messages\":[]}", "m", &r, &sent);
    ck_assert_str_eq(fake_endpoint_url(r.endpoint), "http://127.0.0.1:1/v1");
    ck_assert_int_eq(fake_endpoint_origin(r.endpoint), GATE_ENDPOINT_OPERATOR);
    ck_assert(fake_request_has_line(&r, "authorization: Bearer sk-test-1234"));
    ck_assert(fake_request_has_line(&r, "user-agent: llm-gate/" GATE_VERSION));
    ck_assert(fake_request_has_line(&r, "accept: application/json, text/event-stream"));
    ck_assert(fake_request_has_line(&r, "openai-organization: org-1"));
    ck_assert(fake_request_has_line(&r, "openai-project: proj-1"));
    ck_assert(fake_request_has_line(&r, "X-Team: blue"));
    ck_assert(fake_request_has_line(&r, "X-Empty: "));
    ck_assert_uint_eq(r.path.len, 0);
    ck_assert_uint_eq(r.headers.len, 0);
    ck_assert_uint_eq(r.edit_count, 0);
    fake_request_finish(&r);
    gate_buf_finish(&sent);

    ops->account_detach(instance, account);
    ck_assert(fake_host_wiped("sk-test-1234"));
    stop();
}
END_TEST

START_TEST(test_defaults)
{
    const struct gate_provider_ops *ops = start(NULL);
    void *account = attach(ops, NULL);
    struct fake_request r;
    struct gate_buf sent;

    build(ops, account, "{\"model\":\"m\",\"messages\":[]}", "m", &r, &sent);
    ck_assert_str_eq(fake_endpoint_url(r.endpoint), "https://api.openai.com/v1");
    ck_assert_ptr_null(memmem(r.lines.ptr, r.lines.len, "authorization", 13));
    fake_request_finish(&r);
    gate_buf_finish(&sent);
    ops->account_detach(instance, account);
    stop();
}
END_TEST

/* The attach itself leaves no copy of the key behind: its own buffer is wiped, and detach wipes
 * what the account kept. */
START_TEST(test_secret_is_wiped)
{
    const struct gate_provider_ops *ops = start(NULL);
    void *account = attach(ops, "sk-first-1234");

    ck_assert(fake_host_wiped("sk-first-1234"));
    fake_host_forget_wiped();
    ops->account_detach(instance, account);
    ck_assert(fake_host_wiped("sk-first-1234"));
    stop();
}
END_TEST

static const char *const bad_keys[] = {"",        "sk-a\r\nx: y", "sk-a\n",     "sk a",
                                       "sk-\x01", "sk-\x7f",      "sk-\xc3\xa9"};

START_TEST(test_bad_keys)
{
    const struct gate_provider_ops *ops = start(NULL);
    struct gate_credential oauth = {GATE_CREDENTIAL_OAUTH, GATE_STR("{}")};
    char *huge = malloc(64 * 1024);
    struct gate_credential big = {GATE_CREDENTIAL_API_KEY, {huge, 64 * 1024}};
    void *account = NULL;

    memset(huge, 'k', 64 * 1024);
    for (size_t i = 0; i < sizeof bad_keys / sizeof bad_keys[0]; i++) {
        struct gate_credential bad = {GATE_CREDENTIAL_API_KEY, gate_str_of(bad_keys[i])};

        err.message[0] = '\0';
        ck_assert_int_eq(ops->account_attach(instance, &bad, &account, &err), GATE_EINVAL);
        ck_assert_str_ne(err.message, "");
        ck_assert_ptr_null(strstr(err.message, "sk"));
    }
    ck_assert_int_eq(ops->account_attach(instance, &big, &account, &err), GATE_EINVAL);
    ck_assert_int_eq(ops->account_attach(instance, &oauth, &account, &err), GATE_EINVAL);
    ck_assert_ptr_null(account);
    free(huge);
    stop();
}
END_TEST

static const char *const bad_options[][2] = {
    {"headers", "X-A: b\r\nX-C: d"},
    {"headers", "X-A: b\n"},
    {"headers", "no colon"},
    {"headers", ": empty name"},
    {"headers", "X A: space in name"},
    {"headers", "Host: x"},
    {"headers", "AUTHORIZATION: x"},
    {"headers", "Content-Length: 1"},
    {"headers", "X-\xc3\xa9: x"},
    {"headers", "transfer-encoding: chunked"},
    {"organization", "a\r\nx: y"},
    {"project", "a\nb"},
    {"user_agent", "a\r"},
    {"base_url", "ftp://x"},
    {"base_url", ""},
};

START_TEST(test_bad_options)
{
    for (size_t i = 0; i < sizeof bad_options / sizeof bad_options[0]; i++) {
        const char *const pairs[] = {bad_options[i][0], bad_options[i][1], NULL};

        ck_assert_int_eq(gate_plugin.init(fake_host(), NULL), GATE_OK);
        ck_assert_msg(fake_instance_create(&gate_plugin, pairs, &values, &instance, &err) ==
                          GATE_EINVAL,
                      "%s = %s", pairs[0], pairs[1]);
        ck_assert_uint_eq(fake_host_live_endpoints(), 0);
    }
}
END_TEST

struct splice {
    const char *body, *model, *sent;
};

static const struct splice splices[] = {
    {"{\"model\":\"a\",\"messages\":[]}", "b", "{\"model\":\"b\",\"messages\":[]}"},
    {"{ \"messages\" : [ ] , \"model\" : \"a\" }", "a", NULL},
    {"{ \"messages\" : [ ] , \"model\" : \"a\" }", "long/b",
     "{ \"messages\" : [ ] , \"model\" : \"long/b\" }"},
    {"{\"model\":\"\\u0061\"}", "a", NULL},
    {"{\"model\":\"\\u0061\"}", "\\u0061", "{\"model\":\"\\\\u0061\"}"},
    {"{\"model\":\"a\\/b\"}", "a/b", NULL},
    {"{\"model\":\"a\\/b\"}", "a/", "{\"model\":\"a/\"}"},
    {"{\"model\":\"a\"}", "a\"b\n", "{\"model\":\"a\\\"b\\n\"}"},
    {"{\"model\":\"ab\"}", "a", "{\"model\":\"a\"}"},
    {"{\"model\":\"a\"}", "ab", "{\"model\":\"ab\"}"},
};

START_TEST(test_model_splice)
{
    const struct gate_provider_ops *ops = start(NULL);
    void *account = attach(ops, NULL);

    for (size_t i = 0; i < sizeof splices / sizeof splices[0]; i++) {
        const struct splice *s = &splices[i];
        struct fake_request r;
        struct gate_buf sent;

        build(ops, account, s->body, s->model, &r, &sent);
        ck_assert_uint_eq(r.edit_count, s->sent != NULL);
        ck_assert_str_eq(sent.ptr, s->sent != NULL ? s->sent : s->body);
        fake_request_finish(&r);
        gate_buf_finish(&sent);
    }
    ops->account_detach(instance, account);
    stop();
}
END_TEST

START_TEST(test_model_too_long)
{
    const struct gate_provider_ops *ops = start(NULL);
    void *account = attach(ops, NULL);
    char name[8192];
    struct gate_call call;
    struct gate_request_facts facts;
    struct fake_request r;

    memset(name, 'm', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    fake_request_init(&r);
    fake_call_init(&call, &facts, GATE_STR("{\"model\":\"a\"}"), name, account);
    ck_assert_int_eq(ops->build_request(instance, &call, &r.builder, &err), GATE_ELIMIT);
    fake_request_finish(&r);
    ops->account_detach(instance, account);
    stop();
}
END_TEST

static void collect(void *ctx, struct gate_str model)
{
    char *text = ctx;
    size_t len = strlen(text);

    snprintf(text + len, 256 - len, "%.*s;", (int)model.len, model.ptr);
}

START_TEST(test_claims)
{
    static const char *const listed[] = {"models", "gpt-5,o*", NULL};
    static const char *const all[] = {"models", "gpt-5", "catch_all", "true", NULL};
    const struct gate_provider_ops *ops = start(listed);
    char names[256] = "";

    ck_assert_int_eq(ops->claims(instance, GATE_STR("gpt-5")), GATE_CLAIM_NAME);
    ck_assert_int_eq(ops->claims(instance, GATE_STR("o3-mini")), GATE_CLAIM_NAME);
    ck_assert_int_eq(ops->claims(instance, GATE_STR("gpt-5-mini")), GATE_CLAIM_NO);
    ops->each_model(instance, collect, names);
    ck_assert_str_eq(names, "gpt-5;");
    stop();
    start(all);
    ck_assert_int_eq(ops->claims(instance, GATE_STR("gpt-5")), GATE_CLAIM_NAME);
    ck_assert_int_eq(ops->claims(instance, GATE_STR("other")), GATE_CLAIM_ANY);
    stop();
    start(NULL);
    ck_assert_int_eq(ops->claims(instance, GATE_STR("gpt-5")), GATE_CLAIM_NO);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("provider_openai");
    TCase *tc = tcase_create("requests");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, test_request);
    tcase_add_test(tc, test_defaults);
    tcase_add_test(tc, test_secret_is_wiped);
    tcase_add_test(tc, test_bad_keys);
    tcase_add_test(tc, test_bad_options);
    tcase_add_test(tc, test_model_splice);
    tcase_add_test(tc, test_model_too_long);
    tcase_add_test(tc, test_claims);
    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, test_failure_case());
    suite_add_tcase(suite, test_models_case());
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
