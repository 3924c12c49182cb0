/* Workers that serve requests while the configuration changes under them: every request works with
 * one table, its pool and its credentials to the end, and the last to let go frees them, on
 * whatever thread that is. Meant for the thread sanitizer. */
#include "live_fixture.h"

enum { WORKERS = 3, SWITCHES = 200, REQUESTS = 8 /* at once, of each worker */ };

/* Where the control thread puts the newest table, as a mailbox does. */
struct desk {
    pthread_mutex_t lock;
    struct gate_table *newest; /* retained */
    bool over;
    _Atomic uint64_t requests;
};

struct request {
    struct gate_table_pin *pin; /* NULL: there is none */
    const struct gate_entry *entry;
    struct gate_attachment *attachment; /* retained */
    bool probe;
};

struct worker {
    pthread_t thread;
    struct desk *desk;
    struct gate_table_pin *current;
    struct request running[REQUESTS];
    uint64_t random;
};

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    return z ^ (z >> 31);
}

static void put(struct desk *d, struct gate_table *t)
{
    gate_table_retain(t);
    pthread_mutex_lock(&d->lock);
    struct gate_table *old = d->newest;
    d->newest = t;
    pthread_mutex_unlock(&d->lock);
    gate_table_release(old);
}

static bool take_newest(struct worker *w)
{
    struct gate_table_pin *fresh = NULL;
    pthread_mutex_lock(&w->desk->lock);
    bool over = w->desk->over;
    if (w->current == NULL || w->current->table != w->desk->newest)
        fresh = gate_table_pin_create(w->desk->newest);
    pthread_mutex_unlock(&w->desk->lock);
    if (fresh != NULL) {
        gate_table_pin_drop(w->current);
        w->current = fresh;
    }
    return !over;
}

static void begin(struct worker *w, struct request *r)
{
    const struct gate_table *t = w->current->table;
    struct gate_resolved resolved;
    if (!gate_pool_resolve(t->pool, GATE_STR(""), GATE_STR("m"), &resolved) ||
        t->ranges[resolved.position].count == 0)
        return;
    size_t at = next_random(&w->random) % t->ranges[resolved.position].count;
    r->pin = gate_table_pin_use(w->current);
    r->entry = &t->entries[t->ranges[resolved.position].first + at];
    ck_assert_ptr_eq(r->entry->instance, resolved.instance);
    atomic_fetch_add(&((struct gate_instance *)(uintptr_t)resolved.instance)->turn, 1);
    gate_health_begin(r->entry->account, 1000, &r->probe);
    r->attachment = r->entry->attachment;
    gate_attachment_retain(r->attachment);
}

static void end(struct worker *w, struct request *r)
{
    const struct gate_instance *i = r->attachment->instance;
    ck_assert_ptr_eq(r->entry->instance, i);
    ck_assert_str_eq(secret_of(r->attachment), r->entry->alias[0] == 's' ? "stored-key" : "key-1");
    ck_assert_int_eq(i->ops->claims(i->state, GATE_STR("m")), GATE_CLAIM_NAME);
    ck_assert_uint_gt(r->entry->account->live.in_flight, 0);
    gate_health_good(r->entry->account, r->probe, false, 1000);
    gate_health_end(r->entry->account, r->probe);
    atomic_fetch_add(used(r->entry->account), 1);
    gate_table_pin_drop(r->pin);
    gate_attachment_release(r->attachment);
    r->pin = NULL;
    atomic_fetch_add(&w->desk->requests, 1);
}

static void *serve(void *arg)
{
    struct worker *w = arg;
    while (take_newest(w)) {
        struct request *r = &w->running[next_random(&w->random) % REQUESTS];
        if (r->pin == NULL)
            begin(w, r);
        else
            end(w, r);
    }
    for (size_t i = 0; i < REQUESTS; i++)
        if (w->running[i].pin != NULL)
            end(w, &w->running[i]);
    gate_table_pin_drop(w->current);
    return NULL;
}

static void publish(void *ctx, struct gate_table *table)
{
    put(ctx, table);
}

/* Lets the workers go on a little before the configuration changes again. */
static void wait_for(struct desk *d, uint64_t more)
{
    uint64_t until = atomic_load(&d->requests) + more;
    while (atomic_load(&d->requests) < until)
        sched_yield();
}

#define M(more) "options = { models = { 'm' " more " } }"
static const char *const texts[] = {
    PROVIDERS(PROVIDER("p", "{ alias = 'one', key_env = 'K1' }", M("")) PROVIDER("s", "", M(""))),
    PROVIDERS(PROVIDER("p", "{ alias = 'one', key_env = 'K1' }, { alias = 'two', key_env = 'K1' }",
                       M(""))),
    PROVIDERS(PROVIDER("s", "", M(""))
                  PROVIDER("p", "{ alias = 'two', key_env = 'K1' }", M(", 'n'"))),
    PROVIDERS(PROVIDER("s", "", M(", 'n'"))),
};

START_TEST(requests_go_on_through_every_change)
{
    struct desk desk = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct worker workers[WORKERS];
    struct gate_error err = {.message = ""};
    struct world w;
    struct gate_member *m;
    const struct gate_member_new n = {.instance = GATE_STR("s"),
                                      .name = GATE_STR("stored"),
                                      .origin = "added",
                                      .kind = GATE_CREDENTIAL_API_KEY,
                                      .secret = GATE_STR("stored-key")};
    world_open(&w, texts[0]);
    gate_roster_set_publisher(w.roster, &(struct gate_publisher){publish, &desk});
    must(gate_roster_add(w.roster, &n, &m, &err), &err); /* published */
    struct gate_account *account = m->account;
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.desk = &desk, .random = i};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, serve, &workers[i]), 0);
    }
    for (size_t i = 1; i <= SWITCHES; i++) {
        must_switch(&w, texts[i % (sizeof texts / sizeof texts[0])]);
        put(&desk, w.table);
        gate_roster_tick(w.roster, 1000);
        wait_for(&desk, 20);
    }
    pthread_mutex_lock(&desk.lock);
    desk.over = true;
    pthread_mutex_unlock(&desk.lock);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    gate_table_release(desk.newest);
    ck_assert_ptr_eq(member(&w, "s/stored")->account, account);
    ck_assert_uint_eq(account->live.in_flight, 0);
    ck_assert_uint_eq(account->live.served, *used(account));
    printf("%d changes under %llu requests\n", SWITCHES,
           (unsigned long long)atomic_load(&desk.requests));
    world_close(&w);
}
END_TEST

static void setup(void)
{
    fixture_setup();
    setenv("K1", "key-1", 1);
    gate_log_setup(GATE_LOG_ERROR, GATE_LOG_TEXT, 2);
}

int main(void)
{
    Suite *suite = suite_create("roster_threads");
    TCase *c = tcase_create("threads");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, fixture_teardown);
    tcase_add_test(c, requests_go_on_through_every_change);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
