/*
 * health: which accounts may be asked, and how failures keep them from being asked. Lock-free; all
 * workers and the control thread.
 *
 *     verdict           condition   first pause       grows to   last resort
 *     auth              sign_in     30 s              1 h        no
 *     a login whose refresh token is dead: sign_in until a person signs in
 *     rate_limited      limited     as told, or 2 s   60 s       no
 *     quota_exhausted   exhausted   as told, or the end of the quota's day
 *     blocked           cooling     30 s              30 min     no
 *     overloaded        cooling     1 s               60 s       yes
 *     network           cooling     1 s               30 s       yes
 *     truncated         cooling     1 s               30 s       yes
 *     timeout           cooling     2 s               60 s       yes
 *     garbage           cooling     1 s               60 s       yes
 *     client_error      none: the account did its part
 *
 * A pause doubles with every cooldown that follows another without a success between, and varies
 * by a fifth at random. After it one real request probes the account while others still pass it by.
 * An account whose pause is marked "last resort" is asked before its end when no other can serve.
 */
#ifndef GATE_POOL_HEALTH_H
#define GATE_POOL_HEALTH_H

#include "pool/account.h"

/* What an account's live part says at one moment. */
struct gate_health {
    enum gate_condition condition; /* SERVING also when a pause is over */
    enum gate_condition unproven;  /* the same, but kept over the end of the pause until an answer
                                      has shown that the account is well */
    uint64_t until_ms;             /* Unix; 0: no end by itself */
    bool half_open;                /* the pause is over, one request may probe */
    bool probing;                  /* and one does so now */
    bool last_resort;              /* may be asked when nobody else can serve */
};
/* Any thread. */
struct gate_health gate_health_read(const struct gate_account *a, uint64_t now_ms);

/* Worker, before an attempt. *probe: this attempt is the probe. False: another one probes just now.
 */
bool gate_health_begin(struct gate_account *a, uint64_t now_ms, bool *probe);
/* Worker, once when an answer has begun well. latency_us: to its first byte. Only a probe, or an
 * attempt of last resort, ends a pause: an answer that began before the failure proves nothing. The
 * probe is over with it: gate_health_end is then told that it was none. */
void gate_health_good(struct gate_account *a, bool probe, bool last_resort, uint64_t latency_us);
/* Worker, at the end of every attempt that began, whatever became of it. probe: it is one still. */
void gate_health_end(struct gate_account *a, bool probe);

/* How long the default rule would pause the account for this verdict, ms; 0: not at all. */
uint64_t gate_health_pause(const struct gate_account *a, const struct gate_verdict *verdict,
                           uint64_t day_end_ms, uint64_t now_ms);
/* Worker. The attempt failed. pause_ms: as gate_health_pause said, or as a script wants it; 0: only
 * the error is noted. random: any number, for the variation; a pause that the service named or a
 * script gave is kept exactly. */
struct gate_health_failure {
    const struct gate_verdict *verdict;
    int status;
    const char *reason; /* text when the verdict has no message */
    uint64_t pause_ms;
    bool exact;
    bool hard; /* not even as a last resort, whatever the verdict's rule says */
};
void gate_health_bad(struct gate_account *a, const struct gate_health_failure *f, uint64_t random,
                     uint64_t now_ms);

/* Worker. The account did well and is to rest all the same: it cools for that long, or as long as
 * it does already, and is asked before that only when nobody else can serve. */
void gate_health_rest(struct gate_account *a, uint64_t pause_ms, uint64_t now_ms);

/* Control thread: a person signed in, or acted; or a saved state is restored. */
void gate_health_clear(struct gate_account *a);
void gate_health_set(struct gate_account *a, enum gate_condition condition, uint64_t until_ms,
                     const char *message, uint64_t now_ms);
/* Any thread. What to keep of it over a restart; SERVING: nothing. */
enum gate_condition gate_health_saved(const struct gate_account *a, uint64_t *until_ms);
/* Any thread. A copy. */
void gate_health_last_error(struct gate_account *a, struct gate_last_error *out);

#endif
