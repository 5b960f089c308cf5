/*
 * One connection's TLS: an SSL of OpenSSL between two memory BIOs. The reader feeds the one, and the writer empties the
 * other into a buffer from which the stream sends, because OpenSSL may add to the BIO (an alert, an answer to a
 * KeyUpdate) while a send is under way.
 */
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "net/tls_internal.h"

enum {
    DATA_PER_KEY_UPDATE = 1 << 20,
    /* AES-GCM's keys are used for at most 2^24.5 full records (RFC 8446, section 5.5). We change ours earlier. */
    RECORDS_PER_KEY = 1 << 23,
    TX_BUFFER_SIZE = NET_TLS_TX_SIZE + NET_TLS_RECORD_SIZE,
};

struct net_tls_session {
    const struct net_tls_context *context;
    pthread_mutex_t lock; /* guards the fields down to `tx` */
    SSL *ssl;             /* owns both BIOs */
    BIO *rx_bio;
    BIO *tx_bio;
    bool ready;
    bool failed;
    bool proven; /* `member` is set: the peer's certificate passed */
    /* Records that came since the reader last got a byte. */
    uint32_t idle_records;
    uint32_t key_updates_left;
    uint64_t key_update_bytes; /* that the reader got since the last one was earned */
    uint32_t records_written;  /* with the present key */
    struct net_member member;
    char why[NET_WHY_MAX];
    char subject[NET_SUBJECT_MAX];
    size_t tx_begin, tx_end;
    uint8_t tx[TX_BUFFER_SIZE];
    uint8_t rx[NET_TLS_RX_SIZE]; /* the reader's */
};

int net_tls_on_verify(int preverified, X509_STORE_CTX *store) {
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct net_tls_session *session = SSL_get_app_data(ssl);
    const X509 *leaf = X509_STORE_CTX_get0_cert(store);
    if (session->subject[0] == '\0' && leaf != NULL)
        net_tls_subject_text(session->subject, leaf);
    if (preverified != 1) {
        snprintf(session->why, sizeof(session->why), "the peer's certificate: %s",
                 net_tls_error_text(X509_STORE_CTX_get_error(store)));
        return 0;
    }
    if (X509_STORE_CTX_get_error_depth(store) != 0)
        return 1;
    /* A listener's own probe comes with its own certificate, whatever its role. */
    static const struct net_tls_rules anybody;
    const struct net_tls_context *context = session->context;
    bool probe = context->server && X509_cmp(leaf, SSL_CTX_get0_certificate(context->ssl)) == 0;
    char why[NET_WHY_MAX];
    session->proven = net_tls_chain_check(why, &session->member, probe ? &anybody : &context->rules,
                                          X509_STORE_CTX_get0_chain(store));
    if (session->proven)
        return 1;
    snprintf(session->why, sizeof(session->why), "the peer's certificate: %.120s", why);
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

void net_tls_on_message(int written, int version, int content_type, const void *data, size_t size, SSL *ssl,
                        void *argument) {
    (void) version, (void) argument;
    struct net_tls_session *session = SSL_get_app_data(ssl);
    if (content_type == SSL3_RT_HEADER) {
        if (written)
            session->records_written++;
        else
            session->idle_records++;
    } else if (!written && content_type == SSL3_RT_HANDSHAKE && size > 0 &&
               ((const uint8_t *) data)[0] == SSL3_MT_KEY_UPDATE) {
        /* Below 0 there is no credit, and `judge` ends the session. */
        session->key_updates_left--;
    }
}

enum ord_err net_tls_session_create(struct net_tls_session **out, const struct net_tls_context *context) {
    *out = NULL;
    struct net_tls_session *session = malloc(sizeof(*session));
    if (session == NULL)
        return ORD_ERR_NO_MEMORY;
    memset(session, 0, offsetof(struct net_tls_session, tx));
    session->context = context;
    session->key_updates_left = NET_TLS_KEY_UPDATES_MAX;
    session->ssl = SSL_new(context->ssl);
    session->rx_bio = BIO_new(BIO_s_mem());
    session->tx_bio = BIO_new(BIO_s_mem());
    pthread_mutex_init(&session->lock, NULL);
    if (session->ssl == NULL || session->rx_bio == NULL || session->tx_bio == NULL) {
        BIO_free(session->rx_bio);
        BIO_free(session->tx_bio);
        SSL_free(session->ssl);
        pthread_mutex_destroy(&session->lock);
        free(session);
        ERR_clear_error();
        return ORD_ERR_NO_MEMORY;
    }
    /* An empty BIO means "later", not the end. */
    BIO_set_mem_eof_return(session->rx_bio, -1);
    SSL_set_bio(session->ssl, session->rx_bio, session->tx_bio);
    SSL_set_app_data(session->ssl, session);
    if (context->server) {
        SSL_set_accept_state(session->ssl);
    } else {
        SSL_set_connect_state(session->ssl);
        SSL_do_handshake(session->ssl); /* writes the first message, and then waits */
        ERR_clear_error();
    }
    *out = session;
    return ORD_OK;
}

size_t net_tls_session_size(void) {
    return sizeof(struct net_tls_session);
}

void net_tls_session_destroy(struct net_tls_session *session) {
    if (session == NULL)
        return;
    SSL_free(session->ssl);
    pthread_mutex_destroy(&session->lock);
    free(session);
}

uint8_t *net_tls_rx_room(struct net_tls_session *session) {
    return session->rx;
}

enum ord_err net_tls_rx_put(struct net_tls_session *session, size_t count) {
    ORD_ASSERT(count <= sizeof(session->rx));
    pthread_mutex_lock(&session->lock);
    bool good = BIO_write(session->rx_bio, session->rx, (int) count) == (int) count;
    pthread_mutex_unlock(&session->lock);
    return good ? ORD_OK : ORD_ERR_NO_MEMORY;
}

/* Takes the session as failed, and keeps the first reason. Requires the lock. */
static enum ord_err fail(struct net_tls_session *session, const char *why) {
    session->failed = true;
    if (session->why[0] == '\0')
        snprintf(session->why, sizeof(session->why), "%s", why);
    ERR_clear_error();
    return ORD_ERR_CRYPTO;
}

/* The same with OpenSSL's own reason. */
static enum ord_err fail_in_openssl(struct net_tls_session *session) {
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    return fail(session, reason != NULL ? reason : "the peer's bytes are no TLS");
}

/* Ends the session when the peer keeps it busy without sending data. Requires the lock. */
static enum ord_err judge(struct net_tls_session *session, size_t data_size) {
    if (data_size > 0) {
        session->idle_records = 0;
        session->key_update_bytes += data_size;
        if (session->key_update_bytes >= DATA_PER_KEY_UPDATE) {
            session->key_update_bytes = 0;
            if (session->key_updates_left < NET_TLS_KEY_UPDATES_MAX)
                session->key_updates_left++;
        }
    }
    if (session->idle_records > NET_TLS_IDLE_RECORDS_MAX)
        return fail(session, "too many records without data");
    if (session->key_updates_left > NET_TLS_KEY_UPDATES_MAX)
        return fail(session, "too many changes of the key");
    return ORD_OK;
}

/* What the last call on the SSL, which gave no bytes, means. Requires the lock. */
static enum ord_err translate(struct net_tls_session *session, int result) {
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        ERR_clear_error();
        return judge(session, 0) == ORD_OK ? ORD_ERR_BUSY : ORD_ERR_CRYPTO;
    case SSL_ERROR_ZERO_RETURN:
        ERR_clear_error();
        session->failed = true;
        return ORD_ERR_CLOSED;
    default:
        return fail_in_openssl(session);
    }
}

enum ord_err net_tls_read(struct net_tls_session *session, uint8_t *out, size_t *size) {
    enum ord_err err = ORD_OK;
    size_t wanted = *size;
    *size = 0;
    pthread_mutex_lock(&session->lock);
    ERR_clear_error();
    if (session->failed) {
        err = ORD_ERR_CRYPTO;
    } else if (!session->ready) {
        int result = SSL_do_handshake(session->ssl);
        if (result != 1)
            err = translate(session, result);
        else if (!session->proven)
            err = fail(session, "the peer showed no certificate");
        session->ready = err == ORD_OK;
    }
    /* Each record counts, also those that bring nothing; so does each call that gives data. */
    if (err == ORD_OK) {
        int result = SSL_read_ex(session->ssl, out, wanted, size);
        err = result == 1 ? judge(session, *size) : translate(session, result);
    }
    pthread_mutex_unlock(&session->lock);
    return err;
}

bool net_tls_ready(struct net_tls_session *session) {
    pthread_mutex_lock(&session->lock);
    bool ready = session->ready && !session->failed;
    pthread_mutex_unlock(&session->lock);
    return ready;
}

/* Requires the lock. */
static size_t waiting(const struct net_tls_session *session) {
    return session->tx_end - session->tx_begin + BIO_ctrl_pending(session->tx_bio);
}

bool net_tls_pending(struct net_tls_session *session) {
    pthread_mutex_lock(&session->lock);
    bool pending = waiting(session) > 0;
    pthread_mutex_unlock(&session->lock);
    return pending;
}

enum ord_err net_tls_write(struct net_tls_session *session, const uint8_t *data, size_t *size) {
    enum ord_err err = ORD_OK;
    size_t wanted = ord_min(*size, NET_TLS_RECORD_SIZE);
    *size = 0;
    pthread_mutex_lock(&session->lock);
    ERR_clear_error();
    if (session->failed || !session->ready) {
        err = ORD_ERR_CRYPTO;
    } else if (waiting(session) < NET_TLS_TX_SIZE) {
        if (session->records_written >= RECORDS_PER_KEY && SSL_version(session->ssl) == TLS1_3_VERSION &&
            SSL_key_update(session->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
            session->records_written = 0;
        /* A memory BIO takes everything, so nothing is ever left half written. */
        if (SSL_write_ex(session->ssl, data, wanted, size) != 1)
            err = fail_in_openssl(session);
    }
    pthread_mutex_unlock(&session->lock);
    return err;
}

struct ord_span net_tls_tx_take(struct net_tls_session *session) {
    pthread_mutex_lock(&session->lock);
    if (session->tx_begin == session->tx_end) {
        int count = BIO_read(session->tx_bio, session->tx, sizeof(session->tx));
        session->tx_begin = 0;
        session->tx_end = count > 0 ? (size_t) count : 0;
    }
    struct ord_span bytes = ord_span_of(session->tx + session->tx_begin, session->tx_end - session->tx_begin);
    pthread_mutex_unlock(&session->lock);
    return bytes;
}

void net_tls_tx_sent(struct net_tls_session *session, size_t count) {
    pthread_mutex_lock(&session->lock);
    ORD_ASSERT(count <= session->tx_end - session->tx_begin);
    session->tx_begin += count;
    pthread_mutex_unlock(&session->lock);
}

const struct net_member *net_tls_member(const struct net_tls_session *session) {
    return &session->member;
}

const char *net_tls_why(const struct net_tls_session *session) {
    return session->why;
}

const char *net_tls_subject(const struct net_tls_session *session) {
    return session->subject;
}

SSL *net_tls_test_ssl(struct net_tls_session *session) {
    return session->ssl;
}
