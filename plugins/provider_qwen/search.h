/*
 * search: the web search that a Qwen login brings with it, as request and parse pair of
 * gate_provider_ops, which says what they return. Worker.
 */
#ifndef QWEN_SEARCH_H
#define QWEN_SEARCH_H

#include <gate/plugin.h>

enum gate_status qwen_search_request(void *instance, void *account, struct gate_str query,
                                     uint32_t page, uint32_t rows,
                                     const struct gate_request_builder *out,
                                     struct gate_error *err);
enum gate_status qwen_search_parse(void *instance, const struct gate_answer *answer,
                                   const struct gate_writer *results, struct gate_error *err);

/* Is the answer one of the search service, and a good one? */
bool qwen_search_is_good(const struct gate_host *host, const struct gate_answer *answer);

#endif
