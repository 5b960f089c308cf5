/*
 * Receipts, checked at the cost of their Merkle path.
 */
#include "client/flow/proof.h"

#include "core/codec.h"
#include "core/merkle.h"

/* Hash over everything in a receipt that a certificate vouches for, and over the certificate itself. */
static void proof_name(struct ord_hash *out, const struct ord_crypto_ops *crypto,
                       const struct channel_receipt *receipt) {
    uint8_t header[CHANNEL_HEADER_SIZE];
    uint8_t certificate[CHANNEL_CERTIFICATE_SIZE_MAX];
    channel_header_encode(header, &receipt->header);
    size_t size = channel_certificate_encode(certificate, &receipt->certificate);
    const struct ord_span parts[] = {ord_span_of(header, sizeof(header)), ord_span_of(certificate, size),
                                     receipt->later_headers};
    crypto->hash(out, parts, 3);
}

/* Checks only what differs between receipts of one block: the leaf and its path. */
static enum ord_err check_inclusion(const struct client_trust *trust, const struct channel_receipt *receipt,
                                    const char **why) {
    if (receipt->envelope.size > 0) {
        struct ord_hash leaf;
        ord_merkle_leaf(&trust->crypto, &leaf, receipt->envelope);
        if (!ord_hash_equal(&leaf, &receipt->leaf)) {
            *why = "the envelope is not the one that the leaf names";
            return ORD_ERR_MISMATCH;
        }
    }
    if (!ord_merkle_verify(&trust->crypto, &receipt->header.data_root, &receipt->leaf, receipt->envelope_index,
                           receipt->header.envelope_count, receipt->path, receipt->path_size)) {
        *why = "the envelope is not in the block";
        return ORD_ERR_MISMATCH;
    }
    return ORD_OK;
}

enum ord_err client_trust_receipt(const struct client_trust *trust, struct client_proof_cache *cache,
                                  struct channel_receipt *out, struct ord_span bytes, const char **why) {
    *why = "malformed receipt";
    enum ord_err err = channel_receipt_decode(out, bytes);
    if (err != ORD_OK)
        return err;
    struct ord_hash name = {{0}};
    struct ord_hash *slot = NULL;
    if (cache != NULL) {
        proof_name(&name, &trust->crypto, out);
        slot = &cache->proved[ord_load_u32(name.bytes) % CLIENT_PROOF_CACHE];
        if (ord_hash_equal(slot, &name))
            return check_inclusion(trust, out, why);
        cache->certificates++;
    }
    *why = "it does not verify";
    err = channel_receipt_verify(out, &trust->config, &trust->genesis_hash, &trust->crypto, why);
    if (err == ORD_OK && slot != NULL)
        *slot = name;
    return err;
}
