/* The limits of Lua, which lint knows to the number, and what reading a hostile text costs: time in
 * proportion to its length. */
#include "lint_lua.h"

#include <time.h>

enum { FULL_SIZE = GATE_SANDBOX_MAX_FILE };

/* ---------------------------------------------------------------- limits */

/* head, `part` `count` times, middle, `back` `count` times. A '#' in a part is the number of the
 * repetition. */
struct shape {
    const char *head, *part, *middle, *back;
};

static void append_parts(struct gate_buf *b, const char *part, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (const char *c = part; *c != '\0'; c++) {
            if (*c == '#')
                gate_buf_printf(b, "%zu", i);
            else
                gate_buf_append_byte(b, *c);
        }
    }
}

static void build(struct gate_buf *b, const struct shape *shape, size_t count)
{
    gate_buf_init(b, SIZE_MAX);
    gate_buf_append(b, gate_str_of(shape->head));
    append_parts(b, shape->part, count);
    gate_buf_append(b, gate_str_of(shape->middle));
    append_parts(b, shape->back, count);
}

START_TEST(limits_of_lua_are_met_exactly)
{
    static const struct {
        struct shape shape;
        size_t limit; /* about where Lua begins to refuse */
    } limits[] = {
        {{"x = ", "(", "1", ")"}, 198},
        {{"x = ", "{", "1", "}"}, 198},
        {{"x = ", "- ", "1", ""}, 198},
        {{"x = ", "a^", "1", ""}, 198},
        {{"x = ", "a..", "1", ""}, 198},
        {{"x = ", "f(", "1", ")"}, 198},
        {{"x = ", "t[", "1", "]"}, 198},
        {{"", "do ", "", "end "}, 199},
        {{"", "if x then ", "", "end "}, 198},
        {{"", "while x do ", "", "end "}, 198},
        {{"", "repeat ", "", "until x "}, 198},
        {{"", "x = function() ", "", "end "}, 99},
        {{"", "local function f() ", "", "end "}, 199},
        {{"", "for i = 1, 2 do ", "", "end "}, 50},
        {{"", "for k, v in x do ", "", "end "}, 33},
        {{"", "::a#::", "", ""}, 199},
        {{"", "x, ", "x = 1", ""}, 198},
        {{"", "local a# ", "", ""}, 200},
        {{"local function f(", "a#, ", "b) end", ""}, 200},
        {{"local a", ", a#", " = 1", ""}, 200},
        {{"", "do local a# end ", "", ""}, 32767},
        {{"f(", "a, ", "a)", ""}, 252},
        {{"while x do ", "break ", "end", ""}, 32767},
        {{"for i = 1, 2 do ", "f() ", "end", ""}, 65535},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        bool fine = false, refused = false;
        for (size_t count = limits[i].limit - 4; count <= limits[i].limit + 4; count++) {
            struct gate_buf b;
            build(&b, &limits[i].shape, count);
            *(lint_compare(gate_buf_str(&b)) ? &fine : &refused) = true;
            gate_buf_finish(&b);
        }
        ck_assert_msg(fine && refused, "the limit of '%s' is not near %zu", limits[i].shape.part,
                      limits[i].limit);
    }
}
END_TEST

START_TEST(too_many_upvalues_are_an_error)
{
    struct gate_buf b;
    struct gate_problems found = {0};
    gate_buf_init(&b, SIZE_MAX);
    append_parts(&b, "local a# ", 150);
    gate_buf_append(&b, GATE_STR("\nfunction f() "));
    append_parts(&b, "local b# ", 150);
    gate_buf_append(&b, GATE_STR("\nlocal function g() return "));
    append_parts(&b, "a# + b# + ", 150);
    gate_buf_append(&b, GATE_STR("0 end\nend"));
    ck_assert(!lint_compare(gate_buf_str(&b)));
    gate_lint("routing.lua", gate_buf_str(&b), &found);
    ck_assert_uint_eq(found.errors, 1);
    for (size_t i = 0; i < found.kept; i++) {
        if (found.list[i].severity != GATE_SEVERITY_ERROR)
            continue;
        ck_assert_uint_eq(found.list[i].line, 3);
        ck_assert_str_eq(found.list[i].file, "routing.lua");
        ck_assert(strstr(found.list[i].message, "too many upvalues (limit is 255)") != NULL);
    }
    gate_problems_finish(&found);
    gate_buf_finish(&b);
}
END_TEST

/* ---------------------------------------------------------------- cost */

#ifndef GATE_CPU_SCALE
#define GATE_CPU_SCALE 1
#endif

enum { MOST_MS = 1500 * GATE_CPU_SCALE };

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double measure(struct gate_str text)
{
    struct gate_problems found = {0};
    double start = cpu_ms();
    gate_lint_read("routing.lua", text, &found);
    double took = cpu_ms() - start;
    ck_assert_uint_le(found.kept, GATE_PROBLEMS_MAX);
    gate_problems_finish(&found);
    return took;
}

START_TEST(hostile_texts_take_linear_time)
{
    static const struct shape shapes[] = {
        {"x = ", "(", "", ""},
        {"x = ", "{", "", ""},
        {"", ")", "", ""},
        {"", "end ", "", ""},
        {"", "do ", "", ""},
        {"", "function() ", "", ""},
        {"", "f(1 2 function() break end ", "", ""},
        {"", "f(1 2 function break break end ", "", ""},
        {"", "if x then\n", "", ""},
        {"if a then ", "elseif b then ", "", ""},
        {"", "else ", "", ""},
        {"", "until ", "", ""},
        {"", "goto a ", "::b::", ""},
        {"", "goto a# ", "", ""},
        {"", "do goto a# end ", "", ""},
        {"", "do ::a#:: end ", "", ""},
        {"", "::a#::", "", ""},
        {"", "x# = y# ", "", ""},
        {"", "local a ", "", ""},
        {"", "do local a end ", "", ""},
        {"x = '", "\\", "", ""},
        {"", "'\\q", "", ""},
        {"--[", "=", "[", "]="},
        {"x = [==[", "]=", "", ""},
        {"return {", "a = 1, ", "}", ""},
        {"return {", "a ", "}", ""},
        {"f(", "a, ", ")", ""},
        {"x = ", "'a' .. ", "1", ""},
        {"", "!", "", ""},
        {"", "\x01 ", "", ""},
        {"", "\xC3\xA9", "", ""},
        {"x = ", "1.", "", ""},
        {"local function route(req) ", "x = req.modle ", "end", ""},
        {"", "gate.x = string.y ", "", ""},
        {"", "retrun x ", "", ""},
        {"", "x = = 1 ", "", ""},
        {"", "x = = 1\n", "", ""},
        {"", "\n\r", "", ""},
    };
    double slowest = 0;
    const char *which = "";
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct gate_buf b;
        size_t each = strlen(shapes[i].part) + strlen(shapes[i].back);
        build(&b, &shapes[i], FULL_SIZE / each);
        if (b.len > FULL_SIZE)
            b.len = FULL_SIZE;
        double took = measure(gate_buf_str(&b));
        gate_buf_finish(&b);
        ck_assert_msg(took < MOST_MS, "'%s' takes %.0f ms", shapes[i].part, took);
        if (took > slowest) {
            slowest = took;
            which = shapes[i].part;
        }
    }
    printf("lint: the slowest hostile text of 1 MiB takes %.0f ms: '%s'...\n", slowest, which);
}
END_TEST

START_TEST(a_large_script_is_read_fast)
{
    struct gate_buf b;
    struct gate_str text = test_read_file(GATE_SOURCE_DIR "/scripts/gate/match.lua");
    struct gate_problems found = {0};
    gate_buf_init(&b, SIZE_MAX);
    while (b.len + text.len + 64 < FULL_SIZE) {
        gate_buf_append(&b, GATE_STR("do local function f()\n"));
        gate_buf_append(&b, text);
        gate_buf_append(&b, GATE_STR("\nend f() end\n"));
    }
    double read = measure(gate_buf_str(&b)), start = cpu_ms();
    gate_lint("gate/match.lua", gate_buf_str(&b), &found);
    double all = cpu_ms() - start;
    ck_assert_uint_eq(found.count, 0);
    printf("lint: %zu bytes of Lua are read in %.1f ms, with Lua's own compiler in %.1f ms\n",
           b.len, read, all);
    ck_assert(all < MOST_MS);
    gate_problems_finish(&found);
    gate_buf_finish(&b);
    free((char *)text.ptr);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limits of lint");
    TCase *tcase = tcase_create("limits of lint");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, limits_of_lua_are_met_exactly);
    tcase_add_test(tcase, too_many_upvalues_are_an_error);
    tcase_add_test(tcase, hostile_texts_take_linear_time);
    tcase_add_test(tcase, a_large_script_is_read_fast);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
