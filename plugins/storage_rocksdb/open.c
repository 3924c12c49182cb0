#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 4096,
    MAX_OPEN_FILES = 64,
    BACKGROUND_JOBS = 2,
    INFO_LOG_BYTES = 64 * 1024,
    INFO_LOG_FATAL = 4, /* RocksDB's level; it still writes its options at each start */
    MANIFEST_BYTES = 1 << 20,
    FILE_BYTES = 8 << 20,
    LEVEL_BYTES = 32 << 20,
    MEMTABLES = 2,
    BLOOM_BITS = 10,
    MIB = 1 << 20,
    MAX_MIB = 1024,
};

/* What the C interface has no function for. Files are not allocated ahead: the log then ends where
 * its records end, which is how a cut record is told from a damaged one. */
static const char more_options[] = "allow_fallocate=false;max_bgerror_resume_count=0";

/* ---------------------------------------------------------------- the directory */

/* May this be in a directory in which a database is to be created? What a creation leaves behind
 * that was interrupted, and what a file system puts into its root. */
static bool is_leftover(const char *name)
{
    static const char *const whole[] = {
        ".", "..", "LOCK", "LOG", "IDENTITY", "MANIFEST-000001", "lost+found", "probe.tmp",
    };
    const struct gate_str s = gate_str_of(name), tmp = GATE_STR(".dbtmp");

    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        if (strcmp(name, whole[i]) == 0)
            return true;
    return gate_str_starts(s, GATE_STR("LOG.old.")) || gate_str_starts(s, GATE_STR("OPTIONS-")) ||
           (s.len > tmp.len && memcmp(s.ptr + s.len - tmp.len, tmp.ptr, tmp.len) == 0);
}

static bool is_database_file(const char *name)
{
    const size_t len = strlen(name);

    return strncmp(name, "MANIFEST-", 9) == 0 || (len > 4 && strcmp(name + len - 4, ".sst") == 0) ||
           (len > 4 && strcmp(name + len - 4, ".log") == 0);
}

/* RocksDB would create a database over one that has lost its CURRENT file, and over anything else.
 */
static enum gate_status check_content(const struct rocks_store *s, bool *fresh,
                                      struct gate_error *err)
{
    char strange[NAME_MAX + 1] = "";
    bool current = false, database = false;
    const struct dirent *entry;
    DIR *dir = opendir(s->directory);

    if (dir == NULL)
        return gate_fail(err, GATE_EIO, "storage %s: %s", s->directory, strerrordesc_np(errno));
    while ((entry = readdir(dir)) != NULL) {
        current = current || strcmp(entry->d_name, "CURRENT") == 0;
        if (is_leftover(entry->d_name))
            continue;
        database = database || is_database_file(entry->d_name);
        if (strange[0] == '\0')
            snprintf(strange, sizeof strange, "%s", entry->d_name);
    }
    closedir(dir);
    *fresh = !current;
    if (current || strange[0] == '\0')
        return GATE_OK;
    if (database)
        return gate_fail(
            err, GATE_EIO,
            "storage %s: the database is damaged: its file CURRENT is missing; restore "
            "a backup (nothing was changed)",
            s->directory);
    return gate_fail(err, GATE_EINVAL,
                     "storage %s: this is no database and not empty (it holds %.64s); name another "
                     "directory (nothing was changed)",
                     s->directory, strange);
}

/* So that the new directory itself survives a power cut. */
static void sync_parent(const char *path)
{
    char parent[PATH_MAX + 4];
    int fd;

    snprintf(parent, sizeof parent, "%s/..", path);
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

/* Makes the directory when it is missing, and keeps every other llm-gate out of it. */
static enum gate_status take_directory(struct rocks_store *s, bool *fresh, struct gate_error *err)
{
    if (mkdir(s->directory, 0700) == 0)
        sync_parent(s->directory);
    else if (errno != EEXIST)
        return gate_fail(err, GATE_EIO, "storage %s: the directory cannot be made: %s",
                         s->directory, strerrordesc_np(errno));
    s->lock = open(s->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->lock < 0)
        return gate_fail(err, GATE_EINVAL, "storage %s: the directory cannot be opened: %s",
                         s->directory, strerrordesc_np(errno));
    /* Where a file system knows no flock, RocksDB's own lock file remains. */
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return gate_fail(err, GATE_ECONFLICT,
                         "storage %s: another llm-gate uses it; stop that one or name another "
                         "directory",
                         s->directory);
    return check_content(s, fresh, err);
}

/* ---------------------------------------------------------------- options of RocksDB */

static void set_tables(rocksdb_options_t *o, size_t cache_bytes)
{
    rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
    rocksdb_lru_cache_options_t *l = rocksdb_lru_cache_options_create();
    rocksdb_cache_t *cache;

    /* One shard: a small cache in many shards holds nothing. */
    rocksdb_lru_cache_options_set_capacity(l, cache_bytes);
    rocksdb_lru_cache_options_set_num_shard_bits(l, 0);
    cache = rocksdb_cache_create_lru_opts(l);
    rocksdb_block_based_options_set_block_cache(t, cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
    rocksdb_block_based_options_set_block_size(t, BLOCK_BYTES);
    rocksdb_block_based_options_set_filter_policy(
        t, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    rocksdb_options_set_block_based_table_factory(o, t);
    rocksdb_cache_destroy(cache);
    rocksdb_lru_cache_options_destroy(l);
    rocksdb_block_based_options_destroy(t);
}

static void set_sizes(rocksdb_options_t *o, size_t write_buffer_bytes)
{
    rocksdb_options_set_write_buffer_size(o, write_buffer_bytes);
    rocksdb_options_set_max_write_buffer_number(o, MEMTABLES);
    rocksdb_options_set_target_file_size_base(o, FILE_BYTES);
    rocksdb_options_set_max_bytes_for_level_base(o, LEVEL_BYTES);
    rocksdb_options_set_compression(o, rocksdb_lz4_compression);
    rocksdb_options_set_max_open_files(o, MAX_OPEN_FILES);
    rocksdb_options_set_max_file_opening_threads(o, 1);
    rocksdb_options_set_max_background_jobs(o, BACKGROUND_JOBS);
    rocksdb_options_set_max_manifest_file_size(o, MANIFEST_BYTES);
    rocksdb_options_set_manifest_preallocation_size(o, INFO_LOG_BYTES);
    rocksdb_options_set_max_log_file_size(o, INFO_LOG_BYTES);
    rocksdb_options_set_keep_log_file_num(o, 1);
    rocksdb_options_set_info_log_level(o, INFO_LOG_FATAL);
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_stats_persist_period_sec(o, 0);
    rocksdb_options_set_skip_stats_update_on_db_open(o, 1);
    /* There is one writer. */
    rocksdb_options_set_allow_concurrent_memtable_write(o, 0);
    rocksdb_options_set_enable_write_thread_adaptive_yield(o, 0);
}

static enum gate_status make_options(struct rocks_store *s, const struct gate_value *values,
                                     struct gate_error *err)
{
    static const struct {
        size_t place;
        const char *name;
    } sizes[] = {{ROCKS_OPTION_WRITE_BUFFER, "write_buffer_mb"}, {ROCKS_OPTION_CACHE, "cache_mb"}};
    rocksdb_options_t *base;
    char *text = NULL;
    enum gate_status status = GATE_OK;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const double v = values[sizes[i].place].number;

        if (!(v >= 1 && v <= MAX_MIB && v == (double)(int)v))
            return gate_fail(err, GATE_EINVAL, "%s: must be a whole number from 1 to %d",
                             sizes[i].name, MAX_MIB);
    }
    base = rocksdb_options_create();
    s->options = rocksdb_options_create();
    rocksdb_get_options_from_string(base, more_options, s->options, &text);
    rocksdb_options_destroy(base);
    if (text != NULL) {
        status = gate_fail(err, GATE_EINTERNAL, "RocksDB refuses its options: %s", text);
        rocksdb_free(text);
        return status;
    }
    set_sizes(s->options, (size_t)values[ROCKS_OPTION_WRITE_BUFFER].number * MIB);
    set_tables(s->options, (size_t)values[ROCKS_OPTION_CACHE].number * MIB);
    rocksdb_options_set_merge_operator(s->options, rocks_merge_operator());
    rocksdb_options_set_paranoid_checks(s->options, 1);
    s->recovery = rocksdb_tolerate_corrupted_tail_records_recovery;
    if (gate_str_eq(values[ROCKS_OPTION_RECOVERY].string, GATE_STR("point_in_time")))
        s->recovery = rocksdb_point_in_time_recovery;
    rocksdb_options_set_wal_recovery_mode(s->options, s->recovery);
    s->write = rocksdb_writeoptions_create();
    s->write_sync = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(s->write_sync, 1);
    s->read = rocksdb_readoptions_create();
    s->single = rocksdb_writebatch_create();
    return GATE_OK;
}

/* ---------------------------------------------------------------- the database */

char *rocks_db_open(struct rocks_store *s, enum rocks_mode mode)
{
    const char *family = "default";
    const rocksdb_options_t *options = s->options;
    char *text = NULL;

    /* A handle of the family is what reading through a batch needs. */
    rocksdb_options_set_create_if_missing(s->options, mode == ROCKS_CREATE);
    if (mode == ROCKS_READ_ONLY)
        s->db = rocksdb_open_for_read_only_column_families(s->options, s->directory, 1, &family,
                                                           &options, &s->family, 0, &text);
    else
        s->db = rocksdb_open_column_families(s->options, s->directory, 1, &family, &options,
                                             &s->family, &text);
    if (text != NULL)
        s->db = NULL;
    return text;
}

void rocks_db_close(struct rocks_store *s)
{
    if (s->db == NULL)
        return;
    rocksdb_column_family_handle_destroy(s->family);
    rocksdb_close(s->db);
    s->db = NULL;
    s->family = NULL;
}

/* Would the records before the damage come back? True only for damage in the log. */
static bool log_is_damaged(struct rocks_store *s)
{
    char *text;
    bool opens;

    rocksdb_options_set_wal_recovery_mode(s->options, rocksdb_point_in_time_recovery);
    text = rocks_db_open(s, ROCKS_READ_ONLY);
    opens = text == NULL;
    rocksdb_free(text);
    rocks_db_close(s);
    return opens;
}

/* Says in one line what RocksDB's message means. Frees text. */
static enum gate_status explain(struct rocks_store *s, char *text, struct gate_error *err)
{
    const struct gate_str t = gate_str_of(text);
    enum gate_status status;

    if (strstr(text, "While lock file") != NULL || strstr(text, "lock hold by") != NULL)
        status = gate_fail(err, GATE_ECONFLICT,
                           "storage %s: another process uses the database; stop it or name another "
                           "directory (%s)",
                           s->directory, text);
    else if (!gate_str_starts(t, GATE_STR("Corruption")))
        status = gate_fail(err, GATE_EIO, "storage %s: the database cannot be opened: %s",
                           s->directory, text);
    else if (log_is_damaged(s))
        status = gate_fail(
            err, GATE_EIO,
            "storage %s: the log of the newest writes is damaged (%.160s); restore a backup, "
            "or start with the option recovery = \"point_in_time\" to keep what was written "
            "before the damage (nothing was changed)",
            s->directory, text);
    else
        status =
            gate_fail(err, GATE_EIO,
                      "storage %s: the database is damaged (%.200s); restore a backup (nothing was "
                      "changed)",
                      s->directory, text);
    rocksdb_free(text);
    return status;
}

static const char cut_log[] =
    "the log of the newest writes ends in the middle of a record: what follows its last whole "
    "record "
    "is left out (a process that was killed while it wrote leaves this, and so can a damaged disk)";

/* Opening for writing changes files even when it fails, so the database is looked at first. The
 * log must be whole to its last byte, or else a warning says that it was not: near the end RocksDB
 * cannot tell a cut record from one whose length is damaged. */
static enum gate_status inspect(struct rocks_store *s, struct gate_error *err)
{
    char *text;
    size_t schema;
    enum gate_status status;

    rocksdb_options_set_wal_recovery_mode(s->options, rocksdb_absolute_consistency_recovery);
    text = rocks_db_open(s, ROCKS_READ_ONLY);
    rocksdb_options_set_wal_recovery_mode(s->options, s->recovery);
    if (text != NULL) {
        rocksdb_free(text);
        text = rocks_db_open(s, ROCKS_READ_ONLY);
        if (text != NULL)
            return explain(s, text, err);
        s->host->log(GATE_LOG_WARN, "rocksdb", cut_log);
    }
    status = rocks_schema_check(s, rocks_migration_count, &schema, err);
    rocks_db_close(s);
    return status;
}

static enum gate_status open_database(struct rocks_store *s, const struct gate_value *values,
                                      struct gate_error *err)
{
    bool fresh = false;
    char *text;
    enum gate_status status;

    status = make_options(s, values, err);
    if (status == GATE_OK)
        status = take_directory(s, &fresh, err);
    if (status == GATE_OK && !fresh)
        status = inspect(s, err);
    if (status != GATE_OK)
        return status;
    text = rocks_db_open(s, fresh ? ROCKS_CREATE : ROCKS_READ_WRITE);
    if (text != NULL)
        return explain(s, text, err);
    status = rocks_schema_migrate(s, rocks_migrations, rocks_migration_count, err);
    if (status == GATE_OK)
        status = rocks_versions_load(s, err);
    return status;
}

enum gate_status rocks_open(const struct gate_host *host, struct gate_str directory,
                            const struct gate_value *values, struct rocks_store **out,
                            struct gate_error *err)
{
    struct rocks_store *s;
    enum gate_status status;

    if (directory.len == 0 || directory.len >= sizeof s->directory ||
        memchr(directory.ptr, '\0', directory.len) != NULL)
        return gate_fail(err, GATE_EINVAL,
                         "storage: the name of the directory is empty, too long "
                         "or holds a NUL byte");
    s = rocks_alloc(sizeof *s);
    memset(s, 0, sizeof *s);
    s->host = host;
    s->lock = -1;
    memcpy(s->directory, directory.ptr, directory.len);
    status = open_database(s, values, err);
    if (status == GATE_OK)
        *out = s;
    else
        rocks_close(s);
    return status;
}

void rocks_close(struct rocks_store *s)
{
    char *text = NULL;

    if (s == NULL)
        return;
    rocks_batch_abort(s);
    /* What was written without sync is on disk after an orderly stop. */
    if (s->db != NULL && !s->failed)
        rocksdb_flush_wal(s->db, 1, &text);
    rocksdb_free(text);
    rocks_db_close(s);
    if (s->options != NULL) {
        rocksdb_writebatch_destroy(s->single);
        rocksdb_readoptions_destroy(s->read);
        rocksdb_writeoptions_destroy(s->write);
        rocksdb_writeoptions_destroy(s->write_sync);
        rocksdb_options_destroy(s->options);
    }
    if (s->lock >= 0)
        close(s->lock);
    free(s);
}
