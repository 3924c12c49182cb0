/* backup, the writing side: see backup_read.c for the other. */
#include "record/backup.h"
#include "record/backup_format.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024, MAX_OPEN = 8 };

/* ---- one file on its way to disk */

struct sink {
    int fd;
    const char *path;
    EVP_MD_CTX *digest;
    struct gate_buf pending;
    struct gate_backup_sum sum;
    struct gate_error *err;
    enum gate_status status;
};

static enum gate_status failed(const char *path, const char *what, struct gate_error *err)
{
    return gate_fail(err, GATE_EIO, "%s: %s: %s", path, what, strerror(errno));
}

static void flush_sink(struct sink *s)
{
    size_t done = 0;
    while (done < s->pending.len && s->status == GATE_OK) {
        ssize_t n = write(s->fd, s->pending.ptr + done, s->pending.len - done);
        if (n < 0 && errno != EINTR)
            s->status = failed(s->path, "writing failed", s->err);
        if (n > 0)
            done += (size_t)n;
    }
    s->sum.bytes += s->pending.len;
    s->pending.len = 0;
}

static void put(struct sink *s, struct gate_str bytes)
{
    EVP_DigestUpdate(s->digest, bytes.ptr, bytes.len);
    gate_buf_append(&s->pending, bytes);
    if (s->pending.len >= BUFFER)
        flush_sink(s);
}

static bool put_record(void *ctx, const struct gate_record *record)
{
    struct sink *s = ctx;
    unsigned char head[BACKUP_HEAD];
    if (record->key.len == 0 || record->key.len > GATE_BACKUP_MAX_KEY ||
        record->value.len > GATE_BACKUP_MAX_VALUE) {
        s->status = gate_fail(s->err, GATE_ELIMIT, "a record of storage is too large for a backup");
        return false;
    }
    backup_put(head, 4, record->key.len);
    backup_put(head + 4, 4, record->value.len);
    backup_put(head + 8, 8, record->version);
    put(s, (struct gate_str){(const char *)head, sizeof head});
    put(s, record->key);
    put(s, record->value);
    s->sum.records++;
    return s->status == GATE_OK;
}

static void put_end(struct sink *s)
{
    unsigned char end[BACKUP_END];
    unsigned char digest[BACKUP_DIGEST];
    backup_put(end, 4, 0);
    backup_put(end + 4, 8, s->sum.records);
    put(s, (struct gate_str){(const char *)end, sizeof end});
    EVP_DigestFinal_ex(s->digest, digest, NULL);
    gate_buf_append(&s->pending, (struct gate_str){(const char *)digest, sizeof digest});
    flush_sink(s);
}

static enum gate_status sync_parent(const char *path, struct gate_error *err)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool fine = fd >= 0 && fsync(fd) == 0;
    enum gate_status status =
        fine ? GATE_OK : failed(path, "its directory could not be written", err);
    if (fd >= 0)
        close(fd);
    return status;
}

/* Gives the whole file its name; a name that exists is not taken from it. */
static enum gate_status publish(const char *from, const char *to, struct gate_error *err)
{
    if (link(from, to) == 0) {
        unlink(from);
        return sync_parent(to, err);
    }
    /* Some file systems have no hard links. */
    if (errno != EEXIST && renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return sync_parent(to, err);
    if (errno == EEXIST)
        return gate_fail(err, GATE_ECONFLICT, "%s: there is a file of that name", to);
    return failed(to, "it could not be made", err);
}

static enum gate_status write_file(const struct gate_storage_ops *ops, void *handle, int fd,
                                   const char *path, struct gate_backup_sum *out,
                                   struct gate_error *err)
{
    struct sink s = {.fd = fd, .path = path, .err = err, .status = GATE_OK};
    const struct gate_str all = {NULL, 0};
    gate_buf_init(&s.pending, BUFFER + GATE_BACKUP_MAX_VALUE + BACKUP_HEAD);
    s.digest = backup_digest();
    put(&s, GATE_STR(BACKUP_LINE));
    enum gate_status status = ops->scan(handle, all, all, SIZE_MAX, put_record, &s, err);
    if (status == GATE_OK && s.status == GATE_OK)
        put_end(&s);
    if (status == GATE_OK)
        status = s.status;
    if (status == GATE_OK && fsync(fd) != 0)
        status = failed(path, "writing failed", err);
    *out = s.sum;
    EVP_MD_CTX_free(s.digest);
    gate_buf_finish(&s.pending);
    return status;
}

enum gate_status gate_backup_write(const struct gate_storage_ops *ops, void *handle,
                                   const char *path, struct gate_backup_sum *out,
                                   struct gate_error *err)
{
    char temporary[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= sizeof temporary)
        return gate_fail(err, GATE_EINVAL, "%s: the name is too long", path);
    if (access(path, F_OK) == 0)
        return gate_fail(err, GATE_ECONFLICT, "%s: there is a file of that name", path);
    int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return failed(path, "it could not be made", err);
    enum gate_status status = write_file(ops, handle, fd, path, out, err);
    close(fd);
    if (status == GATE_OK)
        status = publish(temporary, path, err);
    if (status != GATE_OK)
        unlink(temporary);
    return status;
}

/* ---- from a copy of a storage */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

enum gate_status gate_backup_remove_directory(const char *directory, struct gate_error *err)
{
    if (nftw(directory, remove_one, MAX_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 ||
        errno == ENOENT)
        return GATE_OK;
    return failed(directory, "it could not be removed", err);
}

enum gate_status gate_backup_from_copy(const struct gate_plugin *plugin,
                                       const struct gate_value *values, const char *directory,
                                       const char *path, struct gate_backup_sum *out,
                                       struct gate_error *err)
{
    const struct gate_storage_ops *ops = plugin->ops;
    struct gate_error ignored;
    void *handle = NULL;
    enum gate_status status = ops->open(gate_str_of(directory), values, &handle, err);
    if (status == GATE_OK) {
        status = gate_backup_write(ops, handle, path, out, err);
        ops->close(handle);
    }
    gate_backup_remove_directory(directory, &ignored);
    return status;
}
