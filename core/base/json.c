#include "base/json.h"
#include "base/json_skip.h"
#include "base/utf8.h"

static const struct gate_str replacement = {"\xef\xbf\xbd", 3}; /* U+FFFD */

/* ---- lookups */

static void walk_init(struct gate_json_walk *w, struct gate_str text)
{
    w->begin = text.len > 0 ? text.ptr : "";
    w->end = w->begin + text.len;
    w->find_images = w->has_images = false;
    w->deepest = 0;
}

/* A buffer that remembers whether it refused something. */
struct whole {
    struct gate_buf *b;
    bool fits;
};

static void append_whole(void *ctx, struct gate_str bytes)
{
    struct whole *w = ctx;
    w->fits = w->fits && gate_buf_append(w->b, bytes);
}

static bool key_is(struct gate_str quoted, struct gate_str key)
{
    struct gate_str plain = {quoted.ptr + 1, quoted.len - 2};
    if (plain.len == 0 || memchr(plain.ptr, '\\', plain.len) == NULL)
        return gate_str_eq(plain, key);
    /* What is longer than the key need not be decoded to the end. */
    struct gate_buf decoded;
    gate_buf_init(&decoded, key.len);
    struct whole w = {&decoded, true};
    struct gate_writer out = {&w, append_whole};
    bool equal =
        gate_json_decode(quoted, &out) && w.fits && gate_str_eq(gate_buf_str(&decoded), key);
    gate_buf_finish(&decoded);
    return equal;
}

bool gate_json_member(struct gate_str object, struct gate_str key, struct gate_str *value)
{
    const struct gate_json_skip *skip = gate_json_skip_best();
    struct gate_json_walk w;
    walk_init(&w, object);
    const char *p = gate_json_skip_space(w.begin, w.end);
    if (p == w.end || *p != '{')
        return false;
    do {
        p = gate_json_skip_space(p + 1, w.end);
        if (p == w.end || *p != '"')
            return false;
        const char *name = p;
        p = skip->string(&w, name);
        if (p == NULL)
            return false;
        struct gate_str quoted = {name, (size_t)(p - name)};
        p = gate_json_skip_space(p, w.end);
        if (p == w.end || *p != ':')
            return false;
        const char *start = gate_json_skip_space(p + 1, w.end);
        p = start < w.end ? gate_json_skip_value(skip, &w, start, 1) : NULL;
        if (p == NULL)
            return false;
        if (key_is(quoted, key)) {
            *value = (struct gate_str){start, (size_t)(p - start)};
            return true;
        }
        p = gate_json_skip_space(p, w.end);
    } while (p < w.end && *p == ',');
    return false;
}

bool gate_json_element(struct gate_str array, size_t *cursor, struct gate_str *element)
{
    struct gate_json_walk w;
    walk_init(&w, array);
    if (*cursor > array.len)
        return false;
    const char *p = gate_json_skip_space(w.begin + *cursor, w.end);
    /* Before each element stands the bracket or the comma that the cursor was left at. */
    if (p == w.end || *p != (*cursor == 0 ? '[' : ','))
        return false;
    const char *start = gate_json_skip_space(p + 1, w.end);
    if (start == w.end)
        return false;
    p = gate_json_skip_value(gate_json_skip_best(), &w, start, 1);
    if (p == NULL)
        return false;
    *element = (struct gate_str){start, (size_t)(p - start)};
    *cursor = (size_t)(p - w.begin);
    return true;
}

/* ---- decoding */

/* Four hex digits, or -1. */
static int32_t hex4(const char *p, const char *end)
{
    if (end - p < 4)
        return -1;
    int32_t n = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        n = n * 16 + digit;
    }
    return n;
}

/* One escape, p at its backslash. Returns its length and its code point, or 0. A surrogate without
 * its mate becomes U+FFFD. */
static size_t escape_at(const char *p, const char *end, uint32_t *code)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (end - p < 2)
        return 0;
    const char *name = memchr(names, p[1], sizeof names - 1);
    if (name != NULL) {
        *code = (uint8_t)values[name - names];
        return 2;
    }
    int32_t unit = p[1] == 'u' ? hex4(p + 2, end) : -1;
    if (unit < 0)
        return 0;
    *code = (uint32_t)unit;
    if (unit < 0xd800 || unit > 0xdfff)
        return 6;
    int32_t low =
        unit < 0xdc00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u' ? hex4(p + 8, end) : -1;
    if (low >= 0xdc00 && low <= 0xdfff) {
        *code = 0x10000 + (((uint32_t)unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
        return 12;
    }
    *code = 0xfffd;
    return 6;
}

static void write_code(uint32_t code, const struct gate_writer *out)
{
    char utf8[4];
    size_t n = 0;
    if (code < 0x80) {
        utf8[n++] = (char)code;
    } else if (code < 0x800) {
        utf8[n++] = (char)(0xc0 | code >> 6);
    } else if (code < 0x10000) {
        utf8[n++] = (char)(0xe0 | code >> 12);
        utf8[n++] = (char)(0x80 | (code >> 6 & 0x3f));
    } else {
        utf8[n++] = (char)(0xf0 | code >> 18);
        utf8[n++] = (char)(0x80 | (code >> 12 & 0x3f));
        utf8[n++] = (char)(0x80 | (code >> 6 & 0x3f));
    }
    if (code >= 0x80)
        utf8[n++] = (char)(0x80 | (code & 0x3f));
    gate_write(out, (struct gate_str){utf8, n});
}

/* The bytes between the quotes of a JSON string. False: it is none. */
static bool string_inside(struct gate_str value, struct gate_str *inside)
{
    if (value.len < 2 || value.ptr[0] != '"' || value.ptr[value.len - 1] != '"')
        return false;
    const char *p = value.ptr + 1, *end = value.ptr + value.len - 1;
    *inside = (struct gate_str){p, (size_t)(end - p)};
    for (uint32_t code; p < end;) {
        size_t n = *p == '\\' ? escape_at(p, end, &code) : *p != '"';
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

/* The end of the longest run from p that can be written as it is: valid UTF-8 without `stop` bytes.
 */
static const char *run_end(const char *p, const char *end, const uint8_t stop[256])
{
    while (p < end) {
        if (stop[(uint8_t)*p])
            break;
        size_t n = gate_utf8_length(p, (size_t)(end - p));
        if (n == 0)
            break;
        p += n;
    }
    return p;
}

bool gate_json_decode(struct gate_str value, const struct gate_writer *out)
{
    static const uint8_t stop[256] = {['\\'] = 1};
    struct gate_str inside;
    if (!string_inside(value, &inside))
        return false;
    for (const char *p = inside.ptr, *end = p + inside.len; p < end;) {
        const char *run = run_end(p, end, stop);
        if (run > p) {
            gate_write(out, (struct gate_str){p, (size_t)(run - p)});
            p = run;
        } else if (*p == '\\') {
            uint32_t code = 0;
            p += escape_at(p, end, &code);
            write_code(code, out);
        } else {
            gate_write(out, replacement);
            p++;
        }
    }
    return true;
}

/* A caller's array that is being filled. */
struct fixed {
    char *out;
    size_t len, cap;
    bool fits;
};

static void append_fixed(void *ctx, struct gate_str bytes)
{
    struct fixed *f = ctx;
    f->fits = f->fits && bytes.len < f->cap - f->len && memchr(bytes.ptr, '\0', bytes.len) == NULL;
    if (f->fits) {
        memcpy(f->out + f->len, bytes.ptr, bytes.len);
        f->len += bytes.len;
    }
}

bool gate_json_decode_to(struct gate_str value, char *out, size_t cap, size_t *len)
{
    struct fixed f = {.out = out, .cap = cap, .fits = cap > 0};
    struct gate_writer writer = {&f, append_fixed};
    if (!gate_json_decode(value, &writer) || !f.fits)
        return false;
    out[f.len] = '\0';
    *len = f.len;
    return true;
}

/* ---- encoding */

static void write_escape(uint8_t c, const struct gate_writer *out)
{
    static const char hex[] = "0123456789abcdef";
    static const char named[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    const char *at = memchr(named, c, sizeof named - 1);
    char text[6] = {'\\', at != NULL ? names[at - named] : 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    gate_write(out, (struct gate_str){text, at != NULL ? 2 : 6});
}

void gate_json_encode(struct gate_str text, const struct gate_writer *out)
{
    static const uint8_t stop[256] = {[0x00 ... 0x1f] = 1, ['"'] = 1, ['\\'] = 1};
    gate_write(out, GATE_STR("\""));
    for (const char *p = text.len > 0 ? text.ptr : "", *end = p + text.len; p < end;) {
        const char *run = run_end(p, end, stop);
        if (run > p) {
            gate_write(out, (struct gate_str){p, (size_t)(run - p)});
            p = run;
            continue;
        }
        if (stop[(uint8_t)*p])
            write_escape((uint8_t)*p, out);
        else
            gate_write(out, replacement);
        p++;
    }
    gate_write(out, GATE_STR("\""));
}

void gate_json_put(struct gate_buf *b, struct gate_str text)
{
    size_t before = b->len;
    struct whole w = {b, true};
    struct gate_writer out = {&w, append_whole};
    gate_json_encode(text, &out);
    /* Half a string would spoil whatever stands around it. */
    if (!w.fits)
        b->len = before;
}
