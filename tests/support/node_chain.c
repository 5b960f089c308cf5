#include "tests/support/node_chain.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test_main.h"

void node_chain_plan(struct node_world *world) {
    world->plan.config.max_message_count = 2;
    world->plan.config.window = 8;
    world->plan.config.checkpoint_interval = 4;
}

static enum ord_err take_block(void *context, const struct channel_block *block) {
    struct node_chain *chain = context;
    uint8_t *bytes = malloc(CHANNEL_HEADER_SIZE + block->data.size);
    assert_non_null(bytes);
    channel_header_encode(bytes, &block->header);
    memcpy(bytes + CHANNEL_HEADER_SIZE, block->data.data, block->data.size);
    assert_int_equal(block->header.height, ++chain->count);
    chain->blocks[chain->count] = ord_span_of(bytes, CHANNEL_HEADER_SIZE + block->data.size);
    return ORD_OK;
}

/* Makes the three others' certificate of the chain's present state. */
static void certify(struct node_chain *chain, struct channel_certificate *out, uint64_t seq) {
    *out = (struct channel_certificate) {.statement = {.epoch = chain->world->replica->setup.core_config.epoch,
                                                       .seq = seq,
                                                       .height = channel_height(chain->channel),
                                                       .header_hash = *channel_head_hash(chain->channel)}};
    channel_state_digest(chain->channel, &out->statement.state_digest);
    for (uint32_t id = 0; id < chain->world->plan.config.replica_count; id++) {
        struct channel_attestation attestation;
        if (id == chain->world->self)
            continue;
        node_world_attest(chain->world, &attestation, id, &out->statement);
        out->signers[out->count] = id;
        out->signatures[out->count++] = attestation.signature;
    }
}

static void apply(struct node_chain *chain, uint64_t seq, uint64_t first, uint32_t count) {
    const struct channel_sink sink = {.context = chain, .block = take_block};
    struct ord_span envelopes[2] = {{0}};
    struct channel_applied applied;
    for (uint32_t i = 0; i < count; i++)
        envelopes[i] = node_world_envelope(chain->world, first + i, chain->transaction_size);
    struct ord_span batch = node_world_batch(envelopes, count, 0);
    assert_ok(channel_apply(chain->channel, &applied, seq, 0, batch, &sink));
    assert_int_equal(applied.accepted, count);
    free((void *) (uintptr_t) batch.data);
    for (uint32_t i = 0; i < count; i++)
        free((void *) (uintptr_t) envelopes[i].data);
}

void node_chain_make(struct node_chain *chain, struct node_world *world, uint32_t count, size_t transaction_size) {
    memset(chain, 0, sizeof(*chain));
    assert_true(count <= NODE_CHAIN_BLOCKS_MAX && (count + 1) % 4 == 0);
    chain->world = world;
    chain->transaction_size = transaction_size;
    size_t size = channel_memory_size(world->node->channel_config);
    chain->memory = malloc(size);
    assert_non_null(chain->memory);
    assert_ok(
        channel_init(&chain->channel, chain->memory, size, world->node->channel_config, &world->node->genesis_hash));
    for (uint32_t i = 1; i <= count; i++) {
        /* The first envelope is the registration. */
        apply(chain, i, 2 * ((uint64_t) i - 1), 2);
        certify(chain, &chain->certificates[i], i);
    }
    apply(chain, (uint64_t) count + 1, 2 * (uint64_t) count, 1);
    certify(chain, &chain->target, (uint64_t) count + 1);
    channel_clients_root(chain->channel, &chain->clients_root);
    struct channel_open_block open;
    channel_open(chain->channel, &open);
    chain->tail = open.data;
}

void node_chain_free(struct node_chain *chain) {
    for (uint32_t i = 1; i <= chain->count; i++)
        free((void *) (uintptr_t) chain->blocks[i].data);
    free(chain->memory);
}

struct ord_span node_chain_piece(const struct node_chain *chain, uint64_t from, uint64_t to) {
    size_t size = 8 + 4 + 4 + 4 + CHANNEL_CERTIFICATE_SIZE_MAX;
    uint8_t certificate[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t certificate_size = channel_certificate_encode(certificate, &chain->certificates[to]);
    for (uint64_t i = from; i <= to; i++)
        size += 4 + chain->blocks[i].size;
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    struct ord_writer writer = ord_writer_of(bytes, size);
    ord_write_u64(&writer, from);
    ord_write_u32(&writer, (uint32_t) (to - from + 1));
    for (uint64_t i = from; i <= to; i++)
        ord_write_string(&writer, chain->blocks[i]);
    ord_write_u32(&writer, 0);
    ord_write_string(&writer, ord_span_of(certificate, certificate_size));
    assert_false(writer.failed);
    return ord_writer_span(&writer);
}

void node_chain_announce(const struct node_chain *chain) {
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    ord_node_id from = node_world_other(chain->world, 0);
    size_t size = channel_certificate_encode(bytes, &chain->target);
    node_world_send(chain->world, from, REPLICA_LINK_CERTIFICATE, ord_span_of(bytes, size));
    node_world_until_idle(chain->world, from);
    assert_true(chain->world->replica->sync.active);
}

ord_node_id node_chain_asked(const struct node_chain *chain, struct ord_span *request) {
    static uint8_t copy[64];
    ord_node_id asked = ORD_NO_NODE;
    for (uint32_t id = 0; id < chain->world->plan.config.replica_count; id++) {
        struct ord_span bytes;
        if (id == chain->world->self)
            continue;
        size_t count = node_world_queued(chain->world, &bytes, id, REPLICA_LINK_SYNC_REQUEST);
        assert_true(count <= 1 && (count == 0 || asked == ORD_NO_NODE)); /* one at a time */
        if (count == 0)
            continue;
        asked = id;
        assert_true(bytes.size <= sizeof(copy));
        memcpy(copy, bytes.data, bytes.size);
        if (request != NULL)
            *request = ord_span_of(copy, bytes.size);
    }
    node_world_forget_queued(chain->world);
    return asked;
}

void node_chain_send_piece(const struct node_chain *chain, ord_node_id source, uint64_t from, uint64_t to) {
    struct ord_span piece = node_chain_piece(chain, from, to);
    node_world_send(chain->world, source, REPLICA_LINK_SYNC_BLOCKS, piece);
    free((void *) (uintptr_t) piece.data);
}

void node_chain_send_tail(const struct node_chain *chain, ord_node_id source, bool found) {
    uint8_t bytes[4096];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    ord_write_u64(&writer, chain->target.statement.seq);
    ord_write_u8(&writer, found);
    ord_write_hash(&writer, &chain->clients_root);
    channel_progress_write(&writer, &chain->world->plan.config, channel_progress(chain->channel));
    ord_write_string(&writer, found ? chain->tail : ord_span_of(NULL, 0));
    assert_false(writer.failed);
    node_world_send(chain->world, source, REPLICA_LINK_SYNC_TAIL, ord_writer_span(&writer));
}
