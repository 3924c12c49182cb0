#include "base/clock.h"
#include "base/json.h"
#include "command_internal.h"
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    POLL_MS = 1000,
    MAX_MISSES = 5, /* polls in a row without an answer before it gives up */
    START_TIMEOUT_MS = 2 * GATE_LOGIN_TIMEOUT_MS,
    ASK_TIMEOUT_MS = 10 * 1000,
    MAX_BODY = 8192,
    MAX_ID = 64,
    MAX_PATH = 96,
    PLAIN_COLUMNS = 80, /* of what is no terminal */
    MINUTE_MS = 60 * 1000,
    NOT_FOUND = 404,
    SIGNAL_BASE = 128,
};

static const char usage[] =
    "Usage: llm-gate login [PROVIDER] [OPTION...]\n"
    "\n"
    "Signs in to a provider with a code that you confirm in a browser, on this or any other\n"
    "device. A running gateway uses the account at once.\n"
    "\n"
    "  PROVIDER       the provider's name; without it qwen-oauth, which \"qwen\" means too\n"
    "  --alias NAME   name of the new account\n"
    "  --account ID   renew this account (id or alias): it keeps its id, name and counters\n"
    "  --qr           show a QR code even where standard output is no terminal\n"
    "  --no-qr        show none\n"
    "  --help         this text\n"
    "\n"
    "Ctrl-C cancels. Exit status: 0 signed in, 1 not (refused, expired, failed), 2 wrong\n"
    "arguments, 130 cancelled.\n";

struct login {
    struct command_link link;
    const char *provider, *alias, *account;
    bool qr, no_qr;
    char path[MAX_PATH]; /* of the flow: "/logins/<id>" */
};

/* ---- starting */

static void put_member(struct gate_buf *body, const char *name, const char *value)
{
    if (value == NULL)
        return;
    gate_buf_append_byte(body, body->len > 1 ? ',' : ' ');
    gate_json_put(body, gate_str_of(name));
    gate_buf_append_byte(body, ':');
    gate_json_put(body, gate_str_of(value));
}

/* NULL: err says why. */
static cJSON *start(struct login *l, struct gate_error *err)
{
    const char *provider = l->provider;
    struct gate_buf body;
    cJSON *json;
    if (provider == NULL && l->account == NULL)
        provider = "qwen-oauth";
    if (provider != NULL && strcmp(provider, "qwen") == 0)
        provider = "qwen-oauth";
    gate_buf_init(&body, MAX_BODY);
    gate_buf_append_byte(&body, '{');
    put_member(&body, "provider", provider);
    put_member(&body, "alias", l->alias);
    put_member(&body, "account", l->account);
    gate_buf_append_byte(&body, '}');
    const struct command_request r = {
        .method = "POST",
        .path = "/logins",
        .body = gate_buf_str(&body),
        .timeout_ms = START_TIMEOUT_MS,
    };
    command_ask(&l->link, &r, &json, err);
    gate_buf_finish(&body);
    return json;
}

/* ---- what the person sees */

static void show_qr(const struct login *l, const char *address)
{
    bool terminal = isatty(STDOUT_FILENO) != 0;
    struct winsize size;
    unsigned columns = PLAIN_COLUMNS;
    if (l->no_qr || (!terminal && !l->qr))
        return;
    if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        columns = size.ws_col;
    printf("\n");
    if (!command_qr(stdout, address, terminal, columns))
        printf("  (no room for a QR code)\n");
}

static void show(struct login *l, const cJSON *flow)
{
    const cJSON *expires = cJSON_GetObjectItemCaseSensitive(flow, "expires_at");
    const char *complete = command_text(flow, "verification_uri_complete");
    const char *address = complete[0] != '\0' ? complete : command_text(flow, "verification_uri");
    double left_ms =
        (cJSON_IsNumber(expires) ? expires->valuedouble : 0) - (double)gate_clock_wall_ms();
    if (l->link.endpoint != NULL)
        printf("Sign in to %s for the gateway on %s\n\n", command_text(flow, "provider"),
               l->link.url);
    else
        printf("Sign in to %s\n\n", command_text(flow, "provider"));
    printf("  open  %s\n  code  %s\n", address, command_text(flow, "user_code"));
    show_qr(l, address);
    printf("\nWaiting until you confirm it");
    if (left_ms >= MINUTE_MS)
        printf("; the code is good for %.0f minutes", left_ms / MINUTE_MS);
    printf(". Ctrl-C cancels.\n");
    fflush(stdout);
}

/* ---- waiting */

/* The exit status of a flow in this state; -1: it is not over. */
static int outcome(const struct login *l, const cJSON *flow)
{
    const char *state = command_text(flow, "state"), *message = command_text(flow, "message");
    if (strcmp(state, "starting") == 0 || strcmp(state, "pending") == 0)
        return -1;
    if (strcmp(state, "done") == 0) {
        printf("%s account %s\n",
               l->account != NULL ? "Renewed" : "Signed in:", command_text(flow, "account"));
        if (message[0] != '\0')
            fprintf(stderr, "llm-gate: %s\n", message);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "llm-gate: not signed in: %s%s%s\n", state, message[0] != '\0' ? ": " : "",
            message);
    return EXIT_FAILURE;
}

/* The flow as the gateway knows it; NULL: err says why. */
static cJSON *ask_flow(struct login *l, const char *method, int *status, struct gate_error *err)
{
    const struct command_request r = {
        .method = method, .path = l->path, .timeout_ms = ASK_TIMEOUT_MS};
    cJSON *json;
    *status = command_ask(&l->link, &r, &json, err);
    return json;
}

static int outcome_of(const struct login *l, cJSON *json)
{
    int result = outcome(l, cJSON_GetObjectItemCaseSensitive(json, "login"));
    gate_json_tree_free(json);
    return result;
}

/* The person may have confirmed it just before the keys were pressed. */
static int cancel(struct login *l)
{
    struct gate_error err = {.message = ""};
    int status;
    cJSON *json = ask_flow(l, "DELETE", &status, &err);
    const cJSON *flow = cJSON_GetObjectItemCaseSensitive(json, "login");
    if (flow == NULL)
        fprintf(stderr, "llm-gate: the login could not be cancelled: %s\n", err.message);
    else if (strcmp(command_text(flow, "state"), "cancelled") != 0)
        return outcome_of(l, json);
    else
        fprintf(stderr, "llm-gate: cancelled\n");
    gate_json_tree_free(json);
    return SIGNAL_BASE + l->link.stopped_by;
}

static int wait_for_end(struct login *l)
{
    struct gate_error err = {.message = ""};
    int result = -1, status, misses = 0;
    while (result < 0 && command_link_sleep(&l->link, POLL_MS)) {
        cJSON *json = ask_flow(l, "GET", &status, &err);
        if (json != NULL) {
            misses = 0;
            result = outcome_of(l, json);
        } else if (status == NOT_FOUND) {
            gate_fail(&err, GATE_ENOTFOUND,
                      "the gateway was restarted and has forgotten this login: start it again");
            result = command_fail(&err);
        } else if (++misses == MAX_MISSES) {
            result = command_fail(&err);
        }
    }
    return result >= 0 ? result : cancel(l);
}

/* ---- the command */

static int sign_in(struct login *l, struct gate_error *err)
{
    cJSON *json = start(l, err);
    const cJSON *flow = cJSON_GetObjectItemCaseSensitive(json, "login");
    if (flow == NULL) {
        command_fail(err);
        return l->link.stopped_by != 0 ? SIGNAL_BASE + l->link.stopped_by : EXIT_FAILURE;
    }
    snprintf(l->path, sizeof l->path, "/logins/%.*s", MAX_ID, command_text(flow, "id"));
    int result = outcome(l, flow);
    if (result < 0 && l->link.stopped_by == 0)
        show(l, flow);
    gate_json_tree_free(json);
    return result >= 0 ? result : wait_for_end(l);
}

int gate_command_login(int argc, char **argv)
{
    struct login l = {.provider = NULL};
    const struct command_option options[] = {
        {"alias", &l.alias, NULL},
        {"account", &l.account, NULL},
        {"qr", NULL, &l.qr},
        {"no-qr", NULL, &l.no_qr},
    };
    struct gate_error err = {.message = ""};
    int result = command_options(argc, argv, usage, options, sizeof options / sizeof options[0],
                                 &l.provider);
    if (result >= 0)
        return result;
    enum gate_status status = command_link_find(&l.link, &err);
    if (status == GATE_OK && l.link.endpoint == NULL)
        status = command_link_open(&l.link, &err);
    result = status == GATE_OK ? sign_in(&l, &err) : command_fail(&err);
    command_link_finish(&l.link);
    return result;
}
