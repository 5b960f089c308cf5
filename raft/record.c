/*
 * Codec of the records (raft/record.h).
 */
#include "raft/record.h"

#include <string.h>

#include "raft/message.h"

void raft_hard_encode(struct ord_writer *writer, uint64_t epoch, const struct raft_hard *hard) {
    ord_write_u64(writer, epoch);
    ord_write_u64(writer, hard->term);
    ord_write_u32(writer, hard->vote);
    ord_write_u8(writer, (uint8_t) ((hard->silent ? 1 : 0) | (hard->spent ? 2 : 0) | (hard->halted ? 4 : 0)));
    ord_write_u64(writer, hard->bound_term);
    ord_write_u64(writer, hard->end_term);
    ord_write_u64(writer, hard->end_seq);
}

enum ord_err raft_hard_decode(struct raft_hard *out, uint64_t epoch, uint32_t replica_count, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    bool valid = ord_read_u64(&reader) == epoch;
    out->term = ord_read_u64(&reader);
    out->vote = ord_read_u32(&reader);
    uint8_t flags = ord_read_u8(&reader);
    out->silent = (flags & 1) != 0;
    out->spent = (flags & 2) != 0;
    out->halted = (flags & 4) != 0;
    out->bound_term = ord_read_u64(&reader);
    out->end_term = ord_read_u64(&reader);
    out->end_seq = ord_read_u64(&reader);
    valid = valid && flags < 8 && (out->vote < replica_count || out->vote == ORD_NO_NODE);
    return valid && ord_reader_finish(&reader) == ORD_OK ? ORD_OK : ORD_ERR_CORRUPT;
}

void raft_bindings_encode(struct ord_writer *writer, uint64_t epoch, uint32_t replica_count,
                          const struct raft_bindings *bindings) {
    ord_write_u64(writer, epoch);
    ord_write_u8(writer, (uint8_t) replica_count);
    for (uint32_t i = 0; i < replica_count; i++) {
        ord_write_u64(writer, bindings->of[i].granted_term);
        ord_write_u64(writer, bindings->of[i].stood_term);
        ord_write_u64(writer, bindings->of[i].acked_term);
        ord_write_u64(writer, bindings->of[i].acked_seq);
    }
}

enum ord_err raft_bindings_decode(struct raft_bindings *out, uint64_t epoch, uint32_t replica_count,
                                  struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    bool valid = ord_read_u64(&reader) == epoch && ord_read_u8(&reader) == replica_count;
    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < replica_count && valid; i++) {
        out->of[i].granted_term = ord_read_u64(&reader);
        out->of[i].stood_term = ord_read_u64(&reader);
        out->of[i].acked_term = ord_read_u64(&reader);
        out->of[i].acked_seq = ord_read_u64(&reader);
    }
    return valid && ord_reader_finish(&reader) == ORD_OK ? ORD_OK : ORD_ERR_CORRUPT;
}

void raft_point_encode(struct ord_writer *writer, uint64_t epoch, uint64_t seq, uint64_t term,
                       struct ord_span certificate) {
    ord_write_u64(writer, epoch);
    ord_write_u64(writer, seq);
    ord_write_u64(writer, term);
    ord_write_string(writer, certificate);
}

enum ord_err raft_point_decode(uint64_t *seq, uint64_t *term, struct ord_span *certificate, uint64_t epoch,
                               size_t certificate_size_max, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    bool valid = ord_read_u64(&reader) == epoch;
    *seq = ord_read_u64(&reader);
    *term = ord_read_u64(&reader);
    *certificate = ord_read_string(&reader, certificate_size_max);
    valid = valid && *seq > 0 && *seq <= RAFT_NUMBER_MAX && *term > 0 && *term <= RAFT_NUMBER_MAX;
    return valid && ord_reader_finish(&reader) == ORD_OK ? ORD_OK : ORD_ERR_CORRUPT;
}

enum ord_err raft_entry_decode(uint64_t *term, struct ord_span *batch, uint64_t epoch, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    bool valid = ord_read_u64(&reader) == epoch;
    *term = ord_read_u64(&reader);
    *batch = ord_read_span(&reader, ord_reader_left(&reader));
    return valid && *term > 0 && ord_reader_finish(&reader) == ORD_OK ? ORD_OK : ORD_ERR_CORRUPT;
}
