/* Base addresses: what is taken, what is refused, and which addresses are not public. */
#include "upstream/upstream.h"
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>

static struct gate_endpoint *create(const char *url, enum gate_endpoint_origin origin, bool allow,
                                    enum gate_status *status, struct gate_error *err)
{
    struct gate_endpoint *e = NULL;
    *status = gate_endpoint_create(gate_str_of(url), origin, allow, &e, err);
    return e;
}

START_TEST(test_parts)
{
    static const struct {
        const char *url, *host, *authority, *path;
        unsigned port;
        bool tls;
    } cases[] = {
        {"https://api.example.com/v1", "api.example.com", "api.example.com", "/v1", 443, true},
        {"HTTPS://API.Example.com:443/v1/", "api.example.com", "api.example.com", "/v1", 443, true},
        {"http://127.0.0.1:8080", "127.0.0.1", "127.0.0.1:8080", "", 8080, false},
        {"http://localhost/", "localhost", "localhost", "", 80, false},
        {"http://[::1]:9/a/b//", "::1", "[::1]:9", "/a/b", 9, false},
        {"https://h_1-x.test:80", "h_1-x.test", "h_1-x.test:80", "", 80, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum gate_status status;
        struct gate_error err;
        struct gate_endpoint *e =
            create(cases[i].url, GATE_ENDPOINT_OPERATOR, false, &status, &err);
        ck_assert_msg(status == GATE_OK, "%s: %s", cases[i].url, err.message);
        ck_assert_str_eq(e->host, cases[i].host);
        ck_assert_str_eq(e->authority, cases[i].authority);
        ck_assert_str_eq(e->base_path, cases[i].path);
        ck_assert_uint_eq(e->port, cases[i].port);
        ck_assert(e->tls == cases[i].tls);
        ck_assert(!e->public_only);
        gate_endpoint_release(e);
    }
}
END_TEST

START_TEST(test_refused)
{
    static const char *const urls[] = {
        "",
        "api.example.com",
        "ftp://a",
        "http://",
        "https:///v1",
        "http://a:0",
        "http://a:65536",
        "http://a:x",
        "http://a:",
        "http://user@a",
        "http://user:p@a",
        "http://a b",
        "http://a/?q",
        "http://a/#f",
        "http://a/\r\nX: y",
        "http://[::1",
        "http://[::1]x",
        "http://[zz]",
        "http://a\x80",
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        enum gate_status status;
        struct gate_error err;
        create(urls[i], GATE_ENDPOINT_OPERATOR, true, &status, &err);
        ck_assert_msg(status == GATE_EINVAL, "taken: %s", urls[i]);
    }
}
END_TEST

START_TEST(test_foreign)
{
    static const char *const denied[] = {
        "http://portal.example.com", "https://127.0.0.1", "https://10.1.2.3",
        "https://169.254.169.254",   "https://[::1]",     "https://[::ffff:192.168.0.1]",
        "https://localhost",         "https://[fd00::1]", "https://0.0.0.0",
    };
    enum gate_status status;
    struct gate_error err;
    for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++) {
        create(denied[i], GATE_ENDPOINT_FOREIGN, false, &status, &err);
        ck_assert_msg(status == GATE_EDENIED, "taken: %s", denied[i]);
        struct gate_endpoint *e = create(denied[i], GATE_ENDPOINT_FOREIGN, true, &status, &err);
        ck_assert_msg(status == GATE_OK, "refused: %s", denied[i]);
        ck_assert(!e->public_only);
        gate_endpoint_release(e);
    }
    struct gate_endpoint *e =
        create("https://portal.example.com", GATE_ENDPOINT_FOREIGN, false, &status, &err);
    ck_assert_int_eq(status, GATE_OK);
    ck_assert_msg(e->public_only, "a foreign name must be checked again when it is resolved");
    gate_endpoint_release(e);
}
END_TEST

static bool is_private(const char *text)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in4.sin_addr) == 1)
        return gate_address_is_private((struct sockaddr *)&in4);
    ck_assert_int_eq(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return gate_address_is_private((struct sockaddr *)&in6);
}

START_TEST(test_private)
{
    static const char *const private_ones[] = {
        "0.0.0.0",
        "10.255.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.53",
        "169.254.1.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2001::1",
    };
    static const char *const public_ones[] = {
        "8.8.8.8",      "172.15.0.1",     "172.32.0.1",     "100.128.0.1",      "192.167.0.1",
        "2606:4700::1", "::ffff:8.8.8.8", "2002:808:808::", "64:ff9b::808:808",
    };
    for (size_t i = 0; i < sizeof private_ones / sizeof private_ones[0]; i++)
        ck_assert_msg(is_private(private_ones[i]), "%s", private_ones[i]);
    for (size_t i = 0; i < sizeof public_ones / sizeof public_ones[0]; i++)
        ck_assert_msg(!is_private(public_ones[i]), "%s", public_ones[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("upstream");
    TCase *tc = tcase_create("endpoints");
    tcase_add_test(tc, test_parts);
    tcase_add_test(tc, test_refused);
    tcase_add_test(tc, test_foreign);
    tcase_add_test(tc, test_private);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
