#include "admin/admin_internal.h"

struct gate_admin *gate_admin_create(const struct gate_admin_parts *parts)
{
    struct gate_admin *a = gate_calloc(1, sizeof *a);
    a->parts = *parts;
    admin_events_start(a);
    admin_sessions_start(a);
    return a;
}

void gate_admin_destroy(struct gate_admin *a)
{
    static const struct gate_str stopping =
        GATE_STR("{\"error\":{\"message\":\"The gateway is shutting down.\",\"type\":"
                 "\"server_error\",\"param\":null,\"code\":\"shutting_down\"}}");
    if (a == NULL)
        return;
    admin_sessions_stop(a);
    admin_events_stop(a);
    admin_readings_end(a);
    while (a->waits != NULL) {
        struct admin_wait *w = a->waits;
        a->waits = w->next;
        w->admin = NULL; /* its owner frees it */
        w->reply(w->ctx, 503, stopping);
    }
    admin_tests_cancel(a);
    admin_listings_cancel(a);
    admin_backup_finish(a);
    free(a);
}

/* ---- answers */

void admin_reply(struct admin_call *c, int status, struct gate_str json)
{
    c->reply(c->ctx, status, json);
}

static void put_error(struct gate_buf *out, int status, const char *code, const char *param,
                      const char *message)
{
    gate_buf_init(out, 8 * ADMIN_MESSAGE);
    json_open(out, NULL, '{');
    json_error(out, status, code, param, message);
    json_close(out, '}');
}

void admin_refuse(struct admin_call *c, int status, const char *code, const char *param,
                  const char *format, ...)
{
    char message[ADMIN_MESSAGE];
    struct gate_buf json;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    put_error(&json, status, code, param, message);
    admin_reply(c, status, gate_buf_str(&json));
    gate_buf_finish(&json);
}

int admin_http_status(enum gate_status status)
{
    switch (status) {
    case GATE_OK:
        return 200;
    case GATE_EINVAL:
    case GATE_EPARSE:
    case GATE_EDENIED:
        return 400;
    case GATE_ENOTFOUND:
        return 404;
    case GATE_ECONFLICT:
    case GATE_ELIMIT:
        return 409;
    case GATE_EIO:
    case GATE_ETIMEOUT:
        return 503;
    case GATE_EINTERNAL:
        break;
    }
    return 500;
}

const char *admin_error_code(enum gate_status status)
{
    switch (status) {
    case GATE_EINVAL:
    case GATE_EPARSE:
        return "invalid_value";
    case GATE_EDENIED:
        return "denied";
    case GATE_ENOTFOUND:
        return "not_found";
    case GATE_ECONFLICT:
        return "conflict";
    case GATE_ELIMIT:
        return "limit_reached";
    case GATE_EIO:
    case GATE_ETIMEOUT:
        return "unavailable";
    default:
        return "internal";
    }
}

void admin_refuse_error(struct admin_call *c, const struct gate_error *err)
{
    admin_refuse(c, admin_http_status(err->status), admin_error_code(err->status), NULL, "%s",
                 err->message);
}

/* ---- waiting */

struct admin_wait *admin_wait_begin(struct admin_call *c)
{
    struct gate_admin *a = c->admin;
    if (a->wait_count >= GATE_ADMIN_MAX_WAITING) {
        admin_refuse(c, 503, "busy", NULL, "%d requests wait already; try again in a moment",
                     GATE_ADMIN_MAX_WAITING);
        return NULL;
    }
    struct admin_wait *w = gate_calloc(1, sizeof *w);
    *w = (struct admin_wait){.next = a->waits, .admin = a, .reply = c->reply, .ctx = c->ctx};
    if (a->waits != NULL)
        a->waits->prev = w;
    a->waits = w;
    a->wait_count++;
    return w;
}

void admin_wait_end(struct admin_wait *w, int status, struct gate_str json)
{
    struct gate_admin *a = w->admin;
    if (a != NULL) {
        if (w->prev != NULL)
            w->prev->next = w->next;
        else
            a->waits = w->next;
        if (w->next != NULL)
            w->next->prev = w->prev;
        a->wait_count--;
        w->reply(w->ctx, status, json);
    }
    free(w);
}

void admin_wait_refuse(struct admin_wait *w, int status, const char *code, const char *format, ...)
{
    char message[ADMIN_MESSAGE];
    struct gate_buf json;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    put_error(&json, status, code, NULL, message);
    admin_wait_end(w, status, gate_buf_str(&json));
    gate_buf_finish(&json);
}
