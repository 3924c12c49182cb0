#include "admin/admin_internal.h"
#include "request/trace_pack.h"

/* GET /requests: the last requests, each with its decision explained, as the journal has them. */

enum {
    LIST_MAX = 200,
    LIST_DEFAULT = 50,
    TRACE_MAX = 4 << 20,         /* bytes of one request as JSON */
    ANSWER_MAX = 15 << 20,       /* bytes of all */
    CURSOR = GATE_TRACE_ID + 24, /* "<at>-<id>": any row says where the rows behind it begin */
    DIGITS = 15,                 /* of the time in it */
};

struct listing {
    struct admin_wait *wait;
    struct gate_journal *journal;
    bool one; /* of this id; else those that match */
    char id[GATE_TRACE_ID];
    char account[GATE_AUDIT_MAX_ACCOUNT + 1], outcome[64], model[GATE_TRACE_NAME];
    char before_id[GATE_TRACE_ID];
    size_t limit;
    struct gate_journal_query query;
    struct gate_error err;
};

/* ---- on the store thread */

static bool is_of_account(const struct gate_trace *t, const char *account)
{
    for (size_t i = 0; i < t->steps.attempt_count; i++)
        if (strcmp(t->steps.attempts[i].id, account) == 0)
            return true;
    return false;
}

static bool is_wanted(void *ctx, const struct gate_journal_record *record)
{
    const struct listing *l = ctx;
    if (l->one)
        return gate_str_eq(record->name, gate_str_of(l->id));
    struct gate_trace *t = gate_trace_unpack(record);
    bool wanted = t != NULL && (l->account[0] == '\0' || is_of_account(t, l->account)) &&
                  admin_is_outcome(gate_str_of(t->outcome), gate_str_of(l->outcome)) &&
                  (l->model[0] == '\0' || strcmp(t->model, l->model) == 0 ||
                   strcmp(t->target, l->model) == 0);
    gate_trace_free(t);
    return wanted;
}

static bool read_requests(struct gate_storage *s, void *arg)
{
    struct listing *l = arg;
    bool more;
    l->err.status = gate_journal_read(l->journal, s, &l->query, &more, &l->err);
    return l->err.status == GATE_OK && more;
}

/* ---- on the control thread */

/* False: it is damaged. */
static bool put_request(struct gate_buf *out, const char *name,
                        const struct gate_journal_record *record)
{
    struct gate_trace *t = gate_trace_unpack(record);
    struct gate_buf json;
    if (t == NULL)
        return false;
    gate_buf_init(&json, TRACE_MAX);
    gate_trace_json(t, &json);
    json_raw(out, name, gate_buf_str(&json));
    gate_buf_finish(&json);
    gate_trace_free(t);
    return true;
}

static void put_list(struct listing *l, struct gate_buf *out)
{
    const struct gate_journal_query *q = &l->query;
    size_t shown = 0;
    char cursor[CURSOR];
    json_open(out, "requests", '[');
    for (; shown < q->count && shown < l->limit && out->len < ANSWER_MAX - TRACE_MAX; shown++)
        put_request(out, NULL, &q->found[shown]);
    json_close(out, ']');
    if (shown < q->count) {
        const struct gate_journal_record *last = &q->found[shown - 1];
        snprintf(cursor, sizeof cursor, "%llu-%.*s", (unsigned long long)last->at_ms,
                 (int)last->name.len, last->name.ptr);
        json_text(out, "next", cursor);
    } else {
        json_null(out, "next");
    }
    json_num(out, "dropped", gate_journal_dropped(l->journal));
}

static void answer(struct listing *l)
{
    struct gate_buf out;
    gate_buf_init(&out, GATE_ADMIN_MAX_ANSWER);
    json_open(&out, NULL, '{');
    if (!l->one) {
        put_list(l, &out);
        json_close(&out, '}');
        admin_wait_end(l->wait, 200, gate_buf_str(&out));
    } else if (l->query.count > 0 && put_request(&out, "request", &l->query.found[0])) {
        json_close(&out, '}');
        admin_wait_end(l->wait, 200, gate_buf_str(&out));
    } else {
        admin_wait_refuse(l->wait, 404, "not_found",
                          "No request of that id is remembered. The last %d are, for %d days.",
                          GATE_JOURNAL_MAX_COUNT, GATE_JOURNAL_DAYS);
    }
    gate_buf_finish(&out);
}

static void finish(void *arg)
{
    struct listing *l = arg;
    if (l->wait->admin == NULL) /* destroyed meanwhile, and the journal may be gone with it */
        admin_wait_end(l->wait, 503, GATE_STR(""));
    else if (l->err.status != GATE_OK)
        admin_wait_refuse(l->wait, admin_http_status(l->err.status),
                          admin_error_code(l->err.status), "%s", l->err.message);
    else
        answer(l);
    gate_journal_query_finish(&l->query);
    free(l);
}

static void start(struct admin_call *c, const struct listing *wanted)
{
    struct admin_wait *wait = admin_wait_begin(c);
    if (wait == NULL)
        return;
    struct listing *l = gate_alloc(sizeof *l);
    *l = *wanted;
    l->wait = wait;
    l->journal = c->admin->parts.journal;
    l->query.most = l->one ? 1 : l->limit + 1; /* to know whether there are more */
    l->query.before_name = gate_str_of(l->before_id);
    l->query.wanted = is_wanted;
    l->query.ctx = l;
    gate_store_flush(c->admin->parts.store, NULL, NULL); /* the last second is wanted too */
    admin_read(c->admin, read_requests, finish, l);
}

/* ---- the requests */

static bool read_cursor(struct admin_call *c, struct gate_str text, struct listing *l)
{
    size_t at = 0;
    l->query.before_ms = UINT64_MAX;
    if (text.len == 0)
        return true;
    for (l->query.before_ms = 0; at < text.len && at < DIGITS; at++) {
        if (text.ptr[at] < '0' || text.ptr[at] > '9')
            break;
        l->query.before_ms = l->query.before_ms * 10 + (uint64_t)(text.ptr[at] - '0');
    }
    if (at > 0 && at < text.len && text.ptr[at] == '-' && text.len - at <= sizeof l->before_id) {
        snprintf(l->before_id, sizeof l->before_id, "%.*s", (int)(text.len - at - 1),
                 text.ptr + at + 1);
        return true;
    }
    admin_refuse(c, 400, "invalid_value", "before", "before: expected the \"next\" of a list.");
    return false;
}

static bool read_text(struct admin_call *c, const struct admin_params *p, const char *name,
                      char *out, size_t cap)
{
    struct gate_str text = admin_param(p, name);
    if (text.len < cap) {
        snprintf(out, cap, "%.*s", (int)text.len, text.len > 0 ? text.ptr : "");
        return true;
    }
    admin_refuse(c, 400, "invalid_value", name, "%s: expected at most %zu bytes.", name, cap - 1);
    return false;
}

static bool read_filters(struct admin_call *c, const struct admin_params *p, struct listing *l)
{
    struct gate_str account;
    uint64_t limit;
    memset(l, 0, sizeof *l);
    if (!admin_param_number(c, p, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit) ||
        !admin_param_account(c, p, &account) ||
        !read_text(c, p, "outcome", l->outcome, sizeof l->outcome) ||
        !read_text(c, p, "model", l->model, sizeof l->model) ||
        !read_cursor(c, admin_param(p, "before"), l))
        return false;
    l->limit = (size_t)limit;
    snprintf(l->account, sizeof l->account, "%.*s", (int)account.len,
             account.len > 0 ? account.ptr : "");
    return true;
}

void admin_requests_list(struct admin_call *c)
{
    struct admin_params p;
    struct listing l;
    if (!admin_params_read(c, "limit|before|account|outcome|model", &p))
        return;
    if (read_filters(c, &p, &l))
        start(c, &l);
    admin_params_finish(&p);
}

void admin_requests_get(struct admin_call *c)
{
    struct listing l = {.one = true, .query.before_ms = UINT64_MAX};
    if (!admin_no_params(c))
        return;
    if (c->name.len < sizeof l.id)
        snprintf(l.id, sizeof l.id, "%.*s", (int)c->name.len, c->name.ptr);
    start(c, &l);
}
