/* host: the services of the gateway, as plugins get them. */
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "plugin/registry.h"
#include "upstream/upstream.h"

static void host_log(enum gate_log_level level, const char *plugin, const char *message)
{
    if (level < gate_log_level_now())
        return;
    gate_log(level, "plugin %s: %s", plugin, message);
}

static enum gate_status create(struct gate_str base_url, enum gate_endpoint_origin origin,
                               bool allow_private, const struct gate_endpoint **out,
                               struct gate_error *err)
{
    struct gate_endpoint *endpoint;
    enum gate_status status = gate_endpoint_create(base_url, origin, allow_private, &endpoint, err);

    if (status == GATE_OK)
        *out = endpoint;
    return status;
}

static enum gate_status create_public(struct gate_str base_url, enum gate_endpoint_origin origin,
                                      const struct gate_endpoint **out, struct gate_error *err)
{
    return create(base_url, origin, false, out, err);
}

static enum gate_status create_any(struct gate_str base_url, enum gate_endpoint_origin origin,
                                   const struct gate_endpoint **out, struct gate_error *err)
{
    return create(base_url, origin, true, out, err);
}

/* Plugins see an endpoint as immutable; its reference count is the gateway's own. */
static void release(const struct gate_endpoint *endpoint)
{
    gate_endpoint_release((struct gate_endpoint *)endpoint);
}

#define SERVICES(create_)                                                                          \
    {                                                                                              \
        .size = sizeof(struct gate_host), .log = host_log, .now_ms = gate_clock_wall_ms,           \
        .endpoint_create = (create_), .endpoint_release = release,                                 \
        .json_member = gate_json_member, .json_element = gate_json_element,                        \
        .json_decode = gate_json_decode, .json_encode = gate_json_encode, .wipe = gate_wipe,       \
    }

/* Two tables instead of a flag that plugins' calls would have to look up somewhere. */
static const struct gate_host services_public = SERVICES(create_public);
static const struct gate_host services_any = SERVICES(create_any);

const struct gate_host *gate_host_services(bool allow_private)
{
    return allow_private ? &services_any : &services_public;
}
