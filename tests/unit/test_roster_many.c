/* Many accounts that come and go with gateway.lua: what waits is bounded, and nothing that a person
 * has set is lost. Prints what a change costs. */
#include "live_fixture.h"
#include "pool/roster_internal.h"

#define ONE PROVIDER("p", "{ alias = 'one', key_env = 'K1' }", "")

static struct world world, *const w = &world;

static void setup(void)
{
    fixture_setup();
    setenv("K1", "key-1", 1);
}

/* 1,024 accounts whose aliases begin with this letter. */
static void switch_to_many(char letter)
{
    char lua[512];
    snprintf(lua, sizeof lua,
             "local all = {} for i = 1, 1024 do all[i] = { alias = '%c' .. i, key_env = 'K1' } end "
             "return { echo = false, providers = { { name = 'p', plugin = 'pool', dedup = 'off', "
             "accounts = all } } }",
             letter);
    uint64_t began = gate_clock_mono_us();
    must_switch(w, lua);
    printf("1,024 accounts in, all others out: %llu us\n",
           (unsigned long long)(gate_clock_mono_us() - began));
    began = gate_clock_mono_us();
    must_switch(w, lua);
    printf("1,024 accounts as they are: %llu us\n",
           (unsigned long long)(gate_clock_mono_us() - began));
}

START_TEST(only_so_many_wait_and_what_was_set_for_the_others_is_in_storage)
{
    const struct gate_str alias = GATE_STR("mine");
    struct gate_error err = {.message = ""};
    world_open(w, PROVIDERS(ONE));
    switch_to_many('e'); /* the last ones by id go first */
    must(gate_roster_patch(w->roster, member(w, "p/e7"),
                           &(struct gate_member_patch){.alias = &alias}, &err),
         &err);
    struct gate_account *a = member(w, "p/e7")->account;
    gate_account_retain(a);
    atomic_store(used(a), 3);
    switch_to_many('d');
    ck_assert_ptr_nonnull(gate_roster_member_of(w->roster, a));
    switch_to_many('c');
    switch_to_many('b');
    switch_to_many('a');
    ck_assert_ptr_nonnull(gate_roster_member_of(w->roster, a));
    must_switch(w, PROVIDERS(ONE));
    ck_assert_ptr_null(gate_roster_member_of(w->roster, a));
    ck_assert_uint_le(w->roster->waiting.count, GATE_ACCOUNT_MAX);
    switch_to_many('e');
    ck_assert_str_eq(member(w, "p/e7")->alias, "mine");
    ck_assert_uint_eq(*used(member(w, "p/e7")->account), 3);
    gate_account_release(a);
    world_close(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("roster_many");
    TCase *c = tcase_create("many");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, fixture_teardown);
    tcase_add_test(c, only_so_many_wait_and_what_was_set_for_the_others_is_in_storage);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
