/*
 * Proofs for third parties. Castro and Liskov, OSDI'99, section 4.2: "prepared" is a pre-prepare and 2f matching prepares by
 * different backups; section 4.4 carries that set in a VIEW-CHANGE, so each vote must stand without its list.
 */
#include "bft/proof.h"

#include "core/assert.h"
#include "core/merkle.h"
#include "core/quorum.h"

void bft_vote_tree_build(struct bft_vote_tree *tree, const struct ord_core_config *config,
                         const struct bft_vote_list *list) {
    ORD_ASSERT(list->count >= 1 && list->count <= BFT_LIST_MAX);
    for (uint32_t i = 0; i < list->count; i++) {
        struct bft_statement statement = {.type = list->type,
                                          .view = list->view,
                                          .seq = list->votes[i].seq,
                                          .digest = list->votes[i].digest,
                                          .sender = list->sender};
        bft_statement_leaf(&tree->levels[0][i], config, &statement);
    }
    uint32_t level = 0;
    tree->counts[0] = list->count;
    for (; tree->counts[level] > 1; level++) {
        uint32_t count = tree->counts[level];
        for (uint32_t i = 0; i + 1 < count; i += 2) {
            struct ord_hash pair[2] = {tree->levels[level][i], tree->levels[level][i + 1]};
            ord_merkle_root(config->crypto, &tree->levels[level + 1][i / 2], pair, 2);
        }
        if (count % 2 == 1) /* an odd last hash goes up unchanged, as in core/merkle.h */
            tree->levels[level + 1][count / 2] = tree->levels[level][count - 1];
        tree->counts[level + 1] = (count + 1) / 2;
    }
    tree->level_count = level + 1;
}

void bft_vote_tree_signed_hash(struct ord_hash *out, const struct bft_vote_tree *tree,
                               const struct ord_core_config *config) {
    bft_root_hash(out, config->crypto, &tree->levels[tree->level_count - 1][0]);
}

void bft_vote_tree_proof(struct bft_proof *out, const struct bft_vote_tree *tree, uint32_t index,
                         const struct ord_signature *signature) {
    ORD_ASSERT(index < tree->counts[0]);
    *out = (struct bft_proof) {.index = (uint8_t) index, .count = (uint8_t) tree->counts[0], .signature = *signature};
    for (uint32_t level = 0; level + 1 < tree->level_count; level++, index /= 2)
        if ((index ^ 1) < tree->counts[level])
            out->path[out->path_count++] = tree->levels[level][index ^ 1];
}

bool bft_proof_verify(const struct bft_proof *proof, const struct ord_core_config *config,
                      const struct bft_statement *statement) {
    struct ord_hash root;
    struct ord_hash hash;
    bft_statement_leaf(&root, config, statement);
    /* Climb to the root that this path claims; that it is the right one is what the signature says. */
    uint32_t index = proof->index;
    uint32_t used = 0;
    if (proof->count == 0 || proof->count > BFT_LIST_MAX || index >= proof->count || proof->path_count > BFT_PATH_MAX)
        return false;
    for (uint32_t count = proof->count; count > 1; index /= 2, count = (count + 1) / 2) {
        if ((index ^ 1) >= count)
            continue;
        if (used == proof->path_count)
            return false;
        struct ord_hash pair[2];
        pair[index % 2] = root;
        pair[(index ^ 1) % 2] = proof->path[used++];
        ord_merkle_root(config->crypto, &root, pair, 2);
    }
    if (used != proof->path_count)
        return false;
    bft_root_hash(&hash, config->crypto, &root);
    return config->crypto->verify(config->crypto->context, statement->sender, &hash, &proof->signature);
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

size_t bft_signed_vote_encode(uint8_t out[BFT_SIGNED_VOTE_SIZE_MAX], const struct ord_core_config *config,
                              const struct bft_statement *statement, const struct bft_proof *proof) {
    struct ord_writer writer = ord_writer_of(out, BFT_SIGNED_VOTE_SIZE_MAX);
    bft_header_write(&writer, config, statement->type, statement->view, statement->sender);
    ord_write_u64(&writer, statement->seq);
    ord_write_hash(&writer, &statement->digest);
    proof_write(&writer, proof);
    ORD_ASSERT(!writer.failed);
    return writer.size;
}

/* Header, seq and digest, which open a signed statement and a certificate alike. */
static enum ord_err statement_read(struct bft_statement *out, struct ord_reader *reader,
                                   const struct ord_core_config *config) {
    struct bft_header header;
    enum ord_err err = bft_header_read(&header, reader, config);
    if (err != ORD_OK)
        return err;
    *out = (struct bft_statement) {.type = header.type, .view = header.view, .sender = header.sender};
    out->seq = ord_read_u64(reader);
    ord_read_hash(reader, &out->digest);
    if (reader->failed || out->sender >= config->replica_count || out->seq == 0 || out->seq > BFT_SEQ_MAX)
        return ORD_ERR_INVALID;
    return ORD_OK;
}

static bool pre_prepare_verify(const struct ord_core_config *config, const struct bft_statement *statement,
                               const struct ord_signature *signature) {
    struct ord_hash hash;
    bft_statement_hash(&hash, config, statement);
    return config->crypto->verify(config->crypto->context, statement->sender, &hash, signature);
}

enum ord_err bft_signed_verify(struct bft_statement *out, const struct ord_core_config *config, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct ord_signature signature;
    struct bft_proof proof;
    enum ord_err err = statement_read(out, &reader, config);
    if (err != ORD_OK)
        return err;
    if (out->type == BFT_PRE_PREPARE)
        ord_read_signature(&reader, &signature);
    else if (out->type != BFT_PREPARE || proof_read(&proof, &reader) != ORD_OK)
        return ORD_ERR_INVALID;
    if (ord_reader_finish(&reader) != ORD_OK)
        return ORD_ERR_INVALID;
    bool good = out->type == BFT_PRE_PREPARE ? pre_prepare_verify(config, out, &signature)
                                             : bft_proof_verify(&proof, config, out);
    return good ? ORD_OK : ORD_ERR_BAD_SIGNATURE;
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
                              const struct bft_statement *pre_prepare, const struct ord_signature *signature,
                              const struct bft_certificate_vote *votes, uint32_t vote_count) {
    struct ord_writer writer = ord_writer_of(out, capacity);
    bft_header_write(&writer, config, BFT_CERTIFICATE, pre_prepare->view, pre_prepare->sender);
    ord_write_u64(&writer, pre_prepare->seq);
    ord_write_hash(&writer, &pre_prepare->digest);
    ord_write_signature(&writer, signature);
    ord_write_u8(&writer, (uint8_t) vote_count);
    for (uint32_t i = 0; i < vote_count; i++) {
        ord_write_u32(&writer, votes[i].sender);
        proof_write(&writer, votes[i].proof);
    }
    ORD_ASSERT(!writer.failed);
    return writer.size;
}

static enum ord_err certificate_read(struct bft_statement *out, const struct ord_core_config *config,
                                     struct ord_span bytes, bool with_signatures) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct ord_signature signature;
    enum ord_err err = statement_read(out, &reader, config);
    if (err != ORD_OK)
        return err;
    ord_read_signature(&reader, &signature);
    uint32_t vote_count = ord_read_u8(&reader);
    if (reader.failed || out->type != BFT_CERTIFICATE || out->sender != bft_primary(config, out->view) ||
        vote_count != ord_bft_quorum(config->replica_count) - 1)
        return ORD_ERR_INVALID;
    out->type = BFT_PRE_PREPARE;
    bool good = !with_signatures || pre_prepare_verify(config, out, &signature);
    struct bft_statement vote = *out;
    vote.type = BFT_PREPARE;
    for (uint32_t i = 0; i < vote_count; i++) {
        struct bft_proof proof;
        ord_node_id sender = ord_read_u32(&reader);
        if (proof_read(&proof, &reader) != ORD_OK || sender >= config->replica_count || sender == out->sender ||
            (i > 0 && sender <= vote.sender))
            return ORD_ERR_INVALID;
        vote.sender = sender;
        if (with_signatures && good)
            good = bft_proof_verify(&proof, config, &vote);
    }
    if (ord_reader_finish(&reader) != ORD_OK)
        return ORD_ERR_INVALID;
    return good ? ORD_OK : ORD_ERR_BAD_SIGNATURE;
}

enum ord_err bft_certificate_decode(struct bft_statement *out, const struct ord_core_config *config,
                                    struct ord_span bytes) {
    return certificate_read(out, config, bytes, false);
}

enum ord_err bft_certificate_verify(struct bft_statement *out, const struct ord_core_config *config,
                                    struct ord_span bytes) {
    return certificate_read(out, config, bytes, true);
}
