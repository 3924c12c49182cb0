/* policy: the data of conf/accounts.lua, select, on_error, their cost. */
#include "script_util.h"

#include "script/policy.h"

#include <time.h>

enum { ACCOUNTS = 80 };

/* Accounts to choose from. `reads` counts how often each was looked at. */
struct offer {
    struct gate_account_facts facts[ACCOUNTS];
    char ids[ACCOUNTS][24];
    unsigned reads[ACCOUNTS];
    struct gate_select_view view;
};

static void read_facts(void *ctx, size_t index, struct gate_account_facts *out)
{
    struct offer *o = ctx;
    o->reads[index]++;
    *out = o->facts[index];
}

/* Accounts i/0, i/1, ... with 100, 99, ... running requests. */
static void offer_init(struct offer *o, size_t count)
{
    static const struct gate_str tags[] = {{"paid", 4}, {"eu:1", 4}};
    memset(o, 0, sizeof *o);
    o->view = (struct gate_select_view){count, read_facts, o};
    for (size_t i = 0; i < count; i++) {
        snprintf(o->ids[i], sizeof o->ids[i], "i/%zu", i);
        o->facts[i] = (struct gate_account_facts){
            .id = gate_str_of(o->ids[i]),
            .alias = i == 0 ? GATE_STR("first") : gate_str_of(o->ids[i] + 2),
            .provider = GATE_STR("i"),
            .kind = GATE_CREDENTIAL_API_KEY,
            .weight = 1,
            .numbers = {.in_flight = (uint32_t)(100 - i)},
        };
    }
    o->facts[0].tags = tags;
    o->facts[0].tag_count = 2;
}

static struct gate_script *load_accounts(const struct test_dir *dir, const char *text)
{
    struct gate_script *s = NULL;
    struct gate_error err = {0};
    test_dir_write(dir, "conf/accounts.lua", text);
    struct gate_generation *g = test_load(dir);
    ck_assert_msg(gate_script_create(g, &s, &err) == GATE_OK, "%s", err.message);
    gate_generation_release(g);
    return s;
}

static struct gate_selection expect_select(struct gate_script *s, struct offer *o,
                                           const char *model, size_t count)
{
    struct gate_route_view req = test_view(model);
    struct gate_selection out = {.count = 99};
    struct gate_error err = {0};
    ck_assert_msg(gate_script_select(s, &o->view, &req, &out, &err) == GATE_OK, "%s: %s", model,
                  err.message);
    ck_assert_msg(out.count == count, "%s: %zu selected", model, out.count);
    ck_assert(out.only == (count > 0));
    return out;
}

static void expect_select_error(struct gate_script *s, struct offer *o, const char *model,
                                const char *message)
{
    struct gate_route_view req = test_view(model);
    struct gate_selection out = {.count = 99};
    struct gate_error err = {0};
    ck_assert_int_eq(gate_script_select(s, &o->view, &req, &out, &err), GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s\nexpected %s", err.message, message);
    ck_assert(out.count == 0 && !out.only);
}

static const struct gate_verdict VERDICT = {GATE_VERDICT_RATE_LIMITED, 1500, "slow", "Slow down."};

static struct gate_error_view failure_view(void)
{
    return (struct gate_error_view){.verdict = &VERDICT,
                                    .status = 429,
                                    .number = 2,
                                    .account = GATE_STR("i/0"),
                                    .alias = GATE_STR("first"),
                                    .provider = GATE_STR("i"),
                                    .model = GATE_STR("m"),
                                    .elapsed_ms = 77,
                                    .fallback = GATE_ACTION_NEXT_ACCOUNT,
                                    .cooldown_ms = 1500};
}

static void expect_decision(struct gate_script *s, const char *model, enum gate_action action,
                            int64_t cooldown_ms)
{
    struct gate_error_view failure = failure_view();
    struct gate_route_view req = test_view(model);
    struct gate_error_decision out = {.action = GATE_ACTION_FAIL, .has_cooldown = true};
    struct gate_error err = {0};
    ck_assert_msg(gate_script_on_error(s, &failure, &req, &out, &err) == GATE_OK, "%s: %s", model,
                  err.message);
    ck_assert_msg(out.action == action, "%s: %s", model, gate_action_names[out.action]);
    ck_assert(out.has_cooldown == (cooldown_ms >= 0));
    if (cooldown_ms >= 0)
        ck_assert_uint_eq(out.cooldown_ms, (uint64_t)cooldown_ms);
}

static void expect_decision_error(struct gate_script *s, const char *model, const char *message)
{
    struct gate_error_view failure = failure_view();
    struct gate_route_view req = test_view(model);
    struct gate_error_decision out = {.action = GATE_ACTION_FAIL, .has_cooldown = true};
    struct gate_error err = {0};
    ck_assert_int_eq(gate_script_on_error(s, &failure, &req, &out, &err), GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s\nexpected %s", err.message, message);
    ck_assert(out.action == GATE_ACTION_DEFAULT && !out.has_cooldown);
}

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
    struct offer offer;
    ck_assert_msg(gate_generation_load(conf, GATE_SOURCE_DIR "/scripts", NULL, 0, 1, &g, &err) ==
                      GATE_OK,
                  "%s", err.message);
    const struct gate_account_policy *p = gate_generation_policy(g);
    ck_assert(p->strategy == GATE_STRATEGY_ROUND_ROBIN && p->rule_count == 0);
    ck_assert(p->limits.kinds[0].set == 0 && p->limits.kinds[1].set == 0);
    ck_assert_ptr_null(gate_policy_rule(p, GATE_STR("i/0"), GATE_STR("")));
    ck_assert_int_eq(gate_script_create(g, &s, &err), GATE_OK);
    gate_generation_release(g);
    ck_assert(!gate_script_has_select(s) && !gate_script_has_on_error(s));
    offer_init(&offer, 2);
    expect_select(s, &offer, "m", 0);
    expect_decision(s, "m", GATE_ACTION_DEFAULT, -1);
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

START_TEST(wrong_files)
{
    static const struct {
        const char *text, *message;
    } files[] = {
        {"", "accounts.lua: the file returned nothing, expected a table"},
        {"return 5", "the file returned number, expected a table"},
        {"return function() end", "the file returned function"},
        {"\nreturn {", "accounts.lua:2: unexpected symbol near <eof>"},
        {"local x\nreturn x.y", "accounts.lua:2: attempt to index a nil value"},
        {"return { limit = {} }", "accounts.lua: unknown key \"limit\", expected strategy, limits, "
                                  "accounts, select or on_error"},
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
        {"return { limits = { chat = { rpm = 0/0 } } }", "limits.chat.rpm is -nan, expected"},
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
    struct test_dir dir;
    test_dir_init(&dir);
    test_dir_write(&dir, "scripts/gate/policy.lua", "return { q = { weight = 1 } }");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct gate_generation *g = NULL;
        struct gate_error err = {0};
        test_dir_write(&dir, "conf/accounts.lua", files[i].text);
        ck_assert_int_eq(gate_generation_load(dir.conf, dir.scripts, NULL, 0, 1, &g, &err),
                         GATE_EINTERNAL);
        ck_assert_msg(strstr(err.message, files[i].message) != NULL, "%s\n-> %s\nexpected %s",
                      files[i].text, err.message, files[i].message);
        ck_assert_msg(strncmp(err.message, "accounts.lua:", 13) == 0, "%s", err.message);
    }
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- select */

START_TEST(account_fields)
{
    struct test_dir dir;
    struct offer o;
    test_dir_init(&dir);
    struct gate_script *s = load_accounts(
        &dir, "return { select = function(accounts, req)\n"
              "local a, b = accounts[1], accounts[2]\n"
              "assert(req.model == 'm' and req.key == 'ada' and req.headers['x-team'] == 'blue')\n"
              "assert(#accounts == 3 and accounts[0] == nil and accounts[4] == nil)\n"
              "assert(accounts[3.0] == accounts[3] and accounts[-1] == nil and a ~= b)\n"
              "local n = 0 for i, x in ipairs(accounts) do n = n + i\n"
              "  assert(x == accounts[i] and x.id == 'i/' .. i - 1) end\n"
              "assert(n == 6 and type(accounts) == 'userdata' and getmetatable(a) == false)\n"
              "assert(a.id == 'i/0' and a.alias == 'first' and a.provider == 'i')\n"
              "assert(a.kind == 'api_key' and b.kind == 'oauth' and accounts[3].kind == 'none')\n"
              "assert(#a.tags == 2 and a.tags[1] == 'paid' and a.tags[3] == nil)\n"
              "assert(a:has_tag('eu:1') and not a:has_tag('eu') and not b:has_tag('paid'))\n"
              "local t = {} for _, tag in ipairs(a.tags) do t[#t + 1] = tag end\n"
              "assert(table.concat(t, ' ') == 'paid eu:1' and #b.tags == 0)\n"
              "assert(a.weight == 1 and a.in_flight == 100 and a.latency_ms == nil)\n"
              "assert(b.weight == 7 and b.in_flight == 3 and b.latency_ms == 12.5)\n"
              "assert(b.requests_minute == 11 and b.requests_day == 12)\n"
              "assert(b.tokens_minute == 13 and b.tokens_day == math.maxinteger)\n"
              "assert(b.resets_in_ms == 4000 and a.resets_in_ms == 0)\n"
              "assert(b.cooling == true and a.cooling == false)\n"
              "local l = b.limits\n"
              "assert(l.rpm == 1 and l.rpd == 2 and l.tpm == 3 and l.tpd == 4)\n"
              "assert(l.concurrency == 5 and a.limits.rpm == 0)\n"
              "assert(math.type(b.in_flight) == 'integer')\n"
              "return b end }");
    offer_init(&o, 3);
    o.facts[2].kind = GATE_CREDENTIAL_NONE;
    o.facts[1].kind = GATE_CREDENTIAL_OAUTH;
    o.facts[1].weight = 7;
    o.facts[1].latency_us = 12500;
    o.facts[1].numbers = (struct gate_quota_numbers){11, 12, 13, UINT64_MAX, 3, 10000, 0};
    o.facts[1].limits = (struct gate_limits){1, 2, 3, 4, 5};
    o.facts[1].now_ms = 6000;
    o.facts[1].cooling = true;
    for (unsigned round = 1; round <= 3; round++) {
        ck_assert_uint_eq(expect_select(s, &o, "m", 1).order[0], 1);
        for (size_t i = 0; i < 3; i++)
            ck_assert_uint_eq(o.reads[i], round); /* once for each call */
    }
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(only_what_is_looked_at_is_read)
{
    struct test_dir dir;
    struct offer o;
    test_dir_init(&dir);
    struct gate_script *s =
        load_accounts(&dir, "return { select = function(accounts)\n"
                            "  for i = 1, #accounts do local a = accounts[i]\n"
                            "    if i % 2 == 0 and a.in_flight < 98 then return a end end end }");
    ck_assert(gate_script_has_select(s) && !gate_script_has_on_error(s));
    offer_init(&o, 10);
    ck_assert_uint_eq(expect_select(s, &o, "m", 1).order[0], 3);
    for (size_t i = 0; i < 10; i++)
        ck_assert_uint_eq(o.reads[i], i == 1 || i == 3);
    o.view.count = 0; /* nothing to choose from: nothing is called */
    expect_select(s, &o, "m", 0);
    o.view.count = 65537;
    struct gate_route_view req = test_view("m");
    struct gate_selection out;
    struct gate_error err = {0};
    ck_assert_int_eq(gate_script_select(s, &o.view, &req, &out, &err), GATE_ELIMIT);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(selections)
{
    struct test_dir dir;
    struct offer o;
    test_dir_init(&dir);
    struct gate_script *s = load_accounts(
        &dir, "return { select = function(accounts, req)\n"
              "  if req.model == 'id' then return 'i/2' end\n"
              "  if req.model == 'alias' then return 'first' end\n"
              "  if req.model == 'twin' then return 'i/1' end\n"
              "  if req.model == 'account' then return accounts[4] end\n"
              "  if req.model == 'list' then\n"
              "    return { accounts[3], 'first', 'i/2', accounts[2], accounts[1] } end\n"
              "  if req.model == 'all' then local t = {}\n"
              "    for i, a in ipairs(accounts) do t[#accounts + 1 - i] = a end return t end\n"
              "end }");
    offer_init(&o, 4);
    ck_assert_uint_eq(expect_select(s, &o, "id", 1).order[0], 2);
    ck_assert_uint_eq(expect_select(s, &o, "alias", 1).order[0], 0);
    ck_assert_uint_eq(expect_select(s, &o, "account", 1).order[0], 3);
    o.facts[0].alias = GATE_STR("i/1"); /* an id comes before an alias */
    ck_assert_uint_eq(expect_select(s, &o, "twin", 1).order[0], 1);
    o.facts[0].alias = GATE_STR("first");
    struct gate_selection out = expect_select(s, &o, "list", 3); /* none twice */
    ck_assert(out.order[0] == 2 && out.order[1] == 0 && out.order[2] == 1);
    expect_select(s, &o, "none", 0);
    offer_init(&o, ACCOUNTS);
    out = expect_select(s, &o, "all", GATE_POLICY_MAX_SELECTED);
    for (size_t i = 0; i < GATE_POLICY_MAX_SELECTED; i++)
        ck_assert_uint_eq(out.order[i], ACCOUNTS - 1 - i);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(wrong_selections)
{
    static const struct {
        const char *code, *message;
    } wrong[] = {
        {"return true", "accounts.lua:2: select returned a boolean, expected nil, an account, an "
                        "id or alias, or a list of these"},
        {"return 1", "select returned a number, expected nil"},
        {"return accounts", "select returned a userdata, expected nil"},
        {"return 'i/9'", "select returned \"i/9\", which is not among the accounts offered"},
        {"return ''", "select returned \"\", which is not among"},
        {"return accounts[1].limits", "select returned a userdata that is no account"},
        {"return {}", "a table that is no list of accounts, or empty (nil: the strategy decides)"},
        {"return { account = 'i/0' }", "a table that is no list of accounts"},
        {"return { 'i/0', only = true }", "a table with both list items and other keys"},
        {"return { 'i/0', nil, 'i/1' }", "a list with a hole: item 2 is nil"},
        {"return { 'i/0', 2 }", "select returned a number that is no account"},
        {"return { { 'i/0' } }", "select returned a table that is no account"},
        {"return { accounts[9], 'i/0' }", "select returned a table that is no list"},
        {"return accounts[1].inflight", "accounts.lua:3: an account has no field 'inflight'"},
        {"return accounts[1][1]", "accounts.lua:3: an account has no field 'number'"},
        {"return accounts.first", "accounts is a list and has no field 'first'"},
        {"return accounts['1']", "accounts is a list and has no field '1'"},
        {"return accounts[1.5]", "accounts is a list and has no field 'number'"},
        {"return accounts[1].tags.paid", "tags is a list and has no field 'paid'"},
        {"return accounts[1].limits.rpx", "a table of limits has no field 'rpx'"},
        {"return #accounts[1]", "accounts.lua:3: attempt to get length of an account"},
        {"accounts[1] = accounts[2]", "accounts.lua:3: accounts is read-only"},
        {"accounts[1].weight = 5", "account is read-only"},
        {"accounts[1].limits.rpm = 5", "account is read-only"},
        {"return accounts[1].has_tag('x')", "has_tag is called on a string: write account:has_tag"},
        {"return accounts[1]:has_tag()", "string expected, got no value"},
        {"return accounts[1].id.x.y", "attempt to index a nil value"},
        {"return accounts[1] < accounts[2]", "attempt to compare two userdata values"},
    };
    struct test_dir dir;
    struct offer o;
    test_dir_init(&dir);
    offer_init(&o, 3);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "return {\nselect = function(accounts)\n%s end }",
                 wrong[i].code);
        struct gate_script *s = load_accounts(&dir, text);
        expect_select_error(s, &o, "m", wrong[i].message);
        expect_select_error(s, &o, "m", wrong[i].message);
        gate_script_destroy(s);
    }
    test_dir_finish(&dir);
}
END_TEST

START_TEST(kept_objects_are_dead)
{
    static const char STALE[] = "this account belongs to an earlier call of select";
    struct test_dir dir;
    struct offer o;
    test_dir_init(&dir);
    struct gate_script *s = load_accounts(
        &dir, "local account, limits, tags, list, failure, attempt\n"
              "return { select = function(accounts, req)\n"
              "  if req.model == 'keep' then account, list = accounts[1], accounts\n"
              "    limits, tags = account.limits, account.tags return account end\n"
              "  assert(account ~= accounts[1] and list == accounts and list[1] == accounts[1])\n"
              "  if req.model == 'field' then return account.id end\n"
              "  if req.model == 'limits' then return limits.rpm end\n"
              "  if req.model == 'tags' then return #tags end\n"
              "  if req.model == 'has' then return accounts[1].has_tag(account, 'paid') end\n"
              "  if req.model == 'failure' then return failure.kind end\n"
              "  if req.model == 'attempt' then return attempt.number end\n"
              "  return account\n"
              "end,\n"
              "on_error = function(f, a, req)\n"
              "  failure, attempt = f, a\n"
              "  if req.model == 'field' then return account.id end\n"
              "  if req.model == 'list' then return list[1] end\n"
              "  if req.model == 'length' then return #list end\n"
              "end }");
    offer_init(&o, 2);
    ck_assert_uint_eq(expect_select(s, &o, "keep", 1).order[0], 0);
    expect_select_error(s, &o, "field", "accounts.lua:6: this account belongs to an earlier call");
    expect_select_error(s, &o, "limits", STALE);
    expect_select_error(s, &o, "tags", STALE);
    expect_select_error(s, &o, "has", STALE);
    expect_select_error(s, &o, "return", STALE);
    expect_decision_error(s, "field", STALE);
    expect_decision_error(s, "list", "accounts can be read only while select(accounts, req) runs");
    expect_decision_error(s, "length", "accounts can be read only while select");
    expect_decision(s, "m", GATE_ACTION_DEFAULT, -1);
    expect_select_error(s, &o, "failure", "a failure can be read only while on_error");
    expect_select_error(s, &o, "attempt", "can be read only while on_error(failure, attempt, req)");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- on_error */

START_TEST(failure_fields_and_decisions)
{
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s = load_accounts(
        &dir, "return { on_error = function(failure, attempt, req)\n"
              "assert(failure.kind == 'rate_limited' and failure.status == 429)\n"
              "assert(failure.code == 'slow' and failure.message == 'Slow down.')\n"
              "assert(failure.retry_after_ms == 1500 and attempt.number == 2)\n"
              "assert(attempt.account == 'i/0' and attempt.alias == 'first')\n"
              "assert(attempt.provider == 'i' and attempt.model == 'm')\n"
              "assert(attempt.elapsed_ms == 77 and attempt.default == 'next_account')\n"
              "assert(attempt.cooldown_ms == 1500 and req.tools == 2)\n"
              "local m = req.model\n"
              "if m == 'table' then return { action = 'next_target', cooldown_ms = 6e4 } end\n"
              "if m == 'cooldown' then return { cooldown_ms = 0 } end\n"
              "if m == 'action' then return { action = 'fail' } end\n"
              "if m == 'empty' then return {} end\n"
              "if m == 'same' then return attempt.default end\n"
              "if m ~= 'nil' then return m end\n"
              "end }");
    ck_assert(gate_script_has_on_error(s) && !gate_script_has_select(s));
    expect_decision(s, "nil", GATE_ACTION_DEFAULT, -1);
    expect_decision(s, "default", GATE_ACTION_DEFAULT, -1);
    expect_decision(s, "retry", GATE_ACTION_RETRY, -1);
    expect_decision(s, "next_account", GATE_ACTION_NEXT_ACCOUNT, -1);
    expect_decision(s, "next_target", GATE_ACTION_NEXT_TARGET, -1);
    expect_decision(s, "fail", GATE_ACTION_FAIL, -1);
    expect_decision(s, "same", GATE_ACTION_NEXT_ACCOUNT, -1);
    expect_decision(s, "table", GATE_ACTION_NEXT_TARGET, 60000);
    expect_decision(s, "cooldown", GATE_ACTION_DEFAULT, 0);
    expect_decision(s, "action", GATE_ACTION_FAIL, -1);
    expect_decision(s, "empty", GATE_ACTION_DEFAULT, -1);
    gate_script_destroy(s);

    s = load_accounts(&dir, "return { on_error = function(failure, attempt)\n"
                            "assert(failure.kind == 'network' and failure.status == 0)\n"
                            "assert(failure.code == '' and failure.message == '')\n"
                            "assert(failure.retry_after_ms == nil and attempt.alias == '')\n"
                            "assert(attempt.default == 'default') end }");
    const struct gate_verdict bare = {.kind = GATE_VERDICT_NETWORK};
    struct gate_error_view failure = {.verdict = &bare};
    struct gate_route_view req = test_view("m");
    struct gate_error_decision out;
    struct gate_error err = {0};
    ck_assert_msg(gate_script_on_error(s, &failure, &req, &out, &err) == GATE_OK, "%s",
                  err.message);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(wrong_decisions)
{
    static const struct {
        const char *code, *message;
    } wrong[] = {
        {"return true", "accounts.lua:2: on_error returned a boolean, expected nil, the name of an "
                        "action, or a table with action and cooldown_ms"},
        {"return 'again'", "on_error returned the action \"again\", expected retry, next_account, "
                           "next_target, fail or default"},
        {"return 'retry\\0'", "the action \"retry"},
        {"return ''", "the action \"\", expected"},
        {"return 5", "on_error returned a number, expected nil"},
        {"return failure", "on_error returned a userdata, expected nil"},
        {"return { 'retry' }", "a table with a key that is a number, expected action or cooldown"},
        {"return { acton = 'retry' }", "the unknown key 'acton', expected action or cooldown_ms"},
        {"return { action = 1 }", "an action that is a number, expected its name"},
        {"return { cooldown_ms = '5' }", "a cooldown_ms that is a string, expected milliseconds"},
        {"return { cooldown_ms = -1 }", "a cooldown_ms of -1, expected whole milliseconds"},
        {"return { cooldown_ms = 0.5 }", "a cooldown_ms of 0.5"},
        {"return { cooldown_ms = 86400001 }", "a cooldown_ms of 86400001, expected whole "},
        {"return failure.reason", "accounts.lua:3: a failure has no field 'reason'"},
        {"return attempt.count", "accounts.lua:3: an attempt has no field 'count'"},
        {"return req.nope", "accounts.lua:3: a request has no field 'nope'"},
        {"failure.kind = 'auth'", "accounts.lua:3: failure is read-only"},
        {"attempt.number = 1", "accounts.lua:3: attempt is read-only"},
        {"error('no ' .. failure.kind)", "accounts.lua:3: no rate_limited"},
    };
    struct test_dir dir;
    test_dir_init(&dir);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "return {\non_error = function(failure, attempt, req)\n%s end }", wrong[i].code);
        struct gate_script *s = load_accounts(&dir, text);
        expect_decision_error(s, "m", wrong[i].message);
        expect_decision_error(s, "m", wrong[i].message);
        gate_script_destroy(s);
    }
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- the state */

START_TEST(one_state_for_both_files)
{
    struct test_dir dir;
    struct offer o;
    test_dir_init(&dir);
    offer_init(&o, 3);
    test_dir_write(
        &dir, "scripts/gate/shared.lua",
        "local n = 0\n"
        "return { add = function() n = n + 1 return n end, get = function() return n end }");
    test_dir_write(&dir, "conf/routing.lua",
                   "local shared = require 'gate.shared'\n"
                   "return function(req) shared.add() return req.model .. shared.get() end");
    struct gate_script *s = load_accounts(&dir, "local shared = require 'gate.shared'\n"
                                                "return { select = function(accounts)\n"
                                                "  return accounts[shared.get()]\n"
                                                "end }");
    test_expect_route(s, "m", "m1");
    ck_assert_uint_eq(expect_select(s, &o, "m", 1).order[0], 0);
    test_expect_route(s, "m", "m2");
    ck_assert_uint_eq(expect_select(s, &o, "m", 1).order[0], 1);
    gate_script_destroy(s);

    /* accounts.lua alone: route decides nothing */
    char path[256];
    snprintf(path, sizeof path, "%s/routing.lua", dir.conf);
    ck_assert_int_eq(unlink(path), 0);
    s = load_accounts(&dir, "return { select = function(accounts) return accounts[2] end }");
    test_expect_route(s, "m", NULL);
    ck_assert_uint_eq(expect_select(s, &o, "m", 1).order[0], 1);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(full_state_is_built_anew)
{
    struct test_dir dir;
    struct offer o;
    struct gate_route_view req = test_view("fill");
    struct gate_selection out;
    struct gate_error err = {0};
    enum gate_status status = GATE_OK;
    test_dir_init(&dir);
    offer_init(&o, 3);
    test_dir_write(&dir, "conf/routing.lua", "return function(req) return 'still' end");
    struct gate_script *s =
        load_accounts(&dir, "local kept = {}\n"
                            "return { select = function(accounts, req)\n"
                            "  if req.model ~= 'fill' then return accounts[#kept + 1] end\n"
                            "  local page = {}\n"
                            "  kept[#kept + 1] = page\n"
                            "  for i = 1, 300 do page[i] = ('x'):rep(4000) .. #kept .. i end\n"
                            "end }");
    for (int i = 0; i < 100 && status == GATE_OK; i++)
        status = gate_script_select(s, &o.view, &req, &out, &err);
    ck_assert_int_eq(status, GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, "accounts.lua:6: memory limit reached") != NULL, "%s",
                  err.message);
    ck_assert_uint_lt(gate_script_memory(s), 200 * 1024);
    ck_assert_uint_eq(expect_select(s, &o, "m", 1).order[0], 0);
    test_expect_route(s, "m", "still");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- cost */

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
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

static void call_once(struct gate_script *s, const struct cost *c, struct offer *o)
{
    struct gate_route_view req = test_view("m");
    struct gate_error err = {0};
    if (c->on_error) {
        struct gate_error_view failure = failure_view();
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

/* Many calls, until half a second has passed: what one costs, and that memory stays where it is. */
START_TEST(calls_are_cheap_and_leave_memory_flat)
{
    const struct cost *c = &COSTS[_i];
    struct test_dir dir;
    struct offer o;
    size_t early = 0, late = 0;
    int calls = 0;
    test_dir_init(&dir);
    offer_init(&o, 20);
    struct gate_script *s = load_accounts(&dir, c->code);
    double start = now_ns(), end = start;
    while (calls < COST_CALLS && (calls < 20000 || end - start < COST_MS * 1e6)) {
        for (int i = 0; i < 5000; i++) {
            call_once(s, c, &o);
            size_t memory = gate_script_memory(s);
            size_t *most = calls < 10000 ? &early : &late;
            *most = memory > *most ? memory : *most;
        }
        calls += 5000;
        end = now_ns();
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
    tcase_add_test(tc, account_fields);
    tcase_add_test(tc, only_what_is_looked_at_is_read);
    tcase_add_test(tc, selections);
    tcase_add_test(tc, wrong_selections);
    tcase_add_test(tc, kept_objects_are_dead);
    tcase_add_test(tc, failure_fields_and_decisions);
    tcase_add_test(tc, wrong_decisions);
    tcase_add_test(tc, one_state_for_both_files);
    tcase_add_test(tc, full_state_is_built_anew);
    tcase_add_loop_test(tc, calls_are_cheap_and_leave_memory_flat, 0, COST_COUNT);
    return test_main(tc, "policy");
}
