/* Every variant of the block walk against a reader that goes byte by byte. */
#include "base/json_skip.h"
#include <check.h>
#include <stdlib.h>

enum { TEXT_MAX = 1500, ROUNDS = 60000 };

struct outcome {
    size_t end; /* 0: failed */
    size_t where;
    const char *reason;
    uint32_t deepest;
    bool images;
};

/* What the last three things outside strings were: enough to know a "type" member. */
struct recent {
    bool type_key, colon;
};

static bool is_one_of_images(const char *p, size_t len)
{
    struct gate_str s = {p, len};
    return gate_str_eq(s, GATE_STR("\"image\"")) || gate_str_eq(s, GATE_STR("\"image_url\"")) ||
           gate_str_eq(s, GATE_STR("\"input_image\""));
}

/* The closing quote's index + 1, or 0. */
static size_t naive_string(const char *text, size_t len, size_t at)
{
    for (size_t i = at + 1; i < len; i++) {
        if (text[i] == '\\')
            i++;
        else if (text[i] == '"')
            return i + 1;
    }
    return 0;
}

static struct outcome naive_fail(struct outcome o, size_t where, const char *reason)
{
    o.end = 0;
    o.where = where;
    o.reason = reason;
    return o;
}

static struct outcome naive_container(const char *text, size_t len)
{
    char open[TEXT_MAX];
    uint32_t depth = 0;
    struct outcome o = {0};
    struct recent r = {0};
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '"') {
            size_t end = naive_string(text, len, i);
            if (end == 0)
                return naive_fail(o, len, "string does not end");
            o.images = o.images || (r.type_key && r.colon && is_one_of_images(text + i, end - i));
            r = (struct recent){.type_key = gate_str_eq((struct gate_str){text + i, end - i},
                                                        GATE_STR("\"type\""))};
            i = end - 1;
            continue;
        }
        if (gate_json_is_space(c))
            continue;
        r = (struct recent){.type_key = c == ':' && r.type_key && !r.colon, .colon = c == ':'};
        if (c == '\\')
            return naive_fail(o, i, "backslash outside a string");
        if (c == '{' || c == '[') {
            if (depth == GATE_JSON_MAX_DEPTH)
                return naive_fail(o, i, "nesting is too deep");
            open[depth++] = c;
            o.deepest = depth > o.deepest ? depth : o.deepest;
        } else if (c == '}' || c == ']') {
            if (open[--depth] != (c == '}' ? '{' : '['))
                return naive_fail(o, i, "bracket closes another kind than was opened");
            if (depth == 0) {
                o.end = i + 1;
                return o;
            }
        }
    }
    return naive_fail(o, len, "object or array does not end");
}

/* Runs one variant on a copy whose end is the end of its memory, so that a sanitizer sees any byte
 * that is read too far. */
static struct outcome run(const struct gate_json_skip *skip, const char *text, size_t len,
                          bool string)
{
    char *copy = gate_alloc(len);
    memcpy(copy, text, len);
    struct gate_json_walk *w = gate_alloc(sizeof *w);
    w->begin = copy;
    w->end = copy + len;
    w->find_images = true;
    w->has_images = false;
    w->deepest = 0;
    w->reason = NULL;
    const char *end = string ? skip->string(w, copy) : skip->container(w, copy, 1);
    struct outcome o = {.deepest = w->deepest, .images = w->has_images};
    if (end != NULL)
        o.end = (size_t)(end - copy);
    else
        o = naive_fail(o, (size_t)(w->where - copy), w->reason);
    free(w);
    free(copy);
    return o;
}

static void compare(const char *text, size_t len)
{
    bool string = text[0] == '"';
    struct outcome expected = {0};
    if (string) {
        expected.end = naive_string(text, len, 0);
        if (expected.end == 0)
            expected = naive_fail(expected, len, "string does not end");
    } else {
        expected = naive_container(text, len);
    }
    const struct gate_json_skip *skip;
    for (size_t v = 0; (skip = gate_json_skip_variant(v)) != NULL; v++) {
        struct outcome got = run(skip, text, len, string);
        bool same = got.end == expected.end;
        if (expected.end == 0)
            same = same && got.where == expected.where && strcmp(got.reason, expected.reason) == 0;
        else
            same = same && got.deepest == expected.deepest && got.images == expected.images;
        ck_assert_msg(same,
                      "%s: end %zu not %zu, at %zu not %zu (%s, %s), deepest %u, images %d: %.*s",
                      skip->name, got.end, expected.end, got.where, expected.where,
                      got.reason ? got.reason : "-", expected.reason ? expected.reason : "-",
                      got.deepest, got.images, (int)len, text);
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static const char *const pieces[] = {
    "\"",
    "\\",
    "\\\\",
    "\\\"",
    "{",
    "}",
    "[",
    "]",
    "{\"a\":",
    "}",
    "[1,",
    "]",
    ",",
    ":",
    " ",
    "x",
    "i",
    "\"type\"",
    "\"type\":\"image\"",
    "\"type\" :\n\"image_url\"",
    "\"type\":\"input_image\"",
    "\"x\\\"type\":\"image\"",
    "\"kind\":\"image\"",
    "\"type\":\"text\"",
    "\"image\":\"type\"",
    "some longer run of plain text without any special byte in it, past one block of bytes",
    "\"a string\"",
    "\"with \\n escapes \\\\ and \\\" quotes\"",
    "\xff",
    "\xc3\xbc"};

/* Pieces in any order: mostly broken after a few brackets. */
static size_t make_soup(uint64_t *state, char *text, size_t max)
{
    size_t len = 1;
    text[0] = "{[\""[next_random(state) % 3];
    for (size_t i = next_random(state) % 60; i > 0; i--) {
        const char *piece = pieces[next_random(state) % (sizeof pieces / sizeof pieces[0])];
        size_t n = strlen(piece);
        if (len + n > max)
            break;
        memcpy(text + len, piece, n);
        len += n;
    }
    return len;
}

/* Brackets that match and strings that end, so that the walk goes on for many blocks. */
static size_t make_nested(uint64_t *state, char *text, size_t max)
{
    char closers[200];
    size_t depth = 0, len = 0, size = 100 + next_random(state) % (max - 500);
    do {
        uint64_t pick = next_random(state) % 10;
        if (depth == 0 || (pick < 3 && depth < sizeof closers)) {
            bool object = next_random(state) % 2;
            text[len++] = object ? '{' : '[';
            closers[depth++] = object ? '}' : ']';
        } else if (pick < 5 && depth > 1) {
            text[len++] = closers[--depth];
        } else if (pick < 8) {
            text[len++] = '"';
            for (uint64_t n = next_random(state) % 90; n > 0; n--) {
                char c = "ab{}[]:, \\\\\\\"i"[next_random(state) % 14];
                if (c == '\\' || c == '"') {
                    text[len++] = '\\';
                    c = next_random(state) % 2 ? '\\' : '"';
                }
                text[len++] = c;
            }
            text[len++] = '"';
        } else {
            const char *piece = pieces[17 + next_random(state) % 8];
            len = (size_t)(stpcpy(text + len, piece) - text);
        }
    } while (len < size);
    while (depth > 0)
        text[len++] = closers[--depth];
    return len;
}

START_TEST(soup_matches_the_reference)
{
    char text[TEXT_MAX];
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < ROUNDS; i++)
        compare(text, make_soup(&state, text, sizeof text));
}
END_TEST

START_TEST(nested_text_matches_the_reference_also_damaged)
{
    char text[TEXT_MAX];
    uint64_t state = 0x2545f4914f6cdd1du;
    for (size_t i = 0; i < ROUNDS / 4; i++) {
        size_t len = make_nested(&state, text, sizeof text);
        ck_assert_uint_le(len, sizeof text);
        compare(text, len);
        ck_assert_uint_gt(naive_container(text, len).end, 0);
        compare(text, 1 + next_random(&state) % len);
        text[1 + next_random(&state) % (len - 1)] = "\"\\{}[]"[next_random(&state) % 6];
        compare(text, len);
    }
}
END_TEST

START_TEST(runs_of_backslashes_at_every_offset)
{
    char text[300];
    for (size_t before = 0; before < 140; before++) {
        for (size_t run = 0; run < 140; run++) {
            size_t len = 0;
            text[len++] = '"';
            memset(text + len, 'a', before);
            len += before;
            memset(text + len, '\\', run);
            len += run;
            text[len++] = '"';
            text[len++] = '"';
            compare(text, len);
            memmove(text + 1, text, len);
            text[0] = '[';
            text[len + 1] = ']';
            compare(text, len + 2);
        }
    }
}
END_TEST

START_TEST(image_parts_at_every_offset)
{
    char text[300];
    for (size_t before = 0; before < 150; before++) {
        for (size_t i = 17; i < 25; i++) {
            size_t len = 0;
            text[len++] = '[';
            memset(text + len, ' ', before);
            len += before;
            len = (size_t)(stpcpy(text + len, pieces[i]) - text);
            text[len++] = ']';
            compare(text, len);
            /* What follows the container is none of its business. */
            len = (size_t)(stpcpy(text + len, ",\"type\":\"image\"") - text);
            compare(text, len);
        }
    }
}
END_TEST

START_TEST(depth_limit)
{
    char text[2 * GATE_JSON_MAX_DEPTH];
    memset(text, '[', GATE_JSON_MAX_DEPTH);
    memset(text + GATE_JSON_MAX_DEPTH, ']', GATE_JSON_MAX_DEPTH);
    compare(text, sizeof text);
    ck_assert_uint_eq(naive_container(text, sizeof text).deepest, GATE_JSON_MAX_DEPTH);
    text[GATE_JSON_MAX_DEPTH] = '{';
    compare(text, sizeof text);
    ck_assert_uint_eq(naive_container(text, sizeof text).where, GATE_JSON_MAX_DEPTH);
}
END_TEST

START_TEST(best_is_the_last_variant)
{
    const struct gate_json_skip *last = NULL, *skip;
    for (size_t v = 0; (skip = gate_json_skip_variant(v)) != NULL; v++)
        last = skip;
    ck_assert_ptr_eq(last, gate_json_skip_best());
    printf("json: best variant here is %s\n", last->name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_skip");
    TCase *tests = tcase_create("json_skip");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, soup_matches_the_reference);
    tcase_add_test(tests, nested_text_matches_the_reference_also_damaged);
    tcase_add_test(tests, runs_of_backslashes_at_every_offset);
    tcase_add_test(tests, image_parts_at_every_offset);
    tcase_add_test(tests, depth_limit);
    tcase_add_test(tests, best_is_the_last_variant);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
