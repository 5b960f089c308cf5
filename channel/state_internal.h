/*
 * The contents of struct channel, for the files that work on it: state.c, judge.c, execute.c, transfer.c, restore.c.
 * Private to channel/.
 */
#ifndef ORDAIN_CHANNEL_STATE_INTERNAL_H
#define ORDAIN_CHANNEL_STATE_INTERNAL_H

#include "channel/client_table.h"
#include "channel/cutter.h"
#include "channel/state.h"

struct channel {
    struct channel_config config;
    struct ord_hash config_hash;
    struct ord_hash genesis_hash;
    uint64_t config_height;
    uint64_t head_height;
    struct ord_hash head_hash;
    uint64_t head_last_seq;
    /* All seqs up to this one are executed completely. If it is less than head_last_seq, a transfer is under way, and
     * only blocks and the tail may follow. */
    uint64_t applied_seq;
    /* It follows from the ordered batches alone, and is part of the state digest. */
    struct channel_progress progress;
    /* A block or batch was executed only in part, so nothing may follow. */
    bool broken;
    struct channel_cutter cutter;
    struct channel_table table;
    /*
     * Certificates that verified here, each in the slot of its fingerprint. It is no part of the state: it only spares
     * the work of computing a pure function again.
     */
    struct channel_newcomer *newcomers;
};

/* The data that executing an envelope needs besides the envelope itself. */
struct channel_verdict {
    uint32_t client_index; /* UINT32_MAX: the envelope is a registration */
    /* The client that a registration would add. */
    struct channel_newcomer newcomer;
    /* The client is registered already. */
    bool again;
    /* The certificate was not known and had to be verified. */
    bool verified;
};

/*
 * Judges an envelope as channel_judge does, certificate included. `out` is complete on ORD_OK. FORBIDDEN: the
 * certificate is not acceptable. NO_MEMORY: this machine could not verify it.
 */
ORD_MUST_USE enum ord_err channel_consider(const struct channel *channel, struct channel_verdict *out,
                                           const struct channel_envelope *envelope);

enum channel_fate { CHANNEL_FATE_ACCEPT, CHANNEL_FATE_DUPLICATE, CHANNEL_FATE_REFUSE };

/* An ordered envelope that is judged but not executed yet. */
struct channel_ordered {
    enum channel_fate fate;
    /* Both are set unless the fate is CHANNEL_FATE_REFUSE. */
    struct channel_envelope envelope;
    struct channel_verdict verdict;
};

/*
 * Judges an ordered envelope against the present state. NO_MEMORY: this replica could not judge it. It must stop then,
 * because otherwise its state might differ from the others'.
 */
ORD_MUST_USE enum ord_err channel_ordered_judge(const struct channel *channel, struct channel_ordered *out,
                                                struct ord_span bytes);
/* Executes an accepted envelope on the client table. Sets client_index and sequence of its entry. */
void channel_ordered_commit(struct channel *channel, struct channel_entry *entry, const struct channel_ordered *ordered,
                            uint64_t seq);

/* Computes the state digest from our head and configuration and from these values. */
void channel_digest_of(const struct channel *channel, struct ord_hash *out, const struct ord_hash *clients_root,
                       const struct ord_hash *open_digest, const struct channel_progress *progress);

#endif
