#include "base/clock.h"
#include "command_internal.h"
#include <poll.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    ROOT_TIMEOUT_MS = 3000,
    GRACE_MS = 3000, /* for an answer after a signal */
    MAX_REASON = 256,
    UNAUTHORIZED = 401,
};

/* One request. It belongs to the main thread; once abandoned, to the control thread. */
struct ask {
    struct command_link *link;
    const struct command_request *request; /* lent until the main thread stops waiting */
    bool bare;                             /* of the root, without a key */
    struct gate_control_call *call;        /* control thread, as is what follows */
    bool replied, abandoned;
    int status;
    char reason[MAX_REASON]; /* why there is no answer */
    struct gate_buf json;
};

static void free_ask(struct ask *a)
{
    gate_buf_finish(&a->json);
    free(a);
}

/* ---- control thread */

static void on_reply(void *ctx, int status, struct gate_str json)
{
    struct ask *a = ctx;
    const uint64_t one = 1;
    a->call = NULL;
    if (a->abandoned) {
        free_ask(a);
        return;
    }
    a->replied = true;
    a->status = status;
    gate_buf_append(&a->json, json);
    if (write(a->link->replies, &one, sizeof one) != sizeof one)
        abort(); /* a counter of 64 bits that is full */
}

static void on_answer(void *ctx, const struct gate_answer *answer)
{
    struct ask *a = ctx;
    snprintf(a->reason, sizeof a->reason, "%.*s", (int)answer->reason.len, answer->reason.ptr);
    on_reply(a, answer->status, answer->body);
}

static void describe(struct ask *a, struct gate_builder *b)
{
    const struct gate_config *c = a->link->parts.config;
    const struct command_request *r = a->request;
    const char *key = c->admin_key != NULL ? c->admin_key : c->api_key;
    struct gate_buf text;
    gate_buf_init(&text, 4096);
    b->ops.endpoint(b, a->link->endpoint);
    gate_buf_printf(&text, "%s%s%s%s", a->bare ? "" : "/admin/api", r->path,
                    r->query != NULL ? "?" : "", r->query != NULL ? r->query : "");
    b->ops.path(b, gate_buf_str(&text));
    gate_buf_wipe(&text);
    gate_buf_init(&text, 4096);
    if (!a->bare && key != NULL) {
        gate_buf_printf(&text, "Bearer %s", key);
        b->ops.header(b, GATE_STR("authorization"), gate_buf_str(&text));
    }
    gate_buf_wipe(&text);
    if (strcmp(r->method, "DELETE") == 0)
        b->out->method = "DELETE"; /* GET and POST follow from the body */
}

static void send_request(struct ask *a)
{
    struct gate_builder builder;
    struct gate_built built;
    struct gate_error err = {.message = ""};
    gate_builder_init(&builder, a->request->body, &built);
    describe(a, &builder);
    if (gate_builder_end(&builder, GATE_STR(""), "llm-gate", &err) != GATE_OK) {
        snprintf(a->reason, sizeof a->reason, "%s", err.message);
        on_reply(a, 0, GATE_STR(""));
        return;
    }
    a->call = gate_control_send(command_link_control(a->link), &built, a->request->timeout_ms,
                                on_answer, a);
    gate_built_finish(&built);
}

static void begin(void *arg)
{
    struct ask *a = arg;
    const struct command_request *r = a->request;
    if (a->link->endpoint != NULL) {
        send_request(a);
        return;
    }
    const struct gate_admin_request request = {
        .method = gate_str_of(r->method),
        .path = gate_str_of(r->path),
        .query = gate_str_of(r->query != NULL ? r->query : ""),
        .body = r->body,
    };
    gate_admin_handle(a->link->admin, &request, on_reply, a);
}

/* Nobody waits any more. */
static void abandon(void *arg)
{
    struct ask *a = arg;
    if (a->call != NULL)
        gate_control_cancel(a->call);
    if (a->call != NULL || a->replied)
        free_ask(a);
    else
        a->abandoned = true;
}

/* ---- main thread */

/* True: the reply is there. False: whoever pressed the keys has waited long enough. */
static bool wait_for_reply(struct command_link *l)
{
    uint64_t give_up = l->stopped_by != 0 ? gate_clock_mono_ms() + GRACE_MS : UINT64_MAX;
    struct pollfd fds[] = {{.fd = l->replies, .events = POLLIN},
                           {.fd = l->signals, .events = POLLIN}};
    struct signalfd_siginfo info;
    uint64_t count;
    for (;;) {
        uint64_t now = gate_clock_mono_ms();
        int wait_ms = give_up > now ? (int)(give_up - now) : 0;
        poll(fds, 2, give_up == UINT64_MAX ? -1 : wait_ms);
        if (read(l->replies, &count, sizeof count) == sizeof count)
            return true;
        if (read(l->signals, &info, sizeof info) == sizeof info) {
            give_up = l->stopped_by != 0 ? 0 : gate_clock_mono_ms() + GRACE_MS;
            l->stopped_by = (int)info.ssi_signo;
        }
        if (gate_clock_mono_ms() >= give_up)
            return false;
    }
}

/* NULL: nobody waits any more. Else the caller frees it. */
static struct ask *run(struct command_link *l, const struct command_request *r, bool bare)
{
    struct gate_control *control = command_link_control(l);
    struct ask *a = gate_calloc(1, sizeof *a);
    uint64_t count;
    a->link = l;
    a->request = r;
    a->bare = bare;
    gate_buf_init(&a->json, GATE_ADMIN_MAX_ANSWER);
    gate_control_call(control, begin, a);
    if (wait_for_reply(l))
        return a;
    gate_control_call(control, abandon, a);
    while (read(l->replies, &count, sizeof count) == sizeof count)
        ; /* it came in between */
    return NULL;
}

bool command_ask_root(struct command_link *l)
{
    const struct command_request r = {.method = "GET", .path = "/", .timeout_ms = ROOT_TIMEOUT_MS};
    char reason[GATE_JSON_TREE_REASON];
    struct ask *a = run(l, &r, true);
    if (a == NULL)
        return false;
    cJSON *json = a->status == 200 ? gate_json_tree_parse(gate_buf_str(&a->json), reason) : NULL;
    bool is_gateway = strcmp(command_text(json, "name"), "llm-gate") == 0;
    gate_json_tree_free(json);
    free_ask(a);
    return is_gateway;
}

/* ---- what the answer says */

const char *command_text(const cJSON *object, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(value) ? value->valuestring : "";
}

/* Some of the strings come from login services: control characters would steer the terminal. */
static void clean(cJSON *value)
{
    for (char *p = cJSON_IsString(value) ? value->valuestring : NULL; p != NULL && *p != '\0';
         p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
        if ((unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0) /* U+0080 to U+009F */
            p[0] = p[1] = '?';
    }
    for (cJSON *child = value != NULL ? value->child : NULL; child != NULL; child = child->next)
        clean(child);
}

static void say_refused(const struct command_link *l, int status, const cJSON *json,
                        struct gate_error *err)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(json, "error");
    const char *message = command_text(error, "message");
    if (status == UNAUTHORIZED)
        gate_fail(err, GATE_EDENIED,
                  "the gateway on %s refuses the key: give this command the gateway's ADMIN_KEY, "
                  "or where it has none its API_KEY or data directory",
                  l->url);
    else if (message[0] != '\0')
        gate_fail(err, GATE_EINVAL, "%s", message);
    else
        gate_fail(err, GATE_EPARSE, "the gateway on %s answered with status %d", l->url, status);
}

int command_ask(struct command_link *l, const struct command_request *r, cJSON **json,
                struct gate_error *err)
{
    char reason[GATE_JSON_TREE_REASON] = "";
    struct ask *a = run(l, r, false);
    *json = NULL;
    if (a == NULL) {
        gate_fail(err, GATE_ETIMEOUT, "there was no answer in time");
        return 0;
    }
    int status = a->status;
    if (status == 0)
        gate_fail(err, GATE_EIO, "the gateway on %s does not answer: %s", l->url, a->reason);
    else
        *json = gate_json_tree_parse(gate_buf_str(&a->json), reason);
    free_ask(a);
    clean(*json);
    if (status >= 200 && status < 300 && *json != NULL)
        return status;
    if (status != 0)
        say_refused(l, status, *json, err);
    gate_json_tree_free(*json);
    *json = NULL;
    return status >= 200 && status < 300 ? 0 : status;
}
