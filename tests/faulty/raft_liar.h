/*
 * A replica of a Raft channel that lies: the real core inside a wrapper. Raft promises nothing then. What the others
 * notice all the same, and what they do not, is measured (docs/comparison.md).
 */
#ifndef ORDAIN_TESTS_FAULTY_RAFT_LIAR_H
#define ORDAIN_TESTS_FAULTY_RAFT_LIAR_H

#include "node/seam.h"

/* Name and what the liar does. */
#define RAFT_LIAR_BEHAVIOURS(X)                                                                                        \
    X(split_log, "as the leader: shows the second half of the others other entries than the first half")               \
    X(ack_unkept, "as a follower: acknowledges entries that it does not keep")                                         \
    X(vote_twice, "as a voter: grants its vote to every candidate, and never stands itself")

enum raft_liar_behaviour {
#define RAFT_LIAR_ENUM(name, text) RAFT_LIAR_##name,
    RAFT_LIAR_BEHAVIOURS(RAFT_LIAR_ENUM)
#undef RAFT_LIAR_ENUM
        RAFT_LIAR_BEHAVIOUR_COUNT
};

const char *raft_liar_behaviour_name(enum raft_liar_behaviour behaviour);

struct raft_liar_options {
    bool behaviours[RAFT_LIAR_BEHAVIOUR_COUNT];
    /* It is honest until its log reaches this seq. */
    uint64_t after_seq;
};

/* Fills in the seam. There is one liar per process. `options` must outlive it. */
void raft_liar_seam(struct node_seam *out, const struct raft_liar_options *options);

#endif
