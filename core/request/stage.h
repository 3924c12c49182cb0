/*
 * stage: draft scripts, with the accounts that go with them, built on every worker beside what
 * serves, for requests that name them (x-gate-stage of a chat of the console). live/stage.c makes
 * them and takes them away; serve/chat.c finds them; an exchange keeps the one that it began with
 * to its end.
 */
#ifndef GATE_REQUEST_STAGE_H
#define GATE_REQUEST_STAGE_H

#include "request/env.h"

enum {
    GATE_STAGE_MAX = 4,          /* that can be used */
    GATE_STAGE_KEEP_MS = 600000, /* after the last use */
};

/* One stage, as all threads see it. */
struct gate_stage {
    _Atomic uint32_t refs;
    char id[GATE_STAGE_ID + 1];
    _Atomic uint64_t used_ms; /* Unix: when it was made, or used last */
};
struct gate_stage *gate_stage_create(uint64_t now_ms);
void gate_stage_retain(struct gate_stage *s);
void gate_stage_release(struct gate_stage *s); /* any thread; NULL is fine */
bool gate_stage_has_expired(const struct gate_stage *s, uint64_t now_ms);

/* The same as one worker uses it: in the list of its env, and counted by its requests. Worker
 * throughout. */
struct gate_stage_pin {
    struct gate_stage_pin *next;
    struct gate_stage *stage;        /* retained */
    struct gate_script_pin *script;  /* owned */
    struct gate_table_pin *accounts; /* the newest of its tables; owned */
    size_t users;                    /* requests, and 1 for being in the list */
};
/* Takes both pins over. */
void gate_stage_add(struct gate_env *env, struct gate_stage *s, struct gate_script_pin *script,
                    struct gate_table_pin *accounts);
/* The newest accounts of a stage; nothing happens where it is gone. */
void gate_stage_renew(struct gate_env *env, const struct gate_stage *s, struct gate_table *table);
/* No new request finds it. */
void gate_stage_remove(struct gate_env *env, const struct gate_stage *s);
void gate_stage_remove_all(struct gate_env *env);
/* Finds a stage and keeps it alive for its time from now on. Lent until the next event. NULL: there
 * is none of that id, or not any more. */
struct gate_stage_pin *gate_stage_find(struct gate_env *env, struct gate_str id, uint64_t now_ms);

static inline struct gate_stage_pin *gate_stage_pin_use(struct gate_stage_pin *p)
{
    p->users++;
    return p;
}
void gate_stage_pin_drop(struct gate_stage_pin *p); /* frees with the last user; NULL is fine */

#endif
