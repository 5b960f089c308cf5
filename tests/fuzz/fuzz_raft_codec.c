/*
 * Passes bytes to Raft's `authenticate` as a message, to the decoders of its records, and to START as the records of a
 * disk. What is accepted has one encoding: encoding it again must give the same bytes. START takes a disk or says
 * CORRUPT, and asserts nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "raft/raft_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CERTIFICATE_MAX = 24, RECORDS_MAX = 64 };

/* Accepts every certificate of 8 bytes or more. It begins with the point's seq. */
static enum ord_err believe_point(const void *context, uint64_t *seq, struct ord_span certificate) {
    (void) context;
    if (certificate.size < 8)
        return ORD_ERR_INVALID;
    *seq = ord_load_u64(certificate.data);
    return ORD_OK;
}

static const struct raft_options options = {.election_ms_min = 300,
                                            .election_ms_max = 600,
                                            .heartbeat_ms = 60,
                                            .in_flight_max = 2,
                                            .in_flight_size = 256,
                                            .checkpoints = {.size_max = CERTIFICATE_MAX, .verify = believe_point}};

/* Network, epoch and sender become those of the channel, and the type one that exists. */
static void mend_header(uint8_t *bytes, size_t size, ord_node_id sender) {
    if (size < RAFT_HEADER_SIZE)
        return;
    bytes[0] = (uint8_t) (1 + bytes[0] % RAFT_RECALL);
    memset(bytes + 1, 0, 8 + 8 + 7); /* seven bytes of the term, too */
    ord_store_u32(bytes + RAFT_HEADER_SIZE - 4, sender);
}

static void message_again(const struct ord_core_config *config, struct ord_span bytes) {
    uint8_t again[RAFT_APPEND_SIZE + 256];
    struct raft_message message;
    ORD_ASSERT(raft_message_decode(&message, config, bytes) == ORD_OK);
    ORD_ASSERT(message.term <= RAFT_NUMBER_MAX && message.seq <= RAFT_NUMBER_MAX &&
               message.own_seq <= message.commit_seq);
    ORD_ASSERT((message.body.size == 0 || message.has_entry || message.type == RAFT_SNAPSHOT) &&
               message.body.size <= ord_max(config->batch_bytes_max, CERTIFICATE_MAX));
    struct ord_writer writer = ord_writer_of(again, sizeof(again));
    raft_message_encode(&writer, config, &message);
    ord_write_span(&writer, message.body);
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK && ord_span_equal(ord_writer_span(&writer), bytes));
    ORD_ASSERT(bytes.size <= raft_message_size_max(config) && raft_bulk(bytes) == message.has_entry);
    ORD_ASSERT((raft_cost(bytes) > 0) == (message.type == RAFT_SNAPSHOT));
}

static void records_again(const struct ord_core_config *config, struct ord_span bytes) {
    uint8_t again[RAFT_BINDINGS_SIZE_MAX];
    struct ord_writer writer = ord_writer_of(again, sizeof(again));
    struct raft_hard hard;
    struct raft_bindings bindings;
    struct ord_span span;
    uint64_t seq;
    uint64_t term;
    if (raft_hard_decode(&hard, config->epoch, config->replica_count, bytes) == ORD_OK) {
        raft_hard_encode(&writer, config->epoch, &hard);
        ORD_ASSERT(ord_span_equal(ord_writer_span(&writer), bytes));
    }
    writer.size = 0;
    if (raft_bindings_decode(&bindings, config->epoch, config->replica_count, bytes) == ORD_OK) {
        raft_bindings_encode(&writer, config->epoch, config->replica_count, &bindings);
        ORD_ASSERT(ord_span_equal(ord_writer_span(&writer), bytes));
    }
    writer.size = 0;
    if (raft_point_decode(&seq, &term, &span, config->epoch, CERTIFICATE_MAX, bytes) == ORD_OK) {
        raft_point_encode(&writer, config->epoch, seq, term, span);
        ORD_ASSERT(ord_span_equal(ord_writer_span(&writer), bytes));
    }
    if (raft_entry_decode(&term, &span, config->epoch, bytes) == ORD_OK) {
        struct ord_span batch;
        ORD_ASSERT(term > 0 && raft_protocol.body_of_record(&batch, bytes) == ORD_OK);
        ORD_ASSERT(batch.size == span.size && (batch.size == 0 || batch.data == span.data));
    }
}

/* Record after record: a byte for the table, one for the key, one for the size, and bytes. Mended: the epoch fits. */
static size_t read_disk(struct ord_record records[RECORDS_MAX], uint8_t *bytes, size_t size, bool mend) {
    size_t count = 0;
    for (size_t at = 0; at + 3 <= size && count < RECORDS_MAX; count++) {
        uint8_t *head = bytes + at;
        size_t record_size = ord_min(head[2], size - at - 3);
        if (mend && record_size >= 8)
            memset(head + 3, 0, 8);
        records[count] = (struct ord_record) {(uint8_t) (mend ? 1 + head[0] % 4 : head[0]), head[1],
                                              ord_span_of(head + 3, record_size)};
        at += 3 + record_size;
    }
    return count;
}

static void start(const struct ord_core_config *config, uint8_t *bytes, size_t size, bool mend) {
    struct ord_record records[RECORDS_MAX];
    size_t count = read_disk(records, bytes, size, mend);
    size_t memory_size = raft_protocol.memory_size(config);
    void *memory = malloc(memory_size);
    ORD_ASSERT(memory != NULL);
    memset(memory, 0xa5, memory_size); /* the core must not rely on zeros */
    struct ord_core *core;
    ORD_ASSERT(raft_protocol.init(&core, memory, memory_size, config, NULL, 7) == ORD_OK);
    const struct ord_event event = {
        .type = ORD_EVENT_START,
        .now_ms = 1,
        .turn = 1,
        .start = {.records = records, .record_count = count, .applied_seq = size == 0 ? 0 : bytes[size - 1] % 16}};
    struct ord_effects effects;
    enum ord_err err = raft_protocol.step(core, &effects, &event);
    ORD_ASSERT(err == ORD_OK || (err == ORD_ERR_CORRUPT && effects.count == 0));
    if (err == ORD_OK) {
        struct ord_status status;
        raft_protocol.status(core, &status);
        ORD_ASSERT(status.stable_seq <= status.delivered_seq && status.delivered_seq <= status.proposed_seq);
        ORD_ASSERT(!status.leading && status.body_bytes <= config->body_bytes_max);
        ORD_ASSERT(status.asking == (config->replica_count > 1));
    }
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ord_core_config config = {.self = 0,
                                     .replica_count = 3,
                                     .window = 8,
                                     .checkpoint_interval = 4,
                                     .batch_bytes_max = 64,
                                     .body_bytes_max = 256,
                                     .retransmit_ms = 50,
                                     .options = &options};
    if (size < 1)
        return 0;
    /* Copy the bytes to memory of exactly their size, so that AddressSanitizer sees a read past the end. */
    uint8_t *bytes = malloc(ord_max(size - 1, 1));
    ORD_ASSERT(bytes != NULL);
    memcpy(bytes, data + 1, size - 1);
    struct ord_span span = ord_span_of(bytes, size - 1);
    const ord_node_id from = data[0] % 4;
    const bool mend = data[0] >= 128;
    if (data[0] / 4 % 2 == 0) {
        if (mend)
            mend_header(bytes, span.size, from);
        struct ord_verified verified;
        if (raft_authenticate(&verified, &config, from, span) == ORD_OK) {
            ORD_ASSERT(verified.from == from && from != config.self && from < config.replica_count);
            message_again(&config, span);
        }
    } else {
        config.replica_count = data[0] / 8 % 2 == 0 ? 3 : 1;
        if (mend && data[0] / 16 % 2 == 0 && span.size >= 8)
            memset(bytes, 0, 8); /* the epoch */
        records_again(&config, span);
        start(&config, bytes, span.size, mend);
    }
    free(bytes);
    return 0;
}
