/*
 * Quorum arithmetic. core/quorum.h names the source.
 */
#include "core/quorum.h"

#include "core/assert.h"

uint32_t ord_bft_faulty_max(uint32_t replica_count) {
    ORD_ASSERT(replica_count >= 1);
    return (replica_count - 1) / 3;
}

uint32_t ord_bft_quorum(uint32_t replica_count) {
    uint32_t faulty = ord_bft_faulty_max(replica_count);
    return (replica_count + faulty) / 2 + 1; /* smallest q with 2q - n > f */
}

uint32_t ord_bft_weak_quorum(uint32_t replica_count) {
    return ord_bft_faulty_max(replica_count) + 1;
}

uint32_t ord_majority(uint32_t replica_count) {
    ORD_ASSERT(replica_count >= 1);
    return replica_count / 2 + 1;
}
