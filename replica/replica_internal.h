/*
 * A replica is made of its parts. Each part has a header of its own with its struct and calls. For the files of
 * replica/, and for tests.
 *
 *   turn.c       the turn, from its inputs to its commit; replica.c: making one; report.c: log and end, for all parts
 *   agree/       core.c: a look at the core; effects.c: its steps and effects; execute.c: decided batches into the
 *                channel; judge.c: proposed batches; messages.c: the core's messages before and after their check
 *   intake/      admission.c, large.c, pool.c, shares.c, verified.c: envelopes that come in; forward.c, propose.c:
 *                where they go; pace.c: how fast they are ordered
 *   finality/    attest.c: attestations and stable checkpoints; certified.c: what readers may have; accuse.c: evidence
 *   transfer/    sync.c, sources.c, pieces.c: catching up; serve.c: as a source; recover.c: state from disk
 */
#ifndef ORDAIN_REPLICA_REPLICA_INTERNAL_H
#define ORDAIN_REPLICA_REPLICA_INTERNAL_H

#include "bft/bft.h"
#include "channel/checkpoint.h"
#include "raft/raft.h"
#include "replica/agree/effects.h"
#include "replica/agree/execute.h"
#include "replica/agree/judge.h"
#include "replica/agree/messages.h"
#include "replica/finality/accuse.h"
#include "replica/finality/attest.h"
#include "replica/intake/admission.h"
#include "replica/intake/forward.h"
#include "replica/intake/large.h"
#include "replica/intake/pace.h"
#include "replica/intake/pool.h"
#include "replica/intake/propose.h"
#include "replica/intake/verified.h"
#include "replica/replica.h"
#include "replica/transfer/sync.h"
#include "replica/turn.h"

/* What the host's options make of a replica. Constant once made. */
struct setup {
    struct replica_options options;
    const struct ord_protocol *protocol;
    /* The context in which a protocol's options check certificates. */
    struct channel_checkpoints checkpoints;
    /* The protocol's own, to which core_config.options points. */
    struct bft_options bft;
    struct raft_options raft;
    struct ord_core_config core_config;
};

/* `out` must not move. INVALID: the configuration's protocol cannot run it. */
ORD_MUST_USE enum ord_err setup_init(struct setup *out, const struct replica_options *options);

struct replica {
    struct setup setup;
    struct replica_counters counters;
    struct turn turn;
    struct agree agree;
    struct execute execute;
    struct judge judge;
    struct account accounts[ORD_REPLICA_MAX]; /* by sender */
    struct shares checks; /* envelopes whose signatures are being checked for admission, by source */
    /* The same for registrations, in which certificates have to be verified. */
    struct shares newcomers;
    /* A forward of this replica had a bad signature or certificate. Its forwards are ignored until then. */
    uint64_t forwards_ignored_until_ms[ORD_REPLICA_MAX];
    struct large large;
    struct verified verified;
    struct pool pool;
    struct pace pace;
    struct forward forward;
    struct propose propose;
    struct attest attest;
    struct certified certified;
    struct accusations accusations;
    struct sync sync;
    struct serve serve;
    /* Scratch of forward.c, and the batch at hand of propose.c; batch_bytes_max bytes. */
    uint8_t *batch_buffer;
};

static inline const struct channel_config *replica_config(const struct replica *replica) {
    return replica->setup.options.config;
}

static inline const struct replica_host *replica_host(const struct replica *replica) {
    return &replica->setup.options.host;
}

static inline const struct replica_store *replica_store(const struct replica *replica) {
    return &replica->setup.options.host.store;
}

static inline ord_node_id replica_self(const struct replica *replica) {
    return replica->setup.options.self;
}

/* Sends to each of the set at once. The message must not depend on anything that this turn makes durable. */
static inline void replica_send(struct replica *replica, ord_replica_set to, enum replica_link kind,
                                const struct ord_span *parts, size_t part_count) {
    replica_host(replica)->send(replica_host(replica)->context, 0, to, kind, parts, part_count);
}

/* Something was put that others are told of, or that was executed. The turn's commit must not wait. */
static inline void replica_urgent(struct replica *replica) {
    replica->turn.urgent = true;
}

/* True if the turn has written so much that the rest has to wait for the next turn, which comes at once. */
bool turn_full(struct replica *replica);
void replica_log(struct replica *replica, enum replica_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Writes the first half of a hash in hex, for a log line. Returns `out`. */
const char *replica_log_hash(char out[17], const struct ord_hash *hash);
/* Makes the replica end, and logs why, once. Nothing is committed and nothing leaves after that. */
void replica_fail(struct replica *replica, enum ord_err err, const char *what);
/* Ends the replica if `err` is an error of the store. ORD_OK does nothing. */
void replica_need(struct replica *replica, enum ord_err err, const char *what);
/* Puts a small record. An empty value deletes it. */
void replica_put_meta(struct replica *replica, const char *name, struct ord_span value, const char *what);
/*
 * `err` is the result of reading something of the block at `height`. CORRUPT is counted, and its 1st, 2nd, 4th ...
 * occurrence is logged.
 */
void replica_note_damage(struct replica *replica, const char *what, uint64_t height, enum ord_err err);

/* ---- state from the store: transfer/recover.c ---- */

/* Recovers the channel as of the newest whole turn. Begins a store that is empty. `why` gets a sentence. */
ORD_MUST_USE enum ord_err recover_channel(struct replica *replica, char *why, size_t why_size);
/*
 * Recovers evidence, certificates and points, and makes the core's START, which the caller steps. Then free(*records).
 */
ORD_MUST_USE enum ord_err recover_core(struct replica *replica, struct ord_event *start, struct ord_record **records,
                                       char *why, size_t why_size);
/* Recovers what depends on the started core. */
ORD_MUST_USE enum ord_err recover_finish(struct replica *replica, size_t record_count, char *why, size_t why_size);
/* Writes "ledger: WHAT: ERROR", and what helps. Returns CORRUPT for NOT_FOUND, else `err`. */
enum ord_err recover_failed(char *why, size_t why_size, const char *what, enum ord_err err);

#endif
