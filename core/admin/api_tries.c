/* POST /scripts/dry-run and /scripts/route: what scripts would decide. Nothing is sent upstream. */
#include "admin/admin_internal.h"

enum { MAX_ANSWER = 12 << 20, DRY_RUN_DEFAULT = 1000, MAX_ROWS = 200, MAX_HEADERS = 16 };

/* Says what is wrong first: the commands show no more than this. */
static void put_wrong_scripts(struct gate_buf *out, const struct gate_problems *problems)
{
    enum { ROOM = GATE_PROBLEM_FILE + GATE_PROBLEM_TEXT + 64 };
    char text[ROOM] = "The scripts have errors.";
    for (size_t i = 0; i < problems->kept; i++) {
        const struct gate_problem *p = &problems->list[i];
        if (p->severity != GATE_SEVERITY_ERROR)
            continue;
        snprintf(text, sizeof text, "The scripts have errors. The first: %s:%u: %s", p->file,
                 p->line, p->message);
        break;
    }
    json_error(out, 422, "invalid_scripts", NULL, text);
}

/* ---- dry run */

static void on_dry_run(void *ctx, enum gate_status status, const struct gate_live_report *report,
                       const struct gate_dry_run *dry)
{
    int http = status == GATE_OK ? 200 : status == GATE_EINVAL ? 422 : admin_http_status(status);
    struct gate_buf out;
    gate_buf_init(&out, MAX_ANSWER);
    json_open(&out, NULL, '{');
    if (dry != NULL) {
        struct gate_buf json;
        gate_buf_init(&json, MAX_ANSWER);
        gate_dry_run_json(dry, &json);
        json_raw(&out, "dry_run", gate_buf_str(&json));
        gate_buf_finish(&json);
    } else if (http == 422) {
        put_wrong_scripts(&out, &report->problems);
    } else {
        json_error(&out, http, admin_error_code(status), NULL, "The scripts cannot be tried.");
    }
    admin_put_report(&out, "report", report);
    json_close(&out, '}');
    admin_wait_end(ctx, http, gate_buf_str(&out));
    gate_buf_finish(&out);
}

void admin_scripts_dry_run(struct admin_call *c)
{
    struct gate_sources sources = {.files = NULL};
    uint64_t count = DRY_RUN_DEFAULT;
    cJSON *body = admin_body(c, "files|complete|requests", true);
    if (body == NULL)
        return;
    const cJSON *requests = cJSON_GetObjectItemCaseSensitive(body, "requests");
    if (requests != NULL && !gate_json_tree_whole(requests, 1, GATE_DRY_RUN_MAX, &count)) {
        admin_refuse(c, 400, "invalid_value", "requests",
                     "requests: expected a whole number from 1 to %d.", GATE_DRY_RUN_MAX);
    } else if (admin_body_sources(c, body, &sources)) {
        struct admin_wait *wait = admin_wait_begin(c);
        if (wait != NULL)
            gate_live_dry_run(c->admin->parts.live, &sources, (size_t)count, MAX_ROWS, on_dry_run,
                              wait);
    }
    gate_sources_finish(&sources);
    gate_json_tree_free(body);
}

/* ---- one decision */

static bool read_whole(struct admin_call *c, const cJSON *body, const char *name, uint64_t *out)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(body, name);
    if (value == NULL || gate_json_tree_whole(value, 0, 9e15, out))
        return true;
    admin_refuse(c, 400, "invalid_value", name, "%s: expected a whole number.", name);
    return false;
}

static bool read_flag(struct admin_call *c, const cJSON *body, const char *name, bool *out)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(body, name);
    *out = cJSON_IsTrue(value);
    if (value == NULL || cJSON_IsBool(value))
        return true;
    admin_refuse(c, 400, "invalid_type", name, "%s: expected true or false.", name);
    return false;
}

static bool read_headers(struct admin_call *c, const cJSON *body, struct gate_header *out,
                         size_t *count)
{
    const cJSON *headers = cJSON_GetObjectItemCaseSensitive(body, "headers"), *h;
    bool fine = headers == NULL || cJSON_IsObject(headers);
    *count = 0;
    cJSON_ArrayForEach(h, headers)
    {
        fine = fine && cJSON_IsString(h) && *count < MAX_HEADERS;
        if (fine)
            out[(*count)++] =
                (struct gate_header){gate_str_of(h->string), gate_str_of(h->valuestring)};
    }
    for (size_t i = 0; i < *count; i++)
        for (char *p = (char *)(uintptr_t)out[i].name.ptr; *p != '\0'; p++)
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p - 'A' + 'a'); /* scripts ask for them so */
    if (!fine)
        admin_refuse(c, 400, "invalid_value", "headers",
                     "headers: expected an object of at most %d strings.", MAX_HEADERS);
    return fine;
}

static bool read_request(struct admin_call *c, const cJSON *body, struct gate_route_view *view,
                         struct gate_request_facts *facts, struct gate_header *headers)
{
    uint64_t messages = 1, tools = 0, max_tokens = 0, tokens = 0, bytes = 0;
    if (!admin_body_str(c, body, "model", GATE_SCRIPT_MAX_NAME, &view->model) ||
        !admin_body_str(c, body, "key", 256, &view->key_name) ||
        !admin_body_str(c, body, "path", 256, &view->path) ||
        !read_flag(c, body, "stream", &facts->stream) ||
        !read_flag(c, body, "has_images", &facts->has_images) ||
        !read_whole(c, body, "messages", &messages) || !read_whole(c, body, "tools", &tools) ||
        !read_whole(c, body, "max_tokens", &max_tokens) ||
        !read_whole(c, body, "prompt_tokens", &tokens) ||
        !read_whole(c, body, "body_bytes", &bytes) ||
        !read_headers(c, body, headers, &view->header_count))
        return false;
    if (view->model.len == 0) {
        admin_refuse(c, 400, "missing_parameter", "model", "model: expected the name of a model.");
        return false;
    }
    facts->message_count = messages < UINT32_MAX ? (uint32_t)messages : UINT32_MAX;
    facts->tool_count = tools < UINT32_MAX ? (uint32_t)tools : UINT32_MAX;
    facts->max_tokens = max_tokens;
    view->body_bytes = (size_t)(bytes > 0 ? bytes : tokens * 4); /* as req.prompt_tokens counts */
    view->facts = facts;
    view->headers = headers;
    if (view->key_name.len == 0)
        view->key_name = GATE_STR("default");
    if (view->path.len == 0)
        view->path = GATE_STR("/v1/chat/completions");
    return true;
}

/* What decides: the scripts that run, or a draft. NULL: refused. */
static struct gate_candidate *candidate_of(struct admin_call *c, const cJSON *body)
{
    struct gate_live *l = c->admin->parts.live;
    const struct gate_running *r = gate_live_running(l);
    struct gate_candidate *out = NULL;
    struct gate_error err = {.message = ""};
    struct gate_sources sources = {.files = NULL};
    struct gate_problems problems = {.list = NULL};
    if (cJSON_GetObjectItemCaseSensitive(body, "files") == NULL) {
        if (gate_candidate_of_running(r->config, r->pool, r->generation, &out, &err) != GATE_OK)
            admin_refuse_error(c, &err);
        return out;
    }
    if (!admin_body_sources(c, body, &sources))
        return NULL;
    if (gate_live_try(l, &sources, &out, &problems) != GATE_OK) {
        struct gate_buf json;
        gate_buf_init(&json, MAX_ANSWER);
        json_open(&json, NULL, '{');
        put_wrong_scripts(&json, &problems);
        admin_put_problems(&json, "problems", &problems);
        json_close(&json, '}');
        admin_reply(c, 422, gate_buf_str(&json));
        gate_buf_finish(&json);
    }
    gate_problems_finish(&problems);
    gate_sources_finish(&sources);
    return out;
}

static void decide(struct admin_call *c, const struct gate_candidate *candidate,
                   const struct gate_route_view *view, uint64_t now_ms)
{
    struct gate_live *l = c->admin->parts.live;
    struct gate_trace_accounts *accounts = gate_live_accounts(l);
    struct gate_simulated *s = gate_alloc(sizeof *s);
    struct gate_buf out, json;
    const struct gate_simulate_input in = {
        .request = *view,
        .accounts = accounts,
        .policy = gate_generation_policy(gate_live_running(l)->generation),
        .now_ms = now_ms,
    };
    gate_simulate(candidate, &in, s);
    gate_buf_init(&out, MAX_ANSWER);
    gate_buf_init(&json, MAX_ANSWER);
    gate_simulated_json(s, &json);
    json_open(&out, NULL, '{');
    json_num_or_null(&out, "generation", gate_generation_number(candidate->generation));
    json_raw(&out, "decision", gate_buf_str(&json));
    json_close(&out, '}');
    admin_reply(c, 200, gate_buf_str(&out));
    gate_buf_finish(&json);
    gate_buf_finish(&out);
    gate_trace_accounts_release(accounts);
    free(s);
}

void admin_scripts_route(struct admin_call *c)
{
    struct gate_route_view view = {.model = {NULL, 0}};
    struct gate_request_facts facts = {.depth = 3};
    struct gate_header headers[MAX_HEADERS];
    uint64_t now_ms = 0;
    cJSON *body = admin_body(c,
                             "files|complete|now|model|stream|messages|tools|has_images|body_bytes|"
                             "prompt_tokens|max_tokens|key|path|headers",
                             false);
    if (body == NULL)
        return;
    if (read_request(c, body, &view, &facts, headers) && read_whole(c, body, "now", &now_ms)) {
        struct gate_candidate *candidate = candidate_of(c, body);
        if (candidate != NULL)
            decide(c, candidate, &view, now_ms);
        gate_candidate_destroy(candidate);
    }
    gate_json_tree_free(body);
}
