/*
 * Checks a chain block by block, for someone who trusts the genesis block and no single replica.
 */
#include "channel/receipt.h"

void channel_chain_init(struct channel_chain *out, const struct channel_config *config,
                        const struct ord_hash *genesis_hash, const struct ord_crypto_ops *crypto) {
    *out = (struct channel_chain) {
        .config = config,
        .crypto = crypto,
        .genesis_hash = *genesis_hash,
        .head_hash = *genesis_hash,
    };
}

static enum ord_err refuse(const char **why, enum ord_err err, const char *sentence) {
    if (why != NULL)
        *why = sentence;
    return err;
}

static enum ord_err check_link(const struct channel_chain *chain, const struct channel_header *header,
                               const char **why) {
    if (why != NULL)
        *why = "";
    if (header->height != chain->height + 1 || header->height == 0)
        return refuse(why, ORD_ERR_MISMATCH, "the block's height is not the next one");
    if (!ord_hash_equal(&header->genesis_hash, &chain->genesis_hash))
        return refuse(why, ORD_ERR_MISMATCH, "the block is of another network");
    if (!ord_hash_equal(&header->previous_hash, &chain->head_hash))
        return refuse(why, ORD_ERR_MISMATCH, "the block does not link to the one before");
    if (header->epoch != chain->config->epoch)
        return refuse(why, ORD_ERR_MISMATCH, "the block is of another epoch");
    if (header->config_height >= header->height)
        return refuse(why, ORD_ERR_INVALID, "the block's configuration is not before it");
    if (header->last_seq == 0 || header->last_seq < chain->last_seq)
        return refuse(why, ORD_ERR_INVALID, "the block was decided before the one before it");
    return ORD_OK;
}

static void advance(struct channel_chain *chain, const struct channel_header *header) {
    chain->height = header->height;
    chain->last_seq = header->last_seq;
    channel_header_hash(&chain->head_hash, header);
}

enum ord_err channel_chain_block(struct channel_chain *chain, const struct channel_header *header, struct ord_span data,
                                 struct ord_hash *leaves, size_t leaf_max, const char **why) {
    enum ord_err err = check_link(chain, header, why);
    if (err != ORD_OK)
        return err;
    err = channel_block_check(header, data, leaves, leaf_max);
    if (err == ORD_ERR_TOO_LARGE)
        return refuse(why, err, "the block has more envelopes than there is room to check");
    if (err != ORD_OK)
        return refuse(why, err, "the block's data does not match its header");
    advance(chain, header);
    return ORD_OK;
}

enum ord_err channel_chain_header(struct channel_chain *chain, const struct channel_header *header, const char **why) {
    enum ord_err err = check_link(chain, header, why);
    if (err == ORD_OK)
        advance(chain, header);
    return err;
}

static const char *certificate_fault(enum ord_err err) {
    if (err == ORD_ERR_BAD_SIGNATURE)
        return "a signature of the certificate does not verify";
    if (err == ORD_ERR_MISMATCH)
        return "the certificate is of another epoch";
    return "the certificate has too few, unknown or repeated signers";
}

enum ord_err channel_chain_certificate(struct channel_chain *chain, const struct channel_certificate *certificate,
                                       uint32_t quorum, const char **why) {
    const struct channel_statement *statement = &certificate->statement;
    if (why != NULL)
        *why = "";
    if (statement->height != chain->height || !ord_hash_equal(&statement->header_hash, &chain->head_hash))
        return refuse(why, ORD_ERR_MISMATCH, "the certificate is for another block");
    if (statement->seq < chain->last_seq)
        return refuse(why, ORD_ERR_INVALID, "the certificate is older than the block");
    enum ord_err err =
        channel_certificate_verify(certificate, chain->config, &chain->genesis_hash, chain->crypto, quorum);
    if (err != ORD_OK)
        return refuse(why, err, certificate_fault(err));
    chain->proved_height = chain->height;
    chain->certificates++;
    return ORD_OK;
}
