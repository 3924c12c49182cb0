/* Users' tests of their policy: what passes, what fails and in which words, what is refused. */
#include "candidate_fixture.h"
#include "live/policy_test.h"

struct world {
    struct candidates base;
    struct gate_candidate c;
    struct gate_sources sources;
    struct gate_problems problems;
    struct gate_policy_tests out;
};

static const char MODELS[] = "return { fast = 'qwen-turbo', odd = function(name)\n"
                             "  error('odd one') end }";
static const char ROUTING[] =
    "return function(req)\n"
    "  if req.key == 'guest' then return { reason = 'guests', reject = { status = 403, message = "
    "'Guests may not.' } } end\n"
    "  if req.headers['x-team'] == 'red' then return 'nobody' end\n"
    "  if req.has_images then error('no pictures') end\n"
    "  if gate.now() < 1795300000000 then return 'ds-chat' end\n"
    "  if req.messages > 9 then return { { model = 'qwen-max', reason = 'long' }, 'ds-chat' } end\n"
    "  if gate.counter('seen', 1) > 3 then return 'ds-chat' end\n"
    "end";
static const char ACCOUNTS[] =
    "return { strategy = 'least_used', accounts = { ['qwen/off'] = { weight = 0 }, "
    "['qwen/few'] = { limits = { chat = { rpd = 2 } }, tags = { 'cheap' } } },\n"
    "on_error = function(failure, attempt, req)\n"
    "  if failure.kind == 'blocked' then error('blocked!') end\n"
    "  if failure.status == 500 and attempt.number < 2 then\n"
    "    return { action = 'retry', cooldown_ms = 0 } end\n"
    "  if failure.retry_after_ms then return { cooldown_ms = failure.retry_after_ms } end\n"
    "end }";

static struct world *world_open(void)
{
    struct world *w = gate_calloc(1, sizeof *w);
    candidates_open(&w->base);
    w->c = candidate_make(&w->base, MODELS, ROUTING, ACCOUNTS);
    return w;
}

static void run_text(struct world *w, const char *name, const char *text)
{
    struct gate_error err = {.message = ""};
    ck_assert_msg(gate_sources_put(&w->sources, gate_str_of(name), gate_str_of(text), &err) ==
                      GATE_OK,
                  "%s", err.message);
    gate_problems_finish(&w->problems);
    gate_policy_tests_run(&w->c, &w->sources, &w->out, &w->problems);
}

/* One case, without its braces. */
static void run_case(struct world *w, const char *text)
{
    char file[8192];
    snprintf(file, sizeof file, "return { { name = \"the case\", %s } }", text);
    run_text(w, "tests/a.lua", file);
}

static const char *first_problem(const struct world *w)
{
    return w->problems.kept > 0 ? w->problems.list[0].message : "";
}

static void world_close(struct world *w)
{
    gate_sources_finish(&w->sources);
    gate_problems_finish(&w->problems);
    candidate_finish(&w->c);
    candidates_close(&w->base);
    free(w);
}

#define NOW "now = '2026-11-23T09:00:00+08:00', "
#define REQUEST NOW "request = { model = 'fast' }, "
#define TWO                                                                                        \
    "accounts = { { id = 'qwen/0', alias = 'one', requests_day = 9 }, { id = 'qwen/1' }, "         \
    "{ id = 'ds/0' } }, "

/* ---- what passes */

static const char *const good[] = {
    REQUEST "expect = { model = 'qwen-turbo', provider = 'qwen', target = 'qwen/qwen-turbo' }",
    REQUEST "expect = { target = 'fast', targets = { 'fast' }, outcome = 'routed' }",
    NOW "request = { model = 'x', messages = 10 }, expect = { targets = { 'qwen/qwen-max', "
        "'ds/ds-chat' }, reason = 'long' }",
    NOW "request = { model = 'x', key = 'guest' }, expect = { rejected = true }",
    NOW "request = { model = 'x', key = 'guest' }, expect = { rejected = 403, message = 'may "
        "not', reason = 'guests' }",
    NOW "request = { model = 'x', key = 'guest' }, expect = { outcome = 'rejected' }",
    NOW "request = { model = 'x', headers = { ['x-team'] = 'red' } }, expect = { outcome = "
        "'unknown_model' }",
    NOW "request = { model = 'x', has_images = true }, expect = { error = 'no pictures' }",
    NOW "request = { model = 'x', has_images = true }, expect = { outcome = 'error' }",
    "now = 1795299999999, request = { model = 'fast' }, expect = { provider = 'ds' }",
    "now = '2026-11-21T22:26:39Z', request = { model = 'fast' }, expect = { provider = 'ds' }",
    "now = '2026-11-22T04:11:40+05:45', request = { model = 'fast' }, expect = { provider = 'qwen' "
    "}",
    REQUEST TWO "expect = { account = 'qwen/1', accounts = { 'qwen/1', 'one' }, strategy = "
                "'least_used' }",
    REQUEST "accounts = { { id = 'qwen/off' }, { id = 'qwen/on', requests_day = 5 } }, expect = { "
            "accounts = { 'on' } }", /* weight 0 by accounts.lua */
    REQUEST "accounts = { { id = 'qwen/off', weight = 1 }, { id = 'qwen/on', requests_day = 5 } }, "
            "expect = { account = 'off' }", /* the case is above accounts.lua */
    REQUEST "accounts = { { id = 'qwen/few', requests_day = 2 } }, expect = { outcome = "
            "'no_account' }",
    REQUEST "accounts = { { id = 'qwen/few', requests_day = 2, limits = { rpd = 3 } } }, expect = "
            "{ account = 'few' }",
    REQUEST "accounts = { { id = 'qwen/0', state = 'limited' }, { id = 'ds/0' }, { id = 'qwen/1', "
            "state = 'cooling' } }, expect = { account = 'qwen/1' }", /* the last resort */
    "failure = { kind = 'overloaded', status = 500 }, expect = { action = 'retry', cooldown_ms = 0 "
    "}",
    "failure = { kind = 'overloaded', status = 500 }, attempt = { number = 2, account = 'qwen/0', "
    "elapsed_ms = 5 }, request = { model = 'x' }, expect = { action = 'default' }",
    "failure = { kind = 'rate_limited', status = 429, retry_after_ms = 700 }, expect = { "
    "cooldown_ms = 700 }",
    "failure = { kind = 'blocked' }, expect = { error = 'blocked!' }",
    "map = 'fast', expect = { target = 'qwen-turbo', model = 'qwen-turbo', provider = 'qwen' }",
    "map = 'fast', expect = { target = 'qwen/qwen-turbo' }",
    "map = 'none', expect = { target = 'none', provider = '' }",
    "map = 'odd', expect = { error = 'odd one' }",
};

START_TEST(cases_that_pass)
{
    struct world *w = world_open();
    run_case(w, good[_i]);
    ck_assert_msg(w->problems.count == 0, "%s\n%s", good[_i], first_problem(w));
    ck_assert(w->out.files == 1 && w->out.cases == 1 && w->out.failed == 0);
    world_close(w);
}
END_TEST

/* ---- what does not come as expected */

static const struct {
    const char *text, *message;
} bad[] = {
    {REQUEST "expect = { model = 'qwen-max' }", "model: expected \"qwen-max\", came "
                                                "\"qwen-turbo\""},
    {REQUEST "expect = { target = 'ds/x' }", "target: expected \"ds/x\", came \"qwen/qwen-turbo\""},
    {REQUEST "expect = { targets = { 'fast', 'b' } }", "targets: expected 2, came 1"},
    {REQUEST "expect = { rejected = true }", "rejected: expected a rejection, and it is routed"},
    {REQUEST "expect = { reason = 'x' }", "reason: expected \"x\", came \"\""},
    {REQUEST "expect = { error = 'x' }", "error: expected \"x\", and no script failed"},
    {REQUEST "expect = { outcome = 'error' }", "outcome: expected \"error\", came \"routed\""},
    {REQUEST "expect = { strategy = 'sticky' }", "expected \"sticky\", came \"least_used\""},
    {REQUEST TWO "expect = { account = 'one' }", "account: expected \"qwen/0\", came \"qwen/1\""},
    {REQUEST TWO "expect = { accounts = { 'qwen/1' } }", "accounts: expected 1, came 2"},
    {REQUEST TWO "expect = { accounts = { 'one', 'qwen/1' } }", "accounts[1]: expected"},
    {NOW "request = { model = 'x', key = 'guest' }, expect = { provider = 'qwen' }",
     "it is rejected with 403: Guests may not."},
    {NOW "request = { model = 'x', key = 'guest' }, expect = { rejected = 429 }",
     "rejected: expected 429, came 403"},
    {NOW "request = { model = 'x', key = 'guest' }, expect = { message = 'zzz' }",
     "message: expected it to contain \"zzz\""},
    {NOW "request = { model = 'x', headers = { ['x-team'] = 'red' } }, expect = { target = 'fast' "
         "}",
     "outcome: expected \"routed\", came \"unknown_model\""},
    {NOW "request = { model = 'x', has_images = true }, expect = { provider = 'qwen' }",
     "the script failed: routing.lua:4: no pictures"},
    {NOW "request = { model = 'x', has_images = true }, expect = { error = 'zzz' }",
     "error: expected \"zzz\", came \"routing.lua:4:"},
    {"failure = { kind = 'timeout' }, expect = { action = 'fail' }",
     "action: expected \"fail\", came \"default\""},
    {"failure = { kind = 'timeout' }, expect = { cooldown_ms = 5 }", "on_error sets none"},
    {"failure = { kind = 'blocked' }, expect = { action = 'fail' }",
     "the script failed: accounts.lua:3: blocked!"},
    {"map = 'fast', expect = { target = 'qwen-max' }", "came \"qwen-turbo\""},
    {"map = 'odd', expect = { target = 'x' }", "the script failed: models.lua:2: odd one"},
};

START_TEST(cases_that_fail)
{
    struct world *w = world_open();
    char wanted[200];
    run_case(w, bad[_i].text);
    snprintf(wanted, sizeof wanted, "case 1 \"the case\": ");
    ck_assert_msg(w->problems.errors > 0, "%s", bad[_i].text);
    ck_assert_msg(strncmp(first_problem(w), wanted, strlen(wanted)) == 0, "%s", first_problem(w));
    ck_assert_msg(strstr(first_problem(w), bad[_i].message) != NULL, "%s\n%s", first_problem(w),
                  bad[_i].message);
    ck_assert_str_eq(w->problems.list[0].file, "tests/a.lua");
    ck_assert_str_eq(w->problems.list[0].code, "test");
    ck_assert_uint_eq(w->problems.list[0].line, 1);
    ck_assert_int_eq(strstr(first_problem(w), "the script failed") != NULL,
                     strstr(w->problems.list[0].stack, ".lua:") != NULL &&
                         strstr(first_problem(w), "expected") == NULL);
    ck_assert_uint_eq(w->out.failed, 1);
    world_close(w);
}
END_TEST

/* ---- what is no test */

static const struct {
    const char *text, *message;
} wrong[] = {
    {REQUEST "", "expect is missing: such a test cannot fail"},
    {REQUEST "expect = {}", "expect is empty: such a test cannot fail"},
    {REQUEST "expect = 'x'", "expect is \"x\"; expected a table"},
    {REQUEST "expect = { modle = 'x' }", "expect has no key \"modle\"; allowed: model, provider, "},
    {REQUEST "expect = { model = 5 }", "expect.model is 5; expected a text"},
    {REQUEST "expect = { targets = {} }", "expect.targets: expected a list of 1 to 8 texts"},
    {REQUEST "expect = { targets = { 1 } }", "expect.targets: expected a list of 1 to 8 texts"},
    {REQUEST "expect = { rejected = 200 }", "expect.rejected is 200; expected true or a status"},
    {REQUEST "expect = { rejected = false }", "expect.rejected is false; expected true"},
    {REQUEST "expect = { outcome = 'lost' }", "expect.outcome is \"lost\"; expected routed"},
    {REQUEST "expect = { strategy = 'best' }", "expect.strategy is \"best\"; expected select"},
    {REQUEST "expect = { account = 'x' }", "expect.account needs the accounts that can be chosen"},
    {REQUEST TWO "expect = { account = 'x' }", "the case has no account \"x\""},
    {REQUEST TWO "expect = { accounts = { 'one', 'x' } }", "the case has no account \"x\""},
    {"expect = { model = 'x' }", "request has no model"},
    {"request = {}, expect = { model = 'x' }", "request has no model"},
    {"request = 'x', expect = { model = 'x' }", "request is \"x\"; expected a table"},
    {"request = { model = 'x', msgs = 1 }, expect = { model = 'x' }",
     "request has no key \"msgs\"; allowed: model, stream, messages,"},
    {"request = { model = 'x', messages = -1 }, expect = { model = 'x' }",
     "request.messages is -1; expected a whole number from 0 to"},
    {"request = { model = 'x', stream = 1 }, expect = { model = 'x' }",
     "request.stream is 1; expected true or false"},
    {"request = { model = 'x', headers = { ['x-other'] = 'a' } }, expect = { model = 'x' }",
     "request.headers.x-other is not listed in route_headers"},
    {"request = { model = 'x', headers = { ['x-team'] = 1 } }, expect = { model = 'x' }",
     "request.headers.x-team is 1; expected a text"},
    {"now = 'tomorrow', request = { model = 'x' }, expect = { model = 'x' }",
     "case.now is \"tomorrow\"; expected a time as"},
    {"now = '2026-02-29T00:00:00Z', request = { model = 'x' }, expect = { model = 'x' }",
     "expected a time as"},
    {"now = '2026-11-23T09:00:00', request = { model = 'x' }, expect = { model = 'x' }",
     "expected a time as"},
    {REQUEST "accounts = {}, expect = { account = 'x' }", "accounts is empty; expected a list"},
    {REQUEST "accounts = { { id = 'zero' } }, expect = { model = 'x' }",
     "accounts[1].id is no such name; expected \"provider/name\""},
    {REQUEST "accounts = { {} }, expect = { model = 'x' }", "accounts[1].id is missing"},
    {REQUEST "accounts = { { id = 'a/0' }, { id = 'a/0' } }, expect = { model = 'x' }",
     "accounts[2] has the id of accounts[1]"},
    {REQUEST "accounts = { { id = 'a/0', state = 'ill' } }, expect = { model = 'x' }",
     "accounts[1].state is \"ill\"; expected serving, cooling,"},
    {REQUEST "accounts = { { id = 'a/0', kind = 'key' } }, expect = { model = 'x' }",
     "accounts[1].kind is \"key\"; expected api_key, oauth or none"},
    {REQUEST "accounts = { { id = 'a/0', limits = { rpx = 1 } } }, expect = { model = 'x' }",
     "accounts[1].limits has no key \"rpx\"; allowed: rpm, rpd, tpm, tpd, concurrency"},
    {REQUEST "accounts = { { id = 'a/0', tags = 'paid' } }, expect = { model = 'x' }",
     "accounts[1].tags is \"paid\"; expected a list of texts"},
    {REQUEST "accounts = { { id = 'a/0', weight = 9999 } }, expect = { model = 'x' }",
     "accounts[1].weight is 9999; expected a whole number from 0 to 1000"},
    {REQUEST "attempt = {}, expect = { model = 'x' }", "attempt belongs to a case with failure"},
    {REQUEST "expects = {}", "a case has no key \"expects\"; allowed: name, request, now"},
    {"failure = { kind = 'bad' }, expect = { action = 'fail' }",
     "failure.kind is \"bad\"; expected auth, rate_limited"},
    {"failure = {}, expect = { action = 'fail' }", "failure.kind is missing"},
    {"failure = { kind = 'auth' }, expect = { action = 'stop' }",
     "expect.action is \"stop\"; expected default, retry"},
    {"failure = { kind = 'auth' }, expect = { target = 'x' }",
     "expect has no key \"target\"; allowed: action, cooldown_ms, error"},
    {"failure = { kind = 'auth' }, attempt = { default = 'stop' }, expect = { action = 'fail' }",
     "attempt.default is \"stop\"; expected retry"},
    {"map = 'fast', request = {}, expect = { target = 'x' }",
     "a case with map has no key \"request\"; allowed: name, map, now, expect"},
    {"map = 1, expect = { target = 'x' }", "case.map is 1; expected a text"},
};

START_TEST(cases_that_are_none)
{
    struct world *w = world_open();
    run_case(w, wrong[_i].text);
    ck_assert_msg(w->problems.errors == 1, "%s: %zu problems", wrong[_i].text, w->problems.errors);
    ck_assert_msg(strstr(first_problem(w), wrong[_i].message) != NULL, "%s\n%s", first_problem(w),
                  wrong[_i].message);
    ck_assert_uint_eq(w->out.failed, 1);
    world_close(w);
}
END_TEST

/* ---- files */

static const struct {
    const char *text, *message;
    uint32_t line;
} files[] = {
    {"return 5", "it returns a number, expected a list of cases", 0},
    {"return { name = 'x' }", "it returns one table; expected a list of cases", 0},
    {"return { tostring }", "it returns a function where only tables", 0},
    {"return { [1] = {}, [3] = {} }", "it returns a list with a hole before item 3", 0},
    {"return { {}, x = 1 }", "a table with both list items and other keys", 0},
    {"return { { name = 'a\\0b' } }", "a text with a NUL byte", 0},
    {"local t = {} t[1] = t return t", "nested more than 16 deep", 0},
    {"\n\nerror('broken')", "broken", 3},
    {"return {", "", 1},
    {"return { 'x' }", "case 1: it is \"x\"; expected a table", 0},
    {"return { { name = 5 } }", "case 1: name is 5; expected a text", 0},
    {"while true do end", "", 0},
    {"return require 'gate.none'", "'gate.none' is none of them", 1},
};

START_TEST(files_that_are_none)
{
    struct world *w = world_open();
    run_text(w, "tests/b.lua", files[_i].text);
    ck_assert_msg(w->problems.errors == 1, "%s", files[_i].text);
    ck_assert_msg(strstr(first_problem(w), files[_i].message) != NULL, "%s", first_problem(w));
    ck_assert_str_eq(w->problems.list[0].file, "tests/b.lua");
    if (files[_i].line > 0)
        ck_assert_uint_eq(w->problems.list[0].line, files[_i].line);
    world_close(w);
}
END_TEST

START_TEST(an_empty_file_is_warned_of)
{
    struct world *w = world_open();
    run_text(w, "tests/b.lua", "return {}");
    ck_assert(w->problems.count == 1 && w->problems.errors == 0);
    ck_assert_str_eq(first_problem(w), "there is no case in it");
    world_close(w);
}
END_TEST

START_TEST(lines_are_those_of_the_names)
{
    struct world *w = world_open();
    run_text(w, "tests/b.lua",
             "-- one, 'two'\nlocal function case(n) return { name = n, map = 'fast',\n"
             "expect = { target = 'x' } } end\n"
             "return {\n case('one'),\n case(\"two\"),\n case('one'),\n case('o' .. 'dd') }");
    ck_assert(w->out.cases == 4 && w->out.failed == 4);
    static const uint32_t lines[] = {5, 6, 7, 0};
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(w->problems.list[i].line, lines[i]);
    world_close(w);
}
END_TEST

/* Cases of one file share what scripts remember; those of two files do not. */
START_TEST(notes_belong_to_a_file)
{
    static const char text[] = "local list = {}\n"
                               "for i = 1, 4 do list[i] = { name = 'case ' .. i, "
                               "now = 1795400000000, request = { model = 'fast' }, "
                               "expect = { provider = i > 3 and 'ds' or 'qwen' } } end\n"
                               "return list";
    struct world *w = world_open();
    run_text(w, "tests/a.lua", text);
    run_text(w, "tests/b.lua", text);
    ck_assert_msg(w->problems.count == 0, "%s", first_problem(w));
    ck_assert(w->out.files == 2 && w->out.cases == 8 && w->out.took_us > 0);
    world_close(w);
}
END_TEST

START_TEST(cases_have_a_bound)
{
    struct world *w = world_open();
    run_text(w, "tests/a.lua",
             "local list = {}\nfor i = 1, 2500 do list[i] = { map = 'fast', expect = { target = "
             "'qwen-turbo' } } end\nreturn list");
    ck_assert_uint_eq(w->out.cases, GATE_POLICY_TEST_CASES);
    ck_assert_uint_eq(w->problems.errors, 1);
    ck_assert_msg(strstr(first_problem(w), "more than 2000 cases") != NULL, "%s", first_problem(w));
    printf("2,000 cases: %llu us\n", (unsigned long long)w->out.took_us);
    world_close(w);
}
END_TEST

static void add(TCase *c)
{
    tcase_set_timeout(c, 60);
    FIXTURE_ADD_ROWS(c, cases_that_pass, good);
    FIXTURE_ADD_ROWS(c, cases_that_fail, bad);
    FIXTURE_ADD_ROWS(c, cases_that_are_none, wrong);
    FIXTURE_ADD_ROWS(c, files_that_are_none, files);
    tcase_add_test(c, an_empty_file_is_warned_of);
    tcase_add_test(c, lines_are_those_of_the_names);
    tcase_add_test(c, notes_belong_to_a_file);
    tcase_add_test(c, cases_have_a_bound);
}

int main(void)
{
    return fixture_main("policy test", add);
}
