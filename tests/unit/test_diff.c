/* Diffs: exact ones, and for random texts that they lead from one text to the other, with as few
 * lines as can be. */
#include "base/clock.h"
#include "live/diff.h"
#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAP = 16 << 20 };

static struct gate_source source_of(const char *text, size_t len)
{
    return (struct gate_source){.name = "routing.lua", .text = (char *)(uintptr_t)text, .len = len};
}

/* The diff of two texts; NULL: there is no such file. Owner: caller. */
static char *diff_of(const char *from, const char *to, struct gate_diff_lines *lines)
{
    struct gate_source a = source_of(from, from != NULL ? strlen(from) : 0);
    struct gate_source b = source_of(to, to != NULL ? strlen(to) : 0);
    struct gate_buf out;
    gate_buf_init(&out, CAP);
    *lines = gate_diff_file("routing.lua", from != NULL ? &a : NULL, to != NULL ? &b : NULL, &out);
    char *text = gate_strdup(gate_buf_str(&out));
    gate_buf_finish(&out);
    return text;
}

static void expect(const char *from, const char *to, const char *want, size_t added, size_t removed)
{
    struct gate_diff_lines lines;
    char *got = diff_of(from, to, &lines);
    ck_assert_str_eq(got, want);
    ck_assert_uint_eq(lines.added, added);
    ck_assert_uint_eq(lines.removed, removed);
    free(got);
}

#define HEAD "--- a/routing.lua\n+++ b/routing.lua\n"
#define NO_FEED "\\ No newline at end of file\n"

START_TEST(what_is_the_same_has_no_diff)
{
    expect("", "", "", 0, 0);
    expect("a\nb", "a\nb", "", 0, 0);
    expect(NULL, NULL, "", 0, 0);
}
END_TEST

/* As `diff -u` writes them. */
START_TEST(exact_hunks)
{
    expect("1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\nfive\n6\n7\n8\n",
           HEAD "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n", 1, 1);
    expect("a\n", "b\n", HEAD "@@ -1 +1 @@\n-a\n+b\n", 1, 1);
    expect("a\n", "a\nb\n", HEAD "@@ -1 +1,2 @@\n a\n+b\n", 1, 0);
    expect("a\nb\n", "b\n", HEAD "@@ -1,2 +1 @@\n-a\n b\n", 0, 1);
    expect("", "a\nb\n", HEAD "@@ -0,0 +1,2 @@\n+a\n+b\n", 2, 0);
    expect("a\n", "", HEAD "@@ -1 +0,0 @@\n-a\n", 0, 1);
}
END_TEST

/* Two changes are one hunk as long as no line between them would be left out. */
START_TEST(hunks_join_and_part)
{
    expect("a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
           HEAD "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n", 2, 2);
    expect("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\nC\n",
           HEAD "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n"
                "@@ -6,4 +6,5 @@\n 5\n 6\n 7\n-b\n+B\n+C\n",
           3, 2);
}
END_TEST

START_TEST(files_that_come_and_go)
{
    expect(NULL, "a\nb\n", "--- /dev/null\n+++ b/routing.lua\n@@ -0,0 +1,2 @@\n+a\n+b\n", 2, 0);
    expect("a\nb\n", NULL, "--- a/routing.lua\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n", 0, 2);
    expect(NULL, "", "--- /dev/null\n+++ b/routing.lua\n", 0, 0);
    expect("", NULL, "--- a/routing.lua\n+++ /dev/null\n", 0, 0);
}
END_TEST

START_TEST(last_line_without_a_line_feed)
{
    expect("a\nb", "a\nb\n", HEAD "@@ -1,2 +1,2 @@\n a\n-b\n" NO_FEED "+b\n", 1, 1);
    expect("a\nb\n", "a\nb", HEAD "@@ -1,2 +1,2 @@\n a\n-b\n+b\n" NO_FEED, 1, 1);
    expect("a\nb", "x\nb", HEAD "@@ -1,2 +1,2 @@\n-a\n+x\n b\n" NO_FEED, 1, 1);
    expect("a", "b", HEAD "@@ -1 +1 @@\n-a\n" NO_FEED "+b\n" NO_FEED, 1, 1);
}
END_TEST

START_TEST(carriage_returns_are_kept)
{
    expect("a\r\nb\r\n", "a\r\nc\r\n", HEAD "@@ -1,2 +1,2 @@\n a\r\n-b\r\n+c\r\n", 1, 1);
    expect("a\r\n", "a\n", HEAD "@@ -1 +1 @@\n-a\r\n+a\n", 1, 1);
}
END_TEST

/* What was added is shown as a whole, with its own end. */
START_TEST(runs_slide_down)
{
    expect("f\n  1\nend\n\ng\n", "f\n  1\nend\n\nf\n  2\nend\n\ng\n",
           HEAD "@@ -2,4 +2,8 @@\n   1\n end\n \n+f\n+  2\n+end\n+\n g\n", 4, 0);
    expect("a\nb\nb\nc\n", "a\nb\nc\n", HEAD "@@ -1,4 +1,3 @@\n a\n b\n-b\n c\n", 0, 1);
}
END_TEST

START_TEST(sets_in_the_order_of_names)
{
    struct gate_source a[] = {
        {"accounts.lua", "x\n", 2}, {"models.lua", "m\n", 2}, {"routing.lua", "r\n", 2}};
    struct gate_source b[] = {{"gateway.lua", "g\n", 2},
                              {"models.lua", "m\n", 2},
                              {"routing.lua", "R\n", 2},
                              {"tests/a.lua", "t\n", 2}};
    struct gate_sources from = {a, 3}, to = {b, 4};
    struct gate_buf out;
    gate_buf_init(&out, CAP);
    struct gate_diff_lines lines = gate_diff_sources(&from, &to, &out);
    gate_buf_append_byte(&out, '\0');
    ck_assert_str_eq(out.ptr, "--- a/accounts.lua\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
                              "--- /dev/null\n+++ b/gateway.lua\n@@ -0,0 +1 @@\n+g\n" HEAD
                              "@@ -1 +1 @@\n-r\n+R\n"
                              "--- /dev/null\n+++ b/tests/a.lua\n@@ -0,0 +1 @@\n+t\n");
    ck_assert_uint_eq(lines.added, 3);
    ck_assert_uint_eq(lines.removed, 2);
    gate_buf_finish(&out);
}
END_TEST

/* Nothing follows a line that does not fit, and all lines are counted. */
START_TEST(output_that_is_full_ends_with_a_whole_line)
{
    struct gate_source a = source_of("1\n2\n3\n", 6), b = source_of("one\n2\nthree\n", 12);
    for (size_t cap = 0; cap < 80; cap++) {
        struct gate_buf out;
        gate_buf_init(&out, cap);
        struct gate_diff_lines lines = gate_diff_file("routing.lua", &a, &b, &out);
        ck_assert_uint_eq(lines.added, 2);
        ck_assert_uint_eq(lines.removed, 2);
        ck_assert(out.len == 0 || out.ptr[out.len - 1] == '\n');
        gate_buf_finish(&out);
    }
}
END_TEST

/* ---- random texts */

static uint32_t seed;

static uint32_t dice(uint32_t sides)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % sides;
}

/* Lines from an alphabet that is small enough for many to be equal. */
static char *random_text(uint32_t max_lines, uint32_t alphabet)
{
    struct gate_buf b;
    gate_buf_init(&b, CAP);
    uint32_t count = dice(max_lines + 1);
    for (uint32_t i = 0; i < count; i++)
        gate_buf_printf(&b, "%u%s", dice(alphabet), dice(9) == 0 ? "\r\n" : "\n");
    if (b.len > 0 && dice(3) == 0)
        b.len--;
    char *text = gate_strdup(gate_buf_str(&b));
    gate_buf_finish(&b);
    return text;
}

/* Copies a text line by line, with changes here and there. */
static char *edited(const char *text, uint32_t one_in)
{
    struct gate_buf b;
    gate_buf_init(&b, CAP);
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        len += text[len] == '\n';
        uint32_t what = dice(one_in);
        if (what == 0)
            gate_buf_printf(&b, "new %u\n", dice(10));
        if (what == 1)
            gate_buf_append(&b, (struct gate_str){text, len});
        if (what != 2)
            gate_buf_append(&b, (struct gate_str){text, len});
        text += len;
    }
    char *copy = gate_strdup(gate_buf_str(&b));
    gate_buf_finish(&b);
    return copy;
}

/* One line of the diff without its mark. False: it is none of the body. */
static bool body_line(const char **diff, char *mark, struct gate_str *line)
{
    const char *p = *diff;
    if (*p == '\0' || strchr(" +-", *p) == NULL)
        return false;
    *mark = *p++;
    size_t len = strcspn(p, "\n") + 1;
    *diff = p + len;
    if (strncmp(*diff, NO_FEED, sizeof NO_FEED - 1) == 0) {
        *diff += sizeof NO_FEED - 1;
        len--;
    }
    *line = (struct gate_str){p, len};
    return true;
}

/* Copies n lines of the old text. */
static void keep_lines(const char **from, unsigned long n, struct gate_buf *out)
{
    for (; n > 0 && **from != '\0'; n--) {
        size_t len = strcspn(*from, "\n");
        len += (*from)[len] == '\n';
        gate_buf_append(out, (struct gate_str){*from, len});
        *from += len;
    }
}

static unsigned long number(const char **p, unsigned long otherwise)
{
    char *end;
    unsigned long n = strtoul(*p, &end, 10);
    n = end == *p ? otherwise : n;
    *p = end;
    return n;
}

/* Applies a diff strictly: every line and every count must be right. Owner: caller. */
static char *apply(const char *from, const char *diff)
{
    struct gate_buf out;
    unsigned long at = 0; /* lines of the old text that are done */
    gate_buf_init(&out, CAP);
    ck_assert(strncmp(diff, HEAD, sizeof HEAD - 1) == 0);
    diff += sizeof HEAD - 1;
    while (strncmp(diff, "@@ -", 4) == 0) {
        unsigned long counts[2], start, new_start;
        diff += 4;
        start = number(&diff, 0);
        diff += counts[0] = *diff == ',';
        counts[0] = counts[0] ? number(&diff, 0) : 1;
        ck_assert(strncmp(diff, " +", 2) == 0);
        diff += 2;
        new_start = number(&diff, 0);
        diff += counts[1] = *diff == ',';
        counts[1] = counts[1] ? number(&diff, 0) : 1;
        ck_assert(strncmp(diff, " @@\n", 4) == 0);
        diff += 4;
        unsigned long first = counts[0] > 0 ? start - 1 : start;
        ck_assert_uint_ge(first, at);
        keep_lines(&from, first - at, &out);
        at = first;
        unsigned long lines_out = 0;
        for (size_t i = 0; i < out.len; i++)
            lines_out += out.ptr[i] == '\n';
        ck_assert_uint_eq(lines_out, counts[1] > 0 ? new_start - 1 : new_start);
        char mark;
        struct gate_str line;
        while (body_line(&diff, &mark, &line)) {
            if (mark != '+') {
                ck_assert(strncmp(from, line.ptr, line.len) == 0);
                from += line.len;
                counts[0]--;
                at++;
            }
            if (mark != '-') {
                gate_buf_append(&out, line);
                counts[1]--;
            }
        }
        ck_assert_uint_eq(counts[0], 0);
        ck_assert_uint_eq(counts[1], 0);
    }
    ck_assert_str_eq(diff, "");
    keep_lines(&from, ULONG_MAX, &out);
    char *text = gate_strdup(gate_buf_str(&out));
    gate_buf_finish(&out);
    return text;
}

/* Lines of the longest common subsequence, the slow way. */
static size_t common(const char *a, const char *b)
{
    struct gate_str lines[2][64];
    size_t count[2] = {0, 0}, best[65][65] = {{0}};
    const char *texts[2] = {a, b};
    for (int t = 0; t < 2; t++)
        for (const char *p = texts[t]; *p != '\0';) {
            size_t len = strcspn(p, "\n");
            len += p[len] == '\n';
            ck_assert_uint_lt(count[t], 64);
            lines[t][count[t]++] = (struct gate_str){p, len};
            p += len;
        }
    for (size_t i = count[0]; i-- > 0;)
        for (size_t j = count[1]; j-- > 0;) {
            size_t longer = best[i + 1][j] > best[i][j + 1] ? best[i + 1][j] : best[i][j + 1];
            best[i][j] = gate_str_eq(lines[0][i], lines[1][j]) ? best[i + 1][j + 1] + 1 : longer;
        }
    return count[0] + count[1] - 2 * best[0][0];
}

static void check_pair(const char *from, const char *to, bool shortest)
{
    struct gate_diff_lines lines;
    char *diff = diff_of(from, to, &lines);
    if (strcmp(from, to) == 0) {
        ck_assert_str_eq(diff, "");
    } else {
        char *applied = apply(from, diff);
        ck_assert_str_eq(applied, to);
        free(applied);
    }
    if (shortest)
        ck_assert_uint_eq(lines.added + lines.removed, common(from, to));
    free(diff);
}

START_TEST(random_texts_shortest)
{
    seed = 1;
    for (int i = 0; i < 20000; i++) {
        char *from = random_text(30, 1 + dice(12));
        char *to = dice(2) ? random_text(30, 1 + dice(12)) : edited(from, 3 + dice(20));
        check_pair(from, to, true);
        free(from);
        free(to);
    }
}
END_TEST

START_TEST(random_texts_large)
{
    seed = 2;
    for (int i = 0; i < 60; i++) {
        char *from = random_text(3000, 1 + dice(500));
        char *to = i % 4 == 0 ? random_text(3000, 1 + dice(500)) : edited(from, 3 + dice(300));
        check_pair(from, to, false);
        free(from);
        free(to);
    }
}
END_TEST

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), f), strlen(text));
    ck_assert_int_eq(fclose(f), 0);
}

/* Runs `patch --batch old diff`; false: there is no such program. */
static bool run_patch(const char *old, const char *diff)
{
    pid_t child = fork();
    if (child == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL)
            _exit(126);
        execlp("patch", "patch", "--batch", "--binary", "--fuzz=0", old, diff, (char *)NULL);
        _exit(127);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 127));
    return WEXITSTATUS(status) == 0;
}

START_TEST(patch_takes_them)
{
    char dir[256], old[300], path[300];
    const char *tmp = getenv("TMPDIR");
    int ran = 0;
    snprintf(dir, sizeof dir, "%s/gate-diff-XXXXXX", tmp != NULL ? tmp : P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(old, sizeof old, "%s/routing.lua", dir);
    snprintf(path, sizeof path, "%s/diff", dir);
    seed = 3;
    for (int i = 0; i < 100; i++) {
        struct gate_diff_lines lines;
        char *from = random_text(60, 1 + dice(30)), *to = edited(from, 3 + dice(10));
        char *diff = diff_of(from, to, &lines);
        write_text(old, from);
        write_text(path, diff);
        /* patch removes a file that becomes empty. */
        if (*diff != '\0' && *from != '\0' && *to != '\0' && run_patch(old, path)) {
            char got[4096] = "";
            FILE *f = fopen(old, "r");
            ck_assert_ptr_nonnull(f);
            got[fread(got, 1, sizeof got - 1, f)] = '\0';
            fclose(f);
            ck_assert_str_eq(got, to);
            ran++;
        }
        free(from);
        free(to);
        free(diff);
    }
    printf("patch applied %d diffs\n", ran);
    ck_assert_int_eq(unlink(old) | unlink(path) | rmdir(dir), 0);
}
END_TEST

/* ---- time */
static char *numbered(uint32_t count, uint32_t every, const char *word)
{
    struct gate_buf b;
    gate_buf_init(&b, CAP);
    for (uint32_t i = 0; i < count; i++)
        gate_buf_printf(&b, "line %u of it%s\n", i, i % every == 0 ? word : "");
    char *text = gate_strdup(gate_buf_str(&b));
    gate_buf_finish(&b);
    return text;
}

/* The bound is wide: sanitizers are slow. */
static void timed(const char *what, const char *from, const char *to)
{
    struct gate_diff_lines lines;
    uint64_t start_us = gate_clock_mono_us();
    char *diff = diff_of(from, to, &lines);
    uint64_t took_us = gate_clock_mono_us() - start_us;
    printf("%s: %.1f ms, %zu lines added, %zu removed\n", what, (double)took_us / 1000, lines.added,
           lines.removed);
    ck_assert_uint_lt(took_us, 5000000);
    char *applied = apply(from, diff);
    ck_assert_str_eq(applied, to);
    free(applied);
    free(diff);
}

START_TEST(time_is_bounded)
{
    char *a = numbered(10000, 100, " here"), *b = numbered(10000, 70, " there");
    char *c = numbered(10000, 1, " other");
    timed("10,000 lines, some changed", a, b);
    timed("10,000 lines, nothing in common", a, c);
    free(a);
    free(b);
    free(c);
    /* Many lines that are equal, in another order: no short script. */
    seed = 4;
    struct gate_buf x, y;
    gate_buf_init(&x, CAP);
    gate_buf_init(&y, CAP);
    for (int i = 0; i < 10000; i++) {
        gate_buf_printf(&x, "%u\n", dice(2000));
        gate_buf_printf(&y, "%u\n", dice(2000));
    }
    a = gate_strdup(gate_buf_str(&x));
    b = gate_strdup(gate_buf_str(&y));
    timed("10,000 lines, shuffled", a, b);
    free(a);
    free(b);
    x.len = y.len = 0;
    for (int i = 0; i < 200000; i++) {
        gate_buf_printf(&x, "%s", dice(7) == 0 ? "x\n" : "\n");
        gate_buf_printf(&y, "%s", dice(8) == 0 ? "x\n" : "\n");
    }
    a = gate_strdup(gate_buf_str(&x));
    b = gate_strdup(gate_buf_str(&y));
    timed("200,000 lines of two kinds", a, b);
    free(a);
    free(b);
    gate_buf_finish(&x);
    gate_buf_finish(&y);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("diff");
    TCase *tests = tcase_create("diff");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, what_is_the_same_has_no_diff);
    tcase_add_test(tests, exact_hunks);
    tcase_add_test(tests, hunks_join_and_part);
    tcase_add_test(tests, files_that_come_and_go);
    tcase_add_test(tests, last_line_without_a_line_feed);
    tcase_add_test(tests, carriage_returns_are_kept);
    tcase_add_test(tests, runs_slide_down);
    tcase_add_test(tests, sets_in_the_order_of_names);
    tcase_add_test(tests, output_that_is_full_ends_with_a_whole_line);
    tcase_add_test(tests, random_texts_shortest);
    tcase_add_test(tests, random_texts_large);
    tcase_add_test(tests, patch_takes_them);
    tcase_add_test(tests, time_is_bounded);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
