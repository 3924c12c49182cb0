/* What gate_json_scan finds, against what cJSON finds in a full tree: on recorded request bodies
 * and on random documents. */
#include "base/json_skip.h"
#include <check.h>
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

enum { FILE_MAX = 64 << 20, DOCUMENT_MAX = 1 << 20, DOCUMENTS = 4000 };

static uint32_t depth_of(const cJSON *item)
{
    uint32_t deepest = 0;
    if (!cJSON_IsArray(item) && !cJSON_IsObject(item))
        return 0;
    for (const cJSON *child = item->child; child != NULL; child = child->next) {
        uint32_t depth = depth_of(child);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

static bool has_images(const cJSON *item)
{
    for (const cJSON *child = item->child; child != NULL; child = child->next) {
        if (cJSON_IsObject(item) && strcmp(child->string, "type") == 0 && cJSON_IsString(child) &&
            (strcmp(child->valuestring, "image") == 0 ||
             strcmp(child->valuestring, "image_url") == 0 ||
             strcmp(child->valuestring, "input_image") == 0))
            return true;
        if (has_images(child))
            return true;
    }
    return false;
}

static uint64_t whole_number(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble > 0 ? (uint64_t)item->valuedouble : 0;
}

/* The bytes of the range are the item, and nothing but it. */
static void check_range(struct gate_str body, struct gate_range range, const cJSON *item,
                        const char *what)
{
    ck_assert_msg((range.len > 0) == (item != NULL), "%s", what);
    if (item == NULL)
        return;
    ck_assert_uint_le(range.off + range.len, body.len);
    const char *start = body.ptr + range.off, *end = start;
    ck_assert(!gate_json_is_space(start[0]) && !gate_json_is_space(start[range.len - 1]));
    cJSON *again = cJSON_ParseWithLengthOpts(start, range.len, &end, false);
    ck_assert_msg(again != NULL && end == start + range.len, "%s is not one value", what);
    ck_assert_msg(cJSON_Compare(again, item, true), "%s is another value", what);
    cJSON_Delete(again);
}

static void check_model(struct gate_str body, struct gate_range range, const cJSON *model)
{
    char *decoded = gate_alloc(range.len * 3);
    size_t len;
    struct gate_str value = {body.ptr + range.off, range.len};
    ck_assert(gate_json_decode_to(value, decoded, range.len * 3, &len));
    ck_assert_str_eq(decoded, model->valuestring);
    free(decoded);
}

static const cJSON *array_or_none(const cJSON *root, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
    return cJSON_IsArray(item) ? item : NULL;
}

static void check_facts(struct gate_str body, const char *key, const cJSON *root,
                        const struct gate_request_facts *f)
{
    const cJSON *messages = array_or_none(root, key), *tools = array_or_none(root, "tools");
    const cJSON *options = cJSON_GetObjectItemCaseSensitive(root, "stream_options");
    int count = cJSON_GetArraySize(messages);
    check_model(body, f->model, cJSON_GetObjectItemCaseSensitive(root, "model"));
    check_range(body, f->messages, messages, "messages");
    check_range(body, f->first_message, cJSON_GetArrayItem(messages, 0), "first message");
    check_range(body, f->last_message, count > 0 ? cJSON_GetArrayItem(messages, count - 1) : NULL,
                "last message");
    check_range(body, f->tools, tools, "tools");
    check_range(body, f->stream_options, cJSON_IsObject(options) ? options : NULL, "options");
    ck_assert_uint_eq(f->message_count, (unsigned)count);
    ck_assert_uint_eq(f->tool_count, (unsigned)cJSON_GetArraySize(tools));
    ck_assert_uint_eq(f->depth, depth_of(root));
    ck_assert_int_eq(f->stream, cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "stream")));
    ck_assert_int_eq(f->has_images, messages != NULL && has_images(messages));
    uint64_t a = whole_number(cJSON_GetObjectItemCaseSensitive(root, "max_tokens"));
    uint64_t b = whole_number(cJSON_GetObjectItemCaseSensitive(root, "max_completion_tokens"));
    ck_assert_uint_eq(f->max_tokens, a > b ? a : b);
    const char *brace = gate_json_skip_space(body.ptr, body.ptr + body.len);
    ck_assert_ptr_eq(body.ptr + f->root, brace + 1);
}

/* The body must be a request. */
static void check_body(struct gate_str body, const char *key, const char *name)
{
    cJSON *root = cJSON_ParseWithLength(body.ptr, body.len);
    ck_assert_msg(root != NULL, "%s: cJSON does not parse it", name);
    const struct gate_json_skip *skip;
    for (size_t v = 0; (skip = gate_json_skip_variant(v)) != NULL; v++) {
        struct gate_request_facts facts;
        struct gate_json_error why;
        enum gate_status status = gate_json_scan_by(skip, body, gate_str_of(key), &facts, &why);
        ck_assert_msg(status == GATE_OK, "%s (%s): %s at %zu", name, skip->name, why.reason,
                      why.offset);
        check_facts(body, key, root, &facts);
    }
    cJSON_Delete(root);
}

/* ---- recordings */

static void read_file(const char *path, struct gate_buf *b)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
    gate_buf_init(b, FILE_MAX);
    for (size_t n = 1; n > 0; b->len += n) {
        char *to = gate_buf_reserve(b, 65536);
        ck_assert_ptr_nonnull(to);
        n = fread(to, 1, 65536, f);
    }
    fclose(f);
}

static void check_file(const char *path)
{
    struct gate_buf b;
    read_file(path, &b);
    cJSON *root = cJSON_ParseWithLength(b.ptr, b.len);
    check_body(gate_buf_str(&b), array_or_none(root, "input") != NULL ? "input" : "messages", path);
    cJSON_Delete(root);
    gate_buf_finish(&b);
}

START_TEST(recorded_bodies)
{
    const char *root = getenv("LLM_GATE_RECORDINGS");
    struct gate_buf path;
    gate_buf_init(&path, 4096);
    ck_assert(
        gate_buf_printf(&path, "%s/captures%c", root ? root : GATE_SOURCE_DIR "/../shared", 0));
    DIR *dir = opendir(path.ptr);
    size_t ran = 0;
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 5, ".json") != 0)
            continue;
        struct gate_buf file;
        gate_buf_init(&file, 4096);
        ck_assert(gate_buf_printf(&file, "%s/%s%c", path.ptr, e->d_name, 0));
        check_file(file.ptr);
        gate_buf_finish(&file);
        ran++;
    }
    if (dir != NULL)
        closedir(dir);
    printf("json: %zu recorded request bodies ran\n", ran);
    fflush(stdout);
    gate_buf_finish(&path);
}
END_TEST

/* ---- random documents */

struct maker {
    struct gate_buf b;
    uint64_t state;
};

static uint64_t pick(struct maker *m, uint64_t below)
{
    m->state ^= m->state << 13;
    m->state ^= m->state >> 7;
    m->state ^= m->state << 17;
    return (m->state >> 11) % below;
}

static void put(struct maker *m, const char *text)
{
    ck_assert(gate_buf_append(&m->b, gate_str_of(text)));
}

static void put_space(struct maker *m)
{
    static const char *const spaces[] = {"", "", "", "", " ", "\n", "\t\r\n  "};
    put(m, spaces[pick(m, 7)]);
}

static void put_string(struct maker *m)
{
    static const char *const parts[] = {"a",
                                        "words of some length ",
                                        "\\\"",
                                        "\\\\",
                                        "\\n",
                                        "\\u00e9",
                                        "\\ud83d\\ude00",
                                        "{",
                                        "}]",
                                        ",",
                                        "\xc3\xa9",
                                        "\\/",
                                        ":",
                                        "image",
                                        "type"};
    put(m, "\"");
    for (uint64_t n = pick(m, 4) == 0 ? pick(m, 60) : pick(m, 5); n > 0; n--)
        put(m, parts[pick(m, 15)]);
    put(m, "\"");
}

static void put_value(struct maker *m, unsigned levels);

static void put_members(struct maker *m, unsigned levels)
{
    put(m, "{");
    put_space(m);
    for (uint64_t n = pick(m, 5), i = 0; i < n; i++) {
        if (i > 0)
            put(m, ",");
        put_space(m);
        /* Distinct keys: cJSON compares objects by looking members up. */
        bool part = i == 0 && pick(m, 3) == 0;
        if (part)
            put(m, "\"type\"");
        else
            gate_buf_printf(&m->b, "\"key%u\"", (unsigned)i);
        put_space(m);
        put(m, ":");
        put_space(m);
        static const char *const names[] = {"\"image\"", "\"image_url\"", "\"input_image\"",
                                            "\"text\"",  "\"imagine\"",   "\"image_file\""};
        if (part && pick(m, 2) == 0)
            put(m, names[pick(m, 6)]);
        else
            put_value(m, levels);
        put_space(m);
    }
    put(m, "}");
}

static void put_elements(struct maker *m, unsigned levels)
{
    put(m, "[");
    put_space(m);
    for (uint64_t n = pick(m, 6), i = 0; i < n; i++) {
        if (i > 0)
            put(m, ",");
        put_space(m);
        put_value(m, levels);
        put_space(m);
    }
    put(m, "]");
}

static void put_value(struct maker *m, unsigned levels)
{
    static const char *const scalars[] = {"0", "-1", "12.5e-3", "true", "false", "null", "1E+2"};
    uint64_t kind = pick(m, levels > 0 ? 8 : 5);
    if (kind < 2)
        put(m, scalars[pick(m, 7)]);
    else if (kind < 5)
        put_string(m);
    else if (kind < 7)
        put_members(m, levels - 1);
    else
        put_elements(m, levels - 1);
}

/* One of the known members, or another; each known one at most once. */
static void put_root_member(struct maker *m, unsigned which, unsigned serial)
{
    static const char *const keys[] = {"\"model\"",
                                       "\"messages\"",
                                       "\"stream\"",
                                       "\"tools\"",
                                       "\"stream_options\"",
                                       "\"max_tokens\"",
                                       "\"max_completion_tokens\""};
    static const char *const escaped[] = {"\"m\\u006fdel\"",          "\"\\u006Dessages\"",
                                          "\"strea\\u006d\"",         "\"\\u0074ools\"",
                                          "\"stream\\u005Foptions\"", "\"max_tok\\u0065ns\"",
                                          "\"max_completion_tokens\""};
    if (which < 7)
        put(m, pick(m, 4) == 0 ? escaped[which] : keys[which]);
    else
        gate_buf_printf(&m->b, "\"other%u\"", serial);
    put_space(m);
    put(m, ":");
    put_space(m);
    switch (which) {
    case 0:
        put(m, pick(m, 2) ? "\"a-model\"" : "\"pl\\u0061n\\/\\\"\xc3\xa9\"");
        break;
    case 1:
        put_elements(m, 5);
        break;
    case 2:
        put(m, pick(m, 3) == 0 ? "null" : pick(m, 2) == 0 ? "true" : "false");
        break;
    case 3:
        if (pick(m, 5) == 0)
            put(m, "null");
        else
            put_elements(m, 4);
        break;
    case 4:
        if (pick(m, 5) == 0)
            put(m, "null");
        else
            put_members(m, 1);
        break;
    case 5:
    case 6:
        gate_buf_printf(&m->b, "%u", (unsigned)pick(m, 100000));
        break;
    default:
        put_value(m, 4);
    }
}

static void make_document(struct maker *m)
{
    unsigned order[12];
    for (unsigned i = 0; i < 12; i++)
        order[i] = i;
    for (unsigned i = 11; i > 0; i--) {
        unsigned k = (unsigned)pick(m, i + 1), kept = order[i];
        order[i] = order[k];
        order[k] = kept;
    }
    m->b.len = 0;
    put_space(m);
    put(m, "{");
    bool first = true;
    for (unsigned i = 0; i < 12; i++) {
        if (order[i] > 0 && pick(m, 3) == 0)
            continue;
        put(m, first ? "" : ",");
        first = false;
        put_space(m);
        put_root_member(m, order[i], i);
        put_space(m);
    }
    put(m, "}");
    put_space(m);
}

START_TEST(random_documents)
{
    struct maker m = {.state = 0x6a09e667f3bcc909u};
    size_t images = 0;
    gate_buf_init(&m.b, DOCUMENT_MAX);
    for (size_t i = 0; i < DOCUMENTS; i++) {
        make_document(&m);
        char name[32];
        snprintf(name, sizeof name, "document %zu", i);
        check_body(gate_buf_str(&m.b), "messages", name);
        struct gate_request_facts facts;
        struct gate_json_error why;
        gate_json_scan(gate_buf_str(&m.b), GATE_STR("messages"), &facts, &why);
        images += facts.has_images;
    }
    /* Both kinds must have come up for the comparison to mean something. */
    ck_assert_uint_gt(images, DOCUMENTS / 20);
    ck_assert_uint_lt(images, DOCUMENTS - DOCUMENTS / 20);
    gate_buf_finish(&m.b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_facts");
    TCase *tests = tcase_create("json_facts");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, recorded_bodies);
    tcase_add_test(tests, random_documents);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
