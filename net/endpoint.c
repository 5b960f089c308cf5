/*
 * The edge to nng: addresses, error codes, the clock, and the options that every listener and dialer gets before it
 * starts.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "core/assert.h"
#include "net/net_internal.h"

enum ord_err net_err(int code) {
    switch (code) {
    case 0:
        return ORD_OK;
    case NNG_ENOMEM:
        return ORD_ERR_NO_MEMORY;
    case NNG_EADDRINUSE:
        return ORD_ERR_IN_USE;
    case NNG_EINVAL:
    case NNG_EADDRINVAL:
        return ORD_ERR_INVALID;
    case NNG_EPERM:
        return ORD_ERR_FORBIDDEN;
    case NNG_ENOTSUP:
        return ORD_ERR_UNSUPPORTED;
    case NNG_ECRYPTO:
        return ORD_ERR_CRYPTO;
    case NNG_ECLOSED:
        return ORD_ERR_CLOSED;
    default:
        return ORD_ERR_IO;
    }
}

enum ord_err net_url(char url[NET_URL_MAX], const char *host, uint16_t port) {
    if (host == NULL || host[0] == '\0' || strlen(host) > NET_HOST_MAX)
        return ORD_ERR_INVALID;
    /* Allow the characters of IPv4 and IPv6 addresses and host names, and none that would change the URL's meaning. */
    if (strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") != strlen(host))
        return ORD_ERR_INVALID;
    bool bracket = strchr(host, ':') != NULL;
    int length = snprintf(url, NET_URL_MAX, "tcp://%s%s%s:%u", bracket ? "[" : "", host, bracket ? "]" : "", port);
    return length > 0 && length < NET_URL_MAX ? ORD_OK : ORD_ERR_INVALID;
}

enum ord_err net_listener_open(nng_stream_listener **out, uint16_t *port, const char *host) {
    char url[NET_URL_MAX];
    enum ord_err err = net_url(url, host, *port);
    if (err != ORD_OK)
        return err;
    nng_stream_listener *listener;
    int code = nng_stream_listener_alloc(&listener, url);
    if (code != 0)
        return net_err(code);
    int bound = 0;
    code = nng_stream_listener_set_bool(listener, NNG_OPT_TCP_NODELAY, true);
    if (code == 0)
        code = nng_stream_listener_set_bool(listener, NNG_OPT_TCP_KEEPALIVE, true);
    if (code == 0)
        code = nng_stream_listener_listen(listener);
    if (code == 0)
        code = nng_stream_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &bound);
    if (code != 0) {
        nng_stream_listener_free(listener);
        return net_err(code);
    }
    *out = listener;
    *port = (uint16_t) bound;
    return ORD_OK;
}

enum ord_err net_dialer_open(nng_stream_dialer **out, const char *host, uint16_t port) {
    char url[NET_URL_MAX];
    enum ord_err err = net_url(url, host, port);
    if (err != ORD_OK)
        return err;
    nng_stream_dialer *dialer;
    int code = nng_stream_dialer_alloc(&dialer, url);
    if (code != 0)
        return net_err(code);
    code = nng_stream_dialer_set_bool(dialer, NNG_OPT_TCP_NODELAY, true);
    if (code == 0)
        code = nng_stream_dialer_set_bool(dialer, NNG_OPT_TCP_KEEPALIVE, true);
    if (code != 0) {
        nng_stream_dialer_free(dialer);
        return net_err(code);
    }
    *out = dialer;
    return ORD_OK;
}

enum ord_err net_aio_create(nng_aio **out, void (*on_done)(void *context), void *context, nng_duration timeout_ms) {
    int code = nng_aio_alloc(out, on_done, context);
    if (code != 0) {
        *out = NULL;
        return net_err(code);
    }
    nng_aio_set_timeout(*out, timeout_ms);
    return ORD_OK;
}

void net_aio_destroy(nng_aio *aio) {
    if (aio == NULL)
        return;
    nng_aio_stop(aio);
    nng_aio_free(aio);
}

void net_peer_text(char out[NET_PEER_MAX], nng_stream *stream) {
    nng_sockaddr peer;
    char text[INET6_ADDRSTRLEN] = "";
    out[0] = '\0';
    if (nng_stream_get_addr(stream, NNG_OPT_REMADDR, &peer) != 0)
        return;
    if (peer.s_family == NNG_AF_INET && inet_ntop(AF_INET, &peer.s_in.sa_addr, text, sizeof(text)) != NULL)
        snprintf(out, NET_PEER_MAX, "%s:%u", text, ntohs(peer.s_in.sa_port));
    else if (peer.s_family == NNG_AF_INET6 && inet_ntop(AF_INET6, peer.s_in6.sa_addr, text, sizeof(text)) != NULL)
        snprintf(out, NET_PEER_MAX, "[%s]:%u", text, ntohs(peer.s_in6.sa_port));
}

uint64_t net_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

void net_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int code = pthread_cond_init(cond, &attributes);
    ORD_ASSERT(code == 0);
    pthread_condattr_destroy(&attributes);
}

bool net_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ms) {
    if (net_now_ms() >= deadline_ms)
        return false;
    struct timespec until = {(time_t) (deadline_ms / 1000), (long) (deadline_ms % 1000) * 1000000};
    pthread_cond_timedwait(cond, lock, &until);
    return true;
}
