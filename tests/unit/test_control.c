/* The control thread's HTTP client against a real server: requests as they arrive there, answers,
 * and everything that can go wrong. */
#include "control_fixture.h"
#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>

enum { MAX_ANSWER = GATE_CONTROL_MAX_ANSWER, SHORT_MS = 60 };

static struct gate_control *control;
static struct tiny_http *server;
static struct gate_endpoint *endpoint;

/* ---- the server's side */

static void answer_length(struct gate_buf *out, size_t length)
{
    gate_buf_printf(out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
    memset(gate_buf_reserve(out, length), 'x', length);
    out->len += length;
}

static void answer_headers(struct gate_buf *out, size_t count, size_t length)
{
    gate_buf_printf(out, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (size_t i = 1; i < count; i++) {
        gate_buf_printf(out, "X-%zu: ", i);
        memset(gate_buf_reserve(out, length), 'v', length);
        out->len += length;
        gate_buf_printf(out, "\r\n");
    }
    gate_buf_printf(out, "\r\n");
}

static enum tiny_end serve(void *ctx, const struct tiny_request *r, struct gate_buf *out)
{
    (void)ctx;
    static const struct {
        const char *target, *answer;
    } fixed[] = {
        {"/base/redirect",
         "HTTP/1.1 302 Found\r\nLocation: /base/echo\r\nContent-Length: 0\r\n\r\n"},
        {"/base/missing", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"},
        {"/base/empty", "HTTP/1.1 204 No Content\r\nX-A:\r\n\r\n"},
        {"/base/close", ""},
        {"/base/garbage", "220 smtp.example ready\r\n"},
        {"/base/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"},
        {"/base/gzip",
         "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08"},
        {"/base/interim",
         "HTTP/1.1 103 Early Hints\r\nX-Interim: 1\r\n\r\nHTTP/1.1 201 Created\r\nX-Real:  a b  "
         "\r\n"
         "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (gate_str_eq(r->target, gate_str_of(fixed[i].target))) {
            gate_buf_append(out, gate_str_of(fixed[i].answer));
            return TINY_CLOSE;
        }
    if (gate_str_eq(r->target, GATE_STR("/base/hang")))
        return TINY_HOLD;
    if (gate_str_eq(r->target, GATE_STR("/base/keep"))) {
        gate_buf_append(out, GATE_STR("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nkept"));
        return TINY_KEEP;
    }
    if (gate_str_eq(r->target, GATE_STR("/base/head"))) {
        gate_buf_printf(out, "HTTP/1.1 200 OK\r\n\r\n%.*s%zu bytes, ends with %c",
                        (int)(r->text.len - r->body.len), r->text.ptr, r->body.len,
                        r->body.ptr[r->body.len - 1]);
        return TINY_CLOSE;
    }
    if (gate_str_eq(r->target, GATE_STR("/base/trickle"))) {
        gate_buf_append(out, GATE_STR("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"));
        return TINY_HOLD;
    }
    if (gate_str_eq(r->target, GATE_STR("/base/full")))
        answer_length(out, MAX_ANSWER);
    else if (gate_str_eq(r->target, GATE_STR("/base/over")))
        answer_length(out, MAX_ANSWER + 1);
    else if (gate_str_eq(r->target, GATE_STR("/base/headers")))
        answer_headers(out, GATE_UPSTREAM_MAX_HEADERS, 10);
    else if (gate_str_eq(r->target, GATE_STR("/base/many-headers")))
        answer_headers(out, GATE_UPSTREAM_MAX_HEADERS + 1, 10);
    else if (gate_str_eq(r->target, GATE_STR("/base/large-head")))
        answer_headers(out, 17, 4096);
    else {
        gate_buf_printf(out, "HTTP/1.1 200 OK\r\nX-Mixed-CASE: Yes\r\nContent-Length: %zu\r\n\r\n",
                        r->text.len);
        gate_buf_append(out, r->text);
    }
    return TINY_CLOSE;
}

static void setup(void)
{
    struct gate_error err;
    ck_assert_int_eq(gate_control_create(&control, &err), GATE_OK);
    server = tiny_start(serve, NULL);
    endpoint = endpoint_of("http", "127.0.0.1", server->port);
}

static void teardown(void)
{
    gate_control_destroy(control);
    tiny_stop(server);
    gate_endpoint_release(endpoint);
}

/* The transport fails, with a reason that holds `text`. */
static void expect_failure(struct gate_endpoint *to, const char *path, uint32_t timeout_ms,
                           const char *text)
{
    struct ask a;
    ask_init(&a, control, to, path);
    a.timeout_ms = timeout_ms;
    ask_run(&a);
    ck_assert_msg(a.status == 0, "%s: status %d", path, a.status);
    ck_assert_msg(strstr(a.reason, text) != NULL, "%s: \"%s\"", path, a.reason);
    ck_assert_uint_eq(a.header_count, 0);
    ck_assert_uint_eq(a.body_got.len, 0);
    ask_finish(&a);
}

/* ---- requests */

START_TEST(get_as_it_arrives)
{
    struct ask a;
    char line[64];
    ask_init(&a, control, endpoint, "/echo/../up?q=1&r=%20#not-cut");
    a.lines = "Authorization: Bearer key:with:colons\r\nX-Block:  2\r\nX-None:\r\n";
    ask_run(&a);
    ck_assert_int_eq(a.status, 200);
    ck_holds(&a.body_got, "GET /base/echo/../up?q=1&r=%20#not-cut HTTP/1.1\r\n");
    snprintf(line, sizeof line, "Host: 127.0.0.1:%u\r\n", server->port);
    ck_holds(&a.body_got, line);
    ck_holds(&a.body_got, "\r\nAuthorization: Bearer key:with:colons\r\n");
    ck_holds(&a.body_got, "\r\nX-Block:  2\r\n");
    ck_holds(&a.body_got, "\r\nX-None:\r\n");
    ck_holds(&a.body_got, "\r\nX-Own: own value\r\n");
    ck_holds(&a.body_got, "\r\nX-Empty:\r\n");
    ck_assert(!holds(&a.body_got, "Expect"));
    ck_assert(!holds(&a.body_got, "Accept-Encoding"));
    ck_assert(!holds(&a.body_got, "Content-Length"));
    ck_holds(&a.headers, "x-mixed-case: Yes\n");
    ck_assert_str_eq(a.reason, "");
    ask_finish(&a);
}
END_TEST

START_TEST(post_as_it_arrives)
{
    struct ask a;
    size_t len = 2 << 20; /* curl would ask for a 100 Continue */
    char *body = gate_alloc(len + 1);
    memset(body, 'b', len);
    memcpy(body + len - 1, "e", 2);
    ask_init(&a, control, endpoint, "/head");
    a.body = body;
    ask_run(&a);
    ck_assert_int_eq(a.status, 200);
    ck_holds(&a.body_got, "POST /base/head HTTP/1.1\r\n");
    ck_holds(&a.body_got, "\r\nContent-Length: 2097152\r\n");
    ck_holds(&a.body_got, "\r\ncontent-type: application/json\r\n");
    ck_assert(!holds(&a.body_got, "Expect"));
    ck_holds(&a.body_got, "\r\n\r\n2097152 bytes, ends with e");
    ask_finish(&a);
    free(body);
}
END_TEST

/* The body is made of pieces of the original and of replacements. */
static void send_edited(void *arg)
{
    struct ask *a = arg;
    struct gate_builder b;
    struct gate_built built;
    struct gate_error err;
    gate_builder_init(&b, GATE_STR("{\"a\":1,\"b\":2}"), &built);
    b.ops.endpoint(&b, a->endpoint);
    b.ops.replace(&b, 5, 1, GATE_STR("100"));
    b.ops.replace(&b, 11, 1, GATE_STR(""));
    ck_assert_int_eq(gate_builder_end(&b, GATE_STR("/echo"), "the test", &err), GATE_OK);
    gate_control_send(a->control, &built, a->timeout_ms, on_answer, a);
    gate_built_finish(&built);
}

START_TEST(edited_body)
{
    struct ask a;
    ask_init(&a, control, endpoint, "");
    gate_control_post(control, send_edited, &a);
    ask_wait(&a);
    ck_holds(&a.body_got, "\r\nContent-Length: 14\r\n");
    ck_holds(&a.body_got, "\r\n\r\n{\"a\":100,\"b\":}");
    ask_finish(&a);
}
END_TEST

START_TEST(environment_proxies_are_not_used)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"};
    for (size_t i = 0; i < 4; i++)
        setenv(names[i], "http://127.0.0.1:9", 1);
    struct ask a;
    ask_init(&a, control, endpoint, "/echo");
    ask_run(&a);
    for (size_t i = 0; i < 4; i++)
        unsetenv(names[i]);
    ck_assert_int_eq(a.status, 200);
    ck_holds(&a.body_got, "GET /base/echo HTTP/1.1\r\n");
    ask_finish(&a);
}
END_TEST

/* ---- answers */

static void expect_answer(const char *path, int status, size_t body_len, const char *headers)
{
    struct ask a;
    ask_init(&a, control, endpoint, path);
    ask_run(&a);
    ck_assert_msg(a.status == status, "%s: %d %s", path, a.status, a.reason);
    ck_assert_uint_eq(a.body_got.len, body_len);
    if (headers != NULL) {
        ck_assert_uint_eq(a.headers.len, strlen(headers));
        ck_assert(memcmp(a.headers.ptr, headers, a.headers.len) == 0);
    }
    ask_finish(&a);
}

START_TEST(answers)
{
    expect_answer("/missing", 404, 4, "content-length: 4\n");
    expect_answer("/empty", 204, 0, "x-a: \n");
    expect_answer("/interim", 201, 3, "x-real: a b\ntransfer-encoding: chunked\n");
    expect_answer("/gzip", 200, 3, "content-encoding: gzip\ncontent-length: 3\n");
    expect_answer("/full", 200, MAX_ANSWER, NULL);
    expect_answer("/headers", 200, 0, NULL);
}
END_TEST

START_TEST(redirect_is_not_followed)
{
    expect_answer("/redirect", 302, 0, "location: /base/echo\ncontent-length: 0\n");
    ck_assert_uint_eq(tiny_read_number(server, &server->requests), 1);
}
END_TEST

START_TEST(answers_that_are_refused)
{
    expect_failure(endpoint, "/over", PLENTY_MS, "larger than 1 MiB");
    expect_failure(endpoint, "/many-headers", PLENTY_MS, "too many headers");
    expect_failure(endpoint, "/large-head", PLENTY_MS, "head is too large");
    expect_failure(endpoint, "/close", PLENTY_MS, "");
    expect_failure(endpoint, "/garbage", PLENTY_MS, "");
    expect_failure(endpoint, "/cut", PLENTY_MS, "");
    ck_assert_uint_eq(tiny_read_number(server, &server->requests), 6); /* nothing was repeated */
}
END_TEST

START_TEST(each_call_has_its_own_connection)
{
    for (size_t i = 0; i < 3; i++) {
        expect_answer("/keep", 200, 4, NULL);
        tiny_wait(server, &server->left, i + 1);
    }
    ck_assert_uint_eq(tiny_read_number(server, &server->accepted), 3);
}
END_TEST

/* ---- what fails */

START_TEST(refused_connection)
{
    /* A port that is bound but does not listen belongs to nobody else. */
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    getsockname(fd, (struct sockaddr *)&at, &len);
    struct gate_endpoint *closed = endpoint_of("http", "127.0.0.1", ntohs(at.sin_port));
    expect_failure(closed, "/", PLENTY_MS, "onnect");
    gate_endpoint_release(closed);
    close(fd);
}
END_TEST

static void expect_timeout(const char *path)
{
    uint64_t start = gate_clock_mono_ms();
    expect_failure(endpoint, path, SHORT_MS, "no answer within 60 ms");
    uint64_t took = gate_clock_mono_ms() - start;
    ck_assert_uint_ge(took, SHORT_MS);
    ck_assert_uint_lt(took, PLENTY_MS / 2);
}

START_TEST(timeouts)
{
    expect_timeout("/hang");
    expect_timeout("/trickle");
    tiny_wait(server, &server->left, 2);
}
END_TEST

START_TEST(private_addresses)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", "inside.test"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct gate_endpoint *e = endpoint_of("http", hosts[i], server->port);
        e->public_only = true;
        expect_failure(e, "/echo", PLENTY_MS, "an address that is not public");
        gate_endpoint_release(e);
    }
    ck_assert_uint_eq(tiny_read_number(server, &server->accepted), 0);
    /* Nor by a connection that an unguarded call has made. */
    expect_answer("/keep", 200, 4, NULL);
    endpoint->public_only = true;
    expect_failure(endpoint, "/echo", PLENTY_MS, "an address that is not public");
}
END_TEST

/* curl resolves on threads of its own by this function. */
static sem_t slow_dns;
static _Atomic unsigned slow_lookups;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    typedef int (*lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    union {
        void *address;
        lookup call;
    } real = {.address = dlsym(RTLD_NEXT, "getaddrinfo")};
    if (strcmp(node, "slow.test") == 0) {
        slow_lookups++;
        while (sem_wait(&slow_dns) != 0)
            ;
        return EAI_AGAIN;
    }
    return real.call(strcmp(node, "inside.test") == 0 ? "10.1.2.3" : node, service, hints, out);
}

START_TEST(slow_name_server_holds_nobody_up)
{
    sem_init(&slow_dns, 0, 0);
    struct gate_endpoint *slow = endpoint_of("http", "slow.test", 80);
    struct ask waiting;
    ask_init(&waiting, control, slow, "/");
    gate_control_call(control, ask_send, &waiting);
    expect_failure(slow, "/", SHORT_MS, "no answer within 60 ms");
    expect_answer("/missing", 404, 4, NULL);
    ck_assert_uint_eq(slow_lookups, 2);
    gate_control_destroy(control); /* with the first one still asking */
    control = NULL;
    ck_assert_uint_eq(waiting.done, 0);
    ask_finish(&waiting);
    sem_post(&slow_dns);
    sem_post(&slow_dns);
    gate_endpoint_release(slow);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control");
    TCase *tc = tcase_create("calls");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, get_as_it_arrives);
    tcase_add_test(tc, post_as_it_arrives);
    tcase_add_test(tc, edited_body);
    tcase_add_test(tc, environment_proxies_are_not_used);
    tcase_add_test(tc, answers);
    tcase_add_test(tc, redirect_is_not_followed);
    tcase_add_test(tc, answers_that_are_refused);
    tcase_add_test(tc, each_call_has_its_own_connection);
    tcase_add_test(tc, refused_connection);
    tcase_add_test(tc, timeouts);
    tcase_add_test(tc, private_addresses);
    tcase_add_test(tc, slow_name_server_holds_nobody_up);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
