#include "base/clock.h"
#include "base/log.h"
#include "command_internal.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

void gate_command_url(char *out, size_t cap, const char *host, uint16_t port)
{
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    snprintf(out, cap, strchr(host, ':') != NULL ? "http://[%s]:%u" : "http://%s:%u", host,
             (unsigned)port);
}

/* ---- finding a gateway */

/* The log of a command that a person reads says no more than what is wrong. */
enum gate_status command_configure(struct gate_parts *p, struct gate_error *err)
{
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    enum gate_status status = gate_config_load(false, &p->config, err);
    if (status != GATE_OK)
        return status;
    enum gate_log_level level = p->config->log_level;
    gate_log_setup(level > GATE_LOG_WARN ? level : GATE_LOG_WARN, p->config->log_format, 2);
    return GATE_OK;
}

/* From here on signals are read, so that a login can be cancelled in an orderly way. */
static enum gate_status take_signals(struct command_link *l, struct gate_error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    l->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    l->replies = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->signals < 0 || l->replies < 0)
        return gate_fail(err, GATE_EIO, "no descriptors: %s", strerror(errno));
    return GATE_OK;
}

static enum gate_status look(struct command_link *l, struct gate_error *err)
{
    const struct gate_config *c = l->parts.config;
    if (c->listen_port == 0)
        return GATE_OK; /* it could be anywhere; the storage tells whether it runs */
    gate_command_url(l->url, sizeof l->url, c->listen_host, c->listen_port);
    enum gate_status status =
        gate_endpoint_create(gate_str_of(l->url), GATE_ENDPOINT_OPERATOR, true, &l->endpoint, err);
    if (status == GATE_OK)
        status = gate_control_create(&l->own, err);
    if (status != GATE_OK || command_ask_root(l))
        return status;
    gate_control_destroy(l->own);
    gate_endpoint_release(l->endpoint);
    l->own = NULL;
    l->endpoint = NULL;
    return GATE_OK;
}

enum gate_status command_link_find(struct command_link *l, struct gate_error *err)
{
    enum gate_status status = command_configure(&l->parts, err);
    if (status == GATE_OK)
        status = take_signals(l, err);
    if (status == GATE_OK)
        status = look(l, err);
    return status;
}

/* ---- the accounts in this process */

static void make_admin(void *arg)
{
    struct command_link *l = arg;
    struct gate_admin_parts admin = gate_parts_admin(&l->parts);
    l->admin = gate_admin_create(&admin);
}

static void drop_admin(void *arg)
{
    struct command_link *l = arg;
    gate_admin_destroy(l->admin);
}

enum gate_status command_link_open(struct command_link *l, struct gate_error *err)
{
    struct gate_parts *p = &l->parts;
    p->idle = true;
    enum gate_status status = gate_parts_load(p, err);
    if (status == GATE_OK)
        status = gate_parts_open(p, err);
    if (status != GATE_OK)
        return command_link_held(l, status, err);
    gate_control_call(p->control, make_admin, l);
    return GATE_OK;
}

enum gate_status command_link_held(const struct command_link *l, enum gate_status status,
                                   struct gate_error *err)
{
    struct gate_error why = *err;
    if (status != GATE_ECONFLICT)
        return status;
    return gate_fail(err, status,
                     "%.300s. If that is the gateway, it does not answer on %s: give this command "
                     "its LLM_GATE_LISTEN",
                     why.message, l->url[0] != '\0' ? l->url : "a port that is known");
}

struct gate_control *command_link_control(const struct command_link *l)
{
    return l->own != NULL ? l->own : l->parts.control;
}

void command_link_finish(struct command_link *l)
{
    if (l->admin != NULL)
        gate_control_call(l->parts.control, drop_admin, l);
    gate_control_destroy(l->own);
    if (l->endpoint != NULL)
        gate_endpoint_release(l->endpoint);
    gate_parts_finish(&l->parts);
    if (l->signals > 0)
        close(l->signals);
    if (l->replies > 0)
        close(l->replies);
}

bool command_link_sleep(struct command_link *l, int ms)
{
    uint64_t end = gate_clock_mono_ms() + (uint64_t)ms, now = end - (uint64_t)ms;
    struct pollfd fd = {.fd = l->signals, .events = POLLIN};
    struct signalfd_siginfo info;
    while (l->stopped_by == 0 && now < end) {
        poll(&fd, 1, (int)(end - now));
        if (read(l->signals, &info, sizeof info) == sizeof info)
            l->stopped_by = (int)info.ssi_signo;
        now = gate_clock_mono_ms();
    }
    return l->stopped_by == 0;
}
