/* What there is nothing at, and what must look the same: a wrong key, the console without a
 * session. Who asks often for that waits for his answers, so that guessing is slow. Nothing that is
 * right waits, and nobody is shut out: all clients may come from one proxy's address. */
#include "serve/serve_internal.h"

enum {
    EVERY_MS = 50,   /* a worker gives that many answers of this kind in the long run: 20 / s */
    BURST_MS = 2000, /* up to 40 at once when there were none for a while */
    MAX_DELAY_MS = 2000,
};

static void refuse(struct serve_request *r)
{
    struct gate_api_error error;
    gate_refusal_not_found(&error);
    serve_refuse(r, &error, NULL, 0);
}

static void on_waited(struct gate_timer *timer)
{
    refuse(H2O_STRUCT_FROM_MEMBER(struct serve_request, delay, timer));
}

/* How long this one waits; each takes its place behind the one before. */
static uint64_t take_place(struct gate_listener *l)
{
    uint64_t now = l->env->timers->now_ms, last = now + BURST_MS + MAX_DELAY_MS;
    if (l->unknown_until_ms < now)
        l->unknown_until_ms = now;
    uint64_t place = l->unknown_until_ms;
    l->unknown_until_ms = place + EVERY_MS < last ? place + EVERY_MS : last;
    return place > now + BURST_MS ? place - now - BURST_MS : 0;
}

void serve_refuse_unknown(struct serve_request *r)
{
    struct gate_listener *l = r->conn->listener;
    uint64_t wait_ms = take_place(l);
    if (wait_ms == 0) {
        refuse(r);
        return;
    }
    r->delay.cb = on_waited;
    gate_timer_arm(l->env->timers, &r->delay, wait_ms);
    serve_watch(r);
}
