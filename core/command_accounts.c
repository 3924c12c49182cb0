#include "command_internal.h"
#include <stdlib.h>

enum { TIMEOUT_MS = 30 * 1000, PAGE = 50, MAX_QUERY = 2048, MAX_COUNT = 48, MAX_PAGES = 200 };

static const char usage[] =
    "Usage: llm-gate accounts [OPTION...]\n"
    "\n"
    "Lists the accounts: id, state, requests of today with their limit, name.\n"
    "\n"
    "  --provider NAME  those of one provider only\n"
    "  --state STATE    those in one state only: serving, cooling, limited, exhausted, sign_in,\n"
    "                   no_credential, disabled, deleted\n"
    "  --help           this text\n";

struct filter {
    const char *provider, *state;
};

/* ---- one page */

static void put_param(struct gate_buf *query, const char *name, const char *value)
{
    if (value == NULL)
        return;
    gate_buf_printf(query, "%s%s=", query->len > 0 ? "&" : "", name);
    for (; *value != '\0'; value++)
        gate_buf_printf(query, "%%%02x", (unsigned)(unsigned char)*value);
}

/* NULL: err says why. */
static cJSON *ask_page(struct command_link *l, const struct filter *f, const char *after,
                       struct gate_error *err)
{
    struct gate_buf query;
    cJSON *json = NULL;
    gate_buf_init(&query, MAX_QUERY);
    gate_buf_printf(&query, "limit=%d", PAGE);
    put_param(&query, "provider", f->provider);
    put_param(&query, "state", f->state);
    put_param(&query, "after", after);
    bool whole = gate_buf_append_byte(&query, '\0');
    const struct command_request r = {
        .method = "GET",
        .path = "/accounts",
        .query = query.ptr,
        .timeout_ms = TIMEOUT_MS,
    };
    if (whole)
        command_ask(l, &r, &json, err);
    else
        gate_fail(err, GATE_EINVAL, "that is no provider and no state");
    gate_buf_finish(&query);
    return json;
}

/* ---- the table */

/* "12", or "12/2000" where there is a limit. */
static void write_count(const cJSON *account, const char *kind, char out[MAX_COUNT])
{
    const cJSON *quota = cJSON_GetObjectItemCaseSensitive(account, "quota");
    const cJSON *of_kind = cJSON_GetObjectItemCaseSensitive(quota, kind);
    const cJSON *day = cJSON_GetObjectItemCaseSensitive(of_kind, "requests_day");
    const cJSON *used = cJSON_GetObjectItemCaseSensitive(day, "used");
    const cJSON *limit = cJSON_GetObjectItemCaseSensitive(day, "limit");
    if (!cJSON_IsNumber(used)) /* a quota plugin that counts other things */
        snprintf(out, MAX_COUNT, "-");
    else if (cJSON_IsNumber(limit))
        snprintf(out, MAX_COUNT, "%.0f/%.0f", used->valuedouble, limit->valuedouble);
    else
        snprintf(out, MAX_COUNT, "%.0f", used->valuedouble);
}

static int widest(const cJSON *accounts, int width)
{
    const cJSON *a;
    cJSON_ArrayForEach(a, accounts)
    {
        int len = (int)strlen(command_text(a, "id"));
        width = len > width ? len : width;
    }
    return width;
}

/* Names come last: they alone may hold characters of any width. */
static void print_rows(const cJSON *accounts, const struct filter *f, int width)
{
    const cJSON *a;
    cJSON_ArrayForEach(a, accounts)
    {
        char chat[MAX_COUNT], search[MAX_COUNT];
        if (f->state == NULL && strcmp(command_text(a, "state"), "deleted") == 0)
            continue;
        write_count(a, "chat", chat);
        write_count(a, "search", search);
        printf("%-*s  %-13s  %12s  %12s  %s\n", width, command_text(a, "id"),
               command_text(a, "state"), chat, search, command_text(a, "alias"));
    }
}

static int print_all(struct command_link *l, const struct filter *f, struct gate_error *err)
{
    cJSON *pages[MAX_PAGES] = {NULL};
    size_t count = 0;
    const char *next = NULL;
    int width = (int)sizeof "ACCOUNT" - 1, result = EXIT_SUCCESS;
    do {
        pages[count] = ask_page(l, f, next, err);
        if (pages[count] == NULL)
            break;
        next = command_text(pages[count], "next");
        width = widest(cJSON_GetObjectItemCaseSensitive(pages[count++], "accounts"), width);
    } while (next[0] != '\0' && count < MAX_PAGES);
    if (count == MAX_PAGES && next[0] != '\0')
        gate_fail(err, GATE_ELIMIT, "there are more than %d accounts", MAX_PAGES * PAGE);
    if (count == 0 || next[0] != '\0') {
        result = command_fail(err);
    } else {
        printf("%-*s  %-13s  %12s  %12s  %s\n", width, "ACCOUNT", "STATE", "CHAT TODAY",
               "SEARCH TODAY", "NAME");
        for (size_t i = 0; i < count; i++)
            print_rows(cJSON_GetObjectItemCaseSensitive(pages[i], "accounts"), f, width);
    }
    for (size_t i = 0; i < count; i++)
        gate_json_tree_free(pages[i]);
    return result;
}

int gate_command_accounts(int argc, char **argv)
{
    struct filter f = {NULL, NULL};
    const struct command_option options[] = {
        {"provider", &f.provider, NULL},
        {"state", &f.state, NULL},
    };
    struct command_link l = {.url = ""};
    struct gate_error err = {.message = ""};
    int result =
        command_options(argc, argv, usage, options, sizeof options / sizeof options[0], NULL);
    if (result >= 0)
        return result;
    enum gate_status status = command_link_find(&l, &err);
    if (status == GATE_OK && l.endpoint == NULL)
        status = command_link_open(&l, &err);
    result = status == GATE_OK ? print_all(&l, &f, &err) : command_fail(&err);
    command_link_finish(&l);
    return result;
}
