#include "admin/admin_internal.h"

enum { LOGIN_MAX = 16 * 1024, LOGINS_MAX = 1 << 20 };

static void put_login(struct gate_buf *out, const char *name, const struct gate_login_view *v)
{
    json_open(out, name, '{');
    json_text(out, "id", v->id);
    json_text(out, "state", gate_login_state_names[v->state]);
    json_text(out, "provider", v->instance);
    json_text_or_null(out, "account", v->account);
    json_text_or_null(out, "user_code", v->user_code);
    json_text_or_null(out, "verification_uri", v->verification_uri);
    json_text_or_null(out, "verification_uri_complete", v->verification_uri_complete);
    json_num(out, "started_at", v->started_ms);
    json_num_or_null(out, "expires_at", v->expires_at_ms);
    json_text_or_null(out, "message", v->message);
    json_close(out, '}');
}

static void login_json(const struct gate_login_view *v, struct gate_buf *out)
{
    gate_buf_init(out, LOGIN_MAX);
    json_open(out, NULL, '{');
    put_login(out, "login", v);
    json_close(out, '}');
}

static void reply_login(struct admin_call *c, const struct gate_login_view *v)
{
    struct gate_buf out;
    login_json(v, &out);
    admin_reply(c, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
}

/* ---- starting */

static void on_begun(void *arg, const struct gate_login_view *view)
{
    struct admin_wait *wait = arg;
    struct gate_buf out;
    if (view->state != GATE_LOGIN_PENDING && view->state != GATE_LOGIN_DONE) {
        admin_wait_refuse(
            wait, 503, "login_failed", "The login at %s did not begin: %s", view->instance,
            view->message[0] != '\0' ? view->message : gate_login_state_names[view->state]);
        return;
    }
    login_json(view, &out);
    admin_wait_end(wait, 201, gate_buf_str(&out));
    gate_buf_finish(&out);
}

/* The account to renew; *renew NULL: a new one is wanted. False: refused. */
static bool read_renew(struct admin_call *c, const cJSON *body, struct gate_member **renew)
{
    struct gate_str name;
    *renew = NULL;
    if (!admin_body_str(c, body, "account", GATE_ACCOUNT_MAX_ID, &name))
        return false;
    if (name.len == 0)
        return true;
    *renew = gate_roster_find(c->admin->parts.roster, name);
    if (*renew == NULL)
        admin_refuse(c, 404, "not_found", "account", "There is no account \"%.*s\".", (int)name.len,
                     name.ptr);
    return *renew != NULL;
}

static void start(struct admin_call *c, const cJSON *body)
{
    struct gate_str provider, alias;
    struct gate_member *renew;
    struct gate_error err = {.message = ""};
    if (!admin_body_str(c, body, "provider", GATE_ACCOUNT_MAX_ID, &provider) ||
        !admin_body_str(c, body, "alias", GATE_ACCOUNT_MAX_ALIAS, &alias) ||
        !read_renew(c, body, &renew))
        return;
    if (renew != NULL && alias.len > 0) {
        admin_refuse(c, 400, "invalid_body", "alias",
                     "alias: a renewed account keeps its own; leave it out.");
        return;
    }
    if (provider.len == 0 && renew != NULL)
        provider = gate_str_of(renew->instance->name);
    if (provider.len == 0) {
        admin_refuse(c, 400, "missing_key", "provider",
                     "provider: expected the name of a provider, or account: the one to renew.");
        return;
    }
    struct admin_wait *wait = admin_wait_begin(c);
    if (wait == NULL)
        return;
    enum gate_status status =
        gate_login_start(c->admin->parts.logins, provider, renew, alias, on_begun, wait, &err);
    if (status != GATE_OK)
        admin_wait_refuse(wait, admin_http_status(status), admin_error_code(status), "%s",
                          err.message);
}

void admin_logins_start(struct admin_call *c)
{
    if (!admin_no_params(c))
        return;
    cJSON *body = admin_body(c, "provider|alias|account", false);
    if (body != NULL)
        start(c, body);
    gate_json_tree_free(body);
}

/* ---- looking and cancelling */

static void put_one(void *ctx, const struct gate_login_view *view)
{
    put_login(ctx, NULL, view);
}

void admin_logins_list(struct admin_call *c)
{
    struct gate_buf out;
    if (!admin_no_params(c))
        return;
    gate_buf_init(&out, LOGINS_MAX);
    json_open(&out, NULL, '{');
    json_open(&out, "logins", '[');
    gate_login_each(c->admin->parts.logins, put_one, &out);
    json_close(&out, ']');
    json_close(&out, '}');
    admin_reply(c, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
}

static bool find(struct admin_call *c, struct gate_login_view *view)
{
    if (gate_login_get(c->admin->parts.logins, c->name, view))
        return true;
    admin_refuse(c, 404, "not_found", NULL, "There is no login of that id, or it is long over.");
    return false;
}

void admin_logins_get(struct admin_call *c)
{
    struct gate_login_view view;
    if (admin_no_params(c) && find(c, &view))
        reply_login(c, &view);
}

void admin_logins_cancel(struct admin_call *c)
{
    struct gate_login_view view;
    if (!admin_no_params(c) || !find(c, &view))
        return;
    gate_login_cancel(c->admin->parts.logins, c->name);
    if (find(c, &view))
        reply_login(c, &view);
}
