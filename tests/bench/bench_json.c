/*
 * bench_json: time of gate_json_scan and of one request log line, median of many runs. For people
 * who change base/json*.c or base/log.c; ./dev bench measures the whole gateway.
 *
 *     bench_json [body.json ...]
 *
 * Pin it to one core (taskset -c 1) to get steady figures.
 */
#include "base/clock.h"
#include "base/json_skip.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { ROUNDS = 301, MIN_ROUND_US = 200, MAX_FILE = 64 << 20 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

static void scan_times(const struct gate_json_skip *skip, struct gate_str body, size_t times)
{
    struct gate_request_facts facts;
    struct gate_json_error why;
    for (size_t i = 0; i < times; i++) {
        if (gate_json_scan_by(skip, body, GATE_STR("messages"), &facts, &why) == GATE_EPARSE) {
            fprintf(stderr, "not a request: %s at byte %zu\n", why.reason, why.offset);
            exit(1);
        }
        __asm__ volatile("" : : "g"(&facts) : "memory");
    }
}

static void bench_body(const char *name, struct gate_str body)
{
    printf("%-28s %8zu bytes", name, body.len);
    const struct gate_json_skip *skip;
    for (size_t v = 0; (skip = gate_json_skip_variant(v)) != NULL; v++) {
        double us[ROUNDS];
        size_t times = 1;
        for (;; times *= 2) {
            uint64_t start = gate_clock_mono_us();
            scan_times(skip, body, times);
            if (gate_clock_mono_us() - start >= MIN_ROUND_US)
                break;
        }
        for (size_t i = 0; i < ROUNDS; i++) {
            uint64_t start = gate_clock_mono_us();
            scan_times(skip, body, times);
            us[i] = (double)(gate_clock_mono_us() - start) / (double)times;
        }
        printf("   %s %8.3f us", skip->name, median(us, ROUNDS));
    }
    printf("\n");
}

static void bench_made(const char *name, size_t len)
{
    struct gate_buf body;
    gate_buf_init(&body, MAX_FILE);
    gate_buf_printf(&body, "{\"model\":\"some-model\",\"stream\":true,\"messages\":[{\"role\":"
                           "\"user\",\"content\":\"");
    while (body.len < len - 4)
        gate_buf_append_byte(&body, "plain words in a row "[body.len % 21]);
    gate_buf_append(&body, GATE_STR("\"}]}"));
    bench_body(name, gate_buf_str(&body));
    gate_buf_finish(&body);
}

static void bench_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    struct gate_buf body;
    gate_buf_init(&body, MAX_FILE);
    for (size_t n = 1; n > 0;) {
        char *to = gate_buf_reserve(&body, 65536);
        n = to != NULL ? fread(to, 1, 65536, f) : 0;
        body.len += n;
    }
    fclose(f);
    const char *slash = strrchr(path, '/');
    bench_body(slash != NULL ? slash + 1 : path, gate_buf_str(&body));
    gate_buf_finish(&body);
}

static void bench_log(enum gate_log_format format, const char *name)
{
    const struct gate_log_request r = {
        .request_id = GATE_STR("req_0123456789abcdef01234567"),
        .method = GATE_STR("POST"),
        .path = GATE_STR("/v1/chat/completions"),
        .model = GATE_STR("some-model-v1"),
        .target = GATE_STR("plans/coder-model"),
        .provider = GATE_STR("plans"),
        .account = GATE_STR("first"),
        .outcome = GATE_STR("ok"),
        .client = GATE_STR("default"),
        .status = 200,
        .upstream_status = 200,
        .attempts = 1,
        .bytes_in = 95216,
        .bytes_out = 18234,
        .total_us = 1234567,
        .first_us = 345678,
        .stream = true,
    };
    enum { LINES = 2000 };
    double us[ROUNDS];
    struct gate_log_batch batch;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    gate_log_setup(GATE_LOG_INFO, format, fd);
    gate_log_batch_init(&batch);
    for (size_t i = 0; i < ROUNDS; i++) {
        uint64_t start = gate_clock_mono_us();
        for (size_t n = 0; n < LINES; n++)
            gate_log_batch_request(&batch, &r);
        us[i] = (double)(gate_clock_mono_us() - start) / LINES;
    }
    gate_log_batch_finish(&batch);
    printf("%-28s %8.3f us a line\n", name, median(us, ROUNDS));
}

int main(int argc, char **argv)
{
    bench_made("1 KB", 1024);
    bench_made("100 KB of plain text", 100 * 1024);
    for (int i = 1; i < argc; i++)
        bench_file(argv[i]);
    bench_log(GATE_LOG_TEXT, "request line, text");
    bench_log(GATE_LOG_JSON, "request line, JSON");
    return 0;
}
