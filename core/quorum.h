/*
 * Quorum arithmetic, in one place. Source: Castro and Liskov, OSDI'99, section 3; for n other than 3f + 1 the quorum is
 * the smallest q with 2q - n > f, so that two quorums share an honest replica.
 */
#ifndef ORDAIN_CORE_QUORUM_H
#define ORDAIN_CORE_QUORUM_H

#include <stdint.h>

#include "core/types.h"

/* f: how many of `replica_count` replicas may be faulty. Requires replica_count >= 1. */
uint32_t ord_bft_faulty_max(uint32_t replica_count);

/* Number of replicas whose agreement no other quorum can contradict: 2f + 1 for n = 3f + 1. */
uint32_t ord_bft_quorum(uint32_t replica_count);

/* f + 1: among this many replicas at least one is honest. */
uint32_t ord_bft_weak_quorum(uint32_t replica_count);

/* Majority, the quorum for crash faults. Requires replica_count >= 1. */
uint32_t ord_majority(uint32_t replica_count);

/*
 * Who leads `view` where replicas lead by turns, one view each. The genesis hash decides who begins, so that not every
 * channel begins with replica 0.
 */
ord_node_id ord_leader_of_view(const struct ord_hash *genesis_hash, uint32_t replica_count, uint64_t view);

#endif
