/*
 * models: the list of models that a service of the OpenAI API gives at GET /models. Compiled into
 * provider_openai and into providers of services that speak the same API. Pure functions.
 */
#ifndef OPENAI_MODELS_H
#define OPENAI_MODELS_H

#include "wire.h"

/* Describes the request: GET <endpoint>/models with the account's header lines, which live as long
 * as the account. */
void openai_models_describe(const struct gate_endpoint *endpoint, const struct openai_block *block,
                            const struct gate_request_builder *out);

/* Calls cb with the id of every model, a view that is valid during the call. Reads {"data": [{"id":
 * ...}]} and the bare array that some services send; entries without a usable id are left out.
 * GATE_EDENIED: the credential is not accepted; GATE_EIO: not reached, busy or failing;
 * GATE_EPARSE: there is no list in the answer. cb was not called then. */
enum gate_status openai_models_parse(const struct gate_host *host, const struct gate_answer *answer,
                                     void (*cb)(void *ctx, struct gate_str model), void *ctx,
                                     struct gate_error *err);

#endif
