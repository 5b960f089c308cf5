/*
 * The public API's messages (proto/ordain.proto) as a client sends and reads them. Replies are a stranger's bytes:
 * unpacking is bounded in memory by the size of the reply, and what comes out is of the kind that was asked for.
 */
#ifndef ORDAIN_CLIENT_WIRE_H
#define ORDAIN_CLIENT_WIRE_H

#include "client/ordain.h"
#include "core/err.h"
#include "core/types.h"
#include "net/net.h"
#include "proto/ordain.pb-c.h"

/* protobuf-c's enums have a sentinel member, so a switch over one casts it to int. */
typedef Ordain__V1__Request client_request;
typedef Ordain__V1__Response client_response;

#define CLIENT_REPLY_BYTES_MAX  (64u << 20)
#define CLIENT_RETRY_AFTER_MAX  10000u /* a replica's word for "later" is taken up to here */
#define CLIENT_WAIT_GROUP_MAX   512u
#define CLIENT_SUBMIT_BYTES_MAX (1u << 20) /* of one submit request, unless a single envelope is larger */

/* Starts a request of one kind on this channel; the caller fills in the kind's own message. */
void client_request_init(client_request *out, const char *channel);

/* Packs it into a message ready to send. */
ORD_MUST_USE enum ord_err client_request_pack(struct net_message **out, const client_request *request);

/*
 * Unpacks a reply to a request of kind `asked`. On ORD_OK `*out` is freed with client_response_free; its status is
 * one of those that are defined, and where a status OK (or ACCEPTED, DUPLICATE) promises content, the content of that
 * kind is there. INVALID: malformed, not an answer to what was asked, or it would unfold to more than is reasonable.
 * TOO_LARGE. NO_MEMORY: our own fault, and nothing is known of the reply.
 */
ORD_MUST_USE enum ord_err client_response_unpack(client_response **out, struct ord_span bytes,
                                                 Ordain__V1__Request__KindCase asked);
void client_response_free(client_response *response); /* NULL is fine */

static inline struct ord_span client_span(const ProtobufCBinaryData *data) {
    return ord_span_of(data->data, data->len);
}

/* "TOO_LARGE"; never NULL. */
const char *client_status_name(Ordain__V1__Status status);
/* What a status that refuses means to the caller of the library. */
enum ordain_error client_status_error(Ordain__V1__Status status);
enum ordain_error client_error(enum ord_err err);

/* "REFUSED: words of the replica", clean. `status` alone when it says nothing. */
void client_status_say(char *out, size_t out_size, Ordain__V1__Status status, const char *message);

#endif
