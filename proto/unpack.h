/*
 * Decoding the public API's messages from untrusted bytes. Two bytes can unfold to a structure of sixty, so a bound on
 * the message's size alone bounds no memory: each decoding also has an allocation budget that follows from that size.
 */
#ifndef ORDAIN_PROTO_UNPACK_H
#define ORDAIN_PROTO_UNPACK_H

#include "core/err.h"
#include "core/types.h"
#include "proto/ordain.pb-c.h"

/*
 * Bytes that decoding a message of `size` bytes may allocate in all: its payload, and structures in proportion to its
 * size, at most `structure_bytes_max` of them. Each allocation counts 16 bytes beside its own size.
 */
size_t proto_unpack_budget(size_t size, size_t structure_bytes_max);

/*
 * Unpacks a message of the type `descriptor`. On ORD_OK the caller frees `*out` with proto_free; after an error it is
 * NULL. INVALID: malformed. TOO_LARGE: it would take more than its budget. NO_MEMORY: our own failure, which says
 * nothing about the message. Any thread.
 */
ORD_MUST_USE enum ord_err proto_unpack(ProtobufCMessage **out, const ProtobufCMessageDescriptor *descriptor,
                                       struct ord_span bytes, size_t structure_bytes_max);
/* NULL is allowed. */
void proto_free(ProtobufCMessage *message);

#endif
