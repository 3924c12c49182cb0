#include "admin/admin_internal.h"
#include "base/clock.h"

enum { LIST_MAX = 500, LIST_DEFAULT = 100 };

struct filter {
    struct gate_str provider, state, tag, q, after;
    uint64_t now_ms;
};

static bool has_tag(const struct gate_table *t, const struct gate_member *m, struct gate_str tag)
{
    const struct gate_entry *e = admin_entry(t, m);
    for (size_t i = 0; i < m->tag_count; i++)
        if (gate_str_eq(m->tags[i], tag))
            return true;
    for (size_t i = 0; e != NULL && i < e->tag_count; i++)
        if (gate_str_eq(e->tags[i], tag))
            return true;
    return false;
}

/* Is needle somewhere in text? Letters of ASCII count alike in both cases. */
static bool contains(const char *text, struct gate_str needle)
{
    for (; strlen(text) >= needle.len; text++)
        if (strncasecmp(text, needle.ptr, needle.len) == 0)
            return true;
    return false;
}

static bool matches(const struct gate_admin *a, const struct gate_table *t,
                    const struct gate_member *m, const struct filter *f)
{
    if (f->provider.len > 0 && !gate_str_eq(f->provider, gate_str_of(m->instance->name)))
        return false;
    if (f->state.len > 0 &&
        !gate_str_eq(f->state, gate_str_of(admin_state_name(admin_state(a, m, f->now_ms)))))
        return false;
    if (f->tag.len > 0 && !has_tag(t, m, f->tag))
        return false;
    return f->q.len == 0 || contains(m->account->id, f->q) || contains(m->alias, f->q);
}

static bool is_behind(const struct gate_member *m, struct gate_str after)
{
    struct gate_str id = gate_str_of(m->account->id);
    size_t n = id.len < after.len ? id.len : after.len;
    int order = n > 0 ? memcmp(id.ptr, after.ptr, n) : 0;
    return order != 0 ? order > 0 : id.len > after.len;
}

static void list(struct admin_call *c, const struct filter *f, size_t limit)
{
    struct gate_admin *a = c->admin;
    struct gate_table *t = gate_roster_table(a->parts.roster);
    size_t count, total = 0, shown = 0;
    struct gate_member *const *members = gate_roster_members(a->parts.roster, &count);
    const char *last = NULL;
    bool more = false;
    struct gate_buf out;
    admin_sparks_load(a);
    gate_buf_init(&out, GATE_ADMIN_MAX_ANSWER);
    json_open(&out, NULL, '{');
    json_open(&out, "accounts", '[');
    for (size_t i = 0; i < count; i++) {
        if (!matches(a, t, members[i], f))
            continue;
        total++;
        if (!is_behind(members[i], f->after))
            continue;
        if (shown == limit) {
            more = true;
            continue;
        }
        admin_put_account(a, t, members[i], &out, NULL);
        last = members[i]->account->id;
        shown++;
    }
    json_close(&out, ']');
    json_num(&out, "total", total);
    json_text_or_null(&out, "next", more ? last : NULL);
    json_close(&out, '}');
    gate_table_release(t);
    admin_reply(c, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
}

void admin_accounts_list(struct admin_call *c)
{
    struct admin_params p;
    uint64_t limit;
    if (!admin_params_read(c, "provider|state|tag|q|limit|after", &p))
        return;
    if (admin_param_number(c, &p, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit)) {
        const struct filter f = {
            .provider = admin_param(&p, "provider"),
            .state = admin_param(&p, "state"),
            .tag = admin_param(&p, "tag"),
            .q = admin_param(&p, "q"),
            .after = admin_param(&p, "after"),
            .now_ms = gate_clock_wall_ms(),
        };
        list(c, &f, (size_t)limit);
    }
    admin_params_finish(&p);
}

void admin_accounts_get(struct admin_call *c)
{
    if (!admin_no_params(c))
        return;
    const struct gate_member *m = admin_member(c);
    if (m != NULL)
        admin_reply_account(c, 200, m, NULL);
}
