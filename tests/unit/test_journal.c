/* The journal: what workers add is listed newest first, in pages without holes or doubles, over a
 * restart and while storage fails, and never more than its bounds. */
#include "base/log.h"
#include "memory_storage.h"
#include "record/journal_internal.h"
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define NOW UINT64_C(1790000000000)
#define DAY UINT64_C(86400000)

struct fixture {
    struct memory_storage memory;
    struct gate_value value;
    struct gate_store *store;
    struct gate_journal *journal;
    struct gate_journal_batch *batch;
};

static void start_gateway(struct fixture *f, uint32_t days)
{
    struct gate_error err;
    f->value = memory_storage_value(&f->memory);
    ck_assert_int_eq(
        gate_store_open(&memory_storage_plugin, &f->value, "memory", 0, &f->store, &err), GATE_OK);
    f->journal = gate_journal_create(f->store, days);
    f->batch = gate_journal_batch_create(f->journal);
}

static void stop_gateway(struct fixture *f)
{
    gate_journal_batch_destroy(f->batch);
    gate_store_close(f->store);
    gate_journal_destroy(f->journal);
}

static void start(struct fixture *f)
{
    memory_storage_init(&f->memory);
    memory_storage_set_now(&f->memory, NOW);
    start_gateway(f, 30);
}

static void stop(struct fixture *f)
{
    stop_gateway(f);
    memory_storage_finish(&f->memory);
}

static void nothing(struct gate_storage *s, void *arg)
{
    (void)s;
    (void)arg;
}

static void flush(struct fixture *f)
{
    gate_store_flush(f->store, NULL, NULL);
    gate_store_call(f->store, nothing, NULL);
}

static void add(struct gate_journal_batch *b, uint64_t at_ms, const char *name, const char *bytes)
{
    gate_journal_add(b, at_ms, gate_str_of(name), gate_str_of(bytes));
}

/* ---- asking */

struct asking {
    struct fixture *f;
    struct gate_journal_query q;
    char wanted; /* first byte; 0: all */
    char name[64];
    size_t calls, looked;
    enum gate_status status;
};

static bool is_wanted(void *ctx, const struct gate_journal_record *r)
{
    struct asking *a = ctx;
    a->looked++;
    return a->wanted == 0 || r->bytes.ptr[0] == a->wanted;
}

static void run(struct gate_storage *s, void *arg)
{
    struct asking *a = arg;
    bool more = true;
    for (; more; a->calls++) {
        a->status = gate_journal_read(a->f->journal, s, &a->q, &more, NULL);
        if (a->status != GATE_OK)
            return;
    }
}

static void ask(struct fixture *f, struct asking *a, uint64_t before_ms, const char *before_name,
                size_t most)
{
    a->f = f;
    snprintf(a->name, sizeof a->name, "%s", before_name);
    a->q = (struct gate_journal_query){
        .before_ms = before_ms,
        .before_name = gate_str_of(a->name),
        .most = most,
        .wanted = is_wanted,
        .ctx = a,
    };
    gate_store_call(f->store, run, a);
}

/* The names, parted by spaces. */
static void expect(struct fixture *f, uint64_t before_ms, const char *before_name, size_t most,
                   char wanted, const char *names)
{
    struct asking a = {.wanted = wanted};
    char got[512];
    size_t len = 0;
    ask(f, &a, before_ms, before_name, most);
    ck_assert_int_eq(a.status, GATE_OK);
    got[0] = '\0';
    for (size_t i = 0; i < a.q.count; i++)
        len += (size_t)snprintf(got + len, sizeof got - len, "%s%.*s", i > 0 ? " " : "",
                                (int)a.q.found[i].name.len, a.q.found[i].name.ptr);
    ck_assert_str_eq(got, names);
    gate_journal_query_finish(&a.q);
}

/* Reads all of it in pages; the records come in order, each once. How many there are. */
static size_t walk(struct fixture *f, size_t page, char wanted)
{
    uint64_t before_ms = UINT64_MAX;
    char before[64] = "";
    size_t count = 0;
    for (;;) {
        struct asking a = {.wanted = wanted};
        ask(f, &a, before_ms, before, page);
        ck_assert_int_eq(a.status, GATE_OK);
        for (size_t i = 0; i < a.q.count; i++) {
            const struct gate_journal_record *r = &a.q.found[i];
            char name[64];
            snprintf(name, sizeof name, "%.*s", (int)r->name.len, r->name.ptr);
            ck_assert(r->at_ms < before_ms || (r->at_ms == before_ms && strcmp(name, before) < 0));
            before_ms = r->at_ms;
            snprintf(before, sizeof before, "%s", name);
        }
        count += a.q.count;
        bool end = a.q.count < page;
        gate_journal_query_finish(&a.q);
        if (end)
            return count;
    }
}

/* ---- */

START_TEST(newest_first_filtered_and_in_pages)
{
    struct fixture f;
    start(&f);
    expect(&f, UINT64_MAX, "", 5, 0, "");
    add(f.batch, NOW + 5, "b", "x1");
    add(f.batch, NOW + 5, "a", "y2");
    add(f.batch, NOW + 1, "long", "x3"); /* began first and ended last */
    flush(&f);
    add(f.batch, NOW + 9, "c", "x4");
    add(f.batch, NOW + 3, "d", "y5");
    flush(&f);
    expect(&f, UINT64_MAX, "", 10, 0, "c b a d long");
    expect(&f, UINT64_MAX, "", 2, 0, "c b");
    expect(&f, NOW + 5, "b", 2, 0, "a d");
    expect(&f, NOW + 3, "d", 2, 0, "long");
    expect(&f, NOW + 1, "long", 2, 0, "");
    expect(&f, UINT64_MAX, "", 10, 'y', "a d");
    expect(&f, NOW + 5, "a", 1, 'y', "d");
    stop(&f);
}
END_TEST

START_TEST(a_restart_loses_nothing)
{
    struct fixture f;
    start(&f);
    add(f.batch, NOW, "one", "x");
    flush(&f);
    add(f.batch, NOW + 1, "two", "x"); /* written by the end */
    stop_gateway(&f);
    start_gateway(&f, 30);
    expect(&f, UINT64_MAX, "", 5, 0, "two one");
    add(f.batch, NOW + 2, "three", "x");
    flush(&f);
    expect(&f, UINT64_MAX, "", 5, 0, "three two one");
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_REQUESTS), 3);
    stop(&f);
}
END_TEST

START_TEST(what_storage_does_not_take_is_listed_and_written_later)
{
    struct fixture f;
    start(&f);
    add(f.batch, NOW, "one", "x");
    flush(&f);
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_FAIL_COMMITS);
    add(f.batch, NOW + 1, "two", "x");
    flush(&f);
    add(f.batch, NOW + 2, "three", "x");
    flush(&f);
    expect(&f, UINT64_MAX, "", 5, 0, "three two one");
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_REQUESTS), 1);
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    flush(&f);
    expect(&f, UINT64_MAX, "", 5, 0, "three two one");
    ck_assert_uint_eq(gate_journal_dropped(f.journal), 0);
    stop_gateway(&f);
    start_gateway(&f, 30);
    expect(&f, UINT64_MAX, "", 5, 0, "three two one");
    stop(&f);
}
END_TEST

START_TEST(the_last_ten_thousand_are_kept)
{
    enum { ALL = GATE_JOURNAL_MAX_COUNT + 3000, PAGE = 201 };
    struct fixture f;
    char name[16];
    start(&f);
    for (unsigned i = 0; i < ALL; i++) {
        snprintf(name, sizeof name, "r%u", i);
        add(f.batch, NOW + i / 3, name, i % 100 == 0 ? "y" : "x");
        if (i % 700 == 0)
            flush(&f);
    }
    flush(&f);
    size_t kept = walk(&f, PAGE, 0);
    ck_assert_uint_le(kept, GATE_JOURNAL_MAX_COUNT);
    ck_assert_uint_gt(kept, GATE_JOURNAL_MAX_COUNT - GATE_JOURNAL_CHUNK_COUNT);
    ck_assert_uint_eq(walk(&f, 7, 'y'), kept / 100);
    ck_assert_uint_eq(gate_journal_dropped(f.journal), 0);
    /* A new process knows what is there, and goes on removing. */
    stop_gateway(&f);
    start_gateway(&f, 30);
    ck_assert_uint_eq(walk(&f, PAGE, 0), kept);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "s%u", i);
        add(f.batch, NOW + ALL + i, name, "z");
    }
    flush(&f);
    ck_assert_uint_le(walk(&f, PAGE, 0), GATE_JOURNAL_MAX_COUNT);
    ck_assert_uint_eq(walk(&f, PAGE, 'z'), 2000);
    /* The newest page needs no look at what is old. */
    struct asking a = {.wanted = 0};
    ask(&f, &a, UINT64_MAX, "", PAGE);
    ck_assert_uint_eq(a.q.count, PAGE);
    ck_assert_uint_le(a.looked, 2 * GATE_JOURNAL_CHUNK_COUNT);
    gate_journal_query_finish(&a.q);
    stop(&f);
}
END_TEST

START_TEST(large_records_are_bounded_by_their_bytes)
{
    static char bytes[GATE_JOURNAL_MAX_RECORD];
    struct fixture f;
    char name[16];
    start(&f);
    memset(bytes, 'x', sizeof bytes);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "r%u", i);
        gate_journal_add(f.batch, NOW + i, gate_str_of(name),
                         (struct gate_str){bytes, sizeof bytes});
        if (i % 200 == 0)
            flush(&f);
    }
    flush(&f);
    size_t kept = walk(&f, 100, 0);
    ck_assert_uint_le(kept * sizeof bytes, GATE_JOURNAL_MAX_BYTES);
    ck_assert_uint_gt(kept * sizeof bytes, GATE_JOURNAL_MAX_BYTES * 9 / 10);
    /* Too large or empty: not taken. */
    gate_journal_add(f.batch, NOW + 9000, GATE_STR("huge"),
                     (struct gate_str){bytes, sizeof bytes + 1});
    gate_journal_add(f.batch, NOW + 9000, GATE_STR("empty"), (struct gate_str){"", 0});
    flush(&f);
    expect(&f, UINT64_MAX, "", 1, 0, "r2999");
    stop(&f);
}
END_TEST

START_TEST(what_comes_too_fast_is_dropped_and_counted)
{
    static char bytes[4096];
    struct fixture f;
    unsigned fits = GATE_JOURNAL_BATCH_BYTES / (sizeof bytes + 16 + 1);
    start(&f);
    memset(bytes, 'x', sizeof bytes);
    for (unsigned i = 0; i < fits + 100; i++)
        gate_journal_add(f.batch, NOW + i, GATE_STR("n"), (struct gate_str){bytes, sizeof bytes});
    ck_assert_uint_ge(gate_journal_dropped(f.journal), 100);
    ck_assert_uint_le(gate_journal_dropped(f.journal), 101);
    flush(&f);
    ck_assert_uint_eq(walk(&f, 50, 0) + gate_journal_dropped(f.journal), fits + 100);
    /* Storage that fails for long: what waits is bounded too. */
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_FAIL_COMMITS);
    for (unsigned round = 0; round < 12; round++) {
        for (unsigned i = 0; i < 1000; i++)
            gate_journal_add(f.batch, NOW + 10000 + round * 1000 + i, GATE_STR("m"),
                             (struct gate_str){bytes, sizeof bytes});
        flush(&f);
    }
    uint64_t dropped = gate_journal_dropped(f.journal);
    ck_assert_uint_gt(dropped, 2000);
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    flush(&f);
    ck_assert_uint_gt(walk(&f, 200, 0) * sizeof bytes, GATE_JOURNAL_MAX_BYTES * 9 / 10);
    stop(&f);
}
END_TEST

START_TEST(old_ones_end_by_themselves)
{
    struct fixture f;
    memory_storage_init(&f.memory);
    memory_storage_set_now(&f.memory, NOW);
    start_gateway(&f, 2);
    add(f.batch, NOW, "one", "x");
    flush(&f);
    memory_storage_set_now(&f.memory, NOW + DAY);
    add(f.batch, NOW + DAY, "two", "x");
    flush(&f);
    memory_storage_set_now(&f.memory, NOW + 2 * DAY + 1);
    expect(&f, UINT64_MAX, "", 5, 0, "two");
    stop(&f);
}
END_TEST

START_TEST(damage_costs_only_what_is_damaged)
{
    struct fixture f;
    char key[GATE_JOURNAL_KEY];
    start(&f);
    for (unsigned i = 0; i < 5; i++) {
        char name[8];
        snprintf(name, sizeof name, "r%u", i);
        add(f.batch, NOW + i, name, "x");
        flush(&f);
    }
    static const struct gate_str bad[] = {
        {"", 0}, {"\1", 1}, {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 30}};
    for (unsigned i = 0; i < 3; i++)
        memory_storage_write(&f.memory, gate_journal_key(i + 1, key).ptr, bad[i]);
    memory_storage_write(&f.memory, GATE_KEY_REQUESTS "zz", GATE_STR("x"));
    expect(&f, UINT64_MAX, "", 9, 0, "r4 r0");
    stop_gateway(&f);
    start_gateway(&f, 30);
    expect(&f, UINT64_MAX, "", 9, 0, "r4 r0");
    add(f.batch, NOW + 9, "new", "x");
    flush(&f);
    expect(&f, UINT64_MAX, "", 9, 0, "new r4 r0");
    stop(&f);
}
END_TEST

START_TEST(a_number_that_is_damaged_is_not_believed)
{
    struct fixture f;
    char key[GATE_JOURNAL_KEY];
    start(&f);
    add(f.batch, NOW, "first", "x");
    flush(&f);
    /* In the place of the second chunk: one that says it is another. */
    struct gate_journal_chunk *c = gate_journal_chunk_create(UINT64_MAX - 300, NOW);
    gate_journal_chunk_add(c, NOW, GATE_STR("stray"), GATE_STR("x"));
    gate_journal_chunk_close(c);
    memory_storage_write(&f.memory, gate_journal_key(1, key).ptr, gate_buf_str(&c->bytes));
    memory_storage_write(&f.memory, gate_journal_key(UINT64_MAX - 300, key).ptr,
                         gate_buf_str(&c->bytes));
    gate_journal_chunk_destroy(c);
    stop_gateway(&f);
    start_gateway(&f, 30);
    for (unsigned i = 0; i < 700; i++) {
        char name[24];
        snprintf(name, sizeof name, "n%u", i);
        add(f.batch, NOW + 1 + i, name, "x");
        if (i % 100 == 99)
            flush(&f);
    }
    expect(&f, UINT64_MAX, "", 3, 0, "n699 n698 n697");
    ck_assert_uint_eq(walk(&f, 100, 0), 702);
    stop(&f);
}
END_TEST

/* ---- threads */

enum { THREADS = 3, EACH = 2500 };

struct adder {
    pthread_t thread;
    struct gate_journal_batch *batch;
    unsigned number;
};

static void *add_many(void *arg)
{
    const struct adder *a = arg;
    for (unsigned i = 0; i < EACH; i++) {
        char name[24];
        snprintf(name, sizeof name, "t%u-%u", a->number, i);
        add(a->batch, NOW + i, name, "x");
    }
    return NULL;
}

START_TEST(workers_add_while_others_read)
{
    struct fixture f;
    struct adder adders[THREADS];
    start(&f);
    for (unsigned i = 0; i < THREADS; i++) {
        adders[i] = (struct adder){.batch = gate_journal_batch_create(f.journal), .number = i};
        ck_assert_int_eq(pthread_create(&adders[i].thread, NULL, add_many, &adders[i]), 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        flush(&f);
        walk(&f, 500, 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(adders[i].thread, NULL);
        gate_journal_batch_destroy(adders[i].batch); /* what it holds is still written */
    }
    flush(&f);
    ck_assert_uint_eq(walk(&f, 200, 0), THREADS * EACH);
    stop(&f);
}
END_TEST

START_TEST(cost_of_adding)
{
    enum { ROUNDS = 10000 };
    struct fixture f;
    struct timespec from, to, cpu_from, cpu_to;
    char bytes[300];
    start(&f);
    memset(bytes, 'x', sizeof bytes);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (unsigned i = 0; i < ROUNDS; i++)
        gate_journal_add(f.batch, NOW + i, GATE_STR("0123456789abcdef"),
                         (struct gate_str){bytes, sizeof bytes});
    clock_gettime(CLOCK_MONOTONIC, &to);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_from);
    flush(&f);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_to);
    printf("journal: %.0f ns to add a record of 300 bytes, %.0f ns to collect and store it\n",
           ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / ROUNDS,
           ((double)(cpu_to.tv_sec - cpu_from.tv_sec) * 1e9 +
            (double)(cpu_to.tv_nsec - cpu_from.tv_nsec)) /
               ROUNDS);
    stop(&f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("journal");
    TCase *c = tcase_create("journal");
    gate_log_setup(GATE_LOG_ERROR, GATE_LOG_TEXT, open("/dev/null", O_WRONLY | O_CLOEXEC));
    tcase_set_timeout(c, 120);
    tcase_add_test(c, newest_first_filtered_and_in_pages);
    tcase_add_test(c, a_restart_loses_nothing);
    tcase_add_test(c, what_storage_does_not_take_is_listed_and_written_later);
    tcase_add_test(c, the_last_ten_thousand_are_kept);
    tcase_add_test(c, large_records_are_bounded_by_their_bytes);
    tcase_add_test(c, what_comes_too_fast_is_dropped_and_counted);
    tcase_add_test(c, old_ones_end_by_themselves);
    tcase_add_test(c, damage_costs_only_what_is_damaged);
    tcase_add_test(c, a_number_that_is_damaged_is_not_believed);
    tcase_add_test(c, workers_add_while_others_read);
    tcase_add_test(c, cost_of_adding);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
