/* The lexer of lint: Lua 5.4's tokens, from any bytes, with every error of them. */
#include "script/lint_internal.h"

#include "base/buf.h"
#include "base/utf8.h"

enum { TAB = 4, FIRST_CAP = 256, MAX_HEX = 0x7ffffff };

static const char *const WORDS[GATE_TK_RESERVED] = {
    "and",      "break",  "do",   "else", "elseif", "end",   "false", "for",
    "function", "goto",   "if",   "in",   "local",  "nil",   "not",   "or",
    "repeat",   "return", "then", "true", "until",  "while",
};

const char *gate_lint_word(unsigned type)
{
    return WORDS[type];
}

static unsigned reserved_word(struct gate_str word)
{
    unsigned type = 0;
    while (type < GATE_TK_RESERVED && !gate_str_eq(gate_str_of(WORDS[type]), word))
        type++;
    return type;
}

unsigned gate_lint_like_reserved(struct gate_str word)
{
    static const struct {
        char word[8];
        uint8_t type;
    } others[] = {
        {"elif", GATE_TK_ELSEIF}, {"elsif", GATE_TK_ELSEIF}, {"func", GATE_TK_FUNCTION},
        {"fn", GATE_TK_FUNCTION}, {"def", GATE_TK_FUNCTION}, {"let", GATE_TK_LOCAL},
        {"var", GATE_TK_LOCAL},   {"const", GATE_TK_LOCAL},  {"edn", GATE_TK_END},
        {"fro", GATE_TK_FOR},
    };
    static const uint8_t first[] = {GATE_TK_BREAK, GATE_TK_ELSE,  GATE_TK_ELSEIF, GATE_TK_FUNCTION,
                                    GATE_TK_GOTO,  GATE_TK_LOCAL, GATE_TK_REPEAT, GATE_TK_RETURN,
                                    GATE_TK_UNTIL, GATE_TK_WHILE};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (gate_str_eq(word, gate_str_of(others[i].word)))
            return others[i].type;
    }
    for (size_t i = 0; i < sizeof first; i++) {
        if (gate_lint_distance(word, gate_str_of(WORDS[first[i]])) <= gate_lint_allowed(word.len))
            return first[i];
    }
    return GATE_TK_RESERVED;
}

/* ---------------------------------------------------------------- characters */

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_newline(int c)
{
    return c == '\n' || c == '\r';
}

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\f' || c == '\v' || is_newline(c);
}

/* ---------------------------------------------------------------- reading */

struct reader {
    struct gate_lint *p;
    const char *s;
    uint32_t at, len;
    uint32_t line, line_start;
    uint32_t indent; /* of this line; grows until its first token */
    bool first;      /* no token on this line yet */
};

/* The byte n behind the reader; -1: the end. */
static int look(const struct reader *r, uint32_t n)
{
    return n < r->len - r->at ? (unsigned char)r->s[r->at + n] : -1;
}

/* Skips one line break, of one or two bytes. */
static void skip_newline(struct reader *r)
{
    int c = look(r, 0);
    r->at++;
    if (is_newline(look(r, 0)) && look(r, 0) != c)
        r->at++;
    r->line++;
    r->line_start = r->at;
    r->indent = 0;
    r->first = true;
}

/* An error in the bytes from `at` to `end` of the line at hand. */
__attribute__((format(printf, 4, 5))) static struct gate_problem *
complain(struct reader *r, uint32_t at, uint32_t end, const char *format, ...)
{
    struct gate_lint *p = r->p;
    char text[GATE_PROBLEM_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct gate_problem *problem =
        gate_problems_add(&p->lexical, GATE_SEVERITY_ERROR, "syntax", p->name, r->line, "%s", text);
    problem->column = at - r->line_start + 1;
    problem->end_column = end - r->line_start + 1;
    if (p->bad_line_count < GATE_PROBLEMS_MAX &&
        (p->bad_line_count == 0 || p->bad_lines[p->bad_line_count - 1] != r->line))
        p->bad_lines[p->bad_line_count++] = r->line;
    return problem;
}

/* ---------------------------------------------------------------- long brackets */

/* Level of the long bracket at the reader: 0 for "[[", 1 for "[=["; -1: "[", -2: "[==". */
static int long_level(const struct reader *r, int bracket)
{
    uint32_t n = 1;
    while (look(r, n) == '=')
        n++;
    if (look(r, n) == bracket)
        return (int)n - 1;
    return n == 1 ? -1 : -2;
}

/* Reads from "[==[" to "]==]". */
static void read_long(struct reader *r, int level, const char *what)
{
    uint32_t line = r->line, at = r->at, column = r->at - r->line_start + 1;
    r->at += (uint32_t)level + 2;
    while (look(r, 0) >= 0) {
        int c = look(r, 0);
        if (is_newline(c)) {
            skip_newline(r);
        } else if (c == ']') {
            int found = long_level(r, ']');
            if (found == level) {
                r->at += (uint32_t)level + 2;
                return;
            }
            r->at++; /* the run of '=' at once, so that it is looked at once */
            while (look(r, 0) == '=')
                r->at++;
        } else {
            r->at++;
        }
    }
    uint32_t end = column + (uint32_t)level + 2;
    struct gate_problem *problem =
        complain(r, at, at, "this long %s is never closed: ']%.*s]' expected", what,
                 level < 40 ? level : 40, "========================================");
    snprintf(problem->code, sizeof problem->code, "unclosed");
    problem->line = problem->open_line = line;
    problem->column = problem->open_column = column;
    problem->end_column = end;
    r->p->lost = true;
}

/* ---------------------------------------------------------------- strings */

static void bad_escape(struct reader *r, uint32_t at, const char *why)
{
    uint32_t end = r->at;
    if (look(r, 0) >= 0 && !is_newline(look(r, 0)))
        end++;
    char shown[GATE_LINT_SHOWN];
    snprintf(shown, sizeof shown, "%.*s", (int)(end - at < 16 ? end - at : 16), r->s + at);
    complain(r, at, end, "'%s' in a string: %s", shown, why);
}

/* At the "u" of an escape. */
static void read_utf8_escape(struct reader *r, uint32_t at)
{
    uint32_t value = 0, digits = 0;
    r->at++;
    if (look(r, 0) != '{') {
        bad_escape(r, at, "'{' expected, as in \\u{20AC}");
        return;
    }
    for (r->at++; is_hex(look(r, 0)); r->at++, digits++) {
        int c = look(r, 0);
        if (value > MAX_HEX) {
            bad_escape(r, at, "the number of the character is too large");
            return;
        }
        value = value * 16 + (uint32_t)(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    if (digits == 0)
        bad_escape(r, at, "a hexadecimal digit is expected, as in \\u{20AC}");
    else if (look(r, 0) != '}')
        bad_escape(r, at, "'}' expected, as in \\u{20AC}");
    else
        r->at++;
}

static void read_decimal_escape(struct reader *r, uint32_t at)
{
    int value = 0;
    for (int i = 0; i < 3 && is_digit(look(r, 0)); i++)
        value = value * 10 + (r->s[r->at++] - '0');
    if (value > 255)
        bad_escape(r, at, "a decimal escape is at most \\255");
}

/* At a backslash. */
static void read_escape(struct reader *r)
{
    uint32_t at = r->at++;
    int c = look(r, 0);
    if (c < 0)
        return; /* the string is unfinished, which is said there */
    if (is_newline(c)) {
        skip_newline(r);
    } else if (strchr("abfnrtv\\\"'", c) != NULL && c != 0) {
        r->at++;
    } else if (c == 'z') {
        r->at++;
        while (is_space(look(r, 0))) {
            if (is_newline(look(r, 0)))
                skip_newline(r);
            else
                r->at++;
        }
    } else if (c == 'x') {
        r->at++;
        for (int i = 0; i < 2; i++, r->at++) {
            if (!is_hex(look(r, 0))) {
                bad_escape(r, at, "two hexadecimal digits are expected, as in \\x7F");
                return;
            }
        }
    } else if (c == 'u') {
        read_utf8_escape(r, at);
    } else if (is_digit(c)) {
        read_decimal_escape(r, at);
    } else {
        bad_escape(r, at, "there is no such escape; a backslash itself is written \\\\");
    }
}

static void read_string(struct reader *r)
{
    uint32_t line = r->line, at = r->at, column = r->at - r->line_start + 1;
    int quote = look(r, 0);
    r->at++;
    while (look(r, 0) != quote) {
        int c = look(r, 0);
        if (c == '\\') {
            read_escape(r);
        } else if (c < 0 || is_newline(c)) {
            struct gate_problem *problem = complain(
                r, at, r->at, "this string is never closed: the second %c is missing", quote);
            snprintf(problem->code, sizeof problem->code, "unclosed");
            problem->open_line = problem->line = line;
            problem->open_column = problem->column = column;
            if (line != r->line)
                problem->end_column = 0;
            return;
        } else {
            r->at++;
        }
    }
    r->at++;
}

/* ---------------------------------------------------------------- numbers */

static size_t skip_digits(const char *s, size_t at, size_t len, bool hex)
{
    while (at < len && (hex ? is_hex(s[at]) : is_digit(s[at])))
        at++;
    return at;
}

static bool is_number(const char *s, size_t len)
{
    bool hex = len > 1 && s[0] == '0' && (s[1] | 0x20) == 'x';
    size_t at = hex ? 2 : 0, start = at, digits;
    at = skip_digits(s, at, len, hex);
    digits = at - start;
    if (at < len && s[at] == '.') {
        start = ++at;
        at = skip_digits(s, at, len, hex);
        digits += at - start;
    }
    if (digits == 0)
        return false;
    if (at < len && (s[at] | 0x20) == (hex ? 'p' : 'e')) {
        at++;
        if (at < len && (s[at] == '+' || s[at] == '-'))
            at++;
        start = at;
        at = skip_digits(s, at, len, false);
        if (at == start)
            return false;
    }
    return at == len;
}

static void read_number(struct reader *r)
{
    uint32_t at = r->at;
    int exponent = 'e';
    if (look(r, 0) == '0' && (look(r, 1) | 0x20) == 'x' && look(r, 1) > 0) {
        exponent = 'p';
        r->at += 2;
    }
    for (;;) {
        int c = look(r, 0);
        if (c > 0 && (c | 0x20) == exponent) {
            r->at++;
            if (look(r, 0) == '+' || look(r, 0) == '-')
                r->at++;
        } else if (is_hex(c) || c == '.') {
            r->at++;
        } else {
            break;
        }
    }
    bool touches = is_letter(look(r, 0));
    uint32_t end = r->at;
    while (is_letter(look(r, 0)) || is_digit(look(r, 0)))
        r->at++;
    if (touches || !is_number(r->s + at, end - at))
        complain(r, at, r->at, "'%.*s' is not a number", (int)(r->at - at < 40 ? r->at - at : 40),
                 r->s + at);
}

/* ---------------------------------------------------------------- symbols */

static uint64_t hash_of(const struct gate_lint *p, const char *s, size_t len)
{
    /* The address makes it hard to write names that all fall into one place. */
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)(uintptr_t)p;
    for (size_t i = 0; i < len; i++) {
        h = (h ^ (unsigned char)s[i]) * UINT64_C(0x100000001b3);
        h ^= h >> 29;
    }
    h *= UINT64_C(0xff51afd7ed558ccd);
    return h ^ (h >> 32);
}

static uint32_t *find_slot(const struct gate_lint *p, uint64_t seed, uint32_t at, uint32_t len)
{
    uint32_t mask = p->slot_count - 1, i = (uint32_t)seed & mask;
    while (p->slots[i] != GATE_LINT_NONE) {
        const struct gate_lint_symbol *s = &p->symbols[p->slots[i]];
        if (s->len == len && memcmp(p->text.ptr + s->at, p->text.ptr + at, len) == 0)
            break;
        i = (i + 1) & mask;
    }
    return &p->slots[i];
}

static void grow_slots(struct gate_lint *p)
{
    p->slot_count = p->slot_count == 0 ? FIRST_CAP : p->slot_count * 2;
    p->slots = gate_realloc(p->slots, p->slot_count * sizeof *p->slots);
    memset(p->slots, 0xff, p->slot_count * sizeof *p->slots); /* GATE_LINT_NONE */
    for (uint32_t i = 0; i < p->symbol_count; i++) {
        const struct gate_lint_symbol *s = &p->symbols[i];
        *find_slot(p, hash_of(p, p->text.ptr + s->at, s->len), s->at, s->len) = i;
    }
}

/* The symbol of a name; made when it is new. */
static uint32_t intern(struct gate_lint *p, uint32_t at, uint32_t len)
{
    if (p->symbol_count * 2 >= p->slot_count)
        grow_slots(p);
    uint32_t *slot = find_slot(p, hash_of(p, p->text.ptr + at, len), at, len);
    if (*slot != GATE_LINT_NONE)
        return *slot;
    if (p->symbol_count == p->symbol_cap) {
        p->symbol_cap = p->symbol_cap == 0 ? FIRST_CAP : p->symbol_cap * 2;
        p->symbols = gate_realloc(p->symbols, p->symbol_cap * sizeof *p->symbols);
    }
    p->symbols[p->symbol_count] =
        (struct gate_lint_symbol){at, len, GATE_LINT_NONE, GATE_LINT_NONE, GATE_LINT_NONE};
    if (gate_str_eq((struct gate_str){p->text.ptr + at, len}, GATE_STR("_ENV")))
        p->env = p->symbol_count;
    else if (gate_str_eq((struct gate_str){p->text.ptr + at, len}, GATE_STR("self")))
        p->self = p->symbol_count;
    *slot = p->symbol_count;
    return p->symbol_count++;
}

/* ---------------------------------------------------------------- tokens */

static struct gate_lint_token *add_token(struct reader *r)
{
    struct gate_lint *p = r->p;
    if (p->token_count == p->token_cap) {
        p->token_cap = p->token_cap == 0 ? FIRST_CAP : p->token_cap * 2;
        p->tokens = gate_realloc(p->tokens, p->token_cap * sizeof *p->tokens);
    }
    struct gate_lint_token *t = &p->tokens[p->token_count++];
    *t = (struct gate_lint_token){.at = r->at,
                                  .line = r->line,
                                  .column = r->at - r->line_start + 1,
                                  .symbol = GATE_LINT_NONE,
                                  .indent =
                                      (uint16_t)(r->indent < UINT16_MAX ? r->indent : UINT16_MAX),
                                  .type = GATE_TK_EOF,
                                  .flags = r->first ? GATE_TOKEN_FIRST : 0};
    r->first = false;
    return t;
}

/* Ends the newest token at the reader. */
static void end_token(struct reader *r, unsigned type)
{
    struct gate_lint_token *t = &r->p->tokens[r->p->token_count - 1];
    t->type = (uint8_t)type;
    t->end = r->at;
    if (t->line != r->line)
        t->flags |= GATE_TOKEN_LINES;
    r->first = false; /* what follows on the last line of a long string does not begin it */
}

static void take_word(struct reader *r)
{
    struct gate_lint_token *t = add_token(r);
    while (is_letter(look(r, 0)) || is_digit(look(r, 0)))
        r->at++;
    uint32_t len = r->at - t->at;
    unsigned type = reserved_word((struct gate_str){r->s + t->at, len});
    if (type == GATE_TK_NAME)
        t->symbol = intern(r->p, t->at, len);
    end_token(r, type);
}

/* Symbols of two and three characters. Those that other languages have are errors that say what
 * Lua has instead, and are read as that. */
static bool take_pair(struct reader *r)
{
    static const struct {
        char text[4];
        uint8_t type;
        const char *mistake;
    } pairs[] = {
        {"...", GATE_TK_DOTS, NULL},   {"..", GATE_TK_CONCAT, NULL}, {"==", GATE_TK_EQ, NULL},
        {"<=", GATE_TK_LE, NULL},      {">=", GATE_TK_GE, NULL},     {"~=", GATE_TK_NE, NULL},
        {"<<", GATE_TK_SHL, NULL},     {">>", GATE_TK_SHR, NULL},    {"//", GATE_TK_IDIV, NULL},
        {"::", GATE_TK_DBCOLON, NULL}, {"!=", GATE_TK_NE, "'~='"},   {"&&", GATE_TK_AND, "'and'"},
        {"||", GATE_TK_OR, "'or'"},    {"!", GATE_TK_NOT, "'not'"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        uint32_t len = (uint32_t)strlen(pairs[i].text);
        if (len > r->len - r->at || memcmp(r->s + r->at, pairs[i].text, len) != 0)
            continue;
        add_token(r);
        if (pairs[i].mistake != NULL)
            complain(r, r->at, r->at + len, "Lua has no '%s': write %s", pairs[i].text,
                     pairs[i].mistake);
        r->at += len;
        end_token(r, pairs[i].type);
        return true;
    }
    return false;
}

/* A byte that no token begins with; the parser does not see it. */
static void skip_stray(struct reader *r)
{
    uint32_t at = r->at;
    size_t len = gate_utf8_length(r->s + at, r->len - at);
    int c = look(r, 0);
    bool word = c == '$' || c == '@' || c == '?' || c == '`' || c == '\\';
    r->at += len > 0 ? (uint32_t)len : 1;
    if (len > 1)
        complain(r, at, r->at, "'%.*s' can only be in a string or comment", (int)len, r->s + at);
    else if (word)
        complain(r, at, r->at, "Lua has no '%c'", c);
    else
        complain(r, at, r->at, "the byte %d can only be in a string or comment", c);
    /* One error for a run of such bytes. */
    while (look(r, 0) >= 0x80 || (look(r, 0) >= 0 && look(r, 0) < ' ' && !is_space(look(r, 0))))
        r->at++;
}

static void skip_comment(struct reader *r)
{
    r->at += 2;
    int level = look(r, 0) == '[' ? long_level(r, '[') : -1;
    if (level >= 0) {
        bool first = r->first; /* what follows a comment may still begin its line */
        read_long(r, level, "comment");
        r->first = r->first || first;
        return;
    }
    while (look(r, 0) >= 0 && !is_newline(look(r, 0)))
        r->at++;
}

static void take_bracket(struct reader *r)
{
    int level = long_level(r, '[');
    add_token(r);
    if (level >= 0) {
        read_long(r, level, "string");
        end_token(r, GATE_TK_STRING);
        return;
    }
    if (level == -2) {
        uint32_t end = r->at + 1;
        while (end < r->len && r->s[end] == '=')
            end++;
        complain(r, r->at, end, "a long string begins with '[[' or '[=[': '[' expected");
        r->at = end;
    } else {
        r->at++;
    }
    end_token(r, GATE_TK('['));
}

static void take_token(struct reader *r)
{
    int c = look(r, 0);
    if (is_letter(c)) {
        take_word(r);
    } else if (is_digit(c) || (c == '.' && is_digit(look(r, 1)))) {
        add_token(r);
        read_number(r);
        end_token(r, GATE_TK_NUMBER);
    } else if (c == '"' || c == '\'') {
        add_token(r);
        read_string(r);
        end_token(r, GATE_TK_STRING);
    } else if (c == '[') {
        take_bracket(r);
    } else if (take_pair(r)) {
        return;
    } else if (c != 0 && strchr("+-*/%^#&~|<>=(){}];:,.", c) != NULL) {
        add_token(r);
        r->at++;
        end_token(r, GATE_TK((unsigned)c));
    } else {
        skip_stray(r);
    }
}

void gate_lint_lex(struct gate_lint *p)
{
    struct reader r = {
        .p = p, .s = p->text.ptr, .len = (uint32_t)p->text.len, .line = 1, .first = true};
    p->env = p->self = GATE_LINT_NONE;
    if (gate_str_starts(p->text, GATE_STR("\xEF\xBB\xBF")))
        r.at = r.line_start = 3;
    while (look(&r, 0) >= 0) {
        int c = look(&r, 0);
        if (p->lexical.count >= GATE_PROBLEMS_MAX) {
            p->lost = true; /* no text of Lua: enough is said */
            break;
        }
        if (is_newline(c)) {
            skip_newline(&r);
        } else if (is_space(c)) {
            r.indent += !r.first ? 0 : c == '\t' ? TAB - r.indent % TAB : 1;
            r.at++;
        } else if (c == '-' && look(&r, 1) == '-') {
            skip_comment(&r);
        } else {
            take_token(&r);
        }
    }
    r.at = r.len;
    add_token(&r);
    end_token(&r, GATE_TK_EOF);
}
