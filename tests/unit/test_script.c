/* script: the request view, decisions, the gate table, cost. */
#include "script_util.h"

#include "base/log.h"
#include "script/api.h"

#include <fcntl.h>
#include <time.h>

/* ---------------------------------------------------------------- request and decision */

START_TEST(request_fields)
{
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s = test_load_routing(
        &dir, "return function(req)\n"
              "assert(req.model == 'm' and req.stream == true and req.messages == 3)\n"
              "assert(req.tools == 2 and req.has_tools == true and req.has_images == true)\n"
              "assert(req.body_bytes == 1234 and req.max_tokens == 512 and req.key == 'ada')\n"
              "assert(req.path == '/v1/chat/completions' and req.headers['x-team'] == 'blue')\n"
              "assert(req.headers['X-Team'] == 'blue' and req.headers['x-empty'] == '')\n"
              "assert(req.headers['x-other'] == nil and math.type(req.messages) == 'integer')\n"
              "assert(getmetatable(req) == false and type(req) == 'userdata')\n"
              "return 'fine' end");
    test_expect_route(s, "m", "fine");
    struct gate_request_facts none = {.max_tokens = UINT64_MAX};
    struct gate_route_view view = {.facts = &none};
    struct gate_decision d;
    struct gate_error err = {0};
    gate_script_destroy(s);
    s = test_load_routing(&dir,
                          "return function(req)\n"
                          "assert(req.model == '' and req.key == '' and req.headers.x == nil)\n"
                          "assert(req.max_tokens == math.maxinteger and not req.has_tools)\n"
                          "end");
    ck_assert_msg(gate_script_route(s, &view, &d, &err) == GATE_OK, "%s", err.message);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

static int read_model(lua_State *L)
{
    gate_api_push_request(L);
    lua_getfield(L, -1, "model");
    return 0;
}

START_TEST(request_is_dead_outside_the_call)
{
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s =
        test_load_routing(&dir, "local kept, headers\n"
                                "return function(req)\n"
                                "  if not kept then kept = req headers = req.headers\n"
                                "  return kept.model end\n"
                                "  return kept.model .. headers['x-team']\n"
                                "end");
    test_expect_route(s, "one", "one");
    test_expect_route(s, "two", "twoblue"); /* the object shows the request of this call */
    gate_script_destroy(s);
    test_dir_finish(&dir);

    struct gate_api api = {0};
    const struct gate_sandbox_setup setup = {
        .memory = GATE_SCRIPT_MEMORY, .globals = gate_api_open, .globals_ctx = &api};
    struct gate_sandbox *sb;
    struct gate_error err = {0};
    ck_assert_int_eq(gate_sandbox_create(&setup, &sb, &err), GATE_OK);
    ck_assert_int_eq(gate_sandbox_call(sb, "t", &TEST_LIMITS, read_model, NULL, &err),
                     GATE_EINTERNAL);
    ck_assert_str_eq(
        err.message,
        "t: the request can be read only while the function runs that it was given to");
    gate_sandbox_destroy(sb);
}
END_TEST

START_TEST(decisions)
{
    struct test_dir dir;
    struct gate_decision d;
    struct gate_error err = {0};
    struct gate_route_view view = test_view("list");
    test_dir_init(&dir);
    struct gate_script *s = test_load_routing(
        &dir, "return { route = function(req)\n"
              "  if req.model == 'list' then return { 'a', { model = 'i/b', total_ms = 5,\n"
              "    first_token_ms = 30e3, idle_ms = 86400000 }, { model = 'c' } } end\n"
              "  if req.model == 'one' then return { model = 'x', idle_ms = 0 } end\n"
              "end }");
    ck_assert_int_eq(gate_script_route(s, &view, &d, &err), GATE_OK);
    ck_assert_uint_eq(d.target_count, 3);
    ck_assert(gate_str_eq(d.targets[0].name, GATE_STR("a")) && d.targets[0].total_ms == 0);
    ck_assert(gate_str_eq(d.targets[1].name, GATE_STR("i/b")) && d.targets[1].total_ms == 5);
    ck_assert(d.targets[1].first_token_ms == 30000 && d.targets[1].idle_ms == 86400000);
    ck_assert(gate_str_eq(d.targets[2].name, GATE_STR("c")));
    ck_assert_uint_eq(d.text_len, 5);
    test_expect_route(s, "one", "x");
    test_expect_route(s, "none", NULL);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(wrong_decisions)
{
    static const struct {
        const char *value, *message;
    } wrong[] = {
        {"true", "a boolean, expected nil, a model name"},
        {"7", "a number, expected nil"},
        {"req", "a userdata, expected nil"},
        {"''", "an empty string"},
        {"'a\\nb'", "a model name with control characters"},
        {"('x'):rep(513)", "a model name of 513 bytes, expected at most 512"},
        {"{}", "an empty table"},
        {"{ model = 1 }", "a target whose model is a number"},
        {"{ total_ms = 5 }", "a target without model"},
        {"{ model = 'x', modle = 'y' }", "the unknown key 'modle'"},
        {"{ model = 'x', [true] = 1 }", "a key that is a boolean"},
        {"{ model = 'x', idle_ms = -1 }", "whose idle_ms is -1, expected whole milliseconds"},
        {"{ model = 'x', idle_ms = 1.5 }", "whose idle_ms is 1.5"},
        {"{ model = 'x', idle_ms = 0/0 }", "whose idle_ms is"},
        {"{ model = 'x', total_ms = 86400001 }", "whose total_ms is 86400001"},
        {"{ model = 'x', first_token_ms = '5' }", "whose first_token_ms is a string"},
        {"{ 'a', model = 'x' }", "a table with both list items and other keys"},
        {"{ 'a', nil, 'c' }", "a list with a hole: item 2 is nil"},
        {"{ 'a', [1 << 40] = 'c' }", "a list with a hole: item 2 is nil"},
        {"{ 'a', false }", "a list with a boolean in it"},
        {"{ 'a', { 'b' } }", "a target with a key that is a number"},
        {"{ 'a', {} }", "a target without model"},
        {"{ 1, 2 }", "a list with a number in it"},
        {"{ '1', '2', '3', '4', '5', '6', '7', '8', '9' }", "more than 8 targets"},
        {"{ ('a'):rep(512), ('b'):rep(512), ('c'):rep(512), ('d'):rep(512), 'e' }",
         "model names of more than 2048 bytes in all"},
    };
    struct test_dir dir;
    test_dir_init(&dir);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[256], message[256];
        snprintf(text, sizeof text, "\nreturn function(req) return %s end", wrong[i].value);
        struct gate_script *s = test_load_routing(&dir, text);
        snprintf(message, sizeof message, "%s", wrong[i].message);
        test_expect_error(s, "m", message);
        test_expect_error(s, "m", "routing.lua:2: route returned ");
        gate_script_destroy(s);
    }
    test_dir_finish(&dir);
}
END_TEST

START_TEST(full_state_is_built_anew)
{
    struct test_dir dir;
    struct gate_route_view view = test_view("fill");
    test_dir_init(&dir);
    struct gate_script *s =
        test_load_routing(&dir, "local kept = {}\n"
                                "return function(req)\n"
                                "  if req.model ~= 'fill' then return 'n' .. #kept end\n"
                                "  local page = {}\n"
                                "  kept[#kept + 1] = page\n"
                                "  for i = 1, 300 do page[i] = ('x'):rep(4000) .. #kept .. i end\n"
                                "end");
    enum gate_status status = GATE_OK;
    struct gate_error err = {0};
    size_t most = 0;
    for (int i = 0; i < 100 && status == GATE_OK; i++) {
        struct gate_decision d;
        status = gate_script_route(s, &view, &d, &err);
        if (gate_script_memory(s) > most)
            most = gate_script_memory(s);
    }
    ck_assert_int_eq(status, GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, "routing.lua:6: memory limit reached") != NULL, "%s",
                  err.message);
    ck_assert_uint_gt(most, GATE_SCRIPT_MEMORY / 2);
    ck_assert_uint_lt(gate_script_memory(s), 100 * 1024);
    test_expect_route(s, "m", "n0");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- gate */

START_TEST(hash_is_stable)
{
    ck_assert_uint_eq(gate_api_hash(GATE_STR("")), UINT64_C(8640173135264257171));
    ck_assert_uint_eq(gate_api_hash(GATE_STR("a")), UINT64_C(4706636184713914157));
    ck_assert_uint_eq(gate_api_hash(GATE_STR("qwen-plus")), UINT64_C(1247466741845176653));
    unsigned share[10] = {0};
    for (int i = 0; i < 10000; i++) {
        char key[32];
        snprintf(key, sizeof key, "key-%d", i);
        share[gate_api_hash(gate_str_of(key)) % 10]++;
    }
    for (int i = 0; i < 10; i++)
        ck_assert(share[i] > 850 && share[i] < 1150);
}
END_TEST

START_TEST(log_lines_are_bounded)
{
    struct test_dir dir;
    char path[256];
    test_dir_init(&dir);
    snprintf(path, sizeof path, "%s/log", dir.root);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    gate_log_setup(GATE_LOG_INFO, GATE_LOG_TEXT, fd);
    struct gate_script *s =
        test_load_routing(&dir, "return function(req)\n"
                                "  if req.model == 'bad' then gate.log('loud', 'x') end\n"
                                "  gate.log('debug', 'hidden')\n"
                                "  gate.log('warn', 'line\\nbreak\\27 ' .. ('x'):rep(1000))\n"
                                "end");
    for (int i = 0; i < 500; i++)
        test_expect_route(s, "m", NULL);
    test_expect_error(s, "bad", "routing.lua:2: bad argument #1 to 'log' (invalid option 'loud')");
    gate_script_destroy(s);
    gate_log_setup(GATE_LOG_INFO, GATE_LOG_TEXT, 2);
    close(fd);
    struct gate_str log = test_read_file(path);
    int lines = 0;
    for (const char *at = log.ptr; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    /* Twenty in a second, and the loop may cross into a second or third one. */
    ck_assert_msg(lines >= 20 && lines <= 63, "%d lines", lines);
    ck_assert(strstr(log.ptr, "script: routing.lua:4: line break  xxxx") != NULL);
    ck_assert(strstr(log.ptr, "hidden") == NULL);
    free((char *)log.ptr);
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- cost */

START_TEST(calls_leave_memory_flat)
{
    struct test_dir dir;
    struct gate_decision d;
    struct gate_error err = {0};
    size_t low = SIZE_MAX, high = 0;
    const int calls = 1000000;
    test_dir_init(&dir);
    struct gate_script *s = test_load_routing(
        &dir, "local RULES = { ['gpt-4o'] = 'openai/gpt-4o', auto = 'qwen-plus' }\n"
              "local function route(req)\n"
              "  if req.has_images then return 'qwen-vl-max' end\n"
              "  if req.messages > 50 or req.body_bytes > 200000 then\n"
              "    return 'qwen-long' end\n"
              "  if req.headers['x-team'] == 'red' then return 'deepseek-v3' end\n"
              "  return RULES[req.model]\n"
              "end\n"
              "return route\n");
    struct gate_request_facts facts = {.message_count = 4};
    struct gate_route_view view = test_view("gpt-4o");
    view.facts = &facts;
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < calls; i++) {
        if (gate_script_route(s, &view, &d, &err) != GATE_OK || d.target_count != 1)
            ck_abort_msg("call %d: %s", i, err.message);
        size_t memory = gate_script_memory(s);
        if (i >= 1000 && memory < low)
            low = memory;
        if (i >= 1000 && memory > high)
            high = memory;
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    double us = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 1e3;
    printf("route: %.3f us a call, memory %zu to %zu bytes\n", us / calls, low, high);
    ck_assert_uint_le(high - low, 1024);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(garbage_is_collected)
{
    struct test_dir dir;
    size_t high = 0;
    test_dir_init(&dir);
    struct gate_script *s =
        test_load_routing(&dir, "return function(req)\n"
                                "  return { { model = req.model .. '-x' }, 'y' }\n"
                                "end\n");
    for (int i = 0; i < 200000; i++) {
        char model[32];
        struct gate_decision d;
        struct gate_error err = {0};
        snprintf(model, sizeof model, "model-%d", i);
        struct gate_route_view view = test_view(model);
        ck_assert_int_eq(gate_script_route(s, &view, &d, &err), GATE_OK);
        if (gate_script_memory(s) > high)
            high = gate_script_memory(s);
    }
    ck_assert_uint_lt(high, 200 * 1024);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("script");
    tcase_add_test(tc, request_fields);
    tcase_add_test(tc, request_is_dead_outside_the_call);
    tcase_add_test(tc, decisions);
    tcase_add_test(tc, wrong_decisions);
    tcase_add_test(tc, full_state_is_built_anew);
    tcase_add_test(tc, hash_is_stable);
    tcase_add_test(tc, log_lines_are_bounded);
    tcase_add_test(tc, calls_leave_memory_flat);
    tcase_add_test(tc, garbage_is_collected);
    return test_main(tc, "script");
}
