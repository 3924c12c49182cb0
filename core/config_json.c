/* config_json: variables whose value is JSON. cJSON is more lenient than JSON; what it lets pass is
 * checked around it. */
#include "base/utf8.h"
#include "config_parts.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

/* What cJSON does not refuse: bytes that are not UTF-8, raw control bytes inside strings, and an
 * escaped NUL, at which a C string would end early. Returns the reason and *at, or NULL. */
static const char *find_loose(const char *text, size_t *at)
{
    size_t len = strlen(text);
    bool in_string = false;

    for (size_t i = 0; i < len;) {
        const char *s = text + i;
        size_t n = gate_utf8_length(s, len - i);

        *at = i;
        if (n == 0)
            return "a byte that is not UTF-8";
        if (in_string && (unsigned char)s[0] < 0x20)
            return "a control byte inside a string";
        if (s[0] == '"')
            in_string = !in_string;
        if (in_string && s[0] == '\\') {
            if (strncmp(s, "\\u0000", 6) == 0)
                return "an escaped NUL";
            if (s[1] != '\0' && (unsigned char)s[1] < 0x80)
                n = 2;
        }
        i += n;
    }
    return NULL;
}

/* Parses text to its end. The message shows where it stops making sense, never what is there: the
 * text may be a secret. */
static enum gate_status parse(const char *label, const char *text, const char *expected,
                              cJSON **out, struct gate_error *err)
{
    const char *end = NULL;
    size_t at = 0;
    const char *loose = find_loose(text, &at);

    if (loose != NULL)
        return gate_fail(err, GATE_EINVAL, "%s is not valid JSON: %s at byte %zu; expected %s",
                         label, loose, at, expected);
    *out = cJSON_ParseWithOpts(text, &end, true);
    if (*out == NULL)
        return gate_fail(err, GATE_EINVAL, "%s is not valid JSON near byte %zu; expected %s", label,
                         end != NULL ? (size_t)(end - text) : 0, expected);
    if (!cJSON_IsObject(*out)) {
        cJSON_Delete(*out);
        return gate_fail(err, GATE_EINVAL, "%s is JSON but not an object; expected %s", label,
                         expected);
    }
    return GATE_OK;
}

static bool model_name_ok(const char *s)
{
    size_t len = strlen(s);

    if (len == 0 || len > GATE_CONFIG_MAX_MODEL_NAME)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7f)
            return false;
    return true;
}

static bool mapped_before(const struct gate_config *c, const char *name)
{
    for (size_t i = 0; i < c->mapping_count; i++)
        if (gate_str_eq(c->mappings[i].name, gate_str_of(name)))
            return true;
    return false;
}

static enum gate_status add_mapping(struct gate_config *c, const char *label, const cJSON *member,
                                    struct gate_error *err)
{
    const char *name = member->string;
    struct gate_mapping *m;

    if (!model_name_ok(name))
        return gate_fail(err, GATE_EINVAL,
                         "%s: the name \"%s\" is empty, longer than %d bytes or has white space",
                         label, gate_config_show(name).text, GATE_CONFIG_MAX_MODEL_NAME);
    if (!cJSON_IsString(member) || !model_name_ok(member->valuestring))
        return gate_fail(err, GATE_EINVAL,
                         "%s: the value of \"%s\" is not a model name; expected a string of 1 to "
                         "%d bytes without white space",
                         label, gate_config_show(name).text, GATE_CONFIG_MAX_MODEL_NAME);
    if (mapped_before(c, name))
        return gate_fail(err, GATE_EINVAL, "%s: \"%s\" is mapped twice", label,
                         gate_config_show(name).text);
    m = &c->mappings[c->mapping_count++];
    m->name = gate_str_of(gate_strdup(gate_str_of(name)));
    m->target = gate_str_of(gate_strdup(gate_str_of(member->valuestring)));
    return GATE_OK;
}

enum gate_status gate_config_parse_mappings(struct gate_config *c, const char *label,
                                            const char *text, struct gate_error *err)
{
    cJSON *root = NULL;
    const cJSON *member;
    enum gate_status status;
    int count;

    status = parse(label, text, "an object such as {\"name\":\"model\"}", &root, err);
    if (status != GATE_OK)
        return status;
    count = cJSON_GetArraySize(root);
    if (count > GATE_CONFIG_MAX_MAPPINGS) {
        status = gate_fail(err, GATE_EINVAL, "%s maps %d names; expected at most %d", label, count,
                           GATE_CONFIG_MAX_MAPPINGS);
        goto done;
    }
    c->mappings = gate_calloc((size_t)count + 1, sizeof *c->mappings);
    cJSON_ArrayForEach(member, root)
    {
        status = add_mapping(c, label, member, err);
        if (status != GATE_OK)
            goto done;
    }
done:
    cJSON_Delete(root);
    return status;
}

/* cJSON frees without wiping, so the strings of a secret are wiped first. */
static void wipe_strings(const cJSON *item)
{
    for (; item != NULL; item = item->next) {
        if (item->valuestring != NULL)
            gate_wipe(item->valuestring, strlen(item->valuestring));
        if (item->child != NULL)
            wipe_strings(item->child);
    }
}

enum gate_status gate_config_check_oauth(const char *label, const char *text,
                                         struct gate_error *err)
{
    static const char expected[] =
        "an object such as {\"access_token\":\"...\",\"refresh_token\":\"...\"}";
    static const char *const texts[] = {"access_token", "refresh_token", "resource_url",
                                        "token_type"};
    cJSON *root = NULL;
    const cJSON *value;
    enum gate_status status = parse(label, text, expected, &root, err);

    if (status != GATE_OK)
        return status;
    value = cJSON_GetObjectItemCaseSensitive(root, "access_token");
    if (!cJSON_IsString(value) || value->valuestring[0] == '\0')
        status =
            gate_fail(err, GATE_EINVAL, "%s has no access_token; expected %s", label, expected);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && status == GATE_OK; i++) {
        value = cJSON_GetObjectItemCaseSensitive(root, texts[i]);
        if (value != NULL && !cJSON_IsString(value) && !cJSON_IsNull(value))
            status = gate_fail(err, GATE_EINVAL, "%s: %s is not a string", label, texts[i]);
    }
    value = cJSON_GetObjectItemCaseSensitive(root, "expiry_date");
    if (status == GATE_OK && value != NULL && !cJSON_IsNumber(value) && !cJSON_IsNull(value))
        status =
            gate_fail(err, GATE_EINVAL,
                      "%s: expiry_date is not a number (milliseconds since the Unix epoch)", label);
    wipe_strings(root);
    cJSON_Delete(root);
    return status;
}
