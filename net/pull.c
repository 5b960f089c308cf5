/*
 * Incoming links: SP's PULL. There may be any number of connections. The owner gets messages one at a time, and each
 * connection is read only as fast as the owner takes them. A slow owner therefore slows its peers down instead of
 * filling memory.
 */
#include <stdlib.h>

#include "net/net_internal.h"

struct net_pull {
    struct net_hub hub;
    pthread_mutex_t delivery; /* held while on_message runs */
    void (*on_message)(void *context, struct net_message *message);
    void (*on_failure)(void *context, const struct net_failure *failure);
    void *context;
};

static void on_failure(void *context, const struct net_failure *failure) {
    struct net_pull *pull = context;
    if (pull->on_failure != NULL)
        pull->on_failure(pull->context, failure);
}

static void on_message(void *context, struct net_conn *conn, struct net_message *message) {
    struct net_pull *pull = context;
    (void) conn;
    pthread_mutex_lock(&pull->delivery);
    pull->on_message(pull->context, message);
    pthread_mutex_unlock(&pull->delivery);
}

enum ord_err net_pull_open(struct net_pull **out, const struct net_pull_options *options) {
    *out = NULL;
    struct net_pull *pull = calloc(1, sizeof(*pull));
    if (pull == NULL)
        return ORD_ERR_NO_MEMORY;
    pthread_mutex_init(&pull->delivery, NULL);
    pull->on_message = options->on_message;
    pull->on_failure = options->on_failure;
    pull->context = options->context;
    struct net_hub_options hub = {
        .self = NET_PULL,
        .peer = NET_PUSH,
        .tls = options->tls,
        .rules = options->rules,
        .host = options->host,
        .port = options->port,
        .message_bytes_max = options->message_bytes_max,
        .listens = true,
        .probe_interval_ms = options->probe_interval_ms,
        .probes_missed_max = options->probes_missed_max,
        .owner = {.on_message = on_message, .on_failure = on_failure},
        .context = pull,
    };
    enum ord_err err = net_hub_open(&pull->hub, &hub);
    if (err != ORD_OK) {
        pthread_mutex_destroy(&pull->delivery);
        free(pull);
        return err;
    }
    *out = pull;
    return ORD_OK;
}

uint16_t net_pull_port(const struct net_pull *pull) {
    return pull->hub.port;
}

void net_pull_counters(const struct net_pull *pull, struct net_listener_counters *out) {
    net_hub_read(&pull->hub, out);
}

void net_pull_close(struct net_pull *pull) {
    if (pull == NULL)
        return;
    net_hub_close(&pull->hub);
    pthread_mutex_destroy(&pull->delivery);
    free(pull);
}

struct net_hub *net_pull_hub(struct net_pull *pull) {
    return &pull->hub;
}
