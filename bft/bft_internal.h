/*
 * The state of a PBFT core and what its files do for one another. Castro and Liskov, OSDI'99, section 4.2 and 4.3; the
 * transitions are in docs/protocol.md.
 *
 * Every vote is a vote of one view. Slots hold the votes of the current view; a prepared certificate and an accepted
 * pre-prepare name theirs.
 */
#ifndef ORDAIN_BFT_BFT_INTERNAL_H
#define ORDAIN_BFT_BFT_INTERNAL_H

#include "bft/body_store.h"
#include "bft/message.h"
#include "bft/proof.h"

/* Tables of records; both keyed by seq. Numbers are disk format: never reuse one. */
enum bft_table {
    BFT_TABLE_LOG = 1,         /* the PRE-PREPARE whole: this replica proposed it, or stands by it with a PREPARE */
    BFT_TABLE_CERTIFICATE = 2, /* the prepared certificate: this replica sends a COMMIT for it */
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
};

/* A backup's PREPARE; its first one for this (view, seq) counts. */
struct bft_prepare_vote {
    struct ord_hash digest;
    struct bft_proof proof;
};

struct bft_slot {
    uint64_t seq; /* 0: free */
    enum bft_slot_state state;
    uint64_t view; /* of the pre-prepare; like all up to `message`: unless EMPTY */
    struct ord_hash digest;
    uint8_t *message; /* in `bodies`: the PRE-PREPARE as it came */
    size_t message_size;
    bool logged;                            /* there is a LOG record */
    bool own_prepare;                       /* this backup prepared it, now or before a restart; implies logged */
    bool prepare_due;                       /* own_prepare, and FLUSH has to sign and send it */
    bool prepared;                          /* `certificate` is complete, persisted, and own COMMIT follows from it */
    bool commit_due;                        /* prepared, and FLUSH has to send the COMMIT */
    bool primary_contradicted;              /* evidence against the primary was given for this slot */
    uint64_t sent_ms;                       /* when something of ours about it was last sent to all; 0: never */
    ord_replica_set prepares;               /* who prepared something; digest and proof in `prepare_votes` */
    ord_replica_set commits;                /* who committed something; digest in `commit_digests` */
    ord_replica_set contradicted;           /* backups against whom evidence was given for this slot */
    struct bft_prepare_vote *prepare_votes; /* replica_count */
    struct ord_hash *commit_digests;        /* replica_count */
    uint8_t *certificate;                   /* core->certificate_size_max bytes */
    size_t certificate_size;
};

struct bft_peer {
    uint64_t shown_seq; /* highest seq that its last STATUS told of */
    bool answered;
    uint64_t answered_ms; /* when its STATUS was last answered */
};

struct ord_core {
    struct ord_core_config config;
    struct ord_signer signer;
    uint32_t quorum;
    ord_replica_set others; /* all but self */
    size_t certificate_size_max;
    bool started;
    uint64_t now_ms; /* of the newest event; never goes back */

    uint64_t view;
    uint64_t delivered_seq; /* >= stable_seq */
    uint64_t stable_seq;    /* slots are of (stable_seq, stable_seq + window] */
    uint64_t next_seq;      /* what this replica would propose next, were it primary */
    uint64_t proposed_seq;  /* highest seq with a pre-prepare, or delivered_seq */
    uint64_t voted_seq;     /* highest seq in the window that somebody voted for */

    /* Certified points ahead of delivery: the nearest and the newest. Both <= delivered_seq: none. */
    uint64_t target_seq;
    uint64_t attested_seq;
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
    struct bft_vote_list list; /* scratch */
    struct bft_vote_tree tree; /* scratch */
};

/* effects.c: what a step gives out. None of these can fail: the bounds follow from the config. */
size_t bft_effect_max(const struct ord_core_config *config);
size_t bft_outbox_size(const struct ord_core_config *config);
void bft_effects_reset(struct ord_core *core);
struct ord_effect *bft_effect(struct ord_core *core, enum ord_effect_type type);
void bft_persist(struct ord_core *core, enum bft_table table, uint64_t seq, struct ord_span bytes);
void bft_send(struct ord_core *core, ord_replica_set to, struct ord_span bytes, bool after_persist);
/* Encodes a list into the outbox. */
struct ord_span bft_outbox_list(struct ord_core *core, const struct bft_vote_list *list);
/* One per step, from two statements that stand alone; later ones of the step wait for another occasion. */
void bft_evidence(struct ord_core *core, ord_node_id culprit, struct ord_span first, struct ord_span second);

/* slot.c: the window, and when a slot is prepared, committed, delivered. */
static inline bool bft_in_window(const struct ord_core *core, uint64_t seq) {
    return seq > core->stable_seq && seq - core->stable_seq <= core->config.window;
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
ORD_MUST_USE enum ord_err bft_on_attested(struct ord_core *core, uint64_t seq);
ORD_MUST_USE enum ord_err bft_on_synced(struct ord_core *core, uint64_t seq);
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

/* recover.c */
ORD_MUST_USE enum ord_err bft_on_start(struct ord_core *core, const struct ord_event *event);

/* authenticate.c */
enum ord_err bft_authenticate(struct ord_verified *out, const struct ord_core_config *config, ord_node_id from,
                              struct ord_span bytes);

#endif
