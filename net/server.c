/*
 * The public endpoint: SP's REP, with a fixed number of requests in progress. When all contexts are in use, a
 * connection waits in line with one request, and nothing more is read from it until its turn. One busy client therefore
 * cannot push the others aside, and memory is bounded. A connection that has its share of requests in progress enters
 * the line only when one of them has ended.
 *
 * A request is in progress (*out*) until its answer was sent or could not be sent in time. In the latter case the
 * connection is closed, because its reader does not read.
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/codec.h"
#include "net/net_internal.h"

struct net_request {
    struct net_server *server;
    struct net_request *next; /* in the list of free requests */
    /* The request holds the connection until it is answered. Afterwards the connection is freed only after on_sent was
     * called for the answer in its queue. */
    struct net_conn *conn;
    bool answered;
    /* Bytes of the answer while it waits to be sent. */
    size_t unsent;
    /* The request's own message. NULL once the request is answered, or its bytes are not needed any more. */
    struct net_message *message;
    /* SP's backtrace. It is sent back in front of the answer. */
    uint8_t trace[NET_HOPS_MAX * NET_WORD_SIZE];
    size_t trace_size;
};

struct net_server {
    struct net_hub hub; /* its lock guards all the following fields */
    struct net_request *requests;
    struct net_request *free_first;
    uint32_t out_count; /* requests in progress */
    size_t unsent;      /* bytes of their answers that wait to be sent */
    /* The line of connections that wait for a free context. */
    struct net_conn *waiting_first;
    struct net_conn *waiting_last;
    bool draining; /* the server is closing and takes no more requests */
    pthread_cond_t drained;
    uint32_t connection_contexts;
    uint32_t send_timeout_ms;
    size_t request_bytes_max;
    void (*on_request)(void *context, struct net_request *request);
    void (*on_failure)(void *context, const struct net_failure *failure);
    void *context;
};

/*
 * Size of the backtrace in front of a request: all words up to and including the first whose high bit is set. 0:
 * malformed.
 */
static size_t trace_size(const struct net_message *message) {
    struct ord_span bytes = net_message_bytes(message);
    for (size_t hops = 1; hops <= NET_HOPS_MAX && hops * NET_WORD_SIZE <= bytes.size; hops++)
        if ((bytes.data[(hops - 1) * NET_WORD_SIZE] & 0x80) != 0)
            return hops * NET_WORD_SIZE;
    return 0;
}

/* Gives the message to the first free request. Requires the lock. */
static struct net_request *assign(struct net_server *server, struct net_conn *conn, struct net_message *message) {
    struct net_request *request = server->free_first;
    server->free_first = request->next;
    server->out_count++;
    conn->holds++;
    conn->out++;
    request->conn = conn;
    request->answered = false;
    request->unsent = 0;
    request->message = message;
    request->trace_size = trace_size(message);
    memcpy(request->trace, net_message_bytes(message).data, request->trace_size);
    net_message_trim(message, request->trace_size);
    return request;
}

/* Ends one hold on a connection. Requires the lock. */
static void let_go(struct net_conn *conn) {
    ORD_ASSERT(conn->holds > 0);
    conn->holds--;
    if (conn->closed)
        net_hub_kick(conn->hub);
}

static void stand_in_line(struct net_server *server, struct net_conn *conn) {
    conn->in_line = true;
    conn->waiting_next = NULL;
    if (server->waiting_last == NULL)
        server->waiting_first = conn;
    else
        server->waiting_last->waiting_next = conn;
    server->waiting_last = conn;
}

/* Returns a request that has ended to the list of free ones. Requires the lock. Its connection must still exist. */
static void release(struct net_request *request) {
    struct net_server *server = request->server;
    struct net_conn *conn = request->conn;
    conn->out--;
    conn->unsent -= request->unsent;
    server->unsent -= request->unsent;
    if (conn->waiting != NULL && !conn->in_line && conn->out < server->connection_contexts)
        stand_in_line(server, conn);
    request->next = server->free_first;
    server->free_first = request;
    server->out_count--;
    if (server->draining && server->out_count == 0)
        pthread_cond_broadcast(&server->drained);
    if (server->waiting_first != NULL)
        net_hub_kick(&server->hub);
}

static void wait(struct net_server *server, struct net_conn *conn, struct net_message *message) {
    conn->waiting = message;
    conn->paused = true;
    conn->holds++;
    if (conn->out < server->connection_contexts)
        stand_in_line(server, conn);
}

static void on_message(void *context, struct net_conn *conn, struct net_message *message) {
    struct net_server *server = context;
    struct net_request *request = NULL;
    size_t trace = trace_size(message);
    bool malformed = trace == 0 || message->size - trace > server->request_bytes_max;
    pthread_mutex_lock(&server->hub.lock);
    if (malformed)
        net_conn_close(conn);
    if (malformed || server->draining) {
        net_message_destroy(message);
    } else if (server->free_first == NULL || server->waiting_first != NULL ||
               conn->out >= server->connection_contexts) {
        wait(server, conn, message);
        if (server->free_first != NULL)
            net_hub_kick(&server->hub);
    } else {
        request = assign(server, conn, message);
    }
    pthread_mutex_unlock(&server->hub.lock);
    if (request != NULL)
        server->on_request(server->context, request);
}

static void on_sent(void *context, struct net_message *message, enum ord_err result) {
    struct net_server *server = context;
    /* A client that lost its connection sends its request again. */
    (void) result;
    pthread_mutex_lock(&server->hub.lock);
    release(message->tag);
    pthread_mutex_unlock(&server->hub.lock);
}

/* Serves the connections in line while there are free requests. Requires the lock and releases it for each callback. */
static uint64_t on_tick(void *context, uint64_t now_ms) {
    struct net_server *server = context;
    (void) now_ms;
    while (server->waiting_first != NULL && (server->free_first != NULL || server->draining)) {
        struct net_conn *conn = server->waiting_first;
        server->waiting_first = conn->waiting_next;
        if (server->waiting_first == NULL)
            server->waiting_last = NULL;
        struct net_message *message = conn->waiting;
        conn->waiting = NULL;
        conn->in_line = false;
        if (conn->closed || server->draining) {
            net_message_destroy(message);
        } else {
            struct net_request *request = assign(server, conn, message);
            pthread_mutex_unlock(&server->hub.lock);
            server->on_request(server->context, request);
            pthread_mutex_lock(&server->hub.lock);
            net_conn_resume(conn);
        }
        let_go(conn);
    }
    return UINT64_MAX;
}

static void on_failure(void *context, const struct net_failure *failure) {
    struct net_server *server = context;
    if (server->on_failure != NULL)
        server->on_failure(server->context, failure);
}

static void destroy(struct net_server *server) {
    pthread_cond_destroy(&server->drained);
    free(server->requests);
    free(server);
}

enum ord_err net_server_open(struct net_server **out, const struct net_server_options *options) {
    *out = NULL;
    if (options->context_count == 0 || options->request_bytes_max == 0)
        return ORD_ERR_INVALID;
    struct net_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return ORD_ERR_NO_MEMORY;
    pthread_cond_init(&server->drained, NULL);
    server->requests = calloc(options->context_count, sizeof(*server->requests));
    for (uint32_t i = 0; server->requests != NULL && i < options->context_count; i++) {
        server->requests[i].server = server;
        server->requests[i].next = server->free_first;
        server->free_first = &server->requests[i];
    }
    server->connection_contexts = options->connection_contexts == 0 ? UINT32_MAX : options->connection_contexts;
    server->send_timeout_ms = options->send_timeout_ms;
    server->request_bytes_max = options->request_bytes_max;
    server->on_request = options->on_request;
    server->on_failure = options->on_failure;
    server->context = options->context;
    struct net_hub_options hub = {
        .self = NET_REP,
        .peer = NET_REQ,
        .tls = options->tls,
        .rules = options->rules,
        .host = options->host,
        .port = options->port,
        .message_bytes_max = options->request_bytes_max + NET_HOPS_MAX * NET_WORD_SIZE,
        .listens = true,
        .probe_interval_ms = options->probe_interval_ms,
        .probes_missed_max = options->probes_missed_max,
        .owner = {.on_message = on_message, .on_sent = on_sent, .on_failure = on_failure, .on_tick = on_tick},
        .context = server,
    };
    enum ord_err err = server->requests == NULL ? ORD_ERR_NO_MEMORY : net_hub_open(&server->hub, &hub);
    if (err != ORD_OK) {
        destroy(server);
        return err;
    }
    *out = server;
    return ORD_OK;
}

uint16_t net_server_port(const struct net_server *server) {
    return server->hub.port;
}

void net_server_counters(const struct net_server *server, struct net_listener_counters *out) {
    net_hub_read(&server->hub, out);
}

void net_server_close(struct net_server *server) {
    if (server == NULL)
        return;
    /* Wait until the requests in progress are answered and their answers were sent or have timed out. */
    pthread_mutex_lock(&server->hub.lock);
    server->draining = true;
    net_hub_kick(&server->hub);
    while (server->out_count > 0)
        pthread_cond_wait(&server->drained, &server->hub.lock);
    pthread_mutex_unlock(&server->hub.lock);
    net_hub_close(&server->hub);
    destroy(server);
}

struct ord_span net_request_bytes(const struct net_request *request) {
    return net_message_bytes(request->message);
}

const struct net_member *net_request_member(const struct net_request *request) {
    return request->conn->tls == NULL ? NULL : net_tls_member(request->conn->tls);
}

void net_request_forget(struct net_request *request) {
    net_message_destroy(request->message);
    request->message = NULL;
}

bool net_request_closed(const struct net_request *request) {
    struct net_server *server = request->server;
    pthread_mutex_lock(&server->hub.lock);
    bool closed = request->conn->closed;
    pthread_mutex_unlock(&server->hub.lock);
    return closed;
}

uint64_t net_request_source(const struct net_request *request) {
    return (uintptr_t) request->conn;
}

size_t net_request_unsent(const struct net_request *request, size_t *all) {
    struct net_server *server = request->server;
    pthread_mutex_lock(&server->hub.lock);
    size_t here = request->conn->unsent;
    if (all != NULL)
        *all = server->unsent;
    pthread_mutex_unlock(&server->hub.lock);
    return here;
}

void net_request_reply(struct net_request *request, struct net_message *reply) {
    struct net_server *server = request->server;
    net_message_destroy(request->message);
    request->message = NULL;
    pthread_mutex_lock(&server->hub.lock);
    struct net_conn *conn = request->conn;
    ORD_ASSERT(!request->answered); /* exactly once */
    request->answered = true;
    if (reply != NULL && !conn->closed) {
        net_message_prepend(reply, request->trace, request->trace_size);
        reply->tag = request;
        request->unsent = net_message_bytes(reply).size;
        conn->unsent += request->unsent;
        server->unsent += request->unsent;
        reply->deadline_ms = net_now_ms() + server->send_timeout_ms;
        net_conn_send(conn, reply);
        reply = NULL;
    } else {
        release(request);
    }
    let_go(conn);
    pthread_mutex_unlock(&server->hub.lock);
    net_message_destroy(reply);
}

struct net_hub *net_server_hub(struct net_server *server) {
    return &server->hub;
}
