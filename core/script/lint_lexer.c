/* The lexer of lint: Lua 5.4's tokens, from any bytes, with every error of them. */
#include "script/lint_reader.h"

#include "base/buf.h"
#include "base/utf8.h"

enum { TAB = 4, FIRST_CAP = 256 };

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

static struct gate_lint_token *add_token(struct gate_lint_reader *r)
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
static void end_token(struct gate_lint_reader *r, unsigned type)
{
    struct gate_lint_token *t = &r->p->tokens[r->p->token_count - 1];
    t->type = (uint8_t)type;
    t->end = r->at;
    if (t->line != r->line)
        t->flags |= GATE_TOKEN_LINES;
    r->first = false; /* what follows on the last line of a long string does not begin it */
}

static void take_word(struct gate_lint_reader *r)
{
    struct gate_lint_token *t = add_token(r);
    while (gate_lint_is_letter(gate_lint_look(r, 0)) || gate_lint_is_digit(gate_lint_look(r, 0)))
        r->at++;
    uint32_t len = r->at - t->at;
    unsigned type = reserved_word((struct gate_str){r->s + t->at, len});
    if (type == GATE_TK_NAME)
        t->symbol = intern(r->p, t->at, len);
    end_token(r, type);
}

/* Symbols of two and three characters. Those that other languages have are errors that say what
 * Lua has instead, and are read as that. */
static bool take_pair(struct gate_lint_reader *r)
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
            gate_lint_complain(r, r->at, r->at + len, "Lua has no '%s': write %s", pairs[i].text,
                               pairs[i].mistake);
        r->at += len;
        end_token(r, pairs[i].type);
        return true;
    }
    return false;
}

/* A byte that no token begins with; the parser does not see it. */
static void skip_stray(struct gate_lint_reader *r)
{
    uint32_t at = r->at;
    size_t len = gate_utf8_length(r->s + at, r->len - at);
    int c = gate_lint_look(r, 0);
    bool word = c == '$' || c == '@' || c == '?' || c == '`' || c == '\\';
    r->at += len > 0 ? (uint32_t)len : 1;
    if (len > 1)
        gate_lint_complain(r, at, r->at, "'%.*s' can only be in a string or comment", (int)len,
                           r->s + at);
    else if (word)
        gate_lint_complain(r, at, r->at, "Lua has no '%c'", c);
    else
        gate_lint_complain(r, at, r->at, "the byte %d can only be in a string or comment", c);
    /* One error for a run of such bytes. */
    while (gate_lint_look(r, 0) >= 0x80 ||
           (gate_lint_look(r, 0) >= 0 && gate_lint_look(r, 0) < ' ' &&
            !gate_lint_is_space(gate_lint_look(r, 0))))
        r->at++;
}

static void skip_comment(struct gate_lint_reader *r)
{
    r->at += 2;
    int level = gate_lint_look(r, 0) == '[' ? gate_lint_long_level(r, '[') : -1;
    if (level >= 0) {
        bool first = r->first; /* what follows a comment may still begin its line */
        gate_lint_read_long(r, level, "comment");
        r->first = r->first || first;
        return;
    }
    while (gate_lint_look(r, 0) >= 0 && !gate_lint_is_newline(gate_lint_look(r, 0)))
        r->at++;
}

static void take_bracket(struct gate_lint_reader *r)
{
    int level = gate_lint_long_level(r, '[');
    add_token(r);
    if (level >= 0) {
        gate_lint_read_long(r, level, "string");
        end_token(r, GATE_TK_STRING);
        return;
    }
    if (level == -2) {
        uint32_t end = r->at + 1;
        while (end < r->len && r->s[end] == '=')
            end++;
        gate_lint_complain(r, r->at, end, "a long string begins with '[[' or '[=[': '[' expected");
        r->at = end;
    } else {
        r->at++;
    }
    end_token(r, GATE_TK('['));
}

static void take_token(struct gate_lint_reader *r)
{
    int c = gate_lint_look(r, 0);
    if (gate_lint_is_letter(c)) {
        take_word(r);
    } else if (gate_lint_is_digit(c) || (c == '.' && gate_lint_is_digit(gate_lint_look(r, 1)))) {
        add_token(r);
        gate_lint_read_number(r);
        end_token(r, GATE_TK_NUMBER);
    } else if (c == '"' || c == '\'') {
        add_token(r);
        gate_lint_read_string(r);
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
    struct gate_lint_reader r = {
        .p = p, .s = p->text.ptr, .len = (uint32_t)p->text.len, .line = 1, .first = true};
    p->env = p->self = GATE_LINT_NONE;
    if (gate_str_starts(p->text, GATE_STR("\xEF\xBB\xBF")))
        r.at = r.line_start = 3;
    while (gate_lint_look(&r, 0) >= 0) {
        int c = gate_lint_look(&r, 0);
        if (p->lexical.count >= GATE_PROBLEMS_MAX) {
            p->lost = true; /* no text of Lua: enough is said */
            break;
        }
        if (gate_lint_is_newline(c)) {
            gate_lint_skip_newline(&r);
        } else if (gate_lint_is_space(c)) {
            r.indent += !r.first ? 0 : c == '\t' ? TAB - r.indent % TAB : 1;
            r.at++;
        } else if (c == '-' && gate_lint_look(&r, 1) == '-') {
            skip_comment(&r);
        } else {
            take_token(&r);
        }
    }
    r.at = r.len;
    add_token(&r);
    end_token(&r, GATE_TK_EOF);
}
