/*
 * Decodes bytes of a file as evidence. Every piece that decodes must have one encoding. Evidence with
 * any change (offset, byte) must not verify. If the changed piece is sealed again, it may verify only
 * if it still proves the same contradiction.
 */
#include <stdint.h>
#include <string.h>

#include "core/assert.h"
#include "tests/support/channel_support.h"
#include "tests/support/evidence_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct net *net;
static struct ord_core_config core;
static uint8_t lies[2][EVIDENCE_SIZE_MAX];
static size_t lie_sizes[2];

static void start(void) {
    net = net_create(NULL);
    channel_core_config(&core, &net->config, &net->genesis_hash, 0, &net->ops);
    struct evidence evidence = {
        .genesis_hash = net->genesis_hash,
        .epoch = net->config.epoch,
        .kind = EVIDENCE_VOTES,
        .first = lie_listed(0, &core, &net->signers[1], 2, 70, 1, 1, 3, 5),
        .second = lie_vote(1, &core, &net->signers[1], BFT_PREPARE, 2, 70, 2, 1),
    };
    lie_sizes[0] = evidence_encode(lies[0], &evidence);
    evidence.kind = EVIDENCE_ATTESTATIONS;
    evidence.first = lie_attestation(0, &core, &net->signers[1], 70, 1, 1);
    evidence.second = lie_attestation(1, &core, &net->signers[1], 70, 2, 1);
    lie_sizes[1] = evidence_encode(lies[1], &evidence);
}

static bool verifies(struct evidence_claim *claim, struct ord_span bytes) {
    struct evidence evidence;
    return evidence_take(&evidence, &bytes) == ORD_OK && bytes.size == 0 &&
           evidence_verify(claim, &evidence, &net->config, &net->genesis_hash, &net->ops, NULL) == ORD_OK;
}

static void look_at(struct ord_span bytes) {
    struct evidence evidence;
    struct evidence_claim claim;
    struct evidence_place place;
    ord_node_id culprit;
    for (struct ord_span left = bytes; evidence_take(&evidence, &left) == ORD_OK; bytes = left) {
        uint8_t again[EVIDENCE_SIZE_MAX];
        size_t size = evidence_encode(again, &evidence);
        ORD_ASSERT(ord_span_equal(ord_span_of(again, size), ord_span_of(bytes.data, bytes.size - left.size)));
        if (verifies(&claim, ord_span_of(again, size)))
            ORD_ASSERT(evidence_about(&culprit, &place, &evidence, &core) == ORD_OK && culprit == claim.culprit &&
                       evidence_place_equal(&place, &claim.place));
    }
}

/* Anybody can change the statements and seal the piece again. It must not accuse another replica, or of another lie. */
static void change_statements(int which, const uint8_t *data, size_t size) {
    uint8_t bytes[2][EVIDENCE_STATEMENT_SIZE_MAX];
    uint8_t sealed[EVIDENCE_SIZE_MAX];
    struct evidence evidence;
    struct evidence_claim claim;
    struct ord_span left = ord_span_of(lies[which], lie_sizes[which]);
    ORD_ASSERT(evidence_take(&evidence, &left) == ORD_OK);
    memcpy(bytes[0], evidence.first.data, evidence.first.size);
    memcpy(bytes[1], evidence.second.data, evidence.second.size);
    for (size_t i = 0; i + 3 <= size; i += 3) {
        size_t at = ((size_t) data[i] << 8 | data[i + 1]) % (evidence.first.size + evidence.second.size);
        if (at < evidence.first.size)
            bytes[0][at] = data[i + 2];
        else
            bytes[1][at - evidence.first.size] = data[i + 2];
    }
    evidence.first = ord_span_of(bytes[0], evidence.first.size);
    evidence.second = ord_span_of(bytes[1], evidence.second.size);
    if (!verifies(&claim, ord_span_of(sealed, evidence_encode(sealed, &evidence))))
        return;
    ORD_ASSERT(claim.culprit == 1 && claim.place.seq == 70 &&
               claim.said[0].digest.bytes[0] + claim.said[1].digest.bytes[0] == 1 + 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (net == NULL)
        start();
    look_at(ord_span_of(data, size));
    if (size == 0)
        return 0;
    struct evidence_claim claim;
    static uint8_t changed[EVIDENCE_SIZE_MAX];
    int which = data[0] % 2;
    memcpy(changed, lies[which], lie_sizes[which]);
    for (size_t i = 1; i + 3 <= size; i += 3)
        changed[((size_t) data[i] << 8 | data[i + 1]) % lie_sizes[which]] = data[i + 2];
    ORD_ASSERT(verifies(&claim, ord_span_of(changed, lie_sizes[which])) ==
               (memcmp(changed, lies[which], lie_sizes[which]) == 0));
    change_statements(which, data + 1, size - 1);
    return 0;
}
