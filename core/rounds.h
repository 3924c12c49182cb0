/*
 * rounds: what the control thread does once a second (conditions to storage, tokens that end soon)
 * and once a minute (alerts, old audit rows). Minutes are those of the wall clock.
 */
#ifndef GATE_ROUNDS_H
#define GATE_ROUNDS_H

#include "live/live.h"
#include "pool/credentials.h"
#include "record/alerts.h"
#include "record/audit.h"

struct gate_rounds_parts {
    const struct gate_config *config;
    struct gate_control *control;
    struct gate_store *store;
    struct gate_roster *roster;
    struct gate_live *live;
    struct gate_credentials *credentials;
    struct gate_alerts *alerts;
    struct gate_audit *audit;
};

struct gate_rounds;

/* Control thread. */
struct gate_rounds *gate_rounds_create(const struct gate_rounds_parts *parts);
void gate_rounds_destroy(struct gate_rounds *r); /* NULL is fine */

#endif
