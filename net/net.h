/*
 * The network: the only code that calls nng. Everything is tls+tcp with mutual authentication (or plain tcp, for tests of
 * the transport itself: tls == NULL). TLS tells strangers from members; it never says *who* (crypto/link.h does).
 *
 * On the wire it is SP (PUSH/PULL, REQ/REP over tls+tcp or tcp), so that any SP library can talk to it; net/conn.c says why
 * it is not nng's own sockets that speak it here.
 *
 * Caveats first:
 * - Callbacks run in nng's threads or in the object's own: they must not block and must not close the object that calls them.
 * - *_close blocks until no callback of the object runs any more.
 * - Limits on received sizes are set before a listener starts.
 */
#ifndef ORDAIN_NET_NET_H
#define ORDAIN_NET_NET_H

#include "core/err.h"
#include "core/types.h"

struct net_tls {
    const char *ca_pem; /* every acceptable CA, one after another */
    const char *cert_pem;
    const char *key_pem;
};
/* Can the certificates of CAs in this text be used? INVALID: there is none, or one cannot be read. */
ORD_MUST_USE enum ord_err net_tls_ca_check(const char *ca_pem);

/* A received or outgoing message; owns its bytes. */
struct net_message;
/* NO_MEMORY. `*data` is writable until the message is sent. */
ORD_MUST_USE enum ord_err net_message_create(struct net_message **out, uint8_t **data, size_t size);
struct ord_span net_message_bytes(const struct net_message *message);
/* Shortens it. size <= current size. */
void net_message_truncate(struct net_message *message, size_t size);
void net_message_destroy(struct net_message *message); /* NULL is fine */

/*
 * Listener health. nng 1.5.2 may stop accepting after a peer vanishes in mid-handshake (nng issue 1518). Each listener is
 * probed by a connection to itself; after misses in a row it is closed and opened again on the same port. The connections
 * that it has stay. Connections that have not said hello yet are bounded, in number and in time: the oldest goes.
 */
struct net_listener_counters {
    uint64_t pipes_now; /* authenticated connections, without probes */
    uint64_t pipes_total;
    uint64_t probes;
    uint64_t probes_missed;
    uint64_t reopened;
    uint64_t messages;
    uint64_t bytes;
};

/* Incoming links of the other replicas: one PULL socket. */
struct net_pull;
struct net_pull_options {
    const char *host; /* address to bind */
    uint16_t port;    /* 0: any free one */
    const struct net_tls *tls;
    size_t message_bytes_max;
    uint32_t probe_interval_ms; /* 0: never */
    uint32_t probes_missed_max; /* reopen after so many in a row */
    /* Takes the message (net_message_destroy is the callee's). Calls come one at a time, in order of arrival. */
    void (*on_message)(void *context, struct net_message *message);
    void *context;
};
/* IN_USE: the port is taken. INVALID: bad certificate, key or host. */
ORD_MUST_USE enum ord_err net_pull_open(struct net_pull **out, const struct net_pull_options *options);
uint16_t net_pull_port(const struct net_pull *pull);
void net_pull_counters(const struct net_pull *pull, struct net_listener_counters *out);
void net_pull_close(struct net_pull *pull);

/* Outgoing link to one replica: one PUSH dialer. At most one message is under way; the owner queues and bounds the rest. */
struct net_push;
struct net_push_options {
    const char *host;
    uint16_t port;
    const struct net_tls *tls;
    uint32_t reconnect_ms_min;
    uint32_t reconnect_ms_max;
    /* The link came up or went down; a message under way when it goes down may be lost. */
    void (*on_link)(void *context, bool up);
    /* The message under way left (ORD_OK) or was lost (CLOSED): the next may be sent. */
    void (*on_sent)(void *context, enum ord_err result);
    void *context;
};
/* Dials in the background, for ever. */
ORD_MUST_USE enum ord_err net_push_open(struct net_push **out, const struct net_push_options *options);
/* Takes the message whatever the result. BUSY: one is under way. CLOSED: the link is down. Never blocks. */
ORD_MUST_USE enum ord_err net_push_send(struct net_push *push, struct net_message *message);
bool net_push_up(const struct net_push *push);
/*
 * Gives the connection up, if there is one, and dials again: the owner has reason to think that nobody is at its other end any more.
 * TCP by itself may need as long as a cut has lasted to notice that it is over.
 */
void net_push_redial(struct net_push *push);
void net_push_close(struct net_push *push);

/* The public endpoint: REQ/REP. Every context serves one request at a time: `context_count` bounds them. */
struct net_server;
struct net_request; /* one request; answered exactly once */
struct net_server_options {
    const char *host;
    uint16_t port; /* 0: any free one */
    const struct net_tls *tls;
    uint32_t context_count;
    uint32_t connection_contexts; /* that one connection may have, at most; 0: all */
    size_t request_bytes_max;
    uint32_t send_timeout_ms; /* a reader that never reads loses its answer after this */
    uint32_t probe_interval_ms;
    uint32_t probes_missed_max;
    /* Must lead to exactly one net_request_reply, now or later, from any thread. Calls may come concurrently. */
    void (*on_request)(void *context, struct net_request *request);
    void *context;
};
ORD_MUST_USE enum ord_err net_server_open(struct net_server **out, const struct net_server_options *options);
uint16_t net_server_port(const struct net_server *server);
void net_server_counters(const struct net_server *server, struct net_listener_counters *out);
/*
 * Requests that are out must have been answered or are answered meanwhile from another thread; until they are, it waits.
 * Answers given by then still leave, within their time; requests that have not been handed over yet are dropped.
 */
void net_server_close(struct net_server *server);
struct ord_span net_request_bytes(const struct net_request *request);
/* Its connection: a number that no other connection has until the request is answered. An address, and so a large one. */
uint64_t net_request_source(const struct net_request *request);
/*
 * Bytes of answers that have not left yet: over the request's connection, and, in `all` (may be NULL), over any. Who asks and does not read
 * makes them grow.
 */
size_t net_request_unsent(const struct net_request *request, size_t *all);
/* Takes the message (NULL: no memory; the request is dropped and the client times out). Never blocks. */
void net_request_reply(struct net_request *request, struct net_message *reply);

/* A client's connection: REQ with contexts, many calls in flight. */
struct net_client;
struct net_client_options {
    const char *host;
    uint16_t port;
    const struct net_tls *tls;
    size_t reply_bytes_max;
    uint32_t call_max; /* calls in flight, at most */
    uint32_t reconnect_ms_max;
};
ORD_MUST_USE enum ord_err net_client_open(struct net_client **out, const struct net_client_options *options);
/* Waits for a connection. TIMEOUT. Blocks. */
ORD_MUST_USE enum ord_err net_client_wait(struct net_client *client, uint32_t timeout_ms);
bool net_client_up(const struct net_client *client);
/*
 * Sends a request; `on_reply` is called exactly once, from an nng thread: ORD_OK with the reply (callee destroys it), TIMEOUT, or
 * CLOSED. BUSY: call_max are in flight; nothing was sent and on_reply is not called. CLOSED: the client closes; likewise.
 * Takes the message whatever the result. The request is not sent again by the transport: a retry is the caller's to decide.
 */
ORD_MUST_USE enum ord_err net_client_call(struct net_client *client, struct net_message *request, uint32_t timeout_ms,
                                          void (*on_reply)(void *context, enum ord_err result,
                                                           struct net_message *reply),
                                          void *context);
/* Calls, and waits. Blocks. */
ORD_MUST_USE enum ord_err net_client_ask(struct net_client *client, struct net_message **reply,
                                         struct net_message *request, uint32_t timeout_ms);
/* Fails the calls in flight with CLOSED. */
void net_client_close(struct net_client *client);

#endif
