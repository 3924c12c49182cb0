/* llm-gate route and dry-run: what scripts would decide, asked of the running gateway (or of the
 * stored data where none runs). */
#include "command_internal.h"
#include "script/sources.h"
#include <stdlib.h>
#include <sys/stat.h>

enum { TIMEOUT_MS = 60 * 1000, MAX_BODY = GATE_ADMIN_MAX_BODY };

static const char route_usage[] =
    "Usage: llm-gate route --model NAME [OPTION...] [DIR]\n"
    "\n"
    "Prints where a request would go now, and why. DIR: by the scripts of that directory, not by\n"
    "those that run.\n"
    "\n"
    "  --model NAME       the model that is asked for\n"
    "  --tokens N         of the prompt\n"
    "  --max-tokens N     of the answer\n"
    "  --messages N       in the conversation, 1 if not given\n"
    "  --tools N          that the request offers\n"
    "  --stream           the answer is wanted as a stream\n"
    "  --images           the request has images\n"
    "  --key NAME         of the client's key\n"
    "  --path PATH        /v1/chat/completions if not given\n"
    "  --header NAME=TEXT a header that route_headers lists\n"
    "  --at TIME          Unix time in milliseconds, for scripts that look at the clock\n"
    "  --json             the answer as JSON\n"
    "  --help             this text\n";

static const char dry_run_usage[] =
    "Usage: llm-gate dry-run [OPTION...] DIR\n"
    "\n"
    "Replays recent requests of the running gateway against the scripts of DIR and prints which\n"
    "would go elsewhere. Nothing is sent and nothing is changed.\n"
    "\n"
    "  --requests N  how many, 1000 if not given\n"
    "  --json        the answer as JSON\n"
    "  --help        this text\n";

/* ---- bodies */

static enum gate_status put_files(cJSON *body, const char *dir, struct gate_error *err)
{
    struct gate_sources sources = {.files = NULL};
    struct stat st;
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
        return gate_fail(err, GATE_ENOTFOUND, "%s is not a directory", dir);
    enum gate_status status = gate_sources_read(dir, &sources, err);
    cJSON *files = cJSON_AddObjectToObject(body, "files");
    cJSON_AddTrueToObject(body, "complete"); /* what the directory does not have is not there */
    for (size_t i = 0; i < sources.count; i++)
        cJSON_AddStringToObject(files, sources.files[i].name, sources.files[i].text);
    gate_sources_finish(&sources);
    return status;
}

/* The number that `option` was given; not given: nothing. */
static enum gate_status put_number(cJSON *body, const char *name, const char *option,
                                   const char *text, struct gate_error *err)
{
    char *end = NULL;
    if (text == NULL)
        return GATE_OK;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0')
        return gate_fail(err, GATE_EINVAL, "%s: \"%s\" is no whole number", option, text);
    cJSON_AddNumberToObject(body, name, (double)value);
    return GATE_OK;
}

static enum gate_status put_header(cJSON *body, const char *text, struct gate_error *err)
{
    const char *equal = text != NULL ? strchr(text, '=') : NULL;
    if (text == NULL)
        return GATE_OK;
    if (equal == NULL || equal == text)
        return gate_fail(err, GATE_EINVAL, "--header: expected NAME=TEXT, not \"%s\"", text);
    char *name = gate_strdup((struct gate_str){text, (size_t)(equal - text)});
    cJSON_AddStringToObject(cJSON_AddObjectToObject(body, "headers"), name, equal + 1);
    free(name);
    return GATE_OK;
}

/* ---- asking */

/* Sends the body; NULL: err says why. */
static cJSON *ask(struct command_link *l, const char *path, const cJSON *body,
                  struct gate_error *err)
{
    char *text = cJSON_PrintUnformatted(body);
    cJSON *json = NULL;
    const struct command_request r = {
        .method = "POST", .path = path, .body = gate_str_of(text), .timeout_ms = TIMEOUT_MS};
    if (r.body.len <= MAX_BODY)
        command_ask(l, &r, &json, err);
    else
        gate_fail(err, GATE_ELIMIT, "the scripts are larger than %d bytes", MAX_BODY);
    cJSON_free(text);
    return json;
}

static int print_json(const cJSON *json)
{
    char *text = cJSON_Print(json);
    printf("%s\n", text);
    cJSON_free(text);
    return EXIT_SUCCESS;
}

/* ---- route */

static void print_field(const char *name, const char *text)
{
    if (text[0] != '\0')
        printf("%-10s%s\n", name, text);
}

static void print_decision(const cJSON *json)
{
    const cJSON *d = cJSON_GetObjectItemCaseSensitive(json, "decision"), *item;
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(json, "generation");
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(d, "status");
    int place = 0;
    print_field("outcome", command_text(d, "outcome"));
    if (cJSON_IsNumber(status))
        printf("%-10s%.0f\n", "status", status->valuedouble);
    print_field("message", command_text(d, "message"));
    print_field("reason", command_text(d, "reason"));
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(d, "targets"))
    {
        const char *provider = command_text(item, "provider");
        printf("%-10s%d. %s%s%s\n", place == 0 ? "targets" : "", place + 1,
               provider[0] != '\0' ? provider : "(nobody serves it) ",
               provider[0] != '\0' ? "/" : "",
               command_text(item, provider[0] != '\0' ? "model" : "name"));
        place++;
    }
    place = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(d, "accounts"))
    {
        if (cJSON_IsString(item))
            printf("%-10s%d. %s\n", place == 0 ? "accounts" : "", place + 1, item->valuestring);
        place++;
    }
    print_field("strategy", command_text(d, "strategy"));
    if (cJSON_IsNumber(number))
        printf("%-10s%.0f\n", "scripts", number->valuedouble);
    print_field("stack", command_text(d, "stack"));
}

struct route_options {
    const char *model, *tokens, *max_tokens, *messages, *tools, *key, *path, *header, *at, *dir;
    bool stream, images, json;
};

static enum gate_status route_body(const struct route_options *o, cJSON *body,
                                   struct gate_error *err)
{
    const struct {
        const char *name, *option, *value;
    } numbers[] = {{"prompt_tokens", "--tokens", o->tokens},
                   {"max_tokens", "--max-tokens", o->max_tokens},
                   {"messages", "--messages", o->messages},
                   {"tools", "--tools", o->tools},
                   {"now", "--at", o->at}};
    enum gate_status status = GATE_OK;
    cJSON_AddStringToObject(body, "model", o->model);
    cJSON_AddBoolToObject(body, "stream", o->stream);
    cJSON_AddBoolToObject(body, "has_images", o->images);
    if (o->key != NULL)
        cJSON_AddStringToObject(body, "key", o->key);
    if (o->path != NULL)
        cJSON_AddStringToObject(body, "path", o->path);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && status == GATE_OK; i++)
        status = put_number(body, numbers[i].name, numbers[i].option, numbers[i].value, err);
    if (status == GATE_OK)
        status = put_header(body, o->header, err);
    if (status == GATE_OK && o->dir != NULL)
        status = put_files(body, o->dir, err);
    return status;
}

/* Asks and prints; the exit status. */
static int run(enum gate_status status, const char *path, cJSON *body, bool needs_gateway,
               bool as_json, void (*print)(const cJSON *json), struct gate_error *err)
{
    struct command_link l = {.url = ""};
    cJSON *json = NULL;
    if (status == GATE_OK)
        status = command_link_find(&l, err);
    if (status == GATE_OK && l.endpoint == NULL)
        status = needs_gateway
                     ? gate_fail(err, GATE_ENOTFOUND,
                                 "no gateway runs%s%s: a dry run replays the requests that a "
                                 "running one remembers",
                                 l.url[0] != '\0' ? " at " : "", l.url)
                     : command_link_open(&l, err);
    if (status == GATE_OK)
        json = ask(&l, path, body, err);
    int result = EXIT_SUCCESS;
    if (json == NULL)
        result = command_fail(err);
    else if (as_json)
        print_json(json);
    else
        print(json);
    gate_json_tree_free(json);
    cJSON_Delete(body);
    command_link_finish(&l);
    return result;
}

int gate_command_route(int argc, char **argv)
{
    struct route_options o = {.model = NULL};
    const struct command_option options[] = {
        {"model", &o.model, NULL},
        {"tokens", &o.tokens, NULL},
        {"max-tokens", &o.max_tokens, NULL},
        {"messages", &o.messages, NULL},
        {"tools", &o.tools, NULL},
        {"key", &o.key, NULL},
        {"path", &o.path, NULL},
        {"header", &o.header, NULL},
        {"at", &o.at, NULL},
        {"stream", NULL, &o.stream},
        {"images", NULL, &o.images},
        {"json", NULL, &o.json},
    };
    struct gate_error err = {.message = ""};
    int result = command_options(argc, argv, route_usage, options,
                                 sizeof options / sizeof options[0], &o.dir);
    if (result >= 0)
        return result;
    if (o.model == NULL)
        return command_missing("--model", route_usage);
    cJSON *body = cJSON_CreateObject();
    enum gate_status status = route_body(&o, body, &err);
    return run(status, "/scripts/route", body, false, o.json, print_decision, &err);
}

/* ---- dry-run */

static void print_side(const char *name, const cJSON *side)
{
    const char *outcome = command_text(side, "outcome");
    if (strcmp(outcome, "routed") == 0)
        printf("      %-7s%s/%s, account %s\n", name, command_text(side, "provider"),
               command_text(side, "model"), command_text(side, "account"));
    else
        printf("      %-7s%s: %s\n", name, outcome, command_text(side, "message"));
}

static void print_dry_run(const cJSON *json)
{
    const cJSON *d = cJSON_GetObjectItemCaseSensitive(json, "dry_run"), *item;
    const cJSON *us = cJSON_GetObjectItemCaseSensitive(d, "decision_us");
    const cJSON *report = cJSON_GetObjectItemCaseSensitive(json, "report");
    printf("%.0f requests, %.0f would change (%.1f ms; a decision takes %.1f us, p99 %.1f)\n",
           cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(d, "requests")),
           cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(d, "changed")),
           cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(d, "took_ms")),
           cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(us, "median")),
           cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(us, "p99")));
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(d, "changes"))
    {
        if (strcmp(item->string, "none") != 0 && item->valuedouble > 0)
            printf("  %-10s%.0f\n", item->string, item->valuedouble);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(d, "rows"))
    {
        printf("  %-10s%s  %s\n", command_text(item, "change"), command_text(item, "id"),
               command_text(item, "model"));
        print_side("before", cJSON_GetObjectItemCaseSensitive(item, "before"));
        print_side("after", cJSON_GetObjectItemCaseSensitive(item, "after"));
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(report, "problems"))
    {
        const cJSON *line = cJSON_GetObjectItemCaseSensitive(item, "line");
        printf("%s: %s:%.0f: %s\n", command_text(item, "severity"), command_text(item, "file"),
               cJSON_IsNumber(line) ? line->valuedouble : 0, command_text(item, "message"));
    }
}

int gate_command_dry_run(int argc, char **argv)
{
    const char *dir = NULL, *requests = NULL;
    bool json = false;
    const struct command_option options[] = {{"requests", &requests, NULL}, {"json", NULL, &json}};
    struct gate_error err = {.message = ""};
    int result = command_options(argc, argv, dry_run_usage, options,
                                 sizeof options / sizeof options[0], &dir);
    if (result >= 0)
        return result;
    if (dir == NULL)
        return command_missing("DIR", dry_run_usage);
    cJSON *body = cJSON_CreateObject();
    enum gate_status status = put_files(body, dir, &err);
    if (status == GATE_OK)
        status = put_number(body, "requests", "--requests", requests, &err);
    return run(status, "/scripts/dry-run", body, true, json, print_dry_run, &err);
}
