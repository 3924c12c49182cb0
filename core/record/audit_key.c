#include "base/limits.h"
#include "record/audit_internal.h"

enum { MINUTE_DIGITS = 8 };

static const char letters[GATE_AUDIT_SUMS] = {
    [GATE_AUDIT_COUNT] = 'n',
    [GATE_AUDIT_PROMPT] = 'p',
    [GATE_AUDIT_COMPLETION] = 'c',
    [GATE_AUDIT_TIME] = 't',
};

char gate_audit_sum_letter(enum gate_audit_sum sum)
{
    return letters[sum];
}

enum gate_audit_sum gate_audit_letter_sum(char letter)
{
    int sum = 0;
    while (sum < GATE_AUDIT_SUMS && letters[sum] != letter)
        sum++;
    return (enum gate_audit_sum)sum;
}

/* ---------------------------------------------------------------- writing */

static void put(struct gate_audit_key *key, struct gate_str bytes)
{
    memcpy(key->bytes + key->len, bytes.ptr, bytes.len);
    key->len += bytes.len;
}

/* Up to and including the space, which sorts before everything that a name may hold then; and
 * whatever is not ASCII, so that a key is text for everybody. */
static bool must_escape(char c, bool slash)
{
    return (unsigned char)c <= ' ' || (unsigned char)c >= 0x7f || c == '%' || (slash && c == '/');
}

static void put_escaped(struct gate_audit_key *key, struct gate_str name, bool slash)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (!must_escape(name.ptr[i], slash)) {
            key->bytes[key->len++] = (char)c;
            continue;
        }
        char escaped[] = {'%', digits[c >> 4], digits[c & 15]};
        put(key, (struct gate_str){escaped, sizeof escaped});
    }
}

void gate_audit_key_name(struct gate_audit_key *key, struct gate_str name)
{
    put_escaped(key, name, false);
}

void gate_audit_key_minute(struct gate_audit_key *key, const char *prefix, uint32_t minute)
{
    key->len = (size_t)snprintf(key->bytes, sizeof key->bytes, "%s%08x", prefix, minute);
}

void gate_audit_key_make(struct gate_audit_key *key, const char *prefix,
                         const struct gate_audit_id *id)
{
    gate_audit_key_minute(key, prefix, id->minute);
    put(key, GATE_STR("/"));
    put(key, gate_str_of(gate_usage_kind_names[id->kind]));
    put(key, GATE_STR("/"));
    put_escaped(key, id->outcome, true);
    put(key, GATE_STR("/"));
    put_escaped(key, id->account, false);
    put(key, GATE_STR(" "));
}

/* ---------------------------------------------------------------- reading */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes the bytes before the next separator off s. */
static bool cut(struct gate_str *s, char separator, struct gate_str *out)
{
    const char *at = s->len > 0 ? memchr(s->ptr, separator, s->len) : NULL;
    if (at == NULL)
        return false;
    *out = (struct gate_str){s->ptr, (size_t)(at - s->ptr)};
    *s = (struct gate_str){at + 1, s->len - out->len - 1};
    return true;
}

bool gate_audit_minute_read(struct gate_str digits, uint32_t *out)
{
    *out = 0;
    if (digits.len != MINUTE_DIGITS)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        int digit = hex_digit(digits.ptr[i]);
        if (digit < 0)
            return false;
        *out = *out << 4 | (uint32_t)digit;
    }
    return true;
}

static bool read_kind(struct gate_str name, enum gate_usage_kind *out)
{
    for (int i = 0; i < GATE_USAGE_KINDS; i++) {
        if (!gate_str_eq(name, gate_str_of(gate_usage_kind_names[i])))
            continue;
        *out = (enum gate_usage_kind)i;
        return true;
    }
    return false;
}

static bool unescape(struct gate_str escaped, char *out, size_t cap, struct gate_str *name)
{
    size_t len = 0;
    for (size_t i = 0; i < escaped.len; i++, len++) {
        if (len == cap)
            return false;
        out[len] = escaped.ptr[i];
        if (escaped.ptr[i] != '%')
            continue;
        if (escaped.len - i < 3)
            return false;
        int high = hex_digit(escaped.ptr[i + 1]), low = hex_digit(escaped.ptr[i + 2]);
        if (high < 0 || low < 0)
            return false;
        out[len] = (char)(high << 4 | low);
        i += 2;
    }
    *name = (struct gate_str){out, len};
    return true;
}

bool gate_audit_key_read(struct gate_str key, const char *prefix, struct gate_audit_id *id,
                         struct gate_audit_text *text)
{
    struct gate_str minute, kind, outcome, account, before = gate_str_of(prefix);
    if (!gate_str_starts(key, before))
        return false;
    struct gate_str rest = {key.ptr + before.len, key.len - before.len};
    return cut(&rest, '/', &minute) && gate_audit_minute_read(minute, &id->minute) &&
           cut(&rest, '/', &kind) && read_kind(kind, &id->kind) && cut(&rest, '/', &outcome) &&
           unescape(outcome, text->outcome, sizeof text->outcome, &id->outcome) &&
           cut(&rest, ' ', &account) && rest.len == 0 &&
           unescape(account, text->account, sizeof text->account, &id->account);
}
