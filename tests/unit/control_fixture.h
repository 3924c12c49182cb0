/*
 * control_fixture: a control thread and a tiny server, and ways to make calls from a test's thread.
 */
#ifndef GATE_TESTS_CONTROL_FIXTURE_H
#define GATE_TESTS_CONTROL_FIXTURE_H

#include "base/clock.h"
#include "tiny_http.h"
#include "upstream/control.h"

enum { PLENTY_MS = 20000 };

/* One call and what came of it. */
struct ask {
    struct gate_control *control;
    struct gate_endpoint *endpoint;
    const char *path, *body; /* body NULL: GET */
    const char *lines;       /* header block or NULL */
    uint32_t timeout_ms;
    void (*then)(struct ask *a); /* control thread, at the end of done; or NULL */
    struct gate_control_call *call;
    bool inside_send; /* control thread */
    /* The result. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned done; /* how often */
    int status;
    size_t header_count;
    struct gate_buf headers; /* "name: value\n"... */
    struct gate_buf body_got;
    char reason[256];
};

static inline struct gate_endpoint *endpoint_of(const char *scheme, const char *host, unsigned port)
{
    char url[256];
    struct gate_endpoint *e = NULL;
    struct gate_error err;
    snprintf(url, sizeof url, "%s://%s:%u/base", scheme, host, port);
    ck_assert_int_eq(gate_endpoint_create(gate_str_of(url), GATE_ENDPOINT_OPERATOR, true, &e, &err),
                     GATE_OK);
    return e;
}

static inline void ask_init(struct ask *a, struct gate_control *control,
                            struct gate_endpoint *endpoint, const char *path)
{
    *a = (struct ask){
        .control = control, .endpoint = endpoint, .path = path, .timeout_ms = PLENTY_MS};
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    gate_buf_init(&a->headers, 1 << 20);
    gate_buf_init(&a->body_got, 4 << 20);
}

static inline void ask_finish(struct ask *a)
{
    gate_buf_finish(&a->headers);
    gate_buf_finish(&a->body_got);
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->changed);
}

static inline void on_answer(void *ctx, const struct gate_answer *answer)
{
    struct ask *a = ctx;
    ck_assert(!a->inside_send);
    pthread_mutex_lock(&a->lock);
    a->done++;
    a->status = answer->status;
    a->header_count = answer->header_count;
    for (size_t i = 0; i < answer->header_count; i++)
        gate_buf_printf(&a->headers, "%.*s: %.*s\n", (int)answer->headers[i].name.len,
                        answer->headers[i].name.ptr, (int)answer->headers[i].value.len,
                        answer->headers[i].value.ptr);
    gate_buf_append(&a->body_got, answer->body);
    snprintf(a->reason, sizeof a->reason, "%.*s", (int)answer->reason.len, answer->reason.ptr);
    ck_assert_ptr_null(answer->account);
    ck_assert_uint_eq(answer->size, sizeof *answer);
    if (a->then != NULL)
        a->then(a);
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

/* Control thread. Everything that the request was made of is gone when it returns. */
static inline void ask_send(void *arg)
{
    struct ask *a = arg;
    struct gate_builder b;
    struct gate_built built;
    struct gate_error err;
    char *lines = a->lines != NULL ? gate_strdup(gate_str_of(a->lines)) : NULL;
    gate_builder_init(&b, GATE_STR(""), &built);
    b.ops.endpoint(&b, a->endpoint);
    b.ops.path(&b, gate_str_of(a->path));
    b.ops.header(&b, GATE_STR("X-Own"), GATE_STR("own value"));
    b.ops.header(&b, GATE_STR("X-Empty"), GATE_STR(""));
    if (lines != NULL)
        b.ops.header_block(&b, gate_str_of(lines));
    if (a->body != NULL)
        b.ops.replace(&b, 0, 0, gate_str_of(a->body));
    ck_assert_int_eq(gate_builder_end(&b, GATE_STR("/"), "the test", &err), GATE_OK);
    a->inside_send = true;
    a->call = gate_control_send(a->control, &built, a->timeout_ms, on_answer, a);
    a->inside_send = false;
    gate_built_finish(&built);
    if (lines != NULL)
        gate_wipe(lines, strlen(lines));
    free(lines);
}

static inline void ask_wait(struct ask *a)
{
    pthread_mutex_lock(&a->lock);
    while (a->done == 0)
        pthread_cond_wait(&a->changed, &a->lock);
    pthread_mutex_unlock(&a->lock);
}

static inline void nothing(void *arg)
{
    (void)arg;
}

/* Sends, waits for done, and for the loop to come round once more: done is called once. */
static inline void ask_run(struct ask *a)
{
    gate_control_post(a->control, ask_send, a);
    ask_wait(a);
    gate_control_call(a->control, nothing, NULL);
    ck_assert_uint_eq(a->done, 1);
}

static inline bool holds(const struct gate_buf *b, const char *text)
{
    return b->len > 0 && memmem(b->ptr, b->len, text, strlen(text)) != NULL;
}

#define ck_holds(buf, text)                                                                        \
    ck_assert_msg(holds((buf), (text)), "\"%s\" is not in \"%.*s\"", (text), (int)(buf)->len,      \
                  (buf)->ptr)

#endif
