/*
 * Readers are told of a block when it is both on disk and certified. The certificate itself need not be on disk yet,
 * because it can be served and proves the block without a disk.
 */
#include "replica/replica_internal.h"

static void tell(struct replica *replica, uint64_t height, const struct channel_certificate *certificate) {
    if (height > replica->certified.height)
        replica->certified.height = height;
    replica_host(replica)->certified(replica_host(replica)->context, height, certificate);
}

void certified_keep(struct replica *replica, const struct channel_certificate *certificate) {
    const struct replica_store *store = replica_store(replica);
    struct certified *certified = &replica->certified;
    uint64_t height = certificate->statement.height;
    if (height > 0) {
        uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
        size_t size = channel_certificate_encode(bytes, certificate);
        replica_need(replica, store->put_certificate(store->ledger, height, ord_span_of(bytes, size)),
                     "writing a certificate");
    }
    if (height <= certified->committed_height)
        tell(replica, height, certificate);
    else if (certified->pending.count == 0 || height >= certified->pending.statement.height)
        certified->pending = *certificate;
}

void certified_recover(struct replica *replica, uint64_t height) {
    struct certified *certified = &replica->certified;
    certified->committed_height = channel_height(replica->execute.channel);
    certified->frozen_height = certified->committed_height;
    tell(replica, height, NULL);
}

void certified_freeze(struct replica *replica) {
    replica->certified.frozen_height = channel_height(replica->execute.channel);
}

void certified_committed(struct replica *replica) {
    struct certified *certified = &replica->certified;
    certified->committed_height = certified->frozen_height;
    if (certified->pending.count == 0 || certified->pending.statement.height > certified->committed_height)
        return;
    tell(replica, certified->pending.statement.height, &certified->pending);
    certified->pending.count = 0;
}
