/* Scripts that fail one request after the other give way to the generation before them. */
#include "live/live_internal.h"

enum { LOOK_BACK = 50 /* generations that are looked at for a good one */ };

struct takeover {
    struct gate_live *live;
    uint64_t from, to;
    char note[GATE_HISTORY_NOTE + 1];
};

static void try_older(struct takeover *t, uint64_t below);

static void on_taken(void *ctx, const struct gate_live_result *result)
{
    struct takeover *t = ctx;
    struct gate_live *l = t->live;
    if (result->status == GATE_OK && !result->unchanged) {
        gate_log_error(
            "scripts: generation %llu was taken out of service, %llu serves in its place "
            "with the texts of %llu",
            (unsigned long long)t->from, (unsigned long long)result->number,
            (unsigned long long)t->to);
        live_tell(l, "{\"event\":\"takeover\",\"failed\":%llu,\"generation\":%llu,\"of\":%llu}",
                  (unsigned long long)t->from, (unsigned long long)result->number,
                  (unsigned long long)t->to);
        free(t);
    } else if (result->status == GATE_EINVAL || result->unchanged) {
        try_older(t, t->to);
    } else {
        if (result->status != GATE_ECONFLICT && result->status != GATE_ETIMEOUT) {
            gate_log_error("scripts: generation %llu could not be put in the place of %llu: %s",
                           (unsigned long long)t->to, (unsigned long long)t->from,
                           result->err.message);
            l->failed = 0; /* the next failures try again */
        }
        free(t); /* else somebody published meanwhile, or the gateway stops */
    }
}

/* Are these the texts of one that failed before, or of the one that fails now? */
static bool has_failed(struct takeover *t, const struct gate_history_entry *list, size_t count,
                       const struct gate_sources *sources)
{
    struct gate_live *l = t->live;
    bool has = gate_sources_equal(sources, gate_generation_sources(l->running.generation));
    for (size_t i = 0; i < count && !has; i++) {
        struct gate_history_entry entry;
        struct gate_sources failed = {.files = NULL};
        struct gate_error err;
        if (list[i].failed &&
            gate_history_get(l->history, list[i].number, &entry, &failed, &err) == GATE_OK)
            has = gate_sources_equal(sources, &failed);
        gate_sources_finish(&failed);
    }
    return has;
}

/* The newest generation below that has not failed, nor one with the same texts. */
static bool find_older(struct takeover *t, uint64_t below, struct gate_sources *sources)
{
    struct gate_live *l = t->live;
    struct gate_history_entry *list = gate_calloc(LOOK_BACK, sizeof list[0]), entry;
    struct gate_error err = {.message = ""};
    size_t count = 0;
    bool found = false;
    if (gate_history_list(l->history, 0, LOOK_BACK, list, &count, &err) != GATE_OK)
        count = 0;
    for (size_t i = 0; i < count && !found; i++) {
        if (list[i].failed || list[i].number >= below ||
            gate_history_get(l->history, list[i].number, &entry, sources, &err) != GATE_OK)
            continue;
        found = !has_failed(t, list, count, sources);
        t->to = list[i].number;
        if (!found)
            gate_sources_finish(sources);
    }
    free(list);
    return found;
}

static void try_older(struct takeover *t, uint64_t below)
{
    struct gate_live *l = t->live;
    struct gate_sources sources = {.files = NULL};
    if (!find_older(t, below, &sources)) {
        gate_log_error("scripts: generation %llu fails request after request, and there is no "
                       "earlier one that could take over: it goes on",
                       (unsigned long long)t->from);
        free(t);
        return;
    }
    const struct gate_live_change change = {
        .sources = &sources,
        .base = t->from,
        .of = t->to,
        .origin = GATE_ORIGIN_TAKEOVER,
        .over_disk = true,
        .author = GATE_STR("gateway"),
        .note = gate_str_of(t->note),
    };
    gate_live_publish(l, &change, on_taken, t);
    gate_sources_finish(&sources);
}

void gate_live_failing(struct gate_live *l, uint64_t generation, const char *why)
{
    struct gate_error err = {.message = ""};
    if (generation != gate_generation_number(l->running.generation) || generation == l->failed)
        return;
    l->failed = generation;
    gate_log_error("scripts: %d requests in a row failed in generation %llu, the last with: %s",
                   GATE_ENV_SCRIPT_ERRORS, (unsigned long long)generation, why);
    if (gate_history_mark_failed(l->history, generation, &err) != GATE_OK)
        gate_log_error("scripts: the history cannot be written: %s", err.message);
    struct takeover *t = gate_calloc(1, sizeof *t);
    t->live = l;
    t->from = generation;
    snprintf(t->note, sizeof t->note, "generation %llu failed %d requests in a row: %s",
             (unsigned long long)generation, GATE_ENV_SCRIPT_ERRORS, why);
    try_older(t, generation);
}
