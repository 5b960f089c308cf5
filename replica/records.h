/*
 * The replica's own small records in the ledger (docs/formats.md, "Ledger").
 */
#ifndef ORDAIN_REPLICA_RECORDS_H
#define ORDAIN_REPLICA_RECORDS_H

#include "channel/attestation.h"
#include "channel/state.h"

/* The replica that this ledger belongs to: its index in the genesis block, u32. */
#define RECORD_REPLICA "replica"
/* The seq that the channel's state is at, u64, and the progress there. */
#define RECORD_APPLIED "applied"
/* The open block's entries: where each of its envelopes stands in the consensus log. */
#define RECORD_OPEN "open"
/* Envelopes of the open block that state transfer brought. They stand in no log of this replica. */
#define RECORD_TAIL "tail"
/* The newest certificate with a strong quorum whose checkpoint is executed here. */
#define RECORD_STABLE "stable"
/* The certificate of a state transfer's target. It matters only if a transfer was cut off. */
#define RECORD_TARGET "target"
/* The newest own statement. It is signed again after a restart. */
#define RECORD_STATEMENT "statement"

/*
 * Evidence: "evidence.CC.SS" is the SS-th piece against replica CC. Each replica has a limit, and there are at most 256
 * pieces in all.
 */
#define RECORD_EVIDENCE_SIZE  16
#define RECORD_EVIDENCE_SLOTS 16u
#define RECORD_EVIDENCE_TOTAL 256u
/* The number of slots for each replica in a channel of this many replicas. */
uint32_t record_evidence_slots(uint32_t replica_count);
/* culprit < ORD_REPLICA_MAX, slot < RECORD_EVIDENCE_SLOTS. */
void record_evidence_name(char out[RECORD_EVIDENCE_SIZE], ord_node_id culprit, uint32_t slot);

#define RECORD_REPLICA_SIZE   4
#define RECORD_APPLIED_MAX    (8 + CHANNEL_PROGRESS_SIZE_MAX)
#define RECORD_STATEMENT_SIZE CHANNEL_STATEMENT_SIZE
#define RECORD_OPEN_ENTRY     (4 + 4 + 8 + 8)
/* height u64, count u32, entries: client_index u32, batch_index u32, sequence u64, seq u64 */
#define RECORD_OPEN_SIZE(count) (12 + (size_t) (count) *RECORD_OPEN_ENTRY)

void record_replica_encode(uint8_t out[RECORD_REPLICA_SIZE], ord_node_id replica);
ORD_MUST_USE enum ord_err record_replica_decode(ord_node_id *replica, struct ord_span bytes);

/* Gives the encoded size. */
size_t record_applied_encode(uint8_t out[RECORD_APPLIED_MAX], const struct channel_config *config, uint64_t seq,
                             const struct channel_progress *progress);
ORD_MUST_USE enum ord_err record_applied_decode(uint64_t *seq, struct channel_progress *progress,
                                                const struct channel_config *config, struct ord_span bytes);

/* `out` has RECORD_OPEN_SIZE(open->envelope_count) bytes. */
size_t record_open_encode(uint8_t *out, const struct channel_open_block *open);

/* What the open block's entries and its tail have in common. */
struct record_open {
    uint64_t height;
    uint32_t count;
    struct ord_span rest; /* entries, or the envelopes of a tail */
};
ORD_MUST_USE enum ord_err record_open_decode(struct record_open *out, struct ord_span bytes);
/* index < count. */
void record_open_entry(const struct record_open *record, struct channel_entry *out, uint32_t index);

/* A tail: height u64, count of entries u32, then the envelopes as in block data. */
#define RECORD_TAIL_HEADER 12
void record_tail_encode(uint8_t *out, uint64_t height, uint32_t count, struct ord_span data);
ORD_MUST_USE enum ord_err record_tail_decode(struct record_open *out, struct ord_span bytes);

/*
 * An own statement, how large the open block was at its seq, and the rest of what others need to come to that state.
 * From then on, that part of the open block is a prefix of the next block's data.
 */
struct attest_point {
    struct channel_statement statement;
    uint64_t tail_size;
    struct ord_hash clients_root;
    struct channel_progress progress;
};

/*
 * "point.SSSSS" is the newest point whose seq modulo record_point_slots is SSSSS: the statement, the tail's size u64,
 * the root over the client table, and the progress.
 */
#define RECORD_POINT_NAME_SIZE 12
#define RECORD_POINT_MAX       (RECORD_STATEMENT_SIZE + 8 + ORD_HASH_SIZE + CHANNEL_PROGRESS_SIZE_MAX)
#define RECORD_POINT_SLOTS_MAX 65537u
/*
 * There are enough slots for the checkpoint where the core's log begins and for every seq that a window (<= 65536) lets
 * be executed after it.
 */
uint32_t record_point_slots(uint32_t window);
/* slot < RECORD_POINT_SLOTS_MAX. */
void record_point_name(char out[RECORD_POINT_NAME_SIZE], uint32_t slot);
/* Gives the encoded size. */
size_t record_point_encode(uint8_t out[RECORD_POINT_MAX], const struct channel_config *config,
                           const struct attest_point *point);
/* CORRUPT: also for seq 0, which has no point. */
ORD_MUST_USE enum ord_err record_point_decode(struct attest_point *out, const struct channel_config *config,
                                              struct ord_span bytes);

void record_statement_encode(uint8_t out[RECORD_STATEMENT_SIZE], const struct channel_statement *statement);
ORD_MUST_USE enum ord_err record_statement_decode(struct channel_statement *out, struct ord_span bytes);

#endif
