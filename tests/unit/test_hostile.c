/* The scripts of tests/hostile, each as routing.lua: what it tries comes to the end that its first
 * line announces, the same state answers the next request, and nothing grows. */
#include "script_util.h"

#include <dirent.h>
#include <time.h>

#define HOSTILE_DIR GATE_SOURCE_DIR "/tests/hostile"

#ifndef GATE_CPU_SCALE
#define GATE_CPU_SCALE 1 /* how much slower this build runs: sanitizer builds set it */
#endif

enum {
    LEAST_SCRIPTS = 80,
    REPETITIONS = 1000,
    LEAST_REPETITIONS = 5,
    REPEAT_MS = 100,               /* CPU time after which a script is not repeated any more */
    CALL_MS = 60 * GATE_CPU_SCALE, /* three times the limit on CPU time */
    USUAL_MEMORY = 6 << 20,        /* of a script that keeps nothing on purpose */
    WORST = 5,                     /* scripts that are named at the end */
};

struct hostile {
    char name[64];
    struct gate_str text;
    char
        expected[256]; /* parts of the error, parted by " | "; "answer" among them: none is right */
    double ms;         /* CPU time of its slowest call */
    int calls;
};

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---------------------------------------------------------------- what a script announces */

static void read_script(struct hostile *h, const char *file)
{
    char path[512];
    snprintf(path, sizeof path, HOSTILE_DIR "/%s", file);
    *h = (struct hostile){.text = test_read_file(path)};
    snprintf(h->name, sizeof h->name, "%s", file);
    const char *end = strchr(h->text.ptr, '\n'), *mark = strstr(h->text.ptr, "; expect: ");
    ck_assert_msg(strncmp(h->text.ptr, "-- ", 3) == 0 && mark != NULL && end != NULL && mark < end,
                  "%s: the first line must be: -- what it tries; expect: ...", file);
    mark += strlen("; expect: ");
    if (strncmp(mark, "error ", 6) == 0)
        mark += 6;
    else
        ck_assert_msg(strncmp(mark, "answer\n", 7) == 0, "%s: expect what?", file);
    snprintf(h->expected, sizeof h->expected, "%.*s", (int)(end - mark), mark);
}

/* True if one of the expected parts is in the text. */
static bool is_expected(const struct hostile *h, const char *text)
{
    char parts[sizeof h->expected + 4];
    snprintf(parts, sizeof parts, "%s | ", h->expected);
    char *part = parts;
    for (char *end = strstr(part, " | "); end != NULL; end = strstr(part, " | ")) {
        *end = '\0';
        if (strstr(text, part) != NULL)
            return true;
        part = end + 3;
    }
    /* Where code is slow (sanitizers) the time may run out before the instructions do. */
    return strstr(h->expected, "instruction budget") != NULL &&
           strstr(text, "time limit reached") != NULL;
}

/* ---------------------------------------------------------------- calling */

static bool is_line_text(const char *text, bool lines)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (((unsigned char)*c < 0x20 && !(lines && *c == '\n')) || *c == 0x7f)
            return false;
    }
    return true;
}

static void check_error(const struct hostile *h, const struct gate_script *s, const char *message)
{
    const char *line = strchr(message, ':'), *stack = gate_script_stack(s);
    ck_assert_msg(is_expected(h, message), "%s\n-> %s\nexpected %s", h->name, message, h->expected);
    ck_assert_msg(line != NULL && line - message > 4 && strncmp(line - 4, ".lua", 4) == 0 &&
                      line[1] >= '1' && line[1] <= '9',
                  "%s: no file:line: %s", h->name, message);
    ck_assert_msg(is_line_text(message, false), "%s: control bytes: %s", h->name, message);
    ck_assert_msg(is_line_text(stack, true) && strlen(stack) < GATE_SCRIPT_STACK, "%s: stack:\n%s",
                  h->name, stack);
    /* What route returned is judged when the script has ended. */
    ck_assert_msg(strstr(stack, "routing.lua:") != NULL ||
                      strstr(message, "route returned") != NULL,
                  "%s: %s\nstack: %s", h->name, message, stack);
}

static enum gate_status ask(struct gate_script *s, const char *model, bool *fine,
                            struct gate_error *err)
{
    struct gate_route_view view = test_view(model);
    struct gate_decision d = {0};
    enum gate_status status = gate_script_route(s, &view, &d, err);
    *fine = d.target_count == 1 && gate_str_eq(d.targets[0].name, GATE_STR("fine"));
    gate_decision_finish(&d);
    return status;
}

static void attack(struct hostile *h, struct gate_script *s)
{
    struct gate_error err = {0};
    bool fine;
    double start = cpu_ms();
    enum gate_status status = ask(s, "evil", &fine, &err);
    double took = cpu_ms() - start;
    if (took > h->ms)
        h->ms = took;
    h->calls++;
    ck_assert_msg(took < CALL_MS, "%s took %.0f ms", h->name, took);
    if (status == GATE_OK)
        ck_assert_msg(fine && is_expected(h, "answer"), "%s: no error", h->name);
    else
        check_error(h, s, err.message);
    ck_assert_msg(ask(s, "good", &fine, &err) == GATE_OK && fine, "after %s: %s", h->name,
                  err.message);
    size_t memory = gate_script_memory(s);
    bool keeps = strstr(h->text.ptr, "kept") != NULL;
    ck_assert_msg(memory < (keeps ? (size_t)GATE_SCRIPT_MEMORY : (size_t)USUAL_MEMORY),
                  "%s: %zu KiB after %d calls", h->name, memory >> 10, h->calls);
}

static void run_script(struct hostile *h, const struct test_dir *dir)
{
    struct gate_generation *g;
    struct gate_script *s;
    struct gate_error err = {0};
    test_dir_write_bytes(dir, "conf/routing.lua", h->text);
    ck_assert_msg(gate_generation_load(dir->conf, dir->scripts, NULL, 0, 1, &g, &err) == GATE_OK,
                  "%s: %s", h->name, err.message);
    ck_assert_msg(gate_script_create(g, NULL, &s, &err) == GATE_OK, "%s: %s", h->name, err.message);
    gate_generation_release(g);
    double start = cpu_ms();
    while (h->calls < LEAST_REPETITIONS || (h->calls < REPETITIONS && cpu_ms() - start < REPEAT_MS))
        attack(h, s);
    gate_script_destroy(s);
}

static int by_time(const void *a, const void *b)
{
    const struct hostile *x = a, *y = b;
    return (x->ms < y->ms) - (x->ms > y->ms);
}

START_TEST(hostile_scripts_come_to_the_end_that_they_announce)
{
    struct dirent **files;
    struct test_dir dir;
    int count = scandir(HOSTILE_DIR, &files, NULL, alphasort), scripts = 0, calls = 0;
    ck_assert_int_gt(count, 0);
    struct hostile *all = gate_calloc((size_t)count, sizeof *all);
    test_dir_init(&dir);
    for (int i = 0; i < count; i++) {
        if (strstr(files[i]->d_name, ".lua") != NULL) {
            struct hostile *h = &all[scripts++];
            read_script(h, files[i]->d_name);
            run_script(h, &dir);
            calls += h->calls;
        }
        free(files[i]);
    }
    free(files);
    test_dir_finish(&dir);
    qsort(all, (size_t)scripts, sizeof *all, by_time);
    printf("hostile scripts: %d, %d calls; the slowest call took", scripts, calls);
    for (int i = 0; i < WORST && i < scripts; i++)
        printf("%s %.2f ms of %s", i > 0 ? "," : "", all[i].ms, all[i].name);
    printf("\n");
    if (getenv("LLM_GATE_TEST_VERBOSE") != NULL) {
        for (int i = 0; i < scripts; i++)
            printf("%7.2f ms  %4d calls  %s\n", all[i].ms, all[i].calls, all[i].name);
    }
    for (int i = 0; i < scripts; i++)
        free((char *)all[i].text.ptr);
    free(all);
    ck_assert_int_ge(scripts, LEAST_SCRIPTS);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("hostile");
    tcase_add_test(tc, hostile_scripts_come_to_the_end_that_they_announce);
    return test_main(tc, "hostile");
}
