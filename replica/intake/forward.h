/*
 * Envelopes of the pool on their way to the leader, and to all when they wait.
 */
#ifndef ORDAIN_REPLICA_FORWARD_H
#define ORDAIN_REPLICA_FORWARD_H

struct replica;

/* Sends on what came in since the last turn. */
void forward_fresh(struct replica *replica);
/* Sends again what was sent on and is not executed yet. Several times a second. */
void forward_again(struct replica *replica);

#endif
