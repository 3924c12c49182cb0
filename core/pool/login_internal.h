/*
 * login_internal: what login.c (the list of flows, and what others call) and login_flow.c (the
 * steps of one flow) share. Control thread.
 */
#ifndef GATE_POOL_LOGIN_INTERNAL_H
#define GATE_POOL_LOGIN_INTERNAL_H

#include "base/random.h"
#include "pool/login.h"

enum {
    LOGIN_VERIFIER = 43, /* base64url of 32 bytes, unpadded */
    LOGIN_MAX_CODE = 128,
    LOGIN_MAX_URI = 2048,
};

/* One login. */
struct flow {
    struct flow *next; /* younger */
    struct gate_logins *logins;
    char id[GATE_RANDOM_ID + 1];
    enum gate_login_state state;
    struct gate_instance *instance; /* retained: the configuration may change meanwhile */
    struct gate_account *renew;     /* retained; NULL: a new account */
    char *alias;                    /* "": made up */
    char account[GATE_ACCOUNT_MAX_ID + 1];
    char user_code[LOGIN_MAX_CODE], uri[LOGIN_MAX_URI], uri_complete[LOGIN_MAX_URI];
    uint64_t started_ms, expires_ms;
    char message[GATE_ERROR_MAX];
    char hitch[GATE_ERROR_MAX]; /* why the last poll taught nothing */
    void (*cb)(void *arg, const struct gate_login_view *view); /* NULL: it was called */
    void *arg;

    /* Secrets: wiped when the flow is over. */
    char verifier[LOGIN_VERIFIER + 1];
    struct gate_buf json; /* what the provider made of the service's answer */

    uint64_t interval_ms;
    struct gate_timer timer; /* the next poll; when it is over: the end of its keeping */
    struct gate_control_call *call;
};

struct gate_logins {
    struct gate_roster *roster;
    struct gate_control *control;
    struct flow *first; /* the oldest */
};

/* login.c */
bool login_is_over(const struct flow *f);
void login_view(const struct flow *f, struct gate_login_view *out);
/* Takes it off the list and frees it. */
void login_drop(struct flow *f);

/* login_flow.c */
/* Asks the service for a code. Not GATE_OK: err says why, and nothing runs. */
enum gate_status login_begin(struct flow *f, struct gate_error *err);
/* Ends a flow that is not over; it is kept for people to ask. */
void login_finish(struct flow *f, enum gate_login_state state, const char *message);
/* Ends what runs and wipes the secrets. */
void login_forget(struct flow *f);

#endif
