/*
 * The functions that the files of the PBFT core call in one another, by file. bft/state.h has the state that they
 * share.
 *
 * No files of this folder call one another in a circle (scripts/circles): slot.c is at the bottom, bft.c at the top.
 */
#ifndef ORDAIN_BFT_BFT_INTERNAL_H
#define ORDAIN_BFT_BFT_INTERNAL_H

#include "bft/state.h"

/* effects.c: what a step gives out. None of these can fail, because the bounds follow from the config. */
size_t bft_effect_max(const struct ord_core_config *config);
size_t bft_outbox_size(const struct ord_core_config *config);
void bft_effects_reset(struct ord_core *core);
struct ord_effect *bft_effect(struct ord_core *core, enum ord_effect_type type);
void bft_persist(struct ord_core *core, enum bft_table table, uint64_t seq, struct ord_span bytes);
/* Drops the records of the table up to this key. */
void bft_forget(struct ord_core *core, enum bft_table table, uint64_t key);
void bft_send(struct ord_core *core, ord_replica_set to, struct ord_span bytes, bool after_persist);
/* Sends a message made of a header in the outbox and `body`, which stays where it is. */
void bft_send_with(struct ord_core *core, ord_replica_set to, struct ord_span header, struct ord_span body);
/* Copies the bytes into the outbox. */
struct ord_span bft_outbox_copy(struct ord_core *core, const uint8_t *bytes, size_t size);
/* Signs with this replica's key. If the signer fails, returns its error. */
ORD_MUST_USE enum ord_err bft_sign(struct ord_core *core, struct ord_signature *out, const struct ord_hash *hash);
/* Encodes a list into the outbox. */
struct ord_span bft_outbox_list(struct ord_core *core, const struct bft_vote_list *list);
/*
 * Gives evidence: two statements of one replica that differ only in their digest. There is one per step; if evidence
 * was already given in this step, the call does nothing, and the contradiction has to show on another occasion.
 */
void bft_evidence(struct ord_core *core, const struct bft_statement *statement, const struct bft_proof *proof,
                  const struct ord_hash *other_digest, const struct bft_proof *other_proof);

/* normal/slot.c: the window of slots. */
/* NULL: nothing is known of this seq. */
struct bft_slot *bft_slot_find(const struct ord_core *core, uint64_t seq);
/* The slot of the next seq in the window after `*seq` that has one, and that seq. NULL: there is none. */
struct bft_slot *bft_slot_next(const struct ord_core *core, uint64_t *seq);
/* The slot of a seq in the window. It is empty if it is new. */
struct bft_slot *bft_slot_open(struct ord_core *core, uint64_t seq);
void bft_slot_release(struct ord_core *core, struct bft_slot *slot);
/*
 * Makes room at `slot->message` of an empty slot for a PRE-PREPARE with a body of this size. All batches together take
 * at most `bytes_max`. May move the messages of other slots. False: there is no room.
 */
bool bft_slot_alloc(struct ord_core *core, struct bft_slot *slot, size_t body_size, uint64_t bytes_max);
/* Drops the slot's batch if it has one. Votes and certificate stay. */
void bft_slot_drop_body(struct ord_core *core, struct bft_slot *slot);
/* Whether the batch with `slot->digest` is here. A null batch always is. */
bool bft_slot_has_body(const struct ord_core *core, const struct bft_slot *slot);
/* Makes the message, which is already at `slot->message`, the slot's pre-prepare. */
void bft_slot_fill(struct ord_core *core, struct bft_slot *slot, enum bft_slot_state state,
                   const struct bft_pre_prepare *message, size_t size);
struct ord_span bft_slot_body(const struct bft_slot *slot);
/* The statement of the primary that bound the slot's digest to its seq. */
struct bft_statement bft_slot_statement(const struct ord_core *core, const struct bft_slot *slot);
/* Keeps the slot's PRE-PREPARE on disk. */
void bft_slot_log(struct ord_core *core, struct bft_slot *slot);

/* normal/advance.c: when a slot is prepared, committed and delivered. */
/* Counts the COMMIT of a slot that was just prepared. FLUSH sends it. */
void bft_own_commit(struct ord_core *core, struct bft_slot *slot);
/* To be called after each change of a slot: prepares it and delivers if it can. May release slots, also this one. */
void bft_slot_advance(struct ord_core *core, struct bft_slot *slot);
/* Delivers all seqs that are committed, in their order. */
void bft_deliver(struct ord_core *core);
/* True if this replica and f others stand by the slot's batch, or it is delivered: an honest one judged it. */
bool bft_vouched(const struct ord_core *core, const struct bft_slot *slot);
/*
 * True if f + 1 replicas, this one included, committed to the slot's batch and its primary did not. An honest one is
 * among them, and the primary could have the votes that it has.
 */
bool bft_waits_for_primary(const struct ord_core *core, const struct bft_slot *slot);

/* normal/propose.c */
/* Whether a primary has room, in its window, its view and its memory, to propose a batch of this size. */
bool bft_has_room(const struct ord_core *core, size_t batch_size);
ORD_MUST_USE enum ord_err bft_on_propose(struct ord_core *core, struct ord_span batch);
ORD_MUST_USE enum ord_err bft_on_pre_prepare(struct ord_core *core, const struct ord_verified *verified);
/* False: this PRE-PREPARE, whose signature need not be checked, would change nothing. */
bool bft_wants_pre_prepare(const struct ord_core *core, struct ord_span bytes);
void bft_on_judged(struct ord_core *core, uint64_t view, uint64_t seq, const struct ord_hash *digest, bool admissible,
                   bool lean);

/* normal/prepare.c */
/* Takes a verified PREPARE of another replica, or this replica's own, which was just signed. */
void bft_on_prepare(struct ord_core *core, const struct bft_vote_list *list);
/* False: this PREPARE, whose signature need not be checked, would change nothing. */
bool bft_wants_prepare(const struct ord_core *core, struct ord_span bytes);
/* Signs and sends the PREPAREs that are due, and counts them. */
ORD_MUST_USE enum ord_err bft_flush_prepares(struct ord_core *core);
ORD_MUST_USE enum ord_err bft_sign_list(struct ord_core *core, struct bft_vote_list *list);

/* normal/commit.c */
void bft_on_commit(struct ord_core *core, const struct bft_vote_list *list);
/* False: this COMMIT would change nothing. */
bool bft_wants_commit(const struct ord_core *core, struct ord_span bytes);
void bft_flush_commits(struct ord_core *core);

/* normal/checkpoint.c */
void bft_checkpoint_set(struct bft_checkpoint *checkpoint, uint64_t seq, struct ord_span certificate);
struct ord_span bft_checkpoint_proof(const struct bft_checkpoint *checkpoint);
/* Makes `seq` stable, which was delivered or came by state transfer: the window moves. */
void bft_stabilize(struct ord_core *core, uint64_t seq, struct ord_span certificate);
/* To be called after delivery moved: makes the newest certified point that was reached stable. */
void bft_targets_check(struct ord_core *core);

/* normal/sync.c */
ORD_MUST_USE enum ord_err bft_on_attested(struct ord_core *core, uint64_t seq, struct ord_span certificate);
ORD_MUST_USE enum ord_err bft_on_synced(struct ord_core *core, const struct ord_event *event);
/* Emits SYNC if it is due. */
void bft_sync_check(struct ord_core *core);
/* When SYNC is due next; UINT64_MAX: never. */
uint64_t bft_sync_deadline(const struct ord_core *core);

/* normal/status.c */
/* Sends STATUS to all, unless this replica asks (bft/recovery/silence.h). */
void bft_send_status(struct ord_core *core);
/* Sends it to one replica, besides those that are due to all. */
void bft_send_status_to(struct ord_core *core, ord_node_id to);

/* normal/retransmit.c */
ORD_MUST_USE enum ord_err bft_on_status(struct ord_core *core, const struct bft_status *status);
void bft_on_tick(struct ord_core *core);
/*
 * The time between something that was sent at `sent_ms` and its next repeat: `least_ms`, or longer if nothing has
 * changed for a while. Never longer than `least_ms` and the heartbeat.
 */
uint64_t bft_repeat_ms(const struct ord_core *core, uint64_t sent_ms, uint64_t least_ms);
/* Charges a peer for a message that it is about to be sent again. False: it has had its share, and gets it later. */
ORD_MUST_USE bool bft_budget_spend(struct ord_core *core, ord_node_id node, size_t bytes);
/* A batch of so many bytes was delivered. */
void bft_budget_delivered(struct ord_core *core, size_t bytes);
/* To be called at the end of FLUSH: emits WAKE_AT unless the next deadline is already announced. */
void bft_wake(struct ord_core *core);

/* normal/fetch.c */
/* Asks for a batch by its digest. `from`: replicas that may have it. */
void bft_want(struct ord_core *core, struct bft_slot *slot, const struct ord_hash *digest, ord_replica_set from);
/* Sends FETCH if it is due. */
void bft_fetch_check(struct ord_core *core);
/* When FETCH is due next; UINT64_MAX: never. */
uint64_t bft_fetch_deadline(const struct ord_core *core);
void bft_on_fetch(struct ord_core *core, const struct bft_vote_list *list);

/* normal/body.c */
/* The batch that an AWAITING slot waits for is here. May release slots, also this one. */
void bft_take_body(struct ord_core *core, struct bft_slot *slot, struct ord_span body);
bool bft_wants_body(const struct ord_core *core, struct ord_span bytes);
ORD_MUST_USE enum ord_err bft_on_body(struct ord_core *core, const struct ord_verified *verified);

/* view/leader.c: the primary of this replica's view. */
/* ORD_NO_NODE: no view is installed, or the primary is this replica, which may make no statements. */
ord_node_id bft_leader(const struct ord_core *core);
void bft_announce_leader(struct ord_core *core);
/* Whether the primary of this replica's view, which may be this replica, said that it hands over. */
bool bft_handed_over(const struct ord_core *core);

/* view/rotate.c: views that end by themselves. */
/* The last seq that the primary of the installed view may propose; UINT64_MAX: there is none. */
uint64_t bft_view_end(const struct ord_core *core);
/* Whether the batch of this seq is the first that the primary of the installed view proposes, and has to name it. */
bool bft_names_view(const struct ord_core *core, uint64_t seq);
/* The state was executed up to `seq`, and it says whose turn is passed over. */
void bft_pass_over(struct ord_core *core, uint64_t seq, ord_replica_set pass_over);
/* Whether the last seq of the installed view is delivered; the view that follows may not be known before APPLIED. */
bool bft_view_over(const struct ord_core *core);
/* The view that is to follow on schedule; 0: none is due. */
uint64_t bft_rotation_view(const struct ord_core *core);
/* Goes to the view that is due on schedule. To be called when no COMMIT of the installed view is due. */
void bft_rotate_check(struct ord_core *core);
/* Whether the installed view is over and `view` follows it on schedule. */
bool bft_on_schedule(const struct ord_core *core, uint64_t view);

/* view/failed.c: leaders whose views failed lately. */
/* Whether the leader of this replica's view is remembered. */
bool bft_failed_lately(const struct ord_core *core);
/* The part of the timeout that the leader of this replica's view has. */
uint64_t bft_failed_wait_ms(const struct ord_core *core, uint64_t timeout_ms);
/* This replica's view failed. */
void bft_failed_note(struct ord_core *core);
/* To be called when a seq of the installed view was delivered. */
void bft_failed_delivered(struct ord_core *core, uint64_t seq);

/* view/lag.c: for how long this replica was behind. */
/* Whether this replica knows that others are further: a certified point is above what it delivered. */
bool bft_behind(const struct ord_core *core);
/* To be called at the end of each step. */
void bft_lag_check(struct ord_core *core);
/* For how long this replica was behind since t_ms. 0 for a time to come. */
uint64_t bft_lag_after(const struct ord_core *core, uint64_t t_ms);

/* view/ratchet.c: whether the primary is slower than others were. */
void bft_ratchet_view(struct ord_core *core);
/* Time goes on to `now_ms`; everything else is as it was since core->now_ms. */
void bft_ratchet_pass(struct ord_core *core, uint64_t now_ms);
void bft_on_applied(struct ord_core *core, const struct ord_event *event);
bool bft_ratchet_slow(const struct ord_core *core);

/* view/useless.c: whether the primary orders anything of use. */
/* `seq` was executed, here or by those whose state was transferred; `useful_seq` is the last one that was of use. */
void bft_useless_applied(struct ord_core *core, uint64_t seq, uint64_t useful_seq);
/* Whether more useless seqs were executed in a row than an honest primary can order. */
bool bft_useless_many(const struct ord_core *core);

/* view/suspect.c: when the primary is to be replaced. */
/* Looks at the clocks, and counts which others suspect. Sends STATUS when the suspicion begins or ends. */
void bft_suspect_check(struct ord_core *core);
/* When the next timer is due; UINT64_MAX: none runs. */
uint64_t bft_suspect_deadline(const struct ord_core *core);
/* Whether this replica, or f + 1 others, want another primary. */
bool bft_view_failed(const struct ord_core *core);

/* view/hand_over.c: a primary that lets another replica lead. */
/* HAND_OVER, or this replica's storage is gone. Does nothing unless this replica leads. */
void bft_on_hand_over(struct ord_core *core);

/* view/witness.c: what one replica knows of a primary that contradicts itself, the others must know too. */
/* To be called after a PRE-PREPARE or PREPARE: tells backups that prepared another batch what the primary said here. */
void bft_witness(struct ord_core *core, struct bft_slot *slot);
ORD_MUST_USE enum ord_err bft_on_witness(struct ord_core *core, struct ord_span bytes);
ORD_MUST_USE enum ord_err bft_on_evidence(struct ord_core *core, struct ord_span bytes);
/* False: this EVIDENCE, whose signatures need not be checked, would change nothing. */
bool bft_wants_evidence(const struct ord_core *core, struct ord_span bytes);
/* The primary bound another digest to the (view, seq) of this slot as well. */
void bft_primary_contradicts(struct ord_core *core, struct bft_slot *slot, const struct ord_hash *digest,
                             const struct bft_proof *proof);
/* Leaves the view of a primary that lied, and makes the others leave it. The evidence was the last effect. */
void bft_pass_on_evidence(struct ord_core *core);

/* view/changes.c: the messages that are kept, VIEW-CHANGEs above all. */
struct ord_span bft_kept_bytes(const struct bft_kept *kept);
/* The proof of the statement that the message is. */
struct bft_proof bft_kept_proof(const struct bft_kept *kept);
void bft_keep(struct bft_kept *kept, uint64_t view, const struct ord_hash *digest, struct ord_span bytes);
/* Signs the own message that the writer wrote into `kept`, and ends it. `hash`: what the signature covers. */
ORD_MUST_USE enum ord_err bft_kept_sign(struct ord_core *core, struct bft_kept *kept, struct ord_writer *writer,
                                        uint64_t view, const struct ord_hash *hash);
/* Replicas whose VIEW-CHANGE for the current view is here. */
ord_replica_set bft_changes_held(const struct ord_core *core);
/*
 * The same set, for STATUS. A replica that the NEW-VIEW of this view names is in it only if the VIEW-CHANGE that is
 * named is here.
 */
ord_replica_set bft_changes_shown(const struct ord_core *core);
/* The VIEW-CHANGEs of these replicas for the current view. */
struct bft_change_set bft_changes_of(struct ord_core *core, ord_replica_set set);
/*
 * Whether the NEW-VIEW that came for `of_view`, a view that this replica is going to, names this VIEW-CHANGE of
 * `sender`. `names_sender`: it names one of `sender`, this one or another.
 */
bool bft_is_named(const struct ord_core *core, uint64_t of_view, ord_node_id sender, const struct ord_hash *digest,
                  bool *names_sender);

/* view/view_change.c */
/* FLUSH: makes and sends a VIEW-CHANGE for next_view. If the signer fails, everything stays as it was. */
ORD_MUST_USE enum ord_err bft_change_view(struct ord_core *core);
/* Empties the slots except for what later views may need. */
void bft_leave_view(struct ord_core *core);
/* Takes a verified VIEW-CHANGE. */
ORD_MUST_USE enum ord_err bft_on_view_change(struct ord_core *core, struct ord_span bytes);
/* If f + 1 others are ahead with VIEW-CHANGEs, one of them is honest: goes to the smallest of their views. */
void bft_join(struct ord_core *core);

/* view/choose.c: what a set of view changes says of each seq. OSDI'99, section 4.4. */
/* Fills core->choices from the view changes of `set`, with choice_base_seq and choice_count. They are not `fresh`. */
void bft_choose(struct ord_core *core, const struct bft_change_set *set);
const struct ord_hash *bft_choice_digest(const struct ord_core *core, uint32_t index);

/* view/new_view.c */
/* FLUSH of the new primary: makes, installs and sends the NEW-VIEW, once it can be made. */
ORD_MUST_USE enum ord_err bft_make_new_view(struct ord_core *core);
ORD_MUST_USE enum ord_err bft_on_new_view(struct ord_core *core, struct ord_span bytes);
/* FLUSH: installs a candidate whose view changes are all here. */
void bft_try_candidates(struct ord_core *core);

/* view/install.c */
/*
 * Installs the NEW-VIEW in `view`, which rests on the view changes of `set`. The buffers of both are swapped with those
 * of the view before.
 */
void bft_install(struct ord_core *core, struct bft_kept *view, const struct bft_change_set *set);

/* view/entries.c */
/*
 * Opens the slots of what the installed view proposes again, as far as the window reaches. Called again when it moves.
 */
void bft_open_entries(struct ord_core *core);
/* The batch of the slot's entry is here: accepts it, and prepares it if this replica is a backup. */
void bft_accept_entry(struct ord_core *core, struct bft_slot *slot);

/* view/relay.c: VIEW-CHANGE and NEW-VIEW for replicas that lack them. */
/* Sends what another replica signed. `bytes` stay where they are. */
void bft_relay(struct ord_core *core, ord_replica_set to, struct ord_span bytes);
void bft_answer_view(struct ord_core *core, const struct bft_status *status);
/* Sends the VIEW-CHANGEs under the own NEW-VIEW to peers that lacked those of the same authors lately. */
void bft_give_along(struct ord_core *core);
/* False for a message, relayed or not, that is old or known, so that it would change nothing. */
bool bft_wants(const struct ord_core *core, struct ord_span bytes);

/* recovery/recover.c */
ORD_MUST_USE enum ord_err bft_on_start(struct ord_core *core, const struct ord_event *event);

/* wire/authenticate.c */
enum ord_err bft_authenticate(struct ord_verified *out, const struct ord_core_config *config, ord_node_id from,
                              struct ord_span bytes);
/* About how many signatures a check of the message takes. */
uint32_t bft_cost(struct ord_span bytes);
bool bft_bulk(struct ord_span bytes);

#endif
