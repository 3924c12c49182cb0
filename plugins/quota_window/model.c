#include "model.h"

#include <stdlib.h>

static uint64_t newest(const struct model *m, uint64_t now_ms)
{
    /* Seconds are compared, so that a clock that goes back within one counts as it says. */
    return now_ms / 1000 >= m->newest_ms / 1000 ? now_ms : m->newest_ms / 1000 * 1000;
}

static uint64_t day_index(const struct model *m, uint64_t at_ms)
{
    uint64_t index = (uint64_t)((int64_t)at_ms + m->offset_ms) / DAY_MS - m->first_day;

    EXPECT(index < MODEL_DAYS);
    return index;
}

static bool counts(const struct model_entry *e, uint64_t at_ms)
{
    return e->at_ms / 1000 + 61 > at_ms / 1000;
}

static struct model_entry *push(struct model *m, struct model_entry e)
{
    if (m->len == m->cap) {
        m->cap = m->cap > 0 ? 2 * m->cap : 256;
        m->entries = realloc(m->entries, m->cap * sizeof *m->entries);
        EXPECT(m->entries != NULL);
    }
    m->entries[m->len] = e;
    return &m->entries[m->len++];
}

void model_open(struct model *m, int64_t offset_ms, uint64_t start_ms)
{
    *m = (struct model){.offset_ms = offset_ms, .newest_ms = start_ms};
    m->first_day = (uint64_t)((int64_t)start_ms + offset_ms) / DAY_MS;
}

void model_close(struct model *m)
{
    free(m->entries);
}

static void move_clock(struct model *m, uint64_t now_ms)
{
    m->newest_ms = newest(m, now_ms);
    while (m->live < m->len && !counts(&m->entries[m->live], m->newest_ms))
        m->live++;
}

static void sum(const struct model *m, uint64_t at_ms, uint64_t *requests, uint64_t *tokens)
{
    *requests = *tokens = 0;
    for (size_t i = m->live; i < m->len; i++) {
        if (!counts(&m->entries[i], at_ms))
            continue;
        *requests += m->entries[i].requests;
        *tokens += m->entries[i].minute_tokens;
    }
}

static bool has_room(uint64_t used, uint64_t n, uint64_t limit)
{
    if (limit == 0)
        return true;
    if (n > limit)
        n = limit;
    return used + (n > 0 ? n : 1) <= limit;
}

struct answer {
    enum gate_limit_name limit;
    uint64_t free_at_ms;
};

static void later(struct answer *a, enum gate_limit_name limit, uint64_t ms)
{
    if (ms > a->free_at_ms)
        *a = (struct answer){limit, ms};
}

/* Tries second after second. */
static void ask_minute(const struct model *m, const struct gate_limits *limits, uint64_t at_ms,
                       uint64_t tokens, bool of_tokens, struct answer *a)
{
    uint64_t limit = of_tokens ? limits->tokens_per_minute : limits->requests_per_minute;
    uint64_t requests, used, ms = at_ms;

    for (;; ms = ms / 1000 * 1000 + 1000) {
        sum(m, ms, &requests, &used);
        if (has_room(of_tokens ? used : requests, of_tokens ? tokens : 1, limit))
            break;
    }
    if (ms != at_ms)
        later(a, of_tokens ? GATE_LIMIT_TPM : GATE_LIMIT_RPM, ms);
}

enum gate_limit_name model_ask(struct model *m, const struct gate_limits *limits, uint64_t now_ms,
                               uint64_t tokens, uint64_t *free_at_ms)
{
    struct answer a = {GATE_LIMIT_NONE, 0};
    uint64_t at_ms, day, midnight;

    move_clock(m, now_ms);
    at_ms = m->newest_ms;
    day = day_index(m, at_ms);
    midnight = (m->first_day + day + 1) * DAY_MS - (uint64_t)m->offset_ms; /* wraps, and back */

    if (m->blocked_until > now_ms)
        later(&a, GATE_LIMIT_UPSTREAM, m->blocked_until);
    if (!has_room(m->day_requests[day], 1, limits->requests_per_day))
        later(&a, GATE_LIMIT_RPD, midnight);
    ask_minute(m, limits, at_ms, tokens, false, &a);
    if (!has_room(m->day_tokens[day], tokens, limits->tokens_per_day))
        later(&a, GATE_LIMIT_TPD, midnight);
    ask_minute(m, limits, at_ms, tokens, true, &a);
    if (!has_room(m->in_flight, 1, limits->concurrency))
        later(&a, GATE_LIMIT_CONCURRENCY, now_ms + 1000);
    *free_at_ms = a.free_at_ms;
    return a.limit;
}

static uint64_t cut(uint64_t n, uint64_t limit)
{
    return limit > 0 && n > limit ? limit : n;
}

size_t model_take(struct model *m, const struct gate_limits *limits, uint64_t now_ms,
                  uint64_t tokens)
{
    struct model_entry e = {.requests = 1,
                            .minute_tokens = cut(tokens, limits->tokens_per_minute),
                            .day_tokens = cut(tokens, limits->tokens_per_day)};
    uint64_t day;

    move_clock(m, now_ms);
    e.at_ms = m->newest_ms;
    day = day_index(m, e.at_ms);
    m->day_requests[day]++;
    m->day_tokens[day] += e.day_tokens;
    m->in_flight++;
    push(m, e);
    return m->len - 1;
}

void model_settle(struct model *m, size_t entry, enum gate_outcome outcome, uint64_t tokens,
                  uint64_t now_ms)
{
    bool worked = outcome == GATE_OUTCOME_ANSWERED || outcome == GATE_OUTCOME_CANCELLED;
    struct model_entry *e = &m->entries[entry];
    uint64_t used = worked ? tokens : 0, day = day_index(m, e->at_ms);
    struct model_entry more = {0};

    move_clock(m, now_ms);
    m->in_flight--;
    if (!worked)
        m->day_requests[day]--;
    if (outcome == GATE_OUTCOME_NOT_SENT)
        e->requests = 0;
    if (used > e->day_tokens)
        m->day_tokens[day_index(m, m->newest_ms)] += used - e->day_tokens;
    else
        m->day_tokens[day] -= e->day_tokens - used;
    if (used > e->minute_tokens && !counts(e, m->newest_ms)) {
        more.at_ms = m->newest_ms;
        more.minute_tokens = used - e->minute_tokens;
        push(m, more);
    } else {
        e->minute_tokens = used;
    }
}

void model_restart(struct model *m, uint64_t now_ms)
{
    move_clock(m, now_ms);
    m->in_flight = 0;
}

void model_numbers(const struct model *m, uint64_t now_ms, struct gate_quota_numbers *out)
{
    uint64_t at_ms = newest(m, now_ms), day = day_index(m, at_ms);
    uint64_t today = (uint64_t)((int64_t)now_ms + m->offset_ms) / DAY_MS;

    *out = (struct gate_quota_numbers){
        .requests_day = m->day_requests[day],
        .tokens_day = m->day_tokens[day],
        .in_flight = (uint32_t)m->in_flight,
        .day_resets_at_ms = (today + 1) * DAY_MS - (uint64_t)m->offset_ms,
        .blocked_until_ms = m->blocked_until > now_ms ? m->blocked_until : 0,
    };
    sum(m, at_ms, &out->requests_minute, &out->tokens_minute);
}

void model_rolling(const struct model *m, uint64_t now_ms, uint64_t *requests, uint64_t *tokens)
{
    *requests = *tokens = 0;
    for (size_t i = m->live; i < m->len; i++) {
        if (m->entries[i].at_ms + 60000 < now_ms)
            continue;
        *requests += m->entries[i].requests;
        *tokens += m->entries[i].minute_tokens;
    }
}
