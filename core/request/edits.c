#include "request/edits.h"
#include "base/json_skip.h"
#include <assert.h>
#include <inttypes.h>
#include <strings.h>

enum {
    MAX_WANTED = GATE_SCRIPT_MAX_EDITS + GATE_MAX_LIMIT_KEYS,
    MAX_REPEATS = 8,        /* further members of edited names in one body */
    EXPONENT_MAX = 1 << 30, /* of a number; more digits than a body can have */
};

/* What is to become of the members of one name. */
enum action { ACTION_SET, ACTION_REMOVE, ACTION_CLAMP };

struct wanted {
    enum action action;
    struct gate_str name;
    struct gate_str json; /* of ACTION_SET */
    bool seen;
};

/* A member of the body's root object. */
struct member {
    const char *start;  /* its key */
    const char *before; /* the comma in front of it, or NULL */
    const char *after;  /* the comma behind it, or NULL */
    struct gate_str key, value;
};

struct editor {
    const struct gate_dialect_ops *dialect;
    struct gate_str body;
    const struct gate_request_facts *facts;
    const struct gate_request_builder *out;
    struct gate_error *err;
    struct wanted wanted[MAX_WANTED];
    size_t wanted_count;
    size_t repeats;
    bool kept;             /* a member that was read stays */
    uint64_t max_tokens;   /* 0: no clamp */
    struct gate_str clamp; /* the same as text */
    char clamp_text[24];
    bool limited;         /* a limit key has its number */
    struct gate_str null; /* the first null of a limit key */
};

/* ---- headers */

static bool header_is_ours(struct gate_str name)
{
    static const char *const names[] = {
        "authorization",
        "proxy-authorization",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "cookie",
        "host",
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "transfer-encoding",
        "content-length",
        "content-type",
        "content-encoding",
        "accept-encoding",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i]) == name.len && strncasecmp(names[i], name.ptr, name.len) == 0)
            return true;
    }
    return false;
}

static enum gate_status apply_headers(const struct gate_edits *e, struct gate_builder *builder,
                                      struct gate_error *err)
{
    for (size_t i = 0; i < e->header_count; i++) {
        const struct gate_header *h = &e->headers[i];
        if (header_is_ours(h->name))
            return gate_fail(err, GATE_EINVAL, "a target cannot edit the header \"%.*s\"",
                             (int)h->name.len, h->name.ptr);
        if (h->value.ptr == NULL)
            gate_builder_drop_header(builder, h->name);
        else
            gate_builder_set_header(builder, h->name, h->value);
    }
    return GATE_OK;
}

/* ---- numbers */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The exponent at p, its 'e' included; 0 where there is none. */
static int64_t read_exponent(const char *p, const char *end)
{
    int64_t n = 0;
    if (p == end || (*p != 'e' && *p != 'E'))
        return 0;
    p++;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (; p < end && is_digit(*p); p++) {
        if (n < EXPONENT_MAX)
            n = n * 10 + (*p - '0');
    }
    return negative ? -n : n;
}

/* Is v a JSON number from 0 to the limit, of which this is the text? Exact for any number of
 * digits: a double would round what lies just above. */
static bool number_fits(struct gate_str v, struct gate_str limit)
{
    const char *p = v.ptr, *end = v.ptr + v.len, *digits_end = p;
    if (p == end || !is_digit(*p))
        return false;
    while (digits_end < end && (is_digit(*digits_end) || *digits_end == '.'))
        digits_end++;
    /* The value is 0.ddd times ten to the power of `point`, its first digit not 0. */
    const char *dot = memchr(p, '.', (size_t)(digits_end - p));
    int64_t point = (dot != NULL ? dot : digits_end) - p;
    for (; p < digits_end && (*p == '0' || *p == '.'); p++)
        point -= *p == '0';
    if (p == digits_end)
        return true;
    point += read_exponent(digits_end, end);
    if (point != (int64_t)limit.len)
        return point < (int64_t)limit.len;
    for (size_t i = 0; p < digits_end; p++) {
        if (*p == '.')
            continue;
        char same = i < limit.len ? limit.ptr[i] : '0';
        if (*p != same)
            return *p < same;
        i++;
    }
    return true;
}

/* ---- what is wanted */

static bool is_limit_key(const struct editor *ed, struct gate_str name)
{
    const char *const *keys = ed->dialect->limit_keys;
    for (size_t i = 0; i < GATE_MAX_LIMIT_KEYS && keys[i] != NULL; i++) {
        if (gate_str_eq(gate_str_of(keys[i]), name))
            return true;
    }
    return false;
}

static bool field_is_reserved(const struct editor *ed, struct gate_str name)
{
    return gate_str_eq(name, GATE_STR("model")) || gate_str_eq(name, GATE_STR("stream")) ||
           gate_str_eq(name, GATE_STR("stream_options")) ||
           gate_str_eq(name, gate_str_of(ed->dialect->messages_key));
}

static struct wanted *wanted_of(struct editor *ed, struct gate_str name)
{
    for (size_t i = 0; i < ed->wanted_count; i++) {
        if (gate_str_eq(ed->wanted[i].name, name))
            return &ed->wanted[i];
    }
    return NULL;
}

/* What an earlier edit wanted of the name is forgotten. */
static struct wanted *want(struct editor *ed, struct gate_str name)
{
    struct wanted *w = wanted_of(ed, name);
    if (w == NULL)
        w = &ed->wanted[ed->wanted_count++];
    w->name = name;
    return w;
}

static enum gate_status collect_fields(struct editor *ed, const struct gate_edits *e)
{
    for (size_t i = 0; i < e->field_count; i++) {
        const struct gate_field_edit *f = &e->fields[i];
        if (field_is_reserved(ed, f->name))
            return gate_fail(ed->err, GATE_EINVAL, "a target cannot edit the field \"%.*s\"",
                             (int)f->name.len, f->name.ptr);
        struct wanted *w = want(ed, f->name);
        w->action = f->json.len > 0 ? ACTION_SET : ACTION_REMOVE;
        w->json = f->json;
    }
    return GATE_OK;
}

/* A number that is set is clamped here, one of the body when it is read. */
static enum gate_status collect_limits(struct editor *ed)
{
    const char *const *keys = ed->dialect->limit_keys;
    if (ed->max_tokens == 0)
        return GATE_OK;
    if (keys == NULL || keys[0] == NULL)
        return gate_fail(ed->err, GATE_EINVAL,
                         "the target has a max_tokens, which this API's dialect cannot apply");
    for (size_t i = 0; i < ed->wanted_count; i++) {
        struct wanted *w = &ed->wanted[i];
        if (w->action != ACTION_SET || !is_limit_key(ed, w->name))
            continue;
        if (!number_fits(w->json, ed->clamp))
            w->json = ed->clamp;
        ed->limited = true;
    }
    for (size_t i = 0; i < GATE_MAX_LIMIT_KEYS && keys[i] != NULL; i++) {
        if (wanted_of(ed, gate_str_of(keys[i])) == NULL)
            want(ed, gate_str_of(keys[i]))->action = ACTION_CLAMP;
    }
    return GATE_OK;
}

/* ---- members of the body */

static void replace(const struct editor *ed, const char *from, const char *to, struct gate_str text)
{
    ed->out->replace(ed->out->ctx, (size_t)(from - ed->body.ptr), (size_t)(to - from), text);
}

static void replace_value(const struct editor *ed, struct gate_str value, struct gate_str text)
{
    replace(ed, value.ptr, value.ptr + value.len, text);
}

/* A member goes with the comma in front of it, or, where nothing in front of it stays, with the one
 * behind it: so no comma belongs to two members. */
static void remove_member(const struct editor *ed, const struct member *m)
{
    const char *end = m->value.ptr + m->value.len;
    if (ed->kept)
        replace(ed, m->before, end, GATE_STR(""));
    else
        replace(ed, m->start, m->after != NULL ? m->after + 1 : end, GATE_STR(""));
}

static void clamp_member(struct editor *ed, const struct member *m)
{
    if (gate_str_eq(m->value, GATE_STR("null"))) {
        if (ed->null.len == 0)
            ed->null = m->value;
        return;
    }
    ed->limited = true;
    if (!number_fits(m->value, ed->clamp))
        replace_value(ed, m->value, ed->clamp);
}

/* The name that a key says. "max\u005ftokens" is max_tokens to every reader behind us, so it must
 * be to us. */
static struct wanted *wanted_of_key(struct editor *ed, struct gate_str quoted)
{
    struct gate_str plain = {quoted.ptr + 1, quoted.len - 2};
    if (plain.len == 0 || memchr(plain.ptr, '\\', plain.len) == NULL)
        return wanted_of(ed, plain);
    struct gate_buf decoded;
    gate_buf_init(&decoded, 3 * quoted.len); /* a byte that is not UTF-8 becomes three */
    struct gate_writer out = gate_buf_writer(&decoded);
    struct wanted *w =
        gate_json_decode(quoted, &out) ? wanted_of(ed, gate_buf_str(&decoded)) : NULL;
    gate_buf_finish(&decoded);
    return w;
}

static enum gate_status edit_member(struct editor *ed, const struct member *m)
{
    struct wanted *w = wanted_of_key(ed, m->key);
    if (w != NULL && w->seen && ++ed->repeats > MAX_REPEATS)
        return gate_fail(ed->err, GATE_EINVAL, "the request repeats the field \"%.*s\" too often",
                         (int)w->name.len, w->name.ptr);
    bool remove = w != NULL && (w->action == ACTION_REMOVE || (w->action == ACTION_SET && w->seen));
    if (remove) {
        remove_member(ed, m);
        w->seen = true;
        return GATE_OK;
    }
    if (w != NULL && w->action == ACTION_SET)
        replace_value(ed, m->value, w->json);
    else if (w != NULL)
        clamp_member(ed, m);
    if (w != NULL)
        w->seen = true;
    ed->kept = true;
    return GATE_OK;
}

/* The end of the value at p. Messages and tools, which are nearly all of a large body, are jumped
 * over. */
static const char *value_end(const struct editor *ed, struct gate_json_walk *w, const char *p)
{
    const struct gate_range *known[] = {&ed->facts->messages, &ed->facts->tools};
    for (size_t i = 0; i < 2; i++) {
        if (known[i]->len > 0 && p == ed->body.ptr + known[i]->off)
            return p + known[i]->len;
    }
    return p < w->end ? gate_json_skip_value(gate_json_skip_best(), w, p, 1) : NULL;
}

/* Reads the member at *p and moves to the comma or brace behind it. False: there is none. */
static bool read_member(const struct editor *ed, struct gate_json_walk *w, const char **p,
                        struct member *m)
{
    m->start = *p;
    if (*p == w->end || **p != '"')
        return false;
    const char *end = gate_json_skip_best()->string(w, m->start);
    if (end == NULL)
        return false;
    m->key = (struct gate_str){m->start, (size_t)(end - m->start)};
    end = gate_json_skip_space(end, w->end);
    if (end == w->end || *end != ':')
        return false;
    const char *value = gate_json_skip_space(end + 1, w->end);
    end = value_end(ed, w, value);
    if (end == NULL)
        return false;
    m->value = (struct gate_str){value, (size_t)(end - value)};
    *p = gate_json_skip_space(end, w->end);
    m->after = *p < w->end && **p == ',' ? *p : NULL;
    return *p < w->end && (**p == ',' || **p == '}');
}

static enum gate_status edit_members(struct editor *ed)
{
    struct gate_json_walk w;
    struct member m = {.before = NULL};
    w.begin = ed->body.ptr;
    w.end = ed->body.ptr + ed->body.len;
    w.find_images = w.has_images = false;
    w.deepest = 0;
    const char *p = gate_json_skip_space(ed->body.ptr + ed->facts->root, w.end);
    if (p < w.end && *p == '}')
        return GATE_OK;
    do {
        if (!read_member(ed, &w, &p, &m))
            return gate_fail(ed->err, GATE_EINVAL, "the request is not the JSON that was scanned");
        enum gate_status status = edit_member(ed, &m);
        if (status != GATE_OK)
            return status;
        m.before = m.after;
        p = m.after != NULL ? gate_json_skip_space(p + 1, w.end) : p;
    } while (m.after != NULL);
    return GATE_OK;
}

/* What is set and was not in the body goes in front of all members, in the order of the edits. */
static enum gate_status insert_absent(struct editor *ed)
{
    const char *root = ed->body.ptr + ed->facts->root;
    struct gate_buf text;
    bool fits = true;
    gate_buf_init(&text, 8 * GATE_SCRIPT_EDIT_TEXT); /* a byte takes up to six in a JSON string */
    if (ed->max_tokens != 0 && !ed->limited) {
        if (ed->null.len > 0)
            replace_value(ed, ed->null, ed->clamp);
        else
            fits = gate_buf_printf(&text, ",\"%s\":%.*s", ed->dialect->limit_keys[0],
                                   (int)ed->clamp.len, ed->clamp.ptr);
    }
    for (size_t i = 0; i < ed->wanted_count && fits; i++) {
        const struct wanted *w = &ed->wanted[i];
        if (w->action != ACTION_SET || w->seen)
            continue;
        size_t comma = text.len;
        gate_buf_append_byte(&text, ',');
        gate_json_put(&text, w->name); /* quotes at least, or nothing */
        fits = text.len > comma + 2 && gate_buf_append_byte(&text, ':') &&
               gate_buf_append(&text, w->json);
    }
    fits = fits && (!ed->kept || gate_buf_append_byte(&text, ','));
    if (fits && text.len > 1)
        replace(ed, root, root, (struct gate_str){text.ptr + 1, text.len - 1});
    gate_buf_finish(&text);
    return fits ? GATE_OK : gate_fail(ed->err, GATE_ELIMIT, "the target sets too much");
}

static enum gate_status edit_body(struct editor *ed, const struct gate_edits *e)
{
    ed->clamp.len =
        (size_t)snprintf(ed->clamp_text, sizeof ed->clamp_text, "%" PRIu64, ed->max_tokens);
    ed->clamp.ptr = ed->clamp_text;
    enum gate_status status = collect_fields(ed, e);
    if (status == GATE_OK)
        status = collect_limits(ed);
    if (status == GATE_OK && ed->wanted_count > 0) {
        status = edit_members(ed);
        if (status == GATE_OK)
            status = insert_absent(ed);
    }
    if (status != GATE_OK || e->system.len == 0)
        return status;
    if (ed->dialect->append_system == NULL)
        return gate_fail(ed->err, GATE_EINVAL,
                         "the target appends system text, which this API's dialect cannot do");
    return ed->dialect->append_system(ed->body, ed->facts, e->system, ed->out, ed->err);
}

enum gate_status gate_edits_apply(const struct gate_edits *e,
                                  const struct gate_dialect_ops *dialect, struct gate_str body,
                                  const struct gate_request_facts *facts,
                                  struct gate_builder *builder, struct gate_error *err)
{
    struct editor ed = {
        .dialect = dialect,
        .body = body,
        .facts = facts,
        .out = &builder->ops,
        .err = err,
        .max_tokens = e->max_tokens,
    };
    assert(e->header_count <= GATE_SCRIPT_MAX_EDITS && e->field_count <= GATE_SCRIPT_MAX_EDITS);
    if (builder->status != GATE_OK)
        return GATE_OK;
    enum gate_status status = apply_headers(e, builder, err);
    if (status == GATE_OK)
        status = edit_body(&ed, e);
    if (status == GATE_OK && builder->status != GATE_OK)
        status = gate_fail(err, GATE_EINVAL, "the target's edits make a request with %s",
                           builder->problem);
    return status;
}

/* ---- for those who take a body */

static enum gate_status scan_again(struct gate_str body, const struct gate_dialect_ops *dialect,
                                   struct gate_request_facts *facts, struct gate_error *err)
{
    struct gate_json_error why = {0};
    enum gate_status status = gate_json_scan(body, gate_str_of(dialect->messages_key), facts, &why);
    if (status != GATE_OK)
        return gate_fail(err, GATE_EINVAL, "the target's edits make a request of which %s",
                         why.reason);
    return GATE_OK;
}

enum gate_status gate_edits_rewrite(const struct gate_edits *e,
                                    const struct gate_dialect_ops *dialect, struct gate_str body,
                                    const struct gate_request_facts *facts, struct gate_buf *out,
                                    struct gate_request_facts *out_facts, struct gate_error *err)
{
    struct gate_builder builder;
    struct gate_built built;
    gate_builder_init(&builder, body, &built);
    enum gate_status status = gate_edits_apply(e, dialect, body, facts, &builder, err);
    if (status == GATE_OK)
        status = gate_builder_end_body(&builder, "", err);
    for (size_t i = 0; status == GATE_OK && i < built.part_count; i++) {
        struct iovec part = built.parts[i];
        if (!gate_buf_append(out, (struct gate_str){part.iov_base, part.iov_len}))
            status = gate_fail(err, GATE_ELIMIT, "the target's edits make a body that is too long");
    }
    gate_built_finish(&built);
    return status == GATE_OK ? scan_again(gate_buf_str(out), dialect, out_facts, err) : status;
}
