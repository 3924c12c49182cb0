/* Property of request/edits with this dialect: random bodies and random edits, beside those of a
 * provider. What is sent means what the same edits make of a list of members, and holds every byte
 * of the members that no edit names. */
#include "edits_util.h"
#include "fake_host.h"

#include <cjson/cJSON.h>

extern const struct gate_plugin gate_plugin;

enum { ROUNDS = 8000, MAX_MEMBERS = 16, MAX_VALUE = 2048, MAX_MESSAGES = 4, MAX_TEXT = 1 << 16 };

/* A key as it is written, and what it says. */
struct key {
    const char *raw, *name;
};

struct member {
    struct key key;
    char value[MAX_VALUE];
};

struct list {
    struct member items[2 * MAX_MEMBERS];
    size_t count;
};

struct gen {
    uint64_t state;
    struct list members;
    char messages[MAX_MESSAGES][MAX_VALUE / 8];
    size_t message_count;
    struct gate_buf body;
};

static unsigned below(struct gen *g, unsigned n)
{
    g->state ^= g->state << 13;
    g->state ^= g->state >> 7;
    g->state ^= g->state << 17;
    return (unsigned)(g->state >> 33) % n;
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define ANY(g, list) ((list)[below((g), COUNT(list))])

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* ---------------------------------------------------------------- bodies */

static const struct key keys[] = {
    {"a", "a"},
    {"\\u0061", "a"},
    {"b", "b"},
    {"user", "user"},
    {"us\\u0065r", "user"},
    {"\\u00e4", "\xc3\xa4"},
    {"\xc3\xa4", "\xc3\xa4"},
    {"\\\"a", "\"a"},
    {"max_tokens", "max_tokens"},
    {"max\\u005ftokens", "max_tokens"},
    {"max_completion_tokens", "max_completion_tokens"},
    {"c", "c"},
};

static const char *const values[] = {
    "0",
    "-1",
    "99",
    "100",
    "101",
    "1e9",
    "12.5",
    "1.5e2",
    "null",
    "null",
    "500",
    "true",
    "\"x\"",
    "\"\"",
    "\"\\\"\\\\}],\"",
    "[]",
    "{}",
    "[1, {\"max_tokens\":900,\"a\" : [ ]} ]",
    "{ \"user\":{\"b\":\"\\u00e4\xc3\xa4\"}}",
};

static const char *space(struct gen *g)
{
    static const char *const spaces[] = {"", "", "", " ", "\n  ", "\t\r"};
    return ANY(g, spaces);
}

static void make_message(struct gen *g, char *to, size_t cap)
{
    static const char *const roles[] = {"\"system\"", "\"developer\"", "\"user\"", "null",
                                        "\"sys\\u0074em\""};
    static const char *const contents[] = {"\"be\"",
                                           "\"\"",
                                           "null",
                                           "[]",
                                           "[ ]",
                                           "7",
                                           "\"\\\\\"",
                                           "{\"role\":\"system\"}",
                                           "[{\"type\":\"text\",\"text\":\"a\"}]",
                                           "[{\"type\":\"text\",\"text\":\"]\"} , {}\n]"};
    const char *role = ANY(g, roles), *content = ANY(g, contents);
    switch (below(g, 8)) {
    case 0:
        snprintf(to, cap, "%s", ANY(g, values));
        break;
    case 1:
        snprintf(to, cap, "{ \"role\" : %s }", role);
        break;
    case 2:
        snprintf(to, cap, "{\"content\":%s,\"role\" :%s,\"content\":\"y\"}", content, role);
        break;
    case 3:
        snprintf(to, cap, "{\"content\": %s ,\"role\":%s}", content, role);
        break;
    default:
        snprintf(to, cap, "{\"role\":%s%s,\"content\":%s }", role, space(g), content);
    }
}

static void put_member(struct gen *g, struct key key, const char *value)
{
    struct member *m = &g->members.items[g->members.count++];
    m->key = key;
    snprintf(m->value, sizeof m->value, "%s", value);
}

static void put_messages(struct gen *g)
{
    struct gate_buf all;
    gate_buf_init(&all, MAX_VALUE - 1);
    g->message_count = below(g, MAX_MESSAGES + 1);
    gate_buf_append_byte(&all, '[');
    for (size_t i = 0; i < g->message_count; i++) {
        make_message(g, g->messages[i], sizeof g->messages[i]);
        gate_buf_printf(&all, "%s%s%s%s", i > 0 ? "," : "", space(g), g->messages[i], space(g));
    }
    gate_buf_append(&all, GATE_STR("]"));
    gate_buf_append_byte(&all, '\0');
    put_member(g, (struct key){"messages", "messages"}, all.ptr);
    gate_buf_finish(&all);
}

static void put_some(struct gen *g)
{
    for (unsigned n = below(g, 4); n > 0; n--)
        put_member(g, ANY(g, keys), ANY(g, values));
}

static void make_body(struct gen *g)
{
    bool model_first = below(g, 2);
    g->members.count = g->body.len = 0;
    put_some(g);
    if (model_first)
        put_member(g, (struct key){"model", "model"}, "\"m\"");
    put_some(g);
    put_messages(g);
    if (below(g, 2))
        put_member(g, (struct key){"tools", "tools"}, below(g, 2) ? "[{\"a\":1}]" : "null");
    put_some(g);
    if (!model_first)
        put_member(g, (struct key){"model", "model"}, "\"m\"");
    if (below(g, 3) == 0)
        put_member(g, (struct key){"stream_options", "stream_options"}, "{ }");
    put_some(g);
    gate_buf_printf(&g->body, "%s{", space(g));
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = &g->members.items[i];
        gate_buf_printf(&g->body, "%s%s\"%s\" :%s%s", i > 0 ? "," : "", space(g), m->key.raw,
                        m->value, space(g));
    }
    gate_buf_printf(&g->body, "}%s", space(g));
}

/* ---------------------------------------------------------------- edits */

static void make_random(struct gen *g, struct gate_edits *e)
{
    static const char *const names[] = {
        "a", "b", "user", "\xc3\xa4", "max_tokens", "max_completion_tokens", "tools", "q"};
    static const char *const jsons[] = {"", "", "1", "500", "null", "[1,{\"a\":2}]", "60.5"};
    memset(e, 0, sizeof *e);
    e->field_count = below(g, 7);
    for (size_t i = 0; i < e->field_count; i++)
        e->fields[i] =
            (struct gate_field_edit){gate_str_of(ANY(g, names)), gate_str_of(ANY(g, jsons))};
    e->max_tokens = below(g, 2) ? 1 + below(g, 120) : 0;
    if (below(g, 2))
        e->system = GATE_STR("be \"brief\"\n");
}

/* ---------------------------------------------------------------- the same on a list */

/* The last edit of a name, or NULL. */
static const struct gate_field_edit *edit_of(const struct gate_edits *e, const char *name)
{
    for (size_t i = e->field_count; i > 0; i--) {
        if (gate_str_eq(e->fields[i - 1].name, gate_str_of(name)))
            return &e->fields[i - 1];
    }
    return NULL;
}

static bool is_limit(const char *name)
{
    return is(name, "max_tokens") || is(name, "max_completion_tokens");
}

static void add(struct list *to, struct key key, const char *value)
{
    struct member *m = &to->items[to->count++];
    m->key = key;
    snprintf(m->value, sizeof m->value, "%s", value);
}

static size_t find(const struct list *l, const char *name)
{
    size_t at = 0;
    while (at < l->count && !is(l->items[at].key.name, name))
        at++;
    return at;
}

/* Fields first: what stands in front of the body's own members, then those. */
static void reference_fields(const struct gate_edits *e, const struct list *body, struct list *out)
{
    struct list inserted = {.count = 0}, *kept = out;
    kept->count = 0;
    for (size_t i = 0; i < body->count; i++) {
        const struct member *m = &body->items[i];
        const struct gate_field_edit *f = edit_of(e, m->key.name);
        if (f == NULL)
            add(kept, m->key, m->value);
        else if (f->json.len > 0 && find(kept, m->key.name) == kept->count)
            add(kept, m->key, f->json.ptr);
    }
    for (size_t i = 0; i < e->field_count; i++) {
        const char *name = e->fields[i].name.ptr;
        const struct gate_field_edit *f = edit_of(e, name);
        if (f->json.len > 0 && find(body, name) == body->count &&
            find(&inserted, name) == inserted.count)
            add(&inserted, (struct key){name, name}, f->json.ptr);
    }
    memmove(kept->items + inserted.count, kept->items, kept->count * sizeof kept->items[0]);
    memcpy(kept->items, inserted.items, inserted.count * sizeof kept->items[0]);
    kept->count += inserted.count;
}

static void reference_clamp(const struct gate_edits *e, struct list *l)
{
    bool limited = false;
    struct member *null = NULL;
    char limit[24];
    if (e->max_tokens == 0)
        return;
    snprintf(limit, sizeof limit, "%u", (unsigned)e->max_tokens);
    for (size_t i = 0; i < l->count; i++) {
        struct member *m = &l->items[i];
        char *end;
        double n = strtod(m->value, &end);
        if (!is_limit(m->key.name))
            continue;
        if (is(m->value, "null") && edit_of(e, m->key.name) == NULL) {
            null = null != NULL ? null : m;
            continue;
        }
        limited = true;
        if (end == m->value || n < 0 || n > (double)e->max_tokens)
            snprintf(m->value, sizeof m->value, "%s", limit);
    }
    if (!limited && null != NULL) {
        snprintf(null->value, sizeof null->value, "%s", limit);
    } else if (!limited) {
        memmove(l->items + 1, l->items, l->count++ * sizeof l->items[0]);
        l->items[0].key = (struct key){"max_tokens", "max_tokens"};
        snprintf(l->items[0].value, sizeof l->items[0].value, "%s", limit);
    }
}

static size_t times(const cJSON *object, const char *name)
{
    size_t n = 0;
    for (const cJSON *c = object->child; c != NULL; c = c->next)
        n += is(c->string, name);
    return n;
}

/* False: the first message takes no text. */
static bool append_text(cJSON *first, const char *text)
{
    const cJSON *role = cJSON_GetObjectItemCaseSensitive(first, "role");
    cJSON *content = cJSON_GetObjectItemCaseSensitive(first, "content"), *part;
    char longer[256];
    if (!cJSON_IsObject(first) || times(first, "role") != 1 || times(first, "content") > 1 ||
        !cJSON_IsString(role) ||
        (!is(role->valuestring, "system") && !is(role->valuestring, "developer")))
        return false;
    if (content == NULL) {
        cJSON *name = cJSON_CreateString(text);
        ck_assert(cJSON_AddItemToObject(first, "content", name));
        cJSON_DetachItemViaPointer(first, name);
        cJSON_InsertItemInArray(first, 0, name);
    } else if (cJSON_IsString(content) || cJSON_IsNull(content)) {
        const char *old = cJSON_IsString(content) ? content->valuestring : "";
        snprintf(longer, sizeof longer, "%s%s%s", old, *old ? "\n\n" : "", text);
        cJSON_ReplaceItemInObjectCaseSensitive(first, "content", cJSON_CreateString(longer));
    } else if (cJSON_IsArray(content)) {
        part = cJSON_CreateObject();
        cJSON_AddStringToObject(part, "type", "text");
        cJSON_AddStringToObject(part, "text", text);
        cJSON_AddItemToArray(content, part);
    } else {
        return false;
    }
    return true;
}

static void reference_system(const struct gen *g, const struct gate_edits *e, struct list *l)
{
    cJSON *messages, *first;
    struct member *m = &l->items[find(l, "messages")];
    char *text = gate_strdup(e->system);
    if (e->system.len > 0) {
        messages = cJSON_Parse(m->value);
        if (g->message_count == 0 || !append_text(messages->child, text)) {
            first = cJSON_CreateObject();
            cJSON_AddStringToObject(first, "role", "system");
            cJSON_AddStringToObject(first, "content", text);
            cJSON_InsertItemInArray(messages, 0, first);
        }
        cJSON_PrintPreallocated(messages, m->value, sizeof m->value, false);
        cJSON_Delete(messages);
    }
    free(text);
}

/* The body that is expected, printed anew. The provider renames the model; stream_options are
 * looked at apart, as they stand before or behind what a target inserts. */
static char *expected_of(const struct gen *g, const struct gate_edits *e)
{
    static struct list l;
    struct gate_buf text;
    gate_buf_init(&text, MAX_TEXT);
    reference_fields(e, &g->members, &l);
    reference_clamp(e, &l);
    reference_system(g, e, &l);
    snprintf(l.items[find(&l, "model")].value, MAX_VALUE, "\"other\"");
    gate_buf_append_byte(&text, '{');
    for (size_t i = 0, n = 0; i < l.count; i++) {
        if (is(l.items[i].key.name, "stream_options"))
            continue;
        if (n++ > 0)
            gate_buf_append_byte(&text, ',');
        gate_buf_printf(&text, "\"%s\":%s", l.items[i].key.raw, l.items[i].value);
    }
    gate_buf_append(&text, GATE_STR("}"));
    gate_buf_append_byte(&text, '\0');
    cJSON *tree = cJSON_Parse(text.ptr);
    ck_assert_msg(tree != NULL, "the test expects what is no JSON: %s", text.ptr);
    char *printed = cJSON_PrintUnformatted(tree);
    cJSON_Delete(tree);
    gate_buf_finish(&text);
    return printed;
}

/* ---------------------------------------------------------------- what is sent */

static char *send_random(const struct gen *g, const struct gate_edits *e, bool usage_last)
{
    const struct gate_dialect_ops *dialect = gate_plugin.ops;
    struct gate_str body = gate_buf_str(&g->body);
    struct gate_request_facts facts;
    struct gate_builder b;
    struct gate_built built;
    struct gate_error err;
    scan_body(body, &facts);
    gate_builder_init(&b, body, &built);
    b.ops.replace(&b, facts.model.off, facts.model.len, GATE_STR("\"other\""));
    if (!usage_last)
        dialect->ask_usage(body, &facts, &b.ops);
    enum gate_status status = gate_edits_apply(e, dialect, body, &facts, &b, &err);
    if (usage_last)
        dialect->ask_usage(body, &facts, &b.ops);
    if (status == GATE_OK)
        status = gate_builder_end_body(&b, "p", &err);
    ck_assert_msg(status == GATE_OK, "%.*s: %s", (int)body.len, body.ptr, err.message);
    char *sent = body_of(&built);
    gate_built_finish(&built);
    return sent;
}

/* Members that nobody names go byte for byte, in their order. */
static void ck_untouched(const struct gen *g, const struct gate_edits *e, const char *sent)
{
    const char *at = sent;
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = &g->members.items[i];
        char raw[MAX_VALUE + 64];
        if (edit_of(e, m->key.name) != NULL || is(m->key.name, "model") ||
            is(m->key.name, "stream_options") || (is_limit(m->key.name) && e->max_tokens > 0) ||
            (is(m->key.name, "messages") && e->system.len > 0))
            continue;
        snprintf(raw, sizeof raw, "\"%s\" :%s", m->key.raw, m->value);
        at = strstr(at, raw);
        ck_assert_msg(at != NULL, "%s is not in %s", raw, sent);
        at += strlen(raw);
    }
    for (size_t i = 1; i < g->message_count; i++)
        ck_assert_ptr_nonnull(strstr(sent, g->messages[i]));
}

static void ck_round(struct gen *g)
{
    struct gate_edits e;
    uint64_t seed = g->state;
    make_body(g);
    make_random(g, &e);
    char *sent = send_random(g, &e, below(g, 2)), *expected = expected_of(g, &e), *got;
    cJSON *tree = cJSON_Parse(sent), *options;
    ck_assert_msg(tree != NULL, "seed %llu: no JSON: %s", (unsigned long long)seed, sent);
    options = cJSON_DetachItemFromObjectCaseSensitive(tree, "stream_options");
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(options, "include_usage")));
    cJSON_Delete(options);
    got = cJSON_PrintUnformatted(tree);
    ck_assert_msg(is(got, expected), "seed %llu:\n%.*s\nbecame\n%s\nexpected\n%s",
                  (unsigned long long)seed, (int)g->body.len, g->body.ptr, sent, expected);
    ck_untouched(g, &e, sent);
    cJSON_free(got);
    cJSON_free(expected);
    cJSON_Delete(tree);
    free(sent);
}

START_TEST(random_edits)
{
    static struct gen g;
    g.state = 0x9e3779b97f4a7c15u * (uint64_t)(_i + 1);
    gate_buf_init(&g.body, MAX_TEXT);
    ck_assert_int_eq(gate_plugin.init(fake_host(), NULL), GATE_OK);
    for (int round = 0; round < ROUNDS; round++)
        ck_round(&g);
    gate_buf_finish(&g.body);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dialect_openai_chat_random");
    TCase *tcase = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, random_edits, 0, 2);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
