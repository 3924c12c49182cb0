/* gate.now, gate.time, gate.random, gate.counter and gate.kv, as scripts call them. */
#include "script_util.h"

#include "base/clock.h"

#include <time.h>

static bool have_zones(void)
{
    return access("/usr/share/zoneinfo/Europe/Berlin", R_OK) == 0;
}

/* A state whose route(req) runs `body` and then names the model "fine". */
static struct gate_script *load_body(const struct test_dir *dir,
                                     const struct gate_script_host *host, const char *head,
                                     const char *body)
{
    char text[4096];
    struct gate_script *s = NULL;
    struct gate_error err = {0};
    snprintf(text, sizeof text, "%s function route(req)\n%s\nreturn 'fine' end return route", head,
             body);
    test_dir_write(dir, "conf/routing.lua", text);
    struct gate_generation *g = test_load(dir);
    ck_assert_msg(gate_script_create(g, host, &s, &err) == GATE_OK, "%s", err.message);
    gate_generation_release(g);
    return s;
}

/* At `wall_ms`, the body must run through `times` times. */
static void expect_fine(const char *body, uint64_t wall_ms, int times)
{
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s = load_body(&dir, NULL, "local", body);
    gate_script_set_time(s, wall_ms);
    for (int i = 0; i < times; i++)
        test_expect_route(s, "m", "fine");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}

struct wrong {
    const char *code, *message;
};

static void expect_wrong(const struct wrong *wrong, size_t count)
{
    struct test_dir dir;
    test_dir_init(&dir);
    for (size_t i = 0; i < count; i++) {
        char place[32] = "routing.lua:2: ";
        struct gate_script *s = load_body(&dir, NULL, "local", wrong[i].code);
        test_expect_error(s, "m", wrong[i].message);
        test_expect_error(s, "m", place);
        gate_script_destroy(s);
    }
    test_dir_finish(&dir);
}

/* ---------------------------------------------------------------- the request */

START_TEST(prompt_tokens)
{
    expect_fine("assert(req.body_bytes == 1234 and req.prompt_tokens == 308)\n"
                "assert(math.type(req.prompt_tokens) == 'integer')",
                0, 1);
}
END_TEST

/* ---------------------------------------------------------------- time */

/* Sunday, 2026-03-29 00:59:59.999 UTC: the second before summer time begins in Berlin. */
#define MOMENT UINT64_C(1774745999999)

START_TEST(time_in_zones)
{
    expect_fine("assert(gate.now() == 1774745999999)\n"
                "local t = gate.time()\n"
                "assert(t.year == 2026 and t.month == 3 and t.day == 29 and t.hour == 0)\n"
                "assert(t.min == 59 and t.sec == 59 and t.wday == 7 and t.yday == 88)\n"
                "assert(t.minute == 59 and t.offset == 0 and t.zone == 'UTC')\n"
                "for _, v in pairs(t) do assert(v == 'UTC' or math.type(v) == 'integer') end\n"
                "assert(gate.time('UTC').zone == 'UTC' and gate.time(nil).hour == 0)\n"
                "t.hour = 5 assert(gate.time().hour == 0)\n" /* a table of its own */
                "t = gate.time('+08:00')\n"
                "assert(t.hour == 8 and t.minute == 539 and t.offset == 28800)\n"
                "assert(t.zone == '+08:00')\n"
                "t = gate.time('-0330')\n"
                "assert(t.day == 28 and t.hour == 21 and t.min == 29 and t.wday == 6)\n"
                "assert(t.offset == -12600 and t.yday == 87)",
                MOMENT, 2);
    if (!have_zones()) {
        printf("test_api: names of zones skipped: this system has no zoneinfo\n");
        expect_wrong(&(struct wrong){"gate.time('Europe/Berlin')", "install tzdata"}, 1);
        return;
    }
    expect_fine("local t = gate.time('Europe/Berlin')\n"
                "assert(t.hour == 1 and t.min == 59 and t.offset == 3600 and t.wday == 7)\n"
                "assert(t.zone == 'Europe/Berlin')",
                MOMENT, 2);
    expect_fine("local t = gate.time('Europe/Berlin')\n"
                "assert(t.hour == 3 and t.min == 0 and t.offset == 7200 and t.minute == 180)",
                MOMENT + 1, 2);
}
END_TEST

START_TEST(now_is_the_wall_clock)
{
    struct test_dir dir;
    char text[256];
    uint64_t before = gate_clock_wall_ms();
    snprintf(text, sizeof text,
             "local now = gate.now() assert(math.type(now) == 'integer')\n"
             "assert(now >= %llu and now < %llu)\n"
             "assert(gate.time().year >= 2025)",
             (unsigned long long)before, (unsigned long long)before + 600000);
    test_dir_init(&dir);
    struct gate_script *s = load_body(&dir, NULL, "local", text);
    test_expect_route(s, "m", "fine");
    gate_script_set_time(s, MOMENT);
    test_expect_error(s, "m", "assertion failed");
    gate_script_set_time(s, 0);
    test_expect_route(s, "m", "fine");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(wrong_times)
{
    static const struct wrong wrong[] = {
        {"gate.time('Mars')", "gate.time: "},
        {"gate.time('../UTC')", "gate.time: \"../UTC\" is no time zone: write \"UTC\", a name"},
        {"gate.time('/etc/localtime')", "\"/etc/localtime\" is no time zone"},
        {"gate.time('+8')", "\"+8\" is no time zone"},
        {"gate.time('')", "\"\" is no time zone"},
        {"gate.time(8)", "bad argument #1 to 'time' (string expected, got number)"},
        {"gate.time({})", "bad argument #1 to 'time' (string expected, got table)"},
        {"gate.time = nil", "'gate' is read-only"},
        {"for i = 1, 1e5 do gate.time() end", "instruction budget used up"},
        {"for i = 1, 1e5 do pcall(gate.time, 'No/Where') end", "instruction budget used up"},
    };
    expect_wrong(wrong, sizeof wrong / sizeof wrong[0]);
}
END_TEST

/* ---------------------------------------------------------------- random */

START_TEST(random_numbers)
{
    expect_fine("local low, high, seen, n = 1, 0, {}, 0\n"
                "for i = 1, 2000 do\n"
                "  local x = gate.random() assert(x >= 0 and x < 1)\n"
                "  low, high = math.min(low, x), math.max(high, x)\n"
                "  local d = gate.random(6) assert(math.type(d) == 'integer')\n"
                "  assert(d >= 1 and d <= 6) seen[d] = (seen[d] or 0) + 1\n"
                "  local r = gate.random(-3, 3) assert(r >= -3 and r <= 3)\n"
                "  if r == 0 then n = n + 1 end\n"
                "end\n"
                "assert(low < 0.05 and high > 0.95 and n > 150 and n < 450)\n"
                "for d = 1, 6 do assert(seen[d] > 200 and seen[d] < 480) end\n"
                "assert(gate.random(1) == 1 and gate.random(5, 5) == 5)\n"
                "assert(gate.random(math.mininteger, math.maxinteger) ~=\n"
                "       gate.random(math.mininteger, math.maxinteger))\n"
                "assert(gate.random(3.0) <= 3)",
                0, 3);
    struct test_dir dir;
    struct gate_decision a, b;
    struct gate_error err;
    struct gate_route_view view = test_view("m");
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    test_dir_init(&dir);
    static const char text[] =
        "return function() return tostring(gate.random(math.maxinteger)) end";
    struct gate_script *s = test_load_routing(&dir, text);
    ck_assert_int_eq(gate_script_route(s, &view, &a, &err), GATE_OK);
    gate_script_destroy(s);
    s = test_load_routing(&dir, text);
    ck_assert_int_eq(gate_script_route(s, &view, &b, &err), GATE_OK);
    gate_script_destroy(s);
    ck_assert(!gate_str_eq(a.targets[0].name, b.targets[0].name)); /* each state has its own */
    gate_decision_finish(&a);
    gate_decision_finish(&b);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(wrong_randoms)
{
    static const struct wrong wrong[] = {
        {"gate.random(0)", "bad argument #1 to 'random' (expected a whole number from 1)"},
        {"gate.random(2, 1)", "the second number is below the first"},
        {"gate.random(1.5)", "number has no integer representation"},
        {"gate.random('x')", "number expected, got string"},
        {"gate.random(1, 2, 3)", "gate.random takes no number, one or two"},
        {"gate.random(nil)", "number expected, got nil"},
    };
    expect_wrong(wrong, sizeof wrong / sizeof wrong[0]);
}
END_TEST

/* ---------------------------------------------------------------- notes */

START_TEST(counters)
{
    struct test_dir dir;
    int64_t value;
    struct gate_counters *counters = gate_counters_create();
    const struct gate_script_host host = {.counters = counters, .kv = gate_kv_create()};
    test_dir_init(&dir);
    const char *body = "assert(gate.counter('other', 0) == 0)\n"
                       "local n = gate.counter('calls')\n"
                       "assert(math.type(n) == 'integer' and gate.counter('calls', 0) == n)\n"
                       "assert(gate.counter('calls', -1) == n - 1)\n"
                       "assert(gate.counter('calls', 5) == n + 4)\n"
                       "gate.kv.add('runs')\n"
                       "assert(gate.kv.get('runs') == n // 5 + 1)";
    struct gate_script *a = load_body(&dir, &host, "local", body);
    struct gate_script *b = load_body(&dir, &host, "local", body);
    test_expect_route(a, "m", "fine");
    test_expect_route(b, "m", "fine"); /* goes on where the other stopped */
    gate_script_destroy(a);
    test_expect_route(b, "m", "fine");
    gate_script_destroy(b);
    ck_assert_int_eq(gate_counters_add(counters, GATE_STR("calls"), 0, &value), GATE_OK);
    ck_assert_int_eq(value, 15);
    a = load_body(&dir, NULL, "local", "assert(gate.counter('calls') == 1)"); /* notes of its own */
    test_expect_route(a, "m", "fine");
    test_expect_error(a, "m", "assertion failed");
    gate_script_destroy(a);
    gate_kv_destroy(host.kv);
    gate_counters_destroy(counters);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(kv_values)
{
    expect_fine("local kv = gate.kv\n"
                "assert(kv.get('a') == nil)\n"
                "for _, v in ipairs { 'text', 'a\\0b', '', 5, -0.5, true, false } do\n"
                "  kv.set('a', v) assert(kv.get('a') == v)\n"
                "  assert(math.type(kv.get('a')) == math.type(v)) end\n"
                "kv.set('a', nil) assert(kv.get('a') == nil)\n"
                "kv.set('b', ('x'):rep(1024)) assert(#kv.get('b') == 1024)\n"
                "kv.set(('k'):rep(128), 1) assert(kv.get(('k'):rep(128)) == 1)\n"
                "kv.set(7, 'seven') assert(kv.get('7') == 'seven')\n"
                "assert(kv.add('n') == 1 and kv.add('n', 2) == 3 and kv.add('n', 0.5) == 3.5)\n"
                "assert(kv.add('n', 0) == 3.5 and kv.get('n') == 3.5)\n"
                "kv.set('n', nil)",
                0, 2);
}
END_TEST

START_TEST(kv_times)
{
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s = load_body(
        &dir, NULL, "local",
        "if req.model == 'set' then gate.kv.set('a', 1, 1000) gate.kv.add('w', 1, 1000) end\n"
        "if req.model == 'there' then assert(gate.kv.get('a') == 1 and gate.kv.add('w') == 2) end\n"
        "if req.model == 'gone' then assert(not gate.kv.get('a') and gate.kv.add('w') == 1) end");
    gate_script_set_time(s, MOMENT);
    test_expect_route(s, "set", "fine");
    gate_script_set_time(s, MOMENT + 999);
    test_expect_route(s, "there", "fine");
    gate_script_set_time(s, MOMENT + 1000);
    test_expect_route(s, "gone", "fine");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(wrong_notes)
{
    static const struct wrong wrong[] = {
        {"gate.counter()", "bad argument #1 to 'counter' (string expected, got no value)"},
        {"gate.counter('')", "a counter's name has 1 to 64 characters of A-Z a-z 0-9 _ . : -"},
        {"gate.counter('a b')", "a counter's name has 1 to 64 characters"},
        {"gate.counter('a', 'x')", "bad argument #2 to 'counter' (number expected, got string)"},
        {"gate.counter('a', 0.5)", "number has no integer representation"},
        {"for i = 1, 300 do gate.counter('c' .. i) end",
         "gate.counter: there are 256 counters already; use few names, and gate.kv for keys"},
        {"gate.kv.get()", "bad argument #1 to 'get' (string expected, got no value)"},
        {"gate.kv.get('')", "gate.kv: a key of 0 bytes, expected 1 to 128"},
        {"gate.kv.get(('x'):rep(129))", "gate.kv: a key of 129 bytes, expected 1 to 128"},
        {"gate.kv.set('a')", "bad argument #2 to 'set' (value expected)"},
        {"gate.kv.set('a', {})", "gate.kv: a value that is a table, expected a string, a number"},
        {"gate.kv.set('a', req)", "gate.kv: a value that is a userdata"},
        {"gate.kv.set('a', ('x'):rep(1025))", "gate.kv: a value of 1025 bytes, expected at most"},
        {"gate.kv.set('a', 1, 0)", "gate.kv: a ttl_ms of 0, expected 1 to 86400000 milliseconds"},
        {"gate.kv.set('a', 1, 86400001)", "gate.kv: a ttl_ms of 86400001, expected"},
        {"gate.kv.set('a', 1, 1.5)", "number has no integer representation"},
        {"gate.kv.add('a', '1')", "bad argument #2 to 'add' (number expected, got string)"},
        {"gate.kv.set('a', 'x') gate.kv.add('a')",
         "gate.kv.add: there is a string at this key, expected a number"},
        {"gate.kv.x = 1", "'gate.kv' is read-only"},
        {"while true do gate.counter('a') end", "instruction budget used up"},
        {"while true do pcall(gate.kv.set, 'a', ('x'):rep(1000)) end",
         "instruction budget used up"},
    };
    expect_wrong(wrong, sizeof wrong / sizeof wrong[0]);
}
END_TEST

/* While a file is checked there is nothing to note. */
START_TEST(not_while_loading)
{
    static const struct wrong wrong[] = {
        {"gate.counter('a')", "routing.lua:1: gate.counter can be used only in functions"},
        {"gate.kv.get('a')", "routing.lua:1: gate.kv can be used only in functions"},
        {"gate.accounts('i')", "routing.lua:1: gate.accounts can be called only while a function"},
        {"gate.provider('i')", "routing.lua:1: gate.provider can be called only while a function"},
    };
    struct test_dir dir;
    test_dir_init(&dir);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct gate_generation *g = NULL;
        struct gate_error err = {0};
        char text[128];
        snprintf(text, sizeof text, "%s return function() end", wrong[i].code);
        test_dir_write(&dir, "conf/routing.lua", text);
        ck_assert_int_ne(gate_generation_load(dir.conf, dir.scripts, NULL, 0, 1, &g, &err),
                         GATE_OK);
        ck_assert_msg(strstr(err.message, wrong[i].message) != NULL, "%s", err.message);
    }
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

/* Nanoseconds of one run of `code`, the loop around it not counted. The best of some rounds. */
static double cost_of(const char *code, size_t *growth)
{
    enum { CALLS = 300, LOOPS = 100, ROUNDS = 5 };
    double best[2] = {1e9, 1e9};
    struct test_dir dir;
    struct gate_route_view view = test_view("m");
    test_dir_init(&dir);
    for (int with = 0; with < 2; with++) {
        char body[512];
        snprintf(body, sizeof body, "for _ = 1, %d do %s end", LOOPS, with ? code : "");
        struct gate_script *s = load_body(&dir, NULL, "local gate, kv = gate, gate.kv local", body);
        size_t before = 0;
        for (int round = 0; round < ROUNDS; round++) {
            double start = cpu_us();
            for (int i = 0; i < CALLS; i++) {
                struct gate_decision d;
                struct gate_error err;
                memset(&d, 0, sizeof d);
                ck_assert_int_eq(gate_script_route(s, &view, &d, &err), GATE_OK);
                gate_decision_finish(&d);
            }
            double ns = (cpu_us() - start) * 1e3 / CALLS / LOOPS;
            best[with] = ns < best[with] ? ns : best[with];
            if (round == 0)
                before = gate_script_memory(s);
        }
        *growth = gate_script_memory(s) > before ? gate_script_memory(s) - before : 0;
        gate_script_destroy(s);
    }
    test_dir_finish(&dir);
    return best[1] - best[0];
}

START_TEST(costs)
{
    static const struct {
        const char *code;
        double bar_ns;
    } costs[] = {
        {"gate.now()", 500},
        {"gate.time('Europe/Berlin')", 2000},
        {"gate.time('+08:00')", 2000},
        {"gate.random(100)", 500},
        {"gate.counter('calls')", 200},
        {"kv.get('key')", 200},
        {"kv.set('key', 'value', 60000)", 400},
        {"kv.add('n', 1, 60000)", 400},
    };
    for (size_t i = have_zones() ? 0 : 2; i < sizeof costs / sizeof costs[0]; i++) {
        size_t growth;
        double ns = cost_of(costs[i].code, &growth);
        printf("test_api: %s: %.0f ns, the state grew by %zu bytes\n", costs[i].code, ns, growth);
        /* Garbage that is not collected yet counts; what is kept would be a megabyte and more. */
        ck_assert_msg(growth < 256 << 10, "%s: %zu bytes", costs[i].code, growth);
        /* A loaded machine is slower than the bar; a blunder is slower still. */
        ck_assert_msg(SLOW || ns < costs[i].bar_ns * 4, "%s: %.0f ns", costs[i].code, ns);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("api");
    tcase_add_test(tc, prompt_tokens);
    tcase_add_test(tc, time_in_zones);
    tcase_add_test(tc, now_is_the_wall_clock);
    tcase_add_test(tc, wrong_times);
    tcase_add_test(tc, random_numbers);
    tcase_add_test(tc, wrong_randoms);
    tcase_add_test(tc, counters);
    tcase_add_test(tc, kv_values);
    tcase_add_test(tc, kv_times);
    tcase_add_test(tc, wrong_notes);
    tcase_add_test(tc, not_while_loading);
    tcase_add_test(tc, costs);
    return test_main(tc, "api");
}
