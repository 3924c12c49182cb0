#include "search.h"

#include "../provider_openai/failure.h"
#include "qwen.h"
#include "text.h"

enum { BODY_KNOWN = 16 * 1024 /* classify sees no more of a longer body */ };

enum gate_status qwen_search_request(void *arg, void *account_arg, struct gate_str query,
                                     uint32_t page, uint32_t rows,
                                     const struct gate_request_builder *out, struct gate_error *err)
{
    const struct qwen_instance *instance = arg;
    const struct qwen_account *account = account_arg;
    struct qwen_text body;
    const struct gate_writer writer = qwen_text_writer(&body);
    char numbers[64];

    if (account == NULL || account->plan != QWEN_OAUTH)
        return gate_fail(err, GATE_ENOTFOUND, "only an account with a login can search the web");
    qwen_text_init(&body);
    qwen_write_string(instance->host, &writer, "{", "uq", query);
    snprintf(numbers, sizeof numbers, ",\"page\":%u,\"rows\":%u}", (unsigned)page, (unsigned)rows);
    qwen_text_append(&body, gate_str_of(numbers));
    if (body.overflow)
        return gate_fail(err, GATE_ELIMIT, "the query is too long");
    out->endpoint(out->ctx, account->root != NULL ? account->root : instance->root);
    out->path(out->ctx, GATE_STR("/api/v1/indices/plugin/web_search"));
    out->header_block(out->ctx, (struct gate_str){account->block->bytes, account->block->len});
    out->header(out->ctx, GATE_STR("content-type"), GATE_STR("application/json"));
    out->replace(out->ctx, 0, 0, qwen_text_str(&body));
    return GATE_OK;
}

/* The service's own status; 0 is good. False: the body has none. */
static bool read_status(const struct gate_host *host, struct gate_str body, double *out)
{
    return qwen_read_number(host, body, "status", out);
}

bool qwen_search_is_good(const struct gate_host *host, const struct gate_answer *answer)
{
    struct gate_str data;
    double status;

    if (answer->in_stream || answer->status < 200 || answer->status > 299 ||
        !read_status(host, answer->body, &status) || status != 0)
        return false;
    if (!host->json_member(answer->body, GATE_STR("data"), &data))
        return answer->body.len >= BODY_KNOWN;
    return data.len > 0 && data.ptr[0] == '{';
}

/* A member as a JSON string; "" when it is missing or no string. What is longer than a text can be
 * is cut. */
static void write_member(const struct gate_host *host, struct gate_str doc, const char *from,
                         const char *separator, const char *to, const struct gate_writer *results)
{
    struct qwen_text text;
    const struct gate_writer writer = qwen_text_writer(&text);
    struct gate_str value;

    qwen_text_init(&text);
    if (host->json_member(doc, gate_str_of(from), &value))
        host->json_decode(value, &writer);
    while (text.overflow && text.len > 0 && (text.bytes[text.len - 1] & 0xc0) == 0x80)
        text.len--;
    if (text.overflow && text.len > 0 && (text.bytes[text.len - 1] & 0x80) != 0)
        text.len--;
    qwen_write_string(host, results, separator, to, qwen_text_str(&text));
}

static void write_doc(const struct gate_host *host, struct gate_str doc,
                      const struct gate_writer *results)
{
    char score[48] = "null";
    double number;

    if (qwen_read_number(host, doc, "_score", &number))
        snprintf(score, sizeof score, "%.10g", number);
    write_member(host, doc, "title", "{", "title", results);
    write_member(host, doc, "url", ",", "url", results);
    write_member(host, doc, "snippet", ",", "content", results);
    gate_write(results, GATE_STR(",\"score\":"));
    gate_write(results, gate_str_of(score));
    write_member(host, doc, "timestamp_format", ",", "publishedDate", results);
    gate_write(results, GATE_STR("}"));
}

static enum gate_status refuse(const struct gate_host *host, const struct gate_answer *answer,
                               struct gate_error *err)
{
    struct openai_failure failure;
    double status;

    openai_failure_read(host, answer, &failure);
    if (read_status(host, answer->body, &status) && status != 0)
        return gate_fail(err, GATE_EIO, "the search service says: %s (status %.10g)",
                         failure.message[0] != '\0' ? failure.message : "no reason", status);
    return gate_fail(err, GATE_EPARSE, "the search service answered HTTP %d without results",
                     answer->status);
}

enum gate_status qwen_search_parse(void *arg, const struct gate_answer *answer,
                                   const struct gate_writer *results, struct gate_error *err)
{
    const struct gate_host *host = ((const struct qwen_instance *)arg)->host;
    struct gate_str data, docs, doc;
    const char *separator = "";
    size_t cursor = 0;

    if (!qwen_search_is_good(host, answer) ||
        !host->json_member(answer->body, GATE_STR("data"), &data))
        return refuse(host, answer, err);
    gate_write(results, GATE_STR("["));
    /* A search that finds nothing may come without the list. */
    if (host->json_member(data, GATE_STR("docs"), &docs)) {
        while (host->json_element(docs, &cursor, &doc)) {
            if (doc.len == 0 || doc.ptr[0] != '{')
                continue;
            gate_write(results, gate_str_of(separator));
            write_doc(host, doc, results);
            separator = ",";
        }
    }
    gate_write(results, GATE_STR("]"));
    return GATE_OK;
}
