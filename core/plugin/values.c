/* values: configured options against a plugin's schema. */
#include "config.h"
#include "plugin/registry.h"

#include <stdlib.h>

enum { MAX_LIST = 1024 };

static const char *type_name(enum gate_option_type type)
{
    switch (type) {
    case GATE_OPTION_STRING:
        return "a string";
    case GATE_OPTION_NUMBER:
        return "a number";
    case GATE_OPTION_BOOL:
        return "true or false";
    case GATE_OPTION_LIST:
        return "a list of strings";
    }
    return "a value of a known type";
}

static struct gate_str copy(struct gate_str s)
{
    return (struct gate_str){gate_strdup(s), s.len};
}

static bool is_choice(const char *choices, struct gate_str value)
{
    for (const char *at = choices; at != NULL;) {
        const char *bar = strchr(at, '|');
        size_t len = bar != NULL ? (size_t)(bar - at) : strlen(at);

        if (gate_str_eq((struct gate_str){at, len}, value))
            return true;
        at = bar != NULL ? bar + 1 : NULL;
    }
    return false;
}

static enum gate_status put_string(const struct gate_option *o, struct gate_str text,
                                   struct gate_value *v, struct gate_error *err)
{
    if (o->choices != NULL && !is_choice(o->choices, text))
        return gate_fail(err, GATE_EINVAL, "option \"%s\" is \"%.*s\"; expected one of %s", o->name,
                         text.len > 64 ? 64 : (int)text.len, text.ptr, o->choices);
    v->string = copy(text);
    return GATE_OK;
}

static enum gate_status put_list_text(const struct gate_option *o, const char *text,
                                      struct gate_value *v, struct gate_error *err)
{
    struct gate_str *list;
    size_t count = *text != '\0';

    for (const char *at = text; *at != '\0'; at++)
        count += *at == ',';
    if (count > MAX_LIST)
        return gate_fail(err, GATE_EINVAL, "option \"%s\": more than %d entries", o->name,
                         MAX_LIST);
    list = gate_calloc(count + 1, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        size_t len = strcspn(text, ",");

        list[i] = copy((struct gate_str){text, len});
        text += len + (text[len] == ',');
    }
    v->list = list;
    v->list_len = count;
    return GATE_OK;
}

/* The default, which the schema gives as text. */
static enum gate_status put_fallback(const struct gate_option *o, struct gate_value *v,
                                     struct gate_error *err)
{
    const char *text = o->fallback;
    char *end;

    if (text == NULL)
        return GATE_OK;
    v->present = true;
    switch (o->type) {
    case GATE_OPTION_STRING:
        return put_string(o, gate_str_of(text), v, err);
    case GATE_OPTION_NUMBER:
        v->number = strtod(text, &end);
        if (end != text && *end == '\0')
            return GATE_OK;
        break;
    case GATE_OPTION_BOOL:
        v->boolean = strcmp(text, "true") == 0;
        if (v->boolean || strcmp(text, "false") == 0)
            return GATE_OK;
        break;
    case GATE_OPTION_LIST:
        return put_list_text(o, text, v, err);
    }
    return gate_fail(err, GATE_EINVAL, "option \"%s\": its default \"%s\" is not %s", o->name, text,
                     type_name(o->type));
}

static enum gate_status put_configured(const struct gate_option *o,
                                       const struct gate_config_option *from, struct gate_value *v,
                                       struct gate_error *err)
{
    struct gate_str *list;

    if (from->type != o->type)
        return gate_fail(err, GATE_EINVAL, "option \"%s\" is %s; expected %s", o->name,
                         type_name(from->type), type_name(o->type));
    v->present = true;
    switch (o->type) {
    case GATE_OPTION_STRING:
        return put_string(o, gate_str_of(from->string), v, err);
    case GATE_OPTION_NUMBER:
        v->number = from->number;
        break;
    case GATE_OPTION_BOOL:
        v->boolean = from->boolean;
        break;
    case GATE_OPTION_LIST:
        list = gate_calloc(from->list_len + 1, sizeof *list);
        for (size_t i = 0; i < from->list_len; i++)
            list[i] = copy(gate_str_of(from->list[i]));
        v->list = list;
        v->list_len = from->list_len;
        break;
    }
    return GATE_OK;
}

static const struct gate_config_option *find_configured(const struct gate_config_option *options,
                                                        size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static enum gate_status fail_unknown(const struct gate_plugin *plugin, const char *name,
                                     struct gate_error *err)
{
    struct gate_buf known;
    enum gate_status status;

    gate_buf_init(&known, GATE_ERROR_MAX / 2);
    for (size_t i = 0; i < plugin->option_count; i++)
        gate_buf_printf(&known, "%s%s", i > 0 ? ", " : "", plugin->options[i].name);
    status = gate_fail(err, GATE_EINVAL, "plugin %s has no option \"%.64s\"; %s%.*s", plugin->name,
                       name, plugin->option_count > 0 ? "it has " : "it has none", (int)known.len,
                       known.len > 0 ? known.ptr : "");
    gate_buf_finish(&known);
    return status;
}

static enum gate_status check_names(const struct gate_plugin *plugin,
                                    const struct gate_config_option *options, size_t count,
                                    struct gate_error *err)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;

        while (at < plugin->option_count && strcmp(plugin->options[at].name, options[i].name) != 0)
            at++;
        if (at == plugin->option_count)
            return fail_unknown(plugin, options[i].name, err);
        if (find_configured(options, i, options[i].name) != NULL)
            return gate_fail(err, GATE_EINVAL, "option \"%s\" is given twice", options[i].name);
    }
    return GATE_OK;
}

enum gate_status gate_values_make(const struct gate_plugin *plugin,
                                  const struct gate_config_option *options, size_t count,
                                  struct gate_value **out, struct gate_error *err)
{
    struct gate_value *values;
    enum gate_status status = check_names(plugin, options, count, err);

    if (status != GATE_OK)
        return status;
    values = gate_calloc(plugin->option_count + 1, sizeof *values);
    for (size_t i = 0; i < plugin->option_count && status == GATE_OK; i++) {
        const struct gate_option *o = &plugin->options[i];
        const struct gate_config_option *from = find_configured(options, count, o->name);

        status = from != NULL ? put_configured(o, from, &values[i], err)
                              : put_fallback(o, &values[i], err);
    }
    if (status != GATE_OK) {
        gate_values_free(plugin, values);
        return status;
    }
    *out = values;
    return GATE_OK;
}

void gate_values_free(const struct gate_plugin *plugin, struct gate_value *values)
{
    if (values == NULL)
        return;
    for (size_t i = 0; i < plugin->option_count; i++) {
        for (size_t n = 0; n < values[i].list_len; n++)
            free((char *)values[i].list[n].ptr);
        free((struct gate_str *)values[i].list);
        free((char *)values[i].string.ptr);
    }
    free(values);
}
