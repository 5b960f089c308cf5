/*
 * Proofs for third parties. Castro and Liskov, OSDI'99, section 4.2: "prepared" is a pre-prepare and 2f matching
 * prepares by different backups. Section 4.4 carries that set in a VIEW-CHANGE, so each vote must convince without its
 * list.
 */
#include "bft/wire/proof.h"

#include <string.h>

#include "core/assert.h"
#include "core/quorum.h"

void bft_vote_tree_build(struct bft_vote_tree *tree, const struct ord_core_config *config,
                         const struct bft_vote_list *list) {
    ORD_ASSERT(list->count >= 1 && list->count <= BFT_LIST_MAX);
    tree->count = list->count;
    for (uint32_t i = 0; i < list->count; i++) {
        struct bft_statement statement = bft_list_statement(list, i);
        bft_statement_leaf(&tree->hashes[i], config, &statement);
    }
    tree->root = *ord_merkle_tree_build(config->crypto, tree->hashes, tree->count);
}

void bft_vote_tree_signed_hash(struct ord_hash *out, const struct bft_vote_tree *tree,
                               const struct ord_core_config *config) {
    bft_root_hash(out, config->crypto, &tree->root);
}

bool bft_vote_list_verify(const struct ord_core_config *config, const struct bft_vote_list *list) {
    struct bft_vote_tree tree;
    struct ord_hash hash;
    bft_vote_tree_build(&tree, config, list);
    bft_vote_tree_signed_hash(&hash, &tree, config);
    return config->crypto->verify(config->crypto->context, list->sender, &hash, &list->signature);
}

void bft_vote_tree_proof(struct bft_proof *out, const struct bft_vote_tree *tree, uint32_t index,
                         const struct ord_signature *signature) {
    size_t path_count;
    *out = (struct bft_proof) {.index = (uint8_t) index, .count = (uint8_t) tree->count, .signature = *signature};
    ord_merkle_tree_path(out->path, &path_count, tree->hashes, tree->count, index);
    out->path_count = (uint8_t) path_count;
}

struct bft_proof bft_proof_alone(const struct ord_signature *signature) {
    return (struct bft_proof) {.count = 1, .signature = *signature};
}

static bool signature_verify(const struct ord_core_config *config, ord_node_id signer, const struct ord_hash *hash,
                             const struct ord_signature *signature, struct bft_verify_cache *cache) {
    if (cache != NULL && (cache->known & ord_replica_bit(signer)) != 0 &&
        ord_hash_equal(&cache->hashes[signer], hash) &&
        memcmp(cache->signatures[signer].bytes, signature->bytes, ORD_SIGNATURE_SIZE) == 0)
        return true;
    bool good = config->crypto->verify(config->crypto->context, signer, hash, signature);
    if (good && cache != NULL) {
        cache->known |= ord_replica_bit(signer);
        cache->hashes[signer] = *hash;
        cache->signatures[signer] = *signature;
    }
    return good;
}

bool bft_proof_verify(const struct bft_proof *proof, const struct ord_core_config *config,
                      const struct bft_statement *statement, struct bft_verify_cache *cache) {
    struct ord_hash root;
    struct ord_hash hash;
    if (proof->count == 0 || proof->count > BFT_LIST_MAX || proof->path_count > BFT_PATH_MAX)
        return false;
    bft_statement_leaf(&root, config, statement);
    /* Climb to the root that this path claims. The signature shows whether it is the right root. */
    if (!ord_merkle_climb(config->crypto, &root, proof->index, proof->count, proof->path, proof->path_count))
        return false;
    bft_root_hash(&hash, config->crypto, &root);
    return signature_verify(config, statement->sender, &hash, &proof->signature, cache);
}

static void proof_write(struct ord_writer *writer, const struct bft_proof *proof) {
    ord_write_u8(writer, proof->index);
    ord_write_u8(writer, proof->count);
    ord_write_u8(writer, proof->path_count);
    for (uint32_t i = 0; i < proof->path_count; i++)
        ord_write_hash(writer, &proof->path[i]);
    ord_write_signature(writer, &proof->signature);
}

static enum ord_err proof_read(struct bft_proof *out, struct ord_reader *reader) {
    *out = (struct bft_proof) {0};
    out->index = ord_read_u8(reader);
    out->count = ord_read_u8(reader);
    out->path_count = ord_read_u8(reader);
    if (out->count == 0 || out->count > BFT_LIST_MAX || out->index >= out->count || out->path_count > BFT_PATH_MAX)
        return ORD_ERR_INVALID;
    for (uint32_t i = 0; i < out->path_count; i++)
        ord_read_hash(reader, &out->path[i]);
    ord_read_signature(reader, &out->signature);
    return reader->failed ? ORD_ERR_INVALID : ORD_OK;
}

size_t bft_signed_encode(uint8_t out[BFT_SIGNED_VOTE_SIZE_MAX], const struct ord_core_config *config,
                         const struct bft_statement *statement, const struct bft_proof *proof) {
    struct ord_writer writer = ord_writer_of(out, BFT_SIGNED_VOTE_SIZE_MAX);
    bft_header_write(&writer, config, statement->type, statement->view, statement->sender);
    ord_write_u64(&writer, statement->seq);
    ord_write_hash(&writer, &statement->digest);
    proof_write(&writer, proof);
    ORD_ASSERT(!writer.failed);
    return writer.size;
}

/* Reads header, seq and digest, with which both a signed statement and a certificate begin. */
static enum ord_err statement_read(struct bft_statement *out, struct ord_reader *reader,
                                   const struct ord_core_config *config) {
    struct bft_header header;
    enum ord_err err = bft_header_read(&header, reader, config);
    if (err != ORD_OK)
        return err;
    *out = (struct bft_statement) {.type = header.type, .view = header.view, .sender = header.sender};
    out->seq = ord_read_u64(reader);
    ord_read_hash(reader, &out->digest);
    bool about_view = out->type == BFT_VIEW_CHANGE || out->type == BFT_NEW_VIEW;
    if (reader->failed || out->sender >= config->replica_count || (out->seq == 0) != about_view ||
        out->seq > BFT_SEQ_MAX)
        return ORD_ERR_INVALID;
    return ORD_OK;
}

enum ord_err bft_signed_decode(struct bft_statement *out, struct bft_proof *proof, const struct ord_core_config *config,
                               struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    enum ord_err err = statement_read(out, &reader, config);
    if (err != ORD_OK)
        return err;
    if ((out->type != BFT_PRE_PREPARE && out->type != BFT_PREPARE && out->type != BFT_VIEW_CHANGE &&
         out->type != BFT_NEW_VIEW) ||
        proof_read(proof, &reader) != ORD_OK || ord_reader_finish(&reader) != ORD_OK)
        return ORD_ERR_INVALID;
    return ORD_OK;
}

enum ord_err bft_signed_verify(struct bft_statement *out, const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_proof proof;
    enum ord_err err = bft_signed_decode(out, &proof, config, bytes);
    if (err != ORD_OK)
        return err;
    return bft_proof_verify(&proof, config, out, NULL) ? ORD_OK : ORD_ERR_BAD_SIGNATURE;
}

enum ord_err bft_evidence_split(struct ord_span message, struct ord_span *first, struct ord_span *second) {
    struct ord_reader reader = ord_reader_of(bft_behind_header(message));
    *first = ord_read_string(&reader, BFT_SIGNED_VOTE_SIZE_MAX);
    *second = ord_read_span(&reader, ord_reader_left(&reader));
    return ord_reader_finish(&reader) == ORD_OK ? ORD_OK : ORD_ERR_INVALID;
}

enum ord_err bft_evidence_verify(ord_node_id *culprit, const struct ord_core_config *config, struct ord_span first,
                                 struct ord_span second) {
    struct bft_statement a;
    struct bft_statement b;
    enum ord_err err = bft_signed_verify(&a, config, first);
    if (err == ORD_OK)
        err = bft_signed_verify(&b, config, second);
    if (err != ORD_OK)
        return err;
    if (a.type != b.type || a.view != b.view || a.seq != b.seq || a.sender != b.sender ||
        ord_hash_equal(&a.digest, &b.digest))
        return ORD_ERR_INVALID;
    *culprit = a.sender;
    return ORD_OK;
}

size_t bft_certificate_encode(uint8_t *out, size_t capacity, const struct ord_core_config *config,
                              const struct bft_statement *pre_prepare, const struct bft_proof *proof,
                              const struct bft_certificate_vote *votes, uint32_t vote_count) {
    struct ord_writer writer = ord_writer_of(out, capacity);
    bft_header_write(&writer, config, BFT_CERTIFICATE, pre_prepare->view, pre_prepare->sender);
    ord_write_u64(&writer, pre_prepare->seq);
    ord_write_hash(&writer, &pre_prepare->digest);
    proof_write(&writer, proof);
    ord_write_u8(&writer, (uint8_t) vote_count);
    for (uint32_t i = 0; i < vote_count; i++) {
        ord_write_u32(&writer, votes[i].sender);
        proof_write(&writer, votes[i].proof);
    }
    ORD_ASSERT(!writer.failed);
    return writer.size;
}

/* Reads one certificate. */
static enum ord_err certificate_read(struct bft_statement *out, struct ord_reader *reader,
                                     const struct ord_core_config *config, bool with_signatures,
                                     struct bft_verify_cache *cache) {
    struct bft_proof proof;
    enum ord_err err = statement_read(out, reader, config);
    if (err != ORD_OK)
        return err;
    if (out->type != BFT_CERTIFICATE || out->sender != bft_primary(config, out->view) ||
        proof_read(&proof, reader) != ORD_OK)
        return ORD_ERR_INVALID;
    uint32_t vote_count = ord_read_u8(reader);
    if (reader->failed || vote_count != ord_bft_quorum(config->replica_count) - 1)
        return ORD_ERR_INVALID;
    out->type = BFT_PRE_PREPARE;
    bool good = !with_signatures || bft_proof_verify(&proof, config, out, cache);
    struct bft_statement vote = *out;
    vote.type = BFT_PREPARE;
    for (uint32_t i = 0; i < vote_count; i++) {
        ord_node_id sender = ord_read_u32(reader);
        if (proof_read(&proof, reader) != ORD_OK || sender >= config->replica_count || sender == out->sender ||
            (i > 0 && sender <= vote.sender))
            return ORD_ERR_INVALID;
        vote.sender = sender;
        if (with_signatures && good)
            good = bft_proof_verify(&proof, config, &vote, cache);
    }
    return good ? ORD_OK : ORD_ERR_BAD_SIGNATURE;
}

enum ord_err bft_certificate_decode(struct bft_statement *out, const struct ord_core_config *config,
                                    struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    enum ord_err err = certificate_read(out, &reader, config, false, NULL);
    return err == ORD_OK && ord_reader_finish(&reader) != ORD_OK ? ORD_ERR_INVALID : err;
}

enum ord_err bft_certificate_verify(struct bft_statement *out, const struct ord_core_config *config,
                                    struct ord_span bytes, struct bft_verify_cache *cache) {
    enum ord_err err = bft_certificate_decode(out, config, bytes); /* the form first, because that is cheap */
    struct ord_reader reader = ord_reader_of(bytes);
    return err == ORD_OK ? certificate_read(out, &reader, config, true, cache) : err;
}

size_t bft_certificate_size(const struct ord_core_config *config, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct bft_statement statement;
    return certificate_read(&statement, &reader, config, false, NULL) == ORD_OK ? reader.position : 0;
}

bool bft_certificate_statement(struct bft_statement *out, struct bft_proof *proof, const struct ord_core_config *config,
                               struct ord_span bytes, ord_node_id signer) {
    struct ord_reader reader = ord_reader_of(bytes);
    ORD_ASSERT(statement_read(out, &reader, config) == ORD_OK && proof_read(proof, &reader) == ORD_OK);
    bool found = out->sender == signer;
    out->type = found ? BFT_PRE_PREPARE : BFT_PREPARE;
    uint32_t vote_count = ord_read_u8(&reader);
    for (uint32_t i = 0; i < vote_count && !found; i++) {
        out->sender = ord_read_u32(&reader);
        ORD_ASSERT(proof_read(proof, &reader) == ORD_OK);
        found = out->sender == signer;
    }
    return found;
}
