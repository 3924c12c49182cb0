/* Calls over TLS: the certificate must come from the trust store that the data path uses, too, and
 * name the host. */
#include "control_fixture.h"
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/mman.h>

enum { DAY = 24 * 3600 };

/* A server with one certificate. It serves one connection after the other until the client side of
 * the test connects and says nothing. */
struct tls_server {
    SSL_CTX *context;
    X509 *certificate;
    int listener;
    uint16_t port;
    pthread_t thread;
    unsigned answered; /* until it is joined: its thread's */
};

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ck_assert(e != NULL && X509_add_ext(certificate, e, -1));
    X509_EXTENSION_free(e);
}

static X509 *make_certificate(EVP_PKEY *key, const char *common, const char *names, long ends)
{
    X509 *c = X509_new();
    X509_NAME *name = X509_get_subject_name(c);
    X509_set_version(c, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
    X509_gmtime_adj(X509_getm_notBefore(c), -2 * DAY);
    X509_gmtime_adj(X509_getm_notAfter(c), ends);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common, -1, -1, 0);
    X509_set_issuer_name(c, name);
    X509_set_pubkey(c, key);
    add_extension(c, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(c, NID_subject_alt_name, names);
    ck_assert(X509_sign(c, key, EVP_sha256()) > 0);
    return c;
}

/* True: go on. */
static bool serve_one(struct tls_server *s)
{
    char text[4096];
    int fd = accept(s->listener, NULL, NULL);
    SSL *ssl = SSL_new(s->context);
    SSL_set_fd(ssl, fd);
    ssize_t peeked = recv(fd, text, 1, MSG_PEEK);
    if (peeked > 0 && SSL_accept(ssl) == 1 && SSL_read(ssl, text, sizeof text) > 0) {
        static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntls";
        SSL_write(ssl, answer, sizeof answer - 1);
        SSL_shutdown(ssl);
        s->answered++;
    }
    SSL_free(ssl);
    close(fd);
    return peeked > 0;
}

static void *serve(void *arg)
{
    while (serve_one(arg))
        ;
    return NULL;
}

static void server_init(struct tls_server *s, const char *common, const char *names, long ends)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    s->answered = 0;
    s->context = SSL_CTX_new(TLS_server_method());
    s->certificate = make_certificate(key, common, names, ends);
    ck_assert_int_eq(SSL_CTX_use_certificate(s->context, s->certificate), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(s->context, key), 1);
    EVP_PKEY_free(key);
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(s->listener, 8), 0);
    getsockname(s->listener, (struct sockaddr *)&at, &len);
    s->port = ntohs(at.sin_port);
    ck_assert_int_eq(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_finish(struct tls_server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(s->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    close(fd);
    pthread_join(s->thread, NULL);
    close(s->listener);
    X509_free(s->certificate);
    SSL_CTX_free(s->context);
}

/* What the call says: its status, or 0 and the reason. */
static int ask_over_tls(struct gate_control *control, const char *host, struct tls_server *s,
                        char reason[256])
{
    struct gate_endpoint *e = endpoint_of("https", host, s->port);
    struct ask a;
    ask_init(&a, control, e, "/");
    ask_run(&a);
    int status = a.status;
    memcpy(reason, a.reason, 256);
    ask_finish(&a);
    gate_endpoint_release(e);
    return status;
}

START_TEST(verifies_chain_and_name)
{
    struct tls_server good, stranger, other_name, expired;
    server_init(&good, "good", "DNS:localhost", DAY);
    server_init(&stranger, "stranger", "DNS:localhost", DAY);
    server_init(&other_name, "other", "DNS:other.test", DAY);
    server_init(&expired, "expired", "DNS:localhost", -DAY);
    /* All but the stranger are trusted. */
    int fd = memfd_create("trusted", 0);
    FILE *file = fdopen(fd, "w");
    PEM_write_X509(file, good.certificate);
    PEM_write_X509(file, other_name.certificate);
    PEM_write_X509(file, expired.certificate);
    fflush(file);
    char path[64], reason[256];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    setenv("SSL_CERT_FILE", path, 1);
    struct gate_control *control;
    struct gate_error err;
    ck_assert_int_eq(gate_control_create(&control, &err), GATE_OK);

    ck_assert_msg(ask_over_tls(control, "localhost", &good, reason) == 200, "%s", reason);
    ck_assert_int_eq(ask_over_tls(control, "localhost", &stranger, reason), 0);
    ck_assert_msg(strstr(reason, "certificate") != NULL, "%s", reason);
    ck_assert_int_eq(ask_over_tls(control, "localhost", &other_name, reason), 0);
    ck_assert_msg(strstr(reason, "localhost") != NULL, "%s", reason);
    ck_assert_int_eq(ask_over_tls(control, "127.0.0.1", &good, reason), 0);
    ck_assert_int_eq(ask_over_tls(control, "localhost", &expired, reason), 0);
    ck_assert_msg(strstr(reason, "expired") != NULL, "%s", reason);
    ck_assert_msg(ask_over_tls(control, "localhost", &good, reason) == 200, "%s", reason);

    gate_control_destroy(control);
    server_finish(&good);
    server_finish(&stranger);
    server_finish(&other_name);
    server_finish(&expired);
    fclose(file);
    ck_assert_uint_eq(good.answered, 2);
    /* Nothing was said to a server that was not believed. */
    ck_assert_uint_eq(stranger.answered + other_name.answered + expired.answered, 0);
}
END_TEST

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the gateway does; OpenSSL writes to sockets that are gone */
    Suite *suite = suite_create("control_tls");
    TCase *tc = tcase_create("tls");
    tcase_add_test(tc, verifies_chain_and_name);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
