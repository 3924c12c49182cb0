/*
 * harness: what the tests of storage_rocksdb share: a host with a clock that is set by hand,
 * directories, and operations that must succeed. Test code.
 */
#ifndef ROCKS_HARNESS_H
#define ROCKS_HARNESS_H

#include "store.h"

#include "base/buf.h"

#include <check.h>
#include <sys/types.h>

enum {
    HARNESS_MAX_BYTES = 64 << 20,
    HARNESS_START_MS = 1700000000,
    HARNESS_RECORDS = 2000, /* of harness_put_records */
    HARNESS_VALUE_BYTES = 500,
};

extern const struct gate_plugin gate_plugin;

/* An assertion for what children run too: Check's own work only in a test. */
#define must(condition) ((condition) ? (void)0 : harness_abort(__FILE__, __LINE__, #condition))
_Noreturn void harness_abort(const char *file, int line, const char *condition);

/* Unix ms, as the plugin sees it. */
extern uint64_t harness_now;
/* Lines that the plugin has logged. */
extern struct gate_buf harness_log;

const struct gate_storage_ops *harness_ops(void);

/* A new directory for one test, removed with everything in it by harness_dir_remove. The path of
 * the database in it is "<dir>/db". */
struct harness_dir {
    char path[PATH_MAX];
    char db[PATH_MAX + 4];
};
void harness_dir_create(struct harness_dir *d);
void harness_dir_remove(struct harness_dir *d);
/* Every file of a directory with its name and content, in a fixed order. */
void harness_dir_read(const char *path, struct gate_buf *out);
/* The path of the newest file with that ending. Fails the test when there is none. */
void harness_file_find(const char *directory, const char *ending, char out[PATH_MAX]);

/* Options as name, value pairs up to NULL. */
enum gate_status harness_try_open(const char *path, const char *const *pairs, void **store,
                                  struct gate_error *err);
void *harness_open(const char *path);
/* Opening fails with this status and a message that holds `text` and the path, and no byte of the
 * directory changes. */
void harness_refuses(const char *path, enum gate_status status, const char *text);

/* These fail the test when they do not succeed. */
uint64_t harness_put(void *store, const char *key, const char *value);
void harness_expect(void *store, const char *key, const char *value); /* NULL: absent */
uint64_t harness_version(void *store, const char *key);
void harness_add(void *store, const char *key, int64_t delta, uint64_t ttl_ms);

/* Writes HARNESS_RECORDS records "key-00000" and so on. */
void harness_put_records(void *store);
/* How many of them are there, whole; those that cannot be read are counted in *failed. */
int harness_count_records(void *store, int *failed, struct gate_error *err);

/* Bytes that do not compress, the same for the same seed. */
void harness_noise(char *out, size_t n, uint64_t seed);
/* The next number of a sequence of random ones. */
uint64_t harness_random(uint64_t *state);

/* Starts this program anew as `name` (see main). *from_child reads what it writes to descriptor 1.
 */
pid_t harness_child(const char *name, const char *path, const char *argument, int *from_child);

/* The suites and the children of the files. */
void harness_add_open(Suite *s);
void harness_add_damage(Suite *s);
void harness_add_lease(Suite *s);
void harness_add_failure(Suite *s);
void harness_add_crash(Suite *s);
void harness_add_model(Suite *s);
void harness_add_figures(Suite *s);
int harness_child_hold(const char *path, bool raw);
int harness_child_write(const char *path);

#endif
