/*
 * trace_internal: what trace_accounts.c (snapshots of accounts) offers to trace_ring.c, which
 * bounds how many of them a worker keeps. Nobody else includes it.
 */
#ifndef GATE_REQUEST_TRACE_INTERNAL_H
#define GATE_REQUEST_TRACE_INTERNAL_H

#include "request/trace.h"

/* As gate_trace_accounts_create; shares the names of `before` (NULL: none) when it is of the same
 * table. */
struct gate_trace_accounts *trace_accounts_after(const struct gate_trace_accounts *before,
                                                 const struct gate_table *table,
                                                 const struct gate_quota *quota,
                                                 enum gate_usage_kind kind, uint64_t now_ms);
/* Bytes of its own, and of the names that it may share. */
size_t trace_accounts_bytes(const struct gate_trace_accounts *a);
size_t trace_accounts_name_bytes(const struct gate_trace_accounts *a);
/* Do these two share their names? */
bool trace_accounts_share(const struct gate_trace_accounts *a, const struct gate_trace_accounts *b);
/* Does anybody have it besides the caller? */
bool trace_accounts_is_used(const struct gate_trace_accounts *a);

#endif
