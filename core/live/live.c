#include "live/live_internal.h"
#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>

const char *live_conf_dir(const struct gate_live *l)
{
    return l->parts.boot->conf_dir;
}

struct gate_candidate_base live_base(const struct gate_live *l)
{
    return (struct gate_candidate_base){
        .config = l->running.config,
        .pool = l->running.pool,
        .registry = l->parts.registry,
        .sources = gate_generation_sources(l->running.generation),
    };
}

/* ---- telling */

void live_tell(struct gate_live *l, const char *format, ...)
{
    enum { ROOM = 4096 };
    char text[ROOM];
    va_list args;
    if (l->told == NULL)
        return;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n > 0 && n < ROOM)
        l->told(l->told_ctx, (struct gate_str){text, (size_t)n});
}

void live_log_problems(const char *what, const struct gate_problems *problems)
{
    for (size_t i = 0; i < problems->kept; i++) {
        const struct gate_problem *p = &problems->list[i];
        enum gate_log_level level =
            p->severity == GATE_SEVERITY_ERROR ? GATE_LOG_ERROR : GATE_LOG_WARN;
        char place[GATE_PROBLEM_FILE + 32] = "";
        if (p->line > 0 && p->column > 0)
            snprintf(place, sizeof place, "%s:%u:%u: ", p->file, p->line, p->column);
        else if (p->line > 0)
            snprintf(place, sizeof place, "%s:%u: ", p->file, p->line);
        else if (p->file[0] != '\0')
            snprintf(place, sizeof place, "%s: ", p->file);
        gate_log(level, "%s: %s%s", what, place, p->message);
    }
}

void gate_live_listen(struct gate_live *l, void (*told)(void *ctx, struct gate_str event),
                      void *ctx)
{
    l->told = told;
    l->told_ctx = ctx;
}

/* ---- edits on disk */

struct disk_job {
    struct gate_live *live;
    struct gate_sources sources;
};

static void disk_clean(struct gate_live *l)
{
    if (l->disk.differs)
        live_tell(l, "{\"event\":\"disk\",\"differs\":false}");
    l->disk.differs = false;
    gate_problems_finish(&l->disk.problems);
}

/* The same as was said before? */
static bool same_problems(const struct gate_problems *a, const struct gate_problems *b)
{
    if (a->count != b->count || a->kept != b->kept)
        return false;
    for (size_t i = 0; i < a->kept; i++)
        if (a->list[i].line != b->list[i].line || strcmp(a->list[i].file, b->list[i].file) != 0 ||
            strcmp(a->list[i].message, b->list[i].message) != 0)
            return false;
    return true;
}

static void disk_refused(struct gate_live *l, const struct gate_problems *problems)
{
    if (l->disk.differs && same_problems(problems, &l->disk.problems))
        return; /* no news */
    l->disk.differs = true;
    l->disk.at_ms = gate_clock_wall_ms();
    gate_problems_finish(&l->disk.problems);
    for (size_t i = 0; i < problems->kept; i++) {
        const struct gate_problem *p = &problems->list[i];
        struct gate_problem *copy =
            gate_problems_add(&l->disk.problems, p->severity, p->code, p->file, p->line, "%s", "");
        *copy = *p;
    }
    gate_log_error("scripts: the edit in %s is not used, generation %llu goes on", live_conf_dir(l),
                   (unsigned long long)gate_generation_number(l->running.generation));
    live_log_problems("scripts", problems);
    live_tell(l, "{\"event\":\"disk\",\"differs\":true,\"problems\":%zu}", problems->count);
}

static void on_disk_published(void *ctx, const struct gate_live_result *result)
{
    struct gate_live *l = ctx;
    if (result->status == GATE_OK) {
        disk_clean(l);
    } else if (result->report->problems.errors > 0) {
        disk_refused(l, &result->report->problems);
    } else if (result->err.status != GATE_ETIMEOUT) { /* the gateway is not stopping */
        struct gate_problems problems = {.list = NULL};
        gate_problems_add_error(&problems, "publish", &result->err);
        disk_refused(l, &problems);
        gate_problems_finish(&problems);
    }
}

enum gate_status live_conf_is_there(const struct gate_live *l, struct gate_error *err)
{
    struct stat st;
    const char *dir = live_conf_dir(l);
    if (stat(dir, &st) != 0)
        return gate_fail(err, GATE_EIO, "%s: %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return gate_fail(err, GATE_EIO, "%s: not a directory", dir);
    return GATE_OK;
}

bool live_disk_is_news(const struct gate_live *l)
{
    struct gate_sources now = {.files = NULL};
    struct gate_error err;
    if (l->watch == NULL || live_conf_is_there(l, &err) != GATE_OK)
        return false;
    bool is = gate_sources_read(live_conf_dir(l), &now, &err) == GATE_OK &&
              !gate_sources_equal(&now, &l->disk.seen);
    gate_sources_finish(&now);
    return is;
}

void live_read_disk(struct gate_live *l)
{
    struct gate_sources sources = {.files = NULL};
    struct gate_error err = {.message = ""};
    if (l->jobs != NULL || l->workers.visit == NULL) {
        l->disk.stale = true; /* looked at when the job has ended, or the workers run */
        return;
    }
    l->disk.stale = false;
    if (live_conf_dir(l) == NULL)
        return;
    if (live_conf_is_there(l, &err) != GATE_OK ||
        gate_sources_read(live_conf_dir(l), &sources, &err) != GATE_OK) {
        struct gate_problems problems = {.list = NULL};
        gate_problems_add_error(&problems, "read", &err);
        disk_refused(l, &problems);
        gate_problems_finish(&problems);
        gate_sources_finish(&sources);
        return;
    }
    /* Nothing new in conf/: then something in scripts/, which an edit that was refused may have
     * waited for. What runs is not always what is on disk: it could not be written there. */
    bool same = gate_sources_equal(&sources, &l->disk.seen);
    gate_sources_finish(&l->disk.seen);
    l->disk.seen = sources;
    const struct gate_live_change change = {
        .sources = same && !l->disk.differs ? gate_generation_sources(l->running.generation)
                                            : &l->disk.seen,
        .origin = GATE_ORIGIN_DISK,
        .author = GATE_STR("disk"),
        .note =
            same && !l->disk.differs ? GATE_STR("scripts/ changed") : GATE_STR("edited on disk"),
        .over_disk = true,
    };
    gate_live_publish(l, &change, on_disk_published, l);
}

static void on_changed(void *arg)
{
    live_read_disk(arg);
}

struct gate_live_disk gate_live_disk(const struct gate_live *l)
{
    return (struct gate_live_disk){
        .differs = l->disk.differs,
        .at_ms = l->disk.at_ms,
        .sources = &l->disk.seen,
        .problems = &l->disk.problems,
    };
}

/* ---- life */

/* The texts that the process started with keep their number, or get the next one. */
static enum gate_status take_up_history(struct gate_live *l, struct gate_error *err)
{
    const struct gate_sources *now = gate_generation_sources(l->running.generation);
    uint64_t newest = gate_history_newest(l->history);
    struct gate_history_entry entry = {.origin = GATE_ORIGIN_START};
    struct gate_sources then = {.files = NULL};
    bool same = false;
    if (newest > 0 && gate_history_get(l->history, newest, &entry, &then, err) == GATE_OK)
        same = gate_sources_equal(now, &then);
    gate_sources_finish(&then);
    gate_generation_set_number(l->running.generation, same ? newest : newest + 1);
    if (same || !l->parts.serves)
        return GATE_OK;
    entry = (struct gate_history_entry){
        .number = newest + 1,
        .at_ms = gate_clock_wall_ms(),
        .base = newest,
        .origin = GATE_ORIGIN_START,
    };
    snprintf(entry.author, sizeof entry.author, "start");
    snprintf(entry.note, sizeof entry.note,
             newest > 0 ? "edited while the gateway did not run" : "found at the first start");
    struct gate_error why;
    if (gate_history_add(l->history, &entry, now, &why) != GATE_OK)
        gate_log_error("scripts: the history cannot be written: %s", why.message);
    return GATE_OK;
}

static void start_watch(struct gate_live *l)
{
    struct gate_error err = {.message = ""};
    if (!l->parts.serves || live_conf_dir(l) == NULL)
        return;
    if (gate_watch_create(l->parts.control, live_conf_dir(l), l->parts.boot->script_dir, on_changed,
                          l, &l->watch, &err) != GATE_OK)
        gate_log_warn("scripts: edits in %s are not noticed: %s", live_conf_dir(l), err.message);
}

enum gate_status gate_live_create(const struct gate_live_parts *parts, struct gate_live **out,
                                  struct gate_error *err)
{
    struct gate_live *l = gate_calloc(1, sizeof *l);
    l->parts = *parts;
    l->running = parts->running;
    gate_config_retain(l->running.config);
    gate_pool_retain(l->running.pool);
    gate_generation_retain(l->running.generation);
    l->counters = gate_counters_create();
    gate_sources_copy(gate_generation_sources(l->running.generation), &l->disk.seen);
    enum gate_status status = gate_history_open(parts->store, &l->history, err);
    if (status == GATE_OK)
        status = take_up_history(l, err);
    if (status != GATE_OK) {
        gate_live_destroy(l);
        return status;
    }
    start_watch(l);
    *out = l;
    return GATE_OK;
}

void gate_live_destroy(struct gate_live *l)
{
    if (l == NULL)
        return;
    l->told = NULL;
    live_cancel_jobs(l);
    live_stages_end(l);
    gate_watch_destroy(l->watch);
    gate_history_close(l->history);
    gate_counters_destroy(l->counters);
    gate_sources_finish(&l->disk.seen);
    gate_problems_finish(&l->disk.problems);
    gate_config_release(l->running.config);
    gate_pool_release(l->running.pool);
    gate_generation_release(l->running.generation);
    free(l);
}

const struct gate_running *gate_live_running(const struct gate_live *l)
{
    return &l->running;
}

struct gate_history *gate_live_history(struct gate_live *l)
{
    return l->history;
}

struct gate_counters *gate_live_counters(struct gate_live *l)
{
    return l->counters;
}

void gate_live_connect(struct gate_live *l, const struct gate_workers *workers)
{
    l->workers = *workers;
    live_read_disk(l); /* what was edited since the texts were read */
}

void gate_live_disconnect(struct gate_live *l)
{
    l->workers = (struct gate_workers){.visit = NULL};
}

uint64_t gate_live_failed(const struct gate_live *l)
{
    return l->in_place_of;
}

void gate_live_tick(struct gate_live *l)
{
    struct gate_error err = {.message = ""};
    gate_history_flush(l->history);
    live_stages_tick(l);
    if (l->disk.unwritten && l->jobs == NULL && !l->disk.differs &&
        live_write_conf(l, &err) == GATE_OK)
        gate_log_info("scripts: conf/ could be written again; it is what runs");
}

size_t gate_live_restart_keys(const struct gate_live *l, const char **names, size_t max)
{
    for (size_t i = 0; i < l->restart_count && i < max; i++)
        names[i] = l->restart[i];
    return l->restart_count;
}

struct gate_trace_accounts *gate_live_accounts(struct gate_live *l)
{
    struct gate_table *table = gate_roster_table(l->parts.roster);
    struct gate_trace_accounts *a = gate_trace_accounts_create(
        table, gate_roster_quota(l->parts.roster), GATE_USAGE_CHAT, gate_clock_wall_ms());
    gate_table_release(table);
    return a;
}
