/* Alerts: what is told, what is not told twice, and what survives a restart. */
#include "alerts_fixture.h"
#include "memory_storage.h"

enum { MINUTE = 60000, START = 1700000000 };
#define AT(minute) ((uint64_t)START * 1000 + (uint64_t)(minute)*MINUTE)

static struct service service;
static struct memory_storage memory;
static struct gate_value value;
static struct gate_store *store;
static struct gate_control *control;
static struct gate_config config;
static struct gate_alerts *alerts;
static int log_fd;

static void create(void *arg)
{
    struct gate_error err;
    (void)arg;
    ck_assert_int_eq(gate_alerts_create_with(&config, control, store, FAST_MS, &alerts, &err),
                     GATE_OK);
}

static void destroy(void *arg)
{
    (void)arg;
    gate_alerts_destroy(alerts);
    alerts = NULL;
}

static void start(void)
{
    struct gate_error err;
    value = memory_storage_value(&memory);
    ck_assert_int_eq(gate_store_open(&memory_storage_plugin, &value, "memory", 0, &store, &err),
                     GATE_OK);
    gate_control_call(control, create, NULL);
}

static void stop(void)
{
    gate_control_call(control, destroy, NULL);
    gate_store_close(store);
    store = NULL;
}

static void setup(void)
{
    struct gate_error err;
    log_fd = log_open();
    service_start(&service);
    memory_storage_init(&memory);
    ck_assert_int_eq(gate_control_create(&control, &err), GATE_OK);
    memset(&config, 0, sizeof config);
    config.alerts.enabled = true;
    config.alerts.webhook_url = service.url;
    start();
}

static void teardown(void)
{
    stop();
    gate_control_destroy(control);
    memory_storage_finish(&memory);
    service_stop(&service);
    log_close(log_fd);
}

/* ---- checks: the names of what is wrong, parted by blanks */

struct check {
    const char *names;
    const char *title, *text; /* NULL: made of the name */
    enum gate_log_level level;
    uint64_t now_ms;
};

static const struct gate_alert_value values[] = {
    {"why", {"say \"no\"", 8}, 0},
    {"percent", {NULL, 0}, 93},
};

static void run_coded(void *arg)
{
    const struct gate_alert alert = {
        .name = GATE_STR("q"),
        .level = GATE_LOG_WARN,
        .title = GATE_STR("t"),
        .text = GATE_STR("x"),
        .code = "quota_used",
        .values = values,
        .value_count = 2,
    };
    (void)arg;
    gate_alerts_begin(alerts);
    gate_alerts_add(alerts, &alert);
    gate_alerts_end(alerts, AT(1));
}

static void run_check(void *arg)
{
    struct check *c = arg;
    gate_alerts_begin(alerts);
    for (const char *p = c->names; *p != '\0';) {
        size_t len = strcspn(p, " ");
        char title[64], text[64];
        snprintf(title, sizeof title, "title of %.*s", (int)len, p);
        snprintf(text, sizeof text, "text of %.*s", (int)len, p);
        struct gate_alert alert = {
            .name = {p, len},
            .level = c->level,
            .title = gate_str_of(c->title != NULL ? c->title : title),
            .text = gate_str_of(c->text != NULL ? c->text : text),
        };
        gate_alerts_add(alerts, &alert);
        p += len + (p[len] == ' ');
    }
    gate_alerts_end(alerts, c->now_ms);
}

static void check(const char *names, int minute)
{
    struct check c = {.names = names, .level = GATE_LOG_WARN, .now_ms = AT(minute)};
    gate_control_call(control, run_check, &c);
}

static void nothing_to_store(struct gate_storage *s, void *arg)
{
    (void)s;
    (void)arg;
}

/* All notices so far, in order: "alert a", "recovery a". A further one stands at the end: had
 * another been made before it, it would have come before it. */
static void expect_notices(const char *const *expected, const char *still, int minute)
{
    char names[256], event[512], name[512], got[1100];
    snprintf(names, sizeof names, "%s%smarker", still, still[0] != '\0' ? " " : "");
    check(names, minute);
    size_t i = 0;
    for (; expected[i] != NULL; i++) {
        service_member(&service, i, "event", event);
        service_member(&service, i, "name", name);
        snprintf(got, sizeof got, "%s %s", event, name);
        ck_assert_str_eq(got, expected[i]);
    }
    service_member(&service, i, "name", name);
    ck_assert_str_eq(name, "marker");
}

#define EXPECT_NOTICES(still, minute, ...)                                                         \
    expect_notices((const char *const[]){__VA_ARGS__, NULL}, (still), (minute))

static void write_json(void *arg)
{
    gate_alerts_json(alerts, arg);
}

static void expect_json(const char *expected)
{
    struct gate_buf json;
    gate_buf_init(&json, 1 << 20);
    gate_control_call(control, write_json, &json);
    gate_buf_append_byte(&json, '\0');
    ck_assert_str_eq(json.ptr, expected);
    gate_buf_finish(&json);
}

static void expect_record(const char *name, const char *expected)
{
    char key[64];
    gate_store_call(store, nothing_to_store, NULL);
    snprintf(key, sizeof key, GATE_KEY_ALERT "%s", name);
    char *got = memory_storage_read(&memory, key, NULL);
    if (expected == NULL)
        ck_assert_ptr_null(got);
    else
        ck_assert_str_eq(got, expected);
    free(got);
}

/* ---- */

START_TEST(code_and_values_are_for_other_languages)
{
    gate_control_call(control, run_coded, NULL);
    expect_json("[{\"name\":\"q\",\"level\":\"warn\",\"title\":\"t\",\"text\":\"x\",\"code\":"
                "\"quota_used\","
                "\"values\":{\"why\":\"say \\\"no\\\"\",\"percent\":93},\"since\":1700000060000}]");
    check("q", 2);
    expect_json("[{\"name\":\"q\",\"level\":\"warn\",\"title\":\"title of q\",\"text\":\"text of "
                "q\",\"code\":null,"
                "\"values\":{},\"since\":1700000060000}]");
}
END_TEST

START_TEST(told_once_and_recovered_once)
{
    char text[512];
    check("", 0);
    check("a", 1);
    expect_json("[{\"name\":\"a\",\"level\":\"warn\",\"title\":\"title of a\",\"text\":\"text of "
                "a\",\"code\":null,\"values\":{},\"since\":1700000060000}]");
    expect_record("a", "{\"since\":1700000060000,\"level\":\"warn\",\"title\":\"title of a\"}");
    ck_assert_uint_eq(log_count(log_fd, "WARN alert: title of a: text of a\n"), 1);
    check("a", 2);
    check("a", 3);
    check("", 64);
    expect_json("[]");
    expect_record("a", NULL);
    ck_assert_uint_eq(log_count(log_fd, "INFO recovered after 1 h 3 min: title of a\n"), 1);
    check("", 65);
    check("a", 66);
    EXPECT_NOTICES("a", 67, "alert a", "recovery a", "alert a");
    service_member(&service, 1, "text", text);
    ck_assert_str_eq(text, "It is over after 1 h 3 min.");
    service_member(&service, 1, "since", text);
    ck_assert_str_eq(text, "1700000060000");
    service_member(&service, 2, "since", text);
    ck_assert_str_eq(text, "1700003960000");
    ck_assert_uint_eq(log_count(log_fd, "alert: title of a"), 2);
}
END_TEST

START_TEST(a_restart_repeats_nothing)
{
    check("a b", 0);
    tiny_wait(service.server, &service.server->requests, 2);
    for (int i = 1; i < 4; i++) {
        stop();
        start();
        check("b a", i);
    }
    expect_json(
        "[{\"name\":\"a\",\"level\":\"warn\",\"title\":\"title of a\",\"text\":\"text of "
        "a\",\"code\":null,\"values\":{},\"since\":1700000000000},{\"name\":\"b\",\"level\":"
        "\"warn\",\"title\":\"title "
        "of b\",\"text\":\"text of b\",\"code\":null,\"values\":{},\"since\":1700000000000}]");
    EXPECT_NOTICES("a b", 5, "alert a", "alert b");
    ck_assert_uint_eq(log_count(log_fd, "alert: title of"), 3);
}
END_TEST

START_TEST(a_recovery_while_stopped_is_told)
{
    check("a b", 0);
    tiny_wait(service.server, &service.server->requests, 2);
    stop();
    start();
    expect_json("[{\"name\":\"a\",\"level\":\"warn\",\"title\":\"title of a\",\"text\":\"\","
                "\"code\":null,\"values\":{},\"since\":1700000000000},{\"name\":\"b\",\"level\":"
                "\"warn\",\"title\":\"title of "
                "b\",\"text\":\"\",\"code\":null,\"values\":{},\"since\":1700000000000}]");
    check("b", 3 * 24 * 60);
    EXPECT_NOTICES("b", 3 * 24 * 60 + 1, "alert a", "alert b", "recovery a");
    ck_assert_uint_eq(log_count(log_fd, "recovered after 3 d 0 h: title of a\n"), 1);
    expect_record("a", NULL);
    stop();
    start();
    check("b marker", 3 * 24 * 60 + 2);
    ck_assert_uint_eq(log_count(log_fd, "recovered"), 1);
}
END_TEST

START_TEST(switched_off_only_the_console_knows)
{
    check("old", 0);
    tiny_wait(service.server, &service.server->requests, 1);
    stop();
    config.alerts.enabled = false;
    start();
    check("new", 1);
    expect_json("[{\"name\":\"new\",\"level\":\"warn\",\"title\":\"title of new\",\"text\":\"text "
                "of new\",\"code\":null,\"values\":{},\"since\":1700000060000}]");
    check("", 2);
    expect_json("[]");
    check("new", 3);
    expect_record("new", NULL);
    ck_assert_uint_eq(log_count(log_fd, "recovered"), 0);
    ck_assert_uint_eq(log_count(log_fd, "title of new"), 0);
    stop();
    config.alerts.enabled = true;
    start();
    check("new", 4);
    ck_assert_uint_eq(log_count(log_fd, "title of new"), 1);
    ck_assert_uint_eq(log_count(log_fd, "recovered after 4 min: title of old"), 1);
    tiny_wait(service.server, &service.server->requests, 3);
    char event[512], name[512];
    service_member(&service, 1, "event", event);
    service_member(&service, 1, "name", name);
    ck_assert_str_eq(event, "recovery");
    ck_assert_str_eq(name, "old");
    service_member(&service, 2, "name", name);
    ck_assert_str_eq(name, "new");
}
END_TEST

START_TEST(failed_writes_are_made_up_for)
{
    memory_storage_set_mode(&memory, MEMORY_STORAGE_FAIL_WRITES);
    check("a", 0);
    expect_record("a", NULL);
    check("a", 1);
    expect_record("a", NULL);
    memory_storage_set_mode(&memory, MEMORY_STORAGE_WELL);
    check("a", 2);
    expect_record("a", "{\"since\":1700000000000,\"level\":\"warn\",\"title\":\"title of a\"}");
    memory_storage_set_mode(&memory, MEMORY_STORAGE_FAIL_WRITES);
    check("", 3);
    expect_json("[]");
    expect_record("a", "{\"since\":1700000000000,\"level\":\"warn\",\"title\":\"title of a\"}");
    memory_storage_set_mode(&memory, MEMORY_STORAGE_WELL);
    check("", 4);
    expect_record("a", NULL);
    /* A removal that fails is forgotten when the alert comes back. */
    check("a", 5);
    memory_storage_set_mode(&memory, MEMORY_STORAGE_FAIL_WRITES);
    check("", 6);
    gate_store_call(store, nothing_to_store, NULL);
    memory_storage_set_mode(&memory, MEMORY_STORAGE_WELL);
    check("a", 7);
    expect_record("a", "{\"since\":1700000420000,\"level\":\"warn\",\"title\":\"title of a\"}");
    EXPECT_NOTICES("a", 8, "alert a", "recovery a", "alert a", "recovery a", "alert a");
}
END_TEST

START_TEST(without_a_change_nothing_is_written)
{
    check("a", 0);
    gate_store_call(store, nothing_to_store, NULL);
    uint64_t writes = memory_storage_numbers(&memory).writes;
    check("a", 1);
    check("a", 2);
    gate_store_call(store, nothing_to_store, NULL);
    ck_assert_uint_eq(memory_storage_numbers(&memory).writes, writes);
}
END_TEST

START_TEST(new_words_are_no_new_alert)
{
    struct check c = {"a", "worse \"now\"", "other\nadvice", GATE_LOG_ERROR, AT(1)};
    check("a", 0);
    gate_control_call(control, run_check, &c);
    expect_json("[{\"name\":\"a\",\"level\":\"error\",\"title\":\"worse \\\"now\\\"\",\"text\":"
                "\"other\\nadvice\",\"code\":null,\"values\":{},\"since\":1700000000000}]");
    expect_record("a", "{\"since\":1700000000000,\"level\":\"error\",\"title\":\"worse "
                       "\\\"now\\\"\"}");
    stop();
    start();
    gate_control_call(control, run_check, &c);
    ck_assert_uint_eq(log_count(log_fd, "alert: "), 1);
    check("", 2);
    ck_assert_uint_eq(log_count(log_fd, "recovered after 2 min: worse"), 1);
}
END_TEST

START_TEST(twice_in_a_check_is_once)
{
    check("a a", 0);
    check("a", 1);
    EXPECT_NOTICES("a", 2, "alert a");
}
END_TEST

START_TEST(long_words_are_cut_between_characters)
{
    char title[1000], got[512];
    for (size_t i = 0; i < 999; i += 3)
        memcpy(title + i, "\xe4\xbd\xa0", 3);
    title[999] = '\0';
    struct check c = {"a", title, title, GATE_LOG_ERROR, AT(0)};
    gate_control_call(control, run_check, &c);
    service_member(&service, 0, "title", got);
    ck_assert_uint_eq(strlen(got), GATE_ALERTS_MAX_TITLE / 3 * 3);
    ck_assert(memcmp(got, title, strlen(got)) == 0);
    ck_assert_uint_eq(log_count(log_fd, "ERROR alert: "), 1);
}
END_TEST

START_TEST(more_than_there_is_room_for)
{
    struct gate_buf list;
    gate_buf_init(&list, 1 << 20);
    for (int i = 0; i < GATE_ALERTS_MAX + 5; i++)
        gate_buf_printf(&list, "%sn%d", i > 0 ? " " : "", i);
    gate_buf_append_byte(&list, '\0');
    check(list.ptr, 0);
    check(list.ptr, 1);
    ck_assert_uint_eq(log_count(log_fd, "more than 1024 alerts are active: 5 are left out"), 1);
    ck_assert_uint_eq(log_count(log_fd, "alert: title of n"), GATE_ALERTS_MAX);
    gate_store_call(store, nothing_to_store, NULL);
    ck_assert_uint_eq(memory_storage_count(&memory, GATE_KEY_ALERT), GATE_ALERTS_MAX);
    stop();
    start();
    check(list.ptr, 2);
    ck_assert_uint_eq(log_count(log_fd, "alert: title of n"), GATE_ALERTS_MAX);
    check("", 3);
    ck_assert_uint_eq(log_count(log_fd, "recovered after"), GATE_ALERTS_MAX);
    gate_store_call(store, nothing_to_store, NULL);
    ck_assert_uint_eq(memory_storage_count(&memory, GATE_KEY_ALERT), 0);
    gate_buf_finish(&list);
}
END_TEST

START_TEST(damaged_records_are_replaced)
{
    stop();
    memory_storage_write(&memory, GATE_KEY_ALERT "a", GATE_STR("{\"since\":12"));
    memory_storage_write(&memory, GATE_KEY_ALERT "b", GATE_STR("{\"since\":\"x\"}"));
    memory_storage_write(&memory, GATE_KEY_ALERT "c",
                         GATE_STR("{\"since\":0,\"level\":\"warn\",\"title\":\"t\"}"));
    memory_storage_write(&memory, GATE_KEY_ALERT "d",
                         GATE_STR("{\"since\":5,\"level\":\"error\",\"title\":\"t\"}"));
    start();
    ck_assert_uint_eq(log_count(log_fd, "is damaged and will be replaced"), 3);
    expect_json("[{\"name\":\"d\",\"level\":\"error\",\"title\":\"t\",\"text\":\"\",\"code\":null,"
                "\"values\":{},\"since\":5}]");
    check("a", 0);
    expect_record("a", "{\"since\":1700000000000,\"level\":\"warn\",\"title\":\"title of a\"}");
    expect_record("d", NULL);
}
END_TEST

START_TEST(without_storage_and_web_hook)
{
    stop();
    config.alerts.webhook_url = NULL;
    gate_control_call(control, create, NULL);
    check("a", 0);
    check("", 1);
    expect_json("[]");
    ck_assert_uint_eq(log_count(log_fd, "alert: title of a"), 1);
    ck_assert_uint_eq(log_count(log_fd, "recovered after 1 min"), 1);
    gate_control_call(control, destroy, NULL);
    start();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("alerts");
    TCase *tc = tcase_create("checks");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, code_and_values_are_for_other_languages);
    tcase_add_test(tc, told_once_and_recovered_once);
    tcase_add_test(tc, a_restart_repeats_nothing);
    tcase_add_test(tc, a_recovery_while_stopped_is_told);
    tcase_add_test(tc, switched_off_only_the_console_knows);
    tcase_add_test(tc, failed_writes_are_made_up_for);
    tcase_add_test(tc, without_a_change_nothing_is_written);
    tcase_add_test(tc, new_words_are_no_new_alert);
    tcase_add_test(tc, twice_in_a_check_is_once);
    tcase_add_test(tc, long_words_are_cut_between_characters);
    tcase_add_test(tc, more_than_there_is_room_for);
    tcase_add_test(tc, damaged_records_are_replaced);
    tcase_add_test(tc, without_storage_and_web_hook);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
