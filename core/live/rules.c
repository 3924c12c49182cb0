#include "live/rules.h"

/* The rules of one account in both files. Zeroed ones stand for those that are missing. */
struct pair {
    struct gate_account_rule old, new;
};

static bool has_tag(const struct gate_str *tags, size_t count, struct gate_str tag)
{
    for (size_t i = 0; i < count; i++)
        if (gate_str_eq(tags[i], tag))
            return true;
    return false;
}

/* ---- weight */

static uint32_t weight_under(const struct pair *p, uint32_t weight)
{
    bool same = p->old.has_weight == p->new.has_weight && p->old.weight == p->new.weight;
    if (same || (p->old.has_weight && weight != p->old.weight))
        return weight;
    return p->new.has_weight ? p->new.weight : 1;
}

/* ---- tags */

static bool same_tags(const struct pair *p)
{
    if (p->old.tag_count != p->new.tag_count)
        return false;
    for (size_t i = 0; i < p->new.tag_count; i++)
        if (!gate_str_eq(p->old.tags[i], p->new.tags[i]))
            return false;
    return true;
}

static bool change_tags(const struct pair *p, struct gate_account_facts *f, struct gate_str *tags)
{
    size_t count = 0;
    if (same_tags(p))
        return false;
    for (size_t i = 0; i < f->tag_count && count < GATE_RULES_MAX_TAGS; i++)
        if (!has_tag(p->old.tags, p->old.tag_count, f->tags[i]))
            tags[count++] = f->tags[i];
    for (size_t i = 0; i < p->new.tag_count &&count < GATE_RULES_MAX_TAGS; i++)
        if (!has_tag(tags, count, p->new.tags[i]))
            tags[count++] = p->new.tags[i];
    f->tags = tags;
    f->tag_count = count;
    return true;
}

/* ---- limits */

/* Who sets a limit in one file: the rule of the account, else the line for all. */
struct setting {
    bool by_rule, by_all;
    uint64_t value;
};

static struct setting setting_of(const struct gate_limits_patch *rule,
                                 const struct gate_limits_patch *all, unsigned field)
{
    struct setting s = {.by_rule = (rule->set >> field & 1) != 0};
    s.by_all = !s.by_rule && (all->set >> field & 1) != 0;
    if (s.by_rule || s.by_all)
        s.value = gate_limits_value(s.by_rule ? &rule->values : &all->values, field);
    return s;
}

static uint64_t limit_under(const struct setting *old, const struct setting *new, uint64_t below,
                            uint64_t value)
{
    bool was_set = old->by_rule || old->by_all, is_set = new->by_rule || new->by_all;
    if (was_set == is_set && old->value == new->value && old->by_rule == new->by_rule)
        return value;
    if (was_set && value != old->value && (old->by_rule || new->by_all || !is_set))
        return value; /* of somebody above what the file says */
    if (!was_set && new->by_all && value != 0 && value != below)
        return value; /* an account's own line in gateway.lua is above the line for all */
    return is_set ? new->value : below;
}

static void change_limits(const struct gate_rules *r, const struct pair *p,
                          struct gate_limits *limits)
{
    static const struct gate_limits_patch nothing = {0};
    const struct gate_limits_patch *old_all =
        r->from != NULL ? &r->from->limits.kinds[r->kind] : &nothing;
    const struct gate_limits_patch *new_all = &r->to->limits.kinds[r->kind];
    const struct gate_limits_patch *defaults =
        r->defaults != NULL ? &r->defaults->kinds[r->kind] : &nothing;
    struct gate_limits_patch patch = {0};
    for (unsigned field = 0; field < GATE_LIMITS_FIELDS; field++) {
        struct setting old = setting_of(&p->old.limits.kinds[r->kind], old_all, field);
        struct setting new = setting_of(&p->new.limits.kinds[r->kind], new_all, field);
        uint64_t below =
            (defaults->set >> field & 1) != 0 ? gate_limits_value(&defaults->values, field) : 0;
        uint64_t value = gate_limits_value(limits, field);
        gate_limits_put(&patch, field, limit_under(&old, &new, below, value));
    }
    gate_limits_apply(limits, &patch);
}

/* ---- all of it */

static bool says_nothing(const struct gate_account_policy *p, enum gate_usage_kind kind)
{
    return p == NULL || (p->rule_count == 0 && p->limits.kinds[kind].set == 0);
}

static struct gate_account_rule rule_in(const struct gate_account_policy *p,
                                        const struct gate_account_facts *f)
{
    const struct gate_account_rule *rule = p != NULL ? gate_policy_rule(p, f->id, f->alias) : NULL;
    return rule != NULL ? *rule : (struct gate_account_rule){.has_weight = false};
}

bool gate_rules_apply(const struct gate_rules *r, struct gate_account_facts *f,
                      struct gate_str *tags)
{
    if (r->from == r->to || (says_nothing(r->from, r->kind) && says_nothing(r->to, r->kind)))
        return false;
    struct pair p = {rule_in(r->from, f), rule_in(r->to, f)};
    f->weight = weight_under(&p, f->weight);
    change_limits(r, &p, &f->limits);
    return change_tags(&p, f, tags);
}
