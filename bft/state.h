/*
 * The state of a PBFT core, and the questions that it answers without any other file. Castro and Liskov, OSDI'99,
 * sections 4.2 to 4.4; the transitions are in docs/protocol.md.
 *
 * Every vote is a vote of one view. The slots hold the votes of the installed view. A prepared certificate names its
 * own view, which may be an earlier one. It is kept until a certificate of a later view takes its place, a NEW-VIEW
 * shows that its batch was not decided, or its seq is stable. A replica that has a certificate also has the
 * certificate's batch.
 */
#ifndef ORDAIN_BFT_STATE_H
#define ORDAIN_BFT_STATE_H

#include "bft/body_store.h"
#include "bft/recovery/silence.h"
#include "bft/wire/message.h"
#include "bft/wire/proof.h"
#include "bft/wire/view_message.h"

/* Tables of records. The numbers are disk format: never reuse one. */
enum bft_table {
    /* By seq. A whole PRE-PREPARE whose batch this replica proposed, prepared, or holds a certificate for. */
    BFT_TABLE_LOG = 1,
    /* By seq. The prepared certificate for which this replica sends a COMMIT. */
    BFT_TABLE_CERTIFICATE = 2,
    /* Key 1. The certificate of stable_seq. */
    BFT_TABLE_CHECKPOINT = 3,
    /* By sender. This replica's newest VIEW-CHANGE, and those of others that the installed view rests on. */
    BFT_TABLE_VIEW_CHANGE = 4,
    /* Key 1. The NEW-VIEW of the installed view. */
    BFT_TABLE_NEW_VIEW = 5,
    /* Key 1. The state of the silence of a replica that may have forgotten what it said (bft/recovery/silence.h). */
    BFT_TABLE_SILENCE = 6,
};

#define BFT_WINDOW_MAX 65536
/* Between two STATUS when all is well. */
#define BFT_HEARTBEAT_MS 1000
/* Seqs in one answer to a STATUS. */
#define BFT_ANSWER_SEQS_MAX BFT_LIST_MAX
/* Bytes of PRE-PREPAREs in one answer. A single PRE-PREPARE that is larger goes alone. */
#define BFT_ANSWER_BYTES_MAX (1024u * 1024u)
/* A peer that has been sent this many bytes again that time has not paid for gets no more (normal/budget.c). */
#define BFT_REPEAT_BYTES_MAX (1024u * 1024u)

enum bft_slot_state {
    /* No pre-prepare yet; votes may be here. */
    BFT_SLOT_EMPTY,
    /* The node judges the envelopes. Votes gather, and nothing is decided. */
    BFT_SLOT_JUDGING,
    /* An own proposal, judged admissible, or vouched for by a prepared certificate. */
    BFT_SLOT_ACCEPTED,
    /* Judged not admissible: this replica sends no PREPARE. A prepared certificate overrules it. */
    BFT_SLOT_REFUSED,
    /* The view proposes the batch again, and the batch is still to come. */
    BFT_SLOT_AWAITING,
    /* A batch or certificate of an earlier view, kept for a view change and for FETCH. */
    BFT_SLOT_HELD,
};

/* A backup's first PREPARE for this (view, seq); later ones do not count. */
struct bft_prepare_vote {
    struct ord_hash digest;
    struct bft_proof proof;
};

struct bft_slot {
    /* 0: the slot is free. */
    uint64_t seq;
    enum bft_slot_state state;
    /* The next fields, up to `message_size`, mean something only in a slot that is not EMPTY. */
    /* The view that bound `digest` to this seq. */
    uint64_t view;
    struct ord_hash digest;
    /* Proof of the primary's statement that bound it. */
    struct bft_proof proof;
    /*
     * In `bodies`: the PRE-PREPARE as it came, perhaps in an earlier view, or one without a signature for a batch that
     * came by a BODY. NULL: AWAITING, or a null batch.
     */
    uint8_t *message;
    size_t message_size;
    /* `message` is the PRE-PREPARE of `view`, with its signature. */
    bool proposed;
    /* The batch with `wanted_digest` is to be fetched. */
    bool wanted;
    /* Another replica returned a prepared certificate of `view` for this slot, and its votes are here. */
    bool recalled;
    /* The disk has a LOG record with this batch. Also true of a null batch, which needs no record. */
    bool logged;
    /* START found a LOG record for this seq that binds this replica to nothing. The slot knows no more of it. */
    bool stray;
    /* This backup prepared it, now or before a restart; implies logged. */
    bool own_prepare;
    /* FLUSH must sign and send the PREPARE; implies own_prepare. */
    bool prepare_due;
    /* `certificate` is complete and persisted, and this replica's COMMIT follows from it. */
    bool prepared;
    /* FLUSH must send the COMMIT; implies prepared. */
    bool commit_due;
    /* Evidence against the primary was given for this slot. */
    bool primary_contradicted;
    /* When this replica last sent something about the slot to all; 0: never. */
    uint64_t sent_ms;
    /* Replicas that sent a PREPARE for some digest; digest and proof are in `prepare_votes`. */
    ord_replica_set prepares;
    /* Replicas that sent a COMMIT for some digest; the digest is in `commit_digests`. */
    ord_replica_set commits;
    /* Backups that this replica told what the primary said to it. */
    ord_replica_set witnessed;
    /* Backups against which evidence was given for this slot. */
    ord_replica_set contradicted;
    /* Both have replica_count elements. */
    struct bft_prepare_vote *prepare_votes;
    struct ord_hash *commit_digests;
    /* core->certificate_size_max bytes. */
    uint8_t *certificate;
    /* 0: no certificate. If `prepared`, the certificate is of `view`; otherwise it may be of an earlier view. */
    size_t certificate_size;
    struct ord_hash wanted_digest;
};

struct bft_peer {
    /* The view in its last STATUS. */
    uint64_t shown_view;
    /* Its last STATUS said that it wants another primary. */
    bool suspects;
    /* Its last STATUS said that it hands over, as the primary of `shown_view`. */
    bool hands_over;
    /*
     * Evidence against it was given. Evidence about another view than ours is not given again after that (witness.c).
     */
    bool accused;
    /* The highest seq that its last STATUS showed. */
    uint64_t shown_seq;
    uint64_t shown_ms;        /* when its last STATUS came */
    struct bft_status status; /* its last STATUS */
    /* The delivered seq in its last STATUS. */
    uint64_t delivered_seq;
    /* When delivered_seq last changed. */
    uint64_t delivered_ms;
    /* Up to this seq it got our votes for the seqs that our view proposes again. The next answer goes on after it. */
    uint64_t again_seq;
    /* It gets no answer to its STATUS before this time. */
    uint64_t answer_ms;
    /* It gets no news of the view before this time, except VIEW-CHANGEs that are not in news_given. */
    uint64_t view_ms;
    /* The authors of the VIEW-CHANGEs under the installed view that it was given. */
    ord_replica_set news_given;
    /* It got the NEW-VIEW with such news; it gets it again after view_ms only. */
    bool view_given;
    /* The authors of the VIEW-CHANGEs that it lacked under our NEW-VIEWs lately. */
    ord_replica_set lacked;
    /* How many of our NEW-VIEWs it got them along with. */
    uint32_t lacked_views;
    /* It gets no BODY before this time. */
    uint64_t fetch_ms;
    /* The nonce of its last ASK. */
    uint64_t nonce;
    /* It gets no RECALL before this time. */
    uint64_t recall_ms;
    /* What it was sent again, less what time has paid for since, as of `repeated_ms` (normal/budget.c). */
    uint64_t repeated_bytes;
    uint64_t repeated_ms;
};

/* What was delivered lately: `bytes` of batches since `since_ms`, and `rate` a second before that. */
struct bft_flow {
    uint64_t since_ms;
    uint64_t bytes;
    uint64_t rate;
};

/* A message that is kept whole. */
struct bft_kept {
    uint64_t view; /* 0: none */
    struct ord_hash digest;
    uint8_t *bytes;
    size_t size;
};

/* A certificate of a stable checkpoint. */
struct bft_checkpoint {
    uint64_t seq; /* 0: none */
    uint8_t *bytes;
    size_t size;
};

/* How fast envelopes were executed: in one window of the ratchet, or at best in a view. */
struct bft_pace {
    bool measured;
    /* Average time in the request pool. */
    uint64_t wait_ms;
    /* Envelopes per second, and their bytes. */
    uint64_t rate;
    uint64_t byte_rate;
    /* How long at a stretch work waits for the primary alone: the average over that time. */
    uint64_t stall_ms;
    /* Only for a window: average time that the work waited which was oldest at each moment. */
    uint64_t oldest_ms;
    /* Only for a window: for most of the time in which work waited, it waited for the primary alone. */
    bool held_up;
    /* Only for a window: it did so for much of that time. */
    bool stalled;
};

/* The clocks of one window. */
struct bft_ratchet_clock {
    /* For how long the primary has led while this replica was not behind. */
    uint64_t elapsed_ms;
    /* For how long it has led while this replica was behind. */
    uint64_t lag_ms;
    /* The part of elapsed_ms in which work waited. */
    uint64_t waiting_ms;
    /* The part of waiting_ms in which it waited for the primary alone (ratchet.c). */
    uint64_t held_up_ms;
    /* Added up over each ms of waiting_ms: the time since the oldest work's turn, without what was lag. */
    uint64_t oldest_sum;
    /* Added up over each ms of held_up_ms: for how long that has gone on without a break. */
    uint64_t stall_sum;
};

/* A replica's present window. It goes on in each view that this replica leads. */
struct bft_ratchet_window {
    uint64_t envelopes;
    uint64_t bytes;
    uint64_t waits;
    uint64_t wait_sum_ms;
    /* At least the part of wait_sum_ms in which this replica was behind. */
    uint64_t wait_lag_sum_ms;
    struct bft_ratchet_clock clock;
    /* Complete windows before it, since the replica first led or its view last failed. */
    uint32_t windows;
    /* Slow windows in a row, up to the last complete one. */
    uint32_t slow_windows;
};

struct bft_ratchet {
    /* That of this view's primary. */
    struct bft_ratchet_window window;
    /* Those of the other replicas, as they were when their last views ended. */
    struct bft_ratchet_window windows[ORD_REPLICA_MAX];
    /* Since when work has waited for the primary alone without a break; UINT64_MAX: it does not. */
    uint64_t stall_since_ms;
    /* The best of all windows of this view. */
    struct bft_pace own;
    /* The best of the windows of this view that were not slow. */
    struct bft_pace good;
    /* For each replica: the best of the last view that it led and in which anything was measured. */
    struct bft_pace led[ORD_REPLICA_MAX];
    /* The primary of this view. */
    ord_node_id leader;
    /* It was left because it failed (view/failed.c), and the next one is not installed yet. */
    bool view_failed;
    /* The replicas that were slow in the last view that they led and in which a window was complete. */
    ord_replica_set failed;
    /* The newest batch that was judged in this view left out work that waited (`judged.lean` of core/protocol.h). */
    bool lean;
    uint64_t lean_seq;
};

/* A leader whose views failed lately (view/failed.c). */
struct bft_failed_leader {
    ord_node_id node;
    /* Views of this leader that failed since it is remembered, at least 1. */
    uint32_t failures;
    /* Full terms since the last of them. */
    uint32_t terms;
};

/* The outcome of a set of view changes for one seq. */
struct bft_choice {
    /* False: the choice is a null batch, and the other fields mean nothing. */
    bool chosen;
    uint64_t view;
    struct ord_hash digest;
    /* The replicas whose VIEW-CHANGEs have a certificate of this view for this digest. */
    ord_replica_set holders;
    struct ord_span certificate;
};

/* For each replica, its VIEW-CHANGE in the set; NULL: it has none there. */
struct bft_change_set {
    struct bft_kept *changes[ORD_REPLICA_MAX];
};

enum { BFT_LAG_SPANS = 128 };

/* Lags that began close to one another. */
struct bft_lag_span {
    /* When the first began and the last ended. */
    uint64_t begin_ms;
    uint64_t end_ms;
    /* All of them together, at least 1. */
    uint64_t lag_ms;
};

/* When this replica was behind a certified point (view/lag.c). */
struct bft_lag {
    /* It was after the last step, since since_ms. */
    bool behind;
    uint64_t since_ms;
    /* Lags that are over, the oldest first. */
    uint32_t count;
    struct bft_lag_span spans[BFT_LAG_SPANS];
};

struct ord_core {
    struct ord_core_config config;
    /* Those of `config`. */
    const struct bft_options *options;
    struct ord_signer signer;
    uint32_t quorum;
    uint32_t weak_quorum;
    /* All replicas except this one. */
    ord_replica_set others;
    struct ord_hash null_digest;
    size_t certificate_size_max;
    bool started;
    /* The time of the newest event; it never goes back. */
    uint64_t now_ms;

    uint64_t view;
    /* The VIEW-CHANGE for `view` is made, and its NEW-VIEW is still to come. */
    bool changing;
    /* If it is above `view`, FLUSH moves there. */
    uint64_t next_view;
    /*
     * The view that followed on schedule when view `from` was over. SYNCED may bring a later state, which gives another
     * view, before FLUSH moves there (view/rotate.c).
     */
    struct {
        uint64_t from;
        uint64_t to;
    } rotation;
    /*
     * How this replica stands towards the view; the status shows it. If 2f + 1 replicas are suspecting, they make a
     * view change. A replica that is handing over is also suspecting, except while it is silent.
     */
    struct bft_detail detail;
    /* When this replica moved to `view`, or when `view` was installed. */
    uint64_t view_since_ms;
    /* While changing: since when a quorum has moved to `view` or beyond; 0: it has not. */
    uint64_t quorum_since_ms;
    /* The last delivery, or the last transfer that brought something. */
    uint64_t progress_ms;
    /* Since when some proposed seq is not delivered. */
    uint64_t in_flight_ms;
    /* Since when work waits, as the node says, and when its turn came or comes; UINT64_MAX: none waits. */
    uint64_t work_since_ms;
    uint64_t work_turn_ms;
    /* The next four arrays have replica_count elements each. */
    /* The newest VIEW-CHANGE of each replica. Elements below `view` are out of date. */
    struct bft_kept *changes;
    /* Other VIEW-CHANGEs of theirs for `view`, which the NEW-VIEW that came for it names. */
    struct bft_kept *named;
    /* The VIEW-CHANGEs that the installed view rests on. */
    struct bft_kept *chosen;
    /* The primary of this view was asked for VIEW-CHANGEs that its NEW-VIEW names. */
    uint64_t asked_view;
    /* One NEW-VIEW of each replica that is not installed yet: the one that is due, otherwise the newest. */
    struct bft_kept *candidates;
    /* The NEW-VIEW of the installed view; none in view 0. */
    struct bft_kept installed;
    /* The same, decoded. With count 0 it proposes nothing again. */
    struct bft_new_view entries;
    /* Buffers in which an own VIEW-CHANGE and NEW-VIEW are made. */
    struct bft_kept spare_change;
    struct bft_kept spare_view;
    /* Scratch of `window` elements: element i < choice_count is the choice for seq choice_base_seq + 1 + i. */
    struct bft_choice *choices;
    uint64_t choice_base_seq;
    uint32_t choice_count;
    /* `choices` are those of the new primary, and no VIEW-CHANGE has changed since. */
    bool choices_fresh;
    struct bft_ratchet ratchet;
    /* The leaders that failed last, the newest failure first; at most f of them. */
    struct bft_failed_leader failed[ORD_REPLICA_MAX];
    uint32_t failed_count;
    /* The last executed seq that was of use. */
    uint64_t useful_seq;
    /* Executed seqs after useful_seq that this view's primary proposed itself. */
    uint64_t useless;
    /* Some slot may have a vote that is due: FLUSH looks at all of them. */
    bool votes_due;
    /* View changes or new views came: FLUSH looks whether a view can be made or installed. */
    bool look_again;
    /* Replicas whose VIEW-CHANGEs want batches that nobody gives; the new primary leaves these VIEW-CHANGEs out. */
    ord_replica_set distrusted;
    /* Since when batches are wanted; 0: none is. */
    uint64_t fetch_since_ms;
    /* When the next FETCH is due. */
    uint64_t fetch_ms;
    /* Replicas that may have what is wanted. */
    ord_replica_set fetch_set;
    /* The next FETCH goes to the first replica of fetch_set from this one on. */
    ord_node_id fetch_from;

    struct bft_silence silence;
    /* replica_count elements. */
    struct bft_heard *heard;

    /* At least stable_seq. */
    uint64_t delivered_seq;
    /* Up to this seq the node has executed what was delivered. */
    uint64_t applied_seq;
    /* Replicas that the state at applied_seq passes over (view/rotate.c). */
    ord_replica_set pass_over;
    /* Slots are for seqs in (stable_seq, stable_seq + window]. */
    uint64_t stable_seq;
    /* The seq that this replica would propose next as the primary. */
    uint64_t next_seq;
    /* The highest seq with a pre-prepare, or delivered_seq if that is higher. */
    uint64_t proposed_seq;
    /* The highest seq in the window that a replica voted for. */
    uint64_t voted_seq;

    /* The proof of stable_seq. */
    struct bft_checkpoint stable;
    /* The nearest and the newest certified point above delivered_seq. A seq at or below delivered_seq means none. */
    struct bft_checkpoint target;
    struct bft_checkpoint attested;
    /* Since when this replica is behind `target`. */
    uint64_t target_since_ms;
    struct bft_lag lag;
    /* There is no SYNC before this time. */
    uint64_t sync_after_ms;

    /* Something was in flight or missing when the core last looked. */
    bool outstanding;
    /* The last delivery, or when `outstanding` became true, whichever is later. */
    uint64_t moved_ms;
    /* When something last changed for this replica (bft_changed). What it repeats is repeated less often since then. */
    uint64_t changed_ms;
    /* When STATUS was last sent. */
    uint64_t status_ms;
    /* The time that the last WAKE_AT named; 0: there was none. */
    uint64_t wake_ms;
    /* Bytes of batches in `bodies`. */
    uint64_t body_bytes;
    uint64_t messages_dropped;
    uint64_t messages_refused;
    uint64_t retransmissions;
    struct bft_flow flow;

    /* `window` elements: seq s lives at s % window. */
    struct bft_slot *slots;
    /* replica_count elements. */
    struct bft_peer *peers;
    struct bft_body_store bodies;

    /* The effects of the current step. */
    struct ord_effect *effects;
    size_t effect_count;
    size_t effect_max;
    /* Bytes of all messages except PRE-PREPAREs. */
    struct ord_writer outbox;
    bool evidence_given;
    uint8_t evidence[2][BFT_SIGNED_VOTE_SIZE_MAX];
    /* An EVIDENCE message against the primary of proof_view, kept to be given again; proof_size 0: there is none. */
    uint64_t proof_view;
    size_t proof_size;
    uint8_t proof[BFT_EVIDENCE_SIZE_MAX];
    /* Scratch. entry_tree is that of entries.c, which may run while another file uses `tree`. */
    struct bft_vote_list list;
    struct bft_vote_tree tree;
    struct bft_vote_tree entry_tree;
};

/* Whether this replica may make statements. It may not while it asks or is silent (bft/recovery/silence.h). */
static inline bool bft_speaks(const struct ord_core *core) {
    return !core->silence.asking && !core->silence.silent;
}

static inline bool bft_in_window(const struct ord_core *core, uint64_t seq) {
    return seq > core->stable_seq && seq - core->stable_seq <= core->config.window;
}

/*
 * The last proposed seq that can have a slot. proposed_seq itself may lie far above: a view may propose again what is
 * beyond the window of a replica that is behind.
 */
static inline uint64_t bft_slots_end(const struct ord_core *core) {
    return ord_min(core->proposed_seq, core->stable_seq + core->config.window);
}

/*
 * Whether a PRE-PREPARE may bind a batch to this seq. Everything up to the seq that others proved to be stable is
 * decided, and the replicas that answer an ASK no longer remember each statement there. A replica with an older disk
 * could contradict itself, and its vote is not needed.
 */
static inline bool bft_may_bind(const struct ord_core *core, uint64_t seq) {
    return bft_in_window(core, seq) && seq > core->silence.proven_seq;
}

/* Whether the NEW-VIEW of the installed view proposes this seq again. */
static inline bool bft_is_entry(const struct ord_core *core, uint64_t seq) {
    const struct bft_new_view *entries = &core->entries;
    return !core->changing && entries->view == core->view && seq > entries->base_seq &&
           seq - entries->base_seq <= entries->count;
}

/*
 * Something changed: a message brought something new, work came, or the view changed. What this replica repeats begins
 * anew at its shortest interval (normal/retransmit.c).
 */
static inline void bft_changed(struct ord_core *core) {
    core->changed_ms = core->now_ms;
}

/* Drops a message that is of no use, which is not its sender's fault. */
static inline enum ord_err bft_drop(struct ord_core *core) {
    core->messages_dropped++;
    return ORD_OK;
}

/* Makes FLUSH move to `view`, unless it already moves to that one or a later one. */
static inline void bft_next_view_raise(struct ord_core *core, uint64_t view) {
    if (view > core->next_view && view <= BFT_SEQ_MAX)
        core->next_view = view;
}

#endif
