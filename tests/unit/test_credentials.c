/* Refreshes of access tokens: one at a time whoever asks, what becomes of answers of every kind,
 * and when one is due. See test_credentials_lease.c for gateways that share a storage. */
#include "oauth_gateway.h"

/* ---- one refresh for all */

enum { CROWD = 1000, CROWD_THREADS = 4 };

struct crowd {
    struct gate_account *account;
    uint64_t version;
    struct answers *answers;
};

static void *crowd_thread(void *arg)
{
    const struct crowd *c = arg;
    for (size_t i = 0; i < CROWD / CROWD_THREADS; i++)
        gate_credentials_want(g->credentials, c->account, c->version, on_want_answered, c->answers);
    return NULL;
}

START_TEST(a_thousand_wants_are_one_refresh)
{
    struct answers answers;
    pthread_t threads[CROWD_THREADS];
    answers_init(&answers);
    add_account(g, 'a', gate_clock_wall_ms());
    struct seen s = look_at(g, "svc/a");
    struct crowd crowd = {s.account, s.version, &answers};
    for (size_t i = 0; i < CROWD_THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, crowd_thread, &crowd), 0);
    for (size_t i = 0; i < CROWD_THREADS; i++)
        pthread_join(threads[i], NULL);
    answers_wait(&answers, CROWD);
    ck_assert_uint_eq(answers.by_status[GATE_OK], CROWD);
    ck_assert_uint_eq(service_requests(&service), 1);
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-2");

    /* Late ones, who still hold the old token, are not a reason for another. */
    crowd_thread(&crowd);
    answers_wait(&answers, CROWD + CROWD / CROWD_THREADS);
    ck_assert_uint_eq(answers.by_status[GATE_OK], CROWD + CROWD / CROWD_THREADS);
    ck_assert_uint_eq(service_requests(&service), 1);
}
END_TEST

START_TEST(all_wait_for_the_one_that_runs)
{
    struct answers answers;
    answers_init(&answers);
    add_account(g, 'a', gate_clock_wall_ms());
    service_set(&service, SERVICE_HOLDS);
    post_want(g, "svc/a", &answers);
    tiny_wait(service.http, &service.http->requests, 1);
    for (size_t i = 0; i < 10; i++)
        post_want(g, "svc/a", &answers);
    look_at(g, "svc/a"); /* behind it all are taken */
    pthread_mutex_lock(&answers.lock);
    ck_assert_uint_eq(answers.count, 0);
    pthread_mutex_unlock(&answers.lock);
    tiny_release(service.http, 1);
    answers_wait(&answers, 11);
    ck_assert_uint_eq(answers.by_status[GATE_OK], 11);
    ck_assert_uint_eq(service_requests(&service), 1);
}
END_TEST

START_TEST(what_cannot_be_refreshed)
{
    struct answers answers;
    answers_init(&answers);
    on_control(&(struct work){
        .g = g, .id = "svc/k", .what = work_add, .flag = true, .text = GATE_STR("key")});
    ck_assert_int_eq(want(g, "svc/k", NULL), GATE_ENOTFOUND);

    add_account(g, 'a', gate_clock_wall_ms());
    struct seen s = look_at(g, "svc/a");
    gate_account_retain(s.account);
    delete_account(g, "svc/a", false);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_ENOTFOUND);
    delete_account(g, "svc/a", true);
    gate_credentials_want(g->credentials, s.account, 0, on_want_answered, &answers);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_ENOTFOUND], 1);
    /* Another one of the same name is not it. */
    add_account(g, 'a', gate_clock_wall_ms());
    gate_credentials_want(g->credentials, s.account, 0, on_want_answered, &answers);
    answers_wait(&answers, 2);
    ck_assert_uint_eq(answers.by_status[GATE_ENOTFOUND], 2);
    gate_account_release(s.account);
    ck_assert_uint_eq(service_requests(&service), 0);
}
END_TEST

START_TEST(refresh_tokens_rotate_or_stay)
{
    add_account(g, 'a', gate_clock_wall_ms());
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_OK);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_OK);
    SERVICE(service.rotates = false);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_OK);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_OK);
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-5");
    SERVICE(ck_assert_uint_eq(service.names[0].refresh, 3));

    /* What is in use is what a restart finds. */
    struct gateway *again = gateway_start();
    ck_assert_str_eq(look_at(again, "svc/a").access, "access-a-5");
    gateway_stop(again);
}
END_TEST

/* ---- answers that are no token */

static void work_refresh_now(struct work *w)
{
    gate_credentials_refresh_now(w->g->credentials, w->m, on_want_answered, (void *)w->text.ptr);
}

static void refresh_now(const char *id, struct answers *a)
{
    answers_init(a);
    on_control(&(struct work){
        .g = g, .id = id, .what = work_refresh_now, .text = {(const char *)a, sizeof *a}});
    answers_wait(a, 1);
}

START_TEST(a_dead_token_needs_a_person_at_once)
{
    char why[512];
    struct answers answers;
    add_account(g, 'a', gate_clock_wall_ms());
    service_set(&service, SERVICE_REFUSES);
    ck_assert_int_eq(want(g, "svc/a", why), GATE_EDENIED);
    ck_assert_str_eq(why, "the refresh token is dead");
    struct seen s = look_at(g, "svc/a");
    ck_assert_int_eq(s.condition, GATE_CONDITION_SIGN_IN);
    ck_assert_str_eq(s.error, "the refresh token is dead");
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_EDENIED);
    advance(HOUR_MS);
    tick(g);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_EDENIED);
    ck_assert_uint_eq(service_requests(&service), 1);

    /* A person may insist. */
    refresh_now("svc/a", &answers);
    ck_assert_uint_eq(answers.by_status[GATE_EDENIED], 1);
    ck_assert_uint_eq(service_requests(&service), 2);
    service_set(&service, SERVICE_GRANTS);
    refresh_now("svc/a", &answers);
    ck_assert_uint_eq(answers.by_status[GATE_OK], 1);
    ck_assert_int_eq(look_at(g, "svc/a").condition, GATE_CONDITION_SERVING);
}
END_TEST

START_TEST(a_page_is_no_reason_to_sign_in)
{
    char why[512];
    add_account(g, 'a', gate_clock_wall_ms());
    service_set(&service, SERVICE_PAGE);
    ck_assert_int_eq(want(g, "svc/a", why), GATE_EIO);
    ck_assert_str_eq(why, "a web page");
    ck_assert_int_eq(look_at(g, "svc/a").condition, GATE_CONDITION_SERVING);
    service_set(&service, SERVICE_GRANTS);
    advance(GATE_REFRESH_BACKOFF_MS);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_OK);
}
END_TEST

START_TEST(failures_pause_longer_and_longer)
{
    char why[512];
    struct answers answers;
    add_account(g, 'a', gate_clock_wall_ms());
    service_set(&service, SERVICE_CLOSES);
    ck_assert_int_eq(want(g, "svc/a", why), GATE_EIO);
    ck_assert_ptr_ne(strstr(why, "not reached"), NULL);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(want(g, "svc/a", why), GATE_EIO);
        ck_assert_ptr_ne(strstr(why, "not reached"), NULL);
    }
    tick(g);
    ck_assert_int_eq(want(g, "svc/a", why), GATE_EIO);
    ck_assert_uint_eq(service_requests(&service), 1);
    advance(GATE_REFRESH_BACKOFF_MS);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_EIO);
    ck_assert_uint_eq(service_requests(&service), 2);
    advance(GATE_REFRESH_BACKOFF_MS);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_EIO);
    ck_assert_uint_eq(service_requests(&service), 2);
    advance(GATE_REFRESH_BACKOFF_MS);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_EIO);
    ck_assert_uint_eq(service_requests(&service), 3);
    for (size_t i = 0; i < 40; i++) { /* the pause has an upper end */
        advance(GATE_REFRESH_BACKOFF_MAX_MS);
        ck_assert_int_eq(want(g, "svc/a", NULL), GATE_EIO);
    }
    ck_assert_uint_eq(service_requests(&service), 43);
    ck_assert_int_eq(look_at(g, "svc/a").condition, GATE_CONDITION_SERVING);
    ck_assert_uint_eq(logged("could not be refreshed"), 1);
    advance(GATE_REFRESH_BACKOFF_MAX_MS);
    service_set(&service, SERVICE_PAGE);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_EIO);
    ck_assert_uint_eq(logged("could not be refreshed"), 2);

    /* A person does not wait for the end of a pause, and a success ends it. */
    service_set(&service, SERVICE_GRANTS);
    refresh_now("svc/a", &answers);
    ck_assert_uint_eq(answers.by_status[GATE_OK], 1);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_OK);
}
END_TEST

/* ---- in the background */

static void work_disable(struct work *w)
{
    struct gate_member_patch patch = {.has_enabled = true, .enabled = false};
    must(gate_roster_patch(w->g->roster, w->m, &patch, &w->err), &w->err);
}

static void work_condition(struct work *w)
{
    gate_health_set(w->m->account, (enum gate_condition)w->number, w->number2, "test",
                    gate_clock_wall_ms());
}

START_TEST(accounts_that_do_not_serve_are_refreshed_too)
{
    struct answers answers;
    struct seen before[5];
    uint64_t ends = gate_clock_wall_ms() + HOUR_MS;
    for (char name = 'a'; name <= 'e'; name++)
        add_account(g, name, ends);
    for (char name = 'a'; name <= 'e'; name++)
        before[name - 'a'] = look_at(g, (char[]){'s', 'v', 'c', '/', name, '\0'});
    add_account(g, 'f', 0); /* its end is not known */
    on_control(&(struct work){.g = g, .id = "svc/b", .what = work_disable});
    on_control(&(struct work){.g = g,
                              .id = "svc/c",
                              .what = work_condition,
                              .number = GATE_CONDITION_EXHAUSTED,
                              .number2 = ends + 24 * HOUR_MS});
    on_control(&(struct work){
        .g = g, .id = "svc/d", .what = work_condition, .number = GATE_CONDITION_SIGN_IN});
    delete_account(g, "svc/e", false);
    tick(g);
    advance(HOUR_MS - GATE_REFRESH_LEAD_MS - 61 * 1000);
    tick(g);
    look_at(g, "svc/a");
    ck_assert_uint_eq(service_requests(&service), 0);
    advance(62 * 1000);
    answers_init(&answers);
    tick(g);
    tiny_wait(service.http, &service.http->requests, 3);
    for (const char *name = "abc"; *name != '\0'; name++)
        gate_credentials_want(g->credentials, before[*name - 'a'].account,
                              before[*name - 'a'].version, on_want_answered, &answers);
    answers_wait(&answers, 3);
    ck_assert_uint_eq(answers.by_status[GATE_OK], 3);
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-2");
    ck_assert_str_eq(look_at(g, "svc/b").access, "access-b-2");
    ck_assert_str_eq(look_at(g, "svc/c").access, "access-c-2");
    tick(g);
    look_at(g, "svc/a");
    ck_assert_uint_eq(service_requests(&service), 3);
    ck_assert_str_eq(look_at(g, "svc/d").access, "access-d-1");
    ck_assert_str_eq(look_at(g, "svc/e").access, "access-e-1");
    ck_assert_str_eq(look_at(g, "svc/f").access, "access-f-1");
}
END_TEST

START_TEST(four_at_once_in_the_background)
{
    struct answers answers;
    answers_init(&answers);
    for (char name = 'a'; name <= 'f'; name++)
        add_account(g, name, gate_clock_wall_ms());
    service_set(&service, SERVICE_HOLDS);
    tick(g);
    tick(g);
    tiny_wait(service.http, &service.http->requests, 4);
    /* Who asks does not wait for them. */
    post_want(g, "svc/f", &answers);
    tiny_wait(service.http, &service.http->requests, 5);
    ck_assert_uint_eq(service_requests(&service), 5);
    for (char name = 'a'; name <= 'd'; name++)
        post_want(g, (char[]){'s', 'v', 'c', '/', name, '\0'}, &answers);
    look_at(g, "svc/a");
    tiny_release(service.http, 5);
    answers_wait(&answers, 5);
    tick(g);
    tiny_wait(service.http, &service.http->requests, 6);
    post_want(g, "svc/e", &answers);
    tiny_release(service.http, 1);
    answers_wait(&answers, 6);
    ck_assert_uint_eq(answers.by_status[GATE_OK], 6);
    ck_assert_uint_eq(service_requests(&service), 6);
}
END_TEST

/* Ticks until the account has another token than `version`. */
static void tick_until_newer(const char *id, uint64_t version)
{
    struct answers answers;
    answers_init(&answers);
    tick(g);
    gate_credentials_want(g->credentials, look_at(g, id).account, version, on_want_answered,
                          &answers);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_OK], 1);
}

START_TEST(short_lives_are_not_spent_on_refreshing)
{
    SERVICE(service.life_ms = 120000);
    add_account(g, 'a', gate_clock_wall_ms() + 120000);
    tick(g);
    advance(55 * 1000);
    tick(g);
    look_at(g, "svc/a");
    ck_assert_uint_eq(service_requests(&service), 0);
    advance(6 * 1000);
    tick_until_newer("svc/a", look_at(g, "svc/a").version);
    ck_assert_uint_eq(service_requests(&service), 1);
    for (size_t i = 0; i < 5; i++) {
        tick(g);
        advance(11 * 1000);
    }
    look_at(g, "svc/a");
    ck_assert_uint_eq(service_requests(&service), 1);

    /* Tokens that seem to end at once. */
    SERVICE(service.life_ms = 0);
    advance(10 * 1000);
    tick_until_newer("svc/a", look_at(g, "svc/a").version);
    for (size_t i = 0; i < 25; i++) {
        tick(g);
        advance(1000);
    }
    look_at(g, "svc/a");
    ck_assert_uint_eq(service_requests(&service), 2);
    advance(10 * 1000);
    tick_until_newer("svc/a", look_at(g, "svc/a").version);
    ck_assert_uint_eq(service_requests(&service), 3);
}
END_TEST

static void add(TCase *tests)
{
    tcase_add_test(tests, a_thousand_wants_are_one_refresh);
    tcase_add_test(tests, all_wait_for_the_one_that_runs);
    tcase_add_test(tests, what_cannot_be_refreshed);
    tcase_add_test(tests, refresh_tokens_rotate_or_stay);
    tcase_add_test(tests, a_dead_token_needs_a_person_at_once);
    tcase_add_test(tests, a_page_is_no_reason_to_sign_in);
    tcase_add_test(tests, failures_pause_longer_and_longer);
    tcase_add_test(tests, accounts_that_do_not_serve_are_refreshed_too);
    tcase_add_test(tests, four_at_once_in_the_background);
    tcase_add_test(tests, short_lives_are_not_spent_on_refreshing);
}

int main(void)
{
    return oauth_main("credentials", setup, teardown, add);
}
