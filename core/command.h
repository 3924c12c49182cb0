/*
 * command: what the command line does beside serving: signing in, listing accounts, backup and
 * restore. Used by main. Where a gateway runs, a command asks it through its admin API; else it
 * opens the data directory itself.
 */
#ifndef GATE_COMMAND_H
#define GATE_COMMAND_H

#include <stddef.h>
#include <stdint.h>

enum { GATE_COMMAND_USAGE = 2 /* exit status: the arguments are wrong */ };

/* Each runs one command, writes to standard output and error, and returns the exit status: 0 done,
 * 1 failed, 2 wrong arguments, 128 and its number when a signal ended it. argv[0] is the command's
 * name. */
int gate_command_check(void);
int gate_command_login(int argc, char **argv);
int gate_command_accounts(int argc, char **argv);
int gate_command_backup(int argc, char **argv);
int gate_command_restore(int argc, char **argv);
int gate_command_route(int argc, char **argv);
int gate_command_dry_run(int argc, char **argv);
int gate_command_ui_link(int argc, char **argv);

/* Writes the address under which a program on this machine reaches what listens on host and port: a
 * wildcard stands for any address. GATE_COMMAND_URL bytes are enough. */
enum { GATE_COMMAND_URL = 80 };
void gate_command_url(char *out, size_t cap, const char *host, uint16_t port);

#endif
