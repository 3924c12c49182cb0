#include "admin/admin_internal.h"
#include "base/clock.h"
#include "record/backup.h"
#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

/* POST /backup: the store thread makes a consistent copy (files of the database, mostly hard
 * links), a thread of its own turns it into one file, so that neither storage nor the API waits for
 * it. */

enum { STAMP = 32, MAX_TRIES = 100 };

struct admin_backup {
    struct gate_admin *admin; /* NULL: destroyed */
    struct admin_wait *wait;
    struct gate_control *control;
    const struct gate_plugin *plugin;
    const struct gate_value *values;
    char directory[PATH_MAX], file[PATH_MAX];
    pthread_t thread;
    enum gate_status status;
    struct gate_error err;
    struct gate_backup_sum sum;
};

/* ---- names */

static bool is_leftover(const char *name)
{
    size_t len = strlen(name);
    return len > 11 && strncmp(name, "backup-", 7) == 0 && strcmp(name + len - 4, ".tmp") == 0;
}

/* A gateway that was killed leaves its copy behind. */
static void remove_leftovers(const char *data_dir)
{
    DIR *dir = opendir(data_dir);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[PATH_MAX];
        struct gate_error ignored;
        if (is_leftover(entry->d_name) &&
            (size_t)snprintf(path, sizeof path, "%s/%s", data_dir, entry->d_name) < sizeof path)
            gate_backup_remove_directory(path, &ignored);
    }
    if (dir != NULL)
        closedir(dir);
}

/* "20260102-030405", with a number behind it where that second has a backup already. */
static bool choose_names(struct admin_backup *b, const char *data_dir)
{
    char stamp[STAMP];
    time_t now = (time_t)(gate_clock_wall_ms() / 1000);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &tm);
    for (unsigned n = 0; n < MAX_TRIES; n++) {
        char suffix[8] = "";
        if (n > 0)
            snprintf(suffix, sizeof suffix, "-%u", n);
        if ((size_t)snprintf(b->file, sizeof b->file, "%s/backup-%s%s.llmgate", data_dir, stamp,
                             suffix) >= sizeof b->file ||
            (size_t)snprintf(b->directory, sizeof b->directory, "%s/backup-%s%s.tmp", data_dir,
                             stamp, suffix) >= sizeof b->directory)
            return false;
        if (access(b->file, F_OK) != 0)
            return true;
    }
    return false;
}

/* ---- the end */

static void answer(struct admin_backup *b)
{
    struct gate_buf out;
    if (b->status != GATE_OK) {
        admin_wait_refuse(b->wait, 503, "backup_failed", "The backup was not made: %s",
                          b->err.message);
        gate_log_error("backup: %s", b->err.message);
        return;
    }
    gate_log_info("backup: %llu records are in %s", (unsigned long long)b->sum.records, b->file);
    gate_buf_init(&out, 4 * PATH_MAX);
    json_open(&out, NULL, '{');
    json_text(&out, "file", b->file);
    json_num(&out, "records", b->sum.records);
    json_num(&out, "bytes", b->sum.bytes);
    json_text(&out, "note",
              "Credentials in it are encrypted: keep LLM_GATE_SECRET, or secret.key of the "
              "data directory, with it. llm-gate restore FILE puts it back.");
    json_close(&out, '}');
    admin_wait_end(b->wait, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
}

/* Control thread, when the thread has done its work. */
static void on_written(void *arg)
{
    struct admin_backup *b = arg;
    if (b->admin != NULL) {
        pthread_join(b->thread, NULL);
        b->admin->backup = NULL;
    }
    answer(b);
    free(b);
}

void admin_backup_finish(struct gate_admin *a)
{
    if (a->backup == NULL)
        return;
    pthread_join(a->backup->thread, NULL);
    a->backup->admin = NULL; /* on_written, which waits in the queue, frees it */
    a->backup = NULL;
}

/* ---- the work */

static void *write_file(void *arg)
{
    struct admin_backup *b = arg;
    b->status =
        gate_backup_from_copy(b->plugin, b->values, b->directory, b->file, &b->sum, &b->err);
    gate_control_post(b->control, on_written, b);
    return NULL;
}

/* Store thread. */
static void copy_storage(struct gate_storage *s, void *arg)
{
    struct admin_backup *b = arg;
    if (s->ops->checkpoint == NULL)
        b->status = gate_fail(&b->err, GATE_EINVAL, "the storage plugin cannot copy itself");
    else
        b->status = s->ops->checkpoint(s->handle, gate_str_of(b->directory), &b->err);
}

static enum gate_status start(struct admin_backup *b)
{
    struct gate_store *store = b->admin->parts.store;
    const char *data_dir = b->admin->parts.config->data_dir;
    struct gate_error ignored;
    b->plugin = gate_store_plugin(store, &b->values);
    remove_leftovers(data_dir);
    if (!choose_names(b, data_dir))
        return gate_fail(&b->err, GATE_EIO, "%s: no name for a backup", data_dir);
    gate_store_flush(store, NULL, NULL);
    gate_store_call(store, copy_storage, b);
    if (b->status != GATE_OK) {
        gate_backup_remove_directory(b->directory, &ignored);
        return b->status;
    }
    int failed = pthread_create(&b->thread, NULL, write_file, b);
    if (failed == 0)
        return GATE_OK;
    gate_backup_remove_directory(b->directory, &ignored);
    return gate_fail(&b->err, GATE_EIO, "cannot start a thread: %s", strerrordesc_np(failed));
}

void admin_backup(struct admin_call *c)
{
    struct gate_admin *a = c->admin;
    if (!admin_no_params(c))
        return;
    cJSON *body = admin_body(c, "", true);
    if (body == NULL)
        return;
    gate_json_tree_free(body);
    if (a->backup != NULL) {
        admin_refuse(c, 409, "conflict", NULL, "A backup is being made already.");
        return;
    }
    struct admin_wait *wait = admin_wait_begin(c);
    if (wait == NULL)
        return;
    struct admin_backup *b = gate_calloc(1, sizeof *b);
    b->admin = a;
    b->wait = wait;
    b->control = a->parts.control;
    a->backup = b;
    enum gate_status status = start(b);
    if (status != GATE_OK) { /* else b->status is the thread's */
        b->status = status;
        a->backup = NULL;
        answer(b);
        free(b);
    }
}
