/* Refreshes and logins that are under way while the configuration changes their provider. */
#include "login_fixture.h"

/* ---- another configuration */

static void work_switch(struct work *w)
{
    struct gate_pool *pool = pool_of(w->flag ? &w->g->provider : NULL);
    struct gate_table *table;
    must(gate_roster_switch(w->g->roster, &w->g->config, pool, w->g->generation, &table, &w->err),
         &w->err);
    gate_pool_release(w->g->pool);
    w->g->pool = pool;
    gate_table_release(table);
}

/* The old instance is freed as soon as nobody uses it. */
static void replace_provider(void)
{
    on_control(&(struct work){.g = g, .what = work_switch, .flag = true});
}

static void remove_provider(void)
{
    on_control(&(struct work){.g = g, .what = work_switch});
}

/* ---- refreshes */

static void begin_held(struct answers *answers)
{
    answers_init(answers);
    add_account(g, 'a', gate_clock_wall_ms());
    service_set(&service, SERVICE_HOLDS);
    post_want(g, "svc/a", answers);
    tiny_wait(service.http, &service.http->requests, 1);
}

START_TEST(a_token_for_the_provider_before_is_used_with_the_new_one)
{
    struct answers answers;
    begin_held(&answers);
    struct seen before = look_at(g, "svc/a");
    replace_provider();
    struct seen between = look_at(g, "svc/a");
    ck_assert_uint_gt(between.version, before.version);
    ck_assert_uint_eq(between.expires_ms, before.expires_ms);
    ck_assert_ptr_eq(between.account, before.account);
    tiny_release(service.http, 1);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_OK], 1);
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-900");
}
END_TEST

/* A credential that was only prepared anew is no answer to who wants a newer one. */
START_TEST(a_refresh_that_fails_is_not_taken_for_good)
{
    struct answers answers;
    begin_held(&answers);
    g->provider.held = GATE_EIO;
    replace_provider();
    tiny_release(service.http, 1);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_EIO], 1);
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-1");
}
END_TEST

START_TEST(a_dead_token_stays_dead)
{
    struct answers answers;
    begin_held(&answers);
    g->provider.held = GATE_EDENIED;
    replace_provider();
    tiny_release(service.http, 1);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_EDENIED], 1);
    ck_assert_int_eq(look_at(g, "svc/a").condition, GATE_CONDITION_SIGN_IN);
}
END_TEST

START_TEST(who_wants_another_token_after_the_change_gets_one)
{
    struct answers answers;
    answers_init(&answers);
    add_account(g, 'a', gate_clock_wall_ms());
    struct seen before = look_at(g, "svc/a");
    replace_provider();
    gate_credentials_want(g->credentials, before.account, before.version, on_want_answered,
                          &answers);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_OK], 1);
    ck_assert_uint_eq(service_requests(&service), 1);
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-2");
}
END_TEST

START_TEST(a_token_of_an_account_without_provider_is_kept)
{
    struct answers answers;
    begin_held(&answers);
    remove_provider();
    ck_assert(!look_at(g, "svc/a").there);
    tick(g);
    tiny_release(service.http, 1);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_ENOTFOUND], 1);
    tick(g);
    replace_provider();
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-900");
    struct gateway *other = gateway_start(); /* it is in storage too */
    ck_assert_str_eq(look_at(other, "svc/a").access, "access-a-900");
    gateway_stop(other);
}
END_TEST

START_TEST(an_account_without_provider_is_not_refreshed)
{
    struct answers answers;
    answers_init(&answers);
    add_account(g, 'a', gate_clock_wall_ms());
    struct seen s = look_at(g, "svc/a");
    remove_provider();
    tick(g);
    gate_credentials_want(g->credentials, s.account, s.version, on_want_answered, &answers);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_ENOTFOUND], 1);
    ck_assert_uint_eq(service_requests(&service), 0);
}
END_TEST

static void work_lease(struct work *w)
{
    uint64_t fence;
    must(gate_roster_lease(w->g->roster, w->m, w->text, HOUR_MS, &fence, &w->err), &w->err);
}

START_TEST(the_provider_goes_while_another_gateway_has_the_lease)
{
    struct answers answers;
    answers_init(&answers);
    add_account(g, 'a', gate_clock_wall_ms());
    on_control(
        &(struct work){.g = g, .id = "svc/a", .what = work_lease, .text = GATE_STR("other")});
    post_want(g, "svc/a", &answers);
    remove_provider();
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_ENOTFOUND], 1);
    ck_assert_uint_eq(service_requests(&service), 0);
}
END_TEST

/* ---- logins */

START_TEST(a_login_goes_on_with_another_provider_of_the_name)
{
    struct login l;
    ck_assert_int_eq(start(&l, NULL, "mine"), GATE_OK);
    wait_told(&l);
    replace_provider();
    SERVICE(service.login = "a 7 7 5");
    wait_over(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_DONE);
    ck_assert_str_eq(look_at(g, l.account).access, "access-a-7");
}
END_TEST

START_TEST(a_login_whose_provider_goes_says_so)
{
    struct login l;
    ck_assert_int_eq(start(&l, NULL, "mine"), GATE_OK);
    wait_told(&l);
    remove_provider();
    SERVICE(service.login = "a 7 7 5");
    wait_over(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_FAILED);
    ck_assert_str_eq(l.message,
                     "signed in, but the account could not be kept: there is no provider "
                     "\"svc\"");
    ck_assert_int_eq(start(&l, NULL, "mine"), GATE_ENOTFOUND);
}
END_TEST

START_TEST(a_renewal_is_kept_for_the_day_when_the_provider_is_back)
{
    struct login l;
    add_account(g, 'a', 5);
    struct seen before = look_at(g, "svc/a");
    ck_assert_int_eq(start(&l, "svc/a", ""), GATE_OK);
    wait_told(&l);
    remove_provider();
    SERVICE(service.login = "a 7 7 5");
    wait_over(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_DONE);
    replace_provider();
    struct seen after = look_at(g, "svc/a");
    ck_assert_ptr_eq(after.account, before.account);
    ck_assert_str_eq(after.access, "access-a-7");
}
END_TEST

static void add(TCase *tests)
{
    tcase_add_test(tests, a_token_for_the_provider_before_is_used_with_the_new_one);
    tcase_add_test(tests, a_refresh_that_fails_is_not_taken_for_good);
    tcase_add_test(tests, a_dead_token_stays_dead);
    tcase_add_test(tests, who_wants_another_token_after_the_change_gets_one);
    tcase_add_test(tests, a_token_of_an_account_without_provider_is_kept);
    tcase_add_test(tests, an_account_without_provider_is_not_refreshed);
    tcase_add_test(tests, the_provider_goes_while_another_gateway_has_the_lease);
    tcase_add_test(tests, a_login_goes_on_with_another_provider_of_the_name);
    tcase_add_test(tests, a_login_whose_provider_goes_says_so);
    tcase_add_test(tests, a_renewal_is_kept_for_the_day_when_the_provider_is_back);
}

int main(void)
{
    return oauth_main("credentials_switch", login_setup, login_teardown, add);
}
