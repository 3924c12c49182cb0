/* /admin/api: the key or the session is checked here, the rest happens on the control thread, but
 * for chats. The client may leave before the answer comes back. */
#include "serve/serve_internal.h"
#include <stdlib.h>

static const struct gate_str prefix = GATE_STR("/admin/api");

/* A request that waits for its answer. Whoever brings the answer frees it. */
struct serve_forward {
    struct serve_request *request; /* NULL: the client is gone */
};

bool serve_is_admin(struct gate_str path)
{
    return gate_str_starts(path, prefix) && (path.len == prefix.len || path.ptr[prefix.len] == '/');
}

void serve_forward_forget(struct serve_request *r)
{
    if (r->forward != NULL)
        r->forward->request = NULL;
    r->forward = NULL;
}

static void refuse(struct serve_request *r, int status, const char *code, const char *message)
{
    const struct gate_api_error error = {
        .status = status,
        .type = status >= 500 ? GATE_STR("server_error") : GATE_STR("invalid_request_error"),
        .code = gate_str_of(code),
        .message = gate_str_of(message),
    };
    serve_refuse(r, &error, NULL, 0);
}

static void on_reply(void *ctx, int status, struct gate_str json)
{
    struct serve_forward *f = ctx;
    struct serve_request *r = f->request;
    const struct gate_header header = {GATE_STR("cache-control"), GATE_STR("no-store")};
    if (r != NULL) {
        gate_timers_touch(r->conn->listener->env->timers, gate_clock_mono_ms());
        serve_forward_forget(r);
        serve_answer(r, status, GATE_STR("application/json"), &header, 1, json);
    }
    free(f);
}

struct gate_str serve_raw_path(const struct serve_request *r)
{
    struct gate_str path = serve_str(r->req->path);
    if (r->req->query_at != SIZE_MAX)
        path.len = r->req->query_at;
    return path;
}

static void forward(struct serve_request *r)
{
    struct gate_env *env = r->conn->listener->env;
    const h2o_req_t *req = r->req;
    struct gate_str path = serve_raw_path(r), query = {NULL, 0};
    if (!serve_is_admin(path)) {
        refuse(r, 404, "not_found", "Write the address plainly: /admin/api/...");
        return;
    }
    if (req->query_at != SIZE_MAX)
        query = (struct gate_str){req->path.base + req->query_at + 1,
                                  req->path.len - req->query_at - 1};
    path = (struct gate_str){path.ptr + prefix.len, path.len - prefix.len};
    if (gate_str_eq(path, GATE_STR("/events")) && serve_method_is(r, "GET")) {
        serve_events(r);
        return;
    }
    struct serve_forward *f = gate_calloc(1, sizeof *f);
    f->request = r;
    r->forward = f;
    const struct gate_admin_request request = {
        .method = serve_method_is(r, "HEAD") ? GATE_STR("GET") : serve_str(req->method),
        .path = path,
        .query = query,
        .body = serve_str(req->entity),
        .session = gate_str_of(r->session),
    };
    if (env->forward_admin(env, &request, on_reply, f)) {
        serve_watch(r);
        return;
    }
    serve_forward_forget(r);
    free(f);
    refuse(r, 503, "busy", "Too many admin requests wait already. Try again in a moment.");
}

static void refuse_session(struct serve_request *r)
{
    const struct gate_header header = {GATE_STR("www-authenticate"), GATE_STR("Bearer")};
    const struct gate_api_error error = {
        .status = 401,
        .type = GATE_STR("invalid_request_error"),
        .code = GATE_STR("session_expired"),
        .message = GATE_STR("This session is over. Enter the console again, by /<key>/ui or with a "
                            "link of `llm-gate ui-link`."),
    };
    serve_refuse(r, &error, &header, 1);
}

/* By the key, which whoever names one means to be judged by, or by a session of the console. True:
 * go on. Else the request has been answered. */
static bool may_ask(struct serve_request *r, const struct gate_auth *auth)
{
    if (h2o_find_header(&r->req->headers, H2O_TOKEN_AUTHORIZATION, -1) >= 0)
        return serve_check_key(r, auth);
    switch (serve_find_session(r)) {
    case SERVE_SESSION_LIVES:
        return serve_check_origin(r);
    case SERVE_SESSION_OVER:
        refuse_session(r);
        return false;
    case SERVE_SESSION_NONE:
        break;
    }
    return serve_check_key(r, auth);
}

void serve_admin(struct serve_request *r)
{
    const struct gate_listener *l = r->conn->listener;
    char message[96];
    r->own_origin = true;
    if (!may_ask(r, l->admin_auth != NULL ? l->admin_auth : l->auth))
        return;
    if (gate_str_eq(serve_raw_path(r), GATE_STR("/admin/api/chat"))) {
        serve_chat(r); /* a request like those of clients: only max_body bounds it */
        return;
    }
    if (r->req->entity.len <= GATE_ADMIN_MAX_BODY) {
        forward(r);
        return;
    }
    snprintf(message, sizeof message, "The body is larger than %d bytes, the limit here.",
             GATE_ADMIN_MAX_BODY);
    refuse(r, 413, "request_too_large", message);
}
