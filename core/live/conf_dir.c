#include "live/conf_dir.h"
#include "base/buf.h"
#include "base/random.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_LINKS = 40, MAX_TARGET = PATH_MAX };

/* A file on its way to disk. All are written in full before the first gets its name, so that a disk
 * that is full leaves the set as it was. */
struct staged {
    const struct gate_source *source;
    char path[PATH_MAX];      /* where the file is: what a link points to */
    char temporary[PATH_MAX]; /* beside it; empty: none is there (any longer) */
    bool in_place;            /* it cannot be renamed over and is written over instead */
};

static enum gate_status failed(const char *path, const char *what, struct gate_error *err)
{
    int why = errno;
    return gate_fail(err, GATE_EIO, "%s: %s: %s", path, what, strerror(why));
}

static bool join(char out[PATH_MAX], const char *directory, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", directory, name);
    return n > 0 && n < PATH_MAX;
}

/* ---- paths */

/* The length of the directory part of path, without the slash; 0: the root or no directory. */
static size_t directory_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? (size_t)(slash - path) : 0;
}

static void directory_of(const char *path, char out[PATH_MAX])
{
    size_t len = directory_length(path);
    if (len > 0)
        snprintf(out, PATH_MAX, "%.*s", (int)len, path);
    else
        snprintf(out, PATH_MAX, "%s", path[0] == '/' ? "/" : ".");
}

/* Follows the last component while it is a link; its target need not be there. name: the file's,
 * for messages. */
static enum gate_status follow(char path[PATH_MAX], const char *name, struct gate_error *err)
{
    char target[MAX_TARGET], next[PATH_MAX], directory[PATH_MAX];
    for (int links = 0; links < MAX_LINKS; links++) {
        ssize_t n = readlink(path, target, sizeof target - 1);
        if (n < 0 && (errno == EINVAL || errno == ENOENT))
            return GATE_OK;
        if (n < 0)
            return failed(path, "it cannot be looked up", err);
        target[n] = '\0';
        directory_of(path, directory);
        bool fits = target[0] == '/' ? snprintf(next, sizeof next, "%s", target) < PATH_MAX
                                     : join(next, directory, target);
        if (!fits)
            return gate_fail(err, GATE_EIO, "%s: its target's name is too long", path);
        memcpy(path, next, sizeof next);
    }
    return gate_fail(err, GATE_EIO, "%s: too many links", name);
}

/* ---- comparing */

/* Whether a file has this text already. What cannot be read is not equal. */
static bool has_text(const char *path, const struct gate_source *source)
{
    char chunk[8192];
    size_t at = 0;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool equal = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (size_t)st.st_size == source->len;
    while (equal) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            equal = n == 0 && at == source->len;
            break;
        }
        equal = (size_t)n <= source->len - at && memcmp(chunk, source->text + at, (size_t)n) == 0;
        at += (size_t)n;
    }
    close(fd);
    return equal;
}

/* ---- writing one file */

static enum gate_status write_all(int fd, const char *path, const struct gate_source *source,
                                  struct gate_error *err)
{
    for (size_t at = 0; at < source->len;) {
        ssize_t n = write(fd, source->text + at, source->len - at);
        if (n < 0 && errno != EINTR)
            return failed(path, "writing failed", err);
        if (n > 0)
            at += (size_t)n;
    }
    return GATE_OK;
}

/* Gives the new file the owner and the mode of the old one. False: the owner cannot be kept. */
static bool take_after(int fd, const struct stat *old)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return false;
    bool other = st.st_uid != old->st_uid || st.st_gid != old->st_gid;
    /* The owner first: changing it takes bits off the mode. */
    if (other && fchown(fd, old->st_uid, old->st_gid) != 0)
        return false;
    return fchmod(fd, old->st_mode & 07777) == 0;
}

static void discard(struct staged *s)
{
    if (s->temporary[0] != '\0')
        unlink(s->temporary);
    s->temporary[0] = '\0';
}

/* A file that nobody may write is meant to stay as it is, even where root could replace it. */
static enum gate_status check_writable(const char *path, const struct stat *st,
                                       struct gate_error *err)
{
    if (!S_ISREG(st->st_mode))
        return gate_fail(err, GATE_EIO, "%s: it is no regular file", path);
    if ((st->st_mode & 0222) == 0)
        return gate_fail(err, GATE_EIO, "%s: it is read-only", path);
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0)
        return failed(path, "it cannot be written", err);
    return GATE_OK;
}

/* The name begins with a dot: nobody takes it for one of the files. */
static enum gate_status name_temporary(struct staged *s, struct gate_error *err)
{
    char id[GATE_RANDOM_ID + 1], directory[PATH_MAX];
    const char *slash = strrchr(s->path, '/');
    gate_random_id(id);
    directory_of(s->path, directory);
    int n = snprintf(s->temporary, sizeof s->temporary, "%s/.%s.%.8s", directory,
                     slash != NULL ? slash + 1 : s->path, id);
    if (n < PATH_MAX)
        return GATE_OK;
    s->temporary[0] = '\0';
    return gate_fail(err, GATE_EIO, "%s: the name is too long", s->path);
}

/* Writes the new text to a temporary file beside the old one. */
static enum gate_status stage(struct staged *s, struct gate_error *err)
{
    struct stat old;
    bool exists = stat(s->path, &old) == 0;
    enum gate_status status = GATE_OK;
    if (!exists && errno != ENOENT)
        return failed(s->path, "it cannot be looked up", err);
    if (exists)
        status = check_writable(s->path, &old, err);
    if (status == GATE_OK)
        status = name_temporary(s, err);
    if (status != GATE_OK)
        return status;
    int fd = open(s->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                  exists ? 0600 : 0666);
    if (fd < 0) {
        s->temporary[0] = '\0';
        return failed(s->path, "its directory cannot be written", err);
    }
    s->in_place = exists && !take_after(fd, &old);
    status = write_all(fd, s->path, s->source, err);
    if (status == GATE_OK && fsync(fd) != 0)
        status = failed(s->path, "writing failed", err);
    close(fd);
    if (status != GATE_OK)
        discard(s);
    return status;
}

/* For a file that must stay the same one: it belongs to somebody else, or is a mount point. */
static enum gate_status write_over(struct staged *s, struct gate_error *err)
{
    int fd = open(s->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return failed(s->path, "it cannot be written", err);
    enum gate_status status = write_all(fd, s->path, s->source, err);
    if (status == GATE_OK && (ftruncate(fd, (off_t)s->source->len) != 0 || fsync(fd) != 0))
        status = failed(s->path, "writing failed", err);
    close(fd);
    return status;
}

static enum gate_status sync_directory(const char *path, struct gate_error *err)
{
    char directory[PATH_MAX];
    directory_of(path, directory);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool fine = fd >= 0 && fsync(fd) == 0;
    enum gate_status status = fine ? GATE_OK : failed(path, "its directory was not synced", err);
    if (fd >= 0)
        close(fd);
    return status;
}

/* Gives the staged text the file's name. */
static enum gate_status put_in_place(struct staged *s, struct gate_error *err)
{
    if (!s->in_place && rename(s->temporary, s->path) == 0) {
        s->temporary[0] = '\0';
        return sync_directory(s->path, err);
    }
    if (!s->in_place && errno != EBUSY)
        return failed(s->path, "it cannot be replaced", err);
    discard(s);
    return write_over(s, err);
}

/* ---- the set */

static enum gate_status make_directory(const char *path, struct gate_error *err)
{
    if (mkdir(path, 0777) == 0)
        return sync_directory(path, err);
    struct stat st;
    if (errno != EEXIST)
        return failed(path, "the directory cannot be made", err);
    if (stat(path, &st) != 0)
        return failed(path, "it cannot be looked up", err);
    return S_ISDIR(st.st_mode) ? GATE_OK : gate_fail(err, GATE_EIO, "%s: it is no directory", path);
}

/* Stages what differs. list has room for all; *count: how many there are, also after a failure. */
static enum gate_status stage_all(const char *conf_dir, const struct gate_sources *sources,
                                  struct staged *list, size_t *count, struct gate_error *err)
{
    enum gate_status status = make_directory(conf_dir, err);
    char tests[PATH_MAX];
    bool made = false;
    for (size_t i = 0; status == GATE_OK && i < sources->count; i++) {
        struct staged *s = &list[*count];
        *s = (struct staged){.source = &sources->files[i]};
        if (!join(s->path, conf_dir, s->source->name))
            return gate_fail(err, GATE_EIO, "%s: the name is too long", conf_dir);
        if (has_text(s->path, s->source))
            continue;
        if (strchr(s->source->name, '/') != NULL && !made && join(tests, conf_dir, "tests")) {
            status = make_directory(tests, err);
            made = true;
        }
        if (status == GATE_OK)
            status = follow(s->path, s->source->name, err);
        if (status == GATE_OK)
            status = stage(s, err);
        *count += status == GATE_OK;
    }
    return status;
}

/* Removes what lies in one directory and the set does not have. A link is removed, not its target.
 */
static enum gate_status remove_others(const char *conf_dir, const char *prefix,
                                      const struct gate_sources *sources, struct gate_error *err)
{
    enum gate_status status = GATE_OK;
    char directory[PATH_MAX], name[GATE_SOURCES_MAX_NAME + 1], path[PATH_MAX];
    const struct dirent *entry;
    struct stat st;
    if (!join(directory, conf_dir, prefix))
        return gate_fail(err, GATE_EIO, "%s: the name is too long", conf_dir);
    DIR *dir = opendir(directory);
    if (dir == NULL)
        return errno == ENOENT ? GATE_OK : failed(directory, "it cannot be read", err);
    bool removed = false;
    while (status == GATE_OK && (entry = readdir(dir)) != NULL) {
        int n = snprintf(name, sizeof name, "%s%s", prefix, entry->d_name);
        if ((size_t)n >= sizeof name || !gate_sources_is_name(gate_str_of(name)) ||
            gate_sources_find(sources, name) != NULL || !join(path, conf_dir, name) ||
            lstat(path, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)))
            continue;
        if (S_ISREG(st.st_mode))
            status = check_writable(path, &st, err);
        if (status == GATE_OK && unlink(path) != 0 && errno != ENOENT)
            status = failed(path, "it cannot be removed", err);
        removed = true;
    }
    closedir(dir);
    if (status == GATE_OK && removed && join(path, directory, "."))
        status = sync_directory(path, err);
    return status;
}

enum gate_status gate_conf_dir_write(const char *conf_dir, const struct gate_sources *sources,
                                     struct gate_error *err)
{
    size_t count = 0;
    struct staged *list = gate_calloc(sources->count, sizeof *list);
    enum gate_status status = stage_all(conf_dir, sources, list, &count, err);
    for (size_t i = 0; i < count && status == GATE_OK; i++)
        status = put_in_place(&list[i], err);
    for (size_t i = 0; i < count; i++)
        discard(&list[i]);
    free(list);
    if (status == GATE_OK)
        status = remove_others(conf_dir, "", sources, err);
    if (status == GATE_OK)
        status = remove_others(conf_dir, "tests/", sources, err);
    return status;
}
