/*
 * Contradicting statements with real signatures.
 */
#include "tests/support/evidence_support.h"

#include <string.h>

#include "core/assert.h"

static uint8_t room[LIE_SLOTS][EVIDENCE_STATEMENT_SIZE_MAX];

struct ord_span lie_vote(int slot, const struct ord_core_config *config, const struct ord_signer *signer,
                         enum bft_type type, uint64_t view, uint64_t seq, uint8_t fill, ord_node_id sender) {
    struct bft_statement statement = {.type = type, .view = view, .seq = seq, .sender = sender};
    struct ord_hash hash;
    struct ord_signature signature;
    memset(statement.digest.bytes, fill, ORD_HASH_SIZE);
    bft_statement_hash(&hash, config, &statement);
    ORD_ASSERT(signer->sign(signer->context, &signature, &hash) == ORD_OK);
    struct bft_proof proof = bft_proof_alone(&signature);
    return ord_span_of(room[slot], bft_signed_encode(room[slot], config, &statement, &proof));
}

struct ord_span lie_listed(int slot, const struct ord_core_config *config, const struct ord_signer *signer,
                           uint64_t view, uint64_t seq, uint8_t fill, ord_node_id sender, uint32_t index,
                           uint32_t count) {
    static struct bft_vote_list list;
    static struct bft_vote_tree tree;
    struct ord_hash hash;
    struct bft_proof proof;
    ORD_ASSERT(index < count && count <= BFT_LIST_MAX && seq > index);
    list = (struct bft_vote_list) {.type = BFT_PREPARE, .view = view, .sender = sender, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        list.votes[i].seq = seq - index + i;
        memset(list.votes[i].digest.bytes, i == index ? fill : 0x77, ORD_HASH_SIZE);
    }
    bft_vote_tree_build(&tree, config, &list);
    bft_vote_tree_signed_hash(&hash, &tree, config);
    ORD_ASSERT(signer->sign(signer->context, &list.signature, &hash) == ORD_OK);
    bft_vote_tree_proof(&proof, &tree, index, &list.signature);
    struct bft_statement statement = {.type = BFT_PREPARE, .view = view, .seq = seq, .sender = sender};
    statement.digest = list.votes[index].digest;
    return ord_span_of(room[slot], bft_signed_encode(room[slot], config, &statement, &proof));
}

struct ord_span lie_attestation(int slot, const struct ord_core_config *config, const struct ord_signer *signer,
                                uint64_t seq, uint8_t fill, ord_node_id sender) {
    struct channel_statement statement = {.epoch = config->epoch, .seq = seq, .height = 3};
    struct channel_attestation attestation;
    memset(statement.state_digest.bytes, fill, ORD_HASH_SIZE);
    ORD_ASSERT(channel_attest(&attestation, &config->genesis_hash, &statement, sender, signer) == ORD_OK);
    channel_attestation_encode(room[slot], &attestation);
    return ord_span_of(room[slot], CHANNEL_ATTESTATION_SIZE);
}
