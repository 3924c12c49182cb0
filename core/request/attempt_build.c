#include "request/attempt_internal.h"
#include "request/edits.h"

struct gate_call gate_attempt_call(const struct gate_attempt_input *input)
{
    return (struct gate_call){
        .size = sizeof(struct gate_call),
        .request_id = input->request_id,
        .model = input->model,
        .body = input->body,
        .path = gate_str_of(input->instance->dialect->upstream_path),
        .facts = input->facts,
        .account = input->attachment->state,
    };
}

static enum gate_status build_chat(const struct gate_attempt_input *input,
                                   struct gate_builder *builder, bool *asked_usage,
                                   struct gate_error *err)
{
    const struct gate_instance *inst = input->instance;
    struct gate_call call = gate_attempt_call(input);
    enum gate_status status = inst->ops->build_request(inst->state, &call, &builder->ops, err);
    if (status == GATE_OK && input->facts->stream && inst->ask_usage &&
        inst->dialect->ask_usage != NULL)
        *asked_usage = inst->dialect->ask_usage(input->body, input->facts, &builder->ops);
    if (status == GATE_OK && input->edits != NULL)
        status =
            gate_edits_apply(input->edits, inst->dialect, input->body, input->facts, builder, err);
    return status;
}

static enum gate_status build_search(const struct gate_attempt_input *input,
                                     struct gate_builder *builder, struct gate_error *err)
{
    const struct gate_instance *inst = input->instance;
    return inst->ops->search_request(inst->state, input->attachment->state, input->query,
                                     input->page, input->rows, &builder->ops, err);
}

enum gate_status gate_attempt_build(const struct gate_attempt_input *input, struct gate_built *out,
                                    bool *asked_usage, struct gate_error *err)
{
    bool chat = input->kind == GATE_USAGE_CHAT;
    struct gate_builder builder;
    *asked_usage = false;
    gate_builder_init(&builder, chat ? input->body : (struct gate_str){NULL, 0}, out);
    enum gate_status status =
        chat ? build_chat(input, &builder, asked_usage, err) : build_search(input, &builder, err);
    if (status != GATE_OK) {
        gate_built_finish(out);
        return status;
    }
    return gate_builder_end(&builder,
                            chat ? gate_str_of(input->instance->dialect->upstream_path)
                                 : (struct gate_str){NULL, 0},
                            input->instance->plugin->name, err);
}
