/* What a candidate would decide, as JSON. */
#include "base/json.h"
#include "live/simulate.h"

static void put_string(struct gate_buf *out, const char *name, const char *value)
{
    gate_buf_printf(out, "\"%s\":", name);
    gate_json_put(out, gate_str_of(value));
    gate_buf_append_byte(out, ',');
}

static void put_targets(const struct gate_simulated *s, struct gate_buf *out)
{
    gate_buf_append(out, GATE_STR("\"targets\":["));
    for (size_t i = 0; i < s->target_count; i++) {
        gate_buf_append(out, i > 0 ? GATE_STR(",{") : GATE_STR("{"));
        put_string(out, "name", s->targets[i].name);
        put_string(out, "provider", s->targets[i].provider);
        gate_buf_append(out, GATE_STR("\"model\":"));
        gate_json_put(out, gate_str_of(s->targets[i].model));
        gate_buf_append_byte(out, '}');
    }
    gate_buf_append(out, GATE_STR("],"));
}

static void put_accounts(const struct gate_simulated *s, struct gate_buf *out)
{
    gate_buf_append(out, GATE_STR("\"accounts\":["));
    for (size_t i = 0; i < s->order_count; i++) {
        if (i > 0)
            gate_buf_append_byte(out, ',');
        gate_json_put(out, gate_str_of(s->order[i]));
    }
    gate_buf_append(out, GATE_STR("],"));
}

void gate_simulated_json(const struct gate_simulated *s, struct gate_buf *out)
{
    gate_buf_append_byte(out, '{');
    put_string(out, "outcome", gate_simulate_outcome_names[s->outcome]);
    if (s->chosen < s->target_count) {
        put_string(out, "provider", s->targets[s->chosen].provider);
        put_string(out, "model", s->targets[s->chosen].model);
        put_string(out, "account", s->account);
        put_accounts(s, out);
        put_string(out, "strategy", s->strategy);
    }
    put_targets(s, out);
    if (s->status != 0)
        gate_buf_printf(out, "\"status\":%d,", s->status);
    if (s->reason[0] != '\0')
        put_string(out, "reason", s->reason);
    if (s->message[0] != '\0')
        put_string(out, "message", s->message);
    if (s->stack[0] != '\0')
        put_string(out, "stack", s->stack);
    gate_buf_printf(out, "\"took_us\":%.1f}", (double)s->took_ns / 1000);
}
