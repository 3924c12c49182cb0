#include "live/dry_run.h"
#include "base/clock.h"
#include "base/json.h"
#include <stdlib.h>

enum {
    MAX_PROVIDERS = GATE_CONFIG_MAX_INSTANCES + 1, /* and those that were served by nobody */
    PROVIDER_NAME = sizeof((struct gate_trace *)NULL)->provider,
};

const char *const gate_change_names[GATE_CHANGES] = {
    [GATE_CHANGE_NONE] = "none",         [GATE_CHANGE_ACCOUNT] = "account",
    [GATE_CHANGE_MODEL] = "model",       [GATE_CHANGE_PROVIDER] = "provider",
    [GATE_CHANGE_REJECTED] = "rejected", [GATE_CHANGE_SERVED] = "served",
    [GATE_CHANGE_ERROR] = "error",
};

/* Turns go on per provider, counted by who really served, so that they are the same for both sides
 * whatever these decide. */
struct turns {
    char names[MAX_PROVIDERS][PROVIDER_NAME];
    uint64_t next[MAX_PROVIDERS];
    size_t count;
};

struct replay {
    const struct gate_candidate *running, *draft;
    size_t max_rows;
    struct turns turns;
    struct gate_dry_run_row *row;   /* being filled; NULL: the last one was kept */
    struct gate_dry_run_row **rows; /* by request; NULL: unchanged, or too old */
    size_t kept[2], oldest[2];      /* of others and of errors */
    uint64_t *took;                 /* of each decision of the draft */
};

/* ---- one request */

static uint64_t turn_of(struct turns *t, const char *provider, uint64_t recorded)
{
    size_t i = 0;
    while (i < t->count && strcmp(t->names[i], provider) != 0)
        i++;
    if (i == MAX_PROVIDERS)
        return recorded;
    if (i == t->count) {
        snprintf(t->names[t->count++], PROVIDER_NAME, "%s", provider);
        t->next[i] = recorded;
    }
    return t->next[i]++;
}

static enum gate_change compare(const struct gate_simulated *before,
                                const struct gate_simulated *after)
{
    bool was_served = before->outcome == GATE_SIMULATED_ROUTED;
    if (after->outcome == GATE_SIMULATED_ERROR)
        return GATE_CHANGE_ERROR;
    if (after->outcome != GATE_SIMULATED_ROUTED)
        return was_served || before->outcome != after->outcome || before->status != after->status
                   ? GATE_CHANGE_REJECTED
                   : GATE_CHANGE_NONE;
    if (!was_served)
        return GATE_CHANGE_SERVED;
    const struct gate_simulated_target *from = &before->targets[before->chosen];
    const struct gate_simulated_target *to = &after->targets[after->chosen];
    if (strcmp(from->provider, to->provider) != 0)
        return GATE_CHANGE_PROVIDER;
    if (strcmp(from->model, to->model) != 0)
        return GATE_CHANGE_MODEL;
    bool known = before->account[0] != '\0' && after->account[0] != '\0';
    return known && strcmp(before->account, after->account) != 0 ? GATE_CHANGE_ACCOUNT
                                                                 : GATE_CHANGE_NONE;
}

/* False: it cannot be replayed. */
static bool replay_one(struct replay *p, const struct gate_trace *t, struct gate_dry_run_row *row)
{
    struct gate_header headers[GATE_CONFIG_MAX_ROUTE_HEADERS];
    struct gate_request_facts facts;
    struct gate_simulate_input in;
    if (!gate_simulate_of_trace(t, &facts, headers, &in))
        return false;
    in.policy = gate_generation_policy(p->running->generation);
    in.turn = turn_of(&p->turns, t->provider, t->input.turn);
    row->request = t;
    gate_simulate(p->running, &in, &row->before);
    gate_simulate(p->draft, &in, &row->after);
    row->change = compare(&row->before, &row->after);
    return true;
}

/* ---- rows */

/* Of each of the two classes the newest max_rows stay. */
static void keep_row(struct replay *p, size_t at)
{
    bool error = p->row->change == GATE_CHANGE_ERROR;
    size_t *oldest = &p->oldest[error];
    p->rows[at] = p->row;
    p->row = NULL;
    if (++p->kept[error] <= p->max_rows)
        return;
    while (p->rows[*oldest] == NULL || (p->rows[*oldest]->change == GATE_CHANGE_ERROR) != error)
        --*oldest;
    free(p->rows[*oldest]);
    p->rows[*oldest] = NULL;
    p->kept[error]--;
}

static void move_rows(struct replay *p, size_t count, bool errors, struct gate_dry_run *out)
{
    for (size_t i = 0; i < count; i++) {
        if (p->rows[i] == NULL || (p->rows[i]->change == GATE_CHANGE_ERROR) != errors)
            continue;
        if (out->row_count < p->max_rows)
            out->rows[out->row_count++] = *p->rows[i];
        free(p->rows[i]);
        p->rows[i] = NULL;
    }
}

static void collect_rows(struct replay *p, size_t count, struct gate_dry_run *out)
{
    size_t kept = p->kept[0] + p->kept[1];
    if (kept > p->max_rows)
        kept = p->max_rows;
    if (kept > 0)
        out->rows = gate_alloc(kept * sizeof out->rows[0]);
    move_rows(p, count, true, out);
    move_rows(p, count, false, out);
}

/* ---- all of them */

static int compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void sum_times(struct replay *p, struct gate_dry_run *out)
{
    if (out->count == 0)
        return;
    qsort(p->took, out->count, sizeof p->took[0], compare_times);
    out->median_ns = p->took[out->count / 2];
    out->p99_ns = p->took[out->count * 99 / 100];
    out->max_ns = p->took[out->count - 1];
}

void gate_dry_run(const struct gate_candidate *running, const struct gate_candidate *draft,
                  const struct gate_trace *const *requests, size_t count, size_t max_rows,
                  struct gate_dry_run *out)
{
    uint64_t began = gate_clock_mono_us();
    struct replay *p = gate_calloc(1, sizeof *p);
    if (count > GATE_DRY_RUN_MAX)
        count = GATE_DRY_RUN_MAX;
    p->running = running;
    p->draft = draft;
    p->max_rows = max_rows;
    p->rows = gate_calloc(count + 1, sizeof p->rows[0]);
    p->took = gate_calloc(count + 1, sizeof p->took[0]);
    p->oldest[0] = p->oldest[1] = count;
    memset(out, 0, sizeof *out);
    for (size_t i = count; i-- > 0;) {
        out->stopped = gate_clock_mono_us() - began > (uint64_t)GATE_DRY_RUN_MS * 1000;
        if (out->stopped)
            break;
        if (p->row == NULL)
            p->row = gate_alloc(sizeof *p->row);
        if (!replay_one(p, requests[i], p->row))
            continue;
        p->took[out->count++] = p->row->after.took_ns;
        out->changes[p->row->change]++;
        if (p->row->change != GATE_CHANGE_NONE && max_rows > 0)
            keep_row(p, i);
    }
    collect_rows(p, count, out);
    sum_times(p, out);
    free(p->row);
    free(p->took);
    free(p->rows);
    free(p);
    out->took_us = gate_clock_mono_us() - began;
}

void gate_dry_run_finish(struct gate_dry_run *d)
{
    free(d->rows);
    memset(d, 0, sizeof *d);
}

/* ---- as JSON */

static void put_row(const struct gate_dry_run_row *row, struct gate_buf *out)
{
    const struct gate_trace *t = row->request;
    gate_buf_append(out, GATE_STR("{\"id\":"));
    gate_json_put(out, gate_str_of(t->id));
    gate_buf_printf(out, ",\"at\":%llu,\"model\":", (unsigned long long)t->at_ms);
    gate_json_put(out, gate_str_of(t->input.model));
    gate_buf_append(out, GATE_STR(",\"key\":"));
    gate_json_put(out, gate_str_of(t->key));
    gate_buf_printf(out, ",\"change\":\"%s\",\"before\":", gate_change_names[row->change]);
    gate_simulated_json(&row->before, out);
    gate_buf_append(out, GATE_STR(",\"after\":"));
    gate_simulated_json(&row->after, out);
    gate_buf_append_byte(out, '}');
}

void gate_dry_run_json(const struct gate_dry_run *d, struct gate_buf *out)
{
    gate_buf_printf(out, "{\"requests\":%zu,\"stopped\":%s,\"changed\":%zu,\"changes\":{", d->count,
                    d->stopped ? "true" : "false", d->count - d->changes[GATE_CHANGE_NONE]);
    for (size_t i = 0; i < GATE_CHANGES; i++)
        gate_buf_printf(out, "%s\"%s\":%zu", i > 0 ? "," : "", gate_change_names[i], d->changes[i]);
    gate_buf_printf(out,
                    "},\"took_ms\":%.1f,\"decision_us\":{\"median\":%.1f,\"p99\":%.1f,"
                    "\"max\":%.1f},\"rows\":[",
                    (double)d->took_us / 1000, (double)d->median_ns / 1000,
                    (double)d->p99_ns / 1000, (double)d->max_ns / 1000);
    for (size_t i = 0; i < d->row_count; i++) {
        if (i > 0)
            gate_buf_append_byte(out, ',');
        put_row(&d->rows[i], out);
    }
    gate_buf_append(out, GATE_STR("]}"));
}
