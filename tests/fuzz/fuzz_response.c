/*
 * Decodes bytes that a replica may send to a client: replies to every kind of request, and the receipts, headers,
 * envelopes and certificates in them. The first byte chooses the kind; the rest are the reply's bytes.
 */
#include <stdint.h>
#include <stdlib.h>

#include "channel/receipt.h"
#include "client/ordain.h"
#include "client/wire.h"
#include "core/assert.h"
#include "crypto/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_receipt(struct ord_span bytes) {
    struct channel_receipt receipt;
    uint32_t index = 0;
    if (channel_receipt_decode(&receipt, bytes) != ORD_OK)
        return;
    /* Each receipt must have one encoding. */
    uint8_t *again = malloc(channel_receipt_size(&receipt));
    ORD_ASSERT(again != NULL);
    struct ord_writer writer = ord_writer_of(again, channel_receipt_size(&receipt));
    ORD_ASSERT(channel_receipt_encode(&writer, &receipt) == ORD_OK);
    ORD_ASSERT(ord_span_equal(ord_writer_span(&writer), bytes));
    free(again);
    struct ordain_bytes transaction = {"x", 1};
    (void) ordain_receipt_find(&index, (struct ordain_bytes) {bytes.data, bytes.size}, transaction);
}

static void look_at_block(const Ordain__V1__Block *block) {
    struct channel_header header;
    struct channel_certificate certificate;
    struct ordain_bytes data = {block->data.data, block->data.len};
    struct ordain_envelope envelope;
    struct ordain_bytes transaction;
    (void) !channel_header_decode(&header, client_span(&block->header));
    (void) !channel_certificate_decode(&certificate, client_span(&block->certificate));
    while (ordain_envelope_next(&envelope, &data))
        while (ordain_transaction_next(&transaction, &envelope.transactions))
            ORD_ASSERT(transaction.size <= block->data.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool ready;
    if (!ready) {
        ORD_ASSERT(crypto_init() == ORD_OK);
        ready = true;
    }
    if (size == 0)
        return 0;
    Ordain__V1__Request__KindCase asked =
        (Ordain__V1__Request__KindCase) (ORDAIN__V1__REQUEST__KIND_SUBMIT + data[0] % 7);
    client_response *response = NULL;
    if (client_response_unpack(&response, ord_span_of(data + 1, size - 1), asked) != ORD_OK)
        return 0;
    char words[64];
    client_status_say(words, sizeof(words), response->status, response->message);
    (void) client_status_error(response->status);
    switch ((int) response->kind_case) {
    case ORDAIN__V1__RESPONSE__KIND_SUBMIT:
        for (size_t i = 0; i < response->submit->n_results; i++)
            look_at_receipt(client_span(&response->submit->results[i]->receipt));
        break;
    case ORDAIN__V1__RESPONSE__KIND_WAIT:
        for (size_t i = 0; i < response->wait->n_results; i++)
            look_at_receipt(client_span(&response->wait->results[i]->receipt));
        break;
    case ORDAIN__V1__RESPONSE__KIND_RECEIPT:
        look_at_receipt(client_span(&response->receipt->receipt));
        break;
    case ORDAIN__V1__RESPONSE__KIND_DELIVER:
        for (size_t i = 0; i < response->deliver->n_blocks; i++)
            look_at_block(response->deliver->blocks[i]);
        break;
    case ORDAIN__V1__RESPONSE__KIND_EVIDENCE: /* fuzz_evidence covers these */
    case ORDAIN__V1__RESPONSE__KIND_REPLICA:
    case ORDAIN__V1__RESPONSE__KIND_CLIENT:
    case ORDAIN__V1__RESPONSE__KIND__NOT_SET:
    default:
        break;
    }
    client_response_free(response);
    return 0;
}
