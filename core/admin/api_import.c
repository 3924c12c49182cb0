#include "admin/admin_internal.h"
#include "base/json.h"
#include <openssl/evp.h>

enum { FINGERPRINT = 32, MAX_SECRET = 64 * 1024 };

/* ---- what is known already */

struct admin_known {
    size_t count, room;
    struct known {
        const struct gate_member *member;
        unsigned char fingerprint[FINGERPRINT];
    } * list;
};

/* A login is its refresh token: access tokens come and go. Others are their whole text. */
static void fingerprint(struct gate_str secret, unsigned char out[FINGERPRINT])
{
    struct gate_str token, value = secret;
    char *text = gate_alloc(MAX_SECRET + 1);
    size_t len = 0;
    while (secret.len > 0 && strchr(" \t\r\n", secret.ptr[0]) != NULL)
        secret = (struct gate_str){secret.ptr + 1, secret.len - 1};
    if (secret.len > 0 && secret.ptr[0] == '{' &&
        gate_json_member(secret, GATE_STR("refresh_token"), &token) &&
        gate_json_decode_to(token, text, MAX_SECRET + 1, &len) && len > 0)
        value = (struct gate_str){text, len};
    EVP_Digest(value.ptr, value.len, out, NULL, EVP_sha256(), NULL);
    gate_wipe(text, len);
    free(text);
}

void admin_known_add(struct admin_known *k, const struct gate_member *m, struct gate_str secret)
{
    if (k->count == k->room) {
        k->room = 2 * k->room + 16;
        k->list = gate_realloc(k->list, k->room * sizeof k->list[0]);
    }
    k->list[k->count].member = m;
    fingerprint(secret, k->list[k->count].fingerprint);
    k->count++;
}

struct admin_known *admin_known_create(struct gate_admin *a, const struct gate_instance *instance)
{
    struct admin_known *k = gate_calloc(1, sizeof *k);
    size_t count;
    struct gate_member *const *members = gate_roster_members(a->parts.roster, &count);
    for (size_t i = 0; i < count; i++) {
        struct gate_error err;
        struct gate_buf secret;
        uint64_t version;
        if (members[i]->instance != instance)
            continue;
        gate_buf_init(&secret, MAX_SECRET);
        if (gate_roster_secret(a->parts.roster, members[i], &secret, &version, &err) == GATE_OK &&
            secret.len > 0)
            admin_known_add(k, members[i], gate_buf_str(&secret));
        gate_buf_wipe(&secret);
    }
    return k;
}

void admin_known_destroy(struct admin_known *k)
{
    free(k->list);
    free(k);
}

const struct gate_member *admin_known_find(const struct admin_known *k, struct gate_str secret)
{
    unsigned char wanted[FINGERPRINT];
    fingerprint(secret, wanted);
    for (size_t i = 0; i < k->count; i++)
        if (memcmp(k->list[i].fingerprint, wanted, sizeof wanted) == 0)
            return k->list[i].member;
    return NULL;
}

const struct gate_instance *admin_instance(const struct gate_admin *a, struct gate_str name)
{
    return gate_pool_find(gate_roster_pool(a->parts.roster), name, NULL);
}

/* ---- POST /accounts/import */

struct import {
    struct admin_call *call;
    const struct gate_instance *instance;
    struct admin_known *known;
    struct gate_buf out;
    size_t added;
};

static void put_failure(struct import *im, enum gate_status status, const char *account,
                        const char *message)
{
    json_open(&im->out, NULL, '{');
    json_bool(&im->out, "ok", false);
    json_text_or_null(&im->out, "account", account);
    json_error(&im->out, admin_http_status(status), admin_error_code(status), NULL, message);
    json_close(&im->out, '}');
}

static void import_secret(struct import *im, struct gate_str alias, struct gate_str secret)
{
    struct gate_error err = {.message = ""};
    const struct gate_member *same = admin_known_find(im->known, secret);
    if (same != NULL) {
        put_failure(im, GATE_ECONFLICT, same->account->id,
                    same->deleted_ms != 0 ? "this login is there already, but deleted: restore it"
                                          : "this login is there already");
        return;
    }
    const struct gate_member_new n = {
        .instance = gate_str_of(im->instance->name),
        .alias = alias,
        .origin = "import",
        .kind = GATE_CREDENTIAL_OAUTH,
        .secret = secret,
    };
    struct gate_member *m = NULL;
    enum gate_status status = gate_roster_add(im->call->admin->parts.roster, &n, &m, &err);
    if (status != GATE_OK) {
        put_failure(im, status, NULL, err.message);
        return;
    }
    admin_known_add(im->known, m, secret);
    im->added++;
    json_open(&im->out, NULL, '{');
    json_bool(&im->out, "ok", true);
    json_text(&im->out, "account", m->account->id);
    json_text(&im->out, "alias", m->alias);
    json_close(&im->out, '}');
}

/* An item {alias?, oauth}. Wrong items are reported in their place: the others are imported. */
static void import_item(struct import *im, const cJSON *item)
{
    const cJSON *alias = cJSON_GetObjectItemCaseSensitive(item, "alias");
    const cJSON *oauth = cJSON_GetObjectItemCaseSensitive(item, "oauth");
    if (!cJSON_IsObject(item) || gate_json_tree_unknown(item, "alias|oauth") != NULL ||
        (alias != NULL && !cJSON_IsString(alias)) ||
        (!cJSON_IsObject(oauth) && !cJSON_IsString(oauth))) {
        put_failure(im, GATE_EINVAL, NULL, "expected {\"alias\": \"...\", \"oauth\": {...}}");
        return;
    }
    char *printed = cJSON_IsObject(oauth) ? cJSON_PrintUnformatted(oauth) : NULL;
    struct gate_str secret = gate_str_of(printed != NULL ? printed : oauth->valuestring);
    if (secret.len <= MAX_SECRET)
        import_secret(im, alias != NULL ? gate_str_of(alias->valuestring) : GATE_STR(""), secret);
    else
        put_failure(im, GATE_EINVAL, NULL, "oauth: too long");
    if (printed != NULL) {
        gate_wipe(printed, strlen(printed));
        cJSON_free(printed);
    }
}

static void import_from(struct admin_call *c, const cJSON *body, struct gate_str provider)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "accounts"), *item;
    struct import im = {.call = c, .instance = admin_instance(c->admin, provider)};
    if (im.instance == NULL) {
        admin_refuse(c, 404, "unknown_provider", "provider",
                     "There is no provider \"%.*s\": GET /admin/api/providers lists them.",
                     (int)(provider.len < 64 ? provider.len : 64), provider.ptr);
        return;
    }
    if (list != NULL && (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > ADMIN_MAX_BULK)) {
        admin_refuse(c, 400, "invalid_value", "accounts",
                     "accounts: expected a list of at most %d objects.", ADMIN_MAX_BULK);
        return;
    }
    gate_buf_init(&im.out, GATE_ADMIN_MAX_ANSWER);
    im.known = admin_known_create(c->admin, im.instance);
    json_open(&im.out, NULL, '{');
    json_open(&im.out, "results", '[');
    if (list == NULL)
        import_secret(&im, GATE_STR(""), c->body); /* the file itself */
    cJSON_ArrayForEach(item, list)
    {
        import_item(&im, item);
    }
    json_close(&im.out, ']');
    json_num(&im.out, "added", im.added);
    json_close(&im.out, '}');
    admin_known_destroy(im.known);
    gate_log_info("import: %zu accounts were added", im.added);
    admin_reply(c, 200, gate_buf_str(&im.out));
    gate_buf_finish(&im.out);
}

void admin_accounts_import(struct admin_call *c)
{
    char reason[GATE_JSON_TREE_REASON];
    if (!admin_no_params(c))
        return;
    cJSON *body = gate_json_tree_parse(c->body, reason);
    const char *unknown = NULL;
    struct gate_str provider = GATE_STR("qwen-oauth"), given;
    if (body == NULL) {
        admin_refuse(c, 400, "invalid_body", NULL, "The body is not valid: %s.", reason);
        return;
    }
    /* Either the file as Qwen Code wrote it, which may hold anything beside its tokens, or a list.
     */
    if (cJSON_GetObjectItemCaseSensitive(body, "access_token") == NULL) {
        unknown = gate_json_tree_unknown(body, "provider|accounts");
        if (unknown != NULL || cJSON_GetObjectItemCaseSensitive(body, "accounts") == NULL)
            admin_refuse(c, 400, unknown != NULL ? "unknown_key" : "missing_key", "accounts",
                         "Expected the object of an oauth_creds.json, or provider|accounts with a "
                         "list of {\"alias\", \"oauth\"}.");
        else if (admin_body_str(c, body, "provider", GATE_ACCOUNT_MAX_ID, &given))
            import_from(c, body, given.len > 0 ? given : provider);
    } else {
        import_from(c, body, provider);
    }
    gate_json_tree_free(body);
}
