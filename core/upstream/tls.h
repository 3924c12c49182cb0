/*
 * tls: the one client context of the process for upstream TLS: system trust store (SSL_CERT_FILE
 * and SSL_CERT_DIR are honoured), TLS 1.2 or newer, ALPN http/1.1, certificate and host name
 * verified. Used by http1_connect.c.
 *
 * libh2o's own client handshake is not used: in 2.2.5 it checks the host name only when the client
 * has nothing left to send at the end of the handshake, which is never so in TLS 1.3.
 */
#ifndef GATE_UPSTREAM_TLS_H
#define GATE_UPSTREAM_TLS_H

#include <openssl/ssl.h>
#include <stddef.h>

/* Made on first use (reads the trust store: some 10 ms, so an https endpoint calls it on the
 * control thread); immutable afterwards; any thread; never freed. */
SSL_CTX *gate_tls_client_context(void);

/* A client session that will verify `host` (a name, or an address literal) on fd. `owner` comes
 * back in gate_tls_on_session. Owner of the result: caller (SSL_free). */
SSL *gate_tls_client(int fd, const char *host, SSL_SESSION *resume, void *owner);

/* Set by the transport: called on the worker with a session ticket that may be used for the next
 * connection of the same owner's host. Returns 1 if it keeps the session (SSL_SESSION_free later).
 */
int gate_tls_on_session(void *owner, SSL_SESSION *session);

/* Why a handshake or a read failed, for people. Drains OpenSSL's error queue of this thread. */
void gate_tls_reason(SSL *ssl, char *out, size_t cap);

#endif
