/*
 * Decided batches, executed into the channel, and the channel's state in the store.
 */
#ifndef ORDAIN_REPLICA_EXECUTE_H
#define ORDAIN_REPLICA_EXECUTE_H

#include "channel/state.h"
#include "core/protocol.h"

struct replica;

struct execute {
    struct channel *channel;
    void *memory;
    size_t memory_size;
    uint8_t *record_buffer; /* RECORD_OPEN_SIZE(max_message_count) */
    /* The channel's state changed, and is to be written in this turn. */
    bool state_changed;
    /* The contents of the next APPLIED: everything executed since the last one. */
    bool applied_due;
    uint32_t executed;
    uint64_t executed_bytes;
    uint32_t waits;
    uint64_t wait_sum_ms;
    /* The last seq in which an envelope was executed or a block closed; 0: none since the start. */
    uint64_t useful_seq;
    /*
     * The channel's height, and the number of envelopes in its open block, after the last executed batch or transfer.
     * `known` is false before the first of these.
     */
    bool known;
    uint64_t known_height;
    uint32_t known_count;
    uint64_t executing_seq;
    /* Bytes of the envelopes in blocks that the batch under way closed. */
    uint64_t closed_bytes;
    /* The open block, and when it was opened. Its timeout counts from then. */
    uint64_t open_height;
    uint64_t open_since_ms;
    /*
     * The part of the open block that state transfer brought. It stands in no log of this replica. Height 0: there is
     * none.
     */
    uint64_t tail_height;
};

ORD_MUST_USE enum ord_err execute_init(struct replica *replica);
void execute_deinit(struct replica *replica);
void execute_batch(struct replica *replica, uint64_t seq, uint64_t term, struct ord_span batch);
/* The channel calls it with each block that closes. `context` is the replica. */
enum ord_err execute_block(void *context, const struct channel_block *block);
/* Gives the next APPLIED, if something was executed. */
bool execute_next(struct replica *replica, struct ord_event *out);
/*
 * A transfer has ended. Returns whether the channel's state is still that of the last executed batch or transfer, apart
 * from its seq.
 */
bool execute_synced(struct replica *replica);
/* Replicas whose turn to lead is passed over, as the executed state has it. */
ord_replica_set execute_passes(const struct replica *replica);
/* To be called after the channel executed. Notes when the open block was opened. */
void execute_note_open(struct replica *replica);
/* Puts the channel's state into the store, beside the blocks, if it changed. */
void execute_write_state(struct replica *replica);

#endif
