/*
 * The genesis block as the root of all checks, and receipts checked at the cost of their Merkle path.
 */
#include "client/trust.h"

#include <stdlib.h>

#include "client/text.h"
#include "client/wire.h"
#include "core/codec.h"
#include "crypto/hash.h"

enum ord_err client_trust_init(struct client_trust *out, struct ord_span file) {
    enum ord_err err =
        channel_genesis_open(&out->config, &out->genesis_hash, &out->genesis_header, &out->genesis_data, file);
    if (err == ORD_OK)
        err = channel_replica_keys(&out->keys, &out->config);
    if (err != ORD_OK)
        return err;
    crypto_ops_init(&out->crypto, &out->keys);
    out->quorum = channel_weak_quorum(&out->config);
    return ORD_OK;
}

enum ordain_error client_trust_create(struct client_trust **out, struct ordain_bytes genesis, char *why,
                                      size_t why_size) {
    enum ord_err err = crypto_init();
    *out = calloc(1, sizeof(**out));
    if (*out == NULL || err != ORD_OK)
        return *out == NULL ? ORDAIN_NO_MEMORY : client_error(err);
    err = client_trust_init(*out, ord_span_of(genesis.data, genesis.size));
    if (err != ORD_OK)
        client_say(why, why_size, "not a genesis block: %s", ord_err_text(err));
    return err == ORD_OK ? ORDAIN_OK : ORDAIN_INVALID;
}

/* Hash over everything in a receipt that a certificate vouches for, and over the certificate itself. */
static void proof_name(struct ord_hash *out, const struct channel_receipt *receipt) {
    uint8_t header[CHANNEL_HEADER_SIZE];
    uint8_t certificate[CHANNEL_CERTIFICATE_SIZE_MAX];
    channel_header_encode(header, &receipt->header);
    size_t size = channel_certificate_encode(certificate, &receipt->certificate);
    const struct ord_span parts[] = {ord_span_of(header, sizeof(header)), ord_span_of(certificate, size),
                                     receipt->later_headers};
    crypto_sha256(out, parts, 3);
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
        proof_name(&name, out);
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
