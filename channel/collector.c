/*
 * Collects verified attestations. Each signer has a shelf of its own with the CHANNEL_COLLECTOR_DEPTH highest seqs. A
 * replica that attests wild seqs therefore displaces only attestations of its own.
 */
#include <string.h>

#include "channel/attestation.h"
#include "channel/marks.h"
#include "core/assert.h"

struct kept {
    struct channel_statement statement;
    struct ord_signature signature;
};

struct shelf {
    uint32_t count;
    struct kept kept[CHANNEL_COLLECTOR_DEPTH]; /* by rising seq, each seq once */
};

struct channel_collector {
    uint32_t replica_count;
    struct shelf shelves[];
};

size_t channel_collector_size(uint32_t replica_count) {
    return sizeof(struct channel_collector) + (size_t) replica_count * sizeof(struct shelf);
}

void channel_collector_init(struct channel_collector **out, void *memory, uint32_t replica_count) {
    ORD_ASSERT(replica_count <= ORD_REPLICA_MAX);
    memset(memory, 0, channel_collector_size(replica_count));
    *out = memory;
    (*out)->replica_count = replica_count;
}

/* The first position whose seq is >= `seq`, or shelf->count if there is none. */
static uint32_t lower_bound(const struct shelf *shelf, uint64_t seq) {
    uint32_t low = 0;
    uint32_t high = shelf->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (shelf->kept[middle].statement.seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct kept *find(const struct shelf *shelf, uint64_t seq) {
    uint32_t at = lower_bound(shelf, seq);
    return at < shelf->count && shelf->kept[at].statement.seq == seq ? &shelf->kept[at] : NULL;
}

/* Puts an attestation on the shelf. False: the shelf is full, and all its attestations are newer. */
static bool put(struct shelf *shelf, const struct channel_attestation *attestation) {
    uint32_t at = lower_bound(shelf, attestation->statement.seq);
    if (shelf->count == CHANNEL_COLLECTOR_DEPTH) {
        if (at == 0)
            return false;
        ORD_MARK(ATTESTATION_DISPLACES);
        at--;
        memmove(&shelf->kept[0], &shelf->kept[1], at * sizeof(shelf->kept[0]));
    } else {
        memmove(&shelf->kept[at + 1], &shelf->kept[at], (shelf->count - at) * sizeof(shelf->kept[0]));
        shelf->count++;
    }
    shelf->kept[at] = (struct kept) {.statement = attestation->statement, .signature = attestation->signature};
    return true;
}

/* Gathers the signatures of all replicas that attested `statement`. */
static void gather(const struct channel_collector *collector, struct channel_certificate *out,
                   const struct channel_statement *statement) {
    out->statement = *statement;
    out->count = 0;
    for (uint32_t i = 0; i < collector->replica_count; i++) {
        const struct kept *kept = find(&collector->shelves[i], statement->seq);
        ORD_MARK_IF(kept != NULL && !channel_statement_equal(&kept->statement, statement), ATTESTATION_DIFFERS);
        if (kept == NULL || !channel_statement_equal(&kept->statement, statement))
            continue;
        out->signers[out->count] = i;
        out->signatures[out->count++] = kept->signature;
    }
}

enum ord_err channel_collector_add(struct channel_collector *collector, struct channel_certificate *certificate,
                                   const struct channel_attestation *attestation, uint32_t quorum) {
    if (attestation->signer >= collector->replica_count)
        return ORD_ERR_INVALID;
    struct shelf *shelf = &collector->shelves[attestation->signer];
    const struct kept *kept = find(shelf, attestation->statement.seq);
    ORD_MARK_IF(kept != NULL && !channel_statement_equal(&kept->statement, &attestation->statement), ATTESTATION_TWICE);
    if (kept != NULL)
        return channel_statement_equal(&kept->statement, &attestation->statement) ? ORD_ERR_DUPLICATE
                                                                                  : ORD_ERR_MISMATCH;
    if (!put(shelf, attestation))
        return ORD_ERR_NOT_FOUND;
    gather(collector, certificate, &attestation->statement);
    return certificate->count >= quorum ? ORD_OK : ORD_ERR_NOT_FOUND;
}

bool channel_collector_find(const struct channel_collector *collector, struct channel_attestation *out,
                            ord_node_id signer, uint64_t seq) {
    const struct kept *kept = signer < collector->replica_count ? find(&collector->shelves[signer], seq) : NULL;
    if (kept == NULL)
        return false;
    *out = (struct channel_attestation) {.statement = kept->statement, .signer = signer, .signature = kept->signature};
    return true;
}

void channel_collector_prune(struct channel_collector *collector, uint64_t seq) {
    for (uint32_t i = 0; i < collector->replica_count; i++) {
        struct shelf *shelf = &collector->shelves[i];
        uint32_t drop = seq == UINT64_MAX ? shelf->count : lower_bound(shelf, seq + 1);
        memmove(&shelf->kept[0], &shelf->kept[drop], (shelf->count - drop) * sizeof(shelf->kept[0]));
        shelf->count -= drop;
    }
}
