/*
 * The public API's messages (proto/ordain.proto) as a client sends and reads them. Replies are untrusted bytes.
 * Unpacking uses memory bounded by the size of the reply, and the result is of the kind that was asked for.
 */
#ifndef ORDAIN_CLIENT_WIRE_H
#define ORDAIN_CLIENT_WIRE_H

#include "client/flow/call.h"
#include "client/ordain.h"
#include "core/err.h"
#include "core/types.h"
#include "net/net.h"
#include "proto/ordain.pb-c.h"

/* protobuf-c's enums have a sentinel member, so a switch over one of them casts it to int. */
typedef Ordain__V1__Request client_request;
typedef Ordain__V1__Response client_response;

#define CLIENT_REPLY_BYTES_MAX (64u << 20)
/* Starts a request on this channel. The caller fills in the message of the request's kind. */
void client_request_init(client_request *out, const char *channel);

/* The same with its kind and the message of that kind, which the caller keeps until the request is packed. */
client_request client_request_of(Ordain__V1__Request__KindCase kind, const char *channel, void *message);

/* Packs it into a message ready to send. */
ORD_MUST_USE enum ord_err client_request_pack(struct net_message **out, const client_request *request);

/*
 * Unpacks a reply to a request of kind `asked`. On ORD_OK the caller frees `*out` with client_response_free. Its status
 * is one of the defined ones, and where a status (OK, ACCEPTED, DUPLICATE) promises content, the content is present and
 * of that kind. INVALID: malformed, not an answer to the question, or it would unfold to more than is reasonable.
 * TOO_LARGE. NO_MEMORY: our own failure, which says nothing about the reply.
 */
ORD_MUST_USE enum ord_err client_response_unpack(client_response **out, struct ord_span bytes,
                                                 Ordain__V1__Request__KindCase asked);
void client_response_free(client_response *response); /* NULL is allowed */

static inline struct ord_span client_span(const ProtobufCBinaryData *data) {
    return ord_span_of(data->data, data->len);
}

/* "TOO_LARGE"; never NULL. */
const char *client_status_name(Ordain__V1__Status status);
/* The library's error for a status that refuses. */
enum ordain_error client_status_error(Ordain__V1__Status status);
/* True if the replica will not take what it was given, now or later. */
bool client_status_refuses(Ordain__V1__Status status);

/* Writes "REFUSED: message of the replica", cleaned; only the status if the replica says nothing. */
void client_status_say(char *out, size_t out_size, Ordain__V1__Status status, const char *message);
/* Writes "replica 2: REFUSED: message of the replica". */
void client_replica_say(char *out, size_t out_size, uint32_t replica, Ordain__V1__Status status, const char *message);

#endif
