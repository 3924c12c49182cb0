/* Tests of provider_openai's list of models. */
#include "fake_host.h"
#include "test_openai.h"

static struct gate_value *values;
static void *instance;
static struct gate_error err;

static const struct gate_provider_ops *start(const char *const *pairs)
{
    ck_assert_int_eq(gate_plugin.init(fake_host(), NULL), GATE_OK);
    ck_assert_int_eq(fake_instance_create(&gate_plugin, pairs, &values, &instance, &err), GATE_OK);
    return gate_plugin.ops;
}

START_TEST(test_request)
{
    static const char *const pairs[] = {"base_url", "http://127.0.0.1:1/v1", NULL};
    const struct gate_provider_ops *ops = start(pairs);
    struct gate_credential credential = {GATE_CREDENTIAL_API_KEY, GATE_STR("sk-test-1234")};
    struct fake_request r;
    void *account;

    ck_assert_int_eq(ops->account_attach(instance, &credential, &account, &err), GATE_OK);
    fake_request_init(&r);
    ck_assert_int_eq(ops->models_request(instance, account, &r.builder, &err), GATE_OK);
    ck_assert_str_eq(fake_endpoint_url(r.endpoint), "http://127.0.0.1:1/v1");
    ck_assert(gate_str_eq(gate_buf_str(&r.path), GATE_STR("/models")));
    ck_assert(fake_request_has_line(&r, "authorization: Bearer sk-test-1234"));
    ck_assert_ptr_null(fake_request_body(&r)); /* so it is a GET */
    fake_request_finish(&r);
    ops->account_detach(instance, account);
    fake_instance_destroy(&gate_plugin, values, instance);
}
END_TEST

struct listing {
    int status;
    const char *body;
    enum gate_status result;
    const char *names; /* or, of a failure, what the message says */
};

#define KEY_ERROR                                                                                  \
    "{\"error\":{\"message\":\"Incorrect API key provided: sk-abcdefghijkl\",\"code\":"            \
    "\"invalid_api_key\"}}"

static const struct listing listings[] = {
    {200, "{\"object\":\"list\",\"data\":[{\"id\":\"b\"},{\"id\":\"a\\/x\",\"owned_by\":\"o\"}]}",
     GATE_OK, "b;a/x;"},
    {200, " [{\"id\":\"one\"}]", GATE_OK, "one;"},
    {200, "{\"data\":[]}", GATE_OK, ""},
    {200, "{\"data\":[7,{},{\"id\":\"\"},{\"id\":8},{\"id\":\"a\\nb\"},{\"id\":\"c\"}]}", GATE_OK,
     "c;"},
    {200, "{\"data\":null}", GATE_EPARSE, "without a list of models"},
    {200, "{\"data\":{}}", GATE_EPARSE, "without a list of models"},
    {200, "{}", GATE_EPARSE, "without a list of models"},
    {200, "", GATE_EPARSE, "without a list of models"},
    {200, "<html>", GATE_EPARSE, "web page"},
    {404, "{\"error\":{\"message\":\"no such path\"}}", GATE_EPARSE, "no such path"},
    {401, KEY_ERROR, GATE_EDENIED, "Incorrect API key"},
    {429, "", GATE_EIO, "HTTP 429"},
    {500, "{\"data\":[]}", GATE_EIO, "HTTP 500"},
    {0, "", GATE_EIO, "connection refused"},
};

static void collect(void *ctx, struct gate_str model)
{
    gate_buf_printf(ctx, "%.*s;", (int)model.len, model.ptr);
}

START_TEST(test_parse)
{
    const struct gate_provider_ops *ops = start(NULL);

    for (size_t i = 0; i < sizeof listings / sizeof listings[0]; i++) {
        const struct listing *c = &listings[i];
        struct gate_answer answer = fake_answer(c->status, c->body);
        struct gate_buf names;

        answer.reason = GATE_STR("connection refused");
        gate_buf_init(&names, 4096);
        ck_assert_int_eq(ops->models_parse(instance, &answer, collect, &names, &err), c->result);
        if (c->result == GATE_OK) {
            ck_assert_msg(gate_str_eq(gate_buf_str(&names), gate_str_of(c->names)), "%zu", i);
        } else {
            ck_assert_msg(strstr(err.message, c->names) != NULL, "%zu: %s", i, err.message);
            ck_assert_ptr_null(strstr(err.message, "sk-abc"));
            ck_assert_uint_eq(names.len, 0);
        }
        gate_buf_finish(&names);
    }
    fake_instance_destroy(&gate_plugin, values, instance);
}
END_TEST

START_TEST(test_long_id)
{
    const struct gate_provider_ops *ops = start(NULL);
    struct gate_answer answer = fake_answer(200, "");
    struct gate_buf body, names;

    gate_buf_init(&body, 1 << 20);
    gate_buf_init(&names, 4096);
    gate_buf_append(&body, GATE_STR("{\"data\":[{\"id\":\""));
    for (size_t i = 0; i < 300; i++)
        gate_buf_append_byte(&body, 'x');
    gate_buf_append(&body, GATE_STR("\"},{\"id\":\"short\"}]}"));
    answer.body = gate_buf_str(&body);
    ck_assert_int_eq(ops->models_parse(instance, &answer, collect, &names, &err), GATE_OK);
    ck_assert(gate_str_eq(gate_buf_str(&names), GATE_STR("short;")));
    gate_buf_finish(&body);
    gate_buf_finish(&names);
    fake_instance_destroy(&gate_plugin, values, instance);
}
END_TEST

TCase *test_models_case(void)
{
    TCase *tc = tcase_create("models");

    tcase_add_test(tc, test_request);
    tcase_add_test(tc, test_parse);
    tcase_add_test(tc, test_long_id);
    return tc;
}
