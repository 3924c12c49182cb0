/*
 * cert: a self-signed certificate for "localhost", made at start, for the bench's TLS upstream.
 */
#ifndef BENCH_CERT_H
#define BENCH_CERT_H

#include <openssl/ssl.h>

/* A server context with a fresh key and certificate; the certificate is written to `path` as PEM
 * so that clients can trust it. NULL on failure, said on stderr. Owner: caller (SSL_CTX_free). */
SSL_CTX *cert_make_server(const char *path);

#endif
