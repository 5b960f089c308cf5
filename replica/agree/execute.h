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
    bool state_changed;     /* the channel's state is to be written with this turn */
    /* What the next APPLIED tells of: everything executed since the last one. */
    bool applied_due;
    uint32_t executed;
    uint32_t waits;
    uint64_t wait_sum_ms;
    uint64_t useful_seq; /* last seq in which an envelope was executed or a block closed; 0: none since the start */
    uint64_t executing_seq;
    /* Since when a block is open, which its timeout counts from. */
    uint64_t open_height;
    uint64_t open_since_ms;
    /* The part of the open block that state transfer brought, which stands in no log of ours; height 0: none. */
    uint64_t tail_height;
    uint32_t tail_count;
};

ORD_MUST_USE enum ord_err execute_init(struct replica *replica);
void execute_deinit(struct replica *replica);
void execute_batch(struct replica *replica, uint64_t seq, struct ord_span batch);
/* Gets each closed block while the channel executes. `context` is the replica. */
enum ord_err execute_block(void *context, const struct channel_block *block);
/* The next APPLIED, if something was executed. */
bool execute_next(struct replica *replica, struct ord_event *out);
/* After the channel executed: notes since when a block is open. */
void execute_note_open(struct replica *replica);
/* Puts the channel's state beside the blocks, if it changed. */
void execute_write_state(struct replica *replica);

#endif
