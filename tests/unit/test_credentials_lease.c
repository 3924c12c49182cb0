/* Refreshes under the lease: two gateways on one storage, gateways that crash or stop, storage that
 * fails, and accounts that are deleted meanwhile. */
#include "oauth_gateway.h"

/* ---- two gateways on one storage */

START_TEST(the_loser_takes_the_winners_token)
{
    struct answers answers;
    answers_init(&answers);
    add_account(g, 'a', gate_clock_wall_ms());
    struct gateway *other = gateway_start();
    service_set(&service, SERVICE_HOLDS);
    post_want(g, "svc/a", &answers);
    tiny_wait(service.http, &service.http->requests, 1);
    post_want(other, "svc/a", &answers);
    look_at(other, "svc/a");
    tiny_release(service.http, 1);
    answers_wait(&answers, 2);
    ck_assert_uint_eq(answers.by_status[GATE_OK], 2);
    ck_assert_uint_eq(service_requests(&service), 1);
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-900");
    ck_assert_str_eq(look_at(other, "svc/a").access, "access-a-900");
    gateway_stop(other);
}
END_TEST

START_TEST(who_comes_later_finds_it_in_storage)
{
    add_account(g, 'a', gate_clock_wall_ms());
    struct gateway *other = gateway_start();
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_OK);
    ck_assert_int_eq(want(other, "svc/a", NULL), GATE_OK);
    ck_assert_uint_eq(service_requests(&service), 1);
    ck_assert_str_eq(look_at(other, "svc/a").access, "access-a-2");
    gateway_stop(other);
}
END_TEST

static void work_lease(struct work *w)
{
    w->status =
        gate_roster_lease(w->g->roster, w->m, w->text, GATE_REFRESH_LEASE_MS, &w->result, &w->err);
}

static void work_set_secret(struct work *w)
{
    w->status = gate_roster_set_secret(w->g->roster, w->m, w->text, w->number, w->number2, &w->err);
}

START_TEST(a_crashed_gateways_lease_is_taken_over)
{
    struct answers answers;
    answers_init(&answers);
    add_account(g, 'a', gate_clock_wall_ms());
    struct seen before = look_at(g, "svc/a");
    struct work crashed = {.g = g, .id = "svc/a", .what = work_lease, .text = GATE_STR("crashed")};
    on_control(&crashed);
    ck_assert_int_eq(crashed.status, GATE_OK);
    post_want(g, "svc/a", &answers);
    look_at(g, "svc/a");
    ck_assert_uint_eq(service_requests(&service), 0);
    advance(GATE_REFRESH_LEASE_MS + 1);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_OK], 1);
    ck_assert_uint_eq(service_requests(&service), 1);

    /* It was not dead, only slow: neither version nor fence lets it write. */
    struct work late = {
        .g = g, .id = "svc/a", .what = work_set_secret, .text = GATE_STR("a 77 1 0")};
    late.number = before.version;
    late.number2 = crashed.result;
    on_control(&late);
    ck_assert_int_eq(late.status, GATE_ECONFLICT);
    late.number = look_at(g, "svc/a").version;
    on_control(&late);
    ck_assert_int_eq(late.status, GATE_ECONFLICT);
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-2");

    /* The lease was given back, with a higher fence than the crashed one's. */
    struct work next = crashed;
    on_control(&next);
    ck_assert_int_eq(next.status, GATE_OK);
    ck_assert_uint_gt(next.result, crashed.result + 1);
}
END_TEST

/* Both have asked the service; the lease of the first, g, has run out meanwhile. */
static struct gateway *overtake(struct answers *first, struct answers *second)
{
    answers_init(first);
    answers_init(second);
    add_account(g, 'a', gate_clock_wall_ms());
    struct gateway *other = gateway_start();
    service_set(&service, SERVICE_HOLDS);
    post_want(g, "svc/a", first);
    tiny_wait(service.http, &service.http->requests, 1);
    advance(GATE_REFRESH_LEASE_MS + 1);
    return other;
}

START_TEST(a_late_answer_is_not_written_over_a_newer_one)
{
    struct answers first, second;
    struct gateway *other = overtake(&first, &second);
    service_set(&service, SERVICE_GRANTS);
    ck_assert_int_eq(want(other, "svc/a", NULL), GATE_OK);
    tiny_release(service.http, 1);
    answers_wait(&first, 1);
    ck_assert_uint_eq(first.by_status[GATE_OK], 1);
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-2");
    ck_assert_uint_eq(service_requests(&service), 2);
    gateway_stop(other);
}
END_TEST

START_TEST(a_late_answer_yields_to_who_has_the_lease_now)
{
    struct answers first, second;
    struct gateway *other = overtake(&first, &second);
    post_want(other, "svc/a", &second);
    tiny_wait(service.http, &service.http->requests, 2);
    tiny_release(service.http, 1); /* the first: its fence is outdated, nothing newer is there */
    tiny_wait(service.http, &g->provider.parsed, 1);
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-1");
    tiny_release(service.http, 1);
    answers_wait(&second, 1);
    answers_wait(&first, 1);
    ck_assert_uint_eq(first.by_status[GATE_OK], 1);
    ck_assert_uint_eq(second.by_status[GATE_OK], 1);
    ck_assert_uint_eq(service_requests(&service), 2);
    ck_assert_uint_eq(look_at(g, "svc/a").stored, look_at(other, "svc/a").stored);
    gateway_stop(other);
}
END_TEST

START_TEST(a_refusal_of_a_token_that_was_replaced_is_none)
{
    struct answers first, second;
    struct gateway *other = overtake(&first, &second);
    g->provider.held = GATE_EDENIED;
    service_set(&service, SERVICE_GRANTS);
    ck_assert_int_eq(want(other, "svc/a", NULL), GATE_OK);
    tiny_release(service.http, 1);
    answers_wait(&first, 1);
    ck_assert_uint_eq(first.by_status[GATE_OK], 1);
    ck_assert_int_eq(look_at(g, "svc/a").condition, GATE_CONDITION_SERVING);
    gateway_stop(other);
}
END_TEST

START_TEST(a_login_during_a_refresh_wins)
{
    struct answers answers;
    answers_init(&answers);
    add_account(g, 'a', gate_clock_wall_ms());
    service_set(&service, SERVICE_HOLDS);
    post_want(g, "svc/a", &answers);
    tiny_wait(service.http, &service.http->requests, 1);
    struct work login = {.g = g, .id = "svc/a", .what = work_set_secret};
    login.text = GATE_STR("a 50 50 5");
    login.number = UINT64_MAX;
    on_control(&login);
    ck_assert_int_eq(login.status, GATE_OK);
    tiny_release(service.http, 1);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_OK], 1);
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-50");
}
END_TEST

START_TEST(a_credential_that_does_not_work_is_mended)
{
    add_account(g, 'a', gate_clock_wall_ms());
    SERVICE(service.spoilt = 1);
    struct gateway *other = gateway_start();
    ck_assert_str_eq(look_at(other, "svc/a").access, "");
    ck_assert_int_eq(want(other, "svc/a", NULL), GATE_OK);
    ck_assert_str_eq(look_at(other, "svc/a").access, "access-a-2");
    gateway_stop(other);
}
END_TEST

/* ---- storage fails */

static void work_save(struct work *w)
{
    struct gate_member_patch patch = {.has_enabled = true, .enabled = true};
    w->status = gate_roster_patch(w->g->roster, w->m, &patch, &w->err);
}

static void work_roster_tick(struct work *w)
{
    gate_roster_tick(w->g->roster, gate_clock_wall_ms());
}

START_TEST(storage_fails_while_the_token_lives)
{
    struct work save = {.g = g, .id = "svc/a", .what = work_save};
    add_account(g, 'a', gate_clock_wall_ms() + HOUR_MS);
    tick(g);
    advance(HOUR_MS - 60000);
    memory_storage_set_mode(&memory, MEMORY_STORAGE_FAIL_WRITES);
    on_control(&save);
    ck_assert_int_ne(save.status, GATE_OK);
    tick(g);
    look_at(g, "svc/a");
    ck_assert_uint_eq(service_requests(&service), 0);

    memory_storage_set_mode(&memory, MEMORY_STORAGE_WELL);
    on_control(&save);
    ck_assert_int_eq(save.status, GATE_OK);
    tick(g);
    tiny_wait(service.http, &service.http->requests, 1);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_OK);
}
END_TEST

/* With `writes` writes before the failure: 0 fails the lease, 1 the credential. */
static void refresh_on_failing_storage(uint64_t writes)
{
    add_account(g, 'a', gate_clock_wall_ms());
    memory_storage_fail_after(&memory, writes);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_OK);
    ck_assert_uint_eq(service_requests(&service), 1);
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-2");
    struct gateway *other;

    memory_storage_set_mode(&memory, MEMORY_STORAGE_WELL);
    on_control(&(struct work){.g = g, .what = work_roster_tick});
    other = gateway_start();
    ck_assert_str_eq(look_at(other, "svc/a").access, "access-a-2");
    gateway_stop(other);
}

START_TEST(storage_takes_no_lease)
{
    refresh_on_failing_storage(0);
}
END_TEST

START_TEST(storage_takes_no_credential)
{
    refresh_on_failing_storage(1);
}
END_TEST

START_TEST(storage_takes_no_writes_for_longer_than_a_token_lives)
{
    add_account(g, 'a', gate_clock_wall_ms());
    memory_storage_set_mode(&memory, MEMORY_STORAGE_FAIL_WRITES);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(want(g, "svc/a", NULL), GATE_OK);
        advance(HOUR_MS);
    }
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-4");
    memory_storage_set_mode(&memory, MEMORY_STORAGE_WELL);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_OK);
    ck_assert_uint_eq(service_requests(&service), 4);
    struct gateway *other = gateway_start();
    ck_assert_str_eq(look_at(other, "svc/a").access, "access-a-5");
    gateway_stop(other);
}
END_TEST

/* ---- deleted meanwhile */

static void work_restore(struct work *w)
{
    must(gate_roster_restore(w->g->roster, w->m, &w->err), &w->err);
}

START_TEST(deleted_during_a_refresh)
{
    struct answers answers;
    answers_init(&answers);
    add_account(g, 'a', gate_clock_wall_ms());
    service_set(&service, SERVICE_HOLDS);
    post_want(g, "svc/a", &answers);
    tiny_wait(service.http, &service.http->requests, 1);
    delete_account(g, "svc/a", false);
    tiny_release(service.http, 1);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_ENOTFOUND], 1);
    /* The new token is kept: the old refresh token may be worth nothing any more. */
    on_control(&(struct work){.g = g, .id = "svc/a", .what = work_restore});
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-900");
}
END_TEST

START_TEST(purged_during_a_refresh)
{
    struct answers answers;
    answers_init(&answers);
    add_account(g, 'a', gate_clock_wall_ms());
    service_set(&service, SERVICE_HOLDS);
    post_want(g, "svc/a", &answers);
    tiny_wait(service.http, &service.http->requests, 1);
    delete_account(g, "svc/a", false);
    delete_account(g, "svc/a", true);
    tick(g);
    tiny_release(service.http, 1);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_ENOTFOUND], 1);
    ck_assert(!look_at(g, "svc/a").there);
    tick(g); /* nothing of it is left */
}
END_TEST

START_TEST(deleted_while_another_gateway_has_the_lease)
{
    struct answers answers;
    answers_init(&answers);
    add_account(g, 'a', gate_clock_wall_ms());
    on_control(
        &(struct work){.g = g, .id = "svc/a", .what = work_lease, .text = GATE_STR("other")});
    post_want(g, "svc/a", &answers);
    delete_account(g, "svc/a", false);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_ENOTFOUND], 1);
    ck_assert_uint_eq(service_requests(&service), 0);
}
END_TEST

START_TEST(the_gateway_stops_during_a_refresh)
{
    struct answers answers;
    answers_init(&answers);
    add_account(g, 'a', gate_clock_wall_ms());
    struct gateway *other = gateway_start();
    service_set(&service, SERVICE_HOLDS);
    post_want(other, "svc/a", &answers);
    tiny_wait(service.http, &service.http->requests, 1);
    gateway_stop(other);
    answers_wait(&answers, 1);
    ck_assert_uint_eq(answers.by_status[GATE_EIO], 1);
    service_set(&service, SERVICE_GRANTS);
    ck_assert_int_eq(want(g, "svc/a", NULL), GATE_OK); /* it left no lease behind */
}
END_TEST

static void add(TCase *tests)
{
    tcase_add_test(tests, the_loser_takes_the_winners_token);
    tcase_add_test(tests, who_comes_later_finds_it_in_storage);
    tcase_add_test(tests, a_crashed_gateways_lease_is_taken_over);
    tcase_add_test(tests, a_late_answer_is_not_written_over_a_newer_one);
    tcase_add_test(tests, a_late_answer_yields_to_who_has_the_lease_now);
    tcase_add_test(tests, a_refusal_of_a_token_that_was_replaced_is_none);
    tcase_add_test(tests, a_login_during_a_refresh_wins);
    tcase_add_test(tests, a_credential_that_does_not_work_is_mended);
    tcase_add_test(tests, storage_fails_while_the_token_lives);
    tcase_add_test(tests, storage_takes_no_lease);
    tcase_add_test(tests, storage_takes_no_credential);
    tcase_add_test(tests, storage_takes_no_writes_for_longer_than_a_token_lives);
    tcase_add_test(tests, deleted_during_a_refresh);
    tcase_add_test(tests, purged_during_a_refresh);
    tcase_add_test(tests, deleted_while_another_gateway_has_the_lease);
    tcase_add_test(tests, the_gateway_stops_during_a_refresh);
}

int main(void)
{
    return oauth_main("credentials_lease", setup, teardown, add);
}
