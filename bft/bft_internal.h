/*
 * The state of a PBFT core and what its files do for one another. Castro and Liskov, OSDI'99, section 4.2 to 4.4; the
 * transitions are in docs/protocol.md.
 *
 * Every vote is a vote of one view. Slots hold the votes of the installed view; a prepared certificate names its own, which may
 * be an earlier one: it is kept until a later one takes its place, a NEW-VIEW shows that it can never have been decided, or
 * its seq is stable. Whoever has a certificate has its batch too.
 */
#ifndef ORDAIN_BFT_BFT_INTERNAL_H
#define ORDAIN_BFT_BFT_INTERNAL_H

#include "bft/body_store.h"
#include "bft/recovery/silence.h"
#include "bft/wire/message.h"
#include "bft/wire/proof.h"
#include "bft/wire/view_message.h"

/* Tables of records. Numbers are disk format: never reuse one. */
enum bft_table {
    BFT_TABLE_LOG =
        1, /* by seq. A PRE-PREPARE whole: proposed, or stood by with a PREPARE, in its view or a later one */
    BFT_TABLE_CERTIFICATE = 2, /* by seq. The prepared certificate: this replica sends a COMMIT for it */
    BFT_TABLE_CHECKPOINT = 3,  /* key 1. stable_seq and its certificate */
    BFT_TABLE_VIEW_CHANGE = 4, /* by sender. The own newest one; others' that the installed view rests on */
    BFT_TABLE_NEW_VIEW = 5,    /* key 1. That of the installed view */
    BFT_TABLE_SILENCE = 6,     /* key 1. This replica may have forgotten what it said */
};

#define BFT_WINDOW_MAX       65536
#define BFT_HEARTBEAT_MS     1000            /* between STATUS when all is well */
#define BFT_ANSWER_SEQS_MAX  BFT_LIST_MAX    /* seqs in one answer to a STATUS */
#define BFT_ANSWER_BYTES_MAX (1024u * 1024u) /* of pre-prepares in one answer; a single larger one goes alone */

enum bft_slot_state {
    BFT_SLOT_EMPTY,    /* no pre-prepare yet, perhaps votes */
    BFT_SLOT_JUDGING,  /* the node looks at its envelopes; votes gather, nothing is decided */
    BFT_SLOT_ACCEPTED, /* own proposal, judged admissible, or vouched for by a prepared certificate */
    BFT_SLOT_REFUSED,  /* judged not admissible: no PREPARE of ours, unless a certificate overrules us */
    BFT_SLOT_AWAITING, /* the new view proposes it again; its batch is still to come */
    BFT_SLOT_HELD,     /* of an earlier view: a batch or a certificate, for the view change or for who fetches it */
};

/* A backup's PREPARE; its first one for this (view, seq) counts. */
struct bft_prepare_vote {
    struct ord_hash digest;
    struct bft_proof proof;
};

struct bft_slot {
    uint64_t seq; /* 0: free */
    enum bft_slot_state state;
    uint64_t view; /* that bound `digest` to this seq; like all up to `message`: unless EMPTY */
    struct ord_hash digest;
    struct bft_proof proof; /* of the primary's statement that did so */
    uint8_t *
        message; /* in `bodies`: the PRE-PREPARE as it came, perhaps in an earlier view; NULL: AWAITING or a null batch */
    size_t message_size;
    bool proposed;                /* `message` is the PRE-PREPARE of `view` */
    bool wanted;                  /* the batch with `wanted_digest` is to be fetched */
    bool logged;                  /* there is a LOG record with this batch; also of a null batch, which needs none */
    bool own_prepare;             /* this backup prepared it, now or before a restart; implies logged */
    bool prepare_due;             /* own_prepare, and FLUSH has to sign and send it */
    bool prepared;                /* `certificate` is complete, persisted, and own COMMIT follows from it */
    bool commit_due;              /* prepared, and FLUSH has to send the COMMIT */
    bool primary_contradicted;    /* evidence against the primary was given for this slot */
    uint64_t sent_ms;             /* when something of ours about it was last sent to all; 0: never */
    ord_replica_set prepares;     /* who prepared something; digest and proof in `prepare_votes` */
    ord_replica_set commits;      /* who committed something; digest in `commit_digests` */
    ord_replica_set witnessed;    /* backups that were told what the primary said to us */
    ord_replica_set contradicted; /* backups against whom evidence was given for this slot */
    struct bft_prepare_vote *prepare_votes; /* replica_count */
    struct ord_hash *commit_digests;        /* replica_count */
    uint8_t *certificate;                   /* core->certificate_size_max bytes */
    size_t certificate_size;                /* 0: none; of `view` only when `prepared` */
    struct ord_hash wanted_digest;
};

struct bft_peer {
    uint64_t shown_view;    /* of its last STATUS */
    bool suspects;          /* said that STATUS */
    bool hands_over;        /* that STATUS said so: it is the primary of `shown_view` */
    bool accused;           /* evidence against it was given that is of its view as primary, or came late */
    uint64_t shown_seq;     /* highest seq that its last STATUS told of */
    uint64_t delivered_seq; /* of its last STATUS; since: */
    uint64_t delivered_ms;
    uint64_t again_seq; /* of what our view proposes again: up to here it was told our votes once more */
    uint64_t answer_ms; /* no answer to its STATUS before */
    uint64_t view_ms;   /* no news of the view to it before */
    uint64_t fetch_ms;  /* no bodies to it before */
    uint64_t recall_ms; /* no RECALL to it before */
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

/* How fast envelopes were executed in a window, or at best in a view. */
struct bft_pace {
    bool measured;
    uint64_t wait_ms; /* in the request pool, on average */
    uint64_t rate;    /* envelopes a second */
    bool idle;        /* of a window: for most of the time in which work waited nothing was proposed */
};

/* Of a window. */
struct bft_ratchet_clock {
    uint64_t waiting_ms; /* work waited */
    uint64_t idle_ms;    /* of that: there was no proposal for the next seq */
};

struct bft_ratchet {
    uint64_t since_ms; /* begin of the window */
    uint64_t envelopes;
    uint64_t waits;
    uint64_t wait_sum_ms;
    struct bft_ratchet_clock clock;
    uint32_t windows;                     /* of this view, before this one */
    uint32_t slow_windows;                /* in a row */
    struct bft_pace own;                  /* of this view: of all its windows */
    struct bft_pace good;                 /* of those that were not slow */
    struct bft_pace led[ORD_REPLICA_MAX]; /* of each replica's last view in which anything was measured */
    ord_node_id leader;                   /* of this view */
};

/* What a set of view changes makes of one seq. */
struct bft_choice {
    bool chosen; /* else a null batch */
    uint64_t view;
    struct ord_hash digest;
    ord_node_id holder; /* whose view change has the certificate */
    struct ord_span certificate;
};

struct ord_core {
    struct ord_core_config config;
    const struct bft_options *options; /* those of `config` */
    struct ord_signer signer;
    uint32_t quorum;
    uint32_t weak_quorum;
    ord_replica_set others; /* all but self */
    struct ord_hash null_digest;
    size_t certificate_size_max;
    bool started;
    uint64_t now_ms; /* of the newest event; never goes back */

    uint64_t view;
    bool changing;            /* VIEW-CHANGE for `view` was made, NEW-VIEW is still to come */
    uint64_t next_view;       /* above `view`: FLUSH moves there */
    bool suspecting;          /* wants another primary; f + 1 who do make a view change */
    bool handing_over;        /* primary of the installed view, and asked to let another lead; implies suspecting */
    uint64_t view_changes;    /* begun since START */
    uint32_t failed_views;    /* left since there was progress */
    uint64_t view_since_ms;   /* since when `view`, or since when it is installed */
    uint64_t quorum_since_ms; /* changing: since when a quorum is; 0: it is not yet */
    uint64_t progress_ms;     /* last delivery */
    uint64_t in_flight_ms;    /* since when something that was proposed is not delivered */
    uint64_t synced_ms;       /* last SYNCED */
    uint64_t work_since_ms;   /* UINT64_MAX: nothing waits */
    struct bft_kept *changes; /* replica_count: the newest VIEW-CHANGE of each, for `view` or above */
    struct bft_kept *named;  /* replica_count: others of theirs for `view`, which the NEW-VIEW that came for it names */
    struct bft_kept *chosen; /* replica_count: those that the installed view rests on */
    struct bft_kept *candidates;  /* replica_count: the newest NEW-VIEW of each, not installed yet */
    struct bft_kept installed;    /* the NEW-VIEW of the installed view; none in view 0 */
    struct bft_new_view entries;  /* the same, decoded; count 0: none */
    struct bft_kept spare_change; /* to make one in */
    struct bft_kept spare_view;   /* likewise */
    struct bft_choice *choices;   /* scratch; window: of seq base + 1 + i */
    bool choices_fresh;           /* they are those of the new primary, whose base and count follow */
    uint64_t choice_base_seq;
    uint32_t choice_count;
    struct bft_ratchet ratchet;
    uint64_t useful_seq; /* last seq that was of use, as far as this primary is to blame */
    uint64_t useless;    /* batches of its own that were of none, since then */
    bool look_again;     /* view changes or new views came: FLUSH looks whether a view can be installed */
    ord_replica_set
        distrusted;          /* their view changes want batches that nobody gives: the new primary does without them */
    uint64_t fetch_since_ms; /* of the oldest batch that is wanted; 0: none is */
    uint64_t fetch_ms;       /* next FETCH */
    ord_replica_set fetch_set; /* who may have what is wanted */
    ord_node_id fetch_from;    /* who of them is asked next, or the next after */

    struct bft_silence silence;
    struct bft_heard *heard; /* replica_count */

    uint64_t delivered_seq; /* >= stable_seq */
    uint64_t stable_seq;    /* slots are of (stable_seq, stable_seq + window] */
    uint64_t next_seq;      /* what this replica would propose next, were it primary */
    uint64_t proposed_seq;  /* highest seq with a pre-prepare, or delivered_seq */
    uint64_t voted_seq;     /* highest seq in the window that somebody voted for */

    struct bft_checkpoint stable; /* the proof of stable_seq */
    /* Certified points ahead of delivery: the nearest and the newest. Both <= delivered_seq: none. */
    struct bft_checkpoint target;
    struct bft_checkpoint attested;
    uint64_t target_since_ms;
    uint64_t sync_after_ms; /* no SYNC before */

    bool outstanding;    /* something is in flight or missing, as of the last look */
    uint64_t moved_ms;   /* last delivery, or begin of `outstanding` */
    uint64_t status_ms;  /* last STATUS sent */
    uint64_t wake_ms;    /* last WAKE_AT; 0: none */
    uint64_t body_bytes; /* of batches in `bodies` */
    uint64_t messages_dropped;
    uint64_t messages_refused;
    uint64_t retransmissions;
    struct bft_detail detail; /* as of the end of the last step */

    struct bft_slot *slots; /* window; seq s lives at s % window */
    struct bft_peer *peers; /* replica_count */
    struct bft_body_store bodies;

    /* Of the current step. */
    struct ord_effect *effects;
    size_t effect_count;
    size_t effect_max;
    struct ord_writer outbox; /* bytes of messages other than pre-prepares */
    bool evidence_given;
    uint8_t evidence[2][BFT_SIGNED_VOTE_SIZE_MAX];
    uint64_t proof_view;                  /* against its primary is what follows */
    size_t proof_size;                    /* 0: nothing */
    uint8_t proof[BFT_EVIDENCE_SIZE_MAX]; /* an EVIDENCE message */
    struct bft_vote_list list;            /* scratch */
    struct bft_vote_tree tree;            /* scratch */
    struct bft_vote_tree entry_tree;      /* scratch of install.c, which may run within what uses `tree` */
};

/* effects.c: what a step gives out. None of these can fail: the bounds follow from the config. */
size_t bft_effect_max(const struct ord_core_config *config);
size_t bft_outbox_size(const struct ord_core_config *config);
void bft_effects_reset(struct ord_core *core);
struct ord_effect *bft_effect(struct ord_core *core, enum ord_effect_type type);
void bft_persist(struct ord_core *core, enum bft_table table, uint64_t seq, struct ord_span bytes);
void bft_send(struct ord_core *core, ord_replica_set to, struct ord_span bytes, bool after_persist);
/* A message out of a header in the outbox and `body`, which stays where it is. */
void bft_send_with(struct ord_core *core, ord_replica_set to, struct ord_span header, struct ord_span body);
/* Copies into the outbox. */
struct ord_span bft_outbox_copy(struct ord_core *core, const uint8_t *bytes, size_t size);
/* By this replica's key. A signer that fails: its error. */
ORD_MUST_USE enum ord_err bft_sign(struct ord_core *core, struct ord_signature *out, const struct ord_hash *hash);
/* Encodes a list into the outbox. */
struct ord_span bft_outbox_list(struct ord_core *core, const struct bft_vote_list *list);
/* Two statements of one replica that differ in their digest alone. One per step; later ones wait for another occasion. */
void bft_evidence(struct ord_core *core, const struct bft_statement *statement, const struct bft_proof *proof,
                  const struct ord_hash *other_digest, const struct bft_proof *other_proof);

/* May it say anything of its own? Not while it may have forgotten what it said before. */
static inline bool bft_speaks(const struct ord_core *core) {
    return !core->silence.asking && !core->silence.silent;
}

/* slot.c: the window, and when a slot is prepared, committed, delivered. */
static inline bool bft_in_window(const struct ord_core *core, uint64_t seq) {
    return seq > core->stable_seq && seq - core->stable_seq <= core->config.window;
}
/* The last seq that a slot can be of; a view may propose again what lies far beyond who is behind. */
static inline uint64_t bft_slots_end(const struct ord_core *core) {
    return ord_min(core->proposed_seq, core->stable_seq + core->config.window);
}
/*
 * May a batch be bound to it here? What others have proven to be stable was decided, and is no longer remembered word by word by
 * who answers an ASK: one with an older disk could contradict itself there, and nobody needs its vote.
 */
static inline bool bft_may_bind(const struct ord_core *core, uint64_t seq) {
    return bft_in_window(core, seq) && seq > core->silence.proven_seq;
}
/* NULL: nothing is known of it. */
struct bft_slot *bft_slot_find(const struct ord_core *core, uint64_t seq);
/* The slot of a seq in the window; empty when it is new. */
struct bft_slot *bft_slot_open(struct ord_core *core, uint64_t seq);
void bft_slot_release(struct ord_core *core, struct bft_slot *slot);
/*
 * Room for a PRE-PREPARE with so large a body, of at most `bytes_max` in memory, at `slot->message` of an empty slot. May move
 * the messages of other slots. False: none.
 */
bool bft_slot_alloc(struct ord_core *core, struct bft_slot *slot, size_t body_size, uint64_t bytes_max);
/* Drops its batch, if it has one; its votes and certificate stay. */
void bft_slot_drop_body(struct ord_core *core, struct bft_slot *slot);
/* Is the batch with `slot->digest` at hand? Of a null batch always. */
bool bft_slot_has_body(const struct ord_core *core, const struct bft_slot *slot);
/* Makes the message, already at `slot->message`, the slot's pre-prepare. */
void bft_slot_fill(struct ord_core *core, struct bft_slot *slot, enum bft_slot_state state,
                   const struct bft_pre_prepare *message, size_t size);
struct ord_span bft_slot_body(const struct bft_slot *slot);
/* Keeps the slot's PRE-PREPARE on disk. */
void bft_slot_log(struct ord_core *core, struct bft_slot *slot);
/* After each change of a slot: prepared? committed? deliver what is due. May release slots, this one too. */
void bft_slot_advance(struct ord_core *core, struct bft_slot *slot);
void bft_deliver(struct ord_core *core);

/* propose.c */
uint64_t bft_propose_bytes_max(const struct ord_core *core);
ORD_MUST_USE enum ord_err bft_on_propose(struct ord_core *core, struct ord_span batch);
ORD_MUST_USE enum ord_err bft_on_pre_prepare(struct ord_core *core, const struct ord_verified *verified);
void bft_on_judged(struct ord_core *core, uint64_t view, uint64_t seq, const struct ord_hash *digest, bool admissible);

/* prepare.c */
void bft_on_prepare(struct ord_core *core, const struct bft_vote_list *list);
/* Signs and sends the PREPAREs that are due, and counts them. */
ORD_MUST_USE enum ord_err bft_flush_prepares(struct ord_core *core);
ORD_MUST_USE enum ord_err bft_sign_list(struct ord_core *core, struct bft_vote_list *list);

/* commit.c */
void bft_on_commit(struct ord_core *core, const struct bft_vote_list *list);
/* Counts the COMMIT of a slot that was just prepared; FLUSH sends it. */
void bft_own_commit(struct ord_core *core, struct bft_slot *slot);
void bft_flush_commits(struct ord_core *core);

/* checkpoint.c */
ORD_MUST_USE enum ord_err bft_on_attested(struct ord_core *core, uint64_t seq, struct ord_span certificate);
ORD_MUST_USE enum ord_err bft_on_synced(struct ord_core *core, uint64_t seq, struct ord_span certificate);
void bft_checkpoint_set(struct bft_checkpoint *checkpoint, uint64_t seq, struct ord_span certificate);
/* After delivery moved: what certified points were reached? */
void bft_targets_check(struct ord_core *core);
/* Emits SYNC when it is due. */
void bft_sync_check(struct ord_core *core);
/* When it may be due next; UINT64_MAX: never. */
uint64_t bft_sync_deadline(const struct ord_core *core);

/* retransmit.c */
void bft_send_status(struct ord_core *core);
ORD_MUST_USE enum ord_err bft_on_status(struct ord_core *core, const struct bft_status *status);
void bft_on_tick(struct ord_core *core);
/* At the end of FLUSH: WAKE_AT when the next deadline is not already announced. */
void bft_wake(struct ord_core *core);

/* suspect.c: when is the primary to be replaced? */
/* FLUSH will move to `view`, if that is ahead. */
void bft_suspect(struct ord_core *core, uint64_t view);
/* Looks at the clocks, and at who else suspects; sends STATUS when it begins to. */
void bft_suspect_check(struct ord_core *core);
/* When the next timer is due; UINT64_MAX: none runs. */
uint64_t bft_suspect_deadline(const struct ord_core *core);

/* hand_over.c: a primary that lets another lead */
/* HAND_OVER, or the storage of this replica is gone. Nothing, unless it leads. */
void bft_on_hand_over(struct ord_core *core);
/* Has the primary of our view, which may be this replica, said that it hands over? */
bool bft_handed_over(const struct ord_core *core);

/* ratchet.c: is the primary slower than others were? */
void bft_ratchet_view(struct ord_core *core);
/* Time goes on to `now_ms`; all else is as it was since core->now_ms. */
void bft_ratchet_pass(struct ord_core *core, uint64_t now_ms);
void bft_on_applied(struct ord_core *core, uint32_t envelopes, uint32_t waits, uint64_t wait_sum_ms);
bool bft_ratchet_slow(const struct ord_core *core);

/* useless.c: does the primary order anything that is of use? */
/* `seq` was executed; `useful_seq` is the last that was of use. */
void bft_useless_applied(struct ord_core *core, uint64_t seq, uint64_t useful_seq);
/* More than an honest primary can order in a row. */
bool bft_useless_many(const struct ord_core *core);

/* witness.c: what one replica knows of a primary that contradicts itself, others must know too */
/* After a PRE-PREPARE or a PREPARE: tells those who prepared another batch what the primary said to us. */
void bft_witness(struct ord_core *core, struct bft_slot *slot);
ORD_MUST_USE enum ord_err bft_on_witness(struct ord_core *core, struct ord_span bytes);
ORD_MUST_USE enum ord_err bft_on_evidence(struct ord_core *core, struct ord_span bytes);
/* The primary gave (view, seq) of this slot to another digest as well. */
void bft_primary_contradicts(struct ord_core *core, struct bft_slot *slot, const struct ord_hash *digest,
                             const struct bft_proof *proof);
/* Two NEW-VIEWs of the primary of our view, or the like: leave it, and have the others leave it. `evidence` was just given. */
void bft_pass_on_evidence(struct ord_core *core);

/* rotate.c: views that end by themselves */
/* Last seq that the primary of the installed view may propose; UINT64_MAX: there is none. */
uint64_t bft_view_end(const struct ord_core *core);
/* FLUSH: moves on when it is due. */
void bft_rotate_check(struct ord_core *core);
/* That seq is delivered, and the next view is to come. */
bool bft_rotation_due(const struct ord_core *core);

/* view_change.c */
/* FLUSH: makes and sends a VIEW-CHANGE for next_view. A signer that fails leaves all as it was. */
ORD_MUST_USE enum ord_err bft_change_view(struct ord_core *core);
/* Slots keep what later views may need, and nothing else. */
void bft_leave_view(struct ord_core *core);
/* Of another replica, verified. */
ORD_MUST_USE enum ord_err bft_on_view_change(struct ord_core *core, struct ord_span bytes);
/* Whose VIEW-CHANGE for the current view is here. */
ord_replica_set bft_changes_held(const struct ord_core *core);
/* Likewise, for STATUS: of those that the NEW-VIEW of this view names only if it is the one that it names. */
ord_replica_set bft_changes_shown(const struct ord_core *core);
/* The view changes of these for the current view. */
struct bft_change_set bft_changes_of(struct ord_core *core, ord_replica_set set);
/* f + 1 others are ahead with VIEW-CHANGEs: one of them is honest. To the smallest of their views. */
void bft_join(struct ord_core *core);
/* Is it time for a quorum's clock to run, or for the new primary to act? */
void bft_quorum_check(struct ord_core *core);

/* choose.c: OSDI'99, section 4.4: what a set of view changes says of each seq. */
/* By replica; NULL: not in the set. */
struct bft_change_set {
    struct bft_kept *changes[ORD_REPLICA_MAX];
};
/* Fills core->choices from the view changes of `set`: of seqs base_seq + 1 .. base_seq + count. */
void bft_choose(struct ord_core *core, const struct bft_change_set *set, uint64_t *base_seq, uint32_t *count);
const struct ord_hash *bft_choice_digest(const struct ord_core *core, uint32_t index);

/* new_view.c */
/* FLUSH of the new primary: makes, installs and sends the NEW-VIEW, once it can be. */
ORD_MUST_USE enum ord_err bft_make_new_view(struct ord_core *core);
ORD_MUST_USE enum ord_err bft_on_new_view(struct ord_core *core, struct ord_span bytes);
/* FLUSH: installs a candidate whose view changes are here. */
void bft_try_candidates(struct ord_core *core);
/* Is this the view change of its sender that the NEW-VIEW which came for `of_view`, where this replica is going, names? */
bool bft_is_named(const struct ord_core *core, uint64_t of_view, ord_node_id sender, const struct ord_hash *digest,
                  bool *names_sender);

/* install.c */
/* Does the NEW-VIEW of the installed view propose this seq again? */
static inline bool bft_is_entry(const struct ord_core *core, uint64_t seq) {
    const struct bft_new_view *entries = &core->entries;
    return !core->changing && entries->view == core->view && seq > entries->base_seq &&
           seq - entries->base_seq <= entries->count;
}
/* Makes the NEW-VIEW in `view` (swapped in), which rests on the view changes of `set`, the view of this replica. */
void bft_install(struct ord_core *core, struct bft_kept *view, const struct bft_change_set *set);
/* Opens the slots of what the installed view proposes again, as far as the window reaches; again when it moved. */
void bft_open_entries(struct ord_core *core);
/* The slot's batch came: prepare it. */
void bft_accept_entry(struct ord_core *core, struct bft_slot *slot);
/* Binds an entry of the installed view to its slot. */
void bft_bind_entry(struct ord_core *core, struct bft_slot *slot);
/* ORD_NO_NODE: there is none, or it is this replica, which is silent. */
ord_node_id bft_leader(const struct ord_core *core);
void bft_announce_leader(struct ord_core *core);

/* fetch.c: batches by digest */
/* `from`: who may have it. */
void bft_want(struct ord_core *core, struct bft_slot *slot, const struct ord_hash *digest, ord_replica_set from);
void bft_fetch_check(struct ord_core *core);
uint64_t bft_fetch_deadline(const struct ord_core *core);
void bft_on_fetch(struct ord_core *core, const struct bft_vote_list *list);
ORD_MUST_USE enum ord_err bft_on_body(struct ord_core *core, const struct ord_verified *verified);

/* relay.c: VIEW-CHANGE and NEW-VIEW for those who lack them. */
struct ord_span bft_relayed(struct ord_span bytes);
/* What somebody else has signed; `bytes` stay where they are. */
void bft_relay(struct ord_core *core, ord_replica_set to, struct ord_span bytes);
void bft_answer_view(struct ord_core *core, const struct bft_status *status);

/* recover.c */
ORD_MUST_USE enum ord_err bft_on_start(struct ord_core *core, const struct ord_event *event);

/* authenticate.c */
enum ord_err bft_authenticate(struct ord_verified *out, const struct ord_core_config *config, ord_node_id from,
                              struct ord_span bytes);
uint32_t bft_cost(struct ord_span bytes);
/* relay.c: of a VIEW-CHANGE or NEW-VIEW, relayed or not, that is old or known: no. Of anything else: yes. */
bool bft_wants(const struct ord_core *core, struct ord_span bytes);

#endif
