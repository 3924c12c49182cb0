/* generation: files of conf/, mappings, modules, references. */
#include "script_util.h"

#include <pthread.h>

static void expect_load_error(const struct test_dir *dir, enum gate_status status,
                              const char *message)
{
    struct gate_generation *g = NULL;
    struct gate_error err = {0};
    ck_assert_int_eq(gate_generation_load(dir->conf, dir->scripts, NULL, 0, 1, &g, &err), status);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s\nexpected %s", err.message, message);
}

/* ---------------------------------------------------------------- generations */

START_TEST(nothing_configured)
{
    struct gate_generation *g = NULL;
    struct gate_script *s = NULL;
    struct gate_error err = {0};
    size_t count = 1;
    ck_assert_int_eq(
        gate_generation_load("/nowhere/conf", "/nowhere/scripts", NULL, 0, 3, &g, &err), GATE_OK);
    ck_assert_uint_eq(gate_generation_number(g), 3);
    gate_generation_mappings(g, &count);
    ck_assert_uint_eq(count, 0);
    ck_assert_uint_eq(gate_generation_map(g, GATE_STR("x")).len, 0);
    ck_assert_int_eq(gate_script_create(g, &s, &err), GATE_OK);
    gate_generation_release(g); /* the script keeps it */
    test_expect_route(s, "any", NULL);
    ck_assert_uint_eq(gate_script_memory(s), 0);
    gate_script_destroy(s);
    gate_script_destroy(NULL);
    gate_generation_release(NULL);
}
END_TEST

START_TEST(shipped_conf_does_nothing)
{
    struct gate_generation *g = NULL;
    struct gate_script *s = NULL;
    struct gate_error err = {0};
    size_t count = 1;
    ck_assert_msg(gate_generation_load(GATE_SOURCE_DIR "/conf", GATE_SOURCE_DIR "/scripts", NULL, 0,
                                       1, &g, &err) == GATE_OK,
                  "%s", err.message);
    gate_generation_mappings(g, &count);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(gate_script_create(g, &s, &err), GATE_OK);
    test_expect_route(s, "gpt-4o", NULL);
    gate_script_destroy(s);
    gate_generation_release(g);
}
END_TEST

START_TEST(mappings_merge_and_environment_wins)
{
    const struct gate_mapping extra[] = {{GATE_STR("z"), GATE_STR("env-z")},
                                         {GATE_STR("b"), GATE_STR("env-b")}};
    struct gate_generation *g = NULL;
    struct gate_error err = {0};
    struct test_dir dir;
    size_t count = 0;
    test_dir_init(&dir);
    test_dir_write(&dir, "conf/models.lua", "return { b = 'lua-b', a = 'lua-a', ['a b'] = 'i/m' }");
    ck_assert_int_eq(gate_generation_load(dir.conf, dir.scripts, extra, 2, 1, &g, &err), GATE_OK);
    const struct gate_mapping *m = gate_generation_mappings(g, &count);
    ck_assert_uint_eq(count, 4);
    ck_assert(gate_str_eq(m[0].name, GATE_STR("a")) && gate_str_eq(m[1].name, GATE_STR("a b")));
    ck_assert(gate_str_eq(m[2].target, GATE_STR("env-b")));
    ck_assert(gate_str_eq(gate_generation_map(g, GATE_STR("z")), GATE_STR("env-z")));
    ck_assert(gate_str_eq(gate_generation_map(g, GATE_STR("a b")), GATE_STR("i/m")));
    ck_assert_uint_eq(gate_generation_map(g, GATE_STR("c")).len, 0);
    ck_assert_uint_eq(gate_generation_map(g, GATE_STR("")).len, 0);
    gate_generation_release(g);

    const struct gate_mapping bad = {GATE_STR("n\n"), GATE_STR("x")};
    ck_assert_int_eq(gate_generation_load(dir.conf, dir.scripts, &bad, 1, 1, &g, &err),
                     GATE_EINVAL);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(many_mappings)
{
    struct test_dir dir;
    struct gate_buf text;
    test_dir_init(&dir);
    gate_buf_init(&text, 1 << 20);
    gate_buf_printf(&text, "return {\n");
    for (int i = 0; i < 16384; i++)
        gate_buf_printf(&text, "[\"name-%d\"] = \"to-%d\",\n", i, i * 3);
    gate_buf_printf(&text, "}\n");
    test_dir_write_bytes(&dir, "conf/models.lua", gate_buf_str(&text));
    struct gate_generation *g = test_load(&dir);
    for (int i = 0; i < 16384; i++) {
        char name[32], target[32];
        snprintf(name, sizeof name, "name-%d", i);
        snprintf(target, sizeof target, "to-%d", i * 3);
        ck_assert(gate_str_eq(gate_generation_map(g, gate_str_of(name)), gate_str_of(target)));
    }
    gate_generation_release(g);
    gate_buf_finish(&text);
    test_dir_write(&dir, "conf/models.lua",
                   "local t = {} for i = 1, 16385 do t['n' .. i] = 'x' end return t");
    expect_load_error(&dir, GATE_EINTERNAL, "more than 16384 names");
    test_dir_finish(&dir);
}
END_TEST

START_TEST(wrong_models_file)
{
    static const struct {
        const char *text, *message;
    } files[] = {
        {"return", "models.lua: the file returned nothing, expected a table of model names"},
        {"return 'x'", "models.lua: the file returned string"},
        {"return {'x'}", "models.lua: a key is a number, expected a model name"},
        {"return {x = 1}", "models.lua: the value of \"x\" is a number"},
        {"return {x = ''}", "models.lua: \"x\": a target has 1 to 512 bytes"},
        {"return {[''] = 'x'}", "a model name has 1 to 256 bytes"},
        {"return {[('n'):rep(257)] = 'x'}", "a model name has 1 to 256 bytes"},
        {"return {x = ('n'):rep(513)}", "a target has 1 to 512 bytes"},
        {"return {x = 'a\\nb'}", "control characters are not allowed"},
        {"return {x = 'a\\0b'}", "control characters are not allowed"},
        {"\n\nreturn {x = }", "models.lua:3: unexpected symbol"},
        {"local x\nreturn x.y", "models.lua:2: attempt to index a nil value"},
    };
    struct test_dir dir;
    test_dir_init(&dir);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        test_dir_write(&dir, "conf/models.lua", files[i].text);
        expect_load_error(&dir, GATE_EINTERNAL, files[i].message);
    }
    test_dir_finish(&dir);
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
    struct test_dir dir;
    char path[256];
    test_dir_init(&dir);
    snprintf(path, sizeof path, "%s/routing.lua", dir.conf);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_load_error(&dir, GATE_EIO, "routing.lua: not a regular file");
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_load_error(&dir, GATE_EIO, "routing.lua: not a regular file");
    ck_assert_int_eq(unlink(path), 0);

    size_t len = GATE_SANDBOX_MAX_FILE;
    char *text = gate_alloc(len + 1);
    memset(text, ' ', len + 1);
    memcpy(text, "return function() end", 21);
    test_dir_write_bytes(&dir, "conf/routing.lua", (struct gate_str){text, len});
    gate_generation_release(test_load(&dir));
    test_dir_write_bytes(&dir, "conf/routing.lua", (struct gate_str){text, len + 1});
    expect_load_error(&dir, GATE_EINVAL, "routing.lua: larger than 1048576 bytes");
    free(text);
    test_dir_finish(&dir);
}
END_TEST

static void *release_many(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        gate_generation_retain(arg);
        gate_generation_release(arg);
    }
    gate_generation_release(arg);
    return NULL;
}

START_TEST(references_count_across_threads)
{
    struct test_dir dir;
    pthread_t threads[2];
    test_dir_init(&dir);
    test_dir_write(&dir, "conf/models.lua", "return { a = 'b' }");
    struct gate_generation *g = test_load(&dir);
    for (int i = 0; i < 2; i++) {
        gate_generation_retain(g);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, release_many, g), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert(gate_str_eq(gate_generation_map(g, GATE_STR("a")), GATE_STR("b")));
    gate_generation_release(g);
    test_dir_finish(&dir);
}
END_TEST

/* ---------------------------------------------------------------- modules */

START_TEST(modules)
{
    struct test_dir dir;
    test_dir_init(&dir);
    test_dir_write(&dir, "scripts/gate/a.lua",
                   "local name = ...\nlocal n = 0\n"
                   "return { name = name, next = function() n = n + 1 return 'n' .. n end }");
    test_dir_write(&dir, "scripts/gate/b.lua", "return require 'gate.b'");
    test_dir_write(&dir, "scripts/gate/c.lua", "\nlocal x = nil\nreturn x.y");
    test_dir_write(&dir, "scripts/gate/d.lua", "return { late = true }");
    struct gate_script *s =
        test_load_routing(&dir, "local a = require 'gate.a'\n"
                                "local again = require 'gate.a'\n"
                                "return function(req)\n"
                                "  if req.model == 'same' then\n"
                                "    return tostring(a == again) .. a.name\n"
                                "  elseif req.model == 'late' then\n"
                                "    return require 'gate.d'\n"
                                "  elseif req.model == 'write' then a.name = 'x' end\n"
                                "  return a.next()\n"
                                "end");
    /* The worker's state is built from what was read, not from what lies there now. */
    test_dir_write(&dir, "scripts/gate/a.lua", "broken");
    test_expect_route(s, "same", "truegate.a");
    test_expect_route(s, "x", "n1");
    test_expect_route(s, "x", "n2");
    test_expect_error(s, "late", "routing.lua:7: module 'gate.d' was not required while");
    test_expect_error(s, "write", "routing.lua:8: 'gate.a' is read-only");
    gate_script_destroy(s);

    test_dir_write(&dir, "conf/routing.lua", "return require 'gate.b'");
    expect_load_error(&dir, GATE_EINTERNAL, "module 'gate.b' requires itself");
    test_dir_write(&dir, "conf/routing.lua", "return require 'gate.c'");
    expect_load_error(&dir, GATE_EINTERNAL, "gate/c.lua:3: attempt to index a nil value");
    test_dir_write(&dir, "conf/routing.lua", "return require 'gate.zz'");
    expect_load_error(&dir, GATE_EINTERNAL, "no file gate/zz.lua in the script directory");
    test_dir_write(&dir, "conf/routing.lua",
                   "for i = 1, 65 do pcall(require, 'gate.m' .. i) end return require 'gate.m65'");
    for (int i = 1; i <= 65; i++) {
        char name[32];
        snprintf(name, sizeof name, "scripts/gate/m%d.lua", i);
        test_dir_write(&dir, name, "return function() end");
    }
    expect_load_error(&dir, GATE_EINTERNAL, "more than 64 modules");
    test_dir_finish(&dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("generation");
    tcase_add_test(tc, nothing_configured);
    tcase_add_test(tc, shipped_conf_does_nothing);
    tcase_add_test(tc, mappings_merge_and_environment_wins);
    tcase_add_test(tc, many_mappings);
    tcase_add_test(tc, wrong_models_file);
    tcase_add_test(tc, files_that_cannot_be_read);
    tcase_add_test(tc, references_count_across_threads);
    tcase_add_test(tc, modules);
    return test_main(tc, "generation");
}
