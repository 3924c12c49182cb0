#include "base/json.h"
#include "serve/serve_internal.h"

enum { MAX_LISTING = 8 << 20, MAX_LOGGED = 96 };

bool serve_method_is(const struct serve_request *r, const char *method)
{
    return h2o_memis(r->req->method.base, r->req->method.len, method, strlen(method));
}

static bool is_get(const struct serve_request *r)
{
    return serve_method_is(r, "GET") || serve_method_is(r, "HEAD");
}

void serve_refuse_method(struct serve_request *r, const char *allow)
{
    char message[GATE_REFUSAL_TEXT];
    struct gate_api_error error;
    struct gate_header header = {GATE_STR("allow"), gate_str_of(allow)};
    gate_refusal_method(header.value, message, sizeof message, &error);
    serve_refuse(r, &error, &header, 1);
}

static void refuse_not_found(struct serve_request *r)
{
    struct gate_api_error error;
    gate_refusal_not_found(&error);
    serve_refuse(r, &error, NULL, 0);
}

bool serve_check_key(struct serve_request *r, const struct gate_auth *auth)
{
    h2o_req_t *req = r->req;
    ssize_t i = h2o_find_header(&req->headers, H2O_TOKEN_AUTHORIZATION, -1);
    struct gate_str value =
        i < 0 ? (struct gate_str){NULL, 0} : serve_str(req->headers.entries[i].value);
    enum gate_auth_result result = gate_auth_bearer(auth, value);
    if (result == GATE_AUTH_OK)
        return true;
    struct gate_api_error error;
    struct gate_header header = {GATE_STR("www-authenticate"), GATE_STR("Bearer")};
    if (result == GATE_AUTH_MISSING)
        gate_refusal_no_key(&error);
    else
        gate_refusal_wrong_key(&error);
    serve_refuse(r, &error, &header, 1);
    return false;
}

static struct gate_str find_header(const struct serve_request *r, const char *name, size_t len)
{
    ssize_t i = h2o_find_header_by_str(&r->req->headers, name, len, -1);
    return i < 0 ? (struct gate_str){NULL, 0} : serve_str(r->req->headers.entries[i].value);
}

/* x-gate-explain: 1 shows the decision to whoever has the admin's key, which is the client's own
 * unless there is one of its own. True: go on. Else the request has been answered. */
static bool check_explain(struct serve_request *r)
{
    const struct gate_auth *admin = r->conn->listener->admin_auth;
    struct gate_str wanted = find_header(r, H2O_STRLIT("x-gate-explain"));
    if (wanted.ptr == NULL || gate_str_eq(wanted, GATE_STR("0")))
        return true;
    r->explain = admin == NULL ||
                 gate_auth_key_matches(admin, find_header(r, H2O_STRLIT("x-gate-admin-key")));
    if (r->explain)
        return true;
    const struct gate_api_error error = {
        .status = 403,
        .type = GATE_STR("permission_error"),
        .code = GATE_STR("admin_key_required"),
        .message = GATE_STR("x-gate-explain shows accounts, so it needs the admin key: send it as "
                            "x-gate-admin-key, or leave x-gate-explain out."),
    };
    serve_refuse(r, &error, NULL, 0);
    return false;
}

/* Any origin, no credentials: browsers may call the API with a key of their own. */
static void answer_preflight(struct serve_request *r)
{
    ssize_t i =
        h2o_find_header_by_str(&r->req->headers, H2O_STRLIT("access-control-request-headers"), -1);
    struct gate_header headers[] = {
        {GATE_STR("access-control-allow-methods"), GATE_STR("GET, POST, OPTIONS")},
        {GATE_STR("access-control-allow-headers"),
         i < 0 ? GATE_STR("authorization, content-type")
               : serve_str(r->req->headers.entries[i].value)},
        {GATE_STR("access-control-max-age"), GATE_STR("86400")},
    };
    serve_answer(r, 204, (struct gate_str){NULL, 0}, headers, sizeof headers / sizeof headers[0],
                 (struct gate_str){NULL, 0});
}

/* ---- GET /v1/models */

struct listing {
    struct gate_buf json;
    struct gate_str wanted; /* one model, or empty for all */
    uint64_t created;
    size_t count;
};

static void put_model(void *ctx, struct gate_str model, const struct gate_instance *owner)
{
    struct listing *l = ctx;
    if (l->wanted.len > 0 && !gate_str_eq(l->wanted, model))
        return;
    if (l->count++ > 0)
        gate_buf_append_byte(&l->json, ',');
    gate_buf_append(&l->json, GATE_STR("{\"id\":"));
    gate_json_put(&l->json, model);
    gate_buf_printf(&l->json, ",\"object\":\"model\",\"created\":%llu,\"owned_by\":",
                    (unsigned long long)l->created);
    gate_json_put(&l->json, gate_str_of(owner->name));
    gate_buf_append_byte(&l->json, '}');
}

static void answer_models(struct serve_request *r, struct gate_str wanted)
{
    struct gate_env *env = r->conn->listener->env;
    struct listing l = {.wanted = wanted, .created = env->started_ms / 1000};
    gate_buf_init(&l.json, MAX_LISTING);
    if (wanted.len == 0)
        gate_buf_append(&l.json, GATE_STR("{\"object\":\"list\",\"data\":["));
    gate_pool_each_model(gate_env_pool(env), env->script->script, env->script->generation,
                         put_model, &l);
    if (wanted.len > 0 && l.count == 0) {
        char message[GATE_REFUSAL_TEXT];
        struct gate_api_error error;
        gate_refusal_unknown_model(gate_env_pool(env), env->script, wanted, wanted, message,
                                   sizeof message, &error);
        serve_refuse(r, &error, NULL, 0);
    } else {
        if (wanted.len == 0)
            gate_buf_append(&l.json, GATE_STR("]}"));
        serve_answer(r, 200, GATE_STR("application/json"), NULL, 0, gate_buf_str(&l.json));
    }
    gate_buf_finish(&l.json);
}

/* ---- GET / and GET /health */

static void answer_health(struct serve_request *r)
{
    struct gate_listener *l = r->conn->listener;
    char json[256];
    int n = snprintf(json, sizeof json,
                     "{\"status\":\"%s\",\"version\":\"" GATE_VERSION "\",\"uptime_seconds\":%llu}",
                     l->draining ? "draining" : "ok",
                     (unsigned long long)((gate_clock_wall_ms() - l->env->started_ms) / 1000));
    serve_answer(r, l->draining ? 503 : 200, GATE_STR("application/json"), NULL, 0,
                 (struct gate_str){json, (size_t)n});
}

static void answer_root(struct serve_request *r)
{
    serve_answer(r, 200, GATE_STR("application/json"), NULL, 0,
                 GATE_STR("{\"name\":\"llm-gate\",\"version\":\"" GATE_VERSION
                          "\",\"endpoints\":[\"POST /v1/chat/completions\",\"POST "
                          "/v1/tools/web_search\",\"GET /v1/models\",\"GET /health\"]}"));
}

/* ---- dispatch */

static void dispatch_v1(struct serve_request *r, struct gate_str path)
{
    struct gate_env *env = r->conn->listener->env;
    const struct gate_dialect_ops *dialect = gate_pool_dialect(gate_env_pool(env), path);
    bool models = gate_str_eq(path, GATE_STR("/v1/models"));
    bool one_model =
        gate_str_starts(path, GATE_STR("/v1/models/")) && path.len > sizeof "/v1/models/" - 1;
    if (serve_method_is(r, "OPTIONS")) {
        answer_preflight(r);
    } else if (!serve_check_key(r, r->conn->listener->auth)) {
        return;
    } else if (dialect != NULL) {
        if (!serve_method_is(r, "POST"))
            serve_refuse_method(r, "POST, OPTIONS");
        else if (check_explain(r))
            serve_start_exchange(r, &(struct serve_start){.dialect = dialect});
    } else if (gate_str_eq(path, GATE_STR("/v1/tools/web_search"))) {
        if (!serve_method_is(r, "POST"))
            serve_refuse_method(r, "POST, OPTIONS");
        else if (check_explain(r))
            serve_web_search(r);
    } else if (models || one_model) {
        size_t prefix = sizeof "/v1/models/" - 1;
        if (!is_get(r))
            serve_refuse_method(r, "GET, HEAD, OPTIONS");
        else
            answer_models(r, models ? (struct gate_str){NULL, 0}
                                    : (struct gate_str){path.ptr + prefix, path.len - prefix});
    } else {
        refuse_not_found(r);
    }
}

static bool is_known(struct gate_str path)
{
    return gate_str_starts(path, GATE_STR("/v1/")) || gate_str_eq(path, GATE_STR("/")) ||
           gate_str_eq(path, GATE_STR("/health")) || serve_is_admin(path);
}

/* What the log may show of a path: no more than a line's worth, and nothing of an address that is
 * not known, as the key may be in it. */
static struct gate_str loggable(struct gate_str path)
{
    if (!is_known(path))
        return GATE_STR("/[unknown]");
    return (struct gate_str){path.ptr, path.len < MAX_LOGGED ? path.len : MAX_LOGGED};
}

void serve_dispatch(struct serve_request *r)
{
    struct gate_str path = serve_str(r->req->path_normalized);
    r->log_path = loggable(path);
    if (gate_str_starts(path, GATE_STR("/v1/"))) {
        dispatch_v1(r, path);
    } else if (serve_is_admin(path)) {
        serve_admin(r);
    } else if (gate_str_eq(path, GATE_STR("/health")) || gate_str_eq(path, GATE_STR("/"))) {
        if (serve_method_is(r, "OPTIONS"))
            answer_preflight(r);
        else if (!is_get(r))
            serve_refuse_method(r, "GET, HEAD, OPTIONS");
        else if (path.len == 1)
            answer_root(r);
        else
            answer_health(r);
    } else if (!serve_console(r, path)) {
        serve_refuse_unknown(r);
    }
}

void gate_serve_configure(h2o_globalconf_t *conf, const struct gate_config *config)
{
    enum { REQUEST_MS = 24 * 3600 * 1000 };
    h2o_config_init(conf);
    conf->server_name = h2o_iovec_init(NULL, 0);
    conf->max_request_entity_size = config->max_body;
    /* The listener's sweep keeps the clocks of connections: libh2o has one timer for heads, bodies
     * and idleness, and closes without a word. */
    conf->http1.req_timeout = REQUEST_MS;
    conf->http1.upgrade_to_http2 = 0;
    /* libh2o would put large bodies into files under /tmp: prompts stay in memory, bounded by
     * max_body. */
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX;
    h2o_hostconf_t *host =
        h2o_config_register_host(conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = serve_on_request;
    serve_http_errors_register(&host->fallback_path, config->max_body);
}
