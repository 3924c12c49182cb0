/*
 * storage_rocksdb: keeps the gateway's records in a RocksDB database in one directory. Made for few
 * records and little memory; see README.md for what is promised. Files: store.h.
 */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Services of the gateway: set by init, read by all. */
static const struct gate_host *host;

static const struct gate_option options[] = {
    [ROCKS_OPTION_WRITE_BUFFER] = {"write_buffer_mb", GATE_OPTION_NUMBER, "2",
                                   "memory for the newest writes, MiB, 1 to 1024; twice that while "
                                   "one buffer is written out",
                                   NULL},
    [ROCKS_OPTION_CACHE] = {"cache_mb", GATE_OPTION_NUMBER, "2",
                            "memory for blocks that were read, MiB, 1 to 1024", NULL},
    [ROCKS_OPTION_RECOVERY] = {"recovery", GATE_OPTION_STRING, "strict",
                               "what to do with a damaged log: strict refuses to start, "
                               "point_in_time keeps what was written before the damage",
                               "strict|point_in_time"},
};

static enum gate_status rocksdb_init(const struct gate_host *services, struct gate_error *err)
{
    (void)err;
    host = services;
    return GATE_OK;
}

static enum gate_status store_open(struct gate_str directory, const struct gate_value *values,
                                   void **out, struct gate_error *err)
{
    struct rocks_store *s = NULL;
    const enum gate_status status = rocks_open(host, directory, values, &s, err);

    *out = s;
    return status;
}

static void store_close(void *store)
{
    rocks_close(store);
}

/* ---------------------------------------------------------------- reading */

/* Decodes what is stored under a key of the caller. *present: there is something, and it lives. */
static enum gate_status look(struct rocks_store *s, const struct rocks_key *key,
                             struct rocks_value *value, struct rocks_record *r, bool *present,
                             struct gate_error *err)
{
    const enum gate_status status = rocks_value_read(s, key, value, err);

    *r = (struct rocks_record){0};
    *present = false;
    if (status != GATE_OK || value->ptr == NULL)
        return status;
    if (!rocks_record_decode(rocks_value_str(value), r))
        return gate_fail(err, GATE_EIO, "storage %s: the record \"%.*s\" is damaged", s->directory,
                         (int)(key->len - 1), key->bytes + 1);
    *present = rocks_alive(r->expires_ms, s->host->now_ms());
    if (!*present)
        *r = (struct rocks_record){0};
    return GATE_OK;
}

/* The value as the caller sees it: of a counter its decimal text, which is put into `text`. */
static struct gate_str shown_value(const struct rocks_record *r, char text[ROCKS_NUMBER_MAX + 1])
{
    if (r->format == ROCKS_RECORD)
        return r->value;
    return (struct gate_str){
        text, (size_t)snprintf(text, ROCKS_NUMBER_MAX + 1, "%lld", (long long)r->number)};
}

static enum gate_status store_get(void *store, struct gate_str key, struct gate_record *out,
                                  struct gate_error *err)
{
    struct rocks_key k;
    struct rocks_value value = {NULL, 0};
    struct rocks_record r;
    struct gate_str shown;
    char text[ROCKS_NUMBER_MAX + 1], *copy;
    bool present;
    enum gate_status status;

    *out = (struct gate_record){{NULL, 0}, {NULL, 0}, 0};
    status = rocks_key_make(&k, ROCKS_DATA, key, err);
    if (status == GATE_OK)
        status = look(store, &k, &value, &r, &present, err);
    if (status == GATE_OK && !present)
        status =
            gate_fail(err, GATE_ENOTFOUND, "there is no record \"%.*s\"", (int)key.len, key.ptr);
    if (status == GATE_OK) {
        shown = shown_value(&r, text);
        copy = rocks_alloc(shown.len + key.len);
        if (shown.len > 0)
            memcpy(copy, shown.ptr, shown.len);
        memcpy(copy + shown.len, key.ptr, key.len);
        out->value = (struct gate_str){copy, shown.len};
        out->key = (struct gate_str){copy + shown.len, key.len};
        out->version = r.version;
    }
    rocks_value_finish(&value);
    return status;
}

static void record_release(void *store, struct gate_record *record)
{
    (void)store;
    free((void *)record->value.ptr);
    *record = (struct gate_record){{NULL, 0}, {NULL, 0}, 0};
}

static rocksdb_iterator_t *iterator(struct rocks_store *s)
{
    rocksdb_iterator_t *it = rocksdb_create_iterator(s->db, s->read);

    if (s->batch == NULL)
        return it;
    return rocksdb_writebatch_wi_create_iterator_with_base_cf(s->batch, it, s->family);
}

/* Visits from the iterator's place on. Returns GATE_EIO for a record that cannot be read. */
static enum gate_status visit(struct rocks_store *s, rocksdb_iterator_t *it, struct gate_str to,
                              size_t limit, bool (*cb)(void *, const struct gate_record *),
                              void *ctx, struct gate_error *err)
{
    const uint64_t now = s->host->now_ms();
    char text[ROCKS_NUMBER_MAX + 1];

    for (; limit > 0 && rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        struct gate_record record;
        struct gate_str bytes;
        struct rocks_record r;
        size_t len;
        const char *key = rocksdb_iter_key(it, &len);

        if (len < 1 || key[0] != ROCKS_DATA)
            return GATE_OK;
        record.key = (struct gate_str){key + 1, len - 1};
        if (to.len > 0) {
            const size_t common = to.len < len - 1 ? to.len : len - 1;
            const int order = memcmp(record.key.ptr, to.ptr, common);

            if (order > 0 || (order == 0 && record.key.len >= to.len))
                return GATE_OK;
        }
        bytes.ptr = rocksdb_iter_value(it, &bytes.len);
        if (!rocks_record_decode(bytes, &r))
            return gate_fail(err, GATE_EIO, "storage %s: the record \"%.*s\" is damaged",
                             s->directory, (int)record.key.len, record.key.ptr);
        if (!rocks_alive(r.expires_ms, now))
            continue;
        record.value = shown_value(&r, text);
        record.version = r.version;
        limit--;
        if (!cb(ctx, &record))
            return GATE_OK;
    }
    return GATE_OK;
}

static enum gate_status store_scan(void *store, struct gate_str from, struct gate_str to,
                                   size_t limit,
                                   bool (*cb)(void *ctx, const struct gate_record *record),
                                   void *ctx, struct gate_error *err)
{
    struct rocks_store *s = store;
    struct rocks_key start = {.len = 1, .bytes = {ROCKS_DATA}};
    rocksdb_iterator_t *it;
    char *text = NULL;
    enum gate_status status = GATE_OK;

    if (from.len > 0)
        status = rocks_key_make(&start, ROCKS_DATA, from, err);
    if (status != GATE_OK)
        return status;
    if (s->db == NULL) {
        status = rocks_recover(s, err);
        if (s->db == NULL)
            return status;
    }
    s->visiting++;
    it = iterator(s);
    rocksdb_iter_seek(it, start.bytes, start.len);
    status = visit(s, it, to, limit, cb, ctx, err);
    rocksdb_iter_get_error(it, &text);
    if (status == GATE_OK && text != NULL)
        status = gate_fail(err, GATE_EIO, "storage %s: reading failed: %s", s->directory, text);
    rocksdb_free(text);
    rocksdb_iter_destroy(it);
    s->visiting--;
    return status;
}

/* ---------------------------------------------------------------- writing */

/* The start of a conditional write: the version and the fence must fit. */
static enum gate_status check_write(struct rocks_store *s, struct gate_str key, uint64_t expected,
                                    uint64_t fence, const struct rocks_key *k,
                                    struct gate_error *err)
{
    struct rocks_value value = {NULL, 0};
    struct rocks_record r = {0};
    bool present;
    enum gate_status status = GATE_OK;

    if (expected != UINT64_MAX)
        status = look(s, k, &value, &r, &present, err);
    rocks_value_finish(&value);
    if (status == GATE_OK && expected != UINT64_MAX && r.version != expected)
        status = gate_fail(err, GATE_ECONFLICT,
                           "the record \"%.*s\" was changed meanwhile (version %llu, expected "
                           "%llu)",
                           (int)key.len, key.ptr, (unsigned long long)r.version,
                           (unsigned long long)expected);
    return status == GATE_OK ? rocks_fence_check(s, key, fence, err) : status;
}

static enum gate_status store_put_if(void *store, struct gate_str key, struct gate_str value,
                                     uint64_t expected, uint64_t fence, uint64_t ttl_ms,
                                     unsigned flags, uint64_t *version, struct gate_error *err)
{
    struct rocks_store *s = store;
    struct rocks_record r = {.format = ROCKS_RECORD};
    struct rocks_key k;
    char head[ROCKS_ADDITION_BYTES];
    enum gate_status status;

    if (value.len > ROCKS_MAX_VALUE)
        return gate_fail(err, GATE_ELIMIT, "a value has %zu bytes; at most %d are allowed",
                         value.len, ROCKS_MAX_VALUE);
    status = rocks_key_make(&k, ROCKS_DATA, key, err);
    if (status == GATE_OK)
        status = rocks_write_begin(s, err);
    if (status == GATE_OK)
        status = rocks_version_take(s, &r.version, err);
    if (status == GATE_OK)
        status = check_write(s, key, expected, fence, &k, err);
    if (status != GATE_OK)
        return status;
    r.expires_ms = rocks_expiry(s->host->now_ms(), ttl_ms);
    rocks_write_put(s, &k, (struct gate_str){head, rocks_record_encode(&r, head)}, value);
    rocks_sweep_note(s, r.expires_ms);
    status = rocks_write_end(s, (flags & GATE_PUT_SYNC) != 0, err);
    if (status == GATE_OK && version != NULL)
        *version = r.version;
    return status;
}

static enum gate_status store_delete_if(void *store, struct gate_str key, uint64_t expected,
                                        uint64_t fence, struct gate_error *err)
{
    struct rocks_store *s = store;
    struct rocks_key k;
    enum gate_status status = rocks_key_make(&k, ROCKS_DATA, key, err);

    if (status == GATE_OK)
        status = rocks_write_begin(s, err);
    if (status == GATE_OK)
        status = check_write(s, key, expected, fence, &k, err);
    if (status != GATE_OK)
        return status;
    rocks_write_delete(s, &k);
    return rocks_write_end(s, false, err);
}

/* What the counter will be after the addition. */
static enum gate_status read_sum(struct rocks_store *s, const struct rocks_key *k,
                                 const struct rocks_record *addition, int64_t *sum,
                                 struct gate_error *err)
{
    struct rocks_value value = {NULL, 0};
    struct rocks_record r;
    bool present;
    enum gate_status status = look(s, k, &value, &r, &present, err);

    if (status == GATE_OK && present && !rocks_record_number(&r, sum))
        status = gate_fail(err, GATE_EINVAL, "the record \"%.*s\" is no counter", (int)k->len - 1,
                           k->bytes + 1);
    if (status == GATE_OK) {
        rocks_record_add(&r, &present, addition);
        *sum = r.number;
    }
    rocks_value_finish(&value);
    return status;
}

static enum gate_status store_add(void *store, struct gate_str key, int64_t delta, uint64_t ttl_ms,
                                  int64_t *sum, struct gate_error *err)
{
    struct rocks_store *s = store;
    struct rocks_record addition = {.format = ROCKS_ADDITION, .number = delta};
    struct rocks_key k;
    char bytes[ROCKS_ADDITION_BYTES];
    int64_t total = 0;
    enum gate_status status = rocks_key_make(&k, ROCKS_DATA, key, err);

    if (status == GATE_OK)
        status = rocks_write_begin(s, err);
    if (status == GATE_OK)
        status = rocks_version_take(s, &addition.version, err);
    addition.at_ms = s->host->now_ms();
    addition.expires_ms = rocks_expiry(addition.at_ms, ttl_ms);
    if (status == GATE_OK && sum != NULL)
        status = read_sum(s, &k, &addition, &total, err);
    if (status != GATE_OK)
        return status;
    rocks_write_add(s, &k, (struct gate_str){bytes, rocks_record_encode(&addition, bytes)});
    rocks_sweep_note(s, addition.expires_ms);
    status = rocks_write_end(s, false, err);
    if (status == GATE_OK && sum != NULL)
        *sum = total;
    return status;
}

static enum gate_status lease_acquire(void *store, struct gate_str name, struct gate_str owner,
                                      uint64_t ttl_ms, uint64_t *fence, struct gate_error *err)
{
    return rocks_lease_acquire(store, name, owner, ttl_ms, fence, err);
}

static enum gate_status lease_renew(void *store, struct gate_str name, struct gate_str owner,
                                    uint64_t ttl_ms, struct gate_error *err)
{
    return rocks_lease_renew(store, name, owner, ttl_ms, err);
}

static enum gate_status lease_release(void *store, struct gate_str name, struct gate_str owner,
                                      struct gate_error *err)
{
    return rocks_lease_release(store, name, owner, err);
}

static enum gate_status batch_begin(void *store, struct gate_error *err)
{
    return rocks_batch_begin(store, err);
}

static enum gate_status batch_commit(void *store, unsigned flags, struct gate_error *err)
{
    return rocks_batch_commit(store, (flags & GATE_PUT_SYNC) != 0, err);
}

static void batch_abort(void *store)
{
    rocks_batch_abort(store);
}

/* ---------------------------------------------------------------- copies */

/* RocksDB makes the directory by itself and wants it absent. */
static enum gate_status clear_way(const char *directory, struct gate_error *err)
{
    if (rmdir(directory) == 0 || errno == ENOENT)
        return GATE_OK;
    if (errno == ENOTEMPTY || errno == EEXIST)
        return gate_fail(err, GATE_EINVAL, "%s: the directory for a copy must be empty", directory);
    return gate_fail(err, GATE_EIO, "%s: %s", directory, strerrordesc_np(errno));
}

static enum gate_status store_checkpoint(void *store, struct gate_str directory,
                                         struct gate_error *err)
{
    struct rocks_store *s = store;
    rocksdb_checkpoint_t *checkpoint;
    char path[PATH_MAX], *text = NULL;
    enum gate_status status;

    if (directory.len == 0 || directory.len >= sizeof path ||
        memchr(directory.ptr, '\0', directory.len) != NULL)
        return gate_fail(err, GATE_EINVAL,
                         "the name of the directory for a copy is empty, too "
                         "long or holds a NUL byte");
    memcpy(path, directory.ptr, directory.len);
    path[directory.len] = '\0';
    status = rocks_recover(s, err);
    if (status == GATE_OK)
        status = clear_way(path, err);
    if (status != GATE_OK)
        return status;
    checkpoint = rocksdb_checkpoint_object_create(s->db, &text);
    if (text == NULL)
        rocksdb_checkpoint_create(checkpoint, path, 0, &text);
    if (checkpoint != NULL)
        rocksdb_checkpoint_object_destroy(checkpoint);
    if (text == NULL && chmod(path, 0700) == 0)
        return GATE_OK;
    status = gate_fail(err, GATE_EIO, "storage %s: copying into %s failed: %s", s->directory, path,
                       text != NULL ? text : strerrordesc_np(errno));
    rocksdb_free(text);
    (void)mkdir(path, 0700);
    return status;
}

/* ---------------------------------------------------------------- the tables */

static const struct gate_storage_ops ops = {
    .size = sizeof ops,
    .open = store_open,
    .close = store_close,
    .get = store_get,
    .record_release = record_release,
    .put_if = store_put_if,
    .delete_if = store_delete_if,
    .add = store_add,
    .lease_acquire = lease_acquire,
    .lease_renew = lease_renew,
    .lease_release = lease_release,
    .scan = store_scan,
    .batch_begin = batch_begin,
    .batch_commit = batch_commit,
    .batch_abort = batch_abort,
    .checkpoint = store_checkpoint,
};

GATE_EXPORT const struct gate_plugin gate_plugin = {
    GATE_PLUGIN_HEADER(GATE_KIND_STORAGE),
    .name = "rocksdb",
    .version = GATE_VERSION,
    .summary = "keeps everything in a RocksDB database in one directory",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .ops = &ops,
    .init = rocksdb_init,
};
