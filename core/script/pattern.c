/* Compiles and matches Lua patterns. */
#include "script/pattern.h"

#include <ctype.h>

enum op {
    OP_CHAR,     /* a */
    OP_ANY,      /* any byte */
    OP_SET,      /* set a */
    OP_OPEN,     /* capture a begins */
    OP_CLOSE,    /* capture a ends */
    OP_HERE,     /* position capture a */
    OP_BACK,     /* the bytes of capture a again */
    OP_BALANCE,  /* from a to its b */
    OP_FRONTIER, /* from outside to inside of set a */
    OP_END,      /* the end of the subject */
};

enum repeat { ONCE, STAR, PLUS, LAZY, MAYBE };

/* ---------------------------------------------------------------- compiler */

struct compiler {
    struct gate_pattern *out;
    const unsigned char *at, *end;
    bool open[GATE_PATTERN_CAPTURES]; /* captures that have begun and not ended */
    const char *error;
    struct gate_pattern_item spill; /* takes what does not fit; never read */
};

static void fail(struct compiler *c, const char *error)
{
    if (c->error == NULL)
        c->error = error;
    c->at = c->end;
}

static struct gate_pattern_item *add_item(struct compiler *c, enum op op, unsigned a, unsigned b)
{
    if (c->out->item_count == GATE_PATTERN_ITEMS) {
        fail(c, "pattern too complex (more than 255 items)");
        return &c->spill;
    }
    struct gate_pattern_item *item = &c->out->items[c->out->item_count++];
    *item = (struct gate_pattern_item){(uint8_t)op, ONCE, (uint8_t)a, (uint8_t)b};
    return item;
}

static void set_put(uint64_t *set, unsigned c)
{
    set[c >> 6] |= UINT64_C(1) << (c & 63);
}

static bool set_has(const uint64_t *set, unsigned char c)
{
    return (set[c >> 6] >> (c & 63)) & 1;
}

static void set_invert(uint64_t *set)
{
    for (int i = 0; i < 4; i++)
        set[i] = ~set[i];
}

/* Adds the class that letter names (%a, %S ...) to the set. False: not the name of a class. */
static bool set_put_class(uint64_t *set, unsigned char letter)
{
    static const struct {
        char letter;
        uint64_t ascii[2];
    } classes[] = {
        {'a', {0, 0x07fffffe07fffffe}},
        {'c', {0x00000000ffffffff, 0x8000000000000000}},
        {'d', {0x03ff000000000000, 0}},
        {'g', {0xfffffffe00000000, 0x7fffffffffffffff}},
        {'l', {0, 0x07fffffe00000000}},
        {'p', {0xfc00fffe00000000, 0x78000001f8000001}},
        {'s', {0x0000000100003e00, 0}},
        {'u', {0, 0x0000000007fffffe}},
        {'w', {0x03ff000000000000, 0x07fffffe07fffffe}},
        {'x', {0x03ff000000000000, 0x0000007e0000007e}},
    };
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (classes[i].letter != tolower(letter))
            continue;
        bool is_inverted = letter != classes[i].letter;
        for (int word = 0; word < 4; word++) {
            uint64_t bits = word < 2 ? classes[i].ascii[word] : 0;
            set[word] |= is_inverted ? ~bits : bits;
        }
        return true;
    }
    return false;
}

/* Keeps a set in the pattern, equal ones once. Returns its index. */
static unsigned keep_set(struct compiler *c, const uint64_t *set)
{
    struct gate_pattern *p = c->out;
    for (unsigned i = 0; i < p->set_count; i++) {
        if (memcmp(p->sets[i], set, sizeof p->sets[i]) == 0)
            return i;
    }
    if (p->set_count == GATE_PATTERN_SETS) {
        fail(c, "pattern too complex (more than 32 different sets)");
        return 0;
    }
    memcpy(p->sets[p->set_count], set, sizeof p->sets[0]);
    return p->set_count++;
}

/* One member of a set: a class, a range or a character. c->at is at it. */
static void parse_set_member(struct compiler *c, uint64_t *set)
{
    unsigned first = *c->at++;
    if (first == '%') {
        if (c->at == c->end) {
            fail(c, "malformed pattern (missing ']')");
            return;
        }
        unsigned char letter = *c->at++;
        if (!set_put_class(set, letter))
            set_put(set, letter);
        return;
    }
    unsigned last = first;
    if (c->end - c->at >= 2 && c->at[0] == '-' && c->at[1] != ']') {
        last = c->at[1];
        c->at += 2;
    }
    for (unsigned b = first; b <= last; b++)
        set_put(set, b);
}

/* c->at is behind the '['. Returns the index of the set. */
static unsigned parse_set(struct compiler *c)
{
    uint64_t set[4] = {0};
    bool inverted = c->at < c->end && *c->at == '^';
    if (inverted)
        c->at++;
    bool first = true; /* a ']' that comes first is a member */
    while (c->at < c->end && (first || *c->at != ']')) {
        parse_set_member(c, set);
        first = false;
    }
    if (c->at == c->end) {
        fail(c, "malformed pattern (missing ']')");
        return 0;
    }
    c->at++;
    if (inverted)
        set_invert(set);
    return keep_set(c, set);
}

static void parse_open(struct compiler *c)
{
    unsigned index = c->out->capture_count;
    if (index == GATE_PATTERN_CAPTURES) {
        fail(c, "too many captures");
        return;
    }
    c->out->capture_count++;
    if (c->at < c->end && *c->at == ')') {
        c->at++;
        add_item(c, OP_HERE, index, 0);
        return;
    }
    c->open[index] = true;
    add_item(c, OP_OPEN, index, 0);
}

static void parse_close(struct compiler *c)
{
    for (unsigned i = c->out->capture_count; i-- > 0;) {
        if (c->open[i]) {
            c->open[i] = false;
            add_item(c, OP_CLOSE, i, 0);
            return;
        }
    }
    fail(c, "invalid pattern capture");
}

/* What may be repeated: gives the item the suffix that follows, if one does. */
static void parse_repeat(struct compiler *c, struct gate_pattern_item *item)
{
    static const char suffixes[] = {[STAR] = '*', [PLUS] = '+', [LAZY] = '-', [MAYBE] = '?'};
    for (unsigned r = STAR; c->at < c->end && r <= MAYBE; r++) {
        if (*c->at == suffixes[r]) {
            item->repeat = (uint8_t)r;
            c->at++;
            return;
        }
    }
}

/* c->at is behind the '%'. */
static void parse_escape(struct compiler *c)
{
    if (c->at == c->end) {
        fail(c, "malformed pattern (ends with '%')");
        return;
    }
    unsigned char letter = *c->at++;
    if (letter == 'b') {
        if (c->end - c->at < 2) {
            fail(c, "malformed pattern (missing arguments to '%b')");
            return;
        }
        add_item(c, OP_BALANCE, c->at[0], c->at[1]);
        c->at += 2;
    } else if (letter == 'f') {
        if (c->at == c->end || *c->at != '[') {
            fail(c, "missing '[' after '%f' in pattern");
            return;
        }
        c->at++;
        add_item(c, OP_FRONTIER, parse_set(c), 0);
    } else if (isdigit(letter)) {
        unsigned index = (unsigned)letter - '1';
        if (letter == '0' || index >= c->out->capture_count || c->open[index])
            fail(c, "invalid capture index in pattern");
        else
            add_item(c, OP_BACK, index, 0);
    } else {
        uint64_t set[4] = {0};
        bool is_class = set_put_class(set, letter);
        parse_repeat(c, is_class ? add_item(c, OP_SET, keep_set(c, set), 0)
                                 : add_item(c, OP_CHAR, letter, 0));
    }
}

static void parse_item(struct compiler *c)
{
    unsigned char first = *c->at++;
    switch (first) {
    case '(':
        parse_open(c);
        break;
    case ')':
        parse_close(c);
        break;
    case '%':
        parse_escape(c);
        break;
    case '[':
        parse_repeat(c, add_item(c, OP_SET, parse_set(c), 0));
        break;
    case '.':
        parse_repeat(c, add_item(c, OP_ANY, 0, 0));
        break;
    default:
        if (first == '$' && c->at == c->end)
            add_item(c, OP_END, 0, 0);
        else
            parse_repeat(c, add_item(c, OP_CHAR, first, 0));
        break;
    }
}

const char *gate_pattern_compile(struct gate_pattern *p, struct gate_str text, bool anchor)
{
    p->item_count = p->set_count = p->capture_count = 0;
    p->anchored = anchor && text.len > 0 && text.ptr[0] == '^';
    const unsigned char *start = (const unsigned char *)text.ptr;
    struct compiler c = {.out = p};
    if (text.len == 0)
        return NULL;
    c.at = start + (p->anchored ? 1 : 0);
    c.end = start + text.len;
    while (c.at < c.end)
        parse_item(&c);
    for (unsigned i = 0; i < p->capture_count; i++) {
        if (c.open[i])
            fail(&c, "unfinished capture");
    }
    return c.error;
}

/* ---------------------------------------------------------------- matcher */

/* An item that could have taken more or fewer characters than it did. */
struct choice {
    size_t at;  /* where it ends now */
    size_t low; /* greedy: the least it may end at */
    uint8_t item;
    bool lazy;
};

static bool fits(const struct gate_pattern *p, const struct gate_pattern_item *item,
                 unsigned char c)
{
    switch (item->op) {
    case OP_CHAR:
        return item->a == c;
    case OP_SET:
        return set_has(p->sets[item->a], c);
    default:
        return true;
    }
}

/* False: the budget is used up. */
static bool spend(struct gate_match *m, size_t steps)
{
    if (m->steps_left < steps) {
        m->steps_left = 0;
        return false;
    }
    m->steps_left -= steps;
    return true;
}

/* How many characters from `at` the item fits. */
static size_t run_length(const struct gate_pattern *p, const struct gate_pattern_item *item,
                         const struct gate_match *m, size_t at, size_t most)
{
    size_t n = 0;
    if (most > m->subject.len - at)
        most = m->subject.len - at;
    if (item->op == OP_ANY)
        return most;
    while (n < most && fits(p, item, (unsigned char)m->subject.ptr[at + n]))
        n++;
    return n;
}

/* The end of the balanced text at `at`, or SIZE_MAX. */
static size_t balanced_end(const struct gate_match *m, size_t at, unsigned char open,
                           unsigned char close)
{
    if (at >= m->subject.len || (unsigned char)m->subject.ptr[at] != open)
        return SIZE_MAX;
    size_t depth = 1;
    for (size_t i = at + 1; i < m->subject.len; i++) {
        unsigned char c = (unsigned char)m->subject.ptr[i];
        if (c == close) {
            if (--depth == 0)
                return i + 1;
        } else if (c == open) {
            depth++;
        }
    }
    return SIZE_MAX;
}

/* Items that match one text or none. Returns the new position, or SIZE_MAX for no match. */
static size_t match_fixed(const struct gate_pattern *p, struct gate_match *m,
                          const struct gate_pattern_item *item, size_t at)
{
    const unsigned char *s = (const unsigned char *)m->subject.ptr;
    struct gate_capture *capture = &m->captures[item->a % GATE_PATTERN_CAPTURES];
    switch (item->op) {
    case OP_OPEN:
        *capture = (struct gate_capture){at, at, false};
        return at;
    case OP_CLOSE:
        capture->end = at;
        return at;
    case OP_HERE:
        *capture = (struct gate_capture){at, at, true};
        return at;
    case OP_BACK: {
        size_t n = capture->end - capture->start;
        if (capture->is_position || n > m->subject.len - at ||
            memcmp(s + capture->start, s + at, n) != 0)
            return SIZE_MAX;
        return at + n;
    }
    case OP_BALANCE:
        return balanced_end(m, at, item->a, item->b);
    case OP_FRONTIER: {
        unsigned char before = at > 0 ? s[at - 1] : 0;
        unsigned char here = at < m->subject.len ? s[at] : 0;
        bool enters = !set_has(p->sets[item->a], before) && set_has(p->sets[item->a], here);
        return enters ? at : SIZE_MAX;
    }
    case OP_END:
        return at == m->subject.len ? at : SIZE_MAX;
    default:
        return at < m->subject.len && fits(p, item, s[at]) ? at + 1 : SIZE_MAX;
    }
}

/* What match_fixed may read at most. */
static size_t fixed_cost(const struct gate_match *m, const struct gate_pattern_item *item,
                         size_t at)
{
    const struct gate_capture *capture = &m->captures[item->a % GATE_PATTERN_CAPTURES];
    if (item->op == OP_BACK)
        return 1 + (capture->end - capture->start) / 8;
    if (item->op == OP_BALANCE && at < m->subject.len &&
        (unsigned char)m->subject.ptr[at] == item->a)
        return 1 + (m->subject.len - at);
    return 1;
}

/* Takes the item at `at` and, if it repeats, notes the choice. Returns the position behind it or
 * SIZE_MAX. */
static size_t take_item(const struct gate_pattern *p, struct gate_match *m, unsigned index,
                        size_t at, struct choice *choices, size_t *count)
{
    const struct gate_pattern_item *item = &p->items[index];
    if (item->repeat == ONCE)
        return match_fixed(p, m, item, at);
    if (item->repeat == LAZY) {
        choices[(*count)++] = (struct choice){at, at, (uint8_t)index, true};
        return at;
    }
    size_t n = run_length(p, item, m, at, item->repeat == MAYBE ? 1 : SIZE_MAX);
    size_t least = item->repeat == PLUS ? 1 : 0;
    if (n < least)
        return SIZE_MAX;
    if (n > least)
        choices[(*count)++] = (struct choice){at + n, at + least, (uint8_t)index, false};
    return at + n;
}

/* Changes the latest choice that can still change. Returns the position to go on from, with *index
 * set to the item, or SIZE_MAX when no choice is left. */
static size_t next_choice(const struct gate_pattern *p, const struct gate_match *m,
                          struct choice *choices, size_t *count, unsigned *index)
{
    while (*count > 0) {
        struct choice *c = &choices[*count - 1];
        *index = c->item + 1u;
        if (!c->lazy) {
            size_t at = --c->at;
            if (at == c->low)
                (*count)--;
            return at;
        }
        if (c->at < m->subject.len &&
            fits(p, &p->items[c->item], (unsigned char)m->subject.ptr[c->at]))
            return ++c->at;
        (*count)--;
    }
    return SIZE_MAX;
}

enum gate_match_result gate_pattern_match(const struct gate_pattern *p, struct gate_match *m,
                                          size_t at, size_t *end)
{
    struct choice choices[GATE_PATTERN_ITEMS];
    size_t count = 0;
    unsigned index = 0;
    while (index < p->item_count) {
        if (!spend(m, fixed_cost(m, &p->items[index], at)))
            return GATE_MATCH_OUT_OF_STEPS;
        size_t next = take_item(p, m, index, at, choices, &count);
        if (next != SIZE_MAX) {
            if (!spend(m, (next - at) / 4))
                return GATE_MATCH_OUT_OF_STEPS;
            at = next;
            index++;
            continue;
        }
        at = next_choice(p, m, choices, &count, &index);
        if (at == SIZE_MAX)
            return GATE_MATCH_NO;
    }
    *end = at;
    return GATE_MATCH_YES;
}

enum gate_match_result gate_pattern_search(const struct gate_pattern *p, struct gate_match *m,
                                           size_t from, size_t *start, size_t *end)
{
    const struct gate_pattern_item *first = p->item_count > 0 ? &p->items[0] : NULL;
    bool skip = first != NULL && first->op == OP_CHAR &&
                (first->repeat == ONCE || first->repeat == PLUS) && !p->anchored;
    for (size_t at = from; at <= m->subject.len; at++) {
        if (skip) {
            size_t rest = m->subject.len - at;
            const char *hit = rest > 0 ? memchr(m->subject.ptr + at, first->a, rest) : NULL;
            size_t jump = hit != NULL ? (size_t)(hit - m->subject.ptr) - at : rest;
            if (!spend(m, jump / 16))
                return GATE_MATCH_OUT_OF_STEPS;
            if (hit == NULL)
                return GATE_MATCH_NO;
            at += jump;
        }
        enum gate_match_result result = gate_pattern_match(p, m, at, end);
        if (result != GATE_MATCH_NO || p->anchored) {
            *start = at;
            return result;
        }
    }
    return GATE_MATCH_NO;
}
