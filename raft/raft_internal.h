/*
 * The state of a Raft core, and what its files ask of one another. Rules are numbered as in docs/raft.md; sections are
 * those of Ongaro's dissertation.
 */
#ifndef ORDAIN_RAFT_INTERNAL_H
#define ORDAIN_RAFT_INTERNAL_H

#include "raft/marks.h"
#include "raft/message.h"
#include "raft/raft.h"
#include "raft/record.h"

#define RAFT_WINDOW_MAX 65536

enum raft_role {
    RAFT_FOLLOWER,
    RAFT_PRE_CANDIDATE,
    RAFT_CANDIDATE,
    RAFT_ELECTED, /* has its votes, and leads when the record of who granted them is durable (rule 4) */
    RAFT_LEADER,
};

/* An entry of the log: (base, last]. Its record is in the ring. */
struct raft_entry {
    uint64_t term;
    uint64_t turn; /* that persists it */
    size_t offset; /* of the record in the ring */
    size_t size;   /* of the record */
};

/* The log and the ring that holds its records, each in one piece, by rising seq. */
struct raft_log {
    struct raft_entry *entries; /* entry of seq s at s % slot_count */
    uint32_t slot_count;
    uint8_t *ring;
    size_t ring_size;
    uint64_t bytes;     /* of all batches. A null batch always has room where there is a free slot. */
    uint64_t bytes_max; /* the ring always has room for so many, and for the heads of all records */
    uint64_t base_seq;  /* the snapshot point */
    uint64_t base_term;
    uint64_t last_seq;    /* >= base_seq */
    uint64_t durable_seq; /* entries up to here are durable, or below the base; base_seq <= durable_seq <= last_seq */
    uint64_t base_turn;   /* that persists the base */
    uint64_t kept_seq;    /* a restart finds the log up to here, or a base above it; <= durable_seq */
};

enum raft_flow { RAFT_PROBE, RAFT_REPLICATE, RAFT_POINT };

/* What a leader knows of a follower (etcd's Progress). Valid for one term. */
struct raft_progress {
    enum raft_flow flow;
    bool probing;         /* PROBE: one entry is on its way, or a heartbeat */
    bool silent;          /* its acknowledgements count for nothing */
    uint64_t match_seq;   /* only rises within a life of the follower */
    uint64_t next_seq;    /* > match_seq */
    uint64_t stall_seq;   /* next_seq before the last stall: what lies below it may have arrived; 0: none */
    uint64_t resumed_seq; /* match_seq when it went on after a stall; 0: it did not, or there was a loss */
    uint64_t told_seq;    /* the highest seq that it was told is committed, as far as it matches */
    uint64_t flying;      /* bytes of the entries in (match_seq, next_seq) */
    uint64_t heard_ms;    /* last answer of this term */
    uint64_t moved_ms;    /* match_seq rose, or something was sent to a follower that had nothing on its way */
};

/* A certificate and the seq that it proves; size 0: none. */
struct raft_proof {
    uint64_t seq;
    uint8_t *bytes;
    size_t size;
};

/* The lost-disk rule (rule 12). */
struct raft_recovery {
    uint64_t life;           /* this life's number; never 0 */
    ord_replica_set told;    /* others that answered the ASK of this life */
    ord_replica_set counted; /* of them, those that hold what they said themselves */
    ord_replica_set blank;   /* of them, those that have said nothing ever, as far as they know */
    bool asking;             /* too few have answered */
    uint64_t ask_ms;         /* when the next ASK is due; UINT64_MAX: all have answered */
    /* Maximum over the answers: term, and end of the log by raft_up_to_date. */
    uint64_t term;
    uint64_t end_term;
    uint64_t end_seq;
};

struct ord_core {
    struct ord_core_config config;
    const struct raft_options *options;
    bool started;
    bool halted;
    bool storage_gone;
    uint64_t now_ms;
    uint64_t turn;
    uint64_t persisted_turn;
    uint64_t random;
    ord_replica_set others;
    uint32_t majority;

    enum raft_role role;
    struct raft_hard hard;       /* term, vote and silence, as persisted */
    ord_node_id leader;          /* of hard.term; ORD_NO_NODE: not known */
    bool scheduled;              /* the last leader gave its place up */
    ord_replica_set granted;     /* votes of hard.term, its own among them while it stands for election */
    ord_replica_set pre_granted; /* PreVotes of this round */
    uint64_t elected_turn;       /* ELECTED: that persists the grants */
    bool by_transfer;            /* the election was asked for by the leader */
    uint64_t heard_ms;           /* last time that `leader` was heard, if that is another replica */
    uint64_t election_ms;        /* when this replica campaigns */
    uint64_t heartbeat_ms;       /* leader: next heartbeats */
    uint64_t retry_ms;           /* candidate: next repetition of its requests */
    ord_node_id successor;       /* leader: who is to lead; ORD_NO_NODE: no transfer */
    uint64_t transfer_ms;        /* until when the transfer may take */
    bool told_successor;
    bool leaving;                 /* asked to let another lead */
    struct raft_told told_leader; /* in the last LEADER effect */

    struct raft_log log;
    uint64_t decided_seq; /* committed, as far as this replica knows */
    uint64_t commit_seq;  /* delivered of it */
    uint64_t deliver_turn;
    uint64_t delivered_bytes; /* in deliver_turn */
    struct raft_progress *peers;
    uint64_t *lives; /* by replica: its life; 0: not known */
    struct raft_bindings bindings;
    bool bindings_due;   /* changed, and to be written at the end of this turn */
    bool bindings_new;   /* changed, and to be written with the next entry */
    uint64_t entry_turn; /* in which an entry was last written */
    struct raft_recovery recovery;
    struct raft_proof point;    /* proves base_seq, or is empty */
    struct raft_proof stable;   /* newest certificate at or below commit_seq */
    struct raft_proof attested; /* newest certificate */
    bool cut_wanted;            /* the log is to be cut at the next seq with a certificate */
    uint64_t wanted_seq;        /* what SYNC asked for, and the term of the entry there */
    uint64_t wanted_term;
    uint64_t sync_after_ms;
    uint64_t limit_seq;

    struct ord_effect *effects;
    size_t effect_count;
    size_t effect_max;
    struct ord_writer outbox;
    uint64_t wake_ms;
    uint64_t messages_dropped;
    uint64_t messages_refused;
    uint64_t retransmissions;
    struct raft_detail detail;
};

/* effects.c */
size_t raft_effect_max(const struct ord_core_config *config);
size_t raft_outbox_size(const struct ord_core_config *config);
struct ord_effect *raft_effect(struct ord_core *core, enum ord_effect_type type);
/* Writes the message's head into the outbox; sender and, if it is 0, term are filled in. `message->body` goes along. */
void raft_send(struct ord_core *core, ord_replica_set to, struct raft_message *message, bool after_persist);
void raft_persist(struct ord_core *core, enum raft_table table, uint64_t key, struct ord_span bytes);
void raft_persist_hard(struct ord_core *core);
void raft_persist_bindings(struct ord_core *core);
void raft_tell_leader(struct ord_core *core);
void raft_wake(struct ord_core *core);
/* Neither asking nor silent nor halted: this replica may vote, campaign, acknowledge and lead. */
bool raft_speaks(const struct ord_core *core);

/* log.c. A seq is in the log when base_seq < seq <= last_seq. */
void raft_log_init(struct raft_log *log, struct raft_entry *entries, uint32_t slot_count, uint8_t *ring,
                   size_t ring_size, uint64_t bytes_max);
uint32_t raft_slot_count(const struct ord_core_config *config);
size_t raft_ring_size(const struct ord_core_config *config);
bool raft_log_has_room(const struct raft_log *log, size_t batch_size);
/* Requires room. Gives the record, for PERSIST. */
struct ord_span raft_log_add(struct raft_log *log, uint64_t epoch, uint64_t term, uint64_t turn, struct ord_span batch);
/* Term of the entry at base_seq <= seq <= last_seq. */
uint64_t raft_log_term(const struct raft_log *log, uint64_t seq);
uint64_t raft_log_last_term(const struct raft_log *log);
struct ord_span raft_log_batch(const struct raft_log *log, uint64_t seq);
/* Drops what lies above `seq`; base_seq <= seq <= last_seq. */
void raft_log_cut(struct raft_log *log, uint64_t seq);
/* Moves the base up to `seq`, which may lie above last_seq, in `turn`. */
void raft_log_rebase(struct raft_log *log, uint64_t turn, uint64_t seq, uint64_t term);
void raft_log_persisted(struct raft_log *log, uint64_t turn);
/* (term, seq) pairs by the order of section 3.6.1: is `a` at least as up-to-date as `b`? */
bool raft_up_to_date(uint64_t a_term, uint64_t a_seq, uint64_t b_term, uint64_t b_seq);

/* election.c */
void raft_election_reset(struct ord_core *core);
/* Enters a later term, or stays in this one, as a follower of `leader`. */
void raft_become_follower(struct ord_core *core, uint64_t term, ord_node_id leader);
void raft_step_down(struct ord_core *core, bool scheduled);
void raft_campaign(struct ord_core *core, bool by_transfer);
void raft_on_vote_request(struct ord_core *core, const struct raft_message *message);
void raft_on_vote_answer(struct ord_core *core, const struct raft_message *message);
void raft_election_tick(struct ord_core *core);
/* The record of the grants may be durable: leads if so. */
void raft_election_persisted(struct ord_core *core);

/* append.c: the follower's side. */
void raft_on_append(struct ord_core *core, const struct raft_message *message);
/* A leader's message: follows it. False: it is of an earlier term, or no leader's. */
bool raft_follow(struct ord_core *core, const struct raft_message *message);
void raft_answer_append(struct ord_core *core, ord_node_id to, uint64_t match_seq);
/* Row R8: what is committed is never cut. This replica or its leader has lost something, and only people can help. */
void raft_halt(struct ord_core *core);

/* progress.c: the leader's side. */
void raft_progress_reset(struct ord_core *core);
void raft_progress_forget(struct ord_core *core, ord_node_id node);
void raft_on_append_answer(struct ord_core *core, const struct raft_message *message);
/* Sends entries to everybody whose flow control has room. */
void raft_replicate(struct ord_core *core);
void raft_heartbeat(struct ord_core *core);
/* What is committed and durable here: this replica's own disk is bound to it, and others may remember that. */
uint64_t raft_own_seq(const struct ord_core *core);
/* The turn ends: tells the followers what was committed in it, unless an entry told them. */
void raft_tell_commit(struct ord_core *core);
void raft_leader_tick(struct ord_core *core);
/* Whether a proposal of this size fits into the window and into memory as they are. */
bool raft_has_room(const struct ord_core *core, size_t batch_size);
bool raft_may_propose(const struct ord_core *core);
void raft_on_propose(struct ord_core *core, struct ord_span batch);
/* Appends a batch of this term; requires room. */
void raft_append_own(struct ord_core *core, struct ord_span batch);
/*
 * Appends the leader's null batch, unless it is there (rule 4). False: there is no room. No effect of this step may
 * borrow the log yet.
 */
bool raft_append_null(struct ord_core *core);

/* commit.c */
void raft_commit_check(struct ord_core *core);
void raft_commit_to(struct ord_core *core, uint64_t seq);
/* Delivers what is decided, as far as this turn has room for it. */
void raft_deliver(struct ord_core *core);

/* snapshot.c */
void raft_send_point(struct ord_core *core, ord_node_id to);
void raft_on_snapshot(struct ord_core *core, const struct raft_message *message);
enum ord_err raft_on_attested(struct ord_core *core, const struct ord_event *event);
enum ord_err raft_on_synced(struct ord_core *core, const struct ord_event *event);
void raft_proof_set(struct raft_proof *proof, uint64_t seq, struct ord_span certificate);
/*
 * True if there is room for a batch; cuts the log at the stable seq for it, before that is due. Otherwise a follower
 * whose base lies below its leader's could lack the room that its leader has. No effect of this step may borrow the log
 * yet.
 */
bool raft_make_room(struct ord_core *core, size_t batch_size);
/* The same for a proposal, which has less room. */
bool raft_make_room_to_propose(struct ord_core *core, size_t batch_size);
/* Something was delivered: what was attested ahead of it may be stable now. */
void raft_stable_check(struct ord_core *core);

/* recovery.c */
void raft_recovery_start(struct ord_core *core);
/* Nothing was ever said by this replica, or it has lost it all. */
bool raft_is_blank(const struct ord_core *core);
void raft_recovery_tick(struct ord_core *core);
void raft_on_ask(struct ord_core *core, const struct raft_message *message);
/*
 * False: the message is not of the life of its sender that is known here. A sender that has begun another one since is
 * made to ask, and its next message is of a life that is known.
 */
bool raft_lives(struct ord_core *core, const struct raft_message *message);
void raft_on_recall(struct ord_core *core, const struct raft_message *message);
/* Ends the silence when it binds nothing any more. */
void raft_recovery_check(struct ord_core *core);

/* transfer.c */
void raft_hand_over(struct ord_core *core);
void raft_storage(struct ord_core *core, bool available);
void raft_transfer_check(struct ord_core *core);
void raft_on_timeout_now(struct ord_core *core, const struct raft_message *message);

/* start.c */
enum ord_err raft_on_start(struct ord_core *core, const struct ord_event *event);

#endif
