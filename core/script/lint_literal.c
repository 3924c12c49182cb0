/* The bytes that lint reads, and what is written out in a script: strings, numbers, long brackets.
 */
#include "script/lint_reader.h"

enum { MAX_HEX = 0x7ffffff };

static bool is_hex(int c)
{
    return gate_lint_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

void gate_lint_skip_newline(struct gate_lint_reader *r)
{
    int c = gate_lint_look(r, 0);
    r->at++;
    if (gate_lint_is_newline(gate_lint_look(r, 0)) && gate_lint_look(r, 0) != c)
        r->at++;
    r->line++;
    r->line_start = r->at;
    r->indent = 0;
    r->first = true;
}

struct gate_problem *gate_lint_complain(struct gate_lint_reader *r, uint32_t at, uint32_t end,
                                        const char *format, ...)
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

int gate_lint_long_level(const struct gate_lint_reader *r, int bracket)
{
    uint32_t n = 1;
    while (gate_lint_look(r, n) == '=')
        n++;
    if (gate_lint_look(r, n) == bracket)
        return (int)n - 1;
    return n == 1 ? -1 : -2;
}

/* Reads from "[==[" to "]==]". */
void gate_lint_read_long(struct gate_lint_reader *r, int level, const char *what)
{
    uint32_t line = r->line, at = r->at, column = r->at - r->line_start + 1;
    r->at += (uint32_t)level + 2;
    while (gate_lint_look(r, 0) >= 0) {
        int c = gate_lint_look(r, 0);
        if (gate_lint_is_newline(c)) {
            gate_lint_skip_newline(r);
        } else if (c == ']') {
            int found = gate_lint_long_level(r, ']');
            if (found == level) {
                r->at += (uint32_t)level + 2;
                return;
            }
            r->at++; /* the run of '=' at once, so that it is looked at once */
            while (gate_lint_look(r, 0) == '=')
                r->at++;
        } else {
            r->at++;
        }
    }
    uint32_t end = column + (uint32_t)level + 2;
    struct gate_problem *problem =
        gate_lint_complain(r, at, at, "this long %s is never closed: ']%.*s]' expected", what,
                           level < 40 ? level : 40, "========================================");
    snprintf(problem->code, sizeof problem->code, "unclosed");
    problem->line = problem->open_line = line;
    problem->column = problem->open_column = column;
    problem->end_column = end;
    r->p->lost = true;
}

/* ---------------------------------------------------------------- strings */

static void bad_escape(struct gate_lint_reader *r, uint32_t at, const char *why)
{
    uint32_t end = r->at;
    int c = gate_lint_look(r, 0);
    if (c > ' ' && c != '"' && c != '\'' && !gate_lint_is_digit(r->s[end - 1]))
        end++; /* the byte that does not fit */
    char shown[GATE_LINT_SHOWN];
    snprintf(shown, sizeof shown, "%.*s", (int)(end - at < 16 ? end - at : 16), r->s + at);
    gate_lint_complain(r, at, end, "'%s' in a string: %s", shown, why);
}

/* At the "u" of an escape. */
static void read_utf8_escape(struct gate_lint_reader *r, uint32_t at)
{
    uint32_t value = 0, digits = 0;
    r->at++;
    if (gate_lint_look(r, 0) != '{') {
        bad_escape(r, at, "'{' expected, as in \\u{20AC}");
        return;
    }
    for (r->at++; is_hex(gate_lint_look(r, 0)); r->at++, digits++) {
        int c = gate_lint_look(r, 0);
        if (value > MAX_HEX) {
            bad_escape(r, at, "the number of the character is too large");
            return;
        }
        value = value * 16 + (uint32_t)(gate_lint_is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    if (digits == 0)
        bad_escape(r, at, "a hexadecimal digit is expected, as in \\u{20AC}");
    else if (gate_lint_look(r, 0) != '}')
        bad_escape(r, at, "'}' expected, as in \\u{20AC}");
    else
        r->at++;
}

static void read_decimal_escape(struct gate_lint_reader *r, uint32_t at)
{
    int value = 0;
    for (int i = 0; i < 3 && gate_lint_is_digit(gate_lint_look(r, 0)); i++)
        value = value * 10 + (r->s[r->at++] - '0');
    if (value > 255)
        bad_escape(r, at, "a decimal escape is at most \\255");
}

/* At a backslash. */
static void read_escape(struct gate_lint_reader *r)
{
    uint32_t at = r->at++;
    int c = gate_lint_look(r, 0);
    if (c < 0)
        return; /* the string is unfinished, which is said there */
    if (gate_lint_is_newline(c)) {
        gate_lint_skip_newline(r);
    } else if (strchr("abfnrtv\\\"'", c) != NULL && c != 0) {
        r->at++;
    } else if (c == 'z') {
        r->at++;
        while (gate_lint_is_space(gate_lint_look(r, 0))) {
            if (gate_lint_is_newline(gate_lint_look(r, 0)))
                gate_lint_skip_newline(r);
            else
                r->at++;
        }
    } else if (c == 'x') {
        r->at++;
        for (int i = 0; i < 2; i++, r->at++) {
            if (!is_hex(gate_lint_look(r, 0))) {
                bad_escape(r, at, "two hexadecimal digits are expected, as in \\x7F");
                return;
            }
        }
    } else if (c == 'u') {
        read_utf8_escape(r, at);
    } else if (gate_lint_is_digit(c)) {
        read_decimal_escape(r, at);
    } else {
        bad_escape(r, at, "there is no such escape; a backslash itself is written \\\\");
    }
}

void gate_lint_read_string(struct gate_lint_reader *r)
{
    uint32_t line = r->line, at = r->at, column = r->at - r->line_start + 1;
    int quote = gate_lint_look(r, 0);
    r->at++;
    while (gate_lint_look(r, 0) != quote) {
        int c = gate_lint_look(r, 0);
        if (c == '\\') {
            read_escape(r);
        } else if (c < 0 || gate_lint_is_newline(c)) {
            struct gate_problem *problem = gate_lint_complain(
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
    while (at < len && (hex ? is_hex(s[at]) : gate_lint_is_digit(s[at])))
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

void gate_lint_read_number(struct gate_lint_reader *r)
{
    uint32_t at = r->at;
    int exponent = 'e';
    if (gate_lint_look(r, 0) == '0' && (gate_lint_look(r, 1) | 0x20) == 'x' &&
        gate_lint_look(r, 1) > 0) {
        exponent = 'p';
        r->at += 2;
    }
    for (;;) {
        int c = gate_lint_look(r, 0);
        if (c > 0 && (c | 0x20) == exponent) {
            r->at++;
            if (gate_lint_look(r, 0) == '+' || gate_lint_look(r, 0) == '-')
                r->at++;
        } else if (is_hex(c) || c == '.') {
            r->at++;
        } else {
            break;
        }
    }
    bool touches = gate_lint_is_letter(gate_lint_look(r, 0));
    uint32_t end = r->at;
    while (gate_lint_is_letter(gate_lint_look(r, 0)) || gate_lint_is_digit(gate_lint_look(r, 0)))
        r->at++;
    if (touches || !is_number(r->s + at, end - at))
        gate_lint_complain(r, at, r->at, "'%.*s' is not a number",
                           (int)(r->at - at < 40 ? r->at - at : 40), r->s + at);
}
