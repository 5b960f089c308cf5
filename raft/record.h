/*
 * Records that a Raft core keeps on disk. Each begins with the epoch as u64; decoders answer CORRUPT for another epoch
 * and for anything that this code does not write.
 *
 *     table 1, key seq  entry: epoch | term u64 | batch
 *     table 2, key 1    hard state: epoch | term | vote u32 | flags u8 | bound_term | end_term | end_seq
 *     table 3, key 1    bindings: epoch | count u8 | count times (granted_term | stood_term | acked_term | acked_seq)
 *     table 4, key 1    snapshot point: epoch | seq | term | certificate with u32 length
 */
#ifndef ORDAIN_RAFT_RECORD_H
#define ORDAIN_RAFT_RECORD_H

#include "core/codec.h"
#include "core/protocol.h"

enum raft_table { RAFT_TABLE_LOG = 1, RAFT_TABLE_HARD, RAFT_TABLE_BINDINGS, RAFT_TABLE_POINT };

#define RAFT_ENTRY_HEAD_SIZE   16
#define RAFT_HARD_SIZE         45
#define RAFT_BINDINGS_SIZE_MAX (9 + ORD_REPLICA_MAX * 32)
#define RAFT_POINT_HEAD_SIZE   28 /* without the certificate */

/* Term and vote (section 3.4), and the silence of rule 12. Durable before anything is said that follows from it. */
struct raft_hard {
    uint64_t term;
    ord_node_id vote; /* in `term`; ORD_NO_NODE: nobody yet */
    bool spent;       /* in `term` this replica may have voted before it forgot: it gives no vote */
    bool silent;
    bool halted; /* a leader wanted to cut what is committed here: for good */
    /*
     * While silent: enters bound_term or a later term when it has its answers, and speaks again when its durable log
     * then ends at (end_term, end_seq) or later.
     */
    uint64_t bound_term;
    uint64_t end_term;
    uint64_t end_seq;
};

/* What this replica has used of what others told it, or has told them. It binds them, not this one. */
struct raft_binding {
    uint64_t granted_term; /* highest term in which the other granted its vote, and this replica led */
    uint64_t stood_term;   /* highest term in which the other stood for election, and this replica granted its vote */
    /* The last committed entry that the other acknowledged, and it was counted; or that it held itself as a leader. */
    uint64_t acked_term;
    uint64_t acked_seq;
};

struct raft_bindings {
    struct raft_binding of[ORD_REPLICA_MAX];
};

/* What was said in the last LEADER effect. */
struct raft_told {
    uint64_t term;
    ord_node_id leader;
    bool any;
};

void raft_hard_encode(struct ord_writer *writer, uint64_t epoch, const struct raft_hard *hard);
ORD_MUST_USE enum ord_err raft_hard_decode(struct raft_hard *out, uint64_t epoch, uint32_t replica_count,
                                           struct ord_span bytes);
void raft_bindings_encode(struct ord_writer *writer, uint64_t epoch, uint32_t replica_count,
                          const struct raft_bindings *bindings);
ORD_MUST_USE enum ord_err raft_bindings_decode(struct raft_bindings *out, uint64_t epoch, uint32_t replica_count,
                                               struct ord_span bytes);
void raft_point_encode(struct ord_writer *writer, uint64_t epoch, uint64_t seq, uint64_t term,
                       struct ord_span certificate);
/* `certificate` borrows `bytes`. */
ORD_MUST_USE enum ord_err raft_point_decode(uint64_t *seq, uint64_t *term, struct ord_span *certificate, uint64_t epoch,
                                            size_t certificate_size_max, struct ord_span bytes);
/* `batch` borrows `bytes`. */
ORD_MUST_USE enum ord_err raft_entry_decode(uint64_t *term, struct ord_span *batch, uint64_t epoch,
                                            struct ord_span bytes);

#endif
