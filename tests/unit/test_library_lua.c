/*
 * The modules of scripts/gate, in the sandbox: tests/unit/script/gate/<module>.lua has examples of
 * each, parted by lines of dashes, whose "--> question => answer" lines are checked.
 */
#include "example_util.h"

#include <glob.h>

static const char PART[] = "\n----\n";

/* Every function of the module, as "module.name(", is used in its examples. */
static void check_functions(const char *module, const char *source, const char *examples)
{
    char head[64], call[128];
    int functions = 0;
    snprintf(head, sizeof head, "\nfunction %s.", module);
    for (const char *at = source; (at = strstr(at, head)) != NULL;) {
        at += strlen("\nfunction ");
        snprintf(call, sizeof call, "%.*s", (int)strcspn(at, "("), at);
        ck_assert_msg(strstr(examples, call) != NULL, "no example of %s", call);
        functions++;
    }
    ck_assert_msg(functions > 0, "no function is in %s", module);
}

static int run_examples(const char *text)
{
    int checked = 0;
    for (const char *part = text; part != NULL;) {
        const char *end = strstr(part, PART);
        checked += example_run(part, end != NULL ? (size_t)(end - part) + 1 : strlen(part), NULL);
        part = end != NULL ? end + sizeof PART - 1 : NULL;
    }
    return checked;
}

START_TEST(every_module_does_what_it_says)
{
    glob_t found;
    ck_assert_int_eq(glob(GATE_SOURCE_DIR "/scripts/gate/*.lua", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char module[32], path[512];
        const char *name = strrchr(found.gl_pathv[i], '/') + 1;
        snprintf(module, sizeof module, "%.*s", (int)(strlen(name) - strlen(".lua")), name);
        snprintf(path, sizeof path, GATE_SOURCE_DIR "/tests/unit/script/gate/%s", name);
        struct gate_str source = test_read_file(found.gl_pathv[i]);
        struct gate_str examples = test_read_file(path);
        check_functions(module, source.ptr, examples.ptr);
        printf("gate.%s: %d lines\n", module, run_examples(examples.ptr));
        free((char *)source.ptr);
        free((char *)examples.ptr);
    }
    globfree(&found);
}
END_TEST

/* ---- many accounts */

struct many {
    size_t count;
    bool equal;
};

static void read_many(void *ctx, size_t index, struct gate_account_facts *out)
{
    const struct many *m = ctx;
    uint32_t use = m->equal ? 0 : (uint32_t)(m->count - index);
    *out = (struct gate_account_facts){
        .id = GATE_STR("i/many"),
        .alias = GATE_STR("many"),
        .provider = GATE_STR("i"),
        .weight = 1,
        .numbers = {.in_flight = use, .requests_day = use},
        .state = "serving",
    };
}

static struct gate_selection select_of_many(struct gate_script *s, size_t count, bool equal)
{
    struct many m = {count, equal};
    const struct gate_select_view view = {count, read_many, &m, NULL};
    const struct gate_route_view req = test_view("m");
    struct gate_selection selection;
    struct gate_error err = {.message = ""};
    ck_assert_msg(gate_script_select(s, &view, &req, &selection, &err) == GATE_OK, "%zu: %s", count,
                  err.message);
    return selection;
}

/* The last account is the best, which is the worst order that there is; or all are the same. */
START_TEST(many_accounts_are_within_the_budget)
{
    enum { FULL = 64, LOOKED = 500, MOST = 4096 };
    static const char *const texts[] = {
        "local balance = require 'gate.balance'\nreturn { select = balance.least('in_flight') }",
        "local balance = require 'gate.balance'\nreturn { select = balance.most_left() }",
        "local balance = require 'gate.balance'\nreturn { select = balance.prefer_tag('a', 'b') }"};
    struct test_dir dir;
    struct gate_generation *g = NULL;
    struct gate_script *s = NULL;
    struct gate_selection selection;
    struct gate_error err = {.message = ""};
    test_dir_init(&dir);
    test_dir_write(&dir, "conf/accounts.lua", texts[_i]);
    ck_assert_msg(
        gate_generation_load(dir.conf, GATE_SOURCE_DIR "/scripts", NULL, 0, 1, &g, &err) == GATE_OK,
        "%s", err.message);
    ck_assert_int_eq(gate_script_create(g, NULL, &s, &err), GATE_OK);
    for (int equal = 0; equal < 2; equal++) {
        selection = select_of_many(s, FULL, equal);
        for (size_t i = 0; i < FULL; i++)
            ck_assert_uint_eq(selection.order[i], equal ? i : FULL - 1 - i);
        selection = select_of_many(s, LOOKED, equal);
        ck_assert_uint_eq(selection.count, GATE_POLICY_MAX_SELECTED);
        for (size_t i = 0; i < 16; i++)
            ck_assert_uint_eq(selection.order[i], equal ? i : LOOKED - 1 - i);
        selection = select_of_many(s, MOST, equal);
        ck_assert_uint_eq(selection.count, GATE_POLICY_MAX_SELECTED);
        for (size_t i = 1; i < 16; i++)
            ck_assert(equal ? selection.order[i] > selection.order[i - 1]
                            : selection.order[i] < selection.order[i - 1]);
    }
    gate_script_destroy(s);
    gate_generation_release(g);
    test_dir_finish(&dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("library");
    tcase_add_test(tc, every_module_does_what_it_says);
    tcase_add_loop_test(tc, many_accounts_are_within_the_budget, 0, 3);
    return test_main(tc, "library_lua");
}
