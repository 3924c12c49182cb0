#include "serve/serve_internal.h"

/* libh2o refuses a body that is too large or badly framed by itself, in plain text. This filter
 * says the same in the API's shape, and keeps the connection open long enough for the client to
 * read it. */

struct error_filter {
    h2o_filter_t super;
    size_t max_body;
};

struct error_stream {
    h2o_ostream_t super;
    h2o_iovec_t body;
};

static void send_body(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t count,
                      h2o_send_state_t state)
{
    struct error_stream *s = (struct error_stream *)self;
    (void)bufs;
    (void)count;
    h2o_ostream_send_next(self, req, &s->body, 1, state);
}

static void on_setup(h2o_filter_t *self, h2o_req_t *req, h2o_ostream_t **slot)
{
    struct gate_listener *l = serve_listener_of(req->conn->ctx);
    h2o_socket_t *sock = req->conn->callbacks->get_socket(req->conn);
    struct serve_conn *c = sock->on_close.data;
    if (req->res.status < 400 || c->request != NULL) {
        h2o_setup_next_ostream(req, slot);
        return;
    }
    struct error_stream *s = (void *)h2o_add_ostream(req, sizeof *s, slot);
    struct gate_api_error error;
    struct gate_buf body;
    char message[GATE_REFUSAL_TEXT];
    gate_refusal_http(req->res.status, ((struct error_filter *)self)->max_body, message,
                      sizeof message, &error);
    gate_buf_init(&body, GATE_REFUSAL_MAX);
    struct gate_writer w = gate_buf_writer(&body);
    gate_pool_default_dialect(gate_env_pool(l->env))->render_error(&error, &w);
    s->super.do_send = send_body;
    s->body = h2o_strdup(&req->pool, body.ptr, body.len);
    gate_buf_finish(&body);
    req->res.content_length = s->body.len;
    req->res.headers.size = 0;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                   H2O_STRLIT("application/json"));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ACCESS_CONTROL_ALLOW_ORIGIN, NULL,
                   H2O_STRLIT("*"));
    gate_log_info("refused a request before its end: status=%d client=%s", req->res.status,
                  serve_conn_peer(c));
    serve_linger(l, sock);
    h2o_setup_next_ostream(req, &s->super.next);
}

void serve_http_errors_register(h2o_pathconf_t *pathconf, size_t max_body)
{
    struct error_filter *f = (struct error_filter *)h2o_create_filter(pathconf, sizeof *f);
    f->super.on_setup_ostream = on_setup;
    f->max_body = max_body;
}
