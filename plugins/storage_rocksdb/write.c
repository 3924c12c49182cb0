#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PROBE_BYTES = 256 * 1024, PROBE_CHUNK = 16 * 1024 };

enum gate_status rocks_key_make(struct rocks_key *out, enum rocks_prefix prefix,
                                struct gate_str key, struct gate_error *err)
{
    if (key.len == 0)
        return gate_fail(err, GATE_EINVAL, "a key must not be empty");
    if (key.len > ROCKS_MAX_KEY)
        return gate_fail(err, GATE_ELIMIT, "a key has %zu bytes; at most %d are allowed", key.len,
                         ROCKS_MAX_KEY);
    out->bytes[0] = (char)prefix;
    memcpy(out->bytes + 1, key.ptr, key.len);
    out->len = 1 + key.len;
    return GATE_OK;
}

/* ---------------------------------------------------------------- reading */

enum gate_status rocks_value_read(struct rocks_store *s, const struct rocks_key *key,
                                  struct rocks_value *out, struct gate_error *err)
{
    char *text = NULL;
    enum gate_status status;

    *out = (struct rocks_value){NULL, 0};
    if (s->db == NULL) {
        status = rocks_recover(s, err);
        if (s->db == NULL)
            return status;
    }
    if (s->batch != NULL)
        out->ptr = rocksdb_writebatch_wi_get_from_batch_and_db(s->batch, s->db, s->read, key->bytes,
                                                               key->len, &out->len, &text);
    else
        out->ptr = rocksdb_get(s->db, s->read, key->bytes, key->len, &out->len, &text);
    if (text != NULL) {
        status = gate_fail(err, GATE_EIO, "storage %s: reading failed: %s", s->directory, text);
        rocksdb_free(text);
        return status;
    }
    return GATE_OK;
}

void rocks_value_finish(struct rocks_value *v)
{
    rocksdb_free(v->ptr);
    *v = (struct rocks_value){NULL, 0};
}

/* ---------------------------------------------------------------- writing */

enum gate_status rocks_write_begin(struct rocks_store *s, struct gate_error *err)
{
    if (s->visiting > 0)
        return gate_fail(err, GATE_EINVAL, "a callback of a scan must not write");
    /* In a batch the checks of its operations must all meet the same database. */
    return s->batch != NULL ? GATE_OK : rocks_recover(s, err);
}

void rocks_write_put(struct rocks_store *s, const struct rocks_key *key, struct gate_str head,
                     struct gate_str tail)
{
    const char *keys[] = {key->bytes}, *parts[] = {head.ptr, tail.len > 0 ? tail.ptr : ""};
    const size_t key_lens[] = {key->len}, part_lens[] = {head.len, tail.len};

    if (s->batch == NULL) {
        rocksdb_writebatch_putv(s->single, 1, keys, key_lens, 2, parts, part_lens);
        return;
    }
    rocksdb_writebatch_wi_putv(s->batch, 1, keys, key_lens, 2, parts, part_lens);
}

void rocks_write_add(struct rocks_store *s, const struct rocks_key *key, struct gate_str operand)
{
    if (s->batch == NULL)
        rocksdb_writebatch_merge(s->single, key->bytes, key->len, operand.ptr, operand.len);
    else
        rocksdb_writebatch_wi_merge(s->batch, key->bytes, key->len, operand.ptr, operand.len);
}

void rocks_write_delete(struct rocks_store *s, const struct rocks_key *key)
{
    if (s->batch == NULL)
        rocksdb_writebatch_delete(s->single, key->bytes, key->len);
    else
        rocksdb_writebatch_wi_delete(s->batch, key->bytes, key->len);
}

enum gate_status rocks_write_end(struct rocks_store *s, bool sync, struct gate_error *err)
{
    char *text = NULL;

    if (s->batch != NULL) {
        s->batch_sync = s->batch_sync || sync;
        return GATE_OK;
    }
    rocksdb_write(s->db, sync ? s->write_sync : s->write, s->single, &text);
    rocksdb_writebatch_clear(s->single);
    if (text != NULL)
        return rocks_write_failed(s, text, err);
    rocks_sweep_step(s);
    return GATE_OK;
}

enum gate_status rocks_write_failed(struct rocks_store *s, char *text, struct gate_error *err)
{
    char line[ROCKS_TEXT_MAX + 128];

    snprintf(s->failure, sizeof s->failure, "%s", text);
    rocksdb_free(text);
    if (!s->failed) {
        snprintf(line, sizeof line,
                 "writing failed (%s); reading goes on, and later writes try again", s->failure);
        s->host->log(GATE_LOG_ERROR, "rocksdb", line);
    }
    s->failed = true;
    s->retry_at_ms = s->host->now_ms() + ROCKS_RETRY_MS;
    return gate_fail(err, GATE_EIO, "storage %s: writing failed: %s", s->directory, s->failure);
}

/* ---------------------------------------------------------------- batches */

enum gate_status rocks_batch_begin(struct rocks_store *s, struct gate_error *err)
{
    enum gate_status status;

    if (s->batch != NULL)
        return gate_fail(err, GATE_EINVAL, "a batch is open already");
    status = rocks_write_begin(s, err);
    if (status != GATE_OK)
        return status;
    s->batch = rocksdb_writebatch_wi_create(0, 1);
    s->batch_sync = false;
    return GATE_OK;
}

enum gate_status rocks_batch_commit(struct rocks_store *s, bool sync, struct gate_error *err)
{
    char *text = NULL;

    if (s->batch == NULL || s->visiting > 0)
        return gate_fail(err, GATE_EINVAL,
                         s->batch == NULL ? "no batch is open"
                                          : "a callback of a scan must not commit");
    sync = sync || s->batch_sync;
    if (s->failed) {
        rocks_batch_abort(s);
        return gate_fail(err, GATE_EIO, "storage %s: writing failed: %s", s->directory, s->failure);
    }
    rocksdb_write_writebatch_wi(s->db, sync ? s->write_sync : s->write, s->batch, &text);
    rocks_batch_abort(s);
    if (text != NULL)
        return rocks_write_failed(s, text, err);
    rocks_sweep_step(s);
    return GATE_OK;
}

void rocks_batch_abort(struct rocks_store *s)
{
    if (s->batch == NULL)
        return;
    rocksdb_writebatch_wi_destroy(s->batch);
    s->batch = NULL;
}

/* ---------------------------------------------------------------- recovering */

/* Does the directory take data again? Asked before the database is closed, because it serves reads
 * until then. Returns 0 or an errno. */
static int probe(const struct rocks_store *s)
{
    char path[PATH_MAX + 16];
    static const char zeros[PROBE_CHUNK];
    int fd, error = 0;

    snprintf(path, sizeof path, "%s/probe.tmp", s->directory);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    unlink(path);
    for (size_t done = 0; done < PROBE_BYTES && error == 0;) {
        const ssize_t n = write(fd, zeros, sizeof zeros);

        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno != EINTR)
            error = errno;
    }
    if (error == 0 && fdatasync(fd) != 0)
        error = errno;
    close(fd);
    return error;
}

enum gate_status rocks_recover(struct rocks_store *s, struct gate_error *err)
{
    const uint64_t now = s->host->now_ms();
    char *text, *again;
    int error;

    if (!s->failed)
        return GATE_OK;
    /* The clock was set back. */
    if (s->retry_at_ms > now + ROCKS_RETRY_MS)
        s->retry_at_ms = now + ROCKS_RETRY_MS;
    if (now < s->retry_at_ms || s->visiting > 0 || s->batch != NULL)
        return gate_fail(err, GATE_EIO, "storage %s: writing failed (%s); it is tried again soon",
                         s->directory, s->failure);
    s->retry_at_ms = now + ROCKS_RETRY_MS;
    error = probe(s);
    if (error != 0 && s->db != NULL)
        return gate_fail(err, GATE_EIO, "storage %s: writing still fails: %s", s->directory,
                         strerrordesc_np(error));

    /* RocksDB refuses writes until it is opened anew. */
    rocks_db_close(s);
    text = error == 0 ? rocks_db_open(s, ROCKS_READ_WRITE) : NULL;
    if (s->db != NULL) {
        s->failed = false;
        s->host->log(GATE_LOG_INFO, "rocksdb", "writing works again");
        return GATE_OK;
    }
    if (text != NULL)
        snprintf(s->failure, sizeof s->failure, "%s", text);
    rocksdb_free(text);
    again = rocks_db_open(s, ROCKS_READ_ONLY);
    rocksdb_free(again);
    return gate_fail(err, GATE_EIO, "storage %s: opening it anew failed: %s", s->directory,
                     s->failure);
}
