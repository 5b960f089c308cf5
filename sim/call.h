/*
 * Calls of a client's engine as bytes on their way through the simulated network. Layouts of the simulator's own: the
 * public API's bytes are tested elsewhere.
 */
#ifndef ORDAIN_SIM_CALL_H
#define ORDAIN_SIM_CALL_H

#include "client/flow/call.h"
#include "core/codec.h"
#include "sim/buffer.h"

/* More results than this do not fit into an answer. */
#define SIM_RESULTS_MAX 512

/* A submit request: its envelopes, each with its length (ord_read_string). Others: their entries' numbers (u64). */
struct sim_buffer *sim_call_pack(const struct engine_request *request);
struct sim_buffer *sim_call_answer(const struct engine_answer *answer);
/* `results` has SIM_RESULTS_MAX places. Borrows from `bytes`. */
void sim_call_read(struct engine_answer *out, struct engine_result *results, struct ord_span bytes);

#endif
