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
    /* Structures that a request unfolds to, beside twice its size. 4,096 envelopes or sequences need 400 KiB. */
    REQUEST_STRUCTURE_BYTES_MAX = 512 << 10,
    REPLY_TIMEOUT_MS = 10000,
    PROBE_INTERVAL_MS = 1000,
    PROBES_MISSED_MAX = 3,
};

/* ---- in the loop ---- */

static void look_up(struct node *node, struct api_request *request, const ProtobufCBinaryData *client) {
    struct ord_hash fingerprint;
    if (client->len != ORD_HASH_SIZE)
        return;
    memcpy(fingerprint.bytes, client->data, ORD_HASH_SIZE);
    (void) channel_client_find(replica_channel(node->replica), &request->client_index, &fingerprint);
}

bool requests_handle(struct node *node, struct api_request *request) {
    count_add(&node->counters.requests, 1);
    request->client_index = UINT32_MAX;
    switch ((int) request->message->kind_case) {
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
    case ORDAIN__V1__REQUEST__KIND_WAIT:
        look_up(node, request, &request->message->wait->client);
        break;
    case ORDAIN__V1__REQUEST__KIND_RECEIPT:
        look_up(node, request, &request->message->receipt->client);
        break;
    case ORDAIN__V1__REQUEST__KIND_DELIVER:
    case ORDAIN__V1__REQUEST__KIND_EVIDENCE:
        break;
    default:
        api_reply_error(request, ORDAIN__V1__STATUS__BAD_REQUEST, "request without a kind that this replica knows");
        return true;
    }
    service_post(node, request);
    return true;
}

/* ---- in the transport's threads ---- */

static void on_request(void *context, struct net_request *net) {
    struct node *node = context;
    struct ord_span bytes = net_request_bytes(net);
    struct api_request *request = calloc(1, sizeof(*request));
    if (request == NULL) {
        net_request_reply(net, NULL);
        return;
    }
    request->net = net;
    ProtobufCMessage *message;
    enum ord_err err = proto_unpack(&message, &ordain__v1__request__descriptor, bytes, REQUEST_STRUCTURE_BYTES_MAX);
    request->message = (api_request_message *) message;
    if (err == ORD_ERR_NO_MEMORY) {
        api_reply_error(request, ORDAIN__V1__STATUS__UNAVAILABLE, "out of memory");
    } else if (err != ORD_OK) {
        count_add(&node->counters.requests_malformed, 1);
        api_reply_error(request, ORDAIN__V1__STATUS__BAD_REQUEST,
                        err == ORD_ERR_TOO_LARGE ? "request unfolds to more than its size allows"
                                                 : "request does not parse");
    } else if (strcmp(request->message->channel, node->channel_config->name) != 0) {
        api_reply_error(request, ORDAIN__V1__STATUS__NOT_FOUND, "no such channel here");
    } else if (!inbox_post(&node->inbox, &request->work, WORK_REQUEST)) {
        api_reply_stopping(request);
    }
}

/* ---- open ---- */

enum ord_err requests_open(struct node *node, char *why, size_t why_size) {
    const struct net_tls tls = {node->tls_ca, node->tls_cert, node->tls_key};
    const struct channel_replica *self = &node->channel_config->replicas[node->config.replica];
    const struct net_server_options options = {
        .host = node->config.client_listen_host,
        .port = node->config.client_listen_port != 0 ? node->config.client_listen_port : self->client_port,
        .tls = &tls,
        .context_count = node->config.client_contexts,
        .connection_contexts = (node->config.client_contexts + 3) / 4,
        .request_bytes_max = (size_t) node->channel_config->absolute_max_bytes * 2 + REQUEST_BYTES_SLACK,
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
