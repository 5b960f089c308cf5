/*
 * Decodes bytes of a client as an envelope (row K7). Everything that decodes must have exactly one encoding and all its
 * transactions.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "channel/envelope.h"
#include "core/assert.h"

#define TRANSACTIONS_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct ord_span transactions[TRANSACTIONS_MAX];
    struct channel_envelope envelope;
    if (channel_envelope_decode(&envelope, ord_span_of(data, size)) != ORD_OK ||
        envelope.transaction_count > TRANSACTIONS_MAX)
        return 0;
    struct ord_span left = envelope.transactions;
    for (uint32_t i = 0; i < envelope.transaction_count; i++)
        ORD_ASSERT(channel_envelope_next(&transactions[i], &left) == ORD_OK);
    struct ord_span none;
    ORD_ASSERT(channel_envelope_next(&none, &left) == ORD_ERR_NOT_FOUND);
    ORD_ASSERT(channel_envelope_size(transactions, envelope.transaction_count) == size);
    uint8_t *again = malloc(size);
    ORD_ASSERT(again != NULL);
    struct ord_writer writer = ord_writer_of(again, size);
    ORD_ASSERT(channel_envelope_encode(&writer, &envelope, transactions, envelope.transaction_count, NULL) == ORD_OK);
    ORD_ASSERT(writer.size == size && envelope.body.size == size - ORD_SIGNATURE_SIZE);
    ORD_ASSERT(memcmp(again, data, envelope.body.size) == 0);
    free(again);
    return 0;
}
