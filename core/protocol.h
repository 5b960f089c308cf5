/*
 * The consensus seam: one verb. A core is a state machine; an event goes in, effects come out, and the node carries
 * them out in order. The same config, seed and events give the same effects, byte for byte.
 *
 * Caveats first:
 * - A *turn* is any number of steps, the last of them a FLUSH. Turns are numbered from 1. What a turn asks to persist
 *   and to forget, and what its DELIVERs make of the ledger, becomes durable together or not at all. Turns become
 *   durable in their order; several may become durable at once.
 * - A SEND with `after_persist` leaves when its turn is durable. A SEND without it depends on nothing that its turn
 *   persists, and may leave at once.
 * - Steps of later turns may be taken while the commit of an earlier turn is still under way; PERSISTED tells which
 *   turns are durable. A core that counts its own vote before the turn that made it is PERSISTED must itself argue why
 *   that is safe.
 * - Effects, and every span in them, belong to the core until its next step, unless the effect says otherwise.
 * - A step that fails changes nothing.
 * - A core never asserts on what came from outside.
 */
#ifndef ORDAIN_CORE_PROTOCOL_H
#define ORDAIN_CORE_PROTOCOL_H

#include "core/crypto_ops.h"
#include "core/err.h"
#include "core/types.h"

struct ord_core; /* each protocol has its own */

/*
 * Proofs of stable checkpoints: certificates of a quorum of attestations, opaque to a core. `verify` gives the seq that
 * a certificate proves, if it proves one for this network and epoch; it must be callable from any thread. INVALID,
 * MISMATCH, BAD_SIGNATURE.
 */
struct ord_checkpoint_ops {
    const void *context;
    size_t size_max; /* of a certificate, in bytes */
    enum ord_err (*verify)(const void *context, uint64_t *seq, struct ord_span certificate);
};

struct ord_core_config {
    ord_node_id self;
    uint32_t replica_count; /* 1 .. ORD_REPLICA_MAX */
    uint64_t epoch;
    struct ord_hash genesis_hash;
    uint32_t window;              /* L: instances in flight, (stable, stable + L] */
    uint32_t checkpoint_interval; /* a seq that is a multiple of this is a point of attestation; <= window / 2 */
    uint32_t batch_bytes_max;     /* a batch's bytes, at most */
    uint64_t body_bytes_max;      /* bytes of batch bodies held in memory at once; >= 4 * batch_bytes_max */
    uint32_t retransmit_ms;       /* ask for what is missing when nothing moved for so long */
    const struct ord_crypto_ops *crypto;
    /*
     * The protocol's own options; for pbft a struct bft_options (bft/bft.h). NULL where the protocol has none. Must
     * outlive the core and every call of `authenticate`.
     */
    const void *options;
};

/* A record that the core asked to keep. Keys sort as (table, key). Tables are the protocol's own numbering from 1. */
struct ord_record {
    uint8_t table;
    uint64_t key;
    struct ord_span bytes;
};

/*
 * A message whose every signature was checked. Made by `authenticate` only; `bytes` must stay valid until the step that
 * gets it returns.
 */
struct ord_verified {
    ord_node_id from;       /* owner of the link that it came by, and its sender */
    struct ord_span bytes;  /* the message */
    struct ord_hash digest; /* protocol's own: digest of the body that it carries, else zeros */
    uint8_t type;           /* protocol's own */
};

enum ord_event_type {
    ORD_EVENT_START,     /* once, first: what was recovered from disk */
    ORD_EVENT_TICK,      /* time passed (a WAKE_AT is due) */
    ORD_EVENT_MESSAGE,   /* a verified message of another replica */
    ORD_EVENT_PROPOSE,   /* this replica leads and has a batch */
    ORD_EVENT_JUDGED,    /* answer to a JUDGE effect */
    ORD_EVENT_FLUSH,     /* the turn ends: sign and send what gathered */
    ORD_EVENT_PERSISTED, /* turns became durable */
    ORD_EVENT_APPLIED,   /* a delivered batch was executed */
    ORD_EVENT_ATTESTED,  /* a certificate of matching attestations of a strong quorum exists */
    ORD_EVENT_SYNCED,    /* state transfer brought the channel to this seq */
    ORD_EVENT_WORK,      /* since when work waits here; told when it changes */
    ORD_EVENT_STORAGE,   /* whether anything can be stored now; told when it changes */
    ORD_EVENT_HAND_OVER, /* this replica is about to stop: let another lead, if it leads */
};

struct ord_event {
    enum ord_event_type type;
    uint64_t now_ms; /* monotonic clock of this process, any origin */
    uint64_t turn;   /* the turn that this step belongs to: 1, 2, ...; never falls */
    union {
        struct {
            const struct ord_record *records; /* sorted by (table, key); all that PERSIST kept and FORGET left */
            size_t record_count;
            uint64_t applied_seq;      /* highest executed seq on disk; 0: none */
            ord_replica_set pass_over; /* as in `applied`, at applied_seq */
        } start;
        const struct ord_verified *message;
        struct {
            struct ord_span batch; /* 1 .. batch_bytes_max bytes; copied */
        } propose;
        struct {
            uint64_t view;
            uint64_t seq;
            struct ord_hash digest;
            bool admissible;
            /*
             * The batch has room for more, and leaves out what this node sent to the leader long before. It counts
             * when the leader is measured, and nowhere else.
             */
            bool lean;
        } judged;
        struct {
            /* Everything that the steps of this turn and of earlier ones asked to persist is durable. */
            uint64_t turn;
        } persisted;
        struct {
            uint64_t seq;
            uint32_t envelopes; /* that were executed since the last APPLIED, and not dropped */
            uint64_t bytes;     /* of these envelopes */
            uint32_t waits;     /* how many of `envelopes` stood in this replica's request pool */
            /*
             * How long those stood there, added up; for each since it could have been proposed (see `work`), or since
             * there is this leader.
             */
            uint64_t wait_sum_ms;
            /* The last seq in which an envelope was executed or a block was closed. 0: none since START. */
            uint64_t useful_seq;
            /*
             * Replicas whose turn to lead is passed over when a leader's time is over. It follows from what was
             * executed up to `seq`, so all replicas that executed it have the same set.
             */
            ord_replica_set pass_over;
        } applied;
        struct {
            uint64_t seq;
            struct ord_span certificate; /* proves seq; copied */
            /* The channel's interval of snapshots ends here: a core that keeps a log for others cuts it at seq. */
            bool cut;
        } attested;
        struct {
            uint64_t seq;
            /*
             * The highest seq <= `seq` with a certificate of a strong quorum, and this certificate (copied); 0 and
             * empty: there is none. If it is below `seq`, fewer replicas attest the state at `seq` so far. The state
             * counts as delivered, and nothing above stable_seq becomes stable. `seq` lies at most a window above the
             * stable seq.
             */
            uint64_t stable_seq;
            struct ord_span certificate;
            uint64_t term; /* in which the batch at seq was proposed, where the attested state has it; else 0 */
            ord_replica_set pass_over; /* as in `applied`, at `seq` */
            /*
             * No envelope was executed and no block closed between the last APPLIED or SYNCED and `seq`. False: that
             * may have happened.
             */
            bool unchanged;
        } synced;
        struct {
            /*
             * On the event's clock: since when the oldest request that was admitted here, and is not executed, waits;
             * or since when the open block is overdue, if that is earlier. UINT64_MAX: nothing waits.
             */
            uint64_t since_ms;
            /*
             * When that request could have been proposed, given what was admitted before it; at least since_ms. It may
             * be a time to come. UINT64_MAX: nothing waits.
             */
            uint64_t turn_ms;
        } work;
        struct {
            /* False: nothing can be stored (the disk is full). The node then proposes nothing and steps no messages. */
            bool available;
        } storage;
    };
};

enum ord_effect_type {
    ORD_EFFECT_PERSIST,      /* keep a record (replaces one of the same table and key) */
    ORD_EFFECT_FORGET,       /* drop the records of `table` with key <= `key` */
    ORD_EFFECT_FORGET_AFTER, /* drop the records of `table` with key > `key`: a log is cut at its end */
    ORD_EFFECT_SEND,         /* bytes to each replica of the set; a link may lose them */
    ORD_EFFECT_JUDGE,        /* is every envelope of this batch admissible? Answer with JUDGED, in any later turn */
    ORD_EFFECT_DELIVER,      /* seq is decided: execute it. Given in order, each seq once, null batches included */
    ORD_EFFECT_WAKE_AT,      /* TICK at this time or a little later; replaces an earlier WAKE_AT */
    ORD_EFFECT_SYNC,         /* we are behind: bring the channel to the newest certified point at or above `seq` */
    /*
     * Who leads now, as far as this node is concerned: itself only when it may propose. What was proposed under earlier
     * leaders and is not decided may have to be proposed again.
     */
    ORD_EFFECT_LEADER,
    /* A proposal was not taken: NO_SPACE (no room in the window or in memory), FORBIDDEN (not leading), INVALID. */
    ORD_EFFECT_REJECT,
    ORD_EFFECT_EVIDENCE, /* two signed statements that no honest replica makes */
};

struct ord_effect {
    enum ord_effect_type type;
    union {
        struct ord_record persist;
        struct {
            uint8_t table;
            uint64_t key;
        } forget, forget_after;
        struct {
            ord_replica_set to; /* never contains self */
            struct ord_span bytes;
            struct ord_span body; /* the message goes on with these; often empty */
            bool after_persist;
        } send;
        struct {
            uint64_t view;
            uint64_t seq;
            struct ord_hash digest;
            /* The batch has to name `view`, or it is not admissible; false: it must name no view (`ord_status`). */
            bool names_view;
            /* Valid until the step that gets its JUDGED, that makes seq stable, or that gives LEADER. */
            struct ord_span batch;
        } judge;
        struct {
            uint64_t seq;
            /* The term in which the batch was proposed, where all that deliver it know the same one; else 0. */
            uint64_t term;
            struct ord_span batch; /* empty: a null batch */
        } deliver;
        struct {
            uint64_t at_ms;
        } wake;
        struct {
            uint64_t seq;
            /* Proves seq. The node may not have seen it: it may have come in a message of the protocol. */
            struct ord_span certificate;
        } sync;
        struct {
            ord_node_id leader; /* ORD_NO_NODE: none, a change of leader is under way */
            uint64_t view;      /* or term */
            bool scheduled;     /* the former leader gave its place up, or its time was over; nobody is suspected */
        } leader;
        struct {
            enum ord_err err;
        } reject;
        struct {
            ord_node_id culprit;
            struct ord_span first;
            struct ord_span second;
        } evidence;
    };
};

struct ord_effects {
    const struct ord_effect *items;
    size_t count;
};

struct ord_status {
    uint64_t view; /* or term */
    ord_node_id leader;
    bool leading; /* this replica leads `view`: it is the one that may propose in it */
    /* A change of leader is under way: nobody is known to lead `view` yet, and `leader` is ORD_NO_NODE. */
    bool changing;
    bool can_propose; /* a PROPOSE of batch_bytes_max would be taken now */
    /*
     * Views end on schedule, and the next PROPOSE is the first in `view`: its batch names the view, and no other does.
     * So what is decided tells who led.
     */
    bool names_view;
    uint64_t delivered_seq;
    bool delivers_later; /* more is decided than one turn delivers: the rest comes with the next TICKs */
    uint64_t stable_seq;
    /* Proves stable_seq. Size 0: there is none. Valid until the next step. */
    struct ord_span stable_certificate;
    uint64_t proposed_seq;     /* highest seq for which a proposal is known here */
    uint32_t in_flight;        /* proposed_seq - delivered_seq */
    uint64_t body_bytes;       /* batch bodies in memory */
    uint64_t messages_dropped; /* valid but useless: old, out of the window, no room */
    uint64_t messages_refused; /* such as no honest replica sends */
    uint64_t retransmissions;
    /* Since START this replica says nothing of its own, until enough others have told what it said in earlier lives. */
    bool asking;
    /* This replica has forgotten something that it said; it says nothing of its own until that can do no harm. */
    bool silent;
    uint64_t silent_until_seq; /* while silent: at least until this seq is stable */
    /*
     * Until this seq is stable, this replica may lack something that it said in an earlier life, if its disk lost
     * anything then. 0: no doubt is left.
     */
    uint64_t doubt_until_seq;
    /* The protocol's own; for pbft a struct bft_detail (bft/bft.h). NULL: it has none. Valid until the next step. */
    const void *detail;
};

/* `bulk` of struct ord_protocol looks at no more of a message than this many bytes. */
#define ORD_BULK_LOOK_SIZE 64

struct ord_protocol {
    const char *name; /* "pbft", "raft", "solo" */
    /* All memory the core will ever use, for this config. 0: the config is not valid for this protocol. */
    size_t (*memory_size)(const struct ord_core_config *config);
    /*
     * Builds a core in the caller's memory (max_align_t aligned). The config is copied; `crypto` and `options` must
     * outlive the core. `seed` is another one at each start.
     */
    enum ord_err (*init)(struct ord_core **out, void *memory, size_t memory_size, const struct ord_core_config *config,
                         const struct ord_signer *signer, uint64_t seed);
    /*
     * Thread-safe, stateless: parses wire bytes, checks that their sender is `from` and checks every signature in them.
     * The only maker of ord_verified. INVALID: malformed. FORBIDDEN: sender is not `from`. BAD_SIGNATURE. MISMATCH:
     * another network or epoch, or a digest that is not its body's.
     */
    enum ord_err (*authenticate)(struct ord_verified *out, const struct ord_core_config *config, ord_node_id from,
                                 struct ord_span bytes);
    size_t (*message_size_max)(const struct ord_core_config *config);
    /* How many signatures `authenticate` may check for these bytes, at most; looks at them and nothing more. */
    uint32_t (*cost)(struct ord_span bytes);
    /*
     * True if a message that begins like this carries a batch. A link may let any message that carries none overtake
     * it. `bytes` may end after ORD_BULK_LOOK_SIZE.
     */
    bool (*bulk)(struct ord_span bytes);
    /* Could `step` make use of a message like this, so that it is worth its cost? Looks at its outside alone. */
    bool (*wants)(const struct ord_core *core, struct ord_span bytes);
    enum ord_err (*step)(struct ord_core *core, struct ord_effects *out, const struct ord_event *event);
    void (*status)(const struct ord_core *core, struct ord_status *out);
    /* The table whose records hold decided bodies by seq, and how to get the batch out of such a record. */
    uint8_t body_table;
    enum ord_err (*body_of_record)(struct ord_span *batch, struct ord_span record);
};

#endif
