/*
 * Codec and checks of ASK and RECALL (bft/recovery/silence.h). The door runs them without any state.
 */
#include "bft/recovery/silence.h"

#include "core/quorum.h"

size_t bft_ask_words_size(const struct ord_core_config *config) {
    return ((size_t) config->window + 7) / 8;
}

size_t bft_ask_size(const struct ord_core_config *config) {
    return BFT_HEADER_SIZE + 8 + 1 + 8 + bft_ask_words_size(config);
}

size_t bft_recall_size_max(const struct ord_core_config *config) {
    return BFT_HEADER_SIZE + 8 + 8 + 4 + bft_options_of(config)->checkpoints.size_max + 8 + BFT_SIGNED_VOTE_SIZE_MAX;
}

void bft_ask_encode(struct ord_writer *writer, const struct ord_core_config *config, const struct bft_ask *ask) {
    bft_header_write(writer, config, BFT_ASK, ask->view, ask->sender);
    ord_write_u64(writer, ask->nonce);
    ord_write_u8(writer, ask->changing);
    ord_write_u64(writer, ask->stable_seq);
    ord_write_bytes(writer, ask->words, bft_ask_words_size(config));
}

enum ord_err bft_ask_decode(struct bft_ask *out, const struct ord_core_config *config, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct bft_header header;
    enum ord_err err = bft_header_read(&header, &reader, config);
    if (err != ORD_OK)
        return err;
    *out = (struct bft_ask) {.view = header.view, .sender = header.sender, .nonce = ord_read_u64(&reader)};
    uint8_t changing = ord_read_u8(&reader);
    out->changing = changing == 1;
    out->stable_seq = ord_read_u64(&reader);
    size_t size = bft_ask_words_size(config);
    struct ord_span words = ord_read_span(&reader, size);
    if (ord_reader_finish(&reader) != ORD_OK || header.type != BFT_ASK || changing > 1 ||
        out->stable_seq > BFT_SEQ_MAX || (out->changing && out->view == 0) || /* no replica changes to view 0 */
        (config->window % 8 != 0 && words.data[size - 1] >> config->window % 8 != 0))
        return ORD_ERR_INVALID;
    out->words = words.data;
    return ORD_OK;
}

void bft_recall_encode(struct ord_writer *writer, const struct ord_core_config *config, uint64_t view,
                       const struct bft_recall *recall) {
    bft_header_write(writer, config, BFT_RECALL, view, recall->sender);
    ord_write_u64(writer, recall->nonce);
    ord_write_u64(writer, recall->stable_seq);
    ord_write_string(writer, recall->certificate);
    ord_write_u64(writer, recall->reach_seq);
    ord_write_span(writer, recall->statement);
}

enum ord_err bft_recall_decode(struct bft_recall *out, const struct ord_core_config *config, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct bft_header header;
    enum ord_err err = bft_header_read(&header, &reader, config);
    if (err != ORD_OK)
        return err;
    *out = (struct bft_recall) {.sender = header.sender, .nonce = ord_read_u64(&reader)};
    out->stable_seq = ord_read_u64(&reader);
    out->certificate = ord_read_string(&reader, bft_options_of(config)->checkpoints.size_max);
    out->reach_seq = ord_read_u64(&reader);
    size_t left = ord_reader_left(&reader);
    out->statement = ord_read_span(&reader, ord_min(left, BFT_SIGNED_VOTE_SIZE_MAX));
    if (ord_reader_finish(&reader) != ORD_OK || header.type != BFT_RECALL || out->stable_seq > BFT_SEQ_MAX ||
        (out->stable_seq == 0) != (out->certificate.size == 0) || out->reach_seq < out->stable_seq ||
        out->reach_seq > BFT_SEQ_MAX || out->reach_seq - out->stable_seq > 2 * (uint64_t) config->window)
        return ORD_ERR_INVALID;
    return ORD_OK;
}

enum ord_err bft_recall_verify(struct bft_recall *out, const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_statement statement;
    enum ord_err err = bft_recall_decode(out, config, bytes);
    if (err != ORD_OK)
        return err;
    if (out->stable_seq > 0) {
        const struct ord_checkpoint_ops *checkpoints = &bft_options_of(config)->checkpoints;
        uint64_t seq;
        err = checkpoints->verify(checkpoints->context, &seq, out->certificate);
        if (err != ORD_OK)
            return err;
        if (seq != out->stable_seq)
            return ORD_ERR_INVALID;
    }
    if (out->statement.size == 0)
        return ORD_OK;
    err = bft_signed_verify(&statement, config, out->statement);
    return err == ORD_OK && statement.sender != config->self ? ORD_ERR_INVALID : err;
}

/*
 * The asker makes no more statements of earlier views, whatever it said there. It holds its VIEW-CHANGE for the view
 * that it is in. While that view is not installed at the asker, it holds no other statement of it.
 */
bool bft_ask_covers(const struct bft_ask *ask, const struct ord_core_config *config,
                    const struct bft_statement *statement) {
    if (statement->view != ask->view || statement->type == BFT_VIEW_CHANGE)
        return statement->view <= ask->view;
    if (ask->changing)
        return false;
    if (statement->type == BFT_NEW_VIEW || statement->seq <= ask->stable_seq)
        return true;
    uint64_t i = statement->seq - ask->stable_seq - 1;
    return i < config->window && (ask->words[i / 8] >> (i % 8) & 1) != 0;
}
