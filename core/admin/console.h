/*
 * console: the console as the workers see it (request/console.h), and the page that a binary
 * without one shows in its place: version, provider instances, models and a ready request. Used by
 * worker.c.
 */
#ifndef GATE_ADMIN_CONSOLE_H
#define GATE_ADMIN_CONSOLE_H

#include "admin/session.h"

/* sessions outlives what is returned. Any thread. */
struct gate_console gate_console_of(struct gate_sessions *sessions);

#endif
