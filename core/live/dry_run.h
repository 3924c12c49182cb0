/*
 * dry_run: what a draft would have done with the requests of late. Replays their features against
 * the draft and against what runs, in the same order with the same snapshots of accounts, and tells
 * which would go elsewhere. Control thread; 1,000 requests in under 200 ms.
 */
#ifndef GATE_LIVE_DRY_RUN_H
#define GATE_LIVE_DRY_RUN_H

#include "live/simulate.h"

enum {
    GATE_DRY_RUN_MAX = 2000, /* requests */
    GATE_DRY_RUN_MS = 2000,  /* of all decisions: the control thread has other work too */
};

enum gate_change {
    GATE_CHANGE_NONE = 0,
    GATE_CHANGE_ACCOUNT, /* another account of the same target */
    GATE_CHANGE_MODEL,   /* another model of the same provider */
    GATE_CHANGE_PROVIDER,
    GATE_CHANGE_REJECTED, /* now rejected, or without a target or account */
    GATE_CHANGE_SERVED,   /* was not served, now is */
    GATE_CHANGE_ERROR,    /* the script fails */
    GATE_CHANGES,
};
extern const char *const gate_change_names[GATE_CHANGES];

struct gate_dry_run_row {
    const struct gate_trace *request; /* as given to gate_dry_run */
    enum gate_change change;
    struct gate_simulated before, after;
};

struct gate_dry_run {
    size_t count; /* requests that were replayed, from the oldest on */
    bool stopped; /* GATE_DRY_RUN_MS was over: the rest was not */
    size_t changes[GATE_CHANGES];
    uint64_t took_us;                   /* of everything */
    uint64_t median_ns, p99_ns, max_ns; /* one decision of the draft */
    struct gate_dry_run_row *rows;      /* owned; the changed ones, errors first, then in the order
                                           given; at most max_rows */
    size_t row_count;
};

/* requests: newest first, as collected from the workers; those without inputs, or with inputs that
 * were cut, are left out, and so is what exceeds GATE_DRY_RUN_MAX. They are replayed from the
 * oldest on, so that what scripts remember grows as it would have. The clock of scripts says when
 * each request came; both sides get the same turns and conversations. The requests must outlive
 * `out`, which is finished even when nothing was replayed. */
void gate_dry_run(const struct gate_candidate *running, const struct gate_candidate *draft,
                  const struct gate_trace *const *requests, size_t count, size_t max_rows,
                  struct gate_dry_run *out);
void gate_dry_run_finish(struct gate_dry_run *d);
void gate_dry_run_json(const struct gate_dry_run *d, struct gate_buf *out);

#endif
