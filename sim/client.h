/*
 * Clients: they register, submit, try other replicas when no receipt comes, and check receipts. Some of them lie.
 */
#ifndef ORDAIN_SIM_CLIENT_H
#define ORDAIN_SIM_CLIENT_H

#include "sim/world.h"

#define SIM_CLIENT_WINDOW_MAX 16

struct sim_waiting {
    bool used;
    uint64_t sequence;
    struct sim_buffer *envelope;
    uint64_t since_us; /* an honest replica was asked, + 1; 0: none yet */
    uint32_t tries;
};

struct sim_client {
    bool liar;
    bool eager;      /* does not wait for its registration */
    bool registered; /* has the receipt */
    uint64_t next_sequence;
    struct sim_waiting waiting[SIM_CLIENT_WINDOW_MAX];
    uint64_t longest_us; /* from the first honest replica asked to the receipt */
};

void sim_clients_create(struct sim_world *world);
void sim_clients_destroy(struct sim_world *world);
void sim_client_event(struct sim_world *world, const struct sim_event *event);
void sim_client_reply(struct sim_world *world, const struct sim_event *event);
const struct ord_hash *sim_client_fingerprint(const struct sim_world *world, uint32_t client);
/* One more request: a replica that is left behind alone learns of it by the next block only. */
/* Is there anybody to send one? */
bool sim_clients_can_nudge(const struct sim_world *world);
void sim_clients_nudge(struct sim_world *world);
/* That an honest client waited for a receipt, since it had first asked an honest replica. */
uint64_t sim_clients_longest_us(const struct sim_world *world);
/* NULL: every request of an honest client is served, or cannot be. */
const char *sim_clients_rest(const struct sim_world *world);

#endif
