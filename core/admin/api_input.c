#include "admin/admin_internal.h"
#include <time.h>

enum { MAX_SECRET = 64 * 1024, MAX_TIME = 40 };

/* ---- queries */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool admin_decode(struct gate_str in, bool plus, struct gate_buf *out)
{
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        if (c == '%') {
            int high = i + 2 < in.len ? hex_digit(in.ptr[i + 1]) : -1;
            int low = i + 2 < in.len ? hex_digit(in.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0' || !gate_buf_append_byte(out, c))
            return false;
    }
    return true;
}

static bool is_among(struct gate_str name, const char *names)
{
    while (*names != '\0') {
        size_t len = strcspn(names, "|");
        if (gate_str_eq(name, (struct gate_str){names, len}))
            return true;
        names += len + (names[len] == '|');
    }
    return false;
}

/* Decodes one half of a parameter to the end of p->text, whose room was reserved. */
static bool take_half(struct admin_params *p, struct gate_str raw, struct gate_str *out)
{
    size_t at = p->text.len;
    if (!admin_decode(raw, true, &p->text))
        return false;
    *out = (struct gate_str){p->text.ptr + at, p->text.len - at};
    return true;
}

static bool take_param(struct admin_call *c, const char *allowed, struct admin_params *p,
                       struct gate_str raw)
{
    const char *equal = memchr(raw.ptr, '=', raw.len);
    size_t name_len = equal != NULL ? (size_t)(equal - raw.ptr) : raw.len;
    struct gate_str value = {equal != NULL ? equal + 1 : raw.ptr + raw.len,
                             equal != NULL ? raw.len - name_len - 1 : 0};
    struct admin_param *fresh = &p->list[p->count];
    if (!take_half(p, (struct gate_str){raw.ptr, name_len}, &fresh->name) ||
        !take_half(p, value, &fresh->value)) {
        admin_refuse(c, 400, "invalid_query", NULL, "The %%-encoding of the query is broken.");
        return false;
    }
    int shown = fresh->name.len < 64 ? (int)fresh->name.len : 64;
    if (!is_among(fresh->name, allowed)) {
        admin_refuse(c, 400, "unknown_parameter", NULL,
                     "The query parameter \"%.*s\" is not known here. Allowed: %s.", shown,
                     fresh->name.ptr, allowed[0] != '\0' ? allowed : "none");
        return false;
    }
    for (size_t i = 0; i < p->count; i++)
        if (gate_str_eq(p->list[i].name, fresh->name)) {
            admin_refuse(c, 400, "invalid_query", NULL, "\"%.*s\" is given twice.", shown,
                         fresh->name.ptr);
            return false;
        }
    p->count++;
    return true;
}

bool admin_params_read(struct admin_call *c, const char *allowed, struct admin_params *p)
{
    struct gate_str rest = c->query;
    p->count = 0;
    gate_buf_init(&p->text, ADMIN_MAX_QUERY);
    if (rest.len > ADMIN_MAX_QUERY || gate_buf_reserve(&p->text, rest.len) == NULL) {
        admin_refuse(c, 400, "invalid_query", NULL, "The query is longer than %d bytes.",
                     ADMIN_MAX_QUERY);
        return false;
    }
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, '&', rest.len);
        size_t len = end != NULL ? (size_t)(end - rest.ptr) : rest.len;
        bool fine = p->count < ADMIN_MAX_PARAMS;
        if (!fine)
            admin_refuse(c, 400, "invalid_query", NULL, "The query has too many parameters.");
        else if (len > 0)
            fine = take_param(c, allowed, p, (struct gate_str){rest.ptr, len});
        if (!fine) {
            admin_params_finish(p);
            return false;
        }
        len += end != NULL;
        rest = (struct gate_str){rest.ptr + len, rest.len - len};
    }
    return true;
}

void admin_params_finish(struct admin_params *p)
{
    gate_buf_finish(&p->text);
}

struct gate_str admin_param(const struct admin_params *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (gate_str_eq(p->list[i].name, gate_str_of(name)))
            return p->list[i].value;
    return (struct gate_str){NULL, 0};
}

/* Digits only; at most 15 of them, so that it fits a double exactly too. */
static bool read_whole(struct gate_str text, uint64_t *out)
{
    uint64_t n = 0;
    if (text.len == 0 || text.len > 15)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *out = n;
    return true;
}

bool admin_param_number(struct admin_call *c, const struct admin_params *p, const char *name,
                        uint64_t low, uint64_t high, uint64_t fallback, uint64_t *out)
{
    struct gate_str text = admin_param(p, name);
    *out = fallback;
    if (text.len == 0 || (read_whole(text, out) && *out >= low && *out <= high))
        return true;
    admin_refuse(c, 400, "invalid_value", name, "%s: expected a whole number from %llu to %llu.",
                 name, (unsigned long long)low, (unsigned long long)high);
    return false;
}

/* The zone behind a time: "", "Z", "+hh:mm" or "-hh:mm". */
static bool read_zone(const char *text, int64_t *offset_s)
{
    int hours, minutes, used = 0;
    *offset_s = 0;
    if (text[0] == '\0' || strcmp(text, "Z") == 0)
        return true;
    if ((text[0] != '+' && text[0] != '-') || strlen(text) != 6 ||
        sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || used != 5 || hours > 23 ||
        minutes > 59)
        return false;
    *offset_s = (hours * 3600 + minutes * 60) * (text[0] == '-' ? -1 : 1);
    return true;
}

/* "2026-01-02", "2026-01-02T03:04", with seconds and a fraction if wanted; UTC without a zone. */
static bool read_iso(struct gate_str value, uint64_t *out)
{
    char text[MAX_TIME];
    struct tm tm = {0};
    int64_t offset;
    if (value.len == 0 || value.len >= sizeof text)
        return false;
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    const char *rest = strptime(text, "%Y-%m-%d", &tm);
    if (rest == NULL || rest - text != 10)
        return false;
    if (*rest == 'T' || *rest == ' ') {
        const char *minutes = strptime(rest + 1, "%H:%M", &tm);
        rest = minutes;
        if (rest != NULL && *rest == ':')
            rest = strptime(rest, ":%S", &tm);
        if (rest == NULL)
            return false;
        if (*rest == '.')
            rest += 1 + strspn(rest + 1, "0123456789");
    }
    if (!read_zone(*rest == ' ' ? "?" : rest, &offset))
        return false;
    int64_t seconds = (int64_t)timegm(&tm) - offset;
    *out = (uint64_t)seconds * 1000;
    return seconds >= 0;
}

bool admin_param_time(struct admin_call *c, const struct admin_params *p, const char *name,
                      uint64_t fallback, uint64_t *out)
{
    struct gate_str text = admin_param(p, name);
    *out = fallback;
    if (text.len == 0 || read_whole(text, out) || read_iso(text, out))
        return true;
    admin_refuse(c, 400, "invalid_value", name,
                 "%s: expected a time: milliseconds since 1970, or 2026-01-02T03:04:05Z.", name);
    return false;
}

bool admin_param_account(struct admin_call *c, const struct admin_params *p, struct gate_str *out)
{
    *out = admin_param(p, "account");
    const struct gate_member *m =
        out->len > 0 ? gate_roster_find(c->admin->parts.roster, *out) : NULL;
    if (m != NULL)
        *out = gate_str_of(m->account->id);
    if (out->len <= GATE_AUDIT_MAX_ACCOUNT)
        return true;
    admin_refuse(c, 400, "invalid_value", "account", "account: expected at most %d bytes.",
                 GATE_AUDIT_MAX_ACCOUNT);
    return false;
}

bool admin_is_outcome(struct gate_str outcome, struct gate_str wanted)
{
    if (wanted.len == 0 || gate_str_eq(outcome, wanted))
        return true;
    return gate_str_starts(outcome, wanted) && outcome.ptr[wanted.len] == ':' &&
           memchr(wanted.ptr, ':', wanted.len) == NULL;
}

bool admin_no_params(struct admin_call *c)
{
    struct admin_params p;
    if (!admin_params_read(c, "", &p))
        return false;
    admin_params_finish(&p);
    return true;
}

/* ---- bodies */

cJSON *admin_body(struct admin_call *c, const char *allowed, bool may_be_empty)
{
    char reason[GATE_JSON_TREE_REASON];
    if (c->body.len == 0 && may_be_empty)
        return cJSON_CreateObject();
    if (c->body.len == 0) {
        admin_refuse(c, 400, "invalid_body", NULL,
                     "The body is empty. Expected a JSON object with: %s.", allowed);
        return NULL;
    }
    cJSON *body = gate_json_tree_parse(c->body, reason);
    if (body == NULL) {
        admin_refuse(c, 400, "invalid_body", NULL, "The body is not valid: %s.", reason);
        return NULL;
    }
    const char *unknown = gate_json_tree_unknown(body, allowed);
    if (unknown == NULL)
        return body;
    admin_refuse(c, 400, "unknown_key", NULL, "\"%.64s\" is not known here. Allowed: %s.", unknown,
                 allowed[0] != '\0' ? allowed : "an empty object only");
    gate_json_tree_free(body);
    return NULL;
}

bool admin_body_str(struct admin_call *c, const cJSON *body, const char *name, size_t max,
                    struct gate_str *out)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(body, name);
    *out = (struct gate_str){NULL, 0};
    if (value == NULL)
        return true;
    if (cJSON_IsString(value) && value->valuestring[0] != '\0' &&
        strlen(value->valuestring) <= max) {
        *out = gate_str_of(value->valuestring);
        return true;
    }
    admin_refuse(c, 400, "invalid_value", name, "%s: expected a string of 1 to %zu bytes.", name,
                 max);
    return false;
}

bool admin_body_list(struct admin_call *c, const cJSON *body, const char *name, size_t max,
                     struct gate_str *out, size_t *count)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, name), *item;
    bool fine = cJSON_IsArray(list) && (size_t)cJSON_GetArraySize(list) <= max;
    *count = 0;
    if (list == NULL)
        return true;
    cJSON_ArrayForEach(item, list)
    {
        fine = fine && cJSON_IsString(item);
        if (fine)
            out[(*count)++] = gate_str_of(item->valuestring);
    }
    if (!fine)
        admin_refuse(c, 400, "invalid_value", name, "%s: expected a list of at most %zu strings.",
                     name, max);
    return fine;
}

static bool read_kind(struct admin_call *c, const cJSON *limits, struct gate_limits_patch *out)
{
    const cJSON *value;
    if (!cJSON_IsObject(limits)) {
        admin_refuse(c, 400, "invalid_value", "limits", "limits.%s: expected an object.",
                     limits->string);
        return false;
    }
    const char *unknown = gate_json_tree_unknown(limits, "rpm|rpd|tpm|tpd|concurrency");
    if (unknown != NULL) {
        admin_refuse(c, 400, "unknown_key", "limits",
                     "limits.%s.%.64s is not known. Allowed: rpm|rpd|tpm|tpd|concurrency.",
                     limits->string, unknown);
        return false;
    }
    cJSON_ArrayForEach(value, limits)
    {
        uint64_t n;
        unsigned field = 0;
        while (strcmp(gate_limits_names[field], value->string) != 0)
            field++;
        if (cJSON_IsNull(value))
            continue;
        if (!gate_json_tree_whole(value, 0, GATE_LIMITS_MAX, &n)) {
            admin_refuse(c, 400, "invalid_value", "limits",
                         "limits.%s.%s: expected a whole number from 0 (no limit) to %d, or null.",
                         limits->string, value->string, GATE_LIMITS_MAX);
            return false;
        }
        gate_limits_put(out, field, n);
    }
    return true;
}

bool admin_body_limits(struct admin_call *c, const cJSON *value, struct gate_limits_rule *out)
{
    memset(out, 0, sizeof *out);
    if (cJSON_IsNull(value))
        return true;
    const char *unknown = cJSON_IsObject(value) ? gate_json_tree_unknown(value, "chat|search") : "";
    if (unknown != NULL) {
        admin_refuse(c, 400, "invalid_value", "limits",
                     "limits: expected null or an object with chat and search, such as "
                     "{\"chat\":{\"rpm\":60,\"rpd\":2000}}.");
        return false;
    }
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++) {
        const cJSON *limits = cJSON_GetObjectItemCaseSensitive(value, gate_usage_kind_names[kind]);
        if (limits != NULL && !cJSON_IsNull(limits) && !read_kind(c, limits, &out->kinds[kind]))
            return false;
    }
    return true;
}

/* The text of a login, given as an object or as a string that holds one. */
static bool read_oauth(const cJSON *oauth, struct gate_buf *secret)
{
    char reason[GATE_JSON_TREE_REASON];
    if (cJSON_IsObject(oauth)) {
        char *text = cJSON_PrintUnformatted(oauth);
        if (text == NULL)
            abort();
        bool fits = gate_buf_append(secret, gate_str_of(text));
        gate_wipe(text, strlen(text));
        cJSON_free(text);
        return fits;
    }
    if (!cJSON_IsString(oauth))
        return false;
    cJSON *tree = gate_json_tree_parse(gate_str_of(oauth->valuestring), reason);
    bool fine = tree != NULL && gate_buf_append(secret, gate_str_of(oauth->valuestring));
    gate_json_tree_free(tree);
    return fine;
}

bool admin_body_secret(struct admin_call *c, const cJSON *body, enum gate_credential_kind *kind,
                       struct gate_buf *secret)
{
    const cJSON *key = cJSON_GetObjectItemCaseSensitive(body, "api_key");
    const cJSON *oauth = cJSON_GetObjectItemCaseSensitive(body, "oauth");
    gate_buf_init(secret, MAX_SECRET);
    *kind = GATE_CREDENTIAL_NONE;
    if (key != NULL && oauth != NULL) {
        admin_refuse(c, 400, "invalid_body", "oauth", "Give api_key or oauth, not both.");
        return false;
    }
    if (oauth != NULL) {
        *kind = GATE_CREDENTIAL_OAUTH;
        if (read_oauth(oauth, secret))
            return true;
        admin_refuse(c, 400, "invalid_value", "oauth",
                     "oauth: expected the object of an oauth_creds.json, or a string with its "
                     "text, of at most %d bytes.",
                     MAX_SECRET);
        gate_buf_wipe(secret);
        return false;
    }
    struct gate_str text;
    if (!admin_body_str(c, body, "api_key", MAX_SECRET, &text))
        return false;
    if (text.len > 0) {
        *kind = GATE_CREDENTIAL_API_KEY;
        gate_buf_append(secret, text);
    }
    return true;
}

struct gate_member *admin_member(struct admin_call *c)
{
    struct gate_member *m = gate_roster_find(c->admin->parts.roster, c->name);
    if (m == NULL)
        admin_refuse(c, 404, "not_found", NULL, "There is no account \"%.*s\".",
                     (int)(c->name.len < 160 ? c->name.len : 160), c->name.ptr);
    return m;
}
