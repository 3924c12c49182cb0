/* models: what a name stands for: exact names, patterns, functions, the environment. */
#include "script_util.h"

#include "base/clock.h"

#include <time.h>

static struct gate_script *load_models(const struct test_dir *dir, const char *text,
                                       const struct gate_mapping *extra, size_t extra_count)
{
    struct gate_generation *g = NULL;
    struct gate_script *s = NULL;
    struct gate_error err = {0};
    if (text != NULL)
        test_dir_write(dir, "conf/models.lua", text);
    ck_assert_msg(gate_generation_load(dir->conf, dir->scripts, extra, extra_count, 1, &g, &err) ==
                      GATE_OK,
                  "%s", err.message);
    ck_assert_msg(gate_script_create(g, NULL, &s, &err) == GATE_OK, "%s", err.message);
    gate_generation_release(g);
    return s;
}

static void expect_map_error(struct gate_script *s, const char *name, const char *message)
{
    char room[GATE_SCRIPT_MAX_TARGET];
    struct gate_str got;
    struct gate_error err = {0};
    ck_assert_int_eq(gate_script_map(s, gate_str_of(name), room, &got, &err), GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s\nexpected %s", err.message, message);
    ck_assert_uint_eq(got.len, 0);
}

START_TEST(patterns_by_how_much_they_say)
{
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s = load_models(&dir,
                                        "return {\n"
                                        "  ['gpt-4o'] = 'exact',\n"
                                        "  ['gpt-*'] = 'qwen/*',\n"
                                        "  ['gpt-4*'] = 'four',\n"
                                        "  ['gpt-4?'] = 'four-one',\n"
                                        "  ['gpt-4*x'] = 'four-*-x',\n"
                                        "  ['*-mini'] = 'small/*',\n"
                                        "  ['?'] = 'letter',\n"
                                        "  ['a*b*c'] = '<*>',\n"
                                        "  ['b*b'] = 'bb',\n"
                                        "  ['c*?'] = 'c-*',\n"
                                        "  ['literal'] = 'star-*',\n"
                                        "  ['e*'] = '*',\n"
                                        "}",
                                        NULL, 0);
    test_expect_map(s, "gpt-4o", "exact");
    test_expect_map(s, "gpt-3", "qwen/3");
    test_expect_map(s, "gpt-", "qwen/");
    test_expect_map(s, "gpt", NULL);
    test_expect_map(s, "gpt-4", "four");
    test_expect_map(s, "gpt-41", "four-one"); /* as long, but fewer stars */
    test_expect_map(s, "gpt-4-turbo", "four");
    test_expect_map(s, "gpt-4-turbo-x", "four--turbo--x");
    test_expect_map(s, "gpt-4x", "four--x");
    test_expect_map(s, "o1-mini", "small/o1");
    test_expect_map(s, "gpt-4-mini", "four"); /* the longer text in front wins */
    test_expect_map(s, "-mini", "small/");
    test_expect_map(s, "x", "letter");
    test_expect_map(s, "\xc3\xa9", "letter");     /* one character of two bytes */
    test_expect_map(s, "\xe4\xb8\xad\xe6", NULL); /* one, and half of another */
    test_expect_map(s, "abc", "<>");
    test_expect_map(s, "a1b2c", "<1>");
    test_expect_map(s, "a1b2b3c", "<1>"); /* the first '*' takes as little as it can */
    test_expect_map(s, "a1b2c3", NULL);
    test_expect_map(s, "acb", NULL);
    test_expect_map(s, "bb", "bb");
    test_expect_map(s, "b", "letter"); /* one 'b' is not both ends */
    test_expect_map(s, "bab", "bb");
    test_expect_map(s, "babab", "bb");
    test_expect_map(s, "c\xc3\xa9\xc3\xa9", "c-\xc3\xa9"); /* characters are not torn apart */
    test_expect_map(s, "literal", "star-*");
    test_expect_map(s, "e", NULL); /* nothing is left of it */
    test_expect_map(s, "ef", "f");
    test_expect_map(s, "", NULL);
    ck_assert_uint_eq(gate_script_memory(s), 0); /* all of it is data */
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

/* Both ways of asking the same question agree, for all short patterns and names. */
static bool matches_slowly(const char *pattern, const char *name)
{
    if (*pattern == '*')
        return matches_slowly(pattern + 1, name) ||
               (*name != '\0' && matches_slowly(pattern, name + 1));
    if (*pattern == '\0' || *name == '\0')
        return *pattern == *name;
    return (*pattern == '?' || *pattern == *name) && matches_slowly(pattern + 1, name + 1);
}

static void spell(unsigned number, const char *letters, char *out)
{
    unsigned base = (unsigned)strlen(letters);
    for (; number > 0; number = (number - 1) / base)
        *out++ = letters[(number - 1) % base];
    *out = '\0';
}

START_TEST(patterns_match_as_they_are_defined)
{
    struct test_dir dir;
    int compared = 0;
    test_dir_init(&dir);
    for (unsigned p = 1; p < 1365; p++) { /* up to five of four letters */
        char pattern[8], text[64];
        spell(p, "ab*?", pattern);
        if (strpbrk(pattern, "*?") == NULL)
            continue;
        snprintf(text, sizeof text, "return { ['%s'] = 'yes' }", pattern);
        struct gate_script *s = load_models(&dir, text, NULL, 0);
        for (unsigned n = 1; n < 127; n++) { /* up to six of two letters */
            char name[8];
            spell(n, "ab", name);
            test_expect_map(s, name, matches_slowly(pattern, name) ? "yes" : NULL);
            compared++;
        }
        gate_script_destroy(s);
    }
    ck_assert_int_gt(compared, 100000);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(functions_decide)
{
    struct test_dir dir;
    size_t count;
    test_dir_init(&dir);
    struct gate_script *s =
        load_models(&dir,
                    "local calls = 0\n"
                    "return {\n"
                    "  fast = 'qwen-turbo',\n"
                    "  smart = function(model) calls = calls + 1 return model .. calls end,\n"
                    "  ['gpt-*'] = function(model) return 'openai/' .. model end,\n"
                    "  ['gpt-own-*'] = function() end,\n"
                    "  function(model) if #model > 10 then return 'long' end end,\n"
                    "}\n",
                    NULL, 0);
    test_expect_map(s, "fast", "qwen-turbo");
    test_expect_map(s, "smart", "smart1");
    test_expect_map(s, "smart", "smart2");
    test_expect_map(s, "gpt-5", "openai/gpt-5");
    test_expect_map(s, "gpt-own-x-very-long", NULL); /* its function has decided */
    test_expect_map(s, "other", NULL);
    test_expect_map(s, "other-and-longer", "long");
    /* What only a hostile client sends does not get to a function. */
    test_expect_map(s, "gpt-\x01", NULL);
    test_expect_map(s, "long-long-long\n", NULL);
    test_expect_map(s, "", NULL);
    char name[GATE_SCRIPT_MAX_NAME + 2];
    memset(name, 'n', sizeof name);
    name[GATE_SCRIPT_MAX_NAME + 1] = '\0';
    test_expect_map(s, name, NULL);
    name[GATE_SCRIPT_MAX_NAME] = '\0';
    test_expect_map(s, name, "long");
    ck_assert_uint_gt(gate_script_memory(s), 0);
    gate_script_destroy(s);

    struct gate_generation *g = test_load(&dir);
    const struct gate_mapping *m = gate_generation_mappings(g, &count);
    ck_assert_uint_eq(count, 2); /* exact names only */
    ck_assert(gate_str_eq(m[0].name, GATE_STR("fast")) && m[0].target.len == 10);
    ck_assert(gate_str_eq(m[1].name, GATE_STR("smart")) && m[1].target.len == 0);
    gate_generation_release(g);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(functions_that_fail)
{
    static const struct {
        const char *name, *message;
    } wrong[] = {
        {"empty", "models.lua:2: the function of \"empty\" returned an empty string, expected"},
        {"number", "models.lua:3: the function of \"number\" returned a number, expected the name"},
        {"long", "models.lua:4: the function of \"long\" returned a model name of 513 bytes"},
        {"control", "models.lua:5: the function of \"control\" returned a model name with control"},
        {"p-1", "models.lua:6: the function of \"p-*\" returned a boolean"},
        {"raise", "models.lua:7: sorry"},
        {"loop", "models.lua:8: instruction budget used up (200000)"},
        {"rest", "models.lua:10: the function for other names returned a table"},
    };
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s = load_models(&dir,
                                        "return {\n"
                                        "empty = function() return '' end,\n"
                                        "number = function() return 5 end,\n"
                                        "long = function() return ('x'):rep(513) end,\n"
                                        "control = function() return 'a\\nb' end,\n"
                                        "['p-*'] = function() return false end,\n"
                                        "raise = function() error('sorry') end,\n"
                                        "loop = function() while true do end end,\n"
                                        "fine = function() return ('x'):rep(512) end,\n"
                                        "function() return {} end,\n"
                                        "}",
                                        NULL, 0);
    for (int round = 0; round < 2; round++) {
        char full[513];
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
            expect_map_error(s, wrong[i].name, wrong[i].message);
        memset(full, 'x', 512);
        full[512] = '\0';
        test_expect_map(s, "fine", full);
    }
    expect_map_error(s, "raise", "sorry");
    ck_assert_msg(strstr(gate_script_stack(s), "models.lua:7: in") != NULL, "%s",
                  gate_script_stack(s));
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

/* A file that returns something else the second time is not what was checked. */
START_TEST(functions_that_are_gone)
{
    struct test_dir dir;
    char text[160];
    struct gate_error err = {0};
    struct gate_script *s = NULL;
    test_dir_init(&dir);
    snprintf(text, sizeof text,
             "local later = gate.now() > %llu\n"
             "return { x = not later and function() return 'y' end, z = 'data' }",
             (unsigned long long)gate_clock_wall_ms() + 3600000);
    test_dir_write(&dir, "conf/models.lua", text);
    struct gate_generation *g = test_load(&dir);
    gate_clock_shift(7200000);
    ck_assert_msg(gate_script_create(g, NULL, &s, &err) == GATE_OK, "%s", err.message);
    gate_clock_shift(0);
    gate_generation_release(g);
    test_expect_map(s, "z", "data");
    expect_map_error(s, "x", "models.lua: the file returned another table than when it was loaded");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(the_environment_wins)
{
    const struct gate_mapping extra[] = {{GATE_STR("z"), GATE_STR("env-z")},
                                         {GATE_STR("b"), GATE_STR("env-b")},
                                         {GATE_STR("gpt-*"), GATE_STR("env/*")},
                                         {GATE_STR("f?"), GATE_STR("env-f")},
                                         {GATE_STR("own*"), GATE_STR("*")}};
    struct gate_generation *g = NULL;
    struct gate_error err = {0};
    struct test_dir dir;
    size_t count = 0;
    test_dir_init(&dir);
    struct gate_script *s = load_models(
        &dir,
        "return { b = 'lua-b', a = 'lua-a', ['gpt-4'] = 'lua-4', ['gpt-4*'] = 'lua-4s',\n"
        "ff = function() return 'lua-f' end, own = 'lua-own', ['h*'] = 'lua-h' }",
        extra, 5);
    test_expect_map(s, "a", "lua-a");
    test_expect_map(s, "b", "env-b");
    test_expect_map(s, "z", "env-z");
    test_expect_map(s, "gpt-4", "env/4");
    test_expect_map(s, "gpt-4o", "env/4o");
    test_expect_map(s, "ff", "env-f");
    test_expect_map(s, "own", "own");
    test_expect_map(s, "h1", "lua-h");
    gate_script_destroy(s);
    ck_assert_int_eq(gate_generation_load(dir.conf, dir.scripts, extra, 5, 1, &g, &err), GATE_OK);
    const struct gate_mapping *m = gate_generation_mappings(g, &count);
    ck_assert_uint_eq(count, 6);
    for (size_t i = 1; i < count; i++)
        ck_assert_int_lt(strncmp(m[i - 1].name.ptr, m[i].name.ptr, m[i].name.len), 0);
    ck_assert(gate_str_eq(m[2].name, GATE_STR("ff")) &&
              gate_str_eq(m[2].target, GATE_STR("env-f")));
    gate_generation_release(g);

    static const struct gate_mapping bad[] = {{{"n\n", 2}, {"x", 1}}, {{"", 0}, {"x", 1}},
                                              {{"n", 1}, {NULL, 0}},  {{"n", 1}, {"", 0}},
                                              {{"n?", 2}, {"x*", 2}}, {{"n*", 2}, {"**", 2}}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(gate_generation_load(dir.conf, dir.scripts, &bad[i], 1, 1, &g, &err),
                         GATE_EINVAL);
        ck_assert_msg(strncmp(err.message, "model mapping \"", 15) == 0, "%s", err.message);
    }
    test_dir_finish(&dir);
}
END_TEST

START_TEST(a_file_has_bounds)
{
    static const struct {
        const char *text, *message;
    } files[] = {
        {"return { ['a?'] = 'x*' }", "\"a?\": the target has a '*' and the name has none"},
        {"return { ['a*'] = '**' }", "\"a*\": a target has at most one '*'"},
        {"return { ['a*'] = '*' .. ('x'):rep(257) }", "a target with a '*' has at most 257 bytes"},
        {"return { a = 'x', [2] = function() end }", "a key is a number, expected a model name"},
        {"return { [1] = 'x' }", "a key is a number, expected a model name"},
        {"return { [true] = 'x' }", "a key is a boolean"},
        {"return { a = {} }", "the value of \"a\" is a table, expected a model (a string) or a"},
        {"return { [('n'):rep(100000)] = 1 }", "nnn\" is a number"},
        {"return setmetatable({}, { __index = function() return 'x' end })", "with a metatable"},
        {"local t = {} for i = 1, 16385 do t['n' .. i] = 'x' end return t",
         "models.lua: more than 16384 names"},
        {"local t = {} for i = 1, 1025 do t['n*' .. i] = 'x' end return t",
         "models.lua: more than 1024 names with '*' or '?'"},
    };
    struct test_dir dir;
    test_dir_init(&dir);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct gate_generation *g = NULL;
        struct gate_error err = {0};
        test_dir_write(&dir, "conf/models.lua", files[i].text);
        ck_assert_int_eq(gate_generation_load(dir.conf, dir.scripts, NULL, 0, 1, &g, &err),
                         GATE_EINTERNAL);
        ck_assert_msg(strncmp(err.message, "models.lua: ", 12) == 0 &&
                          strstr(err.message, files[i].message) != NULL,
                      "%s\nexpected %s", err.message, files[i].message);
    }
    struct gate_script *s = load_models(&dir, "return { ['a*'] = '*' .. ('x'):rep(256) }", NULL, 0);
    char name[GATE_SCRIPT_MAX_NAME + 1], target[GATE_SCRIPT_MAX_TARGET + 1];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(target, sizeof target, "%s", name + 1);
    memset(target + 255, 'x', 256);
    target[511] = '\0';
    test_expect_map(s, name, target);
    gate_script_destroy(s);

    const struct gate_mapping extra = {GATE_STR("e*"), GATE_STR("env")};
    s = load_models(&dir, "local t = {} for i = 1, 1023 do t['n*' .. i] = 'x' end return t", &extra,
                    1);
    test_expect_map(s, "e1", "env");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- one state */

START_TEST(the_three_files_share_a_state)
{
    struct test_dir dir;
    test_dir_init(&dir);
    test_dir_write(&dir, "scripts/gate/shared.lua",
                   "local n = 0\nreturn { next = function() n = n + 1 return n end }");
    test_dir_write(&dir, "conf/models.lua",
                   "local shared = require 'gate.shared'\n"
                   "return { a = function() return 'm' .. shared.next() end }");
    struct gate_script *s =
        test_load_routing(&dir, "local shared = require 'gate.shared'\n"
                                "return function() return 'r' .. shared.next() end");
    test_expect_map(s, "a", "m1");
    test_expect_route(s, "x", "r2");
    test_expect_map(s, "a", "m3");
    gate_script_destroy(s);

    /* Without functions the file is not even run in a worker. */
    test_dir_write(&dir, "conf/models.lua", "require('gate.shared').next()\nreturn { a = 'data' }");
    s = test_load_routing(&dir, "local shared = require 'gate.shared'\n"
                                "return function() return 'r' .. shared.next() end");
    test_expect_map(s, "a", "data");
    test_expect_route(s, "x", "r1");
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- cost */

static double map_ns(struct gate_script *s, const char *name)
{
    enum { CALLS = 200000 };
    char room[GATE_SCRIPT_MAX_TARGET];
    struct gate_str target, key = gate_str_of(name);
    struct gate_error err;
    struct timespec a, b;
    size_t bytes = 0;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < CALLS; i++) {
        if (gate_script_map(s, key, room, &target, &err) != GATE_OK)
            ck_abort_msg("%s", err.message);
        bytes += target.len;
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    ck_assert_uint_lt(bytes, SIZE_MAX);
    return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / CALLS;
}

START_TEST(mapping_is_cheap)
{
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s = load_models(&dir, NULL, NULL, 0);
    printf("map: nothing configured %.1f ns\n", map_ns(s, "gpt-4o"));
    gate_script_destroy(s);
    s = load_models(&dir,
                    "local t = {}\n"
                    "for i = 1, 1000 do t['model-' .. i] = 'qwen/model-' .. i end\n"
                    "for i = 1, 100 do t['family-' .. i .. '-*'] = 'openai/*' end\n"
                    "return t",
                    NULL, 0);
    double exact = map_ns(s, "model-777"), first = map_ns(s, "family-100-x"),
           last = map_ns(s, "family-9-turbo"), none = map_ns(s, "gpt-4o");
    printf("map: 1000 names, 100 patterns: exact %.0f ns, first pattern %.0f ns, last %.0f ns, "
           "none %.0f ns\n",
           exact, first, last, none);
    size_t memory = gate_script_memory(s);
    ck_assert_uint_eq(memory, 0);
    gate_script_destroy(s);
    s = load_models(&dir, "return { f = function(model) return 'to' end }", NULL, 0);
    printf("map: function %.0f ns\n", map_ns(s, "f"));
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("models");
    tcase_add_test(tc, patterns_by_how_much_they_say);
    tcase_add_test(tc, patterns_match_as_they_are_defined);
    tcase_add_test(tc, functions_decide);
    tcase_add_test(tc, functions_that_fail);
    tcase_add_test(tc, functions_that_are_gone);
    tcase_add_test(tc, the_environment_wins);
    tcase_add_test(tc, a_file_has_bounds);
    tcase_add_test(tc, the_three_files_share_a_state);
    tcase_add_test(tc, mapping_is_cheap);
    return test_main(tc, "models");
}
