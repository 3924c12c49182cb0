/*
 * backup: everything that storage holds, in one file that any storage plugin can be filled from.
 * Used by admin (POST /admin/api/backup) and by main (llm-gate backup, llm-gate restore).
 *
 *     llm-gate backup 1 LF
 *     record...     key length u32 (1 and more), value length u32, version u64, key, value
 *     end           0 u32, number of records u64
 *     SHA-256 of all bytes before it
 *
 * Numbers are little endian. Counters are written as their sums in decimal, which storage goes on
 * counting from. Credentials stay sealed as they are: whoever restores them needs the same
 * LLM_GATE_SECRET or secret.key, which are not in the file. Leases and times to live are not kept.
 *
 * All functions block; none may run on a worker.
 */
#ifndef GATE_RECORD_BACKUP_H
#define GATE_RECORD_BACKUP_H

#include "record/store.h"

enum {
    GATE_BACKUP_MAX_KEY = 4096,
    GATE_BACKUP_MAX_VALUE = 16 << 20,
    GATE_BACKUP_BATCH = 1024, /* records that a restore writes at a time */
};

/* What a file holds. */
struct gate_backup_sum {
    uint64_t records;
    uint64_t bytes; /* of the file */
};

/* The thread that opened handle. Writes all its records into a new file of mode 0600, which is
 * there whole and on disk, or not at all. GATE_ECONFLICT: path exists. */
enum gate_status gate_backup_write(const struct gate_storage_ops *ops, void *handle,
                                   const char *path, struct gate_backup_sum *out,
                                   struct gate_error *err);

/* Reads the whole file and checks it. GATE_EPARSE: it is no backup, or damaged, or cut; err says
 * which. GATE_EIO: it cannot be read. */
enum gate_status gate_backup_verify(const char *path, struct gate_backup_sum *out,
                                    struct gate_error *err);

/* The thread that opened handle, which must hold no record (GATE_ECONFLICT). Checks the file first;
 * the record without which storage is refused at the next start (GATE_KEY_SCHEMA) is written last,
 * so a restore that was interrupted cannot be taken for a whole one. */
enum gate_status gate_backup_restore(const char *path, const struct gate_storage_ops *ops,
                                     void *handle, struct gate_backup_sum *out,
                                     struct gate_error *err);

/* A backup from a copy of a storage in `directory` (gate_storage_ops.checkpoint makes one): opens
 * it, writes the file, closes it and removes the directory, whatever came of it. Any thread but the
 * store's. */
enum gate_status gate_backup_from_copy(const struct gate_plugin *plugin,
                                       const struct gate_value *values, const char *directory,
                                       const char *path, struct gate_backup_sum *out,
                                       struct gate_error *err);

/* Removes a directory with the plain files and directories in it. Absent is fine. */
enum gate_status gate_backup_remove_directory(const char *directory, struct gate_error *err);

#endif
