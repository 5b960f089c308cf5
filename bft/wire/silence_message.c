/*
 * Codec and checks of ASK and RECALL (bft/recovery/silence.h). The door runs them without any state.
 */
#include "bft/recovery/silence.h"

#include "core/quorum.h"

size_t bft_ask_words_size(const struct ord_core_config *config) {
    return ((size_t) config->window + 7) / 8;
}

size_t bft_ask_size(const struct ord_core_config *config) {
    return BFT_HEADER_SIZE + 8 + 1 + 8 + 2 * bft_ask_words_size(config);
}

size_t bft_recall_size_max(const struct ord_core_config *config) {
    return BFT_HEADER_SIZE + 8 + 8 + 4 + bft_options_of(config)->checkpoints.size_max + 8 + 4 +
           BFT_SIGNED_VOTE_SIZE_MAX +
           BFT_RECALL_CERTIFICATES_MAX * BFT_CERTIFICATE_SIZE_MAX(ord_bft_quorum(config->replica_count));
}

void bft_ask_encode(struct ord_writer *writer, const struct ord_core_config *config, const struct bft_ask *ask) {
    bft_header_write(writer, config, BFT_ASK, ask->view, ask->sender);
    ord_write_u64(writer, ask->nonce);
    ord_write_u8(writer, ask->changing);
    ord_write_u64(writer, ask->stable_seq);
    ord_write_bytes(writer, ask->words, bft_ask_words_size(config));
    ord_write_bytes(writer, ask->prepared, bft_ask_words_size(config));
}

/* Whether a bitmap has no bit beyond the window. */
static bool bits_fit(const struct ord_core_config *config, const uint8_t *bits) {
    return config->window % 8 == 0 || bits[bft_ask_words_size(config) - 1] >> config->window % 8 == 0;
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
    struct ord_span prepared = ord_read_span(&reader, size);
    if (ord_reader_finish(&reader) != ORD_OK || header.type != BFT_ASK || changing > 1 ||
        out->stable_seq > BFT_SEQ_MAX || (out->changing && out->view == 0) || /* no replica changes to view 0 */
        !bits_fit(config, words.data) || !bits_fit(config, prepared.data))
        return ORD_ERR_INVALID;
    out->words = words.data;
    out->prepared = prepared.data;
    return ORD_OK;
}

void bft_recall_encode(struct ord_writer *writer, const struct ord_core_config *config, uint64_t view,
                       const struct bft_recall *recall) {
    bft_header_write(writer, config, BFT_RECALL, view, recall->sender);
    ord_write_u64(writer, recall->nonce);
    ord_write_u64(writer, recall->stable_seq);
    ord_write_string(writer, recall->certificate);
    ord_write_u64(writer, recall->reach_seq);
    ord_write_string(writer, recall->statement);
    ord_write_span(writer, recall->certificates);
}

bool bft_recall_next(struct ord_span *certificate, struct ord_span *rest, const struct ord_core_config *config) {
    size_t size = bft_certificate_size(config, *rest);
    if (size == 0)
        return false;
    *certificate = ord_span_of(rest->data, size);
    *rest = ord_span_of(rest->data + size, rest->size - size);
    return true;
}

/* Checks the form of the certificates, and their signatures too if `with_signatures`. */
static enum ord_err certificates_check(const struct ord_core_config *config, struct ord_span rest,
                                       bool with_signatures) {
    struct bft_verify_cache cache = {0};
    struct bft_statement statement;
    struct ord_span certificate;
    enum ord_err err = ORD_OK;
    uint64_t last_seq = 0;
    uint32_t count = 0;
    while (err == ORD_OK && bft_recall_next(&certificate, &rest, config)) {
        err = with_signatures ? bft_certificate_verify(&statement, config, certificate, &cache)
                              : bft_certificate_decode(&statement, config, certificate);
        if (err == ORD_OK && (statement.seq <= last_seq || ++count > BFT_RECALL_CERTIFICATES_MAX))
            return ORD_ERR_INVALID;
        last_seq = statement.seq;
    }
    return err == ORD_OK && rest.size > 0 ? ORD_ERR_INVALID : err;
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
    out->statement = ord_read_string(&reader, BFT_SIGNED_VOTE_SIZE_MAX);
    out->certificates = ord_read_span(&reader, ord_reader_left(&reader));
    if (ord_reader_finish(&reader) != ORD_OK || header.type != BFT_RECALL || out->stable_seq > BFT_SEQ_MAX ||
        (out->stable_seq == 0) != (out->certificate.size == 0) || out->reach_seq < out->stable_seq ||
        out->reach_seq > BFT_SEQ_MAX || out->reach_seq - out->stable_seq > 2 * (uint64_t) config->window)
        return ORD_ERR_INVALID;
    return certificates_check(config, out->certificates, false);
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
    err = certificates_check(config, out->certificates, true);
    if (err != ORD_OK || out->statement.size == 0)
        return err;
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

bool bft_ask_covers_certificate(const struct bft_ask *ask, const struct ord_core_config *config, uint64_t view,
                                uint64_t seq) {
    /* The asker looks at the certificates of its installed view (adopt.c). */
    if (view != ask->view || ask->changing || seq <= ask->stable_seq)
        return true;
    uint64_t i = seq - ask->stable_seq - 1;
    return i >= config->window || (ask->prepared[i / 8] >> (i % 8) & 1) != 0;
}
