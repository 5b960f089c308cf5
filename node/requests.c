/*
 * Requests of clients. The transport's threads parse them, and the loop sorts them: submissions go to the replica, the
 * loop answers questions about the state that it owns, and the reader thread answers the rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"
#include "proto/unpack.h"

enum {
    REQUEST_BYTES_SLACK = 1 << 20,
    /* However few requests are worked on at a time, so many connections may wait for their turn. */
    CONNECTIONS_LEAST = 64,
    REPLY_TIMEOUT_MS = 10000,
    PROBE_INTERVAL_MS = 1000,
    PROBES_MISSED_MAX = 3,
};

/* ---- in the loop ---- */

static void look_up(struct node *node, struct api_request *request) {
    request->client_index = UINT32_MAX;
    if (request->ask.of_client)
        (void) channel_client_find(replica_channel(node->replica), &request->client_index, &request->ask.client);
}

bool requests_handle(struct node *node, struct api_request *request) {
    /* One that waits comes again when clients have registered. */
    if (!request->counted)
        count_add(&node->counters.requests, 1);
    request->counted = true;
    switch ((int) request->ask.kind) {
    case ORDAIN__V1__REQUEST__KIND_SUBMIT:
        if (node->stopping == NODE_RUNS)
            return false;
        /* The client can submit to another replica. */
        api_reply_stopping(request);
        return true;
    case ORDAIN__V1__REQUEST__KIND_STATUS:
        status_reply(node, request);
        return true;
    case ORDAIN__V1__REQUEST__KIND_CLIENT:
        status_client_reply(node, request);
        return true;
    default: /* ask_init knows no other kinds than these and the reader thread's */
        look_up(node, request);
        service_post(node, request);
        return true;
    }
}

/* ---- in the transport's threads ---- */

/* Unpacks a request, and takes what it asks for. An error: it is to be answered with `*status` and `*why`. */
static enum ord_err read_request(struct node *node, struct api_request *request, Ordain__V1__Status *status,
                                 const char **why) {
    struct ord_span bytes = net_request_bytes(request->net);
    ProtobufCMessage *message;
    enum ord_err err = proto_unpack(&message, &ordain__v1__request__descriptor, bytes, REQUEST_STRUCTURE_BYTES_MAX);
    *status = ORDAIN__V1__STATUS__BAD_REQUEST;
    *why = err == ORD_ERR_TOO_LARGE ? "request unfolds to more than its size allows" : "request does not parse";
    request->size = bytes.size;
    request->message = (api_request_message *) message;
    if (err == ORD_OK && strcmp(request->message->channel, node->channel_config->name) != 0) {
        *status = ORDAIN__V1__STATUS__NOT_FOUND;
        *why = "no such channel here";
        return ORD_ERR_NOT_FOUND;
    }
    if (err == ORD_OK)
        err = ask_init(&request->ask, why, request->message);
    if (err == ORD_ERR_NO_MEMORY) {
        *status = ORDAIN__V1__STATUS__UNAVAILABLE;
        *why = "out of memory";
    } else if (err != ORD_OK) {
        count_add(&node->counters.requests_malformed, 1);
    }
    return err;
}

static void on_request(void *context, struct net_request *net) {
    struct node *node = context;
    struct api_request *request = calloc(1, sizeof(*request));
    if (request == NULL) {
        net_request_reply(net, NULL);
        return;
    }
    request->net = net;
    Ordain__V1__Status status;
    const char *why;
    if (read_request(node, request, &status, &why) != ORD_OK) {
        api_reply_error(request, status, why);
        return;
    }
    /* What waits holds little. The envelopes of a submission were copied. */
    net_request_forget(net);
    if (request->ask.kind != ORDAIN__V1__REQUEST__KIND_SUBMIT) {
        proto_free(&request->message->base);
        request->message = NULL;
    }
    if (!inbox_post(&node->inbox, &request->work, WORK_REQUEST))
        api_reply_stopping(request);
}

/* ---- open ---- */

size_t requests_bytes_max(const struct node *node) {
    return (size_t) node->channel_config->absolute_max_bytes * 2 + REQUEST_BYTES_SLACK;
}

uint32_t requests_connections_max(const struct node *node) {
    return (uint32_t) ord_max(2 * (uint64_t) node->config.client_contexts, CONNECTIONS_LEAST);
}

enum ord_err requests_open(struct node *node, char *why, size_t why_size) {
    const struct net_tls tls = {node->tls_ca, node->tls_cert, node->tls_key};
    const struct channel_replica *self = &node->channel_config->replicas[node->config.replica];
    const struct net_server_options options = {
        .host = node->config.client_listen_host,
        .port = node->config.client_listen_port != 0 ? node->config.client_listen_port : self->client_port,
        .tls = &tls,
        .rules = {.roles = NODE_CLIENT_PORT_ROLES},
        .context_count = node->config.client_contexts,
        .connections_max = requests_connections_max(node),
        .member_connections_max = requests_connections_max(node) / 2,
        .member_contexts = (node->config.client_contexts + 3) / 4,
        .request_bytes_max = requests_bytes_max(node),
        .send_timeout_ms = REPLY_TIMEOUT_MS,
        .probe_interval_ms = PROBE_INTERVAL_MS,
        .probes_missed_max = PROBES_MISSED_MAX,
        .on_request = on_request,
        .on_failure = handshakes_on_client,
        .context = node,
    };
    enum ord_err err = net_server_open(&node->server, &options);
    if (err != ORD_OK)
        return node_explain(why, why_size, err, "cannot listen for clients on %s port %u: %s", options.host,
                            options.port, ord_err_text(err));
    return ORD_OK;
}
