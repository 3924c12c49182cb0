/* The stream's own rules: what is held back before the first content, what ends it, what counts as
 * complete. The dialect here names each event's flags in its data, so that the tests say what they
 * mean. */
#include "request/stream.h"
#include <check.h>
#include <stdlib.h>

struct fixture {
    struct gate_timers timers;
    struct gate_env env;
    struct gate_instance instance;
    struct gate_provider_ops provider;
    struct gate_dialect_ops dialect;
    struct gate_stream stream;
    struct gate_buf out;
    int flushes;
};

static unsigned inspect(const struct gate_event *event)
{
    static const struct {
        const char *word;
        unsigned flag;
    } words[] = {
        {"content", GATE_EVENT_CONTENT}, {"finish", GATE_EVENT_FINISH},
        {"done", GATE_EVENT_TERMINAL},   {"usage", GATE_EVENT_USAGE},
        {"error", GATE_EVENT_ERROR},     {"only-usage", GATE_EVENT_USAGE_ONLY},
    };
    unsigned flags = 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (memmem(event->data.ptr, event->data.len, words[i].word, strlen(words[i].word)) != NULL)
            flags |= words[i].flag;
    return flags;
}

static void on_write(void *ctx, struct gate_str bytes)
{
    struct fixture *f = ctx;
    ck_assert(gate_buf_append(&f->out, bytes));
}

static void on_flush(void *ctx)
{
    struct fixture *f = ctx;
    f->flushes++;
}

/* "usage 7": seven tokens. */
static bool read_usage(struct gate_str data, struct gate_usage *out)
{
    const char *word = memmem(data.ptr, data.len, "usage ", 6);
    if (word == NULL)
        return false;
    *out = (struct gate_usage){.completion = (uint64_t)(word[6] - '0')};
    return true;
}

static size_t text_bytes(struct gate_str data)
{
    return data.len - strlen("content ");
}

/* Both at once. */
static unsigned read_event(const struct gate_event *event, size_t *bytes)
{
    unsigned flags = inspect(event);
    *bytes = flags & GATE_EVENT_CONTENT ? text_bytes(event->data) : 0;
    return flags;
}

static void open_as(struct fixture *f, bool strip_usage)
{
    memset(f, 0, sizeof *f);
    gate_timers_init(&f->timers, 1000);
    gate_buf_init(&f->out, 1 << 20);
    f->env.timers = &f->timers;
    f->provider.dialect = "test";
    f->dialect.inspect_event = inspect;
    f->dialect.read_usage = read_usage;
    f->dialect.text_bytes = text_bytes;
    f->instance.ops = &f->provider;
    f->instance.dialect = &f->dialect;
    gate_stream_open(&f->stream, &f->env, &f->instance, strip_usage, on_write, on_flush, f);
}

static void open_stream(struct fixture *f)
{
    open_as(f, false);
}

static void close_stream(struct fixture *f)
{
    gate_stream_close(&f->stream);
    gate_buf_finish(&f->out);
}

static bool feed(struct fixture *f, const char *bytes)
{
    return gate_stream_feed(&f->stream, gate_str_of(bytes));
}

static void expect(struct fixture *f, const char *bytes)
{
    ck_assert_uint_eq(f->out.len, strlen(bytes));
    ck_assert(f->out.len == 0 || memcmp(f->out.ptr, bytes, f->out.len) == 0);
    f->out.len = 0;
}

START_TEST(test_held_until_content)
{
    struct fixture f;
    open_stream(&f);
    ck_assert(feed(&f, ": hello\n\ndata: role\n\n"));
    expect(&f, "");
    ck_assert(feed(&f, "data: content 1\n\ndata: con"));
    expect(&f, ": hello\n\ndata: role\n\ndata: content 1\n\n");
    ck_assert(!gate_stream_at_boundary(&f.stream));
    ck_assert(feed(&f, "tent 2\n\n"));
    expect(&f, "data: content 2\n\n");
    ck_assert(gate_stream_at_boundary(&f.stream));
    ck_assert(feed(&f, "data: finish\n\ndata: done\n\nrest"));
    expect(&f, "data: finish\n\ndata: done\n\n");
    ck_assert(gate_stream_end(&f.stream));
    expect(&f, "rest");
    ck_assert(gate_stream_end(&f.stream));
    expect(&f, "");
    close_stream(&f);
}
END_TEST

START_TEST(test_error_takes_the_place)
{
    struct fixture f;
    open_stream(&f);
    ck_assert(feed(&f, "data: role\n\n"));
    ck_assert(!feed(&f, "data: error text\n\ndata: content\n\n"));
    expect(&f, "");
    ck_assert_uint_eq(f.stream.refused.len, strlen("error text"));
    close_stream(&f);
}
END_TEST

START_TEST(test_error_behind_content)
{
    static const char known[] = "data: {\"error\":{\"message\":\"m\"}}\n\n";
    struct fixture f;
    open_stream(&f);
    ck_assert(feed(&f, "data: content\n\n"));
    ck_assert_msg(feed(&f, known), "an error that clients know goes on as it is");
    expect(&f, "data: content\n\ndata: {\"error\":{\"message\":\"m\"}}\n\n");
    ck_assert_msg(!feed(&f, "data: error_finish\n\n"), "one that they do not know does not");
    expect(&f, "");
    close_stream(&f);
}
END_TEST

START_TEST(test_complete_by_meaning)
{
    static const struct {
        const char *bytes;
        bool complete;
    } cases[] = {
        {"", false},
        {"data: role\n\n", false},
        {"data: role\n\ndata: done\n\n", false},
        {"data: usage\n\ndata: done\n\n", false},
        {"data: content\n\n", false},
        {"data: content\n\ndata: done", false},
        {"data: content\n\ndata: done\n\n", true},
        {"data: content\n\ndata: finish\n\n", true},
        {"data: finish\n\n", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        open_stream(&f);
        ck_assert(feed(&f, cases[i].bytes));
        ck_assert_msg(gate_stream_end(&f.stream) == cases[i].complete, "%s", cases[i].bytes);
        close_stream(&f);
    }
}
END_TEST

START_TEST(test_usage_is_read_and_kept_back)
{
    static const char stream[] = "data: content abc\n\ndata: content de\n\ndata: finish usage 3\n\n"
                                 "data: only-usage 7\n\ndata: done\n\n";
    for (int round = 0; round < 4; round++) {
        bool strip = round & 1;
        struct fixture f;
        open_as(&f, strip);
        if (round & 2) {
            f.dialect.read_event = read_event;
            f.dialect.inspect_event = NULL; /* a dialect needs it, a stream then does not */
            f.dialect.text_bytes = NULL;
        }
        ck_assert(feed(&f, stream));
        ck_assert(gate_stream_end(&f.stream));
        ck_assert(f.stream.has_usage);
        ck_assert_uint_eq(f.stream.usage.completion, 7); /* the last word counts */
        ck_assert_uint_eq(f.stream.text_bytes, 5);
        expect(&f, strip ? "data: content abc\n\ndata: content de\n\ndata: finish usage 3\n\n"
                           "data: done\n\n"
                         : stream);
        close_stream(&f);
    }
}
END_TEST

START_TEST(test_hold_is_bounded)
{
    struct fixture f;
    size_t sent = 0;
    open_stream(&f);
    while (f.out.len == 0) {
        ck_assert(feed(&f, "data: prelude prelude prelude prelude prelude prelude prelude\n\n"));
        sent += strlen("data: prelude prelude prelude prelude prelude prelude prelude\n\n");
        ck_assert_uint_le(sent, GATE_STREAM_MAX_HELD + 128);
    }
    ck_assert_uint_eq(f.out.len, sent);
    close_stream(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream");
    TCase *tc = tcase_create("rules");
    tcase_add_test(tc, test_held_until_content);
    tcase_add_test(tc, test_error_takes_the_place);
    tcase_add_test(tc, test_error_behind_content);
    tcase_add_test(tc, test_complete_by_meaning);
    tcase_add_test(tc, test_usage_is_read_and_kept_back);
    tcase_add_test(tc, test_hold_is_bounded);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
