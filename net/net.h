/*
 * The network: the only code that calls nng, and TLS by OpenSSL (net/tls.h). All connections have mutual
 * authentication. Tests of the transport itself use plain tcp (tls == NULL).
 *
 * Caveats first:
 * - A connection belongs to the member that its certificate names. On the links between replicas that is not enough
 *   for a statement to count: crypto/link.h says which replica a frame is from.
 * - Callbacks run in nng's threads or in the object's own. They must not block and must not close the object that calls
 *   them.
 * - *_close blocks until no callback of the object runs any more.
 * - Limits on received sizes are set before a listener starts.
 *
 * The protocol on the wire is SP (PUSH/PULL and REQ/REP over tls+tcp or tcp), so any SP library can talk to it.
 * net/conn.c says why this code speaks SP itself instead of using nng's sockets.
 */
#ifndef ORDAIN_NET_NET_H
#define ORDAIN_NET_NET_H

#include "core/err.h"
#include "core/types.h"

enum {
    NET_NAME_MAX = 64, /* bytes of a certificate's O, OU or CN, without the terminator */
    NET_PEER_MAX = 72, /* "address:port", with the terminator */
    NET_SUBJECT_MAX = 256,
    NET_WHY_MAX = 160,
    /* At each listener: accepted connections that have not sent SP's hello yet. */
    NET_HALF_OPEN_MAX = 256,
    /* Those that have, in all and of one member, where the options give no other limits. */
    NET_CONNECTIONS_MAX = 1024,
    NET_MEMBER_CONNECTIONS_MAX = 256,
};

/*
 * A member: the three texts that its organisation's CA wrote into the certificate that TLS has proven. All certificates
 * with the same three texts are one member's.
 */
struct net_member {
    char organisation[NET_NAME_MAX + 1]; /* O, which is also the CA's O */
    char role[NET_NAME_MAX + 1];         /* OU; empty if the certificate has none */
    char name[NET_NAME_MAX + 1];         /* CN */
};

/*
 * Whom a side accepts, among those whom a listed CA has certified. An empty text: anybody. A listener takes its own
 * certificate in any case.
 */
struct net_tls_rules {
    char roles[NET_NAME_MAX + 1]; /* one of these, with blanks between them */
    char organisation[NET_NAME_MAX + 1];
    char name[NET_NAME_MAX + 1];
};

struct net_tls {
    const char *ca_pem; /* every acceptable CA, one after another; each issues members' certificates itself */
    const char *cert_pem;
    const char *key_pem;
};

/* Why a connection did not come up. All texts are printable ASCII without quotation marks, and may be empty. */
struct net_failure {
    char peer[NET_PEER_MAX];
    char subject[NET_SUBJECT_MAX]; /* of the certificate that the peer showed */
    char why[NET_WHY_MAX];
};
/* Fills in the rules. The last two texts may be NULL, and then anybody's pass. Each has at most NET_NAME_MAX bytes. */
void net_tls_rules_set(struct net_tls_rules *out, const char *roles, const char *organisation, const char *name);
/*
 * Checks that others who list the same CAs and keep these rules will accept our own certificate, now and for our side
 * of a connection. INVALID: `why` (NET_WHY_MAX bytes) says why not. CRYPTO, NO_MEMORY.
 */
ORD_MUST_USE enum ord_err net_tls_own_check(char why[NET_WHY_MAX], const struct net_tls *tls,
                                            const struct net_tls_rules *rules, bool server);

/* The most bytes that a connection takes beside its messages: ours, and an estimate of OpenSSL's and nng's. */
size_t net_connection_bytes(void);

/* A received or outgoing message. It owns its bytes. */
struct net_message;
/*
 * Creates a message of `size` uninitialised bytes. The caller may write to `*data` until the message is sent.
 * NO_MEMORY.
 */
ORD_MUST_USE enum ord_err net_message_create(struct net_message **out, uint8_t **data, size_t size);
struct ord_span net_message_bytes(const struct net_message *message);
/* Shortens the message to its first `size` bytes. Requires size <= current size. */
void net_message_truncate(struct net_message *message, size_t size);
/* `message` may be NULL. */
void net_message_destroy(struct net_message *message);

/*
 * Listener health. nng 1.5.2 may stop accepting after a peer vanishes in mid-handshake (nng issue 1518). Therefore each
 * listener is probed by a connection to itself. After several missed probes in a row the listener is closed and opened
 * again on the same port; its existing connections stay. Connections that have not sent SP's hello yet are bounded in
 * time and in number: when there are too many, the oldest is closed.
 */
struct net_listener_counters {
    /* Connections that are up. Probes do not count. */
    uint64_t pipes_now;
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
    uint16_t port;    /* 0: any free port */
    const struct net_tls *tls;
    struct net_tls_rules rules; /* for the peers */
    size_t message_bytes_max;
    uint32_t probe_interval_ms; /* 0: never probe */
    /* The listener is reopened after this many missed probes in a row. */
    uint32_t probes_missed_max;
    /* The callee owns the message and must destroy it. Calls come one at a time, in order of arrival. */
    void (*on_message)(void *context, struct net_message *message);
    /* A connection did not come up. May be NULL. Strangers can make many of these calls. */
    void (*on_failure)(void *context, const struct net_failure *failure);
    void *context;
};
/* IN_USE: the port is taken. INVALID: bad certificate, key or host. */
ORD_MUST_USE enum ord_err net_pull_open(struct net_pull **out, const struct net_pull_options *options);
uint16_t net_pull_port(const struct net_pull *pull);
void net_pull_counters(const struct net_pull *pull, struct net_listener_counters *out);
void net_pull_close(struct net_pull *pull);

/*
 * Outgoing link to one replica: one PUSH dialer. It sends one message at a time; the owner queues and bounds the rest.
 */
struct net_push;
struct net_push_options {
    const char *host;
    uint16_t port;
    const struct net_tls *tls;
    struct net_tls_rules rules; /* for the peers */
    uint32_t reconnect_ms_min;
    uint32_t reconnect_ms_max;
    /* The link came up or went down. A message under way when the link goes down may be lost. */
    void (*on_link)(void *context, bool up);
    /*
     * The message under way was sent (ORD_OK) or lost (CLOSED). The owner may send the next one, also from this call.
     */
    void (*on_sent)(void *context, enum ord_err result);
    /* A connection did not come up: TLS or the peer refused it. May be NULL. */
    void (*on_failure)(void *context, const struct net_failure *failure);
    void *context;
};
/* Dials in the background until net_push_close. */
ORD_MUST_USE enum ord_err net_push_open(struct net_push **out, const struct net_push_options *options);
/*
 * Takes ownership of the message whatever the result. BUSY: another one is under way. CLOSED: the link is down. Never
 * blocks.
 */
ORD_MUST_USE enum ord_err net_push_send(struct net_push *push, struct net_message *message);
bool net_push_up(const struct net_push *push);
/*
 * Closes the connection, if there is one, and dials again. For an owner that has reason to think that nobody is at the
 * other end any more: after a network cut, TCP may need as long as the cut has lasted to notice that it is over.
 */
void net_push_redial(struct net_push *push);
void net_push_close(struct net_push *push);

/*
 * The public endpoint: REP. A context serves one request at a time, so `context_count` bounds the requests in progress.
 */
struct net_server;
/* One request. It must be answered exactly once. */
struct net_request;
struct net_server_options {
    const char *host;
    uint16_t port; /* 0: any free port */
    const struct net_tls *tls;
    struct net_tls_rules rules; /* for the peers */
    uint32_t context_count;
    /* Upper limit for the contexts that one member (a plain connection) may have at a time. 0: all of them. */
    uint32_t member_contexts;
    /*
     * Upper limits for connections: all, and those of one member. One more closes an idle connection of the same
     * member, or of the member that has the most; if none is idle, it is closed itself. 0: the defaults above.
     */
    uint32_t connections_max;
    uint32_t member_connections_max;
    size_t request_bytes_max;
    /* A request that has begun must be complete within this time and 1 ms for each 64 bytes. 0: 30,000. */
    uint32_t message_ms;
    /* If an answer cannot be sent within this time because its reader does not
     * read, the reader's connection is closed. */
    uint32_t send_timeout_ms;
    uint32_t probe_interval_ms;
    uint32_t probes_missed_max;
    /* The callee must call net_request_reply exactly once, now or later, from
     * any thread. Calls may come concurrently. */
    void (*on_request)(void *context, struct net_request *request);
    /* As in struct net_pull_options. */
    void (*on_failure)(void *context, const struct net_failure *failure);
    void *context;
};
ORD_MUST_USE enum ord_err net_server_open(struct net_server **out, const struct net_server_options *options);
uint16_t net_server_port(const struct net_server *server);
void net_server_counters(const struct net_server *server, struct net_listener_counters *out);
/*
 * Blocks until every request that was passed to on_request has been answered, if need be from another thread. Answers
 * that are not sent within half a second are lost. Drops requests that have not been passed to on_request yet.
 */
void net_server_close(struct net_server *server);
/*
 * The member whose request this is. NULL: the connection is plain. Valid until the request is answered.
 */
const struct net_member *net_request_member(const struct net_request *request);
/* The request's bytes. They are valid until the request is answered, or net_request_forget. */
struct ord_span net_request_bytes(const struct net_request *request);
/* Frees the request's bytes before it is answered. */
void net_request_forget(struct net_request *request);
/* True once the request's connection has ended, so that nobody would get the answer. It must be given all the same. */
bool net_request_closed(const struct net_request *request);
/*
 * A number that names the member whose request this is (the connection, if it is plain). Nobody else has it until the
 * request is answered. The number is an address, so it may be large.
 */
uint64_t net_request_source(const struct net_request *request);
/*
 * Bytes of answers that wait to be sent to the member whose request this is, over all its connections. Sets `*all` to
 * the same over all members; `all` may be NULL. A client that sends requests and does not read the answers makes both
 * grow.
 */
size_t net_request_unsent(const struct net_request *request, size_t *all);
/*
 * Answers the request. Takes ownership of the message. NULL means that there was no memory for an answer: the request
 * is dropped and the client times out. Never blocks.
 */
void net_request_reply(struct net_request *request, struct net_message *reply);

/* A client's connection: REQ, with many calls in flight. */
struct net_client;
struct net_client_options {
    const char *host;
    uint16_t port;
    const struct net_tls *tls;
    struct net_tls_rules rules; /* for the peers */
    size_t reply_bytes_max;
    /* Upper limit for the calls in flight: 1 to 65536. */
    uint32_t call_max;
    uint32_t reconnect_ms_max;
};
ORD_MUST_USE enum ord_err net_client_open(struct net_client **out, const struct net_client_options *options);
/* Blocks until there is a connection. TIMEOUT. */
ORD_MUST_USE enum ord_err net_client_wait(struct net_client *client, uint32_t timeout_ms);
bool net_client_up(const struct net_client *client);
/* Copies why the last connection did not come up. False: none has failed yet. */
bool net_client_failure(struct net_client *client, struct net_failure *out);
/*
 * Sends a request. Takes ownership of the message whatever the result. The transport never sends a request twice: the
 * caller decides whether to retry.
 * When this returns ORD_OK, `on_reply` is called exactly once: with ORD_OK and the reply, which the callee must
 * destroy, or with TIMEOUT or CLOSED and NULL. The call comes from a thread of nng, from the client's own thread, or
 * from the thread that closes the client.
 * BUSY: call_max calls are in flight. CLOSED: the client is closing. In both cases nothing was sent, and `on_reply` is
 * not called.
 */
ORD_MUST_USE enum ord_err net_client_call(struct net_client *client, struct net_message *request, uint32_t timeout_ms,
                                          void (*on_reply)(void *context, enum ord_err result,
                                                           struct net_message *reply),
                                          void *context);
/*
 * Sends a request and blocks until there is a reply or an error. The caller destroys `*reply`. Errors as in
 * net_client_call.
 */
ORD_MUST_USE enum ord_err net_client_ask(struct net_client *client, struct net_message **reply,
                                         struct net_message *request, uint32_t timeout_ms);
/* Ends the calls in flight with CLOSED. */
void net_client_close(struct net_client *client);

#endif
