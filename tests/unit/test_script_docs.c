/*
 * Runs every Lua example of docs/scripting.md and docs/scripting-library.md and checks its
 * "--> question => answer" lines, and that everything which scripts can use has an example.
 */
#include "candidate_fixture.h"
#include "example_util.h"
#include "live/live.h"
#include "script/generation.h"
#include "script/lint.h"

#include <glob.h>

enum { MIN_EXAMPLES = 10 };

/* The providers that policy tests of examples can name; see candidate_fixture.h. */
static struct candidates providers;

static void open_providers(void)
{
    fixture_setup();
    candidates_open(&providers);
}

static void close_providers(void)
{
    candidates_close(&providers);
    fixture_teardown();
}

/* ---- questions that need more than the script wing */

static void show_problems(struct gate_problems *p, struct gate_buf *out)
{
    gate_problems_sort(p);
    for (size_t i = 0; i < p->kept; i++) {
        const struct gate_problem *one = &p->list[i];
        gate_buf_printf(out, "%s%s:%u:", i > 0 ? "; " : "", one->file, one->line);
        if (one->column > 0)
            gate_buf_printf(out, "%u:", one->column);
        gate_buf_printf(out, " %s", one->message);
    }
}

/* "tests": the files of conf/tests/ are run. */
static void answer_tests(const struct example *e, struct gate_buf *out)
{
    const struct gate_candidate c = {.config = providers.config,
                                     .pool = providers.pool,
                                     .generation = e->generation,
                                     .script = e->script};
    struct gate_problems problems = {.count = 0};
    struct gate_policy_tests tests;
    ck_assert_msg(e->generation != NULL, "%s", e->err.message);
    gate_policy_tests_run(&c, gate_generation_sources(e->generation), &tests, &problems);
    gate_buf_printf(out, "%zu of %zu passed", tests.cases - tests.failed, tests.cases);
    if (problems.count > 0)
        gate_buf_printf(out, ": ");
    show_problems(&problems, out);
    gate_problems_finish(&problems);
}

/* "check": what is found by reading the first file only. */
static void answer_check(const struct example *e, struct gate_buf *out)
{
    struct gate_problems problems = {.count = 0};
    char path[300];
    snprintf(path, sizeof path, "%s/%s", e->dir.root, e->file);
    struct gate_str text = test_read_file(path);
    gate_lint(strrchr(e->file, '/') + 1, text, &problems);
    show_problems(&problems, out);
    if (problems.count == 0)
        gate_buf_printf(out, "ok");
    gate_problems_finish(&problems);
    free((char *)text.ptr);
}

static bool answer_more(const struct example *e, const char *question, struct gate_buf *out)
{
    if (strcmp(question, "tests") == 0)
        answer_tests(e, out);
    else if (strcmp(question, "check") == 0)
        answer_check(e, out);
    else
        return false;
    return true;
}

/* ---- the page */

/* The next example behind *at; moves *at behind it. */
static bool next_example(const char **at, struct gate_str *block)
{
    const char *start = strstr(*at, "\n```lua\n");
    if (start == NULL)
        return false;
    start += strlen("\n```lua\n");
    const char *end = strstr(start, "\n```");
    ck_assert(end != NULL);
    *block = (struct gate_str){start, (size_t)(end - start)};
    *at = end;
    return true;
}

static const char *const pages[] = {"docs/scripting.md", "docs/scripting-library.md"};

enum { PAGES = sizeof pages / sizeof pages[0] };

static char *read_page(int number)
{
    char path[512];
    snprintf(path, sizeof path, GATE_SOURCE_DIR "/%s", pages[number]);
    return (char *)test_read_file(path).ptr;
}

/* A block without such lines is a file of the example that the next one goes on with. */
START_TEST(every_example_does_what_the_page_says)
{
    char *page = read_page(_i);
    struct gate_str block;
    struct gate_buf example;
    int examples = 0, lines = 0;
    gate_buf_init(&example, 1 << 20);
    for (const char *at = page; next_example(&at, &block);) {
        gate_buf_append(&example, block);
        gate_buf_append_byte(&example, '\n');
        if (memmem(block.ptr, block.len, "\n--> ", 5) == NULL)
            continue;
        lines += example_run(example.ptr, example.len, answer_more);
        example.len = 0;
        examples++;
    }
    ck_assert_msg(example.len == 0, "the last example has no --> line");
    printf("examples of %s: %d with %d lines\n", pages[_i], examples, lines);
    ck_assert_int_ge(examples, MIN_EXAMPLES);
    gate_buf_finish(&example);
    free(page);
}
END_TEST

/* What scripts can use, as an example writes it. */
static const char *const used[] = {
    /* files, and what they return */
    "-- conf/models.lua",
    "-- conf/routing.lua",
    "-- conf/accounts.lua",
    "-- conf/tests/",
    "function(name)",
    "[\"gpt-4*\"]",
    "model =",
    "first_token_ms =",
    "idle_ms =",
    "total_ms =",
    "retries =",
    "strategy =",
    "tags =",
    "headers =",
    "= false",
    "body =",
    "set =",
    "remove =",
    "append_system =",
    "max_tokens =",
    "reason =",
    "reject =",
    "status =",
    "message =",
    "code =",
    "retry_after_ms =",
    "limits =",
    "rpm =",
    "rpd =",
    "tpm =",
    "tpd =",
    "concurrency =",
    "accounts =",
    "weight =",
    "select =",
    "on_error =",
    "on_response =",
    "action =",
    "cooldown_ms =",
    "\"retry\"",
    "\"next_account\"",
    "\"next_target\"",
    "\"fail\"",
    "\"default\"",
    /* req */
    "req.model",
    "req.stream",
    "req.messages",
    "req.tools",
    "req.has_tools",
    "req.has_images",
    "req.body_bytes",
    "req.prompt_tokens",
    "req.max_tokens",
    "req.key",
    "req.path",
    "req.headers[",
    /* an account, a provider */
    "a.id",
    "a.alias",
    "a.provider",
    "a.kind",
    "a.tags",
    "a:has_tag(",
    "a.weight",
    "a.in_flight",
    "a.latency_ms",
    "a.requests_minute",
    "a.requests_day",
    "a.tokens_minute",
    "a.tokens_day",
    "a.resets_in_ms",
    "a.limits.rpd",
    "a.limits.rpm",
    "a.limits.tpm",
    "a.limits.tpd",
    "a.limits.concurrency",
    "a.cooling",
    "a.state",
    "a.until_ms",
    "p.accounts",
    "p.serving",
    "p.in_flight",
    "p.requests_minute",
    "p.requests_day",
    "p.tokens_day",
    "p.requests_left_today",
    "p.latency_ms",
    /* a failure, a response, their attempts */
    "failure.kind",
    "failure.status",
    "failure.code",
    "failure.message",
    "failure.retry_after_ms",
    "attempt.number",
    "attempt.account",
    "attempt.alias",
    "attempt.provider",
    "attempt.model",
    "attempt.elapsed_ms",
    "attempt.default",
    "attempt.cooldown_ms",
    "response.status",
    "response.stream",
    "response.first_token_ms",
    "response.total_ms",
    "response.prompt_tokens",
    "response.completion_tokens",
    "response.estimated",
    "response.headers[",
    /* gate */
    "gate.log(",
    "gate.hash(",
    "gate.now(",
    "gate.time(",
    "gate.random(",
    "gate.counter(",
    "gate.kv.get(",
    "gate.kv.set(",
    "gate.kv.add(",
    "gate.accounts(",
    "gate.provider(",
    ".year",
    ".month",
    ".day",
    ".hour",
    ".min",
    ".sec",
    ".wday",
    ".yday",
    ".minute",
    ".offset",
    ".zone",
};

/* All examples of all pages, one behind the other. */
static char *read_examples(void)
{
    struct gate_buf all;
    struct gate_str block;
    gate_buf_init(&all, 1 << 20);
    for (int i = 0; i < PAGES; i++) {
        char *page = read_page(i);
        for (const char *at = page; next_example(&at, &block);)
            gate_buf_append(&all, block);
        free(page);
    }
    char *text = gate_strdup(gate_buf_str(&all));
    gate_buf_finish(&all);
    return text;
}

/* The functions of the module in that file, as "name.function". */
static void check_module(const char *path, const char *examples)
{
    char head[64], call[128];
    const char *name = strrchr(path, '/') + 1;
    struct gate_str source = test_read_file(path);
    snprintf(head, sizeof head, "\nfunction %.*s.", (int)strcspn(name, "."), name);
    for (const char *at = source.ptr; (at = strstr(at, head)) != NULL;) {
        at += strlen("\nfunction ");
        snprintf(call, sizeof call, "%.*s", (int)strcspn(at, "("), at);
        ck_assert_msg(strstr(examples, call) != NULL, "the pages have no example of %s", call);
    }
    free((char *)source.ptr);
}

START_TEST(everything_has_an_example)
{
    char *page = read_page(0), *examples = read_examples();
    glob_t found;
    for (size_t i = 0; i < sizeof used / sizeof used[0]; i++)
        ck_assert_msg(strstr(examples, used[i]) != NULL, "the pages have no example of %s",
                      used[i]);
    for (int i = 0; i < GATE_STRATEGIES; i++)
        ck_assert_msg(strstr(page, gate_strategy_names[i]) != NULL, "the page says nothing of %s",
                      gate_strategy_names[i]);
    for (int i = GATE_VERDICT_AUTH; i <= GATE_VERDICT_GARBAGE; i++)
        ck_assert_msg(strstr(page, gate_verdict_name((enum gate_verdict_kind)i)) != NULL,
                      "the page says nothing of %s", gate_verdict_name((enum gate_verdict_kind)i));
    /* gate.check is for those who write modules. */
    ck_assert_int_eq(glob(GATE_SOURCE_DIR "/scripts/gate/[!c]*.lua", 0, NULL, &found), 0);
    ck_assert_int_eq(glob(GATE_SOURCE_DIR "/scripts/gate/ca*.lua", GLOB_APPEND, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_module(found.gl_pathv[i], examples);
    globfree(&found);
    free(examples);
    free(page);
}
END_TEST

/* The figures that the page gives are those of the code. */
START_TEST(figures_are_true)
{
    char *page = read_page(0);
    ck_assert(GATE_SCRIPT_CALL_BUDGET == 200000 && strstr(page, "200,000"));
    ck_assert(GATE_SCRIPT_LOAD_BUDGET == 10000000 && strstr(page, "10,000,000"));
    ck_assert(GATE_SCRIPT_CALL_CPU_MS == 20 && strstr(page, "20 ms"));
    ck_assert(GATE_SCRIPT_LOAD_CPU_MS == 1000 && strstr(page, "1 s |"));
    ck_assert(GATE_SCRIPT_MEMORY == 16 << 20 && strstr(page, "16 MiB"));
    ck_assert(GATE_SANDBOX_STRING == 256 << 10 && strstr(page, "256 KiB"));
    ck_assert(GATE_ENV_SCRIPT_ERRORS == 20 && strstr(page, "20 requests in a row"));
    ck_assert(GATE_COUNTERS_MAX == 256 && strstr(page, "256 counters"));
    ck_assert(GATE_KV_MAX == 1024 && strstr(page, "1,024 entries"));
    ck_assert(GATE_LIVE_RECORDED == 200 && strstr(page, "200 requests"));
    free(page);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("docs");
    tcase_add_checked_fixture(tc, open_providers, close_providers);
    tcase_add_loop_test(tc, every_example_does_what_the_page_says, 0, PAGES);
    tcase_add_test(tc, everything_has_an_example);
    tcase_add_test(tc, figures_are_true);
    return test_main(tc, "script_docs");
}
