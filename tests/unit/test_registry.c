/* The registry against small plugins with one fault each, and options against a schema. */
#include "base/buf.h"
#include "config.h"
#include "plugin/registry.h"

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

/* What the sample plugins tell, "name what;" each. The host's log has no context to put it in. */
static struct gate_buf told;

static void hear(enum gate_log_level level, const char *plugin, const char *message)
{
    (void)level;
    gate_buf_printf(&told, "%s %s;", plugin, message);
}

static const struct gate_host host = {.size = sizeof host, .log = hear};

static void setup(void)
{
    gate_buf_init(&told, 4096);
}

static void teardown(void)
{
    gate_buf_finish(&told);
}

static void assert_told(const char *expected)
{
    gate_buf_append_byte(&told, '\0');
    ck_assert_str_eq(told.ptr, expected);
    told.len = 0;
}

static struct gate_registry *load(const char *directory, enum gate_status expected,
                                  struct gate_error *err)
{
    struct gate_registry *r = NULL;
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", GATE_TEST_PLUGINS, directory);
    ck_assert_int_eq(gate_registry_load(path, &host, &r, err), expected);
    ck_assert_ptr_eq(expected == GATE_OK ? NULL : r, NULL);
    return r;
}

static void refused(const char *directory, const char *const *parts, size_t count)
{
    struct gate_error err = {0};

    load(directory, GATE_EINVAL, &err);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(strstr(err.message, parts[i]) != NULL, "\"%s\" is not in: %s", parts[i],
                      err.message);
    assert_told("");
}

#define REFUSED(directory, ...)                                                                    \
    refused(directory, (const char *const[]){__VA_ARGS__},                                         \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

START_TEST(loads_in_name_order)
{
    struct gate_error err;
    struct gate_registry *r = load("good", GATE_OK, &err);
    const struct gate_plugin *p;
    size_t count;
    const struct gate_loaded *all = gate_registry_all(r, &count);

    ck_assert_uint_eq(count, 3);
    ck_assert_str_eq(all[0].plugin->name, "first");
    ck_assert_str_eq(all[1].plugin->name, "second");
    ck_assert_ptr_ne(strstr(all[1].path, "/good/b_second.so"), NULL);
    assert_told("first init;second init;first init;");

    /* The same name under another kind is another plugin. */
    p = gate_registry_find(r, GATE_KIND_DIALECT, GATE_STR("first"));
    ck_assert_ptr_eq(p, all[2].plugin);
    p = gate_registry_find(r, GATE_KIND_PROVIDER, GATE_STR("first"));
    ck_assert_ptr_eq(p, all[0].plugin);
    ck_assert_ptr_eq(gate_registry_find(r, GATE_KIND_FILTER, GATE_STR("first")), NULL);
    ck_assert_ptr_eq(gate_registry_find(r, GATE_KIND_PROVIDER, GATE_STR("fir")), NULL);
    ck_assert_ptr_eq(gate_registry_find(r, GATE_KIND_PROVIDER, GATE_STR("first2")), NULL);

    ck_assert_int_eq(gate_registry_worker_init(r, &err), GATE_OK);
    gate_registry_worker_fini(r);
    assert_told("first worker_init;second worker_init;first worker_init;"
                "first worker_fini;second worker_fini;first worker_fini;");
    gate_registry_destroy(r);
    assert_told("first fini;second fini;first fini;");
}
END_TEST

START_TEST(refuses_other_versions)
{
    char ours[32];

    snprintf(ours, sizeof ours, "has %d.%d", GATE_ABI_MAJOR, GATE_ABI_MINOR);
    REFUSED("other_major", "other_major/sample.so", "ABI 2.7", ours);
    snprintf(ours, sizeof ours, "ABI %d.99", GATE_ABI_MAJOR);
    REFUSED("newer_minor", "newer_minor/sample.so", ours, "is older");
    REFUSED("small_struct", "size is 24");
}
END_TEST

START_TEST(an_older_plugin_has_no_newer_functions)
{
    struct gate_error err;
    struct gate_registry *r = load("old_ops", GATE_OK, &err);
    const struct gate_plugin *p = gate_registry_find(r, GATE_KIND_PROVIDER, GATE_STR("sample"));
    const struct gate_provider_ops *ops = p->ops;

    ck_assert_ptr_null(ops->credential_expires);
    ck_assert_ptr_null(ops->account_serves);
    ck_assert_ptr_nonnull(ops->claims);
    gate_registry_destroy(r);
}
END_TEST

START_TEST(refuses_faulty_plugins)
{
    REFUSED("no_symbol", "no_symbol/sample.so is not a plugin", "gate_plugin");
    REFUSED("unknown_kind", "unknown kind 77");
    REFUSED("bad_name", "its name");
    REFUSED("no_ops", "no ops");
    REFUSED("short_ops", "a provider needs claims");
    REFUSED("no_claims", "a provider needs claims");
    REFUSED("no_answer", "one of build_request and answer");
    REFUSED("no_account", "a provider needs account_attach");
    REFUSED("bad_default", "hold_ms", "\"lots\" is not a number");
}
END_TEST

START_TEST(refuses_two_of_one_name)
{
    struct gate_error err;

    load("duplicate", GATE_ECONFLICT, &err);
    ck_assert_ptr_ne(strstr(err.message, "duplicate/a.so and "), NULL);
    ck_assert_ptr_ne(strstr(err.message, "duplicate/b.so are both provider twin"), NULL);
    assert_told("");
}
END_TEST

START_TEST(failed_init_undoes_the_earlier_ones)
{
    struct gate_error err;

    load("init_fails", GATE_EIO, &err);
    ck_assert_ptr_ne(strstr(err.message, "init_fails/b.so: init failed: no moon tonight"), NULL);
    assert_told("before init;before fini;");
}
END_TEST

START_TEST(failed_worker_init_undoes_the_earlier_ones)
{
    struct gate_error err;
    struct gate_registry *r = load("worker_fails", GATE_OK, &err);

    told.len = 0;
    ck_assert_int_eq(gate_registry_worker_init(r, &err), GATE_ELIMIT);
    ck_assert_ptr_ne(strstr(err.message, "one worker is enough"), NULL);
    assert_told("before worker_init;before worker_fini;");
    gate_registry_destroy(r);
}
END_TEST

START_TEST(names_what_cannot_be_loaded)
{
    struct gate_error err;
    struct gate_registry *r = NULL;
    char directory[] = GATE_TEST_DIR "/registry-XXXXXX";
    char path[4096];
    FILE *f;

    ck_assert_ptr_ne(mkdtemp(directory), NULL);
    /* Other files than *.so are left alone. */
    snprintf(path, sizeof path, "%s/README.md", directory);
    f = fopen(path, "w");
    ck_assert_ptr_ne(f, NULL);
    fclose(f);
    ck_assert_int_eq(gate_registry_load(directory, &host, &r, &err), GATE_OK);
    gate_registry_destroy(r);
    unlink(path);

    snprintf(path, sizeof path, "%s/broken.so", directory);
    f = fopen(path, "w");
    ck_assert_ptr_ne(f, NULL);
    fputs("this is no shared object", f);
    fclose(f);
    r = NULL;
    ck_assert_int_eq(gate_registry_load(directory, &host, &r, &err), GATE_EINVAL);
    ck_assert_ptr_ne(strstr(err.message, "broken.so"), NULL);
    ck_assert_ptr_eq(r, NULL);
    unlink(path);
    rmdir(directory);

    ck_assert_int_eq(gate_registry_load(directory, &host, &r, &err), GATE_EIO);
    ck_assert_ptr_ne(strstr(err.message, directory), NULL);
}
END_TEST

/* ---- gate_values_make */

static const struct gate_option schema[] = {
    {"mode", GATE_OPTION_STRING, "auto", "how", "off|auto|exact"},
    {"hold_ms", GATE_OPTION_NUMBER, "150", "how long", NULL},
    {"strict", GATE_OPTION_BOOL, "true", "how strictly", NULL},
    {"names", GATE_OPTION_LIST, "a,bc", "for whom", NULL},
    {"base_url", GATE_OPTION_STRING, NULL, "where", NULL},
};
static const struct gate_plugin plugin = {.name = "sample", .options = schema, .option_count = 5};

static void assert_view(struct gate_str s, const char *expected)
{
    ck_assert_msg(gate_str_eq(s, gate_str_of(expected)), "\"%.*s\" is not \"%s\"", (int)s.len,
                  s.ptr, expected);
}

START_TEST(values_have_their_defaults)
{
    struct gate_value *v = NULL;
    struct gate_error err;

    ck_assert_int_eq(gate_values_make(&plugin, NULL, 0, &v, &err), GATE_OK);
    ck_assert(v[0].present && v[1].present && v[2].present && v[3].present);
    assert_view(v[0].string, "auto");
    ck_assert_double_eq(v[1].number, 150);
    ck_assert(v[2].boolean);
    ck_assert_uint_eq(v[3].list_len, 2);
    assert_view(v[3].list[0], "a");
    assert_view(v[3].list[1], "bc");
    ck_assert(!v[4].present);
    gate_values_free(&plugin, v);
    gate_values_free(&plugin, NULL);
}
END_TEST

START_TEST(values_come_in_schema_order)
{
    char *names[] = {(char *)"x"};
    struct gate_config_option o[] = {
        {.name = (char *)"names", .type = GATE_OPTION_LIST, .list = names, .list_len = 1},
        {.name = (char *)"strict", .type = GATE_OPTION_BOOL, .boolean = false},
        {.name = (char *)"mode", .type = GATE_OPTION_STRING, .string = (char *)"exact"},
        {.name = (char *)"base_url", .type = GATE_OPTION_STRING, .string = (char *)"http://h"},
        {.name = (char *)"hold_ms", .type = GATE_OPTION_NUMBER, .number = 0.5},
    };
    struct gate_value *v = NULL;
    struct gate_error err;

    ck_assert_int_eq(gate_values_make(&plugin, o, 5, &v, &err), GATE_OK);
    assert_view(v[0].string, "exact");
    ck_assert_double_eq(v[1].number, 0.5);
    ck_assert(v[2].present && !v[2].boolean);
    ck_assert_uint_eq(v[3].list_len, 1);
    assert_view(v[3].list[0], "x");
    ck_assert(v[4].present);
    assert_view(v[4].string, "http://h");
    gate_values_free(&plugin, v);
}
END_TEST

static void values_refused(const struct gate_config_option *o, size_t count, const char *expected)
{
    struct gate_value *v = NULL;
    struct gate_error err = {0};

    ck_assert_int_eq(gate_values_make(&plugin, o, count, &v, &err), GATE_EINVAL);
    ck_assert_ptr_eq(v, NULL);
    ck_assert_str_eq(err.message, expected);
}

START_TEST(values_refuse_what_does_not_fit)
{
    struct gate_config_option o[2] = {
        {.name = (char *)"moed", .type = GATE_OPTION_STRING, .string = (char *)"auto"}};

    values_refused(o, 1,
                   "plugin sample has no option \"moed\"; it has mode, hold_ms, strict, names, "
                   "base_url");
    o[0].name = (char *)"mode";
    o[0].string = (char *)"aut";
    values_refused(o, 1, "option \"mode\" is \"aut\"; expected one of off|auto|exact");
    o[0].string = (char *)"";
    values_refused(o, 1, "option \"mode\" is \"\"; expected one of off|auto|exact");
    o[0].name = (char *)"hold_ms";
    values_refused(o, 1, "option \"hold_ms\" is a string; expected a number");
    o[0].name = (char *)"names";
    values_refused(o, 1, "option \"names\" is a string; expected a list of strings");
    o[0] = (struct gate_config_option){.name = (char *)"strict", .type = GATE_OPTION_BOOL};
    o[1] = o[0];
    values_refused(o, 2, "option \"strict\" is given twice");
}
END_TEST

START_TEST(kinds_have_names)
{
    ck_assert_str_eq(gate_kind_name(GATE_KIND_PROVIDER), "provider");
    ck_assert_str_eq(gate_kind_name(GATE_KIND_FILTER), "filter");
    ck_assert_str_eq(gate_kind_name((enum gate_kind)0), "unknown");
    ck_assert_str_eq(gate_kind_name((enum gate_kind)6), "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("registry");
    TCase *tcase = tcase_create("registry");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, loads_in_name_order);
    tcase_add_test(tcase, refuses_other_versions);
    tcase_add_test(tcase, an_older_plugin_has_no_newer_functions);
    tcase_add_test(tcase, refuses_faulty_plugins);
    tcase_add_test(tcase, refuses_two_of_one_name);
    tcase_add_test(tcase, failed_init_undoes_the_earlier_ones);
    tcase_add_test(tcase, failed_worker_init_undoes_the_earlier_ones);
    tcase_add_test(tcase, names_what_cannot_be_loaded);
    tcase_add_test(tcase, values_have_their_defaults);
    tcase_add_test(tcase, values_come_in_schema_order);
    tcase_add_test(tcase, values_refuse_what_does_not_fit);
    tcase_add_test(tcase, kinds_have_names);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
