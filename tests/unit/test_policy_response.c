/* on_response(response, attempt, req) of conf/accounts.lua. */
#include "policy_util.h"

static struct gate_response_view good_response(void)
{
    static const struct gate_header headers[] = {
        {{"x-ratelimit-remaining-requests", 30}, {"3", 1}},
        {{"x-ratelimit-reset-requests", 26}, {"12s", 3}},
    };
    return (struct gate_response_view){.status = 200,
                                       .stream = true,
                                       .first_us = 120999,
                                       .total_us = 2500500,
                                       .usage = {.prompt = 10, .completion = 20},
                                       .headers = headers,
                                       .header_count = 2,
                                       .number = 2,
                                       .account = GATE_STR("i/0"),
                                       .alias = GATE_STR("first"),
                                       .provider = GATE_STR("i"),
                                       .model = GATE_STR("m")};
}

static uint64_t cooldown(struct gate_script *s, const struct gate_response_view *response,
                         const char *model)
{
    struct gate_route_view req = test_view(model);
    struct gate_response_decision out = {99};
    struct gate_error err = {0};
    ck_assert_msg(gate_script_on_response(s, response, &req, &out, &err) == GATE_OK, "%s: %s",
                  model, err.message);
    return out.cooldown_ms;
}

static void expect_wrong(struct gate_script *s, const char *message)
{
    struct gate_response_view response = good_response();
    struct gate_route_view req = test_view("m");
    struct gate_response_decision out = {99};
    struct gate_error err = {0};
    ck_assert_int_eq(gate_script_on_response(s, &response, &req, &out, &err), GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s\nexpected %s", err.message, message);
    ck_assert_uint_eq(out.cooldown_ms, 0);
}

START_TEST(response_fields_and_decisions)
{
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_response_view response = good_response();
    struct gate_script *s = test_load_accounts(
        &dir, "return { on_response = function(response, attempt, req)\n"
              "local m, h = req.model, response.headers\n"
              "if m == 'bare' then assert(response.first_token_ms == nil and not response.stream)\n"
              "  assert(response.estimated and h['x-ratelimit-limit'] == nil) return end\n"
              "assert(response.status == 200 and response.stream == true)\n"
              "assert(response.first_token_ms == 120 and response.total_ms == 2500)\n"
              "assert(math.type(response.total_ms) == 'integer')\n"
              "assert(response.prompt_tokens == 10 and response.completion_tokens == 20)\n"
              "assert(response.estimated == false)\n"
              "assert(h['x-ratelimit-remaining-requests'] == '3')\n"
              "assert(h['X-RateLimit-Reset-Requests'] == '12s' and h.server == nil)\n"
              "assert(attempt.number == 2 and attempt.account == 'i/0')\n"
              "assert(attempt.alias == 'first' and attempt.provider == 'i')\n"
              "assert(attempt.model == 'm' and attempt.elapsed_ms == 2500)\n"
              "assert(req.key == 'ada')\n"
              "if m == 'rest' then return { cooldown_ms = 6e4 } end\n"
              "if m == 'most' then return { cooldown_ms = 86400000 } end\n"
              "if m == 'none' then return { cooldown_ms = 0 } end\n"
              "if m == 'empty' then return {} end\n"
              "end }");
    ck_assert(gate_script_has_on_response(s));
    ck_assert(!gate_script_has_on_error(s) && !gate_script_has_select(s));
    ck_assert_uint_eq(cooldown(s, &response, "rest"), 60000);
    ck_assert_uint_eq(cooldown(s, &response, "most"), 86400000);
    ck_assert_uint_eq(cooldown(s, &response, "none"), 0);
    ck_assert_uint_eq(cooldown(s, &response, "empty"), 0);
    ck_assert_uint_eq(cooldown(s, &response, "nil"), 0);
    response =
        (struct gate_response_view){.status = 200, .estimated = true, .first_us = -1, .number = 1};
    ck_assert_uint_eq(cooldown(s, &response, "bare"), 0);
    gate_script_destroy(s);

    s = test_load_accounts(&dir, "return {}");
    ck_assert(!gate_script_has_on_response(s));
    ck_assert_uint_eq(cooldown(s, &response, "m"), 0);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(wrong_decisions)
{
    static const struct {
        const char *code, *message;
    } wrong[] = {
        {"return true", "accounts.lua:2: on_response returned a boolean, expected nil or a table "
                        "with cooldown_ms"},
        {"return 'retry'", "on_response returned a string, expected nil or a table"},
        {"return response", "on_response returned a userdata, expected nil"},
        {"return { 5 }", "a table with a key that is a number, expected cooldown_ms"},
        {"return { cooldown = 5 }", "the unknown key 'cooldown', expected cooldown_ms"},
        {"return { action = 'fail' }", "the unknown key 'action', expected cooldown_ms"},
        {"return { cooldown_ms = '5' }", "a cooldown_ms that is a string, expected milliseconds"},
        {"return { cooldown_ms = -1 }", "a cooldown_ms of -1, expected whole milliseconds"},
        {"return { cooldown_ms = 0.5 }", "a cooldown_ms of 0.5"},
        {"return { cooldown_ms = 86400001 }", "a cooldown_ms of 86400001, expected whole"},
        {"return response.body", "accounts.lua:3: a response has no field 'body'"},
        {"return attempt.default", "accounts.lua:3: an attempt has no field 'default'"},
        {"return attempt.cooldown_ms", "accounts.lua:3: an attempt has no field 'cooldown_ms'"},
        {"response.status = 1", "accounts.lua:3: response is read-only"},
        {"response.headers.x = 1", "accounts.lua:3: response.headers is read-only"},
        {"attempt.number = 1", "accounts.lua:3: attempt is read-only"},
        {"while true do end", "instruction budget used up"},
    };
    struct test_dir dir;
    test_dir_init(&dir);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "return {\non_response = function(response, attempt, req)\n%s end }",
                 wrong[i].code);
        struct gate_script *s = test_load_accounts(&dir, text);
        expect_wrong(s, wrong[i].message);
        expect_wrong(s, wrong[i].message);
        gate_script_destroy(s);
    }
    test_dir_finish(&dir);
}
END_TEST

START_TEST(wrong_files)
{
    struct test_dir dir;
    struct gate_generation *g = NULL;
    struct gate_error err = {0};
    test_dir_init(&dir);
    test_dir_write(&dir, "conf/accounts.lua", "return { on_response = 'x' }");
    ck_assert_int_ne(gate_generation_load(dir.conf, dir.scripts, NULL, 0, 1, &g, &err), GATE_OK);
    ck_assert_msg(strstr(err.message, "on_response is a string, expected a function "
                                      "on_response(response, attempt, req)") != NULL,
                  "%s", err.message);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(kept_objects_are_dead)
{
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_response_view response = good_response();
    struct gate_script *s =
        test_load_accounts(&dir, "local r, a, h, f, b\n"
                                 "return { on_response = function(response, attempt, req)\n"
                                 "  r, a, h = response, attempt, response.headers\n"
                                 "  if req.model == 'failure' then return f.kind end\n"
                                 "  if req.model == 'attempt' then return b.number end end,\n"
                                 "on_error = function(failure, attempt, req)\n"
                                 "  f, b = failure, attempt\n"
                                 "  if req.model == 'response' then return r.status end\n"
                                 "  if req.model == 'attempt' then return a.number end\n"
                                 "  if req.model == 'headers' then return h.x end end }");
    static const char DEAD[] = "a response can be read only while on_response(response, attempt, "
                               "req) runs";
    ck_assert_uint_eq(cooldown(s, &response, "m"), 0);
    test_expect_decision(s, "m", GATE_ACTION_DEFAULT, -1);
    test_expect_decision_error(s, "response", DEAD);
    test_expect_decision_error(s, "attempt", DEAD);
    test_expect_decision_error(s, "headers", DEAD);
    for (int i = 0; i < 2; i++) {
        struct gate_route_view req = test_view(i == 0 ? "failure" : "attempt");
        struct gate_response_decision out;
        struct gate_error err = {0};
        ck_assert_int_eq(gate_script_on_response(s, &response, &req, &out, &err), GATE_EINTERNAL);
        ck_assert_msg(strstr(err.message, "a failure can be read only while on_error") != NULL,
                      "%s", err.message);
    }
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("policy_response");
    tcase_add_test(tc, response_fields_and_decisions);
    tcase_add_test(tc, wrong_decisions);
    tcase_add_test(tc, wrong_files);
    tcase_add_test(tc, kept_objects_are_dead);
    return test_main(tc, "policy_response");
}
