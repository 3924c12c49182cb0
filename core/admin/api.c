#include "admin/admin_internal.h"

/* What an address does. '*' stands for a name: everything up to what follows it, slashes too, as
 * ids of accounts have one. The first row that fits is taken. */
static const struct route {
    const char *method, *path;
    admin_handler handle;
} routes[] = {
    {"GET", "/accounts", admin_accounts_list},
    {"POST", "/accounts", admin_accounts_add},
    {"POST", "/accounts/bulk", admin_accounts_bulk},
    {"POST", "/accounts/import", admin_accounts_import},
    {"POST", "/accounts/*/restore", admin_accounts_restore},
    {"POST", "/accounts/*/clear", admin_accounts_clear},
    {"POST", "/accounts/*/refresh", admin_accounts_refresh},
    {"POST", "/accounts/*/test", admin_accounts_test},
    {"GET", "/accounts/*/models", admin_accounts_models},
    {"GET", "/accounts/*", admin_accounts_get},
    {"PATCH", "/accounts/*", admin_accounts_patch},
    {"DELETE", "/accounts/*", admin_accounts_delete},
    {"GET", "/providers", admin_providers},
    {"GET", "/logins", admin_logins_list},
    {"POST", "/logins", admin_logins_start},
    {"GET", "/logins/*", admin_logins_get},
    {"DELETE", "/logins/*", admin_logins_cancel},
    {"GET", "/stats", admin_stats},
    {"GET", "/audit", admin_audit},
    {"GET", "/series", admin_series},
    {"GET", "/requests", admin_requests_list},
    {"GET", "/requests/*", admin_requests_get},
    {"GET", "/alerts", admin_alerts},
    {"POST", "/alerts/test", admin_alerts_test},
    {"GET", "/events", admin_events_snapshot},
    {"GET", "/scripts", admin_scripts},
    {"POST", "/scripts/check", admin_scripts_check},
    {"POST", "/scripts/dry-run", admin_scripts_dry_run},
    {"POST", "/scripts/route", admin_scripts_route},
    {"POST", "/scripts/stage", admin_scripts_stage},
    {"DELETE", "/scripts/stage/*", admin_scripts_unstage},
    {"POST", "/scripts/publish", admin_scripts_publish},
    {"POST", "/scripts/rollback", admin_scripts_rollback},
    {"GET", "/scripts/diff", admin_scripts_diff},
    {"GET", "/scripts/history", admin_scripts_history},
    {"GET", "/scripts/history/*", admin_scripts_generation},
    {"POST", "/backup", admin_backup},
    {"GET", "/config", admin_config},
    {"GET", "/session", admin_session},
    {"GET", "/sessions", admin_sessions_list},
    {"DELETE", "/sessions", admin_sessions_end_others},
    {"DELETE", "/sessions/*", admin_sessions_end},
    {"POST", "/links", admin_links_add},
    {"POST", "/key", admin_key_change},
};

enum { ROUTES = sizeof routes / sizeof routes[0], MAX_ALLOWED = 64, MAX_NAME = 1024 };

static bool fits(struct gate_str path, const char *pattern, struct gate_str *name)
{
    const char *star = strchr(pattern, '*');
    *name = (struct gate_str){NULL, 0};
    if (star == NULL)
        return gate_str_eq(path, gate_str_of(pattern));
    struct gate_str head = {pattern, (size_t)(star - pattern)};
    struct gate_str tail = gate_str_of(star + 1);
    if (path.len <= head.len + tail.len || !gate_str_starts(path, head) ||
        memcmp(path.ptr + path.len - tail.len, tail.ptr, tail.len) != 0)
        return false;
    *name = (struct gate_str){path.ptr + head.len, path.len - head.len - tail.len};
    return true;
}

/* True for GET, POST and so on that some row of this address takes. */
static bool list_methods(struct gate_str path, char out[MAX_ALLOWED])
{
    out[0] = '\0';
    for (size_t i = 0; i < ROUTES; i++) {
        struct gate_str name;
        size_t len = strlen(out);
        if (!fits(path, routes[i].path, &name) || strstr(out, routes[i].method) != NULL)
            continue;
        snprintf(out + len, MAX_ALLOWED - len, "%s%s", len > 0 ? ", " : "", routes[i].method);
    }
    return out[0] != '\0';
}

static void refuse(struct admin_call *c, const struct gate_admin_request *r)
{
    char allowed[MAX_ALLOWED];
    if (list_methods(r->path, allowed))
        admin_refuse(c, 405, "method_not_allowed", NULL,
                     "This address does not take that method. Allowed: %s.", allowed);
    else
        admin_refuse(c, 404, "not_found", NULL,
                     "There is nothing at this address. docs/admin-api.md lists what there is "
                     "below /admin/api.");
}

void gate_admin_handle(struct gate_admin *a, const struct gate_admin_request *r,
                       gate_admin_reply_cb reply, void *ctx)
{
    struct admin_call c = {
        .admin = a,
        .query = r->query,
        .body = r->body,
        .session = r->session,
        .reply = reply,
        .ctx = ctx,
    };
    if (r->body.len > GATE_ADMIN_MAX_BODY) {
        admin_refuse(&c, 413, "request_too_large", NULL, "The body is larger than %d bytes.",
                     GATE_ADMIN_MAX_BODY);
        return;
    }
    for (size_t i = 0; i < ROUTES; i++) {
        struct gate_str raw;
        struct gate_buf name;
        if (!gate_str_eq(r->method, gate_str_of(routes[i].method)) ||
            !fits(r->path, routes[i].path, &raw))
            continue;
        gate_buf_init(&name, MAX_NAME);
        if (!admin_decode(raw, false, &name)) {
            admin_refuse(&c, 400, "invalid_path", NULL,
                         "The name in the address is too long, or its %%-encoding is broken.");
        } else {
            c.name = gate_buf_str(&name);
            routes[i].handle(&c);
        }
        gate_buf_finish(&name);
        return;
    }
    refuse(&c, r);
}
