/* script: the request view, the state of a worker, the gate table, cost. */
#include "script_util.h"

#include "base/log.h"
#include "script/api.h"

#include <fcntl.h>
#include <time.h>

/* ---------------------------------------------------------------- request */

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

/* ---------------------------------------------------------------- the state */

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
                                "  for i = 1, 50 do page[i] = ('x'):rep(4000) .. #kept .. i end\n"
                                "end");
    enum gate_status status = GATE_OK;
    struct gate_error err = {0};
    size_t most = 0;
    for (int i = 0; i < 300 && status == GATE_OK; i++) {
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

/* A decision need not be zeroed, and one of before leaves nothing behind. */
START_TEST(every_call_starts_anew)
{
    struct test_dir dir;
    struct gate_decision d;
    struct gate_error err = {0};
    memset(&d, 0xa5, sizeof d);
    test_dir_init(&dir);
    struct gate_generation *g = test_load(&dir);
    struct gate_script *s = NULL;
    ck_assert_int_eq(gate_script_create(g, NULL, &s, &err), GATE_OK);
    struct gate_route_view view = test_view("m");
    ck_assert_int_eq(gate_script_route(s, &view, &d, &err), GATE_OK); /* without routing.lua */
    ck_assert(d.target_count == 0 && d.reject.status == 0 && d.reason.len == 0 && d.text_len == 0);
    ck_assert(d.reject.retry_after_ms == 0 && d.reject.code.len == 0);
    gate_script_destroy(s);
    gate_generation_release(g);

    memset(&d, 0xa5, sizeof d);
    s = test_load_routing(&dir, "return function(req)\n"
                                "  if req.model == 'no' then return { reject = { status = 499,\n"
                                "    retry_after_ms = 5 }, reason = 'why' } end\n"
                                "  if req.model == 'bad' then return { 'a', 5 } end\n"
                                "  if req.model == 'one' then return 'x' end\n"
                                "end");
    static const char *const models[] = {"no", "nil", "one", "bad", "nil", "no", "one"};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        bool no = strcmp(models[i], "no") == 0, one = strcmp(models[i], "one") == 0;
        view = test_view(models[i]);
        ck_assert_int_eq(gate_script_route(s, &view, &d, &err),
                         strcmp(models[i], "bad") == 0 ? GATE_EINTERNAL : GATE_OK);
        ck_assert_uint_eq(d.target_count, one);
        ck_assert_int_eq(d.reject.status, no ? 499 : 0);
        ck_assert_uint_eq(d.reject.retry_after_ms, no ? 5 : 0);
        ck_assert_uint_eq(d.reason.len, no ? 3 : 0);
        ck_assert_uint_eq(d.text_len, no ? 3 : one ? 1 : 0);
        if (one) {
            const struct gate_target *t = &d.targets[0];
            ck_assert(t->first_token_ms == 0 && t->idle_ms == 0 && t->total_ms == 0);
            ck_assert(t->retries == -1 && t->strategy == -1);
            ck_assert(t->tag_count == 0 && t->edits == NULL);
        }
    }
    gate_decision_finish(&d);
    gate_decision_finish(&d);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(notes_are_the_hosts_or_its_own)
{
    struct test_dir dir;
    int64_t value;
    struct gate_error err = {0};
    struct gate_script *s = NULL;
    struct gate_script_host host = {gate_kv_create(), gate_counters_create()};
    test_dir_init(&dir);
    gate_script_destroy(
        test_load_routing(&dir, "return function(req)\n"
                                "  gate.kv.set('last', req.model)\n"
                                "  return 'n' .. gate.counter('calls') .. gate.kv.get('last')\n"
                                "end"));
    struct gate_generation *g = test_load(&dir);
    for (int state = 1; state <= 2; state++) {
        ck_assert_msg(gate_script_create(g, &host, &s, &err) == GATE_OK, "%s", err.message);
        test_expect_route(s, "a", state == 1 ? "n1a" : "n3a"); /* notes outlive the state */
        test_expect_route(s, "b", state == 1 ? "n2b" : "n4b");
        gate_script_destroy(s);
        ck_assert_int_eq(gate_script_create(g, NULL, &s, &err), GATE_OK);
        test_expect_route(s, "c", "n1c"); /* these do not */
        gate_script_destroy(s);
    }
    ck_assert_int_eq(gate_counters_add(host.counters, GATE_STR("calls"), 0, &value), GATE_OK);
    ck_assert_int_eq(value, 4);
    gate_generation_release(g);

    /* Loading a file leaves no trace. */
    test_dir_write(&dir, "conf/routing.lua", "gate.counter('loads')\nreturn function() end");
    ck_assert_int_eq(gate_generation_load(dir.conf, dir.scripts, NULL, 0, 1, &g, &err),
                     GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, "routing.lua:1: gate.counter can be used only in functions"),
                  "%s", err.message);
    gate_kv_destroy(host.kv);
    gate_counters_destroy(host.counters);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(time_can_be_set)
{
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s =
        test_load_routing(&dir, "return function(req) return 't' .. gate.now() end");
    gate_script_set_time(s, 1700000000123);
    test_expect_route(s, "x", "t1700000000123");
    gate_script_set_time(s, 0);
    struct gate_route_view view = test_view("x");
    struct gate_decision d;
    struct gate_error err;
    ck_assert_int_eq(gate_script_route(s, &view, &d, &err), GATE_OK);
    ck_assert_int_ne(strncmp(d.targets[0].name.ptr, "t1700000000123", 14), 0);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(a_failure_has_a_stack)
{
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s = test_load_routing(&dir, "local function inner(x)\n"
                                                    "  error('broken ' .. x)\n"
                                                    "end\n"
                                                    "return function(req)\n"
                                                    "  if req.model == 'bad' then inner(1) end\n"
                                                    "  return req.model\n"
                                                    "end");
    ck_assert_str_eq(gate_script_stack(s), "");
    test_expect_route(s, "good", "good");
    ck_assert_str_eq(gate_script_stack(s), "");
    test_expect_error(s, "bad", "routing.lua:2: broken 1");
    const char *stack = gate_script_stack(s);
    const char *inner = strstr(stack, "routing.lua:2: in "),
               *outer = strstr(stack, "routing.lua:5:");
    ck_assert_msg(inner != NULL && outer != NULL && inner < outer, "%s", stack);
    gate_script_destroy(s);

    /* Also when the state is built anew after it. */
    s = test_load_routing(&dir, "local kept = {}\n"
                                "return function(req)\n"
                                "  kept[#kept + 1] = ('x'):rep(200000)\n"
                                "end");
    for (int i = 0; i < 50; i++)
        test_expect_route(s, "fill", NULL);
    while (gate_script_stack(s)[0] == '\0') {
        struct gate_decision d;
        struct gate_error err;
        struct gate_route_view view = test_view("fill");
        gate_script_route(s, &view, &d, &err);
    }
    ck_assert_uint_lt(gate_script_memory(s), 100 * 1024);
    ck_assert_msg(strstr(gate_script_stack(s), "routing.lua:3: in ") != NULL, "%s",
                  gate_script_stack(s));
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(a_pin_keeps_what_it_began_with)
{
    struct test_dir dir;
    struct gate_script *s = NULL;
    struct gate_error err = {0};
    test_dir_init(&dir);
    test_dir_write(&dir, "conf/routing.lua", "return function() return 'pinned' end");
    struct gate_generation *g = test_load(&dir);
    ck_assert_int_eq(gate_script_create(g, NULL, &s, &err), GATE_OK);
    struct gate_script_pin *pin = gate_script_pin_create(g, s);
    ck_assert(pin->generation == g && pin->script == s && pin->users == 1);
    ck_assert(pin->errors == 0 && pin->why[0] == '\0');
    gate_generation_release(g);
    struct gate_script_pin *request = gate_script_pin_use(pin);
    ck_assert(request == pin && pin->users == 2);
    gate_script_pin_drop(pin); /* another generation is the current one now */
    test_expect_route(request->script, "x", "pinned");
    ck_assert_uint_eq(gate_generation_number(request->generation), 7);
    gate_script_pin_drop(request);
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
    struct gate_error err = {0};
    struct gate_script *s = NULL;
    struct gate_script_host host = {gate_kv_create(), gate_counters_create()};
    test_dir_init(&dir);
    snprintf(path, sizeof path, "%s/log", dir.root);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    gate_log_setup(GATE_LOG_INFO, GATE_LOG_TEXT, fd);
    struct gate_script *trial =
        test_load_routing(&dir, "return function(req)\n"
                                "  if req.model == 'bad' then gate.log('loud', 'x') end\n"
                                "  gate.log('debug', 'hidden')\n"
                                "  gate.log('warn', 'line\\nbreak\\27 ' .. ('x'):rep(1000))\n"
                                "end");
    test_expect_route(trial, "m", NULL);
    gate_script_destroy(trial);
    ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0); /* trying out says nothing */
    struct gate_generation *g = test_load(&dir);
    ck_assert_int_eq(gate_script_create(g, &host, &s, &err), GATE_OK);
    gate_generation_release(g);
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
    gate_kv_destroy(host.kv);
    gate_counters_destroy(host.counters);
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
    tcase_add_test(tc, full_state_is_built_anew);
    tcase_add_test(tc, every_call_starts_anew);
    tcase_add_test(tc, notes_are_the_hosts_or_its_own);
    tcase_add_test(tc, time_can_be_set);
    tcase_add_test(tc, a_failure_has_a_stack);
    tcase_add_test(tc, a_pin_keeps_what_it_began_with);
    tcase_add_test(tc, hash_is_stable);
    tcase_add_test(tc, log_lines_are_bounded);
    tcase_add_test(tc, calls_leave_memory_flat);
    tcase_add_test(tc, garbage_is_collected);
    return test_main(tc, "script");
}
