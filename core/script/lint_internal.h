/*
 * lint_internal: what the files of lint share. lint_lexer.c and lint_literal.c turn the text into
 * tokens; lint_parser.c and lint_assign.c (statements) and lint_expr.c (expressions) read them as
 * Lua 5.4 does; lint_recover.c reports and finds the place to go on; lint_scope.c knows variables
 * and labels, lint_names.c what the names of the sandbox offer. Nobody else includes it, but for
 * tests. Everything belongs to one call of gate_lint.
 */
#ifndef GATE_SCRIPT_LINT_INTERNAL_H
#define GATE_SCRIPT_LINT_INTERNAL_H

#include "script/lint.h"

#define GATE_LINT_NONE UINT32_MAX

enum {
    GATE_LINT_DEPTH = 200,    /* of Lua: nested statements and expressions */
    GATE_LINT_LOCALS = 200,   /* of Lua: local variables of one function */
    GATE_LINT_OPENERS = 1024, /* no more can be open at GATE_LINT_DEPTH */
    GATE_LINT_SCAN = 1000,    /* tokens that are looked at to find where to go on */
    GATE_LINT_SHOWN = 64,     /* bytes of a token in a message, with its quotes */
    GATE_LINT_LEFT_SIDES = 8, /* variables of one statement whose values are followed */
};

/* Reserved words first, in the order of the table in lint_lexer.c. */
enum gate_lint_type {
    GATE_TK_AND,
    GATE_TK_BREAK,
    GATE_TK_DO,
    GATE_TK_ELSE,
    GATE_TK_ELSEIF,
    GATE_TK_END,
    GATE_TK_FALSE,
    GATE_TK_FOR,
    GATE_TK_FUNCTION,
    GATE_TK_GOTO,
    GATE_TK_IF,
    GATE_TK_IN,
    GATE_TK_LOCAL,
    GATE_TK_NIL,
    GATE_TK_NOT,
    GATE_TK_OR,
    GATE_TK_REPEAT,
    GATE_TK_RETURN,
    GATE_TK_THEN,
    GATE_TK_TRUE,
    GATE_TK_UNTIL,
    GATE_TK_WHILE,
    GATE_TK_RESERVED, /* how many there are */
    GATE_TK_NAME = GATE_TK_RESERVED,
    GATE_TK_STRING,
    GATE_TK_NUMBER,
    GATE_TK_IDIV,
    GATE_TK_CONCAT,
    GATE_TK_DOTS,
    GATE_TK_EQ,
    GATE_TK_GE,
    GATE_TK_LE,
    GATE_TK_NE,
    GATE_TK_SHL,
    GATE_TK_SHR,
    GATE_TK_DBCOLON,
    GATE_TK_EOF,
    GATE_TK_CHAR = 64, /* GATE_TK_CHAR + c: the character c, one of + - * / % ^ # & ~ | < > = ( ) {
                          } [ ] ; : , . */
};
#define GATE_TK(c) (GATE_TK_CHAR + (c))

enum gate_lint_flags {
    GATE_TOKEN_FIRST = 1 << 0,    /* nothing but space before it on its line */
    GATE_TOKEN_LINES = 1 << 1,    /* ends on another line */
    GATE_TOKEN_MISSPELT = 1 << 2, /* a name that is read as the reserved word it resembles */
};

struct gate_lint_token {
    uint32_t at, end;      /* bytes of the text */
    uint32_t line, column; /* from 1 */
    uint32_t symbol;       /* of a name */
    uint16_t indent;       /* width of the space at the start of its line */
    uint8_t type, flags;
};

/* A name: one for all its occurrences. */
struct gate_lint_symbol {
    uint32_t at, len;  /* its text */
    uint32_t variable; /* the local that it means here; NONE: a global */
    uint32_t label;    /* innermost visible label; NONE */
    uint32_t jump;     /* newest goto that has not met its label; NONE */
};

/* What a value is, as far as its fields are known. */
enum gate_lint_role {
    GATE_ROLE_NONE = 0,
    GATE_ROLE_GATE,
    GATE_ROLE_KV,
    GATE_ROLE_STRING,
    GATE_ROLE_TABLE,
    GATE_ROLE_MATH,
    GATE_ROLE_UTF8,
    GATE_ROLE_REQUEST,
    GATE_ROLE_ACCOUNT,
    GATE_ROLE_LIMITS,
    GATE_ROLE_PROVIDER,
    GATE_ROLE_FAILURE,
    GATE_ROLE_ATTEMPT, /* of on_error */
    GATE_ROLE_SUCCESS, /* the attempt of on_response */
    GATE_ROLE_RESPONSE,
    GATE_ROLE_OBJECTS,                      /* roles before this one have fields */
    GATE_ROLE_ACCOUNTS = GATE_ROLE_OBJECTS, /* a list of accounts */
    GATE_ROLE_WALK,                         /* ipairs(accounts) */
    GATE_ROLE_IPAIRS,
    GATE_ROLE_GET_ACCOUNTS, /* gate.accounts */
    GATE_ROLE_GET_PROVIDER, /* gate.provider */
    GATE_ROLE_FAILURE_KIND, /* a text that is one of a few */
    GATE_ROLE_ACCOUNT_KIND,
    GATE_ROLE_ACCOUNT_STATE,
    GATE_ROLE_ACTION,
    GATE_ROLES,
};

enum gate_lint_variable_kind { GATE_VARIABLE = 0, GATE_VARIABLE_CONST, GATE_VARIABLE_CLOSE };

struct gate_lint_variable {
    uint32_t symbol;   /* NONE: Lua's own, in a loop */
    uint32_t shadowed; /* what the symbol meant before */
    uint8_t kind, role;
};

struct gate_lint_label {
    uint32_t symbol, shadowed, token;
    uint32_t active; /* variables in scope */
};

struct gate_lint_jump {
    uint32_t symbol, older, token;
    uint32_t active;
    bool solved;
};

struct gate_lint_block {
    struct gate_lint_block *outer;
    uint32_t active, first_label, first_jump;
    bool loop;
};

struct gate_lint_function {
    struct gate_lint_function *outer;
    struct gate_lint_block *block, main;
    uint32_t first_variable, first_label;
    uint32_t active; /* variables in scope */
    uint32_t loops;  /* around the statement at hand */
    bool vararg, full;
};

/* What must be closed. */
struct gate_lint_opener {
    uint32_t token;
    uint32_t else_if; /* of an if: the other one that follows its `else` on the line; 0: none */
    uint8_t type;     /* of the opener: GATE_TK_IF, GATE_TK('('), ... */
    bool has_else;    /* of an if: its last branch has begun */
};

enum gate_lint_file {
    GATE_LINT_OTHER = 0, /* a module, a policy test */
    GATE_LINT_GATEWAY,
    GATE_LINT_MODELS,
    GATE_LINT_ROUTING,
    GATE_LINT_ACCOUNTS,
};

struct gate_lint {
    const char *name; /* of the file */
    enum gate_lint_file file;
    struct gate_str text;

    /* made by the lexer */
    struct gate_lint_token *tokens; /* owned; the last is GATE_TK_EOF */
    uint32_t token_count, token_cap;
    struct gate_lint_symbol *symbols; /* owned */
    uint32_t symbol_count, symbol_cap;
    uint32_t *slots; /* owned; symbols by hash */
    uint32_t slot_count;
    uint32_t env, self; /* the symbols _ENV and self; NONE: they do not occur */
    uint32_t bad_lines[GATE_PROBLEMS_MAX];
    uint32_t bad_line_count;
    bool lost; /* the rest of the text could not be read: nothing is said about its end */

    /* one run of the parser */
    uint32_t at;    /* the token at hand */
    uint32_t depth; /* of nested statements and expressions */
    bool panic;     /* an error was found; everything returns until somebody knows how to go on */
    bool stopped;   /* the parser has given up: all is EOF */
    bool left;      /* the token at hand does not belong to the innermost opener any more */
    uint32_t last_line; /* of the last syntax error: one a line is said */
    struct gate_lint_opener openers[GATE_LINT_OPENERS];
    uint32_t opener_count;
    struct gate_lint_function *function;
    struct gate_lint_variable *variables; /* owned */
    uint32_t variable_count, variable_cap;
    struct gate_lint_label *labels; /* owned */
    uint32_t label_count, label_cap;
    struct gate_lint_jump *jumps; /* owned */
    uint32_t jump_count, jump_cap;
    uint32_t naming; /* token that names the function whose body comes next; NONE */
    bool own_env;    /* the file does something with _ENV: its globals are not known */
    /* With a hint of what to mend the run believes the indentation, that often. */
    bool guided;
    uint32_t may_close, may_skip;
    uint32_t unclosed, strays; /* openers without end; `end` without opener */

    struct gate_problems lexical, syntax, warnings;
};

/* ---- lint_lexer.c */

/* Fills tokens, symbols and lexical. */
void gate_lint_lex(struct gate_lint *p);
/* The reserved word that a name resembles; GATE_TK_RESERVED: none. */
unsigned gate_lint_like_reserved(struct gate_str word);
const char *gate_lint_word(unsigned type); /* of a reserved word */

static inline struct gate_lint_token *gate_lint_current(const struct gate_lint *p)
{
    return &p->tokens[p->at];
}

static inline unsigned gate_lint_type(const struct gate_lint *p)
{
    return p->tokens[p->at].type;
}

/* The type of the token n behind the one at hand. */
static inline unsigned gate_lint_peek(const struct gate_lint *p, uint32_t n)
{
    return p->at + n < p->token_count ? p->tokens[p->at + n].type : (unsigned)GATE_TK_EOF;
}

static inline void gate_lint_next(struct gate_lint *p)
{
    if (p->at + 1 < p->token_count)
        p->at++;
}

/* Takes the token at hand if it is of the type. */
static inline bool gate_lint_take(struct gate_lint *p, unsigned type)
{
    if (gate_lint_type(p) != type || p->panic)
        return false;
    gate_lint_next(p);
    return true;
}

static inline struct gate_str gate_lint_text(const struct gate_lint *p, uint32_t token)
{
    const struct gate_lint_token *t = &p->tokens[token];
    return (struct gate_str){p->text.ptr + t->at, t->end - t->at};
}

/* ---- lint_recover.c */

/* A syntax error at the token; sets panic. Follow-up noise is not reported: then it returns NULL.
 */
__attribute__((format(printf, 3, 4))) struct gate_problem *
gate_lint_error(struct gate_lint *p, uint32_t token, const char *format, ...);
/* The same of something that is missing before the token at hand: if that begins a line, the place
 * behind the token before it is marked. */
__attribute__((format(printf, 2, 3))) struct gate_problem *
gate_lint_missing(struct gate_lint *p, const char *format, ...);
/* An error that is no follow-up of another: always reported, no panic. */
__attribute__((format(printf, 4, 5))) struct gate_problem *
gate_lint_fault(struct gate_lint *p, uint32_t token, const char *code, const char *format, ...);
__attribute__((format(printf, 4, 5))) void
gate_lint_warn(struct gate_lint *p, uint32_t token, const char *code, const char *format, ...);
/* "'name'", "the end of the file": the token in a message. out holds GATE_LINT_SHOWN bytes. */
const char *gate_lint_show(const struct gate_lint *p, uint32_t token, char *out);
/* One level deeper. False: too deep, the run has stopped; leave is due in any case. */
bool gate_lint_enter(struct gate_lint *p);
void gate_lint_leave(struct gate_lint *p);

void gate_lint_open(struct gate_lint *p, uint32_t token);
/* Takes the closer of the bracket that was opened last, or says what is wrong. */
void gate_lint_close_bracket(struct gate_lint *p);
/* Takes the `end` of the block that was opened last, or says that it is missing. */
void gate_lint_close_block(struct gate_lint *p);
void gate_lint_close_repeat(struct gate_lint *p); /* the same with `until` */
/* The block that was opened last is never closed; closes it without a token. */
void gate_lint_unclosed(struct gate_lint *p);
/* In a guided run: the indentation says that the innermost opener ended before this token. */
bool gate_lint_is_left(struct gate_lint *p);
/* A token that ends a list of statements: is there an opener for it? If not, it is reported and
 * skipped. */
bool gate_lint_ends_block(struct gate_lint *p);
/* Behind a `return`: is it the last statement of its block? If the indentation says that the block
 * has ended, it is left. */
void gate_lint_check_last(struct gate_lint *p);
/* Takes `then` or `do` behind the head of a statement, if need be by skipping to it. */
void gate_lint_take_head(struct gate_lint *p, unsigned type, const char *expected);
/* After an error in the statement that began at `start`: to the next one. */
void gate_lint_sync(struct gate_lint *p, uint32_t start);

/* ---- lint_scope.c */

void gate_lint_open_function(struct gate_lint *p, struct gate_lint_function *f, bool vararg);
void gate_lint_close_function(struct gate_lint *p);
void gate_lint_enter_block(struct gate_lint *p, struct gate_lint_block *b, bool loop);
void gate_lint_leave_block(struct gate_lint *p);
/* A new variable, not yet in scope. symbol NONE: one of Lua's own. Returns its index. */
uint32_t gate_lint_declare(struct gate_lint *p, uint32_t symbol, uint32_t token, unsigned kind);
void gate_lint_activate(struct gate_lint *p, uint32_t count); /* the next ones declared */
void gate_lint_add_label(struct gate_lint *p, uint32_t token, bool last);
void gate_lint_add_goto(struct gate_lint *p, uint32_t token);
/* The local that the name means; NULL: a global. */
struct gate_lint_variable *gate_lint_resolve(const struct gate_lint *p, uint32_t symbol);

/* ---- lint_expr.c */

enum gate_lint_kind {
    GATE_EXPR_VALUE,
    GATE_EXPR_CALL,
    GATE_EXPR_LOCAL,
    GATE_EXPR_GLOBAL,
    GATE_EXPR_FIELD,
    GATE_EXPR_STRING,
};

struct gate_lint_expr {
    uint8_t kind, role;
    uint8_t owner;  /* role of what a field is in */
    uint32_t token; /* the name, the field's name, the string */
};

void gate_lint_expression(struct gate_lint *p, struct gate_lint_expr *e);
/* A variable or a call. target: it may be assigned to. */
void gate_lint_suffixed(struct gate_lint *p, struct gate_lint_expr *e, bool target);
/* Reads a list; keeps what it can of the first GATE_LINT_LEFT_SIDES. Returns how many. */
uint32_t gate_lint_expressions(struct gate_lint *p, struct gate_lint_expr *list);

/* ---- lint_parser.c */

/* A whole run: fills syntax and warnings. */
void gate_lint_parse(struct gate_lint *p);
/* From the '(' of the parameters to `end`; the opener is already open. */
void gate_lint_body(struct gate_lint *p, bool method);

/* Takes a name, or says that it is missing. Its token, NONE without one. */
uint32_t gate_lint_take_name(struct gate_lint *p, const char *what);
/* gate_lint_declare of a name in the text. */
uint32_t gate_lint_declare_name(struct gate_lint *p, uint32_t token, unsigned kind);

/* ---- lint_assign.c: statements, each read to its end */

void gate_lint_read_local_function(struct gate_lint *p); /* from behind `local function` */
void gate_lint_read_local(struct gate_lint *p);          /* from behind `local` */
void gate_lint_read_function(struct gate_lint *p);       /* from `function` */
void gate_lint_read_expression_statement(struct gate_lint *p);

/* ---- lint_names.c */

/* A global is read: what it is. Warns when there is none of the name. */
unsigned gate_lint_global(struct gate_lint *p, uint32_t token);
void gate_lint_global_write(struct gate_lint *p, uint32_t token, bool function);
/* The field `token` (a name or a string) of a value is read: what it is. Warns if it is unknown. */
unsigned gate_lint_field(struct gate_lint *p, unsigned role, uint32_t token);
void gate_lint_field_write(struct gate_lint *p, unsigned role, uint32_t token);
/* A value is compared with a string. */
void gate_lint_compare(struct gate_lint *p, unsigned role, uint32_t string);
/* The parameter (from 0) of the function that `naming` names. */
unsigned gate_lint_parameter(const struct gate_lint *p, uint32_t naming, uint32_t index);
/* What a call of a value with that first argument returns. */
unsigned gate_lint_result(unsigned role, unsigned argument);

/* Edits that turn a into b, swapped neighbours being one. GATE_LINT_FAR: many. */
enum { GATE_LINT_FAR = 100 };
unsigned gate_lint_distance(struct gate_str a, struct gate_str b);
unsigned gate_lint_allowed(size_t len); /* edits of a misspelt word of that length */

/* ---- lint.c */

/* gate_lint without asking Lua: what the files above find. For tests. */
void gate_lint_read(const char *file, struct gate_str text, struct gate_problems *out);

#endif
