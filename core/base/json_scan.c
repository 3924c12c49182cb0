#include "base/json_skip.h"

/* The root object is read member by member; strings, objects and arrays in it are jumped over by a
 * gate_json_skip, and only the elements of messages and tools are stepped through one by one. */

enum {
    ROOT_DEPTH = 1,
    MAX_KEY = 64, /* longest decoded key that can be one of ours */
};

enum field {
    FIELD_MODEL,
    FIELD_STREAM,
    FIELD_MESSAGES,
    FIELD_TOOLS,
    FIELD_STREAM_OPTIONS,
    FIELD_MAX_TOKENS,
    FIELD_MAX_COMPLETION_TOKENS,
    FIELD_OTHER,
};

static const struct {
    const char *name;
    size_t len;
} field_names[] = {
    [FIELD_MODEL] = {"model", 5},
    [FIELD_STREAM] = {"stream", 6},
    [FIELD_MESSAGES] = {NULL, 0}, /* the dialect says */
    [FIELD_TOOLS] = {"tools", 5},
    [FIELD_STREAM_OPTIONS] = {"stream_options", 14},
    [FIELD_MAX_TOKENS] = {"max_tokens", 10},
    [FIELD_MAX_COMPLETION_TOKENS] = {"max_completion_tokens", 21},
};

/* Members of which a second one is refused. */
static bool field_is_single(enum field f)
{
    return f <= FIELD_STREAM_OPTIONS;
}

struct scan {
    const struct gate_json_skip *skip;
    struct gate_json_walk walk;
    const char *p;
    struct gate_str messages_key;
    struct gate_request_facts *facts;
    struct gate_json_error *why;
    bool seen[FIELD_OTHER];
    /* JSON, but not a request that can be forwarded: the first such finding, told only when the
     * rest of the body turns out to be JSON. */
    bool refused;
};

/* What stands between a bracket and its mate. */
struct elements {
    struct gate_range first, last;
    uint32_t count;
};

static bool fail_at(struct scan *s, const char *where, const char *reason)
{
    *s->why = (struct gate_json_error){
        .offset = (size_t)(where - s->walk.begin), .reason = reason, .code = "invalid_json"};
    return false;
}

static void refuse(struct scan *s, const char *where, const char *code, const char *param,
                   const char *reason)
{
    if (s->refused)
        return;
    s->refused = true;
    *s->why = (struct gate_json_error){
        .offset = (size_t)(where - s->walk.begin), .reason = reason, .param = param, .code = code};
}

static struct gate_range range_of(const struct scan *s, const char *from, const char *to)
{
    return (struct gate_range){(size_t)(from - s->walk.begin), (size_t)(to - from)};
}

/* Moves to the next byte that is not white space. False: the text ends there. */
static bool next_byte(struct scan *s, const char *reason_at_end)
{
    s->p = gate_json_skip_space(s->p, s->walk.end);
    return s->p < s->walk.end || fail_at(s, s->p, reason_at_end);
}

/* Moves behind what a walk found. */
static bool move_to(struct scan *s, const char *end)
{
    if (end == NULL)
        return fail_at(s, s->walk.where, s->walk.reason);
    s->p = end;
    return true;
}

static bool digits(struct scan *s)
{
    const char *start = s->p;
    while (s->p < s->walk.end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > start;
}

static bool skip_one_of(struct scan *s, char a, char b)
{
    if (s->p == s->walk.end || (*s->p != a && *s->p != b))
        return false;
    s->p++;
    return true;
}

static bool scan_number(struct scan *s)
{
    const char *start = s->p;
    skip_one_of(s, '-', '-');
    bool leading_zero = s->p < s->walk.end && *s->p == '0';
    const char *first = s->p;
    bool good = digits(s) && (!leading_zero || s->p == first + 1);
    if (good && skip_one_of(s, '.', '.'))
        good = digits(s);
    if (good && skip_one_of(s, 'e', 'E')) {
        skip_one_of(s, '+', '-');
        good = digits(s);
    }
    return good || fail_at(s, start, "malformed number");
}

static bool scan_literal(struct scan *s)
{
    static const struct gate_str literals[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    struct gate_str rest = {s->p, (size_t)(s->walk.end - s->p)};
    for (size_t i = 0; i < 3; i++) {
        if (gate_str_starts(rest, literals[i])) {
            s->p += literals[i].len;
            return true;
        }
    }
    return fail_at(s, s->p, "expected a value");
}

/* The elements of the array at s->p, and moves behind it. */
static bool scan_elements(struct scan *s, struct elements *out)
{
    static const char ends[] = "object or array does not end";
    const uint32_t depth = ROOT_DEPTH + 1;
    *out = (struct elements){0};
    if (s->walk.deepest < depth)
        s->walk.deepest = depth;
    s->p++;
    if (!next_byte(s, ends))
        return false;
    for (bool more = *s->p != ']'; more;) {
        const char *start = s->p;
        if (!move_to(s, gate_json_skip_value(s->skip, &s->walk, start, depth)))
            return false;
        out->last = range_of(s, start, s->p);
        if (out->count++ == 0)
            out->first = out->last;
        if (!next_byte(s, ends))
            return false;
        more = *s->p == ',';
        if (!more && *s->p != ']')
            return fail_at(s, s->p, "expected ',' or ']' after an element");
        if (more) {
            s->p++;
            if (!next_byte(s, ends))
                return false;
        }
    }
    s->p++;
    return true;
}

static bool scan_any(struct scan *s)
{
    switch (*s->p) {
    case '{':
    case '[':
        return move_to(s, s->skip->container(&s->walk, s->p, ROOT_DEPTH + 1));
    case '"':
        return move_to(s, s->skip->string(&s->walk, s->p));
    case '-':
    case '0' ... '9':
        return scan_number(s);
    default:
        return scan_literal(s);
    }
}

static bool scan_model(struct scan *s)
{
    const char *start = s->p;
    if (!scan_any(s))
        return false;
    s->facts->model = range_of(s, start, s->p);
    if (*start != '"')
        refuse(s, start, "invalid_type", "model", "'model' must be a string");
    else if (s->facts->model.len == 2)
        refuse(s, start, "missing_parameter", "model", "'model' must not be empty");
    return true;
}

static bool scan_stream(struct scan *s)
{
    const char *start = s->p;
    if (!scan_any(s))
        return false;
    s->facts->stream = *start == 't';
    if (*start != 't' && *start != 'f' && *start != 'n')
        refuse(s, start, "invalid_type", "stream", "'stream' must be a boolean");
    return true;
}

/* The error's param outlives the call, which messages_key need not. */
static const char *messages_name(const struct scan *s)
{
    return gate_str_eq(s->messages_key, GATE_STR("input")) ? "input" : "messages";
}

static bool scan_messages(struct scan *s)
{
    const char *start = s->p;
    struct elements found;
    if (*start != '[') {
        refuse(s, start, "invalid_type", messages_name(s), "the messages must be an array");
        return scan_any(s);
    }
    s->walk.find_images = true;
    if (!scan_elements(s, &found))
        return false;
    s->walk.find_images = false;
    s->facts->messages = range_of(s, start, s->p);
    s->facts->first_message = found.first;
    s->facts->last_message = found.last;
    s->facts->message_count = found.count;
    return true;
}

static bool scan_tools(struct scan *s)
{
    const char *start = s->p;
    struct elements found;
    if (*start != '[') {
        if (*start != 'n')
            refuse(s, start, "invalid_type", "tools", "'tools' must be an array");
        return scan_any(s);
    }
    if (!scan_elements(s, &found))
        return false;
    s->facts->tools = range_of(s, start, s->p);
    s->facts->tool_count = found.count;
    return true;
}

static bool scan_stream_options(struct scan *s)
{
    const char *start = s->p;
    if (!scan_any(s))
        return false;
    if (*start == '{')
        s->facts->stream_options = range_of(s, start, s->p);
    else if (*start != 'n')
        refuse(s, start, "invalid_type", "stream_options", "'stream_options' must be an object");
    return true;
}

static bool scan_max_tokens(struct scan *s)
{
    const char *start = s->p;
    if (!scan_any(s))
        return false;
    uint64_t n = 0;
    for (const char *p = start; p < s->p; p++) {
        unsigned digit = (unsigned)(uint8_t)*p - '0';
        if (digit > 9)
            return true;
        n = n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : n * 10 + digit;
    }
    if (n > s->facts->max_tokens)
        s->facts->max_tokens = n;
    return true;
}

static bool (*const field_scans[])(struct scan *s) = {
    [FIELD_MODEL] = scan_model,
    [FIELD_STREAM] = scan_stream,
    [FIELD_MESSAGES] = scan_messages,
    [FIELD_TOOLS] = scan_tools,
    [FIELD_STREAM_OPTIONS] = scan_stream_options,
    [FIELD_MAX_TOKENS] = scan_max_tokens,
    [FIELD_MAX_COMPLETION_TOKENS] = scan_max_tokens,
    [FIELD_OTHER] = scan_any,
};

/* quoted: the key with its quotes. */
static enum field field_of(const struct scan *s, struct gate_str quoted)
{
    char decoded[MAX_KEY];
    struct gate_str key = {quoted.ptr + 1, quoted.len - 2};
    /* "mod\u0065l" is model to every reader behind us, so it must be to us. */
    if (key.len > 0 && memchr(key.ptr, '\\', key.len) != NULL) {
        key.ptr = decoded;
        if (!gate_json_decode_to(quoted, decoded, sizeof decoded, &key.len))
            return FIELD_OTHER;
    }
    for (int f = 0; f < FIELD_OTHER; f++) {
        if (f != FIELD_MESSAGES &&
            gate_str_eq(key, (struct gate_str){field_names[f].name, field_names[f].len}))
            return (enum field)f;
    }
    return gate_str_eq(key, s->messages_key) ? FIELD_MESSAGES : FIELD_OTHER;
}

static bool scan_member(struct scan *s)
{
    static const char ends[] = "object does not end";
    const char *start = s->p;
    if (*start != '"')
        return fail_at(s, start, "expected a key");
    if (!move_to(s, s->skip->string(&s->walk, start)))
        return false;
    enum field f = field_of(s, (struct gate_str){start, (size_t)(s->p - start)});
    if (f != FIELD_OTHER) {
        if (s->seen[f] && field_is_single(f))
            refuse(s, start, "duplicate_parameter",
                   f == FIELD_MESSAGES ? messages_name(s) : field_names[f].name,
                   "a parameter appears twice");
        s->seen[f] = true;
    }
    if (!next_byte(s, ends))
        return false;
    if (*s->p != ':')
        return fail_at(s, s->p, "expected ':' after a key");
    s->p++;
    return next_byte(s, ends) && field_scans[f](s);
}

/* The root object, its opening brace at s->p. */
static bool scan_root(struct scan *s)
{
    static const char ends[] = "object does not end";
    s->p++;
    s->facts->root = (size_t)(s->p - s->walk.begin);
    if (!next_byte(s, ends))
        return false;
    for (bool more = *s->p != '}'; more;) {
        if (!scan_member(s) || !next_byte(s, ends))
            return false;
        more = *s->p == ',';
        if (!more && *s->p != '}')
            return fail_at(s, s->p, "expected ',' or '}' after a value");
        if (more) {
            s->p++;
            if (!next_byte(s, ends))
                return false;
        }
    }
    s->p = gate_json_skip_space(s->p + 1, s->walk.end);
    if (s->p < s->walk.end)
        return fail_at(s, s->p, "unexpected bytes after the JSON object");
    s->facts->depth = s->walk.deepest;
    s->facts->has_images = s->walk.has_images;
    return true;
}

enum gate_status gate_json_scan_by(const struct gate_json_skip *skip, struct gate_str body,
                                   struct gate_str messages_key, struct gate_request_facts *facts,
                                   struct gate_json_error *why)
{
    struct scan s;
    s.skip = skip;
    /* Member by member: walk.open is large and needs no value. */
    s.walk.begin = body.len > 0 ? body.ptr : "";
    s.walk.end = s.walk.begin + body.len;
    s.walk.find_images = s.walk.has_images = false;
    s.walk.deepest = ROOT_DEPTH;
    s.p = s.walk.begin;
    s.messages_key = messages_key;
    s.facts = facts;
    s.why = why;
    memset(s.seen, 0, sizeof s.seen);
    s.refused = false;
    *facts = (struct gate_request_facts){0};

    if (!next_byte(&s, "the body is empty"))
        return GATE_EPARSE;
    if (*s.p == '[' || *s.p == '"' || *s.p == 't' || *s.p == 'f' || *s.p == 'n' || *s.p == '-' ||
        (*s.p >= '0' && *s.p <= '9')) {
        refuse(&s, s.p, "invalid_type", NULL, "the body must be a JSON object");
        return GATE_EINVAL;
    }
    if (*s.p != '{') {
        fail_at(&s, s.p, "the body is not JSON");
        return GATE_EPARSE;
    }
    if (!scan_root(&s))
        return GATE_EPARSE;
    if (!s.seen[FIELD_MODEL])
        refuse(&s, s.walk.begin + facts->root - 1, "missing_parameter", "model",
               "'model' is missing");
    return s.refused ? GATE_EINVAL : GATE_OK;
}

enum gate_status gate_json_scan(struct gate_str body, struct gate_str messages_key,
                                struct gate_request_facts *facts, struct gate_json_error *why)
{
    return gate_json_scan_by(gate_json_skip_best(), body, messages_key, facts, why);
}
