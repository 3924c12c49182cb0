/*
 * fake_host: the gateway's side of gate/plugin.h for tests of plugins. Its JSON services are the
 * real ones; endpoints, the clock and wiping are watched. It also collects what a provider
 * describes with a request builder and applies the edits to the body. Used by the tests in
 * plugins/. Single-threaded.
 */
#ifndef FAKE_HOST_H
#define FAKE_HOST_H

#include "base/buf.h"
#include "config.h"

enum {
    FAKE_NOW_S = 1700000000,
    FAKE_MAX_EDITS = 16,
    FAKE_MAX_BODY = 64 << 20,
};

/* The services, with everything that was watched forgotten. */
const struct gate_host *fake_host(void);
/* Endpoints that were created and not given back. */
size_t fake_host_live_endpoints(void);
/* How often memory that held this text was wiped, since fake_host or since it was forgotten. */
size_t fake_host_wiped(const char *secret);
void fake_host_forget_wiped(void);
/* What the plugin was told of an endpoint. */
const char *fake_endpoint_url(const struct gate_endpoint *endpoint);
enum gate_endpoint_origin fake_endpoint_origin(const struct gate_endpoint *endpoint);

/* One edit of the body. */
struct fake_edit {
    size_t off;
    size_t len;
    struct gate_buf text;
};

/* What a provider described. init, build_request with &builder, look, finish. */
struct fake_request {
    struct gate_request_builder builder;
    const struct gate_endpoint *endpoint;
    struct gate_str lines;   /* lent by the account */
    struct gate_buf headers; /* single headers as lines */
    struct gate_buf path;
    struct fake_edit edits[FAKE_MAX_EDITS];
    size_t edit_count;
};
void fake_request_init(struct fake_request *r);
void fake_request_finish(struct fake_request *r);
/* The body with the edits applied. Fails the test when they overlap or lie outside. */
void fake_request_apply(const struct fake_request *r, struct gate_str body, struct gate_buf *out);

/* Does the account's header block hold exactly this line? */
bool fake_request_has_line(const struct fake_request *r, const char *line);
/* Was exactly this line given as a single header? */
bool fake_request_has_header(const struct fake_request *r, const char *line);
/* The request's own body as a string, or NULL when it has none. Fails the test when it was not set
 * in one piece. Valid until finish. */
const char *fake_request_body(struct fake_request *r);

/* An answer as the gateway would show it; body is lent. */
struct gate_answer fake_answer(int status, const char *body);

/* Scans body as the gateway does and fills call and facts. Fails the test when it does not scan. */
void fake_call_init(struct gate_call *call, struct gate_request_facts *facts, struct gate_str body,
                    const char *model, void *account);

/* An instance of the plugin with options given as name, value pairs up to NULL ("true" and "false"
 * for a bool, a list with ',' between its entries). GATE_OK: *values and *instance are made. */
enum gate_status fake_instance_create(const struct gate_plugin *plugin, const char *const *pairs,
                                      struct gate_value **values, void **instance,
                                      struct gate_error *err);
void fake_instance_destroy(const struct gate_plugin *plugin, struct gate_value *values,
                           void *instance);

/* Reads a file whole. False: it cannot be read. */
bool fake_file_read(const char *path, struct gate_buf *out);
/* The directory of recordings: LLM_GATE_RECORDINGS, or shared beside the source tree. */
const char *fake_recordings(void);

#endif
