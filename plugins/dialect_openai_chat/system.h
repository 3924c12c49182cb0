/*
 * system: appends to the system text of a request of the OpenAI chat API. An op of the dialect; see
 * gate_dialect_ops for the contract.
 */
#ifndef OPENAI_CHAT_SYSTEM_H
#define OPENAI_CHAT_SYSTEM_H

#include <gate/plugin.h>

/* Worker. A first message of role system or developer gets the text: behind an empty line in a
 * string that is not empty, as one more part in a list, as the content where there is none or null.
 * Any other first message gets a system message in front of it; so does one that gives its role or
 * its content twice, as readers differ in which of them they take, and one whose content is
 * something else. Reads the first message only, once. */
void openai_chat_append_system(const struct gate_host *host, struct gate_str body,
                               const struct gate_request_facts *facts, struct gate_str text,
                               const struct gate_request_builder *out);

#endif
