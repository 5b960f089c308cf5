/*
 * Codec of Raft's messages, and the door: raft_authenticate has no state, so a pool of threads may run it.
 */
#include "raft/message.h"

#include <string.h>

#include "raft/marks.h"
#include "raft/raft.h"

static void write_flags(struct ord_writer *writer, bool a, bool b) {
    ord_write_u8(writer, (uint8_t) ((a ? 1 : 0) | (b ? 2 : 0)));
}

static bool read_flags(struct ord_reader *reader, bool *a, bool *b) {
    uint8_t flags = ord_read_u8(reader);
    *a = (flags & 1) != 0;
    *b = (flags & 2) != 0;
    return flags < 4;
}

static void encode_append(struct ord_writer *writer, const struct raft_message *message) {
    ord_write_u64(writer, message->seq);
    ord_write_u64(writer, message->seq_term);
    ord_write_u64(writer, message->commit_seq);
    ord_write_u64(writer, message->own_seq);
    write_flags(writer, message->has_entry, false);
    ord_write_u64(writer, message->entry_term);
    ord_write_u32(writer, (uint32_t) message->body.size);
}

static void encode_append_answer(struct ord_writer *writer, const struct raft_message *message) {
    write_flags(writer, message->rejected, message->silent);
    ord_write_u64(writer, message->seq);
    ord_write_u64(writer, message->hint_seq);
    ord_write_u64(writer, message->seq_term);
    ord_write_u64(writer, message->life);
}

static void encode_recall(struct ord_writer *writer, const struct raft_message *message) {
    ord_write_u64(writer, message->life);
    write_flags(writer, message->silent, message->empty);
    ord_write_u64(writer, message->granted_term);
    ord_write_u64(writer, message->stood_term);
    ord_write_u64(writer, message->acked_term);
    ord_write_u64(writer, message->acked_seq);
    ord_write_u64(writer, message->seq);
    ord_write_u64(writer, message->seq_term);
}

void raft_message_encode(struct ord_writer *writer, const struct ord_core_config *config,
                         const struct raft_message *message) {
    ord_write_u8(writer, (uint8_t) message->type);
    ord_write_u64(writer, ord_load_u64(config->genesis_hash.bytes));
    ord_write_u64(writer, config->epoch);
    ord_write_u64(writer, message->term);
    ord_write_u32(writer, message->sender);
    switch (message->type) {
    case RAFT_VOTE_REQUEST:
        write_flags(writer, message->pre, message->transfer);
        ord_write_u64(writer, message->seq);
        ord_write_u64(writer, message->seq_term);
        ord_write_u64(writer, message->life);
        break;
    case RAFT_VOTE_ANSWER:
        write_flags(writer, message->pre, message->granted);
        ord_write_u64(writer, message->asked_term);
        ord_write_u64(writer, message->asked_life);
        ord_write_u64(writer, message->life);
        break;
    case RAFT_APPEND:
        encode_append(writer, message);
        break;
    case RAFT_APPEND_ANSWER:
        encode_append_answer(writer, message);
        break;
    case RAFT_SNAPSHOT:
        ord_write_u64(writer, message->seq);
        ord_write_u64(writer, message->seq_term);
        ord_write_u32(writer, (uint32_t) message->body.size);
        break;
    case RAFT_TIMEOUT_NOW:
        break;
    case RAFT_ASK:
        ord_write_u64(writer, message->life);
        break;
    case RAFT_RECALL:
        encode_recall(writer, message);
        break;
    }
}

static bool decode_append(struct raft_message *out, struct ord_reader *reader, const struct ord_core_config *config) {
    bool unused;
    out->seq = ord_read_u64(reader);
    out->seq_term = ord_read_u64(reader);
    out->commit_seq = ord_read_u64(reader);
    out->own_seq = ord_read_u64(reader);
    bool valid = read_flags(reader, &out->has_entry, &unused) && !unused;
    out->entry_term = ord_read_u64(reader);
    out->body = ord_read_string(reader, config->batch_bytes_max);
    valid = valid && out->own_seq <= out->commit_seq;
    if (!out->has_entry)
        return valid && out->entry_term == 0 && out->body.size == 0;
    return valid && out->entry_term >= 1 && out->entry_term >= out->seq_term && out->entry_term <= out->term;
}

static bool decode_append_answer(struct raft_message *out, struct ord_reader *reader) {
    bool valid = read_flags(reader, &out->rejected, &out->silent);
    out->seq = ord_read_u64(reader);
    out->hint_seq = ord_read_u64(reader);
    out->seq_term = ord_read_u64(reader);
    out->life = ord_read_u64(reader);
    if (!out->rejected)
        return valid && out->hint_seq == 0 && out->seq_term == 0;
    return valid && out->hint_seq < out->seq;
}

static bool decode_recall(struct raft_message *out, struct ord_reader *reader) {
    out->life = ord_read_u64(reader);
    bool valid = read_flags(reader, &out->silent, &out->empty);
    out->granted_term = ord_read_u64(reader);
    out->stood_term = ord_read_u64(reader);
    out->acked_term = ord_read_u64(reader);
    out->acked_seq = ord_read_u64(reader);
    out->seq = ord_read_u64(reader);
    out->seq_term = ord_read_u64(reader);
    return valid && out->granted_term <= out->term && out->stood_term <= out->term && out->acked_term <= out->term &&
           out->acked_seq <= RAFT_NUMBER_MAX;
}

static bool decode_fields(struct raft_message *out, struct ord_reader *reader, const struct ord_core_config *config) {
    bool valid = true;
    switch (out->type) {
    case RAFT_VOTE_REQUEST:
        valid = read_flags(reader, &out->pre, &out->transfer);
        out->seq = ord_read_u64(reader);
        out->seq_term = ord_read_u64(reader);
        out->life = ord_read_u64(reader);
        return valid && out->term >= 1 && out->seq_term < out->term;
    case RAFT_VOTE_ANSWER:
        valid = read_flags(reader, &out->pre, &out->granted);
        out->asked_term = ord_read_u64(reader);
        out->asked_life = ord_read_u64(reader);
        out->life = ord_read_u64(reader);
        return valid;
    case RAFT_APPEND:
        return decode_append(out, reader, config);
    case RAFT_APPEND_ANSWER:
        return decode_append_answer(out, reader);
    case RAFT_SNAPSHOT:
        out->seq = ord_read_u64(reader);
        out->seq_term = ord_read_u64(reader);
        out->body = ord_read_string(reader, raft_options_of(config)->checkpoints.size_max);
        return out->seq >= 1 && out->seq_term >= 1 && out->body.size >= 1;
    case RAFT_TIMEOUT_NOW:
        return true;
    case RAFT_ASK:
        out->life = ord_read_u64(reader);
        return true;
    case RAFT_RECALL:
        return decode_recall(out, reader);
    }
    return false;
}

enum ord_err raft_message_decode(struct raft_message *out, const struct ord_core_config *config,
                                 struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    memset(out, 0, sizeof(*out));
    uint8_t type = ord_read_u8(&reader);
    uint64_t network = ord_read_u64(&reader);
    uint64_t epoch = ord_read_u64(&reader);
    out->term = ord_read_u64(&reader);
    out->sender = ord_read_u32(&reader);
    if (reader.failed || type < RAFT_VOTE_REQUEST || type > RAFT_RECALL)
        return ORD_ERR_INVALID;
    out->type = (enum raft_type) type;
    if (network != ord_load_u64(config->genesis_hash.bytes) || epoch != config->epoch)
        return ORD_ERR_MISMATCH;
    bool valid = decode_fields(out, &reader, config) && out->sender < config->replica_count &&
                 out->term <= RAFT_NUMBER_MAX && out->seq <= RAFT_NUMBER_MAX && out->seq_term <= out->term;
    /* Only seq 0 has term 0. An APPEND_ANSWER has the term of its hint instead. */
    uint64_t seq = out->type == RAFT_APPEND_ANSWER && out->rejected ? out->hint_seq : out->seq;
    if (out->type != RAFT_APPEND_ANSWER || out->rejected)
        valid = valid && (seq == 0) == (out->seq_term == 0);
    return valid ? ord_reader_finish(&reader) : ORD_ERR_INVALID;
}

enum ord_err raft_authenticate(struct ord_verified *out, const struct ord_core_config *config, ord_node_id from,
                               struct ord_span bytes) {
    struct raft_message message;
    enum ord_err err = raft_message_decode(&message, config, bytes);
    if (err != ORD_OK)
        return err;
    if (message.sender != from || from == config->self) {
        ORD_MARK(RAFT_DOOR_OTHER_SENDER);
        return ORD_ERR_FORBIDDEN;
    }
    if (message.type == RAFT_SNAPSHOT) {
        const struct ord_checkpoint_ops *checkpoints = &raft_options_of(config)->checkpoints;
        uint64_t seq;
        err = checkpoints->verify(checkpoints->context, &seq, message.body);
        if (err != ORD_OK || seq != message.seq) {
            ORD_MARK(RAFT_DOOR_OTHER_POINT);
            return err != ORD_OK ? err : ORD_ERR_MISMATCH;
        }
    }
    *out = (struct ord_verified) {.from = from, .bytes = bytes, .type = (uint8_t) message.type};
    return ORD_OK;
}

size_t raft_message_size_max(const struct ord_core_config *config) {
    return ord_max(RAFT_APPEND_SIZE + (size_t) config->batch_bytes_max,
                   RAFT_SNAPSHOT_SIZE + raft_options_of(config)->checkpoints.size_max);
}

uint32_t raft_cost(struct ord_span bytes) {
    /* A certificate has at most one signature for each replica. */
    return bytes.size > 0 && bytes.data[0] == RAFT_SNAPSHOT ? (uint32_t) (1 + bytes.size / ORD_SIGNATURE_SIZE) : 0;
}

/* Where an APPEND says whether it has an entry. */
enum { APPEND_FLAGS_AT = RAFT_HEADER_SIZE + 32 };
_Static_assert(APPEND_FLAGS_AT < ORD_BULK_LOOK_SIZE, "raft_bulk may see no more");

bool raft_bulk(struct ord_span bytes) {
    return bytes.size > APPEND_FLAGS_AT && bytes.data[0] == RAFT_APPEND && bytes.data[APPEND_FLAGS_AT] != 0;
}
