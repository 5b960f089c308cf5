/*
 * State transfer: what both sides agree on (docs/protocol.md), the asker's side (sync.c, pieces.c, sources.c), and the
 * source's (serve.c).
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
    /* The bytes of answers that one asker gets from one source in a second, at most. */
    SYNC_QUOTA_BYTES_PER_S = 32 << 20,
    /* The least that a request counts, however little it brings. */
    SYNC_REQUEST_BYTES_MIN = 64 << 10,
    /* Limit of the ranges that are asked for or wait to be taken. */
    SYNC_RANGES_MAX = 16,
    /* The bytes of their pieces that wait to be taken. One more piece may come, and a single block may be larger. */
    SYNC_RANGES_BYTES_MAX = 16 << 20,
    /* Limit of the certificates that wait for their blocks. */
    SYNC_CERTIFICATES_MAX = 16,
};

/* What is asked for: a range of blocks, or the tail of the target. */
struct sync_want {
    uint8_t kind; /* SYNC_BLOCKS or SYNC_TAIL */
    uint64_t first;
    uint64_t last; /* SYNC_TAIL: the target's height */
    uint64_t seq;
    /* The sources whose answers are waited for, and when the newest of them was asked. */
    ord_replica_set asked;
    uint64_t asked_ms;
    /* A source had nothing. Nobody else is asked before the next tick. */
    bool held;
    /* A source did not answer in time. */
    bool late;
    /* SYNC_BLOCKS: the piece that was checked, malloc'ed. NULL: it has not come. */
    uint8_t *piece;
    size_t size;
};

/* ---- what is known of each source: sources.c ---- */

struct sync_source {
    /* A request is under way; its range begins at `first`, or it asks for the tail at seq `first`. */
    bool asked;
    /* The request under way tries a source out that is not measured, or that has rested. */
    bool trial;
    uint8_t kind;
    uint64_t first;
    uint64_t asked_ms; /* of the newest request; 0: it was never asked */
    /* How long its answer is waited for. */
    uint64_t patience_ms;
    /* Measured bytes a second while it was asked; 0: not measured. */
    uint64_t rate;
    /* Its last answer was missing, or did not come in time. */
    bool failed;
    /* For how long it rested when it had nothing last; 0: something has changed for it since. */
    uint64_t missing_ms;
    /* The highest seq that it attested since this replica began. */
    uint64_t attested_seq;
    /* Not asked before this time: it has served its quota, or has nothing. */
    uint64_t free_ms;
    /* It gave something that does not verify. It is asked before this time only if nobody else is there. */
    uint64_t barred_ms;
};

struct sync {
    bool active;
    /* Blocks were taken and the tail was not yet: the core must not deliver now. */
    bool between;
    /* The target; its certificate has a weak quorum at least. */
    struct channel_certificate target;
    struct sync_source sources[ORD_REPLICA_MAX];
    /* The source that was chosen last. */
    ord_node_id newest_source;
    /* Ranges that follow one another; the first begins above the own height. */
    struct sync_want ranges[SYNC_RANGES_MAX];
    uint32_t range_count;
    /* Certificates of pieces that were taken, each of a later block: sorted by height, all above the own one. */
    struct channel_certificate certificates[SYNC_CERTIFICATES_MAX];
    uint32_t certificate_count;
    struct sync_want tail; /* kind 0: not wanted */
    /* Mean size of the blocks that came; 0: not known. */
    uint64_t block_bytes;
    /* How often a newer target was followed behind the old one's blocks. */
    uint32_t chases;
    /* When something is due before the next tick; UINT64_MAX: nothing is. */
    uint64_t due_ms;
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
/* Asks whoever is to be asked now. To be called after a commit, and when sync_due_ms is over. */
void sync_ask(struct replica *replica);
uint64_t sync_due_ms(const struct replica *replica);
/*
 * True if this message is the tail that the transfer waits for. Then the core's gathered votes are to be decided first.
 */
bool sync_expects(const struct replica *replica, const struct replica_input *input);
void sync_blocks_received(struct replica *replica, ord_node_id from, struct ord_span bytes);
void sync_tail_received(struct replica *replica, ord_node_id from, struct ord_span bytes);
/* True if the piece above the own height has come, and this turn may take it. The core's votes are decided first. */
bool sync_piece_waits(const struct replica *replica);
/* Takes that piece: its blocks are in the chain then. */
void sync_take_piece(struct replica *replica);
/* Gives the next SYNCED, if a transfer has ended. */
bool sync_next(struct replica *replica, struct ord_event *out);

/* ---- sources.c ---- */

/*
 * Chooses whom to ask for `want`. `first`: the transfer waits for this one. ORD_NO_NODE: nobody for the moment.
 */
ord_node_id sync_source_choose(const struct replica *replica, const struct sync_want *want, bool first, bool *trial);
/* How long an answer to `want` may take before another source is asked as well. */
uint64_t sync_source_wait_ms(const struct replica *replica, const struct sync_want *want);
void sync_source_ask(struct replica *replica, ord_node_id id, struct sync_want *want, bool trial);
/* The source has answered, with `size` bytes. The answer verified; `whole`: it is all that was asked for. */
void sync_source_served(struct replica *replica, ord_node_id id, size_t size, bool whole);
/* The source has answered what another one had answered before. That can only lower its rate. */
void sync_source_was_late(struct replica *replica, ord_node_id id, size_t size);
void sync_source_missing(struct replica *replica, ord_node_id id);
/* Something changed: a source that had nothing may have it now. It is asked again like one that had nothing once. */
void sync_source_renew(struct replica *replica, ord_node_id id);
/* The source says that it has executed `seq`. That is news if it is higher than before. */
void sync_source_attested(struct replica *replica, ord_node_id id, uint64_t seq);
void sync_source_lied(struct replica *replica, ord_node_id id);
/* True if the source's answer is overdue; then it is no longer waited for. */
bool sync_source_overdue(struct replica *replica, ord_node_id id);
/* When the source's state next changes by time alone; UINT64_MAX: never. */
uint64_t sync_source_due_ms(const struct replica *replica, ord_node_id id);

/* ---- pieces.c ---- */

/* Plans ranges behind those that are planned, as far as the target and the bounds allow. */
void sync_ranges_plan(struct replica *replica);
/* The height up to which ranges are planned, or the own height. */
uint64_t sync_ranges_end(const struct replica *replica);
void sync_ranges_clear(struct replica *replica);
/* The range that begins at `first`, if its piece has not come; NULL: there is none. */
struct sync_want *sync_ranges_find(struct replica *replica, uint64_t first);
/* Keeps a piece that answers `want` if it verifies. `whole`: it has all the blocks, or as many as a piece may have. */
ORD_MUST_USE enum ord_err sync_piece_keep(struct replica *replica, struct sync_want *want, struct ord_span bytes,
                                          bool *whole, const char **why);

/* ---- the source's side: serve.c ---- */

struct serve_asker {
    /* Its quota has paid for all that it got, from this time on. */
    uint64_t free_us;
    /* What it got in this turn, as its quota counts it. */
    uint64_t turn_bytes;
    /* Its newest request waits until that time is near. */
    bool waits;
    uint8_t want;
    uint64_t first;
    uint64_t height;
    uint64_t seq;
};

struct serve {
    struct serve_asker askers[ORD_REPLICA_MAX];
};

void serve_request(struct replica *replica, ord_node_id from, struct ord_span bytes);
/* Called once a turn. Answers the requests that have waited long enough. */
void serve_due(struct replica *replica);
/* The time by which that is to be called; UINT64_MAX: nothing waits. */
uint64_t serve_due_ms(const struct replica *replica);

#endif
