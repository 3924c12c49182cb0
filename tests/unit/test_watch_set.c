/* What inotify is asked to look at, and which of its events tell of a change. No threads: events
 * are in the queue when the call that made them returns. */
#include "conf_fixture.h"
#include "live/watch_set.h"

static int inotify;
static struct gate_watch_set *set;

static void setup(void)
{
    conf_setup();
    make_dir("conf");
    make_dir("conf/tests");
    make_dir("scripts");
    make_dir("scripts/gate");
    inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    ck_assert_int_ge(inotify, 0);
}

static void teardown(void)
{
    gate_watch_set_destroy(set);
    set = NULL;
    close(inotify);
    conf_teardown();
}

static void update(void)
{
    struct gate_error err = {0};
    ck_assert_msg(gate_watch_set_update(set, &err) == GATE_OK, "%s", err.message);
}

static void begin(void)
{
    char conf[PATH_MAX], scripts[PATH_MAX];
    snprintf(conf, sizeof conf, "%s", at("conf"));
    snprintf(scripts, sizeof scripts, "%s", at("scripts"));
    set = gate_watch_set_create(inotify, conf, scripts);
    update();
}

/* The verdict on all events in the queue: the last one that is not NOTHING. */
static enum gate_watch_verdict judge(void)
{
    static _Alignas(struct inotify_event) char bytes[1 << 20];
    enum gate_watch_verdict verdict = GATE_WATCH_NOTHING;
    ssize_t n;
    while ((n = read(inotify, bytes, sizeof bytes)) > 0) {
        for (ssize_t p = 0; p < n;) {
            const struct inotify_event *event = (const struct inotify_event *)(bytes + p);
            enum gate_watch_verdict one = gate_watch_set_judge(set, event);
            verdict = one != GATE_WATCH_NOTHING ? one : verdict;
            p += (ssize_t)(sizeof *event + event->len);
        }
    }
    return verdict;
}

/* How many watches the kernel holds. */
static int count_watches(void)
{
    char path[64], line[256];
    int count = 0;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", inotify);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f) != NULL)
        count += strncmp(line, "inotify wd:", 11) == 0;
    fclose(f);
    return count;
}

START_TEST(other_files_wake_nobody)
{
    spill("conf/routing.lua", "x");
    begin();
    spill("conf/.routing.lua.swp", "x");
    drop("conf/.routing.lua.swp");
    spill("conf/4913", "");
    drop("conf/4913");
    make_link("user@host.1:2", "conf/.#routing.lua");
    drop("conf/.#routing.lua");
    spill("conf/routing.lua~", "x");
    spill("conf/routing.lua.orig", "x");
    spill("conf/other.lua", "x");
    spill("conf/README", "x");
    make_dir("conf/sub");
    spill("conf/tests/UPPER.lua", "x");
    spill("conf/tests/notes.txt", "x");
    spill("scripts/.x.lua.swp", "x");
    spill("scripts/x.lua~", "x");
    spill("scripts/README", "x");
    spill("scripts/gate/4913", "x");
    spill("beside", "x");
    make_dir("confusion");
    ck_assert_int_eq(judge(), GATE_WATCH_NOTHING);
    /* Nor does whoever reads them. */
    ck_assert_str_eq(slurp("conf/routing.lua").text, "x");
    ck_assert_int_gt(count_entries("conf"), 0);
    update();
    ck_assert_int_eq(judge(), GATE_WATCH_NOTHING);
}
END_TEST

static void changed_by(const char *what)
{
    ck_assert_msg(judge() == GATE_WATCH_CHANGED, "%s", what);
    update();
    ck_assert_msg(judge() == GATE_WATCH_NOTHING, "%s: and again", what);
}

START_TEST(what_counts)
{
    begin();
    spill("conf/gateway.lua", "x");
    changed_by("made");
    spill("conf/gateway.lua", "y");
    changed_by("written");
    ck_assert_int_eq(chmod(at("conf/gateway.lua"), 0600), 0);
    changed_by("mode");
    move("conf/gateway.lua", "conf/gateway.lua~");
    changed_by("moved away");
    move("conf/gateway.lua~", "conf/gateway.lua");
    changed_by("moved back");
    drop("conf/gateway.lua");
    changed_by("removed");
    spill("conf/tests/a-1.lua", "x");
    changed_by("test");
    drop("conf/tests/a-1.lua");
    changed_by("test removed");
    drop("conf/tests");
    changed_by("tests/ removed");
    make_dir("conf/tests");
    changed_by("tests/ made");
    spill("conf/tests/a.lua", "x");
    changed_by("test in the new tests/");
    spill("scripts/gate/x.lua", "x");
    changed_by("module");
    make_dir("scripts/own");
    changed_by("directory of modules");
    make_link("gate", "scripts/alias");
    changed_by("link to a directory");
    drop("scripts/alias");
    changed_by("link removed");
    move("conf", "conf.old");
    changed_by("conf/ moved away");
    spill("conf.old/routing.lua", "x");
    ck_assert_int_eq(judge(), GATE_WATCH_NOTHING);
    move("conf.old", "conf");
    changed_by("conf/ moved back");
}
END_TEST

START_TEST(a_file_that_is_open_is_being_written)
{
    spill("conf/routing.lua", "old");
    begin();
    int fd = open(at("conf/routing.lua"), O_WRONLY | O_TRUNC);
    ck_assert_int_eq(judge(), GATE_WATCH_WRITING);
    ck_assert_int_eq(write(fd, "new", 3), 3);
    ck_assert_int_eq(judge(), GATE_WATCH_WRITING);
    close(fd);
    ck_assert_int_eq(judge(), GATE_WATCH_CHANGED);
    /* Of a file that is new, the directory's watch tells. */
    fd = open(at("conf/models.lua"), O_WRONLY | O_CREAT, 0644);
    ck_assert_int_eq(judge(), GATE_WATCH_CHANGED);
    ck_assert_int_eq(write(fd, "new", 3), 3);
    ck_assert_int_eq(judge(), GATE_WATCH_WRITING);
    close(fd);
    ck_assert_int_eq(judge(), GATE_WATCH_CHANGED);
}
END_TEST

START_TEST(watches_do_not_pile_up)
{
    begin();
    int before = count_watches();
    ck_assert_int_gt(before, 4);
    for (int i = 0; i < 100; i++) {
        make_dir("conf.new");
        make_dir("conf.new/tests");
        spill("conf.new/routing.lua", "x");
        make_dir("scripts/a");
        make_dir("scripts/a/b");
        update();
        move("conf", "conf.old");
        move("conf.new", "conf");
        update();
        drop("scripts/a/b");
        drop("scripts/a");
        drop("conf/routing.lua");
        drop("conf.old/tests");
        drop("conf.old");
        update();
        ck_assert_int_eq(count_watches(), before);
        ck_assert_int_eq(judge(), GATE_WATCH_CHANGED);
    }
}
END_TEST

START_TEST(queue_overflows)
{
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    unsigned long max = 0;
    if (f == NULL || fscanf(f, "%lu", &max) != 1 || max > 200000) {
        printf("the queue is too long to be filled\n");
        max = 0;
    }
    if (f != NULL)
        fclose(f);
    if (max == 0)
        return;
    begin();
    /* Events that do not matter: only the loss of others does. */
    for (unsigned long i = 0; i < max; i += 2) {
        spill("scripts/README", "x");
        drop("scripts/README");
    }
    ck_assert_int_eq(judge(), GATE_WATCH_CHANGED);
    update();
    ck_assert_int_eq(judge(), GATE_WATCH_NOTHING);
}
END_TEST

START_TEST(links_without_an_end)
{
    make_link("b", "conf/a");
    make_link("a", "conf/b");
    make_link("a", "conf/routing.lua");
    make_link("..", "scripts/gate/up");
    make_link(".", "scripts/self");
    begin();
    spill("conf/x", "new");
    move("conf/x", "conf/b");
    changed_by("the end of a circle");
    spill("conf/b", "newer");
    changed_by("what the link leads to");
}
END_TEST

START_TEST(too_many_directories)
{
    char name[64];
    struct gate_error err = {0};
    begin();
    for (int i = 0; i < GATE_WATCH_MAX; i++) {
        snprintf(name, sizeof name, "scripts/d%d", i);
        make_dir(name);
    }
    ck_assert_int_eq(gate_watch_set_update(set, &err), GATE_ELIMIT);
    ck_assert_ptr_nonnull(strstr(err.message, "too many"));
    ck_assert_int_le(count_watches(), GATE_WATCH_MAX);
    judge();
    spill("conf/routing.lua", "x");
    ck_assert_int_eq(judge(), GATE_WATCH_CHANGED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch_set");
    TCase *tests = tcase_create("watch_set");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, other_files_wake_nobody);
    tcase_add_test(tests, what_counts);
    tcase_add_test(tests, a_file_that_is_open_is_being_written);
    tcase_add_test(tests, watches_do_not_pile_up);
    tcase_add_test(tests, queue_overflows);
    tcase_add_test(tests, links_without_an_end);
    tcase_add_test(tests, too_many_directories);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
