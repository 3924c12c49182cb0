/* A generation and its state, counted by the requests of one worker. */
#include "base/buf.h"
#include "script/script.h"

#include <assert.h>
#include <stdlib.h>

struct gate_script_pin *gate_script_pin_create(struct gate_generation *g,
                                               struct gate_script *script)
{
    struct gate_script_pin *p = gate_calloc(1, sizeof *p);
    gate_generation_retain(g);
    p->generation = g;
    p->script = script;
    p->users = 1;
    return p;
}

void gate_script_pin_drop(struct gate_script_pin *p)
{
    if (p == NULL)
        return;
    assert(p->users > 0);
    if (--p->users > 0)
        return;
    gate_script_destroy(p->script);
    gate_generation_release(p->generation);
    free(p);
}
