/* POST /admin/api/chat: a chat request of the console, and of whoever has the admin's key. It takes
 * the way of every request, on this worker, and is always explained. */
#include "serve/serve_internal.h"

static void refuse_stage(struct serve_request *r)
{
    const struct gate_api_error error = {
        .status = 404,
        .type = GATE_STR("invalid_request_error"),
        .param = GATE_STR("x-gate-stage"),
        .code = GATE_STR("unknown_stage"),
        .message =
            GATE_STR("There is no stage of that id, or not any more: stage the scripts again "
                     "(POST /admin/api/scripts/stage)."),
    };
    serve_refuse(r, &error, NULL, 0);
}

/* x-gate-stage: the draft that decides. False: there is none of that id. */
static bool find_stage(const struct serve_request *r, struct gate_stage_pin **out)
{
    struct gate_env *env = r->conn->listener->env;
    const h2o_headers_t *headers = &r->req->headers;
    ssize_t i = h2o_find_header_by_str(headers, H2O_STRLIT("x-gate-stage"), -1);
    *out = NULL;
    if (i < 0)
        return true;
    *out = gate_stage_find(env, serve_str(headers->entries[i].value), gate_clock_wall_ms());
    return *out != NULL;
}

void serve_chat(struct serve_request *r)
{
    const struct gate_pool *pool = gate_env_pool(r->conn->listener->env);
    const struct gate_dialect_ops *dialect = gate_pool_default_dialect(pool);
    struct gate_stage_pin *stage;
    if (!serve_method_is(r, "POST")) {
        serve_refuse_method(r, "POST");
        return;
    }
    if (!find_stage(r, &stage)) {
        refuse_stage(r);
        return;
    }
    r->explain = true;
    const struct serve_start start = {
        .dialect = dialect,
        .stage = stage,
        .path = gate_str_of(dialect->client_path), /* scripts decide as for every client */
        .key_name = GATE_STR("console"),
    };
    serve_start_exchange(r, &start);
}
