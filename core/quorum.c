/*
 * Quorum arithmetic. core/quorum.h names the source.
 */
#include "core/quorum.h"

#include "core/assert.h"
#include "core/codec.h"

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

ord_node_id ord_leader_of_view(const struct ord_hash *genesis_hash, uint32_t replica_count, uint64_t view) {
    const uint64_t first = ord_load_u64(genesis_hash->bytes) % replica_count;
    return (ord_node_id) ((view % replica_count + first) % replica_count);
}
