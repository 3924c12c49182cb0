/* decision: what route(req) may return, what becomes of it, and what it costs. */
#include "script_util.h"

#include "script/policy.h"

#include <time.h>

/* Routes of one file, each under the name of a model. */
static struct gate_script *load(const struct test_dir *dir, const char *entries)
{
    struct gate_buf text;
    gate_buf_init(&text, 1 << 20);
    gate_buf_printf(&text,
                    "local answers = {\n%s\n}\n"
                    "return function(req)\n"
                    "  local answer = answers[req.model]\n"
                    "  if type(answer) == 'function' then return answer(req) end\n"
                    "  return answer\n"
                    "end\n",
                    entries);
    gate_buf_append_byte(&text, '\0');
    struct gate_script *s = test_load_routing(dir, text.ptr);
    gate_buf_finish(&text);
    return s;
}

static void route(struct gate_script *s, const char *model, struct gate_decision *d)
{
    struct gate_route_view view = test_view(model);
    struct gate_error err = {0};
    ck_assert_msg(gate_script_route(s, &view, d, &err) == GATE_OK, "%s: %s", model, err.message);
}

static void expect(struct gate_str got, const char *text)
{
    ck_assert_msg(gate_str_eq(got, gate_str_of(text)), "%.*s\nexpected %s", (int)got.len,
                  got.len > 0 ? got.ptr : "", text);
}

static bool inside(struct gate_str s, const void *block, size_t len)
{
    const char *begin = block;
    return s.ptr >= begin && s.ptr + s.len <= begin + len;
}

/* ---------------------------------------------------------------- targets */

START_TEST(targets)
{
    struct test_dir dir;
    struct gate_decision d;
    test_dir_init(&dir);
    struct gate_script *s =
        load(&dir, "list = { 'a', { model = 'i/b', total_ms = 5, first_token_ms = 30e3,\n"
                   "  idle_ms = 86400000 }, { model = 'c', retries = 31 }, { retries = 0 } },\n"
                   "one = { model = 'x', idle_ms = 0, strategy = 'sticky',\n"
                   "  tags = { 'paid', 'EU_1.a:b-c' }, reason = 'because' },\n"
                   "same = { total_ms = 7 },\n"
                   "only_reason = { reason = 'said' },\n"
                   "reasons = { 'a', { model = 'b', reason = 'of b' }, reason = 'of all' },\n"
                   "first = { 'a', { model = 'b', reason = 'of b' }, { reason = 'of c' } },");
    route(s, "list", &d);
    ck_assert_uint_eq(d.target_count, 4);
    expect(d.targets[0].name, "a");
    expect(d.targets[1].name, "i/b");
    ck_assert(d.targets[1].total_ms == 5 && d.targets[1].first_token_ms == 30000);
    ck_assert(d.targets[1].idle_ms == 86400000 && d.targets[1].retries == -1);
    expect(d.targets[2].name, "c");
    ck_assert_int_eq(d.targets[2].retries, 31);
    expect(d.targets[3].name, "list");
    ck_assert_int_eq(d.targets[3].retries, 0);
    ck_assert_uint_eq(d.text_len, 9);
    route(s, "one", &d);
    ck_assert_uint_eq(d.target_count, 1);
    ck_assert_int_eq(d.targets[0].strategy, GATE_STRATEGY_STICKY);
    ck_assert_uint_eq(d.targets[0].tag_count, 2);
    expect(d.targets[0].tags[0], "paid");
    expect(d.targets[0].tags[1], "EU_1.a:b-c");
    ck_assert(inside(d.targets[0].tags[1], d.text, d.text_len));
    expect(d.reason, "because");
    route(s, "same", &d);
    ck_assert_uint_eq(d.target_count, 1);
    expect(d.targets[0].name, "same");
    ck_assert(inside(d.targets[0].name, d.text, d.text_len));
    route(s, "only_reason", &d);
    expect(d.targets[0].name, "only_reason");
    expect(d.reason, "said");
    route(s, "reasons", &d);
    ck_assert_uint_eq(d.target_count, 2);
    expect(d.reason, "of all");
    route(s, "first", &d);
    expect(d.reason, "of b");
    route(s, "none", &d);
    ck_assert(d.target_count == 0 && d.reason.len == 0);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(all_strategies_have_names)
{
    struct test_dir dir;
    struct gate_decision d;
    test_dir_init(&dir);
    struct gate_script *s = test_load_routing(
        &dir, "return function(req) return { model = 'x', strategy = req.model } end");
    for (int i = 0; i < GATE_STRATEGIES; i++) {
        route(s, gate_strategy_names[i], &d);
        ck_assert_int_eq(d.targets[0].strategy, i);
    }
    test_expect_error(s, "luck",
                      "routing.lua:1: route returned a target whose strategy is 'luck', "
                      "expected round_robin, ");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(rejections)
{
    struct test_dir dir;
    struct gate_decision d;
    char message[GATE_SCRIPT_MESSAGE + 1];
    test_dir_init(&dir);
    struct gate_script *s = load(
        &dir, "plain = { reject = { status = 400 } },\n"
              "full = { reject = { status = 599, code = 'too_dear:1', message = 'Not today.',\n"
              "  retry_after_ms = 60000 }, reason = 'budget' },\n"
              "text = { reject = { status = 429, message = 'a\\nb\\0c\\127d\\xff\\xe4\\xb8e' },\n"
              "  reason = '\\xc3\\xa9\\xc3' },\n"
              "long = { reject = { status = 403, message = ('\\xc3\\xa9'):rep(300) },\n"
              "  reason = 'x' .. ('\\xc3\\xa9'):rep(100) },\n"
              "empty = { reject = { status = 403, message = '' } },");
    route(s, "plain", &d);
    ck_assert_uint_eq(d.target_count, 0);
    ck_assert_int_eq(d.reject.status, 400);
    expect(d.reject.code, "rejected");
    expect(d.reject.message, "This request was rejected by the gateway's policy.");
    ck_assert(d.reject.retry_after_ms == 0 && d.reason.len == 0);
    route(s, "full", &d);
    ck_assert(d.reject.status == 599 && d.reject.retry_after_ms == 60000);
    expect(d.reject.code, "too_dear:1");
    expect(d.reject.message, "Not today.");
    expect(d.reason, "budget");
    route(s, "text", &d); /* valid UTF-8 in one line, whatever the script had */
    expect(d.reject.message, "a b c d\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                             "e");
    expect(d.reason, "\xc3\xa9\xef\xbf\xbd");
    route(s, "long", &d); /* cut between characters */
    for (int i = 0; i < 256; i++)
        memcpy(message + 2 * (size_t)i, "\xc3\xa9", 2);
    message[GATE_SCRIPT_MESSAGE] = '\0';
    expect(d.reject.message, message);
    ck_assert_uint_eq(d.reason.len, GATE_SCRIPT_REASON - 1);
    route(s, "empty", &d);
    expect(d.reject.message, "This request was rejected by the gateway's policy.");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- edits */

START_TEST(edits_of_a_target)
{
    struct test_dir dir;
    struct gate_decision d;
    test_dir_init(&dir);
    struct gate_script *s =
        load(&dir,
             "all = { model = 'x',\n"
             "  headers = { ['X-Tier'] = 'gold \\t\\xc3\\xa9', ['x-old'] = false, ['x-b'] = '' },\n"
             "  body = { set = { temperature = 0, n = 2 }, remove = { 'user', 'seed' },\n"
             "    append_system = 'Be\\nshort.', max_tokens = 4096 } },\n"
             "nothing = { headers = {}, body = { set = {}, remove = {}, append_system = '' } },\n"
             "two = { { body = { max_tokens = 1 } }, 'plain', { headers = { a = 'b' } } },");
    route(s, "all", &d);
    struct gate_edits *e = d.targets[0].edits;
    ck_assert(e != NULL && e->header_count == 3 && e->field_count == 4);
    expect(e->headers[0].name, "x-b");
    ck_assert(e->headers[0].value.ptr != NULL && e->headers[0].value.len == 0);
    expect(e->headers[1].name, "x-old");
    ck_assert(e->headers[1].value.ptr == NULL);
    expect(e->headers[2].name, "x-tier");
    expect(e->headers[2].value, "gold \t\xc3\xa9");
    expect(e->fields[0].name, "n");
    expect(e->fields[0].json, "2");
    expect(e->fields[1].name, "seed");
    ck_assert_uint_eq(e->fields[1].json.len, 0);
    expect(e->fields[2].name, "temperature");
    expect(e->fields[2].json, "0");
    expect(e->fields[3].name, "user");
    expect(e->system, "Be\nshort.");
    ck_assert_uint_eq(e->max_tokens, 4096);
    ck_assert(e->text == (char *)(e + 1));
    ck_assert(inside(e->headers[2].value, e->text, 200) && inside(e->system, e->text, 200));
    ck_assert(inside(e->fields[3].name, e->text, 200) && inside(e->fields[0].json, e->text, 200));
    d.targets[0].edits = NULL; /* taken: it outlives the decision and the script */
    gate_decision_finish(&d);
    route(s, "nothing", &d);
    ck_assert(d.target_count == 1 && d.targets[0].edits == NULL);
    route(s, "two", &d);
    ck_assert(d.targets[0].edits->max_tokens == 1 && d.targets[1].edits == NULL);
    expect(d.targets[2].edits->headers[0].value, "b");
    gate_decision_finish(&d);
    gate_script_destroy(s);
    expect(e->system, "Be\nshort.");
    free(e);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(values_become_json)
{
    static const struct {
        const char *value, *json;
    } values[] = {
        {"'text'", "\"text\""},
        {"'\"\\\\\\n\\1\\xc3\\xa9\\xff'", "\"\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\""},
        {"''", "\"\""},
        {"true", "true"},
        {"false", "false"},
        {"0", "0"},
        {"-5", "-5"},
        {"math.maxinteger", "9223372036854775807"},
        {"math.mininteger", "-9223372036854775808"},
        {"0.1", "0.1"},
        {"1/3", "0.3333333333333333"},
        {"0.7 + 0.1", "0.7999999999999999"},
        {"1e300", "1e+300"},
        {"5.0", "5"},
        {"-0.0", "-0"},
        {"{}", "{}"},
        {"{ 1, 'b', false }", "[1,\"b\",false]"},
        {"{ b = 1, a = { c = {} }, ['x y'] = { 1, { 2 } } }",
         "{\"a\":{\"c\":{}},\"b\":1,\"x y\":[1,[2]]}"},
        {"{ type = 'json_schema', json_schema = { name = 'n', strict = true } }",
         "{\"json_schema\":{\"name\":\"n\",\"strict\":true},\"type\":\"json_schema\"}"},
        {"{{{{{{{{{{{{{{{{ 1 }}}}}}}}}}}}}}}}", "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"},
    };
    struct test_dir dir;
    struct gate_decision d;
    test_dir_init(&dir);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "x = { body = { set = { field = %s } } },", values[i].value);
        struct gate_script *s = load(&dir, text);
        route(s, "x", &d);
        expect(d.targets[0].edits->fields[0].json, values[i].json);
        gate_decision_finish(&d);
        gate_script_destroy(s);
    }
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- bounds */

/* Limits that end a call in the middle of reading what it returned leave nothing behind. */
START_TEST(much_is_bounded)
{
    struct test_dir dir;
    struct gate_decision d;
    test_dir_init(&dir);
    struct gate_script *s =
        load(&dir, "most = function() local set, headers = {}, {}\n"
                   "  for i = 1, 16 do set['f' .. i] = ('x'):rep(1000) headers['h' .. i] =\n"
                   "    ('y'):rep(1000) end\n"
                   "  local t = { body = { set = set }, headers = headers }\n"
                   "  return { t, t, t, t, t, t, t, t } end,\n"
                   "wide = function() local t = {} for i = 1, 30000 do t[i] = 1 end\n"
                   "  return { { body = { set = { a = 1 } } }, { body = { set = { b = t } } },\n"
                   "    { body = { set = { c = t } } }, { body = { set = { d = t } } },\n"
                   "    { body = { set = { e = t } } }, { body = { set = { f = t } } } } end,\n"
                   "sparse = function() local t = {} for i = 1, 20000 do t['k' .. i] = {} end\n"
                   "  return { body = { set = { b = t } } } end,");
    route(s, "most", &d);
    ck_assert_uint_eq(d.target_count, 8);
    for (size_t i = 0; i < 8; i++)
        ck_assert(d.targets[i].edits->header_count == 16 && d.targets[i].edits->field_count == 16);
    gate_decision_finish(&d);
    test_expect_error(s, "wide", "instruction budget used up");
    test_expect_error(s, "sparse", "routing.lua:");
    ck_assert_uint_lt(gate_script_memory(s), GATE_SCRIPT_MEMORY);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- cost */

static double route_ns(struct gate_script *s, const char *model, size_t *memory)
{
    enum { CALLS = 100000 };
    struct gate_route_view view = test_view(model);
    struct gate_decision d;
    struct gate_error err;
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < CALLS; i++) {
        if (gate_script_route(s, &view, &d, &err) != GATE_OK)
            ck_abort_msg("%s: %s", model, err.message);
        gate_decision_finish(&d);
        if (gate_script_memory(s) > *memory)
            *memory = gate_script_memory(s);
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / CALLS;
}

START_TEST(decisions_are_cheap)
{
    struct test_dir dir;
    size_t memory = 0;
    test_dir_init(&dir);
    struct gate_script *s = test_load_routing(
        &dir,
        "return function(req)\n"
        "  local model = req.model\n"
        "  if model == 'nil' then return nil end\n"
        "  if model == 'string' then return 'qwen-plus' end\n"
        "  if model == 'target' then return { model = 'qwen-plus', retries = 1 } end\n"
        "  return { model = 'qwen-plus', tags = { 'paid' }, headers = { ['x-tier'] = 'gold' },\n"
        "    body = { set = { temperature = 0, top_p = 0.9 }, max_tokens = 4096 } }\n"
        "end");
    double nothing = route_ns(s, "nil", &memory), string = route_ns(s, "string", &memory),
           target = route_ns(s, "target", &memory), edits = route_ns(s, "edits", &memory);
    printf("route: nil %.0f ns, string %.0f ns, target %.0f ns, target with edits %.0f ns; memory "
           "up to %zu bytes\n",
           nothing, string, target, edits, memory);
    ck_assert_uint_lt(memory, 300 * 1024);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("decision");
    tcase_add_test(tc, targets);
    tcase_add_test(tc, all_strategies_have_names);
    tcase_add_test(tc, rejections);
    tcase_add_test(tc, edits_of_a_target);
    tcase_add_test(tc, values_become_json);
    tcase_add_test(tc, much_is_bounded);
    tcase_add_test(tc, decisions_are_cheap);
    return test_main(tc, "decision");
}
