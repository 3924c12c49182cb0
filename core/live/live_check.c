/* What a draft must survive before it is published. */
#include "live/live_internal.h"

enum { SAMPLE_MODELS = 8, SAMPLE_BODY = 2000, SAMPLE_LONG = 400000 };

/* ---- samples: requests of every shape for models that are served */

struct samples {
    char models[SAMPLE_MODELS][GATE_SCRIPT_MAX_NAME + 1];
    size_t count;
};

static void take_model(void *ctx, struct gate_str model, const struct gate_instance *owner)
{
    struct samples *s = ctx;
    (void)owner;
    if (s->count == SAMPLE_MODELS || model.len > GATE_SCRIPT_MAX_NAME)
        return;
    memcpy(s->models[s->count], model.ptr, model.len);
    s->models[s->count++][model.len] = '\0';
}

static const struct sample_shape {
    const char *what;
    struct gate_request_facts facts;
    size_t body;
} shapes[] = {
    {"one message", {.message_count = 1, .depth = 3}, SAMPLE_BODY},
    {"a stream", {.message_count = 2, .depth = 3, .stream = true, .max_tokens = 256}, SAMPLE_BODY},
    {"tools",
     {.message_count = 12, .depth = 8, .tool_count = 20, .stream = true},
     20 * SAMPLE_BODY},
    {"an image", {.message_count = 2, .depth = 5, .has_images = true}, SAMPLE_LONG},
    {"a long conversation",
     {.message_count = 800, .depth = 5, .stream = true, .max_tokens = 32000},
     SAMPLE_LONG},
    {"no messages", {.depth = 2}, 20},
};

/* The problem that was added last says, up to its last part, what another one says already: one
 * mistake fails for many requests. */
static bool is_repeated(const struct gate_problems *all, const struct gate_problem *p, size_t len)
{
    for (const struct gate_problem *q = all->list; q < p; q++)
        if (q->line == p->line && strcmp(q->code, p->code) == 0 && strcmp(q->file, p->file) == 0 &&
            strncmp(q->message, p->message, len) == 0 && strncmp(q->message + len, " (", 2) == 0)
            return true;
    return false;
}

static void add(struct gate_live_report *report, bool lenient, const char *code, const char *what,
                const struct gate_simulated *s)
{
    struct gate_problems *all = &report->problems;
    struct gate_error err = {.status = GATE_EINTERNAL, .message = ""};
    snprintf(err.message, sizeof err.message, "%s", s->message);
    struct gate_problem *p = gate_problems_add_error(all, code, &err);
    size_t len = strlen(p->message);
    if (all->kept > 0 && p == &all->list[all->kept - 1] && is_repeated(all, p, len)) {
        all->kept--;
        all->count--;
        all->errors--;
        return;
    }
    snprintf(p->message + len, sizeof p->message - len, " (%s)", what);
    snprintf(p->stack, sizeof p->stack, "%s", s->stack);
    if (lenient && p->severity == GATE_SEVERITY_ERROR) {
        p->severity = GATE_SEVERITY_WARNING;
        all->errors--;
    }
}

/* Has the budget of all trials room for one more? Says once when it has not. */
static bool may_try(struct gate_live_report *report)
{
    if (report->tried_us < (uint64_t)GATE_LIVE_TRY_MS * 1000)
        return true;
    if (!report->stopped)
        gate_problems_add(&report->problems, GATE_SEVERITY_WARNING, "slow", "", 0,
                          "sample and recent requests took more than %d ms, so the rest was not "
                          "tried: each decision of these scripts takes long",
                          GATE_LIVE_TRY_MS);
    report->stopped = true;
    return false;
}

static void simulate(const struct gate_candidate *c, const struct gate_simulate_input *in,
                     struct gate_simulated *out, struct gate_live_report *report)
{
    gate_simulate(c, in, out);
    report->tried_us += out->took_ns / 1000;
}

static void try_samples(struct gate_live *l, const struct gate_candidate *c, bool lenient,
                        struct gate_live_report *report)
{
    struct samples s = {.count = 0};
    struct gate_trace_accounts *accounts = gate_live_accounts(l);
    struct gate_simulated *out = gate_alloc(sizeof *out);
    gate_pool_each_model(c->pool, c->script, c->generation, take_model, &s);
    for (size_t i = 0; i < s.count; i++) {
        for (size_t k = 0; k < sizeof shapes / sizeof shapes[0] && may_try(report); k++) {
            char what[GATE_PROBLEM_TEXT];
            const struct gate_simulate_input in = {
                .request = {.model = gate_str_of(s.models[i]),
                            .key_name = GATE_STR("default"),
                            .path = GATE_STR("/v1/chat/completions"),
                            .facts = &shapes[k].facts,
                            .body_bytes = shapes[k].body},
                .accounts = accounts,
                .policy = gate_generation_policy(l->running.generation),
                .turn = k,
            };
            simulate(c, &in, out, report);
            report->samples++;
            snprintf(what, sizeof what, "for a sample request: %.100s, %s", s.models[i],
                     shapes[k].what);
            if (out->outcome == GATE_SIMULATED_ERROR)
                add(report, lenient, "sample", what, out);
        }
    }
    free(out);
    gate_trace_accounts_release(accounts);
}

/* The functions that judge answers: each kind of failure once. */
static void try_judges(const struct gate_candidate *c, bool lenient,
                       struct gate_live_report *report)
{
    static const struct gate_request_facts facts = {.message_count = 1, .depth = 3};
    const struct gate_route_view req = {.model = GATE_STR("sample"),
                                        .key_name = GATE_STR("default"),
                                        .path = GATE_STR("/v1/chat/completions"),
                                        .facts = &facts,
                                        .body_bytes = SAMPLE_BODY};
    struct gate_simulated failed = {.outcome = GATE_SIMULATED_ERROR};
    struct gate_error err;
    for (int kind = GATE_VERDICT_OK + 1; kind <= GATE_VERDICT_GARBAGE; kind++) {
        const struct gate_verdict verdict = {
            .kind = (enum gate_verdict_kind)kind, .code = "sample", .message = "a sample failure"};
        const struct gate_error_view view = {.verdict = &verdict,
                                             .status = kind == GATE_VERDICT_NETWORK ? 0 : 500,
                                             .number = 1,
                                             .account = GATE_STR("sample/0"),
                                             .alias = GATE_STR("sample"),
                                             .provider = GATE_STR("sample"),
                                             .model = GATE_STR("sample"),
                                             .fallback = GATE_ACTION_NEXT_ACCOUNT};
        struct gate_error_decision d;
        if (!gate_script_has_on_error(c->script) ||
            gate_script_on_error(c->script, &view, &req, &d, &err) == GATE_OK)
            continue;
        snprintf(failed.message, sizeof failed.message, "%s", err.message);
        snprintf(failed.stack, sizeof failed.stack, "%s", gate_script_stack(c->script));
        add(report, lenient, "sample", "on_error, for a sample failure", &failed);
    }
    const struct gate_response_view response = {.status = 200,
                                                .total_us = 1000000,
                                                .first_us = 500000,
                                                .number = 1,
                                                .usage = {.prompt = 500, .completion = 100},
                                                .account = GATE_STR("sample/0"),
                                                .alias = GATE_STR("sample"),
                                                .provider = GATE_STR("sample"),
                                                .model = GATE_STR("sample")};
    struct gate_response_decision d;
    if (!gate_script_has_on_response(c->script) ||
        gate_script_on_response(c->script, &response, &req, &d, &err) == GATE_OK)
        return;
    snprintf(failed.message, sizeof failed.message, "%s", err.message);
    snprintf(failed.stack, sizeof failed.stack, "%s", gate_script_stack(c->script));
    add(report, lenient, "sample", "on_response, for a sample answer", &failed);
}

/* ---- the whole */

static void note_restart_keys(struct gate_live *l, const struct gate_candidate *c,
                              struct gate_live_report *report)
{
    report->restart_count =
        gate_config_restart_keys(l->parts.boot, c->config, report->restart, GATE_LIVE_MAX_RESTART);
    if (report->restart_count > GATE_LIVE_MAX_RESTART)
        report->restart_count = GATE_LIVE_MAX_RESTART;
    for (size_t i = 0; i < report->restart_count; i++)
        gate_problems_add(&report->problems, GATE_SEVERITY_WARNING, "needs_restart", "gateway.lua",
                          0, "%s is read at start only: the new value needs a restart",
                          report->restart[i]);
}

struct gate_candidate *live_make(struct gate_live *l, const struct gate_sources *sources,
                                 struct gate_live_report *report)
{
    struct gate_candidate_base base = live_base(l);
    struct gate_candidate *c = NULL;
    if (gate_candidate_create(&base, sources, &c, &report->problems) != GATE_OK)
        return NULL;
    note_restart_keys(l, c, report);
    return c;
}

bool live_try(struct gate_live *l, const struct gate_candidate *c,
              const struct gate_sources *sources, bool lenient, struct gate_live_report *report)
{
    size_t before = report->problems.errors, kept = report->problems.kept;
    gate_policy_tests_run(c, sources, &report->tests, &report->problems);
    for (size_t i = kept; lenient && i < report->problems.kept; i++)
        report->problems.list[i].severity = GATE_SEVERITY_WARNING;
    if (lenient)
        report->problems.errors = before;
    try_samples(l, c, lenient, report);
    try_judges(c, lenient, report);
    gate_problems_sort(&report->problems);
    return report->problems.errors == 0;
}

void live_replay(struct gate_live *l, const struct gate_candidate *c, bool lenient,
                 const struct gate_trace *const *recent, size_t count,
                 struct gate_live_report *report)
{
    struct gate_trace_accounts *now = gate_live_accounts(l);
    struct gate_simulated *out = gate_alloc(sizeof *out);
    for (size_t i = 0; i < count && may_try(report); i++) {
        const struct gate_trace *t = recent[i];
        struct gate_simulate_input in;
        struct gate_request_facts facts;
        struct gate_header headers[GATE_CONFIG_MAX_ROUTE_HEADERS];
        if (!gate_simulate_of_trace(t, &facts, headers, &in))
            continue;
        in.policy = gate_generation_policy(l->running.generation);
        if (in.accounts == NULL)
            in.accounts = now;
        simulate(c, &in, out, report);
        report->recorded++;
        /* What fails already is no worse for failing again. */
        bool failed_then = strcmp(t->outcome, "error:script_error") == 0;
        if (out->outcome == GATE_SIMULATED_ERROR) {
            char what[GATE_PROBLEM_TEXT];
            snprintf(what, sizeof what, "for the recent request %.40s, model %.100s", t->id,
                     t->model);
            add(report, lenient || failed_then, "recorded", what, out);
        }
    }
    free(out);
    gate_trace_accounts_release(now);
    gate_problems_sort(&report->problems);
}

void gate_live_report_finish(struct gate_live_report *r)
{
    gate_problems_finish(&r->problems);
}

enum gate_status gate_live_try(struct gate_live *l, const struct gate_sources *sources,
                               struct gate_candidate **out, struct gate_problems *problems)
{
    struct gate_candidate_base base = live_base(l);
    return gate_candidate_create(&base, sources, out, problems);
}

/* ---- checking without publishing, and dry runs */

struct check {
    struct gate_live *live;
    struct gate_live_report report;
    struct gate_candidate *candidate;
    uint64_t started_us;
    size_t max_rows;
    void (*done)(void *ctx, const struct gate_live_report *report);
    void (*dry_done)(void *ctx, enum gate_status status, const struct gate_live_report *report,
                     const struct gate_dry_run *dry);
    void *ctx;
};

static void free_check(struct check *k)
{
    gate_candidate_destroy(k->candidate);
    gate_live_report_finish(&k->report);
    free(k);
}

static void end_check(struct check *k)
{
    k->report.took_us = gate_clock_mono_us() - k->started_us;
    k->done(k->ctx, &k->report);
    free_check(k);
}

static void check_recent(void *ctx, const struct gate_trace *const *list, size_t count)
{
    struct check *k = ctx;
    live_replay(k->live, k->candidate, false, list, count, &k->report);
    end_check(k);
}

static struct check *begin(struct gate_live *l, const struct gate_sources *sources, bool lenient,
                           void *ctx)
{
    struct check *k = gate_calloc(1, sizeof *k);
    k->live = l;
    k->started_us = gate_clock_mono_us();
    k->ctx = ctx;
    k->candidate = live_make(l, sources, &k->report);
    if (k->candidate != NULL && !live_try(l, k->candidate, sources, lenient, &k->report)) {
        gate_candidate_destroy(k->candidate);
        k->candidate = NULL;
    }
    return k;
}

void gate_live_check(struct gate_live *l, const struct gate_sources *sources,
                     void (*done)(void *ctx, const struct gate_live_report *report), void *ctx)
{
    struct check *k = begin(l, sources, false, ctx);
    k->done = done;
    if (k->candidate != NULL)
        gate_live_recent(l, GATE_LIVE_RECORDED, check_recent, k);
    else
        end_check(k);
}

static void end_dry_run(struct check *k, enum gate_status status, const struct gate_dry_run *dry)
{
    k->report.took_us = gate_clock_mono_us() - k->started_us;
    k->dry_done(k->ctx, status, &k->report, dry);
    free_check(k);
}

static void dry_run_recent(void *ctx, const struct gate_trace *const *list, size_t count)
{
    struct check *k = ctx;
    const struct gate_running *r = gate_live_running(k->live);
    struct gate_candidate *running = NULL;
    struct gate_error err = {.message = ""};
    if (gate_candidate_of_running(r->config, r->pool, r->generation, &running, &err) != GATE_OK) {
        gate_problems_add_error(&k->report.problems, "running", &err);
        end_dry_run(k, GATE_EINTERNAL, NULL);
        return;
    }
    struct gate_dry_run dry = {.count = 0};
    gate_dry_run(running, k->candidate, list, count, k->max_rows, &dry);
    end_dry_run(k, GATE_OK, &dry);
    gate_dry_run_finish(&dry);
    gate_candidate_destroy(running);
}

void gate_live_dry_run(struct gate_live *l, const struct gate_sources *draft, size_t count,
                       size_t max_rows,
                       void (*done)(void *ctx, enum gate_status status,
                                    const struct gate_live_report *report,
                                    const struct gate_dry_run *dry),
                       void *ctx)
{
    struct check *k = begin(l, draft, true, ctx);
    k->dry_done = done;
    k->max_rows = max_rows;
    if (k->candidate != NULL)
        gate_live_recent(l, count < GATE_DRY_RUN_MAX ? count : GATE_DRY_RUN_MAX, dry_run_recent, k);
    else
        end_dry_run(k, GATE_EINVAL, NULL);
}
