/*
 * Decodes bytes that a client may send to a replica. Whatever is taken packs again, and unfolds to no more than its
 * budget.
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/assert.h"
#include "proto/unpack.h"

enum { STRUCTURES_MAX = 512 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ProtobufCMessage *message = NULL;
    enum ord_err err =
        proto_unpack(&message, &ordain__v1__request__descriptor, ord_span_of(data, size), STRUCTURES_MAX);
    ORD_ASSERT((message != NULL) == (err == ORD_OK));
    if (message == NULL)
        return 0;
    const Ordain__V1__Request *request = (const Ordain__V1__Request *) (const void *) message;
    /* A kind that is set has its message: the replica reads it without asking again. */
    ORD_ASSERT(request->kind_case == ORDAIN__V1__REQUEST__KIND__NOT_SET || request->submit != NULL);
    uint8_t *again = malloc(protobuf_c_message_get_packed_size(message) + 1);
    ORD_ASSERT(again != NULL);
    ORD_ASSERT(protobuf_c_message_pack(message, again) <= 10 * size + 16);
    free(again);
    proto_free(message);
    return 0;
}
