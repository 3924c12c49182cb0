/* Tests of provider_qwen's web search. */
#include "fake_host.h"
#include "test_qwen.h"

#include <stdlib.h>

struct place {
    const char *base_url; /* NULL: unset */
    const char *secret;
    const char *url;
    enum gate_endpoint_origin origin;
};

static const struct place places[] = {
    {NULL, OAUTH_JSON, "https://portal.qwen.ai", GATE_ENDPOINT_FOREIGN},
    {NULL,
     "{\"access_token\":\"tok-secret-1\",\"resource_url\":\"https://other.example:8443/x/v1\"}",
     "https://other.example:8443", GATE_ENDPOINT_FOREIGN},
    {"http://127.0.0.1:9/some/v1", OAUTH_JSON, "http://127.0.0.1:9", GATE_ENDPOINT_OPERATOR},
    {"http://127.0.0.1:9", OAUTH_JSON, "http://127.0.0.1:9", GATE_ENDPOINT_OPERATOR},
};

START_TEST(test_request)
{
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const char *const pairs[] = {"base_url", places[i].base_url, NULL};
        struct fake_request r;
        struct qwen_setup s;

        qwen_setup_init(&s, places[i].base_url != NULL ? pairs : NULL, GATE_CREDENTIAL_OAUTH,
                        places[i].secret);
        fake_request_init(&r);
        ck_assert_int_eq(s.ops->search_request(s.instance, s.account, GATE_STR("a \"b\"\n\xc3\xa9"),
                                               2, 30, &r.builder, &s.err),
                         GATE_OK);
        ck_assert_str_eq(fake_endpoint_url(r.endpoint), places[i].url);
        ck_assert_int_eq(fake_endpoint_origin(r.endpoint), places[i].origin);
        ck_assert(
            gate_str_eq(gate_buf_str(&r.path), GATE_STR("/api/v1/indices/plugin/web_search")));
        ck_assert_str_eq(fake_request_body(&r),
                         "{\"uq\":\"a \\\"b\\\"\\n\xc3\xa9\",\"page\":2,\"rows\":30}");
        ck_assert(fake_request_has_header(&r, "content-type: application/json"));
        ck_assert(fake_request_has_line(&r, "authorization: Bearer tok-secret-1"));
        fake_request_finish(&r);
        qwen_setup_finish(&s);
    }
}
END_TEST

START_TEST(test_request_refused)
{
    struct gate_credential login = {GATE_CREDENTIAL_OAUTH, GATE_STR(OAUTH_JSON)};
    struct gate_str huge = {malloc(64 * 1024), 64 * 1024};
    struct fake_request r;
    struct qwen_setup s;
    void *portal;

    memset((char *)huge.ptr, 'x', huge.len);
    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_API_KEY, "sk-1");
    fake_request_init(&r);
    ck_assert_int_eq(
        s.ops->search_request(s.instance, s.account, GATE_STR("q"), 1, 10, &r.builder, &s.err),
        GATE_ENOTFOUND);
    ck_assert_int_eq(
        s.ops->search_request(s.instance, NULL, GATE_STR("q"), 1, 10, &r.builder, &s.err),
        GATE_ENOTFOUND);
    ck_assert_int_eq(s.ops->account_attach(s.instance, &login, &portal, &s.err), GATE_OK);
    ck_assert_int_eq(s.ops->search_request(s.instance, portal, huge, 1, 10, &r.builder, &s.err),
                     GATE_ELIMIT);
    ck_assert_ptr_null(fake_request_body(&r));
    s.ops->account_detach(s.instance, portal);
    fake_request_finish(&r);
    qwen_setup_finish(&s);
    free((char *)huge.ptr);
}
END_TEST

struct found {
    const char *reply;
    enum gate_status result;
    const char *results; /* or, of a failure, what the message says */
};

#define DOC(title, url, content, score, date)                                                      \
    "{\"title\":\"" title "\",\"url\":\"" url "\",\"content\":\"" content "\",\"score\":" score    \
    ",\"publishedDate\":\"" date "\"}"

static const struct found found_cases[] = {
    {"{\"status\":0,\"message\":\"ok\",\"data\":{\"total\":2,\"docs\":["
     "{\"title\":\"T\\u00e9\",\"url\":\"https://a/\",\"snippet\":\"s \\\"q\\\"\",\"_score\":0.25,"
     "\"timestamp_format\":\"2025-01-02 03:04:05\",\"hostname\":\"a\"},"
     "{\"title\":null,\"_score\":\"3\"}]}}",
     GATE_OK,
     "[" DOC("T\xc3\xa9", "https://a/", "s \\\"q\\\"", "0.25",
             "2025-01-02 03:04:05") "," DOC("", "", "", "3", "") "]"},
    {"{\"status\":0,\"data\":{\"docs\":[7,{\"_score\":null,\"url\":\"u\"},\"x\"]}}", GATE_OK,
     "[" DOC("", "u", "", "null", "") "]"},
    {"{\"status\":0,\"data\":{\"docs\":[]}}", GATE_OK, "[]"},
    {"{\"status\":0,\"data\":{\"docs\":null}}", GATE_OK, "[]"},
    {"{\"status\":0,\"data\":{}}", GATE_OK, "[]"},
    {"{\"status\":17,\"message\":\"index is away\",\"data\":{}}", GATE_EIO, "index is away"},
    {"{\"status\":17}", GATE_EIO, "status 17"},
    {"{\"status\":0,\"data\":[]}", GATE_EPARSE, "without results"},
    {"{\"data\":{\"docs\":[]}}", GATE_EPARSE, "without results"},
    {"<html>", GATE_EPARSE, "without results"},
    {"", GATE_EPARSE, "without results"},
};

START_TEST(test_parse)
{
    struct qwen_setup s;

    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_OAUTH, OAUTH_JSON);
    for (size_t i = 0; i < sizeof found_cases / sizeof found_cases[0]; i++) {
        const struct found *c = &found_cases[i];
        struct gate_answer answer = fake_answer(200, c->reply);
        struct gate_buf results;
        struct gate_writer writer;

        gate_buf_init(&results, 1 << 20);
        writer = gate_buf_writer(&results);
        ck_assert_int_eq(s.ops->search_parse(s.instance, &answer, &writer, &s.err), c->result);
        if (c->result == GATE_OK) {
            ck_assert_msg(gate_str_eq(gate_buf_str(&results), gate_str_of(c->results)), "%zu: %.*s",
                          i, (int)results.len, results.ptr);
        } else {
            ck_assert_msg(strstr(s.err.message, c->results) != NULL, "%zu: %s", i, s.err.message);
            ck_assert_uint_eq(results.len, 0);
        }
        gate_buf_finish(&results);
    }
    qwen_setup_finish(&s);
}
END_TEST

/* A text that is too long is cut between two characters. */
START_TEST(test_long_text)
{
    enum { CHARACTERS = 20000 };
    struct gate_buf reply, results;
    struct gate_writer writer;
    struct gate_answer answer = fake_answer(200, "");
    struct qwen_setup s;

    gate_buf_init(&reply, 1 << 20);
    gate_buf_init(&results, 1 << 20);
    writer = gate_buf_writer(&results);
    gate_buf_append(&reply, GATE_STR("{\"status\":0,\"data\":{\"docs\":[{\"snippet\":\""));
    for (size_t i = 0; i < CHARACTERS; i++)
        gate_buf_append(&reply, GATE_STR("\xe4\xbd\xa0"));
    gate_buf_append(&reply, GATE_STR("\"}]}}"));
    answer.body = gate_buf_str(&reply);
    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_OAUTH, OAUTH_JSON);
    ck_assert_int_eq(s.ops->search_parse(s.instance, &answer, &writer, &s.err), GATE_OK);
    ck_assert_uint_gt(results.len, 16000);
    ck_assert_ptr_null(memmem(results.ptr, results.len, "\xef\xbf\xbd", 3));
    gate_buf_finish(&reply);
    gate_buf_finish(&results);
    qwen_setup_finish(&s);
}
END_TEST

/* classify sees the first 16 KiB of a long answer only. */
START_TEST(test_long_answer_is_good)
{
    struct gate_buf head;
    struct gate_answer answer = fake_answer(200, "");
    struct gate_verdict verdict;
    struct qwen_setup s;

    gate_buf_init(&head, 1 << 20);
    gate_buf_append(&head,
                    GATE_STR("{\"status\":0,\"message\":\"ok\",\"data\":{\"docs\":[{\"a\":\""));
    while (head.len < 16 * 1024)
        gate_buf_append_byte(&head, 'x');
    answer.body = gate_buf_str(&head);
    qwen_setup_init(&s, NULL, GATE_CREDENTIAL_OAUTH, OAUTH_JSON);
    answer.account = s.account;
    s.ops->classify(s.instance, &answer, &verdict);
    ck_assert_int_eq(verdict.kind, GATE_VERDICT_OK);
    gate_buf_finish(&head);
    qwen_setup_finish(&s);
}
END_TEST

TCase *test_search_case(void)
{
    TCase *tc = tcase_create("search");

    tcase_add_test(tc, test_request);
    tcase_add_test(tc, test_request_refused);
    tcase_add_test(tc, test_parse);
    tcase_add_test(tc, test_long_text);
    tcase_add_test(tc, test_long_answer_is_good);
    return tc;
}
