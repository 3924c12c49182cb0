/*
 * gate/plugin.h: the contract between llm-gate and its plugins, and the only header a plugin sees.
 *
 * A plugin is one shared object that exports one symbol:
 *
 *     GATE_EXPORT const struct gate_plugin gate_plugin = { GATE_PLUGIN_HEADER(GATE_KIND_PROVIDER),
 * ... };
 *
 * The gateway loads it at start with RTLD_NOW | RTLD_LOCAL, checks the frozen head of the struct,
 * and calls init. Everything below is plain C11 data and functions; a plugin links nothing of the
 * gateway.
 *
 * Threads. "control" is the thread that starts, stops and reloads the gateway; a "worker" is one of
 * the threads that serve requests, each with its own event loop. A function that runs on a worker
 * must not block: no file, no socket, no sleep, no lock that another thread may hold for long.
 *
 * Ownership. A gate_str is a lent view: it is valid until the function it was given to returns,
 * unless its comment names a longer life. It is not terminated by a NUL byte.
 *
 * Compatibility. Within one GATE_ABI_MAJOR structs and ops tables only grow at their end; each
 * starts with its own size, and a reader treats what lies beyond that size as zero. A missing
 * function (NULL) means what its comment says it means.
 */
#ifndef GATE_PLUGIN_H
#define GATE_PLUGIN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GATE_ABI_MAJOR 1
#define GATE_ABI_MINOR 4

#define GATE_EXPORT __attribute__((visibility("default")))

/* ---------------------------------------------------------------- basic types */

/* A lent piece of bytes. ptr may be NULL only when len is 0. */
struct gate_str {
    const char *ptr;
    size_t len;
};

#define GATE_STR(literal) ((struct gate_str){(literal), sizeof(literal) - 1})

static inline struct gate_str gate_str_of(const char *s)
{
    return (struct gate_str){s, s ? strlen(s) : 0};
}

static inline bool gate_str_eq(struct gate_str a, struct gate_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool gate_str_starts(struct gate_str s, struct gate_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* A byte range of a request body. len == 0 means absent (no JSON value is empty). */
struct gate_range {
    size_t off;
    size_t len;
};

enum gate_status {
    GATE_OK = 0,
    GATE_EINVAL,    /* the caller's input is wrong */
    GATE_ENOTFOUND, /* nothing of that name */
    GATE_ECONFLICT, /* someone else was first: a version or a fencing token did not match */
    GATE_ELIMIT,    /* a bound was reached */
    GATE_EIO,       /* a file or socket failed */
    GATE_ETIMEOUT,  /* a clock ran out */
    GATE_EPARSE,    /* foreign bytes that do not parse */
    GATE_EDENIED,   /* not allowed by policy */
    GATE_EINTERNAL, /* a bug */
};

#define GATE_ERROR_MAX 512

/* The caller's box for the reason of a failure. Owner: caller. Filled only when a function fails.
 */
struct gate_error {
    enum gate_status status;
    char message[GATE_ERROR_MAX]; /* one line, no secret, NUL-terminated */
};

/* Fills err (may be NULL) and returns status, so that a function can fail in one line. */
__attribute__((format(printf, 3, 4))) static inline enum gate_status
gate_fail(struct gate_error *err, enum gate_status status, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        err->status = status;
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return status;
}

/* One HTTP header. Names that the gateway hands out are in lower case. */
struct gate_header {
    struct gate_str name;
    struct gate_str value;
};

/* Where a plugin writes bytes of any length. append copies; the writer is valid during the call. */
struct gate_writer {
    void *ctx;
    void (*append)(void *ctx, struct gate_str bytes);
};

static inline void gate_write(const struct gate_writer *w, struct gate_str bytes)
{
    w->append(w->ctx, bytes);
}

/* ---------------------------------------------------------------- configuration */

enum gate_option_type {
    GATE_OPTION_STRING = 1,
    GATE_OPTION_NUMBER, /* a double; integers are exact up to 2^53 */
    GATE_OPTION_BOOL,
    GATE_OPTION_LIST, /* a list of strings */
};

/* One option that a plugin understands. The gateway checks names and types before the plugin sees a
 * value, applies the default, and shows the table in `llm-gate plugins` and in the console. */
struct gate_option {
    const char *name;
    enum gate_option_type type;
    const char *fallback; /* default as text ("auto", "150", "true", "a,b"); NULL: no default, may
                             be absent */
    const char *help;     /* one line: what it does, unit, range */
    const char *choices;  /* for strings: "off|auto|exact"; NULL: any */
};

/* The value of one option. Owner: gateway; valid as long as the instance that it was given to. */
struct gate_value {
    bool present; /* false: not configured and no default */
    struct gate_str string;
    double number;
    bool boolean;
    const struct gate_str *list;
    size_t list_len;
};

/* ---------------------------------------------------------------- services of the host */

enum gate_log_level { GATE_LOG_DEBUG = 0, GATE_LOG_INFO, GATE_LOG_WARN, GATE_LOG_ERROR };

/* An upstream base address, parsed and checked: scheme, host, port, base path, TLS settings.
 * Opaque. */
struct gate_endpoint;

enum gate_endpoint_origin {
    GATE_ENDPOINT_OPERATOR = 1, /* from configuration: any address, http included */
    GATE_ENDPOINT_FOREIGN, /* from outside (a token reply, a redirect): https and public addresses
                              only, checked again on every resolved address, unless
                              LLM_GATE_ALLOW_PRIVATE=1 */
};

/* What the gateway offers to a plugin. Valid from init until fini. Every function may be called
 * from any thread unless it says otherwise. */
struct gate_host {
    size_t size;

    /* Writes one line to the gateway's log. Never pass a credential or a body. */
    void (*log)(enum gate_log_level level, const char *plugin, const char *message);

    /* Milliseconds since the Unix epoch. */
    uint64_t (*now_ms)(void);

    /* Parses base_url ("https://host[:port]/base"). Control thread. On GATE_OK *out is owned by the
     * caller, who gives it back with endpoint_release. GATE_EINVAL: not a URL; GATE_EDENIED: the
     * origin does not allow it. */
    enum gate_status (*endpoint_create)(struct gate_str base_url, enum gate_endpoint_origin origin,
                                        const struct gate_endpoint **out, struct gate_error *err);
    void (*endpoint_release)(const struct gate_endpoint *endpoint);

    /* Finds a member of the JSON object in `object` (its first byte, after white space, is '{')
     * without building a tree. Returns true and the member's value, quotes included, as a view into
     * `object`. */
    bool (*json_member)(struct gate_str object, struct gate_str key, struct gate_str *value);

    /* Walks the elements of the JSON array in `array`. *cursor starts at 0. Returns false at the
     * end. */
    bool (*json_element)(struct gate_str array, size_t *cursor, struct gate_str *element);

    /* Decodes a JSON string (quotes included) into out as UTF-8. False: not a string. */
    bool (*json_decode)(struct gate_str value, const struct gate_writer *out);

    /* Writes text as a JSON string, quotes included; bytes that are not UTF-8 become U+FFFD. */
    void (*json_encode)(struct gate_str text, const struct gate_writer *out);

    /* Overwrites a secret in a way that the compiler keeps. */
    void (*wipe)(void *bytes, size_t len);
};

/* ---------------------------------------------------------------- the plugin itself */

enum gate_kind {
    GATE_KIND_PROVIDER = 1,
    GATE_KIND_DIALECT,
    GATE_KIND_STORAGE,
    GATE_KIND_QUOTA,
    GATE_KIND_FILTER,
};

struct gate_plugin {
    /* Frozen for ever: read before anything else is believed. */
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t struct_size;
    uint32_t kind; /* enum gate_kind */

    const char *name;    /* lower case, [a-z0-9_]: "qwen"; unique within its kind */
    const char *version; /* the plugin's own version */
    const char *summary; /* one line */

    /* Options of one instance (a provider instance, a filter of an instance, the storage, the
     * quota). */
    const struct gate_option *options;
    size_t option_count;

    const void *ops; /* struct gate_<kind>_ops */

    /* Once, on the control thread, before any other call. NULL: nothing to do. Not GATE_OK stops
     * the start. */
    enum gate_status (*init)(const struct gate_host *host, struct gate_error *err);
    /* On each worker thread before its first and after its last request. NULL: nothing to do. */
    enum gate_status (*worker_init)(struct gate_error *err);
    void (*worker_fini)(void);
    /* Once, on the control thread, after every instance is destroyed. NULL: nothing to do. */
    void (*fini)(void);
};

#define GATE_PLUGIN_HEADER(kind_)                                                                  \
    .abi_major = GATE_ABI_MAJOR, .abi_minor = GATE_ABI_MINOR,                                      \
    .struct_size = sizeof(struct gate_plugin), .kind = (kind_)

/* ---------------------------------------------------------------- a request as plugins see it */

/* What one scan of the body found, in the terms of the body's dialect. Ranges point into the body.
 */
struct gate_request_facts {
    struct gate_range model;         /* the JSON string, quotes included */
    struct gate_range messages;      /* the array of messages */
    struct gate_range first_message; /* its first and last element */
    struct gate_range last_message;
    struct gate_range tools;          /* the array of tools */
    struct gate_range stream_options; /* the object */
    size_t root;                      /* offset just behind the root's opening brace */
    uint32_t message_count;
    uint32_t tool_count;
    uint32_t depth; /* deepest nesting, root = 1 */
    bool stream;
    bool has_images; /* an "image_url", "input_image" or "image" part somewhere in the messages */
    uint64_t max_tokens; /* max_tokens or max_completion_tokens; 0: absent */
};

/* One attempt to have a request answered by one account. Lent to the provider during a call. */
struct gate_call {
    size_t size;
    struct gate_str request_id;
    struct gate_str model; /* the model to ask for, decoded; may differ from the one in the body */
    struct gate_str body;  /* the client's bytes, in the provider's native dialect */
    struct gate_str path;  /* the dialect's upstream path: "/chat/completions" */
    const struct gate_request_facts *facts;
    void *account; /* what account_attach returned for the account that was chosen */
};

/* ---------------------------------------------------------------- provider */

enum gate_credential_kind {
    GATE_CREDENTIAL_NONE = 0,
    GATE_CREDENTIAL_API_KEY = 1,
    GATE_CREDENTIAL_OAUTH
};

/* A secret, lent during account_attach only: copy what is needed and wipe the copy in
 * account_detach. */
struct gate_credential {
    enum gate_credential_kind kind;
    struct gate_str secret; /* the key, or the provider's own JSON for an OAuth login */
};

/* Receives the upstream request. The gateway adds Host, Content-Length, Content-Type and Connection
 * itself. */
struct gate_request_builder {
    size_t size;
    void *ctx;
    /* Where to send it. Must be called. The endpoint must outlive the attempt: keep it in the
     * account or instance. */
    void (*endpoint)(void *ctx, const struct gate_endpoint *endpoint);
    /* Path below the endpoint's base path. Not called: gate_call.path. */
    void (*path)(void *ctx, struct gate_str path);
    /* One header; copied. A name or value with CR, LF or NUL is refused and fails the attempt. */
    void (*header)(void *ctx, struct gate_str name, struct gate_str value);
    /* Ready "Name: value\r\n" lines that live as long as the account: not copied. Once. */
    void (*header_block)(void *ctx, struct gate_str lines);
    /* Replaces body[off, off+len) by text (copied). Edits come in any order and must not overlap;
     * len 0 inserts. Bytes that no edit names go upstream as the client sent them. */
    void (*replace)(void *ctx, size_t off, size_t len, struct gate_str text);
};

/* What an upstream answered, as far as it is known. */
struct gate_answer {
    size_t size;
    int status; /* HTTP status; 0: the transport failed and `reason` says how */
    const struct gate_header *headers;
    size_t header_count;
    struct gate_str
        body; /* first bytes of the body, at most 16 KiB, or the data of the event `in_stream` */
    bool in_stream;         /* body is an event inside a 200 stream */
    struct gate_str reason; /* text of a transport failure */
    /* Since 1.1. What account_attach returned for the account that was asked; NULL: none (a login
     * that has not brought a credential yet). */
    void *account;
};

enum gate_verdict_kind {
    GATE_VERDICT_OK = 0,
    GATE_VERDICT_AUTH,            /* the credential is not accepted */
    GATE_VERDICT_RATE_LIMITED,    /* try later: retry_after_ms */
    GATE_VERDICT_QUOTA_EXHAUSTED, /* nothing left until retry_after_ms (0: until the next reset) */
    GATE_VERDICT_OVERLOADED,      /* the service is busy or failing: 5xx, 529 */
    GATE_VERDICT_BLOCKED,         /* a firewall page, a captcha, HTML instead of an answer */
    GATE_VERDICT_CLIENT_ERROR,    /* the request is wrong; no other account would do better */
    GATE_VERDICT_NETWORK,         /* not reached, reset, TLS failure */
    GATE_VERDICT_TRUNCATED,       /* the answer ended before its end */
    GATE_VERDICT_TIMEOUT,         /* one of the three clocks */
    GATE_VERDICT_GARBAGE,         /* not HTTP, or not what was asked for */
};

struct gate_verdict {
    enum gate_verdict_kind kind;
    uint64_t retry_after_ms;
    char code[64];     /* the upstream's own code, "" if none */
    char message[384]; /* the upstream's own text, cut, "" if none; no secret */
};

/* Where a provider that needs no network writes its answer. */
struct gate_answer_sink {
    size_t size;
    void *ctx;
    void (*head)(void *ctx, int status, struct gate_str content_type); /* once, first */
    void (*data)(void *ctx, struct gate_str bytes); /* copied; whole SSE events for a stream */
    void (*end)(void *ctx);                         /* once, last */
};

enum gate_claim {
    GATE_CLAIM_NO = 0,
    GATE_CLAIM_ANY,  /* takes whatever nobody else claims */
    GATE_CLAIM_NAME, /* knows this model */
};

struct gate_provider_ops {
    size_t size;
    const char *dialect; /* name of its native dialect: "openai_chat" */

    /* Control thread. `values` follows the order of gate_plugin.options. *out is handed to all
     * calls below. */
    enum gate_status (*instance_create)(struct gate_str name, const struct gate_value *values,
                                        void **out, struct gate_error *err);
    /* Any thread, once nothing uses the instance: after a change of the configuration the last
     * request that began before it may be what kept it. */
    void (*instance_destroy)(void *instance);

    /* Control thread, whenever a credential is set or renewed: prepare what every request of the
     * account needs (header lines, endpoint). The result is immutable and shared by all workers;
     * the old one is detached, on any thread, when no attempt uses it any more. */
    enum gate_status (*account_attach)(void *instance, const struct gate_credential *credential,
                                       void **out, struct gate_error *err);
    void (*account_detach)(void *instance, void *account);

    /* Any thread: does this instance serve the model? Pure. */
    enum gate_claim (*claims)(void *instance, struct gate_str model);
    /* Any thread: names every model that GET /v1/models should list. */
    void (*each_model)(void *instance, void (*cb)(void *ctx, struct gate_str model), void *ctx);

    /* Worker; the control thread when a person tests an account. Describes the upstream request;
     * does no I/O. */
    enum gate_status (*build_request)(void *instance, const struct gate_call *call,
                                      const struct gate_request_builder *out,
                                      struct gate_error *err);
    /* Threads as build_request. Judges an answer that is not plainly good. NULL: by HTTP status
     * alone. */
    void (*classify)(void *instance, const struct gate_answer *answer, struct gate_verdict *out);

    /* Worker. A provider that answers by itself sets this instead of build_request (see
     * provider_echo). */
    enum gate_status (*answer)(void *instance, const struct gate_call *call,
                               const struct gate_answer_sink *sink, struct gate_error *err);

    /* Pairs for what a provider asks of its service beside chat: the gateway does the I/O between
     * the two. Request functions describe a request with the builder: POST when they set a body by
     * `replace` on an empty body (off 0, len 0), else GET; a body goes out with the content-type
     * that they set by `header`, or application/json. Parse functions read the answer: the whole
     * body, at most 1 MiB. NULL: the service has no such thing. Control thread, but for search,
     * which runs on a worker. A `secret` writer receives the credential's new text, which only this
     * plugin understands; the gateway encrypts it, stores it and lends it to account_attach. */

    /* Starts a device login (RFC 8628 with PKCE). verifier: 43 characters, base64url of 32 random
     * bytes, made by the gateway. */
    enum gate_status (*login_begin_request)(void *instance, struct gate_str verifier,
                                            const struct gate_request_builder *out,
                                            struct gate_error *err);
    /* Writes the flow as a JSON object: device_code, user_code, verification_uri,
     * verification_uri_complete (may be absent), expires_in and interval (seconds, numbers). */
    enum gate_status (*login_begin_parse)(void *instance, const struct gate_answer *answer,
                                          const struct gate_writer *flow, struct gate_error *err);
    enum gate_status (*login_poll_request)(void *instance, struct gate_str flow,
                                           struct gate_str verifier,
                                           const struct gate_request_builder *out,
                                           struct gate_error *err);
    /* GATE_OK: signed in, the secret is written; GATE_ELIMIT: poll on after *interval_ms (in: what
     * it was; may grow); GATE_EIO, GATE_EPARSE: nothing was learnt (a network failure, a firewall
     * page), poll on; GATE_EDENIED: the person said no; GATE_ETIMEOUT: the code expired; others:
     * the flow is over. */
    enum gate_status (*login_poll_parse)(void *instance, const struct gate_answer *answer,
                                         uint64_t *interval_ms, const struct gate_writer *secret,
                                         struct gate_error *err);
    enum gate_status (*refresh_request)(void *instance, const struct gate_credential *credential,
                                        const struct gate_request_builder *out,
                                        struct gate_error *err);
    /* Writes the whole new secret: what the answer does not name is kept from `old`.
     * GATE_EDENIED: the refresh token is dead, a person must sign in; GATE_EIO, GATE_EPARSE: try
     * again later. *expires_at_ms: Unix, when the new access token ends; 0: not known. */
    enum gate_status (*refresh_parse)(void *instance, const struct gate_credential *old,
                                      const struct gate_answer *answer,
                                      const struct gate_writer *secret, uint64_t *expires_at_ms,
                                      struct gate_error *err);
    /* A person asks what the service itself lists for this account; nothing is routed by it.
     * GATE_ENOTFOUND: this account has no list. */
    enum gate_status (*models_request)(void *instance, void *account,
                                       const struct gate_request_builder *out,
                                       struct gate_error *err);
    /* Calls cb for each. GATE_EDENIED: the credential is not accepted; others: there is no list in
     * the answer, err says why. */
    enum gate_status (*models_parse)(void *instance, const struct gate_answer *answer,
                                     void (*cb)(void *ctx, struct gate_str model), void *ctx,
                                     struct gate_error *err);
    /* Worker. page from 1, rows from 1 to 100. GATE_ENOTFOUND: this account cannot search. */
    enum gate_status (*search_request)(void *instance, void *account, struct gate_str query,
                                       uint32_t page, uint32_t rows,
                                       const struct gate_request_builder *out,
                                       struct gate_error *err);
    /* Worker. Writes the results as a JSON array of {title, url, content, score, publishedDate};
     * score is a number or null, the others strings. Called for 2xx answers that are not HTML; what
     * is refused goes to classify. GATE_EPARSE: not such an answer; GATE_EIO: the service reports a
     * failure inside it. Either way another account is asked. */
    enum gate_status (*search_parse)(void *instance, const struct gate_answer *answer,
                                     const struct gate_writer *results, struct gate_error *err);

    /* Since 1.1. */

    /* Control thread. When the access token of an OAuth credential ends, as its text says: Unix ms;
     * 0: not known, or never. NULL: never. */
    uint64_t (*credential_expires)(void *instance, const struct gate_credential *credential);
    /* Any thread: does this account serve the model, of those that the instance claims? NULL: every
     * account serves all of them. Pure. */
    bool (*account_serves)(void *instance, void *account, struct gate_str model);

    /* Since 1.3. */

    /* Control thread. Which credentials accounts of this instance can have, as its options stand:
     * bits 1 << gate_credential_kind. What is not among them account_attach refuses. NULL: an API
     * key where there is build_request, and a login where there is login_begin_request. */
    unsigned (*credential_kinds)(void *instance);
};

/* ---------------------------------------------------------------- stream events */

/* One server-sent event. All views lie in the stream's bytes and are valid during the call. */
struct gate_event {
    struct gate_str raw; /* every byte of it, from its first line to its closing blank line */
    struct gate_str
        data; /* value of its data line; several lines are joined by LF; empty: no data line */
    struct gate_str type; /* value of its event line, or empty */
    struct gate_str id;   /* value of its id line, or empty */
    bool has_data;
    unsigned flags; /* since 1.4: what the dialect found (enum gate_event_flags); 0 without data */
};

/* ---------------------------------------------------------------- dialect */

/* An error on its way to the client. */
struct gate_api_error {
    int status; /* HTTP status */
    struct gate_str
        type; /* "invalid_request_error", "authentication_error", "upstream_error", ... */
    struct gate_str code; /* machine-readable: "model_not_found"; empty: none */
    struct gate_str param;
    struct gate_str message;
};

enum gate_event_flags {
    GATE_EVENT_CONTENT =
        1 << 0, /* carries text, reasoning, a tool call or a finish: the answer has begun */
    GATE_EVENT_TERMINAL = 1 << 1,   /* the stream is complete after it: [DONE], message_stop */
    GATE_EVENT_FINISH = 1 << 2,     /* carries a finish reason */
    GATE_EVENT_USAGE = 1 << 3,      /* carries token counts */
    GATE_EVENT_ERROR = 1 << 4,      /* reports a failure inside the stream */
    GATE_EVENT_USAGE_ONLY = 1 << 5, /* carries token counts and nothing else: may be kept back */
    /* Since 1.4: what it adds to the answer is one piece of text, or of reasoning, of the first
     * choice (number 0), and nothing else; token counts may be beside it. Most events of most
     * streams are such: a filter that knows what to do with them need not read them. May be left
     * out, never given wrongly. */
    GATE_EVENT_TEXT_ONLY = 1 << 6,
    GATE_EVENT_REASONING_ONLY = 1 << 7,
};

/* Tokens of one answer as the upstream counted them. */
struct gate_usage {
    uint64_t prompt; /* cached ones included */
    uint64_t completion;
    uint64_t cached; /* prompt tokens that came from the upstream's cache */
};

enum { GATE_MAX_LIMIT_KEYS = 4 };

/* A dialect is the shape of an API, independent of host. The canonical form, through which two
 * different dialects are translated, is the JSON of the OpenAI chat API: request object, completion
 * object and chunk objects. So N dialects need N adapters; when client and provider speak the same
 * dialect nothing is translated. */
struct gate_dialect_ops {
    size_t size;
    const char *client_path;   /* where clients post it: "/v1/chat/completions" */
    const char *upstream_path; /* below a provider's base address: "/chat/completions" */
    const char *messages_key;  /* top-level array that holds the conversation: "messages" */

    /* Worker. Flags of an event (enum gate_event_flags), by looking, without building a tree. */
    unsigned (*inspect_event)(const struct gate_event *event);
    /* Any thread. Writes the body of an error answer. */
    void (*render_error)(const struct gate_api_error *error, const struct gate_writer *out);
    /* Worker. Writes an error as an event of a stream that has begun, blank line included. */
    void (*render_error_event)(const struct gate_api_error *error, const struct gate_writer *out);

    /* Translation to and from the canonical form; NULL: the dialect is the canonical form. Worker.
     * `state` is a translation state of one stream, made by stream_open and freed by stream_close.
     */
    enum gate_status (*parse_request)(struct gate_str body, const struct gate_writer *canonical,
                                      struct gate_error *err);
    enum gate_status (*render_request)(struct gate_str canonical, const struct gate_writer *body,
                                       struct gate_error *err);
    enum gate_status (*parse_answer)(struct gate_str body, const struct gate_writer *canonical,
                                     struct gate_error *err);
    enum gate_status (*render_answer)(struct gate_str canonical, const struct gate_writer *body,
                                      struct gate_error *err);
    void *(*stream_open)(struct gate_str request_id, struct gate_str model);
    enum gate_status (*parse_event)(void *state, const struct gate_event *event,
                                    const struct gate_writer *canonical, struct gate_error *err);
    enum gate_status (*render_event)(void *state, struct gate_str canonical,
                                     const struct gate_writer *events, struct gate_error *err);
    void (*stream_close)(void *state);

    /* Since 1.1: what an answer cost. NULL: token counts are estimated from sizes. */

    /* Worker. Splices into a stream request what makes the upstream report token counts. Called
     * for streams only, after the provider built its request; body and facts are the client's.
     * Returns true when the client itself did not ask: the event that only reports usage is then
     * kept from it. */
    bool (*ask_usage)(struct gate_str body, const struct gate_request_facts *facts,
                      const struct gate_request_builder *out);
    /* Worker. Reads token counts from a whole JSON answer or from the data of an event that
     * inspect_event marked with GATE_EVENT_USAGE. False: there are none. */
    bool (*read_usage)(struct gate_str json, struct gate_usage *out);
    /* Worker. Bytes of text (content, reasoning, arguments of tool calls) in an event marked with
     * GATE_EVENT_CONTENT, or in a whole JSON answer; escapes may count as written. Used to estimate
     * where no usage comes, so it must be cheap rather than exact. */
    size_t (*text_bytes)(struct gate_str json);

    /* Since 1.2: what a routing target changes of a request's body. */

    /* Top-level members that bound the length of an answer, ended by NULL, at most
     * GATE_MAX_LIMIT_KEYS: "max_tokens", ... Where a target clamps, the gateway lowers each of
     * them and inserts the first where there is none. NULL: such a request is refused. */
    const char *const *limit_keys;
    /* Worker. Splices text into what the model is told beside the conversation: behind the system
     * text that is there, else as a system text of its own in front of the first message. Called
     * after the provider built its request; body and facts are the client's, text is UTF-8 and not
     * empty. What the client wrote stays as it is, and a body that holds no conversation too: the
     * upstream says what is wrong with it. Not GATE_OK: the request is refused, err says why
     * (GATE_EINVAL where the body is to blame). NULL: such a request is refused. */
    enum gate_status (*append_system)(struct gate_str body, const struct gate_request_facts *facts,
                                      struct gate_str text, const struct gate_request_builder *out,
                                      struct gate_error *err);

    /* Since 1.2. Worker. inspect_event and text_bytes in one: called in their place for each event
     * of a stream, because looking twice is what a stream costs most. *text_bytes is 0 without
     * GATE_EVENT_CONTENT. NULL: those two are called. */
    unsigned (*read_event)(const struct gate_event *event, size_t *text_bytes);
};

/* ---------------------------------------------------------------- filter */

enum gate_filter_result {
    GATE_FILTER_PASS = 0, /* send the event on, byte for byte */
    GATE_FILTER_TAKEN, /* the filter emitted what should go out instead, or holds the event back */
};

enum gate_stream_end {
    GATE_END_COMPLETE = 0, /* the terminal event was seen */
    GATE_END_TRUNCATED,    /* upstream stopped before it */
    GATE_END_CANCELLED,    /* the client left */
};

/* Where a filter puts bytes. Valid during the call it is given to. */
struct gate_emitter {
    size_t size;
    void *ctx;
    /* Sends whole events on (copied), behind everything that was passed or emitted before. */
    void (*emit)(void *ctx, struct gate_str events);
    /* Asks for on_timer in that many ms (0 cancels it); one timer per stream and filter. */
    void (*set_timer)(void *ctx, uint32_t ms);
};

struct gate_filter_ops {
    size_t size;

    /* See gate_provider_ops.instance_create and instance_destroy. */
    enum gate_status (*instance_create)(const struct gate_value *values, void **out,
                                        struct gate_error *err);
    void (*instance_destroy)(void *instance);

    /* Worker. One state for each stream. NULL: this stream needs no filtering. */
    void *(*open)(void *instance, struct gate_str dialect);
    enum gate_filter_result (*on_event)(void *state, const struct gate_event *event,
                                        const struct gate_emitter *out);
    void (*on_timer)(void *state, const struct gate_emitter *out);
    /* Last chance to send what is held back. Called once, before close, unless the client left. */
    void (*on_end)(void *state, enum gate_stream_end end, const struct gate_emitter *out);
    void (*close)(void *state);
};

/* ---------------------------------------------------------------- storage */

/* A stored record. Owner: the plugin, until record_release. */
struct gate_record {
    struct gate_str key;
    struct gate_str value;
    uint64_t version; /* grows with each write of the key; 0: absent */
};

enum gate_put_flags {
    GATE_PUT_SYNC =
        1 << 0, /* on disk before the call returns (credentials); else within the batch interval */
};

/* All on the store thread, which may block. Keys sort as bytes; the gateway prefixes them by kind
 * and schema version. A plugin never interprets values: secrets arrive already encrypted.
 * GATE_EIO of a write: it may or may not have happened; the plugin recovers by itself, so that
 * writes succeed again when their cause is gone, and serves reads meanwhile where it can. */
struct gate_storage_ops {
    size_t size;
    /* The directory is made when it is missing. What is damaged, newer, used by another process or
     * no database is refused unchanged, and err says what to do. */
    enum gate_status (*open)(struct gate_str directory, const struct gate_value *values, void **out,
                             struct gate_error *err);
    void (*close)(void *store);

    /* GATE_ENOTFOUND: absent or expired. On every failure *out is empty and need not be released.
     */
    enum gate_status (*get)(void *store, struct gate_str key, struct gate_record *out,
                            struct gate_error *err);
    void (*record_release)(void *store, struct gate_record *record);
    /* Writes if the stored version is `expected` (0: must be absent, UINT64_MAX: any). ttl_ms 0:
     * for ever. The lease of a key is the lease of the same name as the key: fence must not be
     * lower than the highest fencing token seen for that lease, handed out by lease_acquire or
     * given here (0: no lease). GATE_ECONFLICT: the version or the fence did not match and nothing
     * was written. A key never gets a version again that it had before, even if it was deleted
     * meanwhile. */
    enum gate_status (*put_if)(void *store, struct gate_str key, struct gate_str value,
                               uint64_t expected, uint64_t fence, uint64_t ttl_ms, unsigned flags,
                               uint64_t *version, struct gate_error *err);
    /* Like put_if. With `expected` 0 or UINT64_MAX the absence of the record is no failure. */
    enum gate_status (*delete_if)(void *store, struct gate_str key, uint64_t expected,
                                  uint64_t fence, struct gate_error *err);
    /* Adds delta to a 64-bit counter (absent counts as 0); sum may be NULL when the caller need
     * not know. get and scan show a counter as its decimal text, and a record that was put with
     * such a text can be added to; any other record keeps its value (GATE_EINVAL where sum is
     * given). The counter lives until the latest end that an addition gave it. */
    enum gate_status (*add)(void *store, struct gate_str key, int64_t delta, uint64_t ttl_ms,
                            int64_t *sum, struct gate_error *err);
    /* A lock that expires (ttl_ms > 0). *fence grows with every acquisition of the name, for ever;
     * who holds the lease and acquires it again renews it and gets the same fence. GATE_ECONFLICT:
     * held by another; of renew and release: not, or no longer, held by this owner. */
    enum gate_status (*lease_acquire)(void *store, struct gate_str name, struct gate_str owner,
                                      uint64_t ttl_ms, uint64_t *fence, struct gate_error *err);
    enum gate_status (*lease_renew)(void *store, struct gate_str name, struct gate_str owner,
                                    uint64_t ttl_ms, struct gate_error *err);
    enum gate_status (*lease_release)(void *store, struct gate_str name, struct gate_str owner,
                                      struct gate_error *err);
    /* Visits keys in [from, to) in order (empty `to`: to the last key), at most `limit`; cb returns
     * false to stop. The record is lent. cb may read from the store but must not write. */
    enum gate_status (*scan)(void *store, struct gate_str from, struct gate_str to, size_t limit,
                             bool (*cb)(void *ctx, const struct gate_record *record), void *ctx,
                             struct gate_error *err);
    /* Between begin and commit all writes of this thread become one atomic write, and all reads see
     * them. commit ends the batch whatever it returns; it is durable when it or one of its writes
     * has GATE_PUT_SYNC. */
    enum gate_status (*batch_begin)(void *store, struct gate_error *err);
    enum gate_status (*batch_commit)(void *store, unsigned flags, struct gate_error *err);
    void (*batch_abort)(void *store);
    /* A consistent copy of what is committed into an empty or missing directory, while the store
     * goes on. NULL: not supported. */
    enum gate_status (*checkpoint)(void *store, struct gate_str directory, struct gate_error *err);
};

/* ---------------------------------------------------------------- quota */

enum gate_usage_kind { GATE_USAGE_CHAT = 0, GATE_USAGE_SEARCH = 1, GATE_USAGE_KINDS = 2 };

/* Limits of one account and kind of use; 0 = unlimited. */
struct gate_limits {
    uint64_t requests_per_minute;
    uint64_t requests_per_day;
    uint64_t tokens_per_minute;
    uint64_t tokens_per_day;
    uint32_t concurrency;
};

enum gate_limit_name {
    GATE_LIMIT_NONE = 0,
    GATE_LIMIT_RPM,
    GATE_LIMIT_RPD,
    GATE_LIMIT_TPM,
    GATE_LIMIT_TPD,
    GATE_LIMIT_CONCURRENCY,
    GATE_LIMIT_UPSTREAM, /* the upstream itself said that nothing is left */
};

/* What an account has used, for strategies, the console and alerts. */
struct gate_quota_numbers {
    uint64_t requests_minute, requests_day; /* taken in the window at hand */
    uint64_t tokens_minute, tokens_day;     /* settled and reserved */
    uint32_t in_flight;
    uint64_t day_resets_at_ms; /* Unix: when the daily counters start anew */
    uint64_t blocked_until_ms; /* Unix: the upstream said so; 0: it did not */
};

/* What was taken by a reservation; the gateway keeps it and hands it back to settle. */
struct gate_reservation {
    uint64_t at_ms;     /* when it counts as taken: now_ms, or later if that was behind */
    uint64_t tokens;    /* the estimate */
    uint64_t opaque[2]; /* the plugin's: what it takes to correct it */
};

enum gate_outcome {
    GATE_OUTCOME_ANSWERED = 0, /* counts in full */
    GATE_OUTCOME_CANCELLED,    /* the client left after the request was sent: counts as sent */
    GATE_OUTCOME_REFUSED,  /* the upstream refused without working: the tokens are given back and
                              the request of the day, but not that of the minute, as upstreams
                              count what they refuse */
    GATE_OUTCOME_NOT_SENT, /* never left the gateway: everything is given back */
};

struct gate_quota_ops {
    size_t size;
    enum gate_status (*instance_create)(const struct gate_value *values, void **out,
                                        struct gate_error *err);
    void (*instance_destroy)(void *instance);

    /* The state of one account is a block of memory that the gateway allocates zeroed, aligned to a
     * cache line and shared by all workers: the plugin works on it with C11 atomics and takes no
     * lock. */
    size_t state_size;

    /* Worker. Takes one request and `tokens` estimated tokens (0: unknown). now_ms is a reading of
     * gate_host.now_ms. What has no limit is counted as well: limits may change from call to call.
     * GATE_ELIMIT: nothing was taken; *limit says which limit is full, of several the one that
     * frees last, and *free_at_ms (Unix, later than now_ms) when a request of this size fits first.
     * Never blocks. */
    enum gate_status (*reserve)(void *instance, void *state, enum gate_usage_kind kind,
                                const struct gate_limits *limits, uint64_t now_ms, uint64_t tokens,
                                struct gate_reservation *out, enum gate_limit_name *limit,
                                uint64_t *free_at_ms);
    /* Worker. Corrects a reservation by what was really used: `tokens` of an answer, or as far as a
     * cancelled one got; the other outcomes used none. Exactly once for each reservation. */
    void (*settle)(void *instance, void *state, enum gate_usage_kind kind,
                   const struct gate_reservation *res, enum gate_outcome outcome, uint64_t tokens,
                   uint64_t now_ms);
    /* Worker. Takes in rate-limit facts of an upstream answer (x-ratelimit-*, retry-after). */
    void (*observe)(void *instance, void *state, enum gate_usage_kind kind,
                    const struct gate_header *headers, size_t header_count, uint64_t now_ms);
    /* Any thread. Writes the state as a JSON object for the console. limits is an array, one for
     * each enum gate_usage_kind. */
    void (*snapshot)(void *instance, const void *state, const struct gate_limits *limits,
                     uint64_t now_ms, const struct gate_writer *json);
    /* Store thread. The counters that must survive a restart, as bytes, and back. save may run
     * while workers use the state; what was settled before is in the bytes. load is for a zeroed
     * state that nobody else uses yet. GATE_EPARSE: damaged bytes; GATE_EINVAL: of a newer format;
     * the state is then as it was. */
    void (*save)(void *instance, const void *state, const struct gate_writer *out);
    enum gate_status (*load)(void *instance, void *state, struct gate_str bytes, uint64_t now_ms,
                             struct gate_error *err);
    /* Any thread. Cheap: a worker may call it for every candidate of a request. */
    void (*numbers)(void *instance, const void *state, enum gate_usage_kind kind, uint64_t now_ms,
                    struct gate_quota_numbers *out);
    /* Any thread. When the day that now_ms is in ends in the configured zone, Unix ms. */
    uint64_t (*day_end)(void *instance, uint64_t now_ms);
};

#ifdef __cplusplus
}
#endif
#endif
