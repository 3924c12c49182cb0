/* Accounts of a draft beside those that run: which are shared, which are its own, what follows. */
#include "live_fixture.h"

#define ONE PROVIDER("p", "{ alias = 'one', key_env = 'K1' }", "")
#define ONE_CHANGED                                                                                \
    PROVIDER("p", "{ alias = 'one', key_env = 'K1' }", "options = { models = { 'm' } }")
#define STORE PROVIDER("s", "", "")
#define STORE_CHANGED PROVIDER("s", "", "options = { models = { 'm' } }")
#define LOGIN PROVIDER("l", "{ alias = 'in', key_env = 'LOGIN', oauth = true }", "")

static struct world world, *const w = &world;

static void setup(void)
{
    fixture_setup();
    world_set_keys();
}

/* A draft of gateway.lua. */
static struct gate_roster_stage *stage_of(const char *lua)
{
    struct gate_error err = {.message = ""};
    const struct gate_str text = gate_str_of(lua);
    struct gate_config *config;
    struct gate_pool *pool;
    must(gate_config_reload(w->config, &text, &config, &err), &err);
    must(gate_pool_update(w->pool, w->config, config, w->registry, &pool, &err), &err);
    struct gate_roster_stage *s = gate_roster_stage_create(config, pool, w->generation);
    gate_pool_release(pool);
    gate_config_release(config);
    return s;
}

static struct gate_table *table_of(struct gate_roster_stage *s)
{
    struct gate_error err = {.message = ""};
    struct gate_table *t;
    must(gate_roster_stage_table(w->roster, s, &t, &err), &err);
    check_table(t);
    return t;
}

START_TEST(what_is_the_same_is_shared)
{
    world_open(w, PROVIDERS(ONE STORE));
    struct gate_member *stored = world_add_stored(w, "s", "kept", "stored-key");
    struct gate_roster_stage *s = stage_of(
        PROVIDERS(ONE STORE PROVIDER("q",
                                     "{ alias = 'x', key_env = 'K2', weight = 3, tags = { 'new' }, "
                                     "limits = { chat = { rpm = 4 } } }",
                                     "")));
    struct gate_table *t = table_of(s);
    ck_assert_uint_eq(t->count, 3);
    ck_assert_ptr_eq(entry_of(t, "p/one")->account, member(w, "p/one")->account);
    ck_assert_ptr_eq(entry_of(t, "p/one")->attachment, member(w, "p/one")->attachment);
    ck_assert_ptr_eq(entry_of(t, "s/kept")->account, stored->account);
    const struct gate_entry *own = entry_of(t, "q/x");
    ck_assert_str_eq(secret_of(own->attachment), "key-2");
    ck_assert_str_eq(own->alias, "x");
    ck_assert_uint_eq(own->weight, 3);
    ck_assert_uint_eq(own->limits[GATE_USAGE_CHAT].requests_per_minute, 4);
    ck_assert(own->tag_count == 1 && gate_str_eq(own->tags[0], GATE_STR("new")));
    ck_assert(own->enabled);
    /* Nothing of it is in the roster. */
    ck_assert(!is_member(w, "q/x"));
    ck_assert_ptr_null(gate_roster_member_of(w->roster, own->account));
    gate_roster_stage_destroy(s);
    ck_assert_str_eq(own->alias, "x"); /* the table stands alone */
    gate_table_release(t);
    world_close(w);
}
END_TEST

START_TEST(what_differs_has_accounts_of_its_own)
{
    world_open(w, PROVIDERS(ONE STORE));
    struct gate_member *stored = world_add_stored(w, "s", "kept", "stored-key");
    struct gate_roster_stage *s = stage_of(PROVIDERS(ONE_CHANGED STORE_CHANGED));
    struct gate_table *t = table_of(s), *again = table_of(s);
    const char *ids[] = {"p/one", "s/kept"};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_ptr_ne(entry_of(t, ids[i])->account, member(w, ids[i])->account);
        ck_assert_ptr_ne(entry_of(t, ids[i])->instance, member(w, ids[i])->instance);
        ck_assert_ptr_eq(entry_of(t, ids[i])->attachment->instance, entry_of(t, ids[i])->instance);
        /* The next table has the same ones, with their counts. */
        ck_assert_ptr_eq(entry_of(t, ids[i])->account, entry_of(again, ids[i])->account);
    }
    ck_assert_str_eq(secret_of(entry_of(t, "p/one")->attachment), "key-1");
    ck_assert_str_eq(secret_of(entry_of(t, "s/kept")->attachment), "stored-key");
    atomic_store(used(entry_of(t, "s/kept")->account), 5);
    ck_assert_uint_eq(*used(stored->account), 0);
    gate_table_release(again);
    gate_table_release(t);
    gate_roster_stage_destroy(s);
    world_close(w);
}
END_TEST

START_TEST(another_key_is_another_account)
{
    struct gate_error err = {.message = ""};
    struct gate_table *t;
    world_open(w, PROVIDERS(ONE));
    struct gate_roster_stage *s =
        stage_of(PROVIDERS(PROVIDER("p", "{ alias = 'one', key_env = 'K2' }", "")));
    t = table_of(s);
    ck_assert_ptr_ne(entry_of(t, "p/one")->account, member(w, "p/one")->account);
    ck_assert_ptr_eq(entry_of(t, "p/one")->instance, member(w, "p/one")->instance);
    ck_assert_str_eq(secret_of(entry_of(t, "p/one")->attachment), "key-2");
    ck_assert_str_eq(secret_of(member(w, "p/one")->attachment), "key-1");
    gate_table_release(t);
    gate_roster_stage_destroy(s);
    s = stage_of(PROVIDERS(PROVIDER("p", "{ alias = 'one', key_env = 'BAD' }", "")));
    ck_assert_int_eq(gate_roster_stage_table(w->roster, s, &t, &err), GATE_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.message, "p/one"));
    gate_roster_stage_destroy(s);
    world_close(w);
}
END_TEST

START_TEST(people_change_accounts_meanwhile)
{
    struct gate_error err = {.message = ""};
    const struct gate_member_patch off = {.has_enabled = true, .enabled = false};
    world_open(w, PROVIDERS(ONE STORE));
    struct gate_member *kept = world_add_stored(w, "s", "kept", "stored-key");
    struct gate_roster_stage *s = stage_of(PROVIDERS(ONE_CHANGED STORE_CHANGED));
    struct gate_table *t = table_of(s);
    gate_table_release(t);
    world_add_stored(w, "s", "late", "late-key");
    must(gate_roster_patch(w->roster, member(w, "p/one"), &off, &err), &err);
    must(gate_roster_set_secret(w->roster, kept, GATE_STR("newer-key"), UINT64_MAX, 0, &err), &err);
    t = table_of(s);
    ck_assert_uint_eq(t->count, 3);
    ck_assert(!entry_of(t, "p/one")->enabled);
    ck_assert_str_eq(secret_of(entry_of(t, "s/late")->attachment), "late-key");
    ck_assert_str_eq(secret_of(entry_of(t, "s/kept")->attachment), "newer-key");
    gate_table_release(t);
    must(gate_roster_delete(w->roster, kept, false, &err), &err);
    must(gate_roster_delete(w->roster, member(w, "s/late"), true, &err), &err);
    t = table_of(s);
    ck_assert_uint_eq(t->count, 1);
    gate_table_release(t);
    gate_roster_stage_destroy(s);
    world_close(w);
}
END_TEST

START_TEST(what_runs_changes_meanwhile)
{
    world_open(w, PROVIDERS(ONE STORE));
    world_add_stored(w, "s", "kept", "stored-key");
    struct gate_roster_stage *s = stage_of(PROVIDERS(ONE STORE));
    struct gate_table *first = table_of(s), *t;
    must_switch(w, PROVIDERS(ONE_CHANGED));
    t = table_of(
        s); /* s has no instance now, so its account waits; the stage has it all the same */
    ck_assert_uint_eq(t->count, 2);
    ck_assert_ptr_ne(entry_of(t, "p/one")->account, member(w, "p/one")->account);
    ck_assert_str_eq(secret_of(entry_of(t, "s/kept")->attachment), "stored-key");
    gate_table_release(t);
    must_switch(w, PROVIDERS(ONE_CHANGED STORE_CHANGED));
    t = table_of(s);
    ck_assert_str_eq(secret_of(entry_of(t, "s/kept")->attachment), "stored-key");
    check_table(first);
    check_table(w->table);
    gate_table_release(t);
    gate_table_release(first);
    gate_roster_stage_destroy(s);
    world_close(w);
}
END_TEST

START_TEST(a_login_is_shared_once_it_is_stored)
{
    struct gate_error err = {.message = ""};
    struct gate_table *t;
    world_open(w, PROVIDERS(ONE));
    struct gate_roster_stage *s = stage_of(PROVIDERS(ONE LOGIN));
    ck_assert_int_eq(gate_roster_stage_table(w->roster, s, &t, &err), GATE_ECONFLICT);
    ck_assert_ptr_nonnull(strstr(err.message, "l/in"));
    must_switch(w, PROVIDERS(ONE LOGIN));
    t = table_of(s);
    ck_assert_uint_eq(t->count, 2);
    ck_assert_str_eq(secret_of(entry_of(t, "l/in")->attachment), "{\"access_token\":\"first\"}");
    gate_table_release(t);
    gate_roster_stage_destroy(s);
    s = stage_of(PROVIDERS(ONE LOGIN "{ name = 'z', plugin = 'pool', dedup = 'off' },"));
    t = table_of(s);
    ck_assert_ptr_eq(entry_of(t, "l/in")->account, member(w, "l/in")->account);
    ck_assert_ptr_eq(entry_of(t, "l/in")->attachment, member(w, "l/in")->attachment);
    gate_table_release(t);
    gate_roster_stage_destroy(s);
    world_close(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("roster_stage");
    TCase *c = tcase_create("tables");
    tcase_add_checked_fixture(c, setup, fixture_teardown);
    tcase_add_test(c, what_is_the_same_is_shared);
    tcase_add_test(c, what_differs_has_accounts_of_its_own);
    tcase_add_test(c, another_key_is_another_account);
    tcase_add_test(c, people_change_accounts_meanwhile);
    tcase_add_test(c, what_runs_changes_meanwhile);
    tcase_add_test(c, a_login_is_shared_once_it_is_stored);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
