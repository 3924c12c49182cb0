#include "base/json_skip.h"
#include <assert.h>
#include <endian.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BLOCK = 64 };

#define EVEN_BITS 0x5555555555555555u
#define TOP_BIT ((uint64_t)1 << 63)
#define INLINE static inline __attribute__((always_inline))

/* Which of the 64 bytes of a block are what; bit 0 is the first byte. */
struct masks {
    uint64_t quote, backslash;
    uint64_t bracket;  /* any of {}[] */
    uint64_t letter_i; /* 'i': where a string may be the name of an image part */
};

typedef struct masks (*masks_fn)(const char *block);
/* Skips bytes, in steps of its own, as long as no quote or backslash is among them. */
typedef const char *(*plain_fn)(const char *p, const char *end);

/* ---- portable: eight bytes in a word */

/* 0x80 in each byte of v that equals c, 0 in the others. */
INLINE uint64_t bytes_equal(uint64_t v, char c)
{
    const uint64_t ones = 0x0101010101010101u, low7 = 0x7f7f7f7f7f7f7f7fu;
    v ^= ones * (uint8_t)c;
    return ~(((v & low7) + low7) | v | low7);
}

/* Collects the high bits of the eight bytes of v in the low byte, first byte first. */
INLINE uint64_t high_bits(uint64_t v)
{
    return (v >> 7) * 0x0102040810204080u >> 56;
}

INLINE uint64_t load_word(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

static struct masks masks_portable(const char *block)
{
    struct masks m = {0};
    for (unsigned at = 0; at < BLOCK; at += 8) {
        uint64_t v = load_word(block + at), brackets = v | 0x2020202020202020u;
        m.quote |= high_bits(bytes_equal(v, '"')) << at;
        m.backslash |= high_bits(bytes_equal(v, '\\')) << at;
        m.bracket |= high_bits(bytes_equal(brackets, '{') | bytes_equal(brackets, '}')) << at;
        m.letter_i |= high_bits(bytes_equal(v, 'i')) << at;
    }
    return m;
}

static const char *plain_portable(const char *p, const char *end)
{
    for (; end - p >= 16; p += 16) {
        uint64_t a = load_word(p), b = load_word(p + 8);
        if ((bytes_equal(a, '"') | bytes_equal(a, '\\') | bytes_equal(b, '"') |
             bytes_equal(b, '\\')) != 0)
            break;
    }
    return p;
}

#if defined(__x86_64__)

/* ---- SSE2: every x86-64 has it */

struct vectors16 {
    __m128i a, b, c, d;
};

/* Written out four times, here and below: GCC keeps such short loops at -O2. */
INLINE struct vectors16 load_sse2(const char *block)
{
    const __m128i *p = (const __m128i *)(const void *)block;
    return (struct vectors16){_mm_loadu_si128(p), _mm_loadu_si128(p + 1), _mm_loadu_si128(p + 2),
                              _mm_loadu_si128(p + 3)};
}

INLINE struct vectors16 equal_sse2(struct vectors16 v, char c)
{
    __m128i wanted = _mm_set1_epi8(c);
    return (struct vectors16){_mm_cmpeq_epi8(v.a, wanted), _mm_cmpeq_epi8(v.b, wanted),
                              _mm_cmpeq_epi8(v.c, wanted), _mm_cmpeq_epi8(v.d, wanted)};
}

INLINE struct vectors16 or_sse2(struct vectors16 v, struct vectors16 w)
{
    return (struct vectors16){_mm_or_si128(v.a, w.a), _mm_or_si128(v.b, w.b),
                              _mm_or_si128(v.c, w.c), _mm_or_si128(v.d, w.d)};
}

INLINE uint64_t mask_sse2(struct vectors16 v)
{
    return (uint64_t)(uint16_t)_mm_movemask_epi8(v.a) |
           (uint64_t)(uint16_t)_mm_movemask_epi8(v.b) << 16 |
           (uint64_t)(uint16_t)_mm_movemask_epi8(v.c) << 32 |
           (uint64_t)(uint16_t)_mm_movemask_epi8(v.d) << 48;
}

static inline struct masks masks_sse2(const char *block)
{
    const __m128i bit = _mm_set1_epi8(0x20);
    struct vectors16 v = load_sse2(block),
                     folded = or_sse2(v, (struct vectors16){bit, bit, bit, bit});
    return (struct masks){
        .quote = mask_sse2(equal_sse2(v, '"')),
        .backslash = mask_sse2(equal_sse2(v, '\\')),
        .bracket = mask_sse2(or_sse2(equal_sse2(folded, '{'), equal_sse2(folded, '}'))),
        .letter_i = mask_sse2(equal_sse2(v, 'i')),
    };
}

static inline const char *plain_sse2(const char *p, const char *end)
{
    for (; end - p >= BLOCK; p += BLOCK) {
        struct vectors16 v = load_sse2(p);
        v = or_sse2(equal_sse2(v, '"'), equal_sse2(v, '\\'));
        if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(v.a, v.b), _mm_or_si128(v.c, v.d))) != 0)
            break;
    }
    return p;
}

/* ---- AVX2 */

#define AVX2 __attribute__((target("avx2,bmi")))

AVX2 INLINE uint64_t mask_avx2(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << 32;
}

AVX2 static inline struct masks masks_avx2(const char *block)
{
    const __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\');
    const __m256i opening = _mm256_set1_epi8('{'), closing = _mm256_set1_epi8('}');
    const __m256i letter_i = _mm256_set1_epi8('i'), fold = _mm256_set1_epi8(0x20);
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)block);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(block + 32));
    __m256i a_folded = _mm256_or_si256(a, fold), b_folded = _mm256_or_si256(b, fold);
    return (struct masks){
        .quote = mask_avx2(_mm256_cmpeq_epi8(a, quote), _mm256_cmpeq_epi8(b, quote)),
        .backslash = mask_avx2(_mm256_cmpeq_epi8(a, backslash), _mm256_cmpeq_epi8(b, backslash)),
        .bracket = mask_avx2(_mm256_or_si256(_mm256_cmpeq_epi8(a_folded, opening),
                                             _mm256_cmpeq_epi8(a_folded, closing)),
                             _mm256_or_si256(_mm256_cmpeq_epi8(b_folded, opening),
                                             _mm256_cmpeq_epi8(b_folded, closing))),
        .letter_i = mask_avx2(_mm256_cmpeq_epi8(a, letter_i), _mm256_cmpeq_epi8(b, letter_i)),
    };
}

AVX2 INLINE __m256i quote_or_backslash_avx2(const char *p)
{
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('"')),
                           _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\\')));
}

AVX2 static inline const char *plain_avx2(const char *p, const char *end)
{
    for (; end - p >= 2 * BLOCK; p += 2 * BLOCK) {
        __m256i found = _mm256_or_si256(
            _mm256_or_si256(quote_or_backslash_avx2(p), quote_or_backslash_avx2(p + 32)),
            _mm256_or_si256(quote_or_backslash_avx2(p + 64), quote_or_backslash_avx2(p + 96)));
        if (_mm256_movemask_epi8(found) != 0)
            break;
    }
    return p;
}

#endif

/* ---- the walk */

static const char *fail(struct gate_json_walk *w, const char *where, const char *reason)
{
    w->where = where;
    w->reason = reason;
    return NULL;
}

/* The bytes that an odd run of backslashes stands before (and some bytes inside longer runs, which
 * are never quotes). *carry: the first byte of this block, then of the next, is such a byte.
 *
 * A run that starts at an even bit escapes odd bits and the other way round. Adding the even starts
 * to the mask flips exactly their runs and the bit behind each, which tells the two kinds apart. */
INLINE uint64_t escaped_bytes(uint64_t backslash, uint64_t *carry)
{
    backslash &= ~*carry;
    uint64_t starts = backslash & ~(backslash << 1);
    uint64_t even_runs = (backslash + (starts & EVEN_BITS)) ^ backslash;
    uint64_t runs = backslash | backslash << 1;
    uint64_t escaped = (runs & (even_runs ^ EVEN_BITS)) | *carry;
    *carry = (backslash & ~even_runs) >> 63;
    return escaped;
}

/* Bit n of the result is the parity of bits 0..n. */
INLINE uint64_t parity_up_to(uint64_t v)
{
    v ^= v << 1;
    v ^= v << 2;
    v ^= v << 4;
    v ^= v << 8;
    v ^= v << 16;
    v ^= v << 32;
    return v;
}

/* The 64 bytes at p, of which some may lie behind the end: those read as spaces. */
INLINE const char *block_at(const char *p, const char *end, char *copy)
{
    if (end - p >= BLOCK)
        return p;
    memset(copy, ' ', BLOCK);
    memcpy(copy, p, (size_t)(end - p));
    return copy;
}

INLINE const char *next_block(const char *p, const char *end)
{
    return end - p > BLOCK ? p + BLOCK : end;
}

INLINE const char *walk_string(struct gate_json_walk *w, const char *at, masks_fn masks_of,
                               plain_fn plain)
{
    char copy[BLOCK];
    uint64_t carry = 0;
    for (const char *p = at + 1; p < w->end;) {
        struct masks m = masks_of(block_at(p, w->end, copy));
        uint64_t quote = m.quote & ~escaped_bytes(m.backslash, &carry);
        if (quote != 0)
            return p + __builtin_ctzll(quote) + 1;
        p = next_block(p, w->end);
        if (m.backslash == 0)
            p = plain(p, w->end);
    }
    return fail(w, w->end, "string does not end");
}

/* Is the string that starts at `quote` the value of a "type" member and the name of an image part?
 */
static bool is_image_part(const struct gate_json_walk *w, const char *quote)
{
    static const struct gate_str names[] = {
        {"\"image_url\"", 11}, {"\"input_image\"", 13}, {"\"image\"", 7}};
    static const struct gate_str key = {"\"type\"", 6};
    struct gate_str rest = {quote, (size_t)(w->end - quote)};
    size_t name = 0;
    while (name < 3 && !gate_str_starts(rest, names[name]))
        name++;
    if (name == 3)
        return false;
    const char *p = quote;
    while (p > w->begin && gate_json_is_space(p[-1]))
        p--;
    if (p == w->begin || *--p != ':')
        return false;
    while (p > w->begin && gate_json_is_space(p[-1]))
        p--;
    /* A backslash before the key's quote means that the key is longer and only ends so. */
    return (size_t)(p - w->begin) > key.len && memcmp(p - key.len, key.ptr, key.len) == 0 &&
           p[-(ptrdiff_t)key.len - 1] != '\\';
}

static void find_images(struct gate_json_walk *w, const char *p, uint64_t candidates)
{
    for (; candidates != 0 && !w->has_images; candidates &= candidates - 1)
        w->has_images = is_image_part(w, p + __builtin_ctzll(candidates));
}

static const char *fail_bracket(struct gate_json_walk *w, const char *where, uint32_t depth)
{
    return fail(w, where,
                depth > GATE_JSON_MAX_DEPTH ? "nesting is too deep"
                                            : "bracket closes another kind than was opened");
}

INLINE const char *walk_container(struct gate_json_walk *w, const char *at, uint32_t level,
                                  masks_fn masks_of, plain_fn plain)
{
    char copy[BLOCK];
    uint64_t carry = 0, in_string = 0; /* in_string: all bits, when the last block ended in one */
    uint32_t depth = level - 1, deepest = w->deepest;
    assert(level >= 1 && level <= GATE_JSON_MAX_DEPTH + 1);
    for (const char *p = at; p < w->end;) {
        const char *block = block_at(p, w->end, copy);
        struct masks m = masks_of(block);
        uint64_t quote = m.quote & ~escaped_bytes(m.backslash, &carry);
        if (in_string != 0 && (m.quote | m.backslash) == 0) {
            p = plain(next_block(p, w->end), w->end);
            continue;
        }
        uint64_t inside = parity_up_to(quote) ^ in_string;
        in_string = inside & TOP_BIT ? ~(uint64_t)0 : 0;
        uint64_t stray = m.backslash & ~inside, bracket = m.bracket & ~inside;
        uint64_t images = quote & inside & (m.letter_i >> 1 | TOP_BIT);
        if (!w->find_images || w->has_images)
            images = 0;
        if (stray != 0)
            bracket &= (stray & -stray) - 1;

        for (; bracket != 0; bracket &= bracket - 1) {
            /* Without branches on the kind of bracket, which no predictor guesses: '[' and ']', '{'
             * and '}' differ in the bits of 6, and bit 1 is set in the opening ones. */
            unsigned i = (unsigned)__builtin_ctzll(bracket);
            uint8_t c = (uint8_t)block[i], opening = c >> 1 & 1, mask = (uint8_t)-opening;
            uint32_t slot = depth + opening;
            uint8_t opener = (uint8_t)((c & mask) | (w->open[slot] & ~mask));
            w->open[slot] = opener;
            depth = slot - 1 + opening;
            deepest = depth > deepest ? depth : deepest;
            if (__builtin_expect((opener ^ c) != (6 & ~mask) || depth > GATE_JSON_MAX_DEPTH, 0))
                return fail_bracket(w, p + i, depth);
            if (depth < level) {
                if (images != 0)
                    find_images(w, p, images & (((uint64_t)1 << i) - 1));
                w->deepest = deepest;
                return p + i + 1;
            }
        }
        if (stray != 0)
            return fail(w, p + __builtin_ctzll(stray), "backslash outside a string");
        if (images != 0)
            find_images(w, p, images);
        p = next_block(p, w->end);
    }
    return fail(w, w->end, in_string ? "string does not end" : "object or array does not end");
}

#define DEFINE_VARIANT(name_, attribute_)                                                          \
    attribute_ static const char *string_##name_(struct gate_json_walk *w, const char *at)         \
    {                                                                                              \
        return walk_string(w, at, masks_##name_, plain_##name_);                                   \
    }                                                                                              \
    attribute_ static const char *container_##name_(struct gate_json_walk *w, const char *at,      \
                                                    uint32_t depth)                                \
    {                                                                                              \
        return walk_container(w, at, depth, masks_##name_, plain_##name_);                         \
    }                                                                                              \
    static const struct gate_json_skip skip_##name_ = {#name_, string_##name_, container_##name_};

DEFINE_VARIANT(portable, )
#if defined(__x86_64__)
DEFINE_VARIANT(sse2, )
DEFINE_VARIANT(avx2, AVX2)
#endif

const struct gate_json_skip *gate_json_skip_variant(size_t i)
{
#if defined(__x86_64__)
    bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
    const struct gate_json_skip *const variants[] = {&skip_portable, &skip_sse2,
                                                     has_avx2 ? &skip_avx2 : NULL};
#else
    const struct gate_json_skip *const variants[] = {&skip_portable};
#endif
    return i < sizeof variants / sizeof variants[0] ? variants[i] : NULL;
}

const struct gate_json_skip *gate_json_skip_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi"))
        return &skip_avx2;
    return &skip_sse2;
#else
    return &skip_portable;
#endif
}
