/* policy: the data of conf/accounts.lua, and what a call of its functions costs. */
#include "policy_util.h"

#include <time.h>

/* ---------------------------------------------------------------- data */

START_TEST(names)
{
    static const char *const verdicts[] = {
        "ok",           "auth",    "rate_limited", "quota_exhausted", "overloaded", "blocked",
        "client_error", "network", "truncated",    "timeout",         "garbage"};
    for (int i = GATE_VERDICT_OK; i <= GATE_VERDICT_GARBAGE; i++)
        ck_assert_str_eq(gate_verdict_name((enum gate_verdict_kind)i), verdicts[i]);
    ck_assert_str_eq(gate_strategy_names[GATE_STRATEGY_ROUND_ROBIN], "round_robin");
    ck_assert_str_eq(gate_strategy_names[GATE_STRATEGY_STICKY], "sticky");
    ck_assert_str_eq(gate_action_names[GATE_ACTION_DEFAULT], "default");
    ck_assert_str_eq(gate_action_names[GATE_ACTION_FAIL], "fail");
}
END_TEST

static void expect_no_policy(const char *conf)
{
    struct gate_generation *g = NULL;
    struct gate_script *s = NULL;
    struct gate_error err = {0};
    struct test_offer offer;
    ck_assert_msg(gate_generation_load(conf, GATE_SOURCE_DIR "/scripts", NULL, 0, 1, &g, &err) ==
                      GATE_OK,
                  "%s", err.message);
    const struct gate_account_policy *p = gate_generation_policy(g);
    ck_assert(p->strategy == GATE_STRATEGY_ROUND_ROBIN && p->rule_count == 0);
    ck_assert(p->limits.kinds[0].set == 0 && p->limits.kinds[1].set == 0);
    ck_assert_ptr_null(gate_policy_rule(p, GATE_STR("i/0"), GATE_STR("")));
    ck_assert_int_eq(gate_script_create(g, NULL, &s, &err), GATE_OK);
    gate_generation_release(g);
    ck_assert(!gate_script_has_select(s) && !gate_script_has_on_error(s));
    test_offer_init(&offer, 2);
    test_expect_select(s, &offer, "m", 0);
    test_expect_decision(s, "m", GATE_ACTION_DEFAULT, -1);
    gate_script_destroy(s);
}

START_TEST(nothing_configured)
{
    expect_no_policy("/nowhere/conf");
    expect_no_policy(NULL);
    expect_no_policy(GATE_SOURCE_DIR "/conf");
}
END_TEST

START_TEST(all_data)
{
    struct test_dir dir;
    test_dir_init(&dir);
    test_dir_write(&dir, "conf/accounts.lua",
                   "return { strategy = 'sticky',\n"
                   "limits = { chat = { rpm = 60, rpd = 2e3, concurrency = 0 },\n"
                   "           search = { tpd = 1000000000 } },\n"
                   "accounts = { ['q/1'] = { weight = 0, tags = { 'paid', 'a:b.c_d-9' } },\n"
                   "  work = { limits = { chat = { tpm = 5 }, search = {} }, weight = 1000 },\n"
                   "  ['q/0'] = {} } }");
    struct gate_generation *g = test_load(&dir);
    const struct gate_account_policy *p = gate_generation_policy(g);
    const struct gate_limits_patch *chat = &p->limits.kinds[GATE_USAGE_CHAT];
    ck_assert_int_eq(p->strategy, GATE_STRATEGY_STICKY);
    ck_assert_uint_eq(chat->set, GATE_LIMITS_RPM | GATE_LIMITS_RPD | GATE_LIMITS_CONCURRENCY);
    ck_assert(chat->values.requests_per_minute == 60 && chat->values.requests_per_day == 2000);
    ck_assert_uint_eq(p->limits.kinds[GATE_USAGE_SEARCH].set, GATE_LIMITS_TPD);
    ck_assert_uint_eq(p->limits.kinds[GATE_USAGE_SEARCH].values.tokens_per_day, 1000000000);

    ck_assert_uint_eq(p->rule_count, 3);
    ck_assert(gate_str_eq(p->rules[0].account, GATE_STR("q/0")));
    ck_assert(gate_str_eq(p->rules[2].account, GATE_STR("work")));
    const struct gate_account_rule *rule = gate_policy_rule(p, GATE_STR("q/1"), GATE_STR("work"));
    ck_assert(rule == &p->rules[1]); /* the id comes before the alias */
    ck_assert(rule->has_weight && rule->weight == 0 && rule->tag_count == 2);
    ck_assert(gate_str_eq(rule->tags[1], GATE_STR("a:b.c_d-9")));
    rule = gate_policy_rule(p, GATE_STR("q/9"), GATE_STR("work"));
    ck_assert(rule == &p->rules[2] && rule->weight == 1000 && rule->tag_count == 0);
    ck_assert_uint_eq(rule->limits.kinds[GATE_USAGE_CHAT].set, GATE_LIMITS_TPM);
    ck_assert_uint_eq(rule->limits.kinds[GATE_USAGE_SEARCH].set, 0);
    ck_assert(!p->rules[0].has_weight);
    ck_assert_ptr_null(gate_policy_rule(p, GATE_STR("q"), GATE_STR("")));
    gate_generation_release(g);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(many_rules)
{
    struct test_dir dir;
    struct gate_generation *g = NULL;
    struct gate_error err = {0};
    test_dir_init(&dir);
    test_dir_write(&dir, "conf/accounts.lua",
                   "local t = {} for i = 1, 4096 do t['q/' .. i] = { weight = i % 1000 } end\n"
                   "return { accounts = t }");
    g = test_load(&dir);
    const struct gate_account_policy *p = gate_generation_policy(g);
    for (unsigned i = 1; i <= 4096; i++) {
        char id[16];
        snprintf(id, sizeof id, "q/%u", i);
        const struct gate_account_rule *rule = gate_policy_rule(p, gate_str_of(id), GATE_STR(""));
        ck_assert(rule != NULL && rule->weight == i % 1000);
    }
    ck_assert_ptr_null(gate_policy_rule(p, GATE_STR("q/0"), GATE_STR("q/4097")));
    gate_generation_release(g);
    test_dir_write(&dir, "conf/accounts.lua",
                   "local t = {} for i = 1, 4097 do t['q/' .. i] = {} end return { accounts = t }");
    ck_assert_int_eq(gate_generation_load(dir.conf, dir.scripts, NULL, 0, 1, &g, &err),
                     GATE_EINTERNAL);
    ck_assert_str_eq(err.message, "accounts.lua: accounts has more than 4096 entries");
    test_dir_finish(&dir);
}
END_TEST

static const struct {
    const char *text, *message;
} WRONG_FILES[] = {
    {"", "accounts.lua: the file returned nothing, expected a table"},
    {"return 5", "the file returned number, expected a table"},
    {"return function() end", "the file returned function"},
    {"\nreturn {", "accounts.lua:2: unexpected symbol near <eof>"},
    {"local x\nreturn x.y", "accounts.lua:2: attempt to index a nil value"},
    {"return { limit = {} }", "accounts.lua: unknown key \"limit\", expected strategy, limits, "
                              "accounts, select, on_error or on_response"},
    {"return { 'sticky' }", "unknown key [1], expected strategy, limits"},
    {"return { ['strategy\\0'] = 'x' }", "unknown key \"strategy"},
    {"return setmetatable({}, {})", "what the file returned is a table with a metatable"},
    {"return require 'gate.policy'", "what the file returned is a table with a metatable"},
    {"return { strategy = 'rr' }",
     "strategy is \"rr\", expected round_robin, least_used, least_inflight, fastest, weighted, "
     "reset_first or sticky"},
    {"return { strategy = 'sticky\\0' }", "strategy is \"sticky"},
    {"return { strategy = 1 }", "strategy is 1, expected round_robin"},
    {"return { strategy = function() end }", "strategy is a function, expected round_robin"},
    {"return { limits = 60 }", "limits is 60, expected a table like { chat = { rpm = 60 } }"},
    {"return { limits = { rpm = 60 } }", "unknown key limits.\"rpm\", expected chat or search"},
    {"return { limits = { chat = 60 } }", "limits.chat is 60, expected a table of limits"},
    {"return { limits = { chat = { rpx = 60 } } }",
     "unknown key limits.chat.\"rpx\", expected rpm, rpd, tpm, tpd or concurrency"},
    {"return { limits = { chat = { rpm = 'x' } } }",
     "accounts.lua: limits.chat.rpm is \"x\", expected a whole number from 0 to 1000000000"},
    {"return { limits = { chat = { rpm = '60' } } }", "limits.chat.rpm is \"60\", expected"},
    {"return { limits = { search = { tpd = -1 } } }", "limits.search.tpd is -1, expected"},
    {"return { limits = { chat = { rpm = 1.5 } } }", "limits.chat.rpm is 1.5, expected"},
    {"return { limits = { chat = { rpm = 0/0 } } }", "nan, expected a whole number"},
    {"return { limits = { chat = { rpm = 1e9 + 1 } } }", "limits.chat.rpm is 1000000001, "},
    {"return { limits = { chat = { rpm = 1e300 } } }", "limits.chat.rpm is 1e+300, expected"},
    {"return { limits = { chat = { rpm = false } } }", "limits.chat.rpm is false, expected"},
    {"return { accounts = 'q' }", "accounts is \"q\", expected a table like"},
    {"return { accounts = { 'q/0' } }", "accounts[1]: expected the id or alias of an account"},
    {"return { accounts = { [''] = {} } }", "accounts[\"\"]: an id or alias has 1 to 256"},
    {"return { accounts = { ['a\\n'] = {} } }", "and no control characters"},
    {"return { accounts = { [('x'):rep(257)] = {} } }", "xxx\"...]: an id or alias has 1 to"},
    {"return { accounts = { q = 3 } }", "accounts[\"q\"] is 3, expected a table like"},
    {"return { accounts = { q = { wieght = 3 } } }",
     "unknown key accounts[\"q\"].\"wieght\", expected limits, weight or tags"},
    {"return { accounts = { q = { weight = 1001 } } }",
     "accounts[\"q\"].weight is 1001, expected a whole number from 0 to 1000"},
    {"return { accounts = { q = { limits = { chat = { tpm = {} } } } } }",
     "accounts[\"q\"].limits.chat.tpm is a table, expected a whole number"},
    {"return { accounts = { q = { tags = 'paid' } } }", "accounts[\"q\"].tags is \"paid\", "},
    {"return { accounts = { q = { tags = { 'a b' } } } }",
     "accounts[\"q\"].tags[1] is \"a b\", expected 1 to 64 characters of A-Z a-z 0-9"},
    {"return { accounts = { q = { tags = { 'a', '' } } } }", "tags[2] is \"\", expected"},
    {"return { accounts = { q = { tags = { 'a\\0' } } } }", "tags[1] is \"a"},
    {"return { accounts = { q = { tags = { 1 } } } }", "tags[1] is 1, expected"},
    {"return { accounts = { q = { tags = { ('x'):rep(65) } } } }", "expected 1 to 64"},
    {"return { accounts = { q = { tags = { paid = true } } } }",
     "tags has other keys than 1 to 1, expected a list of tags"},
    {"local t = {} for i = 1, 17 do t[i] = 't' .. i end\n"
     "return { accounts = { q = { tags = t } } }",
     "accounts[\"q\"].tags has 17 entries, expected at most 16"},
    {"return { accounts = require 'gate.policy' }",
     "accounts is a table with a metatable, expected a plain one"},
    {"return { select = 'fastest' }",
     "select is a string, expected a function select(accounts, req)"},
    {"return { on_error = {} }",
     "on_error is a table, expected a function on_error(failure, attempt, req)"},
};

START_TEST(wrong_files)
{
    struct test_dir dir;
    test_dir_init(&dir);
    test_dir_write(&dir, "scripts/gate/policy.lua", "return { q = { weight = 1 } }");
    for (size_t i = 0; i < sizeof WRONG_FILES / sizeof WRONG_FILES[0]; i++) {
        struct gate_generation *g = NULL;
        struct gate_error err = {0};
        test_dir_write(&dir, "conf/accounts.lua", WRONG_FILES[i].text);
        ck_assert_int_eq(gate_generation_load(dir.conf, dir.scripts, NULL, 0, 1, &g, &err),
                         GATE_EINTERNAL);
        ck_assert_msg(strstr(err.message, WRONG_FILES[i].message) != NULL, "%s\n-> %s\nexpected %s",
                      WRONG_FILES[i].text, err.message, WRONG_FILES[i].message);
        ck_assert_msg(strncmp(err.message, "accounts.lua:", 13) == 0, "%s", err.message);
    }
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- cost */

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static const struct cost {
    const char *what, *code;
    bool on_error;
} COSTS[] = {
    {"select, fewest running of 20 with ipairs",
     "return { select = function(accounts)\n"
     "  local best, least\n"
     "  for _, a in ipairs(accounts) do\n"
     "    local n = a.in_flight\n"
     "    if not a.cooling and (not best or n < least) then best, least = a, n end\n"
     "  end\n"
     "  return best\n"
     "end }",
     false},
    {"select, the same with a numeric for",
     "return { select = function(accounts)\n"
     "  local best, least\n"
     "  for i = 1, #accounts do\n"
     "    local a = accounts[i]\n"
     "    local n = a.in_flight\n"
     "    if not a.cooling and (not best or n < least) then best, least = a, n end\n"
     "  end\n"
     "  return best\n"
     "end }",
     false},
    {"select, nil at once",
     "return { select = function(_, req) if req.key == 'x' then return 'i/0' end end }", false},
    {"select, a list of ids and tags",
     "return { select = function(accounts)\n"
     "  local list = {}\n"
     "  for _, a in ipairs(accounts) do\n"
     "    if a:has_tag('paid') then table.insert(list, 1, a) else list[#list + 1] = a.id end\n"
     "  end\n"
     "  return list\n"
     "end }",
     false},
    {"on_error, a table",
     "return { on_error = function(failure, attempt)\n"
     "  if failure.kind == 'rate_limited' and attempt.number < 5 then\n"
     "    return { action = 'next_account', cooldown_ms = failure.retry_after_ms }\n"
     "  end\n"
     "end }",
     true},
    {"on_error, an action",
     "return { on_error = function(failure, attempt)\n"
     "  if failure.status == 429 then return attempt.default end\n"
     "end }",
     true},
};

enum { COST_COUNT = sizeof COSTS / sizeof COSTS[0], COST_CALLS = 1000000, COST_MS = 500 };

static void call_once(struct gate_script *s, const struct cost *c, struct test_offer *o)
{
    struct gate_route_view req = test_view("m");
    struct gate_error err = {0};
    if (c->on_error) {
        struct gate_error_view failure = test_failure();
        struct gate_error_decision out;
        if (gate_script_on_error(s, &failure, &req, &out, &err) != GATE_OK ||
            out.action != GATE_ACTION_NEXT_ACCOUNT)
            ck_abort_msg("%s: %s", c->what, err.message);
    } else {
        struct gate_selection out;
        if (gate_script_select(s, &o->view, &req, &out, &err) != GATE_OK)
            ck_abort_msg("%s: %s", c->what, err.message);
    }
}

/* Many calls, until half a second of CPU time has passed: what one costs, and that memory stays
 * where it is. */
START_TEST(calls_are_cheap_and_leave_memory_flat)
{
    const struct cost *c = &COSTS[_i];
    struct test_dir dir;
    struct test_offer o;
    size_t early = 0, late = 0;
    int calls = 0;
    test_dir_init(&dir);
    test_offer_init(&o, 20);
    struct gate_script *s = test_load_accounts(&dir, c->code);
    double start = cpu_ns(), end = start;
    while (calls < COST_CALLS && (calls < 20000 || end - start < COST_MS * 1e6)) {
        for (int i = 0; i < 5000; i++) {
            call_once(s, c, &o);
            size_t memory = gate_script_memory(s);
            size_t *most = calls < 10000 ? &early : &late;
            *most = memory > *most ? memory : *most;
        }
        calls += 5000;
        end = cpu_ns();
    }
    printf("%-42s %5.0f ns a call, %7d calls, memory at most %zu then %zu bytes\n", c->what,
           (end - start) / calls, calls, early, late);
    ck_assert_uint_le(late, early + 1024);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("policy");
    tcase_add_test(tc, names);
    tcase_add_test(tc, nothing_configured);
    tcase_add_test(tc, all_data);
    tcase_add_test(tc, many_rules);
    tcase_add_test(tc, wrong_files);
    tcase_add_loop_test(tc, calls_are_cheap_and_leave_memory_flat, 0, COST_COUNT);
    return test_main(tc, "policy");
}
