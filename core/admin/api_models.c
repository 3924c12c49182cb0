#include "admin/admin_internal.h"
#include "base/clock.h"

/* GET /accounts/{id}/models: what the service lists for this account, asked with its credential. It
 * counts nowhere and changes nothing but an expired token, which is refreshed first. */

enum {
    TIMEOUT_MS = 30 * 1000,
    MAX_MODEL = 256,
    ROOM = 8 * MAX_MODEL, /* a name in JSON, and the ends of the answer */
};

/* One question on its way. */
struct admin_listing {
    struct admin_listing *prev, *next; /* while a call is in flight */
    struct admin_wait *wait;
    struct gate_admin *admin;
    char id[GATE_ACCOUNT_MAX_ID + 1];
    struct gate_account *account; /* retained, as is the attachment */
    struct gate_attachment *attachment;
    struct gate_control_call *call;
};

static void destroy(struct admin_listing *l)
{
    gate_attachment_release(l->attachment);
    gate_account_release(l->account);
    free(l);
}

static void unlink_listing(struct admin_listing *l)
{
    if (l->prev != NULL)
        l->prev->next = l->next;
    else
        l->admin->listings = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
}

/* ---- the end */

/* The provider has no list, the service refuses the credential, or it gave no list. */
static void refuse(struct admin_listing *l, const struct gate_error *err)
{
    int status = 503;
    const char *code = "unavailable";
    if (err->status == GATE_ENOTFOUND) {
        status = 404;
        code = "no_models";
    } else if (err->status == GATE_EDENIED) {
        status = 409;
        code = "denied";
    }
    admin_wait_refuse(l->wait, status, code, "The service did not list its models for %s: %s",
                      l->id, err->message);
    destroy(l);
}

static void put_model(void *ctx, struct gate_str model)
{
    struct gate_buf *out = ctx;
    if (model.len > 0 && model.len <= MAX_MODEL && out->len < GATE_ADMIN_MAX_ANSWER - ROOM)
        json_str(out, NULL, model);
}

static void on_answer(void *ctx, const struct gate_answer *lent)
{
    struct admin_listing *l = ctx;
    const struct gate_instance *i = l->attachment->instance;
    struct gate_answer answer = *lent;
    struct gate_error err = {.message = ""};
    struct gate_buf out;
    unlink_listing(l);
    answer.account = l->attachment->state;
    gate_buf_init(&out, GATE_ADMIN_MAX_ANSWER);
    json_open(&out, NULL, '{');
    json_open(&out, "models", '[');
    enum gate_status status = i->ops->models_parse(i->state, &answer, put_model, &out, &err);
    json_close(&out, ']');
    json_close(&out, '}');
    if (status == GATE_OK) {
        admin_wait_end(l->wait, 200, gate_buf_str(&out));
        destroy(l);
    } else {
        err.status = status;
        refuse(l, &err);
    }
    gate_buf_finish(&out);
}

/* ---- sending */

static enum gate_status build(const struct admin_listing *l, struct gate_built *request,
                              struct gate_error *err)
{
    struct gate_builder builder;
    const struct gate_instance *i = l->attachment->instance;
    gate_builder_init(&builder, GATE_STR(""), request);
    enum gate_status status =
        i->ops->models_request(i->state, l->attachment->state, &builder.ops, err);
    if (status != GATE_OK) {
        gate_built_finish(request);
        return status;
    }
    return gate_builder_end(&builder, GATE_STR(""), i->plugin->name, err);
}

/* Takes the credential as it is now. */
static void ask(struct admin_listing *l, const struct gate_member *m)
{
    struct gate_admin *a = l->admin;
    struct gate_error err = {.message = ""};
    struct gate_built request;
    l->attachment = m->attachment;
    gate_attachment_retain(l->attachment);
    enum gate_status status = build(l, &request, &err);
    if (status != GATE_OK) {
        err.status = status;
        refuse(l, &err);
        return;
    }
    l->call = gate_control_send(a->parts.control, &request, TIMEOUT_MS, on_answer, l);
    gate_built_finish(&request);
    l->next = a->listings;
    if (l->next != NULL)
        l->next->prev = l;
    a->listings = l;
}

/* ---- the beginning */

static void on_refreshed(void *arg, enum gate_status status, const char *why)
{
    struct admin_listing *l = arg;
    struct gate_member *m = NULL;
    if (l->wait->admin != NULL)
        m = gate_roster_find(l->admin->parts.roster, gate_str_of(l->id));
    if (status == GATE_OK && m != NULL && m->account == l->account && m->attachment != NULL) {
        ask(l, m);
        return;
    }
    const char *code = "not_found";
    int http = status == GATE_OK ? 404 : admin_refresh_status(status, &code);
    admin_wait_refuse(l->wait, http, code,
                      "Not asked: the token of %s has expired and was not refreshed: %s", l->id,
                      why[0] != '\0' ? why : "no reason is known");
    destroy(l);
}

static void start(struct admin_call *c, struct gate_member *m)
{
    struct admin_wait *wait = admin_wait_begin(c);
    if (wait == NULL)
        return;
    struct admin_listing *l = gate_calloc(1, sizeof *l);
    l->wait = wait;
    l->admin = c->admin;
    l->account = m->account;
    gate_account_retain(l->account);
    snprintf(l->id, sizeof l->id, "%s", m->account->id);
    uint64_t expires = m->attachment->expires_at_ms;
    if (expires != 0 && expires <= gate_clock_wall_ms())
        gate_credentials_refresh_now(c->admin->parts.credentials, m, on_refreshed, l);
    else
        ask(l, m);
}

/* The address of an account whose id ends in "/models" is that account's own. */
static bool is_account(struct admin_call *c)
{
    char id[GATE_ACCOUNT_MAX_ID + 1];
    int n = snprintf(id, sizeof id, "%.*s/models",
                     (int)(c->name.len < sizeof id ? c->name.len : sizeof id), c->name.ptr);
    struct gate_member *m = n > 0 && (size_t)n < sizeof id
                                ? gate_roster_find(c->admin->parts.roster, gate_str_of(id))
                                : NULL;
    if (m == NULL)
        return false;
    c->name = gate_str_of(m->account->id);
    admin_accounts_get(c);
    return true;
}

void admin_accounts_models(struct admin_call *c)
{
    if (is_account(c))
        return;
    struct gate_member *m = admin_no_params(c) ? admin_member(c) : NULL;
    if (m == NULL || !admin_is_there(c, m))
        return;
    const struct gate_instance *i = m->instance;
    if (i->ops->models_request == NULL || i->ops->models_parse == NULL)
        admin_refuse(c, 404, "no_models", NULL, "The provider %s cannot ask what it serves.",
                     i->name);
    else if (m->attachment == NULL)
        admin_refuse(c, 409, "no_credential", NULL, "The credential of %s does not work: %s",
                     m->account->id, m->problem.message);
    else
        start(c, m);
}

void admin_listings_cancel(struct gate_admin *a)
{
    while (a->listings != NULL) {
        struct admin_listing *l = a->listings;
        gate_control_cancel(l->call);
        unlink_listing(l);
        admin_wait_end(l->wait, 503, GATE_STR("")); /* was answered */
        destroy(l);
    }
}
