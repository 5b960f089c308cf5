/*
 * One connection: an nng stream (tls+tcp or tcp) that carries the protocol of nng's own sockets. That is SP's hello of
 * eight bytes in both directions, then frames of a 64-bit length and as many bytes (SP TCP mapping, RFC draft
 * sp-tcp-mapping-01).
 *
 * This code does not use nng's sockets because nng 1.5.2 has two faults. First, a pipe that is closed between the
 * header and the body of a message loses the aio of that message (nng issue 616); over TLS that is nearly always the
 * case. The reaper then waits for that aio for ever, and blocks every other connection of the process. Second, a PUSH
 * pipe that is closed while it sends puts itself back into the list of ready pipes, and is used after it was freed.
 * Killing a replica under load triggers both within minutes. nng's streams have neither fault. They have one of their
 * own, which `dead` in hub.c works around.
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/codec.h"
#include "net/net_internal.h"

static void conn_tx_start(struct net_conn *conn) {
    if (conn->closed || conn->tx_busy)
        return;
    nng_iov iov;
    if (conn->hello_sent < NET_HELLO_SIZE) {
        /* A probe never sends a hello, so that its other end, our own listener, does not mistake it for a peer. */
        if (conn->probe)
            return;
        iov = (nng_iov) {conn->hello + conn->hello_sent, NET_HELLO_SIZE - conn->hello_sent};
    } else if (conn->tx_first != NULL) {
        struct net_message *message = conn->tx_first;
        iov = (nng_iov) {message->bytes + message->head + conn->tx_sent, message->size - conn->tx_sent};
    } else {
        return;
    }
    conn->tx_busy = true;
    int code = nng_aio_set_iov(conn->tx_aio, 1, &iov);
    ORD_ASSERT(code == 0); /* an aio always has space for up to four */
    nng_stream_send(conn->stream, conn->tx_aio);
}

/* Accounts for the bytes of a finished send. Returns the message that is now sent completely, or NULL. */
static struct net_message *conn_tx_advance(struct net_conn *conn, size_t count) {
    if (conn->hello_sent < NET_HELLO_SIZE) {
        conn->hello_sent += count;
        return NULL;
    }
    struct net_message *message = conn->tx_first;
    conn->tx_sent += count;
    if (conn->tx_sent < message->size)
        return NULL;
    conn->tx_sent = 0;
    conn->tx_first = message->next;
    if (conn->tx_first == NULL)
        conn->tx_last = NULL;
    return message;
}

static void on_tx(void *context) {
    struct net_conn *conn = context;
    struct net_hub *hub = conn->hub;
    struct net_message *left = NULL;
    pthread_mutex_lock(&hub->lock);
    if (nng_aio_result(conn->tx_aio) != 0)
        net_conn_close(conn);
    else
        left = conn_tx_advance(conn, nng_aio_count(conn->tx_aio));
    conn->tx_busy = false;
    conn_tx_start(conn);
    if (left != NULL) {
        conn->holds++;
        pthread_mutex_unlock(&hub->lock);
        if (hub->options.owner.on_sent != NULL)
            hub->options.owner.on_sent(hub->options.context, left, ORD_OK);
        net_message_destroy(left);
        pthread_mutex_lock(&hub->lock);
        conn->holds--;
    }
    if (conn->closed)
        net_hub_kick(hub);
    pthread_mutex_unlock(&hub->lock);
}

/* Consumes the hello in the buffer. False: it is not a hello, or it names another protocol. */
static bool conn_rx_hello(struct net_conn *conn) {
    const uint8_t *hello = conn->rx_buffer + conn->rx_begin;
    conn->rx_begin += NET_HELLO_SIZE;
    /* A probe receives the hello of our own listener. */
    enum net_protocol peer = conn->probe ? conn->hub->options.self : conn->hub->options.peer;
    return hello[0] == 0 && hello[1] == 'S' && hello[2] == 'P' && hello[3] == 0 && hello[4] == 0 &&
           hello[5] == (uint8_t) peer && hello[6] == 0 && hello[7] == 0;
}

/* Consumes a length in the buffer and allocates the message. False: over the limit, or no memory. */
static bool conn_rx_begin(struct net_conn *conn) {
    uint64_t size = ord_load_u64(conn->rx_buffer + conn->rx_begin);
    conn->rx_begin += NET_LENGTH_SIZE;
    if (size > conn->hub->options.message_bytes_max)
        return false;
    uint8_t *data;
    if (net_message_create(&conn->rx_message, &data, (size_t) size) != ORD_OK)
        return false;
    conn->rx_filled = 0;
    return true;
}

/*
 * Processes one hello or message in the buffer. False: more bytes are needed. Releases the lock when it calls the
 * owner.
 */
static bool conn_rx_step(struct net_conn *conn) {
    struct net_hub *hub = conn->hub;
    size_t at_hand = conn->rx_end - conn->rx_begin;
    if (!conn->up) {
        if (at_hand < NET_HELLO_SIZE)
            return false;
        if (!conn_rx_hello(conn)) {
            net_conn_close(conn);
            return true;
        }
        conn->up = true;
        if (conn->probe) {
            hub->probe_up = true;
            net_hub_kick(hub);
            return true;
        }
        if (hub->accept_aio != NULL) {
            hub->half_open_count--;
            hub->counters.pipes_now++;
            hub->counters.pipes_total++;
        }
        conn->told = true;
        pthread_mutex_unlock(&hub->lock);
        if (hub->options.owner.on_up != NULL)
            hub->options.owner.on_up(hub->options.context, conn);
        pthread_mutex_lock(&hub->lock);
        return true;
    }
    if (conn->rx_message == NULL) {
        if (at_hand < NET_LENGTH_SIZE)
            return false;
        if (!conn_rx_begin(conn)) {
            net_conn_close(conn);
            return true;
        }
        at_hand = conn->rx_end - conn->rx_begin;
    }
    struct net_message *message = conn->rx_message;
    size_t size = ord_min(message->size - conn->rx_filled, at_hand);
    memcpy(message->bytes + message->head + conn->rx_filled, conn->rx_buffer + conn->rx_begin, size);
    conn->rx_begin += size;
    conn->rx_filled += size;
    if (conn->rx_filled < message->size)
        return false;
    conn->rx_message = NULL;
    hub->counters.messages++;
    hub->counters.bytes += message->size;
    pthread_mutex_unlock(&hub->lock);
    hub->options.owner.on_message(hub->options.context, conn, message);
    pthread_mutex_lock(&hub->lock);
    return true;
}

/*
 * Processes everything in the buffer, then begins the next read. The caller has set rx_busy, so that nobody else does
 * so.
 */
static void conn_rx_run(struct net_conn *conn) {
    while (!conn->closed && !conn->paused && conn_rx_step(conn))
        ;
    if (conn->closed || conn->paused) {
        conn->rx_busy = false;
        if (conn->closed)
            net_hub_kick(conn->hub);
        return;
    }
    /* The buffer is now empty or holds the beginning of a hello or of a length. */
    size_t left = conn->rx_end - conn->rx_begin;
    memmove(conn->rx_buffer, conn->rx_buffer + conn->rx_begin, left);
    conn->rx_begin = 0;
    conn->rx_end = left;
    nng_iov iov = {conn->rx_buffer + left, NET_RX_BUFFER_SIZE - left};
    struct net_message *message = conn->rx_message;
    conn->rx_direct = message != NULL && message->size - conn->rx_filled > NET_RX_BUFFER_SIZE / 2;
    if (conn->rx_direct)
        iov = (nng_iov) {message->bytes + message->head + conn->rx_filled, message->size - conn->rx_filled};
    int code = nng_aio_set_iov(conn->rx_aio, 1, &iov);
    ORD_ASSERT(code == 0);
    nng_stream_recv(conn->stream, conn->rx_aio);
}

static void on_rx(void *context) {
    struct net_conn *conn = context;
    struct net_hub *hub = conn->hub;
    pthread_mutex_lock(&hub->lock);
    size_t count = nng_aio_count(conn->rx_aio);
    if (nng_aio_result(conn->rx_aio) != 0 || count == 0)
        net_conn_close(conn);
    else if (conn->rx_direct)
        conn->rx_filled += count;
    else
        conn->rx_end += count;
    conn_rx_run(conn);
    pthread_mutex_unlock(&hub->lock);
}

struct net_conn *net_conn_create(struct net_hub *hub, nng_stream *stream, bool probe) {
    /* The aios need no timeouts: the hub's thread enforces deadlines by closing the stream, and that always works. */
    struct net_conn *conn = malloc(sizeof(*conn));
    if (conn != NULL)
        memset(conn, 0, offsetof(struct net_conn, rx_buffer));
    if (conn == NULL || net_aio_create(&conn->rx_aio, on_rx, conn, NNG_DURATION_INFINITE) != ORD_OK ||
        net_aio_create(&conn->tx_aio, on_tx, conn, NNG_DURATION_INFINITE) != ORD_OK) {
        if (conn != NULL)
            net_aio_destroy(conn->rx_aio);
        free(conn);
        nng_stream_free(stream);
        return NULL;
    }
    conn->hub = hub;
    conn->stream = stream;
    conn->probe = probe;
    conn->deadline_ms = net_now_ms() + NET_HANDSHAKE_MS;
    net_hub_wake_by(hub, conn->deadline_ms);
    const uint8_t hello[NET_HELLO_SIZE] = {0, 'S', 'P', 0, 0, (uint8_t) hub->options.self, 0, 0};
    memcpy(conn->hello, hello, sizeof(hello));
    conn->next = hub->conns;
    hub->conns = conn;
    conn_tx_start(conn);
    conn->rx_busy = true;
    conn_rx_run(conn);
    return conn;
}

void net_conn_close(struct net_conn *conn) {
    if (conn->closed)
        return;
    conn->closed = true;
    nng_stream_close(conn->stream);
    net_hub_kick(conn->hub);
}

bool net_conn_idle(const struct net_conn *conn) {
    return !conn->rx_busy && !conn->tx_busy && conn->holds == 0;
}

void net_conn_destroy(struct net_conn *conn) {
    ORD_ASSERT(conn->tx_first == NULL && conn->waiting == NULL);
    nng_aio_stop(conn->rx_aio);
    nng_aio_stop(conn->tx_aio);
    nng_aio_free(conn->rx_aio);
    nng_aio_free(conn->tx_aio);
    nng_stream_free(conn->stream);
    net_message_destroy(conn->rx_message);
    free(conn);
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
    if (message->deadline_ms != 0)
        net_hub_wake_by(conn->hub, message->deadline_ms);
    conn_tx_start(conn);
}

void net_conn_resume(struct net_conn *conn) {
    conn->paused = false;
    if (conn->closed || conn->rx_busy)
        return;
    conn->rx_busy = true;
    conn_rx_run(conn);
}
