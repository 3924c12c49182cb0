/* ui-link: an address that opens the console once, to give away in the place of the key. */
#include "command_internal.h"
#include <stdlib.h>

enum { TIMEOUT_MS = 30 * 1000, MAX_BASE = 1024 };

static const char usage[] =
    "Usage: llm-gate ui-link [OPTION...]\n"
    "\n"
    "Prints an address that opens the console of the running gateway, once, within 60 seconds.\n"
    "Whoever opens it is in for 12 hours; the key is not in it.\n"
    "\n"
    "  --url ADDRESS  the gateway's address as browsers know it, where that is another one than\n"
    "                 LLM_GATE_LISTEN: https://gate.example.com\n"
    "  --help         this text\n";

/* Takes the '/' at its end off. */
static enum gate_status check_base(const char *url, struct gate_str *out, struct gate_error *err)
{
    *out = gate_str_of(url);
    while (out->len > 0 && out->ptr[out->len - 1] == '/')
        out->len--;
    bool web =
        gate_str_starts(*out, GATE_STR("http://")) || gate_str_starts(*out, GATE_STR("https://"));
    for (size_t i = 0; i < out->len; i++)
        web = web && out->ptr[i] > ' ' && out->ptr[i] < 0x7f && strchr("?#", out->ptr[i]) == NULL;
    if (!web || out->len > MAX_BASE)
        return gate_fail(err, GATE_EINVAL,
                         "--url: expected an address like https://gate.example.com");
    return GATE_OK;
}

static enum gate_status find_gateway(struct command_link *l, struct gate_error *err)
{
    enum gate_status status = command_link_find(l, err);
    if (status != GATE_OK || l->endpoint != NULL)
        return status;
    if (l->url[0] == '\0')
        return gate_fail(err, GATE_EINVAL,
                         "LLM_GATE_LISTEN has port 0, so the gateway cannot be found: give this "
                         "command the port on which it listens");
    return gate_fail(err, GATE_ENOTFOUND,
                     "no gateway answers on %s: a link is made by the one that runs", l->url);
}

static int print_link(struct command_link *l, struct gate_str base, struct gate_error *err)
{
    const struct command_request r = {
        .method = "POST",
        .path = "/links",
        .body = GATE_STR("{}"),
        .timeout_ms = TIMEOUT_MS,
    };
    cJSON *json;
    command_ask(l, &r, &json, err);
    if (json == NULL)
        return command_fail(err);
    const cJSON *link = cJSON_GetObjectItemCaseSensitive(json, "link");
    if (base.len == 0)
        base = gate_str_of(l->url);
    printf("%.*s%s\n", (int)base.len, base.ptr, command_text(link, "path"));
    gate_json_tree_free(json);
    return EXIT_SUCCESS;
}

int gate_command_ui_link(int argc, char **argv)
{
    const char *url = NULL;
    const struct command_option options[] = {{"url", &url, NULL}};
    struct gate_str base = {NULL, 0};
    struct command_link l = {.url = ""};
    struct gate_error err = {.message = ""};
    int result = command_options(argc, argv, usage, options, 1, NULL);
    if (result >= 0)
        return result;
    if (url != NULL && check_base(url, &base, &err) != GATE_OK) {
        fprintf(stderr, "llm-gate: %s\n\n%s", err.message, usage);
        return GATE_COMMAND_USAGE;
    }
    enum gate_status status = find_gateway(&l, &err);
    result = status == GATE_OK ? print_link(&l, base, &err) : command_fail(&err);
    command_link_finish(&l);
    return result;
}
