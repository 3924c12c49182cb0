#include "base/log.h"
#include <check.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

enum { OUTPUT_MAX = 1 << 20 };

/* A file that lines go to, read back whole. */
struct capture {
    FILE *file;
    char *text;
};

static struct capture capture_start(enum gate_log_level level, enum gate_log_format format)
{
    struct capture c = {tmpfile(), malloc(OUTPUT_MAX)};
    ck_assert_ptr_nonnull(c.file);
    ck_assert_ptr_nonnull(c.text);
    gate_log_setup(level, format, fileno(c.file));
    return c;
}

static const char *capture_read(struct capture *c)
{
    ssize_t n = pread(fileno(c->file), c->text, OUTPUT_MAX - 1, 0);
    ck_assert_int_ge(n, 0);
    c->text[n] = '\0';
    return c->text;
}

static void capture_end(struct capture *c)
{
    gate_log_setup(GATE_LOG_INFO, GATE_LOG_TEXT, STDERR_FILENO);
    fclose(c->file);
    free(c->text);
}

static size_t count(const char *text, char c)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == c;
    return n;
}

/* "2026-01-02T03:04:05.678Z " in front; returns what follows. */
static const char *after_time(const char *line)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
    for (size_t i = 0; i < sizeof shape - 1; i++) {
        if (shape[i] == 'd')
            ck_assert_msg(line[i] >= '0' && line[i] <= '9', "no time: %s", line);
        else
            ck_assert_msg(line[i] == shape[i], "no time: %s", line);
    }
    return line + sizeof shape - 1;
}

static struct gate_log_request sample(void)
{
    return (struct gate_log_request){
        .request_id = GATE_STR("req_1"),
        .method = GATE_STR("POST"),
        .path = GATE_STR("/v1/chat/completions"),
        .model = GATE_STR("some-model"),
        .target = GATE_STR("plans/other-model"),
        .provider = GATE_STR("plans"),
        .account = GATE_STR("first"),
        .outcome = GATE_STR("ok"),
        .client = GATE_STR("default"),
        .status = 200,
        .upstream_status = 200,
        .attempts = 1,
        .bytes_in = 12,
        .bytes_out = 18446744073709551615u,
        .total_us = 12345,
        .first_us = 3200,
        .stream = true,
    };
}

static void log_request(const struct gate_log_request *r)
{
    struct gate_log_batch batch;
    gate_log_batch_init(&batch);
    gate_log_batch_request(&batch, r);
    gate_log_batch_finish(&batch);
}

START_TEST(text_lines)
{
    struct capture c = capture_start(GATE_LOG_INFO, GATE_LOG_TEXT);
    gate_log_debug("hidden %d", 1);
    gate_log_warn("listens on %s:%d", "127.0.0.1", 8080);
    ck_assert_str_eq(after_time(capture_read(&c)), "WARN listens on 127.0.0.1:8080\n");
    capture_end(&c);
}
END_TEST

START_TEST(levels)
{
    for (int level = GATE_LOG_DEBUG; level <= GATE_LOG_ERROR; level++) {
        struct capture c = capture_start((enum gate_log_level)level, GATE_LOG_TEXT);
        ck_assert_int_eq(gate_log_level_now(), level);
        gate_log_debug("d");
        gate_log_info("i");
        gate_log_warn("w");
        gate_log_error("e");
        struct gate_log_request r = sample();
        log_request(&r);
        size_t lines = 4 - (size_t)level + (level <= GATE_LOG_INFO);
        ck_assert_uint_eq(count(capture_read(&c), '\n'), lines);
        capture_end(&c);
    }
}
END_TEST

START_TEST(message_cannot_forge_a_line)
{
    struct capture c = capture_start(GATE_LOG_INFO, GATE_LOG_TEXT);
    gate_log_info("%s", "a\nb\r\x1b[31m\x7f \xc2\x9b \xff \"q\" \\ gr\xc3\xbc\xc3\x9f");
    ck_assert_str_eq(after_time(capture_read(&c)),
                     "INFO a\\nb\\x0d\\x1b[31m\\x7f \\x9b \\xff \"q\" "
                     "\\ gr\xc3\xbc\xc3\x9f\n");
    capture_end(&c);
}
END_TEST

START_TEST(json_message)
{
    struct capture c = capture_start(GATE_LOG_INFO, GATE_LOG_JSON);
    gate_log_error("%s", "a\nb\t\xc2\x9b \xff \"q\" \\ gr\xc3\xbc\xc3\x9f");
    const char *text = capture_read(&c);
    ck_assert_uint_eq(count(text, '\n'), 1);
    cJSON *line = cJSON_Parse(text);
    ck_assert_ptr_nonnull(line);
    char time[32];
    snprintf(time, sizeof time, "%s ", cJSON_GetObjectItem(line, "time")->valuestring);
    ck_assert_str_eq(after_time(time), "");
    ck_assert_str_eq(cJSON_GetObjectItem(line, "level")->valuestring, "ERROR");
    ck_assert_str_eq(cJSON_GetObjectItem(line, "message")->valuestring,
                     "a\nb\t\xc2\x9b \xef\xbf\xbd \"q\" \\ gr\xc3\xbc\xc3\x9f");
    cJSON_Delete(line);
    capture_end(&c);
}
END_TEST

START_TEST(long_message_is_cut_between_characters)
{
    for (size_t shift = 0; shift < 3; shift++) {
        struct capture c = capture_start(GATE_LOG_INFO, GATE_LOG_TEXT);
        static char message[3 * GATE_LOG_MAX_MESSAGE];
        size_t n = 0;
        while (n < shift)
            message[n++] = 'x';
        while (n + 4 < sizeof message) {
            memcpy(message + n, "\xe2\x82\xac", 3);
            n += 3;
        }
        message[n] = '\0';
        gate_log_info("%s", message);
        const char *text = after_time(capture_read(&c));
        size_t kept = strlen(text) - sizeof "INFO \n" + 1;
        ck_assert_uint_le(kept, GATE_LOG_MAX_MESSAGE);
        ck_assert_uint_gt(kept, GATE_LOG_MAX_MESSAGE - 3);
        ck_assert_uint_eq((kept - shift) % 3, 0);
        ck_assert_ptr_null(strchr(text, '\\'));
        capture_end(&c);
    }
}
END_TEST

START_TEST(request_text)
{
    struct capture c = capture_start(GATE_LOG_INFO, GATE_LOG_TEXT);
    struct gate_log_request r = sample();
    log_request(&r);
    ck_assert_str_eq(
        after_time(capture_read(&c)),
        "INFO request id=req_1 method=POST path=/v1/chat/completions status=200 model=some-model "
        "target=plans/other-model provider=plans account=first stream=1 bytes_in=12 "
        "bytes_out=18446744073709551615 ms=12.345 first_ms=3.200 attempts=1 outcome=ok error=- "
        "upstream_status=200 client=default\n");
    capture_end(&c);
}
END_TEST

START_TEST(request_text_of_nothing)
{
    struct capture c = capture_start(GATE_LOG_INFO, GATE_LOG_TEXT);
    struct gate_log_request r = {.first_us = -1};
    log_request(&r);
    ck_assert_str_eq(after_time(capture_read(&c)),
                     "INFO request id=- method=- path=- status=0 model=- target=- provider=- "
                     "account=- stream=0 bytes_in=0 bytes_out=0 ms=0.000 first_ms=- attempts=0 "
                     "outcome=- error=- upstream_status=0 client=-\n");
    capture_end(&c);
}
END_TEST

START_TEST(request_values_are_escaped)
{
    struct capture c = capture_start(GATE_LOG_INFO, GATE_LOG_TEXT);
    struct gate_log_request r = sample();
    r.request_id = (struct gate_str){"a\nb\0c", 5};
    r.model = GATE_STR("x status=500");
    r.target = GATE_STR("a\"b\\c");
    r.account = GATE_STR("-");
    r.outcome = GATE_STR("gr\xc3\xbc\xc3\x9f\xff");
    log_request(&r);
    const char *text = capture_read(&c);
    ck_assert_uint_eq(count(text, '\n'), 1);
    ck_assert_ptr_nonnull(strstr(text, " id=\"a\\nb\\x00c\" "));
    ck_assert_ptr_nonnull(strstr(text, " model=\"x status=500\" "));
    ck_assert_ptr_nonnull(strstr(text, " target=\"a\\\"b\\\\c\" "));
    ck_assert_ptr_nonnull(strstr(text, " account=\"-\" "));
    ck_assert_ptr_nonnull(strstr(text, " outcome=\"gr\xc3\xbc\xc3\x9f\\xff\" "));
    capture_end(&c);
}
END_TEST

START_TEST(request_json)
{
    struct capture c = capture_start(GATE_LOG_INFO, GATE_LOG_JSON);
    struct gate_log_request r = sample();
    r.model = GATE_STR("a\n\"b\"\\\x01\xff");
    r.account = (struct gate_str){NULL, 0};
    log_request(&r);
    const char *text = capture_read(&c);
    ck_assert_uint_eq(count(text, '\n'), 1);
    cJSON *line = cJSON_Parse(text);
    ck_assert_ptr_nonnull(line);
    ck_assert_str_eq(cJSON_GetObjectItem(line, "message")->valuestring, "request");
    ck_assert_str_eq(cJSON_GetObjectItem(line, "level")->valuestring, "INFO");
    ck_assert_str_eq(cJSON_GetObjectItem(line, "id")->valuestring, "req_1");
    ck_assert_str_eq(cJSON_GetObjectItem(line, "path")->valuestring, "/v1/chat/completions");
    ck_assert_str_eq(cJSON_GetObjectItem(line, "model")->valuestring, "a\n\"b\"\\\x01\xef\xbf\xbd");
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(line, "account")));
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(line, "error")));
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(line, "stream")));
    ck_assert_int_eq(cJSON_GetObjectItem(line, "status")->valueint, 200);
    ck_assert_double_eq(cJSON_GetObjectItem(line, "ms")->valuedouble, 12.345);
    ck_assert_double_eq(cJSON_GetObjectItem(line, "first_ms")->valuedouble, 3.2);
    ck_assert_int_eq(cJSON_GetArraySize(line), 21);
    cJSON_Delete(line);
    capture_end(&c);
}
END_TEST

START_TEST(worst_values_fit)
{
    for (int format = GATE_LOG_TEXT; format <= GATE_LOG_JSON; format++) {
        struct capture c = capture_start(GATE_LOG_INFO, (enum gate_log_format)format);
        static char worst[100000];
        memset(worst, 0x01, sizeof worst);
        struct gate_str w = {worst, sizeof worst};
        struct gate_log_request r = {w, w, w, w, w, w, w, w, w, w, .status = 999};
        r.bytes_in = r.bytes_out = r.total_us = UINT64_MAX;
        r.first_us = INT64_MAX;
        struct gate_log_batch batch;
        gate_log_batch_init(&batch);
        for (int i = 0; i < 20; i++)
            gate_log_batch_request(&batch, &r);
        gate_log_batch_finish(&batch);
        const char *text = capture_read(&c);
        ck_assert_uint_eq(count(text, '\n'), 20);
        ck_assert_uint_gt(strlen(text), 20 * 10 * 4 * GATE_LOG_MAX_VALUE);
        capture_end(&c);
    }
}
END_TEST

START_TEST(batch_waits_for_flush)
{
    struct capture c = capture_start(GATE_LOG_INFO, GATE_LOG_TEXT);
    struct gate_log_request r = sample();
    struct gate_log_batch batch;
    gate_log_batch_init(&batch);
    ck_assert(!gate_log_batch_pending(&batch));
    gate_log_batch_request(&batch, &r);
    gate_log_batch_request(&batch, &r);
    ck_assert(gate_log_batch_pending(&batch));
    ck_assert_str_eq(capture_read(&c), "");
    gate_log_batch_flush(&batch);
    ck_assert(!gate_log_batch_pending(&batch));
    ck_assert_uint_eq(count(capture_read(&c), '\n'), 2);
    /* Above 32 KiB it flushes by itself. */
    for (int i = 0; i < 400; i++)
        gate_log_batch_request(&batch, &r);
    ck_assert_uint_gt(strlen(capture_read(&c)), 32 * 1024);
    ck_assert_uint_le(batch.lines.len, 32 * 1024);
    gate_log_batch_finish(&batch);
    ck_assert_uint_eq(count(capture_read(&c), '\n'), 402);
    capture_end(&c);
}
END_TEST

/* Reads what a non-blocking pipe holds. */
static size_t drain(int fd, char *out, size_t cap)
{
    size_t len = 0;
    ssize_t n;
    while (len + 1 < cap && (n = read(fd, out + len, cap - len - 1)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    return len;
}

START_TEST(full_pipe_drops_counts_and_reports)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    char *text = malloc(OUTPUT_MAX);
    ck_assert_int_gt(fcntl(ends[1], F_SETPIPE_SZ, 8192), 0);
    gate_log_setup(GATE_LOG_INFO, GATE_LOG_TEXT, ends[1]);
    struct gate_log_request r = sample();
    struct gate_log_batch batch;
    gate_log_batch_init(&batch);
    uint64_t before = gate_log_dropped();
    enum { LINES = 100 };
    for (int i = 0; i < LINES; i++)
        gate_log_batch_request(&batch, &r);
    size_t line_len = batch.lines.len / LINES;
    gate_log_batch_finish(&batch);
    uint64_t dropped = gate_log_dropped() - before;
    size_t got = drain(ends[0], text, OUTPUT_MAX);
    ck_assert_uint_gt(dropped, 0);
    ck_assert_uint_eq(dropped, LINES - got / line_len);
    ck_assert_uint_ne(got % line_len, 0);

    /* The torn line is ended, the loss is told, and the new line is whole. */
    gate_log_info("after");
    drain(ends[0], text, OUTPUT_MAX);
    char expected[64];
    snprintf(expected, sizeof expected, "WARN %llu log lines were dropped\n",
             (unsigned long long)dropped);
    ck_assert_int_eq(text[0], '\n');
    const char *told = after_time(text + 1);
    ck_assert_msg(strncmp(told, expected, strlen(expected)) == 0, "%s", text);
    ck_assert_str_eq(after_time(told + strlen(expected)), "INFO after\n");
    gate_log_info("again");
    drain(ends[0], text, OUTPUT_MAX);
    ck_assert_str_eq(after_time(text), "INFO again\n");
    gate_log_setup(GATE_LOG_INFO, GATE_LOG_TEXT, STDERR_FILENO);
    free(text);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

/* What the signal handler below works on. */
static volatile sig_atomic_t alarms, drain_fd;

/* The first signals find write blocked and interrupt it; a later one makes room. */
static void on_alarm(int number)
{
    (void)number;
    char sink[4096];
    if (++alarms == 3 && read(drain_fd, sink, sizeof sink) < 0)
        abort();
}

START_TEST(interrupted_write_goes_on)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ck_assert_int_gt(fcntl(ends[1], F_SETPIPE_SZ, 4096), 0);
    char fill[4096] = {0}, text[4096 + 1];
    ck_assert_int_eq(write(ends[1], fill, sizeof fill), sizeof fill);
    drain_fd = ends[0];
    alarms = 0;
    struct sigaction action = {.sa_handler = on_alarm}, before;
    struct itimerval every_ms = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
    ck_assert_int_eq(sigaction(SIGALRM, &action, &before), 0);
    uint64_t dropped = gate_log_dropped();
    gate_log_setup(GATE_LOG_INFO, GATE_LOG_TEXT, ends[1]);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &every_ms, NULL), 0);
    gate_log_info("not lost");
    ck_assert_int_eq(setitimer(ITIMER_REAL, &off, NULL), 0);
    sigaction(SIGALRM, &before, NULL);
    gate_log_setup(GATE_LOG_INFO, GATE_LOG_TEXT, STDERR_FILENO);
    ck_assert_uint_eq(gate_log_dropped(), dropped);
    ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    drain(ends[0], text, sizeof text);
    ck_assert_str_eq(after_time(text), "INFO not lost\n");
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(broken_fd_is_survived)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    uint64_t before = gate_log_dropped();
    gate_log_setup(GATE_LOG_INFO, GATE_LOG_TEXT, ends[1]);
    errno = 77;
    gate_log_info("to nobody");
    ck_assert_int_eq(errno, 77);
    close(ends[1]);
    gate_log_setup(GATE_LOG_INFO, GATE_LOG_TEXT, -1);
    gate_log_info("to nothing");
    ck_assert_uint_eq(gate_log_dropped() - before, 2);
    gate_log_setup(GATE_LOG_INFO, GATE_LOG_TEXT, STDERR_FILENO);
}
END_TEST

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    Suite *suite = suite_create("log");
    TCase *tests = tcase_create("log");
    tcase_add_test(tests, text_lines);
    tcase_add_test(tests, levels);
    tcase_add_test(tests, message_cannot_forge_a_line);
    tcase_add_test(tests, json_message);
    tcase_add_test(tests, long_message_is_cut_between_characters);
    tcase_add_test(tests, request_text);
    tcase_add_test(tests, request_text_of_nothing);
    tcase_add_test(tests, request_values_are_escaped);
    tcase_add_test(tests, request_json);
    tcase_add_test(tests, worst_values_fit);
    tcase_add_test(tests, batch_waits_for_flush);
    tcase_add_test(tests, full_pipe_drops_counts_and_reports);
    tcase_add_test(tests, interrupted_write_goes_on);
    tcase_add_test(tests, broken_fd_is_survived);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
