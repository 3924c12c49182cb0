/*
 * lint_reader: the bytes of a script as the lexer of lint reads them, between lint_lexer.c (tokens)
 * and lint_literal.c (strings, numbers, long brackets). Nobody else includes it.
 */
#ifndef GATE_SCRIPT_LINT_READER_H
#define GATE_SCRIPT_LINT_READER_H

#include "script/lint_internal.h"

struct gate_lint_reader {
    struct gate_lint *p;
    const char *s;
    uint32_t at, len;
    uint32_t line, line_start;
    uint32_t indent; /* of this line; grows until its first token */
    bool first;      /* no token on this line yet */
};

/* The byte n behind the reader; -1: the end. */
static inline int gate_lint_look(const struct gate_lint_reader *r, uint32_t n)
{
    return n < r->len - r->at ? (unsigned char)r->s[r->at + n] : -1;
}

static inline bool gate_lint_is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static inline bool gate_lint_is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static inline bool gate_lint_is_newline(int c)
{
    return c == '\n' || c == '\r';
}

static inline bool gate_lint_is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\f' || c == '\v' || gate_lint_is_newline(c);
}

/* Skips one line break, of one or two bytes. */
void gate_lint_skip_newline(struct gate_lint_reader *r);
/* An error in the bytes from `at` to `end` of the line at hand. */
__attribute__((format(printf, 4, 5))) struct gate_problem *
gate_lint_complain(struct gate_lint_reader *r, uint32_t at, uint32_t end, const char *format, ...);

/* Level of the long bracket at the reader: 0 for "[[", 1 for "[=["; -1: "[", -2: "[==". */
int gate_lint_long_level(const struct gate_lint_reader *r, int bracket);
/* Read what begins at the reader; errors are reported and the reader is behind it. */
void gate_lint_read_long(struct gate_lint_reader *r, int level, const char *what);
void gate_lint_read_string(struct gate_lint_reader *r);
void gate_lint_read_number(struct gate_lint_reader *r);

#endif
