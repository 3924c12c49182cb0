/*
 * test_window: what the tests of quota_window share: one account, a clock that only a test moves,
 * and numbers drawn from a seed. A rig belongs to one thread unless a test says otherwise.
 */
#ifndef TEST_WINDOW_H
#define TEST_WINDOW_H

#include "state.h"

#include <check.h>

/* Instrumented builds do less of what is done many times. */
#ifdef GATE_CPU_SCALE
enum { WINDOW_SLOWNESS = GATE_CPU_SCALE };
#else
enum { WINDOW_SLOWNESS = 1 };
#endif

/* ck_assert for what runs a million times: it costs nothing as long as it holds. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("%s", #condition);                                                        \
    } while (0)

extern const struct gate_plugin gate_plugin;

#define DAY_MS ((uint64_t)WINDOW_DAY_S * 1000)
/* 2023-11-14 00:00:00 in the default zone, +08:00 */
#define MIDNIGHT_MS ((uint64_t)1699891200000)
#define NOON_MS (MIDNIGHT_MS + DAY_MS / 2)

struct rig {
    const struct gate_quota_ops *ops;
    void *instance;
    struct window_state *state;
    struct gate_limits limits[GATE_USAGE_KINDS];
    uint64_t now_ms;
    /* of the last refusal */
    enum gate_limit_name limit;
    uint64_t free_at_ms;
};

/* What the gateway's clock says when the plugin reads it. rig_reserve and rig_settle set it too. */
void rig_set_host(uint64_t now_ms);
uint64_t rig_host_now(void);

/* A zeroed account in the zone; the time is NOON_MS. */
void rig_open(struct rig *r, const char *zone);
void rig_close(struct rig *r);
/* Forgets the account's state. */
void rig_clear(struct rig *r);

/* reserve and settle for chat at r->now_ms. */
bool rig_reserve(struct rig *r, uint64_t tokens, struct gate_reservation *out);
void rig_settle(struct rig *r, const struct gate_reservation *res, enum gate_outcome outcome,
                uint64_t tokens);
/* Reserves and settles as answered; fails the test when there is no room. */
void rig_answer(struct rig *r, uint64_t tokens);
struct gate_quota_numbers rig_numbers(const struct rig *r);

void assert_same_numbers(const struct gate_quota_numbers *a, const struct gate_quota_numbers *b);

/* save's bytes; the caller frees them. */
struct gate_str rig_save(const struct rig *r);
enum gate_status rig_load(struct rig *r, struct gate_str bytes, struct gate_error *err);

/* A writer into heap memory, for save and snapshot. */
struct heap {
    char *ptr;
    size_t len;
};
struct gate_writer heap_writer(struct heap *h);

/* The next of a row of numbers that the seed determines. */
uint64_t draw(uint64_t *seed);
static inline uint64_t draw_below(uint64_t *seed, uint64_t n)
{
    return draw(seed) % n;
}
static inline bool draw_chance(uint64_t *seed, uint64_t of_1000)
{
    return draw_below(seed, 1000) < of_1000;
}

TCase *case_facts(void);
TCase *case_report(void);
TCase *case_stored(void);
TCase *case_trace(void);
TCase *case_meter(void);
TCase *case_threads(void);
TCase *case_speed(void);

#endif
