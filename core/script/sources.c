/* The files of conf/ as one set of texts. */
#include "script/sources.h"

#include "base/utf8.h"
#include "script/generation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TESTS "tests"

enum { READ_SIZE = 16384 };

static const char *const FILES[] = {"accounts.lua", "gateway.lua", "models.lua", "routing.lua"};

/* ---------------------------------------------------------------- names */

/* The name of a file in tests/. */
static bool is_test_name(struct gate_str name)
{
    const struct gate_str end = GATE_STR(".lua");
    if (name.len <= end.len || memcmp(name.ptr + name.len - end.len, end.ptr, end.len) != 0)
        return false;
    for (size_t i = 0; i < name.len - end.len; i++) {
        char c = name.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return true;
}

bool gate_sources_is_name(struct gate_str name)
{
    const struct gate_str tests = GATE_STR(TESTS "/");
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        if (gate_str_eq(name, gate_str_of(FILES[i])))
            return true;
    }
    return name.len <= GATE_SOURCES_MAX_NAME && name.len > tests.len &&
           memcmp(name.ptr, tests.ptr, tests.len) == 0 &&
           is_test_name((struct gate_str){name.ptr + tests.len, name.len - tests.len});
}

/* ---------------------------------------------------------------- the set */

/* The place of a name, or the one that it would take. */
static size_t place_of(const struct gate_sources *s, struct gate_str name, bool *found)
{
    size_t at = 0;
    int order = 1;
    while (at < s->count && (order = gate_script_compare(gate_str_of(s->files[at].name), name)) < 0)
        at++;
    *found = at < s->count && order == 0;
    return at;
}

static size_t total_bytes(const struct gate_sources *s)
{
    size_t total = 0;
    for (size_t i = 0; i < s->count; i++)
        total += s->files[i].len;
    return total;
}

static char *copy_text(struct gate_str text)
{
    char *copy = gate_alloc(text.len + 1);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

/* The API, editors and the log carry text. */
static bool is_utf8(const char *text, size_t len)
{
    size_t at = 0, n;
    while (at < len && (n = gate_utf8_length(text + at, len - at)) > 0)
        at += n;
    return at == len;
}

/* Adds or replaces a file. Takes `text` over, also when it fails. */
static enum gate_status put(struct gate_sources *s, struct gate_str name, char *text, size_t len,
                            struct gate_error *err)
{
    bool found;
    size_t at = place_of(s, name, &found);
    size_t others = total_bytes(s) - (found ? s->files[at].len : 0);
    enum gate_status status = GATE_OK;
    if (len > GATE_SOURCES_MAX_BYTES)
        status = gate_fail(err, GATE_ELIMIT, "%.*s: larger than %d bytes", (int)name.len, name.ptr,
                           GATE_SOURCES_MAX_BYTES);
    else if (len > GATE_SOURCES_MAX_BYTES - others)
        status = gate_fail(err, GATE_ELIMIT, "%.*s: with it all files have more than %d bytes",
                           (int)name.len, name.ptr, GATE_SOURCES_MAX_BYTES);
    else if (!found && s->count == GATE_SOURCES_MAX_FILES)
        status = gate_fail(err, GATE_ELIMIT, "%.*s: more than %d files", (int)name.len, name.ptr,
                           GATE_SOURCES_MAX_FILES);
    if (status != GATE_OK) {
        free(text);
        return status;
    }
    if (found) {
        free(s->files[at].text);
    } else {
        s->files = gate_realloc(s->files, (s->count + 1) * sizeof *s->files);
        memmove(s->files + at + 1, s->files + at, (s->count - at) * sizeof *s->files);
        s->files[at].name = gate_strdup(name);
        s->count++;
    }
    s->files[at].text = text;
    s->files[at].len = len;
    return GATE_OK;
}

enum gate_status gate_sources_put(struct gate_sources *s, struct gate_str name,
                                  struct gate_str text, struct gate_error *err)
{
    if (!gate_sources_is_name(name))
        return gate_fail(err, GATE_EINVAL,
                         "no file of conf/ has such a name, expected gateway.lua, models.lua, "
                         "routing.lua, accounts.lua or tests/<name>.lua (a-z 0-9 _ -, at most %d "
                         "bytes in all)",
                         GATE_SOURCES_MAX_NAME);
    if (text.len > GATE_SOURCES_MAX_BYTES) /* not worth a copy */
        return gate_fail(err, GATE_ELIMIT, "%.*s: larger than %d bytes", (int)name.len, name.ptr,
                         GATE_SOURCES_MAX_BYTES);
    return put(s, name, copy_text(text), text.len, err);
}

void gate_sources_remove(struct gate_sources *s, const char *name)
{
    bool found;
    size_t at = place_of(s, gate_str_of(name), &found);
    if (!found)
        return;
    free(s->files[at].name);
    free(s->files[at].text);
    s->count--;
    memmove(s->files + at, s->files + at + 1, (s->count - at) * sizeof *s->files);
}

const struct gate_source *gate_sources_find(const struct gate_sources *s, const char *name)
{
    bool found;
    size_t at = place_of(s, gate_str_of(name), &found);
    return found ? &s->files[at] : NULL;
}

void gate_sources_copy(const struct gate_sources *from, struct gate_sources *to)
{
    *to = (struct gate_sources){0};
    if (from->count == 0)
        return;
    to->files = gate_calloc(from->count, sizeof *to->files);
    for (; to->count < from->count; to->count++) {
        const struct gate_source *f = &from->files[to->count];
        to->files[to->count] =
            (struct gate_source){gate_strdup(gate_str_of(f->name)),
                                 copy_text((struct gate_str){f->text, f->len}), f->len};
    }
}

void gate_sources_finish(struct gate_sources *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->files[i].name);
        free(s->files[i].text);
    }
    free(s->files);
    *s = (struct gate_sources){0};
}

bool gate_sources_equal(const struct gate_sources *a, const struct gate_sources *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct gate_source *x = &a->files[i], *y = &b->files[i];
        if (strcmp(x->name, y->name) != 0 || x->len != y->len ||
            memcmp(x->text, y->text, x->len) != 0)
            return false;
    }
    return true;
}

/* ---------------------------------------------------------------- reading */

static enum gate_status read_all(int fd, const char *shown, size_t max, struct gate_buf *out,
                                 struct gate_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return gate_fail(err, GATE_EIO, "%s: not a regular file", shown);
    for (;;) {
        /* One read past the cap shows that it is passed. */
        char *room = gate_buf_reserve(out, READ_SIZE);
        ssize_t n = room != NULL ? read(fd, room, READ_SIZE) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return gate_fail(err, GATE_EIO, "%s: %s", shown, strerror(errno));
        if (room == NULL || out->len + (size_t)n > max)
            return gate_fail(err, GATE_ELIMIT, "%s: larger than %zu bytes", shown, max);
        if (n == 0)
            return GATE_OK;
        out->len += (size_t)n;
    }
}

enum gate_status gate_script_read_file(int dir, const char *path, const char *shown, size_t max,
                                       struct gate_buf *out, struct gate_error *err)
{
    struct stat st;
    gate_buf_init(out, max + READ_SIZE);
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        /* A set that lacks a file means something else: a broken link must not look like that. */
        if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
            return gate_fail(err, GATE_EIO, "%s: a link that leads nowhere", shown);
        return gate_fail(err, GATE_ENOTFOUND, "%s: not found", shown);
    }
    if (fd < 0)
        return gate_fail(err, GATE_EIO, "%s: %s", shown, strerror(errno));
    enum gate_status status = read_all(fd, shown, max, out, err);
    close(fd);
    return status;
}

/* Reads a file of the directory into the set, if it is there. */
static enum gate_status read_source(int dir, const char *path, const char *name,
                                    struct gate_sources *out, struct gate_error *err)
{
    struct gate_buf text;
    enum gate_status status =
        gate_script_read_file(dir, path, name, GATE_SOURCES_MAX_BYTES, &text, err);
    if (status == GATE_OK && !is_utf8(text.ptr, text.len))
        status = gate_fail(err, GATE_EINVAL, "%s: the file is not UTF-8: save it in that encoding",
                           name);
    if (status == GATE_OK) {
        gate_buf_append_byte(&text, '\0');
        return put(out, gate_str_of(name), text.ptr, text.len - 1, err);
    }
    gate_buf_finish(&text);
    return status == GATE_ENOTFOUND ? GATE_OK : status;
}

/* *fd: -1 when there is no such directory. */
static enum gate_status open_dir(int at, const char *path, int *fd, struct gate_error *err)
{
    *fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0 && errno != ENOENT)
        return gate_fail(err, GATE_EIO, "%s: %s", path, strerror(errno));
    return GATE_OK;
}

static enum gate_status read_tests(int conf, struct gate_sources *out, struct gate_error *err)
{
    int fd;
    enum gate_status status = open_dir(conf, TESTS, &fd, err);
    if (status != GATE_OK || fd < 0)
        return status;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return gate_fail(err, GATE_EIO, TESTS ": %s", strerror(errno));
    }
    const struct dirent *entry = NULL;
    while (status == GATE_OK && (errno = 0, entry = readdir(dir)) != NULL) {
        char name[GATE_SOURCES_MAX_NAME + 1];
        int n = snprintf(name, sizeof name, TESTS "/%s", entry->d_name);
        if (n > 0 && (size_t)n < sizeof name && gate_sources_is_name(gate_str_of(name)))
            status = read_source(fd, entry->d_name, name, out, err);
    }
    if (status == GATE_OK && errno != 0)
        status = gate_fail(err, GATE_EIO, TESTS ": %s", strerror(errno));
    closedir(dir);
    return status;
}

enum gate_status gate_sources_read(const char *conf_dir, struct gate_sources *out,
                                   struct gate_error *err)
{
    int fd = -1;
    *out = (struct gate_sources){0};
    enum gate_status status = conf_dir != NULL ? open_dir(AT_FDCWD, conf_dir, &fd, err) : GATE_OK;
    if (status != GATE_OK || fd < 0)
        return status;
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0] && status == GATE_OK; i++)
        status = read_source(fd, FILES[i], FILES[i], out, err);
    if (status == GATE_OK)
        status = read_tests(fd, out, err);
    close(fd);
    if (status != GATE_OK)
        gate_sources_finish(out);
    return status;
}
