/*
 * Delivery in the reader thread: whole blocks, headers, or the blocks of one client, each with its proof. An answer
 * ends where it is large enough, or where enough was read for it; the client goes on with the block after its last.
 */
#include <stdlib.h>
#include <string.h>

#include "node/answer.h"

enum { DELIVER_BLOCKS_MAX = 4096 };

enum ord_err answer_deliver_range(struct service *service, const struct ask *ask, uint64_t *from, uint64_t *to) {
    uint64_t newest = service_certified_height(service);
    *from = ask->seek == ORDAIN__V1__DELIVER_REQUEST__SEEK__OLDEST   ? 0
            : ask->seek == ORDAIN__V1__DELIVER_REQUEST__SEEK__NEWEST ? newest
                                                                     : ask->from;
    *to = ask->to_newest || ask->to > newest ? newest : ask->to;
    if (*from > newest)
        return ORD_ERR_BUSY;
    return *from > *to ? ORD_ERR_INVALID : ORD_OK;
}

static bool has_client(struct ord_span data, const struct ord_hash *client) {
    struct ord_span bytes;
    while (channel_batch_next(&bytes, &data) == ORD_OK) {
        struct channel_envelope envelope;
        if (channel_envelope_decode(&envelope, bytes) == ORD_OK && ord_hash_equal(&envelope.client, client))
            return true;
    }
    return false;
}

struct delivery {
    Ordain__V1__Block blocks[DELIVER_BLOCKS_MAX];
    Ordain__V1__Block *pointers[DELIVER_BLOCKS_MAX];
    struct ord_bytes storage[DELIVER_BLOCKS_MAX]; /* a block, or its header alone */
    size_t count;
    size_t bytes; /* of the answer */
    /* No height below this one, from the last block on, has a certificate. */
    uint64_t certified_from;
};

/* Keeps the header of a block, and gives its data back. */
static enum ord_err keep_header(struct ord_bytes *bytes) {
    uint8_t *header = malloc(CHANNEL_HEADER_SIZE);
    if (header != NULL)
        memcpy(header, bytes->data, CHANNEL_HEADER_SIZE);
    free(bytes->data);
    *bytes = (struct ord_bytes) {header, header == NULL ? 0 : CHANNEL_HEADER_SIZE};
    return header == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
}

/* Reads as much of a block as the answer has of it. */
static enum ord_err read_block(struct service *service, struct ord_bytes *out, uint64_t height, const struct ask *ask) {
    struct ledger *ledger = service->node->ledger;
    answer_charge(service, ANSWER_BLOCK_CHARGE);
    if (ask->headers_only)
        return ledger_get_headers(ledger, out, height, height, CHANNEL_HEADER_SIZE, CHANNEL_HEADER_SIZE);
    enum ord_err err = ledger_get_block(ledger, out, height);
    if (err != ORD_OK)
        return err;
    answer_charge(service, out->size);
    struct ord_span data = ord_span_of(out->data + CHANNEL_HEADER_SIZE, out->size - CHANNEL_HEADER_SIZE);
    return ask->of_client && !has_client(data, &ask->client) ? keep_header(out) : ORD_OK;
}

/* Adds the certificate of this block, if it has one of its own. One of a later block is read once, not for each. */
static void add_certificate(struct service *service, struct delivery *delivery, Ordain__V1__Block *block,
                            uint64_t height) {
    struct ord_bytes certificate;
    uint64_t at;
    if (height == 0 || height < delivery->certified_from ||
        service_certificate(service->node, &certificate, &at, height) != ORD_OK)
        return;
    answer_charge(service, certificate.size);
    delivery->certified_from = at;
    if (at == height)
        block->certificate = (ProtobufCBinaryData) {certificate.size, certificate.data};
    else
        free(certificate.data);
}

static enum ord_err add_block(struct service *service, struct delivery *delivery, uint64_t height,
                              const struct ask *ask) {
    struct ord_bytes *bytes = &delivery->storage[delivery->count];
    enum ord_err err = read_block(service, bytes, height, ask);
    node_note_damage(service->node, "block", height, err);
    if (err != ORD_OK)
        return err;
    Ordain__V1__Block *block = &delivery->blocks[delivery->count];
    ordain__v1__block__init(block);
    delivery->pointers[delivery->count++] = block;
    block->header = (ProtobufCBinaryData) {CHANNEL_HEADER_SIZE, bytes->data};
    block->data_omitted = ask->headers_only || (ask->of_client && bytes->size == CHANNEL_HEADER_SIZE);
    if (!block->data_omitted)
        block->data = (ProtobufCBinaryData) {bytes->size - CHANNEL_HEADER_SIZE, bytes->data + CHANNEL_HEADER_SIZE};
    add_certificate(service, delivery, block, height);
    delivery->bytes += block->header.len + block->data.len + block->certificate.len;
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
    const struct ask *ask = &request->ask;
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
        if (delivery->count > 0 && (delivery->bytes >= bytes_max || !answer_may_read(service)))
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
