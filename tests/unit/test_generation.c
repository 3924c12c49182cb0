/* generation: made of sources or of files, modules, references. */
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
    ck_assert_uint_eq(gate_generation_sources(g)->count, 0);
    ck_assert_int_eq(gate_script_create(g, NULL, &s, &err), GATE_OK);
    gate_generation_release(g); /* the script keeps it */
    test_expect_route(s, "any", NULL);
    test_expect_map(s, "any", NULL);
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
    ck_assert_ptr_nonnull(gate_sources_find(gate_generation_sources(g), "gateway.lua"));
    ck_assert_int_eq(gate_script_create(g, NULL, &s, &err), GATE_OK);
    test_expect_route(s, "gpt-4o", NULL);
    test_expect_map(s, "gpt-4o", NULL);
    gate_script_destroy(s);
    gate_generation_release(g);
}
END_TEST

/* Lends one file as sources. */
static struct gate_sources one_file(const char *name, const char *text)
{
    struct gate_sources s = {0};
    struct gate_error err = {0};
    ck_assert_int_eq(gate_sources_put(&s, gate_str_of(name), gate_str_of(text), &err), GATE_OK);
    return s;
}

static struct gate_generation *create(const struct gate_sources *sources, const char *script_dir)
{
    struct gate_generation *g = NULL;
    struct gate_error err = {0};
    const struct gate_generation_input in = {.sources = sources, .script_dir = script_dir};
    ck_assert_msg(gate_generation_create(&in, &g, &err) == GATE_OK, "%s", err.message);
    return g;
}

START_TEST(a_draft_is_made_of_sources)
{
    struct gate_sources s = one_file("routing.lua", "return function() return 'draft' end");
    struct gate_script *script = NULL;
    struct gate_error err = {0};
    ck_assert_int_eq(gate_sources_put(&s, GATE_STR("tests/a.lua"), GATE_STR("-- t"), &err),
                     GATE_OK);
    struct gate_generation *g = create(&s, NULL);
    ck_assert_uint_eq(gate_generation_number(g), 0);
    gate_generation_set_number(g, 41);
    ck_assert_uint_eq(gate_generation_number(g), 41);
    ck_assert(gate_sources_equal(gate_generation_sources(g), &s));
    gate_sources_finish(&s); /* it has a copy */
    ck_assert_str_eq(gate_sources_find(gate_generation_sources(g), "tests/a.lua")->text, "-- t");
    ck_assert_int_eq(gate_script_create(g, NULL, &script, &err), GATE_OK);
    test_expect_route(script, "x", "draft");
    gate_script_destroy(script);
    gate_generation_release(g);

    s = one_file("routing.lua", "return function() end\nreturn");
    const struct gate_generation_input in = {.sources = &s};
    ck_assert_int_eq(gate_generation_create(&in, &g, &err), GATE_EINTERNAL);
    ck_assert_msg(strncmp(err.message, "routing.lua:2: ", 15) == 0, "%s", err.message);
    gate_sources_finish(&s);
}
END_TEST

START_TEST(the_same_texts_are_the_same)
{
    struct test_dir dir;
    test_dir_init(&dir);
    test_dir_write(&dir, "scripts/gate/a.lua", "return { n = 1 }");
    test_dir_write(&dir, "scripts/gate/b.lua", "return { n = 1 }");
    struct gate_sources s = one_file(
        "routing.lua", "local ok, b = pcall(require, 'gate.b')\nlocal a = require 'gate.a'\n"
                       "return function() return 'x' .. a.n end");
    struct gate_generation *one = create(&s, dir.scripts), *two = create(&s, dir.scripts);
    ck_assert(gate_generation_same(one, two) && gate_generation_same(one, one));
    gate_generation_release(two);
    test_dir_write(&dir, "scripts/gate/a.lua", "return { n = 2 }");
    two = create(&s, dir.scripts);
    ck_assert(!gate_generation_same(one, two));
    gate_generation_release(two);
    test_dir_write(&dir, "scripts/gate/a.lua", "return { n = 1 }");
    char path[256];
    snprintf(path, sizeof path, "%s/gate/b.lua", dir.scripts);
    ck_assert_int_eq(unlink(path), 0);
    two = create(&s, dir.scripts);
    ck_assert(!gate_generation_same(one, two) && !gate_generation_same(two, one));
    gate_generation_release(two);
    test_dir_write(&dir, "scripts/gate/b.lua", "return { n = 1 }");
    struct gate_error err;
    gate_sources_put(&s, GATE_STR("tests/a.lua"), GATE_STR(""), &err);
    two = create(&s, dir.scripts);
    ck_assert(!gate_generation_same(one, two));
    gate_generation_release(two);
    gate_generation_release(one);
    gate_sources_finish(&s);
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
    struct gate_script *s = test_load_routing(&dir, "return function() end");
    for (int i = 0; i < 16384; i++) {
        char name[32], target[32];
        snprintf(name, sizeof name, "name-%d", i);
        snprintf(target, sizeof target, "to-%d", i * 3);
        test_expect_map(s, name, target);
    }
    ck_assert_uint_lt(gate_script_memory(s), 100 * 1024); /* no worker holds the table */
    gate_script_destroy(s);
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

    size_t len = GATE_SANDBOX_MAX_FILE;
    char *text = gate_alloc(len + 1);
    memset(text, ' ', len + 1);
    memcpy(text, "return function() end", 21);
    test_dir_write_bytes(&dir, "conf/routing.lua", (struct gate_str){text, len});
    gate_generation_release(test_load(&dir));
    test_dir_write_bytes(&dir, "conf/routing.lua", (struct gate_str){text, len + 1});
    expect_load_error(&dir, GATE_ELIMIT, "routing.lua: larger than 1048576 bytes");
    test_dir_write(&dir, "conf/routing.lua", "return require 'gate.big'");
    test_dir_write_bytes(&dir, "scripts/gate/big.lua", (struct gate_str){text, len + 1});
    expect_load_error(&dir, GATE_EINTERNAL, "gate/big.lua: larger than 1048576 bytes");
    free(text);
    snprintf(path, sizeof path, "%s/gate/fifo.lua", dir.scripts);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    test_dir_write(&dir, "conf/routing.lua", "return require 'gate.fifo'");
    expect_load_error(&dir, GATE_EINTERNAL, "gate/fifo.lua: not a regular file");
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
    size_t count;
    ck_assert(gate_str_eq(gate_generation_mappings(g, &count)->target, GATE_STR("b")));
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
    tcase_add_test(tc, a_draft_is_made_of_sources);
    tcase_add_test(tc, the_same_texts_are_the_same);
    tcase_add_test(tc, many_mappings);
    tcase_add_test(tc, wrong_models_file);
    tcase_add_test(tc, files_that_cannot_be_read);
    tcase_add_test(tc, references_count_across_threads);
    tcase_add_test(tc, modules);
    return test_main(tc, "generation");
}
