/*
 * conf_fixture: a directory of a test's own and short ways to make, read and rename files in it.
 * Used by test_conf_dir.c and test_watch*.c.
 */
#ifndef GATE_TEST_CONF_FIXTURE_H
#define GATE_TEST_CONF_FIXTURE_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONF_PATHS = 8 };

/* The directory; set by conf_setup. */
static char conf_root[PATH_MAX / 2];

/* A path below it. The last CONF_PATHS results are valid. */
static inline const char *at(const char *name)
{
    static char paths[CONF_PATHS][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % CONF_PATHS];
    snprintf(path, PATH_MAX, "%s/%s", conf_root, name);
    return path;
}

static inline void conf_setup(void)
{
    const char *tmp = getenv("TMPDIR");
    char template[256];
    snprintf(template, sizeof template, "%s/gate-conf-XXXXXX", tmp != NULL ? tmp : P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(template));
    char *real = realpath(template, NULL);
    ck_assert_ptr_nonnull(real);
    snprintf(conf_root, sizeof conf_root, "%s", real);
    free(real);
}

static inline int conf_remove(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static inline void conf_teardown(void)
{
    nftw(conf_root, conf_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void make_dir(const char *name)
{
    ck_assert_msg(mkdir(at(name), 0755) == 0, "%s: %s", name, strerror(errno));
}

/* Makes a file or writes it over, in one step. */
static inline void spill(const char *name, const char *text)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static inline void make_link(const char *target, const char *name)
{
    ck_assert_msg(symlink(target, at(name)) == 0, "%s: %s", name, strerror(errno));
}

static inline void move(const char *from, const char *to)
{
    ck_assert_msg(rename(at(from), at(to)) == 0, "%s: %s", from, strerror(errno));
}

static inline void drop(const char *name)
{
    ck_assert_msg(remove(at(name)) == 0, "%s: %s", name, strerror(errno));
}

/* The file's text; empty: there is none. */
struct slurped {
    char text[512];
};
static inline struct slurped slurp(const char *name)
{
    struct slurped s = {""};
    int fd = open(at(name), O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, s.text, sizeof s.text - 1) : 0;
    s.text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
    return s;
}

/* How many entries a directory has. */
static inline int count_entries(const char *name)
{
    int count = 0;
    const struct dirent *entry;
    DIR *dir = opendir(at(name));
    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

#endif
