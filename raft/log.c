/*
 * The log in memory: section 3.5, and 5.1 for its base. Records lie in a ring, each in one piece, so that they can be
 * persisted and sent from where they are. A record that does not fit behind the newest one goes to the ring's begin.
 */
#include "raft/raft_internal.h"

#include <string.h>

#include "core/assert.h"

enum { NULL_BATCHES_LEAST = 1024 };

/* The log has room for a window of proposals, and for null batches of leaders that could commit nothing. */
uint32_t raft_slot_count(const struct ord_core_config *config) {
    return config->window + (uint32_t) ord_max(config->window, NULL_BATCHES_LEAST);
}

/*
 * Two records more than the bytes that are to fit. With both ends of the log apart, one record's size may be wasted at
 * the ring's end; in one piece, one of the two gaps is large enough.
 */
size_t raft_ring_size(const struct ord_core_config *config) {
    size_t record = (size_t) config->batch_bytes_max + RAFT_ENTRY_HEAD_SIZE;
    return (size_t) config->body_bytes_max + (size_t) raft_slot_count(config) * RAFT_ENTRY_HEAD_SIZE + 2 * record + 1;
}

void raft_log_init(struct raft_log *log, struct raft_entry *entries, uint32_t slot_count, uint8_t *ring,
                   size_t ring_size, uint64_t bytes_max) {
    *log = (struct raft_log) {
        .entries = entries, .slot_count = slot_count, .ring = ring, .ring_size = ring_size, .bytes_max = bytes_max};
}

static struct raft_entry *entry_at(const struct raft_log *log, uint64_t seq) {
    ORD_ASSERT(seq > log->base_seq && seq <= log->last_seq);
    return &log->entries[seq % log->slot_count];
}

bool raft_log_has_room(const struct raft_log *log, size_t batch_size) {
    return log->last_seq - log->base_seq < log->slot_count && log->bytes + batch_size <= log->bytes_max;
}

/* Where a record of this size goes. */
static size_t place(const struct raft_log *log, size_t size) {
    if (log->last_seq == log->base_seq)
        return 0;
    const struct raft_entry *first = entry_at(log, log->base_seq + 1);
    const struct raft_entry *last = entry_at(log, log->last_seq);
    size_t end = last->offset + last->size;
    bool wrapped = last->offset < first->offset;
    size_t limit = wrapped ? first->offset : log->ring_size;
    if (limit - end >= size)
        return end;
    ORD_ASSERT(!wrapped && first->offset >= size);
    return 0;
}

struct ord_span raft_log_add(struct raft_log *log, uint64_t epoch, uint64_t term, uint64_t turn,
                             struct ord_span batch) {
    ORD_ASSERT(raft_log_has_room(log, batch.size) && term >= raft_log_last_term(log));
    size_t size = RAFT_ENTRY_HEAD_SIZE + batch.size;
    size_t offset = place(log, size);
    log->last_seq++;
    log->bytes += batch.size;
    *entry_at(log, log->last_seq) = (struct raft_entry) {.term = term, .turn = turn, .offset = offset, .size = size};
    uint8_t *record = log->ring + offset;
    ord_store_u64(record, epoch);
    ord_store_u64(record + 8, term);
    if (batch.size > 0)
        memcpy(record + RAFT_ENTRY_HEAD_SIZE, batch.data, batch.size);
    return ord_span_of(record, size);
}

uint64_t raft_log_term(const struct raft_log *log, uint64_t seq) {
    return seq == log->base_seq ? log->base_term : entry_at(log, seq)->term;
}

uint64_t raft_log_last_term(const struct raft_log *log) {
    return raft_log_term(log, log->last_seq);
}

struct ord_span raft_log_batch(const struct raft_log *log, uint64_t seq) {
    const struct raft_entry *entry = entry_at(log, seq);
    return ord_span_of(log->ring + entry->offset + RAFT_ENTRY_HEAD_SIZE, entry->size - RAFT_ENTRY_HEAD_SIZE);
}

void raft_log_cut(struct raft_log *log, uint64_t seq) {
    ORD_ASSERT(seq >= log->base_seq && seq <= log->last_seq);
    for (; log->last_seq > seq; log->last_seq--)
        log->bytes -= raft_log_batch(log, log->last_seq).size;
    /* What comes in the place of a cut entry is durable only when its own turn is (row R17). */
    log->durable_seq = ord_min(log->durable_seq, seq);
    log->kept_seq = ord_min(log->kept_seq, seq);
}

void raft_log_rebase(struct raft_log *log, uint64_t turn, uint64_t seq, uint64_t term) {
    ORD_ASSERT(seq >= log->base_seq);
    log->base_turn = turn;
    for (uint64_t s = log->base_seq + 1; s <= seq && s <= log->last_seq; s++)
        log->bytes -= raft_log_batch(log, s).size;
    log->base_seq = seq;
    log->base_term = term;
    log->last_seq = ord_max(log->last_seq, seq);
    log->durable_seq = ord_max(log->durable_seq, seq);
}

void raft_log_persisted(struct raft_log *log, uint64_t turn) {
    while (log->durable_seq < log->last_seq && entry_at(log, log->durable_seq + 1)->turn <= turn)
        log->durable_seq++;
    /* What is committed may become the base before it is durable here. */
    if (log->base_turn <= turn)
        log->kept_seq = log->durable_seq;
}

bool raft_up_to_date(uint64_t a_term, uint64_t a_seq, uint64_t b_term, uint64_t b_seq) {
    return a_term != b_term ? a_term > b_term : a_seq >= b_seq;
}
