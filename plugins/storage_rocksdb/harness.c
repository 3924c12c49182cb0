#include "harness.h"

#include "config.h"
#include "plugin/registry.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PAIRS = 8, MAX_FILES = 256, REMOVE_DESCRIPTORS = 16 };

uint64_t harness_now = HARNESS_START_MS;
struct gate_buf harness_log;

/* ThreadSanitizer does not see how RocksDB guards what it frees on its own threads, as the library
 * is not instrumented. Read by its runtime; never called elsewhere. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:librocksdb.so\n";
}

static void host_log(enum gate_log_level level, const char *plugin, const char *message)
{
    must(strcmp(plugin, "rocksdb") == 0);
    gate_buf_printf(&harness_log, "%d %s\n", (int)level, message);
}

static uint64_t host_now(void)
{
    return harness_now;
}

static const struct gate_host services = {
    .size = sizeof services,
    .log = host_log,
    .now_ms = host_now,
};

_Noreturn void harness_abort(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    abort();
}

const struct gate_storage_ops *harness_ops(void)
{
    return gate_plugin.ops;
}

/* ---------------------------------------------------------------- directories */

void harness_dir_create(struct harness_dir *d)
{
    const char *base = getenv("TMPDIR");

    snprintf(d->path, sizeof d->path, "%s/storage-rocksdb-XXXXXX", base != NULL ? base : P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(d->path));
    snprintf(d->db, sizeof d->db, "%s/db", d->path);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void harness_dir_remove(struct harness_dir *d)
{
    ck_assert_int_eq(nftw(d->path, remove_entry, REMOVE_DESCRIPTORS, FTW_DEPTH | FTW_PHYS), 0);
}

void harness_dir_read(const char *path, struct gate_buf *out)
{
    struct dirent **entries;
    const int n = scandir(path, &entries, NULL, alphasort);
    char file[PATH_MAX + NAME_MAX + 2], chunk[16384];
    struct stat st;

    gate_buf_init(out, HARNESS_MAX_BYTES);
    gate_buf_append(out, gate_str_of(path));
    for (int i = 0; i < n; i++) {
        size_t got;
        FILE *f;

        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        free(entries[i]);
        ck_assert_int_eq(stat(file, &st), 0);
        if (!S_ISREG(st.st_mode))
            continue;
        gate_buf_printf(out, "\n%s %lld\n", file, (long long)st.st_size);
        f = fopen(file, "rb");
        ck_assert_ptr_nonnull(f);
        while ((got = fread(chunk, 1, sizeof chunk, f)) > 0)
            gate_buf_append(out, (struct gate_str){chunk, got});
        fclose(f);
    }
    if (n >= 0)
        free(entries);
}

void harness_file_find(const char *directory, const char *ending, char out[PATH_MAX])
{
    struct dirent **entries;
    const int n = scandir(directory, &entries, NULL, alphasort);

    out[0] = '\0';
    for (int i = 0; i < n; i++) {
        const char *at = strstr(entries[i]->d_name, ending);

        if (at != NULL)
            snprintf(out, PATH_MAX, "%s/%s", directory, entries[i]->d_name);
        free(entries[i]);
    }
    ck_assert_int_ge(n, 0);
    free(entries);
    ck_assert_msg(out[0] != '\0', "there is no %s in %s", ending, directory);
}

/* ---------------------------------------------------------------- opening */

enum gate_status harness_try_open(const char *path, const char *const *pairs, void **store,
                                  struct gate_error *err)
{
    struct gate_config_option configured[MAX_PAIRS] = {{0}};
    struct gate_value *values;
    size_t count = 0;
    enum gate_status status;

    must(gate_plugin.init(&services, err) == GATE_OK);
    if (harness_log.max == 0)
        gate_buf_init(&harness_log, HARNESS_MAX_BYTES);
    for (; pairs != NULL && pairs[2 * count] != NULL; count++) {
        struct gate_config_option *o = &configured[count];

        must(count < MAX_PAIRS);
        o->name = (char *)pairs[2 * count];
        o->string = (char *)pairs[2 * count + 1];
        o->number = strtod(o->string, NULL);
        o->type = strcmp(o->name, "recovery") == 0 ? GATE_OPTION_STRING : GATE_OPTION_NUMBER;
    }
    status = gate_values_make(&gate_plugin, configured, count, &values, err);
    if (status != GATE_OK)
        return status;
    status = harness_ops()->open(gate_str_of(path), values, store, err);
    gate_values_free(&gate_plugin, values);
    return status;
}

void *harness_open(const char *path)
{
    struct gate_error err = {0};
    void *store;

    ck_assert_msg(harness_try_open(path, NULL, &store, &err) == GATE_OK, "%s", err.message);
    return store;
}

void harness_refuses(const char *path, enum gate_status status, const char *text)
{
    struct gate_error err = {0};
    struct gate_buf before, after;
    void *store = NULL;

    harness_dir_read(path, &before);
    ck_assert_msg(harness_try_open(path, NULL, &store, &err) == status, "%d: %s", (int)err.status,
                  err.message);
    ck_assert_ptr_null(store);
    ck_assert_msg(strstr(err.message, text) != NULL, "\"%s\" is not in: %s", text, err.message);
    ck_assert_msg(strstr(err.message, path) != NULL, "no path in: %s", err.message);
    ck_assert_ptr_null(strchr(err.message, '\n'));
    harness_dir_read(path, &after);
    ck_assert_msg(gate_str_eq(gate_buf_str(&before), gate_buf_str(&after)),
                  "the directory was changed: %s", err.message);
    gate_buf_finish(&before);
    gate_buf_finish(&after);
}

/* ---------------------------------------------------------------- operations */

uint64_t harness_put(void *store, const char *key, const char *value)
{
    struct gate_error err = {0};
    uint64_t version = 0;

    ck_assert_msg(harness_ops()->put_if(store, gate_str_of(key), gate_str_of(value), UINT64_MAX, 0,
                                        0, 0, &version, &err) == GATE_OK,
                  "%s", err.message);
    return version;
}

void harness_expect(void *store, const char *key, const char *value)
{
    struct gate_error err = {0};
    struct gate_record record;
    const enum gate_status status = harness_ops()->get(store, gate_str_of(key), &record, &err);

    ck_assert_msg(status == (value != NULL ? GATE_OK : GATE_ENOTFOUND), "%s: status %d, %s", key,
                  (int)status, err.message);
    if (value != NULL) {
        ck_assert_msg(gate_str_eq(record.value, gate_str_of(value)), "%s is %.*s, not %s", key,
                      (int)record.value.len, record.value.ptr, value);
        ck_assert(gate_str_eq(record.key, gate_str_of(key)));
        ck_assert_uint_gt(record.version, 0);
    } else {
        ck_assert_uint_eq(record.version, 0);
    }
    harness_ops()->record_release(store, &record);
}

uint64_t harness_version(void *store, const char *key)
{
    struct gate_record record;
    uint64_t version;

    (void)harness_ops()->get(store, gate_str_of(key), &record, NULL);
    version = record.version;
    harness_ops()->record_release(store, &record);
    return version;
}

void harness_add(void *store, const char *key, int64_t delta, uint64_t ttl_ms)
{
    struct gate_error err = {0};

    ck_assert_msg(harness_ops()->add(store, gate_str_of(key), delta, ttl_ms, NULL, &err) == GATE_OK,
                  "%s", err.message);
}

uint64_t harness_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void harness_noise(char *out, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(harness_random(&seed) >> 32);
}

void harness_put_records(void *store)
{
    char key[32], value[HARNESS_VALUE_BYTES];
    struct gate_error e = {0};

    for (int i = 0; i < HARNESS_RECORDS; i++) {
        snprintf(key, sizeof key, "key-%05d", i);
        harness_noise(value, sizeof value, (uint64_t)i);
        ck_assert_msg(harness_ops()->put_if(store, gate_str_of(key),
                                            (struct gate_str){value, sizeof value}, 0, 0, 0, 0,
                                            NULL, &e) == GATE_OK,
                      "%s", e.message);
    }
}

int harness_count_records(void *store, int *failed, struct gate_error *e)
{
    char key[32], value[HARNESS_VALUE_BYTES];
    int found = 0;

    *failed = 0;
    for (int i = 0; i < HARNESS_RECORDS; i++) {
        struct gate_record r;
        enum gate_status status;

        snprintf(key, sizeof key, "key-%05d", i);
        status = harness_ops()->get(store, gate_str_of(key), &r, e);
        if (status == GATE_OK) {
            harness_noise(value, sizeof value, (uint64_t)i);
            ck_assert(gate_str_eq(r.value, (struct gate_str){value, sizeof value}));
            found++;
        } else if (status != GATE_ENOTFOUND) {
            ck_assert_int_eq(status, GATE_EIO);
            (*failed)++;
        }
        harness_ops()->record_release(store, &r);
    }
    return found;
}

/* ---------------------------------------------------------------- children */

/* A new program instead of a mere fork: RocksDB's threads do not survive a fork. */
pid_t harness_child(const char *name, const char *path, const char *argument, int *from_child)
{
    int ends[2];
    pid_t pid;

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl("/proc/self/exe", "child", name, path, argument, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *from_child = ends[0];
    return pid;
}
