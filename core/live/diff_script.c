#include "live/diff_script.h"
#include <stdlib.h>

/* Myers' search for the middle of a shortest edit script, from both ends at once, in linear memory
 * (E. W. Myers, An O(ND) difference algorithm and its variations, 1986). Positions x, y count lines
 * of a and b; diagonal k is where x - y = k. */

enum {
    NOWHERE = -1,
    /* Steps of the search for one pair of texts, each a few nanoseconds. Enough for some 4,000
     * changes. */
    MAX_STEPS = 10 * 1000 * 1000,
};

/* The lines that both texts have somewhere, as numbers that are equal when the lines are. */
struct side {
    uint32_t *lines; /* owned */
    uint32_t *from;  /* owned; which line of the text each one is */
    bool *changed;   /* the text's */
    int32_t count;
};

struct search {
    struct side a, b;
    int32_t *forward, *backward; /* owned; furthest x by diagonal, NOWHERE: none */
    int64_t steps_left;
};

/* A part of both texts. */
struct box {
    int32_t a, a_end, b, b_end;
};

/* ---- texts */

void gate_diff_text_init(struct gate_diff_text *t, const char *text, size_t len)
{
    const char *end = text + len;
    uint32_t count = 0;
    for (const char *p = text; p < end; count++) {
        const char *feed = memchr(p, '\n', (size_t)(end - p));
        p = feed != NULL ? feed + 1 : end;
    }
    *t = (struct gate_diff_text){.text = text, .count = count};
    t->starts = gate_calloc(count + (size_t)1, sizeof *t->starts);
    t->changed = gate_calloc(count + (size_t)1, sizeof *t->changed);
    for (uint32_t i = 1; i < count; i++) {
        const char *p = text + t->starts[i - 1];
        t->starts[i] = (uint32_t)((const char *)memchr(p, '\n', (size_t)(end - p)) + 1 - text);
    }
    t->starts[count] = (uint32_t)len;
}

void gate_diff_text_finish(struct gate_diff_text *t)
{
    free(t->starts);
    free(t->changed);
}

static struct gate_str line_of(const struct gate_diff_text *t, uint32_t i)
{
    return (struct gate_str){t->text + t->starts[i], t->starts[i + 1] - t->starts[i]};
}

/* ---- lines as numbers */

enum { IN_A = 1, IN_B = 2 };

/* Gives equal lines one number: the position of the first of them among the lines that are
 * compared, those of a before those of b. */
struct table {
    const struct gate_diff_text *a, *b;
    uint32_t first;   /* line of both texts that the comparison starts at */
    uint32_t a_count; /* lines of a that are compared */
    uint32_t *slots;  /* owned; number + 1; 0: free */
    size_t mask;
    unsigned char *seen_in; /* owned; by number: IN_A, IN_B */
};

static uint64_t hash_of(struct gate_str line)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < line.len; i++)
        hash = (hash ^ (unsigned char)line.ptr[i]) * UINT64_C(1099511628211);
    return hash ^ hash >> 29;
}

static struct gate_str line_at(const struct table *t, uint32_t position)
{
    return position < t->a_count ? line_of(t->a, t->first + position)
                                 : line_of(t->b, t->first + position - t->a_count);
}

static uint32_t number_of(struct table *t, uint32_t position)
{
    struct gate_str line = line_at(t, position);
    size_t at = hash_of(line) & t->mask;
    while (t->slots[at] != 0 && !gate_str_eq(line_at(t, t->slots[at] - 1), line))
        at = (at + 1) & t->mask;
    if (t->slots[at] == 0)
        t->slots[at] = position + 1;
    return t->slots[at] - 1;
}

/* The `count` lines of t, whose numbers are given, without those that the other text has not: they
 * are changed for certain, and leaving them out makes no common subsequence shorter. */
static void side_fill(struct side *s, struct gate_diff_text *t, const struct table *table,
                      const uint32_t *numbers, uint32_t count)
{
    s->lines = gate_calloc(count, sizeof *s->lines);
    s->from = gate_calloc(count, sizeof *s->from);
    s->changed = t->changed;
    s->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t line = table->first + i;
        t->changed[line] = table->seen_in[numbers[i]] != (IN_A | IN_B);
        if (t->changed[line])
            continue;
        s->lines[s->count] = numbers[i];
        s->from[s->count++] = line;
    }
}

static void side_finish(struct side *s)
{
    free(s->lines);
    free(s->from);
}

/* ---- the search */

static bool same(const struct search *s, int32_t x, int32_t y)
{
    return s->a.lines[x] == s->b.lines[y];
}

/* From which diagonal and to which a path of d changes leads without leaving n lines of a and m of
 * b; both have the parity of d. */
static int32_t lowest(int32_t d, int32_t m)
{
    return d <= m ? -d : -m + ((d - m) & 1);
}

static int32_t highest(int32_t d, int32_t n)
{
    return d <= n ? d : n - ((d - n) & 1);
}

/* One end's view of a box: x and y count from the end it searches from. */
struct view {
    const struct search *search;
    const struct box *box;
    int32_t *reach; /* by diagonal, from -m - 1 to n + 1 */
    int32_t n, m;
    bool backward;
};

static bool view_same(const struct view *v, int32_t x, int32_t y)
{
    const struct box *box = v->box;
    return v->backward ? same(v->search, box->a_end - 1 - x, box->b_end - 1 - y)
                       : same(v->search, box->a + x, box->b + y);
}

/* The furthest x on diagonal k with d changes, given those with d - 1. */
static int32_t advance(struct search *s, const struct view *v, int32_t d, int32_t k)
{
    int32_t x = NOWHERE, left = v->reach[k - 1], right = v->reach[k + 1];
    if (d == 0)
        x = 0;
    if (d > 0 && right != NOWHERE && right - k <= v->m)
        x = right;
    if (d > 0 && left != NOWHERE && left < v->n && left + 1 > x)
        x = left + 1;
    if (x == NOWHERE)
        return x;
    for (; x < v->n && x - k < v->m && view_same(v, x, x - k); x++)
        s->steps_left--;
    return x;
}

/* One more change from one end. True: it met the other end's path, at *x, *y as this end counts. */
static bool extend(struct search *s, const struct view *v, const struct view *other, int32_t d,
                   bool may_meet, int32_t *x, int32_t *y)
{
    int32_t low = lowest(d, v->m), high = highest(d, v->n);
    int32_t other_d = v->backward ? d : d - 1;
    int32_t other_low = lowest(other_d, v->m), other_high = highest(other_d, v->n);
    /* Diagonals that no path with d - 1 changes reached. */
    if (d == 0 || low < lowest(d - 1, v->m))
        v->reach[low - 1] = NOWHERE;
    if (d == 0 || high > highest(d - 1, v->n))
        v->reach[high + 1] = NOWHERE;
    for (int32_t k = low; k <= high; k += 2) {
        int32_t at = advance(s, v, d, k), mirror = v->n - v->m - k;
        v->reach[k] = at;
        s->steps_left--;
        if (!may_meet || at == NOWHERE || mirror < other_low || mirror > other_high)
            continue;
        if (other->reach[mirror] != NOWHERE && at + other->reach[mirror] >= v->n) {
            *x = at;
            *y = at - k;
            return true;
        }
    }
    return false;
}

/* Finds a point that a shortest path through the box goes through, neither of its corners. The box
 * is not empty on either side and its first and last lines differ. False: it takes too long. */
static bool find_middle(struct search *s, const struct box *box, int32_t *x, int32_t *y)
{
    int32_t n = box->a_end - box->a, m = box->b_end - box->b;
    bool odd = ((n - m) & 1) != 0;
    struct view forward = {s, box, s->forward + m + 1, n, m, false};
    struct view backward = {s, box, s->backward + m + 1, n, m, true};
    for (int32_t d = 0; s->steps_left > 0; d++) {
        if (extend(s, &forward, &backward, d, odd && d > 0, x, y)) {
            *x += box->a;
            *y += box->b;
            return true;
        }
        if (extend(s, &backward, &forward, d, !odd, x, y)) {
            *x = box->a_end - *x;
            *y = box->b_end - *y;
            return true;
        }
    }
    return false;
}

static void mark(struct side *s, int32_t from, int32_t to)
{
    for (int32_t i = from; i < to; i++)
        s->changed[s->from[i]] = true;
}

/* Each half has at most half the changes: the depth is their logarithm. */
static void compare(struct search *s, struct box box)
{
    int32_t x, y;
    while (box.a < box.a_end && box.b < box.b_end && same(s, box.a, box.b)) {
        box.a++;
        box.b++;
    }
    while (box.a < box.a_end && box.b < box.b_end && same(s, box.a_end - 1, box.b_end - 1)) {
        box.a_end--;
        box.b_end--;
    }
    if (box.a == box.a_end || box.b == box.b_end || !find_middle(s, &box, &x, &y)) {
        mark(&s->a, box.a, box.a_end);
        mark(&s->b, box.b, box.b_end);
        return;
    }
    compare(s, (struct box){box.a, x, box.b, y});
    compare(s, (struct box){x, box.a_end, y, box.b_end});
}

/* Numbers the lines and leaves those that both texts have. */
static void search_init(struct search *s, struct gate_diff_text *a, uint32_t a_count,
                        struct gate_diff_text *b, uint32_t b_count, uint32_t first)
{
    uint32_t count = a_count + b_count;
    size_t size = 16;
    while (size < 2 * (size_t)count)
        size *= 2;
    struct table t = {.a = a, .b = b, .first = first, .a_count = a_count, .mask = size - 1};
    t.slots = gate_calloc(size, sizeof *t.slots);
    t.seen_in = gate_calloc(count, sizeof *t.seen_in);
    uint32_t *numbers = gate_calloc(count, sizeof *numbers);
    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = number_of(&t, i);
        t.seen_in[numbers[i]] |= i < a_count ? IN_A : IN_B;
    }
    *s = (struct search){.steps_left = MAX_STEPS};
    side_fill(&s->a, a, &t, numbers, a_count);
    side_fill(&s->b, b, &t, numbers + a_count, b_count);
    size_t diagonals = (size_t)s->a.count + (size_t)s->b.count + 3;
    s->forward = gate_calloc(diagonals, sizeof *s->forward);
    s->backward = gate_calloc(diagonals, sizeof *s->backward);
    free(t.slots);
    free(t.seen_in);
    free(numbers);
}

static void search_finish(struct search *s)
{
    side_finish(&s->a);
    side_finish(&s->b);
    free(s->forward);
    free(s->backward);
}

/* ---- making it look as people expect */

/* Moves runs of lines that only `t` has down as far as the same text stays: "}" and a blank line
 * then belong to what was added, not to what stood before. A run that meets another becomes one
 * with it; where the other text has changed lines it stays, beside them. */
static void slide(struct gate_diff_text *t, const struct gate_diff_text *other)
{
    uint32_t i = 0, j = 0; /* what stays of both up to here is the same */
    while (i < t->count) {
        while (j < other->count && other->changed[j])
            j++;
        if (!t->changed[i]) {
            i++;
            j++;
            continue;
        }
        uint32_t start = i;
        while (t->changed[i])
            i++;
        bool alone = j == 0 || !other->changed[j - 1];
        while (alone && i < t->count && gate_str_eq(line_of(t, start), line_of(t, i))) {
            t->changed[start++] = false;
            t->changed[i++] = true;
            j++;
            while (t->changed[i])
                i++;
            alone = !other->changed[j];
        }
    }
}

void gate_diff_script(struct gate_diff_text *a, struct gate_diff_text *b)
{
    uint32_t first = 0, a_end = a->count, b_end = b->count;
    while (first < a_end && first < b_end && gate_str_eq(line_of(a, first), line_of(b, first)))
        first++;
    while (a_end > first && b_end > first &&
           gate_str_eq(line_of(a, a_end - 1), line_of(b, b_end - 1))) {
        a_end--;
        b_end--;
    }
    struct search s;
    search_init(&s, a, a_end - first, b, b_end - first, first);
    compare(&s, (struct box){0, s.a.count, 0, s.b.count});
    search_finish(&s);
    slide(a, b);
    slide(b, a);
}
