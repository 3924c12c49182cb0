/*
 * verdict: what answers of DashScope and of the portal behind a Qwen login mean, where they differ
 * from other services of the OpenAI API. Used by provider_qwen only. Pure.
 */
#ifndef QWEN_VERDICT_H
#define QWEN_VERDICT_H

#include <gate/plugin.h>

/* portal: the answer may come from an OAuth account, for which the same code means another limit.
 * Worker. */
void qwen_verdict(const struct gate_host *host, const struct gate_answer *answer, bool portal,
                  struct gate_verdict *out);

#endif
