/*
 * Wire codec and hashes of PBFT. Castro and Liskov, OSDI'99, section 4.2, names the fields of PRE-PREPARE, PREPARE and
 * COMMIT; TOCS'02, section 5.2, has STATUS messages. Lists of votes under one signature are ours (docs/protocol.md).
 */
#include "bft/wire/message.h"

#include <string.h>

#include "core/merkle.h"
#include "core/quorum.h"

/* Each tag has BFT_TAG_SIZE characters and no terminator, so no tag is a prefix of another. */
static const char tag_statement[] = "ordain pbft stmt";
static const char tag_body[] = "ordain pbft body";
static const char tag_root[] = "ordain pbft root";
_Static_assert(sizeof(tag_statement) == BFT_TAG_SIZE + 1 && sizeof(tag_body) == BFT_TAG_SIZE + 1 &&
                   sizeof(tag_root) == BFT_TAG_SIZE + 1,
               "tags are fixed-width");

ord_node_id bft_primary(const struct ord_core_config *config, uint64_t view) {
    return ord_leader_of_view(&config->genesis_hash, config->replica_count, view);
}

void bft_body_digest(struct ord_hash *out, const struct ord_crypto_ops *crypto, struct ord_span body) {
    const struct ord_span parts[] = {ord_span_of(tag_body, BFT_TAG_SIZE), body};
    crypto->hash(out, parts, 2);
}

static void statement_bytes(uint8_t out[BFT_STATEMENT_SIZE], const struct ord_core_config *config,
                            const struct bft_statement *statement) {
    struct ord_writer writer = ord_writer_of(out, BFT_STATEMENT_SIZE);
    ord_write_bytes(&writer, tag_statement, BFT_TAG_SIZE);
    ord_write_hash(&writer, &config->genesis_hash);
    ord_write_u64(&writer, config->epoch);
    ord_write_u8(&writer, (uint8_t) statement->type);
    ord_write_u64(&writer, statement->view);
    ord_write_u64(&writer, statement->seq);
    ord_write_hash(&writer, &statement->digest);
    ord_write_u32(&writer, statement->sender);
}

void bft_statement_leaf(struct ord_hash *out, const struct ord_core_config *config,
                        const struct bft_statement *statement) {
    uint8_t bytes[BFT_STATEMENT_SIZE];
    statement_bytes(bytes, config, statement);
    ord_merkle_leaf(config->crypto, out, ord_span_of(bytes, sizeof(bytes)));
}

void bft_statement_hash(struct ord_hash *out, const struct ord_core_config *config,
                        const struct bft_statement *statement) {
    struct ord_hash leaf;
    bft_statement_leaf(&leaf, config, statement);
    bft_root_hash(out, config->crypto, &leaf);
}

bool bft_statement_verify(const struct ord_core_config *config, const struct bft_statement *statement,
                          const struct ord_signature *signature) {
    struct ord_hash hash;
    bft_statement_hash(&hash, config, statement);
    return config->crypto->verify(config->crypto->context, statement->sender, &hash, signature);
}

void bft_root_hash(struct ord_hash *out, const struct ord_crypto_ops *crypto, const struct ord_hash *root) {
    const struct ord_span parts[] = {ord_span_of(tag_root, BFT_TAG_SIZE), ord_span_of(root->bytes, ORD_HASH_SIZE)};
    crypto->hash(out, parts, 2);
}

void bft_header_write(struct ord_writer *writer, const struct ord_core_config *config, enum bft_type type,
                      uint64_t view, ord_node_id sender) {
    ord_write_u8(writer, (uint8_t) type);
    ord_write_u64(writer, ord_load_u64(config->genesis_hash.bytes));
    ord_write_u64(writer, config->epoch);
    ord_write_u64(writer, view);
    ord_write_u32(writer, sender);
}

enum ord_err bft_header_read(struct bft_header *out, struct ord_reader *reader, const struct ord_core_config *config) {
    out->type = (enum bft_type) ord_read_u8(reader);
    uint64_t network = ord_read_u64(reader);
    uint64_t epoch = ord_read_u64(reader);
    out->view = ord_read_u64(reader);
    out->sender = ord_read_u32(reader);
    if (reader->failed)
        return ORD_ERR_INVALID;
    if (network != ord_load_u64(config->genesis_hash.bytes) || epoch != config->epoch)
        return ORD_ERR_MISMATCH;
    return out->view > BFT_SEQ_MAX ? ORD_ERR_INVALID : ORD_OK;
}

struct ord_span bft_behind_header(struct ord_span message) {
    return message.size <= BFT_HEADER_SIZE
               ? ord_span_of(NULL, 0)
               : ord_span_of(message.data + BFT_HEADER_SIZE, message.size - BFT_HEADER_SIZE);
}

struct bft_statement bft_pre_prepare_statement(const struct bft_pre_prepare *message) {
    return (struct bft_statement) {.type = BFT_PRE_PREPARE,
                                   .view = message->view,
                                   .seq = message->seq,
                                   .digest = message->digest,
                                   .sender = message->sender};
}

struct bft_statement bft_list_statement(const struct bft_vote_list *list, uint32_t index) {
    return (struct bft_statement) {.type = list->type,
                                   .view = list->view,
                                   .seq = list->votes[index].seq,
                                   .digest = list->votes[index].digest,
                                   .sender = list->sender};
}

void bft_pre_prepare_encode(uint8_t out[BFT_PRE_PREPARE_SIZE], const struct ord_core_config *config,
                            const struct bft_pre_prepare *message) {
    struct ord_writer writer = ord_writer_of(out, BFT_PRE_PREPARE_SIZE);
    bft_header_write(&writer, config, BFT_PRE_PREPARE, message->view, message->sender);
    ord_write_u64(&writer, message->seq);
    ord_write_hash(&writer, &message->digest);
    ord_write_signature(&writer, &message->signature);
    ord_write_u32(&writer, (uint32_t) message->body.size);
}

enum ord_err bft_pre_prepare_decode(struct bft_pre_prepare *out, const struct ord_core_config *config,
                                    struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct bft_header header;
    enum ord_err err = bft_header_read(&header, &reader, config);
    if (err != ORD_OK)
        return err;
    *out = (struct bft_pre_prepare) {.view = header.view, .sender = header.sender};
    out->seq = ord_read_u64(&reader);
    ord_read_hash(&reader, &out->digest);
    ord_read_signature(&reader, &out->signature);
    out->body = ord_read_string(&reader, config->batch_bytes_max);
    if (header.type != BFT_PRE_PREPARE || out->seq == 0 || out->seq > BFT_SEQ_MAX || out->body.size == 0)
        return ORD_ERR_INVALID;
    return ord_reader_finish(&reader);
}

void bft_vote_list_encode(struct ord_writer *writer, const struct ord_core_config *config,
                          const struct bft_vote_list *list) {
    bft_header_write(writer, config, list->type, list->view, list->sender);
    ord_write_u8(writer, (uint8_t) list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        ord_write_u64(writer, list->votes[i].seq);
        ord_write_hash(writer, &list->votes[i].digest);
    }
    if (list->type == BFT_PREPARE)
        ord_write_signature(writer, &list->signature);
}

enum ord_err bft_vote_list_decode(struct bft_vote_list *out, const struct ord_core_config *config,
                                  struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct bft_header header;
    enum ord_err err = bft_header_read(&header, &reader, config);
    if (err != ORD_OK)
        return err;
    out->type = header.type;
    out->view = header.view;
    out->sender = header.sender;
    out->count = ord_read_u8(&reader);
    if ((header.type != BFT_PREPARE && header.type != BFT_COMMIT && header.type != BFT_FETCH) || out->count == 0 ||
        out->count > BFT_LIST_MAX)
        return ORD_ERR_INVALID;
    uint64_t last_seq = 0;
    for (uint32_t i = 0; i < out->count; i++) {
        out->votes[i].seq = ord_read_u64(&reader);
        ord_read_hash(&reader, &out->votes[i].digest);
        if (out->votes[i].seq <= last_seq || out->votes[i].seq > BFT_SEQ_MAX)
            return ORD_ERR_INVALID;
        last_seq = out->votes[i].seq;
    }
    if (header.type == BFT_PREPARE)
        ord_read_signature(&reader, &out->signature);
    else
        memset(&out->signature, 0, sizeof(out->signature));
    return ord_reader_finish(&reader);
}

void bft_status_encode(uint8_t out[BFT_STATUS_SIZE], const struct ord_core_config *config,
                       const struct bft_status *status) {
    struct ord_writer writer = ord_writer_of(out, BFT_STATUS_SIZE);
    bft_header_write(&writer, config, BFT_STATUS, status->view, status->sender);
    ord_write_u64(&writer, status->delivered_seq);
    ord_write_u64(&writer, status->stable_seq);
    ord_write_bytes(&writer, status->held, BFT_HELD_SIZE);
    ord_write_u8(&writer, (uint8_t) status->mood);
    ord_write_u64(&writer, status->changes);
}

enum ord_err bft_status_decode(struct bft_status *out, const struct ord_core_config *config, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct bft_header header;
    enum ord_err err = bft_header_read(&header, &reader, config);
    if (err != ORD_OK)
        return err;
    out->view = header.view;
    out->sender = header.sender;
    out->delivered_seq = ord_read_u64(&reader);
    out->stable_seq = ord_read_u64(&reader);
    ord_read_bytes(&reader, out->held, BFT_HELD_SIZE);
    uint8_t mood = ord_read_u8(&reader);
    out->mood = (enum bft_mood) mood;
    out->changes = ord_read_u64(&reader);
    if (header.type != BFT_STATUS || out->delivered_seq > BFT_SEQ_MAX || out->stable_seq > out->delivered_seq ||
        mood > BFT_GIVES_UP || (bft_mood_changing(out->mood) && out->view == 0) || /* no replica changes to view 0 */
        (mood == BFT_HANDS_OVER && out->sender != bft_primary(config, out->view)))
        return ORD_ERR_INVALID;
    return ord_reader_finish(&reader);
}

void bft_body_encode(uint8_t out[BFT_BODY_SIZE], const struct ord_core_config *config,
                     const struct bft_body_message *message) {
    struct ord_writer writer = ord_writer_of(out, BFT_BODY_SIZE);
    bft_header_write(&writer, config, BFT_BODY, message->view, message->sender);
    ord_write_u64(&writer, message->seq);
    ord_write_u32(&writer, (uint32_t) message->body.size);
}

enum ord_err bft_body_decode(struct bft_body_message *out, const struct ord_core_config *config,
                             struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct bft_header header;
    enum ord_err err = bft_header_read(&header, &reader, config);
    if (err != ORD_OK)
        return err;
    out->view = header.view;
    out->sender = header.sender;
    out->seq = ord_read_u64(&reader);
    out->body = ord_read_string(&reader, config->batch_bytes_max);
    if (header.type != BFT_BODY || out->seq == 0 || out->seq > BFT_SEQ_MAX || out->body.size == 0)
        return ORD_ERR_INVALID;
    return ord_reader_finish(&reader);
}
