/*
 * usage: what an answer of the OpenAI chat API cost: asking for token counts and reading them. Ops
 * of the dialect; see gate_dialect_ops for the contracts.
 */
#ifndef OPENAI_CHAT_USAGE_H
#define OPENAI_CHAT_USAGE_H

#include <gate/plugin.h>

/* Worker. Gives stream_options.include_usage the value true and leaves everything else as the
 * client wrote it. Reads the members of the root that are neither messages nor tools, and those
 * only when stream_options is no object. What is no JSON inside stream_options stays as it is: the
 * upstream says so better. False: the client asked itself. */
bool openai_chat_ask_usage(struct gate_str body, const struct gate_request_facts *facts,
                           const struct gate_request_builder *out);

/* Any thread. Counts of `usage`: prompt_tokens or input_tokens, completion_tokens or output_tokens,
 * and cached_tokens of prompt_tokens_details or input_tokens_details. What is no whole number from
 * 0 to 2^53 is left out; without a prompt and a completion there are none. */
bool openai_chat_read_usage(struct gate_str json, struct gate_usage *out);

#endif
