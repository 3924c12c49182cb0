#include "admin/admin_internal.h"
#include "base/clock.h"

/* GET /series: what charts show. Minutes for a day back, hours for 30 days; never more records than
 * a day has minutes. */

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS, MAX_POINTS = 192 };

static const struct range {
    const char *name;
    uint64_t step_ms;
    size_t count;
    bool hours;
} ranges[] = {
    {"1h", MINUTE_MS, 60, false},
    {"6h", 5 * MINUTE_MS, 72, false},
    {"24h", 15 * MINUTE_MS, 96, false},
    {"30d", 4 * HOUR_MS, 180, true},
};
enum { RANGES = sizeof ranges / sizeof ranges[0] };

struct series {
    struct admin_wait *wait;
    const struct range *range;
    char account[GATE_AUDIT_MAX_ACCOUNT + 1];
    uint64_t from_ms, to_ms;
    struct gate_error err;
    struct gate_series_point points[MAX_POINTS];
};

static bool read_points(struct gate_storage *storage, void *arg)
{
    struct series *s = arg;
    const struct gate_series_reading reading = {
        .account = gate_str_of(s->account),
        .hours = s->range->hours,
        .from_ms = s->from_ms,
        .to_ms = s->to_ms,
        .step_ms = s->range->step_ms,
        .points = s->points,
    };
    s->err.status = gate_series_read(storage, &reading, &s->err);
    return false;
}

static void put_percentile(struct gate_buf *out, const char *name,
                           const uint64_t counts[GATE_LATENCY_BUCKETS], unsigned percent)
{
    uint64_t ms;
    if (gate_latency_percentile(counts, percent, &ms))
        json_num(out, name, ms);
    else
        json_null(out, name);
}

static void put_members(struct gate_buf *out, const struct gate_series_point *p)
{
    json_num(out, "success", p->classes[GATE_SERIES_SUCCESS]);
    json_num(out, "limited", p->classes[GATE_SERIES_LIMITED]);
    json_num(out, "error", p->classes[GATE_SERIES_ERROR]);
    json_num(out, "cancelled", p->classes[GATE_SERIES_CANCELLED]);
    json_num(out, "prompt_tokens", p->prompt_tokens);
    json_num(out, "completion_tokens", p->completion_tokens);
    put_percentile(out, "p50_ms", p->total, 50);
    put_percentile(out, "p95_ms", p->total, 95);
    put_percentile(out, "first_p50_ms", p->first, 50);
}

static void put_points(struct gate_buf *out, const struct series *s)
{
    json_open(out, "points", '[');
    for (size_t i = 0; i < s->range->count; i++) {
        json_open(out, NULL, '{');
        json_num(out, "at", s->from_ms + i * s->range->step_ms);
        put_members(out, &s->points[i]);
        json_close(out, '}');
    }
    json_close(out, ']');
}

/* Of the whole range; percentiles come from all latencies together. */
static void put_total(struct gate_buf *out, const struct series *s)
{
    struct gate_series_point total = {.total_us = 0};
    for (size_t i = 0; i < s->range->count; i++)
        gate_series_sum(&total, &s->points[i]);
    json_open(out, "total", '{');
    put_members(out, &total);
    json_close(out, '}');
}

static void finish(void *arg)
{
    struct series *s = arg;
    struct gate_buf out;
    gate_buf_init(&out, GATE_ADMIN_MAX_ANSWER);
    if (s->err.status != GATE_OK) {
        admin_wait_refuse(s->wait, admin_http_status(s->err.status),
                          admin_error_code(s->err.status), "%s", s->err.message);
        free(s);
        return;
    }
    json_open(&out, NULL, '{');
    json_text(&out, "range", s->range->name);
    json_text_or_null(&out, "account", s->account);
    json_num(&out, "step_ms", s->range->step_ms);
    json_num(&out, "from", s->from_ms);
    json_num(&out, "to", s->to_ms);
    put_total(&out, s);
    put_points(&out, s);
    json_close(&out, '}');
    admin_wait_end(s->wait, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
    free(s);
}

static const struct range *read_range(struct admin_call *c, const struct admin_params *p)
{
    struct gate_str name = admin_param(p, "range");
    if (name.len == 0)
        return &ranges[0];
    for (size_t i = 0; i < RANGES; i++)
        if (gate_str_eq(name, gate_str_of(ranges[i].name)))
            return &ranges[i];
    admin_refuse(c, 400, "invalid_value", "range", "range: expected one of 1h, 6h, 24h, 30d.");
    return NULL;
}

static void start(struct admin_call *c, const struct range *range, struct gate_str account)
{
    struct admin_wait *wait = admin_wait_begin(c);
    if (wait == NULL)
        return;
    struct series *s = gate_calloc(1, sizeof *s);
    s->wait = wait;
    s->range = range;
    snprintf(s->account, sizeof s->account, "%.*s", (int)account.len,
             account.len > 0 ? account.ptr : "");
    s->to_ms = (gate_clock_wall_ms() / range->step_ms + 1) * range->step_ms;
    s->from_ms = s->to_ms - range->count * range->step_ms;
    gate_store_flush(c->admin->parts.store, NULL, NULL); /* the last second counts too */
    admin_read(c->admin, read_points, finish, s);
}

void admin_series(struct admin_call *c)
{
    struct admin_params p;
    if (!admin_params_read(c, "range|account", &p))
        return;
    const struct range *range = read_range(c, &p);
    struct gate_str account;
    if (range != NULL && admin_param_account(c, &p, &account))
        start(c, range, account);
    admin_params_finish(&p);
}
