/* GET /admin/api/events: the live stream. It begins with a snapshot, which the control thread
 * makes; what is sent before it is in it. A client that does not keep up misses events and is told
 * to look again (resync). */
#include "serve/serve_internal.h"
#include <stdlib.h>

enum {
    MAX_CLIENTS = 64, /* of one worker */
    HEARTBEAT_MS = 15000,
    MAX_BACKLOG = 256 * 1024, /* bytes that wait for one client */
    SEND_BUFFER = 64 * 1024,  /* and those in its socket, which would be old when they are read */
};

struct serve_events {
    struct gate_feed_client client; /* first */
    struct gate_env *env;
    struct serve_request *request; /* NULL: the client is gone, the snapshot is on its way */
    struct gate_timer heartbeat;
    bool begun; /* the snapshot was sent */
    bool lost;  /* events were dropped since */
};

static void link_client(struct serve_events *e)
{
    struct gate_feed *feed = &e->env->feed;
    e->client.next = feed->first;
    if (feed->first != NULL)
        feed->first->prev = &e->client;
    feed->first = &e->client;
    feed->count++;
    if (feed->listeners != NULL)
        atomic_fetch_add(feed->listeners, 1);
}

static void unlink_client(struct serve_events *e)
{
    struct gate_feed *feed = &e->env->feed;
    if (e->client.prev != NULL)
        e->client.prev->next = e->client.next;
    else
        feed->first = e->client.next;
    if (e->client.next != NULL)
        e->client.next->prev = e->client.prev;
    feed->count--;
    if (feed->listeners != NULL)
        atomic_fetch_sub(feed->listeners, 1);
    gate_timer_disarm(e->env->timers, &e->heartbeat);
}

/* The session that let the client in may be over meanwhile: then the stream is too. When one is
 * ended an event goes out, so that this is looked at. */
static bool may_listen(const struct serve_request *r)
{
    const struct gate_console *console = &r->conn->listener->console;
    return r->session[0] == '\0' || console->lives(console->ctx, r->session);
}

static void end_stream(struct serve_request *r)
{
    serve_events_forget(r);
    serve_client_ops.end(r, true);
}

/* e may be gone afterwards. */
static void send_event(struct serve_events *e, struct gate_str event)
{
    struct serve_request *r = e->request;
    if (!may_listen(r)) {
        end_stream(r);
        return;
    }
    if (serve_client_ops.backlog(r) > MAX_BACKLOG) {
        e->lost = true;
        return;
    }
    if (e->lost)
        serve_client_ops.write(r, GATE_STR("event: resync\ndata: {}\n\n"));
    e->lost = false;
    serve_client_ops.write(r, event);
    serve_client_ops.flush(r);
}

static void on_event(struct gate_feed_client *client, struct gate_str event)
{
    struct serve_events *e = (struct serve_events *)client;
    gate_timers_touch(e->env->timers, gate_clock_mono_ms());
    if (e->begun)
        send_event(e, event);
}

static void on_heartbeat(struct gate_timer *timer)
{
    struct serve_events *e =
        (struct serve_events *)((char *)timer - offsetof(struct serve_events, heartbeat));
    gate_timer_arm(e->env->timers, &e->heartbeat, HEARTBEAT_MS);
    /* An event and no comment: browsers hide comments from the page that wants to know whether its
     * connection still lives. */
    send_event(e, GATE_STR("event: ping\ndata: {}\n\n"));
}

/* Else the kernel keeps megabytes for a client that does not read. */
static void bound_socket(const struct serve_request *r)
{
    h2o_socket_t *sock = r->req->conn->callbacks->get_socket(r->req->conn);
    const int bytes = SEND_BUFFER;
    setsockopt(h2o_socket_get_fd(sock), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

static void begin(struct serve_events *e, struct gate_str snapshot)
{
    const struct gate_client_head head = {
        .status = 200, .content_type = GATE_STR("text/event-stream"), .content_length = -1};
    struct serve_request *r = e->request;
    e->begun = true;
    bound_socket(r);
    e->heartbeat.cb = on_heartbeat;
    gate_timer_arm(e->env->timers, &e->heartbeat, HEARTBEAT_MS);
    serve_client_ops.head(r, &head);
    serve_client_ops.write(r, GATE_STR("retry: 2000\nevent: snapshot\ndata: "));
    serve_client_ops.write(r, snapshot);
    serve_client_ops.write(r, GATE_STR("\n\n"));
    serve_client_ops.flush(r);
    if (r->conn->listener->draining)
        serve_events_end(r->conn->listener);
    else if (!may_listen(r))
        end_stream(r);
}

static void on_snapshot(void *ctx, int status, struct gate_str json)
{
    struct serve_events *e = ctx;
    struct serve_request *r = e->request;
    if (r == NULL) {
        free(e);
        return;
    }
    gate_timers_touch(e->env->timers, gate_clock_mono_ms());
    if (status == 200) {
        begin(e, json);
        return;
    }
    unlink_client(e);
    r->events = NULL;
    free(e);
    serve_answer(r, status, GATE_STR("application/json"), NULL, 0, json);
}

/* With its query, of which the control thread says that it knows no parameter. */
static bool ask_snapshot(struct serve_events *e)
{
    const h2o_req_t *req = e->request->req;
    struct gate_str query = {NULL, 0};
    if (req->query_at != SIZE_MAX)
        query = (struct gate_str){req->path.base + req->query_at + 1,
                                  req->path.len - req->query_at - 1};
    const struct gate_admin_request request = {
        .method = GATE_STR("GET"),
        .path = GATE_STR("/events"),
        .query = query,
        .session = gate_str_of(e->request->session),
    };
    return e->env->forward_admin(e->env, &request, on_snapshot, e);
}

void serve_events(struct serve_request *r)
{
    struct gate_env *env = r->conn->listener->env;
    struct gate_api_error busy = {
        .status = 503,
        .type = GATE_STR("server_error"),
        .code = GATE_STR("busy"),
        .message = GATE_STR("Too many clients follow the events already. Try again later."),
    };
    if (env->feed.count >= MAX_CLIENTS || r->conn->listener->draining) {
        serve_refuse(r, &busy, NULL, 0);
        return;
    }
    struct serve_events *e = gate_calloc(1, sizeof *e);
    e->client.event = on_event;
    e->env = env;
    e->request = r;
    link_client(e); /* first: what happens right behind the snapshot must find a listener */
    if (!ask_snapshot(e)) {
        unlink_client(e);
        free(e);
        serve_refuse(r, &busy, NULL, 0);
        return;
    }
    r->events = e;
    serve_watch(r);
}

void serve_events_forget(struct serve_request *r)
{
    struct serve_events *e = r->events;
    if (e == NULL)
        return;
    r->events = NULL;
    unlink_client(e);
    e->request = NULL;
    if (e->begun)
        free(e); /* else the snapshot's reply frees it */
}

void serve_events_end(struct gate_listener *l)
{
    struct gate_feed_client *client = l->env->feed.first;
    while (client != NULL) {
        struct gate_feed_client *next = client->next;
        struct serve_events *e = (struct serve_events *)client;
        if (e->begun)
            end_stream(e->request);
        client = next;
    }
}
