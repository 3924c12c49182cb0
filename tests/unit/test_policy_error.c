/* on_error(failure, attempt, req) of conf/accounts.lua. */
#include "policy_util.h"

START_TEST(failure_fields_and_decisions)
{
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s = test_load_accounts(
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
    test_expect_decision(s, "nil", GATE_ACTION_DEFAULT, -1);
    test_expect_decision(s, "default", GATE_ACTION_DEFAULT, -1);
    test_expect_decision(s, "retry", GATE_ACTION_RETRY, -1);
    test_expect_decision(s, "next_account", GATE_ACTION_NEXT_ACCOUNT, -1);
    test_expect_decision(s, "next_target", GATE_ACTION_NEXT_TARGET, -1);
    test_expect_decision(s, "fail", GATE_ACTION_FAIL, -1);
    test_expect_decision(s, "same", GATE_ACTION_NEXT_ACCOUNT, -1);
    test_expect_decision(s, "table", GATE_ACTION_NEXT_TARGET, 60000);
    test_expect_decision(s, "cooldown", GATE_ACTION_DEFAULT, 0);
    test_expect_decision(s, "action", GATE_ACTION_FAIL, -1);
    test_expect_decision(s, "empty", GATE_ACTION_DEFAULT, -1);
    gate_script_destroy(s);

    s = test_load_accounts(&dir, "return { on_error = function(failure, attempt)\n"
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
        struct gate_script *s = test_load_accounts(&dir, text);
        test_expect_decision_error(s, "m", wrong[i].message);
        test_expect_decision_error(s, "m", wrong[i].message);
        gate_script_destroy(s);
    }
    test_dir_finish(&dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("policy_error");
    tcase_add_test(tc, failure_fields_and_decisions);
    tcase_add_test(tc, wrong_decisions);
    return test_main(tc, "policy_error");
}
