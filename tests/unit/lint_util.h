/* lint_util: what the tests of lint share: texts with exactly what is wrong with them. */
#ifndef TESTS_LINT_UTIL_H
#define TESTS_LINT_UTIL_H

#include "base/buf.h"
#include "script/lint.h"

#include <check.h>
#include <stdlib.h>

/* `expected` has a line for each problem, in order: "E 2:5-7 @2:5 unclosed: this 'if' is ...":
 * error or warning, line:column-end, opener if there is one, code, and how the message begins. */
struct lint_case {
    const char *file, *text, *expected;
};

static inline void lint_show(const struct gate_problem *p, struct gate_buf *out)
{
    gate_buf_printf(out, "%c %u:%u-%u", p->severity == GATE_SEVERITY_ERROR ? 'E' : 'W', p->line,
                    p->column, p->end_column);
    if (p->open_line > 0)
        gate_buf_printf(out, " @%u:%u", p->open_line, p->open_column);
    gate_buf_printf(out, " %s: %s", p->code, p->message);
}

static inline void lint_check(const struct lint_case *c)
{
    struct gate_problems found = {0};
    struct gate_buf shown, line;
    const char *expected = c->expected;
    bool same = true;
    gate_buf_init(&shown, SIZE_MAX);
    gate_lint(c->file, gate_str_of(c->text), &found);
    for (size_t i = 0; i < found.kept; i++) {
        size_t len = strcspn(expected, "\n");
        gate_buf_init(&line, SIZE_MAX);
        lint_show(&found.list[i], &line);
        same = same && len > 0 &&
               gate_str_starts(gate_buf_str(&line), (struct gate_str){expected, len});
        expected += len + (expected[len] == '\n');
        gate_buf_append(&shown, gate_buf_str(&line));
        gate_buf_append_byte(&shown, '\n');
        gate_buf_finish(&line);
        ck_assert_str_eq(found.list[i].file, c->file);
    }
    ck_assert_msg(same && *expected == '\0' && found.kept == found.count,
                  "%s\nexpected:\n%sfound:\n%.*s", c->text, c->expected, (int)shown.len,
                  shown.len > 0 ? shown.ptr : "");
    gate_buf_finish(&shown);
    gate_problems_finish(&found);
}

#endif
