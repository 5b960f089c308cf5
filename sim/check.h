/*
 * The invariants that must hold at every step (docs/testing.md). The processes call these checks where something
 * happens, and the first violation ends the run. Liars are not checked themselves; they matter as culprits. Forgetful
 * replicas (sim/world.h) must keep the chain's rules. They are excused from earlier promises that nobody told them of.
 */
#ifndef ORDAIN_SIM_CHECK_H
#define ORDAIN_SIM_CHECK_H

#include "channel/attestation.h"
#include "sim/model.h"
#include "sim/world.h"

struct sim_changes;
struct sim_told;

/* The state that a replica showed last, and the part of it that is on its disk. */
struct sim_shown {
    uint64_t view;
    uint64_t delivered_seq;
    uint64_t stable_seq;
    /* The seq up to which its core last forgot the log. */
    uint64_t cut_seq;
    uint64_t durable_view;
    uint64_t durable_seq;
    uint64_t durable_stable_seq;
    uint32_t turns;
    /* Turns in a row that came only from the replica's own wish to go on at once. */
    uint32_t woken;
};

/* The core's tables (docs/protocol.md). */
enum { TABLE_LOG = 1, TABLE_CERTIFICATE = 2, TABLE_VIEW_CHANGE = 4, TABLE_NEW_VIEW = 5 };

/* Further types in `said`, beside enum bft_type. */
enum { SIM_SAID_ATTESTATION = 100, SIM_SAID_REFUSED = 101 };

struct sim_checker {
    struct sim_model model;
    /*
     * (type and sender, view, seq) -> the digest that was signed, and the holders of that statement (check_silence.c).
     */
    struct sim_map said;
    uint64_t asked[ORD_REPLICA_MAX]; /* the nonce of each one's newest ASK */
    /* (instance, seq) -> 1 + the view of a certificate that was returned to the replica, and that it has to take. */
    struct sim_map returned;
    /* (seq) -> the statement that honest replicas made there. */
    struct sim_map states;
    struct sim_shown *shown; /* by instance */
    /* The highest view that each one asked for in a VIEW-CHANGE. */
    uint64_t promised[ORD_REPLICA_MAX];
    /* The highest view that an honest replica asked for. */
    uint64_t asked_view;
    /* The newest decided seq when every client was served at last; 0: they are not yet. */
    uint64_t goal_seq;
    uint64_t receipts;
    /* Those of them that came while clients made new requests. */
    uint64_t receipts_loaded;
    uint64_t evidence;
    uint64_t view_max;
    struct sim_changes *changes; /* all VIEW-CHANGEs that were kept */
};

void sim_checker_init(struct sim_world *world);
void sim_checker_deinit(struct sim_world *world);

/* Agreement and total order, when a batch is decided. Called before the batch is executed. */
void sim_check_delivered(struct sim_replica *replica, uint64_t seq, uint64_t term, struct ord_span batch);
/* Everything up to the seq of this APPLIED is executed. What it tells, and the channel's state, are the model's. */
void sim_check_applied(struct sim_replica *replica, const struct ord_event *event);
/*
 * At the end of a turn: core and channel are at one seq, and the pool is within its bounds. `executed`: this turn
 * executed a batch.
 */
void sim_check_turn(struct sim_replica *replica, bool executed);
/* A block was closed, or came by state transfer. It must equal the model's, byte for byte. */
void sim_check_block(struct sim_replica *replica, uint64_t height, struct ord_span header, struct ord_span data);
/* The index places the envelope of this client and sequence there. */
void sim_check_index(struct sim_replica *replica, uint32_t client_index, uint64_t sequence, uint64_t height,
                     uint32_t envelope_index);
/* A replica puts a statement of its own, alone or in a point. Honest replicas make equal statements about one seq. */
void sim_check_kept_statement(struct sim_replica *replica, struct ord_span bytes);
/*
 * A message leaves a replica. No honest key may sign two statements that contradict each other, even after a restart.
 */
void sim_check_said(struct sim_replica *replica, ord_replica_set to, enum replica_link kind, struct ord_span bytes);
/* The replica's judge finds a batch inadmissible. */
void sim_check_refused(struct sim_replica *replica, uint64_t view, uint64_t seq, const struct ord_hash *digest);
/* True if every replica with this id is a liar, or forgetful. */
bool sim_check_id_faulty(const struct sim_world *world, ord_node_id id);
/* True if an honest replica signed or sent this (enum bft_type, SIM_SAID_ATTESTATION). */
bool sim_check_has_said(const struct sim_world *world, uint32_t type, ord_node_id id, uint64_t view, uint64_t seq,
                        const struct ord_hash *digest);
void sim_check_culprit(struct sim_replica *replica, ord_node_id culprit, const char *what);
void sim_check_evidence(struct sim_replica *replica, const struct ord_core_config *config, ord_node_id culprit,
                        struct ord_span first, struct ord_span second);
/* Reads the statement at the front of a record. False: the record is too short. */
bool sim_statement_read(struct channel_statement *out, struct ord_span bytes);
/* check_store.c. Evidence "evidence.CC.SS" is put. It must convince, and CC must not be honest. */
void sim_check_kept_evidence(struct sim_replica *replica, const char *name, struct ord_span bytes);
/* A message leaves. It may depend only on what no crash can take back. */
void sim_check_leaves(struct sim_replica *replica, enum replica_link kind, struct ord_span bytes);
/* Readers are told that blocks up to `height` are final. NULL: a durable certificate proves it. */
void sim_check_certified(struct sim_replica *replica, uint64_t height, const struct channel_certificate *certificate);
/* A message of `from` has a signature that does not verify. */
void sim_check_refuses_sender(struct sim_replica *replica, ord_node_id from);
/* A receipt leaves. The crash images of f + 1 honest disks must hold its block; raft: those of a majority. */
void sim_check_acknowledged(struct sim_replica *replica, uint64_t height);
/* A message goes out to somebody. Liars' messages count as well. */
void sim_check_heard(struct sim_replica *replica, enum replica_link kind, const struct sim_buffer *message);
/* The core keeps a record. A NEW-VIEW that it installs must follow from its view changes. */
void sim_check_persisted(struct sim_replica *replica, uint8_t table, uint64_t key, struct ord_span bytes);

/*
 * check_proof.c. Gives NULL, or what is wrong. `strong`: the certificate of a stable checkpoint; otherwise of a block.
 */
const char *sim_certificate_fault(const struct sim_world *world, const struct channel_certificate *certificate,
                                  bool strong);
void sim_check_certificate(struct sim_replica *replica, const struct channel_certificate *certificate, bool strong);
/* A certificate is put: of the block at `height`, or of the newest stable checkpoint (UINT64_MAX). */
void sim_check_kept_certificate(struct sim_replica *replica, uint64_t height, struct ord_span bytes, bool strong);
/* Checks a well-formed prepared certificate that replica `self` shows. */
const char *sim_prepared_fault(const struct sim_world *world, ord_node_id self, struct ord_span certificate);
bool sim_prepared_has_vote(struct ord_span certificate, ord_node_id id);
struct bft_view_change;
const char *sim_change_fault(const struct sim_world *world, const struct bft_view_change *change,
                             const struct ord_core_config *config);

void sim_changes_deinit(struct sim_checker *checker);
/* After each step: view, delivered seq and stable seq never go back. */
void sim_check_status(struct sim_replica *replica);
void sim_check_started(struct sim_replica *replica);
/* The replica has another disk, perhaps an empty one. */
void sim_check_forgot(struct sim_replica *replica);
struct replica_status;
/* check_counters.c. After a turn: where nobody lies, no counter names a lie. */
void sim_check_counters(struct sim_replica *replica, const struct replica_status *status);
/* check_bounds.c. After a commit: the core's records on the disk are within their bounds. */
void sim_check_records(struct sim_replica *replica);
/* After each step: the memory for batches is within its bound, and nothing is stable before it is delivered. */
void sim_check_memory(struct sim_replica *replica, const struct ord_status *now);
/* After each action of the replica: the next time that it is due. */
void sim_check_due(struct sim_replica *replica, uint64_t due_ms);
/* At the end of a turn. `alone`: the turn had no input. */
void sim_check_woken(struct sim_replica *replica, bool alone);
/* check_silence.c. The core gives out a message. While it is silent, none may be a statement of its own. */
void sim_check_silence(struct sim_replica *replica, struct ord_span message);
void sim_check_silence_started(struct sim_replica *replica);
/* The core has taken a message of `from`. */
void sim_check_taken(struct sim_replica *replica, ord_node_id from, struct ord_span bytes);
/* The core gives out a message. Only ASK and RECALL matter here. */
void sim_check_asking(struct sim_replica *replica, ord_replica_set to, struct ord_span bytes);
/* A VIEW-CHANGE leaves. It reports what was returned to its author. */
struct bft_view_change;
void sim_check_reports(struct sim_replica *replica, struct bft_view_change change);
/* The replica starts, or installs a view, which may make void what was returned to it. */
void sim_check_returned_void(struct sim_replica *replica);
/* A forgetful replica makes a statement. It must not contradict one that it was told of. */
void sim_check_again(struct sim_replica *replica, uint32_t type, uint64_t view, uint64_t seq,
                     const struct ord_hash *digest);
/* The core forgets records of `table` up to `key`. */
void sim_check_forgets(struct sim_replica *replica, uint8_t table, uint64_t key);
/* After a commit: looks at the state that was frozen when the commit began. */
void sim_check_spoke(struct sim_replica *replica);
/* True if more than f replicas are silent or lie. Then nothing has to be ordered. */
bool sim_check_too_many(const struct sim_world *world);
/* NULL: the replica takes part. Otherwise the reason why it does not. */
const char *sim_check_speaking(const struct sim_replica *replica);
void sim_check_durable(struct sim_replica *replica);
/* check_turns.c. Views that end on schedule. */
struct bft_new_view;
/* The replica installs this view. */
void sim_turns_installed(struct sim_replica *replica, const struct bft_new_view *view);
/* Gives the last seq that the view proposes again. False: the replica installed another one since. */
bool sim_turns_begin(const struct sim_replica *replica, uint64_t view, uint64_t *seq);
/* The replica executed up to `applied_seq`, and goes to view `to` because its view `from` ended on schedule. */
void sim_turns_rotated(struct sim_replica *replica, uint64_t from, uint64_t to, uint64_t applied_seq);
/* check_told.c. What a replica was told, and what it owes for it. NULL: a liar, or a replica that is alone. */
struct sim_told *sim_told_create(struct sim_process *process);
void sim_told_destroy(struct sim_told *told);
/* After each step of the core. `before`: its status before the step; `detail` is not valid in it. */
void sim_told_step(struct sim_told *told, const struct ord_event *event, const struct ord_status *before,
                   const struct ord_effects *effects);
/* At rest: the evidence that the replica gave is on its disk. */
void sim_told_rest(const struct sim_told *told);
/* NULL: everything is at rest, all replicas are equal, and every request is served. Otherwise what is still missing. */
const char *sim_check_rest(struct sim_world *world);

#endif
