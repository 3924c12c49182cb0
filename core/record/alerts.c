#include "base/json.h"
#include "base/utf8.h"
#include "record/alerts_internal.h"
#include <stdatomic.h>
#include <stdlib.h>

enum {
    MAX_RECORD = 4096,
    MAX_DURATION = 40,
    MAX_VALUES_JSON = GATE_ALERT_MAX_VALUES * (6 * GATE_ALERT_MAX_VALUE + 64),
};

/* A write of one alert's record that the store thread makes. Two own it: the job and the alert,
 * which looks at the next check how it went. */
struct save {
    _Atomic unsigned owners;
    _Atomic int state; /* enum save_state */
    struct gate_buf key, value;
    bool remove; /* else put */
};

enum save_state { SAVE_WAITS = 0, SAVE_DONE, SAVE_FAILED };

/* An alert that is active, or one that is over and whose record is not removed yet. */
struct entry {
    char *name, *title, *text;
    const char *code; /* a literal; NULL: not known */
    char *values;     /* members of a JSON object */
    enum gate_log_level level;
    uint64_t since_ms; /* 0: found by the check that is under way */
    bool active;
    bool seen;         /* by the check that is under way */
    bool unsaved;      /* the record is not what it should be */
    struct save *save; /* the last one; NULL: none is under way */
};

struct gate_alerts {
    struct gate_control *control;
    struct gate_store *store;  /* NULL: nothing is kept */
    struct gate_webhook *hook; /* NULL: there is none */
    bool enabled; /* else nothing is told, and storage stays as it is: who switches alerts on again
                     is told what is new since then */
    struct entry *entries[GATE_ALERTS_MAX];
    size_t count;
    size_t left_out, left_out_before; /* no room for these: this check, the last one */
};

/* ---- entries */

/* A copy of at most max bytes that does not end inside a character. */
static char *copy_cut(struct gate_str s, size_t max)
{
    size_t len = s.len;
    if (len > max)
        for (len = 0; len < max;) {
            size_t n = gate_utf8_length(s.ptr + len, s.len - len);
            n = n > 0 ? n : 1; /* a byte that is no character */
            if (len + n > max)
                break;
            len += n;
        }
    return gate_strdup((struct gate_str){s.ptr, len});
}

static void save_release(struct save *s)
{
    if (s == NULL || atomic_fetch_sub(&s->owners, 1) != 1)
        return;
    gate_buf_finish(&s->key);
    gate_buf_finish(&s->value);
    free(s);
}

static struct entry *entry_find(struct gate_alerts *a, struct gate_str name)
{
    for (size_t i = 0; i < a->count; i++)
        if (gate_str_eq(gate_str_of(a->entries[i]->name), name))
            return a->entries[i];
    return NULL;
}

/* NULL: there is no room. */
static struct entry *entry_add(struct gate_alerts *a, struct gate_str name)
{
    if (a->count == GATE_ALERTS_MAX)
        return NULL;
    struct entry *e = gate_calloc(1, sizeof *e);
    e->name = gate_strdup(name);
    e->title = gate_strdup(GATE_STR(""));
    e->text = gate_strdup(GATE_STR(""));
    e->values = gate_strdup(GATE_STR(""));
    a->entries[a->count++] = e;
    return e;
}

static void entry_destroy(struct entry *e)
{
    save_release(e->save);
    free(e->name);
    free(e->title);
    free(e->text);
    free(e->values);
    free(e);
}

/* Takes a text over; true: it is another one than before. */
static bool replace(char **text, char *by)
{
    bool other = strcmp(*text, by) != 0;
    free(*text);
    *text = by;
    return other;
}

static char *values_json(const struct gate_alert *alert)
{
    struct gate_buf json;
    gate_buf_init(&json, MAX_VALUES_JSON);
    for (size_t i = 0; i < alert->value_count && i < GATE_ALERT_MAX_VALUES; i++) {
        const struct gate_alert_value *v = &alert->values[i];
        gate_buf_printf(&json, "%s\"%s\":", i > 0 ? "," : "", v->name);
        if (v->text.ptr == NULL) {
            gate_buf_printf(&json, "%llu", (unsigned long long)v->number);
            continue;
        }
        char *text = copy_cut(v->text, GATE_ALERT_MAX_VALUE);
        gate_json_put(&json, gate_str_of(text));
        free(text);
    }
    char *values = gate_strdup(gate_buf_str(&json));
    gate_buf_finish(&json);
    return values;
}

/* ---- storage */

static void run_save(struct gate_storage *s, void *arg)
{
    struct save *save = arg;
    struct gate_str key = gate_buf_str(&save->key);
    enum gate_status status = save->remove ? gate_storage_delete(s, key, NULL)
                                           : gate_storage_put_if(s, key, gate_buf_str(&save->value),
                                                                 UINT64_MAX, 0, 0, 0, NULL, NULL);
    atomic_store(&save->state, status == GATE_OK ? SAVE_DONE : SAVE_FAILED);
    save_release(save);
}

static void entry_save(struct gate_alerts *a, struct entry *e)
{
    e->unsaved = false;
    if (a->store == NULL || !a->enabled)
        return;
    struct save *save = gate_calloc(1, sizeof *save);
    atomic_init(&save->owners, 2);
    gate_buf_init(&save->key, sizeof GATE_KEY_ALERT + GATE_ALERTS_MAX_NAME);
    gate_buf_init(&save->value, MAX_RECORD);
    gate_buf_append(&save->key, GATE_STR(GATE_KEY_ALERT));
    gate_buf_append(&save->key, gate_str_of(e->name));
    save->remove = !e->active;
    gate_buf_printf(&save->value,
                    "{\"since\":%llu,\"level\":\"%s\",\"title\":", (unsigned long long)e->since_ms,
                    gate_alert_level_names[e->level]);
    gate_json_put(&save->value, gate_str_of(e->title));
    gate_buf_append(&save->value, GATE_STR("}"));
    save_release(e->save);
    e->save = save;
    gate_store_post(a->store, run_save, save);
}

/* Looks how the last write went. */
static void entry_settle(struct entry *e)
{
    if (e->save == NULL || atomic_load(&e->save->state) == SAVE_WAITS)
        return;
    e->unsaved = e->unsaved || atomic_load(&e->save->state) == SAVE_FAILED;
    save_release(e->save);
    e->save = NULL;
}

static bool parse_number(struct gate_str text, uint64_t *out)
{
    *out = 0;
    if (text.len == 0 || text.len > 19)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        *out = *out * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    return true;
}

static bool entry_parse(struct entry *e, struct gate_str json)
{
    struct gate_str since, level, title;
    char text[GATE_ALERTS_MAX_TITLE * 3 + 1]; /* a byte that is no character takes three */
    size_t len;
    if (!gate_json_member(json, GATE_STR("since"), &since) || !parse_number(since, &e->since_ms) ||
        e->since_ms == 0 || !gate_json_member(json, GATE_STR("level"), &level) ||
        !gate_json_member(json, GATE_STR("title"), &title) ||
        !gate_json_decode_to(title, text, sizeof text, &len))
        return false;
    e->level = gate_str_eq(level, GATE_STR("\"error\"")) ? GATE_LOG_ERROR : GATE_LOG_WARN;
    replace(&e->title, gate_strdup((struct gate_str){text, len}));
    e->active = true;
    return true;
}

struct loading {
    struct gate_alerts *alerts;
    enum gate_status status;
    struct gate_error err;
};

/* The control thread waits meanwhile. */
static bool load_one(void *ctx, const struct gate_record *record)
{
    struct loading *l = ctx;
    size_t prefix = strlen(GATE_KEY_ALERT);
    struct gate_str name = {record->key.ptr + prefix, record->key.len - prefix};
    struct entry *e = entry_add(l->alerts, name);
    if (e == NULL)
        return false;
    if (entry_parse(e, record->value))
        return true;
    gate_log_warn("the record of the alert %s is damaged and will be replaced", e->name);
    l->alerts->count--;
    entry_destroy(e);
    return true;
}

static void load(struct gate_storage *s, void *arg)
{
    struct loading *l = arg;
    l->status = gate_storage_scan(s, GATE_STR(GATE_KEY_ALERT), load_one, l, &l->err);
}

/* ---- telling */

static const char *duration(uint64_t from_ms, uint64_t to_ms, char out[MAX_DURATION])
{
    uint64_t s = to_ms > from_ms ? (to_ms - from_ms) / 1000 : 0;
    unsigned days = (unsigned)(s / 86400), hours = (unsigned)(s / 3600 % 24);
    unsigned minutes = (unsigned)(s / 60 % 60), seconds = (unsigned)(s % 60);
    if (days > 0)
        snprintf(out, MAX_DURATION, "%u d %u h", days, hours);
    else if (hours > 0)
        snprintf(out, MAX_DURATION, "%u h %u min", hours, minutes);
    else if (minutes > 0)
        snprintf(out, MAX_DURATION, "%u min", minutes);
    else
        snprintf(out, MAX_DURATION, "%u s", seconds);
    return out;
}

static void notify(struct gate_alerts *a, const struct entry *e, enum gate_notice_event event,
                   const char *text, uint64_t now_ms)
{
    struct gate_notice n = {
        .event = event,
        .level = e->level,
        .name = gate_str_of(e->name),
        .title = gate_str_of(e->title),
        .text = gate_str_of(text),
        .since_ms = e->since_ms,
        .at_ms = now_ms,
    };
    if (a->hook != NULL)
        gate_webhook_send(a->hook, &n);
}

static void tell_alert(struct gate_alerts *a, const struct entry *e, uint64_t now_ms)
{
    if (!a->enabled)
        return;
    gate_log(e->level, "alert: %s%s%s", e->title, e->text[0] != '\0' ? ": " : "", e->text);
    notify(a, e, GATE_NOTICE_ALERT, e->text, now_ms);
}

static void tell_recovery(struct gate_alerts *a, const struct entry *e, uint64_t now_ms)
{
    char lasted[MAX_DURATION], text[MAX_DURATION + 32];
    if (!a->enabled)
        return;
    duration(e->since_ms, now_ms, lasted);
    gate_log_info("recovered after %s: %s", lasted, e->title);
    snprintf(text, sizeof text, "It is over after %s.", lasted);
    notify(a, e, GATE_NOTICE_RECOVERY, text, now_ms);
}

/* ---- a check */

void gate_alerts_begin(struct gate_alerts *a)
{
    for (size_t i = 0; i < a->count; i++) {
        a->entries[i]->seen = false;
        entry_settle(a->entries[i]);
    }
    a->left_out_before = a->left_out;
    a->left_out = 0;
}

void gate_alerts_add(struct gate_alerts *a, const struct gate_alert *alert)
{
    char *name = copy_cut(alert->name, GATE_ALERTS_MAX_NAME);
    struct entry *e = entry_find(a, gate_str_of(name));
    if (e == NULL)
        e = entry_add(a, gate_str_of(name));
    free(name);
    if (e == NULL) {
        a->left_out++;
        return;
    }
    if (!e->active) {
        e->active = true;
        e->since_ms = 0;
    }
    e->seen = true;
    e->unsaved = replace(&e->title, copy_cut(alert->title, GATE_ALERTS_MAX_TITLE)) ||
                 e->level != alert->level || e->unsaved;
    e->level = alert->level;
    replace(&e->text, copy_cut(alert->text, GATE_ALERTS_MAX_TEXT));
    e->code = alert->code;
    replace(&e->values, values_json(alert));
}

/* True: nothing of it is left to do. */
static bool entry_end(struct gate_alerts *a, struct entry *e, uint64_t now_ms)
{
    if (e->active && e->since_ms == 0) {
        e->since_ms = now_ms;
        e->unsaved = true;
        tell_alert(a, e, now_ms);
    } else if (e->active && !e->seen) {
        tell_recovery(a, e, now_ms);
        e->active = false;
        e->unsaved = true;
    }
    if (e->unsaved)
        entry_save(a, e);
    return !e->active && e->save == NULL;
}

void gate_alerts_end(struct gate_alerts *a, uint64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++) {
        struct entry *e = a->entries[i];
        if (entry_end(a, e, now_ms))
            entry_destroy(e);
        else
            a->entries[kept++] = e;
    }
    a->count = kept;
    if (a->left_out > 0 && a->left_out_before == 0 && a->enabled)
        gate_log_error("more than %d alerts are active: %zu are left out", GATE_ALERTS_MAX,
                       a->left_out);
}

/* ---- the rest */

void gate_alerts_json(const struct gate_alerts *a, struct gate_buf *out)
{
    const char *before = "";
    gate_buf_append(out, GATE_STR("["));
    for (size_t i = 0; i < a->count; i++) {
        const struct entry *e = a->entries[i];
        if (!e->active || e->since_ms == 0)
            continue;
        gate_buf_printf(out, "%s{\"name\":", before);
        gate_json_put(out, gate_str_of(e->name));
        gate_buf_printf(out, ",\"level\":\"%s\",\"title\":", gate_alert_level_names[e->level]);
        gate_json_put(out, gate_str_of(e->title));
        gate_buf_append(out, GATE_STR(",\"text\":"));
        gate_json_put(out, gate_str_of(e->text));
        if (e->code != NULL)
            gate_buf_printf(out, ",\"code\":\"%s\"", e->code);
        else
            gate_buf_append(out, GATE_STR(",\"code\":null"));
        gate_buf_append(out, GATE_STR(",\"values\":{"));
        gate_buf_append(out, gate_str_of(e->values));
        gate_buf_printf(out, "},\"since\":%llu}", (unsigned long long)e->since_ms);
        before = ",";
    }
    gate_buf_append(out, GATE_STR("]"));
}

void gate_alerts_test(struct gate_alerts *a, void (*done)(void *ctx, int status, const char *why),
                      void *ctx)
{
    if (a->hook != NULL)
        gate_webhook_test(a->hook, done, ctx);
    else
        gate_webhook_refuse_test(a->control, "ALERT_WEBHOOK_URL is not set", done, ctx);
}

enum gate_status gate_alerts_create_with(const struct gate_config *config,
                                         struct gate_control *control, struct gate_store *store,
                                         uint32_t retry_ms, struct gate_alerts **out,
                                         struct gate_error *err)
{
    struct gate_alerts *a = gate_calloc(1, sizeof *a);
    struct loading l = {.alerts = a};
    enum gate_status status = GATE_OK;
    a->control = control;
    a->store = store;
    a->enabled = config->alerts.enabled;
    if (config->alerts.webhook_url != NULL)
        status = gate_webhook_create(&config->alerts, control, retry_ms, &a->hook, err);
    if (status != GATE_OK)
        goto fail;
    if (store != NULL) {
        gate_store_call(store, load, &l);
        if (l.status != GATE_OK) {
            status = gate_fail(err, l.status, "the state of the alerts cannot be read: %s",
                               l.err.message);
            goto fail;
        }
    }
    *out = a;
    return GATE_OK;

fail:
    gate_alerts_destroy(a);
    return status;
}

enum gate_status gate_alerts_create(const struct gate_config *config, struct gate_control *control,
                                    struct gate_store *store, struct gate_alerts **out,
                                    struct gate_error *err)
{
    return gate_alerts_create_with(config, control, store, GATE_WEBHOOK_RETRY_MS, out, err);
}

void gate_alerts_destroy(struct gate_alerts *a)
{
    if (a == NULL)
        return;
    gate_webhook_destroy(a->hook);
    for (size_t i = 0; i < a->count; i++)
        entry_destroy(a->entries[i]);
    free(a);
}
