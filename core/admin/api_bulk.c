#include "admin/admin_internal.h"

/* POST /accounts/bulk: one action on many accounts, each with its own result. */

enum { MAX_ID = 256 };

enum action {
    ACTION_ENABLE,
    ACTION_DISABLE,
    ACTION_DELETE,
    ACTION_RESTORE,
    ACTION_CLEAR,
    ACTION_REFRESH,
    ACTION_TAG,
    ACTION_UNTAG,
    ACTIONS,
};

static const char *const action_names[ACTIONS] = {
    "enable", "disable", "delete", "restore", "clear", "refresh", "tag", "untag",
};

struct bulk;

/* What came of one id. */
struct item {
    struct bulk *bulk;
    char id[MAX_ID + 1]; /* as it was given */
    enum gate_status status;
    bool refreshed; /* status is what a refresh came to */
    char message[GATE_ERROR_MAX];
};

struct bulk {
    struct admin_wait *wait;
    struct item *items;
    size_t count;
    size_t left; /* items that are not done, and 1 while they are started */
};

/* ---- the answer */

static void finish(struct bulk *b)
{
    struct gate_buf out;
    size_t good = 0;
    gate_buf_init(&out, GATE_ADMIN_MAX_ANSWER);
    json_open(&out, NULL, '{');
    json_open(&out, "results", '[');
    for (size_t i = 0; i < b->count; i++) {
        const struct item *item = &b->items[i];
        const char *code = admin_error_code(item->status);
        int http = admin_http_status(item->status);
        if (item->refreshed)
            http = admin_refresh_status(item->status, &code);
        good += item->status == GATE_OK;
        json_open(&out, NULL, '{');
        json_text(&out, "id", item->id);
        json_bool(&out, "ok", item->status == GATE_OK);
        if (item->status != GATE_OK)
            json_error(&out, http, code, NULL,
                       item->message[0] != '\0' ? item->message : "no reason is known");
        json_close(&out, '}');
    }
    json_close(&out, ']');
    json_num(&out, "ok", good);
    json_num(&out, "failed", b->count - good);
    json_close(&out, '}');
    admin_wait_end(b->wait, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
    free(b->items);
    free(b);
}

static void item_done(struct bulk *b)
{
    if (--b->left == 0)
        finish(b);
}

static void on_refreshed(void *arg, enum gate_status status, const char *why)
{
    struct item *item = arg;
    item->status = status;
    item->refreshed = true;
    if (status == GATE_ENOTFOUND)
        snprintf(item->message, sizeof item->message, "it has no token that can be refreshed");
    else if (status != GATE_OK)
        snprintf(item->message, sizeof item->message, "%s", why);
    item_done(item->bulk);
}

/* ---- the actions */

static enum gate_status change_tag(struct gate_roster *r, struct gate_member *m,
                                   struct gate_str tag, bool add, struct gate_error *err)
{
    struct gate_str tags[GATE_ROSTER_MAX_TAGS + 1];
    struct gate_member_patch p = {.tags = tags, .has_tags = true};
    bool has = false;
    for (size_t i = 0; i < m->tag_count; i++) {
        bool same = gate_str_eq(m->tags[i], tag);
        has = has || same;
        if (!same || add)
            tags[p.tag_count++] = m->tags[i];
    }
    if (has == add)
        return GATE_OK;
    if (add)
        tags[p.tag_count++] = tag;
    return gate_roster_patch(r, m, &p, err);
}

static enum gate_status set_enabled(struct gate_roster *r, struct gate_member *m, bool enabled,
                                    struct gate_error *err)
{
    const struct gate_member_patch p = {.has_enabled = true, .enabled = enabled};
    return gate_roster_patch(r, m, &p, err);
}

static enum gate_status act(struct gate_admin *a, enum action action, struct gate_member *m,
                            struct gate_str tag, struct gate_error *err)
{
    struct gate_roster *r = a->parts.roster;
    if (m->deleted_ms != 0 && action != ACTION_RESTORE)
        return gate_fail(err, GATE_ECONFLICT, "it is deleted");
    switch (action) {
    case ACTION_ENABLE:
    case ACTION_DISABLE:
        return set_enabled(r, m, action == ACTION_ENABLE, err);
    case ACTION_DELETE:
        return gate_roster_delete(r, m, false, err);
    case ACTION_RESTORE:
        return gate_roster_restore(r, m, err);
    case ACTION_CLEAR:
        gate_roster_clear(r, m);
        return GATE_OK;
    case ACTION_TAG:
    case ACTION_UNTAG:
        return change_tag(r, m, tag, action == ACTION_TAG, err);
    default:
        return GATE_EINTERNAL; /* a refresh does not come here */
    }
}

static void start_item(struct gate_admin *a, enum action action, struct gate_str tag,
                       struct item *item)
{
    struct gate_member *m = gate_roster_find(a->parts.roster, gate_str_of(item->id));
    struct gate_error err = {.message = ""};
    if (m == NULL) {
        item->status = gate_fail(&err, GATE_ENOTFOUND, "there is no such account");
    } else if (action == ACTION_REFRESH && m->deleted_ms == 0) {
        gate_credentials_refresh_now(a->parts.credentials, m, on_refreshed, item);
        return;
    } else {
        item->status = act(a, action, m, tag, &err);
    }
    snprintf(item->message, sizeof item->message, "%s", err.message);
    item_done(item->bulk);
}

static void start(struct admin_call *c, enum action action, struct gate_str tag,
                  const struct gate_str *ids, size_t count)
{
    struct admin_wait *wait = admin_wait_begin(c);
    if (wait == NULL)
        return;
    struct bulk *b = gate_calloc(1, sizeof *b);
    struct gate_admin *a = c->admin;
    *b = (struct bulk){.wait = wait, .count = count, .left = count + 1};
    b->items = gate_calloc(count, sizeof b->items[0]);
    for (size_t i = 0; i < count; i++) {
        struct item *item = &b->items[i];
        item->bulk = b;
        snprintf(item->id, sizeof item->id, "%.*s", (int)ids[i].len, ids[i].ptr);
        start_item(a, action, tag, item);
    }
    item_done(b);
}

/* ---- the request */

static bool read_ids(struct admin_call *c, const cJSON *body, struct gate_str *ids, size_t *count)
{
    if (!admin_body_list(c, body, "ids", ADMIN_MAX_BULK, ids, count))
        return false;
    bool fine = *count > 0;
    for (size_t i = 0; i < *count; i++)
        fine = fine && ids[i].len > 0 && ids[i].len <= MAX_ID;
    if (!fine)
        admin_refuse(c, 400, "invalid_value", "ids",
                     "ids: expected a list of 1 to %d ids of accounts.", ADMIN_MAX_BULK);
    return fine;
}

static void bulk_from(struct admin_call *c, const cJSON *body, struct gate_str *ids)
{
    struct gate_str name, tag;
    size_t count, action = 0;
    if (!read_ids(c, body, ids, &count) || !admin_body_str(c, body, "action", 16, &name) ||
        !admin_body_str(c, body, "tag", GATE_POLICY_MAX_TAG, &tag))
        return;
    while (action < ACTIONS && !gate_str_eq(name, gate_str_of(action_names[action])))
        action++;
    bool wants_tag = action == ACTION_TAG || action == ACTION_UNTAG;
    if (action == ACTIONS)
        admin_refuse(c, 400, "invalid_value", "action",
                     "action: expected enable, disable, delete, restore, clear, refresh, tag or "
                     "untag.");
    else if (wants_tag != (tag.len > 0))
        admin_refuse(c, 400, "invalid_value", "tag",
                     "tag: it belongs to the actions tag and untag "
                     "and to these only.");
    else
        start(c, (enum action)action, tag, ids, count);
}

void admin_accounts_bulk(struct admin_call *c)
{
    if (!admin_no_params(c))
        return;
    cJSON *body = admin_body(c, "ids|action|tag", false);
    if (body != NULL) {
        struct gate_str *ids = gate_calloc(ADMIN_MAX_BULK, sizeof ids[0]);
        bulk_from(c, body, ids);
        free(ids);
    }
    gate_json_tree_free(body);
}
