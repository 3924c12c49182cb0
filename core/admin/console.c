#include "admin/console.h"
#include "admin/assets.h"
#include "base/clock.h"

static void put(struct gate_buf *out, const char *text)
{
    gate_buf_append(out, gate_str_of(text));
}

static void put_escaped(struct gate_buf *out, struct gate_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '&':
            put(out, "&amp;");
            break;
        case '<':
            put(out, "&lt;");
            break;
        case '>':
            put(out, "&gt;");
            break;
        case '"':
            put(out, "&quot;");
            break;
        default:
            gate_buf_append_byte(out, text.ptr[i]);
        }
    }
}

static void put_model(void *ctx, struct gate_str model, const struct gate_instance *owner)
{
    struct gate_buf *out = ctx;
    put(out, "<tr><td><code>");
    put_escaped(out, model);
    put(out, "</code></td><td>");
    put_escaped(out, gate_str_of(owner->name));
    put(out, "</td></tr>\n");
}

static void put_instances(const struct gate_env *env, struct gate_buf *out)
{
    size_t count;
    struct gate_instance *const *instances = gate_pool_instances(gate_env_pool(env), &count);
    put(out, "<h2>Providers</h2>\n<table><tr><th>name</th><th>plugin</th><th>version</th></tr>\n");
    for (size_t i = 0; i < count; i++) {
        put(out, "<tr><td>");
        put_escaped(out, gate_str_of(instances[i]->name));
        put(out, "</td><td>");
        put_escaped(out, gate_str_of(instances[i]->plugin->name));
        put(out, "</td><td>");
        put_escaped(out, gate_str_of(instances[i]->plugin->version));
        put(out, "</td></tr>\n");
    }
    put(out, "</table>\n");
}

static void put_page(const struct gate_env *env, struct gate_str authority, struct gate_buf *out)
{
    put(out,
        "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport "
        "content=\"width=device-width\"><title>llm-gate</title>\n<style>body{font:15px/1.5 "
        "system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color-scheme:light "
        "dark}"
        "table{border-collapse:collapse}th,td{text-align:left;padding:.2rem 1.2rem .2rem 0}"
        "pre{padding:.8rem;border:1px solid #8886;overflow:auto}</style>\n<h1>llm-gate</h1>\n"
        "<p>This binary was built without the console.</p>\n");
    gate_buf_printf(out, "<p>Version %s, up for %llu s.</p>\n", GATE_VERSION,
                    (unsigned long long)((gate_clock_wall_ms() - env->started_ms) / 1000));
    put(out, "<h2>First request</h2>\n<pre>curl http://");
    put_escaped(out, authority);
    put(out,
        "/v1/chat/completions \\\n  -H \"Authorization: Bearer $API_KEY\" -H \"Content-Type: "
        "application/json\" \\\n"
        "  -d "
        "'{\"model\":\"echo\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}'</pre>\n");
    put_instances(env, out);
    put(out, "<h2>Models</h2>\n<table><tr><th>name</th><th>served by</th></tr>\n");
    gate_pool_each_model(gate_env_pool(env), env->script->script, env->script->generation,
                         put_model, out);
    put(out, "</table></html>\n");
}

/* ---- for the workers */

static void enter(void *ctx, const struct gate_console_client *client,
                  char token[GATE_CONSOLE_TOKEN + 1])
{
    gate_sessions_enter(ctx, client, gate_clock_wall_ms(), token);
}

static bool take_link(void *ctx, struct gate_str token, bool use)
{
    return gate_sessions_take_link(ctx, token, gate_clock_wall_ms(), use);
}

static bool find(void *ctx, struct gate_str token, char id[GATE_CONSOLE_SESSION + 1])
{
    return gate_sessions_find(ctx, token, gate_clock_wall_ms(), id);
}

static bool lives(void *ctx, const char *id)
{
    return gate_sessions_lives(ctx, id, gate_clock_wall_ms());
}

static const struct gate_asset *asset(void *ctx, struct gate_str path)
{
    (void)ctx;
    return gate_asset_find(path);
}

struct gate_console gate_console_of(struct gate_sessions *sessions)
{
    return (struct gate_console){
        .ctx = sessions,
        .enter = enter,
        .take_link = take_link,
        .find = find,
        .lives = lives,
        .asset = asset,
        .plain_page = put_page,
    };
}
