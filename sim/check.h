/*
 * What must hold at every step (the invariants of docs/testing.md). Called by the processes where something happens; the first
 * violation ends the run. Liars are looked at nowhere but as culprits; forgetful replicas (sim/world.h) keep the chain's rules
 * but are excused from their earlier promises, as far as nobody told them of those.
 */
#ifndef ORDAIN_SIM_CHECK_H
#define ORDAIN_SIM_CHECK_H

#include "channel/attestation.h"
#include "sim/model.h"
#include "sim/world.h"

struct sim_changes;

/* What a replica showed last, and what of it is on its disk. */
struct sim_shown {
    uint64_t view;
    uint64_t delivered_seq;
    uint64_t stable_seq;
    uint64_t cut_seq; /* up to which its core forgot the log last */
    uint64_t durable_view;
    uint64_t durable_seq;
    uint64_t durable_stable_seq;
    uint32_t turns;
    uint32_t woken; /* turns in a row that nothing but the replica's own wish to go on at once has brought */
};

/* Beside enum bft_type, in `said`. */
enum { SIM_SAID_ATTESTATION = 100, SIM_SAID_REFUSED = 101 };

struct sim_checker {
    struct sim_model model;
    struct sim_map said; /* (type and sender, view, seq) -> digest that was signed; who holds it (check_silence.c) */
    uint64_t asked[ORD_REPLICA_MAX];    /* the nonce of its newest ASK */
    struct sim_map states;              /* (seq) -> statement that an honest replica made there */
    struct sim_shown *shown;            /* by instance */
    uint64_t promised[ORD_REPLICA_MAX]; /* the highest view that it asked for, in a VIEW-CHANGE */
    uint64_t asked_view;                /* the highest that an honest replica asked for */
    uint64_t goal_seq;                  /* how far all was when every client was served at last; 0: not yet */
    uint64_t receipts;
    uint64_t evidence;
    uint64_t view_max;
    struct sim_changes *changes; /* all VIEW-CHANGEs that were said */
};

void sim_checker_init(struct sim_world *world);
void sim_checker_deinit(struct sim_world *world);

/* Agreement and total order: a batch is decided. Before it is executed. */
void sim_check_delivered(struct sim_replica *replica, uint64_t seq, struct ord_span batch);
/* What was delivered up to `seq` is executed: so many envelopes of it since the last time, and the state is the model's. */
void sim_check_applied(struct sim_replica *replica, uint64_t seq, uint32_t envelopes, uint64_t useful_seq);
/* At the end of a turn: core and channel are at one seq, and the pool is within its bounds. `executed`: a batch was. */
void sim_check_turn(struct sim_replica *replica, bool executed);
/* A block closed, or came by state transfer: it is the model's, byte for byte. */
void sim_check_block(struct sim_replica *replica, uint64_t height, struct ord_span header, struct ord_span data);
/* The index finds the envelope of this client and sequence at that place. */
void sim_check_index(struct sim_replica *replica, uint32_t client_index, uint64_t sequence, uint64_t height,
                     uint32_t envelope_index);
/* An own statement is put, alone or as a point: those of honest replicas about one seq are one. */
void sim_check_kept_statement(struct sim_replica *replica, struct ord_span bytes);
/* What leaves a replica: no honest key signs two statements that contradict one another, restarts included. */
void sim_check_said(struct sim_replica *replica, enum replica_link kind, struct ord_span bytes);
/* Its judge finds a batch inadmissible. */
void sim_check_refused(struct sim_replica *replica, uint64_t view, uint64_t seq, const struct ord_hash *digest);
/* Is every replica with this id a liar, or forgetful? */
bool sim_check_id_faulty(const struct sim_world *world, ord_node_id id);
/* Did an honest replica sign or send this (enum bft_type, SIM_SAID_ATTESTATION)? */
bool sim_check_has_said(const struct sim_world *world, uint32_t type, ord_node_id id, uint64_t view, uint64_t seq,
                        const struct ord_hash *digest);
void sim_check_culprit(struct sim_replica *replica, ord_node_id culprit, const char *what);
void sim_check_evidence(struct sim_replica *replica, const struct ord_core_config *config, ord_node_id culprit,
                        struct ord_span first, struct ord_span second);
/* Out of the front of a record; false: too short. */
bool sim_statement_read(struct channel_statement *out, struct ord_span bytes);
/* check_store.c. Evidence "evidence.CC.SS" is put: it convinces, and CC is not honest. */
void sim_check_kept_evidence(struct sim_replica *replica, const char *name, struct ord_span bytes);
/* What leaves depends on nothing that a crash could take back. */
void sim_check_leaves(struct sim_replica *replica, enum replica_link kind, struct ord_span bytes);
/* Readers are told that blocks up to `height` are final; NULL: by a certificate that is durable. */
void sim_check_certified(struct sim_replica *replica, uint64_t height, const struct channel_certificate *certificate);
/* A message of `from` has a signature that does not verify. */
void sim_check_refuses_sender(struct sim_replica *replica, ord_node_id from);
/* A receipt leaves: the block is in the crash image of f + 1 honest disks. */
void sim_check_acknowledged(struct sim_replica *replica, uint64_t height);
/* A message goes out to somebody, a liar's too. */
void sim_check_heard(struct sim_replica *replica, enum replica_link kind, const struct sim_buffer *message);
/* The core keeps a record: a NEW-VIEW that it installs must follow from its view changes. */
void sim_check_persisted(struct sim_replica *replica, uint8_t table, uint64_t key, struct ord_span bytes);

/* check_proof.c: NULL, or what is wrong. `strong`: of a stable checkpoint; else of a block. */
const char *sim_certificate_fault(const struct sim_world *world, const struct channel_certificate *certificate,
                                  bool strong);
void sim_check_certificate(struct sim_replica *replica, const struct channel_certificate *certificate, bool strong);
/* It is put, of the block at `height`, or of the newest stable checkpoint (UINT64_MAX). */
void sim_check_kept_certificate(struct sim_replica *replica, uint64_t height, struct ord_span bytes, bool strong);
/* Of a prepared certificate that has form, and that replica `self` shows. */
const char *sim_prepared_fault(const struct sim_world *world, ord_node_id self, struct ord_span certificate);
bool sim_prepared_has_vote(struct ord_span certificate, ord_node_id id);
struct bft_view_change;
const char *sim_change_fault(const struct sim_world *world, const struct bft_view_change *change,
                             const struct ord_core_config *config);

void sim_changes_deinit(struct sim_checker *checker);
/* After each step: view, delivered and stable never go back. */
void sim_check_status(struct sim_replica *replica);
void sim_check_started(struct sim_replica *replica);
/* It has another disk, perhaps an empty one. */
void sim_check_forgot(struct sim_replica *replica);
/* check_bounds.c. After a commit: what the disk has of the core's. */
void sim_check_records(struct sim_replica *replica);
/* After each step: batches, what is stable. */
void sim_check_memory(struct sim_replica *replica, const struct ord_status *now);
/* Whenever the replica did something: when it is due next. */
void sim_check_due(struct sim_replica *replica, uint64_t due_ms);
/* At the end of a turn. `alone`: nothing came in it. */
void sim_check_woken(struct sim_replica *replica, bool alone);
/* check_silence.c. The core gives out a message: not one of its own words while it is silent. */
void sim_check_silence(struct sim_replica *replica, struct ord_span message);
void sim_check_silence_started(struct sim_replica *replica);
/* The core has taken a message of `from`. */
void sim_check_taken(struct sim_replica *replica, ord_node_id from, struct ord_span bytes);
/* An ASK or a RECALL is given out; others are not looked at. */
void sim_check_asking(struct sim_replica *replica, ord_replica_set to, struct ord_span bytes);
/* A statement of one that was forgetful: contradicts nothing that it was told of. */
void sim_check_again(struct sim_replica *replica, uint32_t type, uint64_t view, uint64_t seq,
                     const struct ord_hash *digest);
/* The core forgets records of `table` up to `key`. */
void sim_check_forgets(struct sim_replica *replica, uint8_t table, uint64_t key);
/* After a commit, about what it began with. */
void sim_check_spoke(struct sim_replica *replica);
/* Are more than f silent or liars? Then nothing has to be ordered. */
bool sim_check_too_many(const struct sim_world *world);
/* NULL: it takes part. */
const char *sim_check_speaking(const struct sim_replica *replica);
void sim_check_durable(struct sim_replica *replica);
/* NULL: everything is at rest, all replicas are equal and every request is served. Else what is not yet. */
const char *sim_check_rest(struct sim_world *world);

#endif
