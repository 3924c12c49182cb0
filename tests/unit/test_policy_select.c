/* select(accounts, req) of conf/accounts.lua: what it sees, what it may return, its state. */
#include "policy_util.h"

/* ---------------------------------------------------------------- select */

START_TEST(account_fields)
{
    struct test_dir dir;
    struct test_offer o;
    test_dir_init(&dir);
    struct gate_script *s = test_load_accounts(
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
              "assert(b.cooling == true and a.cooling == false and a.state == 'serving')\n"
              "assert(a.until_ms == nil and b.state == 'limited' and b.until_ms == 9000)\n"
              "local l = b.limits\n"
              "assert(l.rpm == 1 and l.rpd == 2 and l.tpm == 3 and l.tpd == 4)\n"
              "assert(l.concurrency == 5 and a.limits.rpm == 0)\n"
              "assert(math.type(b.in_flight) == 'integer')\n"
              "return b end }");
    test_offer_init(&o, 3);
    o.facts[2].kind = GATE_CREDENTIAL_NONE;
    o.facts[1].kind = GATE_CREDENTIAL_OAUTH;
    o.facts[1].weight = 7;
    o.facts[1].latency_us = 12500;
    o.facts[1].numbers = (struct gate_quota_numbers){11, 12, 13, UINT64_MAX, 3, 10000, 0};
    o.facts[1].limits = (struct gate_limits){1, 2, 3, 4, 5};
    o.facts[1].now_ms = 6000;
    o.facts[1].cooling = true;
    o.facts[1].state = "limited";
    o.facts[1].until_ms = 9000;
    for (unsigned round = 1; round <= 3; round++) {
        ck_assert_uint_eq(test_expect_select(s, &o, "m", 1).order[0], 1);
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
    struct test_offer o;
    test_dir_init(&dir);
    struct gate_script *s = test_load_accounts(
        &dir, "return { select = function(accounts)\n"
              "  for i = 1, #accounts do local a = accounts[i]\n"
              "    if i % 2 == 0 and a.in_flight < 98 then return a end end end }");
    ck_assert(gate_script_has_select(s) && !gate_script_has_on_error(s));
    test_offer_init(&o, 10);
    ck_assert_uint_eq(test_expect_select(s, &o, "m", 1).order[0], 3);
    for (size_t i = 0; i < 10; i++)
        ck_assert_uint_eq(o.reads[i], i == 1 || i == 3);
    o.view.count = 0; /* nothing to choose from: nothing is called */
    test_expect_select(s, &o, "m", 0);
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
    struct test_offer o;
    test_dir_init(&dir);
    struct gate_script *s = test_load_accounts(
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
    test_offer_init(&o, 4);
    ck_assert_uint_eq(test_expect_select(s, &o, "id", 1).order[0], 2);
    ck_assert_uint_eq(test_expect_select(s, &o, "alias", 1).order[0], 0);
    ck_assert_uint_eq(test_expect_select(s, &o, "account", 1).order[0], 3);
    o.facts[0].alias = GATE_STR("i/1"); /* an id comes before an alias */
    ck_assert_uint_eq(test_expect_select(s, &o, "twin", 1).order[0], 1);
    o.facts[0].alias = GATE_STR("first");
    struct gate_selection out = test_expect_select(s, &o, "list", 3); /* none twice */
    ck_assert(out.order[0] == 2 && out.order[1] == 0 && out.order[2] == 1);
    test_expect_select(s, &o, "none", 0);
    test_offer_init(&o, TEST_ACCOUNTS);
    out = test_expect_select(s, &o, "all", GATE_POLICY_MAX_SELECTED);
    for (size_t i = 0; i < GATE_POLICY_MAX_SELECTED; i++)
        ck_assert_uint_eq(out.order[i], TEST_ACCOUNTS - 1 - i);
    test_offer_init(&o, 3); /* a list that shrinks and grows */
    ck_assert_uint_eq(test_expect_select(s, &o, "all", 3).order[0], 2);
    test_offer_init(&o, 5);
    ck_assert_uint_eq(test_expect_select(s, &o, "all", 5).order[4], 0);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

static bool rests(void *ctx, struct gate_str name)
{
    (void)ctx;
    return gate_str_eq(name, GATE_STR("i/8")) || gate_str_eq(name, GATE_STR("eight"));
}

START_TEST(names_that_rest_are_passed_over)
{
    struct test_dir dir;
    struct test_offer o;
    struct gate_selection out = {.count = 99};
    struct gate_error err = {0};
    test_dir_init(&dir);
    struct gate_script *s = test_load_accounts(
        &dir, "return { select = function(accounts, req)\n"
              "  if req.model == 'one' then return 'i/8' end\n"
              "  if req.model == 'all' then return { 'eight', 'i/8' } end\n"
              "  if req.model == 'some' then return { 'i/8', 'i/1', 'eight', accounts[1] } end\n"
              "  if req.model == 'wrong' then return { 'i/8', 'i/9' } end\n"
              "end }");
    test_offer_init(&o, 3);
    o.view.known = rests;
    struct gate_selection some = test_expect_select(s, &o, "some", 2);
    ck_assert(some.order[0] == 1 && some.order[1] == 0);
    static const char *const nobody[] = {"one", "all"};
    for (size_t i = 0; i < 2; i++) {
        struct gate_route_view req = test_view(nobody[i]);
        out = (struct gate_selection){.count = 99};
        ck_assert_int_eq(gate_script_select(s, &o.view, &req, &out, &err), GATE_OK);
        ck_assert(out.count == 0 && out.only);
    }
    test_expect_select(s, &o, "none", 0); /* nil is something else: the strategy decides */
    test_expect_select_error(s, &o, "wrong", "\"i/9\", which is not among the accounts offered");
    o.view.known = NULL;
    test_expect_select_error(s, &o, "one", "\"i/8\", which is not among the accounts offered");
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
    struct test_offer o;
    test_dir_init(&dir);
    test_offer_init(&o, 3);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "return {\nselect = function(accounts)\n%s end }",
                 wrong[i].code);
        struct gate_script *s = test_load_accounts(&dir, text);
        test_expect_select_error(s, &o, "m", wrong[i].message);
        test_expect_select_error(s, &o, "m", wrong[i].message);
        gate_script_destroy(s);
    }
    test_dir_finish(&dir);
}
END_TEST

START_TEST(kept_objects_are_dead)
{
    static const char STALE[] = "belongs to an earlier call: keep ";
    struct test_dir dir;
    struct test_offer o;
    test_dir_init(&dir);
    struct gate_script *s = test_load_accounts(
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
              "  if req.model == 'list' then return list[1].id end\n"
              "  if req.model == 'length' then return #list end\n"
              "end }");
    test_offer_init(&o, 2);
    ck_assert_uint_eq(test_expect_select(s, &o, "keep", 1).order[0], 0);
    test_expect_select_error(s, &o, "field",
                             "accounts.lua:6: this account belongs to an earlier call");
    test_expect_select_error(s, &o, "limits", STALE);
    test_expect_select_error(s, &o, "tags", STALE);
    test_expect_select_error(s, &o, "has", STALE);
    test_expect_select_error(s, &o, "return", STALE);
    test_expect_decision_error(s, "field", STALE);
    test_expect_decision_error(s, "list", STALE);
    test_expect_decision_error(s, "length",
                               "accounts can be read only while select(accounts, req) runs");
    test_expect_decision(s, "m", GATE_ACTION_DEFAULT, -1);
    test_expect_select_error(s, &o, "failure", "a failure can be read only while on_error");
    test_expect_select_error(s, &o, "attempt",
                             "can be read only while on_error(failure, attempt, req)");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- the state */

START_TEST(one_state_for_both_files)
{
    struct test_dir dir;
    struct test_offer o;
    test_dir_init(&dir);
    test_offer_init(&o, 3);
    test_dir_write(
        &dir, "scripts/gate/shared.lua",
        "local n = 0\n"
        "return { add = function() n = n + 1 return n end, get = function() return n end }");
    test_dir_write(&dir, "conf/routing.lua",
                   "local shared = require 'gate.shared'\n"
                   "return function(req) shared.add() return req.model .. shared.get() end");
    struct gate_script *s = test_load_accounts(&dir, "local shared = require 'gate.shared'\n"
                                                     "return { select = function(accounts)\n"
                                                     "  return accounts[shared.get()]\n"
                                                     "end }");
    test_expect_route(s, "m", "m1");
    ck_assert_uint_eq(test_expect_select(s, &o, "m", 1).order[0], 0);
    test_expect_route(s, "m", "m2");
    ck_assert_uint_eq(test_expect_select(s, &o, "m", 1).order[0], 1);
    gate_script_destroy(s);

    /* accounts.lua alone: route decides nothing */
    char path[256];
    snprintf(path, sizeof path, "%s/routing.lua", dir.conf);
    ck_assert_int_eq(unlink(path), 0);
    s = test_load_accounts(&dir, "return { select = function(accounts) return accounts[2] end }");
    test_expect_route(s, "m", NULL);
    ck_assert_uint_eq(test_expect_select(s, &o, "m", 1).order[0], 1);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(full_state_is_built_anew)
{
    struct test_dir dir;
    struct test_offer o;
    struct gate_route_view req = test_view("fill");
    struct gate_selection out;
    struct gate_error err = {0};
    enum gate_status status = GATE_OK;
    test_dir_init(&dir);
    test_offer_init(&o, 3);
    test_dir_write(&dir, "conf/routing.lua", "return function(req) return 'still' end");
    struct gate_script *s =
        test_load_accounts(&dir, "local kept = {}\n"
                                 "return { select = function(accounts, req)\n"
                                 "  if req.model ~= 'fill' then return accounts[#kept + 1] end\n"
                                 "  local page = {}\n"
                                 "  kept[#kept + 1] = page\n"
                                 "  for i = 1, 60 do page[i] = ('x'):rep(4000) .. #kept .. i end\n"
                                 "end }");
    for (int i = 0; i < 100 && status == GATE_OK; i++)
        status = gate_script_select(s, &o.view, &req, &out, &err);
    ck_assert_int_eq(status, GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, "accounts.lua:6: memory limit reached") != NULL, "%s",
                  err.message);
    ck_assert_uint_lt(gate_script_memory(s), 200 * 1024);
    ck_assert_uint_eq(test_expect_select(s, &o, "m", 1).order[0], 0);
    test_expect_route(s, "m", "still");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("policy_select");
    tcase_add_test(tc, account_fields);
    tcase_add_test(tc, only_what_is_looked_at_is_read);
    tcase_add_test(tc, selections);
    tcase_add_test(tc, names_that_rest_are_passed_over);
    tcase_add_test(tc, wrong_selections);
    tcase_add_test(tc, kept_objects_are_dead);
    tcase_add_test(tc, one_state_for_both_files);
    tcase_add_test(tc, full_state_is_built_anew);
    return test_main(tc, "policy_select");
}
