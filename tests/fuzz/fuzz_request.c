/*
 * Decodes bytes that a client may send to a replica (row M3). Whatever is taken packs again, and what is asked for is
 * whole: no field of it needs another check.
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/assert.h"
#include "node/ask.h"
#include "proto/unpack.h"

enum { STRUCTURES_MAX = 512 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_ask(const Ordain__V1__Request *request) {
    struct ask ask;
    const char *why = NULL;
    enum ord_err err = ask_init(&ask, &why, request);
    ORD_ASSERT((err == ORD_OK) == (why == NULL));
    if (err == ORD_OK) {
        ORD_ASSERT(ask.kind >= ORDAIN__V1__REQUEST__KIND_SUBMIT && ask.kind <= ORDAIN__V1__REQUEST__KIND_EVIDENCE);
        ORD_ASSERT((ask.sequence_count > 0) == (ask.kind == ORDAIN__V1__REQUEST__KIND_WAIT));
        for (size_t i = 1; i < ask.sequence_count; i++)
            ORD_ASSERT(ask.sequences[i] > ask.sequences[i - 1]);
    }
    ask_deinit(&ask);
}

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
    look_at_ask(request);
    uint8_t *again = malloc(protobuf_c_message_get_packed_size(message) + 1);
    ORD_ASSERT(again != NULL);
    ORD_ASSERT(protobuf_c_message_pack(message, again) <= 10 * size + 16);
    free(again);
    proto_free(message);
    return 0;
}
