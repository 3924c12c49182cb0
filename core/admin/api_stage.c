/* POST /scripts/stage, DELETE /scripts/stage/{id}: drafts that chats can try. */
#include "admin/admin_internal.h"
#include "live/stage.h"

enum { MAX_ANSWER = 12 << 20 };

static void put_staged(struct gate_buf *out, const struct gate_live_staged *r)
{
    json_open(out, "stage", '{');
    json_text(out, "id", r->id);
    json_num(out, "expires_at", r->expires_ms);
    json_close(out, '}');
    admin_put_report(out, "report", r->report);
}

static void put_conflict(struct gate_buf *out, const struct gate_live_staged *r)
{
    json_error(out, 409, "cannot_stage", "files", r->err.message);
    json_open(out, "keys", '[');
    for (size_t i = 0; i < r->key_count; i++)
        json_text(out, NULL, r->keys[i]);
    json_close(out, ']');
}

static void on_staged(void *ctx, const struct gate_live_staged *r)
{
    struct gate_buf out;
    int status = r->status == GATE_EINVAL ? 422 : admin_http_status(r->status);
    gate_buf_init(&out, MAX_ANSWER);
    json_open(&out, NULL, '{');
    if (status == 200) {
        put_staged(&out, r);
    } else if (status == 409) {
        put_conflict(&out, r);
    } else if (status == 422) {
        json_error(&out, 422, "invalid_scripts", NULL,
                   "The scripts have errors; nothing was staged.");
        admin_put_report(&out, "report", r->report);
    } else {
        json_error(&out, status, admin_error_code(r->status), NULL, r->err.message);
    }
    json_close(&out, '}');
    admin_wait_end(ctx, status, gate_buf_str(&out));
    gate_buf_finish(&out);
}

void admin_scripts_stage(struct admin_call *c)
{
    struct gate_sources sources = {.files = NULL};
    cJSON *body = admin_no_params(c) ? admin_body(c, "files|complete", false) : NULL;
    if (body == NULL)
        return;
    struct admin_wait *wait = admin_body_sources(c, body, &sources) ? admin_wait_begin(c) : NULL;
    if (wait != NULL)
        gate_live_stage(c->admin->parts.live, &sources, on_staged, wait);
    gate_sources_finish(&sources);
    gate_json_tree_free(body);
}

void admin_scripts_unstage(struct admin_call *c)
{
    if (!admin_no_params(c))
        return;
    if (gate_live_unstage(c->admin->parts.live, c->name))
        admin_reply(c, 200, GATE_STR("{\"ended\":1}"));
    else
        admin_refuse(c, 404, "unknown_stage", NULL,
                     "There is no stage of that id, or not any more.");
}
