#include "test_window.h"

#include <stdlib.h>

static _Atomic uint64_t host_now_ms;

void rig_set_host(uint64_t now_ms)
{
    atomic_store(&host_now_ms, now_ms);
}

uint64_t rig_host_now(void)
{
    return atomic_load(&host_now_ms);
}

void rig_open(struct rig *r, const char *zone)
{
    struct gate_value values[] = {{.present = true, .string = gate_str_of(zone)}};
    static const struct gate_host host = {.size = sizeof host, .now_ms = rig_host_now};
    struct gate_error err = {.message = ""};

    ck_assert_int_eq(gate_plugin.init(&host, &err), GATE_OK);
    *r = (struct rig){.ops = gate_plugin.ops, .now_ms = NOON_MS};
    ck_assert_msg(r->ops->instance_create(values, &r->instance, &err) == GATE_OK, "%s",
                  err.message);
    r->state = aligned_alloc(WINDOW_LINE, r->ops->state_size);
    ck_assert_ptr_nonnull(r->state);
    rig_clear(r);
}

void rig_close(struct rig *r)
{
    free(r->state);
    r->ops->instance_destroy(r->instance);
}

void rig_clear(struct rig *r)
{
    memset(r->state, 0, r->ops->state_size);
}

bool rig_reserve(struct rig *r, uint64_t tokens, struct gate_reservation *out)
{
    enum gate_status status;

    rig_set_host(r->now_ms);
    status = r->ops->reserve(r->instance, r->state, GATE_USAGE_CHAT, &r->limits[GATE_USAGE_CHAT],
                             r->now_ms, tokens, out, &r->limit, &r->free_at_ms);

    ck_assert(status == GATE_OK || status == GATE_ELIMIT);
    if (status == GATE_ELIMIT) {
        ck_assert(r->limit != GATE_LIMIT_NONE);
        ck_assert_uint_gt(r->free_at_ms, r->now_ms);
    }
    return status == GATE_OK;
}

void rig_settle(struct rig *r, const struct gate_reservation *res, enum gate_outcome outcome,
                uint64_t tokens)
{
    rig_set_host(r->now_ms);
    r->ops->settle(r->instance, r->state, GATE_USAGE_CHAT, res, outcome, tokens, r->now_ms);
}

void rig_answer(struct rig *r, uint64_t tokens)
{
    struct gate_reservation res;

    ck_assert(rig_reserve(r, tokens, &res));
    rig_settle(r, &res, GATE_OUTCOME_ANSWERED, tokens);
}

struct gate_quota_numbers rig_numbers(const struct rig *r)
{
    struct gate_quota_numbers n;

    r->ops->numbers(r->instance, r->state, GATE_USAGE_CHAT, r->now_ms, &n);
    return n;
}

void assert_same_numbers(const struct gate_quota_numbers *a, const struct gate_quota_numbers *b)
{
    ck_assert_uint_eq(a->requests_minute, b->requests_minute);
    ck_assert_uint_eq(a->requests_day, b->requests_day);
    ck_assert_uint_eq(a->tokens_minute, b->tokens_minute);
    ck_assert_uint_eq(a->tokens_day, b->tokens_day);
    ck_assert_uint_eq(a->in_flight, b->in_flight);
    ck_assert_uint_eq(a->day_resets_at_ms, b->day_resets_at_ms);
    ck_assert_uint_eq(a->blocked_until_ms, b->blocked_until_ms);
}

static void heap_append(void *ctx, struct gate_str bytes)
{
    struct heap *h = ctx;

    h->ptr = realloc(h->ptr, h->len + bytes.len + 1);
    ck_assert_ptr_nonnull(h->ptr);
    memcpy(h->ptr + h->len, bytes.ptr, bytes.len);
    h->len += bytes.len;
    h->ptr[h->len] = '\0';
}

struct gate_writer heap_writer(struct heap *h)
{
    *h = (struct heap){NULL, 0};
    return (struct gate_writer){h, heap_append};
}

struct gate_str rig_save(const struct rig *r)
{
    struct heap h;
    struct gate_writer out = heap_writer(&h);

    r->ops->save(r->instance, r->state, &out);
    return (struct gate_str){h.ptr, h.len};
}

enum gate_status rig_load(struct rig *r, struct gate_str bytes, struct gate_error *err)
{
    return r->ops->load(r->instance, r->state, bytes, r->now_ms, err);
}

/* splitmix64 */
uint64_t draw(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
