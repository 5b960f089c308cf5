/*
 * Codec and checks of VIEW-CHANGE and NEW-VIEW. Everything that can be checked without state is checked here, so a pool
 * of threads may do it.
 */
#include "bft/wire/view_message.h"

#include <string.h>

#include "bft/marks.h"
#include "core/assert.h"
#include "core/quorum.h"

static const char tag_view[] = "ordain pbft view";
_Static_assert(sizeof(tag_view) == BFT_TAG_SIZE + 1, "tags are fixed-width");

static uint32_t chunk_count(uint32_t count) {
    return (count + BFT_LIST_MAX - 1) / BFT_LIST_MAX;
}

size_t bft_view_change_size_max(const struct ord_core_config *config) {
    return BFT_HEADER_SIZE + 8 + 4 + bft_options_of(config)->checkpoints.size_max + 4 +
           (size_t) config->window * BFT_CERTIFICATE_SIZE_MAX(ord_bft_quorum(config->replica_count)) +
           ORD_SIGNATURE_SIZE;
}

size_t bft_new_view_size_max(const struct ord_core_config *config) {
    return BFT_HEADER_SIZE + 8 + 4 + (size_t) config->window * ORD_HASH_SIZE +
           (size_t) chunk_count(config->window) * ORD_SIGNATURE_SIZE + 1 +
           (size_t) config->replica_count * BFT_CHANGE_REF_SIZE + ORD_SIGNATURE_SIZE;
}

void bft_view_message_hash(struct ord_hash *hash, struct ord_hash *digest, const struct ord_core_config *config,
                           enum bft_type type, uint64_t view, ord_node_id sender, struct ord_span bytes) {
    const struct ord_span parts[] = {ord_span_of(tag_view, BFT_TAG_SIZE), bytes};
    config->crypto->hash(digest, parts, 2);
    const struct bft_statement statement = {.type = type, .view = view, .digest = *digest, .sender = sender};
    bft_statement_hash(hash, config, &statement);
}

void bft_view_change_begin(struct ord_writer *writer, size_t *count_at, const struct ord_core_config *config,
                           uint64_t view, uint64_t stable_seq, struct ord_span checkpoint) {
    bft_header_write(writer, config, BFT_VIEW_CHANGE, view, config->self);
    ord_write_u64(writer, stable_seq);
    ord_write_string(writer, checkpoint);
    *count_at = writer->size;
    ord_write_u32(writer, 0);
}

void bft_view_change_end(struct ord_writer *writer, size_t count_at, uint32_t count, struct ord_hash *hash,
                         const struct ord_core_config *config, uint64_t view) {
    ORD_ASSERT(!writer->failed);
    ord_store_u32(writer->data + count_at, count);
    struct ord_hash digest;
    bft_view_message_hash(hash, &digest, config, BFT_VIEW_CHANGE, view, config->self, ord_writer_span(writer));
}

bool bft_view_change_next(struct bft_statement *statement, struct ord_span *certificate, struct ord_span *certificates,
                          const struct ord_core_config *config) {
    if (certificates->size == 0)
        return false;
    size_t size = bft_certificate_size(config, *certificates);
    ORD_ASSERT(size > 0);
    *certificate = ord_span_of(certificates->data, size);
    *certificates = ord_span_of(certificates->data + size, certificates->size - size);
    ORD_ASSERT(bft_certificate_decode(statement, config, *certificate) == ORD_OK);
    return true;
}

/*
 * Checks that every certificate is well-formed, that the seqs rise within the window, and that the views are below that
 * of the message. With a cache it also checks every signature in them.
 */
static enum ord_err check_certificates(const struct bft_view_change *change, const struct ord_core_config *config,
                                       struct bft_verify_cache *cache) {
    struct ord_span left = change->certificates;
    uint64_t last_seq = change->stable_seq;
    for (uint32_t i = 0; i < change->certificate_count; i++) {
        struct bft_statement statement;
        size_t size = bft_certificate_size(config, left);
        if (size == 0)
            return ORD_ERR_INVALID;
        const struct ord_span bytes = ord_span_of(left.data, size);
        enum ord_err err = cache == NULL ? bft_certificate_decode(&statement, config, bytes)
                                         : bft_certificate_verify(&statement, config, bytes, cache);
        if (err != ORD_OK) {
            ORD_MARK(CHANGE_CERTIFICATE_FORGED);
            return err;
        }
        if (statement.seq <= last_seq || statement.seq - change->stable_seq > config->window ||
            statement.view >= change->view)
            return ORD_ERR_INVALID;
        last_seq = statement.seq;
        left = ord_span_of(left.data + size, left.size - size);
    }
    return left.size == 0 ? ORD_OK : ORD_ERR_INVALID;
}

static enum ord_err change_read(struct bft_view_change *out, struct ord_hash *hash,
                                const struct ord_core_config *config, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct bft_header header;
    enum ord_err err = bft_header_read(&header, &reader, config);
    if (err != ORD_OK)
        return err;
    *out = (struct bft_view_change) {.view = header.view, .sender = header.sender};
    out->stable_seq = ord_read_u64(&reader);
    out->checkpoint = ord_read_string(&reader, bft_options_of(config)->checkpoints.size_max);
    out->certificate_count = ord_read_u32(&reader);
    if (reader.failed || header.type != BFT_VIEW_CHANGE || header.view == 0 || header.sender >= config->replica_count ||
        out->stable_seq > BFT_SEQ_MAX || (out->stable_seq == 0) != (out->checkpoint.size == 0) ||
        out->certificate_count > config->window || ord_reader_left(&reader) < ORD_SIGNATURE_SIZE)
        return ORD_ERR_INVALID;
    out->certificates = ord_read_span(&reader, ord_reader_left(&reader) - ORD_SIGNATURE_SIZE);
    if (hash != NULL)
        bft_view_message_hash(hash, &out->digest, config, BFT_VIEW_CHANGE, out->view, out->sender,
                              ord_span_of(bytes.data, bytes.size - ORD_SIGNATURE_SIZE));
    ord_read_signature(&reader, &out->signature);
    return ord_reader_finish(&reader);
}

enum ord_err bft_view_change_parse(struct bft_view_change *out, const struct ord_core_config *config,
                                   struct ord_span bytes) {
    return change_read(out, NULL, config, bytes);
}

enum ord_err bft_view_change_decode(struct bft_view_change *out, const struct ord_core_config *config,
                                    struct ord_span bytes) {
    struct ord_hash hash;
    enum ord_err err = change_read(out, &hash, config, bytes);
    return err == ORD_OK ? check_certificates(out, config, NULL) : err;
}

enum ord_err bft_view_change_verify(struct bft_view_change *out, const struct ord_core_config *config,
                                    struct ord_span bytes) {
    struct ord_hash hash;
    enum ord_err err = change_read(out, &hash, config, bytes);
    if (err != ORD_OK)
        return err;
    if (!config->crypto->verify(config->crypto->context, out->sender, &hash, &out->signature))
        return ORD_ERR_BAD_SIGNATURE;
    if (out->stable_seq > 0) {
        const struct ord_checkpoint_ops *checkpoints = &bft_options_of(config)->checkpoints;
        uint64_t seq;
        err = checkpoints->verify(checkpoints->context, &seq, out->checkpoint);
        if (err != ORD_OK) {
            ORD_MARK(CHANGE_CHECKPOINT_FORGED);
            return err;
        }
        if (seq != out->stable_seq) {
            ORD_MARK(CHANGE_CHECKPOINT_OTHER);
            return ORD_ERR_INVALID;
        }
    }
    struct bft_verify_cache cache = {0};
    return check_certificates(out, config, &cache);
}

enum ord_err bft_new_view_decode(struct bft_new_view *out, const struct ord_core_config *config,
                                 struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct bft_header header;
    enum ord_err err = bft_header_read(&header, &reader, config);
    if (err != ORD_OK)
        return err;
    *out = (struct bft_new_view) {.view = header.view, .sender = header.sender};
    out->base_seq = ord_read_u64(&reader);
    out->count = ord_read_u32(&reader);
    if (reader.failed || header.type != BFT_NEW_VIEW || header.view == 0 ||
        header.sender != bft_primary(config, header.view) || out->base_seq > BFT_SEQ_MAX - config->window ||
        out->count > config->window)
        return ORD_ERR_INVALID;
    out->digests = ord_read_span(&reader, (size_t) out->count * ORD_HASH_SIZE).data;
    out->signatures = ord_read_span(&reader, (size_t) chunk_count(out->count) * ORD_SIGNATURE_SIZE).data;
    out->change_count = ord_read_u8(&reader);
    if (reader.failed || out->change_count < ord_bft_quorum(config->replica_count) ||
        out->change_count > config->replica_count)
        return ORD_ERR_INVALID;
    out->changes = ord_read_span(&reader, (size_t) out->change_count * BFT_CHANGE_REF_SIZE).data;
    ord_read_signature(&reader, &out->signature);
    if (ord_reader_finish(&reader) != ORD_OK)
        return ORD_ERR_INVALID;
    for (uint32_t i = 0; i < out->change_count; i++) {
        ord_node_id last = i > 0 ? ord_load_u32(out->changes + (size_t) (i - 1) * BFT_CHANGE_REF_SIZE) : 0;
        ord_node_id sender = ord_load_u32(out->changes + (size_t) i * BFT_CHANGE_REF_SIZE);
        if (sender >= config->replica_count || (i > 0 && sender <= last))
            return ORD_ERR_INVALID;
    }
    struct ord_hash hash;
    bft_view_message_hash(&hash, &out->digest, config, BFT_NEW_VIEW, out->view, out->sender,
                          ord_span_of(bytes.data, bytes.size - ORD_SIGNATURE_SIZE));
    return ORD_OK;
}

enum ord_err bft_new_view_verify(struct bft_new_view *out, const struct ord_core_config *config,
                                 struct ord_span bytes) {
    enum ord_err err = bft_new_view_decode(out, config, bytes);
    if (err != ORD_OK)
        return err;
    const struct bft_statement statement = {
        .type = BFT_NEW_VIEW, .view = out->view, .digest = out->digest, .sender = out->sender};
    if (!bft_statement_verify(config, &statement, &out->signature))
        return ORD_ERR_BAD_SIGNATURE;
    for (uint32_t chunk = 0; chunk < chunk_count(out->count); chunk++) {
        struct bft_vote_list list;
        bft_new_view_list(&list, out, chunk);
        if (!bft_vote_list_verify(config, &list))
            return ORD_ERR_BAD_SIGNATURE;
    }
    return ORD_OK;
}

void bft_new_view_list(struct bft_vote_list *out, const struct bft_new_view *view, uint32_t chunk) {
    uint32_t first = chunk * BFT_LIST_MAX;
    ORD_ASSERT(first < view->count);
    uint32_t count = view->count - first < BFT_LIST_MAX ? view->count - first : BFT_LIST_MAX;
    *out = (struct bft_vote_list) {.type = BFT_PRE_PREPARE, .view = view->view, .sender = view->sender, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        out->votes[i].seq = view->base_seq + 1 + first + i;
        bft_new_view_entry(&out->votes[i].digest, view, out->votes[i].seq);
    }
    memcpy(out->signature.bytes, view->signatures + (size_t) chunk * ORD_SIGNATURE_SIZE, ORD_SIGNATURE_SIZE);
}

void bft_new_view_entry(struct ord_hash *digest, const struct bft_new_view *view, uint64_t seq) {
    ORD_ASSERT(seq > view->base_seq && seq - view->base_seq <= view->count);
    memcpy(digest->bytes, view->digests + (size_t) (seq - view->base_seq - 1) * ORD_HASH_SIZE, ORD_HASH_SIZE);
}

void bft_new_view_change(ord_node_id *sender, struct ord_hash *digest, const struct bft_new_view *view,
                         uint32_t index) {
    ORD_ASSERT(index < view->change_count);
    const uint8_t *ref = view->changes + (size_t) index * BFT_CHANGE_REF_SIZE;
    *sender = ord_load_u32(ref);
    memcpy(digest->bytes, ref + 4, ORD_HASH_SIZE);
}
