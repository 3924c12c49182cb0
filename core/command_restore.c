#include "base/clock.h"
#include "command_internal.h"
#include "record/backup.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The new database grows in "db.new", which is anybody's to remove. Once it is whole it gets the
 * name "db.before-restore-<time>", and then it and "db" change names in one step of the file
 * system: "db" is at every moment either the old database or the new one. */

enum { STAMP = 32, MAX_TRIES = 100 };

static const char usage[] =
    "Usage: llm-gate restore [--force] FILE\n"
    "\n"
    "Puts a backup in the place of the stored data. No gateway may run on the data directory. The\n"
    "data that is there is kept beside it, under a name with the time.\n"
    "\n"
    "  --force   restore even if the logins in FILE cannot be decrypted with LLM_GATE_SECRET or\n"
    "            secret.key: the gateway starts when it has the right one\n"
    "  --help    this text\n";

struct restore {
    struct gate_parts parts; /* config and the storage plugin */
    const char *file;
    bool force;
    char db[GATE_PARTS_PATH], fresh[PATH_MAX], aside[PATH_MAX];
    bool is_there; /* db */
    int lock;      /* on db; -1: none */
    struct gate_backup_sum sum;
};

static enum gate_status failed(const char *path, const char *what, struct gate_error *err)
{
    return gate_fail(err, GATE_EIO, "%s: %s: %s", path, what, strerror(errno));
}

/* ---- names */

/* "db.before-restore-20260102-030405", with a number behind it where there is one. */
static enum gate_status choose_names(struct restore *r, struct gate_error *err)
{
    char stamp[STAMP];
    time_t now = (time_t)(gate_clock_wall_ms() / 1000);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &tm);
    enum gate_status status = gate_parts_store_path(r->parts.config, r->db, err);
    if (status != GATE_OK)
        return status;
    if ((size_t)snprintf(r->fresh, sizeof r->fresh, "%s.new", r->db) >= sizeof r->fresh)
        return gate_fail(err, GATE_EINVAL, "the path of the data directory is too long");
    for (unsigned n = 0; n < MAX_TRIES; n++) {
        char suffix[8] = "";
        if (n > 0)
            snprintf(suffix, sizeof suffix, "-%u", n);
        if ((size_t)snprintf(r->aside, sizeof r->aside, "%s.before-restore-%s%s", r->db, stamp,
                             suffix) >= sizeof r->aside)
            break;
        if (access(r->aside, F_OK) != 0)
            return GATE_OK;
    }
    return gate_fail(err, GATE_EINVAL, "%s: no name for what is there now", r->db);
}

/* ---- the database that is there */

static enum gate_status in_use(const struct restore *r, struct gate_error *err)
{
    return gate_fail(err, GATE_ECONFLICT,
                     "%s is in use: stop the gateway first. Nothing was changed", r->db);
}

/* Makes sure that nobody has it, and that nobody can take it before it has been replaced. What else
 * may be wrong with it is why somebody restores a backup. */
static enum gate_status take_old(struct restore *r, struct gate_error *err)
{
    const struct gate_storage_ops *ops = r->parts.storage_plugin->ops;
    struct gate_error why;
    struct stat st;
    void *handle = NULL;
    r->is_there = lstat(r->db, &st) == 0;
    if (!r->is_there && errno != ENOENT)
        return failed(r->db, "it cannot be looked at", err);
    if (!r->is_there)
        return GATE_OK;
    enum gate_status status = ops->open(gate_str_of(r->db), r->parts.storage_values, &handle, &why);
    if (status == GATE_OK)
        ops->close(handle);
    if (status == GATE_ECONFLICT)
        return in_use(r, err);
    /* This is how the storage keeps others out of its directory. */
    r->lock = open(r->db, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->lock < 0)
        return failed(r->db, "it cannot be opened", err);
    if (flock(r->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return in_use(r, err);
    return GATE_OK;
}

/* ---- the new one */

static enum gate_status fill(struct restore *r, struct gate_error *err)
{
    const struct gate_storage_ops *ops = r->parts.storage_plugin->ops;
    void *handle = NULL;
    enum gate_status status = gate_backup_remove_directory(r->fresh, err);
    if (status == GATE_OK)
        status = ops->open(gate_str_of(r->fresh), r->parts.storage_values, &handle, err);
    if (status != GATE_OK)
        return status;
    status = gate_backup_restore(r->file, ops, handle, &r->sum, err);
    ops->close(handle);
    return status;
}

/* Writes into err what is wrong with the key. */
static enum gate_status try_key(const struct gate_parts *p, struct gate_error *err)
{
    struct gate_vault *vault = NULL;
    enum gate_status status =
        gate_vault_create(p->config->data_dir, p->config->secret, false, &vault, err);
    if (status == GATE_ENOTFOUND)
        return gate_fail(err, status, "there is no key");
    if (status != GATE_OK)
        return status;
    status = gate_vault_prove(vault, p->store, err);
    gate_vault_destroy(vault);
    if (status == GATE_EDENIED)
        gate_fail(err, status, "they were encrypted with another key");
    return status;
}

/* Opens it as a gateway will: the schema may be too new, the key another one. */
static enum gate_status prove(struct restore *r, struct gate_error *err)
{
    struct gate_parts *p = &r->parts;
    struct gate_error why = {.message = ""};
    enum gate_status status =
        gate_store_open(p->storage_plugin, p->storage_values, r->fresh, 0, &p->store, err);
    if (status != GATE_OK)
        return status;
    status = try_key(p, &why);
    gate_store_close(p->store);
    p->store = NULL;
    if (status == GATE_OK)
        return GATE_OK;
    if (!r->force || status == GATE_EIO)
        return gate_fail(err, status,
                         "the logins in %.160s cannot be used: %.200s. Set LLM_GATE_SECRET to what "
                         "it was then, or put the secret.key of then into %.160s; or restore with "
                         "--force and do that afterwards. Nothing was changed",
                         r->file, why.message, p->config->data_dir);
    fprintf(stderr,
            "llm-gate: the logins in %s cannot be used yet: %s. The gateway will not start before "
            "LLM_GATE_SECRET or %s/secret.key is what it was when the backup was made\n",
            r->file, why.message, p->config->data_dir);
    return GATE_OK;
}

/* ---- changing them */

static enum gate_status sync_directory(const char *path, struct gate_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool fine = fd >= 0 && fsync(fd) == 0;
    enum gate_status status = fine ? GATE_OK : failed(path, "it could not be written", err);
    if (fd >= 0)
        close(fd);
    return status;
}

static enum gate_status exchange(struct restore *r, struct gate_error *err)
{
    if (rename(r->fresh, r->aside) != 0)
        return failed(r->fresh, "it cannot be renamed", err);
    if (renameat2(AT_FDCWD, r->aside, AT_FDCWD, r->db, RENAME_EXCHANGE) == 0)
        return GATE_OK;
    int why = errno;
    rename(r->aside, r->fresh);
    if (why != EINVAL && why != ENOSYS)
        return gate_fail(err, GATE_EIO, "%s: it cannot be replaced: %s", r->db, strerror(why));
    r->fresh[0] = '\0'; /* it stays */
    return gate_fail(err, GATE_EINVAL,
                     "the backup is whole in db.new, but this file system cannot put it in its "
                     "place in one step. While no gateway runs: cd %.200s && mv db %.80s && mv "
                     "db.new db",
                     r->parts.config->data_dir, strrchr(r->aside, '/') + 1);
}

static enum gate_status put_in_place(struct restore *r, struct gate_error *err)
{
    enum gate_status status = sync_directory(r->fresh, err);
    if (status != GATE_OK)
        return status;
    if (r->is_there)
        status = exchange(r, err);
    else if (rename(r->fresh, r->db) != 0) /* one that holds something is not replaced */
        status = errno == ENOTEMPTY || errno == EEXIST
                     ? in_use(r, err)
                     : failed(r->fresh, "it cannot be renamed", err);
    return status == GATE_OK ? sync_directory(r->parts.config->data_dir, err) : status;
}

/* ---- the command */

static enum gate_status restore(struct restore *r, struct gate_error *err)
{
    struct gate_error ignored;
    enum gate_status status = command_configure(&r->parts, err);
    if (status == GATE_OK)
        status = gate_parts_load_storage(&r->parts, err);
    if (status == GATE_OK)
        status = choose_names(r, err);
    if (status == GATE_OK)
        status = take_old(r, err);
    if (status == GATE_OK)
        status = gate_backup_verify(r->file, &r->sum, err);
    if (status != GATE_OK)
        return status;
    if (mkdir(r->parts.config->data_dir, 0700) != 0 && errno != EEXIST)
        return failed(r->parts.config->data_dir, "it cannot be made", err);
    status = fill(r, err);
    if (status == GATE_OK)
        status = prove(r, err);
    if (status == GATE_OK)
        status = put_in_place(r, err);
    if (status != GATE_OK && r->fresh[0] != '\0')
        gate_backup_remove_directory(r->fresh, &ignored);
    return status;
}

int gate_command_restore(int argc, char **argv)
{
    struct restore r = {.lock = -1};
    const struct command_option options[] = {{"force", NULL, &r.force}};
    struct gate_error err = {.message = ""};
    int result = command_options(argc, argv, usage, options, 1, &r.file);
    if (result >= 0)
        return result;
    if (r.file == NULL)
        return command_missing("FILE", usage);
    result = restore(&r, &err) == GATE_OK ? EXIT_SUCCESS : command_fail(&err);
    if (result == EXIT_SUCCESS) {
        printf("%s: %llu records are in %s now\n", r.file, (unsigned long long)r.sum.records, r.db);
        if (r.is_there)
            printf("What was there is in %s: remove it when all is well.\n", r.aside);
    }
    gate_parts_finish(&r.parts);
    if (r.lock >= 0)
        close(r.lock);
    return result;
}
