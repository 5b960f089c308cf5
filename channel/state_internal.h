/*
 * What struct channel holds, for the files that work on it: state.c, judge.c, execute.c, transfer.c, restore.c. Private to
 * channel/.
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
    /* Executed completely. Less than head_last_seq: a transfer is under way, and only blocks and the tail may follow. */
    uint64_t applied_seq;
    uint64_t bytes_since_point; /* of batches, since the last point of attestation */
    bool broken;                /* a half executed block or batch: nothing may follow */
    struct channel_cutter cutter;
    struct channel_table table;
};

/* What stands in front of an envelope's execution. */
struct channel_verdict {
    uint32_t client_index;          /* UINT32_MAX: a registration */
    struct channel_client newcomer; /* only for a registration */
};

/* channel_judge, with what a registration would bring. `out` is complete on ORD_OK and NO_SPACE. */
ORD_MUST_USE enum ord_err channel_consider(const struct channel *channel, struct channel_verdict *out,
                                           const struct channel_envelope *envelope);

enum channel_fate { CHANNEL_FATE_ACCEPT, CHANNEL_FATE_DUPLICATE, CHANNEL_FATE_REFUSE };

/* An ordered envelope, judged but not executed. */
struct channel_ordered {
    enum channel_fate fate;
    struct channel_envelope envelope; /* not when it is refused */
    struct channel_verdict verdict;   /* likewise */
};

/*
 * Judges ordered bytes against the state as it is now. An error (NO_MEMORY) says that this replica could not tell, and must not
 * go on: it would differ from the others.
 */
ORD_MUST_USE enum ord_err channel_ordered_judge(const struct channel *channel, struct channel_ordered *out,
                                                struct ord_span bytes);
/* Executes an accepted one on the client table; fills client_index and sequence of its entry. */
void channel_ordered_commit(struct channel *channel, struct channel_entry *entry, const struct channel_ordered *ordered,
                            uint64_t seq);

/* The state digest that the head and the configuration give with these two. */
void channel_digest_of(const struct channel *channel, struct ord_hash *out, const struct ord_hash *clients_root,
                       const struct ord_hash *open_digest);

#endif
