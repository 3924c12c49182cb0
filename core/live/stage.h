/*
 * stage: drafts that are built on every worker beside what runs, as publishing builds them, so that
 * chats of the console can try them (request/stage.h has the workers' side). A stage has the
 * draft's scripts, configuration and provider instances; its accounts are those that run, where
 * these are what the draft has. Nothing of it is on record: a restart ends all of them. Used by
 * admin. Control thread.
 */
#ifndef GATE_LIVE_STAGE_H
#define GATE_LIVE_STAGE_H

#include "live/live.h"
#include "request/stage.h"

struct gate_live_staged {
    enum gate_status status; /* GATE_OK; GATE_EINVAL: the report has errors; GATE_ECONFLICT: the
                                draft's gateway.lua cannot be tried: err, keys; others: err */
    struct gate_error err;
    const char *keys[GATE_LIVE_MAX_RESTART]; /* of gateway.lua that are to blame; literals */
    size_t key_count;
    char id[GATE_STAGE_ID + 1];
    uint64_t expires_ms; /* Unix: unless it is used before */
    const struct gate_live_report *report;
};

/* Checks a draft as gate_live_check does and builds it. One at a time: others wait in line. The
 * stage that was used least recently gives way when there are GATE_STAGE_MAX others. `sources` is
 * lent for the call. done is called once, perhaps before this returns; it does not destroy l. */
void gate_live_stage(struct gate_live *l, const struct gate_sources *sources,
                     void (*done)(void *ctx, const struct gate_live_staged *result), void *ctx);
/* Ends one; requests that run end with it. False: there is none of that id. */
bool gate_live_unstage(struct gate_live *l, struct gate_str id);

#endif
