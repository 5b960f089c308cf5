/*
 * TLS contexts: the versions, suites, certificates and rules of one side. Everything that a session of OpenSSL could do
 * beyond that is turned off here.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_internal.h"

/* AES-GCM only. Suites with RSA are for members whose CAs issue RSA certificates. */
static const char suites_1_2[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
                                 "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384";
static const char suites_1_3[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
static const char groups[] = "X25519:P-256:P-384";

/* No password: an encrypted key is an error, and nobody is asked. */
static int no_password(char *buffer, int size, int writing, void *context) {
    (void) buffer, (void) size, (void) writing, (void) context;
    return -1;
}

/* Adds every certificate of the text to the trusted ones. INVALID: none, unreadable, or not a CA's. */
static enum ord_err trust(X509_STORE *store, const char *ca_pem) {
    BIO *bio = BIO_new_mem_buf(ca_pem, -1);
    if (bio == NULL)
        return ORD_ERR_NO_MEMORY;
    enum ord_err err = ORD_OK;
    size_t count = 0;
    while (err == ORD_OK) {
        X509 *cert = PEM_read_bio_X509(bio, NULL, no_password, NULL);
        if (cert == NULL) {
            /* The text has ended if no PEM block begins any more. Anything else is damage. */
            if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE || count == 0)
                err = ORD_ERR_INVALID;
            break;
        }
        count++;
        if (X509_check_ca(cert) == 0)
            err = ORD_ERR_INVALID;
        else if (X509_STORE_add_cert(store, cert) != 1)
            err = ORD_ERR_INVALID;
        X509_free(cert);
    }
    BIO_free(bio);
    ERR_clear_error();
    return err;
}

static enum ord_err load_pair(SSL_CTX *ssl, const char *cert_pem, const char *key_pem) {
    BIO *cert_bio = BIO_new_mem_buf(cert_pem, -1);
    BIO *key_bio = BIO_new_mem_buf(key_pem, -1);
    X509 *cert = cert_bio == NULL ? NULL : PEM_read_bio_X509(cert_bio, NULL, no_password, NULL);
    EVP_PKEY *key = key_bio == NULL ? NULL : PEM_read_bio_PrivateKey(key_bio, NULL, no_password, NULL);
    bool good = cert != NULL && key != NULL && SSL_CTX_use_certificate(ssl, cert) == 1 &&
                SSL_CTX_use_PrivateKey(ssl, key) == 1 && SSL_CTX_check_private_key(ssl) == 1;
    EVP_PKEY_free(key);
    X509_free(cert);
    BIO_free(key_bio);
    BIO_free(cert_bio);
    ERR_clear_error();
    return good ? ORD_OK : ORD_ERR_INVALID;
}

static bool restrict_protocol(SSL_CTX *ssl) {
    static const uint8_t session_id[] = "ordain";
    SSL_CTX_set_security_level(ssl, 2);
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_QUERY_MTU);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(ssl, 16384);
    SSL_CTX_set_msg_callback(ssl, net_tls_on_message);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, net_tls_on_verify);
    /* A listed CA signs members' certificates itself, so that what a certificate says is that CA's statement. */
    SSL_CTX_set_verify_depth(ssl, 0);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 && SSL_CTX_set_cipher_list(ssl, suites_1_2) == 1 &&
           SSL_CTX_set_ciphersuites(ssl, suites_1_3) == 1 && SSL_CTX_set1_groups_list(ssl, groups) == 1 &&
           SSL_CTX_set_num_tickets(ssl, 0) == 1 &&
           SSL_CTX_set_session_id_context(ssl, session_id, sizeof(session_id) - 1) == 1 &&
           X509_STORE_set_flags(SSL_CTX_get_cert_store(ssl), X509_V_FLAG_PARTIAL_CHAIN) == 1;
}

enum ord_err net_tls_context_create(struct net_tls_context **out, const struct net_tls *tls,
                                    const struct net_tls_rules *rules, bool server) {
    *out = NULL;
    if (tls == NULL)
        return ORD_OK;
    if (tls->ca_pem == NULL || tls->cert_pem == NULL || tls->key_pem == NULL)
        return ORD_ERR_INVALID;
    struct net_tls_context *context = calloc(1, sizeof(*context));
    if (context == NULL)
        return ORD_ERR_NO_MEMORY;
    context->server = server;
    context->rules = *rules;
    context->ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    enum ord_err err = context->ssl == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
    if (err == ORD_OK && !restrict_protocol(context->ssl))
        err = ORD_ERR_CRYPTO;
    if (err == ORD_OK)
        err = trust(SSL_CTX_get_cert_store(context->ssl), tls->ca_pem);
    if (err == ORD_OK)
        err = load_pair(context->ssl, tls->cert_pem, tls->key_pem);
    ERR_clear_error();
    if (err != ORD_OK) {
        net_tls_context_destroy(context);
        return err;
    }
    *out = context;
    return ORD_OK;
}

void net_tls_context_destroy(struct net_tls_context *context) {
    if (context == NULL)
        return;
    SSL_CTX_free(context->ssl);
    free(context);
}

/* Verifies the context's own certificate as a peer would. */
static void check_own(char why[NET_WHY_MAX], const struct net_tls_context *context) {
    X509 *cert = SSL_CTX_get0_certificate(context->ssl);
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    if (store == NULL || X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(context->ssl), cert, NULL) != 1) {
        snprintf(why, NET_WHY_MAX, "out of memory");
    } else {
        X509_STORE_CTX_set_default(store, context->server ? "ssl_server" : "ssl_client");
        X509_STORE_CTX_set_depth(store, 0);
        struct net_member member;
        if (X509_verify_cert(store) != 1)
            snprintf(why, NET_WHY_MAX, "%s", net_tls_error_text(X509_STORE_CTX_get_error(store)));
        else
            net_tls_chain_check(why, &member, &context->rules, X509_STORE_CTX_get0_chain(store));
    }
    X509_STORE_CTX_free(store);
    ERR_clear_error();
}

enum ord_err net_tls_own_check(char why[NET_WHY_MAX], const struct net_tls *tls, const struct net_tls_rules *rules,
                               bool server) {
    struct net_tls_context *context = NULL;
    enum ord_err err = net_tls_context_create(&context, tls, rules, server);
    snprintf(why, NET_WHY_MAX, "%s", err == ORD_OK ? "" : "it cannot be read, or its key is another one's");
    if (context != NULL) {
        check_own(why, context);
        err = why[0] == '\0' ? ORD_OK : ORD_ERR_INVALID;
    }
    net_tls_context_destroy(context);
    return err;
}

void net_tls_rules_set(struct net_tls_rules *out, const char *roles, const char *organisation, const char *name) {
    snprintf(out->roles, sizeof(out->roles), "%s", roles);
    snprintf(out->organisation, sizeof(out->organisation), "%s", organisation == NULL ? "" : organisation);
    snprintf(out->name, sizeof(out->name), "%s", name == NULL ? "" : name);
}
