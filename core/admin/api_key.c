/* POST /key: another API key, for whoever fears that somebody else has the old one. */
#include "admin/admin_internal.h"
#include "base/clock.h"
#include "base/log.h"

enum { MAX_ANSWER = 512, MAX_OLD_MS = 24 * 3600 * 1000 };

/* How long the old key is right too, from `old_key_ms` of the body. */
static bool read_old_ms(struct admin_call *c, uint64_t *out)
{
    cJSON *body = admin_body(c, "old_key_ms", true);
    if (body == NULL)
        return false;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(body, "old_key_ms");
    *out = 0;
    bool good = value == NULL || gate_json_tree_whole(value, 0, MAX_OLD_MS, out);
    gate_json_tree_free(body);
    if (!good)
        admin_refuse(c, 400, "invalid_value", "old_key_ms",
                     "old_key_ms: expected a whole number from 0 to %d.", MAX_OLD_MS);
    return good;
}

static void answer(struct admin_call *c, const char *key, uint64_t old_until_ms, size_t ended,
                   const char *warning)
{
    struct gate_buf out;
    gate_buf_init(&out, MAX_ANSWER);
    json_open(&out, NULL, '{');
    json_text(&out, "key", key);
    if (old_until_ms > 0)
        json_num(&out, "old_until", old_until_ms);
    else
        json_null(&out, "old_until");
    json_num(&out, "ended", ended);
    if (warning[0] != '\0')
        json_text(&out, "warning", warning);
    json_close(&out, '}');
    admin_reply(c, 200, gate_buf_str(&out));
    gate_buf_wipe(&out);
}

void admin_key_change(struct admin_call *c)
{
    const struct gate_admin_parts *p = &c->admin->parts;
    char key[GATE_CONFIG_MADE_KEY + 1];
    struct gate_error err = {.message = ""};
    uint64_t now = gate_clock_wall_ms(), old_ms;
    size_t ended = 0;
    if (!admin_no_params(c) || !read_old_ms(c, &old_ms))
        return;
    enum gate_status status = gate_config_new_key(p->config, key, &err);
    if (status != GATE_OK) {
        admin_refuse(c, status == GATE_ECONFLICT ? 409 : 503,
                     status == GATE_ECONFLICT ? "key_in_environment" : "unavailable", NULL,
                     "The key stays as it is: %s.", err.message);
        return;
    }
    if (p->auth != NULL)
        gate_auth_change(p->auth, gate_str_of(key), old_ms > 0 ? now + old_ms : 0);
    /* Where ADMIN_KEY is set, that one opens the console, and stays. */
    if (p->config->admin_key == NULL)
        gate_sessions_rekey(p->sessions, gate_str_of(key), c->session, now, &ended, &err);
    gate_log_info("the API key was changed; the new one is in %s", p->config->api_key_file);
    answer(c, key, old_ms > 0 ? now + old_ms : 0, ended, err.message);
    gate_wipe(key, sizeof key);
}
