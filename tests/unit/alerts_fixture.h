/*
 * alerts_fixture: what tests of alerts share: a service that takes notices and keeps what it got,
 * and the log as text.
 */
#ifndef GATE_TESTS_ALERTS_FIXTURE_H
#define GATE_TESTS_ALERTS_FIXTURE_H

#include "base/clock.h"
#include "base/json.h"
#include "control_fixture.h"
#include "record/alerts_internal.h"
#include <sys/mman.h>
#include <sys/stat.h>

enum { MAX_NOTICES = 1200, FAST_MS = 1, MAX_LOG = 1 << 20 };

struct service {
    struct tiny_http *server;
    char url[256];
    /* Under the server's lock. */
    char *targets[MAX_NOTICES], *bodies[MAX_NOTICES];
    uint64_t at_ms[MAX_NOTICES];
    size_t fail;                   /* how many of the next requests fail */
    const char *failure, *success; /* whole answers */
    bool hold;                     /* the next request is held */
};

static inline enum tiny_end service_take(void *ctx, const struct tiny_request *r,
                                         struct gate_buf *out)
{
    struct service *s = ctx;
    size_t i = s->server->requests - 1;
    ck_assert_uint_lt(i, MAX_NOTICES);
    s->targets[i] = gate_strdup(r->target);
    s->bodies[i] = gate_strdup(r->body);
    s->at_ms[i] = gate_clock_mono_ms();
    if (s->hold) {
        s->hold = false;
        return TINY_HOLD;
    }
    gate_buf_append(out, gate_str_of(s->fail > 0 ? s->failure : s->success));
    s->fail -= s->fail > 0;
    return TINY_CLOSE;
}

static inline void service_start(struct service *s)
{
    memset(s, 0, sizeof *s);
    s->success = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    s->failure = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    s->server = tiny_start(service_take, s);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u/hook/path-token?access_token=query-token",
             s->server->port);
}

static inline void service_stop(struct service *s)
{
    tiny_stop(s->server);
    for (size_t i = 0; i < MAX_NOTICES; i++) {
        free(s->targets[i]);
        free(s->bodies[i]);
    }
}

static inline void service_fail(struct service *s, size_t times, const char *failure)
{
    pthread_mutex_lock(&s->server->lock);
    s->fail = times;
    if (failure != NULL)
        s->failure = failure;
    pthread_mutex_unlock(&s->server->lock);
}

static inline size_t service_count(struct service *s)
{
    return tiny_read_number(s->server, &s->server->requests);
}

/* The member of the i-th body as text; waits for it. */
static inline void service_member(struct service *s, size_t i, const char *key, char out[512])
{
    tiny_wait(s->server, &s->server->requests, i + 1);
    struct gate_str value;
    size_t len;
    ck_assert_msg(gate_json_member(gate_str_of(s->bodies[i]), gate_str_of(key), &value), "%s: %s",
                  key, s->bodies[i]);
    if (!gate_json_decode_to(value, out, 512, &len))
        snprintf(out, 512, "%.*s", (int)value.len, value.ptr);
}

/* ---- the log: a file in memory */

static inline int log_open(void)
{
    int fd = memfd_create("log", MFD_CLOEXEC);
    gate_log_setup(GATE_LOG_DEBUG, GATE_LOG_TEXT, fd);
    return fd;
}

/* How often text stands in the log. */
static inline size_t log_count(int fd, const char *text)
{
    struct stat st;
    size_t count = 0;
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_int_le(st.st_size, MAX_LOG);
    char *all = gate_calloc(1, (size_t)st.st_size + 1);
    ck_assert_int_eq(pread(fd, all, (size_t)st.st_size, 0), st.st_size);
    for (const char *p = all; (p = strstr(p, text)) != NULL; p++)
        count++;
    free(all);
    return count;
}

static inline void log_close(int fd)
{
    gate_log_setup(GATE_LOG_INFO, GATE_LOG_TEXT, STDERR_FILENO);
    close(fd);
}

#endif
