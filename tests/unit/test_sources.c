/* sources: names, the set, reading a directory. */
#include "script_util.h"

#include "script/sources.h"

static const struct gate_str TEXT = {"return {}", 9};

static void put(struct gate_sources *s, const char *name, const char *text)
{
    struct gate_error err = {0};
    ck_assert_msg(gate_sources_put(s, gate_str_of(name), gate_str_of(text), &err) == GATE_OK,
                  "%s: %s", name, err.message);
}

static void expect_text(const struct gate_sources *s, const char *name, const char *text)
{
    const struct gate_source *file = gate_sources_find(s, name);
    ck_assert_msg(file != NULL, "%s is not there", name);
    ck_assert_str_eq(file->name, name);
    ck_assert_uint_eq(file->len, strlen(text));
    ck_assert_str_eq(file->text, text); /* the NUL behind it, too */
}

static void expect_read_error(const struct test_dir *dir, enum gate_status status,
                              const char *message)
{
    struct gate_sources s = {.count = 5};
    struct gate_error err = {0};
    ck_assert_int_eq(gate_sources_read(dir->conf, &s, &err), status);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s\nexpected %s", err.message, message);
    ck_assert(s.files == NULL && s.count == 0);
}

START_TEST(names)
{
    static const char *const good[] = {"gateway.lua",  "models.lua",      "routing.lua",
                                       "accounts.lua", "tests/a.lua",     "tests/0_-z.lua",
                                       "tests/-.lua",  "tests/models.lua"};
    static const char *const bad[] = {"",
                                      "gateway",
                                      "Gateway.lua",
                                      "gateway.lua~",
                                      "./gateway.lua",
                                      "other.lua",
                                      "tests",
                                      "tests/",
                                      "tests/.lua",
                                      "tests/A.lua",
                                      "tests/a b.lua",
                                      "tests/a.lua.lua",
                                      "tests/../models.lua",
                                      "tests/a/b.lua",
                                      "tests/\xc3\xa9.lua",
                                      "tests/a.LUA",
                                      "/models.lua"};
    char name[80];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(gate_sources_is_name(gate_str_of(good[i])), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!gate_sources_is_name(gate_str_of(bad[i])), "%s", bad[i]);
    ck_assert(!gate_sources_is_name((struct gate_str){NULL, 0}));
    ck_assert(!gate_sources_is_name((struct gate_str){"models.lua\0", 11}));
    ck_assert(!gate_sources_is_name((struct gate_str){"tests/a\0.lua", 12}));
    snprintf(name, sizeof name, "tests/%054d.lua", 0);
    ck_assert_uint_eq(strlen(name), GATE_SOURCES_MAX_NAME);
    ck_assert(gate_sources_is_name(gate_str_of(name)));
    snprintf(name, sizeof name, "tests/%055d.lua", 0);
    ck_assert(!gate_sources_is_name(gate_str_of(name)));
}
END_TEST

START_TEST(a_set_is_sorted_and_copied)
{
    struct gate_sources s = {0}, copy, other = {0};
    put(&s, "tests/b.lua", "-- b");
    put(&s, "routing.lua", "-- one");
    put(&s, "gateway.lua", "");
    put(&s, "tests/a.lua", "-- a");
    put(&s, "routing.lua", "-- two, longer");
    ck_assert_uint_eq(s.count, 4);
    for (size_t i = 1; i < s.count; i++)
        ck_assert_int_lt(strcmp(s.files[i - 1].name, s.files[i].name), 0);
    expect_text(&s, "routing.lua", "-- two, longer");
    expect_text(&s, "gateway.lua", "");
    ck_assert(gate_sources_find(&s, "models.lua") == NULL);
    ck_assert(gate_sources_find(&s, "tests/") == NULL);

    gate_sources_copy(&s, &copy);
    ck_assert(gate_sources_equal(&s, &copy) && copy.files[0].text != s.files[0].text);
    put(&copy, "tests/a.lua", "-- A");
    ck_assert(!gate_sources_equal(&s, &copy));
    put(&copy, "tests/a.lua", "-- a");
    ck_assert(gate_sources_equal(&s, &copy));
    gate_sources_remove(&copy, "tests/a.lua");
    ck_assert(!gate_sources_equal(&s, &copy) && copy.count == 3);
    gate_sources_remove(&copy, "tests/a.lua");
    gate_sources_remove(&copy, "nothing");
    ck_assert_uint_eq(copy.count, 3);
    expect_text(&copy, "tests/b.lua", "-- b");
    expect_text(&s, "tests/a.lua", "-- a");
    put(&copy, "tests/c.lua", "-- a");
    ck_assert(!gate_sources_equal(&s, &copy)); /* as many, of another name */

    gate_sources_finish(&copy);
    gate_sources_copy(&other, &copy);
    ck_assert(copy.count == 0 && gate_sources_equal(&copy, &other));
    ck_assert(!gate_sources_equal(&s, &other));
    gate_sources_finish(&copy);
    gate_sources_finish(&s);
    gate_sources_finish(&s);
    gate_sources_finish(&other);
}
END_TEST

START_TEST(a_set_has_bounds)
{
    struct gate_sources s = {0};
    struct gate_error err = {0};
    size_t half = GATE_SOURCES_MAX_BYTES / 2;
    struct gate_str big = {gate_calloc(1, GATE_SOURCES_MAX_BYTES + 1), GATE_SOURCES_MAX_BYTES};
    char name[32];
    ck_assert_int_eq(gate_sources_put(&s, GATE_STR("x.lua"), TEXT, &err), GATE_EINVAL);
    ck_assert(strstr(err.message, "no file of conf/ has such a name") != NULL);

    struct gate_str larger = {big.ptr, big.len + 1};
    ck_assert_int_eq(gate_sources_put(&s, GATE_STR("models.lua"), larger, &err), GATE_ELIMIT);
    ck_assert_str_eq(err.message, "models.lua: larger than 1048576 bytes");
    ck_assert_int_eq(gate_sources_put(&s, GATE_STR("models.lua"), big, &err), GATE_OK);
    ck_assert_int_eq(gate_sources_put(&s, GATE_STR("routing.lua"), GATE_STR("x"), &err),
                     GATE_ELIMIT);
    ck_assert_str_eq(err.message, "routing.lua: with it all files have more than 1048576 bytes");
    ck_assert_uint_eq(s.count, 1);
    /* What it takes the place of does not count, and after a refusal it is still there. */
    ck_assert_int_eq(gate_sources_put(&s, GATE_STR("models.lua"), big, &err), GATE_OK);
    big.len = half;
    ck_assert_int_eq(gate_sources_put(&s, GATE_STR("models.lua"), big, &err), GATE_OK);
    ck_assert_int_eq(gate_sources_put(&s, GATE_STR("routing.lua"), big, &err), GATE_OK);
    big.len = half + 1;
    ck_assert_int_eq(gate_sources_put(&s, GATE_STR("routing.lua"), big, &err), GATE_ELIMIT);
    ck_assert_uint_eq(gate_sources_find(&s, "routing.lua")->len, half);
    gate_sources_finish(&s);

    for (int i = 0; i < GATE_SOURCES_MAX_FILES; i++) {
        snprintf(name, sizeof name, "tests/t%d.lua", i);
        put(&s, name, "");
    }
    ck_assert_int_eq(gate_sources_put(&s, GATE_STR("models.lua"), TEXT, &err), GATE_ELIMIT);
    ck_assert_str_eq(err.message, "models.lua: more than 64 files");
    put(&s, "tests/t7.lua", "replaced");
    gate_sources_remove(&s, "tests/t8.lua");
    put(&s, "models.lua", "return {}");
    gate_sources_finish(&s);
    free((char *)big.ptr);
}
END_TEST

START_TEST(a_directory_is_read)
{
    struct test_dir dir;
    struct gate_sources s, again;
    struct gate_error err = {0};
    char path[256], target[256];
    test_dir_init(&dir);
    ck_assert_int_eq(gate_sources_read(NULL, &s, &err), GATE_OK);
    ck_assert(s.count == 0 && s.files == NULL);
    ck_assert_int_eq(gate_sources_read("/nowhere/at/all", &s, &err), GATE_OK);
    ck_assert_uint_eq(s.count, 0);
    ck_assert_int_eq(gate_sources_read(dir.conf, &s, &err), GATE_OK);
    ck_assert_uint_eq(s.count, 0);

    test_dir_write(&dir, "conf/routing.lua", "return route");
    test_dir_write_bytes(&dir, "conf/models.lua", (struct gate_str){"a\0b", 3});
    test_dir_write(&dir, "conf/gateway.lua", "");
    test_dir_write(&dir, "conf/README.md", "not a script");
    test_dir_write(&dir, "conf/.routing.lua.swp", "not a script");
    snprintf(path, sizeof path, "%s/tests", dir.conf);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    test_dir_write(&dir, "conf/tests/one.lua", "-- 1");
    test_dir_write(&dir, "conf/tests/one.lua~", "-- old");
    test_dir_write(&dir, "conf/tests/Two.lua", "-- 2");
    /* As mounted configuration looks: the file is a link. */
    test_dir_write(&dir, "scripts/real.lua", "-- linked");
    snprintf(path, sizeof path, "%s/accounts.lua", dir.conf);
    snprintf(target, sizeof target, "%s/real.lua", dir.scripts);
    ck_assert_int_eq(symlink(target, path), 0);

    ck_assert_msg(gate_sources_read(dir.conf, &s, &err) == GATE_OK, "%s", err.message);
    ck_assert_uint_eq(s.count, 5);
    expect_text(&s, "accounts.lua", "-- linked");
    expect_text(&s, "gateway.lua", "");
    expect_text(&s, "routing.lua", "return route");
    expect_text(&s, "tests/one.lua", "-- 1");
    ck_assert_uint_eq(gate_sources_find(&s, "models.lua")->len, 3);
    ck_assert_int_eq(memcmp(gate_sources_find(&s, "models.lua")->text, "a\0b", 4), 0);
    ck_assert_int_eq(gate_sources_read(dir.conf, &again, &err), GATE_OK);
    ck_assert(gate_sources_equal(&s, &again));
    gate_sources_finish(&again);
    gate_sources_finish(&s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(what_cannot_be_read_is_named)
{
    struct test_dir dir;
    char path[256], tests[256];
    struct gate_sources s;
    struct gate_error err = {0};
    test_dir_init(&dir);
    snprintf(path, sizeof path, "%s/routing.lua", dir.conf);
    snprintf(tests, sizeof tests, "%s/tests", dir.conf);
    test_dir_write(&dir, "conf/models.lua", "return {}"); /* read before, and freed */
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_read_error(&dir, GATE_EIO, "routing.lua: not a regular file");
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* nobody writes: a read would wait forever */
    expect_read_error(&dir, GATE_EIO, "routing.lua: not a regular file");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/nowhere/at/all", path), 0);
    expect_read_error(&dir, GATE_EIO, "routing.lua: a link that leads nowhere");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("routing.lua", path), 0);
    expect_read_error(&dir, GATE_EIO, "routing.lua: ");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/dev/zero", path), 0);
    expect_read_error(&dir, GATE_EIO, "routing.lua: not a regular file");
    ck_assert_int_eq(unlink(path), 0);

    test_dir_write(&dir, "conf/tests", "a file");
    expect_read_error(&dir, GATE_EIO, "tests: ");
    ck_assert_int_eq(unlink(tests), 0);
    ck_assert_int_eq(mkdir(tests, 0700), 0);
    snprintf(path, sizeof path, "%s/a.lua", tests);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_read_error(&dir, GATE_EIO, "tests/a.lua: not a regular file");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(gate_sources_read(path, &s, &err), GATE_OK); /* not there */
    snprintf(path, sizeof path, "%s/models.lua", dir.conf);
    ck_assert_int_eq(gate_sources_read(path, &s, &err), GATE_EIO); /* no directory */
    test_dir_finish(&dir);
}
END_TEST

START_TEST(what_is_too_large_is_named)
{
    struct test_dir dir;
    struct gate_sources s;
    struct gate_error err = {0};
    char name[64];
    char *text = gate_alloc(GATE_SOURCES_MAX_BYTES + 1);
    memset(text, ' ', GATE_SOURCES_MAX_BYTES + 1);
    test_dir_init(&dir);
    snprintf(name, sizeof name, "%s/tests", dir.conf);
    ck_assert_int_eq(mkdir(name, 0700), 0);
    test_dir_write_bytes(&dir, "conf/routing.lua", (struct gate_str){text, GATE_SOURCES_MAX_BYTES});
    ck_assert_int_eq(gate_sources_read(dir.conf, &s, &err), GATE_OK);
    ck_assert_uint_eq(s.files[0].len, GATE_SOURCES_MAX_BYTES);
    gate_sources_finish(&s);
    test_dir_write_bytes(&dir, "conf/routing.lua",
                         (struct gate_str){text, GATE_SOURCES_MAX_BYTES + 1});
    expect_read_error(&dir, GATE_ELIMIT, "routing.lua: larger than 1048576 bytes");
    test_dir_write_bytes(&dir, "conf/routing.lua", (struct gate_str){text, GATE_SOURCES_MAX_BYTES});
    test_dir_write(&dir, "conf/tests/a.lua", "x");
    expect_read_error(&dir, GATE_ELIMIT, "tests/a.lua: with it all files have more than");
    test_dir_write(&dir, "conf/routing.lua", "");
    for (int i = 0; i < GATE_SOURCES_MAX_FILES; i++) {
        snprintf(name, sizeof name, "conf/tests/t%d.lua", i);
        test_dir_write(&dir, name, "");
    }
    expect_read_error(&dir, GATE_ELIMIT, ".lua: more than 64 files");
    free(text);
    test_dir_finish(&dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("sources");
    tcase_add_test(tc, names);
    tcase_add_test(tc, a_set_is_sorted_and_copied);
    tcase_add_test(tc, a_set_has_bounds);
    tcase_add_test(tc, a_directory_is_read);
    tcase_add_test(tc, what_cannot_be_read_is_named);
    tcase_add_test(tc, what_is_too_large_is_named);
    return test_main(tc, "sources");
}
