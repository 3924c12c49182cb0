/*
 * facts: what scripts see of the accounts of a table while a request is decided. Used by decide.c
 * (gate.accounts, gate.provider), pick.c (select) and trace.c (snapshots). Any thread.
 */
#ifndef GATE_REQUEST_FACTS_H
#define GATE_REQUEST_FACTS_H

#include "pool/health.h"
#include "script/policy.h"

/* Fills in everything; the strings live as long as the table of the entry. */
void gate_facts_read(const struct gate_entry *e, const struct gate_quota *quota,
                     enum gate_usage_kind kind, uint64_t now_ms, struct gate_account_facts *out);

#endif
