/* A plugin with as many faults as its definitions ask for; see tests/unit/CMakeLists.txt. It tells
 * what is called through the host's log, so that the test can see the order. */
#include "gate/plugin.h"

#ifndef SAMPLE_MAJOR
#define SAMPLE_MAJOR GATE_ABI_MAJOR
#endif
#ifndef SAMPLE_MINOR
#define SAMPLE_MINOR GATE_ABI_MINOR
#endif
#ifndef SAMPLE_STRUCT_SIZE
#define SAMPLE_STRUCT_SIZE sizeof(struct gate_plugin)
#endif
#ifdef SAMPLE_NO_SYMBOL
#define SAMPLE_SYMBOL some_other_symbol
#else
#define SAMPLE_SYMBOL gate_plugin
#endif
#ifndef SAMPLE_NAME
#define SAMPLE_NAME "sample"
#endif
#ifndef SAMPLE_FALLBACK
#define SAMPLE_FALLBACK "150"
#endif
#ifdef SAMPLE_DIALECT
#define SAMPLE_KIND GATE_KIND_DIALECT
#endif
#ifndef SAMPLE_KIND
#define SAMPLE_KIND GATE_KIND_PROVIDER
#endif

#ifdef SAMPLE_NO_OPS
#define SAMPLE_OPS (sizeof ops > 0 ? NULL : &ops)
#else
#define SAMPLE_OPS (&ops)
#endif

static const struct gate_host *services;

static void tell(const char *what)
{
    services->log(GATE_LOG_INFO, SAMPLE_NAME, what);
}

static enum gate_status init(const struct gate_host *host, struct gate_error *err)
{
    services = host;
#ifdef SAMPLE_INIT_FAILS
    return gate_fail(err, GATE_EIO, "no moon tonight");
#else
    (void)err;
    tell("init");
    return GATE_OK;
#endif
}

static enum gate_status worker_init(struct gate_error *err)
{
#ifdef SAMPLE_WORKER_FAILS
    return gate_fail(err, GATE_ELIMIT, "one worker is enough");
#else
    (void)err;
    tell("worker_init");
    return GATE_OK;
#endif
}

static void worker_fini(void)
{
    tell("worker_fini");
}

static void fini(void)
{
    tell("fini");
}

#ifdef SAMPLE_DIALECT

static unsigned inspect_event(const struct gate_event *event)
{
    (void)event;
    return 0;
}

static void render(const struct gate_api_error *error, const struct gate_writer *out)
{
    gate_write(out, error->message);
}

static const struct gate_dialect_ops ops = {
    .size = sizeof ops,
    .client_path = "/v1/sample",
    .upstream_path = "/sample",
    .messages_key = "messages",
    .inspect_event = inspect_event,
    .render_error = render,
    .render_error_event = render,
};

#else

static enum gate_status instance_create(struct gate_str name, const struct gate_value *values,
                                        void **out, struct gate_error *err)
{
    (void)name;
    (void)values;
    (void)err;
    *out = NULL;
    return GATE_OK;
}

static void instance_destroy(void *instance)
{
    (void)instance;
}

#ifndef SAMPLE_NO_CLAIMS
static enum gate_claim claims(void *instance, struct gate_str model)
{
    (void)instance;
    (void)model;
    return GATE_CLAIM_NO;
}
#endif

static void each_model(void *instance, void (*cb)(void *ctx, struct gate_str model), void *ctx)
{
    (void)instance;
    cb(ctx, GATE_STR("sample"));
}

#ifndef SAMPLE_NO_ANSWER
static enum gate_status answer(void *instance, const struct gate_call *call,
                               const struct gate_answer_sink *sink, struct gate_error *err)
{
    (void)instance;
    (void)call;
    (void)sink;
    return gate_fail(err, GATE_EINTERNAL, "a sample answers nothing");
}
#endif

#ifdef SAMPLE_BUILDS
static enum gate_status build_request(void *instance, const struct gate_call *call,
                                      const struct gate_request_builder *out,
                                      struct gate_error *err)
{
    (void)instance;
    (void)call;
    (void)out;
    return gate_fail(err, GATE_EINTERNAL, "a sample asks nothing");
}
#endif

static const struct gate_provider_ops ops = {
#ifdef SAMPLE_SHORT_OPS
    .size = offsetof(struct gate_provider_ops, claims),
#elif defined(SAMPLE_OLD_OPS)
    /* As a plugin of ABI 1.0 is compiled; what lies behind is none of its functions. */
    .size = offsetof(struct gate_provider_ops, credential_expires),
    .credential_expires = (uint64_t(*)(void *, const struct gate_credential *))1,
    .account_serves = (bool (*)(void *, void *, struct gate_str))1,
#else
    .size = sizeof ops,
#endif
    .dialect = "sample",
    .instance_create = instance_create,
    .instance_destroy = instance_destroy,
#ifndef SAMPLE_NO_CLAIMS
    .claims = claims,
#endif
    .each_model = each_model,
#ifdef SAMPLE_BUILDS
    .build_request = build_request,
#endif
#ifndef SAMPLE_NO_ANSWER
    .answer = answer,
#endif
};

#endif

static const struct gate_option options[] = {
    {"mode", GATE_OPTION_STRING, "auto", "how", "off|auto|exact"},
    {"hold_ms", GATE_OPTION_NUMBER, SAMPLE_FALLBACK, "how long, in ms", NULL},
    {"strict", GATE_OPTION_BOOL, "true", "how strictly", NULL},
    {"names", GATE_OPTION_LIST, "a,b", "for whom", NULL},
    {"base_url", GATE_OPTION_STRING, NULL, "where", NULL},
};

GATE_EXPORT const struct gate_plugin SAMPLE_SYMBOL = {
    .abi_major = SAMPLE_MAJOR,
    .abi_minor = SAMPLE_MINOR,
    .struct_size = SAMPLE_STRUCT_SIZE,
    .kind = SAMPLE_KIND,
    .name = SAMPLE_NAME,
    .version = "1.2.3",
    .summary = "a plugin for tests",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .ops = SAMPLE_OPS,
    .init = init,
    .worker_init = worker_init,
    .worker_fini = worker_fini,
    .fini = fini,
};
