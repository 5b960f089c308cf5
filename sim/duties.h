/*
 * Checks what an honest process owes others: its newest attestation again and again, the stable certificate to those
 * who are behind, blocks and tails to those who ask, evidence to its disk, and a commit to everything that others wait
 * for. Rules: docs/protocol.md, docs/formats.md ("State transfer", "Ledger"). Liars owe nothing.
 */
#ifndef ORDAIN_SIM_DUTIES_H
#define ORDAIN_SIM_DUTIES_H

#include "core/protocol.h"
#include "replica/host.h"
#include "sim/disk.h"

struct sim_process;
struct sim_input;
struct sim_duties;

/* The name of the record with a replica's piece of evidence in this slot. */
void sim_evidence_name(char out[SIM_NAME_SIZE], ord_node_id culprit, uint32_t slot);
struct sim_duties *sim_duties_create(struct sim_process *process);
void sim_duties_destroy(struct sim_duties *duties);
/* A turn begins; the replica takes an input; the replica sends. */
void sim_duties_turn(struct sim_duties *duties);
void sim_duties_taken(struct sim_duties *duties, const struct sim_input *input);
void sim_duties_sent(struct sim_duties *duties, ord_replica_set to, enum replica_link kind,
                     const struct ord_span *parts, size_t part_count);
/* The core gets an event, or has given an effect. */
void sim_duties_event(struct sim_duties *duties, const struct ord_event *event);
void sim_duties_effect(struct sim_duties *duties, const struct ord_effect *effect);
/* A small record is put. */
void sim_duties_put(struct sim_duties *duties, const char *name, struct ord_span value);
/* A certificate of the block at `height` is put. */
void sim_duties_certificate(struct sim_duties *duties, uint64_t height);
/* The turn is over, and its writes wait only for their commit. */
void sim_duties_ended(struct sim_duties *duties);
/* replica_commit or replica_committed is done. `turn` is to be committed; 0: nothing is. */
void sim_duties_commit(struct sim_duties *duties, uint64_t turn);
/* The disk has taken a turn. */
void sim_duties_durable(struct sim_duties *duties);

#endif
