#include "admin/admin_internal.h"
#include "base/clock.h"

/* GET /audit: what was counted, by minute, hour or day. Each of them has sums of its own in
 * storage, so a row there is a row here. A page ends when it is full, or when enough was looked at
 * for one request; the next one goes on at its place. */

enum {
    HOUR_MS = 3600 * 1000,
    DAY_MS = 24 * HOUR_MS,
    MAX_ROWS = 5000, /* of an answer */
    DEFAULT_ROWS = 1000,
    SLICE = 4000,    /* records of one job of the store thread */
    MAX_SLICES = 8,  /* of one request */
    MAX_DAYS = 400,  /* of one request by day */
    MAX_SHORTER = 31 /* days of one request by minute or hour */
};

static const char *const group_names[GATE_AUDIT_GROUPS] = {"minute", "hour", "day"};

struct query {
    struct admin_wait *wait;
    struct gate_audit *audit;
    struct gate_audit_reading reading;
    struct gate_audit_place place;
    char account[GATE_AUDIT_MAX_ACCOUNT + 1], outcome[GATE_AUDIT_MAX_OUTCOME + 1];
    int kind; /* -1: both */
    struct gate_buf out;
    size_t shown, limit, slices;
    bool more;
    struct gate_error err;
};

/* ---- reading: store thread */

static bool take_row(void *ctx, const struct gate_audit_row *row)
{
    struct query *q = ctx;
    if ((q->kind >= 0 && row->kind != (enum gate_usage_kind)q->kind) ||
        (q->account[0] != '\0' && !gate_str_eq(row->account, gate_str_of(q->account))) ||
        !admin_is_outcome(row->outcome, gate_str_of(q->outcome)))
        return true;
    struct gate_buf *out = &q->out;
    json_open(out, NULL, '{');
    json_num(out, "at", q->reading.group == GATE_AUDIT_BY_DAY ? row->at_ms - DAY_MS : row->at_ms);
    json_str(out, "account", row->account);
    json_text(out, "kind", gate_usage_kind_names[row->kind]);
    json_str(out, "outcome", row->outcome);
    json_num(out, "count", row->count);
    json_num(out, "prompt_tokens", row->prompt_tokens);
    json_num(out, "completion_tokens", row->completion_tokens);
    json_num(out, "total_ms", row->total_ms);
    json_close(out, '}');
    return ++q->shown < q->limit;
}

static bool read_slice(struct gate_storage *s, void *arg)
{
    struct query *q = arg;
    q->err.status = gate_audit_read(q->audit, s, &q->reading, &q->place, &q->more, &q->err);
    return q->err.status == GATE_OK && q->more && q->shown < q->limit && ++q->slices < MAX_SLICES;
}

/* ---- answering: control thread */

static void finish(void *arg)
{
    struct query *q = arg;
    json_close(&q->out, ']');
    if (q->more)
        json_str(&q->out, "next", (struct gate_str){q->place.bytes, q->place.len});
    else
        json_null(&q->out, "next");
    json_close(&q->out, '}');
    if (q->err.status == GATE_OK)
        admin_wait_end(q->wait, 200, gate_buf_str(&q->out));
    else
        admin_wait_refuse(q->wait, admin_http_status(q->err.status),
                          admin_error_code(q->err.status), "%s", q->err.message);
    gate_buf_finish(&q->out);
    free(q);
}

static void start(struct admin_call *c, const struct query *wanted)
{
    struct admin_wait *wait = admin_wait_begin(c);
    if (wait == NULL)
        return;
    struct query *q = gate_alloc(sizeof *q);
    *q = *wanted;
    q->wait = wait;
    q->audit = c->admin->parts.audit;
    q->reading.most = SLICE;
    q->reading.cb = take_row;
    q->reading.ctx = q;
    gate_buf_init(&q->out, GATE_ADMIN_MAX_ANSWER);
    json_open(&q->out, NULL, '{');
    json_num(&q->out, "from", q->reading.from_ms);
    json_num(&q->out, "to", q->reading.to_ms);
    json_text(&q->out, "group", group_names[q->reading.group]);
    json_open(&q->out, "rows", '[');
    gate_store_flush(c->admin->parts.store, NULL, NULL); /* the last second counts too */
    admin_read(c->admin, read_slice, finish, q);
}

/* ---- the request */

/* Position of text in names; -1: not given; -2: none of them, refused. */
static int read_choice(struct admin_call *c, const struct admin_params *p, const char *name,
                       const char *const *names, int count)
{
    struct gate_str text = admin_param(p, name);
    if (text.len == 0)
        return -1;
    for (int i = 0; i < count; i++)
        if (gate_str_eq(text, gate_str_of(names[i])))
            return i;
    char list[64] = "";
    for (int i = 0; i < count; i++) {
        size_t len = strlen(list);
        snprintf(list + len, sizeof list - len, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    admin_refuse(c, 400, "invalid_value", name, "%s: expected one of %s.", name, list);
    return -2;
}

static bool read_span(struct admin_call *c, const struct admin_params *p,
                      struct gate_audit_reading *r)
{
    uint64_t now_ms = gate_clock_wall_ms();
    if (!admin_param_time(c, p, "to", now_ms + 1, &r->to_ms) ||
        !admin_param_time(c, p, "from", r->to_ms > HOUR_MS ? r->to_ms - HOUR_MS : 0, &r->from_ms))
        return false;
    uint64_t days = r->group == GATE_AUDIT_BY_DAY ? MAX_DAYS : MAX_SHORTER;
    if (r->from_ms >= r->to_ms) {
        admin_refuse(c, 400, "invalid_value", "from", "from: it is not before to.");
        return false;
    }
    if (r->to_ms - r->from_ms > days * DAY_MS) {
        admin_refuse(c, 400, "invalid_value", "from",
                     "from: at most %llu days at a time when grouped by %s.",
                     (unsigned long long)days, group_names[r->group]);
        return false;
    }
    if (r->group == GATE_AUDIT_BY_HOUR)
        r->from_ms -= r->from_ms % HOUR_MS;
    return true;
}

static bool read_filters(struct admin_call *c, const struct admin_params *p, struct query *q)
{
    struct gate_str account, outcome = admin_param(p, "outcome"), after = admin_param(p, "after");
    uint64_t limit;
    if (!admin_param_account(c, p, &account) ||
        !admin_param_number(c, p, "limit", 1, MAX_ROWS, DEFAULT_ROWS, &limit))
        return false;
    q->limit = (size_t)limit;
    snprintf(q->account, sizeof q->account, "%.*s", (int)account.len,
             account.len > 0 ? account.ptr : "");
    if (outcome.len >= sizeof q->outcome) {
        admin_refuse(c, 400, "invalid_value", "outcome", "outcome: expected at most %d bytes.",
                     GATE_AUDIT_MAX_OUTCOME);
        return false;
    }
    snprintf(q->outcome, sizeof q->outcome, "%.*s", (int)outcome.len,
             outcome.len > 0 ? outcome.ptr : "");
    if (after.len == 0 || gate_audit_place_read(after, &q->place))
        return true;
    admin_refuse(c, 400, "invalid_value", "after", "after: expected the \"next\" of an answer.");
    return false;
}

static bool read_query(struct admin_call *c, const struct admin_params *p, struct query *q)
{
    int group = read_choice(c, p, "group", group_names, GATE_AUDIT_GROUPS);
    if (group < -1)
        return false;
    q->kind = read_choice(c, p, "kind", gate_usage_kind_names, GATE_USAGE_KINDS);
    if (q->kind < -1)
        return false;
    q->reading.group = group < 0 ? GATE_AUDIT_BY_MINUTE : (enum gate_audit_group)group;
    return read_filters(c, p, q) && read_span(c, p, &q->reading);
}

void admin_audit(struct admin_call *c)
{
    struct admin_params p;
    struct query q = {0};
    if (!admin_params_read(c, "from|to|account|outcome|kind|group|limit|after", &p))
        return;
    if (read_query(c, &p, &q))
        start(c, &q);
    admin_params_finish(&p);
}
