/*
 * A client that submits as a program with libordain does: the library's engine (client/flow/engine.h), with the
 * simulated network as its transport. The checks ask of the engine what its caller may rely on: each envelope gets
 * ACCEPTED and FINAL once, its receipt is right, no honest replica is accused, and no envelope is signed again.
 */
#ifndef ORDAIN_SIM_SUBMIT_H
#define ORDAIN_SIM_SUBMIT_H

#include "sim/client.h"

struct sim_submitter;

struct sim_submitter *sim_submitter_create(struct sim_world *world, uint32_t client);
void sim_submitter_destroy(struct sim_submitter *submitter);
/* An envelope would be taken now. */
bool sim_submitter_room(const struct sim_submitter *submitter);
/* There must be room. Fills in the number and the envelope of `waiting`, which waits until sim_client_served. */
void sim_submitter_submit(struct sim_submitter *submitter, struct sim_waiting *waiting,
                          const struct ord_span *transactions, uint32_t count);
/* A turn of the engine is due; `at_us` is the event's. */
void sim_submitter_timer(struct sim_submitter *submitter, uint64_t at_us);
/* A call got no answer in time. */
void sim_submitter_over(struct sim_submitter *submitter, uint64_t call);
void sim_submitter_answer(struct sim_submitter *submitter, const struct sim_event *event);

#endif
