/*
 * Forwarding envelopes of the pool: to the leader at once, and to all if they wait.
 */
#ifndef ORDAIN_REPLICA_FORWARD_H
#define ORDAIN_REPLICA_FORWARD_H

struct replica;

/* Forwards what came in since the last turn. */
void forward_fresh(struct replica *replica);
/* Forwards again what was forwarded and is not executed yet. To be called several times a second. */
void forward_again(struct replica *replica);

#endif
