/*
 * The public endpoint: SP's REP, with a fixed number of requests in progress. When all contexts are in use, a
 * connection waits in line with one request, and nothing more is read from it until its turn. One busy client therefore
 * cannot push the others aside, and memory is bounded. When a member has its share of requests in progress, over all
 * its connections, they enter the line only as those end.
 *
 * A request is in progress (*out*) until its answer was sent or could not be sent in time. In the latter case the
 * connection is closed, because its reader does not read. A connection that closes, for whatever reason, gives back at
 * once what it waits with and the contexts of its unsent answers. A request that is not answered yet keeps its context
 * until its owner, who can ask net_request_closed, answers it.
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/codec.h"
#include "net/net_internal.h"

/* Time for the readers of the last answers when the server closes. */
enum { DRAIN_MS = 500 };

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
    uint32_t context_count;
    uint32_t out_count; /* requests in progress */
    size_t unsent;      /* bytes of their answers that wait to be sent */
    /* The line of connections that wait for a free context. */
    struct net_conn *waiting_first;
    struct net_conn *waiting_last;
    bool draining; /* the server is closing and takes no more requests */
    pthread_cond_t drained;
    uint32_t member_contexts;
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

#ifdef ORD_SLOW_ASSERTS
/* What is out is the sum over what is open. Requires the lock. */
static bool sums_hold(const struct net_server *server) {
    uint32_t out = 0, free_count = 0, in_line = 0, line = 0;
    size_t unsent = 0;
    for (const struct net_account *account = server->hub.accounts; account != NULL; account = account->next) {
        uint32_t account_out = 0, waiting = 0;
        size_t account_unsent = 0;
        for (const struct net_conn *conn = server->hub.conns; conn != NULL; conn = conn->next) {
            if (conn->account != account)
                continue;
            account_out += conn->out;
            account_unsent += conn->unsent;
            waiting += conn->waiting != NULL && !conn->in_line;
            in_line += conn->in_line;
        }
        if (account_out != account->out || account_unsent != account->unsent || waiting != account->waiting_count)
            return false;
        out += account_out;
        unsent += account_unsent;
    }
    for (const struct net_request *request = server->free_first; request != NULL; request = request->next)
        free_count++;
    for (const struct net_conn *conn = server->waiting_first; conn != NULL; conn = conn->waiting_next)
        line++;
    return out == server->out_count && unsent == server->unsent && line == in_line &&
           free_count + server->out_count == server->context_count;
}
#endif

/* Gives the message to the first free request. Requires the lock. */
static struct net_request *assign(struct net_server *server, struct net_conn *conn, struct net_message *message) {
    struct net_request *request = server->free_first;
    server->free_first = request->next;
    server->out_count++;
    conn->holds++;
    conn->out++;
    conn->account->out++;
    request->conn = conn;
    request->answered = false;
    request->unsent = 0;
    request->message = message;
    request->trace_size = trace_size(message);
    memcpy(request->trace, net_message_bytes(message).data, request->trace_size);
    net_message_trim(message, request->trace_size);
    ORD_ASSERT_SLOW(sums_hold(server));
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

static void leave_line(struct net_server *server, struct net_conn *conn) {
    struct net_conn *before = NULL;
    struct net_conn **link = &server->waiting_first;
    while (*link != conn) {
        before = *link;
        link = &before->waiting_next;
    }
    *link = conn->waiting_next;
    if (server->waiting_last == conn)
        server->waiting_last = before;
    conn->in_line = false;
}

/* The member has room for one more request: the oldest of its connections that wait for that enters the line. */
static void let_one_in(struct net_server *server, struct net_account *account) {
    struct net_conn *oldest = NULL;
    if (account->waiting_count == 0 || account->out >= server->member_contexts)
        return;
    for (struct net_conn *conn = server->hub.conns; conn != NULL; conn = conn->next)
        if (conn->account == account && conn->waiting != NULL && !conn->in_line)
            oldest = conn;
    ORD_ASSERT(oldest != NULL);
    account->waiting_count--;
    stand_in_line(server, oldest);
}

/* Returns a request that has ended to the list of free ones. Requires the lock. Its connection must still exist. */
static void release(struct net_request *request) {
    struct net_server *server = request->server;
    struct net_conn *conn = request->conn;
    conn->out--;
    conn->account->out--;
    conn->unsent -= request->unsent;
    conn->account->unsent -= request->unsent;
    server->unsent -= request->unsent;
    request->next = server->free_first;
    server->free_first = request;
    server->out_count--;
    let_one_in(server, conn->account);
    if (server->draining && server->out_count == 0)
        pthread_cond_broadcast(&server->drained);
    if (server->waiting_first != NULL)
        net_hub_kick(&server->hub);
    ORD_ASSERT_SLOW(sums_hold(server));
}

static void wait(struct net_server *server, struct net_conn *conn, struct net_message *message) {
    conn->waiting = message;
    conn->paused = true;
    conn->holds++;
    if (conn->account->out < server->member_contexts)
        stand_in_line(server, conn);
    else
        conn->account->waiting_count++;
    ORD_ASSERT_SLOW(sums_hold(server));
}

/* A closed connection waits for nothing. Called with the lock. */
static void on_closed(void *context, struct net_conn *conn) {
    struct net_server *server = context;
    if (conn->waiting == NULL)
        return;
    if (conn->in_line)
        leave_line(server, conn);
    else
        conn->account->waiting_count--;
    net_message_destroy(conn->waiting);
    conn->waiting = NULL;
    let_go(conn);
    ORD_ASSERT_SLOW(sums_hold(server));
}

static void on_message(void *context, struct net_conn *conn, struct net_message *message) {
    struct net_server *server = context;
    struct net_request *request = NULL;
    size_t trace = trace_size(message);
    bool malformed = trace == 0 || message->size - trace > server->request_bytes_max;
    pthread_mutex_lock(&server->hub.lock);
    if (malformed)
        net_conn_close(conn);
    if (conn->closed || server->draining) {
        net_message_destroy(message);
    } else if (server->free_first == NULL || server->waiting_first != NULL ||
               conn->account->out >= server->member_contexts) {
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
        leave_line(server, conn);
        if (conn->account->out >= server->member_contexts && !server->draining) {
            conn->account->waiting_count++; /* until one of the member's requests ends */
            continue;
        }
        struct net_message *message = conn->waiting;
        conn->waiting = NULL;
        if (server->draining) {
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
    net_cond_init(&server->drained);
    server->context_count = options->context_count;
    server->requests = calloc(options->context_count, sizeof(*server->requests));
    for (uint32_t i = 0; server->requests != NULL && i < options->context_count; i++) {
        server->requests[i].server = server;
        server->requests[i].next = server->free_first;
        server->free_first = &server->requests[i];
    }
    server->member_contexts = options->member_contexts == 0 ? UINT32_MAX : options->member_contexts;
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
        .connections_max = options->connections_max,
        .member_connections_max = options->member_connections_max,
        .message_ms = options->message_ms,
        .owner = {.on_message = on_message,
                  .on_sent = on_sent,
                  .on_closed = on_closed,
                  .on_failure = on_failure,
                  .on_tick = on_tick},
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
    /* Waits until the requests in progress are answered and their answers sent. Readers who are slow lose theirs. */
    pthread_mutex_lock(&server->hub.lock);
    server->draining = true;
    net_hub_kick(&server->hub);
    uint64_t deadline_ms = net_now_ms() + DRAIN_MS;
    while (server->out_count > 0 && net_cond_wait_until(&server->drained, &server->hub.lock, deadline_ms))
        ;
    for (struct net_conn *conn = server->hub.conns; conn != NULL; conn = conn->next)
        net_conn_close(conn);
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
    return (uintptr_t) request->conn->account;
}

size_t net_request_unsent(const struct net_request *request, size_t *all) {
    struct net_server *server = request->server;
    pthread_mutex_lock(&server->hub.lock);
    size_t here = request->conn->account->unsent;
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
        conn->account->unsent += request->unsent;
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
