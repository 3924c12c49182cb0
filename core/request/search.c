/* Web search: the pool's accounts answer it like a chat, only the form of the answer differs. */
#include "base/json.h"
#include "request/exchange_internal.h"

static void fail(struct gate_exchange *x, enum gate_status status, const struct gate_error *err)
{
    struct gate_failure f;
    gate_failure_init(&f);
    f.verdict.kind = status == GATE_EPARSE ? GATE_VERDICT_GARBAGE : GATE_VERDICT_OVERLOADED;
    f.upstream_status = x->upstream_status;
    snprintf(f.code, sizeof f.code, "upstream_bad_response");
    snprintf(f.reason, sizeof f.reason, "%s", err->message);
    exchange_failed(x, &f);
    gate_failure_finish(&f);
}

void exchange_search_done(struct gate_exchange *x)
{
    const struct gate_instance *inst = exchange_target(x)->instance;
    struct gate_buf body;
    struct gate_error err = {.message = ""};
    struct gate_answer answer = {
        .size = sizeof answer,
        .status = x->upstream_status,
        .body = gate_buf_str(&x->hold),
        .account = x->entry->attachment->state,
    };
    gate_buf_init(&body, 2 * EXCHANGE_HOLD_SEARCH);
    gate_buf_append(&body, GATE_STR("{\"success\":true,\"query\":"));
    gate_json_put(&body, x->in.query);
    gate_buf_append(&body, GATE_STR(",\"results\":"));
    struct gate_writer w = gate_buf_writer(&body);
    enum gate_status status = inst->ops->search_parse(inst->state, &answer, &w, &err);
    if (status != GATE_OK) {
        gate_buf_finish(&body);
        fail(x, status, &err);
        return;
    }
    gate_buf_append_byte(&body, '}');
    x->begun = true;
    exchange_note_well(x);
    exchange_commit(x, 200, GATE_STR("application/json"), (int64_t)body.len);
    exchange_write(x, gate_buf_str(&body));
    gate_buf_finish(&body);
    exchange_answered(x);
}
