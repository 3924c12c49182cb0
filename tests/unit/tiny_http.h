/*
 * tiny_http: a small HTTP/1.1 server on a thread of its own, for tests of the gateway's clients.
 * Each complete request is given to the test's function, which writes the bytes of the answer,
 * whole or broken, and says what becomes of the connection.
 */
#ifndef GATE_TESTS_TINY_HTTP_H
#define GATE_TESTS_TINY_HTTP_H

#include "base/buf.h"
#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TINY_MAX_CONNS = 256, TINY_MAX_REQUEST = 4 << 20, TINY_READ = 16 << 10 };

enum tiny_end {
    TINY_CLOSE = 0, /* after the answer */
    TINY_KEEP,      /* wait for another request */
    TINY_HOLD,      /* send what there is, then nothing until the client leaves or tiny_release */
};

struct tiny_request {
    struct gate_str text; /* all of it */
    struct gate_str target, body;
};

typedef enum tiny_end (*tiny_answer)(void *ctx, const struct tiny_request *r, struct gate_buf *out);

struct tiny_conn {
    int fd;
    bool held;
    struct gate_buf in;
};

struct tiny_http {
    pthread_t thread;
    int listener, wake;
    uint16_t port;
    tiny_answer answer; /* server thread, under the lock */
    void *ctx;
    struct tiny_conn conns[TINY_MAX_CONNS]; /* server thread, in the order of accepting */
    size_t conn_count;
    pthread_mutex_t lock; /* of the rest */
    pthread_cond_t changed;
    size_t accepted, requests, left; /* left: connections that the client closed first */
    size_t open, most_open;          /* held at once */
    size_t release;                  /* how many held ones shall be answered */
    bool stopping;
};

static inline void tiny_write(int fd, struct gate_str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the client has left */
        bytes.ptr += n;
        bytes.len -= (size_t)n;
    }
}

static inline void tiny_drop(struct tiny_http *s, size_t i)
{
    close(s->conns[i].fd);
    gate_buf_finish(&s->conns[i].in);
    s->conn_count--;
    memmove(&s->conns[i], &s->conns[i + 1], (s->conn_count - i) * sizeof s->conns[0]);
}

/* False: the request is not complete yet. */
static inline bool tiny_parse(const struct gate_buf *in, struct tiny_request *r)
{
    const char *end = in->len > 0 ? memmem(in->ptr, in->len, "\r\n\r\n", 4) : NULL;
    if (end == NULL)
        return false;
    size_t head = (size_t)(end - in->ptr) + 4, length = 0;
    static const char name[] = "\r\nContent-Length: ";
    const char *at = memmem(in->ptr, head, name, sizeof name - 1);
    if (at != NULL)
        length = strtoul(at + sizeof name - 1, NULL, 10);
    if (in->len < head + length)
        return false;
    const char *target = (const char *)memchr(in->ptr, ' ', head) + 1;
    r->text = (struct gate_str){in->ptr, head + length};
    r->target = (struct gate_str){target, (size_t)((const char *)strchr(target, ' ') - target)};
    r->body = (struct gate_str){in->ptr + head, length};
    return true;
}

/* False: the connection is gone. */
static inline bool tiny_read(struct tiny_http *s, size_t i)
{
    struct tiny_conn *c = &s->conns[i];
    ssize_t n = recv(c->fd, gate_buf_reserve(&c->in, TINY_READ), TINY_READ, 0);
    if (n <= 0) {
        pthread_mutex_lock(&s->lock);
        s->left++;
        s->open -= c->held;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        tiny_drop(s, i);
        return false;
    }
    c->in.len += (size_t)n;
    struct tiny_request r;
    if (c->held || !tiny_parse(&c->in, &r))
        return true;
    struct gate_buf out;
    gate_buf_init(&out, 8 << 20);
    pthread_mutex_lock(&s->lock);
    s->requests++;
    enum tiny_end end = s->answer(s->ctx, &r, &out);
    c->held = end == TINY_HOLD;
    if (c->held && ++s->open > s->most_open)
        s->most_open = s->open;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    tiny_write(c->fd, gate_buf_str(&out));
    gate_buf_finish(&out);
    if (end == TINY_CLOSE)
        tiny_drop(s, i);
    else if (end == TINY_KEEP)
        gate_buf_finish(&c->in);
    return end != TINY_CLOSE;
}

static inline void tiny_answer_held(struct tiny_http *s)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->conn_count && s->release > 0;) {
        if (!s->conns[i].held) {
            i++;
            continue;
        }
        s->release--;
        s->open--;
        tiny_write(s->conns[i].fd, GATE_STR("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld"));
        tiny_drop(s, i);
    }
    pthread_mutex_unlock(&s->lock);
}

static inline bool tiny_stopping(struct tiny_http *s)
{
    pthread_mutex_lock(&s->lock);
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

static inline void *tiny_loop(void *arg)
{
    struct tiny_http *s = arg;
    struct pollfd fds[TINY_MAX_CONNS + 2];
    while (!tiny_stopping(s)) {
        fds[0] = (struct pollfd){.fd = s->wake, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = s->listener, .events = POLLIN};
        size_t count = s->conn_count;
        for (size_t i = 0; i < count; i++)
            fds[i + 2] = (struct pollfd){.fd = s->conns[i].fd, .events = POLLIN};
        poll(fds, count + 2, -1);
        uint64_t number;
        if (fds[0].revents != 0 && read(s->wake, &number, sizeof number) < 0)
            abort();
        for (size_t i = count; i > 0; i--) /* from behind: dropping moves what follows */
            if (fds[i + 1].revents != 0)
                tiny_read(s, i - 1);
        if (fds[1].revents != 0 && s->conn_count < TINY_MAX_CONNS) {
            struct tiny_conn *c = &s->conns[s->conn_count++];
            *c = (struct tiny_conn){.fd = accept(s->listener, NULL, NULL)};
            gate_buf_init(&c->in, TINY_MAX_REQUEST);
            pthread_mutex_lock(&s->lock);
            s->accepted++;
            pthread_mutex_unlock(&s->lock);
        }
        tiny_answer_held(s);
    }
    while (s->conn_count > 0)
        tiny_drop(s, 0);
    return NULL;
}

static inline struct tiny_http *tiny_start(tiny_answer answer, void *ctx)
{
    struct tiny_http *s = gate_calloc(1, sizeof *s);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    s->answer = answer;
    s->ctx = ctx;
    s->wake = eventfd(0, EFD_CLOEXEC);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(s->listener, TINY_MAX_CONNS), 0);
    ck_assert_int_eq(getsockname(s->listener, (struct sockaddr *)&at, &len), 0);
    s->port = ntohs(at.sin_port);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    ck_assert_int_eq(pthread_create(&s->thread, NULL, tiny_loop, s), 0);
    return s;
}

static inline void tiny_wake(struct tiny_http *s)
{
    uint64_t one = 1;
    ck_assert_int_eq(write(s->wake, &one, sizeof one), sizeof one);
}

/* Answers the next n held requests, in the order of their connections. */
static inline void tiny_release(struct tiny_http *s, size_t n)
{
    pthread_mutex_lock(&s->lock);
    s->release += n;
    pthread_mutex_unlock(&s->lock);
    tiny_wake(s);
}

/* Waits until *number, a counter of the server, is at least n. */
static inline void tiny_wait(struct tiny_http *s, const size_t *number, size_t n)
{
    pthread_mutex_lock(&s->lock);
    while (*number < n)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static inline size_t tiny_read_number(struct tiny_http *s, const size_t *number)
{
    pthread_mutex_lock(&s->lock);
    size_t n = *number;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static inline void tiny_stop(struct tiny_http *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_mutex_unlock(&s->lock);
    tiny_wake(s);
    pthread_join(s->thread, NULL);
    close(s->listener);
    close(s->wake);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s);
}

#endif
