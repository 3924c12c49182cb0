#include "admin/console.h"
#include "base/clock.h"
#include "base/mailbox.h"
#include "request/stage.h"
#include "worker_internal.h"
#include <errno.h>
#include <h2o/http1.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    MAX_SLEEP_MS = 1000,
    LOG_DELAY_MS = 50, /* a request's line is written at most this much later */
    LOOKUP_WAIT_MS = 2000,
    RESOLVER_THREADS = 4,
};

/* ---- one worker */

static void on_log_timer(struct gate_timer *timer)
{
    struct worker *w = H2O_STRUCT_FROM_MEMBER(struct worker, log_timer, timer);
    gate_log_batch_flush(&w->log);
}

static void on_drain_timeout(struct gate_timer *timer)
{
    struct worker *w = H2O_STRUCT_FROM_MEMBER(struct worker, drain_timer, timer);
    w->cut = true;
}

static void on_drain(void *arg)
{
    struct worker *w = arg;
    if (w->draining) {
        w->cut = true;
        return;
    }
    w->draining = true;
    gate_timers_touch(&w->timers, gate_clock_mono_ms());
    gate_listener_drain(w->listener);
    w->drain_timer.cb = on_drain_timeout;
    gate_timer_arm(&w->timers, &w->drain_timer, w->env.config->drain_ms);
}

static bool is_done(const struct worker *w)
{
    return w->cut || (w->draining && gate_listener_active(w->listener) == 0);
}

static void run_once(struct worker *w, uint64_t limit_ms)
{
    uint64_t wait = gate_timers_wait(&w->timers, gate_clock_mono_ms(), limit_ms);
    if (h2o_evloop_run(w->loop, (int32_t)wait) != 0 && errno != EINTR)
        gate_log_error("event loop: %s", strerror(errno));
    gate_timers_run(&w->timers, gate_clock_mono_ms());
    /* What our timers wrote must be settled before libh2o polls again, as it does behind its own
     * timers: a write that completed but is still polled for would fail an assertion. */
    h2o_timeout__do_post_callback(w->loop);
    if (gate_log_batch_pending(&w->log) && !gate_timer_is_armed(&w->log_timer))
        gate_timer_arm(&w->timers, &w->log_timer, LOG_DELAY_MS);
}

/* On the worker's own thread: libh2o keeps buffer pools in thread-local memory. */
static enum gate_status worker_start(struct worker *w)
{
    const struct gate_parts *p = w->parts;
    gate_timers_init(&w->timers, gate_clock_mono_ms());
    gate_log_batch_init(&w->log);
    w->log_timer.cb = on_log_timer;
    w->loop = h2o_evloop_create();
    h2o_context_init(&w->ctx, w->loop, w->h2o_config);
    w->mailbox = gate_mailbox_create(w->ctx.queue);
    gate_mailbox_retain(w->mailbox); /* the server's reference: others post to it */
    w->http1 = gate_http1_create(w->loop, &w->ctx.receivers.hostinfo_getaddr, &w->timers);
    w->env = (struct gate_env){
        .config = p->config,
        .upstream = {&gate_http1_transport, w->http1},
        .timers = &w->timers,
        .log = &w->log,
        .mailbox = w->mailbox,
        .accounts = gate_table_pin_create(w->server->table),
        .quota = &p->quota,
        .credentials = p->credentials,
        .store = p->store,
        .record_first = p->config->counter_flush_ms == 0,
        .audit = w->audit,
        .recent = gate_trace_ring_create(),
        .journal = w->journal,
        .scratch = gate_alloc(sizeof(struct gate_choice)),
        .script_host = {gate_kv_create(), gate_live_counters(p->live)},
        .forward_admin = worker_forward_admin,
        .script_failing = worker_script_failing,
        .feed = {.listeners = &w->server->listeners},
        .gateway = w->server,
        .started_ms = p->started_ms,
    };
    gate_config_retain(w->env.config);
    if (getrandom(&w->env.random, sizeof w->env.random, 0) != sizeof w->env.random)
        return gate_fail(&w->error, GATE_EIO, "no random bytes: %s", strerror(errno));
    enum gate_status status = gate_registry_worker_init(p->registry, &w->error);
    if (status != GATE_OK)
        return status;
    struct gate_script *script = NULL;
    status = gate_script_create(p->generation, &w->env.script_host, &script, &w->error);
    if (status != GATE_OK)
        return status;
    w->env.script = gate_script_pin_create(p->generation, script);
    const struct gate_console console = gate_console_of(p->sessions);
    w->listener = gate_listener_create(&w->ctx, &w->env, w->auth, &console, w->fd);
    w->fd = -1;
    return GATE_OK;
}

static void close_env(struct worker *w)
{
    gate_mailbox_close(w->mailbox); /* what it still brings needs the rest */
    gate_trace_ring_destroy(w->env.recent);
    gate_stage_remove_all(&w->env);
    gate_script_pin_drop(w->env.script);
    gate_script_pin_drop(w->env.next_script);
    gate_kv_destroy(w->env.script_host.kv);
    gate_table_pin_drop(w->env.accounts);
    gate_config_release(w->env.config);
    free(w->env.scratch);
}

static void worker_stop(struct worker *w)
{
    gate_listener_destroy(w->listener);
    uint64_t give_up = gate_clock_mono_ms() + LOOKUP_WAIT_MS;
    while (gate_http1_lookups(w->http1) > 0 && gate_clock_mono_ms() < give_up)
        run_once(w, GATE_TIMER_TICK_MS);
    bool lookups = gate_http1_lookups(w->http1) > 0;
    gate_http1_destroy(w->http1);
    gate_registry_worker_fini(w->parts->registry);
    gate_timer_disarm(&w->timers, &w->log_timer);
    gate_log_batch_finish(&w->log);
    if (lookups) {
        close_env(w);
        return; /* a resolver thread will still write to this loop's queue: leave it to the exit */
    }
    run_once(w, 0); /* frees the sockets that were closed */
    close_env(w);
    h2o_context_dispose(&w->ctx);
    h2o_evloop_destroy(w->loop);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    w->status = worker_start(w);
    if (w->status != GATE_OK)
        w->cut = true;
    h2o_sem_post(w->started);
    while (!is_done(w))
        run_once(w, MAX_SLEEP_MS);
    worker_stop(w);
    return NULL;
}

/* ---- listening */

static enum gate_status bind_one(const struct addrinfo *a, const char *shown, int *out,
                                 struct gate_error *err)
{
    int on = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return gate_fail(err, GATE_EIO, "cannot open a socket for %s: %s", shown, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        enum gate_status status =
            gate_fail(err, GATE_EIO, "cannot listen on %s: %s%s", shown, strerror(errno),
                      errno == EADDRINUSE ? "; set LLM_GATE_LISTEN to another host:port" : "");
        close(fd);
        return status;
    }
    *out = fd;
    return GATE_OK;
}

/* SO_REUSEPORT would let two gateways share a port without a word: a plain socket asks first. */
static enum gate_status check_free(const struct addrinfo *a, const char *shown,
                                   struct gate_error *err)
{
    int on = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    enum gate_status status = GATE_OK;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0)
        status = gate_fail(err, GATE_EIO, "cannot listen on %s: %s%s", shown, strerror(errno),
                           errno == EADDRINUSE ? "; set LLM_GATE_LISTEN to another host:port" : "");
    close(fd);
    return status;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return 0;
    return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
                                          : ((struct sockaddr_in *)&sa)->sin_port);
}

static void set_port(struct addrinfo *a, uint16_t port)
{
    if (a->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)a->ai_addr)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)a->ai_addr)->sin_port = htons(port);
}

static enum gate_status bind_all(struct server *s, const struct gate_config *config,
                                 struct gate_error *err)
{
    char service[8], shown[300];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list;
    snprintf(service, sizeof service, "%u", config->listen_port);
    snprintf(shown, sizeof shown, "%s:%s", config->listen_host, service);
    int failed = getaddrinfo(config->listen_host, service, &hints, &list);
    if (failed != 0)
        return gate_fail(err, GATE_EINVAL, "cannot listen on %s: %s", shown, gai_strerror(failed));
    enum gate_status status = config->listen_port != 0 ? check_free(list, shown, err) : GATE_OK;
    for (size_t i = 0; i < s->count && status == GATE_OK; i++) {
        status = bind_one(list, shown, &s->workers[i].fd, err);
        if (status == GATE_OK && i == 0) {
            s->port = bound_port(s->workers[0].fd);
            set_port(list, s->port);
        }
    }
    freeaddrinfo(list);
    return status;
}

/* ---- the server */

static enum gate_status start_workers(struct server *s, struct gate_error *err)
{
    for (; s->started < s->count; s->started++) {
        struct worker *w = &s->workers[s->started];
        w->started = &s->started_sem;
        int failed = pthread_create(&w->thread, NULL, worker_main, w);
        if (failed != 0)
            return gate_fail(err, GATE_EIO, "cannot start a thread: %s", strerror(failed));
        h2o_sem_wait(&s->started_sem);
        if (w->status != GATE_OK) {
            pthread_join(w->thread, NULL);
            *err = w->error;
            return w->status;
        }
    }
    return GATE_OK;
}

static void post_drain(struct server *s)
{
    for (size_t i = 0; i < s->started; i++)
        gate_mailbox_post(s->workers[i].mailbox, on_drain, &s->workers[i]);
}

static void wait_for_signal(const sigset_t *signals)
{
    int number;
    while (sigwait(signals, &number) != 0)
        ;
    gate_log_info("received %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
}

struct joiner {
    struct server *server;
    pthread_t waiter; /* the control thread */
    pthread_t thread;
};

/* Joins the workers while the control thread listens for a second signal. */
static void *join_workers(void *arg)
{
    struct joiner *j = arg;
    for (size_t i = 0; i < j->server->started; i++)
        pthread_join(j->server->workers[i].thread, NULL);
    pthread_kill(j->waiter, SIGUSR1);
    return NULL;
}

static void drain(struct server *s, const sigset_t *signals, uint32_t drain_ms)
{
    struct joiner j = {.server = s, .waiter = pthread_self()};
    sigset_t all = *signals;
    int number;
    gate_log_info("draining: no new connections, running requests get %u ms", drain_ms);
    sigaddset(&all, SIGUSR1);
    post_drain(s);
    pthread_create(&j.thread, NULL, join_workers, &j);
    while (sigwait(&all, &number) != 0 || number != SIGUSR1)
        post_drain(s); /* a second signal: cut what still runs */
    pthread_join(j.thread, NULL);
    s->joined = true;
}

static void destroy_server(struct server *s)
{
    if (!s->joined) { /* some threads may run: the start failed */
        post_drain(s);
        post_drain(s);
        for (size_t i = 0; i < s->started; i++)
            pthread_join(s->workers[i].thread, NULL);
    }
    for (size_t i = 0; i < s->count; i++) {
        if (s->workers[i].fd >= 0)
            close(s->workers[i].fd);
        if (s->workers[i].mailbox != NULL)
            gate_mailbox_release(s->workers[i].mailbox);
        gate_audit_batch_destroy(s->workers[i].audit);
        gate_journal_batch_destroy(s->workers[i].journal);
    }
    gate_table_release(s->table);
    h2o_config_dispose(&s->h2o_config);
    free(s->workers);
}

/* Control thread: the time for running requests as it is set now. */
static void read_drain(void *arg)
{
    struct server *s = arg;
    s->drain_ms = gate_live_running(s->parts->live)->config->drain_ms;
}

enum gate_status gate_serve(const struct gate_parts *parts,
                            void (*ready)(void *ctx, const char *host, uint16_t port), void *ctx,
                            struct gate_error *err)
{
    struct server s = {.count = parts->config->workers, .parts = parts};
    sigset_t signals, blocked;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    blocked = signals;
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);

    h2o_hostinfo_max_threads = RESOLVER_THREADS;
    gate_serve_configure(&s.h2o_config, parts->config);
    h2o_sem_init(&s.started_sem, 0);
    s.workers = gate_calloc(s.count, sizeof s.workers[0]);
    for (size_t i = 0; i < s.count; i++) {
        s.workers[i].parts = parts;
        s.workers[i].server = &s;
        s.workers[i].audit = gate_audit_batch_create(parts->audit);
        s.workers[i].journal = gate_journal_batch_create(parts->journal);
        s.workers[i].auth = parts->auth;
        s.workers[i].h2o_config = &s.h2o_config;
        s.workers[i].fd = -1;
    }
    gate_control_call(parts->control, worker_first_table, &s);
    enum gate_status status = bind_all(&s, parts->config, err);
    if (status == GATE_OK)
        status = start_workers(&s, err);
    if (status == GATE_OK) {
        gate_control_call(parts->control, worker_connect, &s);
        ready(ctx, parts->config->listen_host, s.port);
        wait_for_signal(&signals);
        gate_control_call(parts->control, read_drain, &s);
        drain(&s, &signals, s.drain_ms);
        gate_control_call(parts->control, worker_disconnect, &s);
    }
    destroy_server(&s);
    return status;
}

#if defined(__SANITIZE_ADDRESS__)
/* libh2o keeps freed chunks in thread-local pools that no thread ever empties, and does not free
 * its message queues. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\nleak:h2o_multithread_create_queue\n";
}
#endif
