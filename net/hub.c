/*
 * The hub: the part that the four public objects have in common. Its thread looks after the connections. It sleeps
 * until a connection closes, an operation fails or a deadline is due, and wakes at least every LOOK_AGAIN_MS.
 */
#include <stdio.h>
#include <string.h>

#include "core/assert.h"
#include "net/net_internal.h"

enum { LOOK_AGAIN_MS = 200 };

void net_hub_kick(struct net_hub *hub) {
    hub->kicked = true;
    pthread_cond_signal(&hub->cond);
}

void net_hub_wake_by(struct net_hub *hub, uint64_t ms) {
    if (ms < hub->wake_ms)
        net_hub_kick(hub);
}

void net_hub_settle(struct net_hub *hub, struct net_message *list, enum ord_err result) {
    while (list != NULL) {
        struct net_message *next = list->next;
        if (hub->options.owner.on_sent != NULL)
            hub->options.owner.on_sent(hub->options.context, list, result);
        net_message_destroy(list);
        list = next;
    }
}

/*
 * Tells the owner that a connection has ended and which messages were not sent, and frees it. Called without the lock.
 */
static void bury(struct net_hub *hub, struct net_conn *conn) {
    const struct net_hub_owner *owner = &hub->options.owner;
    if (conn->told && owner->on_down != NULL)
        owner->on_down(hub->options.context, conn);
    if (conn->failure.why[0] != '\0' && !conn->probe && owner->on_failure != NULL)
        owner->on_failure(hub->options.context, &conn->failure);
    net_hub_settle(hub, net_conn_tx_drop(conn), ORD_ERR_CLOSED);
    net_conn_destroy(conn);
}

/* Frees every connection that is closed and idle. Requires the lock and releases it meanwhile. */
static void reap(struct net_hub *hub) {
    struct net_conn **link = &hub->conns;
    while (*link != NULL) {
        struct net_conn *conn = *link;
        if (conn->closed && !conn->tx_busy && conn->tx_first != NULL && hub->options.owner.on_closed != NULL) {
            /* The owner learns now which messages were not sent. The connection itself may be held for long. */
            struct net_message *list = net_conn_tx_drop(conn);
            conn->holds++;
            pthread_mutex_unlock(&hub->lock);
            net_hub_settle(hub, list, ORD_ERR_CLOSED);
            pthread_mutex_lock(&hub->lock);
            conn->holds--;
            link = &hub->conns;
            continue;
        }
        if (!conn->closed || !net_conn_idle(conn)) {
            link = &conn->next;
            continue;
        }
        *link = conn->next;
        net_account_leave(conn);
        if (conn->probe) {
            hub->probe_conn = NULL;
        } else if (hub->accept_aio != NULL) {
            if (conn->up)
                hub->counters.pipes_now--;
            else
                hub->half_open_count--;
        } else {
            hub->connected = false;
            net_hub_dialer_lost(hub, conn->up);
        }
        pthread_mutex_unlock(&hub->lock);
        bury(hub, conn);
        pthread_mutex_lock(&hub->lock);
        link = &hub->conns; /* the list may have changed */
    }
}

/*
 * True if the TCP connection of a connection that does not read is gone. nng reports that only to a receive that waits.
 * Such a socket has no peer address any more.
 */
static bool dead(const struct net_conn *conn) {
    nng_sockaddr peer;
    return conn->paused && nng_stream_get_addr(conn->stream, NNG_OPT_REMADDR, &peer) != 0;
}

/*
 * Closes connections that are dead or past their deadline, and the oldest half-open ones when there are too many.
 * Returns the next deadline.
 */
static uint64_t enforce_deadlines(struct net_hub *hub, uint64_t now_ms) {
    uint64_t next_ms = UINT64_MAX;
    uint32_t half_open_count = 0;
    for (struct net_conn *conn = hub->conns; conn != NULL; conn = conn->next) {
        if (conn->closed)
            continue;
        uint64_t deadline_ms = UINT64_MAX;
        if (!conn->up || conn->ending)
            deadline_ms = conn->deadline_ms;
        else if (conn->tx_first != NULL && conn->tx_first->deadline_ms != 0)
            deadline_ms = conn->tx_first->deadline_ms;
        if (conn->rx_deadline_ms != 0 && !conn->paused)
            deadline_ms = ord_min(deadline_ms, conn->rx_deadline_ms);
        /* New connections are at the head of the list, so those after the first NET_HALF_OPEN_MAX are the oldest. */
        bool crowd = !conn->up && !conn->probe && ++half_open_count > NET_HALF_OPEN_MAX;
        if (deadline_ms <= now_ms || crowd || dead(conn)) {
            if (!conn->up && conn->failure.why[0] == '\0')
                snprintf(conn->failure.why, sizeof(conn->failure.why), "%s",
                         crowd ? "too many connections are not up yet" : "it was not up in time");
            net_conn_close(conn);
        } else if (deadline_ms < next_ms) {
            next_ms = deadline_ms;
        }
    }
    return next_ms;
}

static bool finished(const struct net_hub *hub) {
    return hub->stopping && hub->conns == NULL && !hub->dial.busy && !hub->probe.busy && !hub->accept_busy;
}

static void *hub_run(void *context) {
    struct net_hub *hub = context;
    pthread_mutex_lock(&hub->lock);
    for (;;) {
        hub->kicked = false;
        reap(hub);
        uint64_t now_ms = net_now_ms();
        uint64_t next_ms = ord_min(now_ms + LOOK_AGAIN_MS, enforce_deadlines(hub, now_ms));
        if (!hub->stopping) {
            if (hub->dial.dialer != NULL)
                next_ms = ord_min(next_ms, net_hub_dialer_tick(hub, now_ms));
            if (hub->accept_aio != NULL)
                next_ms = ord_min(next_ms, net_hub_listener_tick(hub, now_ms));
            if (hub->probe.dialer != NULL)
                next_ms = ord_min(next_ms, net_hub_probe_tick(hub, now_ms));
        }
        if (hub->options.owner.on_tick != NULL)
            next_ms = ord_min(next_ms, hub->options.owner.on_tick(hub->options.context, now_ms));
        if (finished(hub))
            break;
        hub->wake_ms = next_ms;
        while (!hub->kicked && net_cond_wait_until(&hub->cond, &hub->lock, next_ms))
            ;
        /* While the thread is awake, every new deadline must kick it: it may
         * have passed the place that would see it. */
        hub->wake_ms = UINT64_MAX;
    }
    pthread_mutex_unlock(&hub->lock);
    return NULL;
}

static void hub_deinit(struct net_hub *hub) {
    net_dial_deinit(&hub->dial);
    net_dial_deinit(&hub->probe);
    net_hub_listener_deinit(hub);
    net_tls_context_destroy(hub->tls);
    net_tls_context_destroy(hub->probe_tls);
    pthread_cond_destroy(&hub->cond);
    pthread_mutex_destroy(&hub->lock);
}

enum ord_err net_hub_open(struct net_hub *hub, const struct net_hub_options *options) {
    char url[NET_URL_MAX];
    enum ord_err err = net_url(url, options->host, options->port);
    if (err != ORD_OK)
        return err;
    if (options->message_bytes_max == 0 && options->listens)
        return ORD_ERR_INVALID;
    *hub = (struct net_hub) {.options = *options, .port = options->port, .wake_ms = UINT64_MAX};
    hub->options.tls = NULL;
    hub->options.host = NULL;
    hub->options.reconnect_ms_min = (uint32_t) ord_max(options->reconnect_ms_min, 1);
    hub->options.reconnect_ms_max = (uint32_t) ord_max(options->reconnect_ms_max, hub->options.reconnect_ms_min);
    if (options->message_ms == 0)
        hub->options.message_ms = NET_MESSAGE_MS;
    if (options->connections_max == 0)
        hub->options.connections_max = NET_CONNECTIONS_MAX;
    if (options->member_connections_max == 0)
        hub->options.member_connections_max = NET_MEMBER_CONNECTIONS_MAX;
    hub->options.probes_missed_max = (uint32_t) ord_max(options->probes_missed_max, 1);
    memcpy(hub->host, options->host, strlen(options->host) + 1);
    pthread_mutex_init(&hub->lock, NULL);
    net_cond_init(&hub->cond);
    /* Load the certificates first, so that errors in them are reported before anything is opened. */
    err = net_tls_context_create(&hub->tls, options->tls, &options->rules, options->listens);
    bool probes = options->listens && options->probe_interval_ms != 0;
    if (err == ORD_OK && probes)
        err = net_hub_probe_tls(hub, options->tls);
    if (err == ORD_OK)
        err = options->listens ? net_hub_listener_init(hub) : net_hub_dialer_init(hub);
    if (err == ORD_OK && probes)
        err = net_hub_probe_init(hub);
    if (err == ORD_OK && pthread_create(&hub->thread, NULL, hub_run, hub) != 0)
        err = ORD_ERR_NO_MEMORY;
    if (err != ORD_OK)
        hub_deinit(hub);
    return err;
}

void net_hub_close(struct net_hub *hub) {
    pthread_mutex_lock(&hub->lock);
    hub->stopping = true;
    if (hub->dial.busy)
        nng_stream_dialer_close(hub->dial.dialer);
    if (hub->probe.busy)
        nng_stream_dialer_close(hub->probe.dialer);
    if (hub->listener != NULL)
        nng_stream_listener_close(hub->listener);
    for (struct net_conn *conn = hub->conns; conn != NULL; conn = conn->next)
        net_conn_close(conn);
    net_hub_kick(hub);
    pthread_mutex_unlock(&hub->lock);
    pthread_join(hub->thread, NULL);
    hub_deinit(hub);
}

/* The cast is needed to take the lock. The hub itself is only read. */
static pthread_mutex_t *lock_of(const struct net_hub *hub) {
    return &((struct net_hub *) (uintptr_t) hub)->lock;
}

void net_hub_read(const struct net_hub *hub, struct net_listener_counters *out) {
    pthread_mutex_lock(lock_of(hub));
    *out = hub->counters;
    pthread_mutex_unlock(lock_of(hub));
}

bool net_hub_has(const struct net_hub *hub, struct net_conn *const *conn) {
    pthread_mutex_lock(lock_of(hub));
    bool has = *conn != NULL && !(*conn)->closed;
    pthread_mutex_unlock(lock_of(hub));
    return has;
}
