/* config_alerts: ALERT_*. Where alerts go, and what is worth one. No message shows the webhook's
 * address or secret: both give the right to write to it. */
#include "config_parts.h"

#include <stdlib.h>

static bool is_webhook_url(const char *s)
{
    size_t scheme = strncmp(s, "https://", 8) == 0 ? 8 : strncmp(s, "http://", 7) == 0 ? 7 : 0;
    size_t len = strlen(s), host = strcspn(s + scheme, "/?");

    if (scheme == 0 || len > GATE_CONFIG_MAX_URL || host == 0 || s[scheme] == ':' ||
        memchr(s + scheme, '@', host) != NULL)
        return false;
    for (size_t i = scheme; i < len; i++)
        if ((unsigned char)s[i] <= 0x20 || (unsigned char)s[i] >= 0x7f ||
            strchr("#\\\"<>", s[i]) != NULL)
            return false;
    return true;
}

static enum gate_status read_url(struct gate_config *c, struct gate_error *err)
{
    const char *text = gate_config_env(c, "ALERT_WEBHOOK_URL");

    if (text == NULL)
        return GATE_OK;
    if (!is_webhook_url(text))
        return gate_fail(
            err, GATE_EINVAL,
            "ALERT_WEBHOOK_URL (not shown: it may hold a token) does not fit; expected "
            "http[s]://host[:port][/path][?query] of at most %d printable ASCII "
            "characters without user and fragment",
            GATE_CONFIG_MAX_URL);
    c->alerts.webhook_url = gate_strdup(gate_str_of(text));
    return GATE_OK;
}

static enum gate_status read_type(struct gate_config *c, struct gate_error *err)
{
    static const char *const names[] = {
        [GATE_WEBHOOK_GENERIC] = "generic",
        [GATE_WEBHOOK_DINGTALK] = "dingtalk",
        [GATE_WEBHOOK_FEISHU] = "feishu",
        [GATE_WEBHOOK_SLACK] = "slack",
    };
    const char *text = gate_config_env(c, "ALERT_WEBHOOK_TYPE");

    if (text == NULL)
        return GATE_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            c->alerts.webhook_type = (enum gate_webhook_type)i;
            return GATE_OK;
        }
    }
    return gate_fail(err, GATE_EINVAL,
                     "ALERT_WEBHOOK_TYPE is \"%s\"; expected dingtalk, feishu, slack or generic",
                     gate_config_show(text).text);
}

static enum gate_status read_secret(struct gate_config *c, struct gate_error *err)
{
    const char *text = gate_config_env(c, "ALERT_WEBHOOK_SECRET");

    if (text == NULL)
        return GATE_OK;
    if (strlen(text) > GATE_CONFIG_MAX_KEY)
        return gate_fail(err, GATE_EINVAL,
                         "ALERT_WEBHOOK_SECRET has %zu bytes; expected at most %d", strlen(text),
                         GATE_CONFIG_MAX_KEY);
    c->alerts.webhook_secret = gate_strdup(gate_str_of(text));
    return GATE_OK;
}

/* What was set and will not be used. */
static void warn_of_useless(struct gate_config *c)
{
    const struct gate_config_alerts *alerts = &c->alerts;
    bool has_type = gate_config_env(c, "ALERT_WEBHOOK_TYPE") != NULL;

    if (alerts->webhook_url == NULL && (has_type || alerts->webhook_secret != NULL))
        gate_config_warn(c, "%s is set but ALERT_WEBHOOK_URL is not: alerts are logged only",
                         has_type ? "ALERT_WEBHOOK_TYPE" : "ALERT_WEBHOOK_SECRET");
    else if (alerts->webhook_secret != NULL && alerts->webhook_type != GATE_WEBHOOK_DINGTALK &&
             alerts->webhook_type != GATE_WEBHOOK_FEISHU)
        gate_config_warn(c, "ALERT_WEBHOOK_SECRET is not used: only dingtalk and feishu sign what "
                            "they are sent");
}

enum gate_status gate_config_read_alerts(struct gate_config *c, struct gate_error *err)
{
    const char *text = gate_config_env(c, "ALERT_ENABLED");
    enum gate_status status = GATE_OK;

    if (text != NULL)
        status = gate_config_set_switch("ALERT_ENABLED", text, &c->alerts.enabled, err);
    if (status == GATE_OK)
        status = read_url(c, err);
    if (status == GATE_OK)
        status = read_type(c, err);
    if (status == GATE_OK)
        status = read_secret(c, err);
    if (status == GATE_OK)
        warn_of_useless(c);
    return status;
}
