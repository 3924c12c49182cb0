/* Sessions of the console, and links into it. */
#include "admin/admin_internal.h"
#include "base/clock.h"

enum { MAX_LIST = 128 * 1024, MAX_ONE = 4096 };

static void on_changed(void *ctx)
{
    admin_events_send(ctx, "auth", GATE_STR("{}"));
}

void admin_sessions_start(struct gate_admin *a)
{
    gate_sessions_listen(a->parts.sessions, on_changed, a);
}

void admin_sessions_stop(struct gate_admin *a)
{
    gate_sessions_listen(a->parts.sessions, NULL, NULL);
}

/* ---- looking */

static bool is_current(const struct admin_call *c, const struct gate_session_view *v)
{
    return gate_str_eq(c->session, gate_str_of(v->id));
}

static void put_session(const struct admin_call *c, struct gate_buf *out, const char *name,
                        const struct gate_session_view *v)
{
    json_open(out, name, '{');
    json_text(out, "id", v->id);
    json_num(out, "created", v->created_ms);
    json_num(out, "last_seen", v->last_seen_ms);
    json_num(out, "expires", v->expires_ms);
    json_text_or_null(out, "peer", v->peer);
    json_text_or_null(out, "agent", v->agent);
    json_bool(out, "current", is_current(c, v));
    json_close(out, '}');
}

static size_t list_all(const struct admin_call *c, struct gate_session_view **out)
{
    *out = gate_alloc(GATE_SESSIONS_MAX * sizeof **out);
    return gate_sessions_list(c->admin->parts.sessions, gate_clock_wall_ms(), *out);
}

void admin_session(struct admin_call *c)
{
    struct gate_session_view *all, *mine = NULL;
    struct gate_buf out;
    if (!admin_no_params(c))
        return;
    size_t count = list_all(c, &all);
    for (size_t i = 0; i < count; i++)
        if (is_current(c, &all[i]))
            mine = &all[i];
    gate_buf_init(&out, MAX_ONE);
    json_open(&out, NULL, '{');
    if (mine != NULL)
        put_session(c, &out, "session", mine);
    else
        json_null(&out, "session");
    json_close(&out, '}');
    admin_reply(c, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
    free(all);
}

void admin_sessions_list(struct admin_call *c)
{
    struct gate_session_view *all;
    struct gate_buf out;
    if (!admin_no_params(c))
        return;
    size_t count = list_all(c, &all);
    gate_buf_init(&out, MAX_LIST);
    json_open(&out, NULL, '{');
    json_open(&out, "sessions", '[');
    for (size_t i = 0; i < count; i++)
        put_session(c, &out, NULL, &all[i]);
    json_close(&out, ']');
    json_close(&out, '}');
    admin_reply(c, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
    free(all);
}

/* ---- ending */

static void reply_ended(struct admin_call *c, enum gate_status status, size_t count,
                        const struct gate_error *err)
{
    char json[64];
    if (status == GATE_ENOTFOUND) {
        admin_refuse(c, 404, "not_found", NULL, "There is no session of that id.");
    } else if (status != GATE_OK) {
        admin_refuse(c, 503, "unavailable", NULL,
                     "It has ended, but storage does not take that: a restart could bring it back. "
                     "%s",
                     err->message);
    } else {
        int len = snprintf(json, sizeof json, "{\"ended\":%zu}", count);
        admin_reply(c, 200, (struct gate_str){json, (size_t)len});
    }
}

void admin_sessions_end(struct admin_call *c)
{
    struct gate_error err = {.message = ""};
    bool own = gate_str_eq(c->name, GATE_STR("current"));
    if (!admin_no_params(c))
        return;
    enum gate_status status = gate_sessions_end(
        c->admin->parts.sessions, own ? c->session : c->name, gate_clock_wall_ms(), &err);
    reply_ended(c, status, 1, &err);
}

void admin_sessions_end_others(struct admin_call *c)
{
    struct gate_error err = {.message = ""};
    size_t count;
    if (!admin_no_params(c))
        return;
    enum gate_status status = gate_sessions_end_others(c->admin->parts.sessions, c->session,
                                                       gate_clock_wall_ms(), &count, &err);
    reply_ended(c, status, count, &err);
}

/* ---- links */

void admin_links_add(struct admin_call *c)
{
    char token[GATE_CONSOLE_TOKEN + 1], path[sizeof "/ui/enter/" + GATE_CONSOLE_TOKEN];
    struct gate_buf out;
    if (c->session.len > 0) {
        admin_refuse(c, 403, "key_required", NULL,
                     "A link is made with the key: send it as a bearer token, or run `llm-gate "
                     "ui-link`.");
        return;
    }
    cJSON *body = admin_no_params(c) ? admin_body(c, "", true) : NULL;
    if (body == NULL)
        return;
    gate_json_tree_free(body);
    uint64_t expires_ms = gate_sessions_link(c->admin->parts.sessions, gate_clock_wall_ms(), token);
    snprintf(path, sizeof path, "/ui/enter/%s", token);
    gate_buf_init(&out, MAX_ONE);
    json_open(&out, NULL, '{');
    json_open(&out, "link", '{');
    json_text(&out, "path", path);
    json_num(&out, "expires", expires_ms);
    json_close(&out, '}');
    json_close(&out, '}');
    admin_reply(c, 201, gate_buf_str(&out));
    gate_buf_wipe(&out);
    gate_wipe(token, sizeof token);
    gate_wipe(path, sizeof path);
}
