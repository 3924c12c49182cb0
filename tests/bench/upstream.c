/*
 * upstream: a cheap stand-in for an LLM service, for the bench.
 *
 *   upstream [-c FILE]
 *
 * Listens on free ports of localhost and prints them as JSON. One thread, epoll. With -c there is
 * a TLS port too and its certificate is written to FILE. The `model` at the start of a request's
 * body chooses the answer (see `plans`), so one process serves every measure. A request's body is
 * counted, not kept. Every event carries "t", the CLOCK_MONOTONIC time of sending in ns.
 */
#include "cert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    UPSTREAM_MAX_HEAD = 8192,
    UPSTREAM_MAX_PEEK = 256, /* bytes of a body that are looked at for the model */
    UPSTREAM_READ = 256 * 1024,
    UPSTREAM_BACKLOG = 16384,
    UPSTREAM_BATCH = 256,
    UPSTREAM_JSON = 1024, /* bytes of the body of a plain answer */
    UPSTREAM_EVENT = 512,
    UPSTREAM_MAX_OUT = 4096,
};

#define MS 1000000LL

/* What a model answers. events 0: without end. interval 0: all at once, in one write. */
struct plan {
    const char *model;
    unsigned events;
    int64_t interval;
    bool stays_open; /* silent after the last event instead of ending */
};

enum { PLAN_EVENTS, PLAN_SHORT, PLAN_HOLD, PLAN_BURST, PLAN_COUNT };

static const struct plan plans[PLAN_COUNT] = {
    [PLAN_EVENTS] = {"bench-events", 0, 20 * MS, false},
    [PLAN_SHORT] = {"bench-short", 5, 2 * MS, false},
    [PLAN_HOLD] = {"bench-hold", 1, 20 * MS, true},
    [PLAN_BURST] = {"bench-burst", 4, 0, false},
};

/* No word starts with the one before it, as in ordinary streams. */
static const char *const words[] = {"The",     " gate", " stands",  " open", ",",    " and",
                                    " people", " walk", " through", " it",   " all", " day",
                                    " long",   ".",     " At",      " night"};
enum { WORDS = sizeof(words) / sizeof(words[0]) };

/* What an epoll event belongs to; the first member of conn and of listener. */
enum source { SOURCE_CONN, SOURCE_LISTENER };

struct conn {
    enum source source;
    int fd;
    SSL *ssl; /* NULL: plain */
    bool shaken, wants_out;
    size_t head_len, peek_len;
    uint64_t body_left;
    bool in_body;
    char head[UPSTREAM_MAX_HEAD];
    char peek[UPSTREAM_MAX_PEEK + 1];
    const struct plan *plan; /* of the running stream */
    unsigned sent;
    int64_t due;
    struct conn *next, *prev; /* in the queue of the plan; both NULL when alone or not in it */
    size_t out_len;
    char out[UPSTREAM_MAX_OUT]; /* what the socket did not take yet */
};

/* Streams of one plan that wait for their next event, the soonest first. */
struct queue {
    struct conn *first, *last;
};

struct listener {
    enum source source;
    int fd;
    SSL_CTX *tls;
};

struct upstream {
    int epoll;
    struct queue queues[PLAN_COUNT];
    uint32_t streams; /* started so far */
    size_t json_len;
    char json[UPSTREAM_JSON + 256];
    char input[UPSTREAM_READ];
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 * MS + t.tv_nsec;
}

/* All streams of a plan have the same interval, so the right place is at the end or close to it. */
static void queue_push(struct upstream *u, struct conn *c)
{
    struct queue *q = &u->queues[c->plan - plans];
    struct conn *before = q->last;
    while (before && before->due > c->due)
        before = before->prev;
    c->prev = before;
    c->next = before ? before->next : q->first;
    if (c->next)
        c->next->prev = c;
    else
        q->last = c;
    if (before)
        before->next = c;
    else
        q->first = c;
}

static void queue_remove(struct upstream *u, struct conn *c)
{
    struct queue *q = c->plan ? &u->queues[c->plan - plans] : NULL;
    if (!q || (q->first != c && !c->prev))
        return;
    if (c->prev)
        c->prev->next = c->next;
    else
        q->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        q->last = c->prev;
    c->next = c->prev = NULL;
}

static void conn_close(struct upstream *u, struct conn *c)
{
    queue_remove(u, c);
    SSL_free(c->ssl);
    close(c->fd);
    free(c);
}

/* Bytes read or written, 0: not now, -1: the connection is over. */
static ssize_t tls_result(struct conn *c, int r)
{
    int e;
    if (r > 0)
        return r;
    e = SSL_get_error(c->ssl, r);
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return 0;
    ERR_clear_error(); /* what is left in the queue would be taken for the next connection's */
    return -1;
}

static ssize_t conn_read(struct conn *c, char *p, size_t n)
{
    if (c->ssl)
        return tls_result(c, SSL_read(c->ssl, p, (int)n));
    ssize_t r = recv(c->fd, p, n, 0);
    if (r > 0)
        return r;
    return r < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static ssize_t conn_write(struct conn *c, const char *p, size_t n)
{
    if (c->ssl)
        return tls_result(c, SSL_write(c->ssl, p, (int)n));
    ssize_t r = send(c->fd, p, n, MSG_NOSIGNAL);
    if (r >= 0)
        return r;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static void conn_want_out(struct upstream *u, struct conn *c, bool on)
{
    struct epoll_event ev = {.events = EPOLLIN | (on ? EPOLLOUT : 0u), .data.ptr = c};
    if (c->wants_out != on)
        epoll_ctl(u->epoll, EPOLL_CTL_MOD, c->fd, &ev);
    c->wants_out = on;
}

static int conn_flush(struct upstream *u, struct conn *c)
{
    ssize_t r = c->out_len ? conn_write(c, c->out, c->out_len) : 0;
    if (r < 0)
        return -1;
    c->out_len -= (size_t)r;
    memmove(c->out, c->out + r, c->out_len);
    conn_want_out(u, c, c->out_len > 0);
    return 0;
}

/* Sends, and keeps what the socket does not take. -1: over, or the reader is too slow. */
static int conn_send(struct upstream *u, struct conn *c, const char *p, size_t n)
{
    ssize_t r = c->out_len ? 0 : conn_write(c, p, n);
    if (r < 0 || n - (size_t)r > sizeof(c->out) - c->out_len)
        return -1;
    memcpy(c->out + c->out_len, p + r, n - (size_t)r);
    c->out_len += n - (size_t)r;
    conn_want_out(u, c, c->out_len > 0);
    return 0;
}

/* One event in its chunk. The size line always has three digits, so the text goes behind it. */
static size_t format_event(char *p, size_t room, unsigned index)
{
    int n =
        snprintf(p + 5, room - 5,
                 "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\","
                 "\"created\":1700000000,\"model\":\"bench\",\"t\":%lld,\"choices\":[{\"index\":0,"
                 "\"delta\":{%s\"content\":\"%s\"},\"finish_reason\":null}]}\n\n\r\n",
                 (long long)now_ns(), index ? "" : "\"role\":\"assistant\",", words[index % WORDS]);
    char size[8];
    snprintf(size, sizeof(size), "%03x\r\n", (unsigned)n - 2);
    memcpy(p, size, 5);
    return (size_t)n + 5;
}

static const char stream_end[] = "00e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

/* When the next event is due. The first gap is a part of the interval, another one for each stream
 * (multiples of the golden ratio spread evenly), and the beat is kept from then on. Streams whose
 * events were counted from the last sending would fall into step by and by, and how far they have
 * come decides how many events a proxy finds at once: that would be most of the figure. */
static int64_t next_due(struct upstream *u, const struct conn *c)
{
    int64_t now = now_ns(), interval = c->plan->interval;
    if (c->sent == 1)
        return now + ((interval * (u->streams++ * 2654435769u >> 16)) >> 16);
    return c->due + interval > now ? c->due + interval : now + interval;
}

/* Sends the next event of a stream and puts it back in its queue, or ends it. */
static int stream_step(struct upstream *u, struct conn *c)
{
    const struct plan *plan = c->plan;
    char text[UPSTREAM_MAX_OUT];
    size_t n = 0;

    do {
        if (plan->events && c->sent == plan->events)
            break;
        n += format_event(text + n, UPSTREAM_EVENT, c->sent++);
    } while (!plan->interval);
    bool last = plan->events && c->sent == plan->events;
    if (last && !plan->stays_open) {
        memcpy(text + n, stream_end, sizeof(stream_end) - 1);
        n += sizeof(stream_end) - 1;
        c->plan = NULL;
    } else if (!last) {
        c->due = next_due(u, c);
        queue_push(u, c);
    }
    return conn_send(u, c, text, n);
}

static int answer(struct upstream *u, struct conn *c)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
    char *model = strstr(c->peek, "\"model\":\"");
    for (size_t i = 0; model && i < PLAN_COUNT; i++) {
        size_t n = strlen(plans[i].model);
        if (strncmp(model + 9, plans[i].model, n) == 0 && model[9 + n] == '"') {
            c->plan = &plans[i];
            c->sent = 0;
            return conn_send(u, c, head, sizeof(head) - 1) ? -1 : stream_step(u, c);
        }
    }
    return conn_send(u, c, u->json, u->json_len);
}

/* Takes bytes of a head; returns how many, -1 if it is none. */
static ssize_t take_head(struct conn *c, const char *p, size_t n)
{
    size_t had = c->head_len, room = sizeof(c->head) - 1 - had, m = n < room ? n : room;
    memcpy(c->head + had, p, m);
    c->head_len += m;
    c->head[c->head_len] = 0;
    char *end = memmem(c->head, c->head_len, "\r\n\r\n", 4);
    if (!end)
        return m == room ? -1 : (ssize_t)m;
    end[2] = 0;
    char *length = strcasestr(c->head, "\r\ncontent-length:");
    if (strcasestr(c->head, "\r\ntransfer-encoding:"))
        return -1; /* the bench measures requests of known length only */
    c->body_left = length ? strtoull(length + 17, NULL, 10) : 0;
    c->peek_len = 0;
    c->in_body = true;
    return (ssize_t)((size_t)(end + 4 - c->head) - had);
}

static int take_input(struct upstream *u, struct conn *c, const char *p, size_t n)
{
    while (n || (c->in_body && !c->body_left)) {
        if (c->plan)
            return -1; /* a request while the stream runs */
        if (!c->in_body) {
            ssize_t m = take_head(c, p, n);
            if (m < 0)
                return -1;
            p += m;
            n -= (size_t)m;
            continue;
        }
        size_t m = n < c->body_left ? n : (size_t)c->body_left;
        size_t room = UPSTREAM_MAX_PEEK - c->peek_len, kept = m < room ? m : room;
        memcpy(c->peek + c->peek_len, p, kept);
        c->peek_len += kept;
        c->peek[c->peek_len] = 0;
        c->body_left -= m;
        p += m;
        n -= m;
        if (c->body_left)
            continue;
        c->in_body = false;
        c->head_len = 0;
        if (answer(u, c))
            return -1;
    }
    return 0;
}

static int conn_ready(struct upstream *u, struct conn *c, uint32_t events)
{
    if (c->ssl && !c->shaken) {
        int r = SSL_accept(c->ssl);
        if (r != 1)
            return tls_result(c, r) < 0 ? -1 : 0;
        c->shaken = true;
    }
    if ((events & EPOLLOUT) && conn_flush(u, c))
        return -1;
    for (;;) {
        ssize_t n = conn_read(c, u->input, sizeof(u->input));
        if (n <= 0)
            return (int)n;
        if (take_input(u, c, u->input, (size_t)n))
            return -1;
        if (!c->ssl && (size_t)n < sizeof(u->input))
            return 0; /* epoll is level-triggered: no need to read once more for EAGAIN */
    }
}

static void accept_all(struct upstream *u, const struct listener *l)
{
    int fd, on = 1;
    while ((fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct conn *c = calloc(1, sizeof(*c));
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
        if (!c)
            abort();
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (l->tls) {
            c->ssl = SSL_new(l->tls);
            if (!c->ssl || !SSL_set_fd(c->ssl, fd))
                abort();
        }
        epoll_ctl(u->epoll, EPOLL_CTL_ADD, fd, &ev);
    }
}

/* Sends what is due; returns ns until the next event, -1: nothing waits. */
static int64_t run_queues(struct upstream *u)
{
    int64_t soonest = -1;
    for (size_t i = 0; i < PLAN_COUNT; i++) {
        struct queue *q = &u->queues[i];
        int64_t now = now_ns();
        while (q->first && q->first->due <= now) {
            struct conn *c = q->first;
            queue_remove(u, c);
            if (stream_step(u, c))
                conn_close(u, c);
        }
        if (q->first && (soonest < 0 || q->first->due - now < soonest))
            soonest = q->first->due - now;
    }
    return soonest;
}

static void run(struct upstream *u)
{
    struct epoll_event events[UPSTREAM_BATCH];
    for (;;) {
        int64_t wait = run_queues(u);
        struct timespec t = {wait / (1000 * MS), wait % (1000 * MS)};
        int n = epoll_pwait2(u->epoll, events, UPSTREAM_BATCH, wait < 0 ? NULL : &t, NULL);
        for (int i = 0; i < n; i++) {
            enum source *source = events[i].data.ptr;
            struct conn *c = events[i].data.ptr;
            if (*source == SOURCE_LISTENER)
                accept_all(u, events[i].data.ptr);
            else if (conn_ready(u, c, events[i].events))
                conn_close(u, c);
        }
    }
}

/* Listens on 127.0.0.1 and, where IPv6 is there, on the same port of ::1, because clients may
 * resolve "localhost" to either. Returns the port, 0: failed. */
static uint16_t listen_on(struct upstream *u, struct listener pair[2], SSL_CTX *tls)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof(v4);
    for (int i = 0; i < 2; i++) {
        struct sockaddr *sa = i ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
        socklen_t sa_len = i ? sizeof(v6) : sizeof(v4);
        int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &pair[i]};
        if (fd >= 0 && i)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
        if (fd < 0 || bind(fd, sa, sa_len) || listen(fd, UPSTREAM_BACKLOG)) {
            if (fd >= 0)
                close(fd);
            return i ? ntohs(v4.sin_port) : 0;
        }
        pair[i] = (struct listener){SOURCE_LISTENER, fd, tls};
        epoll_ctl(u->epoll, EPOLL_CTL_ADD, fd, &ev);
        if (!i)
            getsockname(fd, sa, &len);
        v6.sin6_port = v4.sin_port;
    }
    return ntohs(v4.sin_port);
}

static void make_json(struct upstream *u)
{
    static const char open[] = "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\","
                               "\"created\":1700000000,\"model\":\"bench\",\"choices\":[{\"index\":"
                               "0,\"message\":{\"role\":\"assistant\",\"content\":\"";
    static const char shut[] = "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,"
                               "\"completion_tokens\":20,\"total_tokens\":30}}";
    size_t text = UPSTREAM_JSON - (sizeof(open) - 1) - (sizeof(shut) - 1);
    int n = snprintf(u->json, sizeof(u->json),
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                     "\r\n%s",
                     UPSTREAM_JSON, open);
    u->json_len = (size_t)n;
    for (size_t i = 0; i < text; i++)
        u->json[u->json_len++] = i % 6 == 5 ? ' ' : 'a' + (char)(i % 26);
    memcpy(u->json + u->json_len, shut, sizeof(shut));
    u->json_len += sizeof(shut) - 1;
}

int main(int argc, char **argv)
{
    struct upstream *u = calloc(1, sizeof(*u));
    struct listener plain[2], secure[2];
    uint16_t port, tls_port = 0;

    if (!u)
        abort();
    signal(SIGPIPE, SIG_IGN);
    u->epoll = epoll_create1(0);
    make_json(u);
    port = listen_on(u, plain, NULL);
    if (argc == 3 && strcmp(argv[1], "-c") == 0) {
        SSL_CTX *tls = cert_make_server(argv[2]);
        tls_port = tls ? listen_on(u, secure, tls) : 0;
    }
    if (!port || (argc > 1 && !tls_port)) {
        fprintf(stderr, "usage: upstream [-c FILE], with free ports on localhost\n");
        return 1;
    }
    printf("{\"port\":%u,\"tls_port\":%u}\n", port, tls_port);
    fflush(stdout);
    run(u); /* until a signal ends the process */
}
