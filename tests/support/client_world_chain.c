/* The one chain that all replicas of the world share, and receipts from it. */
#include "tests/support/client_world_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/codec.h"
#include "crypto/hash.h"

#define LEAVES_MAX 65536

static struct ord_crypto_ops hash_ops(void) {
    struct ord_crypto_ops ops = {.hash = crypto_sha256};
    return ops;
}

static void certify(struct world *world, struct stored_block *block) {
    struct channel_certificate *certificate = &block->certificate;
    memset(certificate, 0, sizeof(*certificate));
    certificate->statement.epoch = block->header.epoch;
    certificate->statement.seq = world->seq;
    certificate->statement.height = block->header.height;
    certificate->statement.header_hash = block->hash;
    certificate->count = channel_weak_quorum(world->config);
    for (uint32_t i = 0; i < certificate->count; i++) {
        struct ord_hash hash;
        certificate->signers[i] = i;
        channel_statement_hash(&hash, &world->genesis_hash, &certificate->statement, i);
        WORLD_OK(crypto_sign(&certificate->signatures[i], &world->replicas[i].key, &hash));
    }
}

static struct place *place_of(struct world *world, const struct ord_hash *client, uint64_t sequence) {
    size_t at = (ord_load_u32(client->bytes) + sequence) % WORLD_PLACES;
    while (world->places[at].used &&
           (world->places[at].sequence != sequence || !ord_hash_equal(&world->places[at].client, client)))
        at = (at + 1) % WORLD_PLACES;
    return &world->places[at];
}

static void index_block(struct world *world, size_t block_index) {
    struct ord_span left = ord_span_of(world->blocks[block_index].data, world->blocks[block_index].size);
    struct ord_span bytes;
    struct channel_envelope envelope;
    for (uint32_t index = 0; channel_batch_next(&bytes, &left) == ORD_OK; index++) {
        WORLD_OK(channel_envelope_decode(&envelope, bytes));
        if (envelope.kind != CHANNEL_ENVELOPE_TRANSACTIONS)
            continue;
        struct place *place = place_of(world, &envelope.client, envelope.sequence);
        ORD_ASSERT(place->used && !place->ordered); /* it was admitted, and is ordered only once */
        place->ordered = true;
        place->block_index = block_index;
        place->index = index;
    }
}

static enum ord_err on_block(void *context, const struct channel_block *block) {
    struct world *world = context;
    world->blocks = realloc(world->blocks, (world->block_count + 1) * sizeof(*world->blocks));
    ORD_ASSERT(world->blocks != NULL);
    struct stored_block *stored = &world->blocks[world->block_count++];
    stored->header = block->header;
    stored->hash = block->header_hash;
    stored->size = block->data.size;
    stored->data = malloc(block->data.size);
    ORD_ASSERT(stored->data != NULL);
    memcpy(stored->data, block->data.data, block->data.size);
    stored->leaves = calloc(block->header.envelope_count, sizeof(*stored->leaves));
    ORD_ASSERT(stored->leaves != NULL);
    const struct ord_crypto_ops ops = hash_ops();
    struct ord_span left = block->data;
    struct ord_span envelope;
    for (uint32_t i = 0; channel_batch_next(&envelope, &left) == ORD_OK; i++)
        ord_merkle_leaf(&ops, &stored->leaves[i], envelope);
    certify(world, stored);
    index_block(world, world->block_count - 1);
    return ORD_OK;
}

void world_order(struct world *world) {
    if (world->batch_count == 0 || world->held)
        return;
    uint8_t *bytes = malloc(WORLD_BATCH_BYTES_MAX);
    ORD_ASSERT(bytes != NULL);
    struct ord_writer writer = ord_writer_of(bytes, WORLD_BATCH_BYTES_MAX);
    channel_batch_begin(&writer, 0);
    struct ord_span left = ord_span_of(world->batch, world->batch_size);
    struct ord_span envelope;
    while (channel_batch_next(&envelope, &left) == ORD_OK)
        channel_batch_add(&writer, envelope);
    WORLD_OK(channel_batch_end(&writer, world->batch_count));
    struct channel_sink sink = {.context = world, .block = on_block};
    struct channel_applied applied;
    WORLD_OK(channel_apply(world->channel, &applied, ++world->seq, 0, ord_writer_span(&writer), &sink));
    free(bytes);
    world->batch_size = 0;
    world->batch_count = 0;
    pthread_cond_broadcast(&world->changed);
}

/* Adds an admitted envelope to the batch. SEQUENCE_TAKEN: another envelope with its number is already waiting. */
Ordain__V1__Status world_enqueue(struct world *world, const struct channel_envelope *admitted,
                                 const struct ord_hash *id) {
    struct ord_span envelope = admitted->bytes;
    struct place *place = place_of(world, &admitted->client, admitted->sequence);
    if (place->used)
        return ord_hash_equal(&place->id, id) ? ORDAIN__V1__STATUS__ACCEPTED : ORDAIN__V1__STATUS__SEQUENCE_TAKEN;
    *place = (struct place) {.used = true, .id = *id, .client = admitted->client, .sequence = admitted->sequence};
    world->place_count++;
    ORD_ASSERT(world->place_count < WORLD_PLACES / 2);
    ORD_ASSERT(world->batch_size + 4 + envelope.size + 64 <= WORLD_BATCH_BYTES_MAX);
    ord_store_u32(world->batch + world->batch_size, (uint32_t) envelope.size);
    memcpy(world->batch + world->batch_size + 4, envelope.data, envelope.size);
    world->batch_size += 4 + envelope.size;
    world->batch_count++;
    ORD_ASSERT(!world->held || world->batch_count < CHANNEL_BATCH_ENVELOPES_MAX + 1);
    if (world->batch_count == CHANNEL_BATCH_ENVELOPES_MAX)
        world_order(world);
    return ORDAIN__V1__STATUS__ACCEPTED;
}

/* Makes the receipt of envelope `index` of the block at `block_index`, malloc'ed, with the faults of this replica. */
uint8_t *world_receipt(struct world *world, size_t *size, const struct replica *replica, size_t block_index,
                       uint32_t index, bool with_envelope) {
    static struct ord_hash leaves[LEAVES_MAX];
    const struct ord_crypto_ops ops = hash_ops();
    struct stored_block *block = &world->blocks[block_index];
    struct channel_receipt receipt = {.header = block->header, .envelope_index = index};
    struct ord_span left = ord_span_of(block->data, block->size);
    struct ord_span envelope;
    for (uint32_t i = 0; with_envelope && i <= index; i++) {
        WORLD_OK(channel_batch_next(&envelope, &left));
        receipt.envelope = envelope;
    }
    uint32_t count = block->header.envelope_count;
    memcpy(leaves, block->leaves, count * sizeof(*leaves));
    receipt.leaf = leaves[index];
    size_t path_size = 0;
    ord_merkle_path(&ops, receipt.path, &path_size, leaves, count, index);
    receipt.path_size = (uint32_t) path_size;
    receipt.certificate = block->certificate;
    uint8_t *later = NULL;
    if (replica->fault.certifies_rarely) {
        size_t later_count = world->block_count - block_index - 1;
        later = malloc(later_count * CHANNEL_HEADER_SIZE + 1);
        ORD_ASSERT(later != NULL);
        for (size_t i = 0; i < later_count; i++)
            channel_header_encode(later + i * CHANNEL_HEADER_SIZE, &world->blocks[block_index + 1 + i].header);
        receipt.later_header_count = (uint32_t) later_count;
        receipt.later_headers = ord_span_of(later, later_count * CHANNEL_HEADER_SIZE);
        receipt.certificate = world->blocks[world->block_count - 1].certificate;
    }
    if (replica->fault.forges_certificates) {
        struct ord_hash hash;
        receipt.header.last_seq++; /* a block that does not exist */
        channel_header_hash(&receipt.certificate.statement.header_hash, &receipt.header);
        receipt.certificate.statement.seq++;
        for (uint32_t i = 0; i < receipt.certificate.count; i++) {
            channel_statement_hash(&hash, &world->genesis_hash, &receipt.certificate.statement, i);
            WORLD_OK(crypto_sign(&receipt.certificate.signatures[i], &replica->key, &hash));
        }
    }
    if (replica->fault.forges_receipts)
        receipt.leaf.bytes[3] ^= 1;
    size_t capacity = channel_receipt_size(&receipt);
    uint8_t *bytes = malloc(capacity);
    ORD_ASSERT(bytes != NULL);
    struct ord_writer writer = ord_writer_of(bytes, capacity);
    WORLD_OK(channel_receipt_encode(&writer, &receipt));
    *size = writer.size;
    free(later);
    return bytes;
}

/* Finds the place of a client's envelope. */
static bool locate(struct world *world, size_t *block_index, uint32_t *index, struct ord_span client,
                   uint64_t sequence) {
    struct ord_hash fingerprint;
    if (client.size != ORD_HASH_SIZE)
        return false;
    memcpy(fingerprint.bytes, client.data, ORD_HASH_SIZE);
    const struct place *place = place_of(world, &fingerprint, sequence);
    *block_index = place->block_index;
    *index = place->index;
    return place->used && place->ordered;
}

/* Makes the receipt for client and sequence as this replica gives it, with its faults. NULL: there is none. */
uint8_t *world_receipt_for(struct world *world, size_t *size, const struct replica *replica, struct ord_span client,
                           uint64_t sequence, bool with_envelope) {
    size_t block_index = 0;
    uint32_t index = 0;
    if (replica->fault.drops)
        return NULL;
    if (replica->fault.other_receipts && world->block_count > 0)
        return world_receipt(world, size, replica, 0, 0, with_envelope);
    if (!locate(world, &block_index, &index, client, sequence))
        return NULL;
    return world_receipt(world, size, replica, block_index, index, with_envelope);
}
