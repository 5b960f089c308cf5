/*
 * A plain reference of one process's request pool. It is told what goes into the replica: submissions, forwards, checks
 * that come back, and decisions. It is compared with what comes out: answers, forwards, proposals, WORK and verdicts.
 * Rules: docs/protocol.md, "Forwarding", "Judging", "Proposing". Liars have none.
 */
#ifndef ORDAIN_SIM_INTAKE_H
#define ORDAIN_SIM_INTAKE_H

#include "core/protocol.h"
#include "replica/host.h"
#include "sim/identities.h"

struct sim_process;
struct sim_input;
struct sim_submission;
struct sim_intake;

struct sim_intake *sim_intake_create(struct sim_process *process);
void sim_intake_destroy(struct sim_intake *intake);
/* A turn begins. */
void sim_intake_turn(struct sim_intake *intake);
/* The replica takes an input. */
void sim_intake_taken(struct sim_intake *intake, const struct sim_input *input);
/* The replica hands out a check. */
void sim_intake_check(struct sim_intake *intake, const struct replica_check *check);
/* The replica sends. */
void sim_intake_sent(struct sim_intake *intake, ord_replica_set to, enum replica_link kind,
                     const struct ord_span *parts, size_t part_count);
/*
 * The replica has judged the envelopes of a submission, except those in `waiting`: their signatures are checked first.
 * It answers for all together, but what it does with those that need no check, it does at once.
 */
void sim_intake_judged(struct sim_intake *intake, struct sim_submission *submission, uint64_t waiting);
/* The core gets an event, has given an effect, or is done with a step. */
void sim_intake_event(struct sim_intake *intake, const struct ord_event *event);
void sim_intake_effect(struct sim_intake *intake, const struct ord_effect *effect);
void sim_intake_stepped(struct sim_intake *intake, const struct ord_event *event, bool taken);
/* Everything decided up to `seq` is executed. */
void sim_intake_executed(struct sim_intake *intake, uint64_t seq);
/* A block is put. */
void sim_intake_block(struct sim_intake *intake, uint64_t height);
/* The turn is over. */
void sim_intake_ended(struct sim_intake *intake);
/* The time by which the replica must be due, for a cut marker; UINT64_MAX: it need not be due. */
uint64_t sim_intake_due_ms(const struct sim_intake *intake);
/* NULL: nothing is left here. Otherwise what is. */
const char *sim_intake_rest(const struct sim_intake *intake);

#endif
