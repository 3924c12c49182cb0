/* Drafts beside what runs. The steps of one, each ending where the next one begins:
 *
 *     start     lint, configuration, instances, generation, tests, samples
 *     replay    recent requests of all workers
 *     build     its accounts; every worker makes its Lua state
 *
 * A publish may come between any two of them: a draft keeps the configuration and the instances
 * that it was made beside. */
#include "live/stage.h"
#include "live/live_internal.h"
#include <pthread.h>

struct live_stage {
    struct live_stage *next;
    struct gate_stage *shared;
    struct gate_roster_stage *accounts;
    bool built; /* every worker has it */
};

/* One that is on its way. */
struct live_staging {
    struct live_staging *next;
    struct gate_live *live; /* NULL: destroyed */
    struct gate_sources sources;
    struct gate_candidate *candidate;
    struct gate_stage *shared;
    struct gate_table *table; /* to begin with */
    uint64_t started_us;
    struct gate_live_report report;
    struct gate_live_staged result;
    void (*done)(void *ctx, const struct gate_live_staged *result);
    void *ctx;
    pthread_mutex_t lock; /* of what follows: workers build at the same time */
    bool build_failed;
    struct gate_error build_error;
};

static void start(struct live_staging *job);

static void visit(const struct gate_live *l, void (*visitor)(struct gate_env *env, void *arg),
                  void (*then)(void *arg), void *arg)
{
    const struct gate_workers *w = &l->workers;
    if (w->visit != NULL)
        w->visit(w->ctx, visitor, then, arg);
    else
        then(arg);
}

/* ---- the end of a stage */

/* Worker. */
static void remove_on_worker(struct gate_env *env, void *arg)
{
    gate_stage_remove(env, arg);
}

static void on_removed(void *arg)
{
    gate_stage_release(arg);
}

static struct live_stage **find(struct gate_live *l, const struct gate_stage *shared)
{
    struct live_stage **at = &l->stages;
    while (*at != NULL && (*at)->shared != shared)
        at = &(*at)->next;
    return at;
}

/* Takes one out of the list and from the workers; its reference to `shared` goes with the visit. */
static void end_stage(struct gate_live *l, struct live_stage **at)
{
    struct live_stage *s = *at;
    *at = s->next;
    visit(l, remove_on_worker, on_removed, s->shared);
    gate_roster_stage_destroy(s->accounts);
    free(s);
}

/* Makes room for one more. */
static void bound(struct gate_live *l)
{
    size_t count = 0;
    struct live_stage **oldest = NULL;
    uint64_t oldest_ms = 0;
    for (struct live_stage **at = &l->stages; *at != NULL; at = &(*at)->next) {
        uint64_t used_ms = atomic_load(&(*at)->shared->used_ms);
        if (!(*at)->built)
            continue;
        count++;
        if (oldest == NULL || used_ms < oldest_ms) {
            oldest = at;
            oldest_ms = used_ms;
        }
    }
    if (count >= GATE_STAGE_MAX)
        end_stage(l, oldest);
}

void live_stages_tick(struct gate_live *l)
{
    uint64_t now_ms = gate_clock_wall_ms();
    for (struct live_stage **at = &l->stages; *at != NULL;)
        if ((*at)->built && gate_stage_has_expired((*at)->shared, now_ms))
            end_stage(l, at);
        else
            at = &(*at)->next;
}

bool gate_live_unstage(struct gate_live *l, struct gate_str id)
{
    struct live_stage **at = &l->stages;
    live_stages_tick(l);
    while (*at != NULL && !((*at)->built && gate_str_eq(id, gate_str_of((*at)->shared->id))))
        at = &(*at)->next;
    if (*at == NULL)
        return false;
    end_stage(l, at);
    return true;
}

/* ---- accounts that change */

struct delivery {
    struct gate_stage *shared; /* retained */
    struct gate_table *table;  /* retained */
};

/* Worker. */
static void renew_on_worker(struct gate_env *env, void *arg)
{
    const struct delivery *d = arg;
    gate_stage_renew(env, d->shared, d->table);
}

static void on_renewed(void *arg)
{
    struct delivery *d = arg;
    gate_stage_release(d->shared);
    gate_table_release(d->table);
    free(d);
}

void gate_live_restage(struct gate_live *l)
{
    for (struct live_stage *s = l->stages; s != NULL; s = s->next) {
        struct gate_table *table;
        struct gate_error err = {.message = ""};
        if (gate_roster_stage_table(l->parts.roster, s->accounts, &table, &err) != GATE_OK) {
            gate_log_warn("scripts: stage %s keeps the accounts that it has: %s", s->shared->id,
                          err.message);
            continue;
        }
        struct delivery *d = gate_alloc(sizeof *d);
        gate_stage_retain(s->shared);
        *d = (struct delivery){s->shared, table};
        visit(l, renew_on_worker, on_renewed, d);
    }
}

/* ---- the end of a staging */

static void free_staging(struct live_staging *job)
{
    gate_candidate_destroy(job->candidate);
    gate_stage_release(job->shared);
    gate_table_release(job->table);
    gate_live_report_finish(&job->report);
    gate_sources_finish(&job->sources);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

static void tell(struct live_staging *job, enum gate_status status)
{
    job->report.took_us = gate_clock_mono_us() - job->started_us;
    job->result.status = status;
    job->result.report = &job->report;
    job->done(job->ctx, &job->result);
}

/* Tells what became of it, and starts the next one. */
static void finish(struct live_staging *job, enum gate_status status)
{
    struct gate_live *l = job->live;
    tell(job, status);
    l->stagings = job->next;
    free_staging(job);
    if (l->stagings != NULL)
        start(l->stagings);
}

static bool is_gone(struct live_staging *job)
{
    if (job->live != NULL)
        return false;
    free_staging(job);
    return true;
}

void live_stages_end(struct gate_live *l)
{
    struct live_staging *job = l->stagings;
    for (bool first = true; job != NULL; first = false) {
        struct live_staging *next = job->next;
        gate_fail(&job->result.err, GATE_ETIMEOUT, "the gateway is stopping");
        tell(job, GATE_ETIMEOUT);
        job->live = NULL;
        if (!first)
            free_staging(job); /* the first one ends where its visit does */
        job = next;
    }
    l->stagings = NULL;
    while (l->stages != NULL)
        end_stage(l, &l->stages);
}

/* ---- build */

/* Worker. The state has notes of its own: what a draft counts is not what runs. */
static void build_on_worker(struct gate_env *env, void *arg)
{
    struct live_staging *job = arg;
    struct gate_generation *g = job->candidate->generation;
    struct gate_script *script = NULL;
    struct gate_error err = {.message = ""};
    if (gate_script_create(g, NULL, &script, &err) == GATE_OK) {
        gate_stage_add(env, job->shared, gate_script_pin_create(g, script),
                       gate_table_pin_create(job->table));
        return;
    }
    pthread_mutex_lock(&job->lock);
    job->build_failed = true;
    job->build_error = err;
    pthread_mutex_unlock(&job->lock);
}

static void on_built(void *arg)
{
    struct live_staging *job = arg;
    struct gate_live *l = job->live;
    if (is_gone(job))
        return;
    struct live_stage **at = find(l, job->shared);
    if (job->build_failed) {
        end_stage(l, at);
        gate_problems_add_error(&job->report.problems, "build", &job->build_error);
        finish(job, GATE_EINVAL);
        return;
    }
    live_stages_tick(l);
    bound(l);
    (*find(l, job->shared))->built = true;
    memcpy(job->result.id, job->shared->id, sizeof job->result.id);
    job->result.expires_ms = atomic_load(&job->shared->used_ms) + GATE_STAGE_KEEP_MS;
    finish(job, GATE_OK);
}

/* From here on it follows what happens to accounts: what comes while workers build is delivered
 * behind that. */
static void add_stage(struct live_staging *job, struct gate_roster_stage *accounts)
{
    struct live_stage **at = &job->live->stages;
    struct live_stage *s = gate_calloc(1, sizeof *s);
    job->shared = gate_stage_create(gate_clock_wall_ms());
    gate_stage_retain(job->shared);
    s->shared = job->shared;
    s->accounts = accounts;
    while (*at != NULL)
        at = &(*at)->next;
    *at = s;
}

static void build(struct live_staging *job)
{
    const struct gate_candidate *c = job->candidate;
    struct gate_error *err = &job->result.err;
    struct gate_roster_stage *accounts =
        gate_roster_stage_create(c->config, c->pool, c->generation);
    enum gate_status status =
        gate_roster_stage_table(job->live->parts.roster, accounts, &job->table, err);
    if (status == GATE_OK) {
        add_stage(job, accounts);
        visit(job->live, build_on_worker, on_built, job);
        return;
    }
    gate_roster_stage_destroy(accounts);
    if (status == GATE_ECONFLICT)
        job->result.keys[job->result.key_count++] = "providers";
    else if (status == GATE_EINVAL)
        gate_problems_add_error(&job->report.problems, "config", err);
    finish(job, status);
}

/* ---- start, replay */

static void on_recent(void *ctx, const struct gate_trace *const *list, size_t count)
{
    struct live_staging *job = ctx;
    if (is_gone(job))
        return;
    live_replay(job->live, job->candidate, false, list, count, &job->report);
    if (job->report.problems.errors > 0)
        finish(job, GATE_EINVAL);
    else
        build(job);
}

/* What only a start reads cannot be had beside what runs. */
static bool needs_restart(struct live_staging *job)
{
    struct gate_live_staged *r = &job->result;
    const struct gate_config *fresh = job->candidate->config;
    char names[GATE_ERROR_MAX / 2] = "";
    r->key_count =
        gate_config_restart_keys(job->live->running.config, fresh, r->keys, GATE_LIVE_MAX_RESTART);
    if (r->key_count > GATE_LIVE_MAX_RESTART)
        r->key_count = GATE_LIVE_MAX_RESTART;
    for (size_t i = 0; i < r->key_count; i++) {
        size_t len = strlen(names);
        snprintf(names + len, sizeof names - len, "%s%s", i > 0 ? ", " : "", r->keys[i]);
    }
    if (r->key_count > 0)
        gate_fail(&r->err, GATE_ECONFLICT,
                  "gateway.lua changes what is read at start only, so it cannot be staged: %s",
                  names);
    return r->key_count > 0;
}

static void start(struct live_staging *job)
{
    struct gate_live *l = job->live;
    job->started_us = gate_clock_mono_us();
    job->candidate = live_make(l, &job->sources, &job->report);
    if (job->candidate == NULL)
        finish(job, GATE_EINVAL);
    else if (needs_restart(job))
        finish(job, GATE_ECONFLICT);
    else if (!live_try(l, job->candidate, &job->sources, false, &job->report))
        finish(job, GATE_EINVAL);
    else
        gate_live_recent(l, GATE_LIVE_RECORDED, on_recent, job);
}

void gate_live_stage(struct gate_live *l, const struct gate_sources *sources,
                     void (*done)(void *ctx, const struct gate_live_staged *result), void *ctx)
{
    struct live_staging *job = gate_calloc(1, sizeof *job), **at = &l->stagings;
    job->live = l;
    gate_sources_copy(sources, &job->sources);
    job->done = done;
    job->ctx = ctx;
    pthread_mutex_init(&job->lock, NULL);
    while (*at != NULL)
        at = &(*at)->next;
    *at = job;
    if (l->stagings == job)
        start(job);
}
