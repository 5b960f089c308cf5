/*
 * State transfer as the one that asks, and what both sides agree on (docs/protocol.md).
 */
#ifndef ORDAIN_REPLICA_SYNC_H
#define ORDAIN_REPLICA_SYNC_H

#include "channel/attestation.h"
#include "core/protocol.h"
#include "replica/host.h"

enum {
    SYNC_BLOCKS = 1,
    SYNC_TAIL = 2,
    SYNC_PIECE_HEADER_SIZE = 8 + 4,
    SYNC_PIECE_BYTES_MAX = 1 << 20, /* of blocks in a piece, but always one block */
    SYNC_LATER_HEADERS_MAX = 4096,
    SYNC_PIECE_SLACK = 1024, /* its lengths, counts and a block's header */
};

struct sync {
    bool active;
    bool between;                      /* blocks were taken, the tail not yet: the core must not deliver now */
    struct channel_certificate target; /* where to; strong quorum */
    ord_node_id source;
    bool asked;
    bool go_on; /* a piece was taken: `source` is asked for what comes next when the piece is durable */
    uint64_t asked_ms;
    uint64_t started_ms;
    struct ord_hash *leaves; /* scratch of block checks */
    size_t leaf_max;
    bool synced;                                /* the tail was taken, and the core has to be told */
    uint8_t told[CHANNEL_CERTIFICATE_SIZE_MAX]; /* the certificate in that SYNCED */
};

ORD_MUST_USE enum ord_err sync_init(struct replica *replica);
void sync_deinit(struct replica *replica);
/* The core is behind: begins a transfer to the newest stable checkpoint, if that is at or above `seq`. */
void sync_wanted(struct replica *replica, uint64_t seq);
void sync_tick(struct replica *replica);
/* After a commit: goes on where a piece was taken. */
void sync_ask(struct replica *replica);
/* Whether this message is an answer that is waited for. Then what the core has gathered is to be decided first. */
bool sync_expects(const struct replica *replica, const struct replica_input *input);
void sync_blocks_received(struct replica *replica, ord_node_id from, struct ord_span bytes);
void sync_tail_received(struct replica *replica, ord_node_id from, struct ord_span bytes);
/* The next SYNCED, if a transfer has come to its end. */
bool sync_next(struct replica *replica, struct ord_event *out);

#endif
