#include "upstream/tls.h"
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static SSL_CTX *the_context;
static pthread_once_t the_context_once = PTHREAD_ONCE_INIT;

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    void *owner = SSL_get_app_data(ssl);
    return owner != NULL ? gate_tls_on_session(owner, session) : 0;
}

static void make_context(void)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    if (c == NULL)
        abort(); /* out of memory: nothing else fails here */
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_default_verify_paths(c);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    /* Idle connections hold no record buffers; writes may be retried from another copy of the same
     * bytes. */
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_read_ahead(c, 1);
    SSL_CTX_set_alpn_protos(c, alpn, sizeof alpn - 1);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c, on_new_session);
    the_context = c;
}

SSL_CTX *gate_tls_client_context(void)
{
    pthread_once(&the_context_once, make_context);
    return the_context;
}

SSL *gate_tls_client(int fd, const char *host, SSL_SESSION *resume, void *owner)
{
    SSL *ssl = SSL_new(gate_tls_client_context());
    if (ssl == NULL)
        abort();
    struct in_addr in4;
    struct in6_addr in6;
    if (inet_pton(AF_INET, host, &in4) == 1 || inet_pton(AF_INET6, host, &in6) == 1) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    } else {
        SSL_set1_host(ssl, host);
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        SSL_set_tlsext_host_name(ssl, host);
    }
    SSL_set_app_data(ssl, owner);
    SSL_set_fd(ssl, fd);
    if (resume != NULL)
        SSL_set_session(ssl, resume);
    SSL_set_connect_state(ssl);
    return ssl;
}

void gate_tls_reason(SSL *ssl, char *out, size_t cap)
{
    long verify = SSL_get_verify_result(ssl);
    unsigned long code = ERR_peek_error();
    if (verify != X509_V_OK)
        snprintf(out, cap, "certificate not accepted: %s", X509_verify_cert_error_string(verify));
    else if (code != 0 && ERR_reason_error_string(code) != NULL)
        snprintf(out, cap, "%s", ERR_reason_error_string(code));
    else
        snprintf(out, cap, "the connection ended during the handshake");
    ERR_clear_error();
}
