/*
 * Decodes bytes of a file as a receipt. Everything that decodes must have one encoding, and an honest receipt with any
 * change (offset, byte) must not verify.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "channel/state.h"
#include "core/assert.h"
#include "tests/support/channel_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct net *net;
static struct ord_span honest;

static struct ord_span encode(const struct channel_receipt *receipt) {
    size_t size = channel_receipt_size(receipt);
    struct ord_writer writer = ord_writer_of(net_alloc(net, size), size);
    ORD_ASSERT(channel_receipt_encode(&writer, receipt) == ORD_OK);
    return ord_writer_span(&writer);
}

/* Makes the honest receipt. It is for the first of two envelopes of block 1, with a certificate for block 2. */
static void start(void) {
    net = net_create(NULL);
    struct party *party = net_party(net, 0, CRYPTO_ROLE_CLIENT, "ann");
    struct channel *channel = net_channel(net);
    struct chain_log *log = net_log(net);
    const struct ord_span envelopes[] = {net_registration(net, party), net_envelope(net, party, 1, 2, 10, 1),
                                         net_envelope(net, party, 2, 2, 10, 1)};
    (void) net_apply(net, channel, log, 0, envelopes, 2);
    (void) net_apply(net, channel, log, 1, envelopes + 2, 1);
    (void) net_apply(net, channel, log, 2, NULL, 0);
    ORD_ASSERT(log->count == 2);
    static uint8_t later[CHANNEL_HEADER_SIZE];
    channel_header_encode(later, &log->blocks[1].header);
    struct channel_statement statement = {
        .epoch = 1, .seq = log->blocks[1].header.last_seq, .height = 2, .header_hash = log->blocks[1].header_hash};
    struct channel_receipt receipt = {
        .header = log->blocks[0].header,
        .path_size = 1,
        .later_header_count = 1,
        .later_headers = ord_span_of(later, sizeof(later)),
        .certificate = net_certificate(net, &statement, 2),
        .envelope = envelopes[0],
    };
    ord_merkle_leaf(&net->ops, &receipt.leaf, envelopes[0]);
    ord_merkle_leaf(&net->ops, &receipt.path[0], envelopes[1]);
    honest = encode(&receipt);
}

static bool verifies(struct ord_span bytes) {
    struct channel_receipt receipt;
    return channel_receipt_decode(&receipt, bytes) == ORD_OK &&
           channel_receipt_verify(&receipt, &net->config, &net->genesis_hash, &net->ops, NULL) == ORD_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (net == NULL)
        start();
    struct channel_receipt receipt;
    if (channel_receipt_decode(&receipt, ord_span_of(data, size)) == ORD_OK) {
        uint8_t *again = malloc(size);
        ORD_ASSERT(again != NULL);
        struct ord_writer writer = ord_writer_of(again, size);
        ORD_ASSERT(channel_receipt_size(&receipt) == size);
        ORD_ASSERT(channel_receipt_encode(&writer, &receipt) == ORD_OK);
        ORD_ASSERT(ord_span_equal(ord_writer_span(&writer), ord_span_of(data, size)));
        free(again);
        (void) verifies(ord_span_of(data, size));
    }
    static uint8_t changed[4096];
    ORD_ASSERT(honest.size <= sizeof(changed));
    memcpy(changed, honest.data, honest.size);
    for (size_t i = 0; i + 3 <= size; i += 3)
        changed[((size_t) data[i] << 8 | data[i + 1]) % honest.size] = data[i + 2];
    ORD_ASSERT(verifies(ord_span_of(changed, honest.size)) == (memcmp(changed, honest.data, honest.size) == 0));
    return 0;
}
