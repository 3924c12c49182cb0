/* conf/ on disk: what is written, what is kept, and that a failure leaves everything as it was. */
#include "conf_fixture.h"
#include "live/conf_dir.h"
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

enum { NOBODY = 65534, SOMEBODY = 4321 };

static struct gate_sources set;

static void setup(void)
{
    conf_setup();
    set = (struct gate_sources){0};
}

static void teardown(void)
{
    gate_sources_finish(&set);
    conf_teardown();
}

static void put(const char *name, const char *text)
{
    struct gate_error err;
    ck_assert_int_eq(gate_sources_put(&set, gate_str_of(name), gate_str_of(text), &err), GATE_OK);
}

static void write_set(void)
{
    struct gate_error err = {0};
    ck_assert_msg(gate_conf_dir_write(at("conf"), &set, &err) == GATE_OK, "%s", err.message);
}

static void refuse_set(const char *name, const char *why)
{
    struct gate_error err = {0};
    ck_assert_int_eq(gate_conf_dir_write(at("conf"), &set, &err), GATE_EIO);
    ck_assert_msg(strstr(err.message, name) != NULL, "%s", err.message);
    ck_assert_msg(strstr(err.message, why) != NULL, "%s", err.message);
}

static ino_t inode(const char *name)
{
    struct stat st;
    ck_assert_int_eq(lstat(at(name), &st), 0);
    return st.st_ino;
}

START_TEST(everything_is_made)
{
    put("routing.lua", "return 1\n");
    put("models.lua", "");
    put("tests/a.lua", "return 2\n");
    write_set();
    ck_assert_str_eq(slurp("conf/routing.lua").text, "return 1\n");
    ck_assert_str_eq(slurp("conf/tests/a.lua").text, "return 2\n");
    ck_assert_int_eq(access(at("conf/models.lua"), F_OK), 0);
    ck_assert_int_eq(count_entries("conf"), 3);
    ck_assert_int_eq(count_entries("conf/tests"), 1);
    struct gate_sources read;
    struct gate_error err;
    ck_assert_int_eq(gate_sources_read(at("conf"), &read, &err), GATE_OK);
    ck_assert(gate_sources_equal(&read, &set));
    gate_sources_finish(&read);
}
END_TEST

START_TEST(only_what_differs_is_written)
{
    put("routing.lua", "return 1\n");
    put("models.lua", "return 2\n");
    write_set();
    ino_t routing = inode("conf/routing.lua"), models = inode("conf/models.lua");
    put("models.lua", "return 3\n");
    write_set();
    ck_assert_uint_eq(inode("conf/routing.lua"), routing);
    ck_assert_uint_ne(inode("conf/models.lua"), models);
    ck_assert_str_eq(slurp("conf/models.lua").text, "return 3\n");
    /* Of the same length, and longer. */
    spill("conf/routing.lua", "return 9\n");
    spill("conf/models.lua", "return 3\n\n");
    write_set();
    ck_assert_str_eq(slurp("conf/routing.lua").text, "return 1\n");
    ck_assert_str_eq(slurp("conf/models.lua").text, "return 3\n");
}
END_TEST

START_TEST(others_are_removed)
{
    make_dir("conf");
    make_dir("conf/tests");
    make_dir("conf/models.lua"); /* no file */
    spill("conf/accounts.lua", "old");
    spill("conf/notes.txt", "mine");
    spill("conf/tests/old.lua", "old");
    spill("conf/tests/README", "mine");
    spill("target", "mine");
    make_link("../target", "conf/gateway.lua");
    put("routing.lua", "x");
    write_set();
    ck_assert_int_eq(access(at("conf/accounts.lua"), F_OK), -1);
    ck_assert_int_eq(access(at("conf/gateway.lua"), F_OK), -1);
    ck_assert_int_eq(access(at("conf/tests/old.lua"), F_OK), -1);
    ck_assert_str_eq(slurp("target").text, "mine");
    ck_assert_str_eq(slurp("conf/notes.txt").text, "mine");
    ck_assert_str_eq(slurp("conf/tests/README").text, "mine");
    ck_assert_int_eq(count_entries("conf"), 4);
}
END_TEST

START_TEST(mode_and_owner_are_kept)
{
    struct stat st;
    make_dir("conf");
    spill("conf/routing.lua", "old");
    if (geteuid() == 0)
        ck_assert_int_eq(chown(at("conf/routing.lua"), SOMEBODY, SOMEBODY), 0);
    ck_assert_int_eq(chmod(at("conf/routing.lua"), 0640), 0);
    put("routing.lua", "new");
    write_set();
    ck_assert_int_eq(stat(at("conf/routing.lua"), &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0640);
    ck_assert_int_eq(st.st_uid, geteuid() == 0 ? SOMEBODY : geteuid());
    ck_assert_str_eq(slurp("conf/routing.lua").text, "new");
}
END_TEST

START_TEST(new_files_obey_the_umask)
{
    struct stat st;
    mode_t before = umask(027);
    put("routing.lua", "new");
    write_set();
    umask(before);
    ck_assert_int_eq(stat(at("conf/routing.lua"), &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0640);
    ck_assert_int_eq(stat(at("conf"), &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0750);
}
END_TEST

START_TEST(links_stay_and_their_targets_change)
{
    make_dir("conf");
    make_dir("real");
    make_dir("real/v1");
    make_link("v1", "real/data");
    spill("real/v1/routing.lua", "old");
    make_link("../real/data/routing.lua", "conf/routing.lua");
    make_link(at("real/models.lua"), "conf/models.lua"); /* not there yet */
    put("routing.lua", "new");
    put("models.lua", "made");
    write_set();
    char target[64] = "";
    ck_assert_int_gt(readlink(at("conf/routing.lua"), target, sizeof target - 1), 0);
    ck_assert_str_eq(target, "../real/data/routing.lua");
    ck_assert_str_eq(slurp("real/v1/routing.lua").text, "new");
    ck_assert_str_eq(slurp("real/models.lua").text, "made");
    ck_assert_int_eq(count_entries("real"), 3);
    ck_assert_int_eq(count_entries("real/v1"), 1);
    make_link("b", "a");
    make_link("a", "b");
    drop("conf/models.lua");
    make_link("../a", "conf/models.lua");
    refuse_set("models.lua", "too many links");
}
END_TEST

START_TEST(a_linked_directory)
{
    make_dir("real");
    make_link("real", "conf");
    put("routing.lua", "new");
    write_set();
    ck_assert_str_eq(slurp("real/routing.lua").text, "new");
}
END_TEST

/* The others are as they were: texts are all on disk before the first is renamed. */
START_TEST(read_only_file)
{
    make_dir("conf");
    spill("conf/accounts.lua", "old");
    spill("conf/routing.lua", "old");
    ck_assert_int_eq(chmod(at("conf/routing.lua"), 0444), 0);
    put("accounts.lua", "new");
    put("routing.lua", "new");
    refuse_set("conf/routing.lua", "read-only");
    ck_assert_str_eq(slurp("conf/accounts.lua").text, "old");
    ck_assert_str_eq(slurp("conf/routing.lua").text, "old");
    ck_assert_int_eq(count_entries("conf"), 2);
    /* It is as hard to remove. */
    put("routing.lua", "old");
    write_set();
    gate_sources_remove(&set, "routing.lua");
    refuse_set("conf/routing.lua", "read-only");
}
END_TEST

START_TEST(read_only_directory)
{
    make_dir("conf");
    spill("conf/routing.lua", "old");
    ck_assert_int_eq(chmod(conf_root, 0755), 0);
    ck_assert_int_eq(chmod(at("conf/routing.lua"), 0666), 0);
    ck_assert_int_eq(chmod(at("conf"), 0555), 0);
    uid_t me = geteuid();
    if (me == 0)
        ck_assert_int_eq(seteuid(NOBODY), 0);
    put("routing.lua", "new");
    refuse_set("conf/routing.lua", "directory");
    put("routing.lua", "old");
    write_set(); /* nothing to do */
    put("tests/a.lua", "new");
    refuse_set("conf/tests", "directory");
    ck_assert_int_eq(seteuid(me), 0);
    ck_assert_int_eq(chmod(at("conf"), 0755), 0);
}
END_TEST

START_TEST(what_is_no_file)
{
    make_dir("conf");
    make_dir("conf/routing.lua");
    put("routing.lua", "new");
    refuse_set("conf/routing.lua", "no regular file");
    drop("conf/routing.lua");
    drop("conf");
    spill("conf", "a file");
    refuse_set("conf", "no directory");
    gate_sources_finish(&set);
    struct gate_error err = {0};
    ck_assert_int_eq(gate_conf_dir_write(at("no/such/conf"), &set, &err), GATE_EIO);
    ck_assert_ptr_nonnull(strstr(err.message, "no/such/conf"));
}
END_TEST

/* A disk that is full: nothing is half written. */
START_TEST(full_disk)
{
    char large[4096];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    make_dir("conf");
    spill("conf/accounts.lua", "old");
    spill("conf/routing.lua", "old");
    put("accounts.lua", "new");
    put("routing.lua", large);
    struct rlimit before, small;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 1024;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    refuse_set("conf/routing.lua", "writing failed");
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_str_eq(slurp("conf/accounts.lua").text, "old");
    ck_assert_str_eq(slurp("conf/routing.lua").text, "old");
    ck_assert_int_eq(count_entries("conf"), 2);
}
END_TEST

/* Only root can make a file that belongs to somebody else, or a mount. */
START_TEST(somebody_elses_file_is_written_over)
{
    if (geteuid() != 0) {
        printf("not run as root: no file of another owner\n");
        return;
    }
    make_dir("conf");
    spill("conf/routing.lua", "old and longer");
    ck_assert_int_eq(chown(at("conf/routing.lua"), SOMEBODY, SOMEBODY), 0);
    ck_assert_int_eq(chmod(at("conf/routing.lua"), 0666), 0);
    ck_assert_int_eq(chmod(at("conf"), 0777), 0);
    ck_assert_int_eq(chmod(conf_root, 0755), 0);
    ino_t before = inode("conf/routing.lua");
    ck_assert_int_eq(seteuid(NOBODY), 0);
    put("routing.lua", "new");
    write_set();
    ck_assert_int_eq(seteuid(0), 0);
    struct stat st;
    ck_assert_int_eq(stat(at("conf/routing.lua"), &st), 0);
    ck_assert_int_eq(st.st_uid, SOMEBODY);
    ck_assert_uint_eq(st.st_ino, before);
    ck_assert_str_eq(slurp("conf/routing.lua").text, "new");
    ck_assert_int_eq(count_entries("conf"), 1);
}
END_TEST

START_TEST(mounted_file_is_written_over)
{
    make_dir("conf");
    spill("real", "old and longer");
    spill("conf/routing.lua", "hidden");
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount(at("real"), at("conf/routing.lua"), NULL, MS_BIND, NULL) != 0) {
        printf("no mounts here\n");
        return;
    }
    put("routing.lua", "new");
    write_set();
    ck_assert_str_eq(slurp("real").text, "new");
    ck_assert_int_eq(count_entries("conf"), 1);
    ck_assert_int_eq(umount(at("conf/routing.lua")), 0);
    ck_assert_str_eq(slurp("conf/routing.lua").text, "hidden");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf_dir");
    TCase *tests = tcase_create("conf_dir");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, everything_is_made);
    tcase_add_test(tests, only_what_differs_is_written);
    tcase_add_test(tests, others_are_removed);
    tcase_add_test(tests, mode_and_owner_are_kept);
    tcase_add_test(tests, new_files_obey_the_umask);
    tcase_add_test(tests, links_stay_and_their_targets_change);
    tcase_add_test(tests, a_linked_directory);
    tcase_add_test(tests, read_only_file);
    tcase_add_test(tests, read_only_directory);
    tcase_add_test(tests, what_is_no_file);
    tcase_add_test(tests, full_disk);
    tcase_add_test(tests, somebody_elses_file_is_written_over);
    tcase_add_test(tests, mounted_file_is_written_over);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
