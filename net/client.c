/*
 * A client's connection: SP's REQ, with many calls in flight. Each request is sent only once. A call that was sent over
 * a connection fails when that connection ends, and the caller decides whether to retry. A call that was not sent yet
 * waits for a connection.
 *
 * A call's id on the wire has the call's index in its low half and a generation above it. An answer that comes after
 * its call has timed out is therefore not mistaken for the answer to the next call with the same index.
 */
#include <stdlib.h>

#include "core/assert.h"
#include "core/codec.h"
#include "net/net_internal.h"

enum { RECONNECT_MS_MIN = 20, CALL_MAX = 1 << 16 };

enum call_state { FREE, WAITING, SENT };

struct call {
    struct call *next; /* in the list of free calls */
    enum call_state state;
    uint32_t index;
    uint32_t generation;
    uint64_t deadline_ms;
    struct net_message *message; /* while WAITING */
    void (*on_reply)(void *context, enum ord_err result, struct net_message *reply);
    void *context;
};

/* The callback of a call that has just become free. It is called once the lock is released. */
struct ending {
    void (*on_reply)(void *context, enum ord_err result, struct net_message *reply);
    void *context;
};

struct net_client {
    struct net_hub hub; /* its lock guards all the following fields */
    struct call *calls;
    uint32_t call_count;
    struct call *free_first;
    struct net_conn *conn; /* NULL: there is no connection */
    bool closing;
    bool failed; /* `failure` is set */
    struct net_failure failure;
    pthread_cond_t changed; /* signals that `conn` was set */
};

static uint32_t wire_id(const struct call *call) {
    return 0x80000000u | (call->generation & 0x7fff) << 16 | call->index;
}

/* Frees the call. Requires the lock. The caller invokes the returned callback after releasing it. */
static struct ending end(struct net_client *client, struct call *call) {
    struct ending ending = {call->on_reply, call->context};
    net_message_destroy(call->message);
    call->message = NULL;
    call->state = FREE;
    call->generation++;
    call->next = client->free_first;
    client->free_first = call;
    return ending;
}

/* Passes the call's message to the connection. Requires the lock. */
static void send(struct net_client *client, struct call *call) {
    struct net_message *message = call->message;
    call->message = NULL;
    call->state = SENT;
    uint8_t id[NET_WORD_SIZE];
    ord_store_u32(id, wire_id(call));
    net_message_prepend(message, id, sizeof(id));
    /* A server that does not take a request within the call's time is as good as gone. The connection is closed then,
     * so that its queue cannot grow for ever. */
    message->deadline_ms = call->deadline_ms;
    net_conn_send(client->conn, message);
}

/*
 * Ends every call in `state` whose deadline is `now_ms` or earlier. Requires the lock and releases it for each
 * callback. Returns the earliest deadline of the others.
 */
static uint64_t end_all(struct net_client *client, enum call_state state, uint64_t now_ms, enum ord_err result) {
    uint64_t next_ms = UINT64_MAX;
    for (uint32_t i = 0; i < client->call_count; i++) {
        struct call *call = &client->calls[i];
        if (call->state != state)
            continue;
        if (call->deadline_ms > now_ms) {
            next_ms = ord_min(next_ms, call->deadline_ms);
            continue;
        }
        struct ending ending = end(client, call);
        pthread_mutex_unlock(&client->hub.lock);
        ending.on_reply(ending.context, result, NULL);
        pthread_mutex_lock(&client->hub.lock);
    }
    return next_ms;
}

static void on_up(void *context, struct net_conn *conn) {
    struct net_client *client = context;
    pthread_mutex_lock(&client->hub.lock);
    client->conn = conn;
    client->failed = false;
    for (uint32_t i = 0; i < client->call_count && !conn->closed; i++)
        if (client->calls[i].state == WAITING)
            send(client, &client->calls[i]);
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->hub.lock);
}

static void on_message(void *context, struct net_conn *conn, struct net_message *message) {
    struct net_client *client = context;
    struct ord_span bytes = net_message_bytes(message);
    struct ending ending = {NULL, NULL};
    pthread_mutex_lock(&client->hub.lock);
    if (bytes.size < NET_WORD_SIZE) {
        net_conn_close(conn);
    } else {
        uint32_t id = ord_load_u32(bytes.data);
        uint32_t index = id & 0xffff;
        if (index < client->call_count && client->calls[index].state == SENT && wire_id(&client->calls[index]) == id)
            ending = end(client, &client->calls[index]);
    }
    pthread_mutex_unlock(&client->hub.lock);
    if (ending.on_reply == NULL) {
        net_message_destroy(message); /* its call has ended already */
        return;
    }
    net_message_trim(message, NET_WORD_SIZE);
    ending.on_reply(ending.context, ORD_OK, message);
}

static void on_down(void *context, struct net_conn *conn) {
    struct net_client *client = context;
    (void) conn;
    pthread_mutex_lock(&client->hub.lock);
    client->conn = NULL;
    end_all(client, SENT, UINT64_MAX, ORD_ERR_CLOSED);
    pthread_mutex_unlock(&client->hub.lock);
}

static uint64_t on_tick(void *context, uint64_t now_ms) {
    struct net_client *client = context;
    uint64_t sent_ms = end_all(client, SENT, now_ms, ORD_ERR_TIMEOUT);
    uint64_t waiting_ms = end_all(client, WAITING, now_ms, ORD_ERR_TIMEOUT);
    return ord_min(sent_ms, waiting_ms);
}

static void on_failure(void *context, const struct net_failure *failure) {
    struct net_client *client = context;
    pthread_mutex_lock(&client->hub.lock);
    client->failed = true;
    client->failure = *failure;
    pthread_mutex_unlock(&client->hub.lock);
}

static void destroy(struct net_client *client) {
    pthread_cond_destroy(&client->changed);
    free(client->calls);
    free(client);
}

enum ord_err net_client_open(struct net_client **out, const struct net_client_options *options) {
    *out = NULL;
    if (options->call_max == 0 || options->call_max > CALL_MAX || options->reply_bytes_max == 0)
        return ORD_ERR_INVALID;
    struct net_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return ORD_ERR_NO_MEMORY;
    net_cond_init(&client->changed);
    client->calls = calloc(options->call_max, sizeof(*client->calls));
    client->call_count = client->calls == NULL ? 0 : options->call_max;
    for (uint32_t i = client->call_count; i-- > 0;) {
        client->calls[i].index = i;
        client->calls[i].next = client->free_first;
        client->free_first = &client->calls[i];
    }
    struct net_hub_options hub = {
        .self = NET_REQ,
        .peer = NET_REP,
        .tls = options->tls,
        .rules = options->rules,
        .host = options->host,
        .port = options->port,
        .message_bytes_max = options->reply_bytes_max + NET_WORD_SIZE,
        .reconnect_ms_min = RECONNECT_MS_MIN,
        .reconnect_ms_max = options->reconnect_ms_max,
        .owner = {.on_up = on_up,
                  .on_message = on_message,
                  .on_down = on_down,
                  .on_failure = on_failure,
                  .on_tick = on_tick},
        .context = client,
    };
    enum ord_err err = client->calls == NULL ? ORD_ERR_NO_MEMORY : net_hub_open(&client->hub, &hub);
    if (err != ORD_OK) {
        destroy(client);
        return err;
    }
    *out = client;
    return ORD_OK;
}

enum ord_err net_client_wait(struct net_client *client, uint32_t timeout_ms) {
    uint64_t deadline_ms = net_now_ms() + timeout_ms;
    pthread_mutex_lock(&client->hub.lock);
    while (client->conn == NULL)
        if (!net_cond_wait_until(&client->changed, &client->hub.lock, deadline_ms))
            break;
    enum ord_err err = client->conn != NULL ? ORD_OK : ORD_ERR_TIMEOUT;
    pthread_mutex_unlock(&client->hub.lock);
    return err;
}

bool net_client_up(const struct net_client *client) {
    return net_hub_has(&client->hub, &client->conn);
}

bool net_client_failure(struct net_client *client, struct net_failure *out) {
    pthread_mutex_lock(&client->hub.lock);
    bool failed = client->failed;
    if (failed)
        *out = client->failure;
    pthread_mutex_unlock(&client->hub.lock);
    return failed;
}

enum ord_err net_client_call(struct net_client *client, struct net_message *request, uint32_t timeout_ms,
                             void (*on_reply)(void *context, enum ord_err result, struct net_message *reply),
                             void *context) {
    enum ord_err err = ORD_OK;
    pthread_mutex_lock(&client->hub.lock);
    struct call *call = client->free_first;
    if (client->closing) {
        err = ORD_ERR_CLOSED;
    } else if (call == NULL) {
        err = ORD_ERR_BUSY;
    } else {
        client->free_first = call->next;
        call->state = WAITING;
        call->message = request;
        call->deadline_ms = net_now_ms() + timeout_ms;
        call->on_reply = on_reply;
        call->context = context;
        if (client->conn != NULL && !client->conn->closed)
            send(client, call);
        net_hub_wake_by(&client->hub, call->deadline_ms);
    }
    pthread_mutex_unlock(&client->hub.lock);
    if (err != ORD_OK)
        net_message_destroy(request);
    return err;
}

struct answer {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    enum ord_err result;
    struct net_message *reply;
};

static void on_answer(void *context, enum ord_err result, struct net_message *reply) {
    struct answer *answer = context;
    pthread_mutex_lock(&answer->lock);
    answer->done = true;
    answer->result = result;
    answer->reply = reply;
    pthread_cond_signal(&answer->cond);
    pthread_mutex_unlock(&answer->lock);
}

enum ord_err net_client_ask(struct net_client *client, struct net_message **reply, struct net_message *request,
                            uint32_t timeout_ms) {
    *reply = NULL;
    struct answer answer = {.result = ORD_ERR_CLOSED};
    pthread_mutex_init(&answer.lock, NULL);
    pthread_cond_init(&answer.cond, NULL);
    enum ord_err err = net_client_call(client, request, timeout_ms, on_answer, &answer);
    if (err == ORD_OK) {
        pthread_mutex_lock(&answer.lock);
        while (!answer.done)
            pthread_cond_wait(&answer.cond, &answer.lock);
        err = answer.result;
        *reply = answer.reply;
        pthread_mutex_unlock(&answer.lock);
    }
    pthread_cond_destroy(&answer.cond);
    pthread_mutex_destroy(&answer.lock);
    return err;
}

void net_client_close(struct net_client *client) {
    if (client == NULL)
        return;
    pthread_mutex_lock(&client->hub.lock);
    client->closing = true;
    end_all(client, WAITING, UINT64_MAX, ORD_ERR_CLOSED);
    pthread_mutex_unlock(&client->hub.lock);
    net_hub_close(&client->hub); /* its on_down ends the calls that were sent */
    destroy(client);
}
