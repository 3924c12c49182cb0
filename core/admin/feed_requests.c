/* Requests that ended, as rows of the live stream. Each worker writes those that are newer than the
 * last number seen of its ring. */
#include "admin/feed.h"

enum {
    MAX_ROWS = 50,              /* of one message, and of one worker's part in it */
    MAX_ROW = 32 * 1024,        /* bytes of one: far more than its longest */
    MAX_MESSAGE = 128 * 1024,   /* bytes of one */
    MAX_PART = MAX_MESSAGE / 2, /* bytes of one worker's part: it serves requests meanwhile */
    MAX_ACCOUNTS = 32,          /* ids of one row */
};

struct feed_row {
    uint64_t at_ms;
    size_t from, len; /* in the text */
};

void feed_requests_init(struct feed_requests *f, size_t workers)
{
    pthread_mutex_init(&f->lock, NULL);
    f->workers = workers;
    f->places = gate_calloc(workers + 1, sizeof f->places[0]);
    f->loads = gate_calloc(workers + 1, sizeof f->loads[0]);
    f->rows = gate_calloc((workers + 1) * MAX_ROWS, sizeof f->rows[0]);
    gate_buf_init(&f->text, (workers + 1) * MAX_PART);
}

void feed_requests_finish(struct feed_requests *f)
{
    pthread_mutex_destroy(&f->lock);
    free(f->places);
    free(f->loads);
    free(f->rows);
    gate_buf_finish(&f->text);
}

void feed_requests_begin(struct feed_requests *f, uint64_t now_ms)
{
    f->since_ms = now_ms;
    f->place_count = 0;
}

void feed_requests_reset(struct feed_requests *f)
{
    f->load_count = 0;
    f->row_count = 0;
    f->dropped = 0;
    gate_buf_consume(&f->text, f->text.len);
}

/* ---- on a worker */

/* Those that were asked, each once: what a filter by account goes by. */
static void put_accounts(struct gate_buf *out, const struct gate_steps *steps)
{
    const char *ids[MAX_ACCOUNTS];
    size_t count = 0;
    json_open(out, "accounts", '[');
    for (size_t i = 0; i < steps->attempt_count && count < MAX_ACCOUNTS; i++) {
        const char *id = steps->attempts[i].id;
        size_t k = 0;
        while (k < count && strcmp(ids[k], id) != 0)
            k++;
        if (k < count)
            continue;
        ids[count++] = id;
        json_text(out, NULL, id);
    }
    json_close(out, ']');
}

static void put_row(struct gate_buf *out, const struct gate_trace *t)
{
    const struct gate_steps *steps = &t->steps;
    const struct gate_trace_attempt *last =
        steps->attempt_count > 0 ? &steps->attempts[steps->attempt_count - 1] : NULL;
    json_open(out, NULL, '{');
    json_text(out, "id", t->id);
    json_num(out, "at", t->at_ms);
    json_text(out, "kind", gate_usage_kind_names[t->kind]);
    json_text(out, "path", t->path);
    json_text(out, "key", t->key);
    json_text(out, "model", t->model);
    json_text(out, "upstream_model", t->target);
    json_text(out, "provider", t->provider);
    json_text(out, "account", last != NULL ? last->id : "");
    json_text(out, "alias", last != NULL ? last->alias : "");
    put_accounts(out, steps);
    json_bool(out, "stream", t->stream);
    json_num(out, "status", (uint64_t)t->status);
    json_text(out, "outcome", t->outcome);
    json_num(out, "total_ms", t->total_us / 1000);
    if (t->first_us >= 0)
        json_num(out, "first_ms", (uint64_t)t->first_us / 1000);
    json_num(out, "prompt_tokens", t->usage.prompt);
    json_num(out, "completion_tokens", t->usage.completion);
    json_num_or_null(out, "generation", t->generation);
    if (t->stage[0] != '\0')
        json_text(out, "stage", t->stage);
    json_close(out, '}');
}

/* What one worker has to tell. */
struct part {
    uint64_t since_ms; /* 0: all of them are new */
    uint64_t found;
    struct feed_row rows[MAX_ROWS];
    size_t count;
    struct gate_buf text;
};

static bool take(void *ctx, const struct gate_trace *t)
{
    struct part *p = ctx;
    struct gate_buf row;
    if (p->since_ms != 0 && t->at_ms + t->total_us / 1000 <= p->since_ms)
        return false;
    p->found++;
    if (p->count == MAX_ROWS)
        return p->since_ms != 0; /* the others need not be looked at to be counted */
    gate_buf_init(&row, MAX_ROW);
    put_row(&row, t);
    size_t from = p->text.len;
    if (gate_buf_append(&p->text, gate_buf_str(&row)))
        p->rows[p->count++] = (struct feed_row){t->at_ms, from, row.len};
    gate_buf_finish(&row);
    return true;
}

/* Lock held. The number that was seen of this worker last; *fresh: none yet. */
static uint64_t seen_of(struct feed_requests *f, const struct gate_env *env, uint64_t made,
                        bool *fresh)
{
    size_t i = 0;
    while (i < f->place_count && f->places[i].env != env)
        i++;
    *fresh = i == f->place_count;
    if (*fresh && i < f->workers)
        f->places[f->place_count++] = (struct feed_place){.env = env};
    uint64_t seen = f->places[i].seen;
    f->places[i].seen = made;
    return seen;
}

/* Lock held. */
static void hand_in(struct feed_requests *f, const struct gate_env *env, const struct part *p)
{
    size_t base = f->text.len;
    if (f->load_count == f->workers)
        return;
    f->loads[f->load_count++] = (struct admin_load){env->active, env->served};
    f->dropped += p->found - p->count;
    if (!gate_buf_append(&f->text, gate_buf_str(&p->text))) {
        f->dropped += p->count;
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        f->rows[f->row_count] = p->rows[i];
        f->rows[f->row_count++].from += base;
    }
}

void feed_requests_visit(struct feed_requests *f, const struct gate_env *env)
{
    struct part *p = gate_calloc(1, sizeof *p);
    uint64_t made = gate_trace_ring_made(env->recent);
    bool fresh;
    gate_buf_init(&p->text, MAX_PART);
    pthread_mutex_lock(&f->lock);
    uint64_t news = made - seen_of(f, env, made, &fresh);
    p->since_ms = fresh ? f->since_ms : 0;
    pthread_mutex_unlock(&f->lock);
    gate_trace_ring_each(env->recent, news < GATE_TRACE_RING ? (size_t)news : GATE_TRACE_RING, take,
                         p);
    if (!fresh)
        p->found = news;
    pthread_mutex_lock(&f->lock);
    hand_in(f, env, p);
    pthread_mutex_unlock(&f->lock);
    gate_buf_finish(&p->text);
    free(p);
}

/* ---- on the control thread */

static int newest_first(const void *a, const void *b)
{
    const struct feed_row *x = a, *y = b;
    return x->at_ms > y->at_ms ? -1 : x->at_ms < y->at_ms;
}

void feed_requests_send(struct feed_requests *f, struct gate_admin *a)
{
    struct gate_buf out;
    size_t shown = 0;
    if (f->row_count == 0 && f->dropped == 0)
        return;
    if (f->row_count > 0)
        qsort(f->rows, f->row_count, sizeof f->rows[0], newest_first);
    gate_buf_init(&out, MAX_MESSAGE + MAX_ROW);
    json_open(&out, NULL, '{');
    json_open(&out, "requests", '[');
    for (; shown < f->row_count && shown < MAX_ROWS && out.len < MAX_MESSAGE; shown++)
        json_raw(&out, NULL,
                 (struct gate_str){f->text.ptr + f->rows[shown].from, f->rows[shown].len});
    json_close(&out, ']');
    json_num(&out, "dropped", f->dropped + (f->row_count - shown));
    json_close(&out, '}');
    admin_events_send(a, "request", gate_buf_str(&out));
    gate_buf_finish(&out);
}
