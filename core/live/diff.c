#include "live/diff.h"
#include "live/diff_script.h"
#include <stdlib.h>

/* What is written. Once a line does not fit, nothing follows: a diff with holes would lie. */
struct output {
    struct gate_buf *buf;
    bool full;
};

/* A run of changed lines: [a, a_end) of the old text became [b, b_end) of the new one. */
struct change {
    uint32_t a, a_end, b, b_end;
};

/* ---- lines */

static void put_line(struct output *o, char mark, struct gate_str line)
{
    static const char missing[] = "\n\\ No newline at end of file\n";
    bool ended = line.len > 0 && line.ptr[line.len - 1] == '\n';
    size_t tail = ended ? 0 : sizeof missing - 1;
    char *at = o->full ? NULL : gate_buf_reserve(o->buf, 1 + line.len + tail);
    if (at == NULL) {
        o->full = true;
        return;
    }
    at[0] = mark;
    memcpy(at + 1, line.ptr, line.len);
    memcpy(at + 1 + line.len, missing, tail);
    o->buf->len += 1 + line.len + tail;
}

static void put_lines(struct output *o, char mark, const struct gate_diff_text *t, uint32_t from,
                      uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        put_line(o, mark,
                 (struct gate_str){t->text + t->starts[i], t->starts[i + 1] - t->starts[i]});
}

/* "3,4": from the third line four; one line needs no count, and none are behind the one before. */
static void format_range(char out[32], uint32_t from, uint32_t to)
{
    if (to - from == 1)
        snprintf(out, 32, "%u", from + 1);
    else
        snprintf(out, 32, "%u,%u", to > from ? from + 1 : from, to - from);
}

static void put_head(struct output *o, const struct change *range)
{
    char a[32], b[32];
    format_range(a, range->a, range->a_end);
    format_range(b, range->b, range->b_end);
    o->full = o->full || !gate_buf_printf(o->buf, "@@ -%s +%s @@\n", a, b);
}

/* ---- hunks */

/* The next change behind *a and *b, which stand at lines that are the same in both. False: there is
 * none. Moves *a and *b behind it. */
static bool next_change(const struct gate_diff_text *from, const struct gate_diff_text *to,
                        uint32_t *a, uint32_t *b, struct change *out)
{
    while (*a < from->count && *b < to->count && !from->changed[*a] && !to->changed[*b]) {
        ++*a;
        ++*b;
    }
    *out = (struct change){.a = *a, .b = *b};
    while (from->changed[*a])
        ++*a;
    while (to->changed[*b])
        ++*b;
    out->a_end = *a;
    out->b_end = *b;
    return out->a < out->a_end || out->b < out->b_end;
}

static void put_hunk(struct output *o, const struct gate_diff_text *from,
                     const struct gate_diff_text *to, const struct change *changes, size_t count)
{
    const struct change *first = &changes[0], *last = &changes[count - 1];
    uint32_t before = first->a < GATE_DIFF_CONTEXT ? first->a : GATE_DIFF_CONTEXT;
    uint32_t left = from->count - last->a_end;
    uint32_t after = left < GATE_DIFF_CONTEXT ? left : GATE_DIFF_CONTEXT;
    struct change range = {first->a - before, last->a_end + after, first->b - before,
                           last->b_end + after};
    uint32_t at = range.a;
    put_head(o, &range);
    for (size_t i = 0; i < count; i++) {
        put_lines(o, ' ', from, at, changes[i].a);
        put_lines(o, '-', from, changes[i].a, changes[i].a_end);
        put_lines(o, '+', to, changes[i].b, changes[i].b_end);
        at = changes[i].a_end;
    }
    put_lines(o, ' ', from, at, range.a_end);
}

static struct gate_diff_lines put_hunks(struct output *o, const struct gate_diff_text *from,
                                        const struct gate_diff_text *to)
{
    struct gate_diff_lines lines = {0};
    struct change *changes = NULL, next;
    size_t count = 0, cap = 0;
    uint32_t a = 0, b = 0;
    while (next_change(from, to, &a, &b, &next)) {
        lines.removed += next.a_end - next.a;
        lines.added += next.b_end - next.b;
        if (count > 0 && next.a - changes[count - 1].a_end > 2 * GATE_DIFF_CONTEXT) {
            put_hunk(o, from, to, changes, count);
            count = 0;
        }
        if (count == cap) {
            cap = cap > 0 ? cap * 2 : 16;
            changes = gate_realloc(changes, cap * sizeof *changes);
        }
        changes[count++] = next;
    }
    if (count > 0)
        put_hunk(o, from, to, changes, count);
    free(changes);
    return lines;
}

/* ---- files */

static bool equal(const struct gate_source *a, const struct gate_source *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return gate_str_eq((struct gate_str){a->text, a->len}, (struct gate_str){b->text, b->len});
}

static struct gate_diff_lines put_file(struct output *o, const char *name,
                                       const struct gate_source *from, const struct gate_source *to)
{
    struct gate_diff_text a, b;
    if (equal(from, to))
        return (struct gate_diff_lines){0};
    if (o->full || !gate_buf_printf(o->buf, "--- %s%s\n+++ %s%s\n", from != NULL ? "a/" : "",
                                    from != NULL ? name : "/dev/null", to != NULL ? "b/" : "",
                                    to != NULL ? name : "/dev/null"))
        o->full = true;
    gate_diff_text_init(&a, from != NULL ? from->text : "", from != NULL ? from->len : 0);
    gate_diff_text_init(&b, to != NULL ? to->text : "", to != NULL ? to->len : 0);
    gate_diff_script(&a, &b);
    struct gate_diff_lines lines = put_hunks(o, &a, &b);
    gate_diff_text_finish(&a);
    gate_diff_text_finish(&b);
    return lines;
}

struct gate_diff_lines gate_diff_file(const char *name, const struct gate_source *from,
                                      const struct gate_source *to, struct gate_buf *out)
{
    struct output o = {.buf = out};
    return put_file(&o, name, from, to);
}

struct gate_diff_lines gate_diff_sources(const struct gate_sources *from,
                                         const struct gate_sources *to, struct gate_buf *out)
{
    struct output o = {.buf = out};
    struct gate_diff_lines sum = {0};
    size_t i = 0, j = 0;
    while (i < from->count || j < to->count) {
        int order = i == from->count ? 1 : j == to->count ? -1 : 0;
        if (order == 0)
            order = strcmp(from->files[i].name, to->files[j].name);
        const struct gate_source *a = order <= 0 ? &from->files[i++] : NULL;
        const struct gate_source *b = order >= 0 ? &to->files[j++] : NULL;
        struct gate_diff_lines lines = put_file(&o, a != NULL ? a->name : b->name, a, b);
        sum.added += lines.added;
        sum.removed += lines.removed;
    }
    return sum;
}
