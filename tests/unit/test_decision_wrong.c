/* decision: what route(req) may not return: each mistake is named with its line. */
#include "script_util.h"

static const struct {
    const char *value, *message;
} WRONG[] = {
    {"true", "a boolean, expected nil, a model name"},
    {"7", "a number, expected nil"},
    {"req", "a userdata, expected nil"},
    {"''", "an empty string"},
    {"'a\\nb'", "a model name with control characters"},
    {"('x'):rep(513)", "a model name of 513 bytes, expected at most 512"},
    {"{}", "an empty table, expected targets"},
    {"{ 'a', {} }", "an empty table, expected targets"},
    {"{ model = 1 }", "a target whose model is a number, expected a string"},
    {"{ model = '' }", "an empty string"},
    {"{ model = 'x', modle = 'y' }",
     "a target with the unknown key 'modle', expected model, first_token_ms, "},
    {"{ [true] = 1 }", "a target with a key that is a boolean"},
    {"{ idle_ms = -1 }",
     "a target whose idle_ms is -1, expected whole milliseconds (0 to 86400000)"},
    {"{ idle_ms = 1.5 }", "whose idle_ms is 1.5"},
    {"{ idle_ms = 0/0 }", "whose idle_ms is"},
    {"{ total_ms = 86400001 }", "whose total_ms is 86400001"},
    {"{ first_token_ms = '5' }", "whose first_token_ms is a string, expected whole milliseconds"},
    {"{ retries = 32 }", "a target whose retries is 32, expected a whole number (0 to 31)"},
    {"{ retries = -1 }", "a target whose retries is -1"},
    {"{ strategy = 1 }", "a target whose strategy is a number, expected a string"},
    {"{ reason = 1 }", "a table whose reason is a number, expected a string"},
    {"{ tags = 'paid' }", "a target whose tags is a string, expected a list of tags"},
    {"{ tags = {} }", "a target whose tags are no list of 1 to 8 tags"},
    {"{ tags = { 1, 2, 3, 4, 5, 6, 7, 8, 9 } }", "a target whose tags are no list of 1 to 8"},
    {"{ tags = { a = 'paid' } }", "a target whose tags are no list of 1 to 8"},
    {"{ tags = { 'paid', 'a b' } }", "a target whose tags[2] is no tag, expected 1 to 64"},
    {"{ tags = { 'paid', ('x'):rep(65) } }", "a target whose tags[2] is no tag"},
    {"{ tags = { 1 } }", "a target whose tags[1] is number"},
    {"{ tags = { 'a', nil, 'c' } }", "a target whose tags[2] is nil"},
    {"{ tags = setmetatable({}, {}) }", "a target whose tags is a table with a metatable"},
    /* lists */
    {"{ 'a', model = 'x' }", "a table with both list items and other keys"},
    {"{ 'a', nil, 'c' }", "a list with a hole: item 2 is nil"},
    {"{ 'a', [1 << 40] = 'c' }", "a list with a hole: item 2 is nil"},
    {"{ 'a', false }", "a list with a boolean in it"},
    {"{ 'a', { 'b' } }", "a target with a key that is a number"},
    {"{ 1, 2 }", "a list with a number in it"},
    {"{ 'a', reason = 5 }", "a table whose reason is a number"},
    {"{ '1', '2', '3', '4', '5', '6', '7', '8', '9' }", "more than 8 targets"},
    {"big(('x'):rep(512))", "names and tags of more than 3968 bytes in all"},
    /* rejections */
    {"{ reject = 429 }", "a reject that is a number, expected a table like { status = 429 }"},
    {"{ reject = {} }", "a reject without status, expected 400 to 599"},
    {"{ reject = { status = 200 } }", "a reject whose status is 200, expected a whole number (400"},
    {"{ reject = { status = 600 } }", "a reject whose status is 600"},
    {"{ reject = { status = 400, mesage = '' } }", "a reject with the unknown key 'mesage'"},
    {"{ reject = { status = 400, message = 1 } }", "a reject whose message is a number"},
    {"{ reject = { status = 400, code = 'a b' } }", "a reject whose code is no 1 to 64"},
    {"{ reject = { status = 400, code = '' } }", "a reject whose code is no 1 to 64"},
    {"{ reject = { status = 400, retry_after_ms = -1 } }", "a reject whose retry_after_ms is -1"},
    {"{ reject = { status = 400 }, model = 'x' }", "a table with both reject and what belongs to"},
    {"{ reject = { status = 400 }, body = { max_tokens = 1 } }", "a table with both reject"},
    {"{ 'a', { reject = { status = 400 } } }", "a list with a reject in it"},
    /* headers */
    {"{ headers = 'x' }", "a target whose headers is a string, expected a table like"},
    {"{ headers = { 'x' } }", "a target with a key in headers that is a number"},
    {"{ headers = { [''] = 'x' } }", "a target with the header '', whose name is no 1 to 128"},
    {"{ headers = { ['a b'] = 'x' } }", "a target with the header 'a b', whose name"},
    {"{ headers = { ['a:'] = 'x' } }", "a target with the header 'a:', whose name"},
    {"{ headers = { ['a\\0'] = 'x' } }", "a target with the header 'a', whose name"},
    {"{ headers = { a = 1 } }", "a target whose headers['a'] is a number, expected a string or"},
    {"{ headers = { a = true } }", "a target whose headers['a'] is a boolean"},
    {"{ headers = { a = 'x\\r\\nb: c' } }", "a target whose headers['a'] has control characters"},
    {"{ headers = { a = 'x\\0' } }", "a target whose headers['a'] has control characters"},
    {"{ headers = { a = ('x'):rep(4097) } }", "a target whose headers['a'] has control characters"},
    {"{ headers = { ab = '1', Ab = '2' } }", "a target with the header 'ab' twice"},
    {"{ headers = many(17, 'x') }", "a target with more than 16 headers"},
    {"{ headers = require 'gate.table' }", "a target whose headers is a table with a metatable"},
    /* the body */
    {"{ body = 5 }", "a target whose body is a number, expected a table like"},
    {"{ body = { sett = {} } }", "a target's body with the unknown key 'sett', expected set, "},
    {"{ body = { 'x' } }", "a target's body with a key that is a number"},
    {"{ body = { max_tokens = 0 } }", "a target whose body.max_tokens is 0, expected a whole"},
    {"{ body = { max_tokens = 1.5 } }", "a target whose body.max_tokens is 1.5"},
    {"{ body = { append_system = 5 } }", "a target whose body.append_system is a number"},
    {"{ body = { append_system = ('x'):rep(65537) } }", "have more than 65536 bytes"},
    {"{ body = { set = { model = 'x' } } }", "edits the field 'model': set model of the target"},
    {"{ body = { set = { stream = true } } }", "edits the field 'stream': only the client"},
    {"{ body = { remove = { 'messages' } } }", "the field 'messages': use body.append_system"},
    {"{ body = { set = { stream_options = {} } } }", "'stream_options': use ask_usage of the"},
    {"{ body = { set = { 5 } } }", "a target with a key in body.set that is a number"},
    {"{ body = { set = { [''] = 5 } } }", "edits a field with a name of other than 1 to 128"},
    {"{ body = { set = { ['a\\n'] = 5 } } }", "edits a field with a name of other than 1 to 128"},
    {"{ body = { set = { [('x'):rep(129)] = 5 } } }", "edits a field with a name of other than"},
    {"{ body = { set = { a = function() end } } }", "body.set.a has a function, which is no JSON"},
    {"{ body = { set = { a = { b = { req } } } } }", "body.set.a has a userdata, which is no JSON"},
    {"{ body = { set = { a = 1/0 } } }", "body.set.a has a number that is not finite"},
    {"{ body = { set = { a = { 0/0 } } } }", "body.set.a has a number that is not finite"},
    {"{ body = { set = { a = { 1, nil, 3 } } } }", "body.set.a has a list with a hole"},
    {"{ body = { set = { a = { 1, b = 2 } } } }", "body.set.a has a table with both list items"},
    {"{ body = { set = { a = { [1.5] = 2 } } } }", "body.set.a has a key that is neither"},
    {"{ body = { set = { a = { [0] = 2 } } } }", "body.set.a has a key that is neither"},
    {"{ body = { set = { a = { [true] = 2 } } } }", "body.set.a has a key that is neither"},
    {"{ body = { set = { a = setmetatable({}, {}) } } }",
     "body.set.a has a table with a metatable"},
    {"{ body = { set = { a = {{{{{{{{{{{{{{{{{ 1 }}}}}}}}}}}}}}}}} } } }",
     "more than 16 tables in"},
    {"{ body = { set = { a = cycle() } } }", "more than 16 tables in each other"},
    {"{ body = { set = { a = ('x'):rep(65536) } } }", "have more than 65536 bytes"},
    {"{ body = { set = { a = ('\\1'):rep(20000) } } }", "have more than 65536 bytes"},
    {"{ body = { set = { a = ('x'):rep(200000) } } }", "have more than 65536 bytes"},
    {"{ body = { set = many(17, 1) } }", "a target whose body edits more than 16 fields"},
    {"{ body = { set = many(10, 1), remove = list(7) } }", "edits more than 16 fields"},
    {"{ body = { remove = { a = 1 } } }", "a target whose body.remove is no list of names"},
    {"{ body = { remove = { 5 } } }", "a target whose body.remove[1] is number"},
    {"{ body = { remove = { 'a', 'a' } } }", "a target whose body edits the field 'a' twice"},
    {"{ body = { set = { a = 1 }, remove = { 'a' } } }", "edits the field 'a' twice"},
    /* after edits were made: none of them may be lost */
    {"{ { body = { set = { a = { 1, 2 } } } }, { body = { set = { b = 1 } }, modle = 1 } }",
     "the unknown key 'modle'"},
    {"{ { headers = { a = 'b' } }, { headers = { a = 'b' }, body = { max_tokens = 0 } }, 5 }",
     "body.max_tokens is 0"},
};

enum { WRONG_COUNT = sizeof WRONG / sizeof WRONG[0] };

START_TEST(mistakes_are_named)
{
    struct test_dir dir;
    char text[1024];
    test_dir_init(&dir);
    test_dir_write(&dir, "scripts/gate/table.lua", "return { a = 'b' }");
    snprintf(text, sizeof text,
             "require 'gate.table' local function many(n, v) local t = {} for i = 1, n do "
             "t['f' .. i] = v end return t end local function list(n) local t = {} for i = 1, n do "
             "t[i] = 'l' .. i end return t end local function cycle() local t = {} t[1] = t "
             "return t end local function big(x) return { x, x, x, x, x, x, x, x } end\n"
             "return function(req) if req.model == 'good' then return 'fine' end return %s end",
             WRONG[_i].value);
    struct gate_script *s = test_load_routing(&dir, text);
    for (int round = 0; round < 2; round++) {
        test_expect_error(s, "m", WRONG[_i].message);
        test_expect_error(s, "m", "routing.lua:2: route returned ");
        test_expect_route(s, "good", "fine");
    }
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(headers_of_the_gateway_are_refused)
{
    static const char *const names[] = {
        "Host",       "content-length",  "Content-Type",     "transfer-encoding",
        "connection", "authorization",   "cookie",           "X-API-Key",
        "api-key",    "x-goog-api-key",  "proxy-connection", "Proxy-Authorization",
        "proxy-x",    "accept-encoding", "content-encoding", "keep-alive",
        "te",         "trailer",         "upgrade",          "expect"};
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s =
        test_load_routing(&dir, "return function(req) local v = 'x'\n"
                                "if req.model:sub(1, 1) == '-' then v = false end\n"
                                "return { headers = { [req.model:gsub('^-', '')] = v } } end");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char model[64];
        test_expect_error(s, names[i], "which only the gateway sets");
        snprintf(model, sizeof model, "-%s", names[i]);
        test_expect_error(s, model, "which only the gateway sets");
    }
    test_expect_route(s, "x-proxy", "x-proxy");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("decision_wrong");
    printf("wrong decisions: %d\n", WRONG_COUNT);
    tcase_add_loop_test(tc, mistakes_are_named, 0, WRONG_COUNT);
    tcase_add_test(tc, headers_of_the_gateway_are_refused);
    return test_main(tc, "decision_wrong");
}
