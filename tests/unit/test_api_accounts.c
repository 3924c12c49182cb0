/* gate.accounts and gate.provider: the state of any provider's accounts. */
#include "policy_util.h"

#include <time.h>

/* Five accounts, three of provider i and two of j. */
static void offer_five(struct test_offer *o, struct test_all *all)
{
    test_offer_init(o, 5);
    test_all_init(all, o, 3);
    o->facts[3].provider = o->facts[4].provider = GATE_STR("j");
    o->facts[1].state = "cooling";
    o->facts[1].until_ms = 5000;
    o->facts[1].latency_us = 10;
    o->facts[2].state = "exhausted";
    o->facts[0].latency_us = 2500;
    o->facts[0].limits.requests_per_day = 100;
    o->facts[0].numbers = (struct gate_quota_numbers){1, 40, 3, 4, 5, 0, 0};
    o->facts[1].limits.requests_per_day = 10;
    o->facts[1].numbers = (struct gate_quota_numbers){10, 20, 30, 40, 50, 0, 0};
    o->facts[2].numbers = (struct gate_quota_numbers){100, 200, 300, 400, 500, 0, 0};
}

static struct gate_route_view view_of(const char *model, const struct test_all *all)
{
    struct gate_route_view view = test_view(model);
    view.accounts = &all->view;
    return view;
}

/* NULL: route must run through. */
static void route(struct gate_script *s, const char *model, const struct test_all *all,
                  const char *message)
{
    struct gate_route_view view = view_of(model, all);
    struct gate_decision d;
    struct gate_error err = {0};
    memset(&d, 0, sizeof d);
    enum gate_status status = gate_script_route(s, &view, &d, &err);
    gate_decision_finish(&d);
    if (message == NULL)
        ck_assert_msg(status == GATE_OK, "%s: %s", model, err.message);
    else
        ck_assert_msg(status == GATE_EINTERNAL && strstr(err.message, message) != NULL,
                      "%s: %s\nexpected %s", model, err.message, message);
}

START_TEST(lists)
{
    struct test_dir dir;
    struct test_offer o;
    struct test_all all;
    test_dir_init(&dir);
    struct gate_script *s = test_load_routing(
        &dir,
        "return function(req)\n"
        "local i, j = gate.accounts('i'), gate.accounts('j')\n"
        "assert(#i == 3 and #j == 2 and i[0] == nil and i[4] == nil and i[-1] == nil)\n"
        "assert(i[1].id == 'i/0' and j[1].id == 'i/3' and j[2].id == 'i/4')\n"
        "assert(i == gate.accounts('i') and i[1] == gate.accounts('i')[1] and i ~= j)\n"
        "assert(i[1] ~= j[1] and gate.accounts('nope') == nil and #gate.accounts('empty') == 0)\n"
        "local n = 0 for k, a in ipairs(i) do n = n + k assert(a.provider == 'i') end\n"
        "assert(n == 6)\n"
        "assert(i[1].state == 'serving' and i[1].until_ms == nil)\n"
        "assert(i[2].state == 'cooling' and i[2].until_ms == 5000)\n"
        "assert(i[1].limits.rpd == 100 and i[2].requests_day == 20)\n"
        "assert(i[1]:has_tag('paid') and i[1].tags[2] == 'eu:1' and #i[2].tags == 0)\n"
        "assert(i[1].latency_ms == 2.5 and i[3].latency_ms == nil)\n"
        "end");
    offer_five(&o, &all);
    for (unsigned round = 1; round <= 3; round++) {
        route(s, "m", &all, NULL);
        for (size_t k = 0; k < 4; k++)
            ck_assert_uint_eq(o.reads[k], round); /* once for each call */
    }
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(sums)
{
    struct test_dir dir;
    struct test_offer o;
    struct test_all all;
    test_dir_init(&dir);
    struct gate_script *s = test_load_routing(
        &dir, "return function(req)\n"
              "if req.model == 'lazy' then assert(gate.provider('i')) return end\n"
              "local p = gate.provider('i')\n"
              "assert(p.accounts == 3 and p.serving == 1 and p.in_flight == 555)\n"
              "assert(p.requests_minute == 111 and p.requests_day == 260 and p.tokens_day == 444)\n"
              "assert(p.latency_ms == 2.5)\n" /* the faster one does not serve */
              "if req.model == 'unlimited' then assert(p.requests_left_today == nil)\n"
              "else assert(p.requests_left_today == 60) end\n"
              "assert(gate.provider('nope') == nil)\n"
              "p = gate.provider('empty')\n"
              "assert(p.accounts == 0 and p.serving == 0 and p.requests_left_today == 0)\n"
              "assert(p.latency_ms == nil)\n"
              "p = gate.provider('j')\n"
              "assert(p.accounts == 2 and p.serving == 2 and p.requests_left_today == nil)\n"
              "assert(gate.accounts('j')[1].in_flight + gate.accounts('j')[2].in_flight\n"
              "       == p.in_flight)\n"
              "end");
    offer_five(&o, &all);
    route(s, "lazy", &all, NULL);
    ck_assert_uint_eq(o.reads[0], 0);
    route(s, "m", &all, NULL);
    ck_assert_uint_eq(o.reads[4], 1);
    o.facts[1].limits.requests_per_day = 0;
    route(s, "unlimited", &all, NULL);
    o.facts[1].state = "disabled"; /* cannot serve: that it has no limit says nothing */
    route(s, "m", &all, NULL);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(wrong_uses)
{
    static const struct {
        const char *code, *message;
    } wrong[] = {
        {"gate.accounts()", "bad argument #1 to 'accounts' (string expected, got no value)"},
        {"gate.accounts(5)", "bad argument #1 to 'accounts' (string expected, got number)"},
        {"gate.provider({})", "bad argument #1 to 'provider' (string expected, got table)"},
        {"gate.accounts('i')[1].name = 1", "account is read-only"},
        {"gate.accounts('i')[1] = 1", "account is read-only"},
        {"gate.provider('i').serving = 1", "account is read-only"},
        {"return gate.accounts('i').first", "accounts is a list and has no field 'first'"},
        {"return gate.accounts('i')[1].nope", "an account has no field 'nope'"},
        {"return gate.provider('i').nope", "a provider has no field 'nope'"},
        {"return #gate.provider('i')", "attempt to get length of a provider"},
        {"return #gate.accounts('i')[1]", "attempt to get length of an account"},
        {"return gate.accounts('i')[1].has_tag(gate.accounts('i'), 'x')", "has_tag is called on"},
        {"for k = 1, 70 do gate.accounts('empty' .. k) end", "one call can look at 63 providers"},
        {"for k = 1, 63 do gate.accounts('empty' .. k) gate.provider('empty' .. k) end error('ok')",
         "ok"},
        {"while true do gate.accounts('i') end", "instruction budget used up"},
        {"while true do local _ = gate.provider('i').serving end", "instruction budget used up"},
        {"return gate.accounts('i')[1]", "routing.lua:1: route returned a userdata"},
    };
    struct test_dir dir;
    struct test_offer o;
    struct test_all all;
    test_dir_init(&dir);
    offer_five(&o, &all);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "return function(req)\n%s end", wrong[i].code);
        struct gate_script *s = test_load_routing(&dir, text);
        route(s, "m", &all, wrong[i].message);
        route(s, "m", &all, "routing.lua:");
        gate_script_destroy(s);
    }
    struct gate_script *s =
        test_load_routing(&dir, "return function(req) return gate[req.model]('i') and 'x' end");
    struct gate_route_view view = test_view("accounts");
    struct gate_decision d;
    struct gate_error err = {0};
    memset(&d, 0, sizeof d);
    ck_assert_int_eq(gate_script_route(s, &view, &d, &err), GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, "routing.lua:1: gate.accounts is not available here") != NULL,
                  "%s", err.message);
    view.model = GATE_STR("provider");
    ck_assert_int_eq(gate_script_route(s, &view, &d, &err), GATE_EINTERNAL);
    ck_assert(strstr(err.message, "gate.provider is not available here") != NULL);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(kept_words_are_dead)
{
    struct test_dir dir;
    struct test_offer o;
    struct test_all all;
    test_dir_init(&dir);
    struct gate_script *s = test_load_routing(
        &dir, "local account, list, provider\n"
              "return function(req) local m = req.model\n"
              "if m == 'keep' then\n"
              "  list, provider = gate.accounts('i'), gate.provider('i') account = list[1]\n"
              "  local _ = provider.serving return end\n"
              "if m ~= 'early' then gate.accounts('i') gate.provider('i') end\n"
              "if m == 'account' or m == 'early' then return account.id end\n"
              "if m == 'list' then return list[1] end\n"
              "if m == 'length' then return #list end\n"
              "if m == 'provider' then return provider.serving end\n"
              "end");
    offer_five(&o, &all);
    route(s, "keep", &all, NULL);
    route(s, "account", &all, "this account belongs to an earlier call: keep its id instead");
    route(s, "early", &all, "this account belongs to an earlier call");
    route(s, "list", &all, "this list of accounts belongs to an earlier call");
    route(s, "length", &all, "this list of accounts belongs to an earlier call");
    route(s, "provider", &all, "this provider belongs to an earlier call: keep what you need");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- inside select */

static enum gate_status choose(struct gate_script *s, struct test_offer *offered,
                               const struct test_all *all, const char *model,
                               struct gate_selection *out, struct gate_error *err)
{
    struct gate_route_view view = view_of(model, all);
    return gate_script_select(s, &offered->view, &view, out, err);
}

static bool knows(void *ctx, struct gate_str name)
{
    (void)ctx;
    return gate_str_eq(name, GATE_STR("i/1"));
}

/* What is on offer is the reverse of what there is, without i/1 and i/4: places differ. */
START_TEST(both_lists_in_select)
{
    static const char *const ids[] = {"i/3", "i/2", "i/0"};
    struct test_dir dir;
    struct test_offer o, offered;
    struct test_all all;
    struct gate_selection out;
    struct gate_error err = {0};
    test_dir_init(&dir);
    offer_five(&o, &all);
    test_offer_init(&offered, 3);
    for (size_t i = 0; i < 3; i++) {
        offered.facts[i].id = gate_str_of(ids[i]);
        offered.facts[i].weight = 7;
        offered.facts[i].alias = GATE_STR("");
    }
    struct gate_script *s = test_load_accounts(
        &dir,
        "return { select = function(accounts, req) local m = req.model\n"
        "local i = gate.accounts('i')\n"
        "assert(accounts[1].id == 'i/3' and i[1].id == 'i/0' and i[1] ~= accounts[1])\n"
        "assert(accounts[1].weight == 7 and i[1].weight == 1 and #accounts == 3 and #i == 3)\n"
        "assert(accounts[3] ~= i[1] and accounts[3].id == i[1].id)\n"
        "assert(i[1].limits.rpd == 100 and accounts[1].limits.rpd == 0)\n"
        "assert(gate.provider('i').serving == 1)\n"
        "if m == 'account' then return i[1] end\n"
        "if m == 'list' then return { i[3], accounts[1], i[1], accounts[3] } end\n"
        "if m == 'resting' then return i[2] end\n"
        "if m == 'other' then return gate.accounts('j')[2] end\n"
        "if m == 'all' then return i end\n"
        "if m == 'provider' then return { gate.provider('i') } end\n"
        "return accounts[2] end }");
    ck_assert_int_eq(choose(s, &offered, &all, "account", &out, &err), GATE_OK);
    ck_assert(out.count == 1 && out.order[0] == 2);
    ck_assert_int_eq(choose(s, &offered, &all, "m", &out, &err), GATE_OK);
    ck_assert(out.count == 1 && out.order[0] == 1);
    ck_assert_int_eq(choose(s, &offered, &all, "list", &out, &err), GATE_OK);
    ck_assert(out.count == 3 && out.order[0] == 1 && out.order[1] == 0 && out.order[2] == 2);
    ck_assert_int_eq(choose(s, &offered, &all, "other", &out, &err), GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, "\"i/4\", which is not among the accounts offered") != NULL,
                  "%s", err.message);
    ck_assert_int_eq(choose(s, &offered, &all, "all", &out, &err), GATE_EINTERNAL);
    ck_assert_int_eq(choose(s, &offered, &all, "provider", &out, &err), GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, "a userdata that is no account") != NULL, "%s", err.message);
    offered.view.known = knows;
    ck_assert_int_eq(choose(s, &offered, &all, "resting", &out, &err), GATE_OK);
    ck_assert(out.count == 0 && out.only);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(in_on_error)
{
    struct test_dir dir;
    struct test_offer o;
    struct test_all all;
    struct gate_error_decision out;
    struct gate_error err = {0};
    test_dir_init(&dir);
    offer_five(&o, &all);
    struct gate_script *s = test_load_accounts(
        &dir, "return { on_error = function(failure, attempt, req)\n"
              "if gate.provider(attempt.provider).serving < 2 then return 'next_target' end end }");
    struct gate_error_view failure = test_failure();
    struct gate_route_view req = view_of("m", &all);
    ck_assert_msg(gate_script_on_error(s, &failure, &req, &out, &err) == GATE_OK, "%s",
                  err.message);
    ck_assert_int_eq(out.action, GATE_ACTION_NEXT_TARGET);
    o.facts[1].state = "serving";
    ck_assert_int_eq(gate_script_on_error(s, &failure, &req, &out, &err), GATE_OK);
    ck_assert_int_eq(out.action, GATE_ACTION_DEFAULT);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- cost */

#ifdef __SANITIZE_ADDRESS__
enum { SLOW = 1 };
#else
enum { SLOW = 0 };
#endif

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Microseconds of one call of route, and whether its state grew. The best of some rounds. */
static double cost_of(const char *text, const struct test_all *all)
{
    enum { CALLS = 10000, ROUNDS = 5 };
    double best = 1e9;
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s = test_load_routing(&dir, text);
    struct gate_route_view view = view_of("m", all);
    struct gate_decision d;
    struct gate_error err;
    memset(&d, 0, sizeof d);
    ck_assert_int_eq(gate_script_route(s, &view, &d, &err), GATE_OK);
    size_t before = gate_script_memory(s);
    for (int round = 0; round < ROUNDS; round++) {
        double start = cpu_us();
        for (int i = 0; i < CALLS; i++)
            ck_assert(gate_script_route(s, &view, &d, &err) == GATE_OK);
        double us = (cpu_us() - start) / CALLS;
        best = us < best ? us : best;
    }
    ck_assert_uint_eq(gate_script_memory(s), before); /* no garbage at all */
    gate_decision_finish(&d);
    gate_script_destroy(s);
    test_dir_finish(&dir);
    return best;
}

START_TEST(cost)
{
    struct test_offer o;
    struct test_all all;
    test_offer_init(&o, 20);
    test_all_init(&all, &o, 20);
    double bare = cost_of("return function() end", &all);
    double sums = cost_of("local gate = gate return function()\n"
                          "local _ = gate.provider('i').serving end",
                          &all) -
                  bare;
    double list = cost_of("local gate = gate return function()\n"
                          "for _, a in ipairs(gate.accounts('i')) do local _ = a.state end end",
                          &all) -
                  bare;
    printf("test_api_accounts: gate.provider over 20 accounts: %.2f us; gate.accounts and a field "
           "of each of 20: %.2f us; an empty call: %.2f us\n",
           sums, list, bare);
    ck_assert_msg(SLOW || sums < 4 * 3, "%.2f us", sums);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("api_accounts");
    tcase_add_test(tc, lists);
    tcase_add_test(tc, sums);
    tcase_add_test(tc, wrong_uses);
    tcase_add_test(tc, kept_words_are_dead);
    tcase_add_test(tc, both_lists_in_select);
    tcase_add_test(tc, in_on_error);
    tcase_add_test(tc, cost);
    return test_main(tc, "api_accounts");
}
