/*
 * login: device logins (RFC 8628 with PKCE). The gateway asks the service for a code, shows it, and
 * polls until a person has confirmed it or the code ends. A login to an existing account renews it:
 * id, alias, tags and counters stay. Control thread throughout. Used by main and admin.
 */
#ifndef GATE_POOL_LOGIN_H
#define GATE_POOL_LOGIN_H

#include "pool/roster.h"
#include "upstream/control.h"

enum {
    GATE_LOGIN_MAX = 32,                 /* flows at once */
    GATE_LOGIN_KEEP_MS = 10 * 60 * 1000, /* a finished flow's state can be asked this long */
    GATE_LOGIN_TIMEOUT_MS = 30 * 1000,   /* of one request */
    GATE_LOGIN_INTERVAL_MS = 5 * 1000,   /* between polls when the service names none */
    GATE_LOGIN_MAX_INTERVAL_MS = 10 * 1000,
};

struct gate_logins;

void gate_logins_create(struct gate_roster *roster, struct gate_control *control,
                        struct gate_logins **out);
void gate_logins_destroy(struct gate_logins *l); /* cancels all; NULL is fine */

enum gate_login_state {
    GATE_LOGIN_STARTING = 0, /* the service has not given a code yet */
    GATE_LOGIN_PENDING,      /* waits for the person */
    GATE_LOGIN_DONE,
    GATE_LOGIN_DENIED,
    GATE_LOGIN_EXPIRED,
    GATE_LOGIN_FAILED,
    GATE_LOGIN_CANCELLED,
};
extern const char *const gate_login_state_names[];

/* A flow as it is now. Valid until the control thread does something else. */
struct gate_login_view {
    const char *id; /* 32 hex digits */
    enum gate_login_state state;
    const char *instance;
    const char *account; /* id of the account that it made or renewed; "" before DONE */
    const char *user_code, *verification_uri, *verification_uri_complete; /* "" when not known */
    uint64_t started_ms, expires_at_ms;                                   /* Unix */
    const char *message;                                                  /* why it failed; "" */
};

/* Starts a flow for an instance whose provider has logins. renew: the account to renew, or NULL: a
 * new one with this alias (empty: made up). cb runs once, later, when the service has given its
 * code or has failed, or the flow was cancelled before. GATE_EINVAL: the provider has no logins;
 * GATE_ELIMIT: too many flows. */
enum gate_status gate_login_start(struct gate_logins *l, struct gate_str instance,
                                  struct gate_member *renew, struct gate_str alias,
                                  void (*cb)(void *arg, const struct gate_login_view *view),
                                  void *arg, struct gate_error *err);
/* False: no such flow. */
bool gate_login_get(const struct gate_logins *l, struct gate_str id, struct gate_login_view *out);
void gate_login_each(const struct gate_logins *l,
                     void (*cb)(void *ctx, const struct gate_login_view *view), void *ctx);
/* False: no such flow. One that is over stays as it is. */
bool gate_login_cancel(struct gate_logins *l, struct gate_str id);

#endif
