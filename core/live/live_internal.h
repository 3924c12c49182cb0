/*
 * live_internal: what the files of live.h share.
 *
 *     live.c           life, events, what runs, edits on disk
 *     live_check.c     what a draft must survive
 *     live_recent.c    the recent requests of all workers
 *     live_publish.c   the steps from a draft to what runs
 *     live_takeover.c  the way back when scripts fail
 *     stage.c          drafts that are built beside what runs
 *
 * Control thread, but for the visits, which run on workers.
 */
#ifndef GATE_LIVE_INTERNAL_H
#define GATE_LIVE_INTERNAL_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "live/conf_dir.h"
#include "live/live.h"
#include <stdlib.h>

struct live_job;
struct live_stage;
struct live_staging;

struct gate_live {
    struct gate_live_parts parts;
    struct gate_running running;
    struct gate_history *history;
    struct gate_counters *counters;
    struct gate_workers workers; /* visit NULL: none are connected */
    void (*told)(void *ctx, struct gate_str event);
    void *told_ctx;
    struct gate_watch *watch;
    struct {
        struct gate_sources seen; /* what was there when it was read or written last */
        bool differs, stale;      /* stale: it changed while a publish ran */
        bool unwritten;           /* what runs could not be written there */
        uint64_t at_ms;
        struct gate_problems problems;
    } disk;
    const char *restart[GATE_LIVE_MAX_RESTART];
    size_t restart_count;
    struct live_job *jobs;         /* the first one runs */
    uint64_t failed;               /* the generation that was taken out of service last */
    uint64_t in_place_of;          /* the same while the one that took over runs; else 0 */
    bool *gone;                    /* set when destroyed inside a callback of its own */
    struct live_stage *stages;     /* that were built, oldest first */
    struct live_staging *stagings; /* that are to be; the first one is being built */
};

/* live.c */
const char *live_conf_dir(const struct gate_live *l);
__attribute__((format(printf, 2, 3))) void live_tell(struct gate_live *l, const char *format, ...);
/* Logs every problem of a refused set. */
void live_log_problems(const char *what, const struct gate_problems *problems);
/* GATE_OK: conf/ is a directory that can be looked at. One that is gone is no edit that removed all
 * files: it may have been unmounted, or be replaced just now. */
enum gate_status live_conf_is_there(const struct gate_live *l, struct gate_error *err);
/* Looks at conf/ again. */
void live_read_disk(struct gate_live *l);
/* There is an edit that was not looked at yet, and will be: it may be half written. */
bool live_disk_is_news(const struct gate_live *l);
struct gate_candidate_base live_base(const struct gate_live *l);

/* live_check.c */
/* Makes the candidate. NULL: the report has errors. */
struct gate_candidate *live_make(struct gate_live *l, const struct gate_sources *sources,
                                 struct gate_live_report *report);
/* Runs tests and samples. lenient: what fails is a warning. False: the report has errors. */
bool live_try(struct gate_live *l, const struct gate_candidate *c,
              const struct gate_sources *sources, bool lenient, struct gate_live_report *report);
/* Tries it on recent requests. */
void live_replay(struct gate_live *l, const struct gate_candidate *c, bool lenient,
                 const struct gate_trace *const *recent, size_t count,
                 struct gate_live_report *report);

/* stage.c */
/* Those whose time is over go. */
void live_stages_tick(struct gate_live *l);
/* All of them go, and those that wait end with an error. The workers have ended. */
void live_stages_end(struct gate_live *l);

/* live_publish.c */
/* Makes conf/ say what runs. */
enum gate_status live_write_conf(struct gate_live *l, struct gate_error *err);
/* The jobs that wait end with an error. */
void live_cancel_jobs(struct gate_live *l);

#endif
