/* Tests of provider_qwen's device login: what is sent, and what the service's answers mean. */
#include "fake_host.h"
#include "test_qwen.h"

#include <cjson/cJSON.h>

/* The example of RFC 7636, appendix B. */
#define VERIFIER "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
#define LONG_TOKEN "Zm9vYmFyLXNlY3JldC10b2tlbi1vZi1zb21lb25l"

#define BEGUN                                                                                      \
    "{\"device_code\":\"dev-1\",\"user_code\":\"ABCD-1234\","                                      \
    "\"verification_uri\":\"https://chat.example/authorize\","                                     \
    "\"verification_uri_complete\":\"https://chat.example/authorize?user_code=ABCD-1234\","        \
    "\"expires_in\":900,\"interval\":2.5}"

START_TEST(test_begin_request)
{
    static const char *const pairs[] = {"client_id",      "id&1",  "auth_url", "http://127.0.0.1:9",
                                        "client_version", "1.2.3", NULL};
    struct fake_request r;
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_NONE, NULL);
    fake_request_init(&r);
    ck_assert_int_eq(s.ops->login_begin_request(s.instance, GATE_STR(VERIFIER), &r.builder, &s.err),
                     GATE_OK);
    ck_assert_str_eq(fake_endpoint_url(r.endpoint), "https://chat.qwen.ai");
    ck_assert_int_eq(fake_endpoint_origin(r.endpoint), GATE_ENDPOINT_OPERATOR);
    ck_assert(gate_str_eq(gate_buf_str(&r.path), GATE_STR("/api/v1/oauth2/device/code")));
    ck_assert_str_eq(fake_request_body(&r),
                     "client_id=f0304373b74a44d2b584a3fb70ca9e56"
                     "&scope=openid%20profile%20email%20model.completion"
                     "&code_challenge=" CHALLENGE "&code_challenge_method=S256");
    ck_assert(fake_request_has_header(&r, "content-type: application/x-www-form-urlencoded"));
    ck_assert(fake_request_has_header(&r, "accept: application/json"));
    fake_request_finish(&r);
    qwen_setup_finish(&s);

    qwen_setup_init(&s, pairs, GATE_CREDENTIAL_NONE, NULL);
    fake_request_init(&r);
    ck_assert_int_eq(s.ops->login_begin_request(s.instance, GATE_STR(VERIFIER), &r.builder, &s.err),
                     GATE_OK);
    ck_assert_str_eq(fake_endpoint_url(r.endpoint), "http://127.0.0.1:9");
    ck_assert_int_eq(strncmp(fake_request_body(&r), "client_id=id%261&scope=", 23), 0);
    ck_assert(fake_request_has_header(&r, "user-agent: QwenCode/1.2.3 (linux; x64)"));
    fake_request_finish(&r);
    qwen_setup_finish(&s);
}
END_TEST

struct begun {
    const char *reply;
    const char *flow; /* NULL: refused with GATE_EPARSE */
};

static const struct begun begun_cases[] = {
    {BEGUN, "{\"device_code\":\"dev-1\",\"user_code\":\"ABCD-1234\","
            "\"verification_uri\":\"https://chat.example/authorize\","
            "\"verification_uri_complete\":\"https://chat.example/authorize?user_code=ABCD-1234\","
            "\"expires_in\":900,\"interval\":2.5}"},
    {"{\"device_code\":\"d\\\"\\u00e9\",\"user_code\":\"U\",\"verification_uri\":\"http://x/\"}",
     "{\"device_code\":\"d\\\"\xc3\xa9\",\"user_code\":\"U\",\"verification_uri\":\"http://x/\","
     "\"expires_in\":600,\"interval\":5}"},
    {"{\"device_code\":\"d\",\"user_code\":\"U\",\"verification_uri_complete\":\"https://x/?u\","
     "\"expires_in\":\"300\",\"interval\":0}",
     "{\"device_code\":\"d\",\"user_code\":\"U\",\"verification_uri\":\"https://x/?u\","
     "\"verification_uri_complete\":\"https://x/?u\",\"expires_in\":300,\"interval\":5}"},
    {"{\"device_code\":\"d\",\"user_code\":\"U\",\"verification_uri\":\"https://x/\","
     "\"verification_uri_complete\":\"javascript:alert(1)\",\"expires_in\":1e99,\"interval\":-1}",
     "{\"device_code\":\"d\",\"user_code\":\"U\",\"verification_uri\":\"https://x/\","
     "\"expires_in\":86400,\"interval\":5}"},
    {"{\"user_code\":\"U\",\"verification_uri\":\"https://x/\"}", NULL},
    {"{\"device_code\":\"d\",\"verification_uri\":\"https://x/\"}", NULL},
    {"{\"device_code\":\"d\",\"user_code\":\"U\"}", NULL},
    {"{\"device_code\":\"d\",\"user_code\":\"U\",\"verification_uri\":\"file:///x\"}", NULL},
    {"{\"device_code\":\"d\",\"user_code\":\"\\u001b[2J\",\"verification_uri\":\"https://x/\"}",
     NULL},
    {"{\"ret\":[\"FAIL_SYS_USER_VALIDATE\"]}", NULL},
    {"<!doctype html><title>x</title>", NULL},
    {"", NULL},
};

START_TEST(test_begin_parse)
{
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_NONE, NULL);
    for (size_t i = 0; i < sizeof begun_cases / sizeof begun_cases[0]; i++) {
        const struct begun *c = &begun_cases[i];
        struct gate_answer answer = fake_answer(200, c->reply);
        struct gate_buf flow;
        struct gate_writer writer;

        gate_buf_init(&flow, 64 * 1024);
        writer = gate_buf_writer(&flow);
        ck_assert_int_eq(s.ops->login_begin_parse(s.instance, &answer, &writer, &s.err),
                         c->flow != NULL ? GATE_OK : GATE_EPARSE);
        ck_assert_msg(gate_str_eq(gate_buf_str(&flow), gate_str_of(c->flow)), "%zu: %.*s", i,
                      (int)flow.len, flow.ptr != NULL ? flow.ptr : "");
        gate_buf_finish(&flow);
    }
    qwen_setup_finish(&s);
}
END_TEST

struct begin_failure {
    int status;
    const char *reply;
    enum gate_status result;
    const char *says;
};

static const struct begin_failure begin_failures[] = {
    {0, "", GATE_EIO, "not reached: connection refused"},
    {500, "", GATE_EIO, "HTTP 500"},
    {429, "<html>", GATE_EIO, "HTTP 429"},
    {403, "<html>", GATE_EPARSE, "web page"},
    {404, "", GATE_EPARSE, "without device_code"},
    {400, "{\"error\":\"invalid_client\",\"error_description\":\"unknown client_id\"}", GATE_EINVAL,
     "invalid_client: unknown client_id"},
    {400, "{\"error\":\"invalid_request\",\"error_description\":\"no " LONG_TOKEN " here\"}",
     GATE_EINVAL, "no **"},
    {200, "{\"error\":\"invalid_scope\"}", GATE_EINVAL, "refused: invalid_scope"},
};

START_TEST(test_begin_failures)
{
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_NONE, NULL);
    for (size_t i = 0; i < sizeof begin_failures / sizeof begin_failures[0]; i++) {
        const struct begin_failure *c = &begin_failures[i];
        struct gate_answer answer = fake_answer(c->status, c->reply);
        struct gate_buf flow;
        struct gate_writer writer;

        gate_buf_init(&flow, 64 * 1024);
        writer = gate_buf_writer(&flow);
        answer.reason = GATE_STR("connection refused");
        ck_assert_int_eq(s.ops->login_begin_parse(s.instance, &answer, &writer, &s.err), c->result);
        ck_assert_int_eq(s.err.status, c->result);
        ck_assert_msg(strstr(s.err.message, c->says) != NULL, "%zu: %s", i, s.err.message);
        ck_assert_ptr_null(strstr(s.err.message, LONG_TOKEN));
        ck_assert_uint_eq(flow.len, 0);
        gate_buf_finish(&flow);
    }
    qwen_setup_finish(&s);
}
END_TEST

START_TEST(test_poll_request)
{
    struct fake_request r;
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_NONE, NULL);
    fake_request_init(&r);
    ck_assert_int_eq(s.ops->login_poll_request(
                         s.instance, GATE_STR("{\"user_code\":\"u\",\"device_code\":\"d/1 +&\"}"),
                         GATE_STR(VERIFIER), &r.builder, &s.err),
                     GATE_OK);
    ck_assert_str_eq(fake_endpoint_url(r.endpoint), "https://chat.qwen.ai");
    ck_assert(gate_str_eq(gate_buf_str(&r.path), GATE_STR("/api/v1/oauth2/token")));
    ck_assert_str_eq(fake_request_body(&r),
                     "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code"
                     "&client_id=f0304373b74a44d2b584a3fb70ca9e56"
                     "&device_code=d%2F1%20%2B%26&code_verifier=" VERIFIER);
    ck_assert(fake_request_has_header(&r, "content-type: application/x-www-form-urlencoded"));
    ck_assert(fake_host_wiped(VERIFIER));
    fake_request_finish(&r);

    fake_request_init(&r);
    ck_assert_int_eq(s.ops->login_poll_request(s.instance, GATE_STR("{}"), GATE_STR(VERIFIER),
                                               &r.builder, &s.err),
                     GATE_EINVAL);
    ck_assert_ptr_null(fake_request_body(&r));
    fake_request_finish(&r);
    qwen_setup_finish(&s);
}
END_TEST

struct poll {
    int status;
    const char *reply;
    enum gate_status result;
    uint64_t interval_ms; /* after 4000 */
};

static const struct poll polls[] = {
    {400, "{\"error\":\"authorization_pending\",\"error_description\":\"wait\"}", GATE_ELIMIT,
     4000},
    {400, "{\"error\":\"authorization_pending\"}", GATE_ELIMIT, 4000},
    {200, "{\"error\":\"authorization_pending\"}", GATE_ELIMIT, 4000},
    {429, "{\"error\":\"slow_down\"}", GATE_ELIMIT, 6000},
    {400, "{\"error\":\"slow_down\",\"error_description\":\"x\"}", GATE_ELIMIT, 6000},
    {429, "", GATE_ELIMIT, 6000},
    {400, "{\"error\":\"expired_token\"}", GATE_ETIMEOUT, 4000},
    {401, "{\"error\":\"expired_token\",\"error_description\":\"x\"}", GATE_ETIMEOUT, 4000},
    {400, "{\"error\":\"access_denied\",\"error_description\":\"x\"}", GATE_EDENIED, 4000},
    {401, "", GATE_EINVAL, 4000},
    {401, "{\"error\":\"invalid_client\"}", GATE_EINVAL, 4000},
    {401, "<html>", GATE_EPARSE, 4000},
    {400, "{\"error\":\"invalid_grant\",\"error_description\":\"" LONG_TOKEN "\"}", GATE_EINVAL,
     4000},
    {200, "{\"token_type\":\"Bearer\"}", GATE_EPARSE, 4000},
    {200, "{\"access_token\":\"\"}", GATE_EPARSE, 4000},
    {200, "{\"access_token\":\"a\\r\\nb\"}", GATE_EPARSE, 4000},
    {200, "{\"ret\":[\"FAIL_SYS_USER_VALIDATE\"]}", GATE_EPARSE, 4000},
    {200, "<html>", GATE_EPARSE, 4000},
    {403, "<html>", GATE_EPARSE, 4000},
    {200, "", GATE_EPARSE, 4000},
    {500, "{\"error\":\"server_error\"}", GATE_EIO, 4000},
    {502, "<html><title>502 Bad Gateway</title>", GATE_EIO, 4000},
    {0, "", GATE_EIO, 4000},
};

START_TEST(test_poll_failures)
{
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_NONE, NULL);
    for (size_t i = 0; i < sizeof polls / sizeof polls[0]; i++) {
        struct gate_answer answer = fake_answer(polls[i].status, polls[i].reply);
        uint64_t interval = 4000;
        struct gate_buf secret;
        struct gate_writer writer;
        enum gate_status result;

        gate_buf_init(&secret, 64 * 1024);
        writer = gate_buf_writer(&secret);
        result = s.ops->login_poll_parse(s.instance, &answer, &interval, &writer, &s.err);
        ck_assert_msg(result == polls[i].result && interval == polls[i].interval_ms,
                      "%zu: %d, interval %llu: %s", i, result, (unsigned long long)interval,
                      s.err.message);
        ck_assert_int_eq(s.err.status, result);
        ck_assert_ptr_null(strstr(s.err.message, LONG_TOKEN));
        ck_assert_uint_eq(secret.len, 0);
        gate_buf_finish(&secret);
    }
    qwen_setup_finish(&s);
}
END_TEST

START_TEST(test_slow_down)
{
    static const uint64_t steps[][2] = {
        {2000, 3000}, {8000, 10000}, {10000, 10000}, {15000, 15000}, {1, 1}};
    struct gate_answer answer = fake_answer(429, "{\"error\":\"slow_down\"}");
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_NONE, NULL);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        uint64_t interval = steps[i][0];

        ck_assert_int_eq(s.ops->login_poll_parse(s.instance, &answer, &interval, NULL, &s.err),
                         GATE_ELIMIT);
        ck_assert_uint_eq(interval, steps[i][1]);
    }
    qwen_setup_finish(&s);
}
END_TEST

static const char *text(const cJSON *json, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
}

/* A login's secret is what account_attach takes. */
START_TEST(test_poll_success)
{
    struct gate_answer answer = fake_answer(
        200, "{\"status\":\"success\",\"message\":null,\"access_token\":\"acc-secret\","
             "\"refresh_token\":\"ref-\\u0073ecret\",\"token_type\":\"Bearer\",\"resource_url\":"
             "\"other.example\",\"expires_in\":3600,\"scope\":\"openid\"}");
    uint64_t interval = 4000;
    struct gate_buf secret;
    struct gate_writer writer;
    struct gate_credential credential;
    struct qwen_setup s;
    cJSON *json;

    gate_buf_init(&secret, 64 * 1024);
    writer = gate_buf_writer(&secret);
    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_NONE, NULL);
    ck_assert_int_eq(s.ops->login_poll_parse(s.instance, &answer, &interval, &writer, &s.err),
                     GATE_OK);
    json = cJSON_ParseWithLength(secret.ptr, secret.len);
    ck_assert_int_eq(cJSON_GetArraySize(json), 5);
    ck_assert_str_eq(text(json, "access_token"), "acc-secret");
    ck_assert_str_eq(text(json, "refresh_token"), "ref-secret");
    ck_assert_str_eq(text(json, "token_type"), "Bearer");
    ck_assert_str_eq(text(json, "resource_url"), "other.example");
    ck_assert_double_eq(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "expiry_date")),
                        (FAKE_NOW_S + 3600) * 1000.0);
    cJSON_Delete(json);
    ck_assert(fake_host_wiped("acc-secret"));
    ck_assert(fake_host_wiped("ref-secret"));

    credential = (struct gate_credential){GATE_CREDENTIAL_OAUTH, gate_buf_str(&secret)};
    ck_assert_int_eq(s.ops->account_attach(s.instance, &credential, &s.account, &s.err), GATE_OK);
    ck_assert_uint_eq(s.ops->credential_expires(s.instance, &credential),
                      (FAKE_NOW_S + 3600) * 1000ull);
    gate_buf_finish(&secret);
    qwen_setup_finish(&s);
}
END_TEST

TCase *test_login_case(void)
{
    TCase *tc = tcase_create("login");

    tcase_add_test(tc, test_begin_request);
    tcase_add_test(tc, test_begin_parse);
    tcase_add_test(tc, test_begin_failures);
    tcase_add_test(tc, test_poll_request);
    tcase_add_test(tc, test_poll_failures);
    tcase_add_test(tc, test_slow_down);
    tcase_add_test(tc, test_poll_success);
    return tc;
}
