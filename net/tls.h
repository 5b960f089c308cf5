/*
 * TLS: OpenSSL on memory, without a socket. Cipher bytes go in and come out, plain bytes go in and come out, and the
 * connection (conn.c) carries the former over its stream. docs/adr/0016 has the reasons.
 *
 * TLS 1.3 and 1.2 with AES-GCM and mutual authentication. There are no session tickets, no resumption and no
 * renegotiation. A certificate counts if one of the listed CAs issued it directly, if it is meant for this side of a
 * connection (extended key usage), and if it names the organisation that its CA names.
 */
#ifndef ORDAIN_NET_TLS_H
#define ORDAIN_NET_TLS_H

#include "net/net.h"

enum {
    NET_TLS_RX_SIZE = 32768, /* cipher bytes of one read */
    NET_TLS_TX_SIZE = 32768, /* plain bytes that are encrypted ahead of a send; one record more at most */
    NET_TLS_RECORD_SIZE = 16384,
    /* Records in a row without a byte for the reader: handshake messages, alerts, empty records. */
    NET_TLS_IDLE_RECORDS_MAX = 64,
    /* KeyUpdates of the peer at once. Each MiB of data earns another one. */
    NET_TLS_KEY_UPDATES_MAX = 16,
};

/* One side's certificates and rules. Any number of sessions may use it at the same time. */
struct net_tls_context;
/*
 * `*out` is NULL when `tls` is NULL. INVALID: a certificate or key cannot be read, they do not belong together, or a
 * listed certificate is not a CA's.
 */
ORD_MUST_USE enum ord_err net_tls_context_create(struct net_tls_context **out, const struct net_tls *tls,
                                                 const struct net_tls_rules *rules, bool server);
/* `context` may be NULL. */
void net_tls_context_destroy(struct net_tls_context *context);

/* Our own bytes of a session, without OpenSSL's. */
size_t net_tls_session_size(void);
/* One connection's TLS. It has a lock of its own: reading may run in one thread while another one writes. */
struct net_tls_session;
/* The context must outlive the session. A client's first message is ready to be taken at once. */
ORD_MUST_USE enum ord_err net_tls_session_create(struct net_tls_session **out, const struct net_tls_context *context);
/* Wipes the keys. `session` may be NULL. */
void net_tls_session_destroy(struct net_tls_session *session);

/* Where the next cipher bytes of the peer go: NET_TLS_RX_SIZE bytes. Only the reader uses this buffer. */
uint8_t *net_tls_rx_room(struct net_tls_session *session);
/*
 * Takes `count` cipher bytes that were put there. NO_MEMORY. The reader must read until BUSY before it puts in more.
 */
ORD_MUST_USE enum ord_err net_tls_rx_put(struct net_tls_session *session, size_t count);
/*
 * Gives plain bytes: at most `*size`, and sets it to the number given, which is not 0. It also carries the handshake
 * on, and may leave cipher bytes to be sent. BUSY: more cipher bytes are needed. CLOSED: the peer ended the session.
 * CRYPTO: the session has failed, and net_tls_why says why.
 */
ORD_MUST_USE enum ord_err net_tls_read(struct net_tls_session *session, uint8_t *out, size_t *size);

/* True once the handshake is complete and the peer's certificate is proven. */
bool net_tls_ready(struct net_tls_session *session);
/* True if cipher bytes wait to be sent. */
bool net_tls_pending(struct net_tls_session *session);
/*
 * Encrypts at most `*size` bytes, and sets it to the number taken: 0 when enough cipher bytes wait already. Requires
 * that the session is ready. CRYPTO.
 */
ORD_MUST_USE enum ord_err net_tls_write(struct net_tls_session *session, const uint8_t *data, size_t *size);
/* Cipher bytes to send now. They stay valid and are given again until net_tls_tx_sent. */
struct ord_span net_tls_tx_take(struct net_tls_session *session);
void net_tls_tx_sent(struct net_tls_session *session, size_t count);

/* The proven peer. Requires that the session is ready. Constant from then on. */
const struct net_member *net_tls_member(const struct net_tls_session *session);
/*
 * Why the session failed, and the subject of the certificate that the peer showed. Both are printable and may be empty.
 * Only for the reader, or after it has ended.
 */
const char *net_tls_why(const struct net_tls_session *session);
const char *net_tls_subject(const struct net_tls_session *session);

/* tls_verify.c: what a certificate must be like, on top of what OpenSSL checks. */
struct x509_st;
/* Reads the subject's O, OU (optional) and CN. False: a field is missing, repeated, too long, or holds odd bytes. */
bool net_tls_member_of(struct net_member *out, const struct x509_st *cert);
/* Writes the subject in printable ASCII. */
void net_tls_subject_text(char out[NET_SUBJECT_MAX], const struct x509_st *cert);
/*
 * Compares a peer's leaf certificate with the rules. Writes the member to `*out`. NULL: it may pass. Otherwise a
 * sentence that says why it may not.
 */
const char *net_tls_refusal(struct net_member *out, const struct net_tls_rules *rules, const struct x509_st *cert,
                            const struct x509_st *issuer);

#endif
