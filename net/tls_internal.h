/* What tls.c and tls_session.c share. */
#ifndef ORDAIN_NET_TLS_INTERNAL_H
#define ORDAIN_NET_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "net/tls.h"

struct net_tls_context {
    SSL_CTX *ssl;
    bool server;
    struct net_tls_rules rules;
};

/* tls_session.c: OpenSSL's questions during a handshake. */
int net_tls_on_verify(int preverified, X509_STORE_CTX *store);
void net_tls_on_message(int written, int version, int content_type, const void *data, size_t size, SSL *ssl,
                        void *argument);

/* tls_verify.c: OpenSSL's verdict on a certificate in words. */
const char *net_tls_error_text(int error);
/* Compares a verified chain with the rules, and writes its member. False: `why` says why it may not pass. */
bool net_tls_chain_check(char why[NET_WHY_MAX], struct net_member *out, const struct net_tls_rules *rules,
                         const STACK_OF(X509) * chain);

/* For tests only. */
SSL *net_tls_test_ssl(struct net_tls_session *session);

#endif
