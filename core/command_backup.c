#include "command_internal.h"
#include "record/backup.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TIMEOUT_MS = 30 * 60 * 1000, BLOCK = 64 * 1024, SIGNAL_BASE = 128 };

static const char usage[] =
    "Usage: llm-gate backup FILE\n"
    "\n"
    "Writes all stored data (accounts, logins, counters, records) into a new FILE of mode 0600. A\n"
    "running gateway goes on serving meanwhile. Logins in it are encrypted: to use them again you\n"
    "also need LLM_GATE_SECRET or the file secret.key of the data directory. Keep it, but not\n"
    "beside the backup.\n";

/* ---- a file that a running gateway made */

static enum gate_status failed(const char *path, const char *what, struct gate_error *err)
{
    return gate_fail(err, GATE_EIO, "%s: %s: %s", path, what, strerror(errno));
}

static enum gate_status copy_bytes(int from, int to, const char *path, struct gate_error *err)
{
    char block[BLOCK];
    ssize_t n;
    while ((n = read(from, block, sizeof block)) != 0) {
        if (n < 0 && errno != EINTR)
            return failed(path, "reading failed", err);
        for (ssize_t done = 0, wrote; done<n; done += wrote> 0 ? wrote : 0) {
            wrote = write(to, block + done, (size_t)(n - done));
            if (wrote < 0 && errno != EINTR)
                return failed(path, "its copy could not be written", err);
        }
    }
    return fsync(to) == 0 ? GATE_OK : failed(path, "its copy could not be written", err);
}

/* Gives the whole file its name; one that exists is not taken from its owner. */
static enum gate_status publish(const char *from, const char *to, struct gate_error *err)
{
    char copy[PATH_MAX];
    if (link(from, to) == 0)
        unlink(from);
    else if (errno == EEXIST || renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) != 0)
        return failed(to, "it could not be made", err);
    snprintf(copy, sizeof copy, "%s", to);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool fine = fd >= 0 && fsync(fd) == 0;
    enum gate_status status =
        fine ? GATE_OK : failed(to, "its directory could not be written", err);
    if (fd >= 0)
        close(fd);
    return status;
}

/* Copies the backup and looks whether the copy is the one that the gateway has made. */
static enum gate_status copy_backup(const char *from, const char *to,
                                    const struct gate_backup_sum *sum, struct gate_error *err)
{
    char temporary[PATH_MAX];
    struct gate_backup_sum found;
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", to) >= sizeof temporary)
        return gate_fail(err, GATE_EINVAL, "%s: the name is too long", to);
    int in = open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (in < 0)
        return failed(from, "it cannot be read here", err);
    int out = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    enum gate_status status =
        out < 0 ? failed(to, "it could not be made", err) : copy_bytes(in, out, from, err);
    close(in);
    if (out >= 0)
        close(out);
    if (status == GATE_OK)
        status = gate_backup_verify(temporary, &found, err);
    if (status == GATE_OK && (found.records != sum->records || found.bytes != sum->bytes))
        status =
            gate_fail(err, GATE_EPARSE, "%s is not the backup that the gateway has made", from);
    if (status == GATE_OK)
        status = publish(temporary, to, err);
    if (status != GATE_OK && out >= 0)
        unlink(temporary);
    return status;
}

/* Where the gateway's file is for this process: a relative name counts from the gateway's working
 * directory, which may be another one. */
static void place_of(const struct gate_config *c, const char *file, char out[PATH_MAX])
{
    const char *slash = strrchr(file, '/');
    if (file[0] == '/' && access(file, F_OK) == 0)
        snprintf(out, PATH_MAX, "%s", file);
    else
        snprintf(out, PATH_MAX, "%s/%s", c->data_dir, slash != NULL ? slash + 1 : file);
}

static enum gate_status fetch(const struct gate_config *c, const cJSON *json, const char *path,
                              struct gate_backup_sum *sum, struct gate_error *err)
{
    const char *file = command_text(json, "file");
    char place[PATH_MAX];
    struct gate_error why = {.message = ""};
    uint64_t bytes = 0, records = 0;
    gate_json_tree_whole(cJSON_GetObjectItemCaseSensitive(json, "bytes"), 0, 0x1p53, &bytes);
    gate_json_tree_whole(cJSON_GetObjectItemCaseSensitive(json, "records"), 0, 0x1p53, &records);
    *sum = (struct gate_backup_sum){.records = records, .bytes = bytes};
    place_of(c, file, place);
    if (copy_backup(place, path, sum, &why) != GATE_OK)
        return gate_fail(err, why.status,
                         "the gateway has made the backup, but it could not be fetched: %.240s. It "
                         "lies in the gateway's data directory: %.160s",
                         why.message, file);
    if (unlink(place) != 0)
        fprintf(stderr, "llm-gate: the gateway's own copy %s could not be removed: %s\n", place,
                strerror(errno));
    return GATE_OK;
}

static enum gate_status ask_gateway(struct command_link *l, const char *path,
                                    struct gate_backup_sum *sum, struct gate_error *err)
{
    const struct command_request r = {
        .method = "POST", .path = "/backup", .body = GATE_STR("{}"), .timeout_ms = TIMEOUT_MS};
    cJSON *json;
    command_ask(l, &r, &json, err);
    if (json == NULL)
        return err->status;
    enum gate_status status = fetch(l->parts.config, json, path, sum, err);
    gate_json_tree_free(json);
    return status;
}

/* ---- without a gateway */

struct writing {
    const char *path;
    struct gate_backup_sum *sum;
    enum gate_status status;
    struct gate_error *err;
};

/* Store thread. */
static void write_backup(struct gate_storage *s, void *arg)
{
    struct writing *w = arg;
    w->status = gate_backup_write(s->ops, s->handle, w->path, w->sum, w->err);
}

static enum gate_status write_here(struct command_link *l, const char *path,
                                   struct gate_backup_sum *sum, struct gate_error *err)
{
    struct gate_parts *p = &l->parts;
    char directory[GATE_PARTS_PATH];
    enum gate_status status = gate_parts_store_path(p->config, directory, err);
    if (status == GATE_OK && access(directory, F_OK) != 0)
        return gate_fail(err, GATE_ENOTFOUND,
                         "%s: %s. There is nothing to back up; LLM_GATE_DATA_DIR names the data "
                         "directory",
                         directory, strerror(errno));
    if (status == GATE_OK)
        status = gate_parts_load_storage(p, err);
    if (status == GATE_OK)
        status =
            gate_store_open(p->storage_plugin, p->storage_values, directory, 0, &p->store, err);
    if (status != GATE_OK)
        return command_link_held(l, status, err);
    struct writing w = {.path = path, .sum = sum, .err = err};
    gate_store_call(p->store, write_backup, &w);
    return w.status;
}

/* ---- the command */

/* Before the work: a running gateway would make a file that has nowhere to go. */
static enum gate_status check_target(const char *path, struct gate_error *err)
{
    char copy[PATH_MAX];
    if (access(path, F_OK) == 0)
        return gate_fail(err, GATE_ECONFLICT,
                         "%s: there is a file of that name, which is not overwritten", path);
    if ((size_t)snprintf(copy, sizeof copy, "%s", path) >= sizeof copy)
        return gate_fail(err, GATE_EINVAL, "%.64s...: the name is too long", path);
    return access(dirname(copy), W_OK | X_OK) == 0 ? GATE_OK
                                                   : failed(path, "it could not be made", err);
}

static enum gate_status back_up(struct command_link *l, const char *path,
                                struct gate_backup_sum *sum, struct gate_error *err)
{
    enum gate_status status = check_target(path, err);
    if (status == GATE_OK)
        status = command_link_find(l, err);
    if (status != GATE_OK)
        return status;
    return l->endpoint != NULL ? ask_gateway(l, path, sum, err) : write_here(l, path, sum, err);
}

int gate_command_backup(int argc, char **argv)
{
    struct command_link l = {.url = ""};
    struct gate_backup_sum sum = {0};
    struct gate_error err = {.message = ""};
    const char *path;
    int result = command_options(argc, argv, usage, NULL, 0, &path);
    if (result >= 0)
        return result;
    if (path == NULL)
        return command_missing("FILE", usage);
    enum gate_status status = back_up(&l, path, &sum, &err);
    if (status == GATE_OK) {
        printf("%s: %llu records, %llu bytes\n", path, (unsigned long long)sum.records,
               (unsigned long long)sum.bytes);
        if (l.parts.config->secret != NULL)
            printf("Keep LLM_GATE_SECRET as well: the logins in it are encrypted with that.\n");
        else
            printf("Keep %s/secret.key as well: the logins in it are encrypted with that.\n",
                   l.parts.config->data_dir);
    } else {
        result = command_fail(&err);
        if (l.stopped_by != 0)
            result = SIGNAL_BASE + l.stopped_by;
    }
    command_link_finish(&l);
    return status == GATE_OK ? EXIT_SUCCESS : result;
}
