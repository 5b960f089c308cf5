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

/* For tests only. */
SSL *net_tls_test_ssl(struct net_tls_session *session);

#endif
