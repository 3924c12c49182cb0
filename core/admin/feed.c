#include "admin/feed.h"
#include "base/clock.h"

enum {
    TICK_MS = 250,
    STATS_TICKS = 4, /* between two stats */
    MAX_STATS = 64 * 1024,
};

struct admin_feed {
    struct gate_admin *admin; /* NULL: it is gone, and whoever comes back last frees the feed */
    struct gate_timer timer;
    unsigned tick;
    bool fresh;  /* somebody has just come: he is told how the gateway is */
    bool forced; /* for somebody who had come when this round began */
    bool visiting, reading;
    uint64_t restarted_ms; /* the only one who listens came then, in a round; 0: before it */
    struct feed_requests requests;
    struct feed_accounts accounts;
    struct gate_buf said;     /* stats as they were told last */
    struct admin_load *loads; /* of the last round */
    size_t load_count;
    /* Of the stats that are read. */
    struct gate_audit *audit;
    uint64_t now_ms;
    struct gate_series_point today;
};

static void release(struct admin_feed *f)
{
    if (f->admin != NULL || f->visiting || f->reading)
        return;
    feed_requests_finish(&f->requests);
    feed_accounts_finish(&f->accounts);
    gate_buf_finish(&f->said);
    free(f->loads);
    free(f);
}

/* ---- stats */

/* Store thread. */
static bool read_today(struct gate_storage *s, void *arg)
{
    struct admin_feed *f = arg;
    gate_series_today(f->audit, s, f->now_ms, &f->today);
    return false;
}

/* Not told again while nothing but the time is another. */
static bool is_said(struct admin_feed *f, struct gate_str body)
{
    bool same = gate_str_eq(body, gate_buf_str(&f->said));
    if (!same) {
        gate_buf_consume(&f->said, f->said.len);
        gate_buf_append(&f->said, body);
    }
    bool told = same && !f->forced;
    f->forced = false;
    return told;
}

static void send_stats(struct admin_feed *f)
{
    struct gate_admin *a = f->admin;
    const struct gate_quota *q = gate_roster_quota(a->parts.roster);
    const struct gate_error none = {0};
    uint64_t started = a->parts.started_ms;
    struct gate_buf out, body;
    gate_buf_init(&body, MAX_STATS);
    gate_buf_init(&out, MAX_STATS + 1024);
    admin_put_now(a, f->loads, f->load_count, &none, f->now_ms, &body);
    json_open(&body, "today", '{');
    json_num(&body, "ends_at", q->ops->day_end(q->instance, f->now_ms));
    admin_put_point(&body, &f->today);
    json_close(&body, '}');
    json_open(&out, NULL, '{');
    json_num(&out, "now", f->now_ms);
    json_num(&out, "uptime_ms", f->now_ms > started ? f->now_ms - started : 0);
    gate_buf_append_byte(&out, ',');
    gate_buf_append(&out, gate_buf_str(&body));
    json_close(&out, '}');
    if (!is_said(f, gate_buf_str(&body)))
        admin_events_send(a, "stats", gate_buf_str(&out));
    gate_buf_finish(&body);
    gate_buf_finish(&out);
}

static void on_today(void *arg)
{
    struct admin_feed *f = arg;
    f->reading = false;
    if (f->admin != NULL)
        send_stats(f);
    release(f);
}

/* Behind the first round of visits, which the numbers of workers come from. */
static void ask_stats(struct admin_feed *f, uint64_t now_ms)
{
    if (f->reading)
        return;
    f->reading = true;
    f->now_ms = now_ms;
    admin_read(f->admin, read_today, on_today, f);
}

/* ---- ticks */

/* Worker. */
static void visit(struct gate_env *env, void *arg)
{
    struct admin_feed *f = arg;
    feed_requests_visit(&f->requests, env);
}

static void on_visited(void *arg)
{
    struct admin_feed *f = arg;
    f->visiting = false;
    if (f->admin != NULL) {
        f->load_count = f->requests.load_count;
        memcpy(f->loads, f->requests.loads, f->load_count * sizeof f->loads[0]);
        if (f->restarted_ms == 0)
            feed_requests_send(&f->requests, f->admin);
        else
            feed_requests_begin(&f->requests, f->restarted_ms);
        f->restarted_ms = 0;
        if (f->forced || f->tick % STATS_TICKS == 0)
            ask_stats(f, gate_clock_wall_ms());
    }
    release(f);
}

static void on_tick(struct gate_timer *timer)
{
    struct admin_feed *f =
        (struct admin_feed *)((char *)timer - offsetof(struct admin_feed, timer));
    const struct gate_workers *w = &f->admin->parts.workers;
    if (w->listeners(w->ctx) == 0)
        return; /* the next one to come begins anew */
    gate_timer_arm(gate_control_timers(f->admin->parts.control), &f->timer, TICK_MS);
    f->tick++;
    feed_accounts_send(&f->accounts, f->admin, gate_clock_wall_ms());
    if (f->visiting)
        return;
    f->visiting = true;
    f->forced = f->forced || f->fresh;
    f->fresh = false;
    feed_requests_reset(&f->requests);
    w->visit(w->ctx, visit, on_visited, f);
}

void admin_feed_listen(struct gate_admin *a)
{
    struct admin_feed *f = a->feed;
    if (f == NULL)
        return;
    const struct gate_workers *w = &a->parts.workers;
    bool is_armed = gate_timer_is_armed(&f->timer);
    f->fresh = true;
    if (is_armed && w->listeners(w->ctx) > 1)
        return;
    /* The first one, or the others left since the last tick: what was before is not told. */
    uint64_t now_ms = gate_clock_wall_ms();
    if (f->visiting)
        f->restarted_ms = now_ms;
    else
        feed_requests_begin(&f->requests, now_ms);
    feed_accounts_begin(&f->accounts, a, now_ms);
    if (!is_armed)
        gate_timer_arm(gate_control_timers(a->parts.control), &f->timer, TICK_MS);
}

void admin_feed_start(struct gate_admin *a)
{
    const struct gate_workers *w = &a->parts.workers;
    if (w->visit == NULL || w->broadcast == NULL)
        return;
    struct admin_feed *f = gate_calloc(1, sizeof *f);
    f->admin = a;
    f->audit = a->parts.audit;
    f->timer.cb = on_tick;
    f->loads = gate_calloc(w->count + 1, sizeof f->loads[0]);
    feed_requests_init(&f->requests, w->count);
    gate_buf_init(&f->said, MAX_STATS);
    a->feed = f;
}

void admin_feed_stop(struct gate_admin *a)
{
    struct admin_feed *f = a->feed;
    if (f == NULL)
        return;
    gate_timer_disarm(gate_control_timers(a->parts.control), &f->timer);
    a->feed = NULL;
    f->admin = NULL;
    release(f);
}
