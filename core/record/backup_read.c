/* backup, the reading side. The file is foreign: nothing in it is believed before it was checked.
 */
#include "record/backup.h"
#include "record/backup_format.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* ---- the file as a row of pieces */

struct source {
    FILE *file;
    const char *path;
    EVP_MD_CTX *digest;
    struct gate_backup_sum sum;
    struct gate_buf record; /* key and value of the one at hand */
    size_t key_len;
    struct gate_error *err;
};

static enum gate_status cut(struct source *s)
{
    if (ferror(s->file))
        return gate_fail(s->err, GATE_EIO, "%s: reading failed", s->path);
    return gate_fail(s->err, GATE_EPARSE, "%s: the backup is cut: it ends after %llu bytes",
                     s->path, (unsigned long long)s->sum.bytes);
}

static enum gate_status damaged(struct source *s)
{
    return gate_fail(s->err, GATE_EPARSE, "%s: the backup is damaged (near byte %llu)", s->path,
                     (unsigned long long)s->sum.bytes);
}

/* Reads exactly n bytes. */
static enum gate_status take(struct source *s, void *out, size_t n)
{
    size_t got = fread(out, 1, n, s->file);
    s->sum.bytes += got;
    if (got != n)
        return cut(s);
    EVP_DigestUpdate(s->digest, out, n);
    return GATE_OK;
}

static enum gate_status open_source(struct source *s, const char *path, struct gate_error *err)
{
    char line[sizeof BACKUP_LINE] = "";
    *s = (struct source){.path = path, .err = err};
    gate_buf_init(&s->record, GATE_BACKUP_MAX_KEY + GATE_BACKUP_MAX_VALUE);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO must not hang it */
    s->file = fd < 0 ? NULL : fdopen(fd, "rb");
    if (s->file == NULL) {
        gate_fail(err, GATE_EIO, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return GATE_EIO;
    }
    s->digest = backup_digest();
    size_t n = sizeof BACKUP_LINE - 1;
    if (take(s, line, n) == GATE_OK && memcmp(line, BACKUP_LINE, n) == 0)
        return GATE_OK;
    if (ferror(s->file))
        return gate_fail(err, GATE_EIO, "%s: reading failed", path);
    /* Another number: a later format. */
    if (memcmp(line, BACKUP_LINE, n - 2) == 0 && line[n - 2] >= '2' && line[n - 2] <= '9' &&
        line[n - 1] == '\n')
        return gate_fail(err, GATE_EPARSE,
                         "%s: a newer llm-gate wrote this backup; restore it with that version",
                         path);
    return gate_fail(err, GATE_EPARSE, "%s: this is not a backup of llm-gate", path);
}

static void close_source(struct source *s)
{
    if (s->file != NULL)
        fclose(s->file);
    EVP_MD_CTX_free(s->digest);
    gate_buf_finish(&s->record);
}

/* Reads the end of the file, of which the zero was read. */
static enum gate_status check_end(struct source *s)
{
    unsigned char count[8], digest[BACKUP_DIGEST], stored[BACKUP_DIGEST];
    enum gate_status status = take(s, count, sizeof count);
    if (status != GATE_OK)
        return status;
    EVP_DigestFinal_ex(s->digest, digest, NULL);
    size_t got = fread(stored, 1, sizeof stored, s->file);
    s->sum.bytes += got;
    if (got != sizeof stored)
        return cut(s);
    if (memcmp(digest, stored, sizeof digest) != 0 ||
        backup_get(count, sizeof count) != s->sum.records || fgetc(s->file) != EOF)
        return damaged(s);
    return GATE_OK;
}

/* Reads the next record. *more false: that was the end, and it was in order. */
static enum gate_status next_record(struct source *s, bool *more)
{
    unsigned char head[BACKUP_HEAD];
    *more = false;
    enum gate_status status = take(s, head, 4);
    uint64_t key_len = backup_get(head, 4);
    if (status != GATE_OK || key_len == 0)
        return status != GATE_OK ? status : check_end(s);
    status = take(s, head + 4, sizeof head - 4);
    if (status != GATE_OK)
        return status;
    uint64_t value_len = backup_get(head + 4, 4);
    if (key_len > GATE_BACKUP_MAX_KEY || value_len > GATE_BACKUP_MAX_VALUE)
        return damaged(s);
    s->record.len = 0;
    s->key_len = (size_t)key_len;
    size_t size = (size_t)(key_len + value_len);
    status = take(s, gate_buf_reserve(&s->record, size), size);
    if (status != GATE_OK)
        return status;
    s->record.len = size;
    s->sum.records++;
    *more = true;
    return GATE_OK;
}

enum gate_status gate_backup_verify(const char *path, struct gate_backup_sum *out,
                                    struct gate_error *err)
{
    struct source s;
    bool more = true;
    enum gate_status status = open_source(&s, path, err);
    while (status == GATE_OK && more)
        status = next_record(&s, &more);
    *out = s.sum;
    close_source(&s);
    return status;
}

/* ---- restoring */

struct restore {
    const struct gate_storage_ops *ops;
    void *handle;
    struct gate_buf schema; /* value of GATE_KEY_SCHEMA, kept for the end */
    size_t in_batch;
    struct gate_error *err;
};

static bool note_record(void *ctx, const struct gate_record *record)
{
    (void)record;
    *(bool *)ctx = true;
    return false;
}

static enum gate_status put(struct restore *r, struct gate_str key, struct gate_str value)
{
    uint64_t version;
    enum gate_status status = GATE_OK;
    if (r->in_batch == 0)
        status = r->ops->batch_begin(r->handle, r->err);
    if (status != GATE_OK)
        return status;
    r->in_batch++;
    return r->ops->put_if(r->handle, key, value, 0, 0, 0, 0, &version, r->err);
}

static enum gate_status commit(struct restore *r, unsigned flags)
{
    if (r->in_batch == 0)
        return GATE_OK;
    r->in_batch = 0;
    return r->ops->batch_commit(r->handle, flags, r->err);
}

static enum gate_status put_from(struct restore *r, const struct source *s)
{
    struct gate_str key = {s->record.ptr, s->key_len};
    struct gate_str value = {s->record.ptr + s->key_len, s->record.len - s->key_len};
    if (gate_str_eq(key, GATE_STR(GATE_KEY_SCHEMA))) {
        gate_buf_append(&r->schema, value);
        return GATE_OK;
    }
    enum gate_status status = put(r, key, value);
    if (status == GATE_OK && r->in_batch >= GATE_BACKUP_BATCH)
        status = commit(r, 0);
    return status;
}

static enum gate_status put_all(struct restore *r, struct source *s)
{
    bool more = true;
    enum gate_status status = GATE_OK;
    while (status == GATE_OK && more) {
        status = next_record(s, &more);
        if (status == GATE_OK && more)
            status = put_from(r, s);
    }
    if (status == GATE_OK)
        status = commit(r, GATE_PUT_SYNC);
    if (status == GATE_OK && r->schema.len > 0)
        status = put(r, GATE_STR(GATE_KEY_SCHEMA), gate_buf_str(&r->schema));
    if (status == GATE_OK)
        status = commit(r, GATE_PUT_SYNC);
    if (status != GATE_OK && r->in_batch > 0)
        r->ops->batch_abort(r->handle);
    return status;
}

enum gate_status gate_backup_restore(const char *path, const struct gate_storage_ops *ops,
                                     void *handle, struct gate_backup_sum *out,
                                     struct gate_error *err)
{
    const struct gate_str all = {NULL, 0};
    struct restore r = {.ops = ops, .handle = handle, .err = err};
    struct source s;
    bool taken = false;
    enum gate_status status = gate_backup_verify(path, out, err);
    if (status == GATE_OK)
        status = ops->scan(handle, all, all, 1, note_record, &taken, err);
    if (status == GATE_OK && taken)
        status = gate_fail(err, GATE_ECONFLICT,
                           "the storage is not empty: restore into a data directory of its own");
    if (status != GATE_OK)
        return status;
    gate_buf_init(&r.schema, GATE_BACKUP_MAX_VALUE);
    status = open_source(&s, path, err);
    if (status == GATE_OK)
        status = put_all(&r, &s);
    *out = s.sum;
    close_source(&s);
    gate_buf_finish(&r.schema);
    return status;
}
