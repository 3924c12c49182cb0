#include "admin/admin_internal.h"
#include "base/clock.h"

/* GET /audit: what was counted, by minute, hour or day. Minutes are read from storage in pieces, so
 * that the store thread does other work between them; days have sums of their own. */

enum {
    HOUR_MS = 3600 * 1000,
    DAY_MS = 24 * HOUR_MS,
    PIECE_MS = HOUR_MS,   /* of one job of the store thread */
    MAX_ROWS = 5000,      /* of an answer */
    MAX_SCANNED = 250000, /* minute rows that one request reads */
    MAX_DAYS = 400,       /* of one request */
    MAX_PIECES = 24 * 31, /* hours of one request */
};

enum group { GROUP_MINUTE, GROUP_HOUR, GROUP_DAY, GROUPS };
static const char *const group_names[GROUPS] = {"minute", "hour", "day"};

/* A sum of rows of the same bucket, account, kind and outcome. */
struct cell {
    uint32_t next; /* in its chain, +1; 0: last */
    char account[GATE_AUDIT_MAX_ACCOUNT + 1], outcome[GATE_AUDIT_MAX_OUTCOME + 1];
    enum gate_usage_kind kind;
    uint64_t count, prompt, completion, total_ms;
};

enum { CHAINS = 1024 };

struct query {
    struct gate_admin *admin;
    uint64_t from_ms, to_ms;
    struct gate_str account, outcome;
    int kind; /* -1: both */
    enum group group;
    struct gate_buf out;
    size_t shown, scanned;
    bool truncated;
    /* The bucket at hand. */
    uint64_t bucket_ms;
    struct cell *cells;
    size_t count, room;
    uint32_t chains[CHAINS];
    /* The piece at hand. */
    uint64_t piece_from, piece_to;
    struct gate_error err;
};

/* ---- buckets */

static void emit(struct query *q)
{
    for (size_t i = 0; i < q->count; i++) {
        const struct cell *cell = &q->cells[i];
        if (q->shown == MAX_ROWS) {
            q->truncated = true;
            break;
        }
        q->shown++;
        json_open(&q->out, NULL, '{');
        json_num(&q->out, "at", q->bucket_ms);
        json_text(&q->out, "account", cell->account);
        json_text(&q->out, "kind", gate_usage_kind_names[cell->kind]);
        json_text(&q->out, "outcome", cell->outcome);
        json_num(&q->out, "count", cell->count);
        json_num(&q->out, "prompt_tokens", cell->prompt);
        json_num(&q->out, "completion_tokens", cell->completion);
        json_num(&q->out, "total_ms", cell->total_ms);
        json_close(&q->out, '}');
    }
    q->count = 0;
    memset(q->chains, 0, sizeof q->chains);
}

static uint32_t hash(struct gate_str s, uint32_t h)
{
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * 16777619u;
    return h;
}

static struct cell *cell_of(struct query *q, const struct gate_audit_row *row)
{
    uint32_t chain = hash(row->outcome, hash(row->account, 2166136261u + row->kind)) % CHAINS;
    for (uint32_t at = q->chains[chain]; at != 0; at = q->cells[at - 1].next) {
        struct cell *cell = &q->cells[at - 1];
        if (cell->kind == row->kind && gate_str_eq(row->account, gate_str_of(cell->account)) &&
            gate_str_eq(row->outcome, gate_str_of(cell->outcome)))
            return cell;
    }
    if (q->count == q->room) {
        q->room = 2 * q->room + 64;
        q->cells = gate_realloc(q->cells, q->room * sizeof q->cells[0]);
    }
    struct cell *fresh = &q->cells[q->count++];
    *fresh = (struct cell){.next = q->chains[chain], .kind = row->kind};
    snprintf(fresh->account, sizeof fresh->account, "%.*s", (int)row->account.len,
             row->account.ptr);
    snprintf(fresh->outcome, sizeof fresh->outcome, "%.*s", (int)row->outcome.len,
             row->outcome.ptr);
    q->chains[chain] = (uint32_t)q->count;
    return fresh;
}

/* "error" stands for every error, "limited" for every limit. */
static bool is_outcome(struct gate_str outcome, struct gate_str wanted)
{
    if (wanted.len == 0 || gate_str_eq(outcome, wanted))
        return true;
    return gate_str_starts(outcome, wanted) && outcome.ptr[wanted.len] == ':' &&
           memchr(wanted.ptr, ':', wanted.len) == NULL;
}

static bool take_row(void *ctx, const struct gate_audit_row *row)
{
    struct query *q = ctx;
    if (q->scanned++ == MAX_SCANNED) {
        q->truncated = true;
        return false;
    }
    if ((q->kind >= 0 && row->kind != (enum gate_usage_kind)q->kind) ||
        (q->account.len > 0 && !gate_str_eq(q->account, row->account)) ||
        !is_outcome(row->outcome, q->outcome))
        return true;
    uint64_t bucket = q->group == GROUP_DAY    ? q->piece_from
                      : q->group == GROUP_HOUR ? row->at_ms - row->at_ms % HOUR_MS
                                               : row->at_ms;
    if (bucket != q->bucket_ms) {
        emit(q);
        q->bucket_ms = bucket;
    }
    struct cell *cell = cell_of(q, row);
    cell->count += row->count;
    cell->prompt += row->prompt_tokens;
    cell->completion += row->completion_tokens;
    cell->total_ms += row->total_ms;
    return !q->truncated;
}

/* ---- reading: store thread */

static void read_minutes(struct gate_storage *s, void *arg)
{
    struct query *q = arg;
    q->err.status = gate_audit_query(q->admin->parts.audit, s, q->piece_from, q->piece_to,
                                     (struct gate_str){NULL, 0}, (struct gate_str){NULL, 0},
                                     take_row, q, &q->err);
}

static void read_day(struct gate_storage *s, void *arg)
{
    struct query *q = arg;
    q->err.status = gate_audit_today(q->admin->parts.audit, s, q->piece_from, take_row, q, &q->err);
}

/* ---- reading: control thread */

/* Reads piece by piece. */
static void read_all(struct query *q)
{
    struct gate_store *store = q->admin->parts.store;
    const struct gate_quota *quota = gate_roster_quota(q->admin->parts.roster);
    for (uint64_t at = q->from_ms; at < q->to_ms && !q->truncated && q->err.status == GATE_OK;
         at = q->piece_to) {
        q->piece_from = at;
        if (q->group == GROUP_DAY) {
            q->piece_to = quota->ops->day_end(quota->instance, at);
            q->piece_from = q->piece_to - DAY_MS;
            gate_store_call(store, read_day, q);
        } else {
            q->piece_to = at + PIECE_MS < q->to_ms ? at + PIECE_MS : q->to_ms;
            gate_store_call(store, read_minutes, q);
        }
        /* What one piece cannot hold is cut there. */
        if (q->err.status == GATE_ELIMIT) {
            q->err.status = GATE_OK;
            q->truncated = true;
        }
    }
    emit(q);
}

static void answer(struct admin_call *c, struct query *q)
{
    gate_buf_init(&q->out, GATE_ADMIN_MAX_ANSWER);
    json_open(&q->out, NULL, '{');
    json_num(&q->out, "from", q->from_ms);
    json_num(&q->out, "to", q->to_ms);
    json_text(&q->out, "group", group_names[q->group]);
    json_open(&q->out, "rows", '[');
    read_all(q);
    json_close(&q->out, ']');
    json_bool(&q->out, "truncated", q->truncated);
    json_close(&q->out, '}');
    if (q->err.status == GATE_OK)
        admin_reply(c, 200, gate_buf_str(&q->out));
    else
        admin_refuse_error(c, &q->err);
    gate_buf_finish(&q->out);
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

static bool read_span(struct admin_call *c, const struct admin_params *p, struct query *q)
{
    uint64_t now_ms = gate_clock_wall_ms();
    if (!admin_param_time(c, p, "to", now_ms + 1, &q->to_ms) ||
        !admin_param_time(c, p, "from", q->to_ms > HOUR_MS ? q->to_ms - HOUR_MS : 0, &q->from_ms))
        return false;
    uint64_t most =
        q->group == GROUP_DAY ? (uint64_t)MAX_DAYS * DAY_MS : (uint64_t)MAX_PIECES * PIECE_MS;
    if (q->from_ms >= q->to_ms) {
        admin_refuse(c, 400, "invalid_value", "from", "from: it is not before to.");
        return false;
    }
    if (q->to_ms - q->from_ms > most) {
        admin_refuse(c, 400, "invalid_value", "from",
                     "from: at most %llu days at a time when grouped by %s.",
                     (unsigned long long)(most / DAY_MS), group_names[q->group]);
        return false;
    }
    return true;
}

static bool read_query(struct admin_call *c, const struct admin_params *p, struct query *q)
{
    int group = read_choice(c, p, "group", group_names, GROUPS);
    if (group < -1)
        return false;
    q->kind = read_choice(c, p, "kind", gate_usage_kind_names, GATE_USAGE_KINDS);
    if (q->kind < -1)
        return false;
    q->group = group < 0 ? GROUP_MINUTE : (enum group)group;
    q->account = admin_param(p, "account");
    q->outcome = admin_param(p, "outcome");
    /* An alias will do. */
    const struct gate_member *m =
        q->account.len > 0 ? gate_roster_find(c->admin->parts.roster, q->account) : NULL;
    if (m != NULL)
        q->account = gate_str_of(m->account->id);
    return read_span(c, p, q);
}

void admin_audit(struct admin_call *c)
{
    struct admin_params p;
    if (!admin_params_read(c, "from|to|account|outcome|kind|group", &p))
        return;
    struct query *q = gate_calloc(1, sizeof *q);
    q->admin = c->admin;
    if (read_query(c, &p, q)) {
        gate_store_flush(c->admin->parts.store, NULL, NULL); /* the last second counts too */
        answer(c, q);
    }
    free(q->cells);
    free(q);
    admin_params_finish(&p);
}
