#include "store.h"

static const char magic[] = {'l', 'l', 'm', '-', 'g', 'a', 't', 'e'};

enum { SCHEMA_BYTES = sizeof magic + 8 };

static const char *const schema_key = "schema";
static const char *const versions_key = "versions";

/* ---------------------------------------------------------------- facts under ROCKS_META */

static void meta_key(struct rocks_key *out, const char *name)
{
    (void)rocks_key_make(out, ROCKS_META, gate_str_of(name), NULL);
}

static void batch_put(rocksdb_writebatch_t *batch, const char *name, const char *value, size_t len)
{
    struct rocks_key key;

    meta_key(&key, name);
    rocksdb_writebatch_put(batch, key.bytes, key.len, value, len);
}

/* ---------------------------------------------------------------- the number of the schema */

static enum gate_status holds_nothing(struct rocks_store *s, bool *empty, struct gate_error *err)
{
    rocksdb_iterator_t *it = rocksdb_create_iterator(s->db, s->read);
    char *text = NULL;

    rocksdb_iter_seek_to_first(it);
    *empty = !rocksdb_iter_valid(it);
    rocksdb_iter_get_error(it, &text);
    rocksdb_iter_destroy(it);
    if (text == NULL)
        return GATE_OK;
    gate_fail(err, GATE_EIO, "storage %s: reading failed: %s", s->directory, text);
    rocksdb_free(text);
    return GATE_EIO;
}

static enum gate_status schema_read(struct rocks_store *s, uint64_t *schema, struct gate_error *err)
{
    struct rocks_key key;
    struct rocks_value value;
    enum gate_status status;
    bool empty = false;

    meta_key(&key, schema_key);
    status = rocks_value_read(s, &key, &value, err);
    if (status != GATE_OK)
        return status;
    if (value.len == SCHEMA_BYTES && memcmp(value.ptr, magic, sizeof magic) == 0) {
        *schema = rocks_get_u64(value.ptr + sizeof magic);
        rocks_value_finish(&value);
        return GATE_OK;
    }
    if (value.ptr == NULL) {
        status = holds_nothing(s, &empty, err);
        if (status != GATE_OK)
            return status;
    }
    rocks_value_finish(&value);
    *schema = 0;
    if (empty)
        return GATE_OK;
    return gate_fail(err, GATE_EINVAL,
                     "storage %s: this is a RocksDB database, but not one of llm-gate; name "
                     "another directory (nothing was changed)",
                     s->directory);
}

enum gate_status rocks_schema_check(struct rocks_store *s, size_t newest, size_t *schema,
                                    struct gate_error *err)
{
    uint64_t found;
    const enum gate_status status = schema_read(s, &found, err);

    if (status != GATE_OK)
        return status;
    if (found > newest)
        return gate_fail(err, GATE_EINVAL,
                         "storage %s: a newer llm-gate wrote it (schema %llu, this one knows %zu); "
                         "start that version or restore a backup of this one (nothing was changed)",
                         s->directory, (unsigned long long)found, newest);
    *schema = (size_t)found;
    return GATE_OK;
}

/* ---------------------------------------------------------------- migration */

static enum gate_status take_step(struct rocks_store *s, const struct rocks_migration *step,
                                  size_t schema, struct gate_error *err)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    char number[SCHEMA_BYTES], *text = NULL;
    enum gate_status status = GATE_OK;

    if (step->run != NULL)
        status = step->run(s, batch, err);
    if (status == GATE_OK) {
        memcpy(number, magic, sizeof magic);
        rocks_put_u64(number + sizeof magic, schema + 1);
        batch_put(batch, schema_key, number, sizeof number);
        rocksdb_write(s->db, s->write_sync, batch, &text);
    }
    if (text != NULL) {
        status = gate_fail(err, GATE_EIO, "storage %s: schema %zu (%s): %s", s->directory,
                           schema + 1, step->what, text);
        rocksdb_free(text);
    }
    rocksdb_writebatch_destroy(batch);
    return status;
}

enum gate_status rocks_schema_migrate(struct rocks_store *s, const struct rocks_migration *steps,
                                      size_t count, struct gate_error *err)
{
    size_t schema = 0;
    enum gate_status status = rocks_schema_check(s, count, &schema, err);
    char line[128];

    for (; status == GATE_OK && schema < count; schema++) {
        status = take_step(s, &steps[schema], schema, err);
        if (status == GATE_OK && schema > 0) {
            snprintf(line, sizeof line, "the database is of schema %zu now: %s", schema + 1,
                     steps[schema].what);
            s->host->log(GATE_LOG_INFO, "rocksdb", line);
        }
    }
    return status;
}

/* Versions begin at 1, as 0 stands for an absent record. */
static enum gate_status create(struct rocks_store *s, rocksdb_writebatch_t *batch,
                               struct gate_error *err)
{
    char first[8];

    (void)s;
    (void)err;
    rocks_put_u64(first, 1);
    batch_put(batch, versions_key, first, sizeof first);
    return GATE_OK;
}

const struct rocks_migration rocks_migrations[] = {
    {"records, counters and leases", create},
};
const size_t rocks_migration_count = sizeof rocks_migrations / sizeof rocks_migrations[0];

/* ---------------------------------------------------------------- versions */

enum gate_status rocks_versions_load(struct rocks_store *s, struct gate_error *err)
{
    struct rocks_key key;
    struct rocks_value value;
    enum gate_status status;

    meta_key(&key, versions_key);
    status = rocks_value_read(s, &key, &value, err);
    if (status == GATE_OK && value.len != 8)
        status =
            gate_fail(err, GATE_EIO, "storage %s: the record of versions is damaged", s->directory);
    if (status == GATE_OK)
        s->next_version = s->version_limit = rocks_get_u64(value.ptr);
    rocks_value_finish(&value);
    return status;
}

/* Versions are reserved in blocks, durably and before the first of a block is used: so neither a
 * crash nor a power cut brings back one that somebody may have seen. */
static enum gate_status reserve_block(struct rocks_store *s, struct gate_error *err)
{
    const uint64_t limit = s->version_limit + ROCKS_VERSION_BLOCK;
    struct rocks_key key;
    char bytes[8], *text = NULL;

    meta_key(&key, versions_key);
    rocks_put_u64(bytes, limit);
    rocksdb_put(s->db, s->write_sync, key.bytes, key.len, bytes, sizeof bytes, &text);
    if (text != NULL)
        return rocks_write_failed(s, text, err);
    s->version_limit = limit;
    return GATE_OK;
}

enum gate_status rocks_version_take(struct rocks_store *s, uint64_t *version,
                                    struct gate_error *err)
{
    enum gate_status status = GATE_OK;

    if (s->next_version == s->version_limit)
        status = reserve_block(s, err);
    if (status == GATE_OK)
        *version = s->next_version++;
    return status;
}
