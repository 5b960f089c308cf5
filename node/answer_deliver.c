/*
 * Delivery in the reader thread: whole blocks, headers, or the blocks of one client, each with its proof.
 */
#include <stdlib.h>
#include <string.h>

#include "node/answer.h"

enum { DELIVER_BLOCKS_MAX = 4096 };

enum ord_err answer_deliver_range(struct service *service, const Ordain__V1__DeliverRequest *ask, uint64_t *from,
                                  uint64_t *to) {
    uint64_t newest = service_certified_height(service);
    *from = ask->from_seek == ORDAIN__V1__DELIVER_REQUEST__SEEK__OLDEST   ? 0
            : ask->from_seek == ORDAIN__V1__DELIVER_REQUEST__SEEK__NEWEST ? newest
                                                                          : ask->from;
    *to = ask->to_newest || ask->to > newest ? newest : ask->to;
    if (ask->from_seek == ORDAIN__V1__DELIVER_REQUEST__SEEK__HEIGHT && !ask->to_newest && ask->from > ask->to)
        return ORD_ERR_INVALID;
    if (*from > newest)
        return ORD_ERR_BUSY;
    return *from > *to ? ORD_ERR_INVALID : ORD_OK;
}

static bool has_client(struct ord_span data, const ProtobufCBinaryData *client) {
    struct ord_span bytes;
    while (channel_batch_next(&bytes, &data) == ORD_OK) {
        struct channel_envelope envelope;
        if (channel_envelope_decode(&envelope, bytes) == ORD_OK &&
            ord_span_equal(ord_span_of(envelope.client.bytes, ORD_HASH_SIZE), ord_span_of(client->data, client->len)))
            return true;
    }
    return false;
}

struct delivery {
    Ordain__V1__Block blocks[DELIVER_BLOCKS_MAX];
    Ordain__V1__Block *pointers[DELIVER_BLOCKS_MAX];
    struct ord_bytes storage[DELIVER_BLOCKS_MAX];
    size_t count;
    size_t bytes;
};

static enum ord_err add_block(struct service *service, struct delivery *delivery, uint64_t height,
                              const Ordain__V1__DeliverRequest *ask) {
    struct ord_bytes *bytes = &delivery->storage[delivery->count];
    enum ord_err err = ledger_get_block(service->node->ledger, bytes, height);
    node_note_damage(service->node, "block", height, err);
    if (err != ORD_OK)
        return err;
    Ordain__V1__Block *block = &delivery->blocks[delivery->count];
    ordain__v1__block__init(block);
    delivery->pointers[delivery->count++] = block;
    block->header = (ProtobufCBinaryData) {CHANNEL_HEADER_SIZE, bytes->data};
    struct ord_span data = ord_span_of(bytes->data + CHANNEL_HEADER_SIZE, bytes->size - CHANNEL_HEADER_SIZE);
    block->data_omitted = ask->headers_only || (ask->only_client.len > 0 && !has_client(data, &ask->only_client));
    if (!block->data_omitted)
        block->data = (ProtobufCBinaryData) {data.size, bytes->data + CHANNEL_HEADER_SIZE};
    delivery->bytes += block->header.len + block->data.len;
    struct ord_bytes certificate;
    uint64_t at;
    if (height > 0 && service_certificate(service->node, &certificate, &at, height) == ORD_OK) {
        if (at == height)
            block->certificate = (ProtobufCBinaryData) {certificate.size, certificate.data};
        else
            free(certificate.data);
    }
    return ORD_OK;
}

static void delivery_free(struct delivery *delivery) {
    for (size_t i = 0; i < delivery->count; i++) {
        free(delivery->storage[i].data);
        free(delivery->blocks[i].certificate.data);
    }
    free(delivery);
}

/* Gives nothing that cannot be proved: an unproved block would look like a lie. */
static enum ord_err reply_delivery(struct service *service, struct api_request *request, struct delivery *delivery,
                                   uint64_t last) {
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    Ordain__V1__DeliverResponse deliver = ORDAIN__V1__DELIVER_RESPONSE__INIT;
    struct ord_bytes headers = {0};
    struct ord_bytes certificate = {0};
    deliver.newest = service_certified_height(service);
    if (last > 0 && delivery->blocks[delivery->count - 1].certificate.len == 0) {
        enum ord_err err = service_proof(service, &headers, &certificate, last);
        node_note_damage(service->node, "proof of block", last, err);
        if (err != ORD_OK)
            return err;
        deliver.later_headers = (ProtobufCBinaryData) {headers.size, headers.data};
        deliver.certificate = (ProtobufCBinaryData) {certificate.size, certificate.data};
    }
    deliver.n_blocks = delivery->count;
    deliver.blocks = delivery->pointers;
    response.status = ORDAIN__V1__STATUS__OK;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_DELIVER;
    response.deliver = &deliver;
    api_reply(request, &response);
    free(headers.data);
    free(certificate.data);
    return ORD_OK;
}

void answer_deliver(struct service *service, struct api_request *request) {
    const Ordain__V1__DeliverRequest *ask = request->message->deliver;
    uint64_t from;
    uint64_t to;
    enum ord_err err = answer_deliver_range(service, ask, &from, &to);
    if (err != ORD_OK) {
        api_reply_error(request, err == ORD_ERR_BUSY ? ORDAIN__V1__STATUS__NOT_READY : ORDAIN__V1__STATUS__BAD_REQUEST,
                        err == ORD_ERR_BUSY ? "no certified block at that height yet"
                                            : "the range ends before it begins");
        return;
    }
    size_t room = answer_room(request);
    if (room == 0) {
        answer_unread(request);
        return;
    }
    size_t bytes_max = ask->bytes_max == 0 || ask->bytes_max > room ? room : ask->bytes_max;
    struct delivery *delivery = calloc(1, sizeof(*delivery));
    if (delivery == NULL) {
        answer_failed(request, ORD_ERR_NO_MEMORY);
        return;
    }
    uint64_t height = from;
    for (; height <= to && delivery->count < DELIVER_BLOCKS_MAX; height++) {
        if (delivery->count > 0 && delivery->bytes >= bytes_max)
            break;
        err = add_block(service, delivery, height, ask);
        if (err != ORD_OK)
            break;
    }
    /* A damaged block ends the answer. The blocks before it are sound. */
    if (err == ORD_OK || (err == ORD_ERR_CORRUPT && delivery->count > 0))
        err = reply_delivery(service, request, delivery, height - 1);
    if (err != ORD_OK)
        answer_failed(request, err);
    delivery_free(delivery);
}
