/*
 * Quorum arithmetic, in one place. Source: Castro and Liskov, OSDI'99, section 3; for n other than 3f + 1 the quorum is
 * the smallest q with 2q - n > f, so that two quorums share an honest replica.
 */
#ifndef ORDAIN_CORE_QUORUM_H
#define ORDAIN_CORE_QUORUM_H

#include <stdint.h>

/* f: how many of `replica_count` replicas may lie. replica_count >= 1. */
uint32_t ord_bft_faulty_max(uint32_t replica_count);

/* Replicas whose agreement no other quorum can contradict: 2f + 1 for n = 3f + 1. */
uint32_t ord_bft_quorum(uint32_t replica_count);

/* At least one honest replica is among so many: f + 1. */
uint32_t ord_bft_weak_quorum(uint32_t replica_count);

/* Majority, for crash faults. */
uint32_t ord_majority(uint32_t replica_count);

#endif
