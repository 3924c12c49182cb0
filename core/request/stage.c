#include "request/stage.h"
#include "base/random.h"
#include <stdlib.h>

/* ---- as all threads see it */

_Static_assert((int)GATE_STAGE_ID == (int)GATE_RANDOM_ID, "the id is a random one");

struct gate_stage *gate_stage_create(uint64_t now_ms)
{
    struct gate_stage *s = gate_calloc(1, sizeof *s);
    gate_random_id(s->id);
    atomic_init(&s->refs, 1);
    atomic_init(&s->used_ms, now_ms);
    return s;
}

void gate_stage_retain(struct gate_stage *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void gate_stage_release(struct gate_stage *s)
{
    if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        free(s);
}

bool gate_stage_has_expired(const struct gate_stage *s, uint64_t now_ms)
{
    uint64_t used = atomic_load(&s->used_ms);
    return now_ms > used && now_ms - used >= GATE_STAGE_KEEP_MS; /* a clock may be set back */
}

/* ---- as one worker uses it */

void gate_stage_pin_drop(struct gate_stage_pin *p)
{
    if (p == NULL || --p->users > 0)
        return;
    gate_script_pin_drop(p->script);
    gate_table_pin_drop(p->accounts);
    gate_stage_release(p->stage);
    free(p);
}

void gate_stage_add(struct gate_env *env, struct gate_stage *s, struct gate_script_pin *script,
                    struct gate_table_pin *accounts)
{
    struct gate_stage_pin *p = gate_calloc(1, sizeof *p);
    gate_stage_retain(s);
    *p = (struct gate_stage_pin){
        .next = env->stages,
        .stage = s,
        .script = script,
        .accounts = accounts,
        .users = 1,
    };
    env->stages = p;
}

void gate_stage_renew(struct gate_env *env, const struct gate_stage *s, struct gate_table *table)
{
    for (struct gate_stage_pin *p = env->stages; p != NULL; p = p->next) {
        if (p->stage != s)
            continue;
        struct gate_table_pin *old = p->accounts;
        p->accounts = gate_table_pin_create(table);
        gate_table_pin_drop(old);
    }
}

void gate_stage_remove(struct gate_env *env, const struct gate_stage *s)
{
    for (struct gate_stage_pin **at = &env->stages, *p; (p = *at) != NULL;) {
        if (p->stage != s) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        gate_stage_pin_drop(p);
    }
}

void gate_stage_remove_all(struct gate_env *env)
{
    while (env->stages != NULL)
        gate_stage_remove(env, env->stages->stage);
}

struct gate_stage_pin *gate_stage_find(struct gate_env *env, struct gate_str id, uint64_t now_ms)
{
    struct gate_stage_pin *p = env->stages;
    while (p != NULL && !gate_str_eq(id, gate_str_of(p->stage->id)))
        p = p->next;
    if (p == NULL || gate_stage_has_expired(p->stage, now_ms))
        return NULL;
    atomic_store(&p->stage->used_ms, now_ms);
    return p;
}
