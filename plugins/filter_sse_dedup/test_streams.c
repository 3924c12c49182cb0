/* Tests of filter sse_dedup over whole streams: recorded, the project's own, and made at random. */
#include "base/json.h"
#include "harness.h"
#include <check.h>
#include <cjson/cJSON.h>

enum { CUTS = 8, INCREMENTAL_STREAMS = 4000, CUMULATIVE_STREAMS = 1000, MAX_BYTES = 64 << 20 };

static void check_verbatim(const struct recording *r)
{
    for (unsigned cut = 0; cut < CUTS; cut++) {
        struct gate_buf out;
        harness_run(HARNESS_AUTO, gate_buf_str(&r->body), cut, &out);
        ck_assert_msg(gate_str_eq(gate_buf_str(&out), gate_buf_str(&r->body)),
                      "%s was changed, cut %u", r->name, cut);
        gate_buf_finish(&out);
    }
}

START_TEST(test_recorded_streams_pass_verbatim)
{
    struct recordings all = recordings_foreign();

    for (size_t i = 0; i < all.count; i++)
        check_verbatim(&all.list[i]);
    printf("sse_dedup: %zu recorded streams pass verbatim, each cut in %d ways\n", all.count, CUTS);
    recordings_free(&all);
}
END_TEST

static void check_expected(const struct recording *r, struct gate_str stream)
{
    char *want = harness_expected(r->path), *got = harness_digest(stream);

    ck_assert_msg(strcmp(want, got) == 0, "%s: expected\n%sgot\n%s", r->name, want, got);
    free(want);
    free(got);
}

START_TEST(test_own_streams)
{
    struct recordings all = recordings_own();
    size_t cumulative = 0;

    for (size_t i = 0; i < all.count; i++) {
        const struct recording *r = &all.list[i];
        if (strncmp(r->name, "cumulative-", strlen("cumulative-")) != 0) {
            check_verbatim(r);
            check_expected(r, gate_buf_str(&r->body));
            continue;
        }
        cumulative++;
        for (unsigned cut = 0; cut < CUTS; cut++) {
            struct gate_buf out;
            harness_run(HARNESS_AUTO, gate_buf_str(&r->body), cut, &out);
            check_expected(r, gate_buf_str(&out));
            gate_buf_finish(&out);
        }
    }
    ck_assert_uint_gt(cumulative, 0);
    printf("sse_dedup: %zu own streams, %zu of them cumulative\n", all.count, cumulative);
    recordings_free(&all);
}
END_TEST

/* ---------------------------------------------------------------- the native API's cumulative text
 */

static void add_chunk(struct gate_buf *b, const char *channel, unsigned choice,
                      struct gate_str text)
{
    gate_buf_printf(b, "data: {\"choices\":[{\"index\":%u,\"delta\":{\"%s\":", choice, channel);
    gate_json_put(b, text);
    gate_buf_append(b, GATE_STR("},\"finish_reason\":null}],\"usage\":null}\n\n"));
}

struct native {
    struct gate_buf chunks;
    struct gate_buf last;
};

static void native_event(void *ctx, const struct gate_event *event)
{
    struct native *n = ctx;
    cJSON *root = cJSON_ParseWithLength(event->data.ptr, event->data.len);
    const cJSON *output = cJSON_GetObjectItemCaseSensitive(root, "output");
    struct gate_str text =
        gate_str_of(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(output, "text")));

    if (text.len > 0) {
        add_chunk(&n->chunks, "content", 0, text);
        n->last.len = 0;
        gate_buf_append(&n->last, text);
    }
    cJSON_Delete(root);
}

static void check_content(struct gate_str stream, struct gate_str content)
{
    struct gate_buf out, want;
    char *digest;

    harness_run(HARNESS_AUTO, stream, 1, &out);
    digest = harness_digest(gate_buf_str(&out));
    gate_buf_init(&want, MAX_BYTES);
    gate_buf_append(&want, GATE_STR("0.content="));
    gate_json_put(&want, content);
    gate_buf_append(&want, GATE_STR("\nusages=0\n"));
    ck_assert_msg(gate_str_eq(gate_str_of(digest), gate_buf_str(&want)), "got %s", digest);
    free(digest);
    gate_buf_finish(&out);
    gate_buf_finish(&want);
}

/* The recorded answer is shorter than what proves, so as chat chunks it passes; the same answer
 * with its end continued comes out once. */
START_TEST(test_recorded_native_text_as_chunks)
{
    struct recordings all = recordings_foreign();

    for (size_t i = 0; i < all.count; i++) {
        struct native n;
        struct gate_buf out;
        struct gate_sse sse;
        if (strcmp(all.list[i].name, "qwen-native__test_generation_call_streaming.0.sse") != 0)
            continue;
        gate_buf_init(&n.chunks, MAX_BYTES);
        gate_buf_init(&n.last, MAX_BYTES);
        gate_sse_init(&sse, MAX_BYTES);
        gate_sse_feed(&sse, gate_buf_str(&all.list[i].body), native_event, &n);
        gate_sse_finish(&sse);
        harness_run(HARNESS_AUTO, gate_buf_str(&n.chunks), 1, &out);
        ck_assert(gate_str_eq(gate_buf_str(&out), gate_buf_str(&n.chunks)));
        gate_buf_finish(&out);
        gate_buf_append(&n.last, GATE_STR(" And so on, without an end."));
        add_chunk(&n.chunks, "content", 0, gate_buf_str(&n.last));
        check_content(gate_buf_str(&n.chunks), gate_buf_str(&n.last));
        printf("sse_dedup: 1 recorded native stream turned into chat chunks\n");
        gate_buf_finish(&n.chunks);
        gate_buf_finish(&n.last);
    }
    recordings_free(&all);
}
END_TEST

/* ---------------------------------------------------------------- random streams */

static const char *const pieces[] = {
    "a",  "a",  "aa",   "ab",     "the", " the", "the the", "\n",   "\n\n",     "\n",
    " ",  "  ", "    ", "-",      "--",  "---",  "----",    "=",    "========", "2",
    "0",  "00", "000",  "R",      "ha",  "haha", "ha ha",   "I",    "I am",     "I am so",
    "\"", "\\", "\\\\", "{",      "{\"", "}",    "哈",      "哈哈", "目前",     "目前的",
    "😊",  "😊😊", "é",    "tokens", ".",   ",",    "\t",      "│",
};

/* A text piece: a common one, the one before (again, or grown by another), or a long one. A grown
 * piece stays below the length that proves, as pieces of real streams do. */
static void make_piece(uint64_t *seed, struct gate_buf *piece)
{
    uint32_t kind = recording_random(seed, 10);
    size_t count = sizeof pieces / sizeof pieces[0];

    if (kind >= 3 || piece->len == 0)
        piece->len = 0; /* neither repeated nor grown */
    if (kind == 0 && piece->len > 0)
        return;
    if (kind == 9) {
        uint32_t n = 20 + recording_random(seed, 60);
        for (uint32_t i = 0; i < n; i++)
            gate_buf_append_byte(piece, "etaoin shrdlu"[recording_random(seed, 13)]);
        return;
    }
    if (piece->len > 12)
        piece->len = 0;
    gate_buf_append(piece, gate_str_of(pieces[recording_random(seed, (uint32_t)count)]));
}

static void add_tool_chunk(struct gate_buf *b, unsigned choice, const char *id,
                           struct gate_str text)
{
    gate_buf_printf(b,
                    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"%s\","
                    "\"function\":{\"arguments\":",
                    id);
    gate_json_put(b, text);
    gate_buf_printf(b, "}}]},\"index\":%u}]}\n\n", choice);
}

static void add_noise(uint64_t *seed, struct gate_buf *b, unsigned choice)
{
    static const char *const noise[] = {
        ": ping\n\n",
        "data: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n",
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data: not JSON\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"no\"}}]}\n\n",
    };

    if (recording_random(seed, 4) > 0)
        gate_buf_append(b, gate_str_of(noise[recording_random(seed, 5)]));
    else
        gate_buf_printf(b,
                        "data: {\"choices\":[{\"index\":%u,\"delta\":{},\"finish_reason\":\"stop\"}"
                        "]}\n\n",
                        choice);
}

/* Deltas of up to three choices and both channels in random order; now and then tool calls,
 * comments and other events between them. */
static void make_incremental(uint64_t *seed, struct gate_buf *b)
{
    struct gate_buf last[3][2], arguments;
    unsigned choices = 1 + recording_random(seed, 3), channels = 1 + recording_random(seed, 2);
    uint32_t deltas = 2 + recording_random(seed, 50);

    for (unsigned i = 0; i < 6; i++)
        gate_buf_init(&last[i / 2][i % 2], MAX_BYTES);
    gate_buf_init(&arguments, MAX_BYTES);
    while (deltas-- > 0) {
        unsigned choice = recording_random(seed, choices), c = recording_random(seed, channels);
        make_piece(seed, &last[choice][c]);
        add_chunk(b, c == 0 ? "content" : "reasoning_content", choice,
                  gate_buf_str(&last[choice][c]));
        if (recording_random(seed, 12) == 0)
            add_noise(seed, b, choice);
    }
    for (uint32_t n = recording_random(seed, 4); n > 0; n--) {
        static const char *const parts[] = {"{\"", "k", "k", "\":", "\"", "a", "aa", "\"", "}"};
        for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++)
            add_tool_chunk(b, 0, i > 0 ? "" : n % 2 ? "call_1" : "call_2", gate_str_of(parts[i]));
    }
    gate_buf_append(b, GATE_STR("data: [DONE]\n\n"));
    for (unsigned i = 0; i < 6; i++)
        gate_buf_finish(&last[i / 2][i % 2]);
    gate_buf_finish(&arguments);
}

/* Feeds event by event, and lets the timer run out at random moments. */
static size_t run_with_timer(uint64_t *seed, struct gate_str input, struct gate_buf *out)
{
    struct harness h;

    harness_open(&h, HARNESS_AUTO);
    while (input.len > 0) {
        size_t n = 1 + recording_random(seed, 200);
        n = n < input.len ? n : input.len;
        harness_feed(&h, (struct gate_str){input.ptr, n});
        input = (struct gate_str){input.ptr + n, input.len - n};
        if (h.side.timer_ms > 0 && recording_random(seed, 4) == 0)
            harness_fire(&h);
    }
    harness_end(&h);
    *out = h.out;
    gate_buf_init(&h.out, 0);
    harness_close(&h);
    return h.plain;
}

START_TEST(test_random_incremental_streams_pass_verbatim)
{
    uint64_t seed = 2;
    size_t deltas = 0, plain = 0;

    for (unsigned i = 0; i < INCREMENTAL_STREAMS; i++) {
        struct gate_buf in, out;
        uint64_t start = seed;
        gate_buf_init(&in, MAX_BYTES);
        make_incremental(&seed, &in);
        if (i % 4 == 3)
            plain += run_with_timer(&seed, gate_buf_str(&in), &out);
        else
            plain += harness_run(HARNESS_AUTO, gate_buf_str(&in), i % 4, &out);
        ck_assert_msg(gate_str_eq(gate_buf_str(&in), gate_buf_str(&out)),
                      "stream of seed %llu was damaged:\n%.*s", (unsigned long long)start,
                      (int)in.len, in.ptr);
        deltas += in.len;
        gate_buf_finish(&in);
        gate_buf_finish(&out);
    }
    ck_assert_uint_gt(plain, INCREMENTAL_STREAMS);
    printf("sse_dedup: %d random incremental streams, %zu bytes, %zu plain events, 0 damaged\n",
           INCREMENTAL_STREAMS, deltas, plain);
}
END_TEST

/* The text grows by random pieces; some deltas come twice, some from an earlier moment, and one
 * full replay comes last. */
static void make_cumulative(uint64_t *seed, struct gate_buf *b, struct gate_buf *text)
{
    struct gate_buf piece;
    uint32_t deltas = 10 + recording_random(seed, 40);

    gate_buf_init(&piece, MAX_BYTES);
    gate_buf_append(text, GATE_STR("So "));
    add_chunk(b, "content", 0, gate_buf_str(text));
    for (uint32_t i = 0; i < deltas; i++) {
        make_piece(seed, &piece);
        gate_buf_append(text, gate_buf_str(&piece));
        if (i == 2)
            gate_buf_append(text, GATE_STR(", in twenty-four characters or more"));
        add_chunk(b, "content", 0, gate_buf_str(text));
        if (recording_random(seed, 5) == 0)
            add_chunk(b, "content", 0, gate_buf_str(text));
        if (i > 3 && recording_random(seed, 9) == 0)
            add_chunk(b, "content", 0, (struct gate_str){text->ptr, 3});
    }
    add_chunk(b, "content", 0, gate_buf_str(text));
    gate_buf_append(b, GATE_STR("data: [DONE]\n\n"));
    gate_buf_finish(&piece);
}

START_TEST(test_random_cumulative_streams_come_out_once)
{
    uint64_t seed = 3;

    for (unsigned i = 0; i < CUMULATIVE_STREAMS; i++) {
        struct gate_buf in, text;
        gate_buf_init(&in, MAX_BYTES);
        gate_buf_init(&text, MAX_BYTES);
        make_cumulative(&seed, &in, &text);
        check_content(gate_buf_str(&in), gate_buf_str(&text));
        gate_buf_finish(&in);
        gate_buf_finish(&text);
    }
    printf("sse_dedup: %d random cumulative streams, all exact\n", CUMULATIVE_STREAMS);
}
END_TEST

void test_streams_add(Suite *suite)
{
    TCase *cases = tcase_create("streams");

    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, test_recorded_streams_pass_verbatim);
    tcase_add_test(cases, test_own_streams);
    tcase_add_test(cases, test_recorded_native_text_as_chunks);
    tcase_add_test(cases, test_random_incremental_streams_pass_verbatim);
    tcase_add_test(cases, test_random_cumulative_streams_come_out_once);
    suite_add_tcase(suite, cases);
}
