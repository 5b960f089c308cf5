/*
 * An outgoing link: SP's PUSH to one peer. It takes a message only while the link is up, and sends one at a time. When
 * the link goes down, the message under way is lost, so a peer that comes back gets no stale message.
 */
#include <stdlib.h>

#include "net/net_internal.h"

struct net_push {
    struct net_hub hub;
    /* The hub's lock guards these two. */
    struct net_conn *conn; /* NULL: the link is down */
    bool sending;
    /* The following never change. */
    void (*on_link)(void *context, bool up);
    void (*on_sent)(void *context, enum ord_err result);
    void (*on_failure)(void *context, const struct net_failure *failure);
    void *context;
};

static void on_up(void *context, struct net_conn *conn) {
    struct net_push *push = context;
    pthread_mutex_lock(&push->hub.lock);
    push->conn = conn;
    pthread_mutex_unlock(&push->hub.lock);
    push->on_link(push->context, true);
}

static void on_message(void *context, struct net_conn *conn, struct net_message *message) {
    (void) context, (void) conn;
    net_message_destroy(message); /* a PULL never sends anything */
}

static void on_sent(void *context, struct net_message *message, enum ord_err result) {
    struct net_push *push = context;
    (void) message;
    pthread_mutex_lock(&push->hub.lock);
    push->sending = false;
    pthread_mutex_unlock(&push->hub.lock);
    push->on_sent(push->context, result);
}

static void on_down(void *context, struct net_conn *conn) {
    struct net_push *push = context;
    (void) conn;
    pthread_mutex_lock(&push->hub.lock);
    push->conn = NULL;
    pthread_mutex_unlock(&push->hub.lock);
    push->on_link(push->context, false);
}

static void on_failure(void *context, const struct net_failure *failure) {
    struct net_push *push = context;
    if (push->on_failure != NULL)
        push->on_failure(push->context, failure);
}

enum ord_err net_push_open(struct net_push **out, const struct net_push_options *options) {
    *out = NULL;
    struct net_push *push = calloc(1, sizeof(*push));
    if (push == NULL)
        return ORD_ERR_NO_MEMORY;
    push->on_link = options->on_link;
    push->on_sent = options->on_sent;
    push->on_failure = options->on_failure;
    push->context = options->context;
    struct net_hub_options hub = {
        .self = NET_PUSH,
        .peer = NET_PULL,
        .tls = options->tls,
        .rules = options->rules,
        .host = options->host,
        .port = options->port,
        .message_bytes_max = 0, /* a PULL never sends anything */
        .reconnect_ms_min = options->reconnect_ms_min,
        .reconnect_ms_max = options->reconnect_ms_max,
        .owner = {.on_up = on_up,
                  .on_message = on_message,
                  .on_sent = on_sent,
                  .on_down = on_down,
                  .on_failure = on_failure},
        .context = push,
    };
    enum ord_err err = net_hub_open(&push->hub, &hub);
    if (err != ORD_OK) {
        free(push);
        return err;
    }
    *out = push;
    return ORD_OK;
}

enum ord_err net_push_send(struct net_push *push, struct net_message *message) {
    enum ord_err err = ORD_OK;
    pthread_mutex_lock(&push->hub.lock);
    if (push->conn == NULL || push->conn->closed) {
        err = ORD_ERR_CLOSED;
    } else if (push->sending) {
        err = ORD_ERR_BUSY;
    } else {
        push->sending = true;
        /* The owner decides when to give up on a peer that does not read. */
        message->deadline_ms = 0;
        net_conn_send(push->conn, message);
    }
    pthread_mutex_unlock(&push->hub.lock);
    if (err != ORD_OK)
        net_message_destroy(message);
    return err;
}

bool net_push_up(const struct net_push *push) {
    return net_hub_has(&push->hub, &push->conn);
}

void net_push_redial(struct net_push *push) {
    pthread_mutex_lock(&push->hub.lock);
    if (push->conn != NULL)
        net_conn_close(push->conn);
    pthread_mutex_unlock(&push->hub.lock);
}

void net_push_close(struct net_push *push) {
    if (push == NULL)
        return;
    net_hub_close(&push->hub);
    free(push);
}
