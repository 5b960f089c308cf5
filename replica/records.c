/*
 * Codecs of the replica's small records.
 */
#include "replica/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/assert.h"
#include "core/codec.h"

void record_replica_encode(uint8_t out[RECORD_REPLICA_SIZE], ord_node_id replica) {
    ord_store_u32(out, replica);
}

enum ord_err record_replica_decode(ord_node_id *replica, struct ord_span bytes) {
    if (bytes.size != RECORD_REPLICA_SIZE)
        return ORD_ERR_CORRUPT;
    *replica = ord_load_u32(bytes.data);
    return ORD_OK;
}

size_t record_applied_encode(uint8_t out[RECORD_APPLIED_MAX], const struct channel_config *config, uint64_t seq,
                             const struct channel_progress *progress) {
    struct ord_writer writer = ord_writer_of(out, RECORD_APPLIED_MAX);
    ord_write_u64(&writer, seq);
    channel_progress_write(&writer, config, progress);
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK);
    return writer.size;
}

enum ord_err record_applied_decode(uint64_t *seq, struct channel_progress *progress,
                                   const struct channel_config *config, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    *seq = ord_read_u64(&reader);
    if (channel_progress_read(progress, config, &reader) != ORD_OK || ord_reader_finish(&reader) != ORD_OK)
        return ORD_ERR_CORRUPT;
    return ORD_OK;
}

size_t record_open_encode(uint8_t *out, const struct channel_open_block *open) {
    struct ord_writer writer = ord_writer_of(out, RECORD_OPEN_SIZE(open->envelope_count));
    ord_write_u64(&writer, open->height);
    ord_write_u32(&writer, open->envelope_count);
    for (uint32_t i = 0; i < open->envelope_count; i++) {
        ord_write_u32(&writer, open->entries[i].client_index);
        ord_write_u32(&writer, open->entries[i].batch_index);
        ord_write_u64(&writer, open->entries[i].sequence);
        ord_write_u64(&writer, open->entries[i].seq);
    }
    return writer.size;
}

enum ord_err record_open_decode(struct record_open *out, struct ord_span bytes) {
    enum ord_err err = record_tail_decode(out, bytes);
    return err == ORD_OK && out->rest.size != (size_t) out->count * RECORD_OPEN_ENTRY ? ORD_ERR_CORRUPT : err;
}

void record_open_entry(const struct record_open *record, struct channel_entry *out, uint32_t index) {
    const uint8_t *bytes = record->rest.data + (size_t) index * RECORD_OPEN_ENTRY;
    out->client_index = ord_load_u32(bytes);
    out->batch_index = ord_load_u32(bytes + 4);
    out->sequence = ord_load_u64(bytes + 8);
    out->seq = ord_load_u64(bytes + 16);
}

void record_tail_encode(uint8_t *out, uint64_t height, uint32_t count, struct ord_span data) {
    ord_store_u64(out, height);
    ord_store_u32(out + 8, count);
    if (data.size > 0)
        memcpy(out + RECORD_TAIL_HEADER, data.data, data.size);
}

enum ord_err record_tail_decode(struct record_open *out, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    out->height = ord_read_u64(&reader);
    out->count = ord_read_u32(&reader);
    out->rest = ord_read_span(&reader, ord_reader_left(&reader));
    return ord_reader_finish(&reader) == ORD_OK ? ORD_OK : ORD_ERR_CORRUPT;
}

static void read_statement(struct channel_statement *out, struct ord_reader *reader) {
    out->epoch = ord_read_u64(reader);
    out->seq = ord_read_u64(reader);
    out->height = ord_read_u64(reader);
    ord_read_hash(reader, &out->header_hash);
    ord_read_hash(reader, &out->state_digest);
}

void record_statement_encode(uint8_t out[RECORD_STATEMENT_SIZE], const struct channel_statement *statement) {
    struct ord_writer writer = ord_writer_of(out, RECORD_STATEMENT_SIZE);
    ord_write_u64(&writer, statement->epoch);
    ord_write_u64(&writer, statement->seq);
    ord_write_u64(&writer, statement->height);
    ord_write_hash(&writer, &statement->header_hash);
    ord_write_hash(&writer, &statement->state_digest);
}

enum ord_err record_statement_decode(struct channel_statement *out, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    read_statement(out, &reader);
    return ord_reader_finish(&reader) == ORD_OK ? ORD_OK : ORD_ERR_CORRUPT;
}

uint32_t record_point_slots(uint32_t window) {
    ORD_ASSERT(window < RECORD_POINT_SLOTS_MAX);
    return window + 1;
}

void record_point_name(char out[RECORD_POINT_NAME_SIZE], uint32_t slot) {
    ORD_ASSERT(slot < RECORD_POINT_SLOTS_MAX);
    snprintf(out, RECORD_POINT_NAME_SIZE, "point.%05" PRIu32, slot);
}

size_t record_point_encode(uint8_t out[RECORD_POINT_MAX], const struct channel_config *config,
                           const struct attest_point *point) {
    record_statement_encode(out, &point->statement);
    struct ord_writer writer = ord_writer_of(out + RECORD_STATEMENT_SIZE, RECORD_POINT_MAX - RECORD_STATEMENT_SIZE);
    ord_write_u64(&writer, point->tail_size);
    ord_write_hash(&writer, &point->clients_root);
    channel_progress_write(&writer, config, &point->progress);
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK);
    return RECORD_STATEMENT_SIZE + writer.size;
}

enum ord_err record_point_decode(struct attest_point *out, const struct channel_config *config, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    read_statement(&out->statement, &reader);
    out->tail_size = ord_read_u64(&reader);
    ord_read_hash(&reader, &out->clients_root);
    if (channel_progress_read(&out->progress, config, &reader) != ORD_OK)
        return ORD_ERR_CORRUPT;
    return ord_reader_finish(&reader) == ORD_OK && out->statement.seq > 0 ? ORD_OK : ORD_ERR_CORRUPT;
}

/* In a large channel each replica gets fewer slots, so that one liar cannot use up those of the others. */
uint32_t record_evidence_slots(uint32_t replica_count) {
    ORD_ASSERT(replica_count >= 1 && replica_count <= ORD_REPLICA_MAX);
    uint32_t share = RECORD_EVIDENCE_TOTAL / replica_count;
    return share < RECORD_EVIDENCE_SLOTS ? share : RECORD_EVIDENCE_SLOTS;
}

void record_evidence_name(char out[RECORD_EVIDENCE_SIZE], ord_node_id culprit, uint32_t slot) {
    ORD_ASSERT(culprit < ORD_REPLICA_MAX && slot < RECORD_EVIDENCE_SLOTS);
    snprintf(out, RECORD_EVIDENCE_SIZE, "evidence.%02" PRIu32 ".%02" PRIu32, culprit, slot);
}
