/*
 * The door: parses wire bytes, checks sender and signature, and computes the digest of a body. Stateless, so that a pool
 * of threads may do it; at most one signature verification and two passes over the bytes per message.
 */
#include "bft/bft_internal.h"

#include <string.h>

static enum ord_err authenticate_pre_prepare(struct ord_verified *out, const struct ord_core_config *config,
                                             struct ord_span bytes) {
    struct bft_pre_prepare message;
    enum ord_err err = bft_pre_prepare_decode(&message, config, bytes);
    if (err != ORD_OK)
        return err;
    bft_body_digest(&out->digest, config->crypto, message.body);
    if (!ord_hash_equal(&out->digest, &message.digest))
        return ORD_ERR_MISMATCH;
    struct bft_statement statement = {.type = BFT_PRE_PREPARE,
                                      .view = message.view,
                                      .seq = message.seq,
                                      .digest = message.digest,
                                      .sender = message.sender};
    struct ord_hash hash;
    bft_statement_hash(&hash, config, &statement);
    return config->crypto->verify(config->crypto->context, message.sender, &hash, &message.signature)
               ? ORD_OK
               : ORD_ERR_BAD_SIGNATURE;
}

static enum ord_err authenticate_list(const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_vote_list list;
    enum ord_err err = bft_vote_list_decode(&list, config, bytes);
    if (err != ORD_OK || list.type == BFT_COMMIT)
        return err;
    struct bft_vote_tree tree;
    struct ord_hash hash;
    bft_vote_tree_build(&tree, config, &list);
    bft_vote_tree_signed_hash(&hash, &tree, config);
    return config->crypto->verify(config->crypto->context, list.sender, &hash, &list.signature) ? ORD_OK
                                                                                                : ORD_ERR_BAD_SIGNATURE;
}

enum ord_err bft_authenticate(struct ord_verified *out, const struct ord_core_config *config, ord_node_id from,
                              struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct bft_header header;
    enum ord_err err = bft_header_read(&header, &reader, config);
    if (err != ORD_OK)
        return err;
    if (header.sender != from || from >= config->replica_count || from == config->self)
        return ORD_ERR_FORBIDDEN;
    memset(&out->digest, 0, sizeof(out->digest));
    out->from = from;
    out->bytes = bytes;
    out->type = (uint8_t) header.type;
    struct bft_status status;
    switch (bytes.data[0]) {
    case BFT_PRE_PREPARE:
        return authenticate_pre_prepare(out, config, bytes);
    case BFT_PREPARE:
    case BFT_COMMIT:
        return authenticate_list(config, bytes);
    case BFT_STATUS:
        return bft_status_decode(&status, config, bytes);
    default:
        return ORD_ERR_INVALID;
    }
}
