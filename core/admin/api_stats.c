#include "admin/admin_internal.h"
#include "base/clock.h"

/* GET /stats: how the gateway is now and what it did today. The live stream tells the same, without
 * the lists. */

enum { SLICE = 4000 /* records of one job of the store thread */ };

struct row {
    char account[GATE_AUDIT_MAX_ACCOUNT + 1], outcome[GATE_AUDIT_MAX_OUTCOME + 1];
    enum gate_usage_kind kind;
    uint64_t count, prompt, completion, total_ms;
};

/* Sums of rows. */
struct sums {
    uint64_t requests, success, limited, errors, cancelled, prompt, completion, total_ms;
};

/* One answer in the making. */
struct stats {
    struct admin_wait *wait;
    struct gate_admin *admin;
    struct row *rows;
    size_t count, room;
    struct gate_audit_place place;
    struct gate_error problem; /* of reading the rows */
    uint64_t now_ms;
    pthread_mutex_t lock; /* of what workers fill in */
    struct admin_load *loads;
    size_t load_count, worker_count;
};

/* ---- the day's rows */

static void copy(char *out, size_t cap, struct gate_str s)
{
    snprintf(out, cap, "%.*s", (int)s.len, s.ptr);
}

static bool take_row(void *ctx, const struct gate_audit_row *row)
{
    struct stats *s = ctx;
    if (s->count == s->room) {
        s->room = 2 * s->room + 64;
        s->rows = gate_realloc(s->rows, s->room * sizeof s->rows[0]);
    }
    struct row *fresh = &s->rows[s->count++];
    *fresh = (struct row){.kind = row->kind,
                          .count = row->count,
                          .prompt = row->prompt_tokens,
                          .completion = row->completion_tokens,
                          .total_ms = row->total_ms};
    copy(fresh->account, sizeof fresh->account, row->account);
    copy(fresh->outcome, sizeof fresh->outcome, row->outcome);
    return true;
}

/* Store thread. */
static bool read_today(struct gate_storage *storage, void *arg)
{
    struct stats *s = arg;
    const struct gate_audit_reading today = {
        .group = GATE_AUDIT_BY_DAY,
        .from_ms = s->now_ms,
        .to_ms = s->now_ms + 1,
        .most = SLICE,
        .cb = take_row,
        .ctx = s,
    };
    bool more;
    s->problem.status =
        gate_audit_read(s->admin->parts.audit, storage, &today, &s->place, &more, &s->problem);
    return s->problem.status == GATE_OK && more;
}

static void add(struct sums *sums, const struct row *row)
{
    uint64_t *const classes[GATE_SERIES_CLASSES] = {
        [GATE_SERIES_SUCCESS] = &sums->success,
        [GATE_SERIES_LIMITED] = &sums->limited,
        [GATE_SERIES_ERROR] = &sums->errors,
        [GATE_SERIES_CANCELLED] = &sums->cancelled,
    };
    sums->requests += row->count;
    *classes[gate_series_class_of(gate_str_of(row->outcome))] += row->count;
    sums->prompt += row->prompt;
    sums->completion += row->completion;
    sums->total_ms += row->total_ms;
}

static void put_sums(struct gate_buf *out, const struct sums *sums)
{
    json_num(out, "requests", sums->requests);
    json_num(out, "success", sums->success);
    json_num(out, "limited", sums->limited);
    json_num(out, "errors", sums->errors);
    json_num(out, "cancelled", sums->cancelled);
    json_num(out, "prompt_tokens", sums->prompt);
    json_num(out, "completion_tokens", sums->completion);
    json_num(out, "total_ms", sums->total_ms);
}

void admin_put_point(struct gate_buf *out, const struct gate_series_point *p)
{
    const struct sums sums = {
        .requests = p->classes[GATE_SERIES_SUCCESS] + p->classes[GATE_SERIES_LIMITED] +
                    p->classes[GATE_SERIES_ERROR] + p->classes[GATE_SERIES_CANCELLED],
        .success = p->classes[GATE_SERIES_SUCCESS],
        .limited = p->classes[GATE_SERIES_LIMITED],
        .errors = p->classes[GATE_SERIES_ERROR],
        .cancelled = p->classes[GATE_SERIES_CANCELLED],
        .prompt = p->prompt_tokens,
        .completion = p->completion_tokens,
        .total_ms = p->total_us / 1000,
    };
    put_sums(out, &sums);
}

static int by_account(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->account, ((const struct row *)b)->account);
}

static int by_outcome(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->outcome, ((const struct row *)b)->outcome);
}

static void put_accounts(struct stats *s, struct gate_buf *out)
{
    if (s->count > 0)
        qsort(s->rows, s->count, sizeof s->rows[0], by_account);
    json_open(out, "by_account", '[');
    for (size_t i = 0; i < s->count;) {
        struct sums sums = {0};
        const char *id = s->rows[i].account;
        struct gate_member *m = gate_roster_find(s->admin->parts.roster, gate_str_of(id));
        for (; i < s->count && strcmp(s->rows[i].account, id) == 0; i++)
            add(&sums, &s->rows[i]);
        json_open(out, NULL, '{');
        json_text(out, "account", id);
        json_text_or_null(out, "alias", m != NULL ? m->alias : NULL);
        put_sums(out, &sums);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void put_outcomes(struct stats *s, struct gate_buf *out)
{
    if (s->count > 0)
        qsort(s->rows, s->count, sizeof s->rows[0], by_outcome);
    json_open(out, "by_outcome", '[');
    for (size_t i = 0; i < s->count;) {
        const char *outcome = s->rows[i].outcome;
        uint64_t count = 0;
        for (; i < s->count && strcmp(s->rows[i].outcome, outcome) == 0; i++)
            count += s->rows[i].count;
        json_open(out, NULL, '{');
        json_text(out, "outcome", outcome);
        json_num(out, "requests", count);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void put_today(struct stats *s, struct gate_buf *out)
{
    const struct gate_quota *q = gate_roster_quota(s->admin->parts.roster);
    struct sums all = {0}, kinds[GATE_USAGE_KINDS] = {{0}};
    if (s->problem.status != GATE_OK) {
        json_null(out, "today");
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        add(&all, &s->rows[i]);
        add(&kinds[s->rows[i].kind], &s->rows[i]);
    }
    json_open(out, "today", '{');
    json_num(out, "ends_at", q->ops->day_end(q->instance, s->now_ms));
    put_sums(out, &all);
    json_open(out, "by_kind", '{');
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++) {
        json_open(out, gate_usage_kind_names[kind], '{');
        put_sums(out, &kinds[kind]);
        json_close(out, '}');
    }
    json_close(out, '}');
    put_accounts(s, out);
    put_outcomes(s, out);
    json_close(out, '}');
}

/* ---- now */

/* An instance that answers by itself has no service whose requests could run out. */
static bool has_service(const struct gate_member *m)
{
    return m->instance->ops->answer == NULL;
}

/* Requests that the account may still take today; UINT64_MAX: as many as it wants. */
static uint64_t left_today(const struct gate_admin *a, const struct gate_member *m, uint64_t now_ms)
{
    const struct gate_quota *q = gate_roster_quota(a->parts.roster);
    struct gate_limits limits[GATE_USAGE_KINDS];
    struct gate_quota_numbers n;
    gate_roster_limits(a->parts.roster, m, limits);
    uint64_t limit = limits[GATE_USAGE_CHAT].requests_per_day;
    if (limit == 0)
        return UINT64_MAX;
    q->ops->numbers(q->instance, m->account->quota, GATE_USAGE_CHAT, now_ms, &n);
    return n.requests_day < limit ? limit - n.requests_day : 0;
}

static void put_states(const struct gate_admin *a, uint64_t now_ms, struct gate_buf *out)
{
    size_t count, counts[ADMIN_STATES] = {0};
    uint64_t left = 0;
    struct gate_member *const *members = gate_roster_members(a->parts.roster, &count);
    for (size_t i = 0; i < count; i++) {
        enum admin_state k = admin_state(a, members[i], now_ms);
        counts[k]++;
        /* It serves no more today, or not by itself; or it is no service's. */
        if (k > ADMIN_STATE_LIMITED || !has_service(members[i]))
            continue;
        uint64_t more = left_today(a, members[i], now_ms);
        left = left == UINT64_MAX || more == UINT64_MAX ? UINT64_MAX : left + more;
    }
    json_open(out, "accounts", '{');
    json_num(out, "total", count - counts[ADMIN_STATE_DELETED]);
    for (size_t k = 0; k < ADMIN_STATES; k++)
        json_num(out, admin_state_name((enum admin_state)k), counts[k]);
    if (left == UINT64_MAX)
        json_null(out, "requests_left_today");
    else
        json_num(out, "requests_left_today", left);
    json_close(out, '}');
}

static void put_workers(const struct admin_load *loads, size_t count, struct gate_buf *out)
{
    struct admin_load sum = {0, 0};
    json_open(out, "workers", '[');
    for (size_t i = 0; i < count; i++) {
        json_open(out, NULL, '{');
        json_num(out, "active", loads[i].active);
        json_num(out, "served", loads[i].served);
        json_close(out, '}');
        sum.active += loads[i].active;
        sum.served += loads[i].served;
    }
    json_close(out, ']');
    json_num(out, "active", sum.active);
    json_num(out, "served", sum.served);
}

static void put_storage(struct gate_store *store, const struct gate_error *read_problem,
                        struct gate_buf *out)
{
    struct gate_error problem = *read_problem;
    bool failing = gate_store_is_failing(store);
    if (failing)
        gate_store_problem(store, &problem);
    json_open(out, "storage", '{');
    json_bool(out, "failing", failing || problem.status != GATE_OK);
    json_text_or_null(out, "problem", problem.message);
    json_text(out, "directory", gate_store_directory(store));
    json_close(out, '}');
}

void admin_put_now(struct gate_admin *a, const struct admin_load *loads, size_t count,
                   const struct gate_error *problem, uint64_t now_ms, struct gate_buf *out)
{
    const struct gate_admin_parts *p = &a->parts;
    json_text(out, "version", GATE_VERSION);
    json_num(out, "started_at", p->started_ms);
    json_num(out, "generation", gate_generation_number(gate_live_running(p->live)->generation));
    put_workers(loads, count, out);
    put_states(a, now_ms, out);
    put_storage(p->store, problem, out);
    json_num(out, "log_lines_dropped", gate_log_dropped());
}

/* ---- GET /stats */

static void finish(void *arg)
{
    struct stats *s = arg;
    struct gate_buf out;
    gate_buf_init(&out, GATE_ADMIN_MAX_ANSWER);
    if (s->wait->admin != NULL) {
        uint64_t started = s->admin->parts.started_ms;
        json_open(&out, NULL, '{');
        json_num(&out, "now", s->now_ms);
        json_num(&out, "uptime_ms", s->now_ms > started ? s->now_ms - started : 0);
        const struct gate_workers *w = &s->admin->parts.workers;
        json_num(&out, "listeners", w->listeners != NULL ? w->listeners(w->ctx) : 0);
        admin_put_now(s->admin, s->loads, s->load_count, &s->problem, s->now_ms, &out);
        put_today(s, &out);
        json_close(&out, '}');
    }
    admin_wait_end(s->wait, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
    pthread_mutex_destroy(&s->lock);
    free(s->rows);
    free(s->loads);
    free(s);
}

/* Worker. */
static void visit(struct gate_env *env, void *arg)
{
    struct stats *s = arg;
    pthread_mutex_lock(&s->lock);
    if (s->load_count < s->worker_count)
        s->loads[s->load_count++] = (struct admin_load){env->active, env->served};
    pthread_mutex_unlock(&s->lock);
}

static void ask_workers(void *arg)
{
    struct stats *s = arg;
    if (s->wait->admin == NULL || s->admin->parts.workers.visit == NULL) {
        finish(s);
        return;
    }
    const struct gate_workers *w = &s->admin->parts.workers;
    w->visit(w->ctx, visit, finish, s);
}

void admin_stats(struct admin_call *c)
{
    const struct gate_admin_parts *p = &c->admin->parts;
    if (!admin_no_params(c))
        return;
    struct admin_wait *wait = admin_wait_begin(c);
    if (wait == NULL)
        return;
    struct stats *s = gate_calloc(1, sizeof *s);
    s->wait = wait;
    s->admin = c->admin;
    s->now_ms = gate_clock_wall_ms();
    pthread_mutex_init(&s->lock, NULL);
    s->worker_count = p->workers.count;
    s->loads = gate_calloc(s->worker_count + 1, sizeof s->loads[0]);
    gate_store_flush(p->store, NULL, NULL); /* the last second counts too */
    admin_read(c->admin, read_today, ask_workers, s);
}
