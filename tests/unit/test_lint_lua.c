/* Lint against Lua itself: it finds an error exactly where Lua refuses a text, for whatever comes
 * of mutating many scripts. */
#include "lint_lua.h"

#include <dirent.h>

enum {
    CASES = 12000,
    MAX_TEXTS = 256,
    MAX_WORDS = 4096,
    MAX_MUTANT = 1 << 16,
};

/* ---------------------------------------------------------------- scripts to start from */

struct corpus {
    struct gate_str texts[MAX_TEXTS];
    size_t count;
};

static void corpus_add(struct corpus *c, struct gate_str text)
{
    ck_assert_uint_lt(c->count, MAX_TEXTS);
    char *copy = gate_alloc(text.len + 1);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    c->texts[c->count++] = (struct gate_str){copy, text.len};
}

static void corpus_add_file(struct corpus *c, const char *path)
{
    struct gate_str text = test_read_file(path);
    corpus_add(c, text);
    free((char *)text.ptr);
}

static void corpus_add_dir(struct corpus *c, const char *dir, const char *ending)
{
    char path[512];
    DIR *d = opendir(dir);
    ck_assert_msg(d != NULL, "cannot open %s", dir);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        size_t len = strlen(e->d_name), tail = strlen(ending);
        if (len > tail && strcmp(e->d_name + len - tail, ending) == 0) {
            snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
            corpus_add_file(c, path);
        }
    }
    closedir(d);
}

/* The examples of docs/scripting.md. */
static void corpus_add_docs(struct corpus *c)
{
    static const char begin[] = "```lua\n", end[] = "```";
    struct gate_str text = test_read_file(GATE_SOURCE_DIR "/docs/scripting.md");
    size_t before = c->count;
    for (const char *p = strstr(text.ptr, begin); p != NULL; p = strstr(p, begin)) {
        p += sizeof begin - 1;
        const char *stop = strstr(p, end);
        ck_assert(stop != NULL);
        corpus_add(c, (struct gate_str){p, (size_t)(stop - p)});
        p = stop + sizeof end - 1;
    }
    ck_assert_uint_gt(c->count, before + 5);
    free((char *)text.ptr);
}

static void corpus_init(struct corpus *c)
{
    *c = (struct corpus){0};
    corpus_add_dir(c, GATE_SOURCE_DIR "/conf", ".lua");
    corpus_add_dir(c, GATE_SOURCE_DIR "/scripts/gate", ".lua");
    corpus_add_docs(c);
    for (int i = 0; i < 8; i++) /* often: it has one of everything */
        corpus_add_dir(c, GATE_SOURCE_DIR "/tests/fuzz/seeds/fuzz_lint", ".txt");
}

static void corpus_finish(struct corpus *c)
{
    for (size_t i = 0; i < c->count; i++)
        free((char *)c->texts[i].ptr);
}

/* ---------------------------------------------------------------- mutating */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Cuts a text into words, runs of space and single characters. */
static size_t split(struct gate_str text, struct gate_str *words)
{
    size_t count = 0;
    for (size_t at = 0, start; at < text.len && count < MAX_WORDS; count++) {
        start = at++;
        if (is_word(text.ptr[start])) {
            while (at < text.len && is_word(text.ptr[at]))
                at++;
        }
        words[count] = (struct gate_str){text.ptr + start, at - start};
    }
    return count;
}

/* What random programs are made of. */
static const char *const word_pool[] = {
    "and",
    "break",
    "do",
    "else",
    "elseif",
    "end",
    "false",
    "for",
    "function",
    "goto",
    "if",
    "in",
    "local",
    "nil",
    "not",
    "or",
    "repeat",
    "return",
    "then",
    "true",
    "until",
    "while",
    "x",
    "req",
    "self",
    "_ENV",
    "1",
    "0x1p-2",
    "1e",
    "'s'",
    "\"",
    "[[",
    "]]",
    "[=[",
    "--",
    "--[[",
    "\n",
    "...",
    "..",
    ".",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ";",
    ":",
    "::",
    "::a::",
    "goto a",
    ",",
    "=",
    "==",
    "~=",
    "<",
    "<const>",
    "<close>",
    "+",
    "-",
    "*",
    "//",
    "^",
    "#",
    "&",
    "|",
    "~",
    "<<",
    "!",
    "\\",
    "\xC3\xA9",
    "@",
    "x = 1 ",
    "f() ",
    "local x <const> = 1 ",
    "do local a; goto c; ::c:: end ",
    "for i = 1, 2 do ",
    "while x do ",
    "repeat ",
    "if x then ",
    "end ",
    "function f(...) ",
};

static struct gate_str random_word(uint64_t *state)
{
    return gate_str_of(word_pool[next_random(state) % (sizeof word_pool / sizeof word_pool[0])]);
}

/* Writes a mutant of the words; returns its length. */
static size_t mutate(const struct gate_str *words, size_t count, uint64_t *state, char *out)
{
    size_t len = 0, changes = 1 + next_random(state) % 3, at[3];
    for (size_t i = 0; i < changes; i++)
        at[i] = next_random(state) % (count + 1);
    for (size_t i = 0; i <= count; i++) {
        struct gate_str put[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
        put[0] = i < count ? words[i] : (struct gate_str){NULL, 0};
        for (size_t k = 0; k < changes; k++) {
            if (at[k] != i)
                continue;
            switch (next_random(state) % 5) {
            case 0: /* left out */
                put[0].len = 0;
                break;
            case 1: /* twice */
                put[1] = put[0];
                break;
            case 2: /* another in its place */
                put[0] = random_word(state);
                break;
            case 3: /* another one before it */
                put[1] = put[0];
                put[0] = random_word(state);
                put[2] = (struct gate_str){" ", 1};
                break;
            default: /* one from elsewhere */
                put[1] = words[next_random(state) % count];
                break;
            }
        }
        for (size_t k = 0; k < 3; k++) {
            if (put[k].len == 0 || len + put[k].len > MAX_MUTANT)
                continue;
            memcpy(out + len, put[k].ptr, put[k].len);
            len += put[k].len;
        }
    }
    return len;
}

START_TEST(scripts_that_come_with_the_gateway_are_fine)
{
    static const char *const files[] = {"gateway.lua", "models.lua", "routing.lua", "accounts.lua"};
    struct gate_problems found = {0};
    struct corpus modules = {0};
    char path[512];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/conf/%s", GATE_SOURCE_DIR, files[i]);
        struct gate_str text = test_read_file(path);
        gate_lint(files[i], text, &found);
        free((char *)text.ptr);
    }
    corpus_add_dir(&modules, GATE_SOURCE_DIR "/scripts/gate", ".lua");
    for (size_t i = 0; i < modules.count; i++)
        gate_lint("gate/x.lua", modules.texts[i], &found);
    if (found.count > 0)
        ck_abort_msg("%s:%u: %s", found.list[0].file, found.list[0].line, found.list[0].message);
    corpus_finish(&modules);
}
END_TEST

START_TEST(lint_and_lua_agree_on_mutants)
{
    static struct gate_str words[MAX_WORDS];
    struct corpus corpus;
    uint64_t state = UINT64_C(0x9E3779B97F4A7C15);
    char *mutant = gate_alloc(MAX_MUTANT);
    size_t fine = 0;
    corpus_init(&corpus);
    for (size_t i = 0; i < corpus.count; i++)
        ck_assert_msg(lint_compare(corpus.texts[i]), "text %zu of the corpus is none of Lua", i);
    for (size_t i = 0; i < CASES; i++) {
        size_t count = split(corpus.texts[next_random(&state) % corpus.count], words);
        fine += lint_compare((struct gate_str){mutant, mutate(words, count, &state, mutant)});
    }
    printf("lint: %d mutants of %zu scripts, %zu of them fine\n", CASES, corpus.count, fine);
    ck_assert_uint_gt(fine, CASES / 20);
    ck_assert_uint_lt(fine, CASES / 2);
    corpus_finish(&corpus);
    free(mutant);
}
END_TEST

/* Programs of words that follow each other at random: nonsense, but short enough to be fine at
 * times. */
START_TEST(lint_and_lua_agree_on_soups)
{
    uint64_t state = UINT64_C(0xD1B54A32D192ED03);
    char text[512];
    size_t fine = 0;
    for (size_t i = 0; i < CASES; i++) {
        size_t len = 0;
        for (size_t n = 1 + next_random(&state) % 8; n > 0; n--) {
            struct gate_str word = random_word(&state);
            memcpy(text + len, word.ptr, word.len);
            len += word.len;
            text[len++] = next_random(&state) % 8 == 0 ? '\n' : ' ';
        }
        fine += lint_compare((struct gate_str){text, len});
    }
    ck_assert_uint_gt(fine, CASES / 50);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lint and Lua");
    TCase *tcase = tcase_create("lint and Lua");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, scripts_that_come_with_the_gateway_are_fine);
    tcase_add_test(tcase, lint_and_lua_agree_on_mutants);
    tcase_add_test(tcase, lint_and_lua_agree_on_soups);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
