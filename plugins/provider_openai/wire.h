/*
 * wire: what a provider of the OpenAI API puts on the wire: header lines that are checked once and
 * kept with the account, the model name in the body, and patterns of model names. Compiled into
 * provider_openai and into providers of services that speak the same API. Pure functions.
 */
#ifndef OPENAI_WIRE_H
#define OPENAI_WIRE_H

#include <gate/plugin.h>

enum {
    OPENAI_LINES_MAX = 16 * 1024, /* all header lines of an account */
    OPENAI_KEY_MAX = 8 * 1024,    /* one key or access token */
    OPENAI_MODEL_MAX = 4096,      /* a model name as a JSON string */
};

/* Header lines under construction, on the caller's stack. Holds a secret: give it to
 * openai_lines_wipe on every path. */
struct openai_lines {
    size_t len;
    char bytes[OPENAI_LINES_MAX];
};

/* Header lines as an account keeps them, allocated in one piece. */
struct openai_block {
    size_t len;
    char bytes[];
};

/* True: fit to be a header's name / value / a bearer token. A value may not hold CR, LF, NUL or
 * another control byte but tab; a token neither that nor spaces. */
bool openai_name_ok(struct gate_str name);
bool openai_value_ok(struct gate_str value);
bool openai_token_ok(struct gate_str token);

/* Appends "name: value\r\n". GATE_EINVAL: a byte is not allowed, GATE_ELIMIT: too long; err names
 * the header and never shows the value. */
enum gate_status openai_lines_add(struct openai_lines *lines, struct gate_str name,
                                  struct gate_str value, struct gate_error *err);
/* Appends "authorization: Bearer token\r\n". */
enum gate_status openai_lines_add_bearer(struct openai_lines *lines, struct gate_str token,
                                         struct gate_error *err);
void openai_lines_wipe(const struct gate_host *host, struct openai_lines *lines);

/* A copy of the lines. Owner: caller, who gives it to openai_block_destroy, which wipes it. */
struct openai_block *openai_block_create(const struct openai_lines *lines);
void openai_block_destroy(const struct gate_host *host, struct openai_block *block);

/* Masks the block's token where a text of the service quotes it, whole or cut at the text's end. */
void openai_block_mask(const struct openai_block *block, char *text);
/* What the gateway says of the account that was asked, which its contract got later; NULL: it does
 * not. */
static inline void *openai_account_of(const struct gate_answer *answer)
{
    size_t needed = offsetof(struct gate_answer, account) + sizeof answer->account;

    return answer->size >= needed ? answer->account : NULL;
}

/* Replaces the body's model when the call asks for another one; compares what the two names mean,
 * not how the body escapes them. Worker. GATE_ELIMIT: the name is too long. */
enum gate_status openai_model_splice(const struct gate_host *host, const struct gate_call *call,
                                     const struct gate_request_builder *out,
                                     struct gate_error *err);

/* Does the pattern name the model? A trailing '*' stands for any rest. */
bool openai_model_matches(struct gate_str pattern, struct gate_str model);

/* malloc that aborts when there is no memory. */
void *openai_alloc(size_t n);

#endif
