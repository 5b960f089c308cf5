/*
 * What a connection sends: its hello, then its queue of messages. A message is sent when the kernel has taken its last
 * byte. With TLS, messages are encrypted ahead of that, NET_TLS_TX_SIZE bytes at most, so small ones share a send.
 */
#include "core/assert.h"
#include "core/codec.h"
#include "net/net_internal.h"

/* Notes that `count` more bytes of tx_next were passed on. */
static void conn_passed(struct net_conn *conn, size_t count) {
    conn->tx_passed += count;
    if (conn->tx_passed < conn->tx_next->size)
        return;
    conn->tx_passed = 0;
    conn->tx_next = conn->tx_next->next;
    conn->tx_passed_count++;
}

/* The bytes to encrypt next. Their size is 0 if there are none. */
static struct ord_span conn_plain_next(const struct net_conn *conn) {
    /* A probe never sends a hello, so that its other end, our own listener, does not mistake it for a peer. */
    if (conn->probe)
        return ord_span_of(NULL, 0);
    if (conn->hello_sent < NET_HELLO_SIZE)
        return ord_span_of(conn->hello + conn->hello_sent, NET_HELLO_SIZE - conn->hello_sent);
    const struct net_message *message = conn->tx_next;
    if (message == NULL)
        return ord_span_of(NULL, 0);
    return ord_span_of(message->bytes + message->head + conn->tx_passed, message->size - conn->tx_passed);
}

/* Encrypts as much of the queue as fits. False: the session has failed. */
static bool conn_encrypt(struct net_conn *conn) {
    for (;;) {
        struct ord_span plain = conn_plain_next(conn);
        size_t count = plain.size;
        if (count == 0)
            return true;
        if (net_tls_write(conn->tls, plain.data, &count) != ORD_OK)
            return false;
        if (count == 0)
            return true;
        if (conn->hello_sent < NET_HELLO_SIZE)
            conn->hello_sent += count;
        else
            conn_passed(conn, count);
    }
}

void net_conn_tx_start(struct net_conn *conn) {
    if (conn->closed || conn->tx_busy)
        return;
    struct ord_span bytes;
    if (conn->tls == NULL) {
        bytes = conn_plain_next(conn);
    } else {
        if (net_tls_ready(conn->tls) && !conn_encrypt(conn)) {
            net_conn_close(conn);
            return;
        }
        bytes = net_tls_tx_take(conn->tls);
    }
    if (bytes.size == 0) {
        if (conn->ending)
            net_conn_close(conn); /* the alert has left */
        return;
    }
    conn->tx_busy = true;
    /* nng's type has no const, and a send does not write. */
    nng_iov iov = {(void *) (uintptr_t) bytes.data, bytes.size};
    int code = nng_aio_set_iov(conn->tx_aio, 1, &iov);
    ORD_ASSERT(code == 0);
    nng_stream_send(conn->stream, conn->tx_aio);
}

/* Accounts for the bytes of a finished send. Returns the list of messages that are now sent completely, or NULL. */
static struct net_message *conn_sent(struct net_conn *conn, size_t count) {
    if (conn->tls != NULL) {
        net_tls_tx_sent(conn->tls, count);
        if (net_tls_pending(conn->tls))
            return NULL;
    } else if (conn->hello_sent < NET_HELLO_SIZE) {
        conn->hello_sent += count;
    } else {
        conn_passed(conn, count);
    }
    if (conn->tx_passed_count == 0)
        return NULL;
    struct net_message *first = conn->tx_first;
    struct net_message *last = first;
    while (--conn->tx_passed_count > 0)
        last = last->next;
    conn->tx_first = last->next;
    if (conn->tx_first == NULL)
        conn->tx_last = NULL;
    last->next = NULL;
    return first;
}

void net_conn_on_tx(void *context) {
    struct net_conn *conn = context;
    struct net_hub *hub = conn->hub;
    struct net_message *sent = NULL;
    pthread_mutex_lock(&hub->lock);
    if (nng_aio_result(conn->tx_aio) != 0)
        net_conn_close(conn);
    else
        sent = conn_sent(conn, nng_aio_count(conn->tx_aio));
    conn->tx_busy = false;
    net_conn_tx_start(conn);
    if (sent != NULL) {
        conn->holds++;
        pthread_mutex_unlock(&hub->lock);
        net_hub_settle(hub, sent, ORD_OK);
        pthread_mutex_lock(&hub->lock);
        conn->holds--;
    }
    if (conn->closed)
        net_hub_kick(hub);
    pthread_mutex_unlock(&hub->lock);
}

void net_conn_send(struct net_conn *conn, struct net_message *message) {
    ORD_ASSERT(!conn->closed);
    uint8_t length[NET_LENGTH_SIZE];
    ord_store_u64(length, message->size);
    net_message_prepend(message, length, sizeof(length));
    message->next = NULL;
    if (conn->tx_last == NULL)
        conn->tx_first = message;
    else
        conn->tx_last->next = message;
    conn->tx_last = message;
    if (conn->tx_next == NULL)
        conn->tx_next = message;
    if (message->deadline_ms != 0)
        net_hub_wake_by(conn->hub, message->deadline_ms);
    net_conn_tx_start(conn);
}

struct net_message *net_conn_tx_drop(struct net_conn *conn) {
    ORD_ASSERT(conn->closed && !conn->tx_busy);
    struct net_message *first = conn->tx_first;
    conn->tx_first = NULL;
    conn->tx_last = NULL;
    conn->tx_next = NULL;
    conn->tx_passed_count = 0;
    return first;
}
