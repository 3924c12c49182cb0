/*
 * inspect: tells what one stream event of the OpenAI chat API carries. Used by the dialect for
 * every event of every stream, so it reads the bytes once, from left to right, and allocates
 * nothing.
 */
#ifndef OPENAI_CHAT_INSPECT_H
#define OPENAI_CHAT_INSPECT_H

#include <gate/plugin.h>

/* Any thread. Returns flags of enum gate_event_flags; *text_bytes: length of the text in it,
 * escapes as written. Bytes that are not JSON carry nothing. */
unsigned openai_chat_read_event(const struct gate_event *event, size_t *text_bytes);
unsigned openai_chat_inspect(const struct gate_event *event);

/* Any thread. The same length for a whole answer. */
size_t openai_chat_text_bytes(struct gate_str json);

#endif
