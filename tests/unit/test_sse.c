/* Tests of base/sse: however a stream is cut, its bytes and its events are the same. */
#include "base/sse.h"
#include "recordings.h"
#include <check.h>

enum { MAX_EVENT = 1 << 20, MAX_LOG = 64 << 20, RANDOM_CUTS = 10 };

/* What came out of a framer: the raw bytes, and one line for each event that carries something. */
struct log {
    struct gate_buf raw;
    struct gate_buf events;
    size_t calls;
    struct gate_str fed; /* where the bytes of the current feed lie */
    size_t outside;      /* events whose raw bytes lie elsewhere */
};

static void log_init(struct log *l)
{
    *l = (struct log){.calls = 0};
    gate_buf_init(&l->raw, MAX_LOG);
    gate_buf_init(&l->events, MAX_LOG);
}

static void log_finish(struct log *l)
{
    gate_buf_finish(&l->raw);
    gate_buf_finish(&l->events);
}

static void note(struct gate_buf *b, const char *field, struct gate_str value)
{
    gate_buf_printf(b, "%s(%zu)=%.*s;", field, value.len, (int)value.len,
                    value.len > 0 ? value.ptr : "");
}

static void on_event(void *ctx, const struct gate_event *event)
{
    struct log *l = ctx;

    l->calls++;
    l->outside += event->raw.ptr < l->fed.ptr || event->raw.ptr >= l->fed.ptr + l->fed.len;
    ck_assert(event->raw.len > 0);
    ck_assert(gate_buf_append(&l->raw, event->raw));
    if (event->has_data)
        note(&l->events, "data", event->data);
    else
        ck_assert_uint_eq(event->data.len, 0);
    if (event->type.len > 0)
        note(&l->events, "type", event->type);
    if (event->id.len > 0)
        note(&l->events, "id", event->id);
}

/* Feeds in a block of its own size, so that reading past the end is noticed. */
static void feed(struct gate_sse *s, struct log *l, const char *bytes, size_t len)
{
    char *copy = gate_alloc(len);
    memcpy(copy, bytes, len);
    l->fed = (struct gate_str){copy, len};
    gate_sse_feed(s, l->fed, on_event, l);
    free(copy);
}

/* cut 0: whole; 1: each byte alone; others: at random points, seeded by cut. */
static void run(struct gate_str input, unsigned cut, size_t max_event, struct log *l)
{
    uint64_t seed = cut;
    struct gate_sse s;

    gate_sse_init(&s, max_event);
    for (size_t at = 0; at < input.len;) {
        size_t n = cut == 0   ? input.len
                   : cut == 1 ? 1
                              : 1 + recording_random(&seed, cut % 2 ? 40 : 2000);
        if (n > input.len - at)
            n = input.len - at;
        feed(&s, l, input.ptr + at, n);
        at += n;
        if (gate_sse_rest(&s).len == 0)
            ck_assert_ptr_null(s.carry.ptr);
        ck_assert_ptr_null(s.joined.ptr);
    }
    ck_assert(gate_buf_append(&l->raw, gate_sse_rest(&s)));
    gate_sse_finish(&s);
}

static void check_cuts(const char *name, struct gate_str input, size_t max_event)
{
    struct log whole;

    log_init(&whole);
    run(input, 0, max_event, &whole);
    for (unsigned cut = 0; cut < RANDOM_CUTS + 2; cut++) {
        struct log l;
        log_init(&l);
        run(input, cut, max_event, &l);
        ck_assert_msg(gate_str_eq(gate_buf_str(&l.raw), input), "%s: bytes differ, cut %u", name,
                      cut);
        ck_assert_msg(gate_str_eq(gate_buf_str(&l.events), gate_buf_str(&whole.events)),
                      "%s: events differ, cut %u", name, cut);
        log_finish(&l);
    }
    log_finish(&whole);
}

static void check_events(const char *input, const char *events)
{
    struct log l;

    log_init(&l);
    run(gate_str_of(input), 0, MAX_EVENT, &l);
    gate_buf_append_byte(&l.events, '\0');
    ck_assert_str_eq(l.events.ptr, events);
    log_finish(&l);
    check_cuts(input, gate_str_of(input), MAX_EVENT);
}

START_TEST(test_fields)
{
    check_events("data: a\n\n", "data(1)=a;");
    check_events("data:a\n\n", "data(1)=a;");
    check_events("data:  a\n\n", "data(2)= a;");
    check_events("data\n\n", "data(0)=;");
    check_events("data:\n\n", "data(0)=;");
    check_events("id: 7\nevent: error\ndata: x\n\n", "data(1)=x;type(5)=error;id(1)=7;");
    check_events("event: ping\n\n", "type(4)=ping;");
    check_events(": comment\n\nretry: 10\n\ndatax: no\n\n Data: no\n\n", "");
    check_events("data: a:b: c\n\n", "data(6)=a:b: c;");
    check_events("data: a\ndata: b\ndata:\n\n", "data(4)=a\nb\n;");
    check_events("data\ndata: b\n\n", "data(2)=\nb;");
    check_events("data: unfinished\n", "");
}
END_TEST

START_TEST(test_line_ends)
{
    check_events("data: a\r\n\r\ndata: b\r\n\r\n", "data(1)=a;data(1)=b;");
    check_events("data: a\r\rdata: b\r\r", "data(1)=a;data(1)=b;");
    check_events("data: a\n\r\ndata: b\r\n\ndata: c\r\n\rdata: d\r\r\n",
                 "data(1)=a;data(1)=b;data(1)=c;data(1)=d;");
    check_events("\n\n\r\n\rdata: a\n\n\n\n", "data(1)=a;");
    check_events("id: 1\r\ndata: a\rdata: b\n\n", "data(3)=a\nb;id(1)=1;");
}
END_TEST

START_TEST(test_byte_order_mark)
{
    check_events("\xef\xbb\xbf"
                 "data: a\n\n"
                 "\xef\xbb\xbf"
                 "data: b\n\n",
                 "data(1)=a;");
    check_events("\xef\xbb\xbf\n\ndata: a\n\n", "data(1)=a;");
    check_events("\xef\xbb"
                 "data: a\n\ndata: b\n\n",
                 "data(1)=b;");
}
END_TEST

START_TEST(test_whole_events_are_not_copied)
{
    const char *input = "data: a\n\nid: 1\ndata: b\n\ndata: c";
    struct gate_sse s;
    struct log l;

    log_init(&l);
    gate_sse_init(&s, MAX_EVENT);
    l.fed = gate_str_of(input);
    gate_sse_feed(&s, l.fed, on_event, &l);
    ck_assert_uint_eq(l.calls, 2);
    ck_assert_uint_eq(l.outside, 0);
    ck_assert(gate_str_eq(gate_sse_rest(&s), GATE_STR("data: c")));
    feed(&s, &l, "\n\n", 2);
    ck_assert_uint_eq(l.outside, 1);
    ck_assert_uint_eq(gate_sse_rest(&s).len, 0);
    ck_assert_ptr_null(s.carry.ptr);
    gate_sse_finish(&s);
    log_finish(&l);
}
END_TEST

START_TEST(test_line_feed_of_a_split_pair)
{
    struct gate_sse s;
    struct log l;

    log_init(&l);
    gate_sse_init(&s, MAX_EVENT);
    feed(&s, &l, "data: a\r\n\r", 10);
    ck_assert_uint_eq(l.calls, 1);
    feed(&s, &l, "\ndata: b\r\n\r\n", 12);
    ck_assert_uint_eq(l.calls, 2);
    ck_assert(gate_str_eq(gate_buf_str(&l.raw), GATE_STR("data: a\r\n\r\ndata: b\r\n\r\n")));
    gate_sse_finish(&s);
    log_finish(&l);
}
END_TEST

START_TEST(test_too_long_events_pass_unparsed)
{
    const char *input = "data: 1234\n\ndata: 123456789 123456789\n\ndata: 5\n\n";
    struct log l;

    for (unsigned cut = 0; cut < 12; cut++) {
        log_init(&l);
        run(gate_str_of(input), cut, 16, &l);
        ck_assert(gate_str_eq(gate_buf_str(&l.raw), gate_str_of(input)));
        ck_assert(gate_str_eq(gate_buf_str(&l.events), GATE_STR("data(4)=1234;data(1)=5;")));
        log_finish(&l);
    }
    /* An event of exactly the cap is parsed. */
    log_init(&l);
    run(GATE_STR("data: 12345678\n\n"), 1, 16, &l);
    ck_assert(gate_str_eq(gate_buf_str(&l.events), GATE_STR("data(8)=12345678;")));
    log_finish(&l);
    check_cuts("long", gate_str_of(input), 16);
}
END_TEST

START_TEST(test_parse)
{
    struct gate_buf joined;
    struct gate_event event;

    gate_buf_init(&joined, 4);
    gate_sse_parse(GATE_STR("\xef\xbb\xbfid: 3\ndata: a\ndata: b\n\n"), &joined, &event);
    ck_assert(event.has_data && gate_str_eq(event.data, GATE_STR("a\nb")));
    ck_assert(gate_str_eq(event.id, GATE_STR("3")));
    gate_sse_parse(GATE_STR("data: aaa\ndata: bbb\n\n"), &joined, &event);
    ck_assert(!event.has_data && event.data.len == 0);
    gate_sse_parse(GATE_STR("data: a\ndata: c\n\n"), &joined, &event);
    ck_assert(event.has_data && gate_str_eq(event.data, GATE_STR("a\nc")));
    gate_buf_finish(&joined);
}
END_TEST

/* Text made of the bytes that mean something to a framer. */
START_TEST(test_random_bytes)
{
    static const char alphabet[] = "\n\n\r\r: ad\xef\xbb\xbf";
    uint64_t seed = 42;
    char text[200];

    for (unsigned i = 0; i < 2000; i++) {
        size_t n = recording_random(&seed, sizeof text);
        for (size_t j = 0; j < n; j++)
            text[j] = alphabet[recording_random(&seed, sizeof alphabet - 1)];
        check_cuts("random", (struct gate_str){text, n}, i % 3 == 0 ? 16 : MAX_EVENT);
    }
}
END_TEST

static void check_all(struct recordings all, const char *kind)
{
    for (size_t i = 0; i < all.count; i++)
        check_cuts(all.list[i].name, gate_buf_str(&all.list[i].body), MAX_EVENT);
    printf("sse: %zu %s streams, each cut in %d ways\n", all.count, kind, RANDOM_CUTS + 2);
    recordings_free(&all);
}

START_TEST(test_own_streams)
{
    struct recordings own = recordings_own();
    ck_assert_uint_gt(own.count, 0);
    check_all(own, "own");
}
END_TEST

START_TEST(test_recorded_streams)
{
    check_all(recordings_foreign(), "recorded");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sse");
    TCase *cases = tcase_create("sse");

    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, test_fields);
    tcase_add_test(cases, test_line_ends);
    tcase_add_test(cases, test_byte_order_mark);
    tcase_add_test(cases, test_whole_events_are_not_copied);
    tcase_add_test(cases, test_line_feed_of_a_split_pair);
    tcase_add_test(cases, test_too_long_events_pass_unparsed);
    tcase_add_test(cases, test_parse);
    tcase_add_test(cases, test_random_bytes);
    tcase_add_test(cases, test_own_streams);
    tcase_add_test(cases, test_recorded_streams);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
