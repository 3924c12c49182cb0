/*
 * config_fixture: a fresh directory with conf/ as working directory and an environment without any
 * variable of the gateway, for each test of the configuration. Used by test_config*.c.
 */
#ifndef GATE_TEST_CONFIG_FIXTURE_H
#define GATE_TEST_CONFIG_FIXTURE_H

#include "config.h"

#include <check.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char fixture_dir[] = GATE_TEST_DIR "/config-XXXXXX";

static void fixture_setup(void)
{
    ck_assert_int_eq(clearenv(), 0);
    memcpy(fixture_dir + sizeof fixture_dir - 7, "XXXXXX", 6);
    ck_assert_ptr_ne(mkdtemp(fixture_dir), NULL);
    ck_assert_int_eq(chdir(fixture_dir), 0);
    ck_assert_int_eq(mkdir("conf", 0755), 0);
    setenv("LLM_GATE_PLUGIN_DIR", ".", 1);
}

static int fixture_remove(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(path);
}

static void fixture_teardown(void)
{
    ck_assert_int_eq(chdir(".."), 0);
    nftw(fixture_dir, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void fixture_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_ne(f, NULL);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

/* Loads without making a key. */
static inline struct gate_config *fixture_load(void)
{
    struct gate_config *c = NULL;
    struct gate_error err = {GATE_OK, ""};

    ck_assert_msg(gate_config_load(false, &c, &err) == GATE_OK, "%s", err.message);
    return c;
}

/* Loads with make_key; it must fail with this message and leave no key behind. */
static inline void fixture_refused(const char *expected)
{
    struct gate_config *c = NULL;
    struct gate_error err = {GATE_OK, ""};

    ck_assert_int_ne(gate_config_load(true, &c, &err), GATE_OK);
    ck_assert_ptr_eq(c, NULL);
    ck_assert_str_eq(err.message, expected);
    ck_assert_int_ne(access("data/api_key", F_OK), 0);
}

static inline const struct gate_config_instance *fixture_instance(const struct gate_config *c,
                                                                  const char *name)
{
    for (size_t i = 0; i < c->instance_count; i++)
        if (strcmp(c->instances[i].name, name) == 0)
            return &c->instances[i];
    return NULL;
}

/* The account of this id, which must be there. */
static inline const struct gate_config_account *fixture_account(const struct gate_config *c,
                                                                const char *id)
{
    for (size_t i = 0; i < c->instance_count; i++)
        for (size_t a = 0; a < c->instances[i].account_count; a++)
            if (strcmp(c->instances[i].accounts[a].id, id) == 0)
                return &c->instances[i].accounts[a];
    ck_abort_msg("there is no account %s", id);
    return NULL;
}

static inline const struct gate_config_option *fixture_option(const struct gate_config_instance *i,
                                                              const char *name)
{
    for (size_t o = 0; o < i->option_count; o++)
        if (strcmp(i->options[o].name, name) == 0)
            return &i->options[o];
    return NULL;
}

/* Runs the test once for each row of table, with its index as _i. */
#define FIXTURE_ADD_ROWS(tcase, test, table)                                                       \
    tcase_add_loop_test(tcase, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

/* Runs the tests that add() adds; the exit status of the program. */
static inline int fixture_main(const char *name, void (*add)(TCase *tcase))
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, fixture_setup, fixture_teardown);
    add(tcase);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
