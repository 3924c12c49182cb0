/*
 * oauth_gateway: gateways for the tests of refreshes and logins, and ways to use them from a test's
 * thread. See oauth_fixture.h.
 */
#ifndef GATE_TESTS_OAUTH_GATEWAY_H
#define GATE_TESTS_OAUTH_GATEWAY_H

#include "oauth_fixture.h"

#define HOUR_MS 3600000ull

/* Changes the service while it runs. */
#define SERVICE(change)                                                                            \
    do {                                                                                           \
        pthread_mutex_lock(&service.http->lock);                                                   \
        change;                                                                                    \
        pthread_mutex_unlock(&service.http->lock);                                                 \
    } while (0)

struct gateway {
    struct provider provider;
    struct gate_pool *pool;
    struct gate_config config;
    struct gate_generation *generation;
    struct gate_quota quota;
    struct gate_value value;
    struct gate_store *store;
    struct gate_vault *vault;
    struct gate_roster *roster;
    struct gate_control *control;
    struct gate_credentials *credentials;
    struct gate_logins *logins;
};

/* ---- the common ground of all gateways */

static inline void ground_make(void)
{
    memory_storage_init(&memory);
    service = (struct service){.rotates = true, .life_ms = HOUR_MS};
    for (size_t i = 0; i < SERVICE_NAMES; i++)
        service.names[i].access = service.names[i].refresh = 1;
    service.http = tiny_start(service_answer, &service);
    gate_clock_shift(0);
}

static inline void ground_unmake(void)
{
    tiny_stop(service.http);
    memory_storage_finish(&memory);
}

/* ---- a gateway */

static inline void must(enum gate_status status, const struct gate_error *err)
{
    ck_assert_msg(status == GATE_OK, "%s", err->message);
}

/* Work on the control thread. */
static inline void gateway_make(void *arg)
{
    struct gateway *g = arg;
    struct gate_error err = {.message = ""};
    must(gate_roster_create(&g->config, g->pool, &g->quota, g->store, g->vault, g->generation,
                            &g->roster, &err),
         &err);
    must(gate_credentials_create(g->roster, g->control, &g->credentials, &err), &err);
    gate_logins_create(g->roster, g->control, &g->logins);
}

/* A pool with a new instance "svc" of the provider; NULL: with none. */
static inline struct gate_pool *pool_of(struct provider *provider)
{
    struct gate_pool *pool = gate_calloc(1, sizeof *pool);
    atomic_init(&pool->refs, 1);
    if (provider == NULL)
        return pool;
    pool->instance = gate_calloc(1, sizeof *pool->instance);
    atomic_init(&pool->instance->refs, 1);
    pool->instance->name = (char *)"svc";
    pool->instance->ops = &provider_ops;
    pool->instance->state = provider;
    return pool;
}

static inline struct gateway *gateway_start(void)
{
    struct gateway *g = gate_calloc(1, sizeof *g);
    struct gate_error err = {.message = ""};
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", service.http->port);
    must(gate_endpoint_create(gate_str_of(url), GATE_ENDPOINT_OPERATOR, true, &g->provider.endpoint,
                              &err),
         &err);
    g->pool = pool_of(&g->provider);
    atomic_init(&g->config.refs, 1);
    must(gate_generation_load(NULL, NULL, NULL, 0, 1, &g->generation, &err), &err);
    g->quota.ops = &quota_ops;
    g->value = memory_storage_value(&memory);
    must(gate_store_open(&memory_storage_plugin, &g->value, "memory", 0, &g->store, &err), &err);
    must(gate_vault_create(".", "a secret of these tests", false, &g->vault, &err), &err);
    must(gate_control_create(&g->control, &err), &err);
    gate_control_call(g->control, gateway_make, g);
    return g;
}

static inline void gateway_unmake(void *arg)
{
    struct gateway *g = arg;
    gate_logins_destroy(g->logins);
    gate_credentials_destroy(g->credentials);
}

static inline void gateway_stop(struct gateway *g)
{
    gate_control_call(g->control, gateway_unmake, g);
    gate_control_destroy(g->control);
    gate_store_close(g->store);
    gate_roster_destroy(g->roster);
    gate_generation_release(g->generation);
    gate_pool_release(g->pool);
    ck_assert_uint_eq(g->config.refs, 1);
    gate_vault_destroy(g->vault);
    gate_endpoint_release(g->provider.endpoint);
    free(g);
}

/* ---- what a test does on the control thread */

struct work {
    struct gateway *g;
    const char *id;
    struct gate_member *m; /* of id; NULL: there is none */
    void (*what)(struct work *w);
    /* for `what` */
    struct gate_str text;
    uint64_t number, number2;
    bool flag;
    enum gate_status status;
    struct gate_error err;
    uint64_t result;
};

static inline void run_work(void *arg)
{
    struct work *w = arg;
    w->m = w->id != NULL ? gate_roster_find(w->g->roster, gate_str_of(w->id)) : NULL;
    w->what(w);
}

static inline void on_control(struct work *w)
{
    gate_control_call(w->g->control, run_work, w);
}

static inline void work_add(struct work *w)
{
    const char *name = strchr(w->id, '/') + 1;
    struct gate_member_new n = {
        .instance = GATE_STR("svc"),
        .name = gate_str_of(name),
        .origin = "added",
        .kind = w->flag ? GATE_CREDENTIAL_API_KEY : GATE_CREDENTIAL_OAUTH,
        .secret = w->text,
    };
    struct gate_member *m;
    must(gate_roster_add(w->g->roster, &n, &m, &w->err), &w->err);
}

/* Adds "svc/<name>", a letter, with access and refresh token 1. */
static inline void add_account(struct gateway *g, char name, uint64_t ends_ms)
{
    char id[16], secret[MAX_TEXT];
    snprintf(id, sizeof id, "svc/%c", name);
    snprintf(secret, sizeof secret, "%c 1 1 %llu", name, (unsigned long long)ends_ms);
    on_control(&(struct work){.g = g, .id = id, .what = work_add, .text = gate_str_of(secret)});
}

/* What a member looks like. */
struct seen {
    bool there, deleted;
    uint64_t version, expires_ms;
    uint64_t stored; /* version of its record in storage */
    char access[64], alias[64], error[512];
    enum gate_condition condition;
    struct gate_account *account;
};

struct seen_work {
    struct work work;
    struct seen seen;
};

static inline void work_look(struct work *w)
{
    struct seen *s = &((struct seen_work *)w)->seen;
    struct gate_last_error error;
    if (w->m == NULL)
        return;
    s->there = true;
    s->deleted = w->m->deleted_ms != 0;
    s->account = w->m->account;
    s->condition = gate_health_read(s->account, gate_clock_wall_ms()).condition;
    gate_health_last_error(s->account, &error);
    snprintf(s->error, sizeof s->error, "%s", error.message);
    snprintf(s->alias, sizeof s->alias, "%s", w->m->alias);
    if (w->m->attachment != NULL) {
        s->version = w->m->attachment->version;
        s->stored = w->m->stored_version;
        s->expires_ms = w->m->attachment->expires_at_ms;
        snprintf(s->access, sizeof s->access, "%s", (char *)w->m->attachment->state);
    }
}

static inline struct seen look_at(struct gateway *g, const char *id)
{
    struct seen_work w = {.work = {.g = g, .id = id, .what = work_look}};
    on_control(&w.work);
    return w.seen;
}

static inline void work_tick(struct work *w)
{
    gate_credentials_tick(w->g->credentials, gate_clock_wall_ms());
}

static inline void tick(struct gateway *g)
{
    on_control(&(struct work){.g = g, .what = work_tick});
}

static inline void work_delete(struct work *w)
{
    must(gate_roster_delete(w->g->roster, w->m, w->flag, &w->err), &w->err);
}

static inline void delete_account(struct gateway *g, const char *id, bool purge)
{
    on_control(&(struct work){.g = g, .id = id, .what = work_delete, .flag = purge});
}

/* ---- answers to wants */

struct answers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count, by_status[GATE_EINTERNAL + 1];
    char why[512]; /* the last */
};

static inline void answers_init(struct answers *a)
{
    memset(a, 0, sizeof *a);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
}

static inline void on_want_answered(void *arg, enum gate_status status, const char *why)
{
    struct answers *a = arg;
    pthread_mutex_lock(&a->lock);
    a->count++;
    a->by_status[status]++;
    snprintf(a->why, sizeof a->why, "%s", why);
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static inline void answers_wait(struct answers *a, size_t count)
{
    pthread_mutex_lock(&a->lock);
    while (a->count < count)
        pthread_cond_wait(&a->changed, &a->lock);
    ck_assert_uint_eq(a->count, count);
    pthread_mutex_unlock(&a->lock);
}

static inline void post_want(struct gateway *g, const char *id, struct answers *a)
{
    struct seen s = look_at(g, id);
    gate_credentials_want(g->credentials, s.account, s.version, on_want_answered, a);
}

/* Asks for a credential newer than the one in use and waits for the answer. */
static inline enum gate_status want(struct gateway *g, const char *id, char why[512])
{
    struct answers a;
    answers_init(&a);
    post_want(g, id, &a);
    answers_wait(&a, 1);
    if (why != NULL)
        memcpy(why, a.why, sizeof a.why);
    for (int status = 0; status <= GATE_EINTERNAL; status++)
        if (a.by_status[status] > 0)
            return (enum gate_status)status;
    return GATE_EINTERNAL;
}

static uint64_t shift;

static inline void advance(uint64_t ms)
{
    shift += ms;
    gate_clock_shift((int64_t)shift);
}

/* ---- what was logged */

static FILE *log_file;

static inline void log_start(void)
{
    log_file = tmpfile();
    ck_assert_ptr_ne(log_file, NULL);
    gate_log_setup(GATE_LOG_DEBUG, GATE_LOG_TEXT, fileno(log_file));
}

/* How often the log says it so far. */
static inline size_t logged(const char *text)
{
    static char all[1 << 16];
    size_t count = 0;
    ssize_t n = pread(fileno(log_file), all, sizeof all - 1, 0);
    ck_assert_int_ge(n, 0);
    all[n] = '\0';
    for (const char *at = all; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* ---- one test: a gateway, called g, and a log without tokens */

static struct gateway *g;

static inline void setup(void)
{
    shift = 0;
    log_start();
    ground_make();
    g = gateway_start();
}

static inline void teardown(void)
{
    gateway_stop(g);
    ground_unmake();
    ck_assert_uint_eq(logged("access-"), 0);
    ck_assert_uint_eq(logged("refresh-"), 0);
    ck_assert_uint_eq(logged("device-secret"), 0);
}

static inline int oauth_main(const char *name, void (*before)(void), void (*after)(void),
                             void (*add)(TCase *tests))
{
    Suite *suite = suite_create(name);
    TCase *tests = tcase_create(name);
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, before, after);
    add(tests);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
