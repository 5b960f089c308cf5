/*
 * Listener health. A listener that has stopped accepting still looks open (nng issue 1518 is one way to get there).
 * Therefore the hub checks its listener from outside: at each interval it dials its own port, TLS included, and waits
 * for SP's hello. The probe sends no hello itself, so that the accepting end never mistakes it for a peer.
 *
 * A probe that fails counts as a miss only if the listener accepted no other connection in the meantime, and only if
 * this process can still open sockets. A crowd of strangers makes a listener slow, and they must not be able to get it
 * closed. After `probes_missed_max` misses in a row the listener is reopened on its port; its existing connections
 * stay.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net_internal.h"

/* The address at which this machine reaches a listener on `host`, which may stand for all addresses. */
static const char *reachable(const char *host) {
    if (strcmp(host, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(host, "::") == 0 ? "::1" : host;
}

/* True if this process can open the two sockets that a probe needs: the dialing one and the accepted one. */
static bool sockets_left(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    close(pair[0]);
    close(pair[1]);
    return true;
}

static void on_dialed(void *context) {
    struct net_hub *hub = context;
    pthread_mutex_lock(&hub->lock);
    hub->probe.busy = false;
    nng_stream *stream = nng_aio_result(hub->probe.aio) == 0 ? nng_aio_get_output(hub->probe.aio, 0) : NULL;
    if (stream != NULL && (hub->stopping || !hub->probing))
        nng_stream_free(stream);
    else if (stream != NULL)
        hub->probe_conn = net_conn_create(hub, stream, hub->probe_tls, true);
    net_hub_kick(hub);
    pthread_mutex_unlock(&hub->lock);
}

/* The probe is a client with our own certificate. It calls ourselves, so the rules for peers do not apply. */
enum ord_err net_hub_probe_tls(struct net_hub *hub, const struct net_tls *tls) {
    const struct net_tls_rules anybody = {0};
    return net_tls_context_create(&hub->probe_tls, tls, &anybody, false);
}

enum ord_err net_hub_probe_init(struct net_hub *hub) {
    hub->probe_ms = net_now_ms() + hub->options.probe_interval_ms;
    return net_dial_init(&hub->probe, reachable(hub->host), hub->port, on_dialed, hub);
}

static void probe_begin(struct net_hub *hub, uint64_t now_ms) {
    hub->probe_ms = now_ms + NET_PROBE_DEADLINE_MS;
    hub->probing = true;
    hub->probe_up = false;
    hub->probe_accepted = hub->accepted;
    hub->probe.busy = true;
    nng_stream_dialer_dial(hub->probe.dialer, hub->probe.aio);
}

static void probe_end(struct net_hub *hub, uint64_t now_ms) {
    hub->probing = false;
    hub->probe_ms = now_ms + hub->options.probe_interval_ms;
    if (hub->probe.busy)
        nng_aio_cancel(hub->probe.aio);
    if (hub->probe_conn != NULL)
        net_conn_close(hub->probe_conn);
    bool alive = hub->probe_up || hub->accepted != hub->probe_accepted;
    if (!alive && !sockets_left())
        return; /* inconclusive: neither a success nor a miss */
    hub->counters.probes++;
    if (alive) {
        hub->probes_missed_row = 0;
        return;
    }
    hub->counters.probes_missed++;
    if (++hub->probes_missed_row >= hub->options.probes_missed_max) {
        hub->probes_missed_row = 0;
        net_hub_listener_reopen(hub);
        net_hub_kick(hub); /* the thread must accept */
    }
}

uint64_t net_hub_probe_tick(struct net_hub *hub, uint64_t now_ms) {
    if (hub->probing) {
        if (hub->probe_up || now_ms >= hub->probe_ms)
            probe_end(hub, now_ms);
        return hub->probe_ms;
    }
    if (now_ms < hub->probe_ms)
        return hub->probe_ms;
    /* The last probe must be gone completely. This same thread frees its
     * connection, so it cannot wait for that here. */
    if (hub->listener == NULL || hub->probe.busy || hub->probe_conn != NULL)
        return now_ms + hub->options.probe_interval_ms;
    probe_begin(hub, now_ms);
    return hub->probe_ms;
}
