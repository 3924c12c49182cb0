/* Tests of provider_qwen's refresh: what is sent, what is kept, and when a login is over. */
#include "fake_host.h"
#include "test_qwen.h"

#define OLD                                                                                        \
    "{\"access_token\":\"acc-old\",\"refresh_token\":\"ref-old\",\"token_type\":\"Bearer\","       \
    "\"resource_url\":\"old.example\",\"expiry_date\":1000}"
#define EXPIRY "1700003600000" /* FAKE_NOW_S and an hour */
#define EXPIRY_MS ((FAKE_NOW_S + 3600) * 1000ull)
#define LONG_TOKEN "Zm9vYmFyLXNlY3JldC10b2tlbi1vZi1zb21lb25l"

static struct gate_credential oauth(const char *secret)
{
    return (struct gate_credential){GATE_CREDENTIAL_OAUTH, gate_str_of(secret)};
}

START_TEST(test_request)
{
    static const char *const pairs[] = {"client_id", "id-1", "auth_url", "http://127.0.0.1:9",
                                        NULL};
    struct gate_credential old =
        oauth("{\"access_token\":\"a\",\"refresh_token\":\"r+/=\\u00e9\"}");
    struct fake_request r;
    struct qwen_setup s;

    qwen_setup_init(&s, pairs, GATE_CREDENTIAL_NONE, NULL);
    fake_request_init(&r);
    ck_assert_int_eq(s.ops->refresh_request(s.instance, &old, &r.builder, &s.err), GATE_OK);
    ck_assert_str_eq(fake_endpoint_url(r.endpoint), "http://127.0.0.1:9");
    ck_assert(gate_str_eq(gate_buf_str(&r.path), GATE_STR("/api/v1/oauth2/token")));
    ck_assert_str_eq(fake_request_body(&r),
                     "grant_type=refresh_token&refresh_token=r%2B%2F%3D%C3%A9&client_id=id-1");
    ck_assert(fake_request_has_header(&r, "content-type: application/x-www-form-urlencoded"));
    ck_assert(fake_request_has_header(&r, "accept: application/json"));
    ck_assert(fake_host_wiped("refresh_token=r%2B%2F%3D%C3%A9"));
    fake_request_finish(&r);
    qwen_setup_finish(&s);
}
END_TEST

START_TEST(test_request_refused)
{
    struct gate_credential no_token = oauth("{\"access_token\":\"a\"}"), broken = oauth("x");
    struct gate_credential key = {GATE_CREDENTIAL_API_KEY, GATE_STR("sk-1")};
    struct fake_request r;
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_NONE, NULL);
    fake_request_init(&r);
    ck_assert_int_eq(s.ops->refresh_request(s.instance, &no_token, &r.builder, &s.err),
                     GATE_EDENIED);
    ck_assert_int_eq(s.ops->refresh_request(s.instance, &broken, &r.builder, &s.err), GATE_EDENIED);
    ck_assert_int_eq(s.ops->refresh_request(s.instance, &key, &r.builder, &s.err), GATE_EINVAL);
    ck_assert_ptr_null(fake_request_body(&r));
    fake_request_finish(&r);
    qwen_setup_finish(&s);
}
END_TEST

struct renewal {
    const char *reply;
    const char *secret;
    uint64_t expires_at_ms;
};

static const struct renewal renewals[] = {
    /* everything new */
    {"{\"access_token\":\"acc-new\",\"refresh_token\":\"ref-new\",\"token_type\":\"bearer\","
     "\"resource_url\":\"new.example\",\"expires_in\":3600,\"id_token\":\"x\"}",
     "{\"access_token\":\"acc-new\",\"token_type\":\"bearer\",\"refresh_token\":\"ref-new\","
     "\"resource_url\":\"new.example\",\"expiry_date\":" EXPIRY "}",
     EXPIRY_MS},
    /* what is not named is kept, but for the date */
    {"{\"access_token\":\"acc-new\"}",
     "{\"access_token\":\"acc-new\",\"token_type\":\"Bearer\",\"refresh_token\":\"ref-old\","
     "\"resource_url\":\"old.example\"}",
     0},
    {"{\"access_token\":\"acc-new\",\"refresh_token\":null,\"resource_url\":\"\",\"expires_in\":"
     "\"3600\",\"message\":\"fine\"}",
     "{\"access_token\":\"acc-new\",\"token_type\":\"Bearer\",\"refresh_token\":\"ref-old\","
     "\"resource_url\":\"old.example\",\"expiry_date\":" EXPIRY "}",
     EXPIRY_MS},
    {"{\"access_token\":\"acc-new\",\"expires_in\":-5}",
     "{\"access_token\":\"acc-new\",\"token_type\":\"Bearer\",\"refresh_token\":\"ref-old\","
     "\"resource_url\":\"old.example\"}",
     0},
    {"{\"access_token\":\"acc-new\",\"expires_in\":1e300}",
     "{\"access_token\":\"acc-new\",\"token_type\":\"Bearer\",\"refresh_token\":\"ref-old\","
     "\"resource_url\":\"old.example\"}",
     0},
};

START_TEST(test_renewals)
{
    struct gate_credential old = oauth(OLD);
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_NONE, NULL);
    for (size_t i = 0; i < sizeof renewals / sizeof renewals[0]; i++) {
        struct gate_answer answer = fake_answer(200, renewals[i].reply);
        struct gate_credential renewed;
        struct gate_buf secret;
        struct gate_writer writer;
        uint64_t expires = 7;

        gate_buf_init(&secret, 64 * 1024);
        writer = gate_buf_writer(&secret);
        fake_host_forget_wiped();
        ck_assert_int_eq(s.ops->refresh_parse(s.instance, &old, &answer, &writer, &expires, &s.err),
                         GATE_OK);
        ck_assert_msg(gate_str_eq(gate_buf_str(&secret), gate_str_of(renewals[i].secret)),
                      "%zu: %.*s", i, (int)secret.len, secret.ptr);
        ck_assert_uint_eq(expires, renewals[i].expires_at_ms);
        ck_assert(fake_host_wiped("acc-new"));
        ck_assert(fake_host_wiped("ref-"));
        renewed = (struct gate_credential){GATE_CREDENTIAL_OAUTH, gate_buf_str(&secret)};
        ck_assert_uint_eq(s.ops->credential_expires(s.instance, &renewed), expires);
        gate_buf_finish(&secret);
    }
    qwen_setup_finish(&s);
}
END_TEST

struct refusal {
    int status;
    const char *reply;
    enum gate_status result;
};

#define ERROR(code, text) "{\"error\":\"" code "\",\"error_description\":\"" text "\"}"

static const struct refusal refusals[] = {
    /* dead */
    {400, ERROR("invalid_request", "Invalid refresh token or client_id"), GATE_EDENIED},
    {400, ERROR("invalid_request", "refresh_token expired"), GATE_EDENIED},
    {400, ERROR("invalid_grant", "x"), GATE_EDENIED},
    {400, "{\"error\":\"invalid_grant\"}", GATE_EDENIED},
    {401, ERROR("invalid_client", LONG_TOKEN), GATE_EDENIED},
    {401, "{\"error\":{\"code\":\"invalid_api_key\",\"message\":\"x\"}}", GATE_EDENIED},
    /* refused, but not because the token is dead */
    {400, ERROR("invalid_request", "client_id is missing"), GATE_EIO},
    {400, "{\"error\":\"invalid_request\"}", GATE_EIO},
    {400, ERROR("unsupported_grant_type", LONG_TOKEN), GATE_EIO},
    {403, ERROR("invalid_grant", "x"), GATE_EIO},
    {429, ERROR("invalid_grant", "x"), GATE_EIO},
    {500, ERROR("invalid_grant", "x"), GATE_EIO},
    {503, "<html>", GATE_EIO},
    {429, "", GATE_EIO},
    {0, "", GATE_EIO},
    /* not an answer */
    {200, "<!doctype html><title>Checking your browser</title>", GATE_EPARSE},
    {400, "<html>Invalid refresh token</html>", GATE_EPARSE},
    {401, "<html>", GATE_EPARSE},
    {401, "", GATE_EPARSE},
    {400, "Invalid refresh token or client_id", GATE_EPARSE},
    {400, "{\"ret\":[\"FAIL_SYS_USER_VALIDATE\"]}", GATE_EPARSE},
    {200, "{\"ret\":[\"FAIL_SYS_USER_VALIDATE\"]}", GATE_EPARSE},
    {200, "{\"expires_in\":3600}", GATE_EPARSE},
    {200, "{\"access_token\":\"\"}", GATE_EPARSE},
    {200, "{\"access_token\":\"a b\"}", GATE_EPARSE},
    {200, ERROR("invalid_grant", "x"), GATE_EPARSE},
    {200, "{\"access_token\":\"cut o", GATE_EPARSE},
    {200, "", GATE_EPARSE},
    {302, "", GATE_EPARSE},
};

static void expect(struct qwen_setup *s, int status, struct gate_str body, enum gate_status wanted)
{
    struct gate_credential old = oauth(OLD);
    struct gate_answer answer = fake_answer(status, "");
    struct gate_buf secret;
    struct gate_writer writer;
    uint64_t expires = 7;
    enum gate_status result;

    answer.body = body;
    gate_buf_init(&secret, 64 * 1024);
    writer = gate_buf_writer(&secret);
    result = s->ops->refresh_parse(s->instance, &old, &answer, &writer, &expires, &s->err);
    ck_assert_msg(result == wanted, "%d %.*s: %d, %s", status, (int)body.len, body.ptr, result,
                  s->err.message);
    ck_assert_int_eq(s->err.status, result);
    ck_assert_str_ne(s->err.message, "");
    ck_assert_ptr_null(strstr(s->err.message, LONG_TOKEN));
    ck_assert_uint_eq(secret.len, 0);
    ck_assert_uint_eq(expires, 0);
    gate_buf_finish(&secret);
}

START_TEST(test_refusals)
{
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_NONE, NULL);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        expect(&s, refusals[i].status, gate_str_of(refusals[i].reply), refusals[i].result);
    qwen_setup_finish(&s);
}
END_TEST

START_TEST(test_recorded)
{
    char path[4096];
    struct gate_buf file;
    struct qwen_setup s;
    size_t ran = 0;

    gate_buf_init(&file, FAKE_MAX_BODY);
    snprintf(path, sizeof path, "%s/fixtures/quoted-errors/oauth-refresh-invalid.json",
             fake_recordings());
    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_NONE, NULL);
    if (fake_file_read(path, &file)) {
        expect(&s, 400, gate_buf_str(&file), GATE_EDENIED);
        ran++;
    }
    gate_buf_finish(&file);
    qwen_setup_finish(&s);
    printf("provider_qwen: %zu recorded refusals of a refresh\n", ran);
}
END_TEST

struct expiry {
    const char *secret;
    uint64_t expires;
};

static const struct expiry expiries[] = {
    {"{\"expiry_date\":1700000000123}", 1700000000123},
    {"{\"expiry_date\":\"1700000000123\"}", 1700000000123},
    {"{\"expiry_date\":1.7e12}", 1700000000000},
    {"{\"expiry_date\":1700000000}", 1700000000000},
    {"{\"expiry_date\":\"1700000000\"}", 1700000000000},
    {"{\"expiry_date\":1700000000.5}", 1700000000500},
    {"{\"expiry_date\":0}", 0},
    {"{\"expiry_date\":-1}", 0},
    {"{\"expiry_date\":1e300}", 0},
    {"{\"expiry_date\":1e999}", 0},
    {"{\"expiry_date\":\"nan\"}", 0},
    {"{\"expiry_date\":\"0x10\"}", 0},
    {"{\"expiry_date\":\"\"}", 0},
    {"{\"expiry_date\":\"tomorrow\"}", 0},
    {"{\"expiry_date\":null}", 0},
    {"{\"expiry_date\":\"1}", 0},
    {"{}", 0},
    {"not json", 0},
    {"", 0},
};

START_TEST(test_expires)
{
    struct gate_credential key = {GATE_CREDENTIAL_API_KEY, GATE_STR("{\"expiry_date\":5}")};
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_NONE, NULL);
    for (size_t i = 0; i < sizeof expiries / sizeof expiries[0]; i++) {
        struct gate_credential credential = oauth(expiries[i].secret);
        uint64_t expires = s.ops->credential_expires(s.instance, &credential);

        ck_assert_msg(expires == expiries[i].expires, "%s: %llu", expiries[i].secret,
                      (unsigned long long)expires);
    }
    ck_assert_uint_eq(s.ops->credential_expires(s.instance, &key), 0);
    qwen_setup_finish(&s);
}
END_TEST

TCase *test_refresh_case(void)
{
    TCase *tc = tcase_create("refresh");

    tcase_add_test(tc, test_request);
    tcase_add_test(tc, test_request_refused);
    tcase_add_test(tc, test_renewals);
    tcase_add_test(tc, test_refusals);
    tcase_add_test(tc, test_recorded);
    tcase_add_test(tc, test_expires);
    return tc;
}
