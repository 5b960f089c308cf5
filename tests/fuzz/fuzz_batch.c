/*
 * Executes bytes of a primary as a batch. Every envelope must be accounted for, every block must match its header, and
 * a replica that then restarts from disk must have the same digest. The input is executed as a batch, and then read as
 * a script that makes batches whose envelopes are often acceptable.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "channel/state.h"
#include "core/assert.h"
#include "tests/support/channel_support.h"

#define SCRIPT_BATCHES   4
#define SCRIPT_ENVELOPES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct net *net;
static struct party *party;
static uint8_t *channel_memory;
static uint8_t *copy_memory;
static uint8_t record[CHANNEL_CLIENT_RECORD_MAX];
static size_t record_size;

static void tweak(struct channel_config *config) {
    config->clients_max = 2;
    config->max_message_count = 5;
    config->preferred_max_bytes = 700;
    config->absolute_max_bytes = 1024;
}

static struct channel *fresh(uint8_t *memory) {
    struct channel *channel;
    ORD_ASSERT(channel_init(&channel, memory, channel_memory_size(&net->config), &net->config, &net->genesis_hash) ==
               ORD_OK);
    return channel;
}

static void start(void) {
    net = net_create(tweak);
    party = net_party(net, 0, CRYPTO_ROLE_CLIENT, "ann");
    channel_memory = net_alloc(net, channel_memory_size(&net->config));
    copy_memory = net_alloc(net, channel_memory_size(&net->config));
    struct channel *channel = fresh(channel_memory);
    struct chain_log *log = net_log(net);
    const struct ord_span registration = net_registration(net, party);
    (void) net_apply(net, channel, log, 0, &registration, 1);
    record_size = channel_client_record(channel, 0, record);
}

static struct channel_header head;

static enum ord_err check_block(void *context, const struct channel_block *block) {
    struct ord_hash leaves[5];
    (void) context;
    ORD_ASSERT(block->header.height == head.height + 1);
    ORD_ASSERT(block->header.transaction_count <= net->config.max_message_count);
    ORD_ASSERT(channel_block_check(&block->header, block->data, leaves, 5) == ORD_OK);
    head = block->header;
    return ORD_OK;
}

static void apply(struct channel *channel, struct ord_span bytes) {
    const struct channel_sink sink = {.block = check_block};
    struct channel_batch batch;
    struct channel_applied applied;
    uint32_t count = channel_batch_decode(&batch, bytes) == ORD_OK ? batch.envelope_count : 1;
    ORD_ASSERT(channel_apply(channel, &applied, channel_applied_seq(channel) + 1, 0, bytes, &sink) == ORD_OK);
    ORD_ASSERT(applied.accepted + applied.duplicates + applied.refused == count);
}

static void check_restored(struct channel *channel) {
    struct channel *copy = fresh(copy_memory);
    uint8_t bytes[CHANNEL_CLIENT_RECORD_MAX];
    for (uint32_t i = 0; i < channel_client_count(channel); i++) {
        size_t size = channel_client_record(channel, i, bytes);
        ORD_ASSERT(channel_restore_client(copy, i, ord_span_of(bytes, size)) == ORD_OK);
    }
    ORD_ASSERT(channel_restore_head(copy, &head, channel_applied_seq(channel), channel_progress(channel)) == ORD_OK);
    struct channel_open_block open;
    channel_open(channel, &open);
    struct ord_span envelope;
    for (uint32_t i = 0; channel_batch_next(&envelope, &open.data) == ORD_OK; i++)
        ORD_ASSERT(channel_restore_open(copy, envelope, &open.entries[i]) == ORD_OK);
    struct ord_hash ours;
    struct ord_hash theirs;
    channel_state_digest(channel, &ours);
    channel_state_digest(copy, &theirs);
    ORD_ASSERT(ord_hash_equal(&ours, &theirs));
}

/* Reads four bytes for an envelope: sequence number, transactions, size, and whether it is for this network. */
static void write_envelope(struct ord_writer *batch, struct ord_reader *script) {
    uint8_t bytes[2048];
    static const uint8_t zeros[2048];
    struct ord_span transactions[8];
    uint32_t sequence = ord_read_u8(script);
    uint32_t count = 1 + ord_read_u8(script) % 6;
    size_t size = (size_t) ord_read_u8(script) * 4;
    uint8_t network = ord_read_u8(script);
    struct channel_envelope header = {
        .kind = CHANNEL_ENVELOPE_TRANSACTIONS,
        .genesis_hash = net->genesis_hash,
        .client = party->fingerprint,
        .sequence = sequence < 200 ? sequence + 1 : (sequence - 199) * 300,
    };
    if (network == 0xff)
        header.genesis_hash.bytes[0] ^= 1;
    for (uint32_t i = 0; i < count; i++)
        transactions[i] = ord_span_of(zeros, i == 0 ? size : 1);
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    ORD_ASSERT(channel_envelope_encode(&writer, &header, transactions, count, NULL) == ORD_OK);
    channel_batch_add(batch, ord_writer_span(&writer));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (net == NULL)
        start();
    struct channel *channel = fresh(channel_memory);
    head = net->genesis_header;
    ORD_ASSERT(channel_restore_client(channel, 0, ord_span_of(record, record_size)) == ORD_OK);
    apply(channel, ord_span_of(data, size));
    struct ord_reader script = ord_reader_of(ord_span_of(data, size));
    for (uint32_t i = 0; i < SCRIPT_BATCHES; i++) {
        uint8_t bytes[2048 * SCRIPT_ENVELOPES];
        struct ord_writer batch = ord_writer_of(bytes, sizeof(bytes));
        uint32_t count = ord_read_u8(&script) % (SCRIPT_ENVELOPES + 1);
        channel_batch_begin(&batch, ord_read_u8(&script) % 4 + head.height);
        for (uint32_t j = 0; j < count; j++)
            write_envelope(&batch, &script);
        ORD_ASSERT(channel_batch_end(&batch, count) == ORD_OK);
        apply(channel, ord_writer_span(&batch));
    }
    check_restored(channel);
    return 0;
}
