#include "live/history_record.h"
#include "base/json.h"
#include "base/json_tree.h"
#include "base/utf8.h"
#include <openssl/evp.h>
#include <stdlib.h>

#define MAX_WHOLE 9007199254740992.0 /* 2^53: what a JSON number holds exactly */

const char *const gate_origin_names[] = {
    [GATE_ORIGIN_START] = "start",       [GATE_ORIGIN_ADMIN] = "admin",
    [GATE_ORIGIN_DISK] = "disk",         [GATE_ORIGIN_ROLLBACK] = "rollback",
    [GATE_ORIGIN_TAKEOVER] = "takeover",
};

enum { ORIGINS = sizeof gate_origin_names / sizeof gate_origin_names[0] };

/* ---- entries */

void gate_history_put_entry(const struct gate_history_entry *e, struct gate_buf *out)
{
    gate_buf_printf(out,
                    "{\"v\":%d,\"at\":%llu,\"base\":%llu,\"of\":%llu,\"origin\":\"%s\","
                    "\"failed\":%s,\"files\":%zu,\"bytes\":%zu,\"author\":",
                    GATE_HISTORY_RECORD, (unsigned long long)e->at_ms, (unsigned long long)e->base,
                    (unsigned long long)e->of, gate_origin_names[e->origin],
                    e->failed ? "true" : "false", e->files, e->bytes);
    gate_json_put(out, gate_str_of(e->author));
    gate_buf_append(out, GATE_STR(",\"note\":"));
    gate_json_put(out, gate_str_of(e->note));
    gate_buf_append(out, GATE_STR("}"));
}

/* The tree of a record of this version. */
static enum gate_status parse(struct gate_str json, cJSON **out, struct gate_error *err)
{
    char reason[GATE_JSON_TREE_REASON];
    uint64_t version;
    cJSON *tree = gate_json_tree_parse(json, reason);
    if (tree == NULL)
        return gate_fail(err, GATE_EPARSE, "%s", reason);
    if (!gate_json_tree_whole(cJSON_GetObjectItemCaseSensitive(tree, "v"), 1, MAX_WHOLE,
                              &version) ||
        version != GATE_HISTORY_RECORD) {
        gate_json_tree_free(tree);
        return gate_fail(err, GATE_EPARSE, "it was written by another version of llm-gate");
    }
    *out = tree;
    return GATE_OK;
}

static bool get_whole(const cJSON *tree, const char *name, uint64_t *out)
{
    return gate_json_tree_whole(cJSON_GetObjectItemCaseSensitive(tree, name), 0, MAX_WHOLE, out);
}

static bool get_text(const cJSON *tree, const char *name, char *out, size_t cap)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, name));
    return text != NULL && (size_t)snprintf(out, cap, "%s", text) < cap;
}

static bool get_origin(const cJSON *tree, enum gate_origin *out)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "origin"));
    for (unsigned i = 0; name != NULL && i < ORIGINS; i++) {
        if (strcmp(name, gate_origin_names[i]) == 0) {
            *out = (enum gate_origin)i;
            return true;
        }
    }
    return false;
}

enum gate_status gate_history_parse_entry(struct gate_str json, struct gate_history_entry *out,
                                          struct gate_error *err)
{
    cJSON *tree;
    uint64_t files = 0, bytes = 0;
    enum gate_status status = parse(json, &tree, err);
    if (status != GATE_OK)
        return status;
    const cJSON *failed = cJSON_GetObjectItemCaseSensitive(tree, "failed");
    if (!get_whole(tree, "at", &out->at_ms) || !get_whole(tree, "base", &out->base) ||
        !get_whole(tree, "of", &out->of) || !get_whole(tree, "files", &files) ||
        !get_whole(tree, "bytes", &bytes) || !get_origin(tree, &out->origin) ||
        files > GATE_SOURCES_MAX_FILES || bytes > GATE_SOURCES_MAX_BYTES || !cJSON_IsBool(failed) ||
        !get_text(tree, "author", out->author, sizeof out->author) ||
        !get_text(tree, "note", out->note, sizeof out->note))
        status = gate_fail(err, GATE_EPARSE, "a member is missing or is not what it should be");
    out->failed = cJSON_IsTrue(failed);
    out->files = (size_t)files;
    out->bytes = (size_t)bytes;
    gate_json_tree_free(tree);
    return status;
}

/* ---- texts */

/* Whether a JSON string brings the text back as it is, and not at six bytes for one. */
static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        unsigned char c = (unsigned char)text[i];
        n = gate_utf8_length(text + i, len - i);
        if (n == 0 || (c < 0x20 && c != '\n' && c != '\r' && c != '\t'))
            return false;
    }
    return true;
}

static void put_base64(struct gate_buf *out, const char *text, size_t len)
{
    size_t need = (len + 2) / 3 * 4;
    char *at = gate_buf_reserve(out, need + 1); /* and a NUL */
    if (at != NULL)
        out->len +=
            (size_t)EVP_EncodeBlock((unsigned char *)at, (const unsigned char *)text, (int)len);
}

void gate_history_put_texts(const struct gate_sources *sources, struct gate_buf *out)
{
    gate_buf_printf(out, "{\"v\":%d,\"files\":[", GATE_HISTORY_RECORD);
    for (size_t i = 0; i < sources->count; i++) {
        const struct gate_source *f = &sources->files[i];
        gate_buf_append(out, i > 0 ? GATE_STR(",{\"name\":") : GATE_STR("{\"name\":"));
        gate_json_put(out, gate_str_of(f->name));
        if (is_plain(f->text, f->len)) {
            gate_buf_append(out, GATE_STR(",\"text\":"));
            gate_json_put(out, (struct gate_str){f->text, f->len});
        } else {
            gate_buf_append(out, GATE_STR(",\"base64\":\""));
            put_base64(out, f->text, f->len);
            gate_buf_append(out, GATE_STR("\""));
        }
        gate_buf_append(out, GATE_STR("}"));
    }
    gate_buf_append(out, GATE_STR("]}"));
}

/* False: it is not base64. Owner of *out: the caller. */
static bool decode_base64(struct gate_str text, char **out, size_t *len)
{
    *out = NULL;
    if (text.len % 4 != 0 || text.len > GATE_HISTORY_MAX_TEXTS)
        return false;
    unsigned char *bytes = gate_alloc(text.len / 4 * 3 + 1);
    int n = EVP_DecodeBlock(bytes, (const unsigned char *)text.ptr, (int)text.len);
    *out = (char *)bytes;
    if (n < 0)
        return false;
    *len = (size_t)n;
    for (size_t i = text.len; i > 0 && text.ptr[i - 1] == '=' && *len > 0; i--)
        (*len)--;
    return true;
}

static enum gate_status parse_file(const cJSON *file, struct gate_sources *out,
                                   struct gate_error *err)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file, "name"));
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file, "text"));
    const char *packed = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file, "base64"));
    if (name == NULL || (text == NULL) == (packed == NULL))
        return gate_fail(err, GATE_EPARSE, "a file is without a name or a text");
    if (text != NULL)
        return gate_sources_put(out, gate_str_of(name), gate_str_of(text), err);
    char *bytes;
    size_t len = 0;
    enum gate_status status;
    if (decode_base64(gate_str_of(packed), &bytes, &len))
        status = gate_sources_put(out, gate_str_of(name), (struct gate_str){bytes, len}, err);
    else
        status = gate_fail(err, GATE_EPARSE, "%.64s is not base64", name);
    free(bytes);
    return status;
}

enum gate_status gate_history_parse_texts(struct gate_str json, struct gate_sources *out,
                                          struct gate_error *err)
{
    cJSON *tree;
    const cJSON *file;
    struct gate_error why = {0};
    *out = (struct gate_sources){0};
    enum gate_status status = parse(json, &tree, err);
    if (status != GATE_OK)
        return status;
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(tree, "files");
    if (!cJSON_IsArray(files))
        status = gate_fail(&why, GATE_EPARSE, "there are no files in it");
    cJSON_ArrayForEach(file, files)
    {
        if (status == GATE_OK)
            status = parse_file(file, out, &why);
    }
    gate_json_tree_free(tree);
    if (status == GATE_OK)
        return GATE_OK;
    gate_sources_finish(out);
    *out = (struct gate_sources){0};
    return gate_fail(err, GATE_EPARSE, "%s", why.message);
}
