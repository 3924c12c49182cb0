/* Runs users' own tests of their policy. */
#include "live/policy_test.h"
#include "base/clock.h"
#include "live/policy_case.h"
#include "script/cases.h"
#include <stdlib.h>
#include <time.h>

#ifndef GATE_CPU_SCALE
#define GATE_CPU_SCALE 1 /* an instrumented build is that much slower */
#endif

static const char FOLDER[] = "tests/";

/* All files. */
struct suite {
    const struct gate_candidate *c;
    struct gate_policy_tests *out;
    struct gate_problems *problems;
    uint64_t began_us; /* CPU time of this thread */
};

/* One file: its cases share a state of the scripts, whose notes nobody else has. */
struct file {
    struct suite *suite;
    const struct gate_source *source;
    struct gate_candidate candidate; /* that of the suite with this file's state */
    struct gate_simulated *result;   /* scratch; owned */
    size_t scanned;                  /* names of cases were found up to here */
};

static uint64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

/* ---- where a case is */

static bool is_quote(char c)
{
    return c == '"' || c == '\'';
}

/* The first place from `from` on where the name stands in quotes. SIZE_MAX: nowhere. */
static size_t find_quoted(const struct gate_source *s, const char *name, size_t from)
{
    size_t len = strlen(name);
    while (len > 0 && from < s->len) {
        const char *at = memmem(s->text + from, s->len - from, name, len);
        if (at == NULL)
            return SIZE_MAX;
        size_t i = (size_t)(at - s->text);
        if (i > 0 && is_quote(at[-1]) && at[len] == at[-1])
            return i;
        from = i + 1;
    }
    return SIZE_MAX;
}

/* A table does not know its line, so the text is searched for the name of the case: cases usually
 * stand there in the order in which they are returned. */
static uint32_t line_of(struct file *f, const char *name)
{
    uint32_t line = 1;
    size_t at = find_quoted(f->source, name, f->scanned);
    if (at == SIZE_MAX)
        at = find_quoted(f->source, name, 0);
    if (at == SIZE_MAX)
        return 0;
    f->scanned = at + strlen(name);
    for (size_t i = 0; i < at; i++)
        line += f->source->text[i] == '\n';
    return line;
}

/* ---- one case */

static void run_route(struct file *f, const struct policy_case *t, struct policy_report *r)
{
    const struct gate_simulate_input in = {
        .request = t->request,
        .accounts = t->snapshot,
        .policy = gate_generation_policy(f->candidate.generation),
        .now_ms = t->now_ms,
    };
    gate_simulate(&f->candidate, &in, f->result);
    policy_expect_route(t, f->result, r);
}

static void run_failure(struct file *f, const struct policy_case *t, struct policy_report *r)
{
    struct gate_script *s = f->candidate.script;
    struct gate_error_decision d = {.action = GATE_ACTION_DEFAULT};
    struct gate_error err = {.message = ""};
    struct policy_failed failed = {"", ""};
    gate_script_set_time(s, t->now_ms);
    if (gate_script_has_on_error(s) &&
        gate_script_on_error(s, &t->failure, &t->request, &d, &err) != GATE_OK)
        failed = (struct policy_failed){err.message, gate_script_stack(s)};
    gate_script_set_time(s, 0);
    policy_expect_failure(t, &d, &failed, r);
}

static void run_map(struct file *f, const struct policy_case *t, struct policy_report *r)
{
    struct gate_script *s = f->candidate.script;
    char buffer[GATE_SCRIPT_MAX_TARGET];
    struct gate_str mapped = {NULL, 0};
    struct gate_resolved resolved;
    struct gate_error err = {.message = ""};
    struct policy_failed failed = {"", ""};
    bool served = false;
    gate_script_set_time(s, t->now_ms);
    if (gate_script_map(s, t->name, buffer, &mapped, &err) == GATE_OK)
        served = gate_pool_resolve(f->candidate.pool, mapped, t->name, &resolved);
    else
        failed = (struct policy_failed){err.message, gate_script_stack(s)};
    gate_script_set_time(s, 0);
    policy_expect_map(t, mapped.len > 0 ? mapped : t->name, served ? &resolved : NULL, &failed, r);
}

/* Its name, for all that is said of it; a case may have none. */
static void read_name(struct file *f, const cJSON *from, struct policy_report *r)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(from, "name");
    if (name == NULL)
        return;
    if (!cJSON_IsString(name) || name->valuestring[0] == '\0') {
        policy_complain(r, "name is %s; expected a text", policy_show(name).text);
        return;
    }
    r->line = line_of(f, name->valuestring);
    snprintf(r->name, sizeof r->name, "%s", name->valuestring);
}

static void run_case(struct file *f, const cJSON *from, size_t number)
{
    struct policy_report r = {
        .problems = f->suite->problems, .file = f->source->name, .number = number};
    struct policy_case t = {.kind = POLICY_CASE_ROUTE};
    read_name(f, from, &r);
    if (!r.failed && policy_case_read(&t, f->suite->c, from, &r)) {
        if (t.kind == POLICY_CASE_FAILURE)
            run_failure(f, &t, &r);
        else if (t.kind == POLICY_CASE_MAP)
            run_map(f, &t, &r);
        else
            run_route(f, &t, &r);
    }
    policy_case_finish(&t);
    f->suite->out->cases++;
    f->suite->out->failed += r.failed;
}

/* ---- files */

/* False: it is enough; said once. */
static bool may_go_on(struct suite *s, const struct gate_source *file)
{
    uint64_t took_us = cpu_us() - s->began_us;
    if (s->out->cases >= GATE_POLICY_TEST_CASES) {
        gate_problems_add(s->problems, GATE_SEVERITY_ERROR, "test", file->name, 0,
                          "there are more than %d cases in all files; the others did not run",
                          GATE_POLICY_TEST_CASES);
        return false;
    }
    if (took_us < (uint64_t)GATE_POLICY_TEST_MS * 1000 * GATE_CPU_SCALE)
        return true;
    gate_problems_add(s->problems, GATE_SEVERITY_ERROR, "test", file->name, 0,
                      "all tests together took more than %d ms of CPU time; after %zu cases the "
                      "others did not run",
                      GATE_POLICY_TEST_MS, s->out->cases);
    return false;
}

static bool run_cases(struct file *f, const cJSON *list)
{
    const cJSON *from;
    size_t number = 0;
    cJSON_ArrayForEach(from, list)
    {
        if (!may_go_on(f->suite, f->source))
            return false;
        run_case(f, from, ++number);
    }
    return true;
}

static void tell_error(struct suite *s, const struct gate_error *err, const char *stack)
{
    struct gate_problem *p = gate_problems_add_error(s->problems, "test", err);
    snprintf(p->stack, sizeof p->stack, "%s", stack);
}

/* False: no other file is to run. */
static bool run_file(struct suite *s, const struct gate_source *source)
{
    char stack[GATE_SCRIPT_STACK];
    struct gate_error err = {.message = ""};
    struct file f = {.suite = s, .source = source, .candidate = *s->c};
    cJSON *list = NULL;
    bool go_on = true;
    s->out->files++;
    if (gate_cases_run(s->c->generation, source, &list, stack, &err) != GATE_OK) {
        tell_error(s, &err, stack);
        return may_go_on(s, source);
    }
    if (!policy_is_list(list)) {
        gate_problems_add(s->problems, GATE_SEVERITY_ERROR, "test", source->name, 0,
                          "it returns one table; expected a list of cases: return { { name = "
                          "\"...\", ... }, ... }");
    } else if (list->child == NULL) {
        gate_problems_add(s->problems, GATE_SEVERITY_WARNING, "test", source->name, 0,
                          "there is no case in it");
    } else if (gate_script_create(s->c->generation, NULL, &f.candidate.script, &err) != GATE_OK) {
        tell_error(s, &err, "");
    } else {
        f.result = gate_alloc(sizeof *f.result);
        go_on = run_cases(&f, list);
        free(f.result);
        gate_script_destroy(f.candidate.script);
    }
    gate_json_tree_free(list);
    return go_on;
}

void gate_policy_tests_run(const struct gate_candidate *c, const struct gate_sources *sources,
                           struct gate_policy_tests *out, struct gate_problems *problems)
{
    struct suite s = {.c = c, .out = out, .problems = problems, .began_us = cpu_us()};
    uint64_t began = gate_clock_mono_us();
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < sources->count; i++) {
        const struct gate_source *source = &sources->files[i];
        if (strncmp(source->name, FOLDER, sizeof FOLDER - 1) == 0 &&
            (!may_go_on(&s, source) || !run_file(&s, source)))
            break;
    }
    out->took_us = gate_clock_mono_us() - began;
}
