/* Pools of provider instances: made, shared with the pool before, asked for models. */
#include "live_fixture.h"

#include "script/sources.h"

#define MODELS(list) "options = { models = { " list " } }"

static struct gate_config *config_of(const struct gate_config *running, const char *lua)
{
    struct gate_config *c = NULL;
    struct gate_error err = {.message = ""};
    const struct gate_str text = gate_str_of(lua);
    if (running == NULL) {
        fixture_write("conf/gateway.lua", lua);
        return fixture_load();
    }
    must(gate_config_reload(running, &text, &c, &err), &err);
    return c;
}

/* Two configurations and their pools. */
struct pair {
    struct gate_registry *registry;
    struct gate_config *before, *after;
    struct gate_pool *old, *fresh;
};

static void open_pair(struct pair *p, const char *before, const char *after)
{
    struct gate_error err = {.message = ""};
    p->registry = load_plugins();
    p->before = config_of(NULL, before);
    p->after = config_of(p->before, after);
    must(gate_pool_create(p->before, p->registry, &p->old, &err), &err);
    must(gate_pool_update(p->old, p->before, p->after, p->registry, &p->fresh, &err), &err);
}

static void close_pair(struct pair *p)
{
    gate_pool_release(p->old);
    gate_pool_release(p->fresh);
    gate_config_release(p->before);
    gate_config_release(p->after);
    gate_registry_destroy(p->registry);
}

static struct gate_instance *in(const struct gate_pool *pool, const char *name)
{
    return gate_pool_find(pool, gate_str_of(name), NULL);
}

START_TEST(instances_that_did_not_change_are_shared)
{
    struct pair p;
    size_t position = 9;
    open_pair(&p,
              PROVIDERS(PROVIDER("gone", "", "") PROVIDER("same", "", MODELS("'m'"))
                            PROVIDER("other", "", MODELS("'a'"))),
              PROVIDERS(PROVIDER("new", "", "") PROVIDER("other", "", MODELS("'b'"))
                            PROVIDER("same", "{ key_env = 'KEY' }", MODELS("'m'"))));
    ck_assert_ptr_eq(in(p.old, "same"), in(p.fresh, "same"));
    ck_assert_uint_eq(in(p.old, "same")->refs, 2);
    ck_assert_ptr_ne(in(p.old, "other"), in(p.fresh, "other"));
    ck_assert_ptr_null(in(p.fresh, "gone"));
    ck_assert_ptr_null(in(p.old, "new"));
    ck_assert_ptr_nonnull(gate_pool_find(p.fresh, GATE_STR("same"), &position));
    ck_assert_uint_eq(position, 2);
    gate_pool_find(p.old, GATE_STR("same"), &position);
    ck_assert_uint_eq(position, 1);
    close_pair(&p);
}
END_TEST

static uint32_t accounts_in(const struct gate_pool *pool, const char *name)
{
    size_t position;
    ck_assert_ptr_nonnull(gate_pool_find(pool, gate_str_of(name), &position));
    return gate_pool_accounts(pool, position);
}

/* A request of the generation before still finds what that one has. */
START_TEST(a_shared_instance_has_other_accounts_in_another_pool)
{
    struct pair p;
    open_pair(&p, PROVIDERS(PROVIDER("i", "{ key_env = 'KEY' }", MODELS("'a'"))),
              PROVIDERS(PROVIDER("i", "", MODELS("'a'"))));
    ck_assert_ptr_eq(in(p.old, "i"), in(p.fresh, "i"));
    ck_assert_uint_eq(accounts_in(p.old, "i"), 1);
    ck_assert_uint_eq(accounts_in(p.fresh, "i"), 0);
    close_pair(&p);
}
END_TEST

START_TEST(another_instance_of_the_name_takes_over_its_turn_and_its_stored_accounts)
{
    struct pair p;
    struct gate_pool *third;
    struct gate_error err = {.message = ""};
    open_pair(&p, PROVIDERS(PROVIDER("i", "{ key_env = 'KEY' }", MODELS("'a'"))),
              PROVIDERS(PROVIDER("i", "{ key_env = 'KEY' }, { key_env = 'KEY' }", MODELS("'b'"))));
    ck_assert_uint_eq(accounts_in(p.fresh, "i"), 2);
    atomic_store(&in(p.old, "i")->turn, 41);
    size_t position;
    ck_assert_ptr_nonnull(gate_pool_find(p.old, GATE_STR("i"), &position));
    gate_pool_set_accounts(p.old, position, 4); /* three of them in storage */
    must(gate_pool_update(p.old, p.before, p.after, p.registry, &third, &err), &err);
    ck_assert_uint_eq(in(third, "i")->turn, 41);
    ck_assert_uint_eq(accounts_in(third, "i"), 5);
    ck_assert_uint_eq(accounts_in(p.old, "i"), 4);
    gate_pool_release(third);
    close_pair(&p);
}
END_TEST

START_TEST(an_instance_that_cannot_be_made_leaves_the_old_pool_alone)
{
    struct pair p;
    struct gate_pool *none = NULL;
    struct gate_error err = {.message = ""};
    open_pair(&p, PROVIDERS(PROVIDER("same", "", "")),
              PROVIDERS(PROVIDER("same", "", "") PROVIDER("no", "", "")));
    struct gate_config *bad = config_of(p.before, PROVIDERS(PROVIDER("same", "", "") PROVIDER(
                                                      "no", "", "options = { refuses = true }")));
    ck_assert_int_eq(gate_pool_update(p.old, p.before, bad, p.registry, &none, &err), GATE_EINVAL);
    ck_assert_str_eq(err.message, "provider no: no does not want to be");
    ck_assert_ptr_null(none);
    ck_assert_uint_eq(in(p.old, "same")->refs, 2); /* old and fresh */
    gate_config_release(bad);
    close_pair(&p);
}
END_TEST

START_TEST(an_instance_lives_until_nobody_uses_it)
{
    struct pair p;
    struct gate_error err = {.message = ""};
    const struct gate_credential key = {GATE_CREDENTIAL_API_KEY, GATE_STR("a-key")};
    struct gate_attachment *a;
    open_pair(&p, PROVIDERS(PROVIDER("i", "", MODELS("'a'"))),
              PROVIDERS(PROVIDER("i", "", MODELS("'b'"))));
    struct gate_instance *i = in(p.old, "i");
    must(gate_attachment_create(i, &key, 1, 0, &a, &err), &err);
    ck_assert_uint_eq(i->refs, 2);
    gate_pool_release(p.old);
    p.old = NULL;
    ck_assert_uint_eq(i->refs, 1);
    ck_assert_str_eq(secret_of(a), "a-key");
    ck_assert_int_eq(i->ops->claims(i->state, GATE_STR("a")), GATE_CLAIM_NAME);
    gate_attachment_release(a); /* and the instance with it: the sanitizer tells */
    close_pair(&p);
}
END_TEST

/* ---- who serves a name */

static void serves(const struct gate_pool *pool, const char *mapped, const char *name,
                   size_t position, const char *model)
{
    struct gate_resolved r;
    ck_assert_msg(gate_pool_resolve(pool, gate_str_of(mapped), gate_str_of(name), &r), "%s, %s",
                  mapped, name);
    size_t count;
    struct gate_instance *const *all = gate_pool_instances(pool, &count);
    ck_assert_uint_eq(r.position, position);
    ck_assert_ptr_eq(r.instance, all[position]);
    ck_assert(gate_str_eq(r.model, gate_str_of(model)));
}

START_TEST(names_resolve_by_mapping_prefix_and_claim)
{
    struct pair p;
    struct gate_resolved r;
    open_pair(&p, PROVIDERS(""),
              PROVIDERS(PROVIDER("a", "{ key_env = 'KEY' }", MODELS("'x'"))
                            PROVIDER("b", "{ key_env = 'KEY' }", MODELS("'x', 'y', 'both'"))
                                PROVIDER("idle", "", MODELS("'z'"))));
    serves(p.fresh, "", "x", 0, "x");
    serves(p.fresh, "", "y", 1, "y");
    serves(p.fresh, "", "b/x", 1, "x");
    serves(p.fresh, "", "a/anything", 0, "anything");
    serves(p.fresh, "y", "alias", 1, "y");
    serves(p.fresh, "b/x", "x", 1, "x");
    serves(p.fresh, "nobody", "x", 0, "x"); /* a target that nobody serves hides nothing */
    ck_assert(!gate_pool_resolve(p.fresh, GATE_STR(""), GATE_STR("z"), &r));
    ck_assert(!gate_pool_resolve(p.fresh, GATE_STR(""), GATE_STR("idle/z"), &r));
    ck_assert(!gate_pool_resolve(p.fresh, GATE_STR("nobody"), GATE_STR("alias"), &r));
    ck_assert(!gate_pool_resolve(p.fresh, GATE_STR(""), GATE_STR(""), &r));
    ck_assert(!gate_pool_resolve(p.fresh, GATE_STR(""), GATE_STR("a/"), &r));
    close_pair(&p);
}
END_TEST

/* ---- the list of models */

struct listing {
    char text[512];
};

static void list(void *ctx, struct gate_str model, const struct gate_instance *owner)
{
    struct listing *l = ctx;
    size_t len = strlen(l->text);
    snprintf(l->text + len, sizeof l->text - len, "%.*s@%s ", (int)model.len, model.ptr,
             owner->name);
}

static void lists(const struct gate_pool *pool, struct gate_script *script,
                  const struct gate_generation *g, const char *expected)
{
    struct listing l = {.text = ""};
    gate_pool_each_model(pool, script, g, list, &l);
    ck_assert_str_eq(l.text, expected);
}

START_TEST(each_name_is_listed_once_with_who_serves_it)
{
    static const char models[] =
        "return { alias = 'y', dead = 'nobody', x = 'b/x', made = function(name) return 'a/' .. "
        "name end, own = function() return nil end, wrong = function() error('no') end, both = "
        "'nobody' }";
    struct gate_sources sources = {0};
    struct gate_generation *g;
    struct gate_script *script;
    struct gate_error err = {.message = ""};
    struct pair p;
    open_pair(&p, PROVIDERS(""),
              PROVIDERS(PROVIDER("a", "{ key_env = 'KEY' }", MODELS("'x'"))
                            PROVIDER("b", "{ key_env = 'KEY' }", MODELS("'x', 'y', 'both'"))
                                PROVIDER("idle", "", MODELS("'z'"))));
    must(gate_sources_put(&sources, GATE_STR("models.lua"), gate_str_of(models), &err), &err);
    const struct gate_generation_input input = {.sources = &sources};
    must(gate_generation_create(&input, &g, &err), &err);
    must(gate_script_create(g, NULL, &script, &err), &err);
    lists(p.fresh, script, g, "alias@b made@a x@b y@b both@b ");
    lists(p.fresh, NULL, g, "alias@b x@b y@b both@b ");
    gate_script_destroy(script);
    gate_generation_release(g);
    gate_sources_finish(&sources);
    close_pair(&p);
}
END_TEST

static void set_key(void)
{
    fixture_setup();
    setenv("KEY", "a-key", 1);
}

int main(void)
{
    Suite *suite = suite_create("instances");
    TCase *c = tcase_create("instances");
    tcase_add_checked_fixture(c, set_key, fixture_teardown);
    tcase_add_test(c, instances_that_did_not_change_are_shared);
    tcase_add_test(c, a_shared_instance_has_other_accounts_in_another_pool);
    tcase_add_test(c, another_instance_of_the_name_takes_over_its_turn_and_its_stored_accounts);
    tcase_add_test(c, an_instance_that_cannot_be_made_leaves_the_old_pool_alone);
    tcase_add_test(c, an_instance_lives_until_nobody_uses_it);
    tcase_add_test(c, names_resolve_by_mapping_prefix_and_claim);
    tcase_add_test(c, each_name_is_listed_once_with_who_serves_it);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
