/*
 * Receipts in the reader thread: of a single envelope, and of submitted envelopes that were ordered before.
 */
#include <stdlib.h>
#include <string.h>

#include "core/merkle.h"
#include "node/answer.h"

void service_block_drop(struct service_block *block) {
    free(block->bytes.data);
    free(block->envelopes);
    free(block->tree);
    free(block->certificate_bytes.data);
    free(block->later_headers.data);
    memset(block, 0, sizeof(*block));
}

static enum ord_err load_block(struct service *service, uint64_t height) {
    struct service_block *block = &service->block;
    if (block->height == height && height > 0)
        return ORD_OK;
    service_block_drop(block);
    answer_charge(service, ANSWER_BLOCK_CHARGE);
    enum ord_err err = ledger_get_block(service->node->ledger, &block->bytes, height);
    answer_charge(service, block->bytes.size);
    node_note_damage(service->node, "block", height, err);
    if (err != ORD_OK)
        return err;
    err = channel_header_decode(&block->header, ord_span_of(block->bytes.data, CHANNEL_HEADER_SIZE));
    size_t count = block->header.envelope_count;
    block->envelopes = calloc(count + 1, sizeof(*block->envelopes));
    block->tree = calloc(ORD_MERKLE_TREE_SIZE(count), sizeof(*block->tree));
    if (err == ORD_OK && (block->envelopes == NULL || block->tree == NULL))
        err = ORD_ERR_NO_MEMORY;
    struct ord_span data =
        ord_span_of(block->bytes.data + CHANNEL_HEADER_SIZE, block->bytes.size - CHANNEL_HEADER_SIZE);
    for (size_t i = 0; err == ORD_OK && i < count; i++) {
        err = channel_batch_next(&block->envelopes[i], &data);
        if (err == ORD_OK)
            ord_merkle_leaf(&service->node->crypto, &block->tree[i], block->envelopes[i]);
    }
    if (err == ORD_OK)
        ord_merkle_tree_build(&service->node->crypto, block->tree, count);
    if (err == ORD_OK) {
        err = service_proof(service, &block->later_headers, &block->certificate_bytes, height);
        node_note_damage(service->node, "proof of block", height, err);
    }
    if (err == ORD_OK)
        err = channel_certificate_decode(&block->certificate,
                                         ord_span_of(block->certificate_bytes.data, block->certificate_bytes.size));
    if (err == ORD_OK)
        block->height = height;
    else
        service_block_drop(block);
    return err;
}

enum ord_err answer_make_receipt(struct service *service, ProtobufCBinaryData *out, uint64_t height, uint32_t index,
                                 bool with_envelope) {
    struct service_block *block = &service->block;
    enum ord_err err = load_block(service, height);
    if (err != ORD_OK)
        return err;
    if (index >= block->header.envelope_count)
        return ORD_ERR_NOT_FOUND;
    struct channel_receipt receipt = {
        .header = block->header,
        .envelope_index = index,
        .leaf = block->tree[index],
        .later_header_count = (uint32_t) (block->later_headers.size / CHANNEL_HEADER_SIZE),
        .later_headers = ord_span_of(block->later_headers.data, block->later_headers.size),
        .certificate = block->certificate,
        .envelope = with_envelope ? block->envelopes[index] : ord_span_of(NULL, 0),
    };
    size_t path_size;
    ord_merkle_tree_path(receipt.path, &path_size, block->tree, block->header.envelope_count, index);
    receipt.path_size = (uint32_t) path_size;
    out->len = channel_receipt_size(&receipt);
    out->data = malloc(out->len);
    if (out->data == NULL)
        return ORD_ERR_NO_MEMORY;
    struct ord_writer writer = ord_writer_of(out->data, out->len);
    err = channel_receipt_encode(&writer, &receipt);
    if (err != ORD_OK) {
        free(out->data);
        *out = (ProtobufCBinaryData) {0};
    }
    return err;
}

/* NOT_FOUND: not ordered. BUSY: ordered, but not certified yet. */
static enum ord_err receipt_of(struct service *service, ProtobufCBinaryData *out, uint32_t client_index,
                               uint64_t sequence, bool with_envelope) {
    uint64_t height;
    uint32_t index;
    enum ord_err err = ledger_get_index(service->node->ledger, &height, &index, client_index, sequence);
    if (err != ORD_OK)
        return err;
    if (height > service_certified_height(service))
        return ORD_ERR_BUSY;
    return answer_make_receipt(service, out, height, index, with_envelope);
}

/* NOT_FOUND: no envelope is or will be there. BUSY: the block is not certified yet. */
static enum ord_err receipt_at(struct service *service, ProtobufCBinaryData *out, uint64_t height, uint32_t index) {
    uint64_t newest = 0;
    if (height == 0)
        return ORD_ERR_NOT_FOUND;
    if (height <= service_certified_height(service))
        return answer_make_receipt(service, out, height, index, true);
    enum ord_err err = ledger_height(service->node->ledger, &newest);
    return err != ORD_OK ? err : height > newest ? ORD_ERR_NOT_FOUND : ORD_ERR_BUSY;
}

void answer_receipt(struct service *service, struct api_request *request) {
    const struct ask *ask = &request->ask;
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    Ordain__V1__ReceiptResponse receipt = ORDAIN__V1__RECEIPT_RESPONSE__INIT;
    enum ord_err err;
    if (answer_room(request) == 0) {
        answer_unread(request);
        return;
    }
    if (ask->by_place)
        err = receipt_at(service, &receipt.receipt, ask->height, ask->index);
    else if (request->client_index == UINT32_MAX)
        err = ORD_ERR_UNKNOWN_CLIENT;
    else
        err = receipt_of(service, &receipt.receipt, request->client_index, ask->sequence, true);
    if (err == ORD_OK) {
        response.status = ORDAIN__V1__STATUS__OK;
        response.kind_case = ORDAIN__V1__RESPONSE__KIND_RECEIPT;
        response.receipt = &receipt;
        api_reply(request, &response);
    } else if (err == ORD_ERR_UNKNOWN_CLIENT) {
        api_reply_error(request, ORDAIN__V1__STATUS__UNKNOWN_CLIENT, "client is not registered in this channel");
    } else if (err == ORD_ERR_NOT_FOUND) {
        api_reply_error(request, ORDAIN__V1__STATUS__NOT_FOUND,
                        ask->by_place ? "there is no such envelope in the chain" : "nothing was ordered there");
    } else if (err == ORD_ERR_BUSY) {
        api_reply_error(request, ORDAIN__V1__STATUS__NOT_READY, "ordered, but not certified yet");
    } else {
        answer_failed(request, err);
    }
    free(receipt.receipt.data);
}

/* ---- submissions ---- */

/* The number of a submitted envelope was ordered: says where, and whether for this envelope or for another. */
static void tell_ordered(struct service *service, Ordain__V1__SubmitResult *result, const struct replica_result *from,
                         struct ord_span submitted) {
    static char same[] = "this envelope was ordered before";
    static char another[] = "another envelope was ordered under this sequence number";
    struct channel_envelope ours;
    struct channel_envelope ordered;
    if (ledger_get_index(service->node->ledger, &result->height, &result->index, from->client_index, from->sequence) !=
        ORD_OK) {
        result->height = 0;
        return;
    }
    if (result->height > service_certified_height(service) ||
        answer_make_receipt(service, &result->receipt, result->height, result->index, false) != ORD_OK) {
        result->receipt = (ProtobufCBinaryData) {0};
        return;
    }
    /* answer_make_receipt has loaded the block. */
    bool equal = channel_envelope_decode(&ours, submitted) == ORD_OK &&
                 channel_envelope_decode(&ordered, service->block.envelopes[result->index]) == ORD_OK &&
                 ord_span_equal(ours.body, ordered.body);
    result->status = equal ? ORDAIN__V1__STATUS__DUPLICATE : ORDAIN__V1__STATUS__SEQUENCE_TAKEN;
    result->message = equal ? same : another;
}

void answer_submission(struct service *service, struct api_request *request) {
    static const Ordain__V1__Status statuses[] = {
        [REPLICA_ACCEPTED] = ORDAIN__V1__STATUS__ACCEPTED,
        [REPLICA_ORDERED] = ORDAIN__V1__STATUS__SEQUENCE_USED, /* or what tell_ordered finds */
        [REPLICA_TAKEN] = ORDAIN__V1__STATUS__SEQUENCE_TAKEN,
        [REPLICA_BUSY] = ORDAIN__V1__STATUS__BUSY,
        [REPLICA_TOO_LARGE] = ORDAIN__V1__STATUS__TOO_LARGE,
        [REPLICA_BAD_REQUEST] = ORDAIN__V1__STATUS__BAD_REQUEST,
        [REPLICA_FORBIDDEN] = ORDAIN__V1__STATUS__FORBIDDEN,
        [REPLICA_UNKNOWN_CLIENT] = ORDAIN__V1__STATUS__UNKNOWN_CLIENT,
    };
    const struct replica_submission *submission = &request->submission;
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    Ordain__V1__SubmitResponse submit = ORDAIN__V1__SUBMIT_RESPONSE__INIT;
    Ordain__V1__SubmitResult *results = calloc(submission->count, sizeof(*results));
    Ordain__V1__SubmitResult **pointers = calloc(submission->count, sizeof(Ordain__V1__SubmitResult *));
    if (results == NULL || pointers == NULL) {
        free(results);
        free(pointers);
        api_reply_error(request, ORDAIN__V1__STATUS__UNAVAILABLE, "out of memory");
        return;
    }
    size_t bytes = 0;
    const size_t bytes_max = answer_room(request);
    for (uint32_t i = 0; i < submission->count; i++) {
        const struct replica_result *from = &submission->results[i];
        ordain__v1__submit_result__init(&results[i]);
        pointers[i] = &results[i];
        results[i].status = statuses[from->verdict];
        if (from->message != NULL)
            results[i].message = (char *) (uintptr_t) from->message;
        /* Without room to look here, or without a certificate, the client asks with a WAIT. */
        if (from->ordered && bytes < bytes_max && answer_may_read(service))
            tell_ordered(service, &results[i], from, submission->envelopes[i]);
        bytes += results[i].receipt.len;
        if (from->verdict == REPLICA_BUSY)
            response.retry_after_ms = submission->retry_after_ms;
    }
    response.status = ORDAIN__V1__STATUS__OK;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_SUBMIT;
    response.submit = &submit;
    submit.n_results = submission->count;
    submit.results = pointers;
    submit.leader_hint = submission->leader == ORD_NO_NODE ? 0 : submission->leader + 1;
    uint32_t count = submission->count;
    api_reply(request, &response);
    for (uint32_t i = 0; i < count; i++)
        free(results[i].receipt.data);
    free(results);
    free(pointers);
}
