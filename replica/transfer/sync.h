/*
 * State transfer: what both sides agree on (docs/protocol.md), the asker's side, and the source's.
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
    /* Limit of the bytes of blocks in a piece. A single block may exceed it. */
    SYNC_PIECE_BYTES_MAX = 1 << 20,
    SYNC_LATER_HEADERS_MAX = 4096,
    /* Room for a piece's lengths and counts, and for a block's header. */
    SYNC_PIECE_SLACK = 1024,
};

struct sync {
    bool active;
    /* Blocks were taken and the tail was not yet: the core must not deliver now. */
    bool between;
    /* The target; its certificate has a weak quorum at least. */
    struct channel_certificate target;
    ord_node_id source;
    bool asked;
    /* A piece was taken. When it is durable, `source` is asked for what comes next. */
    bool go_on;
    uint64_t asked_ms;
    uint64_t started_ms;
    /* How many sources in a row had nothing for us. */
    uint32_t missing;
    /* What was executed here when sync_tick last looked, and when that changed. */
    uint64_t applied_seq;
    uint64_t applied_ms;
    struct ord_hash *leaves; /* scratch of block checks */
    size_t leaf_max;
    /* The tail was taken, and the core has to be told. */
    bool synced;
    /* The seq that is stable then, and its certificate. Size 0: none. */
    uint64_t told_seq;
    size_t told_size;
    uint8_t told[CHANNEL_CERTIFICATE_SIZE_MAX];
};

ORD_MUST_USE enum ord_err sync_init(struct replica *replica);
void sync_deinit(struct replica *replica);
/* This replica is behind. Begins a transfer to the best target (sync.c), if that is at or above `seq`. */
void sync_wanted(struct replica *replica, uint64_t seq);
void sync_tick(struct replica *replica);
/* To be called after a commit. Goes on after a piece that was taken. */
void sync_ask(struct replica *replica);
/*
 * True if this message is the answer that the transfer waits for. Then the core's gathered votes are to be decided
 * first.
 */
bool sync_expects(const struct replica *replica, const struct replica_input *input);
void sync_blocks_received(struct replica *replica, ord_node_id from, struct ord_span bytes);
void sync_tail_received(struct replica *replica, ord_node_id from, struct ord_span bytes);
/* Gives the next SYNCED, if a transfer has ended. */
bool sync_next(struct replica *replica, struct ord_event *out);

/* ---- the source's side: serve.c ---- */

struct serve {
    /* The bytes that each asker got in this second. */
    uint64_t bytes[ORD_REPLICA_MAX];
    uint64_t second_ms; /* when the second began */
};

void serve_request(struct replica *replica, ord_node_id from, struct ord_span bytes);

#endif
