/* Edits on disk are noticed, however an editor makes them, and what is told of is what is there. */
#include "base/clock.h"
#include "conf_fixture.h"
#include "live/conf_dir.h"
#include <pthread.h>
#include <time.h>

enum { DEADLINE_S = 20, STEPS = 40 };

static struct gate_control *control;
static struct gate_watch *watch;
static const char *conf_name, *script_name; /* below the fixture's directory */

/* What the callback has seen. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned calls;
    const char *file;
    struct slurped text; /* of the file, as the callback read it */
} seen;

/* Control thread. */
static void on_change(void *arg)
{
    ck_assert_ptr_eq(arg, &seen);
    pthread_mutex_lock(&seen.lock);
    seen.calls++;
    if (seen.file != NULL)
        seen.text = slurp(seen.file);
    pthread_cond_broadcast(&seen.changed);
    pthread_mutex_unlock(&seen.lock);
}

static void create(void *arg)
{
    struct gate_error err = {0};
    char conf[PATH_MAX], scripts[PATH_MAX];
    (void)arg;
    snprintf(conf, sizeof conf, "%s/%s", conf_root, conf_name);
    snprintf(scripts, sizeof scripts, "%s/%s", conf_root, script_name);
    ck_assert_msg(gate_watch_create(control, conf_name != NULL ? conf : NULL,
                                    script_name != NULL ? scripts : NULL, on_change, &seen, &watch,
                                    &err) == GATE_OK,
                  "%s", err.message);
}

static void destroy(void *arg)
{
    (void)arg;
    gate_watch_destroy(watch);
    watch = NULL;
}

static void setup(void)
{
    struct gate_error err;
    conf_setup();
    make_dir("conf");
    make_dir("scripts");
    conf_name = "conf";
    script_name = "scripts";
    memset(&seen, 0, sizeof seen);
    pthread_mutex_init(&seen.lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&seen.changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    ck_assert_int_eq(gate_control_create(&control, &err), GATE_OK);
}

static void teardown(void)
{
    gate_control_call(control, destroy, NULL);
    gate_control_destroy(control);
    pthread_cond_destroy(&seen.changed);
    pthread_mutex_destroy(&seen.lock);
    conf_teardown();
}

static void begin(void)
{
    gate_control_call(control, create, NULL);
}

/* The file whose text the next calls read. */
static void look_at(const char *file)
{
    pthread_mutex_lock(&seen.lock);
    seen.file = file;
    seen.text = (struct slurped){"(not read yet)"};
    pthread_mutex_unlock(&seen.lock);
}

/* Waits for a call that finds the text. */
static void expect_text(const char *text)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += DEADLINE_S;
    pthread_mutex_lock(&seen.lock);
    while (strcmp(seen.text.text, text) != 0)
        ck_assert_msg(pthread_cond_timedwait(&seen.changed, &seen.lock, &until) == 0,
                      "nobody was told that %s is \"%s\"", seen.file, text);
    pthread_mutex_unlock(&seen.lock);
}

/* ---- editors */

START_TEST(in_place_in_several_steps)
{
    spill("conf/routing.lua", "old");
    begin();
    look_at("conf/routing.lua");
    int fd = open(at("conf/routing.lua"), O_WRONLY | O_TRUNC);
    ck_assert_int_eq(write(fd, "one ", 4), 4);
    ck_assert_int_eq(write(fd, "two ", 4), 4);
    ck_assert_int_eq(write(fd, "three", 5), 5);
    close(fd);
    expect_text("one two three");
}
END_TEST

START_TEST(renamed_over)
{
    spill("conf/routing.lua", "old");
    begin();
    for (int i = 0; i < 5; i++) {
        char text[16];
        snprintf(text, sizeof text, "new %d", i);
        look_at("conf/routing.lua");
        spill("conf/.routing.lua.tmp", text);
        move("conf/.routing.lua.tmp", "conf/routing.lua");
        expect_text(text);
    }
}
END_TEST

/* Tries whether the directory can be written, moves the old file away, writes a new one. */
START_TEST(moved_away_and_made_again)
{
    spill("conf/routing.lua", "old");
    begin();
    look_at("conf/routing.lua");
    spill("conf/.routing.lua.swp", "swap");
    spill("conf/4913", "");
    drop("conf/4913");
    move("conf/routing.lua", "conf/routing.lua~");
    spill("conf/routing.lua", "new");
    drop("conf/routing.lua~");
    drop("conf/.routing.lua.swp");
    expect_text("new");
}
END_TEST

/* A lock that is a link to nowhere, a numbered backup. */
START_TEST(locked_and_backed_up)
{
    spill("conf/models.lua", "old");
    begin();
    look_at("conf/models.lua");
    make_link("user@host.1:2", "conf/.#models.lua");
    move("conf/models.lua", "conf/models.lua.~1~");
    spill("conf/#models.lua#", "new");
    move("conf/#models.lua#", "conf/models.lua");
    drop("conf/.#models.lua");
    expect_text("new");
}
END_TEST

START_TEST(made_and_removed)
{
    begin();
    look_at("conf/accounts.lua");
    spill("conf/accounts.lua", "new");
    expect_text("new");
    look_at("conf/accounts.lua");
    drop("conf/accounts.lua");
    expect_text("");
}
END_TEST

START_TEST(written_by_the_gateway)
{
    struct gate_sources set = {0};
    struct gate_error err;
    begin();
    look_at("conf/tests/a.lua");
    ck_assert_int_eq(gate_sources_put(&set, GATE_STR("tests/a.lua"), GATE_STR("new"), &err),
                     GATE_OK);
    ck_assert_int_eq(gate_conf_dir_write(at("conf"), &set, &err), GATE_OK);
    expect_text("new");
    gate_sources_finish(&set);
}
END_TEST

/* ---- directories that come and go */

START_TEST(directory_replaced)
{
    spill("conf/routing.lua", "old");
    make_dir("conf.new");
    spill("conf.new/routing.lua", "new");
    begin();
    look_at("conf/routing.lua");
    move("conf", "conf.old");
    move("conf.new", "conf");
    expect_text("new");
    look_at("conf/routing.lua");
    spill("conf/routing.lua", "newer");
    expect_text("newer");
}
END_TEST

START_TEST(directories_made_later)
{
    conf_name = "a/b/conf";
    script_name = "a/b/scripts";
    begin();
    look_at("a/b/conf/routing.lua");
    make_dir("a");
    make_dir("a/b");
    make_dir("a/b/conf");
    spill("a/b/conf/routing.lua", "new");
    expect_text("new");
    look_at("a/b/conf/tests/a.lua");
    make_dir("a/b/conf/tests");
    spill("a/b/conf/tests/a.lua", "test");
    expect_text("test");
    look_at("a/b/scripts/x.lua");
    make_dir("a/b/scripts");
    spill("a/b/scripts/x.lua", "script");
    expect_text("script");
    look_at("a/b/conf/routing.lua");
    move("a", "c");
    expect_text("");
    look_at("a/b/conf/routing.lua");
    move("c", "a");
    expect_text("new");
    look_at("a/b/conf/tests/a.lua");
    spill("a/b/conf/tests/a.lua", "again");
    expect_text("again");
}
END_TEST

/* As volumes of configuration are: what changes is where a link between points to. */
static void mount_version(const char *version, const char *text)
{
    char name[64];
    snprintf(name, sizeof name, "conf/%s", version);
    make_dir(name);
    snprintf(name, sizeof name, "conf/%s/routing.lua", version);
    spill(name, text);
    make_link(version, "conf/..data_tmp");
    move("conf/..data_tmp", "conf/..data");
}

START_TEST(mounted_configuration)
{
    mount_version("..2025", "old");
    make_link("..data/routing.lua", "conf/routing.lua");
    begin();
    look_at("conf/routing.lua");
    mount_version("..2026", "new");
    drop("conf/..2025/routing.lua");
    drop("conf/..2025");
    expect_text("new");
    look_at("conf/routing.lua");
    mount_version("..2027", "newer");
    expect_text("newer");
    look_at("conf/routing.lua");
    spill("conf/..2027/routing.lua", "edited");
    expect_text("edited");
}
END_TEST

START_TEST(linked_directories)
{
    make_dir("v1");
    make_dir("v2");
    make_dir("v1/conf");
    make_dir("v2/conf");
    spill("v1/conf/models.lua", "one");
    spill("v2/conf/models.lua", "two");
    make_link("v1", "current");
    conf_name = "current/conf";
    begin();
    look_at("current/conf/models.lua");
    make_link("v2", "next");
    move("next", "current");
    expect_text("two");
    look_at("current/conf/models.lua");
    spill("v2/conf/models.lua", "three");
    expect_text("three");
}
END_TEST

/* A file of which only the file itself is seen, as when it is mounted alone. */
START_TEST(a_file_with_two_names)
{
    make_dir("elsewhere");
    spill("elsewhere/x", "old");
    ck_assert_int_eq(link(at("elsewhere/x"), at("conf/routing.lua")), 0);
    begin();
    look_at("conf/routing.lua");
    spill("elsewhere/x", "new");
    expect_text("new");
}
END_TEST

START_TEST(modules_below_scripts)
{
    make_dir("shared");
    spill("shared/tiers.lua", "old");
    begin();
    look_at("scripts/own/deep/cost.lua");
    make_dir("scripts/own");
    make_dir("scripts/own/deep");
    spill("scripts/own/deep/cost.lua", "new");
    expect_text("new");
    look_at("scripts/own/deep/cost.lua");
    spill("scripts/own/deep/cost.lua", "newer");
    expect_text("newer");
    look_at("scripts/shared/tiers.lua");
    make_link("../shared", "scripts/shared");
    expect_text("old");
    look_at("scripts/shared/tiers.lua");
    spill("shared/tiers.lua", "new");
    expect_text("new");
    look_at("scripts/link.lua");
    make_link("../shared/tiers.lua", "scripts/link.lua");
    make_link(".", "scripts/own/loop");
    expect_text("new");
    look_at("scripts/own/deep/cost.lua");
    move("scripts/own", "scripts/other");
    expect_text("");
}
END_TEST

/* ---- when it is told */

/* A lock-step writer is told now and then, not each time. */
START_TEST(a_storm_is_told_once_in_a_while)
{
    char text[32];
    begin();
    look_at("conf/routing.lua");
    uint64_t start_ms = gate_clock_mono_ms();
    for (int i = 0; i <= 500; i++) {
        snprintf(text, sizeof text, "step %d", i);
        spill("conf/routing.lua", text);
    }
    expect_text("step 500");
    uint64_t took_ms = gate_clock_mono_ms() - start_ms;
    pthread_mutex_lock(&seen.lock);
    unsigned calls = seen.calls;
    pthread_mutex_unlock(&seen.lock);
    ck_assert_uint_le(calls, took_ms / GATE_WATCH_SETTLE_MS + 1);
}
END_TEST

/* Without an end of the unrest somebody is told all the same. */
START_TEST(unrest_without_an_end)
{
    struct timespec until;
    bool told = false;
    begin();
    uint64_t start_ms = gate_clock_mono_ms();
    for (int i = 0; !told; i++) {
        spill("conf/routing.lua", i % 2 == 0 ? "even" : "odd");
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 10 * 1000 * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_mutex_lock(&seen.lock);
        if (seen.calls == 0)
            pthread_cond_timedwait(&seen.changed, &seen.lock, &until);
        told = seen.calls > 0;
        pthread_mutex_unlock(&seen.lock);
        ck_assert_uint_lt(gate_clock_mono_ms() - start_ms, DEADLINE_S * 1000);
    }
}
END_TEST

/* Neither what is being counted down nor what is on its way is told after the end. */
START_TEST(silence_after_the_end)
{
    for (int i = 0; i < STEPS; i++) {
        begin();
        spill("conf/routing.lua", "new");
        if (i % 4 == 0) {
            look_at("conf/routing.lua");
            spill("conf/routing.lua", "told");
            expect_text("told");
            spill("conf/routing.lua", "not told");
        }
        gate_control_call(control, destroy, NULL);
        pthread_mutex_lock(&seen.lock);
        unsigned calls = seen.calls;
        pthread_mutex_unlock(&seen.lock);
        gate_control_call(control, destroy, NULL); /* behind all that was posted */
        pthread_mutex_lock(&seen.lock);
        ck_assert_uint_eq(seen.calls, calls);
        pthread_mutex_unlock(&seen.lock);
    }
}
END_TEST

START_TEST(nothing_to_watch)
{
    conf_name = script_name = NULL;
    begin();
    spill("conf/routing.lua", "new");
}
END_TEST

START_TEST(time_from_write_to_call)
{
    uint64_t sum_us = 0, most_us = 0;
    begin();
    for (int i = 0; i < STEPS; i++) {
        char text[32];
        snprintf(text, sizeof text, "step %d", i);
        look_at("conf/routing.lua");
        uint64_t start_us = gate_clock_mono_us();
        spill("conf/routing.lua", text);
        expect_text(text);
        uint64_t took_us = gate_clock_mono_us() - start_us;
        sum_us += took_us;
        most_us = took_us > most_us ? took_us : most_us;
    }
    printf("from write to call: %.1f ms on average, %.1f ms at most\n",
           (double)sum_us / STEPS / 1000, (double)most_us / 1000);
    ck_assert_uint_ge(sum_us / STEPS, (GATE_WATCH_SETTLE_MS - 5) * 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch");
    TCase *tests = tcase_create("watch");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, in_place_in_several_steps);
    tcase_add_test(tests, renamed_over);
    tcase_add_test(tests, moved_away_and_made_again);
    tcase_add_test(tests, locked_and_backed_up);
    tcase_add_test(tests, made_and_removed);
    tcase_add_test(tests, written_by_the_gateway);
    tcase_add_test(tests, directory_replaced);
    tcase_add_test(tests, directories_made_later);
    tcase_add_test(tests, mounted_configuration);
    tcase_add_test(tests, linked_directories);
    tcase_add_test(tests, a_file_with_two_names);
    tcase_add_test(tests, modules_below_scripts);
    tcase_add_test(tests, a_storm_is_told_once_in_a_while);
    tcase_add_test(tests, unrest_without_an_end);
    tcase_add_test(tests, silence_after_the_end);
    tcase_add_test(tests, nothing_to_watch);
    tcase_add_test(tests, time_from_write_to_call);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
