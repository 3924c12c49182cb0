/* llm-gate check: everything that a start would refuse, and the users' own tests of their policy.
 * Nothing is written. */
#include "command_internal.h"
#include "live/policy_test.h"
#include "pool/roster.h"
#include "script/lint.h"
#include <stdlib.h>

static bool report(enum gate_status status, const struct gate_error *err)
{
    if (status != GATE_OK)
        printf("FAIL  %s\n", err->message);
    return status == GATE_OK;
}

static void report_problem(const struct gate_problem *p)
{
    printf("%s", p->severity == GATE_SEVERITY_ERROR ? "FAIL  " : "warn  ");
    if (p->file[0] != '\0')
        printf("%s:", p->file);
    if (p->line > 0)
        printf("%u:", p->line);
    if (p->line > 0 && p->column > 0)
        printf("%u:", p->column);
    printf("%s%s", p->file[0] != '\0' ? " " : "", p->message);
    if (p->open_line > 0)
        printf(" (opened at line %u, column %u)", p->open_line, p->open_column);
    printf("\n");
    for (const char *at = p->stack; *at != '\0';) { /* where it came from, one level a line */
        size_t len = strcspn(at, "\n");
        printf("        %.*s\n", (int)len, at);
        at += len + (at[len] == '\n');
    }
}

/* Prints and empties the list; false: there are errors. */
static bool report_problems(struct gate_problems *problems)
{
    bool fine = problems->errors == 0;
    gate_problems_sort(problems);
    for (size_t i = 0; i < problems->kept; i++)
        report_problem(&problems->list[i]);
    if (problems->count > problems->kept)
        printf("      and %zu more\n", problems->count - problems->kept);
    gate_problems_finish(problems);
    return fine;
}

static void report_config(const struct gate_config *c)
{
    printf("ok    configuration: environment, %s%s\n",
           c->conf_dir != NULL ? "scripts in " : "no scripts",
           c->conf_dir != NULL ? c->conf_dir : "");
    if (c->api_key_file == NULL)
        printf("ok    API key: from API_KEY\n");
    else
        printf("ok    API key: %s %s\n",
               c->api_key != NULL ? "from" : "none yet; the first start makes", c->api_key_file);
    for (size_t i = 0; i < c->warning_count; i++)
        printf("warn  %s\n", c->warnings[i]);
}

static void report_providers(const struct gate_config *c)
{
    for (size_t i = 0; i < c->instance_count; i++) {
        const struct gate_config_instance *instance = &c->instances[i];

        if (instance->implicit)
            continue;
        printf("ok    provider %s: plugin %s, %zu account%s here\n", instance->name,
               instance->plugin, instance->account_count, instance->account_count == 1 ? "" : "s");
    }
}

/* Keys that a provider does not take are found here, not at the first request. */
static bool check_accounts(const struct gate_parts *p)
{
    struct gate_error err = {GATE_OK, ""};
    bool fine = true;

    for (size_t i = 0; i < p->config->instance_count; i++)
        fine = report(gate_roster_check(p->pool, &p->config->instances[i], &err), &err) && fine;
    return fine;
}

/* A mapping to a model that nobody serves is legal, as providers may come later, but worth a word.
 */
static void report_mappings(const struct gate_parts *p)
{
    size_t count;
    const struct gate_mapping *m = gate_generation_mappings(p->generation, &count);

    for (size_t i = 0; i < count; i++) {
        struct gate_resolved resolved;

        if (m[i].target.len > 0 && !gate_pool_resolve(p->pool, m[i].target, m[i].name, &resolved))
            printf("note  %.*s stands for %.*s, which no provider serves\n", (int)m[i].name.len,
                   m[i].name.ptr, (int)m[i].target.len, m[i].target.ptr);
    }
}

static bool check_texts(const struct gate_sources *sources)
{
    struct gate_problems problems = {.list = NULL};
    for (size_t i = 0; i < sources->count; i++) {
        const struct gate_source *s = &sources->files[i];
        gate_lint(s->name, (struct gate_str){s->text, s->len}, &problems);
    }
    return report_problems(&problems);
}

static bool check_policy(const struct gate_parts *p, const struct gate_sources *sources)
{
    struct gate_problems problems = {.list = NULL};
    struct gate_policy_tests tests = {.files = 0};
    struct gate_candidate *c = NULL;
    struct gate_error err = {GATE_OK, ""};
    if (!report(gate_candidate_of_running(p->config, p->pool, p->generation, &c, &err), &err))
        return false;
    gate_policy_tests_run(c, sources, &tests, &problems);
    gate_candidate_destroy(c);
    bool fine = report_problems(&problems);
    if (tests.files > 0)
        printf("%s  policy tests: %zu of %zu cases passed, %zu file%s\n", fine ? "ok  " : "FAIL",
               tests.cases - tests.failed, tests.cases, tests.files, tests.files == 1 ? "" : "s");
    return fine;
}

static bool check_parts(struct gate_parts *p, struct gate_sources *sources)
{
    struct gate_error err = {GATE_OK, ""};
    size_t count;

    if (!report(gate_config_load(false, &p->config, &err), &err))
        return false;
    report_config(p->config);
    if (!report(gate_sources_read(p->config->conf_dir, sources, &err), &err) ||
        !check_texts(sources) || !report(gate_parts_load(p, &err), &err))
        return false;
    gate_registry_all(p->registry, &count);
    printf("ok    plugins: %zu in %s\n", count, p->config->plugin_dir);
    bool fine = check_accounts(p);
    report_providers(p->config);
    gate_generation_mappings(p->generation, &count);
    printf("ok    scripts: %s, %zu mapped names\n",
           p->config->conf_dir != NULL ? p->config->conf_dir : "none", count);
    report_mappings(p);
    return check_policy(p, sources) && fine;
}

int gate_command_check(void)
{
    struct gate_parts p = {0};
    struct gate_sources sources = {.files = NULL};
    bool fine = check_parts(&p, &sources);

    gate_sources_finish(&sources);
    gate_parts_finish(&p);
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
