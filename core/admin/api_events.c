/* GET /events: the live stream. Here only the snapshot that it begins with is made; the events go
 * to the workers, which have the clients. */
#include "admin/admin_internal.h"

enum { MAX_SNAPSHOT = 64 * 1024, MAX_EVENT = 160 * 1024 };

void admin_events_send(struct gate_admin *a, const char *type, struct gate_str json)
{
    const struct gate_workers *w = &a->parts.workers;
    struct gate_buf text;
    if (w->broadcast == NULL || w->listeners(w->ctx) == 0)
        return;
    gate_buf_init(&text, MAX_EVENT);
    gate_buf_printf(&text, "event: %s\ndata: ", type);
    if (gate_buf_append(&text, json) && gate_buf_append(&text, GATE_STR("\n\n")))
        w->broadcast(w->ctx, gate_buf_str(&text));
    gate_buf_finish(&text);
}

static void on_script_event(void *ctx, struct gate_str event)
{
    admin_events_send(ctx, "script", event);
}

void admin_events_start(struct gate_admin *a)
{
    gate_live_listen(a->parts.live, on_script_event, a);
    admin_feed_start(a);
}

void admin_events_stop(struct gate_admin *a)
{
    gate_live_listen(a->parts.live, NULL, NULL);
    admin_feed_stop(a);
}

void admin_events_snapshot(struct admin_call *c)
{
    const struct gate_admin_parts *p = &c->admin->parts;
    struct gate_live_disk disk = gate_live_disk(p->live);
    struct gate_buf out;
    if (!admin_no_params(c))
        return;
    gate_buf_init(&out, MAX_SNAPSHOT);
    json_open(&out, NULL, '{');
    json_text(&out, "version", GATE_VERSION);
    json_num(&out, "started", p->started_ms);
    json_num(&out, "workers", p->workers.count);
    json_num(&out, "generation", gate_generation_number(gate_live_running(p->live)->generation));
    json_bool(&out, "disk_differs", disk.differs);
    json_close(&out, '}');
    admin_feed_listen(c->admin);
    admin_reply(c, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
}
