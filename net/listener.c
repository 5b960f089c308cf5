/*
 * The listening side of a hub. One accept is outstanding at a time. After an error of accept the hub's thread always
 * accepts again: at once if the error was the peer's, after a pause if this process is short of something.
 */
#include "net/net_internal.h"

enum { ACCEPT_PAUSE_MS = 50, REOPEN_PAUSE_MS = 20 };

static void accept_next(struct net_hub *hub) {
    hub->accept_busy = true;
    nng_stream_listener_accept(hub->listener, hub->accept_aio);
}

static void on_accepted(void *context) {
    struct net_hub *hub = context;
    pthread_mutex_lock(&hub->lock);
    hub->accept_busy = false;
    int code = nng_aio_result(hub->accept_aio);
    nng_stream *stream = code == 0 ? nng_aio_get_output(hub->accept_aio, 0) : NULL;
    if (stream != NULL && hub->stopping) {
        nng_stream_free(stream);
    } else if (stream != NULL) {
        hub->accepted++;
        hub->half_open_count++;
        if (net_conn_create(hub, stream, hub->tls, false) == NULL)
            hub->half_open_count--;
        if (hub->half_open_count > NET_HALF_OPEN_MAX)
            net_hub_kick(hub);
    }
    bool ours = code != 0 && code != NNG_ECONNABORTED && code != NNG_ECONNRESET && code != NNG_ECONNSHUT;
    hub->accept_ms = ours ? net_now_ms() + ACCEPT_PAUSE_MS : 0;
    /* net_hub_listener_reopen may have taken the listener away since the accept succeeded. */
    if (code == 0 && hub->listener != NULL && !hub->stopping && !hub->deaf)
        accept_next(hub);
    else
        net_hub_kick(hub);
    pthread_mutex_unlock(&hub->lock);
}

enum ord_err net_hub_listener_init(struct net_hub *hub) {
    enum ord_err err = net_aio_create(&hub->accept_aio, on_accepted, hub, NNG_DURATION_INFINITE);
    /* The thread makes the first accept, once everything else is ready. */
    return err == ORD_OK ? net_listener_open(&hub->listener, &hub->port, hub->host) : err;
}

void net_hub_listener_deinit(struct net_hub *hub) {
    net_aio_destroy(hub->accept_aio);
    if (hub->listener != NULL)
        nng_stream_listener_free(hub->listener);
}

uint64_t net_hub_listener_tick(struct net_hub *hub, uint64_t now_ms) {
    if (hub->listener == NULL && now_ms >= hub->accept_ms)
        net_hub_listener_reopen(hub);
    if (hub->listener == NULL)
        return hub->accept_ms;
    if (hub->accept_busy || hub->deaf || hub->stopping)
        return UINT64_MAX;
    if (now_ms < hub->accept_ms)
        return hub->accept_ms;
    accept_next(hub);
    return UINT64_MAX;
}

void net_hub_listener_reopen(struct net_hub *hub) {
    nng_stream_listener *listener = hub->listener;
    hub->listener = NULL;
    if (listener != NULL)
        nng_stream_listener_close(listener);
    uint16_t port = hub->port;
    pthread_mutex_unlock(&hub->lock);
    nng_aio_wait(hub->accept_aio);
    if (listener != NULL)
        nng_stream_listener_free(listener);
    enum ord_err err = net_listener_open(&listener, &port, hub->host);
    pthread_mutex_lock(&hub->lock);
    hub->deaf = false;
    if (err != ORD_OK) {
        hub->accept_ms = net_now_ms() + REOPEN_PAUSE_MS;
        return;
    }
    hub->listener = listener;
    hub->accept_ms = 0;
    hub->counters.reopened++;
    if (hub->stopping)
        nng_stream_listener_close(listener);
}

void net_hub_deafen(struct net_hub *hub) {
    pthread_mutex_lock(&hub->lock);
    hub->deaf = true;
    if (hub->accept_busy)
        nng_aio_cancel(hub->accept_aio);
    pthread_mutex_unlock(&hub->lock);
}
