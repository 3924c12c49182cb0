/* From a draft to what runs. The steps of a job, each ending where the next one begins:
 *
 *     start     the base is what runs; nothing on disk would be lost
 *     make      lint, configuration, instances, generation, tests, samples
 *     replay    recent requests of all workers
 *     build     every worker makes its Lua state; the old one still serves
 *     switch    accounts follow; every worker takes state, table and configuration between two
 *               events
 *     record    history, conf/ on disk
 *
 * Whatever fails before the switch is told and changes nothing. */
#include "live/live_internal.h"
#include <pthread.h>
#include <stdatomic.h>

struct live_job {
    struct live_job *next;
    struct gate_live *live; /* NULL: destroyed */
    struct gate_sources sources;
    bool partial;
    char *removed[GATE_SOURCES_MAX_FILES]; /* owned */
    size_t removed_count;
    uint64_t base, of;
    enum gate_origin origin;
    bool over_disk, told;
    char author[GATE_HISTORY_AUTHOR + 1], note[GATE_HISTORY_NOTE + 1];
    void (*done)(void *ctx, const struct gate_live_result *result);
    void *ctx;
    uint64_t started_us;
    struct gate_live_report report;
    struct gate_live_result result;
    struct gate_candidate *candidate;
    struct gate_table *table; /* retained, for the switch */
    pthread_mutex_t lock;     /* of build_error: workers build at the same time */
    _Atomic bool build_failed;
    struct gate_error build_error;
};

static void start(struct live_job *job);

static bool is_lenient(const struct live_job *job)
{
    return job->origin == GATE_ORIGIN_ROLLBACK || job->origin == GATE_ORIGIN_TAKEOVER;
}

static bool is_by_person(const struct live_job *job)
{
    return job->origin == GATE_ORIGIN_ADMIN || job->origin == GATE_ORIGIN_ROLLBACK;
}

static uint64_t number_of(const struct gate_live *l)
{
    return gate_generation_number(l->running.generation);
}

/* ---- the end of a job */

static void free_job(struct live_job *job)
{
    gate_candidate_destroy(job->candidate);
    gate_table_release(job->table);
    gate_live_report_finish(&job->report);
    gate_sources_finish(&job->sources);
    for (size_t i = 0; i < job->removed_count; i++)
        free(job->removed[i]);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

/* Tells what became of it, and starts the next one. It stays at the head of the line until it was
 * told: what publishes from there waits like everybody. */
static void finish(struct live_job *job, enum gate_status status)
{
    struct gate_live *l = job->live;
    bool gone = false;
    job->result.status = status;
    job->result.report = &job->report;
    job->result.number = number_of(l);
    if (job->result.took_us == 0)
        job->result.took_us = gate_clock_mono_us() - job->started_us;
    job->report.took_us = job->result.took_us;
    job->told = true;
    l->gone = &gone;
    job->done(job->ctx, &job->result);
    if (gone) {
        free_job(job);
        return;
    }
    l->gone = NULL;
    l->jobs = job->next;
    free_job(job);
    if (l->jobs != NULL)
        start(l->jobs);
    else if (l->disk.stale)
        live_read_disk(l);
}

static void fail(struct live_job *job, enum gate_status status, const char *message)
{
    gate_fail(&job->result.err, status, "%s", message);
    finish(job, status);
}

static bool is_gone(struct live_job *job)
{
    if (job->live != NULL)
        return false;
    free_job(job);
    return true;
}

static void cancel(struct live_job *job, const struct gate_live *l)
{
    gate_fail(&job->result.err, GATE_ETIMEOUT, "the gateway is stopping");
    job->result.status = GATE_ETIMEOUT;
    job->result.report = &job->report;
    job->result.number = number_of(l);
    job->done(job->ctx, &job->result);
}

void live_cancel_jobs(struct gate_live *l)
{
    struct live_job *job = l->jobs;
    if (l->gone != NULL)
        *l->gone = true;
    for (bool first = true; job != NULL; first = false) {
        struct live_job *next = job->next;
        if (!job->told)
            cancel(job, l);
        job->live = NULL;
        if (!first)
            free_job(job); /* the first one ends where it is now: with its visit, or in finish */
        job = next;
    }
    l->jobs = NULL;
}

/* ---- record */

enum gate_status live_write_conf(struct gate_live *l, struct gate_error *err)
{
    const struct gate_sources *running = gate_generation_sources(l->running.generation);
    struct gate_sources now = {.files = NULL};
    bool there = live_conf_is_there(l, err) == GATE_OK;
    enum gate_status status =
        there ? gate_sources_read(live_conf_dir(l), &now, err) : GATE_OK; /* else it is made */
    if (there && status == GATE_OK && !gate_sources_equal(&now, &l->disk.seen)) {
        /* Edited since, and not seen yet: that edit is looked at next. */
        status = gate_fail(err, GATE_ECONFLICT,
                           "conf/ was edited on disk meanwhile; that edit is published next");
        l->disk.stale = true;
    }
    gate_sources_finish(&now);
    if (status == GATE_OK)
        status = gate_conf_dir_write(live_conf_dir(l), running, err);
    l->disk.unwritten = status != GATE_OK && status != GATE_ECONFLICT;
    if (status != GATE_OK)
        return status;
    gate_sources_finish(&l->disk.seen);
    gate_sources_copy(running, &l->disk.seen);
    l->disk.differs = false;
    gate_problems_finish(&l->disk.problems);
    return GATE_OK;
}

static void write_conf(struct live_job *job)
{
    struct gate_live *l = job->live;
    struct gate_error err = {.message = ""};
    l->disk.unwritten = false;
    if (live_conf_dir(l) == NULL || job->origin == GATE_ORIGIN_DISK)
        return;
    if (job->origin == GATE_ORIGIN_TAKEOVER && l->disk.differs)
        return; /* somebody is at work there */
    if (live_write_conf(l, &err) == GATE_OK)
        return;
    gate_log_error("scripts: generation %llu serves, but conf/ is not what it was made from: %s",
                   (unsigned long long)number_of(l), err.message);
    job->result.unrecorded = true;
    job->result.err = err;
}

static void write_history(struct live_job *job)
{
    struct gate_live *l = job->live;
    struct gate_error err = {.message = ""};
    struct gate_history_entry entry = {
        .number = number_of(l),
        .at_ms = gate_clock_wall_ms(),
        .base = job->base,
        .of = job->of,
        .origin = job->origin,
    };
    snprintf(entry.author, sizeof entry.author, "%s", job->author);
    snprintf(entry.note, sizeof entry.note, "%s", job->note);
    if (gate_history_add(l->history, &entry, &job->sources, &err) == GATE_OK)
        return;
    gate_log_error("scripts: generation %llu serves, but is not on record: %s",
                   (unsigned long long)entry.number, err.message);
    job->result.unrecorded = true;
    job->result.err = err;
}

static void put_text(struct gate_buf *out, const char *name, const char *text)
{
    gate_buf_printf(out, ",\"%s\":", name);
    gate_json_put(out, gate_str_of(text));
}

static void tell_published(struct live_job *job)
{
    enum { ROOM = 4096 };
    struct gate_buf text;
    gate_buf_init(&text, ROOM);
    gate_buf_printf(&text, "{\"event\":\"published\",\"generation\":%llu,\"took_ms\":%.3f",
                    (unsigned long long)number_of(job->live), (double)job->result.took_us / 1000);
    put_text(&text, "origin", gate_origin_names[job->origin]);
    put_text(&text, "author", job->author);
    put_text(&text, "note", job->note);
    gate_buf_append_byte(&text, '}');
    live_tell(job->live, "%.*s", (int)text.len, text.ptr);
    gate_buf_finish(&text);
}

/* Control thread: the last worker has switched. */
static void on_switched(void *arg)
{
    struct live_job *job = arg;
    struct gate_live *l = job->live;
    job->result.took_us = gate_clock_mono_us() - job->started_us;
    if (is_gone(job))
        return;
    gate_log_info("scripts: generation %llu serves (%s%s%s%s%s, %.1f ms)",
                  (unsigned long long)number_of(l), gate_origin_names[job->origin],
                  job->author[0] != '\0' ? ", by " : "", job->author,
                  job->note[0] != '\0' ? ": " : "", job->note, (double)job->result.took_us / 1000);
    live_log_problems("scripts", &job->report.problems); /* warnings */
    write_history(job);
    write_conf(job);
    tell_published(job);
    finish(job, GATE_OK);
}

/* ---- switch */

/* Worker, between two events. */
static void switch_worker(struct gate_env *env, void *arg)
{
    struct live_job *job = arg;
    struct gate_script_pin *old_script = env->script;
    struct gate_table_pin *old_accounts = env->accounts;
    struct gate_config *old_config = env->config;
    env->script = env->next_script;
    env->next_script = NULL;
    env->accounts = gate_table_pin_create(job->table);
    env->config = job->candidate->config;
    gate_config_retain(env->config);
    gate_script_pin_drop(old_script);
    gate_table_pin_drop(old_accounts);
    gate_config_release(old_config);
}

static void take_over(struct gate_live *l, const struct gate_candidate *c)
{
    struct gate_running old = l->running;
    l->running = (struct gate_running){c->config, c->pool, c->generation};
    gate_config_retain(l->running.config);
    gate_pool_retain(l->running.pool);
    gate_generation_retain(l->running.generation);
    gate_config_release(old.config);
    gate_pool_release(old.pool);
    gate_generation_release(old.generation);
    gate_log_set_level(l->running.config->log_level);
}

static void visit(struct live_job *job, void (*visitor)(struct gate_env *env, void *arg),
                  void (*then)(void *arg))
{
    const struct gate_workers *w = &job->live->workers;
    if (w->visit != NULL)
        w->visit(w->ctx, visitor, then, job);
    else
        then(job);
}

/* ---- build */

/* Worker. */
static void build_worker(struct gate_env *env, void *arg)
{
    struct live_job *job = arg;
    struct gate_script *script = NULL;
    struct gate_error err = {.message = ""};
    if (gate_script_create(job->candidate->generation, &env->script_host, &script, &err) ==
        GATE_OK) {
        env->next_script = gate_script_pin_create(job->candidate->generation, script);
        return;
    }
    pthread_mutex_lock(&job->lock);
    job->build_error = err;
    pthread_mutex_unlock(&job->lock);
    atomic_store(&job->build_failed, true);
}

/* Worker. */
static void drop_built(struct gate_env *env, void *arg)
{
    (void)arg;
    gate_script_pin_drop(env->next_script);
    env->next_script = NULL;
}

static void on_dropped(void *arg)
{
    struct live_job *job = arg;
    if (is_gone(job))
        return;
    gate_problems_add_error(&job->report.problems, "build", &job->result.err);
    finish(job, GATE_EINVAL);
}

static void on_built(void *arg)
{
    struct live_job *job = arg;
    struct gate_live *l = job->live;
    struct gate_candidate *c = job->candidate;
    if (is_gone(job))
        return;
    enum gate_status status = GATE_OK;
    if (atomic_load(&job->build_failed)) {
        job->result.err = job->build_error;
        status = GATE_EINTERNAL;
    }
    if (status == GATE_OK)
        status = gate_roster_switch(l->parts.roster, c->config, c->pool, c->generation, &job->table,
                                    &job->result.err);
    if (status != GATE_OK) {
        visit(job, drop_built, on_dropped);
        return;
    }
    take_over(l, c);
    gate_live_restage(l); /* the instances that accounts belong to may be others */
    l->in_place_of = job->origin == GATE_ORIGIN_TAKEOVER ? job->base : 0;
    memcpy(l->restart, job->report.restart, sizeof l->restart);
    l->restart_count = job->report.restart_count;
    visit(job, switch_worker, on_switched);
}

/* ---- start, make, replay */

static void on_recent(void *ctx, const struct gate_trace *const *list, size_t count)
{
    struct live_job *job = ctx;
    struct gate_live *l = job->live;
    if (is_gone(job))
        return;
    live_replay(l, job->candidate, is_lenient(job), list, count, &job->report);
    if (job->report.problems.errors > 0) {
        fail(job, GATE_EINVAL, "recent requests would fail");
        return;
    }
    uint64_t newest = gate_history_newest(l->history), now = number_of(l);
    gate_generation_set_number(job->candidate->generation, (newest > now ? newest : now) + 1);
    visit(job, build_worker, on_built);
}

/* True: publishing it would change nothing. */
static bool is_unchanged(const struct live_job *job)
{
    return !job->candidate->new_config &&
           gate_generation_same(job->candidate->generation, job->live->running.generation);
}

/* Puts files that change over those that run now. */
static enum gate_status complete(struct live_job *job)
{
    struct gate_sources whole;
    struct gate_error *err = &job->result.err;
    enum gate_status status = GATE_OK;
    gate_sources_copy(gate_generation_sources(job->live->running.generation), &whole);
    for (size_t i = 0; i < job->removed_count; i++)
        gate_sources_remove(&whole, job->removed[i]);
    for (size_t i = 0; i < job->sources.count && status == GATE_OK; i++) {
        const struct gate_source *f = &job->sources.files[i];
        status =
            gate_sources_put(&whole, gate_str_of(f->name), (struct gate_str){f->text, f->len}, err);
    }
    gate_sources_finish(&job->sources);
    job->sources = whole;
    return status;
}

static void start(struct live_job *job)
{
    struct gate_live *l = job->live;
    job->started_us = gate_clock_mono_us();
    if (job->base != 0 && job->base != number_of(l)) {
        fail(job, GATE_ECONFLICT, "another generation runs by now");
        return;
    }
    if (is_by_person(job) && live_disk_is_news(l)) {
        job->result.disk_edit = true;
        fail(job, GATE_ECONFLICT,
             "conf/ has just been edited on disk, and that edit is not looked at yet: try again in "
             "a "
             "moment");
        return;
    }
    if (l->disk.differs && !job->over_disk) {
        job->result.disk_edit = true;
        fail(job, GATE_ECONFLICT,
             "conf/ has an edit on disk that could not be published and would be lost: mend it "
             "there, "
             "or send over_disk: true to put this in its place");
        return;
    }
    if (job->base == 0)
        job->base = number_of(l);
    if (job->partial && complete(job) != GATE_OK) {
        finish(job, job->result.err.status);
        return;
    }
    job->candidate = live_make(l, &job->sources, &job->report);
    if (job->candidate == NULL) {
        fail(job, GATE_EINVAL, "the scripts have errors");
        return;
    }
    if (is_unchanged(job)) {
        job->result.unchanged = true;
        if (l->disk.differs)
            write_conf(job); /* the edit that could not be published goes */
        finish(job, GATE_OK);
        return;
    }
    if (!live_try(l, job->candidate, &job->sources, is_lenient(job), &job->report)) {
        fail(job, GATE_EINVAL, "the scripts have errors");
        return;
    }
    gate_live_recent(l, GATE_LIVE_RECORDED, on_recent, job);
}

static void copy_text(char *out, size_t cap, struct gate_str text)
{
    size_t len = text.len < cap - 1 ? text.len : cap - 1;
    if (len > 0)
        memcpy(out, text.ptr, len);
    out[len] = '\0';
}

void gate_live_publish(struct gate_live *l, const struct gate_live_change *change,
                       void (*done)(void *ctx, const struct gate_live_result *result), void *ctx)
{
    struct live_job *job = gate_calloc(1, sizeof *job), **at = &l->jobs;
    job->live = l;
    gate_sources_copy(change->sources, &job->sources);
    job->partial = change->partial;
    for (size_t i = 0; i < change->removed_count && i < GATE_SOURCES_MAX_FILES; i++)
        job->removed[job->removed_count++] = gate_strdup(gate_str_of(change->removed[i]));
    job->base = change->base;
    job->of = change->of;
    job->origin = change->origin;
    job->over_disk = change->over_disk;
    copy_text(job->author, sizeof job->author, change->author);
    copy_text(job->note, sizeof job->note, change->note);
    job->done = done;
    job->ctx = ctx;
    pthread_mutex_init(&job->lock, NULL);
    while (*at != NULL)
        at = &(*at)->next;
    *at = job;
    if (l->jobs == job)
        start(job);
}
