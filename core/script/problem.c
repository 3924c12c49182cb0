/* Problems of scripts: a bounded list, cleaned texts, sorting. */
#include "script/problem.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <stdlib.h>

enum {
    SCRATCH = GATE_PROBLEMS_MAX, /* index of the entry that nobody reads */
    RAW_TEXT = 1024,             /* of a message before it is cleaned */
    MAX_LINE_DIGITS = 9,
};

void gate_problems_finish(struct gate_problems *p)
{
    free(p->list);
    *p = (struct gate_problems){0};
}

/* Where the next problem goes. The list never moves: callers hold what add returned. */
static struct gate_problem *place(struct gate_problems *p, enum gate_severity severity)
{
    if (p->list == NULL)
        p->list = gate_alloc((GATE_PROBLEMS_MAX + 1) * sizeof *p->list);
    if (p->kept < GATE_PROBLEMS_MAX)
        return &p->list[p->kept++];
    if (severity == GATE_SEVERITY_ERROR) { /* a warning makes room: errors must be seen */
        for (size_t i = p->kept; i > 0; i--) {
            if (p->list[i - 1].severity != GATE_SEVERITY_ERROR)
                return &p->list[i - 1];
        }
    }
    return &p->list[SCRATCH];
}

/* Copies text as one line of valid UTF-8; cuts between characters. */
static void clean(char *out, size_t cap, const char *text)
{
    size_t left = strlen(text), n = 0;
    while (left > 0) {
        size_t step = gate_utf8_length(text, left), width = step > 0 ? step : 1;
        if (n + width >= cap)
            break;
        unsigned char c = (unsigned char)*text;
        if (step == 0)
            out[n] = '?';
        else if (c < 0x20 || c == 0x7f)
            out[n] = ' ';
        else
            memcpy(out + n, text, step);
        n += width;
        text += width;
        left -= width;
    }
    out[n] = '\0';
}

struct gate_problem *gate_problems_add(struct gate_problems *p, enum gate_severity severity,
                                       const char *code, const char *file, uint32_t line,
                                       const char *format, ...)
{
    struct gate_problem *problem = place(p, severity);
    char raw[RAW_TEXT];
    va_list args;

    *problem = (struct gate_problem){.line = line, .severity = severity};
    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    clean(problem->message, sizeof problem->message, raw);
    clean(problem->file, sizeof problem->file, file);
    clean(problem->code, sizeof problem->code, code);
    p->count++;
    p->errors += severity == GATE_SEVERITY_ERROR;
    return problem;
}

/* Length of the file name that text begins with: words and '/', ending in ".lua" before a ':'. */
static size_t file_length(const char *text)
{
    static const char ending[] = ".lua";
    size_t len = 0;
    while ((text[len] >= 'a' && text[len] <= 'z') || (text[len] >= 'A' && text[len] <= 'Z') ||
           (text[len] >= '0' && text[len] <= '9') ||
           (text[len] != '\0' && strchr("_-./", text[len])))
        len++;
    size_t tail = sizeof ending - 1;
    if (len <= tail || len >= GATE_PROBLEM_FILE || text[len] != ':' ||
        memcmp(text + len - tail, ending, tail) != 0)
        return 0;
    return len;
}

/* Reads "12:" at text; returns how many bytes that are, 0: there is no line. */
static size_t line_number(const char *text, uint32_t *line)
{
    size_t len = 0;
    *line = 0;
    while (text[len] >= '0' && text[len] <= '9' && len < MAX_LINE_DIGITS)
        *line = *line * 10 + (uint32_t)(text[len++] - '0');
    if (len > 0 && text[len] == ':')
        return len + 1;
    *line = 0;
    return 0;
}

struct gate_problem *gate_problems_add_error(struct gate_problems *p, const char *code,
                                             const struct gate_error *err)
{
    const char *text = err->message;
    char file[GATE_PROBLEM_FILE] = "";
    uint32_t line = 0;
    size_t len = file_length(text);
    if (len > 0) {
        memcpy(file, text, len);
        text += len + 1;
        text += line_number(text, &line);
        text += strspn(text, " ");
    }
    return gate_problems_add(p, GATE_SEVERITY_ERROR, code, file, line, "%s", text);
}

static int compare_numbers(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

/* By place; then errors before warnings, then by text, so that the order is always the same. */
static int compare(const void *left, const void *right)
{
    const struct gate_problem *a = left, *b = right;
    int order = strcmp(a->file, b->file);
    if (order == 0)
        order = compare_numbers(a->line, b->line);
    if (order == 0)
        order = compare_numbers(a->column, b->column);
    if (order == 0)
        order = (int)a->severity - (int)b->severity;
    if (order == 0)
        order = strcmp(a->message, b->message);
    return order != 0 ? order : strcmp(a->code, b->code);
}

void gate_problems_sort(struct gate_problems *p)
{
    size_t kept = 0;
    if (p->kept == 0)
        return;
    qsort(p->list, p->kept, sizeof *p->list, compare);
    for (size_t i = 0; i < p->kept; i++) {
        if (kept > 0 && compare(&p->list[kept - 1], &p->list[i]) == 0) {
            p->count--;
            p->errors -= p->list[i].severity == GATE_SEVERITY_ERROR;
            continue;
        }
        if (kept != i)
            p->list[kept] = p->list[i];
        kept++;
    }
    p->kept = kept;
}
