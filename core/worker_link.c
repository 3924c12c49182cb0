/* Messages between the workers and the control thread: admin requests and their answers, account
 * tables, and questions to all workers. */
#include "worker_internal.h"
#include <stdlib.h>

/* ---- admin requests: to the control thread and back */

struct forwarded {
    struct server *server;
    struct gate_mailbox *mailbox; /* of the worker that asked; retained */
    char *text;                   /* method, path, query, body and session */
    struct gate_admin_request request;
    void (*reply)(void *ctx, int status, struct gate_str json);
    void *ctx;
    int status;
    struct gate_buf json;
};

static size_t text_len(const struct gate_admin_request *r)
{
    return r->method.len + r->path.len + r->query.len + r->body.len + r->session.len;
}

static void free_forwarded(struct forwarded *f)
{
    atomic_fetch_sub(&f->server->forwarded, 1);
    gate_mailbox_release(f->mailbox);
    gate_wipe(f->text, text_len(&f->request)); /* may hold a key */
    free(f->text);
    gate_buf_finish(&f->json);
    free(f);
}

/* Worker. */
static void bring_reply(void *arg)
{
    struct forwarded *f = arg;
    f->reply(f->ctx, f->status, gate_buf_str(&f->json));
    free_forwarded(f);
}

/* Control thread. */
static void on_admin_reply(void *ctx, int status, struct gate_str json)
{
    struct forwarded *f = ctx;
    f->status = status;
    gate_buf_append(&f->json, json);
    if (!gate_mailbox_post(f->mailbox, bring_reply, f))
        bring_reply(f); /* the worker has ended, and its clients with it: ctx is freed */
}

static void handle_admin(void *arg)
{
    struct forwarded *f = arg;
    if (f->server->admin != NULL)
        gate_admin_handle(f->server->admin, &f->request, on_admin_reply, f);
    else
        on_admin_reply(f, 503,
                       GATE_STR("{\"error\":{\"message\":\"The gateway is stopping.\",\"type\":"
                                "\"server_error\",\"code\":\"stopping\"}}"));
}

static struct gate_str put_view(char **at, struct gate_str s)
{
    struct gate_str view = {*at, s.len};
    if (s.len > 0)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return view;
}

bool worker_forward_admin(struct gate_env *env, const struct gate_admin_request *r,
                          void (*reply)(void *ctx, int status, struct gate_str json), void *ctx)
{
    struct server *s = env->gateway;
    if (atomic_fetch_add(&s->forwarded, 1) >= GATE_ADMIN_MAX_WAITING) {
        atomic_fetch_sub(&s->forwarded, 1);
        return false;
    }
    struct forwarded *f = gate_calloc(1, sizeof *f);
    f->server = s;
    f->mailbox = env->mailbox;
    gate_mailbox_retain(f->mailbox);
    char *at = f->text = gate_alloc(text_len(r) + 1);
    f->request.method = put_view(&at, r->method);
    f->request.path = put_view(&at, r->path);
    f->request.query = put_view(&at, r->query);
    f->request.body = put_view(&at, r->body);
    f->request.session = put_view(&at, r->session);
    f->reply = reply;
    f->ctx = ctx;
    gate_buf_init(&f->json, GATE_ADMIN_MAX_ANSWER);
    gate_control_post(s->parts->control, handle_admin, f);
    return true;
}

/* ---- from the control thread to all workers */

struct visit {
    struct worker *worker;
    void (*visit)(struct gate_env *env, void *arg);
    void *arg;
    struct visitors *all;
};

/* One round of visits; the last one back tells the control thread. */
struct visitors {
    struct server *server;
    _Atomic size_t left;
    void (*done)(void *arg);
    void *arg;
};

static void end_visits(void *arg)
{
    struct visitors *v = arg;
    v->done(v->arg);
    free(v);
}

static void leave(struct visitors *v)
{
    if (atomic_fetch_sub(&v->left, 1) == 1)
        gate_control_post(v->server->parts->control, end_visits, v);
}

static void on_visit(void *arg)
{
    struct visit *v = arg;
    v->visit(&v->worker->env, v->arg);
    leave(v->all);
    free(v);
}

/* Control thread; see gate_workers. */
static void visit_workers(void *ctx, void (*visit)(struct gate_env *env, void *arg),
                          void (*done)(void *arg), void *arg)
{
    struct server *s = ctx;
    struct visitors *all = gate_calloc(1, sizeof *all);
    all->server = s;
    all->done = done;
    all->arg = arg;
    atomic_init(&all->left, s->started + 1);
    for (size_t i = 0; i < s->started; i++) {
        struct visit *v = gate_calloc(1, sizeof *v);
        v->worker = &s->workers[i];
        v->visit = visit;
        v->arg = arg;
        v->all = all;
        if (!gate_mailbox_post(v->worker->mailbox, on_visit, v)) {
            leave(all);
            free(v);
        }
    }
    leave(all);
}

/* ---- the live stream */

struct event {
    struct worker *worker;
    size_t len;
    char text[];
};

static void on_event(void *arg)
{
    struct event *e = arg;
    struct gate_feed_client *client = e->worker->env.feed.first;
    while (client != NULL) {
        struct gate_feed_client *next = client->next;
        client->event(client, (struct gate_str){e->text, e->len});
        client = next;
    }
    free(e);
}

static unsigned count_listeners(void *ctx)
{
    struct server *s = ctx;
    return atomic_load(&s->listeners);
}

static void broadcast(void *ctx, struct gate_str event)
{
    struct server *s = ctx;
    for (size_t i = 0; i < s->started && count_listeners(s) > 0; i++) {
        struct event *e = gate_alloc(sizeof *e + event.len);
        e->worker = &s->workers[i];
        e->len = event.len;
        memcpy(e->text, event.ptr, event.len);
        if (!gate_mailbox_post(e->worker->mailbox, on_event, e))
            free(e);
    }
}

/* ---- scripts that fail */

struct failing {
    struct gate_live *live;
    uint64_t generation;
    char why[GATE_ERROR_MAX];
};

static void on_failing(void *arg)
{
    struct failing *f = arg;
    gate_live_failing(f->live, f->generation, f->why);
    free(f);
}

void worker_script_failing(struct gate_env *env, uint64_t generation, const char *why)
{
    const struct server *s = env->gateway;
    struct failing *f = gate_calloc(1, sizeof *f);
    f->live = s->parts->live;
    f->generation = generation;
    snprintf(f->why, sizeof f->why, "%s", why);
    gate_control_post(s->parts->control, on_failing, f);
}

/* ---- a new account table */
struct delivery {
    struct worker *worker;
    struct gate_table *table; /* retained */
};

static void on_table(void *arg)
{
    struct delivery *d = arg;
    struct gate_table_pin *old = d->worker->env.accounts;
    d->worker->env.accounts = gate_table_pin_create(d->table);
    gate_table_pin_drop(old);
    gate_table_release(d->table);
    free(d);
}

static void publish_table(void *ctx, struct gate_table *table)
{
    struct server *s = ctx;
    for (size_t i = 0; i < s->started; i++) {
        struct delivery *d = gate_calloc(1, sizeof *d);
        gate_table_retain(table);
        d->worker = &s->workers[i];
        d->table = table;
        if (!gate_mailbox_post(d->worker->mailbox, on_table, d)) {
            gate_table_release(table);
            free(d);
        }
    }
    gate_live_restage(s->parts->live); /* behind it, and before what waits for it */
}

void worker_first_table(void *arg)
{
    struct server *s = arg;
    s->table = gate_roster_table(s->parts->roster);
}

void worker_connect(void *arg)
{
    struct server *s = arg;
    struct gate_admin_parts admin = gate_parts_admin(s->parts);
    const struct gate_publisher publisher = {publish_table, s};
    admin.listen_port = s->port;
    admin.workers = (struct gate_workers){
        .count = s->started,
        .visit = visit_workers,
        .broadcast = broadcast,
        .listeners = count_listeners,
        .ctx = s,
    };
    s->admin = gate_admin_create(&admin);
    gate_roster_set_publisher(s->parts->roster, &publisher);
    struct gate_table *newest = gate_roster_table(s->parts->roster);
    publish_table(s, newest);
    gate_table_release(newest);
    gate_live_connect(s->parts->live, &admin.workers);
}

void worker_disconnect(void *arg)
{
    struct server *s = arg;
    const struct gate_publisher nobody = {NULL, NULL};
    gate_roster_set_publisher(s->parts->roster, &nobody);
    gate_live_disconnect(s->parts->live);
    gate_admin_destroy(s->admin);
    s->admin = NULL;
}
