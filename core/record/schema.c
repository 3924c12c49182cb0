#include "record/schema.h"
#include "base/log.h"

enum {
    MAX_DIGITS = 9,   /* of a version that can be one */
    MAX_RECORD = 256, /* bytes of the version's record; what is longer is foreign */
    MAX_SHOWN = 20,   /* characters of a version in a message */
};

/* The version as text for a message: it may hold any bytes. */
struct shown {
    char text[MAX_SHOWN + 1];
};

static struct shown show(struct gate_str version)
{
    struct shown out;
    size_t len = version.len < MAX_SHOWN ? version.len : MAX_SHOWN;
    for (size_t i = 0; i < len; i++) {
        char c = version.ptr[i];
        out.text[i] = '?';
        if (c > ' ' && c <= '~')
            out.text[i] = c;
    }
    out.text[len] = '\0';
    return out;
}

static bool parse_version(struct gate_str text, uint32_t *out)
{
    if (text.len == 0 || text.len > MAX_DIGITS || text.ptr[0] == '0')
        return false;
    uint32_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        n = n * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    *out = n;
    return true;
}

static enum gate_status write_version(struct gate_storage *s, uint32_t version, uint64_t expected,
                                      struct gate_error *err)
{
    char text[MAX_DIGITS + 2];
    int len = snprintf(text, sizeof text, "%u", version);
    return gate_storage_put_if(s, GATE_STR(GATE_KEY_SCHEMA), (struct gate_str){text, (size_t)len},
                               expected, 0, 0, GATE_PUT_SYNC, NULL, err);
}

static bool note_record(void *ctx, const struct gate_record *record)
{
    (void)record;
    *(bool *)ctx = true;
    return false;
}

/* There is no version yet: the first start, or a storage of something else. */
static enum gate_status mark(struct gate_storage *s, const char *directory, uint32_t target,
                             struct gate_error *err)
{
    /* Every key of the schema is ASCII text. */
    bool used = false;
    enum gate_status status =
        s->ops->scan(s->handle, GATE_STR("\x01"), GATE_STR("\x7f"), 1, note_record, &used, err);
    if (status != GATE_OK)
        return status;
    if (used)
        return gate_fail(err, GATE_EINVAL,
                         "storage in %s holds records but not their schema: it is damaged or was "
                         "not made by llm-gate; restore a backup or name another directory",
                         directory);
    return write_version(s, target, 0, err);
}

/* Takes one step and writes the version it leads to. */
static enum gate_status take_step(struct gate_storage *s, const struct gate_schema_step *step,
                                  uint32_t to, struct gate_error *err)
{
    enum gate_status status = s->ops->batch_begin(s->handle, err);
    if (status != GATE_OK)
        return status;
    status = step->run(s, err);
    if (status == GATE_OK)
        status = write_version(s, to, UINT64_MAX, err);
    if (status != GATE_OK) {
        s->ops->batch_abort(s->handle);
        return status;
    }
    return s->ops->batch_commit(s->handle, GATE_PUT_SYNC, err);
}

enum gate_status gate_schema_bring(struct gate_storage *s, const char *directory,
                                   const struct gate_schema_step *steps, uint32_t target,
                                   struct gate_error *err)
{
    struct gate_buf text;
    uint32_t version = 0;
    gate_buf_init(&text, MAX_RECORD);
    enum gate_status status = gate_storage_get(s, GATE_STR(GATE_KEY_SCHEMA), &text, NULL, err);
    bool known = parse_version(gate_buf_str(&text), &version);
    struct shown shown = show(gate_buf_str(&text));
    gate_buf_finish(&text);
    if (status == GATE_ENOTFOUND)
        return mark(s, directory, target, err);
    if (status != GATE_OK && status != GATE_ELIMIT)
        return status;
    if (!known || version > target)
        return gate_fail(err, GATE_EINVAL,
                         "storage in %s was written by a newer llm-gate (schema %s, this one knows "
                         "%u): use that version or restore a backup",
                         directory, shown.text, target);
    for (; version < target; version++) {
        struct gate_error why = {0};
        const struct gate_schema_step *step = &steps[version - 1];
        status = take_step(s, step, version + 1, &why);
        if (status != GATE_OK)
            return gate_fail(err, status, "storage in %s: migration to schema %u (%s): %.300s",
                             directory, version + 1, step->what, why.message);
        gate_log_info("storage: migrated to schema %u: %s", version + 1, step->what);
    }
    return GATE_OK;
}
