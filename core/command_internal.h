/*
 * command_internal: what the files of the commands share.
 *
 *     command_options.c   arguments, usage
 *     command_link.c      the way to the accounts: a running gateway or this process
 *     command_ask.c       one request over that way
 *     command_login.c     login
 *     command_qr.c        an address as a QR code
 *     command_accounts.c  accounts
 *     command_backup.c    backup
 *     command_restore.c   restore
 *     command_check.c     check
 *     command_try.c       route, dry-run
 *     command_ui_link.c   ui-link
 */
#ifndef GATE_COMMAND_INTERNAL_H
#define GATE_COMMAND_INTERNAL_H

#include "base/json_tree.h"
#include "command.h"
#include "parts.h"
#include <stdio.h>

/* ---------------------------------------------------------------- command_options.c */

enum { COMMAND_MAX_OPTIONS = 16 };

/* An option "--name", or "--name VALUE" when value is set. */
struct command_option {
    const char *name;
    const char **value;
    bool *flag;
};

/* Reads options in any place into what they point to, and up to one operand. Returns -1: go on;
 * else the exit status: help was shown, or what is wrong was said. usage: the whole text of --help;
 * operand: NULL when there is none. */
int command_options(int argc, char **argv, const char *usage, const struct command_option *options,
                    size_t count, const char **operand);
/* Says that an operand is missing; returns the exit status. */
int command_missing(const char *operand, const char *usage);
/* Says on standard error what failed; returns the exit status. */
int command_fail(const struct gate_error *err);

/* ---------------------------------------------------------------- command_link.c */

/* The way to the accounts. Main thread. */
struct command_link {
    struct gate_parts parts;        /* config; the rest where no gateway runs */
    struct gate_endpoint *endpoint; /* of the running gateway; NULL: there is none */
    struct gate_control *own;       /* the thread for asking it */
    struct gate_admin *admin;       /* where no gateway runs */
    char url[GATE_COMMAND_URL]; /* where a gateway is looked for; "" when its port is not known */
    int signals, replies;       /* descriptors; 0: not open */
    int stopped_by;             /* SIGINT or SIGTERM came; 0: none */
};

/* Prepares the process and reads the configuration, without making anything. */
enum gate_status command_configure(struct gate_parts *p, struct gate_error *err);
/* Configures, takes over SIGINT and SIGTERM, and looks for a running gateway. */
enum gate_status command_link_find(struct command_link *l, struct gate_error *err);
/* Where none was found: opens the data directory in this process. */
enum gate_status command_link_open(struct command_link *l, struct gate_error *err);
/* The storage did not open: where somebody else has it, says what to do. Returns status. */
enum gate_status command_link_held(const struct command_link *l, enum gate_status status,
                                   struct gate_error *err);
/* A zeroed link is fine. */
void command_link_finish(struct command_link *l);
/* Sleeps. False: it was told to stop. */
bool command_link_sleep(struct command_link *l, int ms);
/* The thread on which requests are made. */
struct gate_control *command_link_control(const struct command_link *l);

/* ---------------------------------------------------------------- command_ask.c */

struct command_request {
    const char *method; /* "GET", "POST" or "DELETE" */
    const char *path;   /* below /admin/api */
    const char *query;  /* NULL: none */
    struct gate_str body;
    uint32_t timeout_ms; /* when a gateway is asked */
};

/* Asks the admin API and waits. Returns the HTTP status; 0: there was no answer. With 2xx *json is
 * the answer, without bytes that a terminal would obey (caller: gate_json_tree_free); else it is
 * NULL and err says why. After a signal it waits a few seconds more, after a second one no longer.
 */
int command_ask(struct command_link *l, const struct command_request *r, cJSON **json,
                struct gate_error *err);
/* GET of the gateway's root without a key: is it one? */
bool command_ask_root(struct command_link *l);
/* A string member; "" when it is none. */
const char *command_text(const cJSON *object, const char *name);

/* ---------------------------------------------------------------- command_qr.c */

/* Writes text as a QR code in half blocks. colour: with escape codes that make it dark on light on
 * every terminal. False, and nothing is written: it does not fit into so many columns. */
bool command_qr(FILE *out, const char *text, bool colour, unsigned columns);

#endif
