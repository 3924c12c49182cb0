/* Links into the console; sessions that many threads work on; who is told of changes. */
#include "session_fixture.h"
#include <pthread.h>

/* ---- links */

static struct token make_link(struct rig *r, uint64_t now_ms)
{
    struct token t;
    ck_assert_uint_eq(gate_sessions_link(r->sessions, now_ms, t.text), now_ms + GATE_LINK_MS);
    return t;
}

static bool take(struct rig *r, const struct token *t, uint64_t now_ms, bool use)
{
    return gate_sessions_take_link(r->sessions, gate_str_of(t->text), now_ms, use);
}

START_TEST(a_link_opens_once)
{
    struct rig r;
    rig_start(&r);
    struct token a = make_link(&r, NOW), b = make_link(&r, NOW);
    ck_assert(take(&r, &a, NOW, false));
    ck_assert(take(&r, &a, NOW, true));
    ck_assert(!take(&r, &a, NOW, true));
    ck_assert(!take(&r, &a, NOW, false));
    ck_assert(take(&r, &b, NOW + GATE_LINK_MS - 1, false));
    ck_assert(!take(&r, &b, NOW + GATE_LINK_MS, true));
    ck_assert(!take(&r, &b, NOW, true)); /* what was too late stays too late */
    ck_assert(!gate_sessions_take_link(r.sessions, GATE_STR(""), NOW, true));
    /* The clock is set back after it was made. */
    ck_assert_uint_eq(gate_sessions_link(r.sessions, NOW + HOUR, a.text),
                      (uint64_t)NOW + HOUR + GATE_LINK_MS);
    ck_assert(take(&r, &a, NOW, false));
    ck_assert(!take(&r, &a, NOW + GATE_LINK_MS, true));
    rig_stop(&r);
}
END_TEST

START_TEST(a_link_is_no_session_and_a_session_no_link)
{
    struct rig r;
    rig_start(&r);
    struct token link = make_link(&r, NOW), session = enter(&r, NOW);
    ck_assert(!find(&r, &link, NOW, NULL));
    ck_assert(!take(&r, &session, NOW, true));
    ck_assert(find(&r, &session, NOW, NULL));
    restart(&r, "the-key", NOW);
    ck_assert(!take(&r, &link, NOW, true)); /* links live in memory */
    rig_stop(&r);
}
END_TEST

START_TEST(one_link_too_many_ends_the_oldest)
{
    struct rig r;
    struct token links[GATE_LINKS_MAX + 1];
    rig_start(&r);
    for (size_t i = 0; i <= GATE_LINKS_MAX; i++)
        links[i] = make_link(&r, NOW);
    ck_assert(!take(&r, &links[0], NOW, true));
    for (size_t i = 1; i <= GATE_LINKS_MAX; i++)
        ck_assert(take(&r, &links[i], NOW, true));
    rig_stop(&r);
}
END_TEST

/* ---- threads */

struct hammer {
    struct rig *rig;
    const struct token *kept;
    const struct token *link;
    _Atomic int *taken;
    bool lost;
};

static void *hammer(void *arg)
{
    struct hammer *h = arg;
    struct id id;
    struct gate_error err;
    for (int i = 0; i < 200; i++) {
        struct token own = enter(h->rig, NOW);
        h->lost = h->lost || !find(h->rig, h->kept, NOW, NULL) || !find(h->rig, &own, NOW, &id) ||
                  gate_sessions_end(h->rig->sessions, gate_str_of(id.text), NOW, &err) != GATE_OK;
        if (take(h->rig, h->link, NOW, true))
            atomic_fetch_add(h->taken, 1);
    }
    return NULL;
}

START_TEST(many_threads)
{
    enum { THREADS = 4 };
    struct rig r;
    pthread_t threads[THREADS];
    struct hammer hammers[THREADS];
    _Atomic int taken = 0;
    rig_start(&r);
    struct token kept = enter(&r, NOW), link = make_link(&r, NOW);
    for (size_t i = 0; i < THREADS; i++) {
        hammers[i] = (struct hammer){&r, &kept, &link, &taken, false};
        pthread_create(&threads[i], NULL, hammer, &hammers[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert(!hammers[i].lost);
    }
    ck_assert_int_eq(atomic_load(&taken), 1);
    ck_assert_uint_eq(count(&r, NOW), 1);
    rig_stop(&r);
}
END_TEST

/* ---- who listens */

struct listening {
    struct gate_sessions *sessions;
    sem_t told;
};

static void on_told(void *ctx)
{
    struct listening *l = ctx;
    sem_post(&l->told);
}

static void listen_now(void *arg)
{
    struct listening *l = arg;
    gate_sessions_listen(l->sessions, on_told, l);
}

static void listen_no_more(void *arg)
{
    struct listening *l = arg;
    gate_sessions_listen(l->sessions, NULL, NULL);
}

START_TEST(whoever_listens_is_told)
{
    struct rig r;
    struct gate_control *control;
    struct gate_error err;
    size_t ended;
    rig_start(&r);
    gate_sessions_destroy(r.sessions);
    ck_assert_int_eq(gate_control_create(&control, &err), GATE_OK);
    const struct gate_sessions_parts parts = {
        .store = r.f.store, .vault = r.vault, .control = control, .key = GATE_STR("the-key")};
    r.sessions = gate_sessions_create(&parts, NOW);
    struct listening l = {.sessions = r.sessions};
    sem_init(&l.told, 0, 0);
    gate_control_call(control, listen_now, &l);
    enter(&r, NOW);
    wait_for(&l.told);
    ck_assert_int_eq(gate_sessions_end_others(r.sessions, GATE_STR(""), NOW, &ended, &err),
                     GATE_OK);
    wait_for(&l.told);
    gate_control_call(control, listen_no_more, &l);
    enter(&r, NOW);
    gate_control_destroy(control);
    ck_assert_int_ne(sem_trywait(&l.told), 0);
    rig_stop(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session_shared");
    TCase *tests = tcase_create("session_shared");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_link_opens_once);
    tcase_add_test(tests, a_link_is_no_session_and_a_session_no_link);
    tcase_add_test(tests, one_link_too_many_ends_the_oldest);
    tcase_add_test(tests, many_threads);
    tcase_add_test(tests, whoever_listens_is_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
