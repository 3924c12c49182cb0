/* POST /v1/tools/web_search: {"query": "...", "rows": 10}. */
#include "base/json_tree.h"
#include "serve/serve_internal.h"

enum { MAX_BODY = 64 * 1024, MAX_CHARACTERS = 2000, MAX_ROWS = 100, DEFAULT_ROWS = 10 };

static void refuse(struct serve_request *r, int status, const char *code, const char *param,
                   const char *message)
{
    const struct gate_api_error error = {
        .status = status,
        .type = GATE_STR("invalid_request_error"),
        .code = gate_str_of(code),
        .param = gate_str_of(param),
        .message = gate_str_of(message),
    };
    serve_refuse(r, &error, NULL, 0);
}

/* Characters of valid UTF-8. */
static size_t count_characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* False: refused. */
static bool read_search(struct serve_request *r, const cJSON *body, struct serve_search *out)
{
    const char *unknown = gate_json_tree_unknown(body, "query|rows");
    const cJSON *query = cJSON_GetObjectItemCaseSensitive(body, "query");
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(body, "rows");
    uint64_t count = DEFAULT_ROWS;
    char message[GATE_REFUSAL_TEXT];
    if (unknown != NULL) {
        snprintf(message, sizeof message,
                 "\"%.64s\" is not known here. A search has query and rows.", unknown);
        refuse(r, 400, "unknown_parameter", unknown, message);
        return false;
    }
    if (query == NULL) {
        refuse(r, 400, "missing_parameter", "query", "\"query\" is missing.");
        return false;
    }
    size_t characters = cJSON_IsString(query) ? count_characters(query->valuestring) : 0;
    if (characters == 0 || characters > MAX_CHARACTERS) {
        snprintf(message, sizeof message, "\"query\" must be a string of 1 to %d characters.",
                 MAX_CHARACTERS);
        refuse(r, 400, "invalid_value", "query", message);
        return false;
    }
    if (rows != NULL && !gate_json_tree_whole(rows, 1, MAX_ROWS, &count)) {
        snprintf(message, sizeof message, "\"rows\" must be a whole number from 1 to %d.",
                 MAX_ROWS);
        refuse(r, 400, "invalid_value", "rows", message);
        return false;
    }
    h2o_iovec_t text = h2o_strdup(&r->req->pool, query->valuestring, strlen(query->valuestring));
    *out = (struct serve_search){.query = serve_str(text), .rows = (uint32_t)count};
    return true;
}

void serve_web_search(struct serve_request *r)
{
    struct gate_str body = serve_str(r->req->entity);
    struct serve_search search;
    char reason[GATE_JSON_TREE_REASON], message[GATE_REFUSAL_TEXT];
    if (body.len > MAX_BODY) {
        snprintf(message, sizeof message, "The body is larger than %d bytes, the limit here.",
                 MAX_BODY);
        refuse(r, 413, "request_too_large", NULL, message);
        return;
    }
    cJSON *tree = gate_json_tree_parse(body, reason);
    if (tree == NULL) {
        snprintf(message, sizeof message, "The request body is not valid: %s.", reason);
        refuse(r, 400, "invalid_json", NULL, message);
        return;
    }
    bool fine = read_search(r, tree, &search);
    gate_json_tree_free(tree);
    const struct serve_start start = {
        .dialect = gate_pool_default_dialect(gate_env_pool(r->conn->listener->env)),
        .search = &search,
    };
    if (fine)
        serve_start_exchange(r, &start);
}
