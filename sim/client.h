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
    uint64_t since_us;
    uint32_t tries;
};

struct sim_client {
    bool liar;
    bool eager;      /* does not wait for its registration */
    bool registered; /* has the receipt */
    uint64_t next_sequence;
    struct sim_waiting waiting[SIM_CLIENT_WINDOW_MAX];
    uint64_t served;
    uint64_t latency_us; /* sum */
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
/* NULL: every request of an honest client is served, or cannot be. */
const char *sim_clients_rest(const struct sim_world *world);

#endif
