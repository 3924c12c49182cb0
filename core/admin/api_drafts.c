/* POST /scripts/check, publish and rollback. */
#include "admin/admin_internal.h"

enum { MAX_ANSWER = 12 << 20 };

#define DRAFT_MEMBERS "files|complete|base|note|author|over_disk"

/* ---- reading */

static bool take_file(struct admin_call *c, const cJSON *file, struct gate_sources *out)
{
    struct gate_error err;
    if (cJSON_IsNull(file)) {
        gate_sources_remove(out, file->string);
        return true;
    }
    if (!cJSON_IsString(file)) {
        admin_refuse(c, 400, "invalid_type", "files", "files.%.64s: expected text, or null.",
                     file->string);
        return false;
    }
    if (gate_sources_put(out, gate_str_of(file->string), gate_str_of(file->valuestring), &err) ==
        GATE_OK)
        return true;
    admin_refuse(c, 400, "invalid_value", "files", "%s", err.message);
    return false;
}

static bool read_bool(struct admin_call *c, const cJSON *body, const char *name, bool *out)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(body, name);
    *out = cJSON_IsTrue(value);
    if (value == NULL || cJSON_IsBool(value))
        return true;
    admin_refuse(c, 400, "invalid_type", name, "%s: expected true or false.", name);
    return false;
}

bool admin_body_sources(struct admin_call *c, const cJSON *body, struct gate_sources *out)
{
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(body, "files"), *file;
    const struct gate_running *r = gate_live_running(c->admin->parts.live);
    bool complete;
    *out = (struct gate_sources){.files = NULL};
    if (!read_bool(c, body, "complete", &complete))
        return false;
    if (!complete || files == NULL)
        gate_sources_copy(gate_generation_sources(r->generation), out);
    if (files == NULL)
        return true;
    bool fine = cJSON_IsObject(files);
    if (!fine)
        admin_refuse(c, 400, "invalid_type", "files",
                     "files: expected an object like {\"routing.lua\": \"return ...\"}.");
    cJSON_ArrayForEach(file, files)
    {
        fine = fine && take_file(c, file, out);
    }
    if (!fine)
        gate_sources_finish(out);
    return fine;
}

static bool read_number(struct admin_call *c, const cJSON *body, const char *name, bool wanted,
                        uint64_t *out)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(body, name);
    *out = 0;
    if (value == NULL && !wanted)
        return true;
    if (value != NULL && gate_json_tree_whole(value, 1, 9e15, out))
        return true;
    admin_refuse(c, 400, value == NULL ? "missing_parameter" : "invalid_value", name,
                 "%s: expected the number of a generation.", name);
    return false;
}

/* ---- check */

static void on_checked(void *ctx, const struct gate_live_report *report)
{
    struct gate_buf out;
    gate_buf_init(&out, MAX_ANSWER);
    admin_put_report(&out, NULL, report);
    admin_wait_end(ctx, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
}

void admin_scripts_check(struct admin_call *c)
{
    struct gate_sources sources = {.files = NULL};
    cJSON *body = admin_body(c, "files|complete", true);
    if (body == NULL)
        return;
    struct admin_wait *wait = admin_body_sources(c, body, &sources) ? admin_wait_begin(c) : NULL;
    if (wait != NULL)
        gate_live_check(c->admin->parts.live, &sources, on_checked, wait);
    gate_sources_finish(&sources);
    gate_json_tree_free(body);
}

/* ---- publish */

static void put_published(struct gate_buf *out, const struct gate_live_result *r)
{
    json_num(out, "generation", r->number);
    json_bool(out, "unchanged", r->unchanged);
    if (r->unrecorded)
        json_text(out, "warning", r->err.message);
    json_num(out, "took_us", r->took_us);
    admin_put_report(out, "report", r->report);
}

/* What the other side has, so that an editor can show both. */
static void put_conflict(struct gate_buf *out, const struct gate_live *l,
                         const struct gate_live_result *r)
{
    struct gate_live_disk disk = gate_live_disk(l);
    const struct gate_running *running = gate_live_running(l);
    json_error(out, 409, r->disk_edit ? "disk_edit" : "stale_base", r->disk_edit ? NULL : "base",
               r->disk_edit ? r->err.message
                            : "Another generation was published meanwhile: bring this draft up to "
                              "it, and publish with its number as base.");
    json_num(out, "generation", r->number);
    if (r->disk_edit && !disk.differs)
        return; /* it is not known yet */
    if (r->disk_edit)
        admin_put_problems(out, "problems", disk.problems);
    admin_put_sources(out, "files",
                      r->disk_edit ? disk.sources : gate_generation_sources(running->generation));
}

static void on_published(void *ctx, const struct gate_live_result *r)
{
    struct admin_wait *wait = ctx;
    struct gate_buf out;
    if (wait->admin == NULL) {
        admin_wait_end(wait, 503, (struct gate_str){NULL, 0});
        return;
    }
    int status = r->status == GATE_OK          ? 200
                 : r->status == GATE_ECONFLICT ? 409
                 : r->status == GATE_EINVAL    ? 422
                                               : admin_http_status(r->status);
    gate_buf_init(&out, MAX_ANSWER);
    json_open(&out, NULL, '{');
    if (status == 200) {
        put_published(&out, r);
    } else if (status == 409) {
        put_conflict(&out, wait->admin->parts.live, r);
    } else {
        json_error(
            &out, status, status == 422 ? "invalid_scripts" : admin_error_code(r->status), NULL,
            status == 422 ? "The scripts have errors; nothing was changed." : r->err.message);
        json_num(&out, "generation", r->number);
        admin_put_report(&out, "report", r->report);
    }
    json_close(&out, '}');
    admin_wait_end(wait, status, gate_buf_str(&out));
    gate_buf_finish(&out);
}

/* Reads what publish and rollback share; the strings are lent by body. */
static bool read_change(struct admin_call *c, const cJSON *body, struct gate_live_change *out)
{
    return read_number(c, body, "base", false, &out->base) &&
           read_bool(c, body, "over_disk", &out->over_disk) &&
           admin_body_str(c, body, "note", GATE_HISTORY_NOTE, &out->note) &&
           admin_body_str(c, body, "author", GATE_HISTORY_AUTHOR, &out->author);
}

static void publish(struct admin_call *c, const struct gate_live_change *change)
{
    struct admin_wait *wait = admin_wait_begin(c);
    if (wait != NULL)
        gate_live_publish(c->admin->parts.live, change, on_published, wait);
}

/* The files of a publish, and the names of those that go (lent by the body). False: refused. */
static bool read_files(struct admin_call *c, const cJSON *body, struct gate_live_change *out,
                       struct gate_sources *sources, const char **removed)
{
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(body, "files"), *file;
    bool complete, fine = cJSON_IsObject(files);
    if (!read_bool(c, body, "complete", &complete))
        return false;
    if (!fine)
        admin_refuse(c, 400, files == NULL ? "missing_parameter" : "invalid_type", "files",
                     "files: expected an object like {\"routing.lua\": \"return ...\"}.");
    out->partial = !complete;
    out->sources = sources;
    out->removed = removed;
    cJSON_ArrayForEach(file, files)
    {
        if (cJSON_IsNull(file) && out->removed_count < GATE_SOURCES_MAX_FILES)
            removed[out->removed_count++] = file->string;
        else
            fine = fine && take_file(c, file, sources);
    }
    /* Together with those that run they must not be too many or too large. */
    struct gate_sources whole = {.files = NULL};
    fine = fine && admin_body_sources(c, body, &whole);
    gate_sources_finish(&whole);
    return fine;
}

void admin_scripts_publish(struct admin_call *c)
{
    struct gate_live_change change = {.origin = GATE_ORIGIN_ADMIN};
    struct gate_sources sources = {.files = NULL};
    const char *removed[GATE_SOURCES_MAX_FILES];
    cJSON *body = admin_body(c, DRAFT_MEMBERS, false);
    if (body == NULL)
        return;
    if (read_files(c, body, &change, &sources, removed) && read_change(c, body, &change))
        publish(c, &change);
    gate_sources_finish(&sources);
    gate_json_tree_free(body);
}

void admin_scripts_rollback(struct admin_call *c)
{
    struct gate_live *l = c->admin->parts.live;
    struct gate_live_change change = {.origin = GATE_ORIGIN_ROLLBACK};
    struct gate_history_entry entry;
    struct gate_sources sources = {.files = NULL};
    struct gate_error err;
    cJSON *body = admin_body(c, "generation|base|note|author|over_disk", false);
    if (body == NULL)
        return;
    if (read_number(c, body, "generation", true, &change.of) && read_change(c, body, &change)) {
        if (gate_history_get(gate_live_history(l), change.of, &entry, &sources, &err) == GATE_OK) {
            change.sources = &sources;
            publish(c, &change);
        } else {
            admin_refuse_error(c, &err);
        }
    }
    gate_sources_finish(&sources);
    gate_json_tree_free(body);
}
