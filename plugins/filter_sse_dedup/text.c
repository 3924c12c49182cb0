/* text: see text.h. */
#include "text.h"
#include <stdlib.h>

static void *resize(void *p, size_t n)
{
    void *moved = realloc(p, n);
    if (moved == NULL)
        abort();
    return moved;
}

void *dedup_alloc(size_t n)
{
    return resize(NULL, n);
}

void dedup_bytes_append(struct dedup_bytes *b, struct gate_str s)
{
    if (s.len == 0)
        return;
    if (s.len > b->cap - b->len) {
        /* The first allocation fits exactly: most texts are looked at once and given up. */
        size_t need = b->len + s.len;
        b->cap = need > b->cap * 2 ? need : b->cap * 2;
        b->ptr = resize(b->ptr, b->cap);
    }
    memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
}

void dedup_bytes_free(struct dedup_bytes *b)
{
    free(b->ptr);
    *b = (struct dedup_bytes){NULL, 0, 0};
}

static void append(void *ctx, struct gate_str bytes)
{
    dedup_bytes_append(ctx, bytes);
}

struct gate_writer dedup_bytes_writer(struct dedup_bytes *b)
{
    return (struct gate_writer){b, append};
}

bool dedup_text_open(const struct gate_host *host, struct gate_str value, struct dedup_text *out)
{
    *out = (struct dedup_text){{"", 0}, {NULL, 0, 0}};
    if (value.len <= 2)
        return true;
    if (memchr(value.ptr, '\\', value.len) == NULL) {
        out->s = (struct gate_str){value.ptr + 1, value.len - 2};
        return true;
    }
    struct gate_writer writer = dedup_bytes_writer(&out->copy);
    if (!host->json_decode(value, &writer)) {
        dedup_bytes_free(&out->copy);
        return false;
    }
    if (out->copy.len > 0)
        out->s = (struct gate_str){out->copy.ptr, out->copy.len};
    return true;
}

void dedup_text_close(struct dedup_text *t)
{
    dedup_bytes_free(&t->copy);
}

/* The code point at *at, which moves past it. Bytes that are not UTF-8 count one each. */
static uint32_t next_char(struct gate_str s, size_t *at)
{
    unsigned char lead = (unsigned char)s.ptr[(*at)++];
    unsigned more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    uint32_t c = more > 0 ? lead & (0x3fu >> more) : lead;

    for (; more > 0 && *at < s.len && ((unsigned char)s.ptr[*at] & 0xc0) == 0x80; more--)
        c = c << 6 | ((unsigned char)s.ptr[(*at)++] & 0x3f);
    return c;
}

enum char_class { CHAR_OTHER, CHAR_LETTER, CHAR_WORD };

struct char_range {
    uint32_t from;
    uint32_t to;
    enum char_class class;
};

/* Above ASCII, in ascending order; what lies between is a letter. */
static const struct char_range char_ranges[] = {
    {0x80, 0xbf, CHAR_OTHER},       /* controls, spaces, signs of Latin-1 */
    {0xe00, 0xeff, CHAR_WORD},      /* Thai, Lao */
    {0x1000, 0x109f, CHAR_WORD},    /* Burmese */
    {0x1780, 0x17ff, CHAR_WORD},    /* Khmer */
    {0x2000, 0x2bff, CHAR_OTHER},   /* punctuation, arrows, lines, boxes, symbols */
    {0x2e80, 0x2fdf, CHAR_WORD},    /* radicals */
    {0x3000, 0x303f, CHAR_OTHER},   /* CJK punctuation */
    {0x3040, 0x9fff, CHAR_WORD},    /* kana, ideographs */
    {0xd800, 0xf8ff, CHAR_OTHER},   /* surrogates, private use */
    {0xf900, 0xfaff, CHAR_WORD},    /* compatibility ideographs */
    {0xfe00, 0xffff, CHAR_OTHER},   /* variation selectors, full-width forms, U+FFFD */
    {0x1f000, 0x1fbff, CHAR_OTHER}, /* emoji and pictographs */
    {0x20000, 0x3ffff, CHAR_WORD},  /* rare ideographs */
};

static enum char_class classify(uint32_t c)
{
    if (c < 0x80) {
        bool letter = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        return letter ? CHAR_LETTER : CHAR_OTHER;
    }
    for (size_t i = 0; i < sizeof char_ranges / sizeof char_ranges[0]; i++) {
        if (c >= char_ranges[i].from && c <= char_ranges[i].to)
            return char_ranges[i].class;
    }
    return CHAR_LETTER;
}

bool dedup_text_is_prose(struct gate_str text, size_t min_chars, size_t min_words)
{
    enum char_class before = CHAR_OTHER;
    size_t chars = 0, words = 0, at = 0;
    uint32_t last = 0;

    while (at < text.len && (chars < min_chars || words < min_words)) {
        uint32_t c = next_char(text, &at);
        enum char_class class = classify(c);
        if (class == CHAR_LETTER && before != CHAR_LETTER)
            words++;
        else if (class == CHAR_WORD && c != last)
            words++;
        before = class;
        last = c;
        chars++;
    }
    return chars >= min_chars && words >= min_words;
}

bool dedup_text_is_blank(struct gate_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return false;
    }
    return true;
}

size_t dedup_text_common(struct gate_str a, struct gate_str b)
{
    size_t most = a.len < b.len ? a.len : b.len, n = 0;

    if (most > 0 && memcmp(a.ptr, b.ptr, most) == 0)
        n = most;
    while (n < most && a.ptr[n] == b.ptr[n])
        n++;
    while (n > 0 && ((n < a.len && ((unsigned char)a.ptr[n] & 0xc0) == 0x80) ||
                     (n < b.len && ((unsigned char)b.ptr[n] & 0xc0) == 0x80)))
        n--;
    return n;
}
