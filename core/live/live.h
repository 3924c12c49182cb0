/*
 * live: which generation runs, and how another one takes its place: check, build on every worker,
 * switch all, keep in history, write to conf/. Edits from the API and on disk, rollbacks and the
 * takeover after script errors all come here. Control thread.
 */
#ifndef GATE_LIVE_LIVE_H
#define GATE_LIVE_LIVE_H

#include "live/candidate.h"
#include "live/dry_run.h"
#include "live/history.h"
#include "live/policy_test.h"
#include "pool/roster.h"
#include "request/workers.h"

enum {
    GATE_LIVE_TRY_MS = 1000,  /* of all samples and recent requests together */
    GATE_LIVE_RECORDED = 200, /* recent requests that a draft must survive before it is published */
    GATE_LIVE_MAX_RESTART = 16,
};

/* What everything runs on now. Replaced by each publish; whoever keeps a part retains it. */
struct gate_running {
    struct gate_config *config;
    struct gate_pool *pool;
    struct gate_generation *generation;
};

struct gate_live_parts {
    const struct gate_config *boot; /* that the process started with; outlives live */
    struct gate_running running;    /* retained by live */
    const struct gate_registry *registry;
    struct gate_roster *roster;
    struct gate_store *store;
    struct gate_control *control;
    bool serves; /* follow edits on disk, and keep what the start found; false: a command that looks
                  */
};

struct gate_live;
/* Takes the history up: the texts on disk keep their number when they are those of the newest
 * entry, else they become a new one ("start"). */
enum gate_status gate_live_create(const struct gate_live_parts *parts, struct gate_live **out,
                                  struct gate_error *err);
void gate_live_destroy(struct gate_live *l); /* NULL is fine */
const struct gate_running *gate_live_running(const struct gate_live *l);
struct gate_history *gate_live_history(struct gate_live *l);
struct gate_counters *gate_live_counters(struct gate_live *l);

/* When the workers run and before they end: publishing reaches them, and traffic is asked for. */
void gate_live_connect(struct gate_live *l, const struct gate_workers *workers);
void gate_live_disconnect(struct gate_live *l);

/* Once a minute: what could not be written is tried again. */
void gate_live_tick(struct gate_live *l);

/* Told of everything that happens, on the control thread: `event` is a JSON object whose member
 * "event" is "published", "disk" or "takeover". One listener. */
void gate_live_listen(struct gate_live *l, void (*told)(void *ctx, struct gate_str event),
                      void *ctx);

/* What is in conf/ on disk. The parts are lent until the control thread does something else. */
struct gate_live_disk {
    bool differs;   /* an edit that could not be published is there */
    uint64_t at_ms; /* when it was seen */
    const struct gate_sources *sources;
    const struct gate_problems *problems;
};
struct gate_live_disk gate_live_disk(const struct gate_live *l);

/* The generation in whose place the running one took over because its scripts failed; 0: what runs
 * was published by somebody. */
uint64_t gate_live_failed(const struct gate_live *l);

/* Keys of gateway.lua whose new value waits for a restart. Valid until the next publish. */
size_t gate_live_restart_keys(const struct gate_live *l, const char **names, size_t max);

/* ---- checking */

struct gate_live_report {
    struct gate_problems problems; /* warnings too */
    struct gate_policy_tests tests;
    uint64_t tried_us;                          /* of that budget, so far */
    bool stopped;                               /* it was used up: the rest was not tried */
    size_t samples, recorded;                   /* requests that were tried */
    const char *restart[GATE_LIVE_MAX_RESTART]; /* keys that would wait for a restart; literals */
    size_t restart_count;
    uint64_t took_us;
};
void gate_live_report_finish(struct gate_live_report *r);

/* Everything that publishing would check, and nothing else happens. `sources` is lent for the call.
 * done is called once, perhaps before check returns (recent requests are asked of the workers). */
void gate_live_check(struct gate_live *l, const struct gate_sources *sources,
                     void (*done)(void *ctx, const struct gate_live_report *report), void *ctx);

/* Makes a candidate beside what runs, with no more checks than that it can be made; see
 * gate_candidate_create. Owner: caller. */
enum gate_status gate_live_try(struct gate_live *l, const struct gate_sources *sources,
                               struct gate_candidate **out, struct gate_problems *problems);

/* The recent requests of all workers, newest first, at most `max`: copies that live until done
 * returns. */
void gate_live_recent(struct gate_live *l, size_t max,
                      void (*done)(void *ctx, const struct gate_trace *const *list, size_t count),
                      void *ctx);

/* Replays the last `count` requests against a draft. GATE_EINVAL: the report has errors, dry is
 * NULL. */
void gate_live_dry_run(struct gate_live *l, const struct gate_sources *draft, size_t count,
                       size_t max_rows,
                       void (*done)(void *ctx, enum gate_status status,
                                    const struct gate_live_report *report,
                                    const struct gate_dry_run *dry),
                       void *ctx);

/* The accounts as they are now, for gate_simulate. Owner: caller (gate_trace_accounts_release). */
struct gate_trace_accounts *gate_live_accounts(struct gate_live *l);

/* ---- publishing */

struct gate_live_change {
    const struct gate_sources *sources; /* the whole set; lent for the call */
    bool partial; /* sources are only files that change: the others are those that run when it is
                     this change's turn; removed names those that go */
    const char *const *removed;
    size_t removed_count;
    uint64_t base; /* the generation it was written from; 0: whatever runs */
    uint64_t of;   /* of a rollback: whose texts these are */
    enum gate_origin origin;
    bool over_disk; /* an edit on disk that could not be published may be overwritten */
    struct gate_str author, note;
};

struct gate_live_result {
    enum gate_status status; /* GATE_OK; GATE_ECONFLICT: base is not what runs, or (disk_edit) an
                                edit on disk would be lost; GATE_EINVAL: the report has errors;
                                others: err */
    struct gate_error err;
    uint64_t number; /* that runs now: the new one, or the old one when nothing was changed */
    bool disk_edit;
    bool unchanged;   /* the texts are those that run: nothing was published */
    bool unrecorded;  /* it serves, but history or conf/ could not be written: err says why */
    uint64_t took_us; /* from the call to the last worker's switch */
    const struct gate_live_report *report;
};
/* One at a time: others wait in line. done is called once, perhaps before publish returns. */
void gate_live_publish(struct gate_live *l, const struct gate_live_change *change,
                       void (*done)(void *ctx, const struct gate_live_result *result), void *ctx);

/* The roster has a new table: those of the stages (live/stage.h) follow. */
void gate_live_restage(struct gate_live *l);

/* A worker saw GATE_ENV_SCRIPT_ERRORS calls in a row fail. When that generation still runs, the
 * newest good one before it takes over; why is the last error. */
void gate_live_failing(struct gate_live *l, uint64_t generation, const char *why);

#endif
