/*
 * Declarations that the files of this folder share. Only net/ and its tests include this file.
 *
 * Every public object (pull, push, server, client) owns one hub. A hub owns connections, a listener or a dialer, one
 * lock and one thread. The lock guards the hub, its connections, and the state that the hub shares with its owner. The
 * thread does everything that is not a reaction to an I/O event: it dials, accepts again after an error, enforces
 * deadlines, probes the listener and frees closed connections. All code here keeps these rules:
 *
 * - A connection's TLS session has a lock of its own, which is taken after the hub's, or without it.
 * - nng calls no callback from within nng_stream_send, nng_stream_recv, nng_stream_close, nng_stream_listener_accept or
 *   nng_stream_dialer_dial. Therefore these functions are called with the lock held, and nng's callbacks take the lock.
 *   The owner's callbacks are called without it.
 * - A connection ends in one way only: by nng_stream_close with the lock held. After that no operation begins on the
 *   stream.
 * - Only the hub's thread stops and frees an aio.
 */
#ifndef ORDAIN_NET_INTERNAL_H
#define ORDAIN_NET_INTERNAL_H

#include <nng/nng.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "net/tls.h"

enum {
    NET_HOST_MAX = 255,
    NET_URL_MAX = NET_HOST_MAX + 32,
    NET_RX_BUFFER_SIZE = 16384,
    NET_HELLO_SIZE = 8,  /* SP: 0 'S' 'P' 0, protocol u16, 0 0 */
    NET_LENGTH_SIZE = 8, /* precedes each message */
    NET_WORD_SIZE = 4,   /* a request id, or a word of REQ/REP's backtrace */
    NET_HOPS_MAX = 16,   /* words in a backtrace */
    /* Free bytes before a message's own bytes, for the length and the backtrace. */
    NET_HEADROOM = 80,
    /* A connection must be up within this time. */
    NET_HANDSHAKE_MS = 10000,
    /* Time limit for one attempt to dial. It is short because the next attempt may find the network repaired. */
    NET_DIAL_MS = 2000,
    /* The time that a peer has to take the alert that says why its handshake failed. */
    NET_ALERT_MS = 1000,
    NET_PROBE_DEADLINE_MS = 2000,
    /* An accepted connection completes a message that it has begun within this time and one at this many bytes a ms. */
    NET_MESSAGE_MS = 30000,
    NET_MESSAGE_BYTES_PER_MS = 64,
};
_Static_assert(NET_HEADROOM >= NET_LENGTH_SIZE + NET_HOPS_MAX * NET_WORD_SIZE, "room for what goes before a message");

/* Numbers of the SP protocols. */
enum net_protocol { NET_REQ = 0x30, NET_REP = 0x31, NET_PUSH = 0x50, NET_PULL = 0x51 };

/* endpoint.c: the edge to nng. */

/* Translates an error code of nng. */
enum ord_err net_err(int code);
/*
 * Writes "tcp://host:port". A host with colons is put in brackets. INVALID: the host is missing, too long or malformed.
 */
ORD_MUST_USE enum ord_err net_url(char url[NET_URL_MAX], const char *host, uint16_t port);
/* Opens a listener on `*port` and sets `*port` to the bound port. INVALID, IN_USE and others of net_err. */
ORD_MUST_USE enum ord_err net_listener_open(nng_stream_listener **out, uint16_t *port, const char *host);
ORD_MUST_USE enum ord_err net_dialer_open(nng_stream_dialer **out, const char *host, uint16_t port);
/* Allocates an aio for a callback. On failure `*out` is NULL. NNG_DURATION_INFINITE: no timeout. */
ORD_MUST_USE enum ord_err net_aio_create(nng_aio **out, void (*on_done)(void *context), void *context,
                                         nng_duration timeout_ms);
/* Waits for the aio's callback and frees it. `aio` may be NULL. */
void net_aio_destroy(nng_aio *aio);
/* Writes the stream's peer as "address:port", with an IPv6 address in brackets. Empty if it has none any more. */
void net_peer_text(char out[NET_PEER_MAX], nng_stream *stream);
/* Milliseconds of the monotonic clock. */
uint64_t net_now_ms(void);
/* Initialises a condition that waits by the monotonic clock. */
void net_cond_init(pthread_cond_t *cond);
/* Waits on the condition. Returns false at once when `deadline_ms` (of net_now_ms) has passed. May wake early. */
bool net_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ms);

/* message.c */
struct net_message {
    struct net_message *next; /* in a connection's queue */
    /* For the sender's use: the object that the message belongs to. */
    void *tag;
    /* If the message has not been sent by this time, its connection is closed. 0: no deadline. */
    uint64_t deadline_ms;
    size_t head; /* the message is bytes[head .. head + size) */
    size_t size;
    uint8_t bytes[]; /* NET_HEADROOM bytes, then the creator's bytes */
};
/* Adds bytes in front of the message. They must fit into the headroom. */
void net_message_prepend(struct net_message *message, const void *data, size_t size);
/* Removes bytes from the front of the message. */
void net_message_trim(struct net_message *message, size_t size);

struct net_hub;

/* account.c: one member at one listener. The hub's lock guards it. It lives as long as one of its connections. */
struct net_account {
    struct net_account *next; /* in the hub's list */
    bool named;               /* false: one plain connection, and `member` is unused */
    struct net_member member;
    uint32_t conn_count; /* connections that are not freed */
    uint32_t open_count; /* those of them that are not closed */
    /* For server.c: sums over the account's connections. */
    uint32_t out;
    size_t unsent;
    uint32_t waiting_count; /* those with a waiting request that do not stand in line */
};

/*
 * conn.c: one connection: an nng stream, SP's hello, and frames. All fields and functions here need the hub's lock,
 * except net_conn_destroy.
 */
struct net_conn {
    struct net_hub *hub;
    struct net_conn *next; /* in the hub's list */
    nng_stream *stream;
    nng_aio *rx_aio;
    nng_aio *tx_aio;
    /* The connection must be up by this time. */
    uint64_t deadline_ms;
    bool probe; /* our own connection to our own listener */
    bool up;    /* a correct hello was received */
    bool closed;
    /* The owner was told that the connection is up, so it must also be told when it ends. */
    bool told;
    /* rx_aio is in use, or its callback or the owner's callback is running. */
    bool rx_busy;
    bool tx_busy;
    /* The connection reads no further until net_conn_resume. */
    bool paused;
    /* Number of users that still need this memory. It is freed only when this is 0. */
    uint32_t holds;
    /* TLS between the stream and everything else here. NULL: the stream is plain. */
    struct net_tls_session *tls;
    /*
     * The connection failed before it was up. It sends its last bytes (an alert), closes at `deadline_ms` at the
     * latest, and reads nothing more.
     */
    bool ending;
    struct net_failure failure; /* `why` is empty: none */
    /* Outgoing. */
    uint8_t hello[NET_HELLO_SIZE];
    size_t hello_sent;
    /* Messages that were not sent completely. Their lengths are already in front of them. */
    struct net_message *tx_first;
    struct net_message *tx_last;
    /* The first message that has bytes left to be passed to TLS, or to the stream if there is no TLS. */
    struct net_message *tx_next;
    size_t tx_passed; /* bytes of tx_next */
    /* Messages in front of tx_next, which TLS has got and the kernel has not got completely. */
    uint32_t tx_passed_count;
    /* Accepted connections that are up have one. */
    struct net_account *account;
    uint64_t active_ms; /* when the last message came */
    /* A message has begun to come, and must be complete by this time. 0: none has begun. */
    uint64_t rx_deadline_ms;
    bool rx_timed; /* the deadline counts rx_message's size */
    /* For the owner's use; server.c needs them. */
    /* A request that waits for a free context, or for the connection to have less than its share of them. */
    struct net_message *waiting;
    struct net_conn *waiting_next;
    bool in_line;  /* stands in the line for a free context */
    uint32_t out;  /* requests in progress */
    size_t unsent; /* bytes of answers that were not sent yet */
    /* Incoming. */
    struct net_message *rx_message; /* the message that is being received */
    size_t rx_filled;
    /* The read under way goes into rx_message directly, and not into rx_buffer. */
    bool rx_direct;
    size_t rx_begin, rx_end;
    /* The last field: net_conn_create zeroes all fields in front of it. */
    uint8_t rx_buffer[NET_RX_BUFFER_SIZE];
};
/*
 * Takes ownership of the stream in any case, and begins to send and to read. `tls` must outlive the connection; NULL:
 * the stream is plain. NULL: no memory.
 */
struct net_conn *net_conn_create(struct net_hub *hub, nng_stream *stream, const struct net_tls_context *tls,
                                 bool probe);
/* Closes the stream. The hub's thread then tells the owner and frees the connection. */
void net_conn_close(struct net_conn *conn);
/* True if no operation of the connection is running any more and nobody holds it. */
bool net_conn_idle(const struct net_conn *conn);
/*
 * Frees the connection. Only the hub's thread calls this, without the lock, once the connection is idle and out of the
 * list. Its queue must be empty.
 */
void net_conn_destroy(struct net_conn *conn);
/* conn_tx.c */
/* Sends what there is to send, unless a send is under way. */
void net_conn_tx_start(struct net_conn *conn);
/* nng's callback of tx_aio. */
void net_conn_on_tx(void *conn);
/* Takes the queue away from a closed connection that sends nothing. Returns its first message, or NULL. */
struct net_message *net_conn_tx_drop(struct net_conn *conn);
/* Queues a message and puts its length in front of it. The connection must not be closed. */
void net_conn_send(struct net_conn *conn, struct net_message *message);
/* Continues to read after `paused`. Releases the lock while it passes messages to the owner. */
void net_conn_resume(struct net_conn *conn);

/* account.c */
/*
 * An accepted connection has come up: gives it its account. If there are too many, an idle connection of the same
 * member, or of the one with the most, is closed, or this one if none of those is idle. False: this one is closed.
 */
bool net_account_admit(struct net_conn *conn);
/* The connection has just been closed. */
void net_account_closed(struct net_conn *conn);
/* The connection is about to be freed. Frees its account with the last one. */
void net_account_leave(struct net_conn *conn);

/* hub.c */

/*
 * The owner's callbacks. They are called without the lock (except on_tick), from nng's threads or the hub's, and never
 * two at a time for one connection's input. NULL: the owner does not want to know. on_message is always there.
 */
struct net_hub_owner {
    void (*on_up)(void *context, struct net_conn *conn);
    /* The owner takes ownership of the message. */
    void (*on_message)(void *context, struct net_conn *conn, struct net_message *message);
    /* The message is freed after the call. */
    void (*on_sent)(void *context, struct net_message *message, enum ord_err result);
    void (*on_down)(void *context, struct net_conn *conn);
    /*
     * The connection has been closed. Called with the lock, so the owner must not call back, and lets go of what it
     * has for the connection. NULL: the connection's messages wait for the end of all that holds it.
     */
    void (*on_closed)(void *context, struct net_conn *conn);
    /* The connection ended before it was up. Probes are not reported. */
    void (*on_failure)(void *context, const struct net_failure *failure);
    /* Lets the owner enforce deadlines of its own. The hub's thread calls it with the lock. Returns the time of the
     * next deadline. */
    uint64_t (*on_tick)(void *context, uint64_t now_ms);
};

struct net_hub_options {
    enum net_protocol self;
    enum net_protocol peer;
    const struct net_tls *tls;
    struct net_tls_rules rules;
    const char *host;
    uint16_t port;
    size_t message_bytes_max;
    bool listens; /* false: it dials */
    uint32_t reconnect_ms_min;
    uint32_t reconnect_ms_max;
    uint32_t probe_interval_ms; /* 0: never probe */
    uint32_t probes_missed_max;
    /* Upper limits for the accepted connections that are up: all, and those of one member. 0: the defaults above. */
    uint32_t connections_max;
    uint32_t member_connections_max;
    /* The time for an accepted connection to complete a message that it has begun, beside its size. 0: the default. */
    uint32_t message_ms;
    struct net_hub_owner owner;
    void *context;
};

/* A dialer. It makes at most one connection attempt at a time. */
struct net_dial {
    nng_stream_dialer *dialer; /* NULL: the hub does not use this dialer */
    nng_aio *aio;
    bool busy; /* the aio is in use */
};

struct net_hub {
    /* As given to net_hub_open, which clears `tls` and `host`, and replaces numbers that must not be 0. */
    struct net_hub_options options;
    char host[NET_HOST_MAX + 1];
    uint16_t port;               /* a listener's bound port, or the port to dial */
    struct net_tls_context *tls; /* NULL: connections are plain */
    struct net_tls_context *probe_tls;

    pthread_mutex_t lock;
    pthread_cond_t cond; /* signals `kicked` to the thread */
    bool kicked;
    bool stopping;
    pthread_t thread;
    /* The time at which the sleeping thread wakes by itself. UINT64_MAX while it is awake. */
    uint64_t wake_ms;
    struct net_conn *conns;
    struct net_account *accounts;
    uint32_t open_count; /* the sum over the accounts */
    /* Connections that were accepted and are neither up nor freed. */
    uint32_t half_open_count;

    /* dialer.c */
    struct net_dial dial;
    bool connected;   /* a connection from `dial` is in the list */
    uint64_t dial_ms; /* when to dial next */
    uint32_t backoff_ms;

    /* listener.c */
    nng_stream_listener *listener; /* NULL while it cannot be reopened */
    nng_aio *accept_aio;           /* NULL: the hub dials */
    bool accept_busy;
    /* For tests only: the listener does not accept and does not notice that. */
    bool deaf;
    uint64_t accept_ms; /* when to accept, or to reopen, next */
    /* Connections that were ever accepted, a sign that the listener works. */
    uint64_t accepted;

    /* probe.c */
    struct net_dial probe;
    struct net_conn *probe_conn; /* also in the list; NULL: none */
    bool probing;
    bool probe_up;
    /* While a probe runs, its deadline. Otherwise, when the next probe begins. */
    uint64_t probe_ms;
    /* `accepted` when the probe began. */
    uint64_t probe_accepted;
    uint32_t probes_missed_row;

    struct net_listener_counters counters;
};
/*
 * Opens a hub and starts its thread. Callbacks may come before this returns. On failure it releases everything.
 * INVALID, IN_USE, NO_MEMORY and others of net_err.
 */
ORD_MUST_USE enum ord_err net_hub_open(struct net_hub *hub, const struct net_hub_options *options);
/* Closes all connections, waits for the last callback and stops the thread. */
void net_hub_close(struct net_hub *hub);
/* Tells the owner the result of each message of a list, and frees them. Takes no lock, and needs none. */
void net_hub_settle(struct net_hub *hub, struct net_message *list, enum ord_err result);
/* Wakes the thread, because it has something to do now. Requires the lock. */
void net_hub_kick(struct net_hub *hub);
/* Makes sure that the thread is awake by `ms`. Requires the lock. */
void net_hub_wake_by(struct net_hub *hub, uint64_t ms);
/* Copies the counters. Takes the lock. */
void net_hub_read(const struct net_hub *hub, struct net_listener_counters *out);
/* Whether the owner has a connection in `*conn`, which the lock guards, that is not closed. Takes the lock. */
bool net_hub_has(const struct net_hub *hub, struct net_conn *const *conn);

/*
 * dialer.c, listener.c and probe.c: parts of the hub. The hub's thread calls the ticks with the lock. A tick returns
 * the time at which it must be called next.
 */
ORD_MUST_USE enum ord_err net_dial_init(struct net_dial *dial, const char *host, uint16_t port,
                                        void (*on_done)(void *hub), struct net_hub *hub);
void net_dial_deinit(struct net_dial *dial);
ORD_MUST_USE enum ord_err net_hub_dialer_init(struct net_hub *hub);
uint64_t net_hub_dialer_tick(struct net_hub *hub, uint64_t now_ms);
/* The dialer's connection has ended, or an attempt to dial has failed. Sets the time of the next attempt. */
void net_hub_dialer_lost(struct net_hub *hub, bool was_up);
ORD_MUST_USE enum ord_err net_hub_listener_init(struct net_hub *hub);
void net_hub_listener_deinit(struct net_hub *hub);
uint64_t net_hub_listener_tick(struct net_hub *hub, uint64_t now_ms);
/* Closes the listener and opens it again on its port. Releases the lock meanwhile. */
void net_hub_listener_reopen(struct net_hub *hub);
ORD_MUST_USE enum ord_err net_hub_probe_tls(struct net_hub *hub, const struct net_tls *tls);
ORD_MUST_USE enum ord_err net_hub_probe_init(struct net_hub *hub);
uint64_t net_hub_probe_tick(struct net_hub *hub, uint64_t now_ms);

/* For tests only. The listener stops accepting without any error, as in nng issue 1518. */
void net_hub_deafen(struct net_hub *hub);
struct net_hub *net_pull_hub(struct net_pull *pull);
struct net_hub *net_server_hub(struct net_server *server);

#endif
