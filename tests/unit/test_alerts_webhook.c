/* The alert web hook: requests, retries, order, and what stays secret. */
#include "alerts_fixture.h"

enum { BACKOFF_MS = 4, TRIES = GATE_WEBHOOK_RETRIES + 1 };
#define SECRET "SECabc123"
/* An answer that ends with the connection. */
#define OK_BODY(body) "HTTP/1.1 200 OK\r\n\r\n" body
#define DINGTALK_OK OK_BODY("{\"errcode\":0,\"errmsg\":\"ok\"}")

static struct service service;
static struct gate_control *control;
static struct gate_config_alerts config;
static struct gate_webhook *hook;
static uint32_t retry_ms;
static int log_fd;

static const struct gate_notice sample = {
    .event = GATE_NOTICE_ALERT,
    .level = GATE_LOG_ERROR,
    .name = {"quota:qwen/0:chat", 17},
    .title = {"over <80 %> & \"rising\"", 22},
    .text = {"Add an account.", 15},
    .since_ms = 1700000000000,
    .at_ms = 1700000060000,
};

static void create(void *arg)
{
    struct gate_error err;
    (void)arg;
    ck_assert_int_eq(gate_webhook_create(&config, control, retry_ms, &hook, &err), GATE_OK);
}

static void destroy(void *arg)
{
    (void)arg;
    gate_webhook_destroy(hook);
    hook = NULL;
}

static void send_many(void *arg)
{
    size_t *range = arg;
    for (size_t i = range[0]; i < range[1]; i++) {
        char name[24];
        struct gate_notice n = sample;
        n.name = (struct gate_str){name, (size_t)snprintf(name, sizeof name, "n%zu", i)};
        gate_webhook_send(hook, &n);
    }
}

static void send_range(size_t from, size_t to)
{
    size_t range[2] = {from, to};
    gate_control_call(control, send_many, range);
}

static void setup(void)
{
    struct gate_error err;
    log_fd = log_open();
    service_start(&service);
    ck_assert_int_eq(gate_control_create(&control, &err), GATE_OK);
    config = (struct gate_config_alerts){.enabled = true, .webhook_url = service.url};
    retry_ms = FAST_MS;
}

static void start(enum gate_webhook_type type, char *secret)
{
    config.webhook_type = type;
    config.webhook_secret = secret;
    gate_control_call(control, create, NULL);
}

static void teardown(void)
{
    gate_control_call(control, destroy, NULL);
    gate_control_destroy(control);
    service_stop(&service);
    /* In no test. */
    static const char *const secrets[] = {"path-token", "query-token", "127.0.0.1", SECRET};
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        ck_assert_msg(log_count(log_fd, secrets[i]) == 0, "%s is in the log", secrets[i]);
    log_close(log_fd);
}

static void expect_name(size_t i, const char *name)
{
    char got[512];
    service_member(&service, i, "name", got);
    ck_assert_str_eq(got, name);
}

/* ---- requests */

START_TEST(addresses)
{
    static const struct {
        const char *rest, *target;
    } cases[] = {
        {"", "/"},
        {"/", "/"},
        {"?x=1", "/?x=1"},
        {"/a/b?x=1&y=%20", "/a/b?x=1&y=%20"},
        {"/a//b/../c/", "/a//b/../c/"},
    };
    size_t count = sizeof cases / sizeof cases[0];
    for (size_t i = 0; i < count; i++) {
        char url[128];
        snprintf(url, sizeof url, "HTTP://LocalHost:%u%s", service.server->port, cases[i].rest);
        config.webhook_url = url;
        start(GATE_WEBHOOK_GENERIC, NULL);
        send_range(i, i + 1);
        tiny_wait(service.server, &service.server->requests, i + 1);
        ck_assert_str_eq(service.targets[i], cases[i].target);
        gate_control_call(control, destroy, NULL);
    }
}
END_TEST

START_TEST(refused_addresses)
{
    static const char *const urls[] = {
        "",
        "hooks.slack.com/path-token",
        "ftp://h/path-token",
        "https://",
        "https://u:path-token@h/x",
        "https://h:99999/path-token",
        "http:///p",
        "https://h/path-token with space",
        "https://h/path-token\r\nX: y",
        "https://h b",
        "https://h/x#path-token",
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct gate_error err;
        char *url = gate_strdup(gate_str_of(urls[i]));
        config.webhook_url = url;
        ck_assert_msg(gate_webhook_create(&config, control, FAST_MS, &hook, &err) == GATE_EINVAL,
                      "taken: %s", url);
        ck_assert_ptr_nonnull(strstr(err.message, "ALERT_WEBHOOK_URL"));
        ck_assert_ptr_null(strstr(err.message, "path-token"));
        free(url);
    }
    hook = NULL;
}
END_TEST

/* The time of a DingTalk request's signature, which must be right for it. */
static uint64_t check_signature(const char *target)
{
    static const char before[] = "/hook/path-token?access_token=query-token&timestamp=";
    struct gate_buf expected;
    ck_assert_msg(strncmp(target, before, strlen(before)) == 0, "%s", target);
    uint64_t at_ms = strtoull(target + strlen(before), NULL, 10);
    gate_buf_init(&expected, 512);
    gate_message_sign_dingtalk(GATE_STR(SECRET), at_ms, &expected);
    gate_buf_append_byte(&expected, '\0');
    ck_assert_str_eq(target + strlen(before) - strlen("timestamp="), expected.ptr);
    gate_buf_finish(&expected);
    return at_ms;
}

START_TEST(dingtalk_is_signed_anew_for_each_try)
{
    service.success = DINGTALK_OK;
    service_fail(&service, 2,
                 OK_BODY("{\"errcode\":300001,\"errmsg\":\"token query-token of " SECRET
                         " at 127.0.0.1\"}"));
    retry_ms = BACKOFF_MS;
    uint64_t before = gate_clock_wall_ms();
    start(GATE_WEBHOOK_DINGTALK, (char[]){SECRET});
    send_range(0, 2);
    tiny_wait(service.server, &service.server->requests, 4);
    uint64_t last = before;
    for (size_t i = 0; i < 4; i++) {
        uint64_t at_ms = check_signature(service.targets[i]);
        ck_assert_uint_ge(at_ms, i == 0 || i == 3 ? last : last + (BACKOFF_MS << (i - 1)) - 1);
        last = at_ms;
    }
    ck_assert_ptr_nonnull(strstr(service.bodies[0], "\"msgtype\":\"markdown\""));
    ck_assert_str_eq(service.bodies[0], service.bodies[2]);
    ck_assert_uint_eq(log_count(log_fd, "will be tried again: DingTalk says 300001: token "
                                        "*********** of ********* at *********\n"),
                      1);
}
END_TEST

START_TEST(feishu_and_slack_arrive)
{
    service.success = OK_BODY("{\"code\":0}");
    start(GATE_WEBHOOK_FEISHU, (char[]){SECRET});
    send_range(0, 1);
    tiny_wait(service.server, &service.server->requests, 1);
    ck_assert_str_eq(service.targets[0], "/hook/path-token?access_token=query-token");
    ck_assert_ptr_nonnull(strstr(service.bodies[0], "\"sign\":\""));
    gate_control_call(control, destroy, NULL);
    start(GATE_WEBHOOK_SLACK, NULL);
    send_range(1, 2);
    tiny_wait(service.server, &service.server->requests, 2);
    ck_assert(strncmp(service.bodies[1], "{\"text\":\"[llm-gate] Alert: ", 26) == 0);
}
END_TEST

/* ---- retries and order */

START_TEST(tried_again_until_it_is_taken)
{
    service_fail(&service, GATE_WEBHOOK_RETRIES, NULL);
    retry_ms = BACKOFF_MS;
    start(GATE_WEBHOOK_GENERIC, NULL);
    send_range(0, 3);
    for (size_t i = 0; i < TRIES; i++)
        expect_name(i, "n0");
    expect_name(TRIES, "n1");
    expect_name(TRIES + 1, "n2");
    /* 4, 8, 16, 32 and 64 ms lie between the tries. */
    for (size_t i = 1; i < TRIES; i++)
        ck_assert_uint_ge(service.at_ms[i] - service.at_ms[i - 1] + 1, BACKOFF_MS << (i - 1));
    ck_assert_uint_eq(log_count(log_fd, "HTTP status 500"), 1);
    ck_assert_uint_eq(service_count(&service), TRIES + 2);
}
END_TEST

START_TEST(given_up_after_the_last_try)
{
    service_fail(&service, TRIES, "");
    start(GATE_WEBHOOK_GENERIC, NULL);
    send_range(0, 2);
    for (size_t i = 0; i < TRIES; i++)
        expect_name(i, "n0");
    expect_name(TRIES, "n1");
    ck_assert_uint_eq(log_count(log_fd, "did not take a notice after 6 tries: "), 1);
}
END_TEST

START_TEST(nobody_listens)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    getsockname(fd, (struct sockaddr *)&at, &len);
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/path-token", ntohs(at.sin_port));
    config.webhook_url = url;
    start(GATE_WEBHOOK_GENERIC, NULL);
    send_range(0, 1);
    while (log_count(log_fd, "after 6 tries") == 0)
        gate_control_call(control, nothing, NULL);
    ck_assert_uint_ge(log_count(log_fd, "to ********* port"), 1);
    close(fd);
}
END_TEST

START_TEST(the_oldest_make_room)
{
    service.hold = true;
    start(GATE_WEBHOOK_GENERIC, NULL);
    send_range(0, 1);
    tiny_wait(service.server, &service.server->requests, 1);
    send_range(1, 1 + GATE_WEBHOOK_MAX_WAITING + 3);
    ck_assert_uint_eq(log_count(log_fd, "too slow: 3 notices were dropped so far"), 1);
    tiny_release(service.server, 1);
    expect_name(0, "n0");
    for (size_t i = 1; i <= GATE_WEBHOOK_MAX_WAITING; i++) {
        char name[24];
        snprintf(name, sizeof name, "n%zu", i + 3);
        expect_name(i, name);
    }
    ck_assert_uint_eq(service_count(&service), GATE_WEBHOOK_MAX_WAITING + 1);
}
END_TEST

START_TEST(the_stop_waits_for_nobody)
{
    service.hold = true;
    start(GATE_WEBHOOK_GENERIC, NULL);
    send_range(0, 3);
    tiny_wait(service.server, &service.server->requests, 1);
    gate_control_call(control, destroy, NULL);
    tiny_wait(service.server, &service.server->left, 1);
    ck_assert_uint_eq(log_count(log_fd, "3 notices did not reach the alert web hook"), 1);
    /* Nor while it waits to try again. */
    service_fail(&service, 1, NULL);
    retry_ms = PLENTY_MS;
    start(GATE_WEBHOOK_GENERIC, NULL);
    send_range(3, 4);
    while (log_count(log_fd, "will be tried again") == 0)
        gate_control_call(control, nothing, NULL);
    gate_control_call(control, destroy, NULL);
    ck_assert_uint_eq(log_count(log_fd, "1 notices did not reach the alert web hook"), 1);
}
END_TEST

/* ---- tests of the web hook */

struct trial {
    struct ask ask; /* its lock and condition */
    struct gate_alerts *alerts;
    bool inside;
    char why[512];
};

static void on_trial(void *ctx, int status, const char *why)
{
    struct trial *t = ctx;
    ck_assert(!t->inside);
    pthread_mutex_lock(&t->ask.lock);
    t->ask.done++;
    t->ask.status = status;
    snprintf(t->why, sizeof t->why, "%s", why);
    pthread_cond_signal(&t->ask.changed);
    pthread_mutex_unlock(&t->ask.lock);
}

static void try_hook(void *arg)
{
    struct trial *t = arg;
    t->inside = true;
    if (t->alerts != NULL)
        gate_alerts_test(t->alerts, on_trial, t);
    else
        gate_webhook_test(hook, on_trial, t);
    t->inside = false;
}

static void trial_init(struct trial *t)
{
    memset(t, 0, sizeof *t);
    ask_init(&t->ask, control, NULL, "");
}

static void expect_trial(struct gate_alerts *alerts, int status, const char *why)
{
    struct trial t;
    trial_init(&t);
    t.alerts = alerts;
    gate_control_call(control, try_hook, &t);
    ask_wait(&t.ask);
    ck_assert_int_eq(t.ask.status, status);
    ck_assert_str_eq(t.why, why);
    ask_finish(&t.ask);
}

START_TEST(test_notices)
{
    char got[512];
    start(GATE_WEBHOOK_GENERIC, NULL);
    expect_trial(NULL, 200, "");
    service_member(&service, 0, "event", got);
    ck_assert_str_eq(got, "test");
    service_fail(&service, 1, NULL);
    expect_trial(NULL, 500, "HTTP status 500"); /* not tried again */
    gate_control_call(control, destroy, NULL);
    start(GATE_WEBHOOK_DINGTALK, NULL);
    service.success = OK_BODY("{\"errcode\":310000,\"errmsg\":\"path-token\"}");
    expect_trial(NULL, 200, "DingTalk says 310000: **********");
    ck_assert_uint_eq(service_count(&service), 3);
}
END_TEST

START_TEST(too_many_tests_and_the_stop)
{
    struct trial running[GATE_WEBHOOK_MAX_TESTS];
    start(GATE_WEBHOOK_GENERIC, NULL);
    for (size_t i = 0; i < GATE_WEBHOOK_MAX_TESTS; i++) {
        trial_init(&running[i]);
        pthread_mutex_lock(&service.server->lock);
        service.hold = true;
        pthread_mutex_unlock(&service.server->lock);
        gate_control_call(control, try_hook, &running[i]);
        tiny_wait(service.server, &service.server->requests, i + 1);
    }
    expect_trial(NULL, 0, "too many tests are running");
    gate_control_call(control, destroy, NULL);
    for (size_t i = 0; i < GATE_WEBHOOK_MAX_TESTS; i++) {
        ck_assert_uint_eq(running[i].ask.done, 1);
        ck_assert_int_eq(running[i].ask.status, 0);
        ck_assert_str_eq(running[i].why, "the gateway is stopping");
        ask_finish(&running[i].ask);
    }
}
END_TEST

static void create_alerts(void *arg)
{
    struct gate_config bare = {.alerts.enabled = true};
    struct gate_error err;
    ck_assert_int_eq(gate_alerts_create(&bare, control, NULL, arg, &err), GATE_OK);
}

static void destroy_alerts(void *arg)
{
    gate_alerts_destroy(arg);
}

START_TEST(a_test_without_a_web_hook)
{
    struct gate_alerts *alerts;
    gate_control_call(control, create_alerts, &alerts);
    expect_trial(alerts, 0, "ALERT_WEBHOOK_URL is not set");
    gate_control_call(control, destroy_alerts, alerts);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("alerts_webhook");
    TCase *tc = tcase_create("web hook");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, addresses);
    tcase_add_test(tc, refused_addresses);
    tcase_add_test(tc, dingtalk_is_signed_anew_for_each_try);
    tcase_add_test(tc, feishu_and_slack_arrive);
    tcase_add_test(tc, tried_again_until_it_is_taken);
    tcase_add_test(tc, given_up_after_the_last_try);
    tcase_add_test(tc, nobody_listens);
    tcase_add_test(tc, the_oldest_make_room);
    tcase_add_test(tc, the_stop_waits_for_nobody);
    tcase_add_test(tc, test_notices);
    tcase_add_test(tc, too_many_tests_and_the_stop);
    tcase_add_test(tc, a_test_without_a_web_hook);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
