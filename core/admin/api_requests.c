#include "admin/admin_internal.h"

/* GET /requests: what workers remember of the last requests, each with its decision explained. */

enum {
    LIST_MAX = 200,
    LIST_DEFAULT = 50,
    TRACE_MAX = 4 << 20,        /* bytes of one request as JSON */
    WORKER_MAX = 1 << 20,       /* bytes that one worker writes: it serves requests meanwhile */
    ANSWER_MAX = 15 << 20,      /* bytes of all */
    CURSOR = GATE_TRACE_ID + 24 /* "<at>-<id>" */
};

/* A request of some worker. Newest first: by time, then by id. */
struct found {
    uint64_t at_ms;
    char id[GATE_TRACE_ID];
    char *json;
    size_t len;
};

struct listing {
    struct admin_wait *wait;
    bool one; /* of this id; else those that match */
    char id[GATE_TRACE_ID];
    char account[GATE_ACCOUNT_MAX_ID + 1], outcome[64], model[GATE_TRACE_NAME];
    uint64_t before_ms; /* of the cursor; UINT64_MAX: from the newest */
    char before_id[GATE_TRACE_ID];
    size_t limit;
    pthread_mutex_t lock; /* of what follows: workers fill it */
    struct found *found;
    size_t count, room;
    bool truncated;      /* a worker had more than it wrote: */
    uint64_t horizon_ms; /* nothing older than the last one that it wrote may be shown, as */
    char horizon_id[GATE_TRACE_ID]; /* what lies between would be left out */
};

static int compare(uint64_t at_a, const char *id_a, uint64_t at_b, const char *id_b)
{
    if (at_a != at_b)
        return at_a > at_b ? -1 : 1;
    return strcmp(id_b, id_a);
}

/* ---- on a worker */

struct picked {
    const struct listing *l;
    const struct gate_trace *traces[GATE_TRACE_RING];
    size_t count;
};

static bool is_of_account(const struct gate_trace *t, const char *account)
{
    for (size_t i = 0; i < t->steps.attempt_count; i++) {
        const struct gate_trace_attempt *a = &t->steps.attempts[i];
        if (strcmp(a->id, account) == 0)
            return true;
    }
    return false;
}

/* "error" stands for every error, "limited" for every limit. */
static bool is_outcome(const char *outcome, const char *wanted)
{
    size_t len = strlen(wanted);
    return strncmp(outcome, wanted, len) == 0 &&
           (outcome[len] == '\0' || (outcome[len] == ':' && strchr(wanted, ':') == NULL));
}

static bool pick(void *ctx, const struct gate_trace *t)
{
    struct picked *p = ctx;
    const struct listing *l = p->l;
    bool wanted = true;
    if (l->one)
        wanted = strcmp(t->id, l->id) == 0;
    else
        wanted = (l->account[0] == '\0' || is_of_account(t, l->account)) &&
                 (l->outcome[0] == '\0' || is_outcome(t->outcome, l->outcome)) &&
                 (l->model[0] == '\0' || strcmp(t->model, l->model) == 0 ||
                  strcmp(t->target, l->model) == 0) &&
                 compare(l->before_ms, l->before_id, t->at_ms, t->id) < 0;
    if (wanted)
        p->traces[p->count++] = t;
    return p->count < GATE_TRACE_RING;
}

static int newest_first(const void *a, const void *b)
{
    const struct gate_trace *x = *(const struct gate_trace *const *)a;
    const struct gate_trace *y = *(const struct gate_trace *const *)b;
    return compare(x->at_ms, x->id, y->at_ms, y->id);
}

/* Lock held. */
static void keep(struct listing *l, const struct gate_trace *t, struct gate_buf *json)
{
    if (l->count == l->room) {
        l->room = 2 * l->room + 16;
        l->found = gate_realloc(l->found, l->room * sizeof l->found[0]);
    }
    struct found *f = &l->found[l->count++];
    *f = (struct found){.at_ms = t->at_ms, .json = json->ptr, .len = json->len};
    snprintf(f->id, sizeof f->id, "%s", t->id);
}

static void note_horizon(struct listing *l, const struct gate_trace *last)
{
    pthread_mutex_lock(&l->lock);
    if (!l->truncated || compare(last->at_ms, last->id, l->horizon_ms, l->horizon_id) < 0) {
        l->horizon_ms = last->at_ms;
        snprintf(l->horizon_id, sizeof l->horizon_id, "%s", last->id);
    }
    l->truncated = true;
    pthread_mutex_unlock(&l->lock);
}

static void visit(struct gate_env *env, void *arg)
{
    struct listing *l = arg;
    struct picked *p = gate_calloc(1, sizeof *p);
    size_t bytes = 0, done = 0;
    p->l = l;
    gate_trace_ring_each(env->recent, GATE_TRACE_RING, pick, p);
    if (p->count > 0)
        qsort(p->traces, p->count, sizeof p->traces[0], newest_first);
    for (; done < p->count && done <= l->limit && bytes < WORKER_MAX; done++) {
        struct gate_buf json;
        gate_buf_init(&json, TRACE_MAX);
        gate_trace_json(p->traces[done], &json);
        bytes += json.len;
        pthread_mutex_lock(&l->lock);
        keep(l, p->traces[done], &json);
        pthread_mutex_unlock(&l->lock);
    }
    if (done < p->count && done <= l->limit)
        note_horizon(l, p->traces[done - 1]);
    free(p);
}

/* ---- on the control thread */

static int found_newest_first(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return compare(x->at_ms, x->id, y->at_ms, y->id);
}

static bool is_behind_horizon(const struct listing *l, const struct found *f)
{
    return l->truncated && compare(l->horizon_ms, l->horizon_id, f->at_ms, f->id) < 0;
}

static void put_list(struct listing *l, struct gate_buf *out)
{
    size_t shown = 0;
    char cursor[CURSOR];
    json_open(out, NULL, '{');
    json_open(out, "requests", '[');
    for (; shown < l->count && shown < l->limit && out->len < ANSWER_MAX - TRACE_MAX &&
           !is_behind_horizon(l, &l->found[shown]);
         shown++)
        json_raw(out, NULL, (struct gate_str){l->found[shown].json, l->found[shown].len});
    json_close(out, ']');
    bool more = shown < l->count || l->truncated;
    if (more && shown > 0) {
        const struct found *last = &l->found[shown - 1];
        snprintf(cursor, sizeof cursor, "%llu-%s", (unsigned long long)last->at_ms, last->id);
        json_text(out, "next", cursor);
    } else {
        json_null(out, "next");
    }
    json_close(out, '}');
}

static void finish(void *arg)
{
    struct listing *l = arg;
    struct gate_buf out;
    gate_buf_init(&out, GATE_ADMIN_MAX_ANSWER);
    if (l->count > 0)
        qsort(l->found, l->count, sizeof l->found[0], found_newest_first);
    if (!l->one) {
        put_list(l, &out);
        admin_wait_end(l->wait, 200, gate_buf_str(&out));
    } else if (l->count == 0) {
        admin_wait_refuse(l->wait, 404, "not_found",
                          "No worker remembers a request of that id. Each keeps its last %d.",
                          GATE_TRACE_RING);
    } else {
        json_open(&out, NULL, '{');
        json_raw(&out, "request", (struct gate_str){l->found[0].json, l->found[0].len});
        json_close(&out, '}');
        admin_wait_end(l->wait, 200, gate_buf_str(&out));
    }
    for (size_t i = 0; i < l->count; i++)
        free(l->found[i].json);
    gate_buf_finish(&out);
    pthread_mutex_destroy(&l->lock);
    free(l->found);
    free(l);
}

static void start(struct admin_call *c, const struct listing *wanted)
{
    const struct gate_workers *w = &c->admin->parts.workers;
    struct admin_wait *wait = admin_wait_begin(c);
    if (wait == NULL)
        return;
    struct listing *l = gate_alloc(sizeof *l);
    *l = *wanted;
    l->wait = wait;
    pthread_mutex_init(&l->lock, NULL);
    if (w->visit != NULL)
        w->visit(w->ctx, visit, finish, l);
    else
        finish(l);
}

/* ---- the requests */

static bool read_cursor(struct admin_call *c, struct gate_str text, struct listing *l)
{
    size_t at = 0;
    l->before_ms = UINT64_MAX;
    if (text.len == 0)
        return true;
    for (l->before_ms = 0; at < text.len && at < 15; at++) {
        if (text.ptr[at] < '0' || text.ptr[at] > '9')
            break;
        l->before_ms = l->before_ms * 10 + (uint64_t)(text.ptr[at] - '0');
    }
    struct gate_str id = {text.ptr + at + 1, text.len - at - 1};
    if (at > 0 && at < text.len && text.ptr[at] == '-' && id.len < sizeof l->before_id) {
        snprintf(l->before_id, sizeof l->before_id, "%.*s", (int)id.len, id.ptr);
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
    uint64_t limit;
    memset(l, 0, sizeof *l);
    if (!admin_param_number(c, p, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit) ||
        !read_text(c, p, "account", l->account, sizeof l->account) ||
        !read_text(c, p, "outcome", l->outcome, sizeof l->outcome) ||
        !read_text(c, p, "model", l->model, sizeof l->model) ||
        !read_cursor(c, admin_param(p, "before"), l))
        return false;
    l->limit = (size_t)limit;
    /* An alias will do. */
    const struct gate_member *m =
        l->account[0] != '\0' ? gate_roster_find(c->admin->parts.roster, gate_str_of(l->account))
                              : NULL;
    if (m != NULL)
        snprintf(l->account, sizeof l->account, "%s", m->account->id);
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
    struct listing l = {.one = true, .limit = 1};
    if (!admin_no_params(c))
        return;
    if (c->name.len < sizeof l.id)
        snprintf(l.id, sizeof l.id, "%.*s", (int)c->name.len, c->name.ptr);
    start(c, &l);
}
