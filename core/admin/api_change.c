#include "admin/admin_internal.h"

bool admin_is_there(struct admin_call *c, const struct gate_member *m)
{
    if (m->deleted_ms == 0)
        return true;
    admin_refuse(c, 409, "deleted", NULL, "The account %s is deleted. Restore it first.",
                 m->account->id);
    return false;
}

/* ---- what a body says of an account */

struct change {
    struct gate_str alias;
    struct gate_str tags[GATE_ROSTER_MAX_TAGS];
    struct gate_limits_rule limits;
    struct gate_member_patch patch;
    bool any;
};

static bool read_weight(struct admin_call *c, const cJSON *value, struct gate_member_patch *p)
{
    uint64_t weight = 1;
    p->weight_null = cJSON_IsNull(value);
    if (!p->weight_null && !gate_json_tree_whole(value, 0, GATE_POLICY_MAX_WEIGHT, &weight)) {
        admin_refuse(c, 400, "invalid_value", "weight",
                     "weight: expected a whole number from 0 to %d, or null.",
                     GATE_POLICY_MAX_WEIGHT);
        return false;
    }
    p->has_weight = true;
    p->weight = (uint32_t)weight;
    return true;
}

/* Reads alias, tags, enabled, weight and limits, as far as they are there. False: refused. */
static bool read_change(struct admin_call *c, const cJSON *body, struct change *out)
{
    struct gate_member_patch *p = &out->patch;
    const cJSON *enabled = cJSON_GetObjectItemCaseSensitive(body, "enabled");
    const cJSON *weight = cJSON_GetObjectItemCaseSensitive(body, "weight");
    const cJSON *limits = cJSON_GetObjectItemCaseSensitive(body, "limits");
    memset(out, 0, sizeof *out);
    if (!admin_body_str(c, body, "alias", GATE_ACCOUNT_MAX_ALIAS, &out->alias) ||
        !admin_body_list(c, body, "tags", GATE_ROSTER_MAX_TAGS, out->tags, &p->tag_count))
        return false;
    if (enabled != NULL && !cJSON_IsBool(enabled)) {
        admin_refuse(c, 400, "invalid_value", "enabled", "enabled: expected true or false.");
        return false;
    }
    if ((weight != NULL && !read_weight(c, weight, p)) ||
        (limits != NULL && !admin_body_limits(c, limits, &out->limits)))
        return false;
    p->alias = out->alias.len > 0 ? &out->alias : NULL;
    p->has_tags = cJSON_GetObjectItemCaseSensitive(body, "tags") != NULL;
    p->tags = out->tags;
    p->has_enabled = enabled != NULL;
    p->enabled = cJSON_IsTrue(enabled);
    p->limits = limits != NULL ? &out->limits : NULL;
    out->any = p->alias != NULL || p->has_tags || p->has_enabled || p->has_weight || limits != NULL;
    return true;
}

/* ---- POST /accounts */

static const struct gate_instance *read_instance(struct admin_call *c, const cJSON *body)
{
    struct gate_str name;
    if (!admin_body_str(c, body, "provider", GATE_ACCOUNT_MAX_ID, &name))
        return NULL;
    if (name.len == 0) {
        admin_refuse(c, 400, "missing_key", "provider",
                     "provider: expected the name of a provider; GET /admin/api/providers lists "
                     "them.");
        return NULL;
    }
    const struct gate_instance *instance = admin_instance(c->admin, name);
    if (instance == NULL)
        admin_refuse(c, 404, "unknown_provider", "provider",
                     "There is no provider \"%.64s\": GET /admin/api/providers lists them.",
                     name.ptr);
    return instance;
}

static bool is_known(struct admin_call *c, const struct gate_instance *instance,
                     struct gate_str secret)
{
    struct admin_known *known = admin_known_create(c->admin, instance);
    const struct gate_member *m = admin_known_find(known, secret);
    admin_known_destroy(known);
    if (m != NULL)
        admin_refuse(c, 409, "conflict", NULL, "The account %s has this credential already%s.",
                     m->account->id, m->deleted_ms != 0 ? "; it is deleted, restore it" : "");
    return m != NULL;
}

static void add(struct admin_call *c, const struct gate_member_new *n, const struct change *change)
{
    struct gate_roster *roster = c->admin->parts.roster;
    struct gate_error err = {.message = ""}, ignored;
    struct gate_member *m = NULL;
    enum gate_status status = gate_roster_add(roster, n, &m, &err);
    if (status == GATE_OK && change->any) {
        status = gate_roster_patch(roster, m, &change->patch, &err);
        if (status != GATE_OK)
            gate_roster_delete(roster, m, true, &ignored);
    }
    if (status != GATE_OK) {
        err.status = status;
        admin_refuse_error(c, &err);
        return;
    }
    gate_log_info("account %s was added", m->account->id);
    admin_reply_account(c, 201, m, NULL);
}

static void add_from(struct admin_call *c, const cJSON *body)
{
    struct change change;
    struct gate_member_new n = {.origin = "added"};
    struct gate_buf secret;
    const struct gate_instance *instance = read_instance(c, body);
    if (instance == NULL || !read_change(c, body, &change) ||
        !admin_body_str(c, body, "name", GATE_ACCOUNT_MAX_ALIAS, &n.name) ||
        !admin_body_secret(c, body, &n.kind, &secret))
        return;
    n.instance = gate_str_of(instance->name);
    n.alias = change.alias;
    n.secret = gate_buf_str(&secret);
    change.patch.alias = NULL;
    if (n.kind == GATE_CREDENTIAL_NONE)
        admin_refuse(c, 400, "missing_key", "api_key",
                     "Give api_key (a string) or oauth (the object of an oauth_creds.json); POST "
                     "/admin/api/logins signs in with a browser.");
    else if (!is_known(c, instance, n.secret))
        add(c, &n, &change);
    gate_buf_wipe(&secret);
}

void admin_accounts_add(struct admin_call *c)
{
    if (!admin_no_params(c))
        return;
    cJSON *body =
        admin_body(c, "provider|alias|name|tags|weight|limits|enabled|api_key|oauth", false);
    if (body != NULL)
        add_from(c, body);
    gate_json_tree_free(body);
}

/* ---- PATCH /accounts/{id} */

static void set_secret(struct admin_call *c, struct gate_member *m, enum gate_credential_kind kind,
                       struct gate_str secret)
{
    struct gate_error err = {.message = ""};
    if (kind != m->account->kind) {
        admin_refuse(c, 400, "invalid_value", kind == GATE_CREDENTIAL_OAUTH ? "oauth" : "api_key",
                     "The account %s has another kind of credential; add a new account.",
                     m->account->id);
        return;
    }
    enum gate_status status =
        gate_roster_set_secret(c->admin->parts.roster, m, secret, UINT64_MAX, 0, &err);
    if (status == GATE_OK || status == GATE_EIO) {
        char warning[ADMIN_MESSAGE];
        snprintf(warning, sizeof warning,
                 "The credential is in use, but not in storage yet: %s. It is written as soon as "
                 "storage takes it.",
                 err.message);
        admin_reply_account(c, 200, m, status == GATE_EIO ? warning : NULL);
        return;
    }
    err.status = status;
    admin_refuse_error(c, &err);
}

static void patch_from(struct admin_call *c, struct gate_member *m, const cJSON *body)
{
    struct change change;
    struct gate_buf secret;
    struct gate_error err = {.message = ""};
    enum gate_credential_kind kind;
    if (!read_change(c, body, &change) || !admin_body_secret(c, body, &kind, &secret))
        return;
    if (kind != GATE_CREDENTIAL_NONE && change.any) {
        admin_refuse(c, 400, "invalid_body", NULL,
                     "Send a new credential alone, without other changes.");
    } else if (kind != GATE_CREDENTIAL_NONE) {
        set_secret(c, m, kind, gate_buf_str(&secret));
    } else {
        enum gate_status status =
            change.any ? gate_roster_patch(c->admin->parts.roster, m, &change.patch, &err)
                       : GATE_OK;
        err.status = status;
        if (status == GATE_OK)
            admin_reply_account(c, 200, m, NULL);
        else
            admin_refuse_error(c, &err);
    }
    gate_buf_wipe(&secret);
}

void admin_accounts_patch(struct admin_call *c)
{
    struct gate_member *m = admin_no_params(c) ? admin_member(c) : NULL;
    if (m == NULL || !admin_is_there(c, m))
        return;
    cJSON *body = admin_body(c, "alias|tags|enabled|weight|limits|api_key|oauth", false);
    if (body != NULL)
        patch_from(c, m, body);
    gate_json_tree_free(body);
}

/* ---- DELETE, restore, clear */

void admin_accounts_delete(struct admin_call *c)
{
    struct gate_error err = {.message = ""};
    struct admin_params p;
    uint64_t purge;
    if (!admin_params_read(c, "purge", &p))
        return;
    bool fine = admin_param_number(c, &p, "purge", 0, 1, 0, &purge);
    admin_params_finish(&p);
    struct gate_member *m = fine ? admin_member(c) : NULL;
    if (m == NULL || (purge == 0 && !admin_is_there(c, m)))
        return;
    char id[GATE_ACCOUNT_MAX_ID + 1];
    snprintf(id, sizeof id, "%s", m->account->id);
    err.status = gate_roster_delete(c->admin->parts.roster, m, purge == 1, &err);
    if (err.status != GATE_OK) {
        admin_refuse_error(c, &err);
        return;
    }
    gate_log_info("account %s was deleted%s", id, purge == 1 ? " for ever" : "");
    if (purge == 0) {
        admin_reply_account(c, 200, m, NULL);
        return;
    }
    struct gate_buf out;
    gate_buf_init(&out, 1024);
    json_open(&out, NULL, '{');
    json_text(&out, "purged", id);
    json_close(&out, '}');
    admin_reply(c, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
}

/* The member of an action that takes neither query nor body. NULL: refused. */
static struct gate_member *plain_action(struct admin_call *c)
{
    if (!admin_no_params(c))
        return NULL;
    cJSON *body = admin_body(c, "", true);
    bool fine = body != NULL;
    gate_json_tree_free(body);
    return fine ? admin_member(c) : NULL;
}

void admin_accounts_restore(struct admin_call *c)
{
    struct gate_error err = {.message = ""};
    struct gate_member *m = plain_action(c);
    if (m == NULL)
        return;
    err.status = gate_roster_restore(c->admin->parts.roster, m, &err);
    if (err.status != GATE_OK)
        admin_refuse_error(c, &err);
    else
        admin_reply_account(c, 200, m, NULL);
}

void admin_accounts_clear(struct admin_call *c)
{
    struct gate_member *m = plain_action(c);
    if (m == NULL || !admin_is_there(c, m))
        return;
    gate_roster_clear(c->admin->parts.roster, m);
    admin_reply_account(c, 200, m, NULL);
}

/* ---- refresh */

struct refresh {
    struct admin_wait *wait;
    char id[GATE_ACCOUNT_MAX_ID + 1];
};

int admin_refresh_status(enum gate_status status, const char **code)
{
    *code = NULL;
    switch (status) {
    case GATE_OK:
        return 200;
    case GATE_EDENIED:
        *code = "needs_sign_in";
        return 409;
    case GATE_ENOTFOUND:
        *code = "no_refresh";
        return 409;
    default:
        *code = "unavailable";
        return 503;
    }
}

static void on_refreshed(void *arg, enum gate_status status, const char *why)
{
    struct refresh *r = arg;
    struct gate_admin *a = r->wait->admin;
    const struct gate_member *m =
        a != NULL ? gate_roster_find(a->parts.roster, gate_str_of(r->id)) : NULL;
    const char *code;
    int http = admin_refresh_status(status, &code);
    if (http == 200 && m != NULL) {
        struct gate_buf out;
        admin_account_json(a, m, NULL, &out);
        admin_wait_end(r->wait, 200, gate_buf_str(&out));
        gate_buf_finish(&out);
    } else if (status == GATE_ENOTFOUND) {
        admin_wait_refuse(r->wait, http, code, "The account %s has no token that can be refreshed.",
                          r->id);
    } else {
        admin_wait_refuse(r->wait, http == 200 ? 404 : http, http == 200 ? "not_found" : code,
                          "The token of %s was not refreshed: %s", r->id,
                          why[0] != '\0' ? why : "no reason is known");
    }
    free(r);
}

void admin_accounts_refresh(struct admin_call *c)
{
    struct gate_member *m = plain_action(c);
    if (m == NULL || !admin_is_there(c, m))
        return;
    struct admin_wait *wait = admin_wait_begin(c);
    if (wait == NULL)
        return;
    struct refresh *r = gate_calloc(1, sizeof *r);
    r->wait = wait;
    snprintf(r->id, sizeof r->id, "%s", m->account->id);
    gate_credentials_refresh_now(c->admin->parts.credentials, m, on_refreshed, r);
}
