/* What a candidate would decide: targets, accounts, rules of accounts.lua, and what goes wrong. */
#include "candidate_fixture.h"

enum { MAX_ACCOUNTS = 8 };

static const uint64_t NOW = 1795400000000;

/* One candidate and made-up accounts: qwen/0, qwen/1, qwen/2, ds/0. */
struct world {
    struct candidates base;
    struct gate_candidate c;
    struct gate_account_facts facts[MAX_ACCOUNTS];
    size_t count;
    struct gate_simulate_input in;
    struct gate_simulated out;
};

static struct world *world_open(const char *models, const char *routing, const char *accounts)
{
    static const char *const ids[] = {"qwen/0", "qwen/1", "qwen/2", "ds/0"};
    struct world *w = gate_calloc(1, sizeof *w);
    candidates_open(&w->base);
    w->c = candidate_make(&w->base, models, routing, accounts);
    for (w->count = 0; w->count < 4; w->count++)
        w->facts[w->count] = fixture_account_facts(w->count < 3 ? "qwen" : "ds", ids[w->count]);
    w->in = (struct gate_simulate_input){.request = fixture_request("qwen-turbo"), .now_ms = NOW};
    return w;
}

/* Decides with the accounts as they are now. */
static const struct gate_simulated *decide(struct world *w)
{
    struct gate_trace_accounts *s = gate_trace_accounts_make(w->facts, w->count, NOW);
    w->in.accounts = s;
    gate_simulate(&w->c, &w->in, &w->out);
    gate_trace_accounts_release(s);
    return &w->out;
}

static void world_close(struct world *w)
{
    candidate_finish(&w->c);
    candidates_close(&w->base);
    free(w);
}

static void expect(struct world *w, enum gate_simulate_outcome outcome, const char *account)
{
    const struct gate_simulated *s = decide(w);
    ck_assert_msg(s->outcome == outcome, "%s: %s", gate_simulate_outcome_names[s->outcome],
                  s->message);
    ck_assert_str_eq(s->account, account);
}

/* ---- targets */

START_TEST(without_scripts_the_name_decides)
{
    struct world *w = world_open(NULL, NULL, NULL);
    for (w->in.turn = 0; w->in.turn < 6; w->in.turn++) {
        char id[8];
        snprintf(id, sizeof id, "qwen/%d", (int)(w->in.turn % 3));
        expect(w, GATE_SIMULATED_ROUTED, id);
    }
    ck_assert_str_eq(w->out.targets[0].provider, "qwen");
    ck_assert_str_eq(w->out.targets[0].model, "qwen-turbo");
    ck_assert_str_eq(w->out.strategy, "round_robin");
    ck_assert_uint_eq(w->out.order_count, 3);
    w->in.request.model = GATE_STR("gpt-none");
    expect(w, GATE_SIMULATED_UNKNOWN_MODEL, "");
    ck_assert_uint_eq(w->out.chosen, w->out.target_count);
    world_close(w);
}
END_TEST

START_TEST(targets_are_mapped_and_resolved)
{
    struct world *w = world_open("return { fast = 'qwen-turbo', deep = 'ds/anything' }",
                                 "return function(req)\n"
                                 "return { 'nobody', { model = 'deep', reason = 'why not' }, "
                                 "'fast' } end",
                                 NULL);
    expect(w, GATE_SIMULATED_ROUTED, "ds/0");
    ck_assert_uint_eq(w->out.target_count, 3);
    ck_assert_str_eq(w->out.targets[0].provider, "");
    ck_assert_str_eq(w->out.targets[1].model, "anything");
    ck_assert_str_eq(w->out.targets[2].model, "qwen-turbo");
    ck_assert_uint_eq(w->out.chosen, 1);
    world_close(w);
}
END_TEST

START_TEST(a_rejection_is_told)
{
    struct world *w = world_open(NULL,
                                 "return function(req) return { reason = 'night', reject = { "
                                 "status = 429, message = 'Come back later.' } } end",
                                 NULL);
    expect(w, GATE_SIMULATED_REJECTED, "");
    ck_assert_int_eq(w->out.status, 429);
    ck_assert_str_eq(w->out.message, "Come back later.");
    ck_assert_str_eq(w->out.reason, "night");
    world_close(w);
}
END_TEST

START_TEST(errors_have_a_place_and_a_stack)
{
    static const char *const texts[][3] = {
        {NULL, "return function(req)\n  error('no route') end", NULL},
        {"return { ['qwen-turbo'] = function(name)\n  error('no map') end }", NULL, NULL},
        {NULL, NULL, "return { select = function(a, req)\n  error('no select') end }"}};
    static const char *const wanted[] = {"routing.lua:2: no route", "models.lua:2: no map",
                                         "accounts.lua:2: no select"};
    struct world *w = world_open(texts[_i][0], texts[_i][1], texts[_i][2]);
    expect(w, GATE_SIMULATED_ERROR, "");
    ck_assert_msg(strstr(w->out.message, wanted[_i]) != NULL, "%s", w->out.message);
    ck_assert_msg(strstr(w->out.stack, ".lua:2: in") != NULL, "%s", w->out.stack);
    ck_assert_uint_eq(w->out.chosen, w->out.target_count);
    world_close(w);
}
END_TEST

START_TEST(scripts_see_the_moment_and_the_accounts)
{
    struct world *w =
        world_open(NULL,
                   "return function(req)\n"
                   "  local p = gate.provider('qwen')\n"
                   "  assert(p.accounts == 3 and p.serving == 2 and p.in_flight == 4, 'sums')\n"
                   "  local all = gate.accounts('qwen')\n"
                   "  assert(all[1].id == 'qwen/0' and all[2].state == 'cooling', 'accounts')\n"
                   "  return gate.now() == 1795400000000 and 'ds-chat' or nil end",
                   NULL);
    w->facts[0].numbers.in_flight = 4;
    w->facts[1].state = "cooling";
    expect(w, GATE_SIMULATED_ROUTED, "ds/0");
    w->in.now_ms = NOW + 1;
    expect(w, GATE_SIMULATED_ROUTED, "qwen/0");
    world_close(w);
}
END_TEST

/* ---- accounts */

START_TEST(only_those_that_can_serve)
{
    struct world *w = world_open(NULL, NULL, NULL);
    w->facts[0].state = "needs_sign_in";
    w->facts[1].weight = 0;
    expect(w, GATE_SIMULATED_ROUTED, "qwen/2");
    ck_assert_uint_eq(w->out.order_count, 1);
    w->facts[2].limits.requests_per_minute = 10;
    w->facts[2].numbers.requests_minute = 9;
    expect(w, GATE_SIMULATED_ROUTED, "qwen/2");
    w->facts[2].numbers.requests_minute = 10;
    expect(w, GATE_SIMULATED_NO_ACCOUNT, "");
    w->facts[2].numbers.requests_minute = 0;
    w->facts[2].limits.tokens_per_day = 1000; /* 400 bytes and 100 tokens: 200 */
    w->facts[2].numbers.tokens_day = 800;
    expect(w, GATE_SIMULATED_ROUTED, "qwen/2");
    w->facts[2].numbers.tokens_day = 801;
    expect(w, GATE_SIMULATED_NO_ACCOUNT, "");
    w->facts[2].limits.tokens_per_day = 100; /* a request larger than the limit may have all */
    w->facts[2].numbers.tokens_day = 0;
    expect(w, GATE_SIMULATED_ROUTED, "qwen/2");
    w->facts[2].limits.concurrency = 2;
    w->facts[2].numbers.in_flight = 2;
    expect(w, GATE_SIMULATED_NO_ACCOUNT, "");
    w->facts[2].numbers.in_flight = 1;
    w->facts[2].numbers.blocked_until_ms = NOW + 1;
    expect(w, GATE_SIMULATED_NO_ACCOUNT, "");
    world_close(w);
}
END_TEST

START_TEST(the_next_target_comes_before_a_last_resort)
{
    struct world *w =
        world_open(NULL, "return function(req) return { 'qwen-turbo', 'ds-chat' } end", NULL);
    for (size_t i = 0; i < 3; i++)
        w->facts[i].state = "cooling";
    w->facts[1].last_resort = true;
    expect(w, GATE_SIMULATED_ROUTED, "ds/0");
    ck_assert_uint_eq(w->out.chosen, 1);
    w->facts[3].state = "exhausted";
    expect(w, GATE_SIMULATED_ROUTED, "qwen/1");
    ck_assert_uint_eq(w->out.chosen, 0);
    w->facts[1].last_resort = false;
    expect(w, GATE_SIMULATED_NO_ACCOUNT, "");
    world_close(w);
}
END_TEST

START_TEST(a_target_has_its_own_strategy_and_tags)
{
    static const struct gate_str paid[] = {{"paid", 4}};
    struct world *w =
        world_open(NULL,
                   "return function(req) return { model = 'qwen-turbo', strategy = 'least_used', "
                   "tags = { 'paid' } } end",
                   NULL);
    for (size_t i = 0; i < 2; i++) {
        w->facts[i].tags = paid;
        w->facts[i].tag_count = 1;
    }
    w->facts[0].numbers.requests_day = 5;
    expect(w, GATE_SIMULATED_ROUTED, "qwen/1");
    ck_assert_str_eq(w->out.strategy, "least_used");
    ck_assert_uint_eq(w->out.order_count, 2);
    world_close(w);
}
END_TEST

START_TEST(select_orders)
{
    struct world *w =
        world_open(NULL, NULL,
                   "return { strategy = 'least_used', select = function(accounts, req)\n"
                   "if req.model == 'qwen-max' then return nil end\n"
                   "return { accounts[3], accounts[1] } end }");
    expect(w, GATE_SIMULATED_ROUTED, "qwen/2");
    ck_assert_str_eq(w->out.strategy, "select");
    ck_assert_uint_eq(w->out.order_count, 2);
    ck_assert_str_eq(w->out.order[1], "qwen/0");
    w->facts[2].limits.requests_per_day = 1; /* named, and full */
    w->facts[2].numbers.requests_day = 1;
    expect(w, GATE_SIMULATED_ROUTED, "qwen/0");
    w->in.request.model = GATE_STR("qwen-max");
    expect(w, GATE_SIMULATED_ROUTED, "qwen/0");
    ck_assert_str_eq(w->out.strategy, "least_used");
    world_close(w);
}
END_TEST

START_TEST(accounts_that_are_not_known)
{
    struct world *w =
        world_open(NULL, "return function(req) return { 'nobody', 'ds-chat' } end", NULL);
    w->count = 3; /* none of ds */
    expect(w, GATE_SIMULATED_ROUTED, "");
    ck_assert_uint_eq(w->out.chosen, 1);
    ck_assert_msg(strstr(w->out.message, "accounts of ds are not known") != NULL, "%s",
                  w->out.message);
    w->in.accounts = NULL; /* accounts are not judged at all */
    gate_simulate(&w->c, &w->in, &w->out);
    ck_assert_int_eq(w->out.outcome, GATE_SIMULATED_ROUTED);
    ck_assert_uint_eq(w->out.chosen, 1);
    ck_assert_str_eq(w->out.message, "");
    world_close(w);
}
END_TEST

/* ---- rules of accounts.lua over a snapshot */

#define RULES(text) "return { strategy = 'weighted', accounts = { ['qwen/0'] = { " text " } } }"

START_TEST(rules_of_the_draft_are_laid_over)
{
    static const struct gate_str paid[] = {{"paid", 4}};
    struct world *w = world_open(
        NULL, "return function(req) return { model = 'qwen-turbo', tags = { 'paid' } } end",
        RULES("weight = 0, tags = { 'free' }, limits = { chat = { rpm = 5 } }"));
    struct gate_candidate before =
        candidate_make(&w->base, NULL, NULL, RULES("weight = 2, tags = { 'paid' }"));
    w->in.policy = gate_generation_policy(before.generation);
    w->count = 1;
    w->facts[0].weight = 2; /* as the rule that runs says */
    w->facts[0].tags = paid;
    w->facts[0].tag_count = 1;
    expect(w, GATE_SIMULATED_NO_ACCOUNT, ""); /* the tag went, and the weight */
    w->in.policy = gate_generation_policy(w->c.generation);
    expect(w, GATE_SIMULATED_ROUTED, "qwen/0"); /* the same policy: nothing to lay over */
    candidate_finish(&before);
    world_close(w);
}
END_TEST

START_TEST(what_a_person_set_stays)
{
    struct world *w = world_open(NULL, NULL, RULES("weight = 0, limits = { chat = { rpm = 5 } }"));
    struct gate_candidate before =
        candidate_make(&w->base, NULL, NULL, RULES("weight = 2, limits = { chat = { rpm = 7 } }"));
    w->in.policy = gate_generation_policy(before.generation);
    w->count = 1;
    w->facts[0].numbers.requests_minute = 6;
    w->facts[0].limits.requests_per_minute = 7;
    w->facts[0].weight = 2;
    expect(w, GATE_SIMULATED_NO_ACCOUNT, "");
    w->facts[0].weight = 3; /* is not what the rule said */
    expect(w, GATE_SIMULATED_NO_ACCOUNT, "");
    w->facts[0].limits.requests_per_minute = 100;
    expect(w, GATE_SIMULATED_ROUTED, "qwen/0");
    candidate_finish(&before);
    world_close(w);
}
END_TEST

START_TEST(a_rule_that_goes_frees)
{
    struct world *w = world_open(NULL, NULL, NULL);
    struct gate_candidate before = candidate_make(
        &w->base, NULL, NULL,
        "return { limits = { chat = { rpm = 7 } }, accounts = { ['qwen/0'] = { weight = 0 } } }");
    w->in.policy = gate_generation_policy(before.generation);
    w->count = 1;
    w->facts[0].weight = 0;
    w->facts[0].numbers.requests_minute = 7;
    w->facts[0].limits.requests_per_minute = 7;
    expect(w, GATE_SIMULATED_ROUTED, "qwen/0");
    w->in.policy = NULL; /* not from a file: nothing changes */
    expect(w, GATE_SIMULATED_NO_ACCOUNT, "");
    candidate_finish(&before);
    world_close(w);
}
END_TEST

/* ---- JSON, time */

START_TEST(json_is_whole)
{
    struct world *w = world_open(NULL, NULL, NULL);
    struct gate_buf out;
    gate_buf_init(&out, 1 << 16);
    decide(w);
    w->out.took_ns = 1500;
    gate_simulated_json(&w->out, &out);
    gate_buf_append_byte(&out, '\0');
    ck_assert_str_eq(out.ptr,
                     "{\"outcome\":\"routed\",\"provider\":\"qwen\",\"model\":\"qwen-turbo\","
                     "\"account\":\"qwen/0\",\"accounts\":[\"qwen/0\",\"qwen/1\",\"qwen/2\"],"
                     "\"strategy\":\"round_robin\",\"targets\":[{\"name\":\"qwen-turbo\","
                     "\"provider\":\"qwen\",\"model\":\"qwen-turbo\"}],\"took_us\":1.5}");
    gate_buf_finish(&out);
    ck_assert_uint_gt(decide(w)->took_ns, 0);
    world_close(w);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, without_scripts_the_name_decides);
    tcase_add_test(c, targets_are_mapped_and_resolved);
    tcase_add_test(c, a_rejection_is_told);
    tcase_add_loop_test(c, errors_have_a_place_and_a_stack, 0, 3);
    tcase_add_test(c, scripts_see_the_moment_and_the_accounts);
    tcase_add_test(c, only_those_that_can_serve);
    tcase_add_test(c, the_next_target_comes_before_a_last_resort);
    tcase_add_test(c, a_target_has_its_own_strategy_and_tags);
    tcase_add_test(c, select_orders);
    tcase_add_test(c, accounts_that_are_not_known);
    tcase_add_test(c, rules_of_the_draft_are_laid_over);
    tcase_add_test(c, what_a_person_set_stays);
    tcase_add_test(c, a_rule_that_goes_frees);
    tcase_add_test(c, json_is_whole);
}

int main(void)
{
    return fixture_main("simulate", add);
}
