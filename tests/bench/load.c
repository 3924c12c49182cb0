/*
 * load: the bench's client. Sends one fixed request over and over on keep-alive connections and
 * reports what it saw as one line of JSON. One thread, epoll.
 *
 *   load -p PORT -k KEY -b FILE [-c N] [-w MS] [-d MS] [-r N] [-H] [-P PID]...
 *
 * -p, -k, -b   port on 127.0.0.1, bearer key, file with the body
 * -c N         connections (1)
 * -w, -d       warm-up and measured time in ms (300, 1000)
 * -r N         open loop: N requests a second, sent on time while a connection is idle. Without
 *              it the loop is closed: a connection sends again as soon as its answer is complete.
 * -H           hold: wait until each connection has its first event, say so, keep them all until
 *              stdin ends
 * -P PID       measure the CPU time of this process in the measured time
 *
 * Connections open evenly over the first half of the warm-up, so that endless streams do not all
 * tick together. Anything but a complete 200 ends the run with status 1: figures of failed
 * requests mean nothing.
 */
#include "answer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LOAD_MAX_CONNECTIONS = 20000,
    LOAD_MAX_BODY = 8 << 20,
    LOAD_MAX_PIDS = 16,
    LOAD_MAX_SAMPLES = 1 << 20, /* later ones are not kept */
    LOAD_READ = 64 * 1024,
    LOAD_BATCH = 256,
    LOAD_HOLD_PENDING = 64, /* streams that may wait for their first event */
    LOAD_HEAD = 512,
};

#define MS 1000000LL

enum conn_state { CONN_UNUSED, CONN_CONNECTING, CONN_IDLE, CONN_BUSY };

struct conn {
    int fd;
    enum conn_state state;
    bool has_first;
    size_t sent;
    int64_t since; /* when the request was written */
    struct answer answer;
    struct load *load;
};

struct samples {
    size_t len;
    int64_t *ns;
};

struct load {
    int epoll;
    struct sockaddr_in peer;
    size_t connections, opened, rate;
    int64_t warm, measured;
    bool hold;
    pid_t pids[LOAD_MAX_PIDS];
    size_t pid_count;
    char *request;
    size_t request_len;
    struct conn *conns;
    struct conn **idle; /* a stack, for the open loop */
    size_t idle_count;
    bool in_window;
    int64_t now;
    uint64_t requests, events, firsts;
    struct samples first, whole, delay;
    char input[LOAD_READ];
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t = {0, 0};
    clock_gettime(clock, &t);
    return t.tv_sec * 1000 * MS + t.tv_nsec;
}

static _Noreturn void die(const char *what, const char *detail)
{
    fprintf(stderr, "load: %s: %s\n", what, detail);
    exit(1);
}

static void *must_alloc(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (!p)
        abort();
    return p;
}

static void samples_add(struct load *l, struct samples *s, int64_t ns)
{
    if (l->in_window && s->len < LOAD_MAX_SAMPLES)
        s->ns[s->len++] = ns;
}

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void samples_print(const char *name, struct samples *s)
{
    double p50 = 0, p99 = 0;
    qsort(s->ns, s->len, sizeof(*s->ns), compare_ns);
    if (s->len) {
        p50 = (double)s->ns[s->len / 2] / 1e3;
        p99 = (double)s->ns[s->len * 99 / 100] / 1e3;
    }
    printf(",\"%s\":{\"count\":%zu,\"p50\":%.1f,\"p99\":%.1f}", name, s->len, p50, p99);
}

/* CPU time of the measured processes, all threads, ns: finer than the ticks of /proc/PID/stat. */
static int64_t cpu_ns(const struct load *l)
{
    int64_t sum = 0;
    for (size_t i = 0; i < l->pid_count; i++) {
        clockid_t clock;
        if (clock_getcpuclockid(l->pids[i], &clock))
            die("cpu clock", "no such process");
        sum += clock_ns(clock);
    }
    return sum;
}

static void conn_open(struct load *l, struct conn *c)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    int on = 1;
    c->load = l;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        die("socket", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(c->fd, (struct sockaddr *)&l->peer, sizeof(l->peer)) && errno != EINPROGRESS)
        die("connect", strerror(errno));
    c->state = CONN_CONNECTING;
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev);
}

static void conn_write(struct load *l, struct conn *c)
{
    while (c->sent < l->request_len) {
        ssize_t n = send(c->fd, l->request + c->sent, l->request_len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            die("send", strerror(errno));
        c->sent += (size_t)n;
    }
}

static void conn_start(struct load *l, struct conn *c)
{
    c->state = CONN_BUSY;
    c->has_first = false;
    c->sent = 0;
    c->since = clock_ns(CLOCK_MONOTONIC);
    answer_reset(&c->answer);
    conn_write(l, c);
}

/* Ready for a request: sends it, or waits for its time in the open loop. */
static void conn_ready(struct load *l, struct conn *c)
{
    c->state = CONN_IDLE;
    if (l->rate)
        l->idle[l->idle_count++] = c;
    else
        conn_start(l, c);
}

static void conn_first(struct conn *c)
{
    if (c->has_first)
        return;
    c->has_first = true;
    c->load->firsts++;
    samples_add(c->load, &c->load->first, c->load->now - c->since);
}

static void on_event(void *ctx, const char *data)
{
    struct conn *c = ctx;
    const char *t = strstr(data, "\"t\":");
    if (!t)
        return; /* [DONE] */
    conn_first(c);
    c->load->events++;
    samples_add(c->load, &c->load->delay, c->load->now - strtoll(t + 4, NULL, 10));
}

static void conn_read(struct load *l, struct conn *c)
{
    for (;;) {
        ssize_t n = recv(c->fd, l->input, sizeof(l->input), 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            die("connection lost", n ? strerror(errno) : c->answer.head);
        l->now = clock_ns(CLOCK_MONOTONIC);
        if (c->state != CONN_BUSY)
            die("bytes without a request", "");
        enum answer_state s = answer_feed(&c->answer, l->input, (size_t)n, on_event, c);
        if (s == ANSWER_BROKEN || (s != ANSWER_HEAD && c->answer.status != 200)) {
            l->input[n < LOAD_READ ? n : LOAD_READ - 1] = 0;
            die("bad answer", l->input);
        }
        if (s == ANSWER_DONE) {
            conn_first(c);
            l->requests++;
            samples_add(l, &l->whole, l->now - c->since);
            conn_ready(l, c);
        }
    }
}

static void handle(struct load *l, struct conn *c, uint32_t events)
{
    if (c->state == CONN_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof(error);
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error)
            die("connect", strerror(error));
        if (events & EPOLLOUT)
            conn_ready(l, c);
    } else if (c->state == CONN_BUSY && (events & EPOLLOUT)) {
        conn_write(l, c);
    }
    if (c->state != CONN_CONNECTING && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        conn_read(l, c);
}

/* Waits at most until the given time, then works through what came. */
static void turn(struct load *l, int64_t until)
{
    struct epoll_event events[LOAD_BATCH];
    int64_t wait = until - clock_ns(CLOCK_MONOTONIC);
    struct timespec t = {0, 0};
    if (wait > 0)
        t = (struct timespec){wait / (1000 * MS), wait % (1000 * MS)};
    int n = epoll_pwait2(l->epoll, events, LOAD_BATCH, &t, NULL);
    for (int i = 0; i < n; i++)
        handle(l, events[i].data.ptr, events[i].events);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Runs the loop until the given time, opening connections and sending when their time is there. */
static void run_until(struct load *l, int64_t start, int64_t end, int64_t *next_send)
{
    int64_t ramp = l->warm / 2 / (int64_t)l->connections, now;
    while ((now = clock_ns(CLOCK_MONOTONIC)) < end) {
        int64_t until = end;
        while (l->opened < l->connections && start + (int64_t)l->opened * ramp <= now)
            conn_open(l, &l->conns[l->opened++]);
        if (l->opened < l->connections)
            until = sooner(until, start + (int64_t)l->opened * ramp);
        while (l->rate && l->idle_count && *next_send <= now) {
            conn_start(l, l->idle[--l->idle_count]);
            *next_send += 1000 * MS / (int64_t)l->rate;
        }
        if (l->rate && l->idle_count)
            until = sooner(until, *next_send);
        turn(l, until);
    }
}

static void measure(struct load *l)
{
    int64_t start = clock_ns(CLOCK_MONOTONIC), next_send = start, began, cpu;
    run_until(l, start, start + l->warm, &next_send);
    l->requests = l->events = l->firsts = 0;
    l->in_window = true;
    began = clock_ns(CLOCK_MONOTONIC);
    cpu = cpu_ns(l);
    run_until(l, start, began + l->measured, &next_send);
    cpu = cpu_ns(l) - cpu;
    double seconds = (double)(clock_ns(CLOCK_MONOTONIC) - began) / 1e9;
    if (l->rate && l->firsts < (uint64_t)((double)l->rate * seconds * 0.9))
        die("too slow", "fewer than 9 of 10 requests could be sent on time: raise -c");
    printf("{\"seconds\":%.4f,\"requests\":%llu,\"events\":%llu,\"cpu_us\":%.1f", seconds,
           (unsigned long long)l->requests, (unsigned long long)l->events, (double)cpu / 1e3);
    samples_print("first_us", &l->first);
    samples_print("whole_us", &l->whole);
    samples_print("delay_us", &l->delay);
    printf("}\n");
}

static void hold(struct load *l)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    while (l->firsts < l->connections) {
        while (l->opened < l->connections && l->opened < l->firsts + LOAD_HOLD_PENDING)
            conn_open(l, &l->conns[l->opened++]);
        turn(l, clock_ns(CLOCK_MONOTONIC) + 100 * MS);
    }
    printf("{\"held\":%zu}\n", l->connections);
    fflush(stdout);
    while (poll(&in, 1, 0) == 0)
        turn(l, clock_ns(CLOCK_MONOTONIC) + 20 * MS);
}

/* Reads the body and puts the head before it. */
static void make_request(struct load *l, const char *path, const char *key)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        die(path, strerror(errno));
    char *body = must_alloc(1, LOAD_MAX_BODY);
    size_t len = fread(body, 1, LOAD_MAX_BODY, file);
    if (ferror(file) || len == LOAD_MAX_BODY)
        die(path, "unreadable or too long");
    fclose(file);
    l->request = must_alloc(1, LOAD_HEAD + len);
    int n = snprintf(l->request, LOAD_HEAD,
                     "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                     "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
                     "User-Agent: bench/1\r\nAccept: application/json\r\nX-Team: bench\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     ntohs(l->peer.sin_port), key, len);
    if (n >= LOAD_HEAD)
        die("key", "too long");
    memcpy(l->request + n, body, len);
    l->request_len = (size_t)n + len;
    free(body);
}

static long number(const char *text, long min, long max)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (*end || end == text || v < min || v > max)
        die("not a number in range", text);
    return v;
}

/* Returns the file of the body; fills in the rest. */
static void read_options(struct load *l, int argc, char **argv, const char **body, const char **key)
{
    int o;
    while ((o = getopt(argc, argv, "p:k:b:c:w:d:r:HP:")) != -1) {
        if (o == 'p')
            l->peer.sin_port = htons((uint16_t)number(optarg, 1, UINT16_MAX));
        else if (o == 'k')
            *key = optarg;
        else if (o == 'b')
            *body = optarg;
        else if (o == 'c')
            l->connections = (size_t)number(optarg, 1, LOAD_MAX_CONNECTIONS);
        else if (o == 'w')
            l->warm = number(optarg, 1, 60000) * MS;
        else if (o == 'd')
            l->measured = number(optarg, 1, 60000) * MS;
        else if (o == 'r')
            l->rate = (size_t)number(optarg, 1, 1000000);
        else if (o == 'H')
            l->hold = true;
        else if (o == 'P' && l->pid_count < LOAD_MAX_PIDS)
            l->pids[l->pid_count++] = (pid_t)number(optarg, 1, INT32_MAX);
        else
            exit(2);
    }
    if (!*body || !*key || !l->peer.sin_port)
        die("usage", "load -p PORT -k KEY -b FILE [-c N] [-w MS] [-d MS] [-r N] [-H] [-P PID]...");
}

int main(int argc, char **argv)
{
    struct load *l = must_alloc(1, sizeof(*l));
    const char *body = NULL, *key = NULL;

    l->connections = 1;
    l->warm = 300 * MS;
    l->measured = 1000 * MS;
    l->peer.sin_family = AF_INET;
    l->peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    read_options(l, argc, argv, &body, &key);
    make_request(l, body, key);
    l->epoll = epoll_create1(0);
    l->conns = must_alloc(l->connections, sizeof(*l->conns));
    l->idle = must_alloc(l->connections, sizeof(struct conn *));
    l->first.ns = must_alloc(LOAD_MAX_SAMPLES, sizeof(int64_t));
    l->whole.ns = must_alloc(LOAD_MAX_SAMPLES, sizeof(int64_t));
    l->delay.ns = must_alloc(LOAD_MAX_SAMPLES, sizeof(int64_t));
    if (l->hold)
        hold(l);
    else
        measure(l);
    return 0;
}
