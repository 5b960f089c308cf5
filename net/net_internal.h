/*
 * What the files of this folder share. Nothing outside of net/ includes this file, except the tests of net/.
 *
 * Every public object (pull, push, server, client) owns one hub. A hub owns connections, a listener or a dialer, one lock
 * and one thread. The lock guards the hub, its connections, and whatever of its owner's the two share. The thread does
 * all that is not an answer to an I/O event: it dials, accepts again after an error, enforces deadlines, probes the
 * listener, frees what is closed. Rules that all of it keeps:
 *
 * - nng calls no callback from within nng_stream_send, nng_stream_recv, nng_stream_close, nng_stream_listener_accept or
 *   nng_stream_dialer_dial; so these are called under the lock, and callbacks take it. The owner's callbacks are called
 *   without it.
 * - A connection ends in one way only: nng_stream_close under the lock, after which nothing is begun on the stream.
 * - Only the hub's thread stops and frees an aio.
 */
#ifndef ORDAIN_NET_INTERNAL_H
#define ORDAIN_NET_INTERNAL_H

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "net/net.h"

enum {
    NET_HOST_MAX = 255,
    NET_URL_MAX = NET_HOST_MAX + 32,
    NET_RX_BUFFER_SIZE = 16384,
    NET_HELLO_SIZE = 8,  /* SP: 0 'S' 'P' 0, protocol, 0 */
    NET_LENGTH_SIZE = 8, /* before each message */
    NET_WORD_SIZE = 4,   /* request ids, and the backtrace of REQ/REP */
    NET_HOPS_MAX = 16,   /* words of a backtrace */
    NET_HEADROOM = 80,   /* before a message's bytes: length and backtrace */
    NET_HALF_OPEN_MAX = 256,
    NET_HANDSHAKE_MS = 10000,
    NET_DIAL_MS = 2000, /* to be connected by; the next try may meet a network that is whole again */
    NET_PROBE_DEADLINE_MS = 2000,
};
_Static_assert(NET_HEADROOM >= NET_LENGTH_SIZE + NET_HOPS_MAX * NET_WORD_SIZE, "room for what goes before a message");

/* Numbers of the SP protocols. */
enum net_protocol { NET_REQ = 0x30, NET_REP = 0x31, NET_PUSH = 0x50, NET_PULL = 0x51 };

/* endpoint.c: nng's edge. */

/* Translates a code of nng. */
enum ord_err net_err(int code);
/* "tls+tcp://host:port"; a host with colons is put in brackets. INVALID: no host, too long, or not one. */
ORD_MUST_USE enum ord_err net_url(char url[NET_URL_MAX], const char *host, uint16_t port, bool tls);
/* INVALID, IN_USE. `*port` is the bound one. */
ORD_MUST_USE enum ord_err net_listener_open(nng_stream_listener **out, uint16_t *port, const char *host,
                                            nng_tls_config *tls);
ORD_MUST_USE enum ord_err net_dialer_open(nng_stream_dialer **out, const char *host, uint16_t port,
                                          nng_tls_config *tls);
uint64_t net_now_ms(void);
void net_cond_init(pthread_cond_t *cond); /* on the monotonic clock */
/* False when `deadline_ms` (of net_now_ms) has passed. May wake early. */
bool net_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ms);

/* tls.c */

/*
 * Mutual authentication against the CAs of `tls`, TLS 1.2, no check of names. `*out` is NULL when `tls` is NULL. INVALID: a
 * certificate or key that cannot be read.
 */
ORD_MUST_USE enum ord_err net_tls_config_create(nng_tls_config **out, const struct net_tls *tls, nng_tls_mode mode);
void net_tls_config_destroy(nng_tls_config *config); /* NULL is fine */

/* message.c */
struct net_message {
    struct net_message *next; /* in a connection's queue */
    void *tag;                /* its sender's: what it belongs to */
    uint64_t deadline_ms;     /* must have left by then, or the connection is closed; 0: never */
    size_t head;              /* the message is bytes[head .. head + size) */
    size_t size;
    uint8_t bytes[]; /* NET_HEADROOM, then what was asked for */
};
/* Puts bytes in front, or takes them away. */
void net_message_prepend(struct net_message *message, const void *data, size_t size);
void net_message_trim(struct net_message *message, size_t size);

struct net_hub;

/* conn.c: one connection: an nng stream, SP's hello, and frames. Everything here needs the hub's lock. */
struct net_conn {
    struct net_hub *hub;
    struct net_conn *next; /* in the hub's list */
    nng_stream *stream;
    nng_aio *rx_aio;
    nng_aio *tx_aio;
    uint64_t deadline_ms; /* to be up by */
    bool probe;           /* our own, to our own listener */
    bool up;              /* hello received and right */
    bool closed;
    bool told;    /* the owner knows that it is up, and hears of its end */
    bool rx_busy; /* rx_aio is in use, or its callback, or the owner's, is running */
    bool tx_busy;
    bool paused;    /* reads no further until net_conn_resume */
    uint32_t holds; /* others that need the memory; it is not freed before they let go */
    /* Outgoing */
    uint8_t hello[NET_HELLO_SIZE];
    size_t hello_sent;
    struct net_message *tx_first; /* the one under way; its length is in front of it already */
    struct net_message *tx_last;
    size_t tx_sent; /* bytes of tx_first */
    /* The owner's */
    struct net_message *waiting; /* a request that found no free context, or of one that has its share of them */
    struct net_conn *waiting_next;
    bool in_line;  /* for a free context */
    uint32_t out;  /* requests that are out */
    size_t unsent; /* bytes of answers that have not left */
    /* Incoming */
    struct net_message *rx_message; /* being filled */
    size_t rx_filled;
    bool rx_direct; /* the read under way goes into rx_message, not into rx_buffer */
    size_t rx_begin, rx_end;
    uint8_t rx_buffer[NET_RX_BUFFER_SIZE]; /* last: whatever is in front of it begins as zero */
};
/* Takes the stream in any case, and starts to talk. NULL: no memory. */
struct net_conn *net_conn_create(struct net_hub *hub, nng_stream *stream, bool probe);
/* Begins the end. The hub's thread does the rest, and tells the owner. */
void net_conn_close(struct net_conn *conn);
/* Nothing of it is running any more, and nobody holds it. */
bool net_conn_idle(const struct net_conn *conn);
/* By the hub's thread, without the lock, once it is idle and out of the list. Its queue must be empty. */
void net_conn_destroy(struct net_conn *conn);
/* Queues a message; the length goes in front of it. Not on a closed connection. */
void net_conn_send(struct net_conn *conn, struct net_message *message);
/* Goes on after `paused`. Lets go of the lock meanwhile, when it has messages to hand over. */
void net_conn_resume(struct net_conn *conn);

/* hub.c */

/* Called without the lock, from nng's threads or the hub's; never two at a time for one connection's input. */
struct net_hub_owner {
    void (*on_up)(void *context, struct net_conn *conn);
    void (*on_message)(void *context, struct net_conn *conn, struct net_message *message); /* takes it */
    void (*on_sent)(void *context, struct net_message *message, enum ord_err result);      /* it is freed afterwards */
    void (*on_down)(void *context, struct net_conn *conn);
    /* By the hub's thread, with the lock: the owner's own deadlines. Gives the time of the next. NULL: none. */
    uint64_t (*on_tick)(void *context, uint64_t now_ms);
};

struct net_hub_options {
    enum net_protocol self;
    enum net_protocol peer;
    const struct net_tls *tls;
    const char *host;
    uint16_t port;
    size_t message_bytes_max;
    bool listens; /* or dials */
    uint32_t reconnect_ms_min;
    uint32_t reconnect_ms_max;
    uint32_t probe_interval_ms; /* 0: never */
    uint32_t probes_missed_max;
    struct net_hub_owner owner;
    void *context;
};

/* An outgoing connection attempt, at most one at a time. */
struct net_dial {
    nng_stream_dialer *dialer; /* NULL: none */
    nng_aio *aio;
    bool busy; /* the aio is in use */
};

struct net_hub {
    struct net_hub_owner owner;
    void *context;
    enum net_protocol self;
    enum net_protocol peer;
    size_t message_bytes_max;
    char host[NET_HOST_MAX + 1];
    uint16_t port; /* of a listener: the bound one */
    nng_tls_config *tls;
    nng_tls_config *probe_tls;

    pthread_mutex_t lock;
    pthread_cond_t cond; /* for the thread: `kicked` */
    bool kicked;
    bool stopping;
    pthread_t thread;
    uint64_t wake_ms; /* when the thread will look by itself */
    struct net_conn *conns;
    uint32_t half_open_count; /* accepted, and neither up nor closed */

    /* dialer.c */
    struct net_dial dial;
    bool connected; /* a connection from `dial` is in the list */
    uint64_t dial_ms;
    uint32_t backoff_ms, reconnect_ms_min, reconnect_ms_max;

    /* listener.c */
    nng_stream_listener *listener; /* NULL while it cannot be opened again */
    nng_aio *accept_aio;
    bool accept_busy;
    bool deaf; /* tests only: it does not accept, and does not know */
    uint64_t accept_ms;
    uint64_t accepted; /* ever: a sign of life */

    /* probe.c */
    struct net_dial probe;
    struct net_conn *probe_conn; /* in the list too */
    bool probing;
    bool probe_up;
    uint64_t probe_ms; /* when the next begins, or the deadline of this one */
    uint64_t probe_accepted;
    uint32_t probe_interval_ms, probes_missed_max, probes_missed_row;

    struct net_listener_counters counters;
};
/* INVALID, IN_USE, NO_MEMORY. On failure nothing is left of it. Callbacks may come before this returns. */
ORD_MUST_USE enum ord_err net_hub_open(struct net_hub *hub, const struct net_hub_options *options);
/* Closes all, waits for the last callback. */
void net_hub_close(struct net_hub *hub);
/* With the lock: the thread has something to do, now or by then. */
void net_hub_kick(struct net_hub *hub);
void net_hub_wake_by(struct net_hub *hub, uint64_t ms);
void net_hub_read(struct net_hub *hub, struct net_listener_counters *out);

/* dialer.c and listener.c and probe.c: parts of the hub. The ticks are the thread's, with the lock, and give the time of the next. */
ORD_MUST_USE enum ord_err net_dial_init(struct net_dial *dial, const char *host, uint16_t port, nng_tls_config *tls,
                                        void (*on_done)(void *hub), struct net_hub *hub);
void net_dial_deinit(struct net_dial *dial);
ORD_MUST_USE enum ord_err net_hub_dialer_init(struct net_hub *hub);
uint64_t net_hub_dialer_tick(struct net_hub *hub, uint64_t now_ms);
/* A connection of the dialer is gone, or its peer turned out not to be one. */
void net_hub_dialer_lost(struct net_hub *hub, bool was_up);
ORD_MUST_USE enum ord_err net_hub_listener_init(struct net_hub *hub);
void net_hub_listener_deinit(struct net_hub *hub);
uint64_t net_hub_listener_tick(struct net_hub *hub, uint64_t now_ms);
/* Lets go of the lock meanwhile. */
void net_hub_listener_reopen(struct net_hub *hub);
ORD_MUST_USE enum ord_err net_hub_probe_init(struct net_hub *hub);
uint64_t net_hub_probe_tick(struct net_hub *hub, uint64_t now_ms);

/* For tests only. The listener stops to accept and nobody is told, as in nng issue 1518. */
void net_hub_deafen(struct net_hub *hub);
struct net_hub *net_pull_hub(struct net_pull *pull);
struct net_hub *net_server_hub(struct net_server *server);

#endif
