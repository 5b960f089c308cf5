/*
 * One connection: an nng stream (tcp) that carries the protocol of nng's own sockets, with or without TLS around it
 * (tls.h). That is SP's hello of eight bytes in both directions, then frames of a 64-bit length and as many bytes (SP
 * TCP mapping, RFC draft sp-tcp-mapping-01). What goes out is in conn_tx.c.
 *
 * This code does not use nng's sockets because nng 1.5.2 has two faults. First, a pipe that is closed between the
 * header and the body of a message loses the aio of that message (nng issue 616); over TLS that is nearly always the
 * case. The reaper then waits for that aio for ever, and blocks every other connection of the process. Second, a PUSH
 * pipe that is closed while it sends puts itself back into the list of ready pipes, and is used after it was freed.
 * Killing a replica under load triggers both within minutes. nng's streams of plain TCP have neither fault.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/codec.h"
#include "net/net_internal.h"

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

/* Keeps why the connection did not come up: TLS's reason, or `why` if that has none. */
static void note_failure(struct net_conn *conn, const char *why) {
    struct net_failure *failure = &conn->failure;
    if (conn->up || failure->why[0] != '\0')
        return;
    if (conn->tls != NULL && net_tls_why(conn->tls)[0] != '\0')
        why = net_tls_why(conn->tls);
    snprintf(failure->why, sizeof(failure->why), "%s", why);
    if (conn->tls != NULL)
        snprintf(failure->subject, sizeof(failure->subject), "%s", net_tls_subject(conn->tls));
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
            note_failure(conn, "the peer does not speak this port's protocol");
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
            if (!net_account_admit(conn))
                return true;
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
    conn->rx_deadline_ms = 0;
    conn->active_ms = net_now_ms();
    hub->counters.messages++;
    hub->counters.bytes += message->size;
    pthread_mutex_unlock(&hub->lock);
    hub->options.owner.on_message(hub->options.context, conn, message);
    pthread_mutex_lock(&hub->lock);
    return true;
}

/* Ends a connection whose TLS session has failed. The peer is told why, if it takes that soon. */
static void conn_end(struct net_conn *conn, const char *why) {
    note_failure(conn, why);
    if (conn->up || !net_tls_pending(conn->tls)) {
        net_conn_close(conn);
        return;
    }
    conn->ending = true;
    conn->deadline_ms = ord_min(conn->deadline_ms, net_now_ms() + NET_ALERT_MS);
    net_hub_wake_by(conn->hub, conn->deadline_ms);
    net_conn_tx_start(conn);
}

/* Makes room in the buffer, which is empty or holds the beginning of a hello or of a length. */
static void conn_rx_compact(struct net_conn *conn) {
    size_t left = conn->rx_end - conn->rx_begin;
    memmove(conn->rx_buffer, conn->rx_buffer + conn->rx_begin, left);
    conn->rx_begin = 0;
    conn->rx_end = left;
}

/* Where the next plain bytes go: the buffer, or the message itself if it is large. */
static nng_iov conn_rx_target(struct net_conn *conn) {
    struct net_message *message = conn->rx_message;
    conn->rx_direct = message != NULL && message->size - conn->rx_filled > NET_RX_BUFFER_SIZE / 2;
    if (conn->rx_direct)
        return (nng_iov) {message->bytes + message->head + conn->rx_filled, message->size - conn->rx_filled};
    return (nng_iov) {conn->rx_buffer + conn->rx_end, NET_RX_BUFFER_SIZE - conn->rx_end};
}

static void conn_rx_take(struct net_conn *conn, size_t count) {
    if (conn->rx_direct)
        conn->rx_filled += count;
    else
        conn->rx_end += count;
}

/*
 * Takes plain bytes out of the TLS session. False: it has none. Releases the lock while it computes, so that a
 * handshake or a large message holds nobody up.
 */
static bool conn_rx_decrypt(struct net_conn *conn) {
    nng_iov target = conn_rx_target(conn);
    size_t count = target.iov_len;
    pthread_mutex_unlock(&conn->hub->lock);
    enum ord_err err = net_tls_read(conn->tls, target.iov_buf, &count);
    pthread_mutex_lock(&conn->hub->lock);
    if (conn->closed)
        return true; /* conn_rx_run looks again */
    if (err == ORD_OK)
        conn_rx_take(conn, count);
    else if (err != ORD_ERR_BUSY)
        conn_end(conn, err == ORD_ERR_CLOSED ? "the peer ended the session" : ord_err_text(err));
    /* The handshake may have something to say, or have ended, which lets messages go. */
    net_conn_tx_start(conn);
    return err != ORD_ERR_BUSY;
}

/* Sets the time by which a message that has begun must be complete. */
static void conn_rx_set_deadline(struct net_conn *conn) {
    const struct net_hub *hub = conn->hub;
    bool begun = conn->rx_message != NULL || conn->rx_end > 0;
    if (!conn->up || !begun || hub->accept_aio == NULL) {
        conn->rx_deadline_ms = 0;
        return;
    }
    /* The length comes first, and then the time that it allows. */
    if (conn->rx_deadline_ms != 0 && (conn->rx_message == NULL || conn->rx_timed))
        return;
    size_t size = conn->rx_message == NULL ? 0 : conn->rx_message->size;
    conn->rx_timed = conn->rx_message != NULL;
    conn->rx_deadline_ms = net_now_ms() + hub->options.message_ms + size / NET_MESSAGE_BYTES_PER_MS;
    net_hub_wake_by(conn->hub, conn->rx_deadline_ms);
}

static void conn_rx_start(struct net_conn *conn) {
    conn_rx_set_deadline(conn);
    nng_iov iov = {NULL, NET_TLS_RX_SIZE};
    if (conn->tls == NULL)
        iov = conn_rx_target(conn);
    else
        iov.iov_buf = net_tls_rx_room(conn->tls);
    int code = nng_aio_set_iov(conn->rx_aio, 1, &iov);
    ORD_ASSERT(code == 0); /* an aio always has space for up to four */
    nng_stream_recv(conn->stream, conn->rx_aio);
}

/*
 * Processes everything that came, then begins the next read. The caller has set rx_busy, so that nobody else does so.
 */
static void conn_rx_run(struct net_conn *conn) {
    do {
        while (!conn->closed && !conn->paused && !conn->ending && conn_rx_step(conn))
            ;
        if (conn->closed || conn->paused || conn->ending) {
            conn->rx_busy = false;
            if (conn->closed)
                net_hub_kick(conn->hub);
            return;
        }
        conn_rx_compact(conn);
    } while (conn->tls != NULL && conn_rx_decrypt(conn));
    if (!conn->closed)
        conn_rx_start(conn);
    else
        conn->rx_busy = false;
}

static void on_rx(void *context) {
    struct net_conn *conn = context;
    struct net_hub *hub = conn->hub;
    pthread_mutex_lock(&hub->lock);
    int code = nng_aio_result(conn->rx_aio);
    size_t count = nng_aio_count(conn->rx_aio);
    if (code != 0 || count == 0) {
        /* Whoever was called and hangs up refuses us. Strangers who call and hang up are not worth a report. */
        if (!conn->closed && hub->accept_aio == NULL)
            note_failure(conn, code == NNG_ECONNRESET ? "the peer reset the connection" : "the peer hung up");
        net_conn_close(conn);
    } else if (conn->tls == NULL) {
        conn_rx_take(conn, count);
    } else if (net_tls_rx_put(conn->tls, count) != ORD_OK) {
        net_conn_close(conn);
    }
    conn_rx_run(conn);
    pthread_mutex_unlock(&hub->lock);
}

static struct net_conn *conn_alloc(struct net_hub *hub, const struct net_tls_context *tls) {
    struct net_conn *conn = malloc(sizeof(*conn));
    if (conn == NULL)
        return NULL;
    memset(conn, 0, offsetof(struct net_conn, rx_buffer));
    conn->hub = hub;
    /* The aios need no timeouts: the hub's thread enforces deadlines by closing the stream, and that always works. */
    if (net_aio_create(&conn->rx_aio, on_rx, conn, NNG_DURATION_INFINITE) == ORD_OK &&
        net_aio_create(&conn->tx_aio, net_conn_on_tx, conn, NNG_DURATION_INFINITE) == ORD_OK &&
        (tls == NULL || net_tls_session_create(&conn->tls, tls) == ORD_OK))
        return conn;
    net_aio_destroy(conn->rx_aio);
    net_aio_destroy(conn->tx_aio);
    free(conn);
    return NULL;
}

struct net_conn *net_conn_create(struct net_hub *hub, nng_stream *stream, const struct net_tls_context *tls,
                                 bool probe) {
    struct net_conn *conn = conn_alloc(hub, tls);
    if (conn == NULL) {
        nng_stream_free(stream);
        return NULL;
    }
    conn->stream = stream;
    conn->probe = probe;
    conn->deadline_ms = net_now_ms() + NET_HANDSHAKE_MS;
    net_hub_wake_by(hub, conn->deadline_ms);
    net_peer_text(conn->failure.peer, stream);
    const uint8_t hello[NET_HELLO_SIZE] = {0, 'S', 'P', 0, 0, (uint8_t) hub->options.self, 0, 0};
    memcpy(conn->hello, hello, sizeof(hello));
    conn->next = hub->conns;
    hub->conns = conn;
    net_conn_tx_start(conn);
    if (!conn->closed) {
        conn->rx_busy = true;
        conn_rx_start(conn);
    }
    return conn;
}

void net_conn_close(struct net_conn *conn) {
    if (conn->closed)
        return;
    conn->closed = true;
    net_account_closed(conn);
    nng_stream_close(conn->stream);
    if (conn->hub->options.owner.on_closed != NULL)
        conn->hub->options.owner.on_closed(conn->hub->options.context, conn);
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
    net_tls_session_destroy(conn->tls);
    net_message_destroy(conn->rx_message);
    free(conn);
}

void net_conn_resume(struct net_conn *conn) {
    conn->paused = false;
    if (conn->closed || conn->rx_busy)
        return;
    conn->rx_busy = true;
    conn_rx_run(conn);
}

size_t net_connection_bytes(void) {
    /* An SSL with its records, two memory BIOs with a few records each, a certificate, and nng's stream and aios. */
    enum { LIBRARIES_BYTES = 160 << 10 };
    return sizeof(struct net_conn) + net_tls_session_size() + LIBRARIES_BYTES;
}
