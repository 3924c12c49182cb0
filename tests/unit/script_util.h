/*
 * script_util: what the tests of the script wing share: a sandbox that runs a text, and a directory
 * that is made for one test and removed after it.
 */
#ifndef TESTS_SCRIPT_UTIL_H
#define TESTS_SCRIPT_UTIL_H

#include "base/buf.h"
#include "script/sandbox.h"
#include "script/script.h"

#include <check.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static inline struct gate_str test_read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "cannot open %s", path);
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    long len = ftell(f);
    rewind(f);
    char *text = gate_calloc(1, (size_t)len + 1);
    ck_assert_uint_eq(fread(text, 1, (size_t)len, f), (size_t)len);
    fclose(f);
    return (struct gate_str){text, (size_t)len};
}

/* A directory with conf/ and scripts/gate/. */
struct test_dir {
    char root[160], conf[180], scripts[180];
};

static inline void test_dir_init(struct test_dir *d)
{
    char gate[200];
    const char *tmp = getenv("TMPDIR");
    snprintf(d->root, sizeof d->root, "%s/llm-gate-test-XXXXXX", tmp != NULL ? tmp : P_tmpdir);
    ck_assert(mkdtemp(d->root) != NULL);
    snprintf(d->conf, sizeof d->conf, "%s/conf", d->root);
    snprintf(d->scripts, sizeof d->scripts, "%s/scripts", d->root);
    snprintf(gate, sizeof gate, "%s/gate", d->scripts);
    ck_assert(mkdir(d->conf, 0700) == 0 && mkdir(d->scripts, 0700) == 0 && mkdir(gate, 0700) == 0);
}

static inline int test_remove_one(const char *path, const struct stat *st, int type,
                                  struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

static inline void test_dir_finish(struct test_dir *d)
{
    nftw(d->root, test_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void test_dir_write_bytes(const struct test_dir *d, const char *name,
                                        struct gate_str text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", d->root, name);
    FILE *f = fopen(path, "wb");
    ck_assert_msg(f != NULL, "cannot write %s", path);
    ck_assert_uint_eq(fwrite(text.ptr, 1, text.len, f), text.len);
    ck_assert_int_eq(fclose(f), 0);
}

static inline void test_dir_write(const struct test_dir *d, const char *name, const char *text)
{
    test_dir_write_bytes(d, name, gate_str_of(text));
}

/* A sandbox call that runs a text as test.lua and keeps its result if that is a number or text. */
struct test_run {
    struct gate_str text;
    const char *name; /* NULL: test.lua */
    char result[256];
};

static inline int test_run_text(lua_State *L)
{
    struct test_run *r = lua_touserdata(L, 1);
    gate_sandbox_run(L, r->name != NULL ? r->name : "test.lua", r->text, -1);
    snprintf(r->result, sizeof r->result, "%s", luaL_tolstring(L, -1, NULL));
    return 0;
}

static const struct gate_sandbox_limits TEST_LIMITS = {5000000, 2000};

static inline enum gate_status test_run(struct gate_sandbox *sb, const char *text,
                                        struct test_run *r, struct gate_error *err)
{
    *r = (struct test_run){.text = gate_str_of(text)};
    return gate_sandbox_call(sb, "test.lua", &TEST_LIMITS, test_run_text, r, err);
}

/* A request with every fact set. */
static const struct gate_request_facts TEST_FACTS = {
    .message_count = 3, .tool_count = 2, .stream = true, .has_images = true, .max_tokens = 512};

static inline struct gate_route_view test_view(const char *model)
{
    static const struct gate_header headers[] = {{{"x-team", 6}, {"blue", 4}},
                                                 {{"x-empty", 7}, {NULL, 0}}};
    return (struct gate_route_view){.model = gate_str_of(model),
                                    .key_name = GATE_STR("ada"),
                                    .path = GATE_STR("/v1/chat/completions"),
                                    .facts = &TEST_FACTS,
                                    .body_bytes = 1234,
                                    .headers = headers,
                                    .header_count = 2};
}

static inline struct gate_generation *test_load(const struct test_dir *dir)
{
    struct gate_generation *g = NULL;
    struct gate_error err = {0};
    ck_assert_msg(gate_generation_load(dir->conf, dir->scripts, NULL, 0, 7, &g, &err) == GATE_OK,
                  "%s", err.message);
    return g;
}

static inline struct gate_script *test_load_routing(const struct test_dir *dir, const char *text)
{
    struct gate_script *s = NULL;
    struct gate_error err = {0};
    test_dir_write(dir, "conf/routing.lua", text);
    struct gate_generation *g = test_load(dir);
    ck_assert_msg(gate_script_create(g, NULL, &s, &err) == GATE_OK, "%s", err.message);
    gate_generation_release(g);
    return s;
}

static inline void test_expect_route(struct gate_script *s, const char *model, const char *target)
{
    struct gate_route_view view = test_view(model);
    struct gate_decision d;
    struct gate_error err = {0};
    ck_assert_msg(gate_script_route(s, &view, &d, &err) == GATE_OK, "%s: %s", model, err.message);
    ck_assert_uint_eq(d.target_count, target != NULL ? 1 : 0);
    if (target != NULL)
        ck_assert_msg(gate_str_eq(d.targets[0].name, gate_str_of(target)), "%s: %.*s", model,
                      (int)d.targets[0].name.len, d.targets[0].name.ptr);
    gate_decision_finish(&d);
}

/* target NULL: the name stands for itself. */
static inline void test_expect_map(struct gate_script *s, const char *name, const char *target)
{
    char room[GATE_SCRIPT_MAX_TARGET];
    struct gate_str got = GATE_STR("untouched");
    struct gate_error err = {0};
    ck_assert_msg(gate_script_map(s, gate_str_of(name), room, &got, &err) == GATE_OK, "%s: %s",
                  name, err.message);
    ck_assert_msg(gate_str_eq(got, gate_str_of(target != NULL ? target : "")), "%s: %.*s", name,
                  (int)got.len, got.len > 0 ? got.ptr : "");
}

static inline void test_expect_error(struct gate_script *s, const char *model, const char *message)
{
    struct gate_route_view view = test_view(model);
    struct gate_decision d;
    struct gate_error err = {0};
    ck_assert_int_eq(gate_script_route(s, &view, &d, &err), GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s\nexpected %s", err.message, message);
    ck_assert_uint_eq(d.target_count, 0);
}

/* Runs a suite's cases in this process. Returns main's result. */
static inline int test_main(TCase *tc, const char *name)
{
    Suite *suite = suite_create(name);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
