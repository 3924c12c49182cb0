/* Another gateway.lua while accounts are in use: who stays, comes, goes, waits and returns. */
#include "live_fixture.h"

#define ONE PROVIDER("p", "{ alias = 'one', key_env = 'K1' }", "")
#define ONE_TWO                                                                                    \
    PROVIDER("p", "{ alias = 'one', key_env = 'K1' }, { alias = 'two', key_env = 'K2' }", "")
#define ONE_CHANGED                                                                                \
    PROVIDER("p", "{ alias = 'one', key_env = 'K1' }", "options = { models = { 'm' } }")
#define STORE PROVIDER("s", "", "")
#define STORE_CHANGED PROVIDER("s", "", "options = { models = { 'm' } }")

static struct world world, *const w = &world;

static void setup(void)
{
    fixture_setup();
    world_set_keys();
}

/* What people published: the fixture's table is that of the last switch. */
static void look_again(void)
{
    gate_table_release(w->table);
    w->table = gate_roster_table(w->roster);
}

/* ---- accounts of the configuration */

START_TEST(accounts_come_and_go)
{
    world_open(w, PROVIDERS(ONE));
    struct gate_table *first = w->table;
    gate_table_retain(first);
    must_switch(w, PROVIDERS(PROVIDER("q", "{ alias = 'x', key_env = 'K2' }", "") ONE_TWO));
    check_table(w->table);
    ck_assert_uint_eq(w->table->count, 3);
    ck_assert_uint_gt(w->table->number, first->number);
    ck_assert_str_eq(secret_of(entry_of(w->table, "q/x")->attachment), "key-2");
    ck_assert_str_eq(secret_of(entry_of(w->table, "p/two")->attachment), "key-2");
    size_t position;
    ck_assert_ptr_nonnull(gate_pool_find(w->pool, GATE_STR("p"), &position));
    ck_assert_uint_eq(gate_pool_accounts(w->pool, position), 2);
    must_switch(w, PROVIDERS(PROVIDER("q", "{ alias = 'x', key_env = 'K2' }", "")));
    check_table(w->table);
    ck_assert_uint_eq(w->table->count, 1);
    ck_assert(!is_member(w, "p/one"));
    /* A request that began with the first table still has all of it. */
    check_table(first);
    ck_assert_str_eq(secret_of(entry_of(first, "p/one")->attachment), "key-1");
    gate_table_release(first);
    world_close(w);
}
END_TEST

START_TEST(who_stays_is_the_same_account_with_the_same_credential)
{
    world_open(w, PROVIDERS(ONE));
    struct gate_account *a = member(w, "p/one")->account;
    struct gate_attachment *credential = member(w, "p/one")->attachment;
    const struct gate_instance *instance = member(w, "p/one")->instance;
    bool probe;
    ck_assert(gate_health_begin(a, 1000, &probe));
    atomic_store(used(a), 5);
    must_switch(w, "return { echo = false, max_attempts = 3, providers = { { name = 'p', plugin = "
                   "'pool', dedup = 'off', accounts = { { alias = 'one', key_env = 'K1', weight = "
                   "7, tags = { 'paid' }, limits = { chat = { rpm = 9 } } } } } } }");
    const struct gate_entry *e = entry_of(w->table, "p/one");
    ck_assert_ptr_eq(e->account, a);
    ck_assert_ptr_eq(e->attachment, credential);
    ck_assert_ptr_eq(e->instance, instance);
    ck_assert_uint_eq(a->live.in_flight, 1);
    ck_assert_uint_eq(*used(a), 5);
    ck_assert_uint_eq(e->weight, 7);
    ck_assert_uint_eq(e->limits[GATE_USAGE_CHAT].requests_per_minute, 9);
    ck_assert_uint_eq(e->tag_count, 1);
    ck_assert(gate_str_eq(e->tags[0], GATE_STR("paid")));
    gate_health_end(a, probe);
    ck_assert_uint_eq(e->account->live.in_flight, 0);
    world_close(w);
}
END_TEST

START_TEST(a_changed_provider_makes_the_credentials_anew)
{
    world_open(w, PROVIDERS(ONE));
    struct gate_table *old = w->table;
    gate_table_retain(old);
    const struct gate_entry *before = entry_of(old, "p/one");
    must_switch(w, PROVIDERS(ONE_CHANGED));
    const struct gate_entry *after = entry_of(w->table, "p/one");
    check_table(w->table);
    ck_assert_ptr_eq(after->account, before->account);
    ck_assert_ptr_ne(after->attachment, before->attachment);
    ck_assert_ptr_ne(after->instance, before->instance);
    ck_assert_uint_gt(after->attachment->version, before->attachment->version);
    ck_assert_str_eq(secret_of(after->attachment), "key-1");
    ck_assert_str_eq(secret_of(before->attachment), "key-1");
    check_table(old);
    gate_table_release(old);
    world_close(w);
}
END_TEST

START_TEST(another_key_of_an_account_is_taken_and_its_sign_in_mark_taken_off)
{
    world_open(w, PROVIDERS(ONE));
    struct gate_account *a = member(w, "p/one")->account;
    gate_roster_needs_sign_in(w->roster, member(w, "p/one"), "refused");
    must_switch(w, PROVIDERS(ONE));
    ck_assert_int_eq(gate_health_read(a, 1).condition, GATE_CONDITION_SIGN_IN);
    must_switch(w, PROVIDERS(PROVIDER("p", "{ alias = 'one', key_env = 'K2' }", "")));
    ck_assert_ptr_eq(member(w, "p/one")->account, a);
    ck_assert_str_eq(secret_of(member(w, "p/one")->attachment), "key-2");
    ck_assert_str_eq(member(w, "p/one")->origin, "K2");
    ck_assert_int_eq(gate_health_read(a, 1).condition, GATE_CONDITION_SERVING);
    world_close(w);
}
END_TEST

START_TEST(a_key_that_is_not_taken_changes_nothing)
{
    struct gate_error err = {.message = ""};
    world_open(w, PROVIDERS(ONE STORE));
    world_add_stored(w, "s", "kept", "stored-key");
    look_again();
    struct gate_table *table = w->table;
    size_t count, after;
    gate_roster_members(w->roster, &count);
    const struct gate_attachment *credential = member(w, "p/one")->attachment;
    const struct gate_pool *pool = gate_roster_pool(w->roster);
    ck_assert_int_eq(
        world_switch(
            w, PROVIDERS(ONE_CHANGED PROVIDER("z", "{ alias = 'b', key_env = 'BAD' }", "")), &err),
        GATE_EINVAL);
    ck_assert_str_eq(err.message, "provider z, account z/b (BAD): the key is not taken");
    ck_assert_ptr_eq(gate_roster_pool(w->roster), pool);
    ck_assert_ptr_eq(member(w, "p/one")->attachment, credential);
    ck_assert_ptr_eq(member(w, "p/one")->instance, gate_pool_find(pool, GATE_STR("p"), NULL));
    ck_assert(is_member(w, "s/kept"));
    gate_roster_members(w->roster, &after);
    ck_assert_uint_eq(after, count);
    struct gate_table *now = gate_roster_table(w->roster);
    ck_assert_ptr_eq(now, table);
    gate_table_release(now);
    must_switch(w, PROVIDERS(ONE_CHANGED STORE));
    ck_assert_ptr_ne(member(w, "p/one")->attachment, credential);
    world_close(w);
}
END_TEST

START_TEST(an_account_of_another_kind_is_another_account)
{
    world_open(w, PROVIDERS(PROVIDER("p", "{ alias = '0', key_env = 'K1' }", "")));
    struct gate_account *a = member(w, "p/0")->account;
    gate_account_retain(a);
    must_switch(w, "return { echo = false, providers = { { name = 'p', plugin = 'pool', dedup = "
                   "'off' } } }");
    ck_assert_ptr_ne(member(w, "p/0")->account, a);
    ck_assert_int_eq(member(w, "p/0")->account->kind, GATE_CREDENTIAL_NONE);
    ck_assert_uint_eq(w->table->count, 1);
    ck_assert_ptr_null(gate_roster_member_of(w->roster, a));
    gate_account_release(a);
    world_close(w);
}
END_TEST

START_TEST(what_a_person_set_for_an_account_is_there_when_it_comes_back)
{
    const struct gate_str alias = GATE_STR("mine");
    struct gate_error err = {.message = ""};
    world_open(w, PROVIDERS(ONE_TWO));
    struct gate_account *a = member(w, "p/two")->account;
    must(gate_roster_patch(w->roster, member(w, "p/two"),
                           &(struct gate_member_patch){.alias = &alias}, &err),
         &err);
    atomic_store(used(a), 12);
    must_switch(w, PROVIDERS(ONE));
    ck_assert(!is_member(w, "p/two"));
    atomic_store(used(a), 13); /* a request that was on its way */
    must_switch(w, PROVIDERS(ONE_TWO));
    ck_assert_str_eq(member(w, "p/two")->alias, "mine");
    ck_assert_ptr_eq(member(w, "p/two")->account, a);
    ck_assert_uint_eq(*used(a), 13);
    must_switch(w, PROVIDERS(ONE));
    world_restart(w, PROVIDERS(ONE));
    ck_assert(!is_member(w, "p/two"));
    must_switch(w, PROVIDERS(ONE_TWO));
    ck_assert_str_eq(member(w, "p/two")->alias, "mine");
    ck_assert_uint_eq(*used(member(w, "p/two")->account), 13); /* written when it left */
    world_close(w);
}
END_TEST

START_TEST(tags_follow_until_a_person_changes_the_account)
{
    static const char tagged[] =
        PROVIDERS(PROVIDER("p", "{ alias = 'one', key_env = 'K1', tags = { 'new' } }", ""));
    struct gate_error err = {.message = ""};
    world_open(w, PROVIDERS(ONE));
    must(gate_roster_patch(w->roster, member(w, "p/one"),
                           &(struct gate_member_patch){.has_enabled = true}, &err),
         &err);
    must_switch(w, tagged);
    ck_assert_uint_eq(entry_of(w->table, "p/one")->tag_count, 0);
    ck_assert(!entry_of(w->table, "p/one")->enabled);
    world_close(w);
}
END_TEST

/* ---- accounts of storage */

START_TEST(a_stored_account_waits_for_its_provider_and_returns)
{
    struct gate_error err = {.message = ""};
    struct gate_buf secret;
    uint64_t version;
    world_open(w, PROVIDERS(ONE STORE));
    struct gate_member *m = world_add_stored(w, "s", "kept", "stored-key");
    struct gate_account *a = m->account;
    atomic_store(used(a), 3);
    must_switch(w, PROVIDERS(ONE));
    ck_assert(!is_member(w, "s/kept"));
    ck_assert_ptr_null(entry_of(w->table, "s/kept"));
    ck_assert_ptr_eq(gate_roster_member_of(w->roster, a), m);
    ck_assert_ptr_null(m->instance);
    ck_assert_ptr_null(m->attachment);
    gate_roster_tick(w->roster, 1000);
    /* A token that was asked for before arrives now. */
    must(gate_roster_set_secret(w->roster, m, GATE_STR("newer-key"), UINT64_MAX, 0, &err), &err);
    must_switch(w, PROVIDERS(STORE));
    ck_assert_ptr_eq(member(w, "s/kept"), m);
    ck_assert_ptr_eq(m->account, a);
    ck_assert_str_eq(secret_of(m->attachment), "newer-key");
    ck_assert_uint_eq(*used(a), 3);
    ck_assert_ptr_nonnull(entry_of(w->table, "s/kept"));
    gate_buf_init(&secret, 64);
    must(gate_roster_secret(w->roster, m, &secret, &version, &err), &err);
    ck_assert(gate_str_eq(gate_buf_str(&secret), GATE_STR("newer-key")));
    gate_buf_finish(&secret);
    world_close(w);
}
END_TEST

START_TEST(a_stored_account_of_an_unknown_provider_is_a_member_when_that_comes)
{
    world_open(w, PROVIDERS(STORE));
    world_add_stored(w, "s", "kept", "stored-key");
    gate_health_set(member(w, "s/kept")->account, GATE_CONDITION_SIGN_IN, 0, "refused", 1);
    gate_roster_tick(w->roster, 1000);
    world_restart(w, PROVIDERS(ONE));
    ck_assert(!is_member(w, "s/kept"));
    gate_roster_tick(w->roster, 2000); /* its condition is not read yet: nothing is written over */
    must_switch(w, PROVIDERS(ONE STORE));
    ck_assert_str_eq(secret_of(member(w, "s/kept")->attachment), "stored-key");
    ck_assert_int_eq(gate_health_read(member(w, "s/kept")->account, 1).condition,
                     GATE_CONDITION_SIGN_IN);
    world_close(w);
}
END_TEST

START_TEST(a_secret_that_storage_did_not_take_is_kept_while_its_account_waits)
{
    struct gate_error err = {.message = ""};
    world_open(w, PROVIDERS(STORE));
    struct gate_member *m = world_add_stored(w, "s", "kept", "stored-key");
    memory_storage_set_mode(&w->memory, MEMORY_STORAGE_FAIL_WRITES);
    ck_assert_int_eq(
        gate_roster_set_secret(w->roster, m, GATE_STR("newer-key"), UINT64_MAX, 0, &err), GATE_EIO);
    must_switch(w, PROVIDERS(ONE));
    memory_storage_set_mode(&w->memory, MEMORY_STORAGE_WELL);
    gate_roster_tick(w->roster, 1000);
    world_restart(w, PROVIDERS(STORE));
    ck_assert_str_eq(secret_of(member(w, "s/kept")->attachment), "newer-key");
    world_close(w);
}
END_TEST

START_TEST(a_changed_provider_gets_the_stored_secrets_again)
{
    struct gate_error err = {.message = ""};
    world_open(w, PROVIDERS(STORE));
    struct gate_member *m = world_add_stored(w, "s", "kept", "stored-key");
    must(gate_roster_set_secret(w->roster, m, GATE_STR("renewed-key"), UINT64_MAX, 0, &err), &err);
    struct gate_attachment *before = m->attachment;
    gate_attachment_retain(before);
    uint64_t secret_version = m->secret_version;
    must_switch(w, PROVIDERS(STORE_CHANGED));
    ck_assert_ptr_ne(m->attachment, before);
    ck_assert_uint_gt(m->attachment->version, before->version);
    ck_assert_uint_eq(m->secret_version, secret_version);
    ck_assert_str_eq(secret_of(m->attachment), "renewed-key");
    must(gate_roster_set_secret(w->roster, m, GATE_STR("third-key"), UINT64_MAX, 0, &err), &err);
    ck_assert_uint_gt(m->secret_version, before->version);
    gate_attachment_release(before);
    world_close(w);
}
END_TEST

/* Storage whose reads fail when they are told to. */
static _Atomic bool reads_fail;

static enum gate_status failing_get(void *store, struct gate_str key, struct gate_record *out,
                                    struct gate_error *err)
{
    if (reads_fail)
        return gate_fail(err, GATE_EIO, "the disk is away");
    return memory_ops_get(store, key, out, err);
}

START_TEST(who_serves_is_not_taken_out_of_service_by_storage_that_cannot_be_read)
{
    struct gate_storage_ops ops = *(const struct gate_storage_ops *)memory_storage_plugin.ops;
    struct gate_plugin plugin = memory_storage_plugin;
    struct gate_error err = {.message = ""};
    ops.get = failing_get;
    plugin.ops = &ops;
    world_open_on(w, &plugin, PROVIDERS(STORE));
    struct gate_member *m = world_add_stored(w, "s", "kept", "stored-key");
    const struct gate_attachment *before = m->attachment;
    reads_fail = true;
    ck_assert_int_eq(world_switch(w, PROVIDERS(STORE_CHANGED), &err), GATE_EIO);
    ck_assert_str_eq(err.message,
                     "account s/kept: its credential cannot be read now: the disk is away");
    ck_assert_ptr_eq(m->attachment, before);
    must_switch(w, "return { echo = false, drain_ms = 5, providers = { " STORE " } }");
    reads_fail = false;
    must_switch(w, PROVIDERS(STORE_CHANGED));
    ck_assert_ptr_ne(m->attachment, before);
    world_close(w);
}
END_TEST

START_TEST(an_account_that_waits_for_its_name_makes_room)
{
    world_open(w, PROVIDERS(ONE_TWO));
    struct gate_account *a = member(w, "p/two")->account;
    gate_account_retain(a);
    must_switch(w, PROVIDERS(ONE));
    struct gate_member *m = world_add_stored(w, "p", "two", "a-persons-key");
    ck_assert_ptr_ne(m->account, a);
    ck_assert_ptr_null(gate_roster_member_of(w->roster, a));
    ck_assert_ptr_eq(gate_roster_member_of(w->roster, m->account), m);
    must_switch(w, PROVIDERS(ONE_TWO)); /* the configuration names it again: its key counts */
    ck_assert_ptr_eq(member(w, "p/two"), m);
    ck_assert_int_eq(m->source, GATE_MEMBER_CONFIG);
    ck_assert_str_eq(secret_of(m->attachment), "key-2");
    gate_account_release(a);
    world_close(w);
}
END_TEST

START_TEST(deleted_accounts_stay_deleted)
{
    struct gate_error err = {.message = ""};
    world_open(w, PROVIDERS(STORE));
    must(gate_roster_delete(w->roster, world_add_stored(w, "s", "gone", "a-key"), false, &err),
         &err);
    must_switch(w, PROVIDERS(STORE_CHANGED));
    ck_assert_uint_ne(member(w, "s/gone")->deleted_ms, 0);
    ck_assert_ptr_null(entry_of(w->table, "s/gone"));
    must_switch(w, PROVIDERS(ONE));
    must_switch(w, PROVIDERS(STORE));
    ck_assert_uint_ne(member(w, "s/gone")->deleted_ms, 0);
    ck_assert_ptr_null(entry_of(w->table, "s/gone"));
    world_close(w);
}
END_TEST

/* ---- logins of the configuration */

#define LOGIN(more)                                                                                \
    PROVIDERS("{ name = 'l', plugin = 'pool', dedup = 'off', key_env = 'LOGIN', credential = "     \
              "'oauth', " more " }, ")

START_TEST(a_login_is_stored_once_and_what_became_of_it_is_kept)
{
    struct gate_error err = {.message = ""};
    world_open(w, PROVIDERS(ONE));
    must_switch(w, LOGIN(""));
    struct gate_member *m = member(w, "l/0");
    ck_assert_int_eq(m->source, GATE_MEMBER_STORED);
    ck_assert_str_eq(secret_of(m->attachment), "{\"access_token\":\"first\"}");
    must(gate_roster_set_secret(w->roster, m, GATE_STR("{\"access_token\":\"refreshed\"}"),
                                UINT64_MAX, 0, &err),
         &err);
    gate_roster_needs_sign_in(w->roster, m, "refused");
    must_switch(w, LOGIN("options = { models = { 'm' } }"));
    ck_assert_ptr_eq(member(w, "l/0"), m);
    ck_assert_str_eq(secret_of(m->attachment), "{\"access_token\":\"refreshed\"}");
    ck_assert_int_eq(gate_health_read(m->account, 1).condition, GATE_CONDITION_SIGN_IN);
    must_switch(w, PROVIDERS(PROVIDER("l", "", "")));
    ck_assert_ptr_eq(member(w, "l/0"), m);
    ck_assert_ptr_null(m->config);
    world_close(w);
}
END_TEST

START_TEST(another_login_takes_the_place_of_the_stored_one)
{
    static const char lua[] = LOGIN("");
    world_open(w, lua);
    struct gate_member *m = member(w, "l/0");
    struct gate_account *a = m->account;
    gate_roster_needs_sign_in(w->roster, m, "refused");
    must_switch(w, PROVIDERS("{ name = 'l', plugin = 'pool', dedup = 'off', key_env = "
                             "'OTHER_LOGIN', credential = 'oauth' }, "));
    ck_assert_ptr_eq(member(w, "l/0"), m);
    ck_assert_ptr_eq(m->account, a);
    ck_assert_str_eq(secret_of(m->attachment), "{\"access_token\":\"other\"}");
    ck_assert_int_eq(gate_health_read(a, 1).condition, GATE_CONDITION_SERVING);
    world_close(w);
}
END_TEST

static void setup_logins(void)
{
    setup();
    setenv("OTHER_LOGIN", "{\"access_token\":\"other\"}", 1);
}

int main(void)
{
    Suite *suite = suite_create("roster_switch");
    TCase *config = tcase_create("configuration"), *stored = tcase_create("storage"),
          *logins = tcase_create("logins");
    tcase_add_checked_fixture(config, setup, fixture_teardown);
    tcase_add_checked_fixture(stored, setup, fixture_teardown);
    tcase_add_checked_fixture(logins, setup_logins, fixture_teardown);
    tcase_add_test(config, accounts_come_and_go);
    tcase_add_test(config, who_stays_is_the_same_account_with_the_same_credential);
    tcase_add_test(config, a_changed_provider_makes_the_credentials_anew);
    tcase_add_test(config, another_key_of_an_account_is_taken_and_its_sign_in_mark_taken_off);
    tcase_add_test(config, a_key_that_is_not_taken_changes_nothing);
    tcase_add_test(config, an_account_of_another_kind_is_another_account);
    tcase_add_test(config, what_a_person_set_for_an_account_is_there_when_it_comes_back);
    tcase_add_test(config, tags_follow_until_a_person_changes_the_account);
    tcase_add_test(stored, a_stored_account_waits_for_its_provider_and_returns);
    tcase_add_test(stored, a_stored_account_of_an_unknown_provider_is_a_member_when_that_comes);
    tcase_add_test(stored, a_secret_that_storage_did_not_take_is_kept_while_its_account_waits);
    tcase_add_test(stored, a_changed_provider_gets_the_stored_secrets_again);
    tcase_add_test(stored, who_serves_is_not_taken_out_of_service_by_storage_that_cannot_be_read);
    tcase_add_test(stored, an_account_that_waits_for_its_name_makes_room);
    tcase_add_test(stored, deleted_accounts_stay_deleted);
    tcase_add_test(logins, a_login_is_stored_once_and_what_became_of_it_is_kept);
    tcase_add_test(logins, another_login_takes_the_place_of_the_stored_one);
    suite_add_tcase(suite, config);
    suite_add_tcase(suite, stored);
    suite_add_tcase(suite, logins);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
