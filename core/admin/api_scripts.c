/* GET /scripts...: what runs, where it came from, what changed. */
#include "admin/admin_internal.h"
#include "live/diff.h"
#include <pthread.h>

enum {
    LIST_DEFAULT = 50,
    LIST_MAX = 200,
    MAX_LIST = 1 << 20,
    MAX_FILES = 12 << 20, /* all texts, escaped */
    MAX_DIFF = 4 << 20,
    MAX_NAMES = 32,
};

/* ---- writing */

void admin_put_sources(struct gate_buf *out, const char *name, const struct gate_sources *s)
{
    json_open(out, name, '{');
    for (size_t i = 0; i < s->count; i++)
        json_str(out, s->files[i].name, (struct gate_str){s->files[i].text, s->files[i].len});
    json_close(out, '}');
}

static void put_problem(struct gate_buf *out, const struct gate_problem *p)
{
    json_open(out, NULL, '{');
    json_text_or_null(out, "file", p->file);
    json_num_or_null(out, "line", p->line);
    json_num_or_null(out, "column", p->column);
    json_num_or_null(out, "end_column", p->end_column);
    if (p->open_line > 0) {
        json_open(out, "opener", '{');
        json_num(out, "line", p->open_line);
        json_num_or_null(out, "column", p->open_column);
        json_close(out, '}');
    }
    json_text(out, "severity", p->severity == GATE_SEVERITY_ERROR ? "error" : "warning");
    json_text(out, "code", p->code);
    json_text(out, "message", p->message);
    json_text_or_null(out, "stack", p->stack);
    json_close(out, '}');
}

void admin_put_problems(struct gate_buf *out, const char *name, const struct gate_problems *p)
{
    json_open(out, name, '[');
    for (size_t i = 0; i < p->kept; i++)
        put_problem(out, &p->list[i]);
    json_close(out, ']');
}

void admin_put_report(struct gate_buf *out, const char *name, const struct gate_live_report *r)
{
    json_open(out, name, '{');
    json_bool(out, "ok", r->problems.errors == 0);
    json_num(out, "errors", r->problems.errors);
    json_num(out, "warnings", r->problems.count - r->problems.errors);
    admin_put_problems(out, "problems", &r->problems);
    json_open(out, "tests", '{');
    json_num(out, "files", r->tests.files);
    json_num(out, "cases", r->tests.cases);
    json_num(out, "failed", r->tests.failed);
    json_close(out, '}');
    json_num(out, "samples", r->samples);
    json_num(out, "recorded", r->recorded);
    json_open(out, "needs_restart", '[');
    for (size_t i = 0; i < r->restart_count; i++)
        json_text(out, NULL, r->restart[i]);
    json_close(out, ']');
    json_num(out, "took_us", r->took_us);
    json_close(out, '}');
}

void admin_put_entry(struct gate_buf *out, const char *name, const struct gate_history_entry *e)
{
    json_open(out, name, '{');
    json_num(out, "generation", e->number);
    json_num(out, "at", e->at_ms);
    json_text(out, "origin", gate_origin_names[e->origin]);
    json_text_or_null(out, "author", e->author);
    json_text_or_null(out, "note", e->note);
    json_num_or_null(out, "base", e->base);
    json_num_or_null(out, "of", e->of);
    json_bool(out, "failed", e->failed);
    json_num(out, "files", e->files);
    json_num(out, "bytes", e->bytes);
    json_close(out, '}');
}

/* ---- GET /scripts: the answer needs what every worker runs */

struct overview {
    struct admin_wait *wait;
    struct gate_admin *admin;
    pthread_mutex_t lock;
    struct {
        uint64_t generation, requests, older;
        size_t bytes;
    } * workers;
    size_t count, room;
};

/* Worker. */
static void visit(struct gate_env *env, void *arg)
{
    struct overview *o = arg;
    pthread_mutex_lock(&o->lock);
    if (o->count < o->room) {
        o->workers[o->count].generation = gate_generation_number(env->script->generation);
        o->workers[o->count].requests = env->script->users - 1;
        o->workers[o->count].older = env->active - env->staged - (env->script->users - 1);
        o->workers[o->count++].bytes = gate_script_memory(env->script->script);
    }
    pthread_mutex_unlock(&o->lock);
}

static void put_counter(void *ctx, const char *name, int64_t value)
{
    struct gate_buf *out = ctx;
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    json_raw(out, name, gate_str_of(text));
}

static void put_disk(struct gate_buf *out, const struct gate_live *l)
{
    struct gate_live_disk disk = gate_live_disk(l);
    json_open(out, "disk", '{');
    json_bool(out, "differs", disk.differs);
    if (disk.differs) {
        json_num(out, "at", disk.at_ms);
        admin_put_problems(out, "problems", disk.problems);
        admin_put_sources(out, "files", disk.sources);
    }
    json_close(out, '}');
}

static void put_running(struct gate_buf *out, const struct gate_admin_parts *p)
{
    const struct gate_running *r = gate_live_running(p->live);
    uint64_t number = gate_generation_number(r->generation);
    struct gate_history_entry entry;
    struct gate_error err;
    const char *keys[MAX_NAMES];
    size_t count = gate_live_restart_keys(p->live, keys, MAX_NAMES);
    json_num(out, "generation", number);
    if (gate_history_get(gate_live_history(p->live), number, &entry, NULL, &err) == GATE_OK)
        admin_put_entry(out, "published", &entry);
    else
        json_null(out, "published");
    admin_put_sources(out, "files", gate_generation_sources(r->generation));
    json_open(out, "needs_restart", '[');
    for (size_t i = 0; i < count && i < MAX_NAMES; i++)
        json_text(out, NULL, keys[i]);
    json_close(out, ']');
}

static void finish_overview(void *arg)
{
    struct overview *o = arg;
    struct gate_buf out;
    if (o->wait->admin != NULL) { /* else the gateway stops, and this was answered */
        const struct gate_admin_parts *p = &o->wait->admin->parts;
        gate_buf_init(&out, GATE_ADMIN_MAX_ANSWER);
        json_open(&out, NULL, '{');
        put_running(&out, p);
        put_disk(&out, p->live);
        json_open(&out, "workers", '[');
        for (size_t i = 0; i < o->count; i++) {
            json_open(&out, NULL, '{');
            json_num(&out, "generation", o->workers[i].generation);
            json_num(&out, "requests", o->workers[i].requests);
            json_num(&out, "older", o->workers[i].older);
            json_num(&out, "memory_bytes", o->workers[i].bytes);
            json_close(&out, '}');
        }
        json_close(&out, ']');
        json_open(&out, "counters", '{');
        gate_counters_each(gate_live_counters(p->live), put_counter, &out);
        json_close(&out, '}');
        json_close(&out, '}');
        admin_wait_end(o->wait, 200, gate_buf_str(&out));
        gate_buf_finish(&out);
    } else {
        admin_wait_end(o->wait, 503, (struct gate_str){NULL, 0});
    }
    pthread_mutex_destroy(&o->lock);
    free(o->workers);
    free(o);
}

void admin_scripts(struct admin_call *c)
{
    const struct gate_workers *w = &c->admin->parts.workers;
    struct admin_wait *wait = admin_no_params(c) ? admin_wait_begin(c) : NULL;
    if (wait == NULL)
        return;
    struct overview *o = gate_calloc(1, sizeof *o);
    o->wait = wait;
    o->room = w->count;
    o->workers = gate_calloc(w->count + 1, sizeof o->workers[0]);
    pthread_mutex_init(&o->lock, NULL);
    if (w->visit != NULL)
        w->visit(w->ctx, visit, finish_overview, o);
    else
        finish_overview(o);
}

/* ---- history */

void admin_scripts_history(struct admin_call *c)
{
    struct gate_history *h = gate_live_history(c->admin->parts.live);
    struct admin_params p;
    uint64_t limit, before;
    if (!admin_params_read(c, "limit|before", &p))
        return;
    bool fine = admin_param_number(c, &p, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit) &&
                admin_param_number(c, &p, "before", 1, UINT64_MAX >> 12, 0, &before);
    admin_params_finish(&p);
    if (!fine)
        return;
    struct gate_history_entry *list = gate_calloc((size_t)limit + 1, sizeof list[0]);
    struct gate_error err;
    size_t count = 0;
    if (gate_history_list(h, before, (size_t)limit + 1, list, &count, &err) == GATE_OK) {
        bool more = count > limit;
        struct gate_buf out;
        count = more ? (size_t)limit : count;
        gate_buf_init(&out, MAX_LIST);
        json_open(&out, NULL, '{');
        json_open(&out, "generations", '[');
        for (size_t i = 0; i < count; i++)
            admin_put_entry(&out, NULL, &list[i]);
        json_close(&out, ']');
        json_num_or_null(&out, "next", more ? list[count - 1].number : 0);
        json_close(&out, '}');
        admin_reply(c, 200, gate_buf_str(&out));
        gate_buf_finish(&out);
    } else {
        admin_refuse_error(c, &err);
    }
    free(list);
}

/* A generation's number in an address. False: refused. */
static bool read_number(struct admin_call *c, struct gate_str text, const char *param,
                        uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.len && i < 16; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            break;
        *out = *out * 10 + (uint64_t)(text.ptr[i] - '0');
        if (i + 1 == text.len)
            return true;
    }
    admin_refuse(c, 400, "invalid_value", param, "\"%.*s\" is not the number of a generation.",
                 text.len < 64 ? (int)text.len : 64, text.len > 0 ? text.ptr : "");
    return false;
}

void admin_scripts_generation(struct admin_call *c)
{
    struct gate_history_entry entry;
    struct gate_sources sources = {.files = NULL};
    struct gate_error err;
    uint64_t number;
    if (!admin_no_params(c) || !read_number(c, c->name, NULL, &number))
        return;
    if (gate_history_get(gate_live_history(c->admin->parts.live), number, &entry, &sources, &err) !=
        GATE_OK) {
        admin_refuse_error(c, &err);
        return;
    }
    struct gate_buf out;
    gate_buf_init(&out, MAX_FILES);
    json_open(&out, NULL, '{');
    admin_put_entry(&out, "published", &entry);
    admin_put_sources(&out, "files", &sources);
    json_close(&out, '}');
    admin_reply(c, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
    gate_sources_finish(&sources);
}

/* ---- differences */

/* "running" (also when it is not given), "disk" or a number. False: refused. */
static bool read_side(struct admin_call *c, struct gate_str text, const char *param,
                      struct gate_sources *out)
{
    struct gate_live *l = c->admin->parts.live;
    struct gate_history_entry entry;
    struct gate_error err;
    uint64_t number;
    if (text.len == 0 || gate_str_eq(text, GATE_STR("running"))) {
        gate_sources_copy(gate_generation_sources(gate_live_running(l)->generation), out);
        return true;
    }
    if (gate_str_eq(text, GATE_STR("disk"))) {
        gate_sources_copy(gate_live_disk(l).sources, out);
        return true;
    }
    if (!read_number(c, text, param, &number))
        return false;
    if (gate_history_get(gate_live_history(l), number, &entry, out, &err) == GATE_OK)
        return true;
    admin_refuse_error(c, &err);
    return false;
}

void admin_scripts_diff(struct admin_call *c)
{
    struct gate_sources from = {.files = NULL}, to = {.files = NULL};
    struct admin_params p;
    if (!admin_params_read(c, "from|to", &p))
        return;
    if (read_side(c, admin_param(&p, "from"), "from", &from) &&
        read_side(c, admin_param(&p, "to"), "to", &to)) {
        struct gate_buf diff, out;
        gate_buf_init(&diff, MAX_DIFF);
        gate_buf_init(&out, MAX_FILES);
        struct gate_diff_lines lines = gate_diff_sources(&from, &to, &diff);
        json_open(&out, NULL, '{');
        json_num(&out, "added", lines.added);
        json_num(&out, "removed", lines.removed);
        json_str(&out, "diff", gate_buf_str(&diff));
        json_close(&out, '}');
        admin_reply(c, 200, gate_buf_str(&out));
        gate_buf_finish(&out);
        gate_buf_finish(&diff);
    }
    gate_sources_finish(&from);
    gate_sources_finish(&to);
    admin_params_finish(&p);
}
