/*
 * The dialing side of a hub. It keeps one connection and dials again whenever that is lost. While nobody answers, the
 * pause between attempts doubles from the lower limit to the upper one.
 */
#include "net/net_internal.h"

enum ord_err net_dial_init(struct net_dial *dial, const char *host, uint16_t port, void (*on_done)(void *hub),
                           struct net_hub *hub) {
    enum ord_err err = net_dialer_open(&dial->dialer, host, port);
    return err == ORD_OK ? net_aio_create(&dial->aio, on_done, hub, NET_DIAL_MS) : err;
}

void net_dial_deinit(struct net_dial *dial) {
    net_aio_destroy(dial->aio);
    if (dial->dialer != NULL)
        nng_stream_dialer_free(dial->dialer);
}

static void on_dialed(void *context) {
    struct net_hub *hub = context;
    pthread_mutex_lock(&hub->lock);
    hub->dial.busy = false;
    nng_stream *stream = nng_aio_result(hub->dial.aio) == 0 ? nng_aio_get_output(hub->dial.aio, 0) : NULL;
    if (stream != NULL && hub->stopping)
        nng_stream_free(stream);
    else if (stream != NULL && net_conn_create(hub, stream, hub->tls, false) != NULL)
        hub->connected = true;
    if (!hub->connected)
        net_hub_dialer_lost(hub, false);
    net_hub_kick(hub);
    pthread_mutex_unlock(&hub->lock);
}

enum ord_err net_hub_dialer_init(struct net_hub *hub) {
    hub->backoff_ms = hub->options.reconnect_ms_min;
    return net_dial_init(&hub->dial, hub->host, hub->port, on_dialed, hub);
}

uint64_t net_hub_dialer_tick(struct net_hub *hub, uint64_t now_ms) {
    if (hub->connected || hub->dial.busy)
        return UINT64_MAX;
    if (now_ms < hub->dial_ms)
        return hub->dial_ms;
    hub->dial.busy = true;
    nng_stream_dialer_dial(hub->dial.dialer, hub->dial.aio);
    return UINT64_MAX;
}

void net_hub_dialer_lost(struct net_hub *hub, bool was_up) {
    if (was_up)
        hub->backoff_ms = hub->options.reconnect_ms_min;
    hub->dial_ms = net_now_ms() + hub->backoff_ms;
    hub->backoff_ms =
        hub->backoff_ms > hub->options.reconnect_ms_max / 2 ? hub->options.reconnect_ms_max : hub->backoff_ms * 2;
}
